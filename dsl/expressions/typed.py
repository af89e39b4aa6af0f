"""The tree of an expression after checking: every node has a type, names are resolved, units are gone."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from dsl.expressions.types import NUMBER, Type


@dataclass(slots=True, eq=False)
class Typed:
    """A part of a checked expression: where it stands in the text, and its type."""

    start: int
    end: int
    type: Type


@dataclass(slots=True, eq=False)
class Constant(Typed):
    """A literal as its runtime value."""

    value: object

    @property
    def bare(self) -> bool:
        """Whether it is a number without a unit."""
        return self.type == NUMBER


@dataclass(slots=True, eq=False)
class Read(Typed):
    """An attribute: position of its namespace in the environment, name, and where it is declared."""

    index: int
    name: str
    declared_at: str


@dataclass(slots=True, eq=False)
class Has(Typed):
    """Whether an attribute is there."""

    operand: Read


@dataclass(slots=True, eq=False)
class Element(Typed):
    """What is in a list or set; only while it is checked what can be looked for in it."""

    container: Typed


@dataclass(slots=True, eq=False)
class Product(Typed):
    """Factors multiplied, or divided by where ``inverted``; the result times ``scale`` is in stored units."""

    factors: tuple[Typed, ...]
    inverted: tuple[bool, ...]
    scale: Fraction


@dataclass(slots=True, eq=False)
class Sum(Typed):
    """Terms added, or subtracted where ``negative``."""

    terms: tuple[Typed, ...]
    negative: tuple[bool, ...]


@dataclass(slots=True, eq=False)
class Function(Typed):
    """``min max abs ceil floor len``, and ``any all`` of one list."""

    name: str
    arguments: tuple[Typed, ...]


@dataclass(slots=True, eq=False)
class Logic(Typed):
    """Operands joined by ``and`` or by ``or``."""

    word: str
    operands: tuple[Typed, ...]


@dataclass(slots=True, eq=False)
class Negation(Typed):
    """``not``."""

    operand: Typed


@dataclass(slots=True, eq=False)
class Relation(Typed):
    """``== != < <= > >=`` between two values of one type."""

    sign: str
    left: Typed
    right: Typed


@dataclass(slots=True, eq=False)
class Membership(Typed):
    """A value in written items, or in a list or set when ``container`` is there."""

    value: Typed
    items: tuple[Typed, ...]
    container: Typed | None
    negated: bool


@dataclass(slots=True, eq=False)
class Likeness(Typed):
    """A text against a pattern with ``*``."""

    value: Typed
    pattern: str
    negated: bool


@dataclass(slots=True, eq=False)
class Range(Typed):
    """A value between two others, both included."""

    value: Typed
    low: Typed
    high: Typed
    negated: bool
