"""One world and one runner for all cells; the selected ones run many at a time, ahead of their tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from shareflow import faults
from tests.matrix.cells import Cell
from tests.matrix.runner import Runner
from tests.matrix.world import matrix_world
from tests.support.world import World

if TYPE_CHECKING:
    from _pytest.terminal import TerminalReporter


SUMMARY = pytest.StashKey[str]()


def pytest_terminal_summary(terminalreporter: TerminalReporter, config: pytest.Config) -> None:
    """Say how many cells there were and how they ended."""
    line = config.stash.get(SUMMARY, "")
    if line:
        terminalreporter.line(line)


@pytest.fixture(scope="module")
async def matrix(temporal_binary: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """The matrix's own world."""
    async with matrix_world(temporal_binary, tmp_path_factory.mktemp("matrix")) as world:
        faults.count_hits(on=True)
        yield world
        faults.count_hits(on=False)


@pytest.fixture(scope="module")
async def runner(matrix: World, request: pytest.FixtureRequest) -> AsyncIterator[Runner]:
    """A runner that has begun all cells whose tests were selected."""
    running = Runner(matrix)
    running.begin(_selected(request.session))
    yield running
    await running.close()


def _selected(session: pytest.Session) -> list[Cell]:
    chosen = []
    for item in session.items:
        if isinstance(item, pytest.Function) and hasattr(item, "callspec"):
            cell = item.callspec.params.get("cell")
            if isinstance(cell, Cell):
                chosen.append(cell)
    return chosen
