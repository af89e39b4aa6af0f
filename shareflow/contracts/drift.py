"""What the search for drift takes and says."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, JsonValue

from shareflow.contracts.base import Duration, Name, StrictModel
from shareflow.contracts.specs import Documents


class DetectDriftInput(StrictModel):
    """Compare the applied specs with what the backends are, and with git's set where it is given.

    Attributes:
        documents: the set in git, as records; null compares without it.
        patience: seconds that a backend's queue may go unserved before the report says that nobody serves it.
    """

    project: Name = "default"
    documents: Documents | None = None
    patience: Annotated[Duration, Field(ge=1, le=3600)] = 30


class DriftRowView(StrictModel):
    """One thing of which not all say the same; null where it is absent, the default, or nobody was asked.

    Attributes:
        kind, name: a document, or a pool (kind ``Pool``, name ``backend/pool``).
        field: its key; empty for the document as a whole.
        advice: the next step.
    """

    kind: str
    name: str
    field: str
    git: JsonValue = None
    inventory: JsonValue = None
    backend: JsonValue = None
    advice: str = ""


class DetectDriftResult(StrictModel):
    """What was found. Nothing was changed.

    Attributes:
        specs_revision, digest: of the applied set; 0 and empty when none was applied.
        git: digest of git's set, empty when none was given.
        managed: whether the set was applied by an operation.
        unknown: backends that could not be asked.
        left_off: rows that were left off to keep the answer short.
    """

    specs_revision: int
    digest: str
    git: str = ""
    managed: bool = False
    rows: list[DriftRowView]
    unknown: list[str] = []
    left_off: int = 0


class BackendDriftInput(StrictModel):
    """Compare one backend with what was applied."""

    backend: Name


class BackendDrift(StrictModel):
    """What one backend differs in. ``reason`` says why it could not be asked, empty when it could."""

    backend: str
    reason: str = ""
    rows: list[DriftRowView] = []
    left_off: int = 0


class CompareDriftInput(StrictModel):
    """Everything that was found on the backends, to be put beside git and the inventory."""

    documents: Documents | None = None
    backends: list[BackendDrift]
