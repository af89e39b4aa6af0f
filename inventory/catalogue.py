"""What the specs declare, as rows: backends, pools, share types, QoS classes, quotas.

Applied whole, by any worker, any number of times.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Table, insert, select, update

from inventory import tables
from inventory.database import Turn, now
from inventory.reservations import DEFAULT_PROJECT

POOL_IDS = uuid.UUID("6f0d1c5e-3f9f-4d53-9a3e-6a1f5a0c7b52")


@dataclass(frozen=True, slots=True)
class PoolRow:
    """A pool as declared, with what its driver reports where that is known.

    ``limit_bytes`` None means no limit; a budget that is None means that the pool promises no floors of that kind.
    """

    name: str
    zone: str
    attributes: Mapping[str, Any]
    limit_bytes: int | None
    total_bytes: int | None
    free_bytes: int | None
    iops_budget: int | None = None
    throughput_budget: int | None = None


@dataclass(frozen=True, slots=True)
class BackendRow:
    """A backend as declared. ``reachable`` says whether its driver answered just now."""

    name: str
    driver: str
    document: Mapping[str, Any]
    pools: Sequence[PoolRow]
    reachable: bool = True


@dataclass(frozen=True, slots=True)
class VersionRow:
    """One version of a share type or of a QoS class as declared."""

    name: str
    version: str
    document: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class QuotaRow:
    """Limits of a project (``*``: of all without their own); None is unlimited."""

    project: str
    shares_limit: int | None
    bytes_limit: int | None
    snapshots_limit: int | None


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All that a set of specs declares."""

    backends: Sequence[BackendRow] = field(default_factory=tuple)
    types: Sequence[VersionRow] = field(default_factory=tuple)
    quotas: Sequence[QuotaRow] = field(default_factory=tuple)
    qos_classes: Sequence[VersionRow] = field(default_factory=tuple)


def pool_id(backend: str, pool: str) -> str:
    """A pool's id: the same for the same names, in every worker."""
    return str(uuid.uuid5(POOL_IDS, f"{backend}/{pool}"))


def _upsert(connection: Connection, table: Table, key: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    where = [table.c[name] == value for name, value in key.items()]
    if connection.execute(select(*table.primary_key.columns).where(*where)).first() is None:
        connection.execute(insert(table).values(**key, **values))
    else:
        connection.execute(update(table).where(*where).values(**values))


def apply(connection: Connection, catalogue: Catalogue) -> None:
    """Make the rows say what the specs say. What no spec declares any more is retired, never removed."""
    Turn.ACCOUNTS.take(connection)
    _apply_backends(connection, catalogue.backends)
    _apply_versions(connection, tables.share_types, catalogue.types)
    _apply_versions(connection, tables.qos_classes, catalogue.qos_classes)
    _apply_quotas(connection, catalogue.quotas)


def _apply_backends(connection: Connection, rows: Sequence[BackendRow]) -> None:
    connection.execute(update(tables.backends).values(retired=True))
    connection.execute(update(tables.pools).values(retired=True))
    for backend in rows:
        values = {
            "driver": backend.driver,
            "document": dict(backend.document),
            "reachable": backend.reachable,
            "retired": False,
        }
        if backend.reachable:
            values["seen_at"] = now()
        _upsert(connection, tables.backends, {"name": backend.name}, values)
        for pool in backend.pools:
            _apply_pool(connection, backend, pool)


def _apply_pool(connection: Connection, backend: BackendRow, pool: PoolRow) -> None:
    pools, identifier = tables.pools, pool_id(backend.name, pool.name)
    declared = {
        "backend": backend.name,
        "name": pool.name,
        "zone": pool.zone,
        "retired": False,
        "iops_budget": pool.iops_budget,
        "throughput_budget": pool.throughput_budget,
    }
    known = connection.execute(select(pools.c.id).where(pools.c.id == identifier)).first() is not None
    if backend.reachable:
        _upsert(connection, pools, {"id": identifier}, declared | _figures(pool))
    elif known:
        # Its last figures stay: a backend that does not answer has not become unlimited.
        connection.execute(update(pools).where(pools.c.id == identifier).values(declared))
    else:
        figures = _figures(pool) | {"limit_bytes": 0}
        connection.execute(insert(pools).values(id=identifier, **declared, **figures))


def _figures(pool: PoolRow) -> dict[str, Any]:
    return {
        "attributes": dict(pool.attributes),
        "limit_bytes": pool.limit_bytes,
        "total_bytes": pool.total_bytes,
        "free_bytes": pool.free_bytes,
    }


def refresh(connection: Connection, backend: str, pools: Sequence[PoolRow]) -> None:
    """A backend answered: it is reachable, and these are its pools' figures now."""
    Turn.ACCOUNTS.take(connection)
    connection.execute(
        update(tables.backends).where(tables.backends.c.name == backend).values(reachable=True, seen_at=now())
    )
    for pool in pools:
        connection.execute(
            update(tables.pools).where(tables.pools.c.id == pool_id(backend, pool.name)).values(**_figures(pool))
        )


def unreachable(connection: Connection, backend: str) -> None:
    """A backend did not answer: nothing new is placed there until it does."""
    connection.execute(update(tables.backends).where(tables.backends.c.name == backend).values(reachable=False))


def _apply_versions(connection: Connection, table: Table, rows: Sequence[VersionRow]) -> None:
    """The versions that are declared are current, others stay for the shares that have them."""
    connection.execute(update(table).values(current=False))
    for row in rows:
        _upsert(
            connection,
            table,
            {"name": row.name, "version": row.version},
            {"current": True, "document": dict(row.document)},
        )


def _apply_quotas(connection: Connection, rows: Sequence[QuotaRow]) -> None:
    quotas = tables.quotas
    default = next((row for row in rows if row.project == DEFAULT_PROJECT), QuotaRow(DEFAULT_PROJECT, None, None, None))
    own = {row.project: row for row in rows}
    for project in connection.execute(select(quotas.c.project)).scalars().all():
        row = own.pop(project, None)
        values = {"own_limits": row is not None, **_limits(row or default)}
        connection.execute(update(quotas).where(quotas.c.project == project).values(values))
    for row in own.values():
        connection.execute(insert(quotas).values(project=row.project, own_limits=True, **_limits(row)))


def _limits(row: QuotaRow) -> dict[str, int | None]:
    return {
        "shares_limit": row.shares_limit,
        "bytes_limit": row.bytes_limit,
        "snapshots_limit": row.snapshots_limit,
    }
