"""Fifty migrations at once: what each costs the control plane, what it holds, and how long a create takes meanwhile."""

from __future__ import annotations

import asyncio
import statistics
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from temporalio.client import Client

from benchmarks.arrangement import arranged, control_plane_cpu, write_specs
from benchmarks.report import Report, Target, p95
from shareflow import names
from shareflow.converter import data_converter

MIB = 2**20
EACH = 25
"""Shares per evacuation; two of them run at once."""
FILE = 256 * 1024
CREATES, CLIENTS = 100, 2
NOT_STARVED = Target(2.0, "at most")
FLAT = Target(1.2, "at most")


def _backend(name: str) -> Mapping[str, Any]:
    pool = {"name": name, "options": {"path": f"pools/{name}", "capacity": "1 TiB"}}
    return {"kind": "Backend", "name": name, "driver": "directory", "slots": 16, "pools": [pool]}


PLACES = ("one", "two", "three", "four", "five")
SPECS = ({"kind": "ShareType", "name": "standard"}, *map(_backend, PLACES))


async def evacuations(report: Report, binary: Path, directory: Path, *, quick: bool) -> None:
    """Two backends are emptied into two others, there and back, the second time with creates beside them."""
    report.head(f"{2 * EACH} migrations at once between directory pools")
    specs = write_specs(directory / "specs", SPECS)
    async with arranged(binary, directory / "run", specs=specs, reference=False) as running:
        client = await Client.connect(running.address, data_converter=data_converter)
        await _fill(client)
        await running.run("create:five", CLIENTS, CREATES // 5)  # caches, compiled statements, open connections
        await _emptied(client, {"one": "three", "two": "four"})
        warm = running.resident("worker")
        rounds, before, began = 1 if quick else 3, control_plane_cpu(running), time.monotonic()
        for _ in range(rounds):
            await _emptied(client, {"three": "one", "four": "two"})
            await _emptied(client, {"one": "three", "two": "four"})
        spent = {name: (now - before[name]) / (4 * EACH * rounds) for name, now in control_plane_cpu(running).items()}
        alone = 4 * EACH * rounds / (time.monotonic() - began)
        after = running.resident("worker")
        idle: list[float] = []
        busy: list[float] = []
        for _ in range(rounds):
            idle += (await running.run("create:five", CLIENTS, CREATES)).latencies
            ended = asyncio.Event()
            moving = asyncio.create_task(_on_and_on(client, ended))
            busy += (await running.run("create:five", CLIENTS, CREATES)).latencies
            ended.set()
            await moving
            idle += (await running.run("create:five", CLIENTS, CREATES)).latencies
    report.add(
        "control plane per migration", sum(spent.values()), "s CPU", server=spent["server"], worker=spent["worker"]
    )
    report.add("migrations with nobody beside them", alone, "a second")
    report.add("worker's memory, after / before", after / warm, "x", target=FLAT, before=warm / MIB, after=after / MIB)
    report.add(
        "a create meanwhile / idle, p95", p95(busy) / p95(idle), "x", target=NOT_STARVED,
        idle=p95(idle), meanwhile=p95(busy),
        median=statistics.median(busy) / statistics.median(idle),
    )  # fmt: skip


async def _fill(client: Client) -> None:
    """Shares on the first two backends, each with one file."""
    for number in range(2 * EACH):
        request = {"name": f"s{number}", "size": MIB, "backend": PLACES[number % 2]}
        made = await client.execute_workflow(
            names.CREATE_SHARE, request, id=f"op-{uuid.uuid4()}", task_queue=names.QUEUE
        )
        await asyncio.to_thread((Path(made["export_locations"][0]) / "file").write_bytes, bytes(FILE))


async def _on_and_on(client: Client, ended: asyncio.Event) -> None:
    """There and back until told to end."""
    while not ended.is_set():
        await _emptied(client, {"three": "one", "four": "two"})
        await _emptied(client, {"one": "three", "two": "four"})


async def _emptied(client: Client, places: Mapping[str, str]) -> None:
    """Each backend into another one, all at once. Raises RuntimeError when a share stays."""

    async def empty(source: str, destination: str) -> dict[str, Any]:
        request = {"backend": source, "to_backend": destination, "concurrency": EACH, "drain": False, "grace": 0}
        result: dict[str, Any] = await client.execute_workflow(
            names.EVACUATE_BACKEND, request, id=f"op-{uuid.uuid4()}", task_queue=names.QUEUE
        )
        return result

    for result in await asyncio.gather(*(empty(*pair) for pair in places.items())):
        if (result["moved"], result["left"]) != (EACH, 0):
            raise RuntimeError(f"an evacuation moved {result['moved']} of {EACH}: {result['not_moved'][:1]}")
