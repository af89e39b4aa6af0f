"""``shareflow spec test`` and ``simulate``: commands on files, without any server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from shareflow.cli import exits
from shareflow.cli.main import run as run_here
from tests.cli.processes import ROOT, Done

SPECS = ROOT / "specs"
HEADER = "apiVersion: shareflow/v1\nkind: "
TYPE = HEADER + "ShareType\nname: standard\n"
BACKEND = HEADER + "Backend\nname: x\ndriver: directory\npools: [{name: p}, {name: q}]\n"
INVENTORY = (
    HEADER + "SavedInventory\npools: [{backend: x, name: p, total: 9 GiB}, {backend: x, name: q, total: 5 GiB}]\n"
)
PASSES = HEADER + "PlacementTest\nname: goes to p\nrequest: {size: 1 GiB}\nexpect: {pool: p}\n"
FAILS = HEADER + "PlacementTest\nname: goes to q\nrequest: {size: 1 GiB}\nexpect: {pool: q}\n"


@pytest.fixture(name="run")
def run_fixture(capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs a command line in this process."""

    def run(*arguments: object) -> Done:
        code = run_here([str(argument) for argument in arguments])
        said = capsys.readouterr()
        return Done(code, said.out, said.err)

    return run


@pytest.fixture(name="specs")
def specs_fixture(tmp_path: Path) -> Path:
    """A set of one type and two pools."""
    directory = tmp_path / "specs"
    directory.mkdir()
    (directory / "specs.yaml").write_text(f"{TYPE}---\n{BACKEND}")
    return directory


def test_examples_pass_with_full_coverage(run: Any) -> None:
    """What is shipped can be run as the page says."""
    done = run("spec", "test", SPECS, "--coverage", "--min-coverage", "100")
    assert (done.code, done.err) == (exits.OK, "")
    assert "0 failed" in done.out
    assert done.out.splitlines()[-1].startswith("coverage: 100 % of ")


def test_failed_test_has_its_exit_code_and_the_rules(run: Any, specs: Path) -> None:
    """One failed test does not hide the others."""
    (specs / "a.test.yaml").write_text(f"{FAILS}---\n{PASSES}")
    done = run("spec", "test", specs)
    assert done.code == exits.FAILED
    lines = done.out.splitlines()
    assert lines[0] == f"FAILED  {specs / 'a.test.yaml'}:3:7  goes to q"
    assert lines[1:3] == ["    expected: the best pool is x/q", "    got:      x/p is the best of 2 pools that fit"]
    assert "    x/q: kept, rank 2 (0 B provisioned + 1 GiB requested of 100 TiB, leaves 100.00 TiB)" in lines
    assert f"ok      {specs / 'a.test.yaml'}:9:7  goes to p" in lines
    assert lines[-1] == "2 tests: 1 passed, 1 failed"


def test_one_test_is_chosen_by_a_part_of_its_name(run: Any, specs: Path) -> None:
    """In any case of letters; a name that no test has is a mistake, with names that there are."""
    (specs / "a.test.yaml").write_text(f"{FAILS}---\n{PASSES}")
    done = run("spec", "test", specs, "-k", "TO P")
    assert (done.code, done.out.splitlines()[-1]) == (exits.OK, "1 test: 1 passed, 0 failed")
    unknown = run("spec", "test", specs, "-k", "gold")
    assert unknown.code == exits.USAGE
    assert "goes to q" in unknown.err


def test_coverage_below_what_is_asked_for_fails(run: Any, specs: Path) -> None:
    """The gaps are listed with their places; without the option coverage is not looked at."""
    (specs / "more.yaml").write_text(HEADER + "ShareType\nname: more\nrequire: pool.free >= 1 GiB\n")
    (specs / "a.test.yaml").write_text(PASSES)
    assert run("spec", "test", specs).code == exits.OK
    assert run("spec", "test", specs, "--coverage").code == exits.OK
    done = run("spec", "test", specs, "--min-coverage", "50")
    assert done.code == exits.FAILED
    assert f"{specs / 'more.yaml'}:4:10: ShareType more: `pool.free >= 1 GiB` was never asked" in done.out
    assert done.out.splitlines()[-1] == "coverage is 0.0 %, less than the 50 % asked for"
    assert run("spec", "test", specs, "--min-coverage", "150").code == exits.USAGE


