"""The arithmetic of room: the verdict of Manila's capacity filter, and the limits that reservations keep."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsl.capacity import (
    GIB,
    UNKNOWN,
    Amount,
    PoolFigures,
    Purpose,
    SpaceRequest,
    fits,
    headroom,
    kept_back,
    measure,
    phrases,
    pool_limit,
)
from shareflow.contracts.units import format_size

OBSERVED = json.loads((Path(__file__).parent / "capacity_observed.json").read_text(encoding="utf-8"))


def _bytes(amount: Any) -> Any:
    return int(amount * GIB) if isinstance(amount, int | float) else amount


@pytest.mark.parametrize("case", OBSERVED["cases"], ids=lambda case: "-".join(str(value) for value in case))
def test_verdict_is_that_of_manila(case: list[Any]) -> None:
    """For the figures that Manila's filter was given, what it answered; where it raised, no."""
    given_ = dict(zip(OBSERVED["fields"], case, strict=True))
    pool = PoolFigures(
        total=_bytes(given_["total"]),
        free=_bytes(given_["free"]),
        provisioned=_bytes(given_["provisioned"]),
        reserved_percent=given_["reserved"],
        reserved_from_snapshot_percent=given_["reserved_snapshot"],
        reserved_extend_percent=given_["reserved_extend"],
        over_subscription=given_["ratio"],
        thin=given_["thin"],
    )
    request = SpaceRequest(given_["size"] * GIB, Purpose(given_["purpose"]), given_["type_is_thin"])
    assert bool(fits(pool, request)) is given_["fits"]


