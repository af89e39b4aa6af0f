"""The inventory's side of comparing a backend with the inventory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, RowMapping, select, update

from inventory import reservations, tables
from inventory.database import now
from inventory.operations import OPEN
from shareflow.contracts.qos import NO_FLOORS, Floors


@dataclass(frozen=True, slots=True)
class Expected:
    """An object that the inventory expects in a pool.

    Attributes:
        kind: ``share``, ``snapshot`` or ``tombstone``.
        settled: no operation holds it, so it must be there now, whole and of this size.
        status: of the share, for its access mode.
        floors: what it carries of its pool's promises.
    """

    kind: str
    id: str
    object: str
    size: int
    allocated: int
    settled: bool
    status: str
    floors: Floors = NO_FLOORS


def expected(connection: Connection, pool_id: str, objects: Sequence[str] | None = None) -> dict[str, Expected]:
    """All objects that should be in a pool, or those of the given names, by name."""
    found = [*_shares(connection, pool_id), *_snapshots(connection, pool_id), *_tombstones(connection, pool_id)]
    wanted = None if objects is None else set(objects)
    return {item.object: item for item in found if wanted is None or item.object in wanted}


def _shares(connection: Connection, pool_id: str) -> list[Expected]:
    instances, shares = tables.instances, tables.shares
    rows = connection.execute(
        select(instances, shares.c.status.label("share_status"), shares.c.claimed_by)
        .join(shares, shares.c.id == instances.c.share_id)
        .where(instances.c.pool_id == pool_id)
    )
    return [
        Expected(
            kind="share",
            id=row.share_id,
            object=row.object,
            size=row.size,
            allocated=row.allocated_bytes,
            settled=row.claimed_by is None or row.share_status == "recycle-bin",
            status=row.share_status,
        )
        for row in rows
    ]


def _snapshots(connection: Connection, pool_id: str) -> list[Expected]:
    copies, snapshots = tables.snapshot_instances, tables.snapshots
    rows = connection.execute(
        select(copies, snapshots.c.status.label("snapshot_status"), snapshots.c.claimed_by)
        .join(snapshots, snapshots.c.id == copies.c.snapshot_id)
        .where(copies.c.pool_id == pool_id)
    )
    return [
        Expected(
            kind="snapshot",
            id=row.snapshot_id,
            object=row.object,
            size=row.size,
            allocated=row.allocated_bytes,
            settled=row.claimed_by is None,
            status=row.snapshot_status,
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
    """A forgotten object is gone from its backend: its bytes and floors leave the pool's sums. Idempotent."""
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
    for table in (tables.shares, tables.snapshots):
        holders = select(table.c.claimed_by).where(table.c.claimed_by.is_not(None), table.c.claimed_by.not_in(open_ids))
        held += [row.claimed_by for row in connection.execute(holders)]
    return sorted(set(held))


def stray_statuses(connection: Connection) -> list[tuple[str, str, str]]:
    """Kind, id and status of shares and snapshots in a passing state that no operation holds."""
    found = []
    for table, resting in ((tables.shares, ("available",)), (tables.snapshots, ("available",))):
        rows = connection.execute(
            select(table.c.id, table.c.status).where(table.c.claimed_by.is_(None), table.c.status.not_in(resting))
        )
        found += [(table.name.removesuffix("s"), row.id, row.status) for row in rows]
    return found
