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
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import floor
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


_CREATE = Purpose.CREATE  # looked up once: it is asked for every pool


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
        if purpose is _CREATE:
            return self.reserved_percent
        return self.reserved_extend_percent if purpose is Purpose.EXTEND else self.reserved_from_snapshot_percent

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

    @property
    def terms(self) -> tuple[Purpose, bool, bool]:
        """What counts of it beside its size; the last is whether that is whole GiB."""
        return self.purpose, self.thin, not self.size % GIB


Measure = tuple[bool, str, int | None, int | None, int | None]
"""What was compared: the first five of :class:`CapacityVerdict`. A plain tuple, because one is made for every pool of
many: that takes half the time, and the collector of cycles leaves it alone."""


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
    found = measure(pool, request)
    return CapacityVerdict(*found, reason(found, pool, request))


def measure(pool: PoolFigures, request: SpaceRequest) -> Measure:
    """As :func:`fits`, without the words: what is asked of every pool of many."""
    try:
        return _measure(pool, request)
    except (TypeError, ValueError, ArithmeticError):
        return (False, _NO_NUMBERS, request.size, None, None)


Headroom = tuple[int, int]
"""``sure`` and ``left``: what a pool has for all requests of the same terms, worked out once for all of them.

A size up to ``sure`` fits beyond doubt and leaves ``left`` less the size; of any other :func:`measure` decides.
"""
_NOTHING_SURE: Headroom = (-1, 0)


def headroom(pool: PoolFigures, request: SpaceRequest) -> Headroom:
    """What a pool has for requests of the same :attr:`~SpaceRequest.terms` as this one."""
    try:
        return _headroom(pool, request)
    except (TypeError, ValueError, ArithmeticError):
        return _NOTHING_SURE


def _headroom(pool: PoolFigures, request: SpaceRequest) -> Headroom:
    free, total = pool.free, pool.total
    if free.__class__ is not int or total.__class__ is not int or total <= 0:
        return _NOTHING_SURE
    left = _left(free / GIB, total / GIB, pool, request)
    if not _is_thin(pool, request):
        room = floor(left * GIB)
        return room, room
    ratio = float(pool.over_subscription)
    limit = floor(total / GIB * ratio * GIB)
    room = limit - floor(_gib(pool.provisioned) * GIB)
    # Far more than quotients of floating-point numbers can be off by, and still next to nothing.
    doubt = 1 + (limit >> 40)
    return (min(room, floor(left * ratio * GIB)) - doubt if ratio >= 1 else -1), room


_NO_NUMBERS = "the figures are numbers"
_FREE_REPORTED = "free is reported"
_FREE_KNOWN = "free is known"
_NOTHING_RESERVED = "nothing is reserved of an unknown total"
_FREE_OF_UNKNOWN = "size <= free"
_SOME_TOTAL = "total > 0"
_THICK = "size <= free - reserved"
_SOME_RATIO = "over-subscription >= 1"
_PROVISIONED = "provisioned + size <= total x ratio"
_VIRTUAL = "size <= (free - reserved) x ratio"


def _measure(pool: PoolFigures, request: SpaceRequest) -> Measure:
    asked, free, total = request.size, pool.free, pool.total
    if free is None:
        return (False, _FREE_REPORTED, asked, None, None)
    if free == UNKNOWN:
        return (True, _FREE_KNOWN, asked, None, None)
    if total == UNKNOWN:
        return _measure_free(pool, asked, float(pool.reserved(request.purpose)))
    total_gib = total / GIB if total.__class__ is int else _gib(total)
    free_gib = free / GIB if free.__class__ is int else _gib(free)
    if total_gib <= 0:
        return (False, _SOME_TOTAL, _bytes(total_gib), 0, -asked if asked else None)
    left = _left(free_gib, total_gib, pool, request)
    if _is_thin(pool, request):
        return _measure_thin(pool, asked, total_gib, left)
    room = floor(left * GIB)
    return (left >= asked / GIB, _THICK, asked, room, room - asked)


def _left(free: float, total: float, pool: PoolFigures, request: SpaceRequest) -> float:
    """GiB that are free and not reserved, rounded down."""
    percent = pool.reserved_percent if request.purpose is _CREATE else pool.reserved(request.purpose)
    grain = GIB if request.size % GIB else 1  # in units of 1 / grain GiB
    return floor((free - total * (float(percent) / 100)) * grain) / grain


def _is_thin(pool: PoolFigures, request: SpaceRequest) -> bool:
    thin = pool.thin
    return request.thin and thin is not False and (thin is True or pool.is_thin)


def _measure_free(pool: PoolFigures, asked: int, reserved: float) -> Measure:
    if reserved != 0:
        return (False, _NOTHING_RESERVED, asked, None, None)
    free = _gib(pool.free)
    return (asked / GIB <= free, _FREE_OF_UNKNOWN, asked, _bytes(free), _bytes(free) - asked)


