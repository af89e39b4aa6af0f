"""A whole Shareflow in one test process: real dev server, real worker, real inventory, any backends."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import yaml
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError, CancelledError
from temporalio.testing import TimeSkipper, TimeSkippingConfig

import worker
from drivers.fake import FakeArray, fake_array
from inventory.database import Database, deployment_id
from shareflow import names
from shareflow.contracts.steps import Limits
from shareflow.converter import data_converter
from shareflow.server.devserver import DevServer, DevServerSettings
from tests.support.quick import quick_directory

T = TypeVar("T")

# Short limits, so that what a person would wait minutes for shows in a test within seconds.
TEST_LIMITS = Limits(
    call=3, job=60, heartbeat=2, unserved=2, patience=6, retry=0.2, poll=0.02, turn=2, settle=0.2, history=300
)

FAKE_SPECS: tuple[Mapping[str, Any], ...] = (
    {"kind": "ShareType", "name": "standard", "description": "anything"},
    {"kind": "ShareType", "name": "ssd", "require": {"media": "ssd"}},
    {"kind": "ShareType", "name": "plain", "snapshots": {"allowed": False}},
    {"kind": "ShareType", "name": "fast", "qos": "gold"},
    {"kind": "ShareType", "name": "twice", "replicas": {"type": "dr", "count": 2, "interval": "1 s", "loss": "30 s"}},
    {
        "kind": "ShareType",
        "name": "mirrored",
        "replicas": {"type": "readable", "count": 1, "interval": "2 s", "loss": "40 s"},
    },
    {
        "kind": "ShareType",
        "name": "zoned",
        "replicas": {"count": 2, "apart": "zone", "interval": "1 s", "loss": "30 s"},
    },
    {"kind": "ShareType", "name": "spread", "spread": {"by": "zone"}},
    {
        "kind": "ShareType",
        "name": "choosy",
        "require": [
            'pool.media == "ssd" or pool.total >= 850 TiB',
            {"rule": 'pool.zone == "moon"', "enforce": "advise", "message": "the moon is coming"},
        ],
        "prefer": [{"when": 'pool.zone == "west"', "weight": 100}, {"score": "pool.free", "weight": 10}],
    },
    {"kind": "ShareType", "name": "never", "require": ['pool.media == "tape"', "request.size <= 1 TiB"]},
    {
        "kind": "QosClass",
        "name": "gold",
        "max_iops_per_gib": 100,
        "min_iops_per_gib": 10,
        "max_throughput": "100 MiB/s",
        "latency_target": "2 ms",
    },
    {"kind": "QosClass", "name": "silver", "max_iops": 1234, "max_throughput": "50 MiB/s"},
    {"kind": "QosClass", "name": "firm", "min_iops": 4000},
    {"kind": "QosClass", "name": "wish", "max_iops": 500, "min_iops": 400, "enforce": "best_effort"},
    {"kind": "QosClass", "name": "tiny", "max_iops": 5},
    {"kind": "QosClass", "name": "by-use", "max_iops_per_gib": 10, "max_iops_at_least": 50, "sized_by": "used"},
    {
        "kind": "Backend",
        "name": "alpha",
        "driver": "fake",
        "slots": 16,
        "pools": [
            {
                "name": "a1",
                "zone": "east",
                "options": {"capacity": "1 PiB"},
                "attributes": {"media": "ssd"},
                "qos": {"iops": 10_000, "throughput": "1 GiB/s"},
            },
            {
                "name": "a2",
                "zone": "west",
                "options": {"capacity": "900 TiB"},
                "attributes": {"media": "hdd"},
                "qos": {"iops": 1000},
            },
        ],
    },
    {
        "kind": "Backend",
        "name": "beta",
        "driver": "fake",
        "slots": 16,
        "options": {"qos_rounding": "decimal"},
        "pools": [{"name": "b1", "zone": "west", "options": {"capacity": "800 TiB"}, "attributes": {"media": "hdd"}}],
    },
)


def write_specs(directory: Path, documents: Sequence[Mapping[str, Any]]) -> Path:
    """Write documents as one spec file; returns the directory."""
    directory.mkdir(parents=True, exist_ok=True)
    texts = [yaml.safe_dump({"apiVersion": "shareflow/v1", **document}, sort_keys=False) for document in documents]
    (directory / "specs.yaml").write_text("---\n".join(texts))
    return directory


class Refused(Exception):
    """An operation that failed: ``code`` is the error's class, ``text`` what the caller reads."""

    def __init__(self, code: str, text: str) -> None:
        self.code, self.text = code, text
        super().__init__(f"{code}: {text}")


