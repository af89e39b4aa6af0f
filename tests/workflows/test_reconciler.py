"""The reconciler: each case that no operation would mend by itself is made, then found, repaired or reported."""

from __future__ import annotations

import asyncio
import dataclasses
import uuid
from typing import Any

import pytest
from sqlalchemy import insert, select, update
from temporalio.client import Client

from drivers.contract import AccessMode, Call, ObjectRef, SupportsSnapshots
from drivers.fake import FakeClient, FaultKind, StaleListing
from inventory import claims, operations, tables
from shareflow import names
from shareflow.contracts import reads
from shareflow.contracts.operations import OperationState
from shareflow.contracts.reads import Page
from shareflow.converter import data_converter
from shareflow.schedules import ensure_schedules
from shareflow.server.devserver import DevServer
from tests.support.scenes import until
from tests.support.world import World


async def _reconcile(world: World, backend: str = "alpha") -> dict[str, Any]:
    return await world.run(names.RECONCILE_BACKEND, {"backend": backend}, operation=f"scan-{uuid.uuid4()}")


async def _claims(world: World) -> dict[str, Any]:
    return await world.run(names.RECONCILE_CLAIMS, {"grace": 0}, operation=f"claims-{uuid.uuid4()}")


async def _findings(world: World, subject: str, *, open_only: bool = True) -> list[reads.FindingView]:
    query = reads.FindingQuery(open_only=open_only, limit=1000)
    page = await world.read(names.LIST_FINDINGS, query, Page[reads.FindingView])
    return [finding for finding in page.items if subject in finding.subject]


def _object(world: World, share: str) -> ObjectRef:
    with world.database.read() as connection:
        row = connection.execute(
            select(tables.instances.c.object, tables.pools.c.name)
            .join(tables.pools, tables.pools.c.id == tables.instances.c.pool_id)
            .where(tables.instances.c.share_id == share)
        ).one()
    return ObjectRef(pool=row.name, name=row.object)


async def _share(world: World, project: str, name: str = "home") -> dict[str, Any]:
    request = {"project": project, "name": name, "size": "1 GiB", "backend": "alpha"}
    return await world.run(names.CREATE_SHARE, request)


def _call(world: World, operation: str = "outside") -> Call:
    return Call(deployment=world.deployment, operation=operation, step="by-hand", epoch=99)


async def test_terminated_while_creating_is_undone_by_the_reconciler(world: World, disarmed: None) -> None:
    """Terminate never runs a clean-up: the reconciler starts the operation again, only to undo it."""
    project, operation = world.project(), f"op-{uuid.uuid4()}"
    hang = world.array().script.add(FaultKind.HANG, verb="create_share", operation=operation, after=30, times=1)
    request = {"project": project, "name": "home", "size": "1 GiB", "backend": "alpha"}
    handle = await world.start(names.CREATE_SHARE, request, operation=operation)
    await asyncio.sleep(0.5)
    await handle.terminate("an operator")
    world.array().script.lift(hang)
    assert any(operation in line and "undo" in line for line in (await _claims(world))["resumed"])
    view = await _ended(world, project, operation)
    assert view.state == "failed-clean"
    assert (await world.read(names.LIST_SHARES, reads.ShareQuery(project=project), Page[reads.ShareView])).items == []
    assert not [entry for entry in world.array().objects() if entry.operation == operation]


async def _ended(world: World, project: str, operation: str) -> reads.OperationView:
    async with asyncio.timeout(20):
        while True:
            reference = reads.OperationRef(project=project, operation=operation)
            view = await world.read(names.GET_OPERATION, reference, reads.OperationView)
            if view.ended_at is not None:
                return view
            await asyncio.sleep(0.1)


