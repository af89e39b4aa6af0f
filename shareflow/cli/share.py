"""``shareflow share``: shares and their snapshots."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from shareflow.cli.common import Cli, Start, command
from shareflow.cli.copies import print_copies
from shareflow.cli.listing import Limit, show_list
from shareflow.cli.output import moment, print_fields, print_json, print_line, print_table, size, status, text
from shareflow.cli.quality import qos_fields
from shareflow.contracts.operations import AffinityBy
from shareflow.errors import NotFound

if TYPE_CHECKING:
    from shareflow.contracts.reads import ExportLocation, MigrationView

app = typer.Typer(name="share", help="Shares and their snapshots.", no_args_is_help=True)

Share = Annotated[str, typer.Argument(metavar="SHARE", help="name or id of the share")]
Snapshot = Annotated[str, typer.Argument(metavar="SNAPSHOT", help="name or id of the snapshot")]
NewName = Annotated[
    str, typer.Argument(metavar="NAME", help="of the new share: A-Z a-z 0-9 . _ -, at most 63 characters")
]
Size = Annotated[str, typer.Option("--size", help="like '10 GiB', or whole bytes")]
Zone = Annotated[str | None, typer.Option(help="only pools of this zone")]
Backend = Annotated[str | None, typer.Option(help="only pools of this backend")]
Pool = Annotated[str | None, typer.Option(help="only this pool")]
Affinity = Annotated[list[str] | None, typer.Option(help="near to this share; may be repeated")]
AntiAffinity = Annotated[list[str] | None, typer.Option(help="apart from this share; may be repeated")]
AffinityLevel = Annotated[AffinityBy, typer.Option(help="what near means: the same pool, backend or zone")]
Description = Annotated[str, typer.Option(help="free text, at most 255 characters")]


@command(app, "list", example="shareflow share list --sort size --descending")
async def list_(
    cli: Cli,
    *,
    state: Annotated[str | None, typer.Option("--status", help="only shares in this state, like available")] = None,
    kind: Annotated[str | None, typer.Option("--type", help="only shares of this type")] = None,
    backend: Backend = None,
    pool: Pool = None,
    prefix: Annotated[str, typer.Option(help="only names that begin with this")] = "",
    deleted: Annotated[bool, typer.Option("--deleted", help="those in the recycle bin")] = False,
    sort: Annotated[str, typer.Option(help="name, size, created_at or status")] = "name",
    descending: Annotated[bool, typer.Option("--descending", help="the other way round")] = False,
    limit: Limit = 100,
) -> None:
    """The project's shares."""
    columns = ["NAME", "STATUS", ">SIZE", "TYPE", "POOL", ">SNAPSHOTS", "PURGE AT" if deleted else "CREATED", "ID"]
    async with cli.shares() as shares:
        found = shares.list(
            status=state, type=kind, backend=backend, pool=pool, name_prefix=prefix, deleted=deleted,
            sort=sort, descending=descending,
        )  # fmt: skip
        await show_list(
            cli, found, limit, columns,
            lambda s: (
                s.name, status(s.status), size(s.size), s.type, f"{s.backend}/{s.pool}", s.snapshots,
                moment(s.purge_at if deleted else s.created_at), s.id,
            ),
            empty="The recycle bin is empty." if deleted else "No shares.",
        )  # fmt: skip


@command(app, "show", example="shareflow share show home")
async def show(
    cli: Cli,
    *,
    share: Share,
    deleted: Annotated[bool, typer.Option("--deleted", help="look in the recycle bin too (by id)")] = False,
) -> None:
    """One share: place, exports, replicas, and the operation that holds it."""
    async with cli.shares() as shares:
        found = await shares.get(share, deleted=deleted)
    if cli.json:
        print_json(found)
        return
    print_fields(
        {
            "name": text(found.name, "bold"),
            "id": found.id,
            "status": status(found.status),
            "operation": found.operation,
            "size": size(found.size),
            "type": f"{found.type} (version {found.type_version})",
            "pool": f"{found.backend}/{found.pool}",
            "migration": _migration(found.migration),
            **qos_fields(found.qos),
            "description": found.description,
            "snapshots": found.snapshots,
            "made from snapshot": found.source_snapshot_id,
            "created": moment(found.created_at),
            "purge at": moment(found.purge_at) if found.purge_at else "",
            **{f"export {n}": _export(e) for n, e in enumerate(found.export_locations, 1)},
        }
    )
    if found.replicas:
        print_line()
        print_copies(found)


