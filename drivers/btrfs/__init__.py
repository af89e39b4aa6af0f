"""Subvolumes of a mounted btrfs: the reference driver on real storage.

Sizes are enforced by quota groups, snapshots and clones take one call whatever they hold, and a revert is a clone that
is exchanged with the share. Needs root. Options of a pool: ``path`` (a directory of a mounted btrfs, best its top
level) and ``initialize``; see :class:`~drivers.recorded.RecordedDriver`. Mount with ``commit=5`` to get the space of
deleted objects back sooner.

What clients do on the pool's own host is bound by the kernel: a file that is open for writing when the mode becomes
``ro`` or ``none`` stays writable until it is closed (exporters cut their clients before the mode is changed), and a
subvolume that a local user makes inside a share is neither counted nor part of snapshots.
"""

from __future__ import annotations

import os
from pathlib import Path

from drivers.btrfs.volumes import BtrfsVolumes
from drivers.contract import AccessMode, BackendConfig, Capabilities
from drivers.errors import Rejected, Unknown
from drivers.recorded import Options, RecordedDriver, Volumes

__all__ = ["BtrfsDriver", "BtrfsVolumes"]


class BtrfsDriver(RecordedDriver):
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
        return BtrfsVolumes(root)

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
        )
