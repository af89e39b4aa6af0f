"""Quality of service of shares: given, changed, taken away, recomputed, rounded, refused, undone."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import insert, update

from drivers.contract import Call
from drivers.fake import FaultKind
from inventory import tables
from shareflow import faults, names
from shareflow.contracts import reads
from shareflow.contracts.qos import QosView, Verdict
from shareflow.contracts.reads import Page
from tests.support.scenes import GIB, Gate, Scene
from tests.support.world import Refused

MIB = 2**20
GOLD = {"max_iops": 100, "max_throughput": 100 * MIB, "min_iops": 10}
SILVER = {"max_iops": 1234, "max_throughput": 50 * MIB}


async def _set(scene: Scene, qos: str | None, share: str = "home", **fields: Any) -> dict[str, Any]:
    return await scene.run(names.SET_SHARE_QOS, share=share, qos=qos, **fields)


async def _refused(scene: Scene, kind: str = names.SET_SHARE_QOS, **fields: Any) -> Refused:
    with pytest.raises(Refused) as refused:
        await scene.run(kind, **fields)
    return refused.value


async def _view(scene: Scene, share: str = "home") -> QosView | None:
    query = reads.ShareRef(project=scene.project, share=share)
    return (await scene.world.read(names.GET_SHARE, query, reads.ShareView)).qos


def _promised(scene: Scene, pool: str = "a1") -> tuple[int, int]:
    row = scene.one(tables.pools, name=pool)
    return row["iops_promised"], row["throughput_promised"]


def _picture(scene: Scene) -> list[object]:
    shares = [
        (row["name"], row["size"], row["status"], row["qos_class"], row["qos"], scene.limits(row["name"]))
        for row in scene.rows(tables.shares, project=scene.project)
    ]
    return [*shares, _promised(scene), scene.used()]


@pytest.fixture(autouse=True)
async def given_back(scene: Scene) -> AsyncIterator[None]:
    """Every test has the whole budgets of the pools."""
    yield
    faults.disarm()
    scene.world.array().script.clear()
    scene.check()
    await scene.purge(*(row["name"] for row in scene.rows(tables.shares, project=scene.project)))


@contextmanager
def _pool(scene: Scene, name: str, **values: Any) -> Iterator[None]:
    """A pool whose row says something else for a while."""
    before = scene.one(tables.pools, name=name)
    with scene.world.database.write() as connection:
        connection.execute(update(tables.pools).where(tables.pools.c.id == before["id"]).values(values))
    yield
    with scene.world.database.write() as connection:
        usual = {key: before[key] for key in values}
        connection.execute(update(tables.pools).where(tables.pools.c.id == before["id"]).values(usual))


# -- given, changed, taken away


async def test_share_gets_a_class_another_and_none(scene: Scene) -> None:
    """Each replaces what was there; the pool promises exactly the floors that are enforced now."""
    await scene.create()
    before = _promised(scene)
    result = await _set(scene, "gold")
    assert scene.limits() == GOLD
    assert (result["qos"]["name"], result["qos"]["enforce"], result["name"]) == ("gold", "required", "home")
    assert _promised(scene) == (before[0] + 10, before[1])
    await _set(scene, "silver")
    assert scene.limits() == SILVER
    assert _promised(scene) == before
    assert (await _set(scene, None))["qos"] is None
    assert scene.limits() == {}
    assert scene.share()["qos_class"] == ""
    assert (await _set(scene, None))["qos"] is None


async def test_same_request_again_has_the_same_answer_and_no_effect(scene: Scene) -> None:
    """One id is one change, also after another change was made since."""
    await scene.create()
    operation = scene.new_id()
    first = await _set(scene, "gold", operation=operation)
    await _set(scene, "silver")
    assert await _set(scene, "gold", operation=operation) == first
    assert scene.limits() == SILVER
    assert (await _refused(scene, share="home", qos=None, operation=operation)).code == "RequestReused"


async def test_every_change_is_in_the_audit(scene: Scene) -> None:
    """Who, why, and through which states."""
    share = await scene.create()
    await _set(scene, "gold", by="ana", reason="slow on Mondays")
    rows = scene.rows(tables.audit, resource_id=share["share_id"])
    assert [row["after"] for row in rows] == ["creating", "available", "setting-qos", "available"]
    assert {(row["requested_by"], row["why"]) for row in rows[2:]} == {("ana", "slow on Mondays")}


async def test_share_shows_class_values_and_a_verdict_per_key(scene: Scene) -> None:
    """What the class comes to, how, what is enforced; the class's advice as advice."""
    await scene.create(size="2 GiB")
    assert await _view(scene) is None
    await _set(scene, "gold")
    view = await _view(scene)
    assert view is not None
    assert (view.name, view.version, view.latency_target) == ("gold", scene.share()["qos_version"], 2000)
    keys = {key.key: key for key in view.keys}
    assert keys["max_iops"].arithmetic == "100 IOPS per GiB x 2 GiB provisioned = 200 IOPS"
    assert [(key.asked, key.enforced, key.verdict) for key in keys.values()] == [
        (200, 200, Verdict.EXACT), (100 * MIB, 100 * MIB, Verdict.EXACT), (20, 20, Verdict.EXACT),
    ]  # fmt: skip


