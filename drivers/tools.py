"""External tools: argument vectors, a time limit, bounded output, no shell."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from drivers.errors import Rejected, Unknown, printable

MAX_OUTPUT = 64 * 1024


@dataclass(frozen=True, slots=True)
class Output:
    """What a tool left. Text that is not UTF-8 is escaped; ``truncated`` says that more came than was kept."""

    argv: tuple[str, ...]
    returncode: int
    stdout: str
    stderr: str
    truncated: bool

    @property
    def complaint(self) -> str:
        """One printable line for an error message."""
        text = self.stderr.strip() or self.stdout.strip() or "no output"
        return printable(f"{Path(self.argv[0]).name} ended with {self.returncode}: {text}")


def run(
    argv: Sequence[str | os.PathLike[str]],
    *,
    timeout: float,
    check: bool = True,
    max_output: int = MAX_OUTPUT,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> Output:
    """Run a tool to its end.

    The tool gets no input, its own process group, and the C locale (messages are read by programs). Of each stream the
    first ``max_output`` bytes are kept and the rest is thrown away, so the tool never blocks on a full pipe.

    Args:
        argv: program and arguments; put ``--`` before operands.
        timeout: seconds, after which the whole process group is killed.
        check: raise when the tool's exit code is not 0.
        max_output: bytes to keep of each stream.
        cwd: directory to run in.
        env: variables on top of this process's own.

    Raises:
        Rejected: the tool is not installed or cannot be executed.
        Unknown: it did not end in time, or ended with another code than 0 (``check``): it may have acted.
    """
    args = tuple(os.fspath(item) for item in argv)
    environment = {**os.environ, "LC_ALL": "C", **(env or {})}
    try:
        process = subprocess.Popen(
            args, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=cwd, env=environment,
            start_new_session=True,
        )  # fmt: skip
    except (FileNotFoundError, PermissionError, NotADirectoryError) as error:
        raise Rejected(
            f"{args[0]!r} cannot be run: {error.strerror}", hint=f"install the package that has {args[0]}"
        ) from None
    try:
        stdout, stderr, truncated = _collect(process, time.monotonic() + timeout, max_output)
    except TimeoutError:
        raise Unknown(
            f"{args[0]} did not end within {timeout:g} s and was killed", hint="look at the load of this machine"
        ) from None
    finally:
        _end(process)
    output = Output(args, process.returncode, stdout, stderr, truncated)
    if check and output.returncode != 0:
        raise Unknown(output.complaint)
    return output


def _collect(process: subprocess.Popen[bytes], deadline: float, limit: int) -> tuple[str, str, bool]:
    """Read both streams until they close and the tool has ended. Raises TimeoutError."""
    kept: dict[int, bytearray] = {}
    truncated = False
    with selectors.DefaultSelector() as selector:
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                kept[stream.fileno()] = bytearray()
                selector.register(stream, selectors.EVENT_READ)
        order = list(kept)
        while selector.get_map():
            ready = selector.select(_left(deadline))
            for key, _ in ready:
                chunk = os.read(key.fd, 65536)
                if not chunk:
                    selector.unregister(key.fileobj)
                room = limit - len(kept[key.fd])
                truncated = truncated or len(chunk) > room
                kept[key.fd] += chunk[: max(room, 0)]
    try:
        process.wait(_left(deadline))
    except subprocess.TimeoutExpired:
        raise TimeoutError from None
    stdout, stderr = (bytes(kept[fd]).decode("utf-8", "backslashreplace") for fd in order)
    return stdout, stderr, truncated


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _end(process: subprocess.Popen[bytes]) -> None:
    """Reap the tool. Its group is killed only while the tool itself still lives, so the number cannot be another's."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    for stream in (process.stdout, process.stderr):
        if stream is not None:
            stream.close()
