"""MigrateShare in the inventory: its begin, its end, and giving it up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from sqlalchemy import Connection, RowMapping, select

from activities import placement, qos
from activities.recipes import apart, moving
from activities.recipes.base import (
    Recipe,
    claim_share,
    claimed_instances,
    fence_of,
    refused_so_far,
    take_back_refused,
)
from activities.recipes.create import check_size
from activities.recipes.moving import Moved
from dsl.documents import QosClassSpec, ShareTypeSpec
from dsl.placement import PlacementRequest
from inventory import audit, claims, replicas, reservations, resources, tables
from inventory.claims import Want
from inventory.operations import OpenOperation
from shareflow import names
from shareflow.contracts.migration import MigrateShareInput, MigrateShareResult
from shareflow.contracts.migration_steps import Migration, MigrationMemory, MigrationPlan, SnapshotLeg
from shareflow.contracts.operations import Request
from shareflow.contracts.places import BeginStatus, Fence, ObjectPlace
from shareflow.contracts.steps import Begun, CommitInput, PlaceAgainInput
from shareflow.contracts.units import format_size
from shareflow.errors import InvalidInput, InvalidState, NoPoolFits, NotSupported, StaleClaim, UnknownType

CUTTING_OVER, SWITCHED, GRACE = "cutting-over", "switched", "grace"
"""Status of a share while it is held for the switch; phases of a migration past it."""
CREATING, COPIED, AVAILABLE = "creating", "copied", "available"
"""Status of a snapshot's copy at the destination: not there yet, whole, and in use."""
HELD = ("share", "snapshot")
"""What a migration holds only while it cuts over."""


@dataclass(frozen=True, slots=True)
class _Move:
    """What a share becomes, and where.

    Attributes:
        snapshots: those that travel.
        decision: the placement in bounded form.
    """

    spec: ShareTypeSpec
    version: str
    wished: QosClassSpec | None
    pool: RowMapping
    snapshots: Sequence[RowMapping]
    plan: MigrationPlan
    decision: dict[str, Any]
    fence_mode: str


def migration_of(begun: Begun) -> Migration:
    """A migration as it was begun. Raises StaleClaim for another operation."""
    if begun.migration is None or begun.instance is None:
        raise StaleClaim("this operation migrates nothing")
    return begun.migration


def space_of(pool: RowMapping, snapshots: Sequence[RowMapping]) -> int:
    """Bytes that copies of snapshots cost in a pool, beside their share."""
    full = pool["attributes"].get("snapshot_space") == "full"
    return sum(row["size"] for row in snapshots) if full else 0


def also_instances(connection: Connection, share_id: str) -> list[Want]:
    """The share's own instance, and those of another migration."""
    own = Want("instance", resources.instance_place(connection, share_id).id)
    return sorted({own, *claimed_instances(connection, share_id)})


