"""Random small trees: whatever the target was, the built-in copier makes it equal."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.mover import compare_trees, copy_tree, fingerprint
from tests.mover.trees import inodes

NAMES = st.one_of(
    st.sampled_from(["a", "b", "c", "d"]),
    st.binary(min_size=1, max_size=6).filter(lambda name: b"/" not in name and b"\0" not in name).map(os.fsdecode),
).filter(lambda name: name not in {".", ".."})


@dataclass(frozen=True)
class Node:
    """One thing to make: what, where among the directories made so far, and its metadata."""

    kind: str
    name: str
    where: int
    data: bytes
    hole: int
    mode: int
    mtime_ns: int
    attribute: bytes | None


NODES = st.builds(
    Node,
    kind=st.sampled_from(["file", "file", "dir", "dir", "symlink", "fifo", "link"]),
    name=NAMES,
    where=st.integers(0, 50),
    data=st.binary(max_size=50),
    hole=st.sampled_from([0, 0, 10, 200_000]),
    mode=st.integers(0, 0o7777),
    mtime_ns=st.integers(0, 2**33 * 10**9),
    attribute=st.none() | st.binary(max_size=20),
)
TREES = st.lists(NODES, max_size=15)


def build(root: Path, nodes: Sequence[Node]) -> None:
    """Make the tree; what cannot be made (a name that is taken, nothing to link to) is left out."""
    root.mkdir()
    directories, others = [root], list[Path]()
    made: list[tuple[Path, Node]] = []
    for node in nodes:
        path = directories[node.where % len(directories)] / node.name
        if os.path.lexists(path):
            continue
        if node.kind == "dir":
            path.mkdir()
            directories.append(path)
        elif node.kind == "symlink":
            path.symlink_to(os.fsdecode(node.data.replace(b"\0", b"0") or b"x"))
        elif node.kind == "fifo":
            os.mkfifo(path)
        elif node.kind == "link" and others:
            os.link(others[node.where % len(others)], path, follow_symlinks=False)
        else:
            with path.open("wb") as file:
                file.truncate(node.hole)
                file.seek(node.hole)
                file.write(node.data)
        if node.kind != "dir":
            others.append(path)
        made.append((path, node))
    for path, node in reversed(made):
        _dress(path, node)


def _dress(path: Path, node: Node) -> None:
    if not path.is_symlink():
        if node.attribute is not None and (path.is_file() or path.is_dir()):
            path.chmod(0o700)
            os.setxattr(path, "user.x", node.attribute)
        path.chmod(node.mode | (0o700 if path.is_dir() and os.geteuid() else 0))
    os.utime(path, ns=(node.mtime_ns, node.mtime_ns), follow_symlinks=False)


@settings(max_examples=120, deadline=None)
@given(before=TREES, after=TREES)
def test_any_target_becomes_any_source(before: Sequence[Node], after: Sequence[Node]) -> None:
    """Copying over another tree gives an equal tree; copying again writes nothing."""
    place = Path(tempfile.mkdtemp(prefix="mover-random-"))
    try:
        build(place / "source", after)
        build(place / "target", before)
        copy_tree(place / "source", place / "target")
        # A quick pass trusts size and time, so only these may hide other content.
        found = compare_trees(place / "source", place / "target")
        assert [line for line in found if "content differs" not in line] == []
        written = inodes(place / "target")
        copy_tree(place / "source", place / "target")
        assert inodes(place / "target") == written
        copy_tree(place / "source", place / "fresh")
        assert compare_trees(place / "source", place / "fresh") == []
        assert fingerprint(place / "source") == fingerprint(place / "fresh")
    finally:
        shutil.rmtree(place)
