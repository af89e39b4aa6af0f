"""The state directory: one process at a time, and clear words when it cannot be used."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from shareflow.cli.statedir import FACTS, StateDir, default_state_dir
from shareflow.errors import StateDirectoryError
from tests.cli.processes import ROOT


def test_directory_in_use_names_the_process(tmp_path: Path) -> None:
    """A second process is refused with the pid of the first."""
    first = StateDir(tmp_path / "state")
    with first, pytest.raises(StateDirectoryError, match=f"in use by pid {os.getpid()}"):
        StateDir(tmp_path / "state").__enter__()
    with StateDir(tmp_path / "state") as again:
        assert again.path == first.path


def test_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    """``kill -9`` leaves a lock file and no lock."""
    code = (
        "import os, signal, sys; from pathlib import Path; from shareflow.cli.statedir import StateDir\n"
        "with StateDir(Path(sys.argv[1])): os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, check=False)
    assert done.returncode == -9
    with StateDir(tmp_path) as state:
        assert (state.path / "up.lock").read_text(encoding="ascii").strip() == str(os.getpid())


def test_facts_are_there_while_it_runs_and_gone_after(tmp_path: Path) -> None:
    """``up.json`` is never half written and never outlives its process's end."""
    with StateDir(tmp_path) as state:
        state.publish({"address": "x"})
        state.publish({"address": "y"})
        assert json.loads((tmp_path / FACTS).read_text(encoding="utf-8")) == {"address": "y"}
        assert sorted(path.name for path in tmp_path.iterdir()) == ["up.json", "up.lock"]
    assert not (tmp_path / FACTS).exists()


def test_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """A path below a file is no directory."""
    (tmp_path / "file").touch()
    with pytest.raises(StateDirectoryError, match=r"file/state cannot be used: .*not a directory"):
        StateDir(tmp_path / "file" / "state").__enter__()


def test_default_follows_the_xdg_rules(tmp_path: Path) -> None:
    """An absolute XDG_STATE_HOME counts, a relative one does not."""
    assert default_state_dir({"XDG_STATE_HOME": str(tmp_path)}) == tmp_path / "shareflow"
    assert default_state_dir({"XDG_STATE_HOME": "relative"}) == Path.home() / ".local" / "state" / "shareflow"
    assert default_state_dir({}) == Path.home() / ".local" / "state" / "shareflow"
