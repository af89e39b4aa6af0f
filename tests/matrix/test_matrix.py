"""The fault matrix: every operation, at every fault point that it passes, under every fault that makes sense there.

A cell that fails names the command that plays it alone.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from shareflow import faults, names
from tests.matrix import invariants
from tests.matrix.cells import FAULTS, Cell, brief, every_cell, of_replicas, server_killed
from tests.matrix.points import POINTS
from tests.matrix.recording import points_of
from tests.matrix.runner import Runner, play_all
from tests.matrix.scenarios import SCENARIOS
from tests.plugins.clean_exit import SUMMARY
from tests.support.world import World

CELLS = [cell for cell in brief() if not of_replicas(cell)]
"""Those of replicas are played in ``test_replicas.py``."""
ELSEWHERE: frozenset[str] = frozenset()
"""Points that no operation passes; their own tests hit them."""
pytestmark = pytest.mark.timeout(600)  # a cell waits for its turn


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.id)
async def test_the_operation_ends_by_itself_and_every_invariant_holds(runner: Runner, cell: Cell) -> None:
    """Whatever happens at one point, nothing is lost, nothing is stuck, nothing is orphaned."""
    report = await runner.report(cell)
    assert not report.problems, str(report)


async def test_no_cell_needs_an_operator(runner: Runner, record_property: Callable[[str, object], None]) -> None:
    """Every operation of the matrix ended succeeded, failed-clean or cancelled, without anybody's help."""
    record_property(SUMMARY, runner.line())
    assert runner.reports, "no cell was selected"
    assert set(runner.summary()) <= {"succeeded", "failed", "cancelled"}


async def test_the_whole_world_is_sound_when_all_cells_have_ended(runner: Runner, matrix: World) -> None:
    """Pools add up, snapshots are unchanged, nothing is orphaned, no chain is broken, no secret is anywhere."""
    assert runner.reports, "no cell was selected"
    assert invariants.whole_world(matrix) == []


@pytest.mark.parametrize("name", SCENARIOS)
async def test_the_table_of_points_is_what_the_operation_passes(matrix: World, name: str) -> None:
    """The matrix is enumerated from a table; one that has fallen behind would leave points out."""
    points, ending = await points_of(matrix, SCENARIOS[name])
    assert ending == SCENARIOS[name].natural
    assert points == POINTS[name], "write it anew: python -m tests.matrix --points"


@pytest.mark.slow
@pytest.mark.timeout(3600)
async def test_every_further_cell_holds(matrix: World) -> None:
    """What other runs leave out: further scenarios, and most steps of migrations."""
    known = set(CELLS)
    further = [cell for cell in every_cell() if cell not in known and not of_replicas(cell)]
    assert await play_all(matrix, further) == []


def test_every_declared_fault_point_is_in_the_matrix() -> None:
    """A point that is never hit proves nothing."""
    played = {cell.name for cell in brief()}
    assert set(faults.declared()) - played == ELSEWHERE


def test_every_operation_and_every_fault_is_in_the_matrix() -> None:
    """The matrix is whole."""
    cells = brief()
    assert {SCENARIOS[cell.scenario].kind for cell in cells} == set(names.OPERATION_TYPES)
    assert {cell.fault for cell in (*cells, *server_killed())} == set(FAULTS)
    assert len(cells) == len(set(cells))


async def test_every_fault_point_of_the_cells_was_hit(runner: Runner) -> None:
    """What the table says has really happened in this run."""
    if len(runner.reports) < len(CELLS):
        pytest.skip("only a part of the matrix was selected")
    hits = faults.hits()
    assert [cell.id for cell in CELLS if "." in cell.point and not hits.get(cell.name)] == []
