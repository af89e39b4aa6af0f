"""One door to the database: engines, write and read transactions, and the schema's version.

SQLite runs in WAL mode with ``synchronous=FULL`` and takes its write lock at the start of a write transaction; inside
one process a lock of our own queues the writers, because SQLite's own waiting polls. PostgreSQL runs at READ COMMITTED;
every conditional statement is evaluated again under its row lock. Readers see one snapshot and cannot write, on both.

Locks on PostgreSQL are taken in one order, so that transactions never wait in a circle: the operation's row, shares by
id, snapshots by id, instances by id, :attr:`Turn.ACCOUNTS`, then rows that nobody else can know yet.
"""

from __future__ import annotations

import sqlite3
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import IntEnum
from functools import cache
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, Insert, Table, create_engine, event, inspect, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DatabaseError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlmodel import SQLModel

from inventory.tables import deployment
from shareflow.errors import DatabaseUnavailable, SchemaError

MIGRATIONS = Path(__file__).parent / "migrations"
BUSY_SECONDS = 5
MIGRATION_SECONDS = 60
ABANDONED_SECONDS = 30
"""After this the server ends a transaction whose client has fallen silent, so that its locks do not stay."""

_DEPLOYMENT = select(deployment.c.id)
_UNUSABLE = {sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT}
_NO_ACCESS = {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_AUTH}
# By SQLSTATE, so that a worker on SQLite need not load psycopg.
_NO_SCHEMA = {"42P01", "42703"}
"""Undefined table, undefined column."""
_NO_SERVICE = {"25006", "25P03", *_NO_SCHEMA}
"""Read-only transaction (a standby), session ended while idle in a transaction."""


class Turn(IntEnum):
    """What only one PostgreSQL transaction does at a time. SQLite has one writer anyway.

    Attributes:
        MIGRATION: changing the schema.
        ACCOUNTS: changing sums of pools and quotas. Recipes touch several of those rows in different orders, and nearly
            all of them the row of the best pool; a turn costs nothing then and rules circles out.
    """

    MIGRATION = 7265091
    ACCOUNTS = 7265092

    def take(self, connection: Connection) -> None:
        """Wait for the turn; it is kept until the transaction ends."""
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({self.value})")


def insert_absent(connection: Connection, table: Table, row: Mapping[str, Any]) -> bool:
    """Insert a row unless its key is there; False when it is. Waits for a transaction that inserts the same key."""
    return connection.execute(_insert_absent(table, connection.dialect.name), dict(row)).rowcount == 1


@cache
def _insert_absent(table: Table, dialect: str) -> Insert:
    statement: Insert = (postgresql if dialect == "postgresql" else sqlite).insert(table).on_conflict_do_nothing()
    return statement.execution_options(preserve_rowcount=True)  # psycopg forgets it with the cursor


def now() -> datetime:
    """The current time, aware, in UTC."""
    return datetime.now(UTC)


class Database:
    """The inventory's database. Usable from any number of threads; not after a fork.

    Args:
        url: ``sqlite:///path`` or ``postgresql+psycopg://user@host/name``. A password belongs into the driver's own
            places (``~/.pgpass``, ``PGPASSWORD``), not into the URL.
        connections: how many are kept at most.
    """

    def __init__(self, url: str, *, connections: int = 16) -> None:
        self.url = make_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self._writer = threading.Lock() if self.is_sqlite else None
        self.engine = self._sqlite_engine(connections) if self.is_sqlite else self._postgres_engine(connections)

    def _sqlite_engine(self, connections: int) -> Engine:
        engine = create_engine(
            self.url,
            pool_size=connections,
            max_overflow=0,
            pool_timeout=BUSY_SECONDS,
            pool_use_lifo=True,  # the fewer connections are used, the less memory their page caches take
            connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False},
        )

        @event.listens_for(engine, "connect")
        def prepare(connection: sqlite3.Connection, _record: object) -> None:
            connection.isolation_level = None
            _use_wal(connection)
            for pragma in ("synchronous=FULL", "foreign_keys=ON", "cache_size=-8000"):
                connection.execute(f"PRAGMA {pragma}")

        @event.listens_for(engine, "begin")
        def begin(connection: Connection) -> None:
            write = connection.get_execution_options().get("write", False)
            # What this database connection was told last: most transactions need not tell it again.
            if connection.info.get("write") is not write:
                connection.exec_driver_sql(f"PRAGMA query_only={'OFF' if write else 'ON'}")
                connection.info["write"] = write
            connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

        return engine

    def _postgres_engine(self, connections: int) -> Engine:
        options = {
            "lock_timeout": BUSY_SECONDS * 1000,
            "idle_in_transaction_session_timeout": ABANDONED_SECONDS * 1000,
        }
        return create_engine(
            self.url,
            pool_size=connections,
            max_overflow=0,
            pool_timeout=BUSY_SECONDS,
            pool_pre_ping=True,
            isolation_level="READ COMMITTED",
            connect_args={
                "connect_timeout": BUSY_SECONDS,
                "keepalives_idle": 10,
                "keepalives_interval": 5,
                "keepalives_count": 3,
                "options": " ".join(f"-c {name}={value}" for name, value in options.items()),
            },
        )

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A write transaction: committed at the end of the block, rolled back when it raises.

        Raises:
            DatabaseUnavailable: the database does not answer, is locked, or gave up the transaction (serialization,
                deadlock). The transaction may have been committed; repeating it is safe for every caller.
        """
        if self._writer is None:
            with self._transaction(write=True) as connection:
                yield connection
            return
        if not self._writer.acquire(timeout=BUSY_SECONDS):
            raise DatabaseUnavailable("the inventory is locked by another writer", hint="the operation tries again")
        try:
            with self._transaction(write=True) as connection:
                yield connection
        finally:
            self._writer.release()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A read transaction: one consistent picture. Raises DatabaseUnavailable."""
        with self._transaction(write=False) as connection:
            yield connection

    def _options(self, *, write: bool) -> dict[str, Any]:
        if self.is_sqlite or write:
            return {"write": write}
        return {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}

    @contextmanager
    def _transaction(self, *, write: bool) -> Iterator[Connection]:
        try:
            with (
                self.engine.connect().execution_options(**self._options(write=write)) as connection,
                connection.begin(),
            ):
                yield connection
        except PoolTimeout as error:
            raise DatabaseUnavailable(
                "all connections to the inventory are in use", hint="the operation tries again"
            ) from error
        except DBAPIError as error:
            if _is_ours(error):
                raise
            raise unavailable(error) from error

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


