"""MigrateShare: claim and place -> make the destination -> copy and keep catching up -> cutover -> delete the source.

The share is used all the time. Others have it while it is copied; the migration itself holds its two instances, and
the share with its snapshots only for the cutover: stop writers, last delta, verify, switch, let writers in.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any

from pydantic import ValidationError
from temporalio import workflow
from temporalio.exceptions import FailureError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from shareflow import names
    from shareflow.contracts.migration import CutoverWhen, MigrateShareInput, MigrateShareResult, MigrationOptions
    from shareflow.contracts.migration_steps import (
        CutoverBegun,
        CutoverEnded,
        EndCutoverInput,
        PassView,
        SwitchInput,
    )
    from shareflow.contracts.places import BeginStatus
    from shareflow.contracts.qos import QosAnswer
    from shareflow.contracts.steps import Begun, CommandStep, Failure
    from workflows.conduct import GaveUp, failure_of
    from workflows.copy_passes import CopyPasses
    from workflows.migration_commands import (
        CATCHING_UP,
        CUTTING_OVER,
        FIRST_COPY,
        GRACE,
        PAUSED,
        SWITCHED,
        MigrationCommands,
    )
    from workflows.migration_log import MigrationLog

LONGEST_REST = 60
"""The longest pause between two passes, as a multiple of the shortest."""
FRESH = timedelta(seconds=30)
"""What was written in this time is copied while the share is held; more is copied before, with nobody waiting."""
MOST_BACK_OFF = 600.0
"""Seconds between two cutovers that fail, at most."""


@workflow.defn(name=names.MIGRATE_SHARE, failure_exception_types=[ValidationError])
class MigrateShare(MigrationCommands):
    """Move a share to another pool, backend, zone or type; it is writable until the cutover, and soon after it."""

    kind = names.MIGRATE_SHARE

    def __init__(self) -> None:
        super().__init__()
        self._back_off = 0.0
        self._fenced_at: datetime | None = None
        self._idle = 0

    @workflow.run
    async def run(self, request: MigrateShareInput) -> MigrateShareResult:
        """Copy, cut over, clean up."""
        self._options = request
        try:
            return MigrateShareResult.model_validate(await self.conduct(request, self._recipe(request)))
        finally:
            await workflow.wait_condition(workflow.all_handlers_finished)

    # -- recipe ------------------------------------------------------------------------------------------------------

    async def _recipe(self, request: MigrateShareInput) -> dict[str, Any]:
        begun = await self.begin(request)
        if begun.status is BeginStatus.ENDED:
            return await self.ended_before(begun)
        return await self.migrate(begun, request)

    async def migrate(self, begun: Begun, request: MigrationOptions) -> dict[str, Any]:
        """From the begin to the end of a migration."""
        migration, source = begun.migration, begun.instance
        assert migration is not None and source is not None  # noqa: S101, PT018  (begin always finds them)
        self.log.migration = MigrationLog(migration.plan.source, migration.plan.destination, migration)
        copy = self._copy = CopyPasses(self, source, begun.fences, begun.share_id, migration)
        copy.remember(**self._early)
        self.log.migration.bandwidth = copy.memory.bandwidth
        if begun.phase:
            return await self._finish(begun, copy, request)
        if (switched := await self._take_up(copy)) is not None:
            return await self._finish(switched, copy, request)
        self.resume(begun)
        await copy.make()
        while True:
            await self._catch_up(copy, request)
            switched = await self._cut_over(copy, request)
            if switched is not None:
                return await self._finish(switched, copy, request)

    async def _take_up(self, copy: CopyPasses) -> Begun | None:
        """Where an earlier run stopped: a fence that may stand on the source is taken away first."""
        if copy.memory.fenced:
            switched = await self._give_share_back(copy, await self._hold_share(copy))
            if switched is not None:
                return switched
        await copy.follow()
        return None

    def _enter(self, phase: str, *commands: str) -> None:
        if phase != self._phase:
            self._phase = phase
            workflow.upsert_search_attributes([names.PHASE.value_set(phase)])
        self.log.enter(phase, list(commands))

    # -- phase 1 -----------------------------------------------------------------------------------------------------

    async def _catch_up(self, copy: CopyPasses, request: MigrationOptions) -> None:
        """Pass after pass, until it is time for the cutover."""
        while not self._is_due(copy, request):
            self._show_phase(copy)
            if copy.memory.paused:
                await self.pause_until(lambda: not copy.memory.paused)
                continue
            if await self._pass(copy):
                if not (copy.is_brief and self._is_due(copy, request)):
                    self._show_phase(copy)
                await self._rest(copy, request)
            await self._continue_as_new(copy, request)

    def _show_phase(self, copy: CopyPasses) -> None:
        self._say_what_comes()
        if copy.memory.paused:
            self._enter(PAUSED, names.RESUME, names.SET_BANDWIDTH, names.CANCEL_MIGRATION)
        else:
            phase = CATCHING_UP if copy.memory.copied else FIRST_COPY
            self._enter(phase, names.CUTOVER, names.PAUSE, names.SET_BANDWIDTH, names.CANCEL_MIGRATION)

    def _is_due(self, copy: CopyPasses, request: MigrationOptions) -> bool:
        memory, now, last = copy.memory, workflow.now(), self._last_pass
        if not memory.copied or memory.paused or (self._not_before is not None and now < self._not_before):
            return False
        if memory.cutover or request.cutover_when is CutoverWhen.IMMEDIATELY:
            return True
        if request.cutover_when is CutoverWhen.LAG_BELOW:
            return last is not None and last.bytes_moved <= (request.lag_below or 0)
        since, until = request.window_from, request.window_until
        return since is not None and until is not None and since <= now <= until

    @property
    def _last_pass(self) -> PassView | None:
        return None if self.log.migration is None else self.log.migration.last_pass

    async def _pass(self, copy: CopyPasses, held: CutoverBegun | None = None) -> bool:
        """One pass. A failing one is shown and tried again later; False when it did not come to its end."""
        try:
            moved = await self.interruptible(copy.run(held))
        except (FailureError, GaveUp) as error:
            failure = failure_of(error)
            if is_cancelled_exception(error) or failure.type == "StaleClaim":
                raise
            await self.call_operator(failure)
            self.log.failed(failure.message)
            self._changed = False
            await self.pause_until(lambda: self._changed, self.limits.retry * 4, "the next try")
            return False
        if moved is None:
            return False
        await self.needs_nobody()
        self._count(copy, moved)
        return True

    def _count(self, copy: CopyPasses, moved: int) -> None:
        if self.log.migration is not None:
            self.log.migration.passed(copy.memory.passes, copy.began, moved)

    async def _rest(self, copy: CopyPasses, request: MigrationOptions) -> None:
        """Pause between two passes: longer where they take longer or move nothing, cut short by a command."""
        last = self._last_pass
        settle = self.limits.settle
        pause = max(settle, 5 * last.seconds if last else 0)
        # Nobody seems to write: look less and less often. A cutover makes a pass of its own first.
        self._idle = self._idle + 1 if last is not None and not last.bytes_moved else 0
        pause = min(pause * 2 ** min(self._idle, 10), LONGEST_REST * settle)
        if request.window_from is not None and workflow.now() < request.window_from:
            pause = min(pause, (request.window_from - workflow.now()).total_seconds())
        self._changed = False
        if not self._is_due(copy, request):
            await self.pause_until(lambda: self._changed, pause, "the next pass")

    async def _continue_as_new(self, copy: CopyPasses, request: MigrationOptions) -> None:
        if workflow.info().get_current_history_length() < self.limits.history:
            return
        await copy.follow()
        await workflow.wait_condition(workflow.all_handlers_finished)
        workflow.continue_as_new(request)

    # -- phase 2 -----------------------------------------------------------------------------------------------------

    async def _cut_over(self, copy: CopyPasses, request: MigrationOptions) -> Begun | None:
        """From the claim on the share to the switch; None when it failed and writers were let in again."""
        number = copy.memory.cutovers + 1
        copy.remember(cutovers=number)
        self._enter(CUTTING_OVER, names.CANCEL_MIGRATION)
        held: CutoverBegun | None = None
        try:
            if not self._is_fresh(copy) and not await self._pass(
                copy
            ):  # a long delta goes while nobody waits for the share
                return None
            held = await self._hold_share(copy)
            self._count(copy, await copy.run(held))
            qos = await self._set_limits(held, copy)
            await copy.before_fence(number, held)
            return await self._fenced(copy, request, number, held, qos)
        except (FailureError, GaveUp, asyncio.CancelledError) as error:
            switched = await self.see_through(self._give_share_back(copy, held))
            if switched is not None:
                return switched
            failure = failure_of(error)
            if self.cancel_requested:
                raise asyncio.CancelledError from error
            if is_cancelled_exception(error) or failure.type == "StaleClaim":
                raise
            self._postpone(failure)
            return None

    @staticmethod
    def _is_fresh(copy: CopyPasses) -> bool:
        """Whether the last pass has left little for one that is made while others wait for the share."""
        return copy.is_brief and copy.fresh is not None and workflow.now() - copy.fresh <= FRESH

    async def _fenced(
        self,
        copy: CopyPasses,
        request: MigrationOptions,
        number: int,
        held: CutoverBegun,
        qos: dict[str, QosAnswer],
    ) -> Begun:
        """Writers are stopped from here until the destination takes them, or the source takes them again."""
        self._fenced_at = workflow.now()
        stop = copy.fence(held, ignore_open_files=copy.memory.ignore_open_files)
        source = copy.source
        await self.backend(
            names.BACKEND_FENCE, stop, title=f"stop writers on {source.backend}/{source.pool}", hurry=True
        )
        # Window: the source is read-only and nothing serves writers; whatever fails now lets them in again.
        moved = await copy.last(number)
        await copy.verify(number, request.verify.value)
        self.check_cancelled()
        copy.remember(bytes_moved=copy.memory.bytes_moved + moved)
        self.no_return()
        try:
            return await self._switch(copy, qos)
        except FailureError:
            self.return_again()
            raise

    async def _switch(self, copy: CopyPasses, qos: dict[str, QosAnswer]) -> Begun:
        self.log.start("switch")
        step = SwitchInput(operation=self.id, export_paths=copy.memory.export_paths, memory=copy.memory, qos=qos)
        switched = await self.inventory(names.SWITCH_SHARE, step, Begun)
        self.log.done()
        return switched

    async def _hold_share(self, copy: CopyPasses) -> CutoverBegun:
        """The share with all its snapshots, as soon as whoever has it now is done."""
        self.log.start("claim the share")
        self.nudge_again()
        while True:
            try:
                begun = await self.inventory(names.BEGIN_CUTOVER, CommandStep(operation=self.id), CutoverBegun)
            except FailureError:
                # Window: it stands in line. Others would wait for a migration that does not take the share.
                await self.see_through(self._end_cutover(copy, "leave the line for the share"))
                raise
            if begun.status is not BeginStatus.WAITING:
                self.log.done()
                return begun
            await self.nudge(begun.nudge)
            await self.stand_in_line(begun.waiting_for)

    async def _set_limits(self, held: CutoverBegun, copy: CopyPasses) -> dict[str, QosAnswer]:
        """What the share's class comes to at its present size; what became of each limit."""
        change, place = held.qos, copy.destination
        if change is None or not change.apply:
            return {}
        call = copy.call(f"qos-{copy.memory.cutovers}", place, limits=change.limits, required=change.required)
        made = await self.backend(names.BACKEND_SET_QOS, call, title=f"set limits on {place.backend}/{place.pool}")
        return made.qos

    async def _give_share_back(self, copy: CopyPasses, held: CutoverBegun | None) -> Begun | None:
        """Writers come in again where they were, and others may have the share; unless it is switched after all."""
        if held is None:
            return None
        cutover = copy.memory.fenced
        if cutover:
            # Window: an attempt to switch may have succeeded, and its answer was lost. Then there is only forward.
            if not await copy.take_back(held):
                self.no_return()
                return await self._switch(copy, {})  # it answers what it did
            await self.run_undo(copy.readmit(held))
            copy.unfenced()
        await self._end_cutover(copy, "give the share back")
        for undo in copy.ends_of_cutover(cutover) if cutover else []:
            await self.run_undo(undo)
        return None

    def _postpone(self, failure: Failure) -> None:
        self._back_off = min(max(self._back_off * 2, self.limits.retry * 6), MOST_BACK_OFF)
        self._not_before = workflow.now() + timedelta(seconds=self._back_off)
        commanded = self._copy is not None and self._copy.memory.cutover
        what = "send cutover again" if commanded else f"it is tried again after {self._not_before:%H:%M:%S} UTC"
        self._remember(cutover=False)
        self.log.note = f"the cutover failed, writers go on where they were: {failure.message} {failure.hint}; {what}"

    # -- past the switch ---------------------------------------------------------------------------------------------

    async def _admit(self, copy: CopyPasses) -> None:
        place = copy.destination
        call = copy.call("admit", place, epoch=copy.memory.epochs[self._share_id], mode="rw")
        await self.backend(
            names.BACKEND_SET_ACCESS_MODE, call, title=f"let writers in on {place.backend}/{place.pool}", forward=True
        )

    @property
    def _share_id(self) -> str:
        assert self.begun is not None  # noqa: S101  (nothing is admitted before the begin)
        return self.begun.share_id

    async def _finish(self, begun: Begun, copy: CopyPasses, request: MigrationOptions) -> dict[str, Any]:
        """The destination serves; the old copy goes when its grace ends."""
        self.no_return()
        copy.fences = begun.fences
        if begun.migration is not None:
            copy.remember(sync_points=begun.migration.memory.sync_points)
        if self.log.migration is not None:
            self.log.migration.is_over = True
        self._enter(SWITCHED)
        if begun.phase == SWITCHED:
            await copy.stop_late_copies()
            await self._admit(copy)
            if self._fenced_at is not None:
                copy.remember(stopped_seconds=(workflow.now() - self._fenced_at).total_seconds())
                if self.log.migration is not None:
                    self.log.migration.stopped_seconds = copy.memory.stopped_seconds
            await self._end_cutover(copy, "give the share to others")
        await self._wait_grace(copy, request)
        await self._delete_source(begun, copy)
        return await self.commit(export_paths=copy.memory.export_paths, outcome="migrated")

    async def _end_cutover(self, copy: CopyPasses, title: str) -> None:
        self.log.start(title)
        step = EndCutoverInput(operation=self.id, memory=copy.memory)
        ended = await self.inventory(names.END_CUTOVER, step, CutoverEnded)
        self.log.done()
        await self.wake(ended.wake)

    async def _wait_grace(self, copy: CopyPasses, request: MigrationOptions) -> None:
        source = copy.source
        if not (copy.is_brief and not request.grace):
            self._enter(GRACE, names.END_GRACE)
        if not request.grace or self._end_grace:
            return
        if self.log.migration is not None:
            self.log.migration.kept_until = workflow.now() + timedelta(seconds=request.grace)
        self.log.start(f"keep the old copy on {source.backend}/{source.pool}")
        await self.pause_until(lambda: self._end_grace, float(request.grace), "the end of the grace period")
        if self.log.migration is not None:
            self.log.migration.kept_until = None
        self.log.done()

    async def _delete_source(self, begun: Begun, copy: CopyPasses) -> None:
        self._enter(SWITCHED)
        if not copy.is_brief:
            for undo in copy.ends_of_cutover(copy.memory.fenced):
                await self.run_undo(undo)
        await copy.drop_sync_points(copy.memory.sync_points, forward=True)
        source, epochs = copy.source, copy.memory.epochs
        for number, item in enumerate(begun.items, start=1):
            call = copy.call(f"purge-{item.id}", item, epoch=epochs.get(item.id, 1))
            title = f"delete old snapshot {number} of {len(begun.items)}"
            await self.backend(names.BACKEND_DELETE_SNAPSHOT, call, title=title, forward=True)
        call = copy.call("purge", source, epoch=epochs[self._share_id])
        await self.backend(
            names.BACKEND_DELETE_SHARE, call, title=f"delete the old copy on {source.backend}/{source.pool}",
            forward=True,
        )  # fmt: skip