async def test_share_of_a_type_with_a_class_is_made_with_it(scene: Scene) -> None:
    """The limits are there before anybody can use the share; its purge gives the floors back."""
    before = _promised(scene)
    await scene.create(type="fast", pool="a1")
    assert scene.limits() == GOLD
    assert scene.share()["qos_class"] == "gold"
    assert _promised(scene) == (before[0] + 10, before[1])
    await scene.purge("home")
    assert _promised(scene) == before


async def test_clone_and_copy_get_the_class_of_their_type(scene: Scene) -> None:
    """Not that of the share that the snapshot was taken of; a copy is bounded once it is full."""
    await scene.create(type="fast", pool="a1")
    await scene.snapshot()
    await _set(scene, "silver")
    request = {"share": "home", "snapshot": "s1"}
    await scene.run(names.CREATE_SHARE_FROM_SNAPSHOT, **request, name="clone", size="2 GiB")
    assert scene.limits("clone") == {"max_iops": 200, "max_throughput": 100 * MIB, "min_iops": 20}
    copy = await scene.start(names.CREATE_SHARE_FROM_SNAPSHOT, **request, name="copy", pool="a2")
    assert (await scene.world.result(copy))["pool"] == "a2"
    assert scene.limits("copy") == GOLD
    calls = [call for call in scene.world.array().calls() if call.operation == copy.id]
    assert [call.verb for call in calls if call.step] == ["create_share", "set_qos"]
    await scene.run(names.CREATE_SHARE_FROM_SNAPSHOT, **request, name="plain", type="standard")
    assert scene.limits("plain") == {}


# -- recomputed


async def test_resize_computes_scaled_limits_anew(scene: Scene) -> None:
    """Up and down, with the floors; what is not scaled stays; all in one step."""
    await scene.create(type="fast", pool="a1")
    before = _promised(scene)
    for gib in (5, 2, 7):
        await scene.run(names.RESIZE_SHARE, share="home", size=gib * GIB)
        assert scene.limits() == {"max_iops": 100 * gib, "max_throughput": 100 * MIB, "min_iops": 10 * gib}
        assert _promised(scene) == (before[0] + 10 * (gib - 1), before[1])
        scene.check()
    view = await _view(scene)
    assert view is not None
    assert "x 7 GiB provisioned = 700 IOPS" in view.keys[0].arithmetic


async def test_resize_keeps_the_version_of_the_class_and_setting_it_anew_takes_the_current_one(scene: Scene) -> None:
    """A change of the specs reaches a share when somebody says so, not when it happens to grow."""
    await scene.create()
    await _set(scene, "gold")
    classes = tables.qos_classes
    usual = scene.one(classes, name="gold", current=True)
    changed = {"name": "gold", "version": "0123456789ab", "document": {"name": "gold", "max_iops_per_gib": "1"}}
    with scene.world.database.write() as connection:
        connection.execute(update(classes).where(classes.c.name == "gold").values(current=False))
        connection.execute(insert(classes).values(**changed, current=True))
    try:
        await scene.run(names.RESIZE_SHARE, share="home", size="3 GiB")
        assert scene.limits()["max_iops"] == 300
        assert scene.share()["qos_version"] == usual["version"]
        await _set(scene, "gold")
        assert scene.limits() == {"max_iops": 3}
        await _set(scene, None)
    finally:
        with scene.world.database.write() as connection:
            connection.execute(classes.delete().where(classes.c.version == "0123456789ab"))
            connection.execute(update(classes).where(classes.c.version == usual["version"]).values(current=True))


