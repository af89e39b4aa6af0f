"""What a copy keeps, and what the comparison sees."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from drivers.contract import JobState
from drivers.errors import NotFound, PoolFull, Rejected
from drivers.mover import CopyOptions, Mover, compare_trees, copy_tree, fingerprint
from drivers.mover.options import Engine
from tests.mover.conftest import ROOT
from tests.mover.trees import ENGINES, inodes, rsync_differences, user_acl, wait_final

needs_rsync = pytest.mark.skipif(shutil.which("rsync") is None, reason="rsync is not installed")
needs_root = pytest.mark.skipif(not ROOT, reason="needs root")


@pytest.mark.parametrize("engine", ENGINES)
def test_torture_tree_is_copied_by_a_job_without_any_difference(
    mover: Mover, source: Path, tmp_path: Path, engine: Engine
) -> None:
    """Both engines keep everything, and the job counts everything."""
    mover.start("job", source, tmp_path / "target", CopyOptions(engine=engine))
    job = wait_final(mover, "job")
    assert job.state is JobState.DONE, job
    assert compare_trees(source, tmp_path / "target") == []
    assert fingerprint(source) == fingerprint(tmp_path / "target")
    assert job.files_done == job.files_total == len(list(source.rglob("*")))
    assert job.bytes_done == job.bytes_total
    assert job.bytes_total is not None
    assert job.bytes_total > 32 << 20


@needs_rsync
@pytest.mark.parametrize("reflink", [True, False])
def test_rsync_finds_nothing_to_do_after_the_built_in_copier(source: Path, tmp_path: Path, reflink: bool) -> None:
    """A judge that shares no code with the copier agrees."""
    copy_tree(source, tmp_path / "target", reflink=reflink)
    assert rsync_differences(source, tmp_path / "target") == ""


def test_holes_stay_holes(source: Path, tmp_path: Path) -> None:
    """A sparse file takes no more room in the copy than in the source."""
    copy_tree(source, tmp_path / "target")
    assert (tmp_path / "target" / "sparse").stat().st_blocks <= (source / "sparse").stat().st_blocks + 16
    assert (tmp_path / "target" / "sparse").stat().st_size == 32 << 20


@pytest.mark.parametrize("engine", ENGINES)
def test_second_copy_writes_nothing(mover: Mover, source: Path, tmp_path: Path, engine: Engine) -> None:
    """What is right is not touched: neither inodes nor change times move."""
    seen = []
    for job in ("first", "second"):
        mover.start(job, source, tmp_path / "target", CopyOptions(engine=engine))
        assert wait_final(mover, job).state is JobState.DONE
        seen.append(inodes(tmp_path / "target"))
    assert seen[0] == seen[1]


def _make_stale_target(target: Path) -> None:
    (target / "plain").mkdir(parents=True)
    (target / "plain" / "in the way").write_text("x")
    (target / "deep").write_text("a file where a directory belongs")
    (target / "extra dir" / "below").mkdir(parents=True)
    (target / "extra dir" / "below" / "file").write_text("x")
    (target / "fifo").symlink_to("elsewhere")
    (target / "sparse").write_text("shorter")
    (target / "dangling").write_text("not a link")
    os.mkfifo(target / "empty")


@pytest.mark.parametrize("engine", ENGINES)
def test_stale_target_becomes_equal(mover: Mover, source: Path, tmp_path: Path, engine: Engine) -> None:
    """Extra names go and wrong kinds are replaced."""
    _make_stale_target(tmp_path / "target")
    mover.start("job", source, tmp_path / "target", CopyOptions(engine=engine))
    job = wait_final(mover, "job")
    assert job.state is JobState.DONE, job
    assert compare_trees(source, tmp_path / "target") == []


@pytest.mark.parametrize("engine", ENGINES)
def test_extra_names_stay_when_they_shall(mover: Mover, source: Path, tmp_path: Path, engine: Engine) -> None:
    """With delete_extra off only what stands in the way is replaced, and extra names are no difference."""
    _make_stale_target(tmp_path / "target")
    mover.start("job", source, tmp_path / "target", CopyOptions(engine=engine, delete_extra=False))
    job = wait_final(mover, "job")
    assert job.state is JobState.DONE, job
    assert (tmp_path / "target" / "extra dir" / "below" / "file").read_text() == "x"
    assert compare_trees(source, tmp_path / "target") == ["extra dir: only in the target"]


@pytest.mark.parametrize("engine", ENGINES)
def test_hard_links_of_the_target_are_regrouped(mover: Mover, tmp_path: Path, engine: Engine) -> None:
    """Files that are linked in the target but not in the source get apart, and the other way round."""
    source, target = tmp_path / "source", tmp_path / "target"
    for root in (source, target):
        root.mkdir()
    (source / "a").write_text("content a")
    (source / "b").write_text("content b")
    (source / "c").write_text("content c")
    os.link(source / "c", source / "d")
    (target / "a").write_text("old")
    os.link(target / "a", target / "b")
    os.link(target / "a", target / "c")
    (target / "d").write_text("apart")
    mover.start("job", source, target, CopyOptions(engine=engine))
    job = wait_final(mover, "job")
    assert job.state is JobState.DONE, job
    assert compare_trees(source, target) == []
    assert (target / "c").stat().st_ino == (target / "d").stat().st_ino


def _make_equal_pairs(root: Path, *pairs: str) -> None:
    root.mkdir()
    for pair in pairs:
        (root / pair[0]).write_text("equal")
        os.utime(root / pair[0], ns=(9, 9))
        os.link(root / pair[0], root / pair[1])


@pytest.mark.parametrize("engine", ENGINES)
def test_equal_files_are_linked_as_in_the_source_and_not_as_before(
    mover: Mover, tmp_path: Path, engine: Engine
) -> None:
    """Two pairs of equal files: a+c and b+d in the source, a+b and c+d in the target."""
    source, target = tmp_path / "source", tmp_path / "target"
    _make_equal_pairs(source, "ac", "bd")
    _make_equal_pairs(target, "ab", "cd")
    mover.start("job", source, target, CopyOptions(engine=engine))
    job = wait_final(mover, "job")
    assert job.state is JobState.DONE, job
    assert compare_trees(source, target) == []


def test_equal_files_are_regrouped_in_one_pass(tmp_path: Path) -> None:
    """The built-in copier needs no verification to see that an inode is already the copy of another one."""
    source, target = tmp_path / "source", tmp_path / "target"
    _make_equal_pairs(source, "ac", "bd")
    _make_equal_pairs(target, "ab", "cd")
    copy_tree(source, target)
    assert compare_trees(source, target) == []


@pytest.mark.parametrize("engine", ENGINES)
def test_same_size_and_time_with_other_content_is_found_and_repaired(
    mover: Mover, tmp_path: Path, engine: Engine
) -> None:
    """Verification reads contents; the next pass does not trust size and time."""
    source, target = tmp_path / "source", tmp_path / "target"
    for root, text in ((source, "right"), (target, "wrong")):
        root.mkdir()
        (root / "file").write_text(text)
        os.utime(root / "file", ns=(5, 5))
    mover.start("job", source, target, CopyOptions(engine=engine))
    assert wait_final(mover, "job").state is JobState.DONE
    assert (target / "file").read_text() == "right"


def _rewrite_in_secret(path: Path) -> None:
    state = path.stat()
    path.write_bytes(b"P" + path.read_bytes()[1:])
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))


def _relink(root: Path) -> None:
    state = (root / "deep").stat()
    (root / "deep" / "hard link").unlink()
    shutil.copy2(root / "plain", root / "deep" / "hard link")
    os.utime(root / "deep", ns=(state.st_atime_ns, state.st_mtime_ns))


def _replace(path: Path, make: Callable[[Path], None]) -> None:
    parent = path.parent.stat()
    path.unlink()
    make(path)
    os.utime(path, ns=(1, 1), follow_symlinks=False)
    os.utime(path.parent, ns=(parent.st_atime_ns, parent.st_mtime_ns))


DAMAGES: dict[str, tuple[str, Callable[[Path], object]]] = {
    "content": ("plain: content differs", lambda root: _rewrite_in_secret(root / "plain")),
    "size": ("no-mode: size 2 instead of 1", lambda root: (root / "no-mode").write_text("xx")),
    "mode": ("plain: mode 0600", lambda root: (root / "plain").chmod(0o600)),
    "directory mode": ("sticky: mode 0777", lambda root: (root / "sticky").chmod(0o777)),
    "root mode": (".: mode 0700", lambda root: root.chmod(0o700)),
    "time": ("fifo: modified at 1 ns", lambda root: os.utime(root / "fifo", ns=(1, 1))),
    "time of link": ("to-dir: modified", lambda root: os.utime(root / "to-dir", ns=(1, 1), follow_symlinks=False)),
    "one nanosecond": (
        "deep/er: modified",
        lambda root: os.utime(root / "deep/er", ns=(1, (root / "deep/er").stat().st_mtime_ns + 1)),
    ),
    "attribute": ("plain: attribute user.color", lambda root: os.setxattr(root / "plain", "user.color", b"red")),
    "attribute gone": ("deep: attribute user.dir", lambda root: os.removexattr(root / "deep", "user.dir")),
    "acl": (
        "empty: attribute system.posix_acl_access",
        lambda root: os.setxattr(root / "empty", "system.posix_acl_access", user_acl(9)),
    ),
    "default acl": (
        "deep/er: attribute system.posix_acl_default",
        lambda root: os.removexattr(root / "deep/er", "system.posix_acl_default"),
    ),
    "hard link": ("linked", _relink),
    "link target": ("to-dir: links to another place", lambda root: _replace(root / "to-dir", _link_elsewhere)),
    "kind": ("fifo: is a fifo in the source, a file in the target", lambda root: _replace(root / "fifo", Path.touch)),
    "missing": ("empty: missing in the target", lambda root: (root / "empty").unlink()),
    "extra": ("extra: only in the target", lambda root: (root / "extra").touch()),
    "odd name": ("new\\nline: size 0", lambda root: (root / "new\nline").write_text("")),
}


def _link_elsewhere(path: Path) -> None:
    path.symlink_to("deep/er")


@pytest.mark.parametrize("damage", DAMAGES)
def test_every_kind_of_damage_is_seen_and_named(source: Path, tmp_path: Path, damage: str) -> None:
    """The comparison names the path and the aspect; the fingerprint changes; copying again repairs it."""
    target = tmp_path / "target"
    copy_tree(source, target)
    expected, apply = DAMAGES[damage]
    apply(target)
    found = compare_trees(source, target)
    assert any(expected in line for line in found), found
    assert fingerprint(source) != fingerprint(target)
    if damage != "content":  # one pass trusts size and time; a job reads what it wrote
        copy_tree(source, target)
        assert compare_trees(source, target) == []


@needs_root
def test_owner_device_and_capability_differences_are_seen(source: Path, tmp_path: Path) -> None:
    """What only root can set is compared too."""
    target = tmp_path / "target"
    copy_tree(source, target)
    os.chown(target / "plain", 77, 88)
    (target / "chardev").unlink()
    os.mknod(target / "chardev", stat.S_IFCHR | 0o620, os.makedev(1, 5))
    os.removexattr(target / "capable", "security.capability")
    found = "\n".join(compare_trees(source, target))
    for expected in ("plain: owner 77:88", "chardev: device number 0x105", "capable: attribute security.capability"):
        assert expected in found


def test_differences_are_bounded(tmp_path: Path) -> None:
    """A thousand differences are told as the first hundred."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    for number in range(1000):
        (tmp_path / "a" / str(number)).touch()
    assert len(compare_trees(tmp_path / "a", tmp_path / "b")) == 100


