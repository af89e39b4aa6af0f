"""The workflow sandbox without the questions that only converters with contexts need answered."""

from __future__ import annotations

from typing import Any

from temporalio.converter import (
    DataConverter,
    SerializationContext,
    StorageDriverStoreContext,
    WorkflowSerializationContext,
)
from temporalio.worker import WorkflowInstance, WorkflowInstanceDetails
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner
from temporalio.workflow import Info


def needs_contexts(converter: DataConverter) -> bool:
    """Whether a converter does anything that depends on whose payload it has."""
    anybody = WorkflowSerializationContext(namespace="any", workflow_id="any")
    has_more = converter.payload_codec is not None or converter.external_storage is not None
    return has_more or converter.with_context(anybody) is not converter


class ContextFreeSandbox(SandboxedWorkflowRunner):
    """Runs workflows in the sandbox, for a converter that needs no contexts.

    For every payload that comes or goes the SDK enters the sandbox of its workflow some four times, to ask for the
    context of a converter. That took about a fifth of the event loop's time of a worker, for nothing.
    """

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        """See base class."""
        return _ContextFree(super().create_instance(det))


class _ContextFree(WorkflowInstance):
    """A workflow in its sandbox that has no contexts."""

    def __init__(self, inner: WorkflowInstance) -> None:
        self._inner = inner

    def activate(self, act: Any) -> Any:
        return self._inner.activate(act)

    def get_serialization_context(self, _command_info: Any) -> SerializationContext | None:
        return None

    def get_external_store_context(self, _command_info: Any) -> StorageDriverStoreContext:
        return StorageDriverStoreContext(target=None)

    def get_info(self) -> Info:
        return self._inner.get_info()

    def get_thread_id(self) -> int | None:
        return self._inner.get_thread_id()
