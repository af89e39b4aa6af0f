"""Operations: one row per request, opened by its first step, ended exactly once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, RowMapping, bindparam, select, update

from inventory import claims, tables
from inventory.audit import Actor
from inventory.database import insert_absent, now
from shareflow.contracts.operations import OperationState
from shareflow.contracts.steps import Failure
from shareflow.errors import NotFound, RequestReused

ENDED = (OperationState.SUCCEEDED, OperationState.FAILED_CLEAN)
OPEN = tuple(state.value for state in OperationState if state not in ENDED)
"""States as the database keeps them; asking for these finds the few open operations by index among all."""

UNDOING = "undoing"
"""As ``recovery``: its workflow has begun to take everything back, and a late attempt may not make it come true."""

# Built once: on the way of every operation, building a statement costs as much as running it.
_IS = tables.operations.c.id == bindparam("operation")
_FETCH = select(tables.operations).where(_IS).with_for_update()
_NOTE = update(tables.operations).where(_IS)
_END = _NOTE.where(tables.operations.c.state.not_in([state.value for state in ENDED]))


def request_digest(kind: str, request: Mapping[str, Any]) -> str:
    """SHA-256 of a request's kind and content, whatever the order of its fields.

    Who asked and why is no part of it: the same request may be sent again by somebody else.
    """
    content = {key: value for key, value in request.items() if key not in ("by", "reason")}
    body = json.dumps([kind, content], sort_keys=True, separators=(",", ":"), ensure_ascii=True, default=str)
    return hashlib.sha256(body.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class OpenOperation:
    """An operation's row as its steps need it.

    Attributes:
        notes: columns that its recipe has for the row; they are written together with ``begun``.
    """

    id: str
    project: str
    kind: str
    state: OperationState
    request: dict[str, Any]
    begun: dict[str, Any] | None
    result: dict[str, Any] | None
    failure: Failure | None
    placement: dict[str, Any] | None
    recovery: str
    no_return: bool
    by: str
    reason: str
    notes: dict[str, Any] = field(default_factory=dict)

    @property
    def actor(self) -> Actor:
        """In whose name its changes are audited."""
        return Actor(operation=self.id, project=self.project, by=self.by, reason=self.reason)

    @property
    def ended(self) -> bool:
        """Whether it is over; then nothing may change it."""
        return self.state in ENDED


def _opened(row: Mapping[str, Any] | RowMapping) -> OpenOperation:
    return OpenOperation(
        id=row["id"],
        project=row["project"],
        kind=row["kind"],
        state=OperationState(row["state"]),
        request=row["request"],
        begun=row["begun"],
        result=row["result"],
        failure=Failure.model_validate(row["failure"]) if row["failure"] else None,
        placement=row["placement"],
        recovery=row["recovery"],
        no_return=row["no_return"],
        by=row["requested_by"],
        reason=row["reason"],
    )


def fetch(connection: Connection, operation: str) -> OpenOperation | None:
    """The operation's row, locked until the transaction ends, together with the rows of what it claims."""
    row = connection.execute(_FETCH, {"operation": operation}).mappings().first()
    if row is None:
        return None
    claims.lock(connection, operation)
    return _opened(row)


def get(connection: Connection, operation: str) -> OpenOperation:
    """As :func:`fetch`; raises NotFound."""
    found = fetch(connection, operation)
    if found is None:
        raise NotFound(f"there is no operation {operation}")
    return found


def open_or_find(connection: Connection, operation: str, kind: str, request: dict[str, Any]) -> OpenOperation:
    """Open the operation, or find it again when this request was seen before.

    Raises:
        RequestReused: the id belongs to a request of another kind, project or content.
    """
    fingerprint = request_digest(kind, request)
    row = _new_row(operation, kind, request, fingerprint)
    if insert_absent(connection, tables.operations, row):  # nearly always
        return _opened(row)
    found = get(connection, operation)
    if found.kind != kind or request_digest(found.kind, found.request) != fingerprint:
        raise RequestReused(
            f"request id {operation!r} belongs to an earlier request with other content",
            hint="use a new id for a new request",
        )
    return found


def _new_row(operation: str, kind: str, request: dict[str, Any], fingerprint: str) -> dict[str, Any]:
    return {
        "id": operation,
        "project": request["project"],
        "kind": kind,
        "state": OperationState.RUNNING.value,
        "share_id": "",
        "request": request,
        "request_digest": fingerprint,
        "begun": None,
        "result": None,
        "failure": None,
        "placement": None,
        "recovery": "",
        "no_return": False,
        "left_over": "",
        "requested_by": request["by"],
        "reason": request["reason"],
        "created_at": now(),
    }


def note(connection: Connection, operation: str, **values: Any) -> None:
    """Set columns of an operation's row (``begun``, ``placement``, ``waiting_for``, ``share_id`` ...)."""
    connection.execute(_NOTE, {"operation": operation, **values})


def end(
    connection: Connection,
    operation: str,
    state: OperationState,
    *,
    result: dict[str, Any] | None = None,
    failure: Failure | None = None,
) -> None:
    """Write the ending; an operation that has ended already keeps its first one."""
    connection.execute(
        _END,
        {
            "operation": operation,
            "state": state.value,
            "result": result,
            "failure": None if failure is None else failure.model_dump(),
            "waiting_for": None,
            "left_over": "",
            "ended_at": now(),
        },
    )
