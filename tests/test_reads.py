"""Reads are standalone activities: right answers, inside a project, and clear errors at once for bad questions."""

from __future__ import annotations

import time
import uuid
from datetime import timedelta
from typing import Any

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.client import ActivityFailureError
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

from shareflow import names
from shareflow.contracts import reads
from shareflow.contracts.reads import Page
from tests.support.scenes import GIB, Scene
from tests.support.world import FAKE_SPECS, Refused, World

SECONDS = 2.0


async def _ask(world: World, name: str, *args: Any) -> Any:
    """Ask as the stock command line does, which tries again for as long as it may."""
    return await world.client.execute_activity(
        name,
        args=args,
        id=f"read-{uuid.uuid4()}",
        task_queue=names.QUEUE,
        start_to_close_timeout=timedelta(seconds=5),
        schedule_to_close_timeout=timedelta(seconds=10),
    )


async def _refused(world: World, name: str, *args: Any) -> ApplicationError:
    """The error of a bad question; it must come at once and not after retries."""
    before = time.monotonic()
    with pytest.raises(ActivityFailureError) as refused:
        await _ask(world, name, *args)
    assert time.monotonic() - before < SECONDS, "it was tried again"
    cause = refused.value.cause
    assert isinstance(cause, ApplicationError)
    assert cause.non_retryable
    assert cause.message.isprintable()
    return cause


BAD: dict[str, tuple[str, list[Any], str]] = {
    "malformed JSON": (names.LIST_SHARES, [RawValue(Payload(metadata={"encoding": b"json/plain"}, data=b"{"))], "JSON"),
    "bytes": (names.LIST_SHARES, [b"\x00"], "not JSON"),
    "nothing at all": (names.GET_SHARE, [None], "there is no input"),
    "no input": (names.GET_SHARE, [], "takes one input object, 0 were given"),
    "two inputs": (names.GET_SHARE, [{"share": "a"}, {}], "takes one input object, 2 were given"),
    "a list": (names.LIST_OPERATIONS, [[1]], "should be an object"),
    "unknown field": (names.LIST_SHARES, [{"nmae": "x"}], "nmae: unknown field"),
    "limit zero": (names.LIST_SHARES, [{"limit": 0}], "limit: 0 is refused"),
    "limit too large": (names.LIST_SHARES, [{"limit": 1001}], "limit: 1001 is refused"),
    "limit in words": (names.LIST_SHARES, [{"limit": "ten"}], "limit: 'ten' is refused"),
    "unknown sort": (names.LIST_SHARES, [{"sort": "colour"}], "sort: 'colour' is not a field to sort by"),
    "sort by injection": (names.LIST_SHARES, [{"sort": "name; DROP TABLE shares"}], "sort: "),
    "unknown status": (names.LIST_SHARES, [{"status": "lost"}], "status: 'lost' is refused"),
    "broken position": (names.LIST_SHARES, [{"after": "!!!"}], "after: "),
    "position of another list": (names.LIST_SHARES, [{"after": "WzEsMiwzXQ=="}], "after: "),
    "unknown share": (names.GET_SHARE, [{"share": "nothing"}], "there is no share 'nothing'"),
    "unknown operation": (names.GET_OPERATION, [{"operation": "op-0"}], "there is no operation 'op-0'"),
    "unknown pool": (names.EXPLAIN_PLACEMENT, [{"size": 1, "pool": "nowhere"}], "there is no pool 'nowhere'"),
    "unknown type": (names.EXPLAIN_PLACEMENT, [{"size": 1, "type": "gold"}], "there is no share type 'gold'"),
    "misspelt type": (names.EXPLAIN_PLACEMENT, [{"size": 1, "type": "standrad"}], "did you mean 'standard'? types: "),
    "size zero": (names.EXPLAIN_PLACEMENT, [{"size": 0}], "size: 0 is refused"),
    "unknown read": ("ListShare", [{}], "did you mean ListShares?"),
}


@pytest.mark.parametrize("case", BAD)
async def test_bad_question_fails_at_once_with_code_and_reason(world: World, case: str) -> None:
    """It is not tried again, and the sender reads what was wrong and what is right."""
    name, args, expected = BAD[case]
    cause = await _refused(world, name, *args)
    assert cause.message.startswith("SF1") or cause.message.startswith("SF2")
    assert expected in cause.message


@pytest.mark.parametrize("name", names.READS)
async def test_every_read_refuses_no_input_and_unknown_fields(world: World, name: str) -> None:
    """All reads go through the same door."""
    assert "takes one input object" in (await _refused(world, name)).message
    assert "unknown field" in (await _refused(world, name, {"colour": "red"})).message


async def test_share_of_another_project_gets_the_same_answer_as_an_unknown_one(world: World) -> None:
    """Not by name, not by id, not in the bin; nor its operations, snapshots and audit."""
    theirs = Scene(world, world.project())
    share = await theirs.create("secret")
    snapshot = await theirs.snapshot("s1", "secret")
    mine, unknown = world.project(), str(uuid.uuid4())
    questions: list[tuple[str, dict[str, Any], str]] = [
        (names.GET_SHARE, {"share": share["share_id"]}, "share"),
        (names.GET_SHARE, {"share": share["share_id"], "deleted": True}, "share"),
        (names.GET_SHARE, {"share": "secret"}, "share"),
        (names.GET_SNAPSHOT, {"share": share["share_id"], "snapshot": snapshot["snapshot_id"]}, "share"),
        (names.LIST_SNAPSHOTS, {"share": share["share_id"]}, "share"),
        (names.LIST_OPERATIONS, {"share": share["share_id"]}, "share"),
        (names.LIST_AUDIT, {"resource": share["share_id"]}, "resource"),
        (names.GET_OPERATION, {"operation": share["operation"]}, "operation"),
    ]
    for name, fields, key in questions:
        known = await _refused(world, name, {"project": mine, **fields})
        other = await _refused(world, name, {"project": mine, **fields, key: unknown})
        assert known.message.replace(fields[key], "X") == other.message.replace(unknown, "X"), name
    for name in (names.LIST_SHARES, names.LIST_SNAPSHOTS, names.LIST_OPERATIONS, names.LIST_AUDIT):
        assert (await _ask(world, name, {"project": mine}))["items"] == []
    await theirs.purge("secret")


