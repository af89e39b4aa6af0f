"""PromoteReplica in the inventory: its begin, the switch of roles, and its ends."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar

from sqlalchemy import Connection, RowMapping, and_, select

from activities import qos
from activities.recipes import followers
from activities.recipes.apart import READABLE, find_replica
from activities.recipes.base import Recipe, claim_with, fence_of, nudges, require_status
from activities.recipes.migrate import AVAILABLE, COPIED, SWITCHED, export_paths
from activities.recipes.replicate import give_way, open_sync, replica_of, rules_of, sync_operation, terms_of
from activities.recipes.tombstones import bury
from inventory import audit, claims, operations, replicas, reservations, resources, tables
from inventory.claims import Want
from inventory.database import now
from inventory.operations import OpenOperation
from shareflow import names
from shareflow.contracts.failover import FailoverBackendInput
from shareflow.contracts.failover_steps import bytes_lost
from shareflow.contracts.migration import Verify
from shareflow.contracts.migration_steps import MigrationMemory
from shareflow.contracts.operations import OperationState, Request
from shareflow.contracts.places import Fence, ObjectPlace
from shareflow.contracts.replica_steps import ReplicaTerms, SwitchReplicaInput
from shareflow.contracts.replication import PromoteReplicaInput, PromoteReplicaResult, ReplicaState, Stale
from shareflow.contracts.steps import Begun, CommitInput
from shareflow.contracts.units import format_duration
from shareflow.errors import InvalidInput, InvalidState, NotFound, NotSupported, StaleClaim

PROMOTING = "promoting"
UNFENCED = "unfenced"
HELD_UP = (
    names.CREATE_SNAPSHOT,
    names.DELETE_SNAPSHOT,
    names.REVERT_SHARE,
    names.RESIZE_SHARE,
    names.SET_SHARE_QOS,
    names.RETYPE_SHARE,
    names.CREATE_SHARE_FROM_SNAPSHOT,
    names.MIGRATE_SHARE,
    names.RESYNC_REPLICA,
    names.MIGRATE_REPLICA,
    names.PROMOTE_REPLICA,
)
"""Kinds that work at the backend of the active instance, and end without it when it is lost. Of deletions none does."""


@dataclass(frozen=True, slots=True)
class _Sides:
    """The two instances that change places."""

    active: ObjectPlace
    replica: RowMapping


class PromoteReplica(Recipe[PromoteReplicaInput]):
    """A replica becomes the active instance of its share, and the active one a replica."""

    kind = names.PROMOTE_REPLICA
    input_model: ClassVar[type[Request]] = PromoteReplicaInput

    # -- begin -------------------------------------------------------------------------------------------------------

    def begin(self, connection: Connection, operation: OpenOperation, request: PromoteReplicaInput) -> Begun:
        """See base class."""
        _check_flags(request)
        share = resources.find_share(connection, operation.project, request.share)
        _check_not_overtaken(connection, operation, share, request)
        sides = _Sides(resources.instance_place(connection, share["id"]), _choose(connection, share, request))
        fences = claim_with(connection, operation, request, share["id"], _tree(sides))
        if isinstance(fences, Begun):
            return self._overtake(connection, fences, request, share, sides)
        share = resources.find_share(connection, operation.project, share["id"])
        require_status(share, "share", AVAILABLE)
        found = replicas.row(connection, sides.replica["id"])
        _, rules = rules_of(connection, share)
        terms = terms_of(connection, found)
        _check(connection, share, found, terms, request)
        change = qos.change_of(
            connection, operation.id, share, resources.place_of(found), qos.of_share(connection, share), share["size"]
        )
        held = _raise(connection, operation, share, [fence for fence in fences if fence.kind != "snapshot"])
        where = f"{found['backend']}/{found['pool']}"
        audit.change(connection, operation.actor, tables.shares, share["id"], after=PROMOTING, why=f"to {where}")
        operations.note(connection, operation.id, share_id=share["id"], waiting_for=None)
        between = "ro" if rules.type == READABLE else "none"
        modes = resources.pool_row(connection, sides.active.pool_id)["attributes"].get("access_modes", [])
        return self.started(
            connection,
            operation,
            share_id=share["id"],
            share_name=share["name"],
            fences=held,
            snapshot_fences=[fence for fence in fences if fence.kind == "snapshot"],
            instance=sides.active,
            replica=terms.model_copy(
                update={
                    "epoch": held[0].epoch,
                    "fence_mode": between if between in modes else terms.fence_mode,
                }
            ),
            sync_operation=f"{sync_operation(sides.active.id)}-{held[0].epoch}",
            qos=change,
        )

    @staticmethod
    def _overtake(
        connection: Connection, ahead: Begun, request: PromoteReplicaInput, share: RowMapping, sides: _Sides
    ) -> Begun:
        """The place in the line, and what makes those end who are ahead and cannot end by themselves.

        A migration holds the active instance for as long as it takes: it is cancelled, or its grace is ended. With a
        lost active instance nothing that needs its backend ever ends.
        """
        syncs = give_way(connection, share["id"], lost=request.lost)
        if not request.lost:
            return ahead.model_copy(update={"nudge": syncs | nudges(connection, share["id"])})
        # Nobody gives way to a promotion that is refused in the end.
        _check(connection, share, sides.replica, terms_of(connection, sides.replica), request)
        ended = dict.fromkeys(_held_up(connection, ahead.waiting_for), names.INSTANCE_LOST)
        return ahead.model_copy(update={"nudge": syncs | ended, "lost_backend": sides.active.backend})

    # -- switch ------------------------------------------------------------------------------------------------------

    def switch(self, connection: Connection, operation: OpenOperation, begun: Begun, step: SwitchReplicaInput) -> Begun:
        """The point of no return: the replica is the share, the active one its replica. Idempotent.

        Raises:
            StaleClaim: a claim was lost; nothing was changed.
            InvalidState: a snapshot is not whole at the replica, and the active instance is not lost.
        """
        if begun.phase:
            return begun
        claims.check(connection, operation.id, [*begun.fences, *begun.snapshot_fences])
        request = self.parse(operation)
        terms, active = replica_of(begun), _active(begun)
        found = replicas.row(connection, terms.replica)
        age = (now() - found["synced_at"]).total_seconds() if request.lost else 0.0
        why = _why(request, active, found, age)
        lost = _settle_snapshots(connection, operation, begun, found, lost=request.lost)
        paths = export_paths(connection, active.id)
        _swap(connection, active, found)
        _demote(connection, begun, request, found, step.memory, paths)
        self._admit(connection, operation, begun, step, why)
        operations.note(connection, operation.id, no_return=True)
        # A copy that was given up and hangs somewhere must not write to what clients use from now on.
        fences = [claims.renew(connection, operation.id, fence) for fence in begun.fences]
        loss: dict[str, Any] = {"loss_seconds": age, "lost": lost}
        if request.lost:
            loss |= {"loss_bytes": replicas.missing(found), "loss_rate": replicas.change_rate(found)}
            # Rounds of other replicas may still wait for the lost backend: they are to follow what is active now.
            loss["nudge"] = give_way(connection, begun.share_id, lost=True)
        return begun.model_copy(update={"phase": SWITCHED, "switched_at": now(), "fences": fences, **loss})

    @staticmethod
    def _admit(
        connection: Connection, operation: OpenOperation, begun: Begun, step: SwitchReplicaInput, why: str
    ) -> None:
        """Export locations, floors and the share's own row follow to what is active now."""
        terms = replica_of(begun)
        resources.drop_export_paths(connection, terms.replica)
        row = audit.change(
            connection,
            operation.actor,
            tables.shares,
            begun.share_id,
            after=PROMOTING,
            epoch=fence_of(begun.fences, begun.share_id).epoch,
            why=why,
            **({} if begun.qos is None else qos.recorded(begun.qos, step.qos)),
        )
        resources.add_export_paths(connection, terms.replica, row["protocol"], step.memory.export_paths)
        if begun.qos is not None:
            qos.settle_floors(connection, terms.destination, begun.qos, step.qos)
        reservations.commit(connection, operation.id)

    # -- ends --------------------------------------------------------------------------------------------------------

    def commit(
        self, connection: Connection, operation: OpenOperation, begun: Begun, outcome: CommitInput
    ) -> dict[str, Any]:
        """Others may have the share; whoever keeps the old active instance in step is opened with it."""
        if not begun.phase:
            raise InvalidState(f"operation {operation.id} has not switched the share yet", hint="a bug; report it")
        terms, active, request = replica_of(begun), _active(begun), self.parse(operation)
        audit.change(connection, operation.actor, tables.shares, begun.share_id, after=AVAILABLE, why="promoted")
        return PromoteReplicaResult(
            operation=operation.id,
            share_id=begun.share_id,
            name=begun.share_name,
            replica_id=terms.replica,
            backend=terms.destination.backend,
            pool=terms.destination.pool,
            export_locations=export_paths(connection, terms.replica),
            demoted=f"{active.backend}/{active.pool}",
            lost=request.lost,
            loss_seconds=round(begun.loss_seconds, 3),
            loss_bytes=begun.loss_bytes,
            loss_rate=begun.loss_rate,
            lost_snapshots=begun.lost,
            bytes_moved=outcome.moved,
            stopped_seconds=round(outcome.stopped_seconds, 3),
            migrations=_ended_migrations(connection, operation, begun.share_id),
        ).model_dump(mode="json")

    def abort(self, connection: Connection, operation: OpenOperation, begun: Begun) -> None:
        """The active instance stays what it is. Raises InvalidState after the switch."""
        if begun.phase:
            raise InvalidState(f"operation {operation.id} has promoted the replica already", hint="promote it back")
        audit.change(connection, operation.actor, tables.shares, begun.share_id, after=AVAILABLE, why="not promoted")


