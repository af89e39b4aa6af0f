"""The fast forms of comparisons and chains, which decide and record nothing.

An attribute against a literal is by far the most common comparison. It is kept as data, so that a chain can ask many of
them in one loop, without a call for each.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from math import gcd
from typing import Any, NamedTuple

from dsl.expressions.closures import Ratio, Run, multiplied, ratio, read
from dsl.expressions.typed import Constant, Read, Relation
from dsl.expressions.types import Env, Kind
from dsl.expressions.values import Fits, fits

Decide = Callable[[Any, Any], bool]

SIGNS: dict[str, Decide] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_MIRRORED = {"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
_FAST = {Kind.NUMBER: int, Kind.TEXT: str, Kind.BOOL: bool}


class Simple(NamedTuple):
    """An attribute against a constant.

    Attributes:
        namespace, name: the attribute, its namespace by position.
        fast: a class whose instances need no further test.
        test: whether another value fits the attribute's type.
        decide, constant: what it is asked.
    """

    namespace: int
    name: str
    fast: type | None
    test: Fits
    decide: Decide
    constant: object


def simple(node: Read, decide: Decide, constant: object) -> Simple:
    """An attribute against a constant of its type."""
    return Simple(node.index, node.name, _FAST.get(node.type.kind), fits(node.type), decide, constant)


def alone(one: Simple) -> Run:
    """A simple comparison as a closure of its own."""
    index, name, fast, test, decide, constant = one

    def run(env: Env) -> bool | None:
        found = env[index].get(name)
        if found.__class__ is fast or test(found):
            return decide(found, constant)
        return None

    return run


def all_of(parts: Iterable[Run | Simple]) -> Run:
    """``and``: the simple comparisons first, which changes no result."""
    groups, runs = _sorted(parts)

    def run(env: Env) -> bool | None:
        verdict: bool | None = True
        for namespace, rows in groups:
            get = env[namespace].get
            for name, fast, test, decide, constant in rows:
                found = get(name)
                if found.__class__ is not fast and not test(found):
                    verdict = None
                elif not decide(found, constant):
                    return False
        for one in runs:
            found = one(env)
            if not found:
                if found is False:
                    return False
                verdict = None
        return verdict

    return run


def any_of(parts: Iterable[Run | Simple]) -> Run:
    """``or``: the simple comparisons first, which changes no result."""
    groups, runs = _sorted(parts)

    def run(env: Env) -> bool | None:
        verdict: bool | None = False
        for namespace, rows in groups:
            get = env[namespace].get
            for name, fast, test, decide, constant in rows:
                found = get(name)
                if found.__class__ is not fast and not test(found):
                    verdict = None
                elif decide(found, constant):
                    return True
        for one in runs:
            found = one(env)
            if found:
                return True
            if found is None:
                verdict = None
        return verdict

    return run


# Plain tuples: they are taken apart in half the time that named ones need.
_Row = tuple[str, type | None, Fits, Decide, object]


def _sorted(parts: Iterable[Run | Simple]) -> tuple[tuple[tuple[int, tuple[_Row, ...]], ...], tuple[Run, ...]]:
    """The simple comparisons by namespace, and the others."""
    every = tuple(parts)
    rows: dict[int, list[_Row]] = {}
    for part in every:
        if isinstance(part, Simple):
            rows.setdefault(part.namespace, []).append((part.name, part.fast, part.test, part.decide, part.constant))
    groups = tuple((namespace, tuple(group)) for namespace, group in rows.items())
    return groups, tuple(part for part in every if not isinstance(part, Simple))


def relation(node: Relation) -> Run | Simple | None:
    """The fast form of a comparison; None where there is none."""
    if node.left.type.kind is Kind.NUMBER:
        return _number_relation(node)
    if isinstance(node.left, Read) and isinstance(node.right, Constant):
        return simple(node.left, SIGNS[node.sign], node.right.value)
    return None


def _number_relation(node: Relation) -> Run | Simple:
    """Compares without dividing: a / b < c / d is a * d < c * b for positive b and d. Constants are folded before."""
    left, right, sign = ratio(node.left), ratio(node.right), node.sign
    if not left.factors:
        left, right, sign = right, left, _MIRRORED[sign]
    times, other = left.above * right.below, right.above * left.below
    common = gcd(times, other) or 1
    left, right = left._replace(above=times // common), right._replace(above=other // common)
    decide = SIGNS[sign]
    if right.divisors:
        return _quotients(decide, left, right)
    if left.divisors:
        return _quotient_against(decide, left, right)
    first = left.factors[0] if len(left.factors) == 1 else None
    if isinstance(first, Read) and not right.factors:
        if left.above == 1:
            return simple(first, decide, right.above)
        return _fraction_against(decide, first, left.above, right.above)
    return _products(decide, left, right)


def _products(decide: Decide, left: Ratio, right: Ratio) -> Run:
    run_left, run_right = multiplied(left.above, left.factors), multiplied(right.above, right.factors)

    def run(env: Env) -> bool | None:
        one = run_left(env)
        if one is None:
            return None
        other = run_right(env)
        return None if other is None else decide(one, other)

    return run


def _quotient_against(decide: Decide, left: Ratio, right: Ratio) -> Run:
    """A quotient against something without divisors, mostly a constant."""
    run_left, below = multiplied(left.above, left.factors), multiplied(1, left.divisors)
    run_right = multiplied(right.above, right.factors) if right.factors else None
    constant = right.above

    def run(env: Env) -> bool | None:
        one, low = run_left(env), below(env)
        other = run_right(env) if run_right is not None else constant
        if one is None or other is None or not low:
            return None
        return decide(one, other * low) if low > 0 else decide(-one, other * -low)

    return run


def _quotients(decide: Decide, left: Ratio, right: Ratio) -> Run:
    run_left, run_right = multiplied(left.above, left.factors), multiplied(right.above, right.factors)
    below_left, below_right = multiplied(1, left.divisors), multiplied(1, right.divisors)

    def run(env: Env) -> bool | None:
        one, other = run_left(env), run_right(env)
        low, high = below_left(env), below_right(env)
        if one is None or other is None or not low or not high:
            return None
        if low < 0:
            one, low = -one, -low
        if high < 0:
            other, high = -other, -high
        return decide(one * high, other * low)

    return run


def _fraction_against(decide: Decide, node: Read, times: int, constant: int) -> Run:
    """An attribute times a number with a constant; whole numbers only, as arithmetic on fractions is slow."""
    run_read = read(node)

    def run(env: Env) -> bool | None:
        found = run_read(env)
        return None if found is None else decide(found.numerator * times, found.denominator * constant)

    return run
