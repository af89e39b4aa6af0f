"""The shares that a failover promotes, or that go back, in their order, and what became of each of them.

The promotion of a share is ``<operation>/<share id>``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    Select,
    and_,
    case,
    exists,
    false,
    func,
    literal,
    or_,
    select,
    tuple_,
)

from inventory import fan_out, replicas, tables
from inventory.operations import OPEN
from shareflow.contracts.failover_steps import (
    Failover,
    FailoverReport,
    LossSum,
    NotPromoted,
    PromotableShare,
    PromotionView,
    ShareLoss,
)
from shareflow.contracts.fan_out import NamedShare
from shareflow.contracts.operations import OperationState
from shareflow.contracts.units import format_duration

_PROMOTION = "PromoteReplica"
_FAILOVER = "FailoverBackend"
_MOST_FAILOVERS = 100
"""So many failovers of a backend, the latest ones, are looked through for shares that go back."""
_PRIORITY = 5
"""Of types that say nothing."""


def failovers_of(connection: Connection, backend: str) -> list[str]:
    """The failovers of a backend, the latest first."""
    of = tables.operations
    asked = (
        select(of.c.id)
        .where(of.c.kind == _FAILOVER, of.c.request["backend"].as_string() == backend)
        .order_by(of.c.created_at.desc(), of.c.id)
        .limit(_MOST_FAILOVERS)
    )
    return list(connection.execute(asked).scalars())


# -- which shares, and in which order --------------------------------------------------------------------------------


def _active_there(failover: Failover) -> ColumnElement[bool]:
    instances = tables.instances
    return exists().where(
        instances.c.share_id == tables.shares.c.id,
        instances.c.role == "active",
        instances.c.pool_id.in_(failover.pools),
    )


def _moved_off(failover: Failover) -> ColumnElement[bool]:
    """By one of the failovers, and nobody has promoted it back since.

    Asked once for all shares, by the ids of the promotions: a look at every share would hold the inventory for long.
    """
    if not failover.failovers:
        return false()
    moved, home = tables.operations.alias("moved"), tables.operations.alias("home")
    back = (
        exists()
        .where(
            home.c.share_id == moved.c.share_id,
            home.c.kind == _PROMOTION,
            home.c.state == OperationState.SUCCEEDED.value,
            home.c.result["backend"].as_string() == failover.backend,
            home.c.ended_at > moved.c.ended_at,
        )
        .correlate(moved)
    )
    by_one = or_(*(and_(moved.c.id > f"{one}/", moved.c.id < f"{one}0") for one in failover.failovers))
    promotions = select(moved.c.share_id).where(by_one, moved.c.kind == _PROMOTION)
    return tables.shares.c.id.in_(promotions.where(moved.c.state == OperationState.SUCCEEDED.value, ~back))


def _belongs(failover: Failover) -> ColumnElement[bool]:
    """What a failover is about: what is active on the backend; of a failback what is away from it."""
    there = _active_there(failover)
    return and_(~there, _moved_off(failover)) if failover.back else there


def _where(failover: Failover) -> ColumnElement[bool]:
    """Where a replica has to be: on the backend that shares go back to, or anywhere but on the one that failed."""
    pool = tables.instances.c.pool_id
    return pool.in_(failover.pools) if failover.back else pool.not_in(failover.pools)


def _able(failover: Failover) -> ColumnElement[bool]:
    """A replica there that can be promoted, whatever its age."""
    return and_(
        _where(failover),
        tables.replicas.c.stale == "",
        tables.replicas.c.synced_at.is_not(None),
        tables.instances.c.status == "available",
    )


def _has_replica(failover: Failover) -> ColumnElement[bool]:
    kept = tables.replicas
    joined = kept.join(tables.instances, tables.instances.c.id == kept.c.id)
    return select(kept.c.id).select_from(joined).where(kept.c.share_id == tables.shares.c.id, _able(failover)).exists()


def _priority(connection: Connection) -> ColumnElement[int]:
    """Of a share: what its type says now."""
    types = tables.share_types
    current = select(types.c.name, types.c.document).where(types.c.current.is_(True))
    declared = {
        row["name"]: (row["document"].get("replicas") or {}).get("priority", _PRIORITY)
        for row in connection.execute(current).mappings()
    }
    special = {name: priority for name, priority in declared.items() if priority != _PRIORITY}
    return case({"": _PRIORITY, **special}, value=tables.shares.c.type, else_=_PRIORITY)


def next_shares(
    connection: Connection, operation: str, failover: Failover, after: str, limit: int
) -> list[PromotableShare]:
    """Shares in view that can be promoted and have had no promotion by the operation.

    In order of the priority of their types, then of projects and names.
    """
    shares = tables.shares
    order = (_priority(connection), shares.c.project, shares.c.name, shares.c.id)
    asked = (
        select(shares.c.id, shares.c.name, shares.c.project)
        .where(shares.c.in_view.is_(True), _belongs(failover), _has_replica(failover), ~fan_out.had(operation))
        .order_by(*order)
        .limit(limit)
    )
    last = connection.execute(select(*order).where(shares.c.id == after)).first() if after else None
    if last is not None:
        asked = asked.where(tuple_(*order) > tuple(last))
    rows = connection.execute(asked).mappings().all()
    best = _best(connection, failover, [row["id"] for row in rows])
    return [_promotable(failover, row, best[row["id"]]) for row in rows if row["id"] in best]


def _best(connection: Connection, failover: Failover, share_ids: Sequence[str]) -> dict[str, RowMapping]:
    """Of each share the replica that is promoted: the newest, of those whose pool answered last if there is one."""
    kept, instances, pools = tables.replicas, tables.instances, tables.pools
    asked = (
        select(
            kept.c.id, kept.c.share_id, kept.c.synced_at, kept.c.moved_bytes, kept.c.moved_seconds, kept.c.behind_bytes,
            kept.c.behind_at, kept.c.loss, pools.c.backend, pools.c.name.label("pool"),
        )
        .join(instances, instances.c.id == kept.c.id)
        .join(pools, pools.c.id == instances.c.pool_id)
        .where(kept.c.share_id.in_(list(share_ids)), _able(failover))
        .order_by(pools.c.reachable, kept.c.synced_at, kept.c.id)
    )  # fmt: skip
    return {row["share_id"]: row for row in connection.execute(asked).mappings()}  # the last one of each counts


def _promotable(failover: Failover, share: RowMapping, found: RowMapping) -> PromotableShare:
    seconds = _age(failover, found["synced_at"])
    refusal = ""
    if failover.tolerated_only and seconds > found["loss"]:
        refusal = (
            f"promoting {found['backend']}/{found['pool']} loses what was written in the last "
            f"{format_duration(round(seconds))}, and its type tolerates {format_duration(found['loss'])}"
        )
    return PromotableShare(
        id=share["id"],
        name=share["name"],
        project=share["project"],
        replica=found["id"],
        to=f"{found['backend']}/{found['pool']}",
        loss_seconds=round(seconds, 3),
        loss_bytes=replicas.missing(found) if failover.lost else 0,
        loss_rate=replicas.change_rate(found) if failover.lost else None,
        refusal=refusal,
        next_step="promote it by itself, or fail over again with accept_loss: true" if refusal else "",
    )


def _age(failover: Failover, synced_at: datetime) -> float:
    """What was not copied when the backend was declared lost; nothing after that was the share's."""
    return max(0.0, (failover.asked_at - synced_at).total_seconds()) if failover.lost else 0.0


