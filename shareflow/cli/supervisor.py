"""Keeping an embedded Shareflow running: the Temporal server and one worker, restarted when they die."""

from __future__ import annotations

import asyncio
import re
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from shareflow import failures
from shareflow.cli.statedir import StateDir
from shareflow.cli.workerprocess import CONFIGURATION_EXIT, WorkerProcess
from shareflow.errors import ERRORS_BY_CODE, ServerUnavailable, ShareflowError, StateDirectoryError
from shareflow.server.devserver import DevServer, DevServerSettings

NAMESPACE = "default"
FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0
SETTLED = 60.0
"""Seconds after which a process counts as having started well, so that its next restart is quick again."""
_CODE = re.compile(r"\bSF\d{3}\b")
Report = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedSettings:
    """What to run.

    Attributes:
        binary: the ``temporal`` command.
        port, ui_port: where server and UI listen; 0 picks a free one.
        specs: directory of the spec files.
        database: URL of the inventory; empty means SQLite in the state directory.
    """

    binary: Path
    specs: Path
    port: int = 7233
    ui_port: int = 8233
    database: str = ""


@dataclass(slots=True)
class Embedded:
    """``async with Embedded(state, settings, report) as embedded: await embedded.keep()``.

    Leaving the block stops the worker, then the server. A process that dies with its parent dies with this one too.
    """

    state: StateDir
    settings: EmbeddedSettings
    report: Report
    server: DevServer = field(init=False)
    worker: WorkerProcess = field(init=False)

    def __post_init__(self) -> None:
        settings, path = self.settings, self.state.path
        self.server = DevServer(
            DevServerSettings(
                binary=settings.binary,
                database=path / "temporal.db",
                port=settings.port,
                ui_port=settings.ui_port,
                namespace=NAMESPACE,
                log_file=path / "temporal.log",
            )
        )

    async def __aenter__(self) -> Self:
        try:
            await self.server.start()
            self.worker = self._make_worker()
            await self._first_worker()
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def stop(self) -> None:
        """End the worker, then the server. Does nothing for what does not run."""
        if hasattr(self, "worker"):
            await self.worker.stop()
        await self.server.stop()

    async def keep(self) -> None:
        """Restart what dies, with growing pauses, until this is cancelled.

        Raises:
            ShareflowError: something that a restart cannot mend.
        """
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep("worker", self.worker.wait, self._worker_again))
            group.create_task(self._keep("Temporal server", self.server.wait, self.server.start))

    async def _keep(self, what: str, wait: Callable[[], Awaitable[int]], again: Callable[[], Awaitable[None]]) -> None:
        pause = FIRST_PAUSE
        while True:
            began = time.monotonic()
            code = await wait()
            if time.monotonic() - began > SETTLED:
                pause = FIRST_PAUSE
            if what == "worker" and code == CONFIGURATION_EXIT:
                raise configuration_error(self.worker.last_line)
            self.report(f"the {what} ended ({ending(code)}); starting it again in {pause:g} s")
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)
            await again()
            self.publish()

    async def _worker_again(self) -> None:
        self.worker.start()
        if await self.worker.ready():
            self.report("the worker runs again; operations go on where they were")

    async def _first_worker(self) -> None:
        self.worker.start()
        if not await self.worker.ready():
            code = await self.worker.wait()
            if code == CONFIGURATION_EXIT:
                raise configuration_error(self.worker.last_line)
            raise ServerUnavailable(
                f"the worker ended while it started ({ending(code)}): {self.worker.last_line[-300:]}",
                hint=f"its log is {self.state.path / 'worker.log'}",
            )
        self.publish()

    def publish(self) -> None:
        """Write what runs now to ``up.json``."""
        self.state.publish(self.facts())

    def facts(self) -> dict[str, Any]:
        """Addresses, process ids and paths of what runs."""
        return {
            "address": self.server.address,
            "namespace": NAMESPACE,
            "ui": self.server.ui_url,
            "server_pid": self.server.pid,
            "worker_pid": self.worker.pid,
            "state_dir": str(self.state.path),
            "database": self.database,
            "specs": str(self.settings.specs),
        }

    @property
    def database(self) -> str:
        """URL of the inventory."""
        return self.settings.database or f"sqlite:///{self.state.path / 'inventory.db'}"

    def _make_worker(self) -> WorkerProcess:
        path = self.state.path
        arguments = ["--address", self.server.address, "--namespace", NAMESPACE, "--database", self.database]
        arguments += ["--state-dir", str(path), "--specs", str(self.settings.specs)]
        return WorkerProcess(arguments, path / "worker.ready", path / "worker.log")


def configuration_error(line: str) -> ShareflowError:
    """What a worker says in its last line, as the error it is; an unknown one counts as of the state directory."""
    text = line.strip()
    found = _CODE.search(text)
    kind = ERRORS_BY_CODE.get(found[0], StateDirectoryError) if found else StateDirectoryError
    if found is None:
        return kind(f"the worker refuses its configuration: {text.removeprefix('error: ') or 'no reason given'}")
    return failures.from_text(text[found.start() :], kind)


def ending(code: int) -> str:
    """How a process ended, in words."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
