"""Quality of service: what a class comes to for a share, what a pool can promise, and what a pool makes of a class."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsl.qos import NO_FLOORS, Budget, Floors, PoolQos, QosKeys, effective, fits_budget, floors, judge, plan
from shareflow.contracts.qos import KEYS, LIMITS, MAX_IOPS, MAX_THROUGHPUT, KeyVerdict, Verdict, format_latency

MIB, GIB = 2**20, 2**30
EVERYTHING = PoolQos(KEYS, Budget(10**6, 10 * GIB))


def _qos(**keys: object) -> QosKeys:
    return QosKeys.model_validate(keys)


def _values(size: int, used: int = 0, **keys: Any) -> dict[str, int | str]:
    return effective(_qos(**keys), size, used).limits


# -- what a class comes to


@pytest.mark.parametrize(
    ("keys", "size", "limits"),
    [
        ({"max_iops": 5000}, 1, {"max_iops": 5000}),
        ({"max_iops": "5000 IOPS", "min_throughput": "1 MiB/s"}, 1, {"max_iops": 5000, "min_throughput": MIB}),
        ({"max_iops_per_gib": 3}, 100 * GIB, {"max_iops": 300}),
        ({"max_iops_per_gib": "0.3"}, 11 * GIB, {"max_iops": 3}),  # 3.3, down
        ({"min_iops_per_gib": "0.3"}, 11 * GIB, {"min_iops": 4}),  # 3.3, up
        ({"max_iops_per_gib": "0.3"}, 10 * GIB, {"max_iops": 3}),
        ({"min_iops_per_gib": "0.3"}, 10 * GIB, {"min_iops": 3}),
        ({"max_throughput_per_gib": "50 KiB/s"}, 3 * GIB // 2, {"max_throughput": 75 * 1024}),
        ({"max_iops_per_gib": 3, "max_iops_at_least": 500}, 100 * GIB, {"max_iops": 500}),
        ({"max_iops_per_gib": 3, "max_iops_at_most": 200}, 100 * GIB, {"max_iops": 200}),
        ({"max_iops_per_gib": 3, "max_iops": 250}, 100 * GIB, {"max_iops": 250}),
        ({"max_iops_per_gib": 3, "max_iops": 350}, 100 * GIB, {"max_iops": 300}),
        ({"max_iops_per_gib": 3, "max_iops": 400, "max_iops_at_least": 500}, 100 * GIB, {"max_iops": 400}),
        ({"max_read_iops": 10, "max_write_iops_per_gib": 1}, 5 * GIB, {"max_read_iops": 10, "max_write_iops": 5}),
        ({"max_iops": 1, "burst_iops": 2, "burst_for": "5 m"}, 1, {"max_iops": 1, "burst_iops": 2, "burst_for": 300}),
        ({"max_iops": 1, "io_size": 512, "scope": "client"}, 1, {"max_iops": 1, "io_size": 512, "scope": "client"}),
        ({"max_iops": 10, "latency_target": "2 ms"}, 1, {"max_iops": 10}),
    ],
)  # fmt: skip
def test_class_comes_to_exact_whole_numbers(keys: dict[str, Any], size: int, limits: dict[str, int | str]) -> None:
    """Clamp what is scaled, take the smaller of that and the absolute value; floors round up, ceilings down."""
    assert _values(size, **keys) == limits


def test_share_counts_by_the_bytes_that_its_class_counts() -> None:
    """``provisioned`` looks at the size, ``used`` at the bytes in use, and an empty share has the clamp."""
    keys = {"max_iops_per_gib": 10, "max_iops_at_least": 50}
    assert _values(100 * GIB, 20 * GIB, **keys) == {"max_iops": 1000}
    assert _values(100 * GIB, 20 * GIB, **keys, sized_by="used") == {"max_iops": 200}
    assert _values(100 * GIB, 0, **keys, sized_by="used") == {"max_iops": 50}


def test_ceiling_is_never_rounded_down_to_nothing() -> None:
    """No backend can enforce a limit of none; a share too small for one gets the smallest there is."""
    found = effective(_qos(max_iops_per_gib="0.001"), GIB)
    assert found.limits == {"max_iops": 1}
    assert "set to 1 IOPS" in found.arithmetic("max_iops")


def test_scaled_value_is_never_more_than_can_be_counted() -> None:
    """The largest share with the largest rates still has values of 64 bits, and a sum has room for more of them."""
    keys = {"max_iops_per_gib": MAX_IOPS, "max_throughput_per_gib": MAX_THROUGHPUT}
    assert _values(2**60, **keys) == {"max_iops": MAX_IOPS, "max_throughput": MAX_THROUGHPUT}


def test_burst_and_floor_give_way_to_the_ceiling_where_the_size_makes_them_cross() -> None:
    """A burst below its ceiling is raised to it, a floor above it is lowered, and the arithmetic says so."""
    found = effective(_qos(max_iops_per_gib=10, min_iops=500, burst_iops=2000), 10 * GIB)
    assert found.limits == {"max_iops": 100, "min_iops": 100, "burst_iops": 2000}
    assert found.arithmetic("min_iops") == "500 IOPS, lowered to the ceiling of 100 IOPS"
    grown = effective(_qos(max_iops_per_gib=10, min_iops=500, burst_iops=2000), 1000 * GIB)
    assert grown.limits == {"max_iops": 10_000, "min_iops": 500, "burst_iops": 10_000}
    assert grown.arithmetic("burst_iops") == "2000 IOPS, raised to the ceiling of 10000 IOPS"


def test_floor_gives_way_to_both_ceilings_of_a_split_together() -> None:
    """Reads and writes together can have the sum; with one of the two open there is no bound."""
    both = _values(GIB, max_read_iops=60, max_write_iops_per_gib=40, min_iops=500)
    assert both["min_iops"] == 100
    assert _values(GIB, max_read_iops=60, min_iops=500)["min_iops"] == 500


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ({"max_iops_per_gib": 3}, "3 IOPS per GiB x 10.50 GiB provisioned = 31 IOPS (rounded down)"),
        ({"min_iops_per_gib": "0.5"}, "0.5 IOPS per GiB x 10.50 GiB provisioned = 6 IOPS (rounded up)"),
        (
            {"max_throughput_per_gib": "1 MiB/s", "max_throughput_at_most": "5 MiB/s"},
            "1 MiB/s per GiB x 10.50 GiB provisioned = 10.50 MiB/s, at most 5 MiB/s",
        ),
        (
            {"max_iops_per_gib": 2, "max_iops_at_least": 100, "sized_by": "used"},
            "2 IOPS per GiB x 4 GiB used = 8 IOPS, at least 100 IOPS",
        ),
        ({"max_iops_per_gib": 2, "max_iops": 20}, "2 IOPS per GiB x 10.50 GiB provisioned = 21 IOPS, at most 20 IOPS"),
        ({"max_throughput": 1}, "1 B/s"),
    ],
)
def test_arithmetic_is_shown_in_words(keys: dict[str, object], text: str) -> None:
    """Whoever wonders about a number can follow it."""
    (key,) = effective(_qos(**keys), 21 * GIB // 2, 4 * GIB).keys
    assert key.arithmetic == text


_rates = st.fractions(min_value=Fraction(1, 1000), max_value=10**6, max_denominator=1000).filter(
    lambda rate: rate.denominator in (1, 2, 4, 5, 8, 10, 20, 25, 40, 50, 100, 125, 200, 250, 500, 1000)
)


@given(_rates, st.integers(1, 2**50), st.integers(1, 10**9) | st.none(), st.integers(1, 10**9) | st.none())
def test_rounding_is_towards_the_promise_and_by_less_than_one(
    rate: Fraction, size: int, least: int | None, most: int | None
) -> None:
    """A floor is never below its exact value, a ceiling never above; both are within one of it, and in the clamps."""
    most = most if most is None or least is None else max(most, least)
    clamps = {"at_least": least, "at_most": most}
    keys: dict[str, Any] = {
        **{f"{limit}_per_gib": rate for limit in ("max_iops", "min_iops")},
        **{f"{limit}_{form}": value for limit in ("max_iops", "min_iops") for form, value in clamps.items() if value},
    }
    clamped: Fraction = min(
        max(rate * size / GIB, Fraction(least or 1)), Fraction(most or MAX_IOPS), Fraction(MAX_IOPS)
    )
    found: dict[str, Any] = effective(_qos(**keys), size).limits
    ceiling, floor = found["max_iops"], found["min_iops"]
    assert ceiling <= clamped < ceiling + 1
    assert floor == min(-(-clamped.numerator // clamped.denominator), ceiling)


@given(_rates, st.integers(1, 2**50), st.integers(1, 2**50))
def test_larger_share_never_gets_less(rate: Fraction, size: int, more: int) -> None:
    """Growing a share takes nothing away."""
    small = _values(size, max_iops_per_gib=rate, min_iops_per_gib=rate)
    large = _values(size + more, max_iops_per_gib=rate, min_iops_per_gib=rate)
    assert all(int(small[key]) <= int(large[key]) for key in small)


def test_floors_of_a_share_are_what_a_pool_has_to_promise() -> None:
    """Floors and nothing else."""
    assert floors(effective(_qos(min_iops=5, max_throughput=7, min_throughput=6), GIB)) == Floors(5, 6)
    assert floors(effective(_qos(max_iops=5), GIB)) == NO_FLOORS


# -- what a pool can promise


@pytest.mark.parametrize(
    ("budget", "committed", "wanted", "fits", "reason"),
    [
        (Budget(100), Floors(60), Floors(40), True, "60 IOPS promised + 40 IOPS asked of 100 IOPS, leaves 0 IOPS"),
        (Budget(100), Floors(60), Floors(41), False, "60 IOPS promised + 41 IOPS asked of 100 IOPS, lacks 1 IOPS"),
        (Budget(), NO_FLOORS, NO_FLOORS, True, "no floor is asked for"),
        (Budget(), NO_FLOORS, Floors(1), False, "the pool declares no budget of iops, so it promises no min_iops"),
        (
            Budget(9, 3),
            Floors(1, 1),
            Floors(1, 3),
            False,
            (
                "1 IOPS promised + 1 IOPS asked of 9 IOPS, leaves 7 IOPS; "
                "1 B/s promised + 3 B/s asked of 3 B/s, lacks 1 B/s"
            ),
        ),
        (Budget(5), Floors(9), NO_FLOORS, True, "no floor is asked for"),  # a budget that was lowered since
    ],
)  # fmt: skip
def test_floors_fit_while_their_sum_is_within_the_budget(
    budget: Budget, committed: Floors, wanted: Floors, fits: bool, reason: str
) -> None:
    """Each kind by itself, to the last one; the reason holds the arithmetic."""
    assert fits_budget(budget, committed, wanted) == (fits, reason)


def test_floors_beyond_others_are_what_has_to_be_reserved() -> None:
    """More of one kind is not paid by less of the other."""
    assert Floors(5, 1).beyond(Floors(3, 4)) == Floors(2, 0)


# -- what a pool makes of a class


def _judged(enforce: str, **verdicts: KeyVerdict) -> tuple[bool, tuple[str, ...]]:
    judgement = judge(_qos(max_iops=1, enforce=enforce), verdicts)
    return judgement.ok, judgement.unsupported


def test_unsupported_key_rejects_a_pool_only_when_it_is_required() -> None:
    """Best effort is reported, not refused; rounding is no reason to refuse."""
    exact, rounded = KeyVerdict(Verdict.EXACT, 1), KeyVerdict(Verdict.ROUNDED, 2, "in steps of 2")
    missing = KeyVerdict(Verdict.UNSUPPORTED)
    assert _judged("required", max_iops=exact, min_iops=rounded) == (True, ())
    assert _judged("required", max_iops=exact, min_iops=missing) == (False, ("min_iops",))
    assert _judged("best_effort", max_iops=exact, min_iops=missing) == (True, ("min_iops",))
    assert judge(_qos(max_iops=1), {"max_iops": missing}).reason == "`max_iops`: not supported"


def test_latency_target_is_never_a_reason_to_refuse() -> None:
    """It is advisory: no driver is even asked."""
    qos = _qos(latency_target="500 us")
    made = plan(qos, effective(qos, GIB), PoolQos())
    assert (made.judgement.ok, dict(made.limits), dict(made.verdicts)) == (True, {}, {})


def _plan(pool: PoolQos, **keys: object) -> Any:
    qos = _qos(**keys)
    return plan(qos, effective(qos, GIB), pool)


def test_pool_is_asked_for_what_it_can_and_told_of_the_rest() -> None:
    """Keys that it does not have are left out of what is set there, with the reason."""
    made = _plan(PoolQos(("max_iops",)), max_iops=10, max_throughput=20, enforce="best_effort")
    assert dict(made.limits) == {"max_iops": 10}
    assert made.judgement == (True, ("max_throughput",), "`max_throughput`: the driver does not enforce it")
    assert not _plan(PoolQos(("max_iops",)), max_iops=10, max_throughput=20).judgement.ok


def test_floor_that_no_budget_backs_is_not_promised() -> None:
    """A driver's ability is not enough: the pool has to account for it."""
    made = _plan(PoolQos(KEYS, Budget(throughput=GIB)), min_iops=10, min_throughput=20, enforce="best_effort")
    assert dict(made.limits) == {"min_throughput": 20}
    assert made.floors == Floors(0, 20)
    assert made.verdicts["min_iops"].reason == "the pool declares no budget of iops"
    assert _plan(EVERYTHING, min_iops=10, min_throughput=20).floors == Floors(10, 20)


