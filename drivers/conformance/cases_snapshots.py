"""Snapshots: points in time that never change."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from drivers.conformance.bench import LAST_EPOCH, Bench, needs
from drivers.conformance.cases_access import assert_read_only
from drivers.contract import AccessMode, JobState, ObjectKind
from drivers.errors import Conflict, NotFound, Rejected


@needs("snapshots")
class TestSnapshots:
    """create_snapshot and delete_snapshot."""

    def test_snapshot_is_an_object_of_its_own(self, bench: Bench) -> None:
        """Kind, size of the share when it was taken, read-only, tagged."""
        share, snapshot, call = bench.create(), bench.ref(ObjectKind.SNAPSHOT), bench.call(2)
        bench.complete(lambda: bench.snapshots().create_snapshot(share, snapshot, call))
        bench.driver.resize_share(share, bench.size * 2, bench.call(2))
        state = bench.state(snapshot)
        assert (state.kind, state.size, state.complete) == (ObjectKind.SNAPSHOT, bench.size, True)
        assert (state.mode, state.epoch) == (AccessMode.RO, 2)
        if bench.has("tags"):
            assert (state.deployment, state.operation) == (call.deployment, call.operation)

    def test_taking_a_snapshot_does_not_change_its_share(self, bench: Bench) -> None:
        """Size, mode and content of the share stay."""
        share = bench.create()
        before = bench.state(share)
        bench.snapshot(share)
        after = bench.state(share)
        assert (after.size, after.mode, after.complete) == (before.size, before.mode, True)

    @needs("data")
    def test_snapshot_keeps_its_bytes_while_the_share_is_overwritten(self, bench: Bench) -> None:
        """Overwrite, add, remove in the share: the snapshot shows the old bytes."""
        share = bench.create()
        bench.client.write(share, "a", b"one")
        bench.client.write(share, "d/b", b"two")
        snapshot = bench.snapshot(share)
        bench.client.write(share, "a", b"ONE")
        bench.client.write(share, "c", b"three")
        bench.client.remove(share, "d/b")
        assert bench.client.tree(snapshot) == {"a": b"one", "d/b": b"two"}
        assert bench.client.tree(share) == {"a": b"ONE", "c": b"three"}

    @needs("data", "mode:ro")
    def test_snapshot_cannot_be_written(self, bench: Bench) -> None:
        """A driver that can enforce read-only does so for snapshots."""
        share = bench.create()
        bench.client.write(share, "a", b"one")
        assert_read_only(bench, bench.snapshot(share), {"a": b"one"})

    @needs("data")
    def test_ten_equal_calls_take_one_snapshot_of_the_first_moment(self, bench: Bench) -> None:
        """Once complete, the same call is done and the content does not change."""
        share, snapshot, call = bench.create(), bench.ref(ObjectKind.SNAPSHOT), bench.call()
        bench.client.write(share, "f", b"first")
        bench.complete(lambda: bench.snapshots().create_snapshot(share, snapshot, call))
        bench.client.write(share, "f", b"later")
        with bench.unchanged():
            for driver in (bench.driver, bench.another()) * 5:
                job = bench.snapshots(driver).create_snapshot(share, snapshot, call)
                assert job.state is JobState.DONE
        assert bench.client.tree(snapshot) == {"f": b"first"}

    def test_snapshot_name_of_another_share_conflicts(self, bench: Bench) -> None:
        """The same name with another source is refused and changes nothing."""
        share, other = bench.create(), bench.create()
        snapshot = bench.snapshot(share)
        with bench.unchanged(), pytest.raises(Conflict):
            bench.snapshots().create_snapshot(other, snapshot, bench.call())

    def test_snapshot_under_the_name_of_a_share_conflicts(self, bench: Bench) -> None:
        """A share is never overwritten by a snapshot, nor a snapshot by a share."""
        share, other = bench.create(), bench.create()
        snapshot = bench.snapshot(share)
        with bench.unchanged(), pytest.raises(Conflict):
            bench.snapshots().create_snapshot(share, other, bench.call())
        with bench.unchanged(), pytest.raises(Conflict):
            bench.driver.create_share(snapshot, bench.size, bench.call())

    def test_snapshot_of_a_missing_share_is_not_found(self, bench: Bench) -> None:
        """Nothing is made for a share that never was, is a snapshot, or was deleted."""
        never, gone = bench.ref(), bench.create()
        bench.delete(gone)
        for share in (never, gone):
            with bench.unchanged(), pytest.raises(NotFound):
                bench.snapshots().create_snapshot(share, bench.ref(ObjectKind.SNAPSHOT), bench.call(LAST_EPOCH))
        snapshot = bench.snapshot(bench.create())
        with bench.unchanged(), pytest.raises(Rejected):
            bench.snapshots().create_snapshot(snapshot, bench.ref(ObjectKind.SNAPSHOT), bench.call())

    def test_delete_of_a_missing_snapshot_is_done(self, bench: Bench) -> None:
        """Delete is idempotent by nature."""
        with bench.unchanged():
            job = bench.snapshots().delete_snapshot(bench.ref(ObjectKind.SNAPSHOT), bench.call())
            assert job.state is JobState.DONE

    def test_ten_snapshot_deletes_are_as_good_as_one(self, bench: Bench) -> None:
        """The same delete again is done again; share and other snapshots stay."""
        share = bench.create()
        snapshot, other, call = bench.snapshot(share), bench.snapshot(share), bench.call()
        for driver in (bench.driver, bench.another()) * 5:
            bench.delete(snapshot, call, driver)
        assert bench.driver.observe(snapshot) is None
        assert bench.state(share).complete
        assert bench.state(other).complete

    def test_deleting_a_share_as_if_it_were_a_snapshot_does_not_destroy_it(self, bench: Bench) -> None:
        """A call for the wrong kind of object is refused."""
        share = bench.create()
        with bench.unchanged(), pytest.raises(Rejected):
            bench.snapshots().delete_snapshot(share, bench.call())

    def test_snapshots_outlive_their_share(self, bench: Bench) -> None:
        """A snapshot is a separate object and stays usable when its share is deleted."""
        share, snapshot, call = bench.create(), bench.ref(ObjectKind.SNAPSHOT), bench.call()
        if bench.has("data"):
            bench.client.write(share, "f", b"data")
        bench.complete(lambda: bench.snapshots().create_snapshot(share, snapshot, call))
        bench.delete(share)
        assert bench.state(snapshot).complete
        assert snapshot in bench.listing()
        again = bench.snapshots(bench.another()).create_snapshot(share, snapshot, call)
        assert again.state is JobState.DONE
        if bench.has("data"):
            assert bench.client.tree(snapshot) == {"f": b"data"}
        if bench.has("clone"):
            clone = bench.clone(snapshot)
            assert not bench.has("data") or bench.client.tree(clone) == {"f": b"data"}

    @needs("snapshots_atomic", "data")
    def test_snapshot_is_one_point_in_time_while_clients_write(self, bench: Bench) -> None:
        """A writer makes ``a`` and then ``b``; no snapshot holds a ``b`` that is newer than its ``a``."""
        share = bench.create()
        stop = threading.Event()

        def write() -> None:
            count = 0
            while not stop.is_set():
                count += 1
                for name in ("a", "b"):
                    bench.client.write(share, name, b"%d" % count)

        with writing(write, stop):
            snapshots = [bench.snapshot(share) for _ in range(8)]
        for snapshot in snapshots:
            found = {name: int(data) for name, data in bench.client.tree(snapshot).items() if name in {"a", "b"}}
            first, second = found.get("a", 0), found.get("b", 0)
            assert second <= first <= second + 1, f"torn snapshot: a is {first}, b is {second}"


@contextlib.contextmanager
def writing(work: Callable[[], None], stop: threading.Event) -> Iterator[None]:
    """Run ``work`` in a thread meanwhile; what it raises is raised at the end."""
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(work)
        try:
            yield
        finally:
            stop.set()
        running.result()
