"""The fake array as a whole: options, sharing, data on real directories, several processes, kill -9, speed."""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from drivers.contract import AccessMode, BackendConfig, Call, JobState, PoolConfig
from drivers.errors import Busy, PoolFull, Rejected, Unknown
from drivers.fake import FakeClient, FakeDriver, FaultKind, disk_array, fake_array, forget_array
from drivers.fake.records import StoredObject, dump, load
from tests.drivers.fakes import GIB, MIB, World, config_for, finish, ref

ROOT = Path(__file__).parents[2]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A backend in memory."""
    made = World(config_for("memory", tmp_path))
    yield made
    forget_array(made.array)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[World]:
    """A backend on disk."""
    made = World(config_for("disk", tmp_path))
    yield made
    forget_array(made.array)


@pytest.mark.parametrize(
    ("options", "pool", "said"),
    [
        ({"stor": "disk"}, {}, "unknown option 'stor'"),
        ({"store": "tape"}, {}, "'store' of backend 'b' is 'tape'; allowed are 'memory' and 'disk'"),
        ({"store": "disk"}, {}, "'path' of backend 'b' is missing"),
        ({"path": "relative/dir"}, {}, "'path' of backend 'b' is 'relative/dir'"),
        ({"path": 7}, {}, "'path' of backend 'b' is 7"),
        ({"latency": -1}, {}, "'latency' of backend 'b' is -1"),
        ({"clone_seconds": "3"}, {}, "'clone_seconds' of backend 'b' is '3'"),
        ({"clone_seconds": True}, {}, "'clone_seconds' of backend 'b' is True"),
        ({"revert_seconds": float("nan")}, {}, "'revert_seconds' of backend 'b' is nan"),
        ({}, {"size": 3}, "pool 'p' has an unknown option 'size'"),
        ({}, {"capacity": "1 GB"}, "did you mean GiB"),
        ({}, {"capacity": -1}, "'capacity' of pool 'p' is -1"),
        ({}, {"capacity": 1.5}, "1.5 is not a size"),
        ({}, {"capacity": "2000 PiB"}, "'capacity' of pool 'p' is '2000 PiB'"),
    ],
)
def test_wrong_option_is_refused_by_name_and_value(
    tmp_path: Path, options: dict[str, object], pool: dict[str, object], said: str
) -> None:
    """The constructor says which option is wrong, its value, and what is allowed."""
    with pytest.raises(Rejected) as refused:
        FakeDriver(BackendConfig("b", "d", [PoolConfig("p", pool)], tmp_path, options))
    assert said in str(refused.value)


def test_backend_without_pools_is_refused(tmp_path: Path) -> None:
    """A backend needs a place to put shares."""
    with pytest.raises(Rejected, match="has no pools"):
        FakeDriver(BackendConfig("b", "d", [], tmp_path))


def test_directory_that_cannot_be_used_is_unknown_not_a_crash(tmp_path: Path) -> None:
    """A path below a file cannot hold an array; the driver says so in its own words."""
    (tmp_path / "file").write_text("x")
    with pytest.raises(Unknown, match="cannot be opened"):
        FakeDriver(
            BackendConfig("b", "d", [PoolConfig("p")], tmp_path, {"store": "disk", "path": f"{tmp_path}/file/a"})
        )


def test_array_in_memory_belongs_to_deployment_and_name(world: World) -> None:
    """Instances with the same backend and deployment see the same array, others another one."""
    share = world.share()
    assert fake_array(world.config.deployment, "fake-1") is world.array
    assert world.another().observe(share) is not None
    other = FakeDriver(BackendConfig("fake-1", str(uuid.uuid4()), world.config.pools, Path("/nowhere")))
    assert other.observe(share) is None
    forget_array(other.array)


def test_script_set_before_the_driver_is_opened_holds(tmp_path: Path) -> None:
    """Tests can prepare an array that no driver has opened yet."""
    config = config_for("memory", tmp_path)
    array = fake_array(config.deployment, config.name)
    array.script.add(FaultKind.BUSY)
    world = World(config)
    with pytest.raises(Busy):
        world.share()
    assert world.driver.data_path(world.share()).is_relative_to(tmp_path)
    forget_array(array)
    assert list(tmp_path.iterdir()) == []


def test_data_of_an_array_in_memory_are_where_its_path_says(tmp_path: Path) -> None:
    """The option ``path`` holds for a store in memory too, and is not removed with the array."""
    world = World(dataclasses.replace(config_for("memory", tmp_path), options={"path": str(tmp_path / "here")}))
    assert world.driver.data_path(world.share()).is_relative_to(tmp_path / "here")
    forget_array(world.array)
    assert (tmp_path / "here").is_dir()


def test_pool_never_holds_more_than_its_capacity(world: World) -> None:
    """Creates, grows and clones that do not fit are PoolFull, another pool's room does not count."""
    share = world.share(600 * MIB)
    snapshot = world.snapshot(share)
    for attempt in (
        lambda: world.driver.create_share(ref(), 500 * MIB, world.call()),
        lambda: world.driver.resize_share(share, 2 * GIB, world.call()),
        lambda: world.driver.clone_snapshot(snapshot, ref(), 600 * MIB, world.call()),
    ):
        with pytest.raises(PoolFull) as full:
            attempt()
        assert full.value.pool_specific
    assert world.driver.create_share(ref("p2"), 500 * MIB, world.call()).size == 500 * MIB
    assert [report.free for report in world.driver.pools()] == [424 * MIB, 524 * MIB]
    world.driver.delete_share(share, world.call())
    assert world.driver.pools()[0].free == GIB
    assert world.sound()


