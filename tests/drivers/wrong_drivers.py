"""Deliberately wrong drivers: each breaks one promise of the contract, and names the tests that must catch it."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import tempfile
import threading
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from drivers.conformance import PathClient
from drivers.contract import (
    AccessMode,
    BackendConfig,
    Call,
    Capabilities,
    Driver,
    Job,
    JobState,
    Listing,
    ObjectRef,
    ObjectState,
    PoolReport,
    ShareObject,
    SupportsSnapshots,
)
from drivers.errors import Conflict, NotFound, OverUsed, Rejected, StaleEpoch
from drivers.fake import FakeClient, FakeDriver

OTHER = Call("", "another operation", "step", 1)


class Wrong(FakeDriver):
    """A fake driver with one fault. ``caught_by`` are the names of tests that must fail on it."""

    caught_by: ClassVar[tuple[str, ...]] = ()
    client: ClassVar[Any] = FakeClient
    options: ClassVar[dict[str, object]] = {}


class TrustsEveryCall(Wrong):
    """Compares no epochs and remembers no deletes."""

    caught_by = (
        "test_stale_create_is_refused",
        "test_stale_resize_is_refused",
        "test_stale_access_mode_is_refused",
        "test_stale_delete_is_refused",
        "test_stale_snapshot_calls_are_refused",
        "test_stale_clone_is_refused",
        "test_stale_revert_is_refused",
        "test_late_create_after_delete_is_stale",
        "test_late_snapshot_after_delete_is_stale",
        "test_late_clone_after_delete_is_stale",
        "test_deleted_name_can_never_be_created_again",
        "test_name_deleted_before_its_create_came_is_never_created",
        "test_deleted_name_stays_refused_after_every_instance_was_closed",
        "test_delete_among_creates_ends_deleted",
    )

    def __init__(self, config: BackendConfig) -> None:
        super().__init__(config)
        self.array.trust(trusting=True)


class FencesOnlyWhenItChanges(Wrong):
    """A call with nothing to do does not raise the fence."""

    caught_by = ("test_every_mutating_call_raises_the_fence",)

    def set_access_mode(self, ref: ObjectRef, mode: AccessMode, call: Call) -> None:
        state = self.observe(ref)
        if state is None or state.mode is not mode or call.epoch < state.epoch:
            super().set_access_mode(ref, mode, call)


class FencesAfterTheEffect(Wrong):
    """Changes the size first and finds the epoch stale later."""

    caught_by = ("test_stale_resize_is_refused",)

    def resize_share(self, ref: ObjectRef, size: int, call: Call) -> ShareObject:
        state = self.observe(ref)
        if state is not None and call.epoch < state.epoch:
            super().resize_share(ref, size, dataclasses.replace(call, epoch=state.epoch))
            raise StaleEpoch("too late")
        return super().resize_share(ref, size, call)


class AcceptsAnotherSize(Wrong):
    """The same name with another size gives the existing share."""

    caught_by = (
        "test_same_name_with_another_size_conflicts_and_changes_nothing",
        "test_creates_of_different_sizes_at_once_make_one_share",
    )

    def create_share(self, ref: ObjectRef, size: int, call: Call) -> ShareObject:
        try:
            return super().create_share(ref, size, call)
        except Conflict:
            return dataclasses.replace(super().resize_share(ref, size, call), size=size)


class RoundsSizes(Wrong):
    """Makes a share larger than asked."""

    caught_by = ("test_new_share_is_complete_writable_and_of_the_size_asked",)

    def create_share(self, ref: ObjectRef, size: int, call: Call) -> ShareObject:
        made = super().create_share(ref, size + 4096, call)
        return dataclasses.replace(made, size=size)


class FailsToDeleteWhatIsMissing(Wrong):
    """Delete of a missing share is an error."""

    caught_by = ("test_delete_of_a_missing_share_is_done", "test_ten_deletes_are_as_good_as_one")

    def delete_share(self, ref: ObjectRef, call: Call) -> Job:
        if self.observe(ref) is None:
            raise NotFound(f"no share {ref.name}")
        return super().delete_share(ref, call)


class DeletesAnyKind(Wrong):
    """delete_share destroys a snapshot of that name."""

    caught_by = ("test_deleting_a_snapshot_as_if_it_were_a_share_does_not_destroy_it",)

    def delete_share(self, ref: ObjectRef, call: Call) -> Job:
        try:
            return super().delete_share(ref, call)
        except Conflict:
            return super().delete_snapshot(ref, call)


class SaysDeletedAndKeeps(Wrong):
    """Delete answers done and does nothing."""

    caught_by = ("test_deleted_share_is_gone", "test_lifecycle_ten_times_over_leaves_an_empty_listing")

    def delete_share(self, ref: ObjectRef, call: Call) -> Job:
        return Job.done()


class LeavesResidue(Wrong):
    """Makes a second object of its own beside each share and forgets it."""

    caught_by = ("test_create_by_another_operation_of_the_same_name_and_size_adopts",)

    def create_share(self, ref: ObjectRef, size: int, call: Call) -> ShareObject:
        super().create_share(ObjectRef(ref.pool, f"sf-{uuid.uuid4()}"), size, call)
        return super().create_share(ref, size, call)


class RefreshesSnapshots(Wrong):
    """A repeated create_snapshot takes the snapshot anew."""

    caught_by = ("test_ten_equal_calls_take_one_snapshot_of_the_first_moment",)

    def create_snapshot(self, share: ObjectRef, snapshot: ObjectRef, call: Call) -> Job:
        job = super().create_snapshot(share, snapshot, call)
        source, copy = self.data_path(share), self.data_path(snapshot)
        for file in source.iterdir():
            if file.is_file():
                (copy / file.name).write_bytes(file.read_bytes())
        return job


class SharesFilesWithSnapshots(Wrong):
    """Writing to the share shows in its snapshots."""

    caught_by = (
        "test_snapshot_keeps_its_bytes_while_the_share_is_overwritten",
        "test_share_goes_to_any_snapshot_older_and_newer",
    )

    class _Client(FakeClient):
        def __init__(self, behind: Driver) -> None:
            super().__init__(behind)
            self._behind = behind

        def write(self, ref: ObjectRef, path: str, data: bytes) -> None:
            super().write(ref, path, data)
            assert isinstance(self._behind, FakeDriver)
            for stored in self._behind.array.objects():
                if stored.source == ref.name and stored.tree:
                    target = self._behind.array.trees.path(stored.tree) / path
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes(data)

    client = _Client


class LosesSnapshotsWithTheirShare(Wrong):
    """Deleting a share deletes its snapshots."""

    caught_by = ("test_snapshots_outlive_their_share",)

    def delete_share(self, ref: ObjectRef, call: Call) -> Job:
        for stored in self.array.objects():
            if stored.source == ref.name and stored.kind.value == "snapshot":
                super().delete_snapshot(ObjectRef(stored.pool, stored.name), call)
        return super().delete_share(ref, call)


class TearsSnapshots(Wrong):
    """Claims atomic snapshots and copies file by file while clients write."""

    caught_by = ("test_snapshot_is_one_point_in_time_while_clients_write",)

    def create_snapshot(self, share: ObjectRef, snapshot: ObjectRef, call: Call) -> Job:
        known = self.observe(snapshot) is not None
        job = super().create_snapshot(share, snapshot, call)
        if not known and job.state is JobState.DONE:
            source, copy = self.data_path(share), self.data_path(snapshot)
            for name in ("a", "b"):
                with contextlib.suppress(FileNotFoundError):
                    (copy / name).write_bytes((source / name).read_bytes())
                time.sleep(0.02)
        return job


class SnapshotsTheWrongKind(Wrong):
    """A snapshot is reported as writable and of the size its share has now."""

    caught_by = ("test_snapshot_is_an_object_of_its_own",)

    def observe(self, ref: ObjectRef) -> ObjectState | None:
        state = super().observe(ref)
        if state is not None and state.kind.value == "snapshot":
            return dataclasses.replace(state, mode=AccessMode.RW)
        return state


class ClonesTheShareOfToday(Wrong):
    """A clone takes what the share holds now."""

    caught_by = ("test_clone_holds_the_snapshot_and_not_the_share_of_today",)

    def clone_snapshot(self, snapshot: ObjectRef, share: ObjectRef, size: int, call: Call) -> Job:
        known = self.observe(share) is not None
        job = super().clone_snapshot(snapshot, share, size, call)
        stored = {one.name: one for one in self.array.objects()}
        if not known and (source := stored[snapshot.name].source) in stored:
            origin, target = self.array.trees.path(stored[source].tree), self.data_path(share)
            for file in origin.rglob("*"):
                if file.is_file():
                    (target / file.relative_to(origin)).write_bytes(file.read_bytes())
        return job


class ClonesSmaller(Wrong):
    """Takes a size below the snapshot's and makes the clone anyway."""

    caught_by = ("test_clone_smaller_than_its_snapshot_is_refused",)

    def clone_snapshot(self, snapshot: ObjectRef, share: ObjectRef, size: int, call: Call) -> Job:
        source = self.observe(snapshot)
        return super().clone_snapshot(snapshot, share, max(size, source.size if source else 0), call)


