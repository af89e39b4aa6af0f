"""The world that the cells share: one server, one worker, fake backends, each cell in a project of its own."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from shareflow.contracts.steps import Limits
from tests.matrix.guarded import CANARY, PASSWORD_VARIABLE, GuardedDriver
from tests.support.offering import offer
from tests.support.quick import quick_directory
from tests.support.world import World, world_of_its_own

# Short where a fault makes an operation wait, long where only a busy machine would.
LIMITS = Limits(
    call=5, job=60, heartbeat=1.5, unserved=60, patience=60, retry=0.2, poll=0.02, turn=2, fenced=90, settle=0.2
)

SLOW = dict.fromkeys(("snapshot_seconds", "clone_seconds", "revert_seconds", "delete_seconds", "receive_seconds"), 0.08)
BUDGET = {"iops": 1_000_000, "throughput": "1 TiB/s"}
SPECS: tuple[Mapping[str, Any], ...] = (
    {"kind": "ShareType", "name": "standard", "description": "anything"},
    {"kind": "ShareType", "name": "fast", "qos": "gold"},
    {
        # Rounds come with what makes a replica, and not while a cell looks at it.
        "kind": "ShareType",
        "name": "twice",
        "replicas": {"count": 2, "apart": "pool", "interval": "1 h", "loss": "2 h"},
    },
    {"kind": "QosClass", "name": "gold", "max_iops_per_gib": 100, "min_iops_per_gib": 10, "max_throughput": "1 MiB/s"},
    {"kind": "QosClass", "name": "silver", "max_iops": 50, "min_iops": 40},
    {"kind": "Quota", "project": "*", "limits": {"shares": 10, "bytes": "100 GiB", "snapshots": 10}},
    {
        "kind": "Backend",
        "name": "alpha",  # jobs are over at once
        "driver": "guarded",
        "slots": 32,
        "options": {"password": {"env": PASSWORD_VARIABLE}},
        "pools": [
            {"name": "a1", "zone": "east", "options": {"capacity": "1 PiB"}, "qos": dict(BUDGET)},
            {"name": "a2", "zone": "west", "options": {"capacity": "900 TiB"}, "qos": dict(BUDGET)},
        ],
    },
    {
        "kind": "Backend",
        "name": "beta",  # jobs take a moment
        "driver": "fake",
        "slots": 32,
        "options": SLOW,
        "pools": [
            {"name": "b1", "zone": "west", "options": {"capacity": "800 TiB"}, "qos": dict(BUDGET)},
            {"name": "b2", "zone": "north", "options": {"capacity": "700 TiB"}, "qos": dict(BUDGET)},
            {"name": "drained", "zone": "south", "options": {"capacity": "1 MiB"}},  # too small for every share
        ],
    },
    {
        "kind": "Backend",
        "name": "gamma",  # no cell has a share there, so that it can fail over
        "driver": "fake",
        "slots": 2,
        "pools": [{"name": "g1", "zone": "south", "options": {"capacity": "1 MiB"}}],
    },
)
BACKENDS = ("alpha", "beta")


@asynccontextmanager
async def matrix_world(binary: Path, *, database: str | None = None) -> AsyncIterator[World]:
    """A server and a worker of the matrix's own, on SQLite unless another database is given."""
    with quick_directory() as directory:
        os.environ[PASSWORD_VARIABLE] = CANARY
        packages = str(offer(directory, "guarded", f"{GuardedDriver.__module__}:GuardedDriver"))
        sys.path.append(packages)
        try:
            async with world_of_its_own(binary, documents=SPECS, database=database, limits=LIMITS) as world:
                yield world
        finally:
            sys.path.remove(packages)
            os.environ.pop(PASSWORD_VARIABLE, None)
