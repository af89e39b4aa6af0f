"""Who could still change a directory tree: what a client could do, and which processes have its files open to write."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from drivers.errors import printable

MOST: Final = 20
"""Processes that are named; a last line counts the others."""

_CLOSED: Final = frozenset({errno.EROFS, errno.ENOENT, errno.ENOTDIR})
_SUBVOLUME_INODE: Final = 256
_LINE: Final = 200


def try_to_write(folder: Path) -> list[str]:
    """Whether a client could write below a directory now: one line when it could or that cannot be told, else none.

    An attribute that does not exist is removed, which passes all that a write passes and leaves no trace. File systems
    without attributes get a file instead, which is removed at once; the directory's times are set back.
    """
    name = f".sf-{uuid.uuid4()}"
    try:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError as error:
        return [] if error.errno in _CLOSED else [f"whether clients can write cannot be tried: {error.strerror}"]
    try:
        with contextlib.suppress(OSError):
            return _answer(_remove_attribute(fd, name))
        return _answer(_make_file(fd, name))
    finally:
        os.close(fd)


def _answer(number: int) -> list[str]:
    if number in _CLOSED:
        return []
    if number:
        return [f"whether clients can write cannot be tried: {os.strerror(number)}"]
    return ["clients can write: a write was tried and not refused"]


def _remove_attribute(fd: int, name: str) -> int:
    """0 when a write would have been done, else why not. Raises OSError where there are no attributes."""
    try:
        os.removexattr(fd, f"user.{name}")
    except OSError as error:
        if error.errno == errno.EOPNOTSUPP:
            raise
        return 0 if error.errno == errno.ENODATA else error.errno or errno.EIO
    return 0


def _make_file(fd: int, name: str) -> int:
    """0 when a file was made, else why not. A full share counts as writable: files that are there can be changed."""
    before = os.fstat(fd)
    try:
        os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=fd))
    except OSError as error:
        return 0 if error.errno in {errno.ENOSPC, errno.EDQUOT} else error.errno or errno.EIO
    os.unlink(name, dir_fd=fd)
    os.utime(fd, ns=(before.st_atime_ns, before.st_mtime_ns))
    return 0


def open_for_writing(root: Path) -> list[str]:
    """Processes of this host with regular files below ``root`` open or mapped for writing, one line each.

    Whichever path was used to open them: through another mount, before the directory was moved, or in another mount
    namespace. Without root only the processes of this user can be seen.
    """
    try:
        tree = _Tree.of(root)
    except FileNotFoundError:
        return []
    found: list[str] = []
    for process in sorted(int(entry) for entry in os.listdir("/proc") if entry.isdigit()):  # noqa: PTH208 - names only
        paths = {where for where in _written(process, tree) if where is not None}
        found += [_line(process, path) for path in sorted(paths)]
    more = len(found) - MOST
    return found if more <= 0 else [*found[:MOST], f"and {more} more open files"]


def _line(process: int, path: str) -> str:
    try:
        program = Path(f"/proc/{process}/comm").read_text(errors="backslashreplace").strip()
    except OSError:
        program = "gone"
    shown = path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return printable(f"process {process} ({program}) has {shown} open for writing", _LINE)


class _Tree(NamedTuple):
    """A directory and how its files are recognised."""

    device: int
    whole: bool
    """Whether the device is this tree alone: a subvolume."""
    path: str
    inside: str
    """Path of the directory in its file system, whatever it is mounted on."""

    @classmethod
    def of(cls, root: Path) -> _Tree:
        real = os.path.realpath(root, strict=True)
        info = Path(real).stat()
        fd = os.open(real, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            inside = _inside(os.getpid(), f"/proc/self/fdinfo/{fd}", real)
        finally:
            os.close(fd)
        return cls(info.st_dev, info.st_ino == _SUBVOLUME_INODE, real, inside)

    def relative(self, path: str, inside: str) -> str | None:
        """The name of a file below the root, None when it is not there."""
        for base, full in ((self.path, path), (self.inside, inside)):
            if base and full.startswith(f"{base.rstrip('/')}/"):
                return full[len(base.rstrip("/")) + 1 :]
        return None


def _written(process: int, tree: _Tree) -> Iterator[str | None]:
    """Relative paths of files of the tree that a process can write."""
    folder = f"/proc/{process}"
    with contextlib.suppress(OSError):  # it ended, or is not ours to see
        for name in os.listdir(f"{folder}/fd"):  # noqa: PTH208 - hot loop
            with contextlib.suppress(OSError):
                if _opened_to_write(f"{folder}/fdinfo/{name}"):
                    yield _place(process, f"{folder}/fd/{name}", f"{folder}/fdinfo/{name}", tree)
    with contextlib.suppress(OSError):
        for line in Path(folder, "maps").read_text(errors="surrogateescape").splitlines():
            span, rights, *_ = line.split(" ", 2)
            if rights[1] == "w" and rights[3] == "s":
                with contextlib.suppress(OSError):
                    yield _place(process, f"{folder}/map_files/{_plain(span)}", "", tree)


def _plain(span: str) -> str:
    first, _, last = span.partition("-")
    return f"{int(first, 16):x}-{int(last, 16):x}"


def _opened_to_write(fdinfo: str) -> bool:
    fields = _fields(fdinfo)
    return int(fields.get("flags", "0"), 8) & os.O_ACCMODE in {os.O_WRONLY, os.O_RDWR}


def _fields(fdinfo: str) -> dict[str, str]:
    lines = Path(fdinfo).read_text(errors="replace").splitlines()
    return {key: value.strip() for key, colon, value in (line.partition(":") for line in lines) if colon}


def _place(process: int, link: str, fdinfo: str, tree: _Tree) -> str | None:
    path = os.readlink(link)  # noqa: PTH115 - text is compared
    if not path.startswith("/"):
        return None  # a pipe, a socket
    relative = tree.relative(path, "")
    if relative is None and path.startswith(("/dev/", "/proc/", "/sys/")):
        return None
    info = Path(link).stat()
    if not stat.S_ISREG(info.st_mode) or info.st_nlink == 0:
        return None
    if relative is None and fdinfo and (info.st_dev == tree.device or not tree.whole):
        relative = tree.relative(path, _inside(process, fdinfo, path))
    if relative is None and tree.whole and info.st_dev == tree.device:
        return os.path.basename(path)  # noqa: PTH119 - text
    return relative


def _inside(process: int, fdinfo: str, path: str) -> str:
    """The path of an open file in its file system, led by the number of the device; empty when that cannot be told."""
    mount = _fields(fdinfo).get("mnt_id", "")
    for line in Path(f"/proc/{process}/mountinfo").read_text(errors="surrogateescape").splitlines():
        number, _, device, root, point, *_ = line.split(" ")
        if number == mount:
            point, root = _unescaped(point).rstrip("/"), _unescaped(root).rstrip("/")
            return f"{device}{root}{path[len(point) :]}" if f"{path}/".startswith(f"{point}/") else ""
    return ""


def _unescaped(text: str) -> str:
    for code, sign in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(code, sign)
    return text
