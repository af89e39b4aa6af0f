"""DrainPool: one transaction that opens a pool for new shares or closes it; no backend is touched."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError
from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from shareflow import names
    from shareflow.contracts.operations import DrainPoolInput, DrainPoolResult
    from workflows.conduct import Operation


@workflow.defn(name=names.DRAIN_POOL, failure_exception_types=[ValidationError])
class DrainPool(Operation):
    """Place nothing new in a pool from now on, or again."""

    kind = names.DRAIN_POOL

    @workflow.run
    async def run(self, request: DrainPoolInput) -> DrainPoolResult:
        """Mark the pool at once."""
        return DrainPoolResult.model_validate(await self.conduct(request, self._recipe(request)))

    async def _recipe(self, request: DrainPoolInput) -> dict[str, Any]:
        return await self.ended_before(await self.begin(request))
