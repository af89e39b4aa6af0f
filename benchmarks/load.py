"""The client process: it starts workflows and waits for their results, as many at once as it is told.

It reads one JSON object per line (``kind``, ``clients``, ``count``) and answers each with one line.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from temporalio.client import Client

import shareflow
from benchmarks import payloads
from benchmarks.payloads import NoOpInput, NoOpResult
from shareflow.client import Shares
from shareflow.converter import data_converter
from shareflow.process import leave

SIZE = 2**20
One = Callable[[str], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Workloads:
    """What can be asked for: ``noop``, or ``create:<backend>``."""

    client: Client
    shares: Shares

    def get(self, kind: str) -> One:
        """One request of this kind, from its start to its result."""
        if kind == "noop":
            return self._noop
        backend = kind.removeprefix("create:") or None
        return lambda name: self._create(name, backend)

    async def _noop(self, name: str) -> object:
        request = NoOpInput(name=name, size=SIZE, by="benchmark")
        handle = await self.client.start_workflow(
            payloads.WORKFLOW, request, id=name, task_queue=payloads.QUEUE, result_type=NoOpResult
        )
        return await handle.result()

    async def _create(self, name: str, backend: str | None) -> object:
        operation = await self.shares.create(name, SIZE, backend=backend)
        return await operation.result()


async def measure(one: One, clients: int, count: int) -> dict[str, object]:
    """``count`` requests by ``clients`` clients that each have one in flight; seconds and each request's latency."""
    stem, latencies = uuid.uuid4().hex[:12], list[float]()
    left = iter(range(count))

    async def client() -> None:
        for number in left:
            started = time.perf_counter()
            await one(f"b-{stem}-{number}")
            latencies.append(time.perf_counter() - started)

    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(clients):
            group.create_task(client())
    return {"seconds": time.perf_counter() - began, "latencies": latencies}


async def serve(address: str) -> None:
    """Answer requests until standard input ends."""
    client = await Client.connect(address, data_converter=data_converter)
    async with shareflow.connect(address, project="bench") as shares:
        workloads = Workloads(client, shares)
        while line := await asyncio.to_thread(sys.stdin.readline):
            asked = json.loads(line)
            answer = await measure(workloads.get(asked["kind"]), asked["clients"], asked["count"])
            print(json.dumps(answer), flush=True)


def entry() -> None:
    """Command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--address", required=True)
    asyncio.run(serve(parser.parse_args().address))
    leave(0)


if __name__ == "__main__":
    entry()
