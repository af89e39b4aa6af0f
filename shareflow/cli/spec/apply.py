"""``shareflow spec apply``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from shareflow.cli import exits
from shareflow.cli.common import Cli, Start, command
from shareflow.cli.output import console, print_json, print_line
from shareflow.cli.spec.group import app
from shareflow.cli.spec.planned import read_documents, read_plan, show_plan, summary
from shareflow.errors import InvalidInput, RemovalNeedsAllow

if TYPE_CHECKING:
    from shareflow.contracts.specs import PlanView


@command(app, "apply", example="shareflow spec apply plan.json --yes", starts=True)
async def apply(
    cli: Cli,
    start: Start,
    *,
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATH...", help="the file of a plan (.json), or the files of a set")
    ],
    allow: Annotated[
        list[str] | None, typer.Option(help="remove this although shares use it; NAME or Kind/NAME; may be repeated")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="do not ask; needed where nobody can be asked")] = False,
) -> int:
    """Make a set of specs the one that counts, whole or not at all; workers take it from the inventory from then on.

    Exit code 0 when nothing had to be changed, 6 when something was, 3 when the set is refused, 1 when the specs or
    what uses them have moved since the plan.
    """
    kept = read_plan(paths[0]) if len(paths) == 1 and paths[0].suffix == ".json" else None
    documents = kept.documents if kept is not None else read_documents(paths)
    async with cli.shares() as shares:
        plan = kept.plan if kept is not None else await shares.plan_specs(documents)
        if not plan.lines and plan.managed:
            _nothing(cli, plan)
            return exits.OK
        if not cli.json:
            show_plan(plan)
        _check_allowed(plan, allow or ())
        _ask(cli, plan, yes=yes)
        operation = await shares.apply_specs(documents, plan.token, allow=allow or (), **start.options)
        await cli.conclude(start, operation, plan.token.new[:12])
    return exits.CHANGED if plan.lines and start.wait else exits.OK


def _nothing(cli: Cli, plan: PlanView) -> None:
    if cli.json:
        print_json({"state": "unchanged", "specs_revision": plan.token.specs_revision, "digest": plan.token.new})
    else:
        print_line(summary(plan))


def _check_allowed(plan: PlanView, allow: Sequence[str]) -> None:
    missing = [line for line in plan.lines if line.in_use and not {line.name, f"{line.kind}/{line.name}"} & set(allow)]
    if missing:
        shown = ", ".join(f"{line.kind}/{line.name} ({line.in_use} shares)" for line in missing[:5])
        more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
        hint = " ".join(f"--allow {line.name}" for line in missing[:5])
        raise RemovalNeedsAllow(f"in use and to be removed: {shown}{more}", field="allow", hint=hint)


def _ask(cli: Cli, plan: PlanView, *, yes: bool) -> None:
    """Raise typer.Exit when a person says no, InvalidInput when there is nobody to ask."""
    if yes:
        return
    if cli.json or not (sys.stdin.isatty() and console().is_terminal):
        raise InvalidInput(
            "nobody can be asked here", field="--yes", hint="look at `shareflow spec plan`, then add --yes"
        )
    if not plan.managed:
        print_line("From now on workers take the specs from the inventory, not from their own files.")
    if not typer.confirm("Apply this?", default=False):
        raise typer.Exit(exits.FAILED)
