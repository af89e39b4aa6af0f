"""The mutating verbs of the fake array, each inside one transaction.

Order of the checks in every verb: pool, tombstone or epoch, owner, what is there, size and space. Only then is written.
"""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

from drivers.contract import AccessMode, Call, Job, JobState, ObjectKind, ObjectRef
from drivers.errors import Busy, Conflict, NotFound, OverUsed, Rejected
from drivers.fake import jobs, qos
from drivers.fake.records import StoredObject, Tombstone
from drivers.fake.session import Session
from shareflow.contracts.qos import Limits


def new(ref: ObjectRef, kind: ObjectKind, size: int, call: Call, source: str = "", tree: str = "") -> StoredObject:
    """An object that was not there before, not complete yet."""
    return StoredObject(
        pool=ref.pool, name=ref.name, kind=kind, size=size, complete=False, epoch=call.epoch,
        deployment=call.deployment, operation=call.operation, created_at=time.time(), tree=tree, source=source,
        mode=AccessMode.RW if kind is ObjectKind.SHARE else AccessMode.RO,
    )  # fmt: skip


def create_share(session: Session, ref: ObjectRef, size: int, call: Call) -> StoredObject:
    """See the contract. A half-made share is completed; one that a clone left half made is a Conflict."""
    session.check(call)
    session.alive(ref)
    stored = session.find(ref)
    if stored is None:
        session.reserve(ref.pool, size)
        fresh = session.put(dataclasses.replace(new(ref, ObjectKind.SHARE, size, call), complete=not session.half))
        session.take(ref.pool, size)
        session.effect("create_share", fresh, call)
        return fresh
    session.fence(stored, call)
    if stored.kind is not ObjectKind.SHARE:
        raise Conflict(f"{ref.name} is a snapshot")
    if stored.size != size:
        raise Conflict(f"share {ref.name} exists with {stored.size} bytes, {size} are asked for")
    if stored.complete:
        return session.touch(stored, call)
    if stored.source:
        if jobs.running(session, stored):
            raise Busy(f"share {ref.name} is being cloned from {stored.source}", retry_after=0.05)
        raise Conflict(f"share {ref.name} is a half-made clone of {stored.source}", hint="clone again, or delete it")
    return session.put(changed(stored, call, complete=not session.half))


def resize_share(session: Session, ref: ObjectRef, size: int, call: Call) -> StoredObject:
    """See the contract."""
    stored = _changeable(session, ref, call)
    if size == stored.size:
        return session.touch(stored, call)
    session.reserve(ref.pool, size, stored.size)
    used = session.trees.used(stored.tree) if size < stored.size else 0
    if used > size:
        raise OverUsed(f"share {ref.name} uses {used} bytes, more than {size}", used=used)
    stored = jobs.ensure_free(session, stored, call)
    session.take(ref.pool, size - stored.size)
    fresh = session.put(changed(stored, call, size=size))
    session.effect("resize_share", fresh, call)
    return fresh


def set_access_mode(session: Session, ref: ObjectRef, mode: AccessMode, call: Call) -> None:
    """See the contract."""
    stored = _changeable(session, ref, call)
    if mode is stored.mode:
        session.touch(stored, call)
        return
    stored = jobs.ensure_free(session, stored, call)
    fresh = session.put(changed(stored, call, mode=mode))
    session.effect("set_access_mode", fresh, call, mode)
    if stored.tree:
        session.expose(fresh)


