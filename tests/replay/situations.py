"""Every operation in each of its endings, played once so that its history can be kept."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

from temporalio.client import WorkflowHandle, WorkflowUpdateFailedError

from drivers.contract import ObjectRef
from drivers.fake import FakeClient, FaultKind
from drivers.fake.script import Fault
from inventory import catalogue, replicas, resources
from shareflow import names
from shareflow.contracts.specs import PlanView
from tests.support.world import Refused, World

Play = Callable[[World, str], Awaitable[WorkflowHandle[Any, Any]]]
Started = WorkflowHandle[Any, Any]


async def _share(world: World, project: str, name: str = "home", **more: Any) -> None:
    request = {"project": project, "name": name, "size": "1 GiB", "backend": "alpha", **more}
    await world.run(names.CREATE_SHARE, request)


async def _snapshot(world: World, project: str, name: str = "s1") -> None:
    await world.run(names.CREATE_SNAPSHOT, {"project": project, "share": "home", "name": name})


async def _ended(world: World, handle: Started) -> Started:
    with suppress(Refused):
        await world.result(handle)
    return handle


async def _play(world: World, kind: str, request: dict[str, Any]) -> Started:
    return await _ended(world, await world.start(kind, request))


async def create_share(world: World, project: str) -> Started:
    """Succeeded."""
    return await _play(world, names.CREATE_SHARE, {"project": project, "name": "home", "size": "1 GiB"})


async def create_share_refused(world: World, project: str) -> Started:
    """No pool fits."""
    return await _play(world, names.CREATE_SHARE, {"project": project, "name": "home", "size": "900 PiB"})


async def create_share_next_pool(world: World, project: str) -> Started:
    """The best pool refuses, the next one takes it."""
    operation = f"op-{uuid.uuid4()}"
    world.array().script.add(FaultKind.FULL, verb="create_share", operation=operation, times=1)
    request = {"project": project, "name": "home", "size": "1 GiB"}
    return await _ended(world, await world.start(names.CREATE_SHARE, request, operation=operation))


async def create_share_cancelled(world: World, project: str) -> Started:
    """Cancelled while the backend works; undone."""
    operation = f"op-{uuid.uuid4()}"
    world.array().script.add(FaultKind.HANG, verb="create_share", operation=operation, before=1, times=1)
    request = {"project": project, "name": "home", "size": "1 GiB", "backend": "alpha"}
    handle = await world.start(names.CREATE_SHARE, request, operation=operation)
    await asyncio.sleep(0.4)
    await handle.cancel()
    return await _ended(world, handle)


async def clone(world: World, project: str) -> Started:
    """A share by clone."""
    await _share(world, project)
    await _snapshot(world, project)
    request = {"project": project, "share": "home", "snapshot": "s1", "name": "copy", "size": "2 GiB"}
    return await _play(world, names.CREATE_SHARE_FROM_SNAPSHOT, request)


async def copy(world: World, project: str) -> Started:
    """A share by copy into another backend."""
    await _share(world, project)
    await _snapshot(world, project)
    request = {"project": project, "share": "home", "snapshot": "s1", "name": "copy", "backend": "beta"}
    return await _play(world, names.CREATE_SHARE_FROM_SNAPSHOT, request)


async def create_snapshot(world: World, project: str) -> Started:
    """Succeeded."""
    await _share(world, project)
    return await _play(world, names.CREATE_SNAPSHOT, {"project": project, "share": "home", "name": "s1"})


async def create_snapshot_in_line(world: World, project: str) -> Started:
    """Waited in line, was woken, succeeded."""
    await _share(world, project)
    first = f"op-{uuid.uuid4()}"
    world.array().script.add(FaultKind.HANG, verb="create_snapshot", operation=first, before=1, times=1)
    holder = await world.start(
        names.CREATE_SNAPSHOT, {"project": project, "share": "home", "name": "a"}, operation=first
    )
    await asyncio.sleep(0.3)
    handle = await world.start(names.CREATE_SNAPSHOT, {"project": project, "share": "home", "name": "b"})
    await world.until(handle, "waiting")
    await world.result(holder)
    return await _ended(world, handle)


async def delete_snapshot(world: World, project: str) -> Started:
    """Succeeded."""
    await _share(world, project)
    await _snapshot(world, project)
    return await _play(world, names.DELETE_SNAPSHOT, {"project": project, "share": "home", "snapshot": "s1"})


async def revert(world: World, project: str) -> Started:
    """Succeeded."""
    await _share(world, project)
    await _snapshot(world, project)
    return await _play(world, names.REVERT_SHARE, {"project": project, "share": "home", "snapshot": "s1"})


async def resize(world: World, project: str) -> Started:
    """Succeeded."""
    await _share(world, project)
    return await _play(world, names.RESIZE_SHARE, {"project": project, "share": "home", "size": "2 GiB"})


async def resize_refused(world: World, project: str) -> Started:
    """The backend refuses; the old size is set again."""
    await _share(world, project)
    operation = f"op-{uuid.uuid4()}"
    world.array().script.add(FaultKind.REJECT, verb="resize_share", operation=operation, times=1)
    request = {"project": project, "share": "home", "size": "2 GiB"}
    return await _ended(world, await world.start(names.RESIZE_SHARE, request, operation=operation))


async def resize_after_outage(world: World, project: str) -> Started:
    """The backend does not answer for a while, then it does."""
    await _share(world, project)
    operation = f"op-{uuid.uuid4()}"
    world.array().script.add(FaultKind.ERROR_BEFORE_EFFECT, verb="resize_share", operation=operation, times=6)
    request = {"project": project, "share": "home", "size": "2 GiB"}
    return await _ended(world, await world.start(names.RESIZE_SHARE, request, operation=operation))


async def _set_qos(world: World, project: str, qos: str | None, **more: Any) -> Started:
    return await _play(world, names.SET_SHARE_QOS, {"project": project, "share": "home", "qos": qos, **more})


async def set_qos(world: World, project: str) -> Started:
    """Succeeded."""
    await _share(world, project)
    return await _set_qos(world, project, "gold")


async def set_qos_to_none(world: World, project: str) -> Started:
    """A class is taken away."""
    await _share(world, project, type="fast")
    return await _set_qos(world, project, None)


async def set_qos_without_limits(world: World, project: str) -> Started:
    """There was nothing and there is to be nothing: the backend is not asked."""
    await _share(world, project)
    return await _set_qos(world, project, None)


async def set_qos_refused(world: World, project: str) -> Started:
    """The pool cannot promise the floor; refused before anything was touched."""
    await _share(world, project, backend="beta")
    return await _set_qos(world, project, "firm")


async def set_qos_undone(world: World, project: str) -> Started:
    """The driver cannot enforce the value; the old limits are set again."""
    await _share(world, project, backend="beta")
    await _set_qos(world, project, "silver")
    return await _set_qos(world, project, "tiny")


async def create_share_with_qos(world: World, project: str) -> Started:
    """A share of a type that has a class."""
    request = {"project": project, "name": "home", "size": "1 GiB", "type": "fast"}
    return await _play(world, names.CREATE_SHARE, request)


async def copy_with_qos(world: World, project: str) -> Started:
    """A copy into another pool, which gets its limits when it is full."""
    await _share(world, project, type="fast", pool="a1")
    await _snapshot(world, project)
    request = {"project": project, "share": "home", "snapshot": "s1", "name": "copy", "pool": "a2"}
    return await _play(world, names.CREATE_SHARE_FROM_SNAPSHOT, request)


async def resize_with_qos(world: World, project: str) -> Started:
    """Size and scaled limits in one step."""
    await _share(world, project, type="fast")
    return await _play(world, names.RESIZE_SHARE, {"project": project, "share": "home", "size": "2 GiB"})


async def _delete(world: World, project: str) -> Started:
    await _share(world, project)
    await _snapshot(world, project)
    handle = await world.start(names.DELETE_SHARE, {"project": project, "share": "home"})
    await world.until(handle, "recycle-bin")
    return handle


async def delete_preview(world: World, project: str) -> Started:
    """Only looked at."""
    await _share(world, project)
    return await _play(world, names.DELETE_SHARE, {"project": project, "share": "home", "preview": True})


async def delete_restored(world: World, project: str) -> Started:
    """Restored by update, after its retention was extended."""
    handle = await _delete(world, project)
    await handle.execute_update(names.EXTEND_RETENTION, {"extend_by": "1 d"})
    await handle.execute_update(names.RESTORE, {})
    return await _ended(world, handle)


async def delete_purged_now(world: World, project: str) -> Started:
    """Purged by signal."""
    handle = await _delete(world, project)
    await handle.signal(names.PURGE_NOW, {})
    return await _ended(world, handle)


async def delete_purged_in_time(world: World, project: str) -> Started:
    """Purged by its timer, after seven days."""
    handle = await _delete(world, project)
    await world.skipper.fast_forward(handle, timedelta(days=8))
    return await _ended(world, handle)


async def delete_cancelled(world: World, project: str) -> Started:
    """Cancelled in the recycle bin: restored."""
    handle = await _delete(world, project)
    await handle.cancel()
    return await _ended(world, handle)


async def forget(world: World, project: str) -> Started:
    """Succeeded."""
    await _share(world, project)
    return await _play(world, names.FORGET_SHARE, {"project": project, "share": "home"})


async def _retype(world: World, project: str, type_name: str, **more: Any) -> Started:
    request = {"project": project, "share": "home", "type": type_name, "cutover_when": "immediately", "grace": 0}
    return await _play(world, names.RETYPE_SHARE, {**request, **more})


async def retype_in_place(world: World, project: str) -> Started:
    """The pool satisfies the type; limits are set."""
    await _share(world, project, pool="a1")
    return await _retype(world, project, "fast")


async def retype_in_place_undone(world: World, project: str) -> Started:
    """The backend refuses the limits; the old ones are set again."""
    await _share(world, project, pool="a1")
    operation = f"op-{uuid.uuid4()}"
    world.array().script.add(FaultKind.REJECT, verb="set_qos", operation=operation, times=1)
    request = {"project": project, "share": "home", "type": "fast"}
    return await _ended(world, await world.start(names.RETYPE_SHARE, request, operation=operation))


async def retype_by_migration(world: World, project: str) -> Started:
    """The pool fails a rule of the type."""
    await _share(world, project, pool="a2")
    return await _retype(world, project, "ssd")


async def drain_pool(world: World, project: str) -> Started:
    """Marked, and open again before the next situation."""
    started = await _play(world, names.DRAIN_POOL, {"project": project, "backend": "beta", "pool": "b1"})
    await _open(world, project, "beta", "b1")
    return started


async def _open(world: World, project: str, backend: str, pool: str) -> None:
    request = {"project": project, "backend": backend, "pool": pool, "drained": False}
    await world.run(names.DRAIN_POOL, request)


async def _beta_with_shares(world: World, project: str, number: int = 3) -> dict[str, Any]:
    """Shares on b1, where no other situation leaves any."""
    for index in range(number):
        request = {"project": project, "name": f"s{index}", "size": "1 GiB", "backend": "beta"}
        await world.run(names.CREATE_SHARE, request)
    return {"project": project, "backend": "beta", "grace": 0, "concurrency": 2}


async def evacuate_pool(world: World, project: str) -> Started:
    """Three shares, two at a time."""
    request = await _beta_with_shares(world, project)
    started = await _play(world, names.EVACUATE_POOL, {**request, "pool": "b1"})
    await _open(world, project, "beta", "b1")
    return started


async def evacuate_backend(world: World, project: str) -> Started:
    """With a limit that is changed, a pause, a resume and cutovers on command."""
    request = {**await _beta_with_shares(world, project, 2), "cutover_when": "manual", "bandwidth": "64 MiB/s"}
    handle = await world.start(names.EVACUATE_BACKEND, request)
    await world.until(handle, "evacuating")
    await handle.execute_update(names.SET_BANDWIDTH, {"bandwidth": "32 MiB/s"})
    await handle.execute_update(names.PAUSE, {})
    await world.until(handle, "paused")
    await handle.execute_update(names.RESUME, {})
    await _cut_over_all(handle)
    await _open(world, project, "beta", "b1")
    return await _ended(world, handle)


async def _cut_over_all(handle: Started) -> None:
    """Send the command until nothing is left."""
    async with asyncio.timeout(60):
        while (status := await handle.query(names.STATUS))["phase"] != "ended":
            if "cutover" in status["commands"]:
                await handle.signal(names.CUTOVER, {})
            await asyncio.sleep(0.5)


async def evacuate_cancelled(world: World, project: str) -> Started:
    """Cancelled while its migrations follow their sources."""
    request = {**await _beta_with_shares(world, project, 2), "cutover_when": "manual", "undrain_on_cancel": True}
    handle = await world.start(names.EVACUATE_BACKEND, request)
    await world.until(handle, "evacuating")
    await asyncio.sleep(1)
    await handle.cancel()
    return await _ended(world, handle)


async def evacuate_in_two_runs(world: World, project: str) -> Started:
    """The second run finds what the first one began; told so often that its history grew."""
    request = {**await _beta_with_shares(world, project, 2), "cutover_when": "manual"}
    handle = await world.start(names.EVACUATE_POOL, {**request, "pool": "b1"})
    first = (await handle.describe()).run_id
    async with asyncio.timeout(60):
        while (await handle.describe()).run_id == first:
            await handle.signal(names.SET_BANDWIDTH, {"bandwidth": None})
            await handle.signal(names.SET_BANDWIDTH, {"bandwidth": "1 GiB/s"})
            await asyncio.sleep(0.05)
    await _cut_over_all(handle)
    await _open(world, project, "beta", "b1")
    return await _ended(world, handle)


async def _migrate(world: World, project: str, **more: Any) -> Started:
    """A share with a snapshot and content of a client, on its way to another backend."""
    await _share(world, project, pool="a1")
    await _snapshot(world, project)
    request = {"project": project, "share": "home", "to_backend": "beta", "preserve_snapshots": True, "grace": 0}
    return await world.start(names.MIGRATE_SHARE, {**request, **more})


async def migrate_by_driver(world: World, project: str) -> Started:
    """By the backends themselves, as soon as it can be."""
    return await _ended(world, await _migrate(world, project, mode="driver", cutover_when="immediately"))


async def migrate_by_host(world: World, project: str) -> Started:
    """Through the mover; the old copy is kept until the command comes."""
    handle = await _migrate(world, project, mode="host", cutover_when="immediately", grace="1 h")
    await world.until(handle, "grace", seconds=60)
    await handle.execute_update(names.END_GRACE, {})
    return await _ended(world, handle)


async def migrate_planned(world: World, project: str) -> Started:
    """A dry run."""
    return await _ended(world, await _migrate(world, project, dry_run=True))


async def migrate_refused(world: World, project: str) -> Started:
    """There is no room for it anywhere it may go."""
    return await _ended(world, await _migrate(world, project, to_pool="a1", to_backend="alpha"))


async def migrate_paused_and_cut_over(world: World, project: str) -> Started:
    """Paused and resumed, then cut over by command."""
    handle = await _migrate(world, project, mode="driver")
    await world.until(handle, "catching-up", seconds=60)
    await handle.execute_update(names.PAUSE, {})
    await world.until(handle, "paused", seconds=60)
    await handle.execute_update(names.RESUME, {})
    await handle.execute_update(names.CUTOVER, {})
    return await _ended(world, handle)


async def migrate_continued(world: World, project: str) -> Started:
    """It goes on in a new run when its history grows long, and is cut over there."""
    handle = await _migrate(world, project, mode="driver")
    async with asyncio.timeout(120):
        while (await handle.describe()).run_id == handle.first_execution_run_id:  # noqa: ASYNC110
            await asyncio.sleep(0.2)
    latest = world.client.get_workflow_handle(handle.id)
    await world.until(latest, "catching-up", seconds=60)
    await latest.execute_update(names.CUTOVER, {})
    return await _ended(world, latest)


async def migrate_before_it_is_continued(world: World, project: str) -> Started:
    """The run that ends with a new one."""
    latest = await migrate_continued(world, project)
    first = [one async for one in world.client.list_workflows(f"WorkflowId = '{latest.id}'")]
    oldest = min(first, key=lambda one: one.start_time)
    return world.client.get_workflow_handle(latest.id, run_id=oldest.run_id)


async def _replicated(world: World, project: str) -> dict[str, Any]:
    """A share with a snapshot and a replica that is kept in step; the answer of its CreateReplica."""
    await _share(world, project, type="twice", pool="a1")
    await _snapshot(world, project)
    return await world.run(names.CREATE_REPLICA, {"project": project, "share": "home"})


async def migrate_replicated(world: World, project: str) -> Started:
    """The active instance of a replicated share; a round of its sync gives way to the cutover."""
    made = await _replicated(world, project)
    sync = f"sync-{made['replica_id']}"
    world.array("beta").script.add(FaultKind.HANG, verb="receive_snapshot", operation=sync, before=20, times=1)
    request = {"project": project, "share": "home", "to_pool": "a2", "preserve_snapshots": True, "grace": 0}
    await asyncio.sleep(1.5)
    return await _play(world, names.MIGRATE_SHARE, {**request, "cutover_when": "immediately"})


def _moved(made: dict[str, Any], project: str) -> dict[str, Any]:
    about = {"project": project, "share": "home", "replica": made["replica_id"]}
    return {**about, "to_pool": "a2", "same_domain": True}


async def migrate_replica(world: World, project: str) -> Started:
    """Filled, switched, and the old one deleted."""
    return await _play(world, names.MIGRATE_REPLICA, _moved(await _replicated(world, project), project))


async def migrate_replica_paused(world: World, project: str) -> Started:
    """Paused while its content is on the way, limited, resumed."""
    request = _moved(await _replicated(world, project), project)
    operation = f"op-{uuid.uuid4()}"
    world.array().script.add(FaultKind.HANG, verb="receive_snapshot", operation=operation, before=2, times=1)
    handle = await world.start(names.MIGRATE_REPLICA, request, operation=operation)
    await world.until(handle, "copying")
    await handle.execute_update(names.PAUSE, {})
    await world.until(handle, "paused")
    await handle.execute_update(names.SET_BANDWIDTH, {"bandwidth": "64 MiB/s"})
    await handle.execute_update(names.RESUME, {})
    return await _ended(world, handle)


async def migrate_replica_overtaken(world: World, project: str) -> Started:
    """The replica is promoted while another one is filled; undone."""
    request = _moved(await _replicated(world, project), project)
    operation = f"op-{uuid.uuid4()}"
    world.array().script.add(FaultKind.HANG, verb="receive_snapshot", operation=operation, before=2, times=1)
    handle = await world.start(names.MIGRATE_REPLICA, request, operation=operation)
    await world.until(handle, "copying")
    await world.run(names.PROMOTE_REPLICA, {"project": project, "share": "home", "replica": request["replica"]})
    return await _ended(world, handle)


async def evacuate_replicas(world: World, project: str) -> Started:
    """A replicated share and a replica leave one pool."""
    await _share(world, project, type="twice", pool="a2")
    await world.run(names.CREATE_REPLICA, {"project": project, "share": "home"})
    await _share(world, project, "other", type="twice", backend="beta")
    await world.run(names.CREATE_REPLICA, {"project": project, "share": "other", "pool": "a2"})
    started = await _play(
        world, names.EVACUATE_POOL, {"project": project, "backend": "alpha", "pool": "a2", "grace": 0}
    )
    await _open(world, project, "alpha", "a2")
    return started


def _sync(world: World, replica: str) -> Started:
    return world.client.get_workflow_handle(f"sync-{replica}")


def _write(world: World, project: str, data: bytes) -> None:
    """A client changes the share, which is on alpha."""
    with world.database.read() as connection:
        place = resources.instance_place(connection, resources.find_share(connection, project, "home")["id"])
    FakeClient(world.array("alpha")).write(ObjectRef(place.pool, place.object), "file", data)


async def create_replica(world: World, project: str) -> Started:
    """By the backends themselves, with a snapshot."""
    await _share(world, project, type="twice", pool="a1")
    await _snapshot(world, project)
    return await _play(world, names.CREATE_REPLICA, {"project": project, "share": "home"})


async def create_replica_refused(world: World, project: str) -> Started:
    """There is no place apart from the share."""
    await _share(world, project, type="twice", pool="a1")
    request = {"project": project, "share": "home", "backend": "alpha"}
    return await _play(world, names.CREATE_REPLICA, request)


async def create_replica_cancelled(world: World, project: str) -> Started:
    """Cancelled while its content is on the way; undone."""
    await _share(world, project, type="twice", pool="a1")
    operation = f"op-{uuid.uuid4()}"
    world.array("beta").script.add(FaultKind.HANG, verb="receive_snapshot", operation=operation, before=1, times=1)
    request = {"project": project, "share": "home"}
    handle = await world.start(names.CREATE_REPLICA, request, operation=operation)
    await world.until(handle, "running")
    await asyncio.sleep(0.4)
    await handle.cancel()
    return await _ended(world, handle)


async def resync_replica(world: World, project: str) -> Started:
    """What changed since; its sync gives way."""
    made = await _replicated(world, project)
    return await _play(
        world, names.RESYNC_REPLICA, {"project": project, "share": "home", "replica": made["replica_id"]}
    )


async def resync_replica_in_full(world: World, project: str) -> Started:
    """Everything anew."""
    made = await _replicated(world, project)
    request = {"project": project, "share": "home", "replica": made["replica_id"], "full": True}
    return await _play(world, names.RESYNC_REPLICA, request)


async def resync_replica_undone(world: World, project: str) -> Started:
    """Its backend refuses; the replica says so."""
    made = await _replicated(world, project)
    operation = f"op-{uuid.uuid4()}"
    world.array("beta").script.add(FaultKind.REJECT, verb="receive_snapshot", operation=operation, times=1)
    request = {"project": project, "share": "home", "replica": made["replica_id"]}
    return await _ended(world, await world.start(names.RESYNC_REPLICA, request, operation=operation))


async def delete_replica(world: World, project: str) -> Started:
    """With its copies of snapshots."""
    made = await _replicated(world, project)
    return await _play(
        world, names.DELETE_REPLICA, {"project": project, "share": "home", "replica": made["replica_id"]}
    )


async def delete_replica_that_is_away(world: World, project: str) -> Started:
    """What is on the backend that does not answer is left to the reconciler."""
    made = await _replicated(world, project)
    away = world.array("beta").script.add(FaultKind.UNREACHABLE)
    request = {"project": project, "share": "home", "replica": made["replica_id"]}
    ended = await _play(world, names.DELETE_REPLICA, request)
    world.array("beta").script.lift(away)
    await _play(world, names.RECONCILE_BACKEND, {"backend": "beta"})
    return ended


async def delete_with_replica(world: World, project: str) -> Started:
    """Restored, with a replica that clients read; then once more, and purged."""
    await _share(world, project, type="mirrored", pool="a1")
    await _snapshot(world, project)
    await world.run(names.CREATE_REPLICA, {"project": project, "share": "home"})
    restored = await world.start(names.DELETE_SHARE, {"project": project, "share": "home"})
    await world.until(restored, "recycle-bin")
    await restored.execute_update(names.RESTORE, {})
    await world.result(restored)
    handle = await world.start(names.DELETE_SHARE, {"project": project, "share": "home"})
    await world.until(handle, "recycle-bin")
    await handle.signal(names.PURGE_NOW, {})
    return await _ended(world, handle)


async def delete_with_replica_that_is_away(world: World, project: str) -> Started:
    """It is cut off when it is back; restored."""
    await _share(world, project, type="mirrored", pool="a1")
    await world.run(names.CREATE_REPLICA, {"project": project, "share": "home"})
    outage = world.array("beta").script.add(FaultKind.UNREACHABLE, times=None)
    handle = await world.start(names.DELETE_SHARE, {"project": project, "share": "home"})
    await world.until(handle, "recycle-bin", seconds=40)
    world.array("beta").script.lift(outage)
    await asyncio.sleep(4)
    await handle.execute_update(names.RESTORE, {})
    return await _ended(world, handle)


async def delete_with_replicas_one_of_them_away(world: World, project: str) -> Started:
    """Purged; what is on the backend that does not answer is left to the reconciler."""
    await _replicated(world, project)
    await world.run(names.CREATE_REPLICA, {"project": project, "share": "home", "pool": "a2", "same_domain": True})
    handle = await world.start(names.DELETE_SHARE, {"project": project, "share": "home"})
    await world.until(handle, "recycle-bin")
    away = world.array("beta").script.add(FaultKind.UNREACHABLE)
    await handle.signal(names.PURGE_NOW, {})
    ended = await _ended(world, handle)
    world.array("beta").script.lift(away)
    await _play(world, names.RECONCILE_BACKEND, {"backend": "beta"})
    return ended


async def sync_replica_of_a_deleted_share(world: World, project: str) -> Started:
    """It stands in line while its share is in the recycle bin, goes on, and ends with the purge."""
    made = await _replicated(world, project)
    restored = await world.start(names.DELETE_SHARE, {"project": project, "share": "home"})
    await world.until(restored, "recycle-bin")
    await asyncio.sleep(4)
    await restored.execute_update(names.RESTORE, {})
    await world.result(restored)
    await asyncio.sleep(3)
    await world.run(names.DELETE_SHARE, {"project": project, "share": "home", "retention": 0})
    return await _ended(world, _sync(world, made["replica_id"]))


async def promote_replica(world: World, project: str) -> Started:
    """Planned: nothing is lost."""
    await _replicated(world, project)
    return await _play(world, names.PROMOTE_REPLICA, {"project": project, "share": "home"})


async def promote_replica_undone(world: World, project: str) -> Started:
    """The verification fails: the old one takes writes again."""
    await _replicated(world, project)
    operation = f"op-{uuid.uuid4()}"
    world.array("beta").script.add(FaultKind.REJECT, verb="receive_snapshot", operation=operation, skip=1, times=1)
    request = {"project": project, "share": "home"}
    return await _ended(world, await world.start(names.PROMOTE_REPLICA, request, operation=operation))


async def promote_replica_of_a_lost_one(world: World, project: str) -> Started:
    """The old active instance cannot be reached and is declared lost."""
    await _replicated(world, project)
    outage = world.array("alpha").script.add(FaultKind.UNREACHABLE)
    request = {"project": project, "share": "home", "lost": True, "accept_loss": True, "reason": "burnt"}
    started = await _play(world, names.PROMOTE_REPLICA, request)
    world.array("alpha").script.lift(outage)
    return started


async def _lost_meanwhile(world: World, project: str, kind: str, **fields: Any) -> tuple[Started, Started]:
    """The backend dies, an operation needs it, and a promotion has it end: that operation, and the promotion."""
    await _replicated(world, project)
    outage = world.array("alpha").script.add(FaultKind.UNREACHABLE)
    handle = await world.start(kind, {"project": project, "share": "home", **fields})
    await world.until(handle, "waiting")
    request = {"project": project, "share": "home", "lost": True, "accept_loss": True, "reason": "burnt"}
    promotion = await _play(world, names.PROMOTE_REPLICA, request)
    await _ended(world, handle)
    world.array("alpha").script.lift(outage)
    return handle, promotion


async def promote_replica_of_a_lost_one_that_was_held(world: World, project: str) -> Started:
    """An operation that has the share, and waits for the backend, is told to end."""
    return (await _lost_meanwhile(world, project, names.CREATE_SNAPSHOT, name="s2"))[1]


async def promote_replica_of_a_lost_one_told_again(world: World, project: str) -> Started:
    """The operation that has the share was ended from outside, and is told once the reconciler undoes it."""
    await _replicated(world, project)
    outage = world.array("alpha").script.add(FaultKind.UNREACHABLE)
    handle = await world.start(names.CREATE_SNAPSHOT, {"project": project, "share": "home", "name": "s2"})
    await world.until(handle, "waiting")
    await handle.terminate("an operator")
    request = {"project": project, "share": "home", "lost": True, "accept_loss": True, "reason": "burnt"}
    promotion = await world.start(names.PROMOTE_REPLICA, request)
    await asyncio.sleep(2)
    await world.run(names.RECONCILE_CLAIMS, {"grace": 0})
    await _ended(world, promotion)
    world.array("alpha").script.lift(outage)
    return promotion


async def create_snapshot_of_a_lost_one(world: World, project: str) -> Started:
    """Given up: what may have been made is left to the reconciler."""
    return (await _lost_meanwhile(world, project, names.CREATE_SNAPSHOT, name="s2"))[0]


async def delete_snapshot_of_a_lost_one(world: World, project: str) -> Started:
    """Past its return: the snapshot goes, its object is left to the reconciler."""
    return (await _lost_meanwhile(world, project, names.DELETE_SNAPSHOT, snapshot="s1"))[0]


async def revert_of_a_lost_one(world: World, project: str) -> Started:
    """Given up without asking whether its job has done its work."""
    return (await _lost_meanwhile(world, project, names.REVERT_SHARE, snapshot="s1"))[0]


async def migrate_of_a_lost_one(world: World, project: str) -> Started:
    """Given up: what it has made beside the source is left to the reconciler."""
    fields = {"to_pool": "a2", "preserve_snapshots": True}
    return (await _lost_meanwhile(world, project, names.MIGRATE_SHARE, **fields))[0]


async def promote_replica_overtaken_by_a_loss(world: World, project: str) -> Started:
    """Planned, and given up for one that does without the backend."""
    return (await _lost_meanwhile(world, project, names.PROMOTE_REPLICA))[0]


async def _twins(world: World, project: str, number: int = 3) -> dict[str, Any]:
    """Shares that are active on beta, each with a replica on alpha, and one without."""
    for index in range(number):
        share = {"project": project, "name": f"s{index}", "size": "1 GiB", "type": "twice", "backend": "beta"}
        await world.run(names.CREATE_SHARE, share)
        await world.run(names.CREATE_REPLICA, {"project": project, "share": f"s{index}", "backend": "alpha"})
    await world.run(names.CREATE_SHARE, {"project": project, "name": "alone", "size": "1 GiB", "backend": "beta"})
    return {"project": project, "backend": "beta", "concurrency": 2}


async def failover_of_a_lost_backend(world: World, project: str) -> Started:
    """Paused and resumed; one share has no replica."""
    request = {**await _twins(world, project), "lost": True, "accept_loss": True, "reason": "burnt"}
    outage = world.array("beta").script.add(FaultKind.UNREACHABLE)
    handle = await world.start(names.FAILOVER_BACKEND, request)
    await world.until(handle, "failing-over")
    with suppress(WorkflowUpdateFailedError):
        await handle.execute_update(names.PAUSE, {})
        await handle.execute_update(names.RESUME, {})
    await _ended(world, handle)
    world.array("beta").script.lift(outage)
    return handle


async def failover_cancelled(world: World, project: str) -> Started:
    """Planned, and cancelled while its first promotions are under way."""
    request = await _twins(world, project)
    hanging = world.array("beta").script.add(FaultKind.HANG, verb="set_access_mode", before=2, times=2)
    handle = await world.start(names.FAILOVER_BACKEND, request)
    await world.until(handle, "failing-over")
    await asyncio.sleep(1)
    await handle.cancel()
    await _ended(world, handle)
    world.array("beta").script.lift(hanging)
    return handle


async def failover_refused(world: World, project: str) -> Started:
    """Nobody has accepted what it would lose."""
    request = await _twins(world, project, 1)
    return await _play(world, names.FAILOVER_BACKEND, {**request, "lost": True, "reason": "burnt"})


async def failback(world: World, project: str) -> Started:
    """What a planned failover has moved goes back."""
    request = await _twins(world, project)
    await world.run(names.FAILOVER_BACKEND, request)
    return await _play(world, names.FAILBACK_BACKEND, request)


async def sync_replica(world: World, project: str) -> Started:
    """A round after the first, one that fails, one that gives way, and the end of its replica."""
    made = await _replicated(world, project)
    handle = _sync(world, made["replica_id"])
    await world.until(handle, "in_sync")
    _write(world, project, b"1")  # where nothing has changed no round is made
    failing = world.array("beta").script.add(FaultKind.REJECT, verb="receive_snapshot", times=None)
    await world.until(handle, "error")
    world.array("beta").script.lift(failing)
    await world.until(handle, "in_sync", seconds=30)
    hanging = world.array("beta").script.add(FaultKind.HANG, verb="receive_snapshot", before=30, times=1)
    _write(world, project, b"2")
    await asyncio.sleep(2.5)
    request = {"project": project, "share": "home", "replica": made["replica_id"]}
    deleting = await world.start(names.DELETE_REPLICA, request)
    await asyncio.sleep(0.5)
    world.array("beta").script.lift(hanging)
    await world.result(deleting)
    return await _ended(world, handle)


async def _lost(world: World, project: str) -> tuple[dict[str, Any], Fault]:
    """A replicated share whose backend was lost; its stale copy, which cannot be reached, and what has to be lifted."""
    await _replicated(world, project)
    outage = world.array("alpha").script.add(FaultKind.UNREACHABLE)
    request = {"project": project, "share": "home", "lost": True, "accept_loss": True, "reason": "burnt"}
    await world.run(names.PROMOTE_REPLICA, request)
    await asyncio.sleep(1)
    return _stale(world, project), outage


def _stale(world: World, project: str) -> dict[str, Any]:
    with world.database.read() as connection:
        share = resources.find_share(connection, project, "home")
        (row,) = replicas.of_share(connection, share["id"])
        return dict(row)


async def sync_replica_that_was_lost(world: World, project: str) -> Started:
    """The sync of a stale copy: it is fenced once it is reached, kept, and resynced by command."""
    row, outage = await _lost(world, project)
    world.array("alpha").script.lift(outage)
    handle = world.client.get_workflow_handle(row["sync_operation"])
    await world.until(handle, "error")
    about = {"project": project, "share": "home", "replica": row["id"]}
    await world.run(names.RESYNC_REPLICA, about)
    await world.until(handle, "in_sync")
    await world.run(names.DELETE_REPLICA, about)
    return await _ended(world, handle)


async def _run_of_a_stale_sync(world: World, project: str, *, fences: bool) -> Started:
    row, outage = await _lost(world, project)
    handle = world.client.get_workflow_handle(row["sync_operation"])
    await world.until(handle, "error")
    run = (await handle.describe()).run_id
    world.array("alpha").script.lift(outage)
    while _stale(world, project)["stale"] != "kept":  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    if fences:
        run = (await handle.describe()).run_id
    await world.run(names.DELETE_REPLICA, {"project": project, "share": "home", "replica": row["id"]})
    return world.client.get_workflow_handle(handle.id, run_id=run)


async def sync_replica_that_cannot_be_fenced(world: World, project: str) -> Started:
    """A run in which a stale copy cannot be reached."""
    return await _run_of_a_stale_sync(world, project, fences=False)


async def sync_replica_that_is_fenced(world: World, project: str) -> Started:
    """The run that fences a stale copy."""
    return await _run_of_a_stale_sync(world, project, fences=True)


async def _of_a_stale_copy(world: World, project: str, kind: str) -> Started:
    """An operation that holds a stale copy before its backend is back."""
    row, outage = await _lost(world, project)
    about = {"project": project, "share": "home", "replica": row["id"]}
    handle = await world.start(kind, about)
    await asyncio.sleep(2)
    world.array("alpha").script.lift(outage)
    return await _ended(world, handle)


async def resync_replica_that_is_fenced(world: World, project: str) -> Started:
    """It fences the stale copy first."""
    return await _of_a_stale_copy(world, project, names.RESYNC_REPLICA)


async def delete_replica_that_is_fenced(world: World, project: str) -> Started:
    """It fences the stale copy first."""
    return await _of_a_stale_copy(world, project, names.DELETE_REPLICA)


async def sync_replica_before_it_is_continued(world: World, project: str) -> Started:
    """The run that ends with a new one, when its history has grown."""
    made = await _replicated(world, project)
    handle = _sync(world, made["replica_id"])
    first = (await handle.describe()).run_id
    async with asyncio.timeout(120):
        while (await handle.describe()).run_id == first:  # noqa: ASYNC110
            await asyncio.sleep(0.2)
    about = {"project": project, "share": "home", "replica": made["replica_id"]}
    await world.run(names.DELETE_REPLICA, about)
    return world.client.get_workflow_handle(handle.id, run_id=first)


async def _apply_specs(world: World, project: str, *, stale: bool = False, **more: Any) -> Started:
    """The world's own set with one type more, under a new name each time."""
    with world.database.read() as connection:
        row = catalogue.current_set(connection)
    assert row is not None
    documents = [*row["documents"], {"kind": "ShareType", "name": f"made-{uuid.uuid4().hex[:8]}"}]
    plan = await world.read(names.PLAN_SPECS, {"documents": documents}, PlanView)
    token = plan.token.model_dump() | ({"current": "0" * 64} if stale else {})
    return await _play(world, names.APPLY_SPECS, {"project": project, "documents": documents, "plan": token, **more})


