"""Help, usage errors, output: what needs no server."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from shareflow import errors
from shareflow.cli import exits
from shareflow.cli.main import app
from shareflow.cli.main import run as run_here
from shareflow.cli.output import safe
from tests.cli.processes import ROOT, run

EVIL = "a\x1b[31mred\x07\x9b31m\u202eb\nc[bold]d[/bold]"


def command_paths() -> Iterator[tuple[str, ...]]:
    """Every command there is."""
    root = typer.main.get_command(app)

    def walk(command: object, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        children = getattr(command, "commands", {})
        if not children:
            yield path
        for name, child in children.items():
            yield from walk(child, (*path, name))

    return walk(root, ())


def test_every_command_of_the_product_is_there() -> None:
    """The list of commands only grows."""
    words = {" ".join(path) for path in command_paths()}
    shares = (
        "list show create create-from-snapshot snapshot delete-snapshot snapshots revert resize qos migrate retype "
        "delete restore forget"
    )
    operations = (
        "list show watch cancel restore purge-now extend-retention retry-now cutover cancel-migration pause resume "
        "set-bandwidth end-grace"
    )
    others = {
        "up",
        "demo",
        "doctor",
        "version",
        "findings",
        "audit",
        "pool list",
        "pool drain",
        "pool evacuate",
        "type list",
        "qos list",
        "quota show",
        "replica list",
        "replica create",
        "replica resync",
        "replica promote",
        "replica delete",
        "backend failover",
        "backend failback",
    }
    specs = {
        f"spec {word}"
        for word in (
            "check",
            "explain",
            "fmt",
            "schema",
            "help",
            "import manila",
            "plan",
            "apply",
            "drift",
            "test",
            "simulate",
            "inventory",
        )
    }
    assert words >= others | specs
    assert words >= {f"share {word}" for word in shares.split()}
    assert words >= {f"op {word}" for word in operations.split()}


@pytest.mark.parametrize("path", list(command_paths()), ids=" ".join)
def test_every_command_helps_with_an_example_and_prints_json(
    path: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """``--help`` shows a whole example and the option for programs."""
    assert run_here([*path, "--help"]) == exits.OK
    said = capsys.readouterr().out
    assert f"Example: shareflow {' '.join(path)}" in said
    assert "--output" in said


def test_help_is_quick() -> None:
    """Nobody waits for ``--help``."""
    run("--help")  # the first run may have to compile
    began = time.monotonic()
    assert run("share", "create", "--help").code == exits.OK
    assert time.monotonic() - began < 2


def test_help_loads_neither_the_sdk_nor_the_client() -> None:
    """What ``--help`` does not need is not imported, so that it is quick."""
    code = """
import sys
from shareflow.cli.main import run
run(["share", "create", "--help"])
heavy = {"temporalio", "sqlmodel", "yaml", "shareflow.client", "shareflow.contracts.reads"}
sys.exit(" ".join(heavy & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stderr.strip() == ""


def test_exit_codes_are_documented_in_the_help() -> None:
    """Whoever scripts this finds every exit code without reading code."""
    shown = " ".join(run("--help").out.split())
    for code, meaning in exits.MEANINGS.items():
        assert f"{code} {meaning}." in shown


def test_every_error_has_an_exit_code() -> None:
    """No class of error falls through to success."""
    assert {exits.code_of(kind("x")) for kind in errors.ERRORS_BY_NAME.values()} == {1, 2, 3, 4, 5}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("share", "create"), "Missing argument"),
        (("share", "create", "home", "--size", "1GiB", "--colour", "red"), "No such option"),
        (("share", "crate"), "No such command"),
        (("share", "list", "--limit", "-1"), "Invalid value"),
        (("share", "list", "--output", "xml"), "Invalid value"),
    ],
)
def test_misuse_is_one_line_and_a_help_line(arguments: tuple[str, ...], words: str) -> None:
    """A wrong command line says what is wrong and where to look, with exit code 2."""
    done = run(*arguments)
    first, second = done.err.strip().splitlines()
    assert done.code == exits.USAGE
    assert first.startswith("error[usage]: ")
    assert words in first
    assert re.fullmatch(r"help: see `shareflow[a-z -]*--help`", second)
    assert done.out == ""


def test_misuse_in_json_is_one_object_on_standard_error() -> None:
    """Programs get errors in the form that they asked for."""
    done = run("share", "create", "--output=json")
    assert done.code == exits.USAGE
    assert done.error["code"] == "usage"
    assert done.out == ""


def test_bad_input_names_field_and_value() -> None:
    """Bad input is told from a wrong command line by its code, and from a missing server by its exit code."""
    done = run("share", "list", "--project", "a/b", "--output", "json", "--address", "127.0.0.1:1")
    assert done.code == exits.USAGE
    assert (done.error["code"], done.error["field"]) == ("SF100", "project")


def test_absent_server_is_one_line_with_the_next_step() -> None:
    """Nobody sees a stack trace because nothing runs."""
    done = run("share", "list", "--address", "127.0.0.1:1")
    assert done.code == exits.UNAVAILABLE
    first, second = done.err.strip().splitlines()
    assert first.startswith("error[SF400]: the Temporal server at 127.0.0.1:1 does not answer")
    assert "shareflow up" in second
    assert done.out == ""


def test_options_may_stand_before_and_after_the_command() -> None:
    """The nearer one counts."""
    assert json.loads(run("--output", "json", "version").out).keys() == {"shareflow"}
    assert run("--output", "json", "version", "--output", "table").out.startswith("shareflow ")
    before = run("--address", "127.0.0.1:1", "share", "list")
    assert "127.0.0.1:1" in before.err


def test_text_from_outside_cannot_act_on_a_terminal() -> None:
    """No escape sequence, control character or direction mark, and one line."""
    shown = safe(EVIL)
    assert shown.isprintable()
    assert "[bold]" in shown  # brackets are text, not markup


def test_arguments_of_attackers_are_printed_as_text() -> None:
    """An error that repeats an argument repeats it harmlessly, in brackets and all."""
    done = run("share", EVIL)
    assert done.code == exits.USAGE
    assert "\x1b" not in done.err
    assert "\x9b" not in done.err
    assert "\u202e" not in done.err
    assert "[bold]" in done.err


def test_doctor_exits_by_what_is_missing() -> None:
    """The exit code says whether something needed is missing; the JSON names each finding."""
    done = run("doctor", "--output", "json")
    missing = [found["name"] for found in done.data if not found["ok"] and not found["optional"]]
    assert done.code == (exits.FAILED if missing else exits.OK)
    assert {"python", "temporal-server", "driver-directory"} <= {found["name"] for found in done.data}
    table = run("doctor")
    assert all(found["name"] in table.out for found in done.data)


def test_spec_check_accepts_the_default_specs_and_points_at_errors(tmp_path: Path) -> None:
    """A refused set has its own exit code and a position."""
    done = run("spec", "check", str(ROOT / "specs"))
    assert (done.code, done.out.splitlines()[-1]) == (exits.OK, "the set is valid: 0 errors, 0 warnings")
    broken = tmp_path / "types.yaml"
    broken.write_text("apiVersion: shareflow/v1\nkind: ShareType\nname: x\nretentoin: 7 d\n", encoding="utf-8")
    done = run("spec", "check", str(broken))
    assert done.code == exits.CONFIGURATION
    assert f"{broken}:4:1" in done.out
    assert done.out.splitlines()[-1] == "the set is refused: 1 error, 0 warnings"
    problems = run("spec", "check", str(broken), "--output", "json").data
    assert problems["ok"] is False
    assert problems["problems"][0]["line"] == 4
