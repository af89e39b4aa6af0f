"""Names on the wire: queues, workflow types, activities, commands, search attributes.

Renaming one breaks running operations; add, never rename.
"""

from __future__ import annotations

from typing import Final

from temporalio.common import SearchAttributeKey

QUEUE: Final = "shareflow"
EVACUATIONS_QUEUE: Final = "shareflow-evacuations"
"""Where the migrations of evacuations run: few of them take a step at a time, so that nobody else waits for them."""
USUAL_PRIORITY: Final = 3
EVACUATIONS_PRIORITY: Final = 4
"""Temporal's priority key of their steps and copies: a backend's queue gives those of all others (3) out first."""


def backend_queue(backend: str) -> str:
    """Queue of the workers that can reach a backend."""
    return f"backend:{backend}"


def mover_queue(backend: str) -> str:
    """Queue of the workers that copy data into a backend."""
    return f"mover:{backend}"


def watch_queue(backend: str) -> str:
    """Queue of the workers that watch the replicas on a backend."""
    return f"watch:{backend}"


# Workflow types
CREATE_SHARE: Final = "CreateShare"
CREATE_SHARE_FROM_SNAPSHOT: Final = "CreateShareFromSnapshot"
CREATE_SNAPSHOT: Final = "CreateSnapshot"
DELETE_SNAPSHOT: Final = "DeleteSnapshot"
REVERT_SHARE: Final = "RevertShare"
RESIZE_SHARE: Final = "ResizeShare"
DELETE_SHARE: Final = "DeleteShare"
FORGET_SHARE: Final = "ForgetShare"
SET_SHARE_QOS: Final = "SetShareQos"
MIGRATE_SHARE: Final = "MigrateShare"
RETYPE_SHARE: Final = "RetypeShare"
DRAIN_POOL: Final = "DrainPool"
EVACUATE_POOL: Final = "EvacuatePool"
EVACUATE_BACKEND: Final = "EvacuateBackend"
FAILOVER_BACKEND: Final = "FailoverBackend"
FAILBACK_BACKEND: Final = "FailbackBackend"
CREATE_REPLICA: Final = "CreateReplica"
SYNC_REPLICA: Final = "SyncReplica"
RESYNC_REPLICA: Final = "ResyncReplica"
PROMOTE_REPLICA: Final = "PromoteReplica"
MIGRATE_REPLICA: Final = "MigrateReplica"
DELETE_REPLICA: Final = "DeleteReplica"
APPLY_SPECS: Final = "ApplySpecs"
DETECT_DRIFT: Final = "DetectDrift"
RECONCILE_BACKEND: Final = "ReconcileBackend"
RECONCILE_CLAIMS: Final = "ReconcileClaims"

OPERATION_TYPES: Final = (
    CREATE_SHARE,
    CREATE_SHARE_FROM_SNAPSHOT,
    CREATE_SNAPSHOT,
    DELETE_SNAPSHOT,
    REVERT_SHARE,
    RESIZE_SHARE,
    DELETE_SHARE,
    FORGET_SHARE,
    SET_SHARE_QOS,
    MIGRATE_SHARE,
    RETYPE_SHARE,
    DRAIN_POOL,
    EVACUATE_POOL,
    EVACUATE_BACKEND,
    FAILOVER_BACKEND,
    FAILBACK_BACKEND,
    CREATE_REPLICA,
    SYNC_REPLICA,
    RESYNC_REPLICA,
    PROMOTE_REPLICA,
    MIGRATE_REPLICA,
    DELETE_REPLICA,
    APPLY_SPECS,
)

# Commands into a running operation: update and signal of the same name, with what the UI says of them.
RESTORE: Final = "restore"
PURGE_NOW: Final = "purge_now"
EXTEND_RETENTION: Final = "extend_retention"
RETRY_NOW: Final = "retry_now"
CUTOVER: Final = "cutover"
CANCEL_MIGRATION: Final = "cancel_migration"
PAUSE: Final = "pause"
RESUME: Final = "resume"
SET_BANDWIDTH: Final = "set_bandwidth"
END_GRACE: Final = "end_grace"
COMMANDS: Final = {
    RESTORE: "Take the share with its whole tree out of the recycle bin; input may have a new name.",
    PURGE_NOW: "Delete the share and its tree for good, now. There is no way back.",
    EXTEND_RETENTION: "Move the purge later by extend_by.",
    RETRY_NOW: "Do not wait for the next retry; try the failing step again now.",
    CUTOVER: "Stop writers, copy the last changes, verify, and switch the share to its destination.",
    CANCEL_MIGRATION: "Give the migration up; the share stays where it is, as it is.",
    PAUSE: "Stop copying; what was copied stays, and the share stays writable.",
    RESUME: "Go on copying.",
    SET_BANDWIDTH: "Change the limit of the copy, while it runs; null lifts it.",
    END_GRACE: "Delete the old copy now instead of at the end of the grace period.",
}
COMMANDS_TO_MANY: Final = {
    PAUSE: "Begin no more shares. Migrations under way stop copying and their shares stay writable; promotions end.",
    RESUME: "Begin the next shares; migrations that were paused go on copying.",
    CUTOVER: "Cut over every share whose first copy is there; send it again for the others.",
    SET_BANDWIDTH: "Change the limit of all copies together, while they run; null lifts it.",
}
"""What commands do to an evacuation or a failover, which has an operation for each share."""
COMMAND_INPUTS: Final = {
    RESTORE: "{}",
    PURGE_NOW: "{}",
    EXTEND_RETENTION: '{"extend_by": "7 d"}',
    RETRY_NOW: "{}",
    CUTOVER: "{}",
    CANCEL_MIGRATION: "{}",
    PAUSE: "{}",
    RESUME: "{}",
    SET_BANDWIDTH: '{"bandwidth": "50 MiB/s"}',
    END_GRACE: "{}",
}
REPORT_PROGRESS: Final = "report_progress"  # signal from a slow step to its operation: how far it is
GIVE_WAY: Final = "give_way"  # signal between operations: let the replica go as soon as that can be
LET_GO: Final = "let_go"  # the same, and what still runs at the active instance is not waited for: it is lost
INSTANCE_LOST: Final = "instance_lost"  # signal between operations: end without the backend of the active instance
CLAIM_GRANTED: Final = "claim_granted"  # signal between operations: it may be your turn
STATUS: Final = "status"  # query: what the operation does now

