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
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | Fraction):
        return _render_number(value, kind) if kind is not None and kind.kind is Kind.NUMBER else shown(value)
    if isinstance(value, tuple | list | frozenset | set):
        return _render_items(value, kind.of if kind is not None else None)
    return shown(value, 120)


def _render_items(value: tuple[object, ...] | list[object] | frozenset[object] | set[object], of: Type | None) -> str:
    items = list(value) if isinstance(value, tuple | list) else sorted(value, key=str)
    more = [f"and {len(items) - _MAX_SHOWN} more"] if len(items) > _MAX_SHOWN else []
    return f"[{', '.join([render_value(item, of) for item in items[:_MAX_SHOWN]] + more)}]"


_SCALES: Mapping[Dimension, tuple[tuple[str, Fraction], ...]] = MappingProxyType(
    {
        SIZE.dimension: tuple((name, Fraction(factor)) for name, factor in reversed(SIZE_UNITS.items())),
        RATE.dimension: tuple((f"{name}/s", Fraction(factor)) for name, factor in reversed(SIZE_UNITS.items())),
        DURATION.dimension: tuple((name, Fraction(factor)) for name, factor in reversed(TIME_UNITS.items())),
        IOPS.dimension: (("IOPS", Fraction(1)),),
        Dimension(-1, -1, 1): (("IOPS/GiB", Fraction(1, 2**30)),),
        Dimension(0, -1): (("MiB/s/TiB", Fraction(1, 2**20)),),
        Dimension(0, 0, 1): (("I/Os", Fraction(1)),),
        Dimension(): (("", Fraction(1)),),
    }
)


def _render_number(value: Number, kind: Type) -> str:
    """In the largest unit of which there is at least one, with up to three decimals."""
    scales: tuple[tuple[str, Fraction], ...]
    if kind.percent:
        scales = (("%", Fraction(1, 100)),)
    else:
        scales = _SCALES.get(kind.dimension, ((kind.noun.removeprefix("quantity in "), Fraction(1)),))
    amount = Fraction(value)
    unit, factor = next((scale for scale in scales if abs(amount) >= scale[1]), scales[-1])
    return f"{_decimal(amount / factor)} {unit}".rstrip()


def _decimal(value: Fraction) -> str:
    """Exact with up to three decimals, else rounded and called so."""
    thousandths = value * 1000
    about = "" if thousandths.denominator == 1 else "about "
    amount, rest = divmod(abs(round(thousandths)), 1000)
    sign = "-" if value < 0 else ""
    return f"{about}{sign}{amount}.{rest:03d}".rstrip("0").removesuffix(".") if rest else f"{about}{sign}{amount}"
