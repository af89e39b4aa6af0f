"""Payloads between workflows and activities. Internal: nobody outside a worker sends these."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import Field

from shareflow.contracts.base import StrictModel
from shareflow.contracts.evacuation_steps import Evacuation, EvacuationStatus
from shareflow.contracts.failover_steps import Failover, FailoverStatus
from shareflow.contracts.migration_steps import Migration, MigrationStatus
from shareflow.contracts.operations import OperationState
from shareflow.contracts.places import BeginStatus, Fence, ObjectPlace
from shareflow.contracts.qos import QosAnswer, QosChange
from shareflow.contracts.replica_steps import EndRoundInput, LeavingReplica, ReplicaTerms


class Limits(StrictModel):
    """Time limits of backend steps, in seconds, taken from the worker's settings when the operation begins.

    Attributes:
        call: one driver call.
        job: one slow job, however long it reports progress.
        heartbeat: silence after which a worker counts as dead.
        unserved: time after which a step that no worker takes says so.
        patience: time after which a step that can be undone gives up.
        retry: pause before a failing step is tried again; doubles up to 20 times this.
        poll: pause between two looks at a job.
        turn: longest time a waiting operation sleeps before it looks whether its turn has come.
        fenced: time after which a failing step gives up while writers are stopped.
        settle: shortest pause between two passes of a migration; the longest is 60 times this.
        history: events after which a long-lived operation goes on in a new run.
    """

    call: float = 60.0
    job: float = 30 * 86400.0
    heartbeat: float = 10.0
    unserved: float = 60.0
    patience: float = 600.0
    retry: float = 5.0
    poll: float = 0.5
    turn: float = 30.0
    fenced: float = 4.0
    settle: float = 1.0
    history: int = 8000


class BeginInput(StrictModel):
    """Open an operation: claim, check, reserve and place in one transaction.

    ``request`` is the operation's validated input as JSON data.
    """

    operation: str
    kind: str
    request: dict[str, Any]


class Failure(StrictModel):
    """Why an operation ended or what was wrong: the error's name, its message, next step and field."""

    type: str
    message: str
    hint: str = ""
    field: str = ""


class Begun(StrictModel):
    """Answer to a begin.

    Attributes:
        waiting_for: operations that are ahead, when waiting.
        result, failure: what was recorded, when the operation had ended before.
        recovery: ``undo`` or ``continue`` when the reconciler restarted the operation, ``undoing`` when it had begun
            to take everything back, else empty.
        fences: what backend steps must still hold.
        source: snapshot (or share) that content comes from.
        clone: content comes by the backend's own clone, not by the mover.
        withhold: the backend can cut clients off.
        items: further objects (a deleted share's snapshots, old copies of them, where a resized share moves to).
        qos: what becomes of the share's quality of service; None when it has none and gets none.
        placement: the decision in one line: the choice, and counts per reason of the pools that were dropped.
        migration, evacuation, failover: what a migration, an evacuation or a failover was begun as.
        replica: the replica that the operation is about.
        switched_at: when a promotion made its replica the active instance.
        sync_operation: who keeps in step what the operation makes a replica.
        loss_seconds, loss_bytes, loss_rate, lost: what a promotion lost, as in its result: changes of so many seconds,
            so many bytes, and snapshots by name.
        replicas: those that go: with a deleted share, or because another one takes their place.
        nudge: operations that are ahead, each with the command that makes it end.
        lost_backend: where the active instance was that has been declared lost; goes with such a command.
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
    switched_at: datetime | None = None
    purge_at: datetime | None = None
    tree: list[dict[str, Any]] = []
    frees_bytes: int = 0
    qos: QosChange | None = None
    placement: str = ""
    migration: Migration | None = None
    evacuation: Evacuation | None = None
    failover: Failover | None = None
    replica: ReplicaTerms | None = None
    sync_operation: str = ""
    loss_seconds: float = 0.0
    loss_bytes: int | None = 0
    loss_rate: int | None = None
    lost: list[str] = []
    replicas: list[LeavingReplica] = []
    nudge: dict[str, str] = {}
    lost_backend: str = ""


class PlaceAgainInput(StrictModel):
    """The chosen pool refused: exclude it and take the next-best."""

    operation: str
    instance: str
    pool_id: str
    reason: str


class LeftObject(StrictModel):
    """What an operation would have deleted on a backend that was declared lost: a ``share`` or a ``snapshot``."""

    kind: str
    place: ObjectPlace


class CommitInput(StrictModel):
    """Make an operation's outcome true in the inventory and release its claims, in one transaction.

    ``unreached`` are the replicas that could not be deleted, ``left`` other objects: the reconciler deletes them when
    their backend answers. ``round`` is what a resync came to.
    """

    operation: str
    export_paths: list[str] = []
    outcome: str = ""
    qos: dict[str, QosAnswer] = {}
    moved: int = 0
    stopped_seconds: float = 0.0
    unreached: list[str] = []
    left: list[LeftObject] = []
    round: EndRoundInput | None = None


class AbortInput(StrictModel):
    """Take back everything an operation set aside or changed in the inventory, and release its claims.

    With ``kind`` and ``request`` an operation that had not even begun is recorded as ended, so that a late attempt to
    begin it finds it over. What is ``left`` gets tombstones.
    """

    operation: str
    failure: Failure
    kind: str = ""
    request: dict[str, Any] | None = None
    left: list[LeftObject] = []


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
    replicas: list[LeavingReplica] = []


class BackendCall(StrictModel):
    """One driver call: on what, under which claims, in whose name.

    Attributes:
        target: the object that changes.
        other: the second object of the call (snapshot of a clone or a revert, share of a snapshot).
        mode: access mode to set.
        limits: quality of service to set, after the call's own work; None leaves it as it is.
        required: a limit that is not enforced fails the call.
        share: the share that a received snapshot belongs to.
        base: an object that is whole on both sides, to copy only what changed since: (source, destination).
        live: the source of a copy is in use: one pass is made, and what changes meanwhile is left to the next one.
        anew: nothing that earlier passes recorded of the target is relied on.
        bandwidth: limit of a copy in bytes per second; None for none.
        verify: what is compared: ``full`` or ``sampled``.
        ignore_open_files: a fence counts although processes have files open for writing.
        also: further steps of the operation on the same target whose copies are ended with this one's.
        limit: most seconds for one driver call; None for the worker's own limit.
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
    share: ObjectPlace | None = None
    base: tuple[ObjectPlace, ObjectPlace] | None = None
    live: bool = False
    anew: bool = False
    bandwidth: int | None = None
    verify: str = ""
    ignore_open_files: bool = False
    also: list[str] = []
    limit: float | None = None


class BackendAnswer(StrictModel):
    """What a driver call gave. ``done`` is False when a stopped job had not been over first.

    ``qos`` holds the verdict of every limit that the call was to set, ``moved`` the bytes that a copy moved, ``note``
    what is worth knowing of it, ``missing`` the bytes that were measured; None where nobody can tell.
    """

    size: int = 0
    export_paths: list[str] = []
    done: bool = True
    qos: dict[str, QosAnswer] = {}
    moved: int = 0
    note: str = ""
    missing: int | None = None


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
        migration, evacuation, failover: how a migration, an evacuation or a failover fares.
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
    migration: MigrationStatus | None = None
    evacuation: EvacuationStatus | None = None
    failover: FailoverStatus | None = None
