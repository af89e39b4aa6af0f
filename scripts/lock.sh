#!/bin/sh
# Write requirements.lock anew from pyproject.toml, with hashes, for every platform and Python that is supported.
# Versions already locked stay when they still fit; `scripts/lock.sh --upgrade` takes the newest.
set -eu
cd "$(dirname "$0")/.."
sh scripts/setup.sh
tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT INT TERM
.venv/bin/python -m venv "$tools"
"$tools/bin/python" -m pip install --quiet uv
"$tools/bin/uv" pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --quiet \
    --group dev "$@" pyproject.toml -o requirements.lock
