"""Our errors as Temporal failures: one mapping, at the boundary."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from pydantic import ValidationError
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from drivers import errors as driver_errors
from shareflow import errors
from shareflow.contracts.steps import Failure
from shareflow.faults import SimulatedCrash

RETRYABLE = (errors.DatabaseUnavailable, errors.BackendUnavailable)


def failure_of(error: errors.ShareflowError) -> Failure:
    """The error as it is recorded and sent."""
    return Failure(type=type(error).__name__, message=error.message, hint=error.hint, field=error.field)


def as_failure(error: errors.ShareflowError, *more: object) -> ApplicationError:
    """The error as a Temporal failure, with ``more`` details; only an absent database or backend is worth a retry."""
    retryable = isinstance(error, RETRYABLE)
    return ApplicationError(
        str(error),
        failure_of(error),
        *more,
        type=type(error).__name__,
        non_retryable=not retryable,
        category=ApplicationErrorCategory.UNSPECIFIED if retryable else ApplicationErrorCategory.BENIGN,
    )


def from_driver(error: driver_errors.DriverError, backend: str) -> ApplicationError:
    """A driver's answer as a Temporal failure: Rejected ends, Busy and Unknown and Broken are tried again."""
    match error:
        case driver_errors.OverUsed():
            return as_failure(
                errors.DoesNotFit(f"{error.used} bytes are in use: {error.reason}", hint=error.hint, field="size")
            )
        case driver_errors.StaleEpoch():
            return as_failure(errors.StaleClaim(f"backend {backend}: {error.reason}", hint=error.hint))
        case driver_errors.Rejected():
            refused = errors.BackendRefused(f"backend {backend}: {error.code} {error.reason}", hint=error.hint)
            return ApplicationError(
                str(refused),
                failure_of(refused),
                error.pool_specific,
                type="BackendRefused",
                non_retryable=True,
                category=ApplicationErrorCategory.BENIGN,
            )
        case driver_errors.Busy():
            busy = errors.BackendUnavailable(f"backend {backend} is busy: {error.reason}", hint=error.hint)
            return ApplicationError(
                str(busy),
                failure_of(busy),
                type="BackendUnavailable",
                next_retry_delay=timedelta(seconds=error.retry_after),
                category=ApplicationErrorCategory.BENIGN,
            )
        case _:
            return as_failure(
                errors.BackendUnavailable(f"backend {backend}: {error.code} {error.reason}", hint=error.hint)
            )


@contextmanager
def translated() -> Iterator[None]:
    """Turn our errors, and a simulated crash, into Temporal failures."""
    try:
        yield
    except errors.ShareflowError as error:
        raise as_failure(error) from error
    except ValidationError as error:
        raise as_failure(errors.InvalidInput(str(error)[:500])) from error
    except SimulatedCrash as crash:
        raise ApplicationError("the worker died here (simulated)", type="SimulatedCrash") from crash
