"""Values at evaluation: units and dimensions, versions, patterns, lists, and values as text."""

from __future__ import annotations

import fnmatch
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
    Env,
    Type,
    compile_expression,
    list_of,
    parse_version,
    render_value,
)
from dsl.expressions.patterns import matcher
from dsl.expressions.types import Dimension, Kind
from dsl.expressions.units import UNITS
from tests.dsl.expressions.world import FULL, GIB, SCHEMA, version

EVERY = {name: Type(Kind.NUMBER, Dimension(*powers)) for name, powers in {
    "IOPS per size": (-1, -1, 1), "rate per size": (0, -1), "number of I/Os": (0, 0, 1), "other": (2, 0, 0),
}.items()}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("10 GiB", SIZE, 10 * 2**30),
        ("10GiB", SIZE, 10 * 2**30),
        ("1_000 B", SIZE, 1000),
        ("1.5 KiB", SIZE, 1536),
        ("1e3 B", SIZE, 1000),
        ("2 PiB", SIZE, 2 * 2**50),
        ("1 MiB/s", RATE, 2**20),
        ("7 IOPS", IOPS, 7),
        ("30 IOPS/GiB", EVERY["IOPS per size"], Fraction(30, 2**30)),
        ("100 MiB/s/TiB", EVERY["rate per size"], Fraction(100 * 2**20, 2**40)),
        ("5 us", DURATION, 5),
        ("5 ms", DURATION, 5000),
        ("5 s", DURATION, 5 * 10**6),
        ("5 m", DURATION, 300 * 10**6),
        ("5 h", DURATION, 18_000 * 10**6),
        ("5 d", DURATION, 432_000 * 10**6),
        ("150 %", PERCENT, Fraction(3, 2)),
        ("2.5", NUMBER, Fraction(5, 2)),
        ("-3 GiB", SIZE, -3 * 2**30),
        ("10 GiB * 30 IOPS/GiB", IOPS, 300),
        ("30 IOPS/GiB * 10 GiB", IOPS, 300),
        ("300 IOPS / 10 GiB", EVERY["IOPS per size"], Fraction(30, 2**30)),
        ("300 IOPS / (30 IOPS/GiB)", SIZE, 10 * 2**30),
        ("1 GiB / 30 IOPS/GiB * 30 IOPS/GiB", SIZE, 2**30),
        ("100 MiB/s/TiB * 2 TiB", RATE, 200 * 2**20),
        ("100 MiB/s * 1 h", SIZE, 360_000 * 2**20),
        ("1 h * 100 MiB/s", SIZE, 360_000 * 2**20),
        ("1 GiB / 1 s", RATE, 2**30),
        ("1 GiB / (1 MiB/s)", DURATION, 1024 * 10**6),
        ("1 GiB / 1 MiB", NUMBER, 1024),
        ("1 h / 1 m", NUMBER, 60),
        ("1 h / 1 m * 1 s", DURATION, 60 * 10**6),
        ("1 s * 1 s / 1 s", DURATION, 10**6),
        ("10 GiB * 10 %", SIZE, 2**30),
        ("10 % + 5 %", PERCENT, Fraction(3, 20)),
        ("500 IOPS * 2 s", EVERY["number of I/Os"], 1000),
        ("1 / 3 * 3", NUMBER, 1),
        ("1 GiB + 1 MiB - 1 KiB", SIZE, 2**30 + 2**20 - 2**10),
        ("2 - 3 - 4", NUMBER, -5),
        ("8 / 4 / 2", NUMBER, 1),
        ("2 + 3 * 4", NUMBER, 14),
        ("-(2 + 3) * 4", NUMBER, -20),
        ("min(3 GiB, 1 TiB)", SIZE, 3 * 2**30),
        ("max(3, 2.5, -1)", NUMBER, 3),
        ("max(pool.latencies)", DURATION, 3000),
        ("min(pool.latencies)", DURATION, 1000),
        ("abs(2 ms - 5 ms)", DURATION, 3000),
        ("ceil(7 / 2)", NUMBER, 4),
        ("floor(-7 / 2)", NUMBER, -4),
        ("ceil(10 B / 4)", SIZE, 3),
        ("len(pool.flags)", NUMBER, 2),
        ("len(pool.protocols)", NUMBER, 2),
    ],
)
def test_amount_has_its_dimension_and_its_exact_value(text: str, kind: Type, value: object) -> None:
    """Dimensions multiply and divide; nothing is rounded."""
    expression = compile_expression(text, SCHEMA, expects=None)
    assert expression.type.dimension == kind.dimension
    assert expression.type.percent is kind.percent
    found = expression.evaluate(FULL)
    assert found == value
    assert type(found) is (int if found == int(found) else Fraction)


