"""What the steps of a migration tell each other, and the plan that a dry run shows."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field

from shareflow.contracts.base import StrictModel
from shareflow.contracts.places import BeginStatus, Fence, ObjectPlace
from shareflow.contracts.qos import QosAnswer, QosChange


class PromiseView(StrictModel):
    """One promise: whether it was asked for, whether it holds, and why."""

    name: str
    asked: bool
    holds: bool
    reason: str


class MigrationPlan(StrictModel):
    """What a migration would do; bytes are those in use when it was made, seconds an estimate (None: unknown).

    ``mode`` is ``in_place`` when nothing moves; ``reason`` says of a retype why it does, or does not.
    """

    source: str
    destination: str
    mode: str
    mode_reason: str
    bytes: int | None
    snapshots: int
    seconds: int | None
    promises: list[PromiseView]
    placement: str
    reason: str = ""


class MigrationMemory(StrictModel):
    """What a migration must not forget when its workflow is continued or restarted; kept with its operation.

    Attributes:
        made: the destination was made on its backend, with these export paths and of this size in bytes.
        mode: of a replica: the access mode that was set on it last, empty when that is not known.
        paused, bandwidth: as last commanded.
        cutover: it was commanded; carried out as soon as that can be.
        sync_points: objects that were made on both sides for the copy's own sake, oldest first.
        named_at: when the newest of them was named, which is before it was frozen.
        common: the newest object that is whole on both sides, to base the next pass on: (source, destination).
        copied: the first copy has ended.
        passes, bytes_moved: so far.
        fenced: number of the cutover whose fence may stand on the source; 0 when none does.
        taken_back: number of the last cutover that was given up; a late attempt to switch for it is refused.
        cutovers: so many were begun.
        epochs: fencing numbers of the share and its snapshots under the last cutover.
        stopped_seconds: how long the last cutover stopped writers.
        taken: of a replica: the sync point whose content it has.
        passing: of a replica: a pass over its own files began and has not ended; they may be half new.
        anew: of a replica: the next pass relies on no records, since another instance is the active one.
        unrelated: of a replica: no backend knows the active instance's snapshots as those that the replica has.
        resync_stale: of a stale copy: it is resynced as soon as it is fenced.
    """

    made: bool = False
    export_paths: list[str] = []
    size: int = 0
    mode: str = ""
    paused: bool = False
    bandwidth: int | None = None
    cutover: bool = False
    ignore_open_files: bool = False
    sync_points: list[str] = []
    named_at: datetime | None = None
    common: list[str] = []
    copied: bool = False
    passes: int = 0
    bytes_moved: int = 0
    fenced: int = 0
    taken_back: int = 0
    cutovers: int = 0
    epochs: dict[str, int] = {}
    stopped_seconds: float = 0.0
    taken: str = ""
    passing: bool = False
    anew: bool = False
    unrelated: bool = False
    resync_stale: bool = False


class CopyTerms(StrictModel):
    """One copy of a share that is brought up to date in passes, and how.

    Attributes:
        mode: ``driver`` or ``host``.
        destination: the copy.
        epoch: fencing number of the calls on it before a cutover.
        fence_mode: access mode that holds writers off the source: ``ro``, or ``none`` where that is all it can.
        withhold: the destination can be kept from clients until it is switched to.
        shrinks: the destination can be made smaller.
        brief: see :class:`Migration`.
    """

    mode: str
    destination: ObjectPlace
    epoch: int
    fence_mode: str
    withhold: bool
    shrinks: bool = True
    brief: bool = False
    memory: MigrationMemory = MigrationMemory()


class Migration(CopyTerms):
    """A migration as it was begun; part of ``Begun``. ``plan`` is as a dry run shows it."""

    plan: MigrationPlan


class SnapshotLeg(StrictModel):
    """One snapshot on both sides; ``epoch`` for calls on its copy at the destination, ``done`` when that is whole."""

    id: str
    name: str
    source: ObjectPlace
    target: ObjectPlace
    epoch: int
    done: bool


class FollowInput(StrictModel):
    """Before each pass: keep the memory, note which snapshots are whole at the destination, and see what changed.

    ``done`` are ids of snapshots; ``dropped`` names of objects at the destination, copies of snapshots that were
    deleted, that are gone there now.
    """

    operation: str
    memory: MigrationMemory
    done: list[str] = []
    dropped: list[str] = []


class Followed(StrictModel):
    """What the share is now.

    Attributes:
        destination: with the size that it has to have.
        legs: the share's snapshots, oldest first.
        gone: copies at the destination of snapshots that were deleted meanwhile.
        trouble: why the destination cannot follow (no room for growth or for a snapshot); empty when it can.
    """

    destination: ObjectPlace
    legs: list[SnapshotLeg]
    gone: list[ObjectPlace] = []
    trouble: str = ""


class CutoverBegun(StrictModel):
    """Answer to a begin of a cutover: the share, its snapshots and replicas are held, or whom to wait for.

    ``nudge`` has those of them that let go when they are told so, each with the command. ``qos`` is what the
    destination has to enforce: the share's size cannot change any more.
    """

    status: Annotated[BeginStatus, Field(strict=False)]
    waiting_for: list[str] = []
    nudge: dict[str, str] = {}
    fences: list[Fence] = []
    snapshot_fences: list[Fence] = []
    qos: QosChange | None = None


class PassView(StrictModel):
    """One pass as people see it: what it moved, and how long it took."""

    number: int
    bytes_moved: int
    seconds: float


class MigrationStatus(StrictModel):
    """How a migration fares; part of the answer to the status query.

    Attributes:
        passes: the last ones; ``bytes_moved`` is of all.
        bandwidth: the limit now, in bytes per second; None for none.
        lag_seconds: age of what the destination has; None before the first copy has ended.
        lag_bytes: how much is expected to have changed since, from what the last pass moved in its time.
        window_seconds: how long writers would be stopped if it cut over now; None before the first copy has ended.
        cutover: what is to happen, in words.
    """

    mode: str
    source: str
    destination: str
    passes: list[PassView]
    bytes_moved: int
    bandwidth: int | None
    lag_seconds: float | None
    lag_bytes: int | None
    window_seconds: float | None
    cutover: str


class SwitchInput(StrictModel):
    """The point of no return: the destination is the share from here on.

    ``qos`` is what its backend made of each limit.
    """

    operation: str
    export_paths: list[str]
    memory: MigrationMemory
    qos: dict[str, QosAnswer] = {}


class EndCutoverInput(StrictModel):
    """The share and its snapshots are given back: its source serves again, or its destination from now on."""

    operation: str
    memory: MigrationMemory


class CutoverEnded(StrictModel):
    """Claims on the share and its snapshots were given back; whose turn it may be now."""

    wake: list[str] = []
