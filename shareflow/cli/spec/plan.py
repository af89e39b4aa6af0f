"""``shareflow spec plan``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shareflow.cli import exits
from shareflow.cli.common import Cli, command
from shareflow.cli.files import write_files
from shareflow.cli.output import print_json
from shareflow.cli.spec.group import app
from shareflow.cli.spec.planned import read_documents, show_plan


@command(app, "plan", example="shareflow spec plan specs/ --out plan.json")
async def plan(
    cli: Cli,
    *,
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="files and directories: one set")],
    out: Annotated[Path | None, typer.Option("--out", help="write the plan into this file, for spec apply")] = None,
    force: Annotated[bool, typer.Option("--force", help="replace the file if it exists")] = False,
) -> int:
    """What applying these files would change, and what that means for the shares that are there. Changes nothing.

    Exit code 0 when nothing would change, 6 when something would, 3 when the set is refused.
    """
    from shareflow.contracts.specs import PlanFile  # noqa: PLC0415 - `--help` has to be quick

    documents = read_documents(paths)
    async with cli.shares() as shares:
        found = await shares.plan_specs(documents)
    if out is not None:
        text = PlanFile(documents=documents, plan=found).model_dump_json(indent=2) + "\n"
        write_files([(out, text)], force=force)
    if cli.json:
        print_json(found)
    else:
        show_plan(found)
    return exits.CHANGED if found.lines else exits.OK
