"""Copies of directory trees between pools, in processes of their own.

A copy is a job: a detached child process with a directory of its own under ``jobs_dir``. It is found again by any
process that knows its name, goes on where it was after a ``kill -9``, and is verified and on disk before it is done.

What is kept: content, modes with setuid, setgid and sticky, owners, times to the nanosecond, extended attributes
(``user``, ``trusted``, ``security``), POSIX ACLs, hard links inside the tree, holes, symbolic links, fifos, sockets
and device nodes, under any name. Attributes of other namespaces (``btrfs.compression``, ``system.nfs4_acl``) tune one
file system and are not copied.

Without root, a process cannot give files away, make device nodes or set ``security`` attributes. A job then leaves
these out, clears the setuid and setgid bits that would act for the wrong owner, and says how many of each in its
message. :func:`copy_tree` has no message and refuses such a tree instead.

Nothing is imported until it is used, because the process that copies are forked from imports this package.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from drivers.mover.compare import compare_trees, fingerprint
    from drivers.mover.inline import copy_tree
    from drivers.mover.manager import Mover
    from drivers.mover.options import CopyOptions

__all__ = ["CopyOptions", "Mover", "compare_trees", "copy_tree", "fingerprint"]

_HOMES = {
    "CopyOptions": "drivers.mover.options",
    "Mover": "drivers.mover.manager",
    "compare_trees": "drivers.mover.compare",
    "copy_tree": "drivers.mover.inline",
    "fingerprint": "drivers.mover.compare",
}


def __getattr__(name: str) -> object:
    """The export of that name, imported when first asked for."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value
