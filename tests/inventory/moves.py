"""Operations on a small inventory by their transactions alone: no workflow, no backend."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, RowMapping, Table, func, select

from activities.backends import catalogue_with
from activities.inventory_steps import InventorySteps
from activities.migration_steps import MigrationSteps
from activities.settings import Services
from dsl.spec_set import load_specs
from inventory import audit, catalogue, queries, tables
from inventory.catalogue import BackendRow, PoolRow
from inventory.database import Database
from shareflow import names
from shareflow.contracts import reads
from shareflow.contracts.migration_steps import (
    CutoverBegun,
    CutoverEnded,
    EndCutoverInput,
    Followed,
    FollowInput,
    Migration,
    MigrationMemory,
    SwitchInput,
)
from shareflow.contracts.places import BeginStatus
from shareflow.contracts.qos import QosAnswer
from shareflow.contracts.steps import AbortInput, BeginInput, Begun, CommandStep, CommitInput, Ended, Failure
from tests.inventory.rows import GIB, PROJECT, operation_id
from tests.support.world import write_specs

TYPES: tuple[dict[str, Any], ...] = (
    {"kind": "ShareType", "name": "standard"},
    {"kind": "ShareType", "name": "plain", "snapshots": {"allowed": False}},
    {"kind": "ShareType", "name": "small", "limits": {"max_size": "1 MiB"}},
    {"kind": "ShareType", "name": "tape", "require": {"media": "tape"}},
    {"kind": "ShareType", "name": "fast", "qos": "gold"},
    {"kind": "ShareType", "name": "twice", "replicas": {"count": 2}},
    {"kind": "ShareType", "name": "first", "replicas": {"priority": 1}},
    {"kind": "ShareType", "name": "late", "replicas": {"priority": 9}},
    {"kind": "QosClass", "name": "gold", "max_iops_per_gib": 100, "min_iops_per_gib": 10},
    {"kind": "Backend", "name": "alpha", "driver": "fake", "pools": [{"name": "a1"}, {"name": "a2"}]},
    {"kind": "Backend", "name": "beta", "driver": "fake", "pools": [{"name": "b1"}]},
)
ABLE: dict[str, Any] = {
    "protocols": ["path"],
    "snapshots": True,
    "revert": True,
    "clone": True,
    "host_access": True,
    "snapshot_space": "shared",
    "access_modes": ["rw", "ro", "none"],
    "transfer": "",
    "qos_supported": ["max_iops", "min_iops"],
}
SENDS = {"transfer": "stream"}
WHERE = {"a1": "alpha", "a2": "alpha", "b1": "beta"}
ZONES = {"a1": "east", "a2": "west", "b1": "west"}


def pool_id(pool: str) -> str:
    """The id of one of the three pools."""
    return catalogue.pool_id(WHERE[pool], pool)


@dataclass
class Moves:
    """Three pools, ``alpha/a1``, ``alpha/a2`` and ``beta/b1``, of 100 GiB each.

    Attributes:
        pools: what pools are other than :data:`ABLE`, by name; ``limit`` is their size in bytes.
    """

    database: Database
    directory: Path
    pools: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        services = Services(database=self.database, drivers={}, state_dir=self.directory)
        self.steps, self.migration = InventorySteps(services), MigrationSteps(services)
        self.specs = load_specs([write_specs(self.directory / "specs", TYPES)])
        self.declare()

    def declare(self) -> None:
        """Apply specs and pools as they are now."""
        backends = [
            BackendRow(
                name=backend,
                driver="fake",
                document={},
                pools=[self._pool(pool) for pool, where in WHERE.items() if where == backend],
            )
            for backend in ("alpha", "beta")
        ]
        with self.database.write() as connection:
            catalogue.apply(connection, catalogue_with(self.specs, backends))

    def _pool(self, name: str) -> PoolRow:
        own = dict(self.pools.get(name, {}))
        limit = own.pop("limit", 100 * GIB)
        return PoolRow(
            name=name,
            zone=ZONES[name],
            attributes={**ABLE, **own},
            limit_bytes=limit,
            total_bytes=limit,
            free_bytes=None,
            iops_budget=1000,
        )

    # -- operations

    def begin(self, kind: str, *, operation: str | None = None, **request: Any) -> tuple[str, Begun]:
        """Open an operation; raises what it is refused with."""
        operation = operation or operation_id()
        recipe = self.steps.recipe(kind)
        full = recipe.input_model.model_validate({"project": PROJECT, **request}).model_dump(mode="json")
        return operation, self.steps.begin(BeginInput(operation=operation, kind=kind, request=full))

    def do(self, kind: str, **request: Any) -> dict[str, Any]:
        """A whole operation; its result."""
        operation, begun = self.begin(kind, **request)
        if begun.status is BeginStatus.ENDED:
            assert begun.result is not None
            return begun.result
        assert begun.status is BeginStatus.STARTED, begun.waiting_for
        return self.commit(operation).result or {}

    def commit(self, operation: str, **outcome: Any) -> Ended:
        """The last step of an operation."""
        return self.steps.commit(CommitInput(operation=operation, **outcome))

    def abort(self, operation: str) -> Ended:
        """Give an operation up."""
        return self.steps.abort(AbortInput(operation=operation, failure=Failure(type="OperationFailed", message="no")))

    def create(self, name: str = "home", size: int = GIB, **request: Any) -> str:
        """A share on ``alpha/a1`` unless said otherwise; its id."""
        operation, begun = self.begin(names.CREATE_SHARE, name=name, size=size, **{"pool": "a1", **request})
        self.commit(operation, export_paths=[f"/{name}"])
        return begun.share_id

    def snapshot(self, name: str, share: str = "home") -> str:
        """A snapshot; its id."""
        return str(self.do(names.CREATE_SNAPSHOT, share=share, name=name)["snapshot_id"])

    def migrate(self, **request: Any) -> tuple[str, Begun]:
        """Begin to migrate the share ``home``, to ``beta/b1`` unless said otherwise."""
        return self.begin(names.MIGRATE_SHARE, **{"share": "home", "to_pool": "b1", **request})

    def follow(self, operation: str, *, done: tuple[str, ...] = (), dropped: tuple[str, ...] = ()) -> Followed:
        """What a migration sees before a pass."""
        step = FollowInput(operation=operation, memory=MigrationMemory(), done=list(done), dropped=list(dropped))
        return self.migration.follow(step)

    def cut_over(self, operation: str) -> CutoverBegun:
        """Hold the share for the switch."""
        return self.migration.begin_cutover(CommandStep(operation=operation))

    def end_cutover(self, operation: str, memory: MigrationMemory | None = None) -> CutoverEnded:
        """Give the share back."""
        return self.migration.end_cutover(EndCutoverInput(operation=operation, memory=memory or MigrationMemory()))

    def switch(self, operation: str, *, qos: dict[str, QosAnswer] | None = None) -> Begun:
        """The point of no return."""
        memory = MigrationMemory(passes=3, bytes_moved=7)
        return self.migration.switch(
            SwitchInput(operation=operation, export_paths=["/new"], memory=memory, qos=qos or {})
        )

    def switched(self, operation: str) -> Begun:
        """Copy everything, cut over, switch and give the share back."""
        self.follow(operation, done=tuple(leg.id for leg in self.follow(operation).legs))
        assert self.cut_over(operation).status is BeginStatus.STARTED
        begun = self.switch(operation)
        self.end_cutover(operation, MigrationMemory(passes=3, bytes_moved=7, stopped_seconds=0.5))
        return begun

    # -- what is there

    def rows(self, table: Table, **where: Any) -> list[RowMapping]:
        """Rows with these values."""
        with self.database.read() as connection:
            statement = select(table).where(*(table.c[key] == value for key, value in where.items()))
            return list(connection.execute(statement).mappings())

    def share(self, name: str = "home") -> reads.ShareView:
        """A share as its project sees it."""
        with self.database.read() as connection:
            return queries.get_share(connection, reads.ShareRef(project=PROJECT, share=name))

    def allocated(self) -> dict[str, int]:
        """GiB handed out per pool."""
        return {row["name"]: row["allocated_bytes"] // GIB for row in self.rows(tables.pools)}

    def roles(self) -> dict[str, str]:
        """Pool -> role of the instance there."""
        pools = {row["id"]: row["name"] for row in self.rows(tables.pools)}
        return {pools[row["pool_id"]]: row["role"] for row in self.rows(tables.instances)}

    def picture(self) -> dict[str, list[dict[str, Any]]]:
        """All rows that belong to shares, as they are."""
        kept = (tables.shares, tables.instances, tables.snapshots, tables.snapshot_instances, tables.export_locations)
        own = {table.name: [dict(row) for row in self.rows(table)] for table in (*kept, tables.claims)}
        found = sorted(self.rows(tables.pools), key=lambda row: str(row["id"]))
        pools = [{key: row[key] for key in ("name", "allocated_bytes", "iops_promised")} for row in found]
        return {**own, "pools": pools, "quotas": [dict(row) for row in self.rows(tables.quotas)]}

    def check(self) -> None:
        """Sums of pools and quotas are those of their rows; audit chains are whole; each share is one instance."""
        with self.database.read() as connection:
            assert audit.broken_chains(connection) == []
            for pool in self.rows(tables.pools):
                assert pool["allocated_bytes"] == _carried(connection, pool["id"], "allocated_bytes", "bytes"), pool[
                    "name"
                ]
                assert pool["iops_promised"] == _carried(connection, pool["id"], "iops_floor", "iops"), pool["name"]
        active = [row["share_id"] for row in self.rows(tables.instances, role="active")]
        assert sorted(active) == sorted(row["id"] for row in self.rows(tables.shares))


def _carried(connection: Connection, pool: str, column: str, reserved: str) -> int:
    total = 0
    for table in (tables.instances, tables.snapshot_instances, tables.tombstones):
        if column in table.c:
            sum_ = select(func.coalesce(func.sum(table.c[column]), 0)).where(table.c.pool_id == pool)
            total += int(connection.execute(sum_).scalar_one())
    held = tables.reservations
    pending = select(func.coalesce(func.sum(held.c[reserved]), 0)).where(
        held.c.scope == "pool", held.c.target == pool, held.c.state == "pending"
    )
    return total + int(connection.execute(pending).scalar_one())


def migration(begun: Begun) -> Migration:
    """A migration as it was begun."""
    assert begun.migration is not None
    return begun.migration
