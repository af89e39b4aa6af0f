"""The words and signs of an expression before it is parsed: caps, brackets, quotes.

What is refused here costs linear time, whatever the text is, and nothing recursive has seen it yet.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from dsl.expressions.errors import ExpressionError

MAX_BYTES = 4096
MAX_WORDS = 1024
MAX_DEPTH = 32

_WORD = re.compile(
    r"""
      (?P<space>[ \t\r\n]+)
    | (?P<comment>\#[^\n]*)
    | (?P<text>"[^"\n]*"|'[^'\n]*')
    | (?P<quote>["'])
    | (?P<number>[0-9][0-9_.]*)
    | (?P<name>[A-Za-z_][A-Za-z0-9_.]*)
    | (?P<open>[(\[])
    | (?P<close>[)\]])
    | (?P<sign>[<>=!~&|*/:?]+|.)
    """,
    re.VERBOSE | re.DOTALL | re.ASCII,
)
_CLOSING = {"(": ")", "[": "]"}


class Word(NamedTuple):
    """A piece of the text; ``kind`` is ``text``, ``number``, ``name``, ``open``, ``close``, ``comment`` or ``sign``."""

    kind: str
    text: str
    start: int
    end: int


def scan(text: str) -> tuple[Word, ...] | ExpressionError:
    """The words and signs of a text, with its comments, or why it is not parsed."""
    if len(text) > MAX_BYTES or len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        return ExpressionError(
            *("S301", f"the expression is longer than {MAX_BYTES:,} bytes", 0, min(len(text), MAX_BYTES)),
            label="all of it",
            hint="split it into several rules",
        )
    words: list[Word] = []
    opened: list[Word] = []
    for match in _WORD.finditer(text):
        word = Word(match.lastgroup or "", match.group(), match.start(), match.end())
        if word.kind == "space":
            continue
        words.append(word)
        refused = _refuse_word(word, opened, len(words))
        if refused is not None:
            return refused
    if opened:
        bracket = opened[-1]
        hint = f"close it with `{_CLOSING[bracket.text]}`"
        return ExpressionError("S303", f"`{bracket.text}` is not closed", *bracket[2:], label="opened here", hint=hint)
    return tuple(words)


def _refuse_word(word: Word, opened: list[Word], count: int) -> ExpressionError | None:
    """Why reading stops at this word, if it does; keeps track of the open brackets."""
    place = (word.start, word.end)
    if count > MAX_WORDS:
        message = f"the expression has more than {MAX_WORDS:,} words and signs"
        return ExpressionError("S301", message, *place, label="too many", hint="split it into several rules")
    if word.kind == "quote":
        hint = "close the text in the same line" if word.text == '"' else "write texts between double quotes"
        return ExpressionError("S304", f"the quote `{word.text}` is not closed", *place, label="opened here", hint=hint)
    if word.kind == "open":
        opened.append(word)
        if len(opened) > MAX_DEPTH:
            message = f"brackets are nested more than {MAX_DEPTH} deep"
            return ExpressionError("S302", message, *place, label="too deep", hint="split it into several rules")
    if word.kind == "close":
        return _close(word, opened)
    return None


def _close(word: Word, opened: list[Word]) -> ExpressionError | None:
    place = (word.start, word.end)
    if not opened:
        message = f"`{word.text}` closes nothing"
        return ExpressionError("S303", message, *place, label="no bracket is open", hint="remove it, or open it before")
    bracket = opened.pop()
    wanted = _CLOSING[bracket.text]
    if word.text == wanted:
        return None
    message = f"`{word.text}` does not close `{bracket.text}`"
    label = f"`{bracket.text}` is open since character {bracket.start + 1}"
    return ExpressionError("S303", message, *place, label=label, hint=f"write `{wanted}`")