class MigrateShare(Recipe[MigrateShareInput]):
    """A share moves to another pool; it keeps its id, name, snapshots and history."""

    kind = names.MIGRATE_SHARE
    input_model: ClassVar[type[Request]] = MigrateShareInput
    type_field: ClassVar[str] = "to_type"
    """The field of the input that names another type."""

    # -- begin -------------------------------------------------------------------------------------------------------

    def begin(self, connection: Connection, operation: OpenOperation, request: MigrateShareInput) -> Begun:
        """See base class."""
        moving.check_window(request)
        if request.dry_run:
            return self._dry_run(connection, operation, request)
        held = claim_share(connection, operation, request, request.share, also=also_instances)
        if isinstance(held, Begun):
            return held
        share, fences = held
        if self._is_elsewhere(connection, request, share):
            return self._stays(connection, operation, share)
        move = self._decide(connection, operation, request, share)
        return self._start(connection, operation, request, share, fences, move)

    @staticmethod
    def _is_elsewhere(connection: Connection, request: MigrateShareInput, share: RowMapping) -> bool:
        """Whether the share has left what it was to leave."""
        place = resources.instance_place(connection, share["id"])
        return request.from_backend not in (None, place.backend) or request.from_pool not in (None, place.pool)

    @staticmethod
    def _stays(connection: Connection, operation: OpenOperation, share: RowMapping) -> Begun:
        place = resources.instance_place(connection, share["id"])
        here = f"{place.backend}/{place.pool}"
        result = MigrateShareResult(
            operation=operation.id,
            share_id=share["id"],
            name=share["name"],
            outcome="elsewhere",
            source=here,
            destination=here,
            export_locations=export_paths(connection, place.id),
        )
        return Begun(status=BeginStatus.ENDED, result=result.model_dump(mode="json"), share_id=share["id"])

    def plan(
        self, connection: Connection, operation: OpenOperation, request: MigrateShareInput, share: RowMapping,
        reason: str = "",
    ) -> MigrationPlan:  # fmt: skip
        """What a migration would do, whoever holds the share; nothing is kept. Raises every refusal of a start."""
        try:
            return self._decide(connection, operation, request, share, reason).plan
        finally:
            reservations.void(connection, operation.id)

    def _dry_run(
        self, connection: Connection, operation: OpenOperation, request: MigrateShareInput, reason: str = ""
    ) -> Begun:
        share = resources.find_share(connection, operation.project, request.share)
        plan = self.plan(connection, operation, request, share, reason)
        result = MigrateShareResult(
            operation=operation.id,
            share_id=share["id"],
            name=share["name"],
            outcome="planned",
            mode=plan.mode,
            source=plan.source,
            destination=plan.destination,
            plan=plan,
        )
        return Begun(status=BeginStatus.ENDED, result=result.model_dump(mode="json"), share_id=share["id"])

    def _decide(
        self, connection: Connection, operation: OpenOperation, request: MigrateShareInput, share: RowMapping,
        reason: str = "", *, refused: Mapping[str, str] | None = None,
    ) -> _Move:  # fmt: skip
        """Where to and how; room for it is reserved. Raises every refusal of a start.

        ``refused`` has the pools that were tried, with what they said.
        """
        spec, version = self._type(connection, request, share)
        snapshots = available_snapshots(connection, share["id"])
        moved = moved_share(connection, share)
        self._check_snapshot_rules(request, spec, moved)
        there = replicas.of_share(connection, share["id"])
        if request.to_type is not None:
            apart.check_new_type(connection, spec, share, moved, self.type_field)
        stop = moving.fence_mode(moved)
        every = resources.pools_picture(connection)
        pools = moving.destinations(request, every, moved.pool)
        found = {row["id"]: moving.obstacle(request, moved, row) for row in pools}
        obstacles = {pool: one for pool, one in found.items() if one is not None}
        moving.check_reachable(pools, obstacles)
        left = {row["id"]: "the share is to leave this backend" for row in every if moving.is_left(request, row)}
        exclude = {**(refused or {}), **left, moved.pool["id"]: "the share is there now"}
        exclude |= {id_: one.reason for id_, one in obstacles.items()}
        exclude |= apart.unfit_as_active(
            connection, pools, there, spec.replicas, len(snapshots), same_domain=request.same_domain
        )
        wished = qos.of_type(connection, spec) if request.to_type else qos.of_share(connection, share)
        wanted = PlacementRequest(
            size=share["size"],
            type=spec,
            zone=request.to_zone,
            backend=request.to_backend,
            pool=request.to_pool,
            exclude=exclude,
            qos=wished,
            project=operation.project,
        )
        leaving = moved.pool["id"] if spec.name == share["type"] else None
        pool, decision = self._reserve(connection, operation, request, wanted, snapshots, leaving)
        way = moving.way_between(request.mode, moved.pool, pool)
        plan = moving.plan_of(request, moved, pool, way, decision["text"]).model_copy(update={"reason": reason})
        return _Move(spec, version, wished, pool, snapshots, plan, decision, stop)

    def _reserve(
        self,
        connection: Connection,
        operation: OpenOperation,
        request: MigrateShareInput,
        wanted: PlacementRequest,
        snapshots: Sequence[RowMapping],
        leaving: str | None,
    ) -> tuple[RowMapping, dict[str, Any]]:
        """The best pool with room for the share and its snapshots. Raises NoPoolFits."""
        while True:
            try:
                pool, decision = self.placement.choose(connection, operation.id, wanted, leaving=leaving)
            except NoPoolFits as error:
                raise moving.nowhere(request, error) from error
            space = space_of(pool, snapshots)
            if not space or reservations.grow_pending(connection, operation.id, pool["id"], space):
                return pool, decision
            reservations.void(connection, operation.id, scope="pool", target=pool["id"])
            full = f"no room for {len(snapshots)} snapshots of {format_size(space)} in all"
            wanted = replace(wanted, exclude={**wanted.exclude, pool["id"]: full})

    def _start(
        self,
        connection: Connection,
        operation: OpenOperation,
        request: MigrateShareInput,
        share: RowMapping,
        fences: tuple[Fence, ...],
        move: _Move,
    ) -> Begun:
        source = resources.instance_place(connection, share["id"])
        memory = MigrationMemory(bandwidth=request.bandwidth, ignore_open_files=request.ignore_open_files)
        return self.started(
            connection,
            operation,
            share_id=share["id"],
            share_name=share["name"],
            instance=source,
            **self._destined(connection, operation, share, fence_of(fences, source.id), move, memory),
        )

    @staticmethod
    def _destined(
        connection: Connection, operation: OpenOperation, share: RowMapping, source: Fence, move: _Move,
        memory: MigrationMemory,
    ) -> dict[str, Any]:  # fmt: skip
        """Add the rows of the destination; gives what a begun migration has of it."""
        place = resources.add_destination(connection, operation.id, share["id"], move.pool, share["size"])
        mine = claims.hold_new(connection, operation.id, "instance", place.id)
        for snapshot in move.snapshots:
            resources.add_copy(connection, snapshot, place)
        # Others may have the share from here on; what this operation needs of it, it holds.
        woken = claims.give_back(connection, operation.id, ["share"])
        operation.notes.update(share_id=share["id"], waiting_for=None, placement=move.decision)
        migration = Migration(
            mode=move.plan.mode,
            destination=place,
            epoch=mine.epoch,
            fence_mode=move.fence_mode,
            withhold="none" in move.pool["attributes"].get("access_modes", []),
            shrinks=bool(move.pool["attributes"].get("shrink", True)),
            brief=True,
            plan=move.plan,
            memory=memory,
        )
        return {
            "waiting_for": woken,
            "fences": [source, mine],
            "qos": qos.for_new_share(move.wished, share["size"], move.pool),
            "placement": move.plan.placement,
            "migration": migration,
        }

    def place_again(
        self, connection: Connection, operation: OpenOperation, begun: Begun, refusal: PlaceAgainInput
    ) -> Begun:
        """Exclude the pool that refused the destination and take the next-best, or wait in line for the share.

        Idempotent by instance: once moved, the same refusal gives the same answer. Raises NoPoolFits, and what a start
        does.
        """
        migration = migration_of(begun)
        if begun.phase or migration.destination.id != refusal.instance:
            return begun
        if ahead := take_back_refused(connection, operation, begun.share_id, refusal):
            return ahead
        share = resources.share_row(connection, begun.share_id)
        refused = refused_so_far(operation, refusal)
        move = self._decide(
            connection, operation, self.as_migration(operation), share, migration.plan.reason, refused=refused
        )
        source = next(fence for fence in begun.fences if fence.id != refusal.instance)
        return begun.model_copy(update=self._destined(connection, operation, share, source, move, migration.memory))

    def as_migration(self, operation: OpenOperation) -> MigrateShareInput:
        """What the operation asked for, as a migration."""
        return self.parse(operation)

    # -- ends --------------------------------------------------------------------------------------------------------

    def commit(
        self, connection: Connection, operation: OpenOperation, begun: Begun, outcome: CommitInput
    ) -> dict[str, Any]:
        """The old instance and its copies are gone; what they had in their pool is free."""
        migration = migration_of(begun)
        if not begun.phase or begun.instance is None:
            raise InvalidState(f"operation {operation.id} has not switched the share yet", hint="a bug; report it")
        self.give_share_back(connection, operation, begun, "migrated")
        resources.drop_instance(connection, begun.instance.id)
        share = resources.share_row(connection, begun.share_id)
        return MigrateShareResult(
            operation=operation.id,
            share_id=share["id"],
            name=share["name"],
            outcome="migrated",
            mode=migration.mode,
            source=migration.plan.source,
            destination=migration.plan.destination,
            export_locations=export_paths(connection, migration.destination.id),
            passes=migration.memory.passes,
            bytes_moved=migration.memory.bytes_moved,
            stopped_seconds=migration.memory.stopped_seconds,
        ).model_dump(mode="json")

    def abort(self, connection: Connection, operation: OpenOperation, begun: Begun) -> None:
        """The destination goes, the share stays what it was. Raises InvalidState after the switch."""
        migration = migration_of(begun)
        if begun.phase:
            raise InvalidState(
                f"operation {operation.id} has switched the share to {migration.plan.destination} already",
                hint="migrate it back",
            )
        self.give_share_back(connection, operation, begun, "not migrated")
        resources.drop_instance(connection, migration.destination.id)

    @staticmethod
    def give_share_back(connection: Connection, operation: OpenOperation, begun: Begun, why: str) -> list[str]:
        """The end of a cutover: others may have the share, its snapshots and replicas. Idempotent.

        Returns whose turn it is.
        """
        held = {fence.id for fence in claims.held(connection, operation.id)}
        if begun.share_id in held:
            row = resources.share_row(connection, begun.share_id)
            if row["status"] == CUTTING_OVER:
                audit.change(connection, operation.actor, tables.shares, begun.share_id, after=AVAILABLE, why=why)
        there = [row["id"] for row in replicas.of_share(connection, begun.share_id)]
        return claims.give_back(connection, operation.id, HELD, also=there)

    # -- the type ----------------------------------------------------------------------------------------------------

    def _type(self, connection: Connection, request: MigrateShareInput, share: RowMapping) -> tuple[ShareTypeSpec, str]:
        """The type that the share will have. Raises UnknownType, and InvalidInput when it does not allow the share."""
        if request.to_type is None:
            row = resources.share_type(connection, share["type"], share["type_version"])
            return placement.type_spec(row), row["version"]
        try:
            row = resources.share_type(connection, request.to_type)
            spec = placement.type_spec(row)
            check_size(spec, share["size"])
        except (UnknownType, InvalidInput) as error:
            raise moving.renamed(error, self.type_field) from error
        return spec, row["version"]

    def _check_snapshot_rules(self, request: MigrateShareInput, spec: ShareTypeSpec, moved: Moved) -> None:
        if request.to_type is None or spec.snapshots.allowed or not moved.snapshots:
            return
        rule = f"type {spec.name!r} allows no snapshots, and share {moved.name!r} has {moved.snapshots}"
        if request.preserve_snapshots:
            raise InvalidInput(
                f"{rule}: preserve_snapshots and {self.type_field} contradict each other",
                field="preserve_snapshots",
                hint=f"choose another {self.type_field}, or delete the snapshots first",
            )
        raise NotSupported(rule, field=self.type_field, hint="choose another type, or delete the snapshots first")


