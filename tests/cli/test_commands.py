"""The commands against a real server, worker and array, as a user types them."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from shareflow.cli import exits
from tests.cli.processes import ROOT, SNAPSHOT_SECONDS, Up, argv, environment, until


@pytest.fixture
def home(up: Up) -> Iterator[str]:
    """A share of 1 GiB that goes away with the test."""
    name = f"home-{time.monotonic_ns()}"
    up.json("share", "create", name, "--size", "1GiB", "--zone", "a")
    yield name
    deleted = up.run("share", "delete", name, "-o", "json")
    if deleted.code == exits.OK:
        up.run("op", "purge-now", deleted.data["operation"])


def test_life_of_a_share(up: Up) -> None:
    """Create, show, list, snapshot, clone, revert, resize, delete, restore, purge, each with its table and JSON."""
    made = up.json("share", "create", "life", "--size", "1GiB", "--description", "all of it", "--zone", "a")
    assert (made["name"], made["size"], made["state"]) == ("life", 2**30, "succeeded")
    shown = up.run("share", "show", "life")
    assert shown.code == exits.OK
    assert "all of it" in shown.out
    assert "1 GiB" in shown.out
    assert up.json("share", "show", made["share_id"])["name"] == "life"
    assert up.json("share", "snapshot", "life", "monday")["size"] == 2**30
    assert [s["name"] for s in up.json("share", "snapshots", "life")] == ["monday"]
    copy = up.json("share", "create-from-snapshot", "copy", "life", "monday", "--size", "2GiB", "--zone", "b")
    assert (copy["size"], copy["pool"]) == (2 * 2**30, "p2")
    assert up.json("share", "revert", "life", "monday")["name"] == "life"
    assert up.json("share", "resize", "life", "--size", "3GiB")["size"] == 3 * 2**30
    assert [s["name"] for s in up.json("share", "list", "--sort", "size")] == ["copy", "life"]
    table = up.run("share", "list").out.splitlines()
    assert table[0].split()[:3] == ["NAME", "STATUS", "SIZE"]
    assert all(line == line.rstrip() for line in table)
    preview = up.json("share", "delete", "life", "--preview")
    assert {item["name"] for item in preview["tree"]} == {"life", "monday"}
    deleted = up.json("share", "delete", "life")
    assert deleted["phase"] == "recycle-bin"
    assert [s["name"] for s in up.json("share", "list", "--deleted")] == ["life"]
    assert "life" in up.run("share", "restore", "life").out
    assert up.json("share", "delete-snapshot", "life", "monday")["name"] == "monday"
    for name in ("life", "copy"):
        bin_ = up.json("share", "delete", name, "--reason", "done with it")
        assert up.run("op", "extend-retention", bin_["operation"], "1 d").code == exits.OK
        assert up.run("op", "purge-now", bin_["operation"]).code == exits.OK
        assert up.json("op", "show", bin_["operation"])["state"] == "succeeded"
    assert up.run("share", "list").out == "No shares.\n"
    assert up.run("share", "list", "--deleted").out == "The recycle bin is empty.\n"


def test_quality_of_service_of_a_share(up: Up, home: str) -> None:
    """Given by name, shown with a verdict per key, taken away with none; an unknown class names the known ones."""
    given = up.json("share", "qos", home, "gold")
    assert {key["key"]: key["verdict"] for key in given["qos"]["keys"]} == {
        "max_iops": "exact", "max_throughput": "rounded",
    }  # fmt: skip
    lines = [" ".join(line.split()) for line in up.run("share", "show", home).out.splitlines()]
    assert any(line.startswith("qos class gold (version ") and line.endswith(", required)") for line in lines)
    assert "max_iops 10 IOPS (exact); 10 IOPS per GiB x 1 GiB provisioned = 10 IOPS" in lines
    assert any(line.startswith("max_throughput 1 MiB/s (rounded to 976.56 KiB/s: the array counts") for line in lines)
    assert "qos class none" in " ".join(up.run("share", "qos", home, "none").out.split())
    assert up.json("share", "show", home)["qos"] is None
    unknown = up.run("share", "qos", home, "golt")
    assert unknown.code != exits.OK
    assert "there is no QoS class 'golt'" in unknown.err
    assert "classes: gold" in unknown.err
    listed = " ".join(up.run("qos", "list").out.split())
    assert "max_iops_per_gib=10 max_throughput=1 MiB/s quick" in listed
    assert [one["name"] for one in up.json("qos", "list")] == ["gold"]


def test_share_is_migrated_with_commands(up: Up, home: str) -> None:
    """Planned, started, watched, held up, limited, cut over; every step with its answer and exit code."""
    plan = up.run("share", "migrate", home, "--to", "p2", "--dry-run")
    assert plan.code == exits.OK, plan.err
    lines = [" ".join(line.split()) for line in plan.out.splitlines() if line]
    assert "to slow/p2" in lines
    assert {line.split()[0] for line in lines} >= {"writable", "preserve_metadata", "preserve_snapshots"}
    started = up.json("share", "migrate", home, "--to", "b", "--grace", "0", "--request-id", f"m-{home}")
    assert (started["phase"], started["migration"]["destination"]) == ("catching-up", "slow/p2")
    operation = f"default:m-{home}"
    shown = up.run("op", "show", operation).out
    assert "slow/p1 to slow/p2" in shown
    assert f"shareflow op set-bandwidth {operation} '50 MiB/s'" in shown
    assert up.json("op", "set-bandwidth", operation, "5 MiB/s")["answer"] == "5 MiB/s"
    nonsense = up.run("op", "set-bandwidth", operation, "quick")
    assert (nonsense.code, nonsense.err.startswith("error[SF100]: bandwidth: ")) == (exits.USAGE, True)
    assert up.run("op", "set-bandwidth", operation, "none").out == f"operation {operation}: no limit\n"
    early = up.run("op", "end-grace", operation)
    assert (early.code, early.err.startswith("error[SF108]: ")) == (exits.FAILED, True)
    assert up.run("op", "pause", operation).code == exits.OK
    until(lambda: up.json("op", "show", operation)["status"]["phase"] == "paused", 20)
    held = up.run("op", "cutover", operation)
    assert (held.code, "help: send resume first" in held.err) == (exits.FAILED, True)
    assert up.run("op", "resume", operation).code == exits.OK
    assert up.run("op", "cutover", operation).code == exits.OK
    watched = up.run("op", "watch", operation)
    assert watched.code == exits.OK, watched.err
    assert watched.out.splitlines()[-1].split() == ["operation", operation]
    assert up.json("share", "show", home)["pool"] == "p2"
    late = up.run("op", "cutover", operation)
    assert (late.code, late.err.startswith("error[SF108]: ")) == (exits.FAILED, True)


def test_migration_is_given_up_with_a_command(up: Up, home: str) -> None:
    """Whoever watches it learns that it was cancelled; the share is where it was."""
    started = up.run("share", "migrate", home, "--to", "p2", "--no-wait")
    operation = started.out.strip()
    assert up.run("op", "cancel-migration", operation).code == exits.OK
    assert up.run("op", "watch", operation).code == exits.CANCELLED
    assert up.json("share", "show", home)["pool"] == "p1"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--to", "nowhere"), exits.USAGE, "is no pool, backend or zone"),
        (("--to", "p1"), exits.USAGE, "already"),
        (("--to", "p2", "--bandwidth", "quick"), exits.USAGE, "is not a rate"),
        (("--to", "p2", "--to-zone", "b"), exits.USAGE, "together"),
        (("--window-from", "2030-01-01T00:00Z"), exits.USAGE, "a window has two ends"),
        (("--window-from", "2001-01-01T00:00Z", "--window-until", "2001-01-02T00:00Z"), exits.USAGE, "is over"),
        (("--cutover", "--cutover-when", "manual"), exits.USAGE, "contradicts"),
        (("--to", "p2", "--nondisruptive"), exits.FAILED, "nondisruptive cannot be promised"),
    ],
)
def test_migration_that_cannot_be_is_refused(
    up: Up, home: str, arguments: tuple[str, ...], code: int, words: str
) -> None:
    """One line says what is wrong and one what to do; the share stays as it was."""
    done = up.run("share", "migrate", home, *arguments)
    assert done.code == code, done.err
    assert words in done.err.splitlines()[0]
    assert done.out == ""
    assert up.json("share", "show", home)["status"] == "available"


def test_other_views(up: Up, home: str) -> None:
    """Pools, types, quota, findings, audit and placement print tables and JSON."""
    assert {pool["name"] for pool in up.json("pool", "list")} == {"p1", "p2"}
    assert "slow/p1" in up.run("pool", "list").out
    assert [kind["name"] for kind in up.json("type", "list")] == ["pair", "standard"]
    assert up.json("quota", "show")["bytes_used"] >= 2**30
    assert "no limit" in up.run("quota", "show").out
    assert up.run("findings").code == exits.OK
    share = up.json("share", "show", home)["id"]
    assert {row["after"] for row in up.json("audit", "--resource", share)} == {"creating", "available"}
    placement = up.run("spec", "explain", "--size", "9GiB")
    assert placement.code == exits.OK
    assert "slow/p2: dropped" in placement.out
    assert "provisioned + size <= total x ratio" in placement.out
    too_much = up.run("spec", "explain", "--size", "1PiB")
    assert too_much.code == exits.FAILED
    only = up.run("spec", "explain", "--size", "1GiB", "--show", "p2").out
    assert "slow/p1: " not in only


def test_operation_shows_why_its_pool_was_chosen(up: Up, home: str) -> None:
    """The record of a placement is shown with its operation."""
    created = next(o for o in up.json("op", "list", "--kind", "CreateShare", "--share", home))
    shown = up.run("op", "show", created["id"]).out
    assert "slow/p1: kept" in shown
    assert "slow/p2: dropped" in shown
    assert "zone == a" in shown
    again = up.run("spec", "explain", "--operation", created["id"])
    assert again.code == exits.OK
    assert "slow/p1: kept, rank 1" in again.out
    why = up.run("spec", "explain", "--operation", created["id"], "--why-not", "p2").out
    assert "slow/p1: " not in why.partition("\n")[2]
    assert "zone == a" in why
    assert "pool is available" not in why
    assert up.run("spec", "explain").code == exits.USAGE


def test_recorded_requests_are_replayed_under_other_specs(up: Up, home: str, tmp_path: Path) -> None:
    """What was asked for lately, on the pools as they are, against the set that counts: what would go elsewhere."""
    changed = tmp_path / "specs"
    shutil.copytree(up.specs, changed)
    stay = up.run("spec", "simulate", "--new", str(changed), "--last", "1")
    assert (stay.code, "1 unchanged" in stay.out) == (exits.OK, True), stay.out + stay.err
    for file in changed.iterdir():
        text = file.read_text()
        file.write_text(text.replace("description: anything", "description: anything\nzones: [b]"))
    up.json("share", "create", f"{home}-2", "--size", "1GiB")
    moved = up.run("spec", "simulate", "--new", str(changed), "--last", "1", "-o", "json")
    assert moved.code == exits.CHANGED, moved.err
    saved = up.run("spec", "inventory", "--to", str(tmp_path / "now.json"))
    assert "2 pools" in saved.out
    again = up.run("spec", "simulate", "--new", str(changed), "--inventory", str(tmp_path / "now.json"), "--last", "1")
    assert again.code == exits.CHANGED, again.err
    up.run("share", "delete", f"{home}-2", "--retention", "0")


def test_failed_operation_has_its_code_and_exit_code(up: Up) -> None:
    """What the inventory refuses comes back as one line and in JSON, and is kept with the operation."""
    done = up.run("share", "create", "big", "--size", "900GiB")
    assert done.code == exits.FAILED
    assert done.err.startswith("error[SF200]: ")
    unknown = up.run("share", "resize", "nope", "--size", "1GiB", "-o", "json")
    assert unknown.code == exits.FAILED
    assert (unknown.error["code"], unknown.error["field"]) == ("SF101", "share")
    assert unknown.out == ""
    bad = up.run("share", "create", "x", "--size", "10GB", "-o", "json")
    assert bad.code == exits.USAGE
    assert "GiB" in bad.error["message"]
    kept = next(o for o in up.json("op", "list", "--state", "failed-clean") if o["kind"] == "CreateShare")
    assert kept["failure"]["type"] == "NoPoolFits"


def test_no_wait_prints_the_id_and_watch_follows_it(up: Up, home: str) -> None:
    """A started operation can be left alone, and watched later from anywhere."""
    started = up.run("share", "snapshot", home, "later", "--no-wait")
    operation = started.out.strip()
    assert operation.startswith("create-snapshot-")
    watched = up.run("op", "watch", operation)
    assert watched.code == exits.OK
    assert "claim, check and reserve" in watched.out
    assert "snapshot" in watched.out.splitlines()[-4]
    lines = up.run("op", "watch", operation, "-o", "json").out.splitlines()
    assert '"state": "succeeded"' in lines[-1]


def test_request_id_makes_a_repeated_command_harmless(up: Up, home: str) -> None:
    """The same command twice is one operation; another with its id is refused."""
    first = up.json("share", "resize", home, "--size", "2GiB", "--request-id", f"r-{home}")
    assert up.json("share", "resize", home, "--size", "2GiB", "--request-id", f"r-{home}") == first
    reused = up.run("share", "resize", home, "--size", "3GiB", "--request-id", f"r-{home}")
    assert reused.code == exits.FAILED
    assert reused.err.startswith("error[SF104]: ")


def test_cancelled_operation_has_an_exit_code_of_its_own(up: Up, home: str) -> None:
    """Whoever waits for an operation that somebody else cancels learns that, and nothing is left."""
    waiting = subprocess.Popen(
        argv("share", "snapshot", home, "never", "--request-id", f"c-{home}"),
        cwd=ROOT,
        env={**environment(), "TEMPORAL_ADDRESS": (up.facts or {})["address"]},
        stderr=subprocess.PIPE,
        text=True,
    )
    until(lambda: up.has_begun(f"default:c-{home}"), 20)
    cancelled = up.run("op", "cancel", f"default:c-{home}", "--reason", "not needed")
    assert cancelled.code == exits.OK, cancelled.err
    _, err = waiting.communicate(timeout=30)
    assert waiting.returncode == exits.CANCELLED
    assert "error[SF305]" in err
    assert up.json("share", "snapshots", home) == []
    assert up.run("op", "cancel", f"default:c-{home}").code == exits.OK, "asking again changes nothing"
    created = next(o for o in up.json("op", "list", "--kind", "CreateShare", "--share", home))
    late = up.run("op", "cancel", created["id"])
    assert late.code == exits.FAILED
    assert late.err.startswith("error[SF108]: ")


def test_interrupt_leaves_the_operation_running_and_says_how_to_go_on(up: Up, home: str) -> None:
    """Ctrl-C ends the wait, not the work."""
    waiting = subprocess.Popen(
        argv("share", "snapshot", home, "kept", "--request-id", f"i-{home}"),
        cwd=ROOT,
        env={**environment(), "TEMPORAL_ADDRESS": (up.facts or {})["address"]},
        stderr=subprocess.PIPE,
        text=True,
    )
    until(lambda: up.has_begun(f"default:i-{home}"), 20)
    waiting.send_signal(signal.SIGINT)
    _, err = waiting.communicate(timeout=10)
    assert waiting.returncode == exits.INTERRUPTED
    assert f"shareflow op watch default:i-{home}" in err
    assert f"shareflow op cancel default:i-{home}" in err
    assert "Traceback" not in err
    assert up.run("op", "watch", f"default:i-{home}").code == exits.OK
    assert [s["name"] for s in up.json("share", "snapshots", home)] == ["kept"]


def test_refused_restore_says_what_to_do(up: Up, home: str) -> None:
    """A name that was taken meanwhile is an error with a way out."""
    deleted = up.json("share", "delete", home)
    up.json("share", "create", home, "--size", "1GiB")
    refused = up.run("share", "restore", home)
    assert refused.code == exits.FAILED
    assert refused.err.startswith("error[SF102]: ")
    assert up.run("op", "restore", deleted["operation"], "--name", f"{home}-old").code == exits.OK
    up.run("share", "delete", f"{home}-old", "--retention", "0")


def test_restore_of_one_of_several_of_a_name_asks_for_the_id(up: Up, home: str) -> None:
    """Two deleted shares may bear one name; nothing is guessed."""
    first = up.json("share", "delete", home)
    up.json("share", "create", home, "--size", "1GiB")
    second = up.json("share", "delete", home)
    ambiguous = up.run("share", "restore", home)
    assert ambiguous.code == exits.FAILED
    assert first["share_id"] in ambiguous.out
    assert second["share_id"] in ambiguous.out
    assert up.run("share", "restore", second["share_id"]).code == exits.OK
    assert up.run("op", "purge-now", first["operation"]).code == exits.OK
    assert up.run("share", "restore", "never-was").err.startswith("error[SF101]: ")


def test_projects_do_not_see_each_other(up: Up, home: str) -> None:
    """Another project's share is as unknown as none."""
    mine = up.run("share", "show", home, "--project", "other")
    none = up.run("share", "show", "never-was", "--project", "other")
    assert mine.code == none.code == exits.FAILED
    assert mine.err.replace(home, "X") == none.err.replace("never-was", "X")
    assert up.json("share", "list", "--project", "other") == []


