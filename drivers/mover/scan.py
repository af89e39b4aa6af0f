"""A look at both trees before a copy: totals, what is there already, what cannot be kept, what must go first."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, field

from drivers.mover import metadata
from drivers.mover.content import clone
from drivers.mover.fsops import (
    PART_PREFIX,
    Inode,
    Level,
    SourceChanged,
    handle_ref,
    names_in,
    open_handle,
    open_source_file,
    stat_at,
    walk,
)


@dataclass(slots=True)
class Census:
    """What a walk over the source found.

    Attributes:
        files: names, directories included, the root not.
        bytes: content, holes included, a hard-linked file counted once.
        present: bytes of files whose size and time are right in the target already.
        owners, devices, attributes: objects whose owner or group, device nodes that, and objects whose privileged
            attributes this process cannot give to a copy.
        shares: the file systems of source and target can share extents.
    """

    files: int = 0
    bytes: int = 0
    present: int = 0
    owners: int = 0
    devices: int = 0
    attributes: int = 0
    shares: bool = False

    def losses(self) -> str:
        """What a copy by this process lacks, in words; empty when it lacks nothing."""
        counted = (
            (self.owners, "without their owner or group"),
            (self.devices, "left out (device nodes)"),
            (self.attributes, "without their privileged attributes"),
        )
        words = ", ".join(f"{count} {what}" for count, what in counted if count)
        return f"not root: {words}" if words else ""


def take_census(source: int, target: int, tick: Callable[[], None], *, reflink: bool) -> Census:
    """Walk the source, with the target beside it. Changes nothing."""
    census = Census()
    privilege = metadata.Privilege()
    seen: set[Inode] = set()
    probe = reflink
    _count_losses(census, privilege, os.fstat(source), source)
    for level in walk(source, target):
        for name in names_in(level.fd):
            state = stat_at(level.fd, name)
            if state is None:
                continue
            tick()
            census.files += 1
            if stat.S_ISDIR(state.st_mode):
                level.subdirectories.append(name)
            elif stat.S_ISREG(state.st_mode) and _first_name(seen, state):
                _count_content(census, level, name, state)
                if probe and state.st_size:
                    census.shares = can_share(level.fd, name, state, target)
                    probe = False
            if not privilege.root:
                _count_losses_at(census, privilege, state, level.fd, name)
    return census


def _first_name(seen: set[Inode], state: os.stat_result) -> bool:
    if state.st_nlink == 1:
        return True
    inode = state.st_dev, state.st_ino
    known = inode in seen
    seen.add(inode)
    return not known


def _count_content(census: Census, level: Level, name: str, state: os.stat_result) -> None:
    census.bytes += state.st_size
    if level.twin is None:
        return
    there = stat_at(level.twin, name)
    if there is None or not stat.S_ISREG(there.st_mode):
        return
    if (there.st_size, there.st_mtime_ns) == (state.st_size, state.st_mtime_ns):
        census.present += state.st_size


def _count_losses_at(
    census: Census, privilege: metadata.Privilege, state: os.stat_result, parent: int, name: str
) -> None:
    try:
        handle = open_handle(parent, name)
    except FileNotFoundError:
        return
    try:
        _count_losses(census, privilege, state, handle_ref(handle))
    finally:
        os.close(handle)


def _count_losses(census: Census, privilege: metadata.Privilege, state: os.stat_result, ref: int | str) -> None:
    if privilege.root:
        return
    if not privilege.keeps_type(state.st_mode):
        census.devices += 1
        return
    if not (privilege.keeps_uid(state.st_uid) and privilege.keeps_gid(state.st_gid)):
        census.owners += 1
    if any(privilege.counts_as_lost(name) for name in metadata.portable_names(ref)):
        census.attributes += 1


def can_share(parent: int, name: str, state: os.stat_result, target: int) -> bool:
    """Whether copies can share extents with their source: tried with a nameless file, which leaves nothing behind."""
    try:
        source = open_source_file(parent, name, state)
    except (OSError, SourceChanged):
        return False
    try:
        nameless = os.open(".", os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600, dir_fd=target)
        try:
            return bool(clone(source, nameless))
        finally:
            os.close(nameless)
    except OSError:
        return False
    finally:
        os.close(source)


def prepare_in_place(source: int, target: int, tick: Callable[[], None]) -> int:
    """Make a target safe for an engine that writes in place; returns how many names were removed.

    Removed are hard-linked names whose links are not exactly those of the source: through such a name the engine would
    write into a file outside the tree, or into two files of the source at once. Names that the source does not have are
    left to the engine, but for the part files of the built-in copier.
    """
    found: dict[Inode, _Linked] = {}
    wrong: set[str] = set()
    for level in walk(target, source):
        for name in names_in(level.fd):
            tick()
            state = stat_at(level.fd, name)
            if state is None:
                continue
            if stat.S_ISDIR(state.st_mode):
                level.subdirectories.append(name)
            elif name.startswith(PART_PREFIX) and _twin_inode(level, name) is None:
                wrong.add(level.at(name))
            elif state.st_nlink > 1:
                linked = found.setdefault((state.st_dev, state.st_ino), _Linked(state.st_nlink))
                linked.names.append((level.at(name), _twin_inode(level, name)))
    for linked in found.values():
        if linked.count != len(linked.names) or len({twin for _, twin in linked.names}) > 1:
            wrong.update(path for path, twin in linked.names if twin is not None)
    if wrong:
        _unlink_all(target, wrong)
    return len(wrong)


@dataclass(slots=True)
class _Linked:
    """The names of one inode of the target, each with the source's inode of that name."""

    count: int
    names: list[tuple[str, Inode | None]] = field(default_factory=list)


def _twin_inode(level: Level, name: str) -> Inode | None:
    state = stat_at(level.twin, name) if level.twin is not None else None
    return None if state is None else (state.st_dev, state.st_ino)


def _unlink_all(target: int, paths: set[str]) -> None:
    for level in walk(target):
        for name in names_in(level.fd):
            if level.at(name) in paths:
                os.unlink(name, dir_fd=level.fd)
                continue
            state = stat_at(level.fd, name)
            if state is not None and stat.S_ISDIR(state.st_mode):
                level.subdirectories.append(name)