class ClonesOverOthers(Wrong):
    """A clone onto an existing share says done."""

    caught_by = (
        "test_clone_onto_a_share_that_is_no_clone_conflicts",
        "test_same_name_with_another_size_or_source_conflicts",
    )

    def clone_snapshot(self, snapshot: ObjectRef, share: ObjectRef, size: int, call: Call) -> Job:
        try:
            return super().clone_snapshot(snapshot, share, size, call)
        except Conflict:
            return Job.done()


class RevertsAgain(Wrong):
    """Every revert call reverts, whatever its key."""

    caught_by = (
        "test_same_revert_again_does_not_undo_what_clients_wrote_since",
        "test_late_duplicate_of_an_earlier_revert_does_nothing",
    )
    _count = itertools.count()

    def revert_share(self, share: ObjectRef, snapshot: ObjectRef, call: Call) -> Job:
        return super().revert_share(share, snapshot, dataclasses.replace(call, step=f"{next(self._count)}"))


class RemembersOneRevert(Wrong):
    """Only the last key counts as done."""

    caught_by = ("test_late_duplicate_of_an_earlier_revert_does_nothing",)
    _last: ClassVar[dict[str, tuple[str, int]]] = {}
    _count = itertools.count()

    def revert_share(self, share: ObjectRef, snapshot: ObjectRef, call: Call) -> Job:
        key, turn = self._last.get(share.name, ("", 0))
        if key != call.key:
            turn = next(self._count)
        self._last[share.name] = (call.key, turn)
        return super().revert_share(share, snapshot, dataclasses.replace(call, step=f"{call.step}{turn}"))


