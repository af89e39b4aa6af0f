"""DeleteReplica: hold the replica -> (no return) delete it with its copies of snapshots, or leave them -> commit."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError
from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from shareflow import names
    from shareflow.contracts.places import BeginStatus
    from shareflow.contracts.replication import DeleteReplicaInput, ReplicaResult
    from workflows.conduct import Operation
    from workflows.replica_passes import ReplicaPasses


@workflow.defn(name=names.DELETE_REPLICA, failure_exception_types=[ValidationError])
class DeleteReplica(Operation):
    """Delete one replica for good."""

    kind = names.DELETE_REPLICA

    @workflow.run
    async def run(self, request: DeleteReplicaInput) -> ReplicaResult:
        """Hold, delete, commit."""
        return ReplicaResult.model_validate(await self.conduct(request, self._recipe(request)))

    async def _recipe(self, request: DeleteReplicaInput) -> dict[str, Any]:
        begun = await self.begin(request)
        if begun.status is BeginStatus.ENDED:
            return await self.ended_before(begun)
        terms, source = begun.replica, begun.instance
        assert terms is not None and source is not None  # noqa: S101, PT018  (begin always finds them)
        self.resume(begun)
        self.check_cancelled()
        self.no_return()
        left = await ReplicaPasses(self, source, begun.fences, begun.share_id, terms).leave(begun.items)
        result = await self.commit(unreached=left)
        await self.wake([terms.sync_operation])
        return result