def test_nothing_is_on_disk_before_somebody_looks_at_data(world: World) -> None:
    """Objects in memory cost no files until data_path is asked for; deleting them removes the files."""
    share = world.share()
    snapshot = world.snapshot(share)
    assert not world.array.root.exists()
    path = world.driver.data_path(share)
    (path / "f").write_bytes(b"12345")
    assert world.driver.used_bytes(share) == 5
    world.driver.delete_share(share, world.call())
    world.driver.delete_snapshot(snapshot, world.call())
    assert not [file for file in world.array.root.rglob("*") if not file.is_dir()]
    assert not list((world.array.root / "data" / "trees").iterdir())


def test_forgotten_array_leaves_no_files(tmp_path: Path) -> None:
    """Test teardown leaves nothing behind, and the next array of that name is empty."""
    world = World(config_for("memory", tmp_path))
    share = world.share()
    world.driver.data_path(share)
    root = world.array.root
    assert root.exists()
    forget_array(world.array)
    assert not root.exists()
    fresh = World(world.config)
    assert fresh.driver.observe(share) is None
    forget_array(fresh.array)


def test_export_path_shows_the_share_and_closes_with_its_mode(world: World) -> None:
    """The export path of a share is where its data is; mode none takes it away."""
    share = ref()
    made = world.driver.create_share(share, MIB, world.call())
    path = world.driver.data_path(share)
    assert made.export_paths == (str(path),)
    (path / "f").write_bytes(b"x")
    world.driver.set_access_mode(share, AccessMode.NONE, world.call())
    assert not path.exists()
    world.driver.set_access_mode(share, AccessMode.RO, world.call())
    assert (path / "f").read_bytes() == b"x"


def test_client_cannot_leave_the_share(world: World) -> None:
    """The test client takes paths inside the share only."""
    share = world.share()
    for path in ("../x", "/etc/passwd", "a/../../x"):
        with pytest.raises(OSError, match="Invalid argument"):
            world.client.write(share, path, b"x")
    with pytest.raises(TypeError, match="no fake array"):
        FakeClient(object())  # type: ignore[arg-type]


