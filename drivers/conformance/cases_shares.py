"""Shares: create, observe, list, resize, use, delete."""

from __future__ import annotations

import errno
import time

import pytest

from drivers.conformance.bench import LAST_EPOCH, Bench, needs, without_time
from drivers.contract import AccessMode, Job, JobState, ObjectKind, ObjectRef
from drivers.errors import Conflict, NotFound, OverUsed, Rejected

MIB = 2**20
CHUNK = bytes(range(256)) * 1024  # 256 KiB


def fill(bench: Bench, ref: ObjectRef, amount: int, name: str = "fill") -> int:
    """Write files until ``amount`` bytes are in or the storage refuses for lack of room; bytes that went in."""
    written = 0
    while written < amount:
        try:
            bench.client.write(ref, f"{name}-{written // len(CHUNK):06}", CHUNK)
        except OSError as error:
            if error.errno not in {errno.EDQUOT, errno.ENOSPC}:
                raise
            return written
        written += len(CHUNK)
    return written


class TestCreate:
    """create_share."""

    def test_new_share_is_complete_writable_and_of_the_size_asked(self, bench: Bench) -> None:
        """A created share is complete, in mode rw, of the exact size."""
        ref = bench.create()
        state = bench.state(ref)
        assert (state.kind, state.size, state.complete) == (ObjectKind.SHARE, bench.size, True)
        assert (state.mode, state.ref) == (AccessMode.RW, ref)
        assert state.created_at == 0 or abs(time.time() - state.created_at) < 3600

    def test_new_share_is_empty(self, bench: Bench) -> None:
        """Nothing of another share shows up in a new one."""
        if bench.has("data"):
            assert bench.client.tree(bench.create()) == {}
        assert bench.driver.used_bytes(bench.create()) < bench.size

    def test_ten_equal_creates_make_one_share(self, bench: Bench) -> None:
        """The same call again gives the same share, from any instance, and has no second effect."""
        ref, call = bench.ref(), bench.call()
        first = bench.driver.create_share(ref, bench.size, call)
        with bench.unchanged():
            for driver in (bench.driver, bench.another()) * 5:
                assert driver.create_share(ref, bench.size, call) == first

    def test_create_by_another_operation_of_the_same_name_and_size_adopts(self, bench: Bench) -> None:
        """Idempotency is by name and size: another key finds the same share."""
        ref = bench.ref()
        first = bench.driver.create_share(ref, bench.size, bench.call(1))
        assert bench.driver.create_share(ref, bench.size, bench.call(2)) == first
        assert len(bench.listing()) == len(bench.before) + 1

    @pytest.mark.parametrize("factor", [2, 0.5], ids=["larger", "smaller"])
    def test_same_name_with_another_size_conflicts_and_changes_nothing(self, bench: Bench, factor: float) -> None:
        """A name stands for one request."""
        ref = bench.create()
        with bench.unchanged(), pytest.raises(Conflict):
            bench.driver.create_share(ref, int(bench.size * factor), bench.call(1))

    def test_create_again_keeps_what_clients_wrote(self, bench: Bench) -> None:
        """A repeated create does not empty the share."""
        if not bench.has("data"):
            pytest.skip("not declared by the driver: data")
        ref, call = bench.ref(), bench.call()
        bench.driver.create_share(ref, bench.size, call)
        bench.client.write(ref, "kept", b"bytes")
        bench.driver.create_share(ref, bench.size, call)
        assert bench.client.tree(ref) == {"kept": b"bytes"}

    def test_export_paths_are_there_and_stay(self, bench: Bench) -> None:
        """A share says under which paths it is reached, the same ones in every answer."""
        ref, call = bench.ref(), bench.call()
        made = bench.driver.create_share(ref, bench.size, call)
        assert made.export_paths
        assert all(type(path) is str and path for path in made.export_paths)
        again = bench.another().create_share(ref, bench.size, call)
        grown = bench.driver.resize_share(ref, bench.size * 2, bench.call())
        assert made.export_paths == again.export_paths == grown.export_paths

    def test_two_shares_do_not_share_paths(self, bench: Bench) -> None:
        """Every share has export paths of its own."""
        made = [bench.driver.create_share(bench.ref(), bench.size, bench.call()) for _ in range(2)]
        assert not set(made[0].export_paths) & set(made[1].export_paths)


