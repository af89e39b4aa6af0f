"""Rows of shares, snapshots and their copies: finding them inside a project, making and removing them."""

from __future__ import annotations

import difflib
import uuid
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    Select,
    Table,
    and_,
    bindparam,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)

from inventory import audit, reservations, tables
from inventory.audit import Actor
from inventory.database import now
from shareflow.contracts.places import ObjectPlace
from shareflow.contracts.qos import Floors
from shareflow.contracts.units import format_size
from shareflow.errors import NoPoolFits, NotFound, UnknownQos, UnknownType

# Built once: on the way of every creation, building a statement costs as much as running it.
_NAMED = select(tables.shares.c.id).where(
    tables.shares.c.project == bindparam("in_project"), tables.shares.c.live_name == bindparam("called")
)
_PICTURE = (
    select(tables.pools).where(tables.pools.c.retired.is_(False)).order_by(tables.pools.c.backend, tables.pools.c.name)
)
_ADD_SHARE = insert(tables.shares)
_ADD_INSTANCE = insert(tables.instances)
_SET_INSTANCE = update(tables.instances).where(tables.instances.c.id == bindparam("instance"))
_ADD_LOCATION = insert(tables.export_locations)
_DROP_LOCATIONS = delete(tables.export_locations).where(tables.export_locations.c.instance_id == bindparam("instance"))


def new_id() -> str:
    """A new id."""
    return str(uuid.uuid4())


def name_taken(connection: Connection, project: str, name: str) -> bool:
    """Whether a share in view has the name."""
    return connection.execute(_NAMED, {"in_project": project, "called": name}).first() is not None


def find_share(connection: Connection, project: str, reference: str, *, deleted: bool = False) -> RowMapping:
    """A share by name or id inside its project; with ``deleted`` also one in the recycle bin, by id.

    Raises:
        NotFound: nothing of that name or id here; a share of another project gets the same answer.
    """
    shares = tables.shares
    named = and_(shares.c.live_name == reference, shares.c.in_view.is_(True))
    by_id = shares.c.id == reference if deleted else and_(shares.c.id == reference, shares.c.in_view.is_(True))
    statement = select(shares).where(shares.c.project == project, or_(named, by_id))
    rows = connection.execute(statement).mappings().all()
    if not rows:
        raise NotFound(
            f"there is no share {reference!r} in project {project!r}", field="share", hint="list the shares you have"
        )
    # A share may be named like another one's id; the id wins.
    return next((row for row in rows if row["id"] == reference), rows[0])


def find_snapshot(connection: Connection, share: RowMapping, reference: str) -> RowMapping:
    """A snapshot of a share by name or id. Raises NotFound."""
    snapshots = tables.snapshots
    statement = select(snapshots).where(
        snapshots.c.share_id == share["id"],
        snapshots.c.project == share["project"],
        or_(snapshots.c.name == reference, snapshots.c.id == reference),
    )
    rows = connection.execute(statement).mappings().all()
    if not rows:
        raise NotFound(
            f"share {share['name']!r} has no snapshot {reference!r}", field="snapshot", hint="list its snapshots"
        )
    return next((row for row in rows if row["id"] == reference), rows[0])


def share_row(connection: Connection, share_id: str) -> RowMapping:
    """The row of a share that this operation has already found. Raises NotFound."""
    row = connection.execute(select(tables.shares).where(tables.shares.c.id == share_id)).mappings().first()
    if row is None:
        raise NotFound(f"share {share_id} is gone")
    return row


def snapshot_row(connection: Connection, snapshot_id: str) -> RowMapping:
    """The row of a snapshot that this operation has already found. Raises NotFound."""
    row = connection.execute(select(tables.snapshots).where(tables.snapshots.c.id == snapshot_id)).mappings().first()
    if row is None:
        raise NotFound(f"snapshot {snapshot_id} is gone")
    return row


def snapshots_of(connection: Connection, share_id: str) -> Sequence[RowMapping]:
    """All snapshots of a share, oldest first."""
    snapshots = tables.snapshots
    statement = (
        select(snapshots).where(snapshots.c.share_id == share_id).order_by(snapshots.c.created_at, snapshots.c.id)
    )
    return connection.execute(statement).mappings().all()


