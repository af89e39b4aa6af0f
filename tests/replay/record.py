"""``python -m tests.replay.record [NAME ...]``: play every situation and keep its history.

Histories of released versions stay; a new situation, or one whose recipe was changed behind ``workflow.patched``, is
recorded under a new name: ``--suffix v2``.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import tempfile
from collections.abc import Sequence
from pathlib import Path

from shareflow.process import leave
from shareflow.server.devserver import DevServer, DevServerSettings
from shareflow.server.resolve import find_temporal
from tests.replay.situations import SITUATIONS
from tests.support.world import running_world

HISTORIES = Path(__file__).parent / "histories"


async def record(wanted: Sequence[str], suffix: str) -> None:
    """Play and keep. A workflow id is not part of what is replayed, so each recording has new ones."""
    binary = find_temporal(report=print)
    with tempfile.TemporaryDirectory() as directory:
        async with (
            DevServer(DevServerSettings(binary=binary, time_skipping=True)) as server,
            running_world(server.address, Path(directory)) as world,
        ):
            for name in wanted or SITUATIONS:
                handle = await SITUATIONS[name](world, world.project())
                history = await handle.fetch_history()
                file = HISTORIES / f"{name}{suffix}.json.gz"
                file.write_bytes(gzip.compress(history.to_json().encode(), mtime=0))
                print(f"{file.name}: {len(history.events)} events")  # noqa: T201  (a command line)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*SITUATIONS, []], help="situations; default all")
    parser.add_argument("--suffix", default="", help="added to the file names")
    options = parser.parse_args()
    asyncio.run(record(options.names, options.suffix))
    leave(0)
