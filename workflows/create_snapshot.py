"""CreateSnapshot: claim -> freeze on the backend -> commit."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError
from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from shareflow import names
    from shareflow.contracts.operations import CreateSnapshotInput, SnapshotResult
    from shareflow.contracts.places import BeginStatus
    from workflows.conduct import Operation, epoch_of


@workflow.defn(name=names.CREATE_SNAPSHOT, failure_exception_types=[ValidationError])
class CreateSnapshot(Operation):
    """Freeze a share's content."""

    kind = names.CREATE_SNAPSHOT

    @workflow.run
    async def run(self, request: CreateSnapshotInput) -> SnapshotResult:
        """Claim, freeze, commit."""
        return SnapshotResult.model_validate(await self.conduct(request, self._recipe(request)))

    async def _recipe(self, request: CreateSnapshotInput) -> dict[str, Any]:
        begun = await self.begin(request)
        if begun.status is BeginStatus.ENDED:
            return await self.ended_before(begun)
        snapshot, share = begun.snapshot, begun.instance
        assert snapshot is not None  # noqa: S101  (begin always makes it)
        fences = [*begun.fences, *begun.snapshot_fences]
        epoch = epoch_of(fences, snapshot.id)
        self.undo(
            "delete the snapshot",
            names.BACKEND_DELETE_SNAPSHOT,
            self.call("undo-snapshot", snapshot, fences, epoch=epoch),
        )
        self.resume(begun)
        await self.backend(
            names.BACKEND_CREATE_SNAPSHOT,
            self.call("snapshot", snapshot, fences, epoch=epoch, other=share),
            title=f"freeze on {snapshot.backend}/{snapshot.pool}",
        )
        return await self.commit()