def _held_up(connection: Connection, ahead: Sequence[str]) -> list[str]:
    """Of operations that are ahead, those that may wait for the backend of a lost active instance.

    Another promotion that has declared it lost asks nothing of it; one that has switched waits for its own replica,
    which is what is lost now.
    """
    table = tables.operations.c
    rows = connection.execute(
        select(table.id, table.request, table.begun).where(table.id.in_(ahead), table.kind.in_(HELD_UP))
    )
    return [row.id for row in rows if not row.request.get("lost") or (row.begun or {}).get("phase")]


def _active(begun: Begun) -> ObjectPlace:
    if begun.instance is None:
        raise StaleClaim("this operation knows no active instance")
    return begun.instance


# -- what may be promoted --------------------------------------------------------------------------------------------


def _check_not_overtaken(
    connection: Connection, operation: OpenOperation, share: RowMapping, request: PromoteReplicaInput
) -> None:
    """Raise InvalidState when another promotion won while this one stood in line.

    What one made active that had switched before is what a loss that was declared after it is about.
    """
    table = tables.operations.c
    asked = connection.execute(select(table.created_at).where(table.id == operation.id)).scalar_one()
    won = select(table.id, table.begun).where(
        table.share_id == share["id"],
        table.kind == names.PROMOTE_REPLICA,
        table.state == OperationState.SUCCEEDED.value,
        table.ended_at > asked,
        table.id != operation.id,
    )
    for winner in connection.execute(won):
        switched = (winner.begun or {}).get("switched_at")
        if request.lost and switched and datetime.fromisoformat(switched) < asked:
            continue
        place = resources.instance_place(connection, share["id"])
        raise InvalidState(
            f"operation {winner.id} has made {place.backend}/{place.pool} the active instance of share "
            f"{share['name']!r} meanwhile",
            field="replica",
            hint="look at the share; promote again if that is not what you want",
        )


