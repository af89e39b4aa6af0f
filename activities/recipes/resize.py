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
from shareflow.contracts.places import ObjectPlace
from shareflow.contracts.qos import Floors, QosChange
from shareflow.contracts.steps import Begun, CommitInput
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
        destination = resources.place_in_role(connection, share["id"], "destination")
        if destination is not None and growth > 0:
            _grow_destination(connection, destination, growth, request.size)
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
            items=[] if destination is None else [destination],
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
        for row, place in _destinations(connection, begun):
            resources.set_instance(connection, place.id, size=begun.new_size)
            if growth < 0:
                reservations.shrink_pending(connection, row["claimed_by"], place.pool_id, -growth)
        if begun.qos is not None:
            qos.settle_floors(connection, begun.instance, begun.qos, outcome.qos)
        reservations.commit(connection, operation.id)
        return share_result(connection, operation, begun.share_id)

    def abort(self, connection: Connection, operation: OpenOperation, begun: Begun) -> None:
        """See base class."""
        audit.change(connection, operation.actor, tables.shares, begun.share_id, after="available", why="not resized")
        growth = begun.new_size - begun.old_size
        for row, place in _destinations(connection, begun):
            if growth > 0:
                reservations.shrink_pending(connection, row["claimed_by"], place.pool_id, growth)


def _destinations(connection: Connection, begun: Begun) -> list[tuple[RowMapping, ObjectPlace]]:
    """Where the share was moving to when it was begun, if it still is."""
    moving = {place.id: place for place in begun.items}
    rows = resources.instances_of(connection, begun.share_id)
    return [(row, moving[row["id"]]) for row in rows if row["id"] in moving and row["claimed_by"]]


def _grow_destination(connection: Connection, place: ObjectPlace, growth: int, size: int) -> None:
    """Room for the growth where the share is moving to, and for what its QoS class comes to there.

    It becomes part of what the migration has reserved; the migration itself resizes the object. Raises NoPoolFits.
    """
    pool = resources.pool_row(connection, place.pool_id)
    placement.check_room(pool, growth)
    holder = resources.instance_row(connection, place.id)["claimed_by"]
    pending = reservations.pending_in(connection, holder, place.pool_id)
    if pending is None:
        raise StaleClaim(f"operation {holder} has reserved nothing in {place.backend}/{place.pool}")
    spec = qos.of_migration(connection, holder)
    more = qos.floors_in(spec, size, pool).beyond(Floors(pending["iops"], pending["throughput"]))
    kept = kept_back_in(pool, Purpose.EXTEND)
    if not reservations.grow_pending(connection, holder, place.pool_id, growth, more, kept_back=kept):
        raise resources.no_room(pool, growth, kept)