def test_refused_set_or_test_runs_nothing(run: Any, specs: Path) -> None:
    """With an exit code of its own and every problem at its place."""
    (specs / "a.test.yaml").write_text(PASSES.replace("size: 1 GiB", "size: 1 GB"))
    done = run("spec", "test", specs)
    assert done.code == exits.CONFIGURATION
    assert f"{specs / 'a.test.yaml'}:4:17" in done.out
    assert done.out.splitlines()[-1] == "the specs or their tests are refused: 1 error; no test ran"
    nothing = run("spec", "test", specs / "specs.yaml")
    assert nothing.code == exits.CONFIGURATION
    assert "error[S262]" in nothing.out
    data = run("spec", "test", specs, "-o", "json").data
    assert (data["ok"], data["tests"], [one["code"] for one in data["problems"]]) == (False, [], ["S106"])


def test_results_as_json(run: Any, specs: Path) -> None:
    """Programs get the failures, the decision and the coverage."""
    (specs / "a.test.yaml").write_text(f"{FAILS}---\n{PASSES}")
    done = run("spec", "test", specs, "--coverage", "-o", "json")
    assert done.code == exits.FAILED
    assert (done.data["ok"], [one["ok"] for one in done.data["tests"]]) == (False, [False, True])
    assert done.data["tests"][0]["failures"][0]["expected"] == "the best pool is x/q"
    assert done.data["coverage"] == {"percent": 100.0, "rules": []}
    quiet = run("spec", "test", specs, "-k", "to p", "-o", "json").data
    assert (quiet["ok"], quiet["coverage"]) == (True, None)


def _simulate(run: Any, specs: Path, new: str, requests: str, *more: str, inventory: str = INVENTORY) -> Done:
    """A replay of the set against a changed one."""
    changed = specs.parent / "new"
    changed.mkdir(exist_ok=True)
    (changed / "specs.yaml").write_text(f"{TYPE}{new}---\n{BACKEND}")
    asked, picture = specs.parent / "requests.yaml", specs.parent / "inventory.yaml"
    asked.write_text(requests)
    picture.write_text(inventory)
    files = ["--requests", asked, "--inventory", picture]
    done: Done = run("spec", "simulate", *files, "--old", specs, "--new", changed, *more)
    return done


def test_replay_shows_what_would_move_and_why(run: Any, specs: Path) -> None:
    """Exit code 6 when something would; what stays is counted."""
    done = _simulate(run, specs, "spread: {by: pool}\n", "[{size: 1 GiB}, {size: 1 GiB, name: web}, {size: 9 GiB}]")
    assert done.code == exits.CHANGED
    lines = done.out.splitlines()
    assert lines[0] == "moved    web (1 GiB, standard): x/p -> x/q"
    assert lines[1] == "         x/p does not fit any more: pool x/p has 1 of them, 0 are in the emptiest pool"
    assert lines[2] == "nowhere  request 3 (9 GiB, standard): nowhere -> nowhere"
    assert [line.split() for line in lines[5:7]] == [
        ["x/p", "2", "2", "GiB", "1", "1", "GiB"],
        ["x/q", "0", "0", "B", "1", "1", "GiB"],
    ]
    assert lines[-1] == "3 requests: 1 unchanged, 1 moved, 1 nowhere"


def test_replay_without_a_change_is_clean(run: Any, specs: Path) -> None:
    """Exit code 0, and JSON has every request."""
    done = _simulate(run, specs, "", "[{size: 1 GiB}]", "-o", "json")
    assert done.code == exits.OK
    assert done.data["counts"] == {"unchanged": 1}
    assert done.data["outcomes"][0]["after"] == "x/p"
    load = {"shares": 1, "bytes": 2**30}
    assert done.data["totals"]["x/p"] == {"before": load, "after": load}


def test_replay_of_refused_files_tells_all_problems(run: Any, specs: Path) -> None:
    """Specs, requests and inventory at once."""
    arguments = (run, specs, "colour: red\n", "[{size: 1 GB}]")
    done = _simulate(*arguments, inventory="a: 1\n")
    assert done.code == exits.CONFIGURATION
    assert [code for code in ("S103", "S104", "S106") if f"error[{code}]" not in done.out] == []
    assert done.out.splitlines()[-1] == "nothing was replayed"
    data = _simulate(*arguments, "-o", "json", inventory="a: 1\n").data
    assert {one["code"] for one in data["problems"]} == {"S103", "S104", "S106"}
    assert json.dumps(data)
