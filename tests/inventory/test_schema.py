"""The schema: what migrations make, what the database itself refuses, and what comes back out of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import CheckConstraint, Connection, Table, inspect, select, update
from sqlalchemy.exc import DBAPIError, IntegrityError, StatementError
from sqlmodel import SQLModel

from inventory import claims, resources, tables
from inventory.claims import Want
from inventory.database import MIGRATIONS, Database, current_revision, deployment_id, migrate, now
from shareflow.errors import SchemaError
from tests.inventory import hammer
from tests.inventory.rows import POOL, PROJECT, declare, make_replica, make_share, make_snapshot, place_of

Open = Callable[[str], Database]


def config_of(connection: Connection) -> Config:
    """What the migration commands need."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    return config


def differences(connection: Connection) -> list[Any]:
    """What the schema in the database has other than the tables in the code."""
    context = MigrationContext.configure(connection, opts={"compare_type": True, "target_metadata": SQLModel.metadata})
    return list(compare_metadata(context, SQLModel.metadata))


def test_migrations_make_the_tables_of_the_code(empty_url: str, opened: Open) -> None:
    """From nothing to the newest revision, and no difference is left: tables, columns, types, indexes, uniques."""
    database = opened(empty_url)
    assert current_revision(database) is None
    migrate(database)
    with database.read() as connection:
        assert differences(connection) == []
        checks = {
            (table.name, check["name"])
            for table in SQLModel.metadata.tables.values()
            for check in inspect(connection).get_check_constraints(table.name)
        }
    assert checks == {
        (table.name, constraint.name)
        for table in SQLModel.metadata.tables.values()
        for constraint in table.constraints
        if isinstance(constraint, CheckConstraint)
    }
    assert len(checks) > 20


def test_comparison_notices_a_difference(database: Database) -> None:
    """The comparison above can fail."""
    with database.write() as connection:
        connection.exec_driver_sql("DROP INDEX ix_shares_project_name")
        assert differences(connection) != []
        connection.rollback()


def test_migrating_again_changes_nothing(database: Database) -> None:
    """Every worker does it at every start; the deployment keeps its id."""
    with database.read() as connection:
        before = deployment_id(connection)
    migrate(database)
    with database.read() as connection:
        assert deployment_id(connection) == before
        assert len(connection.execute(select(tables.deployment)).all()) == 1


def test_each_step_can_be_taken_back_and_again(empty_url: str, opened: Open) -> None:
    """One step down and up from every revision ends at the same schema, and right down to nothing as well."""
    database = opened(empty_url)
    migrate(database)
    revisions = [script.revision for script in ScriptDirectory(str(MIGRATIONS)).walk_revisions()]
    for _ in revisions:
        with database.write() as connection:
            command.downgrade(config_of(connection), "-1")
    with database.read() as connection:
        assert set(inspect(connection).get_table_names()) <= {"alembic_version"}
    migrate(database)
    with database.read() as connection:
        assert differences(connection) == []
    assert current_revision(database) == revisions[0]


def test_workers_that_migrate_at_the_same_moment_do_it_once(empty_url: str, opened: Open) -> None:
    """Four first starts at once: all succeed, and there is one schema and one deployment."""
    hammer.run(*[partial(hammer.migrate_one, empty_url)] * 4)
    database = opened(empty_url)
    with database.read() as connection:
        assert differences(connection) == []
        assert len(connection.execute(select(tables.deployment)).all()) == 1


def test_newer_schema_is_refused_by_its_revision(empty_url: str, opened: Open) -> None:
    """An older worker on a newer database says which revision it met, and touches nothing."""
    database = opened(empty_url)
    migrate(database)
    with database.write() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9042_from_the_future'")
    with pytest.raises(SchemaError, match=r"revision '9042_from_the_future'.*newer version"):
        migrate(database)
    assert current_revision(database) == "9042_from_the_future"


