"""Promotions: one instance serves at any time, whatever fails, and what is lost was announced."""

from __future__ import annotations

import asyncio
import re
import statistics
from datetime import timedelta
from typing import Any

import pytest

from drivers.contract import ObjectRef
from drivers.fake import FaultKind
from inventory import tables
from inventory.database import now
from shareflow import errors, faults, names
from shareflow.contracts.replication import CreateReplicaInput
from tests.support.replicas import Replicated
from tests.support.scenes import Gate, Handle
from tests.support.world import TEST_LIMITS, Refused

LAST_DELTA = 2
"""Calls to receive a snapshot in a promotion that let no snapshot of users pass: the round's, and the last delta's."""


def _serves(home: Replicated, instance: str) -> None:
    """The instance is the share: its clients write, and those of no other copy do."""
    assert home.active() == instance
    home.write("docs/z", b"writable")
    assert home.mode(instance) == "rw"
    assert {home.mode(row["id"]) for row in home.replicas()} == {"none"}


async def _refused(home: Replicated, code: str, kind: str = names.PROMOTE_REPLICA, **fields: Any) -> str:
    with pytest.raises(Refused) as refused:
        await home.run(kind, **fields)
    assert refused.value.code == code, refused.value.text
    return refused.value.text


# -- cancelled, failed -------------------------------------------------------------------------------------------------

CREATING = [
    "inventory.begin.after_commit",
    "inventory.follow_replica.after_commit",
    "backend.create_share.before_call",
    "backend.create_share.after_call",
    "backend.set_access_mode.after_call",
    "backend.create_snapshot.before_call",
    "mover.receive.before_call",
    "mover.receive.after_call",
    "backend.revert_share.after_call",
    "inventory.end_round.after_commit",
]


@pytest.mark.parametrize("point", CREATING)
async def test_cancelling_the_making_of_a_replica_leaves_nothing(home: Replicated, point: str) -> None:
    """At each step; the share is written meanwhile."""
    await home.create()
    operation = home.scene.new_id()
    gate = Gate(point, operation)
    home.scene.task_timeout = timedelta(seconds=1)  # so that a cancel is heard while a transaction runs
    handle = await home.start(names.CREATE_REPLICA, operation=operation)
    await gate.reached()
    home.write("docs/b", b"two")
    await handle.cancel()
    await asyncio.sleep(1)
    gate.open()
    await home.scene.cancelled(handle)
    assert home.replicas() == []
    home.scene.one(tables.instances, share_id=home.scene.share()["id"])
    assert home.tree() == {"docs/a": b"one", "docs/b": b"two"}


PROMOTING = [
    "inventory.begin.after_commit",
    "mover.receive.before_call",
    "backend.revert_share.after_call",
    "backend.fence.before_call",
    "backend.fence.after_call",
    "mover.verify.before_call",
    "mover.verify.after_call",
]


@pytest.mark.parametrize("point", PROMOTING)
async def test_cancelling_a_promotion_leaves_the_old_active_serving(home: Replicated, point: str) -> None:
    """At each step before the switch; its replica is kept in step as before."""
    await home.create()
    replica = await home.replicate()
    first, operation = home.active(), home.scene.new_id()
    gate = Gate(point, operation)
    handle = await home.start(names.PROMOTE_REPLICA, operation=operation)
    await gate.reached()
    await handle.cancel()
    await asyncio.sleep(0.5)
    gate.open()
    await home.scene.cancelled(handle)
    _serves(home, first)
    await home.in_step(replica)
    await home.has(replica, {"docs/a": b"one", "docs/z": b"writable"})


async def test_a_cancel_after_the_switch_is_too_late(home: Replicated) -> None:
    """The replica serves; there is only forward."""
    await home.create()
    replica, operation = await home.replicate(), home.scene.new_id()
    gate = Gate("backend.set_access_mode.before_call", operation)
    handle = await home.start(names.PROMOTE_REPLICA, operation=operation)
    await gate.reached()
    await handle.cancel()
    gate.open()
    assert (await home.scene.world.result(handle))["replica_id"] == replica
    _serves(home, replica)


