"""Ending a command that started an operation: print its id, or wait and print what it made."""

from __future__ import annotations

from typing import Any

from shareflow.cli import exits
from shareflow.cli.common import Cli, Start
from shareflow.cli.copies import replica_result
from shareflow.cli.emptying import evacuation_result, print_evacuation
from shareflow.cli.figures import PLANNED, print_promises, print_standing, result_fields
from shareflow.cli.output import moment, print_fields, print_json, print_line
from shareflow.cli.promoting import failover_result, print_failover
from shareflow.cli.quality import qos_fields
from shareflow.cli.waiting import follow
from shareflow.contracts.evacuation import EvacuationResult
from shareflow.contracts.failover import FailoverResult
from shareflow.contracts.migration import MigrateShareResult
from shareflow.contracts.operations import (
    ApplySpecsResult,
    DeleteShareResult,
    DrainPoolResult,
    ForgetShareResult,
    OperationResult,
    SetShareQosResult,
    ShareResult,
    SnapshotResult,
)
from shareflow.contracts.replication import PromoteReplicaResult, ReplicaResult
from shareflow.contracts.steps import OperationStatus
from shareflow.contracts.units import format_size
from shareflow.operation import CATCHING_UP, RECYCLE_BIN, Operation
from shareflow.starting import kebab


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


async def conclude_migration(
    cli: Cli, start: Start, operation: Operation[MigrateShareResult], share: str, *, follows: bool
) -> int:
    """As :func:`conclude`, but one that waits for its cutover is done for its caller once the destination follows."""
    if not start.wait:
        started(cli, operation)
        return exits.OK
    status = await follow(cli, operation, f"migrate share {share}", until=CATCHING_UP if follows else "")
    if status is not None and status.phase == CATCHING_UP:
        if cli.json:
            print_json({"state": "running", **status.model_dump(mode="json")})
        else:
            print_standing(status, share)
        return exits.OK
    result = await operation.result()
    show_result(cli, result)
    promises = result.plan.promises if result.outcome == PLANNED and result.plan is not None else []
    return exits.FAILED if any(promise.asked and not promise.holds for promise in promises) else exits.OK


async def conclude_evacuation(cli: Cli, start: Start, operation: Operation[EvacuationResult], place: str) -> int:
    """As :func:`conclude`; gives the exit code, 1 when shares are left."""
    if not start.wait:
        started(cli, operation)
        return exits.OK
    await follow(cli, operation, f"evacuate {place}")
    result = await operation.result()
    show_result(cli, result)
    refused = result.plan is not None and any(share.refusal for share in result.plan.first)
    return exits.FAILED if result.outcome == "incomplete" or refused else exits.OK


async def conclude_failover(cli: Cli, start: Start, operation: Operation[FailoverResult], what: str) -> int:
    """As :func:`conclude`; gives the exit code, 1 when shares are left, or would be."""
    if not start.wait:
        started(cli, operation)
        return exits.OK
    await follow(cli, operation, what)
    result = await operation.result()
    show_result(cli, result)
    stays = result.plan.failed if result.plan is not None else result.left
    return exits.FAILED if stays else exits.OK


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
    print_fields({**_fields(result), "operation": result.operation})
    if isinstance(result, MigrateShareResult) and result.outcome == PLANNED and result.plan is not None:
        print_promises(result.plan)
    if isinstance(result, EvacuationResult):
        print_evacuation(result)
    if isinstance(result, FailoverResult):
        print_failover(result)


def _fields(result: OperationResult) -> dict[str, object]:
    match result:
        case ShareResult():
            return {
                "share": result.name,
                "id": result.share_id,
                "size": format_size(result.size),
                "pool": f"{result.backend}/{result.pool}",
                **{f"export {number}": path for number, path in enumerate(result.export_locations, 1)},
            }
        case SnapshotResult():
            return {
                "snapshot": result.name,
                "id": result.snapshot_id,
                "size of its share": format_size(result.size),
            }
        case DeleteShareResult():
            return _deleted(result)
        case MigrateShareResult():
            return result_fields(result)
        case ForgetShareResult():
            left = {f"left behind {number}": name for number, name in enumerate(result.left_behind, 1)}
            return {"forgotten": result.name, "id": result.share_id, **left}
        case _:
            return _of_copies(result)


def _of_copies(result: OperationResult) -> dict[str, object]:
    """Results of operations on replicas, and on pools and backends with all that is there."""
    match result:
        case ReplicaResult() | PromoteReplicaResult():
            return replica_result(result)
        case EvacuationResult():
            return evacuation_result(result)
        case FailoverResult():
            return failover_result(result)
        case DrainPoolResult():
            now = "drained, nothing new is placed there" if result.drained else "in use"
            return {"pool": f"{result.backend}/{result.pool}", "is": now, "shares there": str(result.shares)}
        case _:
            return _of_settings(result)


def _of_settings(result: OperationResult) -> dict[str, object]:
    """Results of operations that set something."""
    match result:
        case ApplySpecsResult():
            changed = len(result.changed) + result.left_off
            return {"specs revision": result.specs_revision, "digest": result.digest[:12], "changed": changed}
        case SetShareQosResult():
            return {"share": result.name, "id": result.share_id, **(qos_fields(result.qos) or {"qos class": "none"})}
        case _:
            return {"state": result.state}


def _deleted(result: DeleteShareResult) -> dict[str, object]:
    verb = {"preview": "would free", "purged": "freed", "restored": "keeps"}.get(result.outcome, "frees")
    tree = {f"{item.kind} {item.name}": f"{format_size(item.size)} ({item.id})" for item in result.tree}
    left = {f"left behind {number}": name for number, name in enumerate(result.left_behind, 1)}
    return {"share": result.name, "outcome": result.outcome, verb: format_size(result.frees_bytes), **tree, **left}


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
