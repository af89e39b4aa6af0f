"""A share with replicas is one tree: what happens to the share happens to all of it."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import RowMapping, update

from drivers.contract import AccessMode, Call, ObjectRef, SupportsSnapshots
from drivers.fake import FaultKind
from inventory import tables
from shareflow import faults, names
from tests.support.replicas import Replicated
from tests.support.scenes import GIB, Gate, Handle, Scene
from tests.support.world import Refused


class Twins:
    """The share ``home`` on alpha/a1 with a replica on beta/b1, made by :meth:`make`."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.share_id = self.replica_id = ""

    async def make(self, *, type: str = "twice", **fields: Any) -> Twins:  # noqa: A002  (the field's name)
        """Both, with the content ``a`` and the snapshot ``s1``."""
        share = await self.scene.create(type=type, backend="alpha", pool="a1", **fields)
        self.share_id = share["share_id"]
        self.scene.files().write(self.active, "a", b"1")
        await self.scene.snapshot("s1")
        self.replica_id = (await self.scene.run(names.CREATE_REPLICA, share="home", backend="beta"))["replica_id"]
        return self

    @property
    def active(self) -> ObjectRef:
        """Where the share is."""
        return self._ref(role="active")

    @property
    def copy(self) -> ObjectRef:
        """Where its replica is."""
        return self._ref(id=self.replica_id)

    def _ref(self, **which: str) -> ObjectRef:
        row = self.scene.one(tables.instances, share_id=self.share_id, **which)
        return ObjectRef(self.scene.one(tables.pools, id=row["pool_id"])["name"], row["object"])

    @property
    def row(self) -> RowMapping:
        """The replica's row."""
        return self.scene.one(tables.replicas, id=self.replica_id)

    @property
    def size(self) -> int:
        """The replica's size in its row."""
        return int(self.scene.one(tables.instances, id=self.replica_id)["size"])

    def mode(self, ref: ObjectRef, backend: str) -> AccessMode:
        """What clients may do there."""
        state = self.scene.world.process.services.drivers[backend].observe(ref)
        assert state is not None
        return state.mode

    def sync(self) -> Handle:
        """The operation that keeps the replica in step."""
        return self.scene.world.client.get_workflow_handle(f"sync-{self.replica_id}")

    async def next_round(self) -> None:
        """Wait until a round that begins from now on has succeeded."""
        before = self.row["synced_at"]
        await self.scene.when(lambda: self.row["synced_at"] > before and not self.row["error"], seconds=20)
        began = self.row["synced_at"]
        await self.scene.when(lambda: self.row["synced_at"] > began and not self.row["error"], seconds=20)

    async def failing(self, text: str) -> None:
        """Wait until the replica shows an error."""
        await self.scene.when(lambda: self.row["state"] == "error" and text in self.row["error"], seconds=20)

    def snapshots_there(self) -> set[str]:
        """Ids of the snapshots that are whole beside the replica."""
        return {
            row["snapshot_id"]
            for row in self.scene.rows(tables.snapshot_instances, instance_id=self.replica_id, status="copied")
        }


@pytest.fixture
async def twins(scene: Scene) -> AsyncIterator[Twins]:
    """A share that may get a replica; at the end nothing of both is left, and the sync has ended by itself."""
    twins = Twins(scene)
    yield twins
    for name in ("alpha", "beta"):
        scene.world.array(name).script.clear()
    if scene.rows(tables.shares, project=scene.project, live_name="home"):
        await scene.purge("home")
    await _syncs_ended(scene)


async def _syncs_ended(scene: Scene) -> None:
    for row in scene.rows(tables.operations, project=scene.project, kind=names.SYNC_REPLICA):
        result = await asyncio.wait_for(scene.world.client.get_workflow_handle(row["id"]).result(), 40)
        assert result["state"] == "succeeded"


# -- deletion --------------------------------------------------------------------------------------------------------


async def test_preview_counts_the_replica_and_what_is_beside_it(twins: Twins) -> None:
    """The tree has it by its place, and its bytes are freed as well."""
    await twins.make()
    preview = await twins.scene.run(names.DELETE_SHARE, share="home", preview=True)
    assert [(item["kind"], item["name"]) for item in preview["tree"]] == [
        ("share", "home"),
        ("snapshot", "s1"),
        ("replica", "beta/b1"),
    ]
    assert preview["frees_bytes"] == 2 * GIB


