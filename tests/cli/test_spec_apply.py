"""``shareflow spec plan`` and ``spec apply`` as a person and as a pipeline use them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from shareflow.cli import exits
from tests.cli.processes import Up, run


def _files(up: Up, directory: Path, *more: str, without: str = "") -> Path:
    """The specs that the worker started with, with documents added, and one taken away by name."""
    texts = [text for file in sorted(up.specs.rglob("*.yaml")) for text in file.read_text().split("\n---\n")]
    kept = [text for text in texts if not without or yaml.safe_load(text).get("name") != without]
    directory.mkdir(exist_ok=True)
    (directory / "specs.yaml").write_text("\n---\n".join([*kept, *more]))
    return directory


def _type(name: str, extra: str = "") -> str:
    return f"apiVersion: shareflow/v1\nkind: ShareType\nname: {name}\n{extra}"


def test_plan_is_written_applied_once_and_stale_afterwards(up: Up, tmp_path: Path) -> None:
    """The whole way of a pipeline, told apart by exit codes: changed, applied, clean, refused."""
    specs, plan, stale = _files(up, tmp_path / "s", _type("piped")), tmp_path / "plan.json", tmp_path / "stale.json"
    planned = up.run("spec", "plan", str(specs), "--out", str(plan))
    assert planned.code == exits.CHANGED, planned.err
    assert "+ ShareType piped" in planned.out
    again = up.run("spec", "plan", str(specs), "--out", str(plan))
    assert again.code == exits.USAGE
    assert "--force" in again.err
    stale.write_text(plan.read_text())
    applied = up.run("spec", "apply", str(plan), "--yes", "-o", "json")
    assert applied.code == exits.CHANGED, applied.err
    assert [line["name"] for line in applied.data["changed"]] == ["piped"]
    assert "piped" in {kind["name"] for kind in up.json("type", "list")}
    clean = up.run("spec", "plan", str(specs))
    assert (clean.code, clean.out.startswith("nothing to do")) == (exits.OK, True)
    assert up.run("spec", "apply", str(specs), "--yes").code == exits.OK
    moved = up.run("spec", "apply", str(stale), "--yes", "-o", "json")
    assert (moved.code, moved.error["code"]) == (exits.FAILED, "SF109")


def test_removal_in_use_needs_its_name(up: Up, tmp_path: Path) -> None:
    """Nothing is started before the name is given; the share of a type that is gone can still be deleted."""
    assert up.run("spec", "apply", str(_files(up, tmp_path / "a", _type("goes"))), "--yes").code == exits.CHANGED
    up.json("share", "create", "held", "--size", "1GiB", "--type", "goes", "--zone", "a")
    without = str(_files(up, tmp_path / "b"))
    planned = up.run("spec", "plan", without, "-o", "json")
    assert [(line["name"], line["in_use"]) for line in planned.data["lines"] if line["in_use"]] == [("goes", 1)]
    refused = up.run("spec", "apply", without, "--yes", "-o", "json")
    assert (refused.code, refused.error["code"]) == (exits.FAILED, "SF110")
    assert "--allow goes" in refused.error["hint"]
    assert up.run("spec", "apply", without, "--yes", "--allow", "ShareType/goes").code == exits.CHANGED
    deleted = up.json("share", "delete", "held")
    assert up.run("op", "purge-now", deleted["operation"]).code == exits.OK


def test_nobody_to_ask_means_nothing_is_applied(up: Up, tmp_path: Path) -> None:
    """A pipeline that forgets --yes is told so, and the set stays."""
    specs = str(_files(up, tmp_path / "s", _type("unasked")))
    done = up.run("spec", "apply", specs)
    assert done.code == exits.USAGE
    assert "--yes" in done.err
    assert "unasked" not in {kind["name"] for kind in up.json("type", "list")}


def test_refused_set_is_told_with_its_place_and_reaches_no_server(tmp_path: Path) -> None:
    """What the files say wrong is found before anybody is asked; exit code 3."""
    (tmp_path / "bad.yaml").write_text(_type("x", "colour: red\n"))
    for word in ("plan", "apply"):
        done = run("spec", word, str(tmp_path), "--address", "127.0.0.1:1")
        assert done.code == exits.CONFIGURATION
        assert "bad.yaml:4:1" in done.err


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", json.dumps({"format": "other/v1", "documents": [{}], "plan": {}})], ids=repr
)
def test_file_that_is_no_plan_is_a_usage_error(text: str, tmp_path: Path) -> None:
    """One line that says how a plan is made, and no traceback."""
    file = tmp_path / "plan.json"
    file.write_text(text)
    done = run("spec", "apply", str(file), "--yes", "--address", "127.0.0.1:1")
    assert done.code == exits.USAGE, done.err
    assert "is no plan" in done.err
    assert "Traceback" not in done.err


def test_drift_tells_clean_from_changed_and_refused_by_exit_code(up: Up, tmp_path: Path) -> None:
    """What a pipeline runs every night."""
    specs = _files(up, tmp_path / "s", _type("nightly"))
    assert up.run("spec", "apply", str(specs), "--yes").code == exits.CHANGED
    clean = up.run("spec", "drift", str(specs))
    assert (clean.code, clean.out) == (exits.OK, "no drift\n")
    (specs / "more.yaml").write_text(_type("only-in-git"))
    found = up.run("spec", "drift", str(specs), "-o", "json")
    assert found.code == exits.CHANGED
    assert [(row["name"], row["git"], row["inventory"]) for row in found.data["rows"]] == [
        ("only-in-git", "declared", None)
    ]
    assert "only-in-git" in up.run("spec", "drift", str(specs)).out
    assert up.run("spec", "drift").code == exits.OK
    (specs / "more.yaml").write_text(_type("x", "colour: red\n"))
    assert up.run("spec", "drift", str(specs)).code == exits.CONFIGURATION
