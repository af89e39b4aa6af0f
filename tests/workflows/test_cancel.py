"""Everything cancels: at every step, with everything undone, or noted after the point of no return."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError

from activities.inventory_steps import InventorySteps
from drivers.fake import FakeDriver, FaultKind
from inventory import tables
from shareflow import names
from shareflow.contracts.steps import CommitInput
from tests.support.scenes import GIB, Gate, Handle, Scene

OPERATIONS: dict[str, dict[str, Any]] = {
    names.CREATE_SHARE: {"name": "new", "size": "2 GiB", "backend": "alpha", "pool": "a1"},
    names.CREATE_SHARE_FROM_SNAPSHOT: {"share": "home", "snapshot": "s1", "name": "new"},
    names.CREATE_SNAPSHOT: {"share": "home", "name": "s2"},
    names.DELETE_SNAPSHOT: {"share": "home", "snapshot": "s1"},
    names.RESIZE_SHARE: {"share": "home", "size": "2 GiB"},
    names.REVERT_SHARE: {"share": "home", "snapshot": "s1"},
    names.DELETE_SHARE: {"share": "home"},
}
ARRIVAL = 1.0
"""Seconds until a cancel has certainly reached a workflow whose task looks for news after 0.8 s."""
BEFORE_THE_CALL = [
    (names.CREATE_SHARE, "backend.create_share"),
    (names.CREATE_SHARE_FROM_SNAPSHOT, "backend.clone_snapshot"),
    (names.CREATE_SNAPSHOT, "backend.create_snapshot"),
    (names.RESIZE_SHARE, "backend.resize_share"),
    (names.DELETE_SHARE, "backend.set_access_mode"),
]
UNDONE_BY = {
    names.CREATE_SHARE: ("backend.create_share", "backend.delete_share"),
    names.CREATE_SNAPSHOT: ("backend.create_snapshot", "backend.delete_snapshot"),
    names.DELETE_SHARE: ("backend.set_access_mode", "backend.set_access_mode"),
}
BEYOND_RETURN = [
    (names.DELETE_SNAPSHOT, "backend.delete_snapshot.before_call"),
    (names.CREATE_SHARE, "inventory.commit.before_transaction"),
    (names.RESIZE_SHARE, "inventory.commit.before_commit"),
    (names.REVERT_SHARE, "backend.revert_share.after_call"),
]


async def _home(scene: Scene) -> None:
    await scene.create()
    await scene.snapshot()


def _picture(scene: Scene) -> list[object]:
    """What a project has, apart from counters that only grow."""
    shares = [
        (row["id"], row["name"], row["live_name"], row["size"], row["status"], row["claimed_by"], row["purge_at"])
        for row in scene.rows(tables.shares, project=scene.project)
    ]
    snapshots = [(row["id"], row["name"], row["status"]) for row in scene.rows(tables.snapshots, project=scene.project)]
    modes = [
        (stored.name, stored.size, stored.complete, stored.mode)
        for stored in scene.world.array().objects()
        if stored.name in scene.objects()
    ]
    return [sorted(shares), sorted(snapshots), sorted(modes), scene.used()]


def _steps(scene: Scene) -> InventorySteps:
    return InventorySteps(scene.world.process.services)


async def _started(scene: Scene, kind: str, point: str) -> tuple[Handle, Gate]:
    operation = scene.new_id()
    gate = Gate(point, operation)
    scene.task_timeout = timedelta(seconds=1)
    handle = await scene.start(kind, operation=operation, **OPERATIONS[kind])
    await gate.reached()
    return handle, gate


@pytest.mark.parametrize("moment", ["before_call", "after_call"])
@pytest.mark.parametrize(("kind", "step"), BEFORE_THE_CALL)
async def test_cancelled_during_a_backend_call_everything_is_undone(
    scene: Scene, kind: str, step: str, moment: str
) -> None:
    """Whether the backend had acted or not: rows, reservations, claims and objects are as before."""
    await _home(scene)
    before = _picture(scene)
    handle, gate = await _started(scene, kind, f"{step}.{moment}")
    await handle.cancel()
    gate.open()
    await scene.cancelled(handle)
    assert _picture(scene) == before


@pytest.mark.parametrize(
    ("kind", "moment"),
    [
        (names.CREATE_SHARE, "before_transaction"),
        (names.CREATE_SHARE, "after_commit"),
        (names.DELETE_SHARE, "before_commit"),
    ],
)
async def test_cancelled_during_the_first_transaction_it_is_not_left_behind(
    scene: Scene, kind: str, moment: str
) -> None:
    """A transaction that is on its way ends before anything is undone: it cannot happen afterwards, unnoticed."""
    await _home(scene)
    before = _picture(scene)
    handle, gate = await _started(scene, kind, f"inventory.begin.{moment}")
    await handle.cancel()
    await asyncio.sleep(ARRIVAL)
    gate.open()
    await scene.cancelled(handle)
    assert _picture(scene) == before


@pytest.mark.parametrize("moment", ["before_transaction", "after_commit"])
async def test_cancelled_on_its_way_into_the_recycle_bin_the_share_comes_back(scene: Scene, moment: str) -> None:
    """The share has its name, its clients and its snapshots back, even when it was in the bin already."""
    await _home(scene)
    before = _picture(scene)
    handle, gate = await _started(scene, names.DELETE_SHARE, f"inventory.soft_deleted.{moment}")
    await handle.cancel()
    await asyncio.sleep(ARRIVAL)
    gate.open()
    await scene.cancelled(handle)
    assert _picture(scene) == before


async def test_cancelled_while_it_declares_that_there_is_no_return_nothing_is_deleted(scene: Scene) -> None:
    """The snapshot was not touched yet, so it stays."""
    await _home(scene)
    before = _picture(scene)
    handle, gate = await _started(scene, names.DELETE_SNAPSHOT, "inventory.mark.after_commit")
    await handle.cancel()
    await asyncio.sleep(ARRIVAL)
    gate.open()
    await scene.cancelled(handle)
    assert _picture(scene) == before


@pytest.mark.parametrize(("kind", "point"), BEYOND_RETURN)
async def test_cancelled_after_the_point_of_no_return_is_noted_and_goes_on(scene: Scene, kind: str, point: str) -> None:
    """There is only forward; the status says that the cancel came too late."""
    await _home(scene)
    handle, gate = await _started(scene, kind, point)
    await handle.cancel()
    await asyncio.sleep(ARRIVAL)
    gate.open()
    await scene.world.result(handle)
    assert scene.operation(handle.id)["state"] == "succeeded"
    assert "the cancel came after" in (await scene.status(handle))["note"]


async def test_cancelled_during_the_purge_is_noted_and_the_purge_goes_on(scene: Scene) -> None:
    """Half a purge is of no use to anybody."""
    await _home(scene)
    handle = await scene.bin()
    gate = Gate("backend.delete_share.before_call", handle.id)
    await handle.signal(names.PURGE_NOW, {})
    await gate.reached()
    await handle.cancel()
    gate.open()
    assert (await scene.world.result(handle))["outcome"] == "purged"
    assert "point of no return" in (await scene.status(handle))["note"]
    assert scene.objects() == set()


async def test_cancelled_in_the_recycle_bin_the_share_is_restored(scene: Scene) -> None:
    """The opposite of a deletion is the share, with its whole tree, as it was."""
    await _home(scene)
    before = _picture(scene)
    handle = await scene.bin()
    await handle.cancel()
    await scene.cancelled(handle)
    assert _picture(scene) == before


async def test_cancelled_in_the_recycle_bin_with_the_name_taken_waits_for_another_name(scene: Scene) -> None:
    """A cancel that cannot be carried out says why, and the operation goes on waiting for a command."""
    await scene.create()
    handle = await scene.bin()
    await scene.create()
    await handle.cancel()
    status = await scene.noted(handle, "not cancelled")
    assert status["phase"] == "recycle-bin"
    assert "has a share 'home'" in status["note"]
    await handle.execute_update(names.RESTORE, {"name": "old-home"})
    assert (await scene.world.result(handle))["outcome"] == "restored"
    assert scene.share("old-home")


@pytest.mark.parametrize("command", [names.RESTORE, names.EXTEND_RETENTION])
async def test_cancelled_while_a_command_is_carried_out_the_share_is_restored(scene: Scene, command: str) -> None:
    """The command's transaction ends first; the caller of the command gets an answer, whatever it is."""
    await _home(scene)
    before = _picture(scene)
    operation = scene.new_id()
    scene.task_timeout = timedelta(seconds=1)
    handle = await scene.start(names.DELETE_SHARE, operation=operation, share="home")
    await scene.world.until(handle, "recycle-bin")
    step = "restore_rows" if command == names.RESTORE else "retention"
    gate = Gate(f"inventory.{step}.after_commit", operation)
    await handle.signal(command, {"extend_by": "1 d"} if command == names.EXTEND_RETENTION else {})
    await gate.reached()
    await handle.cancel()
    await asyncio.sleep(ARRIVAL)
    gate.open()
    async with asyncio.timeout(15):
        await asyncio.wait([asyncio.create_task(handle.result())])
    assert _picture(scene) == before


