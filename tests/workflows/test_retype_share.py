"""Retypes on the fake backend: in place where the pool satisfies the new type, else by a migration that says why."""

from __future__ import annotations

from typing import Any

import pytest

from drivers.fake import FaultKind
from inventory import tables
from shareflow import names
from shareflow.contracts.reads import OperationRef, PlacementView
from tests.support.scenes import GIB, Handle, Scene
from tests.support.world import Refused
from tests.workflows.test_migrate_share import backend_of, caught_up, tree, write


async def retype(scene: Scene, kind: str, **fields: Any) -> dict[str, Any]:
    """Give home another type; what has to move does so at once."""
    return await scene.run(
        names.RETYPE_SHARE, share="home", type=kind, **{"cutover_when": "immediately", "grace": 0, **fields}
    )


def version(scene: Scene, kind: str) -> str:
    """The current version of a type."""
    return str(scene.one(tables.share_types, name=kind, current=True)["version"])


async def test_a_pool_that_satisfies_the_new_type_keeps_the_share(scene: Scene) -> None:
    """Type, version, limits and promised floors are those of the new type; nothing was copied."""
    await scene.create(size="10 GiB")
    before = scene.ref(scene.share()["id"])
    pool = scene.one(tables.pools, name="a1")
    result = await retype(scene, "fast")
    assert (result["outcome"], result["mode"]) == ("in_place", "in_place")
    assert result["source"] == result["destination"] == "alpha/a1"
    assert result["export_locations"]
    share = scene.share()
    assert (share["type"], share["type_version"], share["qos_class"]) == ("fast", version(scene, "fast"), "gold")
    assert scene.limits()["max_iops"] == 1000
    assert scene.ref(share["id"]) == before
    after = scene.one(tables.pools, name="a1")
    assert after["iops_promised"] == pool["iops_promised"] + 100
    assert after["allocated_bytes"] == pool["allocated_bytes"]


async def test_a_type_without_a_class_takes_limits_and_floors_away(scene: Scene) -> None:
    """What the pool had promised is free again."""
    promised = scene.one(tables.pools, name="a1")["iops_promised"]
    await scene.create(size="10 GiB", type="fast", pool="a1")
    assert (await retype(scene, "standard"))["outcome"] == "in_place"
    assert scene.limits() == {}
    assert scene.one(tables.pools, name="a1")["iops_promised"] == promised


async def test_a_pool_that_fails_a_rule_of_the_new_type_gives_the_share_away(scene: Scene) -> None:
    """It migrates as MigrateShare does, and says which rule its pool fails."""
    await scene.create(backend="alpha", pool="a2")
    write(scene, "a", b"one")
    handle = await scene.start(names.RETYPE_SHARE, share="home", type="ssd", grace=0)
    status = await caught_up(scene, handle)
    assert "alpha/a2 does not satisfy type 'ssd': media == ssd" in status["note"]
    await handle.execute_update(names.CUTOVER, {})
    result = await scene.world.result(handle)
    assert (result["outcome"], result["source"], result["destination"]) == ("migrated", "alpha/a2", "alpha/a1")
    assert (scene.share()["type"], scene.share()["type_version"]) == ("ssd", version(scene, "ssd"))
    assert tree(scene) == {"a": b"one"}


async def test_a_dry_run_says_which_of_the_two_it_would_be_and_changes_nothing(scene: Scene) -> None:
    """In place with all promises kept, or a plan with the rule that the present pool fails."""
    await scene.create(backend="alpha", pool="a2")
    pools = [(row["allocated_bytes"], row["iops_promised"]) for row in scene.rows(tables.pools)]
    stays = await retype(scene, "plain", dry_run=True, nondisruptive=True)
    assert (stays["outcome"], stays["plan"]["mode"]) == ("planned", "in_place")
    assert stays["plan"]["placement"].startswith("in_place: alpha/a2")
    assert all(promise["holds"] for promise in stays["plan"]["promises"])
    moves = await retype(scene, "ssd", dry_run=True)
    assert (moves["outcome"], moves["plan"]["destination"]) == ("planned", "alpha/a1")
    assert "media == ssd" in moves["plan"]["reason"]
    assert scene.share()["type"] == "standard"
    assert [(row["allocated_bytes"], row["iops_promised"]) for row in scene.rows(tables.pools)] == pools


