"""Named fault points: places in production code where a test can make a crash, an error or a delay happen.

A point costs one dictionary look-up while nothing is armed. Points are declared where they are hit, so that a test can
list all of them and fail when one is never hit. In a worker process points can be armed from outside with the variable
``SHAREFLOW_FAULTS``, for example ``backend.create_share.after_call=kill`` (comma-separated; for chaos tests).
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass

Action = Callable[[], None]


class SimulatedCrash(BaseException):
    """The attempt ends here as if its worker had died: nothing below may catch it as an ordinary error."""


@dataclass(frozen=True, slots=True)
class FaultPoint:
    """One declared point. ``name`` is ``<where>.<step>.<moment>``."""

    name: str


_declared: dict[str, FaultPoint] = {}
_armed: dict[tuple[str, str], list[Action]] = {}
_hits: dict[str, int] = {}
_lock = threading.Lock()
_counting = False


def declare(name: str) -> FaultPoint:
    """Declare a point; the same name twice is a programming error."""
    if name in _declared:
        raise ValueError(f"fault point {name!r} is declared twice")
    _declared[name] = FaultPoint(name)
    return _declared[name]


def declared() -> tuple[str, ...]:
    """The names of all points, sorted."""
    return tuple(sorted(_declared))


def hit(point: FaultPoint, operation: str) -> None:
    """Run the next action armed for this point and operation, or for this point and any operation."""
    if not _armed and not _counting:
        return
    with _lock:
        _hits[point.name] = _hits.get(point.name, 0) + 1
        actions = _armed.get((point.name, operation)) or _armed.get((point.name, "*"))
        action = actions.pop(0) if actions else None
    if action is not None:
        action()


def arm(name: str, action: Action, *, operation: str = "*", times: int = 1) -> None:
    """Arm a point for the next ``times`` hits. Raises KeyError for a point that is not declared."""
    point = _declared[name]
    with _lock:
        _armed.setdefault((point.name, operation), []).extend([action] * times)


def disarm(operation: str | None = None) -> None:
    """Disarm everything, or everything of one operation."""
    with _lock:
        for key in [key for key in _armed if operation is None or key[1] == operation]:
            del _armed[key]


def count_hits(*, on: bool) -> None:
    """Count hits even while nothing is armed."""
    global _counting  # noqa: PLW0603  (one switch for the process)
    _counting = on


def hits() -> dict[str, int]:
    """How often each point was hit while something was armed or counting was on."""
    with _lock:
        return dict(_hits)


def crash() -> None:
    """Action: the attempt ends as if its worker had died."""
    raise SimulatedCrash


def kill() -> None:
    """Action: the whole process dies at once, without any cleaning up."""
    os.kill(os.getpid(), signal.SIGKILL)


def arm_from_environment() -> None:
    """Arm what ``SHAREFLOW_FAULTS`` says; raises ValueError for what it does not understand."""
    for item in filter(None, os.environ.get("SHAREFLOW_FAULTS", "").split(",")):
        name, _, action = item.partition("=")
        if action != "kill" or name not in _declared:
            raise ValueError(f"SHAREFLOW_FAULTS: {item!r} is not <point>=kill with a declared point")
        arm(name, kill)
