"""The page about expressions says what is true: its examples compile, its mistakes give their codes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from dsl.catalogue import CATALOGUE
from dsl.expressions import ExpressionErrors, Schema, compile_expression, read_attribute
from dsl.expressions.naming import FUNCTIONS
from dsl.expressions.types import NAMESPACES
from dsl.expressions.units import TIME_UNITS
from shareflow.contracts.units import SIZE_UNITS

PAGE = (Path(__file__).parents[3] / "docs" / "expressions.md").read_text("utf-8")
DECLARED = yaml.safe_load(PAGE.split("```yaml\n")[1].split("```")[0])
SCHEMA = Schema.of(
    **{space: [read_attribute(name, what) for name, what in names.items()] for space, names in DECLARED.items()}
)


def _rows(heading: str) -> list[list[str]]:
    """The rows of the table below a line."""
    lines = PAGE.split(heading + "\n")[1].split("\n\n")[0].splitlines()[1:]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def _code(cell: str) -> str:
    """The first thing in backquotes."""
    return cell.split("`")[1]


CALCULATIONS = _rows("| calculation | gives |")
RULES = _rows("| rule | holds for a pool |")
MISTAKES = [row for row in _rows("| code | wrong | right |") if row[1].startswith("`")]


@pytest.mark.parametrize("row", CALCULATIONS, ids=str)
def test_calculation_gives_what_the_page_says(row: list[str]) -> None:
    """The dimension of each example is the one beside it."""
    kind = compile_expression(_code(row[0]), SCHEMA, expects=None).type
    assert row[1].startswith(str(kind).replace("a number", "a plain number"))


@pytest.mark.parametrize("row", RULES, ids=str)
def test_rule_of_the_page_compiles_without_a_warning(row: list[str]) -> None:
    """What can be copied works."""
    assert compile_expression(_code(row[0]), SCHEMA).warnings == ()


def test_first_rule_of_the_page_compiles() -> None:
    """The one that everybody reads."""
    assert compile_expression(PAGE.split("```\n")[1], SCHEMA).warnings == ()


@pytest.mark.parametrize("row", MISTAKES, ids=str)
def test_mistake_of_the_page_gives_its_code_and_its_correction_compiles(row: list[str]) -> None:
    """The table of messages is true on both sides."""
    try:
        errors = compile_expression(_code(row[1]), SCHEMA).warnings
    except ExpressionErrors as refused:
        errors = refused.errors
    assert {error.code for error in errors} == {_code(row[0])}
    assert compile_expression(_code(row[2]), SCHEMA).warnings == ()


def test_page_has_every_code_function_namespace_and_unit() -> None:
    """Nothing of the language is left out."""
    codes = {_code(row[0]) for row in _rows("| code | wrong | right |")}
    assert codes == {code for code in CATALOGUE if code.startswith("S3")}
    assert all(f"`{name}(" in PAGE for name in FUNCTIONS)
    assert all(f"| `{name}` |" in PAGE for name in NAMESPACES)
    assert f"`{' '.join(SIZE_UNITS)}`" in PAGE
    assert f"`{' '.join(TIME_UNITS)}`" in PAGE
