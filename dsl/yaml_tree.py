"""YAML text to a tree in which every key and value knows its place.

PyYAML only splits the text into events (its C parser where there is one). Values are read here, by the core schema of
YAML 1.2: ``true`` and ``false`` are the only truth values, ``NO`` and ``12:30`` are text, ``0o17`` is octal and ``017``
is seventeen. What makes a file mean more than it shows is refused: anchors, aliases, merge keys, tags, directives,
equal keys. Events are refused one by one, so an alias bomb is never built.

Bounds per file: 1 MiB, 10,000 keys and values, 32 levels.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import NamedTuple

import yaml

from dsl.problems import MAX_PROBLEMS, START, Problem, Source, Span, SpecProblems, shown
from dsl.yaml_syntax import syntax_problem

MAX_BYTES = 2**20
MAX_NODES = 10_000
MAX_DEPTH = 32
_MAX_DIGITS = 30


class Bounds(NamedTuple):
    """How large a text may be: bytes, and keys and values."""

    size: int = MAX_BYTES
    nodes: int = MAX_NODES


SPEC_FILE = Bounds()
LARGE_FILE = Bounds(64 * 2**20, 2_000_000)
"""For what a machine has written: 10,000 pools and more."""

ScalarValue = bool | int | Decimal | str | None
Plain = bool | int | float | str | None | list["Plain"] | dict[str, "Plain"]
Path = tuple[str | int, ...]

_FORBIDDEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ud800-\udfff\ufeff\ufffe\uffff]"
)
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", re.ASCII)
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE](?P<exponent>[-+]?[0-9]+))?", re.ASCII)
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_WORDS: dict[str, bool | None] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Scalar:
    """One value.

    Attributes:
        plain: it was written without quotes and not as a block.
        refused: a problem stands at it, so that nobody knows what was meant.
    """

    value: ScalarValue
    text: str
    plain: bool
    span: Span
    refused: bool = False


@dataclass(frozen=True, slots=True)
class Items:
    """A sequence."""

    items: tuple[Node, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Entries:
    """A mapping.

    Attributes:
        by_key: the node of each key and of its value, in order.
        incomplete: a key was refused and is not in it.
    """

    by_key: Mapping[str, tuple[Scalar, Node]]
    span: Span
    incomplete: bool = False

    @property
    def entries(self) -> tuple[tuple[Scalar, Node], ...]:
        """Keys and values, in order."""
        return tuple(self.by_key.values())

    def get(self, key: str) -> Node | None:
        """The value under a key."""
        entry = self.by_key.get(key)
        return entry[1] if entry is not None else None


Node = Scalar | Items | Entries


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a text holds.

    Attributes:
        documents: those that are free of problems.
        problems: of all others.
        damaged: documents that could be read except for what their problems stand at.
        unread: the texts of documents that could not be read to their end.
    """

    documents: tuple[Node, ...]
    problems: tuple[Problem, ...]
    damaged: tuple[Node, ...] = ()
    unread: tuple[str, ...] = ()


def load(text: str, name: str = "<text>") -> tuple[Node, ...]:
    """The documents of a text; empty ones are left out.

    Raises:
        SpecProblems: the text is refused; every problem that could be found is in it.
    """
    parsed = parse(Source(name, text))
    if parsed.problems:
        raise SpecProblems(parsed.problems)
    return parsed.documents


def parse(source: Source, bounds: Bounds = SPEC_FILE) -> Parsed:
    """The documents of a text and its problems.

    After a mistake of syntax the rest of its document is not read; of what is too large nothing is.
    """
    refused = _refuse_text(source, bounds.size)
    if refused is not None:
        return Parsed((), (refused,), unread=(source.text,))
    builder = _Builder(source, bounds.nodes)
    documents = tuple(builder.documents())
    return Parsed(documents, tuple(builder.problems), tuple(builder.damaged), tuple(builder.unread))


