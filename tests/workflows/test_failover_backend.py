"""Failovers of fake backends: what is active there is promoted elsewhere, in order, and goes back later."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update
from temporalio import activity
from temporalio.client import Client, WorkflowUpdateFailedError
from temporalio.worker import Worker

import worker
from drivers.contract import ObjectRef
from drivers.fake import FaultKind
from inventory import tables
from inventory.database import now
from shareflow import faults, names
from shareflow.contracts.reconcile import ReconcileClaimsInput
from shareflow.contracts.steps import BackendAnswer, BackendCall
from shareflow.converter import data_converter
from tests.support.scenes import Gate, Handle, Scene, until
from tests.support.world import FAKE_SPECS, TEST_LIMITS, Refused, World, world_of_its_own

RULES: dict[str, Any] = {"type": "dr", "count": 2, "interval": "1 s", "loss": "30 s"}
SPECS: tuple[Mapping[str, Any], ...] = (
    *FAKE_SPECS,
    {"kind": "ShareType", "name": "first", "replicas": {**RULES, "priority": 1}},
    {"kind": "ShareType", "name": "last", "replicas": {**RULES, "priority": 9}},
    {"kind": "ShareType", "name": "near", "replicas": {**RULES, "apart": "pool"}},
)
DEAF = TEST_LIMITS.model_copy(update={"heartbeat": 60})
LOST: dict[str, Any] = {"lost": True, "accept_loss": True, "reason": "burnt"}


@pytest.fixture(scope="module")
async def world(temporal_binary: Path) -> AsyncIterator[World]:
    """A world of its own: what fails over would be the shares of all tests."""
    async with world_of_its_own(temporal_binary, documents=SPECS) as running:
        yield running


@pytest.fixture
async def scene(scene: Scene) -> AsyncIterator[Scene]:
    """A scene that leaves no share behind."""
    try:
        yield scene
    finally:
        faults.disarm()
        for name in ("alpha", "beta"):
            scene.world.array(name).script.clear()
        left = [(row, Scene(scene.world, row["project"])) for row in scene.rows(tables.shares, in_view=True)]
        for row, owner in left:
            await settled(owner)
            for replica in owner.rows(tables.replicas, share_id=row["id"]):
                await owner.run(names.DELETE_REPLICA, share=row["id"], replica=replica["id"])
        for row, owner in left:
            await settled(owner, but="")
            await owner.purge(row["name"])


async def settled(scene: Scene, *, but: str = names.SYNC_REPLICA) -> None:
    """Nothing of the project runs but operations of one kind: what keeps replicas in step."""

    def still() -> bool:
        rows = scene.rows(tables.operations, project=scene.project, state="running")
        return all(row["kind"] == but for row in rows)

    await until(still, seconds=30)


@pytest.fixture
async def halves(temporal_binary: Path, tmp_path: Path) -> AsyncIterator[tuple[World, worker.Process]]:
    """A world whose worker serves alpha alone, and another worker, not polling yet, that can serve beta."""
    opened = world_of_its_own(temporal_binary, documents=SPECS, limits=DEAF, backends=["alpha"])
    async with opened as running:
        other = replace(running.process.settings, backends=["beta"], state_dir=tmp_path / "other")
        client = await Client.connect(str(other.address), data_converter=data_converter)
        process = await asyncio.to_thread(worker.Process, other, client)
        try:
            yield running, process
        finally:
            process.close()


async def test_nobody_has_to_serve_the_queue_of_a_lost_backend(halves: tuple[World, worker.Process]) -> None:
    """Its worker is gone, and with it whatever it was doing: each share is writable within seconds."""
    world, doomed = halves
    scene = Scene(world, world.project())
    async with doomed.polling():
        for name in "ab":
            await twin(scene, name)
    began = now()
    async with asyncio.timeout(20):
        result = await scene.run(names.FAILOVER_BACKEND, backend="beta", **LOST)
    assert (result["outcome"], result["report"]["promoted"]) == ("promoted", 2)
    for name in "ab":
        assert backend_of(scene, name) == "alpha"
        write(scene, name, b"again")
    assert result["report"]["loss_seconds"] < (now() - began).total_seconds() + 30


async def test_a_round_whose_worker_died_at_the_lost_backend_holds_no_share_up(
    halves: tuple[World, worker.Process],
) -> None:
    """It lets its replica go at once, long before anybody notices that the worker of its step is dead."""
    world, doomed = halves
    scene = Scene(world, world.project())
    taken, over = asyncio.Event(), asyncio.Event()

    @activity.defn(name=names.BACKEND_CREATE_SNAPSHOT)
    async def dead(_call: BackendCall) -> BackendAnswer:
        """Takes a step, and is never heard of again."""
        taken.set()
        while not over.is_set():
            with suppress(asyncio.CancelledError):
                await over.wait()
        return BackendAnswer()

    async with doomed.polling():
        await twin(scene, "a")
    async with Worker(doomed.client, task_queue=names.backend_queue("beta"), activities=[dead]):
        try:
            async with asyncio.timeout(60):
                await taken.wait()
            async with asyncio.timeout(20):
                result = await scene.run(names.FAILOVER_BACKEND, backend="beta", **LOST)
        finally:
            over.set()
    assert result["outcome"] == "promoted"
    write(scene, "a", b"again")


async def twin(scene: Scene, name: str, *, kind: str = "twice", **where: Any) -> str:
    """A share that is active on beta, with its name as content and a replica on alpha. Gives the replica."""
    await scene.create(name, type=kind, backend="beta", pool="b1")
    write(scene, name, name.encode())
    made = await scene.run(names.CREATE_REPLICA, share=name, **{"backend": "alpha", "pool": "a1", **where})
    return str(made["replica_id"])


def place(scene: Scene, name: str, **which: str) -> tuple[str, ObjectRef]:
    """Backend and address of an instance of a share, the active one unless said otherwise."""
    row = scene.one(tables.instances, share_id=scene.share(name)["id"], **(which or {"role": "active"}))
    pool = scene.one(tables.pools, id=row["pool_id"])
    return pool["backend"], ObjectRef(pool["name"], row["object"])


def write(scene: Scene, name: str, data: bytes) -> None:
    """Write as a client of the share does; fails unless it is writable."""
    backend, ref = place(scene, name)
    scene.files(backend).write(ref, "file", data)


def backend_of(scene: Scene, name: str) -> str:
    """Where a share is active."""
    return place(scene, name)[0]


def go_away(scene: Scene, backend: str = "beta") -> None:
    """The backend answers nothing any more."""
    scene.world.array(backend).script.add(FaultKind.UNREACHABLE, times=None)


def come_back(scene: Scene, backend: str = "beta") -> None:
    """It answers again."""
    scene.world.array(backend).script.clear()


def promotions(scene: Scene, handle: Handle) -> list[Any]:
    """The promotions of a failover, in the order in which they began."""
    rows = scene.rows(tables.operations, kind=names.PROMOTE_REPLICA)
    mine = [row for row in rows if row["id"].startswith(f"{handle.id}/")]
    scene.operations += [row["id"] for row in mine]
    return sorted(mine, key=lambda row: row["created_at"])


async def fail_over(scene: Scene, **fields: Any) -> dict[str, Any]:
    """Lose beta and fail it over."""
    go_away(scene)
    return await scene.run(names.FAILOVER_BACKEND, backend="beta", **{**LOST, **fields})


async def held(scene: Scene, name: str, point: str = "inventory.begin.after_commit") -> tuple[Gate, str]:
    """A failover that is held in the promotion of one share; gives the gate and the failover's id."""
    operation = scene.new_id()
    return Gate(point, f"{operation}/{scene.share(name)['id']}"), operation


