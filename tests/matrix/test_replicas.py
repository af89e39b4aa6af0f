"""The part of the fault matrix that plays with replicas, in a world of its own.

Each of its cells leaves a sync that runs on: among hundreds of them all others would be slow.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from shareflow import faults
from tests.matrix import invariants
from tests.matrix.cells import Cell, brief, every_cell, of_replicas
from tests.matrix.runner import Runner, play_all
from tests.plugins.clean_exit import SUMMARY
from tests.support.world import World

CELLS = [cell for cell in brief() if of_replicas(cell)]
pytestmark = pytest.mark.timeout(600)  # a cell waits for its turn


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.id)
async def test_the_operation_ends_by_itself_and_every_invariant_holds(runner: Runner, cell: Cell) -> None:
    """Whatever happens at one point, nothing is lost, nothing is stuck, nothing is orphaned."""
    report = await runner.report(cell)
    assert not report.problems, str(report)


async def test_all_of_it_has_ended_and_the_whole_world_is_sound(
    runner: Runner, matrix: World, record_property: Callable[[str, object], None]
) -> None:
    """Nobody's help was needed, pools add up, snapshots are unchanged, nothing is orphaned, every point was hit."""
    record_property(SUMMARY, runner.line())
    assert runner.reports, "no cell was selected"
    assert set(runner.summary()) <= {"succeeded", "failed", "cancelled"}
    assert invariants.whole_world(matrix) == []
    hits = faults.hits()
    assert [cell.id for cell in runner.reports if "." in cell.point and not hits.get(cell.name)] == []


@pytest.mark.slow
@pytest.mark.timeout(3600)
async def test_every_further_cell_of_replicas_holds(matrix: World) -> None:
    """What a run leaves out because passes take so many steps."""
    known = set(CELLS)
    further = [cell for cell in every_cell() if of_replicas(cell) and cell not in known]
    assert await play_all(matrix, further) == []
