"""Migrations on the fake backend: what is promised while a share moves, and what is left when it does not."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio.client import WorkflowUpdateFailedError

from drivers.contract import ObjectRef
from drivers.fake import FaultKind
from inventory import tables
from shareflow import faults, names
from shareflow.errors import InvalidState
from tests.support.scenes import GIB, Gate, Handle, Scene, until
from tests.support.world import Refused

MODES = ("driver", "host")
TO_B1 = {"to_backend": "beta", "to_pool": "b1"}


def active(scene: Scene, name: str = "home") -> ObjectRef:
    """The address of the share's active instance."""
    return address(scene, scene.one(tables.instances, share_id=scene.share(name)["id"], role="active"))


def address(scene: Scene, row: Any) -> ObjectRef:
    """The address of an instance or of a copy of a snapshot."""
    return ObjectRef(scene.one(tables.pools, id=row["pool_id"])["name"], row["object"])


def backend_of(scene: Scene, name: str = "home") -> str:
    """The backend that the share is on."""
    row = scene.one(tables.instances, share_id=scene.share(name)["id"], role="active")
    return str(scene.one(tables.pools, id=row["pool_id"])["backend"])


def tree(scene: Scene, name: str = "home") -> dict[str, bytes]:
    """The share's files as its clients see them."""
    return scene.files(backend_of(scene, name)).tree(active(scene, name))


def write(scene: Scene, path: str, data: bytes, name: str = "home") -> None:
    """Write as a client does."""
    scene.files(backend_of(scene, name)).write(active(scene, name), path, data)


def snapshot_trees(scene: Scene) -> dict[str, dict[str, bytes]]:
    """The content of each snapshot of home where it is now."""
    found = {}
    for row in scene.rows(tables.snapshots, share_id=scene.share()["id"]):
        (copy,) = scene.rows(tables.snapshot_instances, snapshot_id=row["id"])
        backend = scene.one(tables.pools, id=copy["pool_id"])["backend"]
        found[row["name"]] = scene.files(backend).tree(address(scene, copy))
    return found


async def migrate(scene: Scene, **fields: Any) -> Handle:
    """Start a migration of home to b1."""
    request = {"share": "home", "grace": 0, "preserve_snapshots": True, **TO_B1, **fields}
    return await scene.start(names.MIGRATE_SHARE, **request)


async def caught_up(scene: Scene, handle: Handle, passes: int = 1) -> dict[str, Any]:
    """The status once so many passes are done and the migration rests."""
    async with asyncio.timeout(20):
        while True:
            status = await scene.status(handle)
            done = (status["migration"] or {}).get("passes") or [{"number": 0}]
            if status["phase"] == "catching-up" and done[-1]["number"] >= passes:
                return status
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("mode", MODES)
async def test_a_share_moves_with_its_snapshots_and_everything_written_before_the_cutover(
    scene: Scene, mode: str
) -> None:
    """Content, snapshots, size and audit are what they were; only the place differs, and nothing is left behind."""
    await scene.create(size="2 GiB")
    write(scene, "a", b"one")
    await scene.snapshot("s1")
    write(scene, "a", b"two")
    await scene.snapshot("s2")
    write(scene, "b", b"three")
    before = snapshot_trees(scene)
    handle = await migrate(scene, mode=mode)
    await caught_up(scene, handle)
    write(scene, "c", b"while it moves")
    assert await handle.execute_update(names.CUTOVER, {}) == "cutting over"
    result = await scene.world.result(handle)
    assert (result["outcome"], result["mode"]) == ("migrated", mode)
    assert (result["source"], result["destination"]) == ("alpha/a1", "beta/b1")
    assert backend_of(scene) == "beta"
    assert tree(scene) == {"a": b"two", "b": b"three", "c": b"while it moves"}
    assert snapshot_trees(scene) == before
    write(scene, "d", b"and is used")
    assert result["stopped_seconds"] > 0
    assert result["export_locations"]
    assert scene.share()["size"] == 2 * GIB


@pytest.mark.parametrize("mode", MODES)
async def test_a_cancelled_migration_leaves_the_share_as_it_was(scene: Scene, mode: str) -> None:
    """Nothing is left at the destination, nothing is reserved, and the share was writable all the time."""
    await scene.create()
    await scene.snapshot("s1")
    write(scene, "a", b"one")
    handle = await migrate(scene, mode=mode)
    await caught_up(scene, handle)
    write(scene, "b", b"two")
    await handle.cancel()
    await scene.cancelled(handle)
    assert backend_of(scene) == "alpha"
    assert tree(scene) == {"a": b"one", "b": b"two"}


