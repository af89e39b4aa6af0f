"""What the steps of operations on replicas tell each other."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field

from shareflow.contracts.base import StrictModel
from shareflow.contracts.migration_steps import CopyTerms, MigrationMemory, SnapshotLeg
from shareflow.contracts.places import BeginStatus, Fence, ObjectPlace
from shareflow.contracts.qos import QosAnswer
from shareflow.contracts.replication import SyncReplicaInput


class ReplicaTerms(CopyTerms):
    """A replica as an operation that holds it finds it.

    Attributes:
        replica: id of its instance.
        mode_between: access mode between two rounds: ``ro``, ``none``, or empty where the driver has neither.
        interval, loss: as the type says, in seconds.
        sync_operation: who keeps it in step.
        stale: ``unfenced``, ``kept`` or empty; see :class:`inventory.tables.Replica`.
        behind: the last round failed: before the next one copies it is measured how much is missing.
    """

    replica: str
    mode_between: str
    interval: int
    loss: int
    sync_operation: str
    stale: str = ""
    behind: bool = False


class LeavingReplica(StrictModel):
    """A replica that goes with its share, which holds it: with all copies of snapshots beside it."""

    terms: ReplicaTerms
    copies: list[ObjectPlace]


class RoundBegun(StrictModel):
    """Answer to the begin of a round: the replica is held, or whom to wait for, or ``ended``: it is none any more.

    ``nudge`` has those that let go when they are told so, each with the command.
    """

    status: Annotated[BeginStatus, Field(strict=False)]
    waiting_for: list[str] = []
    nudge: dict[str, str] = {}
    source: ObjectPlace | None = None
    fences: list[Fence] = []
    terms: ReplicaTerms | None = None


class FollowReplicaInput(StrictModel):
    """Before each pass: keep the memory with the replica, note which snapshots are whole there, see what changed.

    As ``FollowInput``, and ``missing``: so many bytes of the active instance were not there at ``measured_at``; None
    when that was not measured.
    """

    operation: str
    replica: str
    memory: MigrationMemory
    done: list[str] = []
    dropped: list[str] = []
    missing: int | None = None
    measured_at: datetime | None = None


class ReplicaFollowed(StrictModel):
    """What the share is now; as ``Followed``, with the instance that is active."""

    source: ObjectPlace
    destination: ObjectPlace
    legs: list[SnapshotLeg]
    gone: list[ObjectPlace] = []
    trouble: str = ""


class EndRoundInput(StrictModel):
    """A round is over: what it came to is kept with the replica, which others may have.

    Attributes:
        synced_at: the moment of which the replica has the content; None when the round failed.
        moved: bytes that it moved.
        whole: they say nothing of what clients had changed: nothing that was copied before was relied on.
        error: why it failed.
        fenced: a stale copy was reached and fenced.
        done, dropped: as in ``FollowInput``; what the round did since it looked last.
    """

    operation: str
    replica: str
    memory: MigrationMemory
    done: list[str] = []
    dropped: list[str] = []
    synced_at: datetime | None = None
    moved: int = 0
    whole: bool = False
    error: str = ""
    fenced: bool = False


class SwitchReplicaInput(StrictModel):
    """The point of no return of a promotion: the replica is the share from here on.

    ``qos`` is what its backend made of each limit.
    """

    operation: str
    memory: MigrationMemory
    qos: dict[str, QosAnswer] = {}


class WatchInput(StrictModel):
    """Look at a replica ``looks`` times, ``interval`` seconds apart, as long as it has everything.

    A look that takes longer than ``patience`` seconds is given up: a round finds out what is wrong.
    """

    operation: str
    replica: str
    interval: float
    looks: int
    patience: float


class Watched(StrictModel):
    """``idle``: the replica has what the share has, which is noted with it; otherwise a round finds out what to do."""

    idle: bool


class SyncRun(SyncReplicaInput):
    """What a run of a sync hands to the next one.

    Attributes:
        lean: it is not the first run: the replica is watched, and the run is short.
        watched_at: the backend whose worker can watch the replica, empty for none.
        interval: seconds between two rounds, as the last one found it.
        failures: rounds that have failed in a row.
        distrust: nothing is relied on that was copied before.
        shown, note: what people see of it.
    """

    lean: bool = False
    watched_at: str = ""
    interval: int = 0
    failures: int = 0
    distrust: bool = False
    shown: str = ""
    note: str = ""


class RoundEnded(StrictModel):
    """Whose turn it may be now."""

    wake: list[str] = []