FAILING: dict[str, tuple[str, FaultKind, str, dict[str, Any]]] = {
    "the last delta": ("beta", FaultKind.REJECT, "receive_snapshot", {"skip": LAST_DELTA - 1}),
    "the new content": ("beta", FaultKind.REJECT, "revert_share", {"step": "take-0"}),
    "the fence": ("alpha", FaultKind.REJECT, "set_access_mode", {"step": "fence"}),
    "a leak of the fence": ("alpha", FaultKind.WRONG_ANSWER, "find_writers", {"message": "process 4711 (vim)"}),
    "the verification": ("beta", FaultKind.REJECT, "data_path", {}),
    "the sync point": ("alpha", FaultKind.FAIL_JOB, "create_snapshot", {}),
}


@pytest.mark.parametrize("what", FAILING)
async def test_a_promotion_that_fails_leaves_the_old_active_serving(home: Replicated, what: str) -> None:
    """Whatever step it is; the next one, when it is mended, loses nothing."""
    await home.create()
    replica = await home.replicate()
    await home.in_step(replica)
    first, operation = home.active(), home.scene.new_id()
    backend, kind, verb, more = FAILING[what]
    only: dict[str, Any] = {} if verb in ("data_path", "find_writers") else {"operation": operation}
    home.scene.world.array(backend).script.add(kind, verb=verb, times=None, **only, **more)
    with pytest.raises(Refused):
        await home.run(names.PROMOTE_REPLICA, operation=operation)
    home.scene.world.array(backend).script.clear()
    _serves(home, first)
    await home.in_step(replica)
    await home.has(replica, {"docs/a": b"one", "docs/z": b"writable"})


async def test_a_promotion_whose_switch_is_refused_leaves_the_old_active_serving(home: Replicated) -> None:
    """Nothing of the transaction stays."""
    await home.create()
    replica = await home.replicate()
    first, operation = home.active(), home.scene.new_id()

    def refuse() -> None:
        raise errors.InvalidState("not now")

    faults.arm("inventory.switch_replica.before_commit", refuse, operation=operation, times=9)
    assert "not now" in await _refused(home, "InvalidState", operation=operation)
    _serves(home, first)
    await home.has(replica, {"docs/a": b"one", "docs/z": b"writable"})


# -- who wins ----------------------------------------------------------------------------------------------------------


async def _both(home: Replicated, *requests: dict[str, Any]) -> list[Handle]:
    """Promotions at once: the first stands in the middle of its own until the others have been sent."""
    operation = home.scene.new_id()
    gate = Gate("mover.verify.before_call", operation)
    handles = [await home.start(names.PROMOTE_REPLICA, operation=operation, **requests[0])]
    await gate.reached()
    handles += [await home.start(names.PROMOTE_REPLICA, **request) for request in requests[1:]]
    for handle in handles[1:]:
        await home.scene.world.until(handle, "waiting")
    gate.open()
    return handles


@pytest.mark.parametrize("named", [True, False])
async def test_of_two_promotions_at_once_one_wins_and_the_other_is_told(home: Replicated, named: bool) -> None:
    """It changes nothing."""
    await home.create()
    replica = await home.replicate()
    other = await home.replicate(backend="alpha", pool="a2", same_domain=True)
    second = {"replica": other} if named else {}
    handles = await _both(home, {"replica": replica}, second)
    assert (await home.scene.world.result(handles[0]))["replica_id"] == replica
    with pytest.raises(Refused) as refused:
        await home.scene.world.result(handles[1])
    assert refused.value.code == "InvalidState"
    assert "beta/b1" in refused.value.text
    _serves(home, replica)