async def test_the_share_itself_needs_no_room_in_the_pool_where_it_is(scene: Scene) -> None:
    """A share that fills most of its pool stays there, and its own floors are not asked for twice."""
    await scene.create(size=600 * 1024 * GIB, backend="alpha", pool="a2")
    result = await retype(scene, "plain")
    assert result["outcome"] == "in_place"
    query = OperationRef(project=scene.project, operation=result["operation"])
    told = await scene.world.read(names.EXPLAIN_OPERATION, query, PlacementView)
    assert [pool["kept"] for pool in told.decision["verdicts"] if pool["name"] == "a2"] == [True]
    await scene.purge("home")
    await scene.create(size="60 GiB", type="fast", pool="a2")  # 600 of 1000 IOPS
    assert (await retype(scene, "fast"))["outcome"] == "in_place"


async def test_a_drained_pool_keeps_what_it_has(scene: Scene) -> None:
    """Nothing new comes to it by a retype in place."""
    await scene.create()
    await scene.run(names.DRAIN_POOL, backend="alpha", pool="a1")
    try:
        assert (await retype(scene, "plain"))["outcome"] == "in_place"
    finally:
        await scene.run(names.DRAIN_POOL, backend="alpha", pool="a1", drained=False)


async def test_limits_that_are_refused_leave_the_share_as_it_was(scene: Scene) -> None:
    """Type, class and what is enforced are those of before."""
    await scene.create()
    await scene.run(names.SET_SHARE_QOS, share="home", qos="silver")
    operation = scene.new_id()
    scene.world.array().script.add(FaultKind.REJECT, verb="set_qos", operation=operation, times=1)
    with pytest.raises(Refused):
        await scene.run(names.RETYPE_SHARE, operation=operation, share="home", type="fast")
    share = scene.share()
    assert (share["type"], share["qos_class"], share["status"]) == ("standard", "silver", "available")
    assert scene.limits()["max_iops"] == 1234


async def test_it_waits_until_a_migration_has_ended(scene: Scene) -> None:
    """The type is given where the share is then."""
    await scene.create()
    moving: Handle = await scene.start(names.MIGRATE_SHARE, share="home", to_pool="b1", grace=0)
    await caught_up(scene, moving)
    waiting = await scene.start(names.RETYPE_SHARE, share="home", type="plain")
    await scene.world.until(waiting, "waiting")
    await moving.execute_update(names.CUTOVER, {})
    await scene.world.result(moving)
    assert (await scene.world.result(waiting))["source"] == "beta/b1"
    assert backend_of(scene) == "beta"


REFUSALS: dict[str, tuple[dict[str, Any], str, str]] = {
    "to a type that is not there": ({"type": "gold-plated"}, "UnknownType", "gold-plated"),
    "to a type that no pool satisfies": ({"type": "never"}, "NoPoolFits", "tape"),
    "of a share that is not there": ({"share": "nobody", "type": "ssd"}, "NotFound", "nobody"),
    "without interruption where it has to move": (
        {"type": "ssd", "nondisruptive": True}, "NotSupported", "nondisruptive",
    ),
    "without a type": ({}, "InvalidInput", "type"),
    "to a type that allows no snapshots": ({"type": "plain"}, "NotSupported", "allows no snapshots"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSALS)
async def test_a_retype_that_cannot_be_is_refused_and_leaves_no_trace(scene: Scene, case: str) -> None:
    """Each with its code and the value; the share keeps its type."""
    fields, code, text = REFUSALS[case]
    await scene.create(backend="alpha", pool="a2")
    await scene.snapshot()
    with pytest.raises(Refused) as caught:
        await scene.run(names.RETYPE_SHARE, **{"share": "home", **fields})
    assert (caught.value.code, text in caught.value.text) == (code, True), caught.value.text
    assert scene.share()["type"] == "standard"
