"""The worker as a child process: started, known to be ready, stopped, and killed with its parent."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from shareflow.process import dies_with_parent, terminate_group
from shareflow.server.tail import LogPump

ROOT = Path(__file__).resolve().parents[2]
"""Where ``worker.py`` and the packages beside it lie, in a clone as in an installation."""
CONFIGURATION_EXIT = 3
"""The worker's exit code for an error that a restart cannot mend; its last line says which."""
_POLL = 0.05


class WorkerProcess:
    """One worker process at a time. Start it from the main thread: the kernel kills it when that thread ends."""

    def __init__(self, arguments: Sequence[str], ready_file: Path, log_file: Path) -> None:
        self._arguments = [sys.executable, str(ROOT / "worker.py"), *arguments, "--ready-file", str(ready_file)]
        self._ready_file = ready_file
        self._log_file = log_file
        self._process: subprocess.Popen[bytes] | None = None
        self._pump: LogPump | None = None

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    @property
    def last_line(self) -> str:
        """The newest line that it wrote."""
        lines = [line for line in (self._pump.last_lines if self._pump else ()) if line.strip()]
        return lines[-1] if lines else ""

    def start(self) -> None:
        """Start it. Does nothing while it runs. Raises OSError when that is impossible."""
        if self.pid is not None:
            return
        # The file of an earlier worker would make this one ready before it is.
        self._ready_file.unlink(missing_ok=True)
        self._process = process = subprocess.Popen(
            dies_with_parent(self._arguments),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={name: value for name, value in os.environ.items() if not name.startswith("TEMPORAL_")},
            start_new_session=True,
        )
        if process.stdout is not None:
            self._pump = LogPump(process.stdout, self._log_file)
            self._pump.start()

    async def ready(self) -> bool:
        """Wait until it takes work; False when it ended first."""
        while self.pid is not None:
            if self._ready_file.exists():
                return True
            await asyncio.sleep(_POLL)
        return False

    async def wait(self) -> int:
        """Wait until it ends; its exit code (negative: the signal that ended it)."""
        while self._process is not None:
            code = self._process.poll()
            if code is not None:
                await asyncio.to_thread(self._drain)
                return code
            await asyncio.sleep(_POLL)
        return 0

    async def stop(self, *, grace: float = 20.0) -> None:
        """SIGTERM, and after ``grace`` seconds SIGKILL, to it and what it started. Idempotent."""
        if self._process is not None:
            await asyncio.to_thread(terminate_group, self._process, grace=grace)
            await asyncio.to_thread(self._drain)

    def kill(self) -> None:
        """SIGKILL to the worker alone, as a crash would."""
        pid = self.pid
        if pid is not None:
            os.kill(pid, signal.SIGKILL)

    def _drain(self) -> None:
        if self._pump is not None:
            self._pump.join(timeout=2.0)
