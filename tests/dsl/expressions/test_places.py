"""Columns: a mistake is underlined in the file where it stands, however YAML has written the rule."""

from __future__ import annotations

import re

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from dsl.expressions import Places, compile_scalar
from dsl.problems import Problem, Source, Span
from dsl.yaml_tree import Entries, Items, Node, Scalar, parse
from tests.dsl.expressions.world import SCHEMA, scalar_of

STYLES = {
    "plain": "rule: pool.zone == request.zone and pool.fre > 1 GiB\n",
    "plain over several lines": "rule: pool.zone ==\n  request.zone\n\n  and   pool.fre > 1 GiB  # a comment\n",
    "single quotes": "rule: 'pool.zone == \"it''s\" and pool.fre > 1 GiB'\n",
    "single quotes over several lines": "rule: 'pool.zone == \"''\"\n\n   and\n   pool.fre > 1 GiB'\n",
    "double quotes": 'rule: "pool.zone == \\"\\u00e9\\x41\\U0001F600\\" and pool.fre > 1 GiB"\n',
    "double quotes over several lines": 'rule: "pool.zone == \\"a \\\n    b\\"\n\n  and  pool.fre > 1 GiB"\n',
    "line break as an escape": 'rule: "pool.thin\\nand\\tpool.fre > 1 GiB"\n',
    "literal": "rule: |\n  pool.zone == request.zone  # one\n  and pool.fre > 1 GiB  # two\n",
    "literal without its last break": "rule: |-\n  pool.thin\n\n    and pool.fre > 1 GiB",
    "literal with indentation": "rule: |2+\n    pool.thin\n  and pool.fre > 1 GiB\n\n",
    "folded": "rule: >\n  pool.zone == request.zone\n  and pool.fre > 1 GiB\n",
    "folded with blank lines": "rule: >-\n  pool.thin\n\n  and\n    pool.zone == \"a\"\n\n  and pool.fre > 1 GiB\n",
    "folded with indentation": "rule: >1-\n pool.thin\n  and pool.fre > 1 GiB\n",
    "after non-ASCII text": "rule: pool.zone == \"größe 東京 😀\" and pool.fre > 1 GiB\n",
    "folded after non-ASCII text": "rule: >-\n  pool.thin or\n  pool.zone == \"東京😀\" and pool.fre > 1 GiB\n",
    "inside a list": "x:\n- - {a: 1, rule: [pool.thin, 'pool.fre > 1 GiB']}\n",
    "with Windows line breaks": "x: 1\r\nrule: |\r\n  pool.thin\r\n  and pool.fre > 1 GiB\r\n",
    "deep in a document": "x:\n    y:\n        rule: >-\n            true\n            and pool.fre > 1 GiB\n",
}  # fmt: skip


def _scalars(node: Node) -> list[Scalar]:
    if isinstance(node, Scalar):
        return [node]
    below = node.items if isinstance(node, Items) else [value for _, value in node.entries]
    return [scalar for child in below for scalar in _scalars(child)]


def _problems(document: str) -> tuple[Problem, ...]:
    source = Source("rule.yaml", document)
    parsed = parse(source)
    assert not parsed.problems
    scalars = [scalar for scalar in _scalars(parsed.documents[0]) if "fre >" in scalar.text]
    assert len(scalars) == 1
    return compile_scalar(scalars[0], source, SCHEMA).problems


def _underlined(document: str, problem: Problem) -> str:
    line = re.split(r"\r\n|\n", document)[problem.line - 1]
    return line[problem.column - 1 : problem.column - 1 + problem.width]


@pytest.mark.parametrize("style", STYLES)
def test_wrong_name_is_underlined_in_every_style_of_yaml(style: str) -> None:
    """Line and column are those of the file, not those of the value."""
    document = STYLES[style]
    problems = _problems(document)
    assert [problem.code for problem in problems] == ["S310"]
    assert _underlined(document, problems[0]) == "fre"


def test_message_stands_at_its_line_in_a_folded_rule() -> None:
    """The whole message, with the line of the file and the caret below the name."""
    document = 'rule: >-\n  pool.zone == "größe"\n  and pool.fre > 1 GiB\n'
    assert _problems(document)[0].render().splitlines() == [
        "error[S310]: unknown pool attribute `fre`",
        "  --> rule.yaml:3:12",
        "   |",
        " 3 |   and pool.fre > 1 GiB",
        "   |            ^^^ no attribute with this name",
        "help: did you mean `pool.free`?",
        "note: `pool` has 21 declared attributes",
    ]


WORDS = ["pool.thin", "and", '"größe"', "(", ")", "==", "it's", "a: b", "#", "\\", "東京", "😀", "'", "-", "\t", "é"]


@st.composite
def _texts(draw: st.DrawFn) -> str:
    """Words with one wrong name among them, with spaces and line breaks between."""
    words = draw(st.lists(st.sampled_from(WORDS), max_size=8))
    words.insert(draw(st.integers(0, len(words))), "pool.fre")
    gaps = [draw(st.sampled_from([" ", " ", "  ", "\n", "\n\n", "\n  "])) for _ in words]
    return "".join(word + gap for word, gap in zip(words, gaps, strict=True)).rstrip()


