"""The id of an operation makes it happen once, however often it is sent."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

from inventory import tables
from shareflow import names
from tests.support.scenes import GIB, Gate, Handle, Scene
from tests.support.world import Refused

HOME = {"name": "home", "size": "1 GiB", "backend": "alpha", "pool": "a1"}


async def _join(scene: Scene, operation: str, request: dict[str, Any]) -> Handle:
    """Start an operation, or find the one that runs."""
    return await scene.world.skipper.client.start_workflow(
        names.CREATE_SHARE,
        {"project": scene.project, **request},
        id=operation,
        task_queue=names.QUEUE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
    )


async def test_ten_identical_requests_at_once_make_one_share_and_get_one_answer(scene: Scene) -> None:
    """Who starts it and who joins it makes no difference."""
    operation = scene.new_id()
    handles = await asyncio.gather(*(_join(scene, operation, HOME) for _ in range(10)))
    answers = await asyncio.gather(*(scene.world.result(handle) for handle in handles))
    assert all(answer == answers[0] for answer in answers)
    assert len(scene.rows(tables.shares, project=scene.project)) == 1
    assert len(scene.objects()) == 1


async def test_same_request_again_while_it_runs_is_refused_by_the_server(scene: Scene) -> None:
    """Without asking to join, a second start of a running id is an error at once."""
    operation = scene.new_id()
    gate = Gate("backend.create_share.before_call", operation)
    handle = await scene.start(names.CREATE_SHARE, operation=operation, **HOME)
    await gate.reached()
    with pytest.raises(WorkflowAlreadyStartedError):
        await scene.start(names.CREATE_SHARE, operation=operation, **HOME)
    gate.open()
    await scene.world.result(handle)


async def test_same_request_after_it_ended_gives_the_recorded_answer(scene: Scene) -> None:
    """Sent again after hours: the same answer, nothing is made, even when the share has changed since."""
    operation = scene.new_id()
    first = await scene.run(names.CREATE_SHARE, operation=operation, **HOME)
    await scene.run(names.RESIZE_SHARE, share="home", size="2 GiB")
    assert await scene.run(names.CREATE_SHARE, operation=operation, **HOME) == first
    assert scene.share()["size"] == 2 * GIB


async def test_same_request_written_differently_is_the_same(scene: Scene) -> None:
    """Sizes are compared as bytes, and defaults may be said."""
    operation = scene.new_id()
    first = await scene.run(names.CREATE_SHARE, operation=operation, **HOME)
    again = await scene.run(
        names.CREATE_SHARE, operation=operation, **{**HOME, "size": GIB, "type": "standard", "on_busy": "queue"}
    )
    assert again == first


@pytest.mark.parametrize("change", [{"size": "2 GiB"}, {"name": "other"}, {"description": "mine"}, {"project": "p-x"}])
async def test_same_id_with_other_content_is_refused(scene: Scene, change: dict[str, str]) -> None:
    """The first operation and its recorded answer stay what they are."""
    operation = scene.new_id()
    first = await scene.run(names.CREATE_SHARE, operation=operation, **HOME)
    before = dict(scene.operation(operation))
    with pytest.raises(Refused) as refused:
        await scene.run(names.CREATE_SHARE, operation=operation, **{**HOME, **change})
    assert refused.value.code == "RequestReused"
    assert "SF104" in refused.value.text
    assert dict(scene.operation(operation)) == before
    assert await scene.run(names.CREATE_SHARE, operation=operation, **HOME) == first


async def test_same_id_for_another_kind_of_operation_is_refused(scene: Scene) -> None:
    """Content is kind and fields."""
    operation = scene.new_id()
    await scene.run(names.CREATE_SHARE, operation=operation, **HOME)
    with pytest.raises(Refused) as refused:
        await scene.run(names.RESIZE_SHARE, operation=operation, share="home", size="2 GiB")
    assert refused.value.code == "RequestReused"


async def test_same_id_with_other_content_leaves_an_interrupted_operation_alone(scene: Scene) -> None:
    """A workflow that was terminated has an open operation; a stranger's request with its id may not undo it."""
    operation = scene.new_id()
    gate = Gate("backend.create_share.after_call", operation)
    handle = await scene.start(names.CREATE_SHARE, operation=operation, **HOME)
    await gate.reached()
    await handle.terminate("by hand")
    gate.open()
    before = dict(scene.operation(operation))
    with pytest.raises(Refused) as refused:
        await scene.run(names.CREATE_SHARE, operation=operation, **{**HOME, "size": "2 GiB"})
    assert refused.value.code == "RequestReused"
    assert dict(scene.operation(operation)) == before
    assert (await scene.run(names.CREATE_SHARE, operation=operation, **HOME))["size"] == GIB


async def test_refused_request_sent_again_gets_the_same_refusal(scene: Scene) -> None:
    """A refusal is an answer like any other: it does not change when the reason is gone."""
    operation = scene.new_id()
    request = {"share": "home", "name": "s1"}
    with pytest.raises(Refused) as first:
        await scene.run(names.CREATE_SNAPSHOT, operation=operation, **request)
    await scene.create()
    with pytest.raises(Refused) as again:
        await scene.run(names.CREATE_SNAPSHOT, operation=operation, **request)
    assert (again.value.code, again.value.text) == (first.value.code, first.value.text)
    assert first.value.code == "NotFound"
    await scene.snapshot()


async def test_cancelled_request_sent_again_says_that_it_was_cancelled(scene: Scene) -> None:
    """The second workflow was not cancelled, so it fails, with the reason that is on record."""
    operation = scene.new_id()
    gate = Gate("backend.create_share.before_call", operation)
    handle = await scene.start(names.CREATE_SHARE, operation=operation, **HOME)
    await gate.reached()
    await handle.cancel()
    gate.open()
    await scene.cancelled(handle)
    with pytest.raises(Refused) as refused:
        await scene.run(names.CREATE_SHARE, operation=operation, **HOME)
    assert refused.value.code == "OperationCancelled"
    assert "SF305" in refused.value.text
