"""Starting an operation: its id, what the server is told, and why the same request never becomes two."""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from typing import TypeVar

from pydantic import ValidationError
from temporalio.client import WorkflowHandle
from temporalio.common import (
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import WorkflowAlreadyStartedError

from shareflow import names
from shareflow.contracts.operations import OperationResult, Request
from shareflow.contracts.reads import OperationRef, OperationView
from shareflow.errors import InvalidInput, RequestReused, ShareflowError
from shareflow.operation import Operation
from shareflow.reading import Reads
from shareflow.wire import Wire

DIGEST = "request_digest"
REQUEST_ID_LENGTH = 190
Result = TypeVar("Result", bound=OperationResult)


class Starts(Reads):
    """What every method that starts an operation shares.

    Attributes:
        project: the tenant it acts in.
    """

    def __init__(self, wire: Wire) -> None:
        super().__init__(wire)
        self.project = wire.project

    def _common(self, on_busy: str, reason: str) -> dict[str, str]:
        return {"project": self.project, "by": self._wire.by, "reason": reason, "on_busy": on_busy}

    async def _start(self, kind: str, request: Request, summary: str, request_id: str | None) -> Operation[Result]:
        operation = self._operation_id(kind, request_id)
        digest = request_digest(request)
        attributes = TypedSearchAttributes(
            [
                SearchAttributePair(names.PROJECT, self.project),
                SearchAttributePair(names.OPERATION, kind),
                SearchAttributePair(names.PHASE, "running"),
            ]
        )
        try:
            async with self._wire.call():
                await self._wire.client.start_workflow(
                    kind,
                    request,
                    id=operation,
                    task_queue=names.QUEUE,
                    id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
                    id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                    memo={DIGEST: digest},
                    search_attributes=attributes,
                    static_summary=summary,
                    static_details=_details(request),
                )
        except ShareflowError as error:
            if not isinstance(error.__cause__, WorkflowAlreadyStartedError):
                raise
            await self._same_or_refused(operation, kind, request, digest)
        return Operation(self._wire, operation, kind)

    def _operation_id(self, kind: str, request_id: str | None) -> str:
        if request_id is None:
            return f"{kebab(kind)}-{uuid.uuid4()}"
        if not request_id or len(request_id) > REQUEST_ID_LENGTH or not request_id.isprintable():
            raise InvalidInput(
                f"{request_id[:60]!a} is refused: 1 to {REQUEST_ID_LENGTH} printable characters", field="request_id"
            )
        return f"{self.project}:{request_id}"

    async def _same_or_refused(self, operation: str, kind: str, request: Request, digest: str) -> None:
        """Return when the existing operation of this id is this very request.

        Raises:
            RequestReused: it is another one.
        """
        handle: WorkflowHandle[object, object] = self._wire.client.get_workflow_handle(operation)
        async with self._wire.call():
            description = await handle.describe()
            theirs = (await description.memo()).get(DIGEST)
        if description.workflow_type == kind:
            if theirs is None:
                theirs = _recorded_digest(type(request), (await self._record(operation)).request)
            if theirs == digest:
                return
        raise RequestReused(
            f"{operation!r} belongs to an earlier request with other content ({description.workflow_type})",
            field="request_id",
            hint="use a new request id, or send the earlier request unchanged",
        )

    async def _record(self, operation: str) -> OperationView:
        query = OperationRef(project=self.project, operation=operation)
        return await self._wire.read(names.GET_OPERATION, query, OperationView)


def request_digest(request: Request) -> str:
    """SHA-256 of what a request asks for. Who asks and why do not count, so that a retry from elsewhere is the same."""
    content = request.model_dump(mode="json", exclude={"by", "reason"})
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def kebab(kind: str) -> str:
    """``CreateShare`` as ``create-share``."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", kind).lower()


def _recorded_digest(model: type[Request], recorded: dict[str, object]) -> str | None:
    try:
        return request_digest(model.model_validate_json(json.dumps(recorded)))
    except ValidationError:
        return None


def _details(request: Request) -> str:
    """The request as Markdown for the UI; values as code, so that no text of a user becomes markup or a link."""
    fields = request.model_dump(mode="json", exclude_defaults=True, exclude={"documents"})
    fields.setdefault("project", request.project)
    return "\n".join(f"- {name}: `{str(value).replace('`', chr(39))}`" for name, value in fields.items())
