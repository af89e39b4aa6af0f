"""The fake array: one storage system, seen by every driver instance that is opened on it.

An array in memory belongs to this process and is found by deployment and backend name; an array on disk is found by
its directory and shared by every process that opens it. Tests hold on to the array itself: to script faults, to look
at calls and effects, to write as a client would, to restart it.
"""

from __future__ import annotations

import atexit
import shutil
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from drivers.contract import ObjectRef
from drivers.errors import Broken, Busy, DriverError, PoolFull, Rejected, Unknown
from drivers.fake import jobs
from drivers.fake.ledger import Ledger
from drivers.fake.options import Settings
from drivers.fake.records import CallRecord, StoredObject
from drivers.fake.script import Fault, FaultKind, FaultScript, Visit, plan
from drivers.fake.session import TRUSTING, Session
from drivers.fake.store import DiskStore, MemoryStore, Store
from drivers.fake.trees import Trees

T = TypeVar("T")
_SLICE_SECONDS = 0.02
"""How often a call that hangs looks whether its rule was lifted."""


class FakeArray:
    """One fake storage system.

    Attributes:
        script: the faults it shows.
        ledger: the independent account of its effects.
        trees: its data directory.
    """

    def __init__(self, store: Store, root: Path) -> None:
        self._store = store
        self._interrupted = threading.Event()
        self._settled = False
        self.root = root
        self.trees = Trees(root / "data")
        self.script = FaultScript(store)
        self.ledger = Ledger(store, self.trees)

    # -- what driver instances use

    def configure(self, settings: Settings) -> None:
        """Note the pools' capacities. Raises Unknown when the store cannot be opened."""
        try:
            with self._store.transaction() as txn:
                for pool, capacity in settings.capacity.items():
                    self.ledger.limit(txn, pool, capacity)
        except (OSError, sqlite3.Error) as error:
            raise Unknown(f"the fake array in {self.root} cannot be opened: {error}") from error

    def settle(self, root: Path) -> None:
        """Say where the data are to be; the first driver that is opened on the array decides."""
        if not self._settled:
            self._settled = True
            self.root = root
            self.trees.move(root / "data")

    def perform(
        self,
        settings: Settings,
        owner: str,
        visit: Visit,
        effect: Callable[[Session], T],
        wrong: Callable[[Fault], T],
    ) -> T:
        """Carry out one call, with the faults that are scripted for it, and note how it ended."""
        if settings.latency:
            self._sleep(settings.latency, None)
        attempt = _Attempt(self, settings, owner, visit)
        try:
            result = attempt.run(effect, wrong)
        except DriverError as error:
            self._note(visit, type(error).__name__)
            raise
        except (OSError, sqlite3.Error) as error:
            self._note(visit, type(error).__name__)
            raise Unknown(f"{visit.verb} on the fake array failed: {error}") from error
        if not attempt.noted:
            self._note(visit, "ok")
        return result

    def _note(self, visit: Visit, outcome: str) -> None:
        try:
            with self._store.transaction() as txn:
                txn.log(call_record(visit, outcome))
        except sqlite3.Error as error:
            raise Unknown(f"{visit.verb} on the fake array failed: {error}") from error

    def run(self, settings: Settings, owner: str, effect: Callable[[Session], T]) -> T:
        """One transaction outside of the script; removes rubbish after its commit."""
        session: Session | None = None
        try:
            with self._store.transaction() as txn:
                session = Session(txn, self.trees, self.ledger, settings, owner)
                result = effect(session)
        except BaseException:
            if session is not None and not self._store.undoes:
                self._sweep(session)
            raise
        self._sweep(session)
        return result

    def _sweep(self, session: Session) -> None:
        for tree in session.rubbish:
            self.trees.remove(tree)

    def _sleep(self, seconds: float, fault: Fault | None) -> None:
        """Wait; ends early when the rule is lifted. Raises Unknown when :meth:`interrupt` is called meanwhile."""
        interrupted, end = self._interrupted, time.monotonic() + seconds
        while (rest := end - time.monotonic()) > 0:
            if interrupted.wait(min(rest, _SLICE_SECONDS) if fault else rest):
                raise Unknown("the fake array was interrupted while the call was hanging")
            if fault is not None and not self.script.lasts(fault):
                return

    # -- what tests use

    def interrupt(self) -> None:
        """End every call that hangs now with Unknown, without what it would have done next. Later calls may hang."""
        interrupted, self._interrupted = self._interrupted, threading.Event()
        interrupted.set()

    def restart(self) -> None:
        """Restart the array: jobs stand still, at the progress they had, until their calls are made anew."""
        self._admin(lambda session: jobs.pause(session, None))

    def finish_jobs(self) -> int:
        """Bring every running job to its end now; gives their number."""
        return self._admin(jobs.hurry)

    def pause_jobs(self, owner: str) -> None:
        """Let the jobs of one driver instance stand still."""
        self._admin(lambda session: jobs.pause(session, owner))

    def trust(self, trusting: bool) -> None:  # noqa: FBT001 - a switch
        """Switch off (True) or on the checks of epochs, tombstones and space, to see what the ledger finds."""
        self._admin(lambda session: session.txn.add(TRUSTING, int(trusting) - int(session.trusting)))

    def objects(self) -> list[StoredObject]:
        """Everything on the array, as stored; jobs that are over by now are not settled."""
        return self._admin(lambda session: session.txn.items(StoredObject))

    def calls(self, verb: str = "") -> list[CallRecord]:
        """The newest calls, the oldest first; of one verb, or all."""
        found = self._admin(lambda session: session.txn.logged(CallRecord))
        return [call for call in found if verb in {"", call.verb}]

    def counters(self) -> dict[str, int]:
        """How many of the calls in :meth:`calls` there are of each verb."""
        counts: dict[str, int] = {}
        for call in self.calls():
            counts[call.verb] = counts.get(call.verb, 0) + 1
        return counts

    def fingerprint(self, ref: ObjectRef) -> str | None:
        """SHA-256 of an object's content; None when there is no such object."""

        def read(session: Session) -> str | None:
            stored = session.txn.get(StoredObject, ref.pool, ref.name)
            return None if stored is None else self.trees.fingerprint(stored.tree)

        return self._admin(read)

    def violations(self) -> list[str]:
        """What the ledger found so far."""
        return self.ledger.violations()

    def close(self) -> None:
        """Let go of files; the array stays and can be used again."""
        self._store.close()

    def repair(self) -> None:
        """After a crash: show the content that the records say, remove trees that belong to none."""
        if not (self.root / "data").exists():
            return

        def work(session: Session) -> None:
            stored = session.txn.items(StoredObject)
            for one in stored:
                if one.tree and one.complete:
                    session.expose(one)
            staged = {tree for tree in jobs.staged(session) if tree}
            links = {self.trees.client_path(one.pool, one.name) for one in stored}
            self.trees.sweep({*staged, *(one.tree for one in stored)}, links)

        self._admin(work)

    def _admin(self, work: Callable[[Session], T]) -> T:
        return self.run(_NO_SETTINGS, "", work)


