"""The workbench of one test: driver instances, fresh names, job polling, and the check that nothing is left behind."""

from __future__ import annotations

import contextlib
import dataclasses
import time
import uuid
from collections.abc import Callable, Iterator
from typing import TypeVar

import pytest

from drivers.conformance.client import Client
from drivers.conformance.under_test import DriverUnderTest
from drivers.contract import (
    AccessMode,
    Call,
    Driver,
    Job,
    JobState,
    ObjectKind,
    ObjectRef,
    ObjectState,
    SupportsClone,
    SupportsQos,
    SupportsRevert,
    SupportsSnapshots,
    SupportsTransfer,
    object_name,
)
from drivers.errors import Busy

LAST_EPOCH = 2**31
"""Epoch of the clean-up calls: newer than any that a test uses."""

T = TypeVar("T")
Marked = TypeVar("Marked")


def needs(*capabilities: str) -> Callable[[Marked], Marked]:
    """Mark a test or class of tests: skipped unless the driver declares all of these.

    Names are fields of :class:`~drivers.contract.Capabilities` that are true or not empty, ``mode:<mode>``, or ``data``
    (files can be reached through ``data_path`` or a client of the options file).
    """

    def mark(target: Marked) -> Marked:
        setattr(target, "conformance_needs", capabilities)  # noqa: B010
        return target

    return mark


