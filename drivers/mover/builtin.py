"""The built-in copier: a target tree made equal to a source tree, safe against both changing under it.

A file is written under a part name beside its place, gets its metadata there, and is renamed last. So a name of the
target either has its old inode or the finished new one, and no inode that has another name is ever written to. The part
name is made from the source's version; after a crash the part of the same version is continued, all others are removed.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from pathlib import Path

from drivers.mover import metadata
from drivers.mover.content import ContentCopier, same_content
from drivers.mover.control import Control, CopyFailed, show
from drivers.mover.fsops import (
    PART_PREFIX,
    Inode,
    SourceChanged,
    handle_ref,
    names_in,
    open_below,
    open_directory,
    open_handle,
    open_source_file,
    open_writable_directory,
    remove,
    stat_at,
)

_PART_FLAGS = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


def boot_id() -> str:
    """Changes with every boot; what was written before a power loss is not trusted by its size and time alone."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def _inode(state: os.stat_result) -> Inode:
    return state.st_dev, state.st_ino


class Frame:
    """A directory that is being copied: descriptors of source and target, and what is left to do in it.

    ``made``: the target's directory is new. ``known`` and ``seen`` are for :class:`~drivers.mover.live.LiveCopier`.
    """

    __slots__ = ("known", "made", "names", "parts", "path", "present", "seen", "source", "state", "target")

    def __init__(self, source: int, target: int, path: str, *, made: bool) -> None:
        self.made = made
        self.known: dict[str, tuple[int, ...]] = {}
        self.seen: dict[str, tuple[int, ...]] = {}
        self.source = source
        self.target = target
        self.path = path
        self.state = os.fstat(source)
        self.present = frozenset(names_in(source))
        self.names = iter(sorted(self.present))
        self.parts: set[str] = set()

    def at(self, name: str) -> str:
        """The path of a name of this directory, relative to the root."""
        return f"{self.path}/{name}" if self.path else name


