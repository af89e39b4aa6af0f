"""The audit: one row per state change, chained so that nothing can be taken out or altered unseen."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from sqlalchemy import Connection, RowMapping, select, update

from inventory import audit, claims, tables
from inventory.audit import Actor
from inventory.claims import Want
from inventory.database import Database
from shareflow.errors import StaleClaim
from tests.inventory.rows import PROJECT, make_share, make_snapshot, operation_id

ACTOR = Actor(operation="op", project=PROJECT, by="ana", reason="more room")


def rows_of(connection: Connection, resource: str) -> list[RowMapping]:
    """The audit of a resource in order."""
    trail = tables.audit
    statement = select(trail).where(trail.c.resource_id == resource).order_by(trail.c.revision)
    return list(connection.execute(statement).mappings())


@pytest.fixture
def share(database: Database) -> str:
    """A share that operation ``op`` holds; two changes were made to it."""
    with database.write() as connection:
        made = make_share(connection, "home")
        claims.request(connection, ACTOR.operation, [Want("share", made)])
        return made


def change(connection: Connection, share: str, after: str) -> None:
    """One change by the holder."""
    audit.change(connection, ACTOR, tables.shares, share, after=after)


def test_each_change_has_one_row_that_says_who_what_and_why(database: Database, share: str) -> None:
    """A row names the operation, who asked, the states before and after, the reason and the moment."""
    before = datetime.now(UTC)
    with database.write() as connection:
        audit.change(connection, ACTOR, tables.shares, share, after="resizing", size=7)
    with database.read() as connection:
        trail = rows_of(connection, share)
        row = connection.execute(select(tables.shares).where(tables.shares.c.id == share)).one()
    assert [entry["after"] for entry in trail] == ["creating", "available", "resizing"]
    last = trail[-1]
    assert (last["operation"], last["requested_by"], last["why"]) == ("op", "ana", "more room")
    assert (last["before"], last["resource_kind"], last["project"]) == ("available", "share", PROJECT)
    assert before <= last["at"] <= datetime.now(UTC)
    assert (row.status, row.size, row.revision, row.audit_digest) == ("resizing", 7, 3, last["digest"])


def test_refused_change_leaves_no_row(database: Database, share: str) -> None:
    """What did not happen is not told."""
    with pytest.raises(StaleClaim), database.write() as connection:
        audit.change(connection, Actor("stranger", PROJECT), tables.shares, share, after="resizing")
    with database.read() as connection:
        assert len(rows_of(connection, share)) == 2
        assert audit.broken_chains(connection) == []


def test_removed_resource_keeps_its_trail(database: Database, share: str) -> None:
    """The rows outlive what they tell of, and their last word is that it is gone."""
    with database.write() as connection:
        audit.remove(connection, ACTOR, tables.shares, share, why="purged")
    with database.read() as connection:
        assert [row["after"] for row in rows_of(connection, share)] == ["creating", "available", "gone"]
        assert connection.execute(select(tables.shares)).all() == []
        assert audit.broken_chains(connection) == []


def test_chains_of_many_resources_are_intact(database: Database, share: str) -> None:
    """Shares and snapshots, standing and gone, each have a chain of their own."""
    with database.write() as connection:
        for number in range(5):
            other = make_share(connection, f"s{number}")
            make_snapshot(connection, other, "monday")
        for after in ("resizing", "available", "reverting"):
            change(connection, share, after)
    with database.read() as connection:
        assert audit.broken_chains(connection) == []


TAMPERED: dict[str, Callable[[Connection, str], object]] = {
    "another reason": lambda connection, share: _alter(connection, share, 2, {"why": "nothing happened"}),
    "another person": lambda connection, share: _alter(connection, share, 1, {"requested_by": "bob"}),
    "another moment": lambda connection, share: _alter(connection, share, 2, {"at": datetime(2020, 1, 1, tzinfo=UTC)}),
    "another project": lambda connection, share: _alter(connection, share, 1, {"project": "red"}),
    "another digest": lambda connection, share: _alter(connection, share, 3, {"digest": "0" * 64}),
    "first row gone": lambda connection, share: _drop(connection, share, 1),
    "middle row gone": lambda connection, share: _drop(connection, share, 2),
    "last row gone": lambda connection, share: _drop(connection, share, 3),
    "all rows gone": lambda connection, share: _drop(connection, share, 1, 2, 3),
    "rows exchanged": lambda connection, share: [
        _alter(connection, share, old, {"revision": new}) for old, new in ((1, 9), (2, 1), (9, 2))
    ],
    "status changed past the audit": lambda connection, share: connection.execute(
        update(tables.shares).where(tables.shares.c.id == share).values(status="available")
    ),
    "row removed past the audit": lambda connection, share: connection.execute(
        tables.shares.delete().where(tables.shares.c.id == share)
    ),
}


def _alter(connection: Connection, share: str, revision: int, values: dict[str, object]) -> int:
    trail = tables.audit
    where = (trail.c.resource_id == share, trail.c.revision == revision)
    changed = connection.execute(update(trail).where(*where).values(values)).rowcount
    assert changed == 1
    return changed


def _drop(connection: Connection, share: str, *revisions: int) -> None:
    trail = tables.audit
    where = (trail.c.resource_id == share, trail.c.revision.in_(revisions))
    assert connection.execute(trail.delete().where(*where)).rowcount == len(revisions)


@pytest.mark.parametrize("how", TAMPERED)
def test_tampering_is_found_and_the_resource_is_named(database: Database, share: str, how: str) -> None:
    """Whatever is altered, taken out or done past the audit: the chain of that resource no longer holds, others do."""
    with database.write() as connection:
        make_share(connection, "bystander")
        change(connection, share, "resizing")
        assert audit.broken_chains(connection) == []
        assert audit.broken_chains(connection, project=PROJECT) == []
        TAMPERED[how](connection, share)
        assert audit.broken_chains(connection) == [share]
        assert audit.broken_chains(connection, project=PROJECT) == [share]


def test_trail_of_a_gone_resource_cannot_be_cut_short(database: Database, share: str) -> None:
    """Without its last row the resource would not be known to be gone."""
    with database.write() as connection:
        audit.remove(connection, ACTOR, tables.shares, share)
        _drop(connection, share, 3)
        assert audit.broken_chains(connection) == [share]


def test_two_attempts_at_the_same_moment_make_one_chain(database: Database, share: str) -> None:
    """A zombie and its successor change one after the other, and each change has its own row."""
    barrier = [f"state-{number}" for number in range(40)]

    def attempt(after: str) -> None:
        with database.write() as connection:
            change(connection, share, after)

    with ThreadPoolExecutor(max_workers=8) as threads:
        list(threads.map(attempt, barrier))
    with database.read() as connection:
        trail = rows_of(connection, share)
        assert audit.broken_chains(connection) == []
    assert [row["revision"] for row in trail] == list(range(1, 43))
    assert sorted(row["after"] for row in trail[2:]) == sorted(barrier)
    assert [row["before"] for row in trail[1:]] == [row["after"] for row in trail[:-1]]


def test_many_resources_changed_at_once_keep_their_chains(database: Database) -> None:
    """Chains are per resource: they do not hold each other up, and none of them mixes with another."""
    with database.write() as connection:
        shares = [make_share(connection, f"s{number}") for number in range(8)]

    def work(share: str) -> None:
        actor = Actor(operation_id(), PROJECT)
        with database.write() as connection:
            claims.request(connection, actor.operation, [Want("share", share)])
        for number in range(5):
            with database.write() as connection:
                audit.change(connection, actor, tables.shares, share, after=f"state-{number}")

    with ThreadPoolExecutor(max_workers=8) as threads:
        list(threads.map(work, shares))
    with database.read() as connection:
        assert audit.broken_chains(connection) == []
        assert {len(rows_of(connection, share)) for share in shares} == {7}


def test_long_reason_is_cut_and_still_checks(database: Database, share: str) -> None:
    """What is stored is what is digested."""
    with database.write() as connection:
        audit.change(connection, ACTOR, tables.shares, share, after="resizing", why="x" * 300)
    with database.read() as connection:
        assert rows_of(connection, share)[-1]["why"] == "x" * 255
        assert audit.broken_chains(connection) == []
