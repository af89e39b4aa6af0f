"""What pools promise: the sum of the floors in a pool is within its budget, as its bytes are within its capacity."""

from __future__ import annotations

from typing import NamedTuple

from shareflow.contracts.qos import DIMENSIONS, Floors, format_limit


class Budget(NamedTuple):
    """What a pool can promise in all; None: it declares no budget and promises nothing of that kind."""

    iops: int | None = None
    throughput: int | None = None


NO_BUDGET = Budget()


class BudgetVerdict(NamedTuple):
    """The answer, with its arithmetic.

    Attributes:
        fits: every floor that is wanted has a budget, and committed + wanted <= budget.
        reason: the arithmetic of each floor that is wanted, in words.
    """

    fits: bool
    reason: str


def fits_budget(budget: Budget, committed: Floors, wanted: Floors) -> BudgetVerdict:
    """Whether a pool can promise these floors beside those that it has promised already."""
    parts, fits = [], True
    for kind, limit, held, more in zip(DIMENSIONS, budget, committed, wanted, strict=True):
        if not more:
            continue
        key = f"min_{kind}"
        if limit is None:
            parts.append(f"the pool declares no budget of {kind}, so it promises no {key}")
            fits = False
            continue
        free = limit - held - more
        sums = f"{format_limit(key, held)} promised + {format_limit(key, more)} asked of {format_limit(key, limit)}"
        parts.append(f"{sums}, leaves {format_limit(key, free)}" if free >= 0 else f"{sums}, lacks {_lack(key, free)}")
        fits = fits and free >= 0
    return BudgetVerdict(fits, "; ".join(parts) or "no floor is asked for")


def _lack(key: str, free: int) -> str:
    return format_limit(key, -free)
