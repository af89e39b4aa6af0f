"""One world and one runner for all cells; the selected ones run many at a time, ahead of their tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shareflow import faults
from tests.matrix.cells import Cell
from tests.matrix.runner import Runner
from tests.matrix.world import matrix_world
from tests.support.world import World


@pytest.fixture(scope="module")
async def matrix(temporal_binary: Path) -> AsyncIterator[World]:
    """The matrix's own world."""
    async with matrix_world(temporal_binary) as world:
        faults.count_hits(on=True)
        yield world
        faults.count_hits(on=False)


@pytest.fixture(scope="module")
async def runner(matrix: World, request: pytest.FixtureRequest) -> AsyncIterator[Runner]:
    """A runner that has begun all cells whose tests were selected in this module."""
    running = Runner(matrix)
    running.begin(_selected(request))
    yield running
    await running.close()


def _selected(request: pytest.FixtureRequest) -> list[Cell]:
    chosen = []
    for item in request.session.items:
        if isinstance(item, pytest.Function) and item.module is request.module and hasattr(item, "callspec"):
            cell = item.callspec.params.get("cell")
            if isinstance(cell, Cell):
                chosen.append(cell)
    return chosen
