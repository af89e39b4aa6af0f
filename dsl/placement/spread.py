"""How the shares of a type are spread over domains: zones, backends, pools, or values of an attribute."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from dsl.decision import Kind, RuleResult
from dsl.placement.pools import PoolView
from dsl.placement.rules import PlacementRule
from dsl.rules import Spread


def spread_rule(spread: Spread, counts: Mapping[str, int], able: Iterable[PoolView], position: str) -> PlacementRule:
    """No domain gets more than ``max_skew`` shares ahead of the emptiest domain that could take the share.

    Args:
        spread: the rule.
        counts: domain -> shares that are there already.
        able: the pools that every other rule allows; a domain without one is not waited for.
        position: ``file:line:column`` of the rule.
    """
    by, skew = spread.by, spread.max_skew
    domains = {domain for pool in able if (domain := pool.domain(by)) is not None}
    least = min((counts.get(domain, 0) for domain in domains), default=0)
    text = f"shares in its {by} <= {least} + {skew}"

    def test(pool: PoolView) -> bool | None:
        domain = pool.domain(by)
        return None if domain is None else counts.get(domain, 0) + 1 - least <= skew

    def explain(pool: PoolView) -> RuleResult:
        domain, ok = pool.domain(by), test(pool)
        if domain is None or ok is None:
            reason = f"attribute absent: it is in no {by}"
            return RuleResult(Kind.SPREAD, text, None, least + skew, ok=False, position=position, reason=reason)
        there = counts.get(domain, 0)
        reason = "" if ok else f"{by} {domain} has {there} of them, {least} are in the emptiest {by}"
        return RuleResult(Kind.SPREAD, text, there + 1, least + skew, ok=ok, position=position, reason=reason)

    return PlacementRule(test, explain, spread.enforce == "enforce")
