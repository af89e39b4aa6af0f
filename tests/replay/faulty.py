"""Cells of the fault matrix whose histories are kept: endings and detours that only faults bring about."""

from __future__ import annotations

CELLS: dict[str, str] = {
    "create_share_undone": "CreateShare-undone|none|F0",
    "create_share_worker_killed": "CreateShare|backend.create_share.after_call|F2",
    "create_share_database_lost": "CreateShare|inventory.commit.before_transaction|F13",
    "create_share_cancel_too_late": "CreateShare|backend.create_share.after_call|F3-cancel",
    "create_share_hung": "CreateShare|backend.create_share.before_call|F7",
    "clone_undone": "Clone-undone|none|F0",
    "clone_refused_then_copied": "Clone|backend.clone_snapshot.before_call|F12",
    "copy_next_pool": "Copy-next-pool|none|F0",
    "copy_undone": "Copy-undone|none|F0",
    "copy_cancelled": "Copy|mover.copy.before_call|F20",
    "create_snapshot_undone": "CreateSnapshot-undone|none|F0",
    "create_snapshot_cancelled": "CreateSnapshot|backend.create_snapshot.before_call|F20",
    "delete_snapshot_called_an_operator": "DeleteSnapshot-refused|none|F0",
    "revert_stopped": "RevertShare-stopped|none|F0",
    "revert_overtaken": "RevertShare-overtaken|none|F0",
    "revert_refused": "RevertShare|backend.revert_share.before_call|F6",
    "resize_queued": "ResizeShare-queued|none|F0",
    "resize_cancelled": "ResizeShare-grow|backend.resize_share.before_call|F20",
    "set_qos_half_then_refused": "SetShareQos-undone|none|F0",
    "set_qos_worker_killed": "SetShareQos|backend.set_qos.after_call|F2",
    "set_qos_cancelled": "SetShareQos|backend.set_qos.before_call|F20",
    "create_share_limits_refused_next_pool": "CreateShare-qos|backend.set_qos.before_call|F12-readonly",
    "delete_undone": "DeleteShare-undone|none|F0",
    "delete_commands_at_once": "DeleteShare-purge|messages|F19",
    "delete_cancelled_in_the_step": "DeleteShare-purge|backend.set_access_mode.after_call|F3-cancel",
    "forget_cancelled_too_late": "ForgetShare|inventory.begin.after_commit|F3-cancel",
}
