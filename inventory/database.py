"""One door to the database: engines, write and read transactions, and the schema's version.

SQLite runs in WAL mode with ``synchronous=FULL`` and takes its write lock at the start of a write transaction; inside
one process a lock of our own queues the writers, because SQLite's own waiting polls. PostgreSQL runs at READ COMMITTED;
every conditional statement is evaluated again under its row lock.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

from inventory.tables import deployment
from shareflow.errors import DatabaseUnavailable, SchemaError

MIGRATIONS = Path(__file__).parent / "migrations"
BUSY_SECONDS = 5


def now() -> datetime:
    """The current time, aware, in UTC."""
    return datetime.now(UTC)


class Database:
    """The inventory's database.

    Args:
        url: ``sqlite:///path`` or ``postgresql+psycopg://user@host/name``. A password belongs into the driver's own
            places (``~/.pgpass``, ``PGPASSWORD``), not into the URL.
    """

    def __init__(self, url: str, *, connections: int = 16) -> None:
        self.url = make_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self._writer = threading.Lock() if self.is_sqlite else None
        self.engine = self._sqlite_engine() if self.is_sqlite else self._postgres_engine(connections)

    def _sqlite_engine(self) -> Engine:
        engine = create_engine(self.url, connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False})

        @event.listens_for(engine, "connect")
        def prepare(connection: Any, _record: object) -> None:
            connection.isolation_level = None
            for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "cache_size=-8000"):
                connection.execute(f"PRAGMA {pragma}")

        @event.listens_for(engine, "begin")
        def begin(connection: Connection) -> None:
            write = connection.get_execution_options().get("write", False)
            connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

        return engine

    def _postgres_engine(self, connections: int) -> Engine:
        return create_engine(
            self.url,
            pool_size=connections,
            max_overflow=0,
            pool_timeout=BUSY_SECONDS,
            pool_pre_ping=True,
            isolation_level="READ COMMITTED",
            connect_args={"connect_timeout": BUSY_SECONDS, "options": f"-c lock_timeout={BUSY_SECONDS * 1000}"},
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

    @contextmanager
    def _transaction(self, *, write: bool) -> Iterator[Connection]:
        try:
            with self.engine.connect().execution_options(write=write) as connection, connection.begin():
                yield connection
        except (OperationalError, InterfaceError) as error:
            raise unavailable(error) from error
        except DBAPIError as error:
            if error.connection_invalidated:
                raise unavailable(error) from error
            raise

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


def unavailable(error: DBAPIError) -> DatabaseUnavailable:
    """The error of a database that does not answer, without connection details."""
    reason = str(error.orig).strip().splitlines()[0][:200] if error.orig else type(error).__name__
    return DatabaseUnavailable(f"the inventory does not answer: {reason}", hint="the operation goes on when it is back")


def _alembic(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    return config


def current_revision(database: Database) -> str | None:
    """The schema's revision, None in an empty database. Raises DatabaseUnavailable."""
    with database.read() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def migrate(database: Database) -> None:
    """Bring the schema to this version's; idempotent, safe when several workers start at once.

    Raises:
        SchemaError: the schema is newer than this version knows.
        DatabaseUnavailable: the database does not answer.
    """
    known = {script.revision for script in ScriptDirectory(str(MIGRATIONS)).walk_revisions()}
    with database.write() as connection:
        if not database.is_sqlite:
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7265091)")
        revision = MigrationContext.configure(connection).get_current_revision()
        if revision is not None and revision not in known:
            raise SchemaError(
                f"the database schema is at revision {revision!r}, which this version does not know",
                hint="run the newer version of Shareflow that made it, or restore a backup",
            )
        command.upgrade(_alembic(connection), "head")
        if connection.execute(select(deployment.c.id)).first() is None:
            connection.execute(deployment.insert().values(id=str(uuid.uuid4()), created_at=now()))


def deployment_id(connection: Connection) -> str:
    """The id of this deployment."""
    return str(connection.execute(select(deployment.c.id)).scalar_one())
