"""The btrfs calls of the kernel that the driver needs, on open directories. All raise OSError."""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final

SUBVOLUME_INODE: Final = 256
NO_LIMIT: Final = 2**64 - 1

_WRITE, _READ, _BOTH = 1, 2, 3


def _code(direction: int, number: int, size: int) -> int:
    return (direction << 30) | (size << 16) | (0x94 << 8) | number


_SYNC: Final = _code(0, 8, 0)
_SNAP_DESTROY: Final = _code(_WRITE, 15, 4096)
_TREE_SEARCH: Final = _code(_BOTH, 17, 4096)
_INO_LOOKUP: Final = _code(_BOTH, 18, 4096)
_WAIT_SYNC: Final = _code(_WRITE, 22, 8)
_SNAP_CREATE: Final = _code(_WRITE, 23, 4096)
_START_SYNC: Final = _code(_READ, 24, 8)
_SUBVOL_CREATE: Final = _code(_WRITE, 24, 4096)
_GET_FLAGS: Final = _code(_READ, 25, 8)
_SET_FLAGS: Final = _code(_WRITE, 26, 8)
_FS_INFO: Final = _code(_READ, 31, 1024)
_QUOTA_CTL: Final = _code(_BOTH, 40, 16)
_QGROUP_CREATE: Final = _code(_WRITE, 42, 16)
_QGROUP_LIMIT: Final = _code(_READ, 43, 48)
_QUOTA_RESCAN: Final = _code(_WRITE, 44, 64)
_SUBVOL_INFO: Final = _code(_READ, 60, 504)
_SUBVOL_ROOTREF: Final = _code(_BOTH, 61, 4096)
_INO_LOOKUP_USER: Final = _code(_BOTH, 62, 4096)

_READ_ONLY: Final = 2
_LIMIT_REFERENCED: Final = 1
_QUOTA_ON: Final = 1
_QUOTA_TREE: Final = 8
_QGROUP_STATUS, _QGROUP_INFO, _QGROUP_LIMITS = 240, 242, 244
_KEY: Final = "=7Q4L32x"  # tree, objectid x2, offset x2, transid x2, type x2, items, unused
_HEADER: Final = "=QQQLL"  # transid, objectid, offset, type, length
_MOST_ROOTREFS: Final = 255
_EXTENT_DATA: Final = 108
_INLINE, _REGULAR = 0, 1


def _name_args(fd: int, flags: int, name: str) -> bytearray:
    raw = os.fsencode(name)
    return bytearray(struct.pack("=qQQ32x", fd, 0, flags) + raw.ljust(4040, b"\0"))


def filesystem_id(fd: int) -> bytes:
    """The 16 bytes that name the file system. ENOTTY on any other kind of file system."""
    buffer = bytearray(1024)
    fcntl.ioctl(fd, _FS_INFO, buffer)
    return bytes(buffer[16:32])


def is_subvolume(path: Path) -> bool:
    """Whether the path itself is the root of a subvolume. False when nothing is there."""
    try:
        return os.lstat(path).st_ino == SUBVOLUME_INODE
    except FileNotFoundError:
        return False


# -- subvolumes


def create(parent: int, name: str) -> None:
    """Make an empty subvolume."""
    fcntl.ioctl(parent, _SUBVOL_CREATE, _name_args(0, 0, name))


def snapshot(parent: int, name: str, source: int, *, read_only: bool) -> None:
    """Make a snapshot of a subvolume; what clients wrote before is in it."""
    fcntl.ioctl(parent, _SNAP_CREATE, _name_args(source, _READ_ONLY if read_only else 0, name))


def destroy(parent: int, name: str) -> None:
    """Remove a subvolume; its space is freed later. ENOTEMPTY when other subvolumes are in it."""
    fcntl.ioctl(parent, _SNAP_DESTROY, bytearray(struct.pack("=q", 0) + os.fsencode(name).ljust(4088, b"\0")))


def subvolume_id(fd: int) -> int:
    """The id of the subvolume that an open directory is in; also the id of its quota group."""
    buffer = bytearray(4096)
    struct.pack_into("=QQ", buffer, 0, 0, SUBVOLUME_INODE)
    fcntl.ioctl(fd, _INO_LOOKUP, buffer)
    return int(struct.unpack_from("=Q", buffer)[0])


def is_read_only(fd: int) -> bool:
    """The read-only property of a subvolume."""
    buffer = bytearray(8)
    fcntl.ioctl(fd, _GET_FLAGS, buffer)
    return bool(struct.unpack("=Q", buffer)[0] & _READ_ONLY)


