"""Expressions: compiled once, evaluated for any number of pools, explained on demand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from dsl.expressions.checking import Checker
from dsl.expressions.errors import ExpressionError, ExpressionErrors
from dsl.expressions.parsing import parse
from dsl.expressions.truths import Code, Comparison, compiled
from dsl.expressions.types import BOOL, NAMESPACES, Env, Schema, Type


class Explanation(NamedTuple):
    """One evaluation with everything that was compared.

    Attributes:
        verdict: True, False, or None when unknown; None also for an expression that is not true or false.
        value: the result; for a rule the same as the verdict.
        comparisons: every comparison in order of the text, also those that no longer mattered.
        reasons: why the result is unknown, each once; empty when it is known.
    """

    verdict: bool | None
    value: Any
    comparisons: tuple[Comparison, ...]
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Expression:
    """A compiled expression. Holds nothing that changes; any number of threads may use it at once.

    Attributes:
        text: as it was written.
        type: of the result.
        names: the (namespace, attribute) pairs that it reads.
        warnings: what is allowed but looks like a mistake.
        evaluate: the result for an :class:`~dsl.expressions.types.Env`: True, False or None (unknown) for a rule, the
            runtime value or None otherwise. Raises nothing, whatever the values are.
    """

    text: str
    type: Type
    names: frozenset[tuple[str, str]]
    warnings: tuple[ExpressionError, ...]
    evaluate: Callable[[Env], Any] = field(repr=False, compare=False)
    _code: Code = field(repr=False, compare=False)

    def explain(self, env: Env) -> Explanation:
        """The same result as ``evaluate``, with every comparison; no operand is left out."""
        seen: list[Comparison] = []
        found = self._code.explain(env, seen)
        reasons = tuple(reason.text for reason in self._code.why(env)) if found is None else ()
        return Explanation(found if self.type is BOOL or self.type == BOOL else None, found, tuple(seen), reasons)


def compile_expression(text: str, schema: Schema, *, expects: Type | None = BOOL) -> Expression:
    """The expression that a text holds.

    Args:
        text: at most 4 KiB.
        schema: the names that it may use, with their types.
        expects: the type of the result; None means a number of any dimension.

    Raises:
        ExpressionErrors: the text is refused; with every mistake of names, units and types at once, or with the first
            mistake of syntax.
    """
    tree = parse(text)
    if isinstance(tree, ExpressionError):
        raise ExpressionErrors([tree])
    checker = Checker(text, schema)
    typed = checker.check(tree)
    if typed is not None:
        checker.refuse_result(typed, expects)
    found = checker.report.errors
    if typed is None or any(error.severity == "error" for error in found):
        raise ExpressionErrors(found)
    code = compiled(typed, text)
    names = frozenset((NAMESPACES[read.index], read.name) for read in checker.reads)
    warnings = tuple(sorted(found, key=lambda error: error.start))
    return Expression(text, typed.type, names, warnings, code.run, code)
