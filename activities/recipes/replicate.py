"""CreateReplica, SyncReplica and DeleteReplica in the inventory: their begins and ends."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from sqlalchemy import Connection, RowMapping

from activities import placement
from activities.recipes import moving
from activities.recipes.apart import READABLE, find_replica, unfit
from activities.recipes.base import Recipe, claim, claim_share, moving_by, refused_so_far, take_back_refused
from activities.recipes.migrate import available_snapshots, space_of
from activities.recipes.tombstones import bury_replica
from dsl.documents import ShareTypeSpec
from dsl.placement import PlacementRequest
from dsl.replicas import ReplicaRules
from inventory import claims, operations, replicas, reservations, resources
from inventory.claims import Want
from inventory.operations import OpenOperation
from shareflow import names
from shareflow.contracts.migration import CopyMode
from shareflow.contracts.migration_steps import MigrationMemory
from shareflow.contracts.operations import OnBusy, Request
from shareflow.contracts.places import Fence, ObjectPlace
from shareflow.contracts.replica_steps import LeavingReplica, ReplicaTerms
from shareflow.contracts.replication import (
    CreateReplicaInput,
    DeleteReplicaInput,
    ReplicaRequest,
    ReplicaResult,
    ReplicaState,
    SyncReplicaInput,
)
from shareflow.contracts.steps import Begun, CommitInput, PlaceAgainInput
from shareflow.contracts.units import format_size
from shareflow.errors import InvalidState, NoPoolFits, NotSupported, StaleClaim

SEEDING = ReplicaState.SEEDING.value


def sync_operation(replica: str) -> str:
    """Id of the operation that keeps a replica in step."""
    return f"sync-{replica}"


def open_sync(connection: Connection, share_id: str, replica: str, operation: str) -> None:
    """Open the operation that keeps a replica in step; its workflow is started by whoever made the replica."""
    project = resources.share_row(connection, share_id)["project"]
    asked = SyncReplicaInput(project=project, share=share_id, replica=replica)
    operations.open_or_find(connection, operation, names.SYNC_REPLICA, asked.model_dump(mode="json"))
    operations.note(connection, operation, share_id=share_id)


def rules_of(connection: Connection, share: RowMapping) -> tuple[ShareTypeSpec, ReplicaRules]:
    """A share's type and what it says of replicas. Raises NotSupported when it has none."""
    spec = placement.type_spec(resources.share_type(connection, share["type"], share["type_version"]))
    if spec.replicas is None:
        raise NotSupported(
            f"shares of type {spec.name!r} have no replicas",
            field="share",
            hint="retype the share to a type with a `replicas` rule, or add one to the type and retype",
        )
    return spec, spec.replicas


def terms_of(connection: Connection, found: RowMapping) -> ReplicaTerms:
    """A replica as an operation that holds it finds it, with the way of copying that goes between the pools now."""
    pool = resources.pool_row(connection, found["pool_id"])
    source = resources.pool_row(connection, resources.instance_place(connection, found["share_id"]).pool_id)
    return ReplicaTerms(
        mode=way_to(found, pool, source),
        destination=resources.place_of(found),
        epoch=found["epoch"],
        fence_mode=next((mode for mode in ("ro", "none") if mode in source["attributes"].get("access_modes", [])), ""),
        withhold="none" in pool["attributes"].get("access_modes", []),
        shrinks=bool(pool["attributes"].get("shrink", True)),
        memory=replicas.memory_of(found),
        replica=found["id"],
        mode_between=mode_between(found, pool),
        interval=found["interval"],
        loss=found["loss"],
        sync_operation=found["sync_operation"],
        stale=found["stale"],
        behind=bool(found["error"]) and found["synced_at"] is not None,
    )


def way_to(found: RowMapping, pool: moving.PoolRow, source: moving.PoolRow) -> str:
    """How a replica in a pool is copied to from another: by driver or host; as it was where there is no way now."""
    way, _ = moving.way_between(CopyMode.AUTO, source, pool)
    return way or str(found["mode"])


def mode_between(found: RowMapping, pool: moving.PoolRow) -> str:
    """The access mode of a replica between two rounds; empty where its pool cannot enforce that."""
    mode = "ro" if found["kind"] == READABLE else "none"
    return mode if mode in pool["attributes"].get("access_modes", []) else ""


