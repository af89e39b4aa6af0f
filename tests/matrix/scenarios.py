"""The operations of the matrix, each in the situations in which it passes points of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from drivers.fake import FaultKind
from shareflow import names
from tests.matrix import effects
from tests.matrix.effects import Effect
from tests.matrix.situations import (
    Drive,
    Prepare,
    Rules,
    applied,
    as_opened,
    behind_another,
    busy_revert,
    cancel_in_the_pause,
    commands_cutover,
    half_then_refused,
    held_at,
    home,
    kept_in_step,
    meanwhile,
    once,
    replicated,
    round_then_delete,
    same_set,
    sends,
    source_unreadable,
)
from tests.matrix.stage import GIB, Stage

Ending = Literal["succeeded", "failed", "cancelled"]
ALL_POOLS = ("a1", "a2", "b1", "b2")


@dataclass(frozen=True)
class Scenario:
    """One operation in one situation.

    Attributes:
        prepare: makes what the operation needs.
        fields: its input, or what finds it out.
        effect: what a success changes; everything else must be as before.
        natural: how it ends when nothing of the matrix is injected.
        rules: scripted faults that belong to the situation (a pool that refuses, a step that is undone).
        drive: what is sent to it while it runs.
        focus: only points with these prefixes get cells; empty for all that it passes.
        refusable: backend steps whose refusal ends the operation failed-clean.
        movable: backend steps whose pool-specific refusal sends it to the next pool.
        settled: points at which a cancel comes too late.
        either: points at which a cancel may still be in time.
        used: calls per verb that the situation's own rules take first.
        behind: point that has to be passed before visits count; empty for the begin.
        most: so many visits of a point get cells at most; 0 for all.
    """

    name: str
    kind: str
    prepare: Prepare
    fields: Mapping[str, Any] | Callable[[Stage], Mapping[str, Any]]
    effect: Effect
    natural: Ending = "succeeded"
    rules: Rules | None = None
    drive: Drive | None = None
    focus: tuple[str, ...] = ()
    refusable: tuple[str, ...] = ()
    movable: tuple[str, ...] = ()
    settled: tuple[str, ...] = ("inventory.commit",)
    either: tuple[str, ...] = ()
    used: Mapping[str, int] = field(default_factory=dict)
    behind: str = ""
    most: int = 0

    def request(self, stage: Stage) -> dict[str, Any]:
        """The operation's input."""
        return stage.input(**(self.fields(stage) if callable(self.fields) else self.fields))


_NEW = {"name": "new", "size": 3 * GIB}
_COPY = {"share": "home", "snapshot": "s1", "name": "copy", "size": 3 * GIB}
_COPIED = effects.makes_share("copy", 3 * GIB, source="snapshot home/s1", pools=ALL_POOLS)
_HOME = {"share": "home"}
_SETTLED_UNDO = ("inventory", "backend", "mover")
_UNDOING = ("inventory.begin_undo", "inventory.abort")

