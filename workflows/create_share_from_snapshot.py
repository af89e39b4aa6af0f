"""CreateShareFromSnapshot: claim and place -> clone in the same pool, or create and copy anywhere else -> commit."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError
from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from shareflow import names
    from shareflow.contracts.operations import CreateShareFromSnapshotInput, ShareResult
    from shareflow.contracts.places import BeginStatus, ObjectPlace
    from shareflow.contracts.steps import BackendAnswer, Begun
    from workflows.conduct import epoch_of
    from workflows.create_share import Placed, limits


@workflow.defn(name=names.CREATE_SHARE_FROM_SNAPSHOT, failure_exception_types=[ValidationError])
class CreateShareFromSnapshot(Placed):
    """Make a share with a snapshot's content, in any pool, of any type; it may grow."""

    kind = names.CREATE_SHARE_FROM_SNAPSHOT

    @workflow.run
    async def run(self, request: CreateShareFromSnapshotInput) -> ShareResult:
        """Place, clone or copy, commit."""
        return ShareResult.model_validate(await self.conduct(request, self._recipe(request)))

    async def _recipe(self, request: CreateShareFromSnapshotInput) -> dict[str, Any]:
        begun = await self.begin(request)
        if begun.status is BeginStatus.ENDED:
            return await self.ended_before(begun)
        made = await self.make(begun)
        return await self.commit(export_paths=made.export_paths, qos=made.qos)

    async def fill(self, begun: Begun, instance: ObjectPlace) -> BackendAnswer:
        """Clone where the snapshot is; elsewhere make an empty share and copy the files into it, verified."""
        epoch = epoch_of(begun.fences, begun.share_id)
        fences = [*begun.fences, *begun.snapshot_fences]
        where = f"{instance.backend}/{instance.pool}"
        if begun.clone:
            call = self.call("clone", instance, fences, epoch=epoch, other=begun.source, **limits(begun))
            return await self.backend(names.BACKEND_CLONE_SNAPSHOT, call, title=f"clone in {where}")
        # Its limits come when it is full: until then nobody but the copy uses it.
        made = await super().fill(begun.model_copy(update={"qos": None}), instance)
        call = self.call("copy", instance, fences, epoch=epoch, other=begun.source)
        queue = names.mover_queue(instance.backend)
        self.undo(f"stop the copy to {where}", names.MOVER_FORGET, call, queue=queue)
        await self.backend(names.MOVER_COPY, call, title=f"copy to {where}", queue=queue)
        if asked := limits(begun):
            call = self.call("qos", instance, begun.fences, epoch=epoch, **asked)
            bounded = await self.backend(names.BACKEND_SET_QOS, call, title=f"set limits on {where}")
            made = made.model_copy(update={"qos": bounded.qos})
        return made
