"""Spec files in one form: every comment, the same meaning, and the same again the second time."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

import dsl.formatting
from dsl.documents import KINDS
from dsl.formatting import expressions, format_text
from dsl.formatting.order import ordered, shape_of
from dsl.problems import Source, SpecProblems
from dsl.yaml_tree import load, parse, to_plain
from tests.dsl.expressions.trees import tree
from tests.dsl.formatting_cases import CASES, HEAD
from tests.dsl.yaml_texts import files

ROOT = Path(__file__).parents[2]
FILES = sorted([*ROOT.glob("specs/**/*.yaml"), *ROOT.glob("tests/dsl/**/*.yaml")])


def _plain(text: str) -> list[object]:
    """What a text says; rules by their trees."""
    return [_said(to_plain(node), ()) for node in load(text)]


def _said(value: object, path: tuple[str, ...]) -> object:
    if isinstance(value, dict):
        return {key: _said(inner, (*path, str(key))) for key, inner in value.items()}
    if isinstance(value, list):
        return [_said(inner, (*path, "*")) for inner in value]
    return tree(value) if isinstance(value, str) and expressions.is_expression(path) else value


def _is_yaml(text: str) -> bool:
    return not parse(Source("", text)).problems


@pytest.mark.parametrize("name", CASES)
def test_text_gets_exactly_this_form(name: str) -> None:
    """The rules, case by case; what is in form stays as it is."""
    before, after = CASES[name]
    assert format_text(before) == after
    assert format_text(after) == after
    assert _plain(before) == _plain(after)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_file_of_the_repository_keeps_its_meaning(path: Path) -> None:
    """Every file here that is YAML is formatted, says the same, and has every comment; every other one is refused."""
    text = path.read_text(encoding="utf-8")
    if not _is_yaml(text):
        with pytest.raises(SpecProblems) as refused:
            format_text(text, "file.yaml")
        assert refused.value.problems == tuple(parse(Source("file.yaml", text)).problems)
        return
    formatted = format_text(text)
    assert _plain(formatted) == _plain(text)
    assert format_text(formatted) == formatted
    assert formatted.count("#") == text.count("#")


def test_specs_of_the_repository_are_in_form() -> None:
    """What we show as an example is what the formatter would write."""
    for path in ROOT.glob("specs/**/*.yaml"):
        text = path.read_text(encoding="utf-8")
        assert format_text(text) == text


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(files())
def test_any_text_keeps_meaning_and_comments_and_is_formatted_once(made: tuple[str, list[str]]) -> None:
    """Whatever the style: nothing is refused, each comment is there once, and a second time changes nothing."""
    text, comments = made
    if not _is_yaml(text):
        return
    formatted = format_text(text)
    assert _plain(formatted) == _plain(text)
    assert [formatted.count(word) for word in comments] == [1] * len(comments)
    assert format_text(formatted) == formatted
    assert "\n\n\n" not in formatted or "|" in text or ">" in text or '"' in text or "'" in text or "some text" in text


def _mutants(count: int) -> Iterator[str]:
    """Texts of the cases and files with a few characters changed."""
    dice = random.Random(4)
    texts = [case[0] for case in CASES.values()] + [path.read_text(encoding="utf-8")[:800] for path in FILES]
    parts = [
        " ",
        "\n",
        "#",
        " # q\n",
        "- ",
        ": ",
        "---\n",
        "...\n",
        "|",
        "\t",
        "'",
        '"',
        "[",
        "]",
        "{",
        "}",
        ",",
        "? ",
        "+",
    ]
    for _ in range(count):
        text = dice.choice(texts)
        for _ in range(dice.randint(1, 3)):
            place = dice.randrange(len(text) + 1)
            text = text[:place] + dice.choice([*parts, ""]) + text[place + dice.randint(0, 1) :]
        yield text


def test_mutants_are_formatted_or_refused_with_a_code() -> None:
    """No other exception, no second form, no other meaning; what cannot be written safely is refused."""
    formatted = 0
    codes: list[str] = []
    for text in _mutants(2_000):
        try:
            once = format_text(text)
        except SpecProblems as problems:
            codes += [problem.code for problem in problems.problems]
            continue
        formatted += 1
        assert _plain(once) == _plain(text)
        assert format_text(once) == once
    assert {code[:2] for code in codes} <= {"S0", "S5"}
    assert min(formatted, len(codes)) > 200


@pytest.mark.parametrize(
    "text",
    ["? " + "x" * 2000 + "\n: 1\n", " --- x\n", "a: |\n" + " x\n" * 300_000],
    ids=["key too long for one line", "text like a border", "larger than a file may be"],
)
def test_what_would_change_is_refused_with_its_own_code(text: str) -> None:
    """The result is read again before anybody gets it."""
    with pytest.raises(SpecProblems) as refused:
        format_text(text, "file.yaml")
    (problem,) = refused.value.problems
    assert (problem.code, problem.file) == ("S501", "file.yaml")
    assert len(problem.message) <= 72
    assert problem.hint


def test_lost_comment_or_changed_value_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mistake of the formatter itself reaches no file."""
    for wrong in ("a: 1\n", "a: 2  # c\n", "a: true  # c\n", "a: [  # c\n"):
        monkeypatch.setattr(dsl.formatting, "text_of_pages", lambda _, wrong=wrong: wrong)
        with pytest.raises(SpecProblems) as refused:
            format_text("a: 1 # c\n")
        assert refused.value.problems[0].code == "S501"


