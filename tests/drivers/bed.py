"""A test bed for drivers of the recorded family: a pool, calls, and children that are killed at named moments."""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from drivers import crash
from drivers.contract import BackendConfig, Call, Job, JobState, ObjectRef, PoolConfig, object_name
from drivers.recorded import RecordedDriver

MIB = 2**20
SIZE = 16 * MIB
POOL = "p"


@dataclass
class Bed:
    """One pool below ``root``, and fresh driver instances on it, each as another process would have it."""

    driver_class: type[RecordedDriver]
    root: Path
    state_dir: Path
    options: dict[str, object] = field(default_factory=dict)
    pool_options: dict[str, object] = field(default_factory=dict)
    _opened: list[RecordedDriver] = field(default_factory=list)

    def open(self) -> RecordedDriver:
        """A new instance."""
        pools = (PoolConfig(POOL, {"path": str(self.root), **self.pool_options}),)
        driver = self.driver_class(BackendConfig("b", "dep", pools, self.state_dir, self.options))
        self._opened.append(driver)
        return driver

    def close(self) -> None:
        """Close every instance."""
        while self._opened:
            self._opened.pop().close()

    def residue(self) -> list[str]:
        """What lies in staging and trash, once the trash was swept."""
        meta = self.root / ".shareflow"
        deadline = time.monotonic() + 10
        while True:
            left = sorted(f"{part}/{path.name}" for part in ("staging", "trash") for path in (meta / part).iterdir())
            if not left or time.monotonic() > deadline:
                return left
            self.open().list_objects(POOL)
            time.sleep(0.01)


def ref() -> ObjectRef:
    """A fresh name."""
    return ObjectRef(POOL, object_name(uuid.uuid4()))


def call(step: str = "step", epoch: int = 1, operation: str = "op") -> Call:
    """A call; the same arguments give the same call."""
    return Call("dep", operation, step, epoch)


def finish(start: Callable[[], Job], seconds: float = 60) -> Job:
    """Make the same call until its job is over."""
    deadline = time.monotonic() + seconds
    while (job := start()).state is JobState.RUNNING:
        assert time.monotonic() < deadline, job
        time.sleep(0.01)
    return job


def done(start: Callable[[], Job]) -> None:
    """Like :func:`finish`, and the job must be done."""
    job = finish(start)
    assert job.state is JobState.DONE, job


@contextmanager
def watched(found: list[str]) -> Iterator[None]:
    """Collect the crash windows that are passed meanwhile."""
    crash.hook = found.append
    try:
        yield
    finally:
        crash.hook = None


def in_child(work: Callable[[], None]) -> int:
    """Run work in a forked child; the wait status. The child prints what it raises and never comes back."""
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        try:
            work()
            os._exit(0)
        except BaseException:  # noqa: BLE001 - the child must not run the parent's tests
            traceback.print_exc()
            os._exit(1)
    return os.waitpid(child, 0)[1]


def killed_at(window: str, occurrence: int, work: Callable[[], object]) -> bool:
    """Run work in a child that is killed when it passes a window for the n-th time. False when it ended before."""
    passed: Counter[str] = Counter()

    def hook(name: str) -> None:
        passed[name] += 1
        if name == window and passed[name] == occurrence:
            os.kill(os.getpid(), signal.SIGKILL)

    def run() -> None:
        crash.hook = hook
        work()

    status = in_child(run)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.WEXITSTATUS(status) == 0, f"the child failed on its own before {window}"
    return False


def occurrences(passed: Sequence[str], *, first_only: bool) -> list[tuple[str, int]]:
    """Every passing of a window as name and count, or the first one of each name."""
    counted: Counter[str] = Counter()
    found = []
    for name in passed:
        counted[name] += 1
        if counted[name] == 1 or not first_only:
            found.append((name, counted[name]))
    return found


def write(driver: RecordedDriver, target: ObjectRef, name: str, text: str) -> None:
    """Write a file of a share, durable."""
    with (driver.data_path(target) / name).open("w") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())


def content(driver: RecordedDriver, target: ObjectRef) -> dict[str, str]:
    """The files of an object."""
    return {path.name: path.read_text() for path in driver.data_path(target).iterdir()}