def share_type(connection: Connection, name: str, version: str | None = None) -> RowMapping:
    """A share type, in its current version or a given one. Raises UnknownType naming the types there are."""
    row, names = _versioned(connection, tables.share_types, name, version)
    if row is None:
        hint = _known(name, names, "types", none="check the spec files")
        raise UnknownType(f"there is no share type {name!r}", field="type", hint=hint)
    return row


def qos_class(connection: Connection, name: str, version: str | None = None) -> RowMapping:
    """A QoS class, in its current version or a given one. Raises UnknownQos naming the classes there are."""
    row, names = _versioned(connection, tables.qos_classes, name, version)
    if row is None:
        hint = _known(name, names, "classes", none="add a document of kind QosClass to the specs")
        raise UnknownQos(f"there is no QoS class {name!r}", field="qos", hint=hint)
    return row


def _versioned(
    connection: Connection, table: Table, name: str, version: str | None
) -> tuple[RowMapping | None, Sequence[str]]:
    """A row of a table of versions; when there is none, the names that have a current version."""
    current, exactly = _versions(table)
    statement = current if version is None else exactly
    row = connection.execute(statement, {"called": name, "version": version}).mappings().first()
    if row is not None:
        return row, ()
    known = connection.execute(select(table.c.name).where(table.c.current.is_(True)).order_by(table.c.name))
    return None, known.scalars().all()


def _known(name: str, names: Sequence[str], what: str, *, none: str) -> str:
    """What there is instead, the nearest first."""
    if not names:
        return f"{what}: none; {none}"
    near = difflib.get_close_matches(name, names, n=1)
    return f"{f'did you mean {near[0]!r}? ' if near else ''}{what}: {', '.join(names)}"


@cache
def _versions(table: Table) -> tuple[Select[Any], Select[Any]]:
    """The current version of what is called so, and an exact one; built once, as every create asks for them."""
    called = select(table).where(table.c.name == bindparam("called"))
    return called.where(table.c.current.is_(True)), called.where(table.c.version == bindparam("version"))


def place_of(row: RowMapping, prefix: str = "") -> ObjectPlace:
    """Where an instance or a copy of a snapshot is, by a row that has its pool too, each column behind the prefix."""
    keys = ("id", "backend", "pool", "pool_id", "object", "size")
    return ObjectPlace(**{key: row[f"{prefix}{key}"] for key in keys})


def instance_place(connection: Connection, share_id: str) -> ObjectPlace:
    """Where the share is: its active instance. Raises NotFound."""
    place = place_in_role(connection, share_id, "active")
    if place is None:
        raise NotFound(f"share {share_id} has no instance")
    return place


def place_in_role(connection: Connection, share_id: str, role: str) -> ObjectPlace | None:
    """Where the share's instance of a role is, None when it has none."""
    instances, pools = tables.instances, tables.pools
    statement = (
        select(instances, pools.c.backend, pools.c.name.label("pool"))
        .join(pools, pools.c.id == instances.c.pool_id)
        .where(instances.c.share_id == share_id, instances.c.role == role)
    )
    row = connection.execute(statement).mappings().first()
    return None if row is None else place_of(row)


def instances_of(connection: Connection, share_id: str) -> Sequence[RowMapping]:
    """All instances of a share, in order of their ids."""
    instances = tables.instances
    statement = select(instances).where(instances.c.share_id == share_id).order_by(instances.c.id)
    return connection.execute(statement).mappings().all()


def instance_row(connection: Connection, instance_id: str) -> RowMapping:
    """The row of an instance that this operation has already found. Raises NotFound."""
    instances = tables.instances
    row = connection.execute(select(instances).where(instances.c.id == instance_id)).mappings().first()
    if row is None:
        raise NotFound(f"instance {instance_id} is gone")
    return row


