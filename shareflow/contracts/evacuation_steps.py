"""What the steps of an evacuation tell each other, and what people see of one."""

from __future__ import annotations

from shareflow.contracts.base import StrictModel
from shareflow.contracts.fan_out import ChildState, FanOutMemory, FollowFanOut, NamedShare, RunningShare


class NotMoved(StrictModel):
    """A share that is still there, and why; ``operation`` is its migration, if it had one.

    ``replica`` is the id of the replica when that is what is there.
    """

    share_id: str
    name: str
    project: str
    reason: str
    operation: str = ""
    replica: str = ""


class LeavingShare(NamedShare):
    """A share that is to leave, or a replica of one: then ``id`` is the replica's, and ``share`` the share's."""

    snapshots: int
    share: str = ""


class EvacuationMemory(FanOutMemory):
    """What an evacuation must not forget when its workflow is continued or restarted; kept with its operation.

    Which shares it has moved is not among it: each has an operation of its own, ``<evacuation>/<share id>``.
    """

    bandwidth: int | None = None


class Evacuation(StrictModel):
    """An evacuation as it was begun; part of ``Begun``.

    Attributes:
        source: ``backend/pool``, or the backend.
        pools: ids of the pools that are emptied.
        marked: ids of those that it has marked as drained; they were not before.
        drained: the pools take nothing new.
    """

    source: str
    backend: str
    pool: str | None
    pools: list[str]
    marked: list[str]
    drained: bool
    memory: EvacuationMemory


class FollowEvacuationInput(FollowFanOut):
    """Keep the memory, and look; the operations of shares are migrations."""

    memory: EvacuationMemory


class ChildView(ChildState):
    """The migration of one share; ``copied`` when its first copy is there."""

    share: LeavingShare
    copied: bool = False
    moved: bool = False
    bytes_moved: int = 0


class EvacuationReport(StrictModel):
    """What has been done: shares and replicas that were moved, and those still there whose turn is over.

    ``replicas_moved`` says how many of those that were moved are replicas; at most 1,000 are listed.
    """

    moved: int = 0
    replicas_moved: int = 0
    bytes_moved: int = 0
    not_moved: list[NotMoved] = []


class EvacuationFollowed(StrictModel):
    """Answer to a look.

    Attributes:
        shares: the next ones, replicas among them, in order of their ids.
        children: the migrations that were asked for; after ``take_up`` all that are under way.
        left: shares in view that are still there, and replicas of such.
        waiting: those of them whose turn is still to come.
        report: after ``take_up``.
    """

    shares: list[LeavingShare] = []
    children: list[ChildView] = []
    left: int
    waiting: int = 0
    report: EvacuationReport | None = None


class EvacuationStatus(StrictModel):
    """How an evacuation fares; part of the answer to the status query.

    Attributes:
        moved: shares and replicas that have left by it.
        failed: shares whose migration failed, or that cannot be moved; ``not_moved`` has the first 1,000 of them.
        running: those that move now.
        waiting: shares and replicas whose turn is still to come.
        left: shares in view and replicas that are still there, those that move included, when it last looked.
        bytes_moved: by the migrations that have ended, and by the passes of those that run when it last looked.
        bandwidth: limit of all together in bytes per second; None for none.
    """

    source: str
    moved: int
    failed: int
    running: list[RunningShare]
    waiting: int = 0
    left: int
    bytes_moved: int
    bandwidth: int | None
    not_moved: list[NotMoved]
