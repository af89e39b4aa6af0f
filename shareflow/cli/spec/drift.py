"""``shareflow spec drift``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shareflow.cli import exits
from shareflow.cli.common import Cli, command
from shareflow.cli.output import print_json, print_line, print_table, safe
from shareflow.cli.spec.group import app
from shareflow.cli.spec.planned import read_documents

if TYPE_CHECKING:
    from shareflow.contracts.drift import DetectDriftResult


@command(app, "drift", example="shareflow spec drift specs/")
async def drift(
    cli: Cli,
    *,
    paths: Annotated[
        list[Path] | None, typer.Argument(metavar="[PATH...]", help="git's files: one set; without it, inventory alone")
    ] = None,
) -> int:
    """Where git, the applied specs and the backends say different things. Changes nothing.

    Exit code 0 when all say the same, 6 when they do not, 3 when the set is refused.
    """
    documents = read_documents(paths) if paths else None
    async with cli.shares() as shares:
        found = await shares.detect_drift(documents)
    if cli.json:
        print_json(found)
    else:
        _show(found)
    return exits.CHANGED if found.rows or found.left_off else exits.OK


def _show(found: DetectDriftResult) -> None:
    rows = [
        (f"{row.kind} {row.name}", row.field or "(whole)", _value(row.git), _value(row.inventory), _value(row.backend))
        for row in found.rows
    ]
    print_table(("WHAT", "KEY", "GIT", "INVENTORY", "BACKEND"), rows, empty="no drift")
    for advice in dict.fromkeys(f"{row.kind} {row.name}: {row.advice}" for row in found.rows if row.advice):
        print_line(safe(f"  {advice}"), style="dim")
    if found.left_off:
        print_line(f"{found.left_off} more rows are left off")


def _value(value: Any) -> str:
    if value is None:
        return "-"
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."
