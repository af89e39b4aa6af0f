"""A share with replicas moves: they follow it, and nobody has to wait for one of them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from drivers.fake import FaultKind
from inventory import tables
from shareflow import names
from tests.support.replicas import Replicated
from tests.support.scenes import GIB, Gate, Handle
from tests.support.world import Refused
from tests.workflows.test_migrate_share import caught_up

AWAY: dict[str, Any] = {"to_pool": "a2", "preserve_snapshots": True, "grace": 0}
AT_ONCE: dict[str, Any] = {**AWAY, "cutover_when": "immediately"}


async def _moves(home: Replicated, **fields: Any) -> dict[str, Any]:
    return await home.run(names.MIGRATE_SHARE, **{**AT_ONCE, **fields})


async def _refused(home: Replicated, code: str, kind: str = names.MIGRATE_SHARE, **fields: Any) -> str:
    with pytest.raises(Refused) as refused:
        await home.run(kind, **fields)
    assert refused.value.code == code, refused.value.text
    return refused.value.text


@pytest.mark.parametrize("mode", ["driver", "host"])
async def test_replica_follows_the_share_to_its_new_pool(home: Replicated, mode: str) -> None:
    """Without an error in between: it has what is written there, and nothing is left of what it had at the old one."""
    await home.create()
    replica = await home.replicate()
    await home.in_step(replica)
    moved = await _moves(home, mode=mode)
    assert (moved["outcome"], moved["destination"]) == ("migrated", "alpha/a2")
    assert home.row(replica)["error"] == ""
    home.write("docs/b", b"two")
    await home.scene.snapshot("s2")
    await home.in_step(replica)
    assert home.row(replica)["error"] == ""
    assert set(home.copies(replica)) == {"s1", "s2"}
    await home.has(replica, {"docs/a": b"one", "docs/b": b"two"})
    assert home.copies(replica) == {"s1": {"docs/a": b"one"}, "s2": {"docs/a": b"one", "docs/b": b"two"}}


async def test_next_round_after_a_migration_brings_only_what_changed(home: Replicated) -> None:
    """The newest snapshot that both sides have is the base: it went along."""
    await home.create()
    home.write("big", bytes(2**20))
    await home.scene.snapshot("s2")
    replica = await home.replicate()
    await home.in_step(replica)
    await _moves(home)
    home.write("docs/b", b"two")
    await home.in_step(replica)
    assert home.row(replica)["moved_bytes"] < 2**20
    assert home.row(replica)["memory"]["passes"] > 1


async def test_round_that_holds_the_replica_gives_way_to_the_cutover(home: Replicated) -> None:
    """It is taken up beside the new active instance; its half-made sync point goes with the old one."""
    await home.create()
    replica = await home.replicate()
    await home.in_step(replica)
    migration = await home.start(names.MIGRATE_SHARE, **AWAY)
    await caught_up(home.scene, migration)
    sync = home.row(replica)["sync_operation"]
    rule = home.scene.world.array("beta").script.add(
        FaultKind.HANG, verb="receive_snapshot", operation=sync, before=20, times=1
    )
    home.write("docs/b", b"half")  # else no round would follow
    await home.scene.when(lambda: home.scene.world.array("beta").script.hits(rule) > 0, seconds=30)
    await migration.execute_update(names.CUTOVER, {})
    assert (await home.scene.world.result(migration))["outcome"] == "migrated"
    home.write("docs/b", b"two")
    await home.in_step(replica)
    await home.has(replica, {"docs/a": b"one", "docs/b": b"two"})


async def test_cutover_waits_for_a_resync_and_nobody_for_the_share_meanwhile(home: Replicated) -> None:
    """Snapshots and resizes are carried out; the cutover follows when the replica is there again."""
    await home.create()
    replica = await home.replicate()
    migration = await home.start(names.MIGRATE_SHARE, **AWAY)
    await caught_up(home.scene, migration)
    operation = home.scene.new_id()
    gate = Gate("mover.receive.before_call", operation)
    resync = await home.start(names.RESYNC_REPLICA, operation=operation, replica=replica)
    await gate.reached()
    await migration.execute_update(names.CUTOVER, {})
    await home.scene.when(lambda: home.scene.operation(migration.id)["waiting_for"] == [resync.id], seconds=20)
    await home.scene.snapshot("s2")
    await home.run(names.RESIZE_SHARE, size=2 * GIB)
    gate.open()
    assert (await home.scene.world.result(resync))["replica_state"] == "in_sync"
    assert (await home.scene.world.result(migration))["outcome"] == "migrated"
    assert set(home.copies(home.active())) == {"s1", "s2"}
    await home.in_step(replica)
    assert set(home.copies(replica)) == {"s1", "s2"}


async def test_snapshots_and_syncs_go_on_while_the_share_is_copied(home: Replicated) -> None:
    """Each is on all three copies afterwards, also one that is taken while a replica is resynced."""
    await home.create()
    replica = await home.replicate()
    migration = await home.start(names.MIGRATE_SHARE, **AWAY)
    await caught_up(home.scene, migration)
    home.write("docs/b", b"two")
    operation = home.scene.new_id()
    gate = Gate("mover.receive.before_call", operation)
    resync = await home.start(names.RESYNC_REPLICA, operation=operation, replica=replica, full=True)
    await gate.reached()
    await home.scene.snapshot("s2")
    gate.open()
    await home.scene.world.result(resync)
    await home.in_step(replica)
    assert set(home.copies(replica)) == {"s1", "s2"}
    await migration.execute_update(names.CUTOVER, {})
    await home.scene.world.result(migration)
    expected = {"s1": {"docs/a": b"one"}, "s2": {"docs/a": b"one", "docs/b": b"two"}}
    assert home.copies(home.active()) == expected
    await home.in_step(replica)
    assert home.copies(replica) == expected


CANCELLED = [
    "inventory.begin.after_commit",
    "backend.create_share.after_call",
    "mover.receive.after_call",
    "inventory.begin_cutover.after_commit",
    "backend.fence.after_call",
    "mover.verify.after_call",
]


@pytest.mark.parametrize("point", CANCELLED)
async def test_cancelled_migration_leaves_the_share_and_its_replica_as_they_were(home: Replicated, point: str) -> None:
    """The same active instance, writable, and the sync goes on with what it had in common with it."""
    await home.create()
    replica = await home.replicate()
    await home.in_step(replica)
    before = home.active()
    operation = home.scene.new_id()
    gate = Gate(point, operation)
    migration = await home.start(names.MIGRATE_SHARE, operation=operation, **AT_ONCE)
    await gate.reached()
    await migration.cancel()
    gate.open()
    await home.scene.cancelled(migration)
    assert home.active() == before
    assert home.mode(before) == "rw"
    assert {row["role"] for row in home.scene.rows(tables.instances, share_id=home.scene.share()["id"])} == {
        "active",
        "replica",
    }
    home.write("docs/b", b"two")
    await home.in_step(replica)
    assert home.row(replica)["error"] == ""
    await home.has(replica, {"docs/a": b"one", "docs/b": b"two"})


async def test_failed_cutover_gives_the_replicas_back(home: Replicated) -> None:
    """Their syncs go on until the next one, which takes them again."""
    await home.create()
    replica = await home.replicate()
    operation = home.scene.new_id()
    home.scene.world.array("alpha").script.add(
        FaultKind.REJECT, verb="revert_share", operation=operation, step="take-1", times=1
    )
    migration = await home.start(names.MIGRATE_SHARE, operation=operation, **AWAY)
    await caught_up(home.scene, migration)
    await migration.execute_update(names.CUTOVER, {})
    await home.scene.noted(migration, "the cutover failed", seconds=20)
    await home.in_step(replica)
    await migration.execute_update(names.CUTOVER, {})
    assert (await home.scene.world.result(migration))["outcome"] == "migrated"
    await home.in_step(replica)


async def test_replica_that_is_away_keeps_no_share_from_moving(home: Replicated) -> None:
    """It shows its error before and after, and follows when it is back."""
    await home.create()
    replica = await home.replicate()
    away = home.scene.world.array("beta").script.add(FaultKind.UNREACHABLE, times=None)
    await home.failing(replica)
    assert (await _moves(home))["outcome"] == "migrated"
    await home.failing(replica)
    home.write("docs/b", b"two")
    home.scene.world.array("beta").script.lift(away)
    await home.in_step(replica)
    await home.has(replica, {"docs/a": b"one", "docs/b": b"two"})


async def test_share_never_moves_to_a_replica_nor_into_its_failure_domain(home: Replicated) -> None:
    """Each pool is left out with its reason; the second one is allowed on request."""
    await home.create(backend="beta", pool="b1")
    await home.replicate(pool="a2")
    text = await _refused(home, "NoPoolFits", **{**AT_ONCE, "to_pool": "a2"})
    assert "a replica of the share is there; promote it instead" in text
    text = await _refused(home, "NoPoolFits", **{**AT_ONCE, "to_pool": "a1", "dry_run": True})
    assert "alpha/a2 in the same backend 'alpha' has a copy of the share" in text
    plan = await _moves(home, to_pool="a1", same_domain=True, dry_run=True)
    assert plan["plan"]["destination"] == "alpha/a1"
    assert (await _moves(home, to_pool="a1", same_domain=True))["destination"] == "alpha/a1"


async def test_readable_replica_must_be_able_to_follow_by_the_backends(home: Replicated) -> None:
    """Where only the mover could bring content to it, clients would read half of it: that pool is left out."""
    await home.create(type="mirrored")
    replica = await home.replicate()
    scene = home.scene
    row = scene.one(tables.pools, name="a2")
    with scene.world.database.write() as connection:
        changed = {**row["attributes"], "transfer": ""}
        connection.execute(tables.pools.update().where(tables.pools.c.id == row["id"]).values(attributes=changed))
    try:
        text = await _refused(home, "NoPoolFits", **AT_ONCE)
        assert "the replica in beta/b1 could not follow: clients could read there while the mover writes" in text
    finally:
        with scene.world.database.write() as connection:
            pools = tables.pools
            connection.execute(pools.update().where(pools.c.id == row["id"]).values(attributes=row["attributes"]))
    await home.in_step(replica)


async def test_second_migration_finds_the_replica_beside_the_first_ones_destination(home: Replicated) -> None:
    """There and back again, with rounds in between and without."""
    await home.create()
    replica = await home.replicate()
    await _moves(home)
    await _moves(home, to_pool="a1")
    await home.in_step(replica)
    await _moves(home)
    home.write("docs/b", b"two")
    await home.in_step(replica)
    await home.has(replica, {"docs/a": b"one", "docs/b": b"two"})


async def test_promotion_cancels_a_migration_that_has_not_switched(home: Replicated) -> None:
    """It does not wait for a cutover that nobody may ever send, and says what became of the migration."""
    await home.create()
    replica = await home.replicate()
    migration = await home.start(names.MIGRATE_SHARE, **AWAY)
    await caught_up(home.scene, migration)
    home.write("docs/b", b"two")
    promoted = await home.run(names.PROMOTE_REPLICA, replica=replica)
    assert promoted["migrations"] == {migration.id: "cancelled"}
    with pytest.raises(Refused) as refused:
        await home.scene.world.result(migration)
    assert refused.value.code == "OperationCancelled"
    assert (home.active(), promoted["demoted"]) == (replica, "alpha/a1")
    assert home.tree() == {"docs/a": b"one", "docs/b": b"two"}
    (row,) = home.replicas()
    await home.in_step(row["id"])


async def test_promotion_completes_a_migration_that_has_switched(home: Replicated) -> None:
    """Its grace is ended: what is demoted is the share where it is now."""
    await home.create()
    replica = await home.replicate()
    migration = await home.start(names.MIGRATE_SHARE, **{**AT_ONCE, "grace": "1 h"})
    await home.scene.world.until(migration, "grace", seconds=30)
    promoted = await home.run(names.PROMOTE_REPLICA, replica=replica)
    assert promoted["migrations"] == {migration.id: "completed"}
    assert (await home.scene.world.result(migration))["outcome"] == "migrated"
    assert (home.active(), promoted["demoted"]) == (replica, "alpha/a2")
    (row,) = home.replicas()
    await home.in_step(row["id"])


async def test_deletion_during_the_grace_takes_everything_along(home: Replicated) -> None:
    """The old copy, the new one and the replica: the deletion ends the grace first."""
    await home.create()
    await home.replicate()
    migration = await home.start(names.MIGRATE_SHARE, **{**AT_ONCE, "grace": "1 h"})
    await home.scene.world.until(migration, "grace", seconds=30)
    await home.scene.purge("home")
    assert (await home.scene.world.result(migration))["outcome"] == "migrated"
    assert home.scene.objects() == set()
    await _ended(home)


async def test_type_that_keeps_copies_further_apart_moves_the_share(home: Replicated) -> None:
    """Its pool is in the zone of the replica: the rule that it fails is named, and the replica follows."""
    await home.create(pool="a2")
    replica = await home.replicate()
    moved = await home.run(names.RETYPE_SHARE, type="zoned", cutover_when="immediately", grace=0, dry_run=True)
    assert "beta/b1 in the same zone 'west' has a copy of the share" in moved["plan"]["reason"]
    fields = {"type": "zoned", "cutover_when": "immediately", "grace": 0, "preserve_snapshots": True}
    moved = await home.run(names.RETYPE_SHARE, **fields)
    assert (moved["outcome"], moved["destination"]) == ("migrated", "alpha/a1")
    await home.in_step(replica)
    again = await home.run(names.RETYPE_SHARE, **{**fields, "type": "twice"})
    assert again["outcome"] == "in_place"


async def test_type_that_keeps_copies_further_apart_than_replicas_are_is_refused(home: Replicated) -> None:
    """No move of the active instance would help."""
    await home.create()
    await home.replicate()
    await home.replicate(pool="a2", same_domain=True)
    text = await _refused(home, "NotSupported", names.RETYPE_SHARE, type="zoned")
    assert "type 'zoned' keeps copies in different zones" in text
    assert "migrate that replica or delete it first" in text


async def _ended(home: Replicated) -> None:
    for row in home.scene.rows(tables.operations, project=home.scene.project, kind=names.SYNC_REPLICA):
        handle: Handle = home.scene.world.client.get_workflow_handle(row["id"])
        assert (await asyncio.wait_for(handle.result(), 30))["state"] == "succeeded"