def _use_wal(connection: sqlite3.Connection) -> None:
    """Switch to WAL once per file. SQLite does not wait by itself when two processes switch at the same moment."""
    deadline = time.monotonic() + BUSY_SECONDS
    while connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def _is_ours(error: DBAPIError) -> bool:
    """Whether the statement was at fault (a constraint, a bad value), not the database or the way to it."""
    if error.connection_invalidated or isinstance(error, OperationalError | InterfaceError):
        return False
    return type(error) is not DatabaseError and _sqlstate(error) not in _NO_SERVICE


def _sqlstate(error: DBAPIError) -> str:
    return getattr(error.orig, "sqlstate", None) or ""


def _sqlite_code(error: DBAPIError) -> int:
    return getattr(error.orig, "sqlite_errorcode", 0) & 0xFF


def unavailable(error: DBAPIError) -> DatabaseUnavailable:
    """The error of a database that does not answer, without statements and their values."""
    reason = str(error.orig).strip().splitlines()[0][:200] if error.orig else type(error).__name__
    hint = "the operation goes on when it is back"
    code = _sqlite_code(error)
    if code in _NO_ACCESS:
        hint = "its file and the directory of it must exist and be readable and writable for this user"
    elif code in _UNUSABLE:
        hint = "restore the file from a backup"
    elif code == sqlite3.SQLITE_FULL:
        hint = "free some space on its disk"
    elif _sqlstate(error) in _NO_SCHEMA or reason.startswith(("no such table", "no such column")):
        hint = "this is not the database that was migrated: restore it, or start a worker, which makes a new one"
    return DatabaseUnavailable(f"the inventory does not answer: {reason}", hint=hint)


def _alembic(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def current_revision(database: Database) -> str | None:
    """The schema's revision, None in an empty database. Raises DatabaseUnavailable."""
    with database.read() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def migrate(database: Database) -> None:
    """Bring the schema to this version's; idempotent, safe when several workers start at once.

    Raises:
        SchemaError: the schema is newer than this version knows, is somebody else's, or the file is no database.
        DatabaseUnavailable: the database does not answer.
    """
    try:
        with database.write() as connection:
            _migrate(connection)
    except DatabaseUnavailable as error:
        if isinstance(error.__cause__, DBAPIError) and _sqlite_code(error.__cause__) in _UNUSABLE:
            raise SchemaError(
                f"{database.url.database} is not a usable SQLite database: {error.__cause__.orig}",
                hint="move it away to start with an empty inventory, or restore a backup",
            ) from error
        raise


def _migrate(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{MIGRATION_SECONDS}s'")
    Turn.MIGRATION.take(connection)
    known = {script.revision for script in ScriptDirectory(str(MIGRATIONS)).walk_revisions()}
    revision = MigrationContext.configure(connection).get_current_revision()
    if revision is not None and revision not in known:
        raise SchemaError(
            f"the database schema is at revision {revision!r}, which this version does not know",
            hint="run the newer version of Shareflow that made it, or restore a backup",
        )
    foreign = set(inspect(connection).get_table_names()) & set(SQLModel.metadata.tables) if revision is None else set()
    if foreign:
        raise SchemaError(
            f"the database has tables that Shareflow did not make: {', '.join(sorted(foreign))}",
            hint="give Shareflow a database of its own",
        )
    command.upgrade(_alembic(connection), "head")
    if connection.execute(select(deployment.c.id)).first() is None:
        connection.execute(deployment.insert().values(id=str(uuid.uuid4()), created_at=now()))


def deployment_id(connection: Connection) -> str:
    """The id of this deployment."""
    return str(connection.execute(_DEPLOYMENT).scalar_one())