async def resynced(scene: Scene, name: str) -> None:
    """The stale copy on beta is a replica in step again."""
    share = scene.share(name)["id"]

    def fenced() -> bool:
        return [row["stale"] for row in scene.rows(tables.replicas, share_id=share)] == ["kept"]

    await until(fenced, seconds=30)
    (stale,) = scene.rows(tables.replicas, share_id=share)
    await scene.run(names.RESYNC_REPLICA, share=name, replica=stale["id"])


# -- a backend that is lost --------------------------------------------------------------------------------------------


async def test_everything_on_a_lost_backend_is_writable_elsewhere_without_asking_it_anything(scene: Scene) -> None:
    """Of all projects; the report says what each share lost, and the audit why."""
    await twin(scene, "one")
    await twin(scene, "two")
    other = Scene(scene.world, scene.world.project())
    await twin(other, "theirs")
    go_away(scene)
    handle = await scene.start(names.FAILOVER_BACKEND, backend="beta", **LOST)
    result = await scene.world.result(handle)
    report = result["report"]
    assert (result["outcome"], result["left"], result["lost"], report["promoted"]) == ("promoted", 0, True, 3)
    assert {row["project"] for row in promotions(scene, handle)} == {scene.project, other.project}
    for owner, name in ((scene, "one"), (scene, "two"), (other, "theirs")):
        assert backend_of(owner, name) == "alpha"
        write(owner, name, b"again")
    losses = {one["name"]: one for one in report["losses"]}
    assert set(losses) == {"one", "two", "theirs"}
    assert all(one["loss_seconds"] > 0 and one["to"] == "alpha/a1" for one in losses.values())
    assert report["loss_seconds"] == max(one["loss_seconds"] for one in losses.values())
    assert [one["loss_seconds"] for one in report["losses"]] == sorted(
        (one["loss_seconds"] for one in losses.values()), reverse=True
    )
    why = [row["why"] for row in scene.rows(tables.audit, operation=losses["one"]["operation"])]
    assert any("declared lost (burnt)" in line for line in why), why


