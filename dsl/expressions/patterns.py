"""Patterns of ``like``: ``*`` stands for any text, every other character for itself. Linear in pattern and text."""

from __future__ import annotations

from collections.abc import Callable


def matcher(pattern: str) -> Callable[[str], bool]:
    """A test whether a whole text matches, with capital and small letters apart.

    Each piece between two stars is taken at its first place behind the piece before. When that fails no later place
    can do better, so nothing is ever tried twice.
    """
    first, *pieces = pattern.split("*")
    if not pieces:
        return lambda text: text == pattern
    last = pieces.pop()
    middle = tuple(piece for piece in pieces if piece)
    least = len(first) + len(last)

    def matches(text: str) -> bool:
        if len(text) < least or not text.startswith(first) or not text.endswith(last):
            return False
        at, end = len(first), len(text) - len(last)
        for piece in middle:
            found = text.find(piece, at, end)
            if found < 0:
                return False
            at = found + len(piece)
        return True

    return matches