async def test_purge_takes_replica_copies_and_sync_points_with_it(twins: Twins) -> None:
    """Nothing of the share is left on any backend; the sync ends by itself as succeeded."""
    scene = (await twins.make()).scene
    await twins.next_round()
    assert len(scene.objects()) > 4  # the share, its copy, both snapshots, sync points
    handle = await scene.bin()
    await handle.signal(names.PURGE_NOW, {})
    result = await scene.world.result(handle)
    assert (result["outcome"], result["frees_bytes"]) == ("purged", 2 * GIB)
    assert scene.objects() == set()
    assert (await asyncio.wait_for(twins.sync().result(), 20))["state"] == "succeeded"
    assert scene.rows(tables.replicas, share_id=twins.share_id) == []


async def test_round_that_holds_the_replica_gives_way_to_a_deletion(twins: Twins) -> None:
    """Also when the caller would not wait for anybody: a sync is no one else's business."""
    scene = (await twins.make()).scene
    scene.world.array("beta").script.add(FaultKind.HANG, verb="revert_share", name=twins.copy.name, before=20, times=1)
    scene.files().write(twins.active, "b", b"2")
    await _says(scene, twins.sync(), "step", "give the replica its new content")
    handle = await scene.start(names.DELETE_SHARE, share="home", on_busy="fail")
    await scene.world.until(handle, "recycle-bin", seconds=10)
    await handle.execute_update(names.PURGE_NOW, {})
    assert (await scene.world.result(handle))["outcome"] == "purged"


async def _says(scene: Scene, handle: Handle, key: str, text: str) -> None:
    """Wait until an operation's status says something."""
    async with asyncio.timeout(30):
        while text not in (await scene.status(handle))[key]:  # noqa: ASYNC110  (nobody announces it)
            await asyncio.sleep(0.05)


async def test_deletion_gives_up_the_replica_that_is_being_made(twins: Twins) -> None:
    """Its creation is cancelled and undone, the share goes, and nothing is left of either."""
    scene = twins.scene
    await scene.create(type="twice", backend="alpha", pool="a1")
    operation = scene.new_id()
    scene.world.array("beta").script.add(
        FaultKind.HANG, verb="receive_snapshot", operation=operation, before=20, times=1
    )
    creation = await scene.start(names.CREATE_REPLICA, operation=operation, share="home", backend="beta")
    await scene.when(lambda: scene.rows(tables.replicas, state="seeding"))
    await scene.purge("home")
    with pytest.raises(Refused) as refused:
        await scene.world.result(creation)
    assert refused.value.code == "OperationCancelled"
    assert scene.objects() == set()


async def test_share_comes_back_with_its_replica_which_clients_read_again(twins: Twins) -> None:
    """In the recycle bin clients are kept from both; after the restore both serve, and the sync goes on."""
    scene = (await twins.make(type="mirrored")).scene
    assert twins.mode(twins.copy, "beta") is AccessMode.RO
    handle = await scene.bin()
    assert (twins.mode(twins.active, "alpha"), twins.mode(twins.copy, "beta")) == (AccessMode.NONE, AccessMode.NONE)
    await scene.when(lambda: scene.rows(tables.claims, operation=twins.sync().id, granted=False))
    await handle.execute_update(names.RESTORE, {})
    assert (await scene.world.result(handle))["outcome"] == "restored"
    scene.files().write(twins.active, "b", b"2")
    await twins.next_round()
    assert scene.files("beta").tree(twins.copy) == {"a": b"1", "b": b"2"}


async def test_share_that_is_not_deleted_after_all_is_read_at_its_replica_again(twins: Twins) -> None:
    """Cancelled before the recycle bin: the next round lets clients in that were cut off."""
    scene = (await twins.make(type="mirrored")).scene
    operation = scene.new_id()
    gate = Gate("inventory.soft_deleted.before_transaction", operation)
    handle = await scene.start(names.DELETE_SHARE, operation=operation, share="home")
    await gate.reached()
    assert twins.mode(twins.copy, "beta") is AccessMode.NONE
    await handle.cancel()
    gate.open()
    await scene.cancelled(handle)
    await twins.next_round()
    assert twins.mode(twins.copy, "beta") is AccessMode.RO