def available_snapshots(connection: Connection, share_id: str) -> list[RowMapping]:
    """Snapshots of a share that are whole and not on their way out, oldest first."""
    return [row for row in resources.snapshots_of(connection, share_id) if row["status"] == AVAILABLE]


def snapshot_legs(
    connection: Connection, instance_id: str, snapshots: Sequence[RowMapping], epoch: int
) -> tuple[list[SnapshotLeg], dict[str, ObjectPlace]]:
    """These snapshots beside the active instance and beside another one, where both have a copy; and all copies there.

    The copies are keyed by their snapshot, which may be gone.
    """
    copies = {row["snapshot_id"]: row for row in resources.copies_on(connection, instance_id)}
    targets = {target.id: target for target in resources.copy_places(connection, instance_id)}
    sources = {one.id: one for one in resources.snapshot_places(connection, list(copies))}
    legs = [
        SnapshotLeg(
            id=row["id"],
            name=row["name"],
            source=sources[row["id"]],
            target=targets[row["id"]],
            epoch=epoch,
            done=copies[row["id"]]["status"] == COPIED,
        )
        for row in snapshots
        if row["id"] in copies and row["id"] in sources
    ]
    return legs, targets


def moved_share(connection: Connection, share: RowMapping) -> Moved:
    """A share as it is before it moves."""
    place = resources.instance_place(connection, share["id"])
    return Moved(
        name=share["name"],
        place=place,
        pool=resources.pool_row(connection, place.pool_id),
        paths=export_paths(connection, place.id),
        snapshots=len(available_snapshots(connection, share["id"])),
        used=resources.instance_row(connection, place.id)["used_bytes"],
    )


def type_columns(connection: Connection, operation: OpenOperation) -> dict[str, Any]:
    """The columns of a share that has the type that its operation placed, in that version."""
    asked = (operation.placement or {}).get("request")
    if asked is None:
        return {}
    row = resources.share_type(connection, asked["type"], asked["type_version"])
    return {"type": row["name"], "type_version": row["version"], "protocol": placement.type_spec(row).protocol}


def export_paths(connection: Connection, instance_id: str) -> list[str]:
    """The export paths of an instance, the preferred one first."""
    locations = tables.export_locations
    paths = (
        select(locations.c.path)
        .where(locations.c.instance_id == instance_id)
        .order_by(locations.c.preferred.desc(), locations.c.path)
    )
    return list(connection.execute(paths).scalars())
