"""A busy resource queues its operations: in order of arrival, visibly, cancellably."""

from __future__ import annotations

import asyncio
import time

import pytest
from temporalio.api.enums.v1 import EventType

from drivers.fake import FaultKind
from inventory import tables
from shareflow import names
from tests.support.scenes import GIB, Handle, Scene
from tests.support.world import Refused


async def _hold(scene: Scene) -> Handle:
    """A snapshot that holds the share until the array's script is cleared."""
    operation = f"{scene.project}-holder"
    scene.world.array().script.add(FaultKind.HANG, verb="create_snapshot", operation=operation, before=60)
    handle = await scene.start(names.CREATE_SNAPSHOT, operation=operation, share="home", name="held")
    await scene.when(lambda: scene.rows(tables.claims, operation=operation))
    return handle


async def _queue(scene: Scene, size: int) -> Handle:
    handle = await scene.start(names.RESIZE_SHARE, share="home", size=size)
    await scene.when(lambda: scene.rows(tables.claims, operation=handle.id))
    return handle


def _release(scene: Scene) -> None:
    scene.world.array().script.clear()


async def test_second_operation_on_a_busy_share_waits_says_for_whom_and_is_woken_at_once(scene: Scene) -> None:
    """It names the operation ahead in its status, its details and its row, and goes on as soon as that one ends."""
    await scene.create()
    holder = await _hold(scene)
    waiter = await _queue(scene, 2 * GIB)
    status = await scene.world.until(waiter, "waiting")
    assert status["waiting_for"] == f"operation {holder.id}"
    assert status["commands"] == [names.RETRY_NOW]
    assert f"operation {holder.id}" in await scene.details(waiter)
    assert scene.operation(waiter.id)["waiting_for"] == [holder.id]
    _release(scene)
    await scene.world.result(holder)
    ended = time.monotonic()
    assert (await scene.world.result(waiter))["size"] == 2 * GIB
    assert time.monotonic() - ended < 1, "it was not woken: its fallback timer of 2 s ran"
    assert scene.operation(waiter.id)["waiting_for"] is None


async def test_cancelled_while_waiting_leaves_the_line_and_those_behind_move_up(scene: Scene) -> None:
    """A place in the line is given back like any other claim."""
    await scene.create()
    holder = await _hold(scene)
    first, second = await _queue(scene, 2 * GIB), await _queue(scene, 3 * GIB)
    await first.cancel()
    await scene.cancelled(first)
    assert not scene.rows(tables.claims, operation=first.id)
    assert scene.share()["size"] == GIB
    _release(scene)
    await scene.world.result(holder)
    assert (await scene.world.result(second))["size"] == 3 * GIB


async def test_cancelled_holder_hands_the_share_to_the_next_in_line(scene: Scene) -> None:
    """An undone operation wakes those who wait, as a finished one does."""
    await scene.create()
    holder = await _hold(scene)
    waiter = await _queue(scene, 2 * GIB)
    await holder.cancel()
    _release(scene)
    await scene.cancelled(holder)
    ended = time.monotonic()
    assert (await scene.world.result(waiter))["size"] == 2 * GIB
    assert time.monotonic() - ended < 1


async def test_on_busy_fail_names_the_operation_in_the_way_and_joins_no_line(scene: Scene) -> None:
    """Who does not want to wait is told at once for whom it would be."""
    await scene.create()
    holder = await _hold(scene)
    before = time.monotonic()
    with pytest.raises(Refused) as refused:
        await scene.run(names.RESIZE_SHARE, share="home", size="2 GiB", on_busy="fail")
    assert refused.value.code == "Busy"
    assert "SF105" in refused.value.text
    assert holder.id in refused.value.text
    assert time.monotonic() - before < 2
    assert {row["operation"] for row in scene.rows(tables.claims, resource_id=scene.share()["id"])} == {holder.id}
    _release(scene)
    await scene.world.result(holder)


