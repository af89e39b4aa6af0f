"""Deletion is soft: the tree leaves the view at once, comes back whole, and goes for good when its retention ends."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from temporalio.client import WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError

from inventory import tables
from shareflow import names
from shareflow.contracts import reads
from shareflow.contracts.reads import Page
from tests.support.scenes import GIB, Gate, Handle, Scene
from tests.support.world import Refused


async def _refused(handle: Handle, command: str, argument: object) -> ApplicationError:
    """The reason for which a command is refused."""
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await handle.execute_update(command, argument)
    assert isinstance(refused.value.cause, ApplicationError)
    return refused.value.cause


async def _listed(scene: Scene, *, deleted: bool = False) -> list[str]:
    query = reads.ShareQuery(project=scene.project, deleted=deleted)
    page = await scene.world.read(names.LIST_SHARES, query, Page[reads.ShareView])
    return [share.name for share in page.items]


async def test_deleted_share_leaves_the_view_at_once_and_still_counts(scene: Scene) -> None:
    """No list, no name, no id finds it; its name is free; its quota and its bytes stay until the purge."""
    share = await scene.create()
    await scene.snapshot()
    ref = scene.ref(share["share_id"])
    used = scene.used()
    handle = await scene.bin()
    assert await _listed(scene) == []
    assert await _listed(scene, deleted=True) == ["home"]
    snapshots = await scene.world.read(
        names.LIST_SNAPSHOTS, reads.SnapshotQuery(project=scene.project), Page[reads.SnapshotView]
    )
    assert snapshots.items == []
    for reference in ("home", share["share_id"]):
        with pytest.raises(Refused) as refused:
            await scene.run(names.RESIZE_SHARE, share=reference, size="2 GiB")
        assert refused.value.code == "NotFound"
    assert scene.used() == used
    stored = [entry.size for entry in scene.world.array().objects() if entry.name == ref.name]
    assert stored == [GIB]
    namesake = await scene.create()
    assert namesake["share_id"] != share["share_id"]
    await handle.execute_update(names.PURGE_NOW, {})
    await scene.world.result(handle)
    assert scene.share()["id"] == namesake["share_id"]


async def test_clients_lose_access_while_it_is_in_the_bin_and_get_it_back(scene: Scene) -> None:
    """The files are there, but nobody reaches them."""
    share = await scene.create()
    ref = scene.ref(share["share_id"])
    scene.files().write(ref, "a", b"1")
    handle = await scene.bin()
    with pytest.raises(FileNotFoundError):
        scene.files().read(ref, "a")
    await handle.execute_update(names.RESTORE, {})
    await scene.world.result(handle)
    assert scene.files().read(ref, "a") == b"1"


async def test_preview_says_what_would_go_and_changes_nothing(scene: Scene) -> None:
    """The tree and what its purge would free; no claim, no row, no object is touched."""
    share = await scene.create()
    await scene.snapshot("s1")
    await scene.snapshot("s2")
    tables_before = [scene.rows(table, project=scene.project) for table in (tables.shares, tables.snapshots)]
    result = await scene.run(names.DELETE_SHARE, share="home", preview=True)
    assert result["outcome"] == "preview"
    assert result["share_id"] == share["share_id"]
    assert [(item["kind"], item["name"]) for item in result["tree"]] == [
        ("share", "home"),
        ("snapshot", "s1"),
        ("snapshot", "s2"),
    ]
    assert result["frees_bytes"] == GIB
    assert [scene.rows(t, project=scene.project) for t in (tables.shares, tables.snapshots)] == tables_before


async def test_restored_share_comes_back_with_its_whole_tree(scene: Scene) -> None:
    """Snapshots, size and content are as before, and everything can be done with them again."""
    share = await scene.create()
    ref = scene.ref(share["share_id"])
    scene.files().write(ref, "a", b"1")
    await scene.snapshot()
    handle = await scene.bin()
    assert await handle.execute_update(names.RESTORE, {"by": "ann"}) == "restored"
    result = await scene.world.result(handle)
    assert (result["outcome"], result["frees_bytes"], result["name"]) == ("restored", 0, "home")
    scene.files().write(ref, "a", b"2")
    await scene.run(names.REVERT_SHARE, share="home", snapshot="s1")
    assert scene.files().read(ref, "a") == b"1"


async def test_restore_needs_another_name_when_its_own_was_taken(scene: Scene) -> None:
    """Refused with the reason, the operation goes on waiting; with a new name it is restored."""
    await scene.create()
    handle = await scene.bin()
    await scene.create()
    reason = await _refused(handle, names.RESTORE, {})
    assert reason.type == "NameTaken"
    assert "SF102 name: project" in reason.message
    status = await scene.status(handle)
    assert status["phase"] == "recycle-bin"
    assert "restore was refused" in status["note"]
    await handle.execute_update(names.RESTORE, {"name": "old-home"})
    assert (await scene.world.result(handle))["name"] == "old-home"
    assert sorted(await _listed(scene)) == ["home", "old-home"]


async def test_seven_days_are_seven_days(scene: Scene) -> None:
    """An hour before the end it can still be restored; after the end it is gone, with its snapshots and its bytes."""
    await scene.create()
    await scene.snapshot()
    handle = await scene.bin()
    assert 6.99 < scene.days_between(str(scene.one(tables.shares, project=scene.project)["created_at"]), (
        await scene.status(handle)
    )["purge_at"]) < 7.01  # fmt: skip
    await scene.world.skipper.fast_forward(handle, timedelta(days=6, hours=23))
    assert (await scene.status(handle))["phase"] == "recycle-bin"
    assert len(scene.objects()) == 2
    await scene.world.skipper.fast_forward(handle, timedelta(hours=2))
    result = await scene.world.result(handle)
    assert (result["outcome"], result["frees_bytes"]) == ("purged", GIB)
    assert scene.objects() == set()
    assert scene.used() == (0, 0, 0)


async def test_retention_can_be_given_with_the_request(scene: Scene) -> None:
    """Text with a unit; the purge comes then."""
    await scene.create()
    handle = await scene.bin(retention="36 h")
    await scene.world.skipper.fast_forward(handle, timedelta(hours=35))
    assert (await scene.status(handle))["phase"] == "recycle-bin"
    await scene.world.skipper.fast_forward(handle, timedelta(hours=2))
    assert (await scene.world.result(handle))["outcome"] == "purged"


async def test_retention_can_be_extended_more_than_once(scene: Scene) -> None:
    """Each extension counts from the last one, by update or by signal; the purge waits for the last."""
    await scene.create()
    handle = await scene.bin()
    before = (await scene.status(handle))["purge_at"]
    answer = await handle.execute_update(names.EXTEND_RETENTION, {"extend_by": "7 d", "by": "ann"})
    once = (await scene.status(handle))["purge_at"]
    assert scene.days_between(before, once) == 7
    assert answer == f"purge at {once.replace('Z', '+00:00')}"
    await handle.signal(names.EXTEND_RETENTION, {"extend_by": "1 d"})
    await scene.world.skipper.fast_forward(handle, timedelta(days=14))
    status = await scene.status(handle)
    assert status["phase"] == "recycle-bin"
    assert scene.days_between(before, status["purge_at"]) == 8
    row = scene.one(tables.shares, project=scene.project)
    assert scene.days_between(before, row["purge_at"].isoformat()) == 8
    await scene.world.skipper.fast_forward(handle, timedelta(days=1, hours=1))
    assert (await scene.world.result(handle))["outcome"] == "purged"


@pytest.mark.parametrize("twin", ["update", "signal"])
@pytest.mark.parametrize(("command", "outcome"), [(names.RESTORE, "restored"), (names.PURGE_NOW, "purged")])
async def test_every_command_works_as_update_and_as_signal(scene: Scene, command: str, outcome: str, twin: str) -> None:
    """The Web UI and the stock command line send signals; programs want answers."""
    await scene.create()
    handle = await scene.bin()
    if twin == "update":
        assert await handle.execute_update(command, {}) == outcome
    else:
        await handle.signal(command)
    assert (await scene.world.result(handle))["outcome"] == outcome


async def test_restore_and_purge_at_once_exactly_one_wins(scene: Scene) -> None:
    """The other sender is told that it came too late, and what happened instead."""
    outcomes = set()
    for _ in range(4):
        await scene.create()
        handle = await scene.bin()
        answers = await asyncio.gather(
            handle.execute_update(names.RESTORE, {}),
            handle.execute_update(names.PURGE_NOW, {}),
            return_exceptions=True,
        )
        result = await scene.world.result(handle)
        won = [answer for answer in answers if isinstance(answer, str)]
        lost = [answer.cause for answer in answers if isinstance(answer, WorkflowUpdateFailedError)]
        assert won == [result["outcome"]]
        assert [cause.type for cause in lost if isinstance(cause, ApplicationError)] == ["CommandRefused"]
        outcomes.add(result["outcome"])
        if result["outcome"] == "restored":
            await scene.purge("home")
    assert outcomes <= {"restored", "purged"}


async def test_commands_before_the_bin_are_refused_with_the_reason(scene: Scene) -> None:
    """The validator says in which step the operation is."""
    await scene.create()
    operation = scene.new_id()
    gate = Gate("backend.set_access_mode.before_call", operation)
    handle = await scene.start(names.DELETE_SHARE, operation=operation, share="home")
    await gate.reached()
    for command, argument in ((names.RESTORE, {}), (names.PURGE_NOW, {}), (names.EXTEND_RETENTION, {"extend_by": 60})):
        reason = await _refused(handle, command, argument)
        assert reason.type == "CommandRefused"
        assert "SF108" in reason.message
        assert "cut clients off on alpha/a1" in reason.message
    gate.open()
    await scene.world.until(handle, "recycle-bin")
    await handle.execute_update(names.RESTORE, {})
    await scene.world.result(handle)


@pytest.mark.parametrize(("command", "outcome"), [(names.RESTORE, "restored"), (names.PURGE_NOW, "purged")])
async def test_signal_before_the_bin_is_carried_out_in_the_bin(scene: Scene, command: str, outcome: str) -> None:
    """Nobody answers a signal, so one that comes early is kept until it can be carried out."""
    await scene.create()
    operation = scene.new_id()
    gate = Gate("backend.set_access_mode.before_call", operation)
    handle = await scene.start(names.DELETE_SHARE, operation=operation, share="home")
    await gate.reached()
    await handle.signal(command, {})
    gate.open()
    assert (await scene.world.result(handle))["outcome"] == outcome


async def test_commands_during_the_purge_come_too_late(scene: Scene) -> None:
    """Update: refused with the reason. Signal: without effect."""
    await scene.create()
    handle = await scene.bin()
    gate = Gate("backend.delete_share.before_call", handle.id)
    await handle.signal(names.PURGE_NOW, {})
    await gate.reached()
    reason = await _refused(handle, names.RESTORE, {})
    assert reason.type == "CommandRefused"
    assert "the purge has begun" in reason.message
    await handle.signal(names.RESTORE, {})
    gate.open()
    assert (await scene.world.result(handle))["outcome"] == "purged"
    with pytest.raises(RPCError):
        await handle.execute_update(names.RESTORE, {})


async def test_same_signal_twice_acts_once(scene: Scene) -> None:
    """A nervous operator does no harm."""
    await scene.create()
    handle = await scene.bin()
    await asyncio.gather(*(handle.signal(names.RESTORE, {}) for _ in range(3)))
    assert (await scene.world.result(handle))["outcome"] == "restored"
    restored = [row for row in scene.rows(tables.audit, operation=handle.id) if row["after"] == "restoring"]
    assert len(restored) == 1


async def test_delete_waits_for_the_clone_that_reads_its_snapshot(scene: Scene) -> None:
    """A snapshot in use holds its share; the clone is finished first, and keeps its content for good."""
    share = await scene.create()
    scene.files().write(scene.ref(share["share_id"]), "a", b"1")
    await scene.snapshot()
    operation = scene.new_id()
    gate = Gate("backend.clone_snapshot.before_call", operation)
    clone = await scene.start(
        names.CREATE_SHARE_FROM_SNAPSHOT, operation=operation, share="home", snapshot="s1", name="copy"
    )
    await gate.reached()
    deletion = await scene.start(names.DELETE_SHARE, share="home", retention=0)
    assert clone.id in (await scene.world.until(deletion, "waiting"))["waiting_for"]
    gate.open()
    made = await scene.world.result(clone)
    assert (await scene.world.result(deletion))["outcome"] == "purged"
    assert scene.files().tree(scene.ref(made["share_id"])) == {"a": b"1"}


async def test_deleted_share_in_the_bin_cannot_be_deleted_again(scene: Scene) -> None:
    """By id or by name: it is not in view."""
    share = await scene.create()
    handle = await scene.bin()
    for reference in ("home", share["share_id"]):
        with pytest.raises(Refused) as refused:
            await scene.run(names.DELETE_SHARE, share=reference)
        assert refused.value.code == "NotFound"
    await handle.execute_update(names.PURGE_NOW, {})
    await scene.world.result(handle)