def test_tables_of_somebody_else_are_refused(empty_url: str, opened: Open) -> None:
    """A database that has a table ``shares`` without our revision belongs to another program."""
    database = opened(empty_url)
    with database.write() as connection:
        connection.exec_driver_sql("CREATE TABLE shares (ticker VARCHAR(4))")
    with pytest.raises(SchemaError, match="tables that Shareflow did not make: shares"):
        migrate(database)
    with database.read() as connection:
        assert inspect(connection).get_table_names() == ["shares"]


def test_database_may_have_other_tables_beside_ours(empty_url: str, opened: Open) -> None:
    """On PostgreSQL a monitoring extension may keep something there."""
    database = opened(empty_url)
    with database.write() as connection:
        connection.exec_driver_sql("CREATE TABLE somebody_elses (id INTEGER)")
    migrate(database)
    with database.read() as connection:
        assert deployment_id(connection)


def test_half_a_migration_leaves_nothing(empty_url: str, opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """Schema changes are part of the transaction on both databases."""
    database = opened(empty_url)

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("inventory.database.now", crash)
    with pytest.raises(KeyboardInterrupt):
        migrate(database)
    with database.read() as connection:
        assert inspect(connection).get_table_names() == []


def test_migration_files_are_named_by_their_place_and_say_what_they_do() -> None:
    """``0001_the_first_schema.py``: they sort in order, each follows the one before, and each has a docstring."""
    scripts = sorted(ScriptDirectory(str(MIGRATIONS)).walk_revisions(), key=lambda script: script.revision)
    assert [script.revision for script in scripts] == [f"{number:04}" for number in range(1, len(scripts) + 1)]
    assert [script.down_revision for script in scripts] == [None, *(script.revision for script in scripts[:-1])]
    for script in scripts:
        assert Path(script.path).name.startswith(f"{script.revision}_")
        assert script.doc


REFUSED = [
    (tables.shares, {"size": 0}),
    (tables.shares, {"size": -1}),
    (tables.shares, {"epoch": -1}),
    (tables.shares, {"live_name": "another"}),
    (tables.shares, {"name": None}),
    (tables.instances, {"size": 0}),
    (tables.instances, {"allocated_bytes": -1}),
    (tables.snapshots, {"size": -5}),
    (tables.snapshot_instances, {"allocated_bytes": -1}),
    (tables.pools, {"allocated_bytes": -1}),
    (tables.pools, {"limit_bytes": -1}),
    (tables.pools, {"iops_promised": -1}),
    (tables.pools, {"throughput_promised": -1}),
    (tables.instances, {"iops_floor": -1}),
    (tables.instances, {"throughput_floor": -1}),
    (tables.instances, {"role": "spare"}),
    (tables.instances, {"epoch": -1}),
    (tables.quotas, {"bytes_used": -1}),
    (tables.quotas, {"shares_used": -1}),
    (tables.quotas, {"snapshots_used": -1}),
    (tables.quotas, {"shares_limit": -1}),
    (tables.operations, {"state": "stuck"}),
    (tables.claims, {"mode": "sometimes"}),
    (tables.claims, {"resource_kind": "pool"}),
    (tables.reservations, {"state": "expired"}),
    (tables.reservations, {"scope": "backend"}),
    (tables.reservations, {"bytes": -1}),
    (tables.reservations, {"iops": -1}),
    (tables.reservations, {"throughput": -1}),
    (tables.access_rules, {"level": "no"}),
    (tables.access_rules, {"kind": "world"}),
    (tables.tombstones, {"allocated_bytes": -1}),
    (tables.tombstones, {"iops_floor": -1}),
    (tables.tombstones, {"throughput_floor": -1}),
    (tables.audit, {"revision": 0}),
    (tables.replicas, {"kind": "writable"}),
    (tables.replicas, {"mode": "auto"}),
    (tables.replicas, {"moved_bytes": -1}),
    (tables.replicas, {"stale": "yes"}),
    (tables.replicas, {"state": "active"}),
]


@pytest.fixture
def one_of_each(database: Database) -> Database:
    """One valid row in every table that has checks."""
    made, by = {"created_at": now()}, {"operation": "op"}
    with database.write() as connection:
        declare(connection)
        share = make_share(connection, "home")
        make_snapshot(connection, share, "monday")
        here: dict[str, Any] = {"project": PROJECT, "share_id": share, "pool_id": POOL}
        reserved = {"scope": "pool", "target": POOL, "state": "void", "bytes": 1, "shares": 0, "snapshots": 0}
        claimed = {"resource_id": share, "resource_kind": "share", "mode": "shared", "granted": True, "epoch": 0}
        left = {"id": "t", **here, "kind": "share", "object": "sf-t", "allocated_bytes": 1}
        rule = {"id": "r", "share_id": share, "kind": "ip", "subject": "10.0.0.0/8", "level": "rw"}
        make_replica(connection, share)
        connection.execute(tables.quotas.insert().values(project=PROJECT, own_limits=False))
        connection.execute(tables.operations.insert().values(_operation("op")))
        connection.execute(tables.claims.insert().values(**by, **claimed, ticket=1))
        connection.execute(tables.reservations.insert().values(**by, **reserved, **made))
        connection.execute(tables.access_rules.insert().values(**rule, **made))
        connection.execute(tables.tombstones.insert().values(**left, **by, **made))
    return database


def _operation(identifier: str) -> dict[str, Any]:
    words = ("share_id", "request_digest", "recovery", "left_over", "requested_by", "reason")
    row = {"id": identifier, "project": PROJECT, "kind": "ResizeShare", "state": "running", "request": {}}
    return row | dict.fromkeys(words, "") | {"no_return": False, "created_at": now()}


@pytest.mark.parametrize(("table", "values"), REFUSED, ids=lambda part: getattr(part, "name", str(part)))
def test_database_itself_refuses_impossible_rows(one_of_each: Database, table: Table, values: dict[str, Any]) -> None:
    """Table models check nothing, so the database does: whatever writes, no such row can exist."""

    def spoil() -> None:
        with one_of_each.write() as connection:
            connection.execute(update(table).values(**values))

    with pytest.raises(IntegrityError):
        spoil()


def test_every_check_has_a_row_that_it_refuses(one_of_each: Database) -> None:
    """The list above leaves no table with checks out."""
    checked = {
        table.name
        for table in SQLModel.metadata.tables.values()
        if any("CHECK" in c.__class__.__name__.upper() for c in table.constraints)
    }
    assert checked == {table.name for table, _ in REFUSED}


def test_two_shares_in_view_cannot_have_one_name(database: Database) -> None:
    """Whatever two creations looked up before, the name is taken once."""
    with database.write() as connection:
        make_share(connection, "home")
        make_share(connection, "home", project="red")

    def make_another() -> None:
        with database.write() as connection:
            make_share(connection, "home")

    with pytest.raises(IntegrityError):
        make_another()


@pytest.mark.parametrize("role", ["active", "destination"])
def test_share_has_at_most_one_instance_that_is_it_and_one_that_becomes_it(database: Database, role: str) -> None:
    """Whatever two migrations looked up before; of what is left of old ones there may be more."""
    with database.write() as connection:
        share = make_share(connection, "home")
        pool = resources.pool_row(connection, POOL)
        resources.add_instance(connection, share, pool, 1, role="retired")
        resources.add_instance(connection, share, pool, 1, role="retired")
        if role == "destination":
            resources.add_instance(connection, share, pool, 1, role=role)

    def add_another() -> None:
        with database.write() as connection:
            resources.add_instance(connection, share, pool, 1, role=role)

    with pytest.raises(IntegrityError):
        add_another()


def test_rows_from_before_migrations_keep_their_meaning(empty_url: str, opened: Open) -> None:
    """Every instance is the share, claimed by nobody; claims stay what they were; no pool is drained."""
    database = opened(empty_url)
    migrate(database)
    with database.write() as connection:
        share = make_share(connection, "home")
        claimed = claims.request(connection, "op", [Want("share", share)])
        queued = claims.request(connection, "later", [Want("share", share)])
        before = connection.execute(select(tables.claims).order_by(tables.claims.c.ticket)).all()
    assert (claimed.granted, queued.granted) == (True, False)
    with database.write() as connection:
        command.downgrade(config_of(connection), "0003")
    migrate(database)
    with database.read() as connection:
        assert differences(connection) == []
        assert connection.execute(select(tables.claims).order_by(tables.claims.c.ticket)).all() == before
        (row,) = connection.execute(select(tables.instances)).all()
        assert (row.share_id, row.role, row.claimed_by, row.epoch) == (share, "active", None, 0)
        assert [pool.drained for pool in connection.execute(select(tables.pools))] == [False]
    with database.write() as connection:
        claims.release(connection, "op")
        wants = [Want("share", share), Want("instance", row.id)]
        assert claims.request(connection, "later", wants).granted


def test_sizes_have_64_bits(database: Database) -> None:
    """The largest size of the contracts and the largest sum come back as they went in; no float is in between."""
    with database.write() as connection:
        declare(connection)
        share = make_share(connection, "huge", size=2**60)
        connection.execute(update(tables.pools).values(allocated_bytes=2**63 - 1, limit_bytes=2**63 - 1))
    with database.read() as connection:
        assert place_of(connection, share).size == 2**60
        row = connection.execute(select(tables.pools)).one()
    assert (row.allocated_bytes, row.limit_bytes) == (2**63 - 1, 2**63 - 1)
    assert type(row.allocated_bytes) is int


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1])
def test_number_of_more_than_64_bits_is_refused(database: Database, value: int) -> None:
    """It is never cut or rounded."""

    def store() -> None:
        with database.write() as connection:
            declare(connection)
            connection.execute(update(tables.pools).values(total_bytes=value))

    with pytest.raises((OverflowError, DBAPIError)):
        store()


