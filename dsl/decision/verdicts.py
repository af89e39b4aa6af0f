"""What a placement found out about each pool. It is explained when somebody asks, and only as far as they ask."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from dsl.decision.results import Arithmetic, PoolRule, RuleResult, Scored, Term, bounded

# So many pools are written down at once: what is only needed on the way is gone before the collector of cycles comes.
_AT_ONCE = 200


class Given(NamedTuple):
    """What one preference gives to one pool: the raw value, and the value from 0 to 1 among the pools that fit."""

    term: Term
    raw: object
    normalised: float

    @property
    def weighted(self) -> float:
        """What counts."""
        return self.normalised * self.term.weight + 0.0

    @property
    def scored(self) -> Scored:
        """As it is recorded."""
        term = self.term
        return Scored(term.preference, term.shown(self.raw), self.normalised, term.weight, self.weighted, term.position)


def total(given: Iterable[Given]) -> float:
    """The sum of what preferences give to a pool."""
    return sum((one.weighted for one in given), 0.0)


@dataclass(frozen=True)
class Findings:
    """What was found out about all pools; a pool goes by its place in the order of backend and name.

    Attributes:
        pools: as placement sees them.
        rules: what was asked, without capacity, which comes last.
        capacity: the arithmetic of each pool's room.
        fails: per rule, capacity included, the places of pools that it drops: False, or None when they do not say.
        failing: per pool the numbers of the enforced rules that do not hold, in order.
        rooms: per pool the bytes left after the placement, negative when it does not fit, None when that is not known.
        given: what preferences give to the pools that fit, by place.
        reasons_of: why a rule, by its number, does not hold, for the places where it does not; without capacity.
    """

    pools: Sequence[Any]
    rules: Sequence[PoolRule]
    capacity: Arithmetic
    fails: Sequence[Mapping[int, bool | None]]
    failing: Sequence[tuple[int, ...]]
    rooms: Sequence[int | None]
    given: Mapping[int, tuple[Given, ...]]
    reasons_of: Callable[[int], Mapping[int, str]]

    @cached_property
    def dropped(self) -> list[int]:
        """The places of the pools that do not fit."""
        return [place for place, failing in enumerate(self.failing) if failing]

    def result(self, number: int, place: int) -> RuleResult:
        """What one rule says of one pool."""
        rules = self.rules
        return rules[number].explain(self.pools[place]) if number < len(rules) else self.capacity.explain(place)

    def results(self, place: int) -> tuple[RuleResult, ...]:
        """What every rule says of one pool."""
        pool = self.pools[place]
        return (*[rule.explain(pool) for rule in self.rules], self.capacity.explain(place))

    def first_failed(self, place: int) -> RuleResult:
        """The first enforced rule that a dropped pool fails; worked out once."""
        known = self._firsts.get(place)
        if known is None:
            known = self._firsts[place] = self.result(self.failing[place][0], place)
        return known

    @cached_property
    def _firsts(self) -> dict[int, RuleResult]:
        return {}

    def reason(self, place: int) -> str:
        """Why a pool was dropped (all failed rules), or the arithmetic of its room."""
        failing = self.failing[place]
        if not failing:
            return self.capacity.reason(place)
        if len(failing) == 1:
            return self.result(failing[0], place).reason
        return "; ".join([self.result(number, place).reason for number in failing])

    @cached_property
    def reasons(self) -> list[str]:
        """:meth:`reason` of every pool."""
        arithmetic = self.capacity.reasons()
        found = list(arithmetic)
        texts: list[Any] = [*map(self.reasons_of, range(len(self.rules))), arithmetic]
        for place in self.dropped:
            found[place] = "; ".join([texts[number][place] for number in self.failing[place]])
        return found

    def groups(self) -> dict[tuple[int, bool], list[int]]:
        """Dropped pools by their first failed rule, and by whether they do not say."""
        groups: dict[tuple[int, bool], list[int]] = {}
        failing, fails = self.failing, self.fails
        for place in self.dropped:
            number = failing[place][0]
            groups.setdefault((number, fails[number][place] is None), []).append(place)
        return groups


class PoolVerdict:
    """What was found about one pool."""

    __slots__ = ("_findings", "_place")

    def __init__(self, findings: Findings, place: int) -> None:
        self._findings = findings
        self._place = place

    def __eq__(self, other: object) -> bool:
        """The same pool with the same results."""
        if not isinstance(other, PoolVerdict):
            return NotImplemented
        return (self.pool, self.scores, self.rules) == (other.pool, other.scores, other.rules)

    def __hash__(self) -> int:
        return hash(self.pool)

    @property
    def _view(self) -> Any:
        return self._findings.pools[self._place]

    @property
    def pool(self) -> str:
        """The pool's id."""
        identifier: str = self._view.id
        return identifier

    @property
    def backend(self) -> str:
        """The backend that the pool is in."""
        name: str = self._view.backend
        return name

    @property
    def name(self) -> str:
        """The pool's name."""
        name: str = self._view.name
        return name

    @property
    def title(self) -> str:
        """``backend/pool``."""
        return f"{self.backend}/{self.name}"

    @property
    def failing(self) -> tuple[int, ...]:
        """The numbers of the enforced rules that do not hold, in order."""
        return self._findings.failing[self._place]

    @property
    def kept(self) -> bool:
        """Whether every enforced rule holds."""
        return not self._findings.failing[self._place]

    @property
    def free_after(self) -> int | None:
        """Bytes left after the placement, negative when it does not fit, None when that is not known."""
        return self._findings.rooms[self._place]

    @property
    def score(self) -> float:
        """The sum of what preferences give; 0 for a pool that was dropped."""
        return total(self._given)

    @property
    def scores(self) -> tuple[Scored, ...]:
        """What each preference gives; empty for a pool that was dropped."""
        return tuple(given.scored for given in self._given)

    @property
    def _given(self) -> tuple[Given, ...]:
        return self._findings.given.get(self._place, ())

    @property
    def rules(self) -> tuple[RuleResult, ...]:
        """Every rule that applies, in order, also after one has failed; worked out each time."""
        return self._findings.results(self._place)

    @property
    def reason(self) -> str:
        """Why it was dropped (all failed rules), or the arithmetic of its room."""
        return self._findings.reason(self._place)

    @property
    def failed(self) -> tuple[RuleResult, ...]:
        """The enforced rules that do not hold."""
        return tuple(self._findings.result(number, self._place) for number in self.failing)

    @property
    def first_failed(self) -> RuleResult:
        """The first of them; quicker to have than all."""
        return self._findings.first_failed(self._place)

    def to_json(self) -> dict[str, object]:
        """Plain values."""
        return _record(self._findings, self._place, [result.to_json() for result in self.rules])


