"""Removing objects: tombstone, trash, record, and then their space."""

from __future__ import annotations

from typing import Final

from drivers import crash
from drivers.contract import Call, Job
from drivers.recorded import builds
from drivers.recorded.pool import Pool
from drivers.sidecar import Record, Tombstone

PATIENCE: Final = 1.0


def delete(pool: Pool, name: str, record: Record | None, tombstone: Tombstone | None, call: Call) -> Job:
    """Delete an object for good, under its lock; goes on where an interrupted delete of any call stopped.

    The tombstone is the commit point. The job is done when the space is free, too.

    Raises:
        Busy: a job copies from the object. Unknown: a job that fills it does not end.
    """
    if record is not None:
        builds.check_not_read(pool, name)
    if tombstone is None:
        pool.sidecar.bury(name, call, record.epoch if record is not None else 0)
    crash.window("delete.buried")
    containers = pool.places.containers(name)
    if record is not None:
        builds.stop(pool, record)
    if record is not None or containers:
        for container in containers:
            pool.places.discard(container)
        places = pool.places
        pool.volumes.seal(places.shares, places.snapshots, places.withheld, places.staging, places.trash)
        crash.window("delete.trashed")
        pool.places.unlink(name)
    pool.sidecar.forget(name)
    crash.window("delete.forgotten")
    return pool.trash.purge(name, PATIENCE)