async def test_of_two_promotions_of_one_replica_one_wins_and_the_other_is_told(home: Replicated) -> None:
    """It is not taken for a promotion of the instance that has just been demoted."""
    await home.create()
    replica = await home.replicate()
    await home.in_step(replica)
    first, second, third = await _both(home, {}, {}, {"replica": replica})
    assert (await home.scene.world.result(first))["replica_id"] == replica
    for late in (second, third):
        with pytest.raises(Refused) as refused:
            await home.scene.world.result(late)
        assert refused.value.code == "InvalidState"
    _serves(home, replica)


async def test_the_other_replicas_follow_the_new_active(home: Replicated) -> None:
    """What they had in common with the old one is not taken for something of the new one."""
    await home.create()
    replica = await home.replicate()
    other = await home.replicate(backend="alpha", pool="a2", same_domain=True)
    await home.in_step(other)
    await home.run(names.PROMOTE_REPLICA, replica=replica)
    home.write("docs/b", b"two")
    await home.in_step(other)
    await home.in_step(other)
    assert home.row(other)["memory"]["taken"] == home.row(other)["memory"]["common"][1]
    home.scene.world.array("beta").script.add(FaultKind.UNREACHABLE)
    assert (await home.lose(replica=other))["lost_snapshots"] == []
    assert home.tree() == {"docs/a": b"one", "docs/b": b"two"}


async def _two_replicas(home: Replicated) -> tuple[str, str]:
    """A share with one on alpha/a2, beside the active one, and one on beta; both have all of it."""
    await home.create()
    replica = await home.replicate(backend="alpha", pool="a2", same_domain=True)
    other = await home.replicate()
    await home.in_step(replica)
    await home.in_step(other)
    return replica, other


async def test_the_other_replicas_do_not_wait_for_a_lost_active(home: Replicated) -> None:
    """The round of one that hangs there lets go at once, and what it knew hides nothing from the next one."""
    replica, other = await _two_replicas(home)
    sync = home.row(other)["sync_operation"]
    gate = Gate("backend.create_snapshot.before_call", sync)
    home.write("docs/b", b"two")
    await gate.reached()
    before = home.row(other)["memory"]
    await home.lose(replica=replica)
    await home.scene.when(lambda: home.scene.one(tables.instances, id=other)["claimed_by"] is None, seconds=20)
    memory = home.row(other)["memory"]
    assert memory["sync_points"][-1] not in before["sync_points"]
    gate.open()
    home.write("docs/c", b"three")
    await home.in_step(other)
    await home.lose(replica=other)
    assert home.tree()["docs/c"] == b"three"


async def test_a_stale_copy_that_is_fenced_during_the_next_promotion_is_known_to_be(home: Replicated) -> None:
    """Its fence does not depend on which copy is the active one."""
    replica, other = await _two_replicas(home)
    first = home.active()
    outage = home.scene.world.array("alpha").script.add(FaultKind.UNREACHABLE, pool="a1")
    await home.lose(replica=other)
    gate = Gate("backend.fence.after_call", home.row(first)["sync_operation"])
    home.scene.world.array("alpha").script.lift(outage)
    await gate.reached()
    await home.run(names.PROMOTE_REPLICA, replica=replica)
    assert home.row(first)["stale"] == "unfenced"
    turned, began = home.row(first)["memory"]["sync_points"], home.row(first)["tried_at"]
    gate.open()
    await home.scene.when(lambda: home.row(first)["stale"] == "kept", seconds=20)
    assert home.row(first)["tried_at"] == began, "another round was needed"
    assert home.row(first)["memory"]["sync_points"] == turned
    assert (home.mode(first), home.row(first)["error"]) == ("none", "a stale copy: resync it, or delete it")
    await home.run(names.RESYNC_REPLICA, replica=first)
    await home.in_step(first)
    await home.has(first, {"docs/a": b"one"})


