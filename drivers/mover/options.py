"""What a copy is asked to do, and how that is written down for the process that does it."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

Engine = Literal["auto", "rsync", "builtin"]
ENGINES: tuple[Engine, ...] = ("auto", "rsync", "builtin")
Check = Literal["", "full", "sampled"]
CHECKS: tuple[Check, ...] = ("", "full", "sampled")

DIFFERS = "D410"
"""Code of a verification that found a difference."""


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
        repeated: more passes into the same target follow: what this one saw is remembered, so that the next one looks
            only at what changed since.
        gentle: others on this machine have the processor first.
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
    repeated: bool = False
    gentle: bool = False

    def __post_init__(self) -> None:
        if self.bandwidth is not None and self.bandwidth < 1:
            raise ValueError(f"bandwidth is {self.bandwidth} bytes a second; give 1 or more, or None for no limit")
        if self.engine not in ENGINES:
            raise ValueError(f"engine is {self.engine!r}; use one of {', '.join(ENGINES)}")


@dataclass(frozen=True, slots=True)
class Request:
    """One job as it stands in ``request.json``. With ``check`` nothing is copied, the trees are compared."""

    job: str
    source: Path
    target: Path
    options: CopyOptions = CopyOptions()
    check: Check = ""

    def same_result(self, other: Request) -> bool:
        """Whether both ask for the same outcome; the bandwidth does not belong to the outcome."""
        mine, theirs = self.options, other.options
        same_options = all(
            getattr(mine, name) == getattr(theirs, name) for name in ("verify", "delete_extra", "reflink", "engine")
        )
        return self.same_trees(other) and self.check == other.check and same_options

    def same_trees(self, other: Request) -> bool:
        """Whether both are about the same source and target, and both copy or both compare."""
        return (self.source, self.target, bool(self.check)) == (other.source, other.target, bool(other.check))

    def to_json(self) -> dict[str, object]:
        """A JSON object. Paths are written as UTF-8 with surrogates, whatever the locale of this process."""
        options = {field.name: getattr(self.options, field.name) for field in fields(CopyOptions)}
        return {
            "job": self.job,
            "source": _path_to_text(self.source),
            "target": _path_to_text(self.target),
            "options": options,
            "check": self.check,
        }

    @classmethod
    def from_json(cls, data: dict[str, object]) -> Request:
        """The request that :meth:`to_json` wrote. Raises KeyError, TypeError or ValueError when it is not one."""
        options = data["options"]
        if not isinstance(options, dict):
            raise TypeError("options is not an object")
        check = data.get("check", "")
        if check not in CHECKS:
            raise ValueError(f"check is {check!r}; use one of {', '.join(map(repr, CHECKS))}")
        return cls(
            job=str(data["job"]),
            source=_path_from_text(str(data["source"])),
            target=_path_from_text(str(data["target"])),
            options=CopyOptions(**options),
            check=check,
        )


def _path_to_text(path: Path) -> str:
    return os.fsencode(path).decode("utf-8", "surrogateescape")


def _path_from_text(text: str) -> Path:
    return Path(os.fsdecode(text.encode("utf-8", "surrogateescape")))
