"""Where the objects of a pool are.

    shares/<name>/data                what clients of a share see
    snapshots/<name>/data             only this driver goes there
    .shareflow/withheld/<name>/data   shares in mode none
    .shareflow/staging/<name>/data    objects that are being made, and the new content of reverts
    .shareflow/trash/<name>.<random>  what is being removed
    .shareflow/at/<name>              link to wherever the share is now

The directory around ``data`` (the container) belongs to the driver: it can be moved whatever the mode and owner of the
data are, and holds ``key``, a link to nothing whose text says what call built it: it is on disk as soon as its name is.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Final

from drivers import crash
from drivers.contract import AccessMode, ObjectKind
from drivers.posix import exchange
from drivers.sidecar import META, NAME_LENGTH, Record, is_name

DATA: Final = "data"
_KEY: Final = "key"
_OPEN, _CLOSED = 0o755, 0o700


class Places:
    """Paths of one pool, and the moves between them. Every move is one rename."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.meta = root / META
        self.shares = root / "shares"
        self.snapshots = root / "snapshots"
        self.withheld = self.meta / "withheld"
        self.staging = self.meta / "staging"
        self.trash = self.meta / "trash"
        self.at = self.meta / "at"

    def layout(self) -> tuple[tuple[Path, int], ...]:
        """The directories that must be there, parents first, with their modes."""
        closed = (self.snapshots, self.withheld, self.staging, self.trash, self.at)
        return ((self.meta, _CLOSED), (self.shares, _OPEN), *((path, _CLOSED) for path in closed))

    # -- finding

    def find(self, record: Record) -> Path | None:
        """The container of a finished object, or None when it is in none of its places."""
        for parent in self._parents(record.kind):
            container = parent / record.name
            if (container / _KEY).is_symlink() and (container / DATA).is_dir():
                return container
        return None

    def home(self, record: Record) -> Path:
        """Where the container belongs, whether it is there or not."""
        if record.kind is ObjectKind.SNAPSHOT:
            return self.snapshots / record.name
        return (self.withheld if record.mode is AccessMode.NONE else self.shares) / record.name

    def export(self, name: str) -> Path:
        """The path under which clients reach a share."""
        return self.shares / name / DATA

    def is_withheld(self, container: Path) -> bool:
        """Whether clients cannot reach the container."""
        return container.parent == self.withheld

    def strangers(self) -> dict[str, ObjectKind]:
        """Names that have a container, whether they have a record or not."""
        found = {}
        for parent, kind in (
            (self.staging, ObjectKind.SHARE), (self.snapshots, ObjectKind.SNAPSHOT),
            (self.withheld, ObjectKind.SHARE), (self.shares, ObjectKind.SHARE),
        ):  # fmt: skip
            found.update({path.name: kind for path in parent.iterdir() if is_name(path.name)})
        return found

    def containers(self, name: str) -> list[Path]:
        """All containers of a name."""
        places = [parent / name for parent in (self.shares, self.withheld, self.snapshots, self.staging)]
        return [place for place in (*places, self._aside(name)) if os.path.lexists(place)]

    def _parents(self, kind: ObjectKind) -> tuple[Path, ...]:
        return (self.snapshots,) if kind is ObjectKind.SNAPSHOT else (self.shares, self.withheld)

    # -- building

    def stage(self, name: str, key: str) -> Path:
        """The staging container of a call, with what an interrupted try of the same call left in it."""
        container = self.staging / name
        if os.path.lexists(container):
            if self.key(container) == key:
                return container
            self.discard(container)
        make_directory(container, _OPEN)
        (container / _KEY).symlink_to(key)
        return container

    def key(self, container: Path) -> str:
        """Digest of the call that built a container, empty when there is none."""
        try:
            return str((container / _KEY).readlink())
        except (FileNotFoundError, NotADirectoryError):
            return ""

    def switch(self, home: Path, staged: Path) -> None:
        """Put ``staged`` in the place of ``home``; afterwards ``staged`` is the former ``home``.

        One step where the file system can exchange names; else the place is empty for a moment (see :meth:`rejoin`).
        """
        if exchange(home, staged):
            return
        aside = self._aside(home.name)
        home.rename(aside)
        crash.window("revert.parted")
        staged.rename(home)
        aside.rename(staged)

    def rejoin(self, record: Record) -> None:
        """Bring a switch to its end that was killed while the place was empty."""
        home, staged, aside = self.home(record), self.staging / record.name, self._aside(record.name)
        if not os.path.lexists(home) and os.path.lexists(aside):
            (staged if self.key(staged) == record.revert else aside).rename(home)

    def staged(self) -> set[str]:
        """Names of which something lies in staging."""
        return {path.name[:NAME_LENGTH] for path in self.staging.iterdir() if is_name(path.name[:NAME_LENGTH])}

    def parted(self, name: str) -> bool:
        """Whether a switch is under way in which the place is empty for a moment."""
        return os.path.lexists(self._aside(name))

    def _aside(self, name: str) -> Path:
        return self.staging / f"{name}.old"

    # -- closing and opening

    def withhold(self, home: Path) -> Path:
        """Take a share out of the reach of clients; gives its new place.

        A file stays behind, so that nobody makes a directory where the share was and takes it for the share.
        """
        away = self.withheld / home.name
        _make_placeholder(away)
        if not exchange(home, away):
            away.unlink()
            home.rename(away)
            _make_placeholder(home)
        return away

    def release(self, home: Path) -> Path:
        """Put a share back where clients reach it; gives its new place."""
        place = self.shares / home.name
        if not place.is_file() or not exchange(home, place):
            if place.is_file():
                place.unlink()
            home.rename(place)
        elif home.is_file():
            home.unlink()
        return place

    # -- removing

    def discard(self, container: Path) -> None:
        """Move a container to the trash. A missing one is fine."""
        if container.is_file():
            container.unlink()
            return
        with contextlib.suppress(FileNotFoundError):
            container.rename(self.trash / f"{container.name[:NAME_LENGTH]}.{os.urandom(8).hex()}")

    def clear_staging(self, name: str) -> None:
        """Move what a build or revert left to the trash."""
        self.discard(self.staging / name)
        self.discard(self._aside(name))

    # -- the stable path

    def link(self, container: Path) -> Path:
        """Point the stable path of a share to its container; under the object's lock. Gives the data directory."""
        temporary = self.at / f".{container.name}.tmp"
        while not self.links_to(container):
            try:
                temporary.symlink_to(os.path.relpath(container, self.at))
                temporary.replace(self.at / container.name)
            except FileExistsError:  # left by a kill, or by another reader that does the same
                temporary.unlink(missing_ok=True)
            except FileNotFoundError:
                continue
        return self.stable(container.name)

    def links_to(self, container: Path) -> bool:
        """Whether the stable path of a share points to this container."""
        try:
            return str((self.at / container.name).readlink()) == os.path.relpath(container, self.at)
        except FileNotFoundError:
            return False

    def stable(self, name: str) -> Path:
        """The stable data directory of a share."""
        return self.at / name / DATA

    def unlink(self, name: str) -> None:
        """Remove the stable path. A missing one is fine."""
        for entry in (name, f".{name}.tmp"):
            (self.at / entry).unlink(missing_ok=True)


def _make_placeholder(path: Path) -> None:
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444))


def make_directory(path: Path, mode: int) -> None:
    """Make a directory with exactly this mode, whatever the umask. One that is there is left as it is."""
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        return
    path.chmod(mode)
