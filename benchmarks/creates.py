"""Creates against the no-op of the same shape: rate, idle latency, memory."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmarks.arrangement import Arrangement, Round, arranged
from benchmarks.report import Report, Target
from shareflow.cli.workerprocess import ROOT

MIB = 2**20
BACKENDS = ("memory", "directory")
REFERENCE = "noop"
KINDS = (REFERENCE, *(f"create:{backend}" for backend in BACKENDS))
REQUESTS: Mapping[int, int] = {1: 40, 8: 120, 32: 224}
"""Clients, and how many requests a round of them makes."""
RATE = Target(0.7, "at least")
LATENCY = Target(2.0, "at most")
MEMORY = Target(400.0, "at most")

Rounds = Mapping[str, Sequence[Round]]


async def _alternating(land: Arrangement, clients: int, count: int, rounds: int) -> Rounds:
    """Every kind once a round, each time beginning with another one, so that a drift meets all alike."""
    found: dict[str, list[Round]] = {kind: [] for kind in KINDS}
    for number in range(rounds):
        first = number % len(KINDS)
        for kind in KINDS[first:] + KINDS[:first]:
            found[kind].append(await land.run(kind, clients, count))
    return found


def _median(rounds: Sequence[Round], value: Callable[[Round], float]) -> float:
    return statistics.median(value(each) for each in rounds)


def _compared(found: Rounds, kind: str, value: Callable[[Round], float]) -> float:
    """The median over the rounds of a kind's value divided by the reference's in the same round."""
    pairs = zip(found[kind], found[REFERENCE], strict=True)
    return statistics.median(value(ours) / value(reference) for ours, reference in pairs)


def _cpu(rounds: Sequence[Round]) -> float:
    """Milliseconds of processor time per request, all processes together."""
    return 1000 * _median(rounds, lambda each: sum(each.cpu.values()))


async def rates(report: Report, binary: Path, directory: Path, *, quick: bool) -> None:
    """Creates a second at 1, 8 and 32 clients, and one idle create, on the fake and on the directory driver."""
    rounds, share = (3, 2) if quick else (7, 1)
    report.head("creates against a no-op workflow of the same shape (medians of alternating rounds)")
    taken: list[float] = []
    async with arranged(binary, directory / "creates") as land:
        for kind in KINDS:
            await land.run(kind, 4, 40)  # caches, compiled statements, open connections
        for clients, count in REQUESTS.items():
            found = await _alternating(land, clients, count // share, rounds)
            taken += [each.taken for kind in KINDS for each in found[kind]]
            for backend in BACKENDS:
                _rate(report, found, backend, clients)
            if clients == 1:
                for backend in BACKENDS:
                    _latency(report, found, backend)
    report.note(f"other processes took {statistics.median(taken):.1f} processors meanwhile")


def _rate(report: Report, found: Rounds, backend: str, clients: int) -> None:
    kind = f"create:{backend}"
    report.add(
        f"{backend}: rate, {clients} client{'s' if clients > 1 else ''}",
        _compared(found, kind, lambda each: each.per_second),
        "x no-op",
        target=RATE,
        creates_a_second=_median(found[kind], lambda each: each.per_second),
        no_ops=_median(found[REFERENCE], lambda each: each.per_second),
        CPU_ms=_cpu(found[kind]),
        no_op_CPU_ms=_cpu(found[REFERENCE]),
    )


def _latency(report: Report, found: Rounds, backend: str) -> None:
    kind = f"create:{backend}"
    report.add(
        f"{backend}: one idle create",
        _compared(found, kind, lambda each: each.median),
        "x no-op",
        target=LATENCY,
        ms=1000 * _median(found[kind], lambda each: each.median),
        no_op_ms=1000 * _median(found[REFERENCE], lambda each: each.median),
    )


async def memory(report: Report, binary: Path, directory: Path, *, quick: bool) -> None:
    """Resident memory after 500 creates of what ``shareflow up`` runs: its specs, its drivers, with the web UI."""
    count = 200 if quick else 500
    report.head(f"memory after {count} creates")
    async with arranged(binary, directory / "memory", specs=ROOT / "specs", reference=False, ui=True) as land:
        await land.run("create:", 8, count)
        server, worker = land.resident("server") / MIB, land.resident("worker") / MIB
    report.add("server and worker", server + worker, "MiB", target=MEMORY, server=server, worker=worker)