async def test_class_that_counts_by_use_follows_the_scans_of_the_backend(scene: Scene) -> None:
    """An empty share has the clamp; a scan notes the bytes in use and reports old limits; setting them mends it."""
    share = await scene.create(size="1 GiB")
    await _set(scene, "by-use")
    assert scene.limits() == {"max_iops": 50}
    ref = scene.ref(share["share_id"])
    with (scene.world.array().trees.path(_tree(scene, ref.name)) / "big").open("wb") as file:
        file.truncate(10 * GIB)
    assert [finding.kind for finding in await _scan(scene, ref.name)] == ["differing-qos"]
    (finding,) = await _scan(scene, ref.name)
    assert "max_iops was 50 IOPS, for the bytes in use now it is 100 IOPS" in finding.detail
    assert finding.advice == "set it again: shareflow share qos home by-use"
    assert scene.limits() == {"max_iops": 50}
    await _set(scene, "by-use")
    assert scene.limits() == {"max_iops": 100}
    assert await _scan(scene, ref.name) == []


def _tree(scene: Scene, name: str) -> str:
    scene.files().write(scene.ref(scene.share()["id"]), "small", b"x")
    return next(stored.tree for stored in scene.world.array().objects() if stored.name == name)


async def _scan(scene: Scene, subject: str) -> list[reads.FindingView]:
    await scene.world.run(names.RECONCILE_BACKEND, {"backend": "alpha"}, operation=f"scan-{uuid.uuid4()}")
    page = await scene.world.read(names.LIST_FINDINGS, reads.FindingQuery(limit=1000), Page[reads.FindingView])
    return [finding for finding in page.items if subject in finding.subject]


async def test_limits_that_somebody_changed_on_the_backend_are_found(scene: Scene) -> None:
    """The scan reads back what is enforced; it reports, names the command, and the command mends it."""
    share = await scene.create()
    await _set(scene, "silver")
    ref = scene.ref(share["share_id"])
    driver: Any = scene.world.process.services.drivers["alpha"]
    assert await _scan(scene, ref.name) == []
    epoch = driver.observe(ref).epoch
    call = Call(scene.world.deployment, "by hand", "step", epoch)
    driver.set_qos(ref, {"max_iops": 9, "max_throughput": 50 * MIB}, call)
    (finding,) = await _scan(scene, ref.name)
    assert "max_iops the inventory says 1234 IOPS, the backend enforces 9 IOPS" in finding.detail
    await _set(scene, "silver")
    assert scene.limits() == SILVER
    assert await _scan(scene, ref.name) == []


# -- rounded and reported


async def test_decimal_backend_rounds_and_the_share_says_to_what(scene: Scene) -> None:
    """Ceilings down, in steps of the array; asked and enforced stand side by side."""
    await scene.create(backend="beta")
    await _set(scene, "silver")
    assert scene.limits() == {"max_iops": 1230, "max_throughput": 52 * 10**6}
    view = await _view(scene)
    assert view is not None
    found = [(key.key, key.verdict, key.asked, key.enforced) for key in view.keys]
    assert found == [
        ("max_iops", Verdict.ROUNDED, 1234, 1230),
        ("max_throughput", Verdict.ROUNDED, 50 * MIB, 52 * 10**6),
    ]
    assert "in steps of 10 IOPS" in view.keys[0].reason
    await scene.run(names.RESIZE_SHARE, share="home", size="2 GiB")
    assert await _view(scene) == view


async def test_best_effort_sets_what_can_be_set_and_reports_the_rest(scene: Scene) -> None:
    """No budget, no promise: the floor is reported as not supported and is not accounted."""
    await scene.create(backend="beta")
    result = await _set(scene, "wish")
    assert scene.limits() == {"max_iops": 500}
    assert _promised(scene, "b1") == (0, 0)
    missing = [key for key in result["qos"]["keys"] if key["verdict"] == "unsupported"]
    assert [(key["key"], key["enforced"], key["reason"]) for key in missing] == [
        ("min_iops", None, "the pool declares no budget of iops")
    ]
    await scene.create("other", pool="a1")
    await _set(scene, "wish", "other")
    assert scene.limits("other") == {"max_iops": 500, "min_iops": 400}