def _ended_migrations(connection: Connection, operation: OpenOperation, share_id: str) -> dict[str, str]:
    """Migrations of the share that this promotion found under way, each with what became of it first."""
    table = tables.operations.c
    asked = select(table.created_at).where(table.id == operation.id).scalar_subquery()
    ended = select(table.id, table.state, table.begun).where(
        table.share_id == share_id,
        table.kind.in_((names.MIGRATE_SHARE, names.RETYPE_SHARE)),
        table.created_at < asked,
        table.ended_at > asked,
    )
    outcome = {OperationState.SUCCEEDED.value: "completed"}
    return {
        row["id"]: outcome.get(row["state"], "cancelled")
        for row in connection.execute(ended).mappings()
        if (row["begun"] or {}).get("migration")
    }


def _choose(connection: Connection, share: RowMapping, request: PromoteReplicaInput) -> RowMapping:
    """The replica that is named, or the one with the newest content. Raises NotFound; InvalidState of the active.

    One whose pool did not answer last comes after all others. Of a lost share's, one whose last pass was cut off comes
    after a whole one that is older by what is tolerated.
    """
    if request.replica is not None:
        found = find_replica(connection, share, request.replica)
        _check_able(found)
        return found
    able = [row for row in replicas.of_share(connection, share["id"]) if _unable(row) == ""]
    if not able:
        raise NotFound(
            f"share {share['name']!r} has no replica that can be promoted",
            field="share",
            hint="create one, wait until one is seeded, or resync one",
        )
    able = [row for row in able if row["reachable"]] or able
    newest = max(able, key=_age_and_id)
    if not (request.lost and replicas.memory_of(newest).passing):
        return newest
    since = newest["synced_at"] - timedelta(seconds=newest["loss"])
    whole = [row for row in able if row["synced_at"] >= since and not replicas.memory_of(row).passing]
    return max(whole, key=_age_and_id, default=newest)