class Bench:
    """What a test works with. Every object it names is deleted at the end and must be gone then."""

    def __init__(self, target: DriverUnderTest) -> None:
        self.target = target
        self.driver = target.open()
        self.capabilities = self.driver.capabilities()
        self.pool = target.config.pools[0].name
        self.size = target.share_size
        self.deployment = target.config.deployment
        self._client = target.client_for(self.driver)
        self._made: dict[ObjectRef, ObjectKind] = {}
        self._peer: Bench | None = None
        self.before = self.listing()

    # -- instances and names

    def has(self, capability: str) -> bool:
        """Whether the driver declares a capability in the sense of :func:`needs`."""
        if capability == "data":
            return self._client is not None
        if capability.startswith("mode:"):
            return AccessMode(capability[5:]) in self.capabilities.access_modes
        return bool(getattr(self.capabilities, capability))

    @property
    def client(self) -> Client:
        """The client of the first instance."""
        assert self._client is not None, "the test needs 'data' but does not say so"
        return self._client

    def another(self) -> Driver:
        """A second instance on the same storage, as another process would open it."""
        return self.target.open()

    def reopen(self) -> Driver:
        """Open an instance anew, after the first was closed; it becomes the first."""
        self.driver = self.target.open()
        self._client = self.target.client_for(self.driver)
        return self.driver

    def peer(self) -> Bench | None:
        """The bench of another backend that exchanges snapshots with this one, where there is one."""
        if self._peer is None and self.target.peer is not None:
            self._peer = Bench(self.target.peer)
        return self._peer

    def ref(self, kind: ObjectKind = ObjectKind.SHARE, pool: str = "") -> ObjectRef:
        """A fresh name, in the first pool unless one is given."""
        ref = ObjectRef(pool or self.pool, object_name(uuid.uuid4()))
        self._made[ref] = kind
        return ref

    def call(self, epoch: int = 1, *, step: str = "step", operation: str | None = None, deployment: str = "") -> Call:
        """A call of a new operation, unless one is given."""
        return Call(
            deployment or self.deployment, f"op-{uuid.uuid4()}" if operation is None else operation, step, epoch
        )

    # -- verbs, with jobs polled to their end

    def finish(self, start: Callable[[], Job]) -> Job:
        """Make the same call until its job is over; Busy is waited for. The final job, whatever its state."""
        deadline, pause = time.monotonic() + self.target.job_timeout, 0.002
        while True:
            job = patiently(start, self.target.job_timeout)
            assert isinstance(job, Job), f"a job was promised, {job!r} came"
            check_job(job)
            if job.state is not JobState.RUNNING:
                return job
            assert time.monotonic() < deadline, f"job still runs after {self.target.job_timeout} s: {job}"
            time.sleep(pause)
            pause = min(pause * 2, 0.25)

    def complete(self, start: Callable[[], Job]) -> None:
        """Like :meth:`finish`, and the job must be done."""
        job = self.finish(start)
        assert job.state is JobState.DONE, f"job ended as {job}"

    def create(self, size: int | None = None, epoch: int = 1, pool: str = "") -> ObjectRef:
        """A new share, complete."""
        ref = self.ref(pool=pool)
        made = self.driver.create_share(ref, size or self.size, self.call(epoch))
        assert (made.ref, made.size) == (ref, size or self.size), f"another share than the one asked for: {made}"
        return ref

    def snapshot(self, share: ObjectRef, epoch: int = 1) -> ObjectRef:
        """A new snapshot of a share, complete."""
        ref, call = self.ref(ObjectKind.SNAPSHOT, share.pool), self.call(epoch)
        self.complete(lambda: self.snapshots().create_snapshot(share, ref, call))
        return ref

    def clone(self, snapshot: ObjectRef, size: int | None = None, epoch: int = 1) -> ObjectRef:
        """A new share out of a snapshot, complete."""
        ref, call = self.ref(pool=snapshot.pool), self.call(epoch)
        self.complete(lambda: self.clones().clone_snapshot(snapshot, ref, size or self.size, call))
        return ref

    def revert(self, share: ObjectRef, snapshot: ObjectRef, call: Call, driver: Driver | None = None) -> None:
        """Take a share back; the job must be done."""
        self.complete(lambda: self.reverts(driver).revert_share(share, snapshot, call))

    def delete(self, ref: ObjectRef, call: Call | None = None, driver: Driver | None = None) -> None:
        """Delete a share or snapshot of this bench; the job must be done."""
        asked, used = call or self.call(LAST_EPOCH), driver or self.driver
        if self._made[ref] is ObjectKind.SNAPSHOT:
            self.complete(lambda: self.snapshots(used).delete_snapshot(ref, asked))
        else:
            self.complete(lambda: used.delete_share(ref, asked))

    def snapshots(self, driver: Driver | None = None) -> SupportsSnapshots:
        """The driver's snapshot verbs."""
        found = driver or self.driver
        assert isinstance(found, SupportsSnapshots), "snapshots are declared but SupportsSnapshots is not implemented"
        return found

    def clones(self, driver: Driver | None = None) -> SupportsClone:
        """The driver's clone verb."""
        found = driver or self.driver
        assert isinstance(found, SupportsClone), "clone is declared but SupportsClone is not implemented"
        return found

    def reverts(self, driver: Driver | None = None) -> SupportsRevert:
        """The driver's revert verb."""
        found = driver or self.driver
        assert isinstance(found, SupportsRevert), "revert is declared but SupportsRevert is not implemented"
        return found

    def transfers(self, driver: Driver | None = None) -> SupportsTransfer:
        """The driver's verb for snapshots that travel."""
        found = driver or self.driver
        assert isinstance(found, SupportsTransfer), "transfer is declared but SupportsTransfer is not implemented"
        return found

    def qos(self, driver: Driver | None = None) -> SupportsQos:
        """The driver's verbs for quality of service."""
        found = driver or self.driver
        assert isinstance(found, SupportsQos), "qos_supported is declared but SupportsQos is not implemented"
        return found

    # -- what is there

    def state(self, ref: ObjectRef) -> ObjectState:
        """The state of an object that must be there."""
        state = self.driver.observe(ref)
        assert state is not None, f"{ref.name} is not on the backend"
        return state

    def listing(self) -> dict[ObjectRef, ObjectState]:
        """All objects of all pools; every listing must be complete and name no object twice."""
        found: dict[ObjectRef, ObjectState] = {}
        for pool in self.target.config.pools:
            listing = self.driver.list_objects(pool.name)
            assert listing.complete, f"listing of pool {pool.name} is incomplete without a reason"
            for state in listing.objects:
                assert state.ref not in found, f"{state.ref.name} is listed twice"
                found[state.ref] = state
        return found

    @contextlib.contextmanager
    def unchanged(self) -> Iterator[None]:
        """What happens inside must leave the listing and all reachable content as they were."""
        before, data = self.listing(), self._content()
        yield
        assert self.listing() == before, "the listing changed"
        assert self._content() == data, "content changed"

    def _content(self) -> dict[ObjectRef, dict[str, bytes]]:
        found = {}
        for ref, state in self.listing().items():
            if self._client is not None and ref in self._made and state.complete and state.mode is not AccessMode.NONE:
                found[ref] = self._client.tree(ref)
        return found

    def clean_up(self) -> None:
        """Delete what the test made and check that the storage is as it was before the test."""
        for ref in reversed(self._made):
            self.delete(ref)
            left = self.driver.observe(ref)
            assert left is None, f"residue after delete: {left}"
        if self._peer is not None:
            self._peer.clean_up()
        after = self.listing()
        assert after == self.before, f"residue: {sorted(r.name for r in after.keys() ^ self.before.keys())}"


def patiently(ask: Callable[[], T], seconds: float = 60.0) -> T:
    """The answer of a call, made again while the backend says Busy."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return ask()
        except Busy as busy:
            if time.monotonic() > deadline:
                pytest.fail(f"still busy after {seconds} s: {busy}")
            time.sleep(min(max(busy.retry_after, 0.0), 0.25))


def check_job(job: Job) -> None:
    """A job's figures must make sense."""
    for name, done, total in (
        ("bytes", job.bytes_done, job.bytes_total),
        ("files", job.files_done, job.files_total),
    ):
        assert done >= 0, f"{name} done is negative: {job}"
        assert total is None or total >= done, f"more {name} done than there are: {job}"
    assert job.state is not JobState.FAILED or job.message, f"a failed job does not say why: {job}"


def without_time(state: ObjectState) -> ObjectState:
    """The state with the creation time left out."""
    return dataclasses.replace(state, created_at=0.0)
