"""A client that changes a share in every way it can and keeps a journal: ``python writer.py ROOT ACKNOWLEDGED SEED``.

Each change that the file system has acknowledged (data synced, file closed) is written to ACKNOWLEDGED, a file outside
the share, after it. The process ends by itself when the share takes no more writes.
"""

from __future__ import annotations

import contextlib
import errno
import os
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path

STOPPED = {errno.EROFS, errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.ESTALE, errno.ENOTCONN}
# user::rw-, user:1000:r--, group::r--, mask::rw-, other::---
ACL = bytes.fromhex("02000000 01000600ffffffff 02000400e8030000 04000400ffffffff 10000600ffffffff 20000000ffffffff")


class Writer:
    """Random changes below one directory."""

    def __init__(self, root: Path, seed: int) -> None:
        self.root = root
        self.random = random.Random(seed)
        self.count = 0

    def _file(self) -> Path:
        return self.root / f"d{self.random.randrange(8)}" / f"f{self.random.randrange(40)}"

    def _existing(self) -> Path | None:
        found = [path for path in self._file().parent.glob("*") if path.is_file()]
        return self.random.choice(found) if found else None

    def _data(self) -> bytes:
        return self.random.randbytes(self.random.choice((10, 5000, 70_000)))

    def _write(self, path: Path, flags: int, data: bytes, offset: int = 0) -> None:
        fd = os.open(path, flags | os.O_CLOEXEC, 0o644)
        try:
            os.pwrite(fd, data, offset) if not flags & os.O_APPEND else os.write(fd, data)
            os.fsync(fd)
        finally:
            os.close(fd)

    def journal(self) -> None:
        """One numbered line more."""
        self.count += 1
        self._write(self.root / "journal", os.O_WRONLY | os.O_CREAT | os.O_APPEND, f"{self.count}\n".encode())

    def replace(self) -> None:
        """A new file, or an old one with other content."""
        self._write(self._file(), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, self._data())

    def overwrite(self) -> None:
        """Bytes in the middle."""
        if path := self._existing():
            self._write(path, os.O_WRONLY, self._data(), self.random.randrange(50_000))

    def rename(self) -> None:
        """Another name."""
        if path := self._existing():
            path.replace(self._file())

    def truncate(self) -> None:
        """Shorter or longer."""
        if path := self._existing():
            os.truncate(path, self.random.randrange(100_000))

    def link(self) -> None:
        """A second name for the same file."""
        if path := self._existing():
            with contextlib.suppress(FileExistsError):
                os.link(path, self._file())

    def attribute(self) -> None:
        """An extended attribute, and sometimes an ACL."""
        if path := self._existing():
            os.setxattr(path, f"user.{self.random.randrange(3)}", self.random.randbytes(20))
            if self.random.random() < 0.3:
                os.setxattr(path, "system.posix_acl_access", ACL)

    def mode(self) -> None:
        """Permissions and owner."""
        if path := self._existing():
            path.chmod(self.random.choice((0o600, 0o644, 0o4755, 0o640)))
            os.chown(path, self.random.randrange(3), self.random.randrange(3))

    def hole(self) -> None:
        """A sparse file."""
        path = self._file()
        self._write(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, b"end", 500_000)

    def remove(self) -> None:
        """One file less."""
        if path := self._existing():
            path.unlink()

    def folder(self) -> None:
        """A directory comes or goes."""
        path = self.root / f"e{self.random.randrange(4)}"
        if path.is_dir():
            path.rmdir()
        else:
            path.mkdir(mode=self.random.choice((0o755, 0o700)))


def main(root: Path, acknowledged: Path, seed: int) -> int:
    """Change until that is refused; the exit status is 0 then."""
    writer = Writer(root, seed)
    changes: list[Callable[[], None]] = [
        writer.journal, writer.journal, writer.replace, writer.replace, writer.overwrite, writer.rename,
        writer.truncate, writer.link, writer.attribute, writer.mode, writer.hole, writer.remove, writer.folder,
    ]  # fmt: skip
    with acknowledged.open("w") as log:
        while True:
            try:
                if not root.is_dir():
                    return 0
                writer.random.choice(changes)()
            except OSError as error:
                if error.errno in STOPPED and not _writable(root):
                    return 0
                if error.errno not in {*STOPPED, errno.EEXIST, errno.ENOTEMPTY, errno.ENODATA}:
                    raise
                continue
            log.write(f"{time.time()} {writer.count}\n")
            log.flush()
            time.sleep(0.001)


def _writable(root: Path) -> bool:
    try:
        (root / ".probe").touch()
        (root / ".probe").unlink()
    except OSError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])))
