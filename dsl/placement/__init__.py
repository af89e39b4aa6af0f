"""Placement: which pools can hold a share, best first, and for every pool why or why not.

Pure: the same request and the same pools give the same decision. Every rule that applies is asked of every pool, also
after one has failed; what it compared is worked out when somebody looks, from the same picture.

Rules, in this order: the pool is available; it is not excluded by an earlier refusal; it is the pool, on the backend,
in the zone that the request names; it is in a zone of the type; it speaks the protocol; it has each required attribute
with an accepted value, and satisfies each rule of the type and of the set's defaults (what a pool does not report
rejects it); it enforces the QoS class and has its floors left in its budget; it is near to and apart from the shares
that the request names; the type allows the size; the shares of the type stay spread; the size fits.

Rank: the sum of the weighted preferences, of which the latency target of the QoS class is one, then most bytes free
after the placement (a pool that does not know them last), then backend, pool name and id in alphabetical order.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dsl.decision import Decision, Findings, PoolVerdict, RuleResult, total
from dsl.placement.language import Language
from dsl.placement.pools import NO_SURROUNDINGS, Neighbour, PlacementRequest, PoolView, Surroundings
from dsl.placement.room import CapacityRule
from dsl.placement.rules import rules_of
from dsl.placement.scoring import given_to
from dsl.placement.spread import spread_rule
from dsl.placement.standing import Failing, Pools
from dsl.rules import Spread

__all__ = [
    "Decision",
    "Language",
    "Neighbour",
    "PlacementRequest",
    "PoolVerdict",
    "PoolView",
    "Pools",
    "RuleResult",
    "Surroundings",
    "place",
]


def place(
    request: PlacementRequest, pools: Iterable[PoolView] | Pools, surroundings: Surroundings = NO_SURROUNDINGS
) -> Decision:
    """Ranks the pools that can hold the request and records why each was kept or dropped.

    Changes nothing and raises nothing: a decision without a ranked pool says in its summary what would have to change.

    Args:
        request: what is to be placed.
        pools: those that may hold it; as :class:`~dsl.placement.standing.Pools` they remember between requests.
        surroundings: what else counts.
    """
    pools = pools if isinstance(pools, Pools) else Pools.of(pools)
    views, rules = pools.views, list(rules_of(request, surroundings))
    capacity = CapacityRule(request.space, pools)
    fails: list[Failing] = [pools.failing(rule) if rule.enforced else {} for rule in rules]
    spread, position = _spread(request, surroundings)
    if spread is not None:
        failed = frozenset().union(*fails)
        able = [view for place_, view in enumerate(views) if place_ not in capacity.failing and place_ not in failed]
        rules.append(spread_rule(spread, surroundings.spread, able, position))
        fails.append(pools.failing(rules[-1]) if rules[-1].enforced else {})
    fails.append(capacity.failing)
    failing = _by_pool(fails, len(views))
    kept = [place_ for place_, failed_ in enumerate(failing) if not failed_]
    given = given_to([views[place_] for place_ in kept], request, surroundings)
    findings = Findings(
        views,
        rules,
        capacity,
        fails,
        failing,
        capacity.rooms,
        dict(zip(kept, given, strict=True)) if given else {},
        lambda number: pools.reasons(rules[number], fails[number]) if fails[number] else {},
    )
    return Decision(_ranked(kept, findings), findings, request.to_json())


def _by_pool(fails: Sequence[Failing], pools: int) -> list[tuple[int, ...]]:
    """Per pool the numbers of the rules that do not hold."""
    failing: list[tuple[int, ...]] = [()] * pools
    for number, places in enumerate(fails):
        for place_ in places:
            failing[place_] += (number,)
    return failing


def _spread(request: PlacementRequest, surroundings: Surroundings) -> tuple[Spread | None, str]:
    if request.type.spread is not None:
        return request.type.spread, request.type.at("spread")
    defaults = surroundings.defaults
    if defaults is not None and defaults.spread is not None:
        return defaults.spread, defaults.at("spread")
    return None, ""


def _ranked(kept: Sequence[int], findings: Findings) -> tuple[int, ...]:
    """The places of the pools that fit, best first: sorted by what counts least first, each time keeping the order."""
    rooms = findings.rooms
    ranked = [place_ for place_ in kept if rooms[place_] is not None]
    ranked.sort(key=[room or 0 for room in rooms].__getitem__, reverse=True)
    ranked += [place_ for place_ in kept if rooms[place_] is None]
    if findings.given:
        ranked.sort(key=lambda place_: total(findings.given[place_]), reverse=True)
    return tuple(ranked)
