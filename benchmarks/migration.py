"""Migrations as operators see them: how soon an empty one is done, and how long a cutover stops a steady writer."""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from temporalio.client import Client, WorkflowHandle

from benchmarks.arrangement import arranged, write_specs
from benchmarks.report import Report, Target
from shareflow import names
from shareflow.converter import data_converter

MIB = 2**20
PIECE = 64 * 1024
"""Bytes of one write; 16 a second make the 1 MiB/s of the writer."""
STOPPED = Target(1.0, "at most")
LAST_DELTA = "last delta"
IDLE = Target(1.0, "at most")


def _backend(name: str) -> Mapping[str, Any]:
    pool = {"name": name, "options": {"path": f"pools/{name}", "capacity": "1 TiB"}}
    return {"kind": "Backend", "name": name, "driver": "directory", "pools": [pool]}


SPECS = ({"kind": "ShareType", "name": "standard"}, _backend("one"), _backend("two"))


async def migrations(report: Report, binary: Path, directory: Path, *, quick: bool) -> None:
    """An empty share from start to the end of its first copy, then cutovers with a writer of 1 MiB/s."""
    rounds = 5 if quick else 20
    report.head(f"migrations between directory pools, {rounds} rounds")
    specs = write_specs(directory / "specs", SPECS)
    async with arranged(binary, directory / "run", specs=specs, reference=False) as running:
        client = await Client.connect(running.address, data_converter=data_converter)
        await _idle(report, client, rounds)
        await _stopped(report, client, rounds)


async def _start(client: Client, kind: str, **request: Any) -> WorkflowHandle[Any, Any]:
    return await client.start_workflow(kind, request, id=f"op-{uuid.uuid4()}", task_queue=names.QUEUE)


async def _until(handle: WorkflowHandle[Any, Any], phase: str) -> None:
    async with asyncio.timeout(60):
        while (await handle.query(names.STATUS))["phase"] != phase:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def _idle(report: Report, client: Client, rounds: int) -> None:
    await (await _start(client, names.CREATE_SHARE, name="empty", size=MIB, backend="one")).result()
    seconds = []
    for _ in range(rounds):
        began = time.perf_counter()
        handle = await _start(client, names.MIGRATE_SHARE, share="empty", to_backend="two")
        await _until(handle, "catching-up")
        seconds.append(time.perf_counter() - began)
        await handle.signal(names.CANCEL_MIGRATION, {})
        while (await handle.describe()).close_time is None:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    report.spread("empty share, start to copied", seconds, "s", target=IDLE)


class Writer(threading.Thread):
    """Appends to a file in the share, wherever it is: when it is refused it looks for the other place at once."""

    def __init__(self, places: dict[str, Path], at: Path) -> None:
        super().__init__(daemon=True)
        self._places = places
        self._at = at
        self.gaps: list[float] = []
        self.ended = threading.Event()

    def run(self) -> None:
        """Write until told to end; the gaps are from the first refused write to the next one that is taken."""
        stopped: float | None = None
        while not self.ended.is_set():
            try:
                self._append(self._at)
            except OSError:
                stopped = stopped or time.perf_counter()
                self._look()
                time.sleep(0.001)
                continue
            if stopped is not None:
                self.gaps.append(time.perf_counter() - stopped)
                stopped = None
            time.sleep(PIECE / MIB)

    def _look(self) -> None:
        for root in self._places.values():
            for path in root.glob("shares/sf-*/data/stream"):
                if os.access(path, os.W_OK):
                    self._at = path.parent

    def _append(self, root: Path) -> None:
        fd = os.open(root / "stream", os.O_WRONLY | os.O_APPEND)
        try:
            os.write(fd, bytes(PIECE))
        finally:
            os.close(fd)


async def _stopped(report: Report, client: Client, rounds: int) -> None:
    made = await (await _start(client, names.CREATE_SHARE, name="busy", size=1024 * MIB, backend="one")).result()
    path = Path(made["export_locations"][0])
    pool = next(parent for parent in path.parents if parent.name == "one")
    (path / "stream").touch()
    writer = Writer({"one": pool, "two": pool.with_name("two")}, path)
    writer.start()
    said, beside = [], []
    try:
        for number in range(rounds):
            there = ("two", "one")[number % 2]
            handle = await _start(client, names.MIGRATE_SHARE, share="busy", to_backend=there, grace=0)
            await _until(handle, "catching-up")
            await asyncio.sleep(1)
            before = len(writer.gaps)
            await handle.execute_update(names.CUTOVER, {})
            said.append((await handle.result())["stopped_seconds"])
            beside.append(sum(writer.gaps[before:]) - await last_delta(handle))
    finally:
        writer.ended.set()
        writer.join(10)
    report.spread("writers stopped, last delta aside", beside, "s", target=STOPPED)
    report.spread("writers stopped, as they see it", writer.gaps, "s")
    report.spread("writers stopped, as it is reported", said, "s")


async def last_delta(handle: WorkflowHandle[Any, Any]) -> float:
    """Seconds that the last delta took, from the history of the migration."""
    began: dict[int, float] = {}
    seconds = 0.0
    async for event in handle.fetch_history_events():
        at = event.event_time.ToNanoseconds() / 1e9
        if event.HasField("activity_task_scheduled_event_attributes"):
            if json.loads(event.user_metadata.summary.data or "null") == LAST_DELTA:
                began[event.event_id] = at
        elif event.HasField("activity_task_completed_event_attributes"):
            seconds += at - began.get(event.activity_task_completed_event_attributes.scheduled_event_id, at)
    return seconds
