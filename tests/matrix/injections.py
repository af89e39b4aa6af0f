"""How each fault of the matrix is brought about, for one operation only."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import threading
from collections.abc import Callable
from datetime import timedelta
from functools import cache
from typing import ClassVar
from unittest.mock import patch

from sqlalchemy.exc import OperationalError

from drivers.contract import JobState
from drivers.fake import Fault, FaultKind, FaultScript
from drivers.mover.detached import Children
from drivers.mover.jobdir import STATUS, JobDir
from drivers.mover.manager import _key
from shareflow import faults, names
from shareflow.errors import DatabaseUnavailable
from tests.matrix.cells import Cell
from tests.matrix.scenarios import SCENARIOS, Scenario
from tests.matrix.situations import Handle
from tests.matrix.stage import Stage, soon
from tests.matrix.world import LIMITS

IN_FLIGHT = 0.8 * LIMITS.heartbeat + 0.3
"""Seconds after which a cancel has certainly reached the attempt that runs: it comes with the answer to a heartbeat."""
TASK = timedelta(seconds=2)
"""Time-out of workflow tasks where a cancel has to get into one that waits for the inventory: it comes with the next
sign of life, after four fifths of it. A task that only works must have the time for it on a busy machine too."""
IN_TASK = 0.8 * TASK.total_seconds() + 0.3
HELD = 240.0
LOCKED = 0.08
OUTAGE = 1.0
"""Seconds without an answer: more than all attempts of one activity take."""
SLOW = 0.15
"""Seconds of a call; without it one takes about a hundredth of that."""


class Injection:
    """One fault in one cell; the base injects nothing."""

    def __init__(self, stage: Stage, cell: Cell) -> None:
        self.stage = stage
        self.cell = cell
        self.scenario: Scenario = SCENARIOS[cell.scenario]
        self.fired = False

    def arm(self) -> None:
        """Before the operation is started."""

    async def start(self) -> Handle:
        """Start the operation."""
        stage, scenario = self.stage, self.scenario
        return await stage.world.start(scenario.kind, scenario.request(stage), operation=stage.operation)

    async def meanwhile(self, handle: Handle) -> None:
        """While the operation runs."""

    async def afterwards(self) -> list[str]:
        """After its end; gives what is wrong."""
        return []

    def at_point(self, action: Callable[[], None], *, times: int = 1) -> None:
        """Let something happen at the cell's visit of its point."""

        def act() -> None:
            self.fired = True
            action()

        def arm() -> None:
            for _ in range(self.cell.visit - 1):
                faults.arm(self.cell.name, lambda: None, operation=self.stage.operation)
            faults.arm(self.cell.name, act, operation=self.stage.operation, times=times)

        self.behind(arm)

    def behind(self, arm: Callable[[], None]) -> None:
        """Arm something as soon as the operation has come to where the scenario's cells begin."""
        if self.scenario.behind:
            faults.arm(self.scenario.behind, arm, operation=self.stage.operation)
        else:
            arm()


class Nothing(Injection):
    """Nothing is injected."""

    def arm(self) -> None:
        """See base class."""
        self.fired = True


class AtPoint(Injection):
    """Something is raised at the point."""

    def __init__(self, stage: Stage, cell: Cell, action: Callable[[], None], *, times: int = 1) -> None:
        super().__init__(stage, cell)
        self.action, self.times = action, times

    def arm(self) -> None:
        """See base class."""
        self.at_point(self.action, times=self.times)


class Scripted(Injection):
    """The array misbehaves."""

    def __init__(self, stage: Stage, cell: Cell, kind: FaultKind, *, times: int = 1, before: float = 0.0,
                 message: str = "", pool_specific: bool = False) -> None:  # fmt: skip
        super().__init__(stage, cell)
        self.kind, self.times, self.before = kind, times, before
        self.message, self.pool_specific = message, pool_specific
        self.rule: Fault | None = None

    @property
    def script(self) -> FaultScript:
        """The script of the array that the step calls."""
        return self.stage.world.array(self.cell.backend).script

    def arm(self) -> None:
        """See base class."""
        cell, stage, verb = self.cell, self.stage, self.cell.verb
        opened = verb == "data_path"  # a call without an operation: it is told by the snapshot it opens
        adopts = verb != cell.step.rpartition(".")[2] and cell.step == "backend.clone_snapshot"
        skip = 0 if adopts else cell.visit - 1 - self.scenario.used.get(verb, 0)
        self.rule = self.script.add(
            self.kind, verb=verb, times=self.times, skip=skip, before=self.before, message=self.message,
            pool_specific=self.pool_specific, retry_after=0.05,
            name=stage.place("home", "s1")[1].name if opened else "",
            operation=None if opened else stage.operation,
        )  # fmt: skip

    async def afterwards(self) -> list[str]:
        """See base class."""
        if self.rule is not None:
            self.fired = self.script.lift(self.rule) > 0
        return []


