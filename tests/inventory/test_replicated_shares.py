"""What operations on a share with replicas do in the inventory, on both databases."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError

from activities.recipes import migrating, replicating
from inventory import claims, comparison, evacuation, operations, replicas, reservations, resources, tables
from inventory.claims import Want
from inventory.database import Database, now
from shareflow import names
from shareflow.contracts.migration_steps import EndCutoverInput, MigrationMemory, SwitchInput
from shareflow.contracts.places import BeginStatus
from shareflow.contracts.replica_steps import FollowReplicaInput
from shareflow.contracts.steps import CommandStep
from shareflow.errors import Busy
from tests.inventory.moves import Moves, pool_id
from tests.inventory.rows import GIB, make_replica, operation_id


@pytest.fixture
def moves(database: Database, tmp_path: Path) -> Moves:
    """Pools that all reach each other through a host."""
    return Moves(database, tmp_path)


def replicate(moves: Moves, share: str, **values: Any) -> str:
    """A replica of a share in beta/b1 that carries its room, with a copy of each snapshot. Returns its id."""
    with moves.database.write() as connection:
        replica = make_replica(connection, share, pool_id("b1"), **values)
        size = resources.share_row(connection, share)["size"]
        operation = operation_id()
        assert reservations.reserve_capacity(connection, operation, pool_id("b1"), size)
        reservations.carried(connection, operation, pool_id("b1"))
        resources.set_instance(connection, replica, allocated_bytes=size)
        for snapshot in resources.snapshots_of(connection, share):
            resources.add_copy(connection, snapshot, resources.place_of(replicas.row(connection, replica)))
            resources.set_copies(connection, replica, [snapshot["id"]], status="copied")
    return replica


def hold(moves: Moves, replica: str) -> str:
    """A round of a replica's sync holds it. Returns the sync operation."""
    sync = f"sync-{replica}"
    with moves.database.write() as connection:
        share = replicas.row(connection, replica)["share_id"]
        row = resources.share_row(connection, share)
        request = {"project": row["project"], "by": "", "reason": "", "share": share, "replica": replica}
        operations.open_or_find(connection, sync, names.SYNC_REPLICA, request)
        assert claims.request(connection, sync, [Want("instance", replica)]).granted
    return sync


@pytest.mark.parametrize(("older", "taken"), [(300, "whole"), (1000, "torn")])
def test_a_lost_share_takes_a_whole_replica_before_a_torn_one_that_is_newer_by_what_is_tolerated(
    moves: Moves, older: int, taken: str
) -> None:
    """Some files of the newest may be half new; of one that is older by more than the loss more is gone."""
    share = moves.create(type="twice")
    with moves.database.write() as connection:
        made = {
            "whole": make_replica(connection, share, pool_id("a2"), synced_at=now() - timedelta(seconds=older)),
            "torn": make_replica(connection, share, pool_id("b1"), memory={"passing": True}),
        }
    _, begun = moves.begin(names.PROMOTE_REPLICA, share="home", lost=True, accept_loss=True, reason="burnt")
    assert begun.replica is not None
    assert begun.replica.replica == made[taken]


def test_who_does_not_wait_is_told_when_it_is_a_round_that_holds_the_replica(moves: Moves) -> None:
    """A round is over in a moment, and nobody cancels a sync."""
    replica = replicate(moves, moves.create())
    hold(moves, replica)
    with moves.database.write() as connection, pytest.raises(Busy) as refused:
        claims.request(connection, operation_id(), [Want("instance", replica)], fail_if_busy=True)
    assert refused.value.hint.startswith("a round of replication")


def test_deletion_holds_the_whole_tree_and_gives_all_room_back(moves: Moves) -> None:
    """The replica is claimed with the share; what is in the recycle bin takes its room, what is purged does not."""
    share = moves.create()
    moves.snapshot("s1")
    replica = replicate(moves, share)
    operation, begun = moves.begin(names.DELETE_SHARE, share="home")
    assert begun.status is BeginStatus.STARTED
    assert begun.frees_bytes == 2 * GIB
    (leaving,) = begun.replicas
    assert (leaving.terms.replica, leaving.terms.epoch, len(leaving.copies)) == (replica, 1, 1)
    assert moves.rows(tables.instances, id=replica)[0]["claimed_by"] == operation
    moves.steps.soft_deleted(CommandStep(operation=operation))
    assert moves.allocated() == {"a1": 1, "a2": 0, "b1": 1}
    assert moves.steps.begin_purge(CommandStep(operation=operation)).replicas == begun.replicas
    moves.commit(operation, outcome="purged")
    assert moves.allocated() == {"a1": 0, "a2": 0, "b1": 0}
    left = (tables.shares, tables.instances, tables.replicas, tables.snapshot_instances, tables.claims)
    assert [moves.rows(table) for table in left] == [[]] * len(left)


