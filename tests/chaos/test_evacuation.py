"""SIGKILL in the middle of an evacuation, on real directories and btrfs: it ends by itself, every share leaves."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select
from temporalio.client import WorkflowHandle

from inventory import tables
from shareflow import names
from tests.chaos.land import DRIVERS, RECOVERY_SECONDS, Land, settled, two_pools
from tests.chaos.test_kill import write

pytestmark = [pytest.mark.slow, pytest.mark.timeout(420)]

SHARES = ("s1", "s2", "s3", "s4")
REQUEST = {"backend": "real", "pool": "one", "to_pool": "two", "concurrency": 2, "grace": 0, "verify": "full"}
POINTS = (
    "inventory.begin.after_commit",
    "inventory.follow_evacuation.after_commit",
    "the copy",
    "backend.fence.after_call",
    "inventory.switch_share.after_commit",
    "backend.delete_share.before_call",
    "inventory.commit.after_commit",
)
COPIES = {"directory": "mover.copy.after_call", "btrfs": "mover.receive.after_call"}
"""Where content has arrived, by the driver of both pools."""
VICTIMS = (("worker",), ("server",), ("worker", "server"))


@pytest.fixture(params=DRIVERS)
async def land(request: pytest.FixtureRequest, temporal_binary: Path, tmp_path: Path) -> AsyncIterator[Land]:
    """Shares with content in one of two pools, the first with a snapshot; no worker runs."""
    async with two_pools(temporal_binary, tmp_path, request.param) as running:
        for number, name in enumerate(SHARES):
            await running.run(names.CREATE_SHARE, {"name": name, "size": "64 MiB", "pool": "one"})
            write(running.path(name), number)
        await running.run(names.CREATE_SNAPSHOT, {"share": SHARES[0], "name": "monday"})
        await running.worker.stop()
        yield running


def contents(land: Land) -> dict[str, str]:
    """Digest of every share's content and metadata."""
    return {name: land.fingerprint(name) for name in SHARES}


async def begin(land: Land) -> WorkflowHandle[Any, Any]:
    """Start the evacuation."""
    return await land.start(names.EVACUATE_POOL, REQUEST, f"op-{uuid.uuid4()}")


async def half_way(land: Land) -> None:
    """Wait until some shares have left altogether, and others have not."""
    here = tables.instances.join(tables.pools, tables.pools.c.id == tables.instances.c.pool_id)
    left = select(func.count()).select_from(here).where(tables.pools.c.name == "one")
    async with asyncio.timeout(60):
        while True:
            with land.database.read() as connection:
                found = connection.execute(left).scalar_one()
            if found < len(SHARES):
                assert found > 0, "the evacuation was over before anything was killed"
                return
            await asyncio.sleep(0.02)


async def check_all_have_left(land: Land, evacuation: WorkflowHandle[Any, Any], before: dict[str, str]) -> None:
    """It has ended by itself; every share is in the other pool with all its content; every invariant holds."""
    client = await land.client()
    assert await settled(evacuation, client, seconds=RECOVERY_SECONDS * len(SHARES) / 2) == "COMPLETED"
    result = await client.get_workflow_handle(evacuation.id).result()
    assert (result["outcome"], result["moved"], result["left"]) == ("evacuated", len(SHARES), 0)
    assert {land.place(name).pool for name in SHARES} == {"two"}
    assert contents(land) == before
    assert land.violations() == []


@pytest.mark.parametrize("point", POINTS)
async def test_worker_then_server_killed_at_a_step_of_an_evacuation_and_every_share_leaves(
    land: Land, point: str
) -> None:
    """After SIGKILL of the worker at a fault point and of the server right after, it goes on without help."""
    before, point = contents(land), COPIES[land.driver_name] if point == "the copy" else point
    await land.start_worker(fault=point)
    evacuation = await begin(land)
    assert await land.worker_died(), f"{point} was never hit"
    await land.start_worker()
    await land.restart_server()
    await check_all_have_left(land, evacuation, before)


@pytest.mark.parametrize("victims", VICTIMS, ids="-and-".join)
async def test_killed_half_way_through_an_evacuation_and_every_share_leaves(land: Land, victims: Sequence[str]) -> None:
    """After SIGKILL with some shares moved and others on their way, all have left in the end."""
    before = contents(land)
    await land.start_worker()
    evacuation = await begin(land)
    await half_way(land)
    if "worker" in victims:
        land.worker.kill()
        assert await land.worker.wait() == -9
    if "server" in victims:
        await land.restart_server()
    await land.start_worker()
    await check_all_have_left(land, evacuation, before)
