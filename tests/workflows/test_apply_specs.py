"""Specs are planned and applied: whole, once, never on what has moved, and no worker's old files bring them back."""

from __future__ import annotations

import asyncio
import copy
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

import worker
from inventory import tables
from shareflow import names
from shareflow.contracts import reads
from shareflow.contracts.specs import MAX_DOCUMENTS, PlanQuery, PlanView
from tests.support.applying import Documents, applied, apply, changed, plan, pool, without_pool
from tests.support.scenes import BACKENDS, GIB, Gate, Scene
from tests.support.world import FAKE_SPECS, Refused, World, world_of_its_own, write_specs

PIB = 2**50


@pytest.fixture(scope="module")
async def land(temporal_binary: Path) -> AsyncIterator[World]:
    """A world of its own: what is applied counts for everybody in it."""
    async with world_of_its_own(temporal_binary) as world:
        yield world


@pytest.fixture(scope="module")
def first(land: World) -> Documents:
    """The set that the worker started with."""
    return copy.deepcopy(applied(Scene(land, "any"))["documents"])


@pytest.fixture
async def stage(land: World, first: Documents) -> AsyncIterator[Scene]:
    """A project of its own; afterwards its shares are gone, the first set counts again and all promises hold."""
    scene = Scene(land, land.project())
    scene.violations = scene.found()
    yield scene
    await scene.purge(*(row["name"] for row in scene.rows(tables.shares, project=scene.project, in_view=True)))
    await apply(scene, first)
    for name in BACKENDS:
        land.array(name).script.clear()
    scene.check()


async def _refused(scene: Scene, documents: Documents, made: PlanView | None = None, **more: Any) -> Refused:
    before = applied(scene)["revision"]
    with pytest.raises(Refused) as refused:
        await apply(scene, documents, made, **more)
    assert applied(scene)["revision"] == before
    return refused.value


async def test_applied_set_counts_at_once_and_shares_keep_what_they_have(stage: Scene, first: Documents) -> None:
    """A type's new version, a new type and a quota are there with the answer; who and which operation is recorded."""
    await stage.create("old")
    version = stage.share("old")["type_version"]
    other = changed(first, "ShareType", "standard", retention=60)
    other.append({"kind": "ShareType", "name": "brand-new"})
    other.append({"kind": "Quota", "project": stage.project, "limits": {"shares": 2}})
    with pytest.raises(Refused):
        await stage.create("too-early", type="brand-new")
    result = await apply(stage, other, by="ana", reason="for a test")
    assert [(line["action"], f"{line['kind']}/{line['name']}") for line in result["changed"]] == [
        ("create", f"Quota/{stage.project}"),
        ("create", "ShareType/brand-new"),
        ("change", "ShareType/standard"),
    ]
    row = applied(stage)
    assert (row["revision"], row["managed"], row["applied_by"]) == (result["specs_revision"], True, "ana")
    assert row["operation"] == result["operation"]
    await stage.create("new", type="brand-new")
    assert stage.share("old")["type_version"] == version
    with pytest.raises(Refused) as full:
        await stage.create("third")
    assert full.value.code == "QuotaExceeded"


async def test_plan_of_the_set_that_counts_has_no_lines(stage: Scene, first: Documents) -> None:
    """Nothing to do is an empty plan, on the same digests."""
    made = await plan(stage, first)
    assert made.lines == []
    assert made.token.current == made.token.new


async def test_pools_terms_and_attributes_count_at_once_and_reported_figures_stay(
    stage: Scene, first: Documents
) -> None:
    """The limit is worked out from the capacity that the driver reported; nobody asks the driver for an apply."""
    before = stage.one(tables.pools, backend="alpha", name="a1")
    other = pool(first, "alpha", "a1", over_subscription="3", zone="north", attributes={"media": "tape"})
    await apply(stage, other)
    after = stage.one(tables.pools, backend="alpha", name="a1")
    assert (after["limit_bytes"], after["total_bytes"]) == (3 * PIB, PIB)
    assert (after["zone"], after["attributes"]["media"]) == ("north", "tape")
    assert after["attributes"] == {**before["attributes"], "media": "tape"}
    assert after["reachable"]
    assert (await stage.create("far", zone="north"))["pool"] == "a1"
    with pytest.raises(Refused) as nowhere:
        await stage.create("fast", type="ssd")
    assert nowhere.value.code == "NoPoolFits"


