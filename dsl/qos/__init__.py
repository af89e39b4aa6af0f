"""Quality of service: the keys of a class, what they come to for a share, and what a pool can keep of them. Pure."""

from dsl.qos.arithmetic import Effective, EffectiveKey, effective, floors
from dsl.qos.budget import NO_BUDGET, Budget, BudgetVerdict, fits_budget
from dsl.qos.keys import FORMS, QosBudget, QosKeys
from dsl.qos.plan import NO_QOS, Judgement, Plan, PoolQos, judge, plan
from shareflow.contracts.qos import NO_FLOORS, Floors

__all__ = [
    "FORMS",
    "NO_BUDGET",
    "NO_FLOORS",
    "NO_QOS",
    "Budget",
    "BudgetVerdict",
    "Effective",
    "EffectiveKey",
    "Floors",
    "Judgement",
    "Plan",
    "PoolQos",
    "QosBudget",
    "QosKeys",
    "effective",
    "fits_budget",
    "floors",
    "judge",
    "plan",
]