async def test_the_command_to_cancel_ends_it_as_a_cancel_does(scene: Scene) -> None:
    """Whoever waits for the migration hears that it was cancelled."""
    await scene.create()
    handle = await migrate(scene)
    await caught_up(scene, handle)
    assert "cancelling" in await handle.execute_update(names.CANCEL_MIGRATION, {})
    with pytest.raises(Refused, match="cancelled on request") as caught:
        await scene.world.result(handle)
    assert caught.value.code == "OperationCancelled"


async def test_an_early_cutover_is_remembered_and_follows_the_first_copy(scene: Scene) -> None:
    """The operator need not wait for the copy; a second command is told so."""
    await scene.create()
    operation = scene.new_id()
    gate = Gate("mover.receive.before_call", operation)
    handle = await migrate(scene, operation=operation, mode="driver")
    await gate.reached()
    assert "remembered" in await handle.execute_update(names.CUTOVER, {})
    with pytest.raises(WorkflowUpdateFailedError) as caught:
        await handle.execute_update(names.CUTOVER, {})
    assert "commanded already" in str(caught.value.cause)
    gate.open()
    assert (await scene.world.result(handle))["outcome"] == "migrated"


@pytest.mark.parametrize("mode", MODES)
async def test_a_paused_copy_stands_still_until_it_is_resumed(scene: Scene, mode: str) -> None:
    """No pass is made while it is paused; the cutover is refused, a resume goes on."""
    await scene.create()
    handle = await migrate(scene, mode=mode)
    await caught_up(scene, handle)
    assert await handle.execute_update(names.PAUSE, {}) == "paused"
    assert await handle.execute_update(names.RESUME, {}) == "copying"
    assert await handle.execute_update(names.PAUSE, {}) == "paused"
    await scene.world.until(handle, "paused")
    with pytest.raises(WorkflowUpdateFailedError) as caught:
        await handle.execute_update(names.CUTOVER, {})
    assert "paused" in str(caught.value.cause)
    assert await handle.execute_update(names.RESUME, {}) == "copying"
    await scene.world.until(handle, "catching-up")
    await handle.signal(names.CUTOVER, {})
    assert (await scene.world.result(handle))["outcome"] == "migrated"


@pytest.mark.parametrize("mode", MODES)
async def test_what_happens_to_the_share_meanwhile_happens_on_both_sides(scene: Scene, mode: str) -> None:
    """Snapshot, resize, revert and deleted snapshot in phase 1 are carried out at once and carried over."""
    await scene.create(size="2 GiB")
    write(scene, "a", b"one")
    await scene.snapshot("old")
    write(scene, "a", b"two")
    handle = await migrate(scene, mode=mode)
    await caught_up(scene, handle)
    await scene.snapshot("new")
    write(scene, "a", b"three")
    await scene.run(names.RESIZE_SHARE, share="home", size="3 GiB")
    await scene.run(names.DELETE_SNAPSHOT, share="home", snapshot="old")
    await scene.run(names.REVERT_SHARE, share="home", snapshot="new")
    write(scene, "b", b"four")
    await handle.execute_update(names.CUTOVER, {})
    await scene.world.result(handle)
    assert tree(scene) == {"a": b"two", "b": b"four"}
    assert snapshot_trees(scene) == {"new": {"a": b"two"}}
    assert scene.share()["size"] == 3 * GIB


async def test_a_delete_cancels_the_migration_first(scene: Scene) -> None:
    """The share goes to the recycle bin from where it was; the migration is told and ends."""
    await scene.create()
    handle = await migrate(scene)
    await caught_up(scene, handle)
    deletion = await scene.bin()
    with pytest.raises(Refused, match="cancelled"):
        await scene.world.result(handle)
    await deletion.signal(names.PURGE_NOW, {})
    assert (await scene.world.result(deletion))["outcome"] == "purged"


async def test_a_second_migration_waits_for_the_first(scene: Scene) -> None:
    """It stands in line and starts from where the first one has brought the share."""
    await scene.create()
    first = await migrate(scene)
    await caught_up(scene, first)
    second = await scene.start(names.MIGRATE_SHARE, share="home", to_pool="a2", cutover_when="immediately", grace=0)
    await scene.world.until(second, "waiting")
    assert first.id in (await scene.status(second))["waiting_for"]
    await first.execute_update(names.CUTOVER, {})
    await scene.world.result(first)
    result = await scene.world.result(second)
    assert (result["source"], result["destination"]) == ("beta/b1", "alpha/a2")


