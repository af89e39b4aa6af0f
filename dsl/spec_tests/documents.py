"""Tests of specs as documents: a request, the pools that are there, and what placement is expected to make of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Discriminator, Field, PlainValidator, Tag, WithJsonSchema, model_validator

from dsl.document import Document, SpecModel
from dsl.fields import Name, Project, Refusal, Size, Text
from dsl.pool_picture import Amount, Attributes, PoolPicture, Protocols, QosKeyNames
from dsl.qos import QosBudget
from dsl.share_request import PoolName, ShareName, ShareRequest

EVERY_POOL = "*"


class PoolChange(SpecModel):
    """What is otherwise with a pool of the set, or with every pool; what is left out stays.

    Attributes:
        total: bytes that it can hold, or ``unknown``.
        free: bytes that are free.
        provisioned: bytes handed out.
        attributes: come on top of those that the set declares and the driver reports.
        protocols: what its export locations speak.
        available: False takes no new shares.
        reason: why it is not available.
        promised: floors that it has promised already.
        qos_supported: keys of QoS classes that it enforces.
    """

    total: Amount | None = None
    free: Amount | None = None
    provisioned: Size | None = None
    attributes: Attributes = Field(default_factory=dict)
    protocols: Protocols | None = None
    available: bool | None = None
    reason: Text | None = None
    promised: QosBudget | None = None
    qos_supported: QosKeyNames | None = None


class PlacedShare(SpecModel):
    """A share that is there before the request.

    Attributes:
        name: how the request calls it.
        pool: where it is.
        type, project: None is those of the request.
    """

    name: ShareName
    pool: PoolName
    type: Name | None = None
    project: Project | None = None


def _reason(value: object) -> str:
    """A part of a reason; empty for any."""
    if value is True:
        return ""
    if isinstance(value, str) and value.strip():
        return value
    raise Refusal("a reason is a part of its text, or true for any", "write words of it, like `lacks`")


Reason = Annotated[
    str,
    PlainValidator(_reason),
    WithJsonSchema({"anyOf": [{"type": "string", "minLength": 1}, {"const": True}], "examples": ["lacks"]}),
]
Pools = Annotated[tuple[PoolName, ...], Field(strict=False, min_length=1, max_length=10_000)]


class Expectation(SpecModel):
    """What a decision must be; all of it must hold.

    Attributes:
        pool: this pool is the best.
        none: no pool fits; the text is a part of the explanation, or of a rule that failed or its reason.
        order: exactly these pools fit, best first.
        fits: exactly these pools fit, in any order.
        rejects: these pools do not fit; pool -> a part of a rule that failed there, of its reason, or of its kind.
    """

    pool: PoolName | None = None
    none: Reason | None = None
    order: Pools | None = None
    fits: Pools | None = None
    rejects: Annotated[Mapping[PoolName, Reason], Field(min_length=1, max_length=10_000)] | None = None

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        said = [key for key in ("pool", "none", "order", "fits", "rejects") if getattr(self, key) is not None]
        if not said:
            raise Refusal("the test expects nothing", "write `expect: {pool: local/rack1}`", "nothing is said", "S260")
        if self.none is not None and {"pool", "order", "fits"} & set(said):
            other = next(key for key in said if key not in ("none", "rejects"))
            message = f"`none` and `{other}` contradict each other"
            raise Refusal(message, "keep one of them", "some pool, and none", "S260")
        return self


def _form(value: object) -> str:
    return "<changes>" if isinstance(value, Mapping) else "<list>" if isinstance(value, list | tuple) else "<word>"


def _one_of_the_forms(value: object) -> object:
    if isinstance(value, Mapping | list | tuple) or value == "specs":
        return value
    message = "`pools` is the word `specs`, a mapping of changes, or a list of pools"
    raise Refusal(message, "write `pools: specs` for those that the set declares")


PoolsOfTest = Annotated[
    Annotated[Literal["specs"], Tag("<word>")]
    | Annotated[Annotated[Mapping[PoolName, PoolChange], Field(min_length=1, max_length=10_000)], Tag("<changes>")]
    | Annotated[
        Annotated[tuple[PoolPicture, ...], Field(strict=False, min_length=1, max_length=10_000)], Tag("<list>")
    ],
    Discriminator(_form),
    BeforeValidator(_one_of_the_forms),
]


class PlacementTestSpec(Document):
    """One test of a set of specs.

    Attributes:
        name: unique among the tests.
        request: what is asked for.
        pools: ``specs``: those that the set declares; pool -> changes: the same, but for these; a list: only these.
        shares: those that are there before; for spread and affinity.
        expect: what must come of it.
    """

    kind = "PlacementTest"

    name: Annotated[str, Field(min_length=1, max_length=120)]
    description: Text = ""
    request: ShareRequest
    pools: PoolsOfTest = "specs"
    shares: Annotated[tuple[PlacedShare, ...], Field(strict=False, max_length=10_000)] = ()
    expect: Expectation

    @property
    def key(self) -> str:
        """The name."""
        return self.name
