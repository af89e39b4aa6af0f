"""Messages: suggestions, masks, carets, bounds."""

from __future__ import annotations

import json
import pickle
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsl.problems import (
    MAX_PROBLEMS,
    Problem,
    Source,
    Span,
    SpecProblems,
    looks_secret,
    render_problems,
    suggest,
)

SHARE_TYPE = ["name", "description", "protocol", "require", "limits", "retention", "snapshots", "zones"]
BACKEND = ["name", "driver", "description", "options", "slots", "pools"]
POOL = ["name", "zone", "options", "attributes", "thin", "over_subscription", "reserved_percent"]
QUOTA = ["project", "limits"]
COUNTS = ["shares", "bytes", "snapshots"]
KINDS = ["ShareType", "Backend", "Quota"]

TYPOS = [
    (SHARE_TYPE, "nmae", "name"),
    (SHARE_TYPE, "nam", "name"),
    (SHARE_TYPE, "Name", "name"),
    (SHARE_TYPE, "names", "name"),
    (SHARE_TYPE, "desciption", "description"),
    (SHARE_TYPE, "decription", "description"),
    (SHARE_TYPE, "descripton", "description"),
    (SHARE_TYPE, "protcol", "protocol"),
    (SHARE_TYPE, "protocoll", "protocol"),
    (SHARE_TYPE, "protocols", "protocol"),
    (SHARE_TYPE, "requires", "require"),
    (SHARE_TYPE, "required", "require"),
    (SHARE_TYPE, "requre", "require"),
    (SHARE_TYPE, "reqiure", "require"),
    (SHARE_TYPE, "limit", "limits"),
    (SHARE_TYPE, "limts", "limits"),
    (SHARE_TYPE, "retenton", "retention"),
    (SHARE_TYPE, "retension", "retention"),
    (SHARE_TYPE, "retetnion", "retention"),
    (SHARE_TYPE, "snapshot", "snapshots"),
    (SHARE_TYPE, "snapshtos", "snapshots"),
    (SHARE_TYPE, "sanpshots", "snapshots"),
    (SHARE_TYPE, "zone", "zones"),
    (SHARE_TYPE, "zonse", "zones"),
    (SHARE_TYPE, "ZONES", "zones"),
    (BACKEND, "drvier", "driver"),
    (BACKEND, "drivers", "driver"),
    (BACKEND, "dirver", "driver"),
    (BACKEND, "option", "options"),
    (BACKEND, "optoins", "options"),
    (BACKEND, "slot", "slots"),
    (BACKEND, "solts", "slots"),
    (BACKEND, "pool", "pools"),
    (BACKEND, "polls", "pools"),
    (BACKEND, "poosl", "pools"),
    (POOL, "zones", "zone"),
    (POOL, "zoen", "zone"),
    (POOL, "attribute", "attributes"),
    (POOL, "atributes", "attributes"),
    (POOL, "attirbutes", "attributes"),
    (POOL, "thinn", "thin"),
    (POOL, "tihn", "thin"),
    (POOL, "oversubscription", "over_subscription"),
    (POOL, "over-subscription", "over_subscription"),
    (POOL, "over_subscribtion", "over_subscription"),
    (POOL, "over_subscripion", "over_subscription"),
    (POOL, "reserved-percent", "reserved_percent"),
    (POOL, "reserve_percent", "reserved_percent"),
    (POOL, "reserved_percentt", "reserved_percent"),
    (POOL, "reservedpercent", "reserved_percent"),
    (QUOTA, "projct", "project"),
    (QUOTA, "projects", "project"),
    (QUOTA, "limit", "limits"),
    (COUNTS, "share", "shares"),
    (COUNTS, "sahres", "shares"),
    (COUNTS, "byte", "bytes"),
    (COUNTS, "snapshot", "snapshots"),
    (KINDS, "Sharetype", "ShareType"),
    (KINDS, "share_type", "ShareType"),
    (KINDS, "ShareTypes", "ShareType"),
    (KINDS, "backend", "Backend"),
    (KINDS, "Backends", "Backend"),
    (KINDS, "Qouta", "Quota"),
    (KINDS, "Quotas", "Quota"),
]


@pytest.mark.parametrize(("known", "typo", "meant"), TYPOS)
def test_typo_suggests_what_was_meant(known: list[str], typo: str, meant: str) -> None:
    """Each common slip leads to the word that was meant."""
    assert suggest(typo, known) == meant


@pytest.mark.parametrize("word", ["", "x", "colour", "size", "user", "host", "capacity", "tier", "iops", "a" * 5000])
def test_other_word_suggests_nothing(word: str) -> None:
    """A word that is not close to any key gets no silly suggestion."""
    assert all(suggest(word, known) is None for known in (SHARE_TYPE, BACKEND, POOL, QUOTA, COUNTS, KINDS))


def test_short_word_may_differ_by_one_edit_only() -> None:
    """Under five characters two edits could turn anything into anything."""
    assert suggest("nmea", ["name"]) is None
    assert suggest("nome", ["name"]) == "name"


@given(st.text("abcd", min_size=2, max_size=4), st.data())
def test_swap_of_neighbours_is_one_edit(word: str, data: st.DataObject) -> None:
    """The most common slip of all costs one, not two: it is seen through in short words as well."""
    at = data.draw(st.integers(0, len(word) - 2))
    swapped = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    assert suggest(swapped, [word]) == word


