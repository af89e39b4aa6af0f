"""Payloads between workflows and activities. Internal: nobody outside a worker sends these."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field

from shareflow.contracts.base import StrictModel
from shareflow.contracts.operations import OperationState
from shareflow.contracts.qos import QosView, Verdict


class Fence(StrictModel):
    """What an attempt must still hold to be allowed to act: a claimed resource and its fencing number."""

    kind: str
    id: str
    epoch: int


class Limits(StrictModel):
    """Time limits of backend steps, in seconds, taken from the worker's settings when the operation begins.

    Attributes:
        call: one driver call.
        job: one slow job, however long it reports progress.
        heartbeat: silence after which a worker counts as dead.
        unserved: time after which a queue that no worker serves is said so.
        patience: time after which a step that can be undone gives up.
        retry: pause before a failing step is tried again; doubles up to 20 times this.
        poll: pause between two looks at a job.
        turn: longest time a waiting operation sleeps before it looks whether its turn has come.
    """

    call: float = 60.0
    job: float = 30 * 86400.0
    heartbeat: float = 10.0
    unserved: float = 60.0
    patience: float = 600.0
    retry: float = 5.0
    poll: float = 0.5
    turn: float = 30.0


class ObjectPlace(StrictModel):
    """Where one object is: ids of its row, its pool and backend, and its name on the backend."""

    id: str
    backend: str
    pool: str
    pool_id: str
    object: str
    size: int


class BeginInput(StrictModel):
    """Open an operation: claim, check, reserve and place in one transaction.

    ``request`` is the operation's validated input as JSON data.
    """

    operation: str
    kind: str
    request: dict[str, Any]


class BeginStatus(StrEnum):
    """What came of a begin."""

    STARTED = "started"
    WAITING = "waiting"
    ENDED = "ended"


class Failure(StrictModel):
    """Why an operation ended or what was wrong: the error's name, its message, next step and field."""

    type: str
    message: str
    hint: str = ""
    field: str = ""


class QosAnswer(StrictModel):
    """What a backend made of one key; ``value`` is what it enforces, None when it does not."""

    verdict: Annotated[Verdict, Field(strict=False)]
    value: int | str | None = None
    reason: str = ""


class QosChange(StrictModel):
    """What an operation changes of a share's quality of service.

    Attributes:
        limits: what the backend is asked to enforce.
        before: what it was asked to enforce before; an undo sets it again.
        apply: the backend has to be asked.
        required: a key that is not enforced ends the operation.
        planned: what the share will show, with the verdicts that are known without the backend; None without a class.
        floors, floors_before: IOPS and bytes per second that the pool promises.
    """

    limits: dict[str, int | str] = {}
    before: dict[str, int | str] = {}
    apply: bool = True
    required: bool = False
    planned: QosView | None = None
    floors: list[int] = [0, 0]
    floors_before: list[int] = [0, 0]


class Begun(StrictModel):
    """Answer to a begin.

    Attributes:
        waiting_for: operations that are ahead, when waiting.
        result, failure: what was recorded, when the operation had ended before.
        recovery: ``undo`` or ``continue`` when the reconciler restarted the operation, else empty.
        fences: what backend steps must still hold.
        source: snapshot (or share) that content comes from.
        clone: content comes by the backend's own clone, not by the mover.
        withhold: the backend can cut clients off.
        items: further objects (a deleted share's snapshots).
        qos: what becomes of the share's quality of service; None when it has none and gets none.
        placement: the decision in one line: the choice, and counts per reason of the pools that were dropped.
    """

    status: Annotated[BeginStatus, Field(strict=False)]
    waiting_for: list[str] = []
    result: dict[str, Any] | None = None
    failure: Failure | None = None
    recovery: str = ""
    limits: Limits = Limits()
    deployment: str = ""
    share_id: str = ""
    share_name: str = ""
    fences: list[Fence] = []
    instance: ObjectPlace | None = None
    source: ObjectPlace | None = None
    snapshot: ObjectPlace | None = None
    snapshot_fences: list[Fence] = []
    items: list[ObjectPlace] = []
    item_fences: list[Fence] = []
    clone: bool = False
    withhold: bool = True
    old_size: int = 0
    new_size: int = 0
    retention: int = 0
    phase: str = ""
    purge_at: datetime | None = None
    tree: list[dict[str, Any]] = []
    frees_bytes: int = 0
    qos: QosChange | None = None
    placement: str = ""


