"""Whether and how a share can move: where to, by which way of copying, and which promises hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import RowMapping

from activities.placement import check_pins
from inventory.database import now
from shareflow.contracts.migration import CopyMode, MigrateShareInput, MigrationOptions
from shareflow.contracts.migration_steps import MigrationPlan, PromiseView
from shareflow.contracts.places import ObjectPlace
from shareflow.contracts.units import format_size
from shareflow.errors import InvalidInput, NoPoolFits, NotFound, NotSupported, ShareflowError

PoolRow = RowMapping | Mapping[str, Any]
"""A pool, or its backend, name and attributes alone."""
USUAL_RATE = 100 * 2**20
"""Bytes per second that the time of a copy is estimated with unless it is limited."""
MOST_SHOWN = 5
_FIELDS = {"backend": "to_backend", "pool": "to_pool", "zone": "to_zone"}
_ABLE = {"snapshots": "take snapshots", "revert": "revert a share to a snapshot", "clone": "clone snapshots"}


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why a share cannot move to a pool: the field of the request that stands in the way, and what to do."""

    field: str
    reason: str
    hint: str


@dataclass(frozen=True, slots=True)
class Moved:
    """A share as it is before it moves.

    Attributes:
        name: of the share.
        place, pool: where it is.
        paths: its export paths.
        snapshots: how many it has.
        used: bytes in use, where a survey has counted them.
    """

    name: str
    place: ObjectPlace
    pool: RowMapping
    paths: Sequence[str]
    snapshots: int
    used: int | None


def title(pool: PoolRow) -> str:
    """``backend/pool``."""
    return f"{pool['backend']}/{pool['name']}"


def check_window(request: MigrationOptions) -> None:
    """Raise InvalidInput when the cutover could never begin."""
    at = now()
    if request.window_until is not None and request.window_until <= at:
        raise InvalidInput(
            f"{request.window_until.isoformat()} is over, it is {at.isoformat(timespec='seconds')}",
            field="window_until",
            hint="give a window that ends later",
        )


def kept_in_place(request: MigrateShareInput) -> list[PromiseView]:
    """Every promise, when nothing moves."""
    why = "the share stays where it is, with its content, snapshots and export paths"
    asked = ("writable", "preserve_metadata", "preserve_snapshots", "nondisruptive")
    return [PromiseView(name=name, asked=getattr(request, name), holds=True, reason=why) for name in asked]


def destinations(request: MigrateShareInput, pools: Sequence[RowMapping], source: RowMapping) -> list[RowMapping]:
    """The pools that the request allows, the share's own left out.

    Raises:
        NotFound: a backend, pool or zone that does not exist.
        InvalidInput: the request names the place where the share is.
    """
    try:
        check_pins(pools, request.to_backend, request.to_pool)
    except NotFound as missing:
        raise NotFound(missing.message, field=_FIELDS[missing.field], hint=missing.hint) from missing
    zones = sorted({row["zone"] for row in pools if row["zone"]})
    if request.to_zone is not None and request.to_zone not in zones:
        raise NotFound(
            f"there is no zone {request.to_zone!r}", field="to_zone", hint=f"zones: {', '.join(zones) or 'none'}"
        )
    allowed = [row for row in pools if _is_allowed(request, row)]
    others = [row for row in allowed if row["id"] != source["id"] and not is_left(request, row)]
    pin = first_pin(request)
    if allowed and not others and pin:
        raise InvalidInput(
            f"the share is in pool {title(source)} already", field=pin, hint="name another place, or none at all"
        )
    return others


def first_pin(request: MigrateShareInput) -> str:
    """The field that says most exactly where to, empty when none does."""
    return next((field for field in ("to_pool", "to_backend", "to_zone") if getattr(request, field) is not None), "")


def is_left(request: MigrateShareInput, row: RowMapping) -> bool:
    """Whether the share is to leave the whole backend of this pool."""
    return request.from_pool is None and request.from_backend == row["backend"]


def _is_allowed(request: MigrateShareInput, row: RowMapping) -> bool:
    return (
        request.to_pool in (None, row["name"], row["id"])
        and request.to_backend in (None, row["backend"])
        and request.to_zone in (None, row["zone"])
    )


def nowhere(request: MigrateShareInput, error: NoPoolFits) -> NoPoolFits:
    """Placement's answer in the words of the request."""
    message, placement = error.message, error.placement or {}
    named = [one for one in placement.get("nearest", []) if request.to_pool in (one["name"], one["pool"])]
    if named:  # why others do not fit is of no interest then
        asked = placement["request"]
        reasons = "; ".join(f"{one['backend']}/{one['name']}: {one['reason']}" for one in named)
        message = f"{format_size(asked['size'])} of type {asked['type']!r} in the pool that was named: {reasons}"
    found = NoPoolFits(message, field=first_pin(request) or "share", hint=error.hint)
    found.placement = error.placement
    return found


def way_between(asked: CopyMode, source: PoolRow, pool: PoolRow) -> tuple[str, str]:
    """The way of copying between two pools and why it is that one; without a way ``""`` and why there is none."""
    driver, host = _no_driver(source, pool), _no_host(source, pool)
    if asked is CopyMode.DRIVER:
        return ("driver", "asked for") if not driver else ("", f"driver: {driver}")
    if asked is CopyMode.HOST:
        return ("host", "asked for") if not host else ("", f"host: {host}")
    if not driver:
        return "driver", f"both pools exchange snapshots as {source['attributes']['transfer']}"
    if not host:
        return "host", f"through the mover's host, since {driver}"
    return "", f"driver: {driver}; host: {host}"


