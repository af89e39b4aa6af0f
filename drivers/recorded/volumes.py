"""What a kind of storage must be able to do so that :class:`~drivers.recorded.RecordedDriver` can keep the contract."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from drivers.contract import Job
from drivers.posix import Barriers


@dataclass(frozen=True, slots=True)
class Fill:
    """Content to be brought from one volume into a new one.

    Attributes:
        source: volume to read.
        target: volume to make; its parent exists. What an interrupted try left there may be used or replaced.
        job: name of the job, the same for the same call; free text.
        frozen: the new volume is a snapshot: nobody will write to it.
        live: clients may write to the source meanwhile.
    """

    source: Path
    target: Path
    job: str
    frozen: bool
    live: bool


class Volumes(ABC):
    """The volumes of one pool: directories that hold the data of one object each.

    Calls on one object are made under its lock. All methods may raise OSError and
    :class:`~drivers.errors.DriverError`.

    Attributes:
        makes_root: a missing root may be made at the first use of a new pool; else it must be there.
        enforces: :meth:`bound` has an effect.
        barriers: how records are made durable on this storage.
    """

    makes_root: ClassVar[bool]
    enforces: ClassVar[bool]
    barriers: ClassVar[Barriers]

    @abstractmethod
    def probe(self) -> None:
        """Check that the root is storage of this kind right now. Cheap. Raises Unknown when it is not."""

    @abstractmethod
    def prepare(self) -> None:
        """Make the storage ready at the first use of a pool in this process. Idempotent."""

    @abstractmethod
    def total(self) -> int | None:
        """Bytes that the pool can hold, None where unknown. Cheap."""

    @abstractmethod
    def figures(self) -> tuple[int | None, int | None]:
        """Total and free bytes, each None where unknown."""

    @abstractmethod
    def make(self, volume: Path) -> None:
        """Make an empty volume, or find the one that an interrupted try made."""

    @abstractmethod
    def fill(self, task: Fill) -> Job:
        """Start or find a fill. Done means that the content is whole; a failed job begins anew when asked again."""

    @abstractmethod
    def running(self, job: str) -> bool:
        """Whether a job runs now."""

    @abstractmethod
    def stop(self, job: str) -> None:
        """End a job and forget it. An unknown one is fine. Raises Unknown when it does not end."""

    @abstractmethod
    def bound(self, volume: Path, size: int) -> None:
        """Set how many bytes the volume can hold, where the storage enforces that."""

    @abstractmethod
    def used(self, volume: Path, *, fresh: bool = True) -> int:
        """Bytes in use. ``fresh`` is needed for volumes that clients write to."""

    @abstractmethod
    def freeze(self, volume: Path, *, frozen: bool) -> None:
        """Forbid or allow writes, where the storage can."""

    @abstractmethod
    def frozen(self, volume: Path) -> bool:
        """Whether writes are forbidden."""

    @abstractmethod
    def harden(self, container: Path) -> None:
        """Make a container with its volume durable before it goes to its place."""

    @abstractmethod
    def seal(self, *folders: Path) -> None:
        """Make names that were moved between these directories durable before anything else is done."""

    @abstractmethod
    def call(self) -> AbstractContextManager[None]:
        """The length of one call: all that it did is durable when the context is left without an exception."""

    @abstractmethod
    def raze(self, volume: Path) -> None:
        """Remove a volume that cannot be removed file by file. Others, and missing ones, are left alone."""
