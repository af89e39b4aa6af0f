"""How driver calls run: in threads, fenced right before the call, heartbeating, cancellable.

Every step can be tried again at any time: the driver finds what an earlier attempt made by its operation key.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from temporalio import activity
from temporalio.service import RPCError

from activities.failures import as_failure, from_driver, translated
from activities.settings import Services
from drivers.contract import Call, Job, JobState, ObjectRef
from drivers.errors import DriverError, PoolFull, Rejected, Unknown
from drivers.mover.options import DIFFERS
from inventory import claims
from shareflow import errors, faults, names
from shareflow.contracts.places import ObjectPlace
from shareflow.contracts.steps import BackendCall, JobProgress

T = TypeVar("T")


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
        names.BACKEND_FENCE,
        names.MOVER_COPY,
        names.MOVER_FORGET,
        names.MOVER_RECEIVE,
        names.MOVER_VERIFY,
        names.MOVER_SET_BANDWIDTH,
    )
}
HANGING = 32
_SHORTEST_POLL = 0.015  # seconds
DIFFERS_HINT = "find out who writes to the copy, or to the source past its fence; then copy and compare again"


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


def other_of(step: BackendCall) -> ObjectPlace:
    """The second object of a call. Raises Rejected when it names none."""
    if step.other is None:
        raise Rejected(f"step {step.step} names no second object")
    return step.other


class Runner:
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
        moments = _MOMENTS.get(name)  # what only looks has none: there is no effect to be cut off from its answer

        def attempt() -> T:
            if moments is None:
                return action()
            faults.hit(moments.before, step.operation)
            self.check(step)
            # Window: the claim may be lost from here on; the driver refuses older epochs and deleted names by itself.
            result = action()
            faults.hit(moments.after, step.operation)
            return result

        with translated():
            try:
                running = asyncio.get_running_loop().run_in_executor(self._threads, attempt)
                return await self._heartbeating(running, min(self.services.limits.call, step.limit or math.inf))
            except DriverError as error:
                raise from_driver(error, self.backend) from error
            except OSError as error:
                raise from_driver(Unknown(f"{type(error).__name__}: {error}"), self.backend) from error

    def check(self, step: BackendCall) -> None:
        """Raise StaleClaim unless the operation still holds what the step needs."""
        with self.services.database.read() as connection:
            claims.check(connection, step.operation, step.fences)

    async def _heartbeating(self, future: asyncio.Future[T], limit: float) -> T:
        timeout = activity.info().heartbeat_timeout
        interval = timeout.total_seconds() / 3 if timeout else 5.0
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

    async def job(self, name: str, step: BackendCall, action: Callable[[], Job], stop: Callable[[], Job]) -> Job:
        """Drive a job until it is done, by making its call again and again; gives the job as it ended.

        A cancel stops it and waits until it stands.
        """
        followed, began = _Progress(), time.monotonic()
        try:
            while True:
                job = await self.call(name, step, action)
                match job.state:
                    case JobState.DONE:
                        return job
                    case JobState.FAILED:
                        raise self._failed(job)
                    case _:
                        await self._tell(followed, job)
                        # Seldom at a long job; the end of any is found before it lasts an eighth longer.
                        lasts = time.monotonic() - began
                        await asyncio.sleep(min(step.poll, max(_SHORTEST_POLL, lasts / 8)))
        except (asyncio.CancelledError, _CancelledDuringJob):
            details = activity.cancellation_details()
            if details is not None and details.worker_shutdown:
                raise asyncio.CancelledError from None
            final = await asyncio.get_running_loop().run_in_executor(self._threads, stop)
            if final.state is not JobState.DONE:
                raise asyncio.CancelledError from None
            return final

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
            return from_driver(PoolFull(job.message.removeprefix(PoolFull.code).strip()), self.backend)
        if job.message.startswith(DIFFERS):
            return as_failure(errors.ContentDiffers(job.message.removeprefix(DIFFERS).strip(), hint=DIFFERS_HINT))
        return from_driver(Unknown(job.message or "the job failed"), self.backend)

    def close(self) -> None:
        """Let running calls end in the background and take no more."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class _CancelledDuringJob(Exception):
    """A cancel came while a job's call ran; the call has returned since."""
