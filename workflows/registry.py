"""All workflow types that a worker serves."""

from __future__ import annotations

from workflows.apply_specs import ApplySpecs
from workflows.create_replica import CreateReplica
from workflows.create_share import CreateShare
from workflows.create_share_from_snapshot import CreateShareFromSnapshot
from workflows.create_snapshot import CreateSnapshot
from workflows.delete_replica import DeleteReplica
from workflows.delete_share import DeleteShare
from workflows.delete_snapshot import DeleteSnapshot
from workflows.detect_drift import DetectDrift
from workflows.drain_pool import DrainPool
from workflows.evacuate import EvacuateBackend, EvacuatePool
from workflows.failover import FailbackBackend, FailoverBackend
from workflows.forget_share import ForgetShare
from workflows.migrate_replica import MigrateReplica
from workflows.migrate_share import MigrateShare
from workflows.promote_replica import PromoteReplica
from workflows.reconcile import ReconcileBackend, ReconcileClaims
from workflows.resize_share import ResizeShare
from workflows.resync_replica import ResyncReplica
from workflows.retype_share import RetypeShare
from workflows.revert_share import RevertShare
from workflows.set_share_qos import SetShareQos
from workflows.sync_replica import SyncReplica
from workflows.unknown_operation import UnknownOperation

WORKFLOWS: tuple[type, ...] = (
    CreateShare,
    CreateShareFromSnapshot,
    CreateSnapshot,
    DeleteSnapshot,
    RevertShare,
    ResizeShare,
    DeleteShare,
    ForgetShare,
    SetShareQos,
    MigrateShare,
    RetypeShare,
    DrainPool,
    EvacuatePool,
    EvacuateBackend,
    FailoverBackend,
    FailbackBackend,
    CreateReplica,
    SyncReplica,
    ResyncReplica,
    PromoteReplica,
    MigrateReplica,
    DeleteReplica,
    ApplySpecs,
    DetectDrift,
    ReconcileClaims,
    ReconcileBackend,
    UnknownOperation,
)