def replica_of(begun: Begun) -> ReplicaTerms:
    """The replica that an operation was begun on. Raises StaleClaim for another operation."""
    if begun.replica is None:
        raise StaleClaim("this operation is about no replica")
    return begun.replica


def give_way(connection: Connection, share_id: str, *, lost: bool = False) -> dict[str, str]:
    """Rounds that hold replicas of a share, each with the command that makes it let go; at once when it is lost."""
    return {
        row["sync_operation"]: names.LET_GO if lost else names.GIVE_WAY
        for row in replicas.of_share(connection, share_id)
        if row["claimed_by"] == row["sync_operation"]
    }


def hold(
    connection: Connection, operation: OpenOperation, request: ReplicaRequest
) -> tuple[RowMapping, RowMapping, Fence] | Begun:
    """The share, its replica and the fence of that; or the answer that says whom to wait for.

    Raises NotFound, and Busy when the caller asked not to wait for another operation than its sync.
    """
    share = resources.find_share(connection, operation.project, request.share)
    found = find_replica(connection, share, request.replica)
    fences = claim(connection, operation, _patient(request, found), [Want("instance", found["id"])])
    if isinstance(fences, Begun):
        return fences.model_copy(update={"nudge": give_way(connection, share["id"])})
    return share, replicas.row(connection, found["id"]), fences[0]


def holding(
    connection: Connection, operation: OpenOperation, held: tuple[RowMapping, RowMapping, Fence]
) -> dict[str, Any]:
    """What an operation that holds a replica, as :func:`hold` gave it, was begun on: fields of its ``Begun``."""
    share, found, fence = held
    operations.note(connection, operation.id, share_id=share["id"], waiting_for=None)
    return {
        "share_id": share["id"],
        "share_name": share["name"],
        "fences": [fence],
        "instance": resources.instance_place(connection, share["id"]),
        "replica": terms_of(connection, found),
    }


def _patient(request: ReplicaRequest, found: RowMapping) -> ReplicaRequest:
    """A round of its sync gives way: who waits for that alone need not be refused."""
    syncing = found["claimed_by"] == found["sync_operation"]
    return request.model_copy(update={"on_busy": OnBusy.QUEUE}) if syncing else request


def drop_replica(
    connection: Connection, operation: OpenOperation, found: RowMapping, outcome: CommitInput
) -> list[str]:
    """The rows of a replica go. Gives the objects that are left, because its backend did not answer."""
    if found["id"] in outcome.unreached:
        return bury_replica(connection, operation, found, doomed=True)
    replicas.remove(connection, found["id"])
    resources.drop_instance(connection, found["id"])
    return []


def result_of(
    operation: OpenOperation, name: str, found: Mapping[Any, Any], *, moved: int = 0, left: Sequence[str] = ()
) -> dict[str, Any]:
    """A ``ReplicaResult`` as JSON data."""
    return ReplicaResult(
        operation=operation.id,
        share_id=found["share_id"],
        name=name,
        replica_id=found["id"],
        backend=found["backend"],
        pool=found["pool"],
        replica_state=found["state"],
        bytes_moved=moved,
        left_behind=list(left),
    ).model_dump(mode="json")


