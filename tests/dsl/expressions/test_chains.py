"""Every operand counts: in any tree of ``and``, ``or`` and ``not`` each comparison can turn the result."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsl.expressions import Attribute, Env, Expression, Schema, compile_expression
from dsl.expressions.types import NUMBER, TEXT

NAMES = [f"a{number}" for number in range(40)]
SCHEMA = Schema.of(pool=[Attribute(name, NUMBER) for name in NAMES] + [Attribute(f"t{name}", TEXT) for name in NAMES])


class Leaf(NamedTuple):
    """A comparison on an attribute of its own, with a value that makes it true and one that makes it false."""

    name: str
    text: str
    yes: object
    no: object


class Branch(NamedTuple):
    """``and``, ``or`` or ``not`` over other parts."""

    word: str
    parts: tuple[Tree, ...]


Tree = Leaf | Branch

FORMS = [
    ("pool.{0} >= 3", 3, 2),
    ("5 > pool.{0}", 4, 5),
    ("pool.{0} / 2 < 4", 7, 8),
    ("pool.{0} in [1, 2]", 2, 3),
    ("pool.{0} between 1 and 2", 1, 0),
    ('pool.t{0} == "x"', "x", "y"),
    ('pool.t{0} not like "x*"', "y", "xy"),
    ('"x" != pool.t{0}', "y", "x"),
]


def _leaf(number: int, form: tuple[str, object, object]) -> Leaf:
    text, yes, no = form
    name = NAMES[number]
    return Leaf(f"t{name}" if "pool.t" in text else name, text.format(name), yes, no)


@st.composite
def trees(draw: st.DrawFn, numbers: tuple[int, ...] = tuple(range(40)), depth: int = 4) -> Tree:
    """A tree whose leaves read different attributes."""
    if not depth or len(numbers) == 1 or draw(st.integers(0, 4)) == 0:
        return _leaf(numbers[0], draw(st.sampled_from(FORMS)))
    if draw(st.integers(0, 4)) == 0:
        return Branch("not", (draw(trees(numbers, depth - 1)),))
    count = draw(st.integers(2, min(len(numbers), 5)))
    share = len(numbers) // count
    groups = [numbers[index * share : (index + 1) * share] for index in range(count)]
    return Branch(draw(st.sampled_from(["and", "or"])), tuple(draw(trees(group, depth - 1)) for group in groups))


def written(tree: Tree) -> str:
    """The rule that a tree stands for."""
    if isinstance(tree, Leaf):
        return tree.text
    parts = [written(part) if isinstance(part, Leaf) else f"({written(part)})" for part in tree.parts]
    return f"not {parts[0]}" if tree.word == "not" else f" {tree.word} ".join(parts)


def leaves(tree: Tree) -> Iterator[Leaf]:
    """The comparisons of a tree."""
    if isinstance(tree, Leaf):
        yield tree
    else:
        for part in tree.parts:
            yield from leaves(part)


def made(tree: Tree, *, verdict: bool) -> dict[str, object]:
    """Values that give a tree a verdict."""
    if isinstance(tree, Leaf):
        return {tree.name: tree.yes if verdict else tree.no}
    inner = verdict is not (tree.word == "not")
    return {name: value for part in tree.parts for name, value in made(part, verdict=inner).items()}


def decisive(tree: Tree, leaf: Leaf) -> dict[str, object]:
    """Values for everything but one leaf, so that this leaf alone decides."""
    if tree is leaf or isinstance(tree, Leaf):
        return {}
    found: dict[str, object] = {}
    for part in tree.parts:
        mine = any(one is leaf for one in leaves(part))
        found |= decisive(part, leaf) if mine else made(part, verdict=tree.word == "and")
    return found


def _both(expression: Expression, values: dict[str, object]) -> bool | None:
    env = Env(pool=values)
    verdict: bool | None = expression.evaluate(env)
    assert expression.explain(env).verdict is verdict
    return verdict


def _every_leaf_turns(tree: Tree) -> None:
    expression = compile_expression(written(tree), SCHEMA)
    for leaf in leaves(tree):
        others = decisive(tree, leaf)
        verdicts = [_both(expression, {**others, leaf.name: value}) for value in (leaf.yes, leaf.no)]
        assert {verdicts[0], verdicts[1]} == {True, False}, (written(tree), leaf)
        assert _both(expression, others) is None, "without the leaf nothing is decided"


@given(trees())
@settings(max_examples=150, deadline=None)
def test_every_comparison_of_every_chain_can_turn_the_result(tree: Tree) -> None:
    """With the others held, one comparison alone makes the rule true or false, and its absence unknown."""
    _every_leaf_turns(tree)


@pytest.mark.parametrize("word", ["and", "or"])
@pytest.mark.parametrize("length", [2, 3, 8, 40])
def test_every_operand_of_a_long_flat_chain_can_turn_the_result(word: str, length: int) -> None:
    """No operand is lost, also not in a long chain."""
    _every_leaf_turns(Branch(word, tuple(_leaf(number, FORMS[number % len(FORMS)]) for number in range(length))))


@pytest.mark.parametrize(
    ("rule", "values", "verdict"),
    [
        ("pool.a1 > 0 and pool.a2 > 0", {"a1": 0}, False),
        ("pool.a1 > 0 and pool.a2 > 0", {"a2": 0}, False),
        ("pool.a1 > 0 and pool.a2 > 0", {"a1": 1}, None),
        ("pool.a1 > 0 or pool.a2 > 0", {"a1": 1}, True),
        ("pool.a1 > 0 or pool.a2 > 0", {"a2": 1}, True),
        ("pool.a1 > 0 or pool.a2 > 0", {"a1": 0}, None),
        ("not pool.a1 > 0", {}, None),
        ("not (pool.a1 > 0 and pool.a2 > 0)", {"a1": 0}, True),
        ("any(pool.a1 > 0, pool.a2 > 0)", {"a2": 1}, True),
        ("all(pool.a1 > 0, pool.a2 > 0)", {"a2": 0}, False),
        ("all(pool.a1 > 0, pool.a2 > 0)", {"a2": 1}, None),
        ("has(pool.a1) and pool.a1 > 0", {}, False),
        ("not has(pool.a1) or pool.a1 > 0", {}, True),
        ("(pool.a1 > 0) == (pool.a2 > 0)", {"a1": 1}, None),
        ("pool.a1 in [1, pool.a2]", {"a1": 1}, None),
        ("pool.a1 between pool.a2 and 3", {"a1": 5}, None),
        ("pool.a1 * 0 == 0", {}, None),
        ("pool.a1 == pool.a1", {}, None),
    ],
)
def test_absent_attribute_makes_its_comparison_unknown_and_nothing_else(
    rule: str, values: dict[str, object], verdict: bool | None
) -> None:
    """The known operands decide when they can; a comparison with an unknown side never does."""
    assert _both(compile_expression(rule, SCHEMA), values) is verdict
