"""ForgetShare: one transaction that removes rows and leaves tombstones; the backend is not touched."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError
from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from shareflow import names
    from shareflow.contracts.operations import ForgetShareInput, ForgetShareResult
    from workflows.conduct import Operation


@workflow.defn(name=names.FORGET_SHARE, failure_exception_types=[ValidationError])
class ForgetShare(Operation):
    """Remove a share's rows and leave its data where they are."""

    kind = names.FORGET_SHARE

    @workflow.run
    async def run(self, request: ForgetShareInput) -> ForgetShareResult:
        """Claim and forget at once."""
        return ForgetShareResult.model_validate(await self.conduct(request, self._recipe(request)))

    async def _recipe(self, request: ForgetShareInput) -> dict[str, Any]:
        return await self.ended_before(await self.begin(request))
