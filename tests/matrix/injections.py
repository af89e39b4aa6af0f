"""How each fault of the matrix is brought about, for one operation only."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import threading
import time
from collections.abc import Callable
from datetime import timedelta

import psutil
from sqlalchemy.exc import OperationalError

from drivers.fake import Fault, FaultKind, FaultScript
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
HELD = 90.0
LOCKED = 0.08


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

        for _ in range(self.cell.visit - 1):
            faults.arm(self.cell.name, lambda: None, operation=self.stage.operation)
        faults.arm(self.cell.name, act, operation=self.stage.operation, times=times)


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

    def arm(self) -> None:
        """See base class."""

        def hold() -> None:
            self.reached.set()
            self.release.wait(HELD)

        self.at_point(hold)

    async def start(self) -> Handle:
        """With a short task time-out, so that a cancel gets into a workflow task that waits for the inventory."""
        stage, scenario = self.stage, self.scenario
        return await stage.world.skipper.client.start_workflow(
            scenario.kind,
            scenario.request(stage),
            id=stage.operation,
            task_queue=names.QUEUE,
            task_timeout=timedelta(seconds=1),
        )

    async def meanwhile(self, handle: Handle) -> None:
        """See base class."""
        try:
            await soon(self.reached.is_set, "the point")
            await handle.cancel()
            await asyncio.sleep(0.05 if self.cell.moment == "after_call" else IN_FLIGHT)
        finally:
            self.release.set()


class CopierKilled(Injection):
    """The process that copies is killed half-way."""

    def arm(self) -> None:
        """See base class."""

        def kill() -> None:
            _, target = self.stage.place("copy")
            job = _key(f"{self.stage.operation}/copy/{target.name}")
            end = time.monotonic() + 3
            while time.monotonic() < end and not self.fired:
                for process in psutil.process_iter(["cmdline"]):
                    if any(job in part for part in process.info["cmdline"] or ()):
                        os.kill(process.pid, signal.SIGKILL)
                        self.fired = True

        faults.arm("mover.copy.after_call", kill, operation=self.stage.operation)


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