class RevertsOnce(Wrong):
    """Thinks a second revert to the same snapshot is a repetition, whoever asks."""

    caught_by = ("test_other_operation_reverts_to_the_same_snapshot_again",)

    def revert_share(self, share: ObjectRef, snapshot: ObjectRef, call: Call) -> Job:
        return super().revert_share(share, snapshot, dataclasses.replace(call, operation="x", step=snapshot.name))


class CleansKeys(Wrong):
    """Odd characters of an operation id are replaced before they are compared."""

    caught_by = ("test_ids_that_differ_in_one_odd_character_are_different_keys",)

    def revert_share(self, share: ObjectRef, snapshot: ObjectRef, call: Call) -> Job:
        cleaned = "".join(ch if ch.isalnum() else "_" for ch in call.operation)
        return super().revert_share(share, snapshot, dataclasses.replace(call, operation=cleaned))


class RevertLosesNewerSnapshots(Wrong):
    """Going back deletes what is newer, as some arrays do."""

    caught_by = ("test_all_snapshots_stay", "test_share_goes_to_any_snapshot_older_and_newer")

    def revert_share(self, share: ObjectRef, snapshot: ObjectRef, call: Call) -> Job:
        job = super().revert_share(share, snapshot, call)
        own = [one.name for one in self.array.objects() if one.source == share.name]
        for name in own[own.index(snapshot.name) + 1 :] if snapshot.name in own else []:
            super().delete_snapshot(ObjectRef(share.pool, name), call)
        return job


class RevertResetsSizeAndMode(Wrong):
    """A revert brings back the size of the snapshot and opens the share."""

    caught_by = ("test_size_and_mode_stay", "test_read_only_share_is_reverted_and_stays_read_only")

    def revert_share(self, share: ObjectRef, snapshot: ObjectRef, call: Call) -> Job:
        job = super().revert_share(share, snapshot, call)
        source = self.observe(snapshot)
        super().resize_share(share, source.size if source else 0, call)
        super().set_access_mode(share, AccessMode.RW, call)
        return job


class RevertsToStrangers(Wrong):
    """Takes the snapshot of any share."""

    caught_by = ("test_snapshot_of_another_share_is_refused",)

    def revert_share(self, share: ObjectRef, snapshot: ObjectRef, call: Call) -> Job:
        try:
            return super().revert_share(share, snapshot, call)
        except Conflict:
            return Job.done()


