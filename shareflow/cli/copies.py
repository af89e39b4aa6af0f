"""How replicas are shown: the copies of a share side by side, and what operations on one came to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from shareflow.cli.figures import seconds
from shareflow.cli.output import moment, print_table, size, status
from shareflow.contracts.failover_steps import bytes_lost
from shareflow.contracts.replication import MigrateReplicaResult, PromoteReplicaResult, ReplicaResult
from shareflow.contracts.units import format_duration, format_size

if TYPE_CHECKING:
    from shareflow.contracts.reads import ReplicaView, ShareView


def state(replica: ReplicaView) -> Text:
    """The state in its colour, with what became of a stale copy."""
    shown = status(replica.state)
    return shown.append(f", stale: {replica.stale}") if replica.stale else shown


def lag(replica: ReplicaView) -> str:
    """How old the replica's content is; a dash while it is seeded."""
    return "-" if replica.lag_seconds is None else seconds(replica.lag_seconds)


def missing(replica: ReplicaView) -> str:
    """How many bytes it did not have when that was measured, and how long ago that was; a dash while it is seeded."""
    at = replica.lag_measured_at
    if replica.lag_bytes is None or at is None:
        return "-"
    synced = replica.synced_at
    age = 0.0 if synced is None else (replica.lag_seconds or 0.0) - (at - synced).total_seconds()
    return f"{format_size(replica.lag_bytes)} {seconds(max(0.0, age))} ago"


def rate(replica: ReplicaView) -> str:
    """What clients had changed a second before its last good round."""
    return "-" if replica.change_rate is None else f"{format_size(replica.change_rate)}/s"


def print_copies(share: ShareView) -> None:
    """The copies of a share: the active one, then its replicas and how each is in step."""
    active = [
        ("active", f"{one.backend}/{one.pool}", one.zone or "-", status("active"), *["-"] * 6, "", one.id)
        for one in share.instances
        if one.role == "active"
    ]
    replicas = [
        (
            "replica", f"{one.backend}/{one.pool}", one.zone or "-", state(one), lag(one), missing(one), rate(one),
            format_duration(one.loss), moment(one.synced_at), size(one.moved_bytes), one.error, one.id,
        )
        for one in share.replicas
    ]  # fmt: skip
    columns = (
        "ROLE", "POOL", "ZONE", "STATE", ">LAG", ">MISSING", ">CHANGES", ">TOLERATED", "LAST SYNC", ">MOVED",
        "LAST ERROR", "ID",
    )  # fmt: skip
    print_table(columns, [*active, *replicas], empty="")


def replica_result(result: ReplicaResult | PromoteReplicaResult) -> dict[str, object]:
    """What an operation on a replica came to."""
    place = f"{result.backend}/{result.pool}"
    if isinstance(result, PromoteReplicaResult):
        return {"share": result.name, "id": result.share_id, "active now": place, **_promoted(result)}
    return {
        "share": result.name,
        "id": result.share_id,
        "replica": place,
        "replica id": result.replica_id,
        **({"was in": result.source, "outcome": result.outcome} if isinstance(result, MigrateReplicaResult) else {}),
        "state": status(result.replica_state) if result.replica_state else "",
        "moved": format_size(result.bytes_moved) if result.bytes_moved else "",
        **{f"left behind {number}": name for number, name in enumerate(result.left_behind, 1)},
    }


def _loss(result: PromoteReplicaResult) -> str:
    return f"changes of the last {seconds(result.loss_seconds)}: {bytes_lost(result.loss_bytes, result.loss_rate)}"


def _promoted(result: PromoteReplicaResult) -> dict[str, object]:
    old = f"{result.demoted}, declared lost" if result.lost else f"{result.demoted}, a replica now"
    return {
        "was active": old,
        "lost": _loss(result) if result.lost else "nothing",
        "moved": format_size(result.bytes_moved) if result.bytes_moved else "",
        "writers were stopped": seconds(result.stopped_seconds) if result.stopped_seconds else "",
        **{f"migration {operation}": what for operation, what in result.migrations.items()},
        **{f"export {number}": path for number, path in enumerate(result.export_locations, 1)},
    }