def waiting(connection: Connection, operation: str, failover: Failover) -> int:
    """So many shares can be promoted and have had no promotion by the operation."""
    ready = (tables.shares.c.in_view.is_(True), _belongs(failover), _has_replica(failover))
    return _number(connection, *ready, ~fan_out.had(operation))


def _number(connection: Connection, *conditions: ColumnElement[bool]) -> int:
    return int(connection.execute(select(func.count()).select_from(tables.shares).where(*conditions)).scalar_one())


def count(connection: Connection, failover: Failover, *, in_view: bool | None = True) -> int:
    """Shares that it is about; in view, or with None all."""
    seen = [] if in_view is None else [tables.shares.c.in_view.is_(in_view)]
    return _number(connection, _belongs(failover), *seen)


# -- what became of them ---------------------------------------------------------------------------------------------


def children(connection: Connection, operation: str, share_ids: Sequence[str]) -> list[PromotionView]:
    """The promotions of these shares; one that has not begun has no state."""
    found = []
    for id_, row, named in fan_out.rows(connection, operation, share_ids):
        share = NamedShare(id=id_, name=named["name"] or id_, project=named["project"])
        if row is None:
            found.append(PromotionView(share=share))
            continue
        loss = None if row["result"] is None else _loss(row["id"], share, row["result"])
        found.append(PromotionView(share=share, state=row["state"], trouble=_trouble(row), loss=loss))
    return found


def _trouble(row: RowMapping) -> str:
    waits = f"waits for operation {', '.join(row['waiting_for'][:3])}" if row["waiting_for"] else ""
    return fan_out.trouble(row) or waits


def under_way(connection: Connection, operation: str) -> list[PromotionView]:
    """The promotions of an operation that have begun and not ended."""
    return children(connection, operation, fan_out.under_way(connection, operation, _PROMOTION))


def _loss(promotion: str, share: NamedShare, result: dict[str, Any]) -> ShareLoss:
    return ShareLoss(
        share_id=share.id,
        name=share.name,
        project=share.project,
        to=f"{result['backend']}/{result['pool']}",
        loss_seconds=float(result["loss_seconds"]),
        loss_bytes=result.get("loss_bytes", 0),
        loss_rate=result.get("loss_rate"),
        lost_snapshots=result["lost_snapshots"],
        operation=promotion,
    )


def sum_of(losses: Iterable[ShareLoss | PromotableShare]) -> LossSum:
    """What several shares lose together."""
    total = LossSum()
    for one in losses:
        total = total.plus(one.loss_seconds, one.loss_bytes, one.loss_rate)
    return total