async def test_readable_replica_that_is_away_is_cut_off_when_it_is_back(twins: Twins) -> None:
    """It keeps no share from going; until then the reconciler would say that clients can read."""
    scene = (await twins.make(type="mirrored")).scene
    away = scene.world.array("beta").script.add(FaultKind.UNREACHABLE, times=None)
    handle = await scene.start(names.DELETE_SHARE, share="home")
    await scene.world.until(handle, "recycle-bin", seconds=30)
    assert "clients may still read beta/b1" in (await scene.status(handle))["note"]
    scene.world.array("beta").script.lift(away)
    await scene.when(lambda: twins.mode(twins.copy, "beta") is AccessMode.NONE, seconds=30)
    await handle.signal(names.PURGE_NOW, {})
    await scene.world.result(handle)


async def test_purge_leaves_a_replica_that_is_away_behind_and_it_goes_when_it_is_back(twins: Twins) -> None:
    """It waits for its patience only; the room of what is left is kept until that is gone."""
    scene = (await twins.make()).scene
    copy = scene.one(tables.instances, id=twins.replica_id)
    handle = await scene.bin()
    away = scene.world.array("beta").script.add(FaultKind.UNREACHABLE, times=None)
    await handle.signal(names.PURGE_NOW, {})
    result = await scene.world.result(handle)
    assert (result["outcome"], result["frees_bytes"]) == ("purged", GIB)
    stones = scene.rows(tables.tombstones, operation=handle.id)
    left = {stone["object"] for stone in stones}
    assert sorted(result["left_behind"]) == sorted(f"beta/b1/{stone['object']}" for stone in stones)
    assert copy["object"] in left
    assert sum(stone["allocated_bytes"] for stone in stones) == copy["allocated_bytes"]
    assert scene.objects() <= left, "what can be reached is gone"
    assert (scene.used(), scene.rows(tables.shares, project=scene.project)) == ((0, 0, 0), [])
    room = scene.one(tables.pools, id=copy["pool_id"])["allocated_bytes"]
    await _scanned(scene)
    assert scene.rows(tables.tombstones, operation=handle.id, gone_at=None), "it does not answer yet"
    scene.world.array("beta").script.lift(away)
    await _scanned(scene)
    assert scene.objects() == set()
    await _scanned(scene)
    assert scene.rows(tables.tombstones, operation=handle.id, gone_at=None) == []
    assert scene.one(tables.pools, id=copy["pool_id"])["allocated_bytes"] == room - copy["allocated_bytes"]
    (standing,) = scene.rows(tables.findings, subject=f"beta/b1/{copy['object']}")
    assert (standing["kind"], standing["repaired"]) == ("doomed-object", True)


async def _scanned(scene: Scene) -> None:
    """The reconciler has looked at the backend of the replica; its jobs are over."""
    await scene.world.run(names.RECONCILE_BACKEND, {"backend": "beta"}, operation=f"scan-{uuid.uuid4()}")
    scene.world.array("beta").finish_jobs()


async def test_purge_is_done_with_a_replica_that_is_back_in_time(twins: Twins) -> None:
    """A short outage leaves nothing behind."""
    scene = (await twins.make()).scene
    handle = await scene.bin()
    away = scene.world.array("beta").script.add(FaultKind.UNREACHABLE, times=None)
    await handle.signal(names.PURGE_NOW, {})
    await scene.world.until(handle, "purging")
    scene.world.array("beta").script.lift(away)
    result = await scene.world.result(handle)
    assert (result["outcome"], result["left_behind"]) == ("purged", [])
    assert scene.objects() == set()


async def _gone_when_it_is_back(scene: Scene, operation: str, pool: str) -> None:
    """What an operation has left on beta keeps its room until the reconciler has deleted it."""
    stones = scene.rows(tables.tombstones, operation=operation, gone_at=None)
    assert stones
    room = scene.one(tables.pools, id=pool)["allocated_bytes"]
    await _scanned(scene)
    assert scene.rows(tables.tombstones, operation=operation, gone_at=None) == stones, "it does not answer yet"
    scene.world.array("beta").script.clear()
    await _scanned(scene)
    await _scanned(scene)
    assert scene.rows(tables.tombstones, operation=operation, gone_at=None) == []
    carried = sum(stone["allocated_bytes"] for stone in stones)
    assert carried >= GIB
    assert scene.one(tables.pools, id=pool)["allocated_bytes"] == room - carried
    assert {stone["object"] for stone in stones}.isdisjoint(scene.objects())


