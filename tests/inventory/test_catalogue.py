"""What the specs declare, as rows: applied whole, any number of times, by any worker."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from sqlalchemy import Connection, RowMapping, Table, select

from inventory import catalogue, reservations, resources, tables
from inventory.catalogue import BackendRow, Catalogue, QuotaRow, VersionRow, pool_id
from inventory.database import Database, now
from tests.inventory.rows import PROJECT, pool_row

A1, A2, B1 = pool_id("alpha", "a1"), pool_id("alpha", "a2"), pool_id("beta", "b1")


def backend(name: str, *pools: str, reachable: bool = True, **fields: Any) -> BackendRow:
    """A backend whose pools have 100 bytes each."""
    figures: dict[str, Any] = {"total_bytes": 100, "free_bytes": 90, "limit": 100, "zone": "east"} | fields
    rows = tuple(pool_row(pool, **figures) for pool in pools)
    return BackendRow(name=name, driver="fake", document={"slots": 2}, pools=rows, reachable=reachable)


WHOLE = Catalogue(
    backends=(backend("alpha", "a1", "a2"), backend("beta", "b1")),
    types=(VersionRow("standard", "1", {"description": "anything"}), VersionRow("ssd", "1", {"require": "ssd"})),
    quotas=(QuotaRow("*", 10, 1000, None), QuotaRow("rich", None, None, None)),
)


def apply(database: Database, wanted: Catalogue) -> None:
    """One worker starts."""
    with database.write() as connection:
        catalogue.apply(connection, wanted)


def rows(connection: Connection, table: Table) -> list[RowMapping]:
    """All rows in order."""
    return list(connection.execute(select(table).order_by(*table.primary_key.columns)).mappings())


def without_times(database: Database) -> list[list[dict[str, Any]]]:
    """Everything that a catalogue makes."""
    with database.read() as connection:
        return [
            [{key: value for key, value in row.items() if key != "seen_at"} for row in rows(connection, table)]
            for table in (tables.backends, tables.pools, tables.share_types, tables.quotas)
        ]


def test_catalogue_becomes_rows(database: Database) -> None:
    """Backends, pools, types and quotas as declared, pools by ids that are the same everywhere."""
    apply(database, WHOLE)
    with database.read() as connection:
        pools = {row["id"]: row for row in resources.pools_picture(connection)}
        assert pools.keys() == {A1, A2, B1}
        assert (pools[A1]["zone"], pools[A1]["limit_bytes"], pools[A1]["free_bytes"]) == ("east", 100, 90)
        assert all(pool["reachable"] for pool in pools.values())
        assert resources.share_type(connection, "ssd")["document"] == {"require": "ssd"}
        limits = {row["project"]: (row["shares_limit"], row["own_limits"]) for row in rows(connection, tables.quotas)}
    assert limits == {"*": (10, True), "rich": (None, True)}


def test_applying_again_changes_nothing(database: Database) -> None:
    """A worker that starts with the same specs leaves every row, and what is used, as it is."""
    apply(database, WHOLE)
    with database.write() as connection:
        reservations.reserve_capacity(connection, "a", A1, 7)
        reservations.reserve_quota(connection, "a", PROJECT, size=7, shares=1)
    before = without_times(database)
    for _ in range(2):
        apply(database, WHOLE)
    assert without_times(database) == before


def test_workers_that_apply_at_once_make_one_catalogue(database: Database) -> None:
    """Eight workers start together, while operations reserve."""

    def work(number: int) -> None:
        apply(database, WHOLE)
        with database.write() as connection:
            reservations.reserve_quota(connection, f"op{number}", PROJECT, size=1)
            reservations.reserve_capacity(connection, f"op{number}", A1, 1)

    with ThreadPoolExecutor(max_workers=8) as threads:
        list(threads.map(work, range(8)))
    with database.read() as connection:
        assert len(rows(connection, tables.pools)) == 3
        assert resources.pool_row(connection, A1)["allocated_bytes"] == 8


def test_what_is_not_declared_any_more_is_retired_not_removed(database: Database) -> None:
    """Its shares stay and can be deleted; nothing new goes there. Declared again it is as before, with its use."""
    apply(database, WHOLE)
    with database.write() as connection:
        assert reservations.reserve_capacity(connection, "a", A2, 30)
    apply(database, Catalogue(backends=(backend("alpha", "a1"),), types=WHOLE.types[:1]))
    with database.write() as connection:
        assert [row["id"] for row in resources.pools_picture(connection)] == [A1]
        assert not reservations.reserve_capacity(connection, "b", A2, 1)
        assert not reservations.reserve_capacity(connection, "b", B1, 1)
        reservations.void(connection, "a")
        assert resources.pool_row(connection, A2)["allocated_bytes"] == 0
        retired = {row["name"]: row["retired"] for row in rows(connection, tables.backends)}
        assert retired == {"alpha": False, "beta": True}
        types = {row["name"]: row["current"] for row in rows(connection, tables.share_types)}
        assert types == {"ssd": False, "standard": True}
    apply(database, WHOLE)
    with database.write() as connection:
        assert len(resources.pools_picture(connection)) == 3
        assert reservations.reserve_capacity(connection, "c", A2, 100)


def test_lowered_limit_is_taken_even_below_what_is_allocated(database: Database) -> None:
    """Nothing more goes in until enough has gone; what is there stays and is counted."""
    apply(database, WHOLE)
    with database.write() as connection:
        reservations.reserve_capacity(connection, "a", A1, 80)
    apply(database, Catalogue(backends=(backend("alpha", "a1", limit=50),)))
    with database.write() as connection:
        assert not reservations.reserve_capacity(connection, "b", A1, 1)
        assert resources.pool_row(connection, A1)["allocated_bytes"] == 80
        reservations.void(connection, "a")
        assert reservations.reserve_capacity(connection, "b", A1, 50)


def test_new_version_of_a_type_leaves_the_old_one_for_its_shares(database: Database) -> None:
    """New shares get the current version; a share keeps the one that it was placed with."""
    apply(database, WHOLE)
    apply(database, Catalogue(types=(VersionRow("standard", "2", {"description": "better"}),)))
    with database.read() as connection:
        assert resources.share_type(connection, "standard")["version"] == "2"
        assert resources.share_type(connection, "standard", "1")["document"] == {"description": "anything"}
    apply(database, WHOLE)
    with database.read() as connection:
        assert resources.share_type(connection, "standard")["version"] == "1"


def test_backend_that_does_not_answer_keeps_its_last_figures(database: Database) -> None:
    """Silence is no news: its pools do not become empty, unlimited or unknown, and when it was seen is kept."""
    apply(database, WHOLE)
    with database.write() as connection:
        reservations.reserve_capacity(connection, "a", A1, 7)
        before = dict(resources.pool_row(connection, A1))
        seen = rows(connection, tables.backends)[0]["seen_at"]
    silent = backend("alpha", "a1", "a2", reachable=False, limit=None, total_bytes=None, free_bytes=None, zone="east")
    apply(database, Catalogue(backends=(silent,)))
    with database.read() as connection:
        now = dict(resources.pool_row(connection, A1))
        assert now.pop("reachable") is not before.pop("reachable")
        assert now.pop("revision") > before.pop("revision")
        assert now == before
        row = rows(connection, tables.backends)[0]
        assert (row["reachable"], row["seen_at"]) == (False, seen)
        assert [pool["reachable"] for pool in resources.pools_picture(connection)] == [False, False]


def test_pool_that_never_answered_takes_nothing(database: Database) -> None:
    """Its size is not known, so it has no room, until it answers."""
    apply(database, Catalogue(backends=(backend("alpha", "a1", reachable=False, limit=None),)))
    with database.write() as connection:
        assert rows(connection, tables.backends)[0]["seen_at"] is None
        assert not reservations.reserve_capacity(connection, "a", A1, 1)
        catalogue.refresh(connection, "alpha", backend("alpha", "a1").pools)
        assert reservations.reserve_capacity(connection, "a", A1, 100)
        assert rows(connection, tables.backends)[0]["seen_at"] <= now()


def test_survey_tells_figures_and_whether_the_backend_answers(database: Database) -> None:
    """A refresh brings new figures without touching what is allocated; no answer only closes the backend."""
    apply(database, WHOLE)
    with database.write() as connection:
        reservations.reserve_capacity(connection, "a", A1, 7)
        catalogue.unreachable(connection, "alpha")
        assert [row["reachable"] for row in rows(connection, tables.backends)] == [False, True]
        assert resources.pool_row(connection, A1)["free_bytes"] == 90
        catalogue.refresh(connection, "alpha", backend("alpha", "a1", free_bytes=50, limit=60).pools)
        row = resources.pool_row(connection, A1)
        assert (row["free_bytes"], row["limit_bytes"], row["allocated_bytes"]) == (50, 60, 7)
        assert [row["reachable"] for row in rows(connection, tables.backends)] == [True, True]


def limits_of(database: Database, project: str) -> tuple[int | None, bool, int]:
    """The limit, whether it is the project's own, and the use of shares."""
    with database.read() as connection:
        row = connection.execute(select(tables.quotas).where(tables.quotas.c.project == project)).one()
    return row.shares_limit, row.own_limits, row.shares_used


def test_projects_without_own_limits_follow_the_default(database: Database) -> None:
    """A new default reaches projects that exist; own limits win, and go when the spec says nothing of them any more."""
    apply(database, WHOLE)
    with database.write() as connection:
        reservations.reserve_quota(connection, "a", PROJECT, shares=3)
        reservations.reserve_quota(connection, "b", "rich", shares=30)
    assert limits_of(database, PROJECT) == (10, False, 3)
    apply(database, Catalogue(quotas=(QuotaRow("*", 2, None, None), QuotaRow("rich", 40, None, None))))
    assert limits_of(database, PROJECT) == (2, False, 3)
    assert limits_of(database, "rich") == (40, True, 30)
    apply(database, Catalogue(quotas=(QuotaRow("*", 5, None, None), QuotaRow(PROJECT, 4, None, None))))
    assert limits_of(database, PROJECT) == (4, True, 3)
    assert limits_of(database, "rich") == (5, False, 30)
    apply(database, Catalogue())
    assert limits_of(database, PROJECT) == (None, False, 3)
    assert limits_of(database, "*") == (None, False, 0)
