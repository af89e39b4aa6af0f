"""Replicas: a resync against the plain tools, how long a planned promotion stops a writer, and what idle ones cost."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import statistics
import subprocess
import time
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import func, select
from temporalio.client import Client

from benchmarks import payloads
from benchmarks.arrangement import Arrangement, arranged, control_plane_cpu, write_specs
from benchmarks.migration import MIB, Writer, last_delta
from benchmarks.payloads import NoOpInput, NoOpResult
from benchmarks.report import Report, Target
from benchmarks.transfer import file_system
from drivers.errors import DriverError
from drivers.tools import run
from inventory import tables
from inventory.database import Database, now
from shareflow import names
from shareflow.converter import data_converter

FILES, FILE = 1024, MIB
"""Of the share that is resynced: 1 GiB in all."""
CHANGED, MANY_CHANGED = 10, 128
"""Files of 1 MiB that get new content: as the goal says, and as many as take the plain tools half a second."""
RESYNC = Target(1.3, "at most")
STOPPED = Target(1.0, "at most")
SHARE = Target(0.05, "at most")
FLAT = Target(1.1, "at most")
DEFAULT_INTERVAL = 300
"""Seconds between two rounds where a type says nothing."""
AT_ONCE = 8
SETTLING, ALONE = 20, 40
"""Seconds until what a start brings with it is over, and in which the control plane without replicas is measured."""


def _backend(name: str, driver: str, path: Path | None = None) -> Mapping[str, Any]:
    options: dict[str, Any] = {"capacity": "1 TiB"} if driver != "btrfs" else {}
    if path is not None:
        options["path"] = str(path)
    return {
        "kind": "Backend",
        "name": name,
        "driver": driver,
        "slots": 16,
        "pools": [{"name": name, "options": options}],
    }


def _type(interval: int) -> Mapping[str, Any]:
    rules = {"apart": "backend", "interval": f"{interval} s", "loss": f"{4 * interval} s"}
    return {"kind": "ShareType", "name": "twice", "replicas": rules}


async def replicas(report: Report, binary: Path, directory: Path, *, quick: bool) -> None:
    """All of it; what needs root and btrfs-progs is left out, and said to be, where they are missing."""
    rounds = 5 if quick else 15
    with contextlib.ExitStack() as stack:
        try:
            mounts = [stack.enter_context(file_system(directory / name, 3072 * MIB)) for name in ("left", "right")]
        except (DriverError, OSError) as error:
            report.note(f"skipped on btrfs: {error}")
            mounts = []
        if mounts:
            await _resyncs(report, binary, directory / "btrfs", "btrfs", mounts, rounds)
    await _resyncs(report, binary, directory / "host", "directory", [directory / "one", directory / "two"], rounds)
    await _idle(report, binary, directory / "idle", count=100 if quick else 1000, interval=10 if quick else 60)


@dataclass
class _Pair:
    """The share ``home`` on the left with a replica on the right."""

    client: Client
    driver: str
    roots: Sequence[Path]
    data: Path

    async def run(self, kind: str, **request: Any) -> Any:
        """An operation on the share."""
        handle = await self.start(kind, **request)
        return await handle.result()

    async def start(self, kind: str, **request: Any) -> Any:
        """The same without waiting for its end."""
        body = {"share": "home", **request}
        return await self.client.start_workflow(kind, body, id=f"op-{uuid.uuid4()}", task_queue=names.QUEUE)

    async def no_op(self, activities: int) -> float:
        """Seconds of a workflow with so many activities that do nothing."""
        request = NoOpInput(name="nothing", size=MIB, activities=activities)
        began = time.perf_counter()
        handle = await self.client.start_workflow(
            payloads.WORKFLOW, request, id=f"no-op-{uuid.uuid4()}", task_queue=payloads.QUEUE, result_type=NoOpResult
        )
        await handle.result()
        return time.perf_counter() - began

    def change(self, number: int, count: int) -> None:
        """New content of so many files, other ones each time."""
        for index in range(number * count, (number + 1) * count):
            (self.data / f"f{index % FILES}").write_bytes(os.urandom(FILE))
        os.sync()


@contextlib.asynccontextmanager
async def _pair(binary: Path, directory: Path, driver: str, roots: Sequence[Path]) -> AsyncIterator[_Pair]:
    pools = [root / "pool" for root in roots]
    for pool in pools:
        pool.mkdir(parents=True, exist_ok=True)
    documents = (_backend("left", driver, pools[0]), _backend("right", driver, pools[1]), _type(3600))
    specs = write_specs(directory / "specs", documents)
    async with arranged(binary, directory / "run", specs=specs) as running:
        client = await Client.connect(running.address, data_converter=data_converter)
        request = {"name": "home", "size": "2 GiB", "type": "twice", "backend": "left"}
        made = await client.execute_workflow(
            names.CREATE_SHARE, request, id=f"op-{uuid.uuid4()}", task_queue=names.QUEUE
        )
        data = Path(made["export_locations"][0])
        for index in range(FILES):
            (data / f"f{index}").write_bytes(os.urandom(FILE))
        pair = _Pair(client, driver, roots, data)
        await pair.run(names.CREATE_REPLICA)
        yield pair


async def _resyncs(
    report: Report, binary: Path, directory: Path, driver: str, roots: Sequence[Path], rounds: int
) -> None:
    """Both sides get the same changes; who goes first alternates."""
    plain_tools = "btrfs send | receive" if driver == "btrfs" else "rsync"
    report.head(f"replicas between {driver} pools: changes in 1 GiB, {rounds} rounds of each against {plain_tools}")
    if driver == "directory" and shutil.which("rsync") is None:
        report.note("skipped: rsync is not installed")
        return
    async with _pair(binary, directory, driver, roots) as pair:
        plain = _PlainBtrfs(pair) if driver == "btrfs" else _PlainRsync(pair)
        await asyncio.to_thread(plain.begin)
        for changed in (CHANGED, MANY_CHANGED):
            await _compare(report, pair, plain, changed, rounds)
        await asyncio.to_thread(plain.end)
        await _promotions(report, pair, rounds)


async def _compare(report: Report, pair: _Pair, plain: _PlainBtrfs | _PlainRsync, changed: int, rounds: int) -> None:
    """Resyncs after so many MiB were changed; the goal is for the first figure at :data:`CHANGED`."""
    ours, copying, theirs, nothing = [], [], [], []
    for number in range(rounds):
        await asyncio.to_thread(pair.change, number, changed)
        for side in (0, 1) if number % 2 else (1, 0):
            if side:
                began = time.perf_counter()
                handle = await pair.start(names.RESYNC_REPLICA, replica="right")
                await handle.result()
                ours.append(time.perf_counter() - began)
                working = await _working(handle)
                copying.append(sum(working))
                nothing.append(await pair.no_op(len(working)))
            else:
                theirs.append(await asyncio.to_thread(plain.follow))
    ratio = statistics.median(mine / other for mine, other in zip(ours, theirs, strict=True))
    beside = statistics.median(mine / (other + none) for mine, other, none in zip(ours, theirs, nothing, strict=True))
    part = statistics.median(mine / other for mine, other in zip(copying, theirs, strict=True))
    what, goal = f"{changed} MiB on {pair.driver}", RESYNC if changed == CHANGED else None
    report.add(
        f"resync of {what}", ratio, "x plain", target=goal, s=statistics.median(ours), plain_s=statistics.median(theirs)
    )
    report.add(
        f"against plain and a no-op, {what}", beside, "x", target=RESYNC,
        no_op_s=statistics.median(nothing),
    )  # fmt: skip
    report.add(f"its copy alone, {what}", part, "x plain", target=RESYNC, s=statistics.median(copying))


async def _working(handle: Any) -> list[float]:
    """Seconds of each step in which the driver or the mover worked, from the history of a resync."""
    began: dict[int, float] = {}
    seconds = []
    async for event in handle.fetch_history_events():
        at = event.event_time.ToNanoseconds() / 1e9
        if event.HasField("activity_task_started_event_attributes"):
            began[event.activity_task_started_event_attributes.scheduled_event_id] = at
        elif event.HasField("activity_task_completed_event_attributes"):
            seconds.append(at - began[event.activity_task_completed_event_attributes.scheduled_event_id])
    return seconds


class _PlainRsync:
    """A copy of the same tree that rsync keeps in step."""

    def __init__(self, pair: _Pair) -> None:
        self._source = pair.data
        self._target = pair.roots[1] / "plain"

    def begin(self) -> None:
        """The first copy."""
        self.follow()

    def follow(self) -> float:
        """Seconds until all changes are there, on disk."""
        began = time.perf_counter()
        command = ["rsync", "-aHAXS", "--numeric-ids", "--delete", "--", f"{self._source}/", f"{self._target}/"]
        subprocess.run(command, check=True, timeout=600)
        subprocess.run(["sync", "-f", str(self._target)], check=True, timeout=600)
        return time.perf_counter() - began

    def end(self) -> None:
        """Remove the copy."""
        shutil.rmtree(self._target)


class _PlainBtrfs:
    """Snapshots of the same subvolume that the plain tools send, each on the one before."""

    def __init__(self, pair: _Pair) -> None:
        self._source = pair.data.resolve()
        self._here, self._there = (root / "plain" for root in pair.roots)
        self._number = 0

    def begin(self) -> None:
        """The first copy."""
        for folder in (self._here, self._there):
            folder.mkdir()
        self.follow()

    def follow(self) -> float:
        """Seconds of a snapshot, its way, and the deletion of the one before, on disk."""
        began = time.perf_counter()
        before, self._number = self._number, self._number + 1
        snapshot = self._here / f"s{self._number}"
        run(["btrfs", "subvolume", "snapshot", "-r", "--", self._source, snapshot], timeout=60)
        parent = ["-p", str(self._here / f"s{before}")] if before else []
        with subprocess.Popen(["btrfs", "send", "-q", *parent, "--", snapshot], stdout=subprocess.PIPE) as send:
            received = subprocess.run(["btrfs", "receive", "-q", "--", self._there], stdin=send.stdout, check=False)
        run(["btrfs", "filesystem", "sync", "--", self._there], timeout=300)
        if send.returncode or received.returncode:
            raise RuntimeError(f"the plain tools ended with {send.returncode} and {received.returncode}")
        if before:
            self._drop(before)
        return time.perf_counter() - began

    def _drop(self, number: int) -> None:
        for folder in (self._here, self._there):
            run(["btrfs", "subvolume", "delete", "--", folder / f"s{number}"], timeout=60)

    def end(self) -> None:
        """Remove the last ones."""
        self._drop(self._number)


async def _promotions(report: Report, pair: _Pair, rounds: int) -> None:
    """There and back, with a writer of 1 MiB/s that looks for the other place as soon as it is refused."""
    (pair.data / "stream").touch()
    places = dict(zip(("left", "right"), (root / "pool" for root in pair.roots), strict=True))
    writer = Writer(places, pair.data)
    writer.start()
    said, beside = [], []
    try:
        for _ in range(rounds):
            await asyncio.sleep(1)
            before = len(writer.gaps)
            handle = await pair.start(names.PROMOTE_REPLICA)
            said.append((await handle.result())["stopped_seconds"])
            await asyncio.sleep(0.3)
            beside.append(sum(writer.gaps[before:]) - await last_delta(handle))
    finally:
        writer.ended.set()
        writer.join(10)
    report.spread(f"writers stopped on {pair.driver}, last delta aside", beside, "s", target=STOPPED)
    report.spread("the same, as they see it", writer.gaps, "s")
    report.spread("the same, as it is reported", said, "s")


async def _idle(report: Report, binary: Path, directory: Path, *, count: int, interval: int) -> None:
    """Server and worker while nothing is written to many replicated shares, on fake backends in memory."""
    report.head(f"{count} idle replicas on fake backends, a round in {interval} s")
    specs = write_specs(directory / "specs", (_backend("a", "fake"), _backend("b", "fake"), _type(interval)))
    async with arranged(binary, directory / "run", specs=specs, reference=False) as running:
        client = await Client.connect(running.address, data_converter=data_converter)
        await asyncio.sleep(SETTLING)
        alone = await _spent(running, ALONE)
        await _make(client, count)
        await asyncio.sleep(2 * interval)
        database = Database(f"sqlite:///{directory / 'run' / 'inventory.db'}")
        warm = running.resident("worker")
        began, window = now(), 3 * interval
        spent = await _spent(running, window)
        after = running.resident("worker")
        with database.read() as connection:
            fresh = connection.execute(
                select(func.count()).where(tables.replicas.c.synced_at > began, tables.replicas.c.state == "in_sync")
            ).scalar_one()
        database.close()
    if fresh != count:
        raise RuntimeError(
            f"{count - fresh} of {count} replicas had no round in {window} s: they cannot be kept in step"
        )
    each = (sum(spent.values()) - sum(alone.values())) * interval / count
    report.add(
        "an idle round", each * 1000, "ms CPU", server=(spent["server"] - alone["server"]) * interval / count * 1000,
        worker=(spent["worker"] - alone["worker"]) * interval / count * 1000,
    )  # fmt: skip
    share = each * 1000 / DEFAULT_INTERVAL
    report.add(
        "1,000 idle replicas at 5 minutes", share, "of 1 CPU", target=SHARE, control_plane_alone=sum(alone.values()),
        both=share + sum(alone.values()), measured_at_this_interval=sum(spent.values()),
    )  # fmt: skip
    report.add("worker's memory, after / before", after / warm, "x", target=FLAT, before=warm / MIB, after=after / MIB)


async def _spent(running: Arrangement, seconds: float) -> dict[str, float]:
    """Processors that server and worker take, over so many seconds."""
    before = control_plane_cpu(running)
    await asyncio.sleep(seconds)
    return {name: (spent - before[name]) / seconds for name, spent in control_plane_cpu(running).items()}


async def _make(client: Client, count: int) -> None:
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(number: int) -> None:
        async with gate:
            for kind, request in (
                (names.CREATE_SHARE, {"name": f"s{number}", "size": MIB, "type": "twice", "backend": "a"}),
                (names.CREATE_REPLICA, {"share": f"s{number}"}),
            ):
                await client.execute_workflow(kind, request, id=f"op-{uuid.uuid4()}", task_queue=names.QUEUE)

    await asyncio.gather(*(one(number) for number in range(count)))
