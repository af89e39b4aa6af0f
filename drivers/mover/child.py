"""The process of one job: ``python -m drivers.mover.child <job directory> [<descriptor of the lock>]``."""

from __future__ import annotations

import os
import resource
import signal
import sys
import traceback
from contextlib import nullcontext
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from drivers.errors import DriverError, PoolFull, Unknown, printable
from drivers.mover import metadata
from drivers.mover.builtin import TreeCopier
from drivers.mover.compare import TreeComparison, open_root
from drivers.mover.control import Control, CopyFailed, Progress
from drivers.mover.durable import SteadySync, sync_file_system
from drivers.mover.jobdir import BANDWIDTH, CANCEL, REQUEST, STATUS, JobDir
from drivers.mover.options import Request
from drivers.mover.rsync import RsyncPass, RsyncUnusable, find_rsync
from drivers.mover.scan import Census, prepare_in_place, take_census

PASSES = 3
"""How often a copy is made to agree with a source that changes, before the job fails."""

_SHOWN_DIFFERENCES = 5
_SMALL_FILES = 2000
_SMALL_BYTES = 64 << 20
_BROKEN = "D400"


class Stopped(BaseException):
    """The process was asked to end."""


class CopyProcess:
    """The steps of one job: count, copy, compare, make durable; and the status after each."""

    def __init__(self, home: JobDir, lock: int) -> None:
        data = home.read(REQUEST) or {}
        self._home = home
        self._lock = lock
        self._request = Request.from_json(data)
        self._suspect = bool(data.get("suspect"))
        self._status: dict[str, Any] = {**(home.read(STATUS) or {}), "pid": os.getpid()}
        self._step = "counting"
        self._notes: list[str] = []
        self._shared: set[tuple[int, int]] = set()
        self._control = Control(self._publish, self._read_rate)
        self._publish(self._control.progress)

    def run(self) -> int:
        """Do the job and write down how it ended. Returns the exit status."""
        try:
            self._copy()
        except Stopped:
            if (self._home.path / CANCEL).exists():
                return self._finish("cancelled", "cancelled on request")
            return self._finish("failed", f"{Unknown.code} the copy was stopped; start the job again to go on")
        except Exception as error:  # noqa: BLE001 - the status is the only place where it can be told
            return self._finish("failed", _reason(error))
        return self._finish("done", "; ".join(self._notes))

    def _copy(self) -> None:
        # Both are closed before the end is told: whoever reads it may unmount them at once.
        source = open_root(self._request.source, "the source")
        try:
            target = open_root(self._request.target, "the target")
            try:
                self._copy_between(source, target)
            finally:
                os.close(target)
        finally:
            os.close(source)

    def _copy_between(self, source: int, target: int) -> None:
        census = take_census(source, target, self._control.tick, reflink=self._request.options.reflink)
        progress = self._control.progress
        progress.bytes_total, progress.files_total = census.bytes, census.files
        if losses := census.losses():
            self._notes.append(losses)
        engine = self._engine(census)
        with SteadySync(target) if census.bytes > _SMALL_BYTES else nullcontext():
            self._passes(engine, source, target, census)
        self._enter("writing to disk")
        sync_file_system(target)

    def _engine(self, census: Census) -> str:
        """The path of rsync, or empty for the built-in copier."""
        asked, program = self._request.options.engine, find_rsync()
        if asked == "rsync":
            if program is None:
                raise CopyFailed("rsync is not installed; install the package rsync, or use engine auto")
            if census.losses():
                raise CopyFailed(f"rsync does not tell what it leaves out ({census.losses()}); use engine builtin")
            return program
        small = census.files <= _SMALL_FILES and census.bytes <= _SMALL_BYTES
        if asked == "builtin" or program is None or small or census.shares or os.geteuid() != 0:
            return ""
        return program

    def _passes(self, engine: str, source: int, target: int, census: Census) -> None:
        options = self._request.options
        trouble = ""
        for number in range(PASSES):
            self._enter("copying" if number == 0 else f"copying, pass {number + 1}: {trouble}")
            checksum = number > 0 or self._suspect
            try:
                changed = self._pass(engine, source, target, census, checksum=checksum)
            except CopyFailed as error:
                if not error.retry or not options.verify:
                    raise
                trouble = str(error)
                continue
            self._control.progress.finish()
            if not options.verify:
                if changed:
                    self._notes.append("the source changed during the copy")
                return
            self._enter("verifying")
            trouble = self._differences(source, target)
            if not trouble:
                return
        raise CopyFailed(f"after {PASSES} passes the copy still differs from the source, is it in use? {trouble}")

    def _pass(self, engine: str, source: int, target: int, census: Census, *, checksum: bool) -> bool:
        options = self._request.options
        if engine:
            prepare_in_place(source, target, self._control.tick)
            rsync = RsyncPass(
                engine,
                str(self._request.source),
                str(self._request.target),
                self._control,
                locks=(self._lock,),
                delete_extra=options.delete_extra,
                count_present=lambda: take_census(source, target, self._control.tick, reflink=False).present,
            )
            self._control.progress.bytes_done = max(self._control.progress.bytes_done, census.present)
            try:
                return rsync.run(census.present, checksum=checksum)
            except RsyncUnusable as error:
                if options.engine == "rsync":
                    raise CopyFailed(f"this rsync cannot do it: {error}") from error
        copier = TreeCopier(
            source,
            target,
            self._control,
            delete_extra=options.delete_extra,
            reflink=options.reflink,
            checksum=checksum,
        )
        copier.run()
        self._shared = copier.shared
        return copier.changed > 0

    def _differences(self, source: int, target: int) -> str:
        comparison = TreeComparison(
            source,
            target,
            extras_allowed=not self._request.options.delete_extra,
            privilege=metadata.Privilege(),
            shared=self._shared,
            tick=self._control.tick,
        )
        return "; ".join(comparison.differences(_SHOWN_DIFFERENCES))

    def _enter(self, step: str) -> None:
        self._step = step
        self._publish(self._control.progress)

    def _publish(self, progress: Progress) -> None:
        self._status |= {
            "state": "running",
            "message": printable(self._step),
            "bytes_done": _at_most(progress.bytes_done, progress.bytes_total),
            "bytes_total": progress.bytes_total,
            "files_done": _at_most(progress.files_done, progress.files_total),
            "files_total": progress.files_total,
        }
        self._home.write(STATUS, self._status)

    def _read_rate(self) -> int | None:
        rate = (self._home.read(BANDWIDTH) or {}).get("bytes_per_second")
        return rate if isinstance(rate, int) and rate > 0 else None

    def _finish(self, state: str, message: str) -> int:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        self._publish(self._control.progress)
        self._home.write(STATUS, {**self._status, "state": state, "message": printable(message)}, durable=True)
        return 0 if state == "done" else 1


def _reason(error: Exception) -> str:
    """Why the job failed, with a stable code."""
    if isinstance(error, DriverError):
        return str(error)
    if isinstance(error, CopyFailed):
        return f"{PoolFull.code} no space left on the target: {error}" if error.full else f"{_BROKEN} {error}"
    traceback.print_exception(error)
    return f"{_BROKEN} {type(error).__name__}: {error}"


def _at_most(count: int, total: int | None) -> int:
    return count if total is None else min(count, total)


def _stop(_number: int, _frame: FrameType | None) -> NoReturn:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Stopped


def main(arguments: list[str]) -> int:
    """Run the job of a job directory. Exit status: 0 done, 1 not done (see the status), 3 the job runs already."""
    home = JobDir(Path(arguments[0]))
    lock = int(arguments[1]) if len(arguments) > 1 else home.take_lock()
    if lock is None:
        return 3
    os.set_inheritable(lock, False)
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    signal.signal(signal.SIGTERM, _stop)
    return CopyProcess(home, lock).run()


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # a thread may still wait for its last sync; nothing is left to be tidied up
