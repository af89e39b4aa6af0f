"""What can be asked of one operation while it runs: how it stands, and the commands that it takes."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from temporalio.client import (
    WorkflowExecutionStatus,
    WorkflowHandle,
    WorkflowQueryFailedError,
    WorkflowUpdateHandle,
    WorkflowUpdateRPCTimeoutOrCancelledError,
    WorkflowUpdateStage,
)
from temporalio.exceptions import TemporalError
from temporalio.service import RPCError, RPCStatusCode

from shareflow import failures, names
from shareflow.contracts.base import StrictModel
from shareflow.contracts.migration import CutoverInput, SetBandwidthInput
from shareflow.contracts.operations import CommandInput, ExtendRetentionInput, PurgeNowInput, RestoreInput
from shareflow.contracts.reads import OperationRef, OperationView
from shareflow.contracts.steps import OperationStatus
from shareflow.converter import describe
from shareflow.errors import BackendUnavailable, CommandRefused, ShareflowError
from shareflow.wire import Wire

QUERY_SECONDS = 5.0
COMMAND_SECONDS = 30.0
ENDED = "ended"
_NO_HANDLER = "expected but not found"  # the SDK's words for an update that a workflow does not have

Model = TypeVar("Model", bound=BaseModel)


def build(model: type[Model], **fields: Any) -> Model:
    """The model with these fields.

    Raises:
        InvalidInput: a field is refused; names the field, the value and what is allowed.
    """
    try:
        return model(**fields)
    except ValidationError as error:
        raise describe(error, model) from None


class Commands:
    """The commands of every kind of operation. One that an operation does not take, or not now, is refused."""

    def __init__(self, wire: Wire, operation: str, kind: str, handle: WorkflowHandle[Any, Any]) -> None:
        self.id = operation
        self.kind = kind
        self._wire = wire
        self._handle = handle

    async def status(self) -> OperationStatus:
        """What the operation does now, by its own account.

        Raises:
            NotFound: there is no such operation any more.
            BackendUnavailable: no worker answers for it. ServerUnavailable.
        """
        try:
            status: OperationStatus = await self._handle.query(
                names.STATUS, result_type=OperationStatus, rpc_timeout=timedelta(seconds=QUERY_SECONDS)
            )
        except WorkflowQueryFailedError as error:
            return await self._ended_status(error)
        except (RPCError, TemporalError) as error:
            raise self._query_error(error) from error
        return status

    async def view(self) -> OperationView:
        """The operation as the inventory has recorded it, placement and failure included. Raises as a read."""
        return await self._wire.read(
            names.GET_OPERATION, OperationRef(project=self._wire.project, operation=self.id), OperationView
        )

    async def restore(self, name: str | None = None) -> None:
        """Take a deleted share with its tree out of the recycle bin, under a new name if one is given.

        Returns when it is back, or after 30 s while it is on its way; :meth:`result` then tells.

        Raises:
            NameTaken: its name is taken meanwhile; give another. CommandRefused: it is not in the recycle bin.
        """
        await self._command(names.RESTORE, build(RestoreInput, name=name, by=self._wire.by))

    async def purge_now(self) -> None:
        """End the retention of a deleted share: it is purged from now on, and cannot come back.

        Returns when it is gone, or after 30 s while the purge goes on; :meth:`result` then tells.

        Raises:
            CommandRefused: it is not in the recycle bin.
        """
        await self._command(names.PURGE_NOW, build(PurgeNowInput, by=self._wire.by))

    async def extend_retention(self, by: str | int) -> datetime | None:
        """Move the purge of a deleted share later by seconds or by text such as ``"7 d"``; gives the new time (UTC).

        Raises:
            InvalidInput: not a duration. CommandRefused: it is not in the recycle bin.
        """
        payload = build(ExtendRetentionInput, extend_by=by, by=self._wire.by)
        await self._command(names.EXTEND_RETENTION, payload)
        return (await self.status()).purge_at

    async def retry_now(self) -> None:
        """Make an operation that waits for its next retry try again now. Raises CommandRefused when nothing waits."""
        await self._command(names.RETRY_NOW, build(CommandInput, by=self._wire.by))

    async def cutover(self, *, ignore_open_files: bool = False) -> str:
        """Switch a migrating share to its destination now, or as soon as the first copy is there; says which.

        Args:
            ignore_open_files: also when a process on the backend's host has files of the share open for writing.

        Raises:
            CommandRefused: commanded already, paused, cancelled, or switched; the reason is in it.
        """
        payload = build(CutoverInput, ignore_open_files=ignore_open_files, by=self._wire.by)
        return str(await self._command(names.CUTOVER, payload))

    async def cancel_migration(self) -> str:
        """Give a migration up: the share stays where it is, writable, and what was copied is deleted.

        Returns when that has begun; :meth:`result` raises OperationCancelled when it is done.

        Raises:
            CommandRefused: the share is switched already.
        """
        return str(await self._command(names.CANCEL_MIGRATION, build(CommandInput, by=self._wire.by)))

    async def pause(self) -> str:
        """Stop the copy of a migration; what was copied stays. Raises CommandRefused from the cutover on."""
        return str(await self._command(names.PAUSE, build(CommandInput, by=self._wire.by)))

    async def resume(self) -> str:
        """Go on with the copy of a migration. Raises CommandRefused when it is not paused."""
        return str(await self._command(names.RESUME, build(CommandInput, by=self._wire.by)))

    async def set_bandwidth(self, bandwidth: str | int | None) -> str:
        """Limit the copy of a migration to bytes per second, or to text such as ``"50 MiB/s"``; None lifts the limit.

        A copy that runs obeys at once. Gives the limit that counts now.

        Raises:
            InvalidInput: not a rate. CommandRefused: from the cutover on.
        """
        payload = build(SetBandwidthInput, bandwidth=bandwidth, by=self._wire.by)
        return str(await self._command(names.SET_BANDWIDTH, payload))

    async def end_grace(self) -> str:
        """Delete the old copy of a migrated share now. Raises CommandRefused before the switch and after the delete."""
        return str(await self._command(names.END_GRACE, build(CommandInput, by=self._wire.by)))

    async def _command(self, name: str, payload: StrictModel) -> Any:
        accepted = False
        try:
            async with asyncio.timeout(COMMAND_SECONDS):
                update: WorkflowUpdateHandle[Any] = await self._handle.start_update(
                    name, payload, wait_for_stage=WorkflowUpdateStage.ACCEPTED
                )
                accepted = True
                return await update.result()
        except (TimeoutError, WorkflowUpdateRPCTimeoutOrCancelledError):
            task = asyncio.current_task()
            if task is not None and task.cancelling():  # the SDK turns the caller's own cancel into its time-out
                raise asyncio.CancelledError from None
            if not accepted:
                raise BackendUnavailable(
                    f"no worker has answered {name} for {COMMAND_SECONDS:.0f} s; whether it is carried out is open",
                    hint=f"look with `shareflow op show {self.id}`; sending it again is safe",
                ) from None
        except (RPCError, TemporalError) as error:
            if failures.is_missing(error):
                raise await self._refusal(name) from error
            ours = failures.translate(error, self._wire.address)
            if isinstance(ours, CommandRefused) and _NO_HANDLER in ours.message:
                ours = CommandRefused(f"{self.kind} takes no {name}", hint="`shareflow op show` names what it takes")
            raise ours from error

    async def _refusal(self, command: str) -> ShareflowError:
        """Why a command met no open workflow: the operation has ended, or there is none."""
        try:
            status = (await self._handle.describe()).status
        except RPCError as error:
            if not failures.is_missing(error):
                return failures.from_rpc(error, self._wire.address)
            await self.view()  # raises NotFound when the inventory does not know it either
            status = None
        return too_late(command, self.id, status)

    async def _ended_status(self, error: WorkflowQueryFailedError) -> OperationStatus:
        """A workflow whose input was refused never began, so that it cannot answer."""
        async with self._wire.call():
            description = await self._handle.describe()
        if description.status in (None, WorkflowExecutionStatus.RUNNING):
            raise BackendUnavailable(
                f"the worker cannot answer for {self.id}: {error.message[:300]}",
                hint="client and worker must be of the same version",
            ) from error
        return bare_status(self.id, self.kind, ENDED)

    def _query_error(self, error: BaseException) -> BaseException:
        # Without a worker the server says that it saw no poller, or nothing until our own time limit (CANCELLED).
        silent = (RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.FAILED_PRECONDITION, RPCStatusCode.CANCELLED)
        if isinstance(error, RPCError) and error.status in silent:
            return failures.no_worker()
        return failures.translate(error, self._wire.address)


def too_late(command: str, operation: str, status: WorkflowExecutionStatus | None) -> CommandRefused:
    """A command met an operation that has ended."""
    how = f" ({status.name.lower().replace('_', ' ')})" if status is not None else ""
    return CommandRefused(f"operation {operation} has ended{how}; {command} comes too late")


def bare_status(operation: str, kind: str, phase: str) -> OperationStatus:
    """The status of an operation that cannot be asked."""
    return OperationStatus(operation=operation, kind=kind, phase=phase, step="", steps=[])
