"""A comparison as a job: all of both trees, or a sample of them that is the same at every try."""

from __future__ import annotations

import os
import random
import stat
import time
from collections.abc import Callable, Iterator

from drivers.mover import metadata
from drivers.mover.compare import TreeComparison
from drivers.mover.content import same_content
from drivers.mover.control import CopyFailed, show
from drivers.mover.fsops import (
    Level,
    SourceChanged,
    names_in,
    open_below,
    open_source_file,
    stat_at,
    walk,
)
from drivers.mover.memory import forget_memory, memory_place
from drivers.mover.options import DIFFERS
from drivers.mover.process import JobProcess

NAMES = 20_000
"""Names that a sample has at most."""

CONTENT = 64 << 20
"""Bytes of content that a sample reads at most."""

_PIECE = 1 << 20
_READING_SECONDS = 1.0
_COUNTING_SECONDS = 0.3
_ATTRIBUTES_OF = 8  # the attributes of every eighth name are read: that is dearer than all else
_SHOWN_DIFFERENCES = 5


class VerifyProcess(JobProcess):
    """Compares, and fails with :data:`DIFFERS` when there is a difference."""

    def work(self, source: int, target: int) -> None:
        """Compare. Raises as :meth:`JobProcess.work`."""
        self.enter("verifying")
        privilege = metadata.Privilege()
        if self.request.check == "sampled":
            sample = SampledComparison(source, target, seed=self.request.job, privilege=privilege, tick=self._tick)
            comparison: TreeComparison = sample
        else:
            comparison = TreeComparison(source, target, privilege=privilege, tick=self._tick)
        self._comparison = comparison
        found = comparison.differences(_SHOWN_DIFFERENCES)
        self._tick()
        if found:
            # What the records of passes say of this copy is not true; without them the next pass compares all of it.
            forget_memory(memory_place(self.home.path.parent, self.request.target))
            raise CopyFailed("; ".join(found), code=DIFFERS)
        if isinstance(comparison, SampledComparison):
            self.notes.append(comparison.extent())
        else:
            self.notes.append(f"compared all {comparison.names:,} names and {human(comparison.bytes)} of content")

    def _tick(self) -> None:
        progress = self.control.progress
        progress.files_done, progress.bytes_done = self._comparison.names, self._comparison.bytes
        self.control.tick()


