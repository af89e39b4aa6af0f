"""File system calls that cannot be led outside a tree.

Every name is used relative to an open directory and never followed when it is a symbolic link, so a tree that changes
under the walk can make a call fail but not make it reach another place.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator

DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
_HANDLE = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC

Ref = int | str
"""An inode to act on: an open descriptor, or the ``/proc/self/fd`` path of a handle that cannot be read or written."""


Inode = tuple[int, int]
"""Device and inode number."""

PART_PREFIX = ".~sfmover-"
"""Names of unfinished files of the built-in copier begin so."""


class SourceChanged(Exception):
    """A name of the source became something else while it was being copied."""


def names_in(directory: int) -> list[str]:
    """The names in an open directory, in no order; none when the directory was removed meanwhile."""
    try:
        return os.listdir(directory)
    except FileNotFoundError:
        return []


def set_mode(ref: Ref, mode: int) -> None:
    """Set the mode of an inode."""
    os.chmod(ref, mode)  # noqa: PTH101 - a descriptor, not a path


def open_directory(name: str, parent: int | None = None) -> int:
    """An open directory; a symbolic link in the last place is refused with ``ENOTDIR``."""
    return os.open(name, DIRECTORY, dir_fd=parent)


def open_below(root: int, path: str) -> int:
    """An open directory at a path below another one, no step of it a symbolic link; the empty path is the root."""
    fd = os.dup(root)
    for name in path.split("/") if path else ():
        try:
            below = open_directory(name, fd)
        finally:
            os.close(fd)
        fd = below
    return fd


def open_handle(parent: int, name: str) -> int:
    """A descriptor that stands for any kind of inode without opening it (a fifo would block, a device would act)."""
    return os.open(name, _HANDLE, dir_fd=parent)


def handle_ref(handle: int) -> str:
    """The path under which attribute calls act on the inode of a handle, symbolic links themselves included."""
    return f"/proc/self/fd/{handle}"


def stat_at(parent: int, name: str) -> os.stat_result | None:
    """The state of a name itself, or None when there is none."""
    try:
        return os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return None


def open_source_file(parent: int, name: str, expected: os.stat_result) -> int:
    """A regular file open for reading, without touching its access time where that is allowed.

    Raises:
        SourceChanged: the name is not the inode that was seen before.
        OSError: as open(2).
    """
    try:
        try:
            fd = os.open(name, _READ | os.O_NOATIME, dir_fd=parent)
        except PermissionError:
            fd = os.open(name, _READ, dir_fd=parent)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):  # a symbolic link or a socket now
            raise SourceChanged(name) from error
        raise
    now = os.fstat(fd)
    if (now.st_dev, now.st_ino) != (expected.st_dev, expected.st_ino) or not stat.S_ISREG(now.st_mode):
        os.close(fd)
        raise SourceChanged(name)
    return fd


def open_writable_directory(parent: int, name: str) -> int:
    """The directory, made writable for its owner first when this process is bound by its mode."""
    if os.geteuid() != 0:
        handle = open_handle(parent, name)
        try:
            mode = os.fstat(handle).st_mode
            if stat.S_ISDIR(mode) and mode & 0o700 != 0o700:
                set_mode(handle_ref(handle), stat.S_IMODE(mode) | 0o700)
        finally:
            os.close(handle)
    return open_directory(name, parent)


def remove(parent: int, name: str) -> None:
    """Remove a name and, when it is a directory, all that is in it. A missing name is fine."""
    try:
        os.unlink(name, dir_fd=parent)
    except FileNotFoundError:
        return
    except IsADirectoryError:
        _remove_directory(parent, name)


def _remove_directory(parent: int, name: str) -> None:
    top = open_writable_directory(parent, name)
    stack: list[tuple[int, str, int, list[str]]] = []
    try:
        stack.append((parent, name, top, _unlink_files(top)))
        while stack:
            up, own, fd, subdirectories = stack[-1]
            if subdirectories:
                sub = subdirectories.pop()
                stack.append((fd, sub, open_writable_directory(fd, sub), []))
                stack[-1][3].extend(_unlink_files(stack[-1][2]))
            else:
                stack.pop()
                os.close(fd)
                os.rmdir(own, dir_fd=up)
    finally:
        for _, _, fd, _ in stack:
            os.close(fd)


def _unlink_files(fd: int) -> list[str]:
    """Unlink all that is not a directory; gives the names of the directories."""
    left = []
    for name in names_in(fd):
        try:
            os.unlink(name, dir_fd=fd)
        except IsADirectoryError:
            left.append(name)
    return left


class Level:
    """One directory of a walk: its descriptor, the one of its twin in a second tree (or None), its path in the tree.

    The walker's caller puts into ``subdirectories`` the names to go down to; they are taken from the end.
    """

    __slots__ = ("fd", "path", "subdirectories", "twin", "visited")

    def __init__(self, fd: int, twin: int | None, path: str) -> None:
        self.fd = fd
        self.twin = twin
        self.path = path
        self.subdirectories: list[str] = []
        self.visited = False

    def at(self, name: str) -> str:
        """The path of a name of this directory, relative to the root of the walk."""
        return f"{self.path}/{name}" if self.path else name

    def close(self) -> None:
        """Close both descriptors."""
        os.close(self.fd)
        if self.twin is not None:
            os.close(self.twin)


def walk(root: int, twin: int | None = None) -> Iterator[Level]:
    """All directories of a tree, parents first, each with its twin under ``twin`` where that is a directory too.

    The descriptors given stay open and belong to the caller. Directories that vanish meanwhile are left out.
    """
    stack = [Level(os.dup(root), None if twin is None else os.dup(twin), "")]
    try:
        while stack:
            level = stack[-1]
            if not level.visited:
                level.visited = True
                yield level
            if level.subdirectories:
                below = _descend(level, level.subdirectories.pop())
                if below is not None:
                    stack.append(below)
            else:
                stack.pop().close()
    finally:
        for level in stack:
            level.close()


def _descend(level: Level, name: str) -> Level | None:
    try:
        fd = open_directory(name, level.fd)
    except (FileNotFoundError, NotADirectoryError):
        return None
    twin = None
    if level.twin is not None:
        try:
            twin = open_directory(name, level.twin)
        except (FileNotFoundError, NotADirectoryError):
            twin = None
        except OSError:
            os.close(fd)
            raise
    return Level(fd, twin, level.at(name))
