"""Backend steps: one driver call each, fenced right before the call, on the queue of the backend.

Every step can be tried again at any time: the driver finds what an earlier attempt made by its operation key.
"""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from temporalio import activity
from temporalio.service import RPCError

from activities.failures import from_driver, translated
from activities.limits import set_limits
from activities.settings import Services
from drivers.contract import (
    AccessMode,
    Call,
    Driver,
    Job,
    JobState,
    ObjectRef,
    ShareObject,
    SupportsClone,
    SupportsHostAccess,
    SupportsRevert,
    SupportsSnapshots,
)
from drivers.errors import DriverError, NotFound, PoolFull, Rejected, Unknown
from drivers.mover import CopyOptions, Mover
from inventory import claims
from shareflow import faults, names
from shareflow.contracts.steps import BackendAnswer, BackendCall, JobProgress, ObjectPlace

T = TypeVar("T")
Step = Callable[[BackendCall], Awaitable[BackendAnswer]]


@dataclass(frozen=True)
class _Moments:
    """The fault points of one backend step: before the driver call, after its effect."""

    before: faults.FaultPoint
    after: faults.FaultPoint


_MOMENTS = {
    step: _Moments(
        faults.declare(f"{step.replace('_', '.', 1)}.before_call"),
        faults.declare(f"{step.replace('_', '.', 1)}.after_call"),
    )
    for step in (
        names.BACKEND_CREATE_SHARE,
        names.BACKEND_CLONE_SNAPSHOT,
        names.BACKEND_DELETE_SHARE,
        names.BACKEND_RESIZE_SHARE,
        names.BACKEND_SET_ACCESS_MODE,
        names.BACKEND_SET_QOS,
        names.BACKEND_CREATE_SNAPSHOT,
        names.BACKEND_DELETE_SNAPSHOT,
        names.BACKEND_REVERT_SHARE,
        names.BACKEND_STOP_JOB,
        names.MOVER_COPY,
        names.MOVER_FORGET,
    )
}
HANGING = 32


def ref_of(place: ObjectPlace) -> ObjectRef:
    """The driver's address of an object."""
    return ObjectRef(pool=place.pool, name=place.object)


TAKES_BACK = ("undo-", "readmit")


def call_of(step: BackendCall) -> Call:
    """Idempotency key and fencing number of a driver call.

    Each claim has two fencing numbers on a backend: steps that take something back have the higher one, so that a late
    attempt of the step before changes nothing after them.
    """
    fence = 2 * step.epoch + step.step.startswith(TAKES_BACK)
    return Call(deployment=step.deployment, operation=step.operation, step=step.step, epoch=fence)


def _answer(share: ShareObject) -> BackendAnswer:
    return BackendAnswer(size=share.size, export_paths=list(share.export_paths))


class _Progress:
    """Follows one job: its rate, and when its operation should hear of it (at most some twenty times)."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._first: int | None = None
        self._next_time = self._began + 2
        self._pause = 2.0
        self._next_part = 0.05

    def look(self, job: Job) -> JobProgress:
        """The job's progress now."""
        if self._first is None:
            self._first = job.bytes_done
        seconds = time.monotonic() - self._began
        rate = int((job.bytes_done - self._first) / seconds) if seconds > 0 else 0
        left = None if job.bytes_total is None or rate <= 0 else (job.bytes_total - job.bytes_done) // rate
        return JobProgress(
            bytes_done=job.bytes_done,
            bytes_total=job.bytes_total,
            files_done=job.files_done,
            files_total=job.files_total,
            rate=max(rate, 0),
            seconds_left=left,
        )

    def due(self, progress: JobProgress) -> bool:
        """Whether this is news: two seconds have passed, and another twentieth is done; longer pauses without total."""
        if time.monotonic() < self._next_time:
            return False
        if progress.bytes_total:
            part = progress.bytes_done / progress.bytes_total
            if part < self._next_part:
                return False
            self._next_part = part + 0.05
        else:
            self._pause *= 2
        self._next_time = time.monotonic() + self._pause
        return True


def _forget(future: asyncio.Future[Any]) -> None:
    """Take note of what became of a call that was given up, so that nobody warns of it."""
    if not future.cancelled():
        future.exception()


def _other(step: BackendCall) -> ObjectPlace:
    if step.other is None:
        raise Rejected(f"step {step.step} names no second object")
    return step.other


