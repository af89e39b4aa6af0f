"""``shareflow op``: operations, watched and commanded."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shareflow.cli import exits
from shareflow.cli.common import Cli, command
from shareflow.cli.decisions import show_decision
from shareflow.cli.emptying import evacuation_fields, print_not_moved
from shareflow.cli.figures import job_line, migration_fields, print_send_now
from shareflow.cli.listing import Limit, show_list
from shareflow.cli.output import moment, plain, print_fields, print_json, print_line, print_table, safe, status
from shareflow.cli.promoting import failover_fields, print_not_promoted
from shareflow.errors import ShareflowError

if TYPE_CHECKING:
    from shareflow.contracts.reads import OperationView
    from shareflow.contracts.steps import JobProgress, OperationStatus

app = typer.Typer(name="op", help="Operations: list, watch, command, cancel.", no_args_is_help=True)

Id = Annotated[str, typer.Argument(metavar="ID", help="the operation's id; see `shareflow op list`")]


@command(app, "list", example="shareflow op list --state running")
async def list_(
    cli: Cli,
    *,
    state: Annotated[
        str | None, typer.Option(help="running, succeeded, failed-clean or needs-operator; default: all")
    ] = None,
    kind: Annotated[str | None, typer.Option(help="only this kind, like CreateShare")] = None,
    share: Annotated[str | None, typer.Option(help="only of this share")] = None,
    limit: Limit = 50,
) -> None:
    """The project's operations, newest first."""
    columns = ["ID", "KIND", "STATE", "SUBJECT", "STARTED", "ENDED", "BY"]
    async with cli.shares() as shares:
        await show_list(
            cli, shares.operations(state=state, kind=kind, share=share), limit, columns,
            lambda o: (o.id, o.kind, status(o.state), _subject(o), moment(o.created_at), moment(o.ended_at), o.by),
            empty="No operations.",
        )  # fmt: skip


@command(app, "show", example="shareflow op show create-share-0c6a3f52-2d3c-4c25-9d2c-6d0f0d5a8a11")
async def show(cli: Cli, operation: Id) -> None:
    """One operation: its input, why its pool was chosen, how it goes or ended, what can be sent now."""
    async with cli.shares() as shares:
        view = await shares.operation(operation)
        live = job = None
        if view.ended_at is None:
            with contextlib.suppress(ShareflowError):
                handle = await shares.operation_handle(operation)
                live = await handle.status()
                job = await handle.job()
    if cli.json:
        print_json({**plain(view), "status": plain(live), "job": plain(job)})
        return
    _show_view(view)
    if live is not None:
        _show_live(live, job)
    if view.placement:
        print_line()
        show_decision(view.placement)


@command(app, "watch", example="shareflow op watch create-share-0c6a3f52-2d3c-4c25-9d2c-6d0f0d5a8a11")
async def watch(cli: Cli, operation: Id) -> None:
    """Every step as it happens, until the end; with --output json one object a line."""
    async with cli.shares() as shares:
        await cli.watch(await shares.operation_handle(operation))


@command(app, "cancel", example="shareflow op cancel create-share-0c6a3f52-2d3c-4c25-9d2c-6d0f0d5a8a11")
async def cancel(
    cli: Cli,
    *,
    operation: Id,
    reason: Annotated[str, typer.Option(help="why, for the history")] = "",
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="wait until it has ended")] = True,
) -> int:
    """Stop an operation and undo what it did. A share in the recycle bin is restored."""
    async with cli.shares() as shares:
        handle = await shares.operation_handle(operation)
        cancelled = await handle.cancel(reason, wait=wait)
    if cli.json:
        print_json({"operation": operation, "cancelled": cancelled if wait else None})
    elif not wait:
        print_line(f"asked operation {operation} to stop")
    elif cancelled:
        print_line(f"operation {operation} was cancelled; everything was undone")
    else:
        print_line(f"operation {operation} ended before the cancel could take effect")
    return exits.OK if cancelled else exits.FAILED


