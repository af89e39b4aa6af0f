"""Every message as text. ``SHAREFLOW_UPDATE_SNAPSHOTS=1`` writes the files anew, to be reviewed as a diff."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dsl.catalogue import CATALOGUE
from dsl.problems import Problem, SpecProblems
from dsl.spec_check import check

HERE = Path(__file__).parent / "snapshots"
CASES = sorted(path.stem for path in HERE.glob("*.yaml"))


MADE: dict[str, Callable[[Path], object]] = {
    "made_missing": Path.exists,
    "made_directory_without_specs": lambda path: path.mkdir(),
    "made_fifo": os.mkfifo,
    "made_too_large": lambda path: path.write_bytes(b"#" * (2**20 + 1)),
    "made_not_utf8": lambda path: path.write_bytes(b"a: 1\nb: caf\xe9\n"),
    "made_utf16": lambda path: path.write_bytes("a: 1".encode("utf-16")),
    "made_nul": lambda path: path.write_bytes(b"a: 1\nb: x\x00y\n"),
    "made_escape_sequence": lambda path: path.write_bytes(b"a: \x1b[31mred\n"),
    "made_direction_mark": lambda path: path.write_text("a: x\u202ey\n", encoding="utf-8"),
    "made_too_deep": lambda path: path.write_text("a: " + "[" * 40 + "]" * 40),
    "made_too_many": lambda path: path.write_text("".join(f"k{i}: 1\n" for i in range(5001))),
    "made_empty": lambda path: path.write_text("# nothing here\n---\n---\n"),
    "made_long_line": lambda path: path.write_text(
        "{apiVersion: shareflow/v1, kind: Quota, description: " + "x" * 300 + ", project: p, limits: {}}\n"
    ),
    "made_many_problems": lambda path: path.write_text(
        "apiVersion: shareflow/v1\nkind: ShareType\nname: a\n" + "".join(f"key{i}: 1\n" for i in range(30))
    ),
}


def _problems(name: str) -> list[Problem]:
    return check([Path(name)])[1]


def _compare(name: str, problems: list[Problem]) -> None:
    expected = HERE / f"{name}.txt"
    every = "\n\n".join(problem.render() for problem in problems)  # as `shareflow spec check` shows them
    text = (SpecProblems(problems).render() if name.startswith("made_") else every) + "\n"
    if os.environ.get("SHAREFLOW_UPDATE_SNAPSHOTS"):
        expected.write_text(text, encoding="utf-8")
    assert text == expected.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", CASES)
def test_broken_file_gives_exactly_these_messages(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Code, place, line, caret, help and note of each problem are what was reviewed."""
    monkeypatch.chdir(HERE)
    _compare(name, _problems(f"{name}.yaml"))


@pytest.mark.parametrize("name", sorted(MADE))
def test_file_that_cannot_be_read_gives_exactly_these_messages(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files that do not belong into a repository are made on the spot; their messages are reviewed as well."""
    monkeypatch.chdir(tmp_path)
    MADE[name](Path("spec.yaml"))
    _compare(name, _problems("spec.yaml"))


def _every_problem(tmp_path: Path) -> Iterator[Problem]:
    for case in CASES:
        yield from check([HERE / f"{case}.yaml"])[1]
    for name, make in MADE.items():
        path = tmp_path / f"{name}.yaml"
        make(path)
        yield from check([path])[1]


def test_every_code_of_the_catalogue_is_shown_by_a_case(tmp_path: Path) -> None:
    """A code that nothing raises, or that no reviewed message shows, is a mistake."""
    # Tests, replays, expressions, what comes from Manila and what commands say have files of their own.
    codes = {code for code in CATALOGUE if not code.startswith(("S26", "S27", "S3", "S4", "S5"))}
    assert codes <= {problem.code for problem in _every_problem(tmp_path)}


def test_every_message_is_short_and_names_the_next_step(tmp_path: Path) -> None:
    """One title of at most 72 characters without line breaks, one help line, a caret inside the line."""
    for problem in _every_problem(tmp_path):
        assert len(problem.message) <= 72, problem.message
        assert problem.hint
        assert all("\n" not in text for text in (problem.message, problem.hint, problem.label, problem.note))
        assert problem.render().isprintable() or "\n" in problem.render()
        if problem.line:
            assert 0 <= problem.column - 1 - problem.shift <= len(problem.source)
            assert len(problem.source) <= 100


def test_no_secret_is_in_any_message() -> None:
    """The value that stands where a reference belongs is in neither form of the message."""
    problems = check([HERE / "secrets.yaml"])[1]
    assert sum(problem.code == "S107" for problem in problems) == 9
    assert "hunter2" not in SpecProblems(problems).render()
    assert "hunter2" not in repr(problems)
    assert "hunter2" not in str([problem.to_json() for problem in problems])


def test_each_code_says_cause_and_fix() -> None:
    """The catalogue is documentation: full sentences for cause and fix, a title without a period."""
    for code, entry in CATALOGUE.items():
        assert re.fullmatch(r"S\d{3}", code)
        assert not entry.title.endswith(".")
        assert entry.cause.endswith(".")
        assert entry.fix.endswith(".")
