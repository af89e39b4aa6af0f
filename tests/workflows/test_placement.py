"""Placement on a running system: rules, preferences, spread, affinity, and decisions that are worked out again."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import func, select
from temporalio.client import ActivityFailureError
from temporalio.exceptions import ApplicationError

from activities import placement
from inventory import tables
from shareflow import names
from shareflow.contracts.reads import OperationRef, PlacementView
from tests.support.scenes import GIB, Scene
from tests.support.world import Refused


async def _again(scene: Scene, operation: str) -> PlacementView:
    """The decision of an operation, worked out again."""
    query = OperationRef(project=scene.project, operation=operation)
    return await scene.world.read(names.EXPLAIN_OPERATION, query, PlacementView)


def _of(decision: dict[str, Any], pool: str) -> dict[str, Any]:
    (found,) = [verdict for verdict in decision["verdicts"] if verdict["name"] == pool]
    return dict(found)


async def test_share_goes_where_the_preferences_of_its_type_are(scene: Scene) -> None:
    """Of the pools that satisfy the rules the one with the highest sum of weights is taken, not the emptiest."""
    made = await scene.create(type="choosy")
    assert (made["backend"], made["pool"]) == ("alpha", "a2")
    placement = scene.operation(made["operation"])["placement"]
    chosen = placement["chosen"]
    assert [score["weight"] for score in chosen["scores"]] == [100, 10]
    assert chosen["score"] == 100
    assert [near["name"] for near in placement["nearest"]] == ["b1"], "only one pool satisfies nothing of the rule"


async def test_rule_that_is_only_watched_is_recorded_and_drops_nobody(scene: Scene) -> None:
    """The verdict on each pool is there to be looked at before the rule bites."""
    made = await scene.create(type="choosy")
    view = await _again(scene, made["operation"])
    watched = [rule for rule in _of(view.decision, "a2")["rules"] if rule.get("enforced") is False]
    assert [(rule["rule"], rule["ok"]) for rule in watched] == [('pool.zone == "moon"', False)]
    assert watched[0]["reason"].startswith("the moon is coming: ")


async def test_no_pool_fits_names_what_each_pool_has_instead(scene: Scene) -> None:
    """The refusal says which comparison failed where, and leaves nothing."""
    with pytest.raises(Refused) as refused:
        await scene.create(type="never")
    assert refused.value.code == "NoPoolFits"
    assert '3 pools fail `pool.media == "tape"`: they have ssd or hdd' in refused.value.text
    assert not scene.rows(tables.shares, project=scene.project)


async def test_details_in_the_web_ui_say_why_the_pool_was_chosen(scene: Scene) -> None:
    """The choice, and how many pools were dropped for which reason."""
    handle = await scene.start(names.CREATE_SHARE, name="home", size="1 GiB", type="ssd")
    await scene.world.result(handle)
    details = await scene.details(handle)
    assert "Placement: alpha/a1 is the best of 1 pool that fits; 2 pools fail 'media == ssd': they have hdd" in details


async def test_shares_of_a_spread_type_take_turns_between_the_zones(scene: Scene) -> None:
    """No zone gets two more than another one; other projects and other types do not count."""
    await scene.create("other", zone="east")
    made = [await scene.create(f"s{number}", type="spread") for number in range(4)]
    zones = [scene.one(tables.pools, backend=one["backend"], name=one["pool"])["zone"] for one in made]
    assert sorted(zones[:2]) == sorted(zones[2:]) == ["east", "west"]


async def test_share_is_near_to_or_apart_from_the_shares_that_its_request_names(scene: Scene) -> None:
    """By pool, backend or zone; a share that the project does not have is not found, with the field."""
    await scene.create("db", backend="beta", pool="b1")
    near = await scene.create("log", type="standard", affinity=["db"])
    assert near["pool"] == "b1"
    by_zone = await scene.create("far", type="standard", anti_affinity=["db"], affinity_by="zone")
    assert by_zone["pool"] == "a1"
    with pytest.raises(Refused) as refused:
        await scene.create("x", type="standard", affinity=["db"], anti_affinity=["log"])
    assert "1 pool fails `pool is none of log`: it has beta/b1" in refused.value.text
    with pytest.raises(Refused) as refused:
        await scene.create("x", type="standard", affinity=["nobody"])
    assert (refused.value.code, "affinity" in refused.value.text) == ("NotFound", True)


async def test_decision_is_worked_out_again_as_it_was_whatever_has_happened_since(scene: Scene) -> None:
    """Pools fill up and shares go; what an operation was decided on stays true for it."""
    made = await scene.create("first", type="spread")
    before = await _again(scene, made["operation"])
    assert before.chosen == scene.one(tables.pools, backend=made["backend"], name=made["pool"])["id"]
    kept = scene.operation(made["operation"])["placement"]
    assert before.summary == kept["text"]
    await scene.create("second", size=100 * GIB, backend=made["backend"], pool=made["pool"])
    third = await scene.create("third", type="spread")
    await scene.purge("second", "first")
    assert (await _again(scene, made["operation"])).decision == before.decision
    assert (await _again(scene, third["operation"])).decision != before.decision
    verdict = next(v for v in before.decision["verdicts"] if v["pool"] == before.chosen)
    assert {key: verdict[key] for key in ("kept", "free_after", "reason")} == {
        key: kept["chosen"][key] for key in ("kept", "free_after", "reason")
    }


async def test_operation_that_placed_nothing_has_no_decision(scene: Scene) -> None:
    """And neither has one of another project."""
    made = await scene.create()
    snapshot = await scene.snapshot()
    for operation, project in ((snapshot["operation"], scene.project), (made["operation"], "another")):
        query = OperationRef(project=project, operation=operation)
        with pytest.raises(ActivityFailureError) as refused:
            await scene.world.read(names.EXPLAIN_OPERATION, query, PlacementView)
        assert isinstance(refused.value.cause, ApplicationError)
        assert refused.value.cause.type == "NotFound"


async def test_pools_are_read_when_they_change_and_not_for_each_request(scene: Scene) -> None:
    """The picture is brought up to date by what changed; what no decision has looked at is not kept."""
    with scene.world.database.read() as connection:
        kept = connection.execute(select(func.count()).select_from(tables.pool_history)).scalar_one()
    await scene.create("one")
    await scene.run(names.RESIZE_SHARE, share="one", size=2 * GIB)
    await scene.run(names.RESIZE_SHARE, share="one", size=3 * GIB)
    with scene.world.database.read() as connection:
        now = connection.execute(select(func.count()).select_from(tables.pool_history)).scalar_one()
    assert now - kept == 1, "one decision, so one row as it was then; the resizes looked at no pool"


async def test_what_was_reserved_is_kept_with_the_decision(scene: Scene) -> None:
    """The last step of a placement is data too: where, how much, and what was promised."""
    operation = scene.new_id()
    await scene.create(operation=operation, size="10 GiB", type="fast")
    kept = scene.operation(operation)["placement"]["reservation"]
    share = scene.one(tables.instances, share_id=scene.share()["id"])
    pool = scene.one(tables.pools, id=share["pool_id"])
    assert kept == {
        "pool": f"{pool['backend']}/{pool['name']}", "bytes": 10 * 2**30, "iops": 100, "throughput": 0, "refused": [],
    }  # fmt: skip
    await scene.purge("home")


async def test_a_refused_decision_is_worked_out_again_after_its_pools_have_changed(scene: Scene) -> None:
    """Its transaction was rolled back; what it looked at is kept all the same."""
    operation = scene.new_id()
    with pytest.raises(Refused):
        await scene.create(operation=operation, size="1023 TiB", pool="b1", backend="beta")
    await scene.create("other", size="1 TiB", pool="b1", backend="beta")
    kept = scene.operation(operation)["placement"]
    with scene.world.database.read() as connection:
        again = placement.decide_again(connection, kept)
    assert again.summary()["text"] == kept["text"]
    await scene.purge("other")
