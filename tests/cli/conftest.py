"""The command line against an embedded Shareflow of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.processes import Up, end, fake_specs
from tests.support.quick import quick_directory


@pytest.fixture
def own_up(tmp_path: Path, temporal_binary: Path) -> Iterator[Up]:
    """One that a test may kill; not started yet."""
    assert temporal_binary.exists()
    up = Up(tmp_path / "state", fake_specs(tmp_path))
    yield up
    end(up)


@pytest.fixture(scope="module")
def up(temporal_binary: Path) -> Iterator[Up]:
    """One for all tests of a module."""
    assert temporal_binary.exists()
    with quick_directory() as directory:
        shared = Up(directory / "state", fake_specs(directory))
        shared.start()
        yield shared
        end(shared)
