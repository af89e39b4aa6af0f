"""Specs as YAML documents, and placement: pure functions over plain values, without database, Temporal or drivers."""

from dsl.capacity import CapacityVerdict, fits, pool_limit
from dsl.decision import Decision, PoolVerdict, RuleResult
from dsl.documents import (
    BackendSpec,
    PoolSpec,
    QosClassSpec,
    QuotaLimits,
    QuotaSpec,
    ShareTypeSpec,
    secret_reference,
)
from dsl.placement import PlacementRequest, PoolView, place
from dsl.problems import Problem, SpecProblems
from dsl.spec_check import check, render_decision
from dsl.spec_set import SpecSet, load_specs

__all__ = [
    "BackendSpec",
    "CapacityVerdict",
    "Decision",
    "PlacementRequest",
    "PoolSpec",
    "PoolVerdict",
    "PoolView",
    "Problem",
    "QosClassSpec",
    "QuotaLimits",
    "QuotaSpec",
    "RuleResult",
    "ShareTypeSpec",
    "SpecProblems",
    "SpecSet",
    "check",
    "fits",
    "load_specs",
    "place",
    "pool_limit",
    "render_decision",
    "secret_reference",
]
