"""Passes over a source that is in use: none fails for that, and one more after the writer makes all equal."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from drivers.contract import Job, JobState
from drivers.mover import CopyOptions, Mover, compare_trees
from drivers.mover import content as contents
from drivers.mover.options import Engine
from tests.mover.conftest import ROOT
from tests.mover.trees import ENGINES, fill, inodes, wait_final

MIB = 1 << 20
ROOT_DIR = Path(__file__).parents[2]


@contextmanager
def _writing(root: Path, seed: int) -> Iterator[subprocess.Popen[bytes]]:
    """A process that changes the tree in every way until its standard input is closed."""
    command = [sys.executable, "-m", "tests.mover.writer", str(root), str(seed)]
    with subprocess.Popen(command, cwd=ROOT_DIR, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
        try:
            assert writer.stdout is not None
            assert writer.stdout.readline() == b"writing\n"
            yield writer
            assert writer.poll() is None, "the writer ended early"
            assert writer.stdin is not None
            writer.stdin.close()
            assert writer.wait(30) == 0
        finally:
            writer.kill()


def _run(mover: Mover, job: str, root: Path, options: CopyOptions) -> Job:
    mover.start(job, root / "source", root / "target", options)
    found = wait_final(mover, job, 60)
    mover.forget(job)
    return found


def _pass(mover: Mover, root: Path, engine: Engine = "auto") -> Job:
    found = _run(mover, "pass", root, CopyOptions(verify=False, repeated=True, engine=engine, reflink=False))
    assert found.state is JobState.DONE, found
    return found


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """The root of a source with some content."""
    fill(tmp_path / "source", 200, 20_000, 4 * MIB)
    for number in range(10):
        fill(tmp_path / "source" / f"dir{number}", 10, 5000, 0)
    return tmp_path


def test_target_made_anew_under_the_same_inode_number_is_filled_again(mover: Mover, tmp_path: Path) -> None:
    """What is known of the directory that is gone is not believed of the new one."""
    fill(tmp_path / "source", 5, 100, 0)
    time.sleep(0.2)  # until the files are old enough to be recorded
    _pass(mover, tmp_path)
    target = tmp_path / "target"
    number = target.stat().st_ino
    shutil.rmtree(target)
    made = [tmp_path / f"made{index}" for index in range(100)]
    for place in made:
        place.mkdir()
    (tmp_path / next((place.name for place in made if place.stat().st_ino == number), "made0")).rename(target)
    assert _pass(mover, tmp_path).bytes_moved == 500
    assert compare_trees(tmp_path / "source", target) == []


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("engine", ENGINES)
def test_no_pass_fails_because_the_source_is_in_use(mover: Mover, tree: Path, engine: Engine, seed: int) -> None:
    """A writer does everything at once; the pass after its end, verified, makes both trees equal."""
    with _writing(tree / "source", seed):
        for _ in range(6):
            _pass(mover, tree, engine)
    assert _run(mover, "last", tree, CopyOptions(engine=engine)).state is JobState.DONE
    assert compare_trees(tree / "source", tree / "target") == []


@pytest.mark.parametrize("seed", [4, 5, 6, 7])
def test_last_pass_needs_no_verification(mover: Mover, tree: Path, seed: int) -> None:
    """What was torn, set back in time, or stored through a map in earlier passes is right after one quick pass."""
    with _writing(tree / "source", seed):
        for _ in range(6):
            _pass(mover, tree)
    _pass(mover, tree)
    assert compare_trees(tree / "source", tree / "target") == []


def test_killed_and_cancelled_passes_lose_nothing(mover: Mover, tree: Path) -> None:
    """Each pass is ended in the middle of it, at another place; the records that are left do not lie."""
    chance = random.Random(8)
    with _writing(tree / "source", 8):
        for number in range(12):
            if (last := mover.poll("pass")) and last.state is JobState.DONE:
                mover.forget("pass")
            mover.start(
                "pass", tree / "source", tree / "target", CopyOptions(verify=False, repeated=True, reflink=False)
            )
            end = chance.randrange(400)
            while (found := mover.poll("pass")) and found.state is JobState.RUNNING and found.files_done < end:
                pass
            if number % 2:
                mover.cancel("pass")
            else:
                mover.close()
            if number % 3 == 0:
                mover.forget("pass")
    mover.forget("pass")
    _pass(mover, tree)
    assert compare_trees(tree / "source", tree / "target") == []


def test_pass_moves_what_changed_and_touches_nothing_else(mover: Mover, tree: Path) -> None:
    """A small change of a large file travels alone; unchanged files of the copy are neither read nor written."""
    assert _pass(mover, tree).bytes_moved == 200 * 20_000 + 4 * MIB + 10 * 10 * 5000
    _pass(mover, tree)
    before = inodes(tree / "target")
    with (tree / "source" / "z-big").open("r+b") as file:
        file.seek(MIB)
        file.write(b"x" * 100)
    found = _pass(mover, tree)
    assert 0 < found.bytes_moved <= 64 << 10
    assert found.bytes_total == found.bytes_done == 200 * 20_000 + 4 * MIB + 10 * 10 * 5000
    changed = {name for name, state in inodes(tree / "target").items() if before[name] != state}
    assert changed == {"z-big"}
    assert _pass(mover, tree).bytes_moved == 0


def test_half_copied_large_file_is_continued(mover: Mover, tmp_path: Path) -> None:
    """Cancelled in the middle of one file, the same pass moves only what was not there yet."""
    fill(tmp_path / "source", 3, 1000, 40 * MIB)
    options = CopyOptions(verify=False, repeated=True, reflink=False, bandwidth=20 * MIB)
    mover.start("pass", tmp_path / "source", tmp_path / "target", options)
    while (found := mover.poll("pass")) and found.bytes_moved < 8 * MIB:
        assert found.state is JobState.RUNNING
    there = mover.cancel("pass").bytes_moved
    assert there >= 8 * MIB
    mover.start(
        "pass", tmp_path / "source", tmp_path / "target", CopyOptions(verify=False, repeated=True, reflink=False)
    )
    assert wait_final(mover, "pass").bytes_moved <= 40 * MIB - there + 8 * MIB
    assert compare_trees(tmp_path / "source", tmp_path / "target") == []


def test_write_that_leaves_size_and_time_is_carried(mover: Mover, tree: Path) -> None:
    """Programs set times back; the change time tells."""
    _pass(mover, tree)
    path = tree / "source" / "a000"
    before = path.stat()
    path.write_bytes(os.urandom(before.st_size))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    _pass(mover, tree)
    assert compare_trees(tree / "source", tree / "target") == []


def test_torn_copy_is_repaired_although_size_and_time_look_right(mover: Mover, tree: Path) -> None:
    """The file was written between the read and the end of its copy, with its time set back."""
    _pass(mover, tree)
    path, copy = tree / "source" / "a000", tree / "target" / "a000"
    before = path.stat()
    copy.write_bytes(b"torn" * (before.st_size // 4))
    os.utime(copy, ns=(before.st_atime_ns, before.st_mtime_ns))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))  # moves the change time only
    _pass(mover, tree)
    assert compare_trees(tree / "source", tree / "target") == []


@pytest.mark.skipif(not ROOT, reason="needs root to give files away")
def test_changes_of_metadata_alone_are_carried(mover: Mover, tree: Path) -> None:
    """Mode, owner, attributes, ACLs, of files and directories; no content travels."""
    _pass(mover, tree)
    source = tree / "source"
    (source / "a000").chmod(0o4711)
    os.chown(source / "a001", 12, 34)
    os.setxattr(source / "a002", "user.x", b"1")
    os.setxattr(source / "dir1", "user.x", b"1")
    os.chown(source / "dir2", 12, 34)
    source.chmod(0o750)
    assert _pass(mover, tree).bytes_moved == 0
    assert compare_trees(source, tree / "target") == []


def test_holes_that_were_punched_give_space_back(mover: Mover, tree: Path) -> None:
    """A region that is a hole in the source is one in the copy."""
    _pass(mover, tree)
    with (tree / "source" / "z-big").open("r+b") as file:
        contents.punch_hole(file.fileno(), MIB, 2 * MIB)
    _pass(mover, tree)
    assert compare_trees(tree / "source", tree / "target") == []
    assert (tree / "target" / "z-big").stat().st_blocks * 512 < 3 * MIB


def test_difference_found_by_a_verification_is_put_right_by_the_next_pass(mover: Mover, tree: Path) -> None:
    """Somebody wrote to the copy, which no record can know; the verification takes the records away."""
    _pass(mover, tree)
    _pass(mover, tree)
    (tree / "target" / "a007").write_bytes(b"not ours")
    mover.verify("check", tree / "source", tree / "target", sampled=False)
    assert wait_final(mover, "check").message.startswith("D410 ")
    _pass(mover, tree)
    assert compare_trees(tree / "source", tree / "target") == []


def test_second_copy_into_the_same_target_is_refused(mover: Mover, tmp_path: Path) -> None:
    """Two passes at once would make each other's records lie."""
    fill(tmp_path / "source", 3, 1000, 8 * MIB)
    slow = CopyOptions(verify=False, repeated=True, reflink=False, bandwidth=MIB)
    mover.start("one", tmp_path / "source", tmp_path / "target", slow)
    while (found := mover.poll("one")) and not found.bytes_moved:
        assert found.state is JobState.RUNNING
    mover.start("two", tmp_path / "source", tmp_path / "target", slow)
    found = wait_final(mover, "two")
    assert found.state is JobState.FAILED
    assert "another copy into the same target runs" in found.message
    mover.cancel("one")


def test_records_of_a_target_that_is_gone_are_swept(mover: Mover, tmp_path: Path) -> None:
    """The next pass into any other target removes them."""
    fill(tmp_path / "source", 3, 1000, 0)
    for name in ("one", "two"):
        mover.start(name, tmp_path / "source", tmp_path / name, CopyOptions(verify=False, repeated=True))
        assert wait_final(mover, name).state is JobState.DONE
        (memory,) = (tmp_path / "jobs").glob("memory-*")
        assert bytes(tmp_path / name).hex() in (memory / "target.json").read_text()
        (tmp_path / name).rename(tmp_path / "gone")
        if name == "one":
            subprocess.run(["rm", "-r", str(tmp_path / "gone")], check=True, timeout=20)
