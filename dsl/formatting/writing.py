"""A layout as text: two spaces for each depth, two before a comment behind something, one empty line at most."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dsl.formatting.layout import Block, Brackets, Entry, Page, Value
from dsl.formatting.scalars import Text


def text_of_pages(pages: Sequence[Page]) -> str:
    """All pages as one text; an empty text when there is nothing in them."""
    writer = _Writer()
    for number, page in enumerate(pages):
        if number:
            writer.border()
        writer.page(page)
    return writer.text()


class _Writer:
    def __init__(self) -> None:
        self._out: list[str] = []
        self._begin = 0
        self._kept = -1

    def text(self) -> str:
        """What was written."""
        while self._out and not self._out[-1] and len(self._out) != self._kept:
            self._out.pop()
        return "".join(f"{line}\n" for line in self._out)

    def border(self) -> None:
        """The line between two documents."""
        self._remarks([""], 0)
        self._out.append("---")
        self._begin = len(self._out)

    def page(self, page: Page) -> None:
        """A document."""
        self._remarks(page.above, 0)
        if isinstance(page.body, Block):
            self._block(page.body, 0)
        elif page.body is not None:
            self._value("", page.body, 2, page.beside)
        self._remarks(page.below, 0)

    def _remarks(self, lines: Iterable[str], depth: int) -> None:
        """Comments, and empty lines where one may be: not twice, not at the beginning, not behind kept text."""
        for line in lines:
            if line:
                self._out.append(" " * depth + line)
            elif len(self._out) not in (self._begin, self._kept) and self._out[-1]:
                self._out.append("")

    def _block(self, block: Block, depth: int) -> None:
        for number, entry in enumerate(block.entries):
            above = [*entry.above, *_raised(entry.value)] if entry.key is None else entry.above
            self._remarks(above[1:] if not number and above[:1] == [""] else above, depth)
            self._entry(entry, depth)
        self._remarks(block.below, depth)

    def _entry(self, entry: Entry, depth: int) -> None:
        head = " " * depth + ("-" if entry.key is None else f"{entry.key}:")
        if not isinstance(entry.value, Block):
            self._value(head, entry.value, depth + 2, entry.beside)
            return
        first = len(self._out)
        if entry.key is not None:
            self._out.append(_with_comment(head, entry.beside))
        self._block(entry.value, depth + 2)
        if entry.key is None:
            self._out[first] = f"{head} {self._out[first][depth + 2 :]}"

    def _value(self, head: str, value: Value, depth: int, beside: str, end: str = "") -> None:
        """A value behind its key; what does not fit into the line is indented by ``depth``."""
        if isinstance(value, Text):
            self._scalar(head, value, depth, beside, end)
        elif isinstance(value, Brackets) and value.tall:
            opening, closing = "{}" if value.mapping else "[]"
            self._out.append(_joined(head, opening))
            for number, entry in enumerate(value.entries):
                above = entry.above[1:] if not number and entry.above[:1] == [""] else entry.above
                self._remarks(above, depth + 2)
                inner = " " * (depth + 2) + ("" if entry.key is None else f"{entry.key}:")
                self._value(inner, entry.value, depth + 2, entry.beside, ",")
            self._remarks(value.below, depth + 2)
            self._out.append(_with_comment(" " * depth + closing + end, beside))
        else:
            self._out.append(_with_comment(_joined(head, _in_line(value)) + end, beside))

    def _scalar(self, head: str, value: Text, depth: int, beside: str, end: str) -> None:
        lines = [_joined(head, value.lines[0]), *(" " * depth + line if line else "" for line in value.lines[1:])]
        # A comma right behind a colon would be a part of the key.
        lines[-1] += f" {end}" if end and not value.lines[0] else end
        commented = 0 if value.block else -1
        lines[commented] = _with_comment(lines[commented], beside)
        self._out += lines
        if value.kept:
            self._kept = len(self._out)


def _raised(value: Value) -> list[str]:
    """The comments before the first entry of a value whose dash stands in the same line, taken from there."""
    if not isinstance(value, Block):
        return []
    first = value.entries[0]
    taken, first.above = [line for line in first.above if line], []
    return taken + (_raised(first.value) if first.key is None else [])


def _in_line(value: Value) -> str:
    """A value in one line."""
    if isinstance(value, Text):
        return value.lines[0]
    if isinstance(value, Block):
        raise TypeError("brackets hold no block")
    items = [
        _in_line(entry.value) if entry.key is None else f"{entry.key}: {_in_line(entry.value)}"
        for entry in value.entries
    ]
    opening, closing = "{}" if value.mapping else "[]"
    return f"{opening}{', '.join(items)}{closing}"


def _joined(head: str, text: str) -> str:
    return f"{head} {text}" if text and head.strip() else f"{head}{text}"


def _with_comment(line: str, comment: str) -> str:
    return f"{line}  {comment}" if comment else line
