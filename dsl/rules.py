"""Rules in documents: what a pool must be, what is preferred, how shares are spread, what is kept back.

Their expressions are texts here. :mod:`dsl.set_check` checks them against the attributes that the set declares, and
:mod:`dsl.placement` compiles them.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator

from dsl.document import SpecModel
from dsl.fields import Accepted, AttributeName, Percent, Refusal, Text, percent

MAX_RULES = 64

Expression = Annotated[
    str, Field(min_length=1, max_length=4096, examples=['pool.media == "ssd" and pool.latency <= 2 ms'])
]


class Rule(SpecModel):
    """One thing that a pool must be.

    Attributes:
        rule: an expression that is true or false.
        enforce: ``advise`` only records the verdict, so that a new rule can be watched before it bites.
        message: said beside the verdict, in the words of who wrote the rule.
    """

    rule: Expression
    enforce: Literal["enforce", "advise"] = "enforce"
    message: Text = ""


class Preference(SpecModel):
    """One thing that makes a pool better or worse among those that fit.

    Attributes:
        when: an expression that is true or false; a pool where it holds gets the whole weight.
        score: an expression that is a number; the pool with most of it gets the whole weight, the one with least none.
        weight: -100 to 100, not 0.
    """

    when: Expression | None = None
    score: Expression | None = None
    weight: Annotated[int, Field(ge=-100, le=100)]

    @field_validator("score")
    @classmethod
    def _one_of_two(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and info.data.get("when") is not None:
            raise Refusal("a preference has `when` or `score`, not both", "write two preferences")
        return value

    @field_validator("weight")
    @classmethod
    def _says_something(cls, value: int, info: ValidationInfo) -> int:
        if value == 0:
            raise Refusal("a weight of 0 changes nothing", "write a weight from -100 to 100, or remove the preference")
        if {"when", "score"} <= info.data.keys() and not (info.data["when"] or info.data["score"]):
            raise Refusal("a preference needs `when` or `score`", 'add `when: pool.media == "ssd"`')
        return value


class Spread(SpecModel):
    """How the shares of a type, in one project, are spread.

    Attributes:
        by: ``zone``, ``backend``, ``pool``, or an attribute of pools; equal values are one domain.
        max_skew: how many shares more than the emptiest domain that could take the share any domain may have.
        enforce: ``advise`` only records the verdict.
    """

    by: AttributeName = "zone"
    max_skew: Annotated[int, Field(ge=1, le=1000)] = 1
    enforce: Literal["enforce", "advise"] = "enforce"


class Reserved(SpecModel):
    """Parts of a pool's total, in percent, that a request does not get; one for each purpose."""

    create: Percent = Fraction(0)
    from_snapshot: Percent = Fraction(0)
    extend: Percent = Fraction(0)


def _for_every_purpose(value: object) -> object:
    if isinstance(value, Mapping | Reserved):
        return value
    part = percent(value)
    return Reserved(create=part, from_snapshot=part, extend=part)


def _with_its_keys(value: object) -> object:
    return {"rule": value} if isinstance(value, str) else value


def _as_rules(value: object) -> object:
    """One rule may be written without a list."""
    return [value] if isinstance(value, str) else value


ReservedPercent = Annotated[Reserved, BeforeValidator(_for_every_purpose, json_schema_input_type=Percent | Reserved)]
Rules = Annotated[
    tuple[Annotated[Rule, BeforeValidator(_with_its_keys, json_schema_input_type=str | Rule)], ...],
    BeforeValidator(_as_rules, json_schema_input_type=str | list[str | Rule]),
    Field(strict=False, max_length=MAX_RULES),
]
RequiredAttributes = Annotated[Mapping[AttributeName, Accepted], Field(max_length=MAX_RULES)]
Preferences = Annotated[tuple[Preference, ...], Field(strict=False, max_length=MAX_RULES)]
