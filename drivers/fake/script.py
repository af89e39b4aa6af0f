"""Scripted faults: rules that say which calls of the fake array go wrong, and how.

    array = fake_array(deployment, "backend-1")
    array.script.add(FaultKind.BUSY, verb="create_share", times=3)
    array.script.add(FaultKind.HANG, operation="op-7", step="clone", before=30.0)
    outage = array.script.add(FaultKind.UNREACHABLE)
    array.script.lift(outage)

Rules are tried in the order in which they were added, and the first one that matches and is not used up decides.
Hangs do not decide: the call hangs and the next matching rule is looked for, so that a hang can end in an error.
The rules live in the array's store: with a store on disk any process can add and lift them.
"""

from __future__ import annotations

import dataclasses
import enum
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from drivers.contract import Call
from drivers.fake.records import StoredObject
from drivers.fake.store import Store, Transaction

JOB_VERBS = (
    "create_snapshot", "clone_snapshot", "revert_share", "delete_share", "delete_snapshot", "receive_snapshot",
)  # fmt: skip
MUTATING_VERBS = ("create_share", "resize_share", "set_access_mode", "set_qos", "cancel_job", *JOB_VERBS)
READING_VERBS = (
    "used_bytes", "observe", "list_objects", "pools", "data_path", "enforced_qos", "find_writers", "send_snapshot",
    "changed_bytes", "is_unchanged",
)  # fmt: skip
"""``send_snapshot`` is the sender's side of ``receive_snapshot``, on the sender's array."""
VERBS = (*MUTATING_VERBS, *READING_VERBS)
SPACE_VERBS = ("create_share", "resize_share", "create_snapshot", "clone_snapshot", "receive_snapshot")
FOREVER = -1
_LIVE = "faults"


class FaultKind(enum.StrEnum):
    """What goes wrong."""

    BUSY = "busy"
    REJECT = "reject"
    FULL = "full"
    ERROR_BEFORE_EFFECT = "error_before_effect"
    ERROR_AFTER_EFFECT = "error_after_effect"
    HANG = "hang"
    HALF = "half"
    WRONG_ANSWER = "wrong_answer"
    STALE_LISTING = "stale_listing"
    UNREACHABLE = "unreachable"
    FAIL_JOB = "fail_job"


class StaleListing(enum.StrEnum):
    """How a listing is wrong: some objects missing and it says so; as it was when the rule was added; empty."""

    PARTIAL = "partial"
    OLD = "old"
    EMPTY = "empty"