CREATES = (
    Scenario(
        "CreateShare", names.CREATE_SHARE, home(), _NEW, effects.makes_share("new", 3 * GIB, pools=ALL_POOLS),
        refusable=("backend.create_share",), movable=("backend.create_share",),
    ),
    Scenario(
        "CreateShare-next-pool", names.CREATE_SHARE, home(), _NEW,
        effects.makes_share("new", 3 * GIB, pools=ALL_POOLS[1:]),
        rules=once(FaultKind.FULL, "create_share", "create"),
        focus=("backend.delete_share", "inventory.place_again"),
    ),
    Scenario(
        "CreateShare-undone", names.CREATE_SHARE, home(), _NEW, effects.nothing, "failed",
        rules=half_then_refused("create_share", "create"),
        focus=("backend.delete_share", *_UNDOING), settled=_SETTLED_UNDO,
    ),
    Scenario(
        "Clone", names.CREATE_SHARE_FROM_SNAPSHOT, home(snapshots=1), _COPY, _COPIED,
        refusable=("backend.clone_snapshot",), movable=("backend.clone_snapshot",),
    ),
    Scenario(
        "Clone-slow", names.CREATE_SHARE_FROM_SNAPSHOT, home("b1", snapshots=1), _COPY, _COPIED,
        focus=("backend",), refusable=("backend.clone_snapshot",), movable=("backend.clone_snapshot",),
    ),
    Scenario(
        "Clone-undone", names.CREATE_SHARE_FROM_SNAPSHOT, home(snapshots=1), _COPY, effects.nothing, "failed",
        rules=half_then_refused("clone_snapshot", "clone"),
        focus=("backend.delete_share", "inventory.abort"), settled=_SETTLED_UNDO,
    ),
    Scenario(
        "Copy", names.CREATE_SHARE_FROM_SNAPSHOT, home(snapshots=1), {**_COPY, "zone": "west"},
        effects.makes_share("copy", 3 * GIB, source="snapshot home/s1", pools=("a2", "b1")),
        refusable=("backend.create_share", "mover.copy"), movable=("backend.create_share", "mover.copy"),
    ),
    Scenario(
        "Copy-next-pool", names.CREATE_SHARE_FROM_SNAPSHOT, home(snapshots=1), {**_COPY, "zone": "west"},
        effects.makes_share("copy", 3 * GIB, source="snapshot home/s1", pools=("b1",)),
        rules=source_unreadable(FaultKind.FULL),
        focus=("backend.delete_share", "mover.forget", "inventory.place_again"),
    ),
    Scenario(
        "Copy-undone", names.CREATE_SHARE_FROM_SNAPSHOT, home(snapshots=1), {**_COPY, "zone": "west"},
        effects.nothing, "failed",
        rules=source_unreadable(FaultKind.REJECT),
        focus=("backend.delete_share", "mover.forget", "inventory.abort"), settled=_SETTLED_UNDO,
    ),
)  # fmt: skip

SNAPSHOTS = (
    Scenario(
        "CreateSnapshot", names.CREATE_SNAPSHOT, home(snapshots=1), {**_HOME, "name": "new"},
        effects.makes_snapshot("home", "new"), refusable=("backend.create_snapshot",),
    ),
    Scenario(
        "CreateSnapshot-slow", names.CREATE_SNAPSHOT, home("b1"), {**_HOME, "name": "new"},
        effects.makes_snapshot("home", "new"), focus=("backend",), refusable=("backend.create_snapshot",),
    ),
    Scenario(
        "CreateSnapshot-undone", names.CREATE_SNAPSHOT, home(), {**_HOME, "name": "new"}, effects.nothing, "failed",
        rules=half_then_refused("create_snapshot", "snapshot"),
        focus=("backend.delete_snapshot", "inventory.abort"), settled=_SETTLED_UNDO,
    ),
    Scenario(
        "DeleteSnapshot", names.DELETE_SNAPSHOT, home(snapshots=2), {**_HOME, "snapshot": "s1"},
        effects.removes("snapshot home/s1"),
        settled=("backend", "inventory.commit"), either=("inventory.mark",),
    ),
    Scenario(
        "DeleteSnapshot-slow", names.DELETE_SNAPSHOT, home("b1", snapshots=1), {**_HOME, "snapshot": "s1"},
        effects.removes("snapshot home/s1"), focus=("backend",), settled=("backend",),
    ),
    Scenario(
        "DeleteSnapshot-refused", names.DELETE_SNAPSHOT, home(snapshots=1), {**_HOME, "snapshot": "s1"},
        effects.removes("snapshot home/s1"),
        rules=once(FaultKind.REJECT, "delete_snapshot", "delete-snapshot"),
        focus=("inventory.mark",), either=("inventory.mark",),
    ),
    Scenario(
        "RevertShare", names.REVERT_SHARE, home(snapshots=2), {**_HOME, "snapshot": "s1"},
        effects.reverts("home", "s1"),
        refusable=("backend.revert_share",), either=("backend.revert_share",),
    ),
    Scenario(
        "RevertShare-slow", names.REVERT_SHARE, home("b1", snapshots=1), {**_HOME, "snapshot": "s1"},
        effects.reverts("home", "s1"),
        focus=("backend",), refusable=("backend.revert_share",), either=("backend.revert_share",),
    ),
    Scenario(
        "RevertShare-stopped", names.REVERT_SHARE, home(snapshots=1), {**_HOME, "snapshot": "s1"},
        effects.reverts("home", "s1"), "cancelled",
        rules=busy_revert(done=False), drive=cancel_in_the_pause, focus=("backend.stop_job", "inventory.abort"),
        settled=_SETTLED_UNDO,
    ),
    Scenario(
        "RevertShare-overtaken", names.REVERT_SHARE, home(snapshots=1), {**_HOME, "snapshot": "s1"},
        effects.reverts("home", "s1"),
        rules=busy_revert(done=True), drive=cancel_in_the_pause, focus=("backend.stop_job",), settled=_SETTLED_UNDO,
    ),
)  # fmt: skip

