"""``shareflow spec fmt``, ``schema``, ``help`` and ``import``: commands on files, without any server."""

from __future__ import annotations

import io
import json
import os
import re
import stat
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dsl.catalogue import CATALOGUE
from dsl.schema import schema_text
from dsl.spec_set import load_specs
from shareflow.cli import exits
from shareflow.cli.main import run as run_here
from shareflow.errors import ERRORS_BY_CODE
from tests.cli.processes import ROOT, Done

UGLY = "name: a\nkind: Quota   # c\nlimits: {}\nproject: p\napiVersion: shareflow/v1\n"
TIDY = "apiVersion: shareflow/v1\nkind: Quota  # c\nname: a\nproject: p\nlimits: {}\n"
TYPES = '{"gold": {"media": "ssd", "snapshot_support": "True"}, "silver": {"media": "hdd"}}'
LOST = '{"gold": {"media": "s> ssd"}}'


@pytest.fixture(name="run")
def run_fixture(capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs a command line in this process."""

    def run(*arguments: object) -> Done:
        code = run_here([str(argument) for argument in arguments])
        said = capsys.readouterr()
        return Done(code, said.out, said.err)

    return run


def _file(path: Path, text: str = UGLY) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())
    return path


def test_fmt_writes_the_form_and_says_which_files(run: Any, tmp_path: Path) -> None:
    """Files in form are not touched, others are; a second run changes nothing."""
    ugly, tidy = _file(tmp_path / "a" / "ugly.yaml"), _file(tmp_path / "tidy.yml", TIDY)
    os.utime(tidy, (1, 1))
    done = run("spec", "fmt", tmp_path)
    assert (done.code, done.err) == (exits.OK, "")
    assert done.out.splitlines() == [f"formatted: {ugly}", "1 formatted, 1 in form, 0 refused"]
    assert ugly.read_text() == TIDY
    assert tidy.stat().st_mtime == 1
    assert run("spec", "fmt", tmp_path).out == "0 formatted, 2 in form, 0 refused\n"


@pytest.mark.parametrize("option", ["--check", "--diff"])
def test_fmt_with_check_or_diff_writes_nothing(run: Any, tmp_path: Path, option: str) -> None:
    """The exit code tells a pipeline that files are not in form, apart from every error."""
    ugly = _file(tmp_path / "ugly.yaml")
    done = run("spec", "fmt", tmp_path, option)
    assert done.code == exits.CHANGED
    assert ugly.read_text() == UGLY
    assert run("spec", "fmt", _file(tmp_path / "tidy.yaml", TIDY), option).code == exits.OK


def test_fmt_diff_shows_what_would_change(run: Any, tmp_path: Path) -> None:
    """As other tools show it: lines that go, lines that come."""
    lines = run("spec", "fmt", _file(tmp_path / "ugly.yaml"), "--diff").out.splitlines()
    assert lines[0] == f"--- {tmp_path / 'ugly.yaml'}"
    assert lines[1] == f"+++ {tmp_path / 'ugly.yaml'} (formatted)"
    assert {"-kind: Quota   # c", "+kind: Quota  # c", "+apiVersion: shareflow/v1"} <= set(lines)


def test_fmt_in_json_names_every_file(run: Any, tmp_path: Path) -> None:
    """Programs learn which files changed, the difference when they ask for it, and every problem."""
    _file(tmp_path / "a.yaml"), _file(tmp_path / "b.yaml", TIDY), _file(tmp_path / "c.yaml", "a: *b\n")
    done = run("spec", "fmt", tmp_path, "--diff", "-o", "json")
    assert done.code == exits.CONFIGURATION
    assert [(Path(file["file"]).name, file["changed"]) for file in done.data["files"]] == [
        ("a.yaml", True),
        ("b.yaml", False),
    ]
    assert "+kind: Quota  # c" in done.data["files"][0]["diff"]
    assert (done.data["ok"], done.data["written"]) == (False, False)
    assert [problem["code"] for problem in done.data["problems"]] == ["S007"]
    assert run("spec", "fmt", tmp_path / "a.yaml", "-o", "json").data["written"] is True


def test_fmt_leaves_a_refused_file_alone_and_formats_the_others(run: Any, tmp_path: Path) -> None:
    """The problems are those of `spec check`, with place and help."""
    broken, ugly = _file(tmp_path / "a.yaml", "a: [1\nb: 2\n"), _file(tmp_path / "b.yaml")
    done = run("spec", "fmt", tmp_path)
    assert done.code == exits.CONFIGURATION
    assert broken.read_text() == "a: [1\nb: 2\n"
    assert ugly.read_text() == TIDY
    assert f"--> {broken}:1:4" in done.err
    assert "help: " in done.err
    assert done.out.endswith("1 formatted, 0 in form, 1 refused\n")


def test_fmt_of_a_missing_path_is_an_error_with_its_code(run: Any, tmp_path: Path) -> None:
    """A mistyped path is not taken for a directory in form."""
    done = run("spec", "fmt", tmp_path / "none")
    assert done.code == exits.CONFIGURATION
    assert "error[S001]" in done.err


def test_fmt_keeps_mode_and_links_and_leaves_nothing_behind(run: Any, tmp_path: Path) -> None:
    """A file that others may read stays so; a link stays a link to the file that was formatted."""
    ugly = _file(tmp_path / "real.yaml")
    ugly.chmod(0o640)
    link = tmp_path / "sub" / "link.yaml"
    link.parent.mkdir()
    link.symlink_to(ugly)
    assert run("spec", "fmt", link).code == exits.OK
    assert link.is_symlink()
    assert ugly.read_text() == TIDY
    assert stat.S_IMODE(ugly.stat().st_mode) == 0o640
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["link.yaml", "real.yaml", "sub"]


def test_fmt_that_fails_while_writing_leaves_the_file_as_it_was(
    run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old content is there until the new one is whole."""
    ugly = _file(tmp_path / "ugly.yaml")

    def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    done = run("spec", "fmt", ugly)
    assert done.code == exits.FAILED
    assert "No space left" in done.err
    assert [path.read_text() for path in tmp_path.iterdir()] == [UGLY]


@pytest.mark.parametrize("text", ["\ufeff" + TIDY, TIDY.replace("\n", "\r\n"), TIDY.rstrip("\n")])
def test_fmt_counts_bytes_that_nobody_sees(run: Any, tmp_path: Path, text: str) -> None:
    """A byte order mark, line breaks of another system and a missing last line break are differences."""
    file = _file(tmp_path / "x.yaml", text)
    assert run("spec", "fmt", "--check", file).code == exits.CHANGED
    assert run("spec", "fmt", file).code == exits.OK
    assert file.read_bytes() == TIDY.encode()


def test_fmt_takes_tests_of_specs_and_leaves_hidden_files(run: Any, tmp_path: Path) -> None:
    """Tests beside specs have the same form."""
    test, hidden = _file(tmp_path / "a.test.yaml"), _file(tmp_path / ".hidden.yaml")
    assert run("spec", "fmt", tmp_path).code == exits.OK
    assert (test.read_text(), hidden.read_text()) == (TIDY, UGLY)


def test_schema_is_printed_or_written(run: Any, tmp_path: Path) -> None:
    """The output is the schema and nothing else; a file is not replaced by accident."""
    assert run("spec", "schema").out == schema_text() == (ROOT / "specs" / "schema.json").read_text()
    assert json.loads(run("spec", "schema", "Quota", "-o", "json").out)["title"] == "Quota"
    target = tmp_path / "schema.json"
    assert run("spec", "schema", "--to", target).code == exits.OK
    assert target.read_text() == schema_text()
    target.write_text("mine")
    refused = run("spec", "schema", "--to", target)
    assert (refused.code, target.read_text()) == (exits.USAGE, "mine")
    assert "--force" in refused.err
    assert run("spec", "schema", "--to", target, "--force", "-o", "json").data == {"written": [str(target)]}
    assert target.read_text() == schema_text()


def test_schema_of_an_unknown_kind_names_the_nearest(run: Any) -> None:
    """A mistyped kind is told from a kind without a schema."""
    done = run("spec", "schema", "Quta")
    assert done.code == exits.USAGE
    assert "did you mean `Quota`?" in done.err


@pytest.mark.parametrize("code", sorted(CATALOGUE))
def test_help_has_title_cause_and_fix_of_every_code(run: Any, code: str) -> None:
    """What the catalogue says, in any case of letters."""
    done = run("spec", "help", code.lower(), "-o", "json")
    assert done.data == {"code": code, **CATALOGUE[code]._asdict()}
    shown = run("spec", "help", code).out
    assert all(text in shown for text in CATALOGUE[code])


def test_help_knows_the_errors_of_operations(run: Any) -> None:
    """Codes of errors are looked up in the same place."""
    for code, error in ERRORS_BY_CODE.items():
        assert run("spec", "help", code, "-o", "json").data["title"] == error.__name__


def test_help_without_a_code_lists_all(run: Any) -> None:
    """Every code with its title."""
    codes = [entry["code"] for entry in run("spec", "help", "-o", "json").data]
    assert codes == sorted(CATALOGUE) + sorted(ERRORS_BY_CODE)
    assert all(f"{code} " in run("spec", "help").out for code in ("S101", "SF200"))


@pytest.mark.parametrize(("wrong", "near"), [("S110", "S101"), ("S1001", "S101"), ("101", "S101"), ("SF2000", "SF200")])
def test_help_for_an_unknown_code_names_the_nearest(run: Any, wrong: str, near: str) -> None:
    """A mistyped code is an error with its own exit code, and usually the right answer."""
    done = run("spec", "help", wrong)
    assert done.code == exits.USAGE
    assert f"did you mean `{near}`?" in done.err


def test_help_for_nonsense_points_at_the_list(run: Any) -> None:
    """Nothing silly is suggested."""
    done = run("spec", "help", "\x1b[31mwhatever is this " + "x" * 500)
    assert done.code == exits.USAGE
    assert "did you mean" not in done.err
    assert "\x1b" not in done.err
    assert "shareflow spec help" in done.err


def test_import_shows_each_translation_beside_its_source(run: Any, tmp_path: Path) -> None:
    """Without a target nothing is written."""
    done = run("spec", "import", "manila", _file(tmp_path / "types.json", TYPES))
    assert done.code == exits.OK
    assert 'media = "ssd"' in done.out
    assert '->  pool.media == "ssd"' in done.out
    assert [path.name for path in tmp_path.iterdir()] == ["types.json"]


def test_import_writes_documents_where_asked(run: Any, tmp_path: Path) -> None:
    """All in one file, or a file for each type in a directory that is made."""
    source, one, many = _file(tmp_path / "types.json", TYPES), tmp_path / "types.yaml", tmp_path / "new" / "types"
    assert run("spec", "import", "manila", source, "--to", one).out.endswith(f"wrote {one}\n")
    assert run("spec", "import", "manila", source, "--to-dir", many).code == exits.OK
    assert one.read_text().count("kind: ShareType\n") == 2
    assert sorted(path.name for path in many.iterdir()) == ["gold.yaml", "silver.yaml"]
    assert run("spec", "fmt", "--check", tmp_path).code == exits.OK


def test_import_replaces_nothing_without_force(run: Any, tmp_path: Path) -> None:
    """When one of the files exists none is written."""
    source, mine = _file(tmp_path / "types.json", TYPES), _file(tmp_path / "types" / "silver.yaml", "mine")
    done = run("spec", "import", "manila", source, "--to-dir", mine.parent)
    assert done.code == exits.USAGE
    assert "silver.yaml` exists" in done.err
    assert [path.read_text() for path in mine.parent.iterdir()] == ["mine"]
    assert run("spec", "import", "manila", source, "--to-dir", mine.parent, "--force").code == exits.OK
    assert "name: silver" in mine.read_text()


def test_import_with_a_loss_has_its_own_exit_code(run: Any, tmp_path: Path) -> None:
    """The documents are written all the same, and the output says what is missing."""
    target = tmp_path / "types.yaml"
    done = run("spec", "import", "manila", _file(tmp_path / "types.json", LOST), "--to", target)
    assert done.code == exits.INCOMPLETE
    assert "error[S404]" in done.out
    assert "name: gold" in target.read_text()


@pytest.mark.parametrize("text", ["", "[1", "just text", "a: *b"])
def test_import_of_what_is_no_list_of_types_is_refused(run: Any, tmp_path: Path, text: str) -> None:
    """Nothing is written, and the problem has a code and a help line."""
    target = tmp_path / "types.yaml"
    done = run("spec", "import", "manila", _file(tmp_path / "types.json", text), "--to", target)
    assert (done.code, done.out, target.exists()) == (exits.CONFIGURATION, "", False)
    assert "error[S" in done.err
    assert "help: " in done.err


def test_import_of_a_missing_file_is_refused(run: Any, tmp_path: Path) -> None:
    """With the code of a file that cannot be read, in both forms of output."""
    assert "error[S001]" in run("spec", "import", "manila", tmp_path / "none").err
    data = run("spec", "import", "manila", tmp_path / "none", "-o", "json").data
    assert (data["complete"], data["problems"][0]["code"]) == (False, "S001")


def test_import_reads_standard_input(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that it can stand behind a pipe."""
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(TYPES.encode())))
    data = run("spec", "import", "manila", "-", "-o", "json").data
    assert [found["name"] for found in data["types"]] == ["gold", "silver"]


def test_import_in_json_has_everything(run: Any, tmp_path: Path) -> None:
    """Translations with their remarks, problems with their places, documents, and what was written."""
    target = tmp_path / "types.yaml"
    done = run("spec", "import", "manila", _file(tmp_path / "t.json", LOST), "--to", target, "-o", "json")
    (gold,) = done.data["types"]
    (translation,) = gold["translations"]
    assert (done.code, done.data["complete"]) == (exits.INCOMPLETE, False)
    assert (translation["source"], translation["expression"]) == ('media = "s> ssd"', None)
    assert translation["remarks"][0]["code"] == "S404"
    assert done.data["written"] == [str(target)]
    assert "S404" in {problem["code"] for problem in done.data["problems"]}
    assert gold["text"] in target.read_text()


def test_import_into_file_and_directory_at_once_is_refused(run: Any, tmp_path: Path) -> None:
    """One of the two would be a surprise."""
    done = run("spec", "import", "manila", _file(tmp_path / "t.json", TYPES), "--to", "a", "--to-dir", tmp_path / "b")
    assert (done.code, (tmp_path / "b").exists()) == (exits.USAGE, False)


def test_specs_in_form_are_the_same_specs(run: Any, tmp_path: Path) -> None:
    """Formatting changes no digest, so no share type gets another version."""
    files = list(ROOT.glob("specs/*.yaml"))
    for path in files:
        ugly, count = re.subn(r"(apiVersion: .*\n)(kind: .*\n)", r"\2\n\n\1", path.read_text())
        assert count > 0
        _file(tmp_path / path.name, ugly)
    before = load_specs([tmp_path]).digest
    assert f"{len(files)} formatted" in run("spec", "fmt", tmp_path).out
    assert load_specs([tmp_path]).digest == before == load_specs([ROOT / "specs"]).digest
