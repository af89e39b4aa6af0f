"""SetShareQos: claim, check against the pool and reserve floors -> set on the backend -> commit."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError
from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from shareflow import names
    from shareflow.contracts.operations import SetShareQosInput, SetShareQosResult
    from shareflow.contracts.places import BeginStatus
    from workflows.conduct import Operation, epoch_of


@workflow.defn(name=names.SET_SHARE_QOS, failure_exception_types=[ValidationError])
class SetShareQos(Operation):
    """Give a share another QoS class, or none; what it had before is set again when this is undone."""

    kind = names.SET_SHARE_QOS

    @workflow.run
    async def run(self, request: SetShareQosInput) -> SetShareQosResult:
        """Claim, set, commit."""
        return SetShareQosResult.model_validate(await self.conduct(request, self._recipe(request)))

    async def _recipe(self, request: SetShareQosInput) -> dict[str, Any]:
        begun = await self.begin(request)
        if begun.status is BeginStatus.ENDED:
            return await self.ended_before(begun)
        share, change = begun.instance, begun.qos
        assert share is not None  # noqa: S101  (begin always finds it)
        assert change is not None  # noqa: S101
        epoch = epoch_of(begun.fences, begun.share_id)
        if not change.apply:
            self.resume(begun)
            return await self.commit()
        self.undo(
            "set the old limits",
            names.BACKEND_SET_QOS,
            self.call("undo-qos", share, begun.fences, epoch=epoch, limits=change.before),
        )
        self.resume(begun)
        made = await self.backend(
            names.BACKEND_SET_QOS,
            self.call("qos", share, begun.fences, epoch=epoch, limits=change.limits, required=change.required),
            title=f"set limits on {share.backend}/{share.pool}",
        )
        return await self.commit(qos=made.qos)