RESIZES = (
    Scenario(
        "ResizeShare-grow", names.RESIZE_SHARE, home(snapshots=1), {**_HOME, "size": 5 * GIB},
        effects.resizes("home", 5 * GIB), refusable=("backend.resize_share",),
    ),
    Scenario(
        "ResizeShare-shrink", names.RESIZE_SHARE, home(), {**_HOME, "size": GIB},
        effects.resizes("home", GIB), refusable=("backend.resize_share",),
    ),
    Scenario(
        "ResizeShare-undone", names.RESIZE_SHARE, home(), {**_HOME, "size": 5 * GIB}, effects.nothing, "failed",
        rules=half_then_refused("resize_share", "resize"),
        focus=("backend.resize_share", "inventory.abort"), settled=_SETTLED_UNDO, used={"resize_share": 2},
    ),
    Scenario(
        "ResizeShare-queued", names.RESIZE_SHARE, behind_another, {**_HOME, "size": 5 * GIB},
        effects.resizes("home", 5 * GIB), focus=("inventory.begin",),
    ),
)  # fmt: skip

_GOLD = {"max_iops": 300, "max_throughput": 2**20, "min_iops": 30}  # of 3 GiB
_SET = ("backend.set_qos",)

LIMITS = (
    Scenario(
        "SetShareQos", names.SET_SHARE_QOS, home(kind="fast", snapshots=1), {**_HOME, "qos": "silver"},
        effects.bounds("home", "silver", {"max_iops": 50, "min_iops": 40}), refusable=_SET,
    ),
    Scenario(
        "SetShareQos-none", names.SET_SHARE_QOS, home(kind="fast"), {**_HOME, "qos": None},
        effects.bounds("home", "", {}), focus=_SET, refusable=_SET,
    ),
    Scenario(
        "SetShareQos-undone", names.SET_SHARE_QOS, home(kind="fast"), {**_HOME, "qos": "silver"},
        effects.nothing, "failed",
        rules=half_then_refused("set_qos", "qos-limits"),
        focus=("backend.set_qos", "inventory.abort"), settled=_SETTLED_UNDO, used={"set_qos": 2},
    ),
    Scenario(
        "ResizeShare-qos", names.RESIZE_SHARE, home(kind="fast"), {**_HOME, "size": 3 * GIB},
        effects.resizes("home", 3 * GIB, _GOLD), focus=_SET, refusable=_SET,
    ),
    Scenario(
        "CreateShare-qos", names.CREATE_SHARE, home(), {**_NEW, "type": "fast"},
        effects.makes_share("new", 3 * GIB, pools=ALL_POOLS, qos="gold", limits=_GOLD),
        focus=_SET, refusable=_SET, movable=_SET,
    ),
    Scenario(
        "Clone-qos", names.CREATE_SHARE_FROM_SNAPSHOT, home(snapshots=1), {**_COPY, "type": "fast"},
        effects.makes_share("copy", 3 * GIB, source="snapshot home/s1", pools=ALL_POOLS, qos="gold", limits=_GOLD),
        focus=_SET, refusable=_SET, movable=_SET,
    ),
    Scenario(
        "Copy-qos", names.CREATE_SHARE_FROM_SNAPSHOT, home(snapshots=1), {**_COPY, "type": "fast", "zone": "west"},
        effects.makes_share("copy", 3 * GIB, source="snapshot home/s1", pools=ALL_POOLS, qos="gold", limits=_GOLD),
        focus=_SET, refusable=_SET, movable=_SET,
    ),
)  # fmt: skip

