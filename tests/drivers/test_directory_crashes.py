"""The directory driver, killed in every window: copies within the call, and copies as jobs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from drivers.directory import DirectoryDriver
from tests.drivers.bed import Bed
from tests.drivers.chaos_cases import killed_again_and_again_loses_nothing
from tests.drivers.crash_cases import *  # noqa: F403 - the cases are common to all drivers of the family
from tests.drivers.crash_cases import MakeBed


@pytest.fixture(params=["inline", "jobs"])
def make_bed(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MakeBed]:
    """Pools in directories of their own."""
    beds: list[Bed] = []
    options: dict[str, object] = {"inline_limit": 0} if request.param == "jobs" else {}

    def make() -> Bed:
        folder = tmp_path / str(len(beds))
        beds.append(Bed(DirectoryDriver, folder / "pool", folder / "state", options))
        beds[-1].state_dir.mkdir(parents=True)
        return beds[-1]

    yield make
    for bed in beds:
        bed.close()


@pytest.mark.parametrize("seed", [1, 2])
def test_worker_killed_again_and_again_loses_nothing(make_bed: MakeBed, seed: int) -> None:
    """Killed at any moment, restarted, killed again: the end is the same as without a kill."""
    killed_again_and_again_loses_nothing(make_bed(), seed)
