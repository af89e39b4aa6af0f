"""``shareflow replica``: copies of shares elsewhere that are kept in step."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shareflow.cli.common import Cli, Start, command
from shareflow.cli.copies import lag, state
from shareflow.cli.listing import Limit, show_list
from shareflow.cli.output import moment, plain
from shareflow.cli.share import Backend, Pool, Share, Zone
from shareflow.contracts.migration import Verify
from shareflow.contracts.replication import ReplicaState, Stale

if TYPE_CHECKING:
    from shareflow.client import Shares
    from shareflow.contracts.reads import ReplicaView, ShareView

app = typer.Typer(name="replica", help="Replicas of shares: copies elsewhere, kept in step.", no_args_is_help=True)

Replica = Annotated[str, typer.Argument(metavar="REPLICA", help="BACKEND/POOL, name of its pool, or its id")]


@command(app, "list", example="shareflow replica list --state out_of_sync")
async def list_(
    cli: Cli,
    *,
    share: Annotated[
        str | None, typer.Argument(metavar="SHARE", help="name or id of a share; default: all of the project")
    ] = None,
    only: Annotated[ReplicaState | None, typer.Option("--state", help="only replicas in this state")] = None,
    limit: Limit = 100,
) -> None:
    """Replicas of a share or of all shares: where they are, and how far each is behind."""
    columns = ["SHARE", "POOL", "ZONE", "KIND", "STATE", ">LAG", "LAST SYNC", "HELD BY", "LAST ERROR", "ID"]
    async with cli.shares() as shares:
        found = _found(shares, share, only)
        await show_list(
            cli, _as_data(found) if cli.json else found, limit, columns,
            lambda row: (
                row[0].name, f"{row[1].backend}/{row[1].pool}", row[1].zone or "-", row[1].kind, state(row[1]),
                lag(row[1]), moment(row[1].synced_at), row[1].operation or "-", row[1].error or "-", row[1].id,
            ),
            empty="No replicas.",
        )  # fmt: skip


async def _found(
    shares: Shares, share: str | None, only: ReplicaState | None
) -> AsyncIterator[tuple[ShareView, ReplicaView]]:
    if share is not None:
        one = await shares.get(share)
        for replica in one.replicas:
            if only in (None, replica.state):
                yield one, replica
        return
    async for one in shares.list():
        for replica in one.replicas:
            if only in (None, replica.state):
                yield one, replica


async def _as_data(rows: AsyncIterator[tuple[ShareView, ReplicaView]]) -> AsyncIterator[Any]:
    async for share, replica in rows:
        yield {"share": share.name, "share_id": share.id, **plain(replica)}


@command(app, "create", example="shareflow replica create home --zone b --bandwidth '50 MiB/s'", starts=True)
async def create(
    cli: Cli,
    start: Start,
    *,
    share: Share,
    zone: Zone = None,
    backend: Backend = None,
    pool: Pool = None,
    same_domain: Annotated[
        bool, typer.Option("--same-domain", help="also where the type wants no second copy; never in the same pool")
    ] = False,
    bandwidth: Annotated[str | None, typer.Option(help="limit of its copies, like '50 MiB/s'")] = None,
) -> None:
    """Make a replica and keep it in step, as the type of the share says; waits until it has all content."""
    async with cli.shares() as shares:
        operation = await shares.create_replica(
            share, zone=zone, backend=backend, pool=pool, same_domain=same_domain, bandwidth=bandwidth, **start.options
        )
        await cli.conclude(start, operation, f"of {share}")


@command(app, "resync", example="shareflow replica resync home local/rack2", starts=True)
async def resync(
    cli: Cli,
    start: Start,
    *,
    share: Share,
    replica: Replica,
    full: Annotated[bool, typer.Option("--full", help="look at everything again, rely on nothing")] = False,
) -> None:
    """Bring a replica up to date now; a stale copy that was kept is a replica again."""
    async with cli.shares() as shares:
        operation = await shares.resync_replica(share, replica, full=full, **start.options)
        await cli.conclude(start, operation, f"{replica} of {share}")


@command(app, "promote", example="shareflow replica promote home local/rack2", starts=True)
async def promote(
    cli: Cli,
    start: Start,
    *,
    share: Share,
    replica: Annotated[
        str | None, typer.Argument(metavar="REPLICA", help="BACKEND/POOL, pool or id; default: the newest content")
    ] = None,
    lost: Annotated[
        bool, typer.Option("--lost", help="the active copy is gone: do not ask it; needs --reason")
    ] = False,
    accept_loss: Annotated[
        bool, typer.Option("--accept-loss", help="with --lost: without it the refusal says what would be lost")
    ] = False,
    stale: Annotated[
        Stale, typer.Option(help="with --lost: what becomes of the old copy when it is reached again")
    ] = Stale.KEEP,
    verify: Annotated[Verify, typer.Option(help="what is compared before the switch")] = Verify.SAMPLED,
    ignore_open_files: Annotated[
        bool, typer.Option("--ignore-open-files", help="although files are open for writing")
    ] = False,
) -> None:
    """Make a replica the active copy; the old one is fenced, gives its last changes and is a replica then.

    With --lost the old one is asked nothing; it is fenced as soon as it is reached again.
    """
    async with cli.shares() as shares:
        operation = await shares.promote_replica(
            share, replica, lost=lost, accept_loss=accept_loss, stale=stale, verify=verify,
            ignore_open_files=ignore_open_files, **start.options,
        )  # fmt: skip
        await cli.conclude(start, operation, f"of {share}" if replica is None else f"{replica} of {share}")


@command(app, "migrate", example="shareflow replica migrate home local/rack2 --to-pool rack3", starts=True)
async def migrate(
    cli: Cli,
    start: Start,
    *,
    share: Share,
    replica: Replica,
    to_pool: Annotated[str | None, typer.Option(help="only to this pool")] = None,
    to_backend: Annotated[str | None, typer.Option(help="only to this backend")] = None,
    to_zone: Annotated[str | None, typer.Option(help="only to this zone")] = None,
    same_domain: Annotated[
        bool, typer.Option("--same-domain", help="also where another copy is near; never in the same pool")
    ] = False,
    bandwidth: Annotated[str | None, typer.Option(help="limit of the copy, like '50 MiB/s'")] = None,
) -> None:
    """Move a replica to another pool: it is kept in step where it is until it has everything there."""
    async with cli.shares() as shares:
        operation = await shares.migrate_replica(
            share, replica, to_pool=to_pool, to_backend=to_backend, to_zone=to_zone, same_domain=same_domain,
            bandwidth=bandwidth, **start.options,
        )  # fmt: skip
        await cli.conclude(start, operation, f"{replica} of {share}")


@command(app, "delete", example="shareflow replica delete home local/rack2", starts=True)
async def delete(cli: Cli, start: Start, share: Share, replica: Replica) -> None:
    """Delete one replica for good; the share and its other copies stay."""
    async with cli.shares() as shares:
        operation = await shares.delete_replica(share, replica, **start.options)
        await cli.conclude(start, operation, f"{replica} of {share}")