_PURGED = effects.removes("share home", "snapshot home/s1", "snapshot home/s2")
_BIN = ("inventory.begin_purge", "backend.delete", "inventory.commit")

DELETIONS = (
    Scenario(
        "DeleteShare-purge", names.DELETE_SHARE, home(snapshots=2), _HOME, _PURGED,
        drive=sends((names.PURGE_NOW, {}, "purged")), refusable=("backend.set_access_mode",), settled=_BIN,
    ),
    Scenario(
        "DeleteShare-purge-slow", names.DELETE_SHARE, home("b1", snapshots=1), _HOME, _PURGED,
        drive=sends((names.PURGE_NOW, {}, "purged")), focus=("backend.delete",), settled=_BIN,
    ),
    Scenario(
        "DeleteShare-retention-ends", names.DELETE_SHARE, home(snapshots=1), {**_HOME, "retention": "1 s"}, _PURGED,
        focus=("inventory.soft_deleted", "inventory.begin_purge"), settled=_BIN, either=("inventory.soft_deleted",),
    ),
    Scenario(
        "DeleteShare-restore", names.DELETE_SHARE, home(snapshots=1), _HOME, effects.nothing,
        drive=sends((names.RESTORE, {}, "restored")),
        focus=("backend.set_access_mode", "inventory.restore_rows", "inventory.commit"),
        refusable=("backend.set_access_mode#1",), either=("inventory.restore_rows",),
        settled=("backend.set_access_mode#2", "inventory.commit"),
    ),
    Scenario(
        "DeleteShare-extend", names.DELETE_SHARE, home(), _HOME, effects.nothing,
        drive=sends((names.EXTEND_RETENTION, {"extend_by": "2 d"}, "purge at"), (names.RESTORE, {}, "restored")),
        focus=("inventory.retention",),
    ),
    Scenario(
        "DeleteShare-undone", names.DELETE_SHARE, home(snapshots=1), _HOME, effects.nothing, "failed",
        rules=half_then_refused("set_access_mode", "withhold"),
        focus=("backend.set_access_mode", *_UNDOING), settled=_SETTLED_UNDO, used={"set_access_mode": 2},
    ),
    Scenario(
        "DeleteShare-replicated", names.DELETE_SHARE, replicated(), _HOME,
        effects.removes("share home", "snapshot home/s1", "replica home/a2", "content of home/a2"),
        drive=sends((names.PURGE_NOW, {}, "purged")), focus=("backend.delete", "inventory.commit"), settled=_BIN,
        most=1,
    ),
    Scenario(
        "ForgetShare", names.FORGET_SHARE, home(snapshots=2), _HOME, effects.forgets("home"), settled=("inventory",),
    ),
)  # fmt: skip

_MOVE = {
    **_HOME, "to_pool": "a2", "preserve_snapshots": True, "grace": 0, "cutover_when": "immediately",
}  # fmt: skip
_BY_DRIVER, _BY_HOST = {**_MOVE, "mode": "driver"}, {**_MOVE, "mode": "host"}
_ON_COMMAND = {**_BY_DRIVER, "cutover_when": "manual"}
_MOVED = effects.migrates("home", "a2")
_FENCED = "backend.fence.after_call"
_SWITCHED = ("inventory.switch_share", "inventory.end_cutover", "inventory.commit")

