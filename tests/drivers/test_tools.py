"""Running external tools: bounded in time and output, without a shell."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from drivers.errors import Rejected, Unknown
from drivers.tools import run


def test_arguments_are_passed_as_they_are(tmp_path: Path) -> None:
    """No shell sees them: nothing is expanded, split or run."""
    marker = tmp_path / "marker"
    odd = ["$(touch " + str(marker) + ")", "; ls", "a b", "*", "--", "\n"]
    shown = run([sys.executable, "-c", "import sys; print(sys.argv[1:])", *odd], timeout=30).stdout
    assert eval(shown) == odd  # noqa: S307 - what the child printed of its own arguments
    assert not marker.exists()


def test_output_is_bounded_and_the_tool_does_not_block_on_it() -> None:
    """A tool that prints without end is read to its end and kept in part."""
    code = "import sys; sys.stdout.write('x' * 5_000_000); sys.stderr.write('y' * 5_000_000)"
    output = run([sys.executable, "-c", code], timeout=60, max_output=1000)
    assert (len(output.stdout), len(output.stderr), output.truncated) == (1000, 1000, True)


def test_tool_that_does_not_end_is_killed_with_all_it_started(tmp_path: Path) -> None:
    """A time-out is Unknown: the tool may have acted; nothing of it lives on."""
    file = tmp_path / "pid"
    code = f"sleep 600 & echo $! > {file}; wait"
    began = time.monotonic()
    with pytest.raises(Unknown, match=r"within 0\.5 s"):
        run(["/bin/sh", "-c", code], timeout=0.5)
    assert time.monotonic() - began < 5
    grandchild = int(file.read_text())
    deadline = time.monotonic() + 5
    while Path(f"/proc/{grandchild}").exists() and "Z" not in state_of(grandchild):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def state_of(pid: int) -> str:
    """The process state letter, Z when it is gone meanwhile."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "Z"


def test_tool_that_closes_its_output_and_stays_is_killed_too() -> None:
    """The time limit holds for the end of the tool, not for the end of its output."""
    code = "import os, time; os.close(1); os.close(2); time.sleep(600)"
    with pytest.raises(Unknown):
        run([sys.executable, "-c", code], timeout=1)


def test_failure_is_unknown_with_the_tools_own_words_made_printable() -> None:
    """The message shows what the tool said, without control characters."""
    code = r"import sys; sys.stderr.write('no \x1b[31mroom'); sys.exit(3)"
    with pytest.raises(Unknown) as failed:
        run([sys.executable, "-c", code], timeout=30)
    assert "ended with 3" in failed.value.reason
    assert "room" in failed.value.reason
    assert "\x1b" not in failed.value.reason
    assert run([sys.executable, "-c", code], timeout=30, check=False).returncode == 3


def test_missing_tool_is_rejected_by_name() -> None:
    """Nothing can have happened; the message names the tool."""
    with pytest.raises(Rejected, match="no-such-tool") as refused:
        run(["no-such-tool", "--", "x"], timeout=1)
    assert "install" in refused.value.hint


def test_tool_gets_no_input_and_the_c_locale() -> None:
    """A tool that would ask gets the end of input; its messages do not depend on the user's language."""
    code = "import os, sys; print(repr(sys.stdin.read()), os.environ['LC_ALL'], os.environ['MARK'])"
    assert run([sys.executable, "-c", code], timeout=30, env={"MARK": "x"}).stdout.split() == ["''", "C", "x"]


def test_tool_runs_in_the_directory_given(tmp_path: Path) -> None:
    """The working directory of this process does not change."""
    before = Path.cwd()
    shown = run([sys.executable, "-c", "import os; print(os.getcwd())"], timeout=30, cwd=tmp_path).stdout.strip()
    assert os.path.realpath(shown) == os.path.realpath(tmp_path)
    assert Path.cwd() == before
