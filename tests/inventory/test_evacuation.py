"""What evacuations and retypes do in the inventory, on both databases."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError

from inventory import operations, tables
from inventory.database import Database
from shareflow import names
from shareflow.contracts.evacuation_steps import EvacuationFollowed, EvacuationMemory, FollowEvacuationInput
from shareflow.contracts.places import BeginStatus
from shareflow.contracts.steps import Begun
from tests.inventory.moves import Moves, pool_id
from tests.inventory.rows import GIB, operation_id

A1: dict[str, Any] = {"backend": "alpha", "pool": "a1"}


@pytest.fixture
def moves(database: Database, tmp_path: Path) -> Moves:
    """Pools that all reach each other through a host."""
    return Moves(database, tmp_path)


def evacuate(moves: Moves, **request: Any) -> tuple[str, Begun]:
    """Begin to empty a1."""
    return moves.begin(names.EVACUATE_POOL, **{**A1, **request})


def look(moves: Moves, operation: str, **fields: Any) -> EvacuationFollowed:
    """What an evacuation sees."""
    memory = EvacuationMemory(bandwidth=7)
    return moves.migration.follow_evacuation(FollowEvacuationInput(operation=operation, memory=memory, **fields))


def child(moves: Moves, evacuation: str, share: str) -> str:
    """Begin the migration of one share as the evacuation does."""
    return moves.migrate(operation=f"{evacuation}/{share}", share=share)[0]


def test_shares_are_told_page_by_page_until_each_has_its_migration(moves: Moves) -> None:
    """In order of ids; one with a migration of this evacuation is not told again, one with another's is."""
    shares = sorted(moves.create(f"s{number}") for number in range(5))
    moves.create("elsewhere", pool="a2")
    operation, begun = evacuate(moves)
    assert begun.evacuation is not None
    assert (begun.evacuation.source, begun.evacuation.marked) == ("alpha/a1", [pool_id("a1")])
    first = look(moves, operation, limit=2)
    assert ([share.id for share in first.shares], first.left) == (shares[:2], 5)
    second = look(moves, operation, after=shares[1], limit=10)
    assert [share.id for share in second.shares] == shares[2:]
    child(moves, operation, shares[0])
    child(moves, f"{operation}x", shares[1])
    assert [share.id for share in look(moves, operation, limit=10).shares] == shares[1:]


def test_what_became_of_each_share_is_told_and_summed(moves: Moves) -> None:
    """Moved with its bytes, under way, failed, in the recycle bin, not begun; also beyond 2 GiB."""
    moved, failed, running, binned, late = (moves.create(name) for name in ("a", "b", "c", "d", "e"))
    operation, _ = evacuate(moves)
    done = child(moves, operation, moved)
    moves.switched(done)
    result = moves.commit(done).result
    assert result is not None
    with moves.database.write() as connection:
        operations.note(connection, done, result={**result, "bytes_moved": 5 * GIB})
    moves.abort(child(moves, operation, failed))
    child(moves, operation, running)
    deletion, _ = moves.begin(names.DELETE_SHARE, share="d")
    assert deletion
    found = look(moves, operation, take_up=True)
    assert found.report is not None
    assert (found.report.moved, found.report.bytes_moved) == (1, 5 * GIB)
    reasons = {one.share_id: one.reason for one in found.report.not_moved}
    assert set(reasons) == {failed, binned}, "the turn of the last one is still to come"
    assert (reasons[failed], found.waiting, found.left) == ("no", 1, 3)
    assert [one.share.id for one in found.children] == [running]
    seen = {one.share.id: one for one in look(moves, operation, watched=[moved, failed, running, late]).children}
    assert (seen[moved].state, seen[moved].moved, seen[moved].bytes_moved) == ("succeeded", True, 5 * GIB)
    assert (seen[failed].state, seen[failed].trouble) == ("failed-clean", "no")
    assert (seen[running].state, seen[late].state) == ("running", "")
    ended = moves.commit(operation).result
    assert ended is not None
    assert (ended["outcome"], ended["moved"], ended["left"]) == ("incomplete", 1, 4)
    reasons = {one["share_id"]: one["reason"] for one in ended["not_moved"]}
    assert reasons[late] == "it was not its turn"
    assert moves.commit(operation).result == ended


def test_the_memory_is_kept_and_a_repeated_begin_gives_it(moves: Moves) -> None:
    """What a lost run was told is what the next one knows."""
    operation, _ = evacuate(moves)
    look(moves, operation)
    _, again = evacuate(moves, operation=operation)
    assert again.evacuation is not None
    assert again.evacuation.memory.bandwidth == 7
    assert again.phase == "evacuating"


