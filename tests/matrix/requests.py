"""Faults of requests and messages: late attempts, the same request often, conflicting ones, commands out of order."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from sqlalchemy import select
from temporalio.client import RPCError, WorkflowUpdateFailedError
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.exceptions import ApplicationError

from activities.inventory_steps import InventorySteps
from activities.migration_steps import MigrationSteps
from activities.recipes.migrate_replica import MigrateReplica
from activities.recipes.promote import PromoteReplica
from activities.replica_steps import ReplicaSteps
from inventory import operations, tables
from inventory.database import now
from shareflow import faults, names
from shareflow.contracts.evacuation_steps import EvacuationMemory, FollowEvacuationInput
from shareflow.contracts.failover_steps import FollowFailoverInput
from shareflow.contracts.fan_out import FanOutMemory
from shareflow.contracts.migration_steps import EndCutoverInput, FollowInput, MigrationMemory, SwitchInput
from shareflow.contracts.operations import OperationState
from shareflow.contracts.replica_steps import EndRoundInput, FollowReplicaInput, SwitchReplicaInput
from shareflow.contracts.steps import (
    AbortInput,
    BeginInput,
    CommandStep,
    CommitInput,
    Failure,
    MarkInput,
    PlaceAgainInput,
)
from tests.matrix import effects
from tests.matrix.cells import Cell
from tests.matrix.conflicts import CONFLICTS, DONE
from tests.matrix.injections import Injection
from tests.matrix.situations import Handle, command
from tests.matrix.stage import Stage, soon
from tests.support.world import Refused

HELD = 240.0
ENDED = ("succeeded", "failed-clean")


class LateAttempt(Injection):
    """An attempt of an inventory step that began long ago runs only after the operation has ended."""

    async def afterwards(self) -> list[str]:
        """See base class."""
        await self.stage.replicas_rest()
        before = await asyncio.to_thread(self.stage.picture)
        attempt = self._attempt(self.stage.steps)
        try:
            await asyncio.to_thread(attempt)
        except ApplicationError as error:
            if error.type not in ("StaleClaim", "CommandRefused"):
                return [f"a late attempt was answered with {error.type}: {error}"]
        self.fired = True
        after = await asyncio.to_thread(self.stage.picture)
        return [] if before == after else [f"a late attempt changed {before} into {after}"]

    def _attempt(self, steps: InventorySteps) -> Callable[[], object]:
        operation = self.stage.operation
        with self.stage.world.database.write() as connection:  # it locks the row
            row = operations.get(connection, operation)
        step = self.cell.step.rpartition(".")[2]
        later = CommandStep(operation=operation, purge_at=now() + timedelta(hours=1))
        place = (row.begun or {}).get("instance") or {"id": "", "pool_id": ""}
        late = Failure(type="OperationFailed", message="late")
        again = PlaceAgainInput(operation=operation, instance=place["id"], pool_id=place["pool_id"], reason="late")
        memory = MigrationMemory()
        migration = MigrationSteps(self.stage.world.process.services)
        promote = steps.recipe(names.PROMOTE_REPLICA)
        assert isinstance(promote, PromoteReplica)
        migrate = steps.recipe(names.MIGRATE_REPLICA)
        assert isinstance(migrate, MigrateReplica)
        replication = ReplicaSteps(self.stage.world.process.services, promote, migrate)
        replica = ((row.begun or {}).get("replica") or place)["replica" if (row.begun or {}).get("replica") else "id"]
        switch = SwitchInput(operation=operation, export_paths=["late"], memory=memory)
        attempts: dict[str, Callable[[], object]] = {
            names.BEGIN: lambda: steps.begin(BeginInput(operation=operation, kind=row.kind, request=row.request)),
            names.PLACE_AGAIN: lambda: steps.place_again(again),
            names.COMMIT: lambda: steps.commit(CommitInput(operation=operation, outcome="purged")),
            names.BEGIN_UNDO: lambda: steps.begin_undo(later),
            names.ABORT: lambda: steps.abort(AbortInput(operation=operation, failure=late)),
            names.MARK: lambda: steps.mark(
                MarkInput(operation=operation, state=OperationState.NEEDS_OPERATOR, left="late")
            ),
            names.SOFT_DELETED: lambda: steps.soft_deleted(later),
            names.RESTORE_ROWS: lambda: steps.restore_rows(later),
            names.BEGIN_PURGE: lambda: steps.begin_purge(later),
            names.RETENTION: lambda: steps.retention(later),
            names.FOLLOW_SHARE: lambda: migration.follow(FollowInput(operation=operation, memory=memory)),
            names.BEGIN_CUTOVER: lambda: migration.begin_cutover(later),
            names.SWITCH_SHARE: lambda: migration.switch(switch),
            names.FOLLOW_EVACUATION: lambda: migration.follow_evacuation(
                FollowEvacuationInput(operation=operation, memory=EvacuationMemory(), limit=1)
            ),
            names.FOLLOW_FAILOVER: lambda: replication.follow_failover(
                FollowFailoverInput(operation=operation, memory=FanOutMemory(), limit=1)
            ),
            names.BEGIN_ROUND: lambda: replication.begin_round(later),
            names.FOLLOW_REPLICA: lambda: replication.follow(
                FollowReplicaInput(operation=operation, replica=replica, memory=memory)
            ),
            names.END_ROUND: lambda: replication.end_round(
                EndRoundInput(operation=operation, replica=replica, memory=memory, synced_at=now(), error="late")
            ),
            names.SWITCH_REPLICA: lambda: replication.switch(SwitchReplicaInput(operation=operation, memory=memory)),
            names.END_CUTOVER: lambda: migration.end_cutover(EndCutoverInput(operation=operation, memory=memory)),
        }
        return attempts[step]


class TenTimes(Injection):
    """Ten clients send the same request at once."""

    async def start(self) -> Handle:
        """See base class."""
        stage, scenario = self.stage, self.scenario

        async def send() -> Handle:
            return await stage.world.skipper.client.start_workflow(
                scenario.kind,
                scenario.request(stage),
                id=stage.operation,
                task_queue=names.QUEUE,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            )

        handles = await asyncio.gather(*(send() for _ in range(10)))
        self._all = handles
        return handles[0]

    async def afterwards(self) -> list[str]:
        """See base class."""
        answers = await asyncio.gather(*(self._answer(handle) for handle in self._all))
        self.fired = True
        different = [answer for answer in answers if answer != answers[0]]
        return [f"ten requests were answered differently: {answers[0]} and {different[0]}"] if different else []

    async def _answer(self, handle: Handle) -> object:
        try:
            return await self.stage.world.result(handle)
        except Refused as refused:
            return str(refused)


class Messages(Injection):
    """Signals that mean nothing now, commands before their time, twice, and after the end."""

    async def start(self) -> Handle:
        """With commands that arrive before the operation has done anything."""
        handle = await super().start()
        await self._signals(handle, 2)
        return handle

    async def meanwhile(self, handle: Handle) -> None:
        """See base class."""
        if self.scenario.kind == names.DELETE_SHARE:
            early = names.EXTEND_RETENTION
            await self._quietly(handle.signal(early, {"extend_by": "1 h"}))
            await self._quietly(handle.signal(early, {"extend_by": "1 h"}))
            await soon(self._in_bin, "the recycle bin")
            # Two of each at once: the scenario's own command is under way too, and exactly one of all may win.
            decisive = names.RESTORE if self.scenario.effect is effects.nothing else names.PURGE_NOW
            storm = [handle.execute_update(decisive, {}) for _ in range(2)]
            await asyncio.gather(*(self._quietly(each) for each in storm), self._quietly(handle.signal(decisive, {})))
        if self.scenario.kind == names.MIGRATE_SHARE:
            await self._storm(handle)
        await self._signals(handle, 1)
        self.fired = True

    async def _storm(self, handle: Handle) -> None:
        """Every command of a migration but the decisive ones, twice at once, before its time and after it."""
        for name, body in (
            (names.RESUME, {}),
            (names.PAUSE, {}),
            (names.SET_BANDWIDTH, {"bandwidth": "1 GiB/s"}),
            (names.END_GRACE, {}),
            (names.RESUME, {}),
            (names.CUTOVER, {}),
            (names.PAUSE, {}),
            (names.RESUME, {}),
        ):
            twice = [handle.execute_update(name, body) for _ in range(2)]
            await asyncio.gather(*(self._quietly(each) for each in twice), self._quietly(handle.signal(name, body)))
        await soon(lambda: self.stage.phase() != "" or self.stage.state() in ENDED, "the switch")
        for name in (names.CANCEL_MIGRATION, names.CUTOVER, names.PAUSE):
            await asyncio.gather(self._quietly(handle.execute_update(name, {})), self._quietly(handle.signal(name, {})))

    async def afterwards(self) -> list[str]:
        """Commands to an operation that is over are told so."""
        handle = self.stage.world.client.get_workflow_handle(self.stage.operation)
        try:
            await handle.execute_update(names.RETRY_NOW, {})
        except RPCError:
            return []
        return ["a command to an operation that is over was taken"]

    def _in_bin(self) -> bool:
        return self.stage.phase() != "" or self.stage.state() in ENDED

    async def _signals(self, handle: Handle, times: int) -> None:
        for _ in range(times):
            await self._quietly(handle.signal(names.CLAIM_GRANTED))
            await self._quietly(handle.signal(names.RETRY_NOW, {}))

    @staticmethod
    async def _quietly(sent: Any) -> None:
        try:
            await sent
        except (RPCError, WorkflowUpdateFailedError):
            return  # refused, or the operation was over


class Conflicting(Injection):
    """Another request for the same resources comes while the operation is held in the middle of its backend step."""

    def __init__(self, stage: Stage, cell: Cell) -> None:
        super().__init__(stage, cell)
        self.conflict = CONFLICTS[cell.scenario][cell.point]
        self.reached, self.release = threading.Event(), threading.Event()
        self.other = ""

    def arm(self) -> None:
        """See base class."""

        def hold() -> None:
            self.reached.set()
            self.release.wait(HELD)

        def arm() -> None:
            for point in faults.declared():
                if point.startswith(("backend", "mover")) and point.endswith("before_call"):
                    faults.arm(point, hold, operation=self.stage.operation)

        self.behind(arm)

    async def meanwhile(self, handle: Handle) -> None:
        """See base class."""
        stage, conflict = self.stage, self.conflict
        await soon(self.reached.is_set, "the backend step")
        self.other = stage.new_operation()
        try:
            other = await stage.world.start(conflict.kind, stage.input(**conflict.fields), operation=self.other)
            await soon(self._stands, "the other request")
        finally:
            self.release.set()
        await self._finish(other)
        self.fired = True

    def _stands(self) -> bool:
        """Whether the other operation stands in line, holds something, or is over."""
        rows = tables.operations
        with self.stage.world.database.read() as connection:
            row = connection.execute(select(rows).where(rows.c.id == self.other)).first()
        return row is not None and bool(row.ended_at or row.begun or row.waiting_for)

    async def _finish(self, other: Handle) -> None:
        ending = DONE
        purge = None
        if self.conflict.purge:
            twin = Stage(self.stage.world)
            twin.operation = self.other
            purge = asyncio.create_task(command(twin, other, names.PURGE_NOW, {}))
        try:
            await self.stage.world.result(other)
        except Refused as refused:
            ending = refused.code
        finally:
            if purge is not None:
                purge.cancel()
        if ending not in self.conflict.endings:
            raise AssertionError(f"the conflicting {self.conflict.kind} ended {ending}, not {self.conflict.endings}")
