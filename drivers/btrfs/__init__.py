"""Subvolumes of a mounted btrfs: the reference driver on real storage.

Sizes are enforced by quota groups, snapshots and clones take one call whatever they hold, and a revert is a clone that
is exchanged with the share. Snapshots travel to other btrfs pools of this host by ``btrfs send`` and ``btrfs receive``.
Needs root. Options of a pool: ``path`` (a directory of a mounted btrfs, best its top level) and ``initialize``; see
:class:`~drivers.recorded.RecordedDriver`. Mount with ``commit=5`` to get the space of deleted objects back sooner.

What clients do on the pool's own host is bound by the kernel: a file that is open for writing when the mode becomes
``ro`` or ``none`` stays writable until it is closed (exporters cut their clients before the mode is changed), and a
subvolume that a local user makes inside a share is neither counted nor part of snapshots.

Nothing is imported until it is used, because the process that transfers are forked from imports this package.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from drivers.btrfs.driver import BtrfsDriver
    from drivers.btrfs.volumes import BtrfsVolumes

__all__ = ["BtrfsDriver", "BtrfsVolumes"]

_HOMES = {"BtrfsDriver": "drivers.btrfs.driver", "BtrfsVolumes": "drivers.btrfs.volumes"}


def __getattr__(name: str) -> object:
    """The export of that name, imported when first asked for."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value
