"""The processes that are measured, arranged as ``shareflow up`` arranges them: server, worker, and a client apart."""

from __future__ import annotations

import asyncio
import contextlib
import json
import statistics
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import yaml

from shareflow.cli.workerprocess import ROOT, WorkerProcess
from shareflow.process import dies_with_parent
from shareflow.server.devserver import DevServer, DevServerSettings

PATIENCE = 300
SPECS: tuple[Mapping[str, Any], ...] = (
    {"kind": "ShareType", "name": "standard", "description": "anything"},
    {
        "kind": "Backend",
        "name": "memory",
        "driver": "fake",
        "slots": 16,
        "pools": [{"name": "m1", "zone": "a", "options": {"capacity": "1 PiB"}}],
    },
    {
        "kind": "Backend",
        "name": "directory",
        "driver": "directory",
        "slots": 16,
        "pools": [{"name": "d1", "zone": "a", "options": {"path": "pools/d1", "capacity": "100 TiB"}}],
    },
)


@dataclass(frozen=True, slots=True)
class Round:
    """One measurement.

    Attributes:
        latencies: seconds of each request.
        cpu: seconds of processor time per request, by process.
        taken: processors that everything else on the machine took meanwhile.
    """

    per_second: float
    latencies: Sequence[float]
    cpu: Mapping[str, float]
    taken: float

    @property
    def median(self) -> float:
        """Median latency in seconds."""
        return statistics.median(self.latencies)


@dataclass(slots=True)
class Arrangement:
    """What runs: ``pids`` by name, and the line to the client process."""

    address: str
    pids: dict[str, int]
    directory: Path
    _client: asyncio.subprocess.Process
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def run(self, kind: str, clients: int, count: int) -> Round:
        """``count`` requests of a kind by ``clients`` clients.

        Raises:
            RuntimeError: the client process ended, or a request has no answer after five minutes.
        """
        before, busy = self._cpu(), _busy()
        try:
            async with asyncio.timeout(PATIENCE):
                answer = await self._ask({"kind": kind, "clients": clients, "count": count})
        except TimeoutError:
            raise RuntimeError(f"{kind} has no answer after {PATIENCE} s; see {self.directory}/worker.log") from None
        after, busy = self._cpu(), _busy() - busy
        spent = {name: after[name] - before[name] for name in after}
        return Round(
            per_second=count / answer["seconds"],
            latencies=answer["latencies"],
            cpu={name: seconds / count for name, seconds in spent.items()},
            taken=max(0.0, (busy - sum(spent.values())) / answer["seconds"]),
        )

    def resident(self, name: str) -> int:
        """Bytes of memory that a process holds."""
        return int(psutil.Process(self.pids[name]).memory_info().rss)

    async def _ask(self, question: dict[str, Any]) -> dict[str, Any]:
        async with self._lock:
            if self._client.stdin is None or self._client.stdout is None:
                raise RuntimeError("the client process has no pipes")
            self._client.stdin.write(json.dumps(question).encode() + b"\n")
            await self._client.stdin.drain()
            line = await self._client.stdout.readline()
        if not line:
            raise RuntimeError("the client process ended; its error is above")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _cpu(self) -> dict[str, float]:
        times = {name: psutil.Process(pid).cpu_times() for name, pid in self.pids.items()}
        return {name: spent.user + spent.system for name, spent in times.items()}


def _busy() -> float:
    times = psutil.cpu_times()
    return sum(times) - times.idle - getattr(times, "iowait", 0.0)


def control_plane_cpu(running: Arrangement) -> dict[str, float]:
    """Seconds of processor time that server and worker have taken so far."""
    times = {name: psutil.Process(running.pids[name]).cpu_times() for name in ("server", "worker")}
    return {name: spent.user + spent.system for name, spent in times.items()}


def write_specs(directory: Path, documents: Sequence[Mapping[str, Any]]) -> Path:
    """Write spec documents as one file; returns the directory."""
    directory.mkdir(parents=True)
    texts = [yaml.safe_dump({"apiVersion": "shareflow/v1", **document}, sort_keys=False) for document in documents]
    (directory / "specs.yaml").write_text("---\n".join(texts))
    return directory


@contextlib.asynccontextmanager
async def arranged(
    binary: Path,
    directory: Path,
    *,
    specs: Path | None = None,
    reference: bool = True,
    ui: bool = False,
    served: Mapping[str, Sequence[str]] | None = None,
) -> AsyncIterator[Arrangement]:
    """Server, Shareflow's worker, the no-op's worker (``reference``) and the client process; none is left behind.

    Args:
        binary: the ``temporal`` command.
        directory: an empty one for state.
        specs: spec files; by default one fake and one directory backend.
        reference: also run the no-op's worker.
        ui: with the web UI, as ``shareflow up`` runs it.
        served: workers by name, each with the backends that it serves; by default one that serves all.
    """
    await asyncio.to_thread(directory.mkdir, parents=True, exist_ok=True)
    where = specs or write_specs(directory / "specs", SPECS)
    settings = DevServerSettings(
        binary=binary,
        database=directory / "temporal.db",
        log_file=directory / "temporal.log",
        ui_port=0 if ui else None,
    )
    async with contextlib.AsyncExitStack() as stack:
        server = await stack.enter_async_context(DevServer(settings))
        pids = {"server": _known(server.pid)}
        arguments = ["--address", server.address, "--database", f"sqlite:///{directory / 'inventory.db'}"]
        arguments += ["--specs", str(where)]
        for name, backends in (served or {"worker": ()}).items():
            state = directory if name == "worker" else directory / name
            more = ["--state-dir", str(state), *(word for backend in backends for word in ("--backend", backend))]
            pids[name] = await _worker(stack, directory, name, [*arguments, *more])
        if reference:
            pids["noop"] = await _worker(stack, directory, "noop", ["--address", server.address])
        client = await stack.enter_async_context(_client(server.address))
        pids["client"] = client.pid
        yield Arrangement(server.address, pids, directory, client)


def _known(pid: int | None) -> int:
    if pid is None:
        raise RuntimeError("a process ended at once")
    return pid


class _NoOpProcess(WorkerProcess):
    """The no-op's worker, kept as Shareflow's is."""

    def __init__(self, arguments: Sequence[str], ready_file: Path, log_file: Path) -> None:
        super().__init__([], ready_file, log_file)
        self._arguments = [sys.executable, "-m", "benchmarks.noop_worker", *arguments, "--ready-file", str(ready_file)]


async def _worker(stack: contextlib.AsyncExitStack, directory: Path, name: str, arguments: Sequence[str]) -> int:
    kind = _NoOpProcess if name == "noop" else WorkerProcess
    process = kind(arguments, directory / f"{name}.ready", directory / f"{name}.log")
    process.start()
    stack.push_async_callback(process.stop, grace=5.0)
    if not await process.ready():
        raise RuntimeError(f"the {name} process ended: {process.last_line}")
    return _known(process.pid)


@contextlib.asynccontextmanager
async def _client(address: str) -> AsyncIterator[asyncio.subprocess.Process]:
    argv = dies_with_parent([sys.executable, "-m", "benchmarks.load", "--address", address])
    process = await asyncio.create_subprocess_exec(
        *argv, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, cwd=ROOT, limit=2**24
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
