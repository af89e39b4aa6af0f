"""``shareflow spec explain``."""

from __future__ import annotations

from typing import Annotated

import typer

from shareflow.cli import exits
from shareflow.cli.common import Cli, command
from shareflow.cli.decisions import show_decision
from shareflow.cli.output import print_json
from shareflow.cli.share import Affinity, AffinityLevel, AntiAffinity
from shareflow.cli.spec.group import app
from shareflow.contracts.operations import AffinityBy
from shareflow.errors import InvalidInput


@command(app, "explain", example="shareflow spec explain --size '10 GiB' --type fast --why-not local/rack2")
async def explain(
    cli: Cli,
    *,
    amount: Annotated[str | None, typer.Option("--size", help="like '10 GiB', or whole bytes")] = None,
    kind: Annotated[str, typer.Option("--type", help="share type")] = "standard",
    zone: Annotated[str | None, typer.Option(help="only pools of this zone")] = None,
    backend: Annotated[str | None, typer.Option(help="only pools of this backend")] = None,
    pool: Annotated[str | None, typer.Option(help="only this pool")] = None,
    affinity: Affinity = None,
    anti_affinity: AntiAffinity = None,
    affinity_by: AffinityLevel = AffinityBy.POOL,
    operation: Annotated[
        str | None, typer.Option(help="instead of a request: what this operation was decided on, worked out again")
    ] = None,
    show: Annotated[list[str] | None, typer.Option(help="print only this pool's verdict; may be repeated")] = None,
    why_not: Annotated[list[str] | None, typer.Option(help="print only what this pool fails; may be repeated")] = None,
) -> int:
    """Where a share would go now, with every rule of every pool. Exit code 1 when no pool fits."""
    if (amount is None) is (operation is None):
        raise InvalidInput("either --size or --operation is needed", field="size", hint="--size '10 GiB'")
    async with cli.shares() as shares:
        if operation is not None:
            found = await shares.explain_operation(operation)
        else:
            found = await shares.explain(
                amount or "", kind, zone=zone, backend=backend, pool=pool, affinity=affinity or (),
                anti_affinity=anti_affinity or (), affinity_by=affinity_by,
            )  # fmt: skip
    if cli.json:
        print_json(found)
    else:
        show_decision(found.decision, pools=[*(show or ()), *(why_not or ())], failures_only=bool(why_not))
    return exits.OK if found.chosen else exits.FAILED
