"""Evacuations on the fake backend: all shares of all projects leave, and what cannot is named with its reason."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from temporalio import activity
from temporalio.client import WorkflowUpdateFailedError

from activities.precedence import Precedence
from drivers.fake import FaultKind
from inventory import tables
from shareflow import faults, names
from shareflow.contracts.reconcile import ReconcileClaimsInput
from tests.support.scenes import Gate, Handle, Scene, until
from tests.support.world import Refused, World, world_of_its_own
from tests.workflows.test_migrate_share import backend_of, tree, write

A2 = {"backend": "alpha", "pool": "a2"}


@pytest.fixture(scope="module")
async def world(temporal_binary: Path) -> AsyncIterator[World]:
    """A world of its own: what is evacuated would be the shares of all tests."""
    async with world_of_its_own(temporal_binary) as running:
        yield running


@pytest.fixture
async def scene(scene: Scene) -> AsyncIterator[Scene]:
    """A scene that leaves no pool drained and no share behind."""
    try:
        yield scene
    finally:
        for row in scene.rows(tables.pools, drained=True):
            await scene.run(names.DRAIN_POOL, backend=row["backend"], pool=row["name"], drained=False)
        for row in scene.rows(tables.shares, in_view=True):
            await Scene(scene.world, row["project"]).purge(row["name"])


async def fill(scene: Scene, number: int, **fields: Any) -> list[str]:
    """Make shares on a2, each with a file that has its name."""
    made = [f"s{index}" for index in range(number)]
    for name in made:
        await scene.create(name, **{**A2, **fields})
        write(scene, name, name.encode(), name)
    return made


async def evacuate(scene: Scene, **fields: Any) -> Handle:
    """Begin to empty a2."""
    return await scene.start(names.EVACUATE_POOL, **{**A2, "grace": 0, **fields})


def pool_of(scene: Scene, name: str) -> str:
    """The pool that a share is in."""
    row = scene.one(tables.instances, share_id=scene.share(name)["id"], role="active")
    return str(scene.one(tables.pools, id=row["pool_id"])["name"])


def children(scene: Scene, handle: Handle) -> list[Any]:
    """The migrations of an evacuation."""
    rows = scene.rows(tables.operations, kind=names.MIGRATE_SHARE)
    mine = [row for row in rows if row["id"].startswith(f"{handle.id}/")]
    scene.operations += [row["id"] for row in mine]
    return mine


async def caught_up(scene: Scene, handle: Handle, number: int) -> None:
    """So many migrations follow their sources."""

    def ready() -> bool:
        memories = [((row["begun"] or {}).get("migration") or {}).get("memory", {}) for row in children(scene, handle)]
        return sum(bool(memory.get("copied")) for memory in memories) >= number

    await until(ready, seconds=30)


async def test_all_shares_leave_the_pool_with_their_content_and_nothing_new_comes(scene: Scene) -> None:
    """Snapshots go along; the pool is drained, and the report says that nothing is left."""
    made = await fill(scene, 5)
    await scene.snapshot("monday", "s0")
    handle = await evacuate(scene, concurrency=2)
    result = await scene.world.result(handle)
    assert (result["outcome"], result["source"], result["moved"], result["left"]) == ("evacuated", "alpha/a2", 5, 0)
    assert (result["drained"], result["not_moved"]) == (True, [])
    assert result["bytes_moved"] > 0
    for name in made:
        assert pool_of(scene, name) != "a2"
        assert tree(scene, name) == {name: name.encode()}
    with pytest.raises(Refused, match="it is drained"):
        await scene.create("late", pool="a2", backend="alpha")
    status = await scene.status(handle)
    assert (status["evacuation"]["moved"], status["evacuation"]["left"]) == (5, 0)
    assert len(children(scene, handle)) == 5


async def test_replicated_shares_and_replicas_leave_and_are_counted(scene: Scene) -> None:
    """Each by a migration of its own kind; what stays in step does so where it is then."""
    await scene.create(type="twice", **A2)
    await scene.create("other", type="twice", backend="beta", pool="b1")
    await scene.snapshot("s1")
    mine = await scene.run(names.CREATE_REPLICA, share="home", backend="beta")
    theirs = await scene.run(names.CREATE_REPLICA, share="other", backend="alpha", pool="a2")
    plan = await scene.run(names.EVACUATE_POOL, dry_run=True, **A2)
    assert (plan["plan"]["shares"], plan["plan"]["replicas"]) == (2, 1)
    assert {(one["name"], one["destination"]) for one in plan["plan"]["first"]} == {
        ("home", "alpha/a1"),
        ("other", "alpha/a1"),
    }
    handle = await evacuate(scene)
    result = await scene.world.result(handle)
    told = (result["outcome"], result["moved"], result["replicas_moved"], result["left"], result["not_moved"])
    assert told == ("evacuated", 2, 1, 0, [])
    assert (await scene.status(handle))["evacuation"]["moved"] == 2
    (moved,) = scene.rows(tables.replicas, share_id=scene.share("other")["id"])
    assert scene.operation(f"{handle.id}/{theirs['replica_id']}")["state"] == "succeeded"
    assert scene.one(tables.pools, id=scene.one(tables.instances, id=moved["id"])["pool_id"])["name"] == "a1"
    assert pool_of(scene, "home") == "a1"
    (stays,) = scene.rows(tables.replicas, share_id=scene.share("home")["id"])
    assert stays["id"] == mine["replica_id"]
    scene.operations += [row["id"] for row in scene.rows(tables.operations) if row["id"].startswith(handle.id)]
    await _gone(scene, "home", "other")


async def test_copies_that_can_go_nowhere_stay_each_with_its_reason(scene: Scene) -> None:
    """A replica whose share has the only other backend, and a stale copy that is kept for the operator."""
    await scene.create(type="twice", **A2)
    made = await scene.run(names.CREATE_REPLICA, share="home", backend="beta")
    result = await scene.run(names.EVACUATE_POOL, backend="beta", pool="b1")
    (item,) = result["not_moved"]
    assert (result["outcome"], result["left"], result["moved"], item["name"]) == ("incomplete", 1, 0, "home")
    assert (item["replica"], item["share_id"]) == (made["replica_id"], scene.share()["id"])
    assert "in the same backend 'alpha' has a copy of the share" in item["reason"]
    result = await scene.run(names.EVACUATE_POOL, backend="beta", pool="b1", same_domain=True)
    assert (result["outcome"], result["replicas_moved"], result["left"]) == ("evacuated", 1, 0)
    scene.operations += [row["id"] for row in scene.rows(tables.operations, project=scene.project)]
    await _gone(scene, "home")


async def _gone(scene: Scene, *shares: str) -> None:
    """The shares and what kept their replicas in step have ended."""
    await scene.purge(*shares)
    for row in scene.rows(tables.operations, project=scene.project, kind=names.SYNC_REPLICA):
        assert (await scene.world.client.get_workflow_handle(row["id"]).result())["replica_state"] == ""


async def test_shares_of_other_projects_leave_too_each_in_its_own(scene: Scene) -> None:
    """The evacuation is the caller's; the migrations belong to the projects of their shares."""
    await fill(scene, 1)
    other = Scene(scene.world, scene.world.project())
    await other.create("theirs", **A2)
    handle = await evacuate(scene)
    assert (await scene.world.result(handle))["moved"] == 2
    assert {row["project"] for row in children(scene, handle)} == {scene.project, other.project}
    assert pool_of(other, "theirs") != "a2"


