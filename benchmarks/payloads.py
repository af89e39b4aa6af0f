"""Payloads of the no-op workflow: strict pydantic models of about the size of an operation's."""

from __future__ import annotations

from shareflow.contracts.base import Name, Size, StrictModel, Text

QUEUE = "noop"
ACTIVITY_QUEUE = "noop:activities"
WORKFLOW = "NoOp"
BEGIN = "noop_begin"
ACT = "noop_act"
COMMIT = "noop_commit"


class NoOpInput(StrictModel):
    """What the workflow is started with; a create has one activity."""

    name: Name
    size: Size
    project: Name = "bench"
    by: Text = ""
    activities: int = 1


class NoOpBegun(StrictModel):
    """Answer of the first local activity, input of the activity."""

    id: str
    backend: str
    pool: str
    size: int


class NoOpMade(StrictModel):
    """Answer of the activity, input of the last local activity."""

    id: str
    export_paths: list[str]


class NoOpResult(StrictModel):
    """What the workflow returns."""

    id: str
    name: str
    size: int
    export_locations: list[str]
