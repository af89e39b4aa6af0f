"""The content of one file: copied with its holes, compared, and shared where the file system can."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable

from drivers.mover.control import Control
from drivers.mover.durable import deallocate
from drivers.mover.fsops import SourceChanged

FICLONE = 0x40049409
_NEVER_SHARED = (errno.EOPNOTSUPP, errno.EXDEV, errno.ENOTTY, errno.ENOSYS)
_NOT_SHARED = (errno.EINVAL, errno.EPERM, errno.ETXTBSY)
_NO_RANGES = (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM, errno.ETXTBSY, errno.EBADF)
_BLOCK = 1 << 20
_UNIT = 16 << 10  # what differs is written in pieces of this size


def clone(source: int, target: int) -> bool | None:
    """Let the target file share all extents of the source file.

    Returns:
        True when it does, False where these two files cannot, None where no two files of these file systems can.
    """
    try:
        fcntl.ioctl(target, FICLONE, source)
    except OSError as error:
        if error.errno in _NEVER_SHARED:
            return None
        if error.errno in _NOT_SHARED:
            return False
        raise
    return True


def next_data(fd: int, position: int, size: int) -> tuple[int, int]:
    """The next range of data at or after ``position``: its begin and end, both ``size`` when only a hole is left."""
    try:
        begin = os.lseek(fd, position, os.SEEK_DATA)
    except OSError as error:
        if error.errno != errno.ENXIO:
            raise
        return size, size
    if begin >= size:
        return size, size
    return begin, min(os.lseek(fd, begin, os.SEEK_HOLE), size)


class ContentCopier:
    """Copies file contents; remembers which ways of copying this pair of file systems refuses."""

    def __init__(self, control: Control, *, reflink: bool) -> None:
        self._control = control
        self._share = reflink
        self._ranges = reflink
        self._buffer = memoryview(bytearray(_BLOCK))
        self._other = memoryview(bytearray(_BLOCK))

    def copy(self, source: int, target: int, size: int, begin: int) -> bool:
        """Copy bytes ``begin`` to ``size``; what is before is there already. Returns whether extents are shared.

        Raises:
            SourceChanged: the source ended before ``size``.
            OSError: as the system calls.
        """
        if self._share and begin == 0 and size > 0:
            shared = clone(source, target)
            if shared:
                os.ftruncate(target, size)  # the source may have grown since it was seen
                self._control.skipped(size)
                return True
            self._share = shared is not None
        self._control.skipped(begin)
        position = begin
        while position < size:
            start, end = next_data(source, position, size)
            self._control.skipped(start - position)
            position = start
            while position < end:
                count = self._copy_some(source, target, position, min(end - position, self._control.chunk()))
                position += count
                self._control.copied(count)
        os.ftruncate(target, size)
        return False

    def _copy_some(self, source: int, target: int, position: int, most: int) -> int:
        if self._ranges:
            try:
                count = os.copy_file_range(source, target, most, position, position)
                if count:
                    return count
            except OSError as error:
                if error.errno not in _NO_RANGES:
                    raise
                self._ranges = False
        count = os.preadv(source, [self._buffer[:most]], position)
        if count == 0:
            raise SourceChanged("the file became shorter")
        written = 0
        while written < count:
            written += os.pwrite(target, self._buffer[written:count], position + written)
        return count

    def update(self, source: int, target: int, size: int) -> None:
        """Make the content of a file that nobody else uses equal, writing only what differs; holes become holes.

        Raises:
            SourceChanged: the source ended before ``size``.
            OSError: as the system calls.
        """
        there = os.fstat(target).st_size
        if there > size:
            os.ftruncate(target, size)
        position = 0
        while position < size:
            start, end = next_data(source, position, size)
            self._clear(target, position, min(start, there))
            self._control.skipped(start - position)
            position = start
            while position < end:
                position += self._update_some(source, target, position, min(end - position, _BLOCK), there)
        os.ftruncate(target, size)

    def _clear(self, target: int, begin: int, end: int) -> None:
        """Make a hole where the target has data."""
        while begin < end:
            begin, until = next_data(target, begin, end)
            if begin < end:
                punch_hole(target, begin, until - begin)
                self._control.tick()
            begin = until

    def _update_some(self, source: int, target: int, position: int, most: int, there: int) -> int:
        mine = self._buffer[:most]
        count = os.preadv(source, [mine], position)
        if count == 0:
            raise SourceChanged("the file became shorter")
        theirs = self._other[: max(0, min(count, there - position))]
        got = os.preadv(target, [theirs], position) if theirs else 0
        moved = 0
        if got < count or mine[:count] != theirs:
            for begin in range(0, count, _UNIT):
                end = min(begin + _UNIT, count)
                if end > got or mine[begin:end] != theirs[begin:end]:
                    _write_all(target, mine[begin:end], position + begin)
                    moved += end - begin
        self._control.skipped(count - moved)
        self._control.copied(moved)
        return count


def _write_all(fd: int, data: memoryview, position: int) -> None:
    while data:
        written = os.pwrite(fd, data, position)
        data, position = data[written:], position + written


def punch_hole(fd: int, begin: int, length: int) -> None:
    """Give the space of a range back; it reads as zeros then, also where the file system can only write these."""
    try:
        deallocate(fd, begin, length)
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.ENOSYS):
            raise
        zeros = memoryview(bytes(min(length, _BLOCK)))
        for position in range(begin, begin + length, len(zeros)):
            _write_all(fd, zeros[: begin + length - position], position)


def same_content(left: int, right: int, size: int, read: Callable[[int], None], begin: int = 0) -> bool:
    """Whether two files read the same from ``begin`` to ``size``. Where both have a hole nothing is read.

    ``read`` is called with the number of bytes of each block.
    """
    position = begin
    length = min(_BLOCK, size)
    first, second = memoryview(bytearray(length)), memoryview(bytearray(length))
    while position < size:
        position = min(next_data(left, position, size)[0], next_data(right, position, size)[0])
        if position >= size:
            break
        most = min(length, size - position)
        got = os.preadv(left, [first[:most]], position)
        other = os.preadv(right, [second[:got]], position) if got else 0
        if got == 0 or other == 0 or first[:other] != second[:other]:
            return False
        position += other
        read(other)
    return True
