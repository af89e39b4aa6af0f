"""The inventory's side of comparing a backend with the inventory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, RowMapping, and_, or_, select, update

from inventory import replicas, reservations, tables
from inventory.claims import CLAIMABLE
from inventory.database import now
from inventory.operations import OPEN
from shareflow.contracts.qos import NO_FLOORS, Floors

RECYCLE_BIN = "recycle-bin"
PASSING_ROLES = ("destination", "retired")
"""Roles of instances that belong to an open migration."""


@dataclass(frozen=True, slots=True)
class Expected:
    """An object that the inventory expects in a pool.

    Attributes:
        kind: ``share``, ``snapshot``, ``sync point`` or ``tombstone``.
        settled: no operation holds it, and it was whole once: it must be there now.
        status: of the share, or of the snapshot.
        mode: the access that clients have to a share at rest; empty when that is not known.
        replica: it is a replica or beside one, and may be behind in its size.
        floors: what it carries of its pool's promises.
        doomed: a tombstone of what is to be deleted as soon as its backend answers.
    """

    kind: str
    id: str
    object: str
    size: int
    allocated: int
    settled: bool
    status: str
    mode: str = ""
    replica: bool = False
    floors: Floors = NO_FLOORS
    doomed: bool = False


def expected(connection: Connection, pool_id: str, objects: Sequence[str] | None = None) -> dict[str, Expected]:
    """All objects that should be in a pool, or those of the given names, by name."""
    found = [
        *_shares(connection, pool_id),
        *_snapshots(connection, pool_id),
        *_sync_points(connection, pool_id),
        *_tombstones(connection, pool_id),
    ]
    wanted = None if objects is None else set(objects)
    return {item.object: item for item in found if wanted is None or item.object in wanted}


def _shares(connection: Connection, pool_id: str) -> list[Expected]:
    instances, shares, kept = tables.instances, tables.shares, tables.replicas
    rows = connection.execute(
        select(
            instances,
            shares.c.status.label("share_status"),
            shares.c.claimed_by.label("share_holder"),
            kept.c.memory,
        )
        .join(shares, shares.c.id == instances.c.share_id)
        .outerjoin(kept, kept.c.id == instances.c.id)
        .where(instances.c.pool_id == pool_id)
    )
    return [
        Expected(
            kind="share",
            id=row.share_id,
            object=row.object,
            size=row.size,
            allocated=row.allocated_bytes,
            settled=_at_rest(row),
            status=row.share_status,
            mode=_mode(row),
            replica=row.role == replicas.ROLE,
        )
        for row in rows
    ]


def _at_rest(row: Row[Any]) -> bool:
    if row.share_status == RECYCLE_BIN:
        return row.role in ("active", replicas.ROLE)
    if row.role == replicas.ROLE:
        return row.claimed_by is None and row.status == "available"
    return row.role == "active" and row.claimed_by is None and row.share_holder is None


def _mode(row: Row[Any]) -> str:
    """A replica's is what its sync has set last."""
    if row.share_status == RECYCLE_BIN:
        return "none"
    return row.memory.get("mode", "") if row.role == replicas.ROLE else "rw"


def _sync_points(connection: Connection, pool_id: str) -> list[Expected]:
    """What syncs have on both sides for their own sake."""
    kept, instances = tables.replicas, tables.instances
    one_side = or_(instances.c.role == "active", instances.c.id == kept.c.id)
    sides = and_(instances.c.share_id == kept.c.share_id, one_side)
    rows = connection.execute(
        select(kept.c.share_id, kept.c.memory, instances.c.size)
        .join(instances, sides)
        .where(instances.c.pool_id == pool_id)
    )
    return [
        Expected(
            kind="sync point",
            id=row.share_id,
            object=name,
            size=row.size,
            allocated=0,
            settled=False,
            status="",
            replica=True,
        )
        for row in rows
        for name in row.memory.get("sync_points", [])
    ]


def _snapshots(connection: Connection, pool_id: str) -> list[Expected]:
    copies, snapshots, instances = tables.snapshot_instances, tables.snapshots, tables.instances
    # A migration may still have copies of a snapshot that is gone.
    rows = connection.execute(
        select(
            copies,
            snapshots.c.status.label("snapshot_status"),
            snapshots.c.claimed_by,
            and_(instances.c.role == "active", instances.c.claimed_by.is_(None)).label("at_rest"),
            and_(instances.c.role == replicas.ROLE, instances.c.claimed_by.is_(None)).label("at_replica"),
        )
        .outerjoin(snapshots, snapshots.c.id == copies.c.snapshot_id)
        .outerjoin(instances, instances.c.id == copies.c.instance_id)
        .where(copies.c.pool_id == pool_id)
    )
    return [
        Expected(
            kind="snapshot",
            id=row.snapshot_id,
            object=row.object,
            size=row.size,
            allocated=row.allocated_bytes,
            settled=row.snapshot_status is not None
            and row.claimed_by is None
            and bool(row.at_rest or (row.at_replica and row.status == "copied")),
            status=row.snapshot_status or "gone",
            replica=bool(row.at_replica),
        )
        for row in rows
    ]


