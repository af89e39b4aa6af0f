"""Sets of specs and the inventory: what a plan says, and what an apply away from the drivers makes of pools' rows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, RowMapping

from activities.backends import catalogue_with, pool_terms, surveyed
from drivers.contract import Driver
from dsl.capacity import pool_limit
from dsl.documents import BackendSpec, PlacementSpec, PoolSpec
from dsl.planning import Line, Plan, PoolUse, ProjectUse, Usage, plan
from dsl.problems import SpecProblems
from dsl.records import checked
from dsl.spec_set import SpecSet, from_records
from inventory import catalogue, usage
from inventory.catalogue import BackendRow, Catalogue, PoolRow, pool_id
from inventory.database import Database, Turn
from inventory.reservations import DEFAULT_PROJECT
from shareflow.contracts.specs import PlanLine, PlanQuery, PlanToken, PlanView
from shareflow.errors import SpecError

MOST_BYTES = 1_000_000
"""So much of a plan's lines is sent in an answer."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan with what it was made on."""

    plan: Plan
    token: PlanToken
    managed: bool
    current: SpecSet | None
    new: SpecSet


def set_of(documents: Sequence[Mapping[str, Any]]) -> SpecSet:
    """The set that was sent. Raises SpecError with the first problems."""
    try:
        return checked(documents)
    except SpecProblems as refused:
        shown = [f"{problem.code} {problem.file}: {problem.message}" for problem in refused.problems]
        more = len(shown) - 3 + refused.omitted
        text = "; ".join(shown[:3]) + (f"; {more} more" if more > 0 else "")
        hint = next((problem.hint for problem in refused.problems if problem.hint), "")
        raise SpecError(text, field="documents", hint=hint) from refused


def usage_of(connection: Connection) -> Usage:
    """What the inventory counts now."""
    types: dict[str, dict[str, int]] = {}
    for name, version, shares in usage.by_type(connection):
        types.setdefault(name, {})[version] = shares
    classes: dict[str, dict[str, int]] = {}
    for name, version, shares in usage.by_class(connection):
        classes.setdefault(name, {})[version] = shares
    on = usage.by_pool(connection)
    return Usage(
        types=types,
        classes=classes,
        pools={f"{row['backend']}/{row['name']}": _pool_use(row, on) for row in usage.pools(connection)},
        projects={
            row["project"]: ProjectUse(row["shares_used"], row["bytes_used"], row["snapshots_used"])
            for row in usage.projects(connection)
            if row["project"] != DEFAULT_PROJECT
        },
    )


def _pool_use(row: RowMapping, on: Mapping[str, int]) -> PoolUse:
    figures = (row["allocated_bytes"], row["total_bytes"], row["iops_promised"], row["throughput_promised"])
    return PoolUse(on.get(row["id"], 0), *figures)


def planned(connection: Connection, documents: Sequence[Mapping[str, Any]]) -> Planned:
    """What the documents would change now. Raises SpecError for a set that is refused."""
    new = set_of(documents)
    row = catalogue.current_set(connection)
    current = None if row is None else from_records(row["documents"])
    made = plan(current, new, usage_of(connection))
    token = PlanToken(
        specs_revision=0 if row is None else row["revision"], current=made.current, new=made.new, counts=made.counts
    )
    return Planned(made, token, row is not None and row["managed"], current, new)


def plan_specs(connection: Connection, query: PlanQuery) -> PlanView:
    """The plan as an answer: all lines that have to be allowed, and of the others as many as fit."""
    found = planned(connection, query.documents)
    lines, left_off = shortened([_view(line) for line in found.plan.lines])
    return PlanView(token=found.token, lines=lines, left_off=left_off, managed=found.managed)


def shortened(lines: Sequence[PlanLine], most: int = MOST_BYTES) -> tuple[list[PlanLine], int]:
    """The lines that fit into so many bytes of JSON, and how many do not; removals in use always stay."""
    kept: list[PlanLine] = []
    room = most
    for line in lines:
        room -= len(line.model_dump_json())
        if room >= 0 or line.in_use:
            kept.append(line)
    return kept, len(lines) - len(kept)


def _view(line: Line) -> PlanLine:
    # Through JSON, so that tuples become lists as the reader of the answer gets them.
    content = {
        "action": line.action,
        "kind": line.kind,
        "name": line.name,
        "differences": [difference._asdict() for difference in line.differences],
        "effects": line.effects,
        "in_use": line.in_use,
    }
    return PlanLine.model_validate_json(json.dumps(content))


