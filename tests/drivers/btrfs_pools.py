"""Real file systems on loop files, for tests."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

from drivers.btrfs import ioctls
from drivers.errors import DriverError
from drivers.tools import run
from tests.support.quick import quick_directory

GIB = 2**30


def btrfs_pool(folder: Path, size: int = 2 * GIB) -> contextlib.AbstractContextManager[Path]:
    """A mounted btrfs, with a short commit interval."""
    return loop_mount(folder, size, "btrfs", "noatime,commit=5")


@contextlib.contextmanager
def loop_mount(folder: Path, size: int, kind: str, options: str = "noatime") -> Iterator[Path]:
    """A mounted file system of ``size`` bytes (sparse) at a place below ``folder``. Unmounted and gone at the end."""
    mount = folder / f"{kind}-{uuid.uuid4().hex[:8]}"
    mount.mkdir(parents=True)
    with contextlib.ExitStack() as undo:
        # A folder that is a file system of its own is one whose room the test takes away from the device.
        place = folder if os.path.ismount(folder) else undo.enter_context(quick_directory())
        image = place / f"{uuid.uuid4().hex}.img"
        with image.open("wb") as stream:
            stream.truncate(size)
        loop = run(["losetup", "--find", "--show", "--", image], timeout=30).stdout.strip()
        undo.callback(run, ["losetup", "--detach", loop], timeout=30)
        run([f"mkfs.{kind}", "-q", "--", loop], timeout=60)
        mount_device(loop, mount, kind, options)
        undo.callback(unmount, mount)
        yield mount


def mount_device(device: str, mount: Path, kind: str = "btrfs", options: str = "noatime,commit=5") -> None:
    """Mount a device."""
    run(["mount", "-t", kind, "-o", options, "--", device, mount], timeout=30)


def unmount(mount: Path) -> None:
    """Unmount if it is mounted; lazily when something still holds it."""
    if not os.path.ismount(mount):
        return
    try:
        run(["umount", "--", mount], timeout=60)
    except DriverError:
        run(["umount", "--lazy", "--", mount], timeout=60)


def device_of(mount: Path) -> str:
    """The loop device that is mounted there."""
    return run(["findmnt", "--noheadings", "--output", "SOURCE", "--mountpoint", mount], timeout=30).stdout.strip()


def limit_of(volume: Path) -> int | None:
    """The limit that the kernel enforces on a subvolume now."""
    fd = os.open(volume, os.O_RDONLY | os.O_DIRECTORY)
    try:
        return ioctls.limit_of(fd, ioctls.subvolume_id(fd))
    finally:
        os.close(fd)


def subvolumes(mount: Path) -> list[str]:
    """Paths of all subvolumes of a file system, sorted; those that are only waiting to be freed are left out."""
    lines = run(["btrfs", "subvolume", "list", "--", mount], timeout=30).stdout.splitlines()
    return sorted(line.split(" path ", 1)[1] for line in lines)
