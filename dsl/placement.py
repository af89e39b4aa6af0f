"""Placement: which pools can hold a share, best first, and for every pool why or why not.

Pure: the same request and the same pools give the same decision. Every rule that applies is evaluated for every pool,
also after one has failed, and recorded with what the pool has (left) and what is asked for (right).

Rules, in this order: the pool is available; it is not excluded by an earlier refusal; it is the pool, on the backend,
in the zone that the request names; it is in a zone of the type; it speaks the protocol; it reports each required
attribute with an accepted value (an absent attribute rejects); it enforces the QoS class and has its floors left in its
budget; the type allows the size; the size fits.

Rank: most bytes free after the placement first (a pool without a limit before all others), then backend, pool name and
id in alphabetical order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from dsl.capacity import CapacityVerdict, fits
from dsl.decision import Decision, Kind, PoolVerdict, RuleResult, literal
from dsl.documents import QosClassSpec, ShareTypeSpec
from dsl.fields import AttributeScalar, AttributeValue, Refusal, attribute_scalar
from dsl.qos import NO_QOS, PoolQos
from dsl.qos.rules import qos_rules
from shareflow.contracts.units import format_size


@dataclass(frozen=True, slots=True)
class PoolView:
    """A pool as placement sees it.

    Attributes:
        id: identity in the inventory; what a decision ranks.
        limit_bytes: bytes that may be handed out (see :func:`dsl.capacity.pool_limit`), None without a limit.
        allocated_bytes: bytes handed out or reserved.
        attributes: what the driver reports and the spec declares.
        available: False takes no new shares now; ``excluded_reason`` says why.
        protocols: what export locations on this pool can speak.
        qos: what it can enforce and promise.
    """

    id: str
    backend: str
    name: str
    zone: str | None
    limit_bytes: int | None
    allocated_bytes: int
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict)
    available: bool = True
    protocols: tuple[str, ...] = ("path",)
    excluded_reason: str = ""
    qos: PoolQos = NO_QOS


@dataclass(frozen=True, slots=True)
class PlacementRequest:
    """What is to be placed.

    Attributes:
        size: bytes.
        zone, backend: only there, when given.
        pool: only this pool, when given: its id, ``backend/name``, or its name.
        exclude: pool id -> why an earlier try on it failed.
        qos: the class that the share gets.
    """

    size: int
    type: ShareTypeSpec
    zone: str | None = None
    pool: str | None = None
    backend: str | None = None
    exclude: Mapping[str, str] = field(default_factory=dict)
    qos: QosClassSpec | None = None

    def to_json(self) -> dict[str, object]:
        """The request as plain values; the type by name and version."""
        return {
            "size": self.size,
            "type": self.type.name,
            "type_version": self.type.version,
            "zone": self.zone,
            "pool": self.pool,
            "backend": self.backend,
            **({"qos": self.qos.name, "qos_version": self.qos.version} if self.qos is not None else {}),
        }


class _Required(NamedTuple):
    """One required attribute, made ready once per request."""

    attribute: str
    accepted: frozenset[tuple[bool, AttributeScalar]]
    right: object
    text: str
    position: str


__all__ = ["Decision", "PlacementRequest", "PoolVerdict", "PoolView", "RuleResult", "place"]

_Rule = Callable[[PoolView], RuleResult]


def place(request: PlacementRequest, pools: Iterable[PoolView]) -> Decision:
    """Ranks the pools that can hold the request and records why each was kept or dropped.

    Changes nothing and raises nothing: a decision without a ranked pool says in its summary what would have to change.
    """
    rules = _rules(request)
    verdicts: list[PoolVerdict] = []
    for pool in sorted(pools, key=lambda p: (p.backend, p.name, p.id)):
        results = [rule(pool) for rule in rules]
        room = fits(pool, request)
        results.append(_capacity(room))
        failed = [result for result in results if not result.ok]
        reason = "; ".join([result.reason for result in failed]) if failed else room.reason
        verdicts.append(
            PoolVerdict(pool.id, pool.backend, pool.name, not failed, room.free_after, tuple(results), reason)
        )
    kept = [verdict for verdict in verdicts if verdict.kept]
    kept.sort(key=lambda v: (v.free_after is not None, -(v.free_after or 0)))
    return Decision(tuple(v.pool for v in kept), tuple(verdicts), request.to_json())


def _rules(request: PlacementRequest) -> list[_Rule]:
    """The rules that apply to the request, ready to be asked of each pool."""
    share_type = request.type
    rules: list[_Rule] = [_available]
    if request.exclude:
        rules.append(_not_excluded(request.exclude))
    if request.pool is not None:
        rules.append(_pinned(request.pool))
    if request.backend is not None:
        rules.append(_equal(Kind.BACKEND, "backend", request.backend, lambda pool: pool.backend))
    if request.zone is not None:
        rules.append(_equal(Kind.ZONE, "zone", request.zone, lambda pool: pool.zone))
    if share_type.zones is not None:
        rules.append(_in_zones(share_type.zones, share_type.at("zones")))
    rules.append(_speaks(share_type.protocol, _position(share_type, "protocol")))
    rules.extend(_requires(_required(share_type, attribute)) for attribute in share_type.require)
    if request.qos is not None:
        rules.extend(qos_rules(request.qos, request.size))
    rules.append(_allowed_size(request))
    return rules


def _position(share_type: ShareTypeSpec, key: str) -> str:
    """Where a key stands, empty when it was left out and its default counts."""
    return share_type.at(key) if key in share_type.model_fields_set else ""


_AVAILABLE = RuleResult(Kind.AVAILABLE, "pool is available", True, True, ok=True)


def _available(pool: PoolView) -> RuleResult:
    if pool.available:
        return _AVAILABLE
    why = f": {pool.excluded_reason}" if pool.excluded_reason else ""
    return RuleResult(Kind.AVAILABLE, "pool is available", False, True, ok=False, reason=f"not available{why}")


def _not_excluded(exclude: Mapping[str, str]) -> _Rule:
    text = "pool is not excluded"
    kept = RuleResult(Kind.EXCLUDED, text, True, True, ok=True)

    def rule(pool: PoolView) -> RuleResult:
        why = exclude.get(pool.id)
        if why is None:
            return kept
        return RuleResult(Kind.EXCLUDED, text, False, True, ok=False, reason=f"excluded: {why}")

    return rule


def _pinned(wanted: str) -> _Rule:
    text = f"pool == {wanted}"

    def rule(pool: PoolView) -> RuleResult:
        full = f"{pool.backend}/{pool.name}"
        ok = wanted in (pool.id, full, pool.name)
        return RuleResult(Kind.POOL, text, full, wanted, ok=ok, reason="" if ok else f"it is {full}, not {wanted}")

    return rule


def _equal(kind: Kind, name: str, wanted: str, left: Callable[[PoolView], str | None]) -> _Rule:
    text = f"{name} == {wanted}"

    def rule(pool: PoolView) -> RuleResult:
        has = left(pool)
        ok = has == wanted
        reason = "" if ok else f"its {name} is {has}" if has else f"it is in no {name}"
        return RuleResult(kind, text, has, wanted, ok=ok, reason=reason)

    return rule


def _in_zones(zones: tuple[str, ...], position: str) -> _Rule:
    text = f"zone in [{', '.join(zones)}]"

    def rule(pool: PoolView) -> RuleResult:
        ok = pool.zone in zones
        reason = "" if ok else f"its zone is {pool.zone}" if pool.zone else "it is in no zone"
        return RuleResult(Kind.ZONE, text, pool.zone, zones, ok=ok, position=position, reason=reason)

    return rule


def _speaks(protocol: str, position: str) -> _Rule:
    text = f"{protocol} in protocols"

    def rule(pool: PoolView) -> RuleResult:
        ok = protocol in pool.protocols
        reason = "" if ok else f"it speaks {', '.join(pool.protocols) or 'no protocol'}"
        return RuleResult(Kind.PROTOCOL, text, pool.protocols, protocol, ok=ok, position=position, reason=reason)

    return rule


def _required(share_type: ShareTypeSpec, attribute: str) -> _Required:
    accepted = share_type.require[attribute]
    words = [literal(value) for value in accepted]
    text = f"{attribute} == {words[0]}" if len(words) == 1 else f"{attribute} in [{', '.join(words)}]"
    right = accepted[0] if len(accepted) == 1 else accepted
    # True equals 1 in Python, but not here: the type is part of what is compared.
    return _Required(
        attribute,
        frozenset((isinstance(value, bool), value) for value in accepted),
        right,
        text,
        share_type.at("require", attribute),
    )


def _requires(need: _Required) -> _Rule:
    attribute, accepted, right, text, position = need

    def rule(pool: PoolView) -> RuleResult:
        has = pool.attributes.get(attribute)
        if has is None:
            reason = f"attribute absent: it does not report {attribute}"
            return RuleResult(Kind.ABSENT, text, None, right, ok=False, position=position, reason=reason)
        if isinstance(has, tuple | list):
            ok = any((False, item) in accepted for item in has)
        else:
            ok = (isinstance(has, bool), has) in accepted or (isinstance(has, str) and _same_size(has, accepted))
        reason = "" if ok else f"its {attribute} is {literal(has)}"
        return RuleResult(Kind.REQUIRE, text, has, right, ok=ok, position=position, reason=reason)

    return rule


def _same_size(text: str, accepted: frozenset[tuple[bool, AttributeScalar]]) -> bool:
    """Whether a driver's text such as ``4 KiB`` is an accepted number of bytes."""
    try:
        return (False, attribute_scalar(text)) in accepted
    except Refusal:
        return False


def _allowed_size(request: PlacementRequest) -> _Rule:
    limits = request.type.limits
    if limits.max_size is None:
        text, right = f"size >= {format_size(limits.min_size)}", [limits.min_size]
    else:
        text = f"size between {format_size(limits.min_size)} and {format_size(limits.max_size)}"
        right = [limits.min_size, limits.max_size]
    reason = request.type.size_refusal(request.size) or ""
    position = _position(request.type, "limits")
    result = RuleResult(Kind.SIZE, text, request.size, right, ok=not reason, position=position, unit="B", reason=reason)
    return lambda _: result


def _capacity(room: CapacityVerdict) -> RuleResult:
    text = "allocated + size <= limit"
    return RuleResult(Kind.CAPACITY, text, room.after, room.limit, ok=room.fits, unit="B", reason=room.reason)