def no_room(pool: RowMapping, growth: int, kept_back: int = 0) -> NoPoolFits:
    """Why a share cannot grow where it is."""
    if pool["retired"]:
        return NoPoolFits(
            f"no spec declares pool {pool['name']!r} any more, so what is in it cannot grow",
            field="size",
            hint="declare the pool in its backend's spec again, or leave the size as it is",
        )
    room = (pool["limit_bytes"] or 0) - pool["allocated_bytes"] - kept_back
    return NoPoolFits(
        f"pool {pool['name']!r} has {format_size(room)} left, the share needs {format_size(growth)} more",
        field="size",
        hint="delete something in that pool, or raise its capacity in the backend's spec",
    )


def _in_role(role: str) -> ColumnElement[bool]:
    """Copies of snapshots that belong to the instance of a role."""
    instances = tables.instances
    mine = and_(instances.c.id == tables.snapshot_instances.c.instance_id, instances.c.role == role)
    return exists().where(mine)


def snapshot_places(connection: Connection, snapshot_ids: Sequence[str]) -> list[ObjectPlace]:
    """Where these snapshots are, beside the active instance; ``id`` is the snapshot's."""
    copies = tables.snapshot_instances
    return _copy_places(connection, copies.c.snapshot_id.in_(snapshot_ids), _in_role("active"))


def copies_on(connection: Connection, instance_id: str) -> Sequence[RowMapping]:
    """The copies of snapshots beside an instance, oldest first; also of snapshots that are gone."""
    copies = tables.snapshot_instances
    statement = select(copies).where(copies.c.instance_id == instance_id).order_by(copies.c.created_at, copies.c.id)
    return connection.execute(statement).mappings().all()


def copy_places(connection: Connection, instance_id: str) -> list[ObjectPlace]:
    """Where the copies of snapshots beside an instance are; ``id`` is the snapshot's, which may be gone."""
    return _copy_places(connection, tables.snapshot_instances.c.instance_id == instance_id)


def _copy_places(connection: Connection, *where: ColumnElement[bool]) -> list[ObjectPlace]:
    copies, pools = tables.snapshot_instances, tables.pools
    statement = (
        select(
            copies.c.snapshot_id.label("id"),
            copies.c.pool_id,
            copies.c.object,
            copies.c.size,
            pools.c.backend,
            pools.c.name.label("pool"),
        )
        .join(pools, pools.c.id == copies.c.pool_id)
        .where(*where)
        .order_by(copies.c.created_at, copies.c.id)
    )
    return [place_of(row) for row in connection.execute(statement).mappings()]


def add_share(connection: Connection, actor: Actor, values: Mapping[str, Any]) -> str:
    """Insert a share in status ``creating``, claimed by the operation at epoch 1. Returns its id."""
    identifier = new_id()
    head = audit.record(connection, actor, "share", identifier, revision=1, previous="", before="", after="creating")
    row = {
        "id": identifier,
        "project": actor.project,
        "live_name": values["name"],
        "status": "creating",
        "claimed_by": actor.operation,
        "epoch": 1,
        "revision": 1,
        "audit_digest": head,
        "created_at": now(),
        "qos_class": "",
        "qos_version": "",
        **values,
    }
    connection.execute(_ADD_SHARE, row)
    return identifier


def add_instance(
    connection: Connection, share_id: str, pool: RowMapping, size: int, *, role: str = "active"
) -> ObjectPlace:
    """Insert an instance in status ``creating``; its bytes are still carried by the operation's reservation."""
    identifier = new_id()
    row = {"id": identifier, "share_id": share_id, "pool_id": pool["id"], "object": f"sf-{identifier}", "size": size}
    made = {"status": "creating", "allocated_bytes": 0, "created_at": now(), "role": role}
    connection.execute(_ADD_INSTANCE, {**row, **made})
    return ObjectPlace(
        id=identifier, backend=pool["backend"], pool=pool["name"], pool_id=pool["id"], object=row["object"], size=size
    )