def _age_and_id(found: RowMapping) -> tuple[datetime, str]:
    return found["synced_at"], found["id"]


def _unable(found: RowMapping) -> str:
    """Why a replica cannot be promoted, whatever its age."""
    if found["stale"]:
        return "it is a stale copy of a lost active instance"
    if found["synced_at"] is None:
        return "it is not seeded yet"
    return "" if found["status"] == AVAILABLE else f"it is {found['status']}"


def _check_able(found: RowMapping) -> None:
    """Raise InvalidState at once: waiting for whoever seeds, resyncs or deletes it could take hours."""
    if why := _unable(found):
        where = f"{found['backend']}/{found['pool']}"
        hint = "resync it first" if found["stale"] else "wait, or resync it first"
        raise InvalidState(f"{where} cannot be promoted: {why}", field="replica", hint=hint)


def check_asked_of_lost(request: PromoteReplicaInput | FailoverBackendInput, what: str) -> None:
    """Raise InvalidInput for what would have to be asked of a lost instance or backend."""
    for field, asked, question in (
        ("ignore_open_files", request.ignore_open_files, "which files are open"),
        ("verify", request.verify is Verify.FULL, "what the replica is compared with"),
    ):
        if asked:
            raise InvalidInput(f"of a lost {what} nobody asks {question}", field=field, hint="leave it out")


def _check_flags(request: PromoteReplicaInput) -> None:
    """Raise InvalidInput for what contradicts itself, before anybody is waited for."""
    if request.lost:
        if not request.reason.strip():
            raise InvalidInput("the active instance is declared lost without a reason", field="reason", hint="say why")
        check_asked_of_lost(request, "instance")
        return
    for name, given in {"accept_loss": request.accept_loss, "stale": request.stale is not Stale.KEEP}.items():
        if given:
            raise InvalidInput(
                f"{name} goes with lost: true; a planned promotion loses nothing",
                field=name,
                hint="leave it out, or say that the active instance is lost",
            )


def _check(
    connection: Connection,
    share: RowMapping,
    found: RowMapping,
    terms: ReplicaTerms,
    request: PromoteReplicaInput,
) -> None:
    _check_able(found)
    if not request.lost:
        if not terms.fence_mode:
            place = resources.instance_place(connection, share["id"])
            raise NotSupported(
                f"writers cannot be stopped on {place.backend}/{place.pool}: its driver has no access mode for that",
                field="share",
                hint="declare it lost when nobody can write there any more",
            )
        return
    if not request.accept_loss:
        age = format_duration(max(1, math.ceil((now() - found["synced_at"]).total_seconds())))
        torn = "; a pass over its files was cut off, some may be half new" if terms.memory.passing else ""
        raise InvalidInput(
            f"promoting {found['backend']}/{found['pool']} loses what was written in the last {age}: "
            f"{_bytes_lost(found)}. It has the content of {found['synced_at']:%Y-%m-%d %H:%M:%S} UTC{torn}",
            field="accept_loss",
            hint="accept_loss: true accepts that",
        )


def _bytes_lost(found: RowMapping) -> str:
    """How many bytes of the active instance a replica does not have, as it was measured last."""
    measured = replicas.missing(found)
    at = "" if measured is None else f" were missing at {found['behind_at']:%H:%M:%S} UTC"
    return f"{bytes_lost(measured, replicas.change_rate(found))}{at}"


def _tree(sides: _Sides) -> Any:
    """What is claimed with the share: both instances and all snapshots."""

    def also(connection: Connection, share_id: str) -> list[Want]:
        snapshots = [Want("snapshot", row["id"]) for row in resources.snapshots_of(connection, share_id)]
        return [Want("instance", sides.active.id), Want("instance", sides.replica["id"]), *snapshots]

    return also


def _raise(connection: Connection, operation: OpenOperation, share: RowMapping, fences: Sequence[Fence]) -> list[Fence]:
    """One number for everything, above all that any instance of the share has seen; the share's own comes first."""
    every = [row["epoch"] for row in resources.instances_of(connection, share["id"])]
    number = max([*every, *(fence.epoch for fence in fences)]) + 1
    raised = [claims.renew(connection, operation.id, fence, to=number) for fence in fences]
    return sorted(raised, key=lambda fence: fence.kind != "share")


