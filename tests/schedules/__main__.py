"""Play schedules by hand.

python -m tests.schedules 17          the schedule of a seed; its history is printed when a promise is broken
python -m tests.schedules 17 18 19    several at once
python -m tests.schedules 17 --show   print the history whatever it is
python -m tests.schedules --count 500 --from 1000
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import time

from shareflow.process import leave
from shareflow.server.resolve import find_temporal
from tests.schedules.plan import drawn
from tests.schedules.runner import Runner
from tests.schedules.world import schedules_world


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


async def _main(options: argparse.Namespace) -> int:
    seeds = options.seeds or range(options.first, options.first + options.count)
    binary = find_temporal(report=_say)
    async with schedules_world(binary) as world:
        runner, began = Runner(world), time.process_time()
        schedules = [drawn(seed) for seed in seeds]
        runner.begin(schedules)
        for schedule in schedules:
            report = await runner.report(schedule)
            if report.problems or options.show:
                _say(str(report))
        await runner.close()
        _say(f"{runner.line()}; {time.process_time() - began:.0f} s of this process")
        return 1 if any(report.problems for report in runner.reports) else 0


def entry() -> None:
    """Command line; exits 1 when a promise is broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.schedules", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("seeds", nargs="*", type=int)
    parser.add_argument("--count", type=int, default=200, help="how many, when no seed is given")
    parser.add_argument("--from", dest="first", type=int, default=0, help="the first of them")
    parser.add_argument("--show", action="store_true", help="print every history")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)  # every schedule makes warnings on purpose
    leave(asyncio.run(_main(options)))


if __name__ == "__main__":
    entry()
