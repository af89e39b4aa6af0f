"""Snapshots that travel: between pools of one backend, and from another backend where the bench has one."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from drivers.conformance.bench import LAST_EPOCH, Bench, needs, patiently
from drivers.conformance.cases_access import assert_read_only
from drivers.conformance.cases_fencing import refused
from drivers.conformance.cases_snapshots import writing
from drivers.contract import (
    AccessMode,
    Call,
    Capabilities,
    Driver,
    Job,
    JobState,
    ObjectKind,
    ObjectRef,
    SupportsHostAccess,
)
from drivers.errors import Busy, Conflict, NotFound, Rejected, StaleEpoch
from drivers.mover import compare_trees

NAMES = ("plain", "with\nnewline", "ünï-☃-\U0001f4be", "-rf", " lead and trail ", "quote\"'`$(id)", "tab\t", "n" * 200)
BLOCK = bytes(range(256)) * 256  # 64 KiB
CRAWL = 1
"""Bytes per second at which a job surely still runs."""

Base = tuple[ObjectRef, ObjectRef] | None


@dataclass
class Way:
    """A share at the sender and one at the receiver."""

    there: Bench
    here: Bench
    source: ObjectRef
    share: ObjectRef

    def snapshot(self, **files: bytes) -> ObjectRef:
        """A snapshot of the sender's share, after clients wrote these files."""
        if self.there.has("data"):
            for name, data in files.items():
                self.there.client.write(self.source, name, data)
        return self.there.snapshot(self.source)

    def target(self) -> ObjectRef:
        """A fresh name for a snapshot at the receiver."""
        return self.here.ref(ObjectKind.SNAPSHOT, self.share.pool)

    def start(
        self,
        source: ObjectRef,
        target: ObjectRef,
        call: Call,
        driver: Driver | None = None,
        *,
        base: Base = None,
        bandwidth: int | None = None,
    ) -> Job:
        """One call."""
        receiver = self.here.transfers(driver)
        return receiver.receive_snapshot(
            self.there.driver, source, target, self.share, call, base=base, bandwidth=bandwidth
        )

    def receive(self, source: ObjectRef, base: Base = None) -> tuple[ObjectRef, Job]:
        """A new copy, complete."""
        target, call = self.target(), self.here.call()
        job = self.here.finish(lambda: self.start(source, target, call, base=base))
        assert job.state is JobState.DONE, f"job ended as {job}"
        return target, job

    def assert_equal(self, source: ObjectRef, target: ObjectRef) -> None:
        """Both have the same files, and the same metadata where that can be looked at."""
        if self.here.has("data"):
            assert self.here.client.tree(target) == self.there.client.tree(source)
        mine, theirs = self.here.driver, self.there.driver
        if isinstance(mine, SupportsHostAccess) and isinstance(theirs, SupportsHostAccess):
            assert compare_trees(theirs.data_path(source), mine.data_path(target)) == []


def ways(bench: Bench) -> list[Way]:
    """Within the first pool, from the last pool to the first, and from the other backend."""
    pools = dict.fromkeys((bench.pool, bench.target.config.pools[-1].name))
    found = [Way(bench, bench, bench.create(pool=pool), bench.create()) for pool in pools]
    peer = bench.peer()
    return found if peer is None else [*found, Way(peer, bench, peer.create(), bench.create())]


def longest(bench: Bench) -> Way:
    """The way between the places that have least in common."""
    return ways(bench)[-1]


def many() -> dict[str, bytes]:
    """Files that take a while."""
    return {f"f{index}": BLOCK for index in range(12)}


