"""What pools were at the moment of a decision, so that it can be worked out again at any later time.

A clock of one row counts the changes of pools: every change gives its pool the next revision. A decision notes the
revision it was made at. When a pool changes whose row a decision has looked at, the row as it was is kept with the
revisions from which and until which it was true; what no decision has looked at is not kept, so that surveys that come
every minute cost nothing.

Everything here is called inside a write transaction that holds :attr:`~inventory.database.Turn.ACCOUNTS`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Insert,
    RowMapping,
    bindparam,
    func,
    insert,
    select,
    update,
)

from inventory import tables

_CLOCK = tables.pool_clock
_COPIED = [column.name for column in tables.pool_history.c if column.name in tables.pools.c]
_TICK = update(_CLOCK).values(revision=_CLOCK.c.revision + 1).returning(_CLOCK.c.revision)
_SPECS = select(func.coalesce(func.max(tables.spec_revisions.c.revision), 0)).scalar_subquery()
# One statement each, as every placement runs one of them.
_DECIDED = update(_CLOCK).values(decided=_CLOCK.c.revision).returning(_CLOCK.c.revision, _SPECS)
_DECIDED_TO_CHANGE = (
    update(_CLOCK)
    .values(decided=_CLOCK.c.revision, revision=_CLOCK.c.revision + 1)
    .returning(_CLOCK.c.decided, _SPECS, _CLOCK.c.revision)
)
_NOW = select(_CLOCK.c.revision, _SPECS)
_CHANGED = select(tables.pools).where(tables.pools.c.revision > bindparam("since"))


class Moment(NamedTuple):
    """What a decision is made at: the revision of the pools, and that of the specs (0 before the first set)."""

    pools: int
    specs: int


def next_revision(connection: Connection) -> int:
    """The revision of a change that is about to be made."""
    return int(connection.execute(_TICK).scalar_one())


def moment(connection: Connection) -> Moment:
    """The last change of a pool, and the set of specs that counts."""
    return Moment(*connection.execute(_NOW).one())


def decided(connection: Connection) -> Moment:
    """As :func:`moment`; notes that a decision looks at all pools as they are now."""
    return Moment(*connection.execute(_DECIDED).one())


def decided_to_change(connection: Connection) -> tuple[Moment, int]:
    """As :func:`decided`, for a decision that one change of one pool follows; with the revision of that change."""
    pools, specs, until = connection.execute(_DECIDED_TO_CHANGE).one()
    return Moment(pools, specs), until


def keeping(where: ColumnElement[bool]) -> Insert:
    """The statement that keeps the rows of pools that are about to change, where a decision has looked at them.

    Its parameter ``until_revision`` is the revision of the change.
    """
    pools = tables.pools
    seen = select(_CLOCK.c.decided).scalar_subquery()
    until = bindparam("until_revision", type_=BigInteger).label("until")
    rows = select(*(pools.c[name] for name in _COPIED), until).where(where, pools.c.revision <= seen)
    return insert(tables.pool_history).from_select([*_COPIED, "until"], rows)


_KEEP_ONE = keeping(tables.pools.c.id == bindparam("pool"))


def change(connection: Connection, pool_id: str) -> int:
    """The revision for a change of one pool, whose row is kept where a decision has looked at it."""
    until = next_revision(connection)
    connection.execute(_KEEP_ONE, {"pool": pool_id, "until_revision": until})
    return until


def at(connection: Connection, revision_: int) -> Sequence[RowMapping]:
    """All pools that were declared at a revision at which a decision was made, as they were then."""
    pools, history = tables.pools, tables.pool_history
    columns = [column.name for column in pools.c if column.name in _COPIED]
    still = select(*(pools.c[name] for name in columns)).where(pools.c.revision <= revision_)
    then = select(*(history.c[name] for name in columns)).where(
        history.c.revision <= revision_, history.c.until > revision_
    )
    rows = [*connection.execute(still).mappings(), *connection.execute(then).mappings()]
    return [row for row in rows if not row["retired"]]


def changed_since(connection: Connection, revision_: int) -> Sequence[RowMapping]:
    """The rows of pools that have changed after a revision, retired ones included."""
    return connection.execute(_CHANGED, {"since": revision_}).mappings().all()
