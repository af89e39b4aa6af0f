"""The types of values in QoS classes: how each is read, what it refuses, and what the refusal says."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Literal

from pydantic import PlainSerializer, PlainValidator, WithJsonSchema

from dsl.fields import Refusal, with_unit
from dsl.problems import shown, suggest
from shareflow.contracts.qos import MAX_IOPS, MAX_THROUGHPUT, format_throughput
from shareflow.contracts.units import SIZE_UNITS, parse_duration, parse_size

_NUMBER = re.compile(r"([0-9]{1,18}(?:\.[0-9]{1,9})?)\s*(.*)", re.ASCII | re.DOTALL)
_RATE = re.compile(r"\s*([0-9][0-9_]*(?:\.[0-9]+)?)\s*([A-Za-z]*?)(/s|ps|/sec|/second|)\s*", re.ASCII)
_LATENCY = {"us": 1, "ms": 1_000, "s": 1_000_000}
_MAX_LATENCY = 3_600 * 10**6


def _range(value: int, written: object, largest: int, example: str, of_largest: str) -> int:
    if value < 1:
        hint = f"write at least 1, like {example}; leave the key out for no limit"
        raise Refusal(f"{shown(written)} is out of range", hint)
    if value > largest:
        raise Refusal(f"{shown(written)} is out of range", f"write {of_largest} at most")
    return value


def _amount(value: object, example: str, *units: str) -> Fraction:
    """An exact number, as a number or as text that may carry its unit."""
    if isinstance(value, int | Decimal | Fraction) and not isinstance(value, bool):
        return Fraction(value)
    match = _NUMBER.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise Refusal(f"`{_as_written(value)}` is not a number of {units[0]}", f"write a number, like {example}")
    number, given = match.groups()
    if given not in ("", *units):
        raise Refusal(f"unknown unit `{shown(given)}` in `{shown(value)}`", f"write {number} or {number} {units[0]}")
    return Fraction(number)


def _as_written(value: object) -> str:
    """A value of a file inside a message."""
    return str(value).lower() if isinstance(value, bool) else shown(value)


def _iops(value: object) -> int:
    amount = _amount(value, "5000", "IOPS")
    if amount.denominator != 1:
        raise Refusal(f"`{shown(value)}` is not a whole number of IOPS", "write a whole number, like 5000")
    return _range(amount.numerator, value, MAX_IOPS, "5000", f"{MAX_IOPS:,} IOPS")


def _iops_per_gib(value: object) -> Fraction:
    amount = _amount(value, "3 or 0.5", "IOPS", "IOPS/GiB")
    if not 0 < amount <= MAX_IOPS:
        raise Refusal(f"{shown(value)} is out of range", f"write a number above 0, at most {MAX_IOPS:,}")
    return amount


def _throughput(value: object) -> int:
    """Bytes per second from an integer or from text such as ``500 MiB/s``."""
    example = "write a throughput, like 500 MiB/s"
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise Refusal(f"`{_as_written(value)}` is not a throughput", example)
    if isinstance(value, int):
        return _range(value, value, MAX_THROUGHPUT, "500 MiB/s", format_throughput(MAX_THROUGHPUT))
    match = _RATE.fullmatch(value)
    if match is None:
        raise Refusal(f"`{shown(value)}` is not a throughput", example)
    number, unit, per = match.groups()
    return _range(
        _rate(value, number, unit, per), value, MAX_THROUGHPUT, "500 MiB/s", format_throughput(MAX_THROUGHPUT)
    )


def _rate(text: str, number: str, unit: str, per: str) -> int:
    near = _unit_like(unit)
    if unit not in SIZE_UNITS and (unit or per):
        units = ", ".join(f"{name}/s" for name in SIZE_UNITS)
        hint = f"did you mean `{number} {near}/s`?" if near else f"use one of {units}"
        raise Refusal(f"unknown unit `{shown(unit + per)}` in `{shown(text)}`", hint)
    if unit and per != "/s":
        raise Refusal(f"`{shown(text)}` is not a throughput", f"did you mean `{number} {unit}/s`?")
    try:
        return parse_size(f"{number} {unit}")
    except ValueError as error:
        raise Refusal(str(error).partition("; ")[0], "write whole bytes per second, like 500 MiB/s") from None


def _unit_like(unit: str) -> str | None:
    """The unit that was probably meant: ``MB`` and ``mib`` are MiB; a bit is no byte, so nothing is guessed for it."""
    if not unit or "bit" in unit.lower():
        return None
    letter = unit[0].upper()
    return next((name for name in SIZE_UNITS if name[0] == letter), None)


def _latency(value: object) -> int:
    """Microseconds from text such as ``2 ms``; of a bare number nobody knows what it counts."""
    match = _NUMBER.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None or match[2] not in _LATENCY:
        raise Refusal(f"`{_as_written(value)}` is not a latency", "write a number with us, ms or s, like 2 ms")
    exact = Fraction(match[1]) * _LATENCY[match[2]]
    if exact.denominator != 1:
        raise Refusal(f"`{shown(value)}` is not a whole number of microseconds", "write it in us")
    return _range(exact.numerator, value, _MAX_LATENCY, "2 ms", "3600 s")


def _seconds(value: object) -> int:
    return _range(with_unit(value, parse_duration, "write a duration, like 5 m"), value, 30 * 86_400, "5 m", "30 d")


def _bytes(value: object) -> int:
    return _range(with_unit(value, parse_size, "write a size, like 16 KiB"), value, 2**30, "16 KiB", "1 GiB")


def _one_of(*words: str) -> Callable[[object], str]:
    def check(value: object) -> str:
        if isinstance(value, str) and value in words:
            return value
        near = suggest(value, words) if isinstance(value, str) else None
        hint = f"did you mean `{near}`?" if near else f"write {', '.join(words[:-1])} or {words[-1]}"
        raise Refusal(f"`{shown(value)}` is not allowed", hint)

    return check


def _decimal_text(value: Fraction) -> str:
    return str(value) if value.denominator == 1 else str(Decimal(value.numerator) / Decimal(value.denominator))


Iops = Annotated[
    int,
    PlainValidator(_iops),
    WithJsonSchema({"type": ["integer", "string"], "examples": [5000], "description": "IOPS."}),
]
IopsPerGib = Annotated[
    Fraction,
    PlainValidator(_iops_per_gib),
    PlainSerializer(_decimal_text),
    WithJsonSchema({"type": ["number", "string"], "examples": [3, 0.5], "description": "IOPS for each GiB."}),
]
Throughput = Annotated[
    int,
    PlainValidator(_throughput),
    WithJsonSchema(
        {
            "type": ["integer", "string"],
            "examples": ["500 MiB/s"],
            "description": "Bytes a second, as text with a unit.",
        }
    ),
]
Latency = Annotated[
    int,
    PlainValidator(_latency),
    PlainSerializer(lambda value: f"{value} us"),
    WithJsonSchema({"type": "string", "examples": ["2 ms"]}),
]
BurstFor = Annotated[
    int, PlainValidator(_seconds), WithJsonSchema({"type": ["integer", "string"], "examples": ["5 m"]})
]
IoSize = Annotated[int, PlainValidator(_bytes), WithJsonSchema({"type": ["integer", "string"], "examples": ["16 KiB"]})]
SizedBy = Annotated[
    Literal["provisioned", "used"],
    PlainValidator(_one_of("provisioned", "used")),
    WithJsonSchema({"enum": ["provisioned", "used"]}),
]
Scope = Annotated[
    Literal["share", "client", "pool_group"],
    PlainValidator(_one_of("share", "client", "pool_group")),
    WithJsonSchema({"enum": ["share", "client", "pool_group"]}),
]
Enforce = Annotated[
    Literal["required", "best_effort"],
    PlainValidator(_one_of("required", "best_effort")),
    WithJsonSchema({"enum": ["required", "best_effort"]}),
]
