"""What a changed document means for what is there: sentences for a plan, from counts that come as plain values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from dsl.capacity import pool_limit
from dsl.documents import BackendSpec, PlacementSpec, PoolSpec, QuotaLimits, SpecDocument
from dsl.spec_set import SpecSet
from shareflow.contracts.units import format_size

MOST_SHOWN = 10
"""So many versions, pools or projects are named in the effects of one document."""

_AT_START = ("driver", "options", "slots")


class PoolUse(NamedTuple):
    """A pool as the inventory counts it; bytes, and floors of all shares together. ``total`` None is not known."""

    shares: int = 0
    allocated: int = 0
    total: int | None = None
    iops: int = 0
    throughput: int = 0


class ProjectUse(NamedTuple):
    """What a project holds."""

    shares: int = 0
    bytes: int = 0
    snapshots: int = 0


@dataclass(frozen=True, slots=True)
class Usage:
    """What the inventory counts, at one moment; shares in the recycle bin count.

    Attributes:
        types, classes: name -> version -> shares.
        pools: ``backend/pool`` -> what is in it.
        projects: project -> what it holds.
    """

    types: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    classes: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    pools: Mapping[str, PoolUse] = field(default_factory=dict)
    projects: Mapping[str, ProjectUse] = field(default_factory=dict)


def _shortened(sentences: Iterable[str]) -> list[str]:
    every = list(sentences)
    more = len(every) - MOST_SHOWN
    return [*every[:MOST_SHOWN], f"{more} more"] if more > 0 else every


def version_effects(
    versions: Mapping[str, int], old: SpecDocument | None, new: SpecDocument | None, made: str
) -> list[str]:
    """Shares keep the version of a type or class that they have."""
    if old is None and not versions:
        return [made]
    kept = [
        f"{shares} shares keep version {version}"
        for version, shares in sorted(versions.items())
        if new is None or version != new.version
    ]
    if new is None:
        return [*_shortened(kept), "nothing new gets it"]
    return [*_shortened(kept), f"new ones get version {new.version}"]


def quota_effects(project: str, new: SpecSet, usage: Usage) -> list[str]:
    """Projects that hold more than their new limits: nothing is taken away, but nothing new is allowed."""
    whose = sorted(usage.projects) if project == "*" else [project]
    sentences: list[str] = []
    for name in whose:
        if project == "*" and name in new.quotas:
            continue  # it has limits of its own
        sentences += _over(name, usage.projects.get(name, ProjectUse()), new.quota_limits(name))
    return _shortened(sentences)


def _over(project: str, use: ProjectUse, limits: QuotaLimits) -> Iterator[str]:
    pairs = (("shares", use.shares, limits.shares), ("snapshots", use.snapshots, limits.snapshots))
    for what, used, limit in pairs:
        if limit is not None and used > limit:
            yield f"{project} has {used} {what} of {limit}: no new ones until it has fewer"
    if limits.bytes is not None and use.bytes > limits.bytes:
        shown = f"{project} uses {format_size(use.bytes)} of {format_size(limits.bytes)}"
        yield f"{shown}: nothing new until it uses less"


def backend_effects(keys: Iterable[str]) -> list[str]:
    """What of a backend its workers read only when they start."""
    late = sorted({key.partition(".")[0] for key in keys} & set(_AT_START))
    return [f"{', '.join(late)}: takes effect when its workers restart with it in their files"] if late else []


def pools_gone(backend: BackendSpec, usage: Usage) -> tuple[list[str], int]:
    """What is on a backend that goes, and how many shares that are."""
    uses = [(pool.name, usage.pools.get(f"{backend.name}/{pool.name}", PoolUse()).shares) for pool in backend.pools]
    sentences = [
        f"pool {name}: {shares} shares are on it; they stay, and cannot grow" for name, shares in sorted(uses) if shares
    ]
    return _shortened(sentences), sum(shares for _, shares in uses)


def pool_effects(keys: Iterable[str], new: PoolSpec, defaults: PlacementSpec, use: PoolUse) -> Iterator[str]:
    """What a pool's changed keys mean for the shares on it."""
    changed = {key.partition(".")[0] for key in keys}
    if changed & {"attributes", "zone"} and use.shares:
        yield f"{use.shares} shares stay on it; only new placements see the change"
    if "options" in changed:
        yield "options: takes effect when its workers restart with it in their files"
    if changed & {"thin", "over_subscription"}:
        yield from _limit(new, defaults, use)
    if "qos" in changed:
        yield from _floors(new, use)


def _limit(pool: PoolSpec, defaults: PlacementSpec, use: PoolUse) -> Iterator[str]:
    if use.total is None:
        return
    terms = pool.terms(defaults)
    limit = pool_limit(use.total, terms.over_subscription if terms.thin else 1)
    if limit is not None:
        over = ": nothing new is placed there" if use.allocated > limit else ""
        yield f"its limit becomes {format_size(limit)}, {format_size(use.allocated)} are handed out{over}"


def _floors(pool: PoolSpec, use: PoolUse) -> Iterator[str]:
    pairs = (("IOPS", use.iops, pool.qos.iops), ("B/s", use.throughput, pool.qos.throughput))
    for unit, promised, budget in pairs:
        if promised > (budget or 0):
            yield f"{promised} {unit} are promised, its budget becomes {budget or 0}: no new floors there"


def placement_effects(current: SpecSet | None, new: SpecSet, usage: Usage) -> list[str]:
    """What the set's defaults mean: for pools that say nothing of their own, a limit of another size."""
    sentences = ["counts for every placement from now on"]
    before = {} if current is None else {f"{backend.name}/{pool.name}": pool for backend, pool in current.pools()}
    for backend, pool in new.pools():
        name = f"{backend.name}/{pool.name}"
        old = before.get(name)
        if old == pool and current is not None and old.terms(current.placement) != pool.terms(new.placement):
            use = usage.pools.get(name, PoolUse())
            sentences += [f"pool {name}: {sentence}" for sentence in _limit(pool, new.placement, use)]
    return _shortened(sentences)
