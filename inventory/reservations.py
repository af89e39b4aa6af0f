"""Capacity and quota, set aside by one conditional statement each and keyed by operation.

A reservation is ``pending`` from the moment it is taken until its operation commits it (the resource row then carries
the bytes) or voids it. At every instant ``pools.allocated_bytes`` is the sum over instances, snapshot instances,
tombstones and pending reservations of that pool, and never above ``limit_bytes``.
"""

from __future__ import annotations

from contextlib import suppress

from sqlalchemy import Connection, Table, and_, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from inventory import tables
from inventory.database import now
from shareflow.contracts.units import format_size
from shareflow.errors import QuotaExceeded

DEFAULT_PROJECT = "*"


def _known(connection: Connection, operation: str, scope: str, target: str) -> str | None:
    reservations = tables.reservations
    return connection.execute(
        select(reservations.c.state).where(
            reservations.c.operation == operation,
            reservations.c.scope == scope,
            reservations.c.target == target,
            reservations.c.state != "void",
        )
    ).scalar()


def _note(
    connection: Connection,
    operation: str,
    scope: str,
    target: str,
    *,
    size: int = 0,
    shares: int = 0,
    snapshots: int = 0,
) -> None:
    reservations = tables.reservations
    key = and_(
        reservations.c.operation == operation, reservations.c.scope == scope, reservations.c.target == target
    )
    values = {"state": "pending", "bytes": size, "shares": shares, "snapshots": snapshots, "created_at": now()}
    # A voided row of the same key is taken again (a pool that was excluded and comes back).
    if connection.execute(update(reservations).where(key).values(values)).rowcount == 0:
        connection.execute(insert(reservations).values(operation=operation, scope=scope, target=target, **values))


def reserve_capacity(connection: Connection, operation: str, pool_id: str, size: int) -> bool:
    """Set bytes aside in a pool; False when they do not fit. Repeating it for the same operation changes nothing."""
    if _known(connection, operation, "pool", pool_id):
        return True
    pools = tables.pools
    taken = connection.execute(
        update(pools)
        .where(
            pools.c.id == pool_id,
            pools.c.retired.is_(False),
            or_(pools.c.limit_bytes.is_(None), pools.c.allocated_bytes + size <= pools.c.limit_bytes),
        )
        .values(allocated_bytes=pools.c.allocated_bytes + size)
    )
    if taken.rowcount != 1:
        return False
    _note(connection, operation, "pool", pool_id, size=size)
    return True


def _quota_row(connection: Connection, project: str) -> None:
    quotas = tables.quotas
    if connection.execute(select(quotas.c.project).where(quotas.c.project == project)).first() is None:
        default = connection.execute(select(quotas).where(quotas.c.project == DEFAULT_PROJECT)).mappings().first()
        limits = {key: default[key] if default else None for key in ("shares_limit", "bytes_limit", "snapshots_limit")}
        # Another transaction may insert the same row first; then its row is as good.
        with suppress(IntegrityError), connection.begin_nested():
            connection.execute(insert(quotas).values(project=project, own_limits=False, **limits))


def _room(used: str, limit: str, amount: int) -> object:
    quotas: Table = tables.quotas
    return or_(quotas.c[limit].is_(None), quotas.c[used] + amount <= quotas.c[limit])


def reserve_quota(
    connection: Connection, operation: str, project: str, *, size: int = 0, shares: int = 0, snapshots: int = 0
) -> None:
    """Set quota aside. Repeating it for the same operation changes nothing.

    Raises:
        QuotaExceeded: the limit, the use and what was asked for; nothing was changed.
    """
    if _known(connection, operation, "quota", project):
        return
    quotas = tables.quotas
    values = {
        "shares_used": quotas.c.shares_used + shares,
        "bytes_used": quotas.c.bytes_used + size,
        "snapshots_used": quotas.c.snapshots_used + snapshots,
    }
    asked = {"shares": shares, "bytes": size, "snapshots": snapshots}
    conditions = [_room(f"{key}_used", f"{key}_limit", amount) for key, amount in asked.items() if amount > 0]
    statement = update(quotas).where(quotas.c.project == project, *conditions).values(values)  # type: ignore[arg-type]
    if connection.execute(statement).rowcount == 0:
        _quota_row(connection, project)
        if connection.execute(statement).rowcount == 0:
            raise _exceeded(connection, project, asked)
    _note(connection, operation, "quota", project, size=size, shares=shares, snapshots=snapshots)


def _exceeded(connection: Connection, project: str, asked: dict[str, int]) -> QuotaExceeded:
    row = connection.execute(select(tables.quotas).where(tables.quotas.c.project == project)).mappings().one()
    for key, amount in asked.items():
        limit, used = row[f"{key}_limit"], row[f"{key}_used"]
        if amount > 0 and limit is not None and used + amount > limit:
            shown = (format_size(amount), format_size(used), format_size(limit)) if key == "bytes" else (amount, used, limit)
            return QuotaExceeded(
                f"project {project} asks for {shown[0]} more {key}, uses {shown[1]} and may use {shown[2]}",
                hint="delete or purge something (the recycle bin counts), or have the quota raised in its spec",
            )
    return QuotaExceeded(f"project {project} is at its quota", hint="try again")


def commit(connection: Connection, operation: str) -> None:
    """Pending reservations become committed; the caller's resource rows carry the bytes from now on."""
    _settle(connection, operation, "committed")


def void(connection: Connection, operation: str, *, scope: str | None = None, target: str | None = None) -> None:
    """Give pending reservations back, all of the operation's or those of one scope or target."""
    reservations = tables.reservations
    where = [reservations.c.operation == operation, reservations.c.state == "pending"]
    if scope is not None:
        where.append(reservations.c.scope == scope)
    if target is not None:
        where.append(reservations.c.target == target)
    rows = connection.execute(select(reservations).where(*where).order_by(reservations.c.scope.desc())).all()
    for row in rows:
        if row.scope == "pool":
            give_back_capacity(connection, row.target, row.bytes)
        else:
            give_back_quota(connection, row.target, size=row.bytes, shares=row.shares, snapshots=row.snapshots)
    connection.execute(update(reservations).where(*where).values(state="void"))


def _settle(connection: Connection, operation: str, state: str) -> None:
    reservations = tables.reservations
    connection.execute(
        update(reservations)
        .where(reservations.c.operation == operation, reservations.c.state == "pending")
        .values(state=state)
    )


def give_back_capacity(connection: Connection, pool_id: str, size: int) -> None:
    """Bytes leave a pool's sum together with the row that carried them."""
    if size:
        pools = tables.pools
        connection.execute(
            update(pools).where(pools.c.id == pool_id).values(allocated_bytes=pools.c.allocated_bytes - size)
        )


def give_back_quota(
    connection: Connection, project: str, *, size: int = 0, shares: int = 0, snapshots: int = 0
) -> None:
    """Quota leaves a project's use together with the rows that carried it."""
    quotas = tables.quotas
    connection.execute(
        update(quotas)
        .where(quotas.c.project == project)
        .values(
            shares_used=quotas.c.shares_used - shares,
            bytes_used=quotas.c.bytes_used - size,
            snapshots_used=quotas.c.snapshots_used - snapshots,
        )
    )
