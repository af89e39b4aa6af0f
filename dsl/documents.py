"""The kinds of documents as strict, frozen models.

A model is the schema of its kind: it refuses unknown keys and converts nothing silently. Sizes are bytes and
durations are seconds once they are read. :mod:`dsl.reading` gives every refusal its place in the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Annotated, Literal, NamedTuple

from pydantic import Field, PlainValidator, ValidationInfo, WithJsonSchema, field_validator

from dsl.document import Document, Marks, SpecModel, digest_of
from dsl.expressions import Attribute as DeclaredAttribute
from dsl.expressions import read_attribute
from dsl.fields import (
    Attribute,
    AttributeName,
    AttributeScalar,
    AttributeValue,
    DriverName,
    Duration,
    Name,
    Project,
    Ratio,
    Refusal,
    Size,
    Text,
)
from dsl.qos import QosBudget, QosKeys
from dsl.replicas import ReplicaRules
from dsl.rules import Preferences, Reserved, ReservedPercent, Rules, Spread
from dsl.share_type import ShareTypeSpec, SizeLimits, SnapshotRules

API_VERSION = "shareflow/v1"


class CapacityTerms(NamedTuple):
    """How the capacity of a pool is handed out; see :class:`dsl.capacity.PoolFigures`."""

    thin: bool
    over_subscription: Fraction
    reserved: Reserved


class PoolSpec(SpecModel):
    """A place with capacity inside a backend.

    Attributes:
        zone: failure domain, None when it is in none.
        options: passed to the driver as they are (secrets as references).
        attributes: what share types can require, beside what the driver itself reports.
        thin: a share takes space only as it is written.
        over_subscription: how many times its capacity may be handed out; above 1 only for thin pools.
        reserved_percent: part of its total that requests do not get, in percent; one number, or one per purpose.
        qos: what the pool can promise in floors, all together.
    """

    name: Name
    zone: Name | None = None
    options: Mapping[str, object] = Field(default_factory=dict)
    attributes: Annotated[Mapping[AttributeName, Attribute], Field(max_length=256)] = Field(default_factory=dict)
    thin: bool = True
    over_subscription: Ratio = Fraction(1)
    reserved_percent: ReservedPercent = Reserved()
    qos: QosBudget = QosBudget()

    @field_validator("over_subscription")
    @classmethod
    def _thin_only(cls, value: Fraction, info: ValidationInfo) -> Fraction:
        if value > 1 and not info.data.get("thin", True):
            raise Refusal("a pool that is not thin cannot be over-subscribed", "write 1 here, or `thin: true`")
        return value

    def terms(self, defaults: PlacementSpec | None) -> CapacityTerms:
        """How its capacity is handed out; what the pool does not say is taken from the set's defaults."""
        ratio, reserved, said = self.over_subscription, self.reserved_percent, self.model_fields_set
        if defaults is not None and "over_subscription" not in said and self.thin:
            ratio = defaults.over_subscription
        if defaults is not None and "reserved_percent" not in said:
            reserved = defaults.reserved_percent
        return CapacityTerms(self.thin, ratio, reserved)


def _declaration(value: object) -> object:
    read_attribute("it", value)
    return value


Declaration = Annotated[
    object,
    PlainValidator(_declaration),
    WithJsonSchema(
        {
            "anyOf": [
                {"enum": ["bool", "number", "text", "version", "duration"]},
                {
                    "type": "object",
                    "properties": {
                        "type": {"enum": ["bool", "number", "text", "version", "duration", "enum", "list", "set"]},
                        "unit": {"type": "string"},
                        "values": {"type": "array", "items": {"type": "string"}},
                        "of": {},
                        "description": {"type": "string"},
                    },
                    "required": ["type"],
                    "additionalProperties": False,
                },
            ]
        }
    ),
]


class BackendSpec(Document):
    """A storage system that one driver reaches.

    Attributes:
        driver: name of the driver.
        options: passed to the driver as they are (secrets as references).
        attributes: what attributes of its pools are, name -> declaration; see :func:`dsl.expressions.read_attribute`.
        slots: driver calls that may run at once.
        pools: at least one place where shares can be.
    """

    kind = "Backend"

    name: Name
    driver: DriverName
    description: Text = ""
    options: Mapping[str, object] = Field(default_factory=dict)
    attributes: Annotated[Mapping[AttributeName, Declaration], Field(max_length=256)] = Field(default_factory=dict)
    slots: Annotated[int, Field(ge=1, le=1000)] = 8
    pools: Annotated[tuple[PoolSpec, ...], Field(strict=False, min_length=1, max_length=10_000)]

    @property
    def key(self) -> str:
        """The name."""
        return self.name

    def canonical(self) -> dict[str, object]:
        """As for every document; pools are sorted by name."""
        content = super().canonical()
        pools = {pool.name: pool.model_dump(mode="json", exclude_defaults=True) for pool in self.pools}
        return {**content, "pools": [pools[name] for name in sorted(pools)]}

    def declared(self) -> list[DeclaredAttribute]:
        """The attributes that it declares, with their places."""
        return [
            read_attribute(name, declaration, declared_at=self.at("attributes", name))
            for name, declaration in self.attributes.items()
        ]

    def pool(self, name: str) -> PoolSpec | None:
        """The pool of that name."""
        return next((pool for pool in self.pools if pool.name == name), None)


