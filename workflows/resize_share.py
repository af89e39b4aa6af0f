"""ResizeShare: claim and reserve -> resize on the backend -> commit."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError
from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from shareflow import names
    from shareflow.contracts.operations import ResizeShareInput, ShareResult
    from shareflow.contracts.steps import BeginStatus
    from workflows.conduct import Operation, epoch_of


@workflow.defn(name=names.RESIZE_SHARE, failure_exception_types=[ValidationError])
class ResizeShare(Operation):
    """Set a share's size; a shrink below the bytes in use is refused."""

    kind = names.RESIZE_SHARE

    @workflow.run
    async def run(self, request: ResizeShareInput) -> ShareResult:
        """Claim, resize, commit."""
        return ShareResult.model_validate(await self.conduct(request, self._recipe(request)))

    async def _recipe(self, request: ResizeShareInput) -> dict[str, Any]:
        begun = await self.begin(request)
        if begun.status is BeginStatus.ENDED:
            return await self.ended_before(begun)
        share = begun.instance
        assert share is not None  # noqa: S101  (begin always finds it)
        epoch = epoch_of(begun.fences, begun.share_id)
        before = share.model_copy(update={"size": begun.old_size})
        after = share.model_copy(update={"size": begun.new_size})
        self.undo(
            "set the old size",
            names.BACKEND_RESIZE_SHARE,
            self.call("undo-resize", before, begun.fences, epoch=epoch),
        )
        self.resume(begun)
        await self.backend(
            names.BACKEND_RESIZE_SHARE,
            self.call("resize", after, begun.fences, epoch=epoch),
            title=f"resize on {share.backend}/{share.pool}",
        )
        return await self.commit()
