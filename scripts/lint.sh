#!/bin/sh
# All checks that need no running server; every one runs, and one that fails makes the whole fail.
set -u
cd "$(dirname "$0")/.."
sh scripts/setup.sh || exit 1
bin=.venv/bin
failed=""

check() {
    name=$1
    shift
    echo "lint: $name"
    "$@" || failed="$failed $name"
}

check ruff "$bin/ruff" check .
check format "$bin/ruff" format --check .
check mypy "$bin/mypy"
check imports "$bin/lint-imports"

if [ -n "$failed" ]; then
    echo "lint: FAILED:$failed" >&2
    exit 1
fi
echo "lint: all checks passed"
