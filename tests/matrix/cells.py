"""The cells: operation x fault point x fault, and how each may end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from shareflow import names
from tests.matrix.conflicts import CONFLICTS
from tests.matrix.points import POINTS
from tests.matrix.scenarios import SCENARIOS, Scenario
from tests.matrix.situations import commands_cutover

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
    "F11": "the backend answers nobody for a while",
    "F12": "the pool is full",
    "F12-job": "the pool gets full while the job runs",
    "F12-readonly": "the pool has become read-only",
    "F13": "the database is lost before the commit",
    "F14": "the database is lost after the commit, before the answer",
    "F15": "the database is locked, or gives up the transaction",
    "F16": "the Temporal server is killed and started again",
    "F17": "the same request is sent ten times at once",
    "F18": "a conflicting request comes in the middle",
    "F19": "signals and updates come twice, late, and out of order",
    "F20": "a cancel comes while the step runs",
    "F22": "the backends are a hundred times slower",
    "F22-clock": "the clock jumps an hour ahead",
}
"""F16 concerns all cells that run: its own are played one by one, on a world of their own; ``tests/chaos`` has it on
real storage. F23, specs and pools that change, is in ``tests/workflows/test_apply_specs.py``."""
MOMENTS = {
    "before_transaction": ("F1", "F4", "F13", "F15", "F20"),
    "before_commit": ("F1", "F13", "F15"),
    "after_commit": ("F3", "F14", "F20"),
    "before_call": ("F1", "F4", "F4-driver", "F5", "F6", "F7", "F8", "F9", "F11", "F12-readonly", "F13", "F20"),
    "after_call": ("F2", "F20"),
}
SPACE_VERBS = ("create_share", "resize_share", "create_snapshot", "clone_snapshot", "receive_snapshot")
JOB_VERBS = (
    "create_snapshot", "clone_snapshot", "revert_share", "delete_share", "delete_snapshot", "receive_snapshot",
)  # fmt: skip
VERBS = {
    "stop_job": "cancel_job",
    "copy": "data_path",
    "verify": "data_path",
    "receive": "receive_snapshot",
    "fence": "set_access_mode",
}
"""What steps that are not named after a verb call first."""
NO_DRIVER = ("mover.forget", "mover.set_bandwidth")
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
    "MigrateShare-driver": ("inventory.begin.after_commit", "mover.verify.after_call"),
    "CreateReplica": ("inventory.begin.after_commit",),
    "ResyncReplica": ("inventory.begin.after_commit",),
    "PromoteReplica": ("inventory.begin.after_commit",),
    "MigrateReplica": ("inventory.begin.after_commit",),
    "DeleteReplica": ("inventory.begin.after_commit",),
    "DrainPool": ("inventory.begin.after_commit",),
    "ApplySpecs": ("inventory.begin.after_commit",),
}
SERVER_KILLED_AT = {
    "MigrateShare-driver": (
        "inventory.begin.after_commit",
        "backend.create_share.after_call",
        "inventory.follow_share.after_commit",
        "mover.receive.before_call",
        "inventory.begin_cutover.after_commit",
        "backend.fence.after_call",
        "backend.revert_share.before_call",
        "mover.verify.after_call",
        "inventory.switch_share.after_commit",
        "inventory.end_cutover.before_transaction",
        "backend.delete_share.after_call",
        "inventory.commit.after_commit",
    ),
    "MigrateShare-host": ("mover.copy.before_call",),
    "MigrateShare-cancel": ("backend.delete_share.before_call", "inventory.abort.after_commit"),
    "EvacuatePool": ("inventory.begin.after_commit", "inventory.follow_evacuation.after_commit"),
}
LATER_IN_A_COPY = ("F1", "F2", "F13", "F20")  # a copy that was started calls the driver no more, it is only looked at
OWN_STEPS = (
    "inventory.follow_share", "inventory.begin_cutover", "inventory.switch_share", "inventory.end_cutover",
    "inventory.begin_round", "inventory.follow_replica", "inventory.end_round", "inventory.switch_replica",
    "backend.fence", "mover.copy", "mover.receive", "mover.verify", "mover.set_bandwidth",
)  # fmt: skip
"""Steps that migrations and replicas alone take, or take in another way than others do."""
BRIEF = {
    "before_transaction": ("F4", "F20"),
    "before_commit": ("F13",),
    "after_commit": ("F3", "F20"),
    "before_call": ("F4-driver", "F6", "F9", "F11", "F12-job", "F20"),
    "after_call": ("F2", "F20"),
}
"""Faults of the own steps of a migration or a replica that every run plays."""
BRIEF_ELSEWHERE = {"after_commit": ("F3",), "before_call": ("F20",), "after_call": ("F2",)}
"""The same for its other steps: their own operations are tried with all faults."""
REPLICATION = (
    names.CREATE_REPLICA, names.SYNC_REPLICA, names.RESYNC_REPLICA, names.PROMOTE_REPLICA, names.MIGRATE_REPLICA,
    names.DELETE_REPLICA,
)  # fmt: skip
NONE = "none"
START = "start"
MESSAGES = "messages"
THROUGHOUT = "throughout"
REST = "rest"


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
        return VERBS.get(step, step)

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
    if cell.step in NO_DRIVER:
        yield from (fault for fault in MOMENTS[cell.moment] if fault in ("F1", "F2", "F4", "F13", "F20"))
        return
    yield from MOMENTS[cell.moment]
    if cell.point in LOST_AT.get(scenario.name, ()):
        yield "F3-cancel"
    if cell.moment != "before_call":
        return
    if (
        (cell.verb in SPACE_VERBS or cell.step == "mover.copy")
        and "undone" not in scenario.name
        and "shrink" not in scenario.name
    ):
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
                if place.step == "mover.copy" and visit > 1 and fault not in LATER_IN_A_COPY:
                    continue
                yield Cell(scenario.name, place.point, fault)


def _of_messages(scenario: Scenario) -> Iterator[Cell]:
    yield Cell(scenario.name, NONE, "F0")
    if not scenario.focus:
        yield Cell(scenario.name, START, "F17")
    if not scenario.focus or scenario.drive is not None:
        yield Cell(scenario.name, MESSAGES, "F19")
    if not scenario.focus and any(point.startswith("backend") for point in POINTS[scenario.name]):
        yield Cell(scenario.name, THROUGHOUT, "F22")
    if scenario.drive is commands_cutover:
        yield Cell(scenario.name, REST, "F22-clock")
    for other in CONFLICTS.get(scenario.name, {}):
        yield Cell(scenario.name, other, "F18")


def takes_passes(cell: Cell) -> bool:
    """Whether it copies in passes: one verb on many objects, in steps of many names."""
    return SCENARIOS[cell.scenario].kind in (names.MIGRATE_SHARE, *REPLICATION)


def in_brief(cell: Cell) -> bool:
    """Whether every run plays it. What copies in passes takes many steps: most are left to the slow test."""
    if not takes_passes(cell) or "." not in cell.point or cell.fault == "F3-cancel":
        return True
    if cell.scenario in ("MigrateShare-slow", "MigrateShare-qos"):
        return False
    if cell.scenario in ("ResyncReplica", "SyncReplica") and cell.step not in (*OWN_STEPS, "inventory.commit"):
        return False  # the steps of a promotion's own round
    faults = BRIEF if cell.step in OWN_STEPS else BRIEF_ELSEWHERE
    return cell.fault in faults.get(cell.moment, ())


def of_replicas(cell: Cell) -> bool:
    """Whether it plays with shares that have replicas. Each leaves a sync that runs: they have a world of their own."""
    scenario = SCENARIOS[cell.scenario]
    failovers = (names.FAILOVER_BACKEND, names.FAILBACK_BACKEND)
    return scenario.kind in (*REPLICATION, *failovers) or scenario.name.endswith("-replicated")


def brief() -> list[Cell]:
    """The cells that every run plays: each fault at each point of an operation once.

    Where another scenario of the same operation passes the point too, its cells are left to the slow tests, except
    those of kills after the effect: what is found again by a retry differs from situation to situation.
    """
    first: dict[tuple[str, str, str], str] = {}
    cells = []
    for cell in every_cell():
        if not in_brief(cell):
            continue
        place = (SCENARIOS[cell.scenario].kind, cell.name, cell.fault)
        if "." not in cell.point or cell.fault == "F2" or first.setdefault(place, cell.scenario) == cell.scenario:
            cells.append(cell)
    return cells


def every_cell() -> list[Cell]:
    """All cells, in a stable order."""
    cells = []
    for scenario in SCENARIOS.values():
        cells += [*_of_scenario(scenario), *_of_messages(scenario)]
    return cells


def server_killed() -> list[Cell]:
    """The cells of a server that is killed: each has the world to itself."""
    return [Cell(scenario, point, "F16") for scenario, points in SERVER_KILLED_AT.items() for point in points]


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
    names.RETYPE_SHARE,
    names.EVACUATE_POOL,
    names.FAILOVER_BACKEND,
    names.CREATE_REPLICA,
    names.RESYNC_REPLICA,
)
"""Kinds whose commit is their only point of no return."""


SWITCHES = ("inventory.switch_share", "inventory.switch_replica")


def endings(cell: Cell) -> set[str]:
    """How the operation may end in this cell."""
    scenario = SCENARIOS[cell.scenario]
    if cell.fault == "F18":
        return {CONFLICTS[cell.scenario][cell.point].under_test or scenario.natural}
    if cell.fault in ("F20", "F3-cancel", "F4-cancel"):
        return _when_cancelled(scenario, cell)
    if cell.fault in ("F6", "F12", "F12-job", "F12-readonly"):
        moves = cell.fault != "F6" and listed(scenario.movable, cell)
        refused = listed(scenario.refusable, cell) and not moves
        overtaken = cell.visit > 1 and listed(scenario.either, cell)  # the job may be over before it is refused
        return {"failed", *([scenario.natural] if overtaken else [])} if refused else {scenario.natural}
    return {scenario.natural}


def _when_cancelled(scenario: Scenario, cell: Cell) -> set[str]:
    if cell.fault == "F3-cancel" and (cell.moment == "after_call" or scenario.name == "ForgetShare"):
        return {"cancelled"} if scenario.kind == names.DELETE_SHARE else {scenario.natural}
    if cell.fault == "F3-cancel" and cell.step == "inventory.begin":
        return {"cancelled", scenario.natural}  # it is sent at once, but may come a little later
    # When the task that holds the commit is lost, the next one sees the cancel first and undoes everything.
    committing = cell.name == "inventory.commit.before_transaction" and scenario.kind in UNDOABLE
    switching = cell.moment == "before_transaction" and cell.step in SWITCHES
    if committing or switching or listed(scenario.either, cell):
        return {"cancelled", scenario.natural}
    return {scenario.natural} if listed(scenario.settled, cell) else {"cancelled"}
