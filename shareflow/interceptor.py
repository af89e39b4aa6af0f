"""Every workflow, command and activity takes exactly one input object; anything else is refused with a clear error."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ApplicationError
from temporalio.worker import (
    ActivityInboundInterceptor,
    ExecuteActivityInput,
    ExecuteWorkflowInput,
    HandleSignalInput,
    HandleUpdateInput,
    Interceptor,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
)


def _refused(what: str, args: Sequence[Any]) -> ApplicationError:
    return ApplicationError(
        f"SF100 {what} takes one input object, {len(args)} were given [give one JSON object: --input '{{...}}']",
        type="InvalidInput",
        non_retryable=True,
    )


class _OneInput(WorkflowInboundInterceptor):
    async def execute_workflow(self, input: ExecuteWorkflowInput) -> Any:  # noqa: A002  (the SDK's name)
        if len(input.args) != 1:
            raise _refused("the workflow", input.args)
        return await super().execute_workflow(input)

    def handle_update_validator(self, input: HandleUpdateInput) -> None:  # noqa: A002
        try:
            super().handle_update_validator(input)
        except TypeError as error:
            raise _refused(input.update, input.args) from error

    async def handle_signal(self, input: HandleSignalInput) -> None:  # noqa: A002
        try:
            await super().handle_signal(input)
        except TypeError:
            # Nobody waits for an answer to a signal; one that cannot be understood must not stop the workflow.
            workflow.logger.warning("signal %s was dropped: %d inputs", input.signal, len(input.args))


class _OneActivityInput(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002
        if len(input.args) != 1:
            raise _refused("the activity", input.args)
        return await super().execute_activity(input)


class OneInput(Interceptor):
    """Refuses workflows, commands and activities that came with no input or with several."""

    def workflow_interceptor_class(self, input: WorkflowInterceptorClassInput) -> type[WorkflowInboundInterceptor]:  # noqa: A002
        """See base class."""
        return _OneInput

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002
        """See base class."""
        return _OneActivityInput(super().intercept_activity(next))
