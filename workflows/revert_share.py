"""RevertShare: claim -> revert on the backend (one atomic switch) -> commit."""

from __future__ import annotations

import asyncio
from typing import Any

from pydantic import ValidationError
from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from shareflow import names
    from shareflow.contracts.operations import RevertShareInput, ShareResult
    from shareflow.contracts.places import BeginStatus
    from shareflow.contracts.steps import BackendCall
    from workflows.conduct import Operation, epoch_of, failure_of, finish


@workflow.defn(name=names.REVERT_SHARE, failure_exception_types=[ValidationError])
class RevertShare(Operation):
    """Take a share back to any of its snapshots; all of them stay."""

    kind = names.REVERT_SHARE

    @workflow.run
    async def run(self, request: RevertShareInput) -> ShareResult:
        """Claim, revert, commit."""
        return ShareResult.model_validate(await self.conduct(request, self._recipe(request)))

    async def _recipe(self, request: RevertShareInput) -> dict[str, Any]:
        begun = await self.begin(request)
        if begun.status is BeginStatus.ENDED:
            return await self.ended_before(begun)
        share = begun.instance
        assert share is not None  # noqa: S101  (begin always finds it)
        self.resume(begun)
        # The switch is atomic and cannot be taken back. A cancel before it leaves the share as it was; one that comes
        # too late finds the job done, and the operation succeeds. An answer that never comes may not be given up.
        epoch = epoch_of(begun.fences, begun.share_id)
        call = self.call("revert", share, begun.fences, epoch=epoch, other=begun.snapshot)
        try:
            await self.backend(
                names.BACKEND_REVERT_SHARE, call, title=f"revert on {share.backend}/{share.pool}", until_known=True
            )
        except (asyncio.CancelledError, ActivityError) as error:
            # A job may run behind an answer that was lost, a refusal or a cancel: it is stopped, or has done its work.
            if not await finish(self._was_done(call)):
                raise
            reason = "the cancel" if is_cancelled_exception(error) else failure_of(error).message
            self.log.note = f"{reason} came after the switch; going on"
        if self.cancel_requested:
            self.log.note = "the cancel came after the switch; going on"
        self.no_return()
        return await self.commit()

    async def _was_done(self, call: BackendCall) -> bool:
        self.no_return()
        stopped = await self.backend(names.BACKEND_STOP_JOB, call, title="stop the revert", forward=True)
        return stopped.done