async def test_scan_after_an_apply_keeps_the_applied_terms(stage: Scene, first: Documents) -> None:
    """A scan takes figures from the driver and terms from the applied set, not from the worker's files."""
    await apply(stage, pool(first, "alpha", "a1", over_subscription="2", attributes={"media": "tape"}))
    await stage.world.run(names.RECONCILE_BACKEND, {"backend": "alpha"})
    row = stage.one(tables.pools, backend="alpha", name="a1")
    assert (row["limit_bytes"], row["attributes"]["media"]) == (2 * PIB, "tape")


async def test_new_pool_takes_nothing_until_its_driver_has_it(stage: Scene, first: Documents) -> None:
    """A pool that no driver was opened with is declared and out of reach, also after a scan."""
    alpha = next(each for each in first if each["kind"] == "Backend" and each["name"] == "alpha")
    other = changed(first, "Backend", "alpha", pools=[*alpha["pools"], {"name": "a9", "zone": "south"}])
    assert (await plan(stage, other)).lines[0].name == "alpha/a9"
    await apply(stage, other)
    await stage.world.run(names.RECONCILE_BACKEND, {"backend": "alpha"})
    row = stage.one(tables.pools, backend="alpha", name="a9")
    assert (row["reachable"], row["limit_bytes"], row["retired"]) == (False, 0, False)
    with pytest.raises(Refused) as nowhere:
        await stage.create("lost", zone="south")
    assert nowhere.value.code == "NoPoolFits"


async def test_same_request_again_gives_the_same_answer_and_is_applied_once(stage: Scene, first: Documents) -> None:
    """Also when the set has changed meanwhile; another request under the id is refused."""
    other = changed(first, "ShareType", "standard", retention=61)
    made, operation = await plan(stage, other), f"op-{uuid.uuid4()}"
    result = await apply(stage, other, made, operation=operation)
    await apply(stage, first)
    revision = applied(stage)["revision"]
    assert await apply(stage, other, made, operation=operation) == result
    assert applied(stage)["revision"] == revision
    reused = await _refused(stage, first, operation=operation)
    assert reused.code == "RequestReused"


async def test_plan_on_another_set_is_refused(stage: Scene, first: Documents) -> None:
    """Two plans on the same set: the first that is applied makes the other one stale, whatever it changes."""
    one, two = (changed(first, "ShareType", "standard", retention=number) for number in (62, 63))
    stale = await plan(stage, two)
    await apply(stage, one)
    refused = await _refused(stage, two, stale)
    assert refused.code == "SpecsMoved"
    assert "specs revision" in refused.text
    assert "spec plan" in refused.text


async def test_two_applies_at_once_never_mix(stage: Scene, first: Documents) -> None:
    """Of many plans on the same set exactly one is carried out."""
    sets = [changed(first, "ShareType", "standard", retention=100 + number) for number in range(6)]
    plans = [await plan(stage, each) for each in sets]
    before = applied(stage)["revision"]
    answers = await asyncio.gather(
        *(apply(stage, each, one) for each, one in zip(sets, plans, strict=True)), return_exceptions=True
    )
    refused = [answer.code for answer in answers if isinstance(answer, Refused)]
    assert refused == ["SpecsMoved"] * 5
    assert applied(stage)["revision"] == before + 1


async def test_documents_of_another_set_than_planned_are_refused(stage: Scene, first: Documents) -> None:
    """A plan stands for its documents."""
    made = await plan(stage, changed(first, "ShareType", "standard", retention=64))
    assert (await _refused(stage, first, made)).code == "SpecsMoved"


async def test_removal_of_a_pool_in_use_has_to_be_allowed_by_name(stage: Scene, first: Documents) -> None:
    """Without the name nothing changes; with it the pool is retired, and the share on it lives on."""
    share = await stage.create("home", backend="beta")
    smaller = changed(without_pool(first, "alpha", "a2"), "Backend", "beta", description="x")
    gone = [each for each in smaller if not (each["kind"] == "Backend" and each["name"] == "beta")]
    made = await plan(stage, gone)
    line = next(line for line in made.lines if line.name == "beta")
    assert (line.action, line.in_use) == ("remove", 1)
    refused = await _refused(stage, gone, made)
    assert refused.code == "RemovalNeedsAllow"
    assert "--allow beta" in refused.text
    await apply(stage, gone, made, allow=["beta"])
    assert stage.one(tables.backends, name="beta")["retired"]
    with pytest.raises(Refused):
        await stage.create("more", backend="beta")
    await stage.snapshot("s1")
    with pytest.raises(Refused):
        await stage.run(names.RESIZE_SHARE, share=share["share_id"], size=2 * GIB)


