"""The record of a placement: every rule of every pool, in full or bounded, as plain values or as text."""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from dsl.problems import printable
from shareflow.contracts.units import format_size

_BARE_WORD = re.compile(r"[A-Za-z_][\w.-]*", re.ASCII)
_MAX_GROUPS = 20
_MAX_VALUES = 3
_MAX_TEXT = 200
_MAX_ITEMS = 64
_MAX_EXPLAINED = 50
_CHOICE = re.compile(r"\b(?:or|not|any|all)\b")


class Kind(enum.StrEnum):
    """What a rule is about; rules are evaluated, and reasons counted, in this order."""

    AVAILABLE = "available"
    EXCLUDED = "excluded"
    POOL = "pool"
    BACKEND = "backend"
    ZONE = "zone"
    PROTOCOL = "protocol"
    ABSENT = "absent"
    REQUIRE = "require"
    QOS = "qos"
    RULE = "rule"
    SPREAD = "spread"
    AFFINITY = "affinity"
    SIZE = "size"
    CAPACITY = "capacity"


Known = dict[int, dict[str, object]]


class Compared(NamedTuple):
    """One comparison inside a rule, as text: what was compared, both values, the verdict (None: unknown) and why."""

    text: str
    left: str
    right: str
    verdict: bool | None
    reason: str = ""

    def to_json(self) -> dict[str, object]:
        """Plain values."""
        return {
            "text": _bounded(self.text),
            "left": _bounded(self.left),
            "right": _bounded(self.right),
            "verdict": self.verdict,
            "reason": _bounded(self.reason),
        }


class RuleResult(NamedTuple):
    """One rule asked of one pool.

    Attributes:
        kind: what the rule is about; ``absent`` is a required attribute that the pool does not report.
        rule: the rule as text.
        left: what the pool has; None when it reports nothing.
        right: what is asked for.
        position: ``file:line:column`` of the rule in the specs, empty for built-in rules and for the request's own.
        unit: ``B`` when left and right are bytes.
        reason: why it failed; for capacity always the arithmetic.
        enforced: False for a rule that is only watched: it drops no pool.
        comparisons: what an expression compared, each with both values.
    """

    kind: Kind
    rule: str
    left: object
    right: object
    ok: bool
    position: str = ""
    unit: str = ""
    reason: str = ""
    enforced: bool = True
    comparisons: tuple[Compared, ...] = ()

    def to_json(self, known: Known | None = None) -> dict[str, object]:
        """Plain values; what is as usual is left out at the end. For ``known`` see :meth:`PoolVerdict.to_json`."""
        known = {} if known is None else known
        unusual: dict[str, object] = {} if self.enforced else {"enforced": False}
        if self.comparisons:
            unusual["comparisons"] = [
                known.get(id(compared)) or _json_of(compared, known) for compared in self.comparisons
            ]
        return {
            "kind": str(self.kind),
            "rule": _bounded(self.rule),
            "left": _plain(self.left),
            "right": _plain(self.right),
            "ok": self.ok,
            "position": self.position,
            "unit": self.unit,
            "reason": _bounded(self.reason),
            **unusual,
        }


class PoolRule(Protocol):
    """A rule that is asked of pools."""

    def test(self, pool: Any, /) -> bool | None:
        """Whether it holds; None when the pool does not say."""

    def explain(self, pool: Any, /) -> RuleResult:
        """The same with both values and the reason."""


class Scored(NamedTuple):
    """What one preference makes of one pool.

    Attributes:
        preference: its expression.
        raw: what the expression gives, as text.
        normalised: 0 to 1 among the pools that fit.
        weighted: normalised x weight.
        position: ``file:line:column`` in the specs.
    """

    preference: str
    raw: str
    normalised: float
    weight: int
    weighted: float
    position: str = ""

    def to_json(self) -> dict[str, object]:
        """Plain values."""
        return {**self._asdict(), "preference": _bounded(self.preference), "raw": _bounded(self.raw)}


class Term(NamedTuple):
    """A preference as it is asked of every pool; ``shown`` makes a text of what it gives."""

    preference: str
    shown: Callable[[object], str]
    weight: int
    position: str