async def test_a_purge_whose_workflow_was_terminated_goes_on_waiting(world: World) -> None:
    """A missing purge timer is made again, and the share can still be restored through it."""
    project, operation = world.project(), f"op-{uuid.uuid4()}"
    await _share(world, project)
    handle = await world.start(names.DELETE_SHARE, {"project": project, "share": "home"}, operation=operation)
    await world.until(handle, "recycle-bin")
    await handle.terminate("an operator")
    assert any(operation in line and "continue" in line for line in (await _claims(world))["resumed"])
    again = world.client.get_workflow_handle(operation)
    await world.until(again, "recycle-bin")
    await again.execute_update(names.RESTORE, {})
    assert (await world.result(again))["outcome"] == "restored"


async def test_terminated_in_line_leaves_the_line(world: World, disarmed: None) -> None:
    """An operation that only waited is ended, and the next one in line gets its turn."""
    project, first = world.project(), f"op-{uuid.uuid4()}"
    await _share(world, project)
    hang = world.array().script.add(FaultKind.HANG, verb="create_snapshot", operation=first, before=30, times=1)
    holder = await world.start(
        names.CREATE_SNAPSHOT, {"project": project, "share": "home", "name": "s1"}, operation=first
    )
    await asyncio.sleep(0.3)
    waiting = await world.start(names.RESIZE_SHARE, {"project": project, "share": "home", "size": "2 GiB"})
    await world.until(waiting, "waiting")
    last = await world.start(names.CREATE_SNAPSHOT, {"project": project, "share": "home", "name": "s2"})
    await world.until(last, "waiting")
    await waiting.terminate("an operator")
    await _claims(world)
    assert (await _ended(world, project, waiting.id)).state == "failed-clean"
    world.array().script.lift(hang)
    await world.result(holder)
    await world.result(last)


async def test_a_claim_of_an_ended_operation_is_given_back(world: World) -> None:
    """A claim that outlived its operation blocks nobody after the next scan."""
    project = world.project()
    share = await _share(world, project)
    with world.database.write() as connection:
        connection.execute(
            insert(tables.claims).values(
                operation="long-gone",
                resource_id=share["share_id"],
                resource_kind="share",
                mode="exclusive",
                ticket=0,
                granted=True,
                epoch=7,
            )
        )
        connection.execute(
            update(tables.shares).where(tables.shares.c.id == share["share_id"]).values(claimed_by="long-gone", epoch=7)
        )
    assert "long-gone" in (await _claims(world))["released"]
    await world.run(names.RESIZE_SHARE, {"project": project, "share": "home", "size": "2 GiB"})


async def test_a_passing_state_that_nobody_holds_is_reported(world: World) -> None:
    """Nothing guesses what should become of such a row; people are told."""
    share = await _share(world, world.project())
    shares = tables.shares
    with world.database.write() as connection:
        connection.execute(update(shares).where(shares.c.id == share["share_id"]).values(status="resizing"))
    assert f"share/{share['share_id']}" in (await _claims(world))["reported"]
    with world.database.write() as connection:
        connection.execute(update(shares).where(shares.c.id == share["share_id"]).values(status="available"))
    await _claims(world)
    assert await _findings(world, share["share_id"]) == []


async def test_an_object_without_a_row_is_reported_and_never_deleted(world: World) -> None:
    """A complete object of ours that no row knows is an orphan: a finding, and its data stay."""
    ref = ObjectRef("a1", f"sf-{uuid.uuid4()}")
    driver = world.process.services.drivers["alpha"]
    driver.create_share(ref, 2**20, _call(world))
    try:
        await _reconcile(world)
        assert [finding.kind for finding in await _findings(world, ref.name)] == ["orphan-object"]
        assert driver.observe(ref) is not None
    finally:
        driver.delete_share(ref, _call(world))
    await _reconcile(world)
    assert await _findings(world, ref.name) == []


