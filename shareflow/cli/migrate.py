"""``shareflow share migrate``, and the commands that running migrations take: ``shareflow op cutover`` and others."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shareflow.cli import op, share
from shareflow.cli.common import Cli, Start, command
from shareflow.cli.output import print_json, print_line
from shareflow.contracts.migration import CopyMode, CutoverWhen, Verify
from shareflow.errors import InvalidInput

if TYPE_CHECKING:
    from shareflow.operation import Operation

_WHERE = "Destination"
_HOW = "Copy and promises"
_WHEN = "Cutover"


@command(share.app, "migrate", example="shareflow share migrate home --to rack2 --bandwidth '50 MiB/s'", starts=True)
async def migrate(
    cli: Cli,
    start: Start,
    *,
    name: share.Share,
    to: Annotated[
        str | None,
        typer.Option(help="BACKEND/POOL, or name of a pool, backend or zone; default: best", rich_help_panel=_WHERE),
    ] = None,
    to_pool: Annotated[str | None, typer.Option(help="only to this pool", rich_help_panel=_WHERE)] = None,
    to_backend: Annotated[str | None, typer.Option(help="only to this backend", rich_help_panel=_WHERE)] = None,
    to_zone: Annotated[str | None, typer.Option(help="only to this zone", rich_help_panel=_WHERE)] = None,
    to_type: Annotated[str | None, typer.Option(help="give it this share type", rich_help_panel=_WHERE)] = None,
    same_domain: Annotated[
        bool, typer.Option("--same-domain", help="also where a replica is near", rich_help_panel=_WHERE)
    ] = False,
    mode: Annotated[
        CopyMode, typer.Option(help="who copies: the backends or the mover's host", rich_help_panel=_HOW)
    ] = CopyMode.AUTO,
    bandwidth: Annotated[str | None, typer.Option(help="limit, like '50 MiB/s'", rich_help_panel=_HOW)] = None,
    writable: Annotated[
        bool, typer.Option("--writable/--no-writable", help="promise: while it is copied", rich_help_panel=_HOW)
    ] = True,
    metadata: Annotated[
        bool,
        typer.Option("--preserve-metadata/--no-preserve-metadata", help="promise: all kept", rich_help_panel=_HOW),
    ] = True,
    snapshots: Annotated[
        bool, typer.Option("--preserve-snapshots", help="promise: all snapshots move along", rich_help_panel=_HOW)
    ] = False,
    nondisruptive: Annotated[
        bool, typer.Option("--nondisruptive", help="promise: clients notice nothing", rich_help_panel=_HOW)
    ] = False,
    cutover_when: Annotated[
        CutoverWhen | None,
        typer.Option(help="default: manual, or as the next options say", rich_help_panel=_WHEN, show_default=False),
    ] = None,
    cutover: Annotated[
        bool, typer.Option("--cutover", help="short for --cutover-when immediately", rich_help_panel=_WHEN)
    ] = False,
    lag_below: Annotated[
        str | None, typer.Option(help="once a pass moves at most this, like '10 MiB'", rich_help_panel=_WHEN)
    ] = None,
    window_from: Annotated[
        str | None, typer.Option(help="not before, like 2030-05-03T22:00+02:00", rich_help_panel=_WHEN)
    ] = None,
    window_until: Annotated[str | None, typer.Option(help="not begun after", rich_help_panel=_WHEN)] = None,
    verify: Annotated[Verify, typer.Option(help="what is compared before the switch", rich_help_panel=_WHEN)] = (
        Verify.SAMPLED
    ),
    grace: Annotated[str, typer.Option(help="how long the old copy is kept, like '1 d'", rich_help_panel=_WHEN)] = (
        "60 s"
    ),
    ignore_open_files: Annotated[
        bool, typer.Option("--ignore-open-files", help="although files are open for writing", rich_help_panel=_WHEN)
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="only plan; exit code 1 when a promise that is asked for fails")
    ] = False,
) -> int:
    """Move a share to another pool, backend, zone or type while it is used.

    Waits until the destination follows its source, then says how to cut over.

    With another time for the cutover than manual it waits for the end.
    """
    if cutover and cutover_when not in (None, CutoverWhen.IMMEDIATELY):
        raise InvalidInput(f"--cutover contradicts --cutover-when {cutover_when}", field="--cutover", hint="give one")
    async with cli.shares() as shares:
        operation = await shares.migrate(
            name, to, to_pool=to_pool, to_backend=to_backend, to_zone=to_zone, to_type=to_type,
            same_domain=same_domain, mode=mode,
            promises={
                "writable": writable, "preserve_metadata": metadata,
                "preserve_snapshots": snapshots, "nondisruptive": nondisruptive,
            },
            cutover_when=CutoverWhen.IMMEDIATELY if cutover else cutover_when, lag_below=lag_below,
            window=window(window_from, window_until), bandwidth=bandwidth, verify=verify, grace=grace,
            ignore_open_files=ignore_open_files, dry_run=dry_run, **start.options,
        )  # fmt: skip
        manual = not (cutover or cutover_when or lag_below or window_from or dry_run)
        return await cli.conclude_migration(start, operation, name, follows=manual or cutover_when == "manual")


@command(op.app, "cutover", example="shareflow op cutover migrate-share-0c6a3f52-2d3c-4c25-9d2c-6d0f0d5a8a11")
async def cut_over(
    cli: Cli,
    *,
    operation: op.Id,
    ignore_open_files: Annotated[
        bool, typer.Option("--ignore-open-files", help="although files are open for writing")
    ] = False,
) -> None:
    """Stop writers, copy the last changes, verify, and switch a migrating share to its destination."""
    await _send(cli, operation, "cutover", lambda o: o.cutover(ignore_open_files=ignore_open_files))


@command(op.app, "cancel-migration", example="shareflow op cancel-migration migrate-share-0c6a3f52...")
async def cancel_migration(cli: Cli, operation: op.Id) -> None:
    """Give a migration up: the share stays where it is, as it is."""
    await _send(cli, operation, "cancel_migration", lambda o: o.cancel_migration())


@command(op.app, "pause", example="shareflow op pause migrate-share-0c6a3f52-2d3c-4c25-9d2c-6d0f0d5a8a11")
async def pause(cli: Cli, operation: op.Id) -> None:
    """Stop the copy of a migration; what was copied stays, and the share stays writable."""
    await _send(cli, operation, "pause", lambda o: o.pause())


@command(op.app, "resume", example="shareflow op resume migrate-share-0c6a3f52-2d3c-4c25-9d2c-6d0f0d5a8a11")
async def resume(cli: Cli, operation: op.Id) -> None:
    """Go on with the copy of a migration."""
    await _send(cli, operation, "resume", lambda o: o.resume())


@command(op.app, "set-bandwidth", example="shareflow op set-bandwidth migrate-share-0c6a3f52... '50 MiB/s'")
async def set_bandwidth(
    cli: Cli,
    operation: op.Id,
    rate: Annotated[str, typer.Argument(metavar="RATE", help="like '50 MiB/s'; none lifts the limit")],
) -> None:
    """Change the limit of a migration's copy, while it runs."""
    await _send(cli, operation, "set_bandwidth", lambda o: o.set_bandwidth(None if rate == "none" else rate))


@command(op.app, "end-grace", example="shareflow op end-grace migrate-share-0c6a3f52-2d3c-4c25-9d2c-6d0f0d5a8a11")
async def end_grace(cli: Cli, operation: op.Id) -> None:
    """Delete the old copy of a migrated share now."""
    await _send(cli, operation, "end_grace", lambda o: o.end_grace())


async def _send(cli: Cli, operation: str, name: str, act: Callable[[Operation[Any]], Awaitable[str]]) -> None:
    async with cli.shares() as shares:
        answer = await act(await shares.operation_handle(operation))
    if cli.json:
        print_json({"operation": operation, "command": name, "accepted": True, "answer": answer})
    else:
        print_line(f"operation {operation}: {answer}")


def window(since: str | None, until: str | None) -> tuple[str, str] | None:
    """A window from its two ends. Raises InvalidInput when there is only one."""
    if since is None and until is None:
        return None
    if since is None or until is None:
        missing = "--window-from" if since is None else "--window-until"
        raise InvalidInput("a window has two ends", field=missing, hint=f"give {missing} too")
    return since, until
