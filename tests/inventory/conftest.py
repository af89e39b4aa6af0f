"""Every test of the inventory runs on SQLite and on PostgreSQL, on an empty database of its own."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlmodel import SQLModel

from inventory import tables
from inventory.database import Database, migrate
from tests.support.postgres import PostgresServer, running_postgres

BOTH = ["sqlite", pytest.param("postgresql", marks=pytest.mark.needs("postgresql"))]


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One server for the session."""
    with running_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite inventory without rows, to copy."""
    path = tmp_path_factory.mktemp("template") / "inventory.db"
    database = Database(f"sqlite:///{path}")
    migrate(database)
    database.close()
    return path


@pytest.fixture(scope="session")
def migrated_postgres(postgres: PostgresServer) -> Iterator[Database]:
    """One PostgreSQL inventory for all tests, one after the other: a new one each would take a third of a second."""
    database = Database(postgres.url(postgres.new_database()))
    migrate(database)
    yield database
    database.close()


def _empty(database: Database) -> None:
    """Remove all rows, and sessions that a failed test may have left."""
    with database.write() as connection:
        connection.exec_driver_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND state <> 'idle' AND pid <> pg_backend_pid()"
        )
        for table in SQLModel.metadata.tables.values():
            if table not in (tables.deployment, tables.pool_clock):
                connection.execute(table.delete())
        connection.execute(tables.pool_clock.update().values(revision=0, decided=-1))


@pytest.fixture(params=BOTH)
def kind(request: pytest.FixtureRequest) -> str:
    """Which database this test runs on."""
    return str(request.param)


@pytest.fixture
def url(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a migrated database."""
    if kind == "sqlite":
        path = tmp_path / "inventory.db"
        shutil.copy(request.getfixturevalue("migrated_file"), path)
        yield f"sqlite:///{path}"
        return
    shared: Database = request.getfixturevalue("migrated_postgres")
    _empty(shared)
    yield shared.url.render_as_string()


@pytest.fixture
def empty_url(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a database without any table."""
    if kind == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.db'}"
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    name = server.new_database()
    yield server.url(name)
    server.drop_database(name)


@pytest.fixture
def opened() -> Iterator[Callable[[str], Database]]:
    """Opens databases that are closed at the end of the test."""
    databases: list[Database] = []

    def open_one(url: str) -> Database:
        databases.append(Database(url))
        return databases[-1]

    yield open_one
    for database in databases:
        database.close()


@pytest.fixture
def database(kind: str, url: str, opened: Callable[[str], Database], request: pytest.FixtureRequest) -> Database:
    """A migrated inventory without rows."""
    if kind == "sqlite":
        return opened(url)
    shared: Database = request.getfixturevalue("migrated_postgres")
    return shared
