"""What the directory driver copies, how, and what happens when the copy is disturbed."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from drivers.contract import AccessMode, JobState, ObjectRef
from drivers.directory import DirectoryDriver
from drivers.errors import Broken, Busy, Conflict, NotFound, OverUsed, PoolFull
from drivers.mover import compare_trees
from drivers.posix import allocated_bytes
from drivers.recorded import RecordedDriver
from tests.drivers.bed import MIB, SIZE, Bed, call, done, finish, in_child, ref
from tests.drivers.btrfs_pools import btrfs_pool, loop_mount
from tests.mover.trees import processes_of

SLOW = {"inline_limit": 0, "bandwidth": "4 MiB"}


@pytest.fixture
def bed(tmp_path: Path) -> Iterator[Bed]:
    """A pool on the file system of the temporary directory."""
    bed = Bed(DirectoryDriver, tmp_path / "pool", tmp_path / "state")
    bed.state_dir.mkdir()
    yield bed
    bed.close()


def share_with(driver: RecordedDriver, size: int, files: int = 1) -> ObjectRef:
    """A share that holds this many bytes of noise."""
    share = ref()
    driver.create_share(share, 64 * MIB, call())
    for index in range(files):
        (driver.data_path(share) / f"f{index}").write_bytes(os.urandom(size // files))
    return share


def copies(bed: Bed) -> int:
    """Copy jobs that this worker has records of."""
    folder = bed.state_dir / "copies"
    return len(list(folder.iterdir())) if folder.is_dir() else 0


def test_small_tree_is_copied_within_the_call(bed: Bed) -> None:
    """A small snapshot is done when the call returns, and no process was started for it."""
    driver = bed.open()
    share, snapshot = share_with(driver, MIB, 10), ref()
    assert driver.create_snapshot(share, snapshot, call()).state is JobState.DONE
    assert copies(bed) == 0
    assert compare_trees(driver.data_path(share), driver.data_path(snapshot)) == []


@pytest.mark.parametrize(("size", "files"), [(17 * MIB, 1), (MIB, 256)], ids=["large", "many"])
def test_larger_tree_is_copied_by_a_job_that_reports_progress(bed: Bed, size: int, files: int) -> None:
    """A snapshot that takes long is a job; it is complete when it says so, and leaves no job behind."""
    driver = bed.open()
    share, snapshot = share_with(driver, size, files), ref()
    first = driver.create_snapshot(share, snapshot, call())
    assert first.state is JobState.RUNNING
    state = driver.observe(snapshot)
    assert state is not None
    assert not state.complete
    with pytest.raises(NotFound):
        driver.data_path(snapshot)
    done(lambda: driver.create_snapshot(share, snapshot, call()))
    assert compare_trees(driver.data_path(share), driver.data_path(snapshot)) == []
    assert copies(bed) == 0


def test_clone_shows_its_progress_and_its_files_only_when_done(bed: Bed) -> None:
    """Clients do not see a half-made share, and bytes done grow to the total."""
    bed.options = SLOW
    driver = bed.open()
    share, snapshot, clone = share_with(driver, 3 * MIB, 6), ref(), ref()
    done(lambda: driver.create_snapshot(share, snapshot, call("s")))
    seen = []
    while (job := driver.clone_snapshot(snapshot, clone, 64 * MIB, call("c"))).state is JobState.RUNNING:
        assert not driver.export_path(clone).exists()
        seen.append(job.bytes_done)
        time.sleep(0.02)
    assert job.state is JobState.DONE
    assert seen == sorted(seen)
    assert 0 < seen[-1] <= 3 * MIB
    assert compare_trees(driver.data_path(snapshot), driver.data_path(clone)) == []


def test_copy_whose_process_is_killed_goes_on_with_the_same_call(bed: Bed) -> None:
    """A copy that died is not a failed job: the next call takes it up."""
    bed.options = SLOW
    driver = bed.open()
    share, snapshot, clone = share_with(driver, 3 * MIB, 6), ref(), ref()
    done(lambda: driver.create_snapshot(share, snapshot, call("s")))
    driver.clone_snapshot(snapshot, clone, 64 * MIB, call("c"))
    (job,) = (bed.state_dir / "copies").iterdir()
    deadline = time.monotonic() + 10
    killed = False
    while not killed:
        assert time.monotonic() < deadline
        for process in processes_of(job):
            os.kill(process, signal.SIGKILL)
            killed = True
        time.sleep(0.01)
    assert driver.clone_snapshot(snapshot, clone, 64 * MIB, call("c")).state is JobState.RUNNING
    done(lambda: driver.clone_snapshot(snapshot, clone, 64 * MIB, call("c")))
    assert compare_trees(driver.data_path(snapshot), driver.data_path(clone)) == []


def test_killed_worker_is_no_loss_the_next_one_finds_the_copy(bed: Bed) -> None:
    """The process that started a clone is killed; another process takes the same call to its end."""
    bed.options = SLOW
    driver = bed.open()
    share, snapshot, clone = share_with(driver, 2 * MIB, 4), ref(), ref()
    done(lambda: driver.create_snapshot(share, snapshot, call("s")))

    def start_and_die() -> None:
        bed.open().clone_snapshot(snapshot, clone, 64 * MIB, call("c"))
        os.kill(os.getpid(), signal.SIGKILL)

    assert os.WTERMSIG(in_child(start_and_die)) == signal.SIGKILL
    survivor = bed.open()
    done(lambda: survivor.clone_snapshot(snapshot, clone, 64 * MIB, call("c")))
    assert compare_trees(driver.data_path(snapshot), driver.data_path(clone)) == []


def test_source_of_a_running_copy_is_busy_and_free_after_its_cancel(bed: Bed) -> None:
    """A snapshot cannot be deleted, and its share not reverted or deleted, under a copy that reads it."""
    bed.options = SLOW
    driver = bed.open()
    share, first, second = share_with(driver, 2 * MIB, 4), ref(), ref()
    done(lambda: driver.create_snapshot(share, first, call("first")))
    assert driver.create_snapshot(share, second, call("second")).state is JobState.RUNNING
    with pytest.raises(Busy):
        driver.delete_share(share, call("d"))
    with pytest.raises(Busy):
        driver.revert_share(share, first, call("r"))
    assert driver.cancel_job(call("second")).state is JobState.CANCELLED
    done(lambda: driver.revert_share(share, first, call("r")))
    assert driver.revert_share(share, first, call("r2")).state is JobState.RUNNING
    with pytest.raises(Busy):
        driver.delete_snapshot(first, call("d"))
    done(lambda: driver.delete_share(share, call("d")))
    done(lambda: driver.delete_snapshot(first, call("d")))
    done(lambda: driver.delete_snapshot(second, call("d")))
    assert bed.residue() == []


def test_newer_operation_takes_over_a_half_made_snapshot_and_freezes_the_share_as_it_is_then(bed: Bed) -> None:
    """The content is that of the moment of the call that completed, not of one that was given up before."""
    bed.options = SLOW
    driver = bed.open()
    share, snapshot = share_with(driver, 2 * MIB, 4), ref()
    assert driver.create_snapshot(share, snapshot, call("s", 1, "one")).state is JobState.RUNNING
    (driver.data_path(share) / "f0").write_text("later")
    done(lambda: driver.create_snapshot(share, snapshot, call("s", 2, "two")))
    assert (driver.data_path(snapshot) / "f0").read_text() == "later"
    assert copies(bed) == 0


def test_half_made_clone_is_not_created_and_not_cloned_from_elsewhere(bed: Bed) -> None:
    """While a copy fills the share, other requests for its name wait or are refused."""
    bed.options = SLOW
    driver = bed.open()
    share, snapshot, other, clone = share_with(driver, 2 * MIB, 4), ref(), ref(), ref()
    done(lambda: driver.create_snapshot(share, snapshot, call("s")))
    done(lambda: driver.create_snapshot(share, other, call("o")))
    driver.clone_snapshot(snapshot, clone, 64 * MIB, call("c"))
    with pytest.raises(Busy):
        driver.create_share(clone, 64 * MIB, call("x"))
    with pytest.raises(Conflict):
        driver.clone_snapshot(other, clone, 64 * MIB, call("x"))
    driver.cancel_job(call("c"))
    with pytest.raises(Conflict):
        driver.create_share(clone, 64 * MIB, call("x"))


def test_snapshot_of_a_share_that_is_written_to_all_the_time_is_taken(bed: Bed) -> None:
    """Clients are not waited for: the snapshot is not one point in time, and says so in its capabilities."""
    driver = bed.open()
    share, snapshot = share_with(driver, 4 * MIB, 40), ref()
    stop, folder = threading.Event(), driver.data_path(share)

    def keep_writing() -> None:
        count = 0
        while not stop.is_set():
            count += 1
            fresh = folder / ".fresh"
            fresh.write_bytes(os.urandom(1000))
            fresh.replace(folder / f"f{count % 40}")
            (folder / f"come-and-go-{count % 7}").mkdir(exist_ok=True)
            (folder / f"come-and-go-{(count + 3) % 7}").rmdir() if count > 10 else None

    writer = threading.Thread(target=keep_writing)
    writer.start()
    try:
        for _ in range(5):
            target = ref()
            done(partial(driver.create_snapshot, share, target, call(target.name)))
        done(lambda: driver.create_snapshot(share, snapshot, call()))
    finally:
        stop.set()
        writer.join()
    assert not driver.capabilities().snapshots_atomic
    assert len([path for path in driver.data_path(snapshot).iterdir() if path.name.startswith("f")]) == 40


def test_copy_goes_on_while_the_share_is_closed_and_opened(bed: Bed) -> None:
    """A mode change moves the share, but not the path that the host reads it under."""
    bed.options = SLOW
    driver = bed.open()
    share, snapshot = share_with(driver, 2 * MIB, 4), ref()
    path = driver.data_path(share)
    driver.create_snapshot(share, snapshot, call("s"))
    driver.set_access_mode(share, AccessMode.NONE, call("close"))
    assert not driver.export_path(share).exists()
    assert driver.data_path(share) == path
    assert (path / "f0").is_file()
    done(lambda: driver.create_snapshot(share, snapshot, call("s")))
    driver.set_access_mode(share, AccessMode.RW, call("open"))
    assert compare_trees(path, driver.data_path(snapshot)) == []


def test_closed_share_cannot_be_replaced_by_a_directory_of_the_same_name(bed: Bed) -> None:
    """A client that makes missing directories does not get a share of its own in the place of the closed one."""
    driver, share = bed.open(), ref()
    driver.create_share(share, SIZE, call())
    driver.set_access_mode(share, AccessMode.NONE, call("close"))
    with pytest.raises(OSError, match=r"directory|exists"):
        (driver.export_path(share) / "d").mkdir(parents=True)
    driver.set_access_mode(share, AccessMode.RW, call("open"))
    assert list(driver.export_path(share).iterdir()) == []


def test_used_bytes_count_blocks_not_holes_and_hard_links_once(bed: Bed) -> None:
    """A sparse file costs what is written in it, a file with two names costs once."""
    driver, share = bed.open(), ref()
    driver.create_share(share, SIZE, call())
    empty, folder = driver.used_bytes(share), driver.data_path(share)
    with (folder / "sparse").open("wb") as stream:
        stream.truncate(MIB * 1024)
    (folder / "a").write_bytes(os.urandom(MIB))
    (folder / "b").hardlink_to(folder / "a")
    assert MIB <= driver.used_bytes(share) - empty < 2 * MIB
    with pytest.raises(OverUsed) as refused:
        driver.resize_share(share, MIB // 2, call("r"))
    assert refused.value.used == driver.used_bytes(share)
    assert driver.resize_share(share, 2 * MIB, call("r")).size == 2 * MIB


def test_count_gives_up_when_it_is_told_to(tmp_path: Path) -> None:
    """A bounded count of a large tree has no answer rather than a wrong one."""
    for index in range(10):
        (tmp_path / str(index)).touch()
    assert allocated_bytes(tmp_path, lambda files, _: files < 5) is None
    assert allocated_bytes(tmp_path, lambda files, _: files <= 10) == allocated_bytes(tmp_path)


def test_share_whose_data_was_removed_by_hand_is_broken_not_empty(bed: Bed) -> None:
    """Lost data is said aloud: no call answers as if there were an empty share; the delete still works."""
    driver, share = bed.open(), ref()
    driver.create_share(share, SIZE, call())
    (bed.root / "shares" / share.name / "data").rmdir()
    state = driver.observe(share)
    assert state is not None
    assert not state.complete
    for attempt in (
        lambda: driver.create_share(share, SIZE, call()),
        lambda: driver.resize_share(share, SIZE, call()),
        lambda: driver.used_bytes(share),
        lambda: driver.data_path(share),
        lambda: driver.create_snapshot(share, ref(), call()),
    ):
        with pytest.raises(Broken) as refused:
            attempt()
        assert refused.value.residue == (share.name,)
    done(lambda: driver.delete_share(share, call("d")))
    assert driver.observe(share) is None


@pytest.fixture
def small_bed(tmp_path: Path) -> Iterator[Bed]:
    """A pool on an ext4 of its own, with a share of 24 MiB and room for less than that."""
    with loop_mount(tmp_path / "disk", 100 * MIB, "ext4") as mount:
        (tmp_path / "state").mkdir()
        bed = Bed(DirectoryDriver, mount, tmp_path / "state", {"inline_limit": "100 MiB"})
        yield bed
        bed.close()


@pytest.mark.needs("driver-btrfs")
@pytest.mark.parametrize("inline", [True, False], ids=["inline", "job"])
def test_pool_without_room_for_a_copy_is_left_as_it_was(small_bed: Bed, *, inline: bool) -> None:
    """A copy within the call is PoolFull and takes everything back; a job fails, says why, and its delete cleans up."""
    small_bed.options = {"inline_limit": "100 MiB" if inline else 0}
    driver, snapshot = small_bed.open(), ref()
    share = share_with(driver, 24 * MIB, 4)
    ballast = small_bed.root / "shares" / "ballast"
    with ballast.open("wb") as stream:
        state = os.statvfs(small_bed.root)
        os.posix_fallocate(stream.fileno(), 0, state.f_bavail * state.f_frsize - 8 * MIB)
    if inline:
        with pytest.raises(PoolFull):
            driver.create_snapshot(share, snapshot, call("s"))
        assert driver.observe(snapshot) is None
        assert small_bed.residue() == []
    else:
        job = finish(lambda: driver.create_snapshot(share, snapshot, call("s")))
        assert job.state is JobState.FAILED
        assert "D105" in job.message
        with pytest.raises(NotFound):
            driver.clone_snapshot(snapshot, ref(), 64 * MIB, call("c"))
    ballast.unlink()
    done(lambda: driver.create_snapshot(share, snapshot, call("s")))
    assert compare_trees(driver.data_path(share), driver.data_path(snapshot)) == []
    done(lambda: driver.delete_snapshot(snapshot, call("d")))
    assert small_bed.residue() == []


@pytest.mark.needs("driver-btrfs")
@pytest.mark.parametrize("mode", [AccessMode.RW, AccessMode.NONE])
def test_share_goes_from_a_file_system_that_has_no_block_left(tmp_path: Path, mode: AccessMode) -> None:
    """Not even for the record of its deletion: what is asked to go makes the room. Another share keeps its files."""
    (tmp_path / "full").mkdir()
    (tmp_path / "state").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=80M", "tmpfs", tmp_path / "full"], check=True)
    bed = Bed(DirectoryDriver, tmp_path / "full", tmp_path / "state")
    try:
        driver = bed.open()
        share, other = share_with(driver, 8 * MIB, 4), share_with(driver, MIB)
        driver.set_access_mode(share, mode, call("m"))
        with pytest.raises(OSError, match="space"):
            (driver.data_path(other) / "rest").write_bytes(os.urandom(80 * MIB))
        before = allocated_bytes(driver.data_path(other))
        done(lambda: driver.delete_share(share, call("d")))
        assert driver.observe(share) is None
        assert allocated_bytes(driver.data_path(other)) == before
        done(lambda: driver.delete_share(other, call("e")))
        assert bed.residue() == []
    finally:
        bed.close()
        subprocess.run(["umount", "-l", tmp_path / "full"], check=True)


@pytest.mark.needs("driver-btrfs")
def test_file_system_that_shares_extents_makes_copies_without_room_for_them(tmp_path: Path) -> None:
    """Reflinks: five clones of 64 MiB fit where one copy would not."""
    with btrfs_pool(tmp_path / "disk", 256 * MIB) as mount:
        (tmp_path / "state").mkdir()
        bed = Bed(DirectoryDriver, mount, tmp_path / "state")
        driver, snapshot = bed.open(), ref()
        share = share_with(driver, 64 * MIB, 4)
        done(lambda: driver.create_snapshot(share, snapshot, call("s")))
        for index in range(5):
            clone = ref()
            done(partial(driver.clone_snapshot, snapshot, clone, 64 * MIB, call(f"c{index}")))
            assert compare_trees(driver.data_path(share), driver.data_path(clone)) == []
        bed.close()
