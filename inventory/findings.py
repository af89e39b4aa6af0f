"""What the reconciler found, recomputed at each scan: a finding that is not seen again is over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, insert, select, update

from inventory import tables
from inventory.database import now
from inventory.resources import new_id


@dataclass(frozen=True, slots=True)
class Found:
    """One thing found in a scan.

    Attributes:
        kind: ``orphan-object``, ``missing-object``, ``half-made-object``, ``differing-size``, ``differing-access``,
            ``differing-qos``, ``forgotten-object``, ``doomed-object``, ``unreachable-backend``, ``stray-status``,
            ``stray-claim``.
        subject: what it is about; with the kind it identifies the finding.
        repaired: it was mended at once.
    """

    kind: str
    subject: str
    pool: str = ""
    detail: str = ""
    advice: str = ""
    bytes: int = 0
    repaired: bool = False


def report(connection: Connection, scope: str, found: Sequence[Found], *, pools: Sequence[str] | None = None) -> int:
    """Make the findings of a scope (a backend, or ``claims``) those of this scan; returns how many ended.

    ``pools`` are those that were listed completely; findings of others stay as they are. None: all of the scope.
    """
    findings, at = tables.findings, now()
    known = {
        (row.kind, row.subject): row
        for row in connection.execute(
            select(findings).where(findings.c.backend == scope, findings.c.repaired.is_(False))
        )
    }
    for item in found:
        row = known.pop((item.kind, item.subject), None)
        values = {
            "pool": item.pool,
            "detail": item.detail,
            "advice": item.advice,
            "bytes": item.bytes,
            "last_seen": at,
            "repaired": item.repaired,
        }
        if row is not None:
            connection.execute(update(findings).where(findings.c.id == row.id).values(**values, seen=row.seen + 1))
            continue
        again = connection.execute(
            update(findings)
            .where(findings.c.kind == item.kind, findings.c.subject == item.subject)
            .values(**values, seen=1, first_seen=at)
        )
        if again.rowcount == 0:
            connection.execute(
                insert(findings).values(
                    id=new_id(),
                    kind=item.kind,
                    backend=scope,
                    subject=item.subject,
                    seen=1,
                    first_seen=at,
                    **values,
                )
            )
    over = [row.id for row in known.values() if pools is None or row.pool in pools or not row.pool]
    connection.execute(update(findings).where(findings.c.id.in_(over)).values(repaired=True, last_seen=at))
    return len(over) + sum(item.repaired for item in found)


def seen_before(connection: Connection, kind: str, subject: str) -> bool:
    """Whether the scan before saw it too."""
    findings = tables.findings
    row = connection.execute(
        select(findings.c.id).where(
            findings.c.kind == kind, findings.c.subject == subject, findings.c.repaired.is_(False)
        )
    ).first()
    return row is not None