def test_fingerprint_does_not_see_holes(tmp_path: Path) -> None:
    """A hole and written zeros are the same content."""
    for name, sparse in (("a", True), ("b", False)):
        (tmp_path / name).mkdir()
        with (tmp_path / name / "file").open("wb") as file:
            file.write(b"head")
            if sparse:
                file.truncate(1 << 20)
            else:
                file.write(bytes((1 << 20) - 4))
        os.utime(tmp_path / name / "file", ns=(1, 1))
        os.utime(tmp_path / name, ns=(1, 1))
    assert fingerprint(tmp_path / "a") == fingerprint(tmp_path / "b")
    assert compare_trees(tmp_path / "a", tmp_path / "b") == []


def test_changed_source_is_followed_by_the_next_copy(source: Path, tmp_path: Path) -> None:
    """Renames, new hard links, removed names and new modes arrive."""
    target = tmp_path / "target"
    copy_tree(source, target)
    (source / "plain").rename(source / "renamed")
    os.link(source / "empty", source / "deep" / "another name")
    shutil.rmtree(source / "sticky")
    (source / "deep").chmod(0o711)
    copy_tree(source, target)
    assert compare_trees(source, target) == []


@pytest.mark.parametrize("engine", ENGINES)
def test_deep_tree_is_copied(mover: Mover, tmp_path: Path, engine: Engine) -> None:
    """Depth is bounded by descriptors and path length, not by recursion."""
    deepest = tmp_path / "source" / "/".join(["d"] * 400)
    deepest.mkdir(parents=True)
    (deepest / "file").write_text("bottom")
    mover.start("job", tmp_path / "source", tmp_path / "target", CopyOptions(engine=engine))
    job = wait_final(mover, "job")
    assert job.state is JobState.DONE, job
    assert compare_trees(tmp_path / "source", tmp_path / "target") == []


