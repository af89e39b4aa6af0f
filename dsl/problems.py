"""What is wrong with a spec: code, place, reason and one help line, shown as a compiler shows it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from rapidfuzz.distance import OSA

from dsl.catalogue import CATALOGUE

MAX_PROBLEMS = 20
_EXCERPT = 100
_MAX_SEARCHED = 4096
_LINE_BREAK = re.compile(r"\r\n|\r|\n")
_DOCUMENT = re.compile(r"---(?=\s|$)")
_SECRET_WORD = re.compile("password|passwd|passphrase|token|secret|credentials?|apikey|key")
_SECRET_PART = re.compile("password|passwd|passphrase|secret|apikey")
_SECRET_HINT = re.compile("pass|token|secret|credential|key", re.IGNORECASE)
_KEY = re.compile(r"""(?<![\w.-])([\w.-]++)["']?\s*+:\s*+(?![{|>]|$)""")


class Span(NamedTuple):
    """A place in a file: lines and columns count from 1, in characters; the end is behind the last character."""

    line: int
    column: int
    end_line: int
    end_column: int


START = Span(1, 1, 1, 2)


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem.

    Attributes:
        code: stable code; its cause and fix are in :data:`dsl.catalogue.CATALOGUE`.
        message: one line that says what is wrong, with the value.
        file: the file as it was named by the caller, or the path that could not be read.
        line, column: place, counted from 1; 0 when the problem has no place in a file.
        width: characters underlined.
        label: a few words at the underline.
        hint: the next step, with the corrected text where one can be guessed; may be empty.
        note: a second place or fact; may be empty.
        source: the line of the file, or the part of a long line around the place; secrets are masked.
        shift: characters of the line that ``source`` leaves out at its beginning.
        severity: an ``error`` refuses the set, a ``warning`` does not.
    """

    code: str
    message: str
    file: str = ""
    line: int = 0
    column: int = 0
    width: int = 1
    label: str = ""
    hint: str = ""
    note: str = ""
    source: str = ""
    shift: int = 0
    severity: Literal["error", "warning"] = "error"

    @property
    def place(self) -> str:
        """``file:line:column``, or the file alone."""
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file

    @property
    def sort_key(self) -> tuple[str, int, int, str]:
        """Order of reading: file, line, column, code."""
        return (self.file, self.line, self.column, self.code)

    def to_json(self) -> dict[str, str | int]:
        """The machine form: every field under its name."""
        return {
            "code": self.code,
            "severity": self.severity,
            "message": self.message,
            "file": self.file,
            "line": self.line,
            "column": self.column,
            "width": self.width,
            "label": self.label,
            "hint": self.hint,
            "note": self.note,
        }

    def render(self) -> str:
        """Several lines: code and message, place, the line with a caret, help, note."""
        lines = [f"{self.severity}[{self.code}]: {self.message}"]
        gutter = " " * len(str(self.line))
        if self.file:
            lines.append(f" {gutter}--> {self.place}")
        if self.source and self.line:
            start = self.column - 1 - self.shift
            before, marked = self.source[:start], self.source[start : start + self.width]
            caret = " " * _cells(before) + "^" * max(_cells(marked), 1)
            lines += [f" {gutter} |", f" {self.line} | {self.source}", f" {gutter} | {caret} {self.label}".rstrip()]
        if self.hint:
            lines.append(f"help: {self.hint}")
        if self.note:
            lines.append(f"note: {self.note}")
        return "\n".join(lines)


class SpecProblems(Exception):
    """A set of specs is refused.

    Attributes:
        problems: at most :data:`MAX_PROBLEMS`, errors and warnings, in order of reading; errors go first when some
            have to be left out.
        omitted: how many more there are.
    """

    def __init__(self, problems: Iterable[Problem], omitted: int = 0) -> None:
        every = sorted(problems, key=lambda p: (p.severity != "error", p.sort_key))
        self.problems = tuple(sorted(every[:MAX_PROBLEMS], key=lambda p: p.sort_key))
        self.omitted = omitted + max(len(every) - MAX_PROBLEMS, 0)
        super().__init__(self.render())

    def __reduce__(self) -> tuple[type[SpecProblems], tuple[tuple[Problem, ...], int]]:
        return (SpecProblems, (self.problems, self.omitted))

    def render(self) -> str:
        """All problems as text, ready for a terminal or a log."""
        return render_problems(self.problems, omitted=self.omitted)

    def to_json(self) -> list[dict[str, str | int]]:
        """All problems in machine form."""
        return [problem.to_json() for problem in self.problems]


def render_problems(problems: Sequence[Problem], *, omitted: int = 0) -> str:
    """At most :data:`MAX_PROBLEMS` problems as text, one empty line between two, and how many more there are."""
    blocks = [problem.render() for problem in problems[:MAX_PROBLEMS]]
    omitted += max(len(problems) - MAX_PROBLEMS, 0)
    if omitted:
        blocks.append(f"... and {omitted} more")
    return "\n\n".join(blocks)


@dataclass(frozen=True, slots=True)
class Source:
    """A text and the name under which messages mention it."""

    name: str
    text: str
    _lines: list[str] = field(init=False, repr=False, compare=False)
    _shown: dict[int, str] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_lines", _LINE_BREAK.split(self.text))

    def line(self, number: int) -> str:
        """A line as messages show it: printable, and without secrets. Empty when there is no such line."""
        if number not in self._shown:
            line = self._lines[number - 1] if 1 <= number <= len(self._lines) else ""
            self._shown[number] = printable(_mask_secrets(line))
        return self._shown[number]

    def at(self, span: Span) -> str:
        """``name:line:column`` of the start."""
        return f"{self.name}:{span.line}:{span.column}"

    def next_document(self, start: int) -> int | None:
        """The first line from ``start`` on, counted from 0, where a document of YAML begins with its sign."""
        lines = self._lines
        return next((number for number in range(start, len(lines)) if _DOCUMENT.match(lines[number])), None)

    def rest(self, start: int, end: int | None = None) -> str:
        """The text of the lines from ``start`` on, counted from 0, up to the line ``end``."""
        return self.text if (start, end) == (0, None) else "\n".join(self._lines[start:end])

    def ends_at(self, span: Span) -> bool:
        """Whether nothing but white space and comments follows a place."""
        here = self._lines[span.line - 1] if span.line <= len(self._lines) else ""
        rest = [here[span.column - 1 :], *self._lines[span.line :]]
        return all(not line.strip() or line.lstrip().startswith("#") for line in rest)

    def problem(
        self,
        code: str,
        message: str,
        span: Span,
        *,
        label: str = "",
        hint: str = "",
        note: str = "",
        severity: Literal["error", "warning"] = "error",
        mask: bool = False,
    ) -> Problem:
        """A problem at a place of this text; ``mask`` hides what stands there.

        Raises:
            KeyError: the code is not in the catalogue.
        """
        if code not in CATALOGUE:
            raise KeyError(code)
        line = self.line(span.line)
        end = span.end_column - 1 if span.end_line == span.line else len(line)
        width = max(end - span.column + 1, 1)
        if mask:
            line = line[: span.column - 1] + "*" * (end - span.column + 1) + line[end:]
        excerpt, shift = _excerpt(line, span.column)
        return Problem(
            code=code,
            message=message,
            file=self.name,
            line=span.line,
            column=span.column,
            width=width,
            label=label,
            hint=hint,
            note=note,
            source=excerpt,
            shift=shift,
            severity=severity,
        )


def printable(text: str) -> str:
    """Each character that a terminal would not show as one is replaced, so that columns stay right."""
    if text.isprintable():
        return text  # nearly always, and found out in one call
    return "".join(ch if ch.isprintable() else " " if ch == "\t" else "\N{REPLACEMENT CHARACTER}" for ch in text)


def shown(value: object, limit: int = 40) -> str:
    """A value from a file inside a message: printable and bounded."""
    text = printable(str(value))
    return text if len(text) <= limit else text[: limit - 3] + "..."


def looks_secret(key: str) -> bool:
    """Whether an option of this name holds a secret: one of its words is password, token, secret, key ..."""
    words = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", key).lower()
    parts = re.split(r"[^a-z0-9]+", words)
    return any(_SECRET_WORD.fullmatch(part) for part in parts) or _SECRET_PART.search(words) is not None


def suggest(word: str, candidates: Iterable[str]) -> str | None:
    """The candidate that was probably meant, or None.

    At most two edits away (one for words under five characters); a swap of neighbours is one edit. The nearest wins,
    then the first in alphabetical order.
    """
    if len(word) > 64:
        return None
    allowed = 1 if len(word) < 5 else 2
    folded = word.lower().replace("-", "_")
    best: tuple[int, str] | None = None
    for candidate in sorted(candidates):
        other = candidate.lower().replace("-", "_")
        if abs(len(folded) - len(other)) > allowed:
            continue
        distance = OSA.distance(folded, other, score_cutoff=allowed)
        if distance <= allowed and distance < len(other) and (best is None or distance < best[0]):
            best = (distance, candidate)
    return best[1] if best else None


def _mask_secrets(line: str) -> str:
    """The line with everything behind a key that looks secret replaced by stars; all of it when it is very long."""
    if _SECRET_HINT.search(line) is None:
        return line
    if len(line) > _MAX_SEARCHED:
        return "*" * len(line)
    for match in _KEY.finditer(line):
        if looks_secret(match.group(1)):
            return line[: match.end()] + "*" * (len(line) - match.end())
    return line


def _excerpt(line: str, column: int) -> tuple[str, int]:
    """The part of a long line around a column, and how many characters were cut off before it."""
    if len(line) <= _EXCERPT:
        return line, 0
    start = max(0, min(column - 1 - _EXCERPT // 2, len(line) - _EXCERPT))
    return line[start : start + _EXCERPT], start


def _cells(text: str) -> int:
    """Terminal cells that a text takes."""
    return sum(0 if unicodedata.combining(ch) else 2 if unicodedata.east_asian_width(ch) in "WF" else 1 for ch in text)