async def test_what_another_replica_had_beyond_the_promoted_one_does_not_stay(home: Replicated) -> None:
    """Its round brings it what is lost, and ends after the switch: the next one takes it back."""
    replica, other = await _two_replicas(home)
    home.scene.world.array("alpha").script.add(FaultKind.BUSY, verb="receive_snapshot", pool="a2", times=None)
    gate = Gate("backend.revert_share.after_call", home.row(other)["sync_operation"])
    home.write("docs/lost", b"nobody else has it")
    await gate.reached()
    await home.lose(replica=replica)
    switched = now()
    gate.open()
    await home.scene.when(lambda: home.row(other)["synced_at"] > switched, seconds=20)
    (here, active), (there, copy) = home.place(replica), home.place(other)
    array = home.scene.world.array
    assert array(there).fingerprint(copy) == array(here).fingerprint(active)
    home.scene.world.array("alpha").script.clear()
    await home.has(other, {"docs/a": b"one"})


async def test_a_replica_is_not_taken_for_younger_than_what_it_has(home: Replicated) -> None:
    """What a failing round had frozen comes over in a later one: the replica is as old as that."""
    await home.create()
    replica = await home.replicate()
    await home.in_step(replica)
    array, sync = home.scene.world.array("beta"), home.row(replica)["sync_operation"]
    array.script.add(FaultKind.BUSY, verb="receive_snapshot", operation=sync, times=None)
    home.write("docs/c", b"something to bring over")
    await home.failing(replica)
    written = now()
    home.write("docs/b", b"two")
    before = home.row(replica)["synced_at"]
    array.script.clear()
    await home.scene.when(lambda: home.row(replica)["synced_at"] != before, seconds=30)
    row = home.row(replica)
    point = ObjectRef(home.place(replica)[1].pool, row["memory"]["taken"])
    assert "docs/b" in home.scene.files("beta").tree(point) or row["synced_at"] < written


# -- lost --------------------------------------------------------------------------------------------------------------


async def test_what_goes_with_a_lost_active_alone_is_refused_before_anybody_is_waited_for(home: Replicated) -> None:
    """Who accepts a loss does not get a promotion that loses nothing, or waits for a backend that does not answer."""
    await home.create()
    await home.replicate()
    operation = home.scene.new_id()
    gate = Gate("backend.create_snapshot.before_call", operation)
    busy = await home.start(names.CREATE_SNAPSHOT, name="held", operation=operation)
    await gate.reached()
    assert "accept_loss goes with lost: true" in await _refused(home, "InvalidInput", accept_loss=True)
    assert "stale goes with lost: true" in await _refused(home, "InvalidInput", stale="resync")
    lost: dict[str, Any] = {"lost": True, "accept_loss": True, "reason": "burnt"}
    assert "ignore_open_files" in await _refused(home, "InvalidInput", **lost, ignore_open_files=True)
    assert "compared with" in await _refused(home, "InvalidInput", **lost, verify="full")
    assert "without a reason" in await _refused(home, "InvalidInput", **{**lost, "reason": " "})
    gate.open()
    assert (await home.scene.world.result(busy))["state"] == "succeeded"


async def test_a_replica_that_died_with_the_active_instance_is_not_made_active(home: Replicated) -> None:
    """Nothing would lead back: what the active instance alone has is served again when its backend is back."""
    await home.create()
    replica = await home.replicate()
    first = home.active()
    home.write("docs/b", b"two")
    for backend in ("alpha", "beta"):
        home.scene.world.array(backend).script.add(FaultKind.UNREACHABLE)
    text = await _refused(home, "BackendUnavailable", lost=True, accept_loss=True, reason="burnt")
    assert "backend beta" in text
    for backend in ("alpha", "beta"):
        home.scene.world.array(backend).script.clear()
    _serves(home, first)
    await home.in_step(replica)
    await home.has(replica, {"docs/a": b"one", "docs/b": b"two", "docs/z": b"writable"})


