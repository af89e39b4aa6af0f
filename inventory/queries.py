"""Questions to the inventory: filtered, sorted and paged in SQL, and always inside a project."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, RowMapping, Select, Table, and_, func, literal, select, tuple_

from inventory import resources, tables
from inventory.reservations import DEFAULT_PROJECT
from inventory.share_views import share_views
from shareflow.contracts import reads
from shareflow.contracts.reads import ListQuery, Page
from shareflow.errors import InvalidInput, NotFound

# What lists can be sorted by, and by what rows that are equal in it. There is an index for each of them, which ends
# with the id: a page costs the same wherever it begins.
SHARE_SORTS = {"name": ("name",), "size": ("size",), "created_at": ("created_at",), "status": ("status", "name")}
SNAPSHOT_SORTS = {"name": ("name",), "size": ("size",), "created_at": ("created_at",)}
OPERATION_SORTS = {"created_at": ("created_at",), "kind": ("kind", "created_at")}
FINDING_SORTS = {"first_seen": ("first_seen",)}
AUDIT_SORTS = {"at": ("at",)}

_BAD_POSITION = "is not a position that this list gave"


def _order(query: ListQuery, sorts: Mapping[str, Sequence[str]], table: Table, last: str = "id") -> list[Column[Any]]:
    chosen = sorts.get(query.sort)
    if chosen is None:
        raise InvalidInput(f"{query.sort!r} is not a field to sort by", field="sort", hint=f"use {', '.join(sorts)}")
    return [table.c[name] for name in (*chosen, last)]


def _tag(query: ListQuery) -> str:
    """Ties a position to the list that it came from; the page size may change on the way."""
    asked = query.model_dump(mode="json", exclude={"after", "limit"})
    body = json.dumps([type(query).__name__, asked], sort_keys=True)
    return hashlib.sha256(body.encode()).hexdigest()[:16]


def _cursor(query: ListQuery, values: Sequence[Any]) -> str:
    plain = [value.isoformat() if isinstance(value, datetime) else value for value in values]
    return base64.urlsafe_b64encode(json.dumps([_tag(query), *plain]).encode()).decode()


def _value(raw: object, kind: type) -> object:
    if kind is datetime and isinstance(raw, str):
        time = datetime.fromisoformat(raw)
        if time.tzinfo is not None:
            return time
    elif kind is int and type(raw) is int and abs(raw) < 2**63:
        return raw
    elif kind is str and isinstance(raw, str) and "\0" not in raw:
        raw.encode()
        return raw
    raise ValueError(_BAD_POSITION)


def _position(query: ListQuery, order: Sequence[Column[Any]]) -> ColumnElement[Any]:
    try:
        tag, *raw = json.loads(base64.urlsafe_b64decode(query.after))
        if tag != _tag(query):
            raise InvalidInput(
                "is a position in another list", field="after", hint="ask with the same filters and sorting all the way"
            )
        values = [_value(value, column.type.python_type) for value, column in zip(raw, order, strict=True)]
    except (ValueError, TypeError, RecursionError) as error:
        raise InvalidInput(_BAD_POSITION, field="after", hint="leave it empty to start at the first page") from error
    return tuple_(*(literal(value, column.type) for value, column in zip(values, order, strict=True)))


def _page(
    connection: Connection, statement: Select[Any], query: ListQuery, order: Sequence[Column[Any]]
) -> tuple[Sequence[RowMapping], str]:
    if query.after:
        here, position = tuple_(*order), _position(query, order)
        statement = statement.where(here < position if query.descending else here > position)
    directed = [column.desc() if query.descending else column.asc() for column in order]
    rows = connection.execute(statement.order_by(*directed).limit(query.limit + 1)).mappings().all()
    if len(rows) <= query.limit:
        return rows, ""
    rows = rows[: query.limit]
    return rows, _cursor(query, [rows[-1][column] for column in order])


def _inside(table: Table, project: str) -> ColumnElement[bool]:
    """In this project, for lists that find their rows by something rarer.

    Written so that the project's index is not taken instead; SQLite would do that for the sake of the order.
    """
    return func.coalesce(table.c.project, "") == project


def _prefix(column: ColumnElement[str], prefix: str) -> ColumnElement[bool]:
    """Names that begin with the prefix, letter for letter: a range, because they are ordered byte by byte."""
    stem = prefix.rstrip(chr(0x10FFFF))
    if not stem:
        return column >= prefix
    following = ord(stem[-1]) + 1
    end = stem[:-1] + chr(0xE000 if following == 0xD800 else following)
    return and_(column >= prefix, column < end)


def list_shares(connection: Connection, query: reads.ShareQuery) -> Page[reads.ShareView]:
    """A page of a project's shares: those in view, or with ``deleted`` those in the recycle bin."""
    shares, instances, pools = tables.shares, tables.instances, tables.pools
    where = [shares.c.project == query.project, shares.c.in_view.is_(not query.deleted)]
    if query.status is not None:
        where.append(shares.c.status == query.status.value)
    if query.type is not None:
        where.append(shares.c.type == query.type)
    if query.name_prefix:
        where.append(_prefix(shares.c.name, query.name_prefix))
    if query.backend is not None or query.pool is not None:
        inside = (
            select(instances.c.share_id)
            .join(pools, pools.c.id == instances.c.pool_id)
            .where(instances.c.role == "active")
        )
        if query.backend is not None:
            inside = inside.where(pools.c.backend == query.backend)
        if query.pool is not None:
            inside = inside.where(pools.c.name == query.pool)
        where.append(shares.c.id.in_(inside))
    order = _order(query, SHARE_SORTS, shares)
    rows, following = _page(connection, select(shares).where(*where), query, order)
    return Page[reads.ShareView](items=share_views(connection, rows, full=False), next=following)


