"""``python -m benchmarks [--quick] [--json FILE] [--only PART]``: ratios against a reference in the same run."""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from benchmarks import copies, creates, evacuation, failover, inventory, migration, placement, replication, transfer
from benchmarks.report import Report
from shareflow.process import leave
from shareflow.server.resolve import find_temporal

PARTS = (
    "creates", "memory", "reservations", "flat", "placement", "copies", "transfer", "migration", "evacuation",
    "failover", "replication",
)  # fmt: skip
PEER = (
    "for orientation: Manila 23 with its dummy driver on a machine of 2 processors creates 7 to 8 shares a second at",
    "any number of clients, one in 282 ms when idle, and holds 1,224 MiB in 13 processes",
)
MISSED = 1
FAILED = 2


SERVED: Mapping[str, Callable[..., Awaitable[None]]] = {
    "creates": creates.rates,
    "memory": creates.memory,
    "migration": migration.migrations,
    "evacuation": evacuation.evacuations,
    "failover": failover.failovers,
    "replication": replication.replicas,
}
"""Parts that need a server."""
ALONE: Mapping[str, Callable[..., None]] = {
    "reservations": inventory.contention,
    "flat": inventory.flat,
    "placement": placement.placements,
    "copies": copies.copies,
    "transfer": transfer.transfers,
}
"""Parts that need no server."""


async def measure(report: Report, parts: Sequence[str], directory: Path, *, quick: bool) -> None:
    """All parts asked for, one after the other. Raises what a part raises."""
    if set(SERVED) & set(parts):
        binary = await asyncio.to_thread(find_temporal, report=print)
        for part, measured in SERVED.items():
            if part in parts:
                await measured(report, binary, directory / part, quick=quick)
    if {"creates", "memory"} & set(parts):
        for line in PEER:
            report.note(line)
    for part, alone in ALONE.items():
        if part in parts:
            alone(report, directory, quick=quick)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, write the file; the exit code: 0, or with ``--check`` 1 when a target is missed; 2 on failure."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure Shareflow on this machine.")
    parser.add_argument("--quick", action="store_true", help="fewer rounds and requests: about two minutes, not ten")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to this file")
    parser.add_argument("--only", action="append", choices=PARTS, help="only this part; repeatable")
    parser.add_argument("--check", action="store_true", help=f"exit with {MISSED} when a target is missed")
    options = parser.parse_args(argv)
    report = Report()
    try:
        with tempfile.TemporaryDirectory(prefix="shareflow-bench-") as name:
            asyncio.run(measure(report, options.only or PARTS, Path(name), quick=options.quick))
    except RuntimeError as error:
        print(f"error: {error}")
        return FAILED
    report.head("targets missed: " + ("; ".join(report.missed) or "none"))
    if options.json is not None:
        report.write(options.json)
    return MISSED if options.check and report.missed else 0


if __name__ == "__main__":
    leave(main())
