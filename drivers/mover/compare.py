"""Two trees compared by content and metadata, and one tree put into one digest."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from drivers.errors import NotFound, Rejected, Unknown
from drivers.mover import metadata
from drivers.mover.content import next_data, same_content
from drivers.mover.control import CopyFailed, show
from drivers.mover.fsops import (
    Inode,
    Level,
    SourceChanged,
    handle_ref,
    names_in,
    open_directory,
    open_handle,
    open_source_file,
    stat_at,
    walk,
)

MOST_DIFFERENCES = 100
MOVE_TIMEOUT = 5.0
"""Seconds that a tree whose path goes through a link has to be at the end of it."""
_MOVE_PAUSE = 0.005
_HASH_BLOCK = 64 << 10
_ZEROS = bytes(_HASH_BLOCK)

_KINDS = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "directory",
    stat.S_IFLNK: "symbolic link",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "character device",
    stat.S_IFBLK: "block device",
}


def open_root(path: Path, what: str) -> int:
    """The directory at the root of a tree, open.

    A driver that moves a tree points the link to it elsewhere in a second step: a path through a link that ends at no
    directory is tried again for :data:`MOVE_TIMEOUT` seconds.

    Raises:
        NotFound: there is nothing at the path.
        Rejected: it is not a directory (a symbolic link is not one).
        Unknown: it cannot be opened for another reason.
    """
    end = time.monotonic() + MOVE_TIMEOUT
    while True:
        try:
            return _open_root(path, what)
        except (NotFound, Rejected):
            if not path.parent.is_symlink() or time.monotonic() > end:
                raise
        time.sleep(_MOVE_PAUSE)


def _open_root(path: Path, what: str) -> int:
    try:
        return open_directory(os.fspath(path))
    except FileNotFoundError:
        raise NotFound(f"{what} {show(str(path))} does not exist", hint="check the path") from None
    except OSError as error:
        if error.errno in (errno.ENOTDIR, errno.ELOOP):
            raise Rejected(f"{what} {show(str(path))} is not a directory", hint="give a directory") from None
        raise Unknown(f"{what} {show(str(path))} cannot be opened: {error.strerror}") from error


def compare_trees(source: Path, target: Path) -> list[str]:
    """The first differences between two trees, at most :data:`MOST_DIFFERENCES`; none when equal.

    Compared are names, types, content, modes, owners, modification times in ns, extended attributes with ACLs, link
    targets, device numbers and hard-link structure, the roots included; not holes and access times. Changes nothing.

    Raises:
        NotFound, Rejected, Unknown: a root is missing, is not a directory, cannot be read.
    """
    left = open_root(source, "the source")
    try:
        right = open_root(target, "the target")
        try:
            return TreeComparison(left, right).differences()
        except OSError as error:
            raise Unknown(f"the comparison failed: {error}") from error
        finally:
            os.close(right)
    finally:
        os.close(left)


class TreeComparison:
    """The comparison of the trees under two descriptors.

    Args:
        extras_allowed: names that only the target has are no difference.
        privilege: compare with what this process can give to a copy, instead of with the source as it is.
        shared: inodes of the target whose content need not be read, because they share all extents with the source.
        tick: called often.

    Attributes:
        names: names of the source that were looked at.
        bytes: bytes of content that were read from the source.
    """

    def __init__(
        self,
        source: int,
        target: int,
        *,
        extras_allowed: bool = False,
        privilege: metadata.Privilege | None = None,
        shared: set[Inode] | None = None,
        tick: Callable[[], None] = lambda: None,
    ) -> None:
        self.names = 0
        self.bytes = 0
        self._source = source
        self._target = target
        self._extras_allowed = extras_allowed
        self._privilege = privilege
        self._shared = shared or set()
        self._tick = tick
        self._forward: dict[Inode, Inode] = {}
        self._backward: dict[Inode, Inode] = {}

    def differences(self, most: int = MOST_DIFFERENCES) -> list[str]:
        """The first differences, each as ``path: what differs``."""
        found: list[str] = []
        for line in self._all():
            found.append(line)
            if len(found) >= most:
                break
        return found

    def _all(self) -> Iterator[str]:
        yield from self._roots()
        for level in walk(self._source, self._target):
            if level.twin is None:
                yield f"{show(level.path)}: not a directory in the target"
                continue
            mine = names_in(level.fd)
            yield from self._extras(level, level.twin, mine)
            for name in sorted(mine, reverse=True):
                self._tick()
                yield from self._entry(level, level.twin, name)

    def _extras(self, level: Level, twin: int, mine: list[str]) -> Iterator[str]:
        if not self._extras_allowed:
            for name in sorted(set(names_in(twin)).difference(mine)):
                yield f"{show(level.at(name))}: only in the target"

    def _roots(self) -> Iterator[str]:
        left, right = os.fstat(self._source), os.fstat(self._target)
        yield from self._metadata("", left, self._source, right, self._target)

    def _entry(self, level: Level, twin: int, name: str) -> Iterator[str]:
        self.names += 1
        path = level.at(name)
        left, right = stat_at(level.fd, name), stat_at(twin, name)
        if left is None:
            yield f"{show(path)}: vanished from the source"
        elif right is None:
            if self._privilege is None or self._privilege.keeps_type(left.st_mode):
                yield f"{show(path)}: missing in the target"
        elif stat.S_IFMT(left.st_mode) != stat.S_IFMT(right.st_mode):
            yield f"{show(path)}: is a {_kind(left)} in the source, a {_kind(right)} in the target"
        else:
            if stat.S_ISDIR(left.st_mode):
                level.subdirectories.append(name)
            try:
                yield from self._object(level.fd, twin, name, path, left, right)
            except (FileNotFoundError, SourceChanged):
                yield f"{show(path)}: changed while it was compared"

    def _object(
        self, source: int, target: int, name: str, path: str, left: os.stat_result, right: os.stat_result
    ) -> Iterator[str]:
        first, second = open_handle(source, name), open_handle(target, name)
        try:
            yield from self._metadata(path, left, handle_ref(first), right, handle_ref(second))
        finally:
            os.close(first)
            os.close(second)
        if not stat.S_ISDIR(left.st_mode):
            yield from self._inode(source, target, name, path, left, right)

    def _inode(
        self, source: int, target: int, name: str, path: str, left: os.stat_result, right: os.stat_result
    ) -> Iterator[str]:
        fresh, problem = self._links(left, right)
        if problem:
            yield f"{show(path)}: {problem}"
        if fresh and (problem := self._content(source, target, name, left, right)):
            yield f"{show(path)}: {problem}"

    def _content(self, source: int, target: int, name: str, left: os.stat_result, right: os.stat_result) -> str:
        """What is different between two objects of one kind, apart from their metadata; empty when nothing is."""
        if stat.S_ISLNK(left.st_mode):
            same = os.readlink(name, dir_fd=source) == os.readlink(name, dir_fd=target)
            return "" if same else "links to another place"
        if not stat.S_ISREG(left.st_mode):
            same = left.st_rdev == right.st_rdev
            return "" if same else f"device number {right.st_rdev:#x} instead of {left.st_rdev:#x}"
        if left.st_size != right.st_size:
            return f"size {right.st_size} instead of {left.st_size}"
        if (right.st_dev, right.st_ino) in self._shared or self._same_content(source, target, name, left, right):
            return ""
        return "content differs"

    def _links(self, left: os.stat_result, right: os.stat_result) -> tuple[bool, str]:
        """Whether this pair of inodes is seen for the first time, and what is wrong with its hard links."""
        if left.st_nlink == 1 and right.st_nlink == 1:
            return True, ""
        mine, theirs = (left.st_dev, left.st_ino), (right.st_dev, right.st_ino)
        fresh = mine not in self._forward
        if self._forward.setdefault(mine, theirs) != theirs:
            return True, "not linked to the same file as in the source"
        if self._backward.setdefault(theirs, mine) != mine:
            return True, "linked to a file that is another one in the source"
        return fresh, ""

    def _same_content(self, source: int, target: int, name: str, left: os.stat_result, right: os.stat_result) -> bool:
        first = open_source_file(source, name, left)
        try:
            second = open_source_file(target, name, right)
            try:
                return same_content(first, second, left.st_size, self._read)
            finally:
                os.close(second)
        finally:
            os.close(first)

    def _read(self, count: int) -> None:
        self.bytes += count
        self._tick()

    def _metadata(
        self, path: str, left: os.stat_result, mine: int | str, right: os.stat_result, theirs: int | str
    ) -> Iterator[str]:
        xattrs, other = metadata.read_xattrs(mine), metadata.read_xattrs(theirs)
        uid, gid, mode = left.st_uid, left.st_gid, stat.S_IMODE(left.st_mode)
        if self._privilege is not None:
            wanted = self._privilege.wanted(left, xattrs)
            uid, gid, mode, xattrs = wanted.uid, wanted.gid, wanted.mode, wanted.xattrs
            other = self._privilege.wanted(right, other).xattrs
        where = show(path)
        yield from self._state(where, left, right, (uid, gid, mode))
        for name in sorted(xattrs.keys() | other.keys()):
            if xattrs.get(name) != other.get(name):
                yield f"{where}: attribute {show(name)} differs"

    @staticmethod
    def _state(where: str, left: os.stat_result, right: os.stat_result, wanted: tuple[int, int, int]) -> Iterator[str]:
        """Differences in owner, mode and time; ``wanted`` are owner, group (-1 for any) and mode."""
        uid, gid, mode = wanted
        if right.st_uid != uid or gid not in (-1, right.st_gid):
            yield f"{where}: owner {right.st_uid}:{right.st_gid} instead of {left.st_uid}:{left.st_gid}"
        if not stat.S_ISLNK(left.st_mode) and stat.S_IMODE(right.st_mode) != mode:
            yield f"{where}: mode {stat.S_IMODE(right.st_mode):04o} instead of {mode:04o}"
        if left.st_mtime_ns != right.st_mtime_ns:
            yield f"{where}: modified at {right.st_mtime_ns} ns instead of {left.st_mtime_ns} ns"


def _kind(state: os.stat_result) -> str:
    return _KINDS.get(stat.S_IFMT(state.st_mode), "thing")


def fingerprint(root: Path) -> str:
    """A digest (64 hex digits) of all that :func:`compare_trees` compares: equal trees have equal fingerprints.

    Raises:
        NotFound, Rejected, Unknown: the root is missing, is not a directory, cannot be read, or changed meanwhile.
    """
    fd = open_root(root, "the tree")
    try:
        return _Fingerprint().of(fd)
    except CopyFailed as error:
        raise Unknown(f"no fingerprint of {show(str(root))}: {error}") from error
    finally:
        os.close(fd)


class _Fingerprint:
    def __init__(self) -> None:
        self._digest = hashlib.blake2b(digest_size=32)
        self._first: dict[Inode, str] = {}

    def of(self, fd: int) -> str:
        self._metadata("", os.fstat(fd), fd)
        for level in walk(fd):
            for name in sorted(names_in(level.fd), key=os.fsencode, reverse=True):
                try:
                    self._entry(level, name)
                except OSError as error:
                    raise CopyFailed.from_os(error, level.at(name)) from error
                except SourceChanged as error:
                    raise CopyFailed(f"{show(level.at(name))} changed meanwhile", retry=True) from error
        return self._digest.hexdigest()

    def _put(self, *parts: object) -> None:
        for part in parts:
            data = part if isinstance(part, bytes) else os.fsencode(str(part))
            self._digest.update(b"%d:" % len(data))
            self._digest.update(data)

    def _entry(self, level: Level, name: str) -> None:
        path = level.at(name)
        handle = open_handle(level.fd, name)
        try:
            state = os.fstat(handle)
            self._metadata(path, state, handle_ref(handle))
        finally:
            os.close(handle)
        if stat.S_ISDIR(state.st_mode):
            level.subdirectories.append(name)
            return
        first = self._first.setdefault((state.st_dev, state.st_ino), path) if state.st_nlink > 1 else path
        self._put(first)
        if first != path:
            return
        if stat.S_ISLNK(state.st_mode):
            self._put(os.readlink(name, dir_fd=level.fd))
        elif stat.S_ISREG(state.st_mode):
            source = open_source_file(level.fd, name, state)
            try:
                self._content(source, state.st_size)
            finally:
                os.close(source)
        else:
            self._put(state.st_rdev)

    def _metadata(self, path: str, state: os.stat_result, ref: int | str) -> None:
        mode = stat.S_IFMT(state.st_mode) if stat.S_ISLNK(state.st_mode) else state.st_mode
        self._put(path, mode, state.st_uid, state.st_gid, state.st_mtime_ns)
        xattrs = metadata.read_xattrs(ref)
        for name in sorted(xattrs):
            self._put(name, xattrs[name])

    def _content(self, fd: int, size: int) -> None:
        """Blocks that are not all zero, with their places: a hole and written zeros give the same digest."""
        self._put(size)
        position = 0
        while True:
            begin, _ = next_data(fd, position, size)
            position = begin - begin % _HASH_BLOCK
            if begin >= size:
                return
            block = os.pread(fd, min(_HASH_BLOCK, size - position), position)
            if not block:
                raise SourceChanged("the file became shorter")
            if block != _ZEROS[: len(block)]:
                self._put(position, block)
            position += _HASH_BLOCK
