"""Soft deletion: out of view at once, back with its whole tree, gone for good only when its time has come."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from temporalio.client import WorkflowHandle, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from shareflow import names
from shareflow.contracts import reads
from shareflow.contracts.reads import Page
from tests.support.world import Refused, World

GIB = 2**30


async def _home(world: World, project: str, **more: Any) -> dict[str, Any]:
    share = await world.run(names.CREATE_SHARE, {"project": project, "name": "home", "size": GIB, **more})
    for name in ("s1", "s2"):
        await world.run(names.CREATE_SNAPSHOT, {"project": project, "share": "home", "name": name})
    return share


async def _delete(world: World, project: str, **more: Any) -> WorkflowHandle[Any, Any]:
    handle = await world.start(names.DELETE_SHARE, {"project": project, "share": "home", **more})
    await world.until(handle, "recycle-bin")
    return handle


async def _shares(world: World, project: str, *, deleted: bool = False) -> list[reads.ShareView]:
    query = reads.ShareQuery(project=project, deleted=deleted)
    return (await world.read(names.LIST_SHARES, query, Page[reads.ShareView])).items


async def _snapshots(world: World, project: str) -> list[str]:
    query = reads.SnapshotQuery(project=project)
    page = await world.read(names.LIST_SNAPSHOTS, query, Page[reads.SnapshotView])
    return [snapshot.name for snapshot in page.items]


async def _quota(world: World, project: str) -> tuple[int, int, int]:
    quota = await world.read(names.GET_QUOTA, reads.ProjectRef(project=project), reads.QuotaView)
    return quota.shares_used, quota.bytes_used, quota.snapshots_used


async def _refusal(handle: WorkflowHandle[Any, Any], command: str, request: dict[str, Any]) -> str:
    with pytest.raises(WorkflowUpdateFailedError) as caught:
        await handle.execute_update(command, request)
    assert isinstance(caught.value.__cause__, ApplicationError)
    return f"{caught.value.__cause__.type}: {caught.value.__cause__}"


async def test_a_deleted_share_leaves_every_view_with_its_tree_and_comes_back_whole(world: World) -> None:
    """Lists, look-ups and snapshots do not show it; restore brings all of it back under its own id."""
    project = world.project()
    share = await _home(world, project)
    handle = await _delete(world, project)
    assert await _shares(world, project) == []
    assert await _snapshots(world, project) == []
    for kind, more in ((names.RESIZE_SHARE, {"size": 2 * GIB}), (names.CREATE_SNAPSHOT, {"name": "s3"})):
        with pytest.raises(Refused, match="there is no share 'home'"):
            await world.run(kind, {"project": project, "share": "home", **more})
    [binned] = await _shares(world, project, deleted=True)
    assert (binned.id, binned.status, binned.purge_at is not None) == (share["share_id"], "recycle-bin", True)
    await handle.execute_update(names.RESTORE, {})
    [back] = await _shares(world, project)
    assert (back.id, back.name, back.status, back.purge_at) == (share["share_id"], "home", "available", None)
    assert await _snapshots(world, project) == ["s1", "s2"]


async def test_preview_says_what_would_go_and_changes_nothing(world: World) -> None:
    """The tree and the bytes, and the share is still there."""
    project = world.project()
    await _home(world, project)
    preview = await world.run(names.DELETE_SHARE, {"project": project, "share": "home", "preview": True})
    assert preview["outcome"] == "preview"
    assert [item["name"] for item in preview["tree"]] == ["home", "s1", "s2"]
    assert preview["frees_bytes"] == GIB
    assert len(await _shares(world, project)) == 1


async def test_quota_and_capacity_count_until_the_purge_and_not_longer(world: World) -> None:
    """The data still exist in the recycle bin, so they still count."""
    project = world.project()
    await _home(world, project)
    handle = await _delete(world, project)
    assert await _quota(world, project) == (1, GIB, 2)
    await handle.execute_update(names.PURGE_NOW, {})
    assert await _quota(world, project) == (0, 0, 0)


async def test_a_name_can_be_used_again_and_restore_then_needs_a_new_one(world: World) -> None:
    """The refused restore leaves the share where it was, and another name works."""
    project = world.project()
    old = await _home(world, project)
    handle = await _delete(world, project)
    new = await world.run(names.CREATE_SHARE, {"project": project, "name": "home", "size": GIB})
    assert new["share_id"] != old["share_id"]
    assert "NameTaken" in await _refusal(handle, names.RESTORE, {})
    assert (await handle.query(names.STATUS))["phase"] == "recycle-bin"
    await handle.execute_update(names.RESTORE, {"name": "home-2"})
    assert (await world.result(handle))["name"] == "home-2"
    assert sorted(share.name for share in await _shares(world, project)) == ["home", "home-2"]


async def test_a_retention_of_seven_days_lasts_seven_days(world: World) -> None:
    """Still there after six days and 23 hours; purged after seven days."""
    project = world.project()
    await _home(world, project)
    handle = await _delete(world, project)
    await world.skipper.fast_forward(handle, timedelta(days=6, hours=23))
    assert (await handle.query(names.STATUS))["phase"] == "recycle-bin"
    assert len(await _shares(world, project, deleted=True)) == 1
    await world.skipper.fast_forward(handle, timedelta(hours=2))
    assert (await world.result(handle))["outcome"] == "purged"
    assert await _shares(world, project, deleted=True) == []


async def test_an_extended_retention_moves_the_purge_each_time(world: World) -> None:
    """Two extensions of a day add up, and the purge comes two days later."""
    project = world.project()
    await _home(world, project)
    handle = await _delete(world, project, retention="1 d")
    for _ in range(2):
        await handle.execute_update(names.EXTEND_RETENTION, {"extend_by": "1 d"})
    await world.skipper.fast_forward(handle, timedelta(days=2, hours=12))
    assert (await handle.query(names.STATUS))["phase"] == "recycle-bin"
    await world.skipper.fast_forward(handle, timedelta(days=1))
    assert (await world.result(handle))["outcome"] == "purged"


async def test_restore_and_purge_at_once_have_exactly_one_winner(world: World) -> None:
    """One is carried out, the other is told that it came too late."""
    project = world.project()
    await _home(world, project)
    handle = await _delete(world, project)
    answers = await asyncio.gather(
        handle.execute_update(names.RESTORE, {}),
        handle.execute_update(names.PURGE_NOW, {}),
        handle.execute_update(names.EXTEND_RETENTION, {"extend_by": "1 d"}),
        return_exceptions=True,
    )
    outcome = (await world.result(handle))["outcome"]
    assert outcome in ("restored", "purged")
    assert sum(answer == outcome for answer in answers[:2]) == 1
    assert len(await _shares(world, project)) == (outcome == "restored")


async def test_signals_do_what_updates_do_also_early_twice_and_late(world: World) -> None:
    """A restore that arrives before the recycle bin is remembered; a second one and a late purge change nothing."""
    project = world.project()
    await _home(world, project)
    handle = await world.start(names.DELETE_SHARE, {"project": project, "share": "home"})
    await handle.signal(names.RESTORE, {"by": "ana"})
    await handle.signal(names.RESTORE, {"by": "ana"})
    assert (await world.result(handle))["outcome"] == "restored"
    assert len(await _shares(world, project)) == 1


async def test_a_command_outside_the_recycle_bin_is_refused_with_the_reason(world: World) -> None:
    """Waiting in line is not the recycle bin."""
    project = world.project()
    await _home(world, project)
    first = await _delete(world, project)
    await first.execute_update(names.RESTORE, {})
    second = await world.start(names.CREATE_SHARE, {"project": project, "name": "other", "size": GIB})
    await world.result(second)
    with pytest.raises(Exception, match="workflow execution already completed|not found"):
        await first.execute_update(names.PURGE_NOW, {})


async def test_a_cancel_in_the_recycle_bin_restores_the_share(world: World) -> None:
    """Cancelling a deletion means to have the share back."""
    project = world.project()
    share = await _home(world, project)
    handle = await _delete(world, project)
    await handle.cancel()
    with pytest.raises(Refused, match="OperationCancelled"):
        await world.result(handle)
    [back] = await _shares(world, project)
    assert (back.id, back.status, back.operation) == (share["share_id"], "available", "")


async def test_a_purge_removes_every_object_of_the_tree(world: World) -> None:
    """Share and snapshots are gone from the array, and its ledger has nothing to say."""
    project = world.project()
    await _home(world, project, backend="alpha")
    handle = await _delete(world, project)
    await handle.execute_update(names.PURGE_NOW, {"by": "ana"})
    await world.result(handle)
    assert [entry for entry in world.array().objects() if entry.operation == handle.id] == []
    assert world.array().ledger.violations() == []
