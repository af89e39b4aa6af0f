"""The btrfs driver on real storage: enforced sizes, instant copies, modes, and a mount that goes away."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import struct
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from drivers.btrfs import BtrfsDriver, ioctls
from drivers.contract import AccessMode, BackendConfig, JobState, ObjectRef, PoolConfig
from drivers.errors import Conflict, OverUsed, PoolFull, Rejected, Unknown
from drivers.recorded import RecordedDriver
from drivers.tools import run
from tests.drivers.bed import MIB, POOL, SIZE, Bed, call, content, done, in_child, ref, write
from tests.drivers.btrfs_pools import btrfs_pool, device_of, limit_of, mount_device, subvolumes, unmount

pytestmark = pytest.mark.needs("driver-btrfs")


@pytest.fixture(scope="module")
def mount(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One file system for the tests that do not change it."""
    with btrfs_pool(tmp_path_factory.mktemp("btrfs")) as mount:
        yield mount


@pytest.fixture
def bed(mount: Path, tmp_path: Path) -> Iterator[Bed]:
    """A pool in a directory of the common file system."""
    root = mount / tmp_path.name
    root.mkdir()
    bed = Bed(BtrfsDriver, root, tmp_path)
    yield bed
    for state in bed.open().list_objects(POOL).objects:
        remove = bed.open().delete_share if state.kind == "share" else bed.open().delete_snapshot
        done(partial(remove, state.ref, call("wipe", 99)))
    bed.close()
    assert [path for path in subvolumes(mount) if path.startswith(f"{root.name}/")] == []


@pytest.fixture
def own_bed(tmp_path: Path) -> Iterator[Bed]:
    """A pool on a file system of its own, at its top level."""
    with btrfs_pool(tmp_path / "disk", 512 * MIB) as mount:
        (tmp_path / "state").mkdir()
        bed = Bed(BtrfsDriver, mount, tmp_path / "state")
        yield bed
        bed.close()


