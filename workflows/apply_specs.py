"""ApplySpecs: one transaction that checks the plan against the inventory and makes the set the one that counts."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError
from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from shareflow import names
    from shareflow.contracts.operations import ApplySpecsInput, ApplySpecsResult
    from workflows.conduct import Operation


@workflow.defn(name=names.APPLY_SPECS, failure_exception_types=[ValidationError])
class ApplySpecs(Operation):
    """Make a set of specs the one that counts. It is applied whole or not at all; nothing is claimed."""

    kind = names.APPLY_SPECS

    @workflow.run
    async def run(self, request: ApplySpecsInput) -> ApplySpecsResult:
        """Check and apply."""
        return ApplySpecsResult.model_validate(await self.conduct(request, self._recipe(request)))

    async def _recipe(self, request: ApplySpecsInput) -> dict[str, Any]:
        return await self.ended_before(await self.begin(request))
