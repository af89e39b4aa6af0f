"""Who could still change a directory tree: what a client could do, and which processes have its files open to write."""

from __future__ import annotations

import contextlib
import errno
import os
import re
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
_ELSEWHERE: Final = ("/dev/", "/proc/", "/sys/")
_SHARED: Final = re.compile(r"(?P<span>\S+) .w.s \S+ (?P<device>\S+) \d+ +(?P<path>/.*)")
"""A line of maps (proc_pid_maps(5)): shared, and may be written."""


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
    namespace. Without root only the processes of this user can be seen. A host's databases have thousands of files
    open: of one that cannot be below ``root`` only the name is read, and no file system but the tree's own is touched,
    so that one that hangs elsewhere does not hold this up.
    """
    try:
        tree = _Tree.of(root)
    except FileNotFoundError:
        return []
    found: list[str] = []
    views: dict[tuple[str, str], _View] = {}
    for process in sorted(int(entry) for entry in os.listdir("/proc") if entry.isdigit()):  # noqa: PTH208 - names only
        view = _view(process, tree, views)
        paths = {*_opened(process, tree, view), *_mapped(process, tree, view)}
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


class _Mount(NamedTuple):
    """One line of mountinfo (proc_pid_mountinfo(5))."""

    number: str
    device: str
    """Of the file system, as major:minor. A subvolume's files have another one each."""
    root: str
    """Which directory of the file system is mounted."""
    point: str


def _mounts(process: int) -> list[_Mount]:
    """What is mounted for a process. Raises OSError when it has ended or is not ours to see."""
    mounts = []
    for line in _lines(f"/proc/{process}/mountinfo"):
        number, _, device, root, point, *_ = line.split(" ")
        mounts.append(_Mount(number, device, _unescaped(root).rstrip("/"), _unescaped(point).rstrip("/")))
    return mounts


def _lines(path: str) -> list[str]:
    """Lines of a file of /proc. Names in it may have any sign but a line feed: others end no line."""
    return Path(path).read_bytes().decode("utf-8", "surrogateescape").rstrip("\n").split("\n")


def _unescaped(text: str) -> str:
    for code, sign in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(code, sign)
    return text


