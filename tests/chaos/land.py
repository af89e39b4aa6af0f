"""A whole Shareflow in processes of its own on real storage, to be killed with SIGKILL at any moment."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest
from sqlalchemy import func, select
from temporalio.client import Client, WorkflowHandle

from drivers.contract import BackendConfig, Driver, ObjectRef, PoolConfig, SupportsHostAccess
from drivers.mover import fingerprint
from drivers.registry import open_driver
from inventory import audit, tables
from inventory.database import Database, deployment_id
from shareflow import names
from shareflow.cli.workerprocess import WorkerProcess
from shareflow.converter import data_converter
from shareflow.server.devserver import DevServer, DevServerSettings
from tests.drivers.btrfs_pools import btrfs_pool
from tests.support.world import write_specs

T = TypeVar("T")
LIMITS = '{"heartbeat": 2, "retry": 0.3, "poll": 0.1, "turn": 3, "unserved": 30}'
RECOVERY_SECONDS = 90
DRIVERS = ("directory", pytest.param("btrfs", marks=pytest.mark.needs("driver-btrfs")))


@dataclass
class Land:
    """The running processes and what is behind them."""

    server: DevServer
    worker: WorkerProcess
    database: Database
    driver_name: str
    pools: Mapping[str, Path]
    state: Path

    async def client(self) -> Client:
        """A fresh client; the server may have been killed since the last one."""
        return await Client.connect(self.server.address, data_converter=data_converter)

    async def start(self, kind: str, request: Any, operation: str) -> WorkflowHandle[Any, Any]:
        """Start an operation."""
        client = await self.client()
        return await client.start_workflow(kind, request, id=operation, task_queue=names.QUEUE)

    async def run(self, kind: str, request: Any) -> dict[str, Any]:
        """Run an operation to its end."""
        handle = await self.start(kind, request, f"op-{uuid.uuid4()}")
        result: dict[str, Any] = await asyncio.wait_for(handle.result(), RECOVERY_SECONDS)
        return result

    async def start_worker(self, fault: str = "") -> None:
        """Start the worker, armed to kill itself at a fault point when one is given."""
        if fault:
            os.environ["SHAREFLOW_FAULTS"] = f"{fault}=kill"
        try:
            self.worker.start()
        finally:
            os.environ.pop("SHAREFLOW_FAULTS", None)
        assert await self.worker.ready(), self.worker.last_line

    async def worker_died(self, seconds: float = 30) -> bool:
        """Whether the worker killed itself within the time."""
        try:
            return await asyncio.wait_for(self.worker.wait(), seconds) == -9
        except TimeoutError:
            return False

    async def restart_server(self) -> None:
        """SIGKILL the Temporal server and start it on the same state."""
        self.server.kill()
        await self.server.start()

    def driver(self) -> Driver:
        """A driver of the test's own on the same storage."""
        with self.database.read() as connection:
            deployment = deployment_id(connection)
        config = BackendConfig(
            name="real",
            deployment=deployment,
            pools=[PoolConfig(name=name, options={"path": str(path)}) for name, path in self.pools.items()],
            state_dir=self.state / "observer",
        )
        return open_driver(config, self.driver_name)

    def place(self, share: str) -> ObjectRef:
        """Where a share's object is."""
        with self.database.read() as connection:
            row = connection.execute(
                select(tables.instances.c.object, tables.pools.c.name)
                .join(tables.pools, tables.pools.c.id == tables.instances.c.pool_id)
                .join(tables.shares, tables.shares.c.id == tables.instances.c.share_id)
                .where(tables.shares.c.name == share, tables.instances.c.role == "active")
            ).one()
        return ObjectRef(pool=row.name, name=row.object)

    def path(self, share: str) -> Path:
        """The directory of a share's files."""
        driver = self.driver()
        assert isinstance(driver, SupportsHostAccess)
        return driver.data_path(self.place(share))

    def fingerprint(self, share: str) -> str:
        """Digest of a share's content and metadata."""
        return fingerprint(self.path(share))

    def violations(self) -> list[str]:
        """What does not hold at rest: orphans, ghosts, capacity, quota, claims, states, audit."""
        found: list[str] = []
        driver = self.driver()
        present = {(pool, state.ref.name): state for pool in self.pools for state in driver.list_objects(pool).objects}
        with self.database.read() as connection:
            expected: dict[tuple[str, str], int] = {}
            for table in (tables.instances, tables.snapshot_instances):
                rows = connection.execute(
                    select(table.c.object, table.c.size, tables.pools.c.name).join(
                        tables.pools, tables.pools.c.id == table.c.pool_id
                    )
                )
                expected |= {(row.name, row.object): row.size for row in rows}
            kept = {
                name
                for memory in connection.execute(select(tables.replicas.c.memory)).scalars()
                for name in memory["sync_points"]
            }
            found += [f"orphan {key}" for key in present.keys() - expected.keys() if key[1] not in kept]
            found += [f"ghost {key}" for key in expected.keys() - present.keys()]
            found += [f"half made {key}" for key in expected.keys() & present.keys() if not present[key].complete]
            found += [
                f"size of {key}: {present[key].size} for {expected[key]}"
                for key in expected.keys() & present.keys()
                if present[key].size != expected[key]
            ]
            for pool in connection.execute(select(tables.pools)).mappings():
                total = sum(
                    connection.execute(
                        select(func.coalesce(func.sum(table.c.allocated_bytes), 0)).where(table.c.pool_id == pool["id"])
                    ).scalar_one()
                    for table in (tables.instances, tables.snapshot_instances)
                )
                if total != pool["allocated_bytes"]:
                    found.append(f"pool {pool['name']}: {pool['allocated_bytes']} allocated, rows carry {total}")
            used = connection.execute(select(func.coalesce(func.sum(tables.shares.c.size), 0))).scalar_one()
            counted = connection.execute(select(func.coalesce(func.sum(tables.quotas.c.bytes_used), 0))).scalar_one()
            if used != counted:
                found.append(f"quota says {counted} bytes, shares carry {used}")
            held = connection.execute(select(tables.claims.c.operation)).scalars().all()
            found += [f"claim of {operation}" for operation in held]
            states = connection.execute(select(tables.shares.c.name, tables.shares.c.status)).all()
            found += [f"share {row.name} is {row.status}" for row in states if row.status != "available"]
            found += [f"audit of {resource}" for resource in audit.broken_chains(connection)]
        return found


