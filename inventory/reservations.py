"""Capacity with floors, and quota, set aside by one conditional statement each and keyed by operation.

A reservation is ``pending`` from the moment it is taken until its operation commits it (the resource row then carries
the bytes and floors) or voids it. At every instant ``pools.allocated_bytes`` is the sum over instances, snapshot
instances, tombstones and pending reservations of that pool, and never above ``limit_bytes``; ``pools.iops_promised``
and ``pools.throughput_promised`` are the sums of floors over the same rows, and no reservation takes them above their
budgets. Every function here first waits for :attr:`~inventory.database.Turn.ACCOUNTS`.
"""

from __future__ import annotations

from enum import Enum
from functools import cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Insert,
    RowMapping,
    Update,
    and_,
    bindparam,
    delete,
    literal,
    or_,
    select,
    update,
)

from inventory import pool_history, tables
from inventory.database import Turn, insert_absent, now
from shareflow.contracts.qos import NO_FLOORS, Floors
from shareflow.contracts.units import format_size
from shareflow.errors import QuotaExceeded

DEFAULT_PROJECT = "*"
VOID = "void"
MOST = 2**63 - 1
"""What a sum can count. SQLite would go on with rounded numbers beyond it."""


def _room(used: ColumnElement[int], limit: ColumnElement[int], amount: ColumnElement[int]) -> ColumnElement[bool]:
    return and_(used <= literal(MOST, BigInteger) - amount, or_(limit.is_(None), used <= limit - amount))


# Statements are built once: on the way of every operation, building one costs as much as running it.
_KEY = and_(
    tables.reservations.c.operation == bindparam("of"),
    tables.reservations.c.scope == bindparam("in_scope"),
    tables.reservations.c.target == bindparam("on"),
)
_NOTE_AGAIN = update(tables.reservations).where(_KEY, tables.reservations.c.state == VOID)
_VOID_AGAIN = update(tables.reservations).where(_KEY).values(state=VOID)
_FORGET = delete(tables.reservations).where(_KEY)
_SETTLE = update(tables.reservations).where(
    tables.reservations.c.operation == bindparam("of"), tables.reservations.c.state == "pending"
)


@cache
def _take(asked: tuple[str, ...]) -> tuple[Insert, Update]:
    """Takes ``bytes``, ``iops`` and ``throughput`` of a pool, those that are asked for, or nothing at all.

    The first statement keeps the row as a decision saw it, under the same condition as the second one, which takes.
    """
    pools = tables.pools
    room: list[ColumnElement[bool]] = [pools.c.id == bindparam("pool"), pools.c.retired.is_(False)]
    values: dict[str, ColumnElement[int]] = {}
    for key in asked:
        amount = bindparam(f"more_{key}", type_=BigInteger)
        if key == "bytes":
            sum_, limit = pools.c.allocated_bytes, pools.c.limit_bytes
            room.append(_room(sum_, limit, amount + bindparam("kept_back", type_=BigInteger)))
        else:
            sum_, limit = pools.c[f"{key}_promised"], pools.c[f"{key}_budget"]
            room.append(limit.is_not(None))  # what no budget backs is not promised
            room.append(_room(sum_, limit, amount))
        values[sum_.name] = sum_ + amount
    changed = {**values, "revision": bindparam("until_revision", type_=BigInteger)}
    return pool_history.keeping(and_(*room)), update(pools).where(*room).values(changed)


@cache
def _take_quota(asked: tuple[str, ...]) -> Update:
    """Takes ``shares``, ``bytes`` and ``snapshots``, those that are asked for."""
    quotas = tables.quotas
    amounts = {key: bindparam(f"more_{key}", type_=BigInteger) for key in asked}
    room = [_room(quotas.c[f"{key}_used"], quotas.c[f"{key}_limit"], amount) for key, amount in amounts.items()]
    values = {f"{key}_used": quotas.c[f"{key}_used"] + amount for key, amount in amounts.items()}
    return update(quotas).where(quotas.c.project == bindparam("of_project"), *room).values(values)


class Noted(Enum):
    """What noting a reservation found: none of its key, a voided one, or one that stands."""

    NEW = "new"
    AGAIN = "again"
    BEFORE = "before"