def _no_driver(source: PoolRow, pool: PoolRow) -> str:
    mine, other = (row["attributes"].get("transfer") or "" for row in (source, pool))
    for row, format_ in ((source, mine), (pool, other)):
        if not format_:
            return f"{title(row)} exchanges no snapshots with other pools"
    if mine != other:
        return f"{title(source)} sends snapshots as {mine}, {title(pool)} receives {other}"
    for row in (source, pool):
        for key, words in _ABLE.items():
            if not row["attributes"].get(key):
                return f"{title(row)} cannot {words}"
    return ""


def _no_host(source: PoolRow, pool: PoolRow) -> str:
    for row in (source, pool):
        if not row["attributes"].get("host_access"):
            return f"{title(row)} cannot be reached on a host"
    return ""


def obstacle(request: MigrateShareInput, moved: Moved, pool: RowMapping) -> Obstacle | None:
    """What keeps the share from moving to a pool, room and rules of its type aside."""
    mode, reason = way_between(request.mode, moved.pool, pool)
    if not mode:
        return Obstacle("mode", f"cannot be copied there; {reason}", "choose another destination or mode")
    kept = request.preserve_snapshots or moved.snapshots > 0
    if kept and not pool["attributes"].get("snapshots"):
        what = "preserve_snapshots is asked for" if request.preserve_snapshots else _has(moved)
        hint = "choose another destination, or delete the snapshots and do not ask to preserve them"
        return Obstacle("preserve_snapshots", f"{title(pool)} takes no snapshots, and {what}", hint)
    if mode == "host" and moved.snapshots > 0 and not request.preserve_snapshots:
        why = f"{_has(moved)}, and through the mover's host they travel only when that is asked for"
        return Obstacle("preserve_snapshots", why, "ask for preserve_snapshots: true, or delete them")
    return None


def _has(moved: Moved) -> str:
    return f"share {moved.name!r} has {moved.snapshots} snapshot{'s' if moved.snapshots != 1 else ''}"


def check_reachable(pools: Sequence[RowMapping], found: Mapping[str, Obstacle]) -> None:
    """Raise NotSupported when something keeps the share from every pool that the request allows."""
    if not pools or any(row["id"] not in found for row in pools):
        return
    first = found[pools[0]["id"]]
    lines = [f"{title(row)}: {found[row['id']].reason}" for row in pools[:MOST_SHOWN]]
    more = f"; and {len(pools) - MOST_SHOWN} more pools" if len(pools) > MOST_SHOWN else ""
    raise NotSupported("; ".join(lines) + more, field=first.field, hint=first.hint)


def fence_mode(moved: Moved) -> str:
    """The access mode that stops writers on the source. Raises NotSupported when none does."""
    modes: Sequence[Any] = moved.pool["attributes"].get("access_modes", ())
    for mode in ("ro", "none"):
        if mode in modes:
            return mode
    raise NotSupported(
        f"writers cannot be stopped on {title(moved.pool)}: its driver can neither make a share read-only nor cut "
        "clients off",
        field="share",
        hint="copy the share by hand while nobody uses it",
    )


def promises(request: MigrateShareInput, moved: Moved, pool: RowMapping, mode: str) -> list[PromiseView]:
    """Every promise, whether it holds between these two pools, and why."""
    takes = bool(pool["attributes"].get("snapshots"))
    travel = "snapshots travel as they are" if mode == "driver" else "snapshots are copied one by one, oldest first"
    content = (
        "the backends send the share as it is" if mode == "driver" else "owner, mode, times, ACLs and xattrs go too"
    )
    shown = ", ".join(moved.paths[:MOST_SHOWN]) or "those there are"
    return [
        PromiseView(
            name="writable",
            asked=request.writable,
            holds=True,
            reason="clients write to the source until the cutover, and to the destination right after it",
        ),
        PromiseView(name="preserve_metadata", asked=request.preserve_metadata, holds=True, reason=content),
        PromiseView(
            name="preserve_snapshots",
            asked=request.preserve_snapshots,
            holds=takes,
            reason=travel if takes else f"{title(pool)} takes no snapshots",
        ),
        PromiseView(
            name="nondisruptive",
            asked=request.nondisruptive,
            holds=False,
            reason=f"export paths change with the pool, clients have to mount again: {shown}",
        ),
    ]


def check_promises(found: Sequence[PromiseView]) -> None:
    """Raise NotSupported, one line per promise that was asked for and does not hold."""
    broken = [promise for promise in found if promise.asked and not promise.holds]
    if broken:
        lines = "\n".join(f"{promise.name} cannot be promised: {promise.reason}" for promise in broken)
        raise NotSupported(lines, field=broken[0].name, hint="ask without it, or choose another destination")


def plan_of(
    request: MigrateShareInput, moved: Moved, pool: RowMapping, way: tuple[str, str], decision: str
) -> MigrationPlan:
    """What would be done. Raises NotSupported for a promise that does not hold."""
    found = promises(request, moved, pool, way[0])
    check_promises(found)
    rate = request.bandwidth or USUAL_RATE
    return MigrationPlan(
        source=title(moved.pool),
        destination=title(pool),
        mode=way[0],
        mode_reason=way[1],
        bytes=moved.used,
        snapshots=moved.snapshots,
        seconds=None if moved.used is None else -(-moved.used // rate),
        promises=found,
        placement=decision,
    )


def renamed(error: ShareflowError, field: str) -> ShareflowError:
    """The same error, said of another field."""
    return type(error)(error.message, field=field, hint=error.hint)
