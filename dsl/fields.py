"""The types of values in documents: how each is read, what it refuses, and what the refusal says.

Nothing is converted silently. Sizes become bytes, durations seconds, ratios and percentages exact fractions.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, PlainValidator, WithJsonSchema

from dsl.problems import shown
from shareflow.contracts.units import DURATION_UNITS, MAX_BYTES, SIZE_UNITS, format_size, parse_duration, parse_size

DAY = 86_400
MAX_DURATION = 3_650 * DAY

AttributeScalar = bool | int | str
AttributeValue = bool | int | str | tuple[str, ...]

_SIZE_TEXT = re.compile(rf"[0-9][0-9_]*(?:\.[0-9]+)? ?(?:{'|'.join(SIZE_UNITS)})", re.ASCII)


class Refusal(ValueError):
    """Why a value is not allowed, the next step, the rule in a few words, the code. Raised by validators only."""

    def __init__(self, message: str, hint: str = "", label: str = "", code: str = "S106") -> None:
        super().__init__(message)
        self.hint = hint
        self.label = label
        self.code = code


def _name(what: str, pattern: str, rule: str) -> AfterValidator:
    compiled = re.compile(pattern, re.ASCII)

    def check(value: str) -> str:
        if compiled.fullmatch(value):
            return value
        better = re.sub(r"[^a-z0-9]+", "-", value.lower()).strip("-") if value.isascii() else ""
        hint = f"write `{better}`" if compiled.fullmatch(better) else f"use {rule}"
        raise Refusal(f"`{shown(value)}` cannot be {what}", hint, rule)

    return AfterValidator(check)


def with_unit(value: object, parse: Callable[[object], int], example: str) -> int:
    """Runs a parser of :mod:`shareflow.contracts.units` and splits its message into fact and next step."""
    try:
        return parse(value)
    except ValueError as error:
        fact, _, hint = str(error).partition("; ")
        unit, better = re.search(r"unknown unit '(\w+)'", fact), re.search(r"did you mean (\w+)\?", hint)
        if unit is not None and better is not None:
            hint = f"did you mean `{str(value).strip().removesuffix(unit[1]).rstrip()} {better[1]}`?"
        raise Refusal(fact, hint or example) from None


def read_size(value: object) -> int:
    """Bytes from a whole number or text such as ``10 GiB``. Raises Refusal."""
    size = with_unit(value, parse_size, "write a size, like 10 GiB")
    if not 0 <= size <= MAX_BYTES:
        raise Refusal(f"{shown(value)} is out of range", f"use a size from 0 B to {format_size(MAX_BYTES)}")
    return size


def _duration(value: object) -> int:
    seconds = with_unit(value, parse_duration, "write a duration, like 7 d")
    if not 0 <= seconds <= MAX_DURATION:
        raise Refusal(f"{shown(value)} is out of range", f"use a duration from 0 s to {MAX_DURATION // DAY} d")
    return seconds


def _fraction(value: object) -> Fraction:
    """An exact number from a whole number, a decimal fraction, or either as text."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,12})?", value, re.ASCII):
        return Fraction(value)
    if isinstance(value, int | Decimal | Fraction) and not isinstance(value, bool):
        return Fraction(value)
    raise Refusal(f"`{shown(value)}` is not a number", "write a number, like 1.5")


def _decimal_text(value: Fraction) -> str:
    """The exact decimal form; every fraction here was written as one."""
    return str(value) if value.denominator == 1 else str(Decimal(value.numerator) / Decimal(value.denominator))


def _ratio(value: object) -> Fraction:
    ratio = _fraction(value)
    if not 1 <= ratio <= 1000:
        raise Refusal(f"{shown(value)} is out of range", "use a ratio from 1 to 1000")
    return ratio


def percent(value: object) -> Fraction:
    """A part of a hundred, exact: ``10``, ``12.5``, ``10 %``. Raises Refusal."""
    bare = value[:-1].rstrip() if isinstance(value, str) and value.endswith("%") else value
    found = _fraction(bare)
    if not 0 <= found <= 100:
        raise Refusal(f"{shown(value)} is out of range", "use a percentage from 0 to 100")
    return found


def attribute_scalar(value: object) -> AttributeScalar:
    """A value of an attribute: true or false, a whole number, or text. Text such as ``4 KiB`` is its bytes.

    Raises:
        Refusal: the value is none of these, or text of more than 255 characters.
    """
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        if abs(value) > MAX_BYTES:
            raise Refusal(f"{shown(value)} is out of range", f"use a number up to {MAX_BYTES}")
        return value
    if not isinstance(value, str):
        kind = "a fraction" if isinstance(value, Decimal) else "empty" if value is None else "a list or a mapping"
        raise Refusal(f"an attribute cannot be {kind}", "write true, false, a whole number or text")
    if not value or len(value) > 255 or "\n" in value:
        raise Refusal("the text of an attribute has 1 to 255 characters in one line")
    return read_size(value) if _SIZE_TEXT.fullmatch(value) else value


def read_value(value: object) -> AttributeValue:
    """The value of an attribute: as :func:`attribute_scalar`, or a list of texts. Raises Refusal."""
    if not isinstance(value, list | tuple):
        return attribute_scalar(value)
    if not value:
        raise Refusal("the list is empty", "write at least one value, or remove the key")
    for item in value:
        if not isinstance(item, str) or not 0 < len(item) <= 255:
            raise Refusal(f"a list of an attribute holds text, not {shown(item)}", "quote it")
    return tuple(value)