# -- the switch ------------------------------------------------------------------------------------------------------


def _why(request: PromoteReplicaInput, active: ObjectPlace, found: RowMapping, age: float) -> str:
    moved = f"promoted from {active.backend}/{active.pool} to {found['backend']}/{found['pool']}"
    if not request.lost:
        return moved
    return f"{moved}, declared lost ({request.reason}); changes of {age:.0f} s are lost: {_bytes_lost(found)}"


def _settle_snapshots(
    connection: Connection, operation: OpenOperation, begun: Begun, found: RowMapping, *, lost: bool
) -> list[str]:
    """Snapshots that are whole at the replica are the share's; others go with a lost active one. Gives their names."""
    whole = {row["snapshot_id"] for row in resources.copies_on(connection, found["id"]) if row["status"] == COPIED}
    missing = [row for row in resources.snapshots_of(connection, begun.share_id) if row["id"] not in whole]
    if missing and not lost:
        raise InvalidState(
            f"snapshot {missing[0]['name']!r} is not whole at {found['backend']}/{found['pool']} yet",
            hint="promote again; another round copies it",
        )
    for row in missing:
        audit.remove(connection, operation.actor, tables.snapshots, row["id"], why="lost with the active instance")
        reservations.give_back_quota(connection, operation.project, size=0, shares=0, snapshots=1)
    kept = [row["id"] for row in resources.snapshots_of(connection, begun.share_id)]
    resources.set_copies(connection, found["id"], kept, status=AVAILABLE)
    # Rounds remove what is beside a replica of snapshots that are gone; an active instance has none.
    copies = tables.snapshot_instances
    gone = and_(copies.c.instance_id == found["id"], copies.c.snapshot_id.not_in(kept))
    bury(connection, operation, begun.share_id, copies, gone, doomed=True)
    return [row["name"] for row in missing]


def _swap(connection: Connection, active: ObjectPlace, found: RowMapping) -> None:
    replicas.remove(connection, found["id"])
    resources.set_instance(connection, active.id, role=replicas.ROLE)
    resources.set_instance(connection, found["id"], role="active")
    resources.set_copies_of(connection, active.id, status=COPIED)
    row = resources.instance_row(connection, active.id)
    reservations.give_back_capacity(connection, active.pool_id, 0, resources.floors_of(row))
    resources.set_instance(connection, active.id, iops_floor=0, throughput_floor=0)


def _demote(
    connection: Connection,
    begun: Begun,
    request: PromoteReplicaInput,
    found: RowMapping,
    memory: MigrationMemory,
    paths: Sequence[str],
) -> None:
    """The old active instance is a replica, in step with the new one up to the last common sync point."""
    active, epoch = _active(begun), begun.fences[0].epoch
    others = [row for row in replicas.of_share(connection, begun.share_id) if row["id"] != found["id"]]
    points = followers.turn_to(connection, others, found["mode"])
    kept = MigrationMemory(
        made=True,
        export_paths=list(paths),
        size=active.size,
        sync_points=[*points, *memory.sync_points, followers.fresh_point()],
        named_at=now(),
        common=memory.common[-1:] * 2 if memory.common and memory.common[-1] in memory.sync_points else [],
        copied=True,
        taken="" if request.lost else memory.taken,
        epochs={begun.share_id: epoch, **{fence.id: fence.epoch for fence in begun.snapshot_fences}},
        resync_stale=request.stale is Stale.RESYNC,
    )
    resources.drop_export_paths(connection, active.id)
    replicas.add(
        connection,
        begun.share_id,
        active.id,
        sync_operation=begun.sync_operation,
        kind=found["kind"],
        mode=found["mode"],
        state=(ReplicaState.ERROR if request.lost else ReplicaState.OUT_OF_SYNC).value,
        interval=found["interval"],
        loss=found["loss"],
        memory=kept.model_dump(mode="json"),
        stale=UNFENCED if request.lost else "",
        error=f"not fenced: {active.backend}/{active.pool} was declared lost and not reached since"
        if request.lost
        else "",
        synced_at=None if request.lost else now(),
    )
    if found["kind"] == READABLE and not request.lost:
        protocol = resources.share_row(connection, begun.share_id)["protocol"]
        resources.add_export_paths(connection, active.id, protocol, paths, readonly=True)
    open_sync(connection, begun.share_id, active.id, begun.sync_operation)