async def test_of_replicas_one_whose_pool_answered_last_is_promoted(home: Replicated) -> None:
    """The newest content is where nobody gets at it."""
    await home.create()
    other = await home.replicate(backend="alpha", pool="a2", same_domain=True)
    newest = await home.replicate()
    await home.in_step(newest)
    home.scene.world.array("beta").script.add(FaultKind.UNREACHABLE)
    await home.scene.world.run(names.RECONCILE_BACKEND, {"backend": "beta"})
    assert (await home.lose())["replica_id"] == other
    home.scene.world.array("beta").script.clear()
    await home.scene.world.run(names.RECONCILE_BACKEND, {"backend": "beta"})


async def test_a_copy_that_is_declared_lost_says_so_from_the_switch_on(home: Replicated) -> None:
    """Before its sync has found out for how long its backend stays away: in the inventory and in searches."""
    await home.create()
    await home.replicate()
    first, operation = home.active(), home.scene.new_id()
    home.scene.world.array("alpha").script.add(FaultKind.UNREACHABLE)
    gate = Gate("inventory.switch_replica.after_commit", operation)
    losing = await home.start(names.PROMOTE_REPLICA, lost=True, accept_loss=True, reason="burnt", operation=operation)
    await gate.reached()
    row = home.row(first)
    assert (row["state"], row["stale"]) == ("error", "unfenced")
    assert row["error"] == "not fenced: alpha/a1 was declared lost and not reached since"
    gate.open()
    assert (await home.scene.world.result(losing))["lost"]
    sync = home.scene.world.client.get_workflow_handle(row["sync_operation"])
    (started, *_) = (await sync.fetch_history()).events
    fields = started.workflow_execution_started_event_attributes.search_attributes.indexed_fields
    assert fields["Phase"].data == b'"error"'
    dropping = await home.start(names.DELETE_REPLICA, replica=first)
    await home.scene.when(lambda: bool(home.scene.rows(tables.claims, operation=dropping.id, granted=True)), seconds=30)
    assert home.row(first)["error"], "a round that gave way knows nothing better"
    home.scene.world.array("alpha").script.clear()
    assert (await home.scene.world.result(dropping))["replica_state"] == "deleted"


async def test_the_loss_is_announced_before_and_recorded_after(home: Replicated) -> None:
    """With its seconds, its moment and the reason."""
    await home.create()
    replica = await home.replicate()
    home.scene.world.array("alpha").script.add(FaultKind.UNREACHABLE)
    text = await _refused(home, "InvalidInput", lost=True, reason="burnt")
    assert re.search(r"written in the last \d+s", text), text
    assert f"{home.row(replica)['synced_at']:%Y-%m-%d %H:%M:%S} UTC" in text
    assert "accept_loss" in text
    assert "reason" in await _refused(home, "InvalidInput", lost=True, accept_loss=True)
    assert "stale goes with lost: true" in await _refused(home, "InvalidInput", stale="resync")
    done = await home.lose()
    assert done["loss_seconds"] > 0
    share = home.scene.share()["id"]
    why = [row["why"] for row in home.scene.rows(tables.audit, resource_id=share)]
    assert any("burnt" in line and "declared lost" in line for line in why), why


async def test_the_bytes_of_a_loss_are_those_that_were_measured(home: Replicated) -> None:
    """Announced and recorded as counted; unknown, with what changed before, when nobody could count them."""
    await home.create()
    replica = await home.replicate()
    await home.in_step(replica)
    home.write("docs/b", b"x" * 3000)
    await home.in_step(replica)
    array, sync = home.scene.world.array("beta"), home.row(replica)["sync_operation"]
    text = await _refused(home, "InvalidInput", lost=True, reason="burnt")
    assert re.search(r"in the last \d+s: an unknown number of bytes, before it was [\d.]+ \S+ a second", text), text
    array.script.add(FaultKind.REJECT, verb="receive_snapshot", operation=sync, times=None)
    home.write("docs/c", b"x" * 5 * 2**20)
    await home.lacks(replica, 5 * 2**20)
    home.scene.world.array("alpha").script.add(FaultKind.UNREACHABLE)
    text = await _refused(home, "InvalidInput", lost=True, reason="burnt")
    assert re.search(r"in the last \d+s: 5 MiB were missing at \d\d:\d\d:\d\d UTC\. It has the content of", text), text
    done = await home.lose()
    assert done["loss_bytes"] == 5 * 2**20
    why = [row["why"] for row in home.scene.rows(tables.audit, resource_id=home.scene.share()["id"])]
    assert any("5 MiB were missing" in line for line in why), why


