"""Fencing: a call with an older epoch changes nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from drivers.conformance.bench import Bench, needs
from drivers.contract import AccessMode, Driver, ObjectKind, ObjectRef
from drivers.errors import StaleEpoch


def refused(bench: Bench, attempt: Callable[[Driver], object]) -> None:
    """The attempt is refused as stale by two instances and changes nothing."""
    for driver in (bench.driver, bench.another()):
        with bench.unchanged(), pytest.raises(StaleEpoch):
            attempt(driver)


class TestFencing:
    """The object of a call is the one that the call makes, changes or removes."""

    def test_stale_create_is_refused(self, bench: Bench) -> None:
        """An older create does not even adopt."""
        ref = bench.create(epoch=5)
        refused(bench, lambda driver: driver.create_share(ref, bench.size, bench.call(4)))

    def test_stale_create_of_another_size_is_refused_as_stale(self, bench: Bench) -> None:
        """The epoch is compared before anything else."""
        ref = bench.create(epoch=5)
        refused(bench, lambda driver: driver.create_share(ref, bench.size * 2, bench.call(4)))

    def test_stale_resize_is_refused(self, bench: Bench) -> None:
        """Neither grow, nor shrink, nor the size it has."""
        ref = bench.create(epoch=5)
        for size in (bench.size * 2, bench.size // 2, bench.size):
            refused(bench, lambda driver, size=size: driver.resize_share(ref, size, bench.call(4)))  # type: ignore[misc]

    def test_stale_access_mode_is_refused(self, bench: Bench) -> None:
        """A zombie cannot open or close a share."""
        ref = bench.create(epoch=5)
        for mode in bench.capabilities.access_modes:
            refused(bench, lambda driver, mode=mode: driver.set_access_mode(ref, mode, bench.call(4)))  # type: ignore[misc]

    def test_stale_delete_is_refused(self, bench: Bench) -> None:
        """A zombie cannot delete."""
        ref = bench.create(epoch=5)
        refused(bench, lambda driver: driver.delete_share(ref, bench.call(4)))
        assert bench.driver.create_share(ref, bench.size, bench.call(5)).size == bench.size

    @needs("snapshots")
    def test_stale_snapshot_calls_are_refused(self, bench: Bench) -> None:
        """Neither the create nor the delete of a snapshot."""
        share = bench.create(epoch=1)
        snapshot = bench.snapshot(share, epoch=5)
        refused(bench, lambda driver: bench.snapshots(driver).create_snapshot(share, snapshot, bench.call(4)))
        refused(bench, lambda driver: bench.snapshots(driver).delete_snapshot(snapshot, bench.call(4)))

    @needs("clone")
    def test_stale_clone_is_refused(self, bench: Bench) -> None:
        """A clone that was made by a newer epoch is not touched."""
        snapshot = bench.snapshot(bench.create())
        clone = bench.clone(snapshot, epoch=5)
        refused(bench, lambda driver: bench.clones(driver).clone_snapshot(snapshot, clone, bench.size, bench.call(4)))

    @needs("revert")
    def test_stale_revert_is_refused(self, bench: Bench) -> None:
        """A zombie cannot take a share back."""
        share = bench.create(epoch=5)
        snapshot = bench.snapshot(share, epoch=5)
        if bench.has("data"):
            bench.client.write(share, "later", b"x")
        refused(bench, lambda driver: bench.reverts(driver).revert_share(share, snapshot, bench.call(4)))

    def test_every_mutating_call_raises_the_fence(self, bench: Bench) -> None:
        """The newest epoch seen counts, whichever verb brought it, even when the verb had nothing to do."""
        ref = bench.create(epoch=1)
        bench.driver.resize_share(ref, bench.size * 2, bench.call(3))
        assert bench.state(ref).epoch == 3
        refused(bench, lambda driver: driver.resize_share(ref, bench.size * 4, bench.call(2)))
        bench.driver.set_access_mode(ref, AccessMode.RW, bench.call(5))
        assert bench.state(ref).epoch == 5
        refused(bench, lambda driver: driver.delete_share(ref, bench.call(4)))
        bench.driver.create_share(ref, bench.size * 2, bench.call(7))
        assert bench.state(ref).epoch == 7
        refused(bench, lambda driver: driver.resize_share(ref, bench.size * 4, bench.call(6)))

    def test_equal_epoch_is_not_stale(self, bench: Bench) -> None:
        """Retries of one claim carry the same epoch."""
        ref = bench.create(epoch=5)
        assert bench.driver.resize_share(ref, bench.size * 2, bench.call(5)).size == bench.size * 2

    def test_late_create_after_delete_is_stale(self, bench: Bench) -> None:
        """The zombie of a create that was undone is refused as StaleEpoch."""
        ref, call = bench.ref(), bench.call(1)
        bench.driver.create_share(ref, bench.size, call)
        bench.delete(ref, bench.call(1))
        refused(bench, lambda driver: driver.create_share(ref, bench.size, call))

    @needs("snapshots")
    def test_late_snapshot_after_delete_is_stale(self, bench: Bench) -> None:
        """The same for snapshots, deleted after or before their create."""
        share = bench.create()
        for snapshot in (bench.snapshot(share), bench.ref(ObjectKind.SNAPSHOT)):
            bench.delete(snapshot, bench.call(1))
            self._late_snapshot(bench, share, snapshot)

    @staticmethod
    def _late_snapshot(bench: Bench, share: ObjectRef, snapshot: ObjectRef) -> None:
        for call in (bench.call(1), bench.call(9)):
            refused(bench, lambda driver, call=call: bench.snapshots(driver).create_snapshot(share, snapshot, call))  # type: ignore[misc]

    @needs("clone")
    def test_late_clone_after_delete_is_stale(self, bench: Bench) -> None:
        """The same for clones, deleted after or before their create."""
        snapshot = bench.snapshot(bench.create())
        made, never = bench.clone(snapshot), bench.ref()
        for ref in (made, never):
            bench.delete(ref, bench.call(1))
            for epoch in (1, 9):
                self._late_clone(bench, snapshot, ref, epoch)

    @staticmethod
    def _late_clone(bench: Bench, snapshot: ObjectRef, ref: ObjectRef, epoch: int) -> None:
        call = bench.call(epoch)
        refused(bench, lambda driver: bench.clones(driver).clone_snapshot(snapshot, ref, bench.size, call))
