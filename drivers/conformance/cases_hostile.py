"""Hostile input: whatever comes in, one of the four answers comes out and nothing is harmed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from drivers.conformance.bench import Bench, needs
from drivers.contract import AccessMode, ObjectKind, ObjectRef, SupportsHostAccess
from drivers.errors import Broken, Busy, DriverError, Rejected, Unknown

SIZES = [0, -1, -(2**63), 2**63, 2**80]
POOLS = ["", "no-such-pool", "..", "../..", "/", "a/b", "-rf", "new\nline", "nul\0", "*", "x" * 5000, "ünï"]
OPERATIONS = [
    "a/b", "../../../../escape-marker", "..", ".", "", "/etc/escape-marker", "new\nline", "tab\t", "quote\"'`$(id)",
    "-rf", "--help", "o" * 2048, "ünï-☃-\U0001f4be", "{json: 1}", "a=b,c;d", "nul\0byte", " lead and trail ",
]  # fmt: skip
FOUR = (Rejected, Busy, Unknown, Broken)


def answered(attempt: Callable[[], object]) -> object:
    """The result of an attempt, or its DriverError; anything else that is raised fails the test."""
    try:
        return attempt()
    except DriverError as error:
        if not isinstance(error, FOUR):
            pytest.fail(f"{type(error).__name__} is none of the four answers")
        if error.code == DriverError.code or not error.reason:
            pytest.fail(f"an answer without code or reason: {error}")
        return error


class TestSizes:
    """Sizes that cannot be."""

    @pytest.mark.parametrize("size", SIZES)
    def test_impossible_size_is_refused(self, bench: Bench, size: int) -> None:
        """Create, resize and clone refuse it and change nothing."""
        share = bench.create()
        attempts: list[Callable[[], object]] = [
            lambda: bench.driver.create_share(bench.ref(), size, bench.call()),
            lambda: bench.driver.resize_share(share, size, bench.call()),
        ]
        if bench.has("clone"):
            snapshot = bench.snapshot(share)
            attempts.append(lambda: bench.clones().clone_snapshot(snapshot, bench.ref(), size, bench.call()))
        for attempt in attempts:
            with bench.unchanged(), pytest.raises(Rejected):
                attempt()


class TestPoolNames:
    """Pools that are not configured."""

    @pytest.mark.parametrize("pool", POOLS, ids=range(len(POOLS)))
    def test_unknown_pool_is_answered_and_harms_nothing(self, bench: Bench, pool: str) -> None:
        """Every verb gives one of the four answers or the idempotent one; create is refused."""
        share = bench.create()
        ref = ObjectRef(pool, share.name)
        with bench.unchanged():
            with pytest.raises(Rejected):
                bench.driver.create_share(ref, bench.size, bench.call())
            with pytest.raises(DriverError):
                bench.driver.list_objects(pool)
            for attempt in self._attempts(bench, ref):
                answered(attempt)

    @staticmethod
    def _attempts(bench: Bench, ref: ObjectRef) -> list[Callable[[], object]]:
        driver, other = bench.driver, bench.ref(ObjectKind.SNAPSHOT)
        attempts: list[Callable[[], object]] = [
            lambda: driver.resize_share(ref, bench.size, bench.call()),
            lambda: driver.set_access_mode(ref, AccessMode.RW, bench.call()),
            lambda: driver.delete_share(ref, bench.call()),
            lambda: driver.used_bytes(ref),
            lambda: driver.observe(ref),
        ]
        if bench.has("snapshots"):
            attempts.append(lambda: bench.snapshots().create_snapshot(ref, other, bench.call()))
            attempts.append(lambda: bench.snapshots().delete_snapshot(ref, bench.call()))
        if bench.has("clone"):
            attempts.append(lambda: bench.clones().clone_snapshot(ref, bench.ref(), bench.size, bench.call()))
        if bench.has("revert"):
            attempts.append(lambda: bench.reverts().revert_share(ref, other, bench.call()))
        if isinstance(driver, SupportsHostAccess):
            path = driver.data_path
            attempts.append(lambda: path(ref))
        return attempts

    @needs("snapshots")
    def test_snapshot_into_another_pool_than_its_share_is_refused(self, bench: Bench) -> None:
        """A snapshot lives in the pool of its share, a clone in the pool of its snapshot."""
        share = bench.create()
        away = ObjectRef("no-such-pool", bench.ref(ObjectKind.SNAPSHOT).name)
        with bench.unchanged(), pytest.raises(Rejected):
            bench.snapshots().create_snapshot(share, away, bench.call())
        if bench.has("clone"):
            snapshot = bench.snapshot(share)
            away = ObjectRef("no-such-pool", bench.ref().name)
            with bench.unchanged(), pytest.raises(Rejected):
                bench.clones().clone_snapshot(snapshot, away, bench.size, bench.call())


class TestOperationIds:
    """An operation id is free text: a tag, never part of a path."""

    @pytest.mark.parametrize("operation", OPERATIONS, ids=range(len(OPERATIONS)))
    def test_any_text_is_an_operation_id(self, bench: Bench, operation: str) -> None:
        """Every verb works under it, and the tag comes back unharmed."""
        before = _marked(bench)
        call = bench.call(operation=operation, step=operation)
        share = bench.ref()
        bench.driver.create_share(share, bench.size, call)
        bench.driver.resize_share(share, bench.size * 2, call)
        if bench.has("tags"):
            assert bench.state(share).operation == operation
        if bench.has("snapshots"):
            snapshot = bench.ref(ObjectKind.SNAPSHOT)
            bench.complete(lambda: bench.snapshots().create_snapshot(share, snapshot, call))
            if bench.has("clone"):
                clone = bench.ref()
                bench.complete(lambda: bench.clones().clone_snapshot(snapshot, clone, bench.size * 2, call))
            if bench.has("revert"):
                bench.revert(share, snapshot, call)
        bench.driver.cancel_job(call)
        assert _marked(bench) == before, "an operation id became part of a path"

    def test_ids_that_differ_in_one_odd_character_are_different_keys(self, bench: Bench) -> None:
        """Cleaning an id up must not make two operations one."""
        if not (bench.has("revert") and bench.has("data")):
            pytest.skip("not declared by the driver: revert, data")
        share = bench.create()
        bench.client.write(share, "f", b"then")
        snapshot = bench.snapshot(share)
        for operation in ("op/1", "op_1", "op 1", "op\n1", "op-1"):
            bench.client.write(share, "f", b"now")
            bench.revert(share, snapshot, bench.call(operation=operation))
            assert bench.client.read(share, "f") == b"then", f"{operation!r} was taken for another operation"


def _marked(bench: Bench) -> set[Path]:
    """Files under or next to the state directory that an operation id named."""
    top = bench.target.config.state_dir.parent
    roots = [top, Path("/etc")] if top != Path("/") else [Path("/etc")]
    return {
        Path(folder) / name
        for root in roots
        for folder, folders, files in os.walk(root)
        for name in (*folders, *files)
        if "escape-marker" in name
    }
