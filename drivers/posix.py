"""File system calls that the standard library lacks: exchange of names, syncs, durable small files."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_AT_FDCWD: Final = -100
_RENAME_EXCHANGE: Final = 2
_WAIT_WRITE_WAIT: Final = 7
_NO_EXCHANGE: Final = frozenset({errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP})

_libc = ctypes.CDLL(None, use_errno=True)


def exchange(first: Path, second: Path) -> bool:
    """Swap two names in one step. False when this file system or C library cannot; then nothing was changed.

    Raises:
        OSError: a name is missing or the swap is not allowed.
    """
    call = getattr(_libc, "renameat2", None)
    if call is None:
        return False
    call.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)
    if call(_AT_FDCWD, os.fsencode(first), _AT_FDCWD, os.fsencode(second), _RENAME_EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in _NO_EXCHANGE:
        return False
    raise OSError(number, os.strerror(number), str(first), None, str(second))


def sync_filesystem(path: Path) -> None:
    """Write everything of the file system that holds ``path`` to its disk. Raises OSError."""
    with directory_fd(path) as fd:
        call = getattr(_libc, "syncfs", None)
        if call is None:
            os.sync()
        elif call(fd) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(path))


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable. Raises OSError."""
    with directory_fd(path) as fd:
        os.fsync(fd)


@contextlib.contextmanager
def directory_fd(path: Path) -> Iterator[int]:
    """A descriptor of a directory, never of what a symbolic link in the last place points to. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        yield fd
    finally:
        os.close(fd)


@dataclass(frozen=True, slots=True)
class Barriers:
    """How small files are made durable.

    Attributes:
        data: called with a descriptor when its bytes must be durable no later than names that are changed afterwards.
        names: called with a directory whose names must be durable no later than what is done afterwards.
    """

    data: Callable[[int], None]
    names: Callable[[Path], None]


def flush_data(fd: int) -> None:
    """Hand the bytes of a file to the file system, so that its next commit holds them. Raises OSError."""
    call = getattr(_libc, "sync_file_range", None)
    if call is None:
        os.fdatasync(fd)
        return
    call.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
    if call(fd, 0, 0, _WAIT_WRITE_WAIT) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


POSIX: Final = Barriers(os.fsync, sync_directory)
"""For any file system: each file and each directory by itself."""

ORDERED: Final = Barriers(flush_data, lambda _: None)
"""For file systems that change all names in order, and make them durable together by one commit at the end."""

VOLATILE: Final = Barriers(lambda _: None, lambda _: None)
"""For what a kill must leave and a power cut may take: afterwards the file is whole, empty or not there."""


def write_durable(
    path: Path, data: bytes, between: Callable[[], None] | None = None, barriers: Barriers = POSIX
) -> None:
    """Replace a small file, all or nothing, durable as the barriers promise.

    The temporary name is fixed, so a crash leaves one file at most, and the next write takes it over. Writers of one
    path must exclude each other. ``between`` is called when the new text is on disk and not yet under its name.

    Raises:
        OSError: disk full, read-only, gone.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
        barriers.data(fd)
    finally:
        os.close(fd)
    if between is not None:
        between()
    temporary.replace(path)
    barriers.names(path.parent)


def read_small(path: Path, limit: int = 2**20) -> bytes | None:
    """The bytes of a small file, or None when it is not there.

    Raises:
        OSError: it cannot be read, or has more than ``limit`` bytes (EFBIG).
    """
    try:
        with path.open("rb") as stream:
            data = stream.read(limit + 1)
    except FileNotFoundError:
        return None
    if len(data) > limit:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))
    return data


def allocated_bytes(root: Path, keep_going: Callable[[int, int], bool] | None = None) -> int | None:
    """Bytes that a tree occupies on disk: allocated blocks, hard-linked files once, directories included.

    ``keep_going`` is asked with the files and bytes so far; when it says no, the answer is None. Names that vanish
    while the walk is under way are left out. Other file systems mounted inside are not entered.

    Raises:
        OSError: the root or a directory cannot be read.
    """
    top = os.lstat(root)
    total, files = top.st_blocks * 512, 0
    linked: set[int] = set()
    waiting = [os.fspath(root)]
    while waiting:
        folder = waiting.pop()
        try:
            entries = os.scandir(folder)
        except FileNotFoundError:
            continue
        with entries:
            for entry in entries:
                try:
                    info = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                if info.st_dev != top.st_dev or (info.st_nlink > 1 and info.st_ino in linked):
                    continue
                files += 1
                total += info.st_blocks * 512
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                elif info.st_nlink > 1:
                    linked.add(info.st_ino)
                if keep_going is not None and not keep_going(files, total):
                    return None
    return total
