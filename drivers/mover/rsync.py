"""The rsync engine: one pass of rsync, with progress, a limit that can change, and no process left behind."""

from __future__ import annotations

import os
import re
import select
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from drivers.errors import printable
from drivers.mover.control import TICK, Control, CopyFailed
from drivers.mover.durable import die_with_parent

# In place and with deltas, so that a half file is continued and not begun anew.
_FLAGS = (
    "-aHAXS",
    "--numeric-ids",
    "--inplace",
    "--no-whole-file",
    "--force",
    "--modify-window=-1",
    "--info=progress2,stats2",
    "--no-human-readable",
    "--outbuf=L",
)
# Without the negative window it takes times within the same second for equal.
# A filter for attributes replaces rsync's own rule that "system" ones are ACLs and left to -A.
_ROOT_ATTRIBUTES = ("--filter=+x user.*", "--filter=+x trusted.*", "--filter=+x security.*", "--filter=-x *")
_USER_ATTRIBUTES = ("--filter=+x user.*", "--filter=-x *")
_PROGRESS = re.compile(rb"\s*(\d+)\s+\d+%[^(]*(?:\(xfr#\d+, (?:ir|to)-chk=(\d+)/(\d+)\))?")
_LITERAL = re.compile(rb"Literal data: (\d+) bytes")
_USAGE_CODES = (1, 2, 4)
_PARTIAL, _VANISHED = 23, 24
_FULL = (b"No space left on device", b"Disk quota exceeded")
_TAIL = 4096
_END_TIMEOUT = 5.0


class RsyncUnusable(Exception):
    """The rsync of this machine does not know what is asked of it."""


def find_rsync() -> str | None:
    """The path of rsync, or None when this machine has none."""
    for directory in os.environ.get("PATH", os.defpath).split(os.pathsep):
        program = Path(directory, "rsync")
        if directory and os.access(program, os.X_OK) and program.is_file():
            return str(program)
    return None


