#!/bin/sh
# Set up all that the tests need, then run them. Arguments go to pytest.
# JOBS=2 runs files of tests side by side, each half with servers of its own.
set -eu
cd "$(dirname "$0")/.."
sh scripts/setup.sh
.venv/bin/python scripts/system_packages.py
.venv/bin/python -m shareflow.server --link .venv/bin/temporal
if [ "${JOBS:-1}" -gt 1 ]; then
    set -- -n "$JOBS" --dist loadfile "$@"
fi
exec .venv/bin/python -m pytest "$@"
