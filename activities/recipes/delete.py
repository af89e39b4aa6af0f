"""DeleteShare and ForgetShare in the inventory."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, RowMapping, insert, select

from activities import placement
from activities.recipes.base import Recipe, claim, fence_of, require_status
from activities.recipes.create import check_name_free
from inventory import audit, operations, reservations, resources, tables
from inventory.claims import Want
from inventory.database import now
from inventory.operations import OpenOperation
from shareflow import names
from shareflow.contracts.operations import DeleteShareInput, ForgetShareInput
from shareflow.contracts.steps import BeginStatus, Begun, CommandStep, CommitInput, PurgeBegun, RetentionResult
from shareflow.errors import CommandRefused, NameTaken, NotFound, StaleClaim

RECYCLE_BIN = "recycle-bin"
PURGING = "purging"
RESTORING = "restoring"


def _tree(share: RowMapping, snapshots: list[RowMapping]) -> list[dict[str, Any]]:
    rows = [("share", share), *(("snapshot", row) for row in snapshots)]
    return [{"kind": kind, "id": row["id"], "name": row["name"], "size": row["size"]} for kind, row in rows]


def _frees(connection: Connection, share_id: str) -> int:
    copies = (
        select(tables.snapshot_instances.c.allocated_bytes)
        .join(tables.snapshots, tables.snapshots.c.id == tables.snapshot_instances.c.snapshot_id)
        .where(tables.snapshots.c.share_id == share_id)
    )
    own = select(tables.instances.c.allocated_bytes).where(tables.instances.c.share_id == share_id)
    carried: list[int] = [*connection.execute(copies).scalars(), *connection.execute(own).scalars()]
    return sum(carried)


def _ids(rows: Sequence[RowMapping]) -> list[str]:
    return [row["id"] for row in rows]


def _claim_tree(
    connection: Connection, operation: OpenOperation, request: DeleteShareInput | ForgetShareInput
) -> tuple[RowMapping, list[RowMapping], Any]:
    share = resources.find_share(connection, operation.project, request.share)
    while True:
        snapshots = list(resources.snapshots_of(connection, share["id"]))
        wants = [Want("share", share["id"]), *(Want("snapshot", row["id"]) for row in snapshots)]
        try:
            fences = claim(connection, operation, request, wants)
        except NotFound:
            # PostgreSQL: a snapshot was deleted between the look and the lock; then there are others now. If there are
            # not, looking again finds the same for ever: the share itself is gone, or it is not the one waited for.
            resources.find_share(connection, operation.project, share["id"])
            if _ids(resources.snapshots_of(connection, share["id"])) == _ids(snapshots):
                raise
            continue
        # With the share held no snapshot can be added, but one may have come while we stood in line: claim it too.
        now_there = resources.snapshots_of(connection, share["id"])
        if isinstance(fences, Begun) or _ids(now_there) == _ids(snapshots):
            return share, snapshots, fences


def _free_name(connection: Connection, project: str, begun: Begun) -> str:
    """The share's name, or when that was taken meanwhile, one that tells whose it was."""
    try:
        check_name_free(connection, project, begun.share_name)
    except NameTaken:
        return f"{begun.share_name[:54]}-{begun.share_id[:8]}"
    return begun.share_name


