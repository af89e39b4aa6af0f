"""The group ``shareflow spec``; each command is a module beside this one."""

from __future__ import annotations

import typer

app = typer.Typer(
    name="spec",
    help="Spec files: check, format, import, plan, apply; explain a placement.",
    no_args_is_help=True,
)