def _measure_thin(pool: PoolFigures, asked: int, total: float, left: float) -> Measure:
    ratio, size, handed_out = float(pool.over_subscription), asked / GIB, pool.provisioned
    provisioned = handed_out / GIB if handed_out.__class__ is int else _gib(handed_out)
    if ratio < 1:
        return (False, _SOME_RATIO, asked, None, None)
    wanted, limit = floor(provisioned * GIB) + asked, floor(total * ratio * GIB)
    if (provisioned + size) / total > ratio:
        # A quotient that was rounded up: what exactly fits may be refused, as Manila refuses it.
        return (False, _PROVISIONED, wanted, limit, min(limit - wanted, -1))
    if left * ratio < size:
        virtual = _bytes(left * ratio)
        return (False, _VIRTUAL, asked, virtual, min(virtual - asked, -1))
    return (True, _PROVISIONED, wanted, limit, limit - wanted)


def reason(measured: Measure, pool: PoolFigures, request: SpaceRequest) -> str:
    """The arithmetic of a measure in words, as :func:`fits` has it."""
    fit, rule, _, _, room = measured
    size = format_size(request.size)
    after = "" if room is None else f"leaves {format_size(room)}" if fit else f"lacks {format_size(-room)}"
    if rule is _PROVISIONED or rule is _THICK or rule is _VIRTUAL:
        before, between = _around(rule, pool, request)
        return f"{before}{size}{between}{after}"
    if rule is _FREE_OF_UNKNOWN:
        return f"{_amount(pool.free)} free of an unknown total; {size} requested, {after}"
    if rule is _NO_NUMBERS:
        figures = f"total {pool.total!s:.40}, free {pool.free!s:.40}, provisioned {pool.provisioned!s:.40}"
        return f"it cannot be calculated with the pool's figures ({figures})"
    return _STATED[rule].format(ratio=pool.over_subscription, total=pool.total)


def phrases(pool: PoolFigures, request: SpaceRequest) -> tuple[str, str]:
    """The reason of a size that is within ``sure`` of :func:`headroom`: what stands before it, and after it."""
    if headroom(pool, request)[0] < 0:
        return "", ""
    before, between = _around(_PROVISIONED if _is_thin(pool, request) else _THICK, pool, request)
    return before, f"{between}leaves "


def _around(rule: str, pool: PoolFigures, request: SpaceRequest) -> tuple[str, str]:
    """What stands before the size in the arithmetic of a rule, and after it."""
    ratio = float(pool.over_subscription)
    if rule is _PROVISIONED:
        limit = format_size(floor(_gib(pool.total) * ratio * GIB))
        return f"{_amount(pool.provisioned)} provisioned + ", f" requested of {limit}{_times(ratio, pool.total)}, "
    times = f" x {ratio:g}" if rule is _VIRTUAL and ratio != 1 else ""
    less = _less(pool.reserved(request.purpose), pool.total)
    return f"{_amount(pool.free)} free{less}{_rounded(pool, request)}{times}; ", " requested, "


def _rounded(pool: PoolFigures, request: SpaceRequest) -> str:
    """What is left in whole GiB, where that is what counts and is less than there is."""
    free, total = _gib(pool.free), _gib(pool.total)
    whole = _left(free, total, pool, request)
    percent = float(pool.reserved(request.purpose))
    if request.size % GIB or whole == free - total * (percent / 100):
        return ""
    return f", in whole GiB {whole:g}"


_STATED = {
    _FREE_REPORTED: "the pool does not report what is free",
    _FREE_KNOWN: "what is free is unknown; the storage will say",
    _NOTHING_RESERVED: "its total is unknown, so the reserve cannot be calculated",
    _SOME_TOTAL: "the pool holds nothing: its total is {total}",
    _SOME_RATIO: "its over-subscription ratio {ratio} is below 1",
}


def _gib(amount: Amount) -> float:
    """An amount of bytes in GiB. Raises TypeError or ValueError for what is no number."""
    if amount.__class__ is int:
        return amount / GIB
    if isinstance(amount, bool) or not isinstance(amount, int | float | Fraction):
        raise TypeError(f"{amount!r} is no amount")
    return amount / GIB if isinstance(amount, int) else float(amount) / GIB


def _bytes(gib: float) -> int:
    return floor(gib * GIB)


def _amount(amount: Amount) -> str:
    if amount.__class__ is int:
        return format_size(amount)
    return format_size(_bytes(_gib(amount)))


@lru_cache(maxsize=1024)  # a few kinds of pools are all that there are
def _less(reserved_percent: Number, total: Amount) -> str:
    percent = float(reserved_percent)
    return f" - {percent:g} % of {_amount(total)} reserved" if percent else ""


@lru_cache(maxsize=1024)
def _times(ratio: float, total: Amount) -> str:
    return f" ({ratio:g} x {_amount(total)})" if ratio != 1 else ""


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
