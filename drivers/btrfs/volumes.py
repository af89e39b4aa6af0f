"""Volumes that are btrfs subvolumes with a quota group each."""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import ClassVar, Final

from drivers.btrfs import ioctls
from drivers.btrfs.commits import GroupCommit
from drivers.btrfs.receives import Receives
from drivers.contract import Job, JobState
from drivers.errors import Busy, Rejected, Unknown
from drivers.posix import ORDERED, Barriers, directory_fd
from drivers.recorded import Fill, Volumes

_RECOUNT_SECONDS: Final = 5.0
_MOST_DEPTH: Final = 64


class BtrfsVolumes(Volumes):
    """The subvolumes of one pool. Limits are set and read by id on the root of the pool, never through the volume."""

    makes_root: ClassVar[bool] = False
    enforces: ClassVar[bool] = True
    barriers: ClassVar[Barriers] = ORDERED

    def __init__(self, root: Path, receives: Receives | None = None) -> None:
        self._root = root
        self._receives = receives
        self._commits = GroupCommit(self._commit)

    @contextlib.contextmanager
    def _pool(self) -> Iterator[int]:
        fd = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            yield fd
        finally:
            os.close(fd)

    def probe(self) -> None:
        """See :meth:`Volumes.probe`: the root must be on a btrfs."""
        try:
            with self._pool() as pool:
                ioctls.filesystem_id(pool)
        except OSError as error:
            why = "is not on a btrfs" if error.errno == errno.ENOTTY else f"cannot be used: {error.strerror}"
            raise Unknown(f"{self._root} {why}", hint="mount the btrfs of this pool there") from error

    def prepare(self) -> None:
        """Turn full quota groups on. Raises Rejected when the file system has simple quotas."""
        with self._pool() as pool:
            state = ioctls.quota_state(pool)
            if state.simple:
                raise Rejected(
                    f"{self._root} has simple quotas, under which a clone costs nothing and can outgrow its size",
                    hint="turn them off with 'btrfs quota disable'; full quotas are turned on at the next use",
                )
            if not state.on:
                ioctls.enable_quota(pool)

    # -- figures

    def total(self) -> int | None:
        """See :meth:`Volumes.total`."""
        return self.figures()[0]

    def figures(self) -> tuple[int | None, int | None]:
        """See :meth:`Volumes.figures`."""
        state = os.statvfs(self._root)
        return state.f_blocks * state.f_frsize, state.f_bavail * state.f_frsize

    def used(self, volume: Path, *, fresh: bool = True) -> int:
        """See :meth:`Volumes.used`: bytes referred to, as the quota counts. Raises Busy while quotas are recounted."""
        with self._pool() as pool, directory_fd(volume) as fd:
            if fresh:
                ioctls.sync(pool)
            self._wait_consistent(pool)
            used = ioctls.referenced(pool, ioctls.subvolume_id(fd))
        if used is None:
            raise Unknown(f"{volume} has no quota group", hint="look at 'btrfs qgroup show' of the pool")
        return used

    def _wait_consistent(self, pool: int) -> None:
        """Wait until the figures can be trusted; begin a recount when the kernel gave up counting."""
        deadline = time.monotonic() + _RECOUNT_SECONDS
        while True:
            state = ioctls.quota_state(pool)
            if state.on and not state.rescanning and not state.inconsistent:
                return
            if not state.on:
                ioctls.enable_quota(pool)
            elif not state.rescanning:
                with contextlib.suppress(OSError):  # somebody else was first
                    ioctls.start_rescan(pool)
            if time.monotonic() >= deadline:
                raise Busy(f"the quotas of {self._root} are being recounted", retry_after=5.0)
            time.sleep(0.02)
            ioctls.commit(pool)

    # -- content

    def make(self, volume: Path) -> None:
        """See :meth:`Volumes.make`."""
        if not ioctls.is_subvolume(volume):
            with directory_fd(volume.parent) as parent:
                ioctls.create(parent, volume.name)

    def fill(self, task: Fill) -> Job:
        """See :meth:`Volumes.fill`: one snapshot, which is there as a whole or not at all."""
        if not ioctls.is_subvolume(task.target):
            with directory_fd(task.target.parent) as parent, directory_fd(task.source) as source:
                ioctls.snapshot(parent, task.target.name, source, read_only=task.frozen)
        return Job.done()

    def running(self, job: str) -> bool:
        """See :meth:`Volumes.running`. Only transfers run longer than their calls."""
        found = None if self._receives is None else self._receives.find(job)
        return found is not None and found.state is JobState.RUNNING

    def stop(self, job: str) -> None:
        """See :meth:`Volumes.stop`."""
        if self._receives is not None:
            self._receives.forget(job)

    def bound(self, volume: Path, size: int) -> None:
        """See :meth:`Volumes.bound`. The kernel accepts any size; that it is large enough is the caller's business."""
        with self._pool() as pool, directory_fd(volume) as fd:
            group = ioctls.subvolume_id(fd)
            try:
                ioctls.limit(pool, group, size)
            except FileNotFoundError:
                ioctls.create_group(pool, group)
                ioctls.limit(pool, group, size)

    def freeze(self, volume: Path, *, frozen: bool) -> None:
        """See :meth:`Volumes.freeze`: the read-only property."""
        with directory_fd(volume) as fd:
            if ioctls.is_read_only(fd) != frozen:
                ioctls.set_read_only(fd, read_only=frozen)

    def frozen(self, volume: Path) -> bool:
        """See :meth:`Volumes.frozen`."""
        with directory_fd(volume) as fd:
            return ioctls.is_read_only(fd)

    # -- removing

    def raze(self, volume: Path) -> None:
        """See :meth:`Volumes.raze`: the subvolume goes with all subvolumes that clients made in it."""
        if ioctls.is_subvolume(volume):
            with contextlib.suppress(FileNotFoundError):
                _destroy(volume, _MOST_DEPTH)

    # -- durability

    def harden(self, container: Path) -> None:
        """Nothing is needed: transactions are committed in order, each as a whole."""

    def seal(self, *folders: Path) -> None:
        """Nothing is needed: transactions are committed in order, each as a whole."""

    def call(self) -> AbstractContextManager[None]:
        """See :meth:`Volumes.call`: the transaction that holds the last change is committed, and with it all before."""
        return self._commits.call()

    def _commit(self) -> None:
        with self._pool() as pool:
            ioctls.commit(pool)


def _destroy(volume: Path, depth: int) -> None:
    """Remove a subvolume and those in it, innermost first."""
    with directory_fd(volume.parent) as parent:
        try:
            ioctls.destroy(parent, volume.name)
            return
        except OSError as error:
            if error.errno != errno.ENOTEMPTY or depth == 0:
                raise
        with directory_fd(volume) as fd:
            if ioctls.is_read_only(fd):
                ioctls.set_read_only(fd, read_only=False)
            inner = list(ioctls.nested(fd))
        for folder, name in inner:
            _destroy(volume / folder / name, depth - 1)
        ioctls.destroy(parent, volume.name)
