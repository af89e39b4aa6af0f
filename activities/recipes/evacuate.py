"""EvacuatePool and EvacuateBackend in the inventory: mark the pools, say which shares are next, report what is left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

from sqlalchemy import Connection, RowMapping

from activities.placement import check_pins
from activities.recipes import moving
from activities.recipes.base import Recipe
from activities.recipes.migrate import MigrateShare
from activities.recipes.migrate_replica import MigrateReplica
from inventory import catalogue, evacuation, fan_out, resources
from inventory.operations import OpenOperation
from shareflow import names
from shareflow.contracts.evacuation import (
    MOST_LISTED,
    MOST_PLANNED,
    EvacuateBackendInput,
    EvacuatePoolInput,
    EvacuationOptions,
    EvacuationPlan,
    EvacuationResult,
    PlannedShare,
)
from shareflow.contracts.evacuation_steps import (
    Evacuation,
    EvacuationFollowed,
    EvacuationMemory,
    FollowEvacuationInput,
    LeavingShare,
)
from shareflow.contracts.leaving import migration_of, move_of
from shareflow.contracts.operations import Request
from shareflow.contracts.places import BeginStatus
from shareflow.contracts.steps import Begun, CommitInput
from shareflow.errors import InvalidInput, ShareflowError, StaleClaim

EVACUATING = "evacuating"
EvacuationInput = EvacuatePoolInput | EvacuateBackendInput


def evacuation_of(begun: Begun) -> Evacuation:
    """An evacuation as it was begun. Raises StaleClaim for another operation."""
    if begun.evacuation is None:
        raise StaleClaim("this operation evacuates nothing")
    return begun.evacuation


class EvacuatePool(Recipe[Any]):
    """All shares leave a pool."""

    kind = names.EVACUATE_POOL
    input_model: ClassVar[type[Request]] = EvacuatePoolInput

    def begin(self, connection: Connection, operation: OpenOperation, request: EvacuationInput) -> Begun:
        """Mark the pools. Raises NotFound for a place that no spec declares, InvalidInput for what cannot be."""
        moving.check_window(request)
        fan_out.check_id(operation.id)
        pools = resources.pools_picture(connection)
        emptied = self._emptied(pools, request)
        self._check_destination(request, pools, emptied[0])
        if request.dry_run:
            return self._plan(connection, operation, request, emptied)
        marked = [row["id"] for row in emptied if request.drain and not row["drained"]]
        for pool in marked:
            catalogue.set_drained(connection, pool, drained=True)
        found = Evacuation(
            source=_source(request),
            backend=request.backend,
            pool=_pool(request),
            pools=[row["id"] for row in emptied],
            marked=marked,
            drained=request.drain or all(row["drained"] for row in emptied),
            memory=EvacuationMemory(bandwidth=request.bandwidth),
        )
        return self.started(connection, operation, phase=EVACUATING, evacuation=found)

    @staticmethod
    def _emptied(pools: Sequence[RowMapping], request: EvacuationInput) -> list[RowMapping]:
        pool = _pool(request)
        check_pins(pools, request.backend, pool)
        return [row for row in pools if row["backend"] == request.backend and pool in (None, row["name"], row["id"])]

    @staticmethod
    def _check_destination(request: EvacuationInput, pools: Sequence[RowMapping], source: RowMapping) -> None:
        one = migration_of(request, LeavingShare(id="any", name="any", project=request.project, snapshots=0))
        try:
            left = moving.destinations(one, pools, source)
        except InvalidInput as error:
            left = []
            pin = error.field
        else:
            pin = moving.first_pin(one)
        if not left:
            raise InvalidInput(
                f"{_source(request)} is to be emptied, and shares may only go there" if pin else
                f"there is no pool beside {_source(request)}",
                field=pin or "backend",
                hint="name another place, or none at all" if pin else "declare another pool first",
            )  # fmt: skip

    def _plan(
        self, connection: Connection, operation: OpenOperation, request: EvacuationInput, emptied: Sequence[RowMapping]
    ) -> Begun:
        pools = [row["id"] for row in emptied]
        shares, size = evacuation.counts(connection, pools)
        binned, _ = evacuation.counts(connection, pools, in_view=False)
        first = evacuation.next_shares(connection, operation.id, pools, "", MOST_PLANNED)
        plan = EvacuationPlan(
            shares=shares,
            replicas=evacuation.counts(connection, pools, role="replica")[0],
            bytes=size,
            in_recycle_bin=binned,
            first=[self._planned(connection, operation, request, share) for share in first],
        )
        drained = all(row["drained"] for row in emptied)
        result = EvacuationResult(
            operation=operation.id, outcome="planned", source=_source(request), drained=drained, left=shares, plan=plan
        )
        return Begun(status=BeginStatus.ENDED, result=result.model_dump(mode="json"))

    def _planned(
        self, connection: Connection, operation: OpenOperation, request: EvacuationInput, share: LeavingShare
    ) -> PlannedShare:
        told = {"share_id": share.share or share.id, "name": share.name, "project": share.project}
        mine = replace(operation, project=share.project)
        row = resources.share_row(connection, told["share_id"])
        if share.share:
            return self._planned_replica(connection, mine, request, share, row)
        mover = MigrateShare(self.limits, self.placement)
        try:
            plan = mover.plan(connection, mine, migration_of(request, share), row)
        except ShareflowError as error:
            return PlannedShare(**told, refusal=error.message[:300])
        return PlannedShare(**told, destination=plan.destination, mode=plan.mode)

    def _planned_replica(
        self, connection: Connection, operation: OpenOperation, request: EvacuationInput, replica: LeavingShare,
        share: RowMapping,
    ) -> PlannedShare:  # fmt: skip
        told = {"share_id": replica.share, "name": replica.name, "project": replica.project, "replica": replica.id}
        mover = MigrateReplica(self.limits, self.placement)
        try:
            where = mover.destination(connection, operation, move_of(request, replica), share)
        except ShareflowError as error:
            return PlannedShare(**told, refusal=error.message[:300])
        return PlannedShare(**told, destination=where)

    # -- while it runs and ends --------------------------------------------------------------------------------------

    def commit(
        self, connection: Connection, operation: OpenOperation, begun: Begun, outcome: CommitInput
    ) -> dict[str, Any]:
        """What was moved and what is left, as the inventory knows it."""
        found = evacuation_of(begun)
        report = evacuation.report(connection, operation.id, found.pools, MOST_LISTED)
        left = sum(evacuation.counts(connection, found.pools, in_view=seen)[0] for seen in (True, False))
        return EvacuationResult(
            operation=operation.id,
            outcome="incomplete" if left or report.not_moved else "evacuated",
            source=found.source,
            drained=found.drained,
            left=left,
            **dict(report),
        ).model_dump(mode="json")

    def abort(self, connection: Connection, operation: OpenOperation, begun: Begun) -> None:
        """What was moved stays where it is; the marks go when that was asked for."""
        request: EvacuationOptions = self.parse(operation)
        if request.undrain_on_cancel:
            for pool in evacuation_of(begun).marked:
                catalogue.set_drained(connection, pool, drained=False)


class EvacuateBackend(EvacuatePool):
    """All shares leave a backend."""

    kind = names.EVACUATE_BACKEND
    input_model: ClassVar[type[Request]] = EvacuateBackendInput


def _pool(request: EvacuationInput) -> str | None:
    return request.pool if isinstance(request, EvacuatePoolInput) else None


def _source(request: EvacuationInput) -> str:
    pool = _pool(request)
    return f"{request.backend}/{pool}" if pool else request.backend


def follow(
    connection: Connection, operation: OpenOperation, begun: Begun, step: FollowEvacuationInput
) -> tuple[Begun, EvacuationFollowed]:
    """Keep the memory and look. Changes nothing else."""
    found = evacuation_of(begun)
    pools = found.pools
    if step.take_up:
        children = evacuation.under_way(connection, operation.id)
        report = evacuation.report(connection, operation.id, pools, MOST_LISTED, ended=False)
    else:
        children, report = evacuation.children(connection, operation.id, step.watched), None
    shares = evacuation.next_shares(connection, operation.id, pools, step.after, step.limit) if step.limit else []
    answer = EvacuationFollowed(
        shares=shares,
        children=children,
        left=evacuation.counts(connection, pools)[0],
        waiting=evacuation.waiting(connection, operation.id, pools),
        report=report,
    )
    return begun.model_copy(update={"evacuation": found.model_copy(update={"memory": step.memory})}), answer
