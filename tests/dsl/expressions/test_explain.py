"""The explained form: every comparison with both values, and why something is unknown."""

from __future__ import annotations

import pickle
import timeit
from fractions import Fraction

import pytest

from dsl.expressions import Env, ExpressionErrors, compile_expression, render_value
from tests.dsl.expressions.world import FULL, GIB, SCHEMA, version

RULE = """pool.free >= 3 TiB  # room
or pool.media == "ssd" and not pool.encrypted and has(pool.firmware)"""


def test_every_comparison_is_recorded_with_values_place_and_verdict() -> None:
    """Also those that no longer matter, in order of the text, each with the values of its sides."""
    explained = compile_expression(RULE, SCHEMA).explain(FULL)
    assert explained.verdict is True
    assert explained.value is True
    assert explained.reasons == ()
    assert [(one.text, one.left, one.right, one.verdict, one.reason) for one in explained.comparisons] == [
        ("pool.free >= 3 TiB", 2048 * GIB, 3072 * GIB, False, ""),
        ('pool.media == "ssd"', "ssd", "ssd", True, ""),
        ("pool.encrypted", False, None, False, ""),
        ("has(pool.firmware)", version("9.13.1"), None, True, ""),
    ]
    assert [RULE[one.start : one.end] for one in explained.comparisons] == [one.text for one in explained.comparisons]


def test_nothing_is_left_out_after_the_verdict_is_clear() -> None:
    """The compiled form stops early; the explained form never does."""
    explained = compile_expression("false and pool.free > 1 GiB and pool.thin", SCHEMA).explain(FULL)
    assert explained.verdict is False
    assert [one.text for one in explained.comparisons] == ["pool.free > 1 GiB", "pool.thin"]


@pytest.mark.parametrize(
    ("rule", "left", "right"),
    [
        ("pool.iops_free / request.size >= 30 IOPS/GiB", "50 IOPS/GiB", "30 IOPS/GiB"),
        ("pool.iops_free >= request.size * 30 IOPS/GiB", "5000 IOPS", "3000 IOPS"),
        ("pool.free - request.size > 10 %  * pool.total", "1.902 TiB", "409.6 GiB"),
        ("pool.latency <= 2 ms", "1.5 ms", "2 ms"),
        ("pool.used < 80 %", "50 %", "80 %"),
        ('pool.firmware >= "9.13"', "9.13.1", "9.13"),
        ('pool.zone in ["a", "b"]', "a", "[a, b]"),
        ("request.size between 1 GiB and 64 TiB", "100 GiB", "[1 GiB, 64 TiB]"),
        ('"nfs" in pool.protocols', "nfs", "[nfs, smb]"),
        ('pool.model like "FAS*"', "FAS8700", "FAS*"),
        ("pool.iops_free in [5000, request.iops]", "5000 IOPS", "[5000 IOPS, 500 IOPS]"),
        ("pool.thin == true", "true", "true"),
        ("any(pool.flags)", "true", "absent"),
    ],
)
def test_sides_of_a_comparison_are_shown_with_their_units(rule: str, left: str, right: str) -> None:
    """What was compared can be read without knowing how it is stored."""
    one = compile_expression(rule, SCHEMA).explain(FULL).comparisons[0]
    assert render_value(one.left, one.left_type).removeprefix("about ") == left
    assert render_value(one.right, one.right_type) == right


