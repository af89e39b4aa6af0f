"""RetypeShare: claim and ask the rules of the new type -> in place: set limits, commit; else as MigrateShare."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError
from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from shareflow import names
    from shareflow.contracts.migration import MigrateShareResult, RetypeShareInput
    from shareflow.contracts.places import BeginStatus
    from shareflow.contracts.steps import Begun
    from workflows.conduct import epoch_of
    from workflows.migrate_share import MigrateShare

IN_PLACE = "in-place"


@workflow.defn(name=names.RETYPE_SHARE, failure_exception_types=[ValidationError])
class RetypeShare(MigrateShare):
    """Give a share another type: where it is when its pool satisfies it, elsewhere when it does not."""

    kind = names.RETYPE_SHARE

    @workflow.run
    async def run(self, request: RetypeShareInput) -> MigrateShareResult:  # type: ignore[override]
        """Set limits in place, or migrate."""
        self._options = request
        try:
            return MigrateShareResult.model_validate(await self.conduct(request, self._retype(request)))
        finally:
            await workflow.wait_condition(workflow.all_handlers_finished)

    async def _retype(self, request: RetypeShareInput) -> dict[str, Any]:
        begun = await self.begin(request)
        if begun.status is BeginStatus.ENDED:
            return await self.ended_before(begun)
        if begun.migration is None:
            return await self._in_place(begun)
        self.log.note = f"it has to move: {begun.migration.plan.reason}"
        return await self.migrate(begun, request)

    async def _in_place(self, begun: Begun) -> dict[str, Any]:
        """The share is held for the whole of it; what was enforced before is set again when this is undone."""
        place, change = begun.instance, begun.qos
        assert place is not None and change is not None  # noqa: S101, PT018  (begin always finds them)
        self._phase = IN_PLACE
        self.log.note = begun.placement
        epoch = epoch_of(begun.fences, begun.share_id)
        if not change.apply:
            self.resume(begun)
            return await self.commit()
        before = self.call("undo-qos", place, begun.fences, epoch=epoch, limits=change.before)
        self.undo("set the old limits", names.BACKEND_SET_QOS, before)
        self.resume(begun)
        call = self.call("qos", place, begun.fences, epoch=epoch, limits=change.limits, required=change.required)
        made = await self.backend(names.BACKEND_SET_QOS, call, title=f"set limits on {place.backend}/{place.pool}")
        return await self.commit(qos=made.qos)
