#!/bin/sh
# Set up all that the tests need, then run them. Arguments go to pytest.
# Two files of tests run side by side for each processor, up to eight, each with servers of its own: they wait more
# than they work. JOBS=1 runs one after the other.
set -eu
cd "$(dirname "$0")/.."
sh scripts/setup.sh
.venv/bin/python scripts/system_packages.py
.venv/bin/python -m shareflow.server --link .venv/bin/temporal
twice=$(($(nproc 2>/dev/null || echo 1) * 2))
jobs=${JOBS:-$((twice < 8 ? twice : 8))}
if [ "$jobs" -gt 1 ]; then
    set -- -n "$jobs" --dist loadfile "$@"
fi
exec .venv/bin/python -m pytest "$@"
