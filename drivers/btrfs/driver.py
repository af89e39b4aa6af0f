"""The driver ``btrfs``: options, capabilities, and snapshots that travel."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from drivers.btrfs import ioctls, transfers
from drivers.btrfs.receives import Receives
from drivers.btrfs.transfers import FORMAT, Side
from drivers.btrfs.volumes import BtrfsVolumes
from drivers.contract import (
    AccessMode,
    BackendConfig,
    Call,
    Capabilities,
    Driver,
    Job,
    ObjectKind,
    ObjectRef,
    SupportsTransfer,
)
from drivers.errors import Rejected, Unknown
from drivers.posix import directory_fd
from drivers.recorded import Options, RecordedDriver, Volumes
from drivers.recorded.guards import answers
from drivers.recorded.objects import complete
from drivers.recorded.places import DATA

_MOST_EXTENTS = 200_000
"""So many items of changed files are looked at to count what has changed: some tenths of a second."""


class BtrfsDriver(RecordedDriver, SupportsTransfer):
    """Driver ``btrfs``.

    Raises:
        Rejected: this process is not root, an option is wrong, or the path of a pool that was never seen before is not
            on a btrfs. The path of a known pool is looked at in every call, where a missing mount is Unknown.
    """

    name = "btrfs"

    def __init__(self, config: BackendConfig) -> None:
        if os.geteuid() != 0:
            raise Rejected(
                f"driver 'btrfs' needs root, this process has user id {os.geteuid()}",
                hint="run the worker of this backend as root, or use driver 'directory'",
            )
        self._receives = Receives(config.state_dir / "receives")
        super().__init__(config)
        for pool in self._pools.values():
            if not pool.known:
                self._check_new(pool.name, pool.root)

    def _check_new(self, name: str, root: Path) -> None:
        try:
            BtrfsVolumes(root).probe()
        except Unknown as error:
            raise Rejected(f"pool {name!r}: option 'path': {error.reason}", hint=error.hint) from error

    def _volumes(self, root: Path, options: Options) -> Volumes:
        return BtrfsVolumes(root, self._receives)

    def capabilities(self) -> Capabilities:
        """See :meth:`drivers.contract.Driver.capabilities`."""
        return Capabilities(
            snapshots=True,
            clone=True,
            revert=True,
            host_access=True,
            quota_enforced=True,
            snapshots_atomic=True,
            shrink=True,
            tags=True,
            protocols=("path",),
            access_modes=(AccessMode.RW, AccessMode.RO, AccessMode.NONE),
            snapshot_space="shared",
            transfer=FORMAT,
        )

    @answers
    def changed_bytes(self, share: ObjectRef, snapshot: ObjectRef) -> int | None:
        """See :meth:`drivers.contract.SupportsTransfer.changed_bytes`: the lengths of the extents written since.

        None when the share has left the line of the snapshot (it was reverted to another one), or has too many new
        extents for a quick look.
        """
        with self._on_disk(share, snapshot) as (volume, point):
            return ioctls.changed_bytes(volume, point, _MOST_EXTENTS)

    @answers
    def receive_snapshot(
        self,
        sender: Driver,
        source: ObjectRef,
        target: ObjectRef,
        share: ObjectRef,
        call: Call,
        *,
        base: tuple[ObjectRef, ObjectRef] | None = None,
        bandwidth: int | None = None,
    ) -> Job:
        """See :meth:`drivers.contract.SupportsTransfer.receive_snapshot`.

        The sender is a driver of this class; both file systems are mounted on this host.
        """
        if not isinstance(sender, BtrfsDriver) or sender.capabilities().transfer != FORMAT:
            theirs = sender.capabilities().transfer
            raise Rejected(f"snapshots cannot be received: the sender's format is {theirs!r}, ours {FORMAT!r}")
        pool = self._same_pool(share, target)
        there = Side(sender._pool(source.pool), source, None if base is None else base[0])  # noqa: SLF001 - the same class
        here = Side(pool, target, None if base is None else base[1])
        return transfers.receive(self._receives, there, here, share, call, bandwidth)

    @answers
    def is_unchanged(self, share: ObjectRef, snapshot: ObjectRef) -> bool:
        """See :meth:`drivers.contract.SupportsTransfer.is_unchanged`: by the numbers of transactions.

        What clients have written is brought to the disk first, which costs nothing where nobody writes.
        """
        with self._on_disk(share, snapshot) as (volume, point):
            return ioctls.is_unchanged(volume, point)

    @contextmanager
    def _on_disk(self, share: ObjectRef, snapshot: ObjectRef) -> Iterator[tuple[int, int]]:
        """Descriptors of both subvolumes; what clients have written to the share is on the disk."""
        pool = self._same_pool(share, snapshot)
        _, home = complete(pool, share, ObjectKind.SHARE)
        _, frozen = complete(pool, snapshot, ObjectKind.SNAPSHOT)
        with directory_fd(home / DATA) as volume, directory_fd(frozen / DATA) as point:
            ioctls.sync(volume)
            yield volume, point

    def close(self) -> None:
        """See :meth:`drivers.contract.Driver.close`."""
        super().close()
        self._receives.close()
