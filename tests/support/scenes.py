"""One test's own project in a world: short ways to say what users do, and what must hold when everything is over."""

from __future__ import annotations

import asyncio
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import RowMapping, Table, func, select
from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.client import WorkflowExecutionStatus, WorkflowHandle

from drivers.contract import ObjectRef
from drivers.fake import FakeClient
from inventory import audit, tables
from shareflow import faults, names
from tests.support.world import World

Handle = WorkflowHandle[Any, Any]
BACKENDS = ("alpha", "beta")
GIB = 2**30


async def until(condition: Callable[[], object], *, seconds: float = 10) -> None:
    """Wait until a condition holds that nobody announces."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


class Gate:
    """Stops who comes to a fault point in an operation's name, until the test lets it go on."""

    def __init__(self, point: str, operation: str) -> None:
        self._reached = threading.Event()
        self._opened = threading.Event()
        faults.arm(point, self._stop, operation=operation)

    def _stop(self) -> None:
        self._reached.set()
        self._opened.wait(30)

    def is_reached(self) -> bool:
        """Whether somebody stands at the gate, or has stood there."""
        return self._reached.is_set()

    async def reached(self) -> None:
        """Somebody stands at the gate."""
        await until(self.is_reached, seconds=15)

    def open(self) -> None:
        """Let it go on."""
        self._opened.set()


