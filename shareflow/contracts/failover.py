"""Input and result of failovers: what is active on a backend is promoted elsewhere, and goes back later."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from shareflow.contracts.base import Name
from shareflow.contracts.failover_steps import FailoverReport, LossSum, NotPromoted, PromotableShare
from shareflow.contracts.migration import Verify
from shareflow.contracts.operations import OperationResult, Request
from shareflow.contracts.replication import PromoteReplicaInput, Stale

MOST_PROMOTED_AT_ONCE = 64
MOST_LISTED = 1000
"""So many shares are listed one by one; all are counted."""


class PromotionOptions(Request):
    """What failovers and failbacks have.

    Attributes:
        verify, ignore_open_files: as of each promotion.
        concurrency: so many shares are promoted at once, 1 to 64.
        dry_run: only say what would be promoted, and what that would lose.
    """

    backend: Name
    verify: Annotated[Verify, Field(strict=False)] = Verify.SAMPLED
    ignore_open_files: bool = False
    concurrency: Annotated[int, Field(ge=1, le=MOST_PROMOTED_AT_ONCE)] = 16
    dry_run: bool = False


class FailoverBackendInput(PromotionOptions):
    """Promote a replica elsewhere of every share, of all projects, whose active instance is on a backend.

    Attributes:
        lost: the backend is declared lost: nothing is asked of it. Without it the failover is planned and loses
            nothing.
        accept_loss: with ``lost``: promote although changes are lost with that.
        accept_tolerated: with ``lost``: promote what loses no more than the ``loss`` that its type tolerates, and
            name the others.
        stale: with ``lost``: what becomes of the copies that are left there.
    """

    lost: bool = False
    accept_loss: bool = False
    accept_tolerated: bool = False
    stale: Annotated[Stale, Field(strict=False)] = Stale.KEEP


class FailbackBackendInput(PromotionOptions):
    """Promote the replica on a backend of every share that a failover has moved off it; nothing is lost."""


class FailoverPlan(LossSum):
    """What a failover or a failback would do, and what that would lose.

    Attributes:
        shares: so many would be promoted.
        first: in the order in which they begin, at most 1,000, with those that would be refused.
        without_replica, failed, not_promoted: shares that stay where they are, as in :class:`FailoverReport`.
    """

    shares: int
    first: list[PromotableShare] = []
    without_replica: int = 0
    failed: int = 0
    not_promoted: list[NotPromoted] = []


class FailoverResult(OperationResult):
    """What became of a failover or a failback.

    Attributes:
        outcome: ``promoted`` (nothing is left), ``incomplete``, or ``planned`` (a dry run).
        lost: the backend was declared lost.
        left: shares that are still there, or of a failback still away; those in the recycle bin included.
        report: what was promoted, what was lost with that, and what stays where it is, each with its reason.
        plan: of a dry run.
    """

    outcome: str
    backend: str
    lost: bool = False
    left: int = 0
    report: FailoverReport = FailoverReport()
    plan: FailoverPlan | None = None


def promotion_of(request: FailoverBackendInput | FailbackBackendInput, share: PromotableShare) -> PromoteReplicaInput:
    """The promotion of one share, in its own project."""
    values = {name: getattr(request, name) for name in Request.model_fields}
    values |= {
        "project": share.project,
        "share": share.id,
        "replica": share.replica,
        "verify": request.verify,
        "ignore_open_files": request.ignore_open_files,
    }
    if isinstance(request, FailoverBackendInput) and request.lost:
        values |= {"lost": True, "accept_loss": True, "stale": request.stale}
    return PromoteReplicaInput(**values)
