"""The driver conformance suite: the contract of :mod:`drivers.contract` as tests that any driver can be put to.

From the command line, for a driver of your own::

    python -m drivers.conformance --driver mypkg.mydriver:MyDriver --options options.yaml

Inside a test tree::

    from drivers.conformance.suite import *

    @pytest.fixture
    def driver_under_test(tmp_path): return DriverUnderTest(MyDriver, BackendConfig(...))

The package needs pytest; no module outside it imports it.
"""

from __future__ import annotations

import pytest

ASSERTING_MODULES = tuple(
    f"drivers.conformance.{module}"
    for module in (
        "bench", "cases_access", "cases_capabilities", "cases_clones", "cases_concurrency", "cases_fencing",
        "cases_hostile", "cases_jobs", "cases_qos", "cases_reverts", "cases_shares", "cases_snapshots",
        "cases_transfer", "cases_writers",
    )
)  # fmt: skip
"""Modules whose asserts pytest shows with their values."""

pytest.register_assert_rewrite(*ASSERTING_MODULES)

from drivers.conformance.client import Client, PathClient  # noqa: E402
from drivers.conformance.under_test import DriverUnderTest, load_driver, load_options  # noqa: E402

__all__ = ["Client", "DriverUnderTest", "PathClient", "load_driver", "load_options"]