def test_inline_copy_refuses_what_cannot_work(tmp_path: Path) -> None:
    """No source, no directory, and trees inside each other are refused before anything is written."""
    tree = tmp_path / "tree"
    tree.mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tree)
    with pytest.raises(NotFound):
        copy_tree(tmp_path / "missing", tmp_path / "target")
    for source, target in (
        (tree, tmp_path / "file"),
        (tree, tmp_path / "link"),
        (tmp_path / "file", tmp_path / "target"),
        (tree, tree / "below"),
        (tree, tree),
        (tree, tmp_path),
        (tree, tmp_path / "no" / "parent"),
    ):
        with pytest.raises(Rejected):
            copy_tree(source, target)
    assert not (tmp_path / "target").exists()


@needs_root
def test_inline_copy_into_a_full_file_system_says_so(tmp_path: Path, mount: Callable[..., Path]) -> None:
    """PoolFull, so that another pool can be tried."""
    full = mount("full", "-t", "tmpfs", "-o", "size=1m", "tmpfs")
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "file").write_bytes(os.urandom(2 << 20))
    with pytest.raises(PoolFull, match="file: No space left"):
        copy_tree(tmp_path / "source", full / "target")


@pytest.fixture
def btrfs(tmp_path: Path, mount: Callable[..., Path]) -> Path:
    """A file system that shares extents."""
    if shutil.which("mkfs.btrfs") is None:
        pytest.skip("btrfs-progs is not installed")
    image = tmp_path / "image"
    with image.open("wb") as file:
        file.truncate(256 << 20)
    subprocess.run(["mkfs.btrfs", "-q", str(image)], check=True, capture_output=True, timeout=60)
    return mount("btrfs", "-o", "loop", str(image))


