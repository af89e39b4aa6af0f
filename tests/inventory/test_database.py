"""The door to the database when the database is locked, away, broken, or answers too late."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Connection, func, select, update
from sqlalchemy.exc import IntegrityError

import inventory.database
from inventory import claims, tables
from inventory.claims import Want
from inventory.database import Database, migrate
from shareflow.errors import DatabaseUnavailable, SchemaError
from shareflow.faults import SimulatedCrash
from tests.inventory.rows import make_share, row_of
from tests.support.postgres import PostgresServer

Open = Callable[[str], Database]
needs_postgres = pytest.mark.needs("postgresql")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Databases that are opened now wait one second instead of five."""
    monkeypatch.setattr(inventory.database, "BUSY_SECONDS", 1)


def count_shares(database: Database) -> int:
    """One read."""
    with database.read() as connection:
        return int(connection.execute(select(func.count()).select_from(tables.shares)).scalar_one())


def add(database: Database, name: str) -> str:
    """One write."""
    with database.write() as connection:
        return make_share(connection, name)


def fails(action: Callable[[], object]) -> DatabaseUnavailable:
    """The action finds no database; how it says so."""
    with pytest.raises(DatabaseUnavailable) as caught:
        action()
    return caught.value


HOLD = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.read()
"""


@contextmanager
def locked_by_another_process(path: str) -> Iterator[None]:
    """Another program holds SQLite's write lock."""
    command = [sys.executable, "-c", HOLD, path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        try:
            yield
        finally:
            process.kill()


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("kind", ["sqlite"])
def test_file_locked_by_another_process_is_unavailable_until_it_is_free(url: str, opened: Open) -> None:
    """The write says so after its patience, reads go on, and the same object writes when the lock is gone."""
    database = opened(url)
    assert database.url.database is not None
    with locked_by_another_process(database.url.database):
        assert "locked" in fails(partial(add, database, "a")).message
        assert count_shares(database) == 0
    add(database, "a")
    assert count_shares(database) == 1


@pytest.mark.usefixtures("impatient")
def test_row_locked_by_somebody_who_hangs_is_unavailable_until_it_is_free(url: str, opened: Open) -> None:
    """A step never waits for ever: it says so after its patience, and is tried again."""
    database, other = opened(url), opened(url)
    share = add(database, "home")

    def ask() -> None:
        with database.write() as connection:
            claims.request(connection, "second", [Want("share", share)])

    with other.write() as connection:
        claims.request(connection, "first", [Want("share", share)])
        started = time.monotonic()
        fails(ask)
        assert 0.5 < time.monotonic() - started < 4
    ask()


@pytest.mark.usefixtures("impatient")
def test_writers_of_one_process_do_not_wait_for_ever_either(database: Database, url: str, opened: Open) -> None:
    """A thread that keeps the write transaction open makes the others say so, and the next one succeeds."""
    database = opened(url)
    share = add(database, "home")
    inside, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with database.write() as connection:
            connection.execute(update(tables.shares).values(size=7))
            inside.set()
            leave.wait(20)

    def change() -> None:
        with database.write() as connection:
            connection.execute(update(tables.shares).where(tables.shares.c.id == share).values(size=8))

    thread = threading.Thread(target=hold)
    thread.start()
    inside.wait(10)
    fails(change)
    leave.set()
    thread.join()
    change()
    with database.read() as connection:
        assert row_of(connection, "share", share)["size"] == 8


@pytest.mark.usefixtures("impatient")
def test_used_up_connections_are_said_so(url: str) -> None:
    """A worker with too many threads waits, then says what it waited for."""
    database = Database(url, connections=1)
    with database.read():
        assert "all connections" in fails(partial(count_shares, database)).message
    assert count_shares(database) == 0
    database.close()


@needs_postgres
@pytest.mark.parametrize("kind", ["postgresql"])
@pytest.mark.parametrize("how", ["stop", "crash"])
def test_server_that_was_away_is_used_again_without_a_new_start(
    database: Database, postgres: PostgresServer, how: str
) -> None:
    """Idle and busy connections are lost; every call says so at once, and the same object works when it is back."""
    add(database, "before")

    def interrupted() -> None:
        with database.write() as connection:
            make_share(connection, "interrupted")
            (postgres.stop if how == "stop" else postgres.crash)()
            make_share(connection, "too late")

    try:
        fails(interrupted)
        started = time.monotonic()
        fails(partial(count_shares, database))
        fails(partial(add, database, "while away"))
        assert time.monotonic() - started < 2
    finally:
        postgres.start()
    add(database, "after")
    with database.read() as connection:
        names = connection.execute(select(tables.shares.c.name)).scalars().all()
    assert sorted(names) == ["after", "before"]


@needs_postgres
@pytest.mark.parametrize("kind", ["postgresql"])
def test_session_that_the_server_ended_is_replaced(database: Database, url: str, opened: Open) -> None:
    """An administrator ends a session in the middle: that transaction is repeated, others do not notice."""

    def interrupted() -> None:
        with database.write() as connection:
            session = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
            with opened(url).write() as administrator:
                administrator.exec_driver_sql(f"SELECT pg_terminate_backend({session})")
            make_share(connection, "a")

    fails(interrupted)
    add(database, "a")


@needs_postgres
@pytest.mark.parametrize("kind", ["postgresql"])
def test_transaction_of_a_silent_client_is_ended_by_the_server(
    url: str, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that froze or whose machine vanished keeps its locks for a while, not for ever."""
    share = add(opened(url), "home")
    monkeypatch.setattr(inventory.database, "ABANDONED_SECONDS", 1)

    def frozen() -> None:
        with opened(url).write() as connection:
            claims.request(connection, "frozen", [Want("share", share)])
            with opened(url).write() as other:
                assert claims.request(other, "other", [Want("share", share)]).granted
            claims.check(connection, "frozen", [])

    fails(frozen)


@needs_postgres
@pytest.mark.parametrize("kind", ["postgresql"])
def test_transactions_that_the_server_gave_up_are_tried_again(database: Database) -> None:
    """Should two ever wait in a circle, one of them is told to come again."""
    first, second = add(database, "a"), add(database, "b")
    both = threading.Barrier(2)
    failed: list[DatabaseUnavailable] = []

    def lock_both(one: str, other: str) -> None:
        try:
            with database.write() as connection:
                connection.execute(update(tables.shares).where(tables.shares.c.id == one).values(size=7))
                both.wait(10)
                connection.execute(update(tables.shares).where(tables.shares.c.id == other).values(size=7))
        except DatabaseUnavailable as error:
            failed.append(error)

    threads = [threading.Thread(target=lock_both, args=pair) for pair in ((first, second), (second, first))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert ["deadlock" in error.message for error in failed] == [True]


@needs_postgres
@pytest.mark.parametrize("kind", ["postgresql"])
def test_server_that_became_a_standby_is_unavailable(url: str, opened: Open) -> None:
    """After a failover the old server refuses writes; that is waited out, not taken for a refusal."""

    def write_there() -> None:
        with opened(url).write() as connection:
            connection.exec_driver_sql("SET TRANSACTION READ ONLY")
            make_share(connection, "a")

    assert "read-only" in fails(write_there).message


@pytest.mark.parametrize("where", ["127.0.0.1:1", "does-not-exist.invalid"])
def test_server_that_does_not_answer_is_unavailable_and_no_secret_is_told(where: str) -> None:
    """The message says that nobody answers, and nothing of the password."""
    database = Database(f"postgresql+psycopg://me:open-sesame@{where}/shares")
    error = fails(partial(count_shares, database))
    assert "does not answer" in error.message
    assert error.hint
    assert "sesame" not in f"{error} {error.__cause__}"
    database.close()


def test_lost_tables_are_waited_for(database: Database) -> None:
    """An empty database in the place of ours is a mishap that a person mends; running operations wait for that."""

    def ask() -> None:
        with database.write() as connection:
            connection.exec_driver_sql("ALTER TABLE shares RENAME TO lost")
            try:
                connection.execute(select(tables.shares.c.id))
            finally:
                if database.is_sqlite:
                    connection.exec_driver_sql("ALTER TABLE lost RENAME TO shares")

    error = fails(ask)
    assert "not the database that was migrated" in error.hint
    assert count_shares(database) == 0


def test_broken_rule_is_no_absence(database: Database) -> None:
    """What the database refuses is told as it is; repeating it would never help."""

    def break_it() -> None:
        with database.write() as connection:
            make_share(connection, "home", size=-1)

    with pytest.raises(IntegrityError):
        break_it()
    assert count_shares(database) == 0


def test_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path, opened: Open) -> None:
    """The path belongs to something else; the message names it and the next step."""
    path = tmp_path / "notes.txt"
    path.write_text("my notes, which are longer than the header of a database would be: " * 20)
    before = path.read_bytes()
    with pytest.raises(SchemaError, match=r"notes\.txt is not a usable SQLite database.*move it away"):
        migrate(opened(f"sqlite:///{path}"))
    assert path.read_bytes() == before


@pytest.mark.parametrize("kind", ["sqlite"])
def test_damaged_file_is_told_with_the_next_step(url: str, opened: Open) -> None:
    """At the start it is refused; in the middle the operations wait for a backup."""
    database = opened(url)
    add(database, "home")
    database.close()
    assert database.url.database is not None
    path = Path(database.url.database)
    content = bytearray(path.read_bytes())
    content[4096 : len(content)] = b"\xa5" * (len(content) - 4096)
    path.write_bytes(bytes(content))
    error = fails(partial(count_shares, opened(url)))
    assert "backup" in error.hint
    with pytest.raises(SchemaError, match="backup"):
        migrate(opened(url))


OPEN_AS_NOBODY = """
import os, sys
sys.path[:0] = sys.argv[3:]
import inventory.database as door
from shareflow.errors import ShareflowError
database = door.Database(sys.argv[1])
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
try:
    if sys.argv[2] == "migrate":
        door.migrate(database)
    else:
        with database.read() as connection:
            door.deployment_id(connection)
except ShareflowError as error:
    print(error)
"""


def as_nobody(path: Path, action: str) -> str:
    """What a user without any right says of this database."""
    command = [sys.executable, "-c", OPEN_AS_NOBODY, f"sqlite:///{path}", action, *sys.path]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    return done.stdout


@pytest.fixture
def open_directory(migrated_file: Path) -> Iterator[Path]:
    """A directory that everybody can look into, with a database in it."""
    directory = Path(tempfile.mkdtemp(prefix="shareflow-inventory-"))
    shutil.copy(migrated_file, directory / "inventory.db")
    directory.chmod(0o755)
    (directory / "inventory.db").chmod(0o644)
    yield directory
    directory.chmod(0o755)
    shutil.rmtree(directory)


@pytest.mark.parametrize("action", ["migrate", "read"])
@pytest.mark.parametrize("case", ["unreadable file", "read-only file", "read-only directory", "directory", "missing"])
def test_path_that_cannot_be_used_is_told_with_the_next_step(open_directory: Path, case: str, action: str) -> None:
    """No right to the file or its directory, or neither there: one line that says what is needed."""
    path = open_directory / "inventory.db"
    match case:
        case "unreadable file":
            path.chmod(0)
        case "read-only file":
            path.chmod(0o444)
        case "read-only directory":
            path.unlink()
            open_directory.chmod(0o555)
        case "directory":
            path.unlink()
            path.mkdir()
        case "missing":
            path = open_directory / "nowhere" / "inventory.db"
    said = as_nobody(path, action)
    assert said.startswith("SF302 the inventory does not answer: ")
    assert "must exist and be readable and writable" in said


@pytest.mark.parametrize("kind", ["sqlite"])
def test_full_disk_is_unavailable_until_there_is_room(database: Database) -> None:
    """Nothing is lost: the transaction is rolled back and can be repeated."""
    add(database, "before")

    def fill() -> None:
        with database.write() as connection:
            connection.exec_driver_sql("PRAGMA max_page_count = 10")
            for number in range(2000):
                make_share(connection, f"s{number}")

    assert "free some space" in fails(fill).hint
    with database.read() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 1000000")
    add(database, "after")
    assert count_shares(database) == 2


def test_read_sees_one_picture_while_others_write(database: Database) -> None:
    """Sums and their rows agree within one answer, whatever is committed in between."""
    with database.read() as connection:
        first = connection.execute(select(func.count()).select_from(tables.shares)).scalar_one()
        add(database, "meanwhile")
        assert connection.execute(select(func.count()).select_from(tables.shares)).scalar_one() == first == 0
    assert count_shares(database) == 1


def test_read_cannot_write(database: Database) -> None:
    """A question never changes anything, and the next write on the same connection can."""

    def sneak() -> None:
        with database.read() as connection:
            make_share(connection, "a")

    for number in range(3):
        fails(sneak)
        add(database, f"s{number}")
    assert count_shares(database) == 3


@pytest.mark.parametrize("error", [RuntimeError, SimulatedCrash, KeyboardInterrupt])
def test_block_that_raises_leaves_nothing(database: Database, error: type[BaseException]) -> None:
    """All or nothing, however the block ends, and the next transaction can begin."""

    def half() -> None:
        with database.write() as connection:
            make_share(connection, "half")
            raise error

    with pytest.raises(error):
        half()
    assert count_shares(database) == 0
    add(database, "whole")


def test_sqlite_keeps_what_it_has_confirmed(tmp_path: Path, opened: Open) -> None:
    """Write-ahead log with a full sync at every commit, on every connection of the pool."""
    database = opened(f"sqlite:///{tmp_path / 'inventory.db'}")

    def settings(connection: Connection) -> list[object]:
        return [connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in ("journal_mode", "synchronous")]

    with database.read() as one, database.read() as other:
        assert settings(one) == settings(other) == ["wal", 2]
    assert sqlite3.sqlite_version_info >= (3, 37)
    assert os.access(tmp_path / "inventory.db", os.R_OK)
