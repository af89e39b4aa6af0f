"""Shares as their projects see them, with their instances and replicas: three statements for any number of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, func, select

from inventory import replicas, tables
from inventory.database import now
from shareflow.contracts import reads
from shareflow.contracts.qos import QosView
from shareflow.contracts.replication import ReplicaState

_MEASURED = ("moved_seconds", "behind_bytes", "behind_at")
_REPLICA = ("kind", "state", "synced_at", "moved_bytes", "tried_at", "interval", "loss", "error", "stale")


def share_views(connection: Connection, rows: Sequence[RowMapping], *, full: bool) -> list[reads.ShareView]:
    """These rows of shares as views; with ``full`` they have instances and export locations, too."""
    ids = [row["id"] for row in rows]
    copies = _copies(connection, ids)
    counts = _snapshot_counts(connection, ids)
    every = [copy for of_one in copies.values() for copy in of_one]
    locations = _locations(connection, every) if full else {}
    at = now()
    return [
        _share_view(row, copies.get(row["id"], []), locations if full else None, counts.get(row["id"], 0), at)
        for row in rows
    ]


def _copies(connection: Connection, share_ids: Sequence[str]) -> dict[str, list[RowMapping]]:
    """The instances of each share, the active one first, with what is known of those that are replicas."""
    instances, pools, kept = tables.instances, tables.pools, tables.replicas
    statement = (
        select(
            instances, pools.c.backend, pools.c.name.label("pool"), pools.c.zone,
            kept.c.sync_operation, *(kept.c[name] for name in (*_REPLICA, *_MEASURED)),
        )
        .join(pools, pools.c.id == instances.c.pool_id)
        .outerjoin(kept, kept.c.id == instances.c.id)
        .where(instances.c.share_id.in_(share_ids))
        .order_by(instances.c.role, instances.c.created_at, instances.c.id)
    )  # fmt: skip
    found: dict[str, list[RowMapping]] = {}
    for copy in connection.execute(statement).mappings():
        found.setdefault(copy["share_id"], []).append(copy)
    return found


def _snapshot_counts(connection: Connection, share_ids: Sequence[str]) -> dict[str, int]:
    snapshots = tables.snapshots
    grouped = (
        select(snapshots.c.share_id, func.count().label("number"))
        .where(snapshots.c.share_id.in_(share_ids))
        .group_by(snapshots.c.share_id)
    )
    return {row.share_id: row.number for row in connection.execute(grouped)}


def _locations(connection: Connection, copies: Sequence[RowMapping]) -> dict[str, list[reads.ExportLocation]]:
    """The export locations of each instance that clients may mount, the preferred one first."""
    locations = tables.export_locations
    mounted = [copy["id"] for copy in copies if copy["role"] in ("active", replicas.ROLE)]
    statement = (
        select(locations)
        .where(locations.c.instance_id.in_(mounted))
        .order_by(locations.c.preferred.desc(), locations.c.path)
    )
    found: dict[str, list[reads.ExportLocation]] = {}
    for row in connection.execute(statement).mappings():
        found.setdefault(row["instance_id"], []).append(
            reads.ExportLocation.model_validate({key: row[key] for key in reads.ExportLocation.model_fields})
        )
    return found


def _share_view(
    row: RowMapping,
    copies: Sequence[RowMapping],
    locations: Mapping[str, Sequence[reads.ExportLocation]] | None,
    snapshots: int,
    at: datetime,
) -> reads.ShareView:
    first = copies[0] if copies else None
    details: dict[str, Any] = {}
    if locations is not None:
        details = {
            "export_locations": [location for copy in copies for location in locations.get(copy["id"], ())],
            "instances": [
                reads.InstanceView.model_validate({key: copy[key] for key in reads.InstanceView.model_fields})
                for copy in copies
            ],
        }
    return reads.ShareView(
        id=row["id"],
        project=row["project"],
        name=row["name"],
        status=row["status"],
        size=row["size"],
        type=row["type"],
        type_version=row["type_version"],
        protocol=row["protocol"],
        description=row["description"],
        backend=first["backend"] if first else "",
        pool=first["pool"] if first else "",
        operation=row["claimed_by"] or "",
        created_at=row["created_at"],
        purge_at=row["purge_at"],
        source_snapshot_id=row["source_snapshot_id"],
        snapshots=snapshots,
        qos=None if row["qos"] is None else QosView.model_validate(row["qos"]),
        migration=_migration_view(row, copies),
        replicas=[_replica_view(copy, at) for copy in copies if copy["kind"] is not None],
        **details,
    )


def _replica_view(copy: RowMapping, at: datetime) -> reads.ReplicaView:
    synced_at, state = copy["synced_at"], copy["state"]
    lag = None if synced_at is None else max(0.0, (at - synced_at).total_seconds())
    if state == ReplicaState.IN_SYNC and (lag is None or lag > copy["loss"]):
        state = ReplicaState.OUT_OF_SYNC.value
    missing = replicas.missing(copy)
    return reads.ReplicaView(
        id=copy["id"],
        backend=copy["backend"],
        pool=copy["pool"],
        zone=copy["zone"],
        lag_seconds=lag,
        lag_bytes=missing if missing is not None or synced_at is None else 0,
        lag_measured_at=synced_at if missing is None else copy["behind_at"],
        change_rate=replicas.change_rate(copy),
        sync_operation=copy["sync_operation"],
        operation=copy["claimed_by"] or "",
        **{name: copy[name] for name in _REPLICA} | {"state": state},
    )


def _migration_view(share: RowMapping, copies: Sequence[RowMapping]) -> reads.MigrationView | None:
    """The migration that holds an instance beside the active one."""
    places = {copy["role"]: f"{copy['backend']}/{copy['pool']}" for copy in copies}
    moving = next((copy for copy in copies if copy["role"] in ("destination", "retired") and copy["claimed_by"]), None)
    if moving is None:
        return None
    if moving["role"] == "retired":
        ends, phase = (places["retired"], places.get("active", "")), "switched"
    else:
        phase = "cutting-over" if share["status"] == "cutting-over" else "copying"
        ends = (places.get("active", ""), places["destination"])
    return reads.MigrationView(operation=moving["claimed_by"], source=ends[0], destination=ends[1], phase=phase)