def set_qos(session: Session, ref: ObjectRef, limits: Limits, call: Call) -> StoredObject:
    """See the contract."""
    session.check(call)
    verdicts = qos.verdicts(session.settings, limits)
    wanted = qos.stored({key: verdict.value for key, verdict in verdicts.items() if verdict.value is not None})
    stored = _changeable(session, ref, call)
    missing = [f"{key}: {verdict.reason}" for key, verdict in verdicts.items() if verdict.value is None]
    if missing:
        raise Rejected(f"cannot be enforced: {'; '.join(missing)}")
    if wanted == stored.qos:
        return session.touch(stored, call)
    stored = jobs.ensure_free(session, stored, call)
    fresh = session.put(changed(stored, call, qos=wanted[: len(wanted) // 2] if session.half else wanted))
    session.effect("set_qos", fresh, call)
    return fresh


def find_writers(session: Session, ref: ObjectRef) -> tuple[list[str], Path | None]:
    """Whether clients can write, by what lets them in; and the directory whose open files are to be looked for."""
    stored = session.need(ref, ObjectKind.SHARE)
    tree = session.trees.path(stored.tree) if stored.tree else None
    try:
        session.open_to_write(stored)
    except OSError:
        return [], tree
    return [f"clients can write: the access mode is {stored.mode}"], tree


def create_snapshot(session: Session, share: ObjectRef, ref: ObjectRef, call: Call) -> Job:
    """See the contract. The content is frozen by the first call."""
    session.check(call)
    session.alive(ref)
    if share.pool != ref.pool:
        raise Rejected(f"a snapshot lives in the pool of its share, {share.pool!r}, not in {ref.pool!r}")
    stored = session.find(ref)
    if stored is not None:
        session.fence(stored, call)
        if not jobs.is_snapshot_of(stored, share) or stored.origin:
            raise Conflict(f"{ref.name} exists and is not a snapshot of {share.name} that was taken here")
        if stored.complete:
            session.touch(stored, call)
            return Job.done()
        if job := jobs.running(session, stored):
            return jobs.poll(session, stored, job, call)
    source = session.need(share, ObjectKind.SHARE)
    tree = session.trees.make(source.tree) if source.tree else ""
    if stored is None:
        fresh = session.put(new(ref, ObjectKind.SNAPSHOT, source.size, call, share.name, tree))
        session.effect("create_snapshot", fresh, call)
    else:
        session.rubbish.append(stored.tree)
        fresh = session.put(changed(stored, call, tree=tree, size=source.size))
    return Job.done() if session.half else jobs.start(session, "create_snapshot", fresh, call)


def clone_snapshot(session: Session, snapshot: ObjectRef, ref: ObjectRef, size: int, call: Call) -> Job:
    """See the contract. The content is copied by the first call and shown when the job is done."""
    session.check(call)
    session.alive(ref)
    if snapshot.pool != ref.pool:
        raise Rejected(f"a clone lives in the pool of its snapshot, {snapshot.pool!r}, not in {ref.pool!r}")
    stored = session.find(ref)
    if stored is not None:
        session.fence(stored, call)
        if stored.kind is not ObjectKind.SHARE or stored.source != snapshot.name or stored.size != size:
            raise Conflict(f"{ref.name} exists and is not a clone of {snapshot.name} with {size} bytes")
        if stored.complete:
            session.touch(stored, call)
            return Job.done()
        if job := jobs.running(session, stored):
            return jobs.poll(session, stored, job, call)
    source = session.need(snapshot, ObjectKind.SNAPSHOT)
    if stored is None:
        session.reserve(ref.pool, size)
    if size < source.size:
        raise Rejected(f"a clone of {snapshot.name} needs {source.size} bytes at least, not {size}")
    tree = session.trees.make(source.tree) if source.tree else ""
    if stored is None:
        fresh = session.put(new(ref, ObjectKind.SHARE, size, call, snapshot.name, tree))
        session.take(ref.pool, size)
        session.effect("clone_snapshot", fresh, call)
    else:
        session.rubbish.append(stored.tree)
        fresh = session.put(changed(stored, call, tree=tree))
    if session.half:
        return Job.done()
    return jobs.start(session, "clone_snapshot", fresh, call, argument=snapshot.name)


def revert_share(session: Session, share: ObjectRef, snapshot: ObjectRef, call: Call) -> Job:
    """See the contract. The snapshot's content is copied by the first call and switched to when the job is done."""
    stored = _changeable(session, share, call)
    if call.key in stored.reverts:
        session.touch(stored, call)
        return Job.done()
    job = jobs.running(session, stored)
    if job and (job.key, job.argument) == (call.key, snapshot.name):
        return jobs.poll(session, stored, job, call)
    source = session.need(snapshot, ObjectKind.SNAPSHOT)
    if not jobs.is_snapshot_of(source, share) or snapshot.pool != share.pool:
        raise Conflict(f"{snapshot.name} is not a snapshot of {share.name}")
    used = session.trees.used(source.tree)
    if used > stored.size:
        raise OverUsed(f"snapshot {snapshot.name} holds {used} bytes, {share.name} is of {stored.size}", used=used)
    stored = jobs.ensure_free(session, stored, call)
    tree = session.trees.make(source.tree) if source.tree or stored.tree else ""
    if session.half:
        session.rubbish.append(tree)
        session.touch(stored, call)
        return Job.done()
    fresh = session.touch(stored, call)
    return jobs.start(session, "revert_share", fresh, call, staged=tree, argument=snapshot.name)


def delete(session: Session, ref: ObjectRef, kind: ObjectKind, call: Call) -> Job:
    """See the contract: delete_share and delete_snapshot."""
    session.check(call)
    verb = "delete_share" if kind is ObjectKind.SHARE else "delete_snapshot"
    stored = session.find(ref)
    if stored is None:
        session.txn.put(Tombstone(call.epoch), session.pool(ref.pool), ref.name)
        return Job.done()
    session.fence(stored, call)
    if stored.kind is not kind:
        raise Conflict(f"{ref.name} is a {stored.kind.value}, not a {kind.value}")
    job = jobs.running(session, stored)
    if stored.deleting and job:
        return jobs.poll(session, stored, job, call)
    if job:
        stored = jobs.stop(session, stored, job, JobState.CANCELLED)
    session.txn.put(Tombstone(call.epoch), ref.pool, ref.name)
    if not stored.deleting:
        session.effect(verb, stored, call)
    fresh = session.put(changed(stored, call, complete=False, deleting=True))
    return Job.done() if session.half else jobs.start(session, verb, fresh, call)


def _changeable(session: Session, ref: ObjectRef, call: Call) -> StoredObject:
    """A complete share that this call may change. Raises NotFound, StaleEpoch, Conflict."""
    session.check(call)
    stored = session.find(ref)
    if stored is None or stored.deleting:
        raise NotFound(f"share {ref.name} is not in pool {ref.pool!r}")
    session.fence(stored, call)
    return session.need(ref, ObjectKind.SHARE)


def changed(stored: StoredObject, call: Call, **changes: object) -> StoredObject:
    """The object with these changes and the tags of the call that makes them."""
    merged = {"epoch": max(call.epoch, stored.epoch), "operation": call.operation, **changes}
    return dataclasses.replace(stored, **merged)  # type: ignore[arg-type]