# Reads: standalone activities on QUEUE
LIST_SHARES: Final = "ListShares"
GET_SHARE: Final = "GetShare"
LIST_SNAPSHOTS: Final = "ListSnapshots"
GET_SNAPSHOT: Final = "GetSnapshot"
LIST_OPERATIONS: Final = "ListOperations"
GET_OPERATION: Final = "GetOperation"
EXPLAIN_PLACEMENT: Final = "ExplainPlacement"
EXPLAIN_OPERATION: Final = "ExplainOperation"
LIST_POOLS: Final = "ListPools"
LIST_SHARE_TYPES: Final = "ListShareTypes"
LIST_QOS_CLASSES: Final = "ListQosClasses"
GET_QUOTA: Final = "GetQuota"
LIST_FINDINGS: Final = "ListFindings"
LIST_AUDIT: Final = "ListAudit"
PLAN_SPECS: Final = "PlanSpecs"
GET_SPECS: Final = "GetSpecs"
SAVE_INVENTORY: Final = "SaveInventory"

READS: Final = (
    LIST_SHARES,
    GET_SHARE,
    LIST_SNAPSHOTS,
    GET_SNAPSHOT,
    LIST_OPERATIONS,
    GET_OPERATION,
    EXPLAIN_PLACEMENT,
    EXPLAIN_OPERATION,
    LIST_POOLS,
    LIST_SHARE_TYPES,
    LIST_QOS_CLASSES,
    GET_QUOTA,
    LIST_FINDINGS,
    LIST_AUDIT,
    PLAN_SPECS,
    GET_SPECS,
    SAVE_INVENTORY,
)

# Inventory steps: local activities, one short transaction each
BEGIN: Final = "begin"
PLACE_AGAIN: Final = "place_again"
COMMIT: Final = "commit"
BEGIN_UNDO: Final = "begin_undo"
ABORT: Final = "abort"
MARK: Final = "mark"
SOFT_DELETED: Final = "soft_deleted"
RESTORE_ROWS: Final = "restore_rows"
BEGIN_PURGE: Final = "begin_purge"
RETENTION: Final = "retention"
FOLLOW_SHARE: Final = "follow_share"
BEGIN_CUTOVER: Final = "begin_cutover"
SWITCH_SHARE: Final = "switch_share"
END_CUTOVER: Final = "end_cutover"
FOLLOW_EVACUATION: Final = "follow_evacuation"
FOLLOW_FAILOVER: Final = "follow_failover"
BEGIN_ROUND: Final = "begin_round"
FOLLOW_REPLICA: Final = "follow_replica"
END_ROUND: Final = "end_round"
WATCH_REPLICA: Final = "watch_replica"
SWITCH_REPLICA: Final = "switch_replica"

# Backend steps: activities on backend_queue(name)
BACKEND_CREATE_SHARE: Final = "backend_create_share"
BACKEND_CLONE_SNAPSHOT: Final = "backend_clone_snapshot"
BACKEND_DELETE_SHARE: Final = "backend_delete_share"
BACKEND_RESIZE_SHARE: Final = "backend_resize_share"
BACKEND_SET_ACCESS_MODE: Final = "backend_set_access_mode"
BACKEND_SET_QOS: Final = "backend_set_qos"
BACKEND_CREATE_SNAPSHOT: Final = "backend_create_snapshot"
BACKEND_DELETE_SNAPSHOT: Final = "backend_delete_snapshot"
BACKEND_REVERT_SHARE: Final = "backend_revert_share"
BACKEND_STOP_JOB: Final = "backend_stop_job"
BACKEND_FENCE: Final = "backend_fence"
BACKEND_MEASURE: Final = "backend_measure"
BACKEND_RECONCILE: Final = "backend_reconcile"
MOVER_COPY: Final = "mover_copy"
MOVER_FORGET: Final = "mover_forget"
MOVER_RECEIVE: Final = "mover_receive"
MOVER_VERIFY: Final = "mover_verify"
MOVER_SET_BANDWIDTH: Final = "mover_set_bandwidth"

# Reconciler steps: activities on QUEUE
FIND_LOST_OPERATIONS: Final = "find_lost_operations"
RESUME_OPERATION: Final = "resume_operation"
REPORT_STRAYS: Final = "report_strays"

# Search for drift: activities on QUEUE, and one on backend_queue(name)
APPLIED_BACKENDS: Final = "applied_backends"
COMPARE_DRIFT: Final = "compare_drift"
BACKEND_DRIFT: Final = "backend_drift"

# Typed search attributes
SHARE_ID: Final = SearchAttributeKey.for_keyword("ShareId")
PROJECT: Final = SearchAttributeKey.for_keyword("Project")
BACKEND: Final = SearchAttributeKey.for_keyword("Backend")
OPERATION: Final = SearchAttributeKey.for_keyword("Operation")
PHASE: Final = SearchAttributeKey.for_keyword("Phase")
DEADLINE: Final = SearchAttributeKey.for_datetime("Deadline")
SEARCH_ATTRIBUTES: Final = (SHARE_ID, PROJECT, BACKEND, OPERATION, PHASE, DEADLINE)