class _Attempt:
    """One call on its way through the script."""

    def __init__(self, array: FakeArray, settings: Settings, owner: str, visit: Visit) -> None:
        self._array = array
        self._settings = settings
        self._owner = owner
        self._visit = visit
        self.noted = False

    def run(self, effect: Callable[[Session], T], wrong: Callable[[Fault], T]) -> T:
        """The call's result, without faults in one transaction."""
        array, visit = self._array, self._visit
        faults: Sequence[Fault] = ()
        result: list[T] = []

        def first(session: Session) -> None:
            nonlocal faults
            faults = plan(session.txn, visit)
            if not faults:
                result.append(effect(session))
                session.txn.log(call_record(visit, "ok"))

        array.run(self._settings, self._owner, first)
        if not faults:
            self.noted = True
            return result[0]
        return self._faulty(faults, effect, wrong)

    def _faulty(self, faults: Sequence[Fault], effect: Callable[[Session], T], wrong: Callable[[Fault], T]) -> T:
        hangs = [fault for fault in faults if fault.kind is FaultKind.HANG]
        last = faults[-1]
        for hang in hangs:
            self._array._sleep(hang.before, hang)  # noqa: SLF001 - the other half of the same object
        self._refuse(last)
        if last.kind in {FaultKind.WRONG_ANSWER, FaultKind.STALE_LISTING}:
            result = wrong(last)
        else:
            result = self._array.run(self._settings, self._owner, lambda session: effect(_marked(session, last)))
        for hang in hangs:
            self._array._sleep(hang.after, hang)  # noqa: SLF001
        self._break(last)
        return result

    def _refuse(self, fault: Fault) -> None:
        """Raise what comes before any effect."""
        text = fault.message or f"scripted fault {fault.kind} on {self._visit.verb}"
        match fault.kind:
            case FaultKind.BUSY:
                raise Busy(text, retry_after=fault.retry_after)
            case FaultKind.REJECT:
                raise Rejected(text, pool_specific=fault.pool_specific)
            case FaultKind.FULL:
                raise PoolFull(text)
            case FaultKind.ERROR_BEFORE_EFFECT | FaultKind.UNREACHABLE:
                raise Unknown(text)

    def _break(self, fault: Fault) -> None:
        """Raise what comes after an effect."""
        text = fault.message or f"scripted fault {fault.kind} on {self._visit.verb}"
        if fault.kind is FaultKind.ERROR_AFTER_EFFECT or (fault.kind is FaultKind.HALF and not fault.broken):
            raise Unknown(text)
        if fault.kind is FaultKind.HALF:
            raise Broken(text, residue=[self._visit.target])


