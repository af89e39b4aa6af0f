"""Shareflow: a control plane for shared file systems in which every long-running operation is a durable workflow.

    import shareflow

    async with shareflow.connect() as shares:
        operation = await shares.create("home", "10 GiB")
        print(await operation.result())

Names are loaded when they are first used, so that ``import shareflow`` is quick.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shareflow.client import Shares, connect
    from shareflow.errors import (
        BackendRefused,
        BackendUnavailable,
        Busy,
        CommandRefused,
        DatabaseUnavailable,
        DoesNotFit,
        InvalidInput,
        InvalidState,
        NameTaken,
        NoPoolFits,
        NotFound,
        NotSupported,
        OperationCancelled,
        OperationFailed,
        QuotaExceeded,
        RemovalNeedsAllow,
        RequestReused,
        SchemaError,
        ServerUnavailable,
        ShareflowError,
        SpecError,
        SpecsMoved,
        StaleClaim,
        StateDirectoryError,
        UnknownQos,
        UnknownType,
    )
    from shareflow.operation import Operation

__version__ = "0.1.0"

__all__ = [
    "BackendRefused",
    "BackendUnavailable",
    "Busy",
    "CommandRefused",
    "DatabaseUnavailable",
    "DoesNotFit",
    "InvalidInput",
    "InvalidState",
    "NameTaken",
    "NoPoolFits",
    "NotFound",
    "NotSupported",
    "Operation",
    "OperationCancelled",
    "OperationFailed",
    "QuotaExceeded",
    "RemovalNeedsAllow",
    "RequestReused",
    "SchemaError",
    "ServerUnavailable",
    "ShareflowError",
    "Shares",
    "SpecError",
    "SpecsMoved",
    "StaleClaim",
    "StateDirectoryError",
    "UnknownQos",
    "UnknownType",
    "connect",
]

_HOMES = {"Operation": "shareflow.operation", "Shares": "shareflow.client", "connect": "shareflow.client"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES.get(name, "shareflow.errors")), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
