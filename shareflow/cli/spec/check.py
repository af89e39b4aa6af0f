"""``shareflow spec check``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shareflow.cli import exits
from shareflow.cli.common import Cli, command
from shareflow.cli.output import counted, print_json, print_line, safe
from shareflow.cli.spec.group import app


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
    print_line(f"{verdict}: {counted(errors, 'error')}, {counted(warnings, 'warning')}")
    return exits.OK if found is not None else exits.CONFIGURATION
