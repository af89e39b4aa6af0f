"""Capacity and quota: exact at every instant, however many ask at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

import pytest
from sqlalchemy import Connection, func, insert, select

from inventory import reservations, resources, tables
from inventory.catalogue import QuotaRow, pool_id
from inventory.database import Database, now
from inventory.reservations import MOST
from shareflow.errors import QuotaExceeded
from tests.inventory import hammer
from tests.inventory.rows import GIB, POOL, PROJECT, declare, make_share, operation_id, place_of, pool_row

OTHER = pool_id("alpha", "a2")


def pool_state(connection: Connection, pool: str = POOL) -> tuple[int, int]:
    """The pool's sum, and what its rows add up to."""
    total = 0
    for table in (tables.instances, tables.snapshot_instances, tables.tombstones):
        where = [table.c.pool_id == pool]
        if table is tables.tombstones:
            where.append(table.c.gone_at.is_(None))
        total += connection.execute(
            select(func.coalesce(func.sum(table.c.allocated_bytes), 0)).where(*where)
        ).scalar_one()
    held = tables.reservations
    pending = select(func.coalesce(func.sum(held.c.bytes), 0)).where(
        held.c.scope == "pool", held.c.target == pool, held.c.state == "pending"
    )
    total += connection.execute(pending).scalar_one()
    return resources.pool_row(connection, pool)["allocated_bytes"], int(total)


def quota_state(connection: Connection, project: str = PROJECT) -> tuple[int, int, int]:
    """What a project uses: shares, bytes, snapshots."""
    row = connection.execute(select(tables.quotas).where(tables.quotas.c.project == project)).one()
    return row.shares_used, row.bytes_used, row.snapshots_used


@contextmanager
def watched(database: Database, limit: int, quota: int) -> Iterator[list[int]]:
    """Look again and again from outside; every picture must be exact and within the limits."""
    over, seen, wrong = threading.Event(), list[int](), list[object]()

    def look() -> None:
        while not over.is_set():
            with database.read() as connection:
                allocated, rows = pool_state(connection)
                shares, used, _ = quota_state(connection)
                pending = connection.execute(
                    select(func.count(), func.coalesce(func.sum(tables.reservations.c.bytes), 0)).where(
                        tables.reservations.c.scope == "quota", tables.reservations.c.state == "pending"
                    )
                ).one()
            seen.append(allocated)
            if allocated != rows or allocated > limit or used > quota or (shares, used) != tuple(pending):
                wrong.append((allocated, rows, shares, used, tuple(pending)))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()
    assert wrong == []


def test_capacity_is_reserved_up_to_the_limit_and_not_a_byte_more(database: Database) -> None:
    """The last byte can be had, the one after it cannot."""
    with database.write() as connection:
        declare(connection, pool_row("a1", limit=10))
        assert reservations.reserve_capacity(connection, "a", POOL, 7)
        assert not reservations.reserve_capacity(connection, "b", POOL, 4)
        assert reservations.reserve_capacity(connection, "c", POOL, 3)
        assert not reservations.reserve_capacity(connection, "d", POOL, 1)
        assert pool_state(connection) == (10, 10)


def test_pool_without_a_limit_counts_what_is_in_it(database: Database) -> None:
    """No limit is not zero, and the sum is kept all the same; it never leaves what can be counted exactly."""
    with database.write() as connection:
        declare(connection)
        assert reservations.reserve_capacity(connection, "a", POOL, 2**62)
        assert reservations.reserve_capacity(connection, "b", POOL, 2**62 - 1)
        assert pool_state(connection) == (MOST, MOST)
        assert not reservations.reserve_capacity(connection, "c", POOL, 1)


@pytest.mark.parametrize("pool", [POOL, "unknown"])
def test_retired_and_unknown_pools_give_nothing(database: Database, pool: str) -> None:
    """A pool that no spec declares any more takes nothing new."""
    with database.write() as connection:
        declare(connection)
        declare(connection, pool_row("a2"))
        assert not reservations.reserve_capacity(connection, "a", pool, 1)


def test_share_in_a_pool_of_no_spec_is_told_so_when_it_cannot_grow(database: Database) -> None:
    """What the pool has left is not the reason, however much that is."""
    with database.write() as connection:
        declare(connection)
        here = resources.no_room(resources.pool_row(connection, POOL), 2 * GIB)
        declare(connection, pool_row("a2"))
        gone = resources.no_room(resources.pool_row(connection, POOL), 2 * GIB)
    assert "left, the share needs 2 GiB more" in here.message
    assert gone.message == "no spec declares pool 'a1' any more, so what is in it cannot grow"
    assert "spec" in gone.hint


