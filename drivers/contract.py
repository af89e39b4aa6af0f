"""The driver contract: what a storage system must be able to do, as small classes per capability.

Rules that hold for every call:

- A driver is synchronous, thread-safe, and knows nothing of Temporal or SQL. It gets plain values.
- An object's name is ``sf-<uuid>``, made from ids alone. Names are never reused: an object that was deleted stays
  deleted, and a late create of it is refused (:class:`~drivers.errors.StaleEpoch`).
- Every mutating call carries a :class:`Call`. The same call again gives the same object or job and has no second
  effect. Delete of a missing object succeeds. The same name with another size or source is a
  :class:`~drivers.errors.Conflict`.
- A call whose epoch is older than the newest one seen on the object is refused with
  :class:`~drivers.errors.StaleEpoch`, before any effect.
- Only the four classes of :mod:`drivers.errors` are raised.
- Work that may be slow returns a :class:`Job`. Making the same call again finds the job again, also from another
  process after a crash; a job that died is started again by that call and goes on where it can.
- Tools are called with argument vectors, ``--`` before operands, a time limit and bounded output; never a shell.
- An operation id is free text: it is a tag, never part of a path.
"""

from __future__ import annotations

import enum
import re
import uuid
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal, Self

from shareflow.contracts.qos import KeyVerdict, Limits, Verdict