async def test_best_effort_on_a_pool_that_can_do_nothing_is_recorded_and_sets_nothing(scene: Scene) -> None:
    """The share has the class and says of every key that it is not enforced; the backend hears nothing."""
    await scene.create()
    with _pool(scene, "a1", attributes={**scene.one(tables.pools, name="a1")["attributes"], "qos_supported": []}):
        handle = await scene.start(names.SET_SHARE_QOS, share="home", qos="wish")
        result = await scene.world.result(handle)
        await scene.run(names.RESIZE_SHARE, share="home", size="2 GiB")
    assert {key["verdict"] for key in result["qos"]["keys"]} == {"unsupported"}
    assert scene.limits() == {}
    assert scene.share()["qos_class"] == "wish"
    assert [call for call in scene.world.array().calls("set_qos") if call.operation == handle.id] == []


# -- refused


async def test_required_key_that_the_pool_cannot_enforce_is_refused_before_anything_is_touched(scene: Scene) -> None:
    """The keys are named, every one of them, and the backend hears nothing."""
    await scene.create()
    await _set(scene, "silver")
    before = _picture(scene)
    attributes = {**scene.one(tables.pools, name="a1")["attributes"], "qos_supported": ["max_iops"]}
    with _pool(scene, "a1", attributes=attributes):
        operation = scene.new_id()
        refused = await _refused(scene, share="home", qos="gold", operation=operation)
    assert refused.code == "NotSupported"
    assert "SF107 qos: pool 'a1' cannot keep QoS class 'gold'" in refused.text
    assert "`max_throughput`: the driver does not enforce it" in refused.text
    assert "`min_iops`: the driver does not enforce it" in refused.text
    assert [call for call in scene.world.array().calls("set_qos") if call.operation == operation] == []
    assert _picture(scene) == before


async def test_floor_in_a_pool_without_a_budget_is_refused(scene: Scene) -> None:
    """A driver that can is not enough: nobody accounts for it there."""
    await scene.create(backend="beta")
    refused = await _refused(scene, share="home", qos="firm")
    assert refused.code == "NotSupported"
    assert "`min_iops`: the pool declares no budget of iops" in refused.text


async def test_value_that_only_the_driver_can_refuse_is_undone(scene: Scene) -> None:
    """Too small for the array's steps: said with the key, and the share has what it had."""
    await scene.create(backend="beta")
    await _set(scene, "silver")
    refused = await _refused(scene, share="home", qos="tiny")
    assert refused.code == "BackendRefused"
    assert "required limits cannot be enforced: max_iops: 5 IOPS is too small" in refused.text
    assert scene.limits() == {"max_iops": 1230, "max_throughput": 52 * 10**6}
    assert scene.share()["qos_class"] == "silver"


async def test_floors_beyond_the_budget_are_refused_with_the_arithmetic(scene: Scene) -> None:
    """On a live share, on a resize, and by placement, which takes another pool when there is one."""
    await scene.create("big", size="80 GiB", type="fast", pool="a2")
    await scene.create(pool="a2")
    refused = await _refused(scene, share="home", qos="firm")
    assert refused.code == "NoPoolFits"
    assert "pool 'a2' cannot promise that: 800 IOPS promised + 4000 IOPS asked of 1000 IOPS, lacks 3800 IOPS" in (
        refused.text
    )
    refused = await _refused(scene, names.RESIZE_SHARE, share="big", size="101 GiB")
    assert "800 IOPS promised + 210 IOPS asked of 1000 IOPS, lacks 10 IOPS" in refused.text
    assert scene.share("big")["size"] == 80 * GIB
    refused = await _refused(scene, names.CREATE_SHARE, name="more", size="30 GiB", type="fast", pool="a2")
    assert refused.code == "NoPoolFits"
    assert "fails `floors of iops <= budget`: 800 IOPS promised + 300 IOPS asked" in refused.text
    assert (await scene.create("more", size="30 GiB", type="fast"))["pool"] == "a1"
    await scene.run(names.RESIZE_SHARE, share="big", size="100 GiB")
    assert _promised(scene, "a2") == (1000, 0)