class _Runner:
    """Runs driver calls in threads: fenced, heartbeating, cancellable."""

    def __init__(self, services: Services, backend: str, slots: int) -> None:
        self.services = services
        self.backend = backend
        # Calls that hang past their limit keep their threads; there is room for many before they stop the others.
        self._threads = ThreadPoolExecutor(max_workers=slots + HANGING, thread_name_prefix=f"backend-{backend}")

    async def call(self, name: str, step: BackendCall, action: Callable[[], T]) -> T:
        """One fenced driver call in a thread. A cancel waits for the call to end, within its limit.

        A call that hangs past its limit is given up: whether it acts later is unknown, and the driver's fences decide.
        """
        moments = _MOMENTS[name]

        def attempt() -> T:
            faults.hit(moments.before, step.operation)
            self.check(step)
            # Window: the claim may be lost from here on; the driver refuses older epochs and deleted names by itself.
            result = action()
            faults.hit(moments.after, step.operation)
            return result

        with translated():
            try:
                return await self._heartbeating(asyncio.get_running_loop().run_in_executor(self._threads, attempt))
            except DriverError as error:
                raise from_driver(error, self.backend) from error
            except OSError as error:
                raise from_driver(Unknown(f"{type(error).__name__}: {error}"), self.backend) from error

    def check(self, step: BackendCall) -> None:
        """Raise StaleClaim unless the operation still holds what the step needs."""
        with self.services.database.read() as connection:
            claims.check(connection, step.operation, step.fences)

    async def _heartbeating(self, future: asyncio.Future[T]) -> T:
        timeout = activity.info().heartbeat_timeout
        interval = timeout.total_seconds() / 3 if timeout else 5.0
        limit = self.services.limits.call
        deadline = time.monotonic() + limit
        cancelled: asyncio.CancelledError | None = None
        while True:
            try:
                done, _ = await asyncio.wait([future], timeout=min(interval, max(deadline - time.monotonic(), 0)))
            except asyncio.CancelledError as error:
                cancelled = error
                continue
            if done:
                break
            if time.monotonic() >= deadline:
                future.add_done_callback(_forget)
                raise cancelled or Unknown(f"no answer within {limit:g} s; the call may still be running")
            activity.heartbeat(*activity.info().heartbeat_details[:1])
        result = future.result()
        if cancelled is not None and not isinstance(result, Job):
            raise cancelled
        if cancelled is not None:
            raise _CancelledDuringJob(cancelled) from cancelled
        return result

    async def job(self, name: str, step: BackendCall, action: Callable[[], Job], stop: Callable[[], Job]) -> None:
        """Drive a job to its end by making its call again and again; a cancel stops it and waits until it stands."""
        followed = _Progress()
        try:
            while True:
                job = await self.call(name, step, action)
                match job.state:
                    case JobState.DONE:
                        return
                    case JobState.FAILED:
                        raise self._failed(job)
                    case _:
                        await self._tell(followed, job)
                        await asyncio.sleep(step.poll)
        except (asyncio.CancelledError, _CancelledDuringJob):
            details = activity.cancellation_details()
            if details is not None and details.worker_shutdown:
                raise asyncio.CancelledError from None
            final = await asyncio.get_running_loop().run_in_executor(self._threads, stop)
            if final.state is not JobState.DONE:
                raise asyncio.CancelledError from None

    async def _tell(self, followed: _Progress, job: Job) -> None:
        progress = followed.look(job)
        activity.heartbeat(progress)
        client, operation = self.services.client, activity.info().workflow_id
        if client is None or operation is None or not followed.due(progress):
            return
        # News only: an operation that cannot be told now shows the next report.
        with suppress(RPCError):
            await client.get_workflow_handle(operation).signal(names.REPORT_PROGRESS, progress)

    def _failed(self, job: Job) -> Exception:
        if job.message.startswith(PoolFull.code) or "no space" in job.message.lower():
            return from_driver(PoolFull(job.message), self.backend)
        return from_driver(Unknown(job.message or "the job failed"), self.backend)

    def close(self) -> None:
        """Let running calls end in the background and take no more."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class _CancelledDuringJob(Exception):
    """A cancel came while a job's call ran; the call has returned since."""


