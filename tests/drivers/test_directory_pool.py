"""When a pool is there, when it is out of reach, and when it is somebody else's."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from drivers.contract import AccessMode, BackendConfig, PoolConfig
from drivers.directory import DirectoryDriver
from drivers.errors import Rejected, Unknown
from drivers.tools import run
from tests.drivers.bed import POOL, SIZE, Bed, call, done, ref


@pytest.fixture
def bed(tmp_path: Path) -> Iterator[Bed]:
    """A pool that does not exist yet."""
    bed = Bed(DirectoryDriver, tmp_path / "pool", tmp_path / "state")
    bed.state_dir.mkdir()
    yield bed
    bed.close()


def every_call(bed: Bed) -> list[Callable[[], object]]:
    """All calls of the contract, on names that were never used."""
    driver, one, two = bed.open(), ref(), ref()
    return [
        driver.pools,
        lambda: driver.list_objects(POOL),
        lambda: driver.observe(one),
        lambda: driver.used_bytes(one),
        lambda: driver.data_path(one),
        lambda: driver.create_share(one, SIZE, call()),
        lambda: driver.resize_share(one, SIZE, call()),
        lambda: driver.set_access_mode(one, AccessMode.NONE, call()),
        lambda: driver.delete_share(one, call()),
        lambda: driver.create_snapshot(one, two, call()),
        lambda: driver.delete_snapshot(two, call()),
        lambda: driver.clone_snapshot(two, one, SIZE, call()),
        lambda: driver.revert_share(one, two, call()),
        lambda: driver.cancel_job(call()),
    ]


def test_unmounted_pool_is_unknown_in_every_call_and_nothing_is_written(bed: Bed) -> None:
    """A missing mount leaves an empty directory: never an empty listing, never NotFound, never a new pool."""
    bed.open().create_share(ref(), SIZE, call())
    bed.root.rename(bed.root.with_name("away"))
    bed.root.mkdir()
    for attempt in every_call(bed):
        with pytest.raises(Unknown) as refused:
            attempt()
        assert str(bed.root) in refused.value.reason
        assert "mount" in refused.value.hint
    assert list(bed.root.iterdir()) == []


def test_pool_whose_directory_is_gone_is_unknown(bed: Bed) -> None:
    """A missing directory of a known pool is not made anew."""
    bed.open().create_share(ref(), SIZE, call())
    bed.root.rename(bed.root.with_name("away"))
    for attempt in every_call(bed):
        with pytest.raises(Unknown):
            attempt()
    assert not bed.root.exists()


def test_pool_that_comes_back_is_used_again_by_the_same_instance(bed: Bed) -> None:
    """An outage ends when the mount is back; no restart is needed."""
    driver, share = bed.open(), ref()
    driver.create_share(share, SIZE, call())
    bed.root.rename(bed.root.with_name("away"))
    with pytest.raises(Unknown):
        driver.observe(share)
    bed.root.with_name("away").rename(bed.root)
    state = driver.observe(share)
    assert state is not None
    assert state.complete


def test_another_pool_in_the_place_of_the_known_one_is_unknown(bed: Bed, tmp_path: Path) -> None:
    """Two file systems that were mounted the wrong way round are noticed before anything is touched."""
    bed.open().create_share(ref(), SIZE, call())
    (tmp_path / "other").mkdir()
    other = Bed(DirectoryDriver, tmp_path / "strange", tmp_path / "other")
    other.open().create_share(ref(), SIZE, call())
    bed.root.rename(bed.root.with_name("away"))
    other.root.rename(bed.root)
    for attempt in every_call(bed):
        with pytest.raises(Unknown, match="was there before"):
            attempt()


def test_pool_is_known_to_a_worker_with_a_new_state_directory(bed: Bed, tmp_path: Path) -> None:
    """The marker travels with the data: another worker adopts it."""
    share = ref()
    bed.open().create_share(share, SIZE, call())
    bed.state_dir = tmp_path / "state2"
    bed.state_dir.mkdir()
    assert bed.open().observe(share) is not None


def test_new_pool_is_not_made_where_that_is_forbidden(bed: Bed) -> None:
    """``initialize: false`` waits for the pool, in a missing directory and in an empty one."""
    bed.pool_options = {"initialize": False}
    with pytest.raises(Unknown):
        bed.open().pools()
    assert not bed.root.exists()
    bed.root.mkdir()
    with pytest.raises(Unknown, match="no pool in it"):
        bed.open().pools()
    assert list(bed.root.iterdir()) == []


def test_directory_with_other_things_in_it_is_never_taken_over(bed: Bed) -> None:
    """A pool is made in an empty directory only; what was there stays alone."""
    bed.root.mkdir()
    (bed.root / "precious").write_text("x")
    with pytest.raises(Rejected, match="not empty"):
        bed.open().pools()
    assert [path.name for path in bed.root.iterdir()] == ["precious"]


def test_pool_with_objects_and_no_marker_is_unknown(bed: Bed, tmp_path: Path) -> None:
    """A marker that somebody removed is not replaced by one with another id, even by a worker that is new."""
    bed.open().create_share(ref(), SIZE, call())
    (bed.root / ".shareflow" / "pool.json").unlink()
    bed.state_dir = tmp_path / "state2"
    bed.state_dir.mkdir()
    with pytest.raises(Unknown, match="marker"):
        bed.open().pools()


def test_pool_of_another_driver_is_refused(bed: Bed) -> None:
    """The layout of another driver is not touched."""
    bed.open().pools()
    marker = bed.root / ".shareflow" / "pool.json"
    marker.write_text(json.dumps({**json.loads(marker.read_text()), "driver": "btrfs"}))
    with pytest.raises(Rejected, match="btrfs"):
        bed.open().pools()


@pytest.mark.parametrize("text", ["", "{", "[]", "{}"])
def test_damaged_marker_is_unknown(bed: Bed, text: str) -> None:
    """A marker that cannot be read says nothing about the pool."""
    bed.open().pools()
    (bed.root / ".shareflow" / "pool.json").write_text(text)
    with pytest.raises(Unknown):
        bed.open().pools()


def test_first_uses_at_the_same_time_make_one_pool(tmp_path: Path) -> None:
    """Eight instances of two workers on a new directory agree on one id, and all their shares are in it."""
    beds = [Bed(DirectoryDriver, tmp_path / "pool", tmp_path / f"state{index}") for index in range(2)]
    for bed in beds:
        bed.state_dir.mkdir()
    refs = [ref() for _ in range(8)]
    drivers = [beds[index % 2].open() for index in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda pair: pair[0].create_share(pair[1], SIZE, call()), zip(drivers, refs, strict=True)))
    found = {state.ref for state in beds[0].open().list_objects(POOL).objects}
    assert found == set(refs)
    ids = {path.read_text() for bed in beds for path in (bed.state_dir / "pools").iterdir()}
    assert len(ids) == 1
    for bed in beds:
        bed.close()


def test_relative_path_is_below_the_state_directory(tmp_path: Path) -> None:
    """The embedded default needs no absolute path."""
    config = BackendConfig("b", "dep", (PoolConfig(POOL, {"path": "pools/one"}),), tmp_path)
    driver = DirectoryDriver(config)
    driver.create_share(ref(), SIZE, call())
    assert (tmp_path / "pools" / "one" / ".shareflow" / "pool.json").is_file()
    driver.close()


@pytest.mark.parametrize(
    ("options", "pool_options", "named"),
    [
        ({}, {}, "'path' is missing"),
        ({}, {"path": 7}, "'path' is 7"),
        ({}, {"path": ""}, "'path'"),
        ({}, {"path": "../up"}, "'path' is '../up'"),
        ({}, {"path": "x", "capacity": "ten"}, "'ten'"),
        ({}, {"path": "x", "capacity": "5 GB"}, "GiB"),
        ({}, {"path": "x", "capacity": 0}, "'capacity' is 0"),
        ({}, {"path": "x", "capacity": -1}, "'capacity' is -1"),
        ({}, {"path": "x", "initialize": "yes"}, "'initialize' is 'yes'"),
        ({}, {"path": "x", "capacty": 1}, "capacity"),
        ({"bandwidth": 0}, {"path": "x"}, "'bandwidth' is 0"),
        ({"inline_limt": 0}, {"path": "x"}, "inline_limit"),
    ],
)
def test_wrong_option_is_refused_with_its_name(
    tmp_path: Path, options: dict[str, object], pool_options: dict[str, object], named: str
) -> None:
    """The constructor says which option of which pool is wrong, and what is meant or allowed."""
    config = BackendConfig("b", "dep", (PoolConfig(POOL, pool_options),), tmp_path, options)
    with pytest.raises(Rejected) as refused:
        DirectoryDriver(config)
    assert named in str(refused.value)


def test_two_pools_with_one_path_are_refused(tmp_path: Path) -> None:
    """Two pools cannot share a directory, and a backend cannot have two pools of one name."""
    one = PoolConfig("a", {"path": "x"})
    for other in (PoolConfig("b", {"path": str(tmp_path / "x")}), PoolConfig("a", {"path": "y"})):
        with pytest.raises(Rejected):
            DirectoryDriver(BackendConfig("b", "dep", (one, other), tmp_path))


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_read_only_pool_refuses_creates_for_itself_and_keeps_the_rest_open(bed: Bed) -> None:
    """A pool that cannot be written did nothing: another one may take a create; a delete may be tried again later."""
    driver, share = bed.open(), ref()
    driver.create_share(share, SIZE, call())
    run(["mount", "--bind", "--", bed.root, bed.root], timeout=10)
    try:
        run(["mount", "-o", "remount,bind,ro", "--", bed.root], timeout=10)
        with pytest.raises(Rejected) as refused:
            driver.create_share(ref(), SIZE, call())
        assert refused.value.pool_specific
        with pytest.raises(Unknown):
            driver.delete_share(share, call())
        assert [state.complete for state in driver.list_objects(POOL).objects] == [True]
    finally:
        run(["umount", "--", bed.root], timeout=10)
    done(lambda: driver.delete_share(share, call()))


def test_capacity_bounds_what_the_pool_says_it_has(bed: Bed) -> None:
    """Total is the capacity; free goes down with the bytes in use, and a share above the total is refused."""
    bed.pool_options = {"capacity": "64 MiB"}
    driver, share = bed.open(), ref()
    driver.create_share(share, SIZE, call())
    (driver.data_path(share) / "f").write_bytes(os.urandom(8 * 2**20))
    report = bed.open().pools()[0]
    assert report.total == 64 * 2**20
    assert report.free is not None
    assert 50 * 2**20 < report.free <= 56 * 2**20
    with pytest.raises(Rejected) as refused:
        driver.create_share(ref(), 65 * 2**20, call())
    assert refused.value.pool_specific
    assert len(driver.list_objects(POOL).objects) == 1


def test_attributes_of_the_spec_are_reported(bed: Bed) -> None:
    """What the spec says of a pool is reported with what the driver knows."""
    driver = bed.open()
    config = dataclasses.replace(
        driver.config, pools=(dataclasses.replace(driver.config.pools[0], attributes={"media": "ssd"}),)
    )
    other = DirectoryDriver(config)
    assert other.pools()[0].attributes == {"media": "ssd", "quota_enforced": False}
    other.close()


def test_object_without_a_record_is_listed_as_nobodys(bed: Bed) -> None:
    """A directory that somebody put there is shown, never adopted, and goes when it is deleted."""
    driver, name = bed.open(), ref()
    driver.pools()
    (bed.root / "shares" / name.name / "data").mkdir(parents=True)
    state = driver.observe(name)
    assert state is not None
    assert (state.complete, state.deployment, state.operation) == (False, "", "")
    assert [found.ref for found in driver.list_objects(POOL).objects] == [name]
    with pytest.raises(Rejected):
        driver.create_share(name, SIZE, call())
    with pytest.raises(Rejected):
        driver.delete_snapshot(name, call())
    done(lambda: driver.delete_share(name, call()))
    assert driver.list_objects(POOL).objects == ()
