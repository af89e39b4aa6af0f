"""What an operator sees of a failover: how many shares were promoted and at what loss, and which cannot be."""

from __future__ import annotations

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from shareflow.contracts.failover import MOST_LISTED
    from shareflow.contracts.failover_steps import (
        Failover,
        FailoverReport,
        FailoverStatus,
        LossSum,
        NotPromoted,
        PromotionView,
        ShareLoss,
    )
    from shareflow.contracts.fan_out import NamedShare, RunningShare
    from shareflow.contracts.units import format_duration

REASONS_SHOWN = 20


class FailoverLog:
    """The figures of one failover or failback."""

    def __init__(self, failover: Failover, operation: str) -> None:
        self.left = self._waiting = 0
        self._refused: set[str] = set()
        self._failover, self._operation = failover, operation
        self._promoted = self._failed = 0
        self._loss = LossSum()
        self._not_promoted: dict[str, NotPromoted] = {}
        self._running: dict[str, NamedShare] = {}
        self._seen: dict[str, PromotionView] = {}

    def take_up(self, report: FailoverReport) -> None:
        """What an earlier run has done, and which shares cannot be promoted."""
        self._promoted, self._failed = report.promoted, report.failed
        self._loss = LossSum(**report.figures())
        self._not_promoted = {one.share_id: one for one in report.not_promoted}

    def waits(self, number: int) -> None:
        """So many shares have had no promotion; those that were refused one have none to come."""
        self._waiting = max(number - len(self._refused), 0)

    def began(self, share: NamedShare) -> None:
        """A share is on its way."""
        self._running[share.id] = share
        self._waiting = max(self._waiting - 1, 0)

    def seen(self, child: PromotionView) -> None:
        """How a promotion fares."""
        if child.share.id in self._running:
            self._seen[child.share.id] = child

    def ended(
        self, share: NamedShare, *, loss: ShareLoss | None = None, failure: str = "", next_step: str = ""
    ) -> None:
        """A promotion is over: with what it lost, or why it failed; or it never began."""
        if self._running.pop(share.id, None) is None and failure and share.id not in self._refused:
            self._refused.add(share.id)
            self._waiting = max(self._waiting - 1, 0)
        self._seen.pop(share.id, None)
        if loss is not None:
            self._promoted += 1
            self.left = max(self.left - 1, 0)
            self._loss = self._loss.plus(loss.loss_seconds, loss.loss_bytes, loss.loss_rate)
        if failure and share.id not in self._not_promoted:
            self._failed += 1
            if len(self._not_promoted) < MOST_LISTED:
                self._not_promoted[share.id] = NotPromoted(
                    share_id=share.id, name=share.name, project=share.project, reason=failure[:300],
                    next_step=next_step, operation="" if next_step else f"{self._operation}/{share.id}",
                )  # fmt: skip

    def summary(self) -> str:
        """One line."""
        where = f"still away from {self._failover.backend}" if self._failover.back else f"on {self._failover.backend}"
        return (
            f"{self._promoted} shares promoted, {self._failed} not, {len(self._running)} on their way, "
            f"{self._waiting} waiting, {self.left} {where}"
        )

    def status(self) -> FailoverStatus:
        """The figures as of now."""
        return FailoverStatus(
            backend=self._failover.backend,
            back=self._failover.back,
            promoted=self._promoted,
            failed=self._failed,
            running=[self._shown(share) for share in self._running.values()],
            waiting=self._waiting,
            left=self.left,
            not_promoted=list(self._not_promoted.values()),
            **{**self._loss.figures(), "loss_seconds": round(self._loss.loss_seconds, 3)},
        )

    def _shown(self, share: NamedShare) -> RunningShare:
        seen = self._seen.get(share.id)
        return RunningShare(
            share_id=share.id, name=share.name, project=share.project, operation=f"{self._operation}/{share.id}",
            trouble="" if seen is None else seen.trouble,
        )  # fmt: skip

    def lines(self) -> list[str]:
        """The figures in Markdown."""
        shown = [self.summary()]
        if self._failover.lost:
            longest = format_duration(round(self._loss.loss_seconds))
            shown.append(f"Lost: changes of up to {longest} of a share: {self._loss.bytes_in_words() or '0 B'}")
        running = self.status().running
        shown += [f"{one.project}/{one.name}: {one.trouble}" for one in running if one.trouble]
        listed = list(self._not_promoted.values())
        shown += [f"{one.project}/{one.name} is not promoted: {one.reason}" for one in listed[:REASONS_SHOWN]]
        if self._failed > REASONS_SHOWN:
            shown.append(f"and {self._failed - REASONS_SHOWN} more; the status query lists them")
        return shown
