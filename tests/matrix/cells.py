"""The cells: operation x fault point x fault, and how each may end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from shareflow import names
from tests.matrix.conflicts import CONFLICTS
from tests.matrix.points import POINTS
from tests.matrix.scenarios import SCENARIOS, Scenario

FAULTS = {
    "F0": "nothing: what all other cells are measured by",
    "F1": "the worker is killed before the effect",
    "F2": "the worker is killed after the effect, before the result is recorded",
    "F3": "the worker is killed after the commit, before the step returns",
    "F3-cancel": "the worker is killed after the commit, and a cancel overtakes the task that made it",
    "F4": "the first attempt goes on after the operation has ended",
    "F4-driver": "the first attempt hangs inside the driver until the operation has ended, then goes on",
    "F4-cancel": "the first attempt hangs inside the driver, the operation is cancelled and ends, then it goes on",
    "F5": "the backend is busy five times",
    "F6": "the backend refuses for good",
    "F7": "the driver hangs past its time limit, then succeeds",
    "F8": "the driver does the work and reports failure",
    "F9": "half of the work is done",
    "F12": "the pool is full",
    "F12-job": "the pool gets full while the job runs",
    "F12-readonly": "the pool has become read-only",
    "F13": "the database is lost before the commit",
    "F14": "the database is lost after the commit, before the answer",
    "F15": "the database is locked, or gives up the transaction",
    "F17": "the same request is sent ten times at once",
    "F18": "a conflicting request comes in the middle",
    "F19": "signals and updates come twice, late, and out of order",
    "F20": "a cancel comes while the step runs",
}
MOMENTS = {
    "before_transaction": ("F1", "F4", "F13", "F15", "F20"),
    "before_commit": ("F1", "F13", "F15"),
    "after_commit": ("F3", "F14", "F20"),
    "before_call": ("F1", "F4", "F4-driver", "F5", "F6", "F7", "F8", "F9", "F12-readonly", "F13", "F20"),
    "after_call": ("F2", "F20"),
}
SPACE_VERBS = ("create_share", "resize_share", "create_snapshot", "clone_snapshot")
JOB_VERBS = ("create_snapshot", "clone_snapshot", "revert_share", "delete_share", "delete_snapshot")
LOST_AT = {
    "CreateShare": ("inventory.begin.after_commit", "backend.create_share.after_call"),
    "Clone": ("inventory.begin.after_commit", "backend.clone_snapshot.after_call#2"),
    "CreateSnapshot": ("inventory.begin.after_commit", "backend.create_snapshot.after_call"),
    "DeleteSnapshot": ("inventory.begin.after_commit",),
    "RevertShare": ("inventory.begin.after_commit", "backend.revert_share.after_call"),
    "ResizeShare-grow": ("inventory.begin.after_commit", "backend.resize_share.after_call"),
    "SetShareQos": ("inventory.begin.after_commit", "backend.set_qos.after_call"),
    "DeleteShare-purge": ("inventory.begin.after_commit", "backend.set_access_mode.after_call"),
    "ForgetShare": ("inventory.begin.after_commit",),
    "ApplySpecs": ("inventory.begin.after_commit",),
}
ONCE_IN_A_COPY = ("F4", "F4-driver", "F7", "F9", "F15")  # a copy is looked at again and again, always by the same code
NONE = "none"
START = "start"
MESSAGES = "messages"


@dataclass(frozen=True)
class Cell:
    """One cell; ``point`` may carry the number of the visit: ``backend.clone_snapshot.before_call#2``."""

    scenario: str
    point: str
    fault: str

    @property
    def id(self) -> str:
        """As it is written on the command line."""
        return f"{self.scenario}|{self.point}|{self.fault}"

    @property
    def name(self) -> str:
        """The point's name in the code."""
        return self.point.partition("#")[0]

    @property
    def visit(self) -> int:
        """Which visit of the point is hit, from 1."""
        return int(self.point.partition("#")[2] or 1)

    @property
    def step(self) -> str:
        """The point without its moment."""
        return self.name.rpartition(".")[0]

    @property
    def moment(self) -> str:
        """When in the step."""
        return self.name.rpartition(".")[2]

    @property
    def verb(self) -> str:
        """The driver's verb of a backend step."""
        if self.scenario == "Clone" and self.step == "backend.clone_snapshot" and self.visit == 2:
            return "create_share"  # a clone is adopted by the call that makes a share
        step = self.step.partition(".")[2]
        return {"stop_job": "cancel_job", "copy": "data_path"}.get(step, step)

    @property
    def backend(self) -> str:
        """Where the step's calls go."""
        return "beta" if "-slow" in self.scenario else "alpha"


