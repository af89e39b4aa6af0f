"""find_writers: whether a share is fenced, by trying and by looking."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from drivers.conformance.bench import Bench, needs
from drivers.contract import AccessMode, Driver, ObjectKind, ObjectRef, SupportsHostAccess
from drivers.errors import NotFound

HOLDS_OPEN = "f = open(sys.argv[1], 'r+b')"
MAPS = "import mmap; f = open(sys.argv[1], 'r+b'); m = mmap.mmap(f.fileno(), 0); f.close()"
_READS = "f = open(sys.argv[1], 'rb')"
MOST_LINES = 21


@contextlib.contextmanager
def process(path: Path, does: str, through: Sequence[str] = ()) -> Iterator[int]:
    """A process that has a file open, or mapped; its id. ``through`` is a command that runs the one that follows it."""
    program = f"import sys; {does}; print('ready', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [*through, sys.executable, "-S", "-c", program, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        try:
            yield child.pid
        finally:
            child.kill()


def fences(bench: Bench) -> list[AccessMode]:
    """The modes in which no client can write."""
    return [mode for mode in bench.capabilities.access_modes if mode is not AccessMode.RW]


def can_try(bench: Bench) -> bool:
    """Whether the driver tries at all; one that does not must say so in every mode."""
    return type(bench.driver).find_writers is not Driver.find_writers


class TestFindWriters:
    """What is said of a share must be true of it."""

    def test_share_that_clients_can_write_is_never_called_fenced(self, bench: Bench) -> None:
        """In mode ``rw`` there is a line, always."""
        share = bench.create()
        for driver in (bench.driver, bench.another()):
            assert driver.find_writers(share)
        for mode in (*fences(bench), AccessMode.RW):
            bench.driver.set_access_mode(share, mode, bench.call())
        assert bench.driver.find_writers(share)

    def test_fenced_share_without_writers_has_none(self, bench: Bench) -> None:
        """Each mode that holds writers off is recognised, by every instance."""
        share = bench.create()
        if bench.has("data"):
            bench.client.write(share, "f", b"one")
        for mode in fences(bench):
            bench.driver.set_access_mode(share, mode, bench.call())
            found = [line for driver in (bench.driver, bench.another()) for line in driver.find_writers(share)]
            assert bool(found) is not can_try(bench), f"{found} in mode {mode}"

    def test_asking_changes_nothing(self, bench: Bench) -> None:
        """Neither content nor times, in any mode."""
        share = bench.create()
        if bench.has("data"):
            bench.client.write(share, "f", b"one")
        for mode in (AccessMode.RW, *fences(bench)):
            bench.driver.set_access_mode(share, mode, bench.call())
            before = self._times(bench, share)
            with bench.unchanged():
                for _ in range(3):
                    bench.driver.find_writers(share)
            assert self._times(bench, share) == before

    @staticmethod
    def _times(bench: Bench, share: ObjectRef) -> dict[str, int]:
        driver = bench.driver
        if not isinstance(driver, SupportsHostAccess) or bench.state(share).mode is AccessMode.NONE:
            return {}
        root = driver.data_path(share)
        return {str(path.relative_to(root)): path.lstat().st_mtime_ns for path in (root, *root.rglob("*"))}

    def test_missing_share_is_not_found(self, bench: Bench) -> None:
        """There is nothing to be written to."""
        gone = bench.create()
        bench.delete(gone)
        for share in (bench.ref(), gone):
            with bench.unchanged(), pytest.raises(NotFound):
                bench.driver.find_writers(share)
        if bench.has("snapshots"):
            never = bench.ref(ObjectKind.SNAPSHOT)
            with pytest.raises(NotFound):
                bench.driver.find_writers(never)

    @needs("host_access", "data")
    @pytest.mark.parametrize("does", [HOLDS_OPEN, MAPS], ids=["open", "mapped"])
    def test_process_that_can_still_write_is_named(self, bench: Bench, does: str) -> None:
        """A file that was opened before the fence is found after it: process, program and file."""
        assert isinstance(bench.driver, SupportsHostAccess)
        share = bench.create()
        bench.client.write(share, "d/some file", b"one")
        with process(bench.driver.data_path(share) / "d/some file", does) as number:
            for mode in fences(bench):
                bench.driver.set_access_mode(share, mode, bench.call())
                (line,) = bench.driver.find_writers(share)
                assert f" {number} " in line, line
                assert "d/some file" in line, line
                assert "python" in line, line
        assert not fences(bench) or bench.driver.find_writers(share) == []

    @needs("host_access", "data")
    def test_readers_and_writers_of_other_shares_are_not_named(self, bench: Bench) -> None:
        """Only what can change this share counts."""
        assert isinstance(bench.driver, SupportsHostAccess)
        share, other = bench.create(), bench.create()
        for each in (share, other):
            bench.client.write(each, "f", b"one")
        reader = process(bench.driver.data_path(share) / "f", _READS)
        writer = process(bench.driver.data_path(other) / "f", HOLDS_OPEN)
        with reader, writer:
            for mode in fences(bench):
                bench.driver.set_access_mode(share, mode, bench.call())
                assert bench.driver.find_writers(share) == []

    @needs("host_access", "data")
    def test_answer_is_bounded_and_printable(self, bench: Bench) -> None:
        """However many files are open, and whatever they are called."""
        assert isinstance(bench.driver, SupportsHostAccess)
        share = bench.create()
        for index in range(2 * MOST_LINES):
            bench.client.write(share, f"new\nline \x1b[2J {index}", b"x")
        root = bench.driver.data_path(share)
        with contextlib.ExitStack() as held:
            for path in root.iterdir():
                held.enter_context(path.open("r+b"))
            found = bench.driver.find_writers(share)
        assert 2 < len(found) <= MOST_LINES + 1
        assert all(line.isprintable() for line in found), found