class ScriptedStep(Scripted):
    """The array misbehaves in the step that passes the point, whatever the name of the step and of its objects."""

    def arm(self) -> None:
        """See base class."""
        self.at_point(self._add)

    def _add(self) -> None:
        stage, opened = self.stage, self.cell.verb == "data_path"
        self.rule = self.script.add(
            self.kind, verb=self.cell.verb, times=self.times, before=self.before, message=self.message,
            pool_specific=self.pool_specific, retry_after=0.05,
            name=stage.destination() if opened else "",
            operation=None if opened else stage.operation,
        )  # fmt: skip


class Outage(Injection):
    """From the point on the array answers the operation no more, and after a while it does again."""

    def __init__(self, stage: Stage, cell: Cell) -> None:
        super().__init__(stage, cell)
        self.hits = 0
        self.over = threading.Event()

    def arm(self) -> None:
        """See base class."""
        self.at_point(self._begin)

    def _begin(self) -> None:
        script = self.stage.world.array(self.cell.backend).script
        if self.cell.verb == "data_path":  # a call without an operation: it is told by what it opens
            outage = script.add(FaultKind.UNREACHABLE, verb="data_path", times=None, name=self._opened())
        else:
            outage = script.add(FaultKind.UNREACHABLE, times=None, operation=self.stage.operation)

        def end() -> None:
            self.hits = script.lift(outage)
            self.over.set()

        threading.Timer(OUTAGE, end).start()

    def _opened(self) -> str:
        moves = self.scenario.kind in (names.MIGRATE_SHARE, names.PROMOTE_REPLICA)
        return self.stage.destination() if moves else self.stage.place("home", "s1")[1].name

    async def afterwards(self) -> list[str]:
        """See base class."""
        await asyncio.to_thread(self.over.wait, HELD)
        self.fired = self.hits > 0
        return []


class Slow(Injection):
    """Every call of the operation takes its time, from the first to the last."""

    def __init__(self, stage: Stage, cell: Cell) -> None:
        super().__init__(stage, cell)
        self.rules: list[tuple[FaultScript, Fault]] = []

    def arm(self) -> None:
        """See base class."""
        for array in self.stage.arrays().values():
            rule = array.script.add(FaultKind.HANG, times=None, before=SLOW, operation=self.stage.operation)
            self.rules.append((array.script, rule))

    async def afterwards(self) -> list[str]:
        """See base class."""
        self.fired = sum(script.lift(rule) for script, rule in self.rules) > 0
        return []


class ClockJumps(Injection):
    """The operation's clock is an hour ahead all at once, while it rests between two steps."""

    def arm(self) -> None:
        """See base class."""
        self.stage.before_command = self.jumped = asyncio.Event()

    async def meanwhile(self, handle: Handle) -> None:
        """See base class."""
        try:
            await soon(lambda: self.stage.state() == "running", "the begin")
            await handle.execute_update(names.PAUSE, {})  # else the clock goes on from rest to rest
            self.fired = await self.stage.world.skipper.fast_forward(handle, timedelta(hours=1))
            await handle.execute_update(names.RESUME, {})
        finally:
            self.jumped.set()


class HangsInDriver(Scripted):
    """The first attempt hangs in the driver until the operation is over, and then has its effect, if it can."""

    def __init__(self, stage: Stage, cell: Cell, *, cancel: bool) -> None:
        super().__init__(stage, cell, FaultKind.HANG, before=HELD)
        self.cancel = cancel

    async def meanwhile(self, handle: Handle) -> None:
        """See base class."""
        if self.cancel:
            await soon(lambda: self.rule is not None and self.script.hits(self.rule) > 0, "the hang")
            await handle.cancel()

    async def afterwards(self) -> list[str]:
        """See base class."""
        problems = await super().afterwards()
        await asyncio.sleep(0.25)  # the call goes on now
        return problems


class HangsInStep(ScriptedStep, HangsInDriver):
    """The same in the step that passes the point."""


class HeldAttempt(Injection):
    """The first attempt stands before the driver call until the operation is over."""

    def __init__(self, stage: Stage, cell: Cell) -> None:
        super().__init__(stage, cell)
        self.release = threading.Event()

    def arm(self) -> None:
        """See base class."""
        self.at_point(lambda: (self.release.wait(HELD), None)[1])

    async def afterwards(self) -> list[str]:
        """See base class."""
        self.release.set()
        await asyncio.sleep(0.2)
        return []


