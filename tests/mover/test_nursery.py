"""The process that jobs are forked from: killed, outlived by its jobs, gone with its worker."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from drivers.contract import JobState
from drivers.errors import Unknown
from drivers.mover import CopyOptions, Mover
from drivers.mover.jobdir import LOG, JobDir
from drivers.mover.nursery import Nursery
from tests.mover.trees import fill, processes_of, wait_final, wait_for

MIB = 1 << 20
ROOT_DIR = Path(__file__).parents[2]
WORKER = """
import sys, time
from pathlib import Path
from drivers.mover import CopyOptions, Mover
root = Path(sys.argv[1])
options = CopyOptions(engine="builtin", bandwidth=2 << 20)
Mover(root / "jobs").start("job", root / "source", root / "target", options)
print("started", flush=True)
time.sleep(60)
"""


@pytest.fixture
def nursery() -> Iterator[Nursery]:
    """One of this test alone."""
    made = Nursery()
    yield made
    made.close()


@pytest.fixture
def home(tmp_path: Path) -> JobDir:
    """The directory of a job."""
    return JobDir(tmp_path)


def _fork(nursery: Nursery, home: JobDir, module: str = "drivers.mover.child") -> int:
    """A job without a request: its process ends at once, with an error."""
    lock, log = home.take_lock(), home.open_log()
    assert lock is not None
    try:
        return nursery.fork(module, home.path, lock, log)
    finally:
        os.close(lock)
        os.close(log)


def _nursery_of(pid: int) -> psutil.Process:
    (found,) = (child for child in psutil.Process(pid).children() if "drivers.mover.nursery" in child.cmdline())
    return found


def _has_ended(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def test_nursery_that_was_killed_is_started_anew_for_the_next_job(nursery: Nursery, home: JobDir) -> None:
    """No call fails for it."""
    _fork(nursery, home)
    wait_for(lambda: not home.is_alive(), "the first job to end")
    assert nursery._process is not None
    killed = nursery._process.pid
    os.kill(killed, signal.SIGKILL)
    wait_for(lambda: _has_ended(psutil.Process(killed)), "the nursery to end")
    _fork(nursery, home)
    assert nursery._process is not None
    assert nursery._process.pid != killed
    assert not psutil.pid_exists(killed)
    wait_for(lambda: not home.is_alive(), "the second job to end")


def test_nursery_that_hangs_is_ended_and_the_call_says_that_the_job_may_run(
    nursery: Nursery, home: JobDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lock tells that it does not, and the next call begins it."""
    monkeypatch.setattr("drivers.mover.nursery._PATIENCE", 1.0)
    _fork(nursery, home)
    wait_for(lambda: not home.is_alive(), "the first job to end")
    assert nursery._process is not None
    hung = psutil.Process(nursery._process.pid)
    hung.suspend()
    with pytest.raises(Unknown, match="try again"):
        _fork(nursery, home)
    assert not hung.is_running()
    assert not home.is_alive()
    monkeypatch.undo()
    assert _fork(nursery, home) > 0


def test_module_that_cannot_be_loaded_ends_its_job_alone_and_the_log_says_why(nursery: Nursery, home: JobDir) -> None:
    """The nursery lives on, and the process leaves no zombie."""
    failed = _fork(nursery, home, "drivers.mover.no_such_module")
    wait_for(lambda: not home.is_alive() and not psutil.pid_exists(failed), "the process to be gone")
    assert "No module named 'drivers.mover.no_such_module'" in (home.path / LOG).read_text()
    assert nursery._process is not None
    before = nursery._process.pid
    _fork(nursery, home)
    assert nursery._process.pid == before


def test_killed_worker_takes_its_nursery_along_and_its_job_goes_on(mover: Mover, tmp_path: Path) -> None:
    """The job is done by the process that runs already, and nothing is left of the worker."""
    fill(tmp_path / "source", 20, 4096, 8 * MIB)
    with subprocess.Popen(
        [sys.executable, "-c", WORKER, str(tmp_path)], cwd=ROOT_DIR, stdout=subprocess.PIPE
    ) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == b"started\n"
        nursery = _nursery_of(worker.pid)
        wait_for(lambda: len(processes_of(tmp_path)) > 1, "the process of the job", 5)
        (job,) = (pid for pid in processes_of(tmp_path) if pid != worker.pid)
        worker.kill()
    wait_for(lambda: _has_ended(nursery), "the nursery to end", 5)
    assert processes_of(tmp_path) == [job]
    options = CopyOptions(engine="builtin", bandwidth=2 * MIB)
    assert mover.start("job", tmp_path / "source", tmp_path / "target", options).state is JobState.RUNNING
    assert processes_of(tmp_path) == [job]
    mover.set_bandwidth("job", None)
    assert wait_final(mover, "job").state is JobState.DONE
    wait_for(lambda: not processes_of(tmp_path), "the process to be gone")
