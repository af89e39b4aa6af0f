"""``shareflow up`` from its first line to its last."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from dsl import spec_check
from shareflow.cli import exits
from shareflow.cli.common import Cli, run_until_done
from shareflow.cli.output import print_fields, print_json, print_line
from shareflow.cli.statedir import StateDir
from shareflow.cli.supervisor import Embedded, EmbeddedSettings
from shareflow.errors import InvalidInput, ShareflowError, SpecError
from shareflow.server.resolve import find_temporal

_DEFAULT_PORT = 7233
_DATABASES = ("sqlite:///", "postgresql://", "postgresql+psycopg://")


def up(cli: Cli, state_dir: Path, *, port: int, ui_port: int, specs: Path, database: str) -> None:
    """Run until SIGINT or SIGTERM.

    Raises:
        StateDirectoryError: the directory is in use or cannot be written. SchemaError, SpecError: as the worker says.
        ServerUnavailable: a port is taken, there is no server binary, or it does not start.
        InvalidInput: the database is not a URL of SQLite or PostgreSQL.
    """
    if database and not database.startswith(_DATABASES):
        raise InvalidInput(
            f"{database.partition('://')[0]!r} is not a kind of database that the inventory can use",
            field="--database",
            hint="write sqlite:////absolute/path or postgresql+psycopg://user@host/name",
        )
    with StateDir(state_dir) as state:
        settings = EmbeddedSettings(
            binary=find_temporal(report=note), port=port, ui_port=ui_port, specs=require_specs(specs), database=database
        )
        embedded = Embedded(state, settings, note)
        run_until_done(until_stopped(_serve(cli, embedded)))
    if not cli.json:
        print_line("stopped; `shareflow up` goes on from here")


def require_specs(specs: Path) -> Path:
    """The directory of the specs, once they have been checked. Raises SpecError naming the first problem."""
    found, problems = spec_check.check([specs])
    if found is None:
        first = next((problem for problem in problems if problem.severity == "error"), None)
        reason = f"{first.place}: {first.message} ({first.code})" if first else "they are missing"
        raise SpecError(f"the specs are not valid: {reason}", hint=f"see `shareflow spec check {specs}`")
    return specs.absolute()


def note(line: str) -> None:
    """One line about what happens, on standard error."""
    print_line(line, style="dim", stderr=True)


async def until_stopped(work: Coroutine[Any, Any, Any]) -> None:
    """Run ``work`` until it ends, or cancel it at the first SIGINT or SIGTERM and wait for its end.

    A second signal ends this process at once; the kernel then kills what it started.

    Raises:
        BaseException: what ``work`` raised. Several errors at once count as the first.
    """
    task = asyncio.ensure_future(work)
    signals = 0

    def stop() -> None:
        nonlocal signals
        signals += 1
        if signals > 1:
            os._exit(exits.INTERRUPTED)
        task.cancel()

    loop = asyncio.get_running_loop()
    for which in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(which, stop)
    try:
        await task
    except asyncio.CancelledError:
        if not signals:
            raise
    except BaseExceptionGroup as group:
        raise _first(group) from None


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    ours = group.subgroup(ShareflowError)
    error: BaseException = (ours or group).exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error


async def _serve(cli: Cli, embedded: Embedded) -> None:
    async with embedded:
        if cli.json:
            print_json(embedded.facts())
        else:
            greet(embedded)
        await embedded.keep()


def greet(embedded: Embedded) -> None:
    """Say what runs where, and what to try first."""
    print_line("Shareflow is up.", style="bold green")
    print_fields(
        {
            "Temporal server": embedded.server.address,
            "web UI": embedded.server.ui_url,
            "state": str(embedded.state.path),
            "specs": str(embedded.settings.specs),
        }
    )
    print_line()
    if embedded.server.port != _DEFAULT_PORT:
        print_line(f"export TEMPORAL_ADDRESS={embedded.server.address}")
    print_line("shareflow share create home --size '1 GiB'")
    print_line("shareflow share list")
    print_line("temporal workflow start --task-queue shareflow --type CreateShare --workflow-id my-first \\")
    print_line("""    --input '{"name": "work", "size": "2 GiB"}'""")
    print_line()
    print_line("Ctrl-C stops it. Started again it goes on where it was.", style="dim")
