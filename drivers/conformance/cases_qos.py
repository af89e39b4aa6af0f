"""Quality of service: what a driver says it would enforce, what it then enforces, and how long."""

from __future__ import annotations

import pytest

from drivers.conformance.bench import LAST_EPOCH, Bench, needs
from drivers.conformance.cases_fencing import refused
from drivers.contract import Driver, ObjectRef
from drivers.errors import NotFound, Rejected
from shareflow.contracts.qos import (
    FLOORS,
    KEYS,
    LIMITS,
    MODIFIERS,
    SPLITS,
    TOTALS,
    KeyVerdict,
    Limits,
    Verdict,
    dimension,
)

GENEROUS = {"iops": 1_234_567, "throughput": 1_234_567_891}
"""Odd on purpose, and large enough for an array that counts in thousands or in whole MB/s."""
FACTORS = {"min": 1, "max": 2, "burst": 3}


def wish(bench: Bench, times: int = 1) -> dict[str, int | str]:
    """Limits that fit together, of every key that the driver supports; the scope is left as it is."""
    can = set(bench.capabilities.qos_supported)
    totals = {dimension(key) for key in TOTALS if key in can}
    found: dict[str, int | str] = {}
    for key in LIMITS:
        alone = key in SPLITS and dimension(key) in totals
        if key in can and not alone:
            found[key] = GENEROUS[dimension(key)] * FACTORS[key.partition("_")[0]] * times
    return found | {key: value for key, value in (("burst_for", 300), ("io_size", 16384)) if key in can}


def expected(driver: Driver, limits: Limits) -> dict[str, int | str]:
    """What the driver says that it would enforce of these limits."""
    return {key: verdict.value for key, verdict in driver.qos_verdict(limits).items() if verdict.value is not None}


class TestQosVerdict:
    """qos_verdict, which every driver has."""

    def test_supported_keys_are_standard_keys(self, bench: Bench) -> None:
        """Each once, each from the common vocabulary, and modifiers never without a limit."""
        supported = bench.capabilities.qos_supported
        assert len(set(supported)) == len(supported)
        assert set(supported) <= set(KEYS)
        assert not supported or set(supported) & set(LIMITS)

    def test_every_key_gets_one_verdict_and_undeclared_ones_are_unsupported(self, bench: Bench) -> None:
        """A driver says what it cannot do, key by key, and pretends nothing."""
        limits: dict[str, int | str] = {key: GENEROUS[dimension(key)] for key in LIMITS}
        limits |= zip(MODIFIERS, (60, 4096, "client"), strict=True)
        for key, value in limits.items():
            (verdict,) = bench.driver.qos_verdict({key: value}).values()
            assert isinstance(verdict, KeyVerdict)
            if key not in bench.capabilities.qos_supported:
                assert verdict.verdict is Verdict.UNSUPPORTED, f"{key} is not declared, its verdict is {verdict}"
                assert verdict.reason, f"{key} is unsupported without a reason"
        assert set(bench.driver.qos_verdict(limits)) == set(limits)
        assert dict(bench.driver.qos_verdict({})) == {}

    def test_unknown_key_is_unsupported(self, bench: Bench) -> None:
        """A later version may know more keys; an older driver says that it does not."""
        verdict = bench.driver.qos_verdict({"max_colour": 3})["max_colour"]
        assert verdict.verdict is Verdict.UNSUPPORTED

    def test_rounding_is_towards_the_promise(self, bench: Bench) -> None:
        """Floors up, ceilings and bursts down, never to nothing; what is exact is what was asked."""
        asked = wish(bench)
        for key, verdict in bench.driver.qos_verdict(asked).items():
            value, got = asked[key], verdict.value
            assert verdict.verdict is not Verdict.UNSUPPORTED, f"{key} is declared, its verdict is {verdict}"
            assert (got == value) == (verdict.verdict is Verdict.EXACT), f"{key}: {value} became {verdict}"
            if verdict.verdict is Verdict.ROUNDED:
                assert verdict.reason, f"{key} is rounded without a reason"
                assert isinstance(value, int)
                assert isinstance(got, int)
                assert got > value if key in FLOORS else 0 < got < value, f"{key}: {value} became {got}"

    def test_same_limits_always_get_the_same_verdicts(self, bench: Bench) -> None:
        """Placement and setting agree, in every process; asking changes nothing."""
        ref = bench.create()
        with bench.unchanged():
            answers = [dict(driver.qos_verdict(wish(bench))) for driver in (bench.driver, bench.another()) * 2]
        assert all(answer == answers[0] for answer in answers)
        assert bench.state(ref).complete


