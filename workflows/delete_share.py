"""DeleteShare: claim the tree -> cut clients off -> recycle bin -> restore, or (no return) purge -> commit.

In the recycle bin the operation waits for its deadline or a command. Handlers only record commands; the main loop
carries them out one by one, so that exactly one of restore and purge wins.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from pydantic import ValidationError
from temporalio import workflow
from temporalio.exceptions import FailureError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from shareflow import names
    from shareflow.contracts.operations import (
        DeleteShareInput,
        DeleteShareResult,
        ExtendRetentionInput,
        PurgeNowInput,
        RestoreInput,
    )
    from shareflow.contracts.places import BeginStatus, Fence, ObjectPlace
    from shareflow.contracts.replica_steps import LeavingReplica
    from shareflow.contracts.steps import Begun, CommandStep, Failure, PurgeBegun, RetentionResult
    from workflows.conduct import GaveUp, Operation, as_error, epoch_of, failure_of
    from workflows.replica_passes import ReplicaPasses

RECYCLE_BIN = "recycle-bin"
IN_BIN_COMMANDS = [names.RESTORE, names.PURGE_NOW, names.EXTEND_RETENTION]
MOST_DOUBLINGS = 8
LEAVES = "purges-leave-what-they-cannot-reach"


@dataclass
class Command:
    """A command and what came of it."""

    name: str
    step: CommandStep
    extend_by: timedelta = field(default=timedelta(0))
    done: bool = False
    answer: str = ""
    failure: Failure | None = None

    def refuse(self, failure: Failure) -> None:
        """The command cannot be carried out."""
        self.failure, self.done = failure, True

    def finish(self, answer: str) -> None:
        """The command was carried out."""
        self.answer, self.done = answer, True


@workflow.defn(name=names.DELETE_SHARE, failure_exception_types=[ValidationError])
class DeleteShare(Operation):
    """Delete a share with its tree: softly first, for good when its retention ends."""

    kind = names.DELETE_SHARE

    def __init__(self) -> None:
        super().__init__()
        self._pending: list[Command] = []
        self._purge_at: datetime | None = None
        self._decided = ""
        self._active: Command | None = None
        self._exposed: dict[str, LeavingReplica] = {}  # clients may still read these
        self._next_cut = workflow.now()
        self._cuts = 0

    @workflow.run
    async def run(self, request: DeleteShareInput) -> DeleteShareResult:
        """Soft delete, wait, then restore or purge."""
        try:
            result = DeleteShareResult.model_validate(await self.conduct(request, self._recipe(request)))
        finally:
            self._refuse_rest()
            await workflow.wait_condition(workflow.all_handlers_finished)
        return result

    # -- commands ----------------------------------------------------------------------------------------------------

    @workflow.update(name=names.RESTORE, description=names.COMMANDS[names.RESTORE])
    async def restore(self, command: RestoreInput | None = None) -> str:
        """Take the share out of the recycle bin."""
        return await self._carry(self._restore_command(command))

    @workflow.update(name=names.PURGE_NOW, description=names.COMMANDS[names.PURGE_NOW])
    async def purge_now(self, command: PurgeNowInput | None = None) -> str:
        """Delete for good, now."""
        return await self._carry(self._purge_command(command))

    @workflow.update(name=names.EXTEND_RETENTION, description=names.COMMANDS[names.EXTEND_RETENTION])
    async def extend_retention(self, command: ExtendRetentionInput) -> str:
        """Move the purge later."""
        return await self._carry(self._extend_command(command))

    @restore.validator
    def _restore_allowed(self, command: RestoreInput | None = None) -> None:
        self._require_bin(names.RESTORE)

    @purge_now.validator
    def _purge_allowed(self, command: PurgeNowInput | None = None) -> None:
        self._require_bin(names.PURGE_NOW)

    @extend_retention.validator
    def _extend_allowed(self, command: ExtendRetentionInput) -> None:
        self._require_bin(names.EXTEND_RETENTION)

    @workflow.signal(name=names.RESTORE, description=names.COMMANDS[names.RESTORE])
    def restore_signal(self, command: RestoreInput | None = None) -> None:
        """Signal twin of the update."""
        self._pending.append(self._restore_command(command))

    @workflow.signal(name=names.PURGE_NOW, description=names.COMMANDS[names.PURGE_NOW])
    def purge_now_signal(self, command: PurgeNowInput | None = None) -> None:
        """Signal twin of the update."""
        self._pending.append(self._purge_command(command))

    @workflow.signal(name=names.EXTEND_RETENTION, description=names.COMMANDS[names.EXTEND_RETENTION])
    def extend_retention_signal(self, command: ExtendRetentionInput) -> None:
        """Signal twin of the update."""
        self._pending.append(self._extend_command(command))

    def _restore_command(self, command: RestoreInput | None) -> Command:
        given = command or RestoreInput()
        return Command(names.RESTORE, CommandStep(operation=self.id, name=given.name, by=given.by))

    def _purge_command(self, command: PurgeNowInput | None) -> Command:
        return Command(names.PURGE_NOW, CommandStep(operation=self.id, by=(command or PurgeNowInput()).by))

    def _extend_command(self, command: ExtendRetentionInput) -> Command:
        step = CommandStep(operation=self.id, by=command.by)
        return Command(names.EXTEND_RETENTION, step, extend_by=timedelta(seconds=command.extend_by))

    def _require_bin(self, name: str) -> None:
        if self.log.phase != RECYCLE_BIN or self._decided:
            doing = self._decided or self.log.step
            reason = f"{name} is refused: the share is not in the recycle bin ({doing})"
            raise as_error(Failure(type="CommandRefused", message=reason, hint="look at the operation's status"))

    async def _carry(self, command: Command) -> str:
        self._pending.append(command)
        await workflow.wait_condition(lambda: command.done)
        if command.failure is not None:
            raise as_error(command.failure)
        return command.answer

    def _refuse_rest(self) -> None:
        for command in [*self._pending, *([self._active] if self._active and not self._active.done else [])]:
            reason = f"{command.name} came too late: {self._decided or 'the operation is over'}"
            command.refuse(Failure(type="CommandRefused", message=reason))
        self._pending.clear()

    # -- recipe ------------------------------------------------------------------------------------------------------

    async def _recipe(self, request: DeleteShareInput) -> dict[str, Any]:
        begun = await self.begin(request)
        if begun.status is BeginStatus.ENDED:
            return await self.ended_before(begun)
        self._exposed = {one.terms.replica: one for one in begun.replicas if one.terms.mode_between == "ro"}
        if not begun.phase:
            begun = await self._cut_off(begun)
        self._purge_at = begun.purge_at
        if begun.phase == RECYCLE_BIN:
            command = await self._wait_in_bin(begun)
            self.log.done()
        else:
            command = Command(
                names.RESTORE if begun.phase == "restoring" else names.PURGE_NOW, CommandStep(operation=self.id)
            )
        self._active = command
        result = await (self._restore(begun) if command.name == names.RESTORE else self._purge(begun, command))
        command.finish(result["outcome"])
        return result

    def _access(self, begun: Begun, mode: str, step: str) -> tuple[ObjectPlace, Any]:
        share = begun.instance
        assert share is not None  # noqa: S101  (begin always finds it)
        epoch = epoch_of(begun.fences, begun.share_id)
        return share, self.call(step, share, begun.fences, epoch=epoch, mode=mode)

    async def _cut_off(self, begun: Begun) -> Begun:
        share, cut = self._access(begun, "none", "withhold")
        _, readmit = self._access(begun, "rw", "undo-withhold")
        if begun.withhold:
            self.undo("let clients in again", names.BACKEND_SET_ACCESS_MODE, readmit)
        self.resume(begun)
        if begun.withhold:
            await self.backend(
                names.BACKEND_SET_ACCESS_MODE, cut, title=f"cut clients off on {share.backend}/{share.pool}"
            )
        await self._cut_replicas_off(begun)
        self.check_cancelled()
        step = CommandStep(operation=self.id)
        try:
            return await self.inventory(names.SOFT_DELETED, step, Begun)
        except asyncio.CancelledError:
            # The share may be in the recycle bin by now, and there a cancel is a restore: see it through first.
            self.cancel_requested = False
            binned = await self.inventory(names.SOFT_DELETED, step, Begun)
            self.cancel_requested = True
            return binned

    def _passes(self, begun: Begun, leaving: LeavingReplica) -> ReplicaPasses:
        assert begun.instance is not None  # noqa: S101  (begin always finds it)
        fences = [Fence(kind="instance", id=leaving.terms.replica, epoch=leaving.terms.epoch)]
        return ReplicaPasses(self, begun.instance, fences, begun.share_id, leaving.terms)

    async def _cut_replicas_off(self, begun: Begun) -> bool:
        """Keep clients from readable replicas. One that is away keeps no share from going: it is cut off later.

        Nothing is undone: the next round of a replica that stays lets its clients in. False when nothing was due.
        """
        if not self._exposed or workflow.now() < self._next_cut:
            return False
        for replica, leaving in list(self._exposed.items()):
            passes = self._passes(begun, leaving)
            try:
                await passes.set_mode("withhold", "none", "cut clients off on", hurry=True)
            except (FailureError, GaveUp) as error:
                if is_cancelled_exception(error):
                    raise
                place = passes.destination
                self.log.note = f"clients may still read {place.backend}/{place.pool}: {failure_of(error).message}"
            else:
                del self._exposed[replica]
        self._cuts += 1
        pause = self.limits.retry * 2.0 ** min(self._cuts, MOST_DOUBLINGS)
        self._next_cut = workflow.now() + timedelta(seconds=pause)
        return True

    async def _wait_in_bin(self, begun: Begun) -> Command:
        self.log.start("wait in the recycle bin")
        while True:
            self._show_bin()
            try:
                self.check_cancelled()
                if await self._cut_replicas_off(begun):
                    self.log.start("wait in the recycle bin")
                await self._next_command()
                while self._pending:
                    self._active = self._pending.pop(0)
                    if await self._decides(self._active):
                        return self._active
            except asyncio.CancelledError:
                if await self._name_is_free_again():
                    raise
                continue
            if self._purge_at is not None and workflow.now() >= self._purge_at:
                self._decided = "its retention has ended, the purge has begun"
                return Command(names.PURGE_NOW, CommandStep(operation=self.id))

    def _show_bin(self) -> None:
        self.log.enter(RECYCLE_BIN, IN_BIN_COMMANDS, self._purge_at)
        found = [names.PHASE.value_set(RECYCLE_BIN)]
        workflow.upsert_search_attributes([*found, names.DEADLINE.value_set(self._purge_at or workflow.now())])

    def _enter(self, phase: str) -> None:
        self.log.enter(phase, [])
        workflow.upsert_search_attributes([names.PHASE.value_set(phase), names.DEADLINE.value_unset()])

    async def _next_command(self) -> None:
        until = self._purge_at or workflow.now()
        if self._exposed:
            until = min(until, self._next_cut)
        left = until - workflow.now()
        try:
            await workflow.wait_condition(
                lambda: bool(self._pending),
                timeout=max(left, timedelta(0)),
                timeout_summary=f"purge at {self._purge_at:%Y-%m-%d %H:%M:%S} UTC",
            )
        except TimeoutError:
            self.log.slept += 1

    async def _decides(self, command: Command) -> bool:
        try:
            match command.name:
                case names.RESTORE:
                    await self.inventory(names.RESTORE_ROWS, command.step, type(None))
                    self._decided = "it is being restored"
                case names.PURGE_NOW:
                    self._decided = "the purge has begun"
                case _:
                    await self._extend(command)
                    return False
        except FailureError as error:
            failure = failure_of(error)
            self.log.note = f"{command.name} was refused: {failure.message} {failure.hint}"
            command.refuse(failure)
            return False
        return True

    async def _extend(self, command: Command) -> None:
        assert self._purge_at is not None  # noqa: S101  (set before the bin)
        step = command.step.model_copy(update={"purge_at": self._purge_at + command.extend_by})
        extended = await self.inventory(names.RETENTION, step, RetentionResult)
        self._purge_at = extended.purge_at
        command.finish(f"purge at {self._purge_at.isoformat()}")

    async def _name_is_free_again(self) -> bool:
        """A cancel in the recycle bin is a restore, when the share can have its name back."""
        self.cancel_requested = False
        if self._active is not None and not self._active.done:
            self._pending.insert(0, self._active)  # the cancel came while it was carried out: once more, to be sure
        try:
            await self.inventory(names.RESTORE_ROWS, CommandStep(operation=self.id), type(None))
        except FailureError as error:
            self.log.note = f"not cancelled: {failure_of(error).message}; send restore with another name"
            return False
        self.cancel_requested = True
        return True

    async def _restore(self, begun: Begun) -> dict[str, Any]:
        self.no_return()
        self._enter("restoring")
        if begun.withhold:
            share, readmit = self._access(begun, "rw", "readmit")
            await self.backend(
                names.BACKEND_SET_ACCESS_MODE,
                readmit,
                title=f"let clients in on {share.backend}/{share.pool}",
                forward=True,
            )
        return await self.commit(outcome="restored")

    async def _purge(self, begun: Begun, command: Command) -> dict[str, Any]:
        self.no_return()
        self._enter("purging")
        purge = await self.inventory(names.BEGIN_PURGE, command.step, PurgeBegun)
        unreached = [one.terms.replica for one in purge.replicas if not await self._purge_replica(begun, one)]
        for number, item in enumerate(purge.items, start=1):
            fences = [fence for fence in purge.item_fences if fence.id == item.id]
            await self.backend(
                names.BACKEND_DELETE_SNAPSHOT,
                self.call(f"purge-{item.id}", item, fences, epoch=epoch_of(fences, item.id)),
                title=f"purge snapshot {number} of {len(purge.items)}",
                forward=True,
            )
        share = purge.instance
        await self.backend(
            names.BACKEND_DELETE_SHARE,
            self.call("purge", share, purge.fences, epoch=purge.fences[0].epoch),
            title=f"purge from {share.backend}/{share.pool}",
            forward=True,
        )
        result = await self.commit(outcome="purged", unreached=unreached)
        if purge.replicas and workflow.patched(LEAVES):
            await self.wake([one.terms.sync_operation for one in purge.replicas])  # they find that they have ended
        return result

    async def _purge_replica(self, begun: Begun, leaving: LeavingReplica) -> bool:
        """Delete a replica; False when its backend does not answer, and the share goes without it."""
        passes = self._passes(begun, leaving)
        if workflow.patched(LEAVES):
            return await passes.purge_or_leave(leaving.copies)
        await passes.purge(leaving.copies)
        return True
