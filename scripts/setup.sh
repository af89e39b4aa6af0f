#!/bin/sh
# Make .venv from the lock file, if it is not there and current. Needs python3 (3.11 or newer) with venv.
# PYTHON=/path/to/python chooses another interpreter.
set -eu
cd "$(dirname "$0")/.."

fit() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

with_venv() {
    "$1" -c 'import ensurepip, venv' >/dev/null 2>&1
}

found=""
without_venv=""
for candidate in ${PYTHON:-} python3 python3.13 python3.12 python3.11 python3.14; do
    if fit "$candidate"; then
        if with_venv "$candidate"; then
            found=$candidate
            break
        fi
        without_venv=${without_venv:-$candidate}
    fi
done

if [ -z "$found" ] && [ -n "$without_venv" ]; then
    version=$("$without_venv" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    echo "setup: $without_venv has no venv module; install it: apt-get install python$version-venv" >&2
    exit 1
fi
if [ -z "$found" ]; then
    here="none"
    if command -v python3 >/dev/null 2>&1; then
        here=$(python3 --version 2>&1 || echo "one that does not run")
    fi
    echo "setup: Python 3.11 or newer is needed, and there is $here; install it, or name one with PYTHON=/path/to/python" >&2
    exit 1
fi

exec "$found" scripts/setup_venv.py
