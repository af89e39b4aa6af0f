"""Secrets in options: each is a reference to where it is kept, never the secret itself."""

from __future__ import annotations

import re
from collections.abc import Iterator

from dsl.problems import Problem, Source, looks_secret, shown
from dsl.yaml_tree import Entries, Items, Node, Scalar

_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_URL_PASSWORD = re.compile(r"://[^/@\s]*:[^/@\s]+@")


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
    if isinstance(value, Scalar) and value.refused:
        return
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