@needs("transfer")
class TestTransfer:
    """receive_snapshot: what is there afterwards, and what is refused."""

    def test_received_snapshot_is_a_snapshot_like_any_other(self, bench: Bench) -> None:
        """Kind, size of the source's share, read-only, tagged; the source stays as it is."""
        for way in ways(bench):
            source, target, call = way.snapshot(f=b"one"), way.target(), bench.call(2)
            before = way.there.state(source)
            bench.complete(lambda way=way, source=source, target=target, call=call: way.start(source, target, call))  # type: ignore[misc]
            state = bench.state(target)
            assert (state.kind, state.size, state.complete) == (ObjectKind.SNAPSHOT, before.size, True)
            assert (state.mode, state.epoch) == (AccessMode.RO, 2)
            if bench.has("tags"):
                assert (state.deployment, state.operation) == (call.deployment, call.operation)
            assert way.there.state(source) == before

    @needs("data")
    def test_only_what_changed_since_the_base_travels(self, bench: Bench) -> None:
        """Whole without a base; with one less, and still equal: added, changed and removed files."""
        for way in ways(bench):
            first = way.snapshot(**many())
            copy, whole = way.receive(first)
            way.assert_equal(first, copy)
            assert whole.bytes_moved >= len(BLOCK), "the bytes of a whole transfer are not counted"
            way.there.client.remove(way.source, "f0")
            second = way.snapshot(f1=BLOCK[::-1], new=b"x")
            again, part = way.receive(second, (first, copy))
            way.assert_equal(second, again)
            way.assert_equal(first, copy)
            assert 0 < part.bytes_moved < whole.bytes_moved / 2, "a transfer with a base moved all"

    def test_nothing_changed_since_the_base(self, bench: Bench) -> None:
        """An empty difference is a difference."""
        way = longest(bench)
        first = way.snapshot(f=b"one")
        copy, _ = way.receive(first)
        second = way.snapshot()
        again, _ = way.receive(second, (first, copy))
        way.assert_equal(second, again)

    @needs("data")
    def test_what_is_new_in_a_folder_leaves_the_root_as_it_is(self, bench: Bench) -> None:
        """The times of directories are those of the source, also where nothing in them has changed."""
        for way in ways(bench):
            if not way.there.has("data"):
                continue
            way.there.client.write(way.source, "d/old", b"data")
            first = way.snapshot()
            copy, _ = way.receive(first)
            way.there.client.write(way.source, "d/new", b"data")
            second = way.snapshot()
            again, _ = way.receive(second, (first, copy))
            way.assert_equal(second, again)
            way.there.client.write(way.source, "d/newer", b"data")
            third = way.snapshot()
            last, _ = way.receive(third, (second, again))
            way.assert_equal(third, last)

    @needs("data")
    def test_differences_go_both_ways(self, bench: Bench) -> None:
        """What was received is a base for the way back, after the receiver's share went on from it."""
        way = longest(bench)
        first = way.snapshot(**many())
        copy, _ = way.receive(first)
        bench.revert(way.share, copy, bench.call())
        back = Way(bench, way.there, way.share, way.source)
        second = back.snapshot(mine=b"written at the receiver")
        home, part = back.receive(second, (copy, first))
        back.assert_equal(second, home)
        assert part.bytes_moved < 12 * len(BLOCK) / 2

    @needs("host_access", "data")
    def test_metadata_travels(self, bench: Bench) -> None:
        """Modes, times, links and attributes are those of the source."""
        way = longest(bench)
        driver = way.there.driver
        assert isinstance(driver, SupportsHostAccess)
        way.there.client.write(way.source, "d/f", b"data")
        root = driver.data_path(way.source)
        (root / "link").symlink_to("no/such place")
        (root / "hard").hardlink_to(root / "d" / "f")
        (root / "d" / "f").chmod(0o640)
        (root / "d").chmod(0o2711)
        with contextlib.suppress(OSError):  # not every file system has them
            os.setxattr(root / "d" / "f", "user.color", b"green")
        os.utime(root / "d" / "f", ns=(1_000_000_007, 1_234_567_891_234_567_891))
        os.utime(root / "d", ns=(5, 77_000_000_009))
        source = way.snapshot()
        copy, _ = way.receive(source)
        way.assert_equal(source, copy)

    @needs("data")
    def test_hostile_names_travel(self, bench: Bench) -> None:
        """Names are bytes to a file system, whatever they look like."""
        way = longest(bench)
        for name in NAMES:
            way.there.client.write(way.source, name, name.encode())
        source = way.snapshot()
        copy, _ = way.receive(source)
        assert bench.client.tree(copy) == {name: name.encode() for name in NAMES}

    @needs("data")
    def test_what_clients_write_meanwhile_is_not_in_it(self, bench: Bench) -> None:
        """The source is a snapshot; its share may change at will."""
        way = longest(bench)
        source, stop = way.snapshot(**many()), threading.Event()

        def write() -> None:
            while not stop.is_set():
                way.there.client.write(way.source, "f3", b"changed")
                way.there.client.write(way.source, "more", b"x")

        with writing(write, stop):
            copy, _ = way.receive(source)
        assert bench.client.tree(copy) == many()
        way.assert_equal(source, copy)

    def test_ten_equal_calls_receive_one_snapshot(self, bench: Bench) -> None:
        """Once complete the same call is done and says the same, also when the source is gone."""
        way = longest(bench)
        source, target, call = way.snapshot(f=b"one"), way.target(), bench.call()
        first = bench.finish(lambda: way.start(source, target, call))
        with bench.unchanged():
            for driver in (bench.driver, bench.another()) * 5:
                assert way.start(source, target, call, driver) == first
        way.there.delete(source)
        with bench.unchanged():
            assert way.start(source, target, call).state is JobState.DONE

    def test_target_that_is_something_else_conflicts(self, bench: Bench) -> None:
        """Another source, another share, a snapshot that was taken here, a share: refused, and nothing changes."""
        way = longest(bench)
        source, other = way.snapshot(f=b"one"), way.snapshot(f=b"two")
        copy, _ = way.receive(source)
        taken, share = bench.snapshot(way.share), bench.create(pool=way.share.pool)
        elsewhere = dataclasses.replace(way, share=share)
        attempts: list[Callable[[], object]] = [
            lambda: way.start(other, copy, bench.call()),
            lambda: elsewhere.start(source, copy, bench.call()),
            lambda: way.start(source, taken, bench.call()),
            lambda: way.start(source, share, bench.call()),
            lambda: bench.snapshots().create_snapshot(way.share, copy, bench.call()),
        ]
        for attempt in attempts:
            with bench.unchanged(), pytest.raises(Conflict):
                attempt()

    def test_what_is_missing_is_not_found(self, bench: Bench) -> None:
        """Source, share, and either side of the base; nothing is made."""
        way = longest(bench)
        source = way.snapshot(f=b"one")
        copy, _ = way.receive(source)
        second, no_source = way.snapshot(), way.there.ref(ObjectKind.SNAPSHOT, way.source.pool)
        homeless = dataclasses.replace(way, share=bench.ref(pool=way.share.pool))
        attempts: list[Callable[[ObjectRef], object]] = [
            lambda target: way.start(no_source, target, bench.call()),
            lambda target: homeless.start(second, target, bench.call()),
            lambda target: way.start(second, target, bench.call(), base=(no_source, copy)),
            lambda target: way.start(second, target, bench.call(), base=(source, way.target())),
        ]
        for attempt in attempts:
            with bench.unchanged(), pytest.raises(NotFound):
                attempt(way.target())

    @needs("data")
    def test_base_that_is_not_the_same_on_both_sides_is_refused(self, bench: Bench) -> None:
        """A difference is worth nothing on another base; nothing is made."""
        way = longest(bench)
        first, second = way.snapshot(f=b"one"), way.snapshot(f=b"two")
        copy, _ = way.receive(first)
        bench.client.write(way.share, "f", b"other")
        other, third = bench.snapshot(way.share), way.snapshot(f=b"three")
        for base in ((first, other), (second, copy)):
            with bench.unchanged(), pytest.raises(Conflict):
                way.start(third, way.target(), bench.call(), base=base)

    def test_sender_of_another_format_is_refused(self, bench: Bench) -> None:
        """Formats are compared by name."""
        way = longest(bench)
        kind = type(way.there.driver)

        class Foreign(kind):  # type: ignore[misc, valid-type]
            """The sender, with another name for its format."""

            def capabilities(self) -> Capabilities:
                able: Capabilities = super().capabilities()
                return dataclasses.replace(able, transfer="no-such-format")

        foreign, source = Foreign(way.there.target.config), way.snapshot()
        try:
            with bench.unchanged(), pytest.raises(Rejected):
                bench.transfers().receive_snapshot(foreign, source, way.target(), way.share, bench.call())
        finally:
            foreign.close()

    def test_nonsense_is_refused(self, bench: Bench) -> None:
        """A bandwidth below one byte per second; a share in another pool than the target."""
        way = longest(bench)
        source = way.snapshot(f=b"one")
        for bandwidth in (0, -1):
            with bench.unchanged(), pytest.raises(Rejected):
                way.start(source, way.target(), bench.call(), bandwidth=bandwidth)
        last = bench.target.config.pools[-1].name
        if last != bench.pool:
            apart = dataclasses.replace(way, share=bench.create(pool=last))
            with bench.unchanged(), pytest.raises(Rejected):
                apart.start(source, bench.ref(ObjectKind.SNAPSHOT), bench.call())

    def test_stale_receive_is_refused(self, bench: Bench) -> None:
        """An older epoch does not even adopt."""
        way = longest(bench)
        source, target = way.snapshot(f=b"one"), way.target()
        call = bench.call(5)
        bench.complete(lambda: way.start(source, target, call))
        refused(bench, lambda driver: way.start(source, target, bench.call(4), driver))
        way.start(source, target, bench.call(7))
        refused(bench, lambda driver: way.start(source, target, bench.call(6), driver))

    def test_late_receive_after_delete_is_stale(self, bench: Bench) -> None:
        """A deleted name is never filled again."""
        way = longest(bench)
        source = way.snapshot(f=b"one")
        copy, _ = way.receive(source)
        bench.delete(copy)
        with bench.unchanged(), pytest.raises(StaleEpoch):
            way.start(source, copy, bench.call(LAST_EPOCH))

    @needs("data")
    def test_share_goes_back_to_what_was_received(self, bench: Bench) -> None:
        """A received snapshot is one of its share: the share can be reverted to it, and it stays."""
        for way in ways(bench):
            source = way.snapshot(f=b"one", **many())
            copy, _ = way.receive(source)
            bench.client.write(way.share, "here", b"x")
            bench.revert(way.share, copy, bench.call())
            assert bench.client.tree(way.share) == way.there.client.tree(source)
            bench.client.write(way.share, "f", b"later")
            way.assert_equal(source, copy)

    @needs("data")
    def test_received_snapshot_can_be_cloned_and_outlives_its_source(self, bench: Bench) -> None:
        """Deleting source, its share and the base does not touch the copy."""
        way = longest(bench)
        first = way.snapshot(f=b"one")
        copy, _ = way.receive(first)
        second = way.snapshot(g=b"two")
        again, _ = way.receive(second, (first, copy))
        for gone in (first, second, way.source):
            way.there.delete(gone)
        bench.delete(copy)
        clone = bench.clone(again)
        assert bench.client.tree(clone) == bench.client.tree(again) == {"f": b"one", "g": b"two"}

    @needs("data", "mode:ro")
    def test_received_snapshot_cannot_be_written(self, bench: Bench) -> None:
        """It is as read-only as one that was taken here."""
        way = longest(bench)
        copy, _ = way.receive(way.snapshot(f=b"one"))
        assert_read_only(bench, copy, {"f": b"one"})


