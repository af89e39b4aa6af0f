"""What all tests share: the embedded server with time skipping, one world on fake backends, a real PostgreSQL."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from shareflow import faults
from shareflow.server.devserver import DevServer, DevServerSettings
from shareflow.server.resolve import find_temporal
from tests.support.world import World, running_world

pytest_plugins = ["tests.plugins.clean_exit"]

# The same examples in every run, so that a failure is one of the change; `make test-all` looks for new ones.
settings.register_profile("repeatable", derandomize=True)
settings.register_profile("searching", print_blob=True)
settings.load_profile(os.environ.get("SHAREFLOW_HYPOTHESIS", "repeatable"))


@pytest.fixture(scope="session")
def temporal_binary() -> Path:
    """The Temporal command, found or built once."""
    return find_temporal(report=print)


@pytest.fixture(scope="session")
async def server(temporal_binary: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[DevServer]:
    """One dev server for the session, with time skipping."""
    directory = tmp_path_factory.mktemp("server")
    settings = DevServerSettings(
        binary=temporal_binary, database=directory / "temporal.db", log_file=directory / "log", time_skipping=True
    )
    async with DevServer(settings) as running:
        yield running


@pytest.fixture(scope="session")
async def world(server: DevServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """One world on fake backends for the session; every test uses a project of its own."""
    async with running_world(server.address, tmp_path_factory.mktemp("world")) as running:
        yield running


@pytest.fixture
def disarmed() -> Iterator[None]:
    """Nothing is armed before and after the test."""
    faults.disarm()
    yield
    faults.disarm()