@pytest.mark.parametrize(
    ("rule", "pool", "reasons", "absent"),
    [
        ("pool.iops_free > 3", {}, ("attribute absent: pool.iops_free",), ("pool.iops_free",)),
        ("pool.iops_free > 3", {"iops_free": None}, ("attribute absent: pool.iops_free",), ("pool.iops_free",)),
        ("pool.free > pool.total", {}, ("attribute absent: pool.free", "attribute absent: pool.total"),
         ("pool.free", "pool.total")),
        ("pool.free > pool.free / 2", {}, ("attribute absent: pool.free",), ("pool.free",)),
        ("pool.free > 1 GiB", {"free": "much"}, ("pool.free is text, declared size",), ()),
        ("pool.free > 1 GiB", {"free": 1.5}, ("pool.free is a float, declared size",), ()),
        ("pool.free > 1 GiB", {"free": Fraction(1, 2)}, ("pool.free is a fraction, declared size",), ()),
        ("pool.free > 1 GiB", {"free": True}, ("pool.free is true or false, declared size",), ()),
        ("pool.thin", {"thin": 1}, ("pool.thin is a number, declared true or false",), ()),
        ('pool.media == "ssd"', {"media": "tape"},
         ('pool.media is "tape", declared one of "ssd", "hdd", "hybrid"',), ()),
        ('"nfs" in pool.protocols', {"protocols": "nfs"}, ("pool.protocols is text, declared set of text",), ()),
        ('"nfs" in pool.protocols', {"protocols": ("nfs", 1)}, ("pool.protocols is a list, declared set of text",), ()),
        ('pool.firmware > "9"', {"firmware": "9.13"}, ("pool.firmware is text, declared version",), ()),
        ("pool.zone in [\"a\", request.zone]", {"zone": "a"}, ("attribute absent: request.zone",), ("request.zone",)),
        ("pool.order between 1 and pool.shares", {"order": 9}, ("attribute absent: pool.shares",), ("pool.shares",)),
        ("pool.order / pool.shares > 1", {"order": 1, "shares": 0}, ("division by zero: pool.shares",), ()),
        ("1 / (pool.order - pool.order) > 1", {"order": 1}, ("division by zero: (pool.order - pool.order)",), ()),
        ("pool.order / (1 / pool.shares) > 1", {"order": 1, "shares": 0}, ("division by zero: pool.shares",), ()),
        ("1 / 0 > pool.order", {"order": 1}, ("division by zero: 0",), ()),
        ("max(pool.latencies) > 1 ms", {"latencies": ()}, ("the list is empty: max(pool.latencies)",), ()),
        ("not pool.thin", {}, ("attribute absent: pool.thin",), ("pool.thin",)),
        ("any(pool.flags)", {}, ("attribute absent: pool.flags",), ("pool.flags",)),
    ],
)  # fmt: skip
def test_unknown_result_says_why(
    rule: str, pool: dict[str, object], reasons: tuple[str, ...], absent: tuple[str, ...]
) -> None:
    """What is absent, what is not as declared, what divides by zero; never an exception, never a guess."""
    expression = compile_expression(rule, SCHEMA)
    explained = expression.explain(Env(pool))
    assert expression.evaluate(Env(pool)) is None
    assert explained.verdict is None
    assert explained.reasons == reasons
    assert [one.reason for one in explained.comparisons] == ["; ".join(reasons)]
    assert explained.comparisons[0].absent == absent


def test_known_result_has_no_reasons_but_its_unknown_comparison_has() -> None:
    """What did not matter is still seen."""
    explained = compile_expression("pool.free > 1 GiB or pool.iops_free > 3", SCHEMA).explain(Env({"free": 2 * GIB}))
    assert explained.verdict is True
    assert explained.reasons == ()
    assert explained.comparisons[1].reason == "attribute absent: pool.iops_free"


def test_reasons_are_those_of_the_parts_that_left_the_result_open() -> None:
    """An unknown comparison inside a decided part is no reason."""
    rule = '(pool.iops_free > 3 or pool.thin) and pool.zone == "a"'
    assert compile_expression(rule, SCHEMA).explain(Env({"thin": True})).reasons == ("attribute absent: pool.zone",)


def test_unknown_amount_has_its_reasons() -> None:
    """A score that cannot be computed says why."""
    explained = compile_expression("pool.free / pool.total", SCHEMA, expects=None).explain(Env({"free": 1}))
    assert (explained.verdict, explained.value, explained.comparisons) == (None, None, ())
    assert explained.reasons == ("attribute absent: pool.total",)


def test_expression_knows_the_names_that_it_reads() -> None:
    """So that a set can be checked for attributes that no pool has; names in has() count."""
    names = compile_expression('has(pool.free) and request.size > 1 GiB and pool.zone in ["a"]', SCHEMA).names
    assert names == {("pool", "free"), ("request", "size"), ("pool", "zone")}


def test_errors_survive_pickling() -> None:
    """The exception crosses process borders whole."""
    with pytest.raises(ExpressionErrors) as caught:
        compile_expression("pool.fre > 1 GB", SCHEMA)
    again = pickle.loads(pickle.dumps(caught.value))  # noqa: S301 - our own bytes
    assert again.errors == caught.value.errors
    assert str(again) == str(caught.value)
    assert str(again).startswith("S310 at 5: unknown pool attribute `fre`; did you mean `pool.free`?\nS312 at 13: ")


def test_explanation_costs_at_most_fifteen_times_the_verdict() -> None:
    """Eight comparisons and a division: the explained form is cheap enough to be always on."""
    rule = (
        'pool.free >= 1 TiB and pool.media == "ssd" and pool.zone == "a" and pool.latency <= 2 ms and pool.thin == true'
        " and pool.iops_free > 100 and pool.total != 3 GiB and pool.free / request.size >= 3"
    )
    expression = compile_expression(rule, SCHEMA)
    assert expression.evaluate(FULL) is True
    verdict = min(timeit.repeat(lambda: expression.evaluate(FULL), number=500, repeat=9))
    explained = min(timeit.repeat(lambda: expression.explain(FULL), number=500, repeat=9))
    assert explained <= 15 * verdict
