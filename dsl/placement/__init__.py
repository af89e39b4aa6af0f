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

from collections.abc import Iterable

from dsl.decision import Decision, PoolVerdict, RuleResult
from dsl.placement.language import Language
from dsl.placement.pools import NO_SURROUNDINGS, Neighbour, PlacementRequest, PoolView, Surroundings
from dsl.placement.rules import AnyRule, rules_of
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
    views = sorted(pools, key=lambda p: (p.backend, p.name, p.id))
    rules = list(rules_of(request, surroundings))
    failing = [_failing(view, rules) for view in views]
    spread, position = _spread(request, surroundings)
    if spread is not None:
        able = [view for view, failed in zip(views, failing, strict=True) if not failed]
        rule = spread_rule(spread, surroundings.spread, able, position)
        last = len(rules) - 1
        rules.insert(last, rule)  # before the room, which is asked last
        failing = [_with_spread(view, failed, rule, last) for view, failed in zip(views, failing, strict=True)]
    asked = tuple(rules)
    verdicts = tuple(PoolVerdict(view, asked, failed) for view, failed in zip(views, failing, strict=True))
    kept = [(view, verdict) for view, verdict in zip(views, verdicts, strict=True) if verdict.kept]
    score(kept, request, surroundings)
    ranked = sorted((verdict for _, verdict in kept), key=_rank)
    return Decision(tuple(verdict.pool for verdict in ranked), verdicts, request.to_json())


def _failing(view: PoolView, rules: list[AnyRule]) -> tuple[int, ...]:
    return tuple([number for number, rule in enumerate(rules) if not rule.test(view) and rule.enforced])


def _with_spread(view: PoolView, failed: tuple[int, ...], rule: AnyRule, number: int) -> tuple[int, ...]:
    """The failed rules after the spread rule was put in, before the last one."""
    moved = tuple(one if one < number else one + 1 for one in failed)
    if rule.test(view) or not rule.enforced:
        return moved
    return tuple(sorted((*moved, number)))


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
