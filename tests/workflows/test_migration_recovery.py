"""Migrations whose workflow is lost: the reconciler of claims undoes them, or brings them to their end."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

from activities.inventory_steps import InventorySteps
from activities.reconcile import ClaimsReconciler
from shareflow import names
from shareflow.contracts.reconcile import LostOperation
from tests.support.scenes import Gate, Handle, Scene, until
from tests.workflows.test_migrate_share import backend_of, caught_up, migrate, tree, write


async def _reconciled(scene: Scene, handle: Handle) -> Handle:
    """Terminate the migration and let the reconciler find it; gives its new run."""
    await handle.terminate("an operator")
    result = await scene.world.run(names.RECONCILE_CLAIMS, {"grace": 0}, operation=f"claims-{uuid.uuid4()}")
    assert any(handle.id in line for line in result["resumed"])
    return scene.world.client.get_workflow_handle(handle.id)


async def _resumed_as_missing(scene: Scene, handle: Handle) -> Handle:
    """Take its workflow away, and resume it as one of which the server knows nothing."""
    await handle.terminate("the server's state is lost")
    services = scene.world.process.services
    reconciler = ClaimsReconciler(services, InventorySteps(services))
    lost = LostOperation(operation=handle.id, workflow="missing")
    assert await reconciler.resume_operation(lost) == "continue"
    return scene.world.client.get_workflow_handle(handle.id)


async def _held_at(scene: Scene, point: str, **fields: Any) -> tuple[Handle, Gate]:
    """A migration that has caught up, was told to cut over, and stands at a point of that."""
    operation = scene.new_id()
    handle = await migrate(scene, operation=operation, **fields)
    await caught_up(scene, handle)
    gate = Gate(point, operation)
    await handle.execute_update(names.CUTOVER, {})
    await gate.reached()
    return handle, gate


async def _undone(scene: Scene, handle: Handle) -> None:
    await until(lambda: scene.operation(handle.id)["ended_at"] is not None, seconds=30)
    assert scene.operation(handle.id)["state"] == "failed-clean"
    assert backend_of(scene) == "alpha"
    write(scene, "z", b"writable")
    assert tree(scene) == {"a": b"one", "z": b"writable"}


async def test_one_that_is_ended_while_it_catches_up_is_undone(scene: Scene) -> None:
    """The share is what it was, and nothing of it is at the destination."""
    await scene.create()
    await scene.snapshot()
    write(scene, "a", b"one")
    handle = await migrate(scene, mode="driver")
    await caught_up(scene, handle)
    await _undone(scene, await _reconciled(scene, handle))


async def test_one_that_is_ended_behind_the_fence_lets_writers_in_again(scene: Scene) -> None:
    """The fence is the first thing that is taken away."""
    await scene.create()
    write(scene, "a", b"one")
    handle, gate = await _held_at(scene, "mover.verify.before_call", mode="driver")
    again = await _reconciled(scene, handle)
    gate.open()
    await _undone(scene, again)


async def test_one_that_is_ended_after_the_switch_goes_on_to_its_end(scene: Scene) -> None:
    """The destination is the share, so the old copy goes."""
    await scene.create()
    await scene.snapshot()
    write(scene, "a", b"one")
    handle, gate = await _held_at(scene, "backend.set_access_mode.before_call", mode="driver")
    again = await _reconciled(scene, handle)
    gate.open()
    result = await scene.world.result(again)
    assert (result["outcome"], backend_of(scene)) == ("migrated", "beta")
    assert tree(scene) == {"a": b"one"}


async def test_one_whose_server_state_is_lost_goes_on_where_it_was(scene: Scene) -> None:
    """What was copied stays, and the cutover comes when it is commanded."""
    await scene.create()
    await scene.snapshot()
    write(scene, "a", b"one")
    handle = await migrate(scene, mode="driver")
    passes = (await caught_up(scene, handle))["migration"]["passes"][-1]["number"]
    again = await _resumed_as_missing(scene, handle)
    await caught_up(scene, again, passes)
    await again.execute_update(names.CUTOVER, {})
    result = await scene.world.result(again)
    assert (result["outcome"], backend_of(scene)) == ("migrated", "beta")
    assert tree(scene) == {"a": b"one"}


async def test_one_whose_server_state_is_lost_behind_the_fence_cuts_over_again(scene: Scene) -> None:
    """Writers are let in first; the command to cut over still stands."""
    await scene.create()
    write(scene, "a", b"one")
    handle, gate = await _held_at(scene, "mover.verify.before_call", mode="driver")
    cut = Gate("backend.fence.before_call", handle.id)
    again = await _resumed_as_missing(scene, handle)
    gate.open()
    await cut.reached()
    write(scene, "b", b"two")
    cut.open()
    assert (await scene.world.result(again))["outcome"] == "migrated"
    assert tree(scene) == {"a": b"one", "b": b"two"}


async def test_a_copy_that_was_late_writes_nothing_over_what_clients_wrote_since(scene: Scene) -> None:
    """An attempt of the last delta that hung until after the switch finds that its claim is another one."""
    await scene.create()
    write(scene, "a", b"one")
    handle, gate = await _held_at(scene, "backend.fence.after_call", mode="host", grace="1 h")
    late = Gate("mover.copy.before_call", handle.id)
    gate.open()
    await late.reached()
    await scene.world.until(handle, "grace", seconds=30)
    write(scene, "a", b"written after the switch")
    late.open()
    await asyncio.sleep(1)  # nobody announces what does not happen
    assert tree(scene) == {"a": b"written after the switch"}
    await handle.execute_update(names.END_GRACE, {})
    await scene.world.result(handle)
