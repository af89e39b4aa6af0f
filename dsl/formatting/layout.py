"""A file as it is laid out: documents, collections and entries, each with the comments and empty lines around it.

Where a comment belongs: behind something in its line, to that; alone in its line, to the next entry, unless it is
indented as deep as the entries of a collection that ends there, then to the end of that collection; before the first
key of a document, to the document.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

from dsl.formatting.comments import Comment, Place, end_of, marks_of, start_of
from dsl.formatting.expressions import is_expression
from dsl.formatting.order import Shape, inside, ordered, shape_of
from dsl.formatting.scalars import Text, key_text, text_of
from dsl.yaml_tree import Entries, Items, Node, Scalar, find


@dataclass(slots=True)
class Entry:
    """A key with its value, or an item of a list.

    Attributes:
        key: None for an item of a list.
        above: lines before it, without indentation: comments, and empty ones.
        beside: the comment in its line; of a collection, in the line of its key.
    """

    key: str | None
    value: Value
    above: list[str]
    beside: str = ""


@dataclass(slots=True)
class Block:
    """A collection whose entries stand in lines of their own; ``below`` are the comments at its end."""

    entries: list[Entry]
    below: list[str]


@dataclass(slots=True)
class Brackets:
    """A collection in brackets; ``tall`` is one that was written over several lines."""

    entries: list[Entry]
    below: list[str]
    mapping: bool
    tall: bool


Value = Text | Block | Brackets


@dataclass(slots=True)
class Page:
    """A document with the comments before and behind it; ``body`` is None when there are only comments."""

    above: list[str] = field(default_factory=list)
    body: Value | None = None
    beside: str = ""
    below: list[str] = field(default_factory=list)


class _Where(NamedTuple):
    """What is known about the place of a value: its path, what may stand there, and whether brackets are around it."""

    path: tuple[str, ...]
    shape: Shape
    flow: bool = False

    def under(self, key: str | None) -> _Where:
        return _Where((*self.path, "*" if key is None else key), inside(self.shape, key), self.flow)


def layout_of(text: str, documents: Sequence[Node]) -> list[Page]:
    """The pages of a valid text whose lines end in a line feed.

    Args:
        text: of the file.
        documents: its trees; documents without content are left out.
    """
    return _Layout(text).pages(documents)


class _Layout:
    """Walks the trees in the order of the text, and takes each comment when it comes by."""

    def __init__(self, text: str) -> None:
        marks = marks_of(text)
        self._lines = text.split("\n")
        self._comments = deque(marks.comments)
        self._dashes = marks.dashes
        self._borders = marks.borders

    def pages(self, documents: Sequence[Node]) -> list[Page]:
        """One page for each document that has content."""
        rest = deque(documents)
        pages: list[Page] = []
        waiting: list[str] = []
        for border in (*self._borders, Place(len(self._lines) + 1, 1)):
            if rest and start_of(rest[0].span) < border:
                pages.append(self._page(rest.popleft(), waiting, border))
                waiting = []
            elif found := self._above(border):
                waiting += ["", *found] if waiting else found
        if waiting and pages:
            pages[-1].below += ["", *waiting]
        return pages or [Page(above=waiting)]

    def _page(self, node: Node, waiting: list[str], until: Place) -> Page:
        page = Page([*waiting, ""] if waiting else [])
        page.above += self._above(start_of(node.span))
        kind = find(node, ("kind",))
        where = _Where((), shape_of(kind.value if isinstance(kind, Scalar) else None))
        if self._is_block(node, where):
            page.body = self._block(node, -1, until, where)
        else:
            page.body = self._inline(node, 0, where)
            page.beside = self._beside(self._last_line(node), until)
        page.below = self._above(until)
        return page

    def _block(self, node: Node, around: int, until: Place, where: _Where) -> Block:
        """A block collection.

        Args:
            node: the collection.
            around: characters before the collection that it is in, -1 when it is in none.
            until: where the next entry after it begins.
            where: its place in the document.
        """
        column = node.span.column - 1
        entries = self._entries(node, self._starts(node), until, column, where)
        return Block(entries, self._below(column, around, until))

    def _entries(self, node: Node, starts: Sequence[Place], until: Place, column: int, where: _Where) -> list[Entry]:
        """The entries of a collection, which begin at the given places; keys in the order of their model."""
        entries: list[Entry] = []
        children = _children(node)
        for (start, following), (key, value) in zip(pairwise([*starts, until]), children, strict=True):
            above = self._above(start)
            if not entries and above[:1] == [""]:
                del above[0]
            entries.append(self._entry(start, key, value, above, following, column, where))
        if not isinstance(node, Entries):
            return entries
        by_key = dict(zip(node.by_key, entries, strict=True))
        return [by_key[key] for key in ordered(by_key, where.shape, document=not where.path)]

    def _entry(
        self, start: Place, key: Scalar | None, value: Node, above: list[str], until: Place, column: int, where: _Where
    ) -> Entry:
        line = key.span.end_line if key is not None else start.line
        name = key_text(key, self._lines) if key is not None else None
        inner = where.under(key.text if key is not None else None)
        if self._is_block(value, inner):
            beside = self._beside(line, start_of(value.span)) if key is not None else ""
            return Entry(name, self._block(value, column, until, inner), above, beside)
        if not _is_empty(value):
            above += [text for text in self._above(start_of(value.span)) if text]
            line = self._last_line(value)
        content = self._inline(value, column, inner)
        return Entry(name, content, above, self._beside(line, until))

    def _inline(self, node: Node, column: int, where: _Where) -> Value:
        """A scalar, or a collection in brackets, in a collection that begins in a column."""
        if isinstance(node, Scalar):
            return text_of(node, self._lines, column, flow=where.flow, expression=is_expression(where.path))
        starts = [start_of((key or value).span) for key, value in _children(node)]
        entries = self._entries(node, starts, end_of(node.span), column, where._replace(flow=True))
        below = self._above(end_of(node.span))
        tall = node.span.line != node.span.end_line and bool(entries or below)
        return Brackets(entries, below, isinstance(node, Entries), tall)

    def _above(self, place: Place) -> list[str]:
        """Comments that come before a place, and an empty line wherever one or more stand before something."""
        found: list[str] = []
        while self._comments and self._comments[0].place < place:
            found += self._take()
        if self._alone(place):
            found += self._empty_before(place.line)
        return found

    def _below(self, column: int, around: int, until: Place) -> list[str]:
        """Comments at the end of a collection: as deep as its entries, and deeper than those around it."""
        found: list[str] = []
        while column > around and self._comments:
            comment = self._comments[0]
            if comment.place >= until or not comment.alone or comment.place.column - 1 < column:
                break
            found += self._take()
        return found

    def _beside(self, line: int, until: Place) -> str:
        """The comment in a line, before a place."""
        if self._comments and self._comments[0].place.line == line and self._comments[0].place < until:
            return self._comments.popleft().text
        return ""

    def _take(self) -> list[str]:
        comment: Comment = self._comments.popleft()
        return [*(self._empty_before(comment.place.line) if comment.alone else []), comment.text]

    def _empty_before(self, line: int) -> list[str]:
        return [""] if line > 1 and not self._lines[line - 2].strip() else []

    def _alone(self, place: Place) -> bool:
        """Whether something stands at a place and nothing before it in its line."""
        if place.line > len(self._lines):
            return False
        return not self._lines[place.line - 1][: place.column - 1].strip()

    def _starts(self, node: Node) -> list[Place]:
        """Where the entries of a block collection begin: with their key, or with their dash."""
        if isinstance(node, Entries):
            return [start_of(key.span) for key, _ in node.entries]
        starts: list[Place] = []
        index = bisect_left(self._dashes, start_of(node.span))
        while isinstance(node, Items) and len(starts) < len(node.items):
            if self._dashes[index].column == node.span.column:
                starts.append(self._dashes[index])
            index += 1
        return starts

    def _is_block(self, node: Node, where: _Where) -> bool:
        # Inside of brackets `a: 1` is a mapping that has none of its own.
        return not (where.flow or isinstance(node, Scalar) or self._sign(node) in ("[", "{"))

    def _sign(self, node: Node) -> str:
        return self._lines[node.span.line - 1][node.span.column - 1 : node.span.column]

    def _last_line(self, node: Node) -> int:
        """The line in which a comment about a value may stand: its last, and the first of a block of text."""
        is_text = isinstance(node, Scalar) and not node.plain and self._sign(node) in ("|", ">")
        return node.span.line if is_text else node.span.end_line


def _children(node: Node) -> list[tuple[Scalar | None, Node]]:
    if isinstance(node, Entries):
        return list(node.entries)
    return [(None, item) for item in node.items] if isinstance(node, Items) else []


def _is_empty(node: Node) -> bool:
    """Whether nothing was written where a value may stand."""
    return isinstance(node, Scalar) and node.plain and not node.text
