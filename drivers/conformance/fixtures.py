"""The fixtures of the suite. ``driver_under_test`` comes from the plugin or from the test tree that uses the suite."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from drivers.conformance.bench import Bench
from drivers.conformance.under_test import DriverUnderTest


@pytest.fixture
def bench(request: pytest.FixtureRequest, driver_under_test: DriverUnderTest) -> Iterator[Bench]:
    """The workbench of one test; skips the test when the driver does not declare what it needs."""
    try:
        workbench = Bench(driver_under_test)
        wanted = (*_wanted(request.cls), *_wanted(request.function))
        if missing := [name for name in wanted if not workbench.has(name)]:
            pytest.skip(f"not declared by the driver: {', '.join(missing)}")
        yield workbench
        workbench.clean_up()
    finally:
        driver_under_test.close()


def _wanted(target: object) -> tuple[str, ...]:
    wanted: tuple[str, ...] = getattr(target, "conformance_needs", ())
    return wanted
