"""The shares and replicas that an evacuation has to move, and what became of each.

The migration of a share is ``<evacuation>/<share id>``, that of a replica ``<evacuation>/<id of the replica>``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    RowMapping,
    Select,
    and_,
    case,
    cast,
    func,
    literal,
    or_,
    select,
)

from inventory import fan_out, tables
from inventory.operations import OPEN
from shareflow.contracts.evacuation_steps import ChildView, EvacuationReport, LeavingShare, NotMoved
from shareflow.contracts.operations import OperationState

_MIGRATION, _MOVE = "MigrateShare", "MigrateReplica"
_LEAVING = ("active", "replica")


def _there(pools: Sequence[str]) -> ColumnElement[bool]:
    """Instances on these pools that have to leave."""
    instances = tables.instances
    return and_(
        instances.c.share_id == tables.shares.c.id,
        instances.c.role.in_(_LEAVING),
        instances.c.pool_id.in_(list(pools)),
    )


def _key() -> ColumnElement[str]:
    """What an instance that leaves is called: a share by its own id, a replica by that of its instance."""
    instances = tables.instances
    return case((instances.c.role == "replica", instances.c.id), else_=tables.shares.c.id)


def _leaving(row: RowMapping, snapshots: int) -> LeavingShare:
    share = row["id"] if row["key"] != row["id"] else ""
    return LeavingShare(id=row["key"], name=row["name"], project=row["project"], snapshots=snapshots, share=share)


def _snapshots(connection: Connection, share_ids: Sequence[str]) -> dict[str, int]:
    snapshots = tables.snapshots
    counted = (
        select(snapshots.c.share_id, func.count())
        .where(snapshots.c.share_id.in_(list(share_ids)))
        .group_by(snapshots.c.share_id)
    )
    return {row[0]: row[1] for row in connection.execute(counted)}


def _shares(connection: Connection, statement: Select[Any]) -> list[LeavingShare]:
    rows = connection.execute(statement).mappings().all()
    counts = _snapshots(connection, [row["id"] for row in rows])
    return [_leaving(row, counts.get(row["id"], 0)) for row in rows]


def next_shares(
    connection: Connection, evacuation: str, pools: Sequence[str], after: str, limit: int
) -> list[LeavingShare]:
    """Shares in view on these pools, and replicas of such, without a migration by the evacuation; in order of ids."""
    shares, key = tables.shares, _key()
    asked = (
        select(shares.c.id, shares.c.name, shares.c.project, key.label("key"))
        .join(tables.instances, _there(pools))
        .where(*_waits(evacuation), key > after)
        .order_by(key)
        .limit(limit)
    )
    return _shares(connection, asked)


def _waits(evacuation: str) -> tuple[ColumnElement[bool], ...]:
    """Its turn is still to come."""
    going = tables.instances.c.status != "deleting"
    return tables.shares.c.in_view.is_(True), going, ~fan_out.had(evacuation, _key())


def waiting(connection: Connection, evacuation: str, pools: Sequence[str]) -> int:
    """So many shares and replicas are still to begin to move."""
    counted = select(func.count()).select_from(tables.shares).join(tables.instances, _there(pools))
    return int(connection.execute(counted.where(*_waits(evacuation))).scalar_one())


def counts(connection: Connection, pools: Sequence[str], *, in_view: bool = True, role: str = "") -> tuple[int, int]:
    """Shares and replicas on these pools, in view or in the recycle bin, and their bytes; or only one of the two."""
    shares = tables.shares
    counted = (
        select(func.count(), func.coalesce(func.sum(shares.c.size), 0))
        .select_from(shares)
        .join(tables.instances, _there(pools))
        .where(shares.c.in_view.is_(in_view), *([tables.instances.c.role == role] if role else []))
    )
    number, size = connection.execute(counted).one()
    return int(number), int(size)


def children(connection: Connection, evacuation: str, leaving: Sequence[str]) -> list[ChildView]:
    """The migrations of these shares and replicas; one that has not begun has no state."""
    found = fan_out.begun(connection, evacuation, leaving)
    known = _known(connection, leaving, [row["share_id"] for row in found.values()])
    return [_child(found.get(one), one, known) for one in leaving]


def _known(connection: Connection, leaving: Sequence[str], also: Sequence[str]) -> dict[str, RowMapping]:
    """The shares that are meant, by their own ids and by those of their replicas that are there still."""
    shares, instances = tables.shares, tables.instances
    columns = (shares.c.id, shares.c.name, shares.c.project)
    by_id = select(*columns, shares.c.id.label("key")).where(shares.c.id.in_([*leaving, *also]))
    by_replica = select(*columns, instances.c.id.label("key")).join(instances, instances.c.share_id == shares.c.id)
    by_replica = by_replica.where(instances.c.id.in_(list(leaving)), instances.c.role == "replica")
    return {row["key"]: row for asked in (by_id, by_replica) for row in connection.execute(asked).mappings()}


def under_way(connection: Connection, evacuation: str) -> list[ChildView]:
    """The migrations of an evacuation that have begun and not ended."""
    return children(connection, evacuation, fan_out.under_way(connection, evacuation, _MIGRATION, _MOVE))


def _child(row: RowMapping | None, key: str, known: Mapping[str, RowMapping]) -> ChildView:
    share = known.get(key) or (known.get(row["share_id"]) if row is not None else None)
    name, project, share_id = ("", "", "") if share is None else (share["name"], share["project"], share["id"])
    moves = row is not None and row["kind"] == _MOVE
    of = share_id if moves or share_id != key else ""
    leaving = LeavingShare(id=key, name=name or key, project=project, snapshots=0, share=of)
    if row is None:
        return ChildView(share=leaving)
    memory = ((row["begun"] or {}).get("migration") or {}).get("memory") or {}
    result = row["result"] or {}
    return ChildView(
        share=leaving,
        state=row["state"],
        copied=bool(memory.get("copied")),
        moved=result.get("outcome") == "migrated",
        bytes_moved=result.get("bytes_moved", memory.get("bytes_moved", 0)),
        trouble=fan_out.trouble(row),
    )


def report(
    connection: Connection, evacuation: str, pools: Sequence[str], limit: int, *, ended: bool = True
) -> EvacuationReport:
    """What an evacuation has moved, and which shares are still there though their turn is over, or never comes.

    Until it has ``ended`` those whose turn is still to come are not among them, nor those that come there.
    """
    of = tables.operations
    size_of = cast(of.c.result["bytes_moved"].as_string(), BigInteger)
    moved = select(func.count(), func.coalesce(func.sum(size_of), 0)).where(
        fan_out.own(evacuation, _MIGRATION, _MOVE),
        of.c.state == OperationState.SUCCEEDED.value,
        of.c.result["outcome"].as_string() == "migrated",
    )
    number, size = connection.execute(moved).one()
    replicas, _ = connection.execute(moved.where(of.c.kind == _MOVE)).one()
    return EvacuationReport(
        moved=int(number),
        replicas_moved=int(replicas),
        bytes_moved=int(size),
        not_moved=not_moved(connection, evacuation, pools, limit, ended=ended),
    )


def not_moved(
    connection: Connection, evacuation: str, pools: Sequence[str], limit: int, *, ended: bool = True
) -> list[NotMoved]:
    """What is on these pools, or comes to them, with no migration of it under way; with the reason. As :func:`report`.

    A share with replicas there is told once more for each of them.
    """
    shares, of, instances = tables.shares, tables.operations, tables.instances
    mine = literal(f"{evacuation}/").concat(_key())
    asked = (
        select(
            shares.c.id, shares.c.name, shares.c.project, shares.c.in_view, shares.c.purge_at, instances.c.role,
            instances.c.claimed_by, instances.c.id.label("instance_id"), of.c.id.label("operation"), of.c.state,
            of.c.failure, of.c.left_over,
        )
        .select_from(shares)
        .join(instances, and_(instances.c.share_id == shares.c.id, instances.c.pool_id.in_(list(pools))))
        .join(of, of.c.id == mine, isouter=True)
        .where(
            instances.c.role.in_(("active", "destination", "replica")),
            func.coalesce(of.c.state, "").not_in(OPEN),
            *([] if ended else [or_(of.c.id.is_not(None), shares.c.in_view.is_(False))]),
        )
        .order_by(shares.c.project, shares.c.name, shares.c.id, instances.c.id)
        .limit(limit)
    )  # fmt: skip
    return [
        NotMoved(
            share_id=row["id"],
            name=row["name"],
            project=row["project"],
            reason=_reason(row),
            operation=row["operation"] or "",
            replica=row["instance_id"] if row["role"] == "replica" else "",
        )
        for row in connection.execute(asked).mappings()
    ]


def _reason(row: RowMapping) -> str:
    if row["role"] == "destination":
        return f"operation {row['claimed_by']} moves it here"
    if not row["in_view"]:
        until = f" until {row['purge_at']:%Y-%m-%d %H:%M:%S} UTC" if row["purge_at"] else ""
        return f"it is in the recycle bin{until}; purge it, or restore it and evacuate again"
    if row["operation"] is None:
        return "it was not its turn"
    return fan_out.trouble(row) or "it came back"
