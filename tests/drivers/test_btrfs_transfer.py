"""Snapshots that travel between two btrfs file systems: killed processes, full pools, pace, what is read meanwhile."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from drivers.btrfs import BtrfsDriver
from drivers.contract import Job, JobState, ObjectRef
from drivers.errors import Busy, Conflict, PoolFull
from drivers.mover import compare_trees
from drivers.tools import run
from tests.drivers.bed import MIB, Bed, call, done, finish, in_child, ref
from tests.drivers.btrfs_pools import btrfs_pool, subvolumes

pytestmark = pytest.mark.needs("driver-btrfs")

SIZE = 512 * MIB
CRAWL = 200_000
"""Bytes per second at which the transfers of these tests run for many seconds."""


@pytest.fixture(scope="module")
def mounts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path]]:
    """Two file systems for all tests of the module."""
    folder = tmp_path_factory.mktemp("btrfs")
    with btrfs_pool(folder) as there, btrfs_pool(folder) as here:
        yield there, here


@dataclass
class Pair:
    """A bed at the sender and one at the receiver, with a share each."""

    there: Bed
    here: Bed
    source: ObjectRef = field(default_factory=ref)
    share: ObjectRef = field(default_factory=ref)

    def __post_init__(self) -> None:
        self.sender, self.receiver = self.there.open(), self.here.open()
        self.sender.create_share(self.source, SIZE, call("source"))
        self.receiver.create_share(self.share, SIZE, call("share"))

    def snapshot(self, megabytes: int = 0) -> ObjectRef:
        """A snapshot of the source, after so many random bytes were written to it."""
        new = ref()
        if megabytes:
            (self.sender.data_path(self.source) / f"f-{new.name}").write_bytes(os.urandom(megabytes * MIB))
        done(lambda: self.sender.create_snapshot(self.source, new, call(f"taken-{new.name}")))
        return new

    def receive(self, source: ObjectRef, target: ObjectRef, receiver: Any = None, **more: Any) -> Job:
        """One call, the same for each target."""
        driver = receiver or self.receiver
        assert isinstance(driver, BtrfsDriver)
        return driver.receive_snapshot(self.sender, source, target, self.share, call(f"receive-{target.name}"), **more)

    def crawling(self, source: ObjectRef, target: ObjectRef) -> None:
        """A transfer that runs and has begun to make its volume."""
        assert self.receive(source, target, bandwidth=CRAWL).state is JobState.RUNNING
        until(lambda: self.staged(target).exists() and len(self.processes()) >= 3)

    def staged(self, target: ObjectRef) -> Path:
        """Where the volume is made."""
        return self.here.root / ".shareflow" / "staging" / target.name / "data"

    def processes(self) -> dict[str, int]:
        """The processes of the only transfer of the receiver, by their commands."""
        (status,) = (self.here.state_dir / "receives").glob("*/status.json")
        session = json.loads(status.read_text()).get("pid")  # None before it has begun
        return {command(pid): pid for pid in session_of(session)}

    def assert_equal(self, source: ObjectRef, target: ObjectRef) -> None:
        """Both snapshots have the same content and metadata."""
        assert compare_trees(self.sender.data_path(source), self.receiver.data_path(target)) == []


@pytest.fixture
def pair(mounts: tuple[Path, Path], tmp_path: Path) -> Iterator[Pair]:
    """Pools in plain directories below the mounts; nothing is left of them at the end, no process either."""
    beds: list[Bed] = []
    for mount, name in zip(mounts, ("there", "here"), strict=True):
        root = mount / "deep" / f"{name}-{tmp_path.name}"
        root.mkdir(parents=True)
        (tmp_path / name).mkdir()
        beds.append(Bed(BtrfsDriver, root, tmp_path / name))
    pair = Pair(beds[0], beds[1])
    try:
        yield pair
    finally:
        for bed in reversed(beds):
            driver = bed.open()
            for state in driver.list_objects("p").objects:
                remove = driver.delete_share if state.kind == "share" else driver.delete_snapshot
                finish(lambda remove=remove, state=state: remove(state.ref, call("wipe", 99)))  # type: ignore[misc]
            bed.close()
    assert [path for mount in mounts for path in subvolumes(mount)] == []
    assert list(tmp_path.glob("*/receives/*")) == []


def until(condition: Callable[[], bool]) -> None:
    """Wait for something that another process does."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def session_of(leader: int | None) -> list[int]:
    """Living processes of a session."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split() if entry.name.isdigit() else []
        except OSError:
            continue
        if fields and fields[0] != "Z" and int(fields[3]) == leader:
            found.append(int(entry.name))
    return found


def command(pid: int) -> str:
    """``send``, ``receive`` or ``pump``."""
    words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    return words[1].decode() if words[0] == b"btrfs" else "pump"


@pytest.mark.parametrize("victim", ["send", "receive", "pump"])
def test_process_of_a_transfer_that_is_killed_leaves_no_other_and_no_half_snapshot(pair: Pair, victim: str) -> None:
    """The rest ends by itself, the target is not complete, and the same call begins anew."""
    source, target = pair.snapshot(8), ref()
    pair.crawling(source, target)
    family = pair.processes()
    os.kill(family[victim], signal.SIGKILL)
    until(lambda: not any(session_of(family["pump"])))
    state = pair.receiver.observe(target)
    assert state is not None
    assert not state.complete
    job = finish(lambda: pair.receive(source, target))
    if victim != "pump":  # a tool that ended badly is told once
        assert job.state is JobState.FAILED
        assert job.message.startswith("D400")
        assert not pair.staged(target).exists()
        job = finish(lambda: pair.receive(source, target))
    assert job.state is JobState.DONE
    assert job.bytes_moved > 8 * MIB
    pair.assert_equal(source, target)


def test_transfer_outlives_the_worker_that_began_it(pair: Pair) -> None:
    """The same call, from another worker, finds the one that runs; there are never two."""
    source, target = pair.snapshot(4), ref()

    def worker() -> None:
        pair.receive(source, target, pair.here.open(), bandwidth=CRAWL)
        os.kill(os.getpid(), signal.SIGKILL)

    assert os.WIFSIGNALED(in_child(worker))
    until(lambda: len(pair.processes()) == 3)
    before = pair.processes()
    for _ in range(3):
        assert pair.receive(source, target, pair.here.open(), bandwidth=CRAWL).state is JobState.RUNNING
    assert pair.processes() == before
    assert finish(lambda: pair.receive(source, target)).state is JobState.DONE
    pair.assert_equal(source, target)


def test_cancel_ends_every_process_within_seconds(pair: Pair) -> None:
    """What was received by then goes with the target."""
    source, target = pair.snapshot(8), ref()
    pair.crawling(source, target)
    family = pair.processes()
    assert pair.here.open().cancel_job(call(f"receive-{target.name}")).state is JobState.CANCELLED
    assert session_of(family["pump"]) == []
    done(lambda: pair.receiver.delete_snapshot(target, call("gone", 2)))
    assert pair.here.residue() == []


def test_close_stops_the_transfers_of_this_worker_and_another_goes_on(pair: Pair) -> None:
    """A worker that ends in order leaves no process behind."""
    source, target = pair.snapshot(4), ref()
    pair.crawling(source, target)
    leader = pair.processes()["pump"]
    pair.receiver.close()
    assert session_of(leader) == []
    assert finish(lambda: pair.receive(source, target, pair.here.open())).state is JobState.DONE


def test_bandwidth_is_kept_and_can_be_changed_while_it_runs(pair: Pair) -> None:
    """At the pace of a crawl next to nothing moves; the same call without a limit ends it."""
    source, target = pair.snapshot(8), ref()
    began = time.monotonic()
    pair.crawling(source, target)
    until(lambda: pair.receive(source, target, bandwidth=CRAWL).bytes_moved > 0)
    job = pair.receive(source, target, bandwidth=CRAWL)
    assert job.bytes_moved <= CRAWL * (time.monotonic() - began + 1)
    assert job.bytes_total is not None
    assert job.bytes_total >= 8 * MIB
    assert finish(lambda: pair.receive(source, target)).state is JobState.DONE


def test_what_is_read_cannot_be_deleted_meanwhile(pair: Pair) -> None:
    """Source, and base on both sides, are Busy until the transfer is over; then nothing holds them."""
    first, copy = pair.snapshot(1), ref()
    done(lambda: pair.receive(first, copy))
    second, target = pair.snapshot(4), ref()
    assert pair.receive(second, target, base=(first, copy), bandwidth=CRAWL).state is JobState.RUNNING
    for driver, name in ((pair.sender, second), (pair.sender, first), (pair.receiver, copy)):
        with pytest.raises(Busy, match="is being sent"):
            driver.delete_snapshot(name, call("delete", 2))
    done(lambda: pair.receive(second, target, base=(first, copy)))
    for driver, name in ((pair.sender, second), (pair.sender, first), (pair.receiver, copy)):
        done(lambda driver=driver, name=name: driver.delete_snapshot(name, call("delete", 2)))  # type: ignore[misc]


def test_stream_that_ended_early_and_looks_whole_is_not_taken_for_it(pair: Pair) -> None:
    """A volume that ``btrfs receive`` finished, without our mark, is made anew."""
    source, target = pair.snapshot(2), ref()
    pair.crawling(source, target)
    leader, volume = pair.processes()["pump"], pair.staged(target)
    os.kill(leader, signal.SIGKILL)
    until(lambda: not session_of(leader))
    run(["btrfs", "subvolume", "delete", "--", volume], timeout=30)
    other = pair.snapshot(1)
    send = f"btrfs send -q {pair.sender.data_path(other)} | btrfs receive -q {volume.parent}"
    run(["bash", "-o", "pipefail", "-c", send], timeout=30)
    done(lambda: pair.receive(source, target))
    pair.assert_equal(source, target)


def test_pool_without_room_is_full_and_nothing_is_left(pair: Pair, tmp_path: Path) -> None:
    """The answer names the lack of room, and the name is free again."""
    source, target, share = pair.snapshot(200), ref(), ref()
    with btrfs_pool(tmp_path, 128 * MIB) as small:
        (small / "pool").mkdir()
        (tmp_path / "small").mkdir()
        bed = Bed(BtrfsDriver, small / "pool", tmp_path / "small")
        driver = bed.open()
        assert isinstance(driver, BtrfsDriver)
        driver.create_share(share, 64 * MIB, call("share"))
        with pytest.raises(PoolFull, match="No space left"):
            finish(lambda: driver.receive_snapshot(pair.sender, source, target, share, call("target")))
        assert driver.observe(target) is None
        assert bed.residue() == []
        assert len(subvolumes(small)) == 1
        done(lambda: pair.sender.delete_snapshot(source, call("delete", 2)))
        bed.close()


def test_base_that_was_changed_by_a_promotion_is_still_found(pair: Pair) -> None:
    """A chain of three file systems' worth of ids: what came from here and went back is known by its first id."""
    first, copy = pair.snapshot(1), ref()
    done(lambda: pair.receive(first, copy))
    back = ref()
    assert isinstance(pair.sender, BtrfsDriver)
    there = pair.sender
    done(lambda: there.receive_snapshot(pair.receiver, copy, back, pair.source, call("back"), base=(copy, first)))
    assert compare_trees(pair.sender.data_path(first), pair.sender.data_path(back)) == []
    second, again = pair.snapshot(1), ref()
    done(lambda: pair.receive(second, again, base=(back, copy)))
    pair.assert_equal(second, again)
    stranger = ref()
    done(lambda: pair.receiver.create_snapshot(pair.share, stranger, call("stranger")))
    with pytest.raises(Conflict):
        pair.receive(second, ref(), base=(first, stranger))


