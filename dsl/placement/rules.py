"""The rules of a placement, made ready once per request and asked of every pool.

Each has a quick form, which only says whether it holds, and one that explains itself; both give the same answer.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from operator import attrgetter
from typing import Any

from dsl.decision import Compared, Kind, RuleResult, literal
from dsl.documents import PlacementSpec, ShareTypeSpec
from dsl.expressions import Comparison, Env, Expression, ExpressionErrors, render_value
from dsl.fields import AttributeScalar, Refusal, attribute_scalar
from dsl.placement.pools import Neighbour, PlacementRequest, PoolView, Surroundings
from dsl.qos.rules import qos_rules
from dsl.rules import Rule
from shareflow.contracts.units import format_size

Test = Callable[[PoolView], bool | None]
Explain = Callable[[PoolView], RuleResult]


@dataclass(frozen=True, slots=True)
class PlacementRule:
    """One rule, ready to be asked.

    Attributes:
        test: whether it holds; None when the pool does not say.
        explain: the same with both values and the reason.
        enforced: False for a rule that is only watched.
        standing: what the answer and its reason depend on beside the pool, as a key; None when it is not remembered. A
            rule with the same key gives the same answers for the same reasons.
    """

    test: Test
    explain: Explain
    enforced: bool = True
    standing: Hashable = None


# As many are made as there are pools and rules; this way takes a fraction of the time of a call of the class.
_new = tuple.__new__


def rules_of(request: PlacementRequest, surroundings: Surroundings) -> Iterator[PlacementRule]:
    """The rules that apply to the request, in the order in which they are recorded, without spread and capacity."""
    share_type = request.type
    yield PlacementRule(attrgetter("available"), _available, standing="available")
    if request.exclude:
        yield _not_excluded(request)
    if request.pool is not None:
        yield _pinned(request.pool)
    if request.backend is not None:
        yield _equal(Kind.BACKEND, "backend", request.backend, lambda pool: pool.backend)
    if request.zone is not None:
        yield _equal(Kind.ZONE, "zone", request.zone, lambda pool: pool.zone)
    if share_type.zones is not None:
        yield _in_zones(share_type.zones, share_type.at("zones"))
    yield _speaks(share_type.protocol, _position(share_type, "protocol"))
    yield from (_requires(share_type, attribute) for attribute in share_type.required_attributes)
    yield from _expressions(share_type, share_type.rules, request, surroundings)
    if surroundings.defaults is not None:
        yield from _expressions(surroundings.defaults, surroundings.defaults.require, request, surroundings)
    if request.qos is not None:
        yield from (_explained(rule.explain, rule.standing) for rule in qos_rules(request.qos, request.size))
    yield from _affinities(request)
    yield _allowed_size(request)


def environment(request: PlacementRequest) -> dict[str, dict[str, object]]:
    """What rules read beside the pool."""
    share_type = request.type
    spec = {"name": share_type.name, "protocol": share_type.protocol, "retention": share_type.retention * 1_000_000}
    return {"request": request.values(), "spec": spec}


def _position(share_type: ShareTypeSpec, key: str) -> str:
    """Where a key stands, empty when it was left out and its default counts."""
    return share_type.at(key) if key in share_type.model_fields_set else ""


_AVAILABLE = RuleResult(Kind.AVAILABLE, "pool is available", True, True, ok=True)


def _available(pool: PoolView) -> RuleResult:
    return _AVAILABLE if pool.available else _unavailable(pool.excluded_reason)


@lru_cache(maxsize=256)  # the pools of a backend have it in common
def _unavailable(why: str) -> RuleResult:
    reason = f"not available: {why}" if why else "not available"
    return RuleResult(Kind.AVAILABLE, "pool is available", False, True, ok=False, reason=reason)


def _explained(explain: Explain, standing: Hashable) -> PlacementRule:
    """A rule whose quick form is its long one."""
    return PlacementRule(lambda pool: explain(pool).ok, explain, standing=standing)


def _not_excluded(request: PlacementRequest) -> PlacementRule:
    exclude, text = request.exclude, "pool is not excluded"

    def explain(pool: PoolView) -> RuleResult:
        why = exclude.get(pool.id)
        reason = "" if why is None else f"excluded: {why}"
        return RuleResult(Kind.EXCLUDED, text, why is None, True, ok=why is None, reason=reason)

    return PlacementRule(lambda pool: pool.id not in exclude, explain)


def _pinned(wanted: str) -> PlacementRule:
    text = f"pool == {wanted}"

    def test(pool: PoolView) -> bool:
        return wanted in (pool.id, pool.title, pool.name)

    def explain(pool: PoolView) -> RuleResult:
        ok = test(pool)
        reason = "" if ok else f"it is {pool.title}, not {wanted}"
        return RuleResult(Kind.POOL, text, pool.title, wanted, ok=ok, reason=reason)

    return PlacementRule(test, explain)


def _equal(kind: Kind, name: str, wanted: str, left: Callable[[PoolView], str | None]) -> PlacementRule:
    text = f"{name} == {wanted}"

    @cache
    def result(has: str | None) -> RuleResult:
        reason = "" if has == wanted else f"its {name} is {has}" if has else f"it is in no {name}"
        return RuleResult(kind, text, has, wanted, ok=has == wanted, reason=reason)

    return PlacementRule(lambda pool: left(pool) == wanted, lambda pool: result(left(pool)))


def _in_zones(zones: tuple[str, ...], position: str) -> PlacementRule:
    text = f"zone in [{', '.join(zones)}]"

    @cache
    def result(zone: str | None) -> RuleResult:
        ok = zone in zones
        reason = "" if ok else f"its zone is {zone}" if zone else "it is in no zone"
        return RuleResult(Kind.ZONE, text, zone, zones, ok=ok, position=position, reason=reason)

    return PlacementRule(lambda pool: pool.zone in zones, lambda pool: result(pool.zone), standing=("zones", zones))


def _speaks(protocol: str, position: str) -> PlacementRule:
    text = f"{protocol} in protocols"

    @cache
    def result(protocols: tuple[str, ...]) -> RuleResult:
        ok = protocol in protocols
        reason = "" if ok else f"it speaks {', '.join(protocols) or 'no protocol'}"
        return RuleResult(Kind.PROTOCOL, text, protocols, protocol, ok=ok, position=position, reason=reason)

    return PlacementRule(
        lambda pool: protocol in pool.protocols, lambda pool: result(pool.protocols), standing=("protocol", protocol)
    )


def _requires(share_type: ShareTypeSpec, attribute: str) -> PlacementRule:
    values = share_type.required_attributes[attribute]
    words = [literal(value) for value in values]
    text = f"{attribute} == {words[0]}" if len(words) == 1 else f"{attribute} in [{', '.join(words)}]"
    right = values[0] if len(values) == 1 else values
    # True equals 1 in Python, but not here: the type is part of what is compared.
    accepted = frozenset((isinstance(value, bool), value) for value in values)
    position = share_type.at("require", attribute)

    def test(pool: PoolView) -> bool | None:
        has = pool.attributes.get(attribute)
        if has is None:
            return None
        if isinstance(has, tuple | list):
            return any((False, item) in accepted for item in has)
        return (isinstance(has, bool), has) in accepted or (isinstance(has, str) and _same_size(has, accepted))

    def explain(pool: PoolView) -> RuleResult:
        has, ok = pool.attributes.get(attribute), test(pool)
        if ok is None:
            reason = f"attribute absent: it does not report {attribute}"
            return RuleResult(Kind.ABSENT, text, None, right, ok=False, position=position, reason=reason)
        reason = "" if ok else f"its {attribute} is {literal(has)}"
        return RuleResult(Kind.REQUIRE, text, has, right, ok=ok, position=position, reason=reason)

    return PlacementRule(test, explain, standing=("require", attribute, accepted))


def _same_size(text: str, accepted: frozenset[tuple[bool, AttributeScalar]]) -> bool:
    """Whether a driver's text such as ``4 KiB`` is an accepted number of bytes."""
    try:
        return (False, attribute_scalar(text)) in accepted
    except Refusal:
        return False


