"""The process of one transfer, forked by :mod:`drivers.mover.nursery`.

``btrfs send`` and ``btrfs receive`` run side by side, and what goes from one to the other passes through here, where it
is counted and slowed down. When this process dies, their pipes end, and with these they do. Both hold the lock of the
job until they are gone. A stream that ends too soon can look
whole to ``btrfs receive``; so a received volume counts only with the mark that is written when both have ended well.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import select
import signal
import subprocess
import threading
import traceback
from pathlib import Path
from typing import Any, Final

from drivers.btrfs import ioctls
from drivers.btrfs.marks import Mark, write_mark
from drivers.errors import PoolFull, Unknown, printable
from drivers.mover.control import Control, Progress, Stopped, stop_on_sigterm
from drivers.mover.jobdir import CANCEL, REQUEST, STATUS, JobDir

_BROKEN: Final = "D400"
_STALL_SECONDS: Final = 600.0
"""How long nothing may arrive, or an end may take, before the transfer is given up."""
_PIPE_BYTES: Final = 1 << 20
_KEPT: Final = 4096
_FULL: Final = (os.strerror(errno.ENOSPC), os.strerror(errno.EDQUOT))


class Failed(Exception):
    """The transfer cannot be done; the message begins with a stable code."""


class Transfer:
    """The steps of one transfer, and the status after each."""

    def __init__(self, home: JobDir, lock: int) -> None:
        self._home = home
        self._lock = lock
        order = home.read(REQUEST) or {}
        self._source, self._base = str(order["source"]), str(order["base"])
        self._target = Path(order["target"])
        self._identity = str(order["identity"])
        self._total: int | None = order["total"]
        self._tools: list[subprocess.Popen[bytes]] = []
        self._said: list[tuple[threading.Thread, bytearray]] = []
        self._status: dict[str, Any] = {**(home.read(STATUS) or {}), "pid": os.getpid()}
        self._control = Control(self._publish, home.rate)
        self._publish(self._control.progress)

    def run(self) -> int:
        """Do the job and write down how it ended. Returns the exit status."""
        try:
            self._receive()
        except Stopped:
            self._end()
            if (self._home.path / CANCEL).exists():
                return self._finish("cancelled", "cancelled on request")
            return self._finish("failed", f"{Unknown.code} the transfer was stopped; it begins anew when asked for")
        except Exception as error:  # noqa: BLE001 - the status is the only place where it can be told
            self._end()
            return self._finish("failed", _reason(error))
        return self._finish("done", "")

    def _receive(self) -> None:
        parent = os.open(self._target.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            if ioctls.is_subvolume(self._target):  # of a try that did not end well
                ioctls.destroy(parent, self._target.name)
            self._pipe()
            self._restore_times()
            self._check()
            ioctls.sync(parent)
            # A power loss from here on costs the mark, and with it the transfer; the caller's commit keeps both.
            write_mark(self._target, Mark(self._identity, self._control.progress.bytes_done))
        finally:
            os.close(parent)

    def _pipe(self) -> None:
        send = ["btrfs", "send", "-q", *(["-p", self._base] if self._base else []), "--", self._source]
        receive = ["btrfs", "receive", "-q", "--", str(self._target.parent)]
        (sent, outlet), (inlet, given) = _wide_pipe(), _wide_pipe()
        with open(sent, "rb", buffering=0), open(given, "wb", buffering=0) as way:  # noqa: PTH123 - descriptors
            sender = self._start(send, stdin=subprocess.DEVNULL, stdout=outlet)
            receiver = self._start(receive, stdin=inlet, stdout=subprocess.DEVNULL)
            with contextlib.suppress(BrokenPipeError):  # the receiver says why it ended
                self._pump(sent, given)
            way.close()
            code = receiver.wait(_STALL_SECONDS)
        codes = [sender.wait(_STALL_SECONDS), code]
        if any(codes):
            raise self._failure(codes)

    def _start(self, argv: list[str], *, stdin: int, stdout: int) -> subprocess.Popen[bytes]:
        words, voice = os.pipe()
        try:
            tool = subprocess.Popen(argv, stdin=stdin, stdout=stdout, stderr=voice, pass_fds=(self._lock,), cwd="/")
        finally:
            for fd in (voice, *(fd for fd in (stdin, stdout) if fd >= 0)):
                os.close(fd)
        kept = bytearray()
        listener = threading.Thread(target=_drain, args=(words, kept), daemon=True)
        listener.start()
        self._tools.append(tool)
        self._said.append((listener, kept))
        return tool

    def _pump(self, source: int, target: int) -> None:
        waiting = select.poll()
        waiting.register(source, select.POLLIN)
        while True:
            if not waiting.poll(_STALL_SECONDS * 1000):
                raise Failed(f"{Unknown.code} nothing came from the sender for {_STALL_SECONDS:.0f} s")
            count = os.splice(source, target, self._control.chunk())
            if count == 0:
                return
            self._control.copied(count)

    def _restore_times(self) -> None:
        """Give the root the times that it has at the sender.

        ``btrfs receive`` makes whatever is new in the root and renames it to where it belongs. That touches the root,
        and a difference in which the root itself is not changed does not say its times.
        """
        told = Path(self._source).stat()
        fd = os.open(self._target, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            if not ioctls.is_read_only(fd) or os.fstat(fd).st_mtime_ns == told.st_mtime_ns:
                return
            ioctls.set_read_only(fd, read_only=False)
            os.utime(fd, ns=(told.st_atime_ns, told.st_mtime_ns))
            ioctls.set_read_only(fd, read_only=True)
        finally:
            os.close(fd)

    def _check(self) -> None:
        """A whole volume is read-only and knows where it is from."""
        fd = os.open(self._target, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            identity, whole = ioctls.identity(fd).hex(), ioctls.is_read_only(fd)
        finally:
            os.close(fd)
        if identity != self._identity or not whole:
            raise Failed(f"{_BROKEN} {self._target} was received as {identity}, not as {self._identity}")

    def _failure(self, codes: list[int]) -> Failed:
        for listener, _ in self._said:
            listener.join(1.0)
        sender, receiver = (kept.decode("utf-8", "backslashreplace").strip() for _, kept in self._said)
        said = "; ".join(text for text in (receiver, sender) if text) or f"exit codes {codes}"
        code = PoolFull.code if any(sign in receiver for sign in _FULL) else _BROKEN
        return Failed(f"{code} btrfs could not do it: {said}")

    def _end(self) -> None:
        """No tool is left, and nothing of what was received by this try."""
        for tool in self._tools:
            tool.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                tool.wait(_STALL_SECONDS)
        with contextlib.suppress(OSError):
            parent = os.open(self._target.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                if ioctls.is_subvolume(self._target):
                    ioctls.destroy(parent, self._target.name)
            finally:
                os.close(parent)

    def _publish(self, progress: Progress) -> None:
        moved = progress.bytes_done
        done = moved if self._total is None else min(moved, self._total)
        self._status |= {"state": "running", "message": "", "bytes_moved": moved, "bytes_done": done}
        self._home.write(STATUS, {**self._status, "bytes_total": self._total})

    def _finish(self, state: str, message: str) -> int:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        self._publish(self._control.progress)
        self._home.write(STATUS, {**self._status, "state": state, "message": printable(message)})
        return 0 if state == "done" else 1


def _wide_pipe() -> tuple[int, int]:
    """A pipe that holds as much as this user may have, up to 1 MiB."""
    ends = os.pipe()
    with contextlib.suppress(OSError):
        fcntl.fcntl(ends[0], fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    return ends


def _drain(words: int, kept: bytearray) -> None:
    """Read to the end, so that the tool never waits; keep the beginning."""
    with open(words, "rb", buffering=0) as stream:
        while chunk := stream.read(_KEPT):
            kept += chunk[: max(_KEPT - len(kept), 0)]


def _reason(error: Exception) -> str:
    if isinstance(error, Failed):
        return str(error)
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return f"{PoolFull.code} {error}"
    traceback.print_exception(error)
    return f"{_BROKEN} {type(error).__name__}: {error}"


def main(arguments: list[str]) -> int:
    """Run the job of a job directory, with the descriptor of its lock. Exit status: 0 done, 1 not (see the status)."""
    lock = int(arguments[1])
    os.set_inheritable(lock, False)
    stop_on_sigterm()
    return Transfer(JobDir(Path(arguments[0])), lock).run()
