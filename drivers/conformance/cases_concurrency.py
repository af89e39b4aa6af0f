"""Calls that come at the same time, from several instances."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from drivers.conformance.bench import Bench, needs, patiently
from drivers.contract import JobState, ObjectKind, ShareObject
from drivers.errors import Busy, Rejected

THREADS = 8


def at_once(work: Sequence[Callable[[], object]]) -> list[object]:
    """Results in order, with DriverErrors of the harmless kinds as values; starts together, raises the rest."""
    barrier = threading.Barrier(len(work))

    def run(task: Callable[[], object]) -> object:
        barrier.wait(30)
        try:
            return task()
        except (Rejected, Busy) as refusal:
            return refusal

    with ThreadPoolExecutor(len(work)) as pool:
        return list(pool.map(run, work))


class TestConcurrency:
    """Drivers are thread-safe, and so is their storage."""

    def test_equal_creates_at_once_make_one_share(self, bench: Bench) -> None:
        """Eight threads in two instances, the same call: one object, one answer."""
        drivers = (bench.driver, bench.another())
        for _ in range(3):
            ref, call = bench.ref(), bench.call()
            results = at_once([
                lambda driver=drivers[index % 2], ref=ref, call=call: patiently(  # type: ignore[misc]
                    lambda: driver.create_share(ref, bench.size, call)
                )
                for index in range(THREADS)
            ])  # fmt: skip
            assert all(isinstance(result, ShareObject) for result in results), results
            assert len(set(results)) == 1
            assert [found.name for found in bench.listing()].count(ref.name) == 1

    def test_creates_of_different_sizes_at_once_make_one_share(self, bench: Bench) -> None:
        """One size wins, the other is a conflict; nothing in between."""
        drivers = (bench.driver, bench.another())
        ref = bench.ref()
        results = at_once([
            lambda driver=drivers[index % 2], size=bench.size * (1 + index % 2): patiently(  # type: ignore[misc]
                lambda: driver.create_share(ref, size, bench.call())
            )
            for index in range(THREADS)
        ])  # fmt: skip
        sizes = {result.size for result in results if isinstance(result, ShareObject)}
        assert sizes == {bench.state(ref).size}
        assert all(isinstance(result, ShareObject | Rejected) for result in results), results

    def test_different_creates_at_once_all_succeed(self, bench: Bench) -> None:
        """Shares do not stand in each other's way."""
        drivers = (bench.driver, bench.another())
        refs = [bench.ref() for _ in range(THREADS)]
        results = at_once([
            lambda driver=drivers[index % 2], ref=ref: patiently(  # type: ignore[misc]
                lambda: driver.create_share(ref, bench.size, bench.call())
            )
            for index, ref in enumerate(refs)
        ])  # fmt: skip
        assert all(isinstance(result, ShareObject) for result in results), results
        assert set(refs) <= set(bench.listing())

    def test_delete_among_creates_ends_deleted(self, bench: Bench) -> None:
        """From the first delete on the name can never be created: nothing is there at the end."""
        other = bench.another()
        for _ in range(5):
            ref, call = bench.ref(), bench.call()
            tasks: list[Callable[[], object]] = [
                lambda ref=ref, call=call: patiently(lambda: bench.driver.create_share(ref, bench.size, call))  # type: ignore[misc]
                for _ in range(THREADS - 2)
            ]
            tasks += [lambda ref=ref: bench.delete(ref, bench.call(1), other)] * 2  # type: ignore[misc]
            results = at_once(tasks)
            assert all(result is None or isinstance(result, ShareObject | Rejected) for result in results), results
            assert bench.driver.observe(ref) is None
            with pytest.raises(Rejected):
                bench.driver.create_share(ref, bench.size, call)

    def test_resizes_at_once_end_with_one_of_the_sizes(self, bench: Bench) -> None:
        """The size that is reported is one that was asked for, and it stays."""
        drivers = (bench.driver, bench.another())
        ref = bench.create()
        sizes = [bench.size * (2 + index % 3) for index in range(THREADS)]
        at_once([
            lambda driver=drivers[index % 2], size=size: patiently(  # type: ignore[misc]
                lambda: driver.resize_share(ref, size, bench.call())
            )
            for index, size in enumerate(sizes)
        ])  # fmt: skip
        assert bench.state(ref).size in {bench.size, *sizes}
        assert bench.another().observe(ref) == bench.driver.observe(ref)

    def test_only_the_newest_epoch_has_the_last_word(self, bench: Bench) -> None:
        """Resizes with rising epochs at once: the newest one that was accepted is what stays."""
        drivers = (bench.driver, bench.another())
        ref = bench.create()
        results = at_once([
            lambda driver=drivers[epoch % 2], epoch=epoch: patiently(  # type: ignore[misc]
                lambda: driver.resize_share(ref, bench.size + epoch * 2**20, bench.call(epoch))
            )
            for epoch in range(2, 2 + THREADS)
        ])  # fmt: skip
        accepted = [result.size for result in results if isinstance(result, ShareObject)]
        state = bench.state(ref)
        assert state.size == max(accepted) == bench.size + state.epoch * 2**20

    @needs("snapshots")
    def test_equal_snapshots_at_once_make_one_snapshot(self, bench: Bench) -> None:
        """Eight threads, the same call: one snapshot."""
        drivers = (bench.driver, bench.another())
        share, snapshot, call = bench.create(), bench.ref(ObjectKind.SNAPSHOT), bench.call()
        results = at_once([
            lambda driver=drivers[index % 2]: bench.finish(  # type: ignore[misc]
                lambda: bench.snapshots(driver).create_snapshot(share, snapshot, call)
            ).state
            for index in range(THREADS)
        ])  # fmt: skip
        assert set(results) == {JobState.DONE}
        assert bench.state(snapshot).complete

    @needs("snapshots", "clone")
    def test_equal_clones_at_once_make_one_share(self, bench: Bench) -> None:
        """Eight threads, the same call: one job, one share."""
        drivers = (bench.driver, bench.another())
        share = bench.create()
        if bench.has("data"):
            bench.client.write(share, "f", b"data")
        snapshot, clone, call = bench.snapshot(share), bench.ref(), bench.call()
        results = at_once([
            lambda driver=drivers[index % 2]: bench.finish(  # type: ignore[misc]
                lambda: bench.clones(driver).clone_snapshot(snapshot, clone, bench.size, call)
            ).state
            for index in range(THREADS)
        ])  # fmt: skip
        assert set(results) == {JobState.DONE}
        if bench.has("data"):
            assert bench.client.tree(clone) == {"f": b"data"}
