"""The parent's side of jobs in processes of their own: begin one, look at it, end it, remove what it left."""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from typing import Any

from drivers.contract import Job, JobState
from drivers.errors import Busy, Unknown
from drivers.mover.jobdir import CANCEL, REQUEST, STATUS, JobDir
from drivers.mover.nursery import NURSERY

_GRACE = 0.5
_PATIENCE = 5.0
_COUNTERS = ("bytes_done", "bytes_total", "files_done", "files_total", "bytes_moved")


class Children:
    """The processes that this object has begun; thread-safe. They are found again by the lock of their job."""

    def __init__(self, module: str) -> None:
        self._module = module
        self._mutex = threading.Lock()
        self._running: list[JobDir] = []

    def __len__(self) -> int:
        """How many are kept in mind: those that run, and those that ended since the last :meth:`reap`."""
        with self._mutex:
            return len(self._running)

    def begin(self, home: JobDir, lock: int) -> int:
        """Run the module's ``main`` as the process of a job; returns its id. See :meth:`Nursery.fork`."""
        log = home.open_log()
        try:
            process = NURSERY.fork(self._module, home.path, lock, log)
        finally:
            os.close(log)
        with self._mutex:
            self._running.append(home)
        return process

    def reap(self) -> None:
        """Take note of those that have ended."""
        with self._mutex:
            self._running = [home for home in self._running if home.is_alive()]

    def close(self) -> None:
        """Stop all of them and wait until they are gone."""
        with self._mutex:
            homes = [home for home in self._running if home.is_alive()]
        for home in homes:
            home.ask(_GRACE)
        for home in homes:
            home.stop(_GRACE, _PATIENCE)
        self.reap()


def wait_lock(home: JobDir, what: str) -> int:
    """The proof of life, taken for a new child; waits for an old one that is ending. Raises Busy."""
    end = time.monotonic() + _PATIENCE
    while (lock := home.take_lock()) is None:
        if time.monotonic() >= end:
            raise Busy(f"the last process of {what} has not ended yet", hint="try again")
        time.sleep(0.005)
    return lock


def look(home: JobDir, died: str) -> Job:
    """The job as its files and its lock say; ``died`` is the message of one whose process was killed."""
    while True:
        status = home.read(STATUS)
        if status is not None and status.get("state") != JobState.RUNNING:
            return _job(status)
        if home.is_alive():
            return _job(status or {})
        again = home.read(STATUS)
        if again == status:  # nothing was written between a dead lock and a running state: it died
            return _job({**(status or {}), "state": JobState.FAILED, "message": died})


def end(home: JobDir, what: str) -> None:
    """End all processes of a job. Raises Unknown when one lives on."""
    if not home.stop(_GRACE, _PATIENCE):
        raise Unknown(
            f"a process of {what} does not end; its storage may hang", hint="try again when the storage answers"
        )


def forget(home: JobDir, what: str) -> None:
    """End a job, if it runs, and remove its records. Raises Unknown."""
    if home.is_alive():
        (home.path / CANCEL).touch()
        end(home, what)
    # The request goes first: without it there is no job, whatever else a crash leaves.
    (home.path / REQUEST).unlink(missing_ok=True)
    for file in home.path.iterdir():
        file.unlink(missing_ok=True)
    with suppress(OSError):  # somebody else may just have begun to use it again
        home.path.rmdir()


def _job(status: dict[str, Any]) -> Job:
    counters = {name: status[name] for name in _COUNTERS if name in status}
    state = JobState(status.get("state", JobState.RUNNING))
    return Job(state, message=str(status.get("message", "")), **counters)
