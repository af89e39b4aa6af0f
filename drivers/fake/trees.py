"""Content of the fake array's objects: real directory trees, made only when somebody looks.

Layout of the data directory::

    trees/<id>/data      the content; an id is used once and never again
    shares/<name>        symbolic link to ../trees/<id>; gone while clients may not reach the object
    shares/<name>/data   the stable path of an object's content

A revert is a new tree and one rename of the link, so that no one ever sees a mixture. A tree to which no record points
is rubbish of a crash; :meth:`Trees.sweep` removes it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import stat
import uuid
from collections.abc import Collection
from pathlib import Path


class Trees:
    """The data directory. Raises OSError as the file system does; callers hold the array's lock."""

    def __init__(self, root: Path) -> None:
        self.move(root)

    def move(self, root: Path) -> None:
        """Use another directory from now on; what was made before stays where it is."""
        self._trees = root / "trees"
        self._links = root / "shares"

    def path(self, tree: str) -> Path:
        """Where a tree's content is, whatever clients may do."""
        return self._trees / tree / "data"

    def client_path(self, pool: str, name: str) -> Path:
        """Where clients find the content of an object; nothing is made."""
        return self._links / f"{hashlib.sha256(pool.encode()).hexdigest()[:12]}-{name}" / "data"

    def make(self, source: str = "") -> str:
        """A new tree, empty or a copy of another; its id."""
        tree = uuid.uuid4().hex
        target = self._trees / tree / "data"
        if source and self.path(source).exists():
            target.parent.mkdir(parents=True)
            shutil.copytree(self.path(source), target, symlinks=True)
        else:
            target.mkdir(parents=True)
            os.utime(target, (0, 0))  # nothing was ever written, whenever somebody looks first
        return tree

    def take(self, source: Path) -> str:
        """A new tree with the content of a directory of another array; its id. What cannot be read leaves nothing."""
        tree = uuid.uuid4().hex
        try:
            shutil.copytree(source, self._trees / tree / "data", symlinks=True)
        except (OSError, shutil.Error):
            self.remove(tree)
            raise
        return tree

    def changed(self, tree: str, base: str) -> int:
        """Bytes of the regular files of a tree that are not the same in another one."""
        mine, theirs = self.path(tree), self.path(base) if base else None
        total = 0
        for folder, _, names in os.walk(mine) if tree else ():
            for file in (Path(folder) / name for name in names):
                if file.is_file() and not file.is_symlink():
                    old = None if theirs is None else theirs / file.relative_to(mine)
                    same = old is not None and old.is_file() and old.read_bytes() == file.read_bytes()
                    total += 0 if same else file.stat().st_size
        return min(total, self.used(tree))

    def show(self, pool: str, name: str, tree: str) -> None:
        """Let the client path lead to a tree; atomic, also when it led to another one before."""
        link = self.client_path(pool, name).parent
        wanted = os.path.join("..", "trees", tree)  # noqa: PTH118 - a relative link, so that the directory can be moved
        if link.is_symlink() and os.readlink(link) == wanted:  # noqa: PTH115 - text is compared
            return
        link.parent.mkdir(parents=True, exist_ok=True)
        fresh = link.with_name(f".{link.name}.{uuid.uuid4().hex}")
        fresh.symlink_to(wanted)
        fresh.replace(link)

    def hide(self, pool: str, name: str) -> None:
        """Let the client path lead nowhere."""
        self.client_path(pool, name).parent.unlink(missing_ok=True)

    def remove(self, tree: str) -> None:
        """Remove a tree; a missing one is fine."""
        if tree:
            shutil.rmtree(self._trees / tree, ignore_errors=True)

    def sweep(self, used: Collection[str], links: Collection[Path]) -> None:
        """Remove trees and links that belong to no record."""
        if self._trees.is_dir():
            for folder in self._trees.iterdir():
                if folder.name not in used:
                    self.remove(folder.name)
        if self._links.is_dir():
            for link in self._links.iterdir():
                if link / "data" not in links:
                    link.unlink(missing_ok=True)

    def used(self, tree: str) -> int:
        """Bytes of all regular files in a tree, hard links counted once; 0 for none."""
        if not tree:
            return 0
        seen: set[int] = set()
        total = 0
        for folder, _, names in os.walk(self.path(tree)):
            for name in names:
                with contextlib.suppress(FileNotFoundError):  # clients write meanwhile
                    found = os.lstat(os.path.join(folder, name))  # noqa: PTH118 - hot loop
                    if stat.S_ISREG(found.st_mode) and found.st_ino not in seen:
                        seen.add(found.st_ino)
                        total += found.st_size
        return total

    def fingerprint(self, tree: str) -> str:
        """SHA-256 over paths, kinds, modes and bytes; the same for no tree and an empty one."""
        digest = hashlib.sha256()
        root = self.path(tree)
        if tree:
            for folder, folders, names in os.walk(root):
                folders.sort()
                for name in sorted([*names, *folders]):
                    _digest_entry(digest, Path(folder) / name, root)
        return digest.hexdigest()


def _digest_entry(digest: hashlib._Hash, path: Path, root: Path) -> None:
    found = path.lstat()
    digest.update(f"{os.fsencode(path.relative_to(root))!r} {found.st_mode}\n".encode())
    if stat.S_ISLNK(found.st_mode):
        digest.update(os.fsencode(path.readlink()))
    elif stat.S_ISREG(found.st_mode):
        digest.update(hashlib.sha256(path.read_bytes()).digest())