class Cancelled(Injection):
    """A cancel comes while an attempt stands at the point; the attempt goes on when the cancel has been delivered."""

    def __init__(self, stage: Stage, cell: Cell) -> None:
        super().__init__(stage, cell)
        self.reached, self.release = threading.Event(), threading.Event()
        self._in_task = cell.step.startswith("inventory.")

    def arm(self) -> None:
        """See base class."""

        def hold() -> None:
            self.reached.set()
            self.release.wait(HELD)

        self.at_point(hold)

    async def start(self) -> Handle:
        """With a short task time-out, so that a cancel gets into a workflow task that waits for the inventory."""
        stage, scenario = self.stage, self.scenario
        if not self._in_task:
            return await super().start()
        return await stage.world.skipper.client.start_workflow(
            scenario.kind,
            scenario.request(stage),
            id=stage.operation,
            task_queue=names.QUEUE,
            task_timeout=TASK,
        )

    async def meanwhile(self, handle: Handle) -> None:
        """See base class."""
        try:
            await soon(self.reached.is_set, "the point")
            await handle.cancel()
            arrival = IN_TASK if self._in_task else IN_FLIGHT
            await asyncio.sleep(0.05 if self.cell.moment == "after_call" else arrival)
        finally:
            self.release.set()


class CopierKilled(Injection):
    """The process that copies, or compares, is killed as soon as it runs: later it could have ended by itself."""

    doomed: ClassVar[dict[str, CopierKilled]] = {}
    """Whose process of which job is killed, of all cells that are played at once."""

    def __init__(self, stage: Stage, cell: Cell) -> None:
        super().__init__(stage, cell)
        self.killed = False

    def arm(self) -> None:
        """See base class."""
        watch_copiers()
        self.at_point(self._doom)

    def _doom(self) -> None:
        self.doomed[_key(self._job())] = self

    async def afterwards(self) -> list[str]:
        """See base class."""
        self.fired = self.killed
        return []

    def _job(self) -> str:
        """The name under which the mover knows it."""
        stage = self.stage
        if self.scenario.kind == names.PROMOTE_REPLICA:
            return f"verify {stage.operation}/verify-0/{stage.destination()}"
        if self.scenario.kind != names.MIGRATE_SHARE:
            return f"{stage.operation}/copy/{stage.place('copy')[1].name}"
        if self.cell.step == "mover.verify":
            return f"verify {stage.operation}/verify-1/{stage.destination()}"
        step = "last-1" if self.scenario.behind else f"leg-{stage.picture()['snapshot home/s1']['id']}"
        return f"{stage.operation}/{step}/{stage.destination()}"


class ServerKilled(Injection):
    """The Temporal server is killed in the middle of the step, and started again on what it had kept."""

    def __init__(self, stage: Stage, cell: Cell) -> None:
        super().__init__(stage, cell)
        assert stage.world.server is not None, "whoever runs the world gives it its server"
        self._server = stage.world.server
        self._killed = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def arm(self) -> None:
        """See base class."""
        self.at_point(self._kill)

    def _kill(self) -> None:
        self._server.kill()
        self._loop.call_soon_threadsafe(self._killed.set)

    async def meanwhile(self, handle: Handle) -> None:
        """See base class."""
        await self._killed.wait()
        await self._server.start()


@cache
def watch_copiers() -> None:
    """Kill the next process of each doomed job from now on. Once for all cells: they would undo each other's patch."""
    begin = Children.begin

    def begin_and_kill(children: Children, home: JobDir, lock: int) -> int:
        process = begin(children, home, lock)
        cell = CopierKilled.doomed.pop(home.path.name, None)
        if cell is not None:
            try:
                os.kill(process, signal.SIGKILL)
            except ProcessLookupError:  # it was over at once; then it died before it could say so
                home.write(STATUS, {"state": JobState.RUNNING, "message": "comparing"})
            cell.killed = True
        return process

    patch.object(Children, "begin", begin_and_kill).start()


def locked(stage: Stage) -> Callable[[], None]:
    """Action: another process holds the write lock for a moment."""
    url = stage.world.database.url

    def lock() -> None:
        if not stage.world.database.is_sqlite:
            give_up()
        other = sqlite3.connect(str(url.database), timeout=5, isolation_level=None, check_same_thread=False)
        other.execute("BEGIN IMMEDIATE")
        threading.Timer(LOCKED, other.close).start()

    return lock


def give_up() -> None:
    """Action: the database gives up the transaction, as a lock or a serialization failure does."""
    raise OperationalError("COMMIT", {}, sqlite3.OperationalError("database is locked"))


def lost() -> None:
    """Action: the database does not answer."""
    raise DatabaseUnavailable("the inventory does not answer: connection lost (simulated)")
