"""Questions to the inventory and their answers. Every question names its project; there is no other way in."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Generic, TypeVar

from pydantic import Field

from shareflow.contracts.base import Name, ResourceRef, Size, StrictModel, Text
from shareflow.contracts.operations import AffinityBy, OperationState
from shareflow.contracts.qos import QosView
from shareflow.contracts.replication import ReplicaState
from shareflow.contracts.steps import Failure

PAGE_LIMIT = 1000


class ShareStatus(StrEnum):
    """Where a share is. All but ``available`` and ``recycle-bin`` belong to an open operation."""

    CREATING = "creating"
    AVAILABLE = "available"
    RESIZING = "resizing"
    REVERTING = "reverting"
    DELETING = "deleting"
    RECYCLE_BIN = "recycle-bin"
    RESTORING = "restoring"
    PURGING = "purging"
    SETTING_QOS = "setting-qos"
    RETYPING = "retyping"
    CUTTING_OVER = "cutting-over"
    PROMOTING = "promoting"


class SnapshotStatus(StrEnum):
    """Where a snapshot is. All but ``available`` belong to an open operation."""

    CREATING = "creating"
    AVAILABLE = "available"
    DELETING = "deleting"


class ListQuery(StrictModel):
    """What every list takes.

    Attributes:
        limit: rows on a page, 1 to 1,000.
        after: the ``next`` of the page before; empty for the first page.
        sort: field to sort by; each list names its fields. ``descending`` turns it round.
    """

    project: Name = "default"
    limit: Annotated[int, Field(ge=1, le=PAGE_LIMIT)] = 100
    after: Annotated[str, Field(max_length=1024)] = ""
    sort: Name = "name"
    descending: bool = False


class ShareQuery(ListQuery):
    """Shares of a project. Sort by ``name``, ``size``, ``created_at``, ``status``."""

    status: Annotated[ShareStatus | None, Field(strict=False)] = None
    type: Name | None = None
    backend: Name | None = None
    pool: Name | None = None
    name_prefix: Text = ""
    deleted: bool = False


class SnapshotQuery(ListQuery):
    """Snapshots of a project, or of one share of it. Sort by ``name``, ``size``, ``created_at``."""

    share: ResourceRef | None = None


class OperationQuery(ListQuery):
    """Operations of a project. Sort by ``created_at`` or ``kind``."""

    sort: Name = "created_at"
    descending: bool = True
    state: Annotated[OperationState | None, Field(strict=False)] = None
    kind: Name | None = None
    share: ResourceRef | None = None


class AuditQuery(ListQuery):
    """State changes, newest first, of a project, a share or an operation."""

    sort: Name = "at"
    descending: bool = True
    resource: ResourceRef | None = None
    operation: Annotated[str, Field(max_length=255)] = ""


class FindingQuery(ListQuery):
    """What the reconciler reports. Findings belong to the operator, not to a project."""

    sort: Name = "first_seen"
    open_only: bool = True


class ShareRef(StrictModel):
    """One share by name or id. ``deleted`` looks in the recycle bin too (by id)."""

    project: Name = "default"
    share: ResourceRef
    deleted: bool = False


class SnapshotRef(StrictModel):
    """One snapshot of a share, each by name or id."""

    project: Name = "default"
    share: ResourceRef
    snapshot: ResourceRef


class OperationRef(StrictModel):
    """One operation by id."""

    project: Name = "default"
    operation: Annotated[str, Field(min_length=1, max_length=255)]


class ProjectRef(StrictModel):
    """A project as a whole."""

    project: Name = "default"


class PlacementQuery(StrictModel):
    """Where would a share go? Nothing is reserved."""

    project: Name = "default"
    size: Size
    type: Name = "standard"
    zone: Name | None = None
    backend: Name | None = None
    pool: Name | None = None
    affinity: Annotated[list[ResourceRef], Field(max_length=16)] = Field(default_factory=list)
    anti_affinity: Annotated[list[ResourceRef], Field(max_length=16)] = Field(default_factory=list)
    affinity_by: Annotated[AffinityBy, Field(strict=False)] = AffinityBy.POOL


class ExportLocation(StrictModel):
    """A path to mount."""

    path: str
    protocol: str
    preferred: bool
    readonly: bool
    admin_only: bool


class InstanceView(StrictModel):
    """One physical copy of a share; ``role`` is active or replica, or destination or retired while it is moved."""

    id: str
    backend: str
    pool: str
    zone: str
    status: str
    size: int
    role: str = "active"


class MigrationView(StrictModel):
    """A migration that has the share: from and to which ``backend/pool``.

    ``phase`` is copying, cutting-over, or switched once the destination serves.
    """

    operation: str
    source: str
    destination: str
    phase: str


class ReplicaView(StrictModel):
    """A replica of a share at the moment of the read; sizes in bytes, times in UTC, durations in seconds.

    Attributes:
        id: of its instance.
        kind: ``readable`` (exported read-only) or ``dr`` (not exported until it is promoted).
        state: see :class:`~shareflow.contracts.replication.ReplicaState`; one whose content is older than ``loss`` is
            out of sync whatever its last round came to.
        synced_at, lag_seconds: the moment of which it has the content, and how long ago that is; None while it is
            seeded.
        lag_bytes, lag_measured_at: so many bytes of the active instance it did not have at that moment: 0 when its last
            good round began; more where a round measured it since, before it copied. None while it is seeded.
        change_rate: bytes a second that clients had changed before its last good round; None when no round could tell.
        moved_bytes: what its last round moved that succeeded.
        tried_at: when its last round began.
        interval, loss: between two rounds, and what its type tolerates.
        error: why its last round failed; empty when it did not.
        stale: its content left the line of the share: it was the active one and was declared lost. ``unfenced`` as long
            as it was not reached since, then ``kept``; a resync ends that. Empty otherwise.
        sync_operation: the operation that keeps it in step.
        operation: the operation that holds it now, or empty.
    """

    id: str
    backend: str
    pool: str
    zone: str
    kind: str
    state: Annotated[ReplicaState, Field(strict=False)]
    synced_at: datetime | None
    lag_seconds: float | None
    lag_bytes: int | None = None
    lag_measured_at: datetime | None = None
    change_rate: int | None = None
    moved_bytes: int
    tried_at: datetime | None
    interval: int
    loss: int
    error: str
    stale: str
    sync_operation: str
    operation: str


class ShareView(StrictModel):
    """A share as its project sees it; sizes in bytes, times in UTC.

    Attributes:
        operation: the operation that holds it now, or empty.
        purge_at: when it goes for good, while in the recycle bin.
        qos: its QoS class, what that comes to, and what the backend makes of each key; None without a class.
        migration: how it is being moved; None when it is not.
        export_locations: of the active instance, then those of readable replicas, which are read-only.
        replicas: its replicas, oldest first.
    """

    id: str
    project: str
    name: str
    status: Annotated[ShareStatus, Field(strict=False)]
    size: int
    type: str
    type_version: str
    protocol: str
    description: str
    backend: str
    pool: str
    operation: str
    created_at: datetime
    purge_at: datetime | None
    source_snapshot_id: str
    export_locations: list[ExportLocation] = []
    instances: list[InstanceView] = []
    snapshots: int = 0
    qos: QosView | None = None
    migration: MigrationView | None = None
    replicas: list[ReplicaView] = []


class SnapshotView(StrictModel):
    """A snapshot as its project sees it; ``size`` is its share's when it was taken."""

    id: str
    project: str
    share_id: str
    share: str
    name: str
    status: Annotated[SnapshotStatus, Field(strict=False)]
    size: int
    description: str
    operation: str
    created_at: datetime


