"""Records next to the data: what a file system cannot hold by itself, kept inside the pool.

Below the root of a pool::

    .shareflow/pool.json          the marker: pool id; without it there is no pool, only an unmounted directory
    .shareflow/objects/<name>.json  a record per object, written before an effect (intent) and after it (complete)
    .shareflow/tombstones/<name>  names that were deleted and can never be created again
    .shareflow/locks/<name>       flock targets, one per object, held for the length of one call
    .shareflow/readers/<source>/<name>   objects that a running job fills from the source

Every file is replaced as a whole and is on disk no later than what its writer does next, apart from the intent of an
empty share: a power cut may take that, or leave an empty file of it, which counts as none. Only names of the form
``sf-<uuid>`` become parts of paths; operation ids are values inside the files.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import fcntl
import hashlib
import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from drivers import crash
from drivers.contract import OBJECT_NAME, AccessMode, Call, ObjectKind
from drivers.errors import Busy, Unknown
from drivers.posix import POSIX, VOLATILE, Barriers, read_small, write_durable

FORMAT: Final = 1
META: Final = ".shareflow"
NAME_LENGTH: Final = 39
KEPT_KEYS: Final = 64
TOMBSTONE_SECONDS: Final = 30 * 86400
LOCK_SECONDS: Final = 3.0
LOCK_PAUSE: Final = 0.002


def digest(call: Call) -> str:
    """The idempotency key of a call as 32 hex digits, fit for comparison and for file content of fixed length."""
    text = json.dumps([call.deployment, call.operation, call.step])
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True)
class Record:
    """What is known of one object.

    Attributes:
        size: provisioned bytes.
        complete: False from the intent until the object is in its place.
        epoch: newest epoch seen.
        deployment, operation: of the last call that changed the object.
        mode: access mode last asked for; what clients really have is read from the place of the data.
        created_at: seconds since the epoch (UTC) at the intent.
        source: name of the share that a snapshot is of, or of the snapshot that a share was cloned from; else empty.
        origin: for a snapshot that was received the name that it has where it came from; else empty.
        job: digest of the call that fills the object or prepares its revert; empty when nothing is under way.
        revert: digest of the revert under way; empty when there is none.
        done: digests of the last :data:`KEPT_KEYS` jobs that ended on this object, oldest first.
    """

    name: str
    kind: ObjectKind
    size: int
    complete: bool
    epoch: int
    deployment: str
    operation: str
    mode: AccessMode
    created_at: float
    source: str = ""
    job: str = ""
    revert: str = ""
    done: tuple[str, ...] = ()
    origin: str = ""

    @classmethod
    def intent(cls, name: str, kind: ObjectKind, size: int, source: str, call: Call) -> Record:
        """The record of an object that is about to be made."""
        mode = AccessMode.RO if kind is ObjectKind.SNAPSHOT else AccessMode.RW
        return cls(
            name=name, kind=kind, size=size, complete=False, epoch=call.epoch, deployment=call.deployment,
            operation=call.operation, mode=mode, created_at=time.time(), source=source, job=digest(call),
        )  # fmt: skip

    def seen(self, call: Call) -> Record:
        """With the epoch of a call that changed nothing."""
        return dataclasses.replace(self, epoch=max(self.epoch, call.epoch))

    def changed(self, call: Call, **fields: Any) -> Record:
        """With the tags of a call that changes the object, and other fields."""
        return dataclasses.replace(
            self, epoch=max(self.epoch, call.epoch), deployment=call.deployment, operation=call.operation, **fields
        )

    def finished(self, key: str) -> tuple[str, ...]:
        """The done keys with one more."""
        return (*(known for known in self.done if known != key), key)[-KEPT_KEYS:]

    def to_json(self) -> bytes:
        """The text of the record's file."""
        return _dump(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, data: bytes, name: str) -> Record:
        """The record of ``name``. Raises ValueError when the text is none, or of another object."""
        fields = _load(data)
        try:
            fields["kind"] = ObjectKind(fields["kind"])
            fields["mode"] = AccessMode(fields["mode"])
            fields["done"] = tuple(fields["done"])
            record = cls(**fields)
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a record: {error}") from None
        if record.name != name or type(record.size) is not int or type(record.epoch) is not int:
            raise ValueError(f"not the record of {name}")
        return record


