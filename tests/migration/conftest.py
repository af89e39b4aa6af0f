"""A server of its own: the worlds here have workers that must not take each other's work."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shareflow.server.devserver import DevServer, DevServerSettings
from tests.support.quick import quick_directory


@pytest.fixture(scope="package")
async def server(temporal_binary: Path) -> AsyncIterator[DevServer]:
    """One dev server for these tests."""
    with quick_directory() as directory:
        settings = DevServerSettings(
            binary=temporal_binary, database=directory / "temporal.db", log_file=directory / "log", time_skipping=True
        )
        async with DevServer(settings) as running:
            yield running
