"""Finding objects and saying what state they are in."""

from __future__ import annotations

import contextlib
import dataclasses
from pathlib import Path

from drivers import crash
from drivers.contract import AccessMode, Call, ObjectKind, ObjectRef, ObjectState
from drivers.errors import Broken, Busy, NotFound, Unknown
from drivers.recorded.guards import check_fence, check_kind, check_owner
from drivers.recorded.places import DATA
from drivers.recorded.pool import Pool
from drivers.sidecar import Record


def save(pool: Pool, before: Record | None, after: Record, *, durable: bool = True) -> None:
    """Write a record, unless nothing in it changed; see :meth:`Sidecar.save`."""
    if after != before:
        pool.sidecar.save(after, durable=durable)


def complete(pool: Pool, ref: ObjectRef, kind: ObjectKind | None = None) -> tuple[Record, Path]:
    """The record and container of a finished object.

    Raises:
        NotFound: there is none, it is half made, or it is being deleted. Conflict: it is of another kind.
        Broken: the record is there and its data is gone.
    """
    record = None if pool.sidecar.tombstone(ref.name) else pool.sidecar.load(ref.name)
    if record is None:
        raise NotFound(f"{ref.name} is not in pool {ref.pool!r}")
    if kind is not None:
        check_kind(record, kind)
    if not record.complete:
        raise NotFound(f"{ref.name} is half made", hint="make the call that makes it again, or delete it")
    return record, located(pool, record)


def existing(pool: Pool, ref: ObjectRef, kind: ObjectKind, call: Call) -> tuple[Record, Path]:
    """A finished object for a call that changes it, its lock held; ends a revert that was killed at its switch.

    Raises:
        StaleEpoch, NotFound, Conflict, Broken.
    """
    record, tombstone = pool.sidecar.load(ref.name), pool.sidecar.tombstone(ref.name)
    check_fence(ref.name, call, record, tombstone)
    if record is not None and tombstone is None:
        check_kind(record, kind)
        check_owner(record, call)
        settle(pool, record)
    return complete(pool, ref, kind)


def located(pool: Pool, record: Record) -> Path:
    """The container of a finished object. Raises Broken when it is in none of its places."""
    home = _look(pool, record)
    if home is None and pool.places.parted(record.name):
        raise Busy(f"{record.name} is being switched to another content", retry_after=0.1)
    if home is None:
        raise Broken(
            f"the data of {record.name} is not in pool {pool.name!r} although its record says complete",
            residue=[record.name], hint="somebody removed it; restore it from a backup, or delete the object",
        )  # fmt: skip
    return home


def _look(pool: Pool, record: Record) -> Path | None:
    """Search more than once: a container that is just moved between two places can be missed by a reader."""
    for _ in range(3):
        home = pool.places.find(record)
        if home is not None:
            return home
    return None


def mode_of(pool: Pool, record: Record, home: Path) -> AccessMode:
    """What clients can do now, whatever the record says."""
    if record.kind is ObjectKind.SNAPSHOT:
        return AccessMode.RO
    if pool.places.is_withheld(home):
        return AccessMode.NONE
    return AccessMode.RO if pool.volumes.frozen(home / DATA) else AccessMode.RW


def state_of(pool: Pool, record: Record) -> ObjectState | None:
    """What the pool holds of an object that has a record; None when it went away meanwhile."""
    try:
        return _state(pool, record)
    except FileNotFoundError:
        pass  # moved or deleted while it was looked at
    try:
        with pool.sidecar.lock(record.name):
            again = pool.sidecar.load(record.name)
            return None if again is None else _state(pool, again)
    except Busy as busy:
        raise Unknown(f"{record.name} is being changed: {busy.reason}") from busy


def _state(pool: Pool, record: Record) -> ObjectState:
    dying = pool.sidecar.tombstone(record.name) is not None
    home = _look(pool, record) if record.complete and not dying else None
    parted = home is None and record.complete and not dying and pool.places.parted(record.name)
    return ObjectState(
        ref=ObjectRef(pool.name, record.name),
        kind=record.kind,
        size=record.size,
        complete=home is not None or parted,
        epoch=record.epoch,
        deployment=record.deployment,
        operation=record.operation,
        mode=record.mode if home is None else mode_of(pool, record, home),
        created_at=record.created_at,
    )


def stranger(pool: Pool, name: str) -> ObjectState | None:
    """What the pool holds under a name that has no record: nothing, or a container that somebody else put there."""
    kind = pool.places.strangers().get(name) if pool.places.containers(name) else None
    if kind is None or pool.sidecar.load(name) is not None:
        return None
    mode = AccessMode.RO if kind is ObjectKind.SNAPSHOT else AccessMode.RW
    return ObjectState(ObjectRef(pool.name, name), kind, 0, False, 0, "", "", mode, 0.0)


def settle(pool: Pool, record: Record) -> Record:
    """End a revert that was killed at its switch, under the object's lock. Gives the record as it is then."""
    if not record.revert:
        return record
    pool.places.rejoin(record)
    home = pool.places.find(record)
    if home is None or pool.places.key(home) != record.revert:
        return record
    return finish_revert(pool, record)


def finish_revert(pool: Pool, record: Record) -> Record:
    """Throw the old content of a switched revert away and record it as done."""
    pool.places.clear_staging(record.name)
    crash.window("revert.cleared")
    done = dataclasses.replace(record, job="", revert="", done=record.finished(record.revert))
    save(pool, record, done)
    return done


def clear_orphans(pool: Pool) -> None:
    """Move to the trash what lies in staging for an object on which nothing is under way (after a power loss)."""
    for name in pool.places.staged():
        record = pool.sidecar.load(name)
        if record is None or not record.complete or record.job or record.revert:
            continue
        with contextlib.suppress(Busy), pool.sidecar.lock(name):
            if pool.sidecar.load(name) == record:
                pool.places.clear_staging(name)
