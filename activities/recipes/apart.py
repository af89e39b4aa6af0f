"""Where the copies of a replicated share can be: what a pool lacks for one, and which failure domains are taken."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, RowMapping

from activities import placement
from activities.recipes import moving
from activities.recipes.moving import Moved, title
from dsl.documents import ShareTypeSpec
from dsl.replicas import ReplicaRules
from inventory import replicas, resources
from shareflow.contracts.migration import CopyMode
from shareflow.contracts.places import ObjectPlace
from shareflow.errors import InvalidState, NotSupported

READABLE, WRITABLE = "readable", "writable"


def find_replica(connection: Connection, share: RowMapping, reference: str) -> RowMapping:
    """A replica of a share by its id, ``backend/pool``, or the name of its pool.

    Raises NotFound, and InvalidState when the active instance is named.
    """
    place = resources.instance_place(connection, share["id"])
    named = (place.id, f"{place.backend}/{place.pool}")
    there = replicas.of_share(connection, share["id"])
    if reference in named or (reference == place.pool and all(row["pool"] != reference for row in there)):
        raise InvalidState(
            f"{place.backend}/{place.pool} has the active instance of share {share['name']!r}, not a replica",
            field="replica",
            hint="name a replica; what is active now is one after a promotion",
        )
    return replicas.find(connection, share, reference)


def unfit(
    pools: Sequence[RowMapping],
    source: ObjectPlace,
    there: Sequence[RowMapping],
    rules: ReplicaRules,
    snapshots: int,
    *,
    same_domain: bool,
) -> dict[str, str]:
    """Pool id -> why no further replica can be there, room and rules of the type aside."""
    rows = {row["id"]: row for row in pools}
    copies = [source.pool_id, *(row["pool_id"] for row in there)]
    taken = [rows[pool] for pool in copies if pool in rows]
    found: dict[str, str] = {}
    for row in pools:
        reason = obstacle(row, rows.get(source.pool_id), rules, snapshots)
        if row["id"] in copies:
            reason = "a copy of the share is there"
        elif not same_domain and not reason:
            reason = shared_domain(row, taken, rules.apart)
        if reason:
            found[row["id"]] = reason
    return found


def unfit_as_active(
    connection: Connection,
    pools: Sequence[RowMapping],
    there: Sequence[RowMapping],
    rules: ReplicaRules | None,
    snapshots: int,
    *,
    same_domain: bool,
) -> dict[str, str]:
    """Pool id -> why the active instance of a share with these replicas cannot be there."""
    others = [resources.pool_row(connection, row["pool_id"]) for row in there]
    taken = {row["id"] for row in others}
    found: dict[str, str] = {}
    for row in pools:
        reason = "a replica of the share is there; promote it instead" if row["id"] in taken else ""
        for other in others:
            if rules is not None and not reason and (why := obstacle(other, row, rules, snapshots)):
                reason = f"the replica in {title(other)} could not follow: {why}"
        if rules is not None and not same_domain and not reason:
            reason = shared_domain(row, others, rules.apart)
        if reason:
            found[row["id"]] = reason
    return found


def obstacle(pool: RowMapping, source: RowMapping | None, rules: ReplicaRules, snapshots: int) -> str:
    """Why a pool cannot have a replica of what is in another one, room and failure domains aside."""
    way, reason = moving.way_between(CopyMode.AUTO, source, pool) if source is not None else ("", "its pool is retired")
    modes = pool["attributes"].get("access_modes", [])
    needed = "ro" if rules.type == READABLE else "none"
    if rules.type == WRITABLE:
        return "no driver takes writes on two copies of a share"
    if not way:
        return f"the share cannot be copied there; {reason}"
    if needed not in modes:
        return f"its driver has no access mode {needed!r}, which {rules.type} replicas need"
    if rules.type == READABLE and way == "host":
        return f"clients could read there while the mover writes; {reason}"
    if snapshots and not pool["attributes"].get("snapshots"):
        return f"it takes no snapshots, and the share has {snapshots}"
    return ""


def shared_domain(pool: RowMapping, taken: Sequence[RowMapping], apart: str) -> str:
    """Why a pool is in no failure domain of its own beside pools that have copies; empty when it is."""
    if apart == "pool":
        return ""
    mine = pool[apart]
    for row in taken:
        if not mine or not row[apart]:
            return f"it cannot be told whether it is in another {apart} than {title(row)}"
        if row[apart] == mine:
            return f"{title(row)} in the same {apart} {mine!r} has a copy of the share"
    return ""


def check_new_type(connection: Connection, spec: ShareTypeSpec, share: RowMapping, moved: Moved, field: str) -> None:
    """Raise NotSupported when the replicas that a share has are none that another type allows."""
    there, rules = replicas.of_share(connection, share["id"]), spec.replicas
    most = 0 if rules is None else rules.count
    if len(there) > most:
        raise NotSupported(
            f"share {share['name']!r} has {len(there)} replicas, type {spec.name!r} allows {most or 'none'}",
            field=field,
            hint="delete replicas first, or choose another type",
        )
    if rules is None:
        return
    pools = [resources.pool_row(connection, row["pool_id"]) for row in there]
    for row, pool in zip(there, pools, strict=True):
        if row["kind"] != rules.type and (why := obstacle(pool, moved.pool, rules, moved.snapshots)):
            raise NotSupported(
                f"the replica in {title(pool)} cannot be {rules.type}, as type {spec.name!r} asks: {why}",
                field=field,
                hint="delete that replica first, or choose another type",
            )
    if not asks_anew(connection, spec, share):
        return
    for number, pool in enumerate(pools):
        if why := shared_domain(pool, pools[:number], rules.apart):
            raise NotSupported(
                f"type {spec.name!r} keeps copies in different {rules.apart}s; the replica in {title(pool)}: {why}",
                field=field,
                hint="migrate that replica or delete it first, or choose another type",
            )


def asks_anew(connection: Connection, spec: ShareTypeSpec, share: RowMapping) -> bool:
    """Whether a type keeps copies apart in another way than the share's: those there are were not asked for then."""
    row = resources.share_type(connection, share["type"], share["type_version"])
    before, rules = placement.type_spec(row).replicas, spec.replicas
    return rules is not None and (before is None or before.apart != rules.apart)


def not_apart_here(connection: Connection, spec: ShareTypeSpec, share: RowMapping, here: RowMapping) -> str:
    """Why the active instance cannot stay in its pool beside its replicas when it gets a type; empty when it can."""
    if spec.replicas is None or not asks_anew(connection, spec, share):
        return ""
    others = [resources.pool_row(connection, row["pool_id"]) for row in replicas.of_share(connection, share["id"])]
    return shared_domain(here, others, spec.replicas.apart)