def listed(patterns: Iterable[str], cell: Cell) -> bool:
    """Whether a cell's step is among these; a pattern may name one visit, or be the beginning of steps."""
    for pattern in patterns:
        step, _, visit = pattern.partition("#")
        if cell.step.startswith(step) and visit in ("", str(cell.visit)):
            return True
    return False


def _faults(scenario: Scenario, cell: Cell) -> Iterator[str]:
    if cell.step == "mover.forget":  # it calls no driver
        yield from (fault for fault in MOMENTS[cell.moment] if fault in ("F1", "F2", "F4", "F13", "F20"))
        return
    yield from MOMENTS[cell.moment]
    if cell.point in LOST_AT.get(scenario.name, ()):
        yield "F3-cancel"
    if cell.moment != "before_call":
        return
    if cell.verb in (*SPACE_VERBS, "data_path") and "undone" not in scenario.name and "shrink" not in scenario.name:
        yield "F12"
    if cell.verb in JOB_VERBS and cell.visit == 1:
        yield "F12-job"
    if listed(scenario.refusable, cell):
        yield "F4-cancel"


def _of_scenario(scenario: Scenario) -> Iterator[Cell]:
    for name, visits in POINTS[scenario.name].items():
        for visit in range(1, visits + 1):
            place = Cell(scenario.name, name if visit == 1 else f"{name}#{visit}", "")
            if scenario.focus and not name.startswith(scenario.focus):
                continue
            if place.moment == "before_call" and visit <= scenario.used.get(place.verb, 0):
                continue
            for fault in _faults(scenario, place):
                if place.step == "mover.copy" and visit > 1 and fault in ONCE_IN_A_COPY:
                    continue
                yield Cell(scenario.name, place.point, fault)


def _of_messages(scenario: Scenario) -> Iterator[Cell]:
    yield Cell(scenario.name, NONE, "F0")
    if not scenario.focus:
        yield Cell(scenario.name, START, "F17")
    if not scenario.focus or scenario.drive is not None:
        yield Cell(scenario.name, MESSAGES, "F19")
    for other in CONFLICTS.get(scenario.name, {}):
        yield Cell(scenario.name, other, "F18")


def every_cell() -> list[Cell]:
    """All cells, in a stable order."""
    cells = []
    for scenario in SCENARIOS.values():
        cells += [*_of_scenario(scenario), *_of_messages(scenario)]
    return cells


def parse(text: str) -> Cell:
    """The cell of an id. Raises ValueError for one that does not exist."""
    cell = Cell(*text.split("|"))
    if cell not in every_cell():
        raise ValueError(f"there is no cell {text!r}; list them with: python -m tests.matrix --list")
    return cell


UNDOABLE = (
    names.CREATE_SHARE,
    names.CREATE_SHARE_FROM_SNAPSHOT,
    names.CREATE_SNAPSHOT,
    names.RESIZE_SHARE,
    names.SET_SHARE_QOS,
)
"""Kinds whose commit is their only point of no return."""


def endings(cell: Cell) -> set[str]:
    """How the operation may end in this cell."""
    scenario = SCENARIOS[cell.scenario]
    if cell.fault in ("F6", "F12", "F12-job", "F12-readonly"):
        moves = cell.fault != "F6" and listed(scenario.movable, cell)
        refused = listed(scenario.refusable, cell) and not moves
        overtaken = cell.visit > 1 and listed(scenario.either, cell)  # the job may be over before it is refused
        return {"failed", *([scenario.natural] if overtaken else [])} if refused else {scenario.natural}
    if cell.fault == "F3-cancel" and (cell.moment == "after_call" or scenario.name == "ForgetShare"):
        return {"cancelled"} if scenario.kind == names.DELETE_SHARE else {scenario.natural}
    if cell.fault == "F3-cancel" and cell.step == "inventory.begin":
        return {"cancelled", scenario.natural}  # it is sent at once, but may come a little later
    if cell.fault in ("F20", "F3-cancel", "F4-cancel"):
        # When the task that holds the commit is lost, the next one sees the cancel first and undoes everything.
        undoable = cell.name == "inventory.commit.before_transaction" and scenario.kind in UNDOABLE
        if undoable or listed(scenario.either, cell):
            return {"cancelled", scenario.natural}
        return {scenario.natural} if listed(scenario.settled, cell) else {"cancelled"}
    return {scenario.natural}