def get_share(connection: Connection, query: reads.ShareRef) -> reads.ShareView:
    """One share with instances and export locations. Raises NotFound."""
    row = resources.find_share(connection, query.project, query.share, deleted=query.deleted)
    return share_views(connection, [row], full=True)[0]


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
    where: list[ColumnElement[bool]] = [shares.c.in_view.is_(True)]
    if query.share is None:
        where.append(snapshots.c.project == query.project)
    else:
        share = resources.find_share(connection, query.project, query.share)
        where += [snapshots.c.share_id == share["id"], _inside(snapshots, query.project)]
    statement = (
        select(snapshots, shares.c.name.label("share_name"))
        .join(shares, shares.c.id == snapshots.c.share_id)
        .where(*where)
    )
    rows, following = _page(connection, statement, query, _order(query, SNAPSHOT_SORTS, snapshots))
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
    where: list[ColumnElement[bool]] = []
    if query.state is not None:
        where.append(operations.c.state == query.state.value)
    if query.kind is not None:
        where.append(operations.c.kind == query.kind)
    if query.share is None:
        where.append(operations.c.project == query.project)
    else:
        share = resources.find_share(connection, query.project, query.share, deleted=True)
        where += [operations.c.share_id == share["id"], _inside(operations, query.project)]
    order = _order(query, OPERATION_SORTS, operations)
    rows, following = _page(connection, select(operations).where(*where), query, order)
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


def _current(connection: Connection, table: Table) -> list[dict[str, Any]]:
    """The versions that can be asked for now, with their descriptions."""
    rows = connection.execute(select(table).where(table.c.current.is_(True)).order_by(table.c.name)).mappings()
    return [
        {
            **{key: row[key] for key in ("name", "version", "document")},
            "description": row["document"].get("description", ""),
        }
        for row in rows
    ]


def list_share_types(connection: Connection) -> Page[reads.ShareTypeView]:
    """The share types that can be asked for now."""
    found = _current(connection, tables.share_types)
    return Page[reads.ShareTypeView](items=[reads.ShareTypeView(**one) for one in found])


def list_qos_classes(connection: Connection) -> Page[reads.QosClassView]:
    """The QoS classes that a share can be given now."""
    found = _current(connection, tables.qos_classes)
    return Page[reads.QosClassView](items=[reads.QosClassView(**one) for one in found])


def get_quota(connection: Connection, query: reads.ProjectRef) -> reads.QuotaView:
    """A project's limits and use; a project that has nothing yet shows the limits it would get."""
    quotas = tables.quotas
    asked = select(quotas).where(quotas.c.project.in_([query.project, DEFAULT_PROJECT]))
    rows = {row["project"]: row for row in connection.execute(asked).mappings()}
    own = rows.get(query.project)
    limits = own or rows.get(DEFAULT_PROJECT)
    return reads.QuotaView(
        project=query.project,
        shares_limit=limits["shares_limit"] if limits else None,
        shares_used=own["shares_used"] if own else 0,
        bytes_limit=limits["bytes_limit"] if limits else None,
        bytes_used=own["bytes_used"] if own else 0,
        snapshots_limit=limits["snapshots_limit"] if limits else None,
        snapshots_used=own["snapshots_used"] if own else 0,
    )


def list_findings(connection: Connection, query: reads.FindingQuery) -> Page[reads.FindingView]:
    """What the reconciler reports, oldest first."""
    findings = tables.findings
    where = [findings.c.repaired.is_(False)] if query.open_only else []
    order = _order(query, FINDING_SORTS, findings)
    rows, following = _page(connection, select(findings).where(*where), query, order)
    items = [
        reads.FindingView.model_validate({key: row[key] for key in reads.FindingView.model_fields}) for row in rows
    ]
    return Page[reads.FindingView](items=items, next=following)


def list_audit(connection: Connection, query: reads.AuditQuery) -> Page[reads.AuditView]:
    """State changes of a project, newest first; of one share, snapshot or operation when asked."""
    audit = tables.audit
    where = [_inside(audit, query.project)]
    if query.operation:
        where.append(audit.c.operation == query.operation)
    if query.resource is not None:
        where.append(audit.c.resource_id == _audited(connection, query.project, query.resource))
    if len(where) == 1:
        where = [audit.c.project == query.project]
    order = _order(query, AUDIT_SORTS, audit, "digest")
    rows, following = _page(connection, select(audit).where(*where), query, order)
    items = [
        reads.AuditView(
            by=row["requested_by"],
            **{key: row[key] for key in reads.AuditView.model_fields if key != "by"},
        )
        for row in rows
    ]
    return Page[reads.AuditView](items=items, next=following)


def _audited(connection: Connection, project: str, reference: str) -> str:
    known = select(tables.audit.c.revision).where(
        tables.audit.c.project == project, tables.audit.c.resource_id == reference
    )
    if connection.execute(known.limit(1)).first() is not None:
        return reference
    return str(resources.find_share(connection, project, reference, deleted=True)["id"])