def _expressions(
    document: ShareTypeSpec | PlacementSpec,
    rules: tuple[Rule, ...],
    request: PlacementRequest,
    surroundings: Surroundings,
) -> Iterator[PlacementRule]:
    beside = environment(request)
    for number, rule in enumerate(rules):
        position = document.at("require", number, "rule")
        expression = surroundings.language.rule(rule.rule)
        if isinstance(expression, Expression):
            yield _expression(rule, expression, beside, position)
        else:
            yield _unreadable(rule, expression, position)


def _expression(
    rule: Rule, expression: Expression, beside: dict[str, dict[str, object]], position: str
) -> PlacementRule:
    text, enforced = " ".join(rule.rule.split()), rule.enforce == "enforce"
    asked, spec, shown = beside["request"], beside["spec"], _Shown()
    # Takes a plain tuple in the order of an Env, which is made in half the time.
    evaluate: Callable[[Any], bool | None] = expression.evaluate

    def result(pool: PoolView) -> RuleResult:
        found = expression.explain(_new(Env, (pool.values, asked, _NOTHING, spec)))
        compared = tuple([shown.compared(comparison) for comparison in found.comparisons])
        ok, (left, right) = found.verdict is True, _sides(found.comparisons, compared)
        reason = "" if ok else _why(found.reasons, compared, rule.message)
        kind = Kind.ABSENT if found.verdict is None else Kind.RULE
        return _new(RuleResult, (kind, text, left, right, ok, position, "", reason, enforced, compared))

    return PlacementRule(
        lambda pool: evaluate((pool.values, asked, _NOTHING, spec)),
        _shared(result, [name for namespace, name in expression.names if namespace == "pool"]),
        enforced,
        (rule.message, *_standing(expression, asked, spec)),
    )


