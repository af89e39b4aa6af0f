"""Every workflow takes exactly one input object; anything else ends it at once with a clear error."""

from __future__ import annotations

from typing import Any

from temporalio.exceptions import ApplicationError
from temporalio.worker import (
    ExecuteWorkflowInput,
    Interceptor,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
)


class _OneInput(WorkflowInboundInterceptor):
    async def execute_workflow(self, input: ExecuteWorkflowInput) -> Any:  # noqa: A002  (the SDK's name)
        if len(input.args) != 1:
            raise ApplicationError(
                f"SF100 the workflow takes one input object, {len(input.args)} were given "
                "[give one JSON object: --input '{...}']",
                type="InvalidInput",
                non_retryable=True,
            )
        return await super().execute_workflow(input)


class OneInput(Interceptor):
    """Refuses workflows that were started with no input or with several."""

    def workflow_interceptor_class(self, input: WorkflowInterceptorClassInput) -> type[WorkflowInboundInterceptor]:  # noqa: A002
        """See base class."""
        return _OneInput