_DEFAULT_VERBS: dict[FaultKind, tuple[str, ...]] = {
    FaultKind.BUSY: MUTATING_VERBS,
    FaultKind.REJECT: MUTATING_VERBS,
    FaultKind.FULL: SPACE_VERBS,
    FaultKind.HALF: tuple(verb for verb in MUTATING_VERBS if verb != "cancel_job"),
    FaultKind.STALE_LISTING: ("list_objects",),
    FaultKind.FAIL_JOB: JOB_VERBS,
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One rule. Empty or None filters match everything.

    Attributes:
        verb: method of the contract; without it, those for which the kind makes sense.
        name: name of an object that the call touches, source or target.
        operation, step: of the call, compared exactly.
        left: matching calls that it still hits; FOREVER until lifted.
        skip: matching calls that it lets pass first.
        hits: calls that it hit so far.
        pool_specific: REJECT: another pool may take the request.
        retry_after: BUSY: seconds.
        before, after: HANG: seconds before and after the effect.
        broken: HALF: raise Broken with the residue, instead of Unknown.
        size: WRONG_ANSWER: the size, usage or free space that is answered, where it fits; -1 for the plausible one.
        listing: STALE_LISTING: how the listing is wrong.
        frozen: STALE_LISTING: the objects as they were when the rule was added.
    """

    id: str
    kind: FaultKind
    verb: str = ""
    pool: str = ""
    name: str = ""
    operation: str | None = None
    step: str | None = None
    left: int = 1
    skip: int = 0
    hits: int = 0
    message: str = ""
    pool_specific: bool = False
    retry_after: float = 0.05
    before: float = 0.0
    after: float = 0.0
    broken: bool = True
    size: int = -1
    listing: StaleListing = StaleListing.PARTIAL
    frozen: tuple[StoredObject, ...] = ()

    def matches(self, visit: Visit) -> bool:
        """Whether a call is one of those the rule is about."""
        return (
            visit.verb in ((self.verb,) if self.verb else _DEFAULT_VERBS.get(self.kind, VERBS))
            and self.pool in {"", visit.pool}
            and (not self.name or self.name in visit.names)
            and self.operation in {None, visit.call.operation if visit.call else None}
            and self.step in {None, visit.call.step if visit.call else None}
        )


@dataclass(frozen=True, slots=True)
class Visit:
    """A call that reached the array. ``names`` are the objects it touches, the target first."""

    verb: str
    pool: str = ""
    names: tuple[str, ...] = ()
    call: Call | None = None

    @property
    def target(self) -> str:
        """Name of the object it makes, changes or reads, or empty."""
        return self.names[0] if self.names else ""


class FaultScript:
    """The rules of one array. Thread-safe; with a store on disk also safe among processes."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add(
        self,
        kind: FaultKind | str,
        *,
        verb: str = "",
        pool: str = "",
        name: str = "",
        operation: str | None = None,
        step: str | None = None,
        times: int | None = 1,
        skip: int = 0,
        message: str = "",
        pool_specific: bool = False,
        retry_after: float = 0.05,
        before: float = 0.0,
        after: float = 0.0,
        broken: bool = True,
        size: int = -1,
        listing: StaleListing | str = StaleListing.PARTIAL,
    ) -> Fault:
        """Add a rule behind the others. It hits ``times`` calls; None, and UNREACHABLE always: until it is lifted.

        Raises:
            ValueError: the kind or verb does not exist, ``times`` is below 1 or ``skip`` below 0.
        """
        kind = FaultKind(kind)
        if verb and verb not in VERBS:
            raise ValueError(f"there is no verb {verb!r}; verbs are {', '.join(VERBS)}")
        if (times is not None and times < 1) or skip < 0:
            raise ValueError(f"times must be 1 or more or None, skip 0 or more; they are {times} and {skip}")
        left = FOREVER if times is None or kind is FaultKind.UNREACHABLE else times
        fault = Fault(
            id=uuid.uuid4().hex, kind=kind, verb=verb, pool=pool, name=name, operation=operation, step=step,
            left=left, skip=skip, message=message, pool_specific=pool_specific,
            retry_after=retry_after, before=before, after=after, broken=broken, size=size,
            listing=StaleListing(listing),
        )  # fmt: skip
        with self._store.transaction() as txn:
            if fault.kind is FaultKind.STALE_LISTING:
                fault = dataclasses.replace(fault, frozen=tuple(txn.items(StoredObject)))
            txn.put(fault, fault.id)
            txn.add(_LIVE, 1)
        return fault

    def lift(self, fault: Fault) -> int:
        """Remove a rule, used up or not; calls that hang by it go on. Gives the number of calls that it hit."""
        with self._store.transaction() as txn:
            found = txn.get(Fault, fault.id)
            if found is None:
                return 0
            txn.drop(Fault, fault.id)
            txn.add(_LIVE, 0 if found.left == 0 else -1)
            return found.hits

    def clear(self) -> None:
        """Remove all rules; calls that hang go on."""
        for fault in self.faults():
            self.lift(fault)

    def faults(self) -> list[Fault]:
        """The rules with their counts, used-up ones included."""
        with self._store.transaction() as txn:
            return txn.items(Fault)

    def hits(self, fault: Fault) -> int:
        """How many calls a rule has hit; 0 after it was lifted."""
        with self._store.transaction() as txn:
            found = txn.get(Fault, fault.id)
            return 0 if found is None else found.hits

    def lasts(self, fault: Fault) -> bool:
        """Whether a rule has not been lifted, used up or not."""
        with self._store.transaction() as txn:
            return txn.get(Fault, fault.id) is not None


def plan(txn: Transaction, visit: Visit) -> Sequence[Fault]:
    """The rules that hit this call: hangs, and at the end at most one that decides. Counts the hits."""
    if not txn.add(_LIVE, 0):
        return ()
    hit: list[Fault] = []
    for fault in txn.items(Fault):
        if fault.left == 0 or not fault.matches(visit):
            continue
        if fault.skip:
            txn.put(dataclasses.replace(fault, skip=fault.skip - 1), fault.id)
            continue
        left = fault.left if fault.left == FOREVER else fault.left - 1
        txn.put(dataclasses.replace(fault, left=left, hits=fault.hits + 1), fault.id)
        if left == 0:
            txn.add(_LIVE, -1)
        hit.append(fault)
        if fault.kind is not FaultKind.HANG:
            break
    return hit