@dataclass(frozen=True, slots=True)
class Tombstone:
    """What is kept of a deleted name: the epoch and tags of its delete, and the digest of that call."""

    epoch: int
    deployment: str
    operation: str
    key: str
    deleted_at: float


def _dump(fields: Mapping[str, object]) -> bytes:
    return json.dumps({"format": FORMAT, **fields}).encode("ascii") + b"\n"


def _load(data: bytes) -> dict[str, Any]:
    fields = json.loads(data)
    if not isinstance(fields, dict) or fields.pop("format", None) != FORMAT:
        raise ValueError(f"not of format {FORMAT}")
    return fields


class Sidecar:
    """The records of one pool. Writers hold the lock of the object; readers need none.

    Raises (all methods): OSError when the storage refuses; Unknown when a file is not what was written.
    """

    def __init__(self, root: Path, *, barriers: Barriers = POSIX, lock_seconds: float = LOCK_SECONDS) -> None:
        self.meta = root / META
        self._barriers = barriers
        self._lock_seconds = lock_seconds

    def layout(self) -> tuple[Path, ...]:
        """The directories that must be there."""
        return tuple(self.meta / part for part in ("objects", "tombstones", "locks", "readers"))

    # -- records

    def load(self, name: str) -> Record | None:
        """The record, or None when there certainly is none."""
        data = read_small(self.meta / "objects" / f"{name}.json")
        if not data:  # empty: the power went before an intent's bytes were on disk
            return None
        try:
            return Record.from_json(data, name)
        except ValueError as error:
            raise Unknown(
                f"the record of {name} cannot be read: {error}", hint=f"look at {META}/objects/{name}.json in the pool"
            ) from None

    def save(self, record: Record, *, durable: bool = True) -> None:
        """Replace the record; without ``durable`` a power cut may take it."""
        crash_between = lambda: crash.window("record.temporary")  # noqa: E731
        path = self.meta / "objects" / f"{record.name}.json"
        write_durable(path, record.to_json(), crash_between, self._barriers if durable else VOLATILE)

    def forget(self, name: str) -> None:
        """Remove the record and what goes with it, apart from the tombstone. A missing one is fine."""
        objects = self.meta / "objects"
        with contextlib.suppress(FileNotFoundError):
            (objects / f".{name}.json.tmp").unlink()
        with contextlib.suppress(FileNotFoundError):
            (objects / f"{name}.json").unlink()
            self._barriers.names(objects)
        readers = self.meta / "readers" / name
        for reader in self.readers(name):
            (readers / reader).unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            readers.rmdir()

    def names(self) -> list[str]:
        """Names of all objects that have a record, sorted."""
        found = (path.name for path in (self.meta / "objects").iterdir())
        return sorted(entry[:-5] for entry in found if entry.endswith(".json") and is_name(entry[:-5]))

    def find_job(self, key: str) -> str | None:
        """Name of the object on which the job with this digest runs or ended; reads every record."""
        mark = key.encode()
        for name in self.names():
            if mark in (read_small(self.meta / "objects" / f"{name}.json") or b""):
                return name
        return None

    # -- tombstones

    def tombstone(self, name: str) -> Tombstone | None:
        """The tombstone of a deleted name, or None."""
        data = read_small(self.meta / "tombstones" / name)
        if data is None:
            return None
        try:
            return Tombstone(**_load(data))
        except (ValueError, TypeError) as error:
            raise Unknown(
                f"the tombstone of {name} cannot be read: {error}", hint=f"look at {META}/tombstones/{name} in the pool"
            ) from None

    def bury(self, name: str, call: Call, epoch: int) -> None:
        """Write the tombstone: the commit point of a delete. ``epoch`` is the newest one seen on the object."""
        stone = Tombstone(max(epoch, call.epoch), call.deployment, call.operation, digest(call), time.time())
        write_durable(self.meta / "tombstones" / name, _dump(dataclasses.asdict(stone)), None, self._barriers)

    def buried_by(self, key: str) -> bool:
        """Whether a tombstone was written by the call with this digest; reads every tombstone."""
        mark = key.encode()
        graves = (self.meta / "tombstones").iterdir()
        return any(mark in (read_small(grave) or b"") for grave in graves if is_name(grave.name))

    def prune(self, now: float | None = None) -> None:
        """Drop tombstones older than 30 days, with the locks of names that have neither record nor tombstone."""
        limit = (time.time() if now is None else now) - TOMBSTONE_SECONDS
        for grave in (self.meta / "tombstones").iterdir():
            with contextlib.suppress(FileNotFoundError, Busy):
                if is_name(grave.name) and grave.stat().st_mtime < limit:
                    self._drop(grave.name)

    def _drop(self, name: str) -> None:
        with self.lock(name):
            if self.load(name) is None:
                (self.meta / "tombstones" / name).unlink()
                (self.meta / "locks" / name).unlink()

    # -- readers

    def add_reader(self, source: str, name: str, job: str = "") -> None:
        """Note that a job fills ``name`` from ``source``. Not durable: a crash of the machine ends the job too.

        ``job`` is the directory of a job that is not known by the record of ``name`` in this pool.
        """
        folder = self.meta / "readers" / source
        while True:
            folder.mkdir(exist_ok=True)
            try:
                (folder / name).write_bytes(os.fsencode(job))
            except FileNotFoundError:  # the last other note was taken back just now
                continue
            return

    def drop_reader(self, source: str, name: str) -> None:
        """Take the note back. A missing one is fine."""
        folder = self.meta / "readers" / source
        (folder / name).unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            folder.rmdir()

    def readers(self, source: str) -> list[str]:
        """Names noted as being filled from ``source``; some may be long done."""
        try:
            return [path.name for path in (self.meta / "readers" / source).iterdir() if is_name(path.name)]
        except FileNotFoundError:
            return []

    def reader_job(self, source: str, name: str) -> str:
        """The directory of the job in a note, empty when it has none."""
        return os.fsdecode(read_small(self.meta / "readers" / source / name) or b"")

    # -- locks

    @contextlib.contextmanager
    def lock(self, name: str, *, shared: str | None = None) -> Iterator[None]:
        """Hold an object for one call, and optionally a second one that is only read.

        Raises:
            Busy: another process or thread holds one of them for longer than a few seconds.
        """
        wanted = {name: fcntl.LOCK_EX}
        if shared is not None and shared != name:
            wanted[shared] = fcntl.LOCK_SH
        held: list[int] = []
        try:
            deadline = time.monotonic() + self._lock_seconds
            for each in sorted(wanted):
                held += [self._take(each, wanted[each], deadline)]
            yield
        finally:
            for fd in held:
                os.close(fd)

    @contextlib.contextmanager
    def reading(self, *names: str) -> Iterator[None]:
        """Hold objects that are only read, for one call. Raises Busy."""
        held: list[int] = []
        try:
            deadline = time.monotonic() + self._lock_seconds
            for each in sorted(set(names)):
                held += [self._take(each, fcntl.LOCK_SH, deadline)]
            yield
        finally:
            for fd in held:
                os.close(fd)

    def _take(self, name: str, kind: int, deadline: float) -> int:
        path, pause = self.meta / "locks" / name, LOCK_PAUSE
        while True:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                fcntl.flock(fd, kind | fcntl.LOCK_NB)
                if os.fstat(fd).st_nlink > 0:  # else it was pruned between open and flock
                    return fd
            except OSError as error:
                if error.errno not in {errno.EWOULDBLOCK, errno.EINTR}:
                    os.close(fd)
                    raise
                if time.monotonic() >= deadline:
                    os.close(fd)
                    raise Busy(f"another call works on {name}", retry_after=1.0) from None
                time.sleep(pause)
                pause = min(pause * 2, 0.05)
            os.close(fd)


def is_name(text: str) -> bool:
    """Whether a directory entry is the name of an object."""
    return OBJECT_NAME.fullmatch(text) is not None