class TestObserve:
    """observe and list_objects."""

    def test_missing_name_is_certainly_nothing(self, bench: Bench) -> None:
        """None means: there is nothing."""
        assert bench.driver.observe(bench.ref()) is None

    def test_every_instance_sees_the_same(self, bench: Bench) -> None:
        """What one process made, another observes."""
        ref = bench.create()
        assert bench.another().observe(ref) == bench.driver.observe(ref) is not None

    def test_listing_says_the_same_as_observe(self, bench: Bench) -> None:
        """A listing holds every object as observe shows it, in its own pool only."""
        refs = [bench.create() for _ in range(3)]
        if bench.has("snapshots"):
            refs.append(bench.snapshot(refs[0]))
        listing = bench.listing()
        for ref in refs:
            assert listing[ref] == bench.state(ref)
        for pool in bench.target.config.pools:
            assert all(state.ref.pool == pool.name for state in bench.driver.list_objects(pool.name).objects)

    @needs("tags")
    def test_objects_carry_deployment_and_operation(self, bench: Bench) -> None:
        """Tags are those of the call that made the object, also when another instance asks."""
        ref, call = bench.ref(), bench.call(3)
        bench.driver.create_share(ref, bench.size, call)
        for driver in (bench.driver, bench.another()):
            state = driver.observe(ref)
            assert state is not None
            assert (state.deployment, state.operation, state.epoch) == (call.deployment, call.operation, 3)

    @needs("tags")
    def test_tags_follow_the_last_change(self, bench: Bench) -> None:
        """The operation tag is that of the last call that changed the object."""
        ref, call = bench.create(), bench.call(2)
        bench.driver.resize_share(ref, bench.size * 2, call)
        assert (bench.state(ref).operation, bench.state(ref).epoch) == (call.operation, 2)

    @needs("tags")
    def test_share_of_another_deployment_is_not_adopted(self, bench: Bench) -> None:
        """The same name and size under another owner is a Conflict, and nothing changes."""
        ref = bench.create()
        with bench.unchanged(), pytest.raises(Conflict):
            bench.driver.create_share(ref, bench.size, bench.call(1, deployment="another-deployment"))

    def test_observing_changes_nothing(self, bench: Bench) -> None:
        """Read calls are read only."""
        ref = bench.create()
        with bench.unchanged():
            for _ in range(10):
                bench.driver.observe(ref)
                bench.driver.used_bytes(ref)
                bench.driver.list_objects(bench.pool)


