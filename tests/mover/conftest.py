"""Real trees, real file systems of limited size, and movers whose children never outlive a test."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from drivers.mover import Mover
from tests.mover.trees import make_torture_tree

ROOT = os.geteuid() == 0


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A tree with everything that copies lose."""
    root = tmp_path / "source"
    root.mkdir()
    make_torture_tree(root)
    return root


@pytest.fixture
def mover(tmp_path: Path) -> Iterator[Mover]:
    """A mover with its own jobs, stopped at the end."""
    made = Mover(tmp_path / "jobs")
    yield made
    made.close()


def _unmount(place: Path) -> bool:
    return subprocess.run(["umount", str(place)], check=False, timeout=20).returncode == 0


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Mounts file systems with ``mount(8)`` arguments under a name; all are unmounted at the end."""
    if not ROOT:
        pytest.skip("mounting a file system of limited size needs root")
    mounted: list[Path] = []

    def at(name: str, *arguments: str) -> Path:
        place = tmp_path / name
        place.mkdir()
        subprocess.run(["mount", *arguments, str(place)], check=True, timeout=20)
        mounted.append(place)
        return place

    yield at
    busy = [place for place in reversed(mounted) if not _unmount(place)]
    for place in busy:  # let go of it in any case, then tell
        subprocess.run(["umount", "--lazy", str(place)], check=True, timeout=20)
    assert busy == []
