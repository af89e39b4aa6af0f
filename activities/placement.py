"""Placement: the pure decision of the spec language on a picture of the inventory, then the reservation."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, RowMapping

from activities import qos
from activities.picture import Picture, Pictures, figures_of, kept_back_in, picture_at, view
from dsl.capacity import Purpose, SpaceRequest, fits
from dsl.decision import Kind, PoolVerdict
from dsl.documents import ShareTypeSpec
from dsl.placement import Decision, Neighbour, PlacementRequest, PoolView, Surroundings, place
from dsl.placement.pools import NO_FIGURES
from inventory import pool_history, reservations, resources
from inventory.database import Database, Turn
from inventory.pool_history import Moment
from shareflow.contracts.units import format_size
from shareflow.errors import NoPoolFits, NotFound

MOST_DOMAINS = 1000
"""So many domains of a spread are kept with a decision."""


@lru_cache(maxsize=256)
def _type_spec(record: str) -> ShareTypeSpec:
    return ShareTypeSpec.from_record(json.loads(record))


def type_spec(row: RowMapping) -> ShareTypeSpec:
    """A share type's spec from its row, with the places of its rules in the spec files."""
    return _type_spec(json.dumps(row["document"], sort_keys=True))


def check_pins(rows: Iterable[RowMapping], backend: str | None, pool: str | None) -> None:
    """Raise NotFound when a pinned backend or pool does not exist."""
    if backend is None and pool is None:
        return
    rows = list(rows)
    backends = sorted({row["backend"] for row in rows})
    if backend is not None and backend not in backends:
        raise NotFound(f"there is no backend {backend!r}", field="backend", hint=f"backends: {', '.join(backends)}")
    inside = [row for row in rows if backend in (None, row["backend"])]
    pools = sorted({row["name"] for row in inside})
    if pool is not None and not any(
        pool in (row["name"], f"{row['backend']}/{row['name']}", row["id"]) for row in inside
    ):
        raise NotFound(f"there is no pool {pool!r}", field="pool", hint=f"pools: {', '.join(pools)}")


def neighbours(connection: Connection, project: str, shares: Sequence[str], field: str) -> tuple[Neighbour, ...]:
    """Where the shares are that a request names. Raises NotFound, with the field, for one that the project has not."""
    found = []
    for reference in shares:
        try:
            share = resources.find_share(connection, project, reference)
        except NotFound as missing:
            raise NotFound(missing.message, field=field, hint=missing.hint) from missing
        place_ = resources.instance_place(connection, share["id"])
        zone = resources.pool_row(connection, place_.pool_id)["zone"] or None
        found.append(Neighbour(share["name"], place_.pool, place_.backend, zone))
    return tuple(found)


def check_room(row: RowMapping, growth: int) -> None:
    """Raise NoPoolFits, with the arithmetic, when a share cannot grow by so much where it is."""
    verdict = fits(figures_of(row), SpaceRequest(growth, Purpose.EXTEND))
    if not verdict:
        raise NoPoolFits(
            f"pool {row['name']!r} has no room for {format_size(growth)} more: {verdict.reason}",
            field="size",
            hint="delete something in that pool, or raise its capacity in the backend's spec",
        )