class PoolVerdict:
    """What was found about one pool. The rules are explained when somebody asks.

    Attributes:
        failing: the numbers of the enforced rules that do not hold, in order.
        score: the sum of what preferences made of it; 0 for a pool that was dropped.
        free_after: bytes left after the placement, negative when it does not fit, None when that is not known.
    """

    __slots__ = ("_asked", "_given", "_results", "_view", "failing", "free_after", "score")

    def __init__(self, view: Any, asked: Sequence[PoolRule], failing: tuple[int, ...], free_after: int | None) -> None:
        self.failing = failing
        self.free_after = free_after
        self.score = 0.0
        self._given: tuple[tuple[Term, object, float], ...] = ()
        self._view, self._asked = view, asked
        self._results: tuple[RuleResult, ...] | None = None

    def __eq__(self, other: object) -> bool:
        """The same pool with the same results."""
        if not isinstance(other, PoolVerdict):
            return NotImplemented
        return (self.pool, self.scores, self.rules) == (other.pool, other.scores, other.rules)

    def __hash__(self) -> int:
        return hash(self.pool)

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
    def kept(self) -> bool:
        """Whether every enforced rule holds."""
        return not self.failing

    def give(self, term: Term, raw: object, normalised: float) -> None:
        """What one preference makes of it."""
        self._given += ((term, raw, normalised),)
        self.score += normalised * term.weight

    @property
    def scores(self) -> tuple[Scored, ...]:
        """What each preference made of it; empty for a pool that was dropped."""
        return tuple(
            Scored(term.preference, term.shown(raw), part, term.weight, part * term.weight + 0.0, term.position)
            for term, raw, part in self._given
        )

    @property
    def rules(self) -> tuple[RuleResult, ...]:
        """Every rule that applies, in order, also after one has failed."""
        if self._results is None:
            view = self._view
            self._results = tuple([rule.explain(view) for rule in self._asked])
        return self._results

    @property
    def reason(self) -> str:
        """Why it was dropped (all failed rules), or the arithmetic of its room."""
        if not self.failing:
            return self._result(-1).reason
        return "; ".join([self._result(number).reason for number in self.failing])

    @property
    def title(self) -> str:
        """``backend/pool``."""
        return f"{self.backend}/{self.name}"

    @property
    def failed(self) -> tuple[RuleResult, ...]:
        """The enforced rules that do not hold."""
        return tuple(self._result(number) for number in self.failing)

    @property
    def first_failed(self) -> RuleResult:
        """The first of them; quicker to have than all."""
        return self._result(self.failing[0])

    def _result(self, number: int) -> RuleResult:
        return self._results[number] if self._results is not None else self._asked[number].explain(self._view)

    @property
    def group(self) -> tuple[int, bool]:
        """What pools that were dropped for the same reason have in common: the rule, and whether they do not say."""
        number = self.failing[0]
        return (number, self._asked[number].test(self._view) is None)

    def to_json(self, known: Known | None = None) -> dict[str, object]:
        """Plain values.

        Args:
            known: the plain values of what other pools share with this one, by identity; is added to.
        """
        known = {} if known is None else known
        rules = [known.get(id(rule)) or _json_of(rule, known) for rule in self.rules]
        scores: dict[str, object] = {}
        if self._given:
            scores = {"score": self.score, "scores": [scored.to_json() for scored in self.scores]}
        return {
            "pool": self.pool,
            "backend": self.backend,
            "name": self.name,
            "kept": self.kept,
            "free_after": self.free_after,
            "reason": _bounded(self.reason),
            "rules": rules,
            **scores,
        }


