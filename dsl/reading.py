"""One document from its tree: the model of its kind, or every problem it has, each with its place.

So are read the documents of a set of specs, and with :func:`read_kind` and :func:`read_model` whatever else is written
in the same way.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from dsl.document import Document, Marks
from dsl.documents import API_VERSION, KINDS, SpecDocument
from dsl.fields import Refusal
from dsl.problems import Problem, Source, Span, looks_secret, shown, suggest
from dsl.qos import FORMS
from dsl.shapes import keys_at
from dsl.yaml_tree import Entries, Items, Node, Path, Scalar, find, find_key, to_plain

D = TypeVar("D", bound=Document)
M = TypeVar("M", bound=BaseModel)

_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_URL_PASSWORD = re.compile(r"://[^/@\s]*:[^/@\s]+@")
_TRUTH_WORDS = {"yes": "true", "on": "true", "y": "true", "no": "false", "off": "false", "n": "false"}
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
_ELSEWHERE = {
    **dict.fromkeys(KINDS, "put it into a file with specs"),
    "PlacementTest": "put tests into files that end in .test.yaml; `shareflow spec test` runs them",
    "SavedInventory": "name the file behind `shareflow spec simulate --inventory`",
}
_EXAMPLES = {
    "name": "name: rack1",
    "driver": "driver: directory",
    "pools": "pools: [{name: rack1}]",
    "project": 'project: "*"',
    "limits": "limits: {}",
    "snapshots": "snapshots: {allowed: true}",
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


class _About(NamedTuple):
    """What is being read: its model, and what messages call it."""

    model: type[BaseModel]
    noun: str

    def keys(self, path: Path) -> list[str]:
        return keys_at(self.model, path)


def read_document(node: Node, source: Source) -> SpecDocument | list[Problem]:
    """The document of a set that a tree holds, or its problems (never an empty list)."""
    return read_kind(node, source, KINDS)


def read_kind(node: Node, source: Source, kinds: Mapping[str, type[D]]) -> D | list[Problem]:
    """The document of one of some kinds that a tree holds, or its problems (never an empty list)."""
    if not isinstance(node, Entries):
        hint = f"begin it with `apiVersion: {API_VERSION}` and `kind: ...`"
        return [source.problem("S109", f"a document is a mapping, not {_kind_of(node)}", node.span, hint=hint)]
    problems = list(_header_problems(node, source, tuple(kinds)))
    if problems:
        return problems
    kind = str(to_plain(find(node, ("kind",))))
    if kind == "Backend":
        problems += secret_problems(node, source)
    document = read_model(node, source, kinds[kind], kind, header=("apiVersion", "kind"))
    if isinstance(document, list):
        return problems + document
    return problems or document.placed(Marks(source, node))


def read_model(
    node: Entries, source: Source, model: type[M], noun: str, *, header: tuple[str, ...] = ()
) -> M | list[Problem]:
    """The model that a mapping holds, or its problems (never an empty list).

    Args:
        node: the mapping.
        source: where it stands.
        model: what it is read as.
        noun: what messages call it, as in "a ShareType".
        header: keys that are no part of the model.
    """
    body = {key.text: _value(value) for key, value in node.entries if key.text not in header}
    try:
        return model.model_validate(body)
    except ValidationError as error:
        about = _About(model, noun)
        return [_translate(detail, node, about, source) for detail in _own_mistakes(error, about)]


def _own_mistakes(error: ValidationError, about: _About) -> list[ErrorDetails]:
    """The author's mistakes, without what only follows from another one.

    A list whose item was refused is also too short, and a mistyped key is also a missing one.
    """
    details = error.errors(include_url=False, include_input=False)
    paths = [_path(detail) for detail in details]
    above = {path[:length] for path in paths for length in range(len(path))}
    unknown = [path for detail, path in zip(details, paths, strict=True) if detail["type"] == "extra_forbidden"]
    meant = {(*path[:-1], suggest(str(path[-1]), about.keys(path[:-1]))) for path in unknown}
    return [
        detail
        for detail, path in zip(details, paths, strict=True)
        if path not in above and not (detail["type"] == "missing" and path in meant)
    ]


def truth_word_warnings(node: Entries, source: Source) -> Iterator[Problem]:
    """A warning for each plain ``yes``, ``no``, ``on`` or ``off`` where an attribute has its value."""
    for path in _attribute_paths(node):
        below = find(node, path)
        for _, value in below.entries if isinstance(below, Entries) else ():
            for scalar in value.items if isinstance(value, Items) else (value,):
                if isinstance(scalar, Scalar) and scalar.plain and scalar.text.lower() in _TRUTH_WORDS:
                    word = _TRUTH_WORDS[scalar.text.lower()]
                    message = f"`{scalar.text}` is text, not {word}"
                    hint = f'write {word}, or "{scalar.text}" to keep it as text'
                    yield source.problem("S205", message, scalar.span, hint=hint, severity="warning")


def _attribute_paths(node: Entries) -> Iterator[Path]:
    yield ("require",)
    pools = node.get("pools")
    for index in range(len(pools.items) if isinstance(pools, Items) else 0):
        yield ("pools", index, "attributes")


def _header_problems(node: Entries, source: Source, kinds: tuple[str, ...]) -> Iterator[Problem]:
    """What is wrong with ``apiVersion`` and ``kind``; without them nothing else can be judged."""
    start = node.entries[0][0].span if node.entries else node.span
    for key, known, code in (("kind", kinds, "S101"), ("apiVersion", (API_VERSION,), "S102")):
        value = node.get(key)
        if value is None:
            wrong = next((k for k, _ in node.entries if suggest(k.text, [key]) is not None), None)
            span = wrong.span if wrong is not None else start
            hint = f"write `{key}: {known[0]}`" if len(known) == 1 else f"add `{key}:` with one of {', '.join(known)}"
            yield source.problem("S103", f"`{key}` is missing", span, hint=hint)
        elif not isinstance(value, Scalar) or value.value not in known:
            text = shown(value.text) if isinstance(value, Scalar) else _kind_of(value)
            what = "kind" if key == "kind" else "API version"
            elsewhere = _ELSEWHERE.get(text) if key == "kind" else None
            message = f"unknown {what} `{text}`" if elsewhere is None else f"a {text} cannot stand in this file"
            yield source.problem(code, message, value.span, hint=elsewhere or _one_of(key, text, known))


def _one_of(key: str, text: str, known: tuple[str, ...]) -> str:
    near = suggest(text, known)
    if len(known) == 1:
        return f"write `{key}: {known[0]}`"
    return f"did you mean `{near}`?" if near else f"use one of {', '.join(known)}"


def _value(node: Node) -> object:
    """The tree as values for a model: fractions stay exact, except inside options, which are a driver's own."""
    if isinstance(node, Entries):
        return {k.text: to_plain(v) if k.text == "options" else _value(v) for k, v in node.entries}
    if isinstance(node, Items):
        return [_value(item) for item in node.items]
    return node.value


