"""What one rule says of one pool, and what one preference makes of it, as plain values of bounded size."""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

from dsl.problems import printable

_BARE_WORD = re.compile(r"[A-Za-z_][\w.-]*", re.ASCII)
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
    RULE = "rule"
    SPREAD = "spread"
    AFFINITY = "affinity"
    SIZE = "size"
    CAPACITY = "capacity"


class Compared(NamedTuple):
    """One comparison inside a rule, as text: what was compared, both values, the verdict (None: unknown) and why."""

    text: str
    left: str
    right: str
    verdict: bool | None
    reason: str = ""

    def to_json(self) -> dict[str, object]:
        """Plain values."""
        text, left, right, verdict, reason = self
        return {
            "text": bounded(text),
            "left": bounded(left),
            "right": bounded(right),
            "verdict": verdict,
            "reason": reason and bounded(reason),
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

    def to_json(self) -> dict[str, object]:
        """Plain values; what is as usual is left out at the end."""
        kind, rule, left, right, ok, position, unit, reason, enforced, comparisons = self
        plain: dict[str, object] = {
            "kind": str(kind),
            "rule": bounded(rule),
            "left": _plain(left),
            "right": _plain(right),
            "ok": ok,
            "position": position,
            "unit": unit,
            "reason": reason and bounded(reason),
        }
        if not enforced:
            plain["enforced"] = False
        if comparisons:
            plain["comparisons"] = [compared.to_json() for compared in comparisons]
        return plain


class PoolRule(Protocol):
    """A rule that is asked of pools."""

    def explain(self, pool: Any, /) -> RuleResult:
        """Whether it holds, with both values and the reason."""


class Arithmetic(Protocol):
    """The rule about room, which knows what it has measured of the pool at a place."""

    def explain(self, place: int, /) -> RuleResult:
        """Whether the request fits, with both sides and the arithmetic."""

    def reason(self, place: int, /) -> str:
        """The arithmetic alone."""

    def reasons(self) -> Sequence[str]:
        """The arithmetic of every pool."""


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
        return {**self._asdict(), "preference": bounded(self.preference), "raw": bounded(self.raw)}


class Term(NamedTuple):
    """A preference as it is asked of every pool; ``shown`` makes a text of what it gives."""

    preference: str
    shown: Callable[[object], str]
    weight: int
    position: str


def _plain(value: object) -> object:
    """A side of a rule as a JSON value of bounded size."""
    if isinstance(value, str):
        return bounded(value)
    if value is None or isinstance(value, int):
        return value
    if isinstance(value, tuple | list):
        more = [f"and {len(value) - _MAX_ITEMS} more"] if len(value) > _MAX_ITEMS else []
        return [_plain(item) for item in value[:_MAX_ITEMS]] + more
    return bounded(str(value))


def bounded(text: str) -> str:
    """A text that is printable and not too long for a record."""
    clean = text if text.isprintable() else printable(text)
    return clean if len(clean) <= _MAX_TEXT else clean[: _MAX_TEXT - 3] + "..."


def literal(value: object) -> str:
    """A value as a rule shows it: words bare, other text in quotes."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple | list):
        return f"[{', '.join(literal(item) for item in value)}]"
    if isinstance(value, str) and (not _BARE_WORD.fullmatch(value) or value in ("true", "false")):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return str(value)
