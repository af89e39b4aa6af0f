"""How the suite reads and writes what a share holds, as a client of the share would."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Protocol

from drivers.contract import Driver, ObjectRef, SupportsHostAccess


class Client(Protocol):
    """A client of the shares of one driver instance.

    Paths are relative, with ``/``. Every method raises OSError when the storage refuses (``EDQUOT``, ``EROFS``,
    ``ENOENT`` ...); a :class:`~drivers.errors.DriverError` is accepted where the share is out of reach.
    """

    def write(self, ref: ObjectRef, path: str, data: bytes) -> None:
        """Replace the file by one with these bytes, all or nothing, durable when the call returns."""

    def read(self, ref: ObjectRef, path: str) -> bytes:
        """The bytes of a file."""

    def remove(self, ref: ObjectRef, path: str) -> None:
        """Remove a file."""

    def tree(self, ref: ObjectRef) -> dict[str, bytes]:
        """All regular files with their bytes."""


class PathClient:
    """A client that goes through :meth:`~drivers.contract.SupportsHostAccess.data_path`.

    Raises:
        TypeError: the driver has no host access.
    """

    def __init__(self, driver: Driver) -> None:
        if not isinstance(driver, SupportsHostAccess):
            raise TypeError(f"{type(driver).__name__} has no data_path; give the suite a client of its own")
        self._driver = driver

    def write(self, ref: ObjectRef, path: str, data: bytes) -> None:
        """Write a neighbour file, sync it, rename it into place."""
        target = self._driver.data_path(ref) / path
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh = target.with_name(f".{target.name}.part")
        try:
            with fresh.open("wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            fresh.replace(target)
        except OSError:
            with contextlib.suppress(OSError):
                fresh.unlink(missing_ok=True)
            raise

    def read(self, ref: ObjectRef, path: str) -> bytes:
        """Read the whole file."""
        return (self._driver.data_path(ref) / path).read_bytes()

    def remove(self, ref: ObjectRef, path: str) -> None:
        """Unlink the file."""
        (self._driver.data_path(ref) / path).unlink()

    def tree(self, ref: ObjectRef) -> dict[str, bytes]:
        """Walk the directory; symbolic links are not followed."""
        root = self._driver.data_path(ref)
        found: dict[str, bytes] = {}
        for folder, _, names in os.walk(root, onerror=_fail):
            for name in names:
                file = Path(folder) / name
                if file.is_file() and not file.is_symlink():
                    found[file.relative_to(root).as_posix()] = file.read_bytes()
        return found


def _fail(error: OSError) -> None:
    raise error
