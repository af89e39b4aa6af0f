"""What a running migration does in the inventory between its begin and its end: follow, cut over, switch."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, RowMapping

from activities import qos
from activities.recipes import followers
from activities.recipes.migrate import (
    AVAILABLE,
    COPIED,
    CREATING,
    CUTTING_OVER,
    GRACE,
    SWITCHED,
    MigrateShare,
    available_snapshots,
    migration_of,
    snapshot_legs,
    space_of,
    type_columns,
)
from activities.recipes.replicate import give_way
from inventory import audit, claims, operations, replicas, reservations, resources, tables
from inventory.claims import Want
from inventory.operations import OpenOperation
from shareflow.contracts.migration_steps import (
    CutoverBegun,
    CutoverEnded,
    EndCutoverInput,
    Followed,
    FollowInput,
    MigrationMemory,
    SwitchInput,
)
from shareflow.contracts.places import BeginStatus, Fence, ObjectPlace
from shareflow.contracts.qos import Floors, QosChange
from shareflow.contracts.steps import Begun
from shareflow.contracts.units import format_size
from shareflow.errors import InvalidState, NotFound, StaleClaim


def remembering(begun: Begun, memory: MigrationMemory) -> Begun:
    """The operation with what it must not forget."""
    return begun.model_copy(update={"migration": migration_of(begun).model_copy(update={"memory": memory})})


def _destination(connection: Connection, operation: OpenOperation, begun: Begun) -> ObjectPlace:
    """The destination as it is now. Raises InvalidState once the share was switched to it."""
    place = resources.place_in_role(connection, begun.share_id, "destination")
    if begun.phase or place is None:
        raise InvalidState(f"operation {operation.id} has switched the share already, there is nothing to follow")
    return place


# -- follow ----------------------------------------------------------------------------------------------------------


def follow(connection: Connection, operation: OpenOperation, begun: Begun, step: FollowInput) -> tuple[Begun, Followed]:
    """Keep the memory, note what was copied, and say what the share is now. The same step again: the same answer."""
    claims.check(connection, operation.id, begun.fences)
    place = _destination(connection, operation, begun)
    pool = resources.pool_row(connection, place.pool_id)
    _drop(connection, operation, place, pool, step.dropped)
    resources.set_copies(connection, place.id, step.done, status=COPIED)
    staying = available_snapshots(connection, begun.share_id)
    trouble = _add_new(connection, operation, place, pool, staying)
    legs, targets = snapshot_legs(connection, place.id, staying, migration_of(begun).epoch)
    stay = {row["id"] for row in staying}
    gone = [target for snapshot, target in targets.items() if snapshot not in stay]
    return remembering(begun, step.memory), Followed(destination=place, legs=legs, gone=gone, trouble=trouble)


def _drop(
    connection: Connection, operation: OpenOperation, place: ObjectPlace, pool: RowMapping, objects: Sequence[str]
) -> None:
    """These objects are gone from the destination's backend; what was set aside for them is free."""
    rows = [row for row in resources.copies_on(connection, place.id) if row["object"] in objects]
    resources.drop_copies(connection, [row["id"] for row in rows])
    if space := space_of(pool, rows):
        reservations.shrink_pending(connection, operation.id, place.pool_id, space)


def _add_new(
    connection: Connection,
    operation: OpenOperation,
    place: ObjectPlace,
    pool: RowMapping,
    snapshots: Sequence[RowMapping],
) -> str:
    """Copies for snapshots that were taken since; why one cannot be, in words."""
    known = {row["snapshot_id"] for row in resources.copies_on(connection, place.id)}
    for snapshot in snapshots:
        if snapshot["id"] in known:
            continue
        space = space_of(pool, [snapshot])
        if space and not reservations.grow_pending(connection, operation.id, place.pool_id, space):
            return (
                f"pool {place.backend}/{place.pool} has no room for a copy of snapshot {snapshot['name']!r} of "
                f"{format_size(space)}; delete something there, raise its capacity, or delete the snapshot"
            )
        resources.add_copy(connection, snapshot, place)
    return ""


# -- cutover ---------------------------------------------------------------------------------------------------------