class ShrinksBelowUse(Wrong):
    """Cuts a share below the bytes in use."""

    caught_by = ("test_shrink_below_the_bytes_in_use_is_refused_with_their_number",)

    def resize_share(self, ref: ObjectRef, size: int, call: Call) -> ShareObject:
        try:
            return super().resize_share(ref, size, call)
        except OverUsed as refusal:
            return super().resize_share(ref, refusal.used, call)


class HidesTheUsage(Wrong):
    """Refuses a shrink without saying how much is in use."""

    caught_by = ("test_shrink_below_the_bytes_in_use_is_refused_with_their_number",)

    def resize_share(self, ref: ObjectRef, size: int, call: Call) -> ShareObject:
        try:
            return super().resize_share(ref, size, call)
        except OverUsed as refusal:
            raise OverUsed(refusal.reason, used=0) from None


class CachesUsage(Wrong):
    """Usage is as old as its first reading."""

    caught_by = ("test_used_bytes_follow_the_data_at_once",)

    def __init__(self, config: BackendConfig) -> None:
        super().__init__(config)
        self._cache: dict[ObjectRef, int] = {}

    def used_bytes(self, ref: ObjectRef) -> int:
        if ref not in self._cache:
            self._cache[ref] = super().used_bytes(ref)
        return self._cache[ref]


class PretendsEnforcement(Wrong):
    """Declares quotas and modes over plain directories that enforce neither."""

    caught_by = (
        "test_share_cannot_hold_more_than_its_size",
        "test_full_share_takes_more_after_it_has_grown",
        "test_grown_clone_takes_more_than_its_snapshot_could_and_no_more_than_its_size",
        "test_size_is_enforced_after_a_revert",
        "test_read_only_share_cannot_be_written",
        "test_snapshot_cannot_be_written",
    )
    client = PathClient


class PretendsToClose(Wrong):
    """Accepts mode none and leaves the share reachable."""

    caught_by = ("test_closed_share_cannot_be_reached",)

    def set_access_mode(self, ref: ObjectRef, mode: AccessMode, call: Call) -> None:
        super().set_access_mode(ref, AccessMode.RW if mode is AccessMode.NONE else mode, call)


class OpensOnCreate(Wrong):
    """A repeated create sets the mode back to rw."""

    caught_by = ("test_repeated_create_does_not_open_a_closed_share",)

    def create_share(self, ref: ObjectRef, size: int, call: Call) -> ShareObject:
        made = super().create_share(ref, size, call)
        super().set_access_mode(ref, AccessMode.RW, call)
        return made


class AcceptsUndeclaredModes(Wrong):
    """Declares rw alone and takes the others."""

    caught_by = ("test_undeclared_mode_is_refused",)

    def capabilities(self) -> Capabilities:
        return dataclasses.replace(super().capabilities(), access_modes=(AccessMode.RW,))


class DeclaresLess(Wrong):
    """Implements clones and does not say so; shrinks although it says it cannot."""

    caught_by = (
        "test_declared_capability_is_implemented_and_no_other",
        "test_shrink_works_or_is_refused_as_declared",
    )

    def capabilities(self) -> Capabilities:
        return dataclasses.replace(super().capabilities(), clone=False, shrink=False)


class ChangesItsMind(Wrong):
    """Capabilities depend on time."""

    caught_by = ("test_capabilities_never_change",)
    _count = itertools.count()

    def capabilities(self) -> Capabilities:
        space = "full" if next(self._count) % 3 else "shared"
        return dataclasses.replace(super().capabilities(), snapshot_space=space)  # type: ignore[arg-type]


class TakesAnyOption(Wrong):
    """Ignores options that it does not know."""

    caught_by = ("test_unknown_backend_option_is_refused_by_name", "test_unknown_pool_option_is_refused_by_name")

    def __init__(self, config: BackendConfig) -> None:
        pools = [dataclasses.replace(pool, options={}) for pool in config.pools]
        super().__init__(dataclasses.replace(config, options={}, pools=pools))


class RefusesOptionsWithoutTheirName(Wrong):
    """Says that an option is wrong, not which one."""

    caught_by = ("test_unknown_backend_option_is_refused_by_name",)

    def __init__(self, config: BackendConfig) -> None:
        try:
            super().__init__(config)
        except Rejected:
            raise Rejected("bad configuration") from None


