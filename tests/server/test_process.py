"""Ending processes: output is whole, exit codes are right, nothing is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from shareflow.process import dies_with_parent, terminate_group


def _run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)


@pytest.mark.parametrize("code", [0, 1, 7])
def test_leave_flushes_everything_and_gives_the_code(code: int) -> None:
    """What was printed and logged before arrives, although the interpreter does not shut down."""
    done = _run(
        "import atexit, logging, sys\n"
        "from shareflow.process import leave\n"
        "logging.basicConfig(stream=sys.stderr)\n"
        "atexit.register(print, 'shut down')\n"
        "print('printed', end='')\n"
        "logging.warning('logged')\n"
        f"leave({code})\n"
    )
    assert (done.returncode, done.stdout) == (code, "printed")
    assert "logged" in done.stderr


def test_leave_with_a_reader_that_has_gone_keeps_its_code() -> None:
    """`shareflow op list | head -1` ends without a traceback."""
    code = "import sys; from shareflow.process import leave; print('x' * 10); sys.stdin.read(); leave(4)"
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    pipe = subprocess.PIPE
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=buffered
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    process.stdin.close()
    with process.stderr:
        assert (process.stderr.read(), process.wait(timeout=30)) == ("", 4)


@pytest.mark.timeout(300)
def test_many_short_processes_with_a_client_never_crash_at_their_end() -> None:
    """Without leave, a good part of such processes dies of a signal after all work is done."""
    code = (
        "import asyncio\n"
        "from temporalio.client import Client\n"
        "from shareflow.process import leave\n"
        "asyncio.run(Client.connect('127.0.0.1:1', lazy=True))\n"
        "leave(0)\n"
    )
    assert [_run(code).returncode for _ in range(10)] == [0] * 10


def test_terminate_group_ends_grandchildren_that_ignore_the_polite_signal() -> None:
    """After the limit everything in the group is killed, not only the leader."""
    process = subprocess.Popen(
        ["sh", "-c", "trap '' TERM; sleep 600 & echo $!; wait"], stdout=subprocess.PIPE, start_new_session=True
    )
    assert process.stdout is not None
    with process.stdout:
        grandchild = int(process.stdout.readline())
    assert terminate_group(process, grace=0.2) == -signal.SIGKILL
    _wait_gone(grandchild)
    assert terminate_group(process, grace=0.2) == -signal.SIGKILL


def test_terminate_group_gives_the_code_of_a_child_that_ends_politely() -> None:
    """A child that handles SIGTERM is not killed."""
    code = "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(5)); print(); time.sleep(600)"
    process = subprocess.Popen([sys.executable, "-uc", code], stdout=subprocess.PIPE, start_new_session=True)
    assert process.stdout is not None
    with process.stdout:
        process.stdout.readline()
    assert terminate_group(process, grace=20.0) == 5


def test_child_tied_to_its_parent_dies_when_the_parent_is_killed() -> None:
    """The kernel ends it, so no handler of the parent has to run."""
    code = (
        "import subprocess, time\n"
        "from shareflow.process import dies_with_parent\n"
        "child = subprocess.Popen(dies_with_parent(['sleep', '600']), start_new_session=True)\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    with parent.stdout:
        child = int(parent.stdout.readline())
    _wait_for_name(child, "sleep")
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    _wait_gone(child)


def test_child_whose_parent_was_gone_before_the_tie_does_not_start() -> None:
    """The window between the start and the tie is closed by looking who the parent is."""
    argv = dies_with_parent(["sleep", "600"])
    argv[argv.index(str(os.getpid()))] = "1"
    assert subprocess.run(argv, check=False, timeout=30).returncode == 125


def test_program_that_is_not_there_is_named() -> None:
    """The reason arrives on standard error, not as a traceback."""
    done = subprocess.run(
        dies_with_parent(["/nowhere/program"]), check=False, capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 126
    assert done.stderr == "cannot start /nowhere/program: No such file or directory\n"


def _wait_for_name(pid: int, name: str) -> None:
    deadline = time.monotonic() + 10
    while psutil.Process(pid).name() != name:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _wait_gone(pid: int) -> None:
    deadline = time.monotonic() + 10
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, f"{pid} still runs"
        time.sleep(0.02)