async def test_shares_are_promoted_in_the_order_of_their_types_priority_then_by_name(scene: Scene) -> None:
    """One at a time, so that the order shows."""
    for name, kind in (("a", "last"), ("c", "twice"), ("b", "twice"), ("z", "first")):
        await twin(scene, name, kind=kind)
    go_away(scene)
    handle = await scene.start(names.FAILOVER_BACKEND, backend="beta", **LOST, concurrency=1)
    await scene.world.result(handle)
    shares = {scene.share(name)["id"]: name for name in "abcz"}
    assert [shares[row["id"].rpartition("/")[2]] for row in promotions(scene, handle)] == ["z", "b", "c", "a"]


async def test_no_more_are_promoted_at_once_than_asked(scene: Scene) -> None:
    """The others wait for a place."""
    for name in "abc":
        await twin(scene, name)
    go_away(scene)
    gate, operation = await held(scene, "a")
    second = Gate("inventory.begin.after_commit", f"{operation}/{scene.share('b')['id']}")
    handle = await scene.start(names.FAILOVER_BACKEND, operation=operation, backend="beta", **LOST, concurrency=2)
    await gate.reached()
    await second.reached()
    await asyncio.sleep(1)
    assert len(promotions(scene, handle)) == 2
    status = (await scene.status(handle))["failover"]
    assert (len(status["running"]), status["promoted"], status["left"]) == (2, 0, 3)
    second.open()
    gate.open()
    assert (await scene.world.result(handle))["report"]["promoted"] == 3


async def test_shares_without_a_replica_elsewhere_are_left_and_named(scene: Scene) -> None:
    """None at all, one in the same backend alone, one that never was seeded, one in the recycle bin."""
    await twin(scene, "good")
    await scene.create("alone", type="twice", backend="beta", pool="b1")
    await twin(scene, "binned")
    deletion = await scene.bin("binned")
    result = await fail_over(scene)
    report = result["report"]
    assert (result["outcome"], result["left"], report["promoted"]) == ("incomplete", 2, 1)
    assert (report["without_replica"], report["failed"]) == (1, 2)
    left = {one["name"]: one for one in report["not_promoted"]}
    assert left["alone"]["reason"] == "it has no replica outside beta"
    assert "recycle bin until" in left["binned"]["reason"]
    assert "restore it and fail over again" in left["binned"]["next_step"]
    come_back(scene)
    await deletion.execute_update(names.RESTORE, {})
    await scene.world.result(deletion)


async def test_a_replica_in_another_pool_of_the_lost_backend_is_never_chosen(scene: Scene) -> None:
    """Though its content is newer than that of the one elsewhere."""
    await scene.create("home", type="near", backend="alpha", pool="a1")
    write(scene, "home", b"1")
    away = await scene.run(names.CREATE_REPLICA, share="home", backend="beta")
    near = await scene.run(names.CREATE_REPLICA, share="home", backend="alpha", pool="a2")
    with scene.world.database.write() as connection:
        newer = update(tables.replicas).where(tables.replicas.c.id == near["replica_id"])
        connection.execute(newer.values(synced_at=now() + timedelta(seconds=5)))
    go_away(scene, "alpha")
    result = await scene.run(names.FAILOVER_BACKEND, backend="alpha", **LOST)
    assert [one["to"] for one in result["report"]["losses"]] == ["beta/b1"]
    assert scene.one(tables.instances, id=away["replica_id"])["role"] == "active"
    write(scene, "home", b"2")