@pytest.mark.parametrize("verb", ["receive_snapshot", "revert_share"])
async def test_a_cutover_that_fails_lets_writers_in_again(scene: Scene, verb: str) -> None:
    """A step that fails for good behind the fence ends the cutover, not the migration; the next one succeeds."""
    await scene.create()
    write(scene, "a", b"one")
    handle = await migrate(scene, mode="driver")
    await caught_up(scene, handle)
    step = {"receive_snapshot": "last delta", "revert_share": "take-1"}[verb]
    if verb == "revert_share":
        scene.world.array("beta").script.add(FaultKind.REJECT, verb=verb, operation=handle.id, step=step)
    else:
        gate = Gate("backend.fence.after_call", handle.id)
        await handle.execute_update(names.CUTOVER, {})
        await gate.reached()
        scene.world.array("beta").script.add(FaultKind.REJECT, verb=verb, operation=handle.id)
        gate.open()
    if verb == "revert_share":
        await handle.execute_update(names.CUTOVER, {})
    status = await scene.noted(handle, "the cutover failed")
    assert "writers go on" in status["note"]
    await caught_up(scene, handle)
    write(scene, "b", b"after the failure")
    await handle.execute_update(names.CUTOVER, {})
    assert (await scene.world.result(handle))["outcome"] == "migrated"
    assert tree(scene) == {"a": b"one", "b": b"after the failure"}


async def test_a_cutover_that_fails_in_the_line_leaves_it_and_holds_nobody_up(scene: Scene) -> None:
    """Who comes after it gets the share at once, and the next cutover succeeds."""
    await scene.create()
    handle = await migrate(scene)
    await caught_up(scene, handle)
    holder = scene.new_id()
    gate = Gate("backend.create_snapshot.before_call", holder)
    first = await scene.start(names.CREATE_SNAPSHOT, operation=holder, share="home", name="s1")
    await gate.reached()
    await handle.execute_update(names.CUTOVER, {})
    await until(lambda: scene.rows(tables.claims, operation=handle.id, resource_kind="share", granted=False))
    faults.arm("inventory.begin_cutover.before_transaction", _out_of_order, operation=handle.id)
    gate.open()
    await scene.world.result(first)
    await scene.noted(handle, "the cutover failed")
    assert not scene.rows(tables.claims, operation=handle.id, resource_kind="share")
    assert scene.operation(handle.id)["waiting_for"] is None
    await scene.run(names.RESIZE_SHARE, share="home", size="2 GiB")
    await handle.execute_update(names.CUTOVER, {})
    assert (await scene.world.result(handle))["outcome"] == "migrated"


def _out_of_order() -> None:
    raise InvalidState("the claim is out of order (simulated)")


async def test_a_fence_that_leaks_ends_the_cutover_and_names_who_writes(scene: Scene) -> None:
    """What could lose acknowledged writes is not switched; the operator may insist."""
    await scene.create()
    handle = await migrate(scene)
    await caught_up(scene, handle)
    text = "process 4711 (vim) has notes.txt open for writing"
    scene.world.array("alpha").script.add(FaultKind.WRONG_ANSWER, verb="find_writers", message=text, times=1000)
    await handle.execute_update(names.CUTOVER, {})
    status = await scene.noted(handle, "the cutover failed")
    assert "4711" in status["note"]
    scene.world.array("alpha").script.clear()
    await caught_up(scene, handle)
    write(scene, "a", b"still writable")
    await handle.execute_update(names.CUTOVER, {})
    await scene.world.result(handle)


async def test_a_cancel_behind_the_fence_lets_writers_in_again(scene: Scene) -> None:
    """Up to the switch everything is taken back, the fence first."""
    await scene.create()
    operation = scene.new_id()
    handle = await migrate(scene, operation=operation, mode="driver")
    await caught_up(scene, handle)
    gate = Gate("mover.verify.before_call", operation)
    await handle.execute_update(names.CUTOVER, {})
    await gate.reached()
    await handle.cancel()
    gate.open()
    await scene.cancelled(handle)
    write(scene, "a", b"writable")
    assert backend_of(scene) == "alpha"


