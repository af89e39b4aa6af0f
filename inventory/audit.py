"""The append-only record of state changes: one row per change, chained by digest per resource."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Table, select, update

from inventory import tables
from inventory.database import now
from shareflow.errors import StaleClaim


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
    connection.execute(tables.audit.insert().values({**fields, "at": at, "digest": value}))
    return value


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
) -> None:
    """Change a claimed share's or snapshot's status and columns, with its audit row.

    Raises:
        StaleClaim: the operation does not hold the resource, or holds it under another epoch; nothing was changed.
    """
    row = connection.execute(
        select(table.c.status, table.c.revision, table.c.audit_digest, table.c.epoch, table.c.claimed_by).where(
            table.c.id == resource
        )
    ).first()
    kind = table.name.removesuffix("s")
    if row is None or row.claimed_by != actor.operation or (epoch is not None and row.epoch != epoch):
        raise StaleClaim(f"operation {actor.operation} no longer holds {kind} {resource}")
    head = record(
        connection,
        actor,
        kind,
        resource,
        revision=row.revision + 1,
        previous=row.audit_digest,
        before=row.status,
        after=after,
        why=why,
    )
    changed = connection.execute(
        update(table)
        .where(
            table.c.id == resource,
            table.c.claimed_by == actor.operation,
            table.c.epoch == row.epoch,
            table.c.revision == row.revision,
        )
        .values(status=after, revision=row.revision + 1, audit_digest=head, **values)
    )
    if changed.rowcount != 1:
        raise StaleClaim(f"operation {actor.operation} lost {kind} {resource} while it changed it")


def remove(
    connection: Connection, actor: Actor, table: Table, resource: str, *, after: str = "gone", why: str = ""
) -> None:
    """Delete a claimed share's or snapshot's row; its audit rows stay, closed by one more."""
    change(connection, actor, table, resource, after=after, why=why)
    connection.execute(table.delete().where(table.c.id == resource, table.c.claimed_by == actor.operation))


def broken_chains(connection: Connection) -> list[str]:
    """Ids of resources whose audit chain has a gap or a digest that does not match; empty when all is intact."""
    broken: list[str] = []
    previous, resource, revision = "", "", 0
    ordered = select(tables.audit).order_by(tables.audit.c.resource_id, tables.audit.c.revision)
    for row in connection.execute(ordered):
        if row.resource_id != resource:
            previous, resource, revision = "", row.resource_id, 0
        fields = {
            key: getattr(row, key)
            for key in ("resource_kind", "resource_id", "revision", "project", "operation", "before", "after", "why")
        }
        fields |= {"requested_by": row.requested_by, "at": row.at.isoformat(timespec="microseconds")}
        if row.revision != revision + 1 or row.digest != digest(previous, fields):
            broken.append(resource)
        previous, revision = row.digest, row.revision
    return sorted(set(broken))
