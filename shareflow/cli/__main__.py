"""``python -m shareflow.cli``: the command line from a tree that is not installed."""

from __future__ import annotations

from shareflow.cli.main import entry

entry()