def _marked(session: Session, fault: Fault) -> Session:
    session.half = fault.kind is FaultKind.HALF
    if fault.kind is FaultKind.FAIL_JOB:
        session.fail = fault.message or "scripted fault: the job failed"
    return session


def call_record(visit: Visit, outcome: str) -> CallRecord:
    """What the array remembers of a call."""
    call = visit.call
    return CallRecord(
        at=time.time(), verb=visit.verb, pool=visit.pool, name=visit.target,
        operation=call.operation if call else "", step=call.step if call else "", epoch=call.epoch if call else 0,
        outcome=outcome,
    )  # fmt: skip


_NO_SETTINGS = Settings(store="memory", path=None, latency=0.0, seconds={}, capacity={}, attributes={})
_ARRAYS: dict[tuple[str, str], FakeArray] = {}
_ARRAYS_LOCK = threading.Lock()


def fake_array(deployment: str, name: str) -> FakeArray:
    """The array in this process's memory behind a backend; made when it is asked for first, by a test or a driver."""
    return _array(("memory", f"{deployment}/{name}"), None)


def disk_array(path: Path) -> FakeArray:
    """The array on disk in a directory, which is made when it is missing; other processes see the same one."""
    return _array(("disk", str(path.resolve())), path)


def open_array(settings: Settings, deployment: str, name: str, state_dir: Path) -> FakeArray:
    """The array behind a backend's settings; the data of one in memory are below ``path``, else below ``state_dir``."""
    if settings.store == "disk":
        return disk_array(settings.path or state_dir)
    array = fake_array(deployment, name)
    with _ARRAYS_LOCK:
        array.settle(settings.path or state_dir / _temporary().name)
    return array


def forget_array(array: FakeArray) -> None:
    """Interrupt what hangs and forget the array in this process; temporary files go, an array on disk stays there."""
    array.interrupt()
    with _ARRAYS_LOCK:
        for key in [key for key, known in _ARRAYS.items() if known is array]:
            del _ARRAYS[key]
    array.close()
    _remove_temporary(array.root)


def _array(key: tuple[str, str], path: Path | None) -> FakeArray:
    with _ARRAYS_LOCK:
        if key not in _ARRAYS:
            if path is None:
                array = FakeArray(MemoryStore(), _temporary())
            else:
                array = FakeArray(DiskStore(path / "array.sqlite3"), path)
                _repair(array)
            _ARRAYS[key] = array
        return _ARRAYS[key]


def _repair(array: FakeArray) -> None:
    try:
        array.repair()
    except (OSError, sqlite3.Error) as error:
        raise Unknown(f"the fake array in {array.root} cannot be opened: {error}") from error


def _temporary() -> Path:
    """A directory name for one array of this process; nothing is made until somebody looks at data."""
    return Path(tempfile.gettempdir()) / f"{_PREFIX}{time.time_ns():x}-{len(_ARRAYS)}-{threading.get_ident():x}"


_PREFIX = "shareflow-fake-"


def _remove_temporary(root: Path) -> None:
    if root.name.startswith(_PREFIX):
        shutil.rmtree(root, ignore_errors=True)


@atexit.register
def _remove_all_temporary() -> None:
    for array in list(_ARRAYS.values()):
        _remove_temporary(array.root)