def _as_json(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


def _as_list(value: object) -> object:
    return value if isinstance(value, list | tuple) else [value]


def text_schema(pattern: str, rule: str, *examples: str) -> WithJsonSchema:
    """The JSON Schema of text that a pattern matches as a whole; ``rule`` says the same to people."""
    made = {"type": "string", "pattern": f"^(?:{pattern})$", "description": _sentence(rule)}
    return WithJsonSchema({**made, "examples": list(examples)} if examples else made)


def number_schema(
    kind: Literal["integer", "number"], low: int, high: int, pattern: str, rule: str, *examples: object
) -> WithJsonSchema:
    """The JSON Schema of a number in a range, which may also be written as text that a pattern matches as a whole."""
    number = {"type": kind, "minimum": low, "maximum": high}
    text = {"type": "string", "pattern": f"^(?:{pattern})$"}
    return WithJsonSchema({"description": _sentence(rule), "anyOf": [number, text], "examples": list(examples)})


def quantity(units: Iterable[str]) -> str:
    """The pattern of a number with one of these units; a bare number in quotes is one, too."""
    return rf"\s*\+?[0-9][0-9_]*(\.[0-9]+)?\s*({'|'.join(units)})?\s*"


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


_NAME = r"[a-z][a-z0-9-]{0,30}"
_NAME_RULE = "1 to 31 small letters, digits and dashes, a letter first"
_ATTRIBUTE_NAME = r"[a-z][a-z0-9_]{0,62}"
_ATTRIBUTE_RULE = "1 to 63 small letters, digits and _, a letter first"
_DRIVER = r"[A-Za-z_][A-Za-z0-9_.:-]{0,127}"
_DRIVER_RULE = "1 to 128 letters, digits and . _ : -, a letter first"
_PROJECT = r"\*|(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9._-]{0,62}"
_PROJECT_RULE = '"*", or 1 to 63 letters, digits and . _ -'
_DECIMAL = r"[0-9]{1,12}(\.[0-9]{1,12})?"

_TEXT = {"type": "string", "minLength": 1, "maxLength": 255}
_SCALARS = [
    {"type": "boolean"},
    {"type": "integer", "minimum": -MAX_BYTES, "maximum": MAX_BYTES},
    {**_TEXT, "pattern": r"^[^\n]*$"},
]

Name = Annotated[str, _name("a name", _NAME, _NAME_RULE), text_schema(_NAME, _NAME_RULE)]
AttributeName = Annotated[
    str,
    _name("the name of an attribute", _ATTRIBUTE_NAME, _ATTRIBUTE_RULE),
    text_schema(_ATTRIBUTE_NAME, _ATTRIBUTE_RULE, "media"),
]
DriverName = Annotated[
    str, _name("a driver", _DRIVER, _DRIVER_RULE), text_schema(_DRIVER, _DRIVER_RULE, "directory", "btrfs")
]
Project = Annotated[
    str, _name("a project", _PROJECT, _PROJECT_RULE), text_schema(_PROJECT, _PROJECT_RULE, "*", "research")
]
Text = Annotated[str, Field(max_length=1000, description="For people, at most 1000 characters.")]
Size = Annotated[
    int,
    PlainValidator(read_size),
    number_schema("integer", 0, MAX_BYTES, quantity(SIZE_UNITS), "whole bytes, or text with a binary unit", "10 GiB"),
]
Duration = Annotated[
    int,
    PlainValidator(_duration),
    number_schema("integer", 0, MAX_DURATION, quantity(DURATION_UNITS), "whole seconds, or text with a unit", "7 d"),
]
Ratio = Annotated[
    Fraction,
    PlainValidator(_ratio),
    PlainSerializer(_decimal_text),
    number_schema("number", 1, 1000, _DECIMAL, "a number from 1 to 1000", 1.5),
]
Percent = Annotated[
    Fraction,
    PlainValidator(percent),
    PlainSerializer(_decimal_text),
    number_schema("number", 0, 100, rf"{_DECIMAL}\s*%?", "a percentage from 0 to 100", 10, "10 %"),
]
Attribute = Annotated[
    AttributeValue,
    PlainValidator(read_value),
    PlainSerializer(_as_json),
    WithJsonSchema(
        {
            "description": "True or false, a whole number, text, or a list of texts.",
            "anyOf": [*_SCALARS, {"type": "array", "items": _TEXT, "minItems": 1}],
            "examples": ["ssd"],
        }
    ),
]
Accepted = Annotated[
    tuple[Annotated[AttributeScalar, PlainValidator(attribute_scalar)], ...],
    BeforeValidator(_as_list),
    Field(strict=False, min_length=1, max_length=64),
    WithJsonSchema(
        {
            "description": "The value that a pool must report, or a list of values of which it must report one.",
            "anyOf": [*_SCALARS, {"type": "array", "items": {"anyOf": _SCALARS}, "minItems": 1, "maxItems": 64}],
            "examples": ["ssd", ["ssd", "nvme"]],
        }
    ),
]
