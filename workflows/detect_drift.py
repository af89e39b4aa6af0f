"""DetectDrift: ask every backend of the applied set, then put git, the inventory and the backends beside each other."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from pydantic import ValidationError
from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, TimeoutType
from temporalio.exceptions import TimeoutError as ActivityTimeout

with workflow.unsafe.imports_passed_through():
    from shareflow import names
    from shareflow.contracts.drift import (
        BackendDrift,
        BackendDriftInput,
        CompareDriftInput,
        DetectDriftInput,
        DetectDriftResult,
    )

RETRY = RetryPolicy(maximum_attempts=5, maximum_interval=timedelta(seconds=10))


@workflow.defn(name=names.DETECT_DRIFT, failure_exception_types=[ValidationError])
class DetectDrift:
    """Find where git, the inventory and the backends say different things. Nothing is changed."""

    @workflow.run
    async def run(self, request: DetectDriftInput) -> DetectDriftResult:
        """One report."""
        try:
            return await self._report(request)
        except ActivityError as error:
            if isinstance(error.cause, ApplicationError):
                raise error.cause from error  # what was refused, and not which step refused it
            raise

    async def _report(self, request: DetectDriftInput) -> DetectDriftResult:
        backends = await workflow.execute_activity(
            names.APPLIED_BACKENDS,
            DetectDriftInput(project=request.project),
            result_type=list[str],
            start_to_close_timeout=timedelta(seconds=30),
            retry_policy=RETRY,
            summary="the backends of the applied set",
        )
        patience = timedelta(seconds=request.patience)
        asked = await asyncio.gather(*(self._ask(backend, patience) for backend in backends))
        report: DetectDriftResult = await workflow.execute_activity(
            names.COMPARE_DRIFT,
            CompareDriftInput(documents=request.documents, backends=list(asked)),
            result_type=DetectDriftResult,
            start_to_close_timeout=timedelta(minutes=1),
            retry_policy=RETRY,
            summary="compare git, the inventory and the backends",
        )
        return report

    @staticmethod
    async def _ask(backend: str, patience: timedelta) -> BackendDrift:
        try:
            answer: BackendDrift = await workflow.execute_activity(
                names.BACKEND_DRIFT,
                BackendDriftInput(backend=backend),
                task_queue=names.backend_queue(backend),
                result_type=BackendDrift,
                schedule_to_start_timeout=patience,
                start_to_close_timeout=timedelta(seconds=30),
                retry_policy=RetryPolicy(maximum_attempts=3, maximum_interval=timedelta(seconds=5)),
                summary=f"what backend {backend} reports"[:200],
            )
        except ActivityError as error:
            cause = error.cause
            if isinstance(cause, ActivityTimeout):
                unserved = cause.type is TimeoutType.SCHEDULE_TO_START
                reason = "no worker serves it" if unserved else "it does not answer in time"
            elif isinstance(cause, ApplicationError):
                reason = cause.message
            else:
                raise
            return BackendDrift(backend=backend, reason=reason)
        return answer