async def apply_specs(world: World, project: str) -> Started:
    """Succeeded."""
    return await _apply_specs(world, project, by="ana", reason="one type more")


async def apply_specs_moved(world: World, project: str) -> Started:
    """The plan was made on another set; refused."""
    return await _apply_specs(world, project, stale=True)


async def detect_drift(world: World, _project: str) -> Started:
    """Git has another set than was applied."""
    documents = [{"kind": "ShareType", "name": "only-in-git"}]
    return await _play(world, names.DETECT_DRIFT, {"documents": documents})


async def detect_drift_without_git(world: World, _project: str) -> Started:
    """The inventory and the backends alone; one of them does not answer."""
    world.array().script.add(FaultKind.UNREACHABLE, verb="pools", times=1)
    return await _play(world, names.DETECT_DRIFT, {})


async def reconcile_claims(world: World, _project: str) -> Started:
    """One pass."""
    return await _play(world, names.RECONCILE_CLAIMS, {})


async def reconcile_backend(world: World, _project: str) -> Started:
    """One scan."""
    return await _play(world, names.RECONCILE_BACKEND, {"backend": "beta"})


SITUATIONS: dict[str, Play] = {
    play.__name__: play
    for play in (
        create_share,
        create_share_refused,
        create_share_next_pool,
        create_share_cancelled,
        clone,
        copy,
        create_snapshot,
        create_snapshot_in_line,
        delete_snapshot,
        revert,
        resize,
        resize_refused,
        resize_after_outage,
        set_qos,
        set_qos_to_none,
        set_qos_without_limits,
        set_qos_refused,
        set_qos_undone,
        create_share_with_qos,
        copy_with_qos,
        resize_with_qos,
        retype_in_place,
        retype_in_place_undone,
        retype_by_migration,
        drain_pool,
        evacuate_pool,
        evacuate_backend,
        evacuate_cancelled,
        evacuate_in_two_runs,
        delete_preview,
        delete_restored,
        delete_purged_now,
        delete_purged_in_time,
        delete_cancelled,
        forget,
        migrate_by_driver,
        migrate_by_host,
        migrate_planned,
        migrate_refused,
        migrate_paused_and_cut_over,
        migrate_continued,
        migrate_before_it_is_continued,
        migrate_replicated,
        migrate_replica,
        migrate_replica_paused,
        migrate_replica_overtaken,
        evacuate_replicas,
        create_replica,
        create_replica_refused,
        create_replica_cancelled,
        resync_replica,
        resync_replica_in_full,
        resync_replica_undone,
        delete_replica,
        delete_replica_that_is_away,
        delete_with_replica,
        delete_with_replicas_one_of_them_away,
        delete_with_replica_that_is_away,
        sync_replica_of_a_deleted_share,
        promote_replica,
        promote_replica_undone,
        promote_replica_of_a_lost_one,
        promote_replica_of_a_lost_one_that_was_held,
        promote_replica_of_a_lost_one_told_again,
        promote_replica_overtaken_by_a_loss,
        create_snapshot_of_a_lost_one,
        delete_snapshot_of_a_lost_one,
        revert_of_a_lost_one,
        migrate_of_a_lost_one,
        failover_of_a_lost_backend,
        failover_cancelled,
        failover_refused,
        failback,
        sync_replica,
        sync_replica_that_was_lost,
        sync_replica_that_cannot_be_fenced,
        sync_replica_that_is_fenced,
        resync_replica_that_is_fenced,
        delete_replica_that_is_fenced,
        sync_replica_before_it_is_continued,
        apply_specs,
        apply_specs_moved,
        detect_drift,
        detect_drift_without_git,
        reconcile_claims,
        reconcile_backend,
    )
}
