"""The words of quality of service, which mean the same in specs, drivers and payloads.

A *limit* is one of ten standard keys with a whole number: IOPS, or bytes per second. Ceilings bound what a share gets,
bursts are higher ceilings that last for a while, floors are promised. Three *modifiers* say how limits are meant:
``burst_for`` (seconds), ``io_size`` (bytes that count as one I/O) and ``scope`` (who shares the limit).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Final, NamedTuple

from pydantic import Field

from shareflow.contracts.base import StrictModel
from shareflow.contracts.units import format_duration, format_size

DIMENSIONS: Final = ("iops", "throughput")
TOTALS: Final = ("max_iops", "max_throughput")
SPLITS: Final = ("max_read_iops", "max_write_iops", "max_read_throughput", "max_write_throughput")
CEILINGS: Final = (*TOTALS, *SPLITS)
FLOORS: Final = ("min_iops", "min_throughput")
BURSTS: Final = ("burst_iops", "burst_throughput")
LIMITS: Final = (*CEILINGS, *FLOORS, *BURSTS)
MODIFIERS: Final = ("burst_for", "io_size", "scope")
KEYS: Final = (*LIMITS, *MODIFIERS)
"""All that a driver can be asked to enforce, in the order in which it is shown."""

MAX_IOPS: Final = 10**12
MAX_THROUGHPUT: Final = 2**60

Limits = Mapping[str, int | str]
"""What a driver sets on a share: keys of :data:`KEYS` with whole numbers, and ``scope`` with a word."""


class Verdict(StrEnum):
    """What a driver makes of one key."""

    EXACT = "exact"
    ROUNDED = "rounded"
    UNSUPPORTED = "unsupported"


class KeyVerdict(NamedTuple):
    """A driver's answer about one key.

    Attributes:
        value: what is enforced; None when unsupported.
        reason: why it is rounded or unsupported, or empty.
    """

    verdict: Verdict
    value: int | str | None = None
    reason: str = ""


class Floors(NamedTuple):
    """Floors of a share, or a sum of floors: IOPS and bytes per second."""

    iops: int = 0
    throughput: int = 0

    def beyond(self, other: Floors) -> Floors:
        """What this has more than another one, nothing where it has less."""
        return Floors(max(self.iops - other.iops, 0), max(self.throughput - other.throughput, 0))


NO_FLOORS: Final = Floors()


class QosKeyView(StrictModel):
    """One key of a share's quality of service.

    Attributes:
        key: one of :data:`KEYS`.
        asked: the value that the class comes to for this share.
        enforced: what the backend enforces; None when it does not.
        shown: ``asked`` with its unit.
        arithmetic: how ``asked`` came about.
        reason: why the verdict is not ``exact``.
    """

    key: str
    asked: int | str
    verdict: Annotated[Verdict, Field(strict=False)]
    enforced: int | str | None = None
    shown: str = ""
    arithmetic: str = ""
    reason: str = ""


class QosView(StrictModel):
    """A share's quality of service.

    Attributes:
        name, version: of the class; a share keeps the version that was applied to it.
        enforce: ``required`` or ``best_effort``.
        latency_target: advisory, in microseconds; None when the class has none.
    """

    name: str
    version: str
    enforce: str
    keys: list[QosKeyView]
    latency_target: int | None = None


def dimension(key: str) -> str:
    """``iops`` or ``throughput``."""
    return "iops" if key.endswith("iops") else "throughput"


def format_throughput(rate: int) -> str:
    """``500 MiB/s``."""
    return f"{format_size(rate)}/s"


def format_latency(microseconds: int) -> str:
    """In the largest unit that shows it whole: ``2 ms``, ``500 us``, ``1 s``."""
    for factor, unit in ((10**6, "s"), (10**3, "ms")):
        if microseconds and microseconds % factor == 0:
            return f"{microseconds // factor} {unit}"
    return f"{microseconds} us"


def format_limit(key: str, value: int | str) -> str:
    """A value with the unit of its key."""
    if isinstance(value, str):
        return value
    if key == "burst_for":
        return format_duration(value)
    if key == "io_size":
        return format_size(value)
    return f"{value} IOPS" if dimension(key) == "iops" else format_throughput(value)


class QosAnswer(StrictModel):
    """What a backend made of one key; ``value`` is what it enforces, None when it does not."""

    verdict: Annotated[Verdict, Field(strict=False)]
    value: int | str | None = None
    reason: str = ""


class QosChange(StrictModel):
    """What an operation changes of a share's quality of service.

    Attributes:
        limits: what the backend is asked to enforce.
        before: what it was asked to enforce before; an undo sets it again.
        apply: the backend has to be asked.
        required: a key that is not enforced ends the operation.
        planned: what the share will show, with the verdicts that are known without the backend; None without a class.
        floors, floors_before: IOPS and bytes per second that the pool promises.
    """

    limits: dict[str, int | str] = {}
    before: dict[str, int | str] = {}
    apply: bool = True
    required: bool = False
    planned: QosView | None = None
    floors: list[int] = [0, 0]
    floors_before: list[int] = [0, 0]
