"""Whether a request fits into a pool: the verdict of Manila 23's capacity filter, with the arithmetic in its reason.

The steps, in this order (``CapacityFilter`` and ``thin_provisioning`` of Manila 23.0.1, whose figures are GiB):

1. free is None: no. Free is ``unknown``: yes, the storage will say.
2. total is ``unknown``: yes when nothing is reserved and the size is at most free.
3. total is not above zero: no.
4. ``left = floor(free - total * reserved)``, where reserved is the percentage for what the request is (see
   :class:`Purpose`).
5. The pool is thin and the request may be: no when the over-subscription ratio is below 1, or when
   ``(provisioned + size) / total`` is above it; else yes when ``left * ratio >= size``.
6. Else yes when ``left >= size``.

Figures that cannot be calculated with (``infinite``, NaN, None where a number belongs) give no: Manila's filter raises
there, which ends the whole request. As there, the arithmetic is that of floating-point GiB. ``left`` is rounded down
to whole GiB for a request of whole GiB, which is all that Manila knows, and else to whole bytes.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, NamedTuple

from shareflow.contracts.units import format_size

GIB = 2**30
UNKNOWN: Literal["unknown"] = "unknown"

Number = int | float | Fraction
Amount = Number | Literal["unknown", "infinite"] | None


class Purpose(enum.StrEnum):
    """What room is asked for; each has a reserve of its own.

    Attributes:
        CREATE: a new, empty share (or a copy of one).
        FROM_SNAPSHOT: a share made from a snapshot.
        EXTEND: the growth of a share; the size is the increase.
    """

    CREATE = "create"
    FROM_SNAPSHOT = "from_snapshot"
    EXTEND = "extend"


@dataclass(frozen=True, slots=True)
class PoolFigures:
    """The figures of a pool that count.

    Attributes:
        total: bytes that the pool can hold, or ``unknown`` (``total_capacity_gb`` of Manila, there in GiB).
        free: bytes that are free now, or ``unknown`` (``free_capacity_gb``). None means that it was not reported.
        provisioned: bytes handed out, the sum of the sizes of what is there (``provisioned_capacity_gb``). Counts
            for thin pools only.
        reserved_percent: 0 to 100, kept from new shares (``reserved_percentage``).
        reserved_from_snapshot_percent: kept from shares made of snapshots (``reserved_snapshot_percentage``).
        reserved_extend_percent: kept from growing shares (``reserved_share_extend_percentage``).
        over_subscription: how many times the total may be handed out, 1 or more (``max_over_subscription_ratio``).
            Counts for thin pools only.
        thin: shares take space as they are written (``thin_provisioning``); a list with True in it is True.
    """

    total: Amount
    free: Amount
    provisioned: Number | None = 0
    reserved_percent: Number = 0
    reserved_from_snapshot_percent: Number = 0
    reserved_extend_percent: Number = 0
    over_subscription: Number = 1
    thin: bool | Sequence[bool] = False

    def reserved(self, purpose: Purpose) -> Number:
        """The percentage that is kept from requests of this purpose."""
        if purpose is Purpose.FROM_SNAPSHOT:
            return self.reserved_from_snapshot_percent
        return self.reserved_extend_percent if purpose is Purpose.EXTEND else self.reserved_percent

    @property
    def is_thin(self) -> bool:
        """Whether shares take space as they are written, or may."""
        return True in self.thin if isinstance(self.thin, Sequence) else self.thin is True


@dataclass(frozen=True, slots=True)
class SpaceRequest:
    """What asks for room.

    Attributes:
        size: bytes; of a share that grows, the increase.
        purpose: which reserve counts.
        thin: False when the type asks for space that is set aside in full (``thin_provisioning`` false in its specs).
    """

    size: int
    purpose: Purpose = Purpose.CREATE
    thin: bool = True


class CapacityVerdict(NamedTuple):
    """The answer, with its arithmetic. True or false as a whole.

    Attributes:
        fits: the answer.
        rule: what was compared, as text.
        left, right: its two sides in bytes, None where a side is not known.
        room: bytes left after the request, negative when it does not fit; None when that is not known.
        reason: the arithmetic in words.
    """

    fits: bool
    rule: str
    left: int | None
    right: int | None
    room: int | None
    reason: str

    def __bool__(self) -> bool:
        """Whether it fits."""
        return self.fits


def fits(pool: PoolFigures, request: SpaceRequest) -> CapacityVerdict:
    """Whether the request fits into the pool. Pure; raises nothing, whatever the figures are."""
    try:
        return _verdict(pool, request)
    except (TypeError, ValueError, ArithmeticError):
        figures = f"total {pool.total!s:.40}, free {pool.free!s:.40}, provisioned {pool.provisioned!s:.40}"
        return _unknown(False, request, f"it cannot be calculated with the pool's figures ({figures})")


def _verdict(pool: PoolFigures, request: SpaceRequest) -> CapacityVerdict:
    reserved = float(pool.reserved(request.purpose)) / 100
    if pool.free is None:
        return _unknown(False, request, "the pool does not report what is free")
    if pool.free == UNKNOWN:
        return _unknown(True, request, "what is free is unknown; the storage will say")
    if pool.total == UNKNOWN:
        return _of_unknown_total(pool, request, reserved)
    total, free, size = _gib(pool.total), _gib(pool.free), _gib(request.size)
    if total <= 0:
        return CapacityVerdict(False, "total > 0", _bytes(total), 0, None, "the pool holds nothing: its total is 0 B")
    grain = 1 if request.size % GIB == 0 else GIB  # in units of 1 / grain GiB
    left = math.floor((free - total * reserved) * grain) / grain
    if request.thin and pool.is_thin:
        return _thin(pool, request, total, left, size)
    room = _bytes(left) - request.size
    sums = f"{_show(free)} free{_less(pool, request, total)}"
    after = f"leaves {format_size(room)}" if left >= size else f"lacks {format_size(-room)}"
    reason = f"{sums}; {format_size(request.size)} requested, {after}"
    return CapacityVerdict(left >= size, "size <= free - reserved", request.size, _bytes(left), room, reason)


def _thin(pool: PoolFigures, request: SpaceRequest, total: float, left: float, size: float) -> CapacityVerdict:
    ratio, provisioned = float(pool.over_subscription), _gib(pool.provisioned)
    if ratio < 1:
        return _unknown(False, request, f"its over-subscription ratio {ratio:g} is below 1")
    wanted, limit = _bytes(provisioned) + request.size, _bytes(total * ratio)
    handed_out = f"{_show(provisioned)} provisioned + {format_size(request.size)} requested"
    if (provisioned + size) / total > ratio:
        # Window of a rounding: the exact figures may just fit where Manila's quotient does not.
        lacks = max(wanted - limit, 1)
        reason = f"{handed_out} of {format_size(limit)}{_times(ratio, total)}, lacks {format_size(lacks)}"
        return CapacityVerdict(False, "provisioned + size <= total x ratio", wanted, limit, -lacks, reason)
    virtual = _bytes(left * ratio)
    free = f"{_show(left)} free{' after the reserve' if pool.reserved(request.purpose) else ''}{_factor(ratio)}"
    if left * ratio < size:
        reason = f"{format_size(request.size)} requested, {free}, lacks {format_size(request.size - virtual)}"
        rule = "size <= (free - reserved) x ratio"
        return CapacityVerdict(False, rule, request.size, virtual, virtual - request.size, reason)
    room = limit - wanted
    reason = f"{handed_out} of {format_size(limit)}{_times(ratio, total)}, leaves {format_size(room)}; {free}"
    return CapacityVerdict(True, "provisioned + size <= total x ratio", wanted, limit, room, reason)


def _of_unknown_total(pool: PoolFigures, request: SpaceRequest, reserved: float) -> CapacityVerdict:
    if reserved != 0:
        return _unknown(False, request, "its total is unknown, so the reserve cannot be calculated")
    free = _gib(pool.free)
    room = _bytes(free) - request.size
    fit = _gib(request.size) <= free
    after = f"leaves {format_size(room)}" if fit else f"lacks {format_size(-room)}"
    reason = f"{_show(free)} free of an unknown total; {format_size(request.size)} requested, {after}"
    return CapacityVerdict(fit, "size <= free", request.size, _bytes(free), room, reason)


def _unknown(fit: bool, request: SpaceRequest, reason: str) -> CapacityVerdict:  # noqa: FBT001  (the first of a tuple)
    return CapacityVerdict(fit, "the size fits", request.size, None, None, reason)


def _gib(amount: Amount) -> float:
    """An amount of bytes in GiB. Raises TypeError or ValueError for what is no number."""
    if isinstance(amount, bool) or not isinstance(amount, int | float | Fraction):
        raise TypeError(f"{amount!r} is no amount")
    return amount / GIB if isinstance(amount, int) else float(amount) / GIB


def _bytes(gib: float) -> int:
    return math.floor(gib * GIB)


def _show(gib: float) -> str:
    return format_size(_bytes(gib))


def _less(pool: PoolFigures, request: SpaceRequest, total: float) -> str:
    percent = float(pool.reserved(request.purpose))
    return f" - {percent:g} % of {_show(total)} reserved" if percent else ""


def _times(ratio: float, total: float) -> str:
    return f" ({ratio:g} x {_show(total)})" if ratio != 1 else ""


def _factor(ratio: float) -> str:
    return f" x {ratio:g}" if ratio != 1 else ""


def pool_limit(total: int | None, over_subscription: Fraction | int = 1) -> int | None:
    """Bytes that may be handed out in all: ``floor(total * over_subscription)``, exact to the byte.

    Args:
        total: bytes that the pool can hold, None when unlimited or unknown.
        over_subscription: at least 1; 2 hands out twice what is there. 1 for pools that are not thin.

    Returns:
        Bytes, or None for a pool without a limit.

    Raises:
        ValueError: a figure is out of its range.
    """
    if total is None:
        return None
    if total < 0 or over_subscription < 1:
        raise ValueError(f"total {total}, over-subscription {over_subscription}")
    share = Fraction(over_subscription)
    return total * share.numerator // share.denominator


def kept_back(total: int | None, reserved_percent: Fraction | int, *, thin: bool) -> int:
    """Bytes of a pool's limit that are kept from a request: the reserve, rounded up; of a thin pool none.

    The reserve of a thin pool is one of free space, which only the storage knows; see :func:`fits`.
    """
    if thin or total is None:
        return 0
    kept = total * Fraction(reserved_percent) / 100
    return -(-kept.numerator // kept.denominator)
