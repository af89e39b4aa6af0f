"""The rounds of a replica in the inventory: hold it, see what the share is now, keep what the round came to."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, RowMapping

from activities.recipes.migrate import COPIED, available_snapshots, snapshot_legs, space_of
from activities.recipes.moving import title
from activities.recipes.replicate import terms_of
from inventory import claims, replicas, resources
from inventory.claims import Want
from inventory.database import now
from inventory.operations import OpenOperation
from shareflow import names
from shareflow.contracts.migration_steps import MigrationMemory, SnapshotLeg
from shareflow.contracts.places import BeginStatus, ObjectPlace
from shareflow.contracts.replica_steps import (
    EndRoundInput,
    FollowReplicaInput,
    ReplicaFollowed,
    RoundBegun,
    RoundEnded,
)
from shareflow.contracts.replication import ReplicaState
from shareflow.contracts.steps import Begun
from shareflow.contracts.units import format_size
from shareflow.errors import InvalidState, NotFound, StaleClaim


def begin_round(connection: Connection, operation: OpenOperation, begun: Begun) -> RoundBegun:
    """Hold the replica for one round, or stand in line; ``ended`` when it is none any more. Idempotent."""
    if begun.instance is None:
        raise StaleClaim(f"operation {operation.id} has no replica")
    replica = begun.instance.id
    try:
        answer = claims.request(connection, operation.id, [Want("instance", replica)])
        found = replicas.row(connection, replica)
    except NotFound:
        return RoundBegun(status=BeginStatus.ENDED)
    if found["sync_operation"] != operation.id:
        return RoundBegun(status=BeginStatus.ENDED)
    if not answer.granted:
        return RoundBegun(status=BeginStatus.WAITING, waiting_for=list(answer.waiting_for[:20]))
    replicas.note(connection, replica, tried_at=now())
    return RoundBegun(
        status=BeginStatus.STARTED,
        source=resources.instance_place(connection, found["share_id"]),
        fences=list(answer.fences),
        terms=terms_of(connection, found),
    )


def follow(connection: Connection, operation: OpenOperation, step: FollowReplicaInput) -> ReplicaFollowed:
    """Keep the memory, note what was copied, and say what the share is now. The same step again: the same answer.

    Raises StaleClaim when the operation does not hold the replica.
    """
    found = _held(connection, operation, step.replica)
    if _turned(found, step):
        raise InvalidState(
            f"another copy of share {found['share_id']} has become the active one since this round began",
            hint="the next round follows that one",
        )
    measured: dict[str, Any] = {}
    if step.missing is not None:
        measured = {"behind_bytes": step.missing, "behind_at": step.measured_at}
    replicas.note(connection, step.replica, memory=step.memory.model_dump(mode="json"), **measured)
    pool = resources.pool_row(connection, found["pool_id"])
    source = resources.instance_place(connection, found["share_id"])
    _settle_copies(connection, found, step)
    staying = available_snapshots(connection, found["share_id"])
    place = resources.place_of(found)
    trouble = _grow(connection, operation, found, pool, source.size)
    trouble = trouble or _add_new(connection, operation, place, pool, staying)
    legs, gone = _legs(connection, found, staying)
    size = place.size if trouble else source.size
    return ReplicaFollowed(
        source=source, destination=place.model_copy(update={"size": size}), legs=legs, gone=gone, trouble=trouble
    )


def _held(connection: Connection, operation: OpenOperation, replica: str) -> RowMapping:
    if all(fence.id != replica for fence in claims.held(connection, operation.id)):
        raise StaleClaim(f"operation {operation.id} does not hold replica {replica}")
    return replicas.row(connection, replica)


def _legs(
    connection: Connection, found: RowMapping, staying: Sequence[RowMapping]
) -> tuple[list[SnapshotLeg], list[ObjectPlace]]:
    """The share's snapshots on both sides, and copies of those that are gone."""
    legs, targets = snapshot_legs(connection, found["id"], staying, found["epoch"])
    known = {row["id"] for row in resources.snapshots_of(connection, found["share_id"])}
    return legs, [target for snapshot, target in targets.items() if snapshot not in known]


def _settle_copies(connection: Connection, found: RowMapping, step: FollowReplicaInput | EndRoundInput) -> None:
    """Copies that are whole at the replica by now; those that are gone from there give back the room that they took."""
    rows = [row for row in resources.copies_on(connection, found["id"]) if row["object"] in step.dropped]
    resources.drop_copies(connection, [row["id"] for row in rows])
    resources.set_copies(connection, found["id"], step.done, status=COPIED)