async def test_resize_that_lacks_room_says_so_also_with_a_class(scene: Scene) -> None:
    """Bytes and floors are reserved together; the reason is the one that is short."""
    await scene.create()
    await _set(scene, "silver")
    refused = await _refused(scene, names.RESIZE_SHARE, share="home", size="1023.5 PiB")
    assert refused.code == "NoPoolFits"
    assert "SF200 size: pool 'a1' has" in refused.text


async def test_requests_at_once_never_promise_more_than_the_budget(scene: Scene) -> None:
    """Three shares ask for 4,000 of 10,000 IOPS at the same moment: two get them, one is refused."""
    for number in range(3):
        await scene.create(f"s{number}")
    handles = [await scene.start(names.SET_SHARE_QOS, share=f"s{number}", qos="firm") for number in range(3)]

    async def outcome(index: int) -> str:
        try:
            await scene.world.result(handles[index])
        except Refused as refused:
            return refused.code
        return "succeeded"

    outcomes = await asyncio.gather(*(outcome(index) for index in range(3)))
    assert sorted(outcomes) == ["NoPoolFits", "succeeded", "succeeded"]
    assert [scene.limits(f"s{number}") for number in range(3)].count({"min_iops": 4000}) == 2


async def test_unknown_class_is_refused_with_those_that_there_are(scene: Scene) -> None:
    """Also one that was taken out of the specs."""
    await scene.create()
    refused = await _refused(scene, share="home", qos="golt")
    assert refused.code == "UnknownQos"
    assert "SF203 qos: there is no QoS class 'golt' [did you mean 'gold'? classes: by-use, firm, gold" in refused.text


async def test_share_in_the_recycle_bin_keeps_its_class(scene: Scene) -> None:
    """It cannot be given another there; it comes back with it, and its floors stay promised meanwhile."""
    share = await scene.create(type="fast", pool="a1")
    held = _promised(scene)
    handle = await scene.bin()
    assert (await _refused(scene, share=share["share_id"], qos="silver")).code == "NotFound"
    assert _promised(scene) == held
    await handle.execute_update(names.RESTORE, {})
    await scene.world.result(handle)
    assert scene.limits() == GOLD


async def test_forgotten_share_leaves_its_floors_promised(scene: Scene) -> None:
    """The object is still there, and the backend still keeps what it promised."""
    share = await scene.create(type="fast", pool="a1")
    held, ref = _promised(scene), scene.ref(share["share_id"])
    await scene.run(names.FORGET_SHARE, share="home")
    assert _promised(scene) == held
    driver: Any = scene.world.process.services.drivers["alpha"]
    call = Call(scene.world.deployment, "by hand", "step", 99)
    driver.delete_share(ref, call)
    await _scan(scene, ref.name)
    assert _promised(scene) == (held[0] - 10, held[1])
    with scene.world.database.write() as connection:
        connection.execute(tables.tombstones.delete().where(tables.tombstones.c.object == ref.name))


async def test_busy_share_is_waited_for(scene: Scene) -> None:
    """In order of arrival, as with every operation; or not, when asked so."""
    await scene.create()
    first = scene.new_id()
    gate = Gate("backend.set_qos.before_call", first)
    one = await scene.start(names.SET_SHARE_QOS, share="home", qos="gold", operation=first)
    await gate.reached()
    two = await scene.start(names.SET_SHARE_QOS, share="home", qos="silver")
    await scene.world.until(two, "waiting")
    refused = await _refused(scene, share="home", qos=None, on_busy="fail")
    assert refused.code == "Busy"
    assert first in refused.text
    gate.open()
    await scene.world.result(one)
    await scene.world.result(two)
    assert scene.limits() == SILVER


# -- undone


@pytest.mark.parametrize(
    "point",
    [
        "inventory.begin.before_transaction",
        "inventory.begin.after_commit",
        "backend.set_qos.before_call",
        "backend.set_qos.after_call",
        "inventory.commit.before_transaction",
    ],
)
@pytest.mark.parametrize("before", [None, "silver"])
async def test_cancelled_at_any_step_the_share_has_what_it_had(scene: Scene, before: str | None, point: str) -> None:
    """Limits, class and promises; once the commit has begun the cancel comes too late, and says so."""
    await scene.create()
    await _set(scene, before)
    picture = _picture(scene)
    operation = scene.new_id()
    gate = Gate(point, operation)
    scene.task_timeout = timedelta(seconds=1)
    handle = await scene.start(names.SET_SHARE_QOS, share="home", qos="gold", operation=operation)
    await gate.reached()
    await handle.cancel()
    await asyncio.sleep(1.0 if point.startswith("inventory") else 0)
    gate.open()
    if "commit." in point:
        await scene.world.result(handle)
        assert "the cancel came after" in (await scene.status(handle))["note"]
        assert scene.limits() == GOLD
    else:
        await scene.cancelled(handle)
        assert _picture(scene) == picture


