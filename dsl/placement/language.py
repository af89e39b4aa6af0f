"""Expressions compiled against one schema, each once."""

from __future__ import annotations

from dsl.attributes import NO_POOLS
from dsl.expressions import BOOL, Expression, ExpressionErrors, Schema, Type, compile_expression


class Language:
    """Compiles the rules and scores of specs and keeps them. Usable from any number of threads."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self._kept: dict[tuple[str, Type | None], Expression | ExpressionErrors] = {}

    def rule(self, text: str) -> Expression | ExpressionErrors:
        """An expression that is true or false, or why the text is none."""
        return self._compiled(text, BOOL)

    def score(self, text: str) -> Expression | ExpressionErrors:
        """An expression that is a number, or why the text is none."""
        return self._compiled(text, None)

    def _compiled(self, text: str, expects: Type | None) -> Expression | ExpressionErrors:
        known = self._kept.get((text, expects))
        if known is None:
            try:
                known = compile_expression(text, self.schema, expects=expects)
            except ExpressionErrors as errors:
                known = errors
            self._kept[text, expects] = known  # two threads that compile the same text at once keep equal results
        return known


NO_LANGUAGE = Language(NO_POOLS)
