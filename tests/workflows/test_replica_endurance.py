"""A sync that runs for years: neither its history, nor the inventory, nor the backends, nor the worker grow with it."""

from __future__ import annotations

import asyncio
import gc

import psutil
import pytest
from sqlalchemy import func, select
from sqlmodel import SQLModel

from inventory import tables
from shareflow import names
from tests.support.replicas import Replicated

SHORT = 250 + 60
"""Events at which a run of a sync ends, and those of its last round."""
CHANGED_EVERY = 10
WARM = 60
MIB = 2**20


async def _rounds(home: Replicated, replica: str, count: int, *, first: int) -> int:
    """So many rounds, one right after the other; in some there is something new. Gives the longest history seen."""
    handle, longest = home.sync(replica), 0
    for number in range(first, first + count):
        if number % CHANGED_EVERY == 0:
            home.write("docs/a", str(number).encode())
        before = home.row(replica)["tried_at"]
        await handle.signal(names.CLAIM_GRANTED)
        async with asyncio.timeout(60):
            while home.row(replica)["tried_at"] == before or home.row(replica)["state"] != "in_sync":  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        if number % 7 == 0:
            longest = max(longest, (await handle.describe()).history_length)
    return longest


def _sizes(home: Replicated) -> dict[str, int]:
    """How many rows each table has, and how many objects there are on the backends."""
    with home.scene.world.database.read() as connection:
        sizes = {
            table.name: connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in SQLModel.metadata.sorted_tables
        }
    return {**sizes, "objects": len(home.scene.objects())}


async def _settled(home: Replicated, replica: str) -> dict[str, int]:
    await home.scene.when(lambda: home.scene.one(tables.instances, id=replica)["claimed_by"] is None)
    return _sizes(home)


@pytest.mark.timeout(7200)
@pytest.mark.parametrize("rounds", [200, pytest.param(10_000, marks=pytest.mark.slow)])
async def test_rounds_leave_nothing_behind(home: Replicated, rounds: int) -> None:
    """History, rows and objects are after them what they were before; memory grows by next to nothing."""
    await home.create()
    replica = await home.replicate()
    await _rounds(home, replica, WARM, first=1)
    before, held = await _settled(home, replica), _held()
    longest = await _rounds(home, replica, rounds, first=WARM + 1)
    assert 0 < longest <= SHORT
    assert await _settled(home, replica) == before
    # What the doubles of the backends keep for the tests is bounded too, and is in this figure.
    assert _held() - held < 100 * MIB
    assert home.tree()["docs/a"] == str((WARM + rounds) // CHANGED_EVERY * CHANGED_EVERY).encode()
    await home.in_step(replica)


async def test_back_off_goes_on_in_the_next_run(home: Replicated) -> None:
    """A replica that fails is not tried more often because its sync goes on in a new run."""
    await home.create()
    replica = await home.replicate()
    beta, sync = home.scene.world.array("beta"), home.row(replica)["sync_operation"]
    await home.in_step(replica)
    fault = beta.script.add("reject", verb="receive_snapshot", operation=sync, times=None, message="out of order")
    home.write("docs/b", b"two")
    await home.failing(replica, "out of order")
    handle = home.sync(replica)
    run = (await handle.describe()).run_id
    async with asyncio.timeout(90):
        while (await handle.describe()).run_id == run:
            await handle.signal(names.CLAIM_GRANTED)
            await asyncio.sleep(0.2)
    await home.failing(replica, "out of order")
    async with asyncio.timeout(30):
        while not (pauses := await home.pauses(replica)):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    assert min(pauses) == 1.0, "the interval of the type, which back-off had reached long before"
    beta.script.lift(fault)
    await home.in_step(replica, seconds=30)


def _held() -> int:
    gc.collect()
    return int(psutil.Process().memory_info().rss)