@needs("transfer")
class TestChanged:
    """How many bytes have changed since a snapshot: a number that is right, or none."""

    def test_what_is_not_there_is_not_found(self, bench: Bench) -> None:
        """Neither the share nor the snapshot."""
        driver, share = bench.transfers(), bench.create()
        snapshot = bench.snapshot(share)
        with pytest.raises(NotFound):
            driver.changed_bytes(share, bench.ref(ObjectKind.SNAPSHOT))
        with pytest.raises(NotFound):
            driver.changed_bytes(bench.ref(), snapshot)

    @needs("data")
    def test_what_clients_write_is_counted_and_what_they_leave_is_not(self, bench: Bench) -> None:
        """However soon it is asked; older snapshots have less, and the one that is taken now has everything."""
        driver, share = bench.transfers(), bench.create()
        for number in range(8):
            bench.client.write(share, f"old{number}", BLOCK)
        first = bench.snapshot(share)
        assert driver.changed_bytes(share, first) in (0, None)
        bench.client.write(share, "new", BLOCK)
        assert _is_about(driver.changed_bytes(share, first), len(BLOCK))
        second = bench.snapshot(share)
        bench.client.write(share, "old0", BLOCK[::-1])
        bench.client.remove(share, "old1")
        assert _is_about(driver.changed_bytes(share, first), 2 * len(BLOCK))
        assert _is_about(driver.changed_bytes(share, second), len(BLOCK))
        assert driver.changed_bytes(share, bench.snapshot(share)) in (0, None)

    @needs("data")
    def test_nothing_wrong_is_said_of_a_share_that_was_reverted(self, bench: Bench) -> None:
        """To the snapshot itself only what came later changed; what differs from another is counted or not told."""
        driver, share = bench.transfers(), bench.create()
        bench.client.write(share, "a", BLOCK)
        first = bench.snapshot(share)
        bench.client.write(share, "a", BLOCK[::-1])
        second = bench.snapshot(share)
        bench.revert(share, first, bench.call())
        assert driver.changed_bytes(share, first) in (0, None)
        assert _is_about(driver.changed_bytes(share, second), len(BLOCK))
        bench.client.write(share, "b", BLOCK)
        assert _is_about(driver.changed_bytes(share, first), len(BLOCK))


