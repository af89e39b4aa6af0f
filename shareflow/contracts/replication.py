"""Input and result of the operations on replicas."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from shareflow.contracts.base import Name, Rate, ResourceRef
from shareflow.contracts.migration import Verify
from shareflow.contracts.operations import OperationResult, Request


class ReplicaState(StrEnum):
    """How a replica is in step with the active instance.

    ``seeding`` until it has had all content once; ``in_sync`` when the last round succeeded and what it has is not
    older than the loss that the type tolerates; ``out_of_sync`` when it is older, or was the active one and is behind
    since; ``error`` when the last round failed, or when it is a stale copy of a lost active one.
    """

    SEEDING = "seeding"
    IN_SYNC = "in_sync"
    OUT_OF_SYNC = "out_of_sync"
    ERROR = "error"


class Stale(StrEnum):
    """What becomes of the copy of a lost active instance once it is reached again and fenced."""

    KEEP = "keep"
    RESYNC = "resync"


class CreateReplicaInput(Request):
    """Make a replica of a share and keep it in step from then on, as the ``replicas`` rule of its type says.

    Attributes:
        zone, backend, pool: pin the placement; otherwise the best fitting pool apart from all copies is taken.
        same_domain: allow a failure domain that has a copy of the share already (never the same pool).
        bandwidth: limit of its copies in bytes per second; none unless given.
    """

    share: ResourceRef
    zone: Name | None = None
    backend: Name | None = None
    pool: Name | None = None
    same_domain: bool = False
    bandwidth: Rate | None = None


class ReplicaRequest(Request):
    """What operations on one replica have.

    Attributes:
        replica: the id of its instance, ``backend/pool``, or the name of its pool.
    """

    share: ResourceRef
    replica: Annotated[str, Field(min_length=1, max_length=127)]


class SyncReplicaInput(ReplicaRequest):
    """Keep a replica in step for as long as it is one. Started with the replica, by nobody else."""


class ResyncReplicaInput(ReplicaRequest):
    """Bring a replica up to date now.

    Attributes:
        full: look at everything again instead of relying on what was copied before.
    """

    full: bool = False


class DeleteReplicaInput(ReplicaRequest):
    """Delete one replica for good. The share and its other copies stay."""


class MigrateReplicaInput(ReplicaRequest):
    """Move a replica to another pool: another one is made there, and this one goes when that is in step.

    Attributes:
        to_pool, to_backend, to_zone: pin the destination; otherwise the best fitting pool apart from all other copies
            is taken.
        same_domain: allow a failure domain that has another copy of the share (never the same pool).
        bandwidth: limit of the copy in bytes per second; none unless given.
        from_backend, from_pool: what the replica is to leave: no pool of that backend is its destination, and a replica
            that is elsewhere when its turn comes stays where it is.
    """

    to_pool: Name | None = None
    to_backend: Name | None = None
    to_zone: Name | None = None
    same_domain: bool = False
    bandwidth: Rate | None = None
    from_backend: Name | None = None
    from_pool: Name | None = None


class PromoteReplicaInput(Request):
    """Make a replica the active instance of its share.

    Attributes:
        replica: as in :class:`ReplicaRequest`; None takes the one with the newest content.
        lost: the active instance is declared lost: it is neither fenced nor asked for its last changes first, and its
            copy is fenced as soon as it is reached again.
        accept_loss: promote although changes are lost with that.
        stale: see :class:`Stale`; with ``lost`` only.
        verify: compare both sides before the switch; never with ``lost``.
        ignore_open_files: promote although a process on the backend's host has files of the share open for writing.
    """

    share: ResourceRef
    replica: Annotated[str, Field(min_length=1, max_length=127)] | None = None
    lost: bool = False
    accept_loss: bool = False
    stale: Annotated[Stale, Field(strict=False)] = Stale.KEEP
    verify: Annotated[Verify, Field(strict=False)] = Verify.SAMPLED
    ignore_open_files: bool = False


class ReplicaResult(OperationResult):
    """A replica: its instance, where it is, and how it is in step.

    Attributes:
        bytes_moved: what this operation copied.
        left_behind: objects of a replica that is gone, whose backend did not answer, each as ``backend/pool/object``:
            the reconciler deletes them when it does.
    """

    share_id: str
    name: str
    replica_id: str
    backend: str
    pool: str
    replica_state: str
    bytes_moved: int = 0
    left_behind: list[str] = []


class MigrateReplicaResult(ReplicaResult):
    """The replica where it is now; its id is another one.

    Attributes:
        outcome: ``migrated``, or ``elsewhere`` (it had left the place that it was to leave; nothing was done).
        source: ``backend/pool`` where it was.
    """

    outcome: str
    source: str


class PromoteReplicaResult(OperationResult):
    """The new active instance.

    Attributes:
        demoted: ``backend/pool`` of the old one, which is a replica now.
        lost: the old one was declared lost.
        loss_seconds: age of what was promoted when that was decided; 0 when nothing was lost.
        loss_bytes: so many bytes were missing in the replica when a round measured it last, with ``lost``; None when no
            round has since it had everything: then nobody knows.
        loss_rate: bytes a second that clients had changed before its last good round, with ``lost``; None when no round
            could tell.
        lost_snapshots: names of snapshots that the replica did not have whole; with ``lost`` only.
        stopped_seconds: how long writers were stopped.
        migrations: those of the share that were under way, each ``cancelled`` or ``completed`` before the promotion.
    """

    share_id: str
    name: str
    replica_id: str
    backend: str
    pool: str
    export_locations: list[str]
    demoted: str
    lost: bool
    loss_seconds: float
    loss_bytes: int | None = 0
    loss_rate: int | None = None
    lost_snapshots: list[str] = []
    bytes_moved: int = 0
    stopped_seconds: float = 0.0
    migrations: dict[str, str] = {}
