"""Owners, modes, times and extended attributes: read, compared and set, as far as this process may."""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass

from drivers.mover.fsops import Ref, set_mode

_ACLS = ("system.posix_acl_access", "system.posix_acl_default")
_PORTABLE = ("user.", "trusted.", "security.")
# Labels that the kernel gives to every file by its own policy; without root they are neither copied nor missed.
_KERNEL_LABELS = ("security.selinux", "security.ima", "security.evm")


@dataclass(frozen=True, slots=True)
class Wanted:
    """The metadata that a copy shall have. Times in nanoseconds; ``mode`` without the type bits."""

    uid: int
    gid: int
    mode: int
    atime_ns: int
    mtime_ns: int
    xattrs: dict[str, bytes]


class Privilege:
    """What this process may set on a copy: everything as root, else what belongs to its own user and groups."""

    def __init__(self) -> None:
        self.root = os.geteuid() == 0
        self._uid = os.geteuid()
        self._gids = frozenset((os.getegid(), *os.getgroups()))

    def keeps_uid(self, uid: int) -> bool:
        """Whether a copy can have this owner."""
        return self.root or uid == self._uid

    def keeps_gid(self, gid: int) -> bool:
        """Whether a copy can have this group."""
        return self.root or gid in self._gids

    def keeps_type(self, mode: int) -> bool:
        """Whether a copy of this kind of inode can be made (device nodes need root)."""
        return self.root or not (stat.S_ISCHR(mode) or stat.S_ISBLK(mode))

    def keeps_xattr(self, name: str) -> bool:
        """Whether a copy can have this extended attribute."""
        return self.root or name.startswith("user.") or name in _ACLS

    def counts_as_lost(self, name: str) -> bool:
        """Whether the attribute is one whose absence from a copy must be told."""
        return not self.keeps_xattr(name) and name not in _KERNEL_LABELS

    def wanted(self, state: os.stat_result, xattrs: dict[str, bytes]) -> Wanted:
        """What a copy of this inode gets from this process."""
        mode = stat.S_IMODE(state.st_mode)
        uid, gid = state.st_uid, state.st_gid
        if not self.keeps_uid(uid):
            uid, mode = self._uid, mode & ~stat.S_ISUID
        if not self.keeps_gid(gid):
            gid, mode = -1, mode & ~stat.S_ISGID
        kept = {name: value for name, value in xattrs.items() if self.keeps_xattr(name)}
        return Wanted(uid, gid, mode, state.st_atime_ns, state.st_mtime_ns, kept)


def portable_names(ref: Ref) -> list[str]:
    """Names of the extended attributes that a copy keeps, ACLs included; none where there is no support."""
    try:
        names = os.listxattr(ref)
    except OSError as error:
        if error.errno in (errno.EOPNOTSUPP, errno.ENOSYS):
            return []
        raise
    return [name for name in names if name.startswith(_PORTABLE) or name in _ACLS]


def read_xattrs(ref: Ref) -> dict[str, bytes]:
    """The extended attributes that a copy keeps, by name."""
    found = {}
    for name in portable_names(ref):
        try:
            found[name] = os.getxattr(ref, name)
        except OSError as error:
            if error.errno != errno.ENODATA:  # removed since it was listed
                raise
    return found


def apply(ref: Ref, now: os.stat_result, wanted: Wanted) -> bool:
    """Give an inode the wanted metadata, touching only what differs. Returns whether anything was changed.

    The order matters: a change of owner clears setuid and capabilities, and an ACL changes the mode.
    """
    link = stat.S_ISLNK(now.st_mode)
    owner = now.st_uid != wanted.uid or wanted.gid not in (-1, now.st_gid)
    if owner:
        os.chown(ref, wanted.uid, wanted.gid)
    attributes = _apply_xattrs(ref, now, wanted)
    mode = not link and (owner or attributes or stat.S_IMODE(now.st_mode) != wanted.mode)
    if mode:
        set_mode(ref, wanted.mode)
    times = now.st_mtime_ns != wanted.mtime_ns
    if times:
        os.utime(ref, ns=(wanted.atime_ns, wanted.mtime_ns))
    return owner or attributes or mode or times


def differs(ref: Ref, now: os.stat_result, wanted: Wanted) -> bool:
    """Whether :func:`apply` would change anything."""
    return (
        now.st_uid != wanted.uid
        or wanted.gid not in (-1, now.st_gid)
        or (not stat.S_ISLNK(now.st_mode) and stat.S_IMODE(now.st_mode) != wanted.mode)
        or now.st_mtime_ns != wanted.mtime_ns
        or _settable(read_xattrs(ref)) != wanted.xattrs
    )


def _settable(xattrs: dict[str, bytes]) -> dict[str, bytes]:
    if os.geteuid() == 0:
        return xattrs
    return {name: value for name, value in xattrs.items() if name.startswith("user.") or name in _ACLS}


def _apply_xattrs(ref: Ref, now: os.stat_result, wanted: Wanted) -> bool:
    current = _settable(read_xattrs(ref))
    if current == wanted.xattrs:
        return False
    if os.geteuid() != 0 and not stat.S_ISLNK(now.st_mode) and not now.st_mode & 0o200:
        set_mode(ref, stat.S_IMODE(now.st_mode) | 0o200)  # user attributes need write permission
    for name in current.keys() - wanted.xattrs.keys():
        os.removexattr(ref, name)
    for name, value in wanted.xattrs.items():
        if current.get(name) != value:
            os.setxattr(ref, name, value)
    return True
