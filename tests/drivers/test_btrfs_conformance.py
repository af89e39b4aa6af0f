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


@pytest.fixture(scope="module")
def other_mount(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Another file system, with which snapshots are exchanged."""
    with btrfs_pool(tmp_path_factory.mktemp("btrfs-other")) as mount:
        yield mount


@pytest.fixture
def driver_under_test(mount: Path, other_mount: Path, tmp_path: Path) -> Iterator[DriverUnderTest]:
    """Two pools in directories of a file system, one on another; no subvolume is left at the end."""
    deployment = f"conformance-{uuid.uuid4()}"
    peer = under_test(BackendConfig("btrfs-2", deployment, pools_on(other_mount, "p1"), tmp_path / "peer"))
    target = under_test(BackendConfig("btrfs-1", deployment, pools_on(mount, "p1", "p2"), tmp_path), peer)
    yield target
    target.close()
    assert subvolumes(mount) == []
    assert subvolumes(other_mount) == []


def under_test(config: BackendConfig, peer: DriverUnderTest | None = None) -> DriverUnderTest:
    """The driver on these pools."""
    config.state_dir.mkdir(exist_ok=True)
    return DriverUnderTest(BtrfsDriver, config, client=ExportClient, peer=peer)


def pools_on(mount: Path, *names: str) -> list[PoolConfig]:
    """Pools in fresh directories of a file system."""
    pools = []
    for name in names:
        root = mount / f"{name}-{uuid.uuid4().hex}"
        root.mkdir()
        pools.append(PoolConfig(name, {"path": str(root)}, {"media": "ssd"}))
    return pools