def _note(
    connection: Connection,
    operation: str,
    scope: str,
    target: str,
    *,
    size: int = 0,
    shares: int = 0,
    snapshots: int = 0,
    floors: Floors = NO_FLOORS,
) -> Noted:
    """Write the row before the room is taken: nearly always nothing of its key is there, and nobody need look."""
    amounts = {"bytes": size, "shares": shares, "snapshots": snapshots, **floors._asdict()}
    values = {"state": "pending", **amounts, "created_at": now()}
    if insert_absent(
        connection, tables.reservations, {"operation": operation, "scope": scope, "target": target, **values}
    ):
        return Noted.NEW
    # A voided row of the same key is taken again: a pool that was excluded and comes back.
    again = connection.execute(_NOTE_AGAIN, {"of": operation, "in_scope": scope, "on": target, **values})
    return Noted.AGAIN if again.rowcount == 1 else Noted.BEFORE


def _take_back(connection: Connection, operation: str, scope: str, target: str, noted: Noted) -> None:
    """There is no room: the row is again what it was before it was noted."""
    statement = _FORGET if noted is Noted.NEW else _VOID_AGAIN
    connection.execute(statement, {"of": operation, "in_scope": scope, "on": target})


def reserve_capacity(
    connection: Connection,
    operation: str,
    pool_id: str,
    size: int,
    floors: Floors = NO_FLOORS,
    *,
    kept_back: int = 0,
    revision: int | None = None,
) -> bool:
    """Set bytes and floors aside in a pool, all or nothing; False when they do not fit.

    Repeating it for the same operation changes nothing. What is nothing fits everywhere.

    Args:
        connection: a write transaction.
        operation: who reserves.
        pool_id: where.
        size: bytes.
        floors: promises of performance.
        kept_back: bytes of the pool's limit that this request does not get (the reserve of its purpose).
        revision: of this change, when the clock of pools has counted it already.
    """
    Turn.ACCOUNTS.take(connection)
    noted = _note(connection, operation, "pool", pool_id, size=size, floors=floors)
    if noted is Noted.BEFORE:
        return True
    amounts = {"bytes": size, **floors._asdict()}
    if not _taken(connection, pool_id, amounts, kept_back, revision):
        _take_back(connection, operation, "pool", pool_id, noted)
        return False
    return True


def _taken(
    connection: Connection, pool_id: str, amounts: dict[str, int], kept_back: int, revision: int | None = None
) -> bool:
    """Whether a pool had room for all of this; then its sums have grown by it."""
    asked = tuple(key for key, amount in amounts.items() if amount)
    if not asked:
        return True
    keep, take = _take(asked)
    until = pool_history.next_revision(connection) if revision is None else revision
    values = {"pool": pool_id, "until_revision": until, **{f"more_{key}": amounts[key] for key in asked}}
    if amounts["bytes"]:
        values["kept_back"] = kept_back
    connection.execute(keep, values)
    return connection.execute(take, values).rowcount == 1


def pending_in(connection: Connection, operation: str, pool_id: str) -> RowMapping | None:
    """What an operation has set aside in a pool and not yet committed."""
    pending = select(tables.reservations).where(_KEY, tables.reservations.c.state == "pending")
    return connection.execute(pending, {"of": operation, "in_scope": "pool", "on": pool_id}).mappings().first()


def grow_pending(
    connection: Connection, operation: str, pool_id: str, size: int, floors: Floors = NO_FLOORS, *, kept_back: int = 0
) -> bool:
    """Set more aside under an operation's pending reservation, all or nothing; False when it does not fit.

    Every call adds: the caller sees to it that it is made once.
    """
    Turn.ACCOUNTS.take(connection)
    if pending_in(connection, operation, pool_id) is None:
        return False
    if not _taken(connection, pool_id, {"bytes": size, **floors._asdict()}, kept_back):
        return False
    _add_pending(connection, operation, pool_id, size, floors)
    return True


def shrink_pending(connection: Connection, operation: str, pool_id: str, size: int, floors: Floors = NO_FLOORS) -> None:
    """Give a part of an operation's pending reservation back to the pool. Every call takes away."""
    Turn.ACCOUNTS.take(connection)
    if pending_in(connection, operation, pool_id) is None:
        return
    give_back_capacity(connection, pool_id, size, floors)
    _add_pending(connection, operation, pool_id, -size, Floors(-floors.iops, -floors.throughput))


def _add_pending(connection: Connection, operation: str, pool_id: str, size: int, floors: Floors) -> None:
    rows = tables.reservations
    values = {"bytes": rows.c.bytes + size, "iops": rows.c.iops + floors.iops}
    values["throughput"] = rows.c.throughput + floors.throughput
    connection.execute(
        update(rows)
        .where(rows.c.operation == operation, rows.c.scope == "pool", rows.c.target == pool_id)
        .values(**values)
    )


