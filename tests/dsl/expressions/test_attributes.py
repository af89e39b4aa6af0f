"""Declarations of attributes, values written for them, and types that are guessed."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsl.expressions import (
    BOOL,
    DURATION,
    IOPS,
    NUMBER,
    PERCENT,
    RATE,
    SIZE,
    TEXT,
    VERSION,
    Type,
    convert_value,
    enum_of,
    infer_type,
    list_of,
    parse_version,
    read_attribute,
    set_of,
)
from dsl.expressions.types import Dimension, Kind
from dsl.fields import Refusal

TYPES = "bool, number, text, version, duration, enum, list, set"
MEDIA = enum_of("ssd", "hdd")
PER_SIZE = Type(Kind.NUMBER, Dimension(-1, -1, 1))


@pytest.mark.parametrize(
    ("declaration", "kind"),
    [
        ("bool", BOOL),
        ("text", TEXT),
        ("number", NUMBER),
        ("version", VERSION),
        ("duration", DURATION),
        ({"type": "bool", "description": "thin volumes"}, BOOL),
        ({"type": "number", "unit": "GiB"}, SIZE),
        ({"type": "number", "unit": "B"}, SIZE),
        ({"type": "number", "unit": "MiB/s"}, RATE),
        ({"type": "number", "unit": "IOPS"}, IOPS),
        ({"type": "number", "unit": "IOPS/GiB"}, PER_SIZE),
        ({"type": "number", "unit": "ms"}, DURATION),
        ({"type": "number", "unit": "%"}, PERCENT),
        ({"type": "enum", "values": ["ssd", "hdd"]}, MEDIA),
        ({"type": "list", "of": "text"}, list_of(TEXT)),
        ({"type": "set", "of": "number"}, set_of(NUMBER)),
        ({"type": "set", "of": {"type": "enum", "values": ("ssd", "hdd")}}, set_of(MEDIA)),
        ({"type": "list", "of": {"type": "number", "unit": "GiB"}}, list_of(SIZE)),
    ],
)
def test_declaration_in_plain_values_gives_its_type(declaration: object, kind: Type) -> None:
    """A word, or a mapping with `type` and what the type needs."""
    attribute = read_attribute("x", declaration, declared_at="f.yaml:3")
    assert (attribute.name, attribute.type, attribute.declared_at) == ("x", kind, "f.yaml:3")


def test_description_of_a_declaration_is_kept() -> None:
    """What an attribute means belongs to it."""
    assert read_attribute("x", {"type": "bool", "description": "thin volumes"}).description == "thin volumes"


@pytest.mark.parametrize(
    ("declaration", "message", "hint"),
    [
        ("string", "unknown type `string`", "write `text`"),
        ("integer", "unknown type `integer`", "write `number`"),
        ("boolean", "unknown type `boolean`", "write `bool`"),
        ("size", "unknown type `size`", "write `{type: number, unit: GiB}`"),
        ("tetx", "unknown type `tetx`", "write `text`"),
        ("colour", "unknown type `colour`", f"use one of {TYPES}"),
        (5, "a type is a word, not `5`", f"add `type:` with one of {TYPES}"),
        (None, "the declaration has no type",
         f"add `type:` with one of {TYPES}"),
        ({"unit": "GiB"}, "the declaration has no type",
         f"add `type:` with one of {TYPES}"),
        ({"type": "number", "units": "GiB"}, "`units` is not a key of the type number", "did you mean `unit`?"),
        ({"type": "text", "unit": "GiB"}, "`unit` is not a key of the type text", "use type, description"),
        ({"type": "number", "unit": "GB"}, "unknown unit `GB`", "use a unit like GiB"),
        ({"type": "number", "unit": "gib"}, "unknown unit `gib`", "write `GiB`"),
        ({"type": "number", "unit": 5}, "a unit is text, not `5`", "write a unit, like GiB"),
        ({"type": "enum"}, "an enum has a list of 1 to 64 values", "write `values: [ssd, hdd]`"),
        ({"type": "enum", "values": []}, "an enum has a list of 1 to 64 values", "write `values: [ssd, hdd]`"),
        ({"type": "enum", "values": [1]}, "a value of an enum is text, not `1`", 'quote it: "1"'),
        ({"type": "enum", "values": [True]}, "a value of an enum is text, not `true`", 'quote it: "true"'),
        ({"type": "enum", "values": ["a", "a"]}, "the value `a` is there twice", "remove one of them"),
        ({"type": "list"}, "a list says what is in it", "add `of: text` to `type: list`"),
        ({"type": "set", "of": {"type": "list", "of": "text"}}, "a set cannot hold lists", "write `of: text`"),
        ({"type": "bool", "description": 5}, "the description is not text", "quote it"),
    ],
)  # fmt: skip
def test_malformed_declaration_is_refused_with_the_next_step(declaration: object, message: str, hint: str) -> None:
    """Fact and help, ready for a message with the place of the declaration."""
    with pytest.raises(Refusal) as caught:
        read_attribute("x", declaration)
    assert (str(caught.value), caught.value.hint) == (message, hint)


@pytest.mark.parametrize(
    ("value", "kind", "converted"),
    [
        (True, BOOL, True),
        ("rack 1", TEXT, "rack 1"),
        ("ssd", MEDIA, "ssd"),
        (5, NUMBER, 5),
        (Decimal("9.5"), NUMBER, Fraction(19, 2)),
        ("1_000", NUMBER, 1000),
        (-3, NUMBER, -3),
        ("10 GiB", SIZE, 10 * 2**30),
        ("1.5KiB", SIZE, 1536),
        ("100 MiB/s", RATE, 100 * 2**20),
        ("500 IOPS", IOPS, 500),
        (500, IOPS, 500),
        ("30 IOPS/GiB", PER_SIZE, Fraction(30, 2**30)),
        ("2 ms", DURATION, 2000),
        ("1.5 s", DURATION, 1_500_000),
        ("1 d", DURATION, 86_400_000_000),
        ("150 %", PERCENT, Fraction(3, 2)),
        ("5%", PERCENT, Fraction(1, 20)),
        ("9.13.1", VERSION, parse_version("9.13.1")),
        (Decimal("9.13"), VERSION, parse_version("9.13")),
        (9, VERSION, parse_version("9")),
        (["nfs", "smb"], list_of(TEXT), ("nfs", "smb")),
        (("nfs", "nfs"), list_of(TEXT), ("nfs", "nfs")),
        (["nfs", "smb", "nfs"], set_of(TEXT), ("nfs", "smb")),
        (["1 GiB", "2 GiB"], list_of(SIZE), (2**30, 2**31)),
        ([], list_of(TEXT), ()),
    ],
)
def test_written_value_becomes_the_value_that_expressions_read(value: object, kind: Type, converted: object) -> None:
    """Exact, in stored units."""
    found = convert_value(value, kind)
    assert found == converted
    assert type(found) is type(converted)


def test_version_keeps_how_it_was_written() -> None:
    """A fraction of YAML that is a version keeps its zeros."""
    assert str(convert_value(Decimal("9.10"), VERSION)) == "9.10"


@pytest.mark.parametrize(
    ("value", "kind", "message", "hint"),
    [
        ("yes", BOOL, "`yes` is not true or false", "write true"),
        (1, BOOL, "`1` is not true or false", "write true or false"),
        (5, TEXT, "`5` is not text", 'quote it: "5"'),
        (True, TEXT, "`true` is not text", 'quote it: "true"'),
        ("", TEXT, "the text of an attribute has 1 to 255 characters in one line", "shorten it"),
        ("x" * 256, TEXT, "the text of an attribute has 1 to 255 characters in one line", "shorten it"),
        ("sdd", MEDIA, "`sdd` is not declared", "did you mean `hdd`?"),
        ("nvme", MEDIA, "`nvme` is not declared", 'use one of "ssd", "hdd"'),
        (None, MEDIA, "nothing is not declared", 'use one of "ssd", "hdd"'),
        ("ten", NUMBER, "`ten` is not a number", "write a number"),
        (True, NUMBER, "`true` is not a number", "write a number"),
        (1.5, NUMBER, "`1.5` is not a number", "write a number"),
        ("10 GiB", NUMBER, "`10 GiB` is a size, not a number", "write a number"),
        (10, SIZE, "`10` has no unit", "write a size with its unit, like 10 GiB"),
        ("10", SIZE, "`10` has no unit", "write a size with its unit, like 10 GiB"),
        ("2 ms", SIZE, "`2 ms` is a duration, not a size", "write a size with its unit, like 10 GiB"),
        ("10 GB", SIZE, "unknown unit `GB`", "10 GB is 9.31 GiB; write `10 GiB` (or `9 GiB` to stay below 10 GB)"),
        ("0.5 B", SIZE, "`0.5 B` is not a whole number of bytes", "write a whole number, perhaps of a smaller unit"),
        ([1], SIZE, "a list is not a size", "write a size with its unit, like 10 GiB"),
        (Decimal("1.5"), IOPS, "`1.5` is not a whole number of IOPS",
         "write a whole number, perhaps of a smaller unit"),
        (5, PERCENT, "`5` has no unit", "write a percentage with its unit, like 5 %"),
        (2, DURATION, "`2` has no unit", "write a duration with its unit, like 2 ms"),
        ("2 min", DURATION, "unknown unit `min`", "write `2 m`"),
        (Decimal("NaN"), NUMBER, "the number `NaN` cannot be used", "write a smaller number"),
        (Decimal("1e999999"), NUMBER, "the number `1E+999999` cannot be used", "write a smaller number"),
        ("9" * 31, NUMBER, "the number `999999999999999999999...` cannot be used", "write a smaller number"),
        ("9.13P1", VERSION, "`9.13P1` is not a version", "write numbers with dots between, like 9.13.1"),
        (True, VERSION, "`true` is not a version", "write numbers with dots between, like 9.13.1"),
        ("nfs", list_of(TEXT), "`nfs` is not a list of text", "write [nfs]"),
        (["nfs", 3], set_of(TEXT), "`3` is not text", 'quote it: "3"'),
        ({"a": 1}, TEXT, "a mapping is not text", "quote it: \"{'a': 1}\""),
    ],
)  # fmt: skip
def test_value_of_another_type_is_refused_with_the_next_step(
    value: object, kind: Type, message: str, hint: str
) -> None:
    """Nothing is converted silently."""
    with pytest.raises(Refusal) as caught:
        convert_value(value, kind)
    assert (str(caught.value), caught.value.hint) == (message, hint)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (True, BOOL),
        (5, NUMBER),
        (Fraction(1, 2), NUMBER),
        (Decimal("1.5"), NUMBER),
        ("ssd", TEXT),
        (("nfs", "smb"), set_of(TEXT)),
        (["nfs"], set_of(TEXT)),
    ],
)
def test_type_of_an_undeclared_attribute_is_that_of_its_value(value: object, kind: Type) -> None:
    """Without a declaration a number has no unit, and several texts are a set."""
    assert infer_type(value) == kind


@pytest.mark.parametrize("value", [None, 1.5, (), (1, 2), {"a": 1}, object()])
def test_type_of_any_other_value_is_not_guessed(value: object) -> None:
    """A value that could be anything needs a declaration."""
    with pytest.raises(Refusal) as caught:
        infer_type(value)
    assert caught.value.hint == "declare the attribute"


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.decimals() | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["type", "of", "x"]), inner, max_size=3)
    ),
    max_leaves=5,
)
KINDS = [BOOL, TEXT, MEDIA, NUMBER, SIZE, IOPS, PERCENT, DURATION, VERSION, list_of(TEXT), set_of(SIZE)]


@given(PLAIN, st.sampled_from(["number", "enum", "list", "set", "text"]), st.sampled_from(["unit", "values", "of"]))
def test_any_declaration_ends_in_an_attribute_or_a_refusal(value: object, name: str, key: str) -> None:
    """Whatever a document holds, nothing else is raised."""
    for declaration in (value, {"type": name, key: value}):
        try:
            assert isinstance(read_attribute("x", declaration).type, Type)
        except Refusal as refusal:
            assert refusal.hint  # noqa: PT017 - either ending is right


@given(PLAIN, st.sampled_from(KINDS))
def test_any_written_value_ends_in_a_value_or_a_refusal(value: object, kind: Type) -> None:
    """Whatever a document holds, nothing else is raised."""
    try:
        assert convert_value(value, kind) is not None
    except Refusal as refusal:
        assert refusal.hint  # noqa: PT017 - either ending is right
