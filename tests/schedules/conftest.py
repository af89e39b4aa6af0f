"""One world for all schedules; the selected ones are played many at a time, ahead of their tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.schedules.plan import drawn
from tests.schedules.runner import Runner
from tests.schedules.world import schedules_world


@pytest.fixture(scope="module")
async def runner(temporal_binary: Path, request: pytest.FixtureRequest) -> AsyncIterator[Runner]:
    """A runner that has begun all schedules whose tests were selected."""
    async with schedules_world(temporal_binary) as world:
        running = Runner(world)
        running.begin(drawn(seed) for seed in _selected(request))
        yield running
        await running.close()


def _selected(request: pytest.FixtureRequest) -> list[int]:
    items = (item for item in request.session.items if isinstance(item, pytest.Function) and item.path == request.path)
    return [int(str(item.callspec.params["seed"])) for item in items if "seed" in item.fixturenames]
