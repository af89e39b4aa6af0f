"""The set-up scripts on machines that lack something. They run on a copy, never on this tree."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MAKE_STAMPED = """
import setup_venv as made
(made.VENV / "bin").mkdir(parents=True)
made.PYTHON.touch(0o755)
made.STAMP.write_text(made.stamp())
"""


class Clone:
    """A tree with the set-up scripts, and a PATH of its own."""

    def __init__(self, root: Path) -> None:
        self.tree = root / "tree"
        self.bin = root / "bin"
        self.bin.mkdir()
        shutil.copytree(ROOT / "scripts", self.tree / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("pyproject.toml", "requirements.lock"):
            shutil.copy(ROOT / name, self.tree / name)
        for command in ("sh", "dirname"):
            (self.bin / command).symlink_to(shutil.which(command) or command)

    def put_python(self, script: str) -> None:
        """What this machine has under the name ``python3``."""
        program = self.bin / "python3"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)

    def setup(self) -> subprocess.CompletedProcess[str]:
        """Run the set-up as make does."""
        return subprocess.run(
            ["sh", "scripts/setup.sh"],
            cwd=self.tree,
            env={"PATH": str(self.bin)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    """A fresh clone on a machine without Python."""
    return Clone(tmp_path)


def test_machine_without_python_is_told_what_is_needed(clone: Clone) -> None:
    """One line that names the version and the variable."""
    done = clone.setup()
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(
        "setup: Python 3.11 or newer is needed, and there is none; install it"
    )


def test_python_that_is_too_old_is_named(clone: Clone) -> None:
    """The user sees which Python was found."""
    clone.put_python('[ "$1" = --version ] && echo "Python 3.9.2" && exit 0; exit 1')
    done = clone.setup()
    assert done.returncode == 1
    assert "Python 3.11 or newer is needed, and there is Python 3.9.2" in done.stderr


def test_python_without_venv_is_told_the_package(clone: Clone) -> None:
    """Debian splits venv off; the message names the package to install."""
    clone.put_python('case "$2" in *ensurepip*) exit 1 ;; *print*) echo 3.11 ;; esac; exit 0')
    done = clone.setup()
    assert done.returncode == 1
    assert "has no venv module; install it: apt-get install python3.11-venv" in done.stderr


def test_current_environment_is_left_alone(clone: Clone) -> None:
    """A second run finds the stamp, says nothing and starts no pip."""
    python = Path(sys.executable).resolve()
    clone.put_python(f'exec {python} "$@"')
    subprocess.run([python, "-c", MAKE_STAMPED], cwd=clone.tree / "scripts", check=True, timeout=60)
    done = clone.setup()
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
