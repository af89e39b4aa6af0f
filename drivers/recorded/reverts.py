"""Taking a share back to a snapshot: new content in staging, one switch, old content to the trash."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Final

from drivers import crash
from drivers.contract import Call, Job, JobState
from drivers.errors import Conflict, OverUsed, PoolFull
from drivers.recorded import builds
from drivers.recorded.guards import full
from drivers.recorded.objects import finish_revert, save
from drivers.recorded.places import DATA
from drivers.recorded.pool import Pool
from drivers.recorded.volumes import Fill
from drivers.sidecar import Record, digest

PATIENCE: Final = 0.5


def revert(pool: Pool, record: Record, home: Path, origin: Record, source: Path, call: Call) -> Job:
    """Carry out one revert, or go on with it; the locks of share (exclusive) and snapshot (shared) are held.

    Raises:
        Conflict: the snapshot is of another share. OverUsed: its content does not fit. Busy: a job reads the share.
        PoolFull.
    """
    if origin.source != record.name:
        raise Conflict(
            f"{origin.name} is a snapshot of {origin.source}, not of {record.name}",
            hint="clone it to a new share instead",
        )
    _check_fits(pool, record, origin, source)
    builds.check_not_read(pool, record.name)
    key = digest(call)
    if record.job not in {"", key}:
        builds.stop(pool, record)
    intent = record.changed(call, job=key, revert=key)
    save(pool, record, intent)
    crash.window("revert.intent")
    try:
        job = _prepare(pool, intent, home, source, key)
    except (PoolFull, OSError) as error:
        if isinstance(error, PoolFull) or full(error):
            _abandon(pool, record, intent)
        raise
    if job.state is not JobState.DONE:
        return job
    pool.places.switch(home, pool.places.staging / record.name)
    pool.volumes.seal(home.parent, pool.places.staging)
    crash.window("revert.switched")
    builds.stop(pool, intent)
    pool.sidecar.drop_reader(origin.name, record.name)
    finish_revert(pool, intent)
    pool.trash.purge(record.name, PATIENCE)
    return Job.done()


def _check_fits(pool: Pool, record: Record, origin: Record, source: Path) -> None:
    if origin.size <= record.size:
        return
    used = pool.volumes.used(source / DATA, fresh=False)
    if used > record.size:
        raise OverUsed(
            f"snapshot {origin.name} holds {used} bytes, more than the {record.size} of {record.name}",
            used=used, hint="make the share larger first",
        )  # fmt: skip


def _prepare(pool: Pool, record: Record, home: Path, source: Path, key: str) -> Job:
    """The snapshot's content in staging, with the size and mode of the share. Gives the job that brings it there."""
    staged = pool.places.stage(record.name, key)
    volume = staged / DATA
    task = Fill(source / DATA, volume, builds.job_name(pool, record.name, key), frozen=False, live=False)
    job = pool.volumes.fill(task)
    if job.state is JobState.RUNNING:
        pool.sidecar.add_reader(source.name, record.name)
    if job.state is not JobState.DONE:
        return job
    crash.window("revert.filled")
    pool.volumes.bound(volume, record.size)
    pool.volumes.freeze(volume, frozen=pool.volumes.frozen(home / DATA))
    pool.volumes.harden(staged)
    crash.window("revert.bounded")
    return job


def _abandon(pool: Pool, before: Record, intent: Record) -> None:
    builds.stop(pool, intent)
    save(pool, intent, dataclasses.replace(before, epoch=intent.epoch, job="", revert=""))
    pool.places.clear_staging(before.name)
    pool.trash.purge(before.name, PATIENCE)
