"""A pool written down: the figures, attributes and promises of one moment, as a document holds them.

Tests of specs describe pools so, and saved inventories are made of them: a pool can be copied from one to the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, PlainSerializer, PlainValidator, WithJsonSchema

from dsl.attributes import runtime_values
from dsl.capacity import UNKNOWN, PoolFigures
from dsl.capacity import Amount as Figure
from dsl.document import SpecModel
from dsl.documents import PlacementSpec
from dsl.driver_reports import PROTOCOLS, enforced_by
from dsl.expressions import Schema
from dsl.fields import (
    AttributeName,
    AttributeValue,
    DriverName,
    Name,
    Ratio,
    Refusal,
    Size,
    Text,
    number_schema,
    quantity,
    read_size,
    read_value,
)
from dsl.placement import PoolView
from dsl.problems import shown
from dsl.qos import Floors, PoolQos, QosBudget
from dsl.rules import Reserved, ReservedPercent
from shareflow.contracts.qos import KEYS
from shareflow.contracts.units import MAX_BYTES, SIZE_UNITS

_WORDS = ("unknown", "infinite", "unreported")
_NOT_REPORTED = "unreported"
# What a view has in places of its own, beside its attributes.
_APART = ("driver", "protocols", "qos_supported")


def _amount(value: object) -> object:
    return value if isinstance(value, str) and value in _WORDS else read_size(value)


def _seen(value: object) -> AttributeValue:
    return () if isinstance(value, list | tuple) and not value else read_value(value)


def _key(value: object) -> object:
    if value not in KEYS:
        raise Refusal(f"`{shown(value)}` is no key that a driver enforces", f"use {', '.join(KEYS)}")
    return value


_AMOUNT = rf"{quantity(SIZE_UNITS)}|{'|'.join(_WORDS)}"
Amount = Annotated[
    int | Literal["unknown", "infinite", "unreported"],
    PlainValidator(_amount),
    number_schema(
        "integer", 0, MAX_BYTES, _AMOUNT, f"bytes, text with a binary unit, or {', '.join(_WORDS)}", "10 GiB", "unknown"
    ),
]
Attributes = Annotated[
    Mapping[
        AttributeName,
        Annotated[
            AttributeValue,
            PlainValidator(_seen),
            PlainSerializer(lambda value: list(value) if isinstance(value, tuple) else value),
            WithJsonSchema(
                {
                    "description": "True or false, a whole number, text, or a list of texts.",
                    "anyOf": [{"type": kind} for kind in ("boolean", "integer", "string")]
                    + [{"type": "array", "items": {"type": "string"}}],
                }
            ),
        ],
    ],
    Field(max_length=256),
]
Protocols = Annotated[tuple[Name, ...], Field(strict=False, max_length=64)]
QosKeyNames = Annotated[tuple[Annotated[str, BeforeValidator(_key)], ...], Field(strict=False, max_length=len(KEYS))]


class PoolPicture(SpecModel):
    """A pool as it was at one moment.

    Attributes:
        backend, name: unique together.
        zone: its failure domain, None when it is in none.
        driver: the driver of its backend; empty when that plays no part.
        total: bytes that it can hold, or ``unknown``.
        free: bytes that are free; None: all of a thin pool, and of another one what is not provisioned.
        provisioned: bytes handed out: the sizes of all that is there.
        thin: a share takes space only as it is written.
        over_subscription, reserved_percent: as in a pool of a backend; None takes what the Placement document says.
        attributes: what the driver reports and the spec declares.
        protocols: what its export locations speak.
        available: False takes no new shares.
        reason: why it is not available.
        qos: what it can promise in floors, all together.
        promised: floors that it has promised already.
        qos_supported: keys of QoS classes that it enforces; None: what a built-in driver does, and all with another.
        id: identity in the inventory; empty: ``backend/name``.
    """

    backend: Name
    name: Name
    zone: Name | None = None
    driver: DriverName | Literal[""] = ""
    total: Amount = 100 * 2**40
    free: Amount | None = None
    provisioned: Size = 0
    thin: bool = True
    over_subscription: Ratio | None = None
    reserved_percent: ReservedPercent | None = None
    attributes: Attributes = Field(default_factory=dict)
    protocols: Protocols = PROTOCOLS
    available: bool = True
    reason: Text = ""
    qos: QosBudget = QosBudget()
    promised: QosBudget = QosBudget()
    qos_supported: QosKeyNames | None = None
    id: Annotated[str, Field(max_length=255)] = ""

    @property
    def title(self) -> str:
        """``backend/name``."""
        return f"{self.backend}/{self.name}"

    def to_view(self, schema: Schema, defaults: PlacementSpec | None = None) -> PoolView:
        """The pool as placement sees it.

        Args:
            schema: the attributes that rules may name.
            defaults: what counts where the pool says nothing of its own.
        """
        supported = enforced_by(self.driver) if self.qos_supported is None else self.qos_supported
        attributes: dict[str, AttributeValue] = {
            **self.attributes,
            **({"driver": self.driver} if self.driver else {}),
            "protocols": self.protocols,
            "qos_supported": supported,
        }
        view = PoolView(
            self.id or self.title,
            self.backend,
            self.name,
            self.zone,
            self._figures(defaults),
            attributes,
            available=self.available,
            protocols=self.protocols,
            excluded_reason=self.reason,
            qos=PoolQos(supported, self.qos.budget, Floors(self.promised.iops or 0, self.promised.throughput or 0)),
        )
        return readable(view, schema)

    @classmethod
    def of(cls, view: PoolView) -> Self:
        """The picture of a view; :meth:`to_view` makes the view of it again.

        Raises:
            pydantic.ValidationError: the view holds what a document cannot hold, such as an attribute of many lines.
        """
        figures, committed = view.figures, view.qos.committed
        return cls.model_validate(
            {
                "backend": view.backend,
                "name": view.name,
                "zone": view.zone,
                "driver": view.attributes.get("driver", ""),
                "total": _written(figures.total),
                "free": _written(figures.free),
                "provisioned": int(figures.provisioned or 0),
                "thin": figures.is_thin,
                "over_subscription": Fraction(figures.over_subscription),
                "reserved_percent": {
                    "create": Fraction(figures.reserved_percent),
                    "from_snapshot": Fraction(figures.reserved_from_snapshot_percent),
                    "extend": Fraction(figures.reserved_extend_percent),
                },
                "attributes": {name: value for name, value in view.attributes.items() if name not in _APART},
                "protocols": view.protocols,
                "available": view.available,
                "reason": view.excluded_reason,
                "qos": QosBudget(**view.qos.budget._asdict()),
                "promised": {name: floor for name, floor in committed._asdict().items() if floor},
                "qos_supported": [key for key in KEYS if key in view.qos.supported],
                "id": "" if view.id == view.title else view.id,
            }
        )

    def _figures(self, defaults: PlacementSpec | None) -> PoolFigures:
        reserved = self.reserved_percent or (defaults.reserved_percent if defaults is not None else Reserved())
        ratio = self.over_subscription or (
            defaults.over_subscription if defaults is not None and self.thin else Fraction(1)
        )
        return PoolFigures(
            _figure(self.total),
            _figure(self._free()),
            self.provisioned,
            reserved.create,
            reserved.from_snapshot,
            reserved.extend,
            ratio,
            self.thin,
        )

    def _free(self) -> int | str:
        if self.free is not None:
            return self.free
        if self.thin or not isinstance(self.total, int):
            return self.total
        return max(self.total - self.provisioned, 0)


def readable(view: PoolView, schema: Schema) -> PoolView:
    """The view with the values that rules read, taken from itself."""
    figures = view.figures
    own = {
        "name": view.name,
        "backend": view.backend,
        "zone": view.zone,
        "thin": figures.is_thin,
        "protocols": view.protocols,
        "total": _known(figures.total),
        "free": _known(figures.free),
        "provisioned": _known(figures.provisioned),
    }
    return replace(view, values=runtime_values({**view.attributes, **own}, schema))


def _known(figure: Figure) -> int | None:
    return int(figure) if isinstance(figure, int | float | Fraction) else None


def _figure(amount: int | str) -> Figure:
    if isinstance(amount, int):
        return amount
    return UNKNOWN if amount == UNKNOWN else "infinite" if amount == "infinite" else None


def _written(figure: Figure) -> int | str:
    return _NOT_REPORTED if figure is None else figure if isinstance(figure, str) else int(figure)
