"""SIGKILL in the middle of what is done with replicas, on real directories and btrfs: it ends by itself."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from inventory import tables
from shareflow import names
from tests.chaos.land import DRIVERS, Land, settled, two_pools

pytestmark = [pytest.mark.slow, pytest.mark.timeout(420)]
REPLICATED = {
    "kind": "ShareType",
    "name": "twice",
    "replicas": {"count": 1, "apart": "pool", "interval": "1 h", "loss": "2 h"},
}
REQUESTS: dict[str, dict[str, Any]] = {
    names.CREATE_REPLICA: {"share": "home", "pool": "two"},
    names.RESYNC_REPLICA: {"share": "home", "replica": "two"},
    names.PROMOTE_REPLICA: {"share": "home"},
    names.DELETE_REPLICA: {"share": "home", "replica": "two"},
}
CASES = [
    (names.CREATE_REPLICA, "backend.create_share.after_call"),
    (names.CREATE_REPLICA, "inventory.commit.after_commit"),
    (names.RESYNC_REPLICA, "inventory.begin.after_commit"),
    (names.RESYNC_REPLICA, "inventory.commit.before_commit"),
    (names.PROMOTE_REPLICA, "backend.fence.before_call"),
    (names.PROMOTE_REPLICA, "backend.fence.after_call"),
    (names.PROMOTE_REPLICA, "mover.verify.after_call"),
    (names.PROMOTE_REPLICA, "inventory.switch_replica.before_commit"),
    (names.PROMOTE_REPLICA, "inventory.switch_replica.after_commit"),
    (names.PROMOTE_REPLICA, "backend.set_access_mode.before_call"),
    (names.DELETE_REPLICA, "backend.delete_share.after_call"),
    (names.DELETE_REPLICA, "inventory.commit.before_commit"),
]

UNTIL_THE_SWITCH = ("backend.fence.before_call", "backend.fence.after_call", "mover.verify.after_call")


@pytest.fixture(params=DRIVERS)
async def land(request: pytest.FixtureRequest, temporal_binary: Path, tmp_path: Path) -> AsyncIterator[Land]:
    """Everything on one driver, with a share in pool one that may have a replica."""
    async with two_pools(temporal_binary, tmp_path, request.param, types=[REPLICATED]) as running:
        await running.run(names.CREATE_SHARE, {"name": "home", "size": "128 MiB", "pool": "one", "type": "twice"})
        write(running.path("home"), 1)
        await running.run(names.CREATE_SNAPSHOT, {"share": "home", "name": "s1"})
        write(running.path("home"), 2)
        yield running


def write(root: Path, version: int) -> None:
    """Give a share recognisable content."""
    for number in range(20):
        (root / f"f{number}").write_bytes(bytes([version, number]) * 40_000)
    os.sync()


@pytest.mark.parametrize(("kind", "point"), CASES)
async def test_worker_then_server_killed_in_the_middle_and_both_copies_are_as_they_should_be(
    land: Land, kind: str, point: str
) -> None:
    """After SIGKILL of the worker at a fault point and of the server right after, everything holds without help."""
    if kind != names.CREATE_REPLICA:
        await land.run(names.CREATE_REPLICA, REQUESTS[names.CREATE_REPLICA])
        await at_rest(land)
        write(land.path("home"), 3)
    written = land.fingerprint("home")
    await land.worker.stop()
    await land.start_worker(fault=point)
    handle = await land.start(kind, REQUESTS[kind], f"op-{uuid.uuid4()}")
    assert await land.worker_died(), f"{point} was never hit"
    await land.start_worker()
    await land.restart_server()
    ending = await settled(handle, await land.client())
    await at_rest(land)
    # Writers are stopped for a while only: a promotion whose worker is away for longer lets them in where they were.
    assert ending == "COMPLETED" or (ending == "FAILED" and point in UNTIL_THE_SWITCH)
    assert land.violations() == []
    promoted = kind == names.PROMOTE_REPLICA and ending == "COMPLETED"
    assert land.place("home").pool == ("two" if promoted else "one")
    assert land.fingerprint("home") == written
    (land.path("home") / "written").write_text("the active copy takes writes")
    others = [] if kind == names.DELETE_REPLICA else ["one" if promoted else "two"]
    assert [pool for pool, _ in replicas(land)] == others


def replicas(land: Land) -> list[tuple[str, str]]:
    """Pool and state of each replica."""
    with land.database.read() as connection:
        rows = connection.execute(
            select(tables.pools.c.name, tables.replicas.c.state)
            .join(tables.instances, tables.instances.c.id == tables.replicas.c.id)
            .join(tables.pools, tables.pools.c.id == tables.instances.c.pool_id)
        )
        return [(row.name, row.state) for row in rows]


async def at_rest(land: Land) -> None:
    """Every replica had its round and is in step, and nothing is held by anybody; the next round is an hour away."""
    async with asyncio.timeout(90):
        while True:
            with land.database.read() as connection:
                held = connection.execute(select(tables.claims.c.operation)).first()
                looked_at = connection.execute(select(tables.replicas.c.tried_at)).scalars().all()
            if held is None and None not in looked_at and all(state == "in_sync" for _, state in replicas(land)):
                return
            await asyncio.sleep(0.2)
