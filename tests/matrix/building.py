"""From a cell to its injection."""

from __future__ import annotations

from collections.abc import Callable

from drivers.fake import FaultKind
from shareflow import faults
from tests.matrix.cells import Cell
from tests.matrix.injections import (
    AtPoint,
    Cancelled,
    CopierKilled,
    HangsInDriver,
    HeldAttempt,
    Injection,
    Nothing,
    Scripted,
    give_up,
    locked,
    lost,
)
from tests.matrix.lost import LostBegin, LostCommit
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
    return LostBegin(stage, cell) if cell.step == "inventory.begin" else LostCommit(stage, cell)


def _locked(stage: Stage, cell: Cell) -> Injection:
    return AtPoint(stage, cell, give_up if cell.moment == "before_commit" else locked(stage))


def _half(stage: Stage, cell: Cell) -> Injection:
    return CopierKilled(stage, cell) if cell.step == "mover.copy" else Scripted(stage, cell, FaultKind.HALF)


BUILDS: dict[str, Build] = {
    "F0": Nothing,
    "F1": lambda stage, cell: AtPoint(stage, cell, faults.crash),
    "F2": lambda stage, cell: AtPoint(stage, cell, faults.crash),
    "F3": lambda stage, cell: AtPoint(stage, cell, faults.crash),
    "F3-cancel": _lost_task,
    "F4": _late,
    "F4-driver": lambda stage, cell: HangsInDriver(stage, cell, cancel=False),
    "F4-cancel": lambda stage, cell: HangsInDriver(stage, cell, cancel=True),
    "F5": lambda stage, cell: Scripted(stage, cell, FaultKind.BUSY, times=BUSY_TIMES),
    "F6": lambda stage, cell: Scripted(stage, cell, FaultKind.REJECT),
    "F7": lambda stage, cell: Scripted(stage, cell, FaultKind.HANG, before=LIMITS.call + 0.7),
    "F8": lambda stage, cell: Scripted(stage, cell, FaultKind.ERROR_AFTER_EFFECT),
    "F9": _half,
    "F12": lambda stage, cell: Scripted(stage, cell, FaultKind.FULL),
    "F12-job": lambda stage, cell: Scripted(stage, cell, FaultKind.FAIL_JOB, message="no space left in the pool"),
    "F12-readonly": lambda stage, cell: Scripted(
        stage, cell, FaultKind.REJECT, message="the pool is read-only", pool_specific=True
    ),
    "F13": _lost,
    "F14": lambda stage, cell: AtPoint(stage, cell, lost),
    "F15": _locked,
    "F17": TenTimes,
    "F18": Conflicting,
    "F19": Messages,
    "F20": Cancelled,
}


def build(stage: Stage, cell: Cell) -> Injection:
    """The injection of a cell."""
    return BUILDS[cell.fault](stage, cell)