def _free(place: Path) -> int:
    state = os.statvfs(place)
    return state.f_bfree * state.f_frsize


def test_reflinks_share_the_space_of_the_source(mover: Mover, btrfs: Path) -> None:
    """Where the file system shares extents, a copy takes no room, and engine auto uses that."""
    (btrfs / "source").mkdir()
    for number in range(2):
        (btrfs / "source" / f"f{number}").write_bytes(os.urandom(40 << 20))
    copy_tree(btrfs / "source", btrfs / "inline")
    before = _free(btrfs)
    copy_tree(btrfs / "source", btrfs / "inline again")
    mover.start("job", btrfs / "source", btrfs / "job")
    job = wait_final(mover, "job")
    assert job.state is JobState.DONE, job
    assert compare_trees(btrfs / "source", btrfs / "inline") == []
    assert compare_trees(btrfs / "source", btrfs / "job") == []
    assert before - _free(btrfs) < 10 << 20
    copy_tree(btrfs / "source", btrfs / "real", reflink=False)
    assert before - _free(btrfs) > 70 << 20


@pytest.mark.parametrize("engine", ENGINES)
def test_tuning_of_one_file_system_is_not_carried_to_another(
    mover: Mover, tmp_path: Path, btrfs: Path, engine: Engine
) -> None:
    """An attribute that only the source's file system knows neither fails the copy nor counts as a difference."""
    (btrfs / "source").mkdir()
    (btrfs / "source" / "file").write_text("x")
    os.setxattr(btrfs / "source" / "file", "btrfs.compression", b"zstd")
    mover.start("job", btrfs / "source", tmp_path / "target", CopyOptions(engine=engine))
    job = wait_final(mover, "job")
    assert job.state is JobState.DONE, job
    assert compare_trees(btrfs / "source", tmp_path / "target") == []
