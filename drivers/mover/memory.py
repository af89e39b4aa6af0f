"""What earlier passes saw of a source, so that the next one looks only at what changed since.

A record says: the target has a good copy of this inode as it was then. It is made from the inode's state before its
content was read, and it holds as long as the source's inode number, change time, size and modification time are the
same. The kernel moves the change time with every write and every change of metadata, and nobody can set it.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import marshal
import os
import sqlite3
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from drivers.mover.builtin import boot_id
from drivers.mover.control import CopyFailed

Record = tuple[int, ...]
"""Inode number, change time in ns, size, modification time in ns; empty for a directory below."""

OWN: Final = ""
"""The name under which a directory's own record stands among those of its names."""

_PREFIX = "memory-"
_FILE = "records.db"
_ABOUT = "target.json"
_GET_GENERATION = 0x80087601
_OLDEST = 14 * 86400.0  # seconds
_TABLES = """
CREATE TABLE IF NOT EXISTS directories (path BLOB PRIMARY KEY, records BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""


def record_of(state: os.stat_result) -> Record:
    """What a name's state is recorded as."""
    return state.st_ino, state.st_ctime_ns, state.st_size, state.st_mtime_ns


def memory_place(jobs_dir: Path, target: Path) -> Path:
    """The directory of a target's memory."""
    return jobs_dir / (_PREFIX + hashlib.blake2b(os.fsencode(target), digest_size=16).hexdigest())


def forget_memory(place: Path) -> None:
    """Remove a memory; the next pass compares all content. A missing one is fine."""
    with suppress(OSError):
        for file in place.iterdir():
            file.unlink(missing_ok=True)
        place.rmdir()


def sweep(jobs_dir: Path) -> None:
    """Remove the memories of targets that are gone, or that no pass has gone to for two weeks."""
    for place in jobs_dir.glob(f"{_PREFIX}*"):
        with suppress(OSError, ValueError, KeyError, TypeError):
            old = time.time() - (place / _FILE).stat().st_mtime > _OLDEST
            about = json.loads((place / _ABOUT).read_text(encoding="ascii"))
            target = Path(os.fsdecode(bytes.fromhex(about["target"])))
            if old or not target.is_dir():
                forget_memory(place)


def _identity(fd: int) -> str:
    """Stays the same for a directory while it exists, also over a reboot; where it does not, records are lost."""
    return f"{os.fstatvfs(fd).f_fsid}:{os.fstat(fd).st_ino}:{_generation(fd)}"


def _generation(fd: int) -> int:
    """Differs between inodes that had the same number one after the other; 0 where the file system does not tell."""
    buffer = bytearray(8)
    with suppress(OSError):
        fcntl.ioctl(fd, _GET_GENERATION, buffer)
    return int.from_bytes(buffer, sys.byteorder)