@dataclass(frozen=True, slots=True)
class Decision:
    """The outcome of a placement.

    Attributes:
        ranked: ids of the pools that can hold the request, best first; empty when none can.
        verdicts: one per pool, in order of backend and pool name.
        request: what was asked for, as plain values.
    """

    ranked: tuple[str, ...]
    verdicts: tuple[PoolVerdict, ...]
    request: Mapping[str, object] = field(default_factory=dict)

    def explanation(self, chosen: str | None = None) -> str:
        """One line: the choice, or what is closest to fitting and what would have to change.

        Args:
            chosen: id of the pool that was taken in the end; None means the best one.
        """
        return self._text(_grouped(self.verdicts), chosen)

    def _text(self, grouped: list[list[PoolVerdict]], chosen: str | None) -> str:
        groups = [_sentence(members) for members in grouped]
        if len(groups) > _MAX_GROUPS:
            groups = [*groups[:_MAX_GROUPS], f"{len(groups) - _MAX_GROUPS} more reasons"]
        if not self.verdicts:
            return "no pool fits: there are no pools"
        if not self.ranked:
            return "no pool fits: " + "; ".join(groups)
        taken = chosen if chosen in self.ranked else self.ranked[0]
        title = next(verdict.title for verdict in self.verdicts if verdict.pool == taken)
        place = f"rank {self.ranked.index(taken) + 1}" if taken != self.ranked[0] else "the best"
        number = len(self.ranked)
        choice = f"{title} is {place} of {_count(number, 'pool')} that fit{_s(plural=number == 1)}"
        return "; ".join([choice, *groups])

    def nearest(self, limit: int = 3) -> tuple[PoolVerdict, ...]:
        """The dropped pools that are closest to fitting: fewest failed rules, then least bytes missing, then name."""
        dropped = sorted((verdict for verdict in self.verdicts if verdict.failing), key=lambda v: len(v.failing))
        limit = max(limit, 0)
        if limit < len(dropped):  # what is missing is only worked out where it can matter
            most = len(dropped[limit - 1].failing) if limit else 0
            dropped = [verdict for verdict in dropped if len(verdict.failing) <= most]
        return tuple(sorted(dropped, key=lambda v: (len(v.failing), max(-(v.free_after or 0), 0)))[:limit])

    def to_json(self) -> dict[str, object]:
        """Everything, as plain values; what is the same for several pools is one object."""
        known: Known = {}  # verdicts keep their results, so that each identity stays theirs
        return {
            "text": self.explanation(),
            "request": dict(self.request),
            "ranked": list(self.ranked),
            "verdicts": [verdict.to_json(known) for verdict in self.verdicts],
        }

    def summary(self, limit: int = 5, *, chosen: str | None = None) -> dict[str, object]:
        """The bounded form: counts per reason, the chosen pool and the nearest misses in full.

        Args:
            limit: how many ranked ids, and how many misses, are kept.
            chosen: id of the pool that was taken in the end; None means the best one.
        """
        taken = chosen if chosen in self.ranked else next(iter(self.ranked), None)
        verdict = next((verdict for verdict in self.verdicts if verdict.pool == taken), None)
        grouped = _grouped(self.verdicts)
        counts = {_title(members): len(members) for members in grouped}
        return {
            "text": self._text(grouped, chosen),
            "request": dict(self.request),
            "pools": len(self.verdicts),
            "kept": len(self.ranked),
            "counts": dict(list(counts.items())[:_MAX_GROUPS]),
            "ranked": list(self.ranked[:limit]),
            "chosen": verdict.to_json() if verdict is not None else None,
            "nearest": [near.to_json() for near in self.nearest(limit)],
        }


def _json_of(part: RuleResult | Compared, known: Known) -> dict[str, object]:
    found = known[id(part)] = part.to_json() if isinstance(part, Compared) else part.to_json(known)
    return found


def _grouped(verdicts: Sequence[PoolVerdict]) -> list[list[PoolVerdict]]:
    """Dropped pools by their first failed rule; the group that is closest to fitting first (capacity), then by size."""
    groups: dict[tuple[int, bool], list[PoolVerdict]] = {}
    for verdict in verdicts:
        if verdict.failing:
            groups.setdefault(verdict.group, []).append(verdict)
    order = list(Kind)
    firsts = {key: members[0].first_failed for key, members in groups.items()}
    return [
        groups[key]
        for key in sorted(
            groups, key=lambda key: (-order.index(firsts[key].kind), -len(groups[key]), firsts[key].rule, key)
        )
    ]


def _title(members: Sequence[PoolVerdict]) -> str:
    """The reason of a group in a few words, the same for the same rule."""
    first = members[0].first_failed
    if first.kind is Kind.CAPACITY:
        return "not enough room"
    if first.kind is Kind.AVAILABLE:
        return "not available"
    if first.kind is Kind.EXCLUDED:
        return "excluded by an earlier refusal"
    return _bounded(f"{first.rule}: attribute absent" if first.kind is Kind.ABSENT else first.rule)


