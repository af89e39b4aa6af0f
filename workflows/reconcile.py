"""The reconciler's workflows, started by Temporal schedules: one for claims, one per backend."""

from __future__ import annotations

from datetime import timedelta

from pydantic import ValidationError
from temporalio import workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from shareflow import names
    from shareflow.contracts.reconcile import (
        LostOperation,
        ReconcileBackendInput,
        ReconcileBackendResult,
        ReconcileClaimsInput,
        ReconcileClaimsResult,
    )

RETRY = RetryPolicy(maximum_attempts=5, maximum_interval=timedelta(seconds=10))


@workflow.defn(name=names.RECONCILE_CLAIMS, failure_exception_types=[ValidationError])
class ReconcileClaims:
    """Restart or undo operations whose workflow is gone; give back claims of nobody; report strays."""

    @workflow.run
    async def run(self, request: ReconcileClaimsInput) -> ReconcileClaimsResult:
        """One pass."""
        lost = await workflow.execute_activity(
            names.FIND_LOST_OPERATIONS,
            request,
            result_type=list[LostOperation],
            start_to_close_timeout=timedelta(minutes=10),
            heartbeat_timeout=timedelta(seconds=30),
            retry_policy=RETRY,
            summary="open operations without an open workflow",
        )
        resumed = []
        for operation in lost:
            recovery = await workflow.execute_activity(
                names.RESUME_OPERATION,
                operation,
                result_type=str,
                start_to_close_timeout=timedelta(minutes=1),
                retry_policy=RETRY,
                summary=f"{operation.operation}: its workflow is {operation.workflow}"[:200],
            )
            if recovery:
                resumed.append(f"{operation.operation}: {recovery}")
        strays: ReconcileClaimsResult = await workflow.execute_activity(
            names.REPORT_STRAYS,
            request,
            result_type=ReconcileClaimsResult,
            start_to_close_timeout=timedelta(minutes=1),
            retry_policy=RETRY,
            summary="claims and passing states of nobody",
        )
        return strays.model_copy(update={"resumed": resumed})


@workflow.defn(name=names.RECONCILE_BACKEND, failure_exception_types=[ValidationError])
class ReconcileBackend:
    """Compare one backend with the inventory."""

    @workflow.run
    async def run(self, request: ReconcileBackendInput) -> ReconcileBackendResult:
        """One scan, where the backend can be reached."""
        result: ReconcileBackendResult = await workflow.execute_activity(
            names.BACKEND_RECONCILE,
            request,
            task_queue=names.backend_queue(request.backend),
            result_type=ReconcileBackendResult,
            schedule_to_start_timeout=timedelta(minutes=5),
            start_to_close_timeout=timedelta(hours=1),
            heartbeat_timeout=timedelta(seconds=30),
            retry_policy=RETRY,
            summary=f"compare backend {request.backend} with the inventory",
        )
        return result
