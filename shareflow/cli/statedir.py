"""The state directory of an embedded Shareflow: found, made, and held by one process at a time."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from shareflow.errors import StateDirectoryError

LOCK = "up.lock"
FACTS = "up.json"


def default_state_dir(environ: Mapping[str, str] | None = None) -> Path:
    """``$XDG_STATE_HOME/shareflow``, by default under ``~/.local/state``."""
    given = (os.environ if environ is None else environ).get("XDG_STATE_HOME", "")
    # The XDG rules say that a relative path is to be ignored.
    root = Path(given) if given.startswith("/") else Path.home() / ".local" / "state"
    return root / "shareflow"


class StateDir:
    """A directory that this process alone runs on, for as long as the ``with`` block lasts.

    The kernel frees the lock when the process ends, however it ends. Beside the lock lies ``up.json`` with the process
    ids and addresses of what runs.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self._lock = -1

    def __enter__(self) -> Self:
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            self._take()
        except OSError as error:
            self._release()
            raise self._unusable(error) from None
        except StateDirectoryError:
            self._release()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            (self.path / FACTS).unlink(missing_ok=True)
        self._release()

    def publish(self, facts: Mapping[str, Any]) -> None:
        """Write ``up.json``, whole or not at all. Raises StateDirectoryError when the disk refuses."""
        target = self.path / FACTS
        draft = target.with_name(FACTS + ".new")
        try:
            draft.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
            draft.replace(target)
        except OSError as error:
            raise self._unusable(error) from None

    def _take(self) -> None:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self._lock, 32, 0).decode("ascii", "replace").strip()
            raise StateDirectoryError(
                f"{self.path} is in use by pid {holder or 'unknown'}",
                hint="stop that `shareflow up`, or choose another directory with --state-dir",
            ) from None
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, f"{os.getpid()}\n".encode(), 0)

    def _release(self) -> None:
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _unusable(self, error: OSError) -> StateDirectoryError:
        reason = (error.strerror or str(error)).lower()
        hint = "choose a directory that can be written with --state-dir"
        if error.errno == errno.ENOSPC:
            hint = "free some space, or choose a directory on another disk with --state-dir"
        return StateDirectoryError(f"{self.path} cannot be used: {reason}", hint=hint)
