"""The backend of the active instance dies while an operation has the share: a promotion need not wait for that one."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from drivers.fake import FaultKind
from inventory import tables
from shareflow import faults, names
from tests.support.replicas import Replicated, overtaken
from tests.support.scenes import Gate, Handle
from tests.support.world import Refused

SOON = 20
"""Seconds in which a share serves again; nothing at the lost backend ever answers."""

HELD: dict[str, tuple[str, dict[str, Any]]] = {
    "a snapshot": (names.CREATE_SNAPSHOT, {"name": "s2"}),
    "a revert": (names.REVERT_SHARE, {"snapshot": "s1"}),
    "a resize": (names.RESIZE_SHARE, {"size": "3 GiB"}),
    "limits": (names.SET_SHARE_QOS, {"qos": "silver"}),
    "a share from a snapshot": (names.CREATE_SHARE_FROM_SNAPSHOT, {"snapshot": "s1", "name": "clone"}),
    "a migration within the backend": (names.MIGRATE_SHARE, {"to_pool": "a2", "preserve_snapshots": True}),
    "a migration by the mover": (names.MIGRATE_SHARE, {"to_pool": "a2", "preserve_snapshots": True, "mode": "host"}),
    "a resync of the replica": (names.RESYNC_REPLICA, {"replica": "beta/b1"}),
    "a planned promotion": (names.PROMOTE_REPLICA, {}),
}


async def _in_step(home: Replicated) -> tuple[str, str]:
    """A share with a replica that has all of it: the active instance, on alpha, and the replica."""
    await home.create()
    replica = await home.replicate()
    await home.in_step(replica)
    return home.active(), replica


async def _lost(home: Replicated) -> dict[str, Any]:
    """Promote with the active copy declared lost."""
    handle = await home.start(names.PROMOTE_REPLICA, lost=True, accept_loss=True, reason="burnt")
    rows = home.scene.rows
    await home.scene.when(lambda: rows(tables.operations, id=handle.id, state="succeeded"), seconds=SOON)
    return await home.scene.world.result(handle)


async def _begun(home: Replicated, handle: Handle) -> None:
    rows = home.scene.rows
    await home.scene.when(lambda: any(row["begun"] for row in rows(tables.operations, id=handle.id)), seconds=SOON)


async def _ends(home: Replicated, handle: Handle, text: str) -> None:
    with pytest.raises(Refused) as refused:
        await home.scene.world.result(handle)
    assert refused.value.code == "InvalidState", refused.value.text
    assert text in refused.value.text


async def _comes_back(home: Replicated, first: str) -> None:
    """The lost backend answers again: its copy is fenced, and nothing else of what was left there stays."""
    home.scene.world.array("alpha").script.clear()
    await home.scene.when(lambda: home.row(first)["stale"] == "kept", seconds=30)
    for backend in ("alpha", "beta", "alpha"):  # of a share with a snapshot only that goes in the first scan
        await home.scene.world.run(names.RECONCILE_BACKEND, {"backend": backend})
    assert home.scene.rows(tables.tombstones, project=home.scene.project, gone_at=None) == []
    await home.run(names.RESYNC_REPLICA, replica=first)
    await home.in_step(first)


@pytest.mark.parametrize("fault", [FaultKind.UNREACHABLE, FaultKind.HANG], ids=["refuses", "hangs"])
@pytest.mark.parametrize("what", HELD)
async def test_what_needs_the_lost_backend_ends_without_it(home: Replicated, what: str, fault: FaultKind) -> None:
    """Whatever it is at, it ends failed-clean and says why; the share serves at its replica, and nothing is left."""
    kind, fields = HELD[what]
    first, replica = await _in_step(home)
    home.scene.world.array("alpha").script.add(fault, times=None, before=5)
    handle = await home.start(kind, **fields)
    await _begun(home, handle)
    done = await _lost(home)
    assert (done["replica_id"], home.active()) == (replica, replica)
    home.write("docs/b", b"two")
    await _ends(home, handle, "declared lost")
    await _comes_back(home, first)
    await home.has(first, {"docs/a": b"one", "docs/b": b"two"})


@pytest.mark.parametrize("killed", ["before_commit", "after_commit"])
async def test_a_worker_that_dies_in_the_last_step_leaves_one_tombstone(home: Replicated, killed: str) -> None:
    """The step is made again: what was left on the lost backend is noted once."""
    first, replica = await _in_step(home)
    operation = home.scene.new_id()
    faults.arm(f"inventory.abort.{killed}", faults.crash, operation=operation)
    home.scene.world.array("alpha").script.add(FaultKind.UNREACHABLE)
    handle = await home.start(names.CREATE_SNAPSHOT, operation=operation, name="s2")
    await _begun(home, handle)
    assert (await _lost(home))["replica_id"] == replica
    await _ends(home, handle, "declared lost")
    assert len(home.scene.rows(tables.tombstones, operation=operation)) == 1
    await _comes_back(home, first)


async def test_what_was_ended_from_outside_and_is_undone_by_the_reconciler_ends_without_the_backend(
    home: Replicated,
) -> None:
    """It could not be told when the promotion came: it is told once it runs again."""
    first, replica = await _in_step(home)
    home.scene.world.array("alpha").script.add(FaultKind.UNREACHABLE)
    handle = await home.start(names.CREATE_SNAPSHOT, name="s2")
    await _begun(home, handle)
    await handle.terminate("an operator")
    lost = asyncio.create_task(_lost(home))
    await home.scene.when(
        lambda: len(home.scene.rows(tables.operations, project=home.scene.project, state="running")) > 1
    )
    await asyncio.sleep(1)
    await home.scene.world.run(names.RECONCILE_CLAIMS, {"grace": 0})
    assert (await lost)["replica_id"] == replica
    await home.scene.when(lambda: home.scene.operation(handle.id)["state"] == "failed-clean")
    await _comes_back(home, first)
    await home.has(first, {"docs/a": b"one"})


async def test_a_promotion_that_cannot_let_writers_in_again_ends_without_the_backend(home: Replicated) -> None:
    """It has stopped them, then the backend died: it waits for that to undo it, and the next one need not."""
    first, replica = await _in_step(home)
    planned = home.scene.new_id()
    gate = Gate("backend.fence.after_call", planned)
    handle = await home.start(names.PROMOTE_REPLICA, operation=planned)
    await gate.reached()
    home.scene.world.array("alpha").script.add(FaultKind.UNREACHABLE)
    gate.open()
    await home.scene.when(lambda: home.scene.operation(planned)["recovery"] == "undoing", seconds=30)
    assert (await _lost(home))["replica_id"] == replica
    await overtaken(handle)
    await _comes_back(home, first)
    await home.has(first, {"docs/a": b"one"})


async def test_a_snapshot_that_is_being_deleted_goes_without_the_backend(home: Replicated) -> None:
    """There is no way back for it: what is there of it has a tombstone, and counts until it is deleted."""
    first, replica = await _in_step(home)
    home.scene.world.array("alpha").script.add(FaultKind.UNREACHABLE)
    handle = await home.start(names.DELETE_SNAPSHOT, snapshot="s1")
    await _begun(home, handle)
    assert (await _lost(home))["replica_id"] == replica
    assert (await home.scene.world.result(handle))["name"] == "s1"
    (left,) = home.scene.rows(tables.tombstones, project=home.scene.project, gone_at=None, operation=handle.id)
    assert (left["kind"], left["doomed"]) == ("snapshot", True)
    await _comes_back(home, first)
    assert home.copies(first) == {}


async def test_a_migration_past_its_switch_ends_without_the_backend_that_has_the_share_now(home: Replicated) -> None:
    """Its grace is over with that, and its old copy is on the lost backend as well: both are left, and none stays."""
    await home.create()
    replica = await home.replicate()
    handle = await home.start(
        names.MIGRATE_SHARE, to_pool="a2", preserve_snapshots=True, cutover_when="immediately", grace=3600
    )
    await home.scene.world.until(handle, "grace", seconds=SOON)
    await home.in_step(replica)
    first = home.active()
    home.scene.world.array("alpha").script.add(FaultKind.UNREACHABLE)
    done = await _lost(home)
    assert (done["replica_id"], done["migrations"]) == (replica, {handle.id: "completed"})
    assert (await home.scene.world.result(handle))["destination"] == "alpha/a2"
    await _comes_back(home, first)
    await home.has(first, {"docs/a": b"one"})


@pytest.mark.parametrize("lost", [False, True], ids=["planned", "lost"])
async def test_a_promotion_whose_own_replica_dies_after_the_switch_holds_the_next_one_up_no_longer(
    home: Replicated, *, lost: bool
) -> None:
    """It can only go forward, and its replica takes no writers any more: that is what is declared lost now."""
    first, replica = await _in_step(home)
    other = await home.replicate(backend="alpha", pool="a2", same_domain=True)
    await home.in_step(other)
    operation = home.scene.new_id()
    gate = Gate("inventory.switch_replica.after_commit", operation)
    declared: dict[str, Any] = {"lost": True, "accept_loss": True, "reason": "burnt"} if lost else {}
    handle = await home.start(names.PROMOTE_REPLICA, operation=operation, replica=replica, **declared)
    await gate.reached()
    assert home.active() == replica
    home.scene.world.array("beta").script.add(FaultKind.UNREACHABLE)
    gate.open()
    done = await _lost(home)
    assert done["demoted"] == "beta/b1"
    assert home.active() == done["replica_id"] != replica
    home.write("docs/b", b"two")
    assert (await home.scene.world.result(handle))["replica_id"] == replica
    home.scene.world.array("beta").script.clear()
    for row in home.replicas():
        await home.scene.when(lambda row=row: home.row(row["id"])["stale"] != "unfenced", seconds=30)  # type: ignore[misc]
        if home.row(row["id"])["stale"]:
            await home.run(names.RESYNC_REPLICA, replica=row["id"])
        await home.has(row["id"], {"docs/a": b"one", "docs/b": b"two"})
    assert {home.mode(one) for one in (first, replica, other)} == {"rw", "none"}


async def test_nothing_ends_for_a_promotion_that_is_refused(home: Replicated) -> None:
    """It accepts no loss: that is said at once, and the snapshot that waits for the backend is taken in the end."""
    await _in_step(home)
    outage = home.scene.world.array("alpha").script.add(FaultKind.UNREACHABLE)
    handle = await home.start(names.CREATE_SNAPSHOT, name="s2")
    await _begun(home, handle)
    with pytest.raises(Refused) as refused:
        await home.run(names.PROMOTE_REPLICA, lost=True, reason="burnt")
    assert "accept_loss" in refused.value.text
    home.scene.world.array("alpha").script.lift(outage)
    assert (await home.scene.world.result(handle))["name"] == "s2"


async def test_those_who_stand_in_line_before_it_end_as_well(home: Replicated) -> None:
    """They would have the share next, and wait for the backend as long as the first one."""
    first, replica = await _in_step(home)
    home.scene.world.array("alpha").script.add(FaultKind.UNREACHABLE)
    ahead = [await home.start(names.CREATE_SNAPSHOT, name=f"s{number}") for number in (2, 3, 4)]
    await home.scene.when(lambda: all(home.scene.rows(tables.claims, operation=one.id) for one in ahead), seconds=SOON)
    assert (await _lost(home))["replica_id"] == replica
    for handle in ahead:
        await _ends(home, handle, "declared lost")
    await home.scene.snapshot("s5")
    await _comes_back(home, first)
