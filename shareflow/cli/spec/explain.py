"""``shareflow spec explain``."""

from __future__ import annotations

from typing import Annotated

import typer

from shareflow.cli import exits
from shareflow.cli.common import Cli, command
from shareflow.cli.decisions import show_decision
from shareflow.cli.output import print_json
from shareflow.cli.spec.group import app


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
