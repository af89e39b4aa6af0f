"""The process of one job, forked by :mod:`drivers.mover.nursery`."""

from __future__ import annotations

import os
import resource
from contextlib import suppress
from pathlib import Path

from drivers.mover.control import stop_on_sigterm
from drivers.mover.copying import CopyProcess
from drivers.mover.jobdir import JobDir
from drivers.mover.process import JobProcess
from drivers.mover.verifying import VerifyProcess

_NICE = 10


def _process(home: JobDir, lock: int) -> JobProcess:
    request = home.request()
    if request is not None and request.options.gentle:
        _step_aside()
    return VerifyProcess(home, lock) if request is not None and request.check else CopyProcess(home, lock)


def _step_aside() -> None:
    """Run, with all further processes, when others do not need the processor."""
    os.nice(_NICE)
    with suppress(OSError):  # only where the kernel groups processes by session; there the group's own value counts
        Path("/proc/self/autogroup").write_text(str(_NICE))


def main(arguments: list[str]) -> int:
    """Run the job of a job directory, with the descriptor of its lock. Exit status: 0 done, 1 not (see the status)."""
    home, lock = JobDir(Path(arguments[0])), int(arguments[1])
    os.set_inheritable(lock, False)
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    stop_on_sigterm()
    return _process(home, lock).run()
