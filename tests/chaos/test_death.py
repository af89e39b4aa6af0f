"""A worker that dies inside its process: the process ends and says why, and the next one goes on."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from shareflow import names
from tests.chaos.land import running_land
from tests.support.brittle import BrittleDriver
from tests.support.offering import offer

WORKER_DIED = 1


async def test_process_with_a_dead_worker_ends_and_the_next_one_finishes_the_operation(
    temporal_binary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A backend that nobody serves while the process lives on would be found by nobody."""
    packages = str(offer(tmp_path / "packages", "brittle", f"{BrittleDriver.__module__}:BrittleDriver"))
    monkeypatch.setenv("PYTHONPATH", packages)
    monkeypatch.syspath_prepend(packages)
    pools = {"p1": tmp_path / "p1"}
    pools["p1"].mkdir()
    async with running_land(temporal_binary, tmp_path, "brittle", pools) as land:
        await land.start_worker()
        request = {"project": "p", "name": "home", "size": "1 MiB"}
        handle = await land.start(names.CREATE_SHARE, request, "op-1")
        assert await asyncio.wait_for(land.worker.wait(), 30) == WORKER_DIED
        assert "error: the worker has died" in land.worker.last_line
        assert "BrokenProcessPool: a child of the driver was killed" in land.worker.last_line
        await land.start_worker()
        result = await asyncio.wait_for(handle.result(), 60)
        assert result["name"] == "home", result
        assert land.violations() == []


async def test_process_whose_workers_cannot_begin_ends_and_says_why(temporal_binary: Path, tmp_path: Path) -> None:
    """A namespace that is not there would make every worker wait for ever."""
    pools = {"p1": tmp_path / "p1"}
    pools["p1"].mkdir()
    async with running_land(temporal_binary, tmp_path, "directory", pools, namespace="nowhere") as land:
        land.worker.start()
        assert not await asyncio.wait_for(land.worker.ready(), 60)
        assert await land.worker.wait() == WORKER_DIED
        assert "nowhere" in land.worker.last_line
