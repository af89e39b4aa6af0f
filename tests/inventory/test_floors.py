"""Floors that pools promise: within their budgets at every instant, however many ask at once."""

from __future__ import annotations

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from sqlalchemy import Connection, func, insert, select

from inventory import catalogue, comparison, reservations, resources, tables
from inventory.catalogue import Catalogue, VersionRow
from inventory.database import Database, now
from shareflow.contracts.qos import NO_FLOORS, Floors
from shareflow.errors import UnknownQos
from tests.inventory import hammer
from tests.inventory.rows import POOL, PROJECT, declare, make_share, operation_id, place_of, pool_row
from tests.inventory.test_reservations import pool_state


def promised(connection: Connection) -> Floors:
    """The pool's sums."""
    row = resources.pool_row(connection, POOL)
    return Floors(row["iops_promised"], row["throughput_promised"])


def carried(connection: Connection) -> Floors:
    """What its rows add up to."""
    found = [0, 0]
    held = tables.reservations
    for index, kind in enumerate(("iops", "throughput")):
        for table in (tables.instances, tables.tombstones):
            total = select(func.coalesce(func.sum(table.c[f"{kind}_floor"]), 0)).where(table.c.pool_id == POOL)
            if table is tables.tombstones:
                total = total.where(table.c.gone_at.is_(None))
            found[index] += int(connection.execute(total).scalar_one())
        pending = select(func.coalesce(func.sum(held.c[kind]), 0)).where(
            held.c.scope == "pool", held.c.target == POOL, held.c.state == "pending"
        )
        found[index] += int(connection.execute(pending).scalar_one())
    return Floors(*found)


def _declare(connection: Connection, iops: int | None = 100, throughput: int | None = None) -> None:
    declare(connection, pool_row("a1", iops_budget=iops, throughput_budget=throughput))


def test_floors_are_promised_up_to_the_budget_and_not_one_more(database: Database) -> None:
    """With their bytes, all or nothing."""
    with database.write() as connection:
        _declare(connection)
        assert reservations.reserve_capacity(connection, "a", POOL, 7, Floors(60))
        assert not reservations.reserve_capacity(connection, "b", POOL, 7, Floors(41))
        assert reservations.reserve_capacity(connection, "c", POOL, 0, Floors(40))
        assert not reservations.reserve_capacity(connection, "d", POOL, 0, Floors(1))
        assert promised(connection) == carried(connection) == Floors(100)
        assert pool_state(connection) == (7, 7)


def test_floor_without_a_budget_of_its_kind_is_not_promised(database: Database) -> None:
    """No budget is not no limit: a promise that nobody accounts for is none."""
    with database.write() as connection:
        _declare(connection, iops=100)
        assert not reservations.reserve_capacity(connection, "a", POOL, 1, Floors(1, 1))
        assert promised(connection) == NO_FLOORS
        assert pool_state(connection) == (0, 0)
        assert reservations.reserve_capacity(connection, "a", POOL, 1)


def test_floors_that_do_not_fit_leave_no_bytes_and_bytes_no_floors(database: Database) -> None:
    """One statement takes both."""
    with database.write() as connection:
        declare(connection, pool_row("a1", limit=10, iops_budget=10))
        assert not reservations.reserve_capacity(connection, "a", POOL, 11, Floors(1))
        assert not reservations.reserve_capacity(connection, "a", POOL, 1, Floors(11))
        assert (promised(connection), pool_state(connection)) == (NO_FLOORS, (0, 0))


def test_repeated_promise_takes_nothing_twice_and_is_given_back_once(database: Database) -> None:
    """Keyed by operation, as bytes are."""
    with database.write() as connection:
        _declare(connection, throughput=100)
        for _ in range(2):
            for _ in range(2):
                assert reservations.reserve_capacity(connection, "a", POOL, 1, Floors(60, 70))
            assert promised(connection) == carried(connection) == Floors(60, 70)
            for _ in range(2):
                reservations.void(connection, "a")
            assert promised(connection) == carried(connection) == NO_FLOORS


def test_lowered_budget_takes_nothing_back_and_promises_nothing_new(database: Database) -> None:
    """What was promised stays; what asks for no floor is not refused for it; the new budget holds from now on."""
    with database.write() as connection:
        _declare(connection, iops=100)
        assert reservations.reserve_capacity(connection, "a", POOL, 1, Floors(80))
        _declare(connection, iops=50)
        assert promised(connection) == Floors(80)
        assert reservations.reserve_capacity(connection, "b", POOL, 1)
        assert not reservations.reserve_capacity(connection, "c", POOL, 1, Floors(1))


def test_nothing_is_reserved_even_where_nothing_is_left(database: Database) -> None:
    """Limits without a floor can be set in a pool that is over-full since its capacity was lowered."""
    with database.write() as connection:
        declare(connection, pool_row("a1", limit=10, iops_budget=5))
        assert reservations.reserve_capacity(connection, "a", POOL, 10)
        declare(connection, pool_row("a1", limit=5, iops_budget=5))
        assert reservations.reserve_capacity(connection, "b", POOL, 0)
        assert reservations.reserve_capacity(connection, "c", POOL, 0, Floors(5))
        assert not reservations.reserve_capacity(connection, "d", POOL, 1)