def begin_cutover(connection: Connection, operation: OpenOperation, begun: Begun) -> tuple[Begun, CutoverBegun]:
    """Hold the share with all its snapshots, or stand in line. Idempotent. Raises InvalidState past the switch."""
    place = _destination(connection, operation, begun)
    answer = _claim_tree(connection, operation, begun.share_id)
    if not answer.granted:
        ahead = list(answer.waiting_for[:20])
        operations.note(connection, operation.id, waiting_for=ahead)
        syncs = give_way(connection, begun.share_id)
        return begun, CutoverBegun(status=BeginStatus.WAITING, waiting_for=ahead, nudge=syncs)
    answer = _above_all(connection, operation, begun.share_id, answer)
    operations.note(connection, operation.id, waiting_for=None)
    share = resources.share_row(connection, begun.share_id)
    if share["status"] != CUTTING_OVER:
        audit.change(
            connection,
            operation.actor,
            tables.shares,
            share["id"],
            after=CUTTING_OVER,
            why=f"to {place.backend}/{place.pool}",
        )
    begun = begun.model_copy(update={"qos": _qos(connection, operation, place, share["size"])})
    return begun, CutoverBegun(
        status=BeginStatus.STARTED,
        fences=[fence for fence in answer.fences if fence.kind == "share"],
        snapshot_fences=[fence for fence in answer.fences if fence.kind == "snapshot"],
        qos=begun.qos,
    )


def _claim_tree(connection: Connection, operation: OpenOperation, share_id: str) -> claims.Answer:
    """The share with its snapshots, once its replicas are held.

    One that is made, resynced or deleted may take hours: nobody has to wait for the share meanwhile.
    """
    claims.hold_still(connection, "share", share_id)
    while True:
        copies, snapshots = _tree(connection, share_id)
        try:
            if copies and not (held := claims.request(connection, operation.id, copies)).granted:
                return held
            return claims.request(connection, operation.id, [Want("share", share_id), *snapshots])
        except NotFound:
            # PostgreSQL: a snapshot was deleted between the look and the lock, or a replica.
            if (copies, snapshots) == _tree(connection, share_id):
                raise


def _tree(connection: Connection, share_id: str) -> tuple[list[Want], list[Want]]:
    copies = [Want("instance", row["id"]) for row in replicas.of_share(connection, share_id) if _stays(row)]
    return copies, [Want("snapshot", row["id"]) for row in resources.snapshots_of(connection, share_id)]


def _stays(replica: RowMapping) -> bool:
    """Whoever deletes a replica knows what goes with it: nothing has to wait for the end of that."""
    return bool(replica["status"] != "deleting")


def _above_all(connection: Connection, operation: OpenOperation, share_id: str, answer: claims.Answer) -> claims.Answer:
    """The share's number is above that of every replica: what a sync has made beside the source is deleted under it."""
    there = replicas.of_share(connection, share_id)
    fences = list(answer.fences)
    own = next(fence for fence in fences if fence.id == share_id)
    highest = max((row["epoch"] for row in there), default=0)
    if own.epoch <= highest:
        fences[fences.index(own)] = claims.renew(connection, operation.id, own, to=highest + 1)
    return claims.Answer(fences=tuple(fences), waiting_for=())


def _qos(connection: Connection, operation: OpenOperation, place: ObjectPlace, size: int) -> QosChange | None:
    """What the share's class comes to at the destination, at the size that it has now."""
    spec = qos.of_migration(connection, operation.id)
    return qos.for_new_share(spec, size, resources.pool_row(connection, place.pool_id))


def end_cutover(
    connection: Connection, operation: OpenOperation, begun: Begun, step: EndCutoverInput
) -> tuple[Begun, CutoverEnded]:
    """Others may have the share again: where it was, or after the switch where it is now. Idempotent."""
    kept = remembering(begun, step.memory)
    operations.note(connection, operation.id, waiting_for=None)
    if begun.phase:
        kept = kept.model_copy(update={"phase": GRACE})
    why = "migrated" if begun.phase else "the cutover was taken back"
    return kept, CutoverEnded(wake=MigrateShare.give_share_back(connection, operation, begun, why))


# -- switch ----------------------------------------------------------------------------------------------------------


