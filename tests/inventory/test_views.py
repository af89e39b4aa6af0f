"""What single views show."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import Connection, event, update

from inventory import catalogue, claims, queries, replicas, resources, tables
from inventory.audit import Actor
from inventory.catalogue import Catalogue, QuotaRow, VersionRow, pool_id
from inventory.claims import Want
from inventory.database import Database, now
from shareflow.contracts import reads
from shareflow.errors import NotFound
from tests.inventory.rows import (
    GIB,
    PROJECT,
    bin_share,
    declare,
    make_replica,
    make_share,
    make_snapshot,
    open_operation,
    pool_row,
)


def test_share_can_be_named_like_the_id_of_another(database: Database) -> None:
    """The id wins, so that nobody can put a share in front of another one."""
    with database.write() as connection:
        share = make_share(connection, "home")
        imposter = make_share(connection, share)
        assert queries.get_share(connection, reads.ShareRef(project=PROJECT, share=share)).id == share
        assert queries.get_share(connection, reads.ShareRef(project=PROJECT, share=imposter)).id == imposter


def test_share_in_the_recycle_bin_is_found_by_its_id_only_when_asked_for(database: Database) -> None:
    """It left the view, with its snapshots; its name may be somebody else's by now."""
    with database.write() as connection:
        share = make_share(connection, "home")
        make_snapshot(connection, share, "monday")
        bin_share(connection, share)
        again = make_share(connection, "home")
        assert queries.get_share(connection, reads.ShareRef(project=PROJECT, share="home")).id == again
        with pytest.raises(NotFound):
            queries.get_share(connection, reads.ShareRef(project=PROJECT, share=share))
        binned = queries.get_share(connection, reads.ShareRef(project=PROJECT, share=share, deleted=True))
        assert (binned.id, binned.status, binned.snapshots) == (share, reads.ShareStatus.RECYCLE_BIN, 1)
        assert queries.list_snapshots(connection, reads.SnapshotQuery(project=PROJECT)).items == []
        with pytest.raises(NotFound):
            queries.list_snapshots(connection, reads.SnapshotQuery(project=PROJECT, share=share))


def test_one_share_shows_where_it_is_and_how_to_mount_it(database: Database) -> None:
    """Instances, export locations with the preferred one first, and the number of its snapshots."""
    with database.write() as connection:
        share = make_share(connection, "home")
        for name in ("monday", "tuesday"):
            make_snapshot(connection, share, name)
        place = resources.instance_place(connection, share)
        resources.add_export_paths(connection, place.id, "NFS", ["server:/b", "server:/a"])
        view = queries.get_share(connection, reads.ShareRef(project=PROJECT, share="home"))
        listed = queries.list_shares(connection, reads.ShareQuery(project=PROJECT)).items[0]
    assert [location.path for location in view.export_locations] == ["server:/b", "server:/a"]
    assert [(copy.backend, copy.pool, copy.size) for copy in view.instances] == [("alpha", "a1", GIB)]
    assert (view.snapshots, view.backend, view.pool, listed.snapshots) == (2, "alpha", "a1", 2)


def share_with_replicas(connection: Connection, name: str = "home") -> tuple[str, str, str]:
    """A share in a1 with a dr replica in a2, west, and a readable one in a3; the ids of all three."""
    declare(connection, pool_row("a1"), pool_row("a2", zone="west"), pool_row("a3"))
    share = make_share(connection, name)
    resources.add_export_paths(connection, resources.instance_place(connection, share).id, "NFS", ["server:/a"])
    first = make_replica(  # X
        connection,
        share,
        pool_id("alpha", "a2"),
        synced_at=now() - timedelta(seconds=100),
        moved_bytes=7,  # X
    )
    second = make_replica(
        connection, share, pool_id("alpha", "a3"), kind="readable", synced_at=now() - timedelta(seconds=1000)
    )
    resources.add_export_paths(connection, second, "NFS", ["server:/r"], readonly=True)
    return share, first, second


def test_replicas_are_shown_with_how_far_they_are_behind_now(database: Database) -> None:
    """Lag and state are those of the moment of the read: older content than the type tolerates is out of sync."""
    with database.write() as connection:
        share, first, second = share_with_replicas(connection)
        view = queries.get_share(connection, reads.ShareRef(project=PROJECT, share=share))
        listed = queries.list_shares(connection, reads.ShareQuery(project=PROJECT)).items[0]
    by_id = {replica.id: replica for replica in view.replicas}
    assert list(by_id) == [first, second]
    assert (by_id[first].backend, by_id[first].pool, by_id[first].zone) == ("alpha", "a2", "west")
    assert (by_id[first].state.value, by_id[first].moved_bytes) == ("in_sync", 7)
    assert by_id[second].state.value == "out_of_sync"
    assert 100 <= (by_id[first].lag_seconds or 0) < 160
    assert 1000 <= (by_id[second].lag_seconds or 0) < 1060
    assert by_id[first].sync_operation == f"sync-{first}"
    assert [copy.role for copy in view.instances] == ["active", "replica", "replica"]
    assert [(one.path, one.readonly) for one in view.export_locations] == [("server:/a", False), ("server:/r", True)]
    assert (listed.pool, [replica.id for replica in listed.replicas]) == ("a1", [first, second])


