"""Jobs: found again by the same call, cancelled, and deleted without a trace."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Callable

import pytest

from drivers.conformance.bench import Bench, check_job, needs, patiently
from drivers.contract import Call, Driver, Job, JobState, ObjectKind, ObjectRef
from drivers.errors import Busy, Rejected

FILES = 24
BLOCK = bytes(range(256)) * 512  # 128 KiB


def filled(bench: Bench) -> ObjectRef:
    """A share with something in it, so that a job has work to do."""
    share = bench.create()
    if bench.has("data"):
        for index in range(FILES):
            bench.client.write(share, f"d{index % 4}/f{index}", BLOCK)
    return share


class TestCancel:
    """cancel_job where there is little to cancel."""

    def test_cancel_of_an_unknown_job_gives_cancelled(self, bench: Bench) -> None:
        """Never raises, changes nothing."""
        bench.create()
        with bench.unchanged():
            for _ in range(2):
                assert bench.driver.cancel_job(bench.call()).state is JobState.CANCELLED

    @needs("snapshots")
    def test_cancel_of_a_job_that_is_over_leaves_its_object_complete(self, bench: Bench) -> None:
        """What is done is not undone by a late cancel."""
        share, snapshot, call = bench.create(), bench.ref(ObjectKind.SNAPSHOT), bench.call()
        bench.complete(lambda: bench.snapshots().create_snapshot(share, snapshot, call))
        with bench.unchanged():
            assert bench.driver.cancel_job(call).state in {JobState.DONE, JobState.CANCELLED}
        assert bench.state(snapshot).complete


@needs("snapshots", "clone")
class TestCloneJobs:
    """The life of a clone job; also holds for drivers whose clones are done at once."""

    def test_progress_never_goes_back_and_ends_with_a_complete_share(self, bench: Bench) -> None:
        """While the job runs the share is not complete; after done it is."""
        snapshot, clone, call = bench.snapshot(filled(bench)), bench.ref(), bench.call()
        drivers, seen = (bench.driver, bench.another()), 0
        deadline = time.monotonic() + bench.target.job_timeout
        job = Job(state=JobState.RUNNING)
        for driver in itertools.cycle(drivers):
            job = patiently(_clone_call(bench, driver, snapshot, clone, call))
            check_job(job)
            assert job.bytes_done >= seen or job.state is JobState.DONE, "progress went back"
            seen = job.bytes_done
            if job.state is not JobState.RUNNING:
                break
            assert time.monotonic() < deadline, f"still running: {job}"
            time.sleep(0.01)
        assert job.state is JobState.DONE
        assert bench.state(clone).complete
        if bench.has("data"):
            assert bench.client.tree(clone) == bench.client.tree(snapshot)

    def test_job_is_found_again_after_its_process_went_away(self, bench: Bench) -> None:
        """Another instance takes the same call to its end."""
        snapshot, clone, call = bench.snapshot(filled(bench)), bench.ref(), bench.call()
        first = bench.another()
        started = bench.clones(first).clone_snapshot(snapshot, clone, bench.size, call)
        first.close()
        assert started.state in {JobState.RUNNING, JobState.DONE}
        last = bench.clones(bench.another())
        bench.complete(lambda: last.clone_snapshot(snapshot, clone, bench.size, call))
        assert bench.state(clone).complete
        if bench.has("data"):
            assert bench.client.tree(clone) == bench.client.tree(snapshot)

    def test_share_is_never_adopted_before_its_clone_is_complete(self, bench: Bench) -> None:
        """While the job runs, create_share with the same name waits or refuses."""
        snapshot, clone, call = bench.snapshot(filled(bench)), bench.ref(), bench.call()
        job = bench.clones().clone_snapshot(snapshot, clone, bench.size, call)
        if job.state is JobState.RUNNING:
            with contextlib.suppress(Busy, Rejected):
                bench.driver.create_share(clone, bench.size, bench.call())
                assert bench.state(clone).complete, "a clone that is not complete was adopted"
        bench.complete(_clone_call(bench, bench.driver, snapshot, clone, call))
        assert bench.driver.create_share(clone, bench.size, bench.call()).ref == clone
        if bench.has("data"):
            assert bench.client.tree(clone) == bench.client.tree(snapshot)

    def test_cancelled_clone_is_deleted_without_a_trace(self, bench: Bench) -> None:
        """Cancel, then delete: nothing is left and nothing comes back."""
        snapshot, clone, call = bench.snapshot(filled(bench)), bench.ref(), bench.call()
        started = bench.clones().clone_snapshot(snapshot, clone, bench.size, call)
        over = bench.another().cancel_job(call)
        assert over.state is JobState.CANCELLED or (over.state is JobState.DONE and bench.state(clone).complete)
        assert started.state is JobState.RUNNING or bench.state(clone).complete
        bench.delete(clone, bench.call(1))
        assert bench.driver.observe(clone) is None
        assert clone not in bench.listing()
        time.sleep(0.05)
        assert bench.driver.observe(clone) is None
        with pytest.raises(Rejected):
            bench.clones().clone_snapshot(snapshot, clone, bench.size, call)
        assert bench.state(snapshot).complete

    def test_cancelled_clone_is_never_complete_by_accident(self, bench: Bench) -> None:
        """What a cancelled job left shows as incomplete, or not at all; the call made anew finishes it."""
        snapshot, clone, call = bench.snapshot(filled(bench)), bench.ref(), bench.call()
        bench.clones().clone_snapshot(snapshot, clone, bench.size, call)
        over = bench.driver.cancel_job(call)
        state = bench.driver.observe(clone)
        if over.state is JobState.CANCELLED and state is not None and not state.complete:
            assert bench.driver.cancel_job(call).state is JobState.CANCELLED
        bench.complete(lambda: bench.clones().clone_snapshot(snapshot, clone, bench.size, call))
        assert bench.state(clone).complete
        if bench.has("data"):
            assert bench.client.tree(clone) == bench.client.tree(snapshot)

    def test_delete_stops_the_job_that_fills_the_share(self, bench: Bench) -> None:
        """No cancel is needed before a delete."""
        snapshot, clone, call = bench.snapshot(filled(bench)), bench.ref(), bench.call()
        bench.clones().clone_snapshot(snapshot, clone, bench.size, call)
        bench.delete(clone, bench.call(1), bench.another())
        assert bench.driver.observe(clone) is None
        time.sleep(0.05)
        assert bench.driver.observe(clone) is None
        assert clone not in bench.listing()

    def test_snapshot_deleted_during_a_clone_leaves_a_whole_clone_or_none(self, bench: Bench) -> None:
        """The delete waits (Busy) or the clone goes on; a clone that says done holds everything."""
        share = filled(bench)
        snapshot, clone, call = bench.snapshot(share), bench.ref(), bench.call()
        start = _clone_call(bench, bench.driver, snapshot, clone, call)
        job = start()
        try:
            first = bench.snapshots().delete_snapshot(snapshot, bench.call())
            assert first.state in {JobState.RUNNING, JobState.DONE}
            if job.state is JobState.RUNNING:
                job = _finish_or_refusal(bench, start)
        except Busy:
            assert job.state is JobState.RUNNING
            job = bench.finish(start)
        if job.state is JobState.DONE and bench.has("data"):
            assert bench.client.tree(clone) == bench.client.tree(share)


def _clone_call(bench: Bench, driver: Driver, snapshot: ObjectRef, clone: ObjectRef, call: Call) -> Callable[[], Job]:
    return lambda: bench.clones(driver).clone_snapshot(snapshot, clone, bench.size, call)


def _finish_or_refusal(bench: Bench, start: Callable[[], Job]) -> Job:
    try:
        return bench.finish(start)
    except Rejected as refusal:
        return Job(state=JobState.FAILED, message=refusal.reason)


@needs("snapshots")
class TestSnapshotAndRevertJobs:
    """Cancel and restart of the other jobs."""

    def test_cancelled_snapshot_is_deleted_without_a_trace(self, bench: Bench) -> None:
        """Cancel, then delete: nothing is left, the share is whole."""
        share, snapshot, call = filled(bench), bench.ref(ObjectKind.SNAPSHOT), bench.call()
        bench.snapshots().create_snapshot(share, snapshot, call)
        bench.driver.cancel_job(call)
        bench.delete(snapshot, bench.call(1))
        assert bench.driver.observe(snapshot) is None
        assert bench.state(share).complete

    @needs("revert", "data")
    def test_cancelled_revert_leaves_old_or_new_content_never_a_mixture(self, bench: Bench) -> None:
        """The switch is atomic, and the same call made anew finishes the revert."""
        share, call = filled(bench), bench.call()
        then = bench.client.tree(share)
        snapshot = bench.snapshot(share)
        for name in sorted(then)[::2]:
            bench.client.write(share, name, b"changed")
        now = bench.client.tree(share)
        bench.reverts().revert_share(share, snapshot, call)
        over = bench.driver.cancel_job(call)
        assert bench.client.tree(share) in ([then] if over.state is JobState.DONE else [then, now])
        bench.revert(share, snapshot, call, bench.another())
        assert bench.client.tree(share) == then
