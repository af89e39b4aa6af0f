"""What a copy is asked to do, and how that is written down for the process that does it."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

Engine = Literal["auto", "rsync", "builtin"]
ENGINES: tuple[Engine, ...] = ("auto", "rsync", "builtin")


@dataclass(frozen=True, slots=True)
class CopyOptions:
    """How a tree is copied.

    Attributes:
        bandwidth: most bytes of content per second, None for no limit; can be changed while the job runs.
        verify: compare source and copy before the job is done, and copy again what differs, a few times. Without it one
            pass is made and names that change meanwhile are only counted in the job's message (delta passes of a
            source that is in use).
        delete_extra: remove from the target what the source does not have. What stands in the way of a copy (a file
            where the source has a directory) is replaced in any case.
        reflink: share extents with the source where the file system can.
        engine: ``builtin``, ``rsync``, or ``auto``: the built-in copier where it is the better one (small trees,
            file systems that share extents, no root, no rsync on this machine), else rsync.

    Raises:
        ValueError: the bandwidth is not positive, or the engine is unknown.
    """

    bandwidth: int | None = None
    verify: bool = True
    delete_extra: bool = True
    reflink: bool = True
    engine: Engine = "auto"

    def __post_init__(self) -> None:
        if self.bandwidth is not None and self.bandwidth < 1:
            raise ValueError(f"bandwidth is {self.bandwidth} bytes a second; give 1 or more, or None for no limit")
        if self.engine not in ENGINES:
            raise ValueError(f"engine is {self.engine!r}; use one of {', '.join(ENGINES)}")


@dataclass(frozen=True, slots=True)
class Request:
    """One copy as it stands in ``request.json``."""

    job: str
    source: Path
    target: Path
    options: CopyOptions

    def same_result(self, other: Request) -> bool:
        """Whether both ask for the same outcome; the bandwidth does not belong to the outcome."""
        mine, theirs = self.options, other.options
        same_options = all(
            getattr(mine, name) == getattr(theirs, name) for name in ("verify", "delete_extra", "reflink", "engine")
        )
        return self.source == other.source and self.target == other.target and same_options

    def to_json(self) -> dict[str, object]:
        """A JSON object. Paths are written as UTF-8 with surrogates, whatever the locale of this process."""
        options = {field.name: getattr(self.options, field.name) for field in fields(CopyOptions)}
        return {
            "job": self.job,
            "source": _path_to_text(self.source),
            "target": _path_to_text(self.target),
            "options": options,
        }

    @classmethod
    def from_json(cls, data: dict[str, object]) -> Request:
        """The request that :meth:`to_json` wrote. Raises KeyError, TypeError or ValueError when it is not one."""
        options = data["options"]
        if not isinstance(options, dict):
            raise TypeError("options is not an object")
        return cls(
            job=str(data["job"]),
            source=_path_from_text(str(data["source"])),
            target=_path_from_text(str(data["target"])),
            options=CopyOptions(**options),
        )


def _path_to_text(path: Path) -> str:
    return os.fsencode(path).decode("utf-8", "surrogateescape")


def _path_from_text(text: str) -> Path:
    return Path(os.fsdecode(text.encode("utf-8", "surrogateescape")))
