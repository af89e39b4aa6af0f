"""``shareflow pool|type|qos|quota|findings|audit``: what there is beside shares."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from shareflow.cli.common import Cli, Start, command
from shareflow.cli.listing import Limit, show_list
from shareflow.cli.output import moment, print_json, print_table, size
from shareflow.cli.quality import class_keys

pool = typer.Typer(name="pool", help="Pools and their room.", no_args_is_help=True)
kind = typer.Typer(name="type", help="Share types.", no_args_is_help=True)
qos = typer.Typer(name="qos", help="QoS classes.", no_args_is_help=True)
quota = typer.Typer(name="quota", help="A project's limits.", no_args_is_help=True)


@command(pool, "list", example="shareflow pool list")
async def pool_list(cli: Cli) -> None:
    """All pools: what they may hold, what is allocated, what they report."""
    async with cli.shares() as shares:
        found = await shares.pools()
    if cli.json:
        print_json(found)
        return
    rows = (
        (
            f"{p.backend}/{p.name}", p.zone or "-", "yes" if p.reachable else "NO", "YES" if p.drained else "no",
            size(p.allocated_bytes),
            size(p.limit_bytes, "no limit"), size(p.free_bytes), size(p.total_bytes),
            " ".join(f"{key}={_attribute(value)}" for key, value in p.attributes.items()),
        )
        for p in found
    )  # fmt: skip
    columns = ("POOL", "ZONE", "REACHABLE", "DRAINED", ">ALLOCATED", ">LIMIT", ">FREE", ">TOTAL", "ATTRIBUTES")
    print_table(columns, rows, empty="No pools.")


@command(pool, "drain", example="shareflow pool drain local/rack1 --reason 'new disks'", starts=True)
async def pool_drain(
    cli: Cli,
    start: Start,
    *,
    place: Annotated[str, typer.Argument(metavar="BACKEND/POOL", help="see `shareflow pool list`")],
    undo: Annotated[bool, typer.Option("--undo", help="place shares there again")] = False,
) -> None:
    """Place nothing new in a pool from now on. What is there stays there, until it is migrated."""
    backend, _, name = place.partition("/")
    async with cli.shares() as shares:
        operation = await shares.drain_pool(backend, name, drained=not undo, **start.options)
        await cli.conclude(start, operation, place)


@command(kind, "list", example="shareflow type list")
async def type_list(cli: Cli) -> None:
    """The share types that can be asked for."""
    async with cli.shares() as shares:
        found = await shares.types()
    if cli.json:
        print_json(found)
        return
    rows = ((t.name, t.version, t.description) for t in found)
    print_table(("NAME", "VERSION", "DESCRIPTION"), rows, empty="No share types.")


@command(qos, "list", example="shareflow qos list")
async def qos_list(cli: Cli) -> None:
    """The QoS classes that a share can be given: `shareflow share qos SHARE CLASS`."""
    async with cli.shares() as shares:
        found = await shares.qos_classes()
    if cli.json:
        print_json(found)
        return
    rows = ((c.name, c.version, " ".join(class_keys(c.document)), c.description) for c in found)
    print_table(("NAME", "VERSION", "KEYS", "DESCRIPTION"), rows, empty="No QoS classes.")


@command(quota, "show", example="shareflow quota show --project default")
async def quota_show(cli: Cli) -> None:
    """What the project uses of its limits."""
    async with cli.shares() as shares:
        found = await shares.quota()
    if cli.json:
        print_json(found)
        return
    rows = (
        ("shares", found.shares_used, _limit(found.shares_limit)),
        ("bytes", size(found.bytes_used), size(found.bytes_limit, "no limit")),
        ("snapshots", found.snapshots_used, _limit(found.snapshots_limit)),
    )
    print_table((f"PROJECT {found.project}", ">USED", ">LIMIT"), rows, empty="")


async def findings(
    cli: Cli,
    *,
    every: Annotated[bool, typer.Option("--all", help="repaired ones too")] = False,
    limit: Limit = 100,
) -> None:
    """What the reconciler found: orphans, missing objects, unreachable backends, and what to do."""
    columns = ["KIND", "WHERE", "SUBJECT", "DETAIL", ">SIZE", "FIRST SEEN", "REPAIRED", "ADVICE"]
    async with cli.shares() as shares:
        await show_list(
            cli, shares.findings(open_only=not every), limit, columns,
            lambda f: (
                f.kind, f"{f.backend}/{f.pool}" if f.pool else f.backend, f.subject, f.detail, size(f.bytes),
                moment(f.first_seen), "yes" if f.repaired else "no", f.advice,
            ),
            empty="Nothing to report.",
        )  # fmt: skip


async def audit(
    cli: Cli,
    *,
    resource: Annotated[str | None, typer.Option(help="only of this share or snapshot (id)")] = None,
    operation: Annotated[str, typer.Option(help="only of this operation")] = "",
    limit: Limit = 100,
) -> None:
    """Every state change, newest first: who, when, before, after, why."""
    columns = ["AT", "RESOURCE", "BEFORE", "AFTER", "BY", "WHY", "OPERATION"]
    async with cli.shares() as shares:
        await show_list(
            cli, shares.audit(resource=resource, operation=operation), limit, columns,
            lambda a: (
                moment(a.at), f"{a.resource_kind} {a.resource_id}", a.before or "-", a.after or "-", a.by, a.why,
                a.operation,
            ),
            empty="No state changes.",
        )  # fmt: skip


def _limit(value: int | None) -> str:
    return "no limit" if value is None else str(value)


def _attribute(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
