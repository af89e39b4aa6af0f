"""Units: what each one is worth, numbers with units to exact values, and what to write instead of a wrong unit.

Stored as whole numbers: sizes in bytes, rates in bytes per second, IOPS, durations in microseconds. Stored as exact
fractions: percentages (of one), plain numbers, amounts per size (of one byte).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction
from types import MappingProxyType
from typing import NamedTuple

from dsl.expressions.types import DURATION, IOPS, NUMBER, PERCENT, RATE, SIZE, Dimension, Kind, Type
from dsl.problems import shown, suggest
from shareflow.contracts.units import SIZE_UNITS

Number = int | Fraction

TIME_UNITS = {"us": 1, "ms": 10**3, "s": 10**6, "m": 60 * 10**6, "h": 3600 * 10**6, "d": 86400 * 10**6}
MAX_DIGITS = 30
MAX_EXPONENT = 18

_NUMBER = r"[0-9][0-9_]*(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"
_QUANTITY = re.compile(rf"([+-]?{_NUMBER})\s*([^\s0-9].*)?", re.ASCII)


class Unit(NamedTuple):
    """What one of a unit is worth in stored units, and what it measures."""

    factor: Fraction
    type: Type


class Quantity(NamedTuple):
    """A number with its unit as a stored value; ``bare`` when no unit was written."""

    value: Number
    type: Type
    bare: bool


class Refused(Exception):
    """A number or unit cannot be used: the parts of the message."""

    def __init__(self, code: str, message: str, label: str, hint: str) -> None:
        super().__init__(message)
        self.code, self.message, self.label, self.hint = code, message, label, hint


def _every_unit() -> dict[str, Unit]:
    units = {name: Unit(Fraction(factor), SIZE) for name, factor in SIZE_UNITS.items()}
    units |= {f"{name}/s": Unit(Fraction(factor), RATE) for name, factor in SIZE_UNITS.items()}
    units |= {"IOPS": Unit(Fraction(1), IOPS), "%": Unit(Fraction(1, 100), PERCENT)}
    units |= {name: Unit(Fraction(factor), DURATION) for name, factor in TIME_UNITS.items()}
    for per, size in SIZE_UNITS.items():
        units[f"IOPS/{per}"] = Unit(Fraction(1, size), Type(Kind.NUMBER, Dimension(-1, -1, 1)))
        for name, factor in SIZE_UNITS.items():
            units[f"{name}/s/{per}"] = Unit(Fraction(factor, size), Type(Kind.NUMBER, Dimension(0, -1)))
    return units


UNITS: Mapping[str, Unit] = MappingProxyType(_every_unit())

_PREFIXES = "kmgtpe"
_ALIASES = {
    "byte": "B", "bytes": "B", "b": "B",
    "iop": "IOPS", "ios": "IOPS", "iops": "IOPS", "ops": "IOPS", "io": "IOPS",
    "sec": "s", "secs": "s", "second": "s", "seconds": "s", "min": "m", "mins": "m", "minute": "m", "minutes": "m",
    "hr": "h", "hrs": "h", "hour": "h", "hours": "h", "day": "d", "days": "d",
    "msec": "ms", "msecs": "ms", "millis": "ms", "millisecond": "ms", "milliseconds": "ms",
    "usec": "us", "usecs": "us", "micros": "us", "microsecond": "us", "microseconds": "us",
    "\u00b5s": "us", "\u03bcs": "us", "percent": "%", "pct": "%",
}  # fmt: skip
_ALIASES |= {
    f"{prefix}{rest}": f"{prefix.upper()}iB" for prefix in "kmgtp" for rest in ("", "b", "i", "ib", "byte", "bytes")
}
_ALIASES |= {
    f"{word}byte{plural}": f"{word[0].upper()}iB"
    for word in ("kilo", "mega", "giga", "tera", "peta", "kibi", "mebi", "gibi", "tebi", "pebi")
    for plural in ("", "s")
}
_TIMES = {"w": (7, "d"), "week": (7, "d"), "weeks": (7, "d"), "eb": (1024, "PiB"), "eib": (1024, "PiB")}
# `mib/s` in small letters is a slip for bytes, `Mib/s` is not.
_BITS = re.compile(
    r"(?![kmgt]ib)([kKMmGgTt]?)(i?)(?:[bB]its?(?:ps|/s|/sec|/second)?|b(?:ps|/s|/sec|/second))", re.ASCII
)
_DECIMAL = re.compile(r"([kKMGTP])B(ps|/s|/sec|/second)?", re.ASCII)


def number(text: str) -> Fraction:
    """The exact value of digits with an optional fraction and exponent.

    Raises:
        Refused: more than 30 digits, or an exponent beyond 18.
    """
    digits, _, exponent = text.lower().partition("e")
    if len(digits) > MAX_DIGITS or len(exponent) > 4 or abs(int(exponent or 0)) > MAX_EXPONENT:
        label = f"more than {MAX_DIGITS} digits, or an exponent beyond {MAX_EXPONENT}"
        raise Refused("S315", f"the number `{shown(text, 24)}` cannot be used", label, "write a smaller number")
    return Fraction(text.replace("_", ""))


def quantity(digits: str, unit: str) -> Quantity:
    """The stored value of a number and its unit; an empty unit is a plain number.

    Raises:
        Refused: the number is too long, the unit unknown, or the value not whole where it has to be.
    """
    amount = number(digits)
    if not unit:
        return Quantity(tidy(amount), NUMBER, bare=True)
    known = UNITS.get(unit)
    if known is None:
        label, hint = unit_advice(digits, amount, unit)
        raise Refused("S312", f"unknown unit `{shown(unit, 24)}`", label, hint)
    return Quantity(whole(amount * known.factor, known.type, f"{digits} {unit}"), known.type, bare=False)


def whole(value: Fraction, kind: Type, text: str) -> Number:
    """A value of a type, whole where its unit cannot be divided.

    Raises:
        Refused: it is a fraction of a byte, of a byte per second, of an I/O per second or of a microsecond.
    """
    if value.denominator == 1 or not kind.whole:
        return tidy(value)
    unit = {SIZE: "bytes", RATE: "bytes per second", IOPS: "IOPS"}.get(kind, "microseconds")
    message = f"`{shown(text, 24)}` is not a whole number of {unit}"
    raise Refused("S315", message, f"a fraction of {unit}", "write a whole number, perhaps of a smaller unit")


def parse_quantity(text: str) -> Quantity | None:
    """The stored value of text such as ``10 GiB`` or ``-5``; None when it is not a number with a unit.

    Raises:
        Refused: as :func:`quantity`.
    """
    match = _QUANTITY.fullmatch(text.strip())
    if match is None:
        return None
    sign = -1 if match[1][0] == "-" else 1
    found = quantity(match[1].lstrip("+-"), (match[2] or "").strip())
    return found._replace(value=sign * found.value)


def tidy(value: Number) -> Number:
    """The same value, as an integer when it is whole."""
    return value.numerator if value.denominator == 1 else value


def unit_advice(digits: str, amount: Fraction, unit: str) -> tuple[str, str]:
    """What is wrong with an unknown unit in a few words, and what to write instead of it and its number."""
    bits = _BITS.fullmatch(unit)
    if bits is not None:
        return "bits are not used here", _bits_advice(digits, amount, unit, bits)
    decimal = _DECIMAL.fullmatch(unit)
    if decimal is not None:
        return "decimal units are not used here", _decimal_advice(digits, amount, unit, decimal)
    return _word_advice(digits, amount, unit)


def _word_advice(digits: str, amount: Fraction, unit: str) -> tuple[str, str]:
    """Advice on a unit that is spelled in another way, or none at all."""
    if unit == "M":
        return "not a unit", f"write `{digits} MiB` for a size, `{digits} m` for minutes"
    if unit.lower() in ("ns", "nsec", "nanosecond", "nanoseconds"):
        return "not a unit", "the smallest duration is `1 us`"
    if unit.lower() in _TIMES:
        times, smaller = _TIMES[unit.lower()]
        return "not a unit", f"write `{_decimal_text(amount * times)} {smaller}`"
    fixed = "/".join(_ALIASES.get(word.lower(), word) for word in _spelled(unit).split("/"))
    if fixed in UNITS:
        decimals = re.search(r"(?:^|/)[kKMGTP]B(?:/|$)", unit) is not None
        return "decimal units are not used here" if decimals else "not a unit", f"write `{digits} {fixed}`"
    near = suggest(unit, UNITS)
    if near is not None:
        return "not a unit", f"did you mean `{digits} {near}`?"
    return "not a unit", "use B to PiB, B/s to PiB/s, IOPS, IOPS/GiB, us ms s m h d, or %"


def _spelled(unit: str) -> str:
    """``MiBps`` and ``IO/s`` as they would be with a slash, or as one word."""
    if unit.lower() in ("io/s", "ios/s", "op/s", "ops/s", "io/sec"):
        return "IOPS"
    return unit[:-2] + "/s" if re.fullmatch(r"[kKMGTPmgtp]i?Bps", unit) else unit


def _decimal_advice(digits: str, amount: Fraction, unit: str, match: re.Match[str]) -> str:
    """``10 GB is 9.31 GiB; write `10 GiB` (or `9 GiB` to stay below 10 GB)``."""
    power = _PREFIXES.index(match[1].lower()) + 1
    binary = match[1].upper() + "iB" + ("/s" if match[2] else "")
    exact = amount * 1000**power / 1024**power
    below = f" (or `{int(exact)} {binary}` to stay below {digits} {unit})" if int(exact) >= 1 else ""
    return f"{digits} {unit} is {float(exact):.2f} {binary}; write `{digits} {binary}`{below}"


def _bits_advice(digits: str, amount: Fraction, unit: str, match: re.Match[str]) -> str:
    """``100 Mbit/s is 11.92 MiB/s, as 8 bits are a byte; write `12 MiB/s```."""
    power = _PREFIXES.index(match[1].lower()) + 1 if match[1] else 0
    rate = amount * (1024 if match[2] else 1000) ** power / 8
    name, factor = next(((name, factor) for name, factor in reversed(SIZE_UNITS.items()) if rate >= factor), ("B", 1))
    exact = f"{float(rate / factor):.2f} {name}/s"
    return f"{digits} {unit} is {exact}, as 8 bits are a byte; write `{max(round(rate / factor), 1)} {name}/s`"


def _decimal_text(value: Fraction) -> str:
    return str(value.numerator) if value.denominator == 1 else f"{float(value):g}"
