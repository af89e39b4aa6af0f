"""The fault matrix: every operation, at every fault point that it passes, under every fault that makes sense there.

A cell that fails names the command that plays it alone.
"""

from __future__ import annotations

import pytest

from shareflow import faults, names
from tests.matrix import invariants
from tests.matrix.cells import FAULTS, Cell, every_cell
from tests.matrix.conftest import SUMMARY
from tests.matrix.points import POINTS
from tests.matrix.recording import points_of
from tests.matrix.runner import Runner
from tests.matrix.scenarios import SCENARIOS
from tests.support.world import World

CELLS = every_cell()
ELSEWHERE: frozenset[str] = frozenset()
"""Points that no operation passes; their own tests hit them."""


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.id)
async def test_the_operation_ends_by_itself_and_every_invariant_holds(runner: Runner, cell: Cell) -> None:
    """Whatever happens at one point, nothing is lost, nothing is stuck, nothing is orphaned."""
    report = await runner.report(cell)
    assert not report.problems, str(report)


async def test_no_cell_needs_an_operator(runner: Runner, request: pytest.FixtureRequest) -> None:
    """Every operation of the matrix ended succeeded, failed-clean or cancelled, without anybody's help."""
    request.config.stash[SUMMARY] = runner.line()
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


def test_every_declared_fault_point_is_in_the_matrix() -> None:
    """A point that is never hit proves nothing."""
    played = {cell.name for cell in CELLS}
    assert set(faults.declared()) - played == ELSEWHERE


def test_every_operation_and_every_fault_is_in_the_matrix() -> None:
    """The matrix is whole."""
    assert {SCENARIOS[cell.scenario].kind for cell in CELLS} == set(names.OPERATION_TYPES)
    assert {cell.fault for cell in CELLS} == set(FAULTS)
    assert len(CELLS) == len(set(CELLS))


async def test_every_declared_fault_point_was_hit(runner: Runner) -> None:
    """What the table says has really happened in this run."""
    if len(runner.reports) < len(CELLS):
        pytest.skip("only a part of the matrix was selected")
    hits = faults.hits()
    assert [name for name in faults.declared() if not hits.get(name) and name not in ELSEWHERE] == []
