"""What an operator sees of a migration: passes, lag, how long writers would be stopped, and what happens next."""

from __future__ import annotations

from datetime import datetime

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from shareflow.contracts.migration_steps import Migration, MigrationStatus, PassView
    from shareflow.contracts.units import format_duration, format_size

PASSES_SHOWN = 20
SWITCH_SECONDS = 1.0
"""What a cutover takes beside its last pass: fence, comparison of a sample, switch."""


class MigrationLog:
    """The figures of one migration. They are of this run of its workflow; the sums go on from the memory."""

    def __init__(self, source: str, destination: str, migration: Migration) -> None:
        self._source, self.destination = source, destination
        self.mode = migration.mode
        self.bandwidth = migration.memory.bandwidth
        self.bytes_moved = migration.memory.bytes_moved
        self.cutover = ""
        self.is_over = False
        self.stopped_seconds = migration.memory.stopped_seconds
        self.kept_until: datetime | None = None
        self._passes: list[PassView] = []
        self._as_of: datetime | None = None

    def passed(self, number: int, began: datetime, moved: int) -> None:
        """A pass has ended; the destination has what the source had when it began."""
        seconds = (workflow.now() - began).total_seconds()
        self._passes = [*self._passes, PassView(number=number, bytes_moved=moved, seconds=seconds)][-PASSES_SHOWN:]
        self.bytes_moved += moved
        self._as_of = began

    @property
    def last_pass(self) -> PassView | None:
        """The last one that has ended."""
        return self._passes[-1] if self._passes else None

    def _lag(self) -> tuple[float, int] | None:
        last = self.last_pass
        if last is None or self._as_of is None or self.is_over:
            return None
        age = (workflow.now() - self._as_of).total_seconds()
        # What changes in a time is taken to be what the last delta moved in the time since the pass before it.
        delta = last.bytes_moved if len(self._passes) > 1 else 0
        return age, int(delta * age / max(last.seconds + 1, 1))

    def status(self) -> MigrationStatus:
        """The figures as of now."""
        lag, last = self._lag(), self.last_pass
        return MigrationStatus(
            mode=self.mode,
            source=self._source,
            destination=self.destination,
            passes=self._passes,
            bytes_moved=self.bytes_moved,
            bandwidth=self.bandwidth,
            lag_seconds=None if lag is None else round(lag[0], 1),
            lag_bytes=None if lag is None else lag[1],
            window_seconds=None if last is None or self.is_over else round(self._window(last), 1),
            cutover="" if self.is_over else self.cutover,
        )

    def _window(self, last: PassView) -> float:
        # After the first copy nothing tells yet how much changes: a delta is taken to be a tenth of it.
        return SWITCH_SECONDS + (last.seconds if len(self._passes) > 1 else last.seconds / 10)

    def lines(self) -> list[str]:
        """The figures in Markdown; with times of day, because they are not shown anew as time goes by."""
        shown = [f"{self.mode}-assisted from {self._source} to {self.destination}"]
        last = self.last_pass
        if self.is_over:
            shown.append(f"{format_size(self.bytes_moved)} were moved")
            if self.stopped_seconds:
                shown.append(f"Writers were stopped for {self.stopped_seconds:.1f} s")
            if self.kept_until is not None:
                shown.append(f"The old copy on {self._source} is kept until {self.kept_until:%Y-%m-%d %H:%M:%S} UTC")
            return shown
        if last is not None and self._as_of is not None:
            shown.append(
                f"Pass {last.number} moved {format_size(last.bytes_moved)} in {last.seconds:.1f} s, "
                f"{format_size(self.bytes_moved)} in all; the destination is as of {self._as_of:%Y-%m-%d %H:%M:%S} UTC"
            )
            shown.append(f"A cutover now would stop writers for about {format_duration(max(self._window(last), 1))}")
        if self.bandwidth is not None:
            shown.append(f"Limited to {format_size(self.bandwidth)}/s")
        if self.cutover:
            shown.append(self.cutover)
        return shown
