"""Rows to test with, made as the recipes make them."""

from __future__ import annotations

import uuid
from typing import Any

from sqlalchemy import Connection, RowMapping, select

from inventory import audit, catalogue, claims, operations, replicas, resources, tables
from inventory.audit import Actor
from inventory.catalogue import BackendRow, Catalogue, PoolRow, QuotaRow
from inventory.claims import Want
from inventory.database import now
from inventory.operations import OpenOperation
from shareflow.contracts.places import ObjectPlace

GIB = 2**30
PROJECT = "blue"
POOL = catalogue.pool_id("alpha", "a1")


def operation_id() -> str:
    """An id that no other operation has."""
    return f"op-{uuid.uuid4().hex[:12]}"


def open_operation(
    connection: Connection, operation: str, *, project: str = PROJECT, kind: str = "ResizeShare", **fields: Any
) -> OpenOperation:
    """Open an operation with a plain request, or find it again."""
    return operations.open_or_find(connection, operation, kind, {"project": project, "by": "", "reason": "", **fields})


def pool_row(name: str, *, limit: int | None = None, **fields: Any) -> PoolRow:
    """A pool as declared; by default without a limit."""
    plain: dict[str, Any] = {"zone": "", "attributes": {}, "total_bytes": None, "free_bytes": None}
    return PoolRow(name=name, limit_bytes=limit, **plain | fields)


def declare(connection: Connection, *pools: PoolRow, quotas: tuple[QuotaRow, ...] = ()) -> None:
    """Apply a catalogue with one backend ``alpha``; without arguments it has the pool ``a1``."""
    backend = BackendRow(name="alpha", driver="fake", document={}, pools=pools or (pool_row("a1"),))
    catalogue.apply(connection, Catalogue(backends=(backend,), quotas=quotas))


def make_share(connection: Connection, name: str, *, project: str = PROJECT, size: int = GIB) -> str:
    """An available share with an instance in the pool ``a1``, held by nobody. Returns its id."""
    actor = Actor(operation=operation_id(), project=project)
    share = resources.add_share(
        connection,
        actor,
        {
            "name": name,
            "size": size,
            "type": "standard",
            "type_version": "1",
            "protocol": "NFS",
            "description": "",
            "source_snapshot_id": "",
        },
    )
    place = resources.add_instance(connection, share, _pool(connection), size)
    resources.set_instance(connection, place.id, status="available")
    claims.hold_new(connection, actor.operation, "share", share)
    audit.change(connection, actor, tables.shares, share, after="available")
    claims.release(connection, actor.operation)
    return share


def _pool(connection: Connection) -> RowMapping:
    if connection.execute(select(tables.pools.c.id).where(tables.pools.c.id == POOL)).first() is None:
        declare(connection)
    return resources.pool_row(connection, POOL)


def make_snapshot(connection: Connection, share: str, name: str) -> str:
    """An available snapshot of a share, held by nobody. Returns its id."""
    row = resources.share_row(connection, share)
    actor = Actor(operation=operation_id(), project=row["project"])
    values = {"share_id": share, "name": name, "size": row["size"], "description": ""}
    snapshot = resources.add_snapshot(connection, actor, values, resources.instance_place(connection, share))
    claims.hold_new(connection, actor.operation, "snapshot", snapshot.id)
    resources.set_snapshot_copies(connection, snapshot.id, status="available")
    audit.change(connection, actor, tables.snapshots, snapshot.id, after="available")
    claims.release(connection, actor.operation)
    return snapshot.id


def make_replica(connection: Connection, share: str, pool: str = POOL, **values: Any) -> str:
    """A dr replica of a share that was in step a moment ago, held by nobody. Returns its id."""
    size = resources.share_row(connection, share)["size"]
    place = resources.add_instance(connection, share, resources.pool_row(connection, pool), size, role=replicas.ROLE)
    resources.set_instance(connection, place.id, status="available")
    plain = {"sync_operation": f"sync-{place.id}", "kind": "dr", "mode": "host", "state": "in_sync", "memory": {}}
    rules = {"interval": 60, "loss": 900, "synced_at": now()}
    replicas.add(connection, share, place.id, **plain | rules | values)
    return place.id


def bin_share(connection: Connection, share: str) -> None:
    """Move a share to the recycle bin; nobody holds it, unlike there."""
    row = resources.share_row(connection, share)
    actor = Actor(operation=operation_id(), project=row["project"])
    claims.request(connection, actor.operation, [Want("share", share)])
    audit.change(connection, actor, tables.shares, share, after="recycle-bin", live_name=None)
    claims.release(connection, actor.operation)


def place_of(connection: Connection, share: str) -> ObjectPlace:
    """Where a share's instance is."""
    return resources.instance_place(connection, share)


def row_of(connection: Connection, kind: str, identifier: str) -> RowMapping:
    """The row of a share or snapshot."""
    table = claims.CLAIMABLE[kind]
    return connection.execute(select(table).where(table.c.id == identifier)).mappings().one()