def test_limit_per_client_is_never_set_as_one_for_the_whole_share() -> None:
    """Without the scope the other keys would mean something else, so none of them is set."""
    pool = PoolQos(tuple(key for key in KEYS if key != "scope"))
    made = _plan(pool, max_iops=10, scope="client", enforce="best_effort")
    assert dict(made.limits) == {}
    assert set(made.judgement.unsupported) == {"max_iops", "scope"}
    assert "no limit per client" in made.judgement.reason


def test_modifier_without_any_limit_is_not_set() -> None:
    """How large an I/O is says nothing where no limit is left."""
    assert dict(_plan(PoolQos(("io_size",)), max_iops=10, io_size="4 KiB", enforce="best_effort").limits) == {}


def test_everything_is_asked_of_a_pool_that_can_do_everything() -> None:
    """All ten limits and all modifiers have a place."""
    keys: dict[str, object] = {key: 7 for key in LIMITS if "read" not in key and "write" not in key}
    made = _plan(EVERYTHING, **keys, burst_for=60, io_size=4096)
    assert set(made.limits) == {*keys, "burst_for", "io_size"}
    assert all(verdict.verdict is Verdict.EXACT for verdict in made.verdicts.values())


def test_latency_is_shown_in_the_largest_unit() -> None:
    """For people."""
    assert [format_latency(value) for value in (500, 2000, 3_000_000, 1_500)] == ["500 us", "2 ms", "3 s", "1500 us"]
