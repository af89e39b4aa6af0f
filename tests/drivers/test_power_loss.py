"""The power goes: what had reached the disk is mounted, and must be what was answered, or can be made again.

The disk is a loop file. At every crash window of a call, and when it has answered, the file is copied as it is: that is
what a machine would find after a power cut at that moment. The file system commits only when it is asked to.
"""

from __future__ import annotations

import contextlib
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from drivers import crash
from drivers.btrfs import BtrfsDriver
from drivers.contract import AccessMode, ObjectRef
from drivers.directory import DirectoryDriver
from drivers.recorded import RecordedDriver
from drivers.tools import run
from tests.drivers.bed import MIB, Bed
from tests.drivers.btrfs_pools import mount_device, unmount
from tests.drivers.crash_cases import (
    Clone,
    Close,
    Create,
    DeleteShare,
    Open,
    Operation,
    Resize,
    Revert,
    Scene,
    Snapshot,
    assert_whole,
)

pytestmark = pytest.mark.needs("driver-btrfs")

OPTIONS = "noatime,commit=300"
KINDS: dict[str, type[RecordedDriver]] = {"ext4": DirectoryDriver, "btrfs": BtrfsDriver}
ANSWERED = "answered"


class Disk:
    """A loop file with a file system in it, and copies of it at moments."""

    def __init__(self, folder: Path, kind: str) -> None:
        self.image = folder / "disk.img"
        self.mount = folder / "mount"
        self.copies: dict[str, Path] = {}
        self._folder = folder
        self._kind = kind
        self.mount.mkdir()
        with self.image.open("wb") as stream:
            stream.truncate(160 * MIB)
        run([f"mkfs.{kind}", "-q", "--", self.image], timeout=60)

    @contextlib.contextmanager
    def mounted(self, image: Path) -> Iterator[None]:
        """The file system of an image, mounted in the one place of the pool."""
        loop = run(["losetup", "--find", "--show", "--", image], timeout=30).stdout.strip()
        try:
            mount_device(loop, self.mount, self._kind, OPTIONS)
            yield
        finally:
            unmount(self.mount)
            run(["losetup", "--detach", loop], timeout=30)
            if self._kind == "btrfs":
                run(["btrfs", "device", "scan", "--forget"], timeout=30, check=False)

    def cut(self, moment: str) -> None:
        """What would be found if the power went now; the last time a moment comes counts."""
        copy = self.copies.setdefault(moment, self._folder / f"{uuid.uuid4().hex}.img")
        run(["cp", "--sparse=always", "--", self.image, copy], timeout=60)


@pytest.fixture(params=sorted(KINDS))
def kind(request: pytest.FixtureRequest) -> str:
    """Each file system with the driver that is meant for it."""
    found: str = request.param
    return found


@pytest.mark.parametrize(
    "operation", [Create, Snapshot, Clone, Revert, Resize, Close, Open, DeleteShare], ids=lambda each: each.__name__
)
def test_power_cut_at_any_moment_loses_nothing_that_was_answered(
    tmp_path: Path, kind: str, operation: type[Operation]
) -> None:
    """After a cut inside a call the same call heals it; after a cut behind it, its effect is there without it."""
    act, scene, disk = operation(), Scene(), Disk(tmp_path, kind)
    with disk.mounted(disk.image):
        bed = make_bed(tmp_path, disk, kind)
        driver = bed.open()
        scene.prepare(driver)
        act.ready(driver, scene)
        run(["sync", "--file-system", "--", disk.mount], timeout=60)
        crash.hook = disk.cut
        try:
            act.act(driver, scene)
        finally:
            crash.hook = None
        disk.cut(ANSWERED)
        bed.close()
    assert len(disk.copies) > 2
    for moment, image in disk.copies.items():
        with disk.mounted(image):
            check(make_bed(tmp_path, disk, kind), act, scene, answered=moment == ANSWERED)
        image.unlink()


def make_bed(folder: Path, disk: Disk, kind: str) -> Bed:
    """The pool on the disk; the worker's own state directory is on another one and starts empty."""
    state = folder / uuid.uuid4().hex
    state.mkdir()
    return Bed(KINDS[kind], disk.mount, state, pool_options={"initialize": not disk.copies})


def check(bed: Bed, act: Operation, scene: Scene, *, answered: bool) -> None:
    """What must hold on a disk after the power came back."""
    driver = bed.open()
    act.after_kill(driver, scene)
    if answered:
        assert {state.ref for state in driver.list_objects("p").objects if state.complete} == act.objects(scene)
        expected_mode(act, driver, scene.share)
    act.act(driver, scene)
    act.after(driver, scene)
    assert_whole(bed, driver, act.objects(scene))
    bed.close()
    shutil.rmtree(bed.state_dir)


def expected_mode(act: Operation, driver: RecordedDriver, share: ObjectRef) -> None:
    """A mode that was answered is the mode after the cut."""
    wanted = getattr(act, "mode", AccessMode.RW)
    state = driver.observe(share)
    assert state is None or state.mode is wanted
