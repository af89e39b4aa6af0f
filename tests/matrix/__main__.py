"""Run cells of the fault matrix by hand.

python -m tests.matrix "CreateShare|backend.create_share.after_call|F2"   one cell, or several, or globs
python -m tests.matrix                                                    those that every run plays
python -m tests.matrix --every                                            all of them
python -m tests.matrix --list                                             their ids
python -m tests.matrix --points                                           write the table of points anew
"""

from __future__ import annotations

import argparse
import asyncio
import fnmatch
import logging
import sys
from contextlib import ExitStack
from pathlib import Path

from shareflow.process import leave
from shareflow.server.resolve import find_temporal
from tests.matrix import invariants
from tests.matrix.cells import Cell, brief, every_cell, server_killed
from tests.matrix.recording import record_points, written
from tests.matrix.runner import AT_ONCE, Runner
from tests.matrix.world import matrix_world
from tests.support.postgres import running_postgres


def _chosen(patterns: list[str], *, every: bool) -> list[Cell]:
    if not patterns:
        return every_cell() if every else brief()
    found = [
        cell
        for cell in (*every_cell(), *server_killed())
        if any(fnmatch.fnmatchcase(cell.id, pattern) for pattern in patterns)
    ]
    if not found:
        raise SystemExit(f"no cell is called {patterns}; list them with --list")
    return found


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


async def _main(options: argparse.Namespace) -> int:
    binary = find_temporal(report=_say)
    with ExitStack() as stack:
        database = None
        if options.postgres:
            server = stack.enter_context(running_postgres())
            database = server.url(server.new_database())
        async with matrix_world(binary, database=database) as world:
            if options.points:
                Path(__file__).with_name("points.py").write_text(written(await record_points(world)))
                return 0
            runner = Runner(world, at_once=options.at_once)
            cells = _chosen(options.cells, every=options.every)
            runner.begin(cell for cell in cells if cell.fault != "F16")  # these come after all others, one by one
            bad = 0
            for cell in cells:
                report = await runner.report(cell)
                bad += bool(report.problems)
                if report.problems:
                    _say(str(report))
            await runner.close()
            wrong = invariants.whole_world(world)
            _say("\n".join([*wrong, runner.line()]))
            return 1 if bad or wrong else 0


def entry() -> None:
    """Command line; exits 1 when a cell has a problem."""
    parser = argparse.ArgumentParser(prog="python -m tests.matrix", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("cells", nargs="*", help="cell ids or globs; when none is given, those of every run")
    parser.add_argument("--every", action="store_true", help="all cells, also those of the slow test")
    parser.add_argument("--list", action="store_true", help="print the ids")
    parser.add_argument("--points", action="store_true", help="write the table of points anew")
    parser.add_argument("--postgres", action="store_true", help="on a PostgreSQL server that is made for it")
    parser.add_argument("--at-once", type=int, default=AT_ONCE, help="cells that run at the same time")
    options = parser.parse_args()
    if options.list:
        _say("\n".join(cell.id for cell in _chosen(options.cells, every=options.every)))
        leave(0)
    logging.disable(logging.CRITICAL)  # every cell makes warnings on purpose
    leave(asyncio.run(_main(options)))


if __name__ == "__main__":
    entry()
