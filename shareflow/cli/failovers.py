"""``shareflow backend``: a backend is lost, and comes back."""

from __future__ import annotations

from typing import Annotated

import typer

from shareflow.cli.common import Cli, Start, command
from shareflow.cli.relocate import IgnoreOpenFiles
from shareflow.contracts.migration import Verify
from shareflow.contracts.replication import Stale

app = typer.Typer(name="backend", help="Backends: fail one over, and back.", no_args_is_help=True)

Backend = Annotated[str, typer.Argument(metavar="BACKEND", help="see `shareflow pool list`")]
Concurrency = Annotated[int, typer.Option(help="so many shares are promoted at once, 1 to 64")]
VerifyHow = Annotated[Verify, typer.Option(help="what is compared before each switch")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="only say what would be promoted, and what it would lose")]


@command(
    app, "failover", example="shareflow backend failover rack2 --lost --accept-tolerated --reason 'it burnt'",
    starts=True,
)  # fmt: skip
async def failover(
    cli: Cli,
    start: Start,
    *,
    backend: Backend,
    lost: Annotated[bool, typer.Option("--lost", help="it is gone: do not ask it anything; needs --reason")] = False,
    accept_loss: Annotated[
        bool, typer.Option("--accept-loss", help="with --lost: whatever is lost; without it the refusal says how much")
    ] = False,
    accept_tolerated: Annotated[
        bool, typer.Option("--accept-tolerated", help="with --lost: only what the type of each share tolerates")
    ] = False,
    stale: Annotated[
        Stale, typer.Option(help="with --lost: what becomes of the old copies when they are reached again")
    ] = Stale.KEEP,
    verify: VerifyHow = Verify.SAMPLED,
    ignore_open_files: IgnoreOpenFiles = False,
    concurrency: Concurrency = 16,
    dry_run: DryRun = False,
) -> int:
    """Promote a replica elsewhere of every share, of all projects, that is active on a backend.

    Types of priority 1 first. Ends with 1 when shares are left; started again, it goes on with those.
    """
    async with cli.shares() as shares:
        operation = await shares.failover(
            backend, lost=lost, accept_loss=accept_loss, accept_tolerated=accept_tolerated, stale=stale,
            verify=verify, ignore_open_files=ignore_open_files, concurrency=concurrency, dry_run=dry_run,
            **start.options,
        )  # fmt: skip
        return await cli.conclude_failover(start, operation, f"fail {backend} over")


@command(app, "failback", example="shareflow backend failback rack2 --dry-run", starts=True)
async def failback(
    cli: Cli,
    start: Start,
    *,
    backend: Backend,
    verify: VerifyHow = Verify.SAMPLED,
    ignore_open_files: IgnoreOpenFiles = False,
    concurrency: Concurrency = 16,
    dry_run: DryRun = False,
) -> int:
    """Promote back to a backend every share that a failover has moved off it; nothing is lost.

    Ends with 1 when shares stay away, such as those whose stale copy was not resynced.
    """
    async with cli.shares() as shares:
        operation = await shares.failback(
            backend, verify=verify, ignore_open_files=ignore_open_files, concurrency=concurrency, dry_run=dry_run,
            **start.options,
        )  # fmt: skip
        return await cli.conclude_failover(start, operation, f"fail back to {backend}")