def secret_problems(node: Node, source: Source) -> Iterator[Problem]:
    """Secrets in the options of a backend and of its pools that are written out instead of referred to."""
    pools = node.get("pools") if isinstance(node, Entries) else None
    for owner in (node, *(pools.items if isinstance(pools, Items) else ())):
        options = owner.get("options") if isinstance(owner, Entries) else None
        if options is not None:
            yield from _secrets_in(options, source)


def _secrets_in(node: Node, source: Source) -> Iterator[Problem]:
    if isinstance(node, Entries):
        for key, value in node.entries:
            if looks_secret(key.text):
                yield from _check_reference(key.text, value, source)
            else:
                yield from _secrets_in(value, source)
    elif isinstance(node, Items):
        for item in node.items:
            yield from _secrets_in(item, source)
    elif isinstance(node.value, str) and _URL_PASSWORD.search(node.value):
        hint = "write the password as an option of its own: `password: {env: NAME}`"
        yield source.problem("S107", "the address holds a password", node.span, hint=hint, mask=True)


def _check_reference(key: str, value: Node, source: Source) -> Iterator[Problem]:
    name = shown(key)
    words = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name)
    variable = re.sub(r"[^A-Z0-9]+", "_", words.upper()).strip("_") or "NAME"
    hint = f"write `{name}: {{env: {variable}}}` or `{name}: {{file: /path/to/it}}`"
    message = f"`{name}` must be a reference, not the secret itself"
    if not isinstance(value, Entries):
        yield source.problem("S107", message, value.span, label="a value", hint=hint, mask=True)
        return
    keys = [entry.text for entry, _ in value.entries]
    if len(keys) != 1 or keys[0] not in ("env", "file"):
        yield source.problem("S107", f"`{name}` must have one key, `env` or `file`", value.span, hint=hint, mask=True)
        return
    target = value.entries[0][1]
    text = target.value if isinstance(target, Scalar) else None
    if not isinstance(text, str) or not text or (keys[0] == "env" and not _ENV_NAME.fullmatch(text)):
        what = "the name of a variable" if keys[0] == "env" else "the path of a file"
        yield source.problem("S107", f"`{keys[0]}` must be {what}", target.span, hint=hint, mask=True)


