"""Ending processes: this one without the crash at interpreter exit, and children with all they started."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

_GUARD = Path(__file__).parent / "server" / "guard.py"


def leave(code: int) -> NoReturn:
    """Flush standard output, standard error and logging, then end the process at once.

    Every command-line entry point ends here. A process that has used a Temporal client can crash while the interpreter
    shuts down, because threads of the SDK outlive it; ending without that shutdown turns no success into a crash.
    ``atexit`` functions and ``finally`` blocks of other threads do not run.

    Args:
        code: exit code, 0 to 255.
    """
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        # A closed pipe (`shareflow op list | head -1`) is the reader's choice, not an error.
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(code)


def keep_what_is_loaded() -> None:
    """Tell the garbage collector that all there is now stays; call it once, when a long-lived process is ready.

    A worker has 150,000 objects then. Every look at all of them takes about a tenth of a second, in which nobody is
    answered.
    """
    gc.collect()
    gc.freeze()


def dies_with_parent(argv: Sequence[str]) -> list[str]:
    """The argument vector that runs ``argv`` so that the kernel kills it when the calling thread's process ends.

    That holds for SIGKILL too. Linux sends the signal when the *thread* that started the program ends, so start it from
    a thread that lives as long as it should: the main thread, or the one that runs the event loop. On other systems
    than Linux the program is started without the tie.
    """
    return [sys.executable, "-I", "-S", str(_GUARD), str(os.getpid()), *argv]


def terminate_group(process: subprocess.Popen[bytes], *, grace: float, first: signal.Signals = signal.SIGTERM) -> int:
    """End a child that leads its own process group, and the whole group with it.

    Idempotent: a child that has ended already is only reaped, and what is left of its group is killed.

    Args:
        process: a child started with ``start_new_session=True`` or ``process_group=0``.
        grace: seconds between the first signal and SIGKILL.
        first: the polite signal.

    Returns:
        The child's exit code as :class:`subprocess.Popen` gives it (negative: the signal that ended it).
    """
    if process.poll() is None:
        _signal_group(process.pid, first)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=grace)
    _signal_group(process.pid, signal.SIGKILL)
    return process.wait()


def _signal_group(group: int, which: signal.Signals) -> None:
    # PermissionError: macOS gives it for a group of zombies.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, which)