async def test_a_loss_beyond_what_the_type_tolerates_is_refused_and_named_unless_it_is_accepted(scene: Scene) -> None:
    """The others are promoted; failed over again with acceptance, it follows."""
    await twin(scene, "fresh")
    old = await twin(scene, "old")
    go_away(scene)
    await settle_rounds(scene)
    with scene.world.database.write() as connection:
        aged = update(tables.replicas).where(tables.replicas.c.id == old)
        connection.execute(aged.values(synced_at=now() - timedelta(minutes=5)))
    tolerant: dict[str, Any] = {"lost": True, "accept_tolerated": True, "reason": "burnt"}
    plan = (await scene.run(names.FAILOVER_BACKEND, backend="beta", **tolerant, dry_run=True))["plan"]
    assert (plan["shares"], plan["failed"], len(plan["first"])) == (1, 1, 2)
    result = await scene.run(names.FAILOVER_BACKEND, backend="beta", **tolerant)
    (left,) = result["report"]["not_promoted"]
    assert (result["outcome"], result["left"], result["report"]["promoted"]) == ("incomplete", 1, 1)
    assert left["name"] == "old"
    assert "loses what was written in the last 5m" in left["reason"]
    assert "its type tolerates 30s" in left["reason"]
    assert "accept_loss: true" in left["next_step"]
    assert (backend_of(scene, "fresh"), backend_of(scene, "old")) == ("alpha", "beta")
    again = await scene.run(names.FAILOVER_BACKEND, backend="beta", **LOST)
    assert (again["outcome"], again["report"]["promoted"]) == ("promoted", 1)
    assert again["report"]["loss_seconds"] > 299


async def settle_rounds(scene: Scene) -> None:
    """No round is under way that would still call its replica in step."""
    began = now()

    def failed() -> bool:
        rows = scene.rows(tables.replicas)
        return all(row["state"] == "error" and row["tried_at"] > began for row in rows)

    await until(failed, seconds=30)


async def test_a_promotion_that_is_refused_is_named_with_its_reason_and_the_others_go_on(scene: Scene) -> None:
    """A limit that the other backend refuses: the share stays where it is."""
    await twin(scene, "a")
    await twin(scene, "b")
    share = scene.share("a")["id"]
    go_away(scene)
    operation = scene.new_id()
    scene.world.array("alpha").script.add(
        FaultKind.REJECT, verb="revert_share", operation=f"{operation}/{share}", times=None
    )
    faults.arm("inventory.switch_replica.before_transaction", refuse, operation=f"{operation}/{share}")
    result = await scene.run(names.FAILOVER_BACKEND, operation=operation, backend="beta", **LOST)
    (left,) = result["report"]["not_promoted"]
    assert (result["outcome"], result["report"]["promoted"], left["name"]) == ("incomplete", 1, "a")
    assert "refused by a test" in left["reason"]
    assert left["operation"] == f"{operation}/{share}"
    assert backend_of(scene, "a") == "beta"


def refuse() -> None:
    """A refusal of the inventory."""
    from shareflow.errors import InvalidState  # noqa: PLC0415

    raise InvalidState("refused by a test")


async def test_a_round_that_gave_way_in_a_step_that_failed_lets_its_replica_go(scene: Scene) -> None:
    """The worker of the step died with it: what is heard is a time-out, which is not tried again."""
    replica = await twin(scene, "a")
    sync = f"sync-{replica}"
    gate = Gate("backend.create_snapshot.before_call", sync)
    await gate.reached()
    scene.world.array("beta").script.add(FaultKind.UNREACHABLE, operation=sync, times=None)
    deletion = await scene.start(names.DELETE_REPLICA, share="a", replica=replica)
    await scene.world.until(deletion, "waiting")
    gate.open()
    async with asyncio.timeout(5):
        await scene.world.result(deletion)


# -- commands, and what happens to the failover itself -----------------------------------------------------------------