def _is_about(told: int | None, changed: int) -> bool:
    """Whether it is so many bytes, or as many as a backend's own pieces make of them; or nobody can tell."""
    return told is None or changed <= told < 2 * changed


@needs("transfer")
class TestUnchanged:
    """Whether a share has the content of its snapshot still: never said of one that has not."""

    def test_a_snapshot_of_it_that_is_not_there_is_not_found(self, bench: Bench) -> None:
        """Neither is the share."""
        driver, share = bench.transfers(), bench.create()
        snapshot = bench.snapshot(share)
        with pytest.raises(NotFound):
            driver.is_unchanged(share, bench.ref(ObjectKind.SNAPSHOT))
        with pytest.raises(NotFound):
            driver.is_unchanged(bench.ref(), snapshot)

    @needs("data")
    def test_whatever_is_changed_is_no_more_said_to_be_unchanged(self, bench: Bench) -> None:
        """A new file, other bytes in an old one, one that is gone; however soon it is asked."""
        driver, share = bench.transfers(), bench.create()
        bench.client.write(share, "a", BLOCK)
        bench.client.write(share, "b", BLOCK)
        changes: tuple[Callable[[], None], ...] = (
            lambda: bench.client.write(share, "c", b"new"),
            lambda: bench.client.write(share, "a", BLOCK[::-1]),
            lambda: bench.client.remove(share, "b"),
        )
        for change in changes:
            snapshot = bench.snapshot(share)
            said = driver.is_unchanged(share, snapshot)
            assert driver.is_unchanged(share, snapshot) is said
            change()
            assert not driver.is_unchanged(share, snapshot)

    @needs("data")
    def test_another_share_is_not_the_one_that_the_snapshot_is_of(self, bench: Bench) -> None:
        """Nor is it after a revert to another content."""
        driver, share = bench.transfers(), bench.create()
        first = bench.snapshot(share)
        bench.client.write(share, "a", BLOCK)
        second = bench.snapshot(share)
        assert not driver.is_unchanged(share, first)
        assert not driver.is_unchanged(bench.create(), second)
        bench.revert(share, first, bench.call())
        assert not driver.is_unchanged(share, second)


