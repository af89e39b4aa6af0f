"""FailoverBackend and FailbackBackend in the inventory: say which shares are next, and report what was lost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from sqlalchemy import Connection

from activities.placement import check_pins
from activities.recipes.base import Recipe
from activities.recipes.promote import check_asked_of_lost
from inventory import failover, fan_out, resources
from inventory.database import now
from inventory.operations import OpenOperation
from shareflow import names
from shareflow.contracts.failover import (
    MOST_LISTED,
    FailbackBackendInput,
    FailoverBackendInput,
    FailoverPlan,
    FailoverResult,
)
from shareflow.contracts.failover_steps import Failover, FailoverFollowed, FollowFailoverInput, PromotableShare
from shareflow.contracts.operations import Request
from shareflow.contracts.places import BeginStatus
from shareflow.contracts.replication import Stale
from shareflow.contracts.steps import Begun, CommitInput
from shareflow.contracts.units import format_duration
from shareflow.errors import InvalidInput, InvalidState, StaleClaim

PROMOTING = "promoting"
FailoverInput = FailoverBackendInput | FailbackBackendInput


def failover_of(begun: Begun) -> Failover:
    """A failover as it was begun. Raises StaleClaim for another operation."""
    if begun.failover is None:
        raise StaleClaim("this operation fails nothing over")
    return begun.failover


class FailoverBackend(Recipe[Any]):
    """Everything that is active on a backend is promoted elsewhere."""

    kind = names.FAILOVER_BACKEND
    input_model: ClassVar[type[Request]] = FailoverBackendInput

    def begin(self, connection: Connection, operation: OpenOperation, request: FailoverInput) -> Begun:
        """Changes nothing. Raises NotFound for a backend that no spec declares, InvalidInput for what cannot be."""
        fan_out.check_id(operation.id)
        pools = resources.pools_picture(connection)
        check_pins(pools, request.backend, None)
        found = self._found(connection, request, [row["id"] for row in pools if row["backend"] == request.backend])
        if request.dry_run:
            return _planned(connection, operation, found)
        self._check_accepted(connection, operation, request, found)
        return self.started(connection, operation, phase=PROMOTING, failover=found)

    def _found(self, _connection: Connection, request: Any, pools: Sequence[str]) -> Failover:
        _check_flags(request)
        return Failover(
            backend=request.backend,
            pools=list(pools),
            asked_at=now(),
            lost=request.lost,
            tolerated_only=request.accept_tolerated,
        )

    def _check_accepted(self, connection: Connection, operation: OpenOperation, request: Any, found: Failover) -> None:
        """Raise InvalidInput, with what it would cost, when nobody has said that a loss is accepted."""
        if not request.lost or request.accept_loss or request.accept_tolerated:
            return
        shares = _all_shares(connection, operation.id, found)
        if not shares:
            return
        worst = max(shares, key=lambda share: share.loss_seconds)
        raise InvalidInput(
            f"failing {request.backend} over loses changes of {len(shares)} shares: up to "
            f"{format_duration(max(1, round(worst.loss_seconds)))} ({worst.project}/{worst.name}), "
            f"{failover.sum_of(shares).bytes_in_words() or '0 B'}",
            field="accept_loss",
            hint="accept_loss: true accepts that, accept_tolerated: true only what each type tolerates; "
            "dry_run: true says it of each share",
        )

    def commit(
        self, connection: Connection, operation: OpenOperation, begun: Begun, outcome: CommitInput
    ) -> dict[str, Any]:
        """What was promoted and what is left, as the inventory knows it."""
        found = failover_of(begun)
        left = failover.count(connection, found, in_view=None)
        return FailoverResult(
            operation=operation.id,
            outcome="incomplete" if left else "promoted",
            backend=found.backend,
            lost=found.lost,
            left=left,
            report=failover.report(connection, operation.id, found, MOST_LISTED, ended=True),
        ).model_dump(mode="json")

    def abort(self, connection: Connection, operation: OpenOperation, begun: Begun) -> None:
        """What was promoted stays promoted."""


class FailbackBackend(FailoverBackend):
    """What failovers have moved off a backend goes back."""

    kind = names.FAILBACK_BACKEND
    input_model: ClassVar[type[Request]] = FailbackBackendInput

    def _found(self, connection: Connection, request: Any, pools: Sequence[str]) -> Failover:
        failovers = failover.failovers_of(connection, request.backend)
        found = Failover(backend=request.backend, pools=list(pools), asked_at=now(), back=True, failovers=failovers)
        if not failover.count(connection, found, in_view=None):
            raise InvalidState(
                f"no share is away from {request.backend} that a failover has moved off it",
                field="backend",
                hint="promote shares one by one with PromoteReplica",
            )
        return found

    def _check_accepted(self, connection: Connection, operation: OpenOperation, request: Any, found: Failover) -> None:
        """Nothing is lost."""


def _check_flags(request: FailoverBackendInput) -> None:
    """Raise InvalidInput for what contradicts itself."""
    if request.lost:
        if not request.reason.strip():
            raise InvalidInput("the backend is declared lost without a reason", field="reason", hint="say why")
        if request.accept_loss and request.accept_tolerated:
            raise InvalidInput(
                "accept_loss accepts every loss, accept_tolerated only what each type tolerates",
                field="accept_tolerated",
                hint="leave one of them out",
            )
        check_asked_of_lost(request, "backend")
        return
    alone = {"accept_loss": request.accept_loss, "accept_tolerated": request.accept_tolerated}
    alone["stale"] = request.stale is not Stale.KEEP
    for name, given in alone.items():
        if given:
            raise InvalidInput(
                f"{name} goes with lost: true; a planned failover loses nothing",
                field=name,
                hint="leave it out, or say that the backend is lost",
            )


def _all_shares(connection: Connection, operation: str, found: Failover) -> list[PromotableShare]:
    return failover.next_shares(connection, operation, found, "", failover.count(connection, found))


def _planned(connection: Connection, operation: OpenOperation, found: Failover) -> Begun:
    every = _all_shares(connection, operation.id, found)
    promoted = [share for share in every if not share.refusal]
    report = failover.report(connection, operation.id, found, MOST_LISTED, ended=False)
    plan = FailoverPlan(
        shares=len(promoted),
        **failover.sum_of(promoted).figures(),
        first=every[:MOST_LISTED],
        without_replica=report.without_replica,
        failed=report.failed + len(every) - len(promoted),
        not_promoted=report.not_promoted,
    )
    result = FailoverResult(
        operation=operation.id,
        outcome="planned",
        backend=found.backend,
        lost=found.lost,
        left=failover.count(connection, found, in_view=None),
        plan=plan,
    )
    return Begun(status=BeginStatus.ENDED, result=result.model_dump(mode="json"))


def follow(
    connection: Connection, operation: OpenOperation, begun: Begun, step: FollowFailoverInput
) -> tuple[Begun, FailoverFollowed]:
    """Keep the memory and look. Changes nothing else."""
    found = failover_of(begun)
    if step.take_up:
        children = failover.under_way(connection, operation.id)
        report = failover.report(connection, operation.id, found, MOST_LISTED, ended=False)
    else:
        children, report = failover.children(connection, operation.id, step.watched), None
    shares = failover.next_shares(connection, operation.id, found, step.after, step.limit) if step.limit else []
    answer = FailoverFollowed(
        shares=shares,
        children=children,
        left=failover.count(connection, found),
        waiting=failover.waiting(connection, operation.id, found),
        report=report,
    )
    return begun.model_copy(update={"failover": found.model_copy(update={"memory": step.memory})}), answer