async def test_a_lost_backend_is_done_without_and_its_copy_is_fenced_kept_and_resynced(home: Replicated) -> None:
    """Nothing is asked of it, and nobody can use its copy once it is back."""
    await home.create()
    replica = await home.replicate()
    await home.in_step(replica)
    first = home.active()
    outage = home.scene.world.array("alpha").script.add(FaultKind.UNREACHABLE)
    async with asyncio.timeout(20):
        done = await home.lose()
    assert (done["replica_id"], done["lost"], done["lost_snapshots"]) == (replica, True, [])
    home.write("docs/b", b"two")
    assert home.row(first)["stale"] == "unfenced"
    assert home.mode(first) == "rw"
    home.scene.world.array("alpha").script.lift(outage)
    await home.scene.when(lambda: home.row(first)["stale"] == "kept", seconds=30)
    assert home.mode(first) == "none"
    await asyncio.sleep(2)
    assert (home.row(first)["stale"], home.row(first)["state"]) == ("kept", "error")
    assert "stale copy" in await _refused(home, "InvalidState", replica=first)
    await home.run(names.RESYNC_REPLICA, replica=first)
    await home.in_step(first)
    await home.has(first, {"docs/a": b"one", "docs/b": b"two"})
    assert home.copies(first) == {"s1": {"docs/a": b"one"}}


async def test_a_lost_backend_is_asked_all_the_time_and_the_stale_copy_says_why_it_is_not_fenced(
    home: Replicated,
) -> None:
    """However long it is away: the pauses do not grow, so that clients have its copy to write to for a moment only."""
    await home.create()
    replica = await home.replicate()
    await home.in_step(replica)
    first = home.active()
    outage = home.scene.world.array("alpha").script.add(FaultKind.UNREACHABLE)
    await home.lose()
    await home.failing(first, "unreachable")
    pauses: list[float] = []
    async with asyncio.timeout(30):
        while len(pauses) < 20:  # of one round several times, and of several rounds
            await asyncio.sleep(TEST_LIMITS.retry)
            pauses += await home.pauses(first)
    assert statistics.median(pauses) <= TEST_LIMITS.retry
    assert (await home.sync(first).query(names.STATUS))["phase"] == "error"
    home.scene.world.array("alpha").script.lift(outage)
    await home.scene.when(lambda: home.row(first)["stale"] == "kept", seconds=20)


async def test_a_stale_copy_that_somebody_writes_to_is_not_called_fenced(home: Replicated) -> None:
    """A process has a file of it open: it is named until it ends, by the sync and by a resync."""
    await home.create()
    replica = await home.replicate()
    await home.in_step(replica)
    first, array = home.active(), home.scene.world.array("alpha")
    outage = array.script.add(FaultKind.UNREACHABLE)
    await home.lose()
    writer = array.script.add(FaultKind.WRONG_ANSWER, verb="find_writers", message="process 4711 (vim)", times=None)
    array.script.lift(outage)
    assert "its sync tries again by itself" in await home.failing(first, "process 4711 (vim)")
    assert (home.row(first)["stale"], home.mode(first)) == ("unfenced", "none")
    assert "process 4711 (vim)" in await _refused(home, "FenceLeaks", names.RESYNC_REPLICA, replica=first)
    array.script.lift(writer)
    await home.scene.when(lambda: home.row(first)["stale"] == "kept", seconds=20)


