"""Backend steps: one driver call each, fenced right before the call, on the queue of the backend."""

from __future__ import annotations

import dataclasses
import re
import time
from collections.abc import Callable, Sequence
from typing import Any

from temporalio import activity

from activities.limits import set_limits
from activities.running import Runner, call_of, other_of, ref_of
from activities.settings import Services
from drivers.contract import (
    AccessMode,
    Driver,
    Job,
    JobState,
    ShareObject,
    SupportsClone,
    SupportsRevert,
    SupportsSnapshots,
    SupportsTransfer,
)
from drivers.errors import Rejected
from shareflow import names
from shareflow.contracts.steps import BackendAnswer, BackendCall
from shareflow.errors import FenceLeaks

_SHOWN_LEAKS = 5
_CLOSING_SECONDS = 1.0
"""How long a client that has a file open when the fence comes may take to close it."""
_OPEN_FILE = re.compile(r"process \d+ \(|and \d+ more open files")  # as drivers.writers words it


def _answer(share: ShareObject) -> BackendAnswer:
    return BackendAnswer(size=share.size, export_paths=list(share.export_paths))


class BackendSteps:
    """The driver activities of one backend."""

    def __init__(self, services: Services, backend: str, driver: Driver, slots: int) -> None:
        self.driver = driver
        self._runner = Runner(services, backend, slots)

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
            self.fence,
            self.measure,
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
        target, source, call = ref_of(step.target), ref_of(other_of(step)), call_of(step)

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
        snapshot, share, call = ref_of(step.target), ref_of(other_of(step)), call_of(step)

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
        share, snapshot, call = ref_of(step.target), ref_of(other_of(step)), call_of(step)

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

    @activity.defn(name=names.BACKEND_MEASURE)
    async def measure(self, step: BackendCall) -> BackendAnswer:
        """How many bytes of a share a snapshot of it does not have; None where the driver cannot tell cheaply."""
        share, snapshot = ref_of(step.target), ref_of(other_of(step))

        def look() -> int | None:
            return self.driver.changed_bytes(share, snapshot) if isinstance(self.driver, SupportsTransfer) else None

        return BackendAnswer(missing=await self._runner.call(names.BACKEND_MEASURE, step, look))

    @activity.defn(name=names.BACKEND_FENCE)
    async def fence(self, step: BackendCall) -> BackendAnswer:
        """Take away the right to write to a share, and prove that nobody can change its content any more.

        When somebody can, the mode stays set and the step fails with ``FenceLeaks``.
        """
        target = ref_of(step.target)

        def find_leaks() -> list[str]:
            found = self.driver.find_writers(target)
            return [line for line in found if not (step.ignore_open_files and _OPEN_FILE.match(line))]

        def fence() -> None:
            self.driver.set_access_mode(target, AccessMode(step.mode), call_of(step))
            # What a client is writing just now it may finish: nobody can open a file for writing any more.
            until = time.monotonic() + _CLOSING_SECONDS
            while (leaks := find_leaks()) and time.monotonic() < until:
                time.sleep(_CLOSING_SECONDS / 50)
            if leaks:
                raise _leaking(leaks)

        await self._runner.call(names.BACKEND_FENCE, step, fence)
        return BackendAnswer()


def _leaking(leaks: Sequence[str]) -> FenceLeaks:
    more = f" and {len(leaks) - _SHOWN_LEAKS} more" if len(leaks) > _SHOWN_LEAKS else ""
    return FenceLeaks(
        f"the share can still be written: {'; '.join(leaks[:_SHOWN_LEAKS])}{more}",
        hint="stop these writers and cut over again, or cut over with ignore_open_files: true",
    )
