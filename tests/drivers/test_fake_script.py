"""Scripted faults of the fake array: every kind does what it says, for the calls it is about and for no others."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from drivers.contract import AccessMode, Job, JobState, ShareObject
from drivers.errors import Broken, Busy, Conflict, DriverError, NotFound, PoolFull, Rejected, StaleEpoch, Unknown
from drivers.fake import FaultKind, StaleListing, forget_array
from drivers.fake.script import VERBS
from tests.drivers.fakes import GIB, MIB, Background, World, config_for, finish, ref


@pytest.fixture(params=["memory", "disk"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """A backend on each store; its ledger must be in order at the end, whatever was scripted."""
    made = World(config_for(request.param, tmp_path))
    yield made
    assert made.sound()
    forget_array(made.array)


def test_busy_three_times_then_free(world: World) -> None:
    """BUSY hits exactly the calls it is told to, and nothing is done in them."""
    fault = world.array.script.add(FaultKind.BUSY, verb="create_share", times=3, retry_after=0.5)
    share, call = ref(), world.call()
    for _ in range(3):
        with pytest.raises(Busy) as busy:
            world.driver.create_share(share, MIB, call)
        assert busy.value.retry_after == 0.5
        assert world.driver.observe(share) is None
    assert world.driver.create_share(share, MIB, call).size == MIB
    assert world.array.script.hits(fault) == 3


@pytest.mark.parametrize("pool_specific", [True, False])
def test_reject_says_whether_another_pool_may_do(world: World, pool_specific: bool) -> None:
    """REJECT carries the flag and its message."""
    world.array.script.add(FaultKind.REJECT, pool="p1", pool_specific=pool_specific, message="no such feature")
    with pytest.raises(Rejected, match="no such feature") as refused:
        world.driver.create_share(ref("p1"), MIB, world.call())
    assert refused.value.pool_specific is pool_specific
    assert world.driver.create_share(ref("p2"), MIB, world.call()).size == MIB


def test_full_pool_refuses_only_what_needs_room(world: World) -> None:
    """FULL hits the verbs that take space, until it is lifted."""
    share = world.share()
    fault = world.array.script.add(FaultKind.FULL, times=None)
    for attempt in (
        lambda: world.driver.create_share(ref(), MIB, world.call()),
        lambda: world.driver.resize_share(share, 2 * MIB, world.call()),
        lambda: world.driver.create_snapshot(share, ref(), world.call()),
    ):
        with pytest.raises(PoolFull):
            attempt()
    world.driver.set_access_mode(share, AccessMode.RO, world.call())
    assert world.array.script.lift(fault) == 3
    assert world.driver.resize_share(share, 2 * MIB, world.call()).size == 2 * MIB


def test_error_before_effect_leaves_nothing(world: World) -> None:
    """ERROR_BEFORE_EFFECT is Unknown, and there is nothing."""
    world.array.script.add(FaultKind.ERROR_BEFORE_EFFECT, verb="create_share")
    share = ref()
    with pytest.raises(Unknown):
        world.driver.create_share(share, MIB, world.call())
    assert world.driver.observe(share) is None


def test_error_after_effect_leaves_everything(world: World) -> None:
    """ERROR_AFTER_EFFECT is Unknown, and the work is done; the same call again adopts it."""
    share, snapshot, call = ref(), ref(), world.call()
    world.array.script.add(FaultKind.ERROR_AFTER_EFFECT, times=3)
    with pytest.raises(Unknown):
        world.driver.create_share(share, MIB, call)
    with pytest.raises(Unknown):
        world.driver.create_snapshot(share, snapshot, call)
    with pytest.raises(Unknown):
        world.driver.delete_share(share, call)
    assert world.driver.observe(share) is None
    state = world.driver.observe(snapshot)
    assert state is not None
    assert state.complete
    assert [effect.verb for effect in world.array.ledger.effects()][:2] == ["create_share", "create_snapshot"]


def test_hang_before_the_effect_is_long_and_then_succeeds(world: World) -> None:
    """HANG delays the effect, and the call then goes on."""
    world.array.script.add(FaultKind.HANG, verb="create_share", before=0.2)
    share = ref()
    hanging = Background(lambda: world.driver.create_share(share, MIB, world.call()))
    time.sleep(0.05)
    assert hanging.running
    assert world.driver.observe(share) is None
    assert isinstance(hanging.result(), ShareObject)


def test_hang_after_the_effect_shows_the_effect_meanwhile(world: World) -> None:
    """HANG with ``after`` holds back the answer alone."""
    fault = world.array.script.add(FaultKind.HANG, verb="create_share", after=30)
    share = ref()
    hanging = Background(lambda: world.driver.create_share(share, MIB, world.call()))
    _until(lambda: world.driver.observe(share) is not None)
    assert hanging.running
    world.array.script.lift(fault)
    assert isinstance(hanging.result(), ShareObject)


def test_lifted_hang_goes_on_with_its_effect(world: World) -> None:
    """Lifting the rule wakes the calls that hang by it."""
    fault = world.array.script.add(FaultKind.HANG, verb="create_share", before=60)
    share = ref()
    hanging = Background(lambda: world.driver.create_share(share, MIB, world.call()))
    _until(lambda: world.array.script.hits(fault) == 1)
    world.array.script.clear()
    assert isinstance(hanging.result(), ShareObject)


def test_interrupted_hang_ends_without_effect_and_later_hangs_hang(world: World) -> None:
    """interrupt() ends what hangs now as Unknown; test teardown never waits."""
    fault = world.array.script.add(FaultKind.HANG, verb="create_share", before=60, times=None)
    share = ref()
    for turn in range(2):
        hanging = Background(lambda: world.driver.create_share(share, MIB, world.call()))
        _until(lambda turn=turn: world.array.script.hits(fault) == turn + 1)  # type: ignore[misc]
        world.array.interrupt()
        assert isinstance(hanging.result(), Unknown)
    assert world.driver.observe(share) is None


def test_zombie_that_hung_over_a_newer_epoch_changes_nothing(world: World) -> None:
    """A first attempt that wakes up after a second one with a newer epoch is refused as stale."""
    share = world.share()
    fault = world.array.script.add(FaultKind.HANG, verb="resize_share", before=60)
    zombie = Background(lambda: world.driver.resize_share(share, 2 * MIB, world.call(1)))
    _until(lambda: world.array.script.hits(fault) == 1)
    world.driver.resize_share(share, 3 * MIB, world.call(2))
    world.array.script.lift(fault)
    assert isinstance(zombie.result(), StaleEpoch)
    state = world.driver.observe(share)
    assert state is not None
    assert state.size == 3 * MIB


def test_zombie_create_after_its_delete_makes_nothing(world: World) -> None:
    """A create that hung while it was undone is refused."""
    share = ref()
    fault = world.array.script.add(FaultKind.HANG, verb="create_share", before=60)
    zombie = Background(lambda: world.driver.create_share(share, MIB, world.call(1)))
    _until(lambda: world.array.script.hits(fault) == 1)
    world.driver.delete_share(share, world.call(1))
    world.array.script.lift(fault)
    assert isinstance(zombie.result(), StaleEpoch)
    assert world.driver.observe(share) is None


def test_hang_can_end_in_an_error(world: World) -> None:
    """A hang does not decide: the next matching rule does."""
    world.array.script.add(FaultKind.HANG, verb="create_share", before=0.05)
    world.array.script.add(FaultKind.ERROR_AFTER_EFFECT, verb="create_share")
    share = ref()
    begun = time.monotonic()
    with pytest.raises(Unknown):
        world.driver.create_share(share, MIB, world.call())
    assert time.monotonic() - begun >= 0.05
    assert world.driver.observe(share) is not None


@pytest.mark.parametrize("broken", [True, False])
def test_half_made_share_is_seen_completed_and_counted_once(world: World, broken: bool) -> None:
    """HALF leaves an incomplete object and says so, or not; the same call completes it."""
    world.array.script.add(FaultKind.HALF, verb="create_share", broken=broken)
    share, call = ref(), world.call()
    with pytest.raises(Broken if broken else Unknown) as raised:
        world.driver.create_share(share, MIB, call)
    assert not isinstance(raised.value, Broken) or raised.value.residue == (share.name,)
    state = world.driver.observe(share)
    assert state is not None
    assert not state.complete
    assert world.driver.list_objects("p1").objects == (state,)
    assert world.driver.create_share(share, MIB, call).size == MIB
    assert len([effect for effect in world.array.ledger.effects() if effect.verb == "create_share"]) == 1


def test_half_made_snapshot_is_incomplete_and_finished_by_the_same_call(world: World) -> None:
    """HALF of a snapshot: not complete, cannot be cloned; the call made anew freezes what is there then."""
    share = world.share()
    world.client.write(share, "f", b"then")
    snapshot, call = ref(), world.call()
    world.array.script.add(FaultKind.HALF)
    with pytest.raises(Broken):
        world.driver.create_snapshot(share, snapshot, call)
    with pytest.raises(NotFound):
        world.driver.clone_snapshot(snapshot, ref(), MIB, call)
    world.client.write(share, "f", b"now")
    assert finish(lambda: world.driver.create_snapshot(share, snapshot, call)).state is JobState.DONE
    assert world.client.read(snapshot, "f") == b"now"


def test_half_made_clone_is_not_adopted_and_goes_with_a_delete(world: World) -> None:
    """HALF of a clone: create_share does not take it for a share, delete leaves nothing."""
    share = world.share()
    snapshot, clone, call = world.snapshot(share), ref(), world.call()
    world.array.script.add(FaultKind.HALF)
    with pytest.raises(Broken):
        world.driver.clone_snapshot(snapshot, clone, MIB, call)
    with pytest.raises(Conflict):
        world.driver.create_share(clone, MIB, world.call())
    assert world.driver.delete_share(clone, call).state is JobState.DONE
    assert world.driver.observe(clone) is None


def test_half_done_revert_has_changed_nothing(world: World) -> None:
    """HALF of a revert: the switch is atomic, so the old content is there; the same call finishes it."""
    share = world.share()
    world.client.write(share, "f", b"then")
    snapshot, call = world.snapshot(share), world.call()
    world.client.write(share, "f", b"now")
    world.array.script.add(FaultKind.HALF)
    with pytest.raises(Broken):
        world.driver.revert_share(share, snapshot, call)
    assert world.client.read(share, "f") == b"now"
    assert finish(lambda: world.driver.revert_share(share, snapshot, call)).state is JobState.DONE
    assert world.client.read(share, "f") == b"then"


def test_half_done_delete_shows_an_incomplete_object_that_never_comes_back(world: World) -> None:
    """HALF of a delete: the name is dead already, the object still in the way; the same call removes it."""
    share, call = world.share(), world.call()
    world.array.script.add(FaultKind.HALF)
    with pytest.raises(Broken):
        world.driver.delete_share(share, call)
    state = world.driver.observe(share)
    assert state is not None
    assert not state.complete
    with pytest.raises(StaleEpoch):
        world.driver.create_share(share, MIB, call)
    assert world.driver.delete_share(share, call).state is JobState.DONE
    assert world.driver.observe(share) is None


def test_wrong_answer_says_success_without_effect(world: World) -> None:
    """WRONG_ANSWER lies: success without effect, another size, nothing where something is."""
    share, late = world.share(), ref()
    script = world.array.script
    script.add(FaultKind.WRONG_ANSWER, verb="create_share")
    assert world.driver.create_share(late, MIB, world.call()).size == MIB
    assert world.driver.observe(late) is None
    script.add(FaultKind.WRONG_ANSWER, verb="create_share", size=512)
    assert world.driver.create_share(late, MIB, world.call()).size == 512
    script.add(FaultKind.WRONG_ANSWER, verb="delete_share")
    assert world.driver.delete_share(share, world.call()) == Job.done()
    script.add(FaultKind.WRONG_ANSWER, verb="observe")
    assert world.driver.observe(share) is None
    assert world.driver.observe(share) is not None
    script.add(FaultKind.WRONG_ANSWER, verb="used_bytes", size=77)
    assert world.driver.used_bytes(share) == 77
    script.add(FaultKind.WRONG_ANSWER, verb="pools", size=5)
    assert {report.free for report in world.driver.pools()} == {5}


def test_stale_listing_is_partial_old_or_empty(world: World) -> None:
    """STALE_LISTING gives what a bad array would give, and only a partial one admits it."""
    old = {world.share() for _ in range(4)}
    script = world.array.script
    script.add(FaultKind.STALE_LISTING, listing=StaleListing.OLD)
    new = world.share()
    stale = world.driver.list_objects("p1")
    assert stale.complete
    assert {state.ref for state in stale.objects} == old
    script.add(FaultKind.STALE_LISTING, listing="partial")
    partial = world.driver.list_objects("p1")
    assert not partial.complete
    assert len(partial.objects) == 3
    script.add(FaultKind.STALE_LISTING, listing="empty")
    assert world.driver.list_objects("p1").objects == ()
    assert {state.ref for state in world.driver.list_objects("p1").objects} == {*old, new}


def test_unreachable_array_answers_nothing_until_it_is_back(world: World) -> None:
    """UNREACHABLE makes every call Unknown, reading ones included, until it is lifted."""
    share = world.share()
    outage = world.array.script.add(FaultKind.UNREACHABLE)
    driver, call = world.driver, world.call()
    for attempt in (
        driver.pools,
        lambda: driver.observe(share),
        lambda: driver.list_objects("p1"),
        lambda: driver.create_share(ref(), MIB, call),
        lambda: driver.delete_share(share, call),
        lambda: driver.cancel_job(call),
        lambda: driver.data_path(share),
        lambda: driver.used_bytes(share),
    ):
        with pytest.raises(Unknown):
            attempt()
    assert world.array.script.lift(outage) == 8
    assert driver.observe(share) is not None


def test_failed_job_says_why_and_the_same_call_starts_it_anew(world: World) -> None:
    """FAIL_JOB ends the job that the call finds or starts."""
    share = world.share()
    world.client.write(share, "f", b"1")
    snapshot = world.snapshot(share)
    clone, call = ref(), world.call()
    world.array.script.add(FaultKind.FAIL_JOB, verb="clone_snapshot", message="disk on fire")
    failed = world.driver.clone_snapshot(snapshot, clone, MIB, call)
    assert (failed.state, failed.message) == (JobState.FAILED, "disk on fire")
    state = world.driver.observe(clone)
    assert state is not None
    assert not state.complete
    assert finish(lambda: world.driver.clone_snapshot(snapshot, clone, MIB, call)).state is JobState.DONE
    assert world.client.read(clone, "f") == b"1"


def test_rule_hits_only_the_calls_it_names(world: World) -> None:
    """Filters: verb, pool, object name, operation (exact), step; ``skip`` lets calls pass first."""
    share, script = world.share(), world.array.script
    script.add(FaultKind.BUSY, verb="resize_share", name=share.name, operation="op-1", step="grow", skip=1)
    driver = world.driver
    for call in (world.call(1, "op-1", "other"), world.call(1, "op-10", "grow"), world.call(1, "OP-1", "grow")):
        driver.resize_share(share, 2 * MIB, call)
    driver.set_access_mode(share, AccessMode.RW, world.call(1, "op-1", "grow"))
    driver.resize_share(world.share(), 2 * MIB, world.call(1, "op-1", "grow"))
    driver.resize_share(share, 3 * MIB, world.call(1, "op-1", "grow"))
    with pytest.raises(Busy):
        driver.resize_share(share, 4 * MIB, world.call(1, "op-1", "grow"))


def test_rule_for_a_source_hits_calls_that_use_it(world: World) -> None:
    """An object name matches sources as well as targets."""
    share = world.share()
    world.array.script.add(FaultKind.BUSY, name=share.name)
    with pytest.raises(Busy):
        world.driver.create_snapshot(share, ref(), world.call())


def test_rules_decide_in_the_order_in_which_they_were_added(world: World) -> None:
    """Used-up rules give way to the next."""
    world.array.script.add(FaultKind.BUSY, times=2)
    world.array.script.add(FaultKind.REJECT)
    share, outcomes = ref(), []
    for _ in range(4):
        try:
            world.driver.create_share(share, MIB, world.call())
            outcomes.append("ok")
        except DriverError as error:
            outcomes.append(type(error).__name__)
    assert outcomes == ["Busy", "Busy", "Rejected", "ok"]
    assert [call.outcome for call in world.array.calls("create_share")] == outcomes


def test_calls_are_recorded_with_who_asked_and_how_it_ended(world: World) -> None:
    """Tests can see every call that reached the array."""
    share = ref()
    world.driver.create_share(share, MIB, world.call(3, "op-9", "make"))
    with pytest.raises(PoolFull):
        world.driver.create_share(ref(), 2 * GIB, world.call())
    first, second = world.array.calls("create_share")
    assert (first.name, first.operation, first.step, first.epoch) == (share.name, "op-9", "make", 3)
    assert (first.outcome, second.outcome) == ("ok", "PoolFull")
    assert world.array.counters()["create_share"] == 2


@pytest.mark.parametrize(
    "wrong", [{"verb": "create"}, {"times": 0}, {"times": -1}, {"skip": -1}, {"listing": "gone"}], ids=str
)
def test_rule_that_could_never_work_is_refused(world: World, wrong: dict[str, object]) -> None:
    """A typo in a test is an error, not a fault that never comes."""
    with pytest.raises(ValueError, match=r"verb|times|StaleListing"):
        world.array.script.add(FaultKind.STALE_LISTING, **wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="not a valid FaultKind"):
        world.array.script.add("bussy")


def test_every_verb_can_be_scripted(world: World) -> None:
    """The list of verbs is the contract's."""
    share, snapshot, call, driver = ref(), ref(), world.call(), world.driver
    calls: dict[str, Callable[[], object]] = {
        "create_share": lambda: driver.create_share(share, MIB, call),
        "resize_share": lambda: driver.resize_share(share, MIB, call),
        "set_access_mode": lambda: driver.set_access_mode(share, AccessMode.RW, call),
        "set_qos": lambda: driver.set_qos(share, {}, call),
        "enforced_qos": lambda: driver.enforced_qos(share),
        "delete_share": lambda: driver.delete_share(share, call),
        "used_bytes": lambda: driver.used_bytes(share),
        "observe": lambda: driver.observe(share),
        "list_objects": lambda: driver.list_objects("p1"),
        "cancel_job": lambda: driver.cancel_job(call),
        "create_snapshot": lambda: driver.create_snapshot(share, snapshot, call),
        "delete_snapshot": lambda: driver.delete_snapshot(snapshot, call),
        "clone_snapshot": lambda: driver.clone_snapshot(snapshot, share, MIB, call),
        "revert_share": lambda: driver.revert_share(share, snapshot, call),
        "data_path": lambda: driver.data_path(share),
        "pools": driver.pools,
        "find_writers": lambda: driver.find_writers(share),
        "receive_snapshot": lambda: driver.receive_snapshot(driver, snapshot, ref(), share, call),
        "send_snapshot": lambda: driver.receive_snapshot(driver, snapshot, ref(), share, call),
        "is_unchanged": lambda: driver.is_unchanged(share, snapshot),
        "changed_bytes": lambda: driver.changed_bytes(share, snapshot),
    }
    assert set(calls) == set(VERBS)
    for verb, attempt in calls.items():
        world.array.script.add(FaultKind.ERROR_BEFORE_EFFECT, verb=verb, message=f"at {verb}")
        with pytest.raises(Unknown, match=f"at {verb}"):
            attempt()


def _until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)
