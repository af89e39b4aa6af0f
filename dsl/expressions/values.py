"""Runtime values: versions, whether a value fits its declared type, and values as text with their unit."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from types import MappingProxyType

from dsl.expressions.types import DURATION, IOPS, RATE, SIZE, Dimension, Kind, Type
from dsl.expressions.units import TIME_UNITS, Number
from dsl.problems import shown
from shareflow.contracts.units import SIZE_UNITS

Fits = Callable[[object], bool]

_VERSION = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9}){0,7}", re.ASCII)
_MAX_SHOWN = 8
_only_texts = frozenset({str}).issuperset


@dataclass(frozen=True, slots=True, order=True)
class Version:
    """Numbers with dots between, compared number by number; a missing part is zero, so 9.13 equals 9.13.0."""

    parts: tuple[int, ...]
    text: str = field(compare=False)

    def __str__(self) -> str:
        return self.text


def parse_version(text: str) -> Version | None:
    """One to eight numbers of at most nine digits with dots between; None for anything else."""
    if _VERSION.fullmatch(text) is None:
        return None
    parts = [int(part) for part in text.split(".")]
    while len(parts) > 1 and parts[-1] == 0:
        parts.pop()
    return Version(tuple(parts), text)


def fits(kind: Type) -> Fits:
    """A test whether a value is of a type; None never is, and no value makes the test fail.

    Numbers are integers, or fractions where the type is not whole; never floats, never true or false.
    """
    if kind.kind in (Kind.LIST, Kind.SET):
        return _collection_fits(kind)
    if kind.kind is Kind.ENUM:
        allowed = frozenset(kind.values)
        return lambda value: isinstance(value, str) and value in allowed
    if kind.kind is Kind.NUMBER:
        return _is_whole if kind.whole else _is_exact
    wanted = {Kind.BOOL: bool, Kind.TEXT: str, Kind.VERSION: Version}[kind.kind]
    return lambda value: isinstance(value, wanted)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_exact(value: object) -> bool:
    return isinstance(value, int | Fraction) and not isinstance(value, bool)


def _collection_fits(kind: Type) -> Fits:
    element = fits(kind.of) if kind.of is not None else _is_whole
    texts = kind.of is not None and kind.of.kind is Kind.TEXT

    def test(value: object) -> bool:
        if not isinstance(value, tuple | list | frozenset | set):
            return False
        return (texts and _only_texts(map(type, value))) or all(map(element, value))

    return test


def kind_of(value: object) -> str:
    """What a value is, in the words of declarations."""
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | Fraction):
        return "a number" if isinstance(value, int) or value.denominator == 1 else "a fraction"
    if isinstance(value, tuple | list | frozenset | set):
        return "a list"
    words: Mapping[type, str] = {str: "text", Version: "a version", float: "a float", dict: "a mapping"}
    return words.get(type(value), shown(type(value).__name__, 24))


def misfit(name: str, value: object, declared: Type) -> str:
    """Why a value is not used: ``pool.x is text, declared number``."""
    if declared.kind is Kind.ENUM and isinstance(value, str):
        return f'{name} is "{shown(value)}", declared {declared.declared}'
    return f"{name} is {kind_of(value)}, declared {declared.declared}"


def render_value(value: object, kind: Type | None) -> str:
    """A value as people read it: ``3 TiB``, ``2 ms``, ``5 %``, ``450 IOPS``, ``[nfs, smb]``; ``absent`` for None.

    ``about`` stands before a number that is rounded. Texts are shown as they are, printable and bounded.
    """
    if value is None:
        return "absent"
    if value is True or value is False:
        return "true" if value else "false"
    if isinstance(value, (int, Fraction)):
        return _render_number(value, kind) if kind is not None and kind.kind is Kind.NUMBER else shown(value)
    if isinstance(value, tuple | list | frozenset | set):
        return _render_items(value, kind.of if kind is not None else None)
    return shown(value, 120)


def _render_items(value: tuple[object, ...] | list[object] | frozenset[object] | set[object], of: Type | None) -> str:
    items = list(value) if isinstance(value, tuple | list) else sorted(value, key=str)
    more = [f"and {len(items) - _MAX_SHOWN} more"] if len(items) > _MAX_SHOWN else []
    return f"[{', '.join([render_value(item, of) for item in items[:_MAX_SHOWN]] + more)}]"


# Unit, and what one of it is worth in stored units: numerator and denominator.
_Scales = tuple[tuple[str, int, int], ...]


def _scales(units: Mapping[str, int], per: str = "") -> _Scales:
    return tuple((name + per, factor, 1) for name, factor in reversed(list(units.items())))


_SCALES: Mapping[Dimension, _Scales] = MappingProxyType(
    {
        SIZE.dimension: _scales(SIZE_UNITS),
        RATE.dimension: _scales(SIZE_UNITS, "/s"),
        DURATION.dimension: _scales(TIME_UNITS),
        IOPS.dimension: (("IOPS", 1, 1),),
        Dimension(-1, -1, 1): (("IOPS/GiB", 1, 2**30),),
        Dimension(0, -1): (("MiB/s/TiB", 1, 2**20),),
        Dimension(0, 0, 1): (("I/Os", 1, 1),),
        Dimension(): (("", 1, 1),),
    }
)
_PERCENT: _Scales = (("%", 1, 100),)


def _render_number(value: Number, kind: Type) -> str:
    """In the largest unit of which there is at least one, with up to three decimals.

    Whole numbers only: explaining a placement does this for every pool, and arithmetic on fractions is slow.
    """
    scales = _PERCENT if kind.percent else _SCALES.get(kind.dimension)
    if scales is None:
        scales = ((kind.noun.removeprefix("quantity in "), 1, 1),)
    amount, below = abs(value.numerator), value.denominator
    unit, above, part = _largest(scales, amount, below)
    return f"{_decimal(amount * part, above * below, negative=value < 0)} {unit}".rstrip()


def _largest(scales: _Scales, amount: int, below: int) -> tuple[str, int, int]:
    """The largest unit of which there is at least one, else the smallest."""
    for scale in scales:
        if amount * scale[2] >= scale[1] * below:
            return scale
    return scales[-1]


def _decimal(amount: int, below: int, *, negative: bool) -> str:
    """A quotient, exact with up to three decimals, else rounded to the nearest (to an even one) and called so."""
    thousandths, left = divmod(amount * 1000, below)
    about = "about " if left else ""
    if 2 * left > below or (2 * left == below and thousandths % 2):
        thousandths += 1
    whole, rest = divmod(thousandths, 1000)
    text = f"{about}{'-' if negative else ''}{whole}"
    return f"{text}.{rest:03d}".rstrip("0") if rest else text
