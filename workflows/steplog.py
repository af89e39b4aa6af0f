"""What an operator sees of an operation: its steps, what it waits for, and the commands that can be sent now."""

from __future__ import annotations

from datetime import datetime

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from shareflow import names
    from shareflow.contracts.operations import OperationState
    from shareflow.contracts.steps import JobProgress, OperationStatus, StepView
    from shareflow.contracts.units import format_duration, format_size
    from workflows.evacuation_log import EvacuationLog
    from workflows.failover_log import FailoverLog
    from workflows.migration_log import MigrationLog

STEPS_SHOWN = 40
REPEATED = ("pass ", "drop an older state ")
"""Steps of one pass of a migration; the next pass takes their place, and the figures say what they moved."""
MARKS = {"done": "[x]", "running": "[>]", "waiting": "[~]", "failed": "[!]"}


class StepLog:
    """The steps of one operation. Every change renews the details that the Web UI shows."""

    def __init__(self, operation: str, kind: str) -> None:
        self.operation = operation
        self.kind = kind
        self.share_id = ""
        self.placement = ""
        self.steps: list[StepView] = []
        self.waiting_for = ""
        self.commands: list[str] = []
        self.note = ""
        self.needs_operator = ""
        self.reason = ""
        self.purge_at: datetime | None = None
        self.slept = 0
        self.migration: MigrationLog | None = None
        self.evacuation: EvacuationLog | None = None
        self.failover: FailoverLog | None = None
        self._phase = "running"

    @property
    def step(self) -> str:
        """The step it is in, or the last one."""
        return self.steps[-1].name if self.steps else "starting"

    @property
    def phase(self) -> str:
        """running, waiting, recycle-bin, undoing, needs-operator or ended."""
        if self._phase == "ended":
            return "ended"
        if self.needs_operator:
            return "needs-operator"
        if self._phase == "running" and self.waiting_for:
            return "waiting"
        return self._phase

    def start(self, name: str) -> None:
        """A step begins."""
        self.waiting_for = ""
        if name.startswith("pass "):
            self.steps = [step for step in self.steps if not step.name.startswith(REPEATED)]
        self.steps.append(StepView(name=name, state="running"))
        del self.steps[:-STEPS_SHOWN]
        self.show()

    def done(self) -> None:
        """The step is over."""
        self.waiting_for = ""
        if self.steps:
            self.steps[-1] = self.steps[-1].model_copy(update={"state": "done", "detail": ""})
        self.show()

    def failed(self, reason: str) -> None:
        """The step came to nothing."""
        self.waiting_for = ""
        if self.steps and self.steps[-1].state != "done":
            self.steps[-1] = self.steps[-1].model_copy(update={"state": "failed", "detail": reason})
        self.show()

    def stopped(self) -> None:
        """The step was stopped by a pause."""
        if self.steps:
            self.steps[-1] = self.steps[-1].model_copy(update={"state": "waiting", "detail": "paused"})
        self.show()

    def wait(self, what: str) -> None:
        """The step waits for something; empty when it does no longer."""
        self.waiting_for = what
        if self.steps and (what or self.steps[-1].state == "waiting"):
            state = "waiting" if what else "running"
            self.steps[-1] = self.steps[-1].model_copy(update={"state": state, "detail": what})
        self.show()

    def progress(self, progress: JobProgress) -> None:
        """How far the current step is, which has begun anew if it waited; comes too late when the step is over."""
        if self.waiting_for and self.steps and self.steps[-1].state == "waiting":
            self.wait("")
        if self.steps and self.steps[-1].state == "running":
            self.steps[-1] = self.steps[-1].model_copy(update={"detail": _how_far(progress)})
            self.show()

    def enter(self, phase: str, commands: list[str], purge_at: datetime | None = None) -> None:
        """A phase with commands of its own."""
        self._phase, self.commands, self.purge_at = phase, commands, purge_at
        self.show()

    def undoing(self, reason: str) -> None:
        """Everything is being taken back."""
        self._phase, self.reason, self.commands = "undoing", reason, []
        self.failed(reason)

    def end(self, state: OperationState) -> None:
        """The operation is over."""
        self._phase, self.commands, self.waiting_for = "ended", [], ""
        self.steps.append(StepView(name=state.value, state="done"))
        self.show()

    def status(self) -> OperationStatus:
        """The answer to the status query."""
        return OperationStatus(
            operation=self.operation,
            kind=self.kind,
            phase=self.phase,
            step=self.step,
            steps=self.steps,
            waiting_for=self.waiting_for,
            commands=self.commands_now(),
            note=self.note or self.needs_operator,
            share_id=self.share_id,
            purge_at=self.purge_at,
            migration=None if self.migration is None else self.migration.status(),
            evacuation=None if self.evacuation is None else self.evacuation.status(),
            failover=None if self.failover is None else self.failover.status(),
        )

    def commands_now(self) -> list[str]:
        """The commands that can be sent now."""
        retries = (self.waiting_for or self.needs_operator) and self.phase != "ended"
        return [*self.commands, *([names.RETRY_NOW] if retries else [])]

    def _command_line(self, name: str) -> str:
        line = f"--workflow-id '{self.operation}' --name {name} --input '{names.COMMAND_INPUTS[name]}'"
        # As code in a paragraph of its own: the Web UI changes no quote and no dash, and breaks the line where it ends.
        many = self.evacuation is not None or self.failover is not None
        told = names.COMMANDS_TO_MANY if many and name in names.COMMANDS_TO_MANY else names.COMMANDS
        return f"{told[name]}\n\n`temporal workflow update execute {_plain(line)}`"

    def show(self) -> None:
        """Renew the details in the Web UI."""
        workflow.set_current_details(self.markdown())

    def markdown(self) -> str:
        """The details as Markdown."""
        lines = [f"**{self.kind}**: {self.phase}" + (f", share `{self.share_id}`" if self.share_id else "")]
        if self.reason:
            lines.append(f"Undoing because: {_plain(self.reason)}")
        if self.needs_operator:
            lines.append(f"**Needs an operator.** {_plain(self.needs_operator)}")
        if self.purge_at is not None:
            lines.append(f"Purge at {self.purge_at:%Y-%m-%d %H:%M:%S} UTC")
        if self.placement:
            lines.append(f"Placement: {_plain(self.placement)}")
        if self.migration is not None:
            lines += [_plain(line[:1].upper() + line[1:]) for line in self.migration.lines()]
        if self.evacuation is not None:
            lines += [_plain(line) for line in self.evacuation.lines()]
        if self.failover is not None:
            lines += [_plain(line) for line in self.failover.lines()]
        if self.note:
            lines.append(_plain(self.note))
        lines.append(
            "\n".join(
                f"- {MARKS[s.state]} {s.name}" + (f": {_plain(s.detail)}" if s.detail else "") for s in self.steps
            )
        )
        commands = self.commands_now()
        if commands:
            lines.append("Commands that can be sent now:")
            lines += [self._command_line(name) for name in commands]
        return "\n\n".join(lines)[:18_000]


def _how_far(progress: JobProgress) -> str:
    done = format_size(progress.bytes_done)
    if not progress.bytes_total:
        return f"{done}, {progress.files_done} files so far"
    part = min(progress.bytes_done / progress.bytes_total, 1)
    bar = "#" * int(part * 20) + "." * (20 - int(part * 20))
    left = "" if progress.seconds_left is None else f", {format_duration(progress.seconds_left)} left"
    rate = f", {format_size(progress.rate)}/s" if progress.rate else ""
    return f"[{bar}] {part:.0%}, {done} of {format_size(progress.bytes_total)}{rate}{left}"


def _plain(text: str) -> str:
    """Text from outside, without characters that Markdown or HTML would act on."""
    return text.replace("<", "&lt;").replace("`", "'")[:1000]
