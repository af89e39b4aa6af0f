"""What goes for every workflow, command and activity: one input object, and a failure that the server takes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ApplicationError, CancelledError, FailureError
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


class _ApplicationFailures(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002
        try:
            return await super().execute_activity(input)
        except ApplicationError:
            raise
        except CancelledError as error:
            # The SDK takes both for the end of a cancelled attempt; when none was asked for, this one is an ordinary
            # failure that is tried again, and the other one is refused.
            raise asyncio.CancelledError from error
        except FailureError as error:
            raise ApplicationError(str(error), type=type(error).__name__) from error


class ApplicationFailures(Interceptor):
    """Lets an attempt of an activity fail with application failures only.

    The server refuses any other kind ("Failure must have ApplicationFailureInfo"), and then nobody hears of the end of
    the attempt until its heartbeat or time limit has passed.
    """

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002
        """See base class."""
        return _ApplicationFailures(super().intercept_activity(next))
