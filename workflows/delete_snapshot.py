"""DeleteSnapshot: claim -> (no return) delete on the backend -> commit."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError
from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from shareflow import names
    from shareflow.contracts.operations import DeleteSnapshotInput, SnapshotResult
    from shareflow.contracts.places import BeginStatus
    from shareflow.contracts.steps import MarkInput
    from workflows.conduct import Operation, epoch_of


@workflow.defn(name=names.DELETE_SNAPSHOT, failure_exception_types=[ValidationError])
class DeleteSnapshot(Operation):
    """Delete a snapshot for good."""

    kind = names.DELETE_SNAPSHOT

    @workflow.run
    async def run(self, request: DeleteSnapshotInput) -> SnapshotResult:
        """Claim, delete, commit."""
        return SnapshotResult.model_validate(await self.conduct(request, self._recipe(request)))

    async def _recipe(self, request: DeleteSnapshotInput) -> dict[str, Any]:
        begun = await self.begin(request)
        if begun.status is BeginStatus.ENDED:
            return await self.ended_before(begun)
        snapshot = begun.snapshot
        assert snapshot is not None  # noqa: S101  (begin always finds it)
        self.resume(begun)
        await self.inventory(names.MARK, MarkInput(operation=self.id, no_return=True), type(None))
        self.no_return()
        epoch = epoch_of(begun.snapshot_fences, snapshot.id)
        await self.backend(
            names.BACKEND_DELETE_SNAPSHOT,
            self.call("delete-snapshot", snapshot, begun.snapshot_fences, epoch=epoch),
            title=f"delete on {snapshot.backend}/{snapshot.pool}",
            forward=True,
        )
        return await self.commit()
