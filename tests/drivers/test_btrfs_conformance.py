"""The btrfs driver passes the conformance suite on a real file system."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from drivers.btrfs import BtrfsDriver
from drivers.conformance import DriverUnderTest
from drivers.conformance.suite import *  # noqa: F403 - this is how the suite is used
from drivers.contract import BackendConfig, PoolConfig
from tests.drivers.btrfs_pools import btrfs_pool, subvolumes
from tests.drivers.export_client import ExportClient

pytestmark = pytest.mark.needs("driver-btrfs")


@pytest.fixture(scope="module")
def mount(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One file system for all tests of the module."""
    with btrfs_pool(tmp_path_factory.mktemp("btrfs")) as mount:
        yield mount


@pytest.fixture
def driver_under_test(mount: Path, tmp_path: Path) -> Iterator[DriverUnderTest]:
    """Two pools in directories of the file system; no subvolume is left at the end."""
    pools = []
    for name in ("p1", "p2"):
        root = mount / f"{name}-{uuid.uuid4().hex}"
        root.mkdir()
        pools.append(PoolConfig(name, {"path": str(root)}, {"media": "ssd"}))
    config = BackendConfig("btrfs-1", f"conformance-{uuid.uuid4()}", pools, tmp_path)
    target = DriverUnderTest(BtrfsDriver, config, client=ExportClient)
    yield target
    target.close()
    assert subvolumes(mount) == []
