"""What a value can be: types with their dimensions, declared attributes, and the environment of one evaluation."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple

NAMESPACES = ("pool", "request", "share", "spec")
_NOTHING: Mapping[str, object] = MappingProxyType({})
_SHOWN_VALUES = 6


class Dimension(NamedTuple):
    """Exponents of what a number measures; all zero for a plain number."""

    size: int = 0
    time: int = 0
    io: int = 0

    def times(self, other: Dimension, power: int = 1) -> Dimension:
        """The dimension of a product with ``other``, or of a quotient when ``power`` is -1."""
        return Dimension(self.size + power * other.size, self.time + power * other.time, self.io + power * other.io)

    @property
    def scale(self) -> int:
        """Stored units per coherent unit: a duration is stored in microseconds, a rate per second."""
        return int(10 ** (6 * max(self.time, 0)))


PLAIN = Dimension()


class Kind(enum.StrEnum):
    """The kinds of values. A duration is a number with the dimension of time."""

    BOOL = "bool"
    NUMBER = "number"
    TEXT = "text"
    ENUM = "enum"
    VERSION = "version"
    LIST = "list"
    SET = "set"


_WORDS = {
    Dimension(): "number",
    Dimension(1): "size",
    Dimension(1, -1): "rate",
    Dimension(0, -1, 1): "IOPS",
    Dimension(-1, -1, 1): "IOPS per size",
    Dimension(0, -1): "rate per size",
    Dimension(0, 1): "duration",
    Dimension(0, 0, 1): "number of I/Os",
}
_PLURALS = {"number": "numbers", "text": "text", "true or false": "true or false", "version": "versions"}


@dataclass(frozen=True, slots=True)
class Type:
    """A type.

    Attributes:
        kind: what sort of value it is.
        dimension: what a number measures; stored as whole bytes, bytes per second, IOPS or microseconds, everything
            else as an exact fraction.
        percent: a plain number that is written with ``%``; ``5 %`` is stored as 1/20.
        values: the texts that an enum allows.
        of: the type of what is in a list or set.
    """

    kind: Kind
    dimension: Dimension = PLAIN
    percent: bool = False
    values: tuple[str, ...] = ()
    of: Type | None = None

    @property
    def noun(self) -> str:
        """The type in one or a few words without an article: ``size``, ``text``, ``list of text``."""
        if self.kind is Kind.NUMBER:
            return "percentage" if self.percent else _WORDS.get(self.dimension, _powers(self.dimension))
        if self.of is not None:
            return f"{self.kind} of {_PLURALS.get(self.of.noun, self.of.noun + 's')}"
        return {Kind.BOOL: "true or false", Kind.ENUM: "text"}.get(self.kind, str(self.kind))

    @property
    def declared(self) -> str:
        """The type as a declaration says it: as :attr:`noun`, with the values of an enum."""
        if self.of is not None and self.of.values:
            return f"{self.kind} of {self.of.declared.removeprefix('one of ')}"
        if self.kind is not Kind.ENUM:
            return self.noun
        listed = ", ".join(f'"{value}"' for value in self.values[:_SHOWN_VALUES])
        return f"one of {listed}{', ...' if len(self.values) > _SHOWN_VALUES else ''}"

    @property
    def stated(self) -> str:
        """The type as a sentence says it, with the values of an enum: ``a size``, ``one of "ssd", "hdd"``."""
        if self.of is not None:
            return f"a {self.declared}"
        return self.declared if self.values else str(self)

    @property
    def whole(self) -> bool:
        """Whether a value is a whole number of its unit: bytes, bytes per second, IOPS, microseconds."""
        return self.kind is Kind.NUMBER and self.dimension in _WHOLE

    @property
    def ordered(self) -> bool:
        """Whether ``<`` and ``>`` have a meaning."""
        return self.kind in (Kind.NUMBER, Kind.VERSION)

    @property
    def textual(self) -> bool:
        """Whether values are texts."""
        return self.kind in (Kind.TEXT, Kind.ENUM)

    def __str__(self) -> str:
        noun = self.noun
        return noun if noun in ("text", "true or false", "IOPS", "IOPS per size") else f"a {noun}"


def _powers(dimension: Dimension) -> str:
    """A dimension that has no word of its own."""
    names = zip(dimension, ("B", "s", "IO"), strict=True)
    return "quantity in " + " ".join(f"{name}^{power}" if power != 1 else name for power, name in names if power)


BOOL = Type(Kind.BOOL)
NUMBER = Type(Kind.NUMBER)
PERCENT = Type(Kind.NUMBER, percent=True)
SIZE = Type(Kind.NUMBER, Dimension(1))
RATE = Type(Kind.NUMBER, Dimension(1, -1))
IOPS = Type(Kind.NUMBER, Dimension(0, -1, 1))
DURATION = Type(Kind.NUMBER, Dimension(0, 1))
TEXT = Type(Kind.TEXT)
VERSION = Type(Kind.VERSION)
_WHOLE = frozenset({SIZE.dimension, RATE.dimension, IOPS.dimension, DURATION.dimension})


def enum_of(*values: str) -> Type:
    """The type of a text that is one of these."""
    return Type(Kind.ENUM, values=values)


def list_of(element: Type) -> Type:
    """The type of a list; order and repetition count."""
    return Type(Kind.LIST, of=element)


def set_of(element: Type) -> Type:
    """The type of a set; equal elements count once."""
    return Type(Kind.SET, of=element)


@dataclass(frozen=True, slots=True)
class Attribute:
    """A declared name.

    Attributes:
        name: without its namespace.
        declared_at: ``file:line`` or any words that tell a reader where the declaration is; may be empty.
    """

    name: str
    type: Type
    description: str = ""
    declared_at: str = ""


@dataclass(frozen=True, slots=True)
class Schema:
    """The names that expressions may use: per namespace, attribute by name.

    Attributes:
        unsure: names of pool attributes whose type is not known, because what would tell it is refused elsewhere.
        open: pools may have other attributes as well. An expression that reads one of these, or one that is unsure, is
            refused without a mistake of its own.
    """

    pool: Mapping[str, Attribute] = field(default_factory=dict)
    request: Mapping[str, Attribute] = field(default_factory=dict)
    share: Mapping[str, Attribute] = field(default_factory=dict)
    spec: Mapping[str, Attribute] = field(default_factory=dict)
    unsure: frozenset[str] = field(default=frozenset(), kw_only=True)
    open: bool = field(default=False, kw_only=True)

    @classmethod
    def of(
        cls,
        pool: Iterable[Attribute] = (),
        request: Iterable[Attribute] = (),
        share: Iterable[Attribute] = (),
        spec: Iterable[Attribute] = (),
    ) -> Schema:
        """A schema from attributes; of two with one name in a namespace the later counts."""
        names = ({attribute.name: attribute for attribute in group} for group in (pool, request, share, spec))
        return cls(*names)

    def attributes(self, namespace: str) -> Mapping[str, Attribute] | None:
        """The attributes of a namespace, None when there is no such namespace."""
        if namespace not in NAMESPACES:
            return None
        found: Mapping[str, Attribute] = getattr(self, namespace)
        return found


class Env(NamedTuple):
    """The values of one evaluation: per namespace, runtime value by attribute name.

    A missing key and None both mean that the attribute is absent. A named tuple, because compiled expressions read
    namespaces by position; it is the cheapest to make and to read.
    """

    pool: Mapping[str, object]
    request: Mapping[str, object] = _NOTHING
    share: Mapping[str, object] = _NOTHING
    spec: Mapping[str, object] = _NOTHING
