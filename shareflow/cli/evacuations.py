"""``shareflow pool evacuate``, and how evacuations are shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from shareflow.cli import migrate, views
from shareflow.cli.common import Cli, Start, command
from shareflow.cli.relocate import (
    Bandwidth,
    CutOver,
    DryRun,
    Grace,
    IgnoreOpenFiles,
    LagBelow,
    Mode,
    Snapshots,
    VerifyHow,
    WindowFrom,
    WindowUntil,
    parts,
)
from shareflow.contracts.migration import CopyMode, Verify

if TYPE_CHECKING:
    from shareflow.relocating import CopyOptions


@command(
    views.pool, "evacuate", example="shareflow pool evacuate local/rack1 --bandwidth '200 MiB/s' --dry-run", starts=True
)
async def evacuate(
    cli: Cli,
    start: Start,
    *,
    place: Annotated[str, typer.Argument(metavar="BACKEND[/POOL]", help="a pool, or a whole backend")],
    to_pool: Annotated[str | None, typer.Option(help="only to this pool")] = None,
    to_backend: Annotated[str | None, typer.Option(help="only to this backend")] = None,
    to_zone: Annotated[str | None, typer.Option(help="only to this zone")] = None,
    same_domain: Annotated[
        bool, typer.Option("--same-domain", help="copies of one share may come near each other")
    ] = False,
    concurrency: Annotated[int, typer.Option(help="so many shares move at once, 1 to 32")] = 4,
    drain: Annotated[bool, typer.Option("--drain/--no-drain", help="place nothing new there from now on")] = True,
    undrain_on_cancel: Annotated[
        bool, typer.Option("--undrain-on-cancel", help="a cancel lets it take new shares again")
    ] = False,
    mode: Mode = CopyMode.AUTO,
    bandwidth: Bandwidth = None,
    snapshots: Snapshots = False,
    cutover_when: CutOver = None,
    lag_below: LagBelow = None,
    window_from: WindowFrom = None,
    window_until: WindowUntil = None,
    verify: VerifyHow = Verify.SAMPLED,
    grace: Grace = "60 s",
    ignore_open_files: IgnoreOpenFiles = False,
    dry_run: DryRun = False,
) -> int:
    """Move all shares of all projects out of a pool or off a backend, and let nothing new come.

    Each share cuts over by itself unless told otherwise. Ends with 1 when shares are left; started again, it goes on
    with those.
    """
    backend, pool = parts(place)
    options: CopyOptions = {
        "mode": mode, "bandwidth": bandwidth, "verify": verify, "grace": grace, "cutover_when": cutover_when,
        "lag_below": lag_below, "window": migrate.window(window_from, window_until),
        "ignore_open_files": ignore_open_files, "promises": {"preserve_snapshots": snapshots},
    }  # fmt: skip
    async with cli.shares() as shares:
        operation = await shares.evacuate(
            backend, pool or None, to_pool=to_pool, to_backend=to_backend, to_zone=to_zone, same_domain=same_domain,
            concurrency=concurrency, drain=drain, undrain_on_cancel=undrain_on_cancel, dry_run=dry_run, **options,
            **start.options,
        )  # fmt: skip
        return await cli.conclude_evacuation(start, operation, place)
