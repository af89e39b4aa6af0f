#!/bin/sh
# Set up all that the tests need, then run them. Arguments go to pytest.
set -eu
cd "$(dirname "$0")/.."
sh scripts/setup.sh
.venv/bin/python scripts/system_packages.py
.venv/bin/python -m shareflow.server --link .venv/bin/temporal
exec .venv/bin/python -m pytest "$@"
