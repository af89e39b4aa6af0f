"""A backend is lost with its worker: how long one share is not writable, and how many are promoted a second."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from temporalio.client import Client

import shareflow
from benchmarks.arrangement import PATIENCE, Arrangement, arranged, write_specs
from benchmarks.report import Report, Target
from shareflow import names
from shareflow.converter import data_converter

MIB = 2**20
SHARES, FEWER = 200, 40
ALONE = 5
"""Shares that are failed over one after another, each by an operation of its own."""
AT_ONCE = 16
MAKERS = 8
WRITABLE = Target(2.0, "at most")
HOME, AWAY, GONE = "home", "away", "gone"
RULES = {"type": "dr", "interval": "1 h", "loss": "2 h"}
"""Every share has had its first round, and none is under way when the backend goes."""


def _specs(directory: Path) -> Path:
    def backend(name: str) -> Mapping[str, Any]:
        pool = {"name": name, "options": {"path": str(directory / "pools" / name), "capacity": "1 TiB"}}
        return {"kind": "Backend", "name": name, "driver": "directory", "slots": 16, "pools": [pool]}

    kind = {"kind": "ShareType", "name": "standard", "replicas": RULES}
    return write_specs(directory / "specs", (kind, *map(backend, (HOME, AWAY))))


async def failovers(report: Report, binary: Path, directory: Path, *, quick: bool) -> None:
    """Shares with replicas, a backend that is killed, single failovers, and one of everything that is left."""
    count = FEWER if quick else SHARES
    report.head(f"a backend of {count + ALONE} shares is lost: its worker is killed and its files are away")
    specs = _specs(directory)
    async with arranged(binary, directory / "run", specs=specs, served={"worker": [AWAY], GONE: [HOME]}) as running:
        client = await Client.connect(running.address, data_converter=data_converter)
        await _fill(client, count + ALONE)
        before = (await running.run("noop", AT_ONCE, count)).per_second
        await _at_rest(running.address)
        _lose(running, directory)
        report.spread(
            "one share, request to writable", [await _one(client, f"s{number}") for number in range(ALONE)], "s",
            target=WRITABLE,
        )  # fmt: skip
        rate, longest = await _all(client, count)
        after = (await running.run("noop", AT_ONCE, count)).per_second
    reference = (before + after) / 2
    report.add(
        f"{count} shares by FailoverBackend", rate / reference, "x no-op", shares_a_second=rate, no_ops=reference,
        longest_promotion_s=longest,
    )  # fmt: skip


async def _fill(client: Client, count: int) -> None:
    """Shares with one file on the backend that will be lost, each with a replica away from it."""
    left = iter(range(count))

    async def maker() -> None:
        for number in left:
            name = f"s{number}"
            made = await _run(client, names.CREATE_SHARE, name=name, size=MIB, backend=HOME)
            await asyncio.to_thread((Path(made["export_locations"][0]) / "file").write_bytes, name.encode())
            await _run(client, names.CREATE_REPLICA, share=name, backend=AWAY)

    await asyncio.gather(*(maker() for _ in range(MAKERS)))


async def _at_rest(address: str) -> None:
    """Wait until no replica is held by a round."""
    async with asyncio.timeout(PATIENCE), shareflow.connect(address) as shares:
        while any([replica.operation async for share in shares.list() for replica in share.replicas]):  # noqa: ASYNC110
            await asyncio.sleep(1)


def _lose(running: Arrangement, directory: Path) -> None:
    os.kill(running.pids.pop(GONE), signal.SIGKILL)
    shutil.move(directory / "pools" / HOME, directory / "pools" / "burnt")


async def _one(client: Client, share: str) -> float:
    """Seconds from the request to a file that was written into what is active then."""
    began = time.perf_counter()
    made = await _run(client, names.PROMOTE_REPLICA, share=share, lost=True, accept_loss=True, reason="benchmark")
    file = Path(made["export_locations"][0]) / "file"
    if await asyncio.to_thread(file.read_bytes) != share.encode():
        raise RuntimeError(f"share {share} has other content")
    await asyncio.to_thread(file.write_bytes, b"writable")
    return time.perf_counter() - began


async def _all(client: Client, count: int) -> tuple[float, float]:
    """Shares a second, and the longest promotion of one of them in seconds. Raises RuntimeError when one is left."""
    began = time.perf_counter()
    operation = f"op-{uuid.uuid4()}"
    fields = {"backend": HOME, "lost": True, "accept_loss": True, "reason": "benchmark", "concurrency": AT_ONCE}
    done = await _run(client, names.FAILOVER_BACKEND, operation=operation, **fields)
    seconds = time.perf_counter() - began
    report = done["report"]
    if (report["promoted"], done["left"]) != (count, 0):
        raise RuntimeError(f"{report['promoted']} promoted, {done['left']} left: {report['not_promoted'][:1]}")
    longest = 0.0
    for loss in report["losses"]:
        seen = await client.get_workflow_handle(loss["operation"]).describe()
        if seen.close_time is not None:
            longest = max(longest, (seen.close_time - seen.start_time).total_seconds())
    return count / seconds, longest


async def _run(client: Client, kind: str, *, operation: str = "", **request: Any) -> dict[str, Any]:
    made: dict[str, Any] = await client.execute_workflow(
        kind, request, id=operation or f"op-{uuid.uuid4()}", task_queue=names.QUEUE
    )
    return made