async def test_a_stale_copy_that_is_to_be_deleted_is_fenced_first(home: Replicated) -> None:
    """Its deletion holds it as soon as it is asked for, so that its sync cannot fence it."""
    await home.create()
    replica = await home.replicate()
    await home.in_step(replica)
    (backend, ref), first = home.place(home.active()), home.active()
    array = home.scene.world.array(backend)
    outage = array.script.add(FaultKind.UNREACHABLE)
    await home.lose()
    handle = await home.start(names.DELETE_REPLICA, replica=first)
    await home.scene.world.until(handle, "waiting", seconds=20)
    await asyncio.sleep(2)
    array.script.lift(outage)
    await home.scene.world.result(handle)
    done = [effect.verb for effect in array.ledger.effects() if effect.operation == handle.id]
    assert done[0] == "set_access_mode"
    assert ref.name not in {stored.name for stored in array.objects()}


async def test_a_lost_copy_is_resynced_by_itself_when_that_was_asked(home: Replicated) -> None:
    """What only it had is gone then."""
    await home.create()
    replica = await home.replicate()
    home.scene.world.array("beta").script.add(FaultKind.BUSY, verb="receive_snapshot", times=None)
    home.write("docs/lost", b"nobody else has it")
    await home.failing(replica)
    first = home.active()
    outage = home.scene.world.array("alpha").script.add(FaultKind.UNREACHABLE)
    home.scene.world.array("beta").script.clear()
    await home.lose(stale="resync")
    home.write("docs/b", b"two")
    home.scene.world.array("alpha").script.lift(outage)
    await home.scene.when(lambda: home.row(first)["stale"] == "", seconds=30)
    await home.in_step(first, seconds=30)
    await home.has(first, {"docs/a": b"one", "docs/b": b"two"})


async def test_a_snapshot_that_the_replica_had_not_got_is_lost_with_the_active(home: Replicated) -> None:
    """It is named, its row goes, and it counts against no quota."""
    await home.create()
    replica = await home.replicate()
    await home.in_step(replica)
    home.scene.world.array("beta").script.add(FaultKind.BUSY, verb="receive_snapshot", times=None)
    home.write("docs/c", b"something to bring over")
    await home.failing(replica)
    await home.scene.snapshot("s2")
    first = home.active()
    outage = home.scene.world.array("alpha").script.add(FaultKind.UNREACHABLE)
    done = await home.lose()
    assert done["lost_snapshots"] == ["s2"]
    assert [row["name"] for row in home.scene.rows(tables.snapshots, share_id=home.scene.share()["id"])] == ["s1"]
    assert home.scene.used()[2] == 1
    home.scene.world.array("beta").script.clear()
    home.scene.world.array("alpha").script.lift(outage)
    await home.scene.when(lambda: home.row(first)["stale"] == "kept", seconds=30)
    await home.run(names.RESYNC_REPLICA, replica=first)
    await home.in_step(first)
    assert home.copies(first) == {"s1": {"docs/a": b"one"}}
    await home.scene.world.run(names.RECONCILE_BACKEND, {"backend": "beta"}, operation=home.scene.new_id())
    assert home.scene.rows(tables.tombstones, project=home.scene.project, gone_at=None) == []


async def test_limits_and_floors_go_with_the_active(home: Replicated) -> None:
    """They are set at the new one before it serves, and its pool promises them instead of the old one's."""
    await home.create()
    await home.run(names.SET_SHARE_QOS, qos="wish")
    first = home.active()
    replica = await home.replicate(backend="alpha", pool="a2", same_domain=True)
    assert home.scene.one(tables.instances, id=replica)["iops_floor"] == 0
    await home.run(names.PROMOTE_REPLICA)
    floors = [home.scene.one(tables.instances, id=one)["iops_floor"] for one in (first, replica)]
    assert floors == [0, 400]
    (stored,) = (one for one in home.scene.world.array().objects() if one.name == home.place(replica)[1].name)
    assert {limit.key: limit.value for limit in stored.qos}["max_iops"] == 500


