"""What errors of the SDK and of workers mean, where no scenario can make them at will."""

from __future__ import annotations

import pytest
from temporalio.client import ActivityFailureError, WorkflowFailureError, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError, TimeoutType
from temporalio.exceptions import TimeoutError as TemporalTimeout
from temporalio.service import RPCError, RPCStatusCode

import shareflow
from shareflow import failures
from shareflow.contracts.steps import Failure
from shareflow.errors import ERRORS_BY_NAME, ShareflowError


@pytest.mark.parametrize("name", sorted(ERRORS_BY_NAME))
def test_every_error_survives_its_own_text(name: str) -> None:
    """An error that was sent as text comes back with class, message, hint and field."""
    error = ERRORS_BY_NAME[name]("5 is [too] much: really", hint="ask for less", field="size")
    back = failures.from_application(ApplicationError(str(error), type=name))
    assert type(back) is type(error)
    assert (back.message, back.hint, back.field) == (error.message, error.hint, error.field)


def test_failure_sent_as_data_is_preferred_to_text() -> None:
    """Nothing is guessed from text where the worker sends the failure itself."""
    recorded = Failure(type="QuotaExceeded", message="bytes: 5 of 4", hint="a [bracketed] hint")
    back = failures.from_application(ApplicationError("other text", recorded.model_dump(), type="QuotaExceeded"))
    assert isinstance(back, shareflow.QuotaExceeded)
    assert (back.message, back.hint, back.field) == ("bytes: 5 of 4", "a [bracketed] hint", "")


def test_unknown_failure_of_an_operation_is_an_operation_failed() -> None:
    """A failure of no known class still is one of our errors."""
    error = WorkflowFailureError(cause=ApplicationError("something odd", type="SomethingOdd"))
    assert str(failures.from_workflow(error, "op-1")) == "SF304 SomethingOdd: something odd"


def test_bug_in_a_worker_is_told_from_an_absent_one() -> None:
    """A worker that fails over a question is named as such; one that is not there, too."""
    bug = failures.from_read(ActivityFailureError(cause=ApplicationError("a bug", type="RuntimeError")))
    assert bug.message == "the worker failed: RuntimeError: a bug"
    late = TemporalTimeout("late", type=TimeoutType.SCHEDULE_TO_START, last_heartbeat_details=[])
    assert "no worker answers" in failures.from_read(ActivityFailureError(cause=late)).message
    slow = TemporalTimeout("slow", type=TimeoutType.START_TO_CLOSE, last_heartbeat_details=[])
    assert "did not answer in time" in failures.from_read(ActivityFailureError(cause=slow)).message


def test_reason_behind_a_time_out_counts_more_than_the_time_out() -> None:
    """Retries that ended in a time-out report why they were made."""
    timeout = TemporalTimeout("late", type=TimeoutType.SCHEDULE_TO_CLOSE, last_heartbeat_details=[])
    timeout.__cause__ = ApplicationError("SF302 the inventory does not answer", type="DatabaseUnavailable")
    assert isinstance(failures.from_read(ActivityFailureError(cause=timeout)), shareflow.DatabaseUnavailable)


def test_refused_update_of_unknown_reason_is_a_refused_command() -> None:
    """Whatever a validator raises, the caller sees a refusal."""
    error = WorkflowUpdateFailedError(ApplicationError("not now", type="ValueError"))
    assert str(failures.from_update(error)) == "SF108 ValueError: not now"


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (RPCStatusCode.UNAVAILABLE, "connection refused", shareflow.ServerUnavailable),
        (RPCStatusCode.DEADLINE_EXCEEDED, "late", shareflow.ServerUnavailable),
        (RPCStatusCode.INVALID_ARGUMENT, "Blob data size exceeds limit.", shareflow.InvalidInput),
        (RPCStatusCode.RESOURCE_EXHAUSTED, "message larger than max", shareflow.InvalidInput),
        (RPCStatusCode.INVALID_ARGUMENT, "no mapping for search attribute Project", shareflow.ServerUnavailable),
        (RPCStatusCode.NOT_FOUND, "workflow not found", shareflow.NotFound),
        (RPCStatusCode.PERMISSION_DENIED, "no", shareflow.ServerUnavailable),
        (RPCStatusCode.INTERNAL, "oops", shareflow.ServerUnavailable),
    ],
)
def test_errors_of_the_server_have_a_meaning(status: RPCStatusCode, message: str, kind: type[ShareflowError]) -> None:
    """No error of the wire reaches a caller as it is."""
    error = RPCError(message, status, b"")
    translated = failures.translate(error, "host:1")
    assert type(translated) is kind


def test_answer_that_does_not_fit_is_not_blamed_on_the_caller() -> None:
    """A converter error in this process is a mismatch of versions, not bad input."""
    mismatch = failures.translate(ApplicationError("SF100 size: wrong", type="InvalidInput"), "host:1")
    assert isinstance(mismatch, shareflow.BackendUnavailable)
    assert "cannot be read" in mismatch.message
