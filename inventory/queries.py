"""Questions to the inventory: filtered, sorted and paged in SQL, and always inside a project."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, Select, and_, func, or_, select

from inventory import resources, tables
from shareflow.contracts import reads
from shareflow.contracts.reads import ListQuery, Page
from shareflow.errors import InvalidInput, NotFound

# Sorting may use these columns only: each list has an index or a project-sized set for them.
SHARE_SORTS = {"name": "name", "size": "size", "created_at": "created_at", "status": "status"}
SNAPSHOT_SORTS = {"name": "name", "size": "size", "created_at": "created_at"}
OPERATION_SORTS = {"created_at": "created_at", "kind": "kind"}


def _cursor(values: Sequence[Any]) -> str:
    plain = [value.isoformat() if isinstance(value, datetime) else value for value in values]
    return base64.urlsafe_b64encode(json.dumps(plain).encode()).decode()


def _position(after: str, kind: type) -> tuple[Any, str]:
    try:
        value, identifier = json.loads(base64.urlsafe_b64decode(after.encode()))
        typed = datetime.fromisoformat(value) if kind is datetime else kind(value)
    except (ValueError, TypeError) as error:
        raise InvalidInput("is not a position that a list gave", field="after", hint="start with an empty one") from error
    return typed, str(identifier)


def _page(
    connection: Connection,
    statement: Select[Any],
    query: ListQuery,
    sort: ColumnElement[Any],
    identifier: ColumnElement[Any],
) -> tuple[Sequence[RowMapping], str]:
    if query.after:
        kind = datetime if sort.type.python_type is datetime else sort.type.python_type
        value, last = _position(query.after, kind)
        past = sort < value if query.descending else sort > value
        beyond = identifier < last if query.descending else identifier > last
        statement = statement.where(or_(past, and_(sort == value, beyond)))
    order = (sort.desc(), identifier.desc()) if query.descending else (sort.asc(), identifier.asc())
    rows = connection.execute(statement.order_by(*order).limit(query.limit + 1)).mappings().all()
    if len(rows) <= query.limit:
        return rows, ""
    rows = rows[: query.limit]
    return rows, _cursor([rows[-1][sort.key], rows[-1][identifier.key]])


def _sort(query: ListQuery, allowed: dict[str, str], table: Any) -> ColumnElement[Any]:
    column = allowed.get(query.sort)
    if column is None:
        raise InvalidInput(f"{query.sort!r} is not a field to sort by", field="sort", hint=f"use {', '.join(allowed)}")
    return table.c[column]  # type: ignore[no-any-return]


def _prefix(column: ColumnElement[Any], prefix: str) -> ColumnElement[bool]:
    return column.startswith(prefix, autoescape=True)


def _share_views(connection: Connection, rows: Sequence[RowMapping], *, full: bool) -> list[reads.ShareView]:
    ids = [row["id"] for row in rows]
    instances, pools = tables.instances, tables.pools
    statement = (
        select(instances, pools.c.backend, pools.c.name.label("pool"), pools.c.zone)
        .join(pools, pools.c.id == instances.c.pool_id)
        .where(instances.c.share_id.in_(ids))
    )
    copies: dict[str, list[RowMapping]] = {}
    for copy in connection.execute(statement).mappings():
        copies.setdefault(copy["share_id"], []).append(copy)
    return [_share_view(connection, row, copies.get(row["id"], []), full=full) for row in rows]


def _share_view(
    connection: Connection, row: RowMapping, copies: Sequence[RowMapping], *, full: bool
) -> reads.ShareView:
    first = copies[0] if copies else None
    details: dict[str, Any] = {}
    if full:
        locations = tables.export_locations
        found = connection.execute(
            select(locations).where(locations.c.instance_id.in_([copy["id"] for copy in copies]))
        ).mappings()
        details = {
            "export_locations": [
                reads.ExportLocation.model_validate({key: x[key] for key in reads.ExportLocation.model_fields})
                for x in found
            ],
            "instances": [
                reads.InstanceView.model_validate({key: copy[key] for key in reads.InstanceView.model_fields})
                for copy in copies
            ],
            "snapshots": resources.count_snapshots(connection, row["id"]),
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
        **details,
    )


def list_shares(connection: Connection, query: reads.ShareQuery) -> Page[reads.ShareView]:
    """A page of a project's shares: those in view, or with ``deleted`` those in the recycle bin."""
    shares, instances, pools = tables.shares, tables.instances, tables.pools
    out = shares.c.status.in_(resources.OUT_OF_VIEW)
    where = [shares.c.project == query.project, out if query.deleted else ~out]
    if query.status is not None:
        where.append(shares.c.status == query.status.value)
    if query.type is not None:
        where.append(shares.c.type == query.type)
    if query.name_prefix:
        where.append(_prefix(shares.c.name, query.name_prefix))
    if query.backend is not None or query.pool is not None:
        inside = select(instances.c.share_id).join(pools, pools.c.id == instances.c.pool_id)
        if query.backend is not None:
            inside = inside.where(pools.c.backend == query.backend)
        if query.pool is not None:
            inside = inside.where(pools.c.name == query.pool)
        where.append(shares.c.id.in_(inside))
    sort = _sort(query, SHARE_SORTS, shares)
    rows, following = _page(connection, select(shares).where(*where), query, sort, shares.c.id)
    return Page[reads.ShareView](items=_share_views(connection, rows, full=False), next=following)


