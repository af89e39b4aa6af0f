"""F16: the Temporal server is killed in the middle of a migration or an evacuation and started again on its state."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.matrix import invariants
from tests.matrix.cells import Cell, server_killed
from tests.matrix.points import POINTS
from tests.matrix.runner import Runner
from tests.matrix.world import matrix_world
from tests.support.world import World


@pytest.fixture(scope="module")
async def matrix(temporal_binary: Path) -> AsyncIterator[World]:
    """A world of its own: every cell takes the server away from all that runs."""
    async with matrix_world(temporal_binary) as world:
        yield world


@pytest.fixture(scope="module")
async def runner(matrix: World) -> AsyncIterator[Runner]:
    """A runner that begins each cell when its test asks for it."""
    running = Runner(matrix)
    yield running
    await running.close()


@pytest.mark.parametrize("cell", server_killed(), ids=lambda cell: cell.id)
async def test_the_operation_ends_by_itself_and_every_invariant_holds(runner: Runner, cell: Cell) -> None:
    """What was acknowledged is there, and what was under way goes on, without anybody's help."""
    report = await runner.report(cell)
    assert not report.problems, str(report)


async def test_the_whole_world_is_sound_after_all_restarts(runner: Runner, matrix: World) -> None:
    """Nothing is orphaned, and every account adds up."""
    assert runner.reports, "no cell was selected"
    assert invariants.whole_world(matrix) == []


def test_server_is_killed_only_at_points_that_are_passed() -> None:
    """A cell at a point that an operation never comes to would prove nothing."""
    assert [cell.id for cell in server_killed() if cell.name not in POINTS[cell.scenario]] == []
