"""Removing objects: tombstone, trash, record, and then their space."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path
from typing import Final

from drivers import crash
from drivers.contract import Call, Job
from drivers.recorded import builds
from drivers.recorded.guards import full
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
        _bury(pool, name, call, record.epoch if record is not None else 0)
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


def _bury(pool: Pool, name: str, call: Call, epoch: int) -> None:
    """Write the tombstone. Where there is not even room for that, the object's own content makes it."""
    while True:
        try:
            pool.sidecar.bury(name, call, epoch)
        except OSError as error:
            # Window: a crash leaves an object that lacks some files; it was to go, and the delete comes again.
            if not full(error) or not any(_drop_a_file(container) for container in pool.places.containers(name)):
                raise
        else:
            return


def _drop_a_file(container: Path) -> bool:
    """Remove one file that takes space; links are not followed. False when there is none."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):  # what stands in for a withheld share
        for _, _, files, fd in os.fwalk(container / "data"):
            for file in files:
                found = os.stat(file, dir_fd=fd, follow_symlinks=False)
                if stat.S_ISREG(found.st_mode) and found.st_blocks and found.st_nlink == 1:
                    os.unlink(file, dir_fd=fd)
                    return True
    return False