def test_times_come_back_aware_and_in_utc(database: Database) -> None:
    """Whatever zone a time was given in, it is the same moment, to the microsecond."""
    moment = datetime(2024, 2, 29, 23, 59, 59, 123456, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    with database.write() as connection:
        share = make_share(connection, "home")
        connection.execute(update(tables.shares).values(purge_at=moment))
    with database.read() as connection:
        row = connection.execute(select(tables.shares).where(tables.shares.c.id == share)).one()
    assert row.purge_at == moment
    assert row.purge_at.utcoffset() == timedelta(0)
    assert row.created_at.tzinfo is UTC


def test_time_without_a_zone_is_refused(database: Database) -> None:
    """It could mean any of 38 moments."""

    def store() -> None:
        with database.write() as connection:
            make_share(connection, "home")
            connection.execute(update(tables.shares).values(purge_at=datetime(2024, 1, 1)))  # noqa: DTZ001

    with pytest.raises(StatementError, match="has no time zone"):
        store()


def test_documents_come_back_as_they_went_in(database: Database) -> None:
    """JSON columns keep nesting, order-free equality, non-ASCII text, large numbers and null apart from nothing."""
    document = {"a": [1, 2.5, True, None], "ü": {"deep": {"er": 2**60}}, "empty": {}}
    with database.write() as connection:
        declare(connection)
        connection.execute(update(tables.backends).values(document=document))
        assert connection.execute(select(tables.backends.c.document)).scalar_one() == document
        connection.execute(tables.operations.insert().values(_operation("op")))
        nothing = select(tables.operations.c.id).where(tables.operations.c.begun.is_(None))
        assert connection.execute(nothing).scalars().all() == ["op"]