class BackendSteps:
    """The driver activities of one backend."""

    def __init__(self, services: Services, backend: str, driver: Driver, slots: int) -> None:
        self.driver = driver
        self._runner = _Runner(services, backend, slots)

    def activities(self) -> list[Callable[..., Any]]:
        """The activity functions to register on the backend's queue."""
        return [
            self.create_share,
            self.clone_snapshot,
            self.delete_share,
            self.resize_share,
            self.set_access_mode,
            self.set_qos,
            self.create_snapshot,
            self.delete_snapshot,
            self.revert_share,
            self.stop_job,
        ]

    def close(self) -> None:
        """Stop taking calls."""
        self._runner.close()

    @activity.defn(name=names.BACKEND_CREATE_SHARE)
    async def create_share(self, step: BackendCall) -> BackendAnswer:
        """Make an empty share, or adopt the one an earlier attempt made; with its limits."""
        target = ref_of(step.target)
        made = await self._runner.call(
            names.BACKEND_CREATE_SHARE,
            step,
            lambda: self.driver.create_share(target, step.target.size, call_of(step)),
        )
        return await self._with_limits(step, _answer(made))

    async def _with_limits(self, step: BackendCall, answer: BackendAnswer) -> BackendAnswer:
        """Set the limits that came with a call, after its own work; the answer tells what became of each."""
        limits = step.limits
        if limits is None:
            return answer
        target, call = ref_of(step.target), call_of(step)
        found = await self._runner.call(
            names.BACKEND_SET_QOS,
            step,
            lambda: set_limits(self.driver, target, call, limits, required=step.required),
        )
        return answer.model_copy(update={"qos": found})

    @activity.defn(name=names.BACKEND_SET_QOS)
    async def set_qos(self, step: BackendCall) -> BackendAnswer:
        """Set a share's limits, and take those away that it had before."""
        return await self._with_limits(step, BackendAnswer(size=step.target.size))

    @activity.defn(name=names.BACKEND_CLONE_SNAPSHOT)
    async def clone_snapshot(self, step: BackendCall) -> BackendAnswer:
        """Make a share out of a snapshot in the same pool."""
        target, source, call = ref_of(step.target), ref_of(_other(step)), call_of(step)

        def clone() -> Job:
            if not isinstance(self.driver, SupportsClone):
                raise Rejected(f"driver {self.driver.name} cannot clone", pool_specific=True)
            return self.driver.clone_snapshot(source, target, step.target.size, call)

        await self._runner.job(names.BACKEND_CLONE_SNAPSHOT, step, clone, lambda: self.driver.cancel_job(call))
        made = await self._runner.call(
            names.BACKEND_CLONE_SNAPSHOT,
            step,
            lambda: self.driver.create_share(target, step.target.size, call),
        )
        return await self._with_limits(step, _answer(made))

    @activity.defn(name=names.BACKEND_DELETE_SHARE)
    async def delete_share(self, step: BackendCall) -> BackendAnswer:
        """Delete a share; a missing one is done."""
        target, call = ref_of(step.target), call_of(step)
        await self._runner.job(
            names.BACKEND_DELETE_SHARE,
            step,
            lambda: self.driver.delete_share(target, call),
            lambda: self.driver.cancel_job(call),
        )
        return BackendAnswer()

    @activity.defn(name=names.BACKEND_RESIZE_SHARE)
    async def resize_share(self, step: BackendCall) -> BackendAnswer:
        """Set a share's size, and the limits that go with it."""
        target = ref_of(step.target)
        made = await self._runner.call(
            names.BACKEND_RESIZE_SHARE,
            step,
            lambda: self.driver.resize_share(target, step.target.size, call_of(step)),
        )
        return await self._with_limits(step, _answer(made))

    @activity.defn(name=names.BACKEND_SET_ACCESS_MODE)
    async def set_access_mode(self, step: BackendCall) -> BackendAnswer:
        """Let clients write, only read, or not reach a share at all."""
        target = ref_of(step.target)
        await self._runner.call(
            names.BACKEND_SET_ACCESS_MODE,
            step,
            lambda: self.driver.set_access_mode(target, AccessMode(step.mode), call_of(step)),
        )
        return BackendAnswer()

    @activity.defn(name=names.BACKEND_CREATE_SNAPSHOT)
    async def create_snapshot(self, step: BackendCall) -> BackendAnswer:
        """Freeze a share's content."""
        snapshot, share, call = ref_of(step.target), ref_of(_other(step)), call_of(step)

        def freeze() -> Job:
            if not isinstance(self.driver, SupportsSnapshots):
                raise Rejected(f"driver {self.driver.name} takes no snapshots")
            return self.driver.create_snapshot(share, snapshot, call)

        await self._runner.job(names.BACKEND_CREATE_SNAPSHOT, step, freeze, lambda: self.driver.cancel_job(call))
        return BackendAnswer(size=step.target.size)

    @activity.defn(name=names.BACKEND_DELETE_SNAPSHOT)
    async def delete_snapshot(self, step: BackendCall) -> BackendAnswer:
        """Delete a snapshot; a missing one is done."""
        snapshot, call = ref_of(step.target), call_of(step)

        def delete() -> Job:
            if not isinstance(self.driver, SupportsSnapshots):
                raise Rejected(f"driver {self.driver.name} has no snapshots")
            return self.driver.delete_snapshot(snapshot, call)

        await self._runner.job(names.BACKEND_DELETE_SNAPSHOT, step, delete, lambda: self.driver.cancel_job(call))
        return BackendAnswer()

    @activity.defn(name=names.BACKEND_REVERT_SHARE)
    async def revert_share(self, step: BackendCall) -> BackendAnswer:
        """Give a share the content of one of its snapshots."""
        share, snapshot, call = ref_of(step.target), ref_of(_other(step)), call_of(step)

        def revert() -> Job:
            if not isinstance(self.driver, SupportsRevert):
                raise Rejected(f"driver {self.driver.name} cannot revert")
            return self.driver.revert_share(share, snapshot, call)

        await self._runner.job(names.BACKEND_REVERT_SHARE, step, revert, lambda: self.driver.cancel_job(call))
        return BackendAnswer(size=step.target.size)

    @activity.defn(name=names.BACKEND_STOP_JOB)
    async def stop_job(self, step: BackendCall) -> BackendAnswer:
        """Stop the job of an earlier step on a share, for good; ``done`` says whether it was over first."""
        call = call_of(step)
        later = dataclasses.replace(call, epoch=call.epoch + 1)

        def stop() -> Job:
            # The fence goes up first: a call that hangs somewhere must not start the job once it was looked for.
            self.driver.set_access_mode(ref_of(step.target), AccessMode.RW, dataclasses.replace(later, step="fence"))
            return self.driver.cancel_job(later)

        stopped = await self._runner.call(names.BACKEND_STOP_JOB, step, stop)
        return BackendAnswer(done=stopped.state is JobState.DONE)


