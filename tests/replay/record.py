"""``python -m tests.replay.record [NAME ...]``: play every situation and keep its history.

Histories of released versions stay; a new situation, or one whose recipe was changed behind ``workflow.patched``, is
recorded under a new name: ``--suffix v2``.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import logging
import tempfile
from collections.abc import Sequence
from pathlib import Path

from temporalio.client import WorkflowHistory

from shareflow.process import leave
from shareflow.server.devserver import DevServer, DevServerSettings
from shareflow.server.resolve import find_temporal
from tests.matrix.cells import parse
from tests.matrix.replays import Replays
from tests.matrix.runner import Play
from tests.matrix.world import matrix_world
from tests.replay.faulty import CELLS
from tests.replay.situations import SITUATIONS
from tests.support.world import running_world

HISTORIES = Path(__file__).parent / "histories"


def keep(name: str, suffix: str, history: WorkflowHistory) -> None:
    """Write one history."""
    file = HISTORIES / f"{name}{suffix}.json.gz"
    file.write_bytes(gzip.compress(history.to_json().encode(), mtime=0))
    print(f"{file.name}: {len(history.events)} events")  # noqa: T201  (a command line)


async def record_cells(wanted: Sequence[str], suffix: str) -> None:
    """Play cells of the fault matrix and keep their histories."""
    async with matrix_world(find_temporal(report=print)) as world:
        replays = Replays()
        for name in wanted:
            play = Play(world, parse(CELLS[name]), replays)
            ending, problems = await play.run()
            if problems or play.history is None:
                raise SystemExit(f"{name} ended {ending}: {problems}")
            keep(name, suffix, play.history)
        await replays.close()


async def record(wanted: Sequence[str], suffix: str) -> None:
    """Play and keep. A history is replayed under the id that it was recorded with, so each recording has new ones."""
    await record_cells([name for name in wanted or CELLS if name in CELLS], suffix)
    binary = find_temporal(report=print)
    with tempfile.TemporaryDirectory() as directory:
        async with (
            DevServer(DevServerSettings(binary=binary, time_skipping=True)) as server,
            running_world(server.address, Path(directory)) as world,
        ):
            for name in (name for name in wanted or SITUATIONS if name in SITUATIONS):
                handle = await SITUATIONS[name](world, world.project())
                keep(name, suffix, await handle.fetch_history())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*CELLS, *SITUATIONS, []], help="situations; default all")
    parser.add_argument("--suffix", default="", help="added to the file names")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)  # faults make warnings on purpose
    asyncio.run(record(options.names, options.suffix))
    leave(0)
