"""What a pool makes of a class: which keys it is asked to enforce, and whether that is enough."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from dsl.qos.arithmetic import Effective, floors
from dsl.qos.budget import NO_BUDGET, Budget
from dsl.qos.keys import QosKeys
from shareflow.contracts.qos import DIMENSIONS, LIMITS, NO_FLOORS, Floors, KeyVerdict, Verdict


@dataclass(frozen=True, slots=True)
class PoolQos:
    """What a pool says about quality of service.

    Attributes:
        supported: keys that its driver can enforce.
        budget: what it can promise in floors.
        committed: what it has promised.
    """

    supported: Collection[str] = ()
    budget: Budget = NO_BUDGET
    committed: Floors = NO_FLOORS


NO_QOS = PoolQos()


class Judgement(NamedTuple):
    """Whether a place will do for a class.

    Attributes:
        ok: it will: every key is enforced, exactly or rounded, or the class asks for no more than best effort.
        unsupported: keys that are not enforced there.
        reason: the keys that are not enforced, with the reasons; empty when all are.
    """

    ok: bool
    unsupported: tuple[str, ...]
    reason: str


FINE = Judgement(ok=True, unsupported=(), reason="")


def judge(qos: QosKeys, verdicts: Mapping[str, KeyVerdict]) -> Judgement:
    """What the verdicts on a share's keys mean for its class.

    A latency target only prefers pools, see
    :mod:`dsl.placement.scoring`, so it is no part of it.
    """
    missing = {key: verdict for key, verdict in verdicts.items() if verdict.verdict is Verdict.UNSUPPORTED}
    parts = [f"`{key}`: {verdict.reason or 'not supported'}" for key, verdict in missing.items()]
    return Judgement(not missing or qos.enforce == "best_effort", tuple(missing), "; ".join(parts))


@dataclass(frozen=True, slots=True)
class Plan:
    """What setting a class on a share in a pool comes to.

    Attributes:
        limits: what its driver is asked to enforce.
        verdicts: of every key, as far as the pool alone can tell: only the driver knows whether it has to round.
        floors: what the pool has to promise.
        judgement: whether that will do.
    """

    limits: Mapping[str, int | str] = field(default_factory=dict)
    verdicts: Mapping[str, KeyVerdict] = field(default_factory=dict)
    floors: Floors = NO_FLOORS
    judgement: Judgement = FINE


def plan(qos: QosKeys, values: Effective, pool: PoolQos) -> Plan:
    """What a pool makes of a class. Whether its budget has room is for :func:`~dsl.qos.budget.fits_budget` to say."""
    asked = values.limits
    verdicts = {key: _verdict(key, value, pool) for key, value in asked.items()}
    if "scope" in verdicts and verdicts["scope"].verdict is Verdict.UNSUPPORTED:
        # A limit for each client that bounds the whole share would be another limit, so nothing is set at all.
        verdicts = {
            key: KeyVerdict(Verdict.UNSUPPORTED, reason=f"no limit per {asked['scope']} there") for key in asked
        }
    limits = {key: value for key, value in asked.items() if verdicts[key].verdict is not Verdict.UNSUPPORTED}
    if not any(key in LIMITS for key in limits):
        limits = {}  # how limits are meant says nothing without a limit
    wanted = floors(values)
    kept = Floors(wanted.iops if "min_iops" in limits else 0, wanted.throughput if "min_throughput" in limits else 0)
    return Plan(limits, verdicts, kept, judge(qos, verdicts))


def _verdict(key: str, value: int | str, pool: PoolQos) -> KeyVerdict:
    if key not in pool.supported:
        return KeyVerdict(Verdict.UNSUPPORTED, reason="the driver does not enforce it")
    kind = key.removeprefix("min_")
    if kind in DIMENSIONS and key.startswith("min_") and pool.budget[DIMENSIONS.index(kind)] is None:
        return KeyVerdict(Verdict.UNSUPPORTED, reason=f"the pool declares no budget of {kind}")
    return KeyVerdict(Verdict.EXACT, value)
