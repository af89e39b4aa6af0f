"""A replica moves: it is kept in step until its successor has everything, and one of the two is left."""

from __future__ import annotations

from typing import Any

import pytest
from temporalio.client import WorkflowUpdateFailedError

from drivers.fake import FaultKind
from inventory import tables
from shareflow import names
from tests.support.replicas import Replicated
from tests.support.scenes import Gate, Handle
from tests.support.world import Refused
from tests.workflows.test_migrate_share import caught_up

BOTH = {"docs/a": b"one", "docs/b": b"two"}
FIELDS: dict[str, Any] = {"to_pool": "a2", "same_domain": True}


async def _refused(home: Replicated, code: str, **fields: Any) -> str:
    with pytest.raises(Refused) as refused:
        await home.run(names.MIGRATE_REPLICA, **fields)
    assert refused.value.code == code, refused.value.text
    return refused.value.text


async def _paused(home: Replicated, replica: str, **fields: Any) -> Handle:
    """A move that has begun and copies nothing until it is resumed."""
    operation = home.scene.new_id()
    for array in ("alpha", "beta"):
        script = home.scene.world.array(array).script
        script.add(FaultKind.HANG, verb="receive_snapshot", operation=operation, before=2, times=1)
    move = await home.start(names.MIGRATE_REPLICA, operation=operation, replica=replica, **{**FIELDS, **fields})
    await home.scene.world.until(move, "copying", seconds=20)
    await move.execute_update(names.PAUSE, {})
    await home.scene.world.until(move, "paused", seconds=20)
    return move


async def test_replica_is_in_its_new_pool_and_nothing_is_left_in_the_old_one(home: Replicated) -> None:
    """In step there, with all snapshots; the sync of the old one has ended by itself."""
    await home.create()
    old = await home.replicate()
    sync = home.sync(old)
    moved = await home.run(names.MIGRATE_REPLICA, replica="b1", **FIELDS)
    assert (moved["outcome"], moved["source"], moved["backend"], moved["pool"]) == (
        "migrated",
        "beta/b1",
        "alpha",
        "a2",
    )
    (row,) = home.replicas()
    assert row["id"] == moved["replica_id"] != old
    assert row["state"] == "in_sync"
    assert (await sync.result())["state"] == "succeeded"
    assert not [one for one in home.scene.world.array("beta").objects() if one.name in home.scene.objects()]
    home.write("docs/b", b"two")
    await home.scene.snapshot("s2")
    await home.in_step(row["id"])
    await home.has(row["id"], BOTH)
    assert set(home.copies(row["id"])) == {"s1", "s2"}


async def test_old_replica_is_kept_in_step_while_the_new_one_is_filled(home: Replicated) -> None:
    """What would be lost with the active instance does not grow meanwhile."""
    await home.create()
    old = await home.replicate()
    move = await _paused(home, old)
    home.write("docs/b", b"two")
    await home.in_step(old)
    await move.execute_update(names.RESUME, {})
    moved = await home.scene.world.result(move)
    await home.in_step(moved["replica_id"])
    await home.has(moved["replica_id"], BOTH)


CANCELLED = [
    "inventory.begin.after_commit",
    "backend.create_share.after_call",
    "mover.receive.after_call",
    "backend.revert_share.after_call",
]


@pytest.mark.parametrize("point", CANCELLED)
async def test_cancelled_move_leaves_the_replica_where_it_was(home: Replicated, point: str) -> None:
    """Nothing of the new one is left, and the rounds of the old one go on."""
    await home.create()
    old = await home.replicate()
    operation = home.scene.new_id()
    gate = Gate(point, operation)
    move = await home.start(names.MIGRATE_REPLICA, operation=operation, replica=old, **FIELDS)
    await gate.reached()
    await move.cancel()
    gate.open()
    await home.scene.cancelled(move)
    assert [row["id"] for row in home.replicas()] == [old]
    home.write("docs/b", b"two")
    await home.in_step(old)
    await home.has(old, BOTH)


async def test_pool_that_refuses_ends_the_move_with_its_reason_when_there_is_no_other(home: Replicated) -> None:
    """The old replica is untouched."""
    await home.create()
    old = await home.replicate()
    operation = home.scene.new_id()
    home.scene.world.array("alpha").script.add(FaultKind.FULL, verb="create_share", operation=operation, times=1)
    await _refused(home, "BackendRefused", operation=operation, replica=old, **FIELDS)
    assert [row["id"] for row in home.replicas()] == [old]
    await home.in_step(old)


async def test_a_pool_that_refuses_a_new_replica_is_passed_over_for_the_next_best(home: Replicated) -> None:
    """Nothing is left where it was refused, its snapshot comes along, and it is kept in step where it is."""
    await home.create()
    operation = home.scene.new_id()
    for backend in ("alpha", "beta"):  # whichever is best
        home.scene.world.array(backend).script.add(
            FaultKind.FULL, verb="create_share", operation=operation, step="create", times=1
        )
    with pytest.raises(Refused) as refused:
        await home.run(names.CREATE_REPLICA, operation=operation, same_domain=True)
    assert refused.value.code == "BackendRefused"
    assert home.replicas() == []
    operation = home.scene.new_id()
    best = (await home.run(names.CREATE_REPLICA, same_domain=True))["backend"]
    await home.clean()
    await home.create()
    home.scene.world.array(best).script.add(FaultKind.FULL, verb="create_share", operation=operation, times=1)
    made = await home.run(names.CREATE_REPLICA, operation=operation, same_domain=True)
    assert made["backend"] != best
    home.write("docs/b", b"two")
    await home.in_step(made["replica_id"])
    await home.has(made["replica_id"], BOTH)


