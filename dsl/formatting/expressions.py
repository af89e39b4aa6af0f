"""Where expressions stand in documents, and their form."""

from __future__ import annotations

EXPRESSIONS = frozenset({("require", "*"), ("prefer", "*", "when")})
"""Paths of expressions in a document; ``*`` stands for the items of a list."""


def format_expression(text: str) -> str:
    """An expression in its best form. A change must not change its meaning, and a second call must change nothing."""
    return text


def is_expression(path: tuple[str, ...]) -> bool:
    """Whether text at this path of a document is an expression."""
    return path in EXPRESSIONS
