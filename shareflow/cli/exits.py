"""Exit codes of the command line."""

from __future__ import annotations

from typing import Final

from shareflow.errors import (
    BackendUnavailable,
    DatabaseUnavailable,
    InvalidInput,
    OperationCancelled,
    SchemaError,
    ServerUnavailable,
    ShareflowError,
    SpecError,
    StateDirectoryError,
)

OK: Final = 0
FAILED: Final = 1
USAGE: Final = 2
CONFIGURATION: Final = 3
UNAVAILABLE: Final = 4
CANCELLED: Final = 5
CHANGED: Final = 6
INCOMPLETE: Final = 7
INTERRUPTED: Final = 130

MEANINGS: Final = {
    OK: "done",
    FAILED: "the operation failed and was undone, or was refused",
    USAGE: "the command or its input is wrong; nothing was started",
    CONFIGURATION: "the state directory, the database schema or the specs cannot be used",
    UNAVAILABLE: "the Temporal server, a worker, a backend or the database does not answer",
    CANCELLED: "the operation was cancelled and undone",
    CHANGED: "something differs or was changed: a file is not in form, specs would change, or were applied",
    INCOMPLETE: "done, but something could not be carried over; the output says what",
    INTERRUPTED: "interrupted here; a started operation goes on",
}

_CODES: tuple[tuple[type[ShareflowError], int], ...] = (
    (InvalidInput, USAGE),
    (StateDirectoryError, CONFIGURATION),
    (SchemaError, CONFIGURATION),
    (SpecError, CONFIGURATION),
    (ServerUnavailable, UNAVAILABLE),
    (BackendUnavailable, UNAVAILABLE),
    (DatabaseUnavailable, UNAVAILABLE),
    (OperationCancelled, CANCELLED),
)


def code_of(error: ShareflowError) -> int:
    """The exit code that stands for an error."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), FAILED)
