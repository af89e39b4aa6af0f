"""The fake driver passes the conformance suite: in memory, on disk, with slow jobs, and as a decimal array."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from drivers.conformance import DriverUnderTest
from drivers.conformance.suite import *  # noqa: F403 - this is how the suite is used
from drivers.contract import BackendConfig, PoolConfig
from drivers.fake import FakeClient, FakeDriver, disk_array, fake_array, forget_array

SLOW = {f"{verb}_seconds": 0.015 for verb in ("snapshot", "clone", "revert", "delete", "receive")}
POOLS = (PoolConfig("p1", {"capacity": "1 GiB"}, {"media": "ssd", "zones": ("a", "b")}), PoolConfig("p2"))


@pytest.fixture(params=["memory", "disk", "memory-slow-jobs", "memory-decimal"])
def driver_under_test(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[DriverUnderTest]:
    """The fake driver with each store, whose ledger must find nothing wrong."""
    store, _, how = request.param.partition("-")
    special: dict[str, dict[str, object]] = {"slow-jobs": dict(SLOW), "decimal": {"qos_rounding": "decimal"}}
    options: dict[str, object] = {"store": store, **special.get(how, {})}
    if store == "disk":
        options["path"] = str(tmp_path / "array")
    deployment = f"conformance-{uuid.uuid4()}"
    state_dir = tmp_path / "state"
    state_dir.mkdir()
    config = BackendConfig("fake-1", deployment, POOLS, state_dir, options)
    peer = BackendConfig("fake-2", deployment, POOLS, state_dir)
    yield DriverUnderTest(
        FakeDriver, config, client=FakeClient, peer=DriverUnderTest(FakeDriver, peer, client=FakeClient)
    )
    array = disk_array(tmp_path / "array") if store == "disk" else fake_array(deployment, "fake-1")
    found = []
    for each in (array, fake_array(deployment, "fake-2")):
        found += [*each.ledger.verify_snapshots(), *each.ledger.audit(), *each.violations()]
        forget_array(each)
    assert found == []