class Memory:
    """The records of one target, for one process at a time. A memory that cannot be used is empty, never an error.

    Attributes:
        interrupted: the last pass did not come to its end, so the target may have names that no record knows.
        names, bytes: what the last whole pass found in the source; 0 when there was none.

    Raises:
        CopyFailed: another copy into the same target runs.
    """

    def __init__(self, place: Path, target: Path, fd: int) -> None:
        self._place = place
        self._about = json.dumps({"target": os.fsencode(target).hex()})
        self._identity = _identity(fd)
        self.interrupted = True
        self.names = self.bytes = 0
        self._database: sqlite3.Connection | None = None
        try:
            self._open()
        except (OSError, sqlite3.DatabaseError) as error:
            if "locked" in str(error):
                raise CopyFailed("another copy into the same target runs") from error
            self._start_anew()

    def _start_anew(self) -> None:
        self._close()
        forget_memory(self._place)
        try:
            self._open()
        except (OSError, sqlite3.DatabaseError):
            self._lose()

    def _open(self) -> None:
        self._place.mkdir(mode=0o700, exist_ok=True)
        (self._place / _ABOUT).write_text(self._about, encoding="ascii")
        database = sqlite3.connect(self._place / _FILE, timeout=0, isolation_level=None, check_same_thread=False)
        self._database = database
        database.execute("PRAGMA locking_mode = EXCLUSIVE")
        database.execute("PRAGMA journal_mode = WAL")
        database.executescript(_TABLES)
        facts = dict(database.execute("SELECT name, value FROM facts").fetchall())
        # After a power loss in the middle of a pass neither tree need be what the records say.
        usable = facts.get("identity") == self._identity and facts.get("running", "") in ("", boot_id())
        if usable:
            self.interrupted = facts.get("running", "") != ""
            self.names, self.bytes = int(facts.get("names", "0")), int(facts.get("bytes", "0"))
        database.execute("BEGIN")
        if not usable:
            database.execute("DELETE FROM directories")
            database.execute("DELETE FROM facts")
        self._note(identity=self._identity, running=boot_id())
        self._commit(durable=True)

    def _note(self, **facts: object) -> None:
        assert self._database is not None  # noqa: S101  (called with an open one)
        rows = [(name, str(value)) for name, value in facts.items()]
        self._database.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?)", rows)

    def _commit(self, *, durable: bool = False) -> None:
        assert self._database is not None  # noqa: S101  (called with an open one)
        if durable:  # takes effect with the commit that ends this transaction
            self._database.execute("COMMIT")
            self._database.execute("PRAGMA synchronous = FULL")
            self._database.execute("BEGIN IMMEDIATE")
            self._note(at=time.time_ns())
            self._database.execute("COMMIT")
            self._database.execute("PRAGMA synchronous = NORMAL")
        else:
            self._database.execute("COMMIT")
        self._database.execute("BEGIN")

    def _close(self) -> None:
        if self._database is not None:
            with suppress(sqlite3.Error):
                self._database.close()
            self._database = None

    def _lose(self) -> None:
        self._close()
        forget_memory(self._place)

    @property
    def is_empty(self) -> bool:
        """Whether there is no record at all."""
        return not self.read("")

    def read(self, path: str) -> dict[str, Record]:
        """The records of a directory, by name; none when nothing is known of it."""
        if self._database is None:
            return {}
        try:
            row = self._database.execute(
                "SELECT records FROM directories WHERE path = ?", (os.fsencode(path),)
            ).fetchone()
            found: dict[str, Record] = marshal.loads(row[0]) if row else {}  # noqa: S302 - this user's own file
        except (sqlite3.Error, ValueError, EOFError, TypeError):
            self._lose()
            return {}
        return found

    def write(self, path: str, records: dict[str, Record]) -> None:
        """Replace the records of a directory."""
        if self._database is None:
            return
        try:
            self._database.execute(
                "INSERT OR REPLACE INTO directories VALUES (?, ?)", (os.fsencode(path), marshal.dumps(records))
            )
        except sqlite3.Error:
            self._lose()

    def drop(self, path: str) -> None:
        """Remove the records of a directory that is gone, with all below it."""
        if self._database is None:
            return
        key = os.fsencode(path)
        try:
            self._database.execute(
                "DELETE FROM directories WHERE path = ? OR (path > ? AND path < ?)", (key, key + b"/", key + b"0")
            )
        except sqlite3.Error:
            self._lose()

    def keep(self) -> None:
        """What was written is there also after a kill."""
        if self._database is None:
            return
        try:
            self._commit()
        except sqlite3.Error:
            self._lose()

    def finish(self, names: int, size: int) -> None:
        """The pass came to its end and the target is on disk: the records hold also after a power loss."""
        self.interrupted = False
        if self._database is None:
            return
        try:
            self._note(running="", names=names, bytes=size)
            self._commit(durable=True)
        except sqlite3.Error:
            self._lose()

    def clear(self) -> None:
        """Forget everything: the target is not what the records say."""
        self.interrupted = True
        self._start_anew()

    def close(self) -> None:
        """Keep what was written, and let go."""
        self.keep()
        self._close()
