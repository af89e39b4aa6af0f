"""``shareflow demo``: the first thing that anybody runs."""

from __future__ import annotations

import subprocess
from pathlib import Path

import psutil
import pytest

from shareflow.cli import exits
from tests.cli.processes import ROOT, argv, environment, run, until


@pytest.mark.timeout(240)
def test_demo_holds_every_check_and_leaves_nothing(tmp_path: Path, temporal_binary: Path) -> None:
    """The demo plays to its end with every check held, and no process or file of a share is left."""
    assert temporal_binary.exists()
    state = tmp_path / "state"
    done = run("demo", "--state-dir", str(state), "--output", "json", timeout=200)
    assert done.code == exits.OK, done.out + done.err
    assert done.data["ok"] is True
    assert all(check["ok"] for check in done.data["checks"])
    assert any("on their way" in check["check"] for check in done.data["checks"])
    assert not [p for p in psutil.process_iter(["cmdline"]) if str(state) in " ".join(p.info["cmdline"] or [])]


def test_interrupted_demo_stops_everything(tmp_path: Path, temporal_binary: Path) -> None:
    """A stop in the middle ends all processes with the exit code of an interrupt."""
    assert temporal_binary.exists()
    state = tmp_path / "state"
    playing = subprocess.Popen(
        argv("demo", "--state-dir", str(state)), cwd=ROOT, env=environment(), stdout=subprocess.PIPE, text=True
    )
    try:
        until(lambda: (state / "up.json").exists() or playing.poll() is not None, 60)
        playing.terminate()
        out, _ = playing.communicate(timeout=60)
    finally:
        playing.kill()
        playing.wait(timeout=10)
    assert playing.returncode == exits.INTERRUPTED
    assert "stopped before the end" in out
    assert not [p for p in psutil.process_iter(["cmdline"]) if str(state) in " ".join(p.info["cmdline"] or [])]
