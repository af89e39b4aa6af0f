"""Objects that stay on their backends when their rows go: each has a tombstone, which keeps its room."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, RowMapping, Table, and_, insert, select

from inventory import replicas, reservations, resources, tables
from inventory.database import now
from inventory.operations import OpenOperation
from shareflow.contracts.places import ObjectPlace
from shareflow.contracts.steps import LeftObject

_CARRIED = {"bytes": "allocated_bytes", "iops": "iops_floor", "throughput": "throughput_floor"}
"""What a reservation has of a pool, and where a tombstone keeps it."""


def bury_replica(
    connection: Connection, operation: OpenOperation, replica: RowMapping, *, doomed: bool = False
) -> list[str]:
    """The rows of a replica go, what is on its backend stays; gives ``backend/pool/object`` of each."""
    copies, instances, share = tables.snapshot_instances, tables.instances, replica["share_id"]
    # Copies of snapshots that are gone: its next round would have removed them.
    left = bury(connection, operation, share, copies, copies.c.instance_id == replica["id"], doomed=doomed)
    left += bury_sync_points(connection, operation, replica, [resources.place_of(replica)], doomed=doomed)
    replicas.remove(connection, replica["id"])
    return left + bury(connection, operation, share, instances, instances.c.id == replica["id"], doomed=doomed)


def bury(
    connection: Connection, operation: OpenOperation, share: str, copies: Table, mine: ColumnElement[bool], *,
    doomed: bool = False,
) -> list[str]:  # fmt: skip
    """Rows of instances, or of copies of snapshots, go; gives ``backend/pool/object`` of each."""
    kind = "share" if copies is tables.instances else "snapshot"
    statement = (
        select(copies, tables.pools.c.backend, tables.pools.c.name.label("pool"))
        .join(tables.pools, tables.pools.c.id == copies.c.pool_id)
        .where(mine)
    )
    left = []
    for row in connection.execute(statement).mappings().all():
        carried = ("allocated_bytes", "iops_floor", "throughput_floor")
        values = {key: row[key] for key in carried if key in row}
        _stone(connection, operation, share, kind, row["pool_id"], row["object"], doomed=doomed, **values)
        # Bytes and floors stay in the pool's sums: the tombstone carries them from here on.
        connection.execute(tables.export_locations.delete().where(tables.export_locations.c.instance_id == row["id"]))
        connection.execute(copies.delete().where(copies.c.id == row["id"]))
        left.append(f"{row['backend']}/{row['pool']}/{row['object']}")
    return left


def bury_sync_points(
    connection: Connection, operation: OpenOperation, replica: RowMapping, sides: Sequence[ObjectPlace], *,
    doomed: bool = False,
) -> list[str]:  # fmt: skip
    """What was made on these sides for the sync's own sake; it takes no room of its own."""
    left = []
    for point in replicas.memory_of(replica).sync_points:
        for side in sides:
            _stone(connection, operation, replica["share_id"], "snapshot", side.pool_id, point, doomed=doomed)
            left.append(f"{side.backend}/{side.pool}/{point}")
    return left


def bury_left(connection: Connection, operation: OpenOperation, share: str, left: Sequence[LeftObject]) -> None:
    """What an operation left on a lost backend; its rows go, and what they or the operation had of a pool stays taken.

    The reconciler deletes it when the backend answers.
    """
    for item in left:
        place, table = item.place, tables.instances if item.kind == "share" else tables.snapshot_instances
        if table is tables.instances:
            copies = tables.snapshot_instances
            bury(connection, operation, share, copies, copies.c.instance_id == place.id, doomed=True)
        mine = and_(table.c.pool_id == place.pool_id, table.c.object == place.object)
        if bury(connection, operation, share, table, mine, doomed=True):
            continue
        taken = reservations.pending_in(connection, operation.id, place.pool_id)
        carried = {} if taken is None else {column: taken[key] for key, column in _CARRIED.items()}
        _stone(connection, operation, share, item.kind, place.pool_id, place.object, doomed=True, **carried)
        if taken is not None:
            reservations.carried(connection, operation.id, place.pool_id)


def _stone(
    connection: Connection, operation: OpenOperation, share: str, kind: str, pool_id: str, object_: str, *,
    doomed: bool, **carried: int,
) -> None:  # fmt: skip
    nothing = {"allocated_bytes": 0, "iops_floor": 0, "throughput_floor": 0}
    connection.execute(
        insert(tables.tombstones).values(
            id=resources.new_id(),
            project=operation.project,
            share_id=share,
            kind=kind,
            pool_id=pool_id,
            object=object_,
            operation=operation.id,
            created_at=now(),
            doomed=doomed,
            **nothing | carried,
        )
    )