class MoverSteps:
    """Copies into the pools of one backend, in processes of their own."""

    def __init__(self, services: Services, backend: str, slots: int) -> None:
        self._services = services
        self._backend = backend
        self._runner = _Runner(services, backend, slots)
        self._mover = Mover(services.state_dir / "mover")

    def activities(self) -> list[Callable[..., Any]]:
        """The activity functions to register on the mover's queue."""
        return [self.copy, self.forget]

    def close(self) -> None:
        """Stop the copies that this process runs; they go on where they were with the next attempt."""
        self._runner.close()
        self._mover.close()

    def _path(self, place: ObjectPlace) -> Path:
        driver: object = self._services.drivers.get(place.backend)
        if not isinstance(driver, SupportsHostAccess):
            raise Rejected(f"objects of backend {place.backend} cannot be reached on a host", pool_specific=True)
        try:
            return driver.data_path(ref_of(place))
        except NotFound as error:
            raise Unknown(f"{place.object} is not there: {error.reason}") from error

    @activity.defn(name=names.MOVER_COPY)
    async def copy(self, step: BackendCall) -> BackendAnswer:
        """Copy a snapshot's files into a share, verified; found again after a crash."""
        source, job = _other(step), _copy_job(step)

        def start() -> Job:
            files, target = self._path(source), self._path(step.target)
            # Looking for the paths may have hung: a late attempt must not copy over what clients have written since.
            self._runner.check(step)
            return self._mover.start(job, files, target, CopyOptions())

        await self._runner.job(names.MOVER_COPY, step, start, lambda: self._mover.cancel(job))
        # Window: the copy is complete and verified; its job record goes only now, so a repeated step finds it done
        # or compares once more.
        await asyncio.get_running_loop().run_in_executor(None, self._mover.forget, job)
        return BackendAnswer(size=step.target.size)

    @activity.defn(name=names.MOVER_FORGET)
    async def forget(self, step: BackendCall) -> BackendAnswer:
        """End a copy that is not wanted any more, with its process and its record; a missing one is done."""
        await self._runner.call(names.MOVER_FORGET, step, lambda: self._mover.forget(_copy_job(step)))
        return BackendAnswer()


def _copy_job(step: BackendCall) -> str:
    """The name of a copy: an operation that goes to another pool copies anew."""
    return f"{call_of(step).key}/{step.target.object}"
