"""The rules of placement that come with a QoS class."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import cache
from typing import NamedTuple, Protocol

from dsl.decision import Kind, RuleResult
from dsl.documents import QosClassSpec
from dsl.qos.arithmetic import Effective, effective, floors
from dsl.qos.budget import Budget, fits_budget
from dsl.qos.plan import PoolQos, plan
from shareflow.contracts.qos import DIMENSIONS, Floors, format_limit


class HasQos(Protocol):
    """A pool as placement sees it."""

    @property
    def qos(self) -> PoolQos:
        """What it says about quality of service."""


class Rule(NamedTuple):
    """One rule. A rule with the same ``standing`` gives the same answers about the same pools."""

    explain: Callable[[HasQos], RuleResult]
    standing: Hashable


def qos_rules(qos: QosClassSpec, size: int) -> list[Rule]:
    """What a pool is asked for a new share of ``size`` bytes that gets the class."""
    values = effective(qos, size)
    promised = floors(values)
    kinds = [kind for kind, floor in zip(DIMENSIONS, promised, strict=True) if floor]
    return [_enforces(qos, values), *(_within_budget(kind, promised) for kind in kinds)]


def _enforces(qos: QosClassSpec, values: Effective) -> Rule:
    asked = tuple(values.limits)
    text = f"enforces QoS class {qos.name}" + ("" if qos.enforce == "required" else " (best effort)")
    position = qos.at("enforce") if "enforce" in qos.model_fields_set else qos.at("name")

    @cache  # most pools say the same
    def result(supported: tuple[str, ...], budget: Budget) -> RuleResult:
        made = plan(qos, values, PoolQos(supported, budget))
        reason = "" if made.judgement.ok else made.judgement.reason
        return RuleResult(
            Kind.QOS, text, tuple(made.limits), asked, ok=made.judgement.ok, position=position, reason=reason
        )

    return Rule(
        lambda pool: result(tuple(pool.qos.supported), pool.qos.budget),
        ("enforces", qos.enforce, *values.limits.items()),
    )


def _within_budget(kind: str, promised: Floors) -> Rule:
    index, key = DIMENSIONS.index(kind), f"min_{kind}"
    wanted = Floors(**{kind: promised[index]})
    text = f"floors of {kind} <= budget"

    @cache
    def result(budget: int | None, committed: Floors) -> RuleResult:
        if budget is None:
            return RuleResult(Kind.QOS, text, None, None, ok=True)  # the rule before says what that means
        verdict = fits_budget(Budget(**{kind: budget}), committed, wanted)
        after, limit = format_limit(key, committed[index] + promised[index]), format_limit(key, budget)
        return RuleResult(Kind.QOS, text, after, limit, ok=verdict.fits, reason="" if verdict.fits else verdict.reason)

    def rule(pool: HasQos) -> RuleResult:
        state = pool.qos
        return result(state.budget[index] if key in state.supported else None, state.committed)

    return Rule(rule, ("floors", kind, wanted))
