"""What a look at a replica between two rounds reads and notes, on both databases."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import RowMapping, delete

from inventory import replicas, resources, tables, watched_replicas
from inventory.database import Database, now
from tests.inventory.moves import Moves, pool_id
from tests.inventory.rows import make_replica


@pytest.fixture
def moves(database: Database, tmp_path: Path) -> Moves:
    """Pools that all reach each other through a host."""
    return Moves(database, tmp_path)


@pytest.fixture
def replica(moves: Moves) -> str:
    """A replica in beta/b1 of the share ``home`` in alpha, which has one snapshot without a copy there."""
    share = moves.create()
    moves.snapshot("s1")
    with moves.database.write() as connection:
        return make_replica(connection, share, pool_id("b1"))


def look(moves: Moves, replica: str) -> RowMapping:
    """The row as a look reads it."""
    with moves.database.read() as connection:
        found = watched_replicas.row(connection, replica)
    assert found is not None
    return found


def copy(moves: Moves, replica: str, status: str) -> None:
    """The share's snapshots have copies beside the replica in a status."""
    with moves.database.write() as connection:
        found = replicas.row(connection, replica)
        known = {row["snapshot_id"] for row in resources.copies_on(connection, replica)}
        for snapshot in resources.snapshots_of(connection, found["share_id"]):
            if snapshot["id"] not in known:
                resources.add_copy(connection, snapshot, resources.place_of(found))
            resources.set_copies(connection, replica, [snapshot["id"]], status=status)


def test_a_look_sees_where_both_sides_are(moves: Moves, replica: str) -> None:
    """The replica's own place and that of the active instance, as the rest of the inventory has them."""
    found = look(moves, replica)
    with moves.database.read() as connection:
        active = resources.instance_place(connection, found["share_id"])
        assert resources.place_of(found) == resources.place_of(replicas.row(connection, replica))
    seen = [found[f"active_{key}"] for key in ("id", "backend", "pool", "pool_id", "object", "size")]
    assert seen == [active.id, active.backend, active.pool, active.pool_id, active.object, active.size]


def test_a_snapshot_without_a_whole_copy_there_is_lacking(moves: Moves, replica: str) -> None:
    """Also one whose copy is still being made."""
    lacking = [look(moves, replica)["lacks_snapshots"]]
    for status in ("creating", "copied"):
        copy(moves, replica, status)
        lacking.append(look(moves, replica)["lacks_snapshots"])
    moves.snapshot("s2")
    assert [bool(one) for one in (*lacking, look(moves, replica)["lacks_snapshots"])] == [True, True, False, True]


def test_a_copy_of_a_snapshot_that_is_gone_has_to_go_too(moves: Moves, replica: str) -> None:
    """Until then a round has something to do."""
    copy(moves, replica, "copied")
    with moves.database.write() as connection:
        connection.execute(delete(tables.snapshots).where(tables.snapshots.c.name == "s1"))
    assert look(moves, replica)["lacks_snapshots"]


@pytest.mark.parametrize("since", [{"error": "no room"}, {"stale": "kept"}, {"synced_at": now() + timedelta(1)}])
def test_what_a_round_has_noted_since_stays(moves: Moves, replica: str, since: dict[str, object]) -> None:
    """A look that read the replica before says nothing about it any more."""
    found = look(moves, replica)
    with moves.database.write() as connection:
        replicas.note(connection, replica, **since, state="error")
    with moves.database.write() as connection:
        assert not watched_replicas.note(connection, found, as_of=now(), tried_at=now(), seconds=1, state="in_sync")
        assert replicas.row(connection, replica)["state"] == "error"


def test_a_replica_that_was_never_in_step_can_be_noted(moves: Moves, replica: str) -> None:
    """A time that is not known is the same as one that is still not known."""
    with moves.database.write() as connection:
        replicas.note(connection, replica, synced_at=None)
    found, at = look(moves, replica), now()
    with moves.database.write() as connection:
        assert watched_replicas.note(connection, found, as_of=at, tried_at=at, seconds=None, state="in_sync")
        assert replicas.row(connection, replica)["synced_at"] == at


def test_a_replica_that_is_gone_is_not_seen(moves: Moves) -> None:
    """Its round says so."""
    with moves.database.read() as connection:
        assert watched_replicas.row(connection, "nobody") is None
