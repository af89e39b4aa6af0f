"""A step whose worker died, or whose commit was never answered, is repeated and ends at the same rows."""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import select

from inventory import claims, operations, reservations, resources, tables
from inventory.database import Database
from shareflow.errors import DatabaseUnavailable
from tests.inventory import hammer
from tests.inventory.cut import cutting
from tests.inventory.rows import GIB, POOL, PROJECT, declare, make_share, row_of
from tests.support.postgres import PostgresServer

Open = Callable[[str], Database]


@pytest.fixture
def share(database: Database) -> str:
    """A share to change, in a pool with room, and a quota."""
    with database.write() as connection:
        declare(connection)
        return make_share(connection, "home")


def begun_twice(database: Database, share: str) -> None:
    """The begin is repeated by a successor: exactly one claim, one epoch, one reservation of each kind."""
    answers = []
    for _ in range(2):
        with database.write() as connection:
            answers.append(hammer.begin(connection, share, POOL, GIB))
    assert answers[0] == answers[1]
    with database.read() as connection:
        row = row_of(connection, "share", share)
        assert (row["claimed_by"], row["epoch"]) == ("killed", 2)
        claims.check(connection, "killed", answers[0].fences)
        assert resources.pool_row(connection, POOL)["allocated_bytes"] == GIB
        assert connection.execute(select(tables.quotas.c.bytes_used)).scalars().all() == [GIB]
        assert len(connection.execute(select(tables.reservations)).all()) == 2
        assert len(connection.execute(select(tables.operations)).all()) == 1


@pytest.mark.parametrize("committed", [False, True])
def test_worker_killed_around_its_commit_is_repeated_safely(
    database: Database, url: str, share: str, committed: bool
) -> None:
    """Right before or right after: the repeated step ends at the same rows, and no lock of the dead one stays."""
    with hammer.processes(partial(hammer.claim_and_die, url, share, POOL, GIB, committed=committed)) as started:
        started[0].join(30)
        assert started[0].exitcode == -9
    begun_twice(database, share)


@pytest.mark.needs("postgresql")
@pytest.mark.parametrize("kind", ["postgresql"])
def test_commit_whose_answer_was_lost_is_repeated_safely(
    database: Database, url: str, share: str, postgres: PostgresServer, opened: Open
) -> None:
    """The server committed, the line was cut before the answer: the step is told it may have happened, and repeats."""
    front = Path(tempfile.mkdtemp(prefix="shareflow-cut-"))
    try:
        with cutting(postgres.directory, front) as cut:
            through = opened(postgres.url(str(database.url.database), host=front))

            def begin() -> None:
                with through.write() as connection:
                    hammer.begin(connection, share, POOL, GIB)
                    cut.armed = True

            with pytest.raises(DatabaseUnavailable):
                begin()
            assert cut.happened.wait(5)
            with database.read() as connection:
                assert row_of(connection, "share", share)["claimed_by"] == "killed"
            begun_twice(through, share)
    finally:
        shutil.rmtree(front)


def test_same_operation_opened_twice_at_once_is_opened_once(database: Database) -> None:
    """A zombie of the first step and its successor find each other's row instead of an error."""
    together = threading.Barrier(6)
    opened: list[str] = []

    def open_it() -> None:
        together.wait(10)
        with database.write() as connection:
            request = {"project": PROJECT, "by": "", "reason": ""}
            opened.append(operations.open_or_find(connection, "twin", "ResizeShare", request).id)
            reservations.reserve_quota(connection, "twin", PROJECT, shares=1)

    threads = [threading.Thread(target=open_it) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert opened == ["twin"] * 6
    with database.read() as connection:
        assert connection.execute(select(tables.quotas.c.shares_used)).scalars().all() == [1]
