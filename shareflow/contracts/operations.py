"""Input and result of every operation, one pair per workflow type.

Inputs are what ``temporal workflow start --input '{...}'`` takes: resources by name or id, sizes as text with units or
as whole bytes. Results are what the workflow returns.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from shareflow.contracts.base import Duration, Name, ResourceRef, Size, StrictModel, Text
from shareflow.contracts.qos import QosView
from shareflow.contracts.specs import Documents, PlanLine, PlanToken


class OnBusy(StrEnum):
    """What to do when another operation holds the resource."""

    QUEUE = "queue"
    FAIL = "fail"


class OperationState(StrEnum):
    """Where an operation is. The last three are its only endings (``needs-operator`` keeps retrying)."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED_CLEAN = "failed-clean"
    NEEDS_OPERATOR = "needs-operator"


class Request(StrictModel):
    """What every operation's input has.

    Attributes:
        project: the tenant; nothing outside it can be seen or changed.
        by: who asks, for the audit.
        reason: why, for the audit.
        on_busy: wait in line for a busy resource, or fail at once naming the operation in the way.
    """

    project: Name = "default"
    by: Text = ""
    reason: Text = ""
    on_busy: Annotated[OnBusy, Field(strict=False)] = OnBusy.QUEUE


class AffinityBy(StrEnum):
    """What near means: in the same pool, on the same backend, or in the same zone."""

    POOL = "pool"
    BACKEND = "backend"
    ZONE = "zone"


class PlacedRequest(Request):
    """What every operation's input has that places a share.

    Attributes:
        pool, backend, zone: pin the placement; otherwise the best fitting pool is taken.
        affinity, anti_affinity: shares of the project that the new one is to be near to, or apart from.
        affinity_by: what near means.
    """

    zone: Name | None = None
    backend: Name | None = None
    pool: Name | None = None
    affinity: Annotated[list[ResourceRef], Field(max_length=16)] = Field(default_factory=list)
    anti_affinity: Annotated[list[ResourceRef], Field(max_length=16)] = Field(default_factory=list)
    affinity_by: Annotated[AffinityBy, Field(strict=False)] = AffinityBy.POOL


class CreateShareInput(PlacedRequest):
    """Make an empty share."""

    name: Name
    size: Size
    type: Name = "standard"
    description: Text = ""


class CreateShareFromSnapshotInput(PlacedRequest):
    """Make a share with the content of a snapshot.

    Attributes:
        share: the snapshot's share.
        size: at least the snapshot's size (its default); may grow.
        type: default the snapshot's share's type; may differ, as may zone, backend and pool.
    """

    name: Name
    share: ResourceRef
    snapshot: ResourceRef
    size: Size | None = None
    type: Name | None = None
    description: Text = ""


class CreateSnapshotInput(Request):
    """Freeze a share's content under a name of its own."""

    share: ResourceRef
    name: Name
    description: Text = ""


class DeleteSnapshotInput(Request):
    """Delete one snapshot for good. Shares made from it stay."""

    share: ResourceRef
    snapshot: ResourceRef


class RevertShareInput(Request):
    """Take a share back to any of its snapshots; all snapshots stay."""

    share: ResourceRef
    snapshot: ResourceRef


class ResizeShareInput(Request):
    """Set a share's size. A shrink is refused when the bytes in use do not fit."""

    share: ResourceRef
    size: Size


class SetShareQosInput(Request):
    """Give a share another QoS class, in its current version; the values are those of the share's size now.

    Attributes:
        qos: name of the class, or null for none.
    """

    share: ResourceRef
    qos: Name | None


class DeleteShareInput(Request):
    """Move a share with its whole tree to the recycle bin; it is purged when its retention ends.

    Attributes:
        retention: how long it can be restored; default from the share's type.
        preview: only say what would go and what that frees.
    """

    share: ResourceRef
    retention: Duration | None = None
    preview: bool = False


class ForgetShareInput(Request):
    """Remove a share's rows and leave its data on the backend; a tombstone lets the reconciler find what stayed."""

    share: ResourceRef


class DrainPoolInput(Request):
    """Place nothing new in a pool from now on, or with ``drained: false`` again. What is there stays there."""

    backend: Name
    pool: Name
    drained: bool = True


class ApplySpecsInput(Request):
    """Make a set of specs the one that counts, whole, in one transaction.

    Attributes:
        documents: the set, as records.
        plan: the token of the plan that this carries out.
        allow: removals of what is in use that are meant: names, or ``Kind/name``.
    """

    documents: Documents
    plan: PlanToken
    allow: Annotated[list[Text], Field(max_length=1000)] = Field(default_factory=list)


class RestoreInput(StrictModel):
    """Take a deleted share out of the recycle bin; a new name is needed when its own was taken meanwhile."""

    name: Name | None = None
    by: Text = ""


class PurgeNowInput(StrictModel):
    """End the retention now. There is no way back."""

    by: Text = ""


class ExtendRetentionInput(StrictModel):
    """Move the purge later by ``extend_by``."""

    extend_by: Duration
    by: Text = ""


class CommandInput(StrictModel):
    """Input of commands that need nothing but a name for the audit."""

    by: Text = ""


class InstanceLost(CommandInput):
    """Sent by a promotion: the active instance was declared lost, and nothing at its ``backend`` is waited for."""

    backend: Text


class OperationResult(StrictModel):
    """What every result has."""

    operation: str
    state: Annotated[OperationState, Field(strict=False)] = OperationState.SUCCEEDED


class ShareResult(OperationResult):
    """The share after the operation; size in bytes."""

    share_id: str
    name: str
    size: int
    pool: str
    backend: str
    export_locations: list[str]


class SetShareQosResult(OperationResult):
    """The share's quality of service after the operation; null without a class."""

    share_id: str
    name: str
    qos: QosView | None


class ApplySpecsResult(OperationResult):
    """What was changed; without the keys, which the plan has.

    Attributes:
        specs_revision: of the set that counts now.
        digest: of its content.
        left_off: changes that were left off to keep the result short.
    """

    specs_revision: int
    digest: str
    changed: list[PlanLine]
    left_off: int = 0


class SnapshotResult(OperationResult):
    """The snapshot after the operation; size in bytes of its share when it was taken."""

    snapshot_id: str
    share_id: str
    name: str
    size: int


class TreeItem(StrictModel):
    """One resource that goes with a share."""

    kind: str
    id: str
    name: str
    size: int


class DeleteShareResult(OperationResult):
    """What became of a deleted share.

    Attributes:
        outcome: ``preview``, ``purged`` or ``restored``.
        tree: the share and what goes with it.
        frees_bytes: capacity that the purge gives back to the pools; without what it left behind.
        left_behind: objects of replicas whose backend did not answer, each as ``backend/pool/object``: the reconciler
            deletes them when it answers again.
    """

    share_id: str
    name: str
    outcome: str
    tree: list[TreeItem]
    frees_bytes: int
    purge_at: datetime | None = None
    left_behind: list[str] = []


class DrainPoolResult(OperationResult):
    """Whether the pool is drained now, and how many shares are still on it or on their way."""

    backend: str
    pool: str
    drained: bool
    shares: int


class ForgetShareResult(OperationResult):
    """What was left behind on the backends: object names with their pools."""

    share_id: str
    name: str
    left_behind: list[str]