async def test_a_half_made_object_of_an_ended_operation_is_removed(world: World) -> None:
    """What our own failed create left half made is safe to remove, and the removal is on record."""
    ref = ObjectRef("a1", f"sf-{uuid.uuid4()}")
    driver = world.process.services.drivers["alpha"]
    world.array().script.add(FaultKind.HALF, verb="create_share", name=ref.name, times=1)
    with pytest.raises(Exception, match="D"):
        driver.create_share(ref, 2**20, _call(world))
    state = driver.observe(ref)
    assert state is not None
    assert not state.complete
    await _reconcile(world)
    assert driver.observe(ref) is None
    [finding] = await _findings(world, ref.name, open_only=False)
    assert (finding.kind, finding.repaired) == ("half-made-object", True)


async def test_a_row_without_its_object_is_reported_until_the_object_is_back(world: World) -> None:
    """An available share whose object is gone is a finding with the next step."""
    share = await _share(world, world.project())
    ref = _object(world, share["share_id"])
    driver = world.process.services.drivers["alpha"]
    driver.delete_share(ref, _call(world))
    await _reconcile(world)
    [finding] = await _findings(world, ref.name)
    assert finding.kind == "missing-object"
    assert finding.advice


async def test_a_share_of_another_size_on_the_backend_is_reported(world: World) -> None:
    """A size that was changed behind our back is a finding, not a silent repair."""
    share = await _share(world, world.project())
    ref = _object(world, share["share_id"])
    driver = world.process.services.drivers["alpha"]
    driver.resize_share(ref, 3 * 2**30, _call(world))
    await _reconcile(world)
    assert [finding.kind for finding in await _findings(world, ref.name)] == ["differing-size"]
    driver.resize_share(ref, 2**30, _call(world, "repair"))
    await _reconcile(world)
    assert await _findings(world, ref.name) == []


async def test_a_forgotten_object_is_listed_and_its_bytes_leave_when_it_is_gone(world: World) -> None:
    """The tombstone keeps the bytes in the pool's sum until the object is really gone."""
    project = world.project()
    share = await _share(world, project)
    ref = _object(world, share["share_id"])
    before = _allocated(world)
    await world.run(names.FORGET_SHARE, {"project": project, "share": "home"})
    assert _allocated(world) == before
    await _reconcile(world)
    assert [finding.kind for finding in await _findings(world, ref.name)] == ["forgotten-object"]
    world.process.services.drivers["alpha"].delete_share(ref, _call(world))
    await _reconcile(world)
    assert _allocated(world) == before - 2**30
    assert await _findings(world, ref.name) == []


def _allocated(world: World) -> int:
    with world.database.read() as connection:
        return sum(connection.execute(select(tables.pools.c.allocated_bytes)).scalars())


async def test_an_unreachable_backend_is_unknown_and_accuses_nobody(world: World) -> None:
    """No answer means no orphan, no ghost, and nothing new placed there until it answers."""
    project = world.project()
    share = await _share(world, project)
    ref = _object(world, share["share_id"])
    outage = world.array().script.add(FaultKind.UNREACHABLE, verb="pools", times=None)
    result = await _reconcile(world)
    assert result["reachable"] is False
    assert await _findings(world, ref.name) == []
    placed = await world.run(names.CREATE_SHARE, {"project": project, "name": "other", "size": "1 GiB"})
    assert placed["backend"] == "beta"
    world.array().script.lift(outage)
    assert (await _reconcile(world))["reachable"] is True
    assert [finding for finding in await _findings(world, "alpha") if finding.kind == "unreachable-backend"] == []


async def test_a_partial_listing_accuses_nobody(world: World) -> None:
    """Objects that a listing leaves out are asked for one by one before anything is said."""
    share = await _share(world, world.project())
    ref = _object(world, share["share_id"])
    for kind in (StaleListing.PARTIAL, StaleListing.EMPTY):
        rule = world.array().script.add(FaultKind.STALE_LISTING, listing=kind, times=None)
        await _reconcile(world)
        world.array().script.lift(rule)
        assert await _findings(world, ref.name) == []


