"""The server's database file: held by one server at a time, and never half made."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import sqlite3
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from shareflow.errors import StateDirectoryError

_LOCK_LIMIT = 5.0


class StateFile:
    """A lock beside the database file, in ``<name>.lock``.

    The lock belongs to the open file, so a child that inherits :attr:`handle` holds it too: leaving the ``with`` block
    after the child was started gives the lock to the child alone.
    """

    def __init__(self, database: Path) -> None:
        self.database = database
        self.handle = -1

    def __enter__(self) -> Self:
        lock = self.database.with_name(self.database.name + ".lock")
        try:
            self.database.parent.mkdir(parents=True, exist_ok=True)
            self.handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            if self.database.exists() and not os.access(self.database, os.W_OK):
                raise PermissionError(None, "Permission denied", str(self.database))
        except OSError as error:
            self.__exit__(None, None, None)
            raise StateDirectoryError(
                f"the state in {self.database.parent} cannot be written: {error.strerror}",
                hint="choose a directory on a disk that can be written with --state-dir",
            ) from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.handle >= 0:
            os.close(self.handle)
            self.handle = -1

    async def acquire(self) -> None:
        """Take the lock and set a half-made file aside.

        Waits up to 5 s, which is long enough for a server that is being stopped or was just killed.

        Raises:
            StateDirectoryError: another server holds the file, or it is not a database.
        """
        give_up = time.monotonic() + _LOCK_LIMIT
        while not self._try_lock():
            if time.monotonic() >= give_up:
                raise StateDirectoryError(
                    f"{self.database} is in use by another Temporal server",
                    hint="stop that one, or choose another directory with --state-dir",
                )
            await asyncio.sleep(0.05)
        set_unfinished_aside(self.database)

    def _try_lock(self) -> bool:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(self.handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        return False


def set_unfinished_aside(database: Path) -> Path | None:
    """Rename a file in which no server has ever served, and say how it is called now; None when all is well.

    Crash window: the server makes its tables in many steps before it serves, and refuses a file that has only some of
    them. It writes its namespaces last, so a file without any holds no operation and is safe to make anew.

    Raises:
        StateDirectoryError: the file is not an SQLite database.
    """
    if not database.exists() or _has_namespaces(database):
        return None
    aside = database.with_name(f"{database.name}.unfinished-{time.time_ns()}")
    for suffix in ("-wal", "-shm", ""):  # the main file last: until then the next start sees the same case
        part = database.with_name(database.name + suffix)
        with contextlib.suppress(FileNotFoundError):
            part.rename(aside.with_name(aside.name + suffix))
    return aside


def _has_namespaces(database: Path) -> bool:
    try:
        with contextlib.closing(sqlite3.connect(database, timeout=5.0)) as connection:
            tables = connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'namespaces'").fetchone()[0]
            return bool(tables) and bool(connection.execute("SELECT count(*) FROM namespaces").fetchone()[0])
    except sqlite3.DatabaseError as error:
        raise StateDirectoryError(
            f"{database} is not a database that a Temporal server can use: {error}",
            hint="move it away, or choose another directory with --state-dir",
        ) from None
