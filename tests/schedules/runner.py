"""Many schedules on one world, and what became of each."""

from __future__ import annotations

import asyncio
import time
import traceback
from collections.abc import Iterable
from dataclasses import dataclass

from tests.schedules.checker import check
from tests.schedules.history import History
from tests.schedules.plan import Schedule
from tests.schedules.play import Player
from tests.schedules.world import LANES
from tests.support.world import World


@dataclass
class Report:
    """What a schedule came to; without problems all promises were kept."""

    schedule: Schedule
    history: History
    problems: list[str]
    seconds: float

    def __str__(self) -> str:
        lines = "".join(f"\n  - {problem}" for problem in self.problems)
        moves = "; ".join(str(move) for move in self.schedule.moves)
        return (
            f"seed {self.schedule.seed} ({self.schedule.replicas} replicas by {self.schedule.mode}: {moves})"
            f" after {self.seconds:.1f} s{lines}\n{self.history}\n"
            f"replay it: python -m tests.schedules {self.schedule.seed}"
        )


class Runner:
    """Plays schedules, as many at once as there are lanes."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.reports: list[Report] = []
        self._lanes: asyncio.Queue[int] = asyncio.Queue()
        for lane in range(LANES):
            self._lanes.put_nowait(lane)
        self._tasks: dict[int, asyncio.Task[Report]] = {}

    def begin(self, schedules: Iterable[Schedule]) -> None:
        """Start these schedules."""
        for schedule in schedules:
            if schedule.seed not in self._tasks:
                self._tasks[schedule.seed] = asyncio.create_task(self.play(schedule))

    async def report(self, schedule: Schedule) -> Report:
        """What a schedule came to; waits for its end."""
        self.begin([schedule])
        return await self._tasks[schedule.seed]

    async def play(self, schedule: Schedule) -> Report:
        """Play one schedule as soon as a lane is free."""
        lane = await self._lanes.get()
        began, player = time.monotonic(), Player(self.world, schedule, lane)
        try:
            history = await player.play()
            problems = check(history)
        except Exception:  # noqa: BLE001  (whatever goes wrong in a schedule is that schedule's finding)
            history, problems = player.history, [traceback.format_exc()]
        finally:
            self._lanes.put_nowait(lane)
        self.reports.append(Report(schedule, history, problems, time.monotonic() - began))
        return self.reports[-1]

    async def close(self) -> None:
        """Stop what still runs."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def line(self) -> str:
        """What was played, in one line."""
        histories = [report.history for report in self.reports]
        accepted = sum(write.accepted for one in histories for write in one.writes)
        promotions = [promotion for one in histories for promotion in one.promotions]
        lost = sum(promotion.lost for promotion in promotions)
        bad = sum(bool(report.problems) for report in self.reports)
        return (
            f"histories: {len(self.reports)} schedules, {accepted} acknowledged writes, {len(promotions)} promotions, "
            f"{lost} of them with a loss; {bad} with problems"
        )
