"""The trash of a pool: things that are gone for everybody and still take space.

Removal is flat: a directory's files are unlinked, its subdirectories are moved up into the trash and removed in turn.
So a tree of any depth takes one descriptor and no recursion, any number of processes can work on the same trash, and a
kill at any moment leaves only trash.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import threading
import time
from pathlib import Path
from typing import Final

from drivers.contract import Job, JobState
from drivers.errors import DriverError, printable
from drivers.posix import directory_fd
from drivers.recorded.volumes import Volumes
from drivers.sidecar import NAME_LENGTH

_BATCH: Final = 512


class Trash:
    """The trash directory of one pool."""

    def __init__(self, folder: Path, volumes: Volumes) -> None:
        self._folder = folder
        self._volumes = volumes

    def entries(self, name: str = "") -> list[str]:
        """What lies in the trash, of one object or of all."""
        start = f"{name}." if name else "sf-"
        return [path.name for path in self._folder.iterdir() if path.name.startswith(start)]

    def purge(self, name: str, seconds: float) -> Job:
        """Remove all trash of an object.

        ``done`` when nothing is left, ``running`` when the time was over first, ``failed`` with the reason when
        something cannot be removed; the next call goes on.
        """
        deadline = time.monotonic() + seconds
        try:
            while entries := self.entries(name):
                for entry in entries:
                    if not self._remove(entry, deadline):
                        return Job(JobState.RUNNING, message="deleted; its space is being freed")
        except OSError as error:
            return Job(JobState.FAILED, message=printable(f"deleted, but its space cannot be freed: {error}"))
        return Job.done()

    def sweep(self, stop: threading.Event) -> None:
        """Remove all trash of all objects until told to stop. What cannot be removed stays for the next time."""
        tried: set[str] = set()
        with contextlib.suppress(OSError, DriverError):
            while entries := [entry for entry in self.entries() if entry not in tried]:
                for entry in entries:
                    tried.add(entry)
                    with contextlib.suppress(OSError, DriverError):
                        while not self._remove(entry, time.monotonic() + 0.2):
                            if stop.is_set():
                                return
                    if stop.is_set():
                        return

    def _remove(self, entry: str, deadline: float) -> bool:
        """Empty one directory of the trash and remove it. False when the time is over."""
        path = self._folder / entry
        self._volumes.raze(path / "data")
        try:
            while True:
                if os.geteuid() != 0:
                    path.chmod(0o700)
                with directory_fd(path) as fd:
                    while self._empty(fd, entry[:NAME_LENGTH]):
                        if time.monotonic() >= deadline:
                            return False
                try:
                    path.rmdir()
                except OSError as error:
                    if error.errno != errno.ENOTEMPTY:
                        raise
                    continue
                return time.monotonic() < deadline
        except FileNotFoundError:  # another process works here too
            return True

    def _empty(self, fd: int, name: str) -> bool:
        """Remove some of the names in a directory. False when there were none."""
        with os.scandir(fd) as found:
            batch = list(itertools.islice(found, _BATCH))
        for entry in batch:
            with contextlib.suppress(FileNotFoundError):
                if not entry.is_dir(follow_symlinks=False):
                    os.unlink(entry.name, dir_fd=fd)
                    continue
                if os.geteuid() != 0:
                    os.chmod(entry.name, 0o700, dir_fd=fd)
                os.rename(entry.name, self._folder / f"{name}.{os.urandom(8).hex()}", src_dir_fd=fd)
        return bool(batch)
