"""What Temporal's errors mean, in Shareflow's words."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable

from pydantic import ValidationError
from temporalio.client import ActivityFailureError, WorkflowFailureError, WorkflowUpdateFailedError
from temporalio.exceptions import (
    ApplicationError,
    CancelledError,
    FailureError,
    TemporalError,
    TerminatedError,
    TimeoutType,
)
from temporalio.exceptions import (
    TimeoutError as TemporalTimeout,
)
from temporalio.service import RPCError, RPCStatusCode

from shareflow import names
from shareflow.contracts.steps import Failure
from shareflow.errors import (
    ERRORS_BY_NAME,
    BackendUnavailable,
    CommandRefused,
    InvalidInput,
    NotFound,
    OperationCancelled,
    OperationFailed,
    ServerUnavailable,
    ShareflowError,
)

_RENDERED = re.compile(r"SF\d{3} (?:(?P<field>[a-z_][a-z0-9_.]*): )?(?P<message>.*)", re.DOTALL)
_GONE = (RPCStatusCode.UNAVAILABLE, RPCStatusCode.DEADLINE_EXCEEDED)
WORKER_HINT = "start one with `shareflow up`, or `python worker.py` for a server of your own"


def no_worker() -> BackendUnavailable:
    """Nobody polls the control queue."""
    return BackendUnavailable(f"no worker answers on queue {names.QUEUE}", hint=WORKER_HINT)


def is_unavailable(error: BaseException) -> bool:
    """The server cannot be reached now; the same call may succeed later."""
    return isinstance(error, RPCError) and error.status in _GONE


def is_missing(error: BaseException) -> bool:
    """The server knows no open workflow of that id."""
    return isinstance(error, RPCError) and error.status == RPCStatusCode.NOT_FOUND


def server_unavailable(address: str, error: BaseException | str) -> ServerUnavailable:
    """The server at an address does not answer."""
    reason = str(error).strip().splitlines()[0][:300] if str(error).strip() else type(error).__name__
    return ServerUnavailable(
        f"the Temporal server at {address} does not answer: {reason}",
        hint="start one with `shareflow up`, or name another with TEMPORAL_ADDRESS or --address",
    )


def from_rpc(error: RPCError, address: str) -> ShareflowError:
    """An error of the server's own."""
    if error.status in _GONE or error.status == RPCStatusCode.CANCELLED:
        return server_unavailable(address, error.message)
    if "search attribute" in error.message.lower():
        return ServerUnavailable(
            f"the namespace lacks Shareflow's search attributes: {error.message[:300]}",
            hint="a worker registers them when it starts; see `temporal operator search-attribute create`",
        )
    match error.status:
        case RPCStatusCode.INVALID_ARGUMENT | RPCStatusCode.RESOURCE_EXHAUSTED | RPCStatusCode.OUT_OF_RANGE:
            return InvalidInput(f"the server refuses the request: {error.message[:300]}", hint="send other data")
        case RPCStatusCode.NOT_FOUND:
            return NotFound(error.message[:300], hint="check the id, the namespace and the address")
        case RPCStatusCode.PERMISSION_DENIED | RPCStatusCode.UNAUTHENTICATED:
            return ServerUnavailable(
                f"the server at {address} refuses this client: {error.message[:300]}",
                hint="check the credentials of the Temporal profile",
            )
        case _:
            return ServerUnavailable(f"the server at {address} failed: {error.message[:300]}", hint="try again")


def from_application(
    error: ApplicationError, fallback: Callable[[str], ShareflowError] = OperationFailed
) -> ShareflowError:
    """An error that a worker raised on purpose, or any other that escaped it (``fallback``)."""
    kind = ERRORS_BY_NAME.get(error.type or "")
    recorded = _recorded(error)
    if recorded is not None:
        return from_failure(recorded)
    if kind is None:
        shown = f"{error.type}: {error.message}" if error.type else error.message
        return fallback(shown[:500])
    return from_text(error.message, kind)


