"""CreateShare: claim, place and reserve -> create on the backend -> commit."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError
from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from shareflow import names
    from shareflow.contracts.operations import CreateShareInput, ShareResult
    from shareflow.contracts.places import BeginStatus, ObjectPlace
    from shareflow.contracts.steps import BackendAnswer, Begun
    from workflows.conduct import GaveUp, Operation, epoch_of
    from workflows.placing import place_again, refused_by_pool


def limits(begun: Begun) -> dict[str, Any]:
    """What a call that makes the share has to set of its quality of service."""
    change = begun.qos
    return {"limits": change.limits, "required": change.required} if change is not None and change.apply else {}


class Placed(Operation):
    """An operation that makes an instance on a pool and takes the next-best pool when one refuses."""

    async def fill(self, begun: Begun, instance: ObjectPlace) -> BackendAnswer:
        """Make the instance on its backend, with its limits."""
        epoch = epoch_of(begun.fences, begun.share_id)
        call = self.call("create", instance, begun.fences, epoch=epoch, **limits(begun))
        return await self.backend(
            names.BACKEND_CREATE_SHARE, call, title=f"create on {instance.backend}/{instance.pool}"
        )

    def undo_instance(self, begun: Begun, instance: ObjectPlace) -> str:
        """Register the deletion of the instance; returns the undo's title."""
        title = f"delete on {instance.backend}/{instance.pool}"
        call = self.call("undo-create", instance, begun.fences, epoch=epoch_of(begun.fences, begun.share_id))
        self.undo(title, names.BACKEND_DELETE_SHARE, call)
        return title

    async def make(self, begun: Begun) -> BackendAnswer:
        """Make the instance on the best pool that takes it."""
        while True:
            instance = begun.instance
            assert instance is not None  # noqa: S101  (begin always places)
            title = self.undo_instance(begun, instance)
            self.resume(begun)
            try:
                return await self.fill(begun, instance)
            except (ActivityError, GaveUp) as error:
                if not refused_by_pool(error):
                    raise
                # An earlier attempt may have left something half made before the pool refused.
                begun = await place_again(self, title, instance, error)


@workflow.defn(name=names.CREATE_SHARE, failure_exception_types=[ValidationError])
class CreateShare(Placed):
    """Make an empty share."""

    kind = names.CREATE_SHARE

    @workflow.run
    async def run(self, request: CreateShareInput) -> ShareResult:
        """Place, create, commit."""
        return ShareResult.model_validate(await self.conduct(request, self._recipe(request)))

    async def _recipe(self, request: CreateShareInput) -> dict[str, Any]:
        begun = await self.begin(request)
        if begun.status is BeginStatus.ENDED:
            return await self.ended_before(begun)
        made = await self.make(begun)
        return await self.commit(export_paths=made.export_paths, qos=made.qos)