# -- refusals ----------------------------------------------------------------------------------------------------------


async def test_replicas_that_may_not_be_are_refused(home: Replicated) -> None:
    """Each with what is wrong and what to do."""
    await home.create()
    assert "alpha" in await _refused(home, "NoPoolFits", names.CREATE_REPLICA, backend="alpha")
    assert "same backend" in await _refused(home, "NoPoolFits", names.CREATE_REPLICA, backend="alpha", pool="a2")
    assert "a copy of the share is there" in await _refused(
        home, "NoPoolFits", names.CREATE_REPLICA, backend="alpha", pool="a1", same_domain=True
    )
    await home.replicate(backend="alpha", pool="a2", same_domain=True)
    await home.replicate()
    assert "2 of 2 replicas" in await _refused(home, "InvalidState", names.CREATE_REPLICA)
    with pytest.raises(Refused) as refused:
        await home.scene.run(names.CREATE_REPLICA, share="nobody")
    assert refused.value.code == "NotFound"


async def test_a_share_whose_type_has_no_replicas_gets_none(home: Replicated) -> None:
    """The type decides."""
    await home.create(type="standard")
    assert "have no replicas" in await _refused(home, "NotSupported", names.CREATE_REPLICA)
    await _refused(home, "NotFound")


async def test_a_softly_deleted_share_gets_no_replica(home: Replicated) -> None:
    """It is out of view."""
    await home.create()
    handle = await home.scene.bin()
    await _refused(home, "NotFound", names.CREATE_REPLICA)
    await handle.execute_update(names.RESTORE, {})
    await home.scene.world.result(handle)


async def test_what_is_no_replica_of_the_share_is_refused(home: Replicated) -> None:
    """The active one, an unknown one, one of another share and one of another project's."""
    await home.create()
    replica = await home.replicate()
    for kind in (names.PROMOTE_REPLICA, names.DELETE_REPLICA, names.RESYNC_REPLICA):
        for active in (home.active(), "alpha/a1"):
            assert "active" in await _refused(home, "InvalidState", kind, replica=active)
        text = await _refused(home, "NotFound", kind, replica="nowhere")
        assert "its replicas: beta/b1" in text
        request = {"project": home.scene.world.project(), "share": home.scene.share()["id"], "replica": replica}
        with pytest.raises(Refused) as refused:
            await home.scene.world.run(kind, request)
        assert refused.value.code == "NotFound"
    await home.scene.create("other", type="twice", backend="alpha", pool="a1")
    with pytest.raises(Refused) as refused:
        await home.scene.run(names.DELETE_REPLICA, share="other", replica=replica)
    assert refused.value.code == "NotFound"
    await home.scene.purge("other")


async def test_a_replica_that_is_being_seeded_is_not_promoted(home: Replicated) -> None:
    """Named or not, also with the active one lost: it has never had all content."""
    await home.create()
    operation = home.scene.new_id()
    gate = Gate("mover.receive.before_call", operation)
    handle = await home.start(names.CREATE_REPLICA, operation=operation)
    await gate.reached()
    assert "no replica that can be promoted" in await _refused(home, "NotFound")
    requests: list[dict[str, Any]] = [{}, {"lost": True, "accept_loss": True, "reason": "burnt"}]
    for lost in requests:
        assert "seeded" in await _refused(home, "InvalidState", replica="beta/b1", **lost)
    gate.open()
    await home.scene.world.result(handle)


@pytest.mark.parametrize(
    "bad", [{"bandwidth": 0}, {"bandwidth": "fast"}, {"zone": "../x"}, {"unknown": 1}, {"same_domain": "perhaps"}]
)
def test_bad_input_is_refused_before_anything_begins(bad: dict[str, Any]) -> None:
    """By the model that clients use too."""
    with pytest.raises(ValueError, match=next(iter(bad))):
        CreateReplicaInput.model_validate({"project": "p", "share": "home", **bad})
