"""A client of the fake array's shares: what comes in here meets quotas and access modes, as it would on a real one.

The directories behind ``data_path`` are plain ones, and the kernel does not stop who writes there (least of all root).
Only mode ``none`` shows there: the path is gone. Tests of enforcement therefore go through this client.
"""

from __future__ import annotations

import errno
import os
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from drivers.contract import AccessMode, Driver, ObjectRef
from drivers.fake.array import _NO_SETTINGS, FakeArray
from drivers.fake.driver import FakeDriver
from drivers.fake.records import StoredObject
from drivers.fake.session import Session

T = TypeVar("T")


class FakeClient:
    """Reads and writes files of shares and snapshots; every call is atomic with respect to the array's own work.

    Raises OSError: ENOENT for an object that is not there, not complete or closed; EROFS for a write to a snapshot or
    a read-only share; EDQUOT for a write beyond the size.
    """

    def __init__(self, behind: Driver | FakeArray) -> None:
        if isinstance(behind, FakeArray):
            self._array = behind
        elif isinstance(behind, FakeDriver):
            self._array = behind.array
        else:
            raise TypeError(f"{type(behind).__name__} has no fake array behind it")

    def write(self, ref: ObjectRef, path: str, data: bytes) -> None:
        """Replace a file by one with these bytes, all or nothing."""

        def work(session: Session, stored: StoredObject) -> None:
            root = self._root(session, stored, write=True)
            target = _inside(root, path)
            old = target.stat().st_size if target.is_file() else 0
            if session.trees.used(_tree(root)) - old + len(data) > stored.size:
                raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT), path)
            target.parent.mkdir(parents=True, exist_ok=True)
            # Beside the content, not in it: a writer that is killed here leaves nothing that a client could see.
            fresh = root.with_name(uuid.uuid4().hex)
            fresh.write_bytes(data)
            fresh.replace(target)

        self._with(ref, work)

    def append(self, ref: ObjectRef, path: str, data: bytes) -> None:
        """Add these bytes to the end of a file, which is made when it is missing; all or nothing."""

        def work(session: Session, stored: StoredObject) -> None:
            root = self._root(session, stored, write=True)
            if session.trees.used(_tree(root)) + len(data) > stored.size:
                raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT), path)
            target = _inside(root, path)
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("ab", buffering=0) as stream:
                stream.write(data)

        self._with(ref, work)

    def read(self, ref: ObjectRef, path: str) -> bytes:
        """The bytes of a file."""
        return self._with(ref, lambda session, stored: _inside(self._root(session, stored), path).read_bytes())

    def remove(self, ref: ObjectRef, path: str) -> None:
        """Remove a file."""
        self._with(ref, lambda session, stored: _inside(self._root(session, stored, write=True), path).unlink())

    def tree(self, ref: ObjectRef) -> dict[str, bytes]:
        """All regular files with their bytes."""

        def work(session: Session, stored: StoredObject) -> dict[str, bytes]:
            if not stored.tree:
                return {}
            root = self._root(session, stored)
            files = [file for file in root.rglob("*") if file.is_file() and not file.is_symlink()]
            return {file.relative_to(root).as_posix(): file.read_bytes() for file in files}

        return self._with(ref, work)

    def _with(self, ref: ObjectRef, work: Callable[[Session, StoredObject], T]) -> T:
        def guarded(session: Session) -> T:
            stored = session.txn.get(StoredObject, ref.pool, ref.name)
            if stored is None or not stored.complete or stored.mode is AccessMode.NONE:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), ref.name)
            return work(session, stored)

        return self._array.run(_NO_SETTINGS, "", guarded)

    def _root(self, session: Session, stored: StoredObject, *, write: bool = False) -> Path:
        if write:
            session.open_to_write(stored)
        return session.trees.path(session.content(stored).tree)


def _tree(root: Path) -> str:
    return root.parent.name


def _inside(root: Path, path: str) -> Path:
    if path.startswith("/") or ".." in path.split("/"):
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), path)
    return root / path