async def test_cancelled_twice_and_during_the_undo_the_undo_goes_on(scene: Scene) -> None:
    """A cancel stops the operation, never its undo."""
    handle, gate = await _started(scene, names.CREATE_SHARE, "backend.create_share.after_call")
    undo = Gate("backend.delete_share.before_call", handle.id)
    await handle.cancel()
    gate.open()
    await undo.reached()
    await scene.world.until(handle, "undoing")
    await handle.cancel()
    undo.open()
    await scene.cancelled(handle)
    assert scene.objects() == set()


@pytest.mark.parametrize("kind", UNDONE_BY)
async def test_a_commit_that_comes_after_the_first_undo_changes_nothing(scene: Scene, kind: str) -> None:
    """A worker died with its commit on the way, a cancel came before its task was done anew: undone is undone."""
    await _home(scene)
    before = _picture(scene)
    step, undo = UNDONE_BY[kind]
    handle, gate = await _started(scene, kind, f"{step}.after_call")
    undoing = Gate(f"{undo}.before_call", handle.id)
    await handle.cancel()
    gate.open()
    await undoing.reached()
    with pytest.raises(ApplicationError, match="being undone"):
        await asyncio.to_thread(_steps(scene).commit, CommitInput(operation=handle.id, export_paths=["/late"]))
    undoing.open()
    await scene.cancelled(handle)
    assert _picture(scene) == before


