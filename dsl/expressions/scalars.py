"""Expressions inside YAML documents: compiled from a scalar, with every mistake at its place in the file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from dsl.expressions.errors import ExpressionError, ExpressionErrors
from dsl.expressions.expression import Expression, compile_expression
from dsl.expressions.places import Places
from dsl.expressions.scanning import scan
from dsl.expressions.types import BOOL, Schema, Type
from dsl.problems import Problem, Source
from dsl.yaml_tree import Scalar


class Compiled(NamedTuple):
    """The expression of a scalar, None when it is refused, and its problems: errors, or warnings only."""

    expression: Expression | None
    problems: tuple[Problem, ...]


def compile_scalar(scalar: Scalar, source: Source, schema: Schema, *, expects: Type | None = BOOL) -> Compiled:
    """The expression that a value of a document holds; its text is the value as YAML reads it.

    Raises nothing: what :func:`compile_expression` raises becomes problems. A comment in a value whose lines are joined
    would silently hide the rest of the rule, so that is refused as well.
    """
    hidden = list(_hiding_comments(scalar, source))
    if hidden:
        return Compiled(None, to_problems(hidden, source, scalar))
    try:
        expression = compile_expression(scalar.text, schema, expects=expects)
    except ExpressionErrors as refused:
        return Compiled(None, to_problems(refused.errors, source, scalar))
    return Compiled(expression, to_problems(expression.warnings, source, scalar))


def to_problems(errors: Sequence[ExpressionError], source: Source, scalar: Scalar) -> tuple[Problem, ...]:
    """Mistakes of an expression as problems of the file that its scalar stands in, at their exact places."""
    if not errors:
        return ()
    places = Places(source, scalar)
    return tuple(to_problem(error, source, places) for error in errors)


def to_problem(error: ExpressionError, source: Source, places: Places) -> Problem:
    """One mistake as a problem; ``places`` are those of the scalar that holds the expression."""
    return source.problem(
        error.code,
        error.message,
        places.span(error.start, error.end),
        label=error.label,
        hint=error.hint,
        note=error.note,
        severity=error.severity,
    )


def _hiding_comments(scalar: Scalar, source: Source) -> Iterator[ExpressionError]:
    """Comments that go over more than one line of the file, because YAML joined the lines."""
    words = scan(scalar.text) if "#" in scalar.text else ()
    comments = [word for word in words if word.kind == "comment"] if isinstance(words, tuple) else []
    places = Places(source, scalar) if comments else None
    for word in comments:
        written = word.end - len(word.text) + len(word.text.rstrip())
        if places is not None and places.line(word.start) != places.line(written - 1):
            message, label = "this comment hides the lines after it", "YAML joins the lines of this value"
            hint = "write the rule as a block with `|`, or move the comment out"
            yield ExpressionError("S323", message, word.start, word.start + 1, label=label, hint=hint)