def switch(connection: Connection, operation: OpenOperation, begun: Begun, step: SwitchInput) -> Begun:
    """The point of no return: the destination is the share. Idempotent.

    Raises:
        StaleClaim: a claim was lost; nothing was changed.
        InvalidState: a snapshot is not whole at the destination, or something is there that should not be.
    """
    if begun.phase:
        return begun
    migration, source = migration_of(begun), begun.instance
    if source is None:
        raise StaleClaim(f"operation {operation.id} has nothing to switch from")
    if 0 < migration.memory.taken_back >= step.memory.fenced:
        raise StaleClaim(f"cutover {step.memory.fenced} of operation {operation.id} was given up")
    snapshots = resources.snapshots_of(connection, begun.share_id)
    fence = _check_held(connection, operation, begun, snapshots)
    place = _destination(connection, operation, begun)
    _check_whole(connection, place, snapshots)
    there = replicas.of_share(connection, begun.share_id)
    old = resources.copy_places(connection, source.id)
    _carry(connection, operation, begun, place, step)
    resources.swap_roles(connection, source.id, place.id)
    before, columns = resources.share_row(connection, begun.share_id), type_columns(connection, operation)
    share = audit.change(
        connection,
        operation.actor,
        tables.shares,
        begun.share_id,
        after=CUTTING_OVER,
        epoch=fence.epoch,
        why=f"migrated from {migration.plan.source} to {migration.plan.destination}",
        **columns,
        **qos.recorded(begun.qos, step.qos),
    )
    protocol = resources.share_row(connection, share["id"])["protocol"]
    resources.add_export_paths(connection, place.id, protocol, step.export_paths)
    points = followers.turn_to(connection, there, migration.mode)
    if columns and columns["type_version"] != before["type_version"]:
        followers.take_type(connection, share["id"])
    operations.note(connection, operation.id, no_return=True)
    # A copy that was given up and hangs somewhere must not write to what clients use from now on.
    fences = [claims.renew(connection, operation.id, one) for one in begun.fences]
    # What syncs have beside the source goes with it.
    memory = step.memory.model_copy(update={"sync_points": [*step.memory.sync_points, *points]})
    return remembering(begun, memory).model_copy(update={"phase": SWITCHED, "items": old, "fences": fences})


def _check_held(
    connection: Connection, operation: OpenOperation, begun: Begun, snapshots: Sequence[RowMapping]
) -> Fence:
    """The fence of the share. Raises StaleClaim unless it is held with all its instances and snapshots."""
    claims.check(connection, operation.id, begun.fences)
    held = {fence.id: fence for fence in claims.held(connection, operation.id)}
    copies = [row["id"] for row in replicas.of_share(connection, begun.share_id) if _stays(row)]
    for id_ in (begun.share_id, *copies, *(row["id"] for row in snapshots)):
        if id_ not in held:
            raise StaleClaim(f"operation {operation.id} does not hold {id_}; it has begun no cutover")
    return held[begun.share_id]


def _check_whole(connection: Connection, place: ObjectPlace, snapshots: Sequence[RowMapping]) -> None:
    copies = {row["snapshot_id"]: row["status"] for row in resources.copies_on(connection, place.id)}
    for snapshot in snapshots:
        if copies.pop(snapshot["id"], CREATING) != COPIED:
            raise InvalidState(
                f"snapshot {snapshot['name']!r} is not whole at {place.backend}/{place.pool} yet",
                hint="another pass copies it",
            )
    if copies:
        raise InvalidState(
            f"{len(copies)} copies of snapshots that were deleted are still at {place.backend}/{place.pool}",
            hint="another pass removes them",
        )


def _carry(
    connection: Connection, operation: OpenOperation, begun: Begun, place: ObjectPlace, step: SwitchInput
) -> None:
    """What was reserved is carried by the rows from here on; what no floor needs goes back to the pool."""
    pool = resources.pool_row(connection, place.pool_id)
    pending = reservations.pending_in(connection, operation.id, place.pool_id)
    if pending is None:
        raise StaleClaim(f"operation {operation.id} has reserved nothing in {place.backend}/{place.pool}")
    copies = resources.copies_on(connection, place.id)
    for row in copies:
        resources.set_copies(
            connection, place.id, [row["snapshot_id"]], status=AVAILABLE, allocated_bytes=space_of(pool, [row])
        )
    own = pending["bytes"] - space_of(pool, copies)
    reserved = Floors(pending["iops"], pending["throughput"])
    kept = Floors(0, 0) if begun.qos is None else qos.kept_floors(begun.qos, step.qos)
    resources.set_instance(
        connection, place.id, allocated_bytes=own, iops_floor=kept.iops, throughput_floor=kept.throughput
    )
    reservations.give_back_capacity(connection, place.pool_id, 0, reserved.beyond(kept))
    reservations.commit(connection, operation.id)
