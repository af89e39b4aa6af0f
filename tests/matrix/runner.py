"""Runs cells, many at a time on one world, and says what each came to."""

from __future__ import annotations

import asyncio
import contextlib
import time
import traceback
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from temporalio.client import WorkflowHistory, WorkflowQueryFailedError
from temporalio.service import RPCError

from shareflow import faults, names
from tests.matrix import invariants
from tests.matrix.building import build
from tests.matrix.cells import Cell, endings, takes_passes
from tests.matrix.effects import nothing
from tests.matrix.guarded import CANARY
from tests.matrix.injections import Injection
from tests.matrix.replays import Replays
from tests.matrix.scenarios import SCENARIOS, Scenario
from tests.matrix.situations import Handle
from tests.matrix.stage import Picture, Stage
from tests.support.world import Refused, World

AT_ONCE = 14
COPIES_AT_ONCE = 4  # a backend's mover works on two at a time
MIGRATIONS_AT_ONCE = 6  # they compare, which is the mover's work too
PATIENCE = 180.0
"""Seconds in which an operation must have ended by itself; else its cell counts as one that needs an operator."""


@dataclass
class Outcome:
    """How an operation ended: succeeded, failed, cancelled, or stuck."""

    ending: str
    result: dict[str, Any] = field(default_factory=dict)
    code: str = ""
    text: str = ""


@dataclass
class Report:
    """What a cell came to."""

    cell: Cell
    ending: str
    seconds: float
    problems: list[str]

    def __str__(self) -> str:
        command = f'python -m tests.matrix "{self.cell.id}"'
        lines = "".join(f"\n  - {problem}" for problem in self.problems)
        return f"{self.cell.id} ended {self.ending} after {self.seconds:.1f} s{lines}\n  replay it: {command}"


