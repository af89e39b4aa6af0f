"""What a share type says about replicas: their type, how many, how far apart, and the loss that is tolerated."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from dsl.document import SpecModel
from dsl.fields import Duration, Refusal
from shareflow.contracts.units import format_duration

MINUTE = 60

ReplicaType = Literal["readable", "dr", "writable"]
FailureDomain = Literal["pool", "backend", "zone"]


class ReplicaRules(SpecModel):
    """The replicas that shares of a type may have.

    Attributes:
        type: ``readable`` is exported read-only, ``dr`` is not exported until it is promoted, ``writable`` takes writes
            of its own where a driver can.
        count: the most replicas beside the active copy.
        apart: the failure domain that no two copies of a share have in common, unless a request says otherwise.
        interval: seconds between two rounds of sync, at least 1.
        loss: the loss in seconds that is tolerated, not below the interval; a replica that is older is out of sync.
        priority: whose turn it is when a backend fails over, from 1 (first) to 9.
    """

    type: ReplicaType = "dr"
    count: Annotated[int, Field(ge=1, le=8)] = 1
    apart: FailureDomain = "backend"
    interval: Duration = 5 * MINUTE
    loss: Annotated[Duration, Field(validate_default=True)] = 15 * MINUTE
    priority: Annotated[int, Field(ge=1, le=9)] = 5

    @field_validator("interval")
    @classmethod
    def _not_without_a_pause(cls, value: int) -> int:
        if value < 1:
            raise Refusal("rounds of sync are at least a second apart", "write `interval: 1 s` or more")
        return value

    @field_validator("loss")
    @classmethod
    def _not_below_interval(cls, value: int, info: ValidationInfo) -> int:
        interval = info.data.get("interval", 0)
        if value < interval:
            fact = f"a loss of {format_duration(value)} is below the interval of {format_duration(interval)}"
            raise Refusal(fact, "write a `loss` of at least the interval, or a shorter `interval`")
        return value