def add_destination(connection: Connection, operation: str, share_id: str, pool: RowMapping, size: int) -> ObjectPlace:
    """Insert the instance that a share moves to, in status ``creating``, claimed by the operation at epoch 1."""
    place = add_instance(connection, share_id, pool, size, role="destination")
    set_instance(connection, place.id, claimed_by=operation, epoch=1)
    return place


def add_copy(connection: Connection, snapshot: RowMapping, place: ObjectPlace) -> None:
    """Insert a copy of a snapshot beside an instance, in status ``creating``."""
    _add_copy(connection, snapshot["id"], snapshot["size"], place)


def _add_copy(connection: Connection, snapshot_id: str, size: int, place: ObjectPlace) -> str:
    """Returns the name of the copy's object."""
    copy = new_id()
    connection.execute(
        insert(tables.snapshot_instances).values(
            id=copy,
            snapshot_id=snapshot_id,
            instance_id=place.id,
            pool_id=place.pool_id,
            object=f"sf-{copy}",
            status="creating",
            size=size,
            allocated_bytes=0,
            created_at=now(),
        )
    )
    return f"sf-{copy}"


def add_snapshot(connection: Connection, actor: Actor, values: Mapping[str, Any], place: ObjectPlace) -> ObjectPlace:
    """Insert a snapshot and its copy in status ``creating``, claimed by the operation at epoch 1."""
    identifier = new_id()
    head = audit.record(connection, actor, "snapshot", identifier, revision=1, previous="", before="", after="creating")
    connection.execute(
        insert(tables.snapshots).values(
            id=identifier,
            project=actor.project,
            status="creating",
            claimed_by=actor.operation,
            epoch=1,
            revision=1,
            audit_digest=head,
            created_at=now(),
            **values,
        )
    )
    name = _add_copy(connection, identifier, values["size"], place)
    return place.model_copy(update={"id": identifier, "object": name, "size": values["size"]})


def add_export_paths(
    connection: Connection, instance_id: str, protocol: str, paths: Sequence[str], *, readonly: bool = False
) -> None:
    """Give a new instance its export locations; the first one is preferred."""
    fixed = {"instance_id": instance_id, "protocol": protocol, "readonly": readonly, "admin_only": False}
    for index, path in enumerate(paths):
        connection.execute(_ADD_LOCATION, {**fixed, "id": new_id(), "path": path, "preferred": index == 0})


def drop_export_paths(connection: Connection, instance_id: str) -> None:
    """Take the export locations of an instance away. Missing ones are done."""
    connection.execute(_DROP_LOCATIONS, {"instance": instance_id})


def drop_instance(connection: Connection, instance_id: str) -> None:
    """Remove an instance with its export locations and the copies of snapshots beside it.

    Their bytes and floors go back to the pool. A missing one is done.
    """
    instances = tables.instances
    row = connection.execute(select(instances).where(instances.c.id == instance_id)).mappings().first()
    if row is not None:
        drop_copies(connection, [copy["id"] for copy in copies_on(connection, instance_id)])
        reservations.give_back_capacity(connection, row["pool_id"], row["allocated_bytes"], floors_of(row))
        connection.execute(_DROP_LOCATIONS, {"instance": instance_id})
        connection.execute(delete(instances).where(instances.c.id == instance_id))


def drop_copies(connection: Connection, copy_ids: Sequence[str]) -> None:
    """Remove these copies of snapshots and give their bytes back to the pools."""
    copies = tables.snapshot_instances
    for row in connection.execute(select(copies).where(copies.c.id.in_(copy_ids))).mappings().all():
        reservations.give_back_capacity(connection, row["pool_id"], row["allocated_bytes"])
    connection.execute(delete(copies).where(copies.c.id.in_(copy_ids)))


def swap_roles(connection: Connection, source_id: str, destination_id: str) -> None:
    """The destination is the share from now on, the source only what is left of it. Clients find the new one alone."""
    set_instance(connection, source_id, role="retired")
    set_instance(connection, destination_id, role="active", status="available")
    connection.execute(_DROP_LOCATIONS, {"instance": source_id})


