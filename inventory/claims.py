"""Claims: who may change what, in order of arrival.

An operation asks for all its resources in one transaction and gets all of them or a place in every line. The ticket of
its first request orders it in all lines. Somebody blocks it who already *holds* an incompatible claim, or who waits with
an *earlier* ticket. Nobody can wait in a circle: among those who wait, everybody waits for earlier tickets only, and
whoever holds something holds all it asked for (a deleted share adds its snapshots with the ticket it already has, and a
holder of one of those needs nothing else).

The resource rows are locked in sorted order before the ticket is drawn, so that tickets agree with the order in which
the lines were joined, also on PostgreSQL where transactions overlap.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Connection, Row, Table, and_, delete, insert, select, update

from inventory import tables
from shareflow.contracts.steps import Fence
from shareflow.errors import Busy, NotFound, StaleClaim

Mode = Literal["exclusive", "shared"]
CLAIMABLE: dict[str, Table] = {"share": tables.shares, "snapshot": tables.snapshots}


@dataclass(frozen=True, slots=True, order=True)
class Want:
    """One resource that an operation needs, alone (``exclusive``) or together with other readers (``shared``)."""

    kind: str
    id: str
    mode: Mode = "exclusive"


@dataclass(frozen=True, slots=True)
class Answer:
    """All wants granted with their fences, or the operations that are ahead in ticket order."""

    fences: tuple[Fence, ...]
    waiting_for: tuple[str, ...]

    @property
    def granted(self) -> bool:
        """Whether the operation holds everything it asked for."""
        return not self.waiting_for


def _lock(connection: Connection, wants: Sequence[Want]) -> dict[str, int]:
    epochs: dict[str, int] = {}
    for kind, table in CLAIMABLE.items():
        ids = sorted(want.id for want in wants if want.kind == kind)
        if not ids:
            continue
        statement = select(table.c.id, table.c.epoch).where(table.c.id.in_(ids)).order_by(table.c.id).with_for_update()
        epochs |= {row.id: row.epoch for row in connection.execute(statement)}
        missing = [identifier for identifier in ids if identifier not in epochs]
        if missing:
            raise NotFound(f"{kind} {missing[0]} does not exist", hint="it may have been deleted meanwhile")
    return epochs


def _ticket(connection: Connection, operation: str) -> int:
    known = connection.execute(select(tables.tickets.c.id).where(tables.tickets.c.operation == operation)).scalar()
    if known is None:
        drawn = connection.execute(insert(tables.tickets).values(operation=operation)).inserted_primary_key
        known = drawn[0] if drawn else None
    return int(known or 0)


def _blocks(claim: Row[tuple[object, ...]], want: Want, ticket: int) -> bool:
    if claim.mode == "shared" and want.mode == "shared":
        return False
    return bool(claim.granted or claim.ticket < ticket)


def request(connection: Connection, operation: str, wants: Sequence[Want], *, fail_if_busy: bool = False) -> Answer:
    """Claim everything wanted, or join the lines.

    Idempotent: asking again gives the same answer, or the grant when the turn has come.

    Raises:
        NotFound: a resource does not exist.
        Busy: ``fail_if_busy`` and somebody is ahead; the transaction must be rolled back.
    """
    ordered = sorted(set(wants))
    epochs = _lock(connection, ordered)
    claims = tables.claims
    mine = {row.resource_id: row for row in connection.execute(select(claims).where(claims.c.operation == operation))}
    ticket = _ticket(connection, operation)
    for want in ordered:
        if want.id not in mine:
            connection.execute(
                insert(claims).values(
                    operation=operation,
                    resource_id=want.id,
                    resource_kind=want.kind,
                    mode=want.mode,
                    ticket=ticket,
                    granted=False,
                    epoch=0,
                )
            )
    pending = [want for want in ordered if want.id not in mine or not mine[want.id].granted]
    others = connection.execute(
        select(claims)
        .where(claims.c.resource_id.in_([want.id for want in pending]), claims.c.operation != operation)
        .order_by(claims.c.ticket)
    ).all()
    by_id = {want.id: want for want in pending}
    ahead = [claim.operation for claim in others if _blocks(claim, by_id[claim.resource_id], ticket)]
    if ahead:
        if fail_if_busy:
            raise Busy(f"operation {ahead[0]} holds it", hint="wait for it, cancel it, or ask with on_busy: queue")
        return Answer(fences=(), waiting_for=tuple(dict.fromkeys(ahead)))
    held = [Fence(kind=r.resource_kind, id=r.resource_id, epoch=r.epoch) for r in mine.values() if r.granted]
    granted = [_grant(connection, operation, want, epochs[want.id]) for want in pending]
    return Answer(fences=tuple(sorted(held + granted, key=lambda fence: (fence.kind, fence.id))), waiting_for=())


def _grant(connection: Connection, operation: str, want: Want, epoch: int) -> Fence:
    table = CLAIMABLE[want.kind]
    if want.mode == "exclusive":
        taken = connection.execute(
            update(table)
            .where(table.c.id == want.id, table.c.claimed_by.is_(None))
            .values(claimed_by=operation, epoch=table.c.epoch + 1)
        )
        if taken.rowcount != 1:
            raise StaleClaim(f"{want.kind} {want.id} is held outside its line", hint="the claims reconciler repairs this")
        epoch += 1
    connection.execute(
        update(tables.claims)
        .where(tables.claims.c.operation == operation, tables.claims.c.resource_id == want.id)
        .values(granted=True, epoch=epoch)
    )
    return Fence(kind=want.kind, id=want.id, epoch=epoch)


def hold_new(connection: Connection, operation: str, kind: str, resource: str) -> Fence:
    """The claim on a resource that this transaction makes: nobody can be ahead of it. Its row starts at epoch 1."""
    connection.execute(
        insert(tables.claims).values(
            operation=operation,
            resource_id=resource,
            resource_kind=kind,
            mode="exclusive",
            ticket=0,
            granted=True,
            epoch=1,
        )
    )
    return Fence(kind=kind, id=resource, epoch=1)


def check(connection: Connection, operation: str, fences: Sequence[Fence]) -> None:
    """Raise StaleClaim unless the operation still holds every fence under its epoch."""
    claims = tables.claims
    held = {
        row.resource_id: row.epoch
        for row in connection.execute(
            select(claims.c.resource_id, claims.c.epoch).where(
                and_(claims.c.operation == operation, claims.c.granted.is_(True))
            )
        )
    }
    for fence in fences:
        if held.get(fence.id) != fence.epoch:
            raise StaleClaim(
                f"operation {operation} does not hold {fence.kind} {fence.id} at epoch {fence.epoch} any more",
                hint="a late attempt; nothing was changed",
            )


def release(connection: Connection, operation: str) -> list[str]:
    """Give back everything the operation holds or waits for; returns the operations whose turn it may be now."""
    claims = tables.claims
    mine = connection.execute(
        select(claims.c.resource_id, claims.c.resource_kind, claims.c.mode, claims.c.granted).where(
            claims.c.operation == operation
        )
    ).all()
    for row in mine:
        if row.granted and row.mode == "exclusive":
            table = CLAIMABLE[row.resource_kind]
            connection.execute(
                update(table)
                .where(table.c.id == row.resource_id, table.c.claimed_by == operation)
                .values(claimed_by=None)
            )
    connection.execute(delete(claims).where(claims.c.operation == operation))
    connection.execute(delete(tables.tickets).where(tables.tickets.c.operation == operation))
    return next_in_line(connection, [row.resource_id for row in mine])


def next_in_line(connection: Connection, resources: Sequence[str]) -> list[str]:
    """Who should look whether its turn has come: per resource the first in line, with the readers right behind it."""
    if not resources:
        return []
    claims = tables.claims
    waiting = connection.execute(
        select(claims.c.resource_id, claims.c.operation, claims.c.mode)
        .where(claims.c.resource_id.in_(resources), claims.c.granted.is_(False))
        .order_by(claims.c.resource_id, claims.c.ticket)
    ).all()
    wake: list[str] = []
    closed: set[str] = set()
    for row in waiting:
        if row.resource_id in closed:
            continue
        wake.append(row.operation)
        if row.mode == "exclusive":
            closed.add(row.resource_id)
    return list(dict.fromkeys(wake))
