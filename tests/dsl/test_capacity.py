"""The arithmetic of room."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsl.capacity import fits, pool_limit

GIB = 2**30


@dataclass(frozen=True)
class Pool:
    """The figures alone."""

    limit_bytes: int | None
    allocated_bytes: int


@dataclass(frozen=True)
class Request:
    """The size alone."""

    size: int


def test_request_that_fills_the_pool_exactly_fits() -> None:
    """The limit itself may be handed out, one byte more may not."""
    assert fits(Pool(100, 60), Request(40)).fits
    assert not fits(Pool(100, 60), Request(41)).fits


def test_arithmetic_is_in_the_reason() -> None:
    """What is allocated, what is asked for, the limit, and what is left or lacking."""
    room = fits(Pool(100 * GIB, 96 * GIB), Request(12 * GIB))
    assert room == (
        False,
        108 * GIB,
        100 * GIB,
        -8 * GIB,
        "96 GiB allocated + 12 GiB requested of 100 GiB, lacks 8 GiB",
    )
    assert fits(Pool(100 * GIB, 0), Request(GIB)).reason == "0 B allocated + 1 GiB requested of 100 GiB, leaves 99 GiB"


def test_pool_without_a_limit_holds_everything() -> None:
    """None is no limit, not an unknown one."""
    room = fits(Pool(None, 10**18), Request(10**18))
    assert (room.fits, room.free_after, room.limit) == (True, None, None)


@pytest.mark.parametrize(("total", "ratio", "percent"), [(-1, 1, 0), (1, Fraction(1, 2), 0), (1, 1, -1), (1, 1, 101)])
def test_figures_out_of_range_are_refused(total: int, ratio: Fraction | int, percent: int) -> None:
    """A nonsensical figure is an error, never a strange limit."""
    with pytest.raises(ValueError, match="over-subscription"):
        pool_limit(total, ratio, percent)


@given(
    st.integers(0, 2**60),
    st.fractions(1, 1000, max_denominator=10**6),
    st.fractions(0, 100, max_denominator=10**4),
)
def test_limit_is_the_exact_floor(total: int, ratio: Fraction, percent: Fraction) -> None:
    """No float takes part, so the result is right to the byte at every size."""
    limit = pool_limit(total, ratio, percent)
    exact = total * ratio * (100 - percent) / 100
    assert limit is not None
    assert limit <= exact < limit + 1
