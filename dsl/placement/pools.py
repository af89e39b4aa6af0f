"""What placement looks at: pools as they are, and the request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from dsl.capacity import UNKNOWN, PoolFigures, Purpose, SpaceRequest
from dsl.documents import PlacementSpec, QosClassSpec, ShareTypeSpec
from dsl.fields import AttributeValue
from dsl.placement.language import NO_LANGUAGE, Language
from dsl.qos import NO_QOS, PoolQos

NO_FIGURES = PoolFigures(UNKNOWN, UNKNOWN)


@dataclass(frozen=True, slots=True)
class PoolView:
    """A pool as placement sees it.

    Attributes:
        id: identity in the inventory; what a decision ranks.
        figures: its capacity; ``provisioned`` counts what is reserved as well.
        attributes: what the driver reports and the spec declares, as they are written.
        values: what rules read: ``attributes`` and what every pool has, see :func:`dsl.attributes.runtime_values`.
        available: False takes no new shares now; ``excluded_reason`` says why.
        protocols: what export locations on this pool can speak.
        qos: what it can enforce and promise.
    """

    id: str
    backend: str
    name: str
    zone: str | None
    figures: PoolFigures = NO_FIGURES
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict)
    values: Mapping[str, object] = field(default_factory=dict)
    available: bool = True
    protocols: tuple[str, ...] = ("path",)
    excluded_reason: str = ""
    qos: PoolQos = NO_QOS

    @property
    def title(self) -> str:
        """``backend/pool``."""
        return f"{self.backend}/{self.name}"

    def domain(self, by: str) -> str | None:
        """The domain that the pool is in when shares are spread by a zone, a backend, a pool or an attribute."""
        if by in ("zone", "backend"):
            found: object = self.zone if by == "zone" else self.backend
        else:
            found = self.title if by == "pool" else self.values.get(by)
        return None if found is None else str(found)


class Neighbour(NamedTuple):
    """A share that the new one is to be near to, or apart from, and where it is."""

    share: str
    pool: str
    backend: str
    zone: str | None

    def domain(self, by: str) -> str | None:
        """Its zone, its backend, or ``backend/pool``."""
        return self.zone if by == "zone" else self.backend if by == "backend" else f"{self.backend}/{self.pool}"


@dataclass(frozen=True, slots=True)
class PlacementRequest:
    """What is to be placed.

    Attributes:
        size: bytes.
        type: the share type, whose rules count.
        zone, backend: only there, when given.
        pool: only this pool, when given: its id, ``backend/name``, or its name.
        exclude: pool id -> why an earlier try on it failed.
        qos: the class that the share gets.
        purpose: which reserve of a pool counts.
        project: who asks; rules can read it.
        affinity, anti_affinity: shares that it is to be near to, or apart from.
        affinity_by: what near means: the same ``pool``, ``backend`` or ``zone``.
    """

    size: int
    type: ShareTypeSpec
    zone: str | None = None
    pool: str | None = None
    backend: str | None = None
    exclude: Mapping[str, str] = field(default_factory=dict)
    qos: QosClassSpec | None = None
    purpose: Purpose = Purpose.CREATE
    project: str = ""
    affinity: tuple[Neighbour, ...] = ()
    anti_affinity: tuple[Neighbour, ...] = ()
    affinity_by: str = "pool"

    @property
    def space(self) -> SpaceRequest:
        """What it asks for in room."""
        return SpaceRequest(self.size, self.purpose)

    def values(self) -> dict[str, object]:
        """What rules read under ``request``."""
        return {
            "size": self.size,
            "zone": self.zone,
            "project": self.project,
            "from_snapshot": self.purpose is Purpose.FROM_SNAPSHOT,
        }

    def to_json(self) -> dict[str, object]:
        """The request as plain values; type and class by name and version. What was not asked for is left out."""
        qos = self.qos
        asked = {
            "purpose": self.purpose.value if self.purpose is not Purpose.CREATE else "",
            "project": self.project,
            "affinity": [near.share for near in self.affinity],
            "anti_affinity": [near.share for near in self.anti_affinity],
            "affinity_by": self.affinity_by if self.affinity or self.anti_affinity else "",
        }
        return {
            "size": self.size,
            "type": self.type.name,
            "type_version": self.type.version,
            "zone": self.zone,
            "pool": self.pool,
            "backend": self.backend,
            **({"qos": qos.name, "qos_version": qos.version} if qos is not None else {}),
            **{key: value for key, value in asked.items() if value},
        }


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a decision depends on beside the request and the pools.

    Attributes:
        language: compiles rules against the attributes that the specs declare.
        defaults: the set's Placement document.
        spread: domain -> shares of the type that the project has there already.
    """

    language: Language = NO_LANGUAGE
    defaults: PlacementSpec | None = None
    spread: Mapping[str, int] = field(default_factory=dict)


NO_SURROUNDINGS = Surroundings()
