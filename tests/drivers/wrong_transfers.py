"""Wrong drivers whose fault is in transfers or in who can write; see :mod:`tests.drivers.wrong_drivers`."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar

from drivers.contract import AccessMode, BackendConfig, Call, Driver, Job, JobState, ObjectRef
from drivers.errors import Conflict, DriverError
from drivers.fake.records import StoredObject
from tests.drivers.wrong_drivers import OTHER, Wrong

Base = tuple[ObjectRef, ObjectRef] | None


class WrongTransfer(Wrong):
    """One that receives in a way of its own; slow, so that jobs can be caught while they run."""

    options: ClassVar[dict[str, object]] = {"receive_seconds": 0.05}

    def receive_snapshot(
        self, sender: Driver, source: ObjectRef, target: ObjectRef, share: ObjectRef, call: Call, *, base: Base = None,
        bandwidth: int | None = None,
    ) -> Job:  # fmt: skip
        job = super().receive_snapshot(sender, source, target, share, call, base=base, bandwidth=bandwidth)
        return self.received(target, job)

    def received(self, _target: ObjectRef, job: Job) -> Job:
        return job

    def change(self, target: ObjectRef, **fields: Any) -> None:
        def work(session: Any) -> None:
            stored = session.txn.get(StoredObject, target.pool, target.name)
            if stored is not None:
                session.put(dataclasses.replace(stored, **fields))

        self.array.run(self._settings, "", work)


class LosesAFileOnTheWay(WrongTransfer):
    """The last file never arrives."""

    caught_by = (
        "test_only_what_changed_since_the_base_travels",
        "test_hostile_names_travel",
        "test_progress_never_goes_back_and_ends_with_a_whole_snapshot",
    )

    def received(self, target: ObjectRef, job: Job) -> Job:
        if job.state is JobState.DONE:
            files = sorted(path for path in self.data_path(target).rglob("*") if path.is_file())
            if files:
                files[-1].unlink()
        return job


class LosesModes(WrongTransfer):
    """Content arrives, modes do not."""

    caught_by = ("test_metadata_travels",)

    def received(self, target: ObjectRef, job: Job) -> Job:
        if job.state is JobState.DONE:
            for path in self.data_path(target).rglob("*"):
                if path.is_file() and not path.is_symlink():
                    path.chmod(0o600)
        return job


class ShowsItTooSoon(WrongTransfer):
    """The target is complete from the first call on."""

    caught_by = ("test_progress_never_goes_back_and_ends_with_a_whole_snapshot",)

    def received(self, target: ObjectRef, job: Job) -> Job:
        if job.state is JobState.RUNNING:
            self.change(target, complete=True)
        return job


class SendsEverythingAgain(WrongTransfer):
    """A base is taken and not used."""

    caught_by = ("test_only_what_changed_since_the_base_travels", "test_differences_go_both_ways")

    def received(self, target: ObjectRef, job: Job) -> Job:
        return dataclasses.replace(job, bytes_moved=job.bytes_total or 0)


class CountsNothing(WrongTransfer):
    """Bytes that travel are not told."""

    caught_by = ("test_only_what_changed_since_the_base_travels",)

    def received(self, target: ObjectRef, job: Job) -> Job:
        return dataclasses.replace(job, bytes_moved=0)


class CountsAllItHas(Wrong):
    """What was there at the snapshot counts as changed, too."""

    caught_by = ("test_what_clients_write_is_counted_and_what_they_leave_is_not",)

    def changed_bytes(self, share: ObjectRef, snapshot: ObjectRef) -> int | None:
        super().changed_bytes(share, snapshot)
        return self.used_bytes(share)


class SeesNoChanges(Wrong):
    """Whatever was written, nothing has changed."""

    caught_by = (
        "test_what_is_not_there_is_not_found",
        "test_what_clients_write_is_counted_and_what_they_leave_is_not",
        "test_nothing_wrong_is_said_of_a_share_that_was_reverted",
    )

    def changed_bytes(self, share: ObjectRef, snapshot: ObjectRef) -> int | None:
        return 0


class TakesAnyBase(Wrong):
    """Whether the base is the same on both sides is not looked at, nor whether it is there."""

    caught_by = ("test_base_that_is_not_the_same_on_both_sides_is_refused", "test_what_is_missing_is_not_found")

    def receive_snapshot(
        self, sender: Driver, source: ObjectRef, target: ObjectRef, share: ObjectRef, call: Call, *, base: Base = None,
        bandwidth: int | None = None,
    ) -> Job:  # fmt: skip
        return super().receive_snapshot(sender, source, target, share, call, bandwidth=bandwidth)


class SaysNothingHasChanged(Wrong):
    """Whatever clients write, and whatever is asked for."""

    caught_by = (
        "test_a_snapshot_of_it_that_is_not_there_is_not_found",
        "test_whatever_is_changed_is_no_more_said_to_be_unchanged",
        "test_another_share_is_not_the_one_that_the_snapshot_is_of",
    )

    def is_unchanged(self, share: ObjectRef, snapshot: ObjectRef) -> bool:
        return True


class TakesAnyTarget(Wrong):
    """A target that is there is taken for the one that is asked for."""

    caught_by = ("test_target_that_is_something_else_conflicts",)

    def receive_snapshot(
        self, sender: Driver, source: ObjectRef, target: ObjectRef, share: ObjectRef, call: Call, *, base: Base = None,
        bandwidth: int | None = None,
    ) -> Job:  # fmt: skip
        try:
            return super().receive_snapshot(sender, source, target, share, call, base=base, bandwidth=bandwidth)
        except Conflict:
            return Job.done()


class AsksTheSenderAgain(Wrong):
    """A target that is complete needs its source, too."""

    caught_by = ("test_ten_equal_calls_receive_one_snapshot",)

    def receive_snapshot(
        self, sender: Driver, source: ObjectRef, target: ObjectRef, share: ObjectRef, call: Call, *, base: Base = None,
        bandwidth: int | None = None,
    ) -> Job:  # fmt: skip
        assert sender.observe(source) is not None
        return super().receive_snapshot(sender, source, target, share, call, base=base, bandwidth=bandwidth)


class LeavesWhatItRefuses(Wrong):
    """A refused call leaves an object, and nonsense is taken for no limit."""

    caught_by = ("test_what_is_missing_is_not_found", "test_nonsense_is_refused")

    def receive_snapshot(
        self, sender: Driver, source: ObjectRef, target: ObjectRef, share: ObjectRef, call: Call, *, base: Base = None,
        bandwidth: int | None = None,
    ) -> Job:  # fmt: skip
        limit = bandwidth if bandwidth is None or bandwidth > 0 else None
        try:
            return super().receive_snapshot(sender, source, target, share, call, base=base, bandwidth=limit)
        except DriverError:
            self.create_share(target, 4096, call)
            raise


class TrustsEveryReceive(Wrong):
    """Transfers compare no epochs and remember no deletes."""

    caught_by = ("test_stale_receive_is_refused", "test_late_receive_after_delete_is_stale")

    def __init__(self, config: BackendConfig) -> None:
        super().__init__(config)
        self.array.trust(trusting=True)


class TakesEveryFormat(Wrong):
    """What the sender speaks is not asked."""

    caught_by = ("test_sender_of_another_format_is_refused",)

    def receive_snapshot(
        self, sender: Driver, source: ObjectRef, target: ObjectRef, share: ObjectRef, call: Call, *, base: Base = None,
        bandwidth: int | None = None,
    ) -> Job:  # fmt: skip
        plain = type(self)(sender.config)
        return super().receive_snapshot(plain, source, target, share, call, base=base, bandwidth=bandwidth)


class ForgetsWhoseSnapshotItIs(WrongTransfer):
    """A received snapshot belongs to no share, and can be written."""

    caught_by = ("test_share_goes_back_to_what_was_received", "test_received_snapshot_is_a_snapshot_like_any_other")

    def received(self, target: ObjectRef, job: Job) -> Job:
        if job.state is JobState.DONE:
            self.change(target, source="", mode=AccessMode.RW)
        return job


class CancelFinishesTransfers(WrongTransfer):
    """A cancelled job leaves its target shown as complete."""

    caught_by = ("test_cancelled_receive_is_never_complete_by_accident",)

    def cancel_job(self, call: Call) -> Job:
        over = super().cancel_job(call)
        for stored in self.array.objects():
            if stored.origin and stored.operation == call.operation:
                self.change(ObjectRef(stored.pool, stored.name), complete=True)
        return over


class ComesBackAfterDelete(WrongTransfer):
    """A delete does not stop the job, which brings its target back."""

    caught_by = ("test_delete_stops_the_job_that_receives", "test_cancelled_receive_is_deleted_without_a_trace")

    def delete_snapshot(self, snapshot: ObjectRef, call: Call) -> Job:
        stored = next((one for one in self.array.objects() if one.name == snapshot.name), None)
        job = super().delete_snapshot(snapshot, call)
        if stored is not None and stored.origin and not stored.complete:
            self.change_back(stored)
        return job

    def change_back(self, stored: StoredObject) -> None:
        back = dataclasses.replace(stored, job=(), complete=True)
        self.array.run(self._settings, "", lambda session: session.put(back))


class ForgetsTheJobOfAProcess(WrongTransfer):
    """Another instance finds nothing of what was begun, and calls it done."""

    caught_by = ("test_job_is_found_again_after_its_process_went_away",)

    def __init__(self, config: BackendConfig) -> None:
        super().__init__(config)
        self._begun: set[str] = set()

    def receive_snapshot(
        self, sender: Driver, source: ObjectRef, target: ObjectRef, share: ObjectRef, call: Call, *, base: Base = None,
        bandwidth: int | None = None,
    ) -> Job:  # fmt: skip
        if target.name not in self._begun and self.observe(target) is not None:
            tree = self.array.trees.make()
            self.change(target, complete=True, job=(), tree=tree)
            return Job.done()
        self._begun.add(target.name)
        return super().receive_snapshot(sender, source, target, share, call, base=base, bandwidth=bandwidth)


class SeesNoWriters(Wrong):
    """Every share is called fenced."""

    caught_by = (
        "test_share_that_clients_can_write_is_never_called_fenced",
        "test_process_that_can_still_write_is_named",
    )

    def find_writers(self, ref: ObjectRef) -> Sequence[str]:
        super().find_writers(ref)
        return []


class SeesWritersEverywhere(Wrong):
    """No share is ever fenced, whatever is done."""

    caught_by = (
        "test_fenced_share_without_writers_has_none",
        "test_readers_and_writers_of_other_shares_are_not_named",
        "test_answer_is_bounded_and_printable",
    )

    def find_writers(self, ref: ObjectRef) -> Sequence[str]:
        return [*super().find_writers(ref), *(f"somebody\n{number}" for number in range(30))]


class LeavesItsTrial(Wrong):
    """The file that was written to try stays, and a share that is not there is called fenced."""

    caught_by = ("test_asking_changes_nothing", "test_missing_share_is_not_found")

    def find_writers(self, ref: ObjectRef) -> Sequence[str]:
        state = self.observe(ref)
        if state is None:
            return []
        if state.mode is AccessMode.RW:
            (self.data_path(ref) / OTHER.step).touch()
        return super().find_writers(ref)
