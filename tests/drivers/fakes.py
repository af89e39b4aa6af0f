"""Short words for the tests of the fake driver."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from drivers.contract import BackendConfig, Call, Job, JobState, ObjectRef, PoolConfig, object_name
from drivers.fake import FakeArray, FakeClient, FakeDriver

MIB = 2**20
GIB = 2**30


def ref(pool: str = "p1") -> ObjectRef:
    """A fresh name."""
    return ObjectRef(pool, object_name(uuid.uuid4()))


@dataclass
class World:
    """A fake backend with one driver instance, and more on demand."""

    config: BackendConfig
    driver: FakeDriver = field(init=False)

    def __post_init__(self) -> None:
        self.driver = FakeDriver(self.config)

    @property
    def array(self) -> FakeArray:
        """The array behind it."""
        return self.driver.array

    @property
    def client(self) -> FakeClient:
        """A client of its shares."""
        return FakeClient(self.array)

    def another(self, **options: object) -> FakeDriver:
        """Another instance, with some options changed."""
        config = self.config
        return FakeDriver(
            BackendConfig(config.name, config.deployment, config.pools, config.state_dir, {**config.options, **options})
        )

    def call(self, epoch: int = 1, operation: str | None = None, step: str = "step") -> Call:
        """A call of a new operation, unless one is given."""
        return Call(self.config.deployment, operation or f"op-{uuid.uuid4()}", step, epoch)

    def share(self, size: int = MIB, epoch: int = 1) -> ObjectRef:
        """A new share."""
        new = ref()
        self.driver.create_share(new, size, self.call(epoch))
        return new

    def snapshot(self, share: ObjectRef) -> ObjectRef:
        """A new snapshot."""
        new, call = ref(), self.call()
        finish(lambda: self.driver.create_snapshot(share, new, call))
        return new

    def sound(self) -> bool:
        """Whether the ledger finds nothing wrong."""
        ledger = self.array.ledger
        found = [*ledger.verify_snapshots(), *ledger.audit(), *ledger.violations()]
        assert found == []
        return True


def config_for(store: str, path: Path, **options: object) -> BackendConfig:
    """A backend with two pools of 1 GiB."""
    place = {"path": str(path / "array")} if store == "disk" else {}
    pools = [PoolConfig(name, {"capacity": "1 GiB"}) for name in ("p1", "p2")]
    return BackendConfig("fake-1", f"d-{uuid.uuid4()}", pools, path, {"store": store, **place, **options})


def finish(start: Callable[[], Job], seconds: float = 20.0) -> Job:
    """Make the same call until its job is over."""
    end = time.monotonic() + seconds
    while (job := start()).state is JobState.RUNNING:
        assert time.monotonic() < end
        time.sleep(0.005)
    return job


class Background:
    """A call in a thread; ``result()`` waits for it."""

    def __init__(self, work: Callable[[], object]) -> None:
        self._work = work
        self._outcome: object = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._outcome = self._work()
        except Exception as error:  # noqa: BLE001 - the outcome, whatever it is
            self._outcome = error

    @property
    def running(self) -> bool:
        """Whether the call has not come back."""
        return self._thread.is_alive()

    def result(self, seconds: float = 10.0) -> object:
        """What the call gave or raised."""
        self._thread.join(seconds)
        assert not self._thread.is_alive(), "the call does not come back"
        return self._outcome