async def test_lists_are_filtered_sorted_and_paged(world: World) -> None:
    """Every row once, in the order asked for, however small the pages."""
    scene = Scene(world, world.project())
    for number in range(7):
        await scene.create(f"share-{number}", (number % 3 + 1) * GIB)
    for sort, descending in (("name", False), ("size", True), ("created_at", True), ("status", False)):
        seen: list[reads.ShareView] = []
        query = reads.ShareQuery(project=scene.project, limit=2, sort=sort, descending=descending)
        while True:
            page = await world.read(names.LIST_SHARES, query, Page[reads.ShareView])
            seen += page.items
            if not page.next:
                break
            query = query.model_copy(update={"after": page.next})
        assert len({share.id for share in seen}) == len(seen) == 7
        values = [getattr(share, sort) for share in seen]
        assert values == sorted(values, reverse=descending)
    chosen = await _ask(world, names.LIST_SHARES, {"project": scene.project, "name_prefix": "share-1", "pool": "a1"})
    assert [share["name"] for share in chosen["items"]] == ["share-1"]
    none = await _ask(world, names.LIST_SHARES, {"project": scene.project, "backend": "beta"})
    assert none["items"] == []
    await scene.purge(*(f"share-{number}" for number in range(7)))


async def test_operation_is_read_with_request_result_and_placement(world: World) -> None:
    """What ``op show`` needs, for operations that succeeded and that failed."""
    scene = Scene(world, world.project())
    share = await scene.create(by="ann", reason="new team")
    view = await world.read(
        names.GET_OPERATION,
        reads.OperationRef(project=scene.project, operation=share["operation"]),
        reads.OperationView,
    )
    assert (view.kind, view.state.value, view.by, view.reason) == (names.CREATE_SHARE, "succeeded", "ann", "new team")
    assert view.result == share
    assert view.placement is not None
    assert view.placement["chosen"]["name"] == "a1"
    with pytest.raises(Refused):
        await scene.run(names.RESIZE_SHARE, share="home", size="1023.5 PiB")
    failed = await _ask(world, names.LIST_OPERATIONS, {"project": scene.project, "state": "failed-clean"})
    assert [row["failure"]["type"] for row in failed["items"]] == ["NoPoolFits"]
    await scene.purge("home")


async def test_placement_is_explained_without_reserving(world: World) -> None:
    """The verdict on every pool, for what fits and for what fits nowhere."""
    project = world.project()
    fits = await _ask(world, names.EXPLAIN_PLACEMENT, {"project": project, "size": "1 GiB", "type": "ssd"})
    assert fits["chosen"]
    assert len(fits["decision"]["verdicts"]) == 3
    nowhere = await _ask(world, names.EXPLAIN_PLACEMENT, {"project": project, "size": "1000 PiB"})
    assert nowhere["chosen"] == ""
    assert "no pool fits" in nowhere["summary"]


async def test_quota_pools_and_types_are_shown(world: World) -> None:
    """Also for a project that has nothing yet."""
    quota = await _ask(world, names.GET_QUOTA, {"project": world.project()})
    assert (quota["shares_used"], quota["bytes_used"], quota["snapshots_used"]) == (0, 0, 0)
    pools = await _ask(world, names.LIST_POOLS, {})
    assert sorted(pool["name"] for pool in pools["items"]) == ["a1", "a2", "b1"]
    types = await _ask(world, names.LIST_SHARE_TYPES, {})
    assert [row["name"] for row in types["items"]] == sorted(
        doc["name"] for doc in FAKE_SPECS if doc["kind"] == "ShareType"
    )
    classes = await _ask(world, names.LIST_QOS_CLASSES, {})
    assert [row["name"] for row in classes["items"]] == ["by-use", "firm", "gold", "silver", "tiny", "wish"]
    assert classes["items"][2]["document"]["max_iops_per_gib"] == "100"
    budgets = {pool["name"]: (pool["iops_budget"], pool["throughput_budget"]) for pool in pools["items"]}
    assert budgets == {"a1": (10_000, 2**30), "a2": (1000, None), "b1": (None, None)}


async def test_placement_of_a_type_with_a_class_says_what_each_pool_makes_of_it(world: World) -> None:
    """Keys and floors are rules like any other."""
    query = {"project": world.project(), "size": "200 GiB", "type": "fast"}
    found = await _ask(world, names.EXPLAIN_PLACEMENT, query)
    assert found["decision"]["request"]["qos"] == "gold"
    assert "`min_iops`: the pool declares no budget of iops" in found["summary"]
    rules = {verdict["name"]: verdict["rules"] for verdict in found["decision"]["verdicts"]}
    assert [rule["ok"] for rule in rules["a1"] if rule["kind"] == "qos"] == [True, True]
    (failed,) = (rule for rule in rules["a2"] if not rule["ok"])
    assert (failed["rule"], failed["right"]) == ("floors of iops <= budget", "1000 IOPS")
