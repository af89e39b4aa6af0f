"""One pool: its marker, and the parts that work on it."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from drivers import crash
from drivers.contract import AttributeValue
from drivers.errors import Rejected, Unknown
from drivers.posix import read_small, sync_directory, write_durable
from drivers.recorded.places import Places, make_directory
from drivers.recorded.trash import Trash
from drivers.recorded.volumes import Volumes
from drivers.sidecar import FORMAT, Sidecar

_IGNORED: Final = frozenset({"lost+found"})


class Pool:
    """A directory that holds objects, recognised by the marker file in it.

    A pool whose marker is missing is out of reach, never empty: its file system may be unmounted. A new marker is
    written only when this worker has never seen the pool, the directory has nothing else in it, and the option
    ``initialize`` allows it.

    Args:
        memory: file in which this worker remembers the id of the pool.
    """

    def __init__(
        self,
        name: str,
        root: Path,
        *,
        driver: str,
        volumes: Volumes,
        memory: Path,
        initialize: bool,
        attributes: Mapping[str, AttributeValue],
    ) -> None:
        self.name = name
        self.root = root
        self.volumes = volumes
        self.sidecar = Sidecar(root, barriers=volumes.barriers)
        self.places = Places(root)
        self.trash = Trash(self.places.trash, volumes)
        self.attributes = dict(attributes)
        self._driver = driver
        self._memory = memory
        self._initialize = initialize
        self._id: str | None = None
        self._ready = False

    @property
    def known(self) -> bool:
        """Whether this worker has seen the pool before."""
        return self._id is not None or self._remembered() is not None

    def check(self) -> None:
        """Make sure that the pool is there and is the one that was there before.

        Raises:
            Unknown: the storage does not answer, the marker is missing, or another pool is mounted in its place.
            Rejected: a first use that is not allowed, or a pool of another driver.
        """
        if self.volumes.makes_root and not self.known and not os.path.lexists(self.root):
            self._make_root()
        self.volumes.probe()
        found = self._marker()
        if found is None:
            found = self._first_use()
        expected = self._id or self._remembered()
        if expected is None:
            with self._locked_root():
                self._remember(found)
        elif found != expected:
            raise Unknown(
                f"pool {self.name!r}: {self.root} holds pool {found}, but {expected} was there before",
                hint="mount the right file system; for a pool that was replaced on purpose remove "
                f"{self._memory.name} from the worker's state directory",
            )
        self._id = found
        if not self._ready:
            self._lay_out()
            self.volumes.prepare()
            self._ready = True

    @contextlib.contextmanager
    def changing(self, name: str, *, shared: str | None = None) -> Iterator[None]:
        """Hold the locks of a call that changes an object; what it did is durable when the context is left.

        Raises:
            Busy: see :meth:`Sidecar.lock`.
        """
        with self.sidecar.lock(name, shared=shared), self.volumes.call():
            yield

    # -- the marker

    def _marker(self) -> str | None:
        path = self.sidecar.meta / "pool.json"
        data = read_small(path)
        if data is None:
            return None
        try:
            fields = json.loads(data)
            found, driver = str(fields["pool_id"]), str(fields["driver"])
        except (ValueError, KeyError, TypeError) as error:
            raise Unknown(f"pool {self.name!r}: {path} cannot be read: {error}") from None
        if driver != self._driver:
            raise Rejected(
                f"pool {self.name!r}: {self.root} is a pool of driver {driver!r}, not {self._driver!r}",
                hint="give every backend directories of its own",
            )
        return found

    def _make_root(self) -> None:
        if not self._initialize:
            raise Unknown(f"pool {self.name!r}: there is no directory {self.root}", hint="mount it, or make it")
        self.root.mkdir(parents=True, exist_ok=True)

    def _first_use(self) -> str:
        if self.known or not self._initialize:
            raise Unknown(
                f"pool {self.name!r}: {self.root} has no pool in it; its file system may not be mounted",
                hint="mount it" if self.known else "mount it, or set the pool option 'initialize: true' for a new pool",
            )
        with self._locked_root():
            found = self._marker()  # another process may have been first
            return self._write_marker() if found is None else found

    def _write_marker(self) -> str:
        ours = {path.name for path, _ in self.places.layout() if path.parent == self.root}
        others = sorted({path.name for path in self.root.iterdir()} - _IGNORED - ours)
        if others:
            raise Rejected(
                f"pool {self.name!r}: {self.root} is not empty, it holds {others[0]!r}",
                hint="give an empty directory; nothing was changed",
            )
        if (self.sidecar.meta / "objects").is_dir() and self.sidecar.names():
            raise Unknown(f"pool {self.name!r}: {self.root} holds objects but its marker is gone")
        self._lay_out()
        crash.window("pool.layout")
        found = str(uuid.uuid4())
        marker = {"format": FORMAT, "pool_id": found, "driver": self._driver, "created_at": time.time()}
        write_durable(self.sidecar.meta / "pool.json", json.dumps(marker).encode() + b"\n")
        crash.window("pool.marker")
        return found

    def _lay_out(self) -> None:
        for path, mode in self.places.layout():
            make_directory(path, mode)
        for path in self.sidecar.layout():
            make_directory(path, 0o700)
        sync_directory(self.sidecar.meta)
        sync_directory(Path(self.root, "shares"))

    @contextlib.contextmanager
    def _locked_root(self) -> Iterator[None]:
        fd = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
            os.fsync(fd)
        finally:
            os.close(fd)

    # -- what this worker remembers

    def _remembered(self) -> str | None:
        data = read_small(self._memory)
        return None if data is None else data.decode("ascii", "replace").strip()

    def _remember(self, found: str) -> None:
        self._memory.parent.mkdir(parents=True, exist_ok=True)
        write_durable(self._memory, found.encode() + b"\n")


def memory_file(state_dir: Path, backend: str, pool: str) -> Path:
    """The file of the worker's state directory that remembers a pool; names are hashed, so any text will do."""
    name = hashlib.sha256(f"{backend}\0{pool}".encode()).hexdigest()[:32]
    return state_dir / "pools" / name