def test_text_of_users_is_printed_as_text(up: Up) -> None:
    """Markup and brackets of a user are shown as they are."""
    up.json("share", "create", "odd", "--size", "1GiB", "--description", "[bold red]x[/] :smile:")
    assert "[bold red]x[/] :smile:" in up.run("share", "show", "odd").out
    up.run("share", "delete", "odd", "--retention", "0")


def test_limit_says_that_there_is_more(up: Up, home: str) -> None:
    """A cut list is never taken for a whole one."""
    assert home
    done = up.run("op", "list", "--limit", "1")
    assert len(done.out.splitlines()) == 2
    assert done.out.split()[:2] == ["ID", "KIND"]
    assert "--limit 0 shows all" in done.err


def test_closed_pipe_is_no_error(up: Up, home: str) -> None:
    """``| head -1`` ends a list quietly."""
    assert home
    line = f"{' '.join(argv('op', 'list', '--limit', '0'))} | head -1"
    env = {**environment(), "TEMPORAL_ADDRESS": (up.facts or {})["address"]}
    done = subprocess.run(["bash", "-c", line], cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.stdout.startswith("ID")
    assert "Traceback" not in done.stderr


def test_terminal_sees_progress_and_the_result(up: Up, home: str) -> None:
    """On a terminal a waiting command draws the step that it waits for, and ends with the result alone."""
    said = _on_a_terminal(up, "share", "snapshot", home, "seen")
    assert "create snapshot seen" in said
    assert f"{SNAPSHOT_SECONDS - 1}s" in said
    assert re.search(r"snapshot\s+seen", said)


def _on_a_terminal(up: Up, *arguments: str) -> str:
    """Run a command on a pseudo-terminal; everything that it drew."""
    controller, terminal = pty.openpty()
    env = {**environment(), "TEMPORAL_ADDRESS": (up.facts or {})["address"], "TERM": "xterm-256color", "COLUMNS": "120"}
    process = subprocess.Popen(argv(*arguments), cwd=ROOT, env=env, stdout=terminal, stderr=terminal, stdin=terminal)
    os.close(terminal)
    drawn = b""
    give_up = time.monotonic() + 40
    while time.monotonic() < give_up:
        ready, _, _ = select.select([controller], [], [], 0.1)
        try:
            drawn += os.read(controller, 65536) if ready else b""
        except OSError:  # the other end is closed
            break
    os.close(controller)
    assert process.wait(timeout=10) == exits.OK
    return drawn.decode("utf-8", "replace")