class CreateReplica(Recipe[Any]):
    """A share gets one more copy, apart from the others, which is kept in step."""

    kind = names.CREATE_REPLICA
    input_model: ClassVar[type[Request]] = CreateReplicaInput

    def begin(self, connection: Connection, operation: OpenOperation, request: CreateReplicaInput) -> Begun:
        """See base class."""
        held = claim_share(connection, operation, request, request.share)
        if isinstance(held, Begun):
            return held
        share, _ = held
        if migration := moving_by(connection, share["id"]):
            raise NotSupported(
                f"operation {migration} migrates share {share['name']!r}; a share gets no replica meanwhile",
                field="share",
                hint="ask again when it has ended, or cancel it first",
            )
        spec, rules = rules_of(connection, share)
        there = replicas.of_share(connection, share["id"])
        if len(there) >= rules.count:
            raise InvalidState(
                f"share {share['name']!r} has {len(there)} of {rules.count} replicas that type {spec.name!r} allows",
                field="share",
                hint="delete one first, or raise `replicas.count` of the type and retype the share",
            )
        wanted = self.wanted(connection, operation, share)
        return self.seeding(connection, operation, share, wanted, MigrationMemory(bandwidth=request.bandwidth))

    def wanted(
        self, connection: Connection, operation: OpenOperation, share: RowMapping,
        _leaving: Sequence[LeavingReplica] = (),
    ) -> PlacementRequest:  # fmt: skip
        """Where the replica may be, as it was asked for and as the share's copies are now; what leaves is none."""
        request: CreateReplicaInput = self.parse(operation)
        spec, rules = rules_of(connection, share)
        source = resources.instance_place(connection, share["id"])
        there = replicas.of_share(connection, share["id"])
        every = resources.pools_picture(connection)
        snapshots = available_snapshots(connection, share["id"])
        return PlacementRequest(
            size=share["size"],
            type=spec,
            zone=request.zone,
            backend=request.backend,
            pool=request.pool,
            exclude=unfit(every, source, there, rules, len(snapshots), same_domain=request.same_domain),
            project=operation.project,
        )

    def place_again(
        self, connection: Connection, operation: OpenOperation, begun: Begun, refusal: PlaceAgainInput
    ) -> Begun:
        """Exclude the pool that refused the replica and take the next-best, or wait in line for the share.

        Idempotent by instance: once moved, the same refusal gives the same answer. Raises NoPoolFits, and what a start
        does.
        """
        if begun.phase or replica_of(begun).replica != refusal.instance:
            return begun
        told = replicas.memory_of(replicas.row(connection, refusal.instance))
        if ahead := take_back_refused(connection, operation, begun.share_id, refusal):
            return ahead
        replicas.remove(connection, refusal.instance)
        share = resources.share_row(connection, begun.share_id)
        refused = refused_so_far(operation, refusal)
        wanted = self.wanted(connection, operation, share, begun.replicas)
        wanted = dataclasses.replace(wanted, exclude={**refused, **wanted.exclude})
        memory = MigrationMemory(bandwidth=told.bandwidth, paused=told.paused)
        return self.seeding(connection, operation, share, wanted, memory, replicas=begun.replicas)

    def seeding(
        self,
        connection: Connection,
        operation: OpenOperation,
        share: RowMapping,
        wanted: PlacementRequest,
        memory: MigrationMemory,
        **more: Any,
    ) -> Begun:
        """A replica is placed and its rows are made; it is held by the operation, which fills it."""
        _, rules = rules_of(connection, share)
        source = resources.instance_place(connection, share["id"])
        snapshots = available_snapshots(connection, share["id"])
        pool, decision = self.reserve(connection, operation, wanted, snapshots)
        place = self._add(connection, operation, share, pool, snapshots)
        mine = claims.hold_new(connection, operation.id, "instance", place.id)
        way, _ = moving.way_between(CopyMode.AUTO, resources.pool_row(connection, source.pool_id), pool)
        replicas.add(
            connection,
            share["id"],
            place.id,
            sync_operation=sync_operation(place.id),
            kind=rules.type,
            mode=way,
            state=SEEDING,
            interval=rules.interval,
            loss=rules.loss,
            memory=memory.model_dump(mode="json"),
        )
        woken = claims.give_back(connection, operation.id, ["share"])  # others may have it while it is copied
        operations.note(connection, operation.id, share_id=share["id"], waiting_for=None, placement=decision)
        return self.started(
            connection,
            operation,
            waiting_for=woken,
            share_id=share["id"],
            share_name=share["name"],
            fences=[mine],
            instance=source,
            replica=terms_of(connection, replicas.row(connection, place.id)),
            sync_operation=sync_operation(place.id),
            placement=decision["text"],
            **more,
        )

    def reserve(
        self,
        connection: Connection,
        operation: OpenOperation,
        wanted: PlacementRequest,
        snapshots: Sequence[RowMapping],
    ) -> tuple[RowMapping, dict[str, Any]]:
        """The best pool, with room for the share and its snapshots set aside. Raises NoPoolFits."""
        pool, decision = self.placement.choose(connection, operation.id, wanted)
        space = space_of(pool, snapshots)
        if space and not reservations.grow_pending(connection, operation.id, pool["id"], space):
            raise NoPoolFits(
                f"pool {moving.title(pool)} has no room for {len(snapshots)} snapshots of {format_size(space)} in all",
                field="share",
                hint="name another pool, delete snapshots, or raise its capacity",
            )
        return pool, decision

    @staticmethod
    def _add(
        connection: Connection,
        operation: OpenOperation,
        share: RowMapping,
        pool: RowMapping,
        snapshots: Sequence[RowMapping],
    ) -> ObjectPlace:
        place = resources.add_instance(connection, share["id"], pool, share["size"], role=replicas.ROLE)
        resources.set_instance(connection, place.id, claimed_by=operation.id, epoch=1, allocated_bytes=share["size"])
        for snapshot in snapshots:
            resources.add_copy(connection, snapshot, place)
            resources.set_copies(connection, place.id, [snapshot["id"]], allocated_bytes=space_of(pool, [snapshot]))
        reservations.carried(connection, operation.id, pool["id"])
        return place

    def commit(
        self, connection: Connection, operation: OpenOperation, begun: Begun, outcome: CommitInput
    ) -> dict[str, Any]:
        """It is a replica; the operation that keeps it in step is opened with it, so that it cannot be lost."""
        found = replicas.row(connection, replica_of(begun).replica)
        self.serve(connection, begun, found, outcome.export_paths)
        return result_of(operation, begun.share_name, found, moved=replicas.memory_of(found).bytes_moved)

    @staticmethod
    def serve(connection: Connection, begun: Begun, found: RowMapping, paths: Sequence[str]) -> None:
        """What was filled is a replica like others from now on."""
        resources.set_instance(connection, found["id"], status="available")
        if found["kind"] == READABLE:
            protocol = resources.share_row(connection, begun.share_id)["protocol"]
            resources.add_export_paths(connection, found["id"], protocol, paths, readonly=True)
        open_sync(connection, begun.share_id, found["id"], found["sync_operation"])

    def abort(self, connection: Connection, operation: OpenOperation, begun: Begun) -> None:
        """See base class."""
        replica = replica_of(begun).replica
        replicas.remove(connection, replica)
        resources.drop_instance(connection, replica)