class DeleteShare(Recipe[DeleteShareInput]):
    """A share with its tree goes to the recycle bin, from there back or away for good."""

    kind = names.DELETE_SHARE
    input_model = DeleteShareInput

    def begin(self, connection: Connection, operation: OpenOperation, request: DeleteShareInput) -> Begun:
        """See base class."""
        if request.preview:
            return self._preview(connection, operation, request)
        share, snapshots, fences = _claim_tree(connection, operation, request)
        if isinstance(fences, Begun):
            return fences
        share = resources.find_share(connection, operation.project, share["id"])
        require_status(share, "share", "available")
        spec = placement.type_spec(resources.share_type(connection, share["type"], share["type_version"]))
        audit.change(connection, operation.actor, tables.shares, share["id"], after="deleting")
        operations.note(connection, operation.id, share_id=share["id"], waiting_for=None)
        ids = _ids(snapshots)
        place = resources.instance_place(connection, share["id"])
        modes = resources.pool_row(connection, place.pool_id)["attributes"].get("access_modes", [])
        return self.started(
            connection,
            operation,
            share_id=share["id"],
            share_name=share["name"],
            fences=[fence_of(fences, share["id"])],
            instance=place,
            withhold="none" in modes,
            items=resources.snapshot_places(connection, ids),
            item_fences=[fence for fence in fences if fence.id in ids],
            retention=spec.retention if request.retention is None else request.retention,
            tree=_tree(share, snapshots),
            frees_bytes=_frees(connection, share["id"]),
        )

    def _preview(self, connection: Connection, operation: OpenOperation, request: DeleteShareInput) -> Begun:
        share = resources.find_share(connection, operation.project, request.share)
        snapshots = list(resources.snapshots_of(connection, share["id"]))
        result = self._result(operation, share, "preview", _tree(share, snapshots), _frees(connection, share["id"]))
        return Begun(status=BeginStatus.ENDED, result=result, share_id=share["id"])

    @staticmethod
    def _result(
        operation: OpenOperation, share: RowMapping, outcome: str, tree: list[dict[str, Any]], frees: int
    ) -> dict[str, Any]:
        return {
            "operation": operation.id,
            "state": "succeeded",
            "share_id": share["id"],
            "name": share["name"],
            "outcome": outcome,
            "tree": tree,
            "frees_bytes": frees,
        }

    def soft_deleted(self, connection: Connection, operation: OpenOperation, begun: Begun) -> Begun:
        """Clients are cut off: the share is in the recycle bin from now until ``purge_at``. Idempotent."""
        if begun.phase:
            return begun
        purge_at = now() + timedelta(seconds=begun.retention)
        fence = fence_of(begun.fences, begun.share_id)
        audit.change(
            connection,
            operation.actor,
            tables.shares,
            begun.share_id,
            after=RECYCLE_BIN,
            epoch=fence.epoch,
            purge_at=purge_at,
            live_name=None,
        )
        return begun.model_copy(update={"phase": RECYCLE_BIN, "purge_at": purge_at})

    def extend(
        self, connection: Connection, operation: OpenOperation, begun: Begun, step: CommandStep
    ) -> tuple[Begun, RetentionResult]:
        """Move the purge later. Raises CommandRefused once the purge or a restore has begun."""
        if begun.phase != RECYCLE_BIN or begun.purge_at is None:
            raise CommandRefused(f"the share is not in the recycle bin, it is {begun.phase or 'being deleted'}")
        # A late attempt of an earlier extension must not take back a later one.
        if step.purge_at is None or step.purge_at <= begun.purge_at:
            return begun, RetentionResult(purge_at=begun.purge_at)
        audit.change(
            connection,
            operation.actor,
            tables.shares,
            begun.share_id,
            after=RECYCLE_BIN,
            purge_at=step.purge_at,
            why=f"retention extended by {step.by}" if step.by else "retention extended",
        )
        return begun.model_copy(update={"purge_at": step.purge_at}), RetentionResult(purge_at=step.purge_at)

    def restore(self, connection: Connection, operation: OpenOperation, begun: Begun, step: CommandStep) -> Begun:
        """Take the share out of the recycle bin; its name is taken from here on. Raises NameTaken, CommandRefused."""
        if begun.phase == RESTORING:
            return begun
        if begun.phase != RECYCLE_BIN:
            raise CommandRefused(f"the share is not in the recycle bin, it is {begun.phase or 'being deleted'}")
        name = step.name or begun.share_name
        check_name_free(connection, operation.project, name)
        audit.change(
            connection,
            operation.actor,
            tables.shares,
            begun.share_id,
            after=RESTORING,
            name=name,
            live_name=name,
            purge_at=None,
            why=f"restored by {step.by}" if step.by else "restored",
        )
        return begun.model_copy(update={"phase": RESTORING, "share_name": name})

    def purge(self, connection: Connection, operation: OpenOperation, begun: Begun) -> tuple[Begun, PurgeBegun]:
        """The point of no return: from here on everything goes. Raises CommandRefused when a restore came first."""
        if begun.phase not in (RECYCLE_BIN, PURGING) or begun.instance is None:
            raise CommandRefused(f"the share is not in the recycle bin, it is {begun.phase or 'being deleted'}")
        if begun.phase == RECYCLE_BIN:
            audit.change(connection, operation.actor, tables.shares, begun.share_id, after=PURGING)
        answer = PurgeBegun(
            items=begun.items, item_fences=begun.item_fences, instance=begun.instance, fences=begun.fences
        )
        return begun.model_copy(update={"phase": PURGING}), answer

    def commit(
        self, connection: Connection, operation: OpenOperation, begun: Begun, outcome: CommitInput
    ) -> dict[str, Any]:
        """See base class."""
        if begun.instance is None:
            raise StaleClaim(f"operation {operation.id} has no instance to delete")
        share = resources.share_row(connection, begun.share_id)
        result = self._result(operation, share, outcome.outcome, begun.tree, begun.frees_bytes)
        if outcome.outcome == "restored":
            audit.change(connection, operation.actor, tables.shares, begun.share_id, after="available")
            return {**result, "frees_bytes": 0}
        for fence in begun.item_fences:
            resources.drop_snapshot_copies(connection, fence.id)
            audit.remove(connection, operation.actor, tables.snapshots, fence.id, why="purged with its share")
        resources.drop_instance(connection, begun.instance.id)
        resources.drop_rules(connection, begun.share_id)
        audit.remove(connection, operation.actor, tables.shares, begun.share_id, why="purged")
        reservations.give_back_quota(
            connection, operation.project, size=share["size"], shares=1, snapshots=len(begun.item_fences)
        )
        return result

    def abort(self, connection: Connection, operation: OpenOperation, begun: Begun) -> None:
        """See base class."""
        back: dict[str, Any] = {}
        if begun.phase == RECYCLE_BIN:
            # Window: it came into the recycle bin, the answer was lost, and a cancel overtook it.
            name = _free_name(connection, operation.project, begun)
            back = {"name": name, "live_name": name, "purge_at": None}
        audit.change(
            connection, operation.actor, tables.shares, begun.share_id, after="available", why="not deleted", **back
        )


