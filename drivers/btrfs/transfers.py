"""Receiving a snapshot: checks on both sides, notes that keep what is read, a job, and then a place like any other."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from drivers import crash
from drivers.btrfs import ioctls
from drivers.btrfs.marks import read_mark
from drivers.btrfs.receives import STOPPED, Order, Receives
from drivers.contract import Call, Job, JobState, ObjectKind, ObjectRef
from drivers.errors import Conflict, DriverError, PoolFull, Rejected
from drivers.posix import directory_fd
from drivers.recorded import builds
from drivers.recorded.objects import complete, located
from drivers.recorded.places import DATA
from drivers.recorded.pool import Pool
from drivers.sidecar import Record, digest

FORMAT: Final = "btrfs-send-1"
"""What is exchanged: streams of version 1 of the send protocol, between file systems of one host."""
PATIENCE: Final = 0.3
"""Seconds that a call waits for the transfer that it has started: most differences are over by then."""


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a transfer: its pool, the snapshot there, and the base there."""

    pool: Pool
    ref: ObjectRef
    base: ObjectRef | None

    def volume(self, ref: ObjectRef) -> Path:
        """The data of a complete snapshot. Raises NotFound, Conflict, Broken."""
        return complete(self.pool, ref, ObjectKind.SNAPSHOT)[1] / DATA


def receive(receives: Receives, there: Side, here: Side, share: ObjectRef, call: Call, bandwidth: int | None) -> Job:
    """See :meth:`drivers.contract.SupportsTransfer.receive_snapshot`."""
    if bandwidth is not None and bandwidth < 1:
        raise Rejected(f"the bandwidth is {bandwidth} bytes per second", hint="give 1 or more, or none for no limit")
    pool, name = here.pool, here.ref.name
    job_name = builds.job_name(pool, name, digest(call))
    if (job := _running(receives, job_name, there, here, share, call, bandwidth)) is not None:
        return job
    with builds.creating(pool, name, share.name):
        record = builds.wanted(pool, name, ObjectKind.SNAPSHOT, call)
        if record is not None:
            builds.check_same(record, source=share.name, origin=there.ref.name)
            if record.complete:
                builds.adopt(pool, record, call)
                return _over(located(pool, record) / DATA)
        complete(pool, share, ObjectKind.SHARE)
        origin = complete(there.pool, there.ref, ObjectKind.SNAPSHOT)[0]
        _check_base(there, here)
        if record is None:
            record = replace(
                Record.intent(name, ObjectKind.SNAPSHOT, origin.size, share.name, call), origin=there.ref.name
            )
        work = _Work(receives, job_name, there, here, bandwidth)
        job = builds.build(pool, record, call, work, bounded=None)
        if job.state is not JobState.DONE:
            return job
        work.let_go()
        return _over(pool.places.snapshots / name / DATA)


def _running(
    receives: Receives, job_name: str, there: Side, here: Side, share: ObjectRef, call: Call, bandwidth: int | None
) -> Job | None:
    """The job of this very call, when it runs: looking at it changes nothing, so nothing is committed."""
    with here.pool.sidecar.lock(here.ref.name):
        record = here.pool.sidecar.load(here.ref.name)
        if record is None or record.complete:
            return None
        known = (record.job, record.epoch, record.deployment, record.source, record.origin)
        if known != (digest(call), call.epoch, call.deployment, share.name, there.ref.name):
            return None
        found = receives.find(job_name)
        if found is None or found.state is not JobState.RUNNING:
            return None
        receives.pace(job_name, bandwidth)
        return found


def _over(volume: Path) -> Job:
    mark = read_mark(volume)
    moved = 0 if mark is None else mark.moved
    return Job(JobState.DONE, bytes_done=moved, bytes_total=moved, bytes_moved=moved)


def _check_base(there: Side, here: Side) -> None:
    """Refuse a base that is not one and the same snapshot. Raises NotFound, Conflict, Rejected."""
    if there.base is None or here.base is None:
        return
    if there.base.pool != there.ref.pool or here.base.pool != here.ref.pool:
        raise Rejected(
            f"the base is in pools {there.base.pool!r} and {here.base.pool!r}, the snapshot in {there.ref.pool!r} and"
            f" {here.ref.pool!r}",
            hint="a base lives in the pool of its snapshot, on each side",
        )
    with directory_fd(there.volume(there.base)) as theirs, directory_fd(here.volume(here.base)) as ours:
        same = ioctls.identity(theirs) in ioctls.identities(ours)
    if not same:
        raise Conflict(
            f"base {here.base.name} is not the snapshot that is {there.base.name} at the sender", hint="send without it"
        )


@dataclass(frozen=True, slots=True)
class _Work:
    """Brings the content into a staged volume: by a job, which is started, found, or over."""

    receives: Receives
    job: str
    there: Side
    here: Side
    bandwidth: int | None

    def __call__(self, volume: Path) -> Job:
        with directory_fd(self.there.volume(self.there.ref)) as fd:
            identity = ioctls.identity(fd).hex()
        if self._is_whole(volume, identity):
            return Job.done()
        found = self.receives.find(self.job)
        if found is not None and found.state is JobState.RUNNING:
            self.receives.pace(self.job, self.bandwidth)
            return found
        if found is not None and found.state is JobState.FAILED and not found.message.startswith(STOPPED):
            self.receives.forget(self.job)
            self.let_go()
            if found.message.startswith(PoolFull.code):
                raise PoolFull(found.message.removeprefix(f"{PoolFull.code} "))
            return found
        job = self._start(volume, identity)
        self.receives.wait(self.job, PATIENCE)
        return Job.done() if self._is_whole(volume, identity) else job

    @staticmethod
    def _is_whole(volume: Path, identity: str) -> bool:
        mark = read_mark(volume)
        return mark is not None and mark.identity == identity and ioctls.is_subvolume(volume)

    def _start(self, volume: Path, identity: str) -> Job:
        with self._reading():
            source = self.there.volume(self.there.ref)
            base = "" if self.there.base is None else str(self.there.volume(self.there.base))
            _check_base(self.there, self.here)
            home = str(self.receives.home(self.job))
            for side, name in self._read():
                side.pool.sidecar.add_reader(name, self.here.ref.name, home)
            crash.window("receive.noted")
            order = Order(str(source), base, str(volume), identity, None if base else self._bytes(source))
            job = self.receives.start(self.job, order, self.bandwidth)
            crash.window("receive.started")
            return job

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        """Nothing that is read goes away before it is noted."""
        with contextlib.ExitStack() as held:
            for side in (self.there, self.here):
                names = [name for other, name in self._read() if other is side]
                held.enter_context(side.pool.sidecar.reading(*names))
            yield

    def _read(self) -> list[tuple[Side, str]]:
        found = [(self.there, self.there.ref.name)]
        found += [(side, side.base.name) for side in (self.there, self.here) if side.base is not None]
        return found

    def _bytes(self, source: Path) -> int | None:
        """About as many bytes as a whole snapshot is sent in; None where they cannot be told now."""
        with contextlib.suppress(DriverError, OSError):
            return self.there.pool.volumes.used(source, fresh=False)
        return None

    def let_go(self) -> None:
        """Take the notes back: nothing is read any more."""
        for side, name in self._read():
            with contextlib.suppress(OSError):
                side.pool.sidecar.drop_reader(name, self.here.ref.name)