class RaisesWhatItLikes(Wrong):
    """Internal errors escape."""

    caught_by = (
        "test_unknown_pool_is_answered_and_harms_nothing",
        "test_mode_of_a_missing_share_is_not_found",
        "test_used_bytes_of_a_missing_share_are_not_found",
    )

    def set_access_mode(self, ref: ObjectRef, mode: AccessMode, call: Call) -> None:
        try:
            super().set_access_mode(ref, mode, call)
        except NotFound as error:
            raise KeyError(ref.name) from error

    def used_bytes(self, ref: ObjectRef) -> int:
        try:
            return super().used_bytes(ref)
        except Rejected as error:
            raise FileNotFoundError(ref.name) from error


class TakesAnySize(Wrong):
    """Cuts impossible sizes to possible ones."""

    caught_by = ("test_impossible_size_is_refused",)

    def create_share(self, ref: ObjectRef, size: int, call: Call) -> ShareObject:
        return super().create_share(ref, min(max(size, 1), 2**30), call)


class WritesIdsIntoPaths(Wrong):
    """Keeps a record under the name of the operation."""

    caught_by = ("test_any_text_is_an_operation_id",)

    def create_share(self, ref: ObjectRef, size: int, call: Call) -> ShareObject:
        with contextlib.suppress(OSError, ValueError):
            file = self.config.state_dir / "a" / "b" / "c" / "d" / call.operation
            if file.resolve().is_relative_to(tempfile.gettempdir()):
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text("record")
        return super().create_share(ref, size, call)


class LosesTags(Wrong):
    """Declares tags and gives none back."""

    caught_by = ("test_objects_carry_deployment_and_operation", "test_tags_follow_the_last_change")

    def observe(self, ref: ObjectRef) -> ObjectState | None:
        state = super().observe(ref)
        return None if state is None else dataclasses.replace(state, operation="")


class AdoptsStrangers(Wrong):
    """Takes a share of another deployment for its own."""

    caught_by = ("test_share_of_another_deployment_is_not_adopted",)

    def create_share(self, ref: ObjectRef, size: int, call: Call) -> ShareObject:
        return super().create_share(ref, size, dataclasses.replace(call, deployment=self.config.deployment))


class ListsTwice(Wrong):
    """Lists the objects of all pools in every pool."""

    caught_by = ("test_listing_says_the_same_as_observe",)

    def list_objects(self, pool: str) -> Listing:
        pools = [one.name for one in self.config.pools]
        found = [super(ListsTwice, self).list_objects(name).objects for name in pools]
        return Listing(tuple(itertools.chain(*found)), complete=True)


class ListsCarelessly(Wrong):
    """Leaves snapshots out of the listing."""

    caught_by = ("test_listing_says_the_same_as_observe", "test_snapshots_outlive_their_share")

    def list_objects(self, pool: str) -> Listing:
        listing = super().list_objects(pool)
        return Listing(tuple(one for one in listing.objects if one.kind.value == "share"), complete=True)


class KeepsStateInTheProcess(Wrong):
    """Every instance sees its own objects only."""

    caught_by = (
        "test_every_instance_sees_the_same",
        "test_share_is_unchanged_after_every_instance_was_closed",
        "test_equal_creates_at_once_make_one_share",
    )

    def __init__(self, config: BackendConfig) -> None:
        super().__init__(dataclasses.replace(config, name=f"{config.name}-{uuid.uuid4()}"))


class ReportsNonsense(Wrong):
    """More free than there is, an attribute lost, a quota promised that is not declared."""

    caught_by = ("test_pool_figures_are_plausible", "test_pool_reports_its_configured_attributes")

    def pools(self) -> Sequence[PoolReport]:
        return [PoolReport(one.name, one.total, (one.total or 0) + 1, {}) for one in super().pools()]


class ForgetsAPool(Wrong):
    """Reports the first pool only."""

    caught_by = ("test_every_configured_pool_is_reported_once",)

    def pools(self) -> Sequence[PoolReport]:
        return super().pools()[:1]


class MakesPathsUp(Wrong):
    """data_path gives a path for what is not there."""

    caught_by = ("test_data_path_of_a_missing_object_is_not_found",)

    def data_path(self, ref: ObjectRef) -> Path:
        try:
            return super().data_path(ref)
        except NotFound:
            return self.config.state_dir


