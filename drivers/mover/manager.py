"""Starting, finding, watching and stopping copies."""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import drivers
from drivers.contract import Job, JobState
from drivers.errors import Busy, Conflict, NotFound, Rejected, Unknown
from drivers.mover.builtin import boot_id
from drivers.mover.compare import open_root
from drivers.mover.control import show
from drivers.mover.inline import check_apart, ensure_target
from drivers.mover.jobdir import BANDWIDTH, CANCEL, REQUEST, STATUS, JobDir, sync_directory
from drivers.mover.options import CopyOptions, Request

DIED = "D300 the copy process died; start the job again to go on where it was"
_DEFAULTS = CopyOptions()
_CANCELLED = "cancelled on request"

_GRACE = 0.5
_PATIENCE = 5.0
_QUEUE_TIMEOUT = 20.0
_COUNTERS = ("bytes_done", "bytes_total", "files_done", "files_total")


class Mover:
    """Copies of directory trees as jobs that outlive this process.

    A job is named by free text and found again under ``jobs_dir`` by any process of this host that gives the same name.
    Its states: ``running``; ``done`` (verified if asked for, and on disk); ``failed``, with the reason in the message,
    which begins with a stable code (``D105`` no room, ``D300`` stopped or died, ``D400`` anything else); ``cancelled``.
    While it runs the message is the step it is in.

    Thread-safe. Calls are answered from small files; only :meth:`cancel`, :meth:`forget` and :meth:`close` wait, for a
    child to end.
    """

    def __init__(self, jobs_dir: Path) -> None:
        self._jobs_dir = _absolute(jobs_dir)
        self._mutex = threading.Lock()
        self._children: list[tuple[JobDir, subprocess.Popen[bytes]]] = []

    def start(self, job: str, source: Path, target: Path, options: CopyOptions = _DEFAULTS) -> Job:
        """Start the copy, or find it.

        A running job is returned as it is (its options stay; see :meth:`set_bandwidth`), a done one with the same
        options too (the bandwidth aside). One that died, failed, was cancelled or has other options now runs again and
        does not copy anew what is there. The target directory is made when its parent exists.

        Raises:
            Conflict: the job has another source or target.
            NotFound: no source.
            Rejected: a path is not a directory, or one tree is inside the other.
            Busy: an earlier process of the job is still ending.
        """
        request = Request(job, _absolute(source), _absolute(target), options)
        with self._exclusive(job) as home:
            known = home.request()
            if known is not None and (known.source, known.target) != (request.source, request.target):
                raise Conflict(
                    f"job {job!r} copies {show(str(known.source))} to {show(str(known.target))},"
                    f" not {show(str(request.source))} to {show(str(request.target))}",
                    hint="use another job name, or forget this job first",
                )
            if known is not None:
                found = self._look(home)
                if found.state is JobState.DONE and known.same_result(request):
                    return found
                if found.state is JobState.RUNNING:
                    if not (home.path / CANCEL).exists():
                        return found
                    self._stop(home, job)  # whoever cancelled it died before it was stopped
            _check(request)
            return self._launch(home, request)

    def poll(self, job: str) -> Job | None:
        """How far the job is; None when there is no such job. A job whose process was killed is ``failed``."""
        self._reap()
        home = self._home(job)
        if home.read(REQUEST) is None:
            return None
        return self._look(home)

    def cancel(self, job: str) -> Job:
        """End the job within about a second; no process of it is left. What it copied stays in the target.

        Returns the final state: ``done`` or ``failed`` when it was that before, ``cancelled`` else, also for an unknown
        job. Idempotent.

        Raises:
            Unknown: a process of the job cannot be ended now (it waits for its storage).
        """
        if self.poll(job) is None:
            return Job(JobState.CANCELLED, message=_CANCELLED)
        with self._exclusive(job) as home:
            found = self._look(home)
            if found.state is not JobState.RUNNING:
                return found
            (home.path / CANCEL).touch()
            self._stop(home, job)
            found = self._look(home)
            if found.state is JobState.FAILED:
                status = home.read(STATUS) or {}
                home.write(STATUS, {**status, "state": JobState.CANCELLED, "message": _CANCELLED}, durable=True)
                found = self._look(home)
        self._reap()
        return found

    def set_bandwidth(self, job: str, bytes_per_second: int | None) -> None:
        """Change the limit of a job, from now on and until it is started again; None lifts it.

        Takes effect within half a second; an rsync engine is restarted for it and goes on where it was. A job that does
        not run is left as it is.

        Raises:
            NotFound: no such job.
            Rejected: less than one byte per second.
        """
        if bytes_per_second is not None and bytes_per_second < 1:
            raise Rejected(
                f"the bandwidth is {bytes_per_second} bytes per second", hint="give 1 or more, or none for no limit"
            )
        home = self._home(job)
        if home.read(REQUEST) is None:
            raise NotFound(f"there is no copy job {job!r}", hint="start it first")
        with self._exclusive(job):
            if home.read(REQUEST) is not None:
                home.write(BANDWIDTH, {"bytes_per_second": bytes_per_second})

    def forget(self, job: str) -> None:
        """End the job if it runs and remove its records; the target stays as it is. A missing job is fine.

        Raises:
            Unknown: a process of the job cannot be ended now.
        """
        if not self._home(job).path.exists():
            return
        with self._exclusive(job) as home:
            if home.is_alive():
                (home.path / CANCEL).touch()
                self._stop(home, job)
            # The request goes first: without it there is no job, whatever else a crash leaves.
            (home.path / REQUEST).unlink(missing_ok=True)
            for file in home.path.iterdir():
                file.unlink(missing_ok=True)
            with suppress(OSError):  # somebody else may just have begun to use it again
                home.path.rmdir()
        self._reap()

    def close(self) -> None:
        """Stop the copies that this object started. They are ``failed`` then, and go on when started again."""
        with self._mutex:
            children = [(home, child) for home, child in self._children if child.poll() is None]
        for _, child in children:
            child.terminate()
        for home, child in children:
            home.stop(_GRACE, _PATIENCE)
            with suppress(subprocess.TimeoutExpired):
                child.wait(_PATIENCE)
        self._reap()

    def _home(self, job: str) -> JobDir:
        return JobDir(self._jobs_dir / _key(job))

    @contextmanager
    def _exclusive(self, job: str) -> Iterator[JobDir]:
        """The job's directory, with nobody else starting, cancelling or forgetting the job."""
        home = self._home(job)
        end = time.monotonic() + _QUEUE_TIMEOUT
        try:
            while (guard := _try_guard(home.path)) is None:
                if time.monotonic() >= end:
                    raise Busy(f"job {job!r} is being started or stopped by another call", hint="try again")
                time.sleep(0.005)
            try:
                yield home
            finally:
                os.close(guard)
        except OSError as error:
            raise Unknown(f"the records of job {job!r} cannot be used: {error}", hint="check the disk") from error

    def _look(self, home: JobDir) -> Job:
        """The job as its files and its lock say; the order of reading makes the two agree."""
        while True:
            status = home.read(STATUS)
            if status is not None and status.get("state") != JobState.RUNNING:
                return _job(status)
            if home.is_alive():
                return _job(status or {})
            again = home.read(STATUS)
            if again == status:  # nothing was written between a dead lock and a running state: it died
                return _job({**(status or {}), "state": JobState.FAILED, "message": DIED})

    def _launch(self, home: JobDir, request: Request) -> Job:
        self._reap()
        lock = _wait_lock(home, request.job)
        try:
            boot, before = boot_id(), home.read(REQUEST) or {}
            suspect = bool(before) and bool(before.get("suspect") or before.get("boot") != boot)
            home.write(REQUEST, {**request.to_json(), "boot": boot, "suspect": suspect}, durable=True)
            (home.path / CANCEL).unlink(missing_ok=True)
            home.write(BANDWIDTH, {"bytes_per_second": request.options.bandwidth})
            home.write(STATUS, {"state": JobState.RUNNING, "message": "starting", "run": uuid.uuid4().hex})
            child = _spawn(home, lock)
        finally:
            os.close(lock)
        with self._mutex:
            self._children.append((home, child))
        return Job(JobState.RUNNING, message="starting")

    def _stop(self, home: JobDir, job: str) -> None:
        if not home.stop(_GRACE, _PATIENCE):
            raise Unknown(
                f"a process of job {job!r} does not end; its storage may hang",
                hint="try again when the storage answers",
            )

    def _reap(self) -> None:
        with self._mutex:
            self._children = [(home, child) for home, child in self._children if child.poll() is None]


