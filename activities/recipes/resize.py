"""ResizeShare in the inventory."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, RowMapping

from activities import placement, qos
from activities.picture import kept_back_in
from activities.recipes.base import Recipe, claim_share, fence_of, share_result
from activities.recipes.create import check_size
from dsl.capacity import Purpose
from inventory import audit, operations, reservations, resources, tables
from inventory.operations import OpenOperation
from shareflow import names
from shareflow.contracts.operations import ResizeShareInput
from shareflow.contracts.steps import Begun, CommitInput, ObjectPlace, QosChange
from shareflow.errors import StaleClaim


class ResizeShare(Recipe[ResizeShareInput]):
    """A share gets another size in its pool."""

    kind = names.RESIZE_SHARE
    input_model = ResizeShareInput

    def begin(self, connection: Connection, operation: OpenOperation, request: ResizeShareInput) -> Begun:
        """See base class."""
        held = claim_share(connection, operation, request, request.share)
        if isinstance(held, Begun):
            return held
        share, fences = held
        check_size(
            placement.type_spec(resources.share_type(connection, share["type"], share["type_version"])), request.size
        )
        place = resources.instance_place(connection, share["id"])
        growth = request.size - share["size"]
        if growth > 0:
            reservations.reserve_quota(connection, operation.id, operation.project, size=growth)
        change = self._reserve(connection, operation, share, place, request.size)
        audit.change(connection, operation.actor, tables.shares, share["id"], after="resizing")
        operations.note(connection, operation.id, share_id=share["id"], waiting_for=None)
        return self.started(
            connection,
            operation,
            share_id=share["id"],
            share_name=share["name"],
            fences=list(fences),
            instance=place,
            old_size=share["size"],
            new_size=request.size,
            qos=change,
        )

    @staticmethod
    def _reserve(
        connection: Connection, operation: OpenOperation, share: RowMapping, place: ObjectPlace, size: int
    ) -> QosChange | None:
        """Room for the growth, and for what the share's QoS class comes to at its new size."""
        growth = size - share["size"]
        pool = resources.pool_row(connection, place.pool_id)
        if growth > 0:
            placement.check_room(pool, growth)
        kept = kept_back_in(pool, Purpose.EXTEND)
        spec = qos.of_share(connection, share)
        if spec is not None:
            return qos.change_of(connection, operation.id, share, place, spec, size, growth=growth, kept_back=kept)
        if growth > 0 and not reservations.reserve_capacity(
            connection, operation.id, place.pool_id, growth, kept_back=kept
        ):
            raise resources.no_room(pool, growth, kept)
        return None

    def commit(
        self, connection: Connection, operation: OpenOperation, begun: Begun, outcome: CommitInput
    ) -> dict[str, Any]:
        """See base class."""
        if begun.instance is None:
            raise StaleClaim(f"operation {operation.id} has no instance to resize")
        fence = fence_of(begun.fences, begun.share_id)
        growth = begun.new_size - begun.old_size
        audit.change(
            connection,
            operation.actor,
            tables.shares,
            begun.share_id,
            after="available",
            epoch=fence.epoch,
            size=begun.new_size,
            **({} if begun.qos is None else qos.recorded(begun.qos, outcome.qos)),
        )
        resources.resize_instance(connection, begun.instance.id, begun.new_size, growth)
        if growth < 0:
            reservations.give_back_capacity(connection, begun.instance.pool_id, -growth)
            reservations.give_back_quota(connection, operation.project, size=-growth)
        if begun.qos is not None:
            qos.settle_floors(connection, begun.instance, begun.qos, outcome.qos)
        reservations.commit(connection, operation.id)
        return share_result(connection, operation, begun.share_id)

    def abort(self, connection: Connection, operation: OpenOperation, begun: Begun) -> None:
        """See base class."""
        audit.change(connection, operation.actor, tables.shares, begun.share_id, after="available", why="not resized")
