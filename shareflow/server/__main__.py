"""``python -m shareflow.server``: make sure that there is a Temporal server binary, and print where."""

from __future__ import annotations

import sys

from shareflow.errors import ServerUnavailable
from shareflow.process import leave
from shareflow.server.resolve import find_temporal


def main() -> int:
    """Find, download or build it; 0 when there is one."""
    try:
        binary = find_temporal(report=lambda line: print(line, file=sys.stderr, flush=True))
    except ServerUnavailable as error:
        print(error, file=sys.stderr)
        return 1
    print(f"Temporal server: {binary}")
    return 0


if __name__ == "__main__":
    leave(main())
