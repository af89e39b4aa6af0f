"""Making objects: in staging, bounded, then moved into place; under the object's lock."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from drivers import crash
from drivers.contract import Call, Job, JobState, ObjectKind
from drivers.errors import Busy, Conflict, PoolFull, Rejected, StaleEpoch
from drivers.mover.jobdir import JobDir
from drivers.recorded.guards import check_fence, check_kind, check_owner, full
from drivers.recorded.objects import located, save, settle
from drivers.recorded.places import DATA
from drivers.recorded.pool import Pool
from drivers.recorded.volumes import Fill
from drivers.sidecar import Record, digest

_NOT_WRITABLE: Final = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})


def job_name(pool: Pool, name: str, key: str) -> str:
    """The name of the job that a call runs on an object."""
    return f"{pool.name}/{name}/{key}"


def wanted(pool: Pool, name: str, kind: ObjectKind, call: Call) -> Record | None:
    """The record of an object that is to be made, when an earlier call began or finished it.

    Raises:
        StaleEpoch: a newer call was seen, or the name was deleted. Conflict: another owner or kind has the name.
    """
    record, tombstone = pool.sidecar.load(name), pool.sidecar.tombstone(name)
    check_fence(name, call, record, tombstone)
    if tombstone is not None:
        raise StaleEpoch(f"{name} was deleted by {tombstone.operation!r} and can never be made again")
    if record is None:
        _check_ours(pool, name, digest(call))
        return None
    check_kind(record, kind)
    check_owner(record, call)
    return settle(pool, record)


def _check_ours(pool: Pool, name: str, key: str) -> None:
    """Refuse to make an object where somebody else's container is. Raises Conflict.

    A power cut may have taken the record of an empty share and left what the call had made. What is in staging is of
    no use to anybody; what is in its place was made by the call whose key it holds.
    """
    for container in pool.places.containers(name):
        if container.parent != pool.places.staging and pool.places.key(container) != key:
            raise Conflict(f"{name} is in pool {pool.name!r} without a record", hint="delete it, or use another pool")


@contextlib.contextmanager
def creating(pool: Pool, name: str, source: str | None = None) -> Iterator[None]:
    """Hold the locks of a call that makes an object; a pool that cannot be written refuses here, before any effect.

    Raises:
        Rejected: for this pool only: it is read-only, or this worker may not write to it. Busy.
    """
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(pool.changing(name, shared=source))
        except OSError as error:
            if error.errno not in _NOT_WRITABLE:
                raise
            raise Rejected(
                f"pool {pool.name!r} cannot be written: {error}",
                hint="look at its mount and rights",
                pool_specific=True,
            ) from error
        yield


def check_same(record: Record, *, size: int | None = None, source: str | None = None, origin: str = "") -> None:
    """Refuse a request that is not the one the object was made for. Raises Conflict."""
    if record.origin != origin:
        raise Conflict(
            f"{record.name} was received from {record.origin or 'nobody'!r}, not from {origin or 'nobody'!r}"
        )
    if source is not None and record.source != source:
        raise Conflict(f"{record.name} is made from {record.source or 'nothing'!r}, not from {source!r}")
    if size is not None and record.size != size:
        raise Conflict(f"{record.name} has {record.size} bytes, not {size}", hint="resize it, or use another name")


def check_not_filling(pool: Pool, record: Record) -> None:
    """Refuse to create a share that is a half-made clone. Raises Busy, Conflict."""
    if record.complete or not record.source:
        return
    if record.job and pool.volumes.running(job_name(pool, record.name, record.job)):
        raise Busy(f"{record.name} is still being filled from {record.source}")
    raise Conflict(
        f"{record.name} is a half-made clone of {record.source}", hint="make the clone call again, or delete the share"
    )


def adopt(pool: Pool, record: Record, call: Call) -> Job:
    """Answer for an object that is complete: nothing to do but to note the epoch. Raises Broken."""
    located(pool, record)
    save(pool, record, record.seen(call))
    return Job.done()


def create(pool: Pool, record: Record, call: Call) -> None:
    """Bring an empty share into being, or find it. Raises PoolFull, Broken."""
    if record.complete:
        adopt(pool, record, call)
        return

    def work(volume: Path) -> Job:
        pool.volumes.make(volume)
        return Job.done()

    build(pool, record, call, work, bounded=record.size)


def fill(pool: Pool, record: Record, source: Path, call: Call, *, bounded: int | None) -> Job:
    """Bring a snapshot or clone into being, or go on with it. Raises PoolFull, Broken, Unknown."""
    live = record.kind is ObjectKind.SNAPSHOT
    origin = pool.places.link(source) if live else source / DATA  # a share may move when its mode changes

    def work(volume: Path) -> Job:
        job = pool.volumes.fill(Fill(origin, volume, job_name(pool, record.name, digest(call)), live, live))
        if job.state is JobState.RUNNING:
            pool.sidecar.add_reader(record.source, record.name)
        return job

    return build(pool, record, call, work, bounded=bounded)


def build(pool: Pool, record: Record, call: Call, work: Callable[[Path], Job], *, bounded: int | None) -> Job:
    """Intent, content, bound, place, record. Goes on where an interrupted call of the same key stopped.

    ``work`` brings the content into a volume, or a job does that it starts or finds.
    """
    key = digest(call)
    if record.job not in {"", key}:
        stop(pool, record)
    known = pool.sidecar.load(record.name)
    intent = record.changed(call, job=key)
    # Window: a power cut may take the first intent of an empty share, whatever has been made since. The same call finds
    # that by its key, a delete by its name, and nobody has been told of it. A copy may run for hours: its intent stays.
    save(pool, known, intent, durable=known is not None or bool(record.source))
    crash.window("build.intent")
    try:
        job = _place(pool, intent, key, work, bounded)
    except (PoolFull, OSError) as error:
        if isinstance(error, OSError) and not full(error):
            raise
        abandon(pool, intent)
        raise
    if job.state is not JobState.DONE:
        return job
    if intent.source:
        stop(pool, intent)
    save(pool, intent, dataclasses.replace(intent, complete=True, job="", done=intent.finished(key)))
    return Job.done()


def _place(pool: Pool, record: Record, key: str, work: Callable[[Path], Job], bounded: int | None) -> Job:
    home = pool.places.find(record)
    if home is not None and pool.places.key(home) == key:
        pool.volumes.seal(home.parent)  # killed between the move and the record
        return Job.done()
    if home is not None:
        pool.places.discard(home)  # placed, but never finished, by another call
    staged = pool.places.stage(record.name, key)
    crash.window("build.staged")
    volume = staged / DATA
    job = work(volume)
    if job.state is not JobState.DONE:
        return job
    crash.window("build.filled")
    if bounded is not None:
        pool.volumes.bound(volume, bounded)
    pool.volumes.harden(staged)
    crash.window("build.bounded")
    home = pool.places.home(record)
    staged.rename(home)
    # Window: a file system carries out a rename as a whole. Once the new name is on disk, the old one is not.
    pool.volumes.seal(home.parent)
    crash.window("build.placed")
    return job


def stop(pool: Pool, record: Record) -> None:
    """End the job that works on an object, if any, and forget it. Raises Unknown when it does not end."""
    if record.job:
        pool.volumes.stop(job_name(pool, record.name, record.job))
    if record.source:
        pool.sidecar.drop_reader(record.source, record.name)


def abandon(pool: Pool, record: Record) -> None:
    """Take back an object that found no room: nothing of it is left, and its name is free."""
    stop(pool, record)
    pool.places.clear_staging(record.name)
    pool.sidecar.forget(record.name)
    pool.trash.purge(record.name, 1.0)


def check_not_read(pool: Pool, name: str) -> None:
    """Refuse to change or remove an object while a job reads it. Raises Busy."""
    for reader in pool.sidecar.readers(name):
        if (home := pool.sidecar.reader_job(name, reader)) and JobDir(Path(home)).is_alive():
            raise Busy(f"{name} is being sent to {reader}")
        record = pool.sidecar.load(reader)
        if record is not None and record.job and pool.volumes.running(job_name(pool, reader, record.job)):
            raise Busy(f"{name} is being copied to {reader}")