OBJECT_NAME = re.compile(r"sf-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.ASCII)

AttributeValue = bool | int | str | tuple[str, ...]


def object_name(identifier: uuid.UUID) -> str:
    """The only name an object of this id can have on a backend."""
    return f"sf-{identifier}"


class AccessMode(enum.StrEnum):
    """What clients of a share can do at the backend, whatever its access rules say."""

    RW = "rw"
    RO = "ro"
    NONE = "none"


class ObjectKind(enum.StrEnum):
    """What an object on a backend is."""

    SHARE = "share"
    SNAPSHOT = "snapshot"


@dataclass(frozen=True, slots=True)
class ObjectRef:
    """The address of one object: pool and name.

    Raises:
        ValueError: the name is not of the form ``sf-<uuid>``.
    """

    pool: str
    name: str

    def __post_init__(self) -> None:
        if not OBJECT_NAME.fullmatch(self.name):
            raise ValueError(f"{self.name!r} is not an object name; object names are sf-<uuid>")


@dataclass(frozen=True, slots=True)
class Call:
    """Who asks: the idempotency key and the fencing number of one mutating call.

    Attributes:
        deployment: id of the Shareflow deployment that owns the object.
        operation: operation id; free text, used as a tag only.
        step: name of the step inside the operation; with the operation it is the idempotency key.
        epoch: fencing number of the claim under which the call is made, 1 or more.
    """

    deployment: str
    operation: str
    step: str
    epoch: int

    @property
    def key(self) -> str:
        """The idempotency key."""
        return f"{self.operation}/{self.step}"


@dataclass(frozen=True, slots=True)
class ShareObject:
    """A share as it is on the backend: its size in bytes and the paths under which it is reached."""

    ref: ObjectRef
    size: int
    export_paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ObjectState:
    """What the backend holds under a name.

    Attributes:
        size: provisioned bytes (for a snapshot: size of its share when it was taken).
        complete: False while the object is half made, by a running job or by a crash.
        epoch: newest epoch seen on the object.
        deployment, operation: tags of the last call that changed the object; empty where the backend has none.
        mode: access mode of a share; RO for a snapshot.
        created_at: seconds since the epoch (UTC), 0 where unknown.
    """

    ref: ObjectRef
    kind: ObjectKind
    size: int
    complete: bool
    epoch: int
    deployment: str
    operation: str
    mode: AccessMode
    created_at: float


@dataclass(frozen=True, slots=True)
class Listing:
    """All objects of a pool that carry a Shareflow name. ``complete`` is False when some could not be read."""

    objects: tuple[ObjectState, ...]
    complete: bool


class JobState(enum.StrEnum):
    """How far a job is. ``done``, ``failed`` and ``cancelled`` are final until the same call is made anew."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Job:
    """Slow work. Totals are None while unknown. ``message`` says why a job failed.

    ``bytes_moved`` counts what travelled, ``bytes_done`` also what was there already.
    """

    state: JobState
    bytes_done: int = 0
    bytes_total: int | None = None
    files_done: int = 0
    files_total: int | None = None
    message: str = ""
    bytes_moved: int = 0

    @classmethod
    def done(cls) -> Self:
        """A job that was over at once."""
        return cls(state=JobState.DONE)


@dataclass(frozen=True, slots=True)
class PoolReport:
    """What a pool says of itself.

    Attributes:
        total: bytes the pool can hold, None when unlimited or unknown.
        free: bytes free now as the storage itself counts, None when unknown.
        attributes: typed capabilities that share types can require (``media``, ``zone``, ``quota_enforced`` ...).
    """

    name: str
    total: int | None
    free: int | None
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What the driver can do; a declared capability that does not work fails the conformance suite.

    Attributes:
        transfer: name of the format in which :class:`SupportsTransfer` exchanges snapshots with other pools; pools
            whose drivers name the same one can exchange them. Empty without that class.
        protocols: protocols the export paths speak (``path`` = a local directory).
        quota_enforced: a share cannot hold more than its size.
        snapshot_space: ``shared``: a snapshot costs only what changes later; ``full``: it costs its share's size.
        snapshots_atomic: a snapshot is one point in time even while clients write.
        access_modes: modes that :meth:`Driver.set_access_mode` can enforce (``rw`` always).
        tags: objects carry deployment and operation, so that residue can be told from strangers.
        shrink: a share can be made smaller.
        qos_supported: keys of :data:`shareflow.contracts.qos.KEYS` that :meth:`SupportsQos.set_qos` can enforce.
    """

    snapshots: bool
    clone: bool
    revert: bool
    host_access: bool
    quota_enforced: bool
    snapshots_atomic: bool
    shrink: bool
    tags: bool
    protocols: tuple[str, ...]
    access_modes: tuple[AccessMode, ...]
    snapshot_space: Literal["shared", "full"]
    qos_supported: tuple[str, ...] = ()
    transfer: str = ""


@dataclass(frozen=True, slots=True)
class PoolConfig:
    """A pool as the backend's spec declares it; ``options`` are the driver's own (``path``, ``capacity`` ...)."""

    name: str
    options: Mapping[str, object] = field(default_factory=dict)
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BackendConfig:
    """A backend as its spec declares it.

    Attributes:
        state_dir: a directory of this worker in which the driver may keep records of running jobs.
    """

    name: str
    deployment: str
    pools: Sequence[PoolConfig]
    state_dir: Path
    options: Mapping[str, object] = field(default_factory=dict)


class Driver(ABC):
    """The calls that every driver has.

    The constructor takes the backend's configuration and raises :class:`~drivers.errors.Rejected` when an option is
    unknown or wrong, naming the option, the value and what is allowed. It does no slow work.
    """

    name: ClassVar[str]

    def __init__(self, config: BackendConfig) -> None:
        self.config = config

    @abstractmethod
    def capabilities(self) -> Capabilities:
        """What this driver can do here (may depend on the machine, never on time). Raises nothing."""

    @abstractmethod
    def pools(self) -> Sequence[PoolReport]:
        """Fresh figures of all pools. Read only. Raises Unknown when the backend does not answer."""

    @abstractmethod
    def create_share(self, ref: ObjectRef, size: int, call: Call) -> ShareObject:
        """Make an empty share of ``size`` bytes, mode ``rw``.

        Idempotent: the same name and size gives the same share; half-made leftovers of an earlier try are completed.
        Raises: PoolFull; Conflict when the name exists with another size; StaleEpoch; Busy; Unknown; Broken.
        """

    @abstractmethod
    def resize_share(self, ref: ObjectRef, size: int, call: Call) -> ShareObject:
        """Set the size. Setting the size it has succeeds.

        Raises: OverUsed when more than ``size`` bytes are in use (nothing was changed); PoolFull; NotFound; StaleEpoch;
        Busy; Unknown.
        """

    @abstractmethod
    def set_access_mode(self, ref: ObjectRef, mode: AccessMode, call: Call) -> None:
        """Let clients write (``rw``), only read (``ro``), or not reach the share at all (``none``).

        Data stays as it is. Setting the mode it has succeeds. Raises: Rejected when the mode is not among
        ``capabilities().access_modes``; NotFound; StaleEpoch; Busy; Unknown.
        """

    def find_writers(self, ref: ObjectRef) -> Sequence[str]:
        """Who could still change a share's content in the mode that it has; read only.

        Tries to write as a client would, and takes that back at once; names every process of this host that has a file
        of the share open for writing. Each answer is one line for people; none at all means that the share is fenced.
        A driver that cannot try says so in a line. Raises NotFound; Unknown.
        """
        return [f"driver {self.name!r} cannot try whether {ref.name} can be written"]

    def qos_verdict(self, limits: Limits) -> Mapping[str, KeyVerdict]:
        """What setting these limits would come to, one verdict per key. Changes nothing and raises nothing.

        Rounding is towards the promise: floors up, ceilings and bursts down. A value that cannot be enforced at all
        (rounded down to nothing, say) is ``unsupported``, and so is every key that is not in
        ``capabilities().qos_supported``. The same limits always get the same verdicts. A driver without
        :class:`SupportsQos` leaves this as it is.
        """
        return dict.fromkeys(limits, KeyVerdict(Verdict.UNSUPPORTED, reason=f"driver {self.name!r} enforces no limits"))

    @abstractmethod
    def delete_share(self, ref: ObjectRef, call: Call) -> Job:
        """Delete the share for good; its snapshots are separate objects and stay usable.

        Idempotent: a missing share gives a job that is done. From the first call on, the name can never be created
        again. Also removes half-made objects and cancels jobs that fill it. Raises: StaleEpoch; Busy; Unknown.
        """

    @abstractmethod
    def used_bytes(self, ref: ObjectRef) -> int:
        """Bytes in use in a share, fresh enough to decide a shrink. Raises NotFound; Unknown."""

    @abstractmethod
    def observe(self, ref: ObjectRef) -> ObjectState | None:
        """What is there now, or None when there certainly is nothing. Raises Unknown when that cannot be told."""

    @abstractmethod
    def list_objects(self, pool: str) -> Listing:
        """All objects of a pool, half-made ones included. Raises Unknown when the pool does not answer."""

    @abstractmethod
    def cancel_job(self, call: Call) -> Job:
        """Stop the job of this call, if it runs; returns its final state (``done`` if it was over first).

        What a cancelled job left is removed by deleting its target. An unknown job gives ``cancelled``.
        """

    @abstractmethod
    def close(self) -> None:
        """Let go of everything this process holds; running jobs are stopped and go on when their call is made anew."""


class SupportsSnapshots(ABC):
    """Points in time of a share. A snapshot is an object of its own, in the same pool as its share."""

    @abstractmethod
    def create_snapshot(self, share: ObjectRef, snapshot: ObjectRef, call: Call) -> Job:
        """Freeze the share as it is now.

        Idempotent by the snapshot's name: once complete, the same call is done and the content does not change.
        Raises: NotFound; Conflict when the name exists for another share; PoolFull; StaleEpoch; Busy; Unknown.
        """

    @abstractmethod
    def delete_snapshot(self, snapshot: ObjectRef, call: Call) -> Job:
        """Delete for good; shares cloned from it stay as they are. A missing one is done. Raises as delete_share."""


class SupportsClone(ABC):
    """New shares out of snapshots in the same pool."""

    @abstractmethod
    def clone_snapshot(self, snapshot: ObjectRef, share: ObjectRef, size: int, call: Call) -> Job:
        """Make a share of ``size`` bytes (at least the snapshot's) with the snapshot's content, mode ``rw``.

        Idempotent by the share's name. While the job runs the share is not complete. After ``done``,
        :meth:`Driver.create_share` with the same name and size returns the finished share (adoption).
        Raises: NotFound; Conflict; PoolFull; StaleEpoch; Busy; Unknown; Broken.
        """


class SupportsRevert(ABC):
    """Taking a share back to one of its snapshots, whichever, while all snapshots stay."""

    @abstractmethod
    def revert_share(self, share: ObjectRef, snapshot: ObjectRef, call: Call) -> Job:
        """Give the share the content of the snapshot; its size and access mode stay.

        The switch is atomic: before it the share has its old content, after it the snapshot's; never a mixture.
        Idempotent: after ``done`` the same call is done again and does not revert a second time, even when clients
        have written since. Raises: NotFound; OverUsed when the content does not fit; StaleEpoch; Busy; Unknown.
        """


class SupportsTransfer(ABC):
    """Snapshots that travel to other pools, also of other backends, as what changed since one that is there already.

    A driver that has this also has snapshots, clone and revert.
    """

    def changed_bytes(self, share: ObjectRef, snapshot: ObjectRef) -> int | None:
        """About how many bytes a snapshot of ``share`` that is taken now would move with ``snapshot`` as its base.

        What clients have written counts, on disk or not; what they have removed does not. It changes nothing and is
        cheap next to the transfer; None where the driver cannot tell so.

        Args:
            share: a complete share.
            snapshot: a complete snapshot in the same pool.

        Raises: NotFound: share or snapshot is not there. Busy; Unknown.
        """
        return None

    @abstractmethod
    def receive_snapshot(
        self,
        sender: Driver,
        source: ObjectRef,
        target: ObjectRef,
        share: ObjectRef,
        call: Call,
        *,
        base: tuple[ObjectRef, ObjectRef] | None = None,
        bandwidth: int | None = None,
    ) -> Job:
        """Make ``target``, a snapshot of ``share`` in this driver's pool, with the content of the sender's ``source``.

        Content and metadata are equal when the job is done, which is on disk then. Idempotent by the target's name:
        once complete, the same call is done. While the job runs the target is not complete. A job that died begins
        anew when it is asked for again. ``done`` carries the bytes that travelled in ``bytes_moved``.

        Args:
            sender: the driver of the source, opened in this process; its transfer format is the same.
            source: a complete snapshot of the sender's.
            target: the snapshot to be made here.
            share: the complete share here that the target is a snapshot of; its content plays no part.
            call: idempotency key and fencing number, of the target.
            base: a complete snapshot of the sender's, and its equal here: only what differs from it travels.
            bandwidth: most bytes per second, None for no limit; the same call with another one changes it.

        Raises:
            NotFound: source, share, or either side of the base is not there. Conflict: the target is something else,
                or the base is not the same snapshot on both sides. Rejected: the sender's format is another one.
                PoolFull; StaleEpoch; Busy; Unknown; Broken.
        """

    def is_unchanged(self, share: ObjectRef, snapshot: ObjectRef) -> bool:
        """Whether a share certainly has the content still that it had when its snapshot was taken; read only.

        Everything that clients have written before the call counts. False also where that cannot be told at less cost
        than another snapshot's, which is all that a driver says that leaves this as it is. Raises NotFound; Unknown.
        """
        return False


class SupportsQos(ABC):
    """Limits and promises of performance of a share; they go with it when it is deleted."""

    @abstractmethod
    def set_qos(self, share: ObjectRef, limits: Limits, call: Call) -> Limits:
        """Enforce these limits and no others from now on; none at all when ``limits`` is empty.

        Gives what is enforced now, as :meth:`Driver.qos_verdict` said it would be. Data, size and access mode stay as
        they are. Setting what is set succeeds. Raises: Rejected when a key is unsupported (nothing was changed);
        NotFound; StaleEpoch; Busy; Unknown.
        """

    @abstractmethod
    def enforced_qos(self, share: ObjectRef) -> Limits:
        """What is enforced now; empty for a share without limits. Raises NotFound; Unknown."""


class SupportsHostAccess(ABC):
    """Reading and writing an object's files on the worker's own host, for copies between pools."""

    @abstractmethod
    def data_path(self, ref: ObjectRef) -> Path:
        """The directory that holds the object's files; stable while the object exists. Raises NotFound; Unknown."""
