"""Expressions in their form: the same tree, the same comments, and nothing left to do for a second call."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from dsl.expressions.errors import ExpressionError
from dsl.expressions.parsing import parse
from dsl.expressions.scanning import scan
from dsl.expressions.syntax import Node
from dsl.formatting import format_expression, format_text
from tests.dsl.expressions.generated import rules
from tests.dsl.expressions.trees import tree

PATIENT = settings(deadline=None)  # the first expression of a process costs the grammar
ROOT = Path(__file__).parents[2]
HEAD = "apiVersion: shareflow/v1\nkind: ShareType\nname: gold\n"

CASES = {
    "signs and words": ("pool.a==5  and   pool.b<=2*pool.c", "pool.a == 5 and pool.b <= 2 * pool.c"),
    "units": (
        "pool.free>=10GiB and pool.r<=100MiB/s or pool.x>5%",
        "pool.free >= 10 GiB and pool.r <= 100 MiB/s or pool.x > 5 %",
    ),
    "a unit before a division": ("10GiB/pool.x>1", "10 GiB / pool.x > 1"),
    "brackets": ("( pool.a or pool.b )and not( pool.c )", "(pool.a or pool.b) and not (pool.c)"),
    "lists": ('pool.m in ["a","b" ,"c"]', 'pool.m in ["a", "b", "c"]'),
    "calls": ("min ( pool.a,pool.b )>3 and has( pool.c )", "min(pool.a, pool.b) > 3 and has(pool.c)"),
    "signs before values": ("pool.a>- 5 and pool.b- -3==pool.c -1", "pool.a > -5 and pool.b - -3 == pool.c - 1"),
    "signs behind brackets": ("-( pool.a)-( -pool.b )+1>0", "-(pool.a) - (-pool.b) + 1 > 0"),
    "words": ("pool.a  not   in [1]or pool.b  between 1  and 2", "pool.a not in [1] or pool.b between 1 and 2"),
    "texts are not touched": ('pool.m=="a  ==b,c"or pool.n  like "x  *"', 'pool.m == "a  ==b,c" or pool.n like "x  *"'),
    "lines stay": ("pool.a==1  \n  and pool.b\n\n\tor  pool.c \n", "pool.a == 1\n  and pool.b\n\n\tor pool.c\n"),
    "comments stay": (
        "#one\npool.a==1#two \n  # three\nand pool.b#",
        "# one\npool.a == 1  # two\n  # three\nand pool.b  #",
    ),
    "brackets over lines": ("pool.m in [\n  1,2 ,\n  3\n]", "pool.m in [\n  1, 2,\n  3\n]"),
    "space around": ("  pool.a  ", "pool.a"),
    "spelling of other languages": ("!pool.a&&pool.b||pool.c<>'x'", "!pool.a && pool.b || pool.c <> 'x'"),
    "what the language refuses later": ("pool.a?1:2", "pool.a ? 1 : 2"),
}
UNREADABLE = [
    "",
    "  ",
    "# a",
    "a  ==",
    "pool.a   b",
    '"open  ',
    "(a  ",
    "a  $ b",
    "a" * 5000 + "  == b",
    "(" * 40 + "a  " + ")" * 40,
]


@pytest.mark.parametrize("name", CASES)
def test_expression_gets_exactly_this_form(name: str) -> None:
    """And keeps it."""
    before, after = CASES[name]
    assert format_expression(before) == after
    assert format_expression(after) == after
    assert tree(before) == tree(after)


@pytest.mark.parametrize("text", UNREADABLE, ids=lambda text: text[:12])
def test_what_cannot_be_read_stays_as_it_is(text: str) -> None:
    """The check says what is wrong with it, at its place."""
    assert format_expression(text) == text


def _comments(text: str) -> list[str]:
    words = scan(text)
    assert isinstance(words, tuple)
    return [word.text.lstrip("# ").rstrip() for word in words if word.kind == "comment"]


def _respaced(text: str, chance: random.Random) -> str:
    """The same words with other white space and comments between."""
    words = scan(text)
    assert isinstance(words, tuple)
    between = [" ", "  ", "\n", " \n\t", "\n\n  ", "#c\n", "  # d  e \n "]
    parts = [text[: words[0].start]]
    for word, after in zip(words, [*words[1:], None], strict=True):
        gap = text[word.end : after.start] if after is not None else ""
        parts += [word.text, chance.choice(between) if gap or chance.random() < 0.2 else gap]
    return "".join(parts)


@PATIENT
@given(rules(), st.randoms(use_true_random=False))
def test_form_changes_neither_tree_nor_comments(rule: str, chance: random.Random) -> None:
    """However it was spaced; lines stay lines, and the form of a form is itself."""
    text = _respaced(rule, chance)
    formatted = format_expression(text)
    assert tree(formatted) == tree(text)
    assert format_expression(formatted) == formatted
    if isinstance(parse(text), ExpressionError):  # a number and its unit, or a name, was torn apart
        assert formatted == text
        return
    assert formatted.count("\n") == text.count("\n")
    assert _comments(formatted) == _comments(text)
    code = [line.partition("#")[0].strip() for line in formatted.splitlines()]
    assert not any(re.search(r"  |\( | \)|\[ | \]| ,|,\S", re.sub(r'"[^"]*"', '""', line)) for line in code)


@PATIENT
@given(rules(), st.randoms(use_true_random=False), st.integers(1, 6))
def test_mutants_are_formatted_or_left(rule: str, chance: random.Random, changes: int) -> None:
    """Whatever a text is, formatting raises nothing, keeps its meaning and settles."""
    letters = list(rule)
    for _ in range(changes):
        place = chance.randrange(len(letters) + 1)
        letters[place : place + chance.randrange(3)] = chance.choice(
            [" ", "(", "]", "-", "!", "#", '"', "\n", "1", "GiB", "/", "a", "not", ","]
        )
    text = "".join(letters)
    formatted = format_expression(text)
    assert tree(formatted) == tree(text)
    assert format_expression(formatted) == formatted


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _strings(inner)


def test_rules_of_the_repository_keep_their_meaning() -> None:
    """All texts of the examples that can be read as expressions; those of the examples are in form."""
    texts = {
        text
        for path in sorted((ROOT / "specs").glob("**/*.yaml"))
        for document in yaml.safe_load_all(path.read_text())
        for text in _strings(document)
    }
    assert sum(isinstance(parse(text), Node) for text in texts) > 20
    for text in texts:
        assert tree(format_expression(text)) == tree(text)


FILES = {
    "every place of a rule": (
        (
            'require:\n  - pool.a==1\n  - rule: "pool.b  ==2"\n    message: a==b\n'
            "prefer:\n  - when: pool.c  ==3\n    weight: 1\n  - score: pool.d*2\n    weight: 2\n"
        ),
        (
            "require:\n  - pool.a == 1\n  - rule: pool.b == 2\n    message: a==b\n"
            "prefer:\n  - when: pool.c == 3\n    weight: 1\n  - score: pool.d * 2\n    weight: 2\n"
        ),
    ),
    "one rule without a list": ("require: pool.a==1 # c\n", "require: pool.a == 1  # c\n"),
    "attributes are no rules": ("require: {media: a==b}\n", "require: {media: a==b}\n"),
    "block of lines": (
        "require:\n  - |\n    pool.a==1 # c\n      and  pool.b\n",
        "require:\n  - |\n    pool.a == 1  # c\n      and pool.b\n",
    ),
    "block whose lines are joined": (
        "require:\n  - >-\n    pool.a==1\n    and  pool.b\n",
        "require:\n  - >-\n    pool.a == 1\n    and pool.b\n",
    ),
    "comment in lines that are joined": (
        "require:\n  - >\n    pool.a==1 # c\n    and  pool.b\n",
        "require:\n  - >\n    pool.a==1 # c\n    and  pool.b\n",
    ),
    "kept empty lines": ("require:\n  - |+\n    pool.a==1\n\n\n", "require:\n  - |+\n    pool.a == 1\n\n\n"),
    "lines without quotes": (
        "require:\n  - pool.a==1\n    and  pool.b\n",
        "require:\n  - pool.a == 1\n    and pool.b\n",
    ),
    "rule that would be no plain text any more": (
        "require:\n  - pool.a  ?1 :2\n  - pool.m=='it'\n",
        "require:\n  - \"pool.a ? 1 : 2\"\n  - pool.m == 'it'\n",
    ),
    "lines that would be no plain text any more": (
        "require:\n  - pool.a\n    ?1 :2\n",
        "require:\n  - pool.a\n    ?1 :2\n",
    ),
    "rules in brackets": ("require: ['pool.m in  [1,2]']\n", 'require: ["pool.m in [1, 2]"]\n'),
    "unreadable rule": ("require:\n  - pool.a  ==\n  - pool.b==1\n", "require:\n  - pool.a  ==\n  - pool.b == 1\n"),
}


@pytest.mark.parametrize("name", FILES)
def test_rule_in_a_file_gets_exactly_this_form(name: str) -> None:
    """And keeps it."""
    before, after = FILES[name]
    assert format_text(HEAD + before) == HEAD + after
    assert format_text(HEAD + after) == HEAD + after
