"""A share with replicas in a scene: short ways to say what users do with it, and what its copies have."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

from drivers.contract import Call, Driver, ObjectRef
from inventory import queries, tables
from inventory.database import now
from shareflow import names
from shareflow.contracts.reads import ShareRef, ShareView
from tests.support.scenes import Handle, Scene


class Replicated:
    """The share ``home`` of a scene, of type ``twice`` and on alpha/a1 at first, with its replicas.

    Instances are named by their ids.
    """

    def __init__(self, scene: Scene) -> None:
        self.scene = scene

    # -- what users do

    async def create(self, **fields: Any) -> None:
        """Make the share with one file and one snapshot of that."""
        await self.scene.create(**{"type": "twice", "backend": "alpha", "pool": "a1", **fields})
        self.write("docs/a", b"one")
        await self.scene.snapshot("s1")

    async def replicate(self, **fields: Any) -> str:
        """Make a replica, on beta/b1 unless said otherwise; gives its instance."""
        return str((await self.scene.run(names.CREATE_REPLICA, share="home", **fields))["replica_id"])

    async def run(self, kind: str, **fields: Any) -> dict[str, Any]:
        """Run an operation on the share."""
        return await self.scene.run(kind, share="home", **fields)

    async def start(self, kind: str, **fields: Any) -> Handle:
        """Start an operation on the share."""
        return await self.scene.start(kind, share="home", **fields)

    async def lose(self, **fields: Any) -> dict[str, Any]:
        """Promote with the active instance declared lost."""
        accepted = {"lost": True, "accept_loss": True, "reason": "burnt"}
        return await self.run(names.PROMOTE_REPLICA, **{**accepted, **fields})

    async def clean(self) -> None:
        """Delete all replicas and the share, and wait until nothing is under way."""
        if not self.scene.rows(tables.shares, project=self.scene.project, live_name="home"):
            return
        for row in self.replicas():
            await self.run(names.DELETE_REPLICA, replica=row["id"])
        await self.settled()
        await self.scene.purge("home")

    async def settled(self) -> None:
        """No operation of the project runs."""
        scene = self.scene
        await scene.when(lambda: not scene.rows(tables.operations, project=scene.project, state="running"), seconds=30)

    # -- what is there

    def replicas(self) -> list[dict[str, Any]]:
        """The rows of all replicas."""
        return [dict(row) for row in self.scene.rows(tables.replicas, share_id=self.scene.share()["id"])]

    def shown(self) -> ShareView:
        """The share as its project sees it."""
        with self.scene.world.process.services.database.read() as connection:
            return queries.get_share(connection, ShareRef(project=self.scene.project, share="home"))

    def row(self, replica: str) -> dict[str, Any]:
        """The row of a replica."""
        return dict(self.scene.one(tables.replicas, id=replica))

    def active(self) -> str:
        """The active instance."""
        return str(self.scene.one(tables.instances, share_id=self.scene.share()["id"], role="active")["id"])

    def place(self, instance: str) -> tuple[str, ObjectRef]:
        """Backend and address of an instance."""
        row = self.scene.one(tables.instances, id=instance)
        pool = self.scene.one(tables.pools, id=row["pool_id"])
        return pool["backend"], ObjectRef(pool["name"], row["object"])

    def mode(self, instance: str) -> str:
        """How clients may use an instance, by its array."""
        backend, ref = self.place(instance)
        (stored,) = (one for one in self.scene.world.array(backend).objects() if one.name == ref.name)
        return stored.mode.value

    def driver(self, backend: str) -> Driver:
        """The driver of a backend."""
        return self.scene.world.process.services.drivers[backend]

    def write(self, path: str, data: bytes) -> None:
        """Write to the active instance as a client does."""
        backend, ref = self.place(self.active())
        self.scene.files(backend).write(ref, path, data)

    def tree(self) -> dict[str, bytes]:
        """What clients of the share see."""
        backend, ref = self.place(self.active())
        return self.scene.files(backend).tree(ref)

    def copies(self, instance: str) -> dict[str, dict[str, bytes]]:
        """The snapshots that are beside an instance by the inventory, each with what its array has."""
        found = {}
        for copy in self.scene.rows(tables.snapshot_instances, instance_id=instance):
            name = self.scene.one(tables.snapshots, id=copy["snapshot_id"])["name"]
            backend, ref = self.place(instance)
            found[name] = self.scene.files(backend).tree(ObjectRef(ref.pool, copy["object"]))
        return found

    def remove_behind_our_back(self, backend: str, ref: ObjectRef) -> None:
        """Somebody deletes a snapshot on the array itself."""
        call = Call(deployment=self.scene.world.deployment, operation=uuid.uuid4().hex, step="by-hand", epoch=9999)
        self.driver(backend).delete_snapshot(ref, call)  # type: ignore[attr-defined]
        array = self.scene.world.array(backend)
        array.finish_jobs()
        assert ref.name not in {one.name for one in array.objects()}

    def sync(self, replica: str) -> Handle:
        """The operation that keeps a replica in step."""
        return self.scene.world.client.get_workflow_handle(self.row(replica)["sync_operation"])

    # -- waiting

    async def in_step(self, replica: str, *, seconds: float = 20) -> None:
        """A round that has begun since now has succeeded."""
        began = now()

        def done() -> bool:
            row = self.row(replica)
            return row["synced_at"] is not None and row["synced_at"] > began and row["state"] == "in_sync"

        await self.scene.when(done, seconds=seconds)

    async def lacks(self, replica: str, size: int) -> None:
        """A round has counted that so many bytes are missing at the replica."""
        await self.scene.when(lambda: self.row(replica)["behind_bytes"] == size, seconds=30)

    async def failing(self, replica: str, text: str = "", *, seconds: float = 20) -> str:
        """The replica says that it fails, for a reason with this text; gives the reason."""

        def failed() -> bool:
            row = self.row(replica)
            return row["state"] == "error" and text in row["error"]

        try:
            await self.scene.when(failed, seconds=seconds)
        except TimeoutError:
            row = self.row(replica)
            raise AssertionError(f"it is {row['state']}, {row['error']!r}") from None
        return str(self.row(replica)["error"])

    async def has(self, replica: str, expected: dict[str, bytes]) -> None:
        """Promote it: then clients see exactly this content, and may write."""
        await self.run(names.PROMOTE_REPLICA, replica=replica)
        assert self.tree() == expected
        assert self.mode(replica) == "rw"

    async def pauses(self, replica: str, *, run: str | None = None) -> list[float]:
        """How long the sync of a replica has rested after each round of its last run, or of another, in seconds."""
        found = []
        handle = self.scene.world.client.get_workflow_handle(self.sync(replica).id, run_id=run)
        async for event in handle.fetch_history_events():
            if event.HasField("timer_started_event_attributes"):
                summary = event.user_metadata.summary.data.decode()
                if "the next round" in summary:
                    found.append(event.timer_started_event_attributes.start_to_fire_timeout.ToTimedelta())
        return [pause.total_seconds() for pause in found]


async def overtaken(handle: Handle, seconds: float = 20) -> None:
    """The operation ends within this time, however it ends."""
    async with asyncio.timeout(seconds):
        await asyncio.wait([asyncio.create_task(handle.result())])