@asynccontextmanager
async def running_land(
    binary: Path,
    directory: Path,
    driver: str,
    pools: Mapping[str, Path],
    *,
    types: Sequence[Mapping[str, Any]] = (),
    namespace: str = "default",
) -> AsyncIterator[Land]:
    """Server and worker on real storage; nothing is left behind."""
    specs = write_specs(
        directory / "specs",
        [
            {"kind": "ShareType", "name": "standard"},
            *types,
            {
                "kind": "Backend",
                "name": "real",
                "driver": driver,
                "pools": [{"name": name, "options": {"path": str(path)}} for name, path in pools.items()],
            },
        ],
    )
    state = directory / "state"
    state.mkdir()
    url = f"sqlite:///{directory / 'inventory.db'}"
    server = DevServer(DevServerSettings(binary=binary, database=directory / "temporal.db"))
    await server.start()
    arguments = ["--address", server.address, "--namespace", namespace, "--database", url]
    arguments += ["--state-dir", str(state), "--specs", str(specs), "--limits", LIMITS]
    worker = WorkerProcess(arguments, directory / "ready", directory / "worker.log")
    database = Database(url)
    try:
        yield Land(server, worker, database, driver, pools, state)
    finally:
        await worker.stop()
        await server.stop()
        database.close()


@asynccontextmanager
async def two_pools(
    binary: Path, directory: Path, driver: str, *, types: Sequence[Mapping[str, Any]] = ()
) -> AsyncIterator[Land]:
    """Everything on one driver, with pools ``one`` and ``two``, and a worker that runs."""
    with ExitStack() as stack:
        pools = {"one": directory / "one", "two": directory / "two"}
        if driver == "btrfs":
            pools = {name: stack.enter_context(btrfs_pool(directory)) for name in pools}
        async with running_land(binary, directory, driver, pools, types=types) as running:
            await running.start_worker()
            yield running


async def settled(handle: WorkflowHandle[Any, Any], client: Client, *, seconds: float = RECOVERY_SECONDS) -> str:
    """How the operation ended, waiting for it through restarts of everything."""
    again = client.get_workflow_handle(handle.id)
    async with asyncio.timeout(seconds):
        while True:
            description = await again.describe(rpc_timeout=timedelta(seconds=5))
            if description.status is not None and description.status.name != "RUNNING":
                return description.status.name
            await asyncio.sleep(0.2)