@needs("qos_supported")
class TestQos:
    """set_qos and enforced_qos."""

    def test_new_share_has_no_limits(self, bench: Bench) -> None:
        """Nothing is enforced that nobody asked for."""
        assert dict(bench.qos().enforced_qos(bench.create())) == {}

    def test_what_is_set_is_enforced_as_the_verdict_said(self, bench: Bench) -> None:
        """The answer, the verdicts and what is read back by another instance are one and the same."""
        ref, asked = bench.create(), wish(bench)
        said = expected(bench.driver, asked)
        assert dict(bench.qos().set_qos(ref, asked, bench.call())) == said
        assert dict(bench.qos().enforced_qos(ref)) == dict(bench.qos(bench.another()).enforced_qos(ref)) == said

    def test_each_supported_key_can_be_set_alone(self, bench: Bench) -> None:
        """A key does not need others that nobody asked for."""
        ref = bench.create()
        for key, value in wish(bench).items():
            if key in LIMITS and not key.startswith("burst"):
                said = expected(bench.driver, {key: value})
                assert dict(bench.qos().set_qos(ref, {key: value}, bench.call())) == said
                assert dict(bench.qos().enforced_qos(ref)) == said

    def test_ten_calls_are_as_good_as_one(self, bench: Bench) -> None:
        """Setting what is set succeeds and changes nothing."""
        ref, asked, call = bench.create(), wish(bench), bench.call()
        said = dict(bench.qos().set_qos(ref, asked, call))
        with bench.unchanged():
            for driver in (bench.driver, bench.another()) * 5:
                assert dict(bench.qos(driver).set_qos(ref, asked, call)) == said
        assert dict(bench.qos().enforced_qos(ref)) == said

    def test_new_limits_replace_all_old_ones(self, bench: Bench) -> None:
        """A key that is left out is not enforced any more; no limits at all is a way to be."""
        ref, asked = bench.create(), wish(bench)
        key = next(key for key in asked if key in LIMITS and not key.startswith("burst"))
        bench.qos().set_qos(ref, asked, bench.call())
        for limits in ({key: asked[key]}, wish(bench, 2), {}):
            bench.qos().set_qos(ref, limits, bench.call())
            assert dict(bench.qos().enforced_qos(ref)) == expected(bench.driver, limits)

    def test_unsupported_key_is_refused_and_nothing_is_set(self, bench: Bench) -> None:
        """All or nothing, and what was set before stays."""
        ref, asked = bench.create(), wish(bench)
        said = dict(bench.qos().set_qos(ref, asked, bench.call()))
        with bench.unchanged(), pytest.raises(Rejected):
            bench.qos().set_qos(ref, {**wish(bench, 2), "max_colour": 3}, bench.call())
        assert dict(bench.qos().enforced_qos(ref)) == said

    def test_limits_belong_to_one_share(self, bench: Bench) -> None:
        """Its neighbour has its own, or none."""
        ref, other, third = bench.create(), bench.create(), bench.create()
        bench.qos().set_qos(ref, wish(bench), bench.call())
        bench.qos().set_qos(other, wish(bench, 2), bench.call())
        assert dict(bench.qos().enforced_qos(ref)) == expected(bench.driver, wish(bench))
        assert dict(bench.qos().enforced_qos(third)) == {}

    def test_data_size_and_mode_stay(self, bench: Bench) -> None:
        """Nothing but the limits changes; and the limits stay when something else changes."""
        ref = bench.create()
        if bench.has("data"):
            bench.client.write(ref, "f", b"data")
        before = bench.state(ref)
        said = dict(bench.qos().set_qos(ref, wish(bench), bench.call()))
        state = bench.state(ref)
        assert (state.size, state.mode, state.complete) == (before.size, before.mode, True)
        bench.driver.resize_share(ref, bench.size * 2, bench.call())
        for mode in bench.capabilities.access_modes:
            bench.driver.set_access_mode(ref, mode, bench.call())
        bench.driver.create_share(ref, bench.size * 2, bench.call())
        assert dict(bench.qos().enforced_qos(ref)) == said
        if bench.has("data"):
            bench.driver.set_access_mode(ref, before.mode, bench.call())
            assert bench.client.tree(ref) == {"f": b"data"}

    @needs("revert")
    def test_revert_keeps_the_limits(self, bench: Bench) -> None:
        """They are the share's, not its content's."""
        ref = bench.create()
        snapshot = bench.snapshot(ref)
        said = dict(bench.qos().set_qos(ref, wish(bench), bench.call()))
        bench.revert(ref, snapshot, bench.call())
        assert dict(bench.qos().enforced_qos(ref)) == said

    @needs("clone")
    def test_clone_begins_without_limits(self, bench: Bench) -> None:
        """Whoever makes it says what it gets."""
        ref = bench.create()
        bench.qos().set_qos(ref, wish(bench), bench.call())
        assert dict(bench.qos().enforced_qos(bench.clone(bench.snapshot(ref)))) == {}

    @needs("snapshots")
    def test_snapshot_has_no_limits_of_its_own(self, bench: Bench) -> None:
        """It is no share."""
        snapshot = bench.snapshot(bench.create())
        with bench.unchanged(), pytest.raises(Rejected):
            bench.qos().set_qos(snapshot, wish(bench), bench.call())

    def test_limits_survive_the_end_of_every_instance(self, bench: Bench) -> None:
        """They are kept where the share is."""
        ref = bench.create()
        said = dict(bench.qos().set_qos(ref, wish(bench), bench.call()))
        bench.target.close()
        assert dict(bench.qos(bench.reopen()).enforced_qos(ref)) == said

    def test_missing_share_is_not_found(self, bench: Bench) -> None:
        """Neither before its create nor after its delete, which takes the limits along."""
        ref = bench.ref()
        self._not_found(bench, ref)
        made = bench.create()
        bench.qos().set_qos(made, wish(bench), bench.call())
        bench.delete(made)
        self._not_found(bench, made)

    @staticmethod
    def _not_found(bench: Bench, ref: ObjectRef) -> None:
        with bench.unchanged(), pytest.raises(NotFound):
            bench.qos().enforced_qos(ref)
        with bench.unchanged(), pytest.raises(NotFound):
            bench.qos().set_qos(ref, wish(bench), bench.call(LAST_EPOCH))

    def test_stale_call_is_refused(self, bench: Bench) -> None:
        """A zombie can neither give limits nor take them away."""
        ref = bench.create(epoch=5)
        said = dict(bench.qos().set_qos(ref, wish(bench), bench.call(5)))
        for limits in (wish(bench, 2), {}, wish(bench)):
            refused(bench, lambda driver, limits=limits: bench.qos(driver).set_qos(ref, limits, bench.call(4)))  # type: ignore[misc]
        assert dict(bench.qos().enforced_qos(ref)) == said

    def test_call_raises_the_fence(self, bench: Bench) -> None:
        """Also one that has nothing to do."""
        ref = bench.create(epoch=1)
        for epoch in (3, 5):
            bench.qos().set_qos(ref, wish(bench), bench.call(epoch))
            assert bench.state(ref).epoch == epoch
            refused(bench, lambda driver, epoch=epoch: driver.delete_share(ref, bench.call(epoch - 1)))  # type: ignore[misc]
