"""Running the embedded Temporal server: one process, its state in one SQLite file, nothing left behind.

The server leads its own process group, is killed by the kernel when its parent ends (however it ends), and holds a lock
on its database file for as long as it lives, so that two servers never share one. Its state survives a kill at any
moment: the file is in WAL mode with ``synchronous=2``.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from shareflow import names
from shareflow.errors import ServerUnavailable
from shareflow.process import dies_with_parent, terminate_group
from shareflow.server.ports import free_port, require_free
from shareflow.server.readiness import wait_until_serving
from shareflow.server.statefile import StateFile
from shareflow.server.tail import LogPump

LogLevel = Literal["debug", "info", "warn", "error", "never"]

DYNAMIC_CONFIG: Mapping[str, str] = {
    # A dev server has one history shard, and these limits are per shard: by default every hop waits 50 ms.
    "history.transferProcessorMaxPollRPS": "2000",
    "history.timerProcessorMaxPollRPS": "2000",
    "history.visibilityProcessorMaxPollRPS": "2000",
    # Nothing on this machine is asked for news of the version.
    "frontend.enableServerVersionCheck": "false",
}
TIME_SKIPPING = "frontend.WorkflowTimeSkippingEnabled"
MEMORY_LIMIT = "200MiB"
_PORT_TRIES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class DevServerSettings:
    """How to run the server.

    Attributes:
        binary: the ``temporal`` command, from :func:`shareflow.server.resolve.find_temporal`.
        database: file that keeps the state; None keeps it in memory, and it is lost when the server ends.
        ip: address to listen on.
        port: port of the gRPC service; 0 picks a free one, which the object keeps when it is started again.
        ui_port: port of the web UI; 0 picks a free one, None runs without UI.
        namespace: namespace that Shareflow uses; made when missing.
        log_file: where the server's log goes, bounded to 5 MiB and one older file of the same size; None keeps only
            the last lines in memory.
        log_level: how much the server logs.
        time_skipping: lets tests skip time in single workflows.
        start_timeout: seconds until the server must serve.
        extra_arguments: further arguments of ``temporal server start-dev``.
    """

    binary: Path
    database: Path | None = None
    ip: str = "127.0.0.1"
    port: int = 0
    ui_port: int | None = None
    namespace: str = "default"
    log_file: Path | None = None
    log_level: LogLevel = "warn"
    time_skipping: bool = False
    start_timeout: float = 60.0
    extra_arguments: tuple[str, ...] = ()


@dataclass(slots=True)
class DevServer:
    """One embedded server. ``async with DevServer(settings) as server:`` or :meth:`start` and :meth:`stop`.

    It may be started again after :meth:`stop`, :meth:`kill` or its own end, and then has the same ports and state.
    Start it from a thread that outlives it (the event loop's): the kernel kills it when that thread ends.
    """

    settings: DevServerSettings
    port: int = field(init=False)
    ui_port: int | None = field(init=False)
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    _pump: LogPump | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.port = self.settings.port
        self.ui_port = self.settings.ui_port

    @property
    def address(self) -> str:
        """``host:port`` for clients; known once started."""
        return f"{self.settings.ip}:{self.port}"

    @property
    def ui_url(self) -> str | None:
        """Address of the web UI, or None without one."""
        return None if self.ui_port is None else f"http://{self.settings.ip}:{self.ui_port}"

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self.pid is not None

    @property
    def last_lines(self) -> tuple[str, ...]:
        """The newest lines of the server's log."""
        return self._pump.last_lines if self._pump is not None else ()

    async def start(self) -> None:
        """Start the server and return when it serves and knows the namespace and all search attributes.

        About half a second. Does nothing when it runs already. When it fails or is cancelled, no process is left.

        Raises:
            ServerUnavailable: a port is taken, or the server ended or did not serve in time (with the end of its log).
            StateDirectoryError: the database file is in use by another server, or cannot be written.
        """
        if self.alive:
            return
        for tries_left in reversed(range(_PORT_TRIES)):
            try:
                await self._start_once()
            except _PortLost:
                if not tries_left:
                    raise
            else:
                return

    async def stop(self, *, grace: float = 10.0) -> None:
        """End the server: SIGTERM, after ``grace`` seconds SIGKILL. Does nothing when it does not run."""
        process = self._process
        if process is not None:
            await asyncio.to_thread(terminate_group, process, grace=grace)
            self._closed()

    def kill(self) -> None:
        """End the server with SIGKILL, as a crash would. Its state stays; :meth:`start` goes on from it."""
        if self._process is not None:
            self._process.kill()
            terminate_group(self._process, grace=0.0)
            self._closed()

    async def wait(self) -> int:
        """Wait until the server ends by itself; its exit code (negative: the signal). Raises nothing."""
        while self._process is not None:
            code = self._process.poll()
            if code is not None:
                return code
            await asyncio.sleep(0.1)
        return 0

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def _start_once(self) -> None:
        deadline = time.monotonic() + self.settings.start_timeout
        with contextlib.ExitStack() as held:
            state = None
            if self.settings.database is not None:
                state = held.enter_context(StateFile(self.settings.database))
                await state.acquire()
            self._choose_ports()
            self._spawn(state)
        try:
            await self._until_serving(deadline)
        except BaseException:
            # Cancelled or failed: nothing may stay behind.
            self.kill()
            raise

    def _choose_ports(self) -> None:
        ip = self.settings.ip
        if self.settings.port == 0 and self.port == 0:
            self.port = free_port(ip)
        require_free(ip, self.port, "Temporal server", "--port")
        if self.ui_port is None:
            return
        if self.settings.ui_port == 0 and self.ui_port == 0:
            self.ui_port = free_port(ip, other_than=self.port)
        require_free(ip, self.ui_port, "web UI", "--ui-port")

    def _spawn(self, state: StateFile | None) -> None:
        self._process = process = subprocess.Popen(
            dies_with_parent(self._arguments()),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=_environment(),
            start_new_session=True,
            # The server inherits the lock and so holds it until it is really gone.
            pass_fds=() if state is None else (state.handle,),
        )
        if process.stdout is not None:
            self._pump = LogPump(process.stdout, self.settings.log_file)
            self._pump.start()

    def _arguments(self) -> list[str]:
        settings = self.settings
        argv = [str(settings.binary), "server", "start-dev", "--disable-config-file", "--disable-config-env"]
        argv += ["--ip", settings.ip, "--port", str(self.port), "--namespace", settings.namespace]
        argv += ["--log-level", settings.log_level, "--log-format", "json", "--color", "never"]
        argv += ["--headless"] if self.ui_port is None else ["--ui-port", str(self.ui_port), "--ui-disable-news-fetch"]
        if settings.database is not None:
            argv += ["--db-filename", str(settings.database.absolute())]
            argv += ["--sqlite-pragma", "journal_mode=wal", "--sqlite-pragma", "synchronous=2"]
        for attribute in names.SEARCH_ATTRIBUTES:
            kind = attribute.indexed_value_type.name.title().replace("_", "")
            argv += ["--search-attribute", f"{attribute.name}={kind}"]
        for key, value in DYNAMIC_CONFIG.items():
            argv += ["--dynamic-config-value", f"{key}={value}"]
        if settings.time_skipping:
            argv += ["--dynamic-config-value", f"{TIME_SKIPPING}=true"]
        return [*argv, *settings.extra_arguments]

    async def _until_serving(self, deadline: float) -> None:
        serving = asyncio.ensure_future(wait_until_serving(self.address, self.settings.namespace))
        ended = asyncio.ensure_future(self.wait())
        try:
            await asyncio.wait(
                {serving, ended}, timeout=deadline - time.monotonic(), return_when=asyncio.FIRST_COMPLETED
            )
            if serving.done():
                serving.result()
            elif ended.done():
                raise self._ended(ended.result())
            else:
                raise ServerUnavailable(
                    f"the Temporal server at {self.address} does not serve after {self.settings.start_timeout:g} s"
                    f"{self._log_end()}",
                    hint="see whether the machine is overloaded, then start again",
                )
        finally:
            serving.cancel()
            ended.cancel()
            await asyncio.gather(serving, ended, return_exceptions=True)

    def _ended(self, code: int) -> ServerUnavailable:
        if self._pump is not None:
            self._pump.join(timeout=2.0)
        kind = ServerUnavailable
        if "address already in use" in "".join(self.last_lines):
            kind = _PortLost
            self.port = self.settings.port
            self.ui_port = self.settings.ui_port
        return kind(
            f"the Temporal server ended with code {code} while it started{self._log_end()}",
            hint="run `shareflow doctor`, or start it by hand to see more",
        )

    def _log_end(self) -> str:
        lines = [line for line in self.last_lines if line.strip()][-3:]
        return f": {' | '.join(lines)[-800:]}" if lines else ""

    def _closed(self) -> None:
        if self._pump is not None:
            self._pump.join(timeout=2.0)
        self._process = None


class _PortLost(ServerUnavailable):
    """Another process took a port between the choice and the start; worth another try with other ports."""


def _environment() -> dict[str, str]:
    """The server's environment: ours without settings of Temporal clients, with a limit for Go's heap."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TEMPORAL_")}
    kept.setdefault("GOMEMLIMIT", MEMORY_LIMIT)
    return kept