async def test_an_undo_that_finds_the_operation_committed_undoes_nothing(scene: Scene) -> None:
    """A worker died right after its commit, a cancel came before its task was done anew: it has succeeded."""
    handle, gate = await _started(scene, names.CREATE_SHARE, "backend.create_share.after_call")
    announced = Gate("inventory.begin_undo.before_transaction", handle.id)
    await handle.cancel()
    gate.open()
    await announced.reached()
    await asyncio.to_thread(_steps(scene).commit, CommitInput(operation=handle.id, export_paths=["/late"]))
    announced.open()
    result = await scene.world.result(handle)
    assert (result["state"], result["export_locations"]) == ("succeeded", ["/late"])
    assert scene.operation(handle.id)["state"] == "succeeded"


async def test_cancelled_between_retries_is_undone_once_the_backend_answers(scene: Scene) -> None:
    """The pause between two tries is a step like any other."""
    outage = scene.world.array().script.add(FaultKind.UNREACHABLE)
    handle = await scene.start(names.CREATE_SHARE, **OPERATIONS[names.CREATE_SHARE])
    await scene.world.until(handle, "waiting")
    await handle.cancel()
    await scene.world.until(handle, "undoing")
    scene.world.array().script.lift(outage)
    await scene.cancelled(handle)


async def test_cancelled_while_a_call_hangs_beyond_its_limit_the_late_effect_is_refused(scene: Scene) -> None:
    """The call's limit ends the wait; what the backend does afterwards meets a name that was deleted."""
    scene.world.array().script.add(FaultKind.HANG, verb="create_share", before=60)
    handle = await scene.start(names.CREATE_SHARE, **OPERATIONS[names.CREATE_SHARE])
    await scene.when(lambda: scene.rows(tables.claims, operation=handle.id))
    await asyncio.sleep(0.2)
    await handle.cancel()
    await scene.cancelled(handle)
    scene.world.array().script.clear()
    await scene.when(
        lambda: any(call.operation == handle.id and call.verb == "create_share" for call in scene.world.array().calls())
    )
    assert scene.objects() == set()


@pytest.fixture
def slow_jobs(scene: Scene) -> Iterator[None]:
    """Jobs on alpha take a minute."""
    driver = scene.world.process.services.drivers["alpha"]
    assert isinstance(driver, FakeDriver)
    usual = driver._settings
    driver._settings = dataclasses.replace(usual, seconds={**usual.seconds, "clone_snapshot": 60, "revert_share": 60})
    yield
    driver._settings = usual


@pytest.mark.parametrize("kind", [names.CREATE_SHARE_FROM_SNAPSHOT, names.REVERT_SHARE])
async def test_cancelled_during_a_long_job_the_job_is_stopped_and_undone(
    scene: Scene, slow_jobs: None, kind: str
) -> None:
    """A job of an hour does not have to be waited for."""
    await _home(scene)
    scene.files().write(scene.ref(scene.share()["id"]), "later", b"written after the snapshot")
    before = _picture(scene)
    handle = await scene.start(kind, **OPERATIONS[kind])
    verb = "clone_snapshot" if kind == names.CREATE_SHARE_FROM_SNAPSHOT else "revert_share"
    await scene.when(
        lambda: len([c for c in scene.world.array().calls(verb) if c.operation == handle.id]) > 2  # it is being polled
    )
    await handle.cancel()
    await scene.cancelled(handle)
    assert _picture(scene) == before
    assert scene.files().tree(scene.ref(scene.share()["id"])) == {"later": b"written after the snapshot"}


async def test_cancelled_during_a_copy_the_copy_is_stopped_and_undone(scene: Scene) -> None:
    """A copy to another backend leaves neither a share nor a copying process."""
    await _home(scene)
    before = _picture(scene)
    operation = scene.new_id()
    gate = Gate("mover.copy.after_call", operation)
    handle = await scene.start(
        names.CREATE_SHARE_FROM_SNAPSHOT, operation=operation, share="home", snapshot="s1", name="new", backend="beta"
    )
    await gate.reached()
    await handle.cancel()
    gate.open()
    await scene.cancelled(handle)
    assert _picture(scene) == before
    assert scene.share()["size"] == GIB