def test_links_and_odd_names_survive_snapshot_clone_and_revert(world: World) -> None:
    """Symbolic links are copied as links, fingerprints are of content."""
    share = world.share()
    path = world.driver.data_path(share)
    (path / "link").symlink_to("/nowhere")
    (path / "new\nline").write_bytes(b"1")
    (path / "empty").mkdir()
    before = world.array.fingerprint(share)
    snapshot, clone, call = world.snapshot(share), ref(), world.call()
    world.driver.clone_snapshot(snapshot, clone, MIB, call)
    (path / "new\nline").write_bytes(b"2")
    assert world.array.fingerprint(share) != before
    world.driver.revert_share(share, snapshot, call)
    assert world.array.fingerprint(share) == world.array.fingerprint(clone) == before
    assert (path / "link").readlink() == Path("/nowhere")
    assert world.array.fingerprint(ref()) is None
    assert world.sound()


def test_latency_is_waited_in_every_call(tmp_path: Path) -> None:
    """Every call takes the latency, and calls wait side by side."""
    world = World(config_for("memory", tmp_path, latency=0.05))
    begun = time.monotonic()
    world.share()
    world.driver.pools()
    assert time.monotonic() - begun >= 0.1
    forget_array(world.array)


def test_create_without_faults_and_data_is_fast(world: World) -> None:
    """A create takes less than 0.2 ms in memory, also when there are many (best of five)."""
    best = 1.0
    for _ in range(5):
        refs, call = [ref() for _ in range(1000)], world.call()
        begun = time.perf_counter()
        for one in refs:
            world.driver.create_share(one, 4096, call)
        best = min(best, (time.perf_counter() - begun) / 1000)
    assert best < 0.0002, f"{best * 1e6:.0f} microseconds for a create"


def test_every_record_comes_back_from_its_text() -> None:
    """Records on disk are the records in memory, odd text included."""
    config = config_for("memory", Path("/nowhere"))
    world = World(config)
    world.driver.create_share(ref(), MIB, Call(config.deployment, "op\n\0'\"\\ü\U0001f4be/..", "s", 3))
    stored = world.array.objects()[0]
    assert load(StoredObject, dump(stored)) == stored
    forget_array(world.array)


def _in_another_process(path: str, deployment: str) -> None:
    driver = FakeDriver(
        BackendConfig("fake-1", deployment, [PoolConfig("p1")], Path(path), {"store": "disk", "path": f"{path}/array"})
    )
    driver.array.script.add(FaultKind.BUSY, verb="create_share", times=2)
    os._exit(0)


def test_fault_set_by_another_process_hits_here(disk: World, tmp_path: Path) -> None:
    """Rules on disk are everybody's."""
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=_in_another_process, args=(str(tmp_path), disk.config.deployment))
    process.start()
    process.join(30)
    assert process.exitcode == 0
    for _ in range(2):
        with pytest.raises(Busy):
            disk.share()
    assert disk.driver.observe(disk.share()) is not None


_WRITER = """
import sys, uuid, itertools
from pathlib import Path
from drivers.contract import *
from drivers.errors import DriverError
from drivers.fake import FakeDriver, FakeClient
path, deployment = sys.argv[1:]
pools = [PoolConfig("p1", {"capacity": "1 GiB"}), PoolConfig("p2", {"capacity": "1 GiB"})]
driver = FakeDriver(BackendConfig("fake-1", deployment, pools, Path(path), {"store": "disk", "path": path + "/array"}))
client = FakeClient(driver)
print("ready", flush=True)
for turn in itertools.count():
    call = Call(deployment, f"op-{turn}-{uuid.uuid4()}", "s", 1)
    share, snapshot, clone = (ObjectRef("p1", object_name(uuid.uuid4())) for _ in range(3))
    driver.create_share(share, 2**20, call)
    client.write(share, "f", b"then"); client.write(share, "g", b"then")
    driver.create_snapshot(share, snapshot, call)
    client.write(share, "f", b"now!"); client.write(share, "g", b"now!")
    driver.revert_share(share, snapshot, call)
    driver.clone_snapshot(snapshot, clone, 2**20, call)
    driver.delete_share(clone, call); driver.delete_snapshot(snapshot, call); driver.delete_share(share, call)
"""


