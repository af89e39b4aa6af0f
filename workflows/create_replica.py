"""CreateReplica: claim and place -> make the replica -> bring everything there -> commit -> start its sync."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError
from temporalio import workflow
from temporalio.common import Priority, SearchAttributePair, TypedSearchAttributes
from temporalio.exceptions import WorkflowAlreadyStartedError

with workflow.unsafe.imports_passed_through():
    from shareflow import names
    from shareflow.contracts.operations import CommandInput
    from shareflow.contracts.places import BeginStatus
    from shareflow.contracts.replication import CreateReplicaInput, ReplicaResult, ReplicaState, SyncReplicaInput
    from shareflow.contracts.steps import Begun
    from workflows.conduct import Operation, finish
    from workflows.replica_passes import ReplicaPasses


async def start_sync(
    project: str, share: str, replica: str, operation: str, state: ReplicaState = ReplicaState.IN_SYNC
) -> None:
    """Start the sync of a replica. One that runs is left alone; the reconciler makes up for a start that is lost.

    It is listed with the state that the replica has now until its first round has ended, which may take long.
    """
    started = workflow.start_child_workflow(
        names.SYNC_REPLICA,
        SyncReplicaInput(project=project, share=share, replica=replica),
        id=operation,
        # As long-lived as its replica: it is nobody's evacuation, whoever has made that.
        task_queue=names.QUEUE,
        priority=Priority(priority_key=names.USUAL_PRIORITY),
        parent_close_policy=workflow.ParentClosePolicy.ABANDON,
        cancellation_type=workflow.ChildWorkflowCancellationType.ABANDON,
        static_summary="keep a replica in step",
        search_attributes=TypedSearchAttributes([SearchAttributePair(names.PHASE, state.value)]),
    )
    try:
        _ = await finish(started)
    except WorkflowAlreadyStartedError:
        workflow.logger.info("the sync of replica %s runs already", replica)


@workflow.defn(name=names.CREATE_REPLICA, failure_exception_types=[ValidationError])
class CreateReplica(Operation):
    """Make a replica of a share; the share is writable all the time."""

    kind = names.CREATE_REPLICA

    @workflow.signal(name=names.GIVE_WAY, description="Sent by operations to each other: the share is to go.")
    def give_way(self, _command: CommandInput | None = None) -> None:
        """Give the replica up: its share is to be deleted."""
        self.give_up()

    @workflow.run
    async def run(self, request: CreateReplicaInput) -> ReplicaResult:
        """Place, make, copy, commit."""
        return ReplicaResult.model_validate(await self.conduct(request, self._recipe(request)))

    async def _recipe(self, request: CreateReplicaInput) -> dict[str, Any]:
        begun = await self.begin(request)
        if begun.status is BeginStatus.ENDED:
            return await self.ended_before(begun)
        result = await self._seed(begun)
        placed = self.begun or begun  # by then it may be in the next-best pool
        await start_sync(request.project, begun.share_id, result["replica_id"], placed.sync_operation)
        return result

    async def _seed(self, begun: Begun) -> dict[str, Any]:
        terms, source = begun.replica, begun.instance
        assert terms is not None and source is not None  # noqa: S101, PT018  (begin always finds them)
        passes = ReplicaPasses(self, source, begun.fences, begun.share_id, terms, owns=True)
        await passes.follow()
        self.resume(begun)
        await passes.make()
        moved = await passes.round()
        await passes.admit()
        await passes.end(passes.outcome(synced_at=passes.as_of, moved=moved))
        return await self.commit(export_paths=passes.memory.export_paths)