@pytest.mark.parametrize("killed", ["before_commit", "after_commit"])
async def test_deleted_replica_that_is_away_is_left_behind_and_goes_when_it_is_back(twins: Twins, killed: str) -> None:
    """The share and its snapshots are as they were, also when the worker dies in the last step."""
    scene = (await twins.make()).scene
    copy = scene.one(tables.instances, id=twins.replica_id)
    scene.world.array("beta").script.add(FaultKind.UNREACHABLE, times=None)
    operation = scene.new_id()
    faults.arm(f"inventory.commit.{killed}", faults.crash, operation=operation)
    handle = await scene.start(names.DELETE_REPLICA, operation=operation, share="home", replica=twins.replica_id)
    result = await scene.world.result(handle)
    stones = scene.rows(tables.tombstones, operation=handle.id)
    assert sorted(result["left_behind"]) == sorted(f"beta/b1/{stone['object']}" for stone in stones)
    assert scene.rows(tables.instances, id=twins.replica_id) == []
    await _gone_when_it_is_back(scene, handle.id, copy["pool_id"])
    assert len(scene.objects()) == 2, "the share and its snapshot"
    assert scene.share()["status"] == "available"


async def test_replica_leaves_a_backend_that_is_away(twins: Twins) -> None:
    """The new one serves at once; the old one goes when its backend is back, and the share is not held up."""
    scene = (await twins.make()).scene
    copy = scene.one(tables.instances, id=twins.replica_id)
    scene.world.array("beta").script.add(FaultKind.UNREACHABLE, times=None)
    fields: dict[str, Any] = {"to_pool": "a2", "same_domain": True}
    handle = await scene.start(names.MIGRATE_REPLICA, share="home", replica=twins.replica_id, **fields)
    result = await scene.world.result(handle)
    assert (result["outcome"], result["pool"], result["replica_state"]) == ("migrated", "a2", "in_sync")
    assert copy["object"] in {left.rpartition("/")[2] for left in result["left_behind"]}
    home, new = Replicated(scene), result["replica_id"]
    home.write("b", b"2")
    await home.in_step(new)
    await home.has(new, {"a": b"1", "b": b"2"})
    await _gone_when_it_is_back(scene, handle.id, copy["pool_id"])


async def test_lost_copy_is_not_left_behind_before_it_is_fenced(twins: Twins) -> None:
    """Clients may still write there: its sync fences it first, however long its backend is away."""
    scene = (await twins.make()).scene
    lost = scene.one(tables.instances, share_id=twins.share_id, role="active")["id"]
    away = scene.world.array("alpha").script.add(FaultKind.UNREACHABLE, times=None)
    declared: dict[str, Any] = {"lost": True, "accept_loss": True, "reason": "burnt"}
    await scene.run(names.PROMOTE_REPLICA, share="home", **declared)
    handle = await scene.start(names.DELETE_REPLICA, share="home", replica=lost)
    await scene.world.until(handle, "needs-operator", seconds=40)
    scene.world.array("alpha").script.lift(away)
    await handle.signal(names.RETRY_NOW, {})
    assert (await scene.world.result(handle))["left_behind"] == []
    assert scene.rows(tables.tombstones, operation=handle.id) == []


async def test_sync_of_a_share_in_the_recycle_bin_is_idle(twins: Twins) -> None:
    """It looks ever less often; the purge tells it, and it ends."""
    scene = (await twins.make()).scene
    handle = await scene.bin()
    await scene.when(lambda: scene.rows(tables.claims, operation=twins.sync().id, granted=False))
    before = len(await scene.events(twins.sync()))
    await asyncio.sleep(9)
    assert len(await scene.events(twins.sync())) - before <= 3 * 8  # at most three looks instead of nine rounds
    await handle.signal(names.PURGE_NOW, {})
    await scene.world.result(handle)
    assert (await asyncio.wait_for(twins.sync().result(), 10))["state"] == "succeeded"


async def test_forgotten_share_leaves_a_tombstone_for_everything_that_stays(twins: Twins) -> None:
    """The replica, its copies and the sync points on both sides; the sync ends at its next look."""
    scene = (await twins.make()).scene
    await twins.next_round()
    result = await scene.run(names.FORGET_SHARE, share="home")
    assert (await asyncio.wait_for(twins.sync().result(), 20))["state"] == "succeeded"
    stones = scene.rows(tables.tombstones, project=scene.project)
    assert scene.objects() <= {row["object"] for row in stones}
    assert len(result["left_behind"]) == len(stones)
    await _clean(scene)