def _tombstones(connection: Connection, pool_id: str) -> list[Expected]:
    stones = tables.tombstones
    rows = connection.execute(select(stones).where(stones.c.pool_id == pool_id, stones.c.gone_at.is_(None)))
    return [
        Expected(
            kind="tombstone",
            id=row.id,
            object=row.object,
            size=row.allocated_bytes,
            allocated=row.allocated_bytes,
            settled=True,
            status="forgotten",
            floors=Floors(row.iops_floor, row.throughput_floor),
            doomed=row.doomed,
        )
        for row in rows
    ]


def shares_with_qos(connection: Connection, pool_id: str, share: str | None = None) -> Sequence[RowMapping]:
    """Shares at rest in a pool that have a QoS class, all or one, with their instance and its object."""
    instances, shares = tables.instances, tables.shares
    statement = (
        select(shares, instances.c.id.label("instance_id"), instances.c.pool_id, instances.c.object)
        .join(shares, shares.c.id == instances.c.share_id)
        .where(
            instances.c.pool_id == pool_id,
            instances.c.role == "active",
            shares.c.qos.is_not(None),
            shares.c.claimed_by.is_(None),
            shares.c.status == "available",
        )
        .order_by(shares.c.id)
    )
    if share is not None:
        statement = statement.where(shares.c.id == share)
    return connection.execute(statement).mappings().all()


def bury(connection: Connection, tombstone: Expected, pool_id: str) -> None:
    """What was left on a backend is gone from it: its bytes and floors leave the pool's sums. Idempotent."""
    stones = tables.tombstones
    ended = connection.execute(
        update(stones).where(stones.c.id == tombstone.id, stones.c.gone_at.is_(None)).values(gone_at=now())
    )
    if ended.rowcount == 1:
        reservations.give_back_capacity(connection, pool_id, tombstone.allocated, tombstone.floors)


def is_open(connection: Connection, operation: str) -> bool:
    """Whether an operation may still be working; one that the inventory does not know is not."""
    state = connection.execute(select(tables.operations.c.state).where(tables.operations.c.id == operation)).scalar()
    return state in OPEN


def open_operations(connection: Connection) -> list[tuple[str, float]]:
    """Ids of all open operations with their age in seconds, oldest first."""
    operations, at = tables.operations, now()
    rows = connection.execute(
        select(operations.c.id, operations.c.created_at)
        .where(operations.c.state.in_(OPEN))
        .order_by(operations.c.created_at)
    )
    return [(row.id, (at - row.created_at).total_seconds()) for row in rows]


def stray_claims(connection: Connection) -> list[str]:
    """Operations that hold or wait for something although they are over or unknown."""
    claims, operations = tables.claims, tables.operations
    open_ids = select(operations.c.id).where(operations.c.state.in_(OPEN))
    rows = connection.execute(select(claims.c.operation).where(claims.c.operation.not_in(open_ids)).distinct())
    held = [row.operation for row in rows]
    for table in CLAIMABLE.values():
        holders = select(table.c.claimed_by).where(table.c.claimed_by.is_not(None), table.c.claimed_by.not_in(open_ids))
        held += [row.claimed_by for row in connection.execute(holders)]
    return sorted(set(held))


def stray_statuses(connection: Connection) -> list[tuple[str, str, str]]:
    """Kind, id and status of shares, snapshots and instances in a passing state that no operation holds."""
    found: list[tuple[str, str, str]] = []
    for table, resting in ((tables.shares, ("available",)), (tables.snapshots, ("available",))):
        rows = connection.execute(
            select(table.c.id, table.c.status).where(table.c.claimed_by.is_(None), table.c.status.not_in(resting))
        )
        found += [(table.name.removesuffix("s"), row.id, row.status) for row in rows]
    instances = tables.instances
    free = instances.c.claimed_by.is_(None)
    moving = select(instances.c.id, instances.c.role).where(free, instances.c.role.in_(PASSING_ROLES))
    passing = select(instances.c.id, instances.c.status).where(
        free, instances.c.role == replicas.ROLE, instances.c.status != "available"
    )
    for statement in (moving, passing):
        found += [("instance", row[0], row[1]) for row in connection.execute(statement)]
    return found


def replicas_without_sync(connection: Connection) -> Sequence[RowMapping]:
    """Replicas, with their share's project, whose sync is over or unknown although they are replicas still."""
    kept, instances, shares, operations = tables.replicas, tables.instances, tables.shares, tables.operations
    open_ids = select(operations.c.id).where(operations.c.state.in_(OPEN))
    statement = (
        select(kept.c.id, kept.c.share_id, kept.c.sync_operation, shares.c.project)
        .join(instances, instances.c.id == kept.c.id)
        .join(shares, shares.c.id == kept.c.share_id)
        .where(instances.c.status == "available", kept.c.sync_operation.not_in(open_ids))
        .order_by(kept.c.id)
    )
    return connection.execute(statement).mappings().all()
