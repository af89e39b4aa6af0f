"""Jobs at their limits: of bandwidth, of a source that stands still, of room."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from drivers.contract import JobState
from drivers.mover import CopyOptions, Mover, compare_trees
from drivers.mover.options import Engine
from tests.mover.trees import ENGINES, fill, wait_final, wait_for

MIB = 1 << 20


@pytest.mark.parametrize("engine", ENGINES)
def test_bandwidth_is_limited_and_can_be_lifted(mover: Mover, tmp_path: Path, engine: Engine) -> None:
    """The rate is held loosely; lifting it takes effect at once; progress moves inside the file."""
    fill(tmp_path / "source", 0, 0, 40 * MIB)
    options = CopyOptions(engine=engine, bandwidth=4 * MIB, reflink=False)
    begin = time.monotonic()
    mover.start("job", tmp_path / "source", tmp_path / "target", options)
    seen: set[int] = set()
    while len(seen) < 3:
        job = mover.poll("job")
        assert job is not None
        assert job.state is JobState.RUNNING, "40 MiB take ten seconds at this rate"
        seen.add(job.bytes_done)
        time.sleep(0.05)
    assert 0 < max(seen) < 40 * MIB, "the progress moves inside a file"
    assert max(seen) / (time.monotonic() - begin) < 8 * MIB
    mover.set_bandwidth("job", None)
    assert wait_final(mover, "job", 4).state is JobState.DONE
    assert compare_trees(tmp_path / "source", tmp_path / "target") == []


def _bytes_done(mover: Mover) -> int:
    job = mover.poll("job")
    assert job is not None
    return job.bytes_done


@pytest.mark.parametrize("engine", ENGINES)
def test_bandwidth_can_be_lowered_while_it_runs(mover: Mover, tmp_path: Path, engine: Engine) -> None:
    """From fast enough to end soon, to slow enough not to."""
    fill(tmp_path / "source", 0, 0, 40 * MIB)
    options = CopyOptions(engine=engine, bandwidth=10 * MIB, reflink=False)
    mover.start("job", tmp_path / "source", tmp_path / "target", options)
    wait_for(lambda: _bytes_done(mover) > 0, "the copy to begin")
    mover.set_bandwidth("job", MIB)
    time.sleep(3.5)
    job = mover.poll("job")
    assert job is not None
    assert job.state is JobState.RUNNING
    assert job.bytes_done < 30 * MIB
    assert mover.cancel("job").state is JobState.CANCELLED


def _rewrite_until(stop: threading.Event, path: Path) -> None:
    number = 0
    while not stop.is_set():
        number += 1
        path.write_bytes(b"%09d" % number * 1000)
        time.sleep(0.002)


@pytest.mark.parametrize("engine", ENGINES)
def test_source_that_keeps_changing_is_a_failure_that_names_it(mover: Mover, tmp_path: Path, engine: Engine) -> None:
    """A bounded number of passes, then the first names that differ."""
    fill(tmp_path / "source", 10, 100_000, 0)
    # Read after the restless file is copied and before it is compared, so that the writer has its turn in between.
    (tmp_path / "source" / "z-big").write_bytes(os.urandom(MIB) * 96)
    stop = threading.Event()
    writer = threading.Thread(target=_rewrite_until, args=(stop, tmp_path / "source" / "restless"))
    writer.start()
    try:
        mover.start("job", tmp_path / "source", tmp_path / "target", CopyOptions(engine=engine))
        job = wait_final(mover, "job")
    finally:
        stop.set()
        writer.join()
    assert job.state is JobState.FAILED
    assert "still differs from the source" in job.message
    assert "restless" in job.message, "told by the comparison, or by rsync that could not get it whole"
    mover.start("job", tmp_path / "source", tmp_path / "target", CopyOptions(engine=engine))
    assert wait_final(mover, "job").state is JobState.DONE


def test_delta_pass_of_a_busy_source_ends_when_nothing_is_verified(mover: Mover, tmp_path: Path) -> None:
    """Without verification one pass is made; a later one with it catches up."""
    fill(tmp_path / "source", 10, 100_000, 4 * MIB)
    stop = threading.Event()
    writer = threading.Thread(target=_rewrite_until, args=(stop, tmp_path / "source" / "restless"))
    writer.start()
    try:
        mover.start("pass 1", tmp_path / "source", tmp_path / "target", CopyOptions(verify=False))
        assert wait_final(mover, "pass 1").state is JobState.DONE
    finally:
        stop.set()
        writer.join()
    mover.start("pass 2", tmp_path / "source", tmp_path / "target")
    assert wait_final(mover, "pass 2").state is JobState.DONE
    assert compare_trees(tmp_path / "source", tmp_path / "target") == []


@pytest.mark.parametrize("engine", ENGINES)
def test_full_target_is_said_and_the_copy_goes_on_when_there_is_room(
    mover: Mover, tmp_path: Path, mount: Callable[..., Path], engine: Engine
) -> None:
    """The failure names the reason; after growing the target, the same start ends well."""
    full = mount("full", "-t", "tmpfs", "-o", "size=4m", "tmpfs")
    fill(tmp_path / "source", 10, 100_000, 8 * MIB)
    mover.start("job", tmp_path / "source", full / "target", CopyOptions(engine=engine))
    job = wait_final(mover, "job")
    assert job.state is JobState.FAILED
    assert job.message.startswith("D105 no space left on the target")
    subprocess.run(["mount", "-o", "remount,size=32m", str(full)], check=True, timeout=20)
    mover.start("job", tmp_path / "source", full / "target", CopyOptions(engine=engine))
    assert wait_final(mover, "job").state is JobState.DONE
    assert compare_trees(tmp_path / "source", full / "target") == []


def test_job_records_on_the_file_system_that_fills_up_still_tell_why(
    tmp_path: Path, mount: Callable[..., Path]
) -> None:
    """The last word needs no room."""
    full = mount("full", "-t", "tmpfs", "-o", "size=2m", "tmpfs")
    fill(tmp_path / "source", 600, 4096, 0)
    mover = Mover(full / "jobs")
    mover.start("job", tmp_path / "source", full / "target", CopyOptions(engine="builtin"))
    job = wait_final(mover, "job")
    mover.close()
    assert job.state is JobState.FAILED
    assert "no space left on the target" in job.message


def test_read_only_target_fails_with_the_system_s_reason(
    mover: Mover, tmp_path: Path, mount: Callable[..., Path]
) -> None:
    """Not unknown, not silent."""
    place = mount("ro", "-t", "tmpfs", "-o", "size=1m", "tmpfs")
    (place / "target").mkdir()
    subprocess.run(["mount", "-o", "remount,ro", str(place)], check=True, timeout=20)
    fill(tmp_path / "source", 1, 10, 0)
    mover.start("job", tmp_path / "source", place / "target", CopyOptions(engine="builtin"))
    job = wait_final(mover, "job")
    assert job.state is JobState.FAILED
    assert "Read-only file system" in job.message