def _grow(connection: Connection, operation: OpenOperation, found: RowMapping, pool: RowMapping, size: int) -> str:
    growth = size - found["size"]
    if growth <= 0 or replicas.resize(connection, found, operation.id, size):
        return ""
    return _no_room(pool, f"to grow by {format_size(growth)} with its share")


def _no_room(pool: RowMapping, what: str) -> str:
    room = format_size(max(0, (pool["limit_bytes"] or 0) - pool["allocated_bytes"]))
    return f"pool {title(pool)} has no room {what}: {room} are left; delete something there, or raise its capacity"


def _add_new(
    connection: Connection,
    operation: OpenOperation,
    place: ObjectPlace,
    pool: RowMapping,
    snapshots: Sequence[RowMapping],
) -> str:
    """Copies of snapshots that were taken since; why one cannot be, in words."""
    known = {row["snapshot_id"] for row in resources.copies_on(connection, place.id)}
    for snapshot in snapshots:
        if snapshot["id"] in known:
            continue
        space = space_of(pool, [snapshot])
        if space and not replicas.grow(connection, operation.id, place.pool_id, space):
            return _no_room(pool, f"for a copy of snapshot {snapshot['name']!r}")
        resources.add_copy(connection, snapshot, place)
        resources.set_copies(connection, place.id, [snapshot["id"]], allocated_bytes=space)
    return ""


def end_round(connection: Connection, operation: OpenOperation, step: EndRoundInput) -> RoundEnded:
    """Keep what a round came to; its sync lets the replica go. Repeated: nothing more happens."""
    if any(fence.id == step.replica for fence in claims.held(connection, operation.id)):
        _keep(connection, operation, step)
    if operation.kind != names.SYNC_REPLICA:
        return RoundEnded()
    return RoundEnded(wake=claims.release(connection, operation.id))


def _keep(connection: Connection, operation: OpenOperation, step: EndRoundInput) -> None:
    found = replicas.row(connection, step.replica)
    _settle_copies(connection, found, step)
    if _turned(found, step):
        _keep_fence(connection, found, step)
        return
    changes: dict[str, Any] = {"memory": step.memory.model_dump(mode="json"), "error": step.error[:2000]}
    synced_at = step.synced_at or found["synced_at"]
    if step.synced_at is not None:
        source = resources.instance_place(connection, found["share_id"])
        if step.memory.size == source.size < found["size"]:  # it was made smaller there by now
            replicas.resize(connection, found, operation.id, source.size)
        changes |= {"synced_at": step.synced_at, "moved_bytes": step.moved, "stale": ""}
        changes["moved_seconds"] = None if step.whole else seconds_between(found["synced_at"], step.synced_at)
    elif step.fenced:
        changes["stale"] = _after_fence(step.memory)
    elif found["stale"] == "unfenced" and not step.error:
        changes["error"] = found["error"]  # the round gave way: what keeps the fence from being put up is as it was
    stale = changes.get("stale", found["stale"])
    fresh = synced_at is not None and now() - synced_at <= timedelta(seconds=found["loss"])
    state = ReplicaState.IN_SYNC if fresh else ReplicaState.OUT_OF_SYNC
    changes["state"] = (ReplicaState.ERROR if stale or step.error else state).value
    replicas.note(connection, step.replica, **changes)


def _keep_fence(connection: Connection, found: RowMapping, step: EndRoundInput) -> None:
    """A stale copy is fenced from whichever instance is the active one: it stays fenced for the next promotion too."""
    if step.fenced:
        noted = replicas.memory_of(found).model_copy(update={"mode": step.memory.mode})
        changes = {"memory": noted.model_dump(mode="json"), "error": step.error[:2000], "stale": _after_fence(noted)}
        replicas.note(connection, step.replica, **changes)


def _after_fence(memory: MigrationMemory) -> str:
    return "" if memory.resync_stale else "kept"


def _turned(found: RowMapping, step: FollowReplicaInput | EndRoundInput) -> bool:
    """Whether a promotion has turned the replica to another active instance since the round took up its memory.

    What the round knows is about the one before: kept, it would hide what the promotion has noted.
    """
    noted = replicas.memory_of(found)
    named_at = step.memory.named_at
    if not noted.anew or noted.named_at is None or (named_at is not None and named_at >= noted.named_at):
        return False
    return noted.sync_points[-1] not in step.memory.sync_points


def seconds_between(before: datetime | None, after: datetime) -> int | None:
    """The time between two rounds or looks that had everything; None for the first one."""
    return None if before is None or after <= before else max(1, round((after - before).total_seconds()))
