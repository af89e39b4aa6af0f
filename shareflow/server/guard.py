"""Become another program that dies with its parent.

Run as ``python -I -S guard.py <parent pid> <program> [arguments]``. It asks the kernel to send SIGKILL when the parent
ends, however it ends, and then replaces itself with the program, so that no process stays in between. Standard
library only: it is started before anything else is known to work.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
EXIT_ORPHAN = 125
EXIT_NOT_STARTED = 126


def main(arguments: list[str]) -> int:
    """Replace this process with the program; returns an exit code only when that is impossible."""
    parent, argv = int(arguments[0]), arguments[1:]
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0) != 0:
            sys.stderr.write(f"cannot tie {argv[0]} to its parent: {os.strerror(ctypes.get_errno())}\n")
            return EXIT_NOT_STARTED
    # The parent may have died before the kernel knew; then no signal will ever come.
    if os.getppid() != parent:
        return EXIT_ORPHAN
    try:
        os.execvp(argv[0], argv)
    except OSError as error:
        sys.stderr.write(f"cannot start {argv[0]}: {error.strerror}\n")
    return EXIT_NOT_STARTED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
