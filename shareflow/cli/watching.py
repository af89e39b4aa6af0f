"""``shareflow op watch``: every step as it happens."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

from shareflow.cli.common import Cli
from shareflow.cli.emptying import evacuation_line
from shareflow.cli.figures import pass_line, send_now, stopped_line
from shareflow.cli.output import console, moment, print_json, print_line
from shareflow.cli.promoting import failover_line
from shareflow.cli.results import show_result
from shareflow.cli.waiting import Moving, drawn, going_on
from shareflow.contracts.evacuation_steps import EvacuationStatus, NotMoved
from shareflow.contracts.failover_steps import FailoverStatus, NotPromoted
from shareflow.contracts.fan_out import RunningShare
from shareflow.contracts.migration_steps import MigrationStatus
from shareflow.contracts.operations import OperationResult
from shareflow.contracts.steps import OperationStatus, StepView
from shareflow.contracts.units import format_size
from shareflow.operation import CATCHING_UP, Operation

_MARKS = {"done": "done   ", "running": "running", "waiting": "waiting"}


async def watch(cli: Cli, operation: Operation[Any]) -> None:
    """Print what changes, as lines or as one JSON object a line; ends with the operation and raises what it raises."""
    printer = _Printer()
    moving = Moving(operation.kind)
    screen = None if cli.json else console()  # what is printed there meanwhile stands above the line that moves
    with going_on(operation):
        async with drawn(screen, operation, moving), contextlib.aclosing(operation.progress()) as statuses:
            async for status in statuses:
                moving.status = status
                if cli.json:
                    print_json(status, indent=None)
                else:
                    printer.show(status)
    result: OperationResult = await operation.result()
    if cli.json:
        print_json(result, indent=None)
    else:
        show_result(cli, result)


class _Printer:
    """Prints what a status says that the one before did not."""

    def __init__(self) -> None:
        self._steps: list[StepView] = []
        self._phase = ""
        self._note = ""
        self._passes = 0
        self._next = ""
        self._failed = 0
        self._ended = (0, 0)
        self._troubles: set[str] = set()

    def show(self, status: OperationStatus) -> None:
        for step in status.steps:
            if step not in self._steps and not _is_routine(step, status):
                detail = f": {step.detail}" if step.detail else ""
                print_line(f"{_MARKS.get(step.state, step.state)}  {step.name}{detail}")
        if status.phase not in (self._phase, "running", "ended"):
            self._show_phase(status)
        if status.migration is not None:
            self._show_migration(status.migration)
        if status.evacuation is not None:
            self._show_evacuation(status.evacuation)
        if status.failover is not None:
            self._show_failover(status.failover)
        if status.note and status.note != self._note:
            print_line(f"note     {status.note}")
        self._steps, self._phase, self._note = status.steps, status.phase, status.note

    def _show_phase(self, status: OperationStatus) -> None:
        until = f" until {moment(status.purge_at)}" if status.purge_at else ""
        waits = f": {status.waiting_for}" if status.waiting_for else ""
        print_line(f"{status.phase}{until}{waits}", style="yellow")
        for line in send_now(status):
            print_line(f"         can be sent now: {line}")

    def _show_migration(self, migration: MigrationStatus) -> None:
        for one in migration.passes:
            if one.number > self._passes and (one.bytes_moved or one.number == 1):
                stopped = f"; a cutover now stops writers {stopped_line(migration)}"
                print_line(f"pass     {pass_line(one)}, {format_size(migration.bytes_moved)} in all{stopped}")
        if migration.passes:
            self._passes = migration.passes[-1].number
        if migration.cutover and migration.cutover != self._next:
            print_line(f"next     {migration.cutover}")
        self._next = migration.cutover

    def _show_evacuation(self, evacuation: EvacuationStatus) -> None:
        self._show_shares(evacuation.not_moved, evacuation.running, "moved", "needs an operator")
        if (evacuation.moved, evacuation.failed) != self._ended:
            print_line(f"moved    {evacuation_line(evacuation)}")
        self._ended = (evacuation.moved, evacuation.failed)

    def _show_failover(self, failover: FailoverStatus) -> None:
        self._show_shares(failover.not_promoted, failover.running, "promoted", "held up")
        if (failover.promoted, failover.failed) != self._ended:
            print_line(f"promoted {failover_line(failover)}")
        self._ended = (failover.promoted, failover.failed)

    def _show_shares(
        self, staying: Sequence[NotMoved | NotPromoted], running: Sequence[RunningShare], done: str, trouble: str
    ) -> None:
        """Those that stay, and those that need somebody, each once."""
        for one in staying[self._failed :]:
            print_line(f"not {done} {one.project}/{one.name}: {one.reason}")
        for share in running:
            if share.trouble and share.trouble not in self._troubles:
                print_line(f"{trouble} {share.project}/{share.name}: {share.trouble}", style="bold red")
                self._troubles.add(share.trouble)
        self._failed = len(staying)


def _is_routine(step: StepView, status: OperationStatus) -> bool:
    """One of the many passes after the first copy; what they move is said when they have ended."""
    return status.phase == CATCHING_UP and step.state in ("running", "done")