def test_repeated_reservation_takes_nothing_twice(database: Database) -> None:
    """A begin that comes twice finds what the first one took, in pool and quota, also after the commit."""
    for _ in range(3):
        with database.write() as connection:
            if not _known(connection):
                declare(connection, pool_row("a1", limit=10), quotas=(QuotaRow(PROJECT, 1, 7, 2),))
            assert reservations.reserve_capacity(connection, "a", POOL, 7)
            reservations.reserve_quota(connection, "a", PROJECT, size=7, shares=1, snapshots=2)
            assert resources.pool_row(connection, POOL)["allocated_bytes"] == 7
            assert quota_state(connection) == (1, 7, 2)
            reservations.commit(connection, "a")


def _known(connection: Connection) -> bool:
    return connection.execute(select(tables.pools.c.id)).first() is not None


def test_voided_reservation_is_given_back_once_and_can_be_taken_again(database: Database) -> None:
    """A pool that refused is given back; when it is chosen again later its row is used again."""
    with database.write() as connection:
        declare(connection, pool_row("a1", limit=10), quotas=(QuotaRow(PROJECT, 1, 100, 1),))
        for _ in range(2):
            assert reservations.reserve_capacity(connection, "a", POOL, 7)
            reservations.reserve_quota(connection, "a", PROJECT, size=7, shares=1)
            for _ in range(2):
                reservations.void(connection, "a")
            assert pool_state(connection) == (0, 0)
            assert quota_state(connection) == (0, 0, 0)


def test_void_of_one_pool_leaves_the_rest(database: Database) -> None:
    """The next-best pool is tried with quota and other pools still set aside."""
    with database.write() as connection:
        declare(connection, pool_row("a1"), pool_row("a2"), quotas=(QuotaRow(PROJECT, 1, 100, 1),))
        reservations.reserve_quota(connection, "a", PROJECT, size=7, shares=1)
        reservations.reserve_capacity(connection, "a", POOL, 7)
        reservations.reserve_capacity(connection, "a", OTHER, 7)
        reservations.void(connection, "a", scope="pool", target=POOL)
        assert (pool_state(connection), pool_state(connection, OTHER)) == ((0, 0), (7, 7))
        assert quota_state(connection) == (1, 7, 0)


def test_committed_reservation_is_not_given_back_by_a_late_void(database: Database) -> None:
    """After the commit the resource's row carries the bytes, and an undo that comes late takes nothing from it."""
    with database.write() as connection:
        declare(connection, quotas=(QuotaRow(PROJECT, None, None, None),))
        share = make_share(connection, "home", size=7)
        reservations.reserve_capacity(connection, "a", POOL, 7)
        reservations.reserve_quota(connection, "a", PROJECT, size=7, shares=1)
        resources.set_instance(connection, place_of(connection, share).id, allocated_bytes=7)
        reservations.commit(connection, "a")
        reservations.void(connection, "a")
        assert pool_state(connection) == (7, 7)
        assert quota_state(connection) == (1, 7, 0)
        resources.drop_instance(connection, place_of(connection, share).id)
        assert pool_state(connection) == (0, 0)


def test_failed_transaction_takes_nothing(database: Database) -> None:
    """A refusal after the reservation leaves no trace of it."""
    with database.write() as connection:
        declare(connection, quotas=(QuotaRow(PROJECT, None, None, None),))

    def begin() -> None:
        with database.write() as connection:
            assert reservations.reserve_capacity(connection, "a", POOL, 7)
            raise QuotaExceeded("later")

    with pytest.raises(QuotaExceeded):
        begin()
    with database.read() as connection:
        assert pool_state(connection) == (0, 0)
        assert connection.execute(select(tables.reservations)).all() == []


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"shares": 2}, "asks for 2 more shares, uses 1 and may use 2"),
        ({"size": 3 * GIB}, "asks for 3 GiB more bytes, uses 1 GiB and may use 3 GiB"),
        ({"snapshots": 1}, "asks for 1 more snapshots, uses 0 and may use 0"),
        ({"shares": 1, "size": 3 * GIB}, "asks for 3 GiB more bytes"),
    ],
)
def test_quota_refusal_names_limit_use_and_wish(database: Database, asked: dict[str, int], said: str) -> None:
    """Each of the three limits holds by itself, and nothing of a refused request is kept."""
    with database.write() as connection:
        declare(connection, quotas=(QuotaRow(PROJECT, 2, 3 * GIB, 0),))
        reservations.reserve_quota(connection, "first", PROJECT, size=GIB, shares=1)
        with pytest.raises(QuotaExceeded, match=said):
            reservations.reserve_quota(connection, "second", PROJECT, **asked)
        assert quota_state(connection) == (1, GIB, 0)