class SyncReplica(Recipe[SyncReplicaInput]):
    """A replica is kept in step for as long as it is one."""

    kind = names.SYNC_REPLICA
    input_model = SyncReplicaInput

    def begin(self, connection: Connection, operation: OpenOperation, request: SyncReplicaInput) -> Begun:
        """See base class. Nothing is held between two rounds."""
        share = resources.find_share(connection, operation.project, request.share, deleted=True)
        found = replicas.find(connection, share, request.replica)
        if found["sync_operation"] != operation.id:
            raise InvalidState(
                f"operation {found['sync_operation']} keeps replica {found['id']} in step",
                field="replica",
                hint="a sync is started with its replica, by nobody else; use ResyncReplica",
            )
        return self.started(
            connection, operation, share_id=share["id"], share_name=share["name"], instance=resources.place_of(found)
        )

    def commit(
        self, connection: Connection, operation: OpenOperation, begun: Begun, outcome: CommitInput
    ) -> dict[str, Any]:
        """The instance is no replica any more."""
        if begun.instance is None:
            raise StaleClaim(f"operation {operation.id} has no replica")
        place = begun.instance
        return ReplicaResult(
            operation=operation.id,
            share_id=begun.share_id,
            name=begun.share_name,
            replica_id=place.id,
            backend=place.backend,
            pool=place.pool,
            replica_state="",
        ).model_dump(mode="json")

    def abort(self, connection: Connection, operation: OpenOperation, begun: Begun) -> None:
        """Nothing was changed that would have to be taken back."""


class DeleteReplica(Recipe[DeleteReplicaInput]):
    """One replica goes for good."""

    kind = names.DELETE_REPLICA
    input_model = DeleteReplicaInput

    def begin(self, connection: Connection, operation: OpenOperation, request: DeleteReplicaInput) -> Begun:
        """See base class."""
        held = hold(connection, operation, request)
        if isinstance(held, Begun):
            return held
        _, found, _ = held
        resources.set_instance(connection, found["id"], status="deleting")
        return self.started(
            connection, operation, **holding(connection, operation, held),
            items=resources.copy_places(connection, found["id"]),
        )  # fmt: skip

    def commit(
        self, connection: Connection, operation: OpenOperation, begun: Begun, outcome: CommitInput
    ) -> dict[str, Any]:
        """Its rows go, and its room is free unless it was left behind."""
        found = replicas.row(connection, replica_of(begun).replica)
        left = drop_replica(connection, operation, found, outcome)
        return result_of(operation, begun.share_name, {**found, "state": "deleted"}, left=left)

    def abort(self, connection: Connection, operation: OpenOperation, begun: Begun) -> None:
        """See base class."""
        resources.set_instance(connection, replica_of(begun).replica, status="available")
