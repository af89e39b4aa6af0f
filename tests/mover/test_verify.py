"""Verification jobs: equal trees are found equal, every kind of difference is found, samples say their extent."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from drivers.contract import Job, JobState
from drivers.errors import Conflict, NotFound
from drivers.mover import Mover, copy_tree
from drivers.mover.fsops import open_directory
from drivers.mover.verifying import CONTENT, NAMES, SampledComparison, human
from tests.mover.conftest import ROOT
from tests.mover.trees import fill, inodes, processes_of, user_acl, wait_final, wait_for

needs_root = pytest.mark.skipif(not ROOT, reason="needs root to give files away")
MIB = 1 << 20


@pytest.fixture
def pair(source: Path, tmp_path: Path) -> tuple[Path, Path]:
    """A tree with everything, and its copy."""
    copy_tree(source, tmp_path / "target")
    return source, tmp_path / "target"


def _verify(mover: Mover, pair: tuple[Path, Path], *, sampled: bool) -> Job:
    mover.verify("check", *pair, sampled=sampled)
    found = wait_final(mover, "check")
    mover.forget("check")
    return found


def _swap_link(root: Path) -> None:
    (root / "dangling").unlink()
    (root / "dangling").symlink_to("no/other")
    os.chown(root / "dangling", 4321, 8765, follow_symlinks=False)


def _make_directory(root: Path) -> None:
    (root / "empty").unlink()
    (root / "empty").mkdir()


def _unlink_pair(root: Path) -> None:
    (root / "deep" / "hard link").unlink()
    shutil.copy2(root / "plain", root / "deep" / "hard link")


def _rewrite_quietly(path: Path) -> None:
    """Other content, same size, same time."""
    state = path.stat()
    path.write_bytes(bytes(state.st_size))
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))


CHANGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "content": (lambda root: _rewrite_quietly(root / "plain"), "content differs"),
    "island in a hole": (lambda root: _rewrite_quietly(root / "sparse"), "sparse: content differs"),
    "size": (lambda root: os.truncate(root / "plain", 3), "size 3 instead of 1400"),
    "missing": (lambda root: (root / "deep" / "er" / "est" / "file").unlink(), "deep/er/est/file: missing"),
    "missing directory": (lambda root: shutil.rmtree(root / "deep" / "er"), "deep/er: missing"),
    "extra": (lambda root: (root / "deep" / "extra").touch(), "deep/extra: only in the target"),
    "mode": (lambda root: (root / "empty").chmod(0o600), "empty: mode 0600"),
    "root mode": (lambda root: root.chmod(0o700), ".: mode 0700"),
    "time": (lambda root: os.utime(root / "fifo", ns=(1, 1)), "fifo: modified at 1 ns"),
    "type": (_make_directory, "empty: is a file in the source, a directory in the target"),
    "symbolic link": (_swap_link, "dangling"),
    "hard link": (_unlink_pair, "not linked to the same file"),
}
ATTRIBUTES: dict[str, tuple[Callable[[Path], object], str]] = {
    "attribute": (lambda root: os.setxattr(root / "plain", "user.color", b"red"), "attribute user.color differs"),
    "more attributes": (lambda root: os.setxattr(root / "deep", "user.more", b""), "attribute user.more differs"),
    "acl": (
        lambda root: os.setxattr(root / "deep" / "er", "system.posix_acl_default", user_acl(1)),
        "attribute system.posix_acl_default differs",
    ),
}


@pytest.mark.parametrize("sampled", [False, True])
def test_equal_trees_are_found_equal_and_stay_untouched(
    mover: Mover, pair: tuple[Path, Path], sampled: bool, tmp_path: Path
) -> None:
    """Done, with words on what was looked at; nothing was written to either tree."""
    before = [inodes(root) for root in pair]
    found = _verify(mover, pair, sampled=sampled)
    assert found.state is JobState.DONE, found
    names = len(before[0])
    assert f"{names} of {names} names" in found.message if sampled else f"all {names} names" in found.message
    assert found.files_done == names
    assert found.bytes_moved == 0
    assert [inodes(root) for root in pair] == before
    assert processes_of(tmp_path) == []


@pytest.mark.parametrize("sampled", [False, True])
@pytest.mark.parametrize("change", CHANGES)
def test_every_difference_in_a_small_tree_is_found(
    mover: Mover, pair: tuple[Path, Path], change: str, sampled: bool
) -> None:
    """With the code and the path; a sample of a small tree is all of it."""
    make, words = CHANGES[change]
    make(pair[1])
    found = _verify(mover, pair, sampled=sampled)
    assert found.state is JobState.FAILED
    assert found.message.startswith("D410 ")
    assert words in found.message


@pytest.mark.parametrize("change", ATTRIBUTES)
def test_full_comparison_finds_every_attribute(mover: Mover, pair: tuple[Path, Path], change: str) -> None:
    """A sample reads the attributes of some names only."""
    make, words = ATTRIBUTES[change]
    make(pair[1])
    found = _verify(mover, pair, sampled=False)
    assert found.state is JobState.FAILED
    assert found.message.startswith("D410 ")
    assert words in found.message


@needs_root
@pytest.mark.parametrize("sampled", [False, True])
def test_other_owner_is_found(mover: Mover, pair: tuple[Path, Path], sampled: bool) -> None:
    """Of a file that nobody else has to notice."""
    os.chown(pair[1] / "no-mode", 77, 88)
    assert "no-mode: owner 77:88 instead of 0:0" in _verify(mover, pair, sampled=sampled).message


def test_sample_finds_an_attribute_that_many_files_lack(mover: Mover, tmp_path: Path) -> None:
    """One in eight is enough to see what went wrong for all."""
    fill(tmp_path / "source", 200, 10, 0)
    copy_tree(tmp_path / "source", tmp_path / "target")
    for path in (tmp_path / "source").iterdir():
        os.setxattr(path, "user.a", b"1")
    found = _verify(mover, (tmp_path / "source", tmp_path / "target"), sampled=True)
    assert "attribute user.a differs" in found.message


def _many(root: Path, directories: int, each: int) -> None:
    for number in range(directories):
        below = root / f"d{number % 7}" / f"e{number}"
        below.mkdir(parents=True)
        for name in range(each):
            (below / f"f{name}").touch()


def _sample(source: Path, target: Path, seed: str) -> tuple[list[str], SampledComparison]:
    left, right = open_directory(str(source)), open_directory(str(target))
    try:
        comparison = SampledComparison(left, right, seed=seed)
        return comparison.differences(10_000), comparison
    finally:
        os.close(left)
        os.close(right)


def test_sample_is_bounded_spread_and_repeatable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same name looks at the same; directories come from all over the tree; the message says how much it was."""
    monkeypatch.setattr("drivers.mover.verifying.NAMES", 300)
    source, target = tmp_path / "source", tmp_path / "target"
    _many(source, 100, 20)
    target.mkdir()
    shutil.copytree(source, target, dirs_exist_ok=True)
    for path in (source, *source.rglob("*")):
        state = path.stat()
        os.utime(target / path.relative_to(source), ns=(state.st_atime_ns, state.st_mtime_ns))
    found, comparison = _sample(source, target, "job")
    assert found == []
    assert comparison.names == 300
    assert comparison.extent() == "compared a sample: 300 of more than 2,107 names, 0 B of more than 0 B of content"
    for path in target.rglob("f*"):
        path.chmod(0o600)
    first, again, other = (_sample(source, target, seed)[0] for seed in ("job", "job", "another job"))
    assert first == again
    assert first != other
    assert len({line.split("/")[0] for line in first}) > 2


