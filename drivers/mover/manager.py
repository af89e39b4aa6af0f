"""Starting, finding, watching and stopping copies and verifications."""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from drivers.contract import Job, JobState
from drivers.errors import Busy, Conflict, NotFound, Rejected, Unknown
from drivers.mover.builtin import boot_id
from drivers.mover.compare import open_root
from drivers.mover.control import show
from drivers.mover.detached import Children, end, forget, look, wait_lock
from drivers.mover.inline import check_apart, ensure_target
from drivers.mover.jobdir import BANDWIDTH, CANCEL, REQUEST, STATUS, JobDir, sync_directory
from drivers.mover.memory import forget_memory, memory_place
from drivers.mover.options import Check, CopyOptions, Request

DIED = "D300 the copy process died; start the job again to go on where it was"
_DEFAULTS = CopyOptions()
_CANCELLED = "cancelled on request"

_QUEUE_TIMEOUT = 20.0


class Mover:
    """Copies and comparisons of directory trees as jobs that outlive this process.

    A job is named by free text and found again under ``jobs_dir`` by any process of this host that gives the same name.
    Its states: ``running``; ``done`` (verified if asked for, and on disk); ``failed``, with the reason in the message,
    which begins with a stable code (``D105`` no room, ``D300`` stopped or died, ``D410`` a verification found a
    difference, ``D400`` anything else); ``cancelled``. While it runs the message is the step it is in.

    Thread-safe. Calls are answered from small files; only :meth:`cancel`, :meth:`forget` and :meth:`close` wait, for a
    child to end.
    """

    def __init__(self, jobs_dir: Path) -> None:
        self._jobs_dir = _absolute(jobs_dir)
        self._children = Children("drivers.mover.child")

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
        return self._begin(Request(job, _absolute(source), _absolute(target), options))

    def verify(self, job: str, source: Path, target: Path, *, sampled: bool) -> Job:
        """Start a comparison of two trees that nobody changes, or find it. Neither tree is changed.

        A job like a copy, with the same states; it cannot have the name of a copy. ``done`` when no difference was
        found: the message says what was looked at. ``failed`` with ``D410`` and the first differences else. Started
        again after an end that is not ``done`` it begins anew.

        With ``sampled`` up to 20,000 names and up to 64 MiB of content are looked at instead of all; they are chosen by
        the job's name, so that a repeat looks at the same.

        Raises:
            Conflict: the job is a copy, or has another source or target.
            NotFound: no source, no target.
            Rejected: a path is not a directory, or one tree is inside the other.
            Busy: an earlier process of the job is still ending.
        """
        check: Check = "sampled" if sampled else "full"
        return self._begin(Request(job, _absolute(source), _absolute(target), check=check))

    def _begin(self, request: Request) -> Job:
        job = request.job
        with self._exclusive(job) as home:
            known = home.request()
            if known is not None and not known.same_trees(request):
                raise Conflict(
                    f"job {job!r} {_words(known)}; it cannot be one that {_words(request)}",
                    hint="use another job name, or forget this job first",
                )
            if known is not None:
                found = look(home, DIED)
                if found.state is JobState.DONE and known.same_result(request):
                    return found
                if found.state is JobState.RUNNING:
                    if not (home.path / CANCEL).exists():
                        return found
                    end(home, f"job {job!r}")  # whoever cancelled it died before it was stopped
            _check(request)
            return self._launch(home, request)

    def poll(self, job: str) -> Job | None:
        """How far the job is; None when there is no such job. A job whose process was killed is ``failed``."""
        self._children.reap()
        home = self._home(job)
        if home.read(REQUEST) is None:
            return None
        return look(home, DIED)

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
            found = look(home, DIED)
            if found.state is not JobState.RUNNING:
                return found
            (home.path / CANCEL).touch()
            end(home, f"job {job!r}")
            found = look(home, DIED)
            if found.state is JobState.FAILED:
                status = home.read(STATUS) or {}
                home.write(STATUS, {**status, "state": JobState.CANCELLED, "message": _CANCELLED}, durable=True)
                found = look(home, DIED)
        self._children.reap()
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

    def forget_records(self, target: Path) -> None:
        """Remove what earlier passes recorded of a target: the next one compares all. Missing records are fine."""
        forget_memory(memory_place(self._jobs_dir, _absolute(target)))

    def forget(self, job: str) -> None:
        """End the job if it runs and remove its records; the target stays as it is. A missing job is fine.

        Raises:
            Unknown: a process of the job cannot be ended now.
        """
        if not self._home(job).path.exists():
            return
        with self._exclusive(job) as home:
            forget(home, f"job {job!r}")
        self._children.reap()

    def close(self) -> None:
        """Stop the copies that this object started. They are ``failed`` then, and go on when started again."""
        self._children.close()

    def _home(self, job: str) -> JobDir:
        return JobDir(self._jobs_dir / _key(job))

    @contextmanager
    def _exclusive(self, job: str) -> Iterator[JobDir]:
        """The job's directory, with nobody else starting, cancelling or forgetting the job."""
        home = self._home(job)
        until = time.monotonic() + _QUEUE_TIMEOUT
        try:
            while (guard := _try_guard(home.path)) is None:
                if time.monotonic() >= until:
                    raise Busy(f"job {job!r} is being started or stopped by another call", hint="try again")
                time.sleep(0.005)
            try:
                yield home
            finally:
                with suppress(OSError):  # a refused start, or one that came after the job was forgotten, leaves nothing
                    home.path.rmdir()
                os.close(guard)
        except OSError as error:
            raise Unknown(f"the records of job {job!r} cannot be used: {error}", hint="check the disk") from error

    def _launch(self, home: JobDir, request: Request) -> Job:
        self._children.reap()
        lock = wait_lock(home, f"job {request.job!r}")
        try:
            boot, before = boot_id(), home.read(REQUEST) or {}
            suspect = bool(before) and bool(before.get("suspect") or before.get("boot") != boot)
            home.write(REQUEST, {**request.to_json(), "boot": boot, "suspect": suspect}, durable=True)
            (home.path / CANCEL).unlink(missing_ok=True)
            home.write(BANDWIDTH, {"bytes_per_second": request.options.bandwidth})
            home.write(STATUS, {"state": JobState.RUNNING, "message": "starting", "run": uuid.uuid4().hex})
            self._children.begin(home, lock)
        finally:
            os.close(lock)
        return Job(JobState.RUNNING, message="starting")


def _absolute(path: Path) -> Path:
    return Path(os.path.normpath(path.absolute()))


def _key(job: str) -> str:
    return hashlib.blake2b(job.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _words(request: Request) -> str:
    verb = "compares {} with {}" if request.check else "copies {} to {}"
    return verb.format(show(str(request.source)), show(str(request.target)))


def _check(request: Request) -> None:
    os.close(open_root(request.source, "the source"))
    check_apart(request.source, request.target)
    if not request.check:
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
