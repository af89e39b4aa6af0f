"""Clones: new shares out of snapshots."""

from __future__ import annotations

import pytest

from drivers.conformance.bench import LAST_EPOCH, Bench, needs
from drivers.conformance.cases_shares import fill
from drivers.contract import AccessMode, JobState, ObjectKind
from drivers.errors import Conflict, NotFound, Rejected


@needs("snapshots", "clone")
class TestClone:
    """clone_snapshot."""

    def test_clone_is_a_complete_writable_share_of_the_size_asked(self, bench: Bench) -> None:
        """Kind, size, mode and tags are those of a new share."""
        snapshot, clone, call = bench.snapshot(bench.create()), bench.ref(), bench.call(2)
        bench.complete(lambda: bench.clones().clone_snapshot(snapshot, clone, bench.size, call))
        state = bench.state(clone)
        assert (state.kind, state.size, state.complete) == (ObjectKind.SHARE, bench.size, True)
        assert (state.mode, state.epoch) == (AccessMode.RW, 2)
        if bench.has("tags"):
            assert (state.deployment, state.operation) == (call.deployment, call.operation)

    @needs("data")
    def test_clone_holds_the_snapshot_and_not_the_share_of_today(self, bench: Bench) -> None:
        """The content is that of the snapshot."""
        share = bench.create()
        bench.client.write(share, "d/f", b"then")
        snapshot = bench.snapshot(share)
        bench.client.write(share, "d/f", b"now")
        clone = bench.clone(snapshot)
        assert bench.client.tree(clone) == {"d/f": b"then"}

    @needs("data")
    def test_clone_snapshot_and_share_are_independent(self, bench: Bench) -> None:
        """Writing to one changes none of the others; deleting snapshot and share leaves the clone."""
        share = bench.create()
        bench.client.write(share, "f", b"1")
        snapshot = bench.snapshot(share)
        clone, second = bench.clone(snapshot), bench.clone(snapshot)
        bench.client.write(clone, "f", b"2")
        bench.client.write(share, "f", b"3")
        assert [bench.client.read(ref, "f") for ref in (share, snapshot, clone, second)] == [b"3", b"1", b"2", b"1"]
        bench.delete(snapshot)
        bench.delete(share)
        assert [bench.client.tree(ref) for ref in (clone, second)] == [{"f": b"2"}, {"f": b"1"}]
        assert bench.state(clone).complete

    def test_clone_may_be_larger_than_its_snapshot(self, bench: Bench) -> None:
        """The size asked is the size made."""
        share = bench.create()
        if bench.has("data"):
            bench.client.write(share, "f", b"1")
        clone = bench.clone(bench.snapshot(share), bench.size * 2)
        assert bench.state(clone).size == bench.size * 2
        if bench.has("data"):
            assert bench.client.tree(clone) == {"f": b"1"}

    @needs("quota_enforced", "data")
    def test_grown_clone_takes_more_than_its_snapshot_could_and_no_more_than_its_size(self, bench: Bench) -> None:
        """The new size is the enforced one."""
        clone = bench.clone(bench.snapshot(bench.create()), bench.size * 2)
        written = fill(bench, clone, bench.size * 4)
        assert bench.size < written <= bench.size * 2

    def test_clone_smaller_than_its_snapshot_is_refused(self, bench: Bench) -> None:
        """At least the snapshot's size; nothing is made."""
        snapshot = bench.snapshot(bench.create())
        with bench.unchanged(), pytest.raises(Rejected):
            bench.clones().clone_snapshot(snapshot, bench.ref(), bench.size // 2, bench.call())

    def test_ten_equal_clones_make_one_share(self, bench: Bench) -> None:
        """The same call again is done again, from any instance, and keeps what clients wrote."""
        snapshot, clone, call = bench.snapshot(bench.create()), bench.ref(), bench.call()
        bench.complete(lambda: bench.clones().clone_snapshot(snapshot, clone, bench.size, call))
        if bench.has("data"):
            bench.client.write(clone, "mine", b"x")
        with bench.unchanged():
            for driver in (bench.driver, bench.another()) * 5:
                job = bench.clones(driver).clone_snapshot(snapshot, clone, bench.size, call)
                assert job.state is JobState.DONE

    def test_create_adopts_a_finished_clone(self, bench: Bench) -> None:
        """After done, create_share with the same name and size returns the finished share with its content."""
        share = bench.create()
        if bench.has("data"):
            bench.client.write(share, "f", b"1")
        clone = bench.clone(bench.snapshot(share))
        for driver in (bench.driver, bench.another()):
            made = driver.create_share(clone, bench.size, bench.call())
            assert (made.ref, made.size) == (clone, bench.size)
            assert made.export_paths
        if bench.has("data"):
            assert bench.client.tree(clone) == {"f": b"1"}

    def test_same_name_with_another_size_or_source_conflicts(self, bench: Bench) -> None:
        """A name stands for one request; nothing changes."""
        share = bench.create()
        snapshot, other = bench.snapshot(share), bench.snapshot(share)
        clone = bench.clone(snapshot)
        for source, size in ((snapshot, bench.size * 2), (other, bench.size)):
            with bench.unchanged(), pytest.raises(Conflict):
                bench.clones().clone_snapshot(source, clone, size, bench.call())

    def test_clone_onto_a_share_that_is_no_clone_conflicts(self, bench: Bench) -> None:
        """A share with another origin is never overwritten."""
        share, other = bench.create(), bench.create()
        snapshot = bench.snapshot(share)
        if bench.has("data"):
            bench.client.write(other, "precious", b"x")
        for target in (share, other, snapshot):
            with bench.unchanged(), pytest.raises(Conflict):
                bench.clones().clone_snapshot(snapshot, target, bench.size, bench.call())

    def test_clone_of_a_missing_snapshot_is_not_found(self, bench: Bench) -> None:
        """Nothing is made out of nothing."""
        never, gone = bench.ref(ObjectKind.SNAPSHOT), bench.snapshot(bench.create())
        bench.delete(gone)
        for snapshot in (never, gone):
            with bench.unchanged(), pytest.raises(NotFound):
                bench.clones().clone_snapshot(snapshot, bench.ref(), bench.size, bench.call(LAST_EPOCH))

    def test_clone_of_a_clone(self, bench: Bench) -> None:
        """A clone is a share like any other: snapshot it, clone it, delete the chain from its root."""
        share = bench.create()
        if bench.has("data"):
            bench.client.write(share, "f", b"1")
        first = bench.snapshot(share)
        middle = bench.clone(first)
        second = bench.snapshot(middle)
        last = bench.clone(second)
        for ref in (share, first, middle, second):
            bench.delete(ref)
        assert bench.state(last).complete
        if bench.has("data"):
            assert bench.client.tree(last) == {"f": b"1"}