def decode(data: bytes, name: str, bounds: Bounds = SPEC_FILE) -> Source | Problem:
    """Bytes of a file as text, or why they are none."""
    if len(data) > bounds.size:
        message = f"the file is larger than {bounds.size:,} bytes"
        return Problem("S003", message, name, hint="split it into several files")
    try:
        return Source(name, data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        good = error.object[: error.start].decode("utf-8", "replace")
        source = Source(name, good + "\N{REPLACEMENT CHARACTER}")
        message = f"byte 0x{error.object[error.start]:02x} is not UTF-8 text"
        return source.problem("S004", message, _place(good), hint="save the file as UTF-8")


def find(node: Node, path: Path) -> Node:
    """The node at a path, or the nearest one above it."""
    for step in path:
        below: Node | None = None
        if isinstance(node, Entries) and isinstance(step, str):
            below = node.get(step)
        elif isinstance(node, Items) and isinstance(step, int) and 0 <= step < len(node.items):
            below = node.items[step]
        if below is None:
            return node
        node = below
    return node


def find_key(node: Node, path: Path) -> Span:
    """The place of the key at the end of a path; of the nearest value above it where there is none."""
    if path:
        above = find(node, path[:-1])
        if isinstance(above, Entries) and path[-1] in above.by_key:
            return above.by_key[str(path[-1])][0].span
    return find(node, path).span


def to_plain(node: Node) -> Plain:
    """The tree as plain Python values; a fraction becomes a float."""
    if isinstance(node, Entries):
        return {key.text: to_plain(value) for key, value in node.entries}
    if isinstance(node, Items):
        return [to_plain(item) for item in node.items]
    return float(node.value) if isinstance(node.value, Decimal) else node.value


def _refuse_text(source: Source, most: int) -> Problem | None:
    text = source.text
    if len(text) > most or len(text.encode("utf-8", "surrogatepass")) > most:
        return Problem("S003", f"the text is larger than {most:,} bytes", source.name, hint="split it")
    found = _FORBIDDEN.search(text)
    if found is None:
        return None
    message = f"the character {_code_point(found.group())} is not allowed"
    return source.problem("S005", message, _place(text[: found.start()]), hint="remove it")


def _code_point(character: str) -> str:
    return f"U+{ord(character):04X}"


def _place(before: str) -> Span:
    """The place right behind a text."""
    lines = re.split(r"\r\n|\r|\n", before)
    line, column = len(lines), len(lines[-1]) + 1
    return Span(line, column, line, column + 1)


class _Stop(Exception):
    """The rest of the document is not read, nor what follows after a document that is too large."""


class _Builder:
    """Builds the documents of one text, and gathers its problems on the way."""

    def __init__(self, source: Source, most_nodes: int) -> None:
        self.source = source
        self._most_nodes = most_nodes
        self.problems: list[Problem] = []
        self.damaged: list[Node] = []
        self.unread: list[str] = []
        self._nodes = 0
        self._brackets: list[Span] = []
        self._read_from(0)

    def _read_from(self, line: int) -> None:
        """Reads on at a line, counted from 0: the first one, or one where a document begins."""
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        self._shift = self._begun = self._reached = line
        self._brackets.clear()
        self._events: Iterator[yaml.Event] = yaml.parse(self.source.rest(line), Loader=loader)

    def documents(self) -> Iterator[Node]:
        """Documents that are free of problems."""
        while True:
            try:
                yield from self._documents()
                return
            except _Stop:
                begun, line = self._begun, self.source.next_document(max(self._begun + 1, self._reached))
                go_on = line is not None and self._nodes <= self._most_nodes and len(self.problems) < MAX_PROBLEMS
                self.unread.append(self.source.rest(begun, line if go_on else None))
                if line is None or not go_on:
                    return
                self._read_from(line)

    def _documents(self) -> Iterator[Node]:
        while not isinstance(event := self._next(), yaml.StreamEndEvent):
            if isinstance(event, yaml.DocumentStartEvent):
                problems = len(self.problems)
                self._begun = self._span(event).line - 1
                self._refuse_directives(event)
                node = self._node(self._next(), depth=1)
                if len(self.problems) > problems:
                    self.damaged.append(node)
                elif not (isinstance(node, Scalar) and node.value is None):
                    yield node

    def _next(self) -> yaml.Event:
        try:
            return next(self._events)
        except yaml.YAMLError as error:
            opened = self._brackets[-1] if self._brackets else None
            found = syntax_problem(self.source, error, opened, self._shift)
            mark = getattr(error, "problem_mark", None)
            self._reached = mark.line + self._shift if mark is not None else self._begun
            self.problems.append(found)
        except (ValueError, OverflowError):
            # The pure parser lets these escape for an escape sequence beyond the last character.
            self.problems.append(syntax_problem(self.source, None, None))
        raise _Stop

    def _add(self, code: str, message: str, span: Span, hint: str, label: str = "", note: str = "") -> None:
        self.problems.append(self.source.problem(code, message, span, hint=hint, label=label, note=note))

    def _refuse_directives(self, event: yaml.DocumentStartEvent) -> None:
        if event.tags or event.version not in (None, (1, 2)):
            hint = "remove the lines that begin with %; values are read by the rules of YAML 1.2"
            self._add("S009", "directives are not used", self._span(event), hint)

    def _node(self, event: yaml.Event, depth: int) -> Node:
        span = self._span(event)
        self._nodes += 1
        if self._nodes > self._most_nodes:
            self._add("S012", f"the file has more than {self._most_nodes:,} keys and values", span, "split the file")
            raise _Stop
        if isinstance(event, yaml.AliasEvent):
            name = shown(event.anchor)
            self._add("S007", f"the alias `*{name}` is not allowed", span, "write the value out here")
            return Scalar(None, "", plain=True, span=span, refused=True)
        problems = len(self.problems)
        self._refuse_marks(event, span)
        if isinstance(event, yaml.ScalarEvent):
            scalar = self._scalar(event, span)
            return scalar if len(self.problems) == problems else replace(scalar, refused=True)
        if depth > MAX_DEPTH:
            self._add("S011", f"more than {MAX_DEPTH} levels of nesting", span, "make the document flatter")
            self._reached = span.line - 1
            raise _Stop
        if getattr(event, "flow_style", False):
            self._brackets.append(span)
        node = self._items(span, depth) if isinstance(event, yaml.SequenceStartEvent) else self._entries(span, depth)
        if getattr(event, "flow_style", False):
            self._brackets.pop()
        return node

    def _refuse_marks(self, event: yaml.Event, span: Span) -> None:
        anchor, tag = getattr(event, "anchor", None), getattr(event, "tag", None)
        if anchor is not None:
            self._add("S007", f"the anchor `&{shown(anchor)}` is not allowed", span, "remove it and repeat the value")
        if tag is not None:
            name = shown(tag.replace("tag:yaml.org,2002:", "!!"))
            self._add("S009", f"the tag `{name}` is not allowed", span, "remove it; quote a value to make it text")

    def _items(self, span: Span, depth: int) -> Items:
        items = []
        while not isinstance(event := self._next(), yaml.SequenceEndEvent):
            items.append(self._node(event, depth + 1))
        return Items(tuple(items), self._until(span, event))

    def _entries(self, span: Span, depth: int) -> Entries:
        entries: dict[str, tuple[Scalar, Node]] = {}
        incomplete = False
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            problems = len(self.problems)
            key = self._node(event, depth + 1)
            usable = len(self.problems) == problems and self._check_key(key, entries)
            value = self._node(self._next(), depth + 1)
            if usable and isinstance(key, Scalar):
                entries[key.text] = (key, value)
            incomplete = incomplete or not usable
        return Entries(entries, self._until(span, event), incomplete)

    def _check_key(self, key: Node, entries: dict[str, tuple[Scalar, Node]]) -> bool:
        if not isinstance(key, Scalar):
            self._add("S013", "a key is a list or a mapping, not text", key.span, "write a word as the key")
            return False
        if key.plain and key.text == "<<":
            self._add("S008", "the merge key `<<` is not allowed", key.span, "write the keys out here")
            return False
        if not isinstance(key.value, str):
            name = shown(key.text)
            self._add("S013", f"the key `{name}` is not text", key.span, f'quote it: "{name}"')
            return False
        if key.text in entries:
            first = self.source.at(entries[key.text][0].span)
            hint = "remove or rename one of them"
            self._add("S010", f"the key `{shown(key.text)}` is there twice", key.span, hint, note=f"first at {first}")
            return False
        return True

    def _scalar(self, event: yaml.ScalarEvent, span: Span) -> Scalar:
        text = event.value
        found = _FORBIDDEN.search(text)
        if found is not None:
            self._add("S005", f"the text holds the character {_code_point(found.group())}", span, "remove its escape")
        if not event.implicit[0]:
            return Scalar(text, text, plain=False, span=span)
        return Scalar(self._value(text, span), text, plain=True, span=span)

    def _value(self, text: str, span: Span) -> ScalarValue:
        if text in _WORDS:
            return _WORDS[text]
        if text[0] not in "+-.0123456789":
            return text
        if _INT.fullmatch(text):
            return int(text, 0 if text[:2] in ("0o", "0x") else 10) if self._bounded(text, "0", span) else 0
        number = _FLOAT.fullmatch(text)
        if number is not None:
            return Decimal(text) if self._bounded(text, number["exponent"] or "0", span) else Decimal(0)
        if _NOT_FINITE.fullmatch(text):
            self._add("S014", f"`{text}` is not a number that can be used", span, "write a finite number")
        return text

    def _bounded(self, text: str, exponent: str, span: Span) -> bool:
        if len(text) <= _MAX_DIGITS and len(exponent) <= 4 and abs(int(exponent)) <= _MAX_DIGITS:
            return True
        hint = "write a smaller number, or quote it to make it text"
        label = f"more than {_MAX_DIGITS} digits"
        self._add("S014", f"the number `{shown(text)}` is too long", span, hint, label)
        return False

    def _span(self, event: yaml.Event) -> Span:
        start, end = event.start_mark, event.end_mark
        if start is None or end is None:
            return START
        line = self._shift + 1
        return Span(start.line + line, start.column + 1, end.line + line, end.column + 1)

    def _until(self, span: Span, event: yaml.Event) -> Span:
        end = self._span(event)
        return Span(span.line, span.column, end.end_line, end.end_column)
