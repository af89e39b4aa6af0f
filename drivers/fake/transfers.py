"""Snapshots on their way from one fake array to another, in one transaction on each side, one after the other."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from drivers.contract import Call, Job, JobState, ObjectKind, ObjectRef
from drivers.errors import Conflict, DriverError, Rejected
from drivers.fake import jobs
from drivers.fake.records import StoredObject
from drivers.fake.session import Session
from drivers.fake.verbs import changed, new


@dataclass(frozen=True, slots=True)
class Parcel:
    """A snapshot as its array hands it out.

    Attributes:
        size: provisioned bytes.
        path: directory with the content, None when nothing was ever written.
        moved: bytes that differ from the base, or all of them.
        fingerprint: of the content.
        base: fingerprint of the base, empty without one.
    """

    size: int
    path: Path | None
    moved: int
    fingerprint: str
    base: str = ""


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be received: ``base`` is its side here, ``bandwidth`` in bytes per second."""

    source: ObjectRef
    target: ObjectRef
    share: ObjectRef
    base: ObjectRef | None
    bandwidth: int | None


def send(session: Session, source: ObjectRef, base: ObjectRef | None) -> Parcel:
    """The sender's side. Raises NotFound; Rejected when the base is in another pool."""
    stored = session.need(source, ObjectKind.SNAPSHOT)
    since = None if base is None else session.need(base, ObjectKind.SNAPSHOT)
    if since is not None and since.pool != stored.pool:
        raise Rejected(f"base {since.name} is in pool {since.pool!r}, snapshot {stored.name} in {stored.pool!r}")
    return Parcel(
        size=stored.size,
        path=session.trees.path(stored.tree) if stored.tree else None,
        moved=session.trees.changed(stored.tree, since.tree if since else ""),
        fingerprint=session.trees.fingerprint(stored.tree),
        base=session.trees.fingerprint(since.tree) if since else "",
    )


def is_unchanged(session: Session, share: ObjectRef, snapshot: ObjectRef) -> bool:
    """Whether a share has the content of its snapshot. Raises NotFound."""
    stored, frozen = session.need(share, ObjectKind.SHARE), session.need(snapshot, ObjectKind.SNAPSHOT)
    trees = session.trees
    return jobs.is_snapshot_of(frozen, share) and trees.fingerprint(stored.tree) == trees.fingerprint(frozen.tree)


def receive(session: Session, sent: Parcel | DriverError, order: Order, call: Call) -> Job:
    """The receiver's side. See the contract."""
    session.check(call)
    session.alive(order.target)
    if order.share.pool != order.target.pool:
        raise Rejected(f"a snapshot lives in the pool of its share, {order.share.pool!r}, not in {order.target.pool!r}")
    if order.bandwidth is not None and order.bandwidth < 1:
        raise Rejected(f"the bandwidth is {order.bandwidth} bytes per second; give 1 or more, or none for no limit")
    stored = session.find(order.target)
    if stored is not None:
        session.fence(stored, call)
        if not jobs.is_snapshot_of(stored, order.share) or stored.origin != order.source.name:
            raise Conflict(f"{stored.name} exists and is not {order.source.name} received for {order.share.name}")
        if stored.complete:
            return _over(session, session.touch(stored, call))
        if job := jobs.running(session, stored):
            return jobs.poll(session, stored, jobs.paced(session, job, order.bandwidth), call)
    if isinstance(sent, DriverError):
        raise sent
    session.need(order.share, ObjectKind.SHARE)
    return _begin(session, stored, sent, order, _bases(session, sent, order), call)


def _bases(session: Session, sent: Parcel, order: Order) -> tuple[str, ...]:
    """The fingerprints of the base on both sides. Raises NotFound, Conflict."""
    if order.base is None:
        return ()
    ours = session.trees.fingerprint(session.need(order.base, ObjectKind.SNAPSHOT).tree)
    if ours != sent.base and not session.trusting:
        raise Conflict(f"base {order.base.name} is not the same snapshot on both sides", hint="send without a base")
    return (sent.base, ours)


def _begin(
    session: Session, stored: StoredObject | None, sent: Parcel, order: Order, bases: tuple[str, ...], call: Call
) -> Job:
    tree = session.trees.take(sent.path) if sent.path is not None else ""
    if stored is None:
        fresh = new(order.target, ObjectKind.SNAPSHOT, sent.size, call, order.share.name, tree)
        fresh = session.put(replace(fresh, origin=order.source.name, moved=sent.moved))
        session.effect("receive_snapshot", fresh, call)
    else:
        session.rubbish.append(stored.tree)
        fresh = session.put(changed(stored, call, tree=tree, size=sent.size, moved=sent.moved))
    session.ledger.expect(session.txn, fresh, sent.fingerprint, bases)
    if session.half:
        return Job.done()
    return jobs.start(session, "receive_snapshot", fresh, call, moved=sent.moved, bandwidth=order.bandwidth)


def _over(session: Session, stored: StoredObject) -> Job:
    total = session.trees.used(stored.tree)
    return Job(JobState.DONE, bytes_done=total, bytes_total=total, bytes_moved=stored.moved)


def missing(session: Session, share: ObjectRef, snapshot: ObjectRef) -> int:
    """Bytes of a share that differ from a snapshot. Raises NotFound."""
    stored, frozen = session.need(share, ObjectKind.SHARE), session.need(snapshot, ObjectKind.SNAPSHOT)
    return session.trees.changed(stored.tree, frozen.tree)
