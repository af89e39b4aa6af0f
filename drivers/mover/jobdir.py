"""The directory of one job: its request, its status, and the lock that proves that its processes live.

The lock is an open-file-description lock. Whoever starts the job takes it and hands it to the child, the child hands it
to the engine it runs; so it is held exactly as long as any process of the job can still write to the target. It can be
tested without being taken. The status names the child's process id, which is also the session of all these processes.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import struct
import time
from pathlib import Path
from typing import Any

from drivers.mover.options import Request

REQUEST = "request.json"
STATUS = "status.json"
BANDWIDTH = "bandwidth.json"
CANCEL = "cancel"
LOCK = "lock"
LOG = "log"

_IN_PLACE_BYTES = 4096
_LOG_BYTES = 64 << 10
_FLOCK = "hhqqi4x"


class JobDir:
    """Paths and atomic reads and writes of one job's files."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self, name: str) -> dict[str, Any] | None:
        """The JSON object in a file; None when it is missing or was cut off by a power loss."""
        try:
            data = json.loads((self.path / name).read_bytes())
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return None
        return data if isinstance(data, dict) else None

    def write(self, name: str, data: dict[str, Any], *, durable: bool = False) -> None:
        """Replace a file as a whole. On a full disk it is overwritten where it is, which needs no room.

        Raises:
            OSError: it could not be written either way.
        """
        text = json.dumps(data, separators=(",", ":")).encode("ascii").ljust(_IN_PLACE_BYTES)
        final = self.path / name
        draft = self.path / f"{name}.{os.getpid()}.tmp"
        try:
            fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            try:
                _write_all(fd, text)
                if durable:
                    os.fsync(fd)
            finally:
                os.close(fd)
            draft.replace(final)
        except OSError:
            with contextlib.suppress(OSError):
                draft.unlink()
            if name != STATUS:
                raise
            self._overwrite(final, text)
        if durable:
            sync_directory(self.path)

    def _overwrite(self, final: Path, text: bytes) -> None:
        fd = os.open(final, os.O_WRONLY | os.O_CLOEXEC)
        try:
            _write_all(fd, text)
        finally:
            os.close(fd)

    def request(self) -> Request | None:
        """What was asked for, or None when nothing readable is there."""
        data = self.read(REQUEST)
        try:
            return None if data is None else Request.from_json(data)
        except (KeyError, TypeError, ValueError):
            return None

    def rate(self) -> int | None:
        """The bandwidth limit that holds now, in bytes per second; None for no limit."""
        rate = (self.read(BANDWIDTH) or {}).get("bytes_per_second")
        return rate if isinstance(rate, int) and rate > 0 else None

    def take_lock(self) -> int | None:
        """A descriptor that holds the lock, or None when processes of the job live."""
        fd = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.fcntl(fd, fcntl.F_OFD_SETLK, struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
        except (BlockingIOError, PermissionError):
            os.close(fd)
            return None
        return fd

    def is_alive(self) -> bool:
        """Whether any process of the job lives."""
        try:
            fd = os.open(self.path / LOCK, os.O_RDWR | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            return False
        try:
            query = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
            answer = fcntl.fcntl(fd, fcntl.F_OFD_GETLK, query)
        finally:
            os.close(fd)
        return bool(struct.unpack(_FLOCK, answer)[0] != fcntl.F_UNLCK)

    def wait_dead(self, seconds: float) -> bool:
        """Wait until no process of the job lives; False when the time is over first."""
        end = time.monotonic() + seconds
        while self.is_alive():
            if time.monotonic() >= end:
                return False
            time.sleep(0.005)
        return True

    def ask(self, patience: float) -> None:
        """Ask the job's process to end; waits at most ``patience`` seconds, for one that has hardly begun."""
        session = self._session(patience)
        if session is not None:
            self._signal(session, signal.SIGTERM)

    def stop(self, grace: float, patience: float) -> bool:
        """End all processes of the job: first asked, after ``grace`` seconds killed. False when one lives on."""
        self.ask(grace)
        if self.wait_dead(grace):
            return True
        session = self._session(patience)
        if session is not None:
            for process in _members(session):
                self._signal(process, signal.SIGKILL)
        return self.wait_dead(patience)

    def _session(self, seconds: float) -> int | None:
        """The session of the job's processes; the child writes it down as soon as it runs."""
        end = time.monotonic() + seconds
        while self.is_alive() and time.monotonic() < end:
            pid = (self.read(STATUS) or {}).get("pid")
            if isinstance(pid, int):
                return pid
            time.sleep(0.005)
        return None

    def _signal(self, process: int, number: signal.Signals) -> None:
        # A process id stays taken while it names a session with members, and the lock says that there are some: so the
        # lock is tested after the process was pinned down, and the signal cannot reach a stranger.
        try:
            handle = os.pidfd_open(process)
        except ProcessLookupError:
            return
        try:
            if self.is_alive():
                signal.pidfd_send_signal(handle, number)
        except ProcessLookupError:
            return
        finally:
            os.close(handle)

    def open_log(self) -> int:
        """The log, open for appending; begun anew when it has grown large."""
        fd = os.open(self.path / LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        if os.fstat(fd).st_size > _LOG_BYTES:
            os.ftruncate(fd, 0)
        return fd


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _members(session: int) -> list[int]:
    """Processes of a session, zombies left out."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            text = (entry / "stat").read_bytes()
        except OSError:
            continue
        fields = text.rpartition(b")")[2].split()
        if len(fields) > 3 and fields[0] != b"Z" and int(fields[3]) == session:
            found.append(int(entry.name))
    return found
