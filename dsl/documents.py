"""The kinds of documents as strict, frozen models.

A model is the schema of its kind: it refuses unknown keys and converts nothing silently. Sizes are bytes and
durations are seconds once they are read. :mod:`dsl.reading` gives every refusal its place in the file.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Annotated, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationInfo, field_validator

from dsl.capacity import pool_limit
from dsl.fields import (
    DAY,
    Accepted,
    Attribute,
    AttributeName,
    AttributeScalar,
    AttributeValue,
    DriverName,
    Duration,
    Name,
    Percent,
    Project,
    Ratio,
    Refusal,
    Size,
    Text,
)
from dsl.problems import Problem, Source
from dsl.yaml_tree import Node, Path, find, find_key
from shareflow.contracts.units import format_size

API_VERSION = "shareflow/v1"


@dataclass(frozen=True, slots=True)
class Marks:
    """Where a document stands. Two are always equal: a place is no part of what a document says."""

    source: Source | None = field(default=None, compare=False, repr=False)
    node: Node | None = field(default=None, compare=False, repr=False)
    recorded: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)

    def at(self, *path: str | int) -> str:
        """``file:line:column`` of the value at a path, or of the nearest above it; empty when it is not known."""
        if self.source is not None and self.node is not None:
            return self.source.at(find(self.node, path).span)
        steps = [str(step) for step in path]
        above = (".".join(steps[:length]) for length in range(len(steps), -1, -1))
        return next((self.recorded[name] for name in above if name in self.recorded), "")


class SpecModel(BaseModel):
    """Base of everything in a document: frozen, strict, no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Document(SpecModel):
    """Base of the kinds."""

    kind: ClassVar[str]
    _marks: Marks = PrivateAttr(default_factory=Marks)

    @property
    def key(self) -> str:
        """What is unique among the documents of a kind."""
        raise NotImplementedError

    @property
    def version(self) -> str:
        """Twelve hex digits that change when, and only when, the content changes.

        Order, comments and place are no content. Values that equal their default are left out, so that a new key in
        the language changes no version.
        """
        return digest_of(self.canonical())[:12]

    def canonical(self) -> dict[str, object]:
        """The content as JSON values, without what equals its default."""
        content: dict[str, object] = self.model_dump(mode="json", exclude_defaults=True)
        return {"kind": self.kind, **content}

    def record(self) -> dict[str, object]:
        """The content with the places of its values, as JSON values; :meth:`from_record` reads it again."""
        content = self.canonical()
        places = {"": self.at()}
        for key, value in content.items():
            places[key] = self.at(key)
            if isinstance(value, dict):
                places.update({f"{key}.{name}": self.at(key, name) for name in value})
        return {**content, "places": {name: place for name, place in places.items() if place}}

    @classmethod
    def from_record(cls, record: Mapping[str, object]) -> Self:
        """The document of :meth:`record`, or of :meth:`canonical`, then without places.

        Raises:
            pydantic.ValidationError: the record is not one of this kind.
        """
        content = {key: value for key, value in record.items() if key not in ("kind", "places")}
        places = record.get("places")
        document = cls.model_validate_json(json.dumps(content))
        return document.placed(Marks(recorded=dict(places) if isinstance(places, Mapping) else {}))

    def at(self, *path: str | int) -> str:
        """``file:line:column`` of a value of this document; empty when it is not known."""
        return self._marks.at(*path)

    def problem(
        self,
        path: Path,
        code: str,
        message: str,
        *,
        hint: str,
        note: str = "",
        severity: Literal["error", "warning"] = "error",
        at_key: bool = False,
    ) -> Problem:
        """A problem at a value of this document, or at the key before it."""
        marks = self._marks
        if marks.source is None or marks.node is None:
            return Problem(code, message, hint=hint, note=note, severity=severity)
        span = find_key(marks.node, path) if at_key else find(marks.node, path).span
        return marks.source.problem(code, message, span, hint=hint, note=note, severity=severity)

    def placed(self, marks: Marks) -> Self:
        """The same document, knowing where it stands. Called once, by the reader of the file."""
        self._marks = marks
        return self


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
    """

    allowed: bool = True


class ShareTypeSpec(Document):
    """A named class of service.

    Attributes:
        protocol: what the share's export locations speak; a pool must offer it.
        require: attribute -> accepted values. A pool must report every attribute, with one of the values.
        limits: sizes allowed.
        retention: seconds that a deleted share waits for its purge.
        snapshots: what shares may do with snapshots.
        zones: zones in which shares may be placed; None means any.
    """

    kind = "ShareType"

    name: Name
    description: Text = ""
    protocol: Name = "path"
    require: Annotated[Mapping[AttributeName, Accepted], Field(max_length=64)] = Field(default_factory=dict)
    limits: SizeLimits = SizeLimits()
    retention: Duration = 7 * DAY
    snapshots: SnapshotRules = SnapshotRules()
    zones: Annotated[tuple[Name, ...], Field(strict=False, min_length=1)] | None = None

    @property
    def key(self) -> str:
        """The name."""
        return self.name

    def canonical(self) -> dict[str, object]:
        """As for every document; lists that are sets are sorted."""
        content = super().canonical()
        if self.require:
            content["require"] = {name: sorted(accepted, key=repr) for name, accepted in self.require.items()}
        if self.zones:
            content["zones"] = sorted(self.zones)
        return content

    def size_refusal(self, size: int) -> str | None:
        """Why the type does not allow a share of ``size`` bytes, or None when it does."""
        if size < self.limits.min_size:
            return f"type {self.name} allows no share below {format_size(self.limits.min_size)}"
        if self.limits.max_size is not None and size > self.limits.max_size:
            return f"type {self.name} allows no share above {format_size(self.limits.max_size)}"
        return None


class PoolSpec(SpecModel):
    """A place with capacity inside a backend.

    Attributes:
        zone: failure domain, None when it is in none.
        options: passed to the driver as they are (secrets as references).
        attributes: what share types can require, beside what the driver itself reports.
        over_subscription: how many times its capacity may be handed out; above 1 only for thin pools.
        reserved_percent: part of what may be handed out that new shares do not get.
        thin: a share takes space only as it is written.
    """

    name: Name
    zone: Name | None = None
    options: Mapping[str, object] = Field(default_factory=dict)
    attributes: Annotated[Mapping[AttributeName, Attribute], Field(max_length=256)] = Field(default_factory=dict)
    thin: bool = True
    over_subscription: Ratio = Fraction(1)
    reserved_percent: Percent = Fraction(0)

    @field_validator("over_subscription")
    @classmethod
    def _thin_only(cls, value: Fraction, info: ValidationInfo) -> Fraction:
        if value > 1 and not info.data.get("thin", True):
            raise Refusal("a pool that is not thin cannot be over-subscribed", "write 1 here, or `thin: true`")
        return value

    def limit(self, total: int | None) -> int | None:
        """Bytes that may be handed out of a pool that holds ``total``; None when it has no limit."""
        return pool_limit(total, self.over_subscription, self.reserved_percent)


class BackendSpec(Document):
    """A storage system that one driver reaches.

    Attributes:
        driver: name of the driver.
        options: passed to the driver as they are (secrets as references).
        slots: driver calls that may run at once.
        pools: at least one place where shares can be.
    """

    kind = "Backend"

    name: Name
    driver: DriverName
    description: Text = ""
    options: Mapping[str, object] = Field(default_factory=dict)
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


SpecDocument = ShareTypeSpec | BackendSpec | QuotaSpec
KINDS: dict[str, type[ShareTypeSpec | BackendSpec | QuotaSpec]] = {
    "ShareType": ShareTypeSpec,
    "Backend": BackendSpec,
    "Quota": QuotaSpec,
}

NO_LIMITS = QuotaLimits()


def digest_of(content: object) -> str:
    """SHA-256 of a JSON value, as hex digits, whatever the order of its keys."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


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
    "Document",
    "Marks",
    "PoolSpec",
    "QuotaLimits",
    "QuotaSpec",
    "ShareTypeSpec",
    "SizeLimits",
    "SnapshotRules",
    "SpecDocument",
    "digest_of",
    "secret_reference",
]
