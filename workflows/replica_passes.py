"""The passes of a replica: what it lacks is brought there, and what that came to is kept with it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from shareflow import names
    from shareflow.contracts.migration_steps import CutoverBegun
    from shareflow.contracts.places import Fence, ObjectPlace
    from shareflow.contracts.replica_steps import (
        EndRoundInput,
        FollowReplicaInput,
        ReplicaFollowed,
        ReplicaTerms,
        RoundEnded,
    )
    from shareflow.contracts.units import format_size
    from workflows.conduct import GaveUp, Operation, Undo, as_error, failure_of
    from workflows.copy_passes import COPY_EPOCH, CopyPasses
    from workflows.placing import place_again

WITHHELD = "none"


class ReplicaPasses(CopyPasses):
    """One operation's passes over a replica that it holds.

    Attributes:
        full: nothing that was copied before is relied on.
        sync_operation: who keeps the replica in step.
        undone_too: what is undone besides, before all else.
    """

    def __init__(
        self,
        operation: Operation,
        source: ObjectPlace,
        fences: list[Fence],
        share: str,
        terms: ReplicaTerms,
        *,
        full: bool = False,
        owns: bool = False,
    ) -> None:
        super().__init__(operation, source, fences, share, terms)
        self.full = full
        self.sync_operation = terms.sync_operation
        self.undone_too: list[Undo] = []
        self._owns = owns
        self._replica = terms
        self._whole = False
        self._missing: int | None = None
        self._measured_at: datetime | None = None

    async def _look(self, held: CutoverBegun | None) -> str:
        step = FollowReplicaInput(
            operation=self._operation.id,
            replica=self._replica.replica,
            memory=self.memory,
            done=self._done,
            dropped=self._dropped,
            missing=self._missing,
            measured_at=self._measured_at,
        )
        found = await self._operation.inventory(names.FOLLOW_REPLICA, step, ReplicaFollowed)
        self.source, self.destination, self._legs, self._gone = (
            found.source,
            found.destination,
            found.legs,
            found.gone,
        )
        self._done, self._dropped = [], []
        self.register(held)
        return found.trouble

    async def round(self) -> int:
        """Bring the replica up to date; gives the bytes that moved. It is whole whenever this returns or fails.

        Except that the mover writes into the replica's own files: ``memory.passing`` says so until it has ended.
        """
        self.remember(passing=self._terms.mode == "host")
        moved = await self.run()
        if self._terms.mode == "driver":
            await self.take(f"take-{self.memory.passes}")
        self.remember(passing=False, anew=False, unrelated=False)
        return moved

    @property
    def as_of(self) -> datetime:
        """The moment of which the replica has the content after a round.

        A sync point that an earlier round could not bring over may have been frozen as long ago as it was named.
        """
        frozen = self.memory.named_at if self._terms.mode == "driver" else None
        return frozen or self.began

    async def run(self, held: CutoverBegun | None = None) -> int:
        """See base class. When nothing is relied on, neither is a sync point that did not come through."""
        if self._replica.behind:
            await self._measure()
        if self.full:
            points = self.memory.sync_points
            await self.drop_sync_points([point for point in points if point not in self.memory.common])
        self._whole = self.full or self.memory.anew or self.memory.unrelated or not self.memory.copied
        return await super().run(held)

    async def _measure(self) -> None:
        """How much of the active instance the replica does not have; that nobody can tell stops no round."""
        if self._terms.mode != "driver" or not self.memory.taken:
            return
        at = workflow.now()
        place = self.source
        call = self.call(f"measure-{self.memory.passes + 1}", place, other=self._at(place, self.memory.taken))
        title = f"measure on {place.backend}/{place.pool} what is missing"
        try:
            answer = await self._backend(names.BACKEND_MEASURE, call, title, hurry=True)
        except (ActivityError, GaveUp) as error:
            if is_cancelled_exception(error) or failure_of(error).type == "StaleClaim":
                raise
            self._operation.log.failed(failure_of(error).message)
            return
        self._missing, self._measured_at = answer.missing, at
        if answer.missing is not None:
            self._operation.log.note = f"lacked {format_size(answer.missing)} at {at:%H:%M:%S} UTC"

    async def fit(self) -> None:
        """Give the replica the size that its share has."""
        for grow in (True, False):
            await self._resize(self.destination.size, grow=grow)

    async def prepare_last(self) -> None:
        """Everything that must be on record before writers are stopped."""
        self._name_sync_point(fresh=True)
        self.remember(passing=self._terms.mode == "host")
        await self.follow()

    async def last(self, number: int) -> int:
        """See base class."""
        moved = await super().last(number)
        if self._terms.mode == "driver":
            self.remember(taken=self.memory.sync_points[-1])
        self.remember(passing=False)
        return moved

    async def take(self, step: str, *, hurry: bool = False) -> None:
        """Give the replica the content of its newest sync point."""
        newest = self.memory.common[-1] if self.memory.common else ""
        if not newest or newest == self.memory.taken:
            return
        call = self.call(step, self.destination, other=self._at(self.destination, newest))
        await self._backend(names.BACKEND_REVERT_SHARE, call, "give the replica its new content", hurry=hurry)
        self.remember(taken=newest)

    def outcome(self, *, synced_at: datetime | None = None, moved: int = 0, error: str = "",
                fenced: bool = False) -> EndRoundInput:  # fmt: skip
        """What the round came to, to be kept."""
        return EndRoundInput(
            operation=self._operation.id,
            replica=self._replica.replica,
            memory=self.memory,
            done=self._done,
            dropped=self._dropped,
            synced_at=synced_at,
            moved=moved,
            whole=self._whole,
            error=error,
            fenced=fenced,
        )

    async def end(self, outcome: EndRoundInput) -> None:
        """Keep what the round came to. A sync lets the replica go with that."""
        ended = await self._operation.inventory(names.END_ROUND, outcome, RoundEnded)
        self._done, self._dropped = [], []
        await self._operation.wake(ended.wake)

    async def set_mode(self, step: str, mode: str, title: str, *, hurry: bool = False) -> None:
        """Let clients read the replica, or keep them from it."""
        place = self.destination
        call = self.call(step, place, mode=mode)
        shown = f"{title} {place.backend}/{place.pool}"
        await self._backend(names.BACKEND_SET_ACCESS_MODE, call, shown, hurry=hurry)
        self.remember(mode=mode)

    async def fence_stale(self, step: str, *, prove: bool = True) -> None:
        """Keep writers from the copy of a lost active instance as soon as its backend answers, and prove it.

        Without ``prove`` the copy goes next: who has it open already may write until then, and there is no way back.

        Raises:
            ActivityError, GaveUp: it cannot be reached, or can still be written: then with ``FenceLeaks``.
        """
        place, mode = self.destination, self._replica.mode_between or self._replica.fence_mode
        if not workflow.patched("stale-copies-are-fenced-soon"):
            if prove:
                await self.set_mode(step, mode, "keep writers from")
            return
        activity = names.BACKEND_FENCE if prove else names.BACKEND_SET_ACCESS_MODE
        title = f"keep writers from {place.backend}/{place.pool}"
        call = self.call(step, place, mode=mode)
        try:
            await self._operation.backend(activity, call, title=title, forward=not prove, keen=True)
        except ActivityError as error:
            failure = failure_of(error)
            if failure.type != "FenceLeaks":
                raise
            hint = "stop these writers; its sync tries again by itself, a resync when it is asked for again"
            raise as_error(failure.model_copy(update={"hint": hint})) from error
        self.remember(mode=mode)

    async def admit(self) -> None:
        """Give clients the access that they have between two rounds, unless they are known to have it."""
        mode = self._replica.mode_between
        if mode and mode != self.memory.mode:
            title = "keep clients from" if mode == WITHHELD else "let clients read"
            await self.set_mode(f"mode-{self._terms.epoch}", mode, title)

    async def purge(self, copies: Sequence[ObjectPlace], *, forward: bool = True) -> None:
        """Delete the replica with its copies of snapshots and the sync points on both sides; there is only forward.

        Without ``forward`` a backend that does not answer is given up after a while: raises GaveUp, or what it refused.
        """
        place, operation = self.destination, self._operation
        for copy in copies:
            call = self.call(f"purge-{copy.object}", copy, epoch=self._copy_epoch(copy.id))
            title = f"delete a copy of a snapshot on {place.backend}/{place.pool}"
            await operation.backend(names.BACKEND_DELETE_SNAPSHOT, call, title=title, forward=forward)
        await self.drop_sync_points(self.memory.sync_points, forward=forward)
        title = f"delete the replica on {place.backend}/{place.pool}"
        await operation.backend(names.BACKEND_DELETE_SHARE, self.call("purge", place), title=title, forward=forward)

    async def purge_or_leave(self, copies: Sequence[ObjectPlace]) -> bool:
        """Delete the replica as :meth:`purge` does; False when its backend does not answer, and it is left there."""
        before = self.memory
        try:
            await self.purge(copies, forward=False)
        except GaveUp as gave_up:
            place, log = self.destination, self._operation.log
            log.failed(failure_of(gave_up).message)
            log.note = f"left on {place.backend}/{place.pool}, to be deleted when that answers again"
            await self.leave_behind()
            return False
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            # It answers, and refuses: that is tried until it works, as with the share itself.
            self.memory = before
            await self.purge(copies)
        return True

    async def leave(self, copies: Sequence[ObjectPlace]) -> list[str]:
        """Delete the replica for good; gives its id when it is left behind.

        A copy that was lost and is not fenced yet is waited for, and fenced first.
        """
        if self._replica.stale == "unfenced":
            await self.fence_stale("fence", prove=False)
        if self._replica.stale == "unfenced" or not workflow.patched("replicas-are-left-behind"):
            await self.purge(copies)
            return []
        return [] if await self.purge_or_leave(copies) else [self._replica.replica]

    async def leave_behind(self) -> None:
        """Delete what was made beside the active instance for a replica that cannot be reached."""
        await self.drop_sync_points(self.memory.sync_points, forward=True, sides=[self.source])

    async def _go_elsewhere(self, refusal: ActivityError | GaveUp) -> None:
        """The next-best pool is taken, unless it was asked for this one."""
        if not workflow.patched("replicas-go-elsewhere"):
            raise refusal
        begun = await place_again(self._operation, self._delete_title, self.destination, refusal)
        terms = begun.replica
        assert terms is not None  # noqa: S101  (what was begun as a replica stays one)
        self._terms = self._replica = terms
        self.destination, self.fences, self.sync_operation = terms.destination, begun.fences, terms.sync_operation
        told = {"bandwidth": self.memory.bandwidth, "paused": self.memory.paused}
        self.memory = terms.memory.model_copy(update=told)
        await self.follow()

    def _copy_epoch(self, snapshot: str) -> int:
        # Of a copy that was beside the active instance once, calls under the snapshot's own claim are known.
        return max(COPY_EPOCH, self.memory.epochs.get(snapshot, 0))

    def _base(self) -> tuple[ObjectPlace, ObjectPlace] | None:
        return None if (self.full or self.memory.unrelated) and not self._done else super()._base()

    def _limit(self) -> dict[str, Any]:
        # The first one after a promotion may find records of another time.
        anew = self.full or self.memory.anew or not self.memory.passes
        return {**super()._limit(), "anew": anew} if self._terms.mode == "host" else super()._limit()

    def _undos(self, held: CutoverBegun | None) -> list[Undo]:
        """A replica that the operation makes goes with it; of one that is there only a copy has to be stopped."""
        if self._owns:
            return super()._undos(held)
        copies = (f"pass-{self.memory.passes + 1}",) if self._terms.mode == "host" else ()
        return [*(self._undo_copy(step) for step in copies), *self.undone_too]
