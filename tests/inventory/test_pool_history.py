"""Pools as decisions saw them."""

from __future__ import annotations

import random
from typing import Any

from inventory import catalogue, pool_history, reservations, resources, tables
from inventory.database import Database, Turn
from tests.inventory.rows import GIB, POOL, declare, pool_row

OTHER = catalogue.pool_id("alpha", "a2")


def _declare(database: Database) -> None:
    with database.write() as connection:
        declare(connection, pool_row("a1", limit=100 * GIB), pool_row("a2", limit=100 * GIB))


def _decide(database: Database) -> tuple[int, dict[str, dict[str, Any]]]:
    """A decision: its revision and what it saw."""
    with database.write() as connection:
        Turn.ACCOUNTS.take(connection)
        seen = {row["id"]: dict(row) for row in resources.pools_picture(connection)}
        return pool_history.decided(connection).pools, seen


def _then(database: Database, revision: int) -> dict[str, dict[str, Any]]:
    with database.read() as connection:
        return {row["id"]: dict(row) for row in pool_history.at(connection, revision)}


def test_pools_are_what_each_decision_saw_after_any_changes(database: Database) -> None:
    """Reservations, surveys, silence and removal between and after decisions change nothing of what they saw."""
    _declare(database)
    dice, seen = random.Random(4), []
    for number in range(40):
        with database.write() as connection:
            pool = dice.choice([POOL, OTHER])
            if reservations.reserve_capacity(connection, f"op{number}", pool, dice.randrange(1, GIB)):
                reservations.commit(connection, f"op{number}")
            if number % 3 == 0:
                reservations.give_back_capacity(connection, pool, 1)
            if number % 5 == 0:
                catalogue.unreachable(connection, "alpha")
            if number % 7 == 0:
                rows = [pool_row(name, limit=100 * GIB, free_bytes=number) for name in ("a1", "a2")]
                catalogue.refresh(connection, "alpha", rows)
        if dice.random() < 0.5:
            seen.append(_decide(database))
    with database.write() as connection:
        declare(connection, pool_row("a1", limit=GIB))
    for revision, pools in seen:
        assert _then(database, revision) == pools


def test_change_that_no_decision_has_looked_at_is_not_kept(database: Database) -> None:
    """A survey each minute costs nothing as long as nobody asks."""
    _declare(database)
    _decide(database)
    for number in range(10):
        with database.write() as connection:
            catalogue.refresh(connection, "alpha", [pool_row("a1", limit=100 * GIB, free_bytes=number)])
    with database.read() as connection:
        kept = connection.execute(tables.pool_history.select()).mappings().all()
    assert [(row["id"], row["free_bytes"]) for row in kept] == [(POOL, None)]


def test_what_has_not_changed_gets_no_revision(database: Database) -> None:
    """A survey that finds what is known, and specs that are applied again, are no change."""
    _declare(database)
    with database.read() as connection:
        before = pool_history.moment(connection).pools
    _declare(database)
    with database.write() as connection:
        catalogue.refresh(connection, "alpha", [pool_row("a1", limit=100 * GIB)])
    with database.read() as connection:
        assert pool_history.moment(connection).pools == before
        assert pool_history.changed_since(connection, before) == []


def test_reservation_that_does_not_fit_changes_no_row(database: Database) -> None:
    """Neither the pool nor its history."""
    _declare(database)
    _decide(database)
    with database.write() as connection:
        assert not reservations.reserve_capacity(connection, "a", POOL, 101 * GIB)
        assert not reservations.reserve_capacity(connection, "a", POOL, 95 * GIB, kept_back=6 * GIB)
        assert reservations.reserve_capacity(connection, "a", POOL, 95 * GIB, kept_back=5 * GIB)
    with database.read() as connection:
        assert [row["id"] for row in connection.execute(tables.pool_history.select()).mappings()] == [POOL]


def test_specs_are_recorded_once_and_can_be_read_again(database: Database) -> None:
    """The same set again is no revision; an old one stays readable."""
    first = catalogue.Catalogue(digest="a", documents=({"kind": "ShareType", "name": "x"},))
    for one in (first, first, catalogue.Catalogue(digest="b", documents=())):
        with database.write() as connection:
            catalogue.apply(connection, one)
    with database.read() as connection:
        last = catalogue.current_revision(connection)
        kept = catalogue.set_at(connection, last - 1)
        assert kept is not None
        assert (kept["digest"], kept["documents"]) == ("a", [{"kind": "ShareType", "name": "x"}])
        assert catalogue.set_at(connection, last - 2) is None