async def test_a_paused_failover_begins_nothing_more_and_goes_on_as_commanded(scene: Scene) -> None:
    """What is promoted at that moment ends; commands at the wrong time are refused with the reason."""
    for name in "abc":
        await twin(scene, name)
    go_away(scene)
    gate, operation = await held(scene, "a")
    handle = await scene.start(names.FAILOVER_BACKEND, operation=operation, backend="beta", **LOST, concurrency=1)
    await gate.reached()
    assert "resume is refused: it is not paused" in await told(handle, names.RESUME)
    assert "no more promotions begin" in await handle.execute_update(names.PAUSE, {})
    assert "pause is refused: it is paused already" in await told(handle, names.PAUSE)
    gate.open()
    await scene.world.until(handle, "paused")
    await until(lambda: [row["state"] for row in promotions(scene, handle)] == ["succeeded"], seconds=20)
    await asyncio.sleep(1)
    assert len(promotions(scene, handle)) == 1
    assert names.COMMANDS_TO_MANY[names.RESUME] in await scene.details(handle)
    assert await handle.execute_update(names.RESUME, {}) == "going on"
    assert (await scene.world.result(handle))["report"]["promoted"] == 3


async def told(handle: Handle, name: str) -> str:
    """Why a command is refused."""
    with pytest.raises(WorkflowUpdateFailedError) as caught:
        await handle.execute_update(name, {})
    return str(caught.value.cause)


async def test_a_cancel_takes_back_promotions_before_their_switch_and_lets_the_others_end(scene: Scene) -> None:
    """The failure says what was promoted; started again, a failover goes on with the others."""
    for name in "abc":
        await twin(scene, name)
    early, operation = await held(scene, "a", "backend.fence.before_call")
    late = Gate("backend.set_access_mode.before_call", f"{operation}/{scene.share('b')['id']}")
    handle = await scene.start(names.FAILOVER_BACKEND, operation=operation, backend="beta", concurrency=2)
    await early.reached()
    await late.reached()
    await handle.cancel()
    await asyncio.sleep(1)
    early.open()
    late.open()
    await scene.cancelled(handle)
    states = {row["id"].rpartition("/")[2]: row["state"] for row in promotions(scene, handle)}
    assert states == {scene.share("a")["id"]: "failed-clean", scene.share("b")["id"]: "succeeded"}
    assert [backend_of(scene, name) for name in "abc"] == ["beta", "alpha", "beta"]
    assert "1 shares promoted" in scene.operation(handle.id)["failure"]["message"]
    again = await scene.run(names.FAILOVER_BACKEND, backend="beta")
    assert (again["outcome"], again["report"]["promoted"]) == ("promoted", 2)


async def test_one_that_was_ended_from_outside_goes_on_with_what_is_under_way(scene: Scene) -> None:
    """The reconciler starts it again, paused as it was; no share is promoted twice."""
    for name in "abc":
        await twin(scene, name)
    go_away(scene)
    gate, operation = await held(scene, "a")
    handle = await scene.start(names.FAILOVER_BACKEND, operation=operation, backend="beta", **LOST, concurrency=1)
    await gate.reached()
    await handle.execute_update(names.PAUSE, {})
    await asyncio.sleep(2.5)  # it keeps what it was told with its next look
    await handle.terminate("by a test")
    gate.open()
    await scene.world.run(names.RECONCILE_CLAIMS, ReconcileClaimsInput(grace=0))
    again = scene.world.client.get_workflow_handle(handle.id)
    await scene.world.until(again, "paused", seconds=30)
    await again.execute_update(names.RESUME, {})
    result = await scene.world.result(again)
    assert (result["outcome"], result["report"]["promoted"]) == ("promoted", 3)
    assert len(promotions(scene, handle)) == 3


@pytest.mark.parametrize("moment", ["before_transaction", "before_commit", "after_commit"])
async def test_a_lost_look_is_repeated_and_no_share_is_promoted_twice(scene: Scene, moment: str) -> None:
    """Whenever its worker dies, every share has one promotion."""
    await twin(scene, "a")
    await twin(scene, "b")
    go_away(scene)
    operation = scene.new_id()
    for _ in range(3):
        faults.arm(f"inventory.follow_failover.{moment}", faults.crash, operation=operation)
    result = await scene.run(names.FAILOVER_BACKEND, operation=operation, backend="beta", **LOST, concurrency=1)
    assert (result["outcome"], result["report"]["promoted"]) == ("promoted", 2)
    mine = [row for row in scene.rows(tables.operations) if row["id"].startswith(f"{operation}/")]
    scene.operations += [row["id"] for row in mine]
    assert len(mine) == 2


