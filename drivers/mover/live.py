"""The copier for a source that is in use: each pass brings over what changed since the one before.

What the records of :class:`~drivers.mover.memory.Memory` say of a name is trusted while its inode is as it was then.
All other content is compared byte for byte, whatever size and time say: a file that was written while it was read, or
whose time was set back, is put right by the next pass. Trouble with a name that changed meanwhile is left to that pass.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Callable
from contextlib import suppress

from drivers.mover import metadata
from drivers.mover.builtin import Frame, TreeCopier
from drivers.mover.control import Control, CopyFailed
from drivers.mover.durable import sync_file_system
from drivers.mover.fsops import Inode, SourceChanged, open_source_file, stat_at
from drivers.mover.memory import OWN, Memory, Record, record_of
from drivers.mover.scan import can_share

_SECOND = 1_000_000_000
_FINE, _COARSE = _SECOND // 20, 2 * _SECOND  # how far change times may lag, on file systems that keep parts of seconds
_KEEP_EVERY = 2.0  # seconds
_OURS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ENOMEM, errno.EMFILE, errno.ENFILE)
_UPDATE = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_BELOW: Record = ()


class LiveCopier(TreeCopier):
    """One pass. The target must be used by nobody else: its files are changed where they are.

    Attributes:
        names, bytes: what the source has, as this pass saw it.
    """

    def __init__(
        self, source: int, target: int, control: Control, memory: Memory, *, delete_extra: bool, reflink: bool
    ) -> None:
        super().__init__(source, target, control, delete_extra=delete_extra, reflink=reflink, checksum=True)
        self.names = self.bytes = 0
        self._memory = memory
        self._shares: bool | None = None if reflink else False
        self._first: dict[Inode, Record] = {}  # of inodes with several names: what they were when they were copied
        self._keep_at = time.monotonic() + _KEEP_EVERY
        self._since = 0

    def run(self) -> None:
        """See :meth:`TreeCopier.run`. What was finished is known to the next pass, also after an interruption."""
        # Writing back makes pages of mapped files read-only: a later store gives the file a change time after this one.
        self._since = time.time_ns()
        with suppress(OSError):
            sync_file_system(self._source)
        try:
            super().run()
        finally:
            self._memory.keep()

    def _abandon(self) -> None:
        for frame in self._stack:
            self._remember(frame)
        super()._abandon()

    def _remember(self, frame: Frame) -> None:
        """What is known of a directory that is not finished: what was seen, and of the rest what was known before."""
        self._memory.write(frame.path, {**frame.known, **frame.seen})

    def _keep_sometimes(self) -> None:
        now = time.monotonic()
        if now < self._keep_at:
            return
        for frame in self._stack:
            self._remember(frame)
        self._memory.keep()
        self._keep_at = time.monotonic() + max(_KEEP_EVERY, 10 * (time.monotonic() - now))

    def _is_settled(self, state: os.stat_result) -> bool:
        """Whether every later change of the inode will show in its change time."""
        lag = _FINE if state.st_ctime_ns % _SECOND else _COARSE
        return state.st_ctime_ns < self._since - lag

    # -- directories

    def _prepare(self, frame: Frame) -> None:
        known = frame.known = {} if frame.made else self._memory.read(frame.path)
        if known.get(OWN) == record_of(frame.state) and not self._memory.interrupted:
            return  # its names are the same, and so are those of the copy
        known.pop(OWN, None)
        for name in known.keys() - frame.present:
            if known.pop(name) == _BELOW:
                self._memory.drop(frame.at(name))
        self._drop_extras(frame)

    def _complete(self, frame: Frame) -> None:
        own, now = record_of(frame.state), os.fstat(frame.target)
        untouched = now.st_mtime_ns == frame.state.st_mtime_ns and now.st_mode == frame.state.st_mode
        if frame.known.get(OWN) != own or not untouched:
            super()._complete(frame)
        if self._is_settled(frame.state):
            frame.seen[OWN] = own
        if frame.made or frame.seen != frame.known:
            self._memory.write(frame.path, frame.seen)
        self._keep_sometimes()

    def _below(self, frame: Frame, name: str, state: os.stat_result) -> None:
        if frame.known.get(name) != _BELOW:
            frame.known.pop(name, None)
        frame.seen[name] = _BELOW
        if not self._tolerant(frame, name, state, self._directory, frame, name):
            del frame.seen[name]
            self._control.named()

    # -- names

    def _entry(self, frame: Frame, name: str) -> None:
        try:
            state = os.stat(name, dir_fd=frame.source, follow_symlinks=False)
        except FileNotFoundError:
            frame.known.pop(name, None)
            self.changed += 1
            return
        self.names += 1
        if stat.S_ISDIR(state.st_mode):
            self._below(frame, name, state)
            return
        record = state.st_ino, state.st_ctime_ns, state.st_size, state.st_mtime_ns
        is_known = frame.known.get(name) == record
        single = state.st_nlink == 1
        if stat.S_ISREG(state.st_mode) and (single or _inode(state) not in self._first):
            self.bytes += state.st_size
        if is_known and single:
            frame.seen[name] = record
            self._control.skipped(state.st_size)
        else:
            self._bring(frame, name, state, record, is_known=is_known)
        self._control.named()

    def _bring(self, frame: Frame, name: str, state: os.stat_result, record: Record, *, is_known: bool) -> None:
        """Make the target's name equal; record it when it certainly is."""
        if not is_known:
            frame.known.pop(name, None)
        self._checksum = not is_known
        before = self.changed
        done = self._tolerant(frame, name, state, self._inode_at, frame, name, state)
        # The number of an inode that is gone may be that of another one by now, and its first name a copy of the old.
        same = state.st_nlink == 1 or self._first.setdefault(_inode(state), record) == record
        if done and self.changed == before and same and self._is_settled(state):
            frame.seen[name] = record

    def _tolerant(
        self, frame: Frame, name: str, state: os.stat_result, action: Callable[..., None], *arguments: object
    ) -> bool:
        """Do it; False when the source's name changed under it, which the next pass puts right."""
        try:
            action(*arguments)
        except SourceChanged:
            self.changed += 1
            return False
        except OSError as error:
            if error.errno in _OURS or not _has_changed(frame, name, state):
                raise CopyFailed.from_os(error, frame.at(name)) from error
            self.changed += 1
            return False
        return True

    # -- files

    def _keep(self, frame: Frame, name: str, state: os.stat_result) -> Inode | None:
        if self._checksum and stat.S_ISREG(state.st_mode):
            existing = stat_at(frame.target, name)
            alone = existing is not None and stat.S_ISREG(existing.st_mode) and existing.st_nlink == 1
            if existing is not None and alone and not self._can_share(frame, name, state):
                return self._update(frame, name, state, _inode(existing))
        return super()._keep(frame, name, state)

    def _can_share(self, frame: Frame, name: str, state: os.stat_result) -> bool:
        if self._shares is None and state.st_size:
            self._shares = can_share(frame.source, name, state, frame.target)
        return bool(self._shares)

    def _update(self, frame: Frame, name: str, state: os.stat_result, inode: Inode) -> Inode | None:
        """Write what differs into the target's file, which has no other name; None when it has to be made anew."""
        if self._claims.get(inode, _inode(state)) != _inode(state):
            return None
        try:
            source = open_source_file(frame.source, name, state)
        except FileNotFoundError as error:
            raise SourceChanged(name) from error
        try:
            target = _open_to_update(frame.target, name, inode)
            if target is None:
                return None
            try:
                self._write_differences(source, target, state)
            finally:
                os.close(target)
        finally:
            os.close(source)
        return inode

    def _write_differences(self, source: int, target: int, state: os.stat_result) -> None:
        # Window: until its records are kept, a kill leaves a mixture that no record takes for a copy.
        self._content.update(source, target, state.st_size)
        wanted = self._privilege.wanted(state, metadata.read_xattrs(source))
        metadata.apply(target, os.fstat(target), wanted)
        if record_of(os.fstat(source)) != record_of(state):
            self.changed += 1


def _inode(state: os.stat_result) -> Inode:
    return state.st_dev, state.st_ino


def _has_changed(frame: Frame, name: str, state: os.stat_result) -> bool:
    try:
        now = stat_at(frame.source, name)
    except OSError as error:
        return error.errno == errno.ESTALE
    return now is None or record_of(now) != record_of(state)


def _open_to_update(parent: int, name: str, inode: Inode) -> int | None:
    try:
        fd = os.open(name, _UPDATE, dir_fd=parent)
    except OSError as error:
        if error.errno in _OURS:
            raise
        return None
    now = os.fstat(fd)
    if _inode(now) != inode or not stat.S_ISREG(now.st_mode) or now.st_nlink != 1:
        os.close(fd)
        return None
    return fd