def test_mistakes_of_documents_do_not_hinder() -> None:
    """An unknown key, a wrong type and a missing name are for `spec check` to say."""
    text = "kind: ShareType\nnmae: gold\nretention: [soon]\napiVersion: v9\n"
    assert format_text(text) == "apiVersion: v9\nkind: ShareType\nretention: [soon]\nnmae: gold\n"


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_has_an_order(kind: str) -> None:
    """Keys stand as the model declares them, behind the two or three that come first."""
    model = KINDS[kind]
    first = ["apiVersion", "kind", *(["name"] if "name" in model.model_fields else [])]
    rest = [name for name in model.model_fields if name != "name"]
    assert ordered(sorted([*first, *rest]), shape_of(kind), document=True) == [*first, *rest]


def test_expressions_go_through_their_hook(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rule in `require` is formatted, in one line or in a block; other values are not touched."""
    monkeypatch.setattr(expressions, "format_expression", lambda text: " ".join(text.split()))
    before = HEAD + (
        'description: a   b\nrequire:\n  - pool.x   ==   5 # c\n  - \'pool.m  == "ssd"\'\n  - "pool.n   >   5"\n'
        "  - |\n    pool.o   >   5\n"
    )
    assert format_text(before) == HEAD + (
        'description: a   b\nrequire:\n  - pool.x == 5  # c\n  - pool.m == "ssd"\n  - pool.n > 5\n'
        "  - |\n    pool.o > 5\n"
    )
    assert format_text(HEAD + "require: ['a,   b']\n") == HEAD + 'require: ["a, b"]\n'
    assert format_text(HEAD + "require:\n  - 'a:   \"b\"'\n") == HEAD + "require:\n  - 'a: \"b\"'\n"


def test_expression_whose_meaning_would_change_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hook that does not settle is found, since both sides are compared in its form."""
    monkeypatch.setattr(expressions, "format_expression", lambda text: f"{text} and x")
    with pytest.raises(SpecProblems) as refused:
        format_text(HEAD + "require:\n  - pool.x == 5\n")
    assert refused.value.problems[0].code == "S501"


def test_large_files_are_quick() -> None:
    """Twenty thousand comments and four thousand values take seconds at most, never minutes."""
    text = "".join(f"# c\n# d\n# e\n# f\n# g\nk{number}: [1]  # h\n" for number in range(3_000))
    began = time.monotonic()
    assert format_text(text) == text
    assert time.monotonic() - began < 10
