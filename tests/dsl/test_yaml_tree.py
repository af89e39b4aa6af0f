"""YAML to marked trees: values by YAML 1.2, exact places, and everything that is refused."""

from __future__ import annotations

from decimal import Decimal

import pytest
import yaml

from dsl.problems import Problem, Source, SpecProblems
from dsl.yaml_tree import Entries, Items, Scalar, decode, find, find_key, load, parse, to_plain


@pytest.fixture(params=["c", "pure"])
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each rule holds with the C parser and without it."""
    if request.param == "pure":
        monkeypatch.delattr(yaml, "CSafeLoader")
    return str(request.param)


def _refused(text: str) -> list[tuple[str, int, int]]:
    with pytest.raises(SpecProblems) as caught:
        load(text, "x.yaml")
    return [(problem.code, problem.line, problem.column) for problem in caught.value.problems]


VALUES: list[tuple[str, object]] = [
    ("true", True),
    ("False", False),
    ("TRUE", True),
    ("tRue", "tRue"),
    ("yes", "yes"),
    ("NO", "NO"),
    ("on", "on"),
    ("y", "y"),
    ("~", None),
    ("null", None),
    ("NULL", None),
    ("nULL", "nULL"),
    ("12", 12),
    ("-12", -12),
    ("+12", 12),
    ("017", 17),
    ("0o17", 15),
    ("0x1F", 31),
    ("0b11", "0b11"),
    ("1_000", "1_000"),
    ("12:30", "12:30"),
    ("12:30:45", "12:30:45"),
    ("2024-01-31", "2024-01-31"),
    ("1.5", Decimal("1.5")),
    ("1.", Decimal(1)),
    (".5", Decimal("0.5")),
    ("1e3", Decimal(1000)),
    ("1.2.3", "1.2.3"),
    ("+", "+"),
    ("=", "="),
    ("10 GiB", "10 GiB"),
    ('"12"', "12"),
    ("'true'", "true"),
    ('""', ""),
    ('"a\\nb"', "a\nb"),
    ("١٢", "١٢"),
]


@pytest.mark.parametrize(("text", "value"), VALUES)
def test_value_is_read_by_yaml_1_2(text: str, value: object, parser: str) -> None:
    """Only the core schema of YAML 1.2 counts; what 1.1 would convert stays text."""
    (document,) = load(f"a: {text}\n")
    assert isinstance(document, Entries)
    scalar = document.get("a")
    assert isinstance(scalar, Scalar)
    assert scalar.value == value
    assert type(scalar.value) is type(value)


REFUSED: list[tuple[str, list[tuple[str, int, int]]]] = [
    ("a: &x 1\n", [("S007", 1, 4)]),
    ("a: &x [1]\n", [("S007", 1, 4)]),
    ("a: 1\nb: *x\n", [("S007", 2, 4)]),
    ("- &x a\n- *x\n", [("S007", 1, 3), ("S007", 2, 3)]),
    ("*x : 1\n", [("S007", 1, 1)]),
    ("a:\n  <<: {b: 1}\n", [("S008", 2, 3)]),
    ("a: !!str 1\n", [("S009", 1, 4)]),
    ("a: ! 1\n", [("S009", 1, 4)]),
    ("a: !local {x: 1}\n", [("S009", 1, 4)]),
    ("!!map {a: 1}\n", [("S009", 1, 1)]),
    ("a: !!python/object/apply:os.system [ls]\n", [("S009", 1, 4)]),
    ("%YAML 1.1\n---\na: 1\n", [("S009", 1, 1)]),
    ("%TAG ! tag:x,2000:\n---\na: 1\n", [("S009", 1, 1)]),
    ("a: 1\nb: 2\na: 3\n", [("S010", 3, 1)]),
    ("a: {b: 1, c: 2, b: 3}\n", [("S010", 1, 17)]),
    ('a: 1\n"a": 3\n', [("S010", 2, 1)]),
    ("1: x\n", [("S013", 1, 1)]),
    ("true: x\n", [("S013", 1, 1)]),
    ("~: x\n", [("S013", 1, 1)]),
    ("? \n: x\n", [("S013", 1, 2)]),
    ("1.5: x\n", [("S013", 1, 1)]),
    ("[a]: x\n", [("S013", 1, 1)]),
    ("{a: 1}: x\n", [("S013", 1, 1)]),
    ("a: .inf\n", [("S014", 1, 4)]),
    ("a: -.INF\n", [("S014", 1, 4)]),
    ("a: .nan\n", [("S014", 1, 4)]),
    ("a: 1e400\n", [("S014", 1, 4)]),
    ("a: " + "9" * 31 + "\n", [("S014", 1, 4)]),
    ("a: " + "9" * 5000 + "\n", [("S014", 1, 4)]),
    ("a: 0x" + "f" * 5000 + "\n", [("S014", 1, 4)]),
    ('a: "\\0"\n', [("S005", 1, 4)]),
    ('a: "\\x1b[2J"\n', [("S005", 1, 4)]),
    ('a: "\\u202e"\n', [("S005", 1, 4)]),
    ('a: "\\N"\n', [("S005", 1, 4)]),
    ('"\\L": 1\n', [("S005", 1, 1)]),
    ("a: 1\nb: \x07\n", [("S005", 2, 4)]),
    ("a: 1\r\nb: \x7f\r\n", [("S005", 2, 4)]),
    ("a: \x85b\n", [("S005", 1, 4)]),
    ("a: \u2028b\n", [("S005", 1, 4)]),
    ("a: \ud800\n", [("S005", 1, 4)]),
    ("a: \ufeff\n", [("S005", 1, 4)]),
    ("ä: 1\n東京: &x 1\n", [("S007", 2, 5)]),
    ("ok: 1\n---\na: &x 1\n---\nb: *y\n", [("S007", 3, 4), ("S007", 5, 4)]),
]


@pytest.mark.parametrize(("text", "places"), REFUSED)
def test_refusal_names_its_exact_place(text: str, places: list[tuple[str, int, int]], parser: str) -> None:
    """Each thing that makes a file mean more than it shows is refused at its own line and column."""
    assert _refused(text) == places


SYNTAX = [
    ("a: [1, 2\nb: 3\n", 1, 4),
    ("a: {b: 1\nc: 2\n", 1, 4),
    ('a: 1\nb: "x\n\nc: 1\n', 2, 4),
    ("a: 'x\n", 1, 4),
    ("a: b: c\n", 1, 5),
    ("a:\n\tb: 1\n", 2, 1),
    ("a:\n  b: 1\n c: 2\n", 3, 2),
    ('a: "\\d"\n', 1, 5),
    ("a: @x\n", 1, 4),
    ("a: `x`\n", 1, 4),
    ("a: %x\n", 1, 4),
    ("a: ]\n", 1, 4),
    ("a: [\n", 1, 4),
    ("a: [", 1, 4),
    ("a: [1, {b: [c]\n# end\n", 1, 8),
    ("a: [1, , 2]\n", 1, 8),
    ("a: [b: {c\n]\n", 1, 8),
]


@pytest.mark.parametrize(("text", "line", "column"), SYNTAX)
def test_syntax_error_points_at_what_was_left_open(text: str, line: int, column: int) -> None:
    """An unclosed bracket or quote is shown where it was opened, other mistakes where the parser stopped."""
    assert _refused(text) == [("S006", line, column)]


@pytest.mark.parametrize("text", [text for text, _, _ in SYNTAX] + ['a: "\\UFFFFFFFF"\n', 'a: "\\uD800"\n'])
def test_text_that_is_not_yaml_is_refused_by_either_parser(text: str, parser: str) -> None:
    """Whatever the parser raises inside, the caller sees a problem of syntax, or of the character."""
    assert _refused(text)[0][0] in ("S006", "S005")


def test_problems_before_a_syntax_error_are_kept(parser: str) -> None:
    """Reading stops at a syntax error, but what was found until then is reported with it."""
    assert [code for code, _, _ in _refused("a: &x 1\nb: *x\nc: [\n")] == ["S007", "S007", "S006"]


def test_documents_after_a_mistake_of_syntax_are_read_at_their_places(parser: str) -> None:
    """The rest of a broken document is skipped; the next one counts, with its own lines, whatever the line ends."""
    text = "a: 1\n---\nb: [\n---\nc: 2\n--- {d: 'x\n---\ne: *f\n---\n" + "g: " + "[" * 40 + "\n--- {h: 3}\n"
    for ends in ("\n", "\r\n", "\r"):
        source = Source("", text.replace("\n", ends))
        parsed = parse(source)
        assert [to_plain(document) for document in parsed.documents] == [{"a": 1}, {"c": 2}, {"h": 3}]
        assert [document.span.line for document in parsed.documents] == [1, 5, 11]
        problems = [(problem.code, problem.line, problem.column) for problem in parsed.problems]
        assert problems == [("S006", 3, 4), ("S006", 6, 9), ("S007", 8, 4), ("S011", 10, 35)]
        assert parsed.unread == ("---\nb: [", "--- {d: 'x", "---\ng: " + "[" * 40)
        assert [document.span.line for document in parsed.damaged] == [8]


def test_file_of_broken_documents_is_given_up_after_some() -> None:
    """A megabyte of them costs no more than the first ones do."""
    parsed = parse(Source("", "--- [\n" * 100_000))
    assert len(parsed.problems) == 20
    assert parsed.documents == ()


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ("{a: ", "}")])
def test_thirty_two_levels_are_read_and_thirty_three_refused(opening: str, closing: str, parser: str) -> None:
    """The limit is exact, and nothing deeper is built."""
    assert load(opening * 32 + "x" + closing * 32)
    assert _refused(opening * 33 + "x" + closing * 33) == [("S011", 1, 32 * len(opening) + 1)]


def test_ten_thousand_nodes_are_read_and_one_more_refused(parser: str) -> None:
    """Keys, values and collections count, in all documents of a file together."""
    fits = "".join(f"- [{i}]\n" for i in range(4999))
    assert len(load(fits + "- x\n")) == 1
    assert _refused(fits + "- x\n- y\n") == [("S012", 5001, 3)]


def test_text_over_one_mebibyte_is_refused() -> None:
    """The limit is in bytes, so text of wide characters reaches it earlier."""
    assert load("#" * 2**20) == ()
    assert _refused("#" * (2**20 + 1)) == [("S003", 0, 0)]
    assert _refused("#" + "é" * 2**19) == [("S003", 0, 0)]


def test_alias_bomb_is_refused_without_being_built(parser: str) -> None:
    """Each anchor and alias is a problem of its own; nothing multiplies."""
    bomb = "a: &a [x, x]\n" + "".join(f"{b}: &{b} [*{a}, *{a}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True))
    with pytest.raises(SpecProblems) as caught:
        load(bomb)
    assert {problem.code for problem in caught.value.problems} == {"S007"}
    assert len(caught.value.problems) == 20
    assert caught.value.omitted == 9 + 16 - 20


def test_file_holds_several_documents_and_empty_ones_do_not_count(parser: str) -> None:
    """Documents come in order; a separator without content is no document."""
    documents = load("---\na: 1\n---\n---\n# nothing\n---\n- b\n...\n")
    assert [to_plain(document) for document in documents] == [{"a": 1}, ["b"]]


def test_tree_becomes_plain_values_with_floats_for_fractions() -> None:
    """What a driver gets as options is what JSON can hold."""
    (document,) = load("a: {b: [1, 1.5, true, null, x]}\nc: []\n")
    assert to_plain(document) == {"a": {"b": [1, 1.5, True, None, "x"]}, "c": []}


SCALAR_STYLES = [
    ("a: plain\n", "plain", (1, 4, 1, 9)),
    ('a: "quoted"\n', "quoted", (1, 4, 1, 12)),
    ("a: 'it''s'\n", "it's", (1, 4, 1, 11)),
    ("a:\n    below\n", "below", (2, 5, 2, 10)),
    ("é: ü\n", "ü", (1, 4, 1, 5)),
    ('"東京": "京"\n', "京", (1, 7, 1, 10)),
    ("😀: x\n", "x", (1, 4, 1, 5)),
    ("x: 0\r\na: y\r\n", "y", (2, 4, 2, 5)),
]


@pytest.mark.parametrize(("text", "value", "span"), SCALAR_STYLES)
def test_place_counts_characters_from_one(text: str, value: str, span: tuple[int, ...], parser: str) -> None:
    """Quotes belong to the place, and one character is one column whatever its bytes."""
    (document,) = load(text)
    assert isinstance(document, Entries)
    _, scalar = document.entries[-1]
    assert isinstance(scalar, Scalar)
    assert (scalar.value, tuple(scalar.span)) == (value, span)


@pytest.mark.parametrize("style", ["|", ">-", "|2"])
def test_block_text_is_placed_at_its_sign(style: str, parser: str) -> None:
    """A literal or folded text begins where its sign stands."""
    (document,) = load(f"a: 1\nb: {style}\n    x\n    y\n")
    assert find(document, ("b",)).span[:2] == (2, 4)


def test_find_gives_the_nearest_node_above_a_missing_path() -> None:
    """A message about something that is not there points at what should hold it."""
    (document,) = load("a:\n  - b: 1\n")
    assert find(document, ("a", 0, "b")).span[:2] == (2, 8)
    assert find(document, ("a", 0, "missing", "deeper")).span[:2] == (2, 5)
    assert isinstance(find(document, ("a", 7)), Items)
    assert find_key(document, ("a", 0, "b"))[:2] == (2, 5)
    assert find_key(document, ("a", 0, "missing"))[:2] == (2, 5)
    assert find_key(document, ())[:2] == (1, 1)


def test_bytes_that_are_not_utf8_are_refused_at_their_place() -> None:
    """Line and column of the first bad byte, counted in characters."""
    problem = decode("ä: 1\né: ".encode() + b"\xff\n", "x.yaml")
    assert isinstance(problem, Problem)
    assert (problem.code, problem.line, problem.column) == ("S004", 2, 4)


def test_byte_order_mark_at_the_beginning_is_no_part_of_the_text() -> None:
    """Editors that write one do no harm, and columns stay right."""
    source = decode(b"\xef\xbb\xbfa: 1\n", "x.yaml")
    assert isinstance(source, Source)
    assert source.text == "a: 1\n"


def test_file_over_one_mebibyte_is_refused_before_it_is_read() -> None:
    """The limit counts bytes."""
    assert isinstance(decode(b"#" * 2**20, "x.yaml"), Source)
    problem = decode(b"#" * (2**20 + 1), "x.yaml")
    assert isinstance(problem, Problem)
    assert problem.code == "S003"