def get_share(connection: Connection, query: reads.ShareRef) -> reads.ShareView:
    """One share with instances and export locations. Raises NotFound."""
    row = resources.find_share(connection, query.project, query.share, deleted=query.deleted)
    return _share_views(connection, [row], full=True)[0]


def _snapshot_view(row: RowMapping, share: str) -> reads.SnapshotView:
    return reads.SnapshotView(
        id=row["id"],
        project=row["project"],
        share_id=row["share_id"],
        share=share,
        name=row["name"],
        status=row["status"],
        size=row["size"],
        description=row["description"],
        operation=row["claimed_by"] or "",
        created_at=row["created_at"],
    )


def list_snapshots(connection: Connection, query: reads.SnapshotQuery) -> Page[reads.SnapshotView]:
    """A page of a project's snapshots; those of shares in the recycle bin are not in view. Raises NotFound."""
    snapshots, shares = tables.snapshots, tables.shares
    where = [snapshots.c.project == query.project, shares.c.status.not_in(resources.OUT_OF_VIEW)]
    if query.share is not None:
        where.append(snapshots.c.share_id == resources.find_share(connection, query.project, query.share)["id"])
    statement = (
        select(snapshots, shares.c.name.label("share_name"))
        .join(shares, shares.c.id == snapshots.c.share_id)
        .where(*where)
    )
    rows, following = _page(
        connection, statement, query, _sort(query, SNAPSHOT_SORTS, snapshots), snapshots.c.id
    )
    return Page[reads.SnapshotView](items=[_snapshot_view(row, row["share_name"]) for row in rows], next=following)


def get_snapshot(connection: Connection, query: reads.SnapshotRef) -> reads.SnapshotView:
    """One snapshot. Raises NotFound."""
    share = resources.find_share(connection, query.project, query.share)
    return _snapshot_view(resources.find_snapshot(connection, share, query.snapshot), share["name"])


def _operation_view(row: RowMapping) -> reads.OperationView:
    return reads.OperationView(
        id=row["id"],
        project=row["project"],
        kind=row["kind"],
        state=row["state"],
        share_id=row["share_id"],
        request=row["request"],
        result=row["result"],
        failure=row["failure"],
        waiting_for=row["waiting_for"] or [],
        placement=row["placement"],
        left=row["left_over"],
        by=row["requested_by"],
        reason=row["reason"],
        created_at=row["created_at"],
        ended_at=row["ended_at"],
    )


