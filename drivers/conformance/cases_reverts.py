"""Reverts: a share goes back to any of its snapshots, and all of them stay."""

from __future__ import annotations

import pytest

from drivers.conformance.bench import LAST_EPOCH, Bench, needs
from drivers.conformance.cases_access import assert_read_only
from drivers.conformance.cases_shares import fill
from drivers.contract import AccessMode, JobState, ObjectKind, ObjectRef, SupportsHostAccess
from drivers.errors import NotFound, OverUsed, Rejected


def history(bench: Bench) -> tuple[ObjectRef, list[ObjectRef]]:
    """A share with three snapshots, whose file ``f`` held 0, 1, 2 when they were taken, and holds 3 now."""
    share = bench.create()
    snapshots = []
    for count in range(3):
        bench.client.write(share, "f", b"%d" % count)
        bench.client.write(share, f"only-{count}", b"x")
        snapshots.append(bench.snapshot(share))
        bench.client.remove(share, f"only-{count}")
    bench.client.write(share, "f", b"3")
    return share, snapshots


@needs("snapshots", "revert")
class TestRevertCalls:
    """What can be said of revert_share without reading data."""

    def test_size_and_mode_stay(self, bench: Bench) -> None:
        """Only the content goes back."""
        share = bench.create()
        snapshot = bench.snapshot(share)
        bench.driver.resize_share(share, bench.size * 2, bench.call())
        for mode in (*bench.capabilities.access_modes, AccessMode.RW):
            bench.driver.set_access_mode(share, mode, bench.call())
            bench.revert(share, snapshot, bench.call())
            state = bench.state(share)
            assert (state.size, state.mode, state.complete) == (bench.size * 2, mode, True)

    def test_all_snapshots_stay(self, bench: Bench) -> None:
        """Going back to the oldest keeps the newer ones, and to the newest keeps the older ones."""
        share = bench.create()
        snapshots = [bench.snapshot(share) for _ in range(3)]
        kept = [bench.state(snapshot) for snapshot in snapshots]
        for snapshot in (*snapshots, *reversed(snapshots)):
            bench.revert(share, snapshot, bench.call())
            assert [bench.state(ref) for ref in snapshots] == kept

    def test_missing_share_or_snapshot_is_not_found(self, bench: Bench) -> None:
        """Nothing changes when either is not there."""
        share = bench.create()
        snapshot, gone = bench.snapshot(share), bench.snapshot(share)
        bench.delete(gone)
        for target, source in (
            (bench.ref(), snapshot),
            (share, bench.ref(ObjectKind.SNAPSHOT)),
            (share, gone),
        ):
            with bench.unchanged(), pytest.raises(NotFound):
                bench.reverts().revert_share(target, source, bench.call(LAST_EPOCH))

    def test_snapshot_of_another_share_is_refused(self, bench: Bench) -> None:
        """A share goes back to its own snapshots alone."""
        share, other = bench.create(), bench.create()
        snapshot = bench.snapshot(other)
        with bench.unchanged(), pytest.raises(Rejected):
            bench.reverts().revert_share(share, snapshot, bench.call())

    def test_tags_are_those_of_the_revert(self, bench: Bench) -> None:
        """A revert changes the share."""
        share = bench.create()
        snapshot, call = bench.snapshot(share), bench.call(4)
        bench.revert(share, snapshot, call)
        assert bench.state(share).epoch == 4
        if bench.has("tags"):
            assert bench.state(share).operation == call.operation


