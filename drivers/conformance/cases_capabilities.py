"""What a driver says of itself: capabilities, options, pools."""

from __future__ import annotations

import dataclasses
import re

import pytest

from drivers.conformance.bench import Bench
from drivers.conformance.under_test import DriverUnderTest
from drivers.contract import (
    AccessMode,
    PoolConfig,
    SupportsClone,
    SupportsHostAccess,
    SupportsQos,
    SupportsRevert,
    SupportsSnapshots,
    SupportsTransfer,
)
from drivers.errors import Rejected

_CLASSES: dict[str, type] = {
    "snapshots": SupportsSnapshots,
    "clone": SupportsClone,
    "revert": SupportsRevert,
    "host_access": SupportsHostAccess,
    "qos_supported": SupportsQos,
    "transfer": SupportsTransfer,
}


class TestCapabilities:
    """Declared and implemented are the same thing."""

    @pytest.mark.parametrize("name", sorted(_CLASSES))
    def test_declared_capability_is_implemented_and_no_other(self, bench: Bench, name: str) -> None:
        """A capability is declared exactly when its class is implemented."""
        declared = bool(getattr(bench.capabilities, name))
        implemented = isinstance(bench.driver, _CLASSES[name])
        assert declared == implemented, f"{name}: declared {declared}, {_CLASSES[name].__name__} {implemented}"

    def test_capabilities_fit_together(self, bench: Bench) -> None:
        """``rw`` is always a mode, a driver speaks some protocol, clone and revert need snapshots."""
        found = bench.capabilities
        assert AccessMode.RW in found.access_modes
        assert set(found.access_modes) <= set(AccessMode)
        assert len(set(found.access_modes)) == len(found.access_modes)
        assert found.protocols
        assert all(type(name) is str and name for name in found.protocols)
        assert found.snapshot_space in {"shared", "full"}
        assert found.snapshots or not (found.clone or found.revert)
        assert not found.transfer or (found.snapshots and found.clone and found.revert)

    def test_capabilities_never_change(self, bench: Bench) -> None:
        """Capabilities may depend on the machine, never on time."""
        bench.create()
        assert bench.driver.capabilities() == bench.capabilities == bench.another().capabilities()

    def test_driver_has_a_name(self, bench: Bench) -> None:
        """Specs choose a driver by its name."""
        name = type(bench.driver).name
        assert re.fullmatch(r"[a-z][a-z0-9_-]*", name), f"{name!r} is not a name of lower-case letters, digits, - and _"


class TestOptions:
    """The constructor refuses what it does not know."""

    def test_unknown_backend_option_is_refused_by_name(self, driver_under_test: DriverUnderTest) -> None:
        """An unknown option of the backend is Rejected, and the message names it."""
        options = {**driver_under_test.config.options, "no_such_option_x1": 7}
        with pytest.raises(Rejected) as refused:
            driver_under_test.driver_class(dataclasses.replace(driver_under_test.config, options=options))
        assert "no_such_option_x1" in refused.value.reason

    def test_unknown_pool_option_is_refused_by_name(self, driver_under_test: DriverUnderTest) -> None:
        """An unknown option of a pool is Rejected, and the message names it."""
        first, *others = driver_under_test.config.pools
        wrong = PoolConfig(first.name, {**first.options, "no_such_option_x2": 7}, first.attributes)
        with pytest.raises(Rejected) as refused:
            driver_under_test.driver_class(dataclasses.replace(driver_under_test.config, pools=(wrong, *others)))
        assert "no_such_option_x2" in refused.value.reason

    def test_many_instances_open_and_close(self, driver_under_test: DriverUnderTest) -> None:
        """Instances can be opened and closed at will; closing twice is harmless."""
        for _ in range(5):
            driver = driver_under_test.driver_class(driver_under_test.config)
            driver.pools()
            driver.close()
            driver.close()


class TestPools:
    """Figures of the pools."""

    def test_every_configured_pool_is_reported_once(self, bench: Bench) -> None:
        """Pools are the configured ones, no more and no fewer."""
        reported = [report.name for report in bench.driver.pools()]
        assert sorted(reported) == sorted(pool.name for pool in bench.target.config.pools)

    def test_pool_figures_are_plausible(self, bench: Bench) -> None:
        """Free is between nothing and the total; figures are whole bytes."""
        bench.create()
        for report in bench.driver.pools():
            for figure in (report.total, report.free):
                assert figure is None or (type(figure) is int and figure >= 0), report
            if report.total is not None and report.free is not None:
                assert report.free <= report.total, report

    def test_pool_reports_its_configured_attributes(self, bench: Bench) -> None:
        """What the spec says of a pool is reported, so that share types can require it."""
        reports = {report.name: report for report in bench.driver.pools()}
        for pool in bench.target.config.pools:
            for key, value in pool.attributes.items():
                assert reports[pool.name].attributes.get(key) == value, f"attribute {key} of pool {pool.name}"

    def test_reported_quota_enforcement_is_the_declared_one(self, bench: Bench) -> None:
        """A pool does not promise enforced quotas that the driver does not declare."""
        for report in bench.driver.pools():
            said = report.attributes.get("quota_enforced", bench.capabilities.quota_enforced)
            assert said == bench.capabilities.quota_enforced or not said, report

    def test_pools_is_read_only(self, bench: Bench) -> None:
        """Asking for figures changes nothing."""
        bench.create()
        with bench.unchanged():
            for _ in range(10):
                bench.driver.pools()
