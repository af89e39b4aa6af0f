"""The built-in copier in the calling process, for trees that are small or share their extents."""

from __future__ import annotations

import os
from pathlib import Path

from drivers.errors import Broken, PoolFull, Rejected
from drivers.mover.builtin import TreeCopier
from drivers.mover.compare import open_root
from drivers.mover.control import Control, CopyFailed, show
from drivers.mover.durable import sync_file_system
from drivers.mover.scan import take_census

_PASSES = 3


def ensure_target(target: Path) -> None:
    """Make the target directory when its parent is there.

    Raises:
        Rejected: the target cannot be made.
    """
    try:
        target.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise Rejected(
            f"the target {show(str(target))} cannot be made: {error.strerror}",
            hint="make its parent directory, or name another target",
        ) from error


def check_apart(source: Path, target: Path) -> None:
    """Refuse trees of which one is in the other. Raises Rejected."""
    one, other = source.resolve(), target.resolve()
    if one == other or one in other.parents or other in one.parents:
        raise Rejected(
            f"source {show(str(source))} and target {show(str(target))} overlap",
            hint="copy between directories of which none is inside the other",
        )


def copy_tree(source: Path, target: Path, *, reflink: bool = True) -> None:
    """Make ``target`` equal to ``source``, durably; the target's own other content is removed.

    Idempotent; an interrupted call is continued by the same call. A source that changes meanwhile is read again a few
    times.

    Raises:
        NotFound: no source. Rejected: a path is not a directory, the trees overlap, or this process cannot keep all
        owners, devices and attributes. PoolFull: no room. Broken: stopped half-way by another failure.
    """
    left = open_root(source, "the source")
    try:
        check_apart(source, target)
        ensure_target(target)
        right = open_root(target, "the target")
        try:
            _copy(left, right, target, reflink=reflink)
        finally:
            os.close(right)
    finally:
        os.close(left)


def _check_keepable(source: int, target: int, control: Control) -> None:
    losses = "" if os.geteuid() == 0 else take_census(source, target, control.tick, reflink=False).losses()
    if losses:
        raise Rejected(f"the copy would be incomplete ({losses})", hint="run as root, or change their owners")


def _run_passes(source: int, target: int, control: Control, *, reflink: bool) -> None:
    for _ in range(_PASSES):
        copier = TreeCopier(source, target, control, reflink=reflink)
        copier.run()
        if not copier.changed:
            return
    raise CopyFailed(f"the source changed during each of {_PASSES} passes", retry=True)


def _copy(source: int, target: int, path: Path, *, reflink: bool) -> None:
    control = Control()
    try:
        _check_keepable(source, target, control)
        _run_passes(source, target, control, reflink=reflink)
        sync_file_system(target)
    except CopyFailed as error:
        if error.full:
            raise PoolFull(f"no room for the copy: {error}", hint="free space, or name another target") from error
        raise Broken(f"the copy stopped: {error}", residue=[str(path)], hint="make the same call again") from error
    except OSError as error:
        raise Broken(f"the copy stopped: {error}", residue=[str(path)], hint="make the same call again") from error
