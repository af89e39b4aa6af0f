"""Jobs of the fake array: started, found again, superseded, cancelled.

A job's content is staged when it starts, so that a running job needs nothing but time. Time is the machine's monotonic
clock, which all processes share; a job goes on while its driver instance is open, even when that process was killed
(the array is elsewhere), and stands still after ``close()`` or a restart of the array until its call is made anew.
"""

from __future__ import annotations

import dataclasses
import time

from drivers.contract import Call, Job, JobState, ObjectKind, ObjectRef
from drivers.errors import Busy
from drivers.fake.records import StoredJob, StoredObject
from drivers.fake.session import Session


def start(
    session: Session,
    verb: str,
    stored: StoredObject,
    call: Call,
    *,
    staged: str = "",
    argument: str = "",
    moved: int | None = None,
    bandwidth: int | None = None,
) -> Job:
    """Start the work on an object that is written already; done at once when it takes no time."""
    seconds = needed(session, verb, moved or 0, bandwidth)
    total = session.trees.used(staged or stored.tree)
    job = StoredJob(
        operation=call.operation, step=call.step, epoch=call.epoch, verb=verb, pool=stored.pool, name=stored.name,
        state=JobState.RUNNING, seconds=seconds, spent=0.0, since=time.monotonic(), owner=session.owner, total=total,
        staged=staged, argument=argument, moved=moved,
    )  # fmt: skip
    if session.fail:
        return _fail(session, dataclasses.replace(stored, job=(job.key, job.id)), job)
    if seconds > 0:
        session.txn.put(job, job.key, job.id)
        session.put(dataclasses.replace(stored, job=(job.key, job.id)))
        return view(job)
    session.finish(stored, job)
    return view(dataclasses.replace(job, state=JobState.DONE))


def needed(session: Session, verb: str, moved: int, bandwidth: int | None) -> float:
    """How long a job takes that moves so many bytes, at so many per second."""
    return session.settings.seconds[verb] + (0.0 if bandwidth is None else moved / bandwidth)


def paced(session: Session, job: StoredJob, bandwidth: int | None) -> StoredJob:
    """A running job under another bandwidth: what is left of it takes longer or less long."""
    seconds = needed(session, job.verb, job.moved or 0, bandwidth)
    if seconds == job.seconds:
        return job
    now = time.monotonic()
    share = job.progress(now) / job.seconds if job.seconds else 1.0
    return dataclasses.replace(job, seconds=seconds, spent=share * seconds, since=now)


def running(session: Session, stored: StoredObject) -> StoredJob | None:
    """The job that works on an object, running or standing still."""
    return session.txn.get(StoredJob, *stored.job) if stored.job else None


def poll(session: Session, stored: StoredObject, job: StoredJob, call: Call) -> Job:
    """Look at a job by the call that started it; takes it up when it stands still."""
    session.touch(stored, call)
    if session.fail:
        return _fail(session, stored, job)
    now = time.monotonic()
    fresh = dataclasses.replace(
        job, epoch=max(job.epoch, call.epoch), spent=job.progress(now), since=now, owner=session.owner
    )
    session.txn.put(fresh, fresh.key, fresh.id)
    return view(fresh)


def view(job: StoredJob) -> Job:
    """The job as the contract shows it."""
    share = 1.0 if job.state is JobState.DONE or job.seconds <= 0 else job.progress(time.monotonic()) / job.seconds
    moved = 0 if job.moved is None else int(job.moved * share)
    done = int(job.total * share) if job.moved is None else job.total - job.moved + moved
    return Job(state=job.state, bytes_done=done, bytes_total=job.total, message=job.message, bytes_moved=moved)


def ensure_free(session: Session, stored: StoredObject, call: Call) -> StoredObject:
    """The object without a job: one of an older epoch is cancelled. Raises Busy for one of the same epoch."""
    job = running(session, stored)
    if job is None:
        return stored
    if call.epoch > job.epoch:
        return stop(session, stored, job, JobState.CANCELLED)
    raise Busy(f"{stored.name} is held by {job.verb} of operation {job.operation!r}", retry_after=0.05)


def stop(session: Session, stored: StoredObject, job: StoredJob, state: JobState, message: str = "") -> StoredObject:
    """End a job without its effect; the object is free and what was staged for it goes."""
    now = time.monotonic()
    ended = dataclasses.replace(job, state=state, spent=job.progress(now), since=None, message=message, staged="")
    session.txn.put(ended, job.key, job.id)
    if job.staged:
        session.rubbish.append(job.staged)
    return session.put(dataclasses.replace(stored, job=()))


def _fail(session: Session, stored: StoredObject, job: StoredJob) -> Job:
    stop(session, stored, job, JobState.FAILED, session.fail)
    return Job(state=JobState.FAILED, bytes_total=job.total, message=session.fail)


def cancel(session: Session, call: Call) -> Job:
    """Stop the jobs of a key: ``done`` when they were over first, else ``cancelled``. Raises StaleEpoch."""
    state = JobState.CANCELLED
    for job in session.txn.items(StoredJob, call.key):
        ref = ObjectRef(job.pool, job.name)
        stored = session.find(ref) if job.pool in session.settings.capacity else None
        now = session.txn.get(StoredJob, job.key, job.id)
        if now is None or now.state is JobState.FAILED:
            continue
        if stored is not None and stored.job == (job.key, job.id):
            session.fence(stored, call)
            stop(session, session.touch(stored, call), now, JobState.CANCELLED)
            return Job(state=JobState.CANCELLED, bytes_total=now.total)
        if now.state is JobState.DONE:
            state = JobState.DONE
    return Job(state=state)


def pause(session: Session, owner: str | None) -> None:
    """Let the jobs of one driver instance stand still, or with None all jobs."""
    now = time.monotonic()
    for job in session.txn.items(StoredJob):
        if job.state is JobState.RUNNING and job.since is not None and owner in {None, job.owner}:
            still = dataclasses.replace(job, spent=job.progress(now), since=None)
            session.txn.put(still, job.key, job.id)


def hurry(session: Session) -> int:
    """Bring every running job to its end now; gives their number."""
    count = 0
    for job in session.txn.items(StoredJob):
        stored = session.txn.get(StoredObject, job.pool, job.name)
        if job.state is JobState.RUNNING and stored is not None and stored.job == (job.key, job.id):
            session.finish(stored, job)
            count += 1
    return count


def is_snapshot_of(stored: StoredObject, share: ObjectRef) -> bool:
    """Whether an object is a snapshot of this share."""
    return stored.kind is ObjectKind.SNAPSHOT and stored.source == share.name


def staged(session: Session) -> list[str]:
    """Trees that wait for their jobs."""
    return [job.staged for job in session.txn.items(StoredJob) if job.state is JobState.RUNNING]
