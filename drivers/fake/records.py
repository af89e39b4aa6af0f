"""What the fake array remembers: frozen records, and their form in JSON for the store on disk."""

from __future__ import annotations

import dataclasses
import enum
import functools
import json
import types
from dataclasses import dataclass
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from drivers.contract import AccessMode, JobState, ObjectKind, ObjectRef, ObjectState

Record = TypeVar("Record")


@dataclass(frozen=True, slots=True)
class QosLimit:
    """One key that is enforced; a number for a limit, a word for its scope."""

    key: str
    number: int = 0
    word: str = ""

    @property
    def value(self) -> int | str:
        """As the contract has it."""
        return self.word or self.number


@dataclass(frozen=True, slots=True)
class StoredObject:
    """A share or snapshot on the array.

    Attributes:
        size: provisioned bytes.
        tree: name of the directory tree with its content; empty while nothing was ever written.
        source: for a snapshot the name of its share, for a clone the name of its snapshot, else empty.
        origin: for a snapshot that came from another pool the name that it has there, else empty.
        moved: bytes that travelled for it.
        reverts: keys of the last reverts that are done.
        job: key and id of the job that works on it now, or empty.
        qos: limits that are enforced on a share, in the order of the keys.
        created_at: seconds since the epoch (UTC).
    """

    pool: str
    name: str
    kind: ObjectKind
    size: int
    complete: bool
    epoch: int
    deployment: str
    operation: str
    mode: AccessMode
    created_at: float
    tree: str = ""
    source: str = ""
    reverts: tuple[str, ...] = ()
    job: tuple[str, ...] = ()
    deleting: bool = False
    qos: tuple[QosLimit, ...] = ()
    origin: str = ""
    moved: int = 0

    def state(self) -> ObjectState:
        """The object as the contract shows it."""
        return ObjectState(
            ref=ObjectRef(self.pool, self.name), kind=self.kind, size=self.size, complete=self.complete,
            epoch=self.epoch, deployment=self.deployment, operation=self.operation, mode=self.mode,
            created_at=self.created_at,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Tombstone:
    """A name that was deleted, by which epoch."""

    epoch: int


@dataclass(frozen=True, slots=True)
class StoredJob:
    """Slow work on one object; its progress is a matter of time.

    Attributes:
        operation, step, epoch: of the call that started it or took it up.
        seconds: how long it takes in all.
        spent: seconds it ran before ``since``.
        since: moment on the machine's monotonic clock from which it runs now; None when it does not.
        owner: token of the driver instance that keeps it running.
        total: bytes of the content it brings.
        moved: how many of them have to travel; None when that is no matter.
        staged: tree made for it that is not in use yet.
        argument: name of the snapshot, for a revert or a clone.
    """

    operation: str
    step: str
    epoch: int
    verb: str
    pool: str
    name: str
    state: JobState
    seconds: float
    spent: float
    since: float | None
    owner: str
    total: int
    staged: str = ""
    argument: str = ""
    message: str = ""
    moved: int | None = None

    @property
    def key(self) -> str:
        """Idempotency key of its call."""
        return f"{self.operation}/{self.step}"

    @property
    def id(self) -> str:
        """With the key unique among all jobs: an operation may use one step name for several objects."""
        return json.dumps([self.verb, self.pool, self.name])

    def progress(self, now: float) -> float:
        """Seconds of work done at a moment of the monotonic clock; between 0 and ``seconds``."""
        running = 0.0 if self.since is None else max(0.0, now - self.since)
        return min(self.seconds, self.spent + running)


@dataclass(frozen=True, slots=True)
class CallRecord:
    """One call that reached the array; ``outcome`` is ``ok`` or the class name of the error."""

    at: float
    verb: str
    pool: str
    name: str
    operation: str
    step: str
    epoch: int
    outcome: str


@dataclass(frozen=True, slots=True)
class Effect:
    """One change on the array, in time order.

    Attributes:
        size: what the object takes of its pool after it, in bytes.
        mode: the access mode that it set; empty for every other change.
    """

    at: float
    verb: str
    pool: str
    name: str
    operation: str
    step: str
    epoch: int
    size: int
    mode: str = ""


@functools.cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def dump(record: Any) -> str:
    """A record as JSON text."""
    return json.dumps(_plain(record), ensure_ascii=True, separators=(",", ":"))


def load(kind: type[Record], text: str) -> Record:
    """The record of a kind out of its JSON text."""
    return _typed(kind, json.loads(text))  # type: ignore[no-any-return]


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def _typed(kind: Any, value: Any) -> Any:
    origin = get_origin(kind)
    if origin in {Union, types.UnionType}:
        return None if value is None else _typed(next(k for k in get_args(kind) if k is not type(None)), value)
    if origin is tuple:
        return tuple(_typed(get_args(kind)[0], item) for item in value)
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        hints = _hints(kind)
        return kind(**{name: _typed(hints[name], item) for name, item in value.items()})
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return kind(value)
    return value
