"""The reference: a workflow of an operation's shape that does nothing."""

from __future__ import annotations

from datetime import timedelta

from pydantic import ValidationError
from temporalio import workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from benchmarks import payloads
    from benchmarks.payloads import NoOpBegun, NoOpInput, NoOpMade, NoOpResult

RETRY = RetryPolicy(maximum_attempts=4)
LOCAL = timedelta(seconds=15)


@workflow.defn(name=payloads.WORKFLOW, failure_exception_types=[ValidationError])
class NoOp:
    """Local activity, activities on another queue one after the other, local activity."""

    @workflow.run
    async def run(self, request: NoOpInput) -> NoOpResult:
        """Three steps, as a create has them, or more."""
        begun = await workflow.execute_local_activity(
            payloads.BEGIN, request, result_type=NoOpBegun, start_to_close_timeout=LOCAL, retry_policy=RETRY
        )
        made = NoOpMade(id=begun.id, export_paths=[])
        for _ in range(request.activities):
            made = await workflow.execute_activity(
                payloads.ACT,
                begun,
                task_queue=payloads.ACTIVITY_QUEUE,
                result_type=NoOpMade,
                schedule_to_start_timeout=timedelta(seconds=60),
                start_to_close_timeout=timedelta(seconds=60),
                heartbeat_timeout=timedelta(seconds=10),
                retry_policy=RETRY,
            )
        result: NoOpResult = await workflow.execute_local_activity(
            payloads.COMMIT, made, result_type=NoOpResult, start_to_close_timeout=LOCAL, retry_policy=RETRY
        )
        return result