async def _clean(scene: Scene) -> None:
    """An operator deletes what was forgotten, and the reconciler sees it."""
    drivers = scene.world.process.services.drivers
    stones = scene.rows(tables.tombstones, project=scene.project)
    for row in sorted(stones, key=lambda row: str(row["kind"]), reverse=True):
        pool = scene.one(tables.pools, id=row["pool_id"])
        driver, ref = drivers[pool["backend"]], ObjectRef(pool["name"], row["object"])
        call = Call(deployment=scene.world.deployment, operation="by-hand", step=row["id"], epoch=10_000)
        if row["kind"] == "snapshot":
            assert isinstance(driver, SupportsSnapshots)
            driver.delete_snapshot(ref, call)
        else:
            driver.delete_share(ref, call)
    for backend in ("alpha", "beta"):
        await scene.world.run(names.RECONCILE_BACKEND, {"backend": backend}, operation=f"scan-{uuid.uuid4()}")
    assert all(row["gone_at"] for row in scene.rows(tables.tombstones, project=scene.project))


# -- what acts on the share and follows at its replica ---------------------------------------------------------------


async def test_growth_and_shrinkage_come_to_the_replica_with_its_room(twins: Twins) -> None:
    """The share is resized at once, its replica by the next round."""
    scene = (await twins.make()).scene
    for size in (3 * GIB, 2 * GIB):
        assert (await scene.run(names.RESIZE_SHARE, share="home", size=size))["size"] == size
        await twins.next_round()
        assert twins.size == size
        there = scene.world.process.services.drivers["beta"].observe(twins.copy)
        assert there is not None
        assert there.size == size


async def test_replica_without_room_shows_that_and_blocks_nobody(twins: Twins) -> None:
    """The share grows; its replica says what is missing, and grows when there is room."""
    scene = (await twins.make()).scene
    pool = scene.one(tables.pools, name="b1")
    with scene.world.database.write() as connection:
        connection.execute(
            update(tables.pools).where(tables.pools.c.id == pool["id"]).values(limit_bytes=pool["allocated_bytes"])
        )
    await scene.run(names.RESIZE_SHARE, share="home", size=3 * GIB)
    await twins.failing("has no room to grow by 2 GiB")
    assert twins.size == GIB
    with scene.world.database.write() as connection:
        connection.execute(
            update(tables.pools).where(tables.pools.c.id == pool["id"]).values(limit_bytes=pool["limit_bytes"])
        )
    await twins.next_round()
    assert twins.size == 3 * GIB


async def test_snapshots_come_and_go_at_the_replica_as_at_the_share(twins: Twins) -> None:
    """A deleted one is deleted there by a round: until then its copy is known, not lost."""
    scene = (await twins.make()).scene
    second = await scene.snapshot("s2")
    await twins.next_round()
    assert second["snapshot_id"] in twins.snapshots_there()
    before = scene.objects()
    await scene.run(names.DELETE_SNAPSHOT, share="home", snapshot="s1")
    await twins.next_round()
    assert twins.snapshots_there() == {second["snapshot_id"]}
    await scene.when(lambda: len(scene.objects()) == len(before) - 2)


async def test_reverted_share_has_a_reverted_replica(twins: Twins) -> None:
    """The next round brings the old content, and all snapshots stay."""
    scene = (await twins.make(type="mirrored")).scene
    scene.files().write(twins.active, "b", b"2")
    await twins.next_round()
    assert scene.files("beta").tree(twins.copy) == {"a": b"1", "b": b"2"}
    await scene.run(names.REVERT_SHARE, share="home", snapshot="s1")
    await twins.next_round()
    assert scene.files("beta").tree(twins.copy) == {"a": b"1"}
    assert len(twins.snapshots_there()) == 1


async def test_replica_that_is_away_does_not_block_the_share_and_catches_up(twins: Twins) -> None:
    """Everything goes on at the share; the replica shows the error, and has all of it later."""
    scene = (await twins.make(type="mirrored")).scene
    away = scene.world.array("beta").script.add(FaultKind.UNREACHABLE, times=None)
    await twins.failing("")
    await scene.run(names.RESIZE_SHARE, share="home", size=2 * GIB)
    second = await scene.snapshot("s2")
    await scene.run(names.DELETE_SNAPSHOT, share="home", snapshot="s1")
    scene.files().write(twins.active, "b", b"2")
    scene.world.array("beta").script.lift(away)
    await twins.next_round()
    assert twins.size == 2 * GIB
    assert twins.snapshots_there() == {second["snapshot_id"]}
    assert scene.files("beta").tree(twins.copy) == {"a": b"1", "b": b"2"}


