"""DrainPool in the inventory: one transaction that opens a pool for new shares or closes it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from activities.placement import check_pins
from activities.recipes.base import Recipe
from inventory import catalogue, resources, usage
from inventory.operations import OpenOperation
from shareflow import names
from shareflow.contracts.operations import DrainPoolInput, DrainPoolResult
from shareflow.contracts.places import BeginStatus
from shareflow.contracts.steps import Begun, CommitInput
from shareflow.errors import StaleClaim


class DrainPool(Recipe[DrainPoolInput]):
    """Nothing new is placed in a pool, or something may be again. It ends where it begins."""

    kind = names.DRAIN_POOL
    input_model = DrainPoolInput

    def begin(self, connection: Connection, operation: OpenOperation, request: DrainPoolInput) -> Begun:
        """Mark the pool. Raises NotFound for a pool that no spec declares."""
        pools = resources.pools_picture(connection)
        check_pins(pools, request.backend, request.pool)
        row = next(
            row for row in pools if request.pool in (row["name"], row["id"]) and row["backend"] == request.backend
        )
        catalogue.set_drained(connection, row["id"], drained=request.drained)
        result = DrainPoolResult(
            operation=operation.id,
            backend=row["backend"],
            pool=row["name"],
            drained=request.drained,
            shares=usage.by_pool(connection).get(row["id"], 0),
        )
        return Begun(status=BeginStatus.ENDED, result=result.model_dump(mode="json"))

    def commit(
        self, connection: Connection, operation: OpenOperation, begun: Begun, outcome: CommitInput
    ) -> dict[str, Any]:
        """See base class; never due."""
        raise StaleClaim(f"operation {operation.id} has nothing to commit")

    def abort(self, connection: Connection, operation: OpenOperation, begun: Begun) -> None:
        """See base class; what was refused left nothing."""