def _spawn(script: str, *arguments: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", script, *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline().strip() == "ready"
    return process


def test_kill_of_a_writer_at_any_moment_leaves_a_sound_array(disk: World, tmp_path: Path) -> None:
    """After kill -9 every object is whole or deletable, no invariant is broken, nothing is left of deleted content."""
    for turn in range(6):
        process = _spawn(_WRITER, str(tmp_path), disk.config.deployment)
        time.sleep(0.02 + 0.037 * turn)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    forget_array(disk.array)
    fresh = World(disk.config)
    for state in fresh.driver.list_objects("p1").objects:
        content = fresh.client.tree(state.ref)
        assert set(content.values()) <= {b"then", b"now!"}
        assert state.kind == "share" or set(content.values()) <= {b"then"}
        assert fresh.sound()
    for state in fresh.driver.list_objects("p1").objects:
        delete = fresh.driver.delete_share if state.kind == "share" else fresh.driver.delete_snapshot
        delete(state.ref, fresh.call(9))
    assert fresh.driver.list_objects("p1").objects == ()
    assert not list((fresh.array.root / "data" / "trees").iterdir())
    assert fresh.sound()
    forget_array(fresh.array)


_CLONER = """
import sys, time
from pathlib import Path
from drivers.contract import *
from drivers.fake import FakeDriver
path, deployment, snapshot, clone = sys.argv[1:]
options = {"store": "disk", "path": path + "/array", "clone_seconds": 0.3}
driver = FakeDriver(BackendConfig("fake-1", deployment, [PoolConfig("p1")], Path(path), options))
driver.clone_snapshot(ObjectRef("p1", snapshot), ObjectRef("p1", clone), 2**20, Call(deployment, "op", "clone", 1))
print("ready", flush=True)
time.sleep(60)
"""


def test_job_of_a_killed_process_is_found_by_the_same_call_elsewhere(disk: World, tmp_path: Path) -> None:
    """The key is all that is needed to find a job again."""
    share = disk.share()
    disk.client.write(share, "f", b"1")
    snapshot, clone = disk.snapshot(share), ref()
    process = _spawn(_CLONER, str(tmp_path), disk.config.deployment, snapshot.name, clone.name)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    call = disk.call(1, "op", "clone")
    assert finish(lambda: disk.driver.clone_snapshot(snapshot, clone, MIB, call)).state is JobState.DONE
    assert disk.client.read(clone, "f") == b"1"
    assert [effect.verb for effect in disk.array.ledger.effects()].count("clone_snapshot") == 1


def test_link_left_behind_by_a_crash_is_put_right_when_the_array_is_opened(disk: World) -> None:
    """A crash between the switch and its record takes the switch back; rubbish trees and links go."""
    share = disk.share()
    path = disk.driver.data_path(share)
    (path / "f").write_bytes(b"recorded")
    trees = disk.array.trees
    stray = trees.make()
    (trees.path(stray) / "f").write_bytes(b"not recorded")
    trees.show("p1", share.name, stray)
    trees.show("p1", ref().name, stray)
    assert (path / "f").read_bytes() == b"not recorded"
    forget_array(disk.array)
    again = disk_array(disk.array.root)
    assert (path / "f").read_bytes() == b"recorded"
    assert not trees.path(stray).exists()
    assert len(list((again.root / "data" / "shares").iterdir())) == 1
    forget_array(again)


def test_instance_that_is_closed_answers_unknown(world: World) -> None:
    """Nobody works with a closed instance by mistake."""
    share = world.share()
    world.driver.close()
    world.driver.close()
    with pytest.raises(Unknown, match="is closed"):
        world.driver.observe(share)
    assert world.another().observe(share) is not None


def test_epoch_below_one_is_refused(world: World) -> None:
    """Epochs begin at 1."""
    with pytest.raises(Rejected, match="epoch 0"):
        world.driver.create_share(ref(), MIB, world.call(0))
