"""The directory driver, killed in every window: copies within the call, and copies as jobs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from drivers.contract import ObjectRef
from drivers.directory import DirectoryDriver, DirectoryVolumes
from drivers.errors import Conflict
from drivers.posix import Barriers, sync_directory
from tests.drivers.bed import POOL, SIZE, Bed, call, content, done, killed_at, ref
from tests.drivers.chaos_cases import killed_again_and_again_loses_nothing
from tests.drivers.crash_cases import *  # noqa: F403 - the cases are common to all drivers of the family
from tests.drivers.crash_cases import MakeBed, assert_whole

UNFINISHED = ("build.intent", "build.staged", "build.filled", "build.bounded", "build.placed")


@pytest.fixture(params=["inline", "jobs"])
def make_bed(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MakeBed]:
    """Pools in directories of their own."""
    beds: list[Bed] = []
    options: dict[str, object] = {"inline_limit": 0} if request.param == "jobs" else {}

    def make() -> Bed:
        folder = tmp_path / str(len(beds))
        beds.append(Bed(DirectoryDriver, folder / "pool", folder / "state", options))
        beds[-1].state_dir.mkdir(parents=True)
        return beds[-1]

    yield make
    for bed in beds:
        bed.close()


@pytest.mark.parametrize("seed", [1, 2])
def test_worker_killed_again_and_again_loses_nothing(make_bed: MakeBed, seed: int) -> None:
    """Killed at any moment, restarted, killed again: the end is the same as without a kill."""
    killed_again_and_again_loses_nothing(make_bed(), seed)


def cut(make_bed: MakeBed, window: str, intent: str) -> tuple[Bed, ObjectRef]:
    """A create that a power cut ended in a window, with what the cut left of its intent."""
    bed, share = make_bed(), ref()
    assert killed_at(window, 1, lambda: bed.open().create_share(share, SIZE, call()))
    record = bed.root / ".shareflow" / "objects" / f"{share.name}.json"
    record.write_bytes(b"")
    if intent == "gone":
        record.unlink()
    return bed, share


@pytest.mark.parametrize("intent", ["empty", "gone"])
@pytest.mark.parametrize("window", UNFINISHED)
def test_create_whose_intent_went_with_the_power_is_made_by_the_same_call(
    make_bed: MakeBed, window: str, intent: str
) -> None:
    """The intent of an empty share need not be on disk: what it left is known by the key of the call."""
    bed, share = cut(make_bed, window, intent)
    survivor = bed.open()
    survivor.create_share(share, SIZE, call())
    assert content(survivor, share) == {}
    assert_whole(bed, survivor, {share})


@pytest.mark.parametrize("intent", ["empty", "gone"])
@pytest.mark.parametrize("window", UNFINISHED)
def test_create_whose_intent_went_with_the_power_is_taken_back_by_a_delete(
    make_bed: MakeBed, window: str, intent: str
) -> None:
    """An operation that is undone after the cut leaves nothing."""
    bed, share = cut(make_bed, window, intent)
    survivor = bed.open()
    done(partial(survivor.delete_share, share, call("undo", 3)))
    assert_whole(bed, survivor, set())


def test_share_without_a_record_is_not_taken_by_another_call(make_bed: MakeBed) -> None:
    """What another call has put into its place may hold data of clients."""
    bed, share = cut(make_bed, "build.placed", "gone")
    with pytest.raises(Conflict):
        bed.open().create_share(share, SIZE, call("other"))
    assert (bed.root / "shares" / share.name / "data").is_dir()


def test_answered_create_has_asked_for_everything_to_be_on_disk(
    make_bed: MakeBed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Container, its name, record and its name, each before what relies on it; on any file system, in any order."""
    bed, share, synced, fsync = make_bed(), ref(), list[str](), os.fsync

    def noted(fd: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{fd}").readlink().relative_to(bed.root)))
        fsync(fd)

    monkeypatch.setattr(DirectoryVolumes, "barriers", Barriers(noted, sync_directory))
    driver = bed.open()
    driver.list_objects(POOL)
    monkeypatch.setattr(os, "fsync", noted)
    driver.create_share(share, SIZE, call())
    assert synced == [
        f".shareflow/staging/{share.name}",
        "shares",
        f".shareflow/objects/.{share.name}.json.tmp",
        ".shareflow/objects",
    ]
