"""The append-only record of state changes: one row per change, chained by digest per resource."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, Row, RowMapping, Select, Table, Update, bindparam, select, update

from inventory import tables
from inventory.database import now
from shareflow.errors import StaleClaim

GONE = "gone"
"""The last state in the chain of a resource that was removed."""


@dataclass(frozen=True, slots=True)
class Actor:
    """In whose name a change is made: the operation, its project, who asked and why."""

    operation: str
    project: str
    by: str = ""
    reason: str = ""


def digest(previous: str, fields: dict[str, Any]) -> str:
    """SHA-256 over the digest before and the row's fields as canonical JSON."""
    body = json.dumps(fields, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(f"{previous}\n{body}".encode()).hexdigest()


def _fields(
    actor: Actor, kind: str, resource: str, revision: int, before: str, after: str, why: str, at: datetime
) -> dict[str, Any]:
    return {
        "resource_kind": kind,
        "resource_id": resource,
        "revision": revision,
        "project": actor.project,
        "operation": actor.operation,
        "requested_by": actor.by,
        "before": before,
        "after": after,
        "why": (why or actor.reason)[:255],
        "at": at.isoformat(timespec="microseconds"),
    }


def record(
    connection: Connection,
    actor: Actor,
    kind: str,
    resource: str,
    *,
    revision: int,
    previous: str,
    before: str,
    after: str,
    why: str = "",
) -> str:
    """Append one row and return its digest. The primary key refuses a second row for the same revision."""
    at = now()
    fields = _fields(actor, kind, resource, revision, before, after, why, at)
    value = digest(previous, fields)
    connection.execute(_RECORD, {**fields, "at": at, "digest": value})
    return value


_RECORD = tables.audit.insert()


@cache
def _held(table: Table) -> Select[Any]:
    return select(table).where(table.c.id == bindparam("resource")).with_for_update()


@cache
def _changed(table: Table) -> Update:
    return update(table).where(
        table.c.id == bindparam("resource"),
        table.c.claimed_by == bindparam("operation"),
        table.c.epoch == bindparam("held_epoch"),
        table.c.revision == bindparam("before"),
    )


def change(
    connection: Connection,
    actor: Actor,
    table: Table,
    resource: str,
    *,
    after: str,
    epoch: int | None = None,
    why: str = "",
    **values: Any,
) -> RowMapping:
    """Change a claimed share's or snapshot's status and columns, with its audit row; returns the row as it was before.

    Raises:
        StaleClaim: the operation does not hold the resource, or holds it under another epoch; nothing was changed.
    """
    row = connection.execute(_held(table), {"resource": resource}).mappings().first()
    kind = table.name.removesuffix("s")
    if row is None or row["claimed_by"] != actor.operation or (epoch is not None and row["epoch"] != epoch):
        raise StaleClaim(f"operation {actor.operation} no longer holds {kind} {resource}")
    head = record(
        connection,
        actor,
        kind,
        resource,
        revision=row["revision"] + 1,
        previous=row["audit_digest"],
        before=row["status"],
        after=after,
        why=why,
    )
    held = {
        "resource": resource,
        "operation": actor.operation,
        "held_epoch": row["epoch"],
        "before": row["revision"],
    }
    written = {"status": after, "revision": row["revision"] + 1, "audit_digest": head, **values}
    if connection.execute(_changed(table), {**held, **written}).rowcount != 1:
        raise StaleClaim(f"operation {actor.operation} lost {kind} {resource} while it changed it")
    return row


def remove(connection: Connection, actor: Actor, table: Table, resource: str, *, why: str = "") -> None:
    """Delete a claimed share's or snapshot's row; its audit rows stay, closed by one more."""
    change(connection, actor, table, resource, after=GONE, why=why)
    connection.execute(table.delete().where(table.c.id == resource, table.c.claimed_by == actor.operation))


def broken_chains(connection: Connection, *, project: str | None = None) -> list[str]:
    """Ids of resources, of one project or of all, whose audit chain was tampered with; empty when all is intact.

    Found are a gap, a digest that does not match, rows cut off at the end, a status changed past the audit, and a
    chain that is missing: a resource's row keeps the head of its chain, and the chain of one that is gone says so.
    """
    heads = _heads(connection, project)
    ordered = select(tables.audit).order_by(tables.audit.c.resource_id, tables.audit.c.revision)
    if project is not None:
        ordered = ordered.where(tables.audit.c.project == project)
    rows = connection.execute(ordered, execution_options={"yield_per": 1000})
    broken = [
        resource
        for resource, chain in groupby(rows, key=lambda row: str(row.resource_id))
        if not _intact(chain, heads.pop(resource, None))
    ]
    return sorted([*broken, *heads])


def _heads(connection: Connection, project: str | None) -> dict[str, tuple[int, str, str]]:
    heads: dict[str, tuple[int, str, str]] = {}
    for table in (tables.shares, tables.snapshots):
        chosen = select(table.c.id, table.c.revision, table.c.audit_digest, table.c.status)
        if project is not None:
            chosen = chosen.where(table.c.project == project)
        for row in connection.execute(chosen):
            heads[row.id] = (row.revision, row.audit_digest, row.status)
    return heads


def _intact(chain: Iterator[Row[Any]], head: tuple[int, str, str] | None) -> bool:
    revision, previous, status, whole = 0, "", "", True
    for row in chain:
        whole = whole and row.revision == revision + 1 and row.digest == digest(previous, _recorded(row))
        revision, previous, status = row.revision, row.digest, row.after
    return whole and (status == GONE if head is None else head == (revision, previous, status))


def _recorded(row: Row[Any]) -> dict[str, Any]:
    fields = {
        key: getattr(row, key)
        for key in ("resource_kind", "resource_id", "revision", "project", "operation", "before", "after", "why")
    }
    return fields | {"requested_by": row.requested_by, "at": row.at.isoformat(timespec="microseconds")}