@pytest.mark.parametrize("before", [None, "silver"])
async def test_half_of_the_limits_and_then_a_refusal_are_undone(scene: Scene, before: str | None) -> None:
    """What was enforced before is enforced again, whatever the backend had done by then."""
    await scene.create()
    await _set(scene, before)
    picture = _picture(scene)
    operation = scene.new_id()
    script = scene.world.array().script
    script.add(FaultKind.HALF, verb="set_qos", operation=operation)
    script.add(FaultKind.REJECT, verb="set_qos", operation=operation, message="licence has ended")
    refused = await _refused(scene, share="home", qos="gold", operation=operation)
    assert refused.code == "BackendRefused"
    assert "licence has ended" in refused.text
    assert _picture(scene) == picture


async def test_resize_whose_limits_are_refused_has_its_old_size_and_limits_again(scene: Scene) -> None:
    """Size and limits go together, forth and back."""
    await scene.create(type="fast", pool="a1")
    picture = _picture(scene)
    operation = scene.new_id()
    scene.world.array().script.add(FaultKind.REJECT, verb="set_qos", operation=operation)
    refused = await _refused(scene, names.RESIZE_SHARE, share="home", size="4 GiB", operation=operation)
    assert refused.code == "BackendRefused"
    assert _picture(scene) == picture


async def test_cancelled_resize_has_its_old_size_and_limits_again(scene: Scene) -> None:
    """Also when the new ones were set already."""
    await scene.create(type="fast", pool="a1")
    picture = _picture(scene)
    operation = scene.new_id()
    gate = Gate("backend.set_qos.after_call", operation)
    handle = await scene.start(names.RESIZE_SHARE, share="home", size="4 GiB", operation=operation)
    await gate.reached()
    assert scene.limits()["max_iops"] == 400
    await handle.cancel()
    gate.open()
    await scene.cancelled(handle)
    assert _picture(scene) == picture


async def test_new_share_whose_limits_a_pool_refuses_goes_to_the_next_one(scene: Scene) -> None:
    """Nothing stays in the first pool, neither an object nor a promise."""
    before = {pool: _promised(scene, pool) for pool in ("a1", "a2")}
    operation = scene.new_id()
    scene.world.array().script.add(FaultKind.REJECT, verb="set_qos", operation=operation, pool_specific=True)
    made = await scene.run(names.CREATE_SHARE, name="home", size="1 GiB", type="fast", operation=operation)
    (excluded,) = scene.operation(operation)["placement"]["excluded"]
    first = scene.one(tables.pools, id=excluded)["name"]
    assert {first, made["pool"]} == {"a1", "a2"}
    assert scene.limits() == GOLD
    assert _promised(scene, first) == before[first]
    assert _promised(scene, made["pool"])[0] >= before[made["pool"]][0] + 10


async def test_new_share_whose_limits_are_refused_for_good_is_not_made(scene: Scene) -> None:
    """A share without what its type promises is no share of that type."""
    before = _promised(scene)
    scene.world.array().script.add(FaultKind.REJECT, verb="set_qos", message="no licence")
    refused = await _refused(scene, names.CREATE_SHARE, name="home", size="1 GiB", type="fast")
    assert "no licence" in refused.text
    assert scene.objects() == set()
    assert _promised(scene) == before


async def test_backend_that_is_away_is_waited_for(scene: Scene) -> None:
    """The operation says what it waits for and goes on by itself."""
    await scene.create()
    outage = scene.world.array().script.add(FaultKind.UNREACHABLE)
    handle = await scene.start(names.SET_SHARE_QOS, share="home", qos="gold")
    await scene.world.until(handle, "waiting")
    scene.world.array().script.lift(outage)
    await scene.world.result(handle)
    assert scene.limits() == GOLD
