"""Share types of Manila as files hold them: what clients print, what the API answers, or a plain mapping."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from dsl.openstack.remarks import NO_NAME, NOT_A_LIST, UNREADABLE
from dsl.problems import Problem, Source, Span, printable, shown
from dsl.yaml_tree import Entries, Items, Node, Scalar, parse

_LISTS = ("share_types", "volume_types")
_SPECS = ("required_extra_specs", "optional_extra_specs", "extra_specs")
_PUBLIC = ("share_type_access:is_public", "os-share-type-access:is_public")
_PAIR = re.compile(r"\\(?:u(d[89ab][0-9a-f]{2})\\u(d[c-f][0-9a-f]{2})|.)", re.IGNORECASE | re.DOTALL)
_OPERATOR_VALUE = re.compile(r""":[ \t]+([>|%@`!&*][^#"']*)$""")
MAX_SPECS = 256
"""Extra specs that are read of one share type."""

T = TypeVar("T")
_MAX_SEARCHED = 1000
_SHAPE = "give the output of `openstack share type list --long -f json`, or a mapping: type -> extra specs"


@dataclass(frozen=True, slots=True)
class SourceSpec:
    """One extra spec and where it stands."""

    key: str
    value: str
    span: Span


@dataclass(frozen=True, slots=True)
class SourceType:
    """One share type as it was read.

    Attributes:
        name, description: as they are in Manila.
        span: where the name stands.
        specs: its extra specs, in order, each key once.
        private: only chosen projects may use it.
        default: requests that name no type get it.
    """

    name: str
    span: Span
    description: str = ""
    specs: tuple[SourceSpec, ...] = ()
    private: bool = False
    default: bool = False


@dataclass(slots=True)
class _Reading:
    source: Source
    problems: list[Problem] = field(default_factory=list)

    def add(self, code: str, message: str, span: Span, hint: str) -> None:
        self.problems.append(self.source.problem(code, message, span, hint=hint))


def read_types(text: str, name: str) -> tuple[list[SourceType], list[Problem], Source]:
    """The share types that a text holds, what cannot be read of it, and the text as problems mention it.

    Raises nothing: a text that is no YAML or JSON, or too large, becomes a problem.
    """
    source = Source(printable(name), _paired(text))
    parsed = parse(source)
    reading = _Reading(source, [_with_advice(problem, source) for problem in parsed.problems])
    types: list[SourceType] = []
    for node in parsed.documents:
        types += _types(node, reading)
    if not types and not reading.problems:
        reading.add(NOT_A_LIST, "there is no share type in the text", Span(1, 1, 1, 2), _SHAPE)
    return types, reading.problems, source


def _paired(text: str) -> str:
    """JSON writes characters beyond 16 bits as two escapes, which YAML does not know."""
    if not text.lstrip().startswith(("[", "{")):
        return text

    def join(match: re.Match[str]) -> str:
        if match[1] is None:
            return match[0]
        return chr(0x10000 + ((int(match[1], 16) - 0xD800) << 10) + int(match[2], 16) - 0xDC00)

    return _PAIR.sub(join, text)


def _with_advice(problem: Problem, source: Source) -> Problem:
    """YAML gives the signs of several operators a meaning of their own."""
    line = source.line(problem.line)
    found = _OPERATOR_VALUE.search(line) if len(line) <= _MAX_SEARCHED else None
    if found is None or problem.code not in ("S006", "S007", "S009"):
        return problem
    return replace(problem, hint=f'quote the value: "{shown(found[1].strip())}"')


def _types(node: Node, reading: _Reading) -> Iterator[SourceType]:
    if isinstance(node, Entries):
        listed = next((node.get(key) for key in _LISTS if isinstance(node.get(key), Items)), None)
        if isinstance(node.get("name") or node.get("Name"), Scalar):
            listed = Items((node,), node.span)
        if not isinstance(listed, Items):
            yield from _plain(node, reading)
            return
        node = listed
    if isinstance(node, Scalar):
        reading.add(NOT_A_LIST, f"`{shown(node.text)}` is no list of share types", node.span, _SHAPE)
        return
    for item in node.items:
        found = _record(item, reading)
        if found is not None:
            yield found


def _plain(node: Entries, reading: _Reading) -> Iterator[SourceType]:
    """A mapping from names of types to their extra specs."""
    for key, value in node.entries:
        if not key.text.strip():
            reading.add(NO_NAME, "the name of a share type is empty", key.span, "give it a name")
            continue
        yield SourceType(key.text, key.span, specs=_specs(value, reading))


def _record(node: Node, reading: _Reading) -> SourceType | None:
    """One share type as a client prints it, with headings of any spelling."""
    if not isinstance(node, Entries):
        reading.add(NOT_A_LIST, "an item of the list is no share type", node.span, _SHAPE)
        return None
    fields = {key.text.strip().lower().replace(" ", "_"): value for key, value in node.entries}
    name = fields.get("name")
    if not isinstance(name, Scalar) or name.value is None or not name.text.strip():
        span = name.span if name is not None else node.span
        reading.add(NO_NAME, "a share type has no name", span, "give it a `name`")
        return None
    found = [fields[key] for key in _SPECS if key in fields]
    if not found:
        message = f"`{shown(name.text)}` comes without extra specs"
        reading.add(UNREADABLE, message, name.span, "list the types with `--long`, so that their extra specs are there")
    specs: dict[str, SourceSpec] = {}
    for value in found:
        for spec in _specs(value, reading):
            if specs.setdefault(spec.key, spec).value != spec.value:
                message = f"`{shown(spec.key)}` has two values"
                reading.add(UNREADABLE, message, spec.span, f"remove one; `{shown(specs[spec.key].value)}` is taken")
    private = _word(fields.get("visibility")) == "private" or any(_word(fields.get(key)) == "false" for key in _PUBLIC)
    default = _word(fields.get("is_default")) == "true"
    description = fields.get("description")
    text = description.text if isinstance(description, Scalar) and description.value is not None else ""
    return SourceType(name.text, name.span, text, tuple(specs.values()), private, default)


def _word(node: Node | None) -> str:
    return node.text.strip().lower() if isinstance(node, Scalar) else ""


def _specs(node: Node, reading: _Reading) -> tuple[SourceSpec, ...]:
    """Extra specs as a mapping, or as lines of ``key : value``."""
    if isinstance(node, Items):
        hint = "write a mapping: key -> value"
        reading.add(UNREADABLE, "extra specs are a mapping, not a list", node.span, hint)
        return ()
    found = _entries(node, reading) if isinstance(node, Entries) else _lines(node, reading)
    return tuple(found)


def _bounded(found: Sequence[T], node: Node, reading: _Reading) -> Sequence[T]:
    if len(found) > MAX_SPECS:
        message = f"a share type has more than {MAX_SPECS} extra specs"
        reading.add(UNREADABLE, message, node.span, "remove some; only the first ones are taken")
    return found[:MAX_SPECS]


def _entries(node: Entries, reading: _Reading) -> Iterator[SourceSpec]:
    for key, value in _bounded(node.entries, node, reading):
        name = shown(key.text)
        if not isinstance(value, Scalar):
            hint = f'write `{name}: "..."`; inside a mapping: `capabilities:{name}:...`'
            reading.add(UNREADABLE, f"the value of `{name}` is not text", value.span, hint)
        elif value.value is None:
            reading.add(UNREADABLE, f"`{name}` has no value", value.span, "write its value, or remove it")
        else:
            yield SourceSpec(key.text, value.text, value.span)


def _lines(node: Scalar, reading: _Reading) -> Iterator[SourceSpec]:
    seen: set[str] = set()
    lines = [line for line in node.text.split("\n") if line.strip()] if node.value is not None else []
    for line in _bounded(lines, node, reading):
        key, colon, value = line.partition(" : ")
        if not colon or not key.strip():
            reading.add(UNREADABLE, f"`{shown(line)}` is no extra spec", node.span, "write `key : value`")
        elif key.strip() in seen:
            message = f"`{shown(key.strip())}` is there twice"
            reading.add(UNREADABLE, message, node.span, "remove one of them; the first is taken")
        else:
            seen.add(key.strip())
            yield SourceSpec(key.strip(), value, node.span)
