"""The files of the demo: written, changed, compared, looked for."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import os
import threading
from collections.abc import Iterator
from pathlib import Path

LETTERS = 4000
PHOTOS = 4
PHOTO_SIZE = 48 * 2**20
LETTER_SIZE = 4096
FILES = LETTERS + PHOTOS
SIZE_OF_FILES = LETTERS * LETTER_SIZE + PHOTOS * PHOTO_SIZE
MARK = "shareflow-demo-"
"""Begins the name of every file, so that what is left of them can be found."""


_DIARY = f"{MARK}diary.txt"


def fill(root: Path) -> None:
    """Write many small files and a few big ones, with content that does not compress."""
    for number in range(LETTERS):
        directory = root / f"letters-{number // 500}"
        if number % 500 == 0:
            directory.mkdir()
        (directory / f"{MARK}letter-{number:04}.txt").write_bytes(os.urandom(LETTER_SIZE))
    for number in range(PHOTOS):
        (root / f"{MARK}photo-{number}.raw").write_bytes(os.urandom(PHOTO_SIZE))


def change(root: Path) -> None:
    """Overwrite a file, delete a directory of files, add one."""
    (root / f"{MARK}photo-0.raw").write_bytes(b"overwritten by mistake")
    for letter in (root / "letters-3").iterdir():
        letter.unlink()
    (root / "letters-3").rmdir()
    (root / f"{MARK}virus.txt").write_text("send money", encoding="utf-8")


def jot(root: Path, words: str) -> None:
    """Write a small file of its own."""
    (root / f"{MARK}{words.replace(' ', '-')}.txt").write_text(f"{words}\n", encoding="utf-8")


def digest(root: Path) -> str:
    """One checksum over names, modes and content of everything below a directory."""
    total = hashlib.sha256()
    for path in sorted(root.rglob("*")):
        total.update(f"{path.relative_to(root)}\0{path.lstat().st_mode:o}\0".encode())
        if path.is_file():
            with path.open("rb") as content:
                total.update(hashlib.file_digest(content, "sha256").digest())
    return total.hexdigest()


class Diary:
    """A program that appends lines to a file of the share, as fast as it can be sure of each.

    Attributes:
        lines: so many are on disk.
    """

    def __init__(self, root: Path) -> None:
        self.lines = 0
        self._path = root / _DIARY
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._write, daemon=True)

    async def __aenter__(self) -> None:
        """Begin to write."""
        self._thread.start()

    async def __aexit__(self, *_: object) -> None:
        """Write no more; the file is closed."""
        self._stop.set()
        await asyncio.to_thread(self._thread.join)

    @staticmethod
    def remove(root: Path) -> None:
        """The share as it was before."""
        (root / _DIARY).unlink()

    def _write(self) -> None:
        with self._path.open("a", encoding="utf-8") as diary:
            while not self._stop.wait(0.01):
                diary.write(f"line {self.lines}\n")
                diary.flush()
                os.fsync(diary.fileno())
                self.lines += 1


def leftovers(root: Path) -> list[str]:
    """Files of the demo anywhere below a directory, at most ten."""
    return list(itertools.islice(_ours(root), 10))


def count(root: Path) -> int:
    """How many files of the demo are below a directory, while others may write there."""
    return sum(1 for _ in _ours(root))


def _ours(root: Path) -> Iterator[str]:
    for directory, _, names in os.walk(root):
        yield from (f"{directory}/{name}" for name in names if name.startswith((MARK, f".{MARK}")))
