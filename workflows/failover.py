"""FailoverBackend, FailbackBackend: a promotion per share, so many at a time, in order -> report what was lost.

Every share's promotion is a workflow of its own, ``<failover>/<share id>``, in the share's own project; see
:mod:`workflows.fan_out`. Nothing is asked of a backend that is lost, by nobody.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import ValidationError
from temporalio import workflow
from temporalio.exceptions import FailureError

with workflow.unsafe.imports_passed_through():
    from shareflow import names
    from shareflow.contracts.failover import (
        FailbackBackendInput,
        FailoverBackendInput,
        FailoverResult,
        promotion_of,
    )
    from shareflow.contracts.failover_steps import (
        FailoverFollowed,
        FollowFailoverInput,
        PromotableShare,
        PromotionView,
        ShareLoss,
    )
    from shareflow.contracts.fan_out import FanOutMemory
    from shareflow.contracts.replication import PromoteReplicaResult
    from shareflow.contracts.steps import Begun, Failure
    from workflows.failover_log import FailoverLog
    from workflows.fan_out import ENDING, PAUSED, Child, FanOut

FailoverInput = FailoverBackendInput | FailbackBackendInput


@dataclass
class Promoting(Child):
    """The promotion of one share."""

    share: PromotableShare


class _Promotions(FanOut[FailoverInput, Promoting, FanOutMemory]):
    """What failovers and failbacks share."""

    pausing = "pausing: no more promotions begin, those that are under way end"
    phase: ClassVar[str]
    _shown: FailoverLog

    def __init__(self) -> None:
        super().__init__()
        self._memory = FanOutMemory()

    async def promote(self, request: FailoverInput) -> FailoverResult:
        """Promote the shares."""
        return FailoverResult.model_validate(await self.fan_out(request, request.concurrency))

    def _prepare(self, begun: Begun) -> None:
        """What an earlier run was told counts."""
        failover = begun.failover
        assert failover is not None  # noqa: S101  (begin always gives it)
        self._shown = self.log.failover = FailoverLog(failover, self.id)
        self._memory = failover.memory.model_copy(update=self._early)
        self._has_begun = True
        where = f"back to {failover.backend}" if failover.back else f"away from {failover.backend}"
        self.log.start(f"promote all shares {where}")

    async def _follow(self, **look: Any) -> FailoverFollowed:
        step = FollowFailoverInput(operation=self.id, memory=self._memory, **look)
        found = await self.inventory(names.FOLLOW_FAILOVER, step, FailoverFollowed)
        self._shown.left = found.left
        self._shown.waits(found.waiting)
        return found

    def _show(self) -> None:
        if self.cancel_requested:
            self.log.enter(ENDING, [])
        elif self._memory.paused:
            self.log.enter(PAUSED, [names.RESUME])
        else:
            self.log.enter(self.phase, [names.PAUSE])

    # -- the promotions ----------------------------------------------------------------------------------------------

    async def _fill(self, request: FailoverInput, concurrency: int) -> None:
        """As many as there are places for begin together: each start takes the server a moment."""
        while not self._memory.paused:
            begin: list[PromotableShare] = []
            while len(self._children) + len(begin) < concurrency:
                share = await self._next()
                if share is None:
                    break
                if share.refusal:
                    self._tried.add(share.id)
                    self._shown.ended(share, failure=share.refusal, next_step=share.next_step)
                else:
                    begin.append(share)
            if not begin:
                return
            await asyncio.gather(*(self._start(request, share) for share in begin))

    def _child(self, request: FailoverInput, share: PromotableShare) -> Promoting:
        return Promoting(share)

    def _adopted(self, share: PromotableShare, *, unsure: bool) -> Promoting:
        return Promoting(share)

    def _starting(
        self, request: FailoverInput, child: Promoting
    ) -> Coroutine[Any, Any, workflow.ChildWorkflowHandle[Any, Any]]:
        share = child.share
        return workflow.start_child_workflow(
            names.PROMOTE_REPLICA,
            promotion_of(request, share),
            id=self._id_of(share),
            result_type=PromoteReplicaResult,
            parent_close_policy=workflow.ParentClosePolicy.ABANDON,
            cancellation_type=workflow.ChildWorkflowCancellationType.ABANDON,
            static_summary=f"promote share {share.name} of project {share.project} to {share.to}",
        )

    def _outcome(self, result: PromoteReplicaResult) -> dict[str, Any]:
        loss = ShareLoss(
            share_id=result.share_id, name=result.name, project="", to=f"{result.backend}/{result.pool}",
            loss_seconds=result.loss_seconds, loss_bytes=result.loss_bytes, loss_rate=result.loss_rate,
            lost_snapshots=result.lost_snapshots, operation=result.operation,
        )  # fmt: skip
        return {"loss": loss}

    def _outcome_of(self, child: PromotionView) -> dict[str, Any]:
        return {"loss": child.loss}

    async def _give_up(self, child: Promoting) -> bool:
        try:
            await workflow.get_external_workflow_handle(self._id_of(child.share)).cancel()
        except FailureError as error:
            workflow.logger.info("the promotion of share %s could not be cancelled: %s", child.share.id, error)
            return False
        return True

    def _cancelled(self, begun: Begun, request: FailoverInput) -> Failure:
        told = f"cancelled on request: {self._shown.summary()}"
        self.log.note = told
        return Failure(
            type="OperationCancelled",
            message=told,
            hint="shares that were promoted stay so; started again, it goes on with the others",
        )


@workflow.defn(name=names.FAILOVER_BACKEND, failure_exception_types=[ValidationError])
class FailoverBackend(_Promotions):
    """Promote everything that is active on a backend."""

    kind = names.FAILOVER_BACKEND
    word = "failover"
    phase = "failing-over"

    @workflow.run
    async def run(self, request: FailoverBackendInput) -> FailoverResult:
        """Promote elsewhere what is active on the backend, report what was lost."""
        return await self.promote(request)


@workflow.defn(name=names.FAILBACK_BACKEND, failure_exception_types=[ValidationError])
class FailbackBackend(_Promotions):
    """Promote back what failovers have moved off a backend."""

    kind = names.FAILBACK_BACKEND
    word = "failback"
    phase = "failing-back"

    @workflow.run
    async def run(self, request: FailbackBackendInput) -> FailoverResult:
        """Promote back to the backend what failovers have moved off it."""
        return await self.promote(request)
