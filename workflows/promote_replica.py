"""PromoteReplica: hold the share -> catch up -> stop writers -> last delta -> verify -> switch -> let writers in.

With ``lost`` nothing is asked of the active instance: what the replica has is what counts. Its copy is fenced by its
own sync as soon as it can be reached again.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import ValidationError
from temporalio import workflow
from temporalio.exceptions import FailureError

with workflow.unsafe.imports_passed_through():
    from shareflow import names
    from shareflow.contracts.places import BeginStatus
    from shareflow.contracts.qos import QosAnswer
    from shareflow.contracts.replica_steps import ReplicaTerms, SwitchReplicaInput
    from shareflow.contracts.replication import PromoteReplicaInput, PromoteReplicaResult, ReplicaState
    from shareflow.contracts.steps import BackendCall, Begun
    from workflows.conduct import Operation, Undo, epoch_of
    from workflows.create_replica import start_sync
    from workflows.replica_passes import ReplicaPasses

LAST = 0
"""Number of the last delta in the names of its steps; a promotion has one."""

LOST_PATIENCE_FACTOR = 24
"""Pauses before a step is tried again for which the replica of a lost active instance may fail to answer."""


@workflow.defn(name=names.PROMOTE_REPLICA, failure_exception_types=[ValidationError])
class PromoteReplica(Operation):
    """Make a replica the active instance of its share; the old one is its replica then."""

    kind = names.PROMOTE_REPLICA

    def __init__(self) -> None:
        super().__init__()
        self._stopped_at: datetime | None = None
        self._stopped = 0.0
        self._moved = 0

    @workflow.run
    async def run(self, request: PromoteReplicaInput) -> PromoteReplicaResult:
        """Fence, copy, switch, admit."""
        return PromoteReplicaResult.model_validate(await self.conduct(request, self._recipe(request)))

    async def _recipe(self, request: PromoteReplicaInput) -> dict[str, Any]:
        begun = await self.begin(request)
        if begun.status is BeginStatus.ENDED:
            return await self.ended_before(begun)
        terms, active = begun.replica, begun.instance
        assert terms is not None and active is not None  # noqa: S101, PT018  (begin always finds them)
        passes = ReplicaPasses(self, active, begun.fences, begun.share_id, terms)
        if not begun.phase:
            begun = await self._switch_over(begun, request, passes, terms)
        return await self._finish(begun, request, passes)

    async def _switch_over(
        self, begun: Begun, request: PromoteReplicaInput, passes: ReplicaPasses, terms: ReplicaTerms
    ) -> Begun:
        readmit = Undo("let writers in again", names.BACKEND_SET_ACCESS_MODE, self._mode_of_active(begun, "rw"))
        if begun.recovery and not request.lost:  # an earlier run may have stopped them
            passes.undone_too = [*passes.ends_of_cutover(LAST), readmit]
        await passes.follow()
        self.resume(begun)
        if request.lost:
            asks = workflow.patched("lost-promotions-ask-their-replica")
            if asks:
                self._patience = min(self.limits.patience, self.limits.retry * LOST_PATIENCE_FACTOR)
            await passes.fit()
            await passes.take("take-lost")
            if asks and terms.mode_between:
                # Nothing leads back from a replica that died with the active instance, also when that one comes back.
                await passes.set_mode("ask", terms.mode_between, "reach")
        else:
            # A long delta goes while the share is still written.
            self._moved = await passes.round()
        qos = await self._set_limits(begun, passes)
        if not request.lost:
            passes.undone_too = [*passes.ends_of_cutover(LAST), readmit]
            await self._fence(begun, request, passes, terms)
        self.check_cancelled()
        self.no_return()
        try:
            return await self._switch(passes, qos)
        except FailureError:
            self.return_again()
            raise

    async def _fence(
        self, begun: Begun, request: PromoteReplicaInput, passes: ReplicaPasses, terms: ReplicaTerms
    ) -> None:
        """Writers are stopped from here until the replica takes them, or the active instance takes them again."""
        await passes.prepare_last()
        self._stopped_at = workflow.now()
        stop = self._mode_of_active(begun, terms.fence_mode, ignore_open_files=request.ignore_open_files)
        where = f"{passes.source.backend}/{passes.source.pool}"
        await self.backend(names.BACKEND_FENCE, stop, title=f"stop writers on {where}", hurry=True)
        # Window: the active instance takes no writes and nothing else does; whatever fails now lets writers in again.
        self._moved += await passes.last(LAST)
        await passes.verify(LAST, request.verify.value)

    def _mode_of_active(self, begun: Begun, mode: str, **options: Any) -> BackendCall:
        assert begun.instance is not None  # noqa: S101  (begin always finds it)
        epoch = epoch_of(begun.fences, begun.share_id)
        step = "fence" if mode != "rw" else "undo-fence"
        return self.call(step, begun.instance, begun.fences, epoch=epoch, mode=mode, **options)

    async def _set_limits(self, begun: Begun, passes: ReplicaPasses) -> dict[str, QosAnswer]:
        """What the share's class comes to at the replica; what became of each limit."""
        change, place = begun.qos, passes.destination
        if change is None or not change.apply:
            return {}
        call = passes.call("qos", place, limits=change.limits, required=change.required)
        made = await self.backend(names.BACKEND_SET_QOS, call, title=f"set limits on {place.backend}/{place.pool}")
        return made.qos

    async def _switch(self, passes: ReplicaPasses, qos: dict[str, QosAnswer]) -> Begun:
        self.log.start("switch")
        step = SwitchReplicaInput(operation=self.id, memory=passes.memory, qos=qos)
        switched = await self.inventory(names.SWITCH_REPLICA, step, Begun)
        self.log.done()
        return switched

    async def _finish(self, begun: Begun, request: PromoteReplicaInput, passes: ReplicaPasses) -> dict[str, Any]:
        """The replica serves from here on."""
        self.no_return()
        passes.fences = begun.fences
        await self.nudge(begun.nudge)
        place, epoch = passes.destination, epoch_of(begun.fences, begun.share_id)
        await passes.stop_late_copies()
        call = passes.call("admit", place, epoch=epoch, mode="rw")
        await self.backend(
            names.BACKEND_SET_ACCESS_MODE, call, title=f"let writers in on {place.backend}/{place.pool}", forward=True
        )
        if self._stopped_at is not None:
            self._stopped = (workflow.now() - self._stopped_at).total_seconds()
        result = await self.commit(moved=self._moved, stopped_seconds=self._stopped)
        state = ReplicaState.ERROR if request.lost else ReplicaState.OUT_OF_SYNC
        await start_sync(request.project, begun.share_id, passes.source.id, begun.sync_operation, state)
        await self.wake([passes.sync_operation])
        return result