def test_round_is_asked_to_let_go_whatever_the_caller_says_of_waiting(moves: Moves) -> None:
    """Anybody else in the way is told to who would not wait."""
    share = moves.create()
    sync = hold(moves, replicate(moves, share))
    _, begun = moves.begin(names.DELETE_SHARE, share="home", on_busy="fail")
    assert (begun.status, begun.waiting_for) == (BeginStatus.WAITING, [sync])
    assert begun.nudge == {sync: names.GIVE_WAY}
    moves.create("other")
    resize, _ = moves.begin(names.RESIZE_SHARE, share="other", size=2 * GIB)
    other = moves.rows(tables.shares, name="other")[0]["id"]
    with moves.database.write() as connection:
        busy = make_replica(connection, other, pool_id("b1"))
    hold(moves, busy)
    with pytest.raises(ApplicationError, match=resize):
        moves.begin(names.DELETE_SHARE, share="other", on_busy="fail")


def test_replicas_mode_is_unknown_after_a_deletion_that_was_undone(moves: Moves) -> None:
    """Clients may have been cut off: the next round sets the mode that it must have."""
    share = moves.create()
    replica = replicate(moves, share, kind="readable", memory={"mode": "ro"})
    operation, begun = moves.begin(names.DELETE_SHARE, share="home")
    assert begun.replicas[0].terms.mode_between == "ro"
    moves.abort(operation)
    assert moves.rows(tables.replicas, id=replica)[0]["memory"]["mode"] == ""


def test_copy_of_a_deleted_snapshot_stays_until_a_round_has_removed_it(moves: Moves) -> None:
    """Its object is on the replica's backend: without the row nobody would know it."""
    share = moves.create()
    snapshot = moves.snapshot("s1")
    replica = replicate(moves, share)
    moves.do(names.DELETE_SNAPSHOT, share="home", snapshot="s1")
    (copy,) = moves.rows(tables.snapshot_instances)
    assert (copy["snapshot_id"], copy["instance_id"]) == (snapshot, replica)
    sync = hold(moves, replica)
    with moves.database.write() as connection:
        operation = operations.get(connection, sync)
        step = FollowReplicaInput(operation=sync, replica=replica, memory=MigrationMemory())
        found = replicating.follow(connection, operation, step)
        assert [place.object for place in found.gone] == [copy["object"]]
        gone = step.model_copy(update={"dropped": [copy["object"]]})
        assert replicating.follow(connection, operation, gone).gone == []
    assert moves.rows(tables.snapshot_instances) == []


def test_everything_of_a_forgotten_share_has_a_tombstone(moves: Moves) -> None:
    """The replica, copies beside it, also of snapshots that are gone, and sync points on both sides."""
    share = moves.create()
    moves.snapshot("s1")
    moves.snapshot("s2")
    replica = replicate(moves, share, memory={"sync_points": ["sf-point"]})
    moves.do(names.DELETE_SNAPSHOT, share="home", snapshot="s2")
    objects = [row["object"] for table in (tables.instances, tables.snapshot_instances) for row in moves.rows(table)]
    _, begun = moves.begin(names.FORGET_SHARE, share="home")
    assert begun.waiting_for == [f"sync-{replica}"]  # it is told that it has ended
    result = begun.result or {}
    stones = [row["object"] for row in moves.rows(tables.tombstones)]
    assert sorted(stones) == sorted([*objects, "sf-point", "sf-point"])
    assert len(result["left_behind"]) == len(stones)
    assert {"alpha/a1/sf-point", "beta/b1/sf-point"} <= set(result["left_behind"])
    assert moves.rows(tables.replicas) == []
    assert moves.allocated() == {"a1": 1, "a2": 0, "b1": 1}


def test_share_with_replicas_moves_beside_them_and_a_moving_one_gets_none(moves: Moves) -> None:
    """Its own pool and theirs are no destinations; the refusal of a replica says what to wait for."""
    share = moves.create()
    replicate(moves, share)
    before = moves.picture()
    with pytest.raises(ApplicationError, match="a replica of the share is there; promote it instead"):
        moves.migrate(to_pool="b1", to_backend="beta")
    assert moves.picture() == before
    migration, begun = moves.migrate(to_pool="a2")
    assert begun.migration is not None
    assert begun.migration.destination.pool == "a2"
    with pytest.raises(ApplicationError, match=f"operation {migration} migrates"):
        moves.begin(names.CREATE_REPLICA, share="home")