async def _from_snapshot(scene: Scene, **fields: Any) -> tuple[RowMapping, dict[str, bytes]]:
    """Make a share from s1; gives what it was begun as, and its content."""
    operation = scene.new_id()
    made = await scene.run(
        names.CREATE_SHARE_FROM_SNAPSHOT, operation=operation, share="home", snapshot="s1", name="copy", **fields
    )
    tree = scene.files(made["backend"]).tree(scene.ref(made["share_id"]))
    await scene.purge("copy")
    return scene.operation(operation)["begun"], tree


async def test_share_is_cloned_in_the_pool_of_a_replica_when_it_is_to_be_there(twins: Twins) -> None:
    """Nothing is copied from the active instance; without a wish for a place it is cloned beside that."""
    scene = (await twins.make()).scene
    begun, tree = await _from_snapshot(scene, backend="beta")
    assert (begun["clone"], begun["source"]["pool"], begun["instance"]["pool"]) == (True, "b1", "b1")
    assert tree == {"a": b"1"}
    begun, tree = await _from_snapshot(scene)
    assert (begun["clone"], begun["source"]["pool"], begun["instance"]["pool"]) == (True, "a1", "a1")
    assert tree == {"a": b"1"}
    await twins.next_round()


async def test_share_is_made_from_a_replica_when_the_active_instances_backend_is_away(twins: Twins) -> None:
    """The snapshot is whole at the replica: that is where the content comes from."""
    scene = (await twins.make()).scene
    away = scene.world.array("alpha").script.add(FaultKind.UNREACHABLE, times=None)
    _reachable(scene, reachable=False)
    try:
        begun, tree = await _from_snapshot(scene)
        assert (begun["clone"], begun["source"]["pool"], begun["instance"]["pool"]) == (True, "b1", "b1")
        assert tree == {"a": b"1"}
    finally:
        scene.world.array("alpha").script.lift(away)
        _reachable(scene, reachable=True)


def _reachable(scene: Scene, *, reachable: bool) -> None:
    """What a survey has found of alpha's pools."""
    with scene.world.database.write() as connection:
        pools = tables.pools
        connection.execute(update(pools).where(pools.c.backend == "alpha").values(reachable=reachable))


# -- what a share with replicas cannot do ----------------------------------------------------------------------------


async def test_share_that_moves_gets_no_replica(twins: Twins) -> None:
    """The refusal names the migration in the way."""
    scene = twins.scene
    await scene.create(type="twice", backend="alpha", pool="a1")
    migration = await scene.start(names.MIGRATE_SHARE, share="home", to_pool="a2")
    await scene.when(lambda: scene.rows(tables.instances, role="destination"))
    with pytest.raises(Refused) as refused:
        await scene.run(names.CREATE_REPLICA, share="home", backend="beta")
    assert refused.value.code == "NotSupported"
    assert migration.id in refused.value.text
    await migration.cancel()
    await scene.cancelled(migration)


async def test_replicas_become_what_the_new_type_says(twins: Twins) -> None:
    """Interval, tolerated loss and kind; clients read it when the kind is one that they may read."""
    scene = (await twins.make()).scene
    await scene.run(names.RETYPE_SHARE, share="home", type="mirrored")
    row = twins.row
    assert (row["kind"], row["interval"], row["loss"]) == ("readable", 2, 40)
    await twins.next_round()
    assert scene.files("beta").tree(twins.copy) == {"a": b"1"}
    (location,) = scene.rows(tables.export_locations, instance_id=twins.replica_id)
    assert location["readonly"]
    await scene.run(names.RETYPE_SHARE, share="home", type="twice")
    await twins.next_round()
    assert twins.mode(twins.copy, "beta") is AccessMode.NONE
    assert scene.rows(tables.export_locations, instance_id=twins.replica_id) == []


async def test_type_that_allows_fewer_replicas_is_refused(twins: Twins) -> None:
    """None, or one where there are two; the field is the type."""
    scene = (await twins.make()).scene
    await scene.run(names.CREATE_REPLICA, share="home", pool="a2", same_domain=True)
    for type_, most in (("standard", "none"), ("mirrored", "1")):
        with pytest.raises(Refused) as refused:
            await scene.run(names.RETYPE_SHARE, share="home", type=type_)
        assert refused.value.code == "NotSupported"
        assert f"has 2 replicas, type '{type_}' allows {most}" in refused.value.text
