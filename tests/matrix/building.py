"""From a cell to its injection."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from drivers.fake import FaultKind
from shareflow import faults
from tests.matrix.cells import Cell, takes_passes
from tests.matrix.injections import (
    AtPoint,
    Cancelled,
    ClockJumps,
    CopierKilled,
    HangsInDriver,
    HangsInStep,
    HeldAttempt,
    Injection,
    Nothing,
    Outage,
    Scripted,
    ScriptedStep,
    ServerKilled,
    Slow,
    give_up,
    locked,
    lost,
)
from tests.matrix.lost import LostBegin, LostCommit, LostSwitch
from tests.matrix.requests import Conflicting, LateAttempt, Messages, TenTimes
from tests.matrix.stage import Stage
from tests.matrix.world import LIMITS

Build = Callable[[Stage, Cell], Injection]
BUSY_TIMES = 5  # more than the activity's own attempts, so that the operation itself tries again
LOST_TIMES = 5  # the same for inventory steps


def _late(stage: Stage, cell: Cell) -> Injection:
    return LateAttempt(stage, cell) if cell.step.startswith("inventory") else HeldAttempt(stage, cell)


def _lost(stage: Stage, cell: Cell) -> Injection:
    times = LOST_TIMES if cell.moment == "before_transaction" else 1
    return AtPoint(stage, cell, lost, times=times)


def _lost_task(stage: Stage, cell: Cell) -> Injection:
    if cell.step == "inventory.begin":
        return LostBegin(stage, cell)
    return LostSwitch(stage, cell) if takes_passes(cell) else LostCommit(stage, cell)


def _locked(stage: Stage, cell: Cell) -> Injection:
    return AtPoint(stage, cell, give_up if cell.moment == "before_commit" else locked(stage))


def _half(stage: Stage, cell: Cell) -> Injection:
    killed = cell.step in ("mover.copy", "mover.verify")
    return CopierKilled(stage, cell) if killed else _scripted(FaultKind.HALF)(stage, cell)


def _scripted(kind: FaultKind, **rule: Any) -> Build:
    def built(stage: Stage, cell: Cell) -> Injection:
        return (ScriptedStep if takes_passes(cell) else Scripted)(stage, cell, kind, **rule)

    return built


def _hangs(*, cancel: bool) -> Build:
    def built(stage: Stage, cell: Cell) -> Injection:
        return (HangsInStep if takes_passes(cell) else HangsInDriver)(stage, cell, cancel=cancel)

    return built


BUILDS: dict[str, Build] = {
    "F0": Nothing,
    "F1": lambda stage, cell: AtPoint(stage, cell, faults.crash),
    "F2": lambda stage, cell: AtPoint(stage, cell, faults.crash),
    "F3": lambda stage, cell: AtPoint(stage, cell, faults.crash),
    "F3-cancel": _lost_task,
    "F4": _late,
    "F4-driver": _hangs(cancel=False),
    "F4-cancel": _hangs(cancel=True),
    "F5": _scripted(FaultKind.BUSY, times=BUSY_TIMES),
    "F6": _scripted(FaultKind.REJECT),
    "F7": _scripted(FaultKind.HANG, before=LIMITS.call + 0.7),
    "F8": _scripted(FaultKind.ERROR_AFTER_EFFECT),
    "F9": _half,
    "F11": Outage,
    "F12": _scripted(FaultKind.FULL),
    "F12-job": _scripted(FaultKind.FAIL_JOB, message="no space left in the pool"),
    "F12-readonly": _scripted(FaultKind.REJECT, message="the pool is read-only", pool_specific=True),
    "F13": _lost,
    "F14": lambda stage, cell: AtPoint(stage, cell, lost),
    "F15": _locked,
    "F16": ServerKilled,
    "F17": TenTimes,
    "F18": Conflicting,
    "F19": Messages,
    "F20": Cancelled,
    "F22": Slow,
    "F22-clock": ClockJumps,
}


def build(stage: Stage, cell: Cell) -> Injection:
    """The injection of a cell."""
    return BUILDS[cell.fault](stage, cell)
