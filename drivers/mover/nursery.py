"""The process that the processes of jobs are forked from, and the line to it.

A job's process needs 40 ms of processor time to start and to load what it needs; forked from one that has done both it
needs 2. A worker has one such process for all of its jobs, from the first job on. It ends with the worker, however that
ends, because it waits at the other end of a socket; the jobs go on. It runs one thread, so forking it is safe.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import signal
import socket
import subprocess
import sys
import threading
import traceback
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import drivers
from drivers.errors import Unknown

_MOST_BYTES = 64 << 10
_PATIENCE = 20.0
_ROOM = " " * 1024
"""An argument that makes room for the command lines of jobs."""


class Nursery:
    """The worker's side: starts the process when it is first needed, and again when it was killed. Thread-safe."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._line: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def fork(self, module: str, home: Path, lock: int, log: int) -> int:
        """Call ``main([home, descriptor of the lock])`` of a module in a new process; returns its id.

        It leads a session of its own, inherits nothing but the lock, and the log as its output, and is shown by ``ps``
        as ``python -m MODULE HOME LOCK``.

        Raises:
            Unknown: the process that forks ended meanwhile, so the new one may run or not: its lock tells.
            OSError: it cannot be started.
        """
        words = (module, str(home), os.environ.get("PATH", os.defpath))
        request = b"\0".join(os.fsencode(word) for word in words)
        with self._mutex:
            line = self._send(request, lock, log)
            try:
                answer = line.recv(_MOST_BYTES)
            except OSError:  # it hangs
                answer = b""
            if not answer:
                self._end()
                raise Unknown("the process that begins jobs has ended", hint="try again, a new one is started then")
        return int(answer)

    def _send(self, request: bytes, lock: int, log: int) -> socket.socket:
        if self._line is not None:
            with suppress(OSError):  # it was killed since the last job
                socket.send_fds(self._line, [request], [lock, log])
                return self._line
            self._end()
        self._line = self._start()
        socket.send_fds(self._line, [request], [lock, log])
        return self._line

    def _start(self) -> socket.socket:
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "LC_ALL": "C",
            "PYTHONPATH": str(Path(drivers.__file__).resolve().parent.parent),
        }
        command = [sys.executable, "-P", "-S", "-X", "utf8", "-m", __name__, _ROOM]
        line, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with other:
            self._process = subprocess.Popen(
                command,
                stdin=other.fileno(),
                stdout=subprocess.DEVNULL,  # and what it says of its own trouble goes where the worker's words go
                cwd="/",
                env=environment,
                start_new_session=True,
            )
        line.settimeout(_PATIENCE)
        return line

    def close(self) -> None:
        """End the process, if it runs. Jobs go on; the next one starts it again."""
        with self._mutex:
            self._end()

    def _end(self) -> None:
        if self._line is not None:
            self._line.close()
            self._line = None
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


NURSERY = Nursery()
"""The one of this process."""


def main() -> NoReturn:
    """Fork a process for each request, until the worker has gone."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # of those that end nothing is left
    line = socket.socket(fileno=0)
    while True:
        request, descriptors, _, _ = socket.recv_fds(line, _MOST_BYTES, 2)
        if not request:
            os._exit(0)
        module, home, path = (os.fsdecode(word) for word in request.split(b"\0"))
        with suppress(Exception):  # the child says what is wrong with it
            importlib.import_module(module)
        pid = os.fork()
        if pid == 0:
            _become(module, home, path, *descriptors)
        for fd in descriptors:
            os.close(fd)
        with suppress(OSError):
            line.send(str(pid).encode("ascii"))


def _become(module: str, home: str, path: str, lock: int, log: int) -> NoReturn:
    code = 1
    try:
        os.setsid()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        null = os.open(os.devnull, os.O_RDONLY)
        for fd, place in ((null, 0), (log, 1), (log, 2)):  # the first takes the place of the line
            os.dup2(fd, place)
        os.close(null)
        os.close(log)
        os.environ["PATH"] = path
        _show([sys.executable, "-m", module, home, str(lock)])
        code = importlib.import_module(module).main([home, str(lock)])
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:  # noqa: BLE001 - it must not go on as a second nursery
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(code)  # a thread may still wait for its last sync; nothing is left to be tidied up


def _show(words: list[str]) -> None:
    """Let ``ps`` show these words: they are written over the arguments that this process was started with."""
    fields = Path("/proc/self/stat").read_bytes().rpartition(b")")[2].split()
    begin, end = int(fields[45]), int(fields[46])
    text = b"\0".join(os.fsencode(word) for word in words)[: end - begin - 1]
    ctypes.memmove(begin, text.ljust(end - begin, b"\0"), end - begin)


if __name__ == "__main__":
    main()