def test_amount_may_be_asked_for_in_one_dimension_or_as_text() -> None:
    """A result is checked against what its place asks for, and evaluated exactly."""
    assert compile_expression("pool.free / 2", SCHEMA, expects=SIZE).evaluate(FULL) == 1024 * GIB
    assert compile_expression("pool.zone", SCHEMA, expects=TEXT).evaluate(FULL) == "a"
    assert compile_expression("pool.free / pool.total", SCHEMA, expects=NUMBER).evaluate(FULL) == Fraction(1, 2)


def test_every_unit_is_a_whole_number_of_the_stored_one_or_an_exact_fraction() -> None:
    """The table has sizes, rates, IOPS, amounts per size, durations and percent, and nothing decimal."""
    assert len(UNITS) == 6 + 6 + 1 + 1 + 6 + 6 + 36
    assert all(unit.factor > 0 for unit in UNITS.values())
    assert not {"GB", "MB/s", "Gbit/s"} & set(UNITS)


@pytest.mark.parametrize(
    ("rule", "verdict"),
    [
        ('"9.13.1" <= pool.firmware', True),
        ('pool.firmware > "9.9"', True),
        ('pool.firmware == "9.13.1.0"', True),
        ('pool.firmware < "9.13.10"', True),
        ('pool.firmware < "10"', True),
        ('pool.firmware between "9.13" and "9.14"', True),
        ('pool.firmware in ["9.12", "9.13.1"]', True),
        ('pool.firmware != "9.13.1"', False),
        ('pool.zone in ["a", "b"]', True),
        ('pool.zone not in ["a", "b"]', False),
        ('"nfs" in pool.protocols', True),
        ('"NFS" in pool.protocols', False),
        ("1 ms in pool.latencies", True),
        ("pool.free between 2 TiB and 3 TiB", True),
        ("pool.free between 1 TiB and 2 TiB", True),
        ("pool.free not between 1 TiB and 2 TiB", False),
        ("pool.free between 3 TiB and 1 TiB", False),
        ("any(pool.flags)", True),
        ("all(pool.flags)", False),
        ("pool.inuse and pool.order >= 3", True),
        ("pool.used == 50 %", True),
        ("pool.used < 0.8 * 100 %", True),
        ("pool.iops_free >= 5000", True),
        ("not pool.thin == false", True),
        ("pool.thin == pool.encrypted", False),
        ("pool.free / (pool.order - 5) < 0 B", True),
        ("pool.free / (pool.order - 5) > pool.free / (5 - pool.order)", False),
        ("1 / (pool.order - 5) >= 2 / (pool.order - 7)", True),
        ("-1 / pool.order >= 1 / (pool.order - 7)", False),
        ("0 < 1 / (3 - 5)", False),
        ('request.size == 100 GiB and pool.thin and request.zone == "a" and pool.order == 3', True),
        ('request.urgent or pool.encrypted or request.iops == 500 or pool.zone == "b"', True),
        ("1 < 2 and not 2 < 1 or false", True),
        ("true or false and false", True),
        ("(true or false) and false", False),
        ("not false and false", False),
        ("pool.zone == request.zone # and false", True),
    ],
)
def test_rule_has_the_verdict_that_it_reads_like(rule: str, verdict: bool) -> None:
    """Precedence is not, and, or; versions compare part by part; bounds belong to a range."""
    expression = compile_expression(rule, SCHEMA)
    assert expression.evaluate(FULL) is verdict
    assert expression.explain(FULL).verdict is verdict


@pytest.mark.parametrize("text", ["0", "1.2", "9.13.1", "1.2.3.4.5.6.7.8", "007.1"])
def test_version_is_one_to_eight_numbers(text: str) -> None:
    """It keeps how it was written."""
    assert str(version(text)) == text


@pytest.mark.parametrize(
    "text", ["", ".", "1.", ".1", "1..2", "v1", "1a", "1-2", "1.2.3.4.5.6.7.8.9", "1" * 10, "\u0661"]
)
def test_other_text_is_no_version(text: str) -> None:
    """Letters have no order that everyone agrees on."""
    assert parse_version(text) is None


