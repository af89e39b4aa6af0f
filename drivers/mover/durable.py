"""Making sure that what was written is on disk, and other calls that only the C library has."""

from __future__ import annotations

import ctypes
import os
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

_INTERVAL = 1.0


_LIBC = ctypes.CDLL(None, use_errno=True)


def sync_file_system(fd: int) -> None:
    """Write all of the file system that holds ``fd`` to disk. Raises OSError when that failed."""
    if _LIBC.syncfs(fd) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def deallocate(fd: int, begin: int, length: int) -> None:
    """Punch a hole into a file, its size kept. Raises OSError."""
    keep_size, punch_hole = 1, 2
    if _LIBC.fallocate64(fd, keep_size | punch_hole, ctypes.c_int64(begin), ctypes.c_int64(length)) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def die_with_parent() -> None:
    """Ask the kernel to kill this process when its parent dies."""
    pr_set_pdeathsig, sigkill = 1, 9
    _LIBC.prctl(pr_set_pdeathsig, sigkill, 0, 0, 0)


class SteadySync:
    """Syncs in the background while a copy runs, so that little is left to be written when it ends or is stopped."""

    def __init__(self, directory: int) -> None:
        # Opened anew: an error of the disk is told once per open file, and the final sync must be told it too.
        self._fd = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=directory)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="steady-sync", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        if kind is None:  # who fails or is stopped does not wait for the disk
            self._thread.join()

    def _run(self) -> None:
        with suppress(OSError):  # the final sync reports it
            while not self._stop.wait(_INTERVAL):
                sync_file_system(self._fd)
        os.close(self._fd)