class SampledComparison(TreeComparison):
    """A bounded part of two trees: whole directories, chosen at random all over the tree, and pieces of files.

    Of each directory chosen both sides are listed. Compared are type, size, mode, owner, time and links of each of its
    names up to :data:`NAMES` in all, extended attributes of every eighth, and up to 1 MiB of each of a random choice of
    files up to :data:`CONTENT` and one second.

    Args:
        seed: the same one makes the same choice in the same trees.
    """

    def __init__(
        self,
        source: int,
        target: int,
        *,
        seed: str,
        privilege: metadata.Privilege | None = None,
        tick: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(source, target, privilege=privilege, tick=tick)
        self._random = random.Random(seed)  # noqa: S311 - a choice, not a secret
        self._waiting = {"": [""]}  # directories that were seen and not looked into, by the directory that they are in
        self._files: list[tuple[str, int]] = []
        self._all_names = 0
        self._all_bytes = 0
        self._partly = False
        self._counted = False
        self._path = ""

    def extent(self) -> str:
        """What was looked at, of how much."""
        more = "" if self._counted else "more than "
        return (
            f"compared a sample: {self.names:,} of {more}{self._all_names:,} names,"
            f" {human(self.bytes)} of {more}{human(self._all_bytes)} of content"
        )

    def _all(self) -> Iterator[str]:
        yield from self._roots()
        while self._waiting and self.names < NAMES:
            yield from self._directory(self._take())
        yield from self._contents()
        self._count()

    def _take(self) -> str:
        """One of the waiting directories: any parent, any of its directories, so that one large branch is not all."""
        parent = self._random.choice(list(self._waiting))
        group = self._waiting[parent]
        chosen = group.pop(self._random.randrange(len(group)))
        if not group:
            del self._waiting[parent]
        return chosen

    def _directory(self, path: str) -> Iterator[str]:
        source = _open_or_none(self._source, path)
        if source is None:
            yield f"{show(path)}: vanished from the source"
            return
        try:
            target = _open_or_none(self._target, path)
            if target is None:
                yield f"{show(path)}: not a directory in the target"
                return
            try:
                yield from self._names(Level(source, target, path), target)
            finally:
                os.close(target)
        finally:
            os.close(source)

    def _names(self, level: Level, twin: int) -> Iterator[str]:
        mine = sorted(names_in(level.fd))
        yield from self._extras(level, twin, mine)
        self._all_names += len(mine)
        room = NAMES - self.names
        chosen = mine if len(mine) <= room else self._random.sample(mine, room)
        self._partly = self._partly or len(chosen) < len(mine)
        for name in chosen:
            self._tick()
            yield from self._entry(level, twin, name)
        if level.subdirectories:
            self._waiting[level.path] = [level.at(name) for name in level.subdirectories]

    def _object(
        self, source: int, target: int, name: str, path: str, left: os.stat_result, right: os.stat_result
    ) -> Iterator[str]:
        if self._random.randrange(_ATTRIBUTES_OF) == 0:
            yield from super()._object(source, target, name, path, left, right)
            return
        uid, gid, mode = left.st_uid, left.st_gid, stat.S_IMODE(left.st_mode)
        if self._privilege is not None:
            wanted = self._privilege.wanted(left, {})
            uid, gid, mode = wanted.uid, wanted.gid, wanted.mode
        yield from self._state(show(path), left, right, (uid, gid, mode))
        if not stat.S_ISDIR(left.st_mode):
            yield from self._inode(source, target, name, path, left, right)

    def _same_content(self, source: int, target: int, name: str, left: os.stat_result, right: os.stat_result) -> bool:
        """Put off: the file may be chosen when all names are known."""
        self._all_bytes += left.st_size
        if left.st_size:
            self._files.append((self._path, left.st_size))
        return True

    def _entry(self, level: Level, twin: int, name: str) -> Iterator[str]:
        self._path = level.at(name)
        yield from super()._entry(level, twin, name)

    def _contents(self) -> Iterator[str]:
        end = time.monotonic() + _READING_SECONDS
        self._random.shuffle(self._files)
        piece = _PIECE if self._all_bytes > CONTENT else CONTENT
        for path, size in self._files:
            begin = self._random.randrange(size - piece) if size > piece else 0
            if time.monotonic() > end or self.bytes >= CONTENT:
                return
            until = min(size, begin + piece, begin + CONTENT - self.bytes)
            if not self._same_piece(path, begin, until):
                yield f"{show(path)}: content differs"

    def _same_piece(self, path: str, begin: int, until: int) -> bool:
        try:
            left = _open_file(self._source, path)
            try:
                right = _open_file(self._target, path)
                try:
                    return same_content(left, right, until, self._read, begin)
                finally:
                    os.close(right)
            finally:
                os.close(left)
        except (FileNotFoundError, NotADirectoryError, SourceChanged):
            return False

    def _count(self) -> None:
        """Count what was not looked at, for as long as that is quick."""
        end = time.monotonic() + _COUNTING_SECONDS
        for path in (path for group in self._waiting.values() for path in group):
            directory = _open_or_none(self._source, path)
            if directory is None:
                continue
            try:
                if not self._count_in(Level(directory, None, ""), end):
                    return
            finally:
                os.close(directory)
        self._counted = not self._partly

    def _count_in(self, top: Level, end: float) -> bool:
        for level in walk(top.fd):
            for name in names_in(level.fd):
                self._tick()
                if time.monotonic() > end:
                    return False
                self._all_names += 1
                state = stat_at(level.fd, name)
                if state is None:
                    continue
                if stat.S_ISDIR(state.st_mode):
                    level.subdirectories.append(name)
                elif stat.S_ISREG(state.st_mode):
                    self._all_bytes += state.st_size
        return True


def _open_or_none(root: int, path: str) -> int | None:
    try:
        return open_below(root, path)
    except (FileNotFoundError, NotADirectoryError):
        return None


def _open_file(root: int, path: str) -> int:
    above, _, name = path.rpartition("/")
    parent = open_below(root, above)
    try:
        state = stat_at(parent, name)
        if state is None:
            raise SourceChanged(name)
        return open_source_file(parent, name, state)
    finally:
        os.close(parent)


def human(count: int) -> str:
    """Bytes for people: ``1.5 GiB``."""
    value, units = float(count), ["B", "KiB", "MiB", "GiB", "TiB", "PiB"]
    while value >= 1024 and len(units) > 1:
        value /= 1024
        units.pop(0)
    return f"{value:.3g} {units[0]}" if value < 1000 else f"{value:.0f} {units[0]}"