def _dumped(text: str, style: str | None, width: int, *, nested: bool) -> str:
    class Dumper(yaml.SafeDumper):
        pass

    Dumper.add_representer(str, lambda dumper, data: dumper.represent_scalar("tag:yaml.org,2002:str", data, style))
    value = {"rule": text, "z": 1}
    return yaml.dump([{"x": value}] if nested else value, Dumper=Dumper, width=width, allow_unicode=True)


@given(_texts(), st.sampled_from([None, "'", '"', "|", ">"]), st.sampled_from([10, 20, 40, 200]), st.booleans())
@settings(max_examples=300, deadline=None)
def test_place_of_a_name_is_right_in_whatever_form_yaml_dumps_the_rule(
    text: str, style: str | None, width: int, nested: bool
) -> None:
    """Every style, width and depth: the place found in the value is the name in the file."""
    document = _dumped(text, style, width, nested=nested)
    source = Source("rule.yaml", document)
    parsed = parse(source)
    if parsed.problems:  # the dumper writes some texts as plain text that the reader refuses
        return
    scalar = next(one for one in _scalars(parsed.documents[0]) if "pool.fre" in one.text)
    start = scalar.text.index("pool.fre")
    span = Places(source, scalar).span(start, start + len("pool.fre"))
    line = document.split("\n")[span.line - 1]
    assert span.line == span.end_line
    assert line[span.column - 1 : span.end_column - 1] == "pool.fre"


@given(
    st.text(st.sampled_from(" \n\t'\"|>-+#:ab\\"), max_size=30),
    st.sampled_from(["", "'", '"', "|", ">", "|2-", ">+\n "]),
)
@settings(max_examples=300, deadline=None)
def test_places_of_any_value_are_inside_the_file(text: str, lead: str) -> None:
    """Whatever was written, the places are exact, but for values of blanks alone, and all of them are in the file."""
    source = Source("rule.yaml", f"rule: {lead}{text}")
    for node in parse(source).documents:
        for scalar in _scalars(node) if isinstance(node, Entries) else []:
            places = Places(source, scalar)
            assert places.exact or not scalar.text.strip()
            for offset in range(len(scalar.text) + 1):
                span = places.span(offset, offset + 1)
                assert (scalar.span.line, scalar.span.column) <= (span.line, span.column)
                assert (span.line, span.column) <= (scalar.span.end_line, scalar.span.end_column)


@pytest.mark.parametrize("value", ["pool.thin and", "(pool.thin", ""])
def test_mistake_at_the_end_of_a_value_has_a_place_in_it(value: str) -> None:
    """Also what is missing is shown somewhere."""
    scalar, source = scalar_of(f"rule: '{value}'\n")
    problem = compile_scalar(scalar, source, SCHEMA).problems[0]
    assert (problem.line, problem.file) == (1, "rule.yaml")
    assert 7 <= problem.column <= 8 + len(value)


def test_warning_comes_with_the_expression() -> None:
    """What only looks wrong refuses nothing."""
    scalar, source = scalar_of("rule: pool.used <= 1.5\n")
    compiled = compile_scalar(scalar, source, SCHEMA)
    assert compiled.expression is not None
    assert [(one.code, one.severity, one.column) for one in compiled.problems] == [("S321", "warning", 20)]


@pytest.mark.parametrize(
    ("document", "refused"),
    [
        ("rule: >-\n  pool.thin  # thin only\n  and pool.inuse\n", True),
        ("rule: \"pool.thin # thin only\n  and pool.inuse\"\n", True),
        ("rule: 'pool.thin # thin only\n\n  and pool.inuse'\n", False),
        ("rule: |\n  pool.thin  # thin only\n  and pool.inuse\n", False),
        ("rule: >-\n  pool.thin\n  and pool.inuse  # at the end\n", False),
        ("rule: >\n  pool.thin and pool.inuse  # at the end\n\n", False),
        ('rule: >-\n  pool.zone == "#a\n  b" and pool.thin\n', False),
    ],
)  # fmt: skip
def test_comment_that_would_hide_half_a_rule_is_refused(document: str, refused: bool) -> None:
    """YAML joins lines before the comment is seen, so the rest of the rule would count for nothing."""
    scalar, source = scalar_of(document)
    compiled = compile_scalar(scalar, source, SCHEMA)
    assert [problem.code for problem in compiled.problems] == (["S323"] if refused else [])
    assert (compiled.expression is None) is refused
    if refused:
        assert _underlined(document, compiled.problems[0]) == "#"
        assert compiled.problems[0].hint == "write the rule as a block with `|`, or move the comment out"


def test_value_that_cannot_be_followed_is_shown_from_its_start() -> None:
    """Less exact, never wrong."""
    source = Source("rule.yaml", "rule: pool.thin\n")
    scalar = Scalar("something else", "something else", plain=True, span=Span(1, 7, 1, 16))
    assert Places(source, scalar).span(10, 14) == Span(1, 7, 1, 16)
