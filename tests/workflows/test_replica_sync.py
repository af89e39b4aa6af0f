"""Replicas are kept in step: what fails is said and tried again, what asks for the replica gets it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from activities.recipes import watching
from drivers.contract import ObjectRef
from drivers.fake import FaultKind
from inventory import tables
from shareflow import names
from shareflow.contracts.replica_steps import WatchInput
from tests.support.replicas import Replicated

BOTH = {"docs/a": b"one", "docs/b": b"two"}
LIMIT = 300  # events of history, as the world's limits say


async def test_a_deleted_snapshot_goes_from_the_replica_with_its_room(home: Replicated) -> None:
    """By the next round; the others stay."""
    await home.create()
    replica = await home.replicate()
    home.write("docs/b", b"two")
    await home.scene.snapshot("s2")
    await home.in_step(replica)
    assert home.copies(replica) == {"s1": {"docs/a": b"one"}, "s2": BOTH}
    rows = home.scene.rows(tables.snapshot_instances, instance_id=replica)
    assert {row["status"] for row in rows} == {"copied"}
    s1 = home.scene.one(tables.snapshots, project=home.scene.project, name="s1")["id"]
    (copy,) = (row["object"] for row in rows if row["snapshot_id"] == s1)
    await home.run(names.DELETE_SNAPSHOT, snapshot="s1")
    await home.in_step(replica)
    assert home.copies(replica) == {"s2": BOTH}
    assert copy not in {one.name for one in home.scene.world.array("beta").objects()}


async def test_a_snapshot_is_sent_once_and_a_round_without_changes_moves_nothing(home: Replicated) -> None:
    """The rounds remember what is there."""
    await home.create()
    replica = await home.replicate()
    before = len(home.scene.world.array("beta").calls("receive_snapshot"))
    await home.in_step(replica)
    assert home.row(replica)["moved_bytes"] == 0
    await home.in_step(replica)
    calls = home.scene.world.array("beta").calls("receive_snapshot")[before:]
    s1 = home.scene.one(tables.snapshot_instances, instance_id=replica)["object"]
    assert calls
    assert s1 not in {call.name for call in calls}


async def test_a_replica_that_has_everything_is_only_looked_at(home: Replicated) -> None:
    """It stays fresh, and no backend does anything for it."""
    await home.create()
    replica = await home.replicate()
    await home.in_step(replica)
    await home.in_step(replica)  # the first run makes one round, whatever there is to do
    arrays = [home.scene.world.array(name) for name in ("alpha", "beta")]
    sync = home.row(replica)["sync_operation"]
    before = [len([one for one in array.calls() if one.operation == sync]) for array in arrays]
    for _ in range(3):
        await home.in_step(replica)
    assert [len([one for one in array.calls() if one.operation == sync]) for array in arrays] == before
    home.write("docs/b", b"two")
    await home.in_step(replica)
    await home.has(replica, BOTH)


async def test_a_replica_is_watched_at_the_interval_that_its_type_has_now(home: Replicated) -> None:
    """After a retype a round takes up the new one, though nothing would have to be copied."""
    await home.create()
    replica = await home.replicate()
    await home.in_step(replica)
    await home.in_step(replica)
    sync = home.row(replica)["sync_operation"]
    with home.scene.world.database.read() as connection:
        seen = [
            watching.at_rest(
                connection, WatchInput(operation=sync, replica=replica, interval=seconds, looks=1, patience=9)
            )
            for seconds in (1.0, 2.0)
        ]
    assert [one is not None for one in seen] == [True, False]


async def test_the_first_look_comes_an_interval_after_the_first_round(home: Replicated) -> None:
    """Not with the run that goes on after it: who sees the sync rest may count on it."""
    await home.create()
    replica = await home.replicate()
    handle = home.sync(replica)
    first = (await handle.describe()).raw_description.workflow_execution_info.first_run_id
    await home.in_step(replica)
    await home.in_step(replica)
    assert (await handle.describe()).run_id != first
    assert await home.pauses(replica, run=first) == [1.0]


async def test_a_look_that_hangs_is_given_up_and_a_round_says_what_is_there(home: Replicated) -> None:
    """The replica stays in step, and does not wait until the backend answers."""
    await home.create()
    replica = await home.replicate()
    await home.in_step(replica)
    await home.in_step(replica)
    alpha, sync = home.scene.world.array("alpha"), home.row(replica)["sync_operation"]
    looking = alpha.script.add(FaultKind.HANG, verb="is_unchanged", before=60, times=1)
    before = len([one for one in alpha.calls() if one.operation == sync])
    await home.scene.when(lambda: len([one for one in alpha.calls() if one.operation == sync]) > before)
    assert alpha.script.lift(looking) == 1
    await home.in_step(replica)


@pytest.mark.parametrize("side", ["alpha", "beta"])
async def test_a_watched_replica_says_so_when_a_backend_goes_away(home: Replicated, side: str) -> None:
    """Though nothing would have to be copied."""
    await home.create()
    replica = await home.replicate()
    await home.in_step(replica)
    array, before = home.scene.world.array(side), home.row(replica)["synced_at"]
    fault = array.script.add(FaultKind.UNREACHABLE, message="nobody there")
    assert "nobody there" in await home.failing(replica)
    assert home.row(replica)["synced_at"] >= before
    array.script.lift(fault)
    await home.in_step(replica, seconds=30)


FAILURES = [
    pytest.param("alpha", FaultKind.REJECT, "create_snapshot", id="the source refuses"),
    pytest.param("beta", FaultKind.REJECT, "receive_snapshot", id="the destination refuses"),
    pytest.param("beta", FaultKind.FULL, "receive_snapshot", id="the destination is full"),
    pytest.param("beta", FaultKind.FAIL_JOB, "revert_share", id="the new content cannot be taken"),
    pytest.param("beta", FaultKind.UNREACHABLE, "", id="the destination is unreachable"),
]


@pytest.mark.parametrize(("backend", "kind", "verb"), FAILURES)
async def test_one_that_fails_says_why_tries_later_and_later_and_delays_no_other(
    home: Replicated, backend: str, kind: FaultKind, verb: str
) -> None:
    """Once it is mended the replica has everything again."""
    await home.create()
    failing = await home.replicate()
    other = await home.replicate(backend="alpha", pool="a2", same_domain=True)
    sync = home.row(failing)["sync_operation"]
    fault = home.scene.world.array(backend).script.add(
        kind, verb=verb, operation=sync, times=None, message="out of order"
    )
    home.write("docs/b", b"two")
    reason = await home.failing(failing, "out of order")
    await home.in_step(other)
    await home.failing(failing, reason)
    fine = len([pause for pause in await home.pauses(failing) if pause == 1.0])
    await home.in_step(other)
    if kind is not FaultKind.UNREACHABLE:  # that one takes its patience for each round
        await home.scene.when(lambda: home.row(failing)["tried_at"] is not None)
        pauses = (await home.pauses(failing))[fine:]
        assert pauses == sorted(pauses)
    home.scene.world.array(backend).script.lift(fault)
    await home.in_step(failing, seconds=30)
    assert home.row(failing)["error"] == ""
    await home.has(failing, BOTH)


async def test_what_is_missing_is_measured_while_the_replica_cannot_have_it(home: Replicated) -> None:
    """Round after round, before it copies; nothing is missing any more when it has everything."""
    await home.create()
    replica = await home.replicate()
    await home.in_step(replica)
    array, sync = home.scene.world.array("beta"), home.row(replica)["sync_operation"]
    fault = array.script.add(FaultKind.REJECT, verb="receive_snapshot", operation=sync, times=None)
    for size in (1000, 50_000):
        home.write("docs/b", b"x" * size)
        await home.lacks(replica, size)
        (shown,) = home.shown().replicas
        assert (shown.lag_bytes, shown.lag_measured_at) == (size, home.row(replica)["behind_at"])
    assert {call.operation for call in home.scene.world.array("alpha").calls("changed_bytes")} == {""}
    array.script.lift(fault)
    await home.in_step(replica, seconds=30)
    (shown,) = home.shown().replicas
    assert (shown.lag_bytes, shown.lag_measured_at) == (0, shown.synced_at)


@pytest.mark.parametrize("why", [FaultKind.REJECT, FaultKind.UNREACHABLE])
async def test_that_nobody_can_measure_what_is_missing_stops_no_round(home: Replicated, why: FaultKind) -> None:
    """It is not known then; the round goes on."""
    await home.create()
    replica = await home.replicate()
    await home.in_step(replica)
    sync = home.row(replica)["sync_operation"]
    home.scene.world.array("alpha").script.add(why, verb="changed_bytes", times=None)
    fault = home.scene.world.array("beta").script.add(
        FaultKind.REJECT, verb="receive_snapshot", operation=sync, times=None
    )
    home.write("docs/b", b"two")
    await home.failing(replica)
    await home.scene.when(lambda: bool(home.scene.world.array("alpha").calls("changed_bytes")), seconds=30)
    home.scene.world.array("beta").script.lift(fault)
    await home.in_step(replica, seconds=30)
    assert home.row(replica)["behind_bytes"] is None
    await home.has(replica, BOTH)


ASKING = [
    (names.RESYNC_REPLICA, {}),
    (names.RESYNC_REPLICA, {"on_busy": "fail"}),
    (names.DELETE_REPLICA, {}),
    (names.PROMOTE_REPLICA, {}),
]


@pytest.mark.parametrize(("kind", "more"), ASKING)
async def test_a_running_round_gives_way(home: Replicated, kind: str, more: dict[str, Any]) -> None:
    """Whoever asks for the replica does not wait for a round that hangs."""
    await home.create()
    replica = await home.replicate()
    array, sync = home.scene.world.array("beta"), home.row(replica)["sync_operation"]
    array.script.add(FaultKind.HANG, verb="receive_snapshot", operation=sync, before=60, times=None)
    home.write("docs/b", b"two")
    await home.scene.when(lambda: home.scene.one(tables.instances, id=replica)["claimed_by"] == sync)
    about = {} if kind == names.PROMOTE_REPLICA else {"replica": replica}
    handle = await home.start(kind, **about, **more)
    async with asyncio.timeout(25):
        await home.scene.world.result(handle)
    array.script.clear()
    if kind == names.PROMOTE_REPLICA:
        assert (home.active(), home.tree()) == (replica, BOTH)


async def test_a_full_resync_relies_on_nothing(home: Replicated) -> None:
    """Everything moves again."""
    await home.create()
    home.write("docs/big", b"x" * 100_000)
    replica = await home.replicate()
    await home.in_step(replica)
    assert (await home.run(names.RESYNC_REPLICA, replica=replica))["bytes_moved"] == 0
    full = await home.run(names.RESYNC_REPLICA, replica=replica, full=True)
    assert full["bytes_moved"] >= 100_000
    await home.has(replica, {"docs/a": b"one", "docs/big": b"x" * 100_000})


@pytest.mark.parametrize("side", ["alpha", "beta"])
@pytest.mark.parametrize("lost", [pytest.param("sync point", marks=pytest.mark.slow), "sync point and snapshot"])
async def test_a_broken_chain_heals_by_itself(home: Replicated, side: str, lost: str) -> None:
    """What both sides had in common was deleted on an array: the next rounds find another base, or send all."""
    await home.create()
    home.write("docs/big", b"x" * 100_000)
    await home.scene.snapshot("s2")
    replica = await home.replicate()
    await home.in_step(replica)
    common = home.row(replica)["memory"]["common"][0]
    instance = replica if side == "beta" else home.active()
    _, at = home.place(instance)
    gate = home.scene.world.array("beta").script.add(FaultKind.BUSY, verb="receive_snapshot", times=None)
    home.write("docs/b", b"half")  # where nothing has changed no round is made
    await home.failing(replica)
    home.remove_behind_our_back(side, ObjectRef(at.pool, common))
    if "snapshot" in lost.rsplit("and", maxsplit=1)[-1] and side == "beta":
        for copy in home.scene.rows(tables.snapshot_instances, instance_id=replica):
            home.remove_behind_our_back(side, ObjectRef(at.pool, copy["object"]))
    home.scene.world.array("beta").script.lift(gate)
    home.write("docs/b", b"two")
    await home.in_step(replica, seconds=30)
    expected = {**BOTH, "docs/big": b"x" * 100_000}
    await home.has(replica, expected)


async def test_its_history_stays_bounded_and_it_goes_on_in_new_runs(home: Replicated) -> None:
    """Round after round, for as long as it is a replica."""
    await home.create()
    replica = await home.replicate()
    handle = home.sync(replica)
    client = home.scene.world.client
    runs: set[str] = set()
    while len(runs) < 3:
        runs.add(str((await handle.describe()).run_id))
        home.write("docs/c", str(home.row(replica)["synced_at"]).encode())  # else it would only be watched
        await home.in_step(replica)
    for run in runs:
        history = await client.get_workflow_handle(handle.id, run_id=run).fetch_history()
        assert len(history.events) < LIMIT + 60
    home.write("docs/b", b"two")
    await home.in_step(replica)
    await home.run(names.DELETE_REPLICA, replica=replica)
    assert (await home.scene.world.result(handle))["replica_state"] == ""
    assert home.scene.operation(handle.id)["state"] == "succeeded"