async def test_a_backend_is_emptied_into_others_and_not_into_itself(scene: Scene) -> None:
    """No share goes from one of its pools to another one, drained or not."""
    await scene.create("one", backend="alpha", pool="a1")
    await scene.create("two", **A2)
    handle = await scene.start(names.EVACUATE_BACKEND, backend="alpha", drain=False, grace=0)
    result = await scene.world.result(handle)
    assert (result["outcome"], result["moved"], result["drained"]) == ("evacuated", 2, False)
    assert {backend_of(scene, "one"), backend_of(scene, "two")} == {"beta"}
    children(scene, handle)


async def test_migrations_of_an_evacuation_take_their_steps_behind_those_of_others(scene: Scene) -> None:
    """They have a queue of their own, of which a worker takes few steps at a time, and a lower priority for theirs."""
    await fill(scene, 1)
    handle = await evacuate(scene)
    assert (await scene.world.result(handle))["moved"] == 1
    (row,) = children(scene, handle)
    (own,) = (await handle.fetch_history()).events[:1]
    history = await scene.world.client.get_workflow_handle(row["id"]).fetch_history()
    begun = history.events[0].workflow_execution_started_event_attributes
    assert own.workflow_execution_started_event_attributes.task_queue.name == names.QUEUE
    assert (begun.task_queue.name, begun.priority.priority_key) == (
        names.EVACUATIONS_QUEUE,
        names.EVACUATIONS_PRIORITY,
    )


