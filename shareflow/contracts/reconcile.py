"""Inputs and results of the reconciler's workflows."""

from __future__ import annotations

from shareflow.contracts.base import Name, StrictModel


class ReconcileClaimsInput(StrictModel):
    """Look for operations whose workflow is gone. ``grace`` seconds are left to a workflow that is just starting."""

    grace: int = 30


class LostOperation(StrictModel):
    """An open operation without an open workflow; ``workflow`` is how that ended, or ``missing``."""

    operation: str
    workflow: str


class ReconcileClaimsResult(StrictModel):
    """What was found: operations restarted to be undone or to go on, claims given back, rows reported."""

    resumed: list[str]
    released: list[str]
    reported: list[str]


class ReconcileBackendInput(StrictModel):
    """Compare one backend with the inventory."""

    backend: Name


class ReconcileBackendResult(StrictModel):
    """Counts of one comparison. ``reachable`` False: nothing can be said.

    Attributes:
        objects: objects seen on the backend.
        open: findings that stand.
        repaired: findings that are over, by repair or by themselves.
    """

    backend: str
    reachable: bool
    objects: int = 0
    open: int = 0
    repaired: int = 0
