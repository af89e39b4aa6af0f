"""A client that changes a tree until its input is closed: ``python -m tests.mover.writer <root> <seed>``."""

from __future__ import annotations

import mmap
import os
import random
import shutil
import sys
from contextlib import suppress
from pathlib import Path

from drivers.mover.content import punch_hole
from tests.mover.trees import user_acl

_AT_ONCE = 20
_MAPS = 20


class Writer:
    """What a client can do to a tree, each time to something chosen at random."""

    def __init__(self, root: Path, seed: int) -> None:
        self._root = root
        self._chance = random.Random(seed)
        self._maps: list[mmap.mmap] = []

    def step(self) -> None:
        """Do one thing; what cannot be done just now is not."""
        with suppress(OSError, ValueError):
            self._chance.choice(_ACTIONS)(self)

    def store_in_all_maps(self) -> None:
        """One last store through each map that is still open."""
        for number, one in enumerate(self._maps):
            one[number] = (one[number] + 1) % 256

    def _below(self, count: int) -> int:
        return self._chance.randrange(count)

    def _directory(self) -> Path:
        found = [self._root, *(Path(at) / name for at, below, _ in os.walk(self._root) for name in below)]
        return self._chance.choice(found)

    def _file(self) -> Path:
        found = [Path(at) / name for at, _, names in os.walk(self._root) for name in names]
        regular = [path for path in found if path.is_file() and not path.is_symlink()]
        return self._chance.choice(regular or [self._root / "none"])

    def append(self) -> None:
        with self._file().open("ab") as out:
            out.write(os.urandom(self._below(5000)))

    def overwrite(self) -> None:
        with self._file().open("r+b") as out:
            out.seek(self._below(20000))
            out.write(os.urandom(self._below(5000)))

    def overwrite_and_set_time_back(self) -> None:
        path = self._file()
        before = path.stat()
        with path.open("r+b") as out:
            out.write(os.urandom(min(before.st_size, 3000)))
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    def store_through_a_map(self) -> None:
        path = self._file()
        if path.stat().st_size > 4096 and len(self._maps) < _MAPS:
            with path.open("r+b") as out:
                self._maps.append(mmap.mmap(out.fileno(), 4096))
        if self._maps:
            self._chance.choice(self._maps)[self._below(4096)] = self._below(256)

    def create(self) -> None:
        (self._directory() / f"new{self._below(300)}").write_bytes(os.urandom(self._below(40000)))

    def create_large(self) -> None:
        (self._directory() / "large").write_bytes(os.urandom(3 << 20))

    def rename(self) -> None:
        self._file().rename(self._directory() / f"moved{self._below(300)}")

    def truncate(self) -> None:
        path = self._file()
        if path.stat().st_size > 4096 or not self._maps:  # a store behind the end of a map would kill the writer
            os.truncate(path, 4096 + self._below(20000))

    def link(self) -> None:
        os.link(self._file(), self._directory() / f"link{self._below(300)}")

    def make_symbolic_link(self) -> None:
        (self._directory() / f"sym{self._below(50)}").symlink_to("no/where")

    def delete(self) -> None:
        self._file().unlink()

    def make_directory(self) -> None:
        (self._directory() / f"dir{self._below(20)}").mkdir()

    def rename_directory(self) -> None:
        self._directory().rename(self._directory() / f"dir{self._below(20)}")

    def remove_directory(self) -> None:
        path = self._directory()
        if path != self._root and self._chance.random() < 0.3:
            shutil.rmtree(path)

    def set_attribute(self) -> None:
        os.setxattr(self._file(), "user.a", os.urandom(10))

    def set_attribute_of_directory(self) -> None:
        os.setxattr(self._directory(), "user.d", os.urandom(10))

    def set_acl(self) -> None:
        os.setxattr(self._file(), "system.posix_acl_access", user_acl(self._below(9999)))

    def set_mode(self) -> None:
        self._file().chmod(self._chance.choice([0o600, 0o644, 0o4755]))

    def punch(self) -> None:
        with self._file().open("r+b") as out:
            punch_hole(out.fileno(), 4096, 8192)

    def replace_by_directory(self) -> None:
        path = self._file()
        path.unlink()
        path.mkdir()

    def make_fifo(self) -> None:
        os.mkfifo(self._directory() / f"fifo{self._below(20)}")


_ACTIONS = (
    Writer.append,
    Writer.overwrite,
    Writer.overwrite_and_set_time_back,
    Writer.store_through_a_map,
    *(Writer.create,) * 4,
    Writer.create_large,
    Writer.rename,
    Writer.truncate,
    Writer.link,
    Writer.make_symbolic_link,
    Writer.delete,
    Writer.make_directory,
    Writer.rename_directory,
    Writer.remove_directory,
    Writer.set_attribute,
    Writer.set_attribute_of_directory,
    Writer.set_acl,
    Writer.set_mode,
    Writer.punch,
    Writer.replace_by_directory,
    Writer.make_fifo,
)


def main(root: str, seed: str) -> None:
    """Say that it begins, then write until the input is closed."""
    writer = Writer(Path(root), int(seed))
    os.write(1, b"writing\n")
    os.set_blocking(0, False)
    while True:
        for _ in range(_AT_ONCE):
            writer.step()
        with suppress(BlockingIOError):
            if os.read(0, 1) == b"":
                break
    writer.store_in_all_maps()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
