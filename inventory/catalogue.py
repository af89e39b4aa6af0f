"""What the specs declare, as rows: backends, pools, share types, QoS classes, quotas, and the set itself.

Applied whole, by any worker, any number of times. What has not changed is not written.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, RowMapping, Table, func, insert, select, update

from inventory import pool_history, tables
from inventory.database import Turn, now
from inventory.reservations import DEFAULT_PROJECT

POOL_IDS = uuid.UUID("6f0d1c5e-3f9f-4d53-9a3e-6a1f5a0c7b52")


@dataclass(frozen=True, slots=True)
class PoolRow:
    """A pool as declared, with what its driver reports where that is known.

    ``limit_bytes`` None means no limit; a budget that is None means that the pool promises no floors of that kind.
    ``surveyed`` False: no driver was asked, the figures are those of the row; whether it is reachable stays.
    """

    name: str
    zone: str
    attributes: Mapping[str, Any]
    limit_bytes: int | None
    total_bytes: int | None
    free_bytes: int | None
    iops_budget: int | None = None
    throughput_budget: int | None = None
    terms: Mapping[str, Any] = field(default_factory=dict)
    surveyed: bool = True


@dataclass(frozen=True, slots=True)
class BackendRow:
    """A backend as declared. ``reachable`` says whether its driver answered just now; ``surveyed`` as for a pool."""

    name: str
    driver: str
    document: Mapping[str, Any]
    pools: Sequence[PoolRow]
    reachable: bool = True
    surveyed: bool = True


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
    digest: str = ""
    documents: Sequence[Mapping[str, Any]] = field(default_factory=tuple)


def pool_id(backend: str, pool: str) -> str:
    """A pool's id: the same for the same names, in every worker."""
    return str(uuid.uuid5(POOL_IDS, f"{backend}/{pool}"))


