"""Hostile and broken input: never another exception than our own, never for long."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import dsl
from dsl.problems import Problem, Source, SpecProblems
from dsl.reading import read_document
from dsl.spec_set import read_sources
from dsl.yaml_tree import decode, load, parse

SPECS = [path.read_text() for path in sorted((Path(dsl.__file__).parent.parent / "specs").glob("*.yaml"))]
PIECES = [
    *"[]{}:,-?#&*!|>%@`\"'~ \n\t\r",
    "\x00",
    "\ufeff",
    "\u2028",
    "\ud800",
    "é",
    "東",
    "😀",
    "---\n",
    "...\n",
    "<<: ",
    "*x",
    "&x ",
]
PIECES += [
    "!!str ",
    ".nan",
    "1e999",
    "9" * 40,
    "0x",
    "null",
    "true",
    '"\\x00"',
    '"\\ud800"',
    "apiVersion: ",
    "kind: Backend\n",
]


def _read(text: str) -> None:
    """Everything that is done with a text, which may only end well or in problems that can be shown."""
    source = Source("x.yaml", text)
    parsed = parse(source)
    specs, problems = read_sources([source])
    alone = [read_document(node, source) for node in parsed.documents]
    for document in alone:
        assert document if isinstance(document, list) else len(document.version) == 12
    broken = bool(parsed.problems) or any(isinstance(document, list) for document in alone)
    assert specs is None or not broken, "a set with a mistake is refused"
    assert all(problem in problems for problem in parsed.problems[:50]), "a mistake hides none of another kind"
    rendered = SpecProblems(problems).render()
    assert all(ch == "\n" or ch.isprintable() for ch in rendered)
    for problem in problems:
        assert problem.hint
        assert len(problem.message) <= 72


@given(st.text(st.sampled_from("".join(piece for piece in PIECES if len(piece) == 1) + "ab01")))
@settings(max_examples=400, deadline=None)
def test_any_text_ends_in_documents_or_problems(text: str) -> None:
    """Random text out of YAML's own signs."""
    _read(text)


@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=5), max_size=40).map("".join))
@settings(max_examples=400, deadline=None)
def test_any_mixture_of_traps_ends_in_documents_or_problems(text: str) -> None:
    """Random sequences of the known traps."""
    _read(text)


@given(st.sampled_from(SPECS), st.randoms(use_true_random=False), st.integers(1, 6))
@settings(max_examples=400, deadline=None)
def test_mutated_specs_end_in_documents_or_problems(spec: str, chance: random.Random, changes: int) -> None:
    """Correct specs with pieces cut, doubled, swapped and put in."""
    for _ in range(changes):
        start = chance.randrange(len(spec) + 1)
        end = min(start + chance.randrange(30), len(spec))
        middle = chance.choice(["", spec[start:end] * 2, chance.choice(PIECES), spec[start:end][::-1]])
        spec = spec[:start] + middle + spec[end:]
    _read(spec)


@given(st.binary(max_size=200))
@settings(max_examples=200, deadline=None)
def test_any_bytes_end_in_text_or_a_problem(data: bytes) -> None:
    """What is not text is refused at its place."""
    source = decode(data, "x.yaml")
    if isinstance(source, Problem):
        assert source.code == "S004"
    else:
        _read(source.text)


@given(text=st.lists(st.sampled_from(PIECES) | st.text(max_size=5), max_size=30).map("".join))
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_parser_without_c_raises_nothing_else_either(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pure parser has other bugs than the C one; none gets out."""
    with monkeypatch.context() as patch:
        patch.delattr(yaml, "CSafeLoader")
        _read(text)


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["10 GB", "7 d", "-1", "1.5"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
KEYS = [
    "name",
    "require",
    "limits",
    "retention",
    "snapshots",
    "replicas",
    "zones",
    "pools",
    "options",
    "slots",
    "driver",
    "project",
]


@given(st.sampled_from(["ShareType", "Backend", "Quota"]), st.dictionaries(st.sampled_from(KEYS), values, max_size=6))
@settings(max_examples=400, deadline=None)
def test_any_value_under_any_key_ends_in_a_document_or_problems(kind: str, body: dict[str, object]) -> None:
    """Well-formed documents with values of every shape in every place."""
    _read(yaml.safe_dump({"apiVersion": "shareflow/v1", "kind": kind, **body}, allow_unicode=True))


HEADER = "apiVersion: shareflow/v1\nkind: ShareType\nname: a\n"
MIB = 2**20
HUGE: dict[str, Callable[[int], str]] = {
    "brackets": lambda part: "[" * (MIB // part),
    "braces": lambda part: "{" * (MIB // part),
    "question_marks": lambda part: "? " * (MIB // 2 // part),
    "dashes": lambda part: "- " * (MIB // 2 // part),
    "one_word": lambda part: "a" * (MIB // part),
    "colons_in_one_word": lambda part: "a:" * (MIB // 2 // part),
    "colons_and_a_secret_word": lambda part: "a:" * (MIB // 2 // part - 3) + "token",
    "key_after_key": lambda part: "key: " * (MIB // 5 // part),
    "spaces": lambda part: "key" + " " * (MIB // part - 3),
    "line_breaks": lambda part: "\n" * (MIB // part),
    "quotes": lambda part: "'" * (MIB // part),
    "escapes": lambda part: '"' + "\\x41" * (MIB // 4 // part - 1) + '"',
    "tags": lambda part: "!" * (MIB // part),
    "anchors": lambda part: "&a " * (MIB // 3 // part),
    "documents": lambda part: "---\n" * (MIB // 4 // part),
    "digits": lambda part: "a: " + "9" * (MIB // part - 4),
    "unknown_keys": lambda part: HEADER + "".join(f"k{i}: 1\n" for i in range(4900 // part)),
    "unknown_keys_in_one_line": lambda part: (
        "{apiVersion: shareflow/v1, kind: ShareType, "
        + ", ".join(f"k{i}: {'x' * 190}" for i in range(4900 // part))
        + "}"
    ),
    "wrong_attributes": lambda part: HEADER + "require:\n" + "".join(f"  K{i}: 1\n" for i in range(4800 // part)),
    "wrong_zones": lambda part: HEADER + "zones: [" + "A," * (9000 // part) + "]",
    "equal_keys": lambda part: "a: 1\n" * (4900 // part),
    "secrets_in_one_line": lambda part: "{" + "key: x, " * (4000 // part) + "}",
}
PART = 4
LINEAR, SQUARE = PART, PART**2
TOO_SHORT = 0.1  # seconds of processor time that say nothing


def _spent(text: str) -> float:
    begun = time.process_time()
    _read(text)
    return time.process_time() - begun


@pytest.mark.parametrize("name", HUGE)
def test_text_of_a_mebibyte_made_to_hurt_costs_linear_time(name: str) -> None:
    """Four times the text takes about four times as long, far from sixteen times; many take next to nothing."""
    part, whole = _spent(HUGE[name](PART)), _spent(HUGE[name](1))
    assert whole < (LINEAR + SQUARE) / 2 * max(part, TOO_SHORT)


def test_problems_are_the_only_exception_of_load() -> None:
    """The function that raises, raises problems with a place."""
    with pytest.raises(SpecProblems) as caught:
        load("a: *x", "f.yaml")
    assert caught.value.problems[0].place == "f.yaml:1:4"
