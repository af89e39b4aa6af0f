"""All workflow types that a worker serves."""

from __future__ import annotations

from workflows.apply_specs import ApplySpecs
from workflows.create_share import CreateShare
from workflows.create_share_from_snapshot import CreateShareFromSnapshot
from workflows.create_snapshot import CreateSnapshot
from workflows.delete_share import DeleteShare
from workflows.delete_snapshot import DeleteSnapshot
from workflows.detect_drift import DetectDrift
from workflows.forget_share import ForgetShare
from workflows.reconcile import ReconcileBackend, ReconcileClaims
from workflows.resize_share import ResizeShare
from workflows.revert_share import RevertShare
from workflows.set_share_qos import SetShareQos
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
    ApplySpecs,
    DetectDrift,
    ReconcileClaims,
    ReconcileBackend,
    UnknownOperation,
)
