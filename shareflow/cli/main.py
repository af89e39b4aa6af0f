"""The command ``shareflow``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import NoReturn

import typer
from typer import TyperException

from shareflow import __version__
from shareflow.cli import embedded, exits, failovers, op, replicas, share, spec, views
from shareflow.cli import evacuations as _evacuations  # noqa: F401 - it adds its command to pool
from shareflow.cli import migrate as _migrate  # noqa: F401 - it adds its commands to share and op
from shareflow.cli import relocate as _relocate  # noqa: F401 - it adds its command to share
from shareflow.cli.common import Cli, command, global_options
from shareflow.cli.output import print_json, print_line, safe
from shareflow.process import leave

_EXIT_CODES = "  ".join(f"{code} {meaning}." for code, meaning in exits.MEANINGS.items())

app = typer.Typer(
    name="shareflow",
    help="A control plane for shared file systems: every long operation is a durable Temporal workflow.",
    epilog=f"Exit codes: {_EXIT_CODES}",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.callback()(global_options)
for group in (share.app, replicas.app, failovers.app, op.app, views.pool, views.kind, views.qos, views.quota, spec.app):
    app.add_typer(group)
embedded.register(app)
command(app, "findings", example="shareflow findings --all")(views.findings)
command(app, "audit", example="shareflow audit --limit 20")(views.audit)


@command(app, "version", example="shareflow version", local=True)
def version(cli: Cli) -> None:
    """The version of this client."""
    if cli.json:
        print_json({"shareflow": __version__})
    else:
        print_line(f"shareflow {__version__}")


def run(arguments: Sequence[str]) -> int:
    """Run one command line; gives its exit code. Never raises for what a user or a server did wrong."""
    try:
        code = app(args=list(arguments), prog_name="shareflow", standalone_mode=False)
    except typer.Abort:
        return exits.INTERRUPTED
    except TyperException as error:
        return _misused(error, arguments)
    except BrokenPipeError:  # `shareflow op list | head -1`
        return exits.OK
    return code if isinstance(code, int) else exits.OK


def entry() -> NoReturn:
    """The console script. Leaves through :func:`shareflow.process.leave`, never through the interpreter's shutdown."""
    try:
        code = run(sys.argv[1:])
    except KeyboardInterrupt:
        code = exits.INTERRUPTED
    leave(code)


def _misused(error: TyperException, arguments: Sequence[str]) -> int:
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "shareflow"
    message, hint = safe(error.format_message()), f"see `{path} --help`"
    if not message:  # a group without a command has shown its help
        return exits.USAGE
    if _wants_json(arguments):
        fields = {"code": "usage", "kind": type(error).__name__, "message": message, "hint": hint, "field": ""}
        print_json({"error": fields}, stderr=True)
    else:
        print_line(f"error[usage]: {message}", style="red", stderr=True)
        print_line(f"help: {hint}", stderr=True)
    return exits.USAGE


def _wants_json(arguments: Sequence[str]) -> bool:
    """Whether JSON was asked for, found without the parser, which has just failed."""
    text = " ".join(arguments)
    return any(f"{option}{between}json" in text for option in ("--output", "-o") for between in ("=", " ", ""))


if __name__ == "__main__":
    entry()
