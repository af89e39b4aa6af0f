"""What a model says against a document, in our words and at its place."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from dsl.fields import Refusal
from dsl.problems import Problem, Source, Span, shown, suggest
from dsl.qos import FORMS
from dsl.shapes import keys_at
from dsl.yaml_tree import Entries, Items, Node, Path, Scalar, find, find_key

TRUTH_WORDS = {"yes": "true", "on": "true", "y": "true", "no": "false", "off": "false", "n": "false"}
_WANTED = {
    "bool_type": "true or false",
    "int_type": "a whole number",
    "string_type": "text",
    "tuple_type": "a list",
    "mapping_type": "a mapping",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}
_EXAMPLES = {
    "name": "name: rack1",
    "driver": "driver: directory",
    "pools": "pools: [{name: rack1}]",
    "project": 'project: "*"',
    "limits": "limits: {}",
    "snapshots": "snapshots: {allowed: true}",
    "replicas": "replicas: {count: 1, apart: zone}",
    "require": "require: {media: ssd}",
    "rule": 'rule: pool.media == "ssd"',
    "weight": "weight: 50",
    "prefer": 'prefer: [{when: pool.media == "ssd", weight: 50}]',
    "spread": "spread: {by: zone, max_skew: 1}",
    "schedule": "schedule: [{every: 1 h, keep: 24}]",
    "every": "every: 1 h",
    "keep": "keep: 24",
    "attributes": "attributes: {media: ssd}",
    "options": "options: {path: pools/rack1}",
    "qos": "qos: {iops: 10000}",
    "PlacementTest.name": "name: fast needs flash",
    "request": "request: {type: standard, size: 10 GiB}",
    "size": "size: 10 GiB",
    "expect": "expect: {pool: local/rack1}",
    "backend": "backend: local",
    "pool": "pool: local/rack1",
    "total": "total: 100 TiB",
    "free": "free: 60 TiB",
    "provisioned": "provisioned: 40 TiB",
}


_ITEMS = {
    "pools": "{name: rack1}",
    "require": 'pool.media == "ssd"',
    "prefer": '{when: pool.media == "ssd", weight: 50}',
    "schedule": "{every: 1 h, keep: 24}",
    "shares": "{name: home, type: standard, pool: local/rack1}",
}


class About(NamedTuple):
    """What is being read: its model, and what messages call it."""

    model: type[BaseModel]
    noun: str

    def keys(self, path: Path) -> list[str]:
        """The keys that a mapping at a path may have."""
        return keys_at(self.model, path)


def path_of(detail: ErrorDetails) -> Path:
    """Where a model's error is; what pydantic adds for a key or a form of a value is left out."""
    location = detail["loc"]
    steps = location[:-1] if location and location[-1] == "[key]" else location
    return tuple(step for step in steps if not (isinstance(step, str) and step.startswith("<")))


def translate(detail: ErrorDetails, node: Entries, about: About, source: Source) -> Problem:
    """A model's error in our words, at its place."""
    error, path = detail["type"], path_of(detail)
    name = shown(_dotted(_written(node, path)))
    context: Mapping[str, object] = detail.get("ctx", {})
    refusal = context.get("error")
    if error == "extra_forbidden":
        return _unknown_key(path, node, about, source)
    if error == "missing":
        return _missing_key(path, node, about, source)
    span = find_key(node, path) if detail["loc"][-1:] == ("[key]",) else find(node, path).span
    if isinstance(refusal, Refusal):
        message = str(refusal) if len(str(refusal)) <= 72 else str(refusal)[:69] + "..."
        label = refusal.label or f"in `{name}`"
        return source.problem(refusal.code, message, span, label=label, hint=refusal.hint or f"correct `{name}`")
    if error in _WANTED:
        return _wrong_type(_WANTED[error], path, find(node, path), source)
    if error == "literal_error":
        return _not_one_of(name, str(context.get("expected", "")), find(node, path), source)
    fact, hint = _bounds(error, context)
    return source.problem("S106", f"`{name}` {fact}", span, label=f"in this {about.noun}", hint=hint)


def _not_one_of(name: str, expected: str, node: Node, source: Source) -> Problem:
    """A word that is none of a few."""
    words = re.findall(r"'([^']*)'", expected)
    text = shown(node.text) if isinstance(node, Scalar) else kind_of(node)
    near = suggest(text, words)
    hint = f"did you mean `{near}`?" if near else f"use one of {', '.join(words)}"
    return source.problem("S106", f"`{name}` cannot be `{text}`", node.span, label="none of the words", hint=hint)


