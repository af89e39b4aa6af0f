"""Limits on the fake array: steps of a decimal array, faults, and what tests can read back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from drivers.errors import Broken, Rejected, Unknown
from drivers.fake import FaultKind, forget_array
from shareflow.contracts.qos import KeyVerdict, Verdict
from tests.drivers.fakes import World, config_for, ref

MIB = 2**20


@pytest.fixture(params=["memory", "disk"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """An exact array, in memory and on disk."""
    yield from _world(config_for(request.param, tmp_path))


@pytest.fixture
def decimal(tmp_path: Path) -> Iterator[World]:
    """An array that counts in tens and in megabytes."""
    yield from _world(config_for("memory", tmp_path, qos_rounding="decimal"))


def _world(config: Any) -> Iterator[World]:
    world = World(config)
    yield world
    forget_array(world.array)


@pytest.mark.parametrize(
    ("key", "asked", "verdict", "value"),
    [
        ("max_iops", 1000, Verdict.EXACT, 1000),
        ("max_iops", 1009, Verdict.ROUNDED, 1000),
        ("min_iops", 1001, Verdict.ROUNDED, 1010),
        ("burst_iops", 19, Verdict.ROUNDED, 10),
        ("max_iops", 9, Verdict.UNSUPPORTED, None),
        ("min_iops", 1, Verdict.ROUNDED, 10),
        ("max_throughput", 500 * MIB, Verdict.ROUNDED, 524 * 10**6),
        ("min_throughput", 500 * MIB, Verdict.ROUNDED, 525 * 10**6),
        ("max_read_throughput", 10**6 - 1, Verdict.UNSUPPORTED, None),
        ("io_size", 4097, Verdict.EXACT, 4097),
        ("burst_for", 61, Verdict.EXACT, 61),
        ("scope", "client", Verdict.EXACT, "client"),
    ],
)
def test_decimal_array_rounds_towards_the_promise(
    decimal: World, key: str, asked: int | str, verdict: Verdict, value: int | str | None
) -> None:
    """Steps of 10 IOPS and of 10^6 bytes per second; what comes to nothing cannot be enforced."""
    found = decimal.driver.qos_verdict({key: asked})[key]
    assert (found.verdict, found.value) == (verdict, value)
    assert bool(found.reason) == (verdict is not Verdict.EXACT)


def test_decimal_array_enforces_what_it_said(decimal: World) -> None:
    """The rounded value is what is read back, and an instance with other steps reads the same."""
    share = decimal.share()
    assert decimal.driver.set_qos(share, {"max_iops": 1234}, decimal.call()) == {"max_iops": 1230}
    assert decimal.another(qos_rounding="none").enforced_qos(share) == {"max_iops": 1230}
    with pytest.raises(Rejected, match="max_iops: 5 IOPS is too small"):
        decimal.driver.set_qos(share, {"max_iops": 5}, decimal.call())


@pytest.mark.parametrize(
    ("key", "value"),
    [("max_iops", 0), ("max_iops", "5"), ("scope", "world"), ("scope", 1), ("io_size", -1), ("max_dreams", 5)],
)
def test_exact_array_enforces_every_key_and_no_nonsense(world: World, key: str, value: int | str) -> None:
    """What is no value of a key has no verdict but unsupported."""
    assert world.driver.qos_verdict({key: value})[key].verdict is Verdict.UNSUPPORTED
    assert world.driver.qos_verdict({"max_iops": 7}) == {"max_iops": KeyVerdict(Verdict.EXACT, 7)}


def test_test_can_read_back_what_is_enforced(world: World) -> None:
    """From the driver, and from the array's own record."""
    share = world.share()
    limits: dict[str, int | str] = {"max_iops": 7, "burst_iops": 9, "scope": "client"}
    world.driver.set_qos(share, limits, world.call())
    assert world.driver.enforced_qos(share) == limits
    (stored,) = (one for one in world.array.objects() if one.name == share.name)
    assert {limit.key: limit.value for limit in stored.qos} == limits
    assert [effect.verb for effect in world.array.ledger.effects()] == ["create_share", "set_qos"]
    world.driver.set_qos(share, limits, world.call())
    assert len(world.array.ledger.effects()) == 2
    assert world.sound()


def test_faults_come_to_limits_as_to_every_verb(world: World) -> None:
    """Half is half of the keys; an error after the effect leaves the effect; a wrong answer has none."""
    share, limits = world.share(), {"max_iops": 7, "max_throughput": 8}
    world.array.script.add(FaultKind.HALF, verb="set_qos")
    with pytest.raises(Broken):
        world.driver.set_qos(share, limits, world.call())
    assert world.driver.enforced_qos(share) == {"max_iops": 7}
    world.array.script.add(FaultKind.ERROR_AFTER_EFFECT, verb="set_qos")
    with pytest.raises(Unknown):
        world.driver.set_qos(share, limits, world.call())
    assert world.driver.enforced_qos(share) == limits
    world.array.script.add(FaultKind.WRONG_ANSWER, verb="set_qos")
    assert world.driver.set_qos(share, {}, world.call()) == {}
    world.array.script.add(FaultKind.WRONG_ANSWER, verb="enforced_qos")
    assert world.driver.enforced_qos(share) == {}
    assert world.driver.enforced_qos(share) == limits


def test_unknown_rounding_is_refused_by_name(tmp_path: Path) -> None:
    """The message says what is allowed."""
    with pytest.raises(Rejected, match=r"'qos_rounding'.*'binary'.*'none' and 'decimal'"):
        World(config_for("memory", tmp_path, qos_rounding="binary"))


def test_limits_of_a_pool_that_is_not_there_are_refused(world: World) -> None:
    """As every call on such a pool."""
    with pytest.raises(Rejected, match="pool 'p9' does not exist"):
        world.driver.enforced_qos(ref("p9"))
