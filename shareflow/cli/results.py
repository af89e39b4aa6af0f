"""Ending a command that started an operation: print its id, or wait and print what it made."""

from __future__ import annotations

from typing import Any

from shareflow.cli.common import Cli, Start
from shareflow.cli.output import moment, print_fields, print_json, print_line
from shareflow.cli.quality import qos_fields
from shareflow.cli.waiting import follow
from shareflow.client import kebab
from shareflow.contracts.operations import (
    ApplySpecsResult,
    DeleteShareResult,
    ForgetShareResult,
    OperationResult,
    SetShareQosResult,
    ShareResult,
    SnapshotResult,
)
from shareflow.contracts.steps import OperationStatus
from shareflow.contracts.units import format_size
from shareflow.operation import RECYCLE_BIN, Operation


async def conclude(cli: Cli, start: Start, operation: Operation[Any], what: str) -> None:
    """Print the id at once (``--no-wait``), or wait for the end and print the result. Raises why it failed."""
    if not start.wait:
        started(cli, operation)
        return
    await follow(cli, operation, f"{kebab(operation.kind).replace('-', ' ')} {what}")
    show_result(cli, await operation.result())


async def conclude_delete(cli: Cli, start: Start, operation: Operation[DeleteShareResult], share: str) -> None:
    """As :func:`conclude`, but a delete is done for its caller once the share is in the recycle bin."""
    if not start.wait:
        started(cli, operation)
        return
    status = await follow(cli, operation, f"delete share {share}", until=RECYCLE_BIN)
    if status is None or status.phase != RECYCLE_BIN:
        show_result(cli, await operation.result())
    else:
        _show_bin(cli, status, share)


def started(cli: Cli, operation: Operation[Any]) -> None:
    """The id of an operation that nobody waits for."""
    if cli.json:
        print_json({"operation": operation.id, "kind": operation.kind, "state": "running"})
    else:
        print_line(operation.id)


def show_result(cli: Cli, result: OperationResult) -> None:
    """What an operation made."""
    if cli.json:
        print_json(result)
        return
    match result:
        case ShareResult():
            fields: dict[str, object] = {
                "share": result.name,
                "id": result.share_id,
                "size": format_size(result.size),
                "pool": f"{result.backend}/{result.pool}",
                **{f"export {number}": path for number, path in enumerate(result.export_locations, 1)},
            }
        case SnapshotResult():
            fields = {
                "snapshot": result.name,
                "id": result.snapshot_id,
                "size of its share": format_size(result.size),
            }
        case DeleteShareResult():
            fields = _deleted(result)
        case SetShareQosResult():
            fields = {"share": result.name, "id": result.share_id, **(qos_fields(result.qos) or {"qos class": "none"})}
        case ApplySpecsResult():
            fields = {"specs revision": result.specs_revision, "digest": result.digest[:12]}
            fields["changed"] = len(result.changed) + result.left_off
        case ForgetShareResult():
            left = {f"left behind {number}": name for number, name in enumerate(result.left_behind, 1)}
            fields = {"forgotten": result.name, "id": result.share_id, **left}
        case _:
            fields = {"state": result.state}
    print_fields({**fields, "operation": result.operation})


def _deleted(result: DeleteShareResult) -> dict[str, object]:
    verb = {"preview": "would free", "purged": "freed", "restored": "keeps"}.get(result.outcome, "frees")
    tree = {f"{item.kind} {item.name}": f"{format_size(item.size)} ({item.id})" for item in result.tree}
    return {"share": result.name, "outcome": result.outcome, verb: format_size(result.frees_bytes), **tree}


def _show_bin(cli: Cli, status: OperationStatus, share: str) -> None:
    if cli.json:
        print_json(
            {
                "operation": status.operation,
                "kind": status.kind,
                "state": "running",
                "phase": status.phase,
                "share_id": status.share_id,
                "purge_at": status.purge_at.isoformat() if status.purge_at else None,
            }
        )
        return
    fields = {"share": share, "id": status.share_id, "in the recycle bin until": moment(status.purge_at)}
    print_fields({**fields, "operation": status.operation})
    print_line(f"bring it back:  shareflow share restore {share}", style="dim")
    print_line(f"purge it now:   shareflow op purge-now {status.operation}", style="dim")
