"""DeleteShare and ForgetShare in the inventory."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, RowMapping, select

from activities import placement
from activities.recipes.base import Recipe, claim_with, claimed_instances, fence_of, nudges, require_status
from activities.recipes.create import check_name_free
from activities.recipes.migrate import CREATING
from activities.recipes.replicate import give_way, terms_of
from activities.recipes.tombstones import bury, bury_replica, bury_sync_points
from inventory import audit, operations, replicas, reservations, resources, tables
from inventory.claims import Want
from inventory.database import now
from inventory.operations import OpenOperation
from shareflow import names
from shareflow.contracts.operations import DeleteShareInput, ForgetShareInput, OnBusy
from shareflow.contracts.places import BeginStatus
from shareflow.contracts.replica_steps import LeavingReplica
from shareflow.contracts.steps import Begun, CommandStep, CommitInput, PurgeBegun, RetentionResult
from shareflow.errors import Busy, CommandRefused, NameTaken, StaleClaim

RECYCLE_BIN = "recycle-bin"
PURGING = "purging"
RESTORING = "restoring"


def _tree(connection: Connection, share: RowMapping, snapshots: list[RowMapping]) -> list[dict[str, Any]]:
    rows = [("share", share), *(("snapshot", row) for row in snapshots)]
    tree = [{"kind": kind, "id": row["id"], "name": row["name"], "size": row["size"]} for kind, row in rows]
    there = replicas.of_share(connection, share["id"])
    return tree + [
        {"kind": replicas.ROLE, "id": row["id"], "name": f"{row['backend']}/{row['pool']}", "size": row["size"]}
        for row in there
    ]


def _frees(connection: Connection, share_id: str, some: Sequence[str] | None = None) -> int:
    """Bytes of the share, its replicas, and snapshots beside them; what a migration has elsewhere it frees itself.

    Or of some of these instances.
    """
    instances, copies = tables.instances, tables.snapshot_instances
    mine = [instances.c.share_id == share_id, instances.c.role.in_(("active", replicas.ROLE))]
    mine += [] if some is None else [instances.c.id.in_(some)]
    own = select(instances.c.allocated_bytes).where(*mine)
    beside = select(copies.c.allocated_bytes).join(instances, instances.c.id == copies.c.instance_id).where(*mine)
    carried: list[int] = [*connection.execute(beside).scalars(), *connection.execute(own).scalars()]
    return sum(carried)


def _ids(rows: Sequence[RowMapping]) -> list[str]:
    return [row["id"] for row in rows]


def _tree_and_migrations(connection: Connection, share_id: str) -> list[Want]:
    """What goes with a share, and what has to end before it goes."""
    snapshots = [Want("snapshot", row["id"]) for row in resources.snapshots_of(connection, share_id)]
    there = [Want("instance", row["id"]) for row in replicas.of_share(connection, share_id)]
    return [*snapshots, *there, *claimed_instances(connection, share_id)]


def _ways_out(connection: Connection, share_id: str) -> dict[str, str]:
    """Migrations of a share, syncs and creations of its replicas: each with the command that makes it let go."""
    seeding = {
        row["claimed_by"]: names.GIVE_WAY
        for row in replicas.of_share(connection, share_id)
        if row["claimed_by"] and row["status"] == CREATING
    }
    return nudges(connection, share_id) | give_way(connection, share_id) | seeding


def _leaving(connection: Connection, share_id: str) -> list[LeavingReplica]:
    """The replicas of a share as the operation that holds them finds them. Their syncs let clients in again.

    Whoever is cut off by this operation, and comes back with the share, is let in by the next round.
    """
    found = []
    for row in replicas.of_share(connection, share_id):
        leaving = LeavingReplica(terms=terms_of(connection, row), copies=resources.copy_places(connection, row["id"]))
        unknown = leaving.terms.memory.model_copy(update={"mode": ""})
        replicas.note(connection, row["id"], memory=unknown.model_dump(mode="json"))
        found.append(leaving)
    return found


def _claim_tree(
    connection: Connection, operation: OpenOperation, request: DeleteShareInput | ForgetShareInput
) -> tuple[RowMapping, list[RowMapping], Any]:
    """The share and its snapshots with their fences. Whoever waits for a migration asks it to end.

    Raises Busy when the caller asked not to wait for anybody but the syncs of the share's replicas.
    """
    share = resources.find_share(connection, operation.project, request.share)
    syncs = give_way(connection, share["id"])
    patient = request.model_copy(update={"on_busy": OnBusy.QUEUE}) if syncs else request
    fences = claim_with(connection, operation, patient, share["id"], _tree_and_migrations)
    if isinstance(fences, Begun):
        others = [ahead for ahead in fences.waiting_for if ahead not in syncs]
        if others and request.on_busy is OnBusy.FAIL:
            raise Busy(
                f"operation {others[0]} is ahead of this one", hint="wait for it, cancel it, or ask with on_busy: queue"
            )
        fences = fences.model_copy(update={"nudge": _ways_out(connection, share["id"])})
    return share, list(resources.snapshots_of(connection, share["id"])), fences


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
            tree=_tree(connection, share, snapshots),
            frees_bytes=_frees(connection, share["id"]),
            replicas=_leaving(connection, share["id"]),
        )

    def _preview(self, connection: Connection, operation: OpenOperation, request: DeleteShareInput) -> Begun:
        share = resources.find_share(connection, operation.project, request.share)
        snapshots = list(resources.snapshots_of(connection, share["id"]))
        tree = _tree(connection, share, snapshots)
        result = self._result(operation, share, "preview", tree, _frees(connection, share["id"]))
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
            items=begun.items,
            item_fences=begun.item_fences,
            instance=begun.instance,
            fences=begun.fences,
            replicas=begun.replicas,
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
        left: list[str] = []
        if outcome.outcome == "restored":
            audit.change(connection, operation.actor, tables.shares, begun.share_id, after="available")
            return {**result, "frees_bytes": 0}
        for fence in begun.item_fences:
            resources.drop_snapshot_copies(connection, fence.id)
            audit.remove(connection, operation.actor, tables.snapshots, fence.id, why="purged with its share")
        kept = _frees(connection, begun.share_id, outcome.unreached) if outcome.unreached else 0
        for replica in outcome.unreached:
            left += bury_replica(connection, operation, replicas.row(connection, replica), doomed=True)
        for row in resources.instances_of(connection, begun.share_id):
            replicas.remove(connection, row["id"])
            resources.drop_instance(connection, row["id"])
        resources.drop_rules(connection, begun.share_id)
        audit.remove(connection, operation.actor, tables.shares, begun.share_id, why="purged")
        reservations.give_back_quota(
            connection, operation.project, size=share["size"], shares=1, snapshots=len(begun.item_fences)
        )
        return {**result, "frees_bytes": begun.frees_bytes - kept, "left_behind": left}

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
        copies, instances = tables.snapshot_instances, tables.instances
        for snapshot in snapshots:
            mine = copies.c.snapshot_id == snapshot["id"]
            left += bury(connection, operation, share["id"], copies, mine)
            audit.remove(connection, operation.actor, tables.snapshots, snapshot["id"], why="forgotten")
        there = replicas.of_share(connection, share["id"])
        active = resources.instance_place(connection, share["id"])
        for replica in there:
            left += bury_sync_points(connection, operation, replica, [active])
            left += bury_replica(connection, operation, replica)
        left += bury(connection, operation, share["id"], instances, instances.c.share_id == share["id"])
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
        syncs = [replica["sync_operation"] for replica in there]  # they find at once that they have ended
        return Begun(status=BeginStatus.ENDED, result=result, share_id=share["id"], waiting_for=syncs)

    def commit(
        self, connection: Connection, operation: OpenOperation, begun: Begun, outcome: CommitInput
    ) -> dict[str, Any]:
        """See base class."""
        raise StaleClaim(f"operation {operation.id} ended when it began")

    def abort(self, connection: Connection, operation: OpenOperation, begun: Begun) -> None:
        """See base class."""
        raise StaleClaim(f"operation {operation.id} ended when it began")
