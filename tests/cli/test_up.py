"""``shareflow up``: started, killed, stopped, refused. Every process is real."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from shareflow.cli import exits
from tests.cli.processes import ROOT, Up, argv, environment, run, until


def test_killed_worker_is_restarted_and_its_operation_goes_on(own_up: Up) -> None:
    """``kill -9`` of the worker in the middle of an operation is one line and a delay."""
    own_up.start()
    own_up.json("share", "create", "home", "--size", "1GiB")
    operation = own_up.run("share", "snapshot", "home", "monday", "--no-wait").out.strip()
    facts = own_up.facts or {}
    os.kill(facts["worker_pid"], signal.SIGKILL)
    assert own_up.run("op", "watch", operation).code == exits.OK
    assert [s["name"] for s in own_up.json("share", "snapshots", "home")] == ["monday"]
    assert "the worker ended (SIGKILL)" in own_up.said
    until(lambda: (own_up.facts or {}).get("worker_pid") not in {facts["worker_pid"], None}, 20)


@pytest.mark.slow
def test_killed_server_is_restarted_and_its_operation_goes_on(own_up: Up) -> None:
    """``kill -9`` of the server in the middle of an operation is one line and a delay, for a waiting client too."""
    own_up.start()
    own_up.json("share", "create", "home", "--size", "1GiB")
    facts = own_up.facts or {}
    waiting = subprocess.Popen(
        argv("share", "snapshot", "home", "monday", "--request-id", "k"),
        cwd=ROOT,
        env={**environment(), "TEMPORAL_ADDRESS": facts["address"]},
    )
    until(lambda: own_up.has_begun("default:k"), 20)
    os.kill(facts["server_pid"], signal.SIGKILL)
    assert waiting.wait(timeout=90) == exits.OK
    assert "the Temporal server ended (SIGKILL)" in own_up.said
    assert [s["name"] for s in own_up.json("share", "snapshots", "home")] == ["monday"]


@pytest.mark.parametrize("which", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_stopped_leaves_no_process_and_started_again_goes_on(own_up: Up, which: signal.Signals) -> None:
    """Ctrl-C and SIGTERM end everything; the next start finds shares, and operations in flight end by themselves."""
    own_up.start()
    own_up.json("share", "create", "home", "--size", "1GiB")
    operation = own_up.run("share", "snapshot", "home", "monday", "--no-wait").out.strip()
    assert own_up.stop(which) == exits.OK
    assert own_up.processes() == []
    assert own_up.facts is None
    own_up.start()
    assert own_up.run("op", "watch", operation).code == exits.OK
    assert [s["name"] for s in own_up.json("share", "list")] == ["home"]


def test_killed_leaves_no_process(own_up: Up) -> None:
    """``kill -9`` of ``up`` itself takes server and worker along, and the next start works."""
    own_up.start()
    own_up.json("share", "create", "home", "--size", "1GiB")
    own_up.stop(signal.SIGKILL)
    until(lambda: own_up.processes() == [], 10)
    (own_up.state_dir / "up.json").unlink()  # what a killed process leaves lying
    own_up.start()
    assert [s["name"] for s in own_up.json("share", "list")] == ["home"]


def test_second_one_is_refused_with_the_pid_of_the_first(own_up: Up) -> None:
    """One state directory, one process."""
    own_up.start()
    second = subprocess.run(
        own_up.arguments("--output", "json"), cwd=ROOT, env=environment(), capture_output=True, text=True, check=False
    )
    assert second.returncode == exits.CONFIGURATION
    assert own_up.process is not None
    assert f"in use by pid {own_up.process.pid}" in second.stderr
    assert own_up.run("share", "list").code == exits.OK


def test_json_says_where_everything_is(own_up: Up) -> None:
    """Programs that start it read addresses and process ids from its one line of JSON."""
    process = subprocess.Popen(
        own_up.arguments("--output", "json"), cwd=ROOT, env=environment(), stdout=subprocess.PIPE, text=True
    )
    try:
        until(lambda: own_up.facts is not None, 60)
        facts = own_up.facts or {}
        assert psutil.pid_exists(facts["worker_pid"])
        assert psutil.pid_exists(facts["server_pid"])
        assert facts["ui"].startswith("http://127.0.0.1:")
    finally:
        process.terminate()
        out, _ = process.communicate(timeout=60)
    assert f'"address": "{facts["address"]}"' in out


def test_busy_port_is_one_line(own_up: Up) -> None:
    """A taken port names itself and the option that chooses another."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        port = taken.getsockname()[1]
        done = run(*_up(own_up, "--port", str(port), "--ui-port", "0"))
    assert done.code == exits.UNAVAILABLE
    assert f"port {port} of the Temporal server is in use" in done.err
    assert "--port" in done.err
    assert len(done.err.strip().splitlines()) == 2
    assert own_up.processes() == []


def test_newer_database_schema_is_one_line(own_up: Up) -> None:
    """A database of a later version is not touched."""
    own_up.start()
    own_up.stop()
    database = own_up.state_dir / "inventory.db"
    with sqlite3.connect(database) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'from-the-future'")
    connection.close()
    done = run(*_up(own_up, "--port", "0", "--ui-port", "0"))
    assert done.code == exits.CONFIGURATION
    assert done.err.startswith("error[SF402]: ")
    assert own_up.processes() == []


def test_broken_specs_are_one_line_and_start_nothing(own_up: Up) -> None:
    """Specs are checked before any process is started."""
    (own_up.specs / "broken.yaml").write_text("apiVersion: shareflow/v1\nkind: Nope\n", encoding="utf-8")
    done = run(*_up(own_up, "--port", "0", "--ui-port", "0"))
    assert done.code == exits.CONFIGURATION
    assert done.err.startswith("error[SF403]: the specs are not valid: ")
    assert "broken.yaml:2" in done.err
    assert not (own_up.state_dir / "temporal.db").exists()


def test_odd_database_is_refused_as_input(own_up: Up) -> None:
    """A URL that nothing can use is not tried."""
    done = run(*_up(own_up, "--database", "mysql://x"))
    assert done.code == exits.USAGE
    assert done.err.startswith("error[SF100]: --database: 'mysql'")


def test_directory_that_cannot_be_written_is_one_line(tmp_path: Path, own_up: Up) -> None:
    """No stack trace for a disk that refuses."""
    (tmp_path / "file").touch()
    done = run("up", "--state-dir", str(tmp_path / "file"), "--specs", str(own_up.specs), "--port", "0")
    assert done.code == exits.CONFIGURATION
    assert done.err.startswith("error[SF401]: ")
    assert len(done.err.strip().splitlines()) == 2


@pytest.mark.slow
def test_worker_that_keeps_dying_is_restarted_with_growing_pauses(own_up: Up) -> None:
    """A worker that dies again and again neither ends ``up`` nor keeps the machine busy."""
    own_up.start()
    for _ in range(3):
        _kill_and_wait_for_the_next(own_up)
    assert own_up.said.count("the worker ended (SIGKILL)") == 3
    assert "starting it again in 2 s" in own_up.said
    began = time.monotonic()
    assert own_up.stop() == exits.OK
    assert time.monotonic() - began < 30


def _up(up: Up, *more: str) -> list[str]:
    return ["up", "--state-dir", str(up.state_dir), "--specs", str(up.specs), *more]


def _kill_and_wait_for_the_next(up: Up) -> None:
    dead = (up.facts or {})["worker_pid"]
    os.kill(dead, signal.SIGKILL)
    until(lambda: (up.facts or {}).get("worker_pid") not in {dead, None}, 30)
