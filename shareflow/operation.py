"""One operation: watch it, wait for it, cancel it; :mod:`shareflow.commands` has what else can be sent to it."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator
from typing import Any, Generic, TypeVar

from temporalio.client import (
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowHandle,
)
from temporalio.exceptions import TemporalError
from temporalio.service import RPCError

from shareflow import failures, names
from shareflow.commands import ENDED, Commands, bare_status, too_late
from shareflow.contracts.evacuation import EvacuationResult
from shareflow.contracts.failover import FailoverResult
from shareflow.contracts.migration import MigrateShareResult
from shareflow.contracts.operations import (
    ApplySpecsResult,
    DeleteShareResult,
    DrainPoolResult,
    ForgetShareResult,
    OperationResult,
    OperationState,
    SetShareQosResult,
    ShareResult,
    SnapshotResult,
)
from shareflow.contracts.replication import MigrateReplicaResult, PromoteReplicaResult, ReplicaResult
from shareflow.contracts.steps import JobProgress, OperationStatus
from shareflow.errors import (
    BackendUnavailable,
    InvalidState,
    OperationCancelled,
    OperationFailed,
    ShareflowError,
)
from shareflow.wire import ANSWER_SECONDS, Wire

FIRST_LOOK = 0.1
LONGEST_LOOK = 1.0
"""Seconds between two looks at a running operation: short while it moves, longer while nothing changes."""
SDK_RETRIES_SECONDS = 15.0
"""More than the SDK itself goes on trying to reach a server in one call."""
RECYCLE_BIN = "recycle-bin"
CATCHING_UP = "catching-up"

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
    names.MIGRATE_SHARE: MigrateShareResult,
    names.RETYPE_SHARE: MigrateShareResult,
    names.DRAIN_POOL: DrainPoolResult,
    names.EVACUATE_POOL: EvacuationResult,
    names.EVACUATE_BACKEND: EvacuationResult,
    names.FAILOVER_BACKEND: FailoverResult,
    names.FAILBACK_BACKEND: FailoverResult,
    names.CREATE_REPLICA: ReplicaResult,
    names.SYNC_REPLICA: ReplicaResult,
    names.RESYNC_REPLICA: ReplicaResult,
    names.PROMOTE_REPLICA: PromoteReplicaResult,
    names.MIGRATE_REPLICA: MigrateReplicaResult,
    names.DELETE_REPLICA: ReplicaResult,
    names.APPLY_SPECS: ApplySpecsResult,
}

Result_co = TypeVar("Result_co", bound=OperationResult, covariant=True)


class Operation(Commands, Generic[Result_co]):
    """A handle of one operation. It holds nothing open; any number of handles to the same operation may exist.

    Attributes:
        id: the operation's id, which is its workflow's id.
        kind: its type, one of ``names.OPERATION_TYPES``.
    """

    def __init__(self, wire: Wire, operation: str, kind: str) -> None:
        handle: WorkflowHandle[Any, Any] = wire.client.get_workflow_handle(
            operation, result_type=RESULTS.get(kind, OperationResult)
        )
        super().__init__(wire, operation, kind, handle)

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

    async def progress(self) -> AsyncGenerator[OperationStatus, None]:
        """Every change of :meth:`status` until the operation has ended; the last one says how it stands then.

        While a migration's lag grows, that is a change about once a second.
        An absent worker or server is a status too: phase ``waiting``, with what is missing in ``waiting_for``.
        """
        ended = asyncio.create_task(self._closed())
        last: OperationStatus | None = None
        pause = FIRST_LOOK
        try:
            while not ended.done():
                current = await self._status_or_why_not(last)
                if current != last:
                    pause = LONGEST_LOOK if _only_older(current, last) else FIRST_LOOK
                    last = current
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
        return last or bare_status(self.id, self.kind, ENDED)

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
                    raise too_late("cancel", self.id, status)
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
        known = last or bare_status(self.id, self.kind, "waiting")
        return known.model_copy(update={"phase": "waiting", "waiting_for": missing, "commands": []})

    async def _final_status(self, last: OperationStatus | None) -> OperationStatus:
        try:
            return await self.status()
        except ShareflowError:
            known = last or bare_status(self.id, self.kind, ENDED)
            return known.model_copy(update={"phase": ENDED, "waiting_for": "", "commands": []})

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


def _only_older(now: OperationStatus, before: OperationStatus | None) -> bool:
    """Whether nothing but the lag of a migration has changed, which changes with time alone."""
    if before is None or now.migration is None or before.migration is None:
        return False
    lag = {"lag_seconds": before.migration.lag_seconds, "lag_bytes": before.migration.lag_bytes}
    return now.model_copy(update={"migration": now.migration.model_copy(update=lag)}) == before
