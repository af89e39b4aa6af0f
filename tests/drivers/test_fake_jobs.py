"""Jobs of the fake array: progress, restarts, fences, cancels."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from drivers.contract import AccessMode, JobState, ObjectRef
from drivers.errors import Busy, Conflict, NotFound, StaleEpoch, Unknown
from drivers.fake import FakeDriver, forget_array
from tests.drivers.fakes import MIB, World, config_for, finish, ref

LONG = 1000.0


@pytest.fixture(params=["memory", "disk"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """A backend on each store, whose clones and reverts would take a quarter of an hour."""
    made = World(config_for(request.param, tmp_path, clone_seconds=LONG, revert_seconds=LONG, delete_seconds=0))
    yield made
    assert made.sound()
    forget_array(made.array)


def filled(world: World) -> tuple[ObjectRef, ObjectRef]:
    """A share that holds ``now`` and its snapshot that holds ``then``."""
    share = world.share()
    world.client.write(share, "f", b"then")
    snapshot = world.snapshot(share)
    world.client.write(share, "f", b"now")
    return share, snapshot


def test_clone_is_incomplete_until_its_time_is_over(world: World) -> None:
    """While the job runs the object is there and not complete; then it is complete without another call."""
    _, snapshot = filled(world)
    clone, call = ref(), world.call()
    job = world.driver.clone_snapshot(snapshot, clone, MIB, call)
    assert (job.state, job.bytes_total) == (JobState.RUNNING, 4)
    state = world.driver.observe(clone)
    assert state is not None
    assert not state.complete
    with pytest.raises(NotFound):
        world.driver.used_bytes(clone)
    with pytest.raises(Busy):
        world.driver.create_share(clone, MIB, world.call())
    assert world.array.finish_jobs() == 1
    state = world.driver.observe(clone)
    assert state is not None
    assert state.complete
    assert world.client.read(clone, "f") == b"then"
    assert world.driver.clone_snapshot(snapshot, clone, MIB, call).state is JobState.DONE
    assert world.driver.cancel_job(call).state is JobState.DONE


def test_progress_survives_a_restart_of_the_array(world: World) -> None:
    """A job stands still after a restart and goes on from where it was when its call is made anew."""
    _, snapshot = filled(world)
    clone, call = ref(), world.call()
    quick = world.another(clone_seconds=0.4)
    quick.clone_snapshot(snapshot, clone, MIB, call)
    time.sleep(0.25)
    world.array.restart()
    time.sleep(0.3)
    state = quick.observe(clone)
    assert state is not None
    assert not state.complete
    job = quick.clone_snapshot(snapshot, clone, MIB, call)
    assert job.state is JobState.RUNNING
    assert job.bytes_done >= 2
    begun = time.monotonic()
    assert finish(lambda: quick.clone_snapshot(snapshot, clone, MIB, call)).state is JobState.DONE
    assert time.monotonic() - begun < 0.3


def test_closed_instance_stops_its_jobs_and_no_others(world: World) -> None:
    """close() lets the instance's jobs stand still; another instance takes them up."""
    _, snapshot = filled(world)
    first, second = world.another(clone_seconds=0.2), world.another(clone_seconds=0.2)
    mine, other, call = ref(), ref(), world.call()
    first.clone_snapshot(snapshot, mine, MIB, call)
    second.clone_snapshot(snapshot, other, MIB, call)
    first.close()
    time.sleep(0.3)
    found = {one.ref: one.complete for one in second.list_objects("p1").objects}
    assert (found[mine], found[other]) == (False, True)
    with pytest.raises(Unknown):
        first.observe(mine)
    assert finish(lambda: second.clone_snapshot(snapshot, mine, MIB, call)).state is JobState.DONE


def test_revert_switches_at_its_end_and_not_before(world: World) -> None:
    """Before the switch the share has its old content and takes writes; after it the snapshot's."""
    share, snapshot = filled(world)
    call = world.call()
    assert world.driver.revert_share(share, snapshot, call).state is JobState.RUNNING
    assert world.client.tree(share) == {"f": b"now"}
    path = world.driver.data_path(share)
    world.array.finish_jobs()
    assert world.client.tree(share) == {"f": b"then"}
    assert (path / "f").read_bytes() == b"then"


