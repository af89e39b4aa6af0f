"""Three readings of one rule: the compiled one, the explained one, and a slow one that shares nothing with them."""

from __future__ import annotations

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from dsl.expressions import Env, compile_expression
from dsl.expressions.types import Type
from tests.dsl.expressions.generated import DIMENSIONS, ENVS, ORDER, amounts, rules
from tests.dsl.expressions.reference import Reference
from tests.dsl.expressions.world import FULL, POOL, REQUEST, SCHEMA

REFERENCE = Reference(pool=POOL, request=REQUEST)
QUOTIENTS = Reference(pool=POOL, spec={"weight": "number"})
SETTINGS = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@given(rules(), st.lists(ENVS, min_size=1, max_size=3))
@example("pool.free / (1 - pool.shares) < -pool.free and 1 GiB / pool.order >= pool.free", [FULL, Env({})])
@example('pool.firmware in ["9.13.0", "10"] or "9.13" < pool.firmware', [FULL])
@SETTINGS
def test_compiled_explained_and_reference_agree_on_every_rule_and_pool(rule: str, envs: list[Env]) -> None:
    """True, false and unknown alike, also with absent attributes and with values of another type than declared."""
    expression = compile_expression(rule, SCHEMA)
    for env in envs:
        expected = REFERENCE.result(rule, env)
        explained = expression.explain(env)
        assert expression.evaluate(env) is expected, rule
        assert explained.verdict is expected, rule
        assert explained.value is expected
        assert bool(explained.reasons) is (expected is None)


@given(rules(), ENVS)
@SETTINGS
def test_every_recorded_comparison_is_right_on_its_own(rule: str, env: Env) -> None:
    """Text, place and verdict of each comparison fit together, in order of the text; an unknown one has a reason."""
    expression = compile_expression(rule, SCHEMA)
    seen = expression.explain(env).comparisons
    places = [(one.end, -one.start) for one in seen]
    assert places == sorted(places)
    for one in seen:
        assert one.text == " ".join(rule[one.start : one.end].split())
        assert one.verdict is REFERENCE.result(one.text, env)
        assert bool(one.reason) is (one.verdict is None)


@given(st.data(), DIMENSIONS, ENVS)
@SETTINGS
def test_amounts_agree_with_the_reference(data: st.DataObject, dimension: str, env: Env) -> None:
    """Exact, in stored units of whatever the amount measures; unknown alike, with a reason."""
    text = data.draw(amounts(dimension, 3))
    expression = compile_expression(text, SCHEMA, expects=None)
    expected = REFERENCE.result(text, env)
    found = expression.evaluate(env)
    explained = expression.explain(env)
    assert found == explained.value
    assert explained.verdict is None
    assert bool(explained.reasons) is (expected is None)
    if expected is None:
        assert found is None
    else:
        assert found == expected * _scale(expression.type)


def _scale(kind: Type) -> int:
    """Microseconds per second where the amount is a duration."""
    return 10**6 if kind.dimension.time > 0 else 1


NUMBERS = st.integers(-3, 3) | st.fractions(-2, 2, max_denominator=3)


@given(
    st.sampled_from(
        [
            "pool.shares / pool.order {0} pool.used",
            "pool.shares {0} pool.order / pool.used",
            "pool.shares / pool.order {0} pool.used / spec.weight",
            "2 * pool.shares / (pool.order / 3) {0} -pool.used / (spec.weight * 5)",
            "pool.shares / pool.order / pool.used {0} 7 / 2",
            "-3 / 2 {0} pool.shares / pool.order",
            "pool.shares / (pool.order / pool.used) {0} spec.weight",
            "(pool.shares - 1) / (pool.order + 1) {0} 0",
            "pool.shares * -2 {0} 3",
            "pool.shares * 2 / -3 {0} pool.order * 5 / 7",
        ]
    ),
    ORDER,
    st.tuples(NUMBERS, NUMBERS, NUMBERS, NUMBERS),
)
@settings(max_examples=400, deadline=None)
def test_comparison_of_quotients_is_that_of_their_values(
    form: str, sign: str, values: tuple[object, object, object, object]
) -> None:
    """The compiled form multiplies instead of dividing; negative divisors and zeros make no difference."""
    rule = form.format(sign)
    env = Env(dict(zip(("shares", "order", "used"), values, strict=False)), spec={"weight": values[3]})
    expression = compile_expression(rule, SCHEMA)
    expected = QUOTIENTS.result(rule, env)
    assert expression.evaluate(env) is expected, rule
    assert expression.explain(env).verdict is expected, rule