async def test_a_destination_that_fails_for_long_needs_an_operator_and_harms_nobody(scene: Scene) -> None:
    """The pass is tried again and again, the share stays writable, and the migration goes on when it is mended."""
    await scene.create()
    handle = await migrate(scene, mode="driver")
    await caught_up(scene, handle)
    scene.world.array("beta").script.add(FaultKind.REJECT, verb="receive_snapshot", times=10_000)
    await scene.world.until(handle, "needs-operator", seconds=30)
    write(scene, "a", b"writable")
    assert names.CANCEL_MIGRATION in (await scene.status(handle))["commands"]
    scene.world.array("beta").script.clear()
    await handle.signal(names.RETRY_NOW, {})
    await scene.world.until(handle, "catching-up", seconds=30)
    await handle.execute_update(names.CUTOVER, {})
    await scene.world.result(handle)
    assert tree(scene) == {"a": b"writable"}


async def test_a_cutover_once_the_lag_is_small_needs_no_command(scene: Scene) -> None:
    """It cuts over by itself when a pass moves little."""
    await scene.create()
    write(scene, "a", b"one")
    result = await scene.run(
        names.MIGRATE_SHARE, share="home", **TO_B1, cutover_when="lag_below", lag_below="1 MiB", grace=0
    )
    assert result["outcome"] == "migrated"


async def test_a_cutover_waits_for_its_window(scene: Scene) -> None:
    """Before the window it only keeps catching up."""
    await scene.create()
    opens = datetime.now(UTC) + timedelta(seconds=3)
    handle = await migrate(
        scene,
        cutover_when="window",
        window_from=opens.isoformat(),
        window_until=(opens + timedelta(hours=1)).isoformat(),
    )
    await caught_up(scene, handle)
    await scene.world.result(handle)
    assert datetime.now(UTC) > opens


async def test_the_old_copy_is_kept_for_the_grace_and_the_share_is_free_meanwhile(scene: Scene) -> None:
    """After the switch a cancel is refused, others can have the share, and the grace can be ended."""
    await scene.create()
    handle = await migrate(scene, grace=3600, cutover_when="immediately")
    await scene.world.until(handle, "grace")
    with pytest.raises(WorkflowUpdateFailedError) as caught:
        await handle.execute_update(names.CANCEL_MIGRATION, {})
    assert "switched" in str(caught.value.cause)
    await scene.snapshot("after")
    await scene.run(names.RESIZE_SHARE, share="home", size="2 GiB")
    assert len(scene.rows(tables.instances, share_id=scene.share()["id"])) == 2
    await handle.execute_update(names.END_GRACE, {})
    assert (await scene.world.result(handle))["outcome"] == "migrated"


async def test_a_cancel_in_the_grace_changes_nothing_and_the_grace_can_still_be_ended(scene: Scene) -> None:
    """The share is at its destination already; what is refused says so."""
    await scene.create()
    handle = await migrate(scene, grace=3600, cutover_when="immediately")
    await scene.world.until(handle, "grace")
    await handle.cancel()
    await scene.noted(handle, "point of no return")
    with pytest.raises(WorkflowUpdateFailedError) as caught:
        await handle.execute_update(names.PAUSE, {})
    assert "switched" in str(caught.value.cause)
    details = await scene.details(handle)
    assert "The old copy on alpha/a1 is kept until" in details
    assert "Writers were stopped for" in details
    await handle.execute_update(names.END_GRACE, {})
    assert (await scene.world.result(handle))["outcome"] == "migrated"


async def test_the_details_of_a_failing_pass_show_it_once_with_commands_that_can_be_copied(scene: Scene) -> None:
    """However often it is tried; each command is code in a paragraph of its own, so that no dash is changed."""
    await scene.create()
    handle = await migrate(scene, mode="driver")
    await caught_up(scene, handle)
    scene.world.array("beta").script.add(FaultKind.REJECT, verb="receive_snapshot", times=10_000)
    await scene.world.until(handle, "needs-operator", seconds=30)
    await handle.signal(names.RETRY_NOW, {})
    await handle.signal(names.RETRY_NOW, {})
    details = await scene.details(handle)
    assert details.count("[!] pass ") + details.count("[>] pass ") <= 2, details
    for command in (await scene.status(handle))["commands"]:
        line = f"temporal workflow update execute --workflow-id '{handle.id}' --name {command} "
        assert f"\n\n`{line}" in details
    await handle.execute_update(names.CANCEL_MIGRATION, {})
    with pytest.raises(Refused):
        await scene.world.result(handle)


