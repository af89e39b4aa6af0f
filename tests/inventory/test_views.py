"""What single views show."""

from __future__ import annotations

import pytest
from sqlalchemy import update

from inventory import catalogue, queries, resources, tables
from inventory.audit import Actor
from inventory.catalogue import Catalogue, QuotaRow, VersionRow
from inventory.database import Database, now
from shareflow.contracts import reads
from shareflow.errors import NotFound
from tests.inventory.rows import (
    GIB,
    PROJECT,
    bin_share,
    declare,
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
        resources.set_export_paths(connection, place.id, "NFS", ["server:/b", "server:/a"])
        view = queries.get_share(connection, reads.ShareRef(project=PROJECT, share="home"))
        listed = queries.list_shares(connection, reads.ShareQuery(project=PROJECT)).items[0]
    assert [location.path for location in view.export_locations] == ["server:/b", "server:/a"]
    assert [(copy.backend, copy.pool, copy.size) for copy in view.instances] == [("alpha", "a1", GIB)]
    assert (view.snapshots, view.backend, view.pool, listed.snapshots) == (2, "alpha", "a1", 2)


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
