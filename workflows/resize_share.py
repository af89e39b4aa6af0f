"""ResizeShare: claim and reserve -> resize on the backend, with the limits of the new size -> commit."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError
from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from shareflow import names
    from shareflow.contracts.operations import ResizeShareInput, ShareResult
    from shareflow.contracts.places import BeginStatus
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
        # One step and one undo for both: limits that are scaled by the size are never left behind it.
        change = begun.qos if begun.qos is not None and begun.qos.apply else None
        old, new = (change.before, change.limits) if change else (None, None)
        self.undo(
            "set the old size",
            names.BACKEND_RESIZE_SHARE,
            self.call("undo-resize", before, begun.fences, epoch=epoch, limits=old),
        )
        self.resume(begun)
        made = await self.backend(
            names.BACKEND_RESIZE_SHARE,
            self.call(
                "resize", after, begun.fences, epoch=epoch, limits=new, required=bool(change and change.required)
            ),
            title=f"resize on {share.backend}/{share.pool}",
        )
        return await self.commit(qos=made.qos)
