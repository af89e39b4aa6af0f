"""Which processes can still write below a directory, whatever their mounts are, and at what cost it is found out."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from drivers import writers
from drivers.conformance.cases_writers import HOLDS_OPEN, MAPS, process
from drivers.tools import run
from tests.drivers.btrfs_pools import btrfs_pool

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounts are made by root")

BOTH = pytest.mark.parametrize("does", [HOLDS_OPEN, MAPS], ids=["open", "mapped"])


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A directory with one file, ``d/f``."""
    (tmp_path / "tree" / "d").mkdir(parents=True)
    (tmp_path / "tree" / "d" / "f").write_bytes(b"one")
    return tmp_path / "tree"


def mounted(*commands: str) -> list[str]:
    """Runs a command with mounts of its own, which shell commands have made."""
    script = "\n".join(["set -e", *commands, 'exec "$@"'])
    return ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh"]


def named(child: int, root: Path) -> list[str]:
    """What of a tree a process is said to have open for writing; all lines are about it."""
    lines = writers.open_for_writing(root)
    assert all(line.startswith(f"process {child} (python") for line in lines), lines
    return [line.partition(" has ")[2].removesuffix(" open for writing") for line in lines]


@BOTH
def test_open_file_is_named_after_its_directory_was_moved(tree: Path, does: str) -> None:
    """The kernel knows where a file is now."""
    with process(tree / "d" / "f", does) as child:
        moved = tree.rename(tree.with_name("moved"))
        assert named(child, moved) == ["d/f"]
        assert writers.open_for_writing(tree) == []


@BOTH
@needs_root
@pytest.mark.parametrize(
    ("source", "place"),
    [("tree", "f"), (".", "f"), ("tree/d", "f"), ("tree/d/f", "")],
    ids=["the-tree", "what-it-is-in", "a-part", "one-file"],
)
def test_file_that_was_opened_through_another_mount_is_named(
    tree: Path, tmp_path: Path, source: str, place: str, does: str
) -> None:
    """Also in a mount namespace of its own, where the tree has another path."""
    other, path = tmp_path / "other", {".": "tree/d/f", "tree": "d/f"}.get(source, place)
    other.touch() if source.endswith("/f") else other.mkdir()
    with process(other / path, does, mounted(f"mount --bind '{tmp_path / source}' '{other}'")) as child:
        assert named(child, tree) == ["d/f"]


@BOTH
@needs_root
def test_file_that_was_opened_below_another_root_directory_is_named(tree: Path, tmp_path: Path, does: str) -> None:
    """A server in a jail: its mounts are named from there."""
    jail = tmp_path / "jail"
    (jail / "share").mkdir(parents=True)
    then = f"import mmap, os; os.chroot('{jail}'); {does}"
    with process(Path("/share/d/f"), then, mounted(f"mount --bind '{tree}' '{jail}/share'")) as child:
        assert named(child, tree) == ["d/f"]


@needs_root
@pytest.mark.parametrize("sign", ["\r", "\v", "\x1c", "\u2028", " ", "\n"], ids=ascii)
def test_strange_names_of_mounts_and_files_hide_nobody(tree: Path, tmp_path: Path, sign: str) -> None:
    """What ends a line elsewhere may be in a name."""
    other, file = tmp_path / f"o{sign}ther", tree / "d" / f"a{sign}b"
    other.mkdir()
    file.write_bytes(b"one")
    for does in (HOLDS_OPEN, MAPS):
        with process(other / "d" / file.name, does, mounted(f"mount --bind '{tree}' '{other}'")) as child:
            (line,) = writers.open_for_writing(tree)
            assert line.startswith(f"process {child} (python")


@needs_root
def test_file_of_another_file_system_at_the_path_of_a_mount_that_it_hides_is_not_named(
    tree: Path, tmp_path: Path
) -> None:
    """Two mounts at one place: what is open in the upper one is not in the tree that the lower one shows."""
    other = tmp_path / "other"
    other.mkdir()
    made = mounted(f"mount --bind '{tree}' '{other}'", f"mount -t tmpfs none '{other}'", f"mkdir '{other}/d'")
    with process(other / "d" / "f", "f = open(sys.argv[1], 'w+b')", made):
        assert writers.open_for_writing(tree) == []


@BOTH
@needs_root
@pytest.mark.needs("driver-btrfs")
def test_file_of_a_subvolume_is_named_though_no_mount_shows_it_any_more(tmp_path: Path, does: str) -> None:
    """Its mount was taken away while it was open: only the device tells where it is."""
    with btrfs_pool(tmp_path) as mount:
        tree, other = mount / "share", tmp_path / "other"
        other.mkdir()
        run(["btrfs", "subvolume", "create", tree], timeout=30)
        (tree / "f").write_bytes(b"one")
        device = run(["findmnt", "-no", "SOURCE", "--mountpoint", mount], timeout=30).stdout.strip()
        away = f"{HOLDS_OPEN}; import subprocess; subprocess.run(['umount', '-l', '{other}'], check=True)"
        then = does.replace(HOLDS_OPEN, away)
        with process(other / "f", then, mounted(f"mount -o subvol=share '{device}' '{other}'")) as child:
            assert named(child, tree) == ["f"]
            (mount / "beside").write_bytes(b"")
            with (mount / "beside").open("r+b"):
                assert named(child, tree) == ["f"]


def test_of_files_that_cannot_be_in_the_tree_only_the_name_is_read(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database's thousands of open files cost little, and a file system that hangs is not touched."""
    looked: list[str] = []

    def note(of: Callable[..., object]) -> Callable[..., object]:
        def noting(*args: object, **options: object) -> object:
            looked.append(str(args))
            return of(*args, **options)

        return noting

    with contextlib.ExitStack() as held:
        for number in range(200):
            held.enter_context((tmp_path / f"table{number}").open("wb"))
        for name in ("_about", "_named"):
            monkeypatch.setattr(writers, name, note(getattr(writers, name)))
        assert writers.open_for_writing(tree) == []
        assert len(looked) == 1, looked  # the tree itself
        held.enter_context((tree / "d" / "f").open("r+b"))
        assert len(writers.open_for_writing(tree)) == 1
        assert len(looked) == 4, looked