def _path(detail: ErrorDetails) -> Path:
    """Where a model's error is; what pydantic adds for a key or a form of a value is left out."""
    location = detail["loc"]
    steps = location[:-1] if location and location[-1] == "[key]" else location
    return tuple(step for step in steps if not (isinstance(step, str) and step.startswith("<")))


def _translate(detail: ErrorDetails, node: Entries, about: _About, source: Source) -> Problem:
    """A model's error in our words, at its place."""
    error, path = detail["type"], _path(detail)
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
    text = shown(node.text) if isinstance(node, Scalar) else _kind_of(node)
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


def _unknown_key(path: Path, node: Entries, about: _About, source: Source) -> Problem:
    key = str(path[-1])
    known = about.keys(path[:-1])
    near = suggest(key, known)
    listed = [name for name in known if not name.endswith(FORMS[1:])]
    hint = f"did you mean `{near}`?" if near else f"use one of {', '.join(listed)}"
    where = f"a {about.noun}" if len(path) == 1 else f"`{_dotted(path[:-1])}` of a {about.noun}"
    message = f"unknown key `{shown(key)}`"
    return source.problem("S104", message, find_key(node, path), label=f"no such key in {where}", hint=hint)


def _missing_key(path: Path, node: Entries, about: _About, source: Source) -> Problem:
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
    key = str(path[-1])
    if path[0] == "pools" and len(path) == 2:
        key = "name" if isinstance(path[1], int) else "free"
    example = _EXAMPLES.get(key)
    example = example if wanted in ("a mapping", "a list") else None
    hint = f"write `{example}`" if example else f"write {wanted}"
    if isinstance(node, Scalar):
        text = shown(node.text)
        if wanted == "true or false" and node.text.lower() in _TRUTH_WORDS:
            hint = f"write {_TRUTH_WORDS[node.text.lower()]}"
        elif wanted == "true or false" and node.text in ("true", "false"):
            hint = f"write {text} without quotes"
        elif wanted == "text" and node.value is not None:
            hint = f'quote it: "{text}"'
        elif wanted == "a whole number" and not node.plain and node.text.isdecimal():
            hint = f"write {text} without quotes"
        elif wanted == "a list" and node.value is not None:
            hint = f"write [{text}]"
    message = f"`{name}` must be {wanted}, not {_kind_of(node)}"
    return source.problem("S105", message, node.span, label=_kind_of(node), hint=hint)


def _kind_of(node: Node) -> str:
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
