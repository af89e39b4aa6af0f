"""ResyncReplica: hold the replica -> one round, or everything anew -> commit."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError
from temporalio import workflow
from temporalio.exceptions import FailureError

with workflow.unsafe.imports_passed_through():
    from shareflow import names
    from shareflow.contracts.places import BeginStatus
    from shareflow.contracts.replication import ReplicaResult, ResyncReplicaInput
    from workflows.conduct import GaveUp, Operation, failure_of
    from workflows.replica_passes import ReplicaPasses


@workflow.defn(name=names.RESYNC_REPLICA, failure_exception_types=[ValidationError])
class ResyncReplica(Operation):
    """Bring a replica up to date now; a stale copy is a replica again."""

    kind = names.RESYNC_REPLICA

    @workflow.run
    async def run(self, request: ResyncReplicaInput) -> ReplicaResult:
        """Hold, copy, commit."""
        return ReplicaResult.model_validate(await self.conduct(request, self._recipe(request)))

    async def _recipe(self, request: ResyncReplicaInput) -> dict[str, Any]:
        begun = await self.begin(request)
        if begun.status is BeginStatus.ENDED:
            return await self.ended_before(begun)
        terms, source = begun.replica, begun.instance
        assert terms is not None and source is not None  # noqa: S101, PT018  (begin always finds them)
        full = request.full or bool(terms.stale)
        passes = ReplicaPasses(self, source, begun.fences, begun.share_id, terms, full=full)
        at_once = workflow.patched("resyncs-look-once")
        if at_once:
            passes.register()
        else:
            await passes.follow()
        self.resume(begun)
        try:
            if terms.stale == "unfenced":
                await passes.fence_stale("fence")
            moved = await passes.round()
        except (FailureError, GaveUp) as error:
            await self.see_through(passes.end(passes.outcome(error=failure_of(error).message)))
            raise
        outcome = passes.outcome(synced_at=passes.as_of, moved=moved)
        if at_once:
            return await self.commit(round=outcome)
        await passes.end(outcome)
        return await self.commit()