def test_cutover_holds_the_replicas_first_under_a_number_above_theirs(moves: Moves) -> None:
    """While one is held by its sync nobody stands in the share's line; a switch makes them follow the destination."""
    share = moves.create()
    replica = replicate(moves, share, memory={"sync_points": ["sf-point"], "common": ["sf-point", "sf-point"]})
    migration, begun = moves.migrate(to_pool="a2")
    sync = hold(moves, replica)
    with moves.database.write() as connection:
        operation = operations.get(connection, migration)
        _, answer = migrating.begin_cutover(connection, operation, begun)
        assert (answer.status, answer.waiting_for) == (BeginStatus.WAITING, [sync])
        assert answer.nudge == {sync: names.GIVE_WAY}
        assert claims.request(connection, "resize", [Want("share", share)]).granted
        claims.release(connection, "resize")
        connection.execute(tables.instances.update().where(tables.instances.c.id == replica).values(epoch=70))
        claims.release(connection, sync)
        begun, answer = migrating.begin_cutover(connection, operation, begun)
        assert answer.status is BeginStatus.STARTED
        (fence,) = answer.fences
        assert fence.epoch == 72  # the replica's claim is the 71st
        step = SwitchInput(operation=migration, export_paths=[], memory=MigrationMemory())
        switched = migrating.switch(connection, operation, begun, step)
        assert switched.migration is not None
        assert switched.migration.memory.sync_points == ["sf-point"]
        memory = replicas.memory_of(replicas.row(connection, replica))
        assert (memory.common, memory.sync_points[0], len(memory.sync_points)) == ([], "sf-point", 2)
        assert memory.anew
        _ = migrating.end_cutover(
            connection, operation, switched, EndCutoverInput(operation=migration, memory=MigrationMemory())
        )
        held = [fence.id for fence in claims.held(connection, migration)]
        assert replica not in held
        assert share not in held
        assert len(held) == 2


def test_evacuation_has_replicas_among_what_is_to_leave(moves: Moves) -> None:
    """Each once, by its own id; what an evacuation did not come to is told of apart from its share."""
    share = moves.create()
    replica = replicate(moves, share)
    operation, _ = moves.begin(names.EVACUATE_POOL, backend="beta", pool="b1")
    with moves.database.read() as connection:
        found = evacuation.next_shares(connection, operation, [pool_id("b1")], "", 10)
        assert [(one.id, one.share, one.name) for one in found] == [(replica, share, "home")]
        assert evacuation.next_shares(connection, operation, [pool_id("b1")], replica, 10) == []
        (child,) = evacuation.children(connection, operation, [replica])
        assert (child.share.share, child.share.name, child.state) == (share, "home", "")
    result = moves.commit(operation).result or {}
    assert (result["outcome"], result["left"]) == ("incomplete", 1)
    (item,) = result["not_moved"]
    assert (item["share_id"], item["replica"], item["reason"]) == (share, replica, "it was not its turn")


def test_inventory_expects_what_syncs_have_on_both_sides(moves: Moves) -> None:
    """A replica at rest with the mode that was set last, its whole copies, and sync points that need not be there."""
    share = moves.create()
    moves.snapshot("s1")
    replica = replicate(moves, share, memory={"sync_points": ["sf-point"], "mode": "none"})
    with moves.database.read() as connection:
        here, there = (comparison.expected(connection, pool_id(pool)) for pool in ("a1", "b1"))
        place = resources.place_of(replicas.row(connection, replica))
        (copy,) = resources.copy_places(connection, replica)
    assert (here["sf-point"].settled, there["sf-point"].settled) == (False, False)
    item = there[place.object]
    assert (item.kind, item.settled, item.mode, item.replica) == ("share", True, "none", True)
    assert (there[copy.object].settled, there[copy.object].replica) == (True, True)
    hold(moves, replica)
    with moves.database.read() as connection:
        there = comparison.expected(connection, pool_id("b1"))
    assert [there[name].settled for name in (place.object, copy.object)] == [False, False]


def test_replica_in_a_passing_state_that_nobody_holds_is_told(moves: Moves) -> None:
    """As shares and snapshots are."""
    replica = replicate(moves, moves.create())
    with moves.database.write() as connection:
        assert comparison.stray_statuses(connection) == []
        resources.set_instance(connection, replica, status="deleting")
        assert comparison.stray_statuses(connection) == [("instance", replica, "deleting")]