async def test_a_dry_run_tells_and_changes_nothing(scene: Scene) -> None:
    """Destination, mode, promises with their reasons; nothing is reserved or made."""
    await scene.create()
    allocated = {row["id"]: row["allocated_bytes"] for row in scene.rows(tables.pools)}
    result = await scene.run(names.MIGRATE_SHARE, share="home", **TO_B1, dry_run=True)
    assert result["outcome"] == "planned"
    assert result["plan"]["destination"] == "beta/b1"
    assert {promise["name"] for promise in result["plan"]["promises"]} == {
        "writable", "preserve_metadata", "preserve_snapshots", "nondisruptive",
    }  # fmt: skip
    assert {row["id"]: row["allocated_bytes"] for row in scene.rows(tables.pools)} == allocated


async def test_another_type_comes_with_its_limits(scene: Scene) -> None:
    """The share has the new type, and its quality of service is enforced at the destination."""
    await scene.create(pool="a2", backend="alpha", size="10 GiB")
    await scene.run(
        names.MIGRATE_SHARE, share="home", to_pool="a1", to_type="fast", cutover_when="immediately", grace=0
    )
    assert scene.share()["type"] == "fast"
    assert scene.limits()["max_iops"] == 1000


async def test_a_fresh_copy_is_not_copied_again_before_the_share_is_held(scene: Scene) -> None:
    """One pass, one while the share is held, and the last delta; late copies are ended by one step."""
    await scene.create()
    write(scene, "a", b"a")
    handle = await migrate(scene, mode="host", cutover_when="immediately")
    assert (await scene.world.result(handle))["passes"] == 2
    begun = [
        event.activity_task_scheduled_event_attributes.activity_type.name
        for event in (await handle.fetch_history()).events
        if event.HasField("activity_task_scheduled_event_attributes")
    ]
    assert (begun.count(names.MOVER_COPY), begun.count(names.MOVER_FORGET)) == (3, 1)
    assert tree(scene) == {"a": b"a"}


async def test_it_goes_on_in_a_new_run_before_its_history_grows_too_long(scene: Scene) -> None:
    """What was commanded and copied is not forgotten."""
    await scene.create()
    handle = await migrate(scene)
    first = (await handle.describe()).run_id
    number = 0
    async with asyncio.timeout(40):
        while (await handle.describe()).run_id == first:
            number += 1
            write(scene, "a", str(number).encode())
            await asyncio.sleep(0.1)
    await caught_up(scene, handle)
    await handle.execute_update(names.CUTOVER, {})
    assert (await scene.world.result(handle))["passes"] > 1
    assert tree(scene) == {"a": str(number).encode()}


REFUSALS: dict[str, tuple[dict[str, Any], str, str]] = {
    "to where it is": ({"to_pool": "a1"}, "InvalidInput", "already"),
    "to a pool that is not there": ({"to_pool": "zz"}, "NotFound", "zz"),
    "to a backend that is not there": ({"to_backend": "gamma"}, "NotFound", "gamma"),
    "to a type that is not there": ({"to_type": "gold-plated"}, "UnknownType", "gold-plated"),
    "to a type the pool cannot satisfy": ({"to_pool": "b1", "to_type": "ssd"}, "NoPoolFits", "ssd"),
    "without interruption": ({"to_pool": "b1", "nondisruptive": True}, "NotSupported", "nondisruptive"),
    "of a share that is not there": ({"share": "nobody"}, "NotFound", "nobody"),
    "in a window that is over": (
        {
            "cutover_when": "window",
            "window_from": "2020-01-01T00:00:00Z",
            "window_until": "2020-01-02T00:00:00Z",
        },
        "InvalidInput",
        "2020",
    ),
    "with nonsense as bandwidth": ({"bandwidth": "5 MB/s"}, "InvalidInput", "MiB"),
}


@pytest.mark.parametrize("case", REFUSALS)
async def test_a_migration_that_cannot_be_is_refused_and_leaves_no_trace(scene: Scene, case: str) -> None:
    """Each with its code, the value and the next step."""
    fields, code, text = REFUSALS[case]
    await scene.create()
    before = scene.rows(tables.pools)
    with pytest.raises(Refused) as caught:
        await scene.run(names.MIGRATE_SHARE, **{"share": "home", **fields})
    assert (caught.value.code, text in caught.value.text) == (code, True), caught.value.text
    assert [row["allocated_bytes"] for row in scene.rows(tables.pools)] == [row["allocated_bytes"] for row in before]