@given(st.lists(st.integers(0, 12), min_size=1, max_size=4), st.lists(st.integers(0, 12), min_size=1, max_size=4))
def test_versions_are_ordered_part_by_part(left: list[int], right: list[int]) -> None:
    """A missing part is zero."""
    one, other = version(".".join(map(str, left))), version(".".join(map(str, right)))
    padded = left + [0] * (4 - len(left)), right + [0] * (4 - len(right))
    assert (one < other) is (padded[0] < padded[1])
    assert (one == other) is (padded[0] == padded[1])
    if one == other:
        assert hash(one) == hash(other)


@given(st.text("abA*", max_size=8), st.text("abA", max_size=10))
def test_pattern_matches_as_the_file_name_pattern_of_stars_does(pattern: str, text: str) -> None:
    """`*` is any text, also none; everything else is itself, in its own case."""
    assert matcher(pattern)(text) is fnmatch.fnmatchcase(text, pattern)


@pytest.mark.parametrize("pattern", ["(a+)+$", "a?c", "[ab]", "a.c", "%a%", "\\*", "a\nb"])
def test_signs_of_other_patterns_stand_for_themselves(pattern: str) -> None:
    """There is one wildcard."""
    assert matcher(pattern)(pattern)
    assert not matcher(pattern)("abc")
    assert matcher(pattern + "*")(pattern + "xyz")


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        (3 * 2**40, SIZE, "3 TiB"),
        (3 * 2**39, SIZE, "1.5 TiB"),
        (2**40 - 1, SIZE, "about 1024 GiB"),
        (0, SIZE, "0 B"),
        (-(2**30), SIZE, "-1 GiB"),
        (Fraction(1, 3), SIZE, "about 0.333 B"),
        (100 * 2**20, RATE, "100 MiB/s"),
        (450, IOPS, "450 IOPS"),
        (Fraction(25, 2), IOPS, "12.5 IOPS"),
        (2000, DURATION, "2 ms"),
        (90 * 10**6, DURATION, "1.5 m"),
        (999, DURATION, "999 us"),
        (0, DURATION, "0 us"),
        (Fraction(1, 20), PERCENT, "5 %"),
        (Fraction(1, 3), PERCENT, "about 33.333 %"),
        (2, PERCENT, "200 %"),
        (Fraction(30, 2**30), EVERY["IOPS per size"], "30 IOPS/GiB"),
        (Fraction(100 * 2**20, 2**40), EVERY["rate per size"], "100 MiB/s/TiB"),
        (1000, EVERY["number of I/Os"], "1000 I/Os"),
        (5, EVERY["other"], "5 B^2"),
        (7, NUMBER, "7"),
        (Fraction(5, 2), NUMBER, "2.5"),
        (Fraction(1, 3), NUMBER, "about 0.333"),
        (Fraction(-1, 3), NUMBER, "about -0.333"),
        (True, BOOL, "true"),
        (False, None, "false"),
        ("ssd", TEXT, "ssd"),
        ("a\x1b[31m", TEXT, "a\N{REPLACEMENT CHARACTER}[31m"),
        (version("9.10"), None, "9.10"),
        (("nfs", "smb"), list_of(TEXT), "[nfs, smb]"),
        (frozenset({"b", "a"}), list_of(TEXT), "[a, b]"),
        ((2**30, 2**31), list_of(SIZE), "[1 GiB, 2 GiB]"),
        (tuple(range(10)), list_of(NUMBER), "[0, 1, 2, 3, 4, 5, 6, 7, and 2 more]"),
        ((), list_of(TEXT), "[]"),
        (None, SIZE, "absent"),
        (5, None, "5"),
        (1.5, SIZE, "1.5"),
    ],
)
def test_value_is_shown_with_its_unit(value: object, kind: Type | None, text: str) -> None:
    """In the largest unit of which there is one; a rounded value says so."""
    assert render_value(value, kind) == text


def test_environment_is_made_of_any_mappings() -> None:
    """A namespace that a rule does not read may be left out."""
    expression = compile_expression("pool.free > request.size", SCHEMA)
    assert expression.evaluate(Env({"free": 2}, {"size": 1})) is True
    assert expression.evaluate(Env({"free": 2})) is None