MIGRATIONS = (
    Scenario(
        "MigrateShare-driver", names.MIGRATE_SHARE, home(snapshots=1), _BY_DRIVER, _MOVED,
        refusable=("backend.create_share", "backend.set_access_mode"),
        settled=(*_SWITCHED, "backend.delete_share", "mover.forget"), most=1,
    ),
    Scenario(
        "MigrateShare-driver-fenced", names.MIGRATE_SHARE, home(snapshots=1), _BY_DRIVER, _MOVED,
        focus=("backend.create_snapshot", "mover.receive", "backend.set_access_mode", "backend.delete_snapshot"),
        settled=("backend.set_access_mode", "backend.delete_snapshot"), behind=_FENCED, most=1,
    ),
    Scenario(
        "MigrateShare-repeated", names.MIGRATE_SHARE, home(snapshots=1), _BY_DRIVER, _MOVED,
        rules=once(FaultKind.REJECT, "revert_share", "take-1"),
        focus=("inventory.follow_share", "backend.set_access_mode", "inventory.end_cutover"),
        behind="backend.revert_share.before_call", most=1,
    ),
    Scenario(
        "MigrateShare-slow", names.MIGRATE_SHARE, home("b1", snapshots=1), {**_BY_DRIVER, "to_pool": "b2"},
        effects.migrates("home", "b2"), focus=("mover.receive",), most=2,
    ),
    Scenario(
        "MigrateShare-host", names.MIGRATE_SHARE, home(snapshots=1), _BY_HOST, _MOVED,
        focus=("backend.create_snapshot", "mover.copy"), most=1,
    ),
    Scenario(
        "MigrateShare-host-fenced", names.MIGRATE_SHARE, home(snapshots=1), _BY_HOST, _MOVED,
        focus=("mover.copy",), behind=_FENCED, most=1,
    ),
    Scenario(
        "MigrateShare-replicated", names.MIGRATE_SHARE, replicated("b1"), _BY_DRIVER, _MOVED,
        focus=("inventory.begin_cutover", "inventory.switch_share", "inventory.end_cutover", "backend.delete_snapshot"),
        settled=_SWITCHED, most=1,
    ),
    Scenario(
        "MigrateShare-qos", names.MIGRATE_SHARE, home(snapshots=1), {**_BY_DRIVER, "to_type": "fast"},
        effects.migrates("home", "a2", {"max_iops": 200, "max_throughput": 2**20, "min_iops": 20}, "gold"),
        focus=_SET, most=1,
    ),
    Scenario(
        "MigrateShare-next-pool", names.MIGRATE_SHARE, home(snapshots=1), {**_MOVE, "to_pool": None},
        effects.migrates("home", "b1"), rules=once(FaultKind.FULL, "create_share", "create"),
        focus=("inventory.place_again", "backend.delete_share"),
        settled=("backend.delete_share",), either=("backend.delete_share",), most=1,
    ),
    Scenario(
        "MigrateShare-cutover", names.MIGRATE_SHARE, home(snapshots=1), _ON_COMMAND, _MOVED,
        drive=commands_cutover, focus=("no point",), most=1,
    ),
    Scenario(
        "MigrateShare-bandwidth", names.MIGRATE_SHARE, home(snapshots=1), _BY_DRIVER, _MOVED,
        rules=held_at("mover.receive.before_call"),
        drive=meanwhile(names.SET_BANDWIDTH, {"bandwidth": "1 GiB/s"}, "1 GiB"),
        focus=("mover.set_bandwidth",), most=1,
    ),
    Scenario(
        "MigrateShare-cancel", names.MIGRATE_SHARE, home(snapshots=1), _ON_COMMAND, effects.nothing, "cancelled",
        rules=held_at("backend.create_snapshot.before_call", 2),
        drive=meanwhile(names.CANCEL_MIGRATION, {}, "cancelling"),
        focus=("backend.delete", *_UNDOING), settled=_SETTLED_UNDO, most=1,
    ),
    Scenario(
        "MigrateShare-cancel-host", names.MIGRATE_SHARE, home(snapshots=1), {**_ON_COMMAND, "mode": "host"},
        effects.nothing, "cancelled",
        rules=held_at("backend.create_snapshot.before_call"),
        drive=meanwhile(names.CANCEL_MIGRATION, {}, "cancelling"),
        focus=("mover.forget",), settled=_SETTLED_UNDO, most=1,
    ),
)  # fmt: skip