class OperationView(StrictModel):
    """An operation as recorded.

    Attributes:
        request: its input.
        waiting_for: operations ahead of it in line.
        placement: why each pool was kept or dropped, in bounded form.
        left: for ``needs-operator``: what is left, where, and the command that continues it.
    """

    id: str
    project: str
    kind: str
    state: Annotated[OperationState, Field(strict=False)]
    share_id: str
    request: dict[str, Any]
    result: dict[str, Any] | None
    failure: Failure | None
    waiting_for: list[str]
    placement: dict[str, Any] | None
    left: str
    by: str
    reason: str
    created_at: datetime
    ended_at: datetime | None


class PoolView(StrictModel):
    """A pool: what it may hold, what is allocated in it, and what it reports of itself. Bytes.

    Attributes:
        iops_budget, throughput_budget: floors that it can promise, in IOPS and bytes per second; None: none at all.
        iops_promised, throughput_promised: floors that it has promised or reserved.
        drained: nothing new is placed there.
    """

    id: str
    backend: str
    name: str
    zone: str
    limit_bytes: int | None
    allocated_bytes: int
    total_bytes: int | None
    free_bytes: int | None
    reachable: bool
    attributes: dict[str, Any]
    iops_budget: int | None = None
    iops_promised: int = 0
    throughput_budget: int | None = None
    throughput_promised: int = 0
    drained: bool = False


class ShareTypeView(StrictModel):
    """A share type that can be asked for."""

    name: str
    version: str
    description: str
    document: dict[str, Any]


class QosClassView(StrictModel):
    """A QoS class that a share can be given."""

    name: str
    version: str
    description: str
    document: dict[str, Any]


class QuotaView(StrictModel):
    """A project's limits (None: unlimited) and what it uses. Bytes."""

    project: str
    shares_limit: int | None
    shares_used: int
    bytes_limit: int | None
    bytes_used: int
    snapshots_limit: int | None
    snapshots_used: int


class FindingView(StrictModel):
    """Something the reconciler found and did not repair by itself, or repaired and reports.

    Attributes:
        kind: orphan-object, missing-object, half-made-object, differing-size, differing-qos, unreachable-backend ...
        repaired: it is over; kept for the record.
    """

    id: str
    kind: str
    backend: str
    pool: str
    subject: str
    detail: str
    advice: str
    bytes: int
    first_seen: datetime
    last_seen: datetime
    repaired: bool


class AuditView(StrictModel):
    """One state change. ``digest`` chains it to the one before of the same resource."""

    at: datetime
    project: str
    resource_kind: str
    resource_id: str
    revision: int
    operation: str
    by: str
    before: str
    after: str
    why: str
    digest: str


class PlacementView(StrictModel):
    """Where a share would go, with the verdict on every pool."""

    chosen: str
    summary: str
    decision: dict[str, Any]


Row = TypeVar("Row", bound=StrictModel)


class Page(StrictModel, Generic[Row]):
    """One page of a list; ``next`` is the ``after`` of the following page, empty on the last."""

    items: list[Row]
    next: str = ""