@pytest.mark.parametrize(
    ("pool", "request_", "reason"),
    [
        (PoolFigures(100 * GIB, 40 * GIB), SpaceRequest(12 * GIB), "40 GiB free; 12 GiB requested, leaves 28 GiB"),
        (
            PoolFigures(100 * GIB, 20 * GIB, reserved_percent=10),
            SpaceRequest(12 * GIB),
            "20 GiB free - 10 % of 100 GiB reserved; 12 GiB requested, lacks 2 GiB",
        ),
        (
            PoolFigures(100 * GIB, 90 * GIB, 96 * GIB, thin=True),
            SpaceRequest(12 * GIB),
            "96 GiB provisioned + 12 GiB requested of 100 GiB, lacks 8 GiB",
        ),
        (
            PoolFigures(100 * GIB, 90 * GIB, 96 * GIB, over_subscription=2, thin=True),
            SpaceRequest(12 * GIB),
            "96 GiB provisioned + 12 GiB requested of 200 GiB (2 x 100 GiB), leaves 92 GiB",
        ),
        (
            PoolFigures(100 * GIB, 10 * GIB, 96 * GIB, reserved_extend_percent=5, over_subscription=2, thin=True),
            SpaceRequest(12 * GIB, Purpose.EXTEND),
            "10 GiB free - 5 % of 100 GiB reserved x 2; 12 GiB requested, lacks 2 GiB",
        ),
        (
            PoolFigures(GIB, 179 * 2**20, over_subscription=50, thin=True),
            SpaceRequest(GIB),
            "179 MiB free, in whole GiB 0 x 50; 1 GiB requested, lacks 1 GiB",
        ),
        (
            PoolFigures(100 * GIB, 20 * GIB + GIB // 2, reserved_percent=10),
            SpaceRequest(12 * GIB),
            "20.50 GiB free - 10 % of 100 GiB reserved, in whole GiB 10; 12 GiB requested, lacks 2 GiB",
        ),
        (
            PoolFigures(UNKNOWN, 5 * GIB),
            SpaceRequest(GIB),
            "5 GiB free of an unknown total; 1 GiB requested, leaves 4 GiB",
        ),
        (PoolFigures(UNKNOWN, UNKNOWN), SpaceRequest(GIB), "what is free is unknown; the storage will say"),
        (PoolFigures(GIB, None), SpaceRequest(GIB), "the pool does not report what is free"),
        (PoolFigures(0, 0), SpaceRequest(GIB), "the pool holds nothing: its total is 0"),
        (
            PoolFigures(UNKNOWN, GIB, reserved_percent=1),
            SpaceRequest(GIB),
            "its total is unknown, so the reserve cannot be calculated",
        ),
        (
            PoolFigures(GIB, GIB, over_subscription=Fraction(1, 2), thin=True),
            SpaceRequest(GIB),
            "its over-subscription ratio 1/2 is below 1",
        ),
        (
            PoolFigures(GIB, "infinite"),
            SpaceRequest(GIB),
            "it cannot be calculated with the pool's figures (total 1073741824, free infinite, provisioned 0)",
        ),
    ],
)
def test_arithmetic_is_in_the_reason(pool: PoolFigures, request_: SpaceRequest, reason: str) -> None:
    """Every number that decided, and what is left or lacking."""
    assert fits(pool, request_).reason == reason


def test_small_requests_are_counted_to_the_byte() -> None:
    """Only a request of whole GiB is rounded as Manila rounds; a pool of less than that is no empty pool."""
    pool = PoolFigures(512 * 2**20, 512 * 2**20)
    assert fits(pool, SpaceRequest(512 * 2**20))
    assert not fits(pool, SpaceRequest(512 * 2**20 + 1))


amounts: st.SearchStrategy[Amount] = st.one_of(
    st.integers(-(2**62), 2**62),
    st.floats(),
    st.fractions(),
    st.none(),
    st.sampled_from(["unknown", "infinite"]),
    st.booleans(),
)


@given(
    st.builds(
        PoolFigures,
        total=amounts,
        free=amounts,
        provisioned=amounts,
        reserved_percent=st.fractions(0, 100),
        over_subscription=st.floats() | st.fractions(0, 1000),
        thin=st.booleans() | st.lists(st.booleans(), max_size=2),
    ),
    st.builds(SpaceRequest, size=st.integers(1, 2**62), purpose=st.sampled_from(Purpose), thin=st.booleans()),
)
def test_no_figures_make_it_fail(pool: PoolFigures, request_: SpaceRequest) -> None:
    """Whatever a driver reports there is a verdict with a reason, and the quick form has the same one."""
    verdict = fits(pool, request_)
    assert verdict.reason
    assert tuple(measure(pool, request_)) == verdict[:5]
    if not verdict.fits and verdict.room is not None:
        assert verdict.room < 0


@given(
    st.builds(
        PoolFigures,
        total=st.integers(1, 2**50) | amounts,
        free=st.integers(0, 2**50) | amounts,
        provisioned=st.integers(0, 2**51) | amounts,
        reserved_percent=st.fractions(0, 100),
        over_subscription=st.fractions(1, 10) | st.integers(0, 3),
        thin=st.booleans(),
    ),
    st.sampled_from(Purpose),
    st.booleans(),
    st.integers(1, 2**40),
    st.integers(-2, 2),
)
def test_what_is_sure_to_fit_fits_with_the_same_room_and_the_same_words(
    pool: PoolFigures, purpose: Purpose, thin: bool, size: int, beside: int
) -> None:
    """Also at the very edge of what is sure, for whole GiB and for bytes."""
    sure, _ = headroom(pool, SpaceRequest(size, purpose, thin))
    for asked in (size, max(sure + beside, 1), max(sure // GIB * GIB, GIB)):
        request = SpaceRequest(asked, purpose, thin)
        sure, left = headroom(pool, request)
        if asked <= sure:
            before, after = phrases(pool, request)
            words = f"{before}{format_size(asked)}{after}{format_size(left - asked)}"
            assert (True, left - asked, words) == (fits(pool, request).fits, *fits(pool, request)[4:])


@pytest.mark.parametrize(("total", "ratio"), [(-1, 1), (1, Fraction(1, 2))])
def test_figures_out_of_range_are_refused(total: int, ratio: Fraction | int) -> None:
    """A nonsensical figure is an error, never a strange limit."""
    with pytest.raises(ValueError, match="over-subscription"):
        pool_limit(total, ratio)


@given(st.integers(0, 2**60), st.fractions(1, 1000, max_denominator=10**6))
def test_limit_is_the_exact_floor(total: int, ratio: Fraction) -> None:
    """No float takes part, so the result is right to the byte at every size."""
    limit = pool_limit(total, ratio)
    assert limit is not None
    assert limit <= total * ratio < limit + 1
    assert pool_limit(None, ratio) is None


@given(st.integers(0, 2**60), st.fractions(0, 100, max_denominator=10**4))
def test_reserve_of_a_thick_pool_is_rounded_up(total: int, percent: Fraction) -> None:
    """What is kept back is never less than was promised; a thin pool keeps free space, not sizes."""
    kept = kept_back(total, percent, thin=False)
    assert kept - 1 < total * percent / 100 <= kept
    assert kept_back(total, percent, thin=True) == kept_back(None, percent, thin=False) == 0
