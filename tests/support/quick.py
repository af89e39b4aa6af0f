"""A directory in memory, for what is written through to the disk at every step and never outlives a power loss."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MEMORY = Path("/dev/shm")  # noqa: S108  (made with a name of its own)
ROOM = 2 << 30  # bytes


@contextmanager
def quick_directory() -> Iterator[Path]:
    """A new directory, in memory where there is room, gone at the end.

    The servers and inventories of the tests write through to the disk thousands of times. A killed process loses
    nothing in memory either, so nothing is proved less but for a loss of power, which has tests of its own.
    """
    roomy = MEMORY.is_dir() and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ROOM
    with tempfile.TemporaryDirectory(prefix="shareflow-tests-", dir=MEMORY if roomy else None) as directory:
        yield Path(directory)
