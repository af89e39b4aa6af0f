"""Where one cell plays: its project, its operations, and a picture of everything that belongs to it."""

from __future__ import annotations

import asyncio
import hashlib
import inspect
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select
from temporalio.client import WorkflowHandle

from activities.inventory_steps import InventorySteps
from activities.limits import set_limits
from drivers.contract import Call, Driver, JobState, ObjectRef
from drivers.fake import FakeArray, FakeClient, FakeDriver, Fault
from inventory import tables
from shareflow import names
from shareflow.contracts.operations import CreateShareInput, CreateSnapshotInput, Request
from shareflow.contracts.steps import BeginInput, Begun, CommitInput
from tests.support.scenes import Gate
from tests.support.world import World

Picture = dict[str, dict[str, Any]]
GIB = 2**30
INTERVAL = timedelta(hours=1)
"""Between two rounds of a replica, or two looks at it."""


@dataclass
class Stage:
    """One cell's project.

    Attributes:
        operation: id of the operation under test.
        operations: ids of all operations of the cell, those that prepared it included.
        contents: fingerprint of each named content that the cell wrote.
        noted: a scripted fault that the cell waits for.
        others: handles of operations that run beside the one under test.
        asked: what an operation that others have opened was asked for.
        gate: where the operation is held until the cell has sent it something.
        before_command: what the cutover is commanded after.
    """

    world: World
    project: str = ""
    operation: str = ""
    operations: list[str] = field(default_factory=list)
    contents: dict[str, str] = field(default_factory=dict)
    noted: Fault | None = None
    others: list[WorkflowHandle[Any, Any]] = field(default_factory=list)
    asked: dict[str, Any] = field(default_factory=dict)
    gate: Gate | None = None
    before_command: asyncio.Event | None = None

    def __post_init__(self) -> None:
        self.project = f"m-{uuid.uuid4().hex[:16]}"
        self.operation = self.new_operation()

    def new_operation(self) -> str:
        """An id for one more operation of this cell."""
        identifier = f"op-{uuid.uuid4()}"
        self.operations.append(identifier)
        return identifier

    def input(self, **fields: Any) -> dict[str, Any]:
        """An operation's input in this project."""
        return {"project": self.project, "by": "matrix", **fields}

    def make_share(self, name: str, size: int, pool: str, kind: str = "standard") -> None:
        """A share as CreateShare makes it, by the same steps and without a workflow."""
        request = CreateShareInput(project=self.project, by="matrix", name=name, size=size, pool=pool, type=kind)
        begun = self._begin(names.CREATE_SHARE, request)
        place, (fence,) = begun.instance, begun.fences
        assert place is not None
        call = Call(begun.deployment, self.operations[-1], "create", 2 * fence.epoch)
        driver, ref = self.drivers[place.backend], ObjectRef(place.pool, place.object)
        made = driver.create_share(ref, size, call)
        found = set_limits(driver, ref, call, begun.qos.limits, required=True) if begun.qos else {}
        paths = list(made.export_paths)
        self.steps.commit(CommitInput(operation=self.operations[-1], export_paths=paths, qos=found))

    def make_snapshot(self, share: str, name: str) -> None:
        """A snapshot as CreateSnapshot makes it, by the same steps and without a workflow."""
        begun = self._begin(
            names.CREATE_SNAPSHOT, CreateSnapshotInput(project=self.project, by="matrix", share=share, name=name)
        )
        source, place, (fence,) = begun.instance, begun.snapshot, begun.snapshot_fences
        assert source is not None
        assert place is not None
        call = Call(begun.deployment, self.operations[-1], "snapshot", 2 * fence.epoch)
        driver = self.drivers[place.backend]
        assert isinstance(driver, FakeDriver)
        refs = ObjectRef(source.pool, source.object), ObjectRef(place.pool, place.object)
        while driver.create_snapshot(*refs, call).state is JobState.RUNNING:
            self.world.array(place.backend).finish_jobs()
        self.steps.commit(CommitInput(operation=self.operations[-1]))

    @property
    def steps(self) -> InventorySteps:
        """The inventory's steps."""
        return InventorySteps(self.world.process.services)

    @property
    def drivers(self) -> dict[str, Driver]:
        """The worker's drivers."""
        return self.world.process.services.drivers

    def _begin(self, kind: str, request: Request) -> Begun:
        operation = self.new_operation()
        return self.steps.begin(BeginInput(operation=operation, kind=kind, request=request.model_dump(mode="json")))

    def arrays(self) -> dict[str, FakeArray]:
        """The arrays behind the backends."""
        return {backend: self.world.array(backend) for backend in self.drivers}

    def place(self, share: str, snapshot: str = "") -> tuple[str, ObjectRef]:
        """Backend and address of a share's object, or of one of its snapshots'."""
        shares, pools = tables.shares, tables.pools
        copies = tables.snapshot_instances if snapshot else tables.instances
        statement = select(pools.c.backend, pools.c.name, copies.c.object).join(copies, copies.c.pool_id == pools.c.id)
        if snapshot:
            snapshots = tables.snapshots
            statement = (
                statement.join(snapshots, snapshots.c.id == copies.c.snapshot_id)
                .join(shares, shares.c.id == snapshots.c.share_id)
                .join(tables.instances, tables.instances.c.id == copies.c.instance_id)
                .where(snapshots.c.name == snapshot, tables.instances.c.role == "active")
            )
        else:
            statement = statement.join(shares, shares.c.id == copies.c.share_id).where(copies.c.role == "active")
        statement = statement.where(shares.c.project == self.project, shares.c.name == share)
        with self.world.database.read() as connection:
            row = connection.execute(statement).one()
        return row.backend, ObjectRef(pool=row.name, name=row.object)

    def write(self, share: str, content: str) -> None:
        """Fill a share as a client would, and remember what it holds now under the content's name."""
        backend, ref = self.place(share)
        array = self.world.array(backend)
        client = FakeClient(array)
        client.write(ref, "readme", f"{self.project} {content}\n".encode())
        client.write(ref, f"deep/{content}.bin", hashlib.sha256(content.encode()).digest() * 400)
        self.contents[content] = array.fingerprint(ref) or ""

    def state(self) -> str:
        """The state of the operation under test in the inventory, or empty."""
        return str(self._row("state") or "")

    def phase(self) -> str:
        """The phase of a deletion under test in the inventory, or empty."""
        begun = self._row("begun")
        return str(begun["phase"]) if begun else ""

    def begun(self) -> Begun:
        """What the operation under test was begun as, as its inventory steps keep it."""
        return Begun.model_validate(self._row("begun"), strict=False)

    def destination(self) -> str:
        """Name of the object that the migration or promotion under test moves to."""
        begun = self.begun()
        terms = begun.migration or begun.replica
        assert terms is not None
        return terms.destination.object

    async def replicate(self, pool: str) -> None:
        """A replica of home, which is in step and rests."""
        request = self.input(share="home", pool=pool)
        await self.world.run(names.CREATE_REPLICA, request, operation=self.new_operation())
        await self.replicas_rest()

    def replicas(self) -> list[Any]:
        """The rows of this project's replicas, with what their instances say of who has them."""
        rows, instances, shares = tables.replicas, tables.instances, tables.shares
        statement = (
            select(rows, instances.c.claimed_by, instances.c.object)
            .join(instances, instances.c.id == rows.c.id)
            .join(shares, shares.c.id == rows.c.share_id)
            .where(shares.c.project == self.project)
        )
        with self.world.database.read() as connection:
            return list(connection.execute(statement).mappings())

    async def replicas_rest(self) -> None:
        """Whoever keeps a replica in step has looked at it and rests; of what is none any more it has ended.

        From then on nothing happens to a replica for as long as the interval of its type, unless somebody asks for it.
        """
        operations = tables.operations.c
        running = select(operations.id).where(
            operations.project == self.project, operations.kind == names.SYNC_REPLICA, operations.ended_at.is_(None)
        )

        async def rest() -> bool:
            with self.world.database.read() as connection:
                open_ = set(connection.execute(running).scalars())
            rows = self.replicas()
            let_go = open_ == {row["sync_operation"] for row in rows} and all(
                row["tried_at"] is not None and row["claimed_by"] is None and row["stale"] != "unfenced" for row in rows
            )
            return let_go and all([await self._rests(row["sync_operation"], row["tried_at"]) for row in rows])

        await soon(rest, "the rest of all replicas", pause=0.1)

    async def _rests(self, sync: str, tried_at: datetime) -> bool:
        """Whether a sync does nothing before its interval is over: it rests that long, or its watcher has looked."""
        handle = self.world.client.get_workflow_handle(sync)
        described = (await handle.describe()).raw_description
        if described.HasField("pending_workflow_task"):
            return False
        if described.pending_activities:
            (step,) = described.pending_activities
            watches = step.activity_type.name == names.WATCH_REPLICA and step.HasField("last_started_time")
            return watches and tried_at > step.last_started_time.ToDatetime(UTC)
        pauses: dict[str, timedelta] = {}
        async for event in handle.fetch_history_events():
            if event.HasField("timer_started_event_attributes"):
                started = event.timer_started_event_attributes
                pauses[started.timer_id] = started.start_to_fire_timeout.ToTimedelta()
            elif event.HasField("timer_fired_event_attributes"):
                pauses.pop(event.timer_fired_event_attributes.timer_id)
            elif event.HasField("timer_canceled_event_attributes"):
                pauses.pop(event.timer_canceled_event_attributes.timer_id)
        return bool(pauses) and min(pauses.values()) >= INTERVAL

    def waits(self) -> bool:
        """Whether the operation under test stands in line."""
        return bool(self._row("waiting_for"))

    def _row(self, column: str) -> Any:
        operations = tables.operations
        with self.world.database.read() as connection:
            return connection.execute(select(operations.c[column]).where(operations.c.id == self.operation)).scalar()

    def picture(self) -> Picture:
        """Everything of this project, in the inventory and on the arrays, by kind and name."""
        with self.world.database.read() as connection:
            found = {
                table.name: connection.execute(select(table).where(table.c.project == self.project)).mappings().all()
                for table in (tables.shares, tables.snapshots, tables.quotas, tables.tombstones)
            }
            pools = {row["id"]: row for row in connection.execute(select(tables.pools)).mappings()}
            ids = [row["id"] for row in found["shares"]]
            copies = tables.instances
            instances = connection.execute(select(copies).where(copies.c.share_id.in_(ids))).mappings().all()
            copies = tables.snapshot_instances
            taken = [row["id"] for row in found["snapshots"]]
            frozen = connection.execute(select(copies).where(copies.c.snapshot_id.in_(taken))).mappings().all()
            exports = (
                connection.execute(
                    select(tables.export_locations).where(
                        tables.export_locations.c.instance_id.in_([row["id"] for row in instances])
                    )
                )
                .mappings()
                .all()
            )
        owners = {row["id"]: row["name"] for row in found["shares"]}
        picture: Picture = {}
        replicas = {copy["id"]: copy for copy in instances if copy["role"] == "replica"}
        for row in found["shares"]:
            mine = [copy for copy in instances if copy["share_id"] == row["id"] and copy["id"] not in replicas]
            paths = [each["path"] for each in exports if each["instance_id"] in {copy["id"] for copy in mine}]
            picture[f"share {row['name']}"] = {
                **{key: row[key] for key in ("id", "status", "size", "live_name", "purge_at", "claimed_by")},
                "qos": row["qos_class"],
                "limits": _recorded(row["qos"]),
                "exports": sorted(paths),
                "copies": [self._copy(pools, copy) for copy in mine],
            }
        for row in found["snapshots"]:
            mine = [copy for copy in frozen if copy["snapshot_id"] == row["id"] and copy["instance_id"] not in replicas]
            picture[f"snapshot {owners.get(row['share_id'])}/{row['name']}"] = {
                **{key: row[key] for key in ("id", "status", "size", "claimed_by")},
                "copies": [self._copy(pools, copy) for copy in mine],
            }
        names_of = {row["id"]: row["name"] for row in found["snapshots"]}
        for copy in replicas.values():
            fact = self._copy(pools, copy)
            there = f"{owners.get(copy['share_id'])}/{fact['pool']}"
            if fact["object"] is not None:
                # What was copied stays, however an operation ends.
                picture[f"content of {there}"] = {"content": fact["object"].pop("content")}
            beside = [other for other in frozen if other["instance_id"] == copy["id"]]
            snapshots = {names_of[other["snapshot_id"]]: self._copy(pools, other) for other in beside}
            picture[f"replica {there}"] = {**fact, "snapshots": snapshots}
        for row in found["quotas"]:
            picture["quota"] = {key: row[key] for key in ("shares_used", "bytes_used", "snapshots_used")}
        for row in found["tombstones"]:
            ref = ObjectRef(pool=pools[row["pool_id"]]["name"], name=row["object"])
            picture[f"tombstone {row['object']}"] = {
                "allocated": row["allocated_bytes"],
                "object": self._object(pools[row["pool_id"]]["backend"], ref),
            }
        return picture

    def _copy(self, pools: dict[str, Any], copy: Any) -> dict[str, Any]:
        pool = pools[copy["pool_id"]]
        ref = ObjectRef(pool=pool["name"], name=copy["object"])
        return {
            "pool": pool["name"],
            "status": copy["status"],
            "size": copy["size"],
            "allocated": copy["allocated_bytes"],
            "object": self._object(pool["backend"], ref),
        }

    def _object(self, backend: str, ref: ObjectRef) -> dict[str, Any] | None:
        state = self.drivers[backend].observe(ref)
        if state is None:
            return None
        return {
            "name": ref.name,
            "size": state.size,
            "complete": state.complete,
            "mode": state.mode.value,
            "content": self.world.array(backend).fingerprint(ref),
            "limits": self._limits(backend, ref),
        }

    def _limits(self, backend: str, ref: ObjectRef) -> dict[str, int | str]:
        """What the array enforces on an object, read past its script."""
        stored = next((one for one in self.world.array(backend).objects() if one.name == ref.name), None)
        return {limit.key: limit.value for limit in stored.qos} if stored is not None else {}


def _recorded(qos: dict[str, Any] | None) -> dict[str, Any]:
    """The limits that the inventory says are enforced."""
    return {key["key"]: key["enforced"] for key in (qos or {"keys": []})["keys"] if key["enforced"] is not None}


async def soon(condition: Any, what: str, *, seconds: float = 120, pause: float = 0.02) -> None:
    """Wait until something is true, which may have to be waited for itself. Raises TimeoutError naming it."""
    end = asyncio.get_running_loop().time() + seconds
    while not (await found if inspect.isawaitable(found := condition()) else found):
        if asyncio.get_running_loop().time() > end:
            raise TimeoutError(f"{what} did not come within {seconds} s")
        await asyncio.sleep(pause)