class MovesOnRevert(Wrong):
    """The path of a share changes with its content."""

    caught_by = ("test_data_path_stays_over_a_revert",)

    def data_path(self, ref: ObjectRef) -> Path:
        super().data_path(ref)
        return next(self.array.trees.path(one.tree) for one in self.array.objects() if one.name == ref.name)


class ExportsOnePathForAll(Wrong):
    """All shares have the same export path."""

    caught_by = ("test_two_shares_do_not_share_paths",)

    def create_share(self, ref: ObjectRef, size: int, call: Call) -> ShareObject:
        return dataclasses.replace(super().create_share(ref, size, call), export_paths=("/export",))


class EmptiesOnCreate(Wrong):
    """A repeated create makes the share anew."""

    caught_by = ("test_create_again_keeps_what_clients_wrote", "test_create_adopts_a_finished_clone")

    def create_share(self, ref: ObjectRef, size: int, call: Call) -> ShareObject:
        made = super().create_share(ref, size, call)
        for file in self.data_path(ref).iterdir():
            file.unlink()
        return made


class RacesOnResize(Wrong):
    """Reads, waits and writes without a lock."""

    caught_by = ("test_only_the_newest_epoch_has_the_last_word",)

    def resize_share(self, ref: ObjectRef, size: int, call: Call) -> ShareObject:
        state = self.observe(ref)
        if state is not None and call.epoch < state.epoch:
            raise StaleEpoch("an older epoch")
        time.sleep(0.001 * (20 - call.epoch))
        newest = self.observe(ref)
        epoch = max(call.epoch, newest.epoch if newest else 1)
        return super().resize_share(ref, size, dataclasses.replace(call, epoch=epoch))


class RacesOnCreate(Wrong):
    """Two creates at once stumble over each other with an error of their own."""

    caught_by = ("test_equal_creates_at_once_make_one_share",)
    _making: ClassVar[set[str]] = set()
    _lock = threading.Lock()

    def create_share(self, ref: ObjectRef, size: int, call: Call) -> ShareObject:
        with self._lock:
            if ref.name in self._making:
                raise Conflict(f"{ref.name} is just being made")
            self._making.add(ref.name)
        try:
            time.sleep(0.01)
            return super().create_share(ref, size, call)
        finally:
            self._making.discard(ref.name)


class SlowClones(Wrong):
    """Base of those whose clones take a while."""

    options: ClassVar[dict[str, object]] = {"clone_seconds": 0.3, "revert_seconds": 0.3}


class AdoptsTooEarly(SlowClones):
    """create_share gives a share that is still being cloned."""

    caught_by = ("test_share_is_never_adopted_before_its_clone_is_complete",)

    def create_share(self, ref: ObjectRef, size: int, call: Call) -> ShareObject:
        state = self.observe(ref)
        if state is not None and not state.complete:
            return ShareObject(ref, size, ("/early",))
        return super().create_share(ref, size, call)


class LosesJobsOnClose(SlowClones):
    """A job that another process began is never taken up again."""

    caught_by = ("test_job_is_found_again_after_its_process_went_away",)

    def clone_snapshot(self, snapshot: ObjectRef, share: ObjectRef, size: int, call: Call) -> Job:
        job = super().clone_snapshot(snapshot, share, size, call)
        if job.state is JobState.RUNNING and job.bytes_done > 0:
            self.array.restart()
        return job


class ProgressGoesBack(SlowClones):
    """Progress starts over now and then."""

    caught_by = ("test_progress_never_goes_back_and_ends_with_a_complete_share",)
    _count = itertools.count()

    def clone_snapshot(self, snapshot: ObjectRef, share: ObjectRef, size: int, call: Call) -> Job:
        job = super().clone_snapshot(snapshot, share, size, call)
        done = 1000 - next(self._count)
        return dataclasses.replace(job, bytes_done=done, bytes_total=2000) if job.state is JobState.RUNNING else job


class SaysDoneTooEarly(SlowClones):
    """A clone is said to be done while it is being filled."""

    caught_by = ("test_progress_never_goes_back_and_ends_with_a_complete_share",)

    def clone_snapshot(self, snapshot: ObjectRef, share: ObjectRef, size: int, call: Call) -> Job:
        super().clone_snapshot(snapshot, share, size, call)
        return Job.done()