def fill(folder: Path, most: int) -> int:
    """Write noise until the storage refuses; bytes that went in and are on disk."""
    written = 0
    with contextlib.suppress(OSError):
        for _ in range(most // (256 * 1024)):
            with (folder / uuid.uuid4().hex).open("wb") as stream:
                stream.write(os.urandom(256 * 1024))
                stream.flush()
                os.fsync(stream.fileno())
            written += 256 * 1024
    return written


# -- sizes


def test_full_share_can_still_be_grown_shrunk_and_closed(bed: Bed) -> None:
    """A share over its limit refuses even its own settings; the driver never goes through it to change them."""
    driver, share = bed.open(), ref()
    driver.create_share(share, SIZE, call())
    assert SIZE // 2 < fill(driver.data_path(share), 4 * SIZE) <= SIZE
    with pytest.raises(OSError, match="quota") as full:
        (driver.data_path(share) / "one-more").write_bytes(os.urandom(MIB))
    assert full.value.errno == errno.EDQUOT
    driver.resize_share(share, 2 * SIZE, call("grow"))
    assert fill(driver.data_path(share), 4 * SIZE) >= SIZE // 2
    with pytest.raises(OverUsed) as refused:
        driver.resize_share(share, SIZE, call("shrink"))
    assert SIZE < refused.value.used <= 2 * SIZE
    assert limit_of(driver.data_path(share)) == 2 * SIZE
    driver.set_access_mode(share, AccessMode.RO, call("ro"))
    driver.set_access_mode(share, AccessMode.RW, call("rw"))
    done(lambda: driver.delete_share(share, call("d")))


def test_shrink_counts_what_clients_wrote_a_moment_ago(bed: Bed) -> None:
    """Bytes that are not on disk yet count: usage is read after a sync."""
    driver, share = bed.open(), ref()
    driver.create_share(share, SIZE, call())
    with (driver.data_path(share) / "f").open("wb") as stream:
        stream.write(os.urandom(8 * MIB))
        stream.flush()
        with pytest.raises(OverUsed) as refused:
            driver.resize_share(share, 4 * MIB, call("shrink"))
    assert refused.value.used >= 8 * MIB
    assert limit_of(driver.data_path(share)) == SIZE


def test_shrink_against_a_writer_ends_with_a_size_that_holds(bed: Bed) -> None:
    """However the race ends, what is reported is what is enforced, and what is stored fits into it."""
    driver, share = bed.open(), ref()
    driver.create_share(share, 64 * MIB, call())
    stop = threading.Event()

    def keep_writing() -> None:
        count = 0
        while not stop.is_set():
            count += 1
            with contextlib.suppress(OSError):
                (driver.data_path(share) / f"f{count % 50}").write_bytes(os.urandom(MIB // 2))

    writer = threading.Thread(target=keep_writing)
    writer.start()
    try:
        for index, size in enumerate([32, 24, 16, 12, 8, 4]):
            with contextlib.suppress(OverUsed):
                driver.resize_share(share, size * MIB, call(f"shrink-{index}"))
    finally:
        stop.set()
        writer.join()
    state = driver.observe(share)
    assert state is not None
    assert limit_of(driver.data_path(share)) == state.size
    assert driver.used_bytes(share) <= state.size


def test_clone_of_a_large_snapshot_is_charged_in_full(bed: Bed) -> None:
    """A clone that shares every block with its snapshot cannot take in its size once more."""
    driver, share, snapshot, clone = bed.open(), ref(), ref(), ref()
    driver.create_share(share, 4 * SIZE, call())
    fill(driver.data_path(share), 3 * SIZE)
    done(lambda: driver.create_snapshot(share, snapshot, call("s")))
    done(lambda: driver.clone_snapshot(snapshot, clone, 4 * SIZE, call("c")))
    assert driver.used_bytes(clone) >= 3 * SIZE
    assert fill(driver.data_path(clone), 4 * SIZE) <= SIZE


def test_share_larger_than_the_pool_is_refused_before_anything_is_made(bed: Bed) -> None:
    """Create, resize and clone say that the pool is too small; nothing changes."""
    driver, share, snapshot = bed.open(), ref(), ref()
    driver.create_share(share, SIZE, call())
    done(lambda: driver.create_snapshot(share, snapshot, call("s")))
    before, total = driver.list_objects(POOL), driver.pools()[0].total
    assert total is not None
    for attempt in (
        lambda: driver.create_share(ref(), total + 1, call("x")),
        lambda: driver.resize_share(share, total + 1, call("x")),
        lambda: driver.clone_snapshot(snapshot, ref(), total + 1, call("x")),
    ):
        with pytest.raises(PoolFull):
            attempt()
    assert driver.list_objects(POOL) == before


def test_space_of_a_deleted_share_comes_back(own_bed: Bed) -> None:
    """Deleting frees what the share held, within some commits of the file system."""
    driver, share = own_bed.open(), ref()
    driver.create_share(share, 256 * MIB, call())
    fill(driver.data_path(share), 128 * MIB)
    used = free(driver)
    done(lambda: driver.delete_share(share, call("d")))
    deadline = time.monotonic() + 60
    while free(driver) < used + 100 * MIB:
        assert time.monotonic() < deadline
        time.sleep(0.2)


def free(driver: RecordedDriver) -> int:
    """Free bytes of the pool."""
    figure = driver.pools()[0].free
    assert figure is not None
    return figure


# -- copies


def test_snapshot_clone_and_revert_of_many_files_are_done_at_once(bed: Bed) -> None:
    """No copy is made: the calls are over when they return, and cost no space."""
    driver, share, snapshot, clone = bed.open(), ref(), ref(), ref()
    driver.create_share(share, 256 * MIB, call())
    for index in range(1000):
        (driver.data_path(share) / f"f{index}").write_bytes(os.urandom(16384))
    os.sync()
    before = free(driver)
    assert driver.create_snapshot(share, snapshot, call("s")).state is JobState.DONE
    assert driver.clone_snapshot(snapshot, clone, 256 * MIB, call("c")).state is JobState.DONE
    assert driver.revert_share(share, snapshot, call("r")).state is JobState.DONE
    os.sync()
    assert before - free(driver) < 16 * MIB
    assert len(list(driver.data_path(share).iterdir())) == len(list(driver.data_path(clone).iterdir())) == 1000


def test_snapshot_cannot_be_written_even_by_root(bed: Bed) -> None:
    """Snapshots are read-only in the file system itself."""
    driver, share, snapshot = bed.open(), ref(), ref()
    driver.create_share(share, SIZE, call())
    done(lambda: driver.create_snapshot(share, snapshot, call("s")))
    with pytest.raises(OSError, match="Read-only"):
        (driver.data_path(snapshot) / "f").touch()


# -- access modes


def test_read_only_stays_through_revert_close_and_reopen(bed: Bed) -> None:
    """Only set_access_mode changes the mode; a share that was read-only before it was closed opens as asked."""
    driver, share, snapshot = bed.open(), ref(), ref()
    driver.create_share(share, SIZE, call())
    write(driver, share, "f", "x")
    done(lambda: driver.create_snapshot(share, snapshot, call("s")))
    driver.set_access_mode(share, AccessMode.RO, call("ro"))
    done(lambda: driver.revert_share(share, snapshot, call("r")))
    with pytest.raises(OSError, match="Read-only"):
        write(driver, share, "f", "y")
    driver.set_access_mode(share, AccessMode.NONE, call("none"))
    assert not driver.export_path(share).exists()
    driver.set_access_mode(share, AccessMode.RW, call("rw"))
    write(driver, share, "f", "z")
    assert content(driver, share) == {"f": "z"}


def test_closed_share_opens_read_only_without_a_moment_of_writing(bed: Bed) -> None:
    """From none to ro the share is frozen before it comes back into reach."""
    driver, share = bed.open(), ref()
    driver.create_share(share, SIZE, call())
    driver.set_access_mode(share, AccessMode.NONE, call("none"))
    stop, written = threading.Event(), []

    def keep_trying() -> None:
        while not stop.is_set():
            with contextlib.suppress(OSError):
                (driver.export_path(share) / "f").touch()
                written.append(1)

    writer = threading.Thread(target=keep_trying)
    writer.start()
    for turn in range(20):
        driver.set_access_mode(share, AccessMode.RO, call(f"ro-{turn}"))
        driver.set_access_mode(share, AccessMode.NONE, call(f"none-{turn}"))
    stop.set()
    writer.join()
    assert written == []


# -- odd content


def test_share_with_subvolumes_of_clients_in_it_is_deleted_with_them(bed: Bed) -> None:
    """Subvolumes that a local user made inside a share, nested and read-only ones included, are no obstacle."""
    driver, share = bed.open(), ref()
    driver.create_share(share, SIZE, call())
    data = driver.data_path(share)
    (data / "d" / "e").mkdir(parents=True)
    for path in (data / "a", data / "d" / "e" / "b", data / "a" / "c"):
        run(["btrfs", "subvolume", "create", "--", path], timeout=10)
        (path / "f").touch()
    run(["btrfs", "subvolume", "snapshot", "-r", "--", data / "a", data / "d" / "r"], timeout=10)
    driver.set_access_mode(share, AccessMode.RO, call("ro"))
    done(lambda: driver.delete_share(share, call("d")))
    assert not any(share.name in path for path in subvolumes(bed.root))
    assert bed.residue() == []


# -- the pool


def test_unmounted_pool_is_unknown_and_its_mount_point_stays_empty(own_bed: Bed) -> None:
    """Nothing is made below the mount point while the file system is away, and all is there when it is back."""
    driver, share = own_bed.open(), ref()
    driver.create_share(share, SIZE, call())
    write(driver, share, "f", "x")
    device = device_of(own_bed.root)
    unmount(own_bed.root)
    try:
        for instance in (driver, own_bed.open()):
            attempts: list[Callable[[], object]] = [
                partial(instance.observe, share),
                partial(instance.list_objects, POOL),
                instance.pools,
                partial(instance.create_share, ref(), SIZE, call()),
                partial(instance.delete_share, share, call("d")),
            ]
            for attempt in attempts:
                with pytest.raises(Unknown, match="not on a btrfs"):
                    attempt()
        assert list(own_bed.root.iterdir()) == []
    finally:
        mount_device(device, own_bed.root)
    assert content(driver, share) == {"f": "x"}


def test_empty_btrfs_in_the_place_of_the_pool_is_unknown(own_bed: Bed, mount: Path) -> None:
    """The right kind of file system with nothing in it is not the pool."""
    driver, share = own_bed.open(), ref()
    driver.create_share(share, SIZE, call())
    stranger = mount / "stranger"
    stranger.mkdir()
    run(["mount", "--bind", "--", stranger, own_bed.root], timeout=10)
    try:
        with pytest.raises(Unknown, match="not be mounted"):
            driver.observe(share)
        assert list(stranger.iterdir()) == []
    finally:
        run(["umount", "--", own_bed.root], timeout=10)
        stranger.rmdir()
    assert driver.observe(share) is not None


def test_path_that_is_not_on_a_btrfs_is_refused_at_the_start(tmp_path: Path) -> None:
    """The spec is wrong, and the message says where."""
    for path in (tmp_path, tmp_path / "missing"):
        config = BackendConfig("b", "dep", (PoolConfig(POOL, {"path": str(path)}),), tmp_path)
        with pytest.raises(Rejected, match="option 'path'"):
            BtrfsDriver(config)
    assert not (tmp_path / "missing").exists()


def test_driver_without_root_is_refused_at_the_start(bed: Bed) -> None:
    """Limits need root: said at once, with the other driver as a way out."""

    def attempt() -> None:
        os.setuid(65534)
        with pytest.raises(Rejected, match="needs root") as refused:
            bed.open()
        assert "directory" in refused.value.hint

    assert in_child(attempt) == 0


def test_pool_with_simple_quotas_is_refused(own_bed: Bed) -> None:
    """Under simple quotas a clone costs nothing, so sizes would not hold."""
    run(["btrfs", "quota", "disable", own_bed.root], timeout=10)
    fd = os.open(own_bed.root, os.O_RDONLY)
    try:
        if not simple_quotas(fd):
            pytest.skip("this kernel has no simple quotas")
    finally:
        os.close(fd)
    with pytest.raises(Rejected, match="simple quotas"):
        own_bed.open().pools()


def simple_quotas(fd: int) -> bool:
    """Turn simple quotas on. False when the kernel cannot."""
    try:
        fcntl.ioctl(fd, ioctls._QUOTA_CTL, bytearray(struct.pack("=QQ", 4, 0)))
    except OSError:
        return False
    return ioctls.quota_state(fd).simple


def test_quotas_are_turned_on_at_the_first_use_and_count_what_was_there(own_bed: Bed) -> None:
    """A share that was made before quotas were lost is counted and bounded again by the next use."""
    driver, share = own_bed.open(), ref()
    driver.create_share(share, SIZE, call())
    (driver.data_path(share) / "f").write_bytes(os.urandom(8 * MIB))
    run(["btrfs", "quota", "disable", own_bed.root], timeout=10)
    again = own_bed.open()
    assert again.used_bytes(share) >= 8 * MIB
    again.resize_share(share, SIZE, call("again"))
    assert limit_of(again.data_path(share)) == SIZE
    assert fill(again.data_path(share), 2 * SIZE) <= SIZE - 8 * MIB


def test_quotas_lost_while_the_driver_runs_are_counted_anew(own_bed: Bed) -> None:
    """A figure that would be wrong is never given."""
    driver, share = own_bed.open(), ref()
    driver.create_share(share, SIZE, call())
    (driver.data_path(share) / "f").write_bytes(os.urandom(8 * MIB))
    run(["btrfs", "quota", "disable", own_bed.root], timeout=10)
    assert driver.used_bytes(share) >= 8 * MIB


def test_revert_to_a_snapshot_of_another_share_is_a_conflict(bed: Bed) -> None:
    """A share goes back to its own snapshots alone."""
    driver, share, other, snapshot = bed.open(), ref(), ref(), ref()
    driver.create_share(share, SIZE, call())
    driver.create_share(other, SIZE, call())
    done(lambda: driver.create_snapshot(other, snapshot, call("s")))
    with pytest.raises(Conflict):
        driver.revert_share(share, snapshot, call("r"))


def test_sixty_snapshots_of_one_share(bed: Bed) -> None:
    """Many snapshots are taken, listed and deleted; the share goes back to the first of them."""
    driver, share = bed.open(), ref()
    driver.create_share(share, SIZE, call())
    snapshots: list[ObjectRef] = []
    for index in range(60):
        if index % 15 == 0:
            write(driver, share, "f", str(index))
        snapshots.append(ref())
        done(partial(driver.create_snapshot, share, snapshots[index], call(f"s{index}")))
    assert len(driver.list_objects(POOL).objects) == 61
    done(lambda: driver.revert_share(share, snapshots[0], call("r")))
    assert content(driver, share) == {"f": "0"}
    assert content(driver, snapshots[-1]) == {"f": "45"}
