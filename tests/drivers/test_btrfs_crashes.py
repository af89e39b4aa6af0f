"""The btrfs driver, killed in every window, on a real file system."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from drivers.btrfs import BtrfsDriver
from tests.drivers.bed import SIZE, Bed, call, done, killed_at
from tests.drivers.btrfs_pools import btrfs_pool, limit_of, subvolumes
from tests.drivers.chaos_cases import killed_again_and_again_loses_nothing
from tests.drivers.crash_cases import *  # noqa: F403 - the cases are common to all drivers of the family
from tests.drivers.crash_cases import MakeBed, Operation, Resize, Revert, Scene, acted, windows_of

pytestmark = pytest.mark.needs("driver-btrfs")


@pytest.fixture(scope="module")
def mount(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One file system for all tests of the module."""
    with btrfs_pool(tmp_path_factory.mktemp("btrfs")) as mount:
        yield mount


@pytest.fixture
def make_bed(mount: Path, tmp_path: Path) -> Iterator[MakeBed]:
    """Pools in directories of one file system. Their objects are removed at the end."""
    beds: list[Bed] = []

    def make() -> Bed:
        name = f"{tmp_path.name}-{len(beds)}"
        (mount / name).mkdir()
        (tmp_path / name).mkdir()
        beds.append(Bed(BtrfsDriver, mount / name, tmp_path / name))
        return beds[-1]

    yield make
    for bed in beds:
        wipe(bed)
        bed.close()


def wipe(bed: Bed) -> None:
    """Delete everything in a pool."""
    driver = bed.open()
    for state in driver.list_objects("p").objects:
        remove = driver.delete_share if state.kind == "share" else driver.delete_snapshot
        done(partial(remove, state.ref, call("wipe", 99)))
    assert [path for path in subvolumes(bed.root) if path.startswith(f"{bed.root.name}/")] == []


def test_limit_is_that_of_the_record_after_a_killed_resize_or_revert(make_bed: MakeBed) -> None:
    """The size that the driver reports is the one that the kernel enforces, whatever was killed and made again."""
    cases: list[tuple[Operation, int]] = [(Resize(), 2 * SIZE), (Revert(), SIZE)]
    for operation, size in cases:
        for window, occurrence in windows_of(make_bed(), operation):
            bed, scene = make_bed(), Scene()
            scene.prepare(bed.open())
            assert killed_at(window, occurrence, partial(acted, operation, bed, scene))
            driver = bed.open()
            operation.act(driver, scene)
            assert limit_of(driver.data_path(scene.share)) == size


def test_resize_killed_after_the_limit_and_taken_back_restores_the_limit(make_bed: MakeBed) -> None:
    """An undo that sets the size that the record still has sets the limit too."""
    bed, scene = make_bed(), Scene()
    scene.prepare(bed.open())
    assert killed_at("resize.limited", 1, lambda: Resize().act(bed.open(), scene))
    driver = bed.open()
    assert limit_of(driver.data_path(scene.share)) == 2 * SIZE
    driver.resize_share(scene.share, SIZE, call("undo", 3))
    assert limit_of(driver.data_path(scene.share)) == SIZE


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_worker_killed_again_and_again_loses_nothing(make_bed: MakeBed, seed: int) -> None:
    """Killed at any moment, restarted, killed again: the end is the same as without a kill."""
    killed_again_and_again_loses_nothing(make_bed(), seed)