def test_what_a_transfer_would_move_is_known_before_it_moves(pair: Pair) -> None:
    """Also while it is in caches only, in small pieces, and in a share that has taken what it received."""
    there, here = pair.sender, pair.receiver
    assert isinstance(there, BtrfsDriver)
    assert isinstance(here, BtrfsDriver)
    data, first, copy = there.data_path(pair.source), pair.snapshot(8), ref()
    done(lambda: pair.receive(first, copy))
    assert there.changed_bytes(pair.source, first) == 0
    (data / "hole").touch()
    os.truncate(data / "hole", 64 * MIB)
    with (data / f"f-{first.name}").open("r+b") as stream:
        for block in range(0, 2048, 4):
            stream.seek(block * 4096)
            stream.write(os.urandom(4096))
    (data / "small").write_bytes(b"x" * 100)
    told = there.changed_bytes(pair.source, first)
    assert told is not None
    assert 2 * MIB <= told < 2 * MIB + 4096
    second, again = pair.snapshot(), ref()
    job = finish(lambda: pair.receive(second, again, base=(first, copy)))
    assert told <= job.bytes_moved < 1.2 * told
    done(lambda: here.revert_share(pair.share, copy, call("take")))
    assert here.changed_bytes(pair.share, copy) == 0
    (here.data_path(pair.share) / "later").write_bytes(os.urandom(MIB))
    assert here.changed_bytes(pair.share, copy) == MIB


def test_more_changes_than_a_quick_look_can_count_are_unknown(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """No half count is taken for the whole."""
    assert isinstance(pair.sender, BtrfsDriver)
    first = pair.snapshot(1)
    for number in range(100):
        (pair.sender.data_path(pair.source) / f"f{number}").write_bytes(b"x" * 100)
    assert pair.sender.changed_bytes(pair.source, first) == 100 * 100
    monkeypatch.setattr("drivers.btrfs.driver._MOST_EXTENTS", 150)
    assert pair.sender.changed_bytes(pair.source, first) is None


def test_small_difference_is_over_in_the_call_that_begins_it(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """A call waits a moment for what it has started; a long transfer it leaves to the next ones."""
    first, target = pair.snapshot(1), ref()
    monkeypatch.setattr("drivers.btrfs.transfers.PATIENCE", 0)
    assert pair.receive(first, target).state is JobState.RUNNING
    finish(lambda: pair.receive(first, target))
    second, copy = pair.snapshot(1), ref()
    monkeypatch.setattr("drivers.btrfs.transfers.PATIENCE", 20)
    assert pair.receive(second, copy, base=(first, target)).state is JobState.DONE
    pair.assert_equal(second, copy)
