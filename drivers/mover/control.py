"""What a running copy tells and is told: progress, the bandwidth limit, and why it ended."""

from __future__ import annotations

import errno
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import NoReturn

TICK = 0.2
"""Seconds between two reports of progress and two looks at the bandwidth limit."""

_LARGEST_CHUNK = 8 << 20
_SMALLEST_CHUNK = 16 << 10
_CHUNKS_PER_SECOND = 8
_LONGEST_SLEEP = 0.1


class Stopped(BaseException):
    """The process was asked to end."""


def stop_on_sigterm() -> None:
    """Raise :class:`Stopped` in the main thread at the first SIGTERM; later ones are ignored."""

    def stop(_number: int, _frame: FrameType | None) -> NoReturn:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise Stopped

    signal.signal(signal.SIGTERM, stop)


class CopyFailed(Exception):
    """The copy cannot go on.

    Attributes:
        full: the target has no room left (disk or quota).
        retry: another pass may succeed, because names changed or vanished meanwhile.
        code: stable code of the job's message; empty for the usual one.
    """

    def __init__(self, message: str, *, full: bool = False, retry: bool = False, code: str = "") -> None:
        super().__init__(message)
        self.full = full
        self.retry = retry
        self.code = code

    @classmethod
    def from_os(cls, error: OSError, path: str) -> CopyFailed:
        """The failure of a system call at a path of the tree."""
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        return cls(f"{show(path)}: {error.strerror or error}", full=full)


def show(path: str) -> str:
    """A path for messages: control characters and bytes that are not text are escaped; the root is ``.``."""
    if not path:
        return "."
    return "".join(ch if ch.isprintable() else ch.encode("unicode_escape").decode("ascii") for ch in path)


@dataclass(slots=True)
class Progress:
    """Counters of one pass.

    Attributes:
        bytes_done, bytes_total: bytes of content, holes included, a hard-linked file counted once.
        files_done, files_total: names in the tree, directories included, the root not.
        bytes_moved: bytes that travelled in this run, all passes together.
    """

    bytes_done: int = 0
    bytes_total: int | None = None
    files_done: int = 0
    files_total: int | None = None
    bytes_moved: int = 0

    def finish(self) -> None:
        """All that was counted is there."""
        self.bytes_done = self.bytes_total or self.bytes_done
        self.files_done = self.files_total or self.files_done


class Control:
    """The link between a copier and whoever watches it.

    Args:
        publish: called with the progress at most once per :data:`TICK`.
        read_rate: gives the bandwidth limit that holds now, in bytes per second, or None.
    """

    def __init__(
        self,
        publish: Callable[[Progress], None] | None = None,
        read_rate: Callable[[], int | None] | None = None,
    ) -> None:
        self.progress = Progress()
        self._publish = publish
        self._read_rate = read_rate
        self.rate = read_rate() if read_rate else None
        self._next_tick = time.monotonic() + TICK
        self._due = 0.0

    def tick(self) -> None:
        """Report and look at the limit when it is time; cheap when it is not."""
        now = time.monotonic()
        if now < self._next_tick:
            return
        self._next_tick = now + TICK
        if self._publish is not None:
            self._publish(self.progress)
        if self._read_rate is not None:
            rate = self._read_rate()
            if rate != self.rate:
                self.rate, self._due = rate, now

    def chunk(self) -> int:
        """How many bytes to copy in one call, so that limit, progress and cancel act within a fraction of a second."""
        if self.rate is None:
            return _LARGEST_CHUNK
        return max(_SMALLEST_CHUNK, min(_LARGEST_CHUNK, self.rate // _CHUNKS_PER_SECOND))

    def skipped(self, count: int) -> None:
        """Count bytes that needed no copying (holes, shared extents, what was there)."""
        self.progress.bytes_done += count

    def copied(self, count: int) -> None:
        """Count copied bytes, and wait as long as the limit asks for them."""
        self.progress.bytes_done += count
        self.progress.bytes_moved += count
        self.tick()
        rate = self.rate
        if rate is None:
            return
        self._due = max(self._due, time.monotonic() - _LONGEST_SLEEP) + count / rate
        while self.rate == rate and (rest := self._due - time.monotonic()) > 0:
            time.sleep(min(rest, _LONGEST_SLEEP))
            self.tick()

    def named(self) -> None:
        """Count one name as done."""
        self.progress.files_done += 1
        self.tick()
