"""Finds out which fault points each scenario passes, by running it with nothing injected."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter

from shareflow import faults
from tests.matrix.scenarios import SCENARIOS, Scenario
from tests.matrix.stage import Stage
from tests.support.world import Refused, World

JOB_VISITS = 2
"""Visits that are counted where a job is looked at until it is over."""
_ROOM = 400


async def points_of(world: World, scenario: Scenario) -> tuple[dict[str, int], str]:
    """How often one run of the scenario passes each point, and how it ends."""
    stage = Stage(world)
    await scenario.prepare(stage)
    if scenario.rules is not None:
        scenario.rules(stage)
    hits: Counter[str] = Counter()

    def begin() -> None:
        for name in faults.declared():
            faults.arm(name, lambda name=name: hits.update([name]), operation=stage.operation, times=_ROOM)  # type: ignore[misc]

    if scenario.behind:
        faults.arm(scenario.behind, begin, operation=stage.operation)
    else:
        begin()
    handle = await world.start(scenario.kind, scenario.request(stage), operation=stage.operation)
    drive = asyncio.create_task(scenario.drive(stage, handle)) if scenario.drive else None
    ending = "succeeded"
    try:
        await asyncio.wait_for(world.result(handle), 60)
    except Refused as refused:
        ending = "cancelled" if refused.code == "OperationCancelled" else "failed"
    if drive is not None:
        drive.cancel()
    for other in stage.others:
        with contextlib.suppress(Refused):
            await world.result(other)
    faults.disarm(stage.operation)
    await stage.replicas_rest()
    polled = "-slow" in scenario.name or "mover.copy.before_call" in hits
    table = {}
    for name, count in sorted(hits.items()):
        counted = min(count, JOB_VISITS) if polled and name.startswith(("backend", "mover")) else count
        table[name] = min(counted, scenario.most) if scenario.most else counted
    return table, ending


async def record_points(world: World) -> dict[str, dict[str, int]]:
    """The table of points of all scenarios."""
    table = {}
    for scenario in SCENARIOS.values():
        table[scenario.name], ending = await points_of(world, scenario)
        if ending != scenario.natural:
            raise AssertionError(f"{scenario.name} ended {ending}, not {scenario.natural}")
    return table


def written(table: dict[str, dict[str, int]]) -> str:
    """The module ``points.py``."""
    lines = [
        '"""The fault points that each scenario passes, and how often (jobs are looked at more often than is counted).',
        "",
        "Written by ``python -m tests.matrix --points``; a test fails when it is not what the operations pass.",
        '"""',
        "",
        "from __future__ import annotations",
        "",
        "POINTS: dict[str, dict[str, int]] = {",
    ]
    for scenario, points in table.items():
        lines.append(f'    "{scenario}": {{')
        lines += [f'        "{name}": {count},' for name, count in points.items()]
        lines.append("    },")
    return "\n".join([*lines, "}", ""])