async def test_five_in_line_are_served_in_the_order_they_came(scene: Scene) -> None:
    """Tickets order the line, whoever is quicker afterwards."""
    share = await scene.create()
    holder = await _hold(scene)
    waiting = [await _queue(scene, (2 + number) * GIB) for number in range(5)]
    assert (await scene.status(waiting[4]))["waiting_for"].startswith(f"operation {holder.id}")
    _release(scene)
    await asyncio.gather(*(scene.world.result(handle) for handle in waiting))
    changes = [row for row in scene.rows(tables.audit, resource_id=share["share_id"]) if row["after"] == "resizing"]
    in_order = sorted(changes, key=lambda row: int(row["revision"]))
    assert [row["operation"] for row in in_order] == [handle.id for handle in waiting]
    assert scene.share()["size"] == 6 * GIB


async def test_clones_of_one_snapshot_run_together_and_its_delete_waits_for_both(scene: Scene) -> None:
    """Readers share a snapshot; who wants it alone comes after them."""
    await scene.create()
    await scene.snapshot()
    scene.world.array().script.add(FaultKind.HANG, verb="clone_snapshot", before=60, times=2)
    clones = [
        await scene.start(names.CREATE_SHARE_FROM_SNAPSHOT, share="home", snapshot="s1", name=name)
        for name in ("left", "right")
    ]
    await scene.when(lambda: len(scene.rows(tables.shares, project=scene.project, status="creating")) == 2)
    deletion = await scene.start(names.DELETE_SNAPSHOT, share="home", snapshot="s1")
    status = await scene.world.until(deletion, "waiting")
    assert all(clone.id in status["waiting_for"] for clone in clones)
    late = await scene.start(names.CREATE_SHARE_FROM_SNAPSHOT, share="home", snapshot="s1", name="late")
    assert deletion.id in (await scene.world.until(late, "waiting"))["waiting_for"]
    _release(scene)
    for clone in clones:
        assert (await scene.world.result(clone))["size"] == GIB
    await scene.world.result(deletion)
    with pytest.raises(Refused) as refused:
        await scene.world.result(late)
    assert refused.value.code == "NotFound"


async def test_those_who_waited_for_a_purged_share_are_all_told_by_signal(scene: Scene) -> None:
    """Each one that finds the share gone wakes the next one; nobody has to sit out the fallback timer."""
    await scene.create()
    holder = await _hold(scene)
    deletion = await scene.start(names.DELETE_SHARE, share="home")
    await deletion.signal(names.PURGE_NOW, {})
    await scene.when(lambda: scene.rows(tables.claims, operation=deletion.id))
    waiting = [await _queue(scene, (2 + number) * GIB) for number in range(3)]
    _release(scene)
    await scene.world.result(holder)
    assert (await scene.world.result(deletion))["outcome"] == "purged"
    for handle in waiting:
        with pytest.raises(Refused) as refused:
            await scene.world.result(handle)
        assert refused.value.code == "NotFound"
        assert EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED in await scene.events(handle)


async def test_who_waits_for_a_name_never_gets_another_share_of_that_name(scene: Scene) -> None:
    """A second delete in line must not delete the share that was made under the same name meanwhile."""
    await scene.create()
    holder = await _hold(scene)
    first = await scene.start(names.DELETE_SHARE, share="home")
    await scene.when(lambda: scene.rows(tables.claims, operation=first.id))
    second = await scene.start(names.DELETE_SHARE, share="home")
    await scene.when(lambda: scene.rows(tables.claims, operation=second.id))
    _release(scene)
    await scene.world.result(holder)
    await scene.world.until(first, "recycle-bin")
    namesake = await scene.create()
    with pytest.raises(Refused) as refused:
        await scene.world.result(second)
    assert refused.value.code == "NotFound"
    assert scene.share()["id"] == namesake["share_id"]
    await first.signal(names.PURGE_NOW, {})
    await scene.world.result(first)


async def test_retry_now_looks_at_once_whether_it_is_its_turn(scene: Scene) -> None:
    """The command is offered while an operation waits, and harmless when the turn has not come."""
    await scene.create()
    holder = await _hold(scene)
    waiter = await _queue(scene, 2 * GIB)
    await scene.world.until(waiter, "waiting")
    assert holder.id in await waiter.execute_update(names.RETRY_NOW, {})
    assert (await scene.world.until(waiter, "waiting"))["waiting_for"] == f"operation {holder.id}"
    _release(scene)
    await asyncio.gather(scene.world.result(holder), scene.world.result(waiter))