async def test_snapshots_that_would_be_lost_refuse_a_copy_by_the_host(scene: Scene) -> None:
    """They are carried when that is asked for; without the promise nothing starts."""
    await scene.create()
    await scene.snapshot("s1")
    with pytest.raises(Refused, match="preserve_snapshots"):
        await scene.run(names.MIGRATE_SHARE, share="home", **TO_B1, mode="host")


async def test_a_share_in_the_recycle_bin_cannot_be_moved(scene: Scene) -> None:
    """It is out of view, as for everything else."""
    await scene.create()
    deletion = await scene.bin()
    with pytest.raises(Refused) as caught:
        await scene.run(names.MIGRATE_SHARE, share="home", **TO_B1)
    assert caught.value.code == "NotFound"
    await deletion.signal(names.PURGE_NOW, {})
    await scene.world.result(deletion)


async def test_commands_at_the_wrong_time_are_refused_with_the_reason(scene: Scene) -> None:
    """Resume of what is not paused, end of a grace that has not begun, anything after the cancel."""
    await scene.create()
    operation = scene.new_id()
    handle = await migrate(scene, operation=operation)
    await caught_up(scene, handle)
    for name in (names.RESUME, names.END_GRACE):
        with pytest.raises(WorkflowUpdateFailedError) as caught:
            await handle.execute_update(name, {})
        assert "refused" in str(caught.value.cause)
    gate = Gate("backend.delete_share.before_call", operation)
    await handle.signal(names.CANCEL_MIGRATION, {})
    await gate.reached()
    with pytest.raises(WorkflowUpdateFailedError) as caught:
        await handle.execute_update(names.CUTOVER, {})
    assert "being cancelled" in str(caught.value.cause)
    gate.open()
    with pytest.raises(Refused):
        await scene.world.result(handle)


def _kept_limit(scene: Scene, handle: Handle) -> int | None:
    limit: int | None = scene.operation(handle.id)["begun"]["migration"]["memory"]["bandwidth"]
    return limit


async def test_the_limit_of_a_copy_is_changed_while_it_runs(scene: Scene) -> None:
    """It is shown at once and kept for the passes that follow."""
    await scene.create()
    handle = await migrate(scene, bandwidth="10 MiB/s")
    status = await caught_up(scene, handle)
    assert status["migration"]["bandwidth"] == 10 * 2**20
    assert await handle.execute_update(names.SET_BANDWIDTH, {"bandwidth": "20 MiB/s"}) == "20 MiB/s"
    assert (await scene.status(handle))["migration"]["bandwidth"] == 20 * 2**20
    assert await handle.execute_update(names.SET_BANDWIDTH, {"bandwidth": None}) == "no limit"
    await until(lambda: _kept_limit(scene, handle) is None, seconds=30)  # with the next pass
    await handle.execute_update(names.CUTOVER, {})
    await scene.world.result(handle)


@pytest.mark.parametrize("verb", ["revert_share", "data_path"])
async def test_a_backend_that_hangs_behind_the_fence_stops_writers_for_seconds_and_can_do_nothing_later(
    scene: Scene, verb: str
) -> None:
    """Writers are let in again within the limit; the call that hung goes on after the next cutover, and is fenced."""
    await scene.create()
    write(scene, "a", b"one")
    operation = scene.new_id()
    handle = await migrate(scene, operation=operation, mode="driver")
    await caught_up(scene, handle)
    gate = Gate("backend.fence.after_call", operation)
    await handle.execute_update(names.CUTOVER, {})
    await gate.reached()
    script = scene.world.array("beta").script
    script.add(FaultKind.HANG, verb=verb, times=2, before=9.0)
    gate.open()
    await scene.noted(handle, "the cutover failed", seconds=15)
    write(scene, "a", b"two")
    script.clear()
    await caught_up(scene, handle)
    await handle.execute_update(names.CUTOVER, {})
    await scene.world.result(handle)
    assert tree(scene) == {"a": b"two"}
    write(scene, "a", b"three")
    await asyncio.sleep(5)  # what hung has gone on by now
    assert tree(scene) == {"a": b"three"}