_UNSENT = ("backend.create_snapshot", "backend.delete_snapshot", "backend.revert_share", "mover.receive")
_PROMOTED = ("inventory.switch_replica", "inventory.commit", "backend.set_access_mode", "mover.forget")
_REPLICA = {**_HOME, "replica": "a2"}
_LOST = {**_HOME, "lost": True, "accept_loss": True, "reason": "matrix"}

REPLICATIONS = (
    Scenario(
        "CreateReplica", names.CREATE_REPLICA, home(kind="twice", snapshots=1), {**_HOME, "pool": "a2"},
        effects.makes_replica("a2"), refusable=("backend", "mover"), most=1,
    ),
    Scenario(
        "CreateReplica-undone", names.CREATE_REPLICA, home(kind="twice", snapshots=1), {**_HOME, "pool": "a2"},
        effects.nothing, "failed",
        rules=once(FaultKind.REJECT, "revert_share", "take-1"),
        focus=("backend.delete", "inventory.abort"), settled=_SETTLED_UNDO, behind="backend.revert_share.before_call",
        most=1,
    ),
    Scenario(
        "CreateReplica-next-pool", names.CREATE_REPLICA, home(kind="twice", snapshots=1), _HOME,
        effects.makes_replica("b1"), rules=once(FaultKind.FULL, "create_share", "create"),
        focus=("inventory.place_again", "backend.delete_share"), most=1,
    ),
    Scenario(
        "ResyncReplica", names.RESYNC_REPLICA, replicated(changed=True), _REPLICA, effects.resyncs("a2"),
        refusable=("backend", "mover"), most=1,
    ),
    Scenario(
        "DeleteReplica", names.DELETE_REPLICA, replicated(), _REPLICA,
        effects.removes("replica home/a2", "content of home/a2"), settled=("backend", "inventory.commit"), most=1,
    ),
    Scenario(
        # The share is on the slow array: what the other one is asked for concerns the two replicas.
        "MigrateReplica", names.MIGRATE_REPLICA, replicated("a1", at="b1"), {**_HOME, "replica": "a1", "to_pool": "a2"},
        effects.moves_replica("a1", "a2"),
        focus=("inventory", "backend.create_share", "backend.set_access_mode", "backend.revert_share",
               "backend.delete_share", "mover.receive"),
        refusable=("backend.create_share", "backend.set_access_mode", "backend.revert_share", "mover.receive"),
        settled=("inventory.switch_replica", "inventory.commit", "backend.delete_share"), most=1,
    ),
    Scenario(
        "MigrateReplica-next-pool", names.MIGRATE_REPLICA, replicated("a1", at="b1"), {**_HOME, "replica": "a1"},
        effects.moves_replica("a1", "b2"), rules=once(FaultKind.FULL, "create_share", "create"),
        focus=("inventory.place_again",), most=1,
    ),
    Scenario(
        "PromoteReplica", names.PROMOTE_REPLICA, replicated(changed=True), _HOME, effects.promotes("a2"),
        refusable=(*_UNSENT, "backend.fence", "mover.verify"), settled=_PROMOTED, most=1,
    ),
    Scenario(
        "PromoteReplica-fenced", names.PROMOTE_REPLICA, replicated(changed=True), _HOME, effects.promotes("a2"),
        focus=("backend.create_snapshot", "backend.revert_share", "mover.receive"), refusable=_UNSENT,
        behind=_FENCED, most=1,
    ),
    Scenario(
        "PromoteReplica-undone", names.PROMOTE_REPLICA, replicated(changed=True), _HOME, effects.nothing, "failed",
        rules=once(FaultKind.REJECT, "revert_share", "take-0"),
        focus=("backend.set_access_mode", "mover.forget", *_UNDOING), settled=_SETTLED_UNDO, most=1,
    ),
    Scenario(
        "PromoteReplica-lost", names.PROMOTE_REPLICA, replicated(changed=True), _LOST,
        effects.promotes("a2", lost=True),
        focus=("inventory.switch_replica", "backend.set_access_mode"),
        refusable=("backend.set_access_mode#1",),
        settled=("inventory.switch_replica", "inventory.commit", "backend.set_access_mode#2"), most=2,
    ),
    Scenario(
        "SyncReplica", names.SYNC_REPLICA, kept_in_step, as_opened,
        effects.removes("replica home/a2", "content of home/a2"), drive=round_then_delete,
        focus=("inventory.begin_round", "inventory.follow_replica", "inventory.end_round", *_UNSENT),
        settled=("inventory", "backend", "mover"), most=1,
    ),
)  # fmt: skip

