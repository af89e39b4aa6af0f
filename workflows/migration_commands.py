"""What can be sent to a running migration. Handlers only remember; the main loop carries out."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from datetime import datetime
from typing import Any

from temporalio import workflow
from temporalio.exceptions import FailureError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from shareflow import names
    from shareflow.contracts.migration import CutoverInput, CutoverWhen, MigrationOptions, SetBandwidthInput
    from shareflow.contracts.operations import CommandInput, InstanceLost
    from shareflow.contracts.steps import Failure
    from shareflow.contracts.units import format_size
    from workflows.conduct import Operation, as_error, failure_of
    from workflows.copy_passes import CopyPasses

FIRST_COPY, CATCHING_UP, PAUSED = "copying", "catching-up", "paused"
CUTTING_OVER, SWITCHED, GRACE = "cutting-over", "switched", "grace"
BEFORE_CUTOVER = ("", FIRST_COPY, CATCHING_UP, PAUSED)
"""Phases in which commands are taken; the first one is before there is anything to copy."""


def refused(name: str, why: str, hint: str = "look at the operation's status") -> Exception:
    """A command that cannot be carried out now."""
    return as_error(Failure(type="CommandRefused", message=f"{name} is refused: {why}", hint=hint))


def _window(options: MigrationOptions) -> str:
    since, until = options.window_from, options.window_until
    if until is not None and workflow.now() > until:
        return f"the window for the cutover ended at {until}; send cutover"
    return f"cutover between {since} and {until}"


class MigrationCommands(Operation):
    """The commands of a migration and what they leave to its main loop."""

    def __init__(self) -> None:
        super().__init__()
        self._copy: CopyPasses | None = None
        self._options: MigrationOptions | None = None
        self._phase = ""
        self._running: asyncio.Task[Any] | None = None
        self._changed = False
        self._not_before: datetime | None = None
        self._end_grace = False
        self._early: dict[str, Any] = {}
        self._interrupted = False

    # -- commands ----------------------------------------------------------------------------------------------------

    @workflow.update(name=names.CUTOVER, description=names.COMMANDS[names.CUTOVER])
    def cutover(self, command: CutoverInput | None = None) -> str:
        """Cut over as soon as that can be; before the first copy has ended it is remembered."""
        copied = self._ask_cutover(command)
        return "cutting over" if copied else "remembered: the first copy has not ended yet, the cutover follows it"

    @cutover.validator
    def _cutover_allowed(self, command: CutoverInput | None = None) -> None:
        self._require(names.CUTOVER, *BEFORE_CUTOVER)
        if self._remembered("cutover"):
            raise refused(names.CUTOVER, "it was commanded already and follows the copy")
        if self._remembered("paused"):
            raise refused(names.CUTOVER, "the copy is paused", hint="send resume first")

    @workflow.signal(name=names.CUTOVER, description=names.COMMANDS[names.CUTOVER])
    def cutover_signal(self, command: CutoverInput | None = None) -> None:
        """Signal twin of the update."""
        if self.allows(self._cutover_allowed):
            self._ask_cutover(command)

    @workflow.update(name=names.CANCEL_MIGRATION, description=names.COMMANDS[names.CANCEL_MIGRATION])
    def cancel_migration(self, command: CommandInput | None = None) -> str:
        """Take everything back."""
        self.give_up()
        return "cancelling: the share stays where it is"

    @cancel_migration.validator
    def _cancel_allowed(self, command: CommandInput | None = None) -> None:
        if self.is_past_return:
            raise refused(names.CANCEL_MIGRATION, "the share is switched to its destination")
        if self.is_undoing or self.log.phase == "ended":
            raise refused(names.CANCEL_MIGRATION, f"the migration is {self.log.phase}")

    @workflow.signal(name=names.CANCEL_MIGRATION, description=names.COMMANDS[names.CANCEL_MIGRATION])
    def cancel_migration_signal(self, command: CommandInput | None = None) -> None:
        """Signal twin of the update."""
        if self.allows(self._cancel_allowed):
            self.give_up()

    @workflow.update(name=names.PAUSE, description=names.COMMANDS[names.PAUSE])
    def pause(self, command: CommandInput | None = None) -> str:
        """Stop copying; what was copied stays."""
        self._pause()
        return "paused"

    @pause.validator
    def _pause_allowed(self, command: CommandInput | None = None) -> None:
        self._require(names.PAUSE, "", FIRST_COPY, CATCHING_UP)

    @workflow.signal(name=names.PAUSE, description=names.COMMANDS[names.PAUSE])
    def pause_signal(self, command: CommandInput | None = None) -> None:
        """Signal twin of the update."""
        if self.allows(self._pause_allowed):
            self._pause()

    @workflow.update(name=names.RESUME, description=names.COMMANDS[names.RESUME])
    def resume_copy(self, command: CommandInput | None = None) -> str:
        """Go on copying."""
        self._remember(paused=False)
        return "copying"

    @resume_copy.validator
    def _resume_allowed(self, command: CommandInput | None = None) -> None:
        if not self._remembered("paused"):
            raise refused(names.RESUME, "the copy is not paused")
        self._require(names.RESUME, *BEFORE_CUTOVER)

    @workflow.signal(name=names.RESUME, description=names.COMMANDS[names.RESUME])
    def resume_signal(self, command: CommandInput | None = None) -> None:
        """Signal twin of the update."""
        if self.allows(self._resume_allowed):
            self._remember(paused=False)

    @workflow.update(name=names.SET_BANDWIDTH, description=names.COMMANDS[names.SET_BANDWIDTH])
    async def set_bandwidth(self, command: SetBandwidthInput) -> str:
        """Change the limit of the copy, while it runs."""
        return await self._limit(command)

    @set_bandwidth.validator
    def _set_bandwidth_allowed(self, command: SetBandwidthInput) -> None:
        self._require(names.SET_BANDWIDTH, *BEFORE_CUTOVER)

    @workflow.signal(name=names.SET_BANDWIDTH, description=names.COMMANDS[names.SET_BANDWIDTH])
    async def set_bandwidth_signal(self, command: SetBandwidthInput) -> None:
        """Signal twin of the update."""
        if self._phase in BEFORE_CUTOVER and not self.cancel_requested:
            try:
                await self._limit(command)
            except FailureError as error:  # raised from here it would end the workflow
                self.log.note = f"the limit counts from the next pass on: {failure_of(error).message}"
                self.log.show()

    @workflow.signal(name=names.INSTANCE_LOST, description="Sent by promotions: the active instance is lost, end.")
    def instance_lost(self, command: InstanceLost) -> None:
        """See base class. Past the switch its grace is over."""
        self._end_grace = True
        super().instance_lost(command)

    @workflow.update(name=names.END_GRACE, description=names.COMMANDS[names.END_GRACE])
    def end_grace(self, command: CommandInput | None = None) -> str:
        """Delete the old copy now."""
        self._end_grace = True
        return "deleting the old copy"

    @end_grace.validator
    def _end_grace_allowed(self, command: CommandInput | None = None) -> None:
        self._require(names.END_GRACE, SWITCHED, GRACE)

    @workflow.signal(name=names.END_GRACE, description=names.COMMANDS[names.END_GRACE])
    def end_grace_signal(self, command: CommandInput | None = None) -> None:
        """Signal twin of the update; one that comes early is remembered."""
        self._end_grace = True

    def _require(self, name: str, *phases: str) -> None:
        if self.is_undoing or (self.cancel_requested and not self.is_past_return):
            raise refused(name, "the migration is being cancelled")
        if self.log.phase == "ended" or self._phase not in phases:
            switched = self._phase in (SWITCHED, GRACE) and self.log.phase != "ended"
            at = f"the migration is at: {self._phase or self.log.step}"
            raise refused(name, "the share is switched to its destination already" if switched else at)

    def _remember(self, **changes: Any) -> None:
        if self._copy is None:
            self._early |= changes
        else:
            self._copy.remember(**changes)
        self._changed = True

    def _remembered(self, what: str) -> bool:
        return bool(self._early.get(what) if self._copy is None else getattr(self._copy.memory, what))

    def _ask_cutover(self, command: CutoverInput | None) -> bool:
        ignore = bool(command and command.ignore_open_files)
        self._remember(cutover=True, ignore_open_files=ignore)
        self._not_before = None
        self._say_what_comes()
        return self._copy is not None and self._copy.memory.copied

    def _pause(self) -> None:
        self._remember(paused=True)
        if self._running is not None:
            self._interrupted = True
            self._running.cancel()

    async def interruptible(self, work: Coroutine[Any, Any, int]) -> int | None:
        """The work's result, or None when a pause stopped it."""
        task: asyncio.Task[int] = asyncio.create_task(work)
        self._running, self._interrupted = task, False
        try:
            return await task
        except (FailureError, asyncio.CancelledError) as error:
            if self.cancel_requested or not self._interrupted or not is_cancelled_exception(error):
                raise
            self.log.stopped()
            return None
        finally:
            self._running = None

    async def _limit(self, command: SetBandwidthInput) -> str:
        self._remember(bandwidth=command.bandwidth)
        if self.log.migration is not None:
            self.log.migration.bandwidth = command.bandwidth
        running = self._copy.current if self._copy is not None else None
        if self._copy is not None and running is not None:
            limited = running.model_copy(update={"bandwidth": command.bandwidth})
            await self.run_beside(names.MOVER_SET_BANDWIDTH, limited, names.backend_queue(running.target.backend))
        self.log.show()
        return "no limit" if command.bandwidth is None else f"{format_size(command.bandwidth)}/s"

    def _say_what_comes(self) -> None:
        copy, options, shown = self._copy, self._options, self.log.migration
        if copy is None or options is None or shown is None:
            return
        if copy.memory.cutover:
            shown.cutover = "cutover was commanded" + ("" if copy.memory.copied else " and follows the first copy")
        else:
            shown.cutover = {
                CutoverWhen.MANUAL: "cutover on command",
                CutoverWhen.LAG_BELOW: f"cutover once a pass moves at most {format_size(options.lag_below or 0)}",
                CutoverWhen.WINDOW: _window(options),
                CutoverWhen.IMMEDIATELY: "cutover as soon as the first copy is there",
            }[options.cutover_when]
