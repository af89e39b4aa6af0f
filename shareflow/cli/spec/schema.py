"""``shareflow spec schema``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from shareflow.cli import exits
from shareflow.cli.common import Cli, command
from shareflow.cli.files import write_files
from shareflow.cli.output import print_json, print_line, safe
from shareflow.cli.spec.group import app
from shareflow.errors import InvalidInput


@command(app, "schema", example="shareflow spec schema --to specs/schema.json --force", local=True)
def schema(
    cli: Cli,
    *,
    kind: Annotated[str | None, typer.Argument(help="only this kind, like ShareType; default: all kinds")] = None,
    to: Annotated[Path | None, typer.Option("--to", help="write it into this file instead of printing it")] = None,
    force: Annotated[bool, typer.Option("--force", help="replace the file if it exists")] = False,
) -> int:
    """The JSON Schema of spec documents, for editors: completion, descriptions, mistakes while typing."""
    from dsl.kinds import WRITTEN  # noqa: PLC0415 - `--help` has to be quick
    from dsl.problems import suggest  # noqa: PLC0415
    from dsl.schema import schema_text  # noqa: PLC0415

    if kind is not None and kind not in WRITTEN:
        near = suggest(kind, WRITTEN)
        hint = f"did you mean `{near}`?" if near else f"use one of {', '.join(WRITTEN)}"
        raise InvalidInput(f"unknown kind `{kind[:40]}`", hint=hint, field="KIND")
    text = schema_text(kind)
    if to is None:
        sys.stdout.write(text)
        return exits.OK
    for path in write_files([(to, text)], force=force):
        if cli.json:
            print_json({"written": [str(path)]})
        else:
            print_line(safe(f"wrote {path}"))
    return exits.OK
