"""EvacuatePool, EvacuateBackend: mark the pools -> a migration per share, some at a time -> report what is left.

Every share's migration is a workflow of its own, ``<evacuation>/<share id>``, in the share's own project; see
:mod:`workflows.fan_out`.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from pydantic import ValidationError
from temporalio import workflow
from temporalio.common import Priority

with workflow.unsafe.imports_passed_through():
    from shareflow import names
    from shareflow.contracts.evacuation import EvacuateBackendInput, EvacuatePoolInput, EvacuationResult
    from shareflow.contracts.evacuation_steps import (
        ChildView,
        EvacuationFollowed,
        FollowEvacuationInput,
        LeavingShare,
    )
    from shareflow.contracts.leaving import migration_of, move_of, part_of
    from shareflow.contracts.migration import MigrateShareResult, SetBandwidthInput
    from shareflow.contracts.operations import CommandInput
    from shareflow.contracts.replication import MigrateReplicaResult
    from shareflow.contracts.steps import Begun, Failure
    from workflows.evacuation_commands import EvacuationCommands, Moving
    from workflows.evacuation_log import EvacuationLog
    from workflows.fan_out import ENDING, PAUSED

EVACUATING = "evacuating"
UNKNOWN = -1
"""As a limit: nobody knows what the migration was told."""
EvacuationInput = EvacuatePoolInput | EvacuateBackendInput
Moved = MigrateShareResult | MigrateReplicaResult


class Evacuate(EvacuationCommands):
    """What evacuations of pools and of backends share."""

    _shown: EvacuationLog

    async def evacuate(self, request: EvacuationInput) -> EvacuationResult:
        """Empty the pools."""
        return EvacuationResult.model_validate(await self.fan_out(request, request.concurrency))

    def _prepare(self, begun: Begun) -> None:
        """What an earlier run was told counts."""
        evacuation = begun.evacuation
        assert evacuation is not None  # noqa: S101  (begin always gives it)
        self._shown = self.log.evacuation = EvacuationLog(evacuation.source, self.id)
        self._memory = evacuation.memory.model_copy(update=self._early)
        self._has_begun = True
        self.log.start(f"move all shares off {evacuation.source}")

    async def _follow(self, **look: Any) -> EvacuationFollowed:
        step = FollowEvacuationInput(operation=self.id, memory=self._memory, **look)
        found = await self.inventory(names.FOLLOW_EVACUATION, step, EvacuationFollowed)
        self._shown.left, self._shown.waiting = found.left, found.waiting
        return found

    def _show(self) -> None:
        self._shown.bandwidth = self._memory.bandwidth
        told = (names.SET_BANDWIDTH,)
        if self.cancel_requested:
            self.log.enter(ENDING, [])
        elif self._memory.paused:
            self.log.enter(PAUSED, [names.RESUME, *told])
        else:
            self.log.enter(EVACUATING, [names.PAUSE, names.CUTOVER, *told])

    # -- the migrations ----------------------------------------------------------------------------------------------

    def _child(self, request: EvacuationInput, share: LeavingShare) -> Moving:
        return Moving(share, limit=part_of(self._memory.bandwidth, request.concurrency))

    def _adopted(self, share: LeavingShare, *, unsure: bool) -> Moving:
        paused = self._memory.paused
        return Moving(share, limit=UNKNOWN if unsure else None, paused=paused is not unsure)

    def _starting(
        self, request: EvacuationInput, child: Moving
    ) -> Coroutine[Any, Any, workflow.ChildWorkflowHandle[Any, Any]]:
        share = child.share
        what = "a replica of share" if share.share else "share"
        return workflow.start_child_workflow(
            names.MIGRATE_REPLICA if share.share else names.MIGRATE_SHARE,
            move_of(request, share, child.limit) if share.share else migration_of(request, share, child.limit),
            id=self._id_of(share),
            task_queue=names.EVACUATIONS_QUEUE,
            priority=Priority(priority_key=names.EVACUATIONS_PRIORITY),
            result_type=MigrateReplicaResult if share.share else MigrateShareResult,
            parent_close_policy=workflow.ParentClosePolicy.ABANDON,
            cancellation_type=workflow.ChildWorkflowCancellationType.ABANDON,
            static_summary=f"evacuate {what} {share.name} of project {share.project}",
        )

    def _outcome(self, result: MigrateShareResult | MigrateReplicaResult) -> dict[str, Any]:
        return {"moved": result.outcome == "migrated", "bytes_moved": result.bytes_moved}

    def _outcome_of(self, child: ChildView) -> dict[str, Any]:
        return {"moved": child.moved, "bytes_moved": child.bytes_moved}

    async def _give_up(self, child: Moving) -> bool:
        return await self._tell(child, names.CANCEL_MIGRATION, CommandInput())

    async def _steer(self) -> None:
        limit = part_of(self._memory.bandwidth, len(self._children))
        paused = self._memory.paused
        late = [one for one in self._children.values() if one.paused != paused or one.limit != limit]
        if late:
            await self._follow()  # what is passed on is on record first
        for moving in late:
            if moving.limit != limit:
                moving.limit = limit
                await self._tell(moving, names.SET_BANDWIDTH, SetBandwidthInput(bandwidth=limit))
            if moving.paused != paused:
                moving.paused = paused
                await self._tell(moving, names.PAUSE if paused else names.RESUME, CommandInput())
        if self._cutover is not None:
            await self._cut_over()

    async def _cut_over(self) -> None:
        command, self._cutover = self._cutover, None
        ready = [
            child.share.id for child in (await self._follow(watched=list(self._children))).children if child.copied
        ]
        for share in ready:
            if share in self._children:
                await self._tell(self._children[share], names.CUTOVER, command)
        self.log.note = (
            f"cutover sent to {len(ready)} of {len(self._children)} migrations, those whose first copy is there"
        )

    # -- cancel ------------------------------------------------------------------------------------------------------

    def _cancelled(self, begun: Begun, request: EvacuationInput) -> Failure:
        evacuation = begun.evacuation
        marked = evacuation.marked if evacuation is not None else []
        if marked and request.undrain_on_cancel:
            pools = "the pools take new shares again"
        elif evacuation is not None and evacuation.drained:
            pools = "the pools stay drained"
        else:
            pools = "the pools were not drained by it"
        told = f"cancelled on request: {self._shown.summary()}; {pools}"
        self.log.note = told
        return Failure(type="OperationCancelled", message=told, hint="shares that were moved stay where they are")


@workflow.defn(name=names.EVACUATE_POOL, failure_exception_types=[ValidationError])
class EvacuatePool(Evacuate):
    """Move all shares out of a pool."""

    kind = names.EVACUATE_POOL

    @workflow.run
    async def run(self, request: EvacuatePoolInput) -> EvacuationResult:
        """Mark the pool, move its shares, report."""
        return await self.evacuate(request)


@workflow.defn(name=names.EVACUATE_BACKEND, failure_exception_types=[ValidationError])
class EvacuateBackend(Evacuate):
    """Move all shares off a backend."""

    kind = names.EVACUATE_BACKEND

    @workflow.run
    async def run(self, request: EvacuateBackendInput) -> EvacuationResult:
        """Mark the backend's pools, move their shares, report."""
        return await self.evacuate(request)