def _export(location: ExportLocation) -> str:
    return f"{location.path} ({location.protocol}{', read-only' if location.readonly else ''})"


def _migration(found: MigrationView | None) -> str:
    return "" if found is None else f"{found.phase} to {found.destination}, operation {found.operation}"


@command(app, "create", example="shareflow share create home --size '10 GiB' --type standard", starts=True)
async def create(
    cli: Cli,
    start: Start,
    *,
    name: NewName,
    amount: Size,
    kind: Annotated[str, typer.Option("--type", help="share type; see `shareflow type list`")] = "standard",
    zone: Zone = None,
    backend: Backend = None,
    pool: Pool = None,
    affinity: Affinity = None,
    anti_affinity: AntiAffinity = None,
    affinity_by: AffinityLevel = AffinityBy.POOL,
    description: Description = "",
) -> None:
    """Make an empty share."""
    async with cli.shares() as shares:
        operation = await shares.create(
            name, amount, kind, zone=zone, backend=backend, pool=pool, affinity=affinity or (),
            anti_affinity=anti_affinity or (), affinity_by=affinity_by, description=description, **start.options,
        )  # fmt: skip
        await cli.conclude(start, operation, name)


@command(
    app, "create-from-snapshot", example="shareflow share create-from-snapshot copy home monday --zone b", starts=True
)
async def create_from_snapshot(
    cli: Cli,
    start: Start,
    *,
    name: NewName,
    share: Annotated[str, typer.Argument(metavar="SHARE", help="name or id of the snapshot's share")],
    snapshot: Snapshot,
    amount: Annotated[str | None, typer.Option("--size", help="at least the snapshot's; default: the same")] = None,
    kind: Annotated[str | None, typer.Option("--type", help="default: the type of the snapshot's share")] = None,
    zone: Zone = None,
    backend: Backend = None,
    pool: Pool = None,
    affinity: Affinity = None,
    anti_affinity: AntiAffinity = None,
    affinity_by: AffinityLevel = AffinityBy.POOL,
    description: Description = "",
) -> None:
    """Make a share with the content of a snapshot, in any pool that fits."""
    async with cli.shares() as shares:
        operation = await shares.create_from_snapshot(
            name, share, snapshot, size=amount, type=kind, zone=zone, backend=backend, pool=pool,
            affinity=affinity or (), anti_affinity=anti_affinity or (), affinity_by=affinity_by,
            description=description, **start.options,
        )  # fmt: skip
        await cli.conclude(start, operation, name)


@command(app, "snapshot", example="shareflow share snapshot home monday", starts=True)
async def snapshot(
    cli: Cli,
    start: Start,
    *,
    share: Share,
    name: Annotated[str, typer.Argument(metavar="NAME", help="of the new snapshot")],
    description: Description = "",
) -> None:
    """Freeze a share's content under a name."""
    async with cli.shares() as shares:
        operation = await shares.snapshot(share, name, description=description, **start.options)
        await cli.conclude(start, operation, f"{name} of {share}")


@command(app, "delete-snapshot", example="shareflow share delete-snapshot home monday", starts=True)
async def delete_snapshot(cli: Cli, start: Start, share: Share, snapshot: Snapshot) -> None:
    """Delete one snapshot for good. Shares made from it stay."""
    async with cli.shares() as shares:
        operation = await shares.delete_snapshot(share, snapshot, **start.options)
        await cli.conclude(start, operation, f"{snapshot} of {share}")


