"""``python -m benchmarks [--quick] [--json FILE]``: the measurements, as ratios against a reference in the same run.

Every figure is a median. The reference of creates is a no-op workflow of the same shape (local activity, one activity
on another queue, local activity) on the same server, from the same client process, in alternating rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks import inventory
from benchmarks.arrangement import Arrangement, Round, arranged
from shareflow import doctor
from shareflow.process import leave
from shareflow.server.resolve import find_temporal

MIB = 2**20
PEER = """for orientation: Manila 23 with its dummy driver on such a machine: 7 to 8 creates/s at any number of clients,
282 ms each when idle, 1,224 MiB in 13 processes"""


async def creates(land: Arrangement, *, clients: int, count: int, rounds: int) -> dict[str, list[Round]]:
    """Alternating rounds of the no-op and of creates on each driver."""
    kinds = ("noop", "create:memory", "create:directory")
    found: dict[str, list[Round]] = {kind: [] for kind in kinds}
    for _ in range(rounds):
        for kind in kinds:
            found[kind].append(await land.run(kind, clients, count))
    return found


def _rate(rounds: Sequence[Round]) -> float:
    return statistics.median(each.per_second for each in rounds)


def _ratio(ours: Sequence[Round], reference: Sequence[Round]) -> float:
    return statistics.median(a.per_second / b.per_second for a, b in zip(ours, reference, strict=True))


async def measure_creates(binary: Path, directory: Path, *, quick: bool) -> dict[str, Any]:
    """Creates a second at 1, 8 and 32 clients, an idle create, and memory after 500 creates."""
    result: dict[str, Any] = {}
    async with arranged(binary, directory / "creates") as land:
        for kind in ("noop", "create:memory", "create:directory"):
            await land.run(kind, 4, 30)  # caches, compiled statements, open connections
        print("creates a second (median), ratio to the same-shape no-op; target >= 0.70")
        print(f"{'clients':>8} {'no-op':>8} {'fake':>8} {'ratio':>6} {'directory':>10} {'ratio':>6}")
        for clients in (1, 8, 32):
            found = await creates(land, clients=clients, count=60 if quick else 150, rounds=3 if quick else 5)
            noop, fake, real = (found[kind] for kind in ("noop", "create:memory", "create:directory"))
            row = {
                "noop": _rate(noop),
                "fake": _rate(fake),
                "fake_ratio": _ratio(fake, noop),
                "directory": _rate(real),
                "directory_ratio": _ratio(real, noop),
            }
            result[f"clients_{clients}"] = row
            print(
                f"{clients:>8} {row['noop']:>8.1f} {row['fake']:>8.1f} {row['fake_ratio']:>6.2f}"
                f" {row['directory']:>10.1f} {row['directory_ratio']:>6.2f}"
            )
            if clients == 1:
                latency = {kind: statistics.median(r.median for r in found[kind]) for kind in found}
                result["idle_ms"] = {kind: 1000 * seconds for kind, seconds in latency.items()}
                result["idle_ratio"] = latency["create:memory"] / latency["noop"]
    idle = result["idle_ms"]
    print(
        f"one idle create: {idle['create:memory']:.0f} ms on fake, {idle['create:directory']:.0f} ms on directory, "
        f"no-op {idle['noop']:.0f} ms; ratio {result['idle_ratio']:.2f}, target <= 2.00"
    )
    return result


async def measure_memory(binary: Path, directory: Path) -> dict[str, float]:
    """MiB of server and worker after 500 creates."""
    async with arranged(binary, directory / "memory", reference=False, ui=True) as land:
        await land.run("create:directory", 8, 500)
        server, worker = land.resident("server") / MIB, land.resident("worker") / MIB
    print(
        f"memory after 500 creates: server {server:.0f} + worker {worker:.0f} = {server + worker:.0f} MiB, goal <= 400"
    )
    return {"server": server, "worker": worker}


def measure_inventory(directory: Path) -> dict[str, Any]:
    """Reservations by eight processes, and flat costs."""
    result: dict[str, Any] = {}
    with ExitStack() as stack:
        urls = {"SQLite": f"sqlite:///{directory / 'reservations.db'}"}
        if doctor.finding("postgresql").ok:
            from tests.support.postgres import running_postgres  # noqa: PLC0415  (only where it is installed)

            postgres = stack.enter_context(running_postgres())
            urls["PostgreSQL"] = postgres.url(postgres.new_database())
        else:
            print("reservations on PostgreSQL: skipped, it is not installed here")
        for name, url in urls.items():
            rate, granted, allowed = inventory.reservations_per_second(url)
            result[f"reservations_{name}"] = rate
            print(f"reservations, 8 processes, {name}: {rate:.0f}/s, {granted} granted of {allowed} that fit")
    print("cost at 1,000 and at 100,000 shares (median), target <= 1.50")
    for name, (small, large) in inventory.flat_costs(directory).items():
        result[name] = large / small
        print(f"  {name}: {small * 1000:.2f} ms, {large * 1000:.2f} ms; ratio {large / small:.2f}")
    return result


async def main(options: argparse.Namespace) -> None:
    """All measurements."""
    binary = find_temporal(report=print)
    with tempfile.TemporaryDirectory(prefix="shareflow-bench-") as name:
        directory = Path(name)
        result = {"creates": await measure_creates(binary, directory, quick=options.quick)}
        result["memory_mib"] = await measure_memory(binary, directory)
        result["inventory"] = await asyncio.to_thread(measure_inventory, directory)
    print(PEER)
    if options.json is not None:
        options.json.write_text(json.dumps(result, indent=2))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds; about two minutes")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    asyncio.run(main(parser.parse_args()))
    leave(0)
