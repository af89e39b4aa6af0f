"""Placement: which pools can hold a share, best first, and for every pool why or why not.

Pure: the same request and the same pools give the same decision. Every rule that applies is asked of every pool, also
after one has failed; what it compared is worked out when somebody looks, from the same picture.

Rules, in this order: the pool is available; it is not excluded by an earlier refusal; it is the pool, on the backend,
in the zone that the request names; it is in a zone of the type; it speaks the protocol; it has each required attribute
with an accepted value, and satisfies each rule of the type and of the set's defaults (what a pool does not report
rejects it); it enforces the QoS class and has its floors left in its budget; it is near to and apart from the shares
that the request names; the type allows the size; the shares of the type stay spread; the size fits.

Rank: the sum of the weighted preferences, then most bytes free after the placement (a pool that does not know them
last), then backend, pool name and id in alphabetical order.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import attrgetter

from dsl.decision import Decision, PoolRule, PoolVerdict, RuleResult
from dsl.placement.language import Language
from dsl.placement.pools import NO_SURROUNDINGS, Neighbour, PlacementRequest, PoolView, Surroundings
from dsl.placement.rules import CapacityRule, PlacementRule, rules_of
from dsl.placement.scoring import score
from dsl.placement.spread import spread_rule
from dsl.rules import Spread

__all__ = [
    "Decision",
    "Language",
    "Neighbour",
    "PlacementRequest",
    "PoolVerdict",
    "PoolView",
    "RuleResult",
    "Surroundings",
    "place",
]


def place(
    request: PlacementRequest, pools: Iterable[PoolView], surroundings: Surroundings = NO_SURROUNDINGS
) -> Decision:
    """Ranks the pools that can hold the request and records why each was kept or dropped.

    Changes nothing and raises nothing: a decision without a ranked pool says in its summary what would have to change.
    """
    views = sorted(pools, key=_ORDER)
    rules = list(rules_of(request, surroundings))
    capacity = CapacityRule(request.space)
    measures = [capacity.measure(view) for view in views]
    failing = _failing(views, rules)
    spread, position = _spread(request, surroundings)
    if spread is not None:
        able = [view for view, failed, found in zip(views, failing, measures, strict=True) if found.fits and not failed]
        rules.append(spread_rule(spread, surroundings.spread, able, position))
        _ask(views, rules[-1], len(rules) - 1, failing)
    last = (len(rules),)
    asked: tuple[PoolRule, ...] = (*rules, capacity)
    verdicts = tuple(
        [
            PoolVerdict(view, asked, failed if found.fits else failed + last, found.room)
            for view, failed, found in zip(views, failing, measures, strict=True)
        ]
    )
    kept = [(view, verdict) for view, verdict in zip(views, verdicts, strict=True) if not verdict.failing]
    score(kept, request, surroundings)
    ranked = sorted([verdict for _, verdict in kept], key=_rank)
    return Decision(tuple([verdict.pool for verdict in ranked]), verdicts, request.to_json())


_ORDER = attrgetter("backend", "name", "id")


def _failing(views: Sequence[PoolView], rules: Sequence[PlacementRule]) -> list[tuple[int, ...]]:
    """Per pool the numbers of the enforced rules that do not hold."""
    failing: list[tuple[int, ...]] = [()] * len(views)
    for number, rule in enumerate(rules):
        _ask(views, rule, number, failing)
    return failing


def _ask(views: Sequence[PoolView], rule: PlacementRule, number: int, failing: list[tuple[int, ...]]) -> None:
    """Add the number of a rule to what the pools fail where it does not hold. One that is only watched drops none."""
    if not rule.enforced:
        return
    test = rule.test
    for place_ in [place_ for place_, view in enumerate(views) if not test(view)]:
        failing[place_] += (number,)


def _spread(request: PlacementRequest, surroundings: Surroundings) -> tuple[Spread | None, str]:
    if request.type.spread is not None:
        return request.type.spread, request.type.at("spread")
    defaults = surroundings.defaults
    if defaults is not None and defaults.spread is not None:
        return defaults.spread, defaults.at("spread")
    return None, ""


def _rank(verdict: PoolVerdict) -> tuple[float, bool, int]:
    room = verdict.free_after
    return (-verdict.score, room is None, -(room or 0))
