"""What operations share that make an object on a pool: the next-best pool is taken when one refuses."""

from __future__ import annotations

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, FailureError

with workflow.unsafe.imports_passed_through():
    from shareflow import names
    from shareflow.contracts.places import BeginStatus, ObjectPlace
    from shareflow.contracts.steps import Begun, PlaceAgainInput
    from workflows.conduct import GaveUp, Operation, as_error, failure_of


def refused_by_pool(error: ActivityError | GaveUp) -> bool:
    """Whether another pool may accept what this one refused, or what no worker of its backend took."""
    if isinstance(error, GaveUp):
        return not error.sent
    cause = error.cause
    return (
        isinstance(cause, ApplicationError)
        and cause.type == "BackendRefused"
        and bool(cause.details[1:] and cause.details[1])
    )


async def place_again(operation: Operation, title: str, place: ObjectPlace, refusal: ActivityError | GaveUp) -> Begun:
    """Take back what a pool refused to make, or made in part, and have the next-best one for it.

    Args:
        operation: whose object it is.
        title: of the undo of the object.
        place: where it was to be.
        refusal: what the pool said; raised as the operation's failure when no other pool is left.
    """
    reason = failure_of(refusal).message
    operation.log.note = f"{place.backend}/{place.pool} refused: {reason}"
    operation.log.failed(reason)
    await operation.take_back(title)
    step = PlaceAgainInput(operation=operation.id, instance=place.id, pool_id=place.pool_id, reason=reason[:300])
    operation.log.start("take the next-best pool")
    while True:
        try:
            begun = await operation.inventory(names.PLACE_AGAIN, step, Begun)
        except FailureError as error:
            if failure_of(error).type == "NoPoolFits":
                raise as_error(failure_of(refusal)) from error
            raise
        if begun.status is not BeginStatus.WAITING:
            break
        await operation.stand_in_line(begun.waiting_for)
    operation.begun, operation.log.placement = begun, begun.placement
    operation.log.done()
    await operation.wake(begun.waiting_for)
    return begun
