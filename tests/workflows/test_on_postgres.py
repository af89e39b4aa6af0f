"""The same operations on PostgreSQL, and a database that goes away in the middle."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shareflow import names
from tests.support.postgres import PostgresServer, running_postgres
from tests.support.world import World, world_of_its_own

pytestmark = pytest.mark.needs("postgresql")


@pytest.fixture(scope="module")
async def land(
    temporal_binary: Path,
) -> AsyncIterator[tuple[World, PostgresServer]]:
    """A world of its own on a real PostgreSQL."""
    with running_postgres() as postgres:
        url = postgres.url(postgres.new_database())
        async with world_of_its_own(temporal_binary, database=url) as world:
            yield world, postgres


async def test_a_share_lives_from_creation_to_purge_on_postgresql(land: tuple[World, PostgresServer]) -> None:
    """Nothing in the recipes depends on which database it is."""
    world, _ = land
    project = world.project()
    await world.run(names.CREATE_SHARE, {"project": project, "name": "home", "size": "10 GiB"})
    await world.run(names.CREATE_SNAPSHOT, {"project": project, "share": "home", "name": "s1"})
    request = {"project": project, "share": "home", "snapshot": "s1", "name": "copy", "size": "20 GiB"}
    await world.run(names.CREATE_SHARE_FROM_SNAPSHOT, request)
    await world.run(names.REVERT_SHARE, {"project": project, "share": "home", "snapshot": "s1"})
    await world.run(names.RESIZE_SHARE, {"project": project, "share": "home", "size": "5 GiB"})
    for name in ("home", "copy"):
        deletion = await world.start(names.DELETE_SHARE, {"project": project, "share": name})
        await world.until(deletion, "recycle-bin")
        await deletion.execute_update(names.PURGE_NOW, {})
        assert (await world.result(deletion))["outcome"] == "purged"


async def test_forty_requests_at_once_on_one_share_all_end_in_order_of_arrival(
    land: tuple[World, PostgresServer],
) -> None:
    """Overlapping transactions of PostgreSQL neither lose a place in line nor grant one twice."""
    world, _ = land
    project = world.project()
    await world.run(names.CREATE_SHARE, {"project": project, "name": "home", "size": "1 GiB"})
    requests = [{"project": project, "share": "home", "name": f"s{number}"} for number in range(40)]
    results = await asyncio.gather(*(world.run(names.CREATE_SNAPSHOT, request) for request in requests))
    assert len({result["snapshot_id"] for result in results}) == 40


async def test_database_down_in_the_middle_makes_operations_wait_and_go_on(
    land: tuple[World, PostgresServer],
) -> None:
    """The operation says that it waits for the database, and ends by itself when that is back."""
    world, postgres = land
    project = world.project()
    await asyncio.to_thread(postgres.stop)
    try:
        handle = await world.start(names.CREATE_SHARE, {"project": project, "name": "home", "size": "1 GiB"})
        status = await world.until(handle, "waiting", seconds=40)
        assert "inventory database" in status["waiting_for"]
        assert names.RETRY_NOW in status["commands"]
    finally:
        await asyncio.to_thread(postgres.start)
    assert (await asyncio.wait_for(world.result(handle), 60))["name"] == "home"