RETYPES = (
    Scenario(
        "RetypeShare", names.RETYPE_SHARE, home(snapshots=1), {**_HOME, "type": "fast"},
        effects.bounds("home", "gold", {"max_iops": 200, "max_throughput": 2**20, "min_iops": 20}),
        focus=("inventory", "backend.set_qos"), refusable=_SET,
    ),
    Scenario(
        "RetypeShare-undone", names.RETYPE_SHARE, home(kind="fast"), {**_HOME, "type": "standard"},
        effects.nothing, "failed",
        rules=half_then_refused("set_qos", "qos-limits"),
        focus=("backend.set_qos", "inventory.abort"), settled=_SETTLED_UNDO, used={"set_qos": 2},
    ),
)  # fmt: skip

POOLS = (
    Scenario(
        # No cell may move the shares of others: the pool has none, and a whole backend is only looked at.
        "EvacuatePool",
        names.EVACUATE_POOL,
        home(),
        {"backend": "beta", "pool": "drained"},
        effects.nothing,
    ),
    Scenario(
        "EvacuateBackend",
        names.EVACUATE_BACKEND,
        home(),
        {"backend": "beta", "dry_run": True},
        effects.nothing,
        settled=("inventory",),
    ),
    Scenario(
        "FailoverBackend",
        names.FAILOVER_BACKEND,
        home(),
        {"backend": "gamma", "lost": True, "accept_loss": True, "reason": "matrix"},
        effects.nothing,
    ),
    Scenario(
        "FailbackBackend",
        names.FAILBACK_BACKEND,
        home(),
        {"backend": "gamma"},
        effects.nothing,
        "failed",
        either=("inventory.begin",),
        settled=_SETTLED_UNDO,
    ),
    Scenario(
        "DrainPool",
        names.DRAIN_POOL,
        home(),
        {"backend": "beta", "pool": "drained"},
        effects.nothing,
        settled=("inventory",),
    ),
)
SPECS = (Scenario("ApplySpecs", names.APPLY_SPECS, applied, same_set, effects.nothing, settled=("inventory",)),)

SCENARIOS: dict[str, Scenario] = {
    each.name: each
    for each in (
        *CREATES,
        *SNAPSHOTS,
        *RESIZES,
        *LIMITS,
        *DELETIONS,
        *MIGRATIONS,
        *REPLICATIONS,
        *RETYPES,
        *POOLS,
        *SPECS,
    )
}
