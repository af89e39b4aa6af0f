"""SetShareQos in the inventory."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from activities import qos
from activities.recipes.base import Recipe, claim_share, claimed_instances, fence_of
from inventory import audit, operations, reservations, resources, tables
from inventory.operations import OpenOperation
from shareflow import names
from shareflow.contracts.operations import SetShareQosInput
from shareflow.contracts.steps import Begun, CommitInput
from shareflow.errors import StaleClaim


class SetShareQos(Recipe[SetShareQosInput]):
    """A share gets another QoS class, or none."""

    kind = names.SET_SHARE_QOS
    input_model = SetShareQosInput

    def begin(self, connection: Connection, operation: OpenOperation, request: SetShareQosInput) -> Begun:
        """See base class."""
        held = claim_share(connection, operation, request, request.share, also=claimed_instances)
        if isinstance(held, Begun):
            return held
        share, fences = held
        spec = None if request.qos is None else qos.class_spec(resources.qos_class(connection, request.qos))
        place = resources.instance_place(connection, share["id"])
        change = qos.change_of(connection, operation.id, share, place, spec, share["size"])
        audit.change(connection, operation.actor, tables.shares, share["id"], after="setting-qos")
        operations.note(connection, operation.id, share_id=share["id"], waiting_for=None)
        return self.started(
            connection,
            operation,
            share_id=share["id"],
            share_name=share["name"],
            fences=[fence_of(fences, share["id"])],
            instance=place,
            qos=change,
        )

    def commit(
        self, connection: Connection, operation: OpenOperation, begun: Begun, outcome: CommitInput
    ) -> dict[str, Any]:
        """See base class."""
        if begun.instance is None or begun.qos is None:
            raise StaleClaim(f"operation {operation.id} has nothing to set")
        columns = qos.recorded(begun.qos, outcome.qos)
        audit.change(
            connection,
            operation.actor,
            tables.shares,
            begun.share_id,
            after="available",
            epoch=fence_of(begun.fences, begun.share_id).epoch,
            **columns,
        )
        qos.settle_floors(connection, begun.instance, begun.qos, outcome.qos)
        reservations.commit(connection, operation.id)
        return {
            "operation": operation.id,
            "state": "succeeded",
            "share_id": begun.share_id,
            "name": begun.share_name,
            "qos": columns["qos"],
        }

    def abort(self, connection: Connection, operation: OpenOperation, begun: Begun) -> None:
        """See base class."""
        audit.change(
            connection, operation.actor, tables.shares, begun.share_id, after="available", why="its class stays"
        )
