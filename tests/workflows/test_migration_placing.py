"""Migrations whose destination refuses: the next-best pool is taken, unless the user has named one."""

from __future__ import annotations

from typing import Any

import pytest

from drivers.fake import FaultKind
from inventory import tables
from shareflow import names
from tests.support.scenes import GIB, Gate, Handle, Scene
from tests.support.world import Refused
from tests.workflows.test_migrate_share import backend_of, caught_up, migrate, snapshot_trees, tree, write

ANYWHERE: dict[str, Any] = {"to_pool": None, "to_backend": None}


def _pool_of(scene: Scene) -> str:
    row = scene.one(tables.instances, share_id=scene.share()["id"], role="active")
    return str(scene.one(tables.pools, id=row["pool_id"])["name"])


@pytest.mark.parametrize("kind", [FaultKind.FULL, FaultKind.REJECT])
async def test_a_pool_that_refuses_the_destination_is_excluded_and_the_next_best_taken(
    scene: Scene, kind: FaultKind
) -> None:
    """The share arrives there with all that it has; nothing is left or reserved on the pool that refused."""
    await scene.create(size="2 GiB")
    write(scene, "a", b"one")
    await scene.snapshot("s1")
    write(scene, "a", b"two")
    before = snapshot_trees(scene)
    operation = scene.new_id()
    scene.world.array("alpha").script.add(
        kind, verb="create_share", operation=operation, message="the disks are on fire", pool_specific=True
    )
    handle = await migrate(scene, operation=operation, **ANYWHERE)
    status = await caught_up(scene, handle)
    assert "alpha/a2 refused" in status["note"]
    assert status["migration"]["destination"] == "beta/b1"
    await handle.execute_update(names.CUTOVER, {})
    result = await scene.world.result(handle)
    assert (result["outcome"], result["destination"]) == ("migrated", "beta/b1")
    assert tree(scene) == {"a": b"two"}
    assert snapshot_trees(scene) == before
    excluded = scene.operation(handle.id)["placement"]["excluded"]
    assert any("refused" in reason or "fire" in reason or "full" in reason for reason in excluded.values()), excluded


async def test_a_pool_that_the_user_named_stays_named_and_its_refusal_is_the_answer(scene: Scene) -> None:
    """Nothing is tried elsewhere, nothing is left, and the share is where it was."""
    await scene.create()
    write(scene, "a", b"one")
    operation = scene.new_id()
    scene.world.array("beta").script.add(
        FaultKind.REJECT, verb="create_share", operation=operation, message="the disks are on fire", pool_specific=True
    )
    with pytest.raises(Refused, match="the disks are on fire") as caught:
        await scene.world.result(await migrate(scene, operation=operation))
    assert caught.value.code == "BackendRefused"
    assert backend_of(scene) == "alpha"
    assert tree(scene) == {"a": b"one"}


async def test_when_every_pool_refuses_the_last_refusal_is_the_answer(scene: Scene) -> None:
    """Each pool is asked once; the share is where it was."""
    await scene.create()
    operation = scene.new_id()
    for backend in ("alpha", "beta"):
        scene.world.array(backend).script.add(FaultKind.FULL, verb="create_share", operation=operation, times=9)
    with pytest.raises(Refused) as caught:
        await scene.world.result(await migrate(scene, operation=operation, **ANYWHERE))
    assert caught.value.code == "BackendRefused"
    asked = scene.operation(operation)["placement"]["excluded"]
    assert len(asked) == 3, asked  # its own pool, and two that refused
    assert _pool_of(scene) == "a1"


async def test_a_retype_that_has_to_move_takes_the_next_best_pool_as_well(scene: Scene) -> None:
    """It stays a retype: the share has the new type where it arrives."""
    await scene.create(backend="beta", pool="b1")
    operation = scene.new_id()
    scene.world.array("alpha").script.add(FaultKind.FULL, verb="create_share", operation=operation)
    handle = await scene.start(
        names.RETYPE_SHARE, operation=operation, share="home", type="choosy", cutover_when="immediately", grace=0
    )
    result = await scene.world.result(handle)
    assert (scene.share()["type"], result["outcome"]) == ("choosy", "migrated")
    assert result["destination"] == "alpha/a1"


async def _refused_while_resized(scene: Scene) -> tuple[Handle, Handle, Gate]:
    """A migration that waits to be placed again, for a resize that stands at a gate: both, and the gate."""
    await scene.create(size="1 GiB")
    resize, operation = scene.new_id(), scene.new_id()
    refusal = Gate("backend.create_share.before_call", operation)
    resizing = Gate("backend.resize_share.before_call", resize)
    scene.world.array("alpha").script.add(FaultKind.FULL, verb="create_share", operation=operation)
    handle = await migrate(scene, operation=operation, **ANYWHERE)
    await refusal.reached()
    other = await scene.start(names.RESIZE_SHARE, operation=resize, share="home", size="3 GiB")
    await resizing.reached()
    refusal.open()
    await scene.world.until(handle, "waiting")
    assert resize in (await scene.status(handle))["waiting_for"]
    return handle, other, resizing


async def test_what_others_do_to_the_share_meanwhile_is_done_first_and_is_there_in_the_end(scene: Scene) -> None:
    """A resize under way when the pool refuses: the next destination has the new size, and every pool adds up."""
    handle, other, resizing = await _refused_while_resized(scene)
    resizing.open()
    await scene.world.result(other)
    await caught_up(scene, handle)
    await handle.execute_update(names.CUTOVER, {})
    assert (await scene.world.result(handle))["destination"] == "beta/b1"
    assert scene.share()["size"] == 3 * GIB


async def test_a_cancel_while_it_waits_to_be_placed_again_leaves_nothing(scene: Scene) -> None:
    """Its place in the line is free, and who comes after it goes on."""
    handle, other, resizing = await _refused_while_resized(scene)
    await handle.execute_update(names.CANCEL_MIGRATION, {})
    with pytest.raises(Refused, match="cancelled"):
        await scene.world.result(handle)
    resizing.open()
    await scene.world.result(other)
    assert _pool_of(scene) == "a1"
