"""Copies into the pools of one backend, in processes of their own, on the queue of its mover."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.bandwidth import BandwidthBook
from activities.running import Runner, call_of, other_of, ref_of
from activities.settings import Services
from drivers.contract import Driver, Job, SupportsHostAccess, SupportsTransfer
from drivers.errors import NotFound, Rejected, Unknown
from drivers.mover import CopyOptions, Mover
from shareflow import names
from shareflow.contracts.places import ObjectPlace
from shareflow.contracts.steps import BackendAnswer, BackendCall
from shareflow.errors import ContentDiffers


class MoverSteps:
    """Copies into the pools of one backend, in processes of their own.

    A step that is about an earlier one (forget it, change its limit) carries that one's operation, step and target.
    """

    def __init__(self, services: Services, backend: str, slots: int) -> None:
        self._services = services
        self._backend = backend
        self._runner = Runner(services, backend, slots)
        self._mover = Mover(services.state_dir / "mover")
        self._limits = BandwidthBook(services.state_dir / "mover-limits")

    def activities(self) -> list[Callable[..., Any]]:
        """The activity functions to register on the mover's queue."""
        return [self.copy, self.receive, self.verify, self.set_bandwidth, self.forget]

    def close(self) -> None:
        """Stop the copies that this process runs; they go on where they were with the next attempt."""
        self._runner.close()
        self._mover.close()

    def _driver(self, backend: str) -> Driver:
        driver = self._services.drivers.get(backend)
        if driver is None:
            raise Rejected(f"this worker has no driver of backend {backend}", pool_specific=True)
        return driver

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
        """Copy an object's files into a share: verified, or as one pass over a live source; found after a crash."""
        source, job = other_of(step), _job_of(step)
        gentle = _is_gentle(step)

        def start() -> Job:
            files, target = self._path(source), self._path(step.target)
            # Looking for the paths may have hung: a late attempt must not copy over what clients have written since.
            self._runner.check(step)
            if step.anew and self._mover.poll(job) is None:
                self._mover.forget_records(target)
            options = CopyOptions(
                verify=not step.live,
                repeated=step.live,
                bandwidth=self._limits.of(job, step.bandwidth),
                gentle=gentle,
            )
            return self._mover.start(job, files, target, options)

        begun = self._once(job, start)
        done = await self._runner.job(names.MOVER_COPY, step, begun, lambda: self._mover.cancel(job))
        # Window: the copy is complete; its job record goes only now, so a repeated step finds it done or looks at both
        # trees once more.
        await self._in_thread(self._forget_job, job)
        return BackendAnswer(size=step.target.size, moved=done.bytes_moved, note=done.message)

    @activity.defn(name=names.MOVER_RECEIVE)
    async def receive(self, step: BackendCall) -> BackendAnswer:
        """Receive another pool's snapshot, or what changed since one that both have."""
        source, job, call = other_of(step), _job_of(step), call_of(step)
        if step.share is None:
            raise Rejected(f"step {step.step} names no share")
        share, base = ref_of(step.share), step.base and (ref_of(step.base[0]), ref_of(step.base[1]))

        def start() -> Job:
            driver: object = self._driver(self._backend)
            if not isinstance(driver, SupportsTransfer):
                raise Rejected(f"backend {self._backend} receives no snapshots", pool_specific=True)
            return driver.receive_snapshot(
                self._driver(source.backend),
                ref_of(source),
                ref_of(step.target),
                share,
                call,
                base=base,
                bandwidth=self._limits.of(job, step.bandwidth),
            )

        stop = self._driver(self._backend).cancel_job
        done = await self._runner.job(names.MOVER_RECEIVE, step, start, lambda: stop(call))
        await self._in_thread(self._limits.forget, job)
        return BackendAnswer(size=step.target.size, moved=done.bytes_moved, note=done.message)

    @activity.defn(name=names.MOVER_VERIFY)
    async def verify(self, step: BackendCall) -> BackendAnswer:
        """Compare a copy with its source, in full or in a sample; what was looked at is the note of the answer."""
        source, job = other_of(step), _verification_of(step)

        def start() -> Job:
            files, target = self._path(source), self._path(step.target)
            self._runner.check(step)  # as above: nobody would follow what a late attempt starts
            return self._mover.verify(job, files, target, sampled=step.verify == "sampled")

        begun = self._once(job, start)
        try:
            done = await self._runner.job(names.MOVER_VERIFY, step, begun, lambda: self._mover.cancel(job))
        except ApplicationError as error:
            if error.type == ContentDiffers.__name__:
                await self._in_thread(self._mover.forget, job)
            raise
        await self._in_thread(self._mover.forget, job)
        return BackendAnswer(size=step.target.size, note=done.message)

    @activity.defn(name=names.MOVER_SET_BANDWIDTH)
    async def set_bandwidth(self, step: BackendCall) -> BackendAnswer:
        """Change the limit of a copy of this host, running or yet to be started; without one nothing is done now."""
        job = _job_of(step)

        def change() -> None:
            self._limits.set(job, step.bandwidth)
            if self._mover.poll(job) is not None:
                self._mover.set_bandwidth(job, step.bandwidth)

        await self._runner.call(names.MOVER_SET_BANDWIDTH, step, change)
        return BackendAnswer()

    @activity.defn(name=names.MOVER_FORGET)
    async def forget(self, step: BackendCall) -> BackendAnswer:
        """End a copy or comparison that is not wanted any more, with process and record; a missing one is done."""

        def forget() -> None:
            for each in (step, *(step.model_copy(update={"step": name}) for name in step.also)):
                self._forget_job(_job_of(each))
                self._mover.forget(_verification_of(each))

        await self._runner.call(names.MOVER_FORGET, step, forget)
        return BackendAnswer()

    def _once(self, job: str, start: Callable[[], Job]) -> Callable[[], Job]:
        """Start a job, then look at it: one that failed is begun again by the next attempt, not by this one."""
        begun = False

        def look() -> Job:
            nonlocal begun
            found = self._mover.poll(job) if begun else None
            begun = True
            return found or start()

        return look

    def _forget_job(self, job: str) -> None:
        self._mover.forget(job)
        self._limits.forget(job)

    async def _in_thread(self, action: Callable[[str], None], job: str) -> None:
        await asyncio.get_running_loop().run_in_executor(None, action, job)


def _is_gentle(step: BackendCall) -> bool:
    """Whether others on this machine go first: the copy belongs to an evacuation, and no writer waits for its end."""
    return step.limit is None and activity.info().priority.priority_key == names.EVACUATIONS_PRIORITY


def _job_of(step: BackendCall) -> str:
    """The name of a copy: an operation that goes to another pool copies anew."""
    return f"{call_of(step).key}/{step.target.object}"


def _verification_of(step: BackendCall) -> str:
    return f"verify {_job_of(step)}"
