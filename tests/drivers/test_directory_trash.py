"""Deleting what is hard to delete."""

from __future__ import annotations

import codecs
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from drivers.contract import JobState
from drivers.directory import DirectoryDriver
from drivers.mover import copy_tree
from drivers.recorded import deletes
from drivers.tools import run
from tests.drivers.bed import SIZE, Bed, call, done, finish, in_child, ref

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.fixture
def bed(tmp_path: Path) -> Iterator[Bed]:
    """A pool on the file system of the temporary directory."""
    bed = Bed(DirectoryDriver, tmp_path / "pool", tmp_path / "state")
    bed.state_dir.mkdir()
    yield bed
    bed.close()


def trash(bed: Bed) -> list[str]:
    """What lies in the trash."""
    return [path.name for path in (bed.root / ".shareflow" / "trash").iterdir()]


def make_deep(folder: Path, levels: int) -> None:
    """A chain of directories whose path is far longer than any path can be."""
    fd = os.open(folder, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir("d" * 30, dir_fd=fd)
        below = os.open("d" * 30, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(fd)


def test_tree_deeper_than_any_path_is_deleted(bed: Bed) -> None:
    """Depth is no obstacle: neither the length of a path nor the number of open files nor recursion bounds it."""
    driver, share = bed.open(), ref()
    driver.create_share(share, SIZE, call())
    make_deep(driver.data_path(share), 1500)
    done(lambda: driver.delete_share(share, call("d")))
    assert trash(bed) == []


def test_large_tree_is_gone_at_once_and_its_space_later(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    """The share is deleted when the first call returns; the job is done when the last file is removed."""
    monkeypatch.setattr(deletes, "PATIENCE", 0.0)
    driver, share = bed.open(), ref()
    driver.create_share(share, SIZE, call())
    for index in range(2000):
        (driver.data_path(share) / f"f{index}").touch()
    assert driver.delete_share(share, call("d")).state is JobState.RUNNING
    assert driver.observe(share) is None
    assert not driver.export_path(share).exists()
    done(lambda: driver.delete_share(share, call("d")))
    assert trash(bed) == []


@needs_root
def test_file_that_cannot_be_removed_fails_the_job_with_its_reason_and_not_the_delete(bed: Bed) -> None:
    """An immutable file keeps its space, and nothing else: the share is gone, and the same call goes on later."""
    driver, share = bed.open(), ref()
    driver.create_share(share, SIZE, call())
    stuck = driver.data_path(share) / "stuck"
    stuck.touch()
    run(["chattr", "+i", "--", stuck], timeout=10)
    job = finish(lambda: driver.delete_share(share, call("d")))
    assert job.state is JobState.FAILED
    assert "stuck" in job.message
    assert driver.observe(share) is None
    (left,) = (bed.root / ".shareflow" / "trash").rglob("stuck")
    run(["chattr", "-i", "--", left], timeout=10)
    done(lambda: driver.delete_share(share, call("d")))
    assert trash(bed) == []


@needs_root
def test_delete_never_goes_into_what_is_mounted_inside(bed: Bed, tmp_path: Path) -> None:
    """Files of another file system that is mounted in a share are not deleted with it."""
    driver, share, away = bed.open(), ref(), tmp_path / "away"
    driver.create_share(share, SIZE, call())
    away.mkdir()
    (away / "precious").touch()
    inner = driver.data_path(share) / "mnt"
    inner.mkdir()
    run(["mount", "--bind", "--", away, inner], timeout=10)
    try:
        assert finish(lambda: driver.delete_share(share, call("d"))).state is JobState.FAILED
    finally:
        (moved,) = (bed.root / ".shareflow" / "trash").rglob("mnt")
        run(["umount", "--", moved], timeout=10)
    assert (away / "precious").exists()
    done(lambda: driver.delete_share(share, call("d")))
    assert trash(bed) == []


def test_deletes_of_one_share_at_the_same_time_all_succeed(bed: Bed) -> None:
    """Several processes may work on one trash."""
    driver, share = bed.open(), ref()
    driver.create_share(share, SIZE, call())
    for index in range(300):
        folder = driver.data_path(share) / f"d{index % 20}" / f"e{index}"
        folder.mkdir(parents=True)
        (folder / "f").touch()
    drivers = [bed.open() for _ in range(4)]
    barrier = threading.Barrier(4)

    def delete(index: int) -> None:
        barrier.wait()
        done(lambda: drivers[index].delete_share(share, call("d")))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(delete, range(4)))
    assert trash(bed) == []


def test_listing_sweeps_what_a_killed_delete_left(bed: Bed) -> None:
    """Nobody has to ask again for a delete whose process is gone: the next listing frees the space."""
    bed.open().pools()
    left = bed.root / ".shareflow" / "trash" / f"{ref().name}.0000"
    (left / "data" / "d").mkdir(parents=True)
    (left / "data" / "d" / "f").touch()
    bed.open().list_objects("p")
    deadline = time.monotonic() + 10
    while trash(bed):
        assert time.monotonic() < deadline
        time.sleep(0.01)


@needs_root
def test_whole_life_of_a_share_without_root(bed: Bed, tmp_path: Path) -> None:
    """An ordinary user can do everything, with directories that clients made unreadable and unwritable."""
    codecs.lookup("ascii")  # the child may not read where Python is installed
    copy_tree(tmp_path / "state", tmp_path / "copy")
    work = tmp_path / "work"
    work.mkdir()
    work.chmod(0o777)
    for folder in (tmp_path, *tmp_path.parents):
        folder.chmod(folder.stat().st_mode | 0o005)
    bed.root, bed.state_dir = work / "pool", work / "state"

    def live() -> None:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
        bed.state_dir.mkdir()
        driver, share, snapshot, clone = bed.open(), ref(), ref(), ref()
        driver.create_share(share, SIZE, call())
        data = driver.data_path(share)
        (data / "closed").mkdir()
        (data / "closed" / "f").write_text("x")
        (data / "closed").chmod(0o500)
        data.chmod(0o555)
        done(lambda: driver.create_snapshot(share, snapshot, call("s")))
        done(lambda: driver.clone_snapshot(snapshot, clone, SIZE, call("c")))
        assert (driver.data_path(clone) / "closed" / "f").read_text() == "x"
        done(lambda: driver.revert_share(share, snapshot, call("r")))
        done(lambda: driver.delete_share(clone, call("d1")))
        done(lambda: driver.delete_share(share, call("d2")))
        done(lambda: driver.delete_snapshot(snapshot, call("d3")))
        assert driver.list_objects("p").objects == ()
        assert bed.residue() == []
        bed.close()

    assert in_child(live) == 0
