"""``python -m shareflow.server [--link PATH]``: make sure that there is a Temporal binary, and print where."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from shareflow.errors import ServerUnavailable
from shareflow.process import leave
from shareflow.server.resolve import find_temporal


def link(binary: Path, at: Path) -> None:
    """Make ``at`` a symbolic link to the binary, replacing an older link in one step."""
    if at.is_symlink() and at.resolve() == binary.resolve():
        return
    fresh = at.with_name(f".{at.name}.{os.getpid()}")
    fresh.symlink_to(binary.resolve())
    fresh.replace(at)


def main() -> int:
    """Find, download or build it; 0 when there is one."""
    parser = argparse.ArgumentParser(prog="python -m shareflow.server", description=__doc__)
    parser.add_argument("--link", type=Path, help="also make a symbolic link to it here")
    options = parser.parse_args()
    try:
        binary = find_temporal(report=lambda line: print(line, file=sys.stderr, flush=True))
    except ServerUnavailable as error:
        print(error, file=sys.stderr)
        return 1
    if options.link is not None:
        link(binary, options.link)
    print(f"Temporal server: {binary}")
    return 0


if __name__ == "__main__":
    leave(main())