@pytest.mark.parametrize(
    "key",
    [
        *("password", "PASSWORD", "db_password", "passwd", "passphrase", "rootpassword"),
        *("apiToken", "api-token", "secret", "clientSecret", "credentials", "admin.credential"),
        *("key", "access_key", "privateKey", "ssh-key", "apikey"),
    ],
)
def test_key_that_names_a_secret_is_recognised(key: str) -> None:
    """Words count, in snake, kebab, dotted and camel case."""
    assert looks_secret(key)


@pytest.mark.parametrize("key", ["path", "keyboard", "monkey", "user", "host", "pass_through", "tokenize", "capacity"])
def test_other_key_is_not_taken_for_a_secret(key: str) -> None:
    """A word that only begins or ends like one is free."""
    assert not looks_secret(key)


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("password: hunter2 # old", "password: *************"),
        ("{name: x, api_token: 'hunter2', y: 1}", "{name: x, api_token: ****************"),
        ("{'secret':'hunter2'}", "{'secret':**********"),
        ("key: {env: NAME}", "key: {env: NAME}"),
        ("private_key: |", "private_key: |"),
        ("name: x", "name: x"),
        ("monkey: x", "monkey: x"),
        ("a: b, " * 800 + "password: hunter2", "*" * 100),
    ],
)
def test_line_with_a_secret_is_shown_without_it(line: str, shown: str) -> None:
    """Whatever the problem on that line is, the value behind a secret's key never appears."""
    problem = Source("f", line).problem("S104", "message", Span(1, 1, 1, 2))
    assert problem.source == shown


def test_caret_stands_below_its_word_after_wide_characters() -> None:
    """Terminal cells count, not characters: wide ones take two, combining ones none."""
    problem = Source("f", "東京: e\u0301 x").problem("S104", "message", Span(1, 8, 1, 9), label="here")
    assert problem.render().splitlines()[3:] == [" 1 | 東京: e\u0301 x", "   |         ^ here"]


def test_caret_stands_below_its_word_in_a_long_line() -> None:
    """A long line is cut around the place, never the place out of the line."""
    line = "x" * 500 + "BAD" + "y" * 500
    problem = Source("f", line).problem("S104", "message", Span(1, 501, 1, 504))
    shown, caret = problem.render().splitlines()[3:5]
    assert len(shown) <= 110
    assert shown[caret.index("^") : caret.rindex("^") + 1] == "BAD"


def test_control_characters_of_a_file_never_reach_the_terminal() -> None:
    """Escape sequences in names, lines and messages are replaced."""
    problem = Source("f", "a: \x1b[31m\x07\tb").problem("S104", "message", Span(1, 1, 1, 2))
    assert problem.render().replace("\n", "").isprintable()


def test_problem_has_a_machine_form_with_place_and_text() -> None:
    """The form is JSON and holds every field that the text shows."""
    problem = Source("f.yaml", "a\nbcd").problem("S104", "m", Span(2, 2, 2, 4), label="l", hint="h", note="n")
    assert json.loads(json.dumps(problem.to_json())) == {
        "code": "S104",
        "severity": "error",
        "message": "m",
        "file": "f.yaml",
        "line": 2,
        "column": 2,
        "width": 2,
        "label": "l",
        "hint": "h",
        "note": "n",
    }
    assert problem.place == "f.yaml:2:2"


def test_code_that_is_not_in_the_catalogue_cannot_be_raised() -> None:
    """Every code has its cause and fix."""
    with pytest.raises(KeyError):
        Source("f", "").problem("S999", "message", Span(1, 1, 1, 2))


def test_problems_are_sorted_by_place_and_bounded() -> None:
    """At most twenty are held, in order of reading, and the number of the others is known."""
    many = [Problem("S104", "m", "f", line, 1) for line in range(50, 0, -1)]
    caught = SpecProblems(many)
    assert [problem.line for problem in caught.problems] == list(range(1, MAX_PROBLEMS + 1))
    assert caught.omitted == 30
    assert str(caught).endswith("... and 30 more")
    assert render_problems(caught.problems, omitted=caught.omitted) == str(caught)


def test_errors_are_held_before_warnings() -> None:
    """When not all can be held, what refuses the set is never left out for a warning."""
    warnings = [Problem("S205", "w", "a", line, 1, severity="warning") for line in range(1, 40)]
    caught = SpecProblems([*warnings, Problem("S104", "m", "z", 9, 1)])
    assert caught.problems[-1].code == "S104"
    assert caught.omitted == 20


def test_problems_survive_pickling() -> None:
    """The exception crosses process borders whole."""
    caught = SpecProblems([Problem("S104", "m", "f", line, 1) for line in range(30)])
    again = pickle.loads(pickle.dumps(caught))  # noqa: S301 - our own bytes
    assert (again.problems, again.omitted, str(again)) == (caught.problems, caught.omitted, str(caught))


@given(st.text(max_size=300), st.integers(1, 5), st.integers(1, 400), st.integers(0, 400))
def test_any_text_and_place_can_be_shown(text: str, line: int, column: int, width: int) -> None:
    """A message about a place never fails itself, also when the place is behind the end."""
    rendered = Source("f", text).problem("S104", "m", Span(line, column, line, column + width)).render()
    assert all(ch.isprintable() or ch in string.whitespace for ch in rendered)
