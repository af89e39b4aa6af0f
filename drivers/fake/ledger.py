"""The ledger of the fake array: an independent account of every effect, checked while it happens.

It keeps figures of its own and never looks at the array's, so that a fault in one shows in the other. It raises
nothing; what it finds is read with :meth:`Ledger.violations`. Invariants, by their numbers in the reliability bar:

- I4 at most one object per name, ever; no creation after a delete
- I5 what a pool holds never exceeds its capacity, at no instant
- I7 of the legs of one share at most one is writable (for legs declared with :meth:`Ledger.declare_group`)
- I8 bytes of a snapshot never change (:meth:`Ledger.verify_snapshots`); one that came from another pool has the bytes
  that it has there, is not shown before, and was made from a base that is the same on both sides
- I12 the same request reverts once
- I13 no effect of an older epoch after one of a newer epoch
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass

from drivers.contract import AccessMode, ObjectKind, ObjectRef
from drivers.fake.records import Effect, StoredObject
from drivers.fake.store import Store, Transaction
from drivers.fake.trees import Trees

CREATIONS = ("create_share", "create_snapshot", "clone_snapshot", "receive_snapshot")
DELETIONS = ("delete_share", "delete_snapshot")
FINISHED = "finished "
"""Prefix of the verb of an effect that a running job brings about later."""


@dataclass(frozen=True, slots=True)
class Account:
    """What the ledger knows of one name.

    Attributes:
        held: what it takes of its pool, in bytes.
        fingerprint: of a snapshot that was complete.
        origin: fingerprint of the snapshot, of another pool, that it was received from.
    """

    created: bool = False
    deleted: bool = False
    epoch: int = 0
    held: int = 0
    mode: AccessMode = AccessMode.RW
    fingerprint: str = ""
    origin: str = ""
    group: str = ""
    reverts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Limit:
    """Capacity of a pool in bytes."""

    capacity: int


@dataclass(frozen=True, slots=True)
class Violation:
    """An invariant that was broken."""

    text: str


class Ledger:
    """The account of one array."""

    def __init__(self, store: Store, trees: Trees) -> None:
        self._store = store
        self._trees = trees
        self._pools: set[str] = set()

    def violations(self) -> list[str]:
        """What was found so far, the oldest first; each begins with the number of the invariant."""
        with self._store.transaction() as txn:
            return [violation.text for violation in txn.logged(Violation)]

    def effects(self) -> list[Effect]:
        """The newest effects, the oldest first."""
        with self._store.transaction() as txn:
            return txn.logged(Effect)

    def declare_group(self, group: str, legs: Iterable[ObjectRef]) -> None:
        """Say that these shares are legs of one: from now on at most one may be made writable."""
        with self._store.transaction() as txn:
            for ref in legs:
                account = txn.get(Account, ref.pool, ref.name) or Account()
                txn.put(dataclasses.replace(account, group=group), ref.pool, ref.name)

    def verify_snapshots(self) -> list[str]:
        """Compare every complete snapshot with its fingerprint; gives what is wrong and notes it."""
        found = []
        with self._store.transaction() as txn:
            for snapshot in txn.items(StoredObject):
                if snapshot.kind is not ObjectKind.SNAPSHOT or not snapshot.complete:
                    continue
                account = txn.get(Account, snapshot.pool, snapshot.name) or Account()
                if account.origin and not account.fingerprint:
                    found.append(f"I8 snapshot {snapshot.name} is shown before it was received")
                elif account.fingerprint != self._trees.fingerprint(snapshot.tree):
                    found.append(f"I8 bytes of snapshot {snapshot.name} changed since it was taken")
            for text in found:
                txn.log(Violation(text))
        return found

    def audit(self) -> list[str]:
        """Recount every pool from its objects and compare with the running sum (I5); gives and notes what is wrong."""
        found = []
        with self._store.transaction() as txn:
            sums = dict.fromkeys(self._pools, 0)
            for stored in txn.items(StoredObject):
                held = stored.size if stored.kind is ObjectKind.SHARE else 0
                sums[stored.pool] = sums.get(stored.pool, 0) + held
            for pool, held in sorted(sums.items()):
                if (running := txn.add(f"ledger {pool}", 0)) != held:
                    found.append(f"I5 pool {pool} holds {held} bytes, its effects add up to {running}")
            for text in found:
                txn.log(Violation(text))
        return found

    def limit(self, txn: Transaction, pool: str, capacity: int) -> None:
        """Note the capacity of a pool."""
        self._pools.add(pool)
        txn.put(Limit(capacity), pool)

    def fingerprint(self, txn: Transaction, snapshot: StoredObject) -> None:
        """Note the bytes of a snapshot that is complete now."""
        account = txn.get(Account, snapshot.pool, snapshot.name) or Account()
        fresh = dataclasses.replace(account, fingerprint=self._trees.fingerprint(snapshot.tree))
        if account.origin not in {"", fresh.fingerprint}:
            txn.log(Violation(f"I8 bytes of snapshot {snapshot.name} are not those that were sent"))
        txn.put(fresh, snapshot.pool, snapshot.name)

    def expect(self, txn: Transaction, snapshot: StoredObject, origin: str, bases: tuple[str, ...]) -> None:
        """Note what a snapshot that is being received has to be, and the fingerprints of its base on both sides."""
        if len(set(bases)) > 1:
            txn.log(Violation(f"I8 snapshot {snapshot.name} is received on a base that is another one at the sender"))
        account = txn.get(Account, snapshot.pool, snapshot.name) or Account()
        txn.put(dataclasses.replace(account, origin=origin), snapshot.pool, snapshot.name)

    def enter(self, txn: Transaction, effect: Effect, mode: AccessMode | None = None) -> None:
        """Note an effect and check it. ``mode`` is the new access mode, for the verb that sets it."""
        txn.log(effect if mode is None else dataclasses.replace(effect, mode=mode.value))
        account = txn.get(Account, effect.pool, effect.name) or Account()
        where = f"{effect.verb} of {effect.name} in {effect.pool} by {effect.operation!r}/{effect.step!r}"
        found = [*_names(account, effect), *_epochs(account, effect), *_reverts(account, effect)]
        found += self._capacity(txn, account, effect)
        if mode is AccessMode.RW and account.group:
            found += self._group(txn, account, effect)
        for text in found:
            txn.log(Violation(f"{text}: {where}"))
        verb = effect.verb
        txn.put(
            dataclasses.replace(
                account,
                created=account.created or verb in CREATIONS,
                deleted=account.deleted or verb in DELETIONS,
                epoch=max(account.epoch, effect.epoch),
                held=effect.size,
                mode=account.mode if mode is None else mode,
                reverts=(*account.reverts, _key(effect)) if verb == "revert_share" else account.reverts,
            ),
            effect.pool,
            effect.name,
        )

    @staticmethod
    def _capacity(txn: Transaction, account: Account, effect: Effect) -> list[str]:
        held = txn.add(f"ledger {effect.pool}", effect.size - account.held)
        limit = txn.get(Limit, effect.pool)
        if limit is not None and effect.size > account.held and held > limit.capacity:
            return [f"I5 pool holds {held} bytes of {limit.capacity}"]
        return []

    @staticmethod
    def _group(txn: Transaction, account: Account, effect: Effect) -> list[str]:
        others = [
            stored.name
            for stored in txn.items(StoredObject)
            if stored.name != effect.name and stored.mode is AccessMode.RW and not stored.deleting
            and (txn.get(Account, stored.pool, stored.name) or Account()).group == account.group
        ]  # fmt: skip
        return [f"I7 {', '.join(others)} of the same share is writable too"] if others else []


def _key(effect: Effect) -> str:
    return f"{effect.operation}/{effect.step}"


def _names(account: Account, effect: Effect) -> list[str]:
    if effect.verb not in CREATIONS:
        return []
    if account.deleted:
        return ["I4 created after it was deleted"]
    return ["I4 created a second time"] if account.created else []


def _epochs(account: Account, effect: Effect) -> list[str]:
    if effect.verb.startswith(FINISHED) or effect.epoch >= account.epoch:
        return []
    return [f"I13 epoch {effect.epoch} had an effect after epoch {account.epoch}"]


def _reverts(account: Account, effect: Effect) -> list[str]:
    again = effect.verb == "revert_share" and _key(effect) in account.reverts
    return ["I12 the same request reverted a second time"] if again else []