def records(findings: Findings) -> list[dict[str, object]]:
    """The plain values of all verdicts; what is the same for several pools next to each other is one object."""
    found: list[dict[str, object]] = []
    findings.capacity.reasons()
    for start in range(0, len(findings.pools), _AT_ONCE):
        places = range(start, min(start + _AT_ONCE, len(findings.pools)))
        columns = [_results(findings, number, places) for number in range(len(findings.rules) + 1)]
        rows: Iterable[tuple[dict[str, object], ...]] = zip(*columns, strict=True)
        found += [_record(findings, place, list(row)) for place, row in enumerate(rows, start)]
    return found


def _results(findings: Findings, number: int, places: Sequence[int]) -> list[dict[str, object]]:
    """What a rule says of each pool, as plain values."""
    known: dict[int, dict[str, object]] = {}
    pools, rules = findings.pools, findings.rules
    # All of them stay while they go by their identity.
    if number < len(rules):
        explain = rules[number].explain
        results = [explain(pools[place]) for place in places]
    else:
        results = [findings.capacity.explain(place) for place in places]
    for result in results:
        if id(result) not in known:
            known[id(result)] = result.to_json()
    return [known[id(result)] for result in results]


def _record(findings: Findings, place: int, rules: list[dict[str, object]]) -> dict[str, object]:
    pool, failing = findings.pools[place], findings.failing[place]
    reasons = [rules[number]["reason"] for number in failing or (-1,)]
    record: dict[str, object] = {
        "pool": pool.id,
        "backend": pool.backend,
        "name": pool.name,
        "kept": not failing,
        "free_after": findings.rooms[place],
        "reason": reasons[0] if len(reasons) == 1 else bounded("; ".join(map(str, reasons))),
        "rules": rules,
    }
    given = findings.given.get(place)
    if given:
        record |= {"score": total(given), "scores": [one.scored.to_json() for one in given]}
    return record
