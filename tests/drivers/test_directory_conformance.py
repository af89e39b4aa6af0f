"""The directory driver passes the conformance suite: with copies made within the call, and with copies as jobs."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from drivers.conformance import DriverUnderTest
from drivers.conformance.suite import *  # noqa: F403 - this is how the suite is used
from drivers.contract import BackendConfig, PoolConfig
from drivers.directory import DirectoryDriver
from tests.drivers.export_client import ExportClient


@pytest.fixture(params=["inline", "jobs"])
def driver_under_test(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[DriverUnderTest]:
    """Two pools on the file system of the temporary directory."""
    options: dict[str, object] = {"inline_limit": 0} if request.param == "jobs" else {}
    pools = (
        PoolConfig("p1", {"path": str(tmp_path / "one")}, {"media": "ssd", "zones": ("a", "b")}),
        PoolConfig("p2", {"path": "two", "capacity": "1 GiB"}),
    )
    config = BackendConfig("directory-1", f"conformance-{uuid.uuid4()}", pools, tmp_path / "state", options)
    config.state_dir.mkdir()
    target = DriverUnderTest(DirectoryDriver, config, client=ExportClient)
    yield target
    target.close()
