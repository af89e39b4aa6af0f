"""Trees that are made, or changed while they are copied, to lead the copier elsewhere; and copies without root."""

from __future__ import annotations

import os
import stat
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from drivers.contract import JobState
from drivers.errors import DriverError, Rejected
from drivers.mover import CopyOptions, Mover, compare_trees, copy_tree
from drivers.mover.builtin import TreeCopier
from drivers.mover.control import Control
from drivers.mover.copying import CopyProcess
from drivers.mover.fsops import PART_PREFIX, open_directory
from drivers.mover.jobdir import REQUEST, STATUS, JobDir
from drivers.mover.options import Engine, Request
from tests.mover.conftest import ROOT
from tests.mover.trees import ENGINES, NET_RAW, fill, inodes, user_acl, wait_final

needs_root = pytest.mark.skipif(not ROOT, reason="needs root to become somebody else")


def _contents(root: Path) -> dict[str, tuple[bytes, int]]:
    return {str(path): (path.read_bytes(), path.stat().st_mode) for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize("engine", ENGINES)
def test_links_in_the_target_lead_nowhere(mover: Mover, tmp_path: Path, engine: Engine) -> None:
    """A symbolic link where the source has a directory or a file is replaced; nothing outside changes."""
    source, target, outside = tmp_path / "source", tmp_path / "target", tmp_path / "outside"
    (source / "dir" / "sub").mkdir(parents=True)
    (source / "dir" / "sub" / "victim").write_text("from the source")
    (source / "file").write_text("from the source")
    target.mkdir()
    (outside / "sub").mkdir(parents=True)
    (outside / "sub" / "victim").write_text("precious")
    (outside / "extra").write_text("precious")
    (target / "dir").symlink_to(outside)
    (target / "file").symlink_to(outside / "extra")
    before, state = _contents(outside), outside.stat()
    mover.start("job", source, target, CopyOptions(engine=engine))
    job = wait_final(mover, "job")
    assert job.state is JobState.DONE, job
    assert compare_trees(source, target) == []
    assert _contents(outside) == before
    assert (outside.stat().st_mtime_ns, outside.stat().st_mode) == (state.st_mtime_ns, state.st_mode)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("linked_in_source", [False, True])
def test_hard_link_of_the_target_to_a_file_outside_is_broken_and_not_written_through(
    mover: Mover, tmp_path: Path, engine: Engine, linked_in_source: bool
) -> None:
    """Neither content nor metadata of the outside file change, even when its size, time and link count look right."""
    source, target, outside = tmp_path / "source", tmp_path / "target", tmp_path / "outside"
    for root in (source, target, outside):
        root.mkdir()
    (source / "file").write_text("evil!")
    (source / "file").chmod(0o4777)
    if linked_in_source:
        os.link(source / "file", tmp_path / "second name of the source")
    (outside / "shadow").write_text("precious")
    (outside / "same").write_text("valid")
    for path in (source / "file", outside / "same"):
        os.utime(path, ns=(7, 7))
    os.link(outside / "same", target / "file")
    os.link(outside / "shadow", target / "other")
    (source / "other").write_text("overwritten?")
    before = _contents(outside)
    mover.start("job", source, target, CopyOptions(engine=engine))
    job = wait_final(mover, "job")
    assert job.state is JobState.DONE, job
    assert _contents(outside) == before
    assert (outside / "same").stat().st_mtime_ns == 7
    assert (target / "file").read_text() == "evil!"
    assert (target / "other").read_text() == "overwritten?"


@pytest.mark.parametrize("engine", ENGINES)
def test_equal_file_that_is_also_linked_outside_becomes_a_file_of_its_own(
    mover: Mover, tmp_path: Path, engine: Engine
) -> None:
    """Later writes to the copy must not reach the outside, so an equal file is not good enough."""
    source, target = tmp_path / "source", tmp_path / "target"
    fill(source, 1, 100, 0)
    copy_tree(source, target)
    os.link(target / "a000", tmp_path / "outside")
    mover.start("job", source, target, CopyOptions(engine=engine))
    assert wait_final(mover, "job").state is JobState.DONE
    assert (target / "a000").stat().st_nlink == 1
    assert compare_trees(source, target) == []


def test_parts_of_an_earlier_boot_are_not_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a part had in the page cache may be gone, so its name belongs to one boot."""
    source, target = tmp_path / "source", tmp_path / "target"
    fill(source, 1, 1000, 0)
    target.mkdir()
    here = _part_names(source, target)["a000"]
    (target / here).write_bytes(bytes(500))
    monkeypatch.setattr("drivers.mover.builtin.boot_id", lambda: "another boot")
    assert _part_names(source, target)["a000"] != here
    copy_tree(source, target)
    assert compare_trees(source, target) == []


def test_part_names_are_no_way_out(tmp_path: Path) -> None:
    """A link, a fifo, a directory or a hard-linked file in the place of a part is removed, not used."""
    source, target = tmp_path / "source", tmp_path / "target"
    fill(source, 4, 1000, 0)
    target.mkdir()
    outside, linked = tmp_path / "outside", tmp_path / "linked"
    for path in (outside, linked):
        path.write_text("precious")
    parts = _part_names(source, target)
    (target / parts["a000"]).symlink_to(outside)
    os.mkfifo(target / parts["a001"])
    (target / parts["a002"] / "below").mkdir(parents=True)
    os.link(linked, target / parts["a003"])
    copy_tree(source, target)
    assert (outside.read_text(), linked.read_text()) == ("precious", "precious")
    assert compare_trees(source, target) == []


def _part_names(source: Path, target: Path) -> dict[str, str]:
    """The names that the copier will use for the unfinished files of a flat source."""
    left, right = open_directory(str(source)), open_directory(str(target))
    try:
        copier = TreeCopier(left, right, Control())
        copier._enter(os.dup(left), os.dup(right), "", made=False)
        frame = copier._stack.pop()
        names = {name: copier._part_name(frame, name, (source / name).stat()) for name in frame.present}
        os.close(frame.source)
        os.close(frame.target)
        return names
    finally:
        os.close(left)
        os.close(right)


@pytest.mark.parametrize("engine", ENGINES)
def test_left_over_parts_go_even_when_extra_names_stay(mover: Mover, tmp_path: Path, engine: Engine) -> None:
    """Parts are the copier's own rubbish, whichever engine finds them."""
    fill(tmp_path / "source", 2, 100, 0)
    target = tmp_path / "target"
    target.mkdir()
    (target / f"{PART_PREFIX}0123456789abcdef").write_text("half")
    (target / "extra").write_text("kept")
    mover.start("job", tmp_path / "source", target, CopyOptions(engine=engine, delete_extra=False))
    assert wait_final(mover, "job").state is JobState.DONE
    assert sorted(path.name for path in target.iterdir()) == ["a000", "a001", "extra"]


def _swap_until(stop: threading.Event, target: Path, outside: Path) -> None:
    """Turn directories of the target into links to the outside and back, as fast as possible."""
    number = 0
    while not stop.is_set():
        number += 1
        for name in ("d0", "d1"):
            with suppress(OSError):
                (target / name).rename(target / f"aside{number}")
                (target / name).symlink_to(outside)
            with suppress(OSError):
                (target / name).unlink()
                (target / f"aside{number}").rename(target / name)


def test_directories_swapped_for_links_during_the_copy_write_nothing_outside(tmp_path: Path) -> None:
    """Whatever the race does to the copy, the outside stays untouched; when it ends, the copy can be finished."""
    source, target, outside = tmp_path / "source", tmp_path / "target", tmp_path / "outside"
    for name in ("d0", "d1"):
        (source / name / "sub").mkdir(parents=True)
        fill(source / name / "sub", 30, 100, 0)
        fill(source / name, 30, 100, 0)
    outside.mkdir()
    (outside / "precious").write_text("precious")
    copy_tree(source, target)
    before, state = inodes(outside), outside.stat()
    stop = threading.Event()
    swapper = threading.Thread(target=_swap_until, args=(stop, target, outside))
    swapper.start()
    rounds, end = 0, time.monotonic() + 2
    try:
        while time.monotonic() < end:
            rounds += 1
            for path in list(source.glob("d*/a*"))[:10]:
                path.write_bytes(os.urandom(100))
            with suppress(DriverError):
                copy_tree(source, target)
    finally:
        stop.set()
        swapper.join()
    assert rounds > 3
    assert inodes(outside) == before
    assert (outside.stat().st_mtime_ns, outside.stat().st_ctime_ns) == (state.st_mtime_ns, state.st_ctime_ns)
    copy_tree(source, target)
    assert compare_trees(source, target) == []


def test_source_directories_swapped_for_links_are_not_read_outside(tmp_path: Path) -> None:
    """A link in the source is copied as a link, also when it was a directory a moment ago."""
    source, outside = tmp_path / "source", tmp_path / "outside"
    for name in ("d0", "d1"):
        fill(source / name if source.exists() else _made(source) / name, 30, 100, 0)
    outside.mkdir()
    (outside / "secret").write_text("secret")
    stop = threading.Event()
    swapper = threading.Thread(target=_swap_until, args=(stop, source, outside))
    swapper.start()
    end = time.monotonic() + 1.5
    rounds = 0
    try:
        while time.monotonic() < end:
            rounds += 1
            with suppress(DriverError):
                copy_tree(source, tmp_path / f"target{rounds}")
    finally:
        stop.set()
        swapper.join()
    assert rounds > 3
    copied = [path for path in tmp_path.glob("target*/**/secret") if not path.parent.is_symlink()]
    assert copied == []


def _made(path: Path) -> Path:
    path.mkdir()
    return path


def _as_nobody(work: Callable[[], None]) -> None:
    """Run in a process that has lost root; what fails there fails the test."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.setgroups([])
            os.setresgid(65534, 65534, 65534)
            os.setresuid(65534, 65534, 65534)
            work()
            code = 0
        except BaseException:  # noqa: BLE001 - the parent fails the test
            traceback.print_exc()
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


@pytest.fixture
def open_place(tmp_path: Path) -> Path:
    """A directory of nobody's, reachable for nobody."""
    for parent in (tmp_path, *tmp_path.parents):
        if parent.stat().st_uid == os.geteuid() and parent != Path("/"):
            parent.chmod(parent.stat().st_mode | 0o755)
    place = tmp_path / "open"
    place.mkdir()
    os.chown(place, 65534, 65534)
    return place


def _make_mixed_source(source: Path) -> None:
    """Own files with own metadata; two files of others, one of them setuid; a device; a capability."""
    (source / "own dir").mkdir(parents=True)
    (source / "own dir" / "readonly").write_text("x")
    os.setxattr(source / "own dir" / "readonly", "user.color", b"blue")
    os.setxattr(source / "own dir" / "readonly", "system.posix_acl_access", user_acl(1000))
    (source / "own dir" / "readonly").chmod(0o440)
    (source / "own suid").write_text("x")
    (source / "own dir").chmod(0o500)
    for path in (source, *source.rglob("*")):
        os.chown(path, 65534, 65534)
    (source / "own suid").chmod(0o4711)


def _add_foreign_objects(source: Path) -> None:
    (source / "foreign").write_text("x")
    (source / "foreign suid").write_text("x")
    (source / "foreign suid").chmod(0o6755)
    os.mknod(source / "device", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    (source / "capable").write_text("x")
    os.chown(source / "capable", 65534, 65534)
    os.setxattr(source / "capable", "security.capability", NET_RAW)


def _run_job(home: Path, source: Path, target: Path, engine: Engine = "auto") -> tuple[str, str]:
    """The child's work in this very process; its final state and message."""
    home.mkdir(exist_ok=True)
    target.mkdir(exist_ok=True)
    records = JobDir(home)
    records.write(REQUEST, Request("job", source, target, CopyOptions(engine=engine)).to_json())
    lock = records.take_lock()
    assert lock is not None
    CopyProcess(records, lock).run()
    status = records.read(STATUS)
    assert status is not None
    os.close(lock)
    return status["state"], status["message"]


@needs_root
def test_own_tree_is_copied_whole_without_root(tmp_path: Path, open_place: Path) -> None:
    """Modes, ACLs, attributes on read-only files, closed directories: nothing is lost, nothing needs saying."""
    source = tmp_path / "source"
    _make_mixed_source(source)

    def work() -> None:
        for _ in range(2):
            copy_tree(source, open_place / "inline")
            assert compare_trees(source, open_place / "inline") == []
        assert _run_job(open_place / "job", source, open_place / "target") == ("done", "")
        (source / "own dir").chmod(0o700)
        (source / "own dir" / "new").touch()
        (source / "own dir").chmod(0o500)
        copy_tree(source, open_place / "inline")
        assert compare_trees(source, open_place / "inline") == []

    _as_nobody(work)


@needs_root
def test_what_cannot_be_kept_without_root_is_counted_in_the_message(tmp_path: Path, open_place: Path) -> None:
    """Owners, devices and capabilities are left out with a count, and no setuid bit acts for the wrong owner."""
    source = tmp_path / "source"
    _make_mixed_source(source)
    _add_foreign_objects(source)

    def work() -> None:
        state, message = _run_job(open_place / "job", source, open_place / "target")
        assert state == "done", message
        assert message == (
            "not root: 2 without their owner or group, 1 left out (device nodes), 1 without their privileged attributes"
        )

    _as_nobody(work)
    target = open_place / "target"
    assert not (target / "device").exists()
    assert stat.S_IMODE((target / "foreign suid").stat().st_mode) == 0o755
    assert stat.S_IMODE((target / "own suid").stat().st_mode) == 0o4711
    told = "\n".join(compare_trees(source, target))
    for expected in ("foreign: owner", "foreign suid: mode 0755", "device: missing", "capable: attribute security.cap"):
        assert expected in told


@needs_root
def test_copies_that_cannot_say_what_they_lose_are_refused_without_root(tmp_path: Path, open_place: Path) -> None:
    """The inline copier has no message, and rsync does not count: both refuse before they write."""
    source = tmp_path / "source"
    _make_mixed_source(source)
    _add_foreign_objects(source)

    def work() -> None:
        with pytest.raises(Rejected, match="2 without their owner or group"):
            copy_tree(source, open_place / "inline")
        assert list((open_place / "inline").iterdir()) == []
        state, message = _run_job(open_place / "job", source, open_place / "target", "rsync")
        assert state == "failed"
        assert "use engine builtin" in message or "rsync is not installed" in message

    _as_nobody(work)


@needs_root
def test_unreadable_source_fails_with_its_name(tmp_path: Path, open_place: Path) -> None:
    """A file that this process may not read is a failure, never a silent gap."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "secret").write_text("x")
    (source / "secret").chmod(0o600)

    def work() -> None:
        state, message = _run_job(open_place / "job", source, open_place / "target")
        assert (state, message) == ("failed", "D400 secret: Permission denied")

    _as_nobody(work)