@needs("transfer")
class TestTransferJobs:
    """The life of a transfer, also for drivers whose transfers are done at once."""

    def test_progress_never_goes_back_and_ends_with_a_whole_snapshot(self, bench: Bench) -> None:
        """While the job runs the target is not complete; after done it is."""
        way = longest(bench)
        source, target, call = way.snapshot(**many()), way.target(), bench.call()
        job, seen = way.start(source, target, call, bandwidth=CRAWL), 0
        if job.state is JobState.RUNNING:
            state = bench.driver.observe(target)
            assert state is None or not state.complete, "shown as complete while its job runs"
            with pytest.raises((NotFound, Busy)):
                bench.reverts().revert_share(way.share, target, bench.call())
        deadline = time.monotonic() + bench.target.job_timeout
        while job.state is JobState.RUNNING:
            job = patiently(lambda: way.start(source, target, call))
            assert max(job.bytes_done, job.bytes_moved) >= seen or job.state is JobState.DONE, "progress went back"
            seen = job.bytes_moved
            assert time.monotonic() < deadline, f"still running: {job}"
            time.sleep(0.01)
        assert job.state is JobState.DONE
        assert bench.state(target).complete
        way.assert_equal(source, target)

    def test_job_is_found_again_after_its_process_went_away(self, bench: Bench) -> None:
        """Another instance takes the same call to its end."""
        way = longest(bench)
        source, target, call = way.snapshot(**many()), way.target(), bench.call()
        first = bench.another()
        way.start(source, target, call, first, bandwidth=CRAWL)
        first.close()
        last = bench.another()
        bench.complete(lambda: way.start(source, target, call, last))
        way.assert_equal(source, target)

    def test_cancelled_receive_is_deleted_without_a_trace(self, bench: Bench) -> None:
        """Cancel, then delete: nothing is left and nothing comes back."""
        way = longest(bench)
        source, target, call = way.snapshot(**many()), way.target(), bench.call()
        way.start(source, target, call, bandwidth=CRAWL)
        over = bench.another().cancel_job(call)
        assert over.state is JobState.CANCELLED or (over.state is JobState.DONE and bench.state(target).complete)
        bench.delete(target, bench.call(1))
        assert bench.driver.observe(target) is None
        assert target not in bench.listing()
        time.sleep(0.05)
        assert bench.driver.observe(target) is None
        with pytest.raises(Rejected):
            way.start(source, target, call)

    def test_cancelled_receive_is_never_complete_by_accident(self, bench: Bench) -> None:
        """What it left shows as incomplete, or not at all; the call made anew finishes it."""
        way = longest(bench)
        source, target, call = way.snapshot(**many()), way.target(), bench.call()
        job = way.start(source, target, call, bandwidth=CRAWL)
        over = bench.driver.cancel_job(call)
        state = bench.driver.observe(target)
        if job.state is JobState.RUNNING and over.state is JobState.CANCELLED:
            assert state is None or not state.complete
        bench.complete(lambda: way.start(source, target, call))
        way.assert_equal(source, target)

    def test_delete_stops_the_job_that_receives(self, bench: Bench) -> None:
        """No cancel is needed before a delete of the target."""
        way = longest(bench)
        source, target = way.snapshot(**many()), way.target()
        way.start(source, target, bench.call(), bandwidth=CRAWL)
        bench.delete(target, bench.call(1), bench.another())
        assert bench.driver.observe(target) is None
        time.sleep(0.05)
        assert bench.driver.observe(target) is None
        assert target not in bench.listing()
        way.there.delete(source)

    def test_source_or_base_deleted_meanwhile_leaves_a_whole_copy_or_none(self, bench: Bench) -> None:
        """The delete waits (Busy) or the job goes on; one that says done holds everything."""
        way = longest(bench)
        first = way.snapshot(**many())
        copy, _ = way.receive(first)
        for gone in ("source", "base"):
            second = way.snapshot(f0=BLOCK[::-1], f1=BLOCK[::-1])
            target, call = way.target(), bench.call()
            job = way.start(second, target, call, base=(first, copy), bandwidth=CRAWL)
            there, victim = (way.there, second) if gone == "source" else (bench, copy)
            expected = way.there.client.tree(second) if bench.has("data") else {}
            try:
                there.snapshots().delete_snapshot(victim, there.call())
            except Busy:
                assert job.state is JobState.RUNNING
            try:
                job = bench.finish(
                    lambda second=second, target=target, call=call: way.start(second, target, call, base=(first, copy))  # type: ignore[misc]
                )
            except Rejected:
                continue
            if job.state is JobState.DONE and bench.has("data"):
                assert bench.client.tree(target) == expected
