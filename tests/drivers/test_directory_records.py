"""The records next to the data: what they keep, who may write them, and what happens when they are damaged."""

from __future__ import annotations

import dataclasses
import os
import signal
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from drivers import crash
from drivers.contract import AccessMode, Call, JobState, ObjectKind
from drivers.directory import DirectoryDriver
from drivers.errors import Busy, Conflict, Rejected, StaleEpoch, Unknown
from drivers.sidecar import KEPT_KEYS, TOMBSTONE_SECONDS, Record, Sidecar, digest
from tests.drivers.bed import POOL, SIZE, Bed, call, done, in_child, ref


@pytest.fixture
def bed(tmp_path: Path) -> Iterator[Bed]:
    """A pool on the file system of the temporary directory."""
    bed = Bed(DirectoryDriver, tmp_path / "pool", tmp_path / "state")
    bed.state_dir.mkdir()
    yield bed
    bed.close()


@pytest.fixture
def sidecar(bed: Bed) -> Sidecar:
    """The records of the pool, with impatient locks."""
    bed.open().pools()
    return Sidecar(bed.root, lock_seconds=0.1)


def record_file(bed: Bed, name: str) -> Path:
    """Where the record of an object is."""
    return bed.root / ".shareflow" / "objects" / f"{name}.json"


def test_record_comes_back_as_it_was_written(sidecar: Sidecar) -> None:
    """Every field survives, free text of any kind included."""
    name = ref().name
    asked = Call('dep "1"\n', "op/\0 ünï ☃", "st\tep", 7)
    record = Record.intent(name, ObjectKind.SHARE, 2**60, ref().name, asked)
    record = dataclasses.replace(
        record, complete=True, mode=AccessMode.NONE, revert="r" * 32, done=("a" * 32, "b" * 32)
    )
    sidecar.save(record)
    assert sidecar.load(name) == record
    assert sidecar.names() == [name]
    sidecar.forget(name)
    assert sidecar.load(name) is None
    assert sidecar.names() == []


def test_calls_that_differ_anywhere_have_different_keys() -> None:
    """Moving a character from one part of a call to the next makes another key; the epoch is no part of it."""
    calls = [
        Call("d", "op", "step", 1), Call("d", "o", "pstep", 1), Call("do", "p", "step", 1), Call("d", "op/", "step", 1),
        Call("d", "op", "/step", 1), Call("d", "op\n", "step", 1), Call("d", "OP", "step", 1),
        Call("e", "op", "step", 1),
    ]  # fmt: skip
    assert len({digest(each) for each in calls}) == len(calls)
    assert digest(Call("d", "op", "step", 2)) == digest(calls[0])


def test_keys_of_old_jobs_are_dropped_and_new_ones_kept() -> None:
    """A record does not grow without bound."""
    record = Record.intent(ref().name, ObjectKind.SHARE, 1, "", call())
    for index in range(KEPT_KEYS + 5):
        record = dataclasses.replace(record, done=record.finished(str(index)))
    assert record.done == tuple(str(index) for index in range(5, KEPT_KEYS + 5))
    assert record.finished("7")[-1] == "7"
    assert len(record.finished("7")) == KEPT_KEYS


@pytest.mark.parametrize("text", [b"{", b"[]", b'{"format": 1}', b'{"format": 2, "name": "x"}', b"\xff\xfe"])
def test_damaged_record_is_unknown_and_the_listing_says_that_it_is_not_whole(bed: Bed, text: bytes) -> None:
    """A record that cannot be read is neither an absent object nor an empty one; others are still listed."""
    driver, broken, whole = bed.open(), ref(), ref()
    for share in (broken, whole):
        driver.create_share(share, SIZE, call())
    record_file(bed, broken.name).write_bytes(text)
    for attempt in (
        lambda: driver.observe(broken),
        lambda: driver.used_bytes(broken),
        lambda: driver.create_share(broken, SIZE, call()),
        lambda: driver.delete_share(broken, call()),
    ):
        with pytest.raises(Unknown, match=broken.name):
            attempt()
    listing = driver.list_objects(POOL)
    assert not listing.complete
    assert [state.ref for state in listing.objects] == [whole]


def test_record_of_another_name_is_not_believed(bed: Bed) -> None:
    """A record that was copied over another one is noticed."""
    driver, one, two = bed.open(), ref(), ref()
    for share in (one, two):
        driver.create_share(share, SIZE, call())
    record_file(bed, two.name).write_bytes(record_file(bed, one.name).read_bytes())
    with pytest.raises(Unknown):
        driver.observe(two)


def test_locked_object_is_busy_and_others_are_not(sidecar: Sidecar) -> None:
    """A lock is per object, excludes threads as well as processes, and is waited for only shortly."""
    name, other = ref().name, ref().name
    with sidecar.lock(name):
        began = time.monotonic()
        with pytest.raises(Busy, match=name), sidecar.lock(name):
            pass
        assert 0.05 < time.monotonic() - began < 2
        with sidecar.lock(other):
            pass

        def blocked() -> None:
            with pytest.raises(Busy), sidecar.lock(other, shared=name):
                pass

        assert in_child(blocked) == 0
    with sidecar.lock(name):
        pass


def test_object_that_is_only_read_is_shared_by_readers_and_closed_to_writers(sidecar: Sidecar) -> None:
    """Two clones of one snapshot do not wait for each other; its delete waits for both."""
    source, one, two = ref().name, ref().name, ref().name
    with sidecar.lock(one, shared=source), sidecar.lock(two, shared=source), pytest.raises(Busy), sidecar.lock(source):
        pass


