"""What an operator sees of an evacuation: how many shares have left, which move now, and which cannot."""

from __future__ import annotations

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from shareflow.contracts.evacuation import MOST_LISTED
    from shareflow.contracts.evacuation_steps import (
        ChildView,
        EvacuationReport,
        EvacuationStatus,
        LeavingShare,
        NotMoved,
    )
    from shareflow.contracts.fan_out import RunningShare
    from shareflow.contracts.units import format_size

REASONS_SHOWN = 20


class EvacuationLog:
    """The figures of one evacuation."""

    def __init__(self, source: str, operation: str) -> None:
        self.bandwidth: int | None = None
        self.left = self.waiting = 0
        self._source, self._operation = source, operation
        self._moved = self._failed = self._bytes_moved = 0
        self._not_moved: list[NotMoved] = []
        self._moving: dict[str, LeavingShare] = {}
        self._seen: dict[str, ChildView] = {}

    def take_up(self, report: EvacuationReport) -> None:
        """What an earlier run has done."""
        self._moved, self._bytes_moved = report.moved, report.bytes_moved
        self._not_moved, self._failed = report.not_moved, len(report.not_moved)

    def began(self, share: LeavingShare) -> None:
        """A share is on its way."""
        self._moving[share.id] = share
        self.waiting = max(self.waiting - 1, 0)

    def seen(self, child: ChildView) -> None:
        """How a migration fares."""
        if child.share.id in self._moving:
            self._seen[child.share.id] = child

    def ended(self, share: LeavingShare, *, moved: bool = False, bytes_moved: int = 0, failure: str = "") -> None:
        """A migration is over: it moved its share, or it failed, or there was nothing to do."""
        self._moving.pop(share.id, None)
        self._seen.pop(share.id, None)
        self._bytes_moved += bytes_moved
        if moved:
            self._moved += 1
            self.left = max(self.left - 1, 0)
        if failure:
            self._failed += 1
            told = NotMoved(
                share_id=share.share or share.id, name=share.name, project=share.project, reason=failure[:300],
                operation=f"{self._operation}/{share.id}", replica=share.id if share.share else "",
            )  # fmt: skip
            self._not_moved = [*self._not_moved, told][:MOST_LISTED]

    def summary(self) -> str:
        """One line."""
        return (
            f"{self._moved} shares moved, {self._failed} not, {len(self._moving)} on their way, "
            f"{self.waiting} waiting, {self.left} still on {self._source}"
        )

    def status(self) -> EvacuationStatus:
        """The figures as of now."""
        under_way = sum(child.bytes_moved for child in self._seen.values())
        return EvacuationStatus(
            source=self._source,
            moved=self._moved,
            failed=self._failed,
            running=[self._shown(share) for share in self._moving.values()],
            waiting=self.waiting,
            left=self.left,
            bytes_moved=self._bytes_moved + under_way,
            bandwidth=self.bandwidth,
            not_moved=self._not_moved,
        )

    def _shown(self, share: LeavingShare) -> RunningShare:
        seen = self._seen.get(share.id)
        return RunningShare(
            share_id=share.share or share.id, name=share.name, project=share.project,
            operation=f"{self._operation}/{share.id}",
            trouble="" if seen is None else seen.trouble,
        )  # fmt: skip

    def lines(self) -> list[str]:
        """The figures in Markdown."""
        status = self.status()
        shown = [f"{self.summary()}; {format_size(status.bytes_moved)} moved"]
        if self.bandwidth is not None:
            shown.append(f"Limited to {format_size(self.bandwidth)}/s in all")
        shown += [f"{one.project}/{one.name} needs an operator: {one.trouble}" for one in status.running if one.trouble]
        shown += [f"{one.project}/{one.name} was not moved: {one.reason}" for one in self._not_moved[:REASONS_SHOWN]]
        if self._failed > REASONS_SHOWN:
            shown.append(f"and {self._failed - REASONS_SHOWN} more; the status query lists them")
        return shown
