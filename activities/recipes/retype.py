"""RetypeShare in the inventory: in place where the share's pool satisfies the new type, else as MigrateShare."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, RowMapping

from activities import qos
from activities.recipes import apart, followers, moving
from activities.recipes.base import claim_share, fence_of
from activities.recipes.migrate import AVAILABLE, MigrateShare, also_instances, export_paths, moved_share, type_columns
from dsl.documents import ShareTypeSpec
from dsl.placement import PlacementRequest
from inventory import audit, operations, reservations, resources, tables
from inventory.database import Turn
from inventory.operations import OpenOperation
from shareflow import names
from shareflow.contracts.migration import MigrateShareInput, MigrateShareResult, RetypeShareInput
from shareflow.contracts.migration_steps import MigrationPlan
from shareflow.contracts.places import BeginStatus, Fence
from shareflow.contracts.steps import Begun, CommitInput
from shareflow.errors import StaleClaim

IN_PLACE = "in_place"
RETYPING = "retyping"
"""Status of a share while it gets another type where it is."""


class RetypeShare(MigrateShare):
    """A share gets another type, with the QoS class that comes with it."""

    kind = names.RETYPE_SHARE
    input_model = RetypeShareInput
    type_field = "type"

    def begin(self, connection: Connection, operation: OpenOperation, request: Any) -> Begun:
        """See base class. Moves the share only when its pool fails a rule of the new type, and says which."""
        asked: RetypeShareInput = request
        move = as_migration(asked)
        moving.check_window(move)
        if asked.dry_run:
            share = resources.find_share(connection, operation.project, asked.share)
            return self._plan(connection, operation, move, share)
        held = claim_share(connection, operation, asked, asked.share, also=also_instances)
        if isinstance(held, Begun):
            return held
        share, fences = held
        spec, wanted = self._wanted(connection, operation, move, share)
        reason, decision = self._why_not_here(connection, share, spec, wanted)
        if reason:
            move_to = self._decide(connection, operation, move, share, reason)
            return self._start(connection, operation, move, share, fences, move_to)
        return self._begin_here(connection, operation, share, fences, wanted, decision)

    def as_migration(self, operation: OpenOperation) -> MigrateShareInput:
        """See base class."""
        asked: Any = self.parse(operation)
        return as_migration(asked)

    # -- whether it can stay -----------------------------------------------------------------------------------------

    def _wanted(
        self, connection: Connection, operation: OpenOperation, request: MigrateShareInput, share: RowMapping
    ) -> tuple[ShareTypeSpec, PlacementRequest]:
        """The new type, and what its pool is asked. Raises every refusal of the type itself."""
        spec, _ = self._type(connection, request, share)
        moved = moved_share(connection, share)
        self._check_snapshot_rules(request, spec, moved)
        apart.check_new_type(connection, spec, share, moved, self.type_field)
        wished = qos.of_type(connection, spec)
        return spec, PlacementRequest(size=share["size"], type=spec, qos=wished, project=operation.project)

    def _why_not_here(
        self, connection: Connection, share: RowMapping, spec: ShareTypeSpec, wanted: PlacementRequest
    ) -> tuple[str, dict[str, Any]]:
        """The rule of the type that the share's pool fails, empty when it satisfies all; and the decision."""
        Turn.ACCOUNTS.take(connection)  # what the rules say of budgets holds until they are reserved
        place = resources.instance_place(connection, share["id"])
        instance = resources.instance_row(connection, place.id)
        where = f"{place.backend}/{place.pool}"
        verdict, decision = self.placement.judge(connection, wanted, instance, counted=share["type"] == spec.name)
        if verdict is None:
            return f"{where} is declared by no spec any more", decision
        if not verdict.kept:
            failed = verdict.first_failed
            return f"{where} does not satisfy type {spec.name!r}: {failed.rule}: {failed.reason}", decision
        if why := apart.not_apart_here(connection, spec, share, resources.pool_row(connection, place.pool_id)):
            return f"{where} does not satisfy type {spec.name!r}: replicas.apart: {why}", decision
        if spec.protocol != share["protocol"]:
            return (
                f"the share is exported by {share['protocol']}, type {spec.name!r} asks for {spec.protocol}",
                decision,
            )
        return "", decision

    # -- in place ----------------------------------------------------------------------------------------------------

    def _begin_here(
        self, connection: Connection, operation: OpenOperation, share: RowMapping, fences: tuple[Fence, ...],
        wanted: PlacementRequest, decision: dict[str, Any],
    ) -> Begun:  # fmt: skip
        place = resources.instance_place(connection, share["id"])
        change = qos.change_of(connection, operation.id, share, place, wanted.qos, share["size"])
        audit.change(connection, operation.actor, tables.shares, share["id"], after=RETYPING)
        operations.note(connection, operation.id, share_id=share["id"], waiting_for=None, placement=decision)
        return self.started(
            connection,
            operation,
            share_id=share["id"],
            share_name=share["name"],
            fences=[fence_of(fences, share["id"])],
            instance=place,
            qos=change,
            placement=_here(place.backend, place.pool, wanted.type.name),
        )

    def _plan(
        self, connection: Connection, operation: OpenOperation, request: MigrateShareInput, share: RowMapping
    ) -> Begun:
        spec, wanted = self._wanted(connection, operation, request, share)
        reason, _ = self._why_not_here(connection, share, spec, wanted)
        if reason:
            return self._dry_run(connection, operation, request, reason)
        moved = moved_share(connection, share)
        here = moving.title(moved.pool)
        plan = MigrationPlan(
            source=here,
            destination=here,
            mode=IN_PLACE,
            mode_reason="nothing is copied",
            bytes=0,
            snapshots=moved.snapshots,
            seconds=0,
            promises=moving.kept_in_place(request),
            placement=_here(moved.place.backend, moved.place.pool, spec.name),
            reason=f"{here} satisfies type {spec.name!r}",
        )
        result = _result(operation, share, "planned", here, moved.paths, plan)
        return Begun(status=BeginStatus.ENDED, result=result, share_id=share["id"])

    # -- ends --------------------------------------------------------------------------------------------------------

    def commit(
        self, connection: Connection, operation: OpenOperation, begun: Begun, outcome: CommitInput
    ) -> dict[str, Any]:
        """See base class."""
        if begun.migration is not None:
            return super().commit(connection, operation, begun, outcome)
        place, change = begun.instance, begun.qos
        if place is None or change is None:
            raise StaleClaim(f"operation {operation.id} has nothing to set")
        audit.change(
            connection,
            operation.actor,
            tables.shares,
            begun.share_id,
            after=AVAILABLE,
            epoch=fence_of(begun.fences, begun.share_id).epoch,
            **type_columns(connection, operation),
            **qos.recorded(change, outcome.qos),
        )
        followers.take_type(connection, begun.share_id)
        qos.settle_floors(connection, place, change, outcome.qos)
        reservations.commit(connection, operation.id)
        share = resources.share_row(connection, begun.share_id)
        here = f"{place.backend}/{place.pool}"
        return _result(operation, share, IN_PLACE, here, export_paths(connection, place.id))

    def abort(self, connection: Connection, operation: OpenOperation, begun: Begun) -> None:
        """See base class."""
        if begun.migration is not None:
            super().abort(connection, operation, begun)
            return
        audit.change(connection, operation.actor, tables.shares, begun.share_id, after=AVAILABLE, why="its type stays")


def as_migration(request: RetypeShareInput) -> MigrateShareInput:
    """The migration that a retype is where it cannot be done in place."""
    values = {name: getattr(request, name) for name in type(request).model_fields if name != "type"}
    return MigrateShareInput(**values, to_type=request.type)


def _here(backend: str, pool: str, type_name: str) -> str:
    return f"{IN_PLACE}: {backend}/{pool} satisfies type {type_name!r}"


def _result(
    operation: OpenOperation, share: RowMapping, outcome: str, where: str, paths: Any,
    plan: MigrationPlan | None = None,
) -> dict[str, Any]:  # fmt: skip
    return MigrateShareResult(
        operation=operation.id,
        share_id=share["id"],
        name=share["name"],
        outcome=outcome,
        mode=IN_PLACE,
        source=where,
        destination=where,
        export_locations=list(paths),
        plan=plan,
    ).model_dump(mode="json")
