"""Input and result of evacuations: all shares leave a pool or a backend, each by a migration of its own."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from shareflow.contracts.base import Name, StrictModel
from shareflow.contracts.evacuation_steps import NotMoved
from shareflow.contracts.migration import CutoverWhen, DestinationOptions
from shareflow.contracts.operations import OperationResult

MOST_AT_ONCE = 32
MOST_LISTED = 1000
"""So many shares that were not moved are listed; all are counted."""
MOST_PLANNED = 20
"""For so many shares a dry run says where each would go."""


class EvacuationOptions(DestinationOptions):
    """How shares leave.

    Attributes:
        cutover_when: of every share; ``immediately`` unless said otherwise.
        bandwidth: limit of all copies together in bytes per second; it is divided among those that run.
        concurrency: so many shares move at once, 1 to 32.
        drain: mark the pools first, so that nothing new is placed there.
        undrain_on_cancel: when it is cancelled, take away the marks that it made.
    """

    cutover_when: Annotated[CutoverWhen, Field(strict=False)] = CutoverWhen.IMMEDIATELY
    concurrency: Annotated[int, Field(ge=1, le=MOST_AT_ONCE)] = 4
    drain: bool = True
    undrain_on_cancel: bool = False


class EvacuatePoolInput(EvacuationOptions):
    """Move all shares, of all projects, out of a pool."""

    backend: Name
    pool: Name


class EvacuateBackendInput(EvacuationOptions):
    """Move all shares, of all projects, off a backend."""

    backend: Name


class PlannedShare(StrictModel):
    """Where one share would go, or why nowhere; one of the two is empty. ``replica`` is its id when it is one."""

    share_id: str
    name: str
    project: str
    destination: str = ""
    mode: str = ""
    refusal: str = ""
    replica: str = ""


class EvacuationPlan(StrictModel):
    """What an evacuation would do.

    Attributes:
        shares, bytes: those in view and their sizes; replicas count like shares.
        replicas: how many of them are replicas.
        in_recycle_bin: shares that stay because they are deleted.
        first: what placement says now of the first ones.
    """

    shares: int
    replicas: int = 0
    bytes: int
    in_recycle_bin: int
    first: list[PlannedShare]


class EvacuationResult(OperationResult):
    """What became of an evacuation.

    Attributes:
        outcome: ``evacuated`` (nothing is left), ``incomplete``, or ``planned`` (a dry run).
        source: ``backend/pool``, or the backend.
        drained: the pools take nothing new.
        moved, bytes_moved: shares and replicas that it moved, and what their copies moved.
        replicas_moved: how many of them are replicas.
        left: shares and replicas that are still there.
        not_moved: those with the reason of each, at most 1,000.
    """

    outcome: str
    source: str
    drained: bool
    moved: int = 0
    replicas_moved: int = 0
    bytes_moved: int = 0
    left: int = 0
    not_moved: list[NotMoved] = []
    plan: EvacuationPlan | None = None
