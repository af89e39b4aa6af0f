"""One commit for many calls."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from drivers.btrfs.commits import GroupCommit


class Disk:
    """Counts commits and remembers what each one held."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.changes: set[int] = set()
        self.durable: set[int] = set()
        self.commits = 0
        self.overlaps = 0
        self._running = threading.Lock()
        self._seconds = seconds

    def commit(self) -> None:
        """Make durable what was changed before."""
        if not self._running.acquire(blocking=False):
            self.overlaps += 1
            return
        held = set(self.changes)
        time.sleep(self._seconds)
        self.durable |= held
        self.commits += 1
        self._running.release()


def test_single_call_is_committed_at_once() -> None:
    """Nobody waits for others that are not there."""
    disk = Disk()
    group = GroupCommit(disk.commit, patience=60)
    began = time.monotonic()
    with group.call():
        disk.changes.add(1)
    assert disk.durable == {1}
    assert time.monotonic() - began < 5


def test_every_call_is_durable_when_it_ends_and_few_commits_are_made() -> None:
    """Sixteen threads, four hundred calls: each change is on disk at its call's end; commits are shared."""
    disk = Disk(0.002)
    group = GroupCommit(disk.commit)

    def work(number: int) -> bool:
        with group.call():
            disk.changes.add(number)
        return number in disk.durable

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(work, range(400)))
    assert disk.overlaps == 0
    assert disk.commits < 200


def test_long_call_does_not_hold_up_the_others() -> None:
    """A call that takes seconds is not waited for."""
    disk = Disk()
    group = GroupCommit(disk.commit, patience=0.01)
    entered, leave = threading.Event(), threading.Event()

    def long_call() -> None:
        with group.call():
            entered.set()
            assert leave.wait(30)
            disk.changes.add(1)

    thread = threading.Thread(target=long_call)
    thread.start()
    assert entered.wait(30)
    with group.call():
        disk.changes.add(2)
    assert disk.durable == {2}
    leave.set()
    thread.join()
    assert disk.durable == {1, 2}


def test_call_that_fails_is_not_committed_and_not_waited_for() -> None:
    """An exception leaves at once, and the calls beside it end as usual."""
    disk = Disk()
    group = GroupCommit(disk.commit, patience=60)
    for _ in range(3):
        with pytest.raises(ValueError, match="no"), group.call():
            raise ValueError("no")
    assert disk.commits == 0
    with group.call():
        disk.changes.add(1)
    assert disk.durable == {1}


def test_failed_commit_fails_all_calls_it_was_made_for_and_no_other() -> None:
    """Nobody is told that a change is durable when it is not."""
    failures = [OSError(5, "broken")]
    disk = Disk()

    def commit() -> None:
        if failures:
            raise failures.pop()
        disk.commit()

    group = GroupCommit(commit, patience=60)
    barrier = threading.Barrier(3)

    def work(number: int) -> bool:
        try:
            with group.call():
                disk.changes.add(number)
                barrier.wait(30)
        except OSError:
            return False
        return True

    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(work, range(3))) == [False] * 3
    with group.call():
        disk.changes.add(9)
    assert 9 in disk.durable