class TestResize:
    """resize_share and quotas."""

    def test_grow_ten_times_the_same_grows_once(self, bench: Bench) -> None:
        """Setting the size it has succeeds and changes nothing."""
        ref, call = bench.create(), bench.call()
        made = bench.driver.resize_share(ref, bench.size * 2, call)
        assert made.size == bench.size * 2 == bench.state(ref).size
        with bench.unchanged():
            for driver in (bench.driver, bench.another()) * 5:
                assert driver.resize_share(ref, bench.size * 2, call) == made

    def test_resize_of_a_missing_share_is_not_found(self, bench: Bench) -> None:
        """Resize makes nothing."""
        with bench.unchanged(), pytest.raises(NotFound):
            bench.driver.resize_share(bench.ref(), bench.size, bench.call())

    @needs("data")
    def test_grow_keeps_the_data(self, bench: Bench) -> None:
        """Content survives a resize."""
        ref = bench.create()
        bench.client.write(ref, "a/b", b"1")
        bench.driver.resize_share(ref, bench.size * 2, bench.call())
        assert bench.client.tree(ref) == {"a/b": b"1"}

    def test_shrink_works_or_is_refused_as_declared(self, bench: Bench) -> None:
        """A declared shrink works on an empty share; a driver that cannot shrink says so and changes nothing."""
        ref = bench.create(bench.size * 2)
        if bench.has("shrink"):
            assert bench.driver.resize_share(ref, bench.size, bench.call()).size == bench.size
            assert bench.state(ref).size == bench.size
        else:
            with bench.unchanged(), pytest.raises(Rejected):
                bench.driver.resize_share(ref, bench.size, bench.call())

    @needs("shrink", "data")
    def test_shrink_below_the_bytes_in_use_is_refused_with_their_number(self, bench: Bench) -> None:
        """OverUsed says how many bytes are in use; nothing was changed."""
        ref = bench.create()
        written = fill(bench, ref, bench.size // 2)
        with bench.unchanged(), pytest.raises(OverUsed) as refused:
            bench.driver.resize_share(ref, bench.size // 4, bench.call())
        assert written <= refused.value.used <= bench.size
        assert bench.client.read(ref, "fill-000000") == CHUNK

    @needs("data")
    def test_used_bytes_follow_the_data_at_once(self, bench: Bench) -> None:
        """The figure is fresh enough to decide a shrink."""
        ref = bench.create()
        empty = bench.driver.used_bytes(ref)
        written = fill(bench, ref, bench.size // 4)
        assert bench.driver.used_bytes(ref) >= empty + written
        for name in bench.client.tree(ref):
            bench.client.remove(ref, name)
        assert bench.driver.used_bytes(ref) < written

    def test_used_bytes_of_a_missing_share_are_not_found(self, bench: Bench) -> None:
        """There is no usage without a share."""
        with pytest.raises(NotFound):
            bench.driver.used_bytes(bench.ref())

    @needs("quota_enforced", "data")
    def test_share_cannot_hold_more_than_its_size(self, bench: Bench) -> None:
        """Writes beyond the size fail with EDQUOT or ENOSPC."""
        ref = bench.create()
        written = fill(bench, ref, bench.size * 2)
        assert bench.size // 2 <= written <= bench.size, f"{written} bytes went into a share of {bench.size}"

    @needs("quota_enforced", "data")
    def test_full_share_takes_more_after_it_has_grown(self, bench: Bench) -> None:
        """The new size is enforced at once, and it is the new one."""
        ref = bench.create()
        fill(bench, ref, bench.size * 2)
        bench.driver.resize_share(ref, bench.size * 2, bench.call())
        assert fill(bench, ref, bench.size // 2, "more") >= bench.size // 2
        assert fill(bench, ref, bench.size * 2, "most") <= bench.size


class TestDelete:
    """delete_share."""

    def test_deleted_share_is_gone(self, bench: Bench) -> None:
        """After delete there is certainly nothing, and the verbs that need the share say so."""
        ref = bench.create()
        bench.delete(ref)
        assert bench.driver.observe(ref) is None
        assert ref not in bench.listing()
        with pytest.raises(NotFound):
            bench.driver.used_bytes(ref)
        with pytest.raises(NotFound):
            bench.driver.resize_share(ref, bench.size * 2, bench.call(LAST_EPOCH))

    def test_delete_of_a_missing_share_is_done(self, bench: Bench) -> None:
        """Delete is idempotent by nature."""
        with bench.unchanged():
            assert bench.driver.delete_share(bench.ref(), bench.call()).state is JobState.DONE

    def test_ten_deletes_are_as_good_as_one(self, bench: Bench) -> None:
        """The same delete again is done again, from any instance and by any operation."""
        ref, call = bench.create(), bench.call()
        other = bench.create()
        for driver in (bench.driver, bench.another()) * 5:
            bench.delete(ref, call, driver)
        bench.delete(ref, bench.call(2))
        assert bench.driver.observe(ref) is None
        assert bench.state(other).complete

    @needs("data")
    def test_share_with_data_is_deleted_with_it(self, bench: Bench) -> None:
        """Content is no obstacle, odd names included."""
        ref = bench.create()
        for name in ("a", "d/e/f", "d/-rf", "d/.hidden", "d/new\nline", "d/sp ace", "ünï"):
            bench.client.write(ref, name, b"x")
        bench.delete(ref)
        assert bench.driver.observe(ref) is None

    @pytest.mark.parametrize("epoch", [1, 2, 1000])
    def test_deleted_name_can_never_be_created_again(self, bench: Bench, epoch: int) -> None:
        """A create after delete is refused whatever its epoch, in every instance."""
        ref = bench.create()
        bench.delete(ref, bench.call(1))
        for driver in (bench.driver, bench.another()):
            with bench.unchanged(), pytest.raises(Rejected):
                driver.create_share(ref, bench.size, bench.call(epoch))
        assert bench.driver.observe(ref) is None

    def test_name_deleted_before_its_create_came_is_never_created(self, bench: Bench) -> None:
        """A delete that overtakes the create wins."""
        ref = bench.ref()
        bench.delete(ref, bench.call(1))
        with bench.unchanged(), pytest.raises(Rejected):
            bench.another().create_share(ref, bench.size, bench.call(1))

    @needs("snapshots")
    def test_deleting_a_snapshot_as_if_it_were_a_share_does_not_destroy_it(self, bench: Bench) -> None:
        """A call for the wrong kind of object is refused."""
        snapshot = bench.snapshot(bench.create())
        with bench.unchanged(), pytest.raises(Rejected):
            bench.driver.delete_share(snapshot, bench.call(1))

    def test_lifecycle_ten_times_over_leaves_an_empty_listing(self, bench: Bench) -> None:
        """Create, grow, delete; nothing piles up."""
        before = bench.listing()
        for _ in range(10):
            ref = bench.create()
            bench.driver.resize_share(ref, bench.size * 2, bench.call(2))
            if bench.has("snapshots"):
                bench.delete(bench.snapshot(ref, 3), bench.call(3))
            bench.delete(ref, bench.call(4))
        assert bench.listing() == before

    def test_answer_of_delete_is_a_job(self, bench: Bench) -> None:
        """Slow deletes can be watched."""
        job = bench.driver.delete_share(bench.create(), bench.call(2))
        assert type(job) is Job
        assert job.state in {JobState.RUNNING, JobState.DONE}


class TestDurability:
    """What was answered stays, whatever process asks."""

    def test_share_is_unchanged_after_every_instance_was_closed(self, bench: Bench) -> None:
        """State lives on the backend, not in the process."""
        ref = bench.create()
        if bench.has("data"):
            bench.client.write(ref, "f", b"data")
        before = bench.state(ref)
        bench.driver.close()
        fresh = bench.reopen()
        found = fresh.observe(ref)
        assert found is not None
        assert without_time(found) == without_time(before)
        if bench.has("data"):
            assert bench.client.read(ref, "f") == b"data"

    def test_deleted_name_stays_refused_after_every_instance_was_closed(self, bench: Bench) -> None:
        """Tombstones live on the backend too."""
        ref = bench.create()
        bench.delete(ref, bench.call(1))
        bench.driver.close()
        with pytest.raises(Rejected):
            bench.reopen().create_share(ref, bench.size, bench.call(1))
