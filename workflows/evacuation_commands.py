"""What can be sent to a running evacuation. Handlers only remember; the main loop carries out."""

from __future__ import annotations

from dataclasses import dataclass

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from shareflow import names
    from shareflow.contracts.evacuation import EvacuateBackendInput, EvacuatePoolInput
    from shareflow.contracts.evacuation_steps import EvacuationMemory, LeavingShare
    from shareflow.contracts.migration import CutoverInput, SetBandwidthInput
    from shareflow.contracts.units import format_size
    from workflows.fan_out import Child, FanOut
    from workflows.migration_commands import refused


@dataclass
class Moving(Child):
    """The migration of one share.

    Attributes:
        limit, paused: as it was told last.
    """

    share: LeavingShare
    limit: int | None = None
    paused: bool = False


class EvacuationCommands(FanOut[EvacuatePoolInput | EvacuateBackendInput, Moving, EvacuationMemory]):
    """The commands of an evacuation and what they leave to its main loop."""

    word = "evacuation"
    pausing = "pausing: no more shares begin to move, those that are copied stand still"

    def __init__(self) -> None:
        super().__init__()
        self._memory = EvacuationMemory()
        self._cutover: CutoverInput | None = None

    @workflow.update(name=names.CUTOVER, description=names.COMMANDS_TO_MANY[names.CUTOVER])
    def cutover(self, command: CutoverInput | None = None) -> str:
        """Cut over every share that follows its source by now; the others when it is sent again."""
        self._ask_cutover(command)
        return "cutting over the shares whose first copy is there"

    @cutover.validator
    def _cutover_allowed(self, command: CutoverInput | None = None) -> None:
        self._require(names.CUTOVER)
        if self._is_paused:
            raise refused(names.CUTOVER, "the evacuation is paused", hint="send resume first")

    @workflow.signal(name=names.CUTOVER, description=names.COMMANDS_TO_MANY[names.CUTOVER])
    def cutover_signal(self, command: CutoverInput | None = None) -> None:
        """Signal twin of the update."""
        if self.allows(self._cutover_allowed):
            self._ask_cutover(command)

    @workflow.update(name=names.SET_BANDWIDTH, description=names.COMMANDS_TO_MANY[names.SET_BANDWIDTH])
    def set_bandwidth(self, command: SetBandwidthInput) -> str:
        """Change the limit of all copies together."""
        self._remember(bandwidth=command.bandwidth)
        return "no limit" if command.bandwidth is None else f"{format_size(command.bandwidth)}/s in all"

    @set_bandwidth.validator
    def _set_bandwidth_allowed(self, command: SetBandwidthInput) -> None:
        self._require(names.SET_BANDWIDTH)

    @workflow.signal(name=names.SET_BANDWIDTH, description=names.COMMANDS_TO_MANY[names.SET_BANDWIDTH])
    def set_bandwidth_signal(self, command: SetBandwidthInput) -> None:
        """Signal twin of the update."""
        if not self.cancel_requested:
            self._remember(bandwidth=command.bandwidth)

    def _ask_cutover(self, command: CutoverInput | None) -> None:
        self._cutover = command or CutoverInput()
        self._changed = True