def _quota_row(connection: Connection, project: str) -> None:
    quotas = tables.quotas
    default = connection.execute(select(quotas).where(quotas.c.project == DEFAULT_PROJECT)).mappings().first()
    limits = {key: default[key] if default else None for key in ("shares_limit", "bytes_limit", "snapshots_limit")}
    insert_absent(connection, quotas, {"project": project, "own_limits": False, **limits})


def reserve_quota(
    connection: Connection, operation: str, project: str, *, size: int = 0, shares: int = 0, snapshots: int = 0
) -> None:
    """Set quota aside. Repeating it for the same operation changes nothing.

    Raises:
        QuotaExceeded: the limit, the use and what was asked for; nothing was changed.
    """
    Turn.ACCOUNTS.take(connection)
    noted = _note(connection, operation, "quota", project, size=size, shares=shares, snapshots=snapshots)
    if noted is Noted.BEFORE:
        return
    asked = {key: amount for key, amount in (("shares", shares), ("bytes", size), ("snapshots", snapshots)) if amount}
    if asked:
        statement = _take_quota(tuple(asked))
        values = {"of_project": project, **{f"more_{key}": amount for key, amount in asked.items()}}
        if connection.execute(statement, values).rowcount == 0:
            _quota_row(connection, project)
            if connection.execute(statement, values).rowcount == 0:
                _take_back(connection, operation, "quota", project, noted)
                raise _exceeded(connection, project, asked)


def _exceeded(connection: Connection, project: str, asked: dict[str, int]) -> QuotaExceeded:
    row = connection.execute(select(tables.quotas).where(tables.quotas.c.project == project)).mappings().one()
    for key, amount in asked.items():
        limit, used = row[f"{key}_limit"], row[f"{key}_used"]
        if amount > 0 and limit is not None and used + amount > limit:
            show = format_size if key == "bytes" else str
            return QuotaExceeded(
                f"project {project} asks for {show(amount)} more {key}, uses {show(used)} and may use {show(limit)}",
                hint="delete or purge something (the recycle bin counts), or have the quota raised in its spec",
            )
    return QuotaExceeded(f"project {project} would use more than can be counted", hint="set its quota below 8 EiB")


def commit(connection: Connection, operation: str) -> None:
    """Pending reservations become committed; the caller's resource rows carry the bytes from now on."""
    _settle(connection, operation, "committed")


def carried(connection: Connection, operation: str, pool_id: str) -> None:
    """What is pending in a pool is carried by the caller's rows from now on; the operation may take there again."""
    key = {"of": operation, "in_scope": "pool", "on": pool_id}
    connection.execute(_VOID_AGAIN, key)


def void(connection: Connection, operation: str, *, scope: str | None = None, target: str | None = None) -> None:
    """Give pending reservations back, all of the operation's or those of one scope or target."""
    reservations = tables.reservations
    where = [reservations.c.operation == operation, reservations.c.state == "pending"]
    if scope is not None:
        where.append(reservations.c.scope == scope)
    if target is not None:
        where.append(reservations.c.target == target)
    for row in connection.execute(select(reservations).where(*where)).all():
        if row.scope == "pool":
            give_back_capacity(connection, row.target, row.bytes, Floors(row.iops, row.throughput))
        else:
            give_back_quota(connection, row.target, size=row.bytes, shares=row.shares, snapshots=row.snapshots)
    connection.execute(update(reservations).where(*where).values(state="void"))


def _settle(connection: Connection, operation: str, state: str) -> None:
    connection.execute(_SETTLE, {"of": operation, "state": state})


def give_back_capacity(connection: Connection, pool_id: str, size: int, floors: Floors = NO_FLOORS) -> None:
    """Bytes and floors leave a pool's sums together with the row that carried them."""
    if not size and floors == NO_FLOORS:
        return
    Turn.ACCOUNTS.take(connection)
    pools = tables.pools
    values: dict[str, Any] = {"allocated_bytes": pools.c.allocated_bytes - size}
    values |= {
        f"{kind}_promised": pools.c[f"{kind}_promised"] - floor for kind, floor in floors._asdict().items() if floor
    }
    values["revision"] = pool_history.change(connection, pool_id)
    connection.execute(update(pools).where(pools.c.id == pool_id).values(values))


def give_back_quota(
    connection: Connection, project: str, *, size: int = 0, shares: int = 0, snapshots: int = 0
) -> None:
    """Quota leaves a project's use together with the rows that carried it."""
    Turn.ACCOUNTS.take(connection)
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