@command(app, "snapshots", example="shareflow share snapshots home")
async def snapshots(
    cli: Cli,
    *,
    share: Annotated[
        str | None, typer.Argument(metavar="SHARE", help="name or id; without it those of all shares")
    ] = None,
    sort: Annotated[str, typer.Option(help="name, size or created_at")] = "name",
    descending: Annotated[bool, typer.Option("--descending", help="the other way round")] = False,
    limit: Limit = 100,
) -> None:
    """The snapshots of a share, or of all."""
    columns = ["SHARE", "NAME", "STATUS", ">SIZE", "CREATED", "ID"]
    async with cli.shares() as shares:
        await show_list(
            cli, shares.snapshots(share, sort=sort, descending=descending), limit, columns,
            lambda s: (s.share, s.name, status(s.status), size(s.size), moment(s.created_at), s.id),
            empty="No snapshots.",
        )  # fmt: skip


@command(app, "revert", example="shareflow share revert home monday", starts=True)
async def revert(cli: Cli, start: Start, share: Share, snapshot: Snapshot) -> None:
    """Take a share back to any of its snapshots; all snapshots stay."""
    async with cli.shares() as shares:
        operation = await shares.revert(share, snapshot, **start.options)
        await cli.conclude(start, operation, f"{share} to {snapshot}")


@command(app, "resize", example="shareflow share resize home --size '20 GiB'", starts=True)
async def resize(
    cli: Cli,
    start: Start,
    *,
    share: Share,
    amount: Size,
) -> None:
    """Set a share's size. A shrink is refused when the bytes in use do not fit."""
    async with cli.shares() as shares:
        operation = await shares.resize(share, amount, **start.options)
        await cli.conclude(start, operation, f"{share} to {amount}")


@command(app, "qos", example="shareflow share qos home gold", starts=True)
async def qos(
    cli: Cli,
    start: Start,
    *,
    share: Share,
    name: Annotated[str, typer.Argument(metavar="CLASS", help="see `shareflow qos list`; none takes the limits away")],
) -> None:
    """Give a share a QoS class in its current version, or none."""
    async with cli.shares() as shares:
        operation = await shares.set_qos(share, None if name == "none" else name, **start.options)
        await cli.conclude(start, operation, f"{share} to {name}")


@command(app, "delete", example="shareflow share delete home --retention '1 d'", starts=True)
async def delete(
    cli: Cli,
    start: Start,
    *,
    share: Share,
    retention: Annotated[str | None, typer.Option(help="time until the purge, like '7 d'; default: by type")] = None,
    preview: Annotated[bool, typer.Option("--preview", help="only say what would go and what that frees")] = False,
) -> None:
    """Move a share with its snapshots to the recycle bin; waits until it is there."""
    async with cli.shares() as shares:
        if preview:
            await cli.conclude(start, await shares.preview_delete(share), share)
            return
        operation = await shares.delete(share, retention=retention, **start.options)
        await cli.conclude_delete(start, operation, share)


@command(app, "restore", example="shareflow share restore home --name home-again")
async def restore(
    cli: Cli,
    *,
    share: Annotated[str, typer.Argument(metavar="SHARE", help="name or id of a share in the recycle bin")],
    name: Annotated[str | None, typer.Option(help="new name, when the old one is taken meanwhile")] = None,
) -> None:
    """Take a share with its snapshots out of the recycle bin."""
    async with cli.shares() as shares:
        near = [s async for s in shares.list(deleted=True, name_prefix=share)]
        found = [s for s in near if s.name == share] or [await shares.get(share, deleted=True)]
        if len(found) > 1:
            rows = ((s.id, moment(s.purge_at), size(s.size)) for s in found)
            print_table(("ID", "PURGE AT", ">SIZE"), rows, empty="")
            raise NotFound(f"{len(found)} shares named {share!r} are in the recycle bin", hint="name one by its id")
        if not found[0].operation:
            raise NotFound(f"share {share!r} is not in the recycle bin", hint="see `shareflow share list --deleted`")
        await (await shares.operation_handle(found[0].operation)).restore(name)
        back = await shares.get(found[0].id)
    if cli.json:
        print_json(back)
    else:
        print_line(f"share {back.name} is {back.status} again")


@command(app, "forget", example="shareflow share forget home --reason 'array is gone'", starts=True)
async def forget(cli: Cli, start: Start, share: Share) -> None:
    """Remove a share's rows and leave its data on the backend; the reconciler can find what stayed."""
    async with cli.shares() as shares:
        operation = await shares.forget(share, **start.options)
        await cli.conclude(start, operation, share)
