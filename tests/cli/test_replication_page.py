"""The page about replicas, followed with the Temporal CLI alone on what ``shareflow up`` gives."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from shareflow.cli import exits
from tests.cli.processes import ROOT, Done, Up, end, environment, until

PAGE = ROOT / "docs" / "replication.md"
REFUSED, INSTEAD = "books-lost", "books-drop"
"""The promotion that the page says is refused, and the command that it offers instead of the one before."""
BACKENDS = "\n## Failover of a whole backend\n"


@pytest.fixture
def default(tmp_path: Path, temporal_binary: Path) -> Iterator[Up]:
    """An embedded Shareflow with the default specs."""
    assert temporal_binary.exists()
    up = Up(tmp_path / "state", ROOT / "specs")
    up.start()
    yield up
    end(up)


def parts() -> tuple[str, str]:
    """The page about single shares, and its section about whole backends, which has specs of its own."""
    text = PAGE.read_text(encoding="utf-8").replace("\\\n", " ")
    before, found, rest = text.partition(BACKENDS)
    section, after, more = rest.partition("\n## ")
    assert found
    assert after
    return f"{before}\n## {more}", section


def commands(text: str) -> Iterator[tuple[str, list[str]]]:
    """Every command for the stock CLI that starts something, with its id, in order."""
    plain = re.sub(r"^```yaml\n.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    for block in re.findall(r"^```\n(.*?)^```$", plain, re.MULTILINE | re.DOTALL):
        for line in block.splitlines():
            words = shlex.split(line, comments=True)
            flag = next((word for word in words if word in ("--workflow-id", "--activity-id")), "")
            if words[:1] == ["temporal"] and words[2] == "execute":
                yield words[words.index(flag) + 1], words[1:]


def run(binary: Path, up: Up, arguments: list[str]) -> Done:
    """One command of the page."""
    assert up.facts is not None
    argv = [str(binary), *arguments, "--address", up.facts["address"]]
    done = subprocess.run(argv, env=environment(), capture_output=True, text=True, timeout=120, check=False)
    return Done(done.returncode, done.stdout, done.stderr)


def active(up: Up, share: str = "books") -> Path:
    """Where clients mount the share."""
    return Path(up.json("share", "show", share)["export_locations"][0]["path"])


@pytest.mark.timeout(300)
def test_the_page_about_replicas_can_be_followed_with_the_stock_cli(default: Up, temporal_binary: Path) -> None:
    """Switch-over, failover with the pool gone, failback: each command does what the page says, and files stay."""
    rack2 = default.state_dir / "pools" / "rack2"
    away = rack2.with_name("rack2.gone")
    asked = dict(commands(parts()[0]))
    assert {"books", "books-again", REFUSED, INSTEAD} <= set(asked)
    for name, arguments in asked.items():
        if name == INSTEAD:
            continue
        if name == REFUSED:
            rack2.rename(away)
        if name == "books-again":
            shutil.rmtree(rack2, ignore_errors=True)
            away.rename(rack2)
        done = run(temporal_binary, default, arguments)
        assert (done.code == 0) == (name != REFUSED), f"{name}: {done.out}{done.err}"
        if name == REFUSED:
            assert "loses what was written in the last" in done.out + done.err
        if name == "books":
            (active(default) / "novel.txt").write_text("once upon a time", encoding="utf-8")
    share = default.json("share", "show", "books")
    assert (share["pool"], [one["pool"] for one in share["replicas"]]) == ("rack2", ["rack1"])
    assert (active(default) / "novel.txt").read_text(encoding="utf-8") == "once upon a time"
    assert default.json("op", "show", "books-lost-2")["result"]["loss_seconds"] > 0


@pytest.fixture
def paired(tmp_path: Path, temporal_binary: Path) -> Iterator[Up]:
    """An embedded Shareflow with the specs of the section about whole backends."""
    assert temporal_binary.exists()
    (specs,) = re.findall(r"^```yaml\n(.*?)^```$", parts()[1], re.MULTILINE | re.DOTALL)
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs" / "two.yaml").write_text(specs, encoding="utf-8")
    up = Up(tmp_path / "state", tmp_path / "specs")
    up.start()
    yield up
    end(up)


@pytest.mark.timeout(300)
def test_a_whole_backend_fails_over_and_back_as_the_page_says(paired: Up, temporal_binary: Path) -> None:
    """With the stock CLI alone: the plan, the refusal, the failover without the backend, and home again."""
    pool = paired.state_dir / "pools" / "e1"
    away = pool.with_name("e1.gone")
    asked = dict(commands(parts()[1]))
    order = ["ledger", "ledger-in-west", "east-plan", "east-lost", "east-lost-2", "ledger-again", "east-home"]
    assert list(asked) == order
    for name, arguments in asked.items():
        if name == "ledger-in-west":
            (active(paired, "ledger") / "page.txt").write_text("first", encoding="utf-8")
        if name == "east-lost":
            pool.rename(away)
        if name == "ledger-again":
            assert paired.json("share", "show", "ledger")["backend"] == "west"
            (active(paired, "ledger") / "page.txt").write_text("second", encoding="utf-8")
            shutil.rmtree(pool, ignore_errors=True)
            away.rename(pool)
        done = run(temporal_binary, paired, arguments)
        assert (done.code == 0) == (name != "east-lost"), f"{name}: {done.out}{done.err}"
        if name == "east-lost":
            assert "loses changes of 1 shares" in done.out + done.err
    report = paired.json("op", "show", "east-lost-2")["result"]["report"]
    assert [(one["name"], one["to"], one["loss_seconds"] > 0) for one in report["losses"]] == [
        ("ledger", "west/w1", True)
    ]
    assert paired.json("op", "show", "east-home")["result"]["outcome"] == "promoted"
    assert paired.json("share", "show", "ledger")["backend"] == "east"
    assert (active(paired, "ledger") / "page.txt").read_text(encoding="utf-8") == "second"


@pytest.mark.timeout(300)
def test_a_whole_backend_fails_over_and_back_as_a_user_types_it(paired: Up) -> None:
    """The plan and the report as table and JSON, the exit code when something stays, and what is refused."""
    for name in ("ledger", "alone"):
        paired.json("share", "create", name, "--size", "1GiB", "--type", "paired", "--backend", "east")
    paired.json("replica", "create", "ledger", "--backend", "west")
    plan = paired.run("backend", "failover", "east", "--lost", "--reason", "what if", "--dry-run")
    assert plan.code == exits.FAILED, plan.err
    assert re.search(r"default/ledger +west/w1", plan.out)
    assert re.search(r"default/alone +it has no replica outside east", plan.out)
    refused = paired.run("backend", "failover", "east", "--lost", "--reason", "burnt")
    assert (refused.code, "loses changes of 1 shares" in refused.err) == (exits.USAGE, True)
    moved = paired.run("backend", "failover", "east", "--lost", "--accept-loss", "--stale", "resync", "--reason", "x")
    assert moved.code == exits.FAILED, moved.err
    assert re.search(r"outcome +incomplete", moved.out)
    assert re.search(r"PROMOTED +TO", moved.out)
    assert "NOT PROMOTED" in moved.out
    assert "east" in paired.run("op", "list", "--kind", "FailoverBackend").out
    until(lambda: paired.json("share", "show", "ledger")["replicas"][0]["state"] == "in_sync", 60)
    back = paired.json("backend", "failback", "east")
    assert (back["outcome"], back["report"]["promoted"]) == ("promoted", 1)
    assert "promoted" in paired.run("op", "watch", back["operation"]).out
    nothing = paired.run("backend", "failback", "east")
    assert (nothing.code, "no share is away from east" in nothing.err) == (exits.FAILED, True)
    many = paired.run("backend", "failover", "east", "--concurrency", "65")
    assert (many.code, "concurrency" in many.err) == (exits.USAGE, True)
    assert paired.run("backend", "failover", "nowhere").code == exits.FAILED