class Placement:
    """Decides and reserves, on a picture that a worker keeps."""

    def __init__(self, database: Database) -> None:
        self.pictures = Pictures(database)

    def decide(
        self,
        connection: Connection,
        request: PlacementRequest,
        moment: Moment | None = None,
        *,
        leaving: str | None = None,
    ) -> tuple[Decision, Picture, Surroundings]:
        """The verdict on every pool and the order of those that fit, with what it was based on.

        Args:
            connection: of a transaction.
            request: what is to be placed.
            moment: what the transaction sees, when that is known already.
            leaving: the pool of the share itself when it has one: where it is it does not count for its own spread.

        Raises:
            NotFound: the request names a backend or a pool that does not exist.
        """
        picture = self.pictures.current(connection, moment)
        check_pins(picture.rows.values(), request.backend, request.pool)
        counts = self._spread(connection, request, picture, leaving)
        surroundings = Surroundings(picture.language, picture.defaults, counts)
        return place(request, picture.pools, surroundings), picture, surroundings

    def judge(
        self, connection: Connection, request: PlacementRequest, instance: RowMapping, *, counted: bool
    ) -> tuple[PoolVerdict | None, dict[str, Any]]:
        """What placement says of the pool where a share is, as if its instance were not there yet.

        Returns:
            The verdict, None when no spec declares the pool any more, and the decision in bounded form. The share's
            own bytes, which are there, are asked of nobody; ``counted`` says that it counts for the request's spread.
        """
        picture = self.pictures.current(connection, pool_history.decided(connection))
        pool = instance["pool_id"]
        staying = {"pool": pool, **{key: instance[key] for key in _CARRIED}}
        leaving = pool if counted else None
        counts = self._spread(connection, request, picture, leaving)
        surroundings = Surroundings(picture.language, picture.defaults, counts)
        decision = place(request, _without(picture, staying), surroundings)
        basis = _basis(request, picture, surroundings)
        verdict = next((verdict for verdict in decision.verdicts if verdict.pool == pool), None)
        chosen = pool if verdict is not None and verdict.kept else None
        return verdict, {**decision.summary(chosen=chosen), **basis, "staying": staying}

    @staticmethod
    def _spread(
        connection: Connection, request: PlacementRequest, picture: Picture, leaving: str | None
    ) -> dict[str, int]:
        """Domain -> shares of the type that the project has there, when the type is spread."""
        spread = request.type.spread or picture.defaults.spread
        if spread is None:
            return {}
        counts: dict[str, int] = {}
        there = resources.shares_per_pool(connection, request.project, request.type.name)
        if leaving in there:
            there[leaving] -= 1
        for pool, number in there.items():
            found = picture.pools.get(pool)
            domain = found.domain(spread.by) if found is not None else None
            if domain is not None:
                counts[domain] = counts.get(domain, 0) + number
        return counts

    def choose(
        self,
        connection: Connection,
        operation: str,
        request: PlacementRequest,
        *,
        prefer: str | None = None,
        leaving: str | None = None,
    ) -> tuple[RowMapping, dict[str, Any]]:
        """Decide, then reserve on the best pool that still has room.

        Args:
            connection: an open write transaction.
            operation: who reserves.
            request: what is to be placed.
            prefer: a pool that is taken first when it fits (the source of a clone).
            leaving: as :meth:`decide` takes it.

        Returns:
            The chosen pool's row and the decision in bounded form.

        Raises:
            NoPoolFits: with the closest misses; nothing is reserved.
        """
        Turn.ACCOUNTS.take(connection)
        moment, change = pool_history.decided_to_change(connection)
        decision, picture, surroundings = self.decide(connection, request, moment, leaving=leaving)
        basis = _basis(request, picture, surroundings)
        full: list[str] = []
        for pool in sorted(decision.ranked, key=lambda pool: pool != prefer):
            row = picture.rows[pool]
            floors = qos.floors_in(request.qos, request.size, row)
            kept = kept_back_in(row, request.purpose)
            if reservations.reserve_capacity(
                connection, operation, pool, request.size, floors, kept_back=kept, revision=change
            ):
                held = {"pool": f"{row['backend']}/{row['name']}", "bytes": request.size, **floors._asdict()}
                return row, {**decision.summary(chosen=pool), **basis, "reservation": {**held, "refused": full}}
            full.append(f"{row['backend']}/{row['name']}")
        wanted = f"{format_size(request.size)} of type {request.type.name!r}"
        too_big = any(verdict.first_failed.kind is Kind.CAPACITY for verdict in decision.nearest(1))
        nowhere = NoPoolFits(
            f"{wanted}: {decision.explanation()}",
            field="size" if too_big else "",
            hint="shareflow spec explain shows every pool",
        )
        nowhere.placement = {**decision.summary(), **basis, "reservation": {"refused": full}}
        raise nowhere


