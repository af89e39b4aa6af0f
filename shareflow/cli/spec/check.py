"""``shareflow spec``: the spec files, and what they mean for a placement."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shareflow.cli import exits
from shareflow.cli.common import Cli, command
from shareflow.cli.decisions import show_decision
from shareflow.cli.output import print_json, print_line, safe

app = typer.Typer(name="spec", help="Spec files: check them, explain a placement.", no_args_is_help=True)


@command(app, "check", example="shareflow spec check specs/", local=True)
def check(
    cli: Cli, paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="files and directories: one set")]
) -> int:
    """Check spec files as one set, without any server. Exit code 3 when the set is refused."""
    from dsl import spec_check  # noqa: PLC0415 - `--help` has to be quick

    found, problems = spec_check.check(paths)
    if cli.json:
        print_json({"ok": found is not None, "problems": [problem.to_json() for problem in problems]})
        return exits.OK if found is not None else exits.CONFIGURATION
    for problem in problems:
        for line in problem.render().splitlines():
            print_line(safe(line), style="red" if line.startswith("error") else "")
        print_line()
    errors = sum(problem.severity == "error" for problem in problems)
    warnings = len(problems) - errors
    verdict = "the set is valid" if found is not None else "the set is refused"
    print_line(f"{verdict}: {errors} errors, {warnings} warnings")
    return exits.OK if found is not None else exits.CONFIGURATION


@command(app, "explain", example="shareflow spec explain --size '10 GiB' --type fast")
async def explain(
    cli: Cli,
    *,
    amount: Annotated[str, typer.Option("--size", help="like '10 GiB', or whole bytes")],
    kind: Annotated[str, typer.Option("--type", help="share type")] = "standard",
    zone: Annotated[str | None, typer.Option(help="only pools of this zone")] = None,
    backend: Annotated[str | None, typer.Option(help="only pools of this backend")] = None,
    pool: Annotated[str | None, typer.Option(help="only this pool")] = None,
    show: Annotated[list[str] | None, typer.Option(help="print only this pool's verdict; may be repeated")] = None,
) -> int:
    """Where a share would go now, with every rule of every pool. Exit code 1 when no pool fits."""
    async with cli.shares() as shares:
        found = await shares.explain(amount, kind, zone=zone, backend=backend, pool=pool)
    if cli.json:
        print_json(found)
    else:
        show_decision(found.decision, pools=show or ())
    return exits.OK if found.chosen else exits.FAILED
