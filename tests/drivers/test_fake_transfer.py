"""Snapshots that travel between fake arrays: faults on both sides, pace, and what the ledger finds."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from drivers.contract import AccessMode, BackendConfig, Job, JobState, ObjectRef, PoolConfig
from drivers.errors import Broken, Busy, Conflict, NotFound, PoolFull, Rejected, Unknown
from drivers.fake import FakeDriver, FaultKind, forget_array
from tests.drivers.fakes import MIB, World, config_for, finish, ref

STORES = ("memory", "disk")


class Pair:
    """Two fake backends, a share on each, and snapshots that go from the one to the other."""

    def __init__(self, store: str, path: Path, **options: object) -> None:
        self.there, self.here = World(config_for(store, path / "a")), World(self._config(store, path / "b", **options))
        self.source, self.share = self.there.share(), self.here.share()

    def _config(self, store: str, path: Path, **options: object) -> BackendConfig:
        plain = config_for(store, path, **options)
        pools = [PoolConfig(name, {"capacity": "1 GiB"}) for name in ("p1", "p2")]
        return BackendConfig("fake-2", plain.deployment, pools, path, plain.options)

    def write(self, name: str, data: bytes) -> None:
        """A client of the source writes."""
        self.there.client.write(self.source, name, data)

    def snapshot(self) -> ObjectRef:
        """A snapshot of the source."""
        return self.there.snapshot(self.source)

    def receive(self, source: ObjectRef, target: ObjectRef, **more: object) -> Job:
        """One call, always with the same key for a target."""
        call = self.here.call(operation=f"receive-{target.name}")
        return self.here.driver.receive_snapshot(self.there.driver, source, target, self.share, call, **more)  # type: ignore[arg-type]

    def close(self) -> None:
        """Both ledgers found nothing; both arrays are forgotten."""
        for world in (self.there, self.here):
            forget_array(world.array)


@pytest.fixture(params=STORES)
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Pair]:
    """Two arrays whose ledgers find nothing wrong at the end."""
    pair = Pair(request.param, tmp_path)
    yield pair
    sound = pair.here.sound() and pair.there.sound()
    pair.close()
    assert sound


def test_only_what_differs_from_the_base_travels(pair: Pair) -> None:
    """The first snapshot travels whole, the next one without what is there already; both are equal to their sources."""
    pair.write("a", b"x" * 1000)
    pair.write("b", b"y" * 50)
    first, copy = pair.snapshot(), ref()
    assert finish(lambda: pair.receive(first, copy)) == Job(JobState.DONE, 1050, 1050, bytes_moved=1050)
    pair.write("b", b"z" * 60)
    second, again = pair.snapshot(), ref()
    job = finish(lambda: pair.receive(second, again, base=(first, copy)))
    assert (job.bytes_moved, job.bytes_done) == (60, 1060)
    for mine, theirs in ((copy, first), (again, second)):
        assert pair.here.client.tree(mine) == pair.there.client.tree(theirs)


def test_snapshot_that_was_never_written_to_travels(pair: Pair) -> None:
    """Nothing is a content like any other."""
    copy = ref()
    assert finish(lambda: pair.receive(pair.snapshot(), copy)).state is JobState.DONE
    assert pair.here.client.tree(copy) == {}


@pytest.mark.parametrize("verb", ["send_snapshot", "receive_snapshot"])
@pytest.mark.parametrize("kind", [FaultKind.ERROR_BEFORE_EFFECT, FaultKind.UNREACHABLE])
def test_either_side_can_fail_before_anything_happened(pair: Pair, verb: str, kind: FaultKind) -> None:
    """The target is not there, and the call made again brings it."""
    world = pair.there if verb == "send_snapshot" else pair.here
    first, copy = pair.snapshot(), ref()
    fault = world.array.script.add(kind, verb=verb)
    with pytest.raises(Unknown):
        pair.receive(first, copy)
    world.array.script.lift(fault)
    assert pair.here.driver.observe(copy) is None
    assert finish(lambda: pair.receive(first, copy)).state is JobState.DONE


@pytest.mark.parametrize(
    ("kind", "raised"),
    [(FaultKind.BUSY, Busy), (FaultKind.REJECT, Rejected), (FaultKind.FULL, PoolFull),
     (FaultKind.ERROR_AFTER_EFFECT, Unknown), (FaultKind.HALF, Broken)],
)  # fmt: skip
def test_faults_of_the_receiver_are_healed_by_the_same_call(pair: Pair, kind: FaultKind, raised: type) -> None:
    """Whatever a fault left, the same call ends with the whole snapshot."""
    pair.write("a", b"one")
    first, copy = pair.snapshot(), ref()
    pair.here.array.script.add(kind, verb="receive_snapshot")
    with pytest.raises(raised):
        pair.receive(first, copy)
    state = pair.here.driver.observe(copy)
    assert state is None or kind in {FaultKind.ERROR_AFTER_EFFECT, FaultKind.HALF}
    assert state is None or state.complete == (kind is FaultKind.ERROR_AFTER_EFFECT)
    assert finish(lambda: pair.receive(first, copy)).bytes_moved == 3
    assert pair.here.client.tree(copy) == {"a": b"one"}


def test_wrong_answer_says_done_without_having_received(pair: Pair) -> None:
    """An array that lies has to be looked at."""
    copy = ref()
    pair.here.array.script.add(FaultKind.WRONG_ANSWER, verb="receive_snapshot")
    assert pair.receive(pair.snapshot(), copy).state is JobState.DONE
    assert pair.here.driver.observe(copy) is None


def test_failed_job_says_why_and_begins_anew(pair: Pair) -> None:
    """A job that fails leaves the target half made."""
    first, copy = pair.snapshot(), ref()
    pair.here.array.script.add(FaultKind.FAIL_JOB, verb="receive_snapshot", message="cable cut")
    job = pair.receive(first, copy)
    assert (job.state, job.message) == (JobState.FAILED, "cable cut")
    state = pair.here.driver.observe(copy)
    assert state is not None
    assert not state.complete
    assert finish(lambda: pair.receive(first, copy)).state is JobState.DONE


def test_complete_target_needs_no_sender(pair: Pair) -> None:
    """Once it is there, neither the source nor its array matters."""
    pair.write("a", b"one")
    first, copy = pair.snapshot(), ref()
    finish(lambda: pair.receive(first, copy))
    finish(lambda: pair.there.driver.delete_snapshot(first, pair.there.call(9, "del")))
    assert pair.receive(first, copy).state is JobState.DONE
    pair.there.driver.close()
    assert pair.receive(first, copy).bytes_moved == 3


def test_array_that_exchanges_no_snapshots_says_so(tmp_path: Path) -> None:
    """With ``transfer: none`` the format is empty on that side, and both directions are refused."""
    pair = Pair("memory", tmp_path, transfer="none")
    assert pair.here.driver.capabilities().transfer == ""
    assert pair.there.driver.capabilities().transfer == "fake-1"
    with pytest.raises(Rejected, match="'fake-1', ours ''"):
        pair.receive(pair.snapshot(), ref())
    back = pair.here.snapshot(pair.share)
    with pytest.raises(Rejected, match="'', ours 'fake-1'"):
        pair.there.driver.receive_snapshot(pair.here.driver, back, ref(), pair.source, pair.there.call())
    pair.close()


@pytest.mark.parametrize("value", ["", 7, None])
def test_transfer_option_that_names_no_format_is_refused(tmp_path: Path, value: object) -> None:
    """The option, the value and what is allowed are named."""
    with pytest.raises(Rejected, match="option 'transfer'"):
        FakeDriver(config_for("memory", tmp_path, transfer=value))


def test_bandwidth_sets_the_pace_and_can_be_changed_while_it_runs(tmp_path: Path) -> None:
    """At one byte per second it would take for ever; without a limit it takes what ``receive_seconds`` says."""
    pair = Pair("memory", tmp_path, receive_seconds=0.01)
    pair.write("a", b"x" * 100_000)
    first, copy = pair.snapshot(), ref()
    slow = pair.receive(first, copy, bandwidth=1)
    assert (slow.state, slow.bytes_total) == (JobState.RUNNING, 100_000)
    assert slow.bytes_moved < 100
    job = finish(lambda: pair.receive(first, copy))
    assert (job.state, job.bytes_moved) == (JobState.DONE, 100_000)
    with pytest.raises(Rejected, match="bandwidth"):
        pair.receive(first, ref(), bandwidth=0)
    assert pair.here.sound()
    pair.close()


def test_base_that_differs_is_refused_and_the_ledger_would_tell(tmp_path: Path) -> None:
    """The ledger compares the two sides of a base by itself, and finds it when the array does not."""
    pair = Pair("memory", tmp_path)
    pair.write("a", b"one")
    first, second = pair.snapshot(), pair.snapshot()
    other = pair.here.snapshot(pair.share)
    with pytest.raises(Conflict, match="not the same snapshot"):
        pair.receive(second, ref(), base=(first, other))
    with pytest.raises(NotFound):
        pair.receive(second, ref(), base=(ref(), other))
    with pytest.raises(NotFound):
        pair.receive(second, ref(), base=(first, ref()))
    assert pair.here.sound()
    pair.here.array.trust(trusting=True)
    finish(lambda: pair.receive(second, ref(), base=(first, other)))
    assert [text[:2] for text in pair.here.array.violations()] == ["I8"]
    pair.close()


def test_ledger_finds_a_received_snapshot_with_other_bytes(tmp_path: Path) -> None:
    """What arrives is compared with what was sent."""
    pair = Pair("memory", tmp_path, receive_seconds=60)
    pair.write("a", b"one")
    copy = ref()
    pair.receive(pair.snapshot(), copy)
    tree = next(one.tree for one in pair.here.array.objects() if one.name == copy.name)
    (pair.here.array.trees.path(tree) / "a").write_bytes(b"two")
    pair.here.array.finish_jobs()
    assert [text for text in pair.here.array.violations() if "not those that were sent" in text]
    pair.close()


def test_modes_and_open_files_decide_who_can_write(tmp_path: Path) -> None:
    """Clients are let in by the mode; a process that has a file open is named whatever the mode."""
    world = World(config_for("memory", tmp_path))
    share = world.share()
    world.client.write(share, "f", b"one")
    assert world.driver.find_writers(share) == ["clients can write: the access mode is rw"]
    with (world.driver.data_path(share) / "f").open("r+b"):
        for mode in (AccessMode.RO, AccessMode.NONE):
            world.driver.set_access_mode(share, mode, world.call())
            (line,) = world.driver.find_writers(share)
            assert "has f open for writing" in line
    assert world.driver.find_writers(share) == []
    with pytest.raises(NotFound):
        world.driver.find_writers(world.snapshot(share))
    forget_array(world.array)


def test_scripted_writer_is_the_message_of_a_wrong_answer(tmp_path: Path) -> None:
    """A test says who still writes, or hides who does."""
    world = World(config_for("memory", tmp_path))
    share = world.share()
    world.array.script.add(FaultKind.WRONG_ANSWER, verb="find_writers", message=f"client {uuid.UUID(int=0)}")
    assert world.driver.find_writers(share) == [f"client {uuid.UUID(int=0)}"]
    world.array.script.add(FaultKind.WRONG_ANSWER, verb="find_writers")
    assert world.driver.find_writers(share) == []
    forget_array(world.array)


def test_size_of_the_copy_is_that_of_the_source(pair: Pair) -> None:
    """A snapshot has the size that its share had when it was taken, wherever it is."""
    first, copy = pair.snapshot(), ref()
    pair.there.driver.resize_share(pair.source, 3 * MIB, pair.there.call())
    finish(lambda: pair.receive(first, copy))
    state = pair.here.driver.observe(copy)
    assert state is not None
    assert (state.size, state.mode) == (MIB, AccessMode.RO)