async def test_schedules_are_made_once_and_kept_as_operators_left_them(server: DevServer) -> None:
    """A second worker does not undo an operator's pause."""
    client = await Client.connect(server.address, data_converter=data_converter)
    await ensure_schedules(client, ["gamma"])
    handle = client.get_schedule_handle("reconcile-gamma")
    await handle.pause(note="maintenance")
    await ensure_schedules(client, ["gamma"])
    assert (await handle.describe()).schedule.state.paused
    for schedule in ("reconcile-gamma", "reconcile-claims"):
        await client.get_schedule_handle(schedule).delete()


# -- replicas --------------------------------------------------------------------------------------------------------


async def _twins(world: World, project: str, share_type: str = "twice") -> tuple[str, str]:
    """A share on alpha/a1 with a snapshot and a replica on beta/b1; ids of share and replica."""
    request = {"project": project, "name": "home", "size": "1 GiB", "type": share_type, "pool": "a1"}
    share = await world.run(names.CREATE_SHARE, request)
    await world.run(names.CREATE_SNAPSHOT, {"project": project, "share": "home", "name": "s1"})
    made = await world.run(names.CREATE_REPLICA, {"project": project, "share": "home", "backend": "beta"})
    return share["share_id"], made["replica_id"]


def _replica(world: World, replica: str) -> dict[str, Any]:
    with world.database.read() as connection:
        return dict(connection.execute(select(tables.replicas).where(tables.replicas.c.id == replica)).mappings().one())


def _early(world: World, epoch: int = 1, operation: str = "outside") -> Call:
    """A call that does not fence those of the share's operations."""
    return dataclasses.replace(_call(world, operation), epoch=epoch)


async def _purge(world: World, project: str) -> None:
    handle = await world.start(names.DELETE_SHARE, {"project": project, "share": "home", "retention": 0})
    await world.result(handle)


async def test_replicas_copies_and_sync_points_are_no_strangers(world: World) -> None:
    """Whatever a round has made when the scan comes, on either side."""
    project = world.project()
    share, replica = await _twins(world, project)
    points: set[str] = set()
    client, active = FakeClient(world.array("alpha")), _active(world, share)
    async with asyncio.timeout(60):
        while len(points) < 4:
            client.write(active, "counter", uuid.uuid4().bytes)  # else no round would follow
            points.update(_replica(world, replica)["memory"]["sync_points"])
            await _reconcile(world, "alpha")
            await _reconcile(world, "beta")
    with world.database.read() as connection:
        objects = set(points)
        for table in (tables.instances, tables.snapshot_instances):
            objects.update(connection.execute(select(table.c.object)).scalars())
    every = await _findings(world, "", open_only=False)
    assert len(objects) > len(points)
    assert [one for one in every if one.subject.rsplit("/", 1)[-1] in objects & _made_for(world, share)] == []
    await _purge(world, project)


def _made_for(world: World, share: str) -> set[str]:
    """Names of objects that operations on a share have made on both arrays."""
    with world.database.read() as connection:
        mine = select(tables.operations.c.id).where(tables.operations.c.share_id == share)
        ids = set(connection.execute(mine).scalars())
    return {one.name for name in ("alpha", "beta") for one in world.array(name).objects() if one.operation in ids}


async def test_sync_point_whose_operation_is_unknown_is_no_orphan(world: World) -> None:
    """Its name is on record with the replica: that is enough, on both sides."""
    project = world.project()
    share, replica = await _twins(world, project)
    await _stop_sync(world, replica)
    name, driver = f"sf-{uuid.uuid4()}", world.process.services.drivers["alpha"]
    assert isinstance(driver, SupportsSnapshots)
    driver.create_snapshot(_active(world, share), ObjectRef("a1", name), _early(world))
    memory = _replica(world, replica)["memory"]
    known = {**memory, "sync_points": [name, *memory["sync_points"]]}
    with world.database.write() as connection:
        connection.execute(update(tables.replicas).where(tables.replicas.c.id == replica).values(memory=known))
    await _reconcile(world)
    assert await _findings(world, name) == []
    await _claims(world)  # its sync goes on, and removes it as one of its own
    await until(lambda: driver.observe(ObjectRef("a1", name)) is None, seconds=20)
    await _purge(world, project)