@dataclass
class World:
    """One running Shareflow and what tests do with it; ``server`` where they may kill it."""

    client: Client
    process: worker.Process
    skipper: TimeSkipper
    dead: list[BaseException]
    server: DevServer | None = None

    @property
    def database(self) -> Database:
        """The inventory."""
        return self.process.database

    @property
    def deployment(self) -> str:
        """The deployment's id."""
        with self.database.read() as connection:
            return deployment_id(connection)

    def array(self, backend: str = "alpha") -> FakeArray:
        """The fake array behind a backend: its script of faults and its ledger."""
        return fake_array(self.deployment, backend)

    @staticmethod
    def project() -> str:
        """A project of its own for one test."""
        return f"p-{uuid.uuid4().hex[:12]}"

    def check_alive(self) -> None:
        """Fail where a worker has died, so that what comes after it is not taken for the cause."""
        assert not self.dead, f"a worker of this world has died: {self.dead[0]!r} from {self.dead[0].__cause__!r}"

    async def start(self, kind: str, request: Any, *, operation: str | None = None) -> WorkflowHandle[Any, Any]:
        """Start an operation."""
        self.check_alive()
        return await self.skipper.client.start_workflow(
            kind, request, id=operation or f"op-{uuid.uuid4()}", task_queue=names.QUEUE
        )

    async def result(self, handle: WorkflowHandle[Any, Any]) -> dict[str, Any]:
        """The operation's result; raises Refused when it failed or was cancelled."""
        try:
            result = await handle.result()
        except WorkflowFailureError as error:
            cause = error.cause
            if isinstance(cause, CancelledError):
                raise Refused("OperationCancelled", str(cause)) from error
            code = cause.type if isinstance(cause, ApplicationError) and cause.type else type(cause).__name__
            raise Refused(code, str(cause)) from error
        assert isinstance(result, dict)
        return result

    async def run(self, kind: str, request: Any, *, operation: str | None = None) -> dict[str, Any]:
        """Start an operation and wait for its result."""
        return await self.result(await self.start(kind, request, operation=operation))

    async def read(self, name: str, query: Any, answer: type[T]) -> T:
        """Ask a question as clients do."""
        found: T = await self.client.execute_activity(
            name,
            query,
            id=f"read-{uuid.uuid4()}",
            task_queue=names.QUEUE,
            result_type=answer,
            start_to_close_timeout=timedelta(seconds=10),
            schedule_to_close_timeout=timedelta(seconds=20),
        )
        return found

    async def until(self, handle: WorkflowHandle[Any, Any], phase: str, *, seconds: float = 15) -> dict[str, Any]:
        """The operation's status once it is in a phase; fails when that does not come."""
        async with asyncio.timeout(seconds):
            while True:
                status: dict[str, Any] = await handle.query(names.STATUS)
                if status["phase"] == phase:
                    return status
                await asyncio.sleep(0.05)


@asynccontextmanager
async def running_world(
    address: str,
    directory: Path,
    *,
    documents: Sequence[Mapping[str, Any]] = FAKE_SPECS,
    database: str | None = None,
    limits: Limits = TEST_LIMITS,
    backends: Sequence[str] = (),
) -> AsyncIterator[World]:
    """A worker on the given server, in this process, with specs of its own. One at a time per server.

    It serves the queues of these backends only, of all when none is named.
    """
    specs = write_specs(directory / "specs", documents)
    plain = await Client.connect(address, data_converter=data_converter)
    skipper = TimeSkipper(plain, config=TimeSkippingConfig(enabled=False))
    settings = worker.Settings(
        database=database or f"sqlite:///{directory / 'inventory.db'}",
        state_dir=directory / "state",
        specs=[specs],
        address=address,
        limits=limits,
        backends=list(backends),
    )
    dead: list[BaseException] = []

    async def died(error: BaseException) -> None:
        dead.append(error)

    process = await asyncio.to_thread(worker.Process, settings, skipper.client, died)
    try:
        async with process.polling():
            yield World(client=plain, process=process, skipper=skipper, dead=dead)
    finally:
        process.close()


@asynccontextmanager
async def world_of_its_own(
    binary: Path,
    *,
    documents: Sequence[Mapping[str, Any]] = FAKE_SPECS,
    database: str | None = None,
    limits: Limits = TEST_LIMITS,
    backends: Sequence[str] = (),
) -> AsyncIterator[World]:
    """A worker on a server that nobody else uses, with time skipping; both are gone at the end."""
    with quick_directory() as directory:
        settings = DevServerSettings(
            binary=binary, database=directory / "temporal.db", log_file=directory / "server.log", time_skipping=True
        )
        async with (
            DevServer(settings) as server,
            running_world(
                server.address,
                directory / "world",
                documents=documents,
                database=database,
                limits=limits,
                backends=backends,
            ) as running,
        ):
            running.server = server
            yield running
