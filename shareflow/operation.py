"""One operation: watch it, wait for it, send it commands, cancel it."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError
from temporalio.client import (
    WorkflowExecutionStatus,
    WorkflowFailureError,
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
from shareflow.contracts.operations import (
    ApplySpecsResult,
    CommandInput,
    DeleteShareResult,
    ExtendRetentionInput,
    ForgetShareResult,
    OperationResult,
    OperationState,
    PurgeNowInput,
    RestoreInput,
    SetShareQosResult,
    ShareResult,
    SnapshotResult,
)
from shareflow.contracts.reads import OperationRef, OperationView
from shareflow.contracts.steps import JobProgress, OperationStatus
from shareflow.converter import describe
from shareflow.errors import (
    BackendUnavailable,
    CommandRefused,
    InvalidState,
    OperationCancelled,
    OperationFailed,
    ShareflowError,
)
from shareflow.wire import ANSWER_SECONDS, Wire

FIRST_LOOK = 0.1
LONGEST_LOOK = 1.0
"""Seconds between two looks at a running operation: short while it moves, longer while nothing changes."""
QUERY_SECONDS = 5.0
SDK_RETRIES_SECONDS = 15.0
"""More than the SDK itself goes on trying to reach a server in one call."""
COMMAND_SECONDS = 30.0
RECYCLE_BIN = "recycle-bin"
ENDED = "ended"
_NO_HANDLER = "expected but not found"  # the SDK's words for an update that a workflow does not have

RESULTS: dict[str, type[OperationResult]] = {
    names.CREATE_SHARE: ShareResult,
    names.CREATE_SHARE_FROM_SNAPSHOT: ShareResult,
    names.CREATE_SNAPSHOT: SnapshotResult,
    names.DELETE_SNAPSHOT: SnapshotResult,
    names.REVERT_SHARE: ShareResult,
    names.RESIZE_SHARE: ShareResult,
    names.DELETE_SHARE: DeleteShareResult,
    names.FORGET_SHARE: ForgetShareResult,
    names.SET_SHARE_QOS: SetShareQosResult,
    names.APPLY_SPECS: ApplySpecsResult,
}

Result_co = TypeVar("Result_co", bound=OperationResult, covariant=True)
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


class Operation(Generic[Result_co]):
    """A handle of one operation. It holds nothing open; any number of handles to the same operation may exist.

    Attributes:
        id: the operation's id, which is its workflow's id.
        kind: its type, one of ``names.OPERATION_TYPES``.
    """

    def __init__(self, wire: Wire, operation: str, kind: str) -> None:
        self.id = operation
        self.kind = kind
        self._wire = wire
        self._handle: WorkflowHandle[Any, Any] = wire.client.get_workflow_handle(
            operation, result_type=RESULTS.get(kind, OperationResult)
        )

    def __repr__(self) -> str:
        return f"<Operation {self.id} {self.kind}>"

    async def result(self) -> Result_co:
        """Wait for the end, through restarts of worker and server, and give what the operation made.

        An operation that needs an operator has not ended: it keeps retrying, and this keeps waiting;
        :meth:`progress` tells.

        Raises:
            OperationCancelled: it was cancelled and everything was undone.
            ShareflowError: why it failed; everything was undone. OperationFailed when that has no class of its own.
            ServerUnavailable: the server did not answer for longer than the client's patience.
        """
        loop = asyncio.get_running_loop()
        deadline: float | None = None
        while True:
            started = loop.time()
            try:
                answer: Result_co = await self._handle.result()
            except WorkflowFailureError as error:
                raise failures.from_workflow(error, self.id) from error
            except (RPCError, TemporalError) as error:
                if failures.is_missing(error):
                    recorded: Result_co = await self._recorded_result()
                    return recorded
                # A call that lasted longer than the SDK retries had a server, so that this outage is a new one.
                if deadline is None or loop.time() - started > SDK_RETRIES_SECONDS:
                    deadline = loop.time() + self._wire.patience
                if not failures.is_unavailable(error) or loop.time() > deadline:
                    raise failures.translate(error, self._wire.address) from error
                await asyncio.sleep(LONGEST_LOOK)
            else:
                return answer

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

    async def progress(self) -> AsyncGenerator[OperationStatus, None]:
        """Every change of :meth:`status` until the operation has ended; the last one says how it stands then.

        An absent worker or server is a status too: phase ``waiting``, with what is missing in ``waiting_for``.
        """
        ended = asyncio.create_task(self._closed())
        last: OperationStatus | None = None
        pause = FIRST_LOOK
        try:
            while not ended.done():
                current = await self._status_or_why_not(last)
                if current != last:
                    last, pause = current, FIRST_LOOK
                    yield current
                await asyncio.wait([ended], timeout=pause)
                pause = min(pause * 1.5, LONGEST_LOOK)
            ended.result()
            final = await self._final_status(last)
            if final != last:
                yield final
        finally:
            ended.cancel()
            with contextlib.suppress(asyncio.CancelledError, ShareflowError):
                await ended

    async def ended(self) -> bool:
        """Whether the operation is over, by the server's own account; needs no worker."""
        async with self._wire.call():
            description = await self._handle.describe()
        return description.status is not WorkflowExecutionStatus.RUNNING

    async def wait_for(self, phase: str) -> OperationStatus:
        """Wait until the operation is in a phase (``running``, ``waiting``, ``recycle-bin``, ``needs-operator`` ...).

        Raises:
            InvalidState: it succeeded without ever being seen in that phase.
            ShareflowError: it failed or was cancelled first.
        """
        async with contextlib.aclosing(self.progress()) as statuses:
            async for status in statuses:
                if status.phase == phase:
                    return status
        await self.result()
        raise InvalidState(f"operation {self.id} ended without being in phase {phase!r}")

    async def deleted(self) -> OperationStatus:
        """Wait until a delete has put the share into the recycle bin, or has purged it already.

        Raises:
            ShareflowError: the delete failed or was cancelled; the share is as it was.
        """
        last: OperationStatus | None = None
        async with contextlib.aclosing(self.progress()) as statuses:
            async for last in statuses:
                if last.phase == RECYCLE_BIN:
                    return last
        await self.result()
        return last or _bare_status(self.id, self.kind, ENDED)

    async def cancel(self, reason: str = "", *, wait: bool = False) -> bool:
        """Ask the operation to stop and to undo what it did. Asking again changes nothing.

        Args:
            reason: why, for the workflow's history.
            wait: return only when the operation has ended.

        Returns:
            True when the operation ended cancelled, or without ``wait`` when the request was taken. False when it
            ended otherwise, because the request came after its point of no return.

        Raises:
            CommandRefused: it had ended before, and not because it was cancelled.
        """
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                # The server takes a cancel for a closed workflow without a word.
                status = (await self._handle.describe()).status
                if status is WorkflowExecutionStatus.CANCELED:
                    return True
                if status is not WorkflowExecutionStatus.RUNNING:
                    raise _too_late("cancel", self.id, status)
                await self._handle.cancel(reason=reason)
        except (TimeoutError, RPCError) as error:
            if failures.is_missing(error):
                raise await self._refusal("cancel") from error
            raise failures.translate(error, self._wire.address) from error
        if not wait:
            return True
        try:
            await self.result()
        except OperationCancelled:
            return True
        except ShareflowError:
            return False
        return False

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

    async def job(self) -> JobProgress | None:
        """How far the slow work of the running step is, or None when it does none or has not reported yet."""
        async with self._wire.call():
            description = await self._handle.describe()
        for pending in description.raw_description.pending_activities:
            found = await self._wire.client.data_converter.decode(
                pending.heartbeat_details.payloads, [JobProgress] * len(pending.heartbeat_details.payloads)
            )
            if found and isinstance(found[0], JobProgress):
                return found[0]
        return None

    async def view(self) -> OperationView:
        """The operation as the inventory has recorded it, placement and failure included. Raises as a read."""
        return await self._wire.read(
            names.GET_OPERATION, OperationRef(project=self._wire.project, operation=self.id), OperationView
        )

    async def _command(self, name: str, payload: StrictModel) -> None:
        accepted = False
        try:
            async with asyncio.timeout(COMMAND_SECONDS):
                update: WorkflowUpdateHandle[Any] = await self._handle.start_update(
                    name, payload, wait_for_stage=WorkflowUpdateStage.ACCEPTED
                )
                accepted = True
                await update.result()
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
        return _too_late(command, self.id, status)

    async def _closed(self) -> None:
        """Return when the operation has ended, however it ended."""
        try:
            await self.result()
        except ShareflowError as error:
            if failures.is_outage(error):
                raise

    async def _status_or_why_not(self, last: OperationStatus | None) -> OperationStatus:
        try:
            return await self.status()
        except BackendUnavailable as error:
            missing = error.message
        except ShareflowError as error:
            if not failures.is_outage(error):
                raise
            missing = error.message
        known = last or _bare_status(self.id, self.kind, "waiting")
        return known.model_copy(update={"phase": "waiting", "waiting_for": missing, "commands": []})

    async def _final_status(self, last: OperationStatus | None) -> OperationStatus:
        try:
            return await self.status()
        except ShareflowError:
            known = last or _bare_status(self.id, self.kind, ENDED)
            return known.model_copy(update={"phase": ENDED, "waiting_for": "", "commands": []})

    async def _ended_status(self, error: WorkflowQueryFailedError) -> OperationStatus:
        """A workflow whose input was refused never began, so that it cannot answer."""
        async with self._wire.call():
            description = await self._handle.describe()
        if description.status in (None, WorkflowExecutionStatus.RUNNING):
            raise BackendUnavailable(
                f"the worker cannot answer for {self.id}: {error.message[:300]}",
                hint="client and worker must be of the same version",
            ) from error
        return _bare_status(self.id, self.kind, ENDED)

    def _query_error(self, error: BaseException) -> BaseException:
        # Without a worker the server says that it saw no poller, or nothing until our own time limit (CANCELLED).
        silent = (RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.FAILED_PRECONDITION, RPCStatusCode.CANCELLED)
        if isinstance(error, RPCError) and error.status in silent:
            return failures.no_worker()
        return failures.translate(error, self._wire.address)

    async def _recorded_result(self) -> Any:
        """The outcome from the inventory, once the server has forgotten the workflow."""
        view = await self.view()
        if view.failure is not None:
            raise failures.from_failure(view.failure)
        if view.result is None or view.state is not OperationState.SUCCEEDED:
            raise OperationFailed(
                f"the server has no workflow {self.id}, and the inventory says {view.state}",
                hint="the reconciler restarts it; ask again in a minute",
            )
        return RESULTS.get(self.kind, OperationResult).model_validate_json(json.dumps(view.result))


def _too_late(command: str, operation: str, status: WorkflowExecutionStatus | None) -> CommandRefused:
    how = f" ({status.name.lower().replace('_', ' ')})" if status is not None else ""
    return CommandRefused(f"operation {operation} has ended{how}; {command} comes too late")


def _bare_status(operation: str, kind: str, phase: str) -> OperationStatus:
    return OperationStatus(operation=operation, kind=kind, phase=phase, step="", steps=[])