async def test_shares_on_a_removed_pool_that_were_not_counted_make_the_plan_stale(
    stage: Scene, first: Documents
) -> None:
    """Who allows a removal knows what it hits; shares elsewhere may come and go."""
    await stage.create("home", backend="beta")
    gone = [each for each in first if not (each["kind"] == "Backend" and each["name"] == "beta")]
    made = await plan(stage, gone)
    await stage.create("elsewhere", backend="alpha")
    await stage.create("another", backend="beta")
    refused = await _refused(stage, gone, made, allow=["beta"])
    assert refused.code == "SpecsMoved"
    assert "Backend/beta (2 shares)" in refused.text


async def test_creates_in_flight_are_not_disturbed(stage: Scene, first: Documents) -> None:
    """Placements before, during and after an apply all come to their end."""
    creates = [asyncio.create_task(stage.create(f"s{number}", backend="alpha")) for number in range(12)]
    for number in range(3):
        await apply(stage, changed(first, "ShareType", "standard", retention=200 + number))
    assert len({result["share_id"] for result in await asyncio.gather(*creates)}) == 12


MOVED_MEANWHILE: dict[str, Callable[[Documents], Documents]] = {
    "its destination leaves the specs": lambda first: without_pool(first, "alpha", "a2"),
    "its destination keeps its room back": lambda first: pool(first, "alpha", "a2", reserved_percent=100),
    "its destination is of another medium": lambda first: pool(
        changed(first, "ShareType", "standard", require={"media": "hdd"}), "alpha", "a2", attributes={"media": "tape"}
    ),
    "its source leaves the specs": lambda first: without_pool(first, "alpha", "a1"),
    "its type has other rules": lambda first: changed(first, "ShareType", "standard", require={"media": "tape"}),
}
MOMENTS = ("mover.receive.before_call", "mover.verify.before_call", "backend.delete_share.before_call")


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("case", MOVED_MEANWHILE)
async def test_a_migration_that_has_begun_comes_to_its_end_whatever_is_applied_meanwhile(
    stage: Scene, first: Documents, case: str, moment: str
) -> None:
    """While it copies, while writers are stopped, and past the switch: it was placed by the specs of its begin."""
    await stage.create()
    await stage.snapshot("s1")
    operation = stage.new_id()
    gate = Gate(moment, operation)
    request = {"share": "home", "to_pool": "a2", "mode": "driver", "preserve_snapshots": True}
    handle = await stage.start(names.MIGRATE_SHARE, operation=operation, cutover_when="immediately", grace=0, **request)
    await gate.reached()
    await apply(stage, MOVED_MEANWHILE[case](first), allow=["alpha/a1", "alpha/a2"])
    gate.open()
    result = await stage.world.result(handle)
    assert (result["outcome"], result["destination"]) == ("migrated", "alpha/a2")
    assert stage.share()["status"] == "available"
    assert len(stage.rows(tables.instances, share_id=stage.share()["id"])) == 1


async def test_cancel_during_the_transaction_comes_too_late(stage: Scene, first: Documents) -> None:
    """There is nothing between not applied and applied; a cancel in the middle gets the result."""
    other = changed(first, "ShareType", "standard", retention=65)
    token, operation = (await plan(stage, other)).token.model_dump(), stage.new_id()
    gate = Gate("inventory.begin.before_commit", operation)
    handle = await stage.start(names.APPLY_SPECS, operation=operation, documents=other, plan=token)
    await gate.reached()
    await handle.cancel()
    gate.open()
    result = await stage.world.result(handle)
    assert applied(stage)["revision"] == result["specs_revision"]
    assert stage.operation(operation)["state"] == "succeeded"


SECRET = {
    "kind": "Backend",
    "name": "x",
    "driver": "fake",
    "options": {"password": "hunter2"},
    "pools": [{"name": "p"}],
}
BAD: dict[str, tuple[Any, str, str]] = {
    "no kind": ([{"name": "x"}], "SpecError", "S101"),
    "unknown kind": ([{"kind": "ShareTyp", "name": "x"}], "SpecError", "did you mean `ShareType`"),
    "unknown key": ([{"kind": "ShareType", "name": "x", "colour": 1}], "SpecError", "colour"),
    "missing key": ([{"kind": "ShareType"}], "SpecError", "S103"),
    "wrong type": ([{"kind": "ShareType", "name": 7}], "SpecError", "name"),
    "places that are none": ([{"kind": "ShareType", "name": "x", "places": 3}], "SpecError", "places"),
    "equal names": ([{"kind": "ShareType", "name": "x"}] * 2, "SpecError", "S201"),
    "reference to nothing": ([{"kind": "ShareType", "name": "x", "qos": "none-such"}], "SpecError", "none-such"),
    "a secret": ([SECRET], "SpecError", "S107"),
    "nothing": ([], "InvalidInput", "documents"),
    "no list": ("x", "InvalidInput", "documents"),
    "no objects": ([1], "InvalidInput", "documents"),
    "too large": ([{"kind": "ShareType", "name": "x", "description": "y" * MAX_DOCUMENTS}], "InvalidInput", "1 MiB"),
}


