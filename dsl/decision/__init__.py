"""The record of a placement: every rule of every pool, in full or bounded, as plain values or as text."""

from dsl.decision.decision import Decision
from dsl.decision.results import Compared, Kind, PoolRule, RuleResult, Scored, Term, literal
from dsl.decision.verdicts import Findings, Given, PoolVerdict, total

__all__ = [
    "Compared",
    "Decision",
    "Findings",
    "Given",
    "Kind",
    "PoolRule",
    "PoolVerdict",
    "RuleResult",
    "Scored",
    "Term",
    "literal",
    "total",
]
