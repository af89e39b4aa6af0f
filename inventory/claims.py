"""Claims: who may change what, in order of arrival.

An operation asks for all its resources in one transaction and gets all of them or a place in every line. The ticket of
its first request orders it in all lines. Somebody blocks it who already *holds* an incompatible claim, or who waits
with an *earlier* ticket. Nobody can wait in a circle: among those who wait, everybody waits for earlier tickets only,
and whoever holds something holds all it asked for. A migration alone asks twice: it holds the share's instances from
its begin to its end, and with its first ticket asks for the share and its snapshots once more to cut over. Whoever
needs a claimed instance asks for it together with the share, so nobody holds one of these and waits for the other; and
nobody else adds to what it holds, since that could wait for a migration that waits for it.

The resource rows are locked in sorted order before the ticket is drawn, so that tickets agree with the order in which
the lines were joined, also on PostgreSQL where transactions overlap. Leaving a line takes the same locks, so that
somebody who joins meanwhile is either seen and woken, or no longer waits for who left.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Literal

from sqlalchemy import Connection, Row, Table, bindparam, delete, insert, null, or_, select, update

from inventory import tables
from shareflow.contracts.places import Fence
from shareflow.errors import Busy, NotFound, StaleClaim

Mode = Literal["exclusive", "shared"]
CLAIMABLE: dict[str, Table] = {
    "share": tables.shares,
    "snapshot": tables.snapshots,
    "instance": tables.instances,
}
"""In the order in which their rows are locked."""

# Built once: on the way of every operation, building a statement costs as much as running it.
_CLAIM = insert(tables.claims)
_OF = tables.claims.c.operation == bindparam("of")
_HELD = select(tables.claims.c.resource_id, tables.claims.c.epoch).where(_OF, tables.claims.c.granted.is_(True))
_LEAVE = delete(tables.claims).where(_OF).returning(tables.claims.c.resource_id, tables.claims.c.ticket)
_LET_GO = [
    update(table)
    .where(table.c.claimed_by == bindparam("of"))
    .values(claimed_by=null())
    .returning(table.c.id.label("resource_id"))
    for table in CLAIMABLE.values()
]
_DROP_TICKET = delete(tables.tickets).where(tables.tickets.c.operation == bindparam("of"))
_LINE = (
    select(tables.claims.c.resource_id, tables.claims.c.operation, tables.claims.c.mode, tables.claims.c.granted)
    .where(tables.claims.c.resource_id.in_(bindparam("resources", expanding=True)))
    .order_by(tables.claims.c.resource_id, tables.claims.c.granted.desc(), tables.claims.c.ticket)
)


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


def _lock_rows(connection: Connection, kind: str, ids: Iterable[str]) -> dict[str, int]:
    """Lock rows of one kind in the order of their ids; returns the epochs of those that exist."""
    table = CLAIMABLE[kind]
    statement = select(table.c.id, table.c.epoch).where(table.c.id.in_(sorted(set(ids)))).order_by(table.c.id)
    return {row.id: row.epoch for row in connection.execute(statement.with_for_update())}


def lock(connection: Connection, operation: str) -> None:
    """Lock the rows of everything the operation holds or waits for until the transaction ends, in one order.

    A transaction that changes several of them does this first, so that two never wait for each other. The share of a
    claimed instance is locked as well: its holder may claim it next.
    """
    if connection.dialect.name == "sqlite":
        return  # one writer at a time
    claims = tables.claims
    mine = connection.execute(
        select(claims.c.resource_kind, claims.c.resource_id).where(claims.c.operation == operation)
    ).all()
    ids = {kind: [row.resource_id for row in mine if row.resource_kind == kind] for kind in CLAIMABLE}
    if ids["instance"]:
        instances = tables.instances
        whose = select(instances.c.share_id).where(instances.c.id.in_(ids["instance"]))
        ids["share"] += connection.execute(whose).scalars()
    for kind in CLAIMABLE:
        if ids[kind]:
            _lock_rows(connection, kind, ids[kind])


def hold_still(connection: Connection, kind: str, resource: str) -> None:
    """Lock one row until the transaction ends: who may claim it does not change meanwhile."""
    _lock_rows(connection, kind, [resource])


def _lock(connection: Connection, wants: Sequence[Want]) -> dict[str, int]:
    epochs: dict[str, int] = {}
    for kind in CLAIMABLE:
        ids = [want.id for want in wants if want.kind == kind]
        if not ids:
            continue
        epochs |= _lock_rows(connection, kind, ids)
        missing = sorted(set(ids) - epochs.keys())
        if missing:
            raise NotFound(f"{kind} {missing[0]} does not exist", hint="it may have been deleted meanwhile")
    return epochs


def _ticket(connection: Connection, operation: str) -> int:
    known = connection.execute(select(tables.tickets.c.id).where(tables.tickets.c.operation == operation)).scalar()
    if known is None:
        drawn = connection.execute(insert(tables.tickets).values(operation=operation)).inserted_primary_key
        known = drawn[0] if drawn else None
    return int(known or 0)


def _merged(wants: Sequence[Want]) -> list[Want]:
    """Each resource once, in sorted order; alone when it is wanted both ways."""
    strongest: dict[str, Want] = {}
    for want in wants:
        if want.id not in strongest or want.mode == "exclusive":
            strongest[want.id] = want
    return sorted(strongest.values())


def _join(connection: Connection, operation: str, wants: Sequence[Want], ticket: int) -> dict[str, Row[Any]]:
    """Stand in the line of everything wanted and in no other; returns the claims that were granted before."""
    claims = tables.claims
    own = claims.c.operation == operation
    mine = {row.resource_id: row for row in connection.execute(select(claims).where(own))}
    wanted = [want.id for want in wants]
    stale = [row.resource_id for row in mine.values() if not row.granted and row.resource_id not in wanted]
    if stale:  # a name that meanwhile means another resource
        connection.execute(delete(claims).where(own, claims.c.resource_id.in_(stale)))
    for want in wants:
        known = mine.get(want.id)
        if known is None:
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
        elif known.mode == "shared" and want.mode == "exclusive":
            if known.granted:
                raise ValueError(f"{operation} holds {want.kind} {want.id} as a reader; it cannot become its owner")
            connection.execute(update(claims).where(own, claims.c.resource_id == want.id).values(mode=want.mode))
    return {identifier: row for identifier, row in mine.items() if row.granted}


def _in_the_way(connection: Connection, operation: str, pending: Sequence[Want], ticket: int) -> list[Row[Any]]:
    """Claims of others that this operation has to wait for, holders first, then by ticket."""
    claims = tables.claims
    modes = {want.id: want.mode for want in pending}
    others = connection.execute(
        select(claims)
        .where(claims.c.resource_id.in_(list(modes)), claims.c.operation != operation)
        .order_by(claims.c.granted.desc(), claims.c.ticket)
    )
    return [
        claim
        for claim in others
        if (claim.granted or claim.ticket < ticket) and "exclusive" in (claim.mode, modes[claim.resource_id])
    ]


def request(connection: Connection, operation: str, wants: Sequence[Want], *, fail_if_busy: bool = False) -> Answer:
    """Claim everything wanted, or join the lines.

    Idempotent: asking again gives the same answer, or the grant when the turn has come. What is held already is kept
    and can be added to.

    Raises:
        NotFound: a resource does not exist.
        Busy: ``fail_if_busy`` and somebody is ahead; the transaction must be rolled back.
        ValueError: a resource that is held ``shared`` is wanted ``exclusive``.
    """
    ordered = _merged(wants)
    epochs = _lock(connection, ordered)
    ticket = _ticket(connection, operation)
    held = _join(connection, operation, ordered, ticket)
    pending = [want for want in ordered if want.id not in held]
    ahead = _in_the_way(connection, operation, pending, ticket)
    if ahead and fail_if_busy:
        first = ahead[0]
        does = "holds" if first.granted else "waits in line for"
        raise Busy(
            f"operation {first.operation} {does} {first.resource_kind} {first.resource_id}",
            hint="a round of replication that gives way to who waits: ask again, or with on_busy: queue"
            if first.operation.startswith("sync-")
            else "wait for it, cancel it, or ask with on_busy: queue",
        )
    if ahead:
        return Answer(fences=(), waiting_for=tuple(dict.fromkeys(claim.operation for claim in ahead)))
    kept = [Fence(kind=row.resource_kind, id=row.resource_id, epoch=row.epoch) for row in held.values()]
    granted = [_grant(connection, operation, want, epochs[want.id]) for want in pending]
    return Answer(fences=tuple(sorted(kept + granted, key=lambda fence: (fence.kind, fence.id))), waiting_for=())


def _grant(connection: Connection, operation: str, want: Want, epoch: int) -> Fence:
    table = CLAIMABLE[want.kind]
    if want.mode == "exclusive":
        taken = connection.execute(
            update(table)
            .where(table.c.id == want.id, table.c.claimed_by.is_(None))
            .values(claimed_by=operation, epoch=table.c.epoch + 1)
        )
        if taken.rowcount != 1:
            raise StaleClaim(
                f"{want.kind} {want.id} is held outside its line", hint="the reconciler of claims repairs this"
            )
        epoch += 1
    connection.execute(
        update(tables.claims)
        .where(tables.claims.c.operation == operation, tables.claims.c.resource_id == want.id)
        .values(granted=True, epoch=epoch)
    )
    return Fence(kind=want.kind, id=want.id, epoch=epoch)


def hold_new(connection: Connection, operation: str, kind: str, resource: str) -> Fence:
    """The claim on a resource that this transaction makes: nobody can be ahead of it. Its row starts at epoch 1."""
    row = {"operation": operation, "resource_id": resource, "resource_kind": kind, "mode": "exclusive"}
    connection.execute(_CLAIM, {**row, "ticket": 0, "granted": True, "epoch": 1})
    return Fence(kind=kind, id=resource, epoch=1)


def renew(connection: Connection, operation: str, fence: Fence, *, to: int | None = None) -> Fence:
    """The same claim under a new fencing number: what was sent under the old one can do nothing any more.

    The number is the next one, or a given higher one.

    Raises StaleClaim when the operation does not hold it alone under the old one.
    """
    table, epoch = CLAIMABLE[fence.kind], fence.epoch + 1 if to is None else to
    renewed = connection.execute(
        update(table)
        .where(table.c.id == fence.id, table.c.claimed_by == operation, table.c.epoch == fence.epoch)
        .values(epoch=epoch)
    )
    if renewed.rowcount != 1:
        raise StaleClaim(f"operation {operation} does not hold {fence.kind} {fence.id} at epoch {fence.epoch} any more")
    connection.execute(
        update(tables.claims)
        .where(tables.claims.c.operation == operation, tables.claims.c.resource_id == fence.id)
        .values(epoch=epoch)
    )
    return fence.model_copy(update={"epoch": epoch})


def check(connection: Connection, operation: str, fences: Sequence[Fence]) -> None:
    """Raise StaleClaim unless the operation still holds every fence under its epoch."""
    held = {row.resource_id: row.epoch for row in connection.execute(_HELD, {"of": operation})}
    for fence in fences:
        if held.get(fence.id) != fence.epoch:
            raise StaleClaim(
                f"operation {operation} does not hold {fence.kind} {fence.id} at epoch {fence.epoch} any more",
                hint="a late attempt; nothing was changed",
            )


def release(connection: Connection, operation: str) -> list[str]:
    """Give back everything the operation holds or waits for; returns the operations whose turn it may be now."""
    lock(connection, operation)
    resources: set[str] = set()
    for statement in _LET_GO:
        resources |= set(connection.execute(statement, {"of": operation}).scalars())
    left = connection.execute(_LEAVE, {"of": operation}).all()
    if any(row.ticket for row in left):  # whoever made what it holds drew none
        connection.execute(_DROP_TICKET, {"of": operation})
    return next_in_line(connection, sorted(resources.union(row.resource_id for row in left)))


def give_back(
    connection: Connection, operation: str, kinds: Collection[str], *, also: Collection[str] = ()
) -> list[str]:
    """Give back all of these kinds that the operation holds or waits for, and these resources; it keeps the rest.

    It keeps its ticket as well, unless all that it holds still was made by itself.

    Returns the operations whose turn it may be now.
    """
    lock(connection, operation)
    claims = tables.claims
    which = or_(claims.c.resource_kind.in_(kinds), claims.c.resource_id.in_(also))
    left = delete(claims).where(claims.c.operation == operation, which)
    resources: set[str] = set(connection.execute(left.returning(claims.c.resource_id)).scalars())
    for kind, table in CLAIMABLE.items():
        mine = [table.c.claimed_by == operation, *([] if kind in kinds else [table.c.id.in_(also)])]
        if kind in kinds or also:
            connection.execute(update(table).where(*mine).values(claimed_by=null()))
    drawn = select(claims.c.ticket).where(claims.c.operation == operation, claims.c.ticket > 0)
    if connection.execute(drawn).first() is None:
        connection.execute(_DROP_TICKET, {"of": operation})
    return next_in_line(connection, sorted(resources))


def let_go(connection: Connection, operation: str, resource: str) -> None:
    """Forget a claim on what is no more; what was sent under it can do nothing any more. A missing one is done."""
    claims = tables.claims
    connection.execute(delete(claims).where(claims.c.operation == operation, claims.c.resource_id == resource))


def held(connection: Connection, operation: str) -> tuple[Fence, ...]:
    """The fences of everything that the operation holds."""
    claims = tables.claims
    rows = connection.execute(
        select(claims.c.resource_kind, claims.c.resource_id, claims.c.epoch)
        .where(claims.c.operation == operation, claims.c.granted.is_(True))
        .order_by(claims.c.resource_kind, claims.c.resource_id)
    )
    return tuple(Fence(kind=row.resource_kind, id=row.resource_id, epoch=row.epoch) for row in rows)


def next_in_line(connection: Connection, resources: Sequence[str]) -> list[str]:
    """Who should look whether its turn has come: on each resource those that nobody holds off any more."""
    if not resources:
        return []
    line = connection.execute(_LINE, {"resources": list(resources)}).all()
    ready: list[str] = []
    for _, group in groupby(line, key=lambda row: row.resource_id):
        ahead: set[str] = set()
        for claim in group:
            free = not ahead if claim.mode == "exclusive" else "exclusive" not in ahead
            if free and not claim.granted:
                ready.append(claim.operation)
            ahead.add(claim.mode)
    return list(dict.fromkeys(ready))