async def test_transactions_of_migrations_of_an_evacuation_wait_for_their_turn(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Theirs alone; and of all other steps, but not of the evacuation's, they take notice."""
    waited, noticed = set[str | None](), set[str | None]()
    turn, notice = Precedence.turn, Precedence.noticed

    async def waits(precedence: Precedence) -> None:
        waited.add(activity.info().workflow_id)
        await turn(precedence)

    def notices(precedence: Precedence) -> None:
        noticed.add(activity.info().workflow_id)
        notice(precedence)

    monkeypatch.setattr(Precedence, "turn", waits)
    monkeypatch.setattr(Precedence, "noticed", notices)
    await fill(scene, 2)
    handle = await evacuate(scene)
    assert (await scene.world.result(handle))["moved"] == 2
    own = {row["id"] for row in children(scene, handle)}
    assert waited == own
    assert not noticed & {handle.id, *own}
    created = await scene.start(names.CREATE_SHARE, name="another", size="1 GiB")
    await scene.world.result(created)
    assert created.id in noticed


async def test_no_more_move_at_once_than_asked(scene: Scene) -> None:
    """The others wait for a place; all wait for the command when the cutover is manual."""
    await fill(scene, 3)
    handle = await evacuate(scene, concurrency=2, cutover_when="manual")
    await caught_up(scene, handle, 2)
    assert len(children(scene, handle)) == 2
    status = (await scene.status(handle))["evacuation"]
    assert (len(status["running"]), status["left"]) == (2, 3)
    await handle.execute_update(names.CUTOVER, {})
    await caught_up(scene, handle, 3)
    await until(lambda: len([row for row in children(scene, handle) if row["ended_at"]]) == 2, seconds=20)
    await handle.signal(names.CUTOVER, {})
    assert (await scene.world.result(handle))["moved"] == 3


async def test_a_paused_evacuation_stands_still_and_goes_on_as_commanded(scene: Scene) -> None:
    """Nothing begins, what copies is paused; resume takes both up again."""
    await fill(scene, 2)
    handle = await evacuate(scene, concurrency=1, cutover_when="manual")
    await caught_up(scene, handle, 1)
    (child,) = children(scene, handle)
    mover = scene.world.client.get_workflow_handle(child["id"])
    assert "pausing" in await handle.execute_update(names.PAUSE, {})
    await scene.world.until(mover, "paused")
    assert (await scene.status(handle))["phase"] == "paused"
    with pytest.raises(WorkflowUpdateFailedError) as caught:
        await handle.execute_update(names.CUTOVER, {})
    assert "paused" in str(caught.value.cause)
    await handle.execute_update(names.RESUME, {})
    await scene.world.until(mover, "catching-up")
    await handle.execute_update(names.CUTOVER, {})
    await caught_up(scene, handle, 2)
    await until(lambda: len([row for row in children(scene, handle) if row["ended_at"]]) == 1, seconds=20)
    await handle.execute_update(names.CUTOVER, {})
    await scene.world.result(handle)


async def test_the_limit_of_all_is_divided_among_those_that_run(scene: Scene) -> None:
    """Each has its part; a change reaches those that run."""
    await fill(scene, 2)
    handle = await evacuate(scene, concurrency=2, bandwidth="40 MiB/s", cutover_when="manual")
    await caught_up(scene, handle, 2)
    parts = [row["begun"]["migration"]["memory"]["bandwidth"] for row in children(scene, handle)]
    assert parts == [20 * 2**20] * 2
    assert await handle.execute_update(names.SET_BANDWIDTH, {"bandwidth": "10 MiB/s"}) == "10 MiB/s in all"

    def told() -> bool:
        memories = [row["begun"]["migration"]["memory"] for row in children(scene, handle)]
        return [memory["bandwidth"] for memory in memories] == [5 * 2**20] * 2

    await until(told, seconds=20)
    assert (await scene.status(handle))["evacuation"]["bandwidth"] == 10 * 2**20
    await handle.execute_update(names.CUTOVER, {})
    await scene.world.result(handle)


@pytest.mark.parametrize("undrain", [False, True])
async def test_a_cancel_ends_migrations_before_their_switch_and_says_of_the_mark(scene: Scene, undrain: bool) -> None:
    """Shares stay where they are; the pool stays drained unless that was asked for otherwise."""
    await fill(scene, 2)
    handle = await evacuate(scene, cutover_when="manual", undrain_on_cancel=undrain)
    await caught_up(scene, handle, 2)
    await handle.cancel()
    await scene.cancelled(handle)
    assert {row["state"] for row in children(scene, handle)} == {"failed-clean"}
    assert [pool_of(scene, name) for name in ("s0", "s1")] == ["a2", "a2"]
    assert scene.one(tables.pools, name="a2")["drained"] is not undrain
    said = scene.operation(handle.id)["failure"]["message"]
    assert "0 shares moved" in said
    assert ("take new shares again" if undrain else "stay drained") in said


async def test_a_cancel_lets_a_migration_past_its_switch_end(scene: Scene) -> None:
    """It cannot be taken back; the evacuation waits for it."""
    await fill(scene, 1)
    handle = await evacuate(scene, grace=3600)
    await until(lambda: pool_of(scene, "s0") != "a2", seconds=20)
    (child,) = children(scene, handle)
    mover = scene.world.client.get_workflow_handle(child["id"])
    await scene.world.until(mover, "grace")
    await handle.cancel()
    await scene.noted(mover, "refused")
    await mover.signal(names.END_GRACE, {})
    await scene.cancelled(handle)
    assert "1 shares moved" in scene.operation(handle.id)["failure"]["message"]


async def test_what_cannot_be_moved_is_named_with_its_reason_and_the_others_leave(scene: Scene) -> None:
    """In the recycle bin, no pool fits; started again, an evacuation goes on with what is left."""
    await fill(scene, 2)
    await scene.create("huge", size="850 TiB", **A2)
    deletion = await scene.bin("s1")
    handle = await evacuate(scene, to_pool="b1", to_backend="beta")
    result = await scene.world.result(handle)
    assert (result["outcome"], result["moved"], result["left"]) == ("incomplete", 1, 2)
    reasons = {one["name"]: one["reason"] for one in result["not_moved"]}
    assert set(reasons) == {"huge", "s1"}
    assert "recycle bin" in reasons["s1"]
    assert "850 TiB" in reasons["huge"]
    status = (await scene.status(handle))["evacuation"]
    assert "huge" in {one["name"] for one in status["not_moved"]}
    children(scene, handle)
    await deletion.execute_update(names.RESTORE, {})
    await scene.world.result(deletion)
    again = await evacuate(scene)
    assert (await scene.world.result(again))["outcome"] == "evacuated"
    children(scene, again)


async def test_a_share_that_another_migration_takes_away_is_left_alone(scene: Scene) -> None:
    """It waits in line, and finds that the share has gone."""
    await fill(scene, 1)
    first = await scene.start(names.MIGRATE_SHARE, share="s0", to_pool="a1", grace=0)
    await scene.world.until(first, "catching-up")
    handle = await evacuate(scene)
    await until(lambda: any(row["waiting_for"] for row in children(scene, handle)), seconds=20)
    await first.execute_update(names.CUTOVER, {})
    result = await scene.world.result(handle)
    assert (result["outcome"], result["moved"]) == ("evacuated", 0)
    assert pool_of(scene, "s0") == "a1"
    (child,) = children(scene, handle)
    assert child["result"]["outcome"] == "elsewhere"


async def test_a_share_that_is_being_made_leaves_when_it_is_there(scene: Scene) -> None:
    """What was placed before the mark is not forgotten."""
    operation = scene.new_id()
    gate = Gate("backend.create_share.before_call", operation)
    making = await scene.start(names.CREATE_SHARE, operation=operation, name="late", size="1 GiB", **A2)
    await gate.reached()
    handle = await evacuate(scene)
    await until(lambda: children(scene, handle), seconds=20)
    gate.open()
    await scene.world.result(making)
    assert (await scene.world.result(handle))["moved"] == 1
    assert pool_of(scene, "late") != "a2"


async def test_a_dry_run_says_how_much_and_where_to_and_changes_nothing(scene: Scene) -> None:
    """Shares, bytes, and what placement says of the first ones."""
    await fill(scene, 2, size="2 GiB")
    await scene.create("odd", type="choosy", size="1 GiB", pool="a2")
    before = [(row["allocated_bytes"], row["drained"]) for row in scene.rows(tables.pools)]
    result = await scene.run(names.EVACUATE_POOL, **A2, to_pool="b1", dry_run=True)
    plan = result["plan"]
    assert (result["outcome"], plan["shares"], plan["bytes"], plan["in_recycle_bin"]) == ("planned", 3, 5 * 2**30, 0)
    places = {one["name"]: one for one in plan["first"]}
    assert (places["s0"]["destination"], places["s0"]["mode"]) == ("beta/b1", "driver")
    assert "media" in places["odd"]["refusal"]
    assert [(row["allocated_bytes"], row["drained"]) for row in scene.rows(tables.pools)] == before


async def test_one_that_was_ended_from_outside_goes_on_with_what_is_under_way(scene: Scene) -> None:
    """The reconciler starts it again; migrations that run are found and waited for, not begun a second time."""
    await fill(scene, 3)
    handle = await evacuate(scene, concurrency=2, cutover_when="manual")
    await caught_up(scene, handle, 2)
    await handle.terminate("by a test")
    await scene.world.run(names.RECONCILE_CLAIMS, ReconcileClaimsInput(grace=0))
    again = scene.world.client.get_workflow_handle(handle.id)
    await scene.world.until(again, "evacuating")
    await until_running(scene, again, 2)
    await again.execute_update(names.CUTOVER, {})
    await caught_up(scene, again, 3)
    await until(lambda: len([row for row in children(scene, handle) if row["ended_at"]]) == 2, seconds=30)
    await again.execute_update(names.CUTOVER, {})
    result = await scene.world.result(again)
    assert (result["outcome"], result["moved"]) == ("evacuated", 3)
    assert len({row["id"] for row in children(scene, handle)}) == 3


async def test_shares_whose_turn_is_still_to_come_wait_and_have_not_failed(scene: Scene) -> None:
    """From the first moment on, and in the words that people read; none is waiting once all have begun."""
    await fill(scene, 3)
    handle = await evacuate(scene, concurrency=1, cutover_when="manual")
    await until_running(scene, handle, 1)
    seen = (await scene.status(handle))["evacuation"]
    assert (seen["moved"], seen["failed"], seen["not_moved"]) == (0, 0, [])
    assert (len(seen["running"]), seen["waiting"], seen["left"]) == (1, 2, 3)
    assert "0 shares moved, 0 not, 1 on their way, 2 waiting, 3 still on" in await scene.details(handle)
    await handle.cancel()
    await scene.cancelled(handle)


async def test_its_commands_are_described_by_what_they_do_to_many_shares(scene: Scene) -> None:
    """As they are offered, and in the details, which have those that can be sent now."""
    await fill(scene, 1)
    handle = await evacuate(scene, cutover_when="manual")
    await until_running(scene, handle, 1)
    definition = (await scene.metadata(handle)).definition
    updates = {one.name: one.description for one in definition.update_definitions}
    signals = {one.name: one.description for one in definition.signal_definitions}
    for command, text in names.COMMANDS_TO_MANY.items():
        assert updates[command] == signals[command] == text
    details = await scene.details(handle)
    shown = (names.PAUSE, names.CUTOVER, names.SET_BANDWIDTH)
    assert [command for command in shown if names.COMMANDS_TO_MANY[command] not in details] == []
    await handle.cancel()
    await scene.cancelled(handle)


async def until_running(scene: Scene, handle: Handle, number: int) -> None:
    """So many are on their way by its own account."""
    async with asyncio.timeout(20):
        while len(((await scene.status(handle))["evacuation"] or {"running": []})["running"]) < number:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def test_it_goes_on_in_a_new_run_before_its_history_grows_too_long(scene: Scene) -> None:
    """What runs goes on meanwhile, and what was done is not forgotten."""
    await fill(scene, 2)
    handle = await evacuate(scene, concurrency=1, cutover_when="manual")
    await caught_up(scene, handle, 1)
    first = (await handle.describe()).run_id
    async with asyncio.timeout(60):
        while (await handle.describe()).run_id == first:
            await handle.signal(names.SET_BANDWIDTH, {"bandwidth": None})
            await handle.signal(names.SET_BANDWIDTH, {"bandwidth": "1 GiB/s"})
            await asyncio.sleep(0.05)
    await until_running(scene, handle, 1)
    await handle.execute_update(names.CUTOVER, {})
    await caught_up(scene, handle, 2)
    await until(lambda: len([row for row in children(scene, handle) if row["ended_at"]]) == 1, seconds=30)
    await handle.execute_update(names.CUTOVER, {})
    assert (await scene.world.result(handle))["moved"] == 2


async def test_a_migration_that_needs_an_operator_is_shown_with_its_reason(scene: Scene) -> None:
    """The evacuation says whose copy is stuck, and goes on when it is mended."""
    await fill(scene, 1)
    scene.world.array("beta").script.add(FaultKind.REJECT, verb="receive_snapshot", times=10_000)
    handle = await evacuate(scene, to_pool="b1", to_backend="beta", mode="driver")
    async with asyncio.timeout(40):
        while not await trouble(scene, handle):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    scene.world.array("beta").script.clear()
    assert (await scene.world.result(handle))["moved"] == 1
    children(scene, handle)


@pytest.mark.parametrize("moment", ["before_transaction", "before_commit", "after_commit"])
async def test_a_lost_look_is_repeated_and_no_share_is_moved_twice(scene: Scene, moment: str) -> None:
    """Whenever its worker dies, every share has one migration."""
    await fill(scene, 2)
    operation = scene.new_id()
    for _ in range(3):
        faults.arm(f"inventory.follow_evacuation.{moment}", faults.crash, operation=operation)
    result = await scene.world.result(await evacuate(scene, operation=operation, concurrency=1))
    assert (result["outcome"], result["moved"]) == ("evacuated", 2)
    assert len([row for row in scene.rows(tables.operations) if row["id"].startswith(f"{operation}/")]) == 2


async def test_where_a_share_is_does_not_count_for_its_own_spread(scene: Scene) -> None:
    """It may go to another pool of its zone: there are no more shares in that zone then."""
    await scene.create("wide", type="spread", **A2)
    result = await scene.world.result(await evacuate(scene, to_zone="west"))
    assert (result["outcome"], pool_of(scene, "wide")) == ("evacuated", "b1")


async def test_an_id_that_leaves_no_room_for_those_of_its_migrations_is_refused(scene: Scene) -> None:
    """Each migration has the evacuation's id with that of its share."""
    await scene.create("s0", **A2)
    operation = "e" * 240
    scene.operations.append(operation)
    with pytest.raises(Refused, match="at most 218") as caught:
        await scene.run(names.EVACUATE_POOL, operation=operation, **A2)
    assert caught.value.code == "InvalidInput"


async def trouble(scene: Scene, handle: Handle) -> list[str]:
    """What migrations need an operator for, by the evacuation's own account."""
    shown = (await scene.status(handle))["evacuation"] or {"running": []}
    return [one["trouble"] for one in shown["running"] if one["trouble"]]


REFUSALS: dict[str, tuple[dict[str, Any], str, str]] = {
    "of a pool that is not there": ({"pool": "zz"}, "NotFound", "zz"),
    "of a backend that is not there": ({"backend": "gamma"}, "NotFound", "gamma"),
    "into itself": ({"to_pool": "a2", "to_backend": "alpha"}, "InvalidInput", "alpha/a2 is to be emptied"),
    "to a pool that is not there": ({"to_pool": "zz"}, "NotFound", "zz"),
    "to a zone that is not there": ({"to_zone": "mars"}, "NotFound", "mars"),
    "with no share at once": ({"concurrency": 0}, "InvalidInput", "concurrency"),
    "with too many at once": ({"concurrency": 33}, "InvalidInput", "concurrency"),
    "with nonsense as bandwidth": ({"bandwidth": "5 MB/s"}, "InvalidInput", "MiB"),
    "in a window that is over": (
        {
            "cutover_when": "window",
            "window_from": "2020-01-01T00:00:00Z",
            "window_until": "2020-01-02T00:00:00Z",
        },
        "InvalidInput",
        "2020",
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
async def test_an_evacuation_that_cannot_be_is_refused_and_leaves_no_trace(scene: Scene, case: str) -> None:
    """Each with its code and the value; no pool is drained."""
    fields, code, text = REFUSALS[case]
    await scene.create("s0", **A2)
    with pytest.raises(Refused) as caught:
        await scene.run(names.EVACUATE_POOL, **{**A2, **fields})
    assert (caught.value.code, text in caught.value.text) == (code, True), caught.value.text
    assert not scene.rows(tables.pools, drained=True)


async def test_commands_at_the_wrong_time_are_refused_with_the_reason(scene: Scene) -> None:
    """Resume of what is not paused, a second pause."""
    await fill(scene, 1)
    handle = await evacuate(scene, cutover_when="manual")
    await caught_up(scene, handle, 1)
    with pytest.raises(WorkflowUpdateFailedError) as caught:
        await handle.execute_update(names.RESUME, {})
    assert "not paused" in str(caught.value.cause)
    await handle.execute_update(names.PAUSE, {})
    with pytest.raises(WorkflowUpdateFailedError) as caught:
        await handle.execute_update(names.PAUSE, {})
    assert "paused already" in str(caught.value.cause)
    await handle.execute_update(names.RESUME, {})
    await handle.execute_update(names.CUTOVER, {})
    await scene.world.result(handle)
    children(scene, handle)