async def test_it_goes_on_in_a_new_run_before_its_history_grows_too_long(scene: Scene) -> None:
    """What is promoted goes on meanwhile, and what was done is not forgotten."""
    for name in "ab":
        await twin(scene, name)
    go_away(scene)
    gate, operation = await held(scene, "b")
    handle = await scene.start(names.FAILOVER_BACKEND, operation=operation, backend="beta", **LOST, concurrency=1)
    await gate.reached()
    first = (await handle.describe()).run_id
    async with asyncio.timeout(25):
        while (await handle.describe()).run_id == first:
            await handle.signal(names.PAUSE, {})
            await handle.signal(names.RESUME, {})
            await asyncio.sleep(0.05)
    gate.open()
    result = await scene.world.result(handle)
    assert result["report"]["promoted"] == 2
    assert (await scene.status(handle))["failover"]["promoted"] == 2


# -- planned, and back again -------------------------------------------------------------------------------------------


async def test_a_planned_failover_loses_nothing_and_a_failback_brings_everything_home(scene: Scene) -> None:
    """What was written in between goes along; a second failback has nothing to do and says so."""
    for name in "ab":
        await twin(scene, name)
        write(scene, name, b"the last word")
    result = await scene.run(names.FAILOVER_BACKEND, backend="beta", reason="new disks")
    report = result["report"]
    assert (result["outcome"], result["lost"], report["promoted"]) == ("promoted", False, 2)
    assert (report["loss_seconds"], report["loss_bytes"], report["lost_snapshots"]) == (0, 0, 0)
    for name in "ab":
        backend, ref = place(scene, name)
        assert (backend, scene.files(backend).tree(ref)) == ("alpha", {"file": b"the last word"})
        write(scene, name, b"written meanwhile")
    plan = (await scene.run(names.FAILBACK_BACKEND, backend="beta", dry_run=True))["plan"]
    assert (plan["shares"], [one["to"] for one in plan["first"]]) == (2, ["beta/b1", "beta/b1"])
    back = await scene.run(names.FAILBACK_BACKEND, backend="beta")
    assert (back["outcome"], back["left"], back["report"]["promoted"]) == ("promoted", 0, 2)
    for name in "ab":
        backend, ref = place(scene, name)
        assert (backend, scene.files(backend).tree(ref)) == ("beta", {"file": b"written meanwhile"})
    with pytest.raises(Refused, match="no share is away from beta") as caught:
        await scene.run(names.FAILBACK_BACKEND, backend="beta")
    assert caught.value.code == "InvalidState"


async def test_shares_whose_stale_copy_was_kept_stay_until_it_is_resynced(scene: Scene) -> None:
    """Each is named with the next step; fail back again and they follow."""
    await twin(scene, "kept")
    await twin(scene, "ready")
    assert (await fail_over(scene))["report"]["promoted"] == 2
    write(scene, "kept", b"new")
    come_back(scene)
    await resynced(scene, "ready")
    first = await scene.run(names.FAILBACK_BACKEND, backend="beta")
    (left,) = first["report"]["not_promoted"]
    assert (first["outcome"], first["left"], first["report"]["promoted"]) == ("incomplete", 1, 1)
    assert (left["name"], left["operation"]) == ("kept", "")
    assert "the stale copy on beta/b1" in left["reason"]
    assert "resync replica beta/b1" in left["next_step"]
    assert "fail back again" in left["next_step"]
    await resynced(scene, "kept")
    again = await scene.run(names.FAILBACK_BACKEND, backend="beta")
    assert (again["outcome"], again["report"]["promoted"]) == ("promoted", 1)
    backend, ref = place(scene, "kept")
    assert (backend, scene.files(backend).tree(ref)) == ("beta", {"file": b"new"})


async def test_only_what_a_failover_moved_goes_back(scene: Scene) -> None:
    """A share that was promoted by itself stays, and so does one that was brought home and moved away again."""
    for name in ("moved", "alone", "returned"):
        await twin(scene, name)
    await scene.run(names.PROMOTE_REPLICA, share="alone")
    await scene.run(names.FAILOVER_BACKEND, backend="beta")
    for _ in range(2):
        await scene.run(names.PROMOTE_REPLICA, share="returned")
    back = await scene.run(names.FAILBACK_BACKEND, backend="beta")
    assert [one["name"] for one in back["report"]["losses"]] == ["moved"]
    assert {name: backend_of(scene, name) for name in ("moved", "alone", "returned")} == {
        "moved": "beta",
        "alone": "alpha",
        "returned": "alpha",
    }


