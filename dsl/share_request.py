"""A request for a share written down, and what placement makes of it beside the shares that are there already."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import Annotated, Literal, NamedTuple

from pydantic import Field

from dsl.capacity import Purpose
from dsl.document import SpecModel
from dsl.fields import Name, Project, Size
from dsl.placement import Language, Neighbour, PlacementRequest, PoolView, Surroundings
from dsl.problems import shown, suggest
from dsl.spec_set import SpecSet
from dsl.yaml_tree import Path

ShareName = Annotated[str, Field(min_length=1, max_length=63)]
PoolName = Annotated[str, Field(min_length=1, max_length=255)]
ShareNames = Annotated[tuple[ShareName, ...], Field(strict=False, max_length=16)]


class ShareRequest(SpecModel):
    """What is asked for, as ``CreateShare`` takes it.

    Attributes:
        size: bytes; of a share that grows, the increase.
        type: name of the share type.
        zone, backend: only there.
        pool: only this pool: ``backend/name``, or its name alone.
        project: who asks.
        qos: name of the QoS class; None takes the type's.
        purpose: which reserve of a pool counts.
        affinity, anti_affinity: shares that it is to be near to, or apart from.
        affinity_by: what near means: in the same pool, backend or zone.
    """

    size: Size
    type: Name = "standard"
    zone: Name | None = None
    backend: Name | None = None
    pool: PoolName | None = None
    project: Project = "default"
    qos: Name | None = None
    purpose: Literal["create", "from_snapshot", "extend"] = "create"
    affinity: ShareNames = ()
    anti_affinity: ShareNames = ()
    affinity_by: Literal["pool", "backend", "zone"] = "pool"


class NamedRequest(ShareRequest):
    """A request whose share has a name, so that later ones can be near to it or apart from it.

    Attributes:
        name: of the share; empty when no other request names it.
    """

    name: Annotated[str, Field(max_length=63)] = ""


class Placed(NamedTuple):
    """A share that is there."""

    name: str
    type: str
    project: str
    pool: PoolView


class Missing(NamedTuple):
    """Something that a request names and that is not there: its place in the request, the fact and the next step."""

    path: Path
    message: str
    hint: str


def missing(asked: ShareRequest, specs: SpecSet, shares: Collection[str]) -> Iterator[Missing]:
    """What a request names that neither the set nor the shares of its project have."""
    if asked.type not in specs.share_types:
        yield _missing(("type",), "share type", asked.type, specs.share_types)
    if asked.qos is not None and asked.qos not in specs.qos_classes:
        yield _missing(("qos",), "QoS class", asked.qos, specs.qos_classes)
    for key in ("affinity", "anti_affinity"):
        for index, name in enumerate(getattr(asked, key)):
            if name not in shares:
                yield _missing((key, index), "share", name, shares)


def _missing(path: Path, what: str, name: str, known: Collection[str]) -> Missing:
    known = sorted(set(known))
    near = suggest(name, known)
    listed = ", ".join(known[:8]) + (", ..." if len(known) > 8 else "")
    hint = f"did you mean `{near}`?" if near else f"known are {listed}" if known else f"add a {what} first"
    return Missing(path, f"there is no {what} `{shown(name)}`", hint)


def prepared(
    asked: ShareRequest, specs: SpecSet, language: Language, shares: Sequence[Placed]
) -> tuple[PlacementRequest, Surroundings]:
    """What placement takes for a request of which nothing is missing.

    Args:
        asked: the request.
        specs: whose types, classes and defaults count.
        language: of the attributes that the set declares.
        shares: those that are there; those of its project count for affinity, and of its type as well for the spread.
    """
    share_type = specs.share_types[asked.type]
    shares = [share for share in shares if share.project == asked.project]
    near = {share.name: share.pool for share in shares}
    request = PlacementRequest(
        asked.size,
        share_type,
        asked.zone,
        asked.pool,
        asked.backend,
        qos=specs.qos_classes.get(asked.qos or share_type.qos or ""),
        purpose=Purpose(asked.purpose),
        project=asked.project,
        affinity=_neighbours(asked.affinity, near),
        anti_affinity=_neighbours(asked.anti_affinity, near),
        affinity_by=asked.affinity_by,
    )
    spread, counts = share_type.spread or specs.placement.spread, Counter[str]()
    if spread is not None:
        mine = [share.pool for share in shares if share.type == asked.type]
        counts.update(domain for pool in mine if (domain := pool.domain(spread.by)) is not None)
    return request, Surroundings(language, specs.placement, counts)


def _neighbours(names: Sequence[str], pools: dict[str, PoolView]) -> tuple[Neighbour, ...]:
    return tuple(Neighbour(name, pools[name].name, pools[name].backend, pools[name].zone) for name in names)
