"""What one call finds on the fake array: objects, tombstones, space, fences; inside one transaction.

Everything is checked before the first write, because the store in memory undoes nothing.
"""

from __future__ import annotations

import dataclasses
import errno
import os
import time
from dataclasses import dataclass, field

from drivers.contract import AccessMode, Call, JobState, ObjectKind, ObjectRef
from drivers.errors import Conflict, NotFound, PoolFull, Rejected, StaleEpoch
from drivers.fake.ledger import FINISHED, Ledger
from drivers.fake.options import Settings
from drivers.fake.records import Effect, StoredJob, StoredObject, Tombstone
from drivers.fake.store import Transaction
from drivers.fake.trees import Trees
from drivers.sidecar import KEPT_KEYS
from shareflow.contracts.units import MAX_BYTES, format_size

TRUSTING = "trusting"
"""Counter that is above 0 while the array compares no epochs, remembers no deletes and counts no space."""


@dataclass(slots=True)
class Session:
    """One transaction of one driver instance.

    Attributes:
        owner: token of the driver instance.
        half: the call is to be left half done.
        fail: a job that the call starts or finds is to fail.
        rubbish: trees to remove once the transaction is committed.
    """

    txn: Transaction
    trees: Trees
    ledger: Ledger
    settings: Settings
    owner: str
    half: bool = False
    fail: str = ""
    rubbish: list[str] = field(default_factory=list)

    # -- objects

    def pool(self, name: str) -> str:
        """The pool's name. Raises Rejected when it is not configured."""
        if name not in self.settings.capacity:
            raise Rejected(f"pool {name!r} does not exist", hint=f"pools are {', '.join(self.settings.capacity)}")
        return name

    def find(self, ref: ObjectRef) -> StoredObject | None:
        """The object, with the effect of a job that is over by now."""
        stored = self.txn.get(StoredObject, self.pool(ref.pool), ref.name)
        if stored is None or not stored.job:
            return stored
        job = self.txn.get(StoredJob, *stored.job)
        if job is not None and job.since is not None and job.progress(time.monotonic()) >= job.seconds:
            self.finish(stored, job)
            return self.txn.get(StoredObject, ref.pool, ref.name)
        return stored

    def need(self, ref: ObjectRef, kind: ObjectKind) -> StoredObject:
        """The object, complete and of this kind. Raises NotFound."""
        stored = self.find(ref)
        if stored is None or stored.deleting:
            raise NotFound(f"{kind.value} {ref.name} is not in pool {ref.pool!r}")
        if stored.kind is not kind:
            raise NotFound(f"{ref.name} is a {stored.kind.value}, not a {kind.value}")
        if not stored.complete:
            raise NotFound(f"{kind.value} {ref.name} in pool {ref.pool!r} is only half made")
        return stored

    def put(self, stored: StoredObject) -> StoredObject:
        """Write an object."""
        self.txn.put(stored, stored.pool, stored.name)
        return stored

    def content(self, stored: StoredObject) -> StoredObject:
        """The object with a tree; an empty one is made when nothing was ever written. No effect for the ledger."""
        return stored if stored.tree else self.put(dataclasses.replace(stored, tree=self.trees.make()))

    @staticmethod
    def open_to_write(stored: StoredObject) -> None:
        """What every write of a client passes. Raises OSError: ENOENT when it is closed, EROFS when it is read-only."""
        if not stored.complete or stored.mode is AccessMode.NONE:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), stored.name)
        if stored.mode is not AccessMode.RW or stored.kind is ObjectKind.SNAPSHOT:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), stored.name)

    def touch(self, stored: StoredObject, call: Call) -> StoredObject:
        """Raise the fence of an object that the call leaves as it is."""
        return stored if call.epoch <= stored.epoch else self.put(dataclasses.replace(stored, epoch=call.epoch))

    # -- fences

    @property
    def trusting(self) -> bool:
        """Whether the array lets everything through."""
        return self.txn.add(TRUSTING, 0) > 0

    def fence(self, stored: StoredObject, call: Call) -> None:
        """Raises StaleEpoch for an older epoch, Conflict for another deployment."""
        if call.epoch < stored.epoch and not self.trusting:
            raise StaleEpoch(f"epoch {call.epoch} is older than epoch {stored.epoch} of {stored.name}")
        if stored.deployment != call.deployment:
            raise Conflict(f"{stored.name} belongs to deployment {stored.deployment!r}, not {call.deployment!r}")

    def alive(self, ref: ObjectRef) -> None:
        """Raises StaleEpoch when the name was deleted."""
        if self.txn.get(Tombstone, self.pool(ref.pool), ref.name) is not None and not self.trusting:
            raise StaleEpoch(f"{ref.name} was deleted from pool {ref.pool!r}; its name is never used again")

    @staticmethod
    def check(call: Call) -> None:
        """Raises Rejected for an epoch below 1."""
        if call.epoch < 1:
            raise Rejected(f"epoch {call.epoch} is not an epoch; epochs begin at 1")

    # -- space

    def reserve(self, pool: str, size: int, held: int = 0) -> None:
        """Check that ``size`` bytes fit in the place of ``held``. Raises Rejected, PoolFull."""
        if not 0 < size <= MAX_BYTES:
            raise Rejected(f"size {size} is not between 1 byte and {format_size(MAX_BYTES)}")
        free = self.settings.capacity[pool] - self.used(pool)
        if size - held > max(free, 0) and not self.trusting:
            raise PoolFull(f"pool {pool!r} has {format_size(free)} free, {format_size(size - held)} more are needed")

    def used(self, pool: str) -> int:
        """Bytes that the objects of a pool take."""
        return self.txn.add(f"used {pool}", 0)

    def take(self, pool: str, amount: int) -> None:
        """Count space as taken, or with a negative amount as given back."""
        self.txn.add(f"used {pool}", amount)

    # -- effects

    def effect(self, verb: str, stored: StoredObject, call: Call, mode: AccessMode | None = None) -> None:
        """Note a change of an object."""
        held = stored.size if stored.kind is ObjectKind.SHARE else 0
        self.ledger.enter(self.txn, _effect(verb, stored, call.operation, call.step, call.epoch, held), mode)

    def finish(self, stored: StoredObject, job: StoredJob) -> None:
        """Bring about what a job was for."""
        self.txn.put(dataclasses.replace(job, state=JobState.DONE, since=None, spent=job.seconds), job.key, job.id)
        if stored.deleting:
            self._remove(stored, job)
        elif job.verb == "revert_share":
            self._switch(stored, job)
        else:
            stored = self.put(dataclasses.replace(stored, complete=True, job=()))
            if stored.kind is ObjectKind.SNAPSHOT:
                self.ledger.fingerprint(self.txn, stored)
            if stored.tree:
                self.expose(stored)

    def _switch(self, stored: StoredObject, job: StoredJob) -> None:
        fresh = dataclasses.replace(
            stored, tree=job.staged, reverts=(*stored.reverts, job.key)[-KEPT_KEYS:], job=(), operation=job.operation
        )
        self.put(fresh)
        self.ledger.enter(self.txn, _effect("revert_share", stored, job.operation, job.step, job.epoch, stored.size))
        self.rubbish.append(stored.tree)
        # Window: a crash before the commit leaves the link on the new tree and the record on the old one; the next
        # opening of the array puts the link back, so that the revert either happened or did not.
        self.expose(fresh)

    def _remove(self, stored: StoredObject, job: StoredJob) -> None:
        self.txn.drop(StoredObject, stored.pool, stored.name)
        if stored.kind is ObjectKind.SHARE:
            self.take(stored.pool, -stored.size)
        self.ledger.enter(self.txn, _effect(FINISHED + job.verb, stored, job.operation, job.step, job.epoch, 0))
        self.rubbish.append(stored.tree)
        if stored.tree:
            self.trees.hide(stored.pool, stored.name)

    def expose(self, stored: StoredObject) -> None:
        """Let the client path show what the record says."""
        if not stored.tree or stored.mode is AccessMode.NONE:
            self.trees.hide(stored.pool, stored.name)
        else:
            self.trees.show(stored.pool, stored.name, stored.tree)


def _effect(verb: str, stored: StoredObject, operation: str, step: str, epoch: int, held: int) -> Effect:
    return Effect(
        at=time.time(), verb=verb, pool=stored.pool, name=stored.name, operation=operation, step=step, epoch=epoch,
        size=held,
    )  # fmt: skip
