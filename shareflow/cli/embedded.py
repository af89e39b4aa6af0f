"""``shareflow up``, ``demo`` and ``doctor``: what runs on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shareflow.cli import exits
from shareflow.cli.common import Cli, command
from shareflow.cli.output import print_json, print_line, print_table, text
from shareflow.cli.statedir import default_state_dir

SPECS = Path(__file__).resolve().parents[2] / "specs"


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    command(app, "up", example="shareflow up --state-dir /var/lib/shareflow --port 7233", local=True)(up)
    command(app, "demo", example="shareflow demo", local=True)(demo)
    command(app, "doctor", example="shareflow doctor", local=True)(doctor)


def up(
    cli: Cli,
    *,
    state_dir: Annotated[
        Path | None, typer.Option(help="where everything is kept; default: ~/.local/state/shareflow")
    ] = None,
    port: Annotated[int, typer.Option(help="port of the Temporal server; 0 picks a free one")] = 7233,
    ui_port: Annotated[int, typer.Option(help="port of the web UI; 0 picks a free one")] = 8233,
    specs: Annotated[Path, typer.Option(help="directory of the spec files")] = SPECS,
    database: Annotated[str, typer.Option(help="URL of the inventory; default: SQLite in the state directory")] = "",
) -> None:
    """Run everything on this machine: server, inventory, one worker. Ctrl-C stops it; started again, it goes on."""
    from shareflow.cli import running  # noqa: PLC0415 - `--help` has to be quick

    running.up(cli, state_dir or default_state_dir(), port=port, ui_port=ui_port, specs=specs, database=database)


def demo(
    cli: Cli,
    *,
    state_dir: Annotated[
        Path | None, typer.Option(help="where to play; default: a temporary directory, removed at the end")
    ] = None,
    specs: Annotated[Path, typer.Option(help="directory of the spec files")] = SPECS,
    keep: Annotated[bool, typer.Option("--keep", help="leave it running at the end, until Ctrl-C")] = False,
) -> int:
    """Play a whole life of shares on real directories, with `kill -9` in the middle. About a minute."""
    from shareflow.cli import demo as story  # noqa: PLC0415 - `--help` has to be quick

    return story.play(cli, state_dir, specs=specs, keep=keep)


def doctor(cli: Cli) -> int:
    """What this machine can do, and what to install for the rest. Exit code 1 when something needed is missing."""
    from shareflow import doctor as doctors  # noqa: PLC0415 - `--help` has to be quick

    found = doctors.examine()
    missing = [finding for finding in found if not finding.ok and not finding.optional]
    if cli.json:
        fields = ("name", "ok", "detail", "needed_for", "install", "optional")
        print_json([{name: getattr(finding, name) for name in fields} for finding in found])
        return exits.FAILED if missing else exits.OK
    rows = (
        (
            text("ok", "green") if f.ok else text("optional" if f.optional else "MISSING", "yellow"),
            f.name, f.detail, f.needed_for, f.install,
        )
        for f in found
    )  # fmt: skip
    print_table(("", "WHAT", "FOUND", "NEEDED FOR", "TO HAVE IT"), rows, empty="")
    if missing:
        print_line(f"{len(missing)} of {len(found)} are missing here; what does not need them works", style="yellow")
    return exits.FAILED if missing else exits.OK