def test_purged_share_gives_its_floors_back_and_a_forgotten_one_keeps_them(database: Database) -> None:
    """A backend that still has the object still promises for it."""
    with database.write() as connection:
        _declare(connection)
        shares = {name: make_share(connection, name, size=1) for name in ("home", "lost")}
        for (name, share), floor in zip(shares.items(), (30, 20), strict=True):
            reservations.reserve_capacity(connection, name, POOL, 1, Floors(floor))
            resources.set_instance(connection, place_of(connection, share).id, allocated_bytes=1, iops_floor=floor)
            reservations.commit(connection, name)
        resources.drop_instance(connection, place_of(connection, shares["lost"]).id)
        assert promised(connection) == carried(connection) == Floors(30)
        connection.execute(
            insert(tables.tombstones).values(
                id="t", project=PROJECT, share_id="s", kind="share", pool_id=POOL, object="sf-t",
                allocated_bytes=5, iops_floor=9, operation="a", created_at=now(),
            )
        )  # fmt: skip
        reservations.reserve_capacity(connection, "t", POOL, 5, Floors(9))
        reservations.commit(connection, "t")
        assert promised(connection) == carried(connection) == Floors(39)
        stone = comparison.expected(connection, POOL, ["sf-t"])["sf-t"]
        for _ in range(2):
            comparison.bury(connection, stone, POOL)
        assert promised(connection) == carried(connection) == Floors(30)
        assert pool_state(connection)[0] == 1


def test_threads_that_ask_for_floors_at_once_fill_the_budget_exactly(database: Database) -> None:
    """Every request comes three times; what is granted is counted once, and never over, seen from outside."""
    with database.write() as connection:
        _declare(connection, iops=50)
    operations = [operation_id() for _ in range(70)]
    over, wrong = threading.Event(), list[Floors]()

    def look() -> None:
        while not over.is_set():
            with database.read() as connection:
                sums, rows = promised(connection), carried(connection)
            if sums != rows or sums.iops > 50:
                wrong.append(sums)

    def ask(operation: str) -> bool:
        with database.write() as connection:
            return reservations.reserve_capacity(connection, operation, POOL, 1, Floors(1))

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        with ThreadPoolExecutor(max_workers=8) as threads:
            answers = list(threads.map(ask, operations * 3))
    finally:
        over.set()
        watcher.join()
    granted = {operation for operation, answer in zip(operations * 3, answers, strict=True) if answer}
    assert len(granted) == 50
    assert wrong == []
    with database.read() as connection:
        assert promised(connection) == carried(connection) == Floors(50)


def test_processes_hammering_a_budget_never_go_over_it(database: Database, url: str) -> None:
    """Eight processes with floors that do not divide the budgets, which take and give back."""
    budget = Floors(1009, 20011)
    with database.write() as connection:
        _declare(connection, *budget)
    chance = random.Random(7)
    work = []
    for _ in range(8):
        operations = [operation_id() for _ in range(12)]
        floors = [Floors(chance.randrange(60), chance.randrange(1300)) for _ in operations]
        work.append(partial(hammer.promise, url, operations, POOL, floors, repeats=2))
    with hammer.processes(*work) as started:
        while any(process.is_alive() for process in started):
            with database.read() as connection:
                sums = promised(connection)
                assert sums == carried(connection)
                assert sums.beyond(budget) == NO_FLOORS
        assert [process.exitcode for process in started] == [0] * 8
    with database.read() as connection:
        assert promised(connection) == carried(connection)
        assert promised(connection).iops > 0


def test_classes_are_kept_in_every_version_for_the_shares_that_have_them(database: Database) -> None:
    """The current one is found by name, an older one by its version; one that the specs lost has no current one."""

    def declared(*classes: VersionRow) -> Catalogue:
        return Catalogue(qos_classes=classes)

    with database.write() as connection:
        catalogue.apply(connection, declared(VersionRow("gold", "1", {"max_iops": 1})))
        catalogue.apply(connection, declared(VersionRow("gold", "2", {"max_iops": 2}), VersionRow("wood", "1", {})))
        assert resources.qos_class(connection, "gold")["document"] == {"max_iops": 2}
        assert resources.qos_class(connection, "gold", "1")["document"] == {"max_iops": 1}
        with pytest.raises(UnknownQos, match=r"no QoS class 'golt'.*classes: gold, wood"):
            resources.qos_class(connection, "golt")
        catalogue.apply(connection, declared())
        with pytest.raises(UnknownQos, match="none; add a document of kind QosClass"):
            resources.qos_class(connection, "gold")
        assert resources.qos_class(connection, "gold", "2")["document"] == {"max_iops": 2}