class QuotaLimits(SpecModel):
    """What a project may hold; None means no limit.

    Attributes:
        shares: number of shares.
        bytes: sum of the sizes of its shares, not of what is written into them.
        snapshots: number of snapshots.
    """

    shares: Annotated[int, Field(ge=0, le=10**9)] | None = None
    bytes: Size | None = None
    snapshots: Annotated[int, Field(ge=0, le=10**9)] | None = None


class QuotaSpec(Document):
    """Limits of one project.

    Attributes:
        project: its name; ``*`` stands for every project without limits of its own.
        limits: what it may hold.
    """

    kind = "Quota"

    project: Project
    limits: QuotaLimits

    @property
    def key(self) -> str:
        """The project."""
        return self.project


class QosClassSpec(QosKeys, Document):
    """Limits and promises of performance under a name; share types refer to it. Its keys are those of QosKeys."""

    kind = "QosClass"

    name: Name
    description: Text = ""

    @field_validator("name")
    @classmethod
    def _a_name_of_its_own(cls, value: str) -> str:
        if value == "none":
            raise Refusal("`none` is what a share without a class has", "choose another name")
        return value

    @property
    def key(self) -> str:
        """The name."""
        return self.name


class SnapshotTurn(SpecModel):
    """One rhythm of a snapshot policy.

    Attributes:
        every: seconds between two snapshots.
        keep: how many of them are kept; older ones go.
    """

    every: Duration
    keep: Annotated[int, Field(ge=1, le=10_000)]

    @field_validator("every")
    @classmethod
    def _not_too_often(cls, value: int) -> int:
        if value < 60:
            raise Refusal("snapshots are at least a minute apart", "write `every: 1 m` or more")
        return value


class SnapshotPolicySpec(Document):
    """When snapshots are taken, and how many are kept; share types refer to it.

    Attributes:
        schedule: the rhythms, each with a count of its own.
    """

    kind = "SnapshotPolicy"

    name: Name
    description: Text = ""
    schedule: Annotated[tuple[SnapshotTurn, ...], Field(strict=False, min_length=1, max_length=16)]

    @property
    def key(self) -> str:
        """The name."""
        return self.name


class PlacementSpec(Document):
    """Defaults of placement for the whole set; there is at most one.

    Attributes:
        require: rules for every type, beside its own.
        prefer, spread: for types that say nothing of their own.
        over_subscription, reserved_percent: for pools that say nothing of their own.
    """

    kind = "Placement"

    description: Text = ""
    require: Rules = ()
    prefer: Preferences = ()
    spread: Spread | None = None
    over_subscription: Ratio = Fraction(1)
    reserved_percent: ReservedPercent = Reserved()

    @property
    def key(self) -> str:
        """Always the same: there is one."""
        return "defaults"


SpecDocument = ShareTypeSpec | BackendSpec | QuotaSpec | QosClassSpec | SnapshotPolicySpec | PlacementSpec
KINDS: dict[str, type[SpecDocument]] = {
    "ShareType": ShareTypeSpec,
    "Backend": BackendSpec,
    "Quota": QuotaSpec,
    "QosClass": QosClassSpec,
    "SnapshotPolicy": SnapshotPolicySpec,
    "Placement": PlacementSpec,
}

NO_LIMITS = QuotaLimits()


def secret_reference(value: object) -> tuple[Literal["env", "file"], str] | None:
    """``("env", NAME)`` or ``("file", PATH)`` when the value is a reference to a secret, else None."""
    if isinstance(value, Mapping) and len(value) == 1:
        for source in ("env", "file"):
            target = value.get(source)
            if isinstance(target, str):
                return ("env", target) if source == "env" else ("file", target)
    return None


__all__ = [
    "API_VERSION",
    "KINDS",
    "NO_LIMITS",
    "AttributeScalar",
    "AttributeValue",
    "BackendSpec",
    "CapacityTerms",
    "Document",
    "Marks",
    "PlacementSpec",
    "PoolSpec",
    "QosClassSpec",
    "QuotaLimits",
    "QuotaSpec",
    "ReplicaRules",
    "ShareTypeSpec",
    "SizeLimits",
    "SnapshotPolicySpec",
    "SnapshotRules",
    "SpecDocument",
    "digest_of",
    "secret_reference",
]
