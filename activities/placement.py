"""Placement: the pure decision of the spec language on a picture of the inventory, then the reservation."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, RowMapping

from activities import qos
from dsl.decision import Kind
from dsl.documents import ShareTypeSpec
from dsl.placement import Decision, PlacementRequest, PoolView, place
from dsl.qos import NO_QOS
from inventory import reservations, resources
from shareflow.contracts.units import format_size
from shareflow.errors import NoPoolFits, NotFound


@lru_cache(maxsize=256)
def _type_spec(record: str) -> ShareTypeSpec:
    return ShareTypeSpec.from_record(json.loads(record))


def type_spec(row: RowMapping) -> ShareTypeSpec:
    """A share type's spec from its row, with the places of its rules in the spec files."""
    return _type_spec(json.dumps(row["document"], sort_keys=True))


def view(row: RowMapping, *, with_qos: bool = False) -> PoolView:
    """A pool's row as placement sees it; with what it says of QoS only where somebody asks."""
    attributes = dict(row["attributes"])
    return PoolView(
        id=row["id"],
        backend=row["backend"],
        name=row["name"],
        zone=row["zone"] or None,
        limit_bytes=row["limit_bytes"],
        allocated_bytes=row["allocated_bytes"],
        attributes=attributes,
        available=row["reachable"],
        protocols=tuple(attributes.get("protocols", ())),
        excluded_reason="" if row["reachable"] else f"backend {row['backend']} does not answer",
        qos=qos.pool_qos(row) if with_qos else NO_QOS,
    )


def check_pins(picture: list[RowMapping], backend: str | None, pool: str | None) -> None:
    """Raise NotFound when a pinned backend or pool does not exist."""
    backends = sorted({row["backend"] for row in picture})
    if backend is not None and backend not in backends:
        raise NotFound(f"there is no backend {backend!r}", field="backend", hint=f"backends: {', '.join(backends)}")
    pools = sorted({row["name"] for row in picture if backend in (None, row["backend"])})
    if pool is not None and pool not in pools:
        raise NotFound(f"there is no pool {pool!r}", field="pool", hint=f"pools: {', '.join(pools)}")


def decide(picture: list[RowMapping], request: PlacementRequest) -> Decision:
    """The verdict on every pool and the order of those that fit."""
    asked = request.qos is not None
    return place(request, [view(row, with_qos=asked) for row in picture])


def choose(
    connection: Connection,
    operation: str,
    request: PlacementRequest,
    *,
    prefer: str | None = None,
) -> tuple[RowMapping, dict[str, Any]]:
    """Decide, then reserve on the best pool that still has room.

    Args:
        connection: an open write transaction.
        operation: who reserves.
        request: what is to be placed.
        prefer: a pool that is taken first when it fits (the source of a clone).

    Returns:
        The chosen pool's row and the decision in bounded form.

    Raises:
        NoPoolFits: with the closest misses; nothing is reserved.
    """
    picture = list(resources.pools_picture(connection))
    check_pins(picture, request.backend, request.pool)
    decision = decide(picture, request)
    rows: Mapping[str, RowMapping] = {row["id"]: row for row in picture}
    ranked = sorted(decision.ranked, key=lambda pool: pool != prefer)
    for pool in ranked:
        floors = qos.floors_in(request.qos, request.size, rows[pool])
        if reservations.reserve_capacity(connection, operation, pool, request.size, floors):
            return rows[pool], kept(decision, chosen=pool)
    wanted = f"{format_size(request.size)} of type {request.type.name!r}"
    too_big = any(verdict.failed[0].kind is Kind.CAPACITY for verdict in decision.nearest(1))
    nowhere = NoPoolFits(
        f"{wanted}: {decision.explanation()}",
        field="size" if too_big else "",
        hint="shareflow spec explain shows every pool",
    )
    nowhere.placement = kept(decision, chosen=None)
    raise nowhere


def kept(decision: Decision, *, chosen: str | None) -> dict[str, Any]:
    """A decision in the bounded form that is kept with the operation."""
    return decision.summary(chosen=chosen)
