"""The two keys with which every document begins."""

from __future__ import annotations

import re
from typing import NamedTuple

from dsl.documents import API_VERSION, KINDS
from dsl.problems import Problem, Source, shown, suggest
from dsl.refusals import kind_of
from dsl.yaml_tree import Entries, Node, Scalar

_ELSEWHERE = {
    **dict.fromkeys(KINDS, "put it into a file with specs"),
    "PlacementTest": "put tests into files that end in .test.yaml; `shareflow spec test` runs them",
    "SavedInventory": "name the file behind `shareflow spec simulate --inventory`",
}
_OTHER_VERSION = re.compile(r"shareflow/v\d\w*", re.ASCII)


class Header(NamedTuple):
    """What a document begins with.

    Attributes:
        kind: that it has, or that was probably meant; None when nobody can tell.
        kinds: all that it may have.
        keys: those of the header, as they are written.
        readable: False for a document of another version of the language.
        problems: what is wrong with the header.
    """

    kind: str | None
    kinds: frozenset[str]
    keys: frozenset[str]
    readable: bool
    problems: tuple[Problem, ...]


class _Found(NamedTuple):
    """One key of a header: its word as it was meant, and what it is called in the document."""

    word: str | None
    key: str
    problem: Problem | None


def read_header(node: Entries, source: Source, kinds: tuple[str, ...]) -> Header:
    """What a document of one of some kinds begins with."""
    kind = _find("kind", "S101", node, source, kinds)
    meant = kind.word if kind.word in kinds else None
    version = _find("apiVersion", "S102", node, source, (API_VERSION,))
    foreign = meant is None and kind.word in _ELSEWHERE
    return Header(
        kind=meant,
        kinds=frozenset([meant] if meant is not None else () if foreign else kinds),
        keys=frozenset([kind.key, version.key]),
        readable=version.word == API_VERSION or not _OTHER_VERSION.fullmatch(version.word or ""),
        problems=tuple(found.problem for found in (kind, version) if found.problem is not None),
    )


def _find(key: str, code: str, node: Entries, source: Source, known: tuple[str, ...]) -> _Found:
    value = node.get(key)
    if value is None:
        wrong = next((name for name, _ in node.entries if suggest(name.text, [key]) is not None), None)
        written = key if wrong is None else wrong.text
        start = node.entries[0][0].span if node.entries else node.span
        hint = f"write `{key}: {known[0]}`" if len(known) == 1 else f"add `{key}:` with one of {', '.join(known)}"
        problem = source.problem("S103", f"`{key}` is missing", start if wrong is None else wrong.span, hint=hint)
        below = node.get(written)
        meant = below.text if isinstance(below, Scalar) and below.text in known else None
        return _Found(meant, written, None if node.incomplete and wrong is None else problem)
    if not isinstance(value, Scalar):
        return _Found(None, key, _unknown(key, code, kind_of(value), known, source, value))
    if value.refused:
        return _Found(None, key, None)
    text = shown(value.text)
    if value.value in known:
        return _Found(text, key, None)
    near = None if _OTHER_VERSION.fullmatch(text) else suggest(text, known)
    return _Found(near or text, key, _unknown(key, code, text, known, source, value))


def _unknown(key: str, code: str, text: str, known: tuple[str, ...], source: Source, value: Node) -> Problem:
    what = "kind" if key == "kind" else "API version"
    elsewhere = _ELSEWHERE.get(text) if key == "kind" else None
    message = f"unknown {what} `{text}`" if elsewhere is None else f"a {text} cannot stand in this file"
    return source.problem(code, message, value.span, hint=elsewhere or _one_of(key, text, known))


def _one_of(key: str, text: str, known: tuple[str, ...]) -> str:
    near = suggest(text, known)
    if len(known) == 1:
        return f"write `{key}: {known[0]}`"
    return f"did you mean `{near}`?" if near else f"use one of {', '.join(known)}"
