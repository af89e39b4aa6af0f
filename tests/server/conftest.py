"""A real Temporal binary for the tests of the embedded server."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from shareflow.server.resolve import find_temporal


@pytest.fixture(scope="session")
async def temporal_binary() -> Path:
    """The binary that `make test` has made sure of."""
    return await asyncio.to_thread(find_temporal, report=print)