def result_lines(made: Plan) -> tuple[list[dict[str, Any]], int]:
    """What was changed, as a result keeps it: without the keys."""
    lines = [_view(line).model_copy(update={"differences": []}) for line in made.lines]
    kept, left_off = shortened(lines, MOST_BYTES // 4)
    return [line.model_dump(mode="json") for line in kept], left_off


def away_from_drivers(connection: Connection, found: Planned) -> Catalogue:
    """The new set as rows, with the figures and attributes that drivers have reported before."""
    return catalogue_with(found.new, known_rows(connection, found.current, found.new))


def known_rows(connection: Connection, current: SpecSet | None, new: SpecSet) -> list[BackendRow]:
    """The backends of a set with what the inventory knows of their pools; nobody asks a driver."""
    known = {row["id"]: row for row in usage.pools(connection)}
    before = {} if current is None else current.backends
    return [
        BackendRow(
            name=backend.name,
            driver=backend.driver,
            document=backend.model_dump(mode="json", exclude={"options": True, "pools": {"__all__": {"options"}}}),
            pools=[
                _known_pool(
                    pool, _before(before, backend.name, pool.name), new.placement, known.get(_id(backend, pool))
                )
                for pool in backend.pools
            ],
            surveyed=False,
        )
        for backend in (new.backends[name] for name in sorted(new.backends))
    ]


def apply_at_start(database: Database, own: SpecSet, drivers: Mapping[str, Driver]) -> RowMapping | None:
    """Make the inventory say what counts, when a worker starts; the revision that was taken from it, if one was.

    A worker's own specs count until a set was applied by an operation. From then on that set counts, and of its own
    files a worker uses what it needs to open its drivers.
    """
    while True:
        with database.read() as connection:
            row = catalogue.current_set(connection)
        managed = row is not None and row["managed"]
        specs = from_records(row["documents"]) if row is not None and managed else own
        rows = surveyed(specs, drivers)
        with database.write() as connection:
            Turn.ACCOUNTS.take(connection)
            now = catalogue.current_set(connection)
            if (
                now is not None
                and now["managed"]
                and (not managed or row is None or now["revision"] != row["revision"])
            ):
                continue  # another set was applied while the drivers were asked
            if managed:
                rows = _completed(rows, known_rows(connection, specs, specs))
            catalogue.apply(connection, catalogue_with(specs, rows), managed=managed)
        return row if managed else None


def _completed(rows: Sequence[BackendRow], known: Sequence[BackendRow]) -> list[BackendRow]:
    """The rows of drivers that are here, with the backends and pools that they do not know as they were before."""
    here = {row.name: row for row in rows}
    return [_with_pools(here[row.name], row) if row.name in here else row for row in known]


def _with_pools(row: BackendRow, known: BackendRow) -> BackendRow:
    seen = {pool.name for pool in row.pools}
    return replace(row, pools=[*row.pools, *(pool for pool in known.pools if pool.name not in seen)])


def _id(backend: BackendSpec, pool: PoolSpec) -> str:
    return pool_id(backend.name, pool.name)


def _before(backends: Mapping[str, BackendSpec], backend: str, pool: str) -> PoolSpec | None:
    return backends[backend].pool(pool) if backend in backends else None


def _known_pool(pool: PoolSpec, old: PoolSpec | None, defaults: PlacementSpec, known: RowMapping | None) -> PoolRow:
    declared = {key: list(value) if isinstance(value, tuple) else value for key, value in pool.attributes.items()}
    terms = pool.terms(defaults)
    reported: dict[str, Any] = {}
    total = free = None
    limit: int | None = 0  # nobody has seen it: nothing is placed there until its driver answers
    if known is not None:
        gone = {} if old is None else old.attributes
        reported = {key: value for key, value in known["attributes"].items() if key not in gone}
        total, free, limit = known["total_bytes"], known["free_bytes"], known["limit_bytes"]
        if total is not None:
            limit = pool_limit(total, terms.over_subscription if terms.thin else 1)
    return PoolRow(
        name=pool.name,
        zone=pool.zone or "",
        attributes={**reported, **declared},
        limit_bytes=limit,
        total_bytes=total,
        free_bytes=free,
        iops_budget=pool.qos.iops,
        throughput_budget=pool.qos.throughput,
        terms=pool_terms(terms),
        surveyed=False,
    )