async def test_move_can_be_paused_limited_and_cancelled_by_command(home: Replicated) -> None:
    """And it says that it has no cutover."""
    await home.create()
    old = await home.replicate()
    operation = home.scene.new_id()
    home.scene.world.array("alpha").script.add(
        FaultKind.HANG, verb="receive_snapshot", operation=operation, before=2, times=1
    )
    move = await home.start(names.MIGRATE_REPLICA, operation=operation, replica=old, **FIELDS)
    await home.scene.world.until(move, "copying", seconds=20)
    assert await move.execute_update(names.SET_BANDWIDTH, {"bandwidth": "5 MiB/s"}) == "5 MiB/s"
    assert await move.execute_update(names.PAUSE, {}) == "paused"
    await home.scene.world.until(move, "paused", seconds=20)
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await move.execute_update(names.CUTOVER, {})
    assert "a replica is switched by itself" in str(refused.value.cause)
    await move.execute_update(names.RESUME, {})
    assert (await home.scene.world.result(move))["outcome"] == "migrated"


async def test_promotion_of_the_replica_wins_over_its_move(home: Replicated) -> None:
    """It does not wait for the copy, and the move is told and undone."""
    await home.create()
    old = await home.replicate()
    move = await _paused(home, old)
    await home.run(names.PROMOTE_REPLICA, replica=old)
    await move.execute_update(names.RESUME, {})
    with pytest.raises(Refused) as refused:
        await home.scene.world.result(move)
    assert refused.value.code == "InvalidState"
    assert home.active() == old
    (row,) = home.replicas()
    home.write("docs/b", b"two")
    await home.in_step(row["id"])
    await home.has(row["id"], BOTH)


async def test_replica_never_moves_to_where_its_share_is_going(home: Replicated) -> None:
    """The destination of a migration that runs counts like every other copy."""
    await home.create()
    old = await home.replicate()
    migration = await home.start(names.MIGRATE_SHARE, to_pool="a2", preserve_snapshots=True, grace=0)
    await caught_up(home.scene, migration)
    assert "a copy of the share is there" in await _refused(home, "NoPoolFits", replica=old, **FIELDS)
    await migration.cancel()
    await home.scene.cancelled(migration)
    assert [row["id"] for row in home.replicas()] == [old]


async def test_share_never_moves_to_where_its_replica_is_or_comes(home: Replicated) -> None:
    """Both of its places are left out while it moves; snapshots go on, and the new one gets them."""
    await home.create()
    old = await home.replicate(pool="a2", same_domain=True)
    move = await _paused(home, old, to_pool="b1")
    pools = {"same_domain": True, "to_backend": "alpha"}
    with pytest.raises(Refused, match="a replica of the share is there"):
        await home.run(names.MIGRATE_SHARE, preserve_snapshots=True, **pools)
    await home.scene.snapshot("s2")
    await move.execute_update(names.RESUME, {})
    moved = await home.scene.world.result(move)
    await home.in_step(moved["replica_id"])
    assert set(home.copies(moved["replica_id"])) == {"s1", "s2"}


async def test_deletion_of_the_share_ends_the_move(home: Replicated) -> None:
    """The move is cancelled and undone; everything goes."""
    await home.create()
    old = await home.replicate()
    operation = home.scene.new_id()
    home.scene.world.array("alpha").script.add(
        FaultKind.HANG, verb="receive_snapshot", operation=operation, before=20, times=1
    )
    move = await home.start(names.MIGRATE_REPLICA, operation=operation, replica=old, **FIELDS)
    await home.scene.world.until(move, "copying", seconds=20)
    await home.scene.purge("home")
    with pytest.raises(Refused) as refused:
        await home.scene.world.result(move)
    assert refused.value.code == "OperationCancelled"
    assert home.scene.objects() == set()
    await home.scene.when(
        lambda: not home.scene.rows(tables.operations, project=home.scene.project, state="running"), seconds=30
    )


async def test_what_cannot_be_moved_is_refused_at_once(home: Replicated) -> None:
    """Each with the field and what to do instead; nothing is left of the tries."""
    await home.create()
    old = await home.replicate()
    before = home.scene.objects()
    assert "already" in await _refused(home, "InvalidInput", replica=old, to_pool="b1")
    assert "has a copy of the share" in await _refused(home, "NoPoolFits", replica=old, to_pool="a2")
    assert "a copy of the share is there" in await _refused(
        home, "NoPoolFits", replica=old, to_pool="a1", same_domain=True
    )
    assert "has the active instance" in await _refused(home, "InvalidState", replica="alpha/a1")
    assert "has the active instance" in await _refused(home, "InvalidState", replica="a1")
    await _refused(home, "NotFound", replica="nobody")
    await _refused(home, "NotFound", replica=old, to_backend="gamma")
    await _refused(home, "NotFound", replica=old, to_pool="a9")
    elsewhere = await home.run(names.MIGRATE_REPLICA, replica=old, from_backend="alpha")
    assert (elsewhere["outcome"], elsewhere["replica_id"]) == ("elsewhere", old)
    assert [row["id"] for row in home.replicas()] == [old]
    assert len(home.scene.objects() - before) <= 2  # a sync point more, while a round runs


async def test_stale_copy_of_a_lost_instance_is_not_moved(home: Replicated) -> None:
    """It is kept for the operator as it is, where it is."""
    await home.create()
    old, lost = await home.replicate(), home.active()
    await home.lose(replica=old)
    await home.scene.when(lambda: home.row(lost)["stale"] == "kept", seconds=20)
    assert "has a stale copy" in await _refused(home, "InvalidState", replica=lost, **FIELDS)