def test_bytes_that_a_replica_lacks_are_shown_as_they_were_measured(database: Database) -> None:
    """None were when its last round had everything; those that a later round counted before it copied count then."""
    with database.write() as connection:
        declare(connection, pool_row("a1"), pool_row("a2"))
        share, ask_at = make_share(connection, "home"), now()
        synced = ask_at - timedelta(seconds=100)
        replica = make_replica(connection, share, pool_id("alpha", "a2"), synced_at=synced, moved_bytes=80)
        ask = reads.ShareRef(project=PROJECT, share=share)

        def shown() -> tuple[int | None, object, int | None]:
            (one,) = queries.get_share(connection, ask).replicas
            return one.lag_bytes, one.lag_measured_at, one.change_rate

        assert shown() == (0, synced, None)
        replicas.note(connection, replica, moved_seconds=10, behind_bytes=7000, behind_at=ask_at)
        assert shown() == (7000, ask_at, 8)
        replicas.note(connection, replica, synced_at=ask_at + timedelta(seconds=1))
        assert shown() == (0, ask_at + timedelta(seconds=1), 8)
        replicas.note(connection, replica, synced_at=None)
        assert shown()[:2] == (None, None)


def test_a_replica_that_is_seeded_lost_or_in_error_says_so(database: Database) -> None:
    """What a round came to is not made better than it is: only in_sync depends on the age."""
    with database.write() as connection:
        declare(connection, pool_row("a1"), pool_row("a2"))
        share = make_share(connection, "home")
        replica = make_replica(connection, share, pool_id("alpha", "a2"), state="seeding", synced_at=None)
        ask = reads.ShareRef(project=PROJECT, share=share)
        seeded = queries.get_share(connection, ask).replicas[0]
        assert (seeded.state.value, seeded.synced_at, seeded.lag_seconds) == ("seeding", None, None)
        replicas.note(connection, replica, state="error", error="D101 gone", synced_at=now(), stale="kept")
        broken = queries.get_share(connection, ask).replicas[0]
        assert (broken.state.value, broken.error, broken.stale) == ("error", "D101 gone", "kept")
        replicas.note(connection, replica, state="out_of_sync", error="", stale="")
        assert queries.get_share(connection, ask).replicas[0].state.value == "out_of_sync"


def test_a_replica_that_is_held_is_no_migration(database: Database) -> None:
    """The operation that holds it is shown with it, not as one that moves the share."""
    with database.write() as connection:
        declare(connection, pool_row("a1"), pool_row("a2"))
        share = make_share(connection, "home")
        replica = make_replica(connection, share, pool_id("alpha", "a2"))
        operation = open_operation(connection, "resync")
        assert claims.request(connection, operation.id, [Want("instance", replica)]).granted
        view = queries.get_share(connection, reads.ShareRef(project=PROJECT, share=share))
        assert view.migration is None
        assert view.replicas[0].operation == operation.id


def test_a_page_takes_as_many_statements_as_one_share(database: Database) -> None:
    """However many shares, replicas and exports there are."""
    statements: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    with database.write() as connection:
        share_with_replicas(connection, "home")
        event.listen(connection, "before_cursor_execute", note)
        counts = []
        for number in range(3):
            statements.clear()
            queries.list_shares(connection, reads.ShareQuery(project=PROJECT))
            queries.get_share(connection, reads.ShareRef(project=PROJECT, share="home"))
            counts.append(len(statements))
            share_with_replicas(connection, f"more-{number}")
        event.remove(connection, "before_cursor_execute", note)
    assert counts == [counts[0]] * 3


def test_quota_of_a_project_that_has_nothing_yet_is_what_it_would_get(database: Database) -> None:
    """Unlimited without a default; the default's limits with one; its own as soon as it has any."""
    with database.write() as connection:
        ask = reads.ProjectRef(project=PROJECT)
        assert queries.get_quota(connection, ask).shares_limit is None
        declare(connection, quotas=(QuotaRow("*", 5, 6, 7),))
        view = queries.get_quota(connection, ask)
        assert (view.shares_limit, view.bytes_limit, view.snapshots_limit, view.bytes_used) == (5, 6, 7, 0)
        declare(connection, quotas=(QuotaRow("*", 5, 6, 7), QuotaRow(PROJECT, None, 1, 0)))
        view = queries.get_quota(connection, ask)
        assert (view.shares_limit, view.bytes_limit, view.snapshots_limit) == (None, 1, 0)


def test_pools_and_types_are_shown_to_everybody(database: Database) -> None:
    """What can be asked for is no secret of a project; what is retired is not offered."""
    with database.write() as connection:
        catalogue.apply(connection, Catalogue(types=(VersionRow("old", "1", {"description": "before"}),)))
        declare(connection, pool_row("a1", limit=7, attributes={"media": "ssd"}), pool_row("a2"))
        declare(connection, pool_row("a1", limit=7, attributes={"media": "ssd"}))
        pools = queries.list_pools(connection).items
        assert [(pool.name, pool.limit_bytes, pool.reachable, pool.attributes) for pool in pools] == [
            ("a1", 7, True, {"media": "ssd"})
        ]
        assert queries.list_share_types(connection).items == []


def test_operation_view_shows_whom_it_waits_for(database: Database) -> None:
    """A queued operation names the ones ahead of it."""
    with database.write() as connection:
        operation = open_operation(connection, "waits")
        connection.execute(update(tables.operations).values(waiting_for=["a", "b"]))
        view = queries.get_operation(connection, reads.OperationRef(project=PROJECT, operation=operation.id))
        assert view.waiting_for == ["a", "b"]
        assert view.created_at <= now()
        assert operation.actor == Actor("waits", PROJECT)