class RsyncPass:
    """One pass over the tree.

    Args:
        locks: descriptors that every rsync process shall hold while it lives.
        count_present: counts the bytes that are in the target already, for the progress after a restart.
    """

    def __init__(
        self,
        program: str,
        source: str,
        target: str,
        control: Control,
        *,
        locks: tuple[int, ...],
        delete_extra: bool,
        count_present: Callable[[], int],
    ) -> None:
        attributes = _ROOT_ATTRIBUTES if os.geteuid() == 0 else _USER_ATTRIBUTES
        self._command = [program, *_FLAGS, *attributes, *(["--delete"] if delete_extra else [])]
        self._operands = ["--", source.rstrip("/") + "/", target.rstrip("/") + "/"]
        self._control = control
        self._locks = locks
        self._count_present = count_present
        self._pid = 0
        self._errors = b""
        self._base = 0
        self._moved = 0

    def run(self, present: int, *, checksum: bool) -> bool:
        """Copy. Returns whether names vanished meanwhile.

        Args:
            present: bytes that are in the target already, for the progress.
            checksum: compare contents where size and time agree.

        Raises:
            CopyFailed: rsync failed.
            RsyncUnusable: it does not know an option.
        """
        self._base = present
        while True:
            rate = self._control.rate
            self._moved = self._control.progress.bytes_moved
            command = [*self._command, *(["--checksum"] if checksum else [])]
            if rate is not None:
                command.append(f"--bwlimit={max(1, round(rate / 1024))}")
            code = self._once([*command, *self._operands], rate)
            if code is not None:
                return self._judge(code)
            self._base = self._count_present()

    def _judge(self, code: int) -> bool:
        if code == 0:
            return False
        text = printable(self._errors[-_TAIL:].decode("utf-8", "replace").strip(), 400)
        sys.stderr.write(f"rsync ended with code {code}: {text}\n")
        if code in _USAGE_CODES:
            raise RsyncUnusable(text)
        if any(sign in self._errors for sign in _FULL):
            raise CopyFailed(text, full=True)
        if code == _VANISHED:
            return True
        raise CopyFailed(f"rsync ended with code {code}: {text}", retry=code == _PARTIAL)

    def _once(self, command: list[str], rate: int | None) -> int | None:
        """Run rsync to its end; None when it was stopped because the limit changed."""
        output, output_in = os.pipe()
        errors, errors_in = os.pipe()
        alive, alive_in = os.pipe()  # reads as ended when the last process that inherited the other end is gone
        self._errors = b""
        try:
            self._start(command, output_in, errors_in, alive_in)
        finally:
            for fd in (output_in, errors_in, alive_in):
                os.close(fd)
        try:
            finished = self._pump(output, errors, rate)
            if finished:
                return os.waitstatus_to_exitcode(self._wait())
            return None
        finally:
            self._end(alive)
            for fd in (output, errors, alive):
                os.close(fd)

    def _start(self, command: list[str], output: int, errors: int, alive: int) -> None:
        parent = os.getpid()
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        try:
            pid = os.fork()
            if pid == 0:
                _become(command, parent, output, errors, (alive, *self._locks))
            self._pid = pid
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)

    def _pump(self, output: int, errors: int, rate: int | None) -> bool:
        """Read what rsync says until it has ended (True) or the limit has changed (False)."""
        poller = select.poll()
        poller.register(output, select.POLLIN)
        poller.register(errors, select.POLLIN)
        rest, is_open = b"", {output, errors}
        while is_open:
            for fd, _ in poller.poll(TICK * 1000):
                data = os.read(fd, 65536)
                if not data:
                    poller.unregister(fd)
                    is_open.discard(fd)
                elif fd == errors:
                    self._errors = (self._errors + data)[-_TAIL:]
                else:
                    *lines, rest = re.split(rb"[\r\n]", rest + data)
                    self._read_progress(lines)
                    rest = rest[-_TAIL:]
            self._control.tick()
            if self._control.rate != rate:
                return False
        return True

    def _read_progress(self, lines: list[bytes]) -> None:
        """The last word of some lines; the final figures come after all progress."""
        progress = self._control.progress
        literal = next(filter(None, map(_LITERAL.match, lines)), None)
        match = next(filter(None, map(_PROGRESS.match, reversed(lines))), None)
        if match is not None:
            progress.bytes_moved = max(progress.bytes_moved, self._moved + int(match[1]))
            progress.bytes_done = max(progress.bytes_done, self._base + int(match[1]))
            if match[2] is not None:
                progress.files_done = max(progress.files_done, int(match[3]) - int(match[2]) - 1)
        if literal is not None:  # what travelled, without what deltas found in the target
            progress.bytes_moved = self._moved + int(literal[1])

    def _wait(self) -> int:
        pid, self._pid = self._pid, 0
        return os.waitpid(pid, 0)[1]

    def _end(self, alive: int) -> None:
        """Kill what is left of rsync's process group and wait until all of it is gone."""
        if self._pid:
            try:
                os.killpg(self._pid, signal.SIGKILL)
            except ProcessLookupError:
                os.kill(self._pid, signal.SIGKILL)  # it has not made its group yet
            self._wait()
        poller = select.poll()
        poller.register(alive, select.POLLIN)
        end = time.monotonic() + _END_TIMEOUT
        while not poller.poll(TICK * 1000) and time.monotonic() < end:
            self._control.tick()


def _become(command: list[str], parent: int, output: int, errors: int, keep: tuple[int, ...]) -> NoReturn:
    """Turn the forked process into rsync. It dies with its parent."""
    try:
        os.setpgid(0, 0)
        die_with_parent()
        if os.getppid() != parent:
            os._exit(127)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        null = os.open(os.devnull, os.O_RDONLY)
        for fd, place in ((null, 0), (output, 1), (errors, 2)):
            os.dup2(fd, place)
        for fd in keep:
            os.set_inheritable(fd, True)
        os.execve(command[0], command, {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"})  # noqa: S606
    finally:
        os._exit(127)
