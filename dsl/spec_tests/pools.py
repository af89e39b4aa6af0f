"""The pools of a test: those of the set as they are by default or changed, or those that the test lists."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from dsl.documents import BackendSpec, PlacementSpec, PoolSpec
from dsl.driver_reports import REPORTS
from dsl.pool_picture import PoolPicture
from dsl.spec_set import SpecSet
from dsl.spec_tests.documents import EVERY_POOL, PlacementTestSpec, PoolChange


def pools_of(test: PlacementTestSpec, specs: SpecSet) -> list[PoolPicture]:
    """Every pool that the test has."""
    if isinstance(test.pools, tuple):
        return list(test.pools)
    pools = list(specs.pools())
    titles = [f"{backend.name}/{pool.name}" for backend, pool in pools]
    changes = test.pools if isinstance(test.pools, Mapping) else {}
    own = {resolve(name, titles): change for name, change in changes.items() if name != EVERY_POOL}
    every = changes.get(EVERY_POOL)
    return [
        _changed(_declared(backend, pool, specs.placement), [one for one in (every, own.get(title)) if one is not None])
        for (backend, pool), title in zip(pools, titles, strict=True)
    ]


def resolve(name: str, titles: Collection[str]) -> str | None:
    """The ``backend/pool`` that a name means: itself, or the only pool of that name."""
    if name in titles:
        return name
    found = {title for title in titles if title.partition("/")[2] == name}
    return found.pop() if len(found) == 1 else None


def _declared(backend: BackendSpec, pool: PoolSpec, defaults: PlacementSpec) -> PoolPicture:
    """A pool of the set when all of it is free."""
    terms = pool.terms(defaults)
    return PoolPicture(
        backend=backend.name,
        name=pool.name,
        zone=pool.zone,
        driver=backend.driver,
        thin=terms.thin,
        over_subscription=terms.over_subscription,
        reserved_percent=terms.reserved,
        attributes={**REPORTS.get(backend.driver, {}), **pool.attributes},
        qos=pool.qos,
    )


def _changed(pool: PoolPicture, changes: Sequence[PoolChange]) -> PoolPicture:
    update: dict[str, object] = {}
    for change in changes:
        update |= {name: getattr(change, name) for name in change.model_fields_set}
        update["attributes"] = {**pool.attributes, **update.get("attributes", {}), **change.attributes}  # type: ignore[dict-item]
    return pool.model_copy(update={name: value for name, value in update.items() if value is not None})
