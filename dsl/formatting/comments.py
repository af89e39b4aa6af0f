"""Comments of a YAML text, and the marks that tree nodes do not know: dashes of lists, borders of documents.

Between two scalars of a valid text there are only white space, signs and comments, so a ``#`` there begins a comment.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import yaml

from dsl.problems import Span

_COMMENT = re.compile(r"#[^\n]*")
_NO_SPACE = re.compile(r"^(#+)(?=[^#!\s])")


class Place(NamedTuple):
    """A line and a column, counted from 1."""

    line: int
    column: int


class Comment(NamedTuple):
    """One comment.

    Attributes:
        place: of its ``#``.
        text: from ``#`` on, in its final form.
        alone: nothing but white space stands before it in its line.
    """

    place: Place
    text: str
    alone: bool


class Marks(NamedTuple):
    """What a text has beside its values, in order."""

    comments: tuple[Comment, ...]
    dashes: tuple[Place, ...]
    borders: tuple[Place, ...]


def start_of(span: Span) -> Place:
    """Where something begins."""
    return Place(span.line, span.column)


def end_of(span: Span) -> Place:
    """Behind the last character of something."""
    return Place(span.end_line, span.end_column)


def marks_of(text: str) -> Marks:
    """Comments, dashes of block lists, and ``---`` and ``...`` of a valid text whose lines end in a line feed."""
    dashes: list[Place] = []
    borders: list[Place] = []
    gaps: list[tuple[int, int]] = []
    behind = 0
    for token in yaml.scan(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
        start = token.start_mark
        if isinstance(token, yaml.BlockEntryToken):
            dashes.append(Place(start.line + 1, start.column + 1))
        elif isinstance(token, yaml.DocumentStartToken | yaml.DocumentEndToken):
            borders.append(Place(start.line + 1, start.column + 1))
        elif isinstance(token, yaml.ScalarToken):
            # A comment may stand in the first line of a block, behind its sign.
            gaps.append((behind, _end_of_line(text, start.index) if token.style in ("|", ">") else start.index))
            behind = token.end_mark.index
    gaps.append((behind, len(text)))
    return Marks(tuple(_comments(text, gaps)), tuple(dashes), tuple(borders))


def tidy(comment: str) -> str:
    """One space behind the ``#`` where there was none, and no white space at the end."""
    return _NO_SPACE.sub(r"\1 ", comment.rstrip(), count=1)


def _end_of_line(text: str, start: int) -> int:
    end = text.find("\n", start)
    return len(text) if end < 0 else end


def _comments(text: str, gaps: Iterable[tuple[int, int]]) -> Iterator[Comment]:
    line, line_start = 1, 0
    for gap in gaps:
        for found in _COMMENT.finditer(text, *gap):
            line += text.count("\n", line_start, found.start())
            line_start = text.rfind("\n", 0, found.start()) + 1
            place = Place(line, found.start() - line_start + 1)
            yield Comment(place, tidy(found.group()), alone=not text[line_start : found.start()].strip())
