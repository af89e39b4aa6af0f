"""CreateSnapshot, DeleteSnapshot and RevertShare in the inventory."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, delete, select

from activities import placement
from activities.recipes.base import (
    Recipe,
    claim,
    claim_share,
    claimed_instances,
    fence_of,
    require_status,
    share_result,
)
from inventory import audit, claims, operations, reservations, resources, tables
from inventory.claims import Want
from inventory.operations import OpenOperation
from shareflow import names
from shareflow.contracts.operations import CreateSnapshotInput, DeleteSnapshotInput, RevertShareInput
from shareflow.contracts.places import ObjectPlace
from shareflow.contracts.steps import Begun, CommitInput
from shareflow.contracts.units import format_size
from shareflow.errors import NameTaken, NoPoolFits, NotSupported, StaleClaim


def _require_capability(connection: Connection, place: ObjectPlace, capability: str, verb: str) -> None:
    attributes = resources.pool_row(connection, place.pool_id)["attributes"]
    if not attributes.get(capability):
        raise NotSupported(f"backend {place.backend} cannot {verb}", hint="its driver does not offer that")


def _until_it_can_travel(connection: Connection, share_id: str) -> list[Want]:
    """A new snapshot of a share that moves to a pool without snapshots has to wait until it is there."""
    place = resources.place_in_role(connection, share_id, "destination")
    if place is None or resources.pool_row(connection, place.pool_id)["attributes"].get("snapshots"):
        return []
    return claimed_instances(connection, share_id)


def _snapshot_result(operation: OpenOperation, row: Any, *, name: str | None = None) -> dict[str, Any]:
    return {
        "operation": operation.id,
        "state": "succeeded",
        "snapshot_id": row["id"],
        "share_id": row["share_id"],
        "name": name or row["name"],
        "size": row["size"],
    }


class CreateSnapshot(Recipe[CreateSnapshotInput]):
    """A point in time of a share."""

    kind = names.CREATE_SNAPSHOT
    input_model = CreateSnapshotInput

    def begin(self, connection: Connection, operation: OpenOperation, request: CreateSnapshotInput) -> Begun:
        """See base class."""
        held = claim_share(connection, operation, request, request.share, also=_until_it_can_travel)
        if isinstance(held, Begun):
            return held
        share, fences = held
        spec = placement.type_spec(resources.share_type(connection, share["type"], share["type_version"]))
        if not spec.snapshots.allowed:
            raise NotSupported(f"type {spec.name!r} allows no snapshots", field="share", hint="use another type")
        place = resources.instance_place(connection, share["id"])
        _require_capability(connection, place, "snapshots", "take snapshots")
        taken = select(tables.snapshots.c.id).where(
            tables.snapshots.c.share_id == share["id"], tables.snapshots.c.name == request.name
        )
        if connection.execute(taken).first() is not None:
            raise NameTaken(f"share {share['name']!r} has a snapshot {request.name!r}", field="name")
        reservations.reserve_quota(connection, operation.id, operation.project, snapshots=1)
        self._reserve_space(connection, operation, place, share["size"])
        values = {
            "share_id": share["id"],
            "name": request.name,
            "size": share["size"],
            "description": request.description,
        }
        snapshot = resources.add_snapshot(connection, operation.actor, values, place)
        fence = claims.hold_new(connection, operation.id, "snapshot", snapshot.id)
        operations.note(connection, operation.id, share_id=share["id"], waiting_for=None)
        return self.started(
            connection,
            operation,
            share_id=share["id"],
            share_name=share["name"],
            fences=list(fences),
            instance=place,
            snapshot=snapshot,
            snapshot_fences=[fence],
        )

    @staticmethod
    def _reserve_space(connection: Connection, operation: OpenOperation, place: ObjectPlace, size: int) -> None:
        pool = resources.pool_row(connection, place.pool_id)
        if pool["attributes"].get("snapshot_space") != "full":
            return
        if not reservations.reserve_capacity(connection, operation.id, place.pool_id, size):
            raise NoPoolFits(
                f"pool {place.pool!r} has no room for a snapshot of {format_size(size)}: "
                f"{format_size(pool['allocated_bytes'])} of {format_size(pool['limit_bytes'] or 0)} are allocated",
                hint="a snapshot costs its share's size on this backend; delete something or raise the pool's capacity",
            )

    def commit(
        self, connection: Connection, operation: OpenOperation, begun: Begun, outcome: CommitInput
    ) -> dict[str, Any]:
        """See base class."""
        if begun.snapshot is None:
            raise StaleClaim(f"operation {operation.id} has no snapshot to commit")
        held = connection.execute(
            select(tables.reservations.c.bytes).where(
                tables.reservations.c.operation == operation.id,
                tables.reservations.c.scope == "pool",
                tables.reservations.c.state == "pending",
            )
        ).scalar()
        resources.set_snapshot_copies(connection, begun.snapshot.id, status="available", allocated_bytes=held or 0)
        fence = fence_of(begun.snapshot_fences, begun.snapshot.id)
        audit.change(
            connection, operation.actor, tables.snapshots, begun.snapshot.id, after="available", epoch=fence.epoch
        )
        reservations.commit(connection, operation.id)
        return _snapshot_result(operation, resources.snapshot_row(connection, begun.snapshot.id))

    def abort(self, connection: Connection, operation: OpenOperation, begun: Begun) -> None:
        """See base class."""
        if begun.snapshot is not None:
            copies = tables.snapshot_instances
            connection.execute(delete(copies).where(copies.c.snapshot_id == begun.snapshot.id))
            audit.remove(connection, operation.actor, tables.snapshots, begun.snapshot.id, why="snapshot undone")


class DeleteSnapshot(Recipe[DeleteSnapshotInput]):
    """One snapshot goes for good."""

    kind = names.DELETE_SNAPSHOT
    input_model = DeleteSnapshotInput

    def begin(self, connection: Connection, operation: OpenOperation, request: DeleteSnapshotInput) -> Begun:
        """See base class."""
        share = resources.find_share(connection, operation.project, request.share)
        snapshot = resources.find_snapshot(connection, share, request.snapshot)
        fences = claim(connection, operation, request, [Want("snapshot", snapshot["id"])])
        if isinstance(fences, Begun):
            return fences
        snapshot = resources.snapshot_row(connection, snapshot["id"])
        require_status(snapshot, "snapshot", "available")
        audit.change(connection, operation.actor, tables.snapshots, snapshot["id"], after="deleting")
        operations.note(connection, operation.id, share_id=share["id"], waiting_for=None)
        return self.started(
            connection,
            operation,
            share_id=share["id"],
            share_name=share["name"],
            snapshot=resources.snapshot_places(connection, [snapshot["id"]])[0],
            snapshot_fences=list(fences),
        )

    def commit(
        self, connection: Connection, operation: OpenOperation, begun: Begun, outcome: CommitInput
    ) -> dict[str, Any]:
        """See base class."""
        if begun.snapshot is None:
            raise StaleClaim(f"operation {operation.id} has no snapshot to delete")
        row = resources.snapshot_row(connection, begun.snapshot.id)
        result = _snapshot_result(operation, row)
        resources.drop_snapshot_copies(connection, row["id"])
        audit.remove(connection, operation.actor, tables.snapshots, row["id"], why="deleted")
        reservations.give_back_quota(connection, operation.project, snapshots=1)
        return result

    def abort(self, connection: Connection, operation: OpenOperation, begun: Begun) -> None:
        """See base class."""
        if begun.snapshot is not None:
            audit.change(connection, operation.actor, tables.snapshots, begun.snapshot.id, after="available")


class RevertShare(Recipe[RevertShareInput]):
    """A share goes back to any of its snapshots."""

    kind = names.REVERT_SHARE
    input_model = RevertShareInput

    def begin(self, connection: Connection, operation: OpenOperation, request: RevertShareInput) -> Begun:
        """See base class."""
        share = resources.find_share(connection, operation.project, request.share)
        snapshot = resources.find_snapshot(connection, share, request.snapshot)
        wants = [Want("share", share["id"]), Want("snapshot", snapshot["id"], "shared")]
        fences = claim(connection, operation, request, wants)
        if isinstance(fences, Begun):
            return fences
        share = resources.find_share(connection, operation.project, share["id"])
        require_status(share, "share", "available")
        require_status(resources.snapshot_row(connection, snapshot["id"]), "snapshot", "available")
        place = resources.instance_place(connection, share["id"])
        _require_capability(connection, place, "revert", "revert a share to a snapshot")
        audit.change(connection, operation.actor, tables.shares, share["id"], after="reverting")
        operations.note(connection, operation.id, share_id=share["id"], waiting_for=None)
        return self.started(
            connection,
            operation,
            share_id=share["id"],
            share_name=share["name"],
            fences=list(fences),
            instance=place,
            snapshot=resources.snapshot_places(connection, [snapshot["id"]])[0],
        )

    def commit(
        self, connection: Connection, operation: OpenOperation, begun: Begun, outcome: CommitInput
    ) -> dict[str, Any]:
        """See base class."""
        fence = fence_of(begun.fences, begun.share_id)
        audit.change(connection, operation.actor, tables.shares, begun.share_id, after="available", epoch=fence.epoch)
        return share_result(connection, operation, begun.share_id)

    def abort(self, connection: Connection, operation: OpenOperation, begun: Begun) -> None:
        """See base class."""
        audit.change(connection, operation.actor, tables.shares, begun.share_id, after="available", why="not reverted")