class CancelsInWordsOnly(SlowClones):
    """A cancelled job goes on, and its share comes back after the delete."""

    caught_by = ("test_cancelled_clone_is_deleted_without_a_trace",)

    def __init__(self, config: BackendConfig) -> None:
        super().__init__(config)
        self._late: list[tuple[ObjectRef, int, Call]] = []

    def clone_snapshot(self, snapshot: ObjectRef, share: ObjectRef, size: int, call: Call) -> Job:
        self._late.append((share, size, call))
        return super().clone_snapshot(snapshot, share, size, call)

    def observe(self, ref: ObjectRef) -> ObjectState | None:
        state = super().observe(ref)
        for late, size, call in self._late:
            if late == ref and state is None:
                self.array.trust(trusting=True)
                super().create_share(ref, size, call)
                self.array.trust(trusting=False)
        return state


class CancelRaises(Wrong):
    """Cancel of an unknown job is an error."""

    caught_by = ("test_cancel_of_an_unknown_job_gives_cancelled",)

    def cancel_job(self, call: Call) -> Job:
        raise NotFound(f"no job {call.key}")


class CancelDestroysWhatIsDone(Wrong):
    """Cancel after the end removes the result."""

    caught_by = ("test_cancel_of_a_job_that_is_over_leaves_its_object_complete",)

    def cancel_job(self, call: Call) -> Job:
        for stored in self.array.objects():
            if stored.operation == call.operation:
                super().delete_snapshot(ObjectRef(stored.pool, stored.name), call)
        return super().cancel_job(call)


class MixesContent(SlowClones):
    """A revert copies file by file into the live share."""

    caught_by = ("test_cancelled_revert_leaves_old_or_new_content_never_a_mixture",)

    def revert_share(self, share: ObjectRef, snapshot: ObjectRef, call: Call) -> Job:
        job = super().revert_share(share, snapshot, call)
        if job.state is JobState.RUNNING:
            source, live = self.data_path(snapshot), self.data_path(share)
            first = next(file for file in sorted(source.rglob("*")) if file.is_file())
            (live / first.relative_to(source)).write_bytes(first.read_bytes())
        return job


class DeclaresWhatItLacks(Driver, SupportsSnapshots):
    """Declares clones, reverts, host access and limits without their classes."""

    name = "declares-what-it-lacks"
    caught_by = ("test_declared_capability_is_implemented_and_no_other",)
    client: ClassVar[Any] = None
    options: ClassVar[dict[str, object]] = {}

    def __init__(self, config: BackendConfig) -> None:
        super().__init__(config)
        self._fake = FakeDriver(config)

    def capabilities(self) -> Capabilities:
        return self._fake.capabilities()

    def pools(self) -> Sequence[PoolReport]:
        return self._fake.pools()

    def create_share(self, ref: ObjectRef, size: int, call: Call) -> ShareObject:
        return self._fake.create_share(ref, size, call)

    def resize_share(self, ref: ObjectRef, size: int, call: Call) -> ShareObject:
        return self._fake.resize_share(ref, size, call)

    def set_access_mode(self, ref: ObjectRef, mode: AccessMode, call: Call) -> None:
        self._fake.set_access_mode(ref, mode, call)

    def delete_share(self, ref: ObjectRef, call: Call) -> Job:
        return self._fake.delete_share(ref, call)

    def used_bytes(self, ref: ObjectRef) -> int:
        return self._fake.used_bytes(ref)

    def observe(self, ref: ObjectRef) -> ObjectState | None:
        return self._fake.observe(ref)

    def list_objects(self, pool: str) -> Listing:
        return self._fake.list_objects(pool)

    def cancel_job(self, call: Call) -> Job:
        return self._fake.cancel_job(call)

    def close(self) -> None:
        self._fake.close()

    def create_snapshot(self, share: ObjectRef, snapshot: ObjectRef, call: Call) -> Job:
        return self._fake.create_snapshot(share, snapshot, call)

    def delete_snapshot(self, snapshot: ObjectRef, call: Call) -> Job:
        return self._fake.delete_snapshot(snapshot, call)


def wrong_drivers() -> list[Any]:
    """All of them."""
    found: list[Any] = [DeclaresWhatItLacks]
    queue: list[type[Wrong]] = [Wrong]
    while queue:
        subclasses = queue.pop().__subclasses__()
        queue += subclasses
        found += [one for one in subclasses if one.caught_by]
    return found