def floors_of(row: RowMapping) -> Floors:
    """The floors that the row of an instance or tombstone carries."""
    return Floors(row["iops_floor"], row["throughput_floor"])


def drop_snapshot_copies(connection: Connection, snapshot_id: str) -> None:
    """Remove a snapshot's copies and give their bytes back to the pools.

    Copies beside an instance that a migration fills or empties stay, and those of replicas: whoever keeps these removes
    them from their backend first.
    """
    copies, instances = tables.snapshot_instances, tables.instances
    moving = and_(
        instances.c.id == copies.c.instance_id,
        instances.c.role != "active",
        or_(instances.c.role == "replica", instances.c.claimed_by.is_not(None)),
    )
    mine = select(copies.c.id).where(copies.c.snapshot_id == snapshot_id, ~exists().where(moving))
    drop_copies(connection, connection.execute(mine).scalars().all())


def drop_rules(connection: Connection, share_id: str) -> None:
    """Remove a share's access rules."""
    connection.execute(delete(tables.access_rules).where(tables.access_rules.c.share_id == share_id))


def set_instance(connection: Connection, instance_id: str, **values: Any) -> None:
    """Set columns of an instance of a share that the operation holds."""
    connection.execute(_SET_INSTANCE, {"instance": instance_id, **values})


def resize_instance(connection: Connection, instance_id: str, size: int, growth: int) -> None:
    """Give an instance its new size; what it carries of its pool's sum grows (or shrinks) with it."""
    instances = tables.instances
    connection.execute(
        update(instances)
        .where(instances.c.id == instance_id)
        .values(size=size, allocated_bytes=instances.c.allocated_bytes + growth)
    )


def set_snapshot_copies(connection: Connection, snapshot_id: str, **values: Any) -> None:
    """Set columns of the copy, beside the active instance, of a snapshot that the operation holds."""
    copies = tables.snapshot_instances
    connection.execute(update(copies).where(copies.c.snapshot_id == snapshot_id, _in_role("active")).values(**values))


def set_copies(connection: Connection, instance_id: str, snapshot_ids: Sequence[str], **values: Any) -> None:
    """Set columns of the copies of these snapshots beside an instance."""
    copies = tables.snapshot_instances
    mine = (copies.c.instance_id == instance_id, copies.c.snapshot_id.in_(snapshot_ids))
    connection.execute(update(copies).where(*mine).values(**values))


def set_copies_of(connection: Connection, instance_id: str, **values: Any) -> None:
    """Set columns of all copies of snapshots beside an instance."""
    copies = tables.snapshot_instances
    connection.execute(update(copies).where(copies.c.instance_id == instance_id).values(**values))


def count_snapshots(connection: Connection, share_id: str) -> int:
    """How many snapshots a share has."""
    statement = select(func.count()).select_from(tables.snapshots).where(tables.snapshots.c.share_id == share_id)
    return int(connection.execute(statement).scalar_one())


def pools_picture(connection: Connection) -> Sequence[RowMapping]:
    """All pools that are declared, with the state of their backends: one consistent picture for placement."""
    return connection.execute(_PICTURE).mappings().all()


def shares_per_pool(connection: Connection, project: str, share_type: str) -> dict[str, int]:
    """Pool id -> shares of a type that a project has there, those on their way included; one that moves has two.

    Replicas do not count: where they may be is said by ``apart``.
    """
    shares, instances = tables.shares, tables.instances
    counted = (
        select(instances.c.pool_id, func.count())
        .join(shares, shares.c.id == instances.c.share_id)
        .where(
            shares.c.project == project,
            shares.c.in_view.is_(True),
            shares.c.type == share_type,
            instances.c.role.in_(("active", "destination")),
        )
        .group_by(instances.c.pool_id)
    )
    return {row[0]: row[1] for row in connection.execute(counted)}


def pool_row(connection: Connection, pool_id: str) -> RowMapping:
    """One pool. Raises NotFound."""
    row = connection.execute(select(tables.pools).where(tables.pools.c.id == pool_id)).mappings().first()
    if row is None:
        raise NotFound(f"pool {pool_id} is gone")
    return row
