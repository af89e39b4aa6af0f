"""The kind of document that users ask for by name: a share type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Discriminator, Field, Tag, ValidationInfo, field_validator

from dsl.document import Document, SpecModel
from dsl.fields import DAY, Duration, Name, Refusal, Size, Text
from dsl.replicas import ReplicaRules
from dsl.rules import Preferences, RequiredAttributes, Rules, Spread
from shareflow.contracts.units import format_size


class SizeLimits(SpecModel):
    """The sizes that shares of a type may have, in bytes.

    Attributes:
        min_size: the smallest.
        max_size: the largest; None means no upper limit.
    """

    min_size: Size = 1
    max_size: Size | None = None

    @field_validator("max_size")
    @classmethod
    def _not_below_minimum(cls, value: int | None, info: ValidationInfo) -> int | None:
        smallest = info.data.get("min_size", 0)
        if value is not None and value < smallest:
            raise Refusal(f"max_size {format_size(value)} is below min_size {format_size(smallest)}", "raise max_size")
        return value


class SnapshotRules(SpecModel):
    """What shares of a type may do with snapshots.

    Attributes:
        allowed: whether there can be any.
        policy: name of the snapshot policy that is meant for shares of the type.
    """

    allowed: bool = True
    policy: Name | None = None

    @field_validator("policy")
    @classmethod
    def _only_with_snapshots(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and info.data.get("allowed") is False:
            raise Refusal("shares without snapshots cannot have a policy for them", "remove `policy`")
        return value


def _require_form(value: Any) -> str:
    return "<attributes>" if isinstance(value, Mapping) else "<rules>"


# The reader of files leaves tags in angle brackets out of the paths of mistakes.
Require = Annotated[
    Annotated[RequiredAttributes, Tag("<attributes>")] | Annotated[Rules, Tag("<rules>")],
    Discriminator(_require_form),
]


class ShareTypeSpec(Document):
    """A named class of service.

    Attributes:
        protocol: what the share's export locations speak; a pool must offer it.
        require: what a pool must be: rules, or attribute -> accepted values. A pool must report every attribute.
        prefer: what makes a pool better among those that fit; None takes what the Placement document says.
        spread: how shares of the type are spread; None takes what the Placement document says.
        limits: sizes allowed.
        retention: seconds that a deleted share waits for its purge.
        snapshots: what shares may do with snapshots.
        replicas: the replicas that shares may have; None means that they have none.
        zones: zones in which shares may be placed; None means any.
        qos: name of the QoS class that new shares get; None means no limits.
    """

    kind = "ShareType"

    name: Name
    description: Text = ""
    protocol: Name = "path"
    require: Require = Field(default_factory=dict)
    prefer: Preferences | None = None
    spread: Spread | None = None
    limits: SizeLimits = SizeLimits()
    retention: Duration = 7 * DAY
    snapshots: SnapshotRules = SnapshotRules()
    replicas: ReplicaRules | None = None
    zones: Annotated[tuple[Name, ...], Field(strict=False, min_length=1)] | None = None
    qos: Name | None = None

    @property
    def key(self) -> str:
        """The name."""
        return self.name

    def canonical(self) -> dict[str, object]:
        """As for every document; lists that are sets are sorted."""
        content = super().canonical()
        if self.require and isinstance(self.require, Mapping):
            content["require"] = {name: sorted(accepted, key=repr) for name, accepted in self.require.items()}
        if self.zones:
            content["zones"] = sorted(self.zones)
        return content

    @property
    def required_attributes(self) -> RequiredAttributes:
        """Attribute -> accepted values, where ``require`` is written so."""
        return self.require if isinstance(self.require, Mapping) else {}

    @property
    def rules(self) -> Rules:
        """The rules, where ``require`` is written as rules."""
        return () if isinstance(self.require, Mapping) else self.require

    def size_refusal(self, size: int) -> str | None:
        """Why the type does not allow a share of ``size`` bytes, or None when it does."""
        if size < self.limits.min_size:
            return f"type {self.name} allows no share below {format_size(self.limits.min_size)}"
        if self.limits.max_size is not None and size > self.limits.max_size:
            return f"type {self.name} allows no share above {format_size(self.limits.max_size)}"
        return None