class Runner:
    """Cells on one world."""

    def __init__(self, world: World, *, at_once: int = AT_ONCE) -> None:
        self.world = world
        self.reports: dict[Cell, Report] = {}
        self._gate = asyncio.Semaphore(at_once)
        self._copies = asyncio.Semaphore(COPIES_AT_ONCE)
        self._migrations = asyncio.Semaphore(MIGRATIONS_AT_ONCE)
        self._tasks: dict[Cell, asyncio.Task[Report]] = {}
        self._replays = Replays()
        self._began = time.monotonic()

    def begin(self, cells: Iterable[Cell]) -> None:
        """Start all these cells; as many run at once as the runner allows."""
        for cell in cells:
            if cell not in self._tasks:
                self._tasks[cell] = asyncio.create_task(self._gated(cell))

    async def report(self, cell: Cell) -> Report:
        """What a cell came to; waits for its end."""
        self.begin([cell])
        return await self._tasks[cell]

    async def close(self) -> None:
        """Stop what still runs."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        await self._replays.close()

    def summary(self) -> dict[str, int]:
        """How many cells ended how."""
        return dict(Counter(report.ending for report in self.reports.values()))

    def line(self) -> str:
        """The summary in one line."""
        endings = ", ".join(f"{count} {ending}" for ending, count in sorted(self.summary().items()))
        slowest = max(self.reports.values(), key=lambda report: report.seconds)
        bad = sum(bool(report.problems) for report in self.reports.values())
        took = time.monotonic() - self._began
        return (
            f"fault matrix: {len(self.reports)} cells in {took:.0f} s: {endings}; {bad} with problems; "
            f"slowest {slowest.seconds:.1f} s {slowest.cell.id}"
        )

    async def _gated(self, cell: Cell) -> Report:
        async with self._room(cell):
            began = time.monotonic()
            try:
                ending, problems = await Play(self.world, cell, self._replays).run()
            except Exception:  # noqa: BLE001  (whatever goes wrong in a cell is that cell's finding)
                ending, problems = "broken", [traceback.format_exc()]
            self.reports[cell] = Report(cell, ending, time.monotonic() - began, problems)
            return self.reports[cell]

    def _room(self, cell: Cell) -> asyncio.Semaphore:
        if takes_passes(cell):
            return self._migrations
        return self._copies if cell.scenario.startswith("Copy") else self._gate


async def play_all(world: World, cells: Sequence[Cell]) -> list[str]:
    """Play cells to their end; what is wrong with each, with their endings and with the whole world afterwards."""
    runner = Runner(world)
    runner.begin(cells)
    reports = [await runner.report(cell) for cell in cells]
    await runner.close()
    problems = [str(report) for report in reports if report.problems]
    odd = set(runner.summary()) - {"succeeded", "failed", "cancelled"}
    return [*problems, *(f"an operation ended {ending}" for ending in odd), *invariants.whole_world(world)]


class Play:
    """One cell from its preparation to its last check."""

    def __init__(self, world: World, cell: Cell, replays: Replays) -> None:
        self.world = world
        self.cell = cell
        self.scenario: Scenario = SCENARIOS[cell.scenario]
        self.stage = Stage(world)
        self.replays = replays
        self.problems: list[str] = []
        self.history: WorkflowHistory | None = None

    async def run(self) -> tuple[str, list[str]]:
        """How it ended, and what is wrong."""
        stage, scenario = self.stage, self.scenario
        await scenario.prepare(stage)
        before = await asyncio.to_thread(stage.picture)
        if scenario.rules is not None:
            scenario.rules(stage)
        injection = build(stage, self.cell)
        injection.arm()
        handle = await injection.start()
        outcome = await self._to_the_end(handle, injection)
        if outcome.ending == "stuck":
            return "needs an operator", [*self.problems, outcome.text]
        self.problems += await injection.afterwards()
        await self.stage.replicas_rest()
        if not injection.fired:
            self.problems.append("the fault never happened: the cell proves nothing")
        await self._check(before, outcome)
        await self._history(handle)
        await self._repeat(outcome)
        faults.disarm(stage.operation)
        return outcome.ending, self.problems

    async def _to_the_end(self, handle: Handle, injection: Injection) -> Outcome:
        drive = self.scenario.drive
        beside = [asyncio.create_task(injection.meanwhile(handle))]
        if drive is not None:
            beside.append(asyncio.create_task(drive(self.stage, handle)))
        try:
            outcome = await asyncio.wait_for(self._outcome(handle), PATIENCE)
        except TimeoutError:
            outcome = Outcome("stuck", text=f"it has not ended after {PATIENCE:.0f} s: {await self._where(handle)}")
        await self._beside(beside, outcome)
        for other in self.stage.others:
            with contextlib.suppress(Refused):
                await asyncio.wait_for(self.world.result(other), PATIENCE)
        return outcome

    async def _where(self, handle: Handle) -> str:
        """What an operation that does not end is at."""
        try:
            return str(await handle.query(names.STATUS, rpc_timeout=timedelta(seconds=5)))
        except (RPCError, WorkflowQueryFailedError) as error:
            return f"its status cannot be read: {error}"

    async def _beside(self, tasks: list[asyncio.Task[None]], outcome: Outcome) -> None:
        # A conflicting operation goes on after the one under test; a command without a taker does not.
        patience = PATIENCE if self.cell.fault == "F18" and outcome.ending != "stuck" else 3
        _, late = await asyncio.wait(tasks, timeout=patience)
        for task in late:
            task.cancel()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        for answer in answers:
            # A command may come to an operation that a cancel or a refusal has ended before.
            expected = outcome.ending != "succeeded" or self.cell.fault == "F19"
            if isinstance(answer, Exception) and not (expected and self.cell.fault != "F18"):
                cause = getattr(answer, "cause", None)
                self.problems.append(f"{type(answer).__name__}: {answer} {cause or ''}")

    async def _outcome(self, handle: Handle) -> Outcome:
        try:
            return Outcome("succeeded", result=await self.world.result(handle))
        except Refused as refused:
            ending = "cancelled" if refused.code == "OperationCancelled" else "failed"
            return Outcome(ending, code=refused.code, text=refused.text)

    async def _check(self, before: Picture, outcome: Outcome) -> None:
        allowed = endings(self.cell)
        if outcome.ending not in allowed:
            self.problems.append(f"it ended {outcome.ending} ({outcome.text}), not {' or '.join(sorted(allowed))}")
        after = await asyncio.to_thread(self.stage.picture)
        if self.cell.fault != "F18" and not self.stage.others:
            effect = self.scenario.effect if outcome.ending == "succeeded" else nothing
            self.problems += effect(before, after, outcome.result)
        self.problems += await asyncio.to_thread(invariants.check, self.stage, after)
        if CANARY in outcome.text:
            self.problems.append("I14 the password is in the failure")

    async def _history(self, handle: Handle) -> None:
        """I14 and I15: no secret in the history, and it replays on the current code."""
        history = await handle.fetch_history()
        if any(CANARY.encode() in event.SerializeToString() for event in history.events):
            self.problems.append("I14 the password is in the history")
        self.history = WorkflowHistory(handle.id, history.events)
        failure = await self.replays.failure(self.history)
        if failure is not None:
            self.problems.append(f"I15 the history does not replay: {failure}")

    async def _repeat(self, outcome: Outcome) -> None:
        """I12: the same request again gives the same answer and does nothing."""
        stage = self.stage
        if not stage.state():
            return  # cancelled before it had begun: nothing was acknowledged
        before = await asyncio.to_thread(self._effects)
        handle = await stage.world.start(self.scenario.kind, self.scenario.request(stage), operation=stage.operation)
        try:
            again = await asyncio.wait_for(self._outcome(handle), PATIENCE)
        except TimeoutError:
            self.problems.append("I12 the same request again does not end")
            return
        if (again.ending, again.result, again.code) != (outcome.ending, outcome.result, outcome.code):
            self.problems.append(f"I12 the same request again gives {again}, the first gave {outcome}")
        after = await asyncio.to_thread(self._effects)
        if before != after:
            self.problems.append(f"I12 the same request again changed {before} to {after}")

    def _effects(self) -> tuple[Picture, int]:
        made = [effect for array in self.stage.arrays().values() for effect in array.ledger.effects()]
        mine = set(self.stage.operations)
        return self.stage.picture(), sum(effect.operation in mine for effect in made)
