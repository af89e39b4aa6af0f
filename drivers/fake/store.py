"""Where the fake array keeps its records: in this process, or in one SQLite file for many processes.

Both give transactions over small tables. A table holds records of one class under two keys (pool and name, mostly).
Logs are bounded lists. Records are frozen, so what a transaction hands out never changes.
"""

from __future__ import annotations

import contextlib
import fcntl
import sqlite3
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, TypeVar, cast

from drivers.fake.records import dump, load

Record = TypeVar("Record")
LOG_LIMIT = 20_000
"""Entries that a log keeps; older ones are dropped."""
_LOCK_WAIT_SECONDS = 60


class Transaction(ABC):
    """Reads and writes of one transaction; all or nothing on disk, under one lock in memory."""

    @abstractmethod
    def get(self, kind: type[Record], first: str, second: str = "") -> Record | None:
        """The record under two keys."""

    @abstractmethod
    def put(self, record: object, first: str, second: str = "") -> None:
        """Set the record under two keys."""

    @abstractmethod
    def drop(self, kind: type[object], first: str, second: str = "") -> None:
        """Remove the record under two keys, if any."""

    @abstractmethod
    def items(self, kind: type[Record], first: str | None = None) -> list[Record]:
        """All records of a class, or those under one first key, in order of their making."""

    @abstractmethod
    def add(self, counter: str, amount: int) -> int:
        """Add to a named counter; gives its new value. Adding 0 reads it."""

    @abstractmethod
    def log(self, record: object) -> None:
        """Append to the log of the record's class."""

    @abstractmethod
    def logged(self, kind: type[Record]) -> list[Record]:
        """What is in the log of a class, the oldest first."""


class Store(ABC):
    """A place that gives transactions. ``undoes`` tells whether what is raised inside takes back the writes."""

    undoes: ClassVar[bool]

    @abstractmethod
    def transaction(self) -> contextlib.AbstractContextManager[Transaction]:
        """A transaction; what is raised inside undoes it on disk. Not reentrant."""

    @abstractmethod
    def close(self) -> None:
        """Let go of files and connections; the next transaction opens them again."""


class MemoryStore(Store, Transaction):
    """Dictionaries under one lock. Nothing is undone: callers check everything before their first write."""

    undoes = False

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._tables: dict[type, dict[str, dict[str, Any]]] = {}
        self._counters: dict[str, int] = {}
        self._logs: dict[type, deque[Any]] = {}

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Hold the lock."""
        with self._lock:
            yield self

    def close(self) -> None:
        """Memory stays as long as the array."""

    def get(self, kind: type[Record], first: str, second: str = "") -> Record | None:
        """Look up."""
        return cast("Record | None", self._tables.get(kind, {}).get(first, {}).get(second))

    def put(self, record: object, first: str, second: str = "") -> None:
        """Set."""
        self._tables.setdefault(type(record), {}).setdefault(first, {})[second] = record

    def drop(self, kind: type[object], first: str, second: str = "") -> None:
        """Remove."""
        self._tables.get(kind, {}).get(first, {}).pop(second, None)

    def items(self, kind: type[Record], first: str | None = None) -> list[Record]:
        """List."""
        table = self._tables.get(kind, {})
        if first is not None:
            return list(table.get(first, {}).values())
        return [record for row in table.values() for record in row.values()]

    def add(self, counter: str, amount: int) -> int:
        """Count."""
        value = self._counters[counter] = self._counters.get(counter, 0) + amount
        return value

    def log(self, record: object) -> None:
        """Append."""
        kind = type(record)
        if kind not in self._logs:
            self._logs[kind] = deque(maxlen=LOG_LIMIT)
        self._logs[kind].append(record)

    def logged(self, kind: type[Record]) -> list[Record]:
        """List a log."""
        return list(self._logs.get(kind, ()))


class DiskStore(Store):
    """One SQLite file; every transaction is a BEGIN IMMEDIATE, so processes take turns.

    It survives ``kill -9`` of its processes. It is not made to survive a power cut: this is a test double.
    """

    undoes = True

    _SCHEMA = """
        CREATE TABLE IF NOT EXISTS records (
            kind TEXT NOT NULL, first TEXT NOT NULL, second TEXT NOT NULL, data TEXT NOT NULL,
            UNIQUE (kind, first, second));
        CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
        CREATE TABLE IF NOT EXISTS logs (id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, data TEXT NOT NULL);
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None

    def _connect(self) -> sqlite3.Connection:
        if self._connection is None:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(
                self._file, timeout=_LOCK_WAIT_SECONDS, isolation_level=None, check_same_thread=False
            )
            # SQLite does not wait when two processes switch a new file to WAL at once, so they take turns here.
            with self._file.with_suffix(".lock").open("w") as turn:
                fcntl.flock(turn, fcntl.LOCK_EX)
                connection.execute("PRAGMA journal_mode=WAL")
                connection.execute("PRAGMA synchronous=OFF")
                connection.executescript(self._SCHEMA)
            self._connection = connection
        return self._connection

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """BEGIN IMMEDIATE; COMMIT, or ROLLBACK when something is raised inside."""
        with self._lock:
            connection = self._connect()
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield _DiskTransaction(connection)
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None


class _DiskTransaction(Transaction):
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._sql = connection.execute

    def get(self, kind: type[Record], first: str, second: str = "") -> Record | None:
        row = self._sql(
            "SELECT data FROM records WHERE kind=? AND first=? AND second=?", (kind.__name__, first, second)
        ).fetchone()
        return None if row is None else load(kind, row[0])

    def put(self, record: object, first: str, second: str = "") -> None:
        self._sql(
            "INSERT INTO records VALUES (?,?,?,?) ON CONFLICT (kind, first, second) DO UPDATE SET data=excluded.data",
            (type(record).__name__, first, second, dump(record)),
        )

    def drop(self, kind: type[object], first: str, second: str = "") -> None:
        self._sql("DELETE FROM records WHERE kind=? AND first=? AND second=?", (kind.__name__, first, second))

    def items(self, kind: type[Record], first: str | None = None) -> list[Record]:
        rows = self._sql(
            "SELECT data FROM records WHERE kind=? AND (?2 IS NULL OR first=?2) ORDER BY rowid", (kind.__name__, first)
        )
        return [load(kind, row[0]) for row in rows.fetchall()]

    def add(self, counter: str, amount: int) -> int:
        if amount:
            self._sql(
                "INSERT INTO counters VALUES (?,?) ON CONFLICT (name) DO UPDATE SET value = value + excluded.value",
                (counter, amount),
            )
        row = self._sql("SELECT value FROM counters WHERE name=?", (counter,)).fetchone()
        return 0 if row is None else int(row[0])

    def log(self, record: object) -> None:
        cursor = self._sql("INSERT INTO logs (kind, data) VALUES (?,?)", (type(record).__name__, dump(record)))
        if cursor.lastrowid is not None and cursor.lastrowid % 1000 == 0:
            self._sql("DELETE FROM logs WHERE id <= ?", (cursor.lastrowid - 2 * LOG_LIMIT,))

    def logged(self, kind: type[Record]) -> list[Record]:
        rows = self._sql(
            "SELECT data FROM (SELECT id, data FROM logs WHERE kind=? ORDER BY id DESC LIMIT ?) ORDER BY id",
            (kind.__name__, LOG_LIMIT),
        )
        return [load(kind, row[0]) for row in rows.fetchall()]