def set_read_only(fd: int, *, read_only: bool) -> None:
    """Set the read-only property. Files that are open for writing stay writable."""
    fcntl.ioctl(fd, _SET_FLAGS, bytearray(struct.pack("=Q", _READ_ONLY if read_only else 0)))


def identities(fd: int) -> tuple[bytes, bytes]:
    """The 16 bytes that name a subvolume, and those of the one it was received from (zeros for none)."""
    info = _info(fd)
    return bytes(info[296:312]), bytes(info[328:344])


def _info(fd: int) -> bytearray:
    """What the kernel tells of a subvolume: ``struct btrfs_ioctl_get_subvol_info_args``."""
    info = bytearray(504)
    fcntl.ioctl(fd, _SUBVOL_INFO, info)
    return info


def is_unchanged(volume: int, snapshot: int) -> bool:
    """Whether a subvolume has the content still that one of its snapshots has, as of the last commit.

    A snapshot is made by the commit of a transaction. All that was written before is of this transaction or an older
    one, all that is written later is of a newer one.
    """
    ours, frozen = _info(volume), _info(snapshot)
    (changed,), (made,) = struct.unpack_from("=Q", ours, 344), struct.unpack_from("=Q", frozen, 352)
    return ours[296:312] == frozen[312:328] and bool(changed <= made)


def identity(fd: int) -> bytes:
    """The 16 bytes by which a snapshot is known wherever it was sent: those of the first one, which nobody sent."""
    own, received = identities(fd)
    return received if any(received) else own


def nested(fd: int) -> Iterator[tuple[str, str]]:
    """Subvolumes inside a subvolume: path of the directory relative to its root, and name. One level only."""
    least = 0
    while True:
        buffer = bytearray(4096)
        struct.pack_into("=Q", buffer, 0, least)
        try:
            fcntl.ioctl(fd, _SUBVOL_ROOTREF, buffer)
            more = False
        except OverflowError:
            more = True
        except OSError as error:
            if error.errno != errno.EOVERFLOW:  # there are more than fit
                raise
            more = True
        count = _MOST_ROOTREFS if more else buffer[8 + 16 * _MOST_ROOTREFS]
        for index in range(count):
            tree, folder = struct.unpack_from("=QQ", buffer, 8 + 16 * index)
            least = max(least, tree + 1)
            yield _look_up(fd, tree, folder)
        if not more:
            return


def _look_up(fd: int, tree: int, folder: int) -> tuple[str, str]:
    buffer = bytearray(4096)
    struct.pack_into("=QQ", buffer, 0, folder, tree)
    fcntl.ioctl(fd, _INO_LOOKUP_USER, buffer)
    name, path = bytes(buffer[16:272]), bytes(buffer[272:])
    return os.fsdecode(path.split(b"\0", 1)[0]), os.fsdecode(name.split(b"\0", 1)[0])


# -- what was written since


def changed_bytes(volume: int, snapshot: int, most: int) -> int | None:
    """Bytes of file content that were written to a subvolume since a snapshot of it, as of the last commit.

    None when neither of the two was made of the other, or when more than ``most`` items had to be looked at.
    """
    ours, frozen = _info(volume), _info(snapshot)
    if frozen[312:328] == ours[296:312]:
        made = frozen
    elif ours[312:328] == frozen[296:312]:  # it was reverted to it
        made = ours
    else:
        return None
    # What a transaction has written before it made the snapshot is in there; all that comes later is of a newer one.
    since = int(struct.unpack_from("=Q", made, 352)[0]) + 1
    total = 0
    for looked, (kind, data) in enumerate(_items_since(volume, since)):
        if looked >= most:
            return None
        total += _written(data, since) if kind == _EXTENT_DATA else 0
    return total


def _items_since(volume: int, since: int) -> Iterator[tuple[int, memoryview]]:
    """Kind and content of all items in the leaves of a subvolume's tree that were written by these transactions."""
    most, key = 2**64 - 1, (0, 0, 0)
    start = struct.calcsize(_KEY)
    while True:
        buffer = bytearray(4096)
        inode, kind, offset = key
        struct.pack_into(_KEY, buffer, 0, 0, inode, most, offset, most, since, most, kind, 255, 4096, 0)
        fcntl.ioctl(volume, _TREE_SEARCH, buffer)
        count = struct.unpack_from("=L", buffer, 64)[0]
        if count == 0:
            return
        at = start
        for _ in range(count):
            _, inode, offset, kind, length = struct.unpack_from(_HEADER, buffer, at)
            at += struct.calcsize(_HEADER)
            yield kind, memoryview(buffer)[at : at + length]
            at += length
        key = _next_key(inode, kind, offset)


