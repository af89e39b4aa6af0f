"""The ``fake`` driver: the whole contract on a fake array, for tests of everything above the drivers."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, TypeVar

from drivers.contract import (
    AccessMode,
    BackendConfig,
    Call,
    Capabilities,
    Driver,
    Job,
    JobState,
    Listing,
    ObjectKind,
    ObjectRef,
    ObjectState,
    PoolReport,
    ShareObject,
    SupportsClone,
    SupportsHostAccess,
    SupportsQos,
    SupportsRevert,
    SupportsSnapshots,
    SupportsTransfer,
)
from drivers.errors import DriverError, NotFound, Rejected, Unknown
from drivers.fake import jobs, qos, transfers, verbs
from drivers.fake.array import FakeArray, open_array
from drivers.fake.options import TRANSFER, read_settings
from drivers.fake.records import StoredObject
from drivers.fake.script import Fault, FaultKind, StaleListing, Visit
from drivers.fake.session import Session
from drivers.fake.transfers import Parcel
from drivers.writers import open_for_writing
from shareflow.contracts.qos import KEYS, KeyVerdict, Limits

T = TypeVar("T")


class FakeDriver(
    Driver, SupportsSnapshots, SupportsClone, SupportsRevert, SupportsTransfer, SupportsQos, SupportsHostAccess
):
    """Every capability, in memory or on disk. Calls, errors and idempotency are those of the contract.

    Backend options: ``store`` (``memory`` or ``disk``), ``path`` (a directory, needed for ``disk``), ``latency``,
    ``snapshot_seconds``, ``clone_seconds``, ``revert_seconds``, ``delete_seconds``, ``receive_seconds``,
    ``qos_rounding`` (``none`` or ``decimal``), ``transfer`` (name of the format in which snapshots are exchanged,
    ``none`` for an array that cannot). Pool option: ``capacity``.

    Attributes:
        array: the array behind this instance.
    """

    name: ClassVar[str] = "fake"
    _transfer: str = TRANSFER

    def __init__(self, config: BackendConfig) -> None:
        super().__init__(config)
        self._settings = read_settings(config)
        self._transfer = self._settings.transfer
        self._owner = uuid.uuid4().hex
        self._closed = False
        self.array: FakeArray = open_array(self._settings, config.deployment, config.name, config.state_dir)
        self.array.configure(self._settings)

    def capabilities(self) -> Capabilities:
        """Everything; quotas and modes are enforced by the array's own client, not by the kernel."""
        return Capabilities(
            snapshots=True, clone=True, revert=True, host_access=True, quota_enforced=True, snapshots_atomic=True,
            shrink=True, tags=True, protocols=("path",), access_modes=(AccessMode.RW, AccessMode.RO, AccessMode.NONE),
            snapshot_space="shared", qos_supported=KEYS, transfer=self._transfer,
        )  # fmt: skip

    def pools(self) -> Sequence[PoolReport]:
        """See the contract."""
        settings = self._settings

        def work(session: Session) -> Sequence[PoolReport]:
            return [
                PoolReport(name, total, max(total - session.used(name), 0), settings.attributes[name])
                for name, total in settings.capacity.items()
            ]

        def wrong(fault: Fault) -> Sequence[PoolReport]:
            return [
                PoolReport(name, total, total if fault.size < 0 else fault.size, settings.attributes[name])
                for name, total in settings.capacity.items()
            ]

        return self._perform(Visit("pools"), work, wrong)

    def create_share(self, ref: ObjectRef, size: int, call: Call) -> ShareObject:
        """See the contract."""
        return self._perform(
            Visit("create_share", ref.pool, (ref.name,), call),
            lambda session: self._share(verbs.create_share(session, ref, size, call)),
            lambda fault: self._lie(ref, size, fault),
        )

    def resize_share(self, ref: ObjectRef, size: int, call: Call) -> ShareObject:
        """See the contract."""
        return self._perform(
            Visit("resize_share", ref.pool, (ref.name,), call),
            lambda session: self._share(verbs.resize_share(session, ref, size, call)),
            lambda fault: self._lie(ref, size, fault),
        )

    def set_access_mode(self, ref: ObjectRef, mode: AccessMode, call: Call) -> None:
        """See the contract."""
        self._perform(
            Visit("set_access_mode", ref.pool, (ref.name,), call),
            lambda session: verbs.set_access_mode(session, ref, mode, call),
            lambda _: None,
        )

    def find_writers(self, ref: ObjectRef) -> Sequence[str]:
        """See the contract. A scripted wrong answer says its message, or without one that there are none."""
        found, tree = self._perform(
            Visit("find_writers", ref.pool, (ref.name,)),
            lambda session: verbs.find_writers(session, ref),
            lambda fault: ([fault.message] if fault.message else [], None),
        )
        return found if tree is None else [*found, *open_for_writing(tree)]

    def qos_verdict(self, limits: Limits) -> Mapping[str, KeyVerdict]:
        """See the contract: every key, in the steps that option ``qos_rounding`` says."""
        return qos.verdicts(self._settings, limits)

    def set_qos(self, share: ObjectRef, limits: Limits, call: Call) -> Limits:
        """See the contract. A scripted wrong answer says that everything was set as asked."""
        return self._perform(
            Visit("set_qos", share.pool, (share.name,), call),
            lambda session: qos.shown(verbs.set_qos(session, share, limits, call).qos),
            lambda _: dict(limits),
        )

    def enforced_qos(self, share: ObjectRef) -> Limits:
        """See the contract."""
        return self._perform(
            Visit("enforced_qos", share.pool, (share.name,)),
            lambda session: qos.shown(session.need(share, ObjectKind.SHARE).qos),
            lambda _: {},
        )

    def delete_share(self, ref: ObjectRef, call: Call) -> Job:
        """See the contract."""
        return self._perform(
            Visit("delete_share", ref.pool, (ref.name,), call),
            lambda session: verbs.delete(session, ref, ObjectKind.SHARE, call),
            lambda _: Job.done(),
        )

    def create_snapshot(self, share: ObjectRef, snapshot: ObjectRef, call: Call) -> Job:
        """See the contract."""
        return self._perform(
            Visit("create_snapshot", snapshot.pool, (snapshot.name, share.name), call),
            lambda session: verbs.create_snapshot(session, share, snapshot, call),
            lambda _: Job.done(),
        )

    def delete_snapshot(self, snapshot: ObjectRef, call: Call) -> Job:
        """See the contract."""
        return self._perform(
            Visit("delete_snapshot", snapshot.pool, (snapshot.name,), call),
            lambda session: verbs.delete(session, snapshot, ObjectKind.SNAPSHOT, call),
            lambda _: Job.done(),
        )

    def clone_snapshot(self, snapshot: ObjectRef, share: ObjectRef, size: int, call: Call) -> Job:
        """See the contract."""
        return self._perform(
            Visit("clone_snapshot", share.pool, (share.name, snapshot.name), call),
            lambda session: verbs.clone_snapshot(session, snapshot, share, size, call),
            lambda _: Job.done(),
        )

    def revert_share(self, share: ObjectRef, snapshot: ObjectRef, call: Call) -> Job:
        """See the contract."""
        return self._perform(
            Visit("revert_share", share.pool, (share.name, snapshot.name), call),
            lambda session: verbs.revert_share(session, share, snapshot, call),
            lambda _: Job.done(),
        )

    def changed_bytes(self, share: ObjectRef, snapshot: ObjectRef) -> int | None:
        """See the contract: exactly what a transfer counts. A scripted wrong answer is its size, or None below 0."""
        return self._perform(
            Visit("changed_bytes", share.pool, (share.name, snapshot.name)),
            lambda session: transfers.missing(session, share, snapshot),
            lambda fault: None if fault.size < 0 else fault.size,
        )

    def receive_snapshot(
        self,
        sender: Driver,
        source: ObjectRef,
        target: ObjectRef,
        share: ObjectRef,
        call: Call,
        *,
        base: tuple[ObjectRef, ObjectRef] | None = None,
        bandwidth: int | None = None,
    ) -> Job:
        """See the contract. The content is copied by the first call and shown when the job is done.

        Calls the sender's array first, as ``send_snapshot``; what goes wrong there matters only while it is needed.
        """
        if not self._transfer or sender.capabilities().transfer != self._transfer or not isinstance(sender, FakeDriver):
            theirs = sender.capabilities().transfer
            raise Rejected(f"snapshots cannot be received: the sender's format is {theirs!r}, ours {self._transfer!r}")
        sent: Parcel | DriverError
        try:
            sent = sender.send_snapshot(source, None if base is None else base[0])
        except DriverError as error:
            sent = error
        order = transfers.Order(source, target, share, None if base is None else base[1], bandwidth)
        return self._perform(
            Visit("receive_snapshot", target.pool, (target.name, source.name), call),
            lambda session: transfers.receive(session, sent, order, call),
            lambda _: Job.done(),
        )

    def is_unchanged(self, share: ObjectRef, snapshot: ObjectRef) -> bool:
        """See the contract; by comparing all bytes, as a double may. A scripted wrong answer says that it is."""
        return self._perform(
            Visit("is_unchanged", share.pool, (share.name, snapshot.name)),
            lambda session: transfers.is_unchanged(session, share, snapshot),
            lambda _: True,
        )

    def send_snapshot(self, source: ObjectRef, base: ObjectRef | None) -> Parcel:
        """A complete snapshot, for another array; how much of it differs from its base. Raises NotFound, Unknown."""

        def wrong(_: Fault) -> Parcel:
            raise NotFound(f"snapshot {source.name} is not in pool {source.pool!r}")

        names = (source.name,) if base is None else (source.name, base.name)
        return self._perform(
            Visit("send_snapshot", source.pool, names), lambda session: transfers.send(session, source, base), wrong
        )

    def cancel_job(self, call: Call) -> Job:
        """See the contract."""
        return self._perform(
            Visit("cancel_job", call=call),
            lambda session: jobs.cancel(session, call),
            lambda _: Job(state=JobState.CANCELLED),
        )

    def used_bytes(self, ref: ObjectRef) -> int:
        """See the contract: the sizes of all regular files."""
        return self._perform(
            Visit("used_bytes", ref.pool, (ref.name,)),
            lambda session: session.trees.used(session.need(ref, ObjectKind.SHARE).tree),
            lambda fault: max(fault.size, 0),
        )

    def observe(self, ref: ObjectRef) -> ObjectState | None:
        """See the contract. A scripted wrong answer says that there is nothing."""

        def work(session: Session) -> ObjectState | None:
            stored = session.find(ref)
            return None if stored is None else stored.state()

        return self._perform(Visit("observe", ref.pool, (ref.name,)), work, lambda _: None)

    def list_objects(self, pool: str) -> Listing:
        """See the contract."""

        def work(session: Session) -> Listing:
            stored = session.txn.items(StoredObject, session.pool(pool))
            settled = (session.find(ObjectRef(one.pool, one.name)) if one.job else one for one in stored)
            return Listing(tuple(one.state() for one in settled if one is not None), complete=True)

        return self._perform(
            Visit("list_objects", pool), work, lambda fault: _stale(fault, pool, lambda: self._true(work))
        )

    def data_path(self, ref: ObjectRef) -> Path:
        """See the contract. In mode ``none`` it is a path that clients do not know."""
        path = self.array.trees.client_path(ref.pool, ref.name)

        def work(session: Session) -> Path:
            stored = session.find(ref)
            kind = ObjectKind.SHARE if stored is None else stored.kind
            found = session.content(session.need(ref, kind))
            session.expose(found)
            return session.trees.path(found.tree) if found.mode is AccessMode.NONE else path

        return self._perform(
            Visit("data_path", ref.pool, (ref.name,)), work, lambda _: path.with_name("no-such-directory")
        )

    def close(self) -> None:
        """Let this instance's jobs stand still. Every later call is Unknown; closing twice is harmless."""
        if not self._closed:
            self._closed = True
            self.array.pause_jobs(self._owner)

    def _perform(self, visit: Visit, effect: Callable[[Session], T], wrong: Callable[[Fault], T]) -> T:
        if self._closed:
            raise Unknown(f"this instance of backend {self.config.name!r} is closed", hint="open another one")
        return self.array.perform(self._settings, self._owner, visit, effect, wrong)

    def _true(self, work: Callable[[Session], T]) -> T:
        return self.array.run(self._settings, self._owner, work)

    def _share(self, stored: StoredObject) -> ShareObject:
        ref = ObjectRef(stored.pool, stored.name)
        return ShareObject(ref, stored.size, self._exports(ref))

    def _lie(self, ref: ObjectRef, size: int, fault: Fault) -> ShareObject:
        return ShareObject(ref, size if fault.size < 0 else fault.size, self._exports(ref))

    def _exports(self, ref: ObjectRef) -> tuple[str, ...]:
        return (str(self.array.trees.client_path(ref.pool, ref.name)),)


def _stale(fault: Fault, pool: str, true: Callable[[], Listing]) -> Listing:
    if fault.kind is FaultKind.WRONG_ANSWER or fault.listing is StaleListing.EMPTY:
        return Listing((), complete=True)
    if fault.listing is StaleListing.OLD:
        return Listing(tuple(one.state() for one in fault.frozen if one.pool == pool), complete=True)
    return dataclasses.replace(true(), objects=true().objects[::2], complete=False)
