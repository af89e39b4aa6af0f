"""The fault matrix on PostgreSQL: transactions overlap there, and the database decides who waits."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.matrix.cells import every_cell
from tests.matrix.runner import play_all
from tests.matrix.world import matrix_world
from tests.support.postgres import running_postgres

pytestmark = [pytest.mark.slow, pytest.mark.needs("postgresql")]


@pytest.mark.timeout(3600)
async def test_every_cell_holds_on_postgresql(temporal_binary: Path) -> None:
    """Nothing in the promises depends on which database it is."""
    cells = every_cell()
    with running_postgres() as postgres:
        url = postgres.url(postgres.new_database())
        async with matrix_world(temporal_binary, database=url) as world:
            assert await play_all(world, cells) == []
