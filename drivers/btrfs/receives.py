"""Transfers as jobs that outlive this process: started, found again, slowed down, stopped."""

from __future__ import annotations

import hashlib
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from drivers.contract import Job, JobState
from drivers.errors import Unknown
from drivers.mover.detached import Children, forget, look, wait_lock
from drivers.mover.jobdir import BANDWIDTH, CANCEL, REQUEST, STATUS, JobDir

STOPPED: Final = Unknown.code
"""How the message of a job begins that was stopped or died, and begins anew when it is asked for."""


_PAUSE: Final = 0.003  # seconds


@dataclass(frozen=True, slots=True)
class Order:
    """One transfer.

    Attributes:
        source: volume of the snapshot to send.
        base: volume of the snapshot that the receiver has too, empty without one.
        target: volume to make; its directory is this transfer's alone.
        identity: by which the snapshot is known on all file systems that have it, as hex digits.
        total: bytes that will travel, None where unknown.
    """

    source: str
    base: str
    target: str
    identity: str
    total: int | None


class Receives:
    """The transfers of one worker, each in a directory of its own below ``jobs_dir``.

    Calls for one job are made under the lock of the object that it fills; :meth:`find` needs none.
    """

    def __init__(self, jobs_dir: Path) -> None:
        self._jobs_dir = jobs_dir
        self._children = Children("drivers.btrfs.receiver")

    def home(self, job: str) -> Path:
        """The directory of a job, whether it is there or not."""
        return self._jobs_dir / hashlib.blake2b(job.encode(), digest_size=16).hexdigest()

    def find(self, job: str) -> Job | None:
        """How far a job is, None when there is no such job. One whose process was killed is ``failed``."""
        self._children.reap()
        home = JobDir(self.home(job))
        return None if home.read(REQUEST) is None else look(home, f"{STOPPED} the transfer died")

    def start(self, job: str, order: Order, bandwidth: int | None) -> Job:
        """Start a job that does not run, from the beginning.

        Raises:
            Busy: a process of the last try has not ended yet.
        """
        home = JobDir(self.home(job))
        home.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = wait_lock(home, "this transfer")
        try:
            (home.path / CANCEL).unlink(missing_ok=True)
            home.write(BANDWIDTH, {"bytes_per_second": bandwidth})
            home.write(STATUS, {"state": JobState.RUNNING, "message": ""})
            home.write(REQUEST, asdict(order))
            self._children.begin(home, lock)
        finally:
            os.close(lock)
        return Job(JobState.RUNNING, bytes_total=order.total)

    def wait(self, job: str, seconds: float) -> None:
        """Return when a job has ended, or when the time is over."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            found = self.find(job)
            if found is None or found.state is not JobState.RUNNING:
                return
            time.sleep(_PAUSE)

    def pace(self, job: str, bandwidth: int | None) -> None:
        """Change the limit of a running job, in bytes per second; holds within a fraction of a second."""
        home = JobDir(self.home(job))
        wanted = {"bytes_per_second": bandwidth}
        if home.read(BANDWIDTH) != wanted:
            home.write(BANDWIDTH, wanted)

    def forget(self, job: str) -> None:
        """End a job, if it runs, and remove its records. A missing one is fine.

        Raises:
            Unknown: a process of the job does not end.
        """
        home = JobDir(self.home(job))
        if not home.path.exists():
            return
        forget(home, f"transfer {job!r}")
        self._children.reap()

    def close(self) -> None:
        """Stop the jobs that this object started. They begin anew when they are started again."""
        self._children.close()
