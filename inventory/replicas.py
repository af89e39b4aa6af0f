"""Rows of replicas: which a share has, how each is in step, and the room that it takes in its pool."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, RowMapping, delete, insert, or_, select, update

from inventory import reservations, resources, tables
from shareflow.contracts.migration_steps import MigrationMemory
from shareflow.errors import NotFound

ROLE = "replica"


def _all() -> Any:
    replicas, instances, pools = tables.replicas, tables.instances, tables.pools
    own = [column for column in instances.c if column.name not in ("id", "share_id")]
    return (
        select(replicas, *own, pools.c.backend, pools.c.name.label("pool"), pools.c.zone, pools.c.reachable)
        .join(instances, instances.c.id == replicas.c.id)
        .join(pools, pools.c.id == instances.c.pool_id)
    )


def of_share(connection: Connection, share_id: str) -> Sequence[RowMapping]:
    """The replicas of a share with their instances, oldest first."""
    statement = _all().where(tables.replicas.c.share_id == share_id)
    statement = statement.order_by(tables.instances.c.created_at, tables.replicas.c.id)
    rows: Sequence[RowMapping] = connection.execute(statement).mappings().all()
    return rows


def find(connection: Connection, share: RowMapping, reference: str) -> RowMapping:
    """A replica of a share by the id of its instance, ``backend/pool``, or the name of its pool. Raises NotFound."""
    instances, pools = tables.instances, tables.pools
    place = pools.c.backend + "/" + pools.c.name
    named = or_(instances.c.id == reference, place == reference, pools.c.name == reference)
    rows = connection.execute(_all().where(tables.replicas.c.share_id == share["id"], named)).mappings().all()
    if len(rows) == 1:
        found: RowMapping = rows[0]
        return found
    there = ", ".join(f"{row['backend']}/{row['pool']}" for row in of_share(connection, share["id"])) or "none"
    many = f"has {len(rows)} replicas {reference!r}" if rows else f"has no replica {reference!r}"
    raise NotFound(f"share {share['name']!r} {many}", field="replica", hint=f"its replicas: {there}")


def row(connection: Connection, replica: str) -> RowMapping:
    """A replica that this operation has already found, with its instance. Raises NotFound."""
    found: RowMapping | None = connection.execute(_all().where(tables.replicas.c.id == replica)).mappings().first()
    if found is None:
        raise NotFound(f"replica {replica} is gone")
    return found


def memory_of(found: RowMapping) -> MigrationMemory:
    """What the rounds of a replica must not forget."""
    return MigrationMemory.model_validate(found["memory"], strict=False)


def missing(found: RowMapping) -> int | None:
    """Bytes of the active instance that the replica did not have when a round measured it last.

    None when no round has, since the replica had everything.
    """
    synced_at, behind_at = found["synced_at"], found["behind_at"]
    if synced_at is None or behind_at is None or behind_at <= synced_at:
        return None
    measured: int | None = found["behind_bytes"]
    return measured


def change_rate(found: RowMapping) -> int | None:
    """Bytes a second that clients had changed before the last good round or look; None while none could tell."""
    return None if found["moved_seconds"] is None else found["moved_bytes"] // max(1, found["moved_seconds"])


def add(connection: Connection, share_id: str, replica: str, **values: Any) -> None:
    """The instance is a replica from now on."""
    row_ = {"id": replica, "share_id": share_id, "stale": "", "moved_bytes": 0, "error": "", **values}
    connection.execute(insert(tables.replicas).values(row_))


def note(connection: Connection, replica: str, **values: Any) -> None:
    """Set columns of a replica that the operation holds."""
    connection.execute(update(tables.replicas).where(tables.replicas.c.id == replica).values(**values))


def remove(connection: Connection, replica: str) -> None:
    """The instance is no replica any more: it is the active one, or it is dropped next."""
    connection.execute(delete(tables.replicas).where(tables.replicas.c.id == replica))


def grow(connection: Connection, operation: str, pool_id: str, size: int) -> bool:
    """Take room in a pool, which the caller's row carries from now on; False when it does not fit.

    Every call takes: the caller sees to it that it is made once.
    """
    if not reservations.reserve_capacity(connection, operation, pool_id, size):
        return False
    reservations.carried(connection, operation, pool_id)
    return True


def resize(connection: Connection, found: RowMapping, operation: str, size: int) -> bool:
    """Give the row of a replica's instance another size, with the room for it; False when it does not fit."""
    growth = size - found["size"]
    if growth > 0 and not grow(connection, operation, found["pool_id"], growth):
        return False
    if growth < 0:
        reservations.give_back_capacity(connection, found["pool_id"], -growth)
    resources.resize_instance(connection, found["id"], size, growth)
    return True
