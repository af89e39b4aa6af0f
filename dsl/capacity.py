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


class Measure(NamedTuple):
    """What was compared to find out whether a request fits.

    Attributes:
        fits: the answer.
        rule: what was compared, as text.
        left, right: its two sides in bytes, None where a side is not known.
        room: bytes left after the request, negative when it does not fit; None when that is not known.
    """

    fits: bool
    rule: str
    left: int | None
    right: int | None
    room: int | None


class CapacityVerdict(NamedTuple):
    """The answer, with its arithmetic. True or false as a whole.

    Attributes:
        fits, rule, left, right, room: see :class:`Measure`.
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


def fits(pool: PoolFigures, request: SpaceRequest, measured: Measure | None = None) -> CapacityVerdict:
    """Whether the request fits into the pool. Pure; raises nothing, whatever the figures are.

    Args:
        pool: the figures.
        request: what asks for room.
        measured: what :func:`measure` says of the same two, when that is known already.
    """
    found = measured or measure(pool, request)
    return _new(CapacityVerdict, (*found, _reason(found, pool, request)))


def measure(pool: PoolFigures, request: SpaceRequest) -> Measure:
    """As :func:`fits`, without the words: what is asked of every pool of many."""
    try:
        return _measure(pool, request)
    except (TypeError, ValueError, ArithmeticError):
        return Measure(False, _NO_NUMBERS, request.size, None, None)


# One is made for every pool; this way takes half the time of a call of the class.
_new = tuple.__new__

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
    asked, free = request.size, pool.free
    reserved = float(pool.reserved(request.purpose)) / 100
    if free is None:
        return Measure(False, _FREE_REPORTED, asked, None, None)
    if free == UNKNOWN:
        return Measure(True, _FREE_KNOWN, asked, None, None)
    if pool.total == UNKNOWN:
        return _measure_free(pool, asked, reserved)
    total = pool.total / GIB if pool.total.__class__ is int else _gib(pool.total)
    free_gib, size = free / GIB if free.__class__ is int else _gib(free), asked / GIB
    if total <= 0:
        return Measure(False, _SOME_TOTAL, _bytes(total), 0, -asked if asked else None)
    grain = 1 if asked % GIB == 0 else GIB  # in units of 1 / grain GiB
    left = floor((free_gib - total * reserved) * grain) / grain
    if request.thin and pool.thin is not False and (pool.thin is True or pool.is_thin):
        return _measure_thin(pool, asked, total, left)
    room = floor(left * GIB)
    return _new(Measure, (left >= size, _THICK, asked, room, room - asked))


def _measure_free(pool: PoolFigures, asked: int, reserved: float) -> Measure:
    if reserved != 0:
        return Measure(False, _NOTHING_RESERVED, asked, None, None)
    free = _gib(pool.free)
    return Measure(asked / GIB <= free, _FREE_OF_UNKNOWN, asked, _bytes(free), _bytes(free) - asked)


def _measure_thin(pool: PoolFigures, asked: int, total: float, left: float) -> Measure:
    ratio, provisioned, size = float(pool.over_subscription), _gib(pool.provisioned), asked / GIB
    if ratio < 1:
        return Measure(False, _SOME_RATIO, asked, None, None)
    wanted, limit = floor(provisioned * GIB) + asked, floor(total * ratio * GIB)
    if (provisioned + size) / total > ratio:
        # A quotient that was rounded up: what exactly fits may be refused, as Manila refuses it.
        return Measure(False, _PROVISIONED, wanted, limit, min(limit - wanted, -1))
    if left * ratio < size:
        virtual = _bytes(left * ratio)
        return Measure(False, _VIRTUAL, asked, virtual, min(virtual - asked, -1))
    return _new(Measure, (True, _PROVISIONED, wanted, limit, limit - wanted))


def _reason(measured: Measure, pool: PoolFigures, request: SpaceRequest) -> str:
    """The arithmetic of a measure in words."""
    rule, room, size = measured.rule, measured.room, format_size(request.size)
    after = "" if room is None else f"leaves {format_size(room)}" if measured.fits else f"lacks {format_size(-room)}"
    if rule is _PROVISIONED:
        handed_out = f"{_amount(pool.provisioned)} provisioned + {size} requested"
        return f"{handed_out} of {format_size(measured.right or 0)}{_times(pool)}, {after}"
    if rule is _THICK or rule is _VIRTUAL:
        times = f" x {float(pool.over_subscription):g}" if rule is _VIRTUAL and pool.over_subscription != 1 else ""
        return f"{_amount(pool.free)} free{_less(pool, request)}{times}; {size} requested, {after}"
    if rule is _FREE_OF_UNKNOWN:
        return f"{_amount(pool.free)} free of an unknown total; {size} requested, {after}"
    if rule is _NO_NUMBERS:
        figures = f"total {pool.total!s:.40}, free {pool.free!s:.40}, provisioned {pool.provisioned!s:.40}"
        return f"it cannot be calculated with the pool's figures ({figures})"
    return _STATED[rule].format(ratio=pool.over_subscription, total=pool.total)


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


def _less(pool: PoolFigures, request: SpaceRequest) -> str:
    percent = float(pool.reserved(request.purpose))
    return f" - {percent:g} % of {_amount(pool.total)} reserved" if percent else ""


def _times(pool: PoolFigures) -> str:
    ratio = float(pool.over_subscription)
    return f" ({ratio:g} x {_amount(pool.total)})" if ratio != 1 else ""


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
