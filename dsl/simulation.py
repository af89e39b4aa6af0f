"""What would go elsewhere under other specs: requests replayed against a picture of the inventory, under both.

Each request is placed after those before it, in two worlds that begin with the same pools. What is placed takes its
size and the floors of its QoS class from its pool, and counts for spread and affinity. Nothing is read or changed.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import NamedTuple

from dsl.attributes import extended
from dsl.capacity import PoolFigures
from dsl.decision import Decision, PoolVerdict
from dsl.documents import CapacityTerms, PoolSpec
from dsl.expressions import Schema
from dsl.placement import Language, PlacementRequest, PoolView, place
from dsl.pool_picture import readable
from dsl.qos import NO_FLOORS, Floors, effective, plan
from dsl.share_request import NamedRequest, Placed, missing, prepared
from dsl.snapshot import SavedShare
from dsl.spec_set import SpecSet
from shareflow.contracts.units import format_size


class Change(enum.StrEnum):
    """What becomes of a request.

    Attributes:
        UNCHANGED: the same pool.
        MOVED: another pool.
        PLACED: a pool, where there was none.
        LOST: no pool, where there was one.
        NOWHERE: no pool, as before.
    """

    UNCHANGED = "unchanged"
    MOVED = "moved"
    PLACED = "placed"
    LOST = "lost"
    NOWHERE = "nowhere"


@dataclass(frozen=True, slots=True)
class Outcome:
    """One request under both sets.

    Attributes:
        number: counted from 1.
        request: what was asked for.
        before, after: ``backend/pool``, None where no pool fits.
        reason: why it changes, or why no pool fits; empty for what stays.
    """

    number: int
    request: NamedRequest
    before: str | None
    after: str | None
    change: Change
    reason: str

    def to_json(self) -> dict[str, object]:
        """Plain values."""
        return {
            "number": self.number,
            "request": self.request.model_dump(mode="json", exclude_defaults=True),
            "before": self.before,
            "after": self.after,
            "change": self.change.value,
            "reason": self.reason,
        }


class Load(NamedTuple):
    """What the replayed requests put on a pool: shares, and the sum of their sizes in bytes."""

    shares: int = 0
    bytes: int = 0

    def more(self, size: int) -> Load:
        """With one share more."""
        return Load(self.shares + 1, self.bytes + size)


@dataclass(frozen=True, slots=True)
class Simulation:
    """What came of the replay.

    Attributes:
        outcomes: one per request, in their order.
        totals: ``backend/pool`` -> what was put there under the old specs and under the new ones; every pool.
        left_out: ``backend/pool`` -> why it took no part under one of the sets.
    """

    outcomes: tuple[Outcome, ...]
    totals: Mapping[str, tuple[Load, Load]]
    left_out: Mapping[str, str] = field(default_factory=dict)

    @property
    def changed(self) -> tuple[Outcome, ...]:
        """The outcomes that differ between the sets."""
        return tuple(one for one in self.outcomes if one.change not in (Change.UNCHANGED, Change.NOWHERE))

    @property
    def counts(self) -> dict[str, int]:
        """How many requests became what; those of no request are left out."""
        found = {change: sum(one.change is change for one in self.outcomes) for change in Change}
        return {change.value: number for change, number in found.items() if number}

    def to_json(self) -> dict[str, object]:
        """Plain values."""
        return {
            "requests": len(self.outcomes),
            "counts": self.counts,
            "outcomes": [one.to_json() for one in self.outcomes],
            "totals": {
                pool: {"before": before._asdict(), "after": after._asdict()}
                for pool, (before, after) in self.totals.items()
            },
            "left_out": dict(self.left_out),
        }


def simulate(
    requests: Iterable[NamedRequest],
    pools: Sequence[PoolView],
    old: SpecSet,
    new: SpecSet,
    shares: Sequence[SavedShare] = (),
) -> Simulation:
    """Replays requests under two sets of specs.

    Args:
        requests: in the order in which they come.
        pools: the inventory as it is before the first one, under the old specs.
        old: the set under which the picture was taken.
        new: the set that is to be tried. What a set declares of a pool (zone, attributes, how its capacity is handed
            out, budget) counts over what the picture says; a pool that only one set declares takes part only there,
            one that neither declares takes part as it is. A set without backends says nothing about pools.
        shares: those that are there before; one in a pool that is not in the picture does not count.
    """
    ordered = sorted(pools, key=lambda pool: (pool.backend, pool.name))
    before = _World(ordered, _Sets(old, new, old), shares)
    after = _World(ordered, _Sets(new, old, old), shares)
    outcomes = tuple(_outcome(number, asked, before, after) for number, asked in enumerate(requests, 1))
    totals = {pool.title: (before.load(pool.title), after.load(pool.title)) for pool in ordered}
    return Simulation(outcomes, totals, _left_out([pool.title for pool in ordered], before, after))


class _Attempt(NamedTuple):
    """One request in one world: the pool that it got, and what explains it."""

    pool: str | None
    decision: Decision | None
    why_not: str


class _Sets(NamedTuple):
    """The set of a world, the other one, and the one under which the picture was taken."""

    this: SpecSet
    other: SpecSet
    seen: SpecSet


class _World:
    """The pools under one set, as requests fill them."""

    def __init__(self, pools: Sequence[PoolView], sets: _Sets, shares: Sequence[SavedShare]) -> None:
        self.specs = sets.this
        self._schema = extended(sets.this.schema(), pools)
        self._language = Language(self._schema)
        self.declared = {f"{backend.name}/{pool.name}" for backend, pool in sets.this.pools()}
        under = {pool.title: _under(pool, sets, self._schema) for pool in pools}
        self._pools = {title: view for title, view in under.items() if view is not None}
        known = {pool.title: pool for pool in pools} | self._pools
        self._shares = [
            Placed(share.name, share.type, share.project, known[share.pool]) for share in shares if share.pool in known
        ]
        self._loads: dict[str, Load] = {}

    def load(self, title: str) -> Load:
        """What was put on a pool."""
        return self._loads.get(title, Load())

    def has(self, title: str) -> bool:
        """Whether a pool takes part."""
        return title in self._pools

    def attempt(self, asked: NamedRequest) -> _Attempt:
        """Places a request, and takes what it needs from its pool."""
        names = {share.name for share in self._shares if share.project == asked.project}
        lost = next(missing(asked, self.specs, names), None)
        if lost is not None:
            return _Attempt(None, None, lost.message)
        request, surroundings = prepared(asked, self.specs, self._language, self._shares)
        decision = place(request, self._pools.values(), surroundings)
        if not decision.ranked:
            return _Attempt(None, decision, decision.explanation())
        title = next(verdict.title for verdict in decision.verdicts if verdict.pool == decision.ranked[0])
        self._take(title, request, asked)
        return _Attempt(title, decision, "")

    def _take(self, title: str, request: PlacementRequest, asked: NamedRequest) -> None:
        taken = readable(_filled(self._pools[title], request), self._schema)
        self._pools[title] = taken
        self._shares.append(Placed(asked.name, asked.type, asked.project, taken))
        self._loads[title] = self.load(title).more(asked.size)


def _under(pool: PoolView, sets: _Sets, schema: Schema) -> PoolView | None:
    """A pool of the picture as a set has it; None when only the other set has it."""
    specs = sets.this
    was, now = _declared(pool, sets.seen), _declared(pool, specs)
    if now is None:
        gone = specs.backends and _declared(pool, sets.other) is not None
        return None if gone else readable(pool, schema)
    attributes = {name: value for name, value in pool.attributes.items() if was is None or name not in was.attributes}
    view = replace(
        pool,
        zone=now.zone,
        figures=_on_terms(pool.figures, now.terms(specs.placement)),
        attributes={**attributes, **now.attributes, "driver": specs.backends[pool.backend].driver},
        qos=replace(pool.qos, budget=now.qos.budget),
    )
    return readable(view, schema)


def _declared(pool: PoolView, specs: SpecSet) -> PoolSpec | None:
    backend = specs.backends.get(pool.backend)
    return backend.pool(pool.name) if backend is not None else None


def _on_terms(figures: PoolFigures, terms: CapacityTerms) -> PoolFigures:
    return PoolFigures(
        figures.total,
        figures.free,
        figures.provisioned,
        terms.reserved.create,
        terms.reserved.from_snapshot,
        terms.reserved.extend,
        terms.over_subscription,
        terms.thin,
    )


def _filled(pool: PoolView, request: PlacementRequest) -> PoolView:
    """The pool with the share on it: its size is handed out, and of a thick pool no longer free."""
    figures = pool.figures
    free = figures.free
    if not figures.is_thin and isinstance(free, int | float | Fraction):
        free = free - request.size
    qos = pool.qos
    floors = plan(request.qos, effective(request.qos, request.size), qos).floors if request.qos else NO_FLOORS
    committed = Floors(*(held + more for held, more in zip(qos.committed, floors, strict=True)))
    return replace(
        pool,
        figures=replace(figures, free=free, provisioned=(figures.provisioned or 0) + request.size),
        qos=replace(qos, committed=committed),
    )


def _outcome(number: int, asked: NamedRequest, before: _World, after: _World) -> Outcome:
    was, now = before.attempt(asked), after.attempt(asked)
    change, reason = _compared(was, now)
    return Outcome(number, asked, was.pool, now.pool, change, reason)


def _compared(was: _Attempt, now: _Attempt) -> tuple[Change, str]:
    if was.pool is None:
        if now.pool is None:
            return Change.NOWHERE, now.why_not
        return Change.PLACED, f"before: {was.why_not}"
    if now.pool is None:
        return Change.LOST, now.why_not
    if was.pool == now.pool:
        return Change.UNCHANGED, ""
    return Change.MOVED, _why_moved(was.pool, now.pool, now.decision)


def _why_moved(was: str, now: str, decision: Decision | None) -> str:
    """Why the pool from before is not the best any more."""
    verdicts = {verdict.title: verdict for verdict in decision.verdicts} if decision is not None else {}
    left = verdicts.get(was)
    if left is None:
        return f"{was} is no pool of the new specs"
    if not left.kept:
        return f"{was} does not fit any more: {left.reason}"
    return _why_better(left, verdicts[now])


def _why_better(left: PoolVerdict, taken: PoolVerdict) -> str:
    if left.score != taken.score:
        return f"{taken.title} is preferred: its score is {taken.score:.1f}, that of {left.title} {left.score:.1f}"
    rooms = [_room(taken), _room(left)]
    if rooms[0] != rooms[1]:
        return f"{taken.title} has more room: {rooms[0]} are left there afterwards, {rooms[1]} in {left.title}"
    return f"{taken.title} is as good as {left.title} and comes first by name"


def _room(verdict: PoolVerdict) -> str:
    return "an unknown number of bytes" if verdict.free_after is None else format_size(verdict.free_after)


def _left_out(titles: Sequence[str], before: _World, after: _World) -> dict[str, str]:
    """Pools that took no part under one of the sets."""
    found = {}
    for title in titles:
        if not before.has(title):
            found[title] = "the old specs do not have it"
        elif not after.has(title):
            found[title] = "the new specs do not have it"
    for title in sorted((before.declared | after.declared) - set(titles)):
        found[title] = "the inventory does not have it"
    return found