def report(connection: Connection, operation: str, failover: Failover, limit: int, *, ended: bool) -> FailoverReport:
    """What it has promoted and what that lost, and which shares stay where they are.

    Until it has ``ended`` those whose turn is still to come are not among them.
    """
    losses = _losses(connection, operation)
    staying = [_belongs(failover), func.coalesce(tables.operations.c.state, "").not_in(OPEN)]
    if not ended:
        shares = tables.shares
        over = or_(tables.operations.c.id.is_not(None), shares.c.in_view.is_(False), ~_has_replica(failover))
        staying.append(over)
    counted = select(func.count()).select_from(_with_promotions(operation)).where(*staying)
    return FailoverReport(
        promoted=len(losses),
        **sum_of(losses).figures(),
        lost_snapshots=sum(len(loss.lost_snapshots) for loss in losses),
        losses=losses[:limit],
        without_replica=_number(
            connection, _belongs(failover), tables.shares.c.in_view.is_(True), ~_has_replica(failover)
        ),
        failed=int(connection.execute(counted).scalar_one()),
        not_promoted=_not_promoted(connection, operation, failover, staying, limit),
    )


def _losses(connection: Connection, operation: str) -> list[ShareLoss]:
    """The greatest first."""
    of = tables.operations
    succeeded = select(of.c.id, of.c.project, of.c.result).where(
        fan_out.own(operation, _PROMOTION), of.c.state == OperationState.SUCCEEDED.value
    )
    losses = [
        _loss(row["id"], NamedShare(id=result["share_id"], name=result["name"], project=row["project"]), result)
        for row in connection.execute(succeeded).mappings()
        if (result := row["result"])
    ]
    return sorted(losses, key=lambda loss: (-loss.loss_seconds, loss.project, loss.name))


def _with_promotions(operation: str) -> Any:
    shares, of = tables.shares, tables.operations
    return shares.outerjoin(of, of.c.id == literal(f"{operation}/").concat(shares.c.id))


def _not_promoted(
    connection: Connection, operation: str, failover: Failover, staying: Sequence[ColumnElement[bool]], limit: int
) -> list[NotPromoted]:
    shares, of = tables.shares, tables.operations
    columns = (shares.c.id, shares.c.name, shares.c.project, shares.c.in_view, shares.c.purge_at)
    asked: Select[Any] = (
        select(*columns, of.c.id.label("operation"), of.c.state, of.c.failure, of.c.left_over)
        .select_from(_with_promotions(operation))
        .where(*staying)
        .order_by(_priority(connection), shares.c.project, shares.c.name, shares.c.id)
        .limit(limit)
    )
    rows = connection.execute(asked).mappings().all()
    waiting = [row["id"] for row in rows if row["operation"] is None]
    best = _best(connection, failover, waiting)
    found = []
    for row in rows:
        if row["operation"] is None:
            reason, step = _never_begun(connection, failover, row, best.get(row["id"]))
        else:
            failure = row["failure"] or {}
            reason, step = failure.get("message", "") or row["left_over"] or "it came back", failure.get("hint", "")
        found.append(
            NotPromoted(
                share_id=row["id"],
                name=row["name"],
                project=row["project"],
                reason=reason[: fan_out.REASON],
                next_step=step[: fan_out.REASON],
                operation=row["operation"] or "",
            )
        )
    return found


def _never_begun(
    connection: Connection, failover: Failover, share: RowMapping, best: RowMapping | None
) -> tuple[str, str]:
    """Why a share had no promotion, and what to do about it."""
    again = "fail back again" if failover.back else "fail over again"
    if not share["in_view"]:
        until = f" until {share['purge_at']:%Y-%m-%d %H:%M:%S} UTC" if share["purge_at"] else ""
        return f"it is in the recycle bin{until}", f"purge it, or restore it and {again}"
    if best is not None:
        refused = _promotable(failover, share, best)
        return refused.refusal or "it was not its turn", refused.next_step or again
    every = replicas.of_share(connection, share["id"])
    there = [row for row in every if (row["pool_id"] in failover.pools) is failover.back]
    if there:
        reason, step = _unable(there[0])
        return reason, f"{step}, then {again}"
    if failover.back:
        return f"it has no replica on {failover.backend} any more", f"create one there, then {again}"
    return f"it has no replica outside {failover.backend}", "it is there again when the backend is"


def _unable(found: RowMapping) -> tuple[str, str]:
    """Why a replica cannot be promoted, and what to do first."""
    where = f"{found['backend']}/{found['pool']}"
    if found["stale"]:
        kept = "is kept" if found["stale"] == "kept" else "was not reached yet, so that it is not fenced"
        return f"the stale copy on {where} {kept}", f"resync replica {where}, which discards what it alone has"
    if found["synced_at"] is None:
        return f"its replica on {where} is not seeded yet", "wait until it is"
    return f"its replica on {where} cannot be promoted: {found['error'] or found['status']}", "mend it"
