"""Every operation in each of its endings, played once so that its history can be kept."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

from temporalio.client import WorkflowHandle

from drivers.fake import FaultKind
from inventory import catalogue
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
        delete_preview,
        delete_restored,
        delete_purged_now,
        delete_purged_in_time,
        delete_cancelled,
        forget,
        apply_specs,
        apply_specs_moved,
        detect_drift,
        detect_drift_without_git,
        reconcile_claims,
        reconcile_backend,
    )
}