def test_lock_of_a_killed_process_is_free(sidecar: Sidecar) -> None:
    """Locks end with their process."""
    name = ref().name

    def hold_and_die() -> None:
        with sidecar.lock(name):
            os.kill(os.getpid(), signal.SIGKILL)

    assert os.WTERMSIG(in_child(hold_and_die)) == signal.SIGKILL
    with sidecar.lock(name):
        pass


def test_tombstones_are_kept_for_thirty_days_and_then_go_with_their_locks(bed: Bed, sidecar: Sidecar) -> None:
    """A deleted name stays refused long after every zombie is gone, and does not stay for ever."""
    driver, share = bed.open(), ref()
    driver.create_share(share, SIZE, call())
    done(lambda: driver.delete_share(share, call("d")))
    meta = bed.root / ".shareflow"
    sidecar.prune(time.time() + TOMBSTONE_SECONDS - 60)
    with pytest.raises(StaleEpoch):
        driver.create_share(share, SIZE, call(epoch=99))
    sidecar.prune(time.time() + TOMBSTONE_SECONDS + 60)
    assert not (meta / "tombstones" / share.name).exists()
    assert not (meta / "locks" / share.name).exists()
    with sidecar.lock(share.name):
        pass


def test_tombstone_of_an_object_whose_delete_was_killed_is_never_pruned(bed: Bed, sidecar: Sidecar) -> None:
    """While the record is there the delete is not over."""
    driver, share = bed.open(), ref()
    driver.create_share(share, SIZE, call())
    sidecar.bury(share.name, call("d"), 1)
    sidecar.prune(time.time() + 2 * TOMBSTONE_SECONDS)
    assert sidecar.tombstone(share.name) is not None
    state = driver.observe(share)
    assert state is not None
    assert not state.complete


def test_half_deleted_object_can_only_be_deleted(bed: Bed, sidecar: Sidecar) -> None:
    """From the tombstone on the object is gone for every verb but the delete, which goes on."""
    driver, share = bed.open(), ref()
    driver.create_share(share, SIZE, call())
    sidecar.bury(share.name, call("d"), 1)
    for attempt in (
        lambda: driver.create_share(share, SIZE, call(epoch=5)),
        lambda: driver.resize_share(share, SIZE, call(epoch=5)),
        lambda: driver.set_access_mode(share, AccessMode.NONE, call(epoch=5)),
        lambda: driver.create_snapshot(share, ref(), call(epoch=5)),
        lambda: driver.used_bytes(share),
        lambda: driver.data_path(share),
    ):
        with pytest.raises(Rejected):
            attempt()
    done(lambda: driver.delete_share(share, call("other", 5)))
    assert driver.list_objects(POOL).objects == ()


def test_call_of_another_deployment_changes_nothing(bed: Bed) -> None:
    """Two deployments that were given one pool by mistake do not touch each other's objects."""
    driver, share, snapshot = bed.open(), ref(), ref()
    driver.create_share(share, SIZE, call())
    done(lambda: driver.create_snapshot(share, snapshot, call("s")))
    before = driver.list_objects(POOL)
    theirs = Call("another", "op", "step", 9)
    for attempt in (
        lambda: driver.create_share(share, SIZE, theirs),
        lambda: driver.resize_share(share, 2 * SIZE, theirs),
        lambda: driver.set_access_mode(share, AccessMode.NONE, theirs),
        lambda: driver.revert_share(share, snapshot, theirs),
        lambda: driver.delete_share(share, theirs),
        lambda: driver.delete_snapshot(snapshot, theirs),
    ):
        with pytest.raises(Conflict, match="another"):
            attempt()
    assert driver.list_objects(POOL) == before


def test_cancel_knows_what_is_over_and_what_never_was(bed: Bed) -> None:
    """The answer comes from the records: done work is done for every process, an unknown call is cancelled."""
    driver, share, snapshot = bed.open(), ref(), ref()
    driver.create_share(share, SIZE, call())
    done(lambda: driver.create_snapshot(share, snapshot, call("s")))
    done(lambda: driver.revert_share(share, snapshot, call("r")))
    done(lambda: driver.delete_snapshot(snapshot, call("d")))
    other = bed.open()
    assert other.cancel_job(call("r")).state is JobState.DONE
    assert other.cancel_job(call("d")).state is JobState.DONE
    assert other.cancel_job(call("never")).state is JobState.CANCELLED


def test_many_shares_at_once_from_many_threads(bed: Bed) -> None:
    """One instance serves many threads; every share is made once and all are gone at the end."""
    driver = bed.open()
    failures: list[Exception] = []

    def live(thread: int) -> None:
        try:
            for turn in range(5):
                share, asked = ref(), call(f"{thread}-{turn}")
                driver.create_share(share, SIZE, asked)
                driver.resize_share(share, 2 * SIZE, asked)
                done(partial(driver.delete_share, share, asked))
        except Exception as error:  # noqa: BLE001 - reported by the test's own thread
            failures.append(error)

    threads = [threading.Thread(target=live, args=(index,)) for index in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert driver.list_objects(POOL).objects == ()


def test_unnamed_window_is_an_error_while_a_hook_is_set() -> None:
    """A window that is not in the list would never be killed in."""
    crash.hook = lambda _: None
    try:
        with pytest.raises(KeyError):
            crash.window("no.such.window")
    finally:
        crash.hook = None
    crash.window("no.such.window")