def test_project_without_own_limits_gets_the_default_ones(database: Database) -> None:
    """The first use of a project copies the limits of ``*``; no ``*`` means no limits."""
    with database.write() as connection:
        reservations.reserve_quota(connection, "a", "unlimited", size=2**60, shares=1000)
        declare(connection, quotas=(QuotaRow("*", 1, None, None), QuotaRow("rich", 2, None, None)))
        reservations.reserve_quota(connection, "b", "poor", shares=1)
        with pytest.raises(QuotaExceeded):
            reservations.reserve_quota(connection, "c", "poor", shares=1)
        reservations.reserve_quota(connection, "d", "rich", shares=2)
        assert quota_state(connection, "unlimited") == (1000, 2**60, 0)


def test_use_never_leaves_what_can_be_counted(database: Database) -> None:
    """Sums stay whole numbers of 64 bits even without a limit."""
    with database.write() as connection:
        for number in range(7):
            reservations.reserve_quota(connection, f"op{number}", PROJECT, size=2**60)
        with pytest.raises(QuotaExceeded, match="more than can be counted"):
            reservations.reserve_quota(connection, "last", PROJECT, size=2**60)
        assert quota_state(connection) == (0, 7 * 2**60, 0)


def test_first_use_of_a_project_by_many_at_once_makes_one_row(database: Database) -> None:
    """Whoever comes second finds the row of the first; all of them are counted."""
    with database.write() as connection:
        declare(connection, quotas=(QuotaRow("*", 6, None, None),))
    barrier = threading.Barrier(8)

    def use(number: int) -> bool:
        barrier.wait()
        try:
            with database.write() as connection:
                reservations.reserve_quota(connection, f"op{number}", "fresh", shares=1)
        except QuotaExceeded:
            return False
        return True

    with ThreadPoolExecutor(max_workers=8) as threads:
        granted = list(threads.map(use, range(8)))
    assert granted.count(True) == 6
    with database.read() as connection:
        assert quota_state(connection, "fresh") == (6, 0, 0)


def test_threads_hammering_one_pool_fill_it_exactly(database: Database) -> None:
    """Every request is sent three times at once; what is granted fills the pool and is counted once."""
    with database.write() as connection:
        declare(connection, pool_row("a1", limit=50), quotas=(QuotaRow(PROJECT, None, 10**6, None),))
    names = [operation_id() for _ in range(70)]

    def ask(name: str) -> bool:
        with database.write() as connection:
            if not reservations.reserve_capacity(connection, name, POOL, 1):
                return False
            reservations.reserve_quota(connection, name, PROJECT, size=1, shares=1)
            return True

    with watched(database, 50, 10**6) as seen, ThreadPoolExecutor(max_workers=8) as threads:
        answers = list(threads.map(ask, names * 3))
    by_name = {name: {answers[index + len(names) * turn] for turn in range(3)} for index, name in enumerate(names)}
    assert sum(True in each for each in by_name.values()) == 50
    assert len(seen) > 1
    with database.read() as connection:
        assert pool_state(connection) == (50, 50)
        assert quota_state(connection) == (50, 50, 0)


def test_processes_hammering_pool_and_quota_stay_exact(database: Database, url: str) -> None:
    """Eight processes with sizes that do not divide the limits: never over, and sums always equal their rows."""
    limit, quota = 40 * GIB, 35 * GIB
    with database.write() as connection:
        declare(connection, pool_row("a1", limit=limit), quotas=(QuotaRow(PROJECT, None, quota, None),))
    work = [
        partial(
            hammer.reserve,
            url,
            [f"p{process}-{number}" for number in range(12)],
            POOL,
            [(number % 3 + 1) * GIB // 2 + process for number in range(12)],
            repeats=2,
        )
        for process in range(8)
    ]
    with watched(database, limit, quota) as seen:
        hammer.run(*work)
    with database.read() as connection:
        allocated, rows = pool_state(connection)
        assert allocated == rows == quota_state(connection)[1]
    assert quota - GIB < allocated <= quota
    assert len(set(seen)) > 2


def test_tombstone_keeps_its_bytes_until_it_is_gone(database: Database) -> None:
    """What was left on a backend on purpose still takes room there."""
    with database.write() as connection:
        declare(connection)
        reservations.reserve_capacity(connection, "a", POOL, 5)
        connection.execute(
            insert(tables.tombstones).values(
                id="t", project=PROJECT, share_id="s", kind="share", pool_id=POOL, object="sf-t",
                allocated_bytes=5, operation="a", created_at=now(),
            )
        )  # fmt: skip
        reservations.commit(connection, "a")
        assert pool_state(connection) == (5, 5)
