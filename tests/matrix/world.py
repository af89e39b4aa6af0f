"""The world that the cells share: one server, one worker, two fake backends, each cell in a project of its own."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from shareflow.contracts.steps import Limits
from shareflow.server.devserver import DevServer, DevServerSettings
from tests.matrix.guarded import CANARY, PASSWORD_VARIABLE, offer
from tests.support.world import World, running_world

# Short where a fault makes an operation wait, long where only a busy machine would.
LIMITS = Limits(call=3, job=60, heartbeat=1.5, unserved=60, patience=60, retry=0.2, poll=0.02, turn=2)

SLOW = dict.fromkeys(("snapshot_seconds", "clone_seconds", "revert_seconds", "delete_seconds"), 0.08)
BUDGET = {"iops": 1_000_000, "throughput": "1 TiB/s"}
SPECS: tuple[Mapping[str, Any], ...] = (
    {"kind": "ShareType", "name": "standard", "description": "anything"},
    {"kind": "ShareType", "name": "fast", "qos": "gold"},
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
        ],
    },
)
BACKENDS = ("alpha", "beta")


@asynccontextmanager
async def matrix_world(binary: Path, directory: Path, *, database: str | None = None) -> AsyncIterator[World]:
    """A server and a worker of the matrix's own, on SQLite unless another database is given."""
    os.environ[PASSWORD_VARIABLE] = CANARY
    packages = str(offer(directory / "packages"))
    sys.path.append(packages)
    settings = DevServerSettings(
        binary=binary, database=directory / "temporal.db", log_file=directory / "server.log", time_skipping=True
    )
    try:
        async with DevServer(settings) as server:
            opened = running_world(
                server.address, directory / "world", documents=SPECS, database=database, limits=LIMITS
            )
            async with opened as world:
                yield world
    finally:
        sys.path.remove(packages)
        os.environ.pop(PASSWORD_VARIABLE, None)