@command(app, "restore", example="shareflow op restore delete-share-0c6a3f52-2d3c-4c25-9d2c-6d0f0d5a8a11")
async def restore(
    cli: Cli,
    *,
    operation: Id,
    name: Annotated[str | None, typer.Option(help="new name, when the old one is taken meanwhile")] = None,
) -> None:
    """Take a deleted share with its snapshots out of the recycle bin."""
    async with cli.shares() as shares:
        await (await shares.operation_handle(operation)).restore(name)
    _sent(cli, operation, "restore", "the share is restored")


@command(app, "purge-now", example="shareflow op purge-now delete-share-0c6a3f52-2d3c-4c25-9d2c-6d0f0d5a8a11")
async def purge_now(cli: Cli, operation: Id) -> None:
    """Delete a share in the recycle bin for good, now. There is no way back."""
    async with cli.shares() as shares:
        await (await shares.operation_handle(operation)).purge_now()
    _sent(cli, operation, "purge_now", "the share is purged")


@command(app, "extend-retention", example="shareflow op extend-retention delete-share-0c6a3f52... '7 d'")
async def extend_retention(
    cli: Cli, operation: Id, by: Annotated[str, typer.Argument(metavar="DURATION", help="how much later, like '7 d'")]
) -> None:
    """Move the purge of a deleted share later."""
    async with cli.shares() as shares:
        purge_at = await (await shares.operation_handle(operation)).extend_retention(by)
    later = purge_at.isoformat() if purge_at else None
    _sent(cli, operation, "extend_retention", f"purge at {moment(purge_at)}", purge_at=later)


@command(app, "retry-now", example="shareflow op retry-now create-share-0c6a3f52-2d3c-4c25-9d2c-6d0f0d5a8a11")
async def retry_now(cli: Cli, operation: Id) -> None:
    """Do not wait for the next retry of a failing step."""
    async with cli.shares() as shares:
        await (await shares.operation_handle(operation)).retry_now()
    _sent(cli, operation, "retry_now", "it tries again now")


def _sent(cli: Cli, operation: str, name: str, outcome: str, **more: Any) -> None:
    if cli.json:
        print_json({"operation": operation, "command": name, "accepted": True, **more})
    else:
        print_line(f"operation {operation}: {outcome}")


def _subject(view: OperationView) -> str:
    """What an operation is about, from its input."""
    request = view.request
    if view.kind.startswith(("Evacuate", "DrainPool", "Fail")):
        fields: tuple[str, ...] = ("backend", "pool")
    else:
        fields = ("name",) if view.kind.startswith("CreateShare") else ("share", "snapshot", "name")
    return "/".join(str(request[field]) for field in fields if request.get(field)) or view.share_id


def _show_view(view: OperationView) -> None:
    request = {key: value for key, value in view.request.items() if value not in (None, "", False)}
    failure = view.failure
    print_fields(
        {
            "id": view.id,
            "kind": view.kind,
            "state": status(view.state),
            "share": view.share_id,
            "by": view.by,
            "reason": view.reason,
            "started": moment(view.created_at),
            "ended": moment(view.ended_at) if view.ended_at else "",
            "input": ", ".join(f"{key}={value}" for key, value in request.items()),
            "waiting for": ", ".join(view.waiting_for),
            "failure": f"{failure.type}: {failure.message}" if failure else "",
            "help": failure.hint if failure else "",
            "left": view.left,
        }
    )


def _show_live(live: OperationStatus, job: JobProgress | None) -> None:
    print_line()
    figures = {} if live.migration is None else migration_fields(live.migration, live.phase)
    figures |= {} if live.evacuation is None else evacuation_fields(live.evacuation)
    figures |= {} if live.failover is None else failover_fields(live.failover)
    print_fields(
        {
            "phase": status(live.phase),
            "waiting for": live.waiting_for,
            "note": live.note,
            "purge at": moment(live.purge_at) if live.purge_at else "",
            **figures,
            "this copy": job_line(job),
        }
    )
    print_send_now(live)
    if live.evacuation is not None and live.evacuation.not_moved:
        print_not_moved(live.evacuation.not_moved)
    if live.failover is not None:
        print_not_promoted(live.failover.not_promoted)
    rows = ((step.state, step.name, safe(step.detail)) for step in live.steps)
    print_table(("STATE", "STEP", "DETAIL"), rows, empty="No step has begun.")
