"""MigrateReplica: claim and place -> fill another replica -> hold the old one -> (no return) switch -> delete that.

The old one is kept in step until the new one has everything. The share is writable all the time, nothing is fenced.
"""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError
from temporalio import workflow
from temporalio.exceptions import FailureError

with workflow.unsafe.imports_passed_through():
    from shareflow import names
    from shareflow.contracts.operations import CommandInput
    from shareflow.contracts.places import BeginStatus
    from shareflow.contracts.replica_steps import RoundBegun, SwitchReplicaInput
    from shareflow.contracts.replication import MigrateReplicaInput, MigrateReplicaResult
    from shareflow.contracts.steps import Begun, CommandStep, Failure
    from workflows.conduct import as_error
    from workflows.create_replica import start_sync
    from workflows.migration_commands import CUTTING_OVER, FIRST_COPY, PAUSED, SWITCHED, MigrationCommands, refused
    from workflows.replica_passes import ReplicaPasses


@workflow.defn(name=names.MIGRATE_REPLICA, failure_exception_types=[ValidationError])
class MigrateReplica(MigrationCommands):
    """Move a replica to another pool; it is kept in step where it was until it is there."""

    kind = names.MIGRATE_REPLICA

    @workflow.signal(name=names.GIVE_WAY, description="Sent by operations to each other: the share is to go.")
    def give_way(self, _command: CommandInput | None = None) -> None:
        """Give the move up: the share is to be deleted."""
        self.give_up()

    @workflow.run
    async def run(self, request: MigrateReplicaInput) -> MigrateReplicaResult:
        """Fill, switch, delete."""
        try:
            return MigrateReplicaResult.model_validate(await self.conduct(request, self._recipe(request)))
        finally:
            await workflow.wait_condition(workflow.all_handlers_finished)

    async def _recipe(self, request: MigrateReplicaInput) -> dict[str, Any]:
        begun = await self.begin(request)
        if begun.status is BeginStatus.ENDED:
            return await self.ended_before(begun)
        terms, source = begun.replica, begun.instance
        assert terms is not None and source is not None  # noqa: S101, PT018  (begin always finds them)
        passes = ReplicaPasses(self, source, begun.fences, begun.share_id, terms, owns=True)
        self._copy = passes
        if not begun.phase:
            passes.remember(**self._early)
            begun = await self._fill(begun, passes)
        return await self._finish(begun, request, passes)

    def _require(self, name: str, *phases: str) -> None:
        if name in (names.CUTOVER, names.END_GRACE):
            raise refused(name, "a replica is switched by itself, as soon as it has everything")
        super()._require(name, *phases)

    def _enter(self, phase: str, *commands: str) -> None:
        self._phase = phase
        self.log.enter(phase, list(commands))

    async def _fill(self, begun: Begun, passes: ReplicaPasses) -> Begun:
        await passes.follow()
        self.resume(begun)
        await passes.make()
        moved = await self._bring_over(passes)
        await passes.admit()
        await passes.end(passes.outcome(synced_at=passes.as_of, moved=moved))
        self._enter(CUTTING_OVER, names.CANCEL_MIGRATION)
        await self._hold_old()
        self.check_cancelled()
        self.no_return()
        try:
            return await self._switch(passes)
        except FailureError:
            self.return_again()
            raise

    async def _bring_over(self, passes: ReplicaPasses) -> int:
        """Everything that the share has, as often as a pause stops it; one that came too late for that is kept to."""
        moved: int | None = None
        while moved is None or passes.memory.paused:
            if passes.memory.paused:
                self._enter(PAUSED, names.RESUME, names.SET_BANDWIDTH, names.CANCEL_MIGRATION)
                await self.pause_until(lambda: not passes.memory.paused)
                continue
            self._enter(FIRST_COPY, names.PAUSE, names.SET_BANDWIDTH, names.CANCEL_MIGRATION)
            moved = await self.interruptible(passes.round())
        return moved

    async def _hold_old(self) -> None:
        """The replica that goes, as soon as whoever has it now is done."""
        self.log.start("claim the old replica")
        while True:
            held = await self.inventory(names.BEGIN_ROUND, CommandStep(operation=self.id), RoundBegun)
            if held.status is BeginStatus.STARTED:
                self.log.done()
                return
            if held.status is BeginStatus.ENDED:
                reason = "the replica is none any more: it was promoted or deleted meanwhile"
                raise as_error(Failure(type="InvalidState", message=reason, field="replica", hint="look at the share"))
            await self.nudge(held.nudge)
            await self.stand_in_line(held.waiting_for)

    async def _switch(self, passes: ReplicaPasses) -> Begun:
        self.log.start("switch")
        step = SwitchReplicaInput(operation=self.id, memory=passes.memory)
        switched = await self.inventory(names.SWITCH_REPLICA, step, Begun)
        self.log.done()
        return switched

    async def _finish(self, begun: Begun, request: MigrateReplicaInput, passes: ReplicaPasses) -> dict[str, Any]:
        """The new one is kept in step; the old one goes."""
        self.no_return()
        self._enter(SWITCHED)
        place = passes.destination
        await start_sync(request.project, begun.share_id, place.id, begun.sync_operation)
        await self.wake(begun.waiting_for)
        (leaving,) = begun.replicas
        old = ReplicaPasses(self, passes.source, begun.fences, begun.share_id, leaving.terms)
        left = await old.leave(leaving.copies)
        result = await self.commit(moved=passes.memory.bytes_moved, unreached=left)
        await self.wake([leaving.terms.sync_operation])
        return result