def _standing(expression: Expression, asked: Mapping[str, object], spec: Mapping[str, object]) -> tuple[Hashable, ...]:
    """The compiled form, which no other expression has, and what it reads of the request and the type."""
    beside = {"request": asked, "spec": spec}
    read = sorted((namespace, name) for namespace, name in expression.names if namespace in beside)
    return (expression.evaluate, *[beside[namespace].get(name) for namespace, name in read])


def _shared(explain: Explain, names: Sequence[str]) -> Explain:
    """The same explanation, made once for all pools with the same values under the names that it depends on."""
    if not _OF_ONE_POOL.isdisjoint(names):
        return explain
    known: dict[tuple[object, ...], RuleResult] = {}

    def found(pool: PoolView) -> RuleResult:
        values = pool.values
        read = tuple([values.get(name) for name in names])
        classes = tuple(map(type, read))
        if not _PLAIN.issuperset(classes):
            return explain(pool)
        key = read + classes
        result = known.get(key)
        if result is None:
            result = known[key] = explain(pool)
        return result

    return found


_OF_ONE_POOL = frozenset({"name", "free", "provisioned"})
"""What hardly two pools have the same of."""
_PLAIN = frozenset({bool, int, str, type(None)})
"""Classes whose equal values look the same; two equal versions may not, and lists cannot be looked up."""


class _Shown:
    """The values of a rule's comparisons as text; what was asked for is the same for every pool."""

    def __init__(self) -> None:
        self._right: dict[int, tuple[object, str]] = {}

    def compared(self, comparison: Comparison) -> Compared:
        """A comparison as text."""
        text, left, right, verdict, start, _, reason, _, left_type, right_type = comparison
        known = self._right.get(start)
        if known is None or (known[0] is not right and (right.__class__ is not int or known[0] != right)):
            shown = "" if right is None and right_type is None else render_value(right, right_type)
            known = self._right[start] = (right, shown)
        return _new(Compared, (text, render_value(left, left_type), known[1], verdict, reason))


_NOTHING: dict[str, object] = {}


def _unreadable(rule: Rule, errors: ExpressionErrors, position: str) -> PlacementRule:
    """A rule of an older version of a type that names what no backend declares any more: it holds for no pool."""
    text, error = " ".join(rule.rule.split()), errors.errors[0]
    reason = f"the rule cannot be read any more: {error.code} {error.message}"
    result = RuleResult(Kind.RULE, text, None, None, ok=False, position=position, reason=reason)
    return PlacementRule(
        lambda _pool: False, lambda _pool: result, rule.enforce == "enforce", standing=("unreadable", reason)
    )


def _sides(comparisons: tuple[Comparison, ...], compared: tuple[Compared, ...]) -> tuple[object, object]:
    """Both values of a rule that is one comparison."""
    if len(comparisons) != 1:
        return None, None
    return (None if comparisons[0].left is None else compared[0].left), compared[0].right


def _why(reasons: tuple[str, ...], compared: tuple[Compared, ...], message: str) -> str:
    said = f"{message}: " if message else ""
    if reasons:
        return said + "; ".join(reasons)
    failing = [one for one in compared if one.verdict is False] or compared
    return said + "; ".join(f"`{one.text}`: it has {one.left}" for one in failing)


def _affinities(request: PlacementRequest) -> Iterator[PlacementRule]:
    by = request.affinity_by
    if request.affinity:
        yield _affinity(request.affinity, by, apart=False)
    if request.anti_affinity:
        yield _affinity(request.anti_affinity, by, apart=True)


def _affinity(neighbours: tuple[Neighbour, ...], by: str, *, apart: bool) -> PlacementRule:
    """Near to all of the neighbours, or apart from all of them. Who is in no zone is near to nobody."""
    names = ", ".join(neighbour.share for neighbour in neighbours)
    text = f"{by} {'is none' if apart else 'is that'} of {names}"
    domains = tuple(neighbour.domain(by) for neighbour in neighbours)

    def test(pool: PoolView) -> bool:
        mine = pool.domain(by)
        near = [mine is not None and mine == domain for domain in domains]
        return not any(near) if apart else all(near)

    def explain(pool: PoolView) -> RuleResult:
        has, ok = pool.domain(by), test(pool)
        reason = "" if ok else f"its {by} is {has or 'none'}"
        return RuleResult(Kind.AFFINITY, text, has, tuple(str(one) for one in domains), ok=ok, reason=reason)

    return PlacementRule(test, explain)


def _allowed_size(request: PlacementRequest) -> PlacementRule:
    limits = request.type.limits
    if limits.max_size is None:
        text, right = f"size >= {format_size(limits.min_size)}", [limits.min_size]
    else:
        text = f"size between {format_size(limits.min_size)} and {format_size(limits.max_size)}"
        right = [limits.min_size, limits.max_size]
    reason = request.type.size_refusal(request.size) or ""
    position = _position(request.type, "limits")
    result = RuleResult(Kind.SIZE, text, request.size, right, ok=not reason, position=position, unit="B", reason=reason)
    return PlacementRule(lambda _pool: result.ok, lambda _pool: result, standing=("size", reason))
