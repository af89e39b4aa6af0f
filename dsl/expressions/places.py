"""Where a character of a YAML value stands in the file, for every style in which the value can be written.

The rules of folding, indentation, chomping and escapes are followed once more, over the raw text, with a place kept for
each character. What comes out must be the value that the YAML parser gave; when it is not, every place is the start of
the value, which is never wrong and only less exact.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from dsl.problems import Source, Span
from dsl.yaml_tree import Scalar

_LINE_BREAK = re.compile(r"\r\n|\r|\n")
_BLANKS = " \t"
_ESCAPES = {
    "0": "\0", "a": "\a", "b": "\b", "t": "\t", "\t": "\t", "n": "\n", "v": "\v", "f": "\f", "r": "\r", "e": "\x1b",
    " ": " ", '"': '"', "/": "/", "\\": "\\", "N": "\x85", "_": "\xa0", "L": "\u2028", "P": "\u2029",
}  # fmt: skip
_HEX = {"x": 2, "u": 4, "U": 8}


class Mark(NamedTuple):
    """A character and its place: line and column count from 1; ``width`` is its number of characters in the file."""

    character: str
    line: int
    column: int
    width: int = 1


class Places:
    """The places of the characters of one value.

    Attributes:
        exact: False when the value could not be followed, so that every place is its start.
    """

    def __init__(self, source: Source, scalar: Scalar) -> None:
        self._span = scalar.span
        lines = _LINE_BREAK.split(source.text)
        marks = _marks(lines, scalar)
        self.exact = bool(marks) and "".join(mark.character for mark in marks) == scalar.text
        self._marks = marks

    def span(self, start: int, end: int) -> Span:
        """The place of a part of the value, from offset ``start`` to behind the character before ``end``."""
        if not self.exact:
            return self._span
        if start >= len(self._marks):
            last = self._marks[-1]
            column = last.column + last.width
            return Span(last.line, column, last.line, column + 1)
        first, last = self._marks[start], self._marks[min(max(end, start + 1), len(self._marks)) - 1]
        return Span(first.line, first.column, last.line, last.column + last.width)

    def line(self, offset: int) -> int:
        """The line of the character at an offset."""
        return self.span(offset, offset + 1).line


def _marks(lines: Sequence[str], scalar: Scalar) -> list[Mark]:
    span = scalar.span
    first = lines[span.line - 1][span.column - 1 : span.column] if span.line <= len(lines) else ""
    if scalar.plain or first not in ("'", '"', "|", ">"):
        return _Flow(lines, span, _read_plain).marks()
    if first in "|>":
        return _block(lines, scalar, folded=first == ">")
    inner = span._replace(column=span.column + 1, end_column=span.end_column - 1)
    return _Flow(lines, inner, _read_single if first == "'" else _read_double).marks()


class _Step(NamedTuple):
    """What one step of reading gives: its text, and the characters it takes; none at all for an escaped line break."""

    text: str
    width: int


def _read_plain(line: str, at: int) -> _Step:
    return _Step(line[at], 1)


def _read_single(line: str, at: int) -> _Step:
    return _Step("'", 2) if line[at : at + 2] == "''" else _Step(line[at], 1)


def _read_double(line: str, at: int) -> _Step:
    if line[at] != "\\":
        return _Step(line[at], 1)
    escape = line[at + 1 : at + 2]
    if escape in _HEX:
        digits = line[at + 2 : at + 2 + _HEX[escape]]
        code = int(digits, 16) if re.fullmatch(r"[0-9a-fA-F]+", digits, re.ASCII) else 0xFFFD
        return _Step(chr(code) if code <= 0x10FFFF else "", 2 + len(digits))
    return _Step(_ESCAPES.get(escape, ""), 1 + len(escape))


class _Flow:
    """Plain and quoted text: a line break is a space, several are one fewer; blanks around them do not count."""

    def __init__(self, lines: Sequence[str], span: Span, read: Callable[[str, int], _Step]) -> None:
        self._lines, self._end, self._read = lines, (span.end_line - 1, span.end_column - 1), read
        self._line, self._at = span.line - 1, span.column - 1
        self._out: list[Mark] = []

    def marks(self) -> list[Mark]:
        """The characters with their places."""
        while not self._done():
            escaped = self._words()
            self._gap(escaped=escaped)
        return self._out

    def _done(self) -> bool:
        return (self._line, self._at) >= self._end or self._line >= len(self._lines)

    def _text(self) -> str:
        """The current line, without what is behind the end of the value."""
        line = self._lines[self._line]
        return line[: self._end[1]] if self._line == self._end[0] else line

    def _words(self) -> bool:
        """Reads up to a blank or a line break; says whether it was a line break with a backslash before it."""
        text = self._text()
        while self._at < len(text) and text[self._at] not in _BLANKS:
            step = self._read(text, self._at)
            if step == ("", 1):
                self._at += 1
                return True
            if step.text:
                self._out.append(Mark(step.text, self._line + 1, self._at + 1, step.width))
            self._at += step.width
        return False

    def _gap(self, *, escaped: bool) -> None:
        """Reads blanks and line breaks up to the next word."""
        blanks: list[Mark] = []
        breaks: list[Mark] = []
        while not self._done():
            text = self._text()
            if self._at >= len(text):
                breaks.append(Mark("\n", self._line + 1, self._at + 1))
                self._line, self._at = self._line + 1, 0
            elif text[self._at] in _BLANKS:
                if not breaks:
                    blanks.append(Mark(text[self._at], self._line + 1, self._at + 1))
                self._at += 1
            else:
                break
        if not breaks:
            self._out += blanks
        elif escaped or len(breaks) > 1:
            self._out += breaks[1:]
        else:
            self._out.append(breaks[0]._replace(character=" "))


def _block(lines: Sequence[str], scalar: Scalar, *, folded: bool) -> list[Mark]:
    """A block after ``|`` or ``>``."""
    span = scalar.span
    header = re.match(r"[|>]([-+0-9]*)", lines[span.line - 1][span.column - 1 :])
    indicators = header.group(1) if header is not None else ""
    rows = _rows(lines, span, _indent(lines, scalar))
    out: list[Mark] = []
    pending: list[Mark] = []
    before_blank = False
    for number, content, column in rows:
        # The last line of a file may lack its break.
        end = [Mark("\n", number, column + len(content))] if number < len(lines) else []
        if not content:
            pending += end
            continue
        blank = content[0] in _BLANKS
        if folded and pending and out and not before_blank and not blank:
            pending = pending[1:] or [pending[0]._replace(character=" ")]
        out += pending
        out += [Mark(character, number, column + at) for at, character in enumerate(content)]
        before_blank, pending = blank, end
    keep = len(pending) if "+" in indicators else 0 if "-" in indicators or not out else 1
    return out + pending[:keep]


def _indent(lines: Sequence[str], scalar: Scalar) -> int:
    """Spaces before each line of a block: what its first line has more in the file than in the value."""
    raw = next((line for line in lines[scalar.span.line :] if line.strip(_BLANKS)), "")
    value = next((line for line in scalar.text.split("\n") if line.strip(_BLANKS)), "")
    return max(len(raw) - len(raw.lstrip(" ")) - (len(value) - len(value.lstrip(" "))), 0)


def _rows(lines: Sequence[str], span: Span, indent: int) -> list[tuple[int, str, int]]:
    """The lines of a block: number, content without the indentation, column where that begins."""
    rows = []
    for index in range(span.line, min(span.end_line, len(lines))):
        line = lines[index]
        if line[:indent].strip(" ") or (index == len(lines) - 1 and not line):
            break
        rows.append((index + 1, line[indent:], indent + 1))
    return rows