def _next_key(inode: int, kind: int, offset: int) -> tuple[int, int, int]:
    if offset < 2**64 - 1:
        return inode, kind, offset + 1
    return (inode, kind + 1, 0) if kind < 255 else (inode + 1, 0, 0)


def _written(data: memoryview, since: int) -> int:
    """The bytes of a file extent that is not older; none for a hole, or for room that nothing was written to."""
    generation, size = struct.unpack_from("=QQ", data)
    if generation < since:
        return 0
    if data[20] == _INLINE:
        return int(size)
    on_disk, _, _, length = struct.unpack_from("=4Q", data, 21)
    return int(length) if on_disk and data[20] == _REGULAR else 0


# -- syncing


def commit(fd: int) -> None:
    """Make all names and properties of the file system durable; does not wait for the data of clients."""
    buffer = bytearray(8)
    fcntl.ioctl(fd, _START_SYNC, buffer)
    fcntl.ioctl(fd, _WAIT_SYNC, buffer)


def sync(fd: int) -> None:
    """Write everything to disk, the data of clients included; afterwards usage figures are exact."""
    fcntl.ioctl(fd, _SYNC)


# -- quotas


class QuotaState:
    """The state of the quota accounting of a file system."""

    def __init__(self, flags: int | None) -> None:
        self.on = flags is not None and bool(flags & 1)
        self.rescanning = bool((flags or 0) & 2)
        self.inconsistent = bool((flags or 0) & 4)
        self.simple = bool((flags or 0) & 8)


def quota_state(fd: int) -> QuotaState:
    """The state of quotas; off when they were never enabled."""
    data = _search(fd, _QGROUP_STATUS, 0)
    return QuotaState(None if data is None else struct.unpack_from("=Q", data, 16)[0])


def enable_quota(fd: int) -> None:
    """Turn full quota groups on and start counting. Quotas that are on already stay as they are."""
    fcntl.ioctl(fd, _QUOTA_CTL, bytearray(struct.pack("=QQ", _QUOTA_ON, 0)))


def start_rescan(fd: int) -> None:
    """Count all quota groups anew, in the background. EINPROGRESS when that is under way."""
    fcntl.ioctl(fd, _QUOTA_RESCAN, bytearray(64))


def limit(fd: int, group: int, size: int) -> None:
    """Set how many bytes a subvolume can refer to. ``fd`` is the pool's root: a full subvolume refuses the call."""
    fcntl.ioctl(fd, _QGROUP_LIMIT, bytearray(struct.pack("=QQQQQQ", group, _LIMIT_REFERENCED, size, 0, 0, 0)))


def create_group(fd: int, group: int) -> None:
    """Make the quota group of a subvolume that has none. EEXIST when it has one."""
    fcntl.ioctl(fd, _QGROUP_CREATE, bytearray(struct.pack("=QQ", 1, group)))


def referenced(fd: int, group: int) -> int | None:
    """Bytes that a subvolume refers to, as of the last commit; None when it has no quota group."""
    data = _search(fd, _QGROUP_INFO, group)
    return None if data is None else int(struct.unpack_from("=Q", data, 8)[0])


def limit_of(fd: int, group: int) -> int | None:
    """The limit in bytes, None when there is none."""
    data = _search(fd, _QGROUP_LIMITS, group)
    if data is None:
        return None
    flags, most = struct.unpack_from("=QQ", data)
    return int(most) if flags & _LIMIT_REFERENCED else None


def _search(fd: int, kind: int, offset: int) -> bytes | None:
    """One item of the quota tree, or None when it, or the whole tree, is not there."""
    buffer = bytearray(4096)
    most = 2**64 - 1
    struct.pack_into(_KEY, buffer, 0, _QUOTA_TREE, 0, 0, offset, offset, 0, most, kind, kind, 1, 0)
    try:
        fcntl.ioctl(fd, _TREE_SEARCH, buffer)
    except FileNotFoundError:  # quotas were never enabled
        return None
    if struct.unpack_from("=L", buffer, 64)[0] == 0:
        return None
    start = struct.calcsize(_KEY) + struct.calcsize(_HEADER)
    length = struct.unpack_from(_HEADER, buffer, struct.calcsize(_KEY))[4]
    return bytes(buffer[start : start + length])
