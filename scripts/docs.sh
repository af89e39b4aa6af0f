#!/bin/sh
# Build the documentation into site/; a broken link is an error. The tool lives in a venv of its own.
set -eu
cd "$(dirname "$0")/.."
sh scripts/setup.sh
wanted="mkdocs==1.6.1"
tools=build/docs-venv
if [ "$(cat "$tools/made-with" 2>/dev/null)" != "$wanted" ]; then
    echo "docs: installing $wanted; half a minute ..."
    .venv/bin/python -m venv --clear "$tools"
    "$tools/bin/python" -m pip install --quiet "$wanted"
    echo "$wanted" >"$tools/made-with"
fi
"$tools/bin/mkdocs" build --strict --quiet
echo "docs: site/index.html"
