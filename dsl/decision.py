"""The record of a placement: every rule of every pool, in full or bounded, as plain values or as text."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from dsl.problems import printable
from shareflow.contracts.units import format_size

_BARE_WORD = re.compile(r"[A-Za-z_][\w.-]*", re.ASCII)
_MAX_GROUPS = 20
_MAX_VALUES = 3
_MAX_TEXT = 200
_MAX_ITEMS = 64


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
    SIZE = "size"
    CAPACITY = "capacity"


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
    """

    kind: Kind
    rule: str
    left: object
    right: object
    ok: bool
    position: str = ""
    unit: str = ""
    reason: str = ""

    def to_json(self) -> dict[str, object]:
        """Plain values."""
        return {
            "kind": self.kind.value,
            "rule": self.rule,
            "left": _plain(self.left),
            "right": _plain(self.right),
            "ok": self.ok,
            "position": self.position,
            "unit": self.unit,
            "reason": _bounded(self.reason),
        }


class PoolVerdict(NamedTuple):
    """What was found about one pool.

    Attributes:
        pool: its id.
        kept: every rule holds.
        free_after: bytes left after the placement, negative when it does not fit, None without a limit.
        rules: every rule that applies, in order, also after one has failed.
        reason: why it was dropped (all failed rules), or the arithmetic of its room.
    """

    pool: str
    backend: str
    name: str
    kept: bool
    free_after: int | None
    rules: tuple[RuleResult, ...]
    reason: str

    @property
    def title(self) -> str:
        """``backend/pool``."""
        return f"{self.backend}/{self.name}"

    @property
    def failed(self) -> tuple[RuleResult, ...]:
        """The rules that do not hold."""
        return tuple(rule for rule in self.rules if not rule.ok)

    def to_json(self) -> dict[str, object]:
        """Plain values."""
        return {
            "pool": self.pool,
            "backend": self.backend,
            "name": self.name,
            "kept": self.kept,
            "free_after": self.free_after,
            "reason": _bounded(self.reason),
            "rules": [rule.to_json() for rule in self.rules],
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
        dropped = [verdict for verdict in self.verdicts if not verdict.kept]
        groups = [_sentence(members) for members in _grouped(dropped)]
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
        dropped = [verdict for verdict in self.verdicts if not verdict.kept]
        return tuple(sorted(dropped, key=lambda v: (len(v.failed), max(-(v.free_after or 0), 0)))[: max(limit, 0)])

    def to_json(self) -> dict[str, object]:
        """Everything, as plain values."""
        return {
            "text": self.explanation(),
            "request": dict(self.request),
            "ranked": list(self.ranked),
            "verdicts": [verdict.to_json() for verdict in self.verdicts],
        }

    def summary(self, limit: int = 5, *, chosen: str | None = None) -> dict[str, object]:
        """The bounded form: counts per reason, the chosen pool and the nearest misses in full.

        Args:
            limit: how many ranked ids, and how many misses, are kept.
            chosen: id of the pool that was taken in the end; None means the best one.
        """
        taken = chosen if chosen in self.ranked else next(iter(self.ranked), None)
        verdict = next((verdict for verdict in self.verdicts if verdict.pool == taken), None)
        counts = {_title(members): len(members) for members in _grouped(self.verdicts)}
        return {
            "text": self.explanation(chosen),
            "request": dict(self.request),
            "pools": len(self.verdicts),
            "kept": len(self.ranked),
            "counts": dict(list(counts.items())[:_MAX_GROUPS]),
            "ranked": list(self.ranked[:limit]),
            "chosen": verdict.to_json() if verdict is not None else None,
            "nearest": [near.to_json() for near in self.nearest(limit)],
        }


def _grouped(verdicts: Sequence[PoolVerdict]) -> list[list[PoolVerdict]]:
    """Dropped pools by their first failed rule; the group that is closest to fitting first (capacity), then by size."""
    groups: dict[tuple[str, str], list[PoolVerdict]] = {}
    for verdict in verdicts:
        if not verdict.kept:
            first = verdict.failed[0]
            groups.setdefault((first.kind, first.rule), []).append(verdict)
    order = list(Kind)
    return sorted(groups.values(), key=lambda g: (-order.index(g[0].failed[0].kind), -len(g), g[0].failed[0].rule))


def _title(members: Sequence[PoolVerdict]) -> str:
    """The reason of a group in a few words, the same for the same rule."""
    first = members[0].failed[0]
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
    first = members[0].failed[0]
    subject = _count(number, "pool")
    if first.kind is Kind.CAPACITY:
        lacks = sorted({-(verdict.free_after or 0) for verdict in members})
        more = " or more" if len(lacks) > 1 else ""
        return f"{subject} lack{_s(plural=one)} {format_size(lacks[0])}{more}"
    if first.kind is Kind.SIZE:
        return first.reason
    if first.kind is Kind.QOS:
        reasons = _several(verdict.failed[0].reason for verdict in members)
        return f"{subject} fail{_s(plural=one)} `{_bounded(first.rule)}`: {reasons}"
    if first.kind in (Kind.AVAILABLE, Kind.EXCLUDED):
        reasons = _several(verdict.failed[0].reason for verdict in members)
        return f"{subject} {'is' if one else 'are'} {reasons}"
    if first.kind is Kind.ABSENT:
        return f"{subject} fail{_s(plural=one)} `{_bounded(first.rule)}`: attribute absent"
    has = _several(_value(verdict.failed[0].left) for verdict in members)
    return f"{subject} fail{_s(plural=one)} `{_bounded(first.rule)}`: {'it has' if one else 'they have'} {has}"


def _several(texts: Iterable[str]) -> str:
    distinct = list(dict.fromkeys(texts))
    more = f" and {len(distinct) - _MAX_VALUES} more" if len(distinct) > _MAX_VALUES else ""
    return _bounded(" or ".join(distinct[:_MAX_VALUES])) + more


def _value(left: object) -> str:
    if isinstance(left, tuple | list):
        return ", ".join(str(item) for item in left) or "none"
    if isinstance(left, bool):
        return "true" if left else "false"
    return "none" if left is None else str(left)


def _plain(value: object) -> object:
    """A side of a rule as a JSON value of bounded size."""
    if isinstance(value, tuple | list):
        more = [f"and {len(value) - _MAX_ITEMS} more"] if len(value) > _MAX_ITEMS else []
        return [_plain(item) for item in value[:_MAX_ITEMS]] + more
    if value is None or isinstance(value, bool | int):
        return value
    return _bounded(str(value))


def _bounded(text: str) -> str:
    clean = printable(text)
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
