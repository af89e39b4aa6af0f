"""What only the whole set can tell about replicas: whether any pool can hold them, and whether copies can be apart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple, get_args

from dsl.documents import BackendSpec, PoolSpec, ShareTypeSpec
from dsl.driver_reports import PROTOCOLS, reported
from dsl.problems import Problem
from dsl.replicas import FailureDomain, ReplicaRules, ReplicaType
from dsl.rule_check import StaticRules

MODE_OF: Mapping[ReplicaType, str] = MappingProxyType({"readable": "ro", "dr": "none"})
"""How clients must be held off a replica of a type. None of the built-in drivers holds writable ones."""

_MAX_SHOWN = 3


class _Place(NamedTuple):
    """A pool with its backend."""

    backend: BackendSpec
    pool: PoolSpec

    @property
    def title(self) -> str:
        return f"{self.backend.name}/{self.pool.name}"

    def domain(self, by: FailureDomain) -> str | None:
        """None where a zone is asked for and the pool is in none, so that it cannot be shown to be apart."""
        return self.title if by == "pool" else self.backend.name if by == "backend" else self.pool.zone

    def can_hold(self, kind: ReplicaType) -> bool:
        """Whether its driver may hold replicas of a type; of an unknown driver nothing is known, so it may."""
        modes = reported(self.backend.driver).get("access_modes")
        return not isinstance(modes, tuple) or MODE_OF.get(kind) in modes


def check_replicas(share_type: ShareTypeSpec, backends: Sequence[BackendSpec], rules: StaticRules) -> Iterator[Problem]:
    """Warnings for replicas that could never be made.

    Only what is certain counts against a pool: what it declares, and what its driver reports where that is a built-in
    one.
    """
    wanted = share_type.replicas
    if wanted is None:
        return
    places = [_Place(backend, pool) for backend in backends for pool in backend.pools]
    obstacles = {place.title: _obstacle(share_type, place, rules) for place in places}
    fitting = [place for place in places if obstacles[place.title] is None]
    if fitting and not any(place.can_hold(wanted.type) for place in fitting):
        yield _unheld(share_type, wanted, fitting)
    if len(_domains(fitting, wanted.apart)) < 2:
        yield _together(share_type, wanted, fitting, obstacles)


def _obstacle(share_type: ShareTypeSpec, place: _Place, rules: StaticRules) -> str | None:
    """Why no copy of the type's shares can ever be in a pool, None when one may."""
    said = reported(place.backend.driver)
    if said and share_type.protocol not in PROTOCOLS:
        return f"it does not speak {share_type.protocol}"
    with_report = place.pool.model_copy(update={"attributes": {**place.pool.attributes, **said}})
    return rules.obstacle(share_type, place.backend, with_report)


def _domains(places: Sequence[_Place], by: FailureDomain) -> set[str]:
    return {domain for place in places if (domain := place.domain(by)) is not None}


def _unheld(share_type: ShareTypeSpec, wanted: ReplicaRules, fitting: Sequence[_Place]) -> Problem:
    drivers = {place.backend.name: place.backend.driver for place in fitting}
    lacks = f"lacks access mode {MODE_OF[wanted.type]}" if wanted.type in MODE_OF else "holds none"
    other = next((kind for kind in MODE_OF if any(place.can_hold(kind) for place in fitting)), None)
    able = "use a backend whose driver can"
    return share_type.problem(
        ("replicas", "type"),
        "S240",
        f"no pool can hold {wanted.type} replicas of `{share_type.name}`",
        hint=able if other is None else f"write `type: {other}`, or {able}",
        note=_listed([f"{name} ({driver}) {lacks}" for name, driver in drivers.items()]),
        severity="warning",
    )


def _together(
    share_type: ShareTypeSpec, wanted: ReplicaRules, fitting: Sequence[_Place], obstacles: Mapping[str, str | None]
) -> Problem:
    apart = wanted.apart
    nearer: Sequence[FailureDomain] = get_args(FailureDomain)
    other = next((by for by in reversed(nearer) if len(_domains(fitting, by)) > 1), None)
    more = f"let {'a second pool' if apart == 'pool' else f'a pool in a second {apart}'} satisfy the type"
    facts = [_where(place, apart) for place in fitting]
    facts += [f"{title} does not fit: {reason}" for title, reason in obstacles.items() if reason is not None]
    return share_type.problem(
        ("replicas", "apart"),
        "S241",
        f"`{share_type.name}` has no second {apart} for replicas",
        hint=more if other is None else f"{more}, or write `apart: {other}`",
        note=_listed(facts),
        severity="warning",
    )


def _where(place: _Place, by: FailureDomain) -> str:
    if by != "zone":
        return f"{place.title} fits"
    return f"{place.title} fits, in {f'zone {place.pool.zone}' if place.pool.zone else 'no zone'}"


def _listed(facts: Sequence[str]) -> str:
    more = len(facts) - _MAX_SHOWN
    return "; ".join(facts[:_MAX_SHOWN]) + (f"; {more} more" if more > 0 else "")
