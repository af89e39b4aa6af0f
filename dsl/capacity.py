"""Whether a request fits into a pool: pure integer arithmetic, the same in placement, reservation and explanation."""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple, Protocol

from shareflow.contracts.units import format_size


class PoolFigures(Protocol):
    """The figures of a pool that count."""

    @property
    def limit_bytes(self) -> int | None:
        """Bytes that may be handed out in all, None when the pool has no limit."""

    @property
    def allocated_bytes(self) -> int:
        """Bytes that are handed out or reserved now."""


class SpaceRequest(Protocol):
    """What asks for room."""

    @property
    def size(self) -> int:
        """Bytes wanted."""


class CapacityVerdict(NamedTuple):
    """The answer, with its arithmetic.

    Attributes:
        fits: allocated + size <= limit.
        after: bytes that would be allocated.
        limit: bytes that may be allocated, None when there is no limit.
        free_after: bytes left afterwards, None when there is no limit; negative when it does not fit.
        reason: the arithmetic in words.
    """

    fits: bool
    after: int
    limit: int | None
    free_after: int | None
    reason: str


def pool_limit(
    total: int | None, over_subscription: Fraction | int = 1, reserved_percent: Fraction | int = 0
) -> int | None:
    """Bytes that may be handed out: ``floor(total * over_subscription * (100 - reserved_percent) / 100)``.

    Args:
        total: bytes that the pool can hold, None when unlimited or unknown.
        over_subscription: at least 1; 2 hands out twice what is there.
        reserved_percent: 0 to 100; kept back for the growth of what is already there.

    Returns:
        Bytes, or None for a pool without a limit. Exact: no floats, rounded down.

    Raises:
        ValueError: a figure is out of its range.
    """
    if total is None:
        return None
    if total < 0 or over_subscription < 1 or not 0 <= reserved_percent <= 100:
        raise ValueError(f"total {total}, over-subscription {over_subscription}, reserved {reserved_percent} %")
    share = Fraction(over_subscription) * (100 - Fraction(reserved_percent)) / 100
    return total * share.numerator // share.denominator


def fits(pool: PoolFigures, request: SpaceRequest) -> CapacityVerdict:
    """Whether ``allocated + size <= limit``; a pool without a limit holds everything."""
    limit, allocated, size = pool.limit_bytes, pool.allocated_bytes, request.size
    after = allocated + size
    if limit is None:
        return CapacityVerdict(True, after, None, None, "the pool has no limit")
    free = limit - after
    sums = f"{format_size(allocated)} allocated + {format_size(size)} requested"
    if free >= 0:
        reason = f"{sums} of {format_size(limit)}, leaves {format_size(free)}"
    else:
        reason = f"{sums} of {format_size(limit)}, lacks {format_size(-free)}"
    return CapacityVerdict(free >= 0, after, limit, free, reason)
