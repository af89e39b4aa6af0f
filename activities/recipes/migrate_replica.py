"""MigrateReplica in the inventory: another replica is filled, takes the place of the old one, and that goes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from sqlalchemy import Connection, RowMapping

from activities.recipes.apart import find_replica, unfit
from activities.recipes.base import claim_share
from activities.recipes.migrate import AVAILABLE, SWITCHED, available_snapshots
from activities.recipes.replicate import (
    CreateReplica,
    drop_replica,
    give_way,
    replica_of,
    result_of,
    rules_of,
    terms_of,
)
from dsl.placement import PlacementRequest
from inventory import claims, operations, replicas, reservations, resources
from inventory.claims import Want
from inventory.operations import OpenOperation
from shareflow import names
from shareflow.contracts.migration_steps import MigrationMemory
from shareflow.contracts.operations import Request
from shareflow.contracts.places import BeginStatus
from shareflow.contracts.replica_steps import LeavingReplica, RoundBegun
from shareflow.contracts.replication import MigrateReplicaInput
from shareflow.contracts.steps import Begun, CommitInput
from shareflow.errors import InvalidInput, InvalidState, NoPoolFits, NotFound, StaleClaim


class MigrateReplica(CreateReplica):
    """A replica moves to another pool; it has another id there."""

    kind = names.MIGRATE_REPLICA
    input_model: ClassVar[type[Request]] = MigrateReplicaInput

    def begin(self, connection: Connection, operation: OpenOperation, request: Any) -> Begun:
        """See base class. The old replica is not held while the new one is filled: its sync goes on."""
        asked: MigrateReplicaInput = request
        held = claim_share(connection, operation, asked, asked.share)
        if isinstance(held, Begun):
            return held
        share, _ = held
        found = find_replica(connection, share, asked.replica)
        if _is_elsewhere(asked, found):
            operations.note(connection, operation.id, share_id=share["id"], waiting_for=None)
            result = _result(operation, share["name"], found, outcome="elsewhere", source=found, moved=0)
            return Begun(status=BeginStatus.ENDED, result=result, share_id=share["id"])
        _check_able(found)
        wanted = self._wanted(connection, operation, asked, share, found)
        leaving = LeavingReplica(terms=terms_of(connection, found), copies=[])
        memory = MigrationMemory(bandwidth=asked.bandwidth)
        try:
            return self.seeding(connection, operation, share, wanted, memory, replicas=[leaving])
        except NoPoolFits as error:
            raise _nowhere(asked, error) from error

    def destination(
        self, connection: Connection, operation: OpenOperation, request: MigrateReplicaInput, share: RowMapping
    ) -> str:
        """Where a replica would go: ``backend/pool``; nothing is kept. Raises every refusal of a start."""
        found = find_replica(connection, share, request.replica)
        _check_able(found)
        wanted = self._wanted(connection, operation, request, share, found)
        try:
            pool, _ = self.reserve(connection, operation, wanted, available_snapshots(connection, share["id"]))
        finally:
            reservations.void(connection, operation.id)
        return f"{pool['backend']}/{pool['name']}"

    def wanted(
        self, connection: Connection, operation: OpenOperation, share: RowMapping,
        leaving: Sequence[LeavingReplica] = (),
    ) -> PlacementRequest:  # fmt: skip
        """See base class. Raises NotFound when the replica that leaves was promoted or deleted meanwhile."""
        (old,) = leaving
        found = replicas.row(connection, old.terms.replica)
        return self._wanted(connection, operation, self.parse(operation), share, found)

    def _wanted(
        self, connection: Connection, operation: OpenOperation, request: MigrateReplicaInput, share: RowMapping,
        found: RowMapping,
    ) -> PlacementRequest:  # fmt: skip
        spec, rules = rules_of(connection, share)
        every = resources.pools_picture(connection)
        others = [row for row in _copies(connection, share["id"]) if row["id"] != found["id"]]
        snapshots = len(available_snapshots(connection, share["id"]))
        source = resources.instance_place(connection, share["id"])
        exclude = unfit(every, source, others, rules, snapshots, same_domain=request.same_domain)
        for row in every:
            if request.from_pool is None and request.from_backend == row["backend"]:
                exclude[row["id"]] = "the replica is to leave this backend"
        exclude[found["pool_id"]] = "the replica is there now"
        if request.to_pool in (found["pool"], found["pool_id"]) and request.to_backend in (None, found["backend"]):
            raise InvalidInput(
                f"the replica is in pool {found['backend']}/{found['pool']} already",
                field="to_pool",
                hint="name another place, or none at all",
            )
        return PlacementRequest(
            size=share["size"],
            type=spec,
            zone=request.to_zone,
            backend=request.to_backend,
            pool=request.to_pool,
            exclude=exclude,
            project=operation.project,
        )

    # -- the old one -------------------------------------------------------------------------------------------------

    def hold_old(self, connection: Connection, operation: OpenOperation, begun: Begun) -> RoundBegun:
        """Hold the replica that goes, or stand in line; ``ended`` when it is none any more. Idempotent."""
        (leaving,) = begun.replicas
        old = leaving.terms.replica
        try:
            answer = claims.request(connection, operation.id, [Want("instance", old)])
            _ = replicas.row(connection, old)
        except NotFound:
            return RoundBegun(status=BeginStatus.ENDED)
        if not answer.granted:
            ahead = list(answer.waiting_for[:20])
            nudge = give_way(connection, begun.share_id)
            return RoundBegun(status=BeginStatus.WAITING, waiting_for=ahead, nudge=nudge)
        return RoundBegun(status=BeginStatus.STARTED)

    def switch(self, connection: Connection, operation: OpenOperation, begun: Begun) -> Begun:
        """The point of no return: the new replica is one, the old one goes. Idempotent.

        Raises:
            StaleClaim: a claim was lost; nothing was changed.
            InvalidState: another instance is the active one since the copy began.
        """
        if begun.phase:
            return begun
        claims.check(connection, operation.id, begun.fences)
        (leaving,) = begun.replicas
        old = leaving.terms.replica
        held = [fence for fence in claims.held(connection, operation.id) if fence.id == old]
        if not held:
            raise StaleClaim(f"operation {operation.id} does not hold replica {old}")
        active = resources.instance_place(connection, begun.share_id)
        if begun.instance is None or active.id != begun.instance.id:
            raise InvalidState(
                f"{active.backend}/{active.pool} has become the active instance of share {begun.share_name!r} since "
                "the copy began",
                field="share",
                hint="migrate the replica again",
            )
        found = replicas.row(connection, replica_of(begun).replica)
        self.serve(connection, begun, found, replicas.memory_of(found).export_paths)
        resources.set_instance(connection, old, status="deleting")
        operations.note(connection, operation.id, no_return=True, waiting_for=None)
        woken = claims.give_back(connection, operation.id, [], also=[found["id"]])
        terms = terms_of(connection, replicas.row(connection, old))
        gone = LeavingReplica(terms=terms, copies=resources.copy_places(connection, old))
        changes = {"phase": SWITCHED, "fences": held, "replicas": [gone], "waiting_for": woken}
        return begun.model_copy(update=changes)

    # -- ends --------------------------------------------------------------------------------------------------------

    def commit(
        self, connection: Connection, operation: OpenOperation, begun: Begun, outcome: CommitInput
    ) -> dict[str, Any]:
        """The rows of the old one go, and its room is free unless it was left behind."""
        if not begun.phase:
            raise InvalidState(f"operation {operation.id} has not switched the replica yet", hint="a bug; report it")
        (leaving,) = begun.replicas
        old = replicas.row(connection, leaving.terms.replica)
        left = drop_replica(connection, operation, old, outcome)
        place = replica_of(begun).destination
        state = _state(connection, place.id)
        new = {"id": place.id, "share_id": begun.share_id, "backend": place.backend, "pool": place.pool, "state": state}
        return _result(operation, begun.share_name, new, outcome="migrated", source=old, moved=outcome.moved, left=left)

    def abort(self, connection: Connection, operation: OpenOperation, begun: Begun) -> None:
        """The new one goes, the old one stays. Raises InvalidState after the switch."""
        if begun.phase:
            raise InvalidState(f"operation {operation.id} has switched the replica already", hint="migrate it back")
        super().abort(connection, operation, begun)


def _copies(connection: Connection, share_id: str) -> Sequence[RowMapping]:
    """All instances of a share but the active one; also where a migration brings that, or had it."""
    return [row for row in resources.instances_of(connection, share_id) if row["role"] in ("replica", "destination")]


def _state(connection: Connection, replica: str) -> str:
    """How the new replica is in step; empty when it is none any more, since it was promoted meanwhile."""
    try:
        return str(replicas.row(connection, replica)["state"])
    except NotFound:
        return ""


def _is_elsewhere(request: MigrateReplicaInput, found: RowMapping) -> bool:
    """Whether the replica has left what it was to leave."""
    return request.from_backend not in (None, found["backend"]) or request.from_pool not in (None, found["pool"])


def _check_able(found: RowMapping) -> None:
    where = f"{found['backend']}/{found['pool']}"
    if found["stale"]:
        raise InvalidState(
            f"{where} has a stale copy of a lost active instance, which is kept as it is",
            field="replica",
            hint="resync it first, or delete it",
        )
    if found["status"] != AVAILABLE:
        raise InvalidState(
            f"the replica in {where} is {found['status']}", field="replica", hint="wait until that is over"
        )


def _nowhere(request: MigrateReplicaInput, error: NoPoolFits) -> NoPoolFits:
    """Placement's answer in the words of the request."""
    pins = ("to_pool", "to_backend", "to_zone")
    found = NoPoolFits(
        error.message,
        field=next((pin for pin in pins if getattr(request, pin) is not None), "replica"),
        hint=error.hint,
    )
    found.placement = error.placement
    return found


def _result(
    operation: OpenOperation,
    name: str,
    found: Any,
    *,
    outcome: str,
    source: RowMapping,
    moved: int,
    left: Sequence[str] = (),
) -> dict[str, Any]:
    told = result_of(operation, name, found, moved=moved, left=left)
    return {**told, "outcome": outcome, "source": f"{source['backend']}/{source['pool']}"}