def list_operations(connection: Connection, query: reads.OperationQuery) -> Page[reads.OperationView]:
    """A page of a project's operations, newest first unless asked otherwise. Raises NotFound for an unknown share."""
    operations = tables.operations
    where = [operations.c.project == query.project]
    if query.state is not None:
        where.append(operations.c.state == query.state.value)
    if query.kind is not None:
        where.append(operations.c.kind == query.kind)
    if query.share is not None:
        share = resources.find_share(connection, query.project, query.share, deleted=True)
        where.append(operations.c.share_id == share["id"])
    sort = _sort(query, OPERATION_SORTS, operations)
    rows, following = _page(connection, select(operations).where(*where), query, sort, operations.c.id)
    return Page[reads.OperationView](items=[_operation_view(row) for row in rows], next=following)


def get_operation(connection: Connection, query: reads.OperationRef) -> reads.OperationView:
    """One operation of the project. Raises NotFound."""
    operations = tables.operations
    row = (
        connection.execute(
            select(operations).where(operations.c.id == query.operation, operations.c.project == query.project)
        )
        .mappings()
        .first()
    )
    if row is None:
        raise NotFound(
            f"there is no operation {query.operation!r} in project {query.project!r}",
            field="operation",
            hint="list the operations you have",
        )
    return _operation_view(row)


def list_pools(connection: Connection) -> Page[reads.PoolView]:
    """All pools that are declared."""
    return Page[reads.PoolView](
        items=[
            reads.PoolView.model_validate({key: row[key] for key in reads.PoolView.model_fields})
            for row in resources.pools_picture(connection)
        ]
    )


def list_share_types(connection: Connection) -> Page[reads.ShareTypeView]:
    """The share types that can be asked for now."""
    types = tables.share_types
    rows = connection.execute(select(types).where(types.c.current.is_(True)).order_by(types.c.name)).mappings()
    return Page[reads.ShareTypeView](
        items=[
            reads.ShareTypeView(
                name=row["name"],
                version=row["version"],
                description=row["document"].get("description", ""),
                document=row["document"],
            )
            for row in rows
        ]
    )


def get_quota(connection: Connection, query: reads.ProjectRef) -> reads.QuotaView:
    """A project's limits and use; a project that has nothing yet shows the limits it would get."""
    quotas = tables.quotas
    rows = {
        row["project"]: row
        for row in connection.execute(select(quotas).where(quotas.c.project.in_([query.project, "*"]))).mappings()
    }
    own, default = rows.get(query.project), rows.get("*")
    names = ("shares", "bytes", "snapshots")
    limits = own or default
    return reads.QuotaView(
        project=query.project,
        **{f"{name}_limit": limits[f"{name}_limit"] if limits else None for name in names},
        **{f"{name}_used": own[f"{name}_used"] if own else 0 for name in names},
    )


def list_findings(connection: Connection, query: reads.FindingQuery) -> Page[reads.FindingView]:
    """What the reconciler reports, oldest first."""
    findings = tables.findings
    where = [findings.c.repaired.is_(False)] if query.open_only else []
    rows, following = _page(
        connection, select(findings).where(*where), query, findings.c.first_seen, findings.c.id
    )
    items = [
        reads.FindingView.model_validate({key: row[key] for key in reads.FindingView.model_fields}) for row in rows
    ]
    return Page[reads.FindingView](items=items, next=following)


def list_audit(connection: Connection, query: reads.AuditQuery) -> Page[reads.AuditView]:
    """State changes of a project, newest first; of one share, snapshot or operation when asked."""
    audit = tables.audit
    where = [audit.c.project == query.project]
    if query.operation:
        where.append(audit.c.operation == query.operation)
    if query.resource is not None:
        where.append(audit.c.resource_id == _audited(connection, query.project, query.resource))
    rows, following = _page(connection, select(audit).where(*where), query, audit.c.at, audit.c.digest)
    items = [
        reads.AuditView(
            by=row["requested_by"],
            **{key: row[key] for key in reads.AuditView.model_fields if key != "by"},
        )
        for row in rows
    ]
    return Page[reads.AuditView](items=items, next=following)


def _audited(connection: Connection, project: str, reference: str) -> str:
    known = select(func.count()).where(tables.audit.c.project == project, tables.audit.c.resource_id == reference)
    if connection.execute(known).scalar_one():
        return reference
    return str(resources.find_share(connection, project, reference, deleted=True)["id"])