def _sentence(members: Sequence[PoolVerdict]) -> str:
    """What a group lacks: ``3 pools lack 12 GiB``, ``1 pool fails `media == ssd`: it has hdd``."""
    number, one = len(members), len(members) == 1
    first = members[0].first_failed
    subject = _count(number, "pool")
    if first.kind is Kind.CAPACITY:
        return _lacking(members, subject)
    if first.kind is Kind.SIZE:
        return first.reason
    shown = [verdict.first_failed for verdict in members[:_MAX_EXPLAINED]]
    if first.kind in (Kind.AVAILABLE, Kind.EXCLUDED):
        return f"{subject} {'is' if one else 'are'} {_several(result.reason for result in shown)}"
    fails = f"{subject} fail{_s(plural=one)}"
    if first.comparisons:
        return f"{fails} {_compared(shown, one=one)}"
    return f"{fails} `{_bounded(first.rule)}`: {_what_they_have(shown, one=one)}"


def _what_they_have(results: Sequence[RuleResult], *, one: bool) -> str:
    if results[0].kind is Kind.ABSENT:
        return "attribute absent"
    if results[0].kind is Kind.QOS:
        return _several(result.reason for result in results)
    return f"{'it has' if one else 'they have'} {_several(_value(result.left) for result in results)}"


def _lacking(members: Sequence[PoolVerdict], subject: str) -> str:
    one = len(members) == 1
    lacks = {-room for verdict in members if (room := verdict.free_after) is not None}
    if not lacks:
        reasons = _several(verdict.first_failed.reason for verdict in members[:_MAX_EXPLAINED])
        return f"{subject} cannot take it: {reasons}"
    more = " or more" if len(lacks) > 1 else ""
    return f"{subject} lack{_s(plural=one)} {format_size(min(lacks))}{more}"


def _compared(results: Sequence[RuleResult], *, one: bool) -> str:
    """The comparisons of a rule that failed, each with what the pools have."""
    found: dict[str, list[str]] = {}
    for result in results:
        for compared in result.comparisons:
            if compared.verdict is not True or not _is_conjunction(result):
                has = compared.reason if compared.verdict is None else compared.left
                found.setdefault(_bounded(compared.text), []).append(has)
    they = "it has" if one else "they have"
    texts = []
    for text, values in list(found.items())[:_MAX_VALUES]:
        unknown = all(value.startswith("attribute absent") for value in values)
        texts.append(f"`{text}`: {'' if unknown else they + ' '}{_several(values)}")
    return ", ".join(texts)


def _is_conjunction(result: RuleResult) -> bool:
    """Whether a rule fails by each comparison that does; else none of them alone is to blame."""
    rest = result.rule
    for compared in result.comparisons:
        rest = rest.replace(compared.text, "")
    return _CHOICE.search(rest) is None


def _several(texts: Iterable[str]) -> str:
    """Distinct texts, the first few of them; how many more there are is only known of the pools that were looked at."""
    distinct = list(dict.fromkeys(texts))
    more = " and others" if len(distinct) > _MAX_VALUES else ""
    return _bounded(" or ".join(distinct[:_MAX_VALUES])) + more


def _value(left: object) -> str:
    if isinstance(left, tuple | list):
        return ", ".join(str(item) for item in left) or "none"
    if isinstance(left, bool):
        return "true" if left else "false"
    return "none" if left is None else str(left)


def _plain(value: object) -> object:
    """A side of a rule as a JSON value of bounded size."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, tuple | list):
        more = [f"and {len(value) - _MAX_ITEMS} more"] if len(value) > _MAX_ITEMS else []
        return [_plain(item) for item in value[:_MAX_ITEMS]] + more
    return _bounded(str(value))


def _bounded(text: str) -> str:
    clean = text if text.isprintable() else printable(text)
    return clean if len(clean) <= _MAX_TEXT else clean[: _MAX_TEXT - 3] + "..."


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{_s(plural=number != 1)}"


def _s(*, plural: bool) -> str:
    """The ending of a noun; of a verb, with the opposite number."""
    return "s" if plural else ""


def literal(value: object) -> str:
    """A value as a rule shows it: words bare, other text in quotes."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple | list):
        return f"[{', '.join(literal(item) for item in value)}]"
    if isinstance(value, str) and (not _BARE_WORD.fullmatch(value) or value in ("true", "false")):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return str(value)
