"""Where expressions stand in documents, and their form.

One space around signs and words, none inside of brackets, one behind a comma and before a unit. Line breaks, empty
lines, the indentation of lines, the spelling of words and everything between quotes stay.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from lark.exceptions import UnexpectedInput

from dsl.expressions.parsing import parser
from dsl.expressions.scanning import scan
from dsl.expressions.syntax import sign_of
from dsl.formatting.comments import tidy

EXPRESSIONS = frozenset(
    {("require",), ("require", "*"), ("require", "*", "rule"), ("prefer", "*", "when"), ("prefer", "*", "score")}
)
"""Paths of expressions in a document; ``*`` stands for the items of a list."""

_OPENING, _CLOSING = frozenset({"LPAR", "LSQB"}), frozenset({"RPAR", "RSQB"})
_COMMENT = "COMMENT"
_VALUES = frozenset({"NUMBER", "UNIT", "PARTS", "TEXT", "NAME", *_CLOSING})
"""What a sign between two values can stand behind; behind anything else it is one before a value."""


class _Piece(NamedTuple):
    """A word, a sign or a comment."""

    kind: str
    text: str
    start: int
    end: int


@lru_cache(maxsize=1024)  # a file is compared with what became of it
def format_expression(text: str) -> str:
    """An expression in its form; one that cannot be read stays as it is.

    It consists of the same words and signs as before, and a second call changes nothing.
    """
    pieces = _pieces(text)
    if not pieces:
        return text
    formatted = "".join(_written(text, pieces))
    return formatted if _words(_pieces(formatted)) == _words(pieces) else text


def is_expression(path: tuple[str, ...]) -> bool:
    """Whether text at this path of a document is an expression."""
    return path in EXPRESSIONS


def _pieces(text: str) -> list[_Piece]:
    """The pieces of an expression in order; none when it cannot be read."""
    words = scan(text)
    if not isinstance(words, tuple):
        return []
    try:
        reading = parser().parse_interactive(text)
        tokens = [_Piece(token.type, *sign_of(token)) for token in reading.iter_parse()]
        reading.feed_eof()  # type: ignore[no-untyped-call]
    except UnexpectedInput:
        return []
    comments = [_Piece(_COMMENT, word.text, word.start, word.end) for word in words if word.kind == "comment"]
    return sorted([*tokens, *comments], key=lambda piece: piece.start)


def _words(pieces: list[_Piece]) -> list[tuple[str, str]]:
    return [(piece.kind, piece.text) for piece in pieces if piece.kind != _COMMENT]


def _written(text: str, pieces: list[_Piece]) -> Iterator[str]:
    first, last = pieces[0], pieces[-1]
    yield _breaks(text[: first.start])
    yield _shown(first)
    unary = first.kind == "ADD"
    for left, right in pairwise(pieces):
        gap = text[left.end : right.start]
        yield _breaks(gap) if "\n" in gap else _space(left, right, unary=unary)
        yield _shown(right)
        unary = right.kind == "ADD" and left.kind not in _VALUES
    yield "\n" * text[last.end :].count("\n")


def _shown(piece: _Piece) -> str:
    return tidy(piece.text) if piece.kind == _COMMENT else piece.text


def _breaks(gap: str) -> str:
    """White space with line breaks: as many, and the indentation of the line that begins."""
    breaks = gap.count("\n")
    return "\n" * breaks + gap.rpartition("\n")[2] if breaks else ""


def _space(left: _Piece, right: _Piece, *, unary: bool) -> str:
    """What stands between two pieces in one line; ``unary`` says that the left one is a sign before a value."""
    if right.kind == _COMMENT:
        return "  "
    call = left.kind == "NAME" and right.kind == "LPAR"
    if unary or call or left.kind in _OPENING or right.kind in _CLOSING or right.text == "," or left.text == "!":
        return ""
    return " "