@pytest.mark.parametrize("undrain", [False, True])
def test_marks_go_only_when_that_was_asked_for_and_only_its_own(moves: Moves, undrain: bool) -> None:
    """A pool that was drained before stays so."""
    moves.do(names.DRAIN_POOL, backend="alpha", pool="a2")
    operation, begun = moves.begin(names.EVACUATE_BACKEND, backend="alpha", undrain_on_cancel=undrain)
    assert begun.status is BeginStatus.STARTED
    moves.abort(operation)
    drained = {row["name"]: row["drained"] for row in moves.rows(tables.pools)}
    assert drained == {"a1": not undrain, "a2": True, "b1": False}


def test_a_plan_reserves_and_marks_nothing(moves: Moves) -> None:
    """Placement is asked for each share in its turn."""
    moves.create("big", size=90 * GIB)
    moves.create("small")
    before = moves.picture()
    result = moves.do(names.EVACUATE_POOL, **A1, to_pool="b1", dry_run=True)
    assert [(one["name"], one["destination"]) for one in sorted(result["plan"]["first"], key=lambda x: x["name"])] == [
        ("big", "beta/b1"),
        ("small", "beta/b1"),
    ]
    assert moves.picture() == before
    assert not moves.rows(tables.pools, drained=True)
    moves.check()


def test_a_share_that_has_left_already_stays_where_it_is(moves: Moves) -> None:
    """A migration that is to take it from another place does nothing."""
    moves.create(pool="a2")
    result = moves.do(names.MIGRATE_SHARE, share="home", from_backend="alpha", from_pool="a1")
    assert (result["outcome"], result["source"]) == ("elsewhere", "alpha/a2")
    assert moves.roles() == {"a2": "active"}
    assert moves.rows(tables.claims) == []
    moves.check()


def test_a_share_that_leaves_a_backend_goes_to_no_pool_of_it(moves: Moves) -> None:
    """Though one there has more room."""
    moves.pools = {"b1": {"limit": 2 * GIB}}
    moves.declare()
    moves.create()
    _, begun = moves.begin(names.MIGRATE_SHARE, share="home", from_backend="alpha")
    assert begun.migration is not None
    assert begun.migration.plan.destination == "beta/b1"


def test_a_retype_in_place_changes_type_and_floors_and_can_be_given_up(moves: Moves) -> None:
    """What it reserved goes back with it; done, the pool promises what the class asks for."""
    moves.create(size=10 * GIB)
    before = moves.picture()
    operation, begun = moves.begin(names.RETYPE_SHARE, share="home", type="fast")
    assert (begun.migration, moves.share().status) == (None, "retyping")
    moves.check()
    moves.abort(operation)
    after = moves.picture()
    assert {key: after[key] for key in ("pools", "claims", "quotas")} == {
        key: before[key] for key in ("pools", "claims", "quotas")
    }
    operation, _ = moves.begin(names.RETYPE_SHARE, share="home", type="fast")
    result = moves.commit(operation).result
    assert result is not None
    assert (result["outcome"], moves.share().type) == ("in_place", "fast")
    assert [row["iops_promised"] for row in moves.rows(tables.pools, name="a1")] == [100]
    moves.check()


def test_a_retype_asks_for_the_budget_that_others_have_left(moves: Moves) -> None:
    """What fits exactly stays; one IOPS more has to move, and says why."""
    moves.create("other", size=60 * GIB, type="fast")
    moves.create(size=40 * GIB)
    operation, begun = moves.begin(names.RETYPE_SHARE, share="home", type="fast")
    assert begun.migration is None, "400 of the 400 IOPS that are left"
    moves.abort(operation)
    moves.create("more", size=GIB // 10, type="fast", pool="a2")
    moves.do(names.RETYPE_SHARE, share="more", type="fast")
    moves.pools = {"a1": {"limit": 200 * GIB}}
    moves.declare()
    moves.create("full", size=41 * GIB)
    _, begun = moves.begin(names.RETYPE_SHARE, share="full", type="fast")
    assert begun.migration is not None
    assert "alpha/a1 does not satisfy type 'fast'" in begun.migration.plan.reason
    moves.check()


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        ({"backend": "gamma"}, "backend"),
        ({"pool": "zz"}, "pool"),
        ({"to_pool": "a1", "to_backend": "alpha"}, "to_pool"),
        ({"to_zone": "mars"}, "to_zone"),
    ],
)
def test_what_cannot_be_evacuated_is_refused(moves: Moves, request_: dict[str, Any], field: str) -> None:
    """The field is named, nothing is marked."""
    with pytest.raises(ApplicationError) as caught:
        evacuate(moves, operation=operation_id(), **request_)
    assert caught.value.details[0].field == field
    assert not moves.rows(tables.pools, drained=True)