def from_text(text: str, kind: type[ShareflowError]) -> ShareflowError:
    """An error of a known class from ``str`` of it, or from any other text."""
    rendered = _RENDERED.fullmatch(text)
    if rendered is None:
        return kind(text)
    message, hint = _split_hint(rendered["message"])
    return kind(message, hint=hint, field=rendered["field"] or "")


def from_failure(failure: Failure) -> ShareflowError:
    """An ending as the inventory recorded it."""
    kind = ERRORS_BY_NAME.get(failure.type, OperationFailed)
    rendered = from_text(failure.message, kind)
    return kind(rendered.message, hint=failure.hint or rendered.hint, field=failure.field or rendered.field)


def from_workflow(error: WorkflowFailureError, operation: str) -> ShareflowError:
    """Why an operation did not succeed."""
    for cause in _causes(error):
        match cause:
            case ApplicationError():
                return from_application(cause)
            case CancelledError():
                return OperationCancelled(f"operation {operation} was cancelled and everything was undone")
            case TerminatedError():
                return OperationFailed(
                    f"operation {operation} was terminated from outside: {cause.message or 'no reason given'}",
                    hint="the reconciler takes over what it left; see `shareflow findings`",
                )
            case TemporalTimeout():
                return OperationFailed(f"operation {operation} ran into a time limit: {cause.message}")
    return OperationFailed(f"operation {operation} failed: {error.cause}")


def from_update(error: WorkflowUpdateFailedError) -> ShareflowError:
    """Why a command was refused."""
    cause = error.cause
    if isinstance(cause, ApplicationError):
        return from_application(cause, CommandRefused)
    return CommandRefused(str(cause)[:500] or "the command was refused")


def from_read(error: ActivityFailureError) -> ShareflowError:
    """Why a read gave no answer. The last real error counts more than the time-out that ended its retries."""
    for cause in reversed(list(_causes(error))):
        if isinstance(cause, ApplicationError):
            return from_application(cause, _worker_failed)
        if isinstance(cause, TemporalTimeout) and cause.type is TimeoutType.SCHEDULE_TO_START:
            return no_worker()
    return BackendUnavailable(
        "the worker did not answer in time", hint="see the worker's log; `shareflow doctor` checks this machine"
    )


def translate(error: BaseException, address: str) -> BaseException:
    """The Shareflow error for any error of the SDK; other errors as they are."""
    ours: BaseException = error
    match error:
        case RPCError():
            ours = from_rpc(error, address)
        case ActivityFailureError():
            ours = from_read(error)
        case WorkflowUpdateFailedError():
            ours = from_update(error)
        case ApplicationError():
            # Raised here, not by a worker: the converter could not fit an answer into its model.
            ours = BackendUnavailable(
                f"the worker's answer cannot be read: {error.message[:300]}",
                hint="client and worker must be of the same version",
            )
        case asyncio.TimeoutError():
            ours = server_unavailable(address, "no answer in time")
        case TemporalError():
            ours = OperationFailed(str(error)[:500])
    return ours


def _worker_failed(message: str) -> BackendUnavailable:
    return BackendUnavailable(f"the worker failed: {message}", hint="its log says more; `shareflow doctor` looks too")


def _recorded(error: ApplicationError) -> Failure | None:
    if not error.details or not isinstance(error.details[0], dict):
        return None
    try:
        return Failure.model_validate(error.details[0])
    except ValidationError:
        return None


def _split_hint(text: str) -> tuple[str, str]:
    start = text.rfind(" [")
    if start < 0 or not text.endswith("]"):
        return text, ""
    return text[:start], text[start + 2 : -1]


def _causes(error: BaseException) -> list[BaseException]:
    """The failures below an error of the client, outermost first."""
    found: list[BaseException] = []
    cause = error.__cause__
    while cause is not None:
        found.append(cause)
        cause = cause.__cause__ if isinstance(cause, FailureError) else None
    return found


def is_outage(error: BaseException) -> bool:
    """The server did not answer, which says nothing of the operation."""
    return isinstance(error, ServerUnavailable)