def test_busy_share_refuses_another_job_of_the_same_epoch(world: World) -> None:
    """While a revert runs, a second revert, a resize and a mode change wait; reading and snapshots go on."""
    share, snapshot = filled(world)
    world.driver.revert_share(share, snapshot, world.call())
    for attempt in (
        lambda: world.driver.revert_share(share, snapshot, world.call()),
        lambda: world.driver.resize_share(share, 2 * MIB, world.call()),
        lambda: world.driver.set_access_mode(share, AccessMode.RO, world.call()),
    ):
        with pytest.raises(Busy):
            attempt()
    assert world.client.read(world.snapshot(share), "f") == b"now"


def test_newer_epoch_takes_a_share_from_an_older_job(world: World) -> None:
    """A call of a newer claim ends the revert of an older one, which never comes to its switch."""
    share, snapshot = filled(world)
    old = world.call(1)
    world.driver.revert_share(share, snapshot, old)
    world.driver.resize_share(share, 2 * MIB, world.call(2))
    assert world.array.finish_jobs() == 0
    with pytest.raises(StaleEpoch):
        world.driver.revert_share(share, snapshot, old)
    assert world.client.read(share, "f") == b"now"


def test_cancelled_clone_can_be_finished_or_deleted(world: World) -> None:
    """Cancel leaves a half-made share; the same call starts anew, a delete removes it."""
    _, snapshot = filled(world)
    for end in ("finish", "delete"):
        clone, call = ref(), world.call()
        world.driver.clone_snapshot(snapshot, clone, MIB, call)
        assert world.driver.cancel_job(call).state is JobState.CANCELLED
        assert world.array.finish_jobs() == 0
        with pytest.raises(Conflict):
            world.driver.create_share(clone, MIB, call)
        if end == "finish":
            world.driver.clone_snapshot(snapshot, clone, MIB, call)
            world.array.finish_jobs()
            assert world.client.read(clone, "f") == b"then"
        else:
            assert world.driver.delete_share(clone, call).state is JobState.DONE
            assert world.driver.observe(clone) is None


def test_cancel_by_an_older_epoch_is_stale(world: World) -> None:
    """A zombie cannot cancel."""
    _, snapshot = filled(world)
    clone = ref()
    world.driver.clone_snapshot(snapshot, clone, MIB, world.call(2, "op", "s"))
    with pytest.raises(StaleEpoch):
        world.driver.cancel_job(world.call(1, "op", "s"))
    assert world.array.finish_jobs() == 1


def test_snapshot_may_go_while_it_is_cloned(world: World) -> None:
    """The clone holds everything from its first call on."""
    _, snapshot = filled(world)
    clone, call = ref(), world.call()
    world.driver.clone_snapshot(snapshot, clone, MIB, call)
    world.driver.delete_snapshot(snapshot, world.call())
    world.array.finish_jobs()
    assert world.client.read(clone, "f") == b"then"
    assert world.driver.clone_snapshot(snapshot, clone, MIB, call).state is JobState.DONE


def test_slow_delete_is_half_made_until_it_is_over_and_keeps_its_space(world: World) -> None:
    """A running delete shows an incomplete object; space comes back at its end; cancelled, it goes on when called."""
    slow = world.another(delete_seconds=LONG)
    share, call = world.share(), world.call()
    free = _free(slow)
    assert slow.delete_share(share, call).state is JobState.RUNNING
    state = slow.observe(share)
    assert state is not None
    assert not state.complete
    assert _free(slow) == free
    with pytest.raises(NotFound):
        slow.resize_share(share, 2 * MIB, call)
    assert slow.cancel_job(call).state is JobState.CANCELLED
    with pytest.raises(StaleEpoch):
        slow.create_share(share, MIB, call)
    slow.delete_share(share, call)
    world.array.finish_jobs()
    assert slow.observe(share) is None
    assert _free(slow) == free + MIB
    assert slow.delete_share(share, call).state is JobState.DONE


def test_delete_during_a_revert_ends_the_revert(world: World) -> None:
    """A delete needs no cancel; nothing of the share comes back."""
    share, snapshot = filled(world)
    call = world.call()
    world.driver.revert_share(share, snapshot, call)
    assert world.driver.delete_share(share, world.call()).state is JobState.DONE
    assert world.array.finish_jobs() == 0
    assert world.driver.observe(share) is None
    with pytest.raises(NotFound):
        world.driver.revert_share(share, snapshot, call)


def _free(driver: FakeDriver) -> int:
    return next(report.free or 0 for report in driver.pools() if report.name == "p1")