def _upsert(connection: Connection, table: Table, key: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    where = [table.c[name] == value for name, value in key.items()]
    if connection.execute(select(*table.primary_key.columns).where(*where)).first() is None:
        connection.execute(insert(table).values(**key, **values))
    else:
        connection.execute(update(table).where(*where).values(**values))


def apply(
    connection: Connection, catalogue: Catalogue, *, managed: bool = False, operation: str = "", by: str = ""
) -> None:
    """Make the rows say what the specs say. What no spec declares any more is retired, never removed.

    Args:
        connection: a write transaction.
        catalogue: everything that the set declares.
        managed: the set was applied by an operation, and workers take it from here from now on.
        operation: the operation that applies it.
        by: who asked for that.
    """
    Turn.ACCOUNTS.take(connection)
    _apply_backends(connection, catalogue.backends)
    _apply_versions(connection, tables.share_types, catalogue.types)
    _apply_versions(connection, tables.qos_classes, catalogue.qos_classes)
    _apply_quotas(connection, catalogue.quotas)
    _record(connection, catalogue, managed=managed, operation=operation, by=by)


def _record(connection: Connection, catalogue: Catalogue, *, managed: bool, operation: str, by: str) -> None:
    """The set becomes the last revision, unless it is that already."""
    known = current_set(connection)
    if known is not None and (known["digest"], known["managed"]) == (catalogue.digest, managed):
        return
    values = {"digest": catalogue.digest, "documents": [dict(document) for document in catalogue.documents]}
    connection.execute(
        insert(tables.spec_revisions).values(
            **values, managed=managed, operation=operation, applied_by=by, created_at=now()
        )
    )


def current_set(connection: Connection) -> RowMapping | None:
    """The set of specs that counts, None before the first one was applied."""
    revisions = tables.spec_revisions
    return connection.execute(select(revisions).order_by(revisions.c.revision.desc()).limit(1)).mappings().first()


def current_revision(connection: Connection) -> int:
    """The revision of the set of specs that counts, 0 before the first one."""
    return int(connection.execute(_CURRENT_REVISION).scalar_one())


def set_at(connection: Connection, revision: int) -> RowMapping | None:
    """A set of specs that was applied once."""
    revisions = tables.spec_revisions
    return connection.execute(select(revisions).where(revisions.c.revision == revision)).mappings().first()


_CURRENT_REVISION = select(func.coalesce(func.max(tables.spec_revisions.c.revision), 0))


def _apply_backends(connection: Connection, rows: Sequence[BackendRow]) -> None:
    backends, declared = tables.backends, {backend.name for backend in rows}
    connection.execute(update(backends).where(backends.c.name.not_in(declared)).values(retired=True))
    served = set(connection.execute(select(backends.c.name)).scalars())
    known = {row["id"]: row for row in connection.execute(select(tables.pools)).mappings()}
    kept: set[str] = set()
    for backend in rows:
        values: dict[str, Any] = {"driver": backend.driver, "document": dict(backend.document), "retired": False}
        if backend.surveyed:
            values |= {"reachable": backend.reachable} | ({"seen_at": now()} if backend.reachable else {})
        elif backend.name not in served:
            values["reachable"] = False
        _upsert(connection, backends, {"name": backend.name}, values)
        for pool in backend.pools:
            identifier = pool_id(backend.name, pool.name)
            kept.add(identifier)
            _apply_pool(connection, backend, pool, known.get(identifier))
    for identifier in sorted(known.keys() - kept):
        _set_pool(connection, known[identifier], {"retired": True})


def _apply_pool(connection: Connection, backend: BackendRow, pool: PoolRow, known: RowMapping | None) -> None:
    declared = {
        "backend": backend.name,
        "name": pool.name,
        "zone": pool.zone,
        "retired": False,
        "iops_budget": pool.iops_budget,
        "throughput_budget": pool.throughput_budget,
        "terms": dict(pool.terms),
    }
    if not pool.surveyed and known is not None:
        _set_pool(connection, known, declared | _figures(pool))
        return
    reachable = backend.reachable and pool.surveyed
    declared |= {"driver": backend.driver, "reachable": reachable}
    if known is not None:
        # Its last figures stay while it does not answer: it has not become unlimited.
        _set_pool(connection, known, declared | (_figures(pool) if backend.reachable else {}))
        return
    figures = _figures(pool) if reachable else _figures(pool) | {"limit_bytes": 0}
    revision = pool_history.next_revision(connection)
    identifier = pool_id(backend.name, pool.name)
    connection.execute(insert(tables.pools).values(id=identifier, revision=revision, **declared, **figures))


def _set_pool(connection: Connection, known: RowMapping, values: Mapping[str, Any]) -> None:
    """Write what has changed of a pool's row; the row as a decision saw it is kept."""
    changed = {name: value for name, value in values.items() if known[name] != value}
    if changed:
        revision = pool_history.change(connection, known["id"])
        connection.execute(
            update(tables.pools).where(tables.pools.c.id == known["id"]).values(**changed, revision=revision)
        )


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
    known = {row["name"]: row for row in _pools_of(connection, backend)}
    for pool in pools:
        if pool.name in known:
            _set_pool(connection, known[pool.name], {"reachable": True, **_figures(pool)})


def set_drained(connection: Connection, pool: str, *, drained: bool) -> None:
    """Nothing new is placed in a pool from now on, or something may be again. Idempotent."""
    Turn.ACCOUNTS.take(connection)
    known = connection.execute(select(tables.pools).where(tables.pools.c.id == pool)).mappings().one()
    _set_pool(connection, known, {"drained": drained})


def unreachable(connection: Connection, backend: str) -> None:
    """A backend did not answer: nothing new is placed there until it does."""
    Turn.ACCOUNTS.take(connection)
    connection.execute(update(tables.backends).where(tables.backends.c.name == backend).values(reachable=False))
    for row in _pools_of(connection, backend):
        _set_pool(connection, row, {"reachable": False})


def _pools_of(connection: Connection, backend: str) -> Sequence[RowMapping]:
    return connection.execute(select(tables.pools).where(tables.pools.c.backend == backend)).mappings().all()


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
