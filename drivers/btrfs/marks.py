"""The mark next to a received volume: a link to nothing whose text says what it is and how much travelled for it."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Final, NamedTuple

_MARK: Final = "received"


class Mark(NamedTuple):
    """What was received.

    Attributes:
        identity: of the snapshot, the same on all file systems that have it.
        moved: bytes that travelled.
    """

    identity: str
    moved: int


def write_mark(volume: Path, mark: Mark) -> None:
    """Say that a volume is whole; its content is on disk already."""
    path = volume.with_name(_MARK)
    path.unlink(missing_ok=True)
    path.symlink_to(f"{mark.identity} {mark.moved}")


def read_mark(volume: Path) -> Mark | None:
    """The mark of a received volume, None when there is none."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError, ValueError):
        identity, moved = os.readlink(volume.with_name(_MARK)).split(" ")  # noqa: PTH115 - it is no path
        return Mark(identity, int(moved))
    return None
