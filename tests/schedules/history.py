"""What was seen of one replicated share from outside: writes, promotions, snapshots, and what is there at the end.

Times are seconds since the epoch (UTC), all of one machine. A number is the content of one write.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Write:
    """One write, tried on one instance; ``accepted`` is what the writer saw."""

    number: int
    instance: str
    began: float
    ended: float
    accepted: bool


@dataclass(frozen=True, slots=True)
class Promotion:
    """A promotion that succeeded.

    Attributes:
        promoted, demoted: instances.
        decided: when the roles were switched.
        lost: the demoted one was declared lost, and ``loss`` seconds before the decision with it.
        torn: it was said that files of the promoted one may be half new.
        lost_snapshots: names.
    """

    promoted: str
    demoted: str
    began: float
    decided: float
    ended: float
    lost: bool = False
    loss: float = 0.0
    torn: bool = False
    lost_snapshots: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A snapshot that was acknowledged."""

    name: str
    began: float
    ended: float


@dataclass(frozen=True, slots=True)
class Mode:
    """A backend has changed who may use an instance: ``rw``, ``ro``, ``none``, or empty when it was deleted."""

    at: float
    instance: str
    mode: str


@dataclass(frozen=True, slots=True)
class Ending:
    """What is there when everything is healed and settled.

    Attributes:
        active: the active instance.
        contents: of every instance, the numbers that it has.
        snapshots: per name, the numbers that its copy beside each instance has.
        problems: what did not come to an end, or is wrong in itself.
    """

    active: str
    contents: Mapping[str, frozenset[int]]
    snapshots: Mapping[str, Mapping[str, frozenset[int]]] = field(default_factory=dict)
    problems: tuple[str, ...] = ()


@dataclass
class History:
    """Everything that was seen; ``first`` is the instance that was active when it began."""

    first: str
    writes: list[Write] = field(default_factory=list)
    promotions: list[Promotion] = field(default_factory=list)
    snapshots: list[Snapshot] = field(default_factory=list)
    modes: list[Mode] = field(default_factory=list)
    notes: list[tuple[float, str]] = field(default_factory=list)
    ending: Ending | None = None

    def __str__(self) -> str:
        lines = list(self.notes)
        lines += [(one.began, _write(one)) for one in self.writes]
        lines += [(one.decided, _promotion(one)) for one in self.promotions]
        lines += [(one.ended, f"snapshot {one.name} is acknowledged") for one in self.snapshots]
        lines += [(one.at, f"the backend of {_short(one.instance)} says {one.mode or 'gone'}") for one in self.modes]
        start = min((at for at, _ in lines), default=0.0)
        shown = [f"{at - start:9.3f}  {text}" for at, text in sorted(lines)]
        if self.ending is not None:
            shown += [f"  the end  {_ending(instance, self.ending)}" for instance in self.ending.contents]
        return "\n".join(shown)


def _short(instance: str) -> str:
    return instance[:8]


def _write(one: Write) -> str:
    return f"write {one.number} to {_short(one.instance)} is {'accepted' if one.accepted else 'refused'}"


def _promotion(one: Promotion) -> str:
    if not one.lost:
        return f"{_short(one.promoted)} is active, {_short(one.demoted)} its replica"
    torn = ", torn" if one.torn else ""
    return f"{_short(one.promoted)} is active, {_short(one.demoted)} lost with {one.loss:.3f} s{torn}"


def _ending(instance: str, ending: Ending) -> str:
    role = "active" if instance == ending.active else "replica"
    return f"{role} {_short(instance)} has {sorted(ending.contents[instance])}"


NEVER = math.inf
