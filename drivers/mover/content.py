"""The content of one file: copied with its holes, compared, and shared where the file system can."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable

from drivers.mover.control import Control
from drivers.mover.fsops import SourceChanged

FICLONE = 0x40049409
_NEVER_SHARED = (errno.EOPNOTSUPP, errno.EXDEV, errno.ENOTTY, errno.ENOSYS)
_NOT_SHARED = (errno.EINVAL, errno.EPERM, errno.ETXTBSY)
_NO_RANGES = (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM, errno.ETXTBSY, errno.EBADF)
_BLOCK = 1 << 20


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


def same_content(left: int, right: int, size: int, tick: Callable[[], None]) -> bool:
    """Whether two files of ``size`` bytes read the same. Where both have a hole nothing is read."""
    position = 0
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
        tick()
    return True