class ForgetShare(Recipe[ForgetShareInput]):
    """A share's rows go, its data stay; tombstones say where."""

    kind = names.FORGET_SHARE
    input_model = ForgetShareInput

    def begin(self, connection: Connection, operation: OpenOperation, request: ForgetShareInput) -> Begun:
        """See base class."""
        share, snapshots, fences = _claim_tree(connection, operation, request)
        if isinstance(fences, Begun):
            return fences
        require_status(resources.share_row(connection, share["id"]), "share", "available")
        left: list[str] = []
        for snapshot in snapshots:
            left += self._bury(connection, operation, share["id"], "snapshot", snapshot["id"])
            audit.remove(connection, operation.actor, tables.snapshots, snapshot["id"], why="forgotten")
        left += self._bury(connection, operation, share["id"], "share", share["id"])
        resources.drop_rules(connection, share["id"])
        audit.remove(connection, operation.actor, tables.shares, share["id"], why="forgotten")
        reservations.give_back_quota(
            connection, operation.project, size=share["size"], shares=1, snapshots=len(snapshots)
        )
        operations.note(connection, operation.id, share_id=share["id"], waiting_for=None)
        result = {
            "operation": operation.id,
            "state": "succeeded",
            "share_id": share["id"],
            "name": share["name"],
            "left_behind": left,
        }
        return Begun(status=BeginStatus.ENDED, result=result, share_id=share["id"])

    @staticmethod
    def _bury(connection: Connection, operation: OpenOperation, share: str, kind: str, owner: str) -> list[str]:
        copies = tables.instances if kind == "share" else tables.snapshot_instances
        column = copies.c.share_id if kind == "share" else copies.c.snapshot_id
        statement = (
            select(copies, tables.pools.c.backend, tables.pools.c.name.label("pool"))
            .join(tables.pools, tables.pools.c.id == copies.c.pool_id)
            .where(column == owner)
        )
        left = []
        for row in connection.execute(statement).mappings().all():
            connection.execute(
                insert(tables.tombstones).values(
                    id=resources.new_id(),
                    project=operation.project,
                    share_id=share,
                    kind=kind,
                    pool_id=row["pool_id"],
                    object=row["object"],
                    allocated_bytes=row["allocated_bytes"],
                    iops_floor=row.get("iops_floor", 0),
                    throughput_floor=row.get("throughput_floor", 0),
                    operation=operation.id,
                    created_at=now(),
                )
            )
            # Bytes and floors stay in the pool's sums: the tombstone carries them from here on.
            connection.execute(
                tables.export_locations.delete().where(tables.export_locations.c.instance_id == row["id"])
            )
            connection.execute(copies.delete().where(copies.c.id == row["id"]))
            left.append(f"{row['backend']}/{row['pool']}/{row['object']}")
        return left

    def commit(
        self, connection: Connection, operation: OpenOperation, begun: Begun, outcome: CommitInput
    ) -> dict[str, Any]:
        """See base class."""
        raise StaleClaim(f"operation {operation.id} ended when it began")

    def abort(self, connection: Connection, operation: OpenOperation, begun: Begun) -> None:
        """See base class."""
        raise StaleClaim(f"operation {operation.id} ended when it began")