def _absolute(path: Path) -> Path:
    return Path(os.path.normpath(path.absolute()))


def _key(job: str) -> str:
    return hashlib.blake2b(job.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _check(request: Request) -> None:
    os.close(open_root(request.source, "the source"))
    check_apart(request.source, request.target)
    ensure_target(request.target)
    os.close(open_root(request.target, "the target"))


def _try_guard(path: Path) -> int | None:
    """A descriptor that holds the exclusive right to the job's directory, or None while another call has it."""
    try:
        path.mkdir(mode=0o700, parents=True)
        sync_directory(path.parent)
    except FileExistsError:
        pass  # the usual case
    try:
        guard = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
        held = os.fstat(guard)
        now = path.stat()
    except (BlockingIOError, FileNotFoundError):
        os.close(guard)
        return None
    if (held.st_dev, held.st_ino) != (now.st_dev, now.st_ino):  # forgotten and made again meanwhile
        os.close(guard)
        return None
    return guard


def _wait_lock(home: JobDir, job: str) -> int:
    """The proof of life, taken for a new child; waits for an old one that is ending."""
    end = time.monotonic() + _PATIENCE
    while (lock := home.take_lock()) is None:
        if time.monotonic() >= end:
            raise Busy(f"the last process of job {job!r} has not ended yet", hint="try again")
        time.sleep(0.005)
    return lock


def _spawn(home: JobDir, lock: int) -> subprocess.Popen[bytes]:
    """The child: its own session, nothing inherited but the lock and the log, no site packages to load."""
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "LC_ALL": "C",
        "PYTHONPATH": str(Path(drivers.__file__).resolve().parent.parent),
    }
    command = [sys.executable, "-P", "-S", "-X", "utf8", "-m", "drivers.mover.child", str(home.path), str(lock)]
    log = home.open_log()
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            env=environment,
            pass_fds=(lock,),
            start_new_session=True,
        )
    finally:
        os.close(log)


def _job(status: dict[str, Any]) -> Job:
    counters = {name: status[name] for name in _COUNTERS if name in status}
    state = JobState(status.get("state", JobState.RUNNING))
    return Job(state, message=str(status.get("message", "")), **counters)
