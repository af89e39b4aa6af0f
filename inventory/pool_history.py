"""What pools were at the moment of a decision, so that it can be worked out again at any later time.

A clock of one row counts the changes of pools: every change gives its pool the next revision. A decision notes the
revision it was made at. When a pool changes whose row a decision has looked at, the row as it was is kept with the
revisions from which and until which it was true; what no decision has looked at is not kept, so that surveys that come
every minute cost nothing.

Everything here is called inside a write transaction that holds :attr:`~inventory.database.Turn.ACCOUNTS`.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import BigInteger, ColumnElement, Connection, Insert, RowMapping, bindparam, insert, select, update

from inventory import tables

_CLOCK = tables.pool_clock
_COPIED = [column.name for column in tables.pool_history.c if column.name in tables.pools.c]
_TICK = update(_CLOCK).values(revision=_CLOCK.c.revision + 1).returning(_CLOCK.c.revision)
_DECIDED = update(_CLOCK).values(decided=_CLOCK.c.revision).returning(_CLOCK.c.revision)
_NOW = select(_CLOCK.c.revision)


def next_revision(connection: Connection) -> int:
    """The revision of a change that is about to be made."""
    return int(connection.execute(_TICK).scalar_one())


def revision(connection: Connection) -> int:
    """The revision of the last change."""
    return int(connection.execute(_NOW).scalar_one())


def decided(connection: Connection) -> int:
    """Note that a decision looks at all pools as they are now; returns the revision that it is made at."""
    return int(connection.execute(_DECIDED).scalar_one())


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
    pools = tables.pools
    return connection.execute(select(pools).where(pools.c.revision > revision_)).mappings().all()