def _written(node: Node, path: Path) -> Path:
    """The path without the index of a list that the author wrote as a single value."""
    alone = path and isinstance(path[-1], int) and not isinstance(find(node, path[:-1]), Items)
    return path[:-1] if alone else path


def _dotted(path: Path) -> str:
    """``pools[0].name``."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).lstrip(".")


def _bounds(error: str, context: Mapping[str, object]) -> tuple[str, str]:
    """Fact and next step of an error of range or length."""
    low, high = context.get("ge", context.get("min_length")), context.get("le", context.get("max_length"))
    word = "mapping" if context.get("field_type") == "Dictionary" else "list"
    words = {
        "greater_than_equal": (f"must be at least {low}", f"write {low} or more"),
        "less_than_equal": (f"must be at most {high}", f"write {high} or less"),
        "too_short": (f"is an empty {word}", "write at least one value"),
        "too_long": (f"has more than {high} entries", f"write {high} at most"),
        "string_too_long": (f"has more than {high} characters", "shorten the text"),
    }
    return words.get(error, ("is not allowed", f"correct it: {error.replace('_', ' ')}"))


def _unknown_key(path: Path, node: Entries, about: About, source: Source) -> Problem:
    key = str(path[-1])
    known = about.keys(path[:-1])
    near = suggest(key, known)
    listed = [name for name in known if not name.endswith(FORMS[1:])]
    hint = f"did you mean `{near}`?" if near else f"use one of {', '.join(listed)}"
    if near is None and path[0] == "pools" and len(path) == 3 and "attributes" in known:
        hint = f"write an attribute below `attributes:`, or {hint}"
    where = f"a {about.noun}" if len(path) == 1 else f"`{_dotted(path[:-1])}` of a {about.noun}"
    message = f"unknown key `{shown(key)}`"
    return source.problem("S104", message, find_key(node, path), label=f"no such key in {where}", hint=hint)


def _missing_key(path: Path, node: Entries, about: About, source: Source) -> Problem:
    key = str(path[-1])
    above = find(node, path[:-1])
    kind = node.get("kind") if len(path) == 1 else None
    span = kind.span if kind is not None else _first_key(above)
    where = f"this {about.noun}" if len(path) == 1 else f"`{_dotted(path[:-1])}`"
    example = _EXAMPLES.get(f"{about.noun}.{key}") or _EXAMPLES.get(key, f"{key}: ...")
    hint = f"add `{example}`"
    return source.problem("S103", f"`{key}` is missing", span, label=f"{where} has no `{key}`", hint=hint)


def _first_key(node: Node) -> Span:
    return node.entries[0][0].span if isinstance(node, Entries) and node.entries else node.span


def _wrong_type(wanted: str, path: Path, node: Node, source: Source) -> Problem:
    name = shown(_dotted(path))
    item = isinstance(path[-1], int)
    key = "free" if path[0] == "pools" and len(path) == 2 else str(path[-1])
    example = _ITEMS.get(str(path[-2])) if item and len(path) > 1 else _EXAMPLES.get(key)
    example = example if wanted in ("a mapping", "a list") else None
    hint = f"write `{example}`" if example else f"write {wanted}"
    if isinstance(node, Scalar):
        text = shown(node.text)
        if wanted == "true or false" and node.text.lower() in TRUTH_WORDS:
            hint = f"write {TRUTH_WORDS[node.text.lower()]}"
        elif wanted == "true or false" and node.text in ("true", "false"):
            hint = f"write {text} without quotes"
        elif wanted == "text" and node.value is not None:
            hint = f'quote it: "{text}"'
        elif wanted == "a whole number" and not node.plain and node.text.isdecimal():
            hint = f"write {text} without quotes"
        elif wanted == "a list" and node.value is not None:
            hint = f"write [{text}]"
    message = f"`{name}` must be {wanted}, not {kind_of(node)}"
    return source.problem("S105", message, node.span, label=kind_of(node), hint=hint)


def kind_of(node: Node) -> str:
    """What a value is, in words."""
    if isinstance(node, Entries):
        return "a mapping"
    if isinstance(node, Items):
        return "a list"
    value = node.value
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return "true or false"
    return "text" if isinstance(value, str) else "a whole number" if isinstance(value, int) else "a fraction"
