"""Passes of a copy: what the destination lacks is brought there, again and again, while the share is used."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError, FailureError

with workflow.unsafe.imports_passed_through():
    from shareflow import names
    from shareflow.contracts.migration_steps import CopyTerms, CutoverBegun, Followed, FollowInput
    from shareflow.contracts.migration_steps import SnapshotLeg as Leg
    from shareflow.contracts.places import Fence, ObjectPlace
    from shareflow.contracts.steps import BackendAnswer, BackendCall, Failure
    from shareflow.contracts.units import format_size
    from workflows.conduct import GaveUp, Operation, Undo, as_error, epoch_of, failure_of
    from workflows.placing import place_again, refused_by_pool

COPY_EPOCH = 1
"""Fencing number of calls on snapshots at the destination: below every number that a later claim on them can have."""


class CopyPasses:
    """The copy of one share to its destination. What it must not forget is in :attr:`memory`."""

    def __init__(
        self, operation: Operation, source: ObjectPlace, fences: list[Fence], share: str, terms: CopyTerms
    ) -> None:
        self.source = source
        self.destination = terms.destination
        self.memory = terms.memory
        self.began: datetime = workflow.now()
        self.fresh: datetime | None = None  # what was written before this is at the destination
        self.is_brief = terms.brief
        self.current: BackendCall | None = None  # the copy that runs now
        self._operation = operation
        self._terms = terms
        self.fences = fences
        self._share = share
        self._legs: list[Leg] = []
        self._gone: list[ObjectPlace] = []
        self._done: list[str] = []
        self._dropped: list[str] = []

    def remember(self, **changes: Any) -> None:
        """Change the memory; the next :meth:`follow` keeps it with the operation."""
        self.memory = self.memory.model_copy(update=changes)

    async def follow(self, held: CutoverBegun | None = None) -> None:
        """Keep the memory, see what the share is now, and register how everything so far is taken back."""
        if trouble := await self._look(held):
            raise as_error(Failure(type="NoPoolFits", message=trouble))

    def register(self, held: CutoverBegun | None = None) -> None:
        """Register how everything so far is taken back, also what an earlier run of the operation may have begun."""
        self._operation.undos(self._undos(held))

    async def take_back(self, held: CutoverBegun) -> bool:
        """Give a cutover up, so that no late attempt can still switch; False when one has switched already."""
        self.remember(taken_back=self.memory.fenced)
        try:
            await self._look(held)
        except FailureError as error:
            if failure_of(error).type != "InvalidState":
                raise
            return False
        return True

    async def _look(self, held: CutoverBegun | None) -> str:
        """See :meth:`follow`; gives why the destination cannot follow."""
        step = FollowInput(operation=self._operation.id, memory=self.memory, done=self._done, dropped=self._dropped)
        found = await self._operation.inventory(names.FOLLOW_SHARE, step, Followed)
        self.destination, self._legs, self._gone = found.destination, found.legs, found.gone
        self._done, self._dropped = [], []
        self.register(held)
        return found.trouble

    # -- what it is made of ------------------------------------------------------------------------------------------

    def call(self, step: str, target: ObjectPlace, *, epoch: int | None = None, **options: Any) -> BackendCall:
        """A call under the claims that the migration always holds.

        Its fencing number grows with every cutover: a call that a failed one has given up can do nothing after it.
        """
        number = max(self._terms.epoch, self.memory.epochs.get(self._share, 0)) if epoch is None else epoch
        return self._operation.call(step, target, self.fences, epoch=number, **options)

    async def _backend(self, activity: str, call: BackendCall, title: str, *, hurry: bool = False) -> BackendAnswer:
        return await self._operation.backend(activity, call, title=title, hurry=hurry)

    async def _copy(self, activity: str, call: BackendCall, title: str, *, hurry: bool = False) -> int:
        self.current = call
        try:
            # Writers are stopped: this does not wait for the copies of others.
            queue = None if hurry else names.mover_queue(self.destination.backend)
            answer = await self._operation.backend(activity, call, title=title, queue=queue, hurry=hurry)
        finally:
            self.current = None
        if answer.note:
            self._operation.log.note = answer.note
        return answer.moved

    def _at(self, side: ObjectPlace, name: str) -> ObjectPlace:
        return side.model_copy(update={"object": name, "id": name.removeprefix("sf-")})

    # -- the destination ---------------------------------------------------------------------------------------------

    async def make(self) -> None:
        """Make the destination, on the next-best pool when one refuses, and keep clients from it."""
        while not self.memory.made:
            try:
                await self._make()
            except (ActivityError, GaveUp) as error:
                if not refused_by_pool(error):
                    raise
                await self._go_elsewhere(error)

    async def _make(self) -> None:
        place = self.destination
        where = f"{place.backend}/{place.pool}"
        try:
            made = await self._backend(names.BACKEND_CREATE_SHARE, self.call("create", place), f"create on {where}")
        except GaveUp as gave_up:
            if not gave_up.sent:
                self._operation.undos([])
            raise
        if self._terms.withhold:
            await self._backend(
                names.BACKEND_SET_ACCESS_MODE,
                self.call("withhold", place, mode="none"),
                f"keep clients from {where}",
            )
        mode = "none" if self._terms.withhold else ""
        self.remember(made=True, export_paths=made.export_paths, size=place.size, mode=mode)

    async def _go_elsewhere(self, refusal: ActivityError | GaveUp) -> None:
        begun = await place_again(self._operation, self._delete_title, self.destination, refusal)
        migration = begun.migration
        assert migration is not None  # noqa: S101  (what was begun as a migration stays one)
        self._terms, self.destination, self.fences = migration, migration.destination, begun.fences
        shown = self._operation.log.migration
        if shown is not None:
            shown.destination, shown.mode = migration.plan.destination, migration.mode
        await self.follow()

    async def _resize(self, size: int, *, grow: bool) -> None:
        """Give the destination a size when that grows it, or when it shrinks it: room comes before what needs it."""
        if size == self.memory.size or (size > self.memory.size) is not grow:
            return
        call = self.call(f"resize-{self.memory.passes}-{size}", self._sized(size))
        title = f"give the destination a size of {format_size(size)}"
        await self._backend(names.BACKEND_RESIZE_SHARE, call, title)
        self.remember(size=size)

    def _copy_epoch(self, _snapshot: str) -> int:
        """Fencing number of calls on a snapshot's copy at the destination."""
        return COPY_EPOCH

    def _sized(self, size: int) -> ObjectPlace:
        return self.destination.model_copy(update={"size": size})

    async def _drop_gone(self) -> None:
        for place in self._gone:
            call = self.call(f"undo-leg-{place.object}", place, epoch=self._copy_epoch(place.id))
            await self._backend(names.BACKEND_DELETE_SNAPSHOT, call, "drop the copy of a snapshot that was deleted")
            self._dropped.append(place.object)
        self._gone = []

    # -- passes ------------------------------------------------------------------------------------------------------

    async def run(self, held: CutoverBegun | None = None) -> int:
        """One pass; gives the bytes that it moved. Tried again after a failure, it goes on where it stopped."""
        self.began = workflow.now()
        self._name_sync_point()
        await self.follow(held)
        await self._drop_gone()
        size, number = self.destination.size, self.memory.passes + 1
        if self._terms.mode == "driver":
            await self._resize(size, grow=True)
            moved = await self._legs_by_driver() + await self._sync(f"pass {number}: what changed")
        else:
            where = f"{self.destination.backend}/{self.destination.pool}"
            moved = await self._legs_by_host()
            await self._resize(size, grow=True)
            call = self.call(f"pass-{number}", self.destination, other=self.source, live=True, **self._limit())
            moved += await self._copy(names.MOVER_COPY, call, f"pass {number}: copy to {where}")
        await self._resize(size, grow=False)
        self.fresh = self.began
        self.remember(passes=number, copied=True, bytes_moved=self.memory.bytes_moved + moved)
        return moved

    async def last(self, number: int) -> int:
        """The last delta, while the source is fenced: the destination has all that the source has, byte for byte."""
        if self._terms.mode == "host":
            call = self.call(f"last-{number}", self.destination, other=self.source, live=True)
            return await self._copy(names.MOVER_COPY, call, "last delta", hurry=True)
        moved = await self._sync("last delta", hurry=True)
        newest = self._at(self.destination, self.memory.sync_points[-1])
        call = self.call(f"take-{number}", self.destination, other=newest)
        await self._backend(names.BACKEND_REVERT_SHARE, call, "give the destination its content", hurry=True)
        return moved

    async def verify(self, number: int, how: str) -> None:
        """Compare both sides while the source is fenced."""
        call = self.call(f"verify-{number}", self.destination, other=self.source, verify=how)
        await self._copy(names.MOVER_VERIFY, call, f"verify ({how})", hurry=True)

    def _limit(self) -> dict[str, Any]:
        return {"bandwidth": self.memory.bandwidth}

    def _pending(self) -> Sequence[Leg]:
        return [leg for leg in self._legs if not leg.done and leg.id not in self._done]

    async def _legs_by_host(self) -> int:
        moved = 0
        for leg in self._pending():
            # A snapshot has the size of its share when it is taken: here as there.
            await self._resize(leg.source.size, grow=True)
            call = self.call(f"leg-{leg.id}", self.destination, other=leg.source, **self._limit())
            moved += await self._copy(names.MOVER_COPY, call, f"copy snapshot {leg.name}")
            if self._terms.shrinks:
                await self._resize(leg.source.size, grow=False)
            call = self.call(f"freeze-{leg.id}", leg.target, other=self.destination, epoch=COPY_EPOCH)
            await self._backend(names.BACKEND_CREATE_SNAPSHOT, call, f"freeze snapshot {leg.name}")
            self._done.append(leg.id)
        return moved

    async def _legs_by_driver(self) -> int:
        moved = 0
        for leg in self._pending():
            title = f"send snapshot {leg.name}"
            moved += await self._receive(f"leg-{leg.id}", leg.source, leg.target, title, epoch=COPY_EPOCH)
            self._done.append(leg.id)
        return moved

    async def _receive(
        self, step: str, source: ObjectPlace, target: ObjectPlace, title: str, *, epoch: int | None = None,
        hurry: bool = False,
    ) -> int:  # fmt: skip
        limit = {} if hurry else self._limit()
        call = self.call(step, target, epoch=epoch, other=source, share=self.destination, base=self._base(), **limit)
        moved = await self._copy(names.MOVER_RECEIVE, call, title, hurry=hurry)
        self.remember(common=[source.object, target.object])
        return moved

    def _base(self) -> tuple[ObjectPlace, ObjectPlace] | None:
        """The newest object that is whole on both sides: the last one received, unless it was deleted since."""
        whole = {leg.source.object: leg.target.object for leg in self._legs if leg not in self._pending()}
        whole |= {name: name for name in self.memory.sync_points if [name, name] == self.memory.common}
        if not whole:
            return None
        source = self.memory.common[0] if self.memory.common and self.memory.common[0] in whole else list(whole)[-1]
        return self._at(self.source, source), self._at(self.destination, whole[source])

    # -- sync points: snapshots for the copy's own sake, of the same name on both sides ------------------------------

    def _name_sync_point(self, *, fresh: bool = False) -> None:
        """A name for the next sync point, unless there is one that did not come through."""
        points = self.memory.sync_points
        if self._terms.mode == "driver" and (fresh or not points or points[-1] in self.memory.common):
            self.remember(sync_points=[*points, f"sf-{workflow.uuid4()}"], named_at=workflow.now())

    async def before_fence(self, number: int, held: CutoverBegun) -> None:
        """Everything that must be on record before writers are stopped."""
        epochs = {fence.id: fence.epoch for fence in (*held.fences, *held.snapshot_fences)}
        self._name_sync_point(fresh=True)
        self.remember(fenced=number, epochs=epochs)
        await self.follow(held)

    async def _sync(self, title: str, *, hurry: bool = False) -> int:
        name = self.memory.sync_points[-1]
        source, target = self._at(self.source, name), self._at(self.destination, name)
        call = self.call(f"sync-{name}", source, other=self.source)
        await self._backend(names.BACKEND_CREATE_SNAPSHOT, call, f"{title}: freeze", hurry=hurry)
        moved = await self._receive(f"receive-{name}", source, target, title, hurry=hurry)
        if not hurry:
            await self.drop_sync_points(self.memory.sync_points[:-1])
        return moved

    async def drop_sync_points(
        self, points: Sequence[str], *, forward: bool = False, sides: Sequence[ObjectPlace] = ()
    ) -> None:
        """Delete sync points on both sides, or on the given one."""
        for name in points:
            for side in sides or (self.destination, self.source):
                await self._operation.backend(
                    names.BACKEND_DELETE_SNAPSHOT,
                    self.call(f"undo-sync-{name}", self._at(side, name)),
                    title=f"drop an older state on {side.backend}/{side.pool}",
                    forward=forward,
                )
            self.remember(sync_points=[point for point in self.memory.sync_points if point != name])

    # -- undo --------------------------------------------------------------------------------------------------------

    def fence(self, held: CutoverBegun, *, ignore_open_files: bool) -> BackendCall:
        """The call that stops writers on the source."""
        fences = [*self.fences, *held.fences]
        return self._operation.call(
            f"fence-{self.memory.fenced}", self.source, fences, epoch=epoch_of(held.fences, self._share),
            mode=self._terms.fence_mode, ignore_open_files=ignore_open_files,
        )  # fmt: skip

    def readmit(self, held: CutoverBegun) -> Undo:
        """How the fence is taken away."""
        fences: list[Fence] = [*self.fences, *held.fences]
        call = self._operation.call(
            f"undo-fence-{self.memory.fenced}", self.source, fences, epoch=epoch_of(held.fences, self._share), mode="rw"
        )
        return Undo("let writers in again", names.BACKEND_SET_ACCESS_MODE, call)

    def unfenced(self) -> None:
        """The fence is gone, and what is registered to be undone has it no more."""
        self.remember(fenced=0)
        self.register()

    @property
    def _delete_title(self) -> str:
        return f"delete on {self.destination.backend}/{self.destination.pool}"

    def _undos(self, held: CutoverBegun | None) -> list[Undo]:
        """How everything that was or may have been made is taken back; the last one first."""
        place = self.destination
        found = [Undo(self._delete_title, names.BACKEND_DELETE_SHARE, self.call("undo-create", place))]
        frozen = [*self._gone, *(leg.target for leg in self._legs)]
        found += [self._undo_snapshot(f"leg-{copy.object}", copy, COPY_EPOCH) for copy in frozen]
        for name in self.memory.sync_points:
            found += [self._undo_snapshot(f"sync-{name}", self._at(side, name)) for side in (self.source, place)]
        if self._terms.mode == "host":
            copies = [*(f"leg-{leg.id}" for leg in self._pending()), f"pass-{self.memory.passes + 1}"]
            found += [self._undo_copy(step) for step in copies]
        if held is not None and self.memory.fenced:
            found += [*self.ends_of_cutover(self.memory.fenced), self.readmit(held)]
        return found

    async def stop_late_copies(self) -> None:
        """Nothing writes to the destination but its clients from here on."""
        if self.is_brief:
            # Window: as below, and a comparison that nobody follows any more may go on.
            late = [undo.call.step for undo in self.ends_of_cutover(self.memory.fenced)]
            also = [*late[1:], *([f"pass-{self.memory.passes}"] if self._terms.mode == "host" else [])]
            await self._operation.run_undo(self._undo_copy(late[0], also=also))
        elif self._terms.mode == "host":
            # Window: a late attempt may have begun a copy right before the switch; since then none can begin.
            for step in (f"last-{self.memory.fenced}", f"pass-{self.memory.passes}"):
                await self._operation.run_undo(self._undo_copy(step))

    def ends_of_cutover(self, number: int) -> list[Undo]:
        """How what a cutover may have left with the mover is ended: work that nobody follows any more."""
        steps = [f"verify-{number}", *([f"last-{number}"] if self._terms.mode == "host" else [])]
        return [self._undo_copy(step) for step in steps]

    def _undo_snapshot(self, step: str, place: ObjectPlace, epoch: int | None = None) -> Undo:
        call = self.call(f"undo-{step}", place, epoch=epoch)
        return Undo(f"delete a snapshot on {place.backend}/{place.pool}", names.BACKEND_DELETE_SNAPSHOT, call)

    def _undo_copy(self, step: str, **options: Any) -> Undo:
        return Undo("stop the copy", names.MOVER_FORGET, self.call(step, self.destination, **options))
