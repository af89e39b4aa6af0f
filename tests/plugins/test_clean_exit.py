"""How a test run ends: with the right code, and with a loud word about what it did not prove."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
AT_EXIT = "import atexit, os, sys\natexit.register(os._exit, 99)\n"


def _pytest(directory: Path, test: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    (directory / "test_it.py").write_text(AT_EXIT + "import pytest\n" + test)
    (directory / "pytest.ini").write_text("[pytest]\nmarkers =\n    needs\n")
    argv = [sys.executable, "-m", "pytest", "-p", "tests.plugins.clean_exit", "-p", "no:cacheprovider", *arguments]
    return subprocess.run(
        [*argv, "--rootdir", str(directory), str(directory)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("test", "code"),
    [
        ("def test_it(): pass", 0),
        ("def test_it(): assert False", 1),
        ("def test_it(): raise KeyboardInterrupt", 2),
        ("", 5),
    ],
)
def test_run_ends_with_its_own_code_whatever_the_interpreter_would_do_at_exit(
    tmp_path: Path, test: str, code: int
) -> None:
    """A crash during the interpreter's shutdown neither reddens a green run nor hides a red one."""
    done = _pytest(tmp_path, test)
    assert done.returncode == code, done.stdout + done.stderr
    assert re.search(r" in \d+\.\d\ds", done.stdout)


def test_distributed_run_ends_with_its_own_code(tmp_path: Path) -> None:
    """Workers give their results to the master before they end."""
    done = _pytest(tmp_path, "def test_it(): pass\ndef test_other(): assert False", "-n", "1")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "1 failed, 1 passed" in done.stdout


def test_skipped_tests_are_counted_by_reason_under_a_heading_that_is_hard_to_miss(tmp_path: Path) -> None:
    """A green run on a poor machine does not look like a whole one."""
    done = _pytest(
        tmp_path,
        "@pytest.mark.parametrize('n', range(3))\n@pytest.mark.skip('no array here')\ndef test_a(n): pass\n"
        "def test_b(): pytest.skip('no root')\n",
    )
    assert done.returncode == 0
    assert "NOT PROVED HERE: 4 tests were skipped" in done.stdout
    assert "3 x no array here" in done.stdout
    assert "1 x no root" in done.stdout


def test_whole_run_has_no_such_heading(tmp_path: Path) -> None:
    """The heading means something."""
    assert "NOT PROVED HERE" not in _pytest(tmp_path, "def test_it(): pass").stdout


def test_marker_skips_with_the_finding_and_the_step_of_the_doctor(tmp_path: Path) -> None:
    """Whoever reads the skip knows what to install."""
    test = (
        "from shareflow import doctor\n"
        "doctor.find_command = lambda _: None\n"
        "@pytest.mark.needs('python', 'rsync')\ndef test_it(): raise AssertionError\n"
    )
    done = _pytest(tmp_path, test)
    assert done.returncode == 0, done.stdout
    assert "1 x needs rsync: not found: rsync; to have it: " in done.stdout
