"""Values of a checked expression as closures: attributes, arithmetic, functions. Exact; None is unknown.

A closure holds nothing that changes, so any number of threads may run it. Besides the value each part can say why it
is unknown; that is asked only after it was.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from dsl.expressions.report import path
from dsl.expressions.typed import Constant, Function, Product, Read, Sum, Typed
from dsl.expressions.types import Env, Kind
from dsl.expressions.units import Number, tidy
from dsl.expressions.values import fits, misfit


class Reason(NamedTuple):
    """Why something is unknown; ``absent`` is the attribute that is not there, if that is why."""

    text: str
    absent: str = ""


Run = Callable[[Env], Any]
Why = Callable[[Env], tuple[Reason, ...]]

_FAST = {Kind.BOOL: bool, Kind.NUMBER: int, Kind.TEXT: str}


def value(node: Typed) -> Run:
    """The value of a part that is not a comparison."""
    if isinstance(node, Constant):
        constant = node.value
        return lambda _env: constant
    if isinstance(node, Read):
        return read(node)
    if isinstance(node, Product):
        return quotient(ratio(node))
    if isinstance(node, Sum):
        return _sum(node)
    if isinstance(node, Function):
        return _function(node)
    raise TypeError(node)


def read(node: Read) -> Run:
    """An attribute; None when it is absent or does not fit its type."""
    index, name, test = node.index, node.name, fits(node.type)
    fast = _FAST.get(node.type.kind)

    def run(env: Env) -> object:
        found = env[index].get(name)
        return found if found.__class__ is fast or test(found) else None

    return run


class Ratio(NamedTuple):
    """A number as a constant times factors, divided by a positive constant and by divisors."""

    above: int
    below: int
    factors: tuple[Typed, ...]
    divisors: tuple[Typed, ...]


def ratio(node: Typed) -> Ratio:
    """A number with everything that is multiplied and divided at its top laid flat."""
    if isinstance(node, Constant) and isinstance(node.value, int | Fraction):
        return Ratio(node.value.numerator, node.value.denominator, (), ())
    if not isinstance(node, Product):
        return Ratio(1, 1, (node,), ())
    constant = node.scale
    factors: list[Typed] = []
    divisors: list[Typed] = []
    for factor, inverted in zip(node.factors, node.inverted, strict=True):
        if not inverted:
            inner = ratio(factor)
            constant *= Fraction(inner.above, inner.below)
            factors += inner.factors
            divisors += inner.divisors
        elif isinstance(factor, Constant) and isinstance(factor.value, int | Fraction) and factor.value:
            constant /= factor.value
        else:
            # Not laid flat: a divisor that is itself a quotient must be known not to be zero as a whole.
            divisors.append(factor)
    return Ratio(constant.numerator, constant.denominator, tuple(factors), tuple(divisors))


def multiplied(constant: int, factors: Sequence[Typed]) -> Run:
    """A constant times factors."""
    runs = tuple(value(factor) for factor in factors)
    if not runs:
        return lambda _env: constant
    if len(runs) > 1:
        return _multiplied(constant, runs)
    only = runs[0]
    if constant == 1:
        return only

    def run(env: Env) -> Number | None:
        found = only(env)
        return None if found is None else found * constant

    return run


def _multiplied(constant: int, runs: Iterable[Run]) -> Run:
    def run(env: Env) -> Number | None:
        total: Number = constant
        for one in runs:
            found = one(env)
            if found is None:
                return None
            total *= found
        return total

    return run


def quotient(parts: Ratio) -> Run:
    """The value of a ratio; unknown when a divisor is zero."""
    above, below = multiplied(parts.above, parts.factors), multiplied(parts.below, parts.divisors)

    def run(env: Env) -> Number | None:
        top, bottom = above(env), below(env)
        if top is None or not bottom:
            return None
        if bottom.__class__ is int and top.__class__ is int:
            whole, rest = divmod(top, bottom)
            return Fraction(top, bottom) if rest else whole
        return tidy(Fraction(top) / bottom)

    return run


def _sum(node: Sum) -> Run:
    terms = tuple(
        (value(term), -1 if negative else 1) for term, negative in zip(node.terms, node.negative, strict=True)
    )

    def run(env: Env) -> Number | None:
        total: Number = 0
        for term, sign in terms:
            found = term(env)
            if found is None:
                return None
            total += found * sign
        return tidy(total)

    return run


_OF_ONE: dict[str, Callable[[Any], Any]] = {"abs": abs, "ceil": math.ceil, "floor": math.floor}
_OF_ALL: dict[str, Callable[[Any], Any]] = {"min": min, "max": max, "any": any, "all": all, "len": len}


def _function(node: Function) -> Run:
    arguments = tuple(value(argument) for argument in node.arguments)
    first, of = arguments[0], node.arguments[0].type
    if node.name in _OF_ONE:
        of_one = _OF_ONE[node.name]

        def run_one(env: Env) -> object:
            found = first(env)
            return None if found is None else of_one(found)

        return run_one
    of_all = _OF_ALL[node.name]
    if of.of is None:

        def run_several(env: Env) -> object:
            found = [argument(env) for argument in arguments]
            return None if None in found else of_all(found)

        return run_several
    distinct = of.kind is Kind.SET

    def run_list(env: Env) -> object:
        found = first(env)
        if found is None or (not found and of_all in (min, max)):
            return None
        return of_all(frozenset(found) if distinct else found)

    return run_list


def why(node: Typed, text: str) -> Why:
    """Why the value of a part is unknown: absent attributes, values of another type, division by zero."""
    if isinstance(node, Read):
        return _why_read(node)
    if isinstance(node, Product):
        return _why_product(node, text)
    if isinstance(node, Sum):
        return together([why(term, text) for term in node.terms])
    if isinstance(node, Function):
        return _why_function(node, text)
    return lambda _env: ()


def together(parts: Iterable[Why]) -> Why:
    """The reasons of several parts, each once."""
    every = tuple(parts)
    return lambda env: tuple(dict.fromkeys(reason for part in every for reason in part(env)))


def _why_read(node: Read) -> Why:
    index, name, full, kind, test = node.index, node.name, path(node), node.type, fits(node.type)

    def reasons(env: Env) -> tuple[Reason, ...]:
        found = env[index].get(name)
        if found is None:
            return (Reason(f"attribute absent: {full}", full),)
        return () if test(found) else (Reason(misfit(full, found, kind)),)

    return reasons


def _why_product(node: Product, text: str) -> Why:
    parts = together([why(factor, text) for factor in node.factors])
    divisors = tuple(
        (value(factor), " ".join(text[factor.start : factor.end].split()))
        for factor, inverted in zip(node.factors, node.inverted, strict=True)
        if inverted
    )

    def reasons(env: Env) -> tuple[Reason, ...]:
        zeros = tuple(Reason(f"division by zero: {source}") for divisor, source in divisors if divisor(env) == 0)
        return parts(env) + zeros

    return reasons


def _why_function(node: Function, text: str) -> Why:
    parts, run = together([why(argument, text) for argument in node.arguments]), value(node.arguments[0])
    source = " ".join(text[node.start : node.end].split())

    def reasons(env: Env) -> tuple[Reason, ...]:
        found = run(env)
        empty = found is not None and node.arguments[0].type.of is not None and not found
        return parts(env) + ((Reason(f"the list is empty: {source}"),) if empty else ())

    return reasons
