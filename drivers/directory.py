"""Plain directories on any POSIX file system, without root: the embedded default.

Snapshots, clones and reverts are whole copies, made by the mover; where the file system shares extents (XFS, btrfs)
they take little time and space. A share's size is a promise that nothing enforces.

Options of a pool: ``path`` and ``initialize`` (see :class:`~drivers.recorded.RecordedDriver`), ``capacity`` (a size;
the pool says that it has no more than that, even on a larger file system). Options of the backend: ``inline_limit``
(trees up to this size are copied within the call, larger ones by a job in a process of its own; 16 MiB unless given, 0
for always a job), ``bandwidth`` (bytes per second of one job; no limit unless given).
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import ClassVar, Final

from drivers.contract import AccessMode, BackendConfig, Capabilities, Job, JobState
from drivers.errors import Broken, Rejected, Unknown
from drivers.mover import CopyOptions, Mover, copy_tree
from drivers.mover.fsops import remove
from drivers.posix import POSIX, Barriers, allocated_bytes, directory_fd, sync_directory
from drivers.recorded import Fill, Options, RecordedDriver, Volumes
from drivers.recorded.places import make_directory

INLINE_LIMIT: Final = 16 * 2**20
INLINE_FILES: Final = 200
_COUNT_SECONDS: Final = 1.0
_COUNT_AGE: Final = 10.0
_STOPPED: Final = "D300"


class DirectoryDriver(RecordedDriver):
    """Driver ``directory``. See the module for its options; raises as the contract says."""

    name = "directory"
    pool_options = ("capacity",)
    backend_options = ("inline_limit", "bandwidth")

    _inline_limit: int
    _bandwidth: int | None

    def __init__(self, config: BackendConfig) -> None:
        self._mover = Mover(config.state_dir / "copies")
        super().__init__(config)

    def _configure(self, options: Options) -> None:
        self._inline_limit = options.size("inline_limit", INLINE_LIMIT) or 0
        self._bandwidth = options.size("bandwidth")
        if self._bandwidth == 0:
            raise Rejected(f"{options.place}: option 'bandwidth' is 0", hint="leave it out for no limit")

    def _volumes(self, root: Path, options: Options) -> Volumes:
        capacity = options.size("capacity")
        if capacity == 0:
            raise Rejected(f"{options.place}: option 'capacity' is 0", hint="leave it out to use the whole file system")
        return DirectoryVolumes(root, capacity, self._mover, self._inline_limit, self._bandwidth)

    def capabilities(self) -> Capabilities:
        """See :meth:`drivers.contract.Driver.capabilities`."""
        return Capabilities(
            snapshots=True,
            clone=True,
            revert=True,
            host_access=True,
            quota_enforced=False,
            snapshots_atomic=False,
            shrink=True,
            tags=True,
            protocols=("path",),
            access_modes=(AccessMode.RW, AccessMode.NONE),
            snapshot_space="full",
        )

    def close(self) -> None:
        """See :meth:`drivers.contract.Driver.close`."""
        super().close()
        self._mover.close()


class DirectoryVolumes(Volumes):
    """Volumes that are directories and nothing more."""

    makes_root: ClassVar[bool] = True
    enforces: ClassVar[bool] = False
    barriers: ClassVar[Barriers] = POSIX

    def __init__(
        self, root: Path, capacity: int | None, mover: Mover, inline_limit: int, bandwidth: int | None
    ) -> None:
        self._root = root
        self._capacity = capacity
        self._mover = mover
        self._inline_limit = inline_limit
        self._bandwidth = bandwidth
        self._counting = threading.Lock()
        self._counted: tuple[float, int | None] = (0.0, None)

    def probe(self) -> None:
        """See :meth:`Volumes.probe`."""
        if not self._root.is_dir():
            raise Unknown(f"{self._root} is not a directory now", hint="mount its file system")

    def prepare(self) -> None:
        """Nothing is needed."""

    # -- figures

    def total(self) -> int | None:
        """See :meth:`Volumes.total`."""
        state = os.statvfs(self._root)
        total = state.f_blocks * state.f_frsize
        return total if self._capacity is None else min(total, self._capacity)

    def figures(self) -> tuple[int | None, int | None]:
        """See :meth:`Volumes.figures`. With a capacity, free is what is left of it after the bytes in use.

        Counting the bytes in use may take a second; a pool with more than can be counted in that time says that its
        free bytes are unknown.
        """
        state = os.statvfs(self._root)
        total, free = state.f_blocks * state.f_frsize, state.f_bavail * state.f_frsize
        if self._capacity is None:
            return total, free
        limit, used = min(self._capacity, total), self._count()
        return limit, None if used is None else min(free, max(0, limit - used))

    def _count(self) -> int | None:
        """Bytes in use in the pool, counted at most every ten seconds; None when that takes too long."""
        with self._counting:
            now = time.monotonic()
            when, used = self._counted
            if not when or now - when > _COUNT_AGE:
                used = allocated_bytes(self._root, lambda _files, _bytes: time.monotonic() < now + _COUNT_SECONDS)
                self._counted = (time.monotonic(), used)
            return used

    def used(self, volume: Path, *, fresh: bool = True) -> int:
        """See :meth:`Volumes.used`: allocated blocks, so holes are free and shared extents count in every share."""
        return allocated_bytes(volume) or 0

    # -- content

    def make(self, volume: Path) -> None:
        """See :meth:`Volumes.make`."""
        make_directory(volume, 0o755)

    def fill(self, task: Fill) -> Job:
        """See :meth:`Volumes.fill`. A copy that died is started again; one that failed says so once."""
        found = self._mover.poll(task.job)
        if found is None:
            _clear(task.target)
        if found is None and self._is_small(task.source) and self._copy_inline(task):
            return Job.done()
        if found is not None and found.state in {JobState.RUNNING, JobState.DONE}:
            return found
        if found is not None and found.state is JobState.FAILED and not found.message.startswith(_STOPPED):
            self._mover.forget(task.job)
            _clear(task.target)
            return found
        options = CopyOptions(bandwidth=self._bandwidth, verify=not task.live)
        return self._mover.start(task.job, task.source, task.target, options)

    def _is_small(self, source: Path) -> bool:
        limit = self._inline_limit
        return allocated_bytes(source, lambda files, size: files <= INLINE_FILES and size <= limit) is not None

    def _copy_inline(self, task: Fill) -> bool:
        """Copy within the call. False when clients keep changing the source, which the job can bear."""
        try:
            copy_tree(task.source, task.target)
        except Broken:
            if not task.live:
                raise
            return False
        return True

    def running(self, job: str) -> bool:
        """See :meth:`Volumes.running`."""
        found = self._mover.poll(job)
        return found is not None and found.state is JobState.RUNNING

    def stop(self, job: str) -> None:
        """See :meth:`Volumes.stop`."""
        if self._mover.poll(job) is not None:
            self._mover.forget(job)

    def raze(self, volume: Path) -> None:
        """Directories can be removed file by file."""

    # -- what plain directories cannot do

    def bound(self, volume: Path, size: int) -> None:
        """Nothing enforces a size here."""

    def freeze(self, volume: Path, *, frozen: bool) -> None:
        """Writes cannot be forbidden here."""

    def frozen(self, volume: Path) -> bool:
        """Writes are never forbidden here."""
        return False

    # -- durability

    def harden(self, container: Path) -> None:
        """See :meth:`Volumes.harden`. The content of a copy is on disk already."""
        sync_directory(container)

    def seal(self, *folders: Path) -> None:
        """See :meth:`Volumes.seal`."""
        for folder in dict.fromkeys(folders):
            sync_directory(folder)

    def call(self) -> AbstractContextManager[None]:
        """Nothing is needed: every step is made durable by itself."""
        return nullcontext()


def _clear(volume: Path) -> None:
    """Remove what a copy without a job left: nobody knows whether all of it was on disk when the machine stopped."""
    with directory_fd(volume.parent) as parent:
        remove(parent, volume.name)