async def test_a_dry_run_says_what_would_be_promoted_and_lost_and_changes_nothing(scene: Scene) -> None:
    """Each share with its loss, in the order in which they would begin."""
    await twin(scene, "b")
    await twin(scene, "a", kind="first")
    await scene.create("alone", backend="beta", pool="b1")
    result = await scene.run(names.FAILOVER_BACKEND, backend="beta", lost=True, reason="burnt?", dry_run=True)
    plan = result["plan"]
    assert (result["outcome"], plan["shares"], plan["without_replica"], plan["failed"]) == ("planned", 2, 1, 1)
    assert [(one["name"], one["to"]) for one in plan["first"]] == [("a", "alpha/a1"), ("b", "alpha/a1")]
    assert all(one["loss_seconds"] > 0 for one in plan["first"])
    assert plan["loss_seconds"] == max(one["loss_seconds"] for one in plan["first"])
    assert [one["name"] for one in plan["not_promoted"]] == ["alone"]
    assert {backend_of(scene, name) for name in ("a", "b", "alone")} == {"beta"}
    planned = (await scene.run(names.FAILOVER_BACKEND, backend="beta", dry_run=True))["plan"]
    assert (planned["shares"], planned["loss_seconds"]) == (2, 0)


REFUSALS: dict[str, tuple[str, dict[str, Any], str, str]] = {
    "of a backend that is not there": (names.FAILOVER_BACKEND, {"backend": "gamma"}, "NotFound", "gamma"),
    "back to a backend that is not there": (names.FAILBACK_BACKEND, {"backend": "gamma"}, "NotFound", "gamma"),
    "back where nothing was failed over": (names.FAILBACK_BACKEND, {}, "InvalidState", "no share is away from beta"),
    "of a lost one without a reason": (names.FAILOVER_BACKEND, {**LOST, "reason": " "}, "InvalidInput", "reason"),
    "of a lost one without acceptance": (
        names.FAILOVER_BACKEND, {"lost": True, "reason": "burnt"}, "InvalidInput", "loses changes of 1 shares: up to",
    ),
    "with both acceptances": (
        names.FAILOVER_BACKEND, {**LOST, "accept_tolerated": True}, "InvalidInput", "accept_tolerated",
    ),
    "with acceptance of a loss that cannot be": (
        names.FAILOVER_BACKEND, {"accept_loss": True}, "InvalidInput", "accept_loss goes with lost",
    ),
    "with tolerance of a loss that cannot be": (
        names.FAILOVER_BACKEND, {"accept_tolerated": True}, "InvalidInput", "accept_tolerated goes with lost",
    ),
    "with a stale copy that cannot be": (
        names.FAILOVER_BACKEND, {"stale": "resync"}, "InvalidInput", "stale goes with lost",
    ),
    "of a lost one whose open files are asked for": (
        names.FAILOVER_BACKEND, {**LOST, "ignore_open_files": True}, "InvalidInput", "ignore_open_files",
    ),
    "of a lost one that is to be compared": (
        names.FAILOVER_BACKEND, {**LOST, "verify": "full"}, "InvalidInput", "compared with",
    ),
    "with no share at once": (names.FAILOVER_BACKEND, {"concurrency": 0}, "InvalidInput", "concurrency"),
    "with too many at once": (names.FAILBACK_BACKEND, {"concurrency": 65}, "InvalidInput", "concurrency"),
    "back from a loss": (names.FAILBACK_BACKEND, {"lost": True}, "InvalidInput", "lost"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSALS)
async def test_a_failover_that_cannot_be_is_refused_and_promotes_nothing(scene: Scene, case: str) -> None:
    """Each with its code and the value."""
    kind, fields, code, text = REFUSALS[case]
    await twin(scene, "a")
    with pytest.raises(Refused) as caught:
        await scene.run(kind, **{"backend": "beta", **fields})
    assert (caught.value.code, text in caught.value.text) == (code, True), caught.value.text
    assert backend_of(scene, "a") == "beta"


async def test_an_id_that_leaves_no_room_for_those_of_its_promotions_is_refused(scene: Scene) -> None:
    """Each promotion has the failover's id with that of its share."""
    operation = "f" * 240
    scene.operations.append(operation)
    with pytest.raises(Refused, match="at most 218") as caught:
        await scene.run(names.FAILOVER_BACKEND, operation=operation, backend="beta")
    assert caught.value.code == "InvalidInput"