class _Tree(NamedTuple):
    """A directory and how its files are recognised."""

    path: str
    number: int
    """Of the device that its files are on."""
    whole: bool
    """Whether that device is this tree alone: a subvolume."""
    device: str
    """Of its file system, as mountinfo has it; empty when that cannot be told."""
    inside: str
    """Path of the directory in its file system, whatever it is mounted on."""

    @classmethod
    def of(cls, root: Path) -> _Tree:
        real = os.path.realpath(root, strict=True)
        fd = os.open(real, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            info, about = os.fstat(fd), _about(os.getpid(), str(fd))
        finally:
            os.close(fd)
        whole = info.st_ino == _SUBVOLUME_INODE
        for mount in _mounts(os.getpid()):
            if mount.number == about.get("mnt_id") and _is_below(real, mount.point):
                return cls(real, info.st_dev, whole, mount.device, f"{mount.root}{real[len(mount.point) :]}")
        return cls(real, info.st_dev, whole, "", "")


def _is_below(path: str, base: str) -> bool:
    return path == base or path.startswith(f"{base}/")


class _View(NamedTuple):
    """How the files of a tree are called in one mount namespace, seen from one root directory."""

    places: tuple[tuple[str, str], ...]
    """Paths below which they are found, and what precedes the rest of the path in the tree."""
    devices: dict[str, str]
    """Device of each mount."""

    def may_hold(self, mount: str, tree: _Tree) -> bool:
        """Whether a mount shows the tree's file system, or cannot be told."""
        return not tree.device or self.devices.get(mount, tree.device) == tree.device

    def relative(self, path: str) -> str | None:
        """The name of a file in the tree, None when it is not there."""
        for place, lead in self.places:
            if path.startswith(f"{place}/"):
                return f"{lead}{path[len(place) + 1 :]}"
            if path == place and lead:
                return lead.rstrip("/")  # a file that is mounted by itself
        return None


def _view(process: int, tree: _Tree, known: dict[tuple[str, str], _View]) -> _View:
    folder = f"/proc/{process}"
    try:
        key = (os.readlink(f"{folder}/ns/mnt"), os.readlink(f"{folder}/root"))  # noqa: PTH115 - hot loop
        if key not in known:
            known[key] = _view_of(_mounts(process), key[1].rstrip("/"), tree)
        return known[key]
    except OSError:
        return _view_of([], "", tree)  # it ended, or is not ours to see


def _view_of(mounts: list[_Mount], top: str, tree: _Tree) -> _View:
    """What the mounts of a process show of a tree: they are named from its root directory ``top``, files from ours."""
    places = [(tree.path, "")]
    for mount in mounts:
        if mount.device != tree.device:
            continue
        if _is_below(tree.inside, mount.root):
            places.append((f"{top}{mount.point}{tree.inside[len(mount.root) :]}", ""))
        elif _is_below(mount.root, tree.inside):
            places.append((f"{top}{mount.point}", f"{mount.root[len(tree.inside) + 1 :]}/"))
    return _View(tuple(dict.fromkeys(places)), {mount.number: mount.device for mount in mounts})


def _opened(process: int, tree: _Tree, view: _View) -> Iterator[str]:
    """Names of files of the tree that a process has open for writing."""
    folder = f"/proc/{process}/fd"
    with contextlib.suppress(OSError):  # it ended, or is not ours to see
        for number in os.listdir(folder):  # noqa: PTH208 - hot loop
            with contextlib.suppress(OSError):
                path = os.readlink(f"{folder}/{number}")  # noqa: PTH115 - hot loop
                if not path.startswith("/"):
                    continue  # a pipe, a socket
                name = view.relative(path)
                if name is None and (not tree.whole or path.startswith(_ELSEWHERE)):
                    continue
                about = _about(process, number)
                if int(about.get("flags", "0"), 8) & os.O_ACCMODE not in {os.O_WRONLY, os.O_RDWR}:
                    continue
                if _is_below(path, tree.path) or view.may_hold(about.get("mnt_id", ""), tree):
                    yield from _named(f"{folder}/{number}", path, name, tree)


def _mapped(process: int, tree: _Tree, view: _View) -> Iterator[str]:
    """Names of files of the tree that a process has mapped so that what it writes there is written to the file."""
    folder = f"/proc/{process}"
    with contextlib.suppress(OSError):
        for found in filter(None, map(_SHARED.fullmatch, _lines(f"{folder}/maps"))):
            path = found["path"].replace("\\012", "\n")
            name = view.relative(path)
            device = ":".join(str(int(part, 16)) for part in found["device"].split(":"))
            if name is not None or (tree.whole and tree.device in {"", device} and not path.startswith(_ELSEWHERE)):
                with contextlib.suppress(OSError):
                    span = "-".join(f"{int(part, 16):x}" for part in found["span"].split("-"))
                    yield from _named(f"{folder}/map_files/{span}", path, name, tree)


def _named(link: str, path: str, name: str | None, tree: _Tree) -> Iterator[str]:
    """The name of what is behind a link, when it is a file that is still there and in the tree."""
    info = os.stat(link)  # noqa: PTH116 - hot loop
    if not stat.S_ISREG(info.st_mode) or info.st_nlink == 0:
        return
    if name is not None:
        yield name
    elif info.st_dev == tree.number:
        yield os.path.basename(path)  # noqa: PTH119 - text


def _about(process: int, number: str) -> dict[str, str]:
    """What the kernel tells of an open file: ``flags``, ``mnt_id`` and others."""
    fd = os.open(f"/proc/{process}/fdinfo/{number}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        lines = os.read(fd, 4096).decode(errors="replace").splitlines()
    finally:
        os.close(fd)
    return {key: value.strip() for key, colon, value in (line.partition(":") for line in lines) if colon}
