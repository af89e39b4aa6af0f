"""What the steps of a failover of a backend, and of a failback, tell each other, and what people see of one."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from shareflow.contracts.base import StrictModel
from shareflow.contracts.fan_out import ChildState, FanOutMemory, FollowFanOut, NamedShare, RunningShare
from shareflow.contracts.units import format_size


def bytes_lost(measured: int | None, rate: int | None) -> str:
    """How many bytes of a share are lost, in words: as measured, or that nobody knows and what changed before."""
    if measured is not None:
        return format_size(measured)
    before = "" if rate is None else f", before it was {format_size(rate)} a second"
    return f"an unknown number of bytes{before}"


class ShareLoss(StrictModel):
    """A share that was promoted, and what that lost.

    Attributes:
        to: ``backend/pool`` of what is active now.
        loss_seconds: age of what was promoted; 0 when nothing was lost.
        loss_bytes: so many bytes were missing in that replica when a round measured it last; None when no round has
            since it had everything: then nobody knows.
        loss_rate: bytes a second that clients had changed before its last good round; None when no round could tell.
        lost_snapshots: names of snapshots that the replica did not have whole.
        operation: its promotion.
    """

    share_id: str
    name: str
    project: str
    to: str
    loss_seconds: float
    loss_bytes: int | None
    loss_rate: int | None = None
    lost_snapshots: list[str] = []
    operation: str


class NotPromoted(StrictModel):
    """A share that stays where it is: why, what to do about it, and its promotion, if it had one."""

    share_id: str
    name: str
    project: str
    reason: str
    next_step: str = ""
    operation: str = ""


class PromotableShare(NamedShare):
    """A share whose turn comes.

    Attributes:
        replica: id of the instance that is promoted.
        to: its ``backend/pool``.
        loss_seconds, loss_bytes, loss_rate: as in :class:`ShareLoss`, as of when the failover was asked for.
        refusal, next_step: why it is not promoted, and what to do about it; empty when it is.
    """

    replica: str
    to: str
    loss_seconds: float = 0.0
    loss_bytes: int | None = 0
    loss_rate: int | None = None
    refusal: str = ""
    next_step: str = ""


class LossSum(StrictModel):
    """What the promotions of several shares lose.

    Attributes:
        loss_seconds: the greatest loss of one share.
        loss_bytes: of all shares of which it was measured.
        loss_unknown: so many shares lose changes that nobody has measured.
        loss_rate: bytes a second that clients had changed before in all of these together, as far as that is known.
    """

    loss_seconds: float = 0.0
    loss_bytes: int = 0
    loss_unknown: int = 0
    loss_rate: int = 0

    def plus(self, seconds: float, measured: int | None, rate: int | None) -> LossSum:
        """This, and the loss of one more share."""
        unknown = measured is None
        return LossSum(
            loss_seconds=max(self.loss_seconds, seconds),
            loss_bytes=self.loss_bytes + (measured or 0),
            loss_unknown=self.loss_unknown + unknown,
            loss_rate=self.loss_rate + (rate or 0 if unknown else 0),
        )

    def figures(self) -> dict[str, Any]:
        """The sums alone, by name."""
        return {name: getattr(self, name) for name in LossSum.model_fields}

    def bytes_in_words(self) -> str:
        """How many bytes that is: what was measured, and of how many shares nobody knows."""
        unknown = ""
        if self.loss_unknown:
            unknown = f"an unknown number of bytes of {self.loss_unknown} share{'s' if self.loss_unknown > 1 else ''}"
            unknown += f", before it was {format_size(self.loss_rate)} a second" if self.loss_rate else ""
        return " and ".join(part for part in (format_size(self.loss_bytes) if self.loss_bytes else "", unknown) if part)


class Failover(StrictModel):
    """A failover or a failback as it was begun; part of ``Begun``.

    Attributes:
        pools: ids of the backend's pools.
        asked_at: when; what was lost is counted from then.
        back: shares go back to the backend.
        failovers: of a failback: the failovers whose shares go back.
        lost: the backend is declared lost.
        tolerated_only: no share is promoted that would lose more than its type tolerates.
    """

    backend: str
    pools: list[str]
    asked_at: datetime
    back: bool = False
    failovers: list[str] = []
    lost: bool = False
    tolerated_only: bool = False
    memory: FanOutMemory = FanOutMemory()


class FollowFailoverInput(FollowFanOut):
    """Keep the memory, and look; the operations of shares are promotions."""

    memory: FanOutMemory


class PromotionView(ChildState):
    """The promotion of one share; ``loss`` when it has succeeded."""

    loss: ShareLoss | None = None


class FailoverReport(LossSum):
    """What has been done; what was lost as in :class:`LossSum`.

    Attributes:
        promoted: shares that were promoted.
        lost_snapshots: so many are lost with them.
        losses: the shares that were promoted, the greatest loss first, at most 1,000.
        without_replica: shares that have no replica elsewhere.
        not_promoted: shares that stay where they are, at most 1,000; all are counted in ``failed``.
    """

    promoted: int = 0
    lost_snapshots: int = 0
    losses: list[ShareLoss] = []
    without_replica: int = 0
    failed: int = 0
    not_promoted: list[NotPromoted] = []


class FailoverFollowed(StrictModel):
    """Answer to a look.

    Attributes:
        shares: the next ones, in their order.
        children: the promotions that were asked for; after ``take_up`` all that are under way.
        left: shares in view that are still to be promoted, or cannot be.
        waiting: those of them whose turn is still to come.
        report: after ``take_up``.
    """

    shares: list[PromotableShare] = []
    children: list[PromotionView] = []
    left: int
    waiting: int = 0
    report: FailoverReport | None = None


class FailoverStatus(LossSum):
    """How a failover fares; part of the answer to the status query. What was lost so far as in :class:`LossSum`.

    Attributes:
        back: it is a failback.
        promoted: shares that it has promoted.
        failed: shares whose promotion failed or was refused; ``not_promoted`` has the first 1,000 of them.
        running: those that are promoted now, each with what it waits for.
        waiting: shares whose turn is still to come.
        left: shares in view that were still there when it last looked, those without a replica included.
    """

    backend: str
    back: bool
    promoted: int
    failed: int
    running: list[RunningShare]
    waiting: int = 0
    left: int
    not_promoted: list[NotPromoted]
