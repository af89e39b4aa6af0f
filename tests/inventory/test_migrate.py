"""A migration's transactions: begin, follow, cut over, switch, end; and what is kept when it is given up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError

from inventory import claims, comparison, operations, tables
from inventory.database import Database
from shareflow import names
from shareflow.contracts.operations import OperationState
from shareflow.contracts.places import BeginStatus
from shareflow.contracts.qos import QosAnswer, Verdict
from shareflow.contracts.steps import CommandStep
from tests.inventory.moves import SENDS, Moves, migration, pool_id
from tests.inventory.rows import GIB


@pytest.fixture
def moves(database: Database, tmp_path: Path) -> Moves:
    """Pools that all reach each other through a host."""
    return Moves(database, tmp_path)


def test_share_moves_with_its_snapshots_and_its_old_place_is_free(moves: Moves) -> None:
    """One id, one history: the share is elsewhere, its snapshots with it, and quota has not changed."""
    share = moves.create()
    first = moves.snapshot("s1")
    before = moves.rows(tables.quotas)
    operation, begun = moves.migrate(preserve_snapshots=True)
    assert begun.status is BeginStatus.STARTED
    assert migration(begun).mode == "host"
    assert moves.roles() == {"a1": "active", "b1": "destination"}
    assert moves.share().status == "available"
    assert moves.share().operation == ""
    assert moves.allocated() == {"a1": 1, "a2": 0, "b1": 1}
    moves.check()
    (leg,) = moves.follow(operation).legs
    assert (leg.id, leg.done, leg.source.pool, leg.target.pool) == (first, False, "a1", "b1")
    (leg,) = moves.follow(operation, done=(first,)).legs
    assert leg.done
    held = moves.cut_over(operation)
    assert [fence.id for fence in held.fences] == [share]
    assert [fence.id for fence in held.snapshot_fences] == [first]
    assert moves.share().status == "cutting-over"
    switched = moves.switch(operation)
    assert (switched.phase, [item.id for item in switched.items]) == ("switched", [first])
    assert moves.roles() == {"a1": "retired", "b1": "active"}
    assert [location.path for location in moves.share().export_locations] == ["/new"]
    moves.end_cutover(operation)
    assert moves.share().status == "available"
    assert moves.allocated() == {"a1": 1, "a2": 0, "b1": 1}
    moves.check()
    result = moves.commit(operation).result
    assert result is not None
    assert (result["outcome"], result["source"], result["destination"]) == ("migrated", "alpha/a1", "beta/b1")
    assert moves.roles() == {"b1": "active"}
    assert moves.allocated() == {"a1": 0, "a2": 0, "b1": 1}
    assert moves.rows(tables.quotas) == before
    assert {row["instance_id"] for row in moves.rows(tables.snapshot_instances)} == {migration(begun).destination.id}
    assert moves.rows(tables.claims) == moves.rows(tables.tickets) == []
    moves.check()


def test_every_step_may_come_twice(moves: Moves) -> None:
    """An answer that was lost is given again, and nothing happens twice."""
    moves.create()
    first = moves.snapshot("s1")
    operation, begun = moves.migrate(preserve_snapshots=True)
    assert moves.migrate(operation=operation, preserve_snapshots=True)[1] == begun
    assert moves.follow(operation, done=(first,)) == moves.follow(operation, done=(first,))
    assert moves.cut_over(operation) == moves.cut_over(operation)
    switched = moves.switch(operation)
    assert moves.switch(operation) == switched
    assert moves.end_cutover(operation) == moves.end_cutover(operation)
    moves.check()
    assert moves.commit(operation).result == moves.commit(operation).result
    moves.check()


def test_migration_that_is_given_up_leaves_no_trace(moves: Moves) -> None:
    """Before and during the cutover: rows, sums, claims and quota are what they were; only the audit has grown."""
    moves.create()
    moves.snapshot("s1")
    before = moves.picture()
    operation, _ = moves.migrate(preserve_snapshots=True)
    moves.abort(operation)
    assert moves.share().migration is None
    for row in before["shares"] + before["instances"]:
        row.pop("epoch")
    after = moves.picture()
    for row in after["shares"] + after["instances"]:
        row.pop("epoch")
    assert after == before
    operation, _ = moves.migrate(preserve_snapshots=True)
    moves.cut_over(operation)
    moves.abort(operation)
    assert moves.share().status == "available"
    assert moves.allocated() == {"a1": 1, "a2": 0, "b1": 0}
    assert moves.rows(tables.claims) == moves.rows(tables.tickets) == []
    moves.check()


def test_failed_cutover_gives_the_share_back_and_another_one_may_follow(moves: Moves) -> None:
    """The second one has claims of its own; in between the share belongs to everybody."""
    moves.create()
    operation, _ = moves.migrate()
    first = moves.cut_over(operation).fences[0]
    waiting, begun = moves.begin(names.RESIZE_SHARE, share="home", size=2 * GIB)
    assert (begun.status, begun.waiting_for) == (BeginStatus.WAITING, [operation])
    assert moves.end_cutover(operation).wake == [waiting]
    assert moves.share().status == "available"
    assert moves.cut_over(operation).status is BeginStatus.STARTED  # its ticket is older
    assert moves.cut_over(operation).fences[0].epoch > first.epoch
    moves.end_cutover(operation)
    _, begun = moves.begin(names.RESIZE_SHARE, operation=waiting, share="home", size=2 * GIB)
    assert begun.status is BeginStatus.STARTED
    assert moves.cut_over(operation).waiting_for == [waiting]
    assert set(moves.commit(waiting).wake) == {operation}
    assert moves.cut_over(operation).status is BeginStatus.STARTED


def test_switch_is_refused_until_everything_is_there(moves: Moves) -> None:
    """Without the share held, or with a snapshot missing, nothing changes."""
    moves.create()
    first = moves.snapshot("s1")
    operation, _ = moves.migrate(preserve_snapshots=True)
    with pytest.raises(ApplicationError, match="has begun no cutover") as stale:
        moves.switch(operation)
    assert stale.value.type == "StaleClaim"
    moves.cut_over(operation)
    before = moves.picture()
    with pytest.raises(ApplicationError, match="snapshot 's1' is not whole at beta/b1") as refused:
        moves.switch(operation)
    assert refused.value.type == "InvalidState"
    assert moves.picture() == before
    moves.follow(operation, done=(first,))
    assert moves.switch(operation).phase == "switched"
    with pytest.raises(ApplicationError, match="has switched the share to beta/b1 already"):
        moves.abort(operation)


def test_commit_before_the_switch_is_refused(moves: Moves) -> None:
    """The source would be deleted and nothing be there instead."""
    moves.create()
    operation, _ = moves.migrate()
    with pytest.raises(ApplicationError, match="has not switched the share yet"):
        moves.commit(operation)
    assert moves.roles() == {"a1": "active", "b1": "destination"}


def test_view_of_a_share_shows_its_migration(moves: Moves) -> None:
    """Where to, by which operation, and how far; the share itself stays where it is until the switch."""
    moves.create()
    assert moves.share().migration is None
    operation, _ = moves.migrate()
    found = moves.share()
    assert (found.backend, found.pool) == ("alpha", "a1")
    assert found.migration is not None
    assert found.migration.model_dump() == {
        "operation": operation, "source": "alpha/a1", "destination": "beta/b1", "phase": "copying"
    }  # fmt: skip
    moves.cut_over(operation)
    assert getattr(moves.share().migration, "phase", "") == "cutting-over"
    moves.switch(operation)
    found = moves.share()
    assert (found.backend, found.pool) == ("beta", "b1")
    assert found.migration is not None
    assert (found.migration.source, found.migration.destination) == ("alpha/a1", "beta/b1")
    assert found.migration.phase == "switched"
    assert [each.role for each in found.instances] == ["active", "retired"]


def test_dry_run_plans_and_keeps_nothing(moves: Moves) -> None:
    """Destination, mode, promises with reasons; sums and rows are as before, also while others hold the share."""
    moves.create()
    moves.snapshot("s1")
    with moves.database.write() as connection:
        connection.execute(tables.instances.update().values(used_bytes=300 * 2**20))
    holder, _ = moves.begin(names.RESIZE_SHARE, share="home", size=2 * GIB)
    before = moves.picture()
    operation, begun = moves.migrate(preserve_snapshots=True, dry_run=True, bandwidth="50 MiB/s")
    assert moves.picture() == before
    assert begun.status is BeginStatus.ENDED
    assert begun.result is not None
    plan = begun.result["plan"]
    assert (begun.result["outcome"], plan["source"], plan["destination"]) == ("planned", "alpha/a1", "beta/b1")
    assert (plan["mode"], plan["bytes"], plan["seconds"], plan["snapshots"]) == ("host", 300 * 2**20, 6, 1)
    assert {promise["name"]: promise["holds"] for promise in plan["promises"]} == {
        "writable": True, "preserve_metadata": True, "preserve_snapshots": True, "nondisruptive": False
    }  # fmt: skip
    assert moves.rows(tables.reservations, operation=operation, state="pending") == []
    moves.abort(holder)
    moves.check()


# -- the way of copying ----------------------------------------------------------------------------------------------


def test_driver_mode_is_taken_where_both_pools_speak_one_format(database: Database, tmp_path: Path) -> None:
    """``auto`` prefers it; it can be forced, and so can the other."""
    moves = Moves(database, tmp_path, {"a1": SENDS, "b1": SENDS})
    moves.create()
    operation, begun = moves.migrate()
    assert migration(begun).mode == "driver"
    assert "stream" in migration(begun).plan.mode_reason
    moves.abort(operation)
    operation, begun = moves.migrate(mode="host")
    assert (migration(begun).mode, migration(begun).plan.mode_reason) == ("host", "asked for")
    moves.abort(operation)
    with pytest.raises(ApplicationError, match="alpha/a2 exchanges no snapshots with other pools") as refused:
        moves.migrate(to_pool="a2", mode="driver")
    assert refused.value.type == "NotSupported"


@pytest.mark.parametrize(
    ("modes", "fence"), [(["rw", "ro", "none"], "ro"), (["rw", "none"], "none"), (["rw", "ro"], "ro")]
)
def test_fence_is_the_gentlest_that_stops_writers(
    database: Database, tmp_path: Path, modes: list[str], fence: str
) -> None:
    """Readers stay where they can; the destination is withheld where it can be."""
    moves = Moves(database, tmp_path, {"a1": {"access_modes": modes}, "b1": {"access_modes": modes}})
    moves.create()
    _, begun = moves.migrate()
    assert migration(begun).fence_mode == fence
    assert migration(begun).withhold is ("none" in modes)


# -- bad input -------------------------------------------------------------------------------------------------------

PAST = {"cutover_when": "window", "window_from": "2020-01-01T00:00:00Z", "window_until": "2020-01-02T00:00:00Z"}
NO_HOST = {"b1": {"host_access": False}}
REFUSED: list[tuple[dict[str, Any], dict[str, Any], tuple[str, str, str]]] = [
    ({}, {"to_pool": "a1"}, ("InvalidInput", "to_pool", "in pool alpha/a1 already")),
    ({}, {"to_pool": None, "to_zone": "east"}, ("InvalidInput", "to_zone", "in pool alpha/a1 already")),
    ({}, {"to_pool": "nowhere"}, ("NotFound", "to_pool", "'nowhere'")),
    ({}, {"to_backend": "gamma"}, ("NotFound", "to_backend", "'gamma'")),
    ({}, {"to_zone": "moon"}, ("NotFound", "to_zone", "'moon'")),
    ({}, {"to_type": "gold-plated"}, ("UnknownType", "to_type", "'gold-plated'")),
    ({}, {"to_type": "small"}, ("InvalidInput", "to_type", "1 GiB is refused")),
    ({}, {"to_type": "tape"}, ("NoPoolFits", "to_pool", "media")),
    ({}, {"share": "another"}, ("NotFound", "share", "'another'")),
    ({}, {"project": "red"}, ("NotFound", "share", "'home'")),
    ({}, PAST, ("InvalidInput", "window_until", "is over")),
    ({}, {"nondisruptive": True}, ("NotSupported", "nondisruptive", "/home")),
    ({"b1": {"limit": 0}}, {}, ("NoPoolFits", "to_pool", "b1")),
    ({"a1": {"access_modes": ["rw"]}}, {}, ("NotSupported", "share", "writers cannot be stopped on alpha/a1")),
    (NO_HOST, {}, ("NotSupported", "mode", "host: beta/b1 cannot be reached on a host")),
    (NO_HOST, {"mode": "host"}, ("NotSupported", "mode", "host: beta/b1 cannot be reached on a host")),
    ({"b1": {"snapshots": False}}, {"preserve_snapshots": True}, ("NotSupported", "preserve_snapshots", "takes no")),
]  # fmt: skip
WITH_SNAPSHOT: list[tuple[dict[str, Any], dict[str, Any], tuple[str, str, str]]] = [
    ({}, {}, ("NotSupported", "preserve_snapshots", "share 'home' has 1 snapshot")),
    ({}, {"to_type": "plain"}, ("NotSupported", "to_type", "allows no snapshots")),
    ({}, {"to_type": "plain", "preserve_snapshots": True}, ("InvalidInput", "preserve_snapshots", "to_type")),
    ({"b1": {"snapshots": False}}, {}, ("NotSupported", "preserve_snapshots", "takes no snapshots")),
]


def _refused(moves: Moves, request: dict[str, Any], answer: tuple[str, str, str]) -> None:
    before = moves.picture()
    for fields in (request, {**request, "dry_run": True}):
        with pytest.raises(ApplicationError) as refused:
            moves.migrate(**fields)
        failure = refused.value.details[0]
        assert (failure.type, failure.field) == answer[:2], failure
        assert answer[2] in failure.message
        assert failure.hint
    assert {row["state"] for row in moves.rows(tables.operations, kind=names.MIGRATE_SHARE)} == {"failed-clean"}
    assert moves.picture() == before
    moves.check()


@pytest.mark.parametrize(("pools", "request_", "answer"), REFUSED, ids=[str(case[1]) for case in REFUSED])
def test_bad_request_is_refused_with_its_field_and_nothing_is_kept(
    database: Database, tmp_path: Path, pools: dict[str, Any], request_: dict[str, Any], answer: tuple[str, str, str]
) -> None:
    """Code, field, value and next step; a dry run says the same."""
    moves = Moves(database, tmp_path, pools)
    moves.create()
    _refused(moves, request_, answer)


@pytest.mark.parametrize(("pools", "request_", "answer"), WITH_SNAPSHOT, ids=[str(case[1]) for case in WITH_SNAPSHOT])
def test_snapshots_are_never_left_behind_in_silence(
    database: Database, tmp_path: Path, pools: dict[str, Any], request_: dict[str, Any], answer: tuple[str, str, str]
) -> None:
    """What would lose them is refused at the start."""
    moves = Moves(database, tmp_path, pools)
    moves.create()
    moves.snapshot("s1")
    _refused(moves, request_, answer)


def test_drained_pool_takes_nothing_new(moves: Moves) -> None:
    """No migration, no new share; what is there stays, and it is open again when an operator says so."""
    moves.create("there", pool="b1")
    moves.create()
    result = moves.do(names.DRAIN_POOL, backend="beta", pool="b1")
    assert (result["drained"], result["shares"]) == (True, 1)
    _refused(moves, {}, ("NoPoolFits", "to_pool", "it is drained"))
    moves.declare()  # a set of specs that is applied does not open it
    _refused(moves, {}, ("NoPoolFits", "to_pool", "it is drained"))
    assert moves.migrate(to_pool=None)[1].migration is not None
    assert moves.do(names.RESIZE_SHARE, share="there", size=2 * GIB)["size"] == 2 * GIB
    moves.do(names.DRAIN_POOL, backend="beta", pool="b1", drained=False)
    moves.create("again", pool="b1")
    with pytest.raises(ApplicationError, match="there is no pool 'b9'"):
        moves.do(names.DRAIN_POOL, backend="beta", pool="b9")


# -- other operations meanwhile --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [names.DELETE_SHARE, names.FORGET_SHARE])
def test_deletion_waits_and_asks_the_migration_to_end(moves: Moves, kind: str) -> None:
    """Before the switch it is cancelled, after it the grace period ends; then the share goes."""
    moves.create()
    operation, _ = moves.migrate()
    deletion, begun = moves.begin(kind, share="home")
    assert (begun.status, begun.nudge) == (BeginStatus.WAITING, {operation: names.CANCEL_MIGRATION})
    moves.switched(operation)
    _, begun = moves.begin(kind, operation=deletion, share="home")
    assert (begun.status, begun.nudge) == (BeginStatus.WAITING, {operation: names.END_GRACE})
    assert deletion in moves.commit(operation).wake
    _, begun = moves.begin(kind, operation=deletion, share="home")
    assert begun.status is not BeginStatus.WAITING
    assert begun.nudge == {}


def test_deletion_of_a_share_whose_migration_was_cancelled_frees_everything(moves: Moves) -> None:
    """Nothing of either is left."""
    moves.create()
    moves.snapshot("s1")
    operation, _ = moves.migrate(preserve_snapshots=True)
    deletion, _ = moves.begin(names.DELETE_SHARE, share="home")
    assert deletion in moves.abort(operation).wake
    moves.begin(names.DELETE_SHARE, operation=deletion, share="home")
    moves.steps.soft_deleted(CommandStep(operation=deletion))
    moves.steps.begin_purge(CommandStep(operation=deletion))
    moves.commit(deletion, outcome="purged")
    assert moves.rows(tables.instances) == moves.rows(tables.snapshot_instances) == []
    assert moves.allocated() == {"a1": 0, "a2": 0, "b1": 0}
    moves.check()


def test_other_changes_of_the_whole_share_wait_for_the_migration(moves: Moves) -> None:
    """Another class and another migration; they are told when it is over."""
    moves.create()
    operation, _ = moves.migrate()
    change, begun = moves.begin(names.SET_SHARE_QOS, share="home", qos="gold")
    assert (begun.status, begun.waiting_for, begun.nudge) == (BeginStatus.WAITING, [operation], {})
    second, begun = moves.migrate(to_pool="a2")
    assert begun.status is BeginStatus.WAITING
    assert operation in begun.waiting_for
    moves.switched(operation)
    assert change in moves.commit(operation).wake
    _, begun = moves.begin(names.SET_SHARE_QOS, operation=change, share="home", qos="gold")
    assert begun.instance is not None
    assert begun.instance.pool == "b1"
    moves.commit(change)
    _, begun = moves.migrate(operation=second, to_pool="a2")
    assert begun.instance is not None
    assert begun.instance.pool == "b1"
    moves.check()


def test_snapshot_that_is_taken_meanwhile_travels_too(moves: Moves) -> None:
    """The next pass sees it; one that is deleted meanwhile is gone at both ends."""
    moves.create()
    operation, _ = moves.migrate()
    assert moves.follow(operation).legs == []
    late = moves.snapshot("late")
    (leg,) = moves.follow(operation).legs
    assert (leg.id, leg.done) == (late, False)
    moves.follow(operation, done=(late,))
    moves.do(names.DELETE_SNAPSHOT, share="home", snapshot="late")
    found = moves.follow(operation)
    assert found.legs == []
    assert [place.object for place in found.gone] == [leg.target.object]
    assert moves.follow(operation, dropped=(leg.target.object,)).gone == []
    assert moves.rows(tables.snapshot_instances) == []
    moves.switched(operation)
    moves.commit(operation)
    moves.check()


def test_snapshot_waits_when_it_could_not_travel(database: Database, tmp_path: Path) -> None:
    """The destination takes none, so it is taken once the share is there, or refused there."""
    moves = Moves(database, tmp_path, {"b1": {"snapshots": False}})
    moves.create()
    operation, _ = moves.migrate()
    late, begun = moves.begin(names.CREATE_SNAPSHOT, share="home", name="late")
    assert (begun.status, begun.waiting_for) == (BeginStatus.WAITING, [operation])
    assert late in moves.abort(operation).wake
    assert moves.begin(names.CREATE_SNAPSHOT, operation=late, share="home", name="late")[1].snapshot is not None


def test_snapshots_that_cost_their_size_are_paid_for_at_the_destination(database: Database, tmp_path: Path) -> None:
    """At the begin for those there are, and before the pass for those that come; without room it says so."""
    moves = Moves(database, tmp_path, {"b1": {"snapshot_space": "full", "limit": 3 * GIB}})
    moves.create()
    moves.snapshot("s1")
    operation, _ = moves.migrate(preserve_snapshots=True)
    assert moves.allocated()["b1"] == 2
    moves.snapshot("s2")
    assert len(moves.follow(operation).legs) == 2
    assert moves.allocated()["b1"] == 3
    moves.snapshot("s3")
    found = moves.follow(operation)
    assert len(found.legs) == 2
    assert "beta/b1 has no room for a copy of snapshot 's3' of 1 GiB" in found.trouble
    moves.check()
    moves.do(names.DELETE_SNAPSHOT, share="home", snapshot="s1")
    found = moves.follow(operation)
    assert found.trouble
    found = moves.follow(operation, dropped=(found.gone[0].object,))
    assert (len(found.legs), found.trouble) == (2, "")
    moves.check()
    moves.switched(operation)
    moves.check()
    moves.commit(operation)
    assert moves.allocated() == {"a1": 0, "a2": 0, "b1": 3}
    moves.check()


def test_begin_goes_where_share_and_snapshots_fit_together(database: Database, tmp_path: Path) -> None:
    """A pool with room for the share alone is passed over, and the record says why."""
    moves = Moves(database, tmp_path, {"b1": {"snapshot_space": "full", "limit": 2 * GIB - 1}, "a2": {"limit": GIB}})
    moves.create()
    moves.snapshot("s1")
    operation, begun = moves.migrate(to_pool=None, preserve_snapshots=True)
    assert migration(begun).destination.pool == "a2"
    (row,) = moves.rows(tables.operations, id=operation)
    assert "no room for 1 snapshots" in row["placement"]["excluded"][pool_id("b1")]
    moves.check()


def test_resize_meanwhile_takes_room_at_both_ends(database: Database, tmp_path: Path) -> None:
    """And gives it back at both; the next pass sees the new size. Without room at the destination it is refused."""
    moves = Moves(database, tmp_path, {"b1": {"limit": 4 * GIB}})
    moves.create()
    operation, _ = moves.migrate()
    resize, begun = moves.begin(names.RESIZE_SHARE, share="home", size=3 * GIB)
    assert begun.status is BeginStatus.STARTED
    assert moves.allocated() == {"a1": 3, "a2": 0, "b1": 3}
    moves.abort(resize)
    assert moves.allocated() == {"a1": 1, "a2": 0, "b1": 1}
    moves.check()
    moves.do(names.RESIZE_SHARE, share="home", size=3 * GIB)
    assert moves.follow(operation).destination.size == 3 * GIB
    with pytest.raises(ApplicationError, match="pool 'b1' has no room for 2 GiB more") as refused:
        moves.begin(names.RESIZE_SHARE, share="home", size=5 * GIB)
    assert refused.value.type == "NoPoolFits"
    moves.do(names.RESIZE_SHARE, share="home", size=2 * GIB)
    assert moves.follow(operation).destination.size == 2 * GIB
    assert moves.allocated() == {"a1": 2, "a2": 0, "b1": 2}
    moves.check()
    moves.switched(operation)
    moves.commit(operation)
    assert moves.allocated() == {"a1": 0, "a2": 0, "b1": 2}
    moves.check()


def test_resize_that_outlives_a_cancelled_migration_harms_nothing(moves: Moves) -> None:
    """What it had taken at the destination went with the migration."""
    moves.create()
    operation, _ = moves.migrate()
    resize, _ = moves.begin(names.RESIZE_SHARE, share="home", size=3 * GIB)
    moves.abort(operation)
    moves.commit(resize)
    assert moves.allocated() == {"a1": 3, "a2": 0, "b1": 0}
    moves.check()


def test_floors_move_with_the_share(moves: Moves) -> None:
    """Reserved at the destination from the begin, carried by the share there after the switch, free at the source."""
    moves.create(size=10 * GIB, type="fast")
    operation, begun = moves.migrate()
    assert begun.qos is not None
    assert begun.qos.limits == {"max_iops": 1000, "min_iops": 100}
    assert _promised(moves) == {"a1": 100, "a2": 0, "b1": 100}
    moves.do(names.RESIZE_SHARE, share="home", size=20 * GIB)
    assert _promised(moves) == {"a1": 200, "a2": 0, "b1": 200}
    moves.do(names.RESIZE_SHARE, share="home", size=15 * GIB)
    held = moves.cut_over(operation)
    assert held.qos is not None
    assert held.qos.limits == {"max_iops": 1500, "min_iops": 150}
    moves.switch(operation)
    assert _promised(moves) == {"a1": 150, "a2": 0, "b1": 150}
    moves.check()
    moves.commit(operation)
    assert _promised(moves) == {"a1": 0, "a2": 0, "b1": 150}
    moves.check()


def test_share_gets_another_type_and_its_class_with_the_switch(moves: Moves) -> None:
    """Not before; what the backend made of each limit is recorded."""
    moves.create()
    operation, _ = moves.migrate(to_type="fast")
    moves.cut_over(operation)
    assert (moves.share().type, moves.share().qos) == ("standard", None)
    moves.switch(operation, qos={"max_iops": QosAnswer(verdict=Verdict.ROUNDED, value=96)})
    share = moves.share()
    assert share.type == "fast"
    assert share.qos is not None
    assert {key.key: key.enforced for key in share.qos.keys}["max_iops"] == 96
    moves.commit(operation)
    moves.check()


def test_share_that_loses_its_class_with_its_type_promises_nothing_more(moves: Moves) -> None:
    """The new type has none."""
    moves.create(size=10 * GIB, type="fast")
    operation, begun = moves.migrate(to_type="standard")
    assert begun.qos is None
    moves.switched(operation)
    moves.commit(operation)
    assert (moves.share().type, moves.share().qos) == ("standard", None)
    assert _promised(moves) == {"a1": 0, "a2": 0, "b1": 0}


def _promised(moves: Moves) -> dict[str, int]:
    return {row["name"]: row["iops_promised"] for row in moves.rows(tables.pools)}


# -- what a backend should have --------------------------------------------------------------------------------------


def test_comparison_expects_nothing_settled_of_a_running_migration(moves: Moves) -> None:
    """Neither end is missing or different while it runs, nor is the copy of a snapshot that was deleted."""
    moves.create()
    moves.snapshot("s1")
    operation, begun = moves.migrate(preserve_snapshots=True)
    with moves.database.read() as connection:
        both = {pool: comparison.expected(connection, pool_id(pool)) for pool in ("a1", "b1")}
    assert {item.settled for found in both.values() for item in found.values()} == {False}
    assert {pool: sorted(item.kind for item in found.values()) for pool, found in both.items()} == {
        "a1": ["share", "snapshot"], "b1": ["share", "snapshot"]
    }  # fmt: skip
    moves.do(names.DELETE_SNAPSHOT, share="home", snapshot="s1")
    with moves.database.read() as connection:
        kinds = sorted(item.kind for item in comparison.expected(connection, pool_id("b1")).values())
        assert kinds == ["share", "snapshot"]
        assert comparison.stray_statuses(connection) == []
    found = moves.follow(operation)
    moves.follow(operation, dropped=(found.gone[0].object,))
    moves.switched(operation)
    moves.commit(operation)
    with moves.database.read() as connection:
        (item,) = comparison.expected(connection, pool_id("b1")).values()
        assert (item.object, item.settled) == (migration(begun).destination.object, True)
        assert comparison.expected(connection, pool_id("a1")) == {}


def test_instance_of_a_migration_that_is_over_is_a_stray(moves: Moves) -> None:
    """Its claims are given back, and what is left of it is reported."""
    moves.create()
    operation, begun = moves.migrate()
    with moves.database.write() as connection:
        operations.end(connection, operation, OperationState.FAILED_CLEAN)
        assert comparison.stray_claims(connection) == [operation]
        claims.release(connection, operation)
        assert comparison.stray_statuses(connection) == [("instance", migration(begun).destination.id, "destination")]
        (item,) = comparison.expected(connection, pool_id("b1")).values()
    assert not item.settled
