"""What every job's process does: it opens both trees, tells how far it is, and writes down how it ended."""

from __future__ import annotations

import os
import signal
import traceback
from typing import Any

from drivers.errors import DriverError, PoolFull, Unknown, printable
from drivers.mover.compare import open_root
from drivers.mover.control import Control, CopyFailed, Progress, Stopped
from drivers.mover.jobdir import CANCEL, REQUEST, STATUS, JobDir
from drivers.mover.options import Request

_BROKEN = "D400"


class JobProcess:
    """The frame of one job. What is to be done between the two open trees is :meth:`work`.

    Attributes:
        request: what was asked for.
        control: progress and bandwidth limit.
        notes: what the message of a job that is done says.
    """

    def __init__(self, home: JobDir, lock: int) -> None:
        data = home.read(REQUEST) or {}
        self.home = home
        self.lock = lock
        self.request = Request.from_json(data)
        self.suspect = bool(data.get("suspect"))
        self.notes: list[str] = []
        self._status: dict[str, Any] = {**(home.read(STATUS) or {}), "pid": os.getpid()}
        self._step = "counting"
        self.control = Control(self._publish, home.rate)
        self._publish(self.control.progress)

    def run(self) -> int:
        """Do the job and write down how it ended. Returns the exit status."""
        try:
            self._open_and_work()
        except Stopped:
            if (self.home.path / CANCEL).exists():
                return self._finish("cancelled", "cancelled on request")
            return self._finish("failed", f"{Unknown.code} the job was stopped; start it again to go on")
        except Exception as error:  # noqa: BLE001 - the status is the only place where it can be told
            return self._finish("failed", _reason(error))
        return self._finish("done", "; ".join(self.notes))

    def work(self, source: int, target: int) -> None:
        """The job itself, on two open directories. Raises CopyFailed, DriverError or OSError when it fails."""
        raise NotImplementedError

    def enter(self, step: str) -> None:
        """Begin a step; a running job's message is its step."""
        self._step = step
        self._publish(self.control.progress)

    def _open_and_work(self) -> None:
        # Both are closed before the end is told: whoever reads it may unmount them at once.
        source = open_root(self.request.source, "the source")
        try:
            target = open_root(self.request.target, "the target")
            try:
                self.work(source, target)
            finally:
                os.close(target)
        finally:
            os.close(source)

    def _publish(self, progress: Progress) -> None:
        self._status |= {
            "state": "running",
            "message": printable(self._step),
            "bytes_done": _at_most(progress.bytes_done, progress.bytes_total),
            "bytes_total": progress.bytes_total,
            "files_done": _at_most(progress.files_done, progress.files_total),
            "files_total": progress.files_total,
            "bytes_moved": progress.bytes_moved,
        }
        self.home.write(STATUS, self._status)

    def _finish(self, state: str, message: str) -> int:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        self._publish(self.control.progress)
        self.home.write(STATUS, {**self._status, "state": state, "message": printable(message)}, durable=True)
        return 0 if state == "done" else 1


def _reason(error: Exception) -> str:
    """Why the job failed, with a stable code."""
    if isinstance(error, DriverError):
        return str(error)
    if isinstance(error, CopyFailed):
        code = PoolFull.code if error.full else error.code or _BROKEN
        return f"{code} no space left on the target: {error}" if error.full else f"{code} {error}"
    traceback.print_exception(error)
    return f"{_BROKEN} {type(error).__name__}: {error}"


def _at_most(count: int, total: int | None) -> int:
    return count if total is None else min(count, total)
