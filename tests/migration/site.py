"""Two real pools with a Shareflow that moves shares between them, and clients on the shares."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy import RowMapping, select
from temporalio.client import WorkflowHandle

from drivers.contract import Driver, ObjectRef, SupportsHostAccess
from drivers.mover import fingerprint
from drivers.tools import run
from inventory import tables
from shareflow import names
from shareflow.contracts.steps import Limits
from tests.support.world import World, running_world

Handle = WorkflowHandle[Any, Any]
LIMITS = Limits(heartbeat=5, unserved=5, patience=8, retry=0.5, poll=0.05, turn=3, settle=0.3)
WRITER = Path(__file__).with_name("writer.py")


@dataclass
class Site:
    """A world with the backends ``left`` and ``right``, one pool each."""

    world: World
    folder: Path

    async def share(self, name: str = "home", size: str = "256 MiB", **fields: Any) -> Path:
        """Make a share on the left; gives the path that clients use."""
        result = await self.world.run(names.CREATE_SHARE, {"name": name, "size": size, "backend": "left", **fields})
        return Path(result["export_locations"][0])

    async def snapshot(self, name: str) -> None:
        """Freeze the share."""
        await self.world.run(names.CREATE_SNAPSHOT, {"share": "home", "name": name})

    async def migrate(self, **fields: Any) -> Handle:
        """Move home to the right."""
        asked = {"share": "home", "to_backend": "right", "preserve_snapshots": True, "grace": 3600, **fields}
        return await self.world.start(names.MIGRATE_SHARE, asked)

    async def passed(self, handle: Handle, passes: int) -> dict[str, Any]:
        """The status once so many passes have ended."""
        async with asyncio.timeout(90):
            while True:
                status: dict[str, Any] = await handle.query(names.STATUS)
                done = (status["migration"] or {}).get("passes") or [{"number": 0}]
                if status["phase"] == "catching-up" and done[-1]["number"] >= passes:
                    return status
                await asyncio.sleep(0.05)

    async def noted(self, handle: Handle, text: str) -> str:
        """The note of the status once it says something."""
        async with asyncio.timeout(60):
            while True:
                note = str((await handle.query(names.STATUS))["note"])
                if text in note:
                    return note
                await asyncio.sleep(0.1)

    def instances(self, **where: Any) -> list[RowMapping]:
        """Instances of home with these values."""
        statement = (
            select(tables.instances, tables.pools.c.backend, tables.pools.c.name.label("pool"))
            .join(tables.pools, tables.pools.c.id == tables.instances.c.pool_id)
            .where(*(tables.instances.c[key] == value for key, value in where.items()))
        )
        with self.world.database.read() as connection:
            return list(connection.execute(statement).mappings())

    def driver(self, backend: str) -> Driver:
        """The worker's driver of a backend."""
        return self.world.process.services.drivers[backend]

    def data(self, role: str = "active") -> Path:
        """Where the files of an instance of home are, whatever clients may do."""
        (row,) = self.instances(role=role)
        driver = self.driver(row["backend"])
        assert isinstance(driver, SupportsHostAccess)
        return driver.data_path(ObjectRef(row["pool"], row["object"]))

    def snapshots(self) -> Mapping[str, str]:
        """Name -> digest of content and metadata of each snapshot of home, where the share is now."""
        copies, snapshots = tables.snapshot_instances, tables.snapshots
        statement = (
            select(snapshots.c.name, copies.c.object, tables.pools.c.backend, tables.pools.c.name.label("pool"))
            .join(copies, copies.c.snapshot_id == snapshots.c.id)
            .join(tables.pools, tables.pools.c.id == copies.c.pool_id)
            .join(tables.instances, tables.instances.c.id == copies.c.instance_id)
            .where(tables.instances.c.role == "active")
        )
        found = {}
        with self.world.database.read() as connection:
            rows = connection.execute(statement).mappings().all()
        for row in rows:
            driver = self.driver(row["backend"])
            assert isinstance(driver, SupportsHostAccess)
            found[str(row["name"])] = fingerprint(driver.data_path(ObjectRef(row["pool"], row["object"])))
        return found

    def processes(self, program: str) -> list[psutil.Process]:
        """The processes of a program that copy for this site."""
        found = []
        for process in psutil.process_iter(["cmdline"]):
            words = process.info["cmdline"] or []
            if program in words and any(str(self.folder) in word for word in words):
                found.append(process)
        return found

    def objects(self, backend: str) -> list[str]:
        """Names of all objects in the pool of a backend."""
        return [state.ref.name for state in self.driver(backend).list_objects("pool").objects]

    @contextmanager
    def writer(self, root: Path, seed: int = 1) -> Iterator[Client]:
        """A process that changes the share until that is refused, or until the end of the block."""
        for number in range(8):
            (root / f"d{number}").mkdir(exist_ok=True)
        acknowledged = self.folder / f"acknowledged-{uuid.uuid4().hex}"
        process = subprocess.Popen([sys.executable, str(WRITER), str(root), str(acknowledged), str(seed)])
        try:
            yield Client(process, acknowledged)
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            process.wait(10)


@dataclass
class Client:
    """A running writer."""

    process: subprocess.Popen[bytes]
    acknowledged: Path

    async def ended(self) -> int:
        """Its exit status, once the share took no more writes."""
        return await asyncio.wait_for(asyncio.to_thread(self.process.wait), 60)

    def lines(self) -> int:
        """How many lines of the journal the file system has acknowledged."""
        text = self.acknowledged.read_text().splitlines()
        return int(text[-1].split()[1]) if text else 0


def differences(one: Path, other: Path) -> list[str]:
    """What rsync would change to make the second tree like the first, with every byte compared."""
    command = ["rsync", "-aHAXS", "--numeric-ids", "--dry-run", "--checksum", "--delete", "--itemize-changes"]
    lines = run([*command, "--", f"{one}/", f"{other}/"], timeout=120).stdout.splitlines()
    return [line for line in lines if line.strip()]


def document(name: str, driver: str, path: Path, **options: Any) -> dict[str, Any]:
    """A backend with one pool."""
    return {"kind": "Backend", "name": name, "driver": driver,
            "pools": [{"name": "pool", "options": {"path": str(path), **options}}]}  # fmt: skip


@asynccontextmanager
async def running_site(address: str, folder: Path, *others: dict[str, Any]) -> AsyncIterator[Site]:
    """A Shareflow on backends of these documents, with the type ``standard`` and those among them."""
    documents = [{"kind": "ShareType", "name": "standard"}, *others]
    async with running_world(address, folder / "world", documents=documents, limits=LIMITS) as world:
        yield Site(world, folder)
