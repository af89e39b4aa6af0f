"""Limits of copies that were changed while they ran, kept so that the next attempt of a step has them too."""

from __future__ import annotations

import hashlib
import json
import os
import time
from contextlib import suppress
from pathlib import Path

OLDEST = 90 * 86400.0
"""Seconds after which a limit is forgotten: no copy takes that long."""


class BandwidthBook:
    """One small file per copy whose limit was changed, shared by the workers of this host.

    Not durable: after a power loss a copy may go on with the limit that it was begun with. A limit that comes when its
    copy has just ended stays for a while, and nobody asks for it.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def set(self, job: str, bytes_per_second: int | None) -> None:
        """Keep the limit of a job; None for no limit. Those that are too old go. Raises OSError."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for kept in self._directory.iterdir():
            with suppress(FileNotFoundError):  # another worker's draft, or one that it has removed
                if time.time() - kept.stat().st_mtime > OLDEST:
                    kept.unlink()
        path = self._path(job)
        draft = path.with_name(f"{path.name}.{os.getpid()}.tmp")
        draft.write_text(json.dumps(bytes_per_second), encoding="ascii")
        draft.replace(path)

    def of(self, job: str, asked: int | None) -> int | None:
        """The limit that was set last, or the one asked for when none was. Raises OSError."""
        try:
            found = json.loads(self._path(job).read_text(encoding="ascii"))
        except (FileNotFoundError, ValueError):
            return asked
        return found if isinstance(found, int) else None

    def forget(self, job: str) -> None:
        """The job is over; an unknown one is fine. Raises OSError."""
        self._path(job).unlink(missing_ok=True)

    def _path(self, job: str) -> Path:
        return self._directory / hashlib.blake2b(job.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
