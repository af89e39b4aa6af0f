"""Counts of what uses what the specs declare. Shares in the recycle bin count: they can be restored."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, RowMapping, func, select

from inventory import tables


def by_type(connection: Connection) -> list[tuple[str, str, int]]:
    """Type, version, shares."""
    return _versions(connection, tables.shares.c.type, tables.shares.c.type_version)


def by_class(connection: Connection) -> list[tuple[str, str, int]]:
    """QoS class, version, shares that have it."""
    return _versions(connection, tables.shares.c.qos_class, tables.shares.c.qos_version)


def _versions(
    connection: Connection, name: ColumnElement[str], version: ColumnElement[str]
) -> list[tuple[str, str, int]]:
    counted = select(name, version, func.count()).where(name != "").group_by(name, version)
    return [(row[0], row[1], row[2]) for row in connection.execute(counted)]


def by_pool(connection: Connection) -> dict[str, int]:
    """Pool id -> shares on it, those on their way to it or from it included."""
    instances = tables.instances
    counted = select(instances.c.pool_id, func.count()).group_by(instances.c.pool_id)
    return {row[0]: row[1] for row in connection.execute(counted)}


def pools(connection: Connection) -> Sequence[RowMapping]:
    """All pools that there ever were, retired ones as well."""
    return connection.execute(select(tables.pools)).mappings().all()


def projects(connection: Connection) -> Sequence[RowMapping]:
    """Every project that holds something, and what."""
    quotas = tables.quotas
    return connection.execute(select(quotas)).mappings().all()


def shares_on(connection: Connection, project: str, pool_ids: Sequence[str], limit: int) -> Sequence[RowMapping]:
    """Name, type and pool id of the shares in view that a project has on some pools, in order of names."""
    shares, instances = tables.shares, tables.instances
    asked = (
        select(shares.c.name, shares.c.type, instances.c.pool_id)
        .join(instances, instances.c.share_id == shares.c.id)
        .where(
            shares.c.project == project,
            shares.c.in_view.is_(True),
            instances.c.role == "active",
            instances.c.pool_id.in_(pool_ids),
        )
        .order_by(shares.c.name, shares.c.id)
        .limit(limit)
    )
    return connection.execute(asked).mappings().all()