_CARRIED = ("allocated_bytes", "iops_floor", "throughput_floor")
"""What an instance carries of its pool's sums."""


def _without(picture: Picture, staying: Mapping[str, Any]) -> list[PoolView]:
    """The pools as if an instance were in none of them, and its bytes needed no room where it is.

    That the pool is drained does not count: nothing new comes to it.
    """
    pool = staying["pool"]
    if pool not in picture.rows:
        return list(picture.pools.views)
    row = dict(picture.rows[pool])
    row |= {
        "drained": False,
        "allocated_bytes": row["allocated_bytes"] - staying["allocated_bytes"],
        "iops_promised": row["iops_promised"] - staying["iops_floor"],
        "throughput_promised": row["throughput_promised"] - staying["throughput_floor"],
    }
    emptier = replace(view(row, picture.language.schema), figures=NO_FIGURES)
    return [emptier if one.id == pool else one for one in picture.pools.views]


def _basis(request: PlacementRequest, picture: Picture, surroundings: Surroundings) -> dict[str, Any]:
    """What is kept with a decision so that it can be worked out again."""
    basis: dict[str, Any] = {"pools_revision": picture.revision, "specs_revision": picture.specs}
    if request.exclude:
        basis["excluded"] = dict(request.exclude)
    if surroundings.spread:
        basis["spread"] = dict(sorted(surroundings.spread.items())[:MOST_DOMAINS])
    for key, near in (("affinity", request.affinity), ("anti_affinity", request.anti_affinity)):
        if near:
            basis[key] = [neighbour._asdict() for neighbour in near]
    return basis


def still_known(connection: Connection, placement: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """A refused decision as it is kept: the transaction that made it is gone, and its mark on the pools with it.

    It can be worked out again when no pool has changed since; else its basis is left off.
    """
    if placement is None:
        return None
    Turn.ACCOUNTS.take(connection)
    if pool_history.moment(connection).pools == placement.get("pools_revision"):
        pool_history.decided(connection)
        return dict(placement)
    return {key: value for key, value in placement.items() if key != "pools_revision"}


def decide_again(connection: Connection, placement: Mapping[str, Any]) -> Decision:
    """The decision that was kept with an operation in bounded form, in full.

    Raises:
        NotFound: it was made before pools and specs were recorded, or the type's version is gone.
    """
    asked: Mapping[str, Any] = placement["request"]
    try:
        picture = picture_at(connection, placement["pools_revision"], placement["specs_revision"])
    except KeyError:
        raise NotFound("this decision was made before its basis was recorded", field="operation") from None
    spec = type_spec(resources.share_type(connection, asked["type"], asked["type_version"]))
    wished = None
    if asked.get("qos"):
        wished = qos.class_spec(resources.qos_class(connection, asked["qos"], asked["qos_version"]))
    request = PlacementRequest(
        size=asked["size"],
        type=spec,
        zone=asked["zone"],
        pool=asked["pool"],
        backend=asked["backend"],
        exclude=placement.get("excluded", {}),
        qos=wished,
        purpose=Purpose(asked.get("purpose", Purpose.CREATE)),
        project=asked.get("project", ""),
        affinity=tuple(Neighbour(**one) for one in placement.get("affinity", ())),
        anti_affinity=tuple(Neighbour(**one) for one in placement.get("anti_affinity", ())),
        affinity_by=asked.get("affinity_by", "pool"),
    )
    surroundings = Surroundings(picture.language, picture.defaults, placement.get("spread", {}))
    if placement.get("staying"):
        return place(request, _without(picture, placement["staying"]), surroundings)
    return place(request, picture.pools, surroundings)