@needs("snapshots", "revert", "data")
class TestRevertData:
    """What a revert does to the bytes."""

    def test_share_goes_to_any_snapshot_older_and_newer(self, bench: Bench) -> None:
        """To the oldest, then forward to the newest, then to the one between; snapshots keep their bytes."""
        share, snapshots = history(bench)
        for count in (0, 2, 1, 2, 0):
            bench.revert(share, snapshots[count], bench.call())
            assert bench.client.tree(share) == {"f": b"%d" % count, f"only-{count}": b"x"}
            for index, snapshot in enumerate(snapshots):
                assert bench.client.tree(snapshot) == {"f": b"%d" % index, f"only-{index}": b"x"}

    def test_reverted_share_can_be_written_without_touching_the_snapshot(self, bench: Bench) -> None:
        """Share and snapshot are independent after the revert."""
        share, snapshots = history(bench)
        bench.revert(share, snapshots[1], bench.call())
        bench.client.write(share, "f", b"new")
        assert bench.client.read(snapshots[1], "f") == b"1"
        assert bench.client.read(bench.snapshot(share), "f") == b"new"

    def test_same_revert_again_does_not_undo_what_clients_wrote_since(self, bench: Bench) -> None:
        """After done the same call is done again and does not revert a second time, in no instance."""
        share, snapshots = history(bench)
        call = bench.call()
        bench.revert(share, snapshots[0], call)
        bench.client.write(share, "f", b"written since")
        for driver in (bench.driver, bench.another()) * 5:
            assert bench.reverts(driver).revert_share(share, snapshots[0], call).state is JobState.DONE
        assert bench.client.read(share, "f") == b"written since"

    def test_late_duplicate_of_an_earlier_revert_does_nothing(self, bench: Bench) -> None:
        """A key that is done stays done, also after another revert."""
        share, snapshots = history(bench)
        first, second = bench.call(step="first"), bench.call(step="second")
        bench.revert(share, snapshots[0], first)
        bench.revert(share, snapshots[1], second)
        bench.revert(share, snapshots[0], first, bench.another())
        assert bench.client.read(share, "f") == b"1"

    def test_other_operation_reverts_to_the_same_snapshot_again(self, bench: Bench) -> None:
        """Idempotency is by the key of the call: a new request is carried out."""
        share, snapshots = history(bench)
        for _ in range(2):
            bench.client.write(share, "f", b"written since")
            bench.revert(share, snapshots[0], bench.call())
            assert bench.client.read(share, "f") == b"0"

    @needs("mode:ro")
    def test_read_only_share_is_reverted_and_stays_read_only(self, bench: Bench) -> None:
        """The mode is enforced on the new content too."""
        share, snapshots = history(bench)
        bench.driver.set_access_mode(share, AccessMode.RO, bench.call())
        bench.revert(share, snapshots[0], bench.call())
        assert_read_only(bench, share, {"f": b"0", "only-0": b"x"})

    @needs("host_access")
    def test_data_path_stays_over_a_revert(self, bench: Bench) -> None:
        """Stable while the object exists."""
        assert isinstance(bench.driver, SupportsHostAccess)
        share, snapshots = history(bench)
        path = bench.driver.data_path(share)
        bench.revert(share, snapshots[0], bench.call())
        assert bench.driver.data_path(share) == path

    @needs("quota_enforced")
    def test_size_is_enforced_after_a_revert(self, bench: Bench) -> None:
        """The size that stays is the enforced one."""
        share = bench.create()
        snapshot = bench.snapshot(share)
        bench.driver.resize_share(share, bench.size * 2, bench.call())
        bench.revert(share, snapshot, bench.call())
        assert bench.size < fill(bench, share, bench.size * 4) <= bench.size * 2

    @needs("shrink")
    def test_content_that_does_not_fit_is_refused(self, bench: Bench) -> None:
        """A share that was made smaller than the snapshot's content stays as it is."""
        share = bench.create()
        fill(bench, share, bench.size // 2)
        snapshot = bench.snapshot(share)
        for name in bench.client.tree(share):
            bench.client.remove(share, name)
        bench.driver.resize_share(share, bench.size // 4, bench.call())
        with bench.unchanged(), pytest.raises(OverUsed) as refused:
            bench.reverts().revert_share(share, snapshot, bench.call())
        assert refused.value.used >= bench.size // 2