class PlaceAgainInput(StrictModel):
    """The chosen pool refused: exclude it and take the next-best."""

    operation: str
    instance: str
    pool_id: str
    reason: str


class CommitInput(StrictModel):
    """Make an operation's outcome true in the inventory and release its claims, in one transaction."""

    operation: str
    export_paths: list[str] = []
    outcome: str = ""
    qos: dict[str, QosAnswer] = {}


class AbortInput(StrictModel):
    """Take back everything an operation set aside or changed in the inventory, and release its claims.

    With ``kind`` and ``request`` an operation that had not even begun is recorded as ended, so that a late attempt to
    begin it finds it over.
    """

    operation: str
    failure: Failure
    kind: str = ""
    request: dict[str, Any] | None = None


class Ended(StrictModel):
    """Answer to commit and abort: the recorded result or failure, and the operations whose turn it may be now."""

    result: dict[str, Any] | None = None
    failure: Failure | None = None
    wake: list[str] = []


class MarkInput(StrictModel):
    """Record how an operation fares while it runs.

    ``left`` says what is left and where, and which command continues it.
    """

    operation: str
    state: Annotated[OperationState, Field(strict=False)] = OperationState.RUNNING
    no_return: bool = False
    left: str = ""


class CommandStep(StrictModel):
    """A command into a deleted share's operation, carried out in the inventory.

    ``purge_at`` is absolute, so that a repeated step does not extend the retention twice.
    """

    operation: str
    name: str | None = None
    purge_at: datetime | None = None
    by: str = ""


class RetentionResult(StrictModel):
    """When the purge comes now."""

    purge_at: datetime


class PurgeBegun(StrictModel):
    """Past the point of no return: what has to go from the backends."""

    items: list[ObjectPlace]
    item_fences: list[Fence]
    instance: ObjectPlace
    fences: list[Fence]


class BackendCall(StrictModel):
    """One driver call: on what, under which claims, in whose name.

    Attributes:
        target: the object that changes.
        other: the second object of the call (snapshot of a clone or a revert, share of a snapshot).
        mode: access mode to set.
        limits: quality of service to set, after the call's own work; None leaves it as it is.
        required: a limit that is not enforced fails the call.
    """

    operation: str
    deployment: str
    step: str
    fences: list[Fence]
    target: ObjectPlace
    other: ObjectPlace | None = None
    epoch: int
    mode: str = ""
    poll: float = 0.5
    limits: dict[str, int | str] | None = None
    required: bool = False


class BackendAnswer(StrictModel):
    """What a driver call gave. ``done`` is False when a stopped job had not been over first.

    ``qos`` holds the verdict of every limit that the call was to set.
    """

    size: int = 0
    export_paths: list[str] = []
    done: bool = True
    qos: dict[str, QosAnswer] = {}


class JobProgress(StrictModel):
    """How far a job is: heartbeat details, and what its operation shows.

    Attributes:
        rate: bytes a second since this attempt began, 0 while unknown.
        seconds_left: at that rate; None while unknown.
    """

    bytes_done: int = 0
    bytes_total: int | None = None
    files_done: int = 0
    files_total: int | None = None
    rate: int = 0
    seconds_left: int | None = None


class StepView(StrictModel):
    """One step as people see it."""

    name: str
    state: str
    detail: str = ""


class OperationStatus(StrictModel):
    """Answer to the ``status`` query.

    Attributes:
        phase: running, waiting, recycle-bin, undoing, needs-operator, ended.
        waiting_for: what the operation waits for, in words; empty when it works.
        commands: commands that can be sent now.
        note: the last thing worth knowing (a refused command, a cancel that came too late).
    """

    operation: str
    kind: str
    phase: str
    step: str
    steps: list[StepView]
    waiting_for: str = ""
    commands: list[str] = []
    note: str = ""
    share_id: str = ""
    purge_at: datetime | None = None