@pytest.mark.parametrize("case", BAD)
async def test_bad_documents_end_the_operation_at_once_with_nothing_changed(stage: Scene, case: str) -> None:
    """A refused set is an answer: no retries, no task that is stuck, no secret in the text."""
    documents, code, text = BAD[case]
    token = {"specs_revision": 0, "current": "", "new": "", "counts": ""}
    before = applied(stage)["revision"]
    async with asyncio.timeout(10):
        with pytest.raises(Refused) as refused:
            await stage.run(names.APPLY_SPECS, documents=documents, plan=token)
    assert refused.value.code == code, refused.value.text
    assert text in refused.value.text
    assert "hunter2" not in refused.value.text
    assert applied(stage)["revision"] == before


async def test_worker_with_older_files_takes_the_applied_set(
    stage: Scene, first: Documents, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A restart reverts nothing: neither types, quotas and terms, nor a pool that its files do not know."""
    other = pool(changed(first, "ShareType", "standard", retention=66), "alpha", "a1", over_subscription="2")
    other.append({"kind": "Quota", "project": stage.project, "limits": {"shares": 5}})
    result = await apply(stage, other, by="ana")
    older = [each for each in FAKE_SPECS if each.get("name") != "beta"]
    settings = worker.Settings(
        database=str(stage.world.database.url), state_dir=tmp_path, specs=[write_specs(tmp_path / "specs", older)]
    )
    process = await asyncio.to_thread(worker.Process, settings, stage.world.client)
    process.close()
    assert f"specs: revision {result['specs_revision']}, applied by ana" in capsys.readouterr().out
    assert applied(stage)["revision"] == result["specs_revision"]
    assert stage.one(tables.share_types, name="standard", current=True)["document"]["retention"] == 66
    assert stage.one(tables.quotas, project=stage.project)["shares_limit"] == 5
    assert stage.one(tables.pools, backend="alpha", name="a1")["limit_bytes"] == 2 * PIB
    beta = stage.one(tables.backends, name="beta")
    assert (beta["retired"], beta["reachable"]) == (False, True)
    assert (await stage.create("home", backend="beta"))["pool"] == "b1"


async def test_worker_without_an_applied_set_takes_its_own_files(
    land: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing was applied by an operation: files count, as on a laptop, and nothing is said about it."""
    for retention in (70, 71):
        kind: dict[str, Any] = {"kind": "ShareType", "name": "standard", "retention": retention}
        specs: Documents = [kind, {"kind": "Backend", "name": "solo", "driver": "fake", "pools": [{"name": "p"}]}]
        settings = worker.Settings(
            database=f"sqlite:///{tmp_path / 'own.db'}", state_dir=tmp_path, specs=[write_specs(tmp_path / "s", specs)]
        )
        process = await asyncio.to_thread(worker.Process, settings, land.client)
        with process.database.read() as connection:
            row = connection.execute(tables.share_types.select().where(tables.share_types.c.current)).mappings().one()
        process.close()
        assert row["document"]["retention"] == retention
    assert capsys.readouterr().out == ""


async def test_plan_reads_as_a_stock_read_and_reserves_nothing(stage: Scene, first: Documents) -> None:
    """A plan changes nothing, also one of a set that would remove everything."""
    await stage.create("home")
    before = (applied(stage)["revision"], stage.rows(tables.pools), stage.rows(tables.share_types))
    only = [each for each in first if each["kind"] == "Backend" and each["name"] == "beta"]
    made = await stage.world.read(names.PLAN_SPECS, PlanQuery(documents=only), PlanView)
    needs = {f"{line.kind}/{line.name}" for line in made.lines if line.in_use}
    assert {"Backend/alpha", "ShareType/standard"} <= needs
    assert (applied(stage)["revision"], stage.rows(tables.pools), stage.rows(tables.share_types)) == before
    view = await stage.world.read(names.GET_SHARE, {"project": stage.project, "share": "home"}, reads.ShareView)
    assert view.name == "home"