class TreeCopier:
    """Makes the tree under the ``target`` descriptor equal to the one under ``source``.

    Args:
        checksum: compare contents where size and time agree, instead of trusting these.

    Attributes:
        changed: names of the source that changed or vanished while they were copied.
        shared: inodes of the target that share all extents with their source.
    """

    def __init__(
        self,
        source: int,
        target: int,
        control: Control,
        *,
        delete_extra: bool = True,
        reflink: bool = True,
        checksum: bool = False,
    ) -> None:
        self.changed = 0
        self.shared: set[Inode] = set()
        self._root = target
        self._source = source
        self._control = control
        self._delete_extra = delete_extra
        self._checksum = checksum
        self._privilege = metadata.Privilege()
        self._content = ContentCopier(control, reflink=reflink)
        self._boot = boot_id()
        self._stack: list[Frame] = []
        self._links: dict[Inode, tuple[str, Inode]] = {}  # source inode -> first name in the target, its inode
        self._claims: dict[Inode, Inode] = {}  # target inode -> the source inode that it is the copy of

    def run(self) -> None:
        """Copy. Can be run again after any interruption; what is finished is left as it is.

        Raises:
            CopyFailed: with the name at which a call failed.
        """
        try:
            self._enter(os.dup(self._source), os.dup(self._root), "", made=False)
            while self._stack:
                frame = self._stack[-1]
                name = next(frame.names, None)
                if name is None:
                    self._leave(self._stack.pop())
                else:
                    self._entry(frame, name)
        finally:
            self._abandon()

    def _abandon(self) -> None:
        """Let go of directories that are not finished."""
        for frame in self._stack:
            os.close(frame.source)
            os.close(frame.target)
        self._stack.clear()

    def _enter(self, source: int, target: int, path: str, *, made: bool) -> None:
        try:
            frame = Frame(source, target, path, made=made)
            self._stack.append(frame)
        except OSError as error:
            os.close(source)
            os.close(target)
            raise CopyFailed.from_os(error, path) from error
        try:
            self._prepare(frame)
        except OSError as error:
            raise CopyFailed.from_os(error, path) from error

    def _leave(self, frame: Frame) -> None:
        try:
            self._complete(frame)
        except OSError as error:
            raise CopyFailed.from_os(error, frame.path) from error
        finally:
            os.close(frame.source)
            os.close(frame.target)
        if self._stack:
            self._control.named()

    def _prepare(self, frame: Frame) -> None:
        """What is to be done in the target's directory before its names."""
        self._drop_extras(frame)

    def _complete(self, frame: Frame) -> None:
        """What is to be done in the target's directory after all its names."""
        for part in frame.parts:
            remove(frame.target, part)
        wanted = self._privilege.wanted(frame.state, metadata.read_xattrs(frame.source))
        metadata.apply(frame.target, os.fstat(frame.target), wanted)

    def _drop_extras(self, frame: Frame) -> None:
        extras = [name for name in names_in(frame.target) if name not in frame.present]
        if any(name.startswith(PART_PREFIX) for name in extras):
            frame.parts = self._valid_parts(frame).intersection(extras)
        for name in extras:
            if name not in frame.parts and (self._delete_extra or name.startswith(PART_PREFIX)):
                remove(frame.target, name)
                self._control.tick()

    def _valid_parts(self, frame: Frame) -> set[str]:
        states = ((name, stat_at(frame.source, name)) for name in frame.present)
        return {self._part_name(frame, name, state) for name, state in states if state and stat.S_ISREG(state.st_mode)}

    def _part_name(self, frame: Frame, name: str, state: os.stat_result) -> str:
        version = (self._boot, *_inode(state), state.st_size, state.st_mtime_ns, state.st_ctime_ns)
        text = os.fsencode(name) + repr(version).encode("ascii")
        part = PART_PREFIX + hashlib.blake2b(text, digest_size=16).hexdigest()
        while part in frame.present:
            part += "_"
        return part

    def _entry(self, frame: Frame, name: str) -> None:
        try:
            state = stat_at(frame.source, name)
            if state is None:
                self.changed += 1
            elif stat.S_ISDIR(state.st_mode):
                self._directory(frame, name)
                return
            else:
                self._inode_at(frame, name, state)
        except SourceChanged:
            self.changed += 1
        except OSError as error:
            raise CopyFailed.from_os(error, frame.at(name)) from error
        self._control.named()

    def _inode_at(self, frame: Frame, name: str, state: os.stat_result) -> None:
        """Everything that is not a directory."""
        if not self._privilege.keeps_type(state.st_mode):
            remove(frame.target, name)
        elif not self._make_link(frame, name, state):
            self._copy(frame, name, state)

    def _directory(self, frame: Frame, name: str) -> None:
        try:
            source = open_directory(name, frame.source)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise SourceChanged(name) from error
        made = False
        try:
            existing = stat_at(frame.target, name)
            if existing is not None and not stat.S_ISDIR(existing.st_mode):
                remove(frame.target, name)
                existing = None
            if existing is None:
                os.mkdir(name, 0o700, dir_fd=frame.target)
                made = True
            target = open_writable_directory(frame.target, name)
        except OSError:
            os.close(source)
            raise
        self._enter(source, target, frame.at(name), made=made)

    def _make_link(self, frame: Frame, name: str, state: os.stat_result) -> bool:
        """Make the name a link to the copy of the same inode, when there is one already."""
        first = self._links.get(_inode(state)) if state.st_nlink > 1 else None
        if first is None:
            return False
        path, inode = first
        existing = stat_at(frame.target, name)
        if existing is not None and _inode(existing) == inode:
            return True
        part = self._part_name(frame, name, state)
        remove(frame.target, part)
        above, _, last = path.rpartition("/")
        parent = open_below(self._root, above)
        try:
            os.link(last, part, src_dir_fd=parent, dst_dir_fd=frame.target, follow_symlinks=False)
        finally:
            os.close(parent)
        made = stat_at(frame.target, part)
        if made is None or _inode(made) != inode:
            raise CopyFailed(f"{show(frame.at(name))}: the target changed while it was written")
        self._put(frame, part, name)
        return True

    def _put(self, frame: Frame, part: str, name: str) -> None:
        """Give the finished part its name, in place of what has it now."""
        try:
            os.rename(part, name, src_dir_fd=frame.target, dst_dir_fd=frame.target)
        except IsADirectoryError:
            remove(frame.target, name)
            os.rename(part, name, src_dir_fd=frame.target, dst_dir_fd=frame.target)
        frame.parts.discard(part)

    def _copy(self, frame: Frame, name: str, state: os.stat_result) -> None:
        inode = self._keep(frame, name, state)
        if inode is None:
            make = self._make_file if stat.S_ISREG(state.st_mode) else self._make_special
            inode = make(frame, name, state)
        if state.st_nlink > 1:
            self._claims[inode] = _inode(state)
            self._links[_inode(state)] = frame.at(name), inode

    def _keep(self, frame: Frame, name: str, state: os.stat_result) -> Inode | None:
        """The inode that has the name in the target, when it is a good copy; its metadata are put right."""
        existing = stat_at(frame.target, name)
        if existing is None or not self._same_object(frame, name, state, existing):
            return None
        inode = _inode(existing)
        if existing.st_nlink > state.st_nlink or self._claims.get(inode, _inode(state)) != _inode(state):
            return None
        wanted = self._wanted(frame, name, state)
        handle = open_handle(frame.target, name)
        try:
            now = os.fstat(handle)
            if _inode(now) != inode:
                return None
            # An inode with several names may have one outside the tree: it is replaced, never changed in place.
            if now.st_nlink > 1 and metadata.differs(handle_ref(handle), now, wanted):
                return None
            metadata.apply(handle_ref(handle), now, wanted)
        finally:
            os.close(handle)
        if stat.S_ISREG(state.st_mode):
            self._control.skipped(state.st_size)
        return inode

    def _same_object(self, frame: Frame, name: str, state: os.stat_result, existing: os.stat_result) -> bool:
        if stat.S_IFMT(existing.st_mode) != stat.S_IFMT(state.st_mode):
            return False
        if stat.S_ISREG(state.st_mode):
            if (existing.st_size, existing.st_mtime_ns) != (state.st_size, state.st_mtime_ns):
                return False
            return not self._checksum or self._same_content(frame, name, state, existing)
        if stat.S_ISLNK(state.st_mode):
            return os.readlink(name, dir_fd=frame.source) == os.readlink(name, dir_fd=frame.target)
        return existing.st_rdev == state.st_rdev

    def _same_content(self, frame: Frame, name: str, state: os.stat_result, existing: os.stat_result) -> bool:
        source = open_source_file(frame.source, name, state)
        try:
            target = open_source_file(frame.target, name, existing)
            try:
                return same_content(source, target, state.st_size, lambda _: self._control.tick())
            finally:
                os.close(target)
        finally:
            os.close(source)

    def _wanted(self, frame: Frame, name: str, state: os.stat_result) -> metadata.Wanted:
        try:
            handle = open_handle(frame.source, name)
        except FileNotFoundError as error:
            raise SourceChanged(name) from error
        try:
            return self._privilege.wanted(state, metadata.read_xattrs(handle_ref(handle)))
        finally:
            os.close(handle)

    def _make_file(self, frame: Frame, name: str, state: os.stat_result) -> Inode:
        try:
            source = open_source_file(frame.source, name, state)
        except FileNotFoundError as error:
            raise SourceChanged(name) from error
        try:
            part = self._part_name(frame, name, state)
            target = self._open_part(frame, part, state.st_size)
            try:
                inode = self._fill(source, target, state)
                wanted = self._privilege.wanted(state, metadata.read_xattrs(source))
                metadata.apply(target, os.fstat(target), wanted)
            finally:
                os.close(target)
        finally:
            os.close(source)
        self._put(frame, part, name)
        return inode

    def _fill(self, source: int, target: int, state: os.stat_result) -> Inode:
        """Copy the content.

        A source that changes meanwhile is counted; its old time stays on the copy, so the next pass sees it.
        """
        inode = _inode(os.fstat(target))
        try:
            if self._content.copy(source, target, state.st_size, os.fstat(target).st_size):
                self.shared.add(inode)
        except SourceChanged:
            os.ftruncate(target, state.st_size)
        after = os.fstat(source)
        if (after.st_size, after.st_mtime_ns, after.st_ctime_ns) != (
            state.st_size,
            state.st_mtime_ns,
            state.st_ctime_ns,
        ):
            self.changed += 1
        return inode

    def _open_part(self, frame: Frame, part: str, size: int) -> int:
        """The part file, continued when it is one of ours, else begun anew."""
        try:
            fd = os.open(part, _PART_FLAGS, 0o600, dir_fd=frame.target)
        except OSError as error:
            if error.errno not in (errno.ELOOP, errno.EISDIR, errno.ENXIO, errno.EACCES):
                raise
        else:
            now = os.fstat(fd)
            if stat.S_ISREG(now.st_mode) and now.st_nlink == 1 and now.st_size <= size and now.st_uid == os.geteuid():
                return fd
            os.close(fd)
        remove(frame.target, part)
        return os.open(part, _PART_FLAGS | os.O_EXCL, 0o600, dir_fd=frame.target)

    def _make_special(self, frame: Frame, name: str, state: os.stat_result) -> Inode:
        """A symbolic link, fifo, socket or device node."""
        wanted = self._wanted(frame, name, state)
        part = self._part_name(frame, name, state)
        remove(frame.target, part)
        if stat.S_ISLNK(state.st_mode):
            os.symlink(os.readlink(name, dir_fd=frame.source), part, dir_fd=frame.target)
        else:
            os.mknod(part, stat.S_IFMT(state.st_mode) | 0o600, state.st_rdev, dir_fd=frame.target)
        handle = open_handle(frame.target, part)
        try:
            now = os.fstat(handle)
            metadata.apply(handle_ref(handle), now, wanted)
        finally:
            os.close(handle)
        self._put(frame, part, name)
        return _inode(now)
