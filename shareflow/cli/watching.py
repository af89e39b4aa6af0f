"""``shareflow op watch``: every step as it happens."""

from __future__ import annotations

import contextlib
from typing import Any

from shareflow.cli.common import Cli
from shareflow.cli.output import moment, print_json, print_line
from shareflow.cli.results import show_result
from shareflow.cli.waiting import going_on
from shareflow.contracts.operations import OperationResult
from shareflow.contracts.steps import OperationStatus, StepView
from shareflow.operation import Operation

_MARKS = {"done": "done   ", "running": "running", "waiting": "waiting"}


async def watch(cli: Cli, operation: Operation[Any]) -> None:
    """Print what changes, as lines or as one JSON object a line; ends with the operation and raises what it raises."""
    printer = _Printer()
    with going_on(operation):
        async with contextlib.aclosing(operation.progress()) as statuses:
            async for status in statuses:
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

    def show(self, status: OperationStatus) -> None:
        for step in status.steps:
            if step not in self._steps:
                detail = f": {step.detail}" if step.detail else ""
                print_line(f"{_MARKS.get(step.state, step.state)}  {step.name}{detail}")
        if status.phase not in (self._phase, "running", "ended"):
            self._show_phase(status)
        if status.note and status.note != self._note:
            print_line(f"note     {status.note}")
        self._steps, self._phase, self._note = status.steps, status.phase, status.note

    def _show_phase(self, status: OperationStatus) -> None:
        until = f" until {moment(status.purge_at)}" if status.purge_at else ""
        waits = f": {status.waiting_for}" if status.waiting_for else ""
        print_line(f"{status.phase}{until}{waits}", style="yellow")
        for name in status.commands:
            print_line(f"         can be sent now: shareflow op {name.replace('_', '-')} {status.operation}")