def _active(world: World, share: str) -> ObjectRef:
    with world.database.read() as connection:
        instances = tables.instances
        row = connection.execute(
            select(instances.c.object).where(instances.c.share_id == share, instances.c.role == "active")
        ).one()
    return ObjectRef("a1", row.object)


async def test_replica_at_rest_whose_mode_was_changed_is_reported(world: World) -> None:
    """A readable one is read-only; a mode that somebody set behind our back is a finding."""
    project = world.project()
    _, replica = await _twins(world, project, "mirrored")
    await _stop_sync(world, replica)
    with world.database.read() as connection:
        row = connection.execute(select(tables.instances).where(tables.instances.c.id == replica)).one()
    ref, driver = ObjectRef("b1", row.object), world.process.services.drivers["beta"]
    await _reconcile(world, "beta")
    assert await _findings(world, ref.name) == []
    driver.set_access_mode(ref, AccessMode.RW, _early(world, row.epoch))
    await _reconcile(world, "beta")
    (finding,) = await _findings(world, ref.name)
    assert (finding.kind, finding.advice) == ("differing-access", "set the mode ro at the backend")
    driver.set_access_mode(ref, AccessMode.RO, _early(world, row.epoch, "repair"))
    driver.resize_share(ref, 3 * 2**30, _early(world, row.epoch, "behind"))
    await _reconcile(world, "beta")
    assert await _findings(world, ref.name) == []  # it may lag behind in its size
    driver.delete_share(ref, _early(world, row.epoch, "lost"))
    await _reconcile(world, "beta")
    (finding,) = await _findings(world, ref.name)
    assert (finding.kind, finding.advice) == ("missing-object", "delete that replica and make another one")
    await _claims(world)
    await _purge(world, project)


async def _stop_sync(world: World, replica: str) -> None:
    """Terminate its sync; afterwards nobody holds the replica, as between two rounds."""
    operation = _replica(world, replica)["sync_operation"]
    await world.client.get_workflow_handle(operation).terminate("an operator")
    await asyncio.sleep(1)  # what was under way in its name is over
    with world.database.write() as connection:
        claims.release(connection, operation)


async def test_sync_whose_workflow_is_gone_goes_on(world: World) -> None:
    """Terminated or lost, it is started again and forgets nothing: nobody wants it undone."""
    project = world.project()
    _, replica = await _twins(world, project)
    operation = f"sync-{replica}"
    await world.client.get_workflow_handle(operation).terminate("an operator")
    assert any(operation in line and "continue" in line for line in (await _claims(world))["resumed"])
    before = _replica(world, replica)["synced_at"]
    await _synced_after(world, replica, before)
    await _purge(world, project)


async def _synced_after(world: World, replica: str, before: Any) -> None:
    await until(lambda: _replica(world, replica)["synced_at"] > before, seconds=20)


async def test_replica_whose_sync_has_ended_gets_another_one(world: World) -> None:
    """That is said, and the new operation keeps it in step."""
    project = world.project()
    _, replica = await _twins(world, project)
    old = f"sync-{replica}"
    await world.client.get_workflow_handle(old).terminate("an operator")
    with world.database.write() as connection:
        operations.end(connection, old, OperationState.FAILED_CLEAN)
    await _claims(world)
    (finding,) = await _findings(world, f"replica/{replica}", open_only=False)
    assert (finding.kind, finding.repaired) == ("unsynced-replica", True)
    opened = _replica(world, replica)["sync_operation"]
    assert opened in finding.detail
    assert opened != old
    assert any(opened in line for line in (await _claims(world))["resumed"])
    await _synced_after(world, replica, _replica(world, replica)["synced_at"])
    await _purge(world, project)
    assert (await world.result(world.client.get_workflow_handle(opened)))["state"] == "succeeded"
