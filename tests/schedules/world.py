"""The world that all schedules share: one server, one worker, four fake backends with a pool for each lane."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

from shareflow.contracts.steps import Limits
from tests.support.world import World, world_of_its_own

LANES = 24
"""So many schedules are played at once; each has a pool of its own on every backend, so that it has its own faults."""
LIMITS = Limits(
    call=2, job=60, heartbeat=1.5, unserved=60, patience=1.2, retry=0.4, poll=0.02, turn=1, fenced=2.5, settle=0.1
)
FIRST, SECOND, THIRD, BY_HOST = "x", "y", "z", "m"
BACKENDS = (FIRST, SECOND, THIRD, BY_HOST)


def pool(backend: str, lane: int) -> str:
    """The pool of a lane on a backend."""
    return f"{backend}{lane}"


def _backend(name: str) -> Mapping[str, Any]:
    # The last one exchanges snapshots with nobody: what goes there, or comes from there, goes through the mover.
    options = {"transfer": "none"} if name == BY_HOST else {}
    pools = [{"name": pool(name, lane), "options": {"capacity": "1 PiB"}} for lane in range(LANES)]
    return {"kind": "Backend", "name": name, "driver": "fake", "slots": 32, "options": options, "pools": pools}


SPECS: tuple[Mapping[str, Any], ...] = (
    {
        # Rounds come when a schedule asks for one, so that nothing but the schedule takes time.
        "kind": "ShareType",
        "name": "twice",
        "replicas": {"count": 2, "apart": "backend", "interval": "1 h", "loss": "2 h"},
    },
    *(_backend(name) for name in BACKENDS),
)


def schedules_world(binary: Path) -> AbstractAsyncContextManager[World]:
    """A server and a worker of the schedules' own."""
    return world_of_its_own(binary, documents=SPECS, limits=LIMITS)
