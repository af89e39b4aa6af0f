"""The operations that an evacuation or a failover begins, one for each share: ``<operation>/<share id>``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, literal, select

from inventory import tables
from inventory.operations import OPEN
from shareflow.errors import InvalidInput

REASON = 300
"""Characters of a reason that are kept in a list."""
_LONGEST = 255 - 1 - 36
"""Characters of an id: those of the shares' operations have a share's id more."""


def check_id(operation: str) -> None:
    """Raise InvalidInput for an id that leaves no room for those of the shares' operations."""
    if len(operation) > _LONGEST:
        raise InvalidInput(
            f"the workflow id has {len(operation)} characters; use at most {_LONGEST}, those of the operations that it "
            "begins are longer",
            field="workflow id",
        )


def child(parent: str, share_id: str) -> str:
    """The id of a share's operation."""
    return f"{parent}/{share_id}"


def had(parent: str, key: ColumnElement[str] = tables.shares.c.id) -> ColumnElement[bool]:
    """A row whose operation has begun, whatever became of it; ``key`` is what it is called by there."""
    of = tables.operations
    return select(of.c.id).where(of.c.id == literal(f"{parent}/").concat(key)).exists()


def own(parent: str, *kinds: str) -> ColumnElement[bool]:
    """The children of an operation: ids are ordered byte by byte, and ``0`` follows ``/``."""
    of = tables.operations.c
    return and_(of.id > f"{parent}/", of.id < f"{parent}0", of.kind.in_(kinds))


def under_way(connection: Connection, parent: str, *kinds: str) -> list[str]:
    """The keys of those whose operations have begun and not ended."""
    of = tables.operations
    ids = connection.execute(select(of.c.id).where(own(parent, *kinds), of.c.state.in_(OPEN))).scalars()
    return [one.removeprefix(f"{parent}/") for one in ids]


def begun(connection: Connection, parent: str, keys: Sequence[str]) -> dict[str, RowMapping]:
    """The rows of the operations that have begun, by key."""
    of = tables.operations.c
    columns = (of.id, of.kind, of.share_id, of.state, of.begun, of.result, of.failure, of.left_over, of.waiting_for)
    mine = select(*columns).where(of.id.in_([child(parent, one) for one in keys]))
    return {row["id"].removeprefix(f"{parent}/"): row for row in connection.execute(mine).mappings()}


def rows(
    connection: Connection, parent: str, share_ids: Sequence[str]
) -> list[tuple[str, RowMapping | None, Mapping[str, str]]]:
    """Of each share its id, the row of its operation, if that has begun, and its name and project, empty when gone."""
    shares = tables.shares
    found = begun(connection, parent, share_ids)
    known = select(shares.c.id, shares.c.name, shares.c.project).where(shares.c.id.in_(list(share_ids)))
    named = {
        row["id"]: {"name": row["name"], "project": row["project"]} for row in connection.execute(known).mappings()
    }
    gone = {"name": "", "project": ""}
    return [(one, found.get(one), named.get(one, gone)) for one in share_ids]


def trouble(row: RowMapping) -> str:
    """Why an operation failed, or what it needs an operator for."""
    failure = row["failure"]
    text = f"{failure['message']} {failure.get('hint', '')}".strip() if failure else row["left_over"] or ""
    return text[:REASON]
