"""Histories of every operation in each of its endings replay on the current code."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from pydantic import ValidationError
from temporalio import workflow
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer

import worker
from shareflow import names
from shareflow.converter import data_converter
from shareflow.interceptor import OneInput
from tests.replay.faulty import CELLS
from tests.replay.situations import SITUATIONS
from workflows.registry import WORKFLOWS

HISTORIES = sorted((Path(__file__).parent / "histories").glob("*.json.gz"))


def _history(file: Path) -> WorkflowHistory:
    """A kept history under the id that it was recorded with: ids of child workflows begin with it."""
    history = WorkflowHistory.from_json(f"replayed-{file.stem}", gzip.decompress(file.read_bytes()).decode())
    recorded = history.events[0].workflow_execution_started_event_attributes.workflow_id
    return WorkflowHistory(recorded or history.workflow_id, history.events)


def _kind(history: WorkflowHistory) -> str:
    return history.events[0].workflow_execution_started_event_attributes.workflow_type.name


@pytest.mark.parametrize("file", HISTORIES, ids=lambda file: file.name.removesuffix(".json.gz"))
async def test_a_kept_history_replays_on_the_current_code(file: Path) -> None:
    """A change of a shipped recipe that old runs cannot follow fails here."""
    replayer = Replayer(
        workflows=WORKFLOWS,
        workflow_runner=worker.sandbox(),
        data_converter=data_converter,
        interceptors=[OneInput()],
        workflow_failure_exception_types=[ValidationError],
    )
    await replayer.replay_workflow(_history(file))


async def test_a_history_of_another_recipe_does_not_replay() -> None:
    """The check itself: a step that the code does not take is noticed."""
    file = next(file for file in HISTORIES if file.name == "resize.json.gz")
    other = gzip.decompress(file.read_bytes()).decode().replace("backend_resize_share", "backend_create_share")
    replayer = Replayer(
        workflows=WORKFLOWS,
        workflow_runner=worker.sandbox(),
        data_converter=data_converter,
        interceptors=[OneInput()],
    )
    with pytest.raises(workflow.NondeterminismError):
        await replayer.replay_workflow(WorkflowHistory.from_json("replayed", other))


def test_every_operation_and_situation_has_a_history() -> None:
    """A new operation cannot be forgotten."""
    kept = {_kind(_history(file)) for file in HISTORIES}
    assert set(names.OPERATION_TYPES) | {names.RECONCILE_BACKEND, names.RECONCILE_CLAIMS, names.DETECT_DRIFT} <= kept
    assert {
        name for name in [*SITUATIONS, *CELLS] if not any(file.name.startswith(f"{name}.") for file in HISTORIES)
    } == set()
