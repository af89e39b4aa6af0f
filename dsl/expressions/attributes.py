"""Declarations of attributes as a document holds them, and written values as the values that expressions read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from fractions import Fraction

from dsl.expressions.types import (
    BOOL,
    DURATION,
    IOPS,
    NUMBER,
    PERCENT,
    RATE,
    SIZE,
    TEXT,
    VERSION,
    Attribute,
    Kind,
    Type,
    enum_of,
    list_of,
    set_of,
)
from dsl.expressions.units import MAX_DIGITS, UNITS, Number, Refused, parse_quantity, tidy, unit_advice, whole
from dsl.expressions.values import parse_version
from dsl.fields import Refusal
from dsl.problems import shown, suggest

MAX_TEXT = 255
MAX_VALUES = 64

_SIMPLE = {"bool": BOOL, "number": NUMBER, "text": TEXT, "version": VERSION, "duration": DURATION}
_NAMES = (*_SIMPLE, "enum", "list", "set")
_KEYS = {"number": ("unit",), "enum": ("values",), "list": ("of",), "set": ("of",)}
_OTHER_NAMES = {
    "boolean": "bool", "flag": "bool", "string": "text", "str": "text", "int": "number", "integer": "number",
    "float": "number", "choice": "{type: enum, values: [...]}", "array": "{type: list, of: text}",
    "size": "{type: number, unit: GiB}", "bytes": "{type: number, unit: B}", "rate": "{type: number, unit: MiB/s}",
    "iops": "{type: number, unit: IOPS}", "percent": '{type: number, unit: "%"}', "time": "duration",
    "ratio": "number", "semver": "version",
}  # fmt: skip
_EXAMPLES = {SIZE: "10 GiB", RATE: "100 MiB/s", IOPS: "500", DURATION: "2 ms", PERCENT: "5 %"}


def read_attribute(name: str, declaration: object, *, declared_at: str = "") -> Attribute:
    """An attribute from plain values: ``bool``, ``{type: number, unit: GiB}``, ``{type: enum, values: [ssd, hdd]}``.

    The types are ``bool``, ``number`` (with an optional ``unit``), ``text``, ``version``, ``duration``, ``enum`` (with
    ``values``), ``list`` and ``set`` (with ``of``, which is itself a declaration of one element). A mapping may also
    have a ``description``.

    Raises:
        Refusal: the declaration is malformed; with the next step as its hint.
    """
    description = declaration.get("description", "") if isinstance(declaration, Mapping) else ""
    if not isinstance(description, str):
        raise Refusal("the description is not text", "quote it")
    return Attribute(name, _read_type(declaration, ("type", "description")), description, declared_at)


def _read_type(declaration: object, keys: tuple[str, ...] = ("type",)) -> Type:
    mapping = declaration if isinstance(declaration, Mapping) else {"type": declaration}
    name = mapping.get("type")
    if not isinstance(name, str):
        fact = "the declaration has no type" if name is None else f"a type is a word, not {_written(name)}"
        raise Refusal(fact, f"add `type:` with one of {', '.join(_NAMES)}")
    if name not in _NAMES:
        better = _OTHER_NAMES.get(name.lower()) or suggest(name, _NAMES)
        raise Refusal(
            f"unknown type `{shown(name)}`", f"write `{better}`" if better else f"use one of {', '.join(_NAMES)}"
        )
    _refuse_keys(mapping, name, (*keys, *_KEYS.get(name, ())))
    if name == "number" and "unit" in mapping:
        return _unit_type(mapping["unit"])
    if name == "enum":
        return enum_of(*_enum_values(mapping.get("values")))
    return _collection(name, mapping.get("of")) if name in ("list", "set") else _SIMPLE[name]


def _refuse_keys(mapping: Mapping[str, object], name: str, known: Iterable[str]) -> None:
    for key in mapping:
        if key not in known:
            near = suggest(str(key), known)
            hint = f"did you mean `{near}`?" if near else f"use {', '.join(known)}"
            raise Refusal(f"`{shown(key)}` is not a key of the type {name}", hint)


def _unit_type(unit: object) -> Type:
    if not isinstance(unit, str):
        raise Refusal(f"a unit is text, not {_written(unit)}", "write a unit, like GiB")
    if unit in UNITS:
        return UNITS[unit].type
    hint = unit_advice("1", Fraction(1), unit)[1].replace("`1 ", "`")
    raise Refusal(
        f"unknown unit `{shown(unit)}`", hint if "`" in hint and " is " not in hint else "use a unit like GiB"
    )


def _enum_values(values: object) -> tuple[str, ...]:
    if not isinstance(values, list | tuple) or not 0 < len(values) <= MAX_VALUES:
        raise Refusal(f"an enum has a list of 1 to {MAX_VALUES} values", "write `values: [ssd, hdd]`")
    for value in values:
        if not isinstance(value, str) or not 0 < len(value) <= MAX_TEXT or '"' in value or "\n" in value:
            raise Refusal(f"a value of an enum is text, not {_written(value)}", f'quote it: "{shown(_literal(value))}"')
    if len(set(values)) != len(values):
        twice = next(value for value in values if values.count(value) > 1)
        raise Refusal(f"the value `{shown(twice)}` is there twice", "remove one of them")
    return tuple(values)


def _collection(name: str, of: object) -> Type:
    if of is None:
        raise Refusal(f"a {name} says what is in it", f"add `of: text` to `type: {name}`")
    element = _read_type(of)
    if element.of is not None:
        raise Refusal(f"a {name} cannot hold lists", f"write `of: {element.of.kind}`")
    return list_of(element) if name == "list" else set_of(element)


def infer_type(value: object) -> Type:
    """The type of an attribute that is not declared, from its value in a spec.

    True or false, a plain number, text, and several texts as a set of text.

    Raises:
        Refusal: the value is none of these.
    """
    if isinstance(value, bool):
        return BOOL
    if isinstance(value, int | Fraction | Decimal):
        return NUMBER
    if isinstance(value, str):
        return TEXT
    if isinstance(value, tuple | list) and value and all(isinstance(item, str) for item in value):
        return set_of(TEXT)
    raise Refusal(f"the type of {_written(value)} cannot be guessed", "declare the attribute")


def convert_value(value: object, kind: Type) -> object:
    """The runtime value of what was written for an attribute of a type.

    ``"2 ms"`` becomes 2000 (microseconds), ``"10 GiB"`` bytes, ``"5 %"`` 1/20, ``9.13`` and ``"9.13"`` a version, a
    list a tuple (of a set each element once, in order).

    Raises:
        Refusal: the value is not of the type; with the reason, and the corrected value where one can be guessed.
    """
    if kind.of is not None:
        return _convert_items(value, kind, kind.of)
    return _CONVERTERS[kind.kind](value, kind)


def _convert_items(value: object, kind: Type, element: Type) -> tuple[object, ...]:
    if not isinstance(value, list | tuple):
        raise Refusal(f"{_written(value)} is not a {kind.noun}", f"write [{shown(_literal(value))}]")
    items = tuple(convert_value(item, element) for item in value)
    return tuple(dict.fromkeys(items)) if kind.kind is Kind.SET else items


def _convert_bool(value: object, _kind: Type) -> bool:
    if isinstance(value, bool):
        return value
    better = {"yes": "true", "on": "true", "true": "true", "no": "false", "off": "false", "false": "false"}
    hint = f"write {better.get(str(value).lower(), 'true or false')}"
    raise Refusal(f"{_written(value)} is not true or false", hint)


def _convert_text(value: object, _kind: Type) -> str:
    if not isinstance(value, str):
        raise Refusal(f"{_written(value)} is not text", f'quote it: "{shown(_literal(value))}"')
    if not 0 < len(value) <= MAX_TEXT or "\n" in value:
        raise Refusal(f"the text of an attribute has 1 to {MAX_TEXT} characters in one line", "shorten it")
    return value


def _convert_enum(value: object, kind: Type) -> str:
    if isinstance(value, str) and value in kind.values:
        return value
    near = suggest(str(_literal(value)), kind.values)
    hint = f"did you mean `{near}`?" if near else f"use {kind.declared}"
    raise Refusal(f"{_written(value)} is not declared", hint)


def _convert_version(value: object, _kind: Type) -> object:
    text = str(value) if isinstance(value, str | int | Decimal) and not isinstance(value, bool) else ""
    version = parse_version(text)
    if version is None:
        raise Refusal(f"{_written(value)} is not a version", "write numbers with dots between, like 9.13.1")
    return version


def _convert_number(value: object, kind: Type) -> Number:
    example = f"write {kind} with its unit, like {_EXAMPLES[kind]}" if kind in _EXAMPLES else f"write {kind}"
    if isinstance(value, Decimal) and not (value.is_finite() and abs(value.adjusted()) <= MAX_DIGITS):
        raise Refusal(f"the number {_written(value)} cannot be used", "write a smaller number")
    if isinstance(value, int | Decimal | Fraction) and not isinstance(value, bool):
        return _bare_number(Fraction(value), value, kind, example)
    try:
        found = parse_quantity(value) if isinstance(value, str) else None
    except Refused as refused:
        raise Refusal(refused.message, refused.hint, refused.label) from None
    if found is None:
        raise Refusal(f"{_written(value)} is not {kind}", example)
    if found.bare:
        return _bare_number(Fraction(found.value), value, kind, example)
    if found.type.dimension != kind.dimension or found.type.percent != kind.percent:
        raise Refusal(f"{_written(value)} is {found.type}, not {kind}", example)
    return found.value


def _bare_number(number: Fraction, value: object, kind: Type, example: str) -> Number:
    """A number without a unit; only plain numbers and IOPS are written so."""
    if kind not in (NUMBER, IOPS):
        raise Refusal(f"{_written(value)} has no unit", example)
    try:
        return whole(number, kind, str(value)) if kind == IOPS else tidy(number)
    except Refused as refused:
        raise Refusal(refused.message, refused.hint, refused.label) from None


_CONVERTERS: Mapping[Kind, Callable[[object, Type], object]] = {
    Kind.BOOL: _convert_bool,
    Kind.NUMBER: _convert_number,
    Kind.TEXT: _convert_text,
    Kind.ENUM: _convert_enum,
    Kind.VERSION: _convert_version,
}


def _literal(value: object) -> str:
    """A value as a document would hold it."""
    return str(value).lower() if isinstance(value, bool) else "" if value is None else str(value)


def _written(value: object) -> str:
    """A value inside a message."""
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    return "nothing" if value is None else f"`{shown(_literal(value))}`"