def test_sample_of_content_is_bounded(tmp_path: Path) -> None:
    """Of many large files some MiB each are read, never more than the bound."""
    for root in (tmp_path / "source", tmp_path / "target"):
        root.mkdir()
        for number in range(CONTENT // MIB + 10):
            with (root / f"f{number}").open("wb") as file:
                file.write(b"x" * (2 * MIB))
            os.utime(root / f"f{number}", ns=(5, 5))
        os.utime(root, ns=(5, 5))
    found, comparison = _sample(tmp_path / "source", tmp_path / "target", "job")
    assert found == []
    assert 0 < comparison.bytes <= CONTENT
    assert NAMES == 20_000
    assert f"of {human((CONTENT // MIB + 10) * 2 * MIB)} of content" in comparison.extent()


def test_verification_is_found_again_cancelled_and_forgotten(mover: Mover, tmp_path: Path) -> None:
    """It is a job like a copy: one process, found by another mover, gone with its process."""
    for root in (tmp_path / "source", tmp_path / "target"):
        root.mkdir()
        with (root / "big").open("wb") as file:
            for _ in range(200):
                file.write(bytes(range(256)) * 4096)
        os.utime(root / "big", ns=(5, 5))
        os.utime(root, ns=(5, 5))
    pair = tmp_path / "source", tmp_path / "target"
    assert mover.verify("check", *pair, sampled=False).state is JobState.RUNNING
    other = Mover(tmp_path / "jobs")
    assert other.verify("check", *pair, sampled=False).state in {JobState.RUNNING, JobState.DONE}
    assert other.cancel("check").state in {JobState.CANCELLED, JobState.DONE}
    wait_for(lambda: not processes_of(tmp_path), "the process to be gone")
    mover.verify("check", *pair, sampled=False)
    assert wait_final(mover, "check").state is JobState.DONE
    mover.forget("check")
    assert mover.poll("check") is None
    assert list((tmp_path / "jobs").iterdir()) == []


def test_verification_makes_no_target_and_is_no_copy(mover: Mover, tmp_path: Path) -> None:
    """A missing target is refused, and one name is not both kinds of job."""
    fill(tmp_path / "source", 2, 10, 0)
    with pytest.raises(NotFound):
        mover.verify("check", tmp_path / "source", tmp_path / "target", sampled=True)
    assert not (tmp_path / "target").exists()
    mover.start("copy", tmp_path / "source", tmp_path / "target")
    assert wait_final(mover, "copy").state is JobState.DONE
    with pytest.raises(Conflict, match=r"copies .* it cannot be one that compares"):
        mover.verify("copy", tmp_path / "source", tmp_path / "target", sampled=True)
