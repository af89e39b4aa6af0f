"""Replicas as they are watched between rounds: one statement for each look and one for what comes of it, built once."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    RowMapping,
    Select,
    Update,
    bindparam,
    exists,
    or_,
    select,
    update,
)

from inventory import tables

_NOTED = ("sync_operation", "synced_at", "error", "stale")
"""What the end of a round changes."""


def row(connection: Connection, replica: str) -> RowMapping | None:
    """A replica with its instance and pool, and those of the active instance as ``active_…``; None when it is gone.

    ``lacks_snapshots``: whole snapshots of the share have no whole copy there, or copies of others are there.
    """
    found: RowMapping | None = connection.execute(_row(), {"replica": replica}).mappings().first()
    return found


@cache
def _row() -> Select[Any]:
    replicas, instances, pools = tables.replicas.c, tables.instances.c, tables.pools.c
    active, beside = tables.instances.alias("active"), tables.pools.alias("beside")
    mine = [instances.pool_id, instances.object, instances.size, instances.claimed_by]
    noted = ("id", "share_id", "sync_operation", "kind", "mode", "interval", "stale", "memory", "synced_at", "error")
    return (
        select(
            *(replicas[key] for key in noted),
            *mine,
            pools.backend,
            pools.name.label("pool"),
            pools.attributes,
            active.c.id.label("active_id"),
            active.c.pool_id.label("active_pool_id"),
            active.c.object.label("active_object"),
            active.c.size.label("active_size"),
            beside.c.backend.label("active_backend"),
            beside.c.name.label("active_pool"),
            beside.c.attributes.label("active_attributes"),
            or_(_missing(active), _left_over()).label("lacks_snapshots"),
        )
        .join(tables.instances, instances.id == replicas.id)
        .join(tables.pools, pools.id == instances.pool_id)
        .join(active, (active.c.share_id == replicas.share_id) & (active.c.role == "active"))
        .join(beside, beside.c.id == active.c.pool_id)
        .where(replicas.id == bindparam("replica"))
    )


def _missing(active: FromClause) -> ColumnElement[bool]:
    snapshots, copies, replicas = tables.snapshots.c, tables.snapshot_instances.c, tables.replicas.c
    of_it = exists().where(copies.snapshot_id == snapshots.id)
    here = of_it.where(copies.instance_id == replicas.id, copies.status == "copied")
    there = of_it.where(copies.instance_id == active.c.id)
    lacking = or_(*(~copy.correlate(tables.snapshots, tables.replicas, active) for copy in (here, there)))
    return exists().where(snapshots.share_id == replicas.share_id, snapshots.status == "available", lacking)


def _left_over() -> ColumnElement[bool]:
    snapshots, copies, replicas = tables.snapshots.c, tables.snapshot_instances.c, tables.replicas.c
    known = exists().where(snapshots.id == copies.snapshot_id, snapshots.share_id == replicas.share_id)
    known = known.correlate(tables.snapshot_instances, tables.replicas)
    return exists().where(copies.instance_id == replicas.id, ~known)


def note(connection: Connection, found: RowMapping, *, as_of: datetime, tried_at: datetime, seconds: int | None,
         state: str) -> bool:  # fmt: skip
    """The replica has what was there at ``as_of``; nothing was moved. False when something was noted since it was read.

    ``seconds`` have passed since it had everything before.
    """
    given = {"replica": found["id"], "as_of": as_of, "now": tried_at, "seconds": seconds, "found": state}
    given |= {f"known_{key}": found[key] for key in _NOTED}
    return connection.execute(_note(), given).rowcount == 1


@cache
def _note() -> Update:
    replicas = tables.replicas
    same = [replicas.c[key].is_not_distinct_from(bindparam(f"known_{key}")) for key in _NOTED]
    return (
        update(replicas)
        .where(replicas.c.id == bindparam("replica"), *same)
        .values(
            synced_at=bindparam("as_of"),
            tried_at=bindparam("now"),
            moved_bytes=0,
            moved_seconds=bindparam("seconds"),
            state=bindparam("found"),
        )
    )