@dataclass
class Scene:
    """A project of its own.

    Attributes:
        task_timeout: of workflow tasks. A workflow hears news while a local activity runs after 0.8 of it.
    """

    world: World
    project: str
    operations: list[str] = field(default_factory=list)
    violations: int = 0
    task_timeout: timedelta | None = None

    # -- what users do

    def new_id(self) -> str:
        """An operation id of this test."""
        self.operations.append(f"op-{uuid.uuid4()}")
        return self.operations[-1]

    async def start(self, kind: str, *, operation: str | None = None, **fields: Any) -> Handle:
        """Start an operation in this project, under a new id unless one is given."""
        self.world.check_alive()
        if operation is not None:
            self.operations.append(operation)
        return await self.world.skipper.client.start_workflow(
            kind,
            {"project": self.project, **fields},
            id=operation or self.new_id(),
            task_queue=names.QUEUE,
            task_timeout=self.task_timeout,
        )

    async def run(self, kind: str, *, operation: str | None = None, **fields: Any) -> dict[str, Any]:
        """Start an operation and wait for its result; raises Refused."""
        return await self.world.result(await self.start(kind, operation=operation, **fields))

    async def create(self, name: str = "home", size: str | int = "1 GiB", **fields: Any) -> dict[str, Any]:
        """Make a share, on alpha's best pool unless said otherwise."""
        where = {} if {"backend", "zone", "pool", "type"} & fields.keys() else {"backend": "alpha", "pool": "a1"}
        return await self.run(names.CREATE_SHARE, name=name, size=size, **where, **fields)

    async def snapshot(self, name: str = "s1", share: str = "home") -> dict[str, Any]:
        """Make a snapshot."""
        return await self.run(names.CREATE_SNAPSHOT, share=share, name=name)

    async def bin(self, share: str = "home", **fields: Any) -> Handle:
        """Delete a share softly; returns its operation once it is in the recycle bin."""
        handle = await self.start(names.DELETE_SHARE, share=share, **fields)
        await self.world.until(handle, "recycle-bin")
        return handle

    async def purge(self, *shares: str) -> None:
        """Delete shares for good."""
        for share in shares:
            handle = await self.bin(share)
            await handle.signal(names.PURGE_NOW, {})
            await self.world.result(handle)

    async def cancelled(self, handle: Handle) -> None:
        """Wait for the end of a cancelled operation and check that it is one."""
        async with asyncio.timeout(20):
            await asyncio.wait([asyncio.create_task(handle.result())])
        assert (await handle.describe()).status is WorkflowExecutionStatus.CANCELED
        recorded = self.operation(handle.id)
        assert recorded["state"] == "failed-clean"
        assert recorded["failure"]["type"] == "OperationCancelled"

    # -- what is there

    def one(self, table: Table, **where: Any) -> RowMapping:
        """The only row with these values."""
        rows = self.rows(table, **where)
        assert len(rows) == 1, f"{len(rows)} rows in {table.name} with {where}"
        return rows[0]

    def rows(self, table: Table, **where: Any) -> list[RowMapping]:
        """The rows with these values."""
        statement = select(table).where(*(table.c[key] == value for key, value in where.items()))
        with self.world.database.read() as connection:
            return list(connection.execute(statement).mappings())

    def operation(self, identifier: str) -> RowMapping:
        """The row of an operation."""
        return self.one(tables.operations, id=identifier)

    def share(self, name: str = "home") -> RowMapping:
        """The row of a share in view."""
        return self.one(tables.shares, project=self.project, live_name=name)

    def ref(self, share_id: str) -> ObjectRef:
        """The address of a share's only instance on its array."""
        row = self.one(tables.instances, share_id=share_id)
        return ObjectRef(self.one(tables.pools, id=row["pool_id"])["name"], row["object"])

    def snapshot_ref(self, snapshot_id: str) -> ObjectRef:
        """The address of a snapshot's only copy on its array."""
        row = self.one(tables.snapshot_instances, snapshot_id=snapshot_id)
        return ObjectRef(self.one(tables.pools, id=row["pool_id"])["name"], row["object"])

    def files(self, backend: str = "alpha") -> FakeClient:
        """A client that mounts the shares of a backend."""
        return FakeClient(self.world.array(backend))

    def used(self) -> tuple[int, int, int]:
        """Shares, bytes and snapshots that count against the project's quota."""
        rows = self.rows(tables.quotas, project=self.project)
        return (rows[0]["shares_used"], rows[0]["bytes_used"], rows[0]["snapshots_used"]) if rows else (0, 0, 0)

    def objects(self) -> set[str]:
        """Names of the objects on all arrays that this project's operations made."""
        mine = {row["id"] for row in self.rows(tables.operations, project=self.project)} | set(self.operations)
        return {
            stored.name for name in BACKENDS for stored in self.world.array(name).objects() if stored.operation in mine
        }

    async def when(self, condition: Callable[[], object], *, seconds: float = 10) -> None:
        """Wait until a condition holds."""
        await until(condition, seconds=seconds)

    async def status(self, handle: Handle) -> dict[str, Any]:
        """The answer to the status query."""
        status: dict[str, Any] = await handle.query(names.STATUS)
        return status

    @staticmethod
    def days_between(earlier: str, later: str) -> float:
        """Days between two moments of a status."""
        return (datetime.fromisoformat(later) - datetime.fromisoformat(earlier)) / timedelta(days=1)

    async def noted(self, handle: Handle, text: str, *, seconds: float = 10) -> dict[str, Any]:
        """The status once its note says something."""
        async with asyncio.timeout(seconds):
            while True:
                status = await self.status(handle)
                if text in status["note"]:
                    return status
                await asyncio.sleep(0.05)

    async def details(self, handle: Handle) -> str:
        """The current details as the Web UI shows them."""
        return (await self.metadata(handle)).current_details

    async def metadata(self, handle: Handle) -> WorkflowMetadata:
        """What a workflow says of itself to the Web UI."""
        answer: WorkflowMetadata = await handle.query("__temporal_workflow_metadata", result_type=WorkflowMetadata)
        return answer

    async def events(self, handle: Handle) -> list[int]:
        """The types of the events in an operation's history."""
        return [event.event_type async for event in handle.fetch_history_events()]

    def limits(self, name: str = "home") -> dict[str, int | str]:
        """What is enforced on a share in view, read from its array."""
        object_ = self.ref(self.share(name)["id"]).name
        (stored,) = (o for backend in BACKENDS for o in self.world.array(backend).objects() if o.name == object_)
        return {limit.key: limit.value for limit in stored.qos}

    # -- what must hold

    def check(self) -> None:
        """All operations of the project are over: nothing is held, nothing is lost, everything adds up."""
        for row in self.rows(tables.operations, project=self.project):
            assert row["state"] in {"succeeded", "failed-clean"}, f"{row['kind']} {row['id']} is {row['state']}"
            assert not self.rows(tables.claims, operation=row["id"]), f"{row['kind']} {row['id']} still holds claims"
            assert not self.rows(tables.tickets, operation=row["id"])
            assert not self.rows(tables.reservations, operation=row["id"], state="pending")
        shares = self.rows(tables.shares, project=self.project)
        snapshots = self.rows(tables.snapshots, project=self.project)
        assert {row["status"] for row in [*shares, *snapshots]} <= {"available"}
        assert not [row["id"] for row in [*shares, *snapshots] if row["claimed_by"]]
        assert [row["live_name"] for row in shares] == [row["name"] for row in shares]
        assert self.used() == (len(shares), sum(row["size"] for row in shares), len(snapshots))
        self._check_objects(shares, snapshots)
        self._check_pools()
        for name in BACKENDS:
            self.world.array(name).ledger.verify_snapshots()
        assert self.found() == self.violations, [self.world.array(name).violations() for name in BACKENDS]

    def found(self) -> int:
        """How many violations the arrays' ledgers have noted."""
        return sum(len(self.world.array(name).violations()) for name in BACKENDS)

    def _check_objects(self, shares: list[RowMapping], snapshots: list[RowMapping]) -> None:
        rows = [row for share in shares for row in self.rows(tables.instances, share_id=share["id"])]
        copies = [row for one in snapshots for row in self.rows(tables.snapshot_instances, snapshot_id=one["id"])]
        tombstones = self.rows(tables.tombstones, project=self.project, gone_at=None)
        assert len(rows) == len(shares)
        assert {row["object"] for row in [*rows, *copies, *tombstones]} == self.objects()
        recorded = {share["id"]: share["qos"] for share in shares}
        for row in rows:
            stored = [o for name in BACKENDS for o in self.world.array(name).objects() if o.name == row["object"]]
            assert [(one.size, one.complete, one.mode.value) for one in stored] == [(row["size"], True, "rw")]
            keys = (recorded[row["share_id"]] or {"keys": []})["keys"]
            limits = {key["key"]: key["enforced"] for key in keys if key["enforced"] is not None}
            assert [{limit.key: limit.value for limit in one.qos} for one in stored] == [limits]

    def _check_pools(self) -> None:
        carried: dict[str, int] = {}
        with self.world.database.read() as connection:
            for table in (tables.instances, tables.snapshot_instances, tables.tombstones):
                sums = select(table.c.pool_id, func.sum(table.c.allocated_bytes)).group_by(table.c.pool_id)
                if table is tables.tombstones:
                    sums = sums.where(table.c.gone_at.is_(None))
                for row in connection.execute(sums).all():
                    carried[row[0]] = carried.get(row[0], 0) + int(row[1])
            assert audit.broken_chains(connection, project=self.project) == []
        for pool in self.rows(tables.pools):
            pending = self.rows(tables.reservations, scope="pool", target=pool["id"], state="pending")
            total = carried.get(pool["id"], 0) + sum(row["bytes"] for row in pending)
            assert pool["allocated_bytes"] == total, f"pool {pool['name']} does not add up"
            self._check_floors(pool)

    def _check_floors(self, pool: RowMapping) -> None:
        """What the pool has promised is what its rows carry, and within its budget."""
        for kind in ("iops", "throughput"):
            rows = [
                *self.rows(tables.instances, pool_id=pool["id"]),
                *self.rows(tables.tombstones, pool_id=pool["id"], gone_at=None),
            ]
            pending = self.rows(tables.reservations, scope="pool", target=pool["id"], state="pending")
            total = sum(row[f"{kind}_floor"] for row in rows) + sum(row[kind] for row in pending)
            promised, budget = pool[f"{kind}_promised"], pool[f"{kind}_budget"]
            assert promised == total, f"floors of pool {pool['name']} do not add up"
            assert promised <= (budget or 0), f"pool {pool['name']} promises more {kind} than it has"
