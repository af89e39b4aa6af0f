"""``shareflow share retype``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from shareflow.cli import migrate, share
from shareflow.cli.common import Cli, Start, command
from shareflow.contracts.migration import CopyMode, CutoverWhen, Verify

if TYPE_CHECKING:
    from shareflow.relocating import CopyOptions

Mode = Annotated[CopyMode, typer.Option(help="who copies: the backends or the mover's host")]
Bandwidth = Annotated[str | None, typer.Option(help="limit, like '50 MiB/s'")]
Snapshots = Annotated[bool, typer.Option("--preserve-snapshots", help="promise: all snapshots move along")]
CutOver = Annotated[CutoverWhen | None, typer.Option(help="when a copy cuts over", show_default=False)]
LagBelow = Annotated[str | None, typer.Option(help="cut over once a pass moves at most this, like '10 MiB'")]
WindowFrom = Annotated[str | None, typer.Option(help="no cutover before, like 2030-05-03T22:00+02:00")]
WindowUntil = Annotated[str | None, typer.Option(help="no cutover begun after")]
VerifyHow = Annotated[Verify, typer.Option(help="what is compared before the switch")]
Grace = Annotated[str, typer.Option(help="how long the old copy is kept, like '1 d'")]
IgnoreOpenFiles = Annotated[bool, typer.Option("--ignore-open-files", help="although files are open for writing")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="only plan")]
PoolName = Annotated[str, typer.Argument(metavar="BACKEND/POOL", help="see `shareflow pool list`")]


@command(share.app, "retype", example="shareflow share retype home gold --dry-run", starts=True)
async def retype(
    cli: Cli,
    start: Start,
    *,
    name: share.Share,
    kind: Annotated[str, typer.Argument(metavar="TYPE", help="see `shareflow type list`")],
    mode: Mode = CopyMode.AUTO,
    bandwidth: Bandwidth = None,
    snapshots: Snapshots = False,
    nondisruptive: Annotated[
        bool, typer.Option("--nondisruptive", help="promise: clients notice nothing; only in place")
    ] = False,
    cutover_when: CutOver = None,
    lag_below: LagBelow = None,
    window_from: WindowFrom = None,
    window_until: WindowUntil = None,
    verify: VerifyHow = Verify.SAMPLED,
    grace: Grace = "60 s",
    ignore_open_files: IgnoreOpenFiles = False,
    dry_run: DryRun = False,
) -> int:
    """Give a share another type: in place where its pool satisfies it, else by a migration.

    With --dry-run it only says which of the two, and why. A migration waits for `shareflow op cutover` unless another
    time is asked for.
    """
    options: CopyOptions = {
        "mode": mode, "bandwidth": bandwidth, "verify": verify, "grace": grace, "cutover_when": cutover_when,
        "lag_below": lag_below, "window": migrate.window(window_from, window_until),
        "ignore_open_files": ignore_open_files,
        "promises": {"preserve_snapshots": snapshots, "nondisruptive": nondisruptive},
    }  # fmt: skip
    async with cli.shares() as shares:
        operation = await shares.retype(name, kind, dry_run=dry_run, **options, **start.options)
        manual = cutover_when == "manual" or not (cutover_when or lag_below or window_from or dry_run)
        return await cli.conclude_migration(start, operation, name, follows=manual)


def parts(place: str) -> tuple[str, str]:
    """Backend and pool of ``BACKEND/POOL``; the second is empty for a backend alone."""
    backend, _, pool = place.partition("/")
    return backend, pool
