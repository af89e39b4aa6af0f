"""The server's log: a file of bounded size, and the newest lines in memory."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from pathlib import Path
from typing import IO, BinaryIO

FILE_LIMIT = 5 * 1024**2
_LINE_LIMIT = 2000
_KEPT_LINES = 40


class LogPump(threading.Thread):
    """Reads the server's output to its end, so that the server never blocks on a full pipe.

    Writes to ``log_file``; at 5 MiB the file becomes ``<name>.1`` and a new one begins. A disk that cannot be written
    loses lines of the log and nothing else.
    """

    def __init__(self, source: IO[bytes], log_file: Path | None, limit: int = FILE_LIMIT) -> None:
        super().__init__(name="temporal-log", daemon=True)
        self._source = source
        self._log_file = log_file
        self._lines: deque[str] = deque(maxlen=_KEPT_LINES)
        self._limit = limit
        self._out: BinaryIO | None = None

    @property
    def last_lines(self) -> tuple[str, ...]:
        """The newest lines, oldest first."""
        return tuple(self._lines)

    def run(self) -> None:
        """Read until the last process that holds the pipe is gone."""
        with contextlib.closing(self._source), contextlib.ExitStack() as stack:
            stack.callback(self._close)
            while line := self._source.readline(_LINE_LIMIT):
                self._lines.append(line.decode(errors="replace").rstrip())
                with contextlib.suppress(OSError):
                    self._write(line)

    def _write(self, line: bytes) -> None:
        if self._log_file is None:
            return
        if self._out is None:
            self._log_file.parent.mkdir(parents=True, exist_ok=True)
            self._out = self._log_file.open("ab", buffering=0)
        self._out.write(line)
        if self._out.tell() >= self._limit:
            self._close()
            self._log_file.replace(self._log_file.with_name(self._log_file.name + ".1"))

    def _close(self) -> None:
        if self._out is not None:
            self._out.close()
            self._out = None
