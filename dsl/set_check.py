"""What only the whole set can tell: equal names, references, types that no pool can satisfy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dsl.attributes import RESERVED_NAMES, check_attributes, schema_of
from dsl.decision import literal
from dsl.documents import (
    AttributeScalar,
    AttributeValue,
    BackendSpec,
    PlacementSpec,
    PoolSpec,
    ShareTypeSpec,
    SnapshotPolicySpec,
    SpecDocument,
)
from dsl.problems import Problem, suggest
from dsl.qos.check import check_qos
from dsl.rule_check import StaticRules, check_rules


def check_set(documents: Sequence[SpecDocument]) -> list[Problem]:
    """The problems of a set whose documents are each correct."""
    problems = [*_equal_names(documents), *_equal_pools(documents)]
    backends = [doc for doc in documents if isinstance(doc, BackendSpec)]
    pools = [pool for backend in backends for pool in backend.pools]
    contradictions = list(check_attributes(backends))
    if not contradictions:
        problems += check_rules(documents, schema_of(backends), complete=bool(pools))
    rules = StaticRules(schema_of(backends))
    for share_type in documents:
        if isinstance(share_type, ShareTypeSpec) and pools:
            unknown = [*_unknown_zones(share_type, pools), *_undeclared(share_type, pools)]
            problems += unknown or _unsatisfiable(share_type, backends, rules)
    return [*problems, *contradictions, *_policies(documents), *_domains(documents, pools), *check_qos(documents)]


def _policies(documents: Sequence[SpecDocument]) -> Iterator[Problem]:
    known = sorted(doc.name for doc in documents if isinstance(doc, SnapshotPolicySpec))
    for share_type in documents:
        if isinstance(share_type, ShareTypeSpec) and share_type.snapshots.policy not in (None, *known):
            name = str(share_type.snapshots.policy)
            near = suggest(name, known)
            listed = f"the policies are {', '.join(known)}" if known else "add a SnapshotPolicy document"
            hint = f"did you mean `{near}`?" if near else listed
            message = f"there is no snapshot policy `{name}`"
            yield share_type.problem(("snapshots", "policy"), "S202", message, hint=hint)


def _domains(documents: Sequence[SpecDocument], pools: Sequence[PoolSpec]) -> Iterator[Problem]:
    """Attributes that shares are spread by and that no pool has."""
    known = {"zone", "backend", "pool", *RESERVED_NAMES, *(name for pool in pools for name in pool.attributes)}
    for document in documents:
        spread = document.spread if isinstance(document, ShareTypeSpec | PlacementSpec) else None
        if spread is not None and pools and spread.by not in known:
            near = suggest(spread.by, known)
            hint = f"did you mean `{near}`?" if near else "spread by zone, backend, pool or a declared attribute"
            message = f"no pool has the attribute `{spread.by}` to spread by"
            yield document.problem(("spread", "by"), "S202", message, hint=hint)


def _equal_names(documents: Sequence[SpecDocument]) -> Iterator[Problem]:
    first: dict[tuple[str, str], SpecDocument] = {}
    for document in documents:
        field = {"Quota": "project", "Placement": "kind"}.get(document.kind, "name")
        known = first.setdefault((document.kind, document.key), document)
        if known is not document:
            message = f"the {document.kind} `{document.key}` is there twice"
            note = f"first at {known.at(field)}"
            yield document.problem((field,), "S201", message, hint="rename or remove one of them", note=note)


def _equal_pools(documents: Sequence[SpecDocument]) -> Iterator[Problem]:
    for backend in documents:
        if isinstance(backend, BackendSpec):
            first: dict[str, int] = {}
            for index, pool in enumerate(backend.pools):
                known = first.setdefault(pool.name, index)
                if known != index:
                    message = f"the pool `{pool.name}` is twice in `{backend.name}`"
                    note = f"first at {backend.at('pools', known, 'name')}"
                    path = ("pools", index, "name")
                    yield backend.problem(path, "S201", message, hint="rename or remove one of them", note=note)


def _unknown_zones(share_type: ShareTypeSpec, pools: Sequence[PoolSpec]) -> Iterator[Problem]:
    known = sorted({pool.zone for pool in pools if pool.zone is not None})
    for index, zone in enumerate(share_type.zones or ()):
        if zone not in known:
            near = suggest(zone, known)
            listed = f"the zones are {', '.join(known)}" if known else "give the pools a `zone`"
            hint = f"did you mean `{near}`?" if near else listed
            yield share_type.problem(("zones", index), "S202", f"no pool is in the zone `{zone}`", hint=hint)


def _undeclared(share_type: ShareTypeSpec, pools: Sequence[PoolSpec]) -> Iterator[Problem]:
    declared = {name for pool in pools for name in pool.attributes} | RESERVED_NAMES.keys()
    for name in share_type.required_attributes:
        if name not in declared:
            near = suggest(name, declared)
            hint = f"did you mean `{near}`?" if near else f"declare `{name}` on the pools that have it"
            message = f"no pool declares the attribute `{name}`"
            yield share_type.problem(("require", name), "S204", message, hint=hint, severity="warning", at_key=True)


def _unsatisfiable(share_type: ShareTypeSpec, backends: Sequence[BackendSpec], rules: StaticRules) -> Iterator[Problem]:
    """A warning when each pool declares something that the type does not accept.

    An attribute that a pool does not declare may still be reported by its driver, so it does not count here.
    """
    reasons: dict[str, str] = {}
    for backend in backends:
        for pool in backend.pools:
            reason = _obstacle(share_type, pool) or rules.obstacle(share_type, backend, pool)
            if reason is None:
                return
            reasons[f"{backend.name}/{pool.name}"] = reason
    shown = [f"{pool}: {reason}" for pool, reason in list(reasons.items())[:3]]
    more = f"; {len(reasons) - 3} more" if len(reasons) > 3 else ""
    message = f"no pool can satisfy the type `{share_type.name}`"
    hint = "change what the type requires or what a pool declares"
    note = "; ".join(shown) + more
    yield share_type.problem(("name",), "S203", message, hint=hint, note=note, severity="warning")


def _obstacle(share_type: ShareTypeSpec, pool: PoolSpec) -> str | None:
    if share_type.zones is not None and pool.zone not in share_type.zones:
        return f"its zone is {pool.zone}" if pool.zone else "it is in no zone"
    for name, accepted in share_type.required_attributes.items():
        has = pool.attributes.get(name)
        if has is not None and not accepts(accepted, has):
            return f"its {name} is {literal(has)}"
    return None


def accepts(accepted: Sequence[AttributeScalar], has: AttributeValue) -> bool:
    """Whether a declared value, or one value of a declared list, is among the accepted ones. True is not 1."""
    values = has if isinstance(has, tuple) else (has,)
    return any(type(value) is type(want) and value == want for value in values for want in accepted)
