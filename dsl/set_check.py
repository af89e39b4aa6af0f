"""What only the whole set can tell: equal names, references, types that no pool can satisfy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from dsl.attributes import RESERVED_NAMES, check_attributes, schema_of
from dsl.documents import BackendSpec, PlacementSpec, PoolSpec, ShareTypeSpec, SnapshotPolicySpec, SpecDocument
from dsl.problems import Problem, suggest
from dsl.qos.check import check_qos
from dsl.replica_check import check_replicas
from dsl.rule_check import StaticRules, check_rules
from dsl.salvage import NO_DOUBTS, Doubts


def check_set(documents: Sequence[SpecDocument], doubts: Doubts = NO_DOUBTS) -> list[Problem]:
    """The problems of a set that are more than those of its documents.

    Args:
        documents: what is left of each without what was refused in it.
        doubts: what they may hold beside that. Nothing is said that is true only by what was refused.
    """
    problems = [*_equal_names(documents), *_equal_pools(documents)]
    backends = [doc for doc in documents if isinstance(doc, BackendSpec)]
    pools = [pool for backend in backends for pool in backend.pools]
    schema = schema_of(backends, doubts)
    problems += check_attributes(backends, doubts)
    # Of a set without pools nobody knows what they will have.
    problems += check_rules(documents, schema if pools else replace(schema, open=True))
    rules = StaticRules(schema)
    certain = "Backend" not in doubts.kinds and not any(backend.lost for backend in backends)
    for share_type in documents:
        if isinstance(share_type, ShareTypeSpec) and pools:
            unknown = [*_unknown_zones(share_type, pools, doubts), *_undeclared(share_type, pools, doubts)]
            problems += unknown
            if certain and not unknown:
                impossible = list(_unsatisfiable(share_type, backends, rules))
                problems += impossible or ([] if share_type.lost else check_replicas(share_type, backends, rules))
    problems += [*_policies(documents, doubts), *_domains(documents, pools, doubts)]
    return [*problems, *check_qos(documents, doubts, certain=certain)]


def _policies(documents: Sequence[SpecDocument], doubts: Doubts) -> Iterator[Problem]:
    known = sorted(doc.name for doc in documents if isinstance(doc, SnapshotPolicySpec))
    for share_type in documents:
        if isinstance(share_type, ShareTypeSpec) and share_type.snapshots.policy not in (None, *known):
            name = str(share_type.snapshots.policy)
            if doubts.about("SnapshotPolicy", name):
                continue
            near = suggest(name, known)
            listed = f"the policies are {', '.join(known)}" if known else "add a SnapshotPolicy document"
            hint = f"did you mean `{near}`?" if near else listed
            message = f"there is no snapshot policy `{name}`"
            yield share_type.problem(("snapshots", "policy"), "S202", message, hint=hint)


def _domains(documents: Sequence[SpecDocument], pools: Sequence[PoolSpec], doubts: Doubts) -> Iterator[Problem]:
    """Attributes that shares are spread by and that no pool has."""
    known = {"zone", "backend", "pool", *RESERVED_NAMES, *(name for pool in pools for name in pool.attributes)}
    for document in documents:
        spread = document.spread if isinstance(document, ShareTypeSpec | PlacementSpec) else None
        if spread is not None and pools and spread.by not in known and not doubts.about("Backend", spread.by):
            near = suggest(spread.by, known)
            hint = f"did you mean `{near}`?" if near else "spread by zone, backend, pool or a declared attribute"
            message = f"no pool has the attribute `{spread.by}` to spread by"
            yield document.problem(("spread", "by"), "S202", message, hint=hint)


def _equal_names(documents: Sequence[SpecDocument]) -> Iterator[Problem]:
    first: dict[tuple[str, str], SpecDocument] = {}
    for document in documents:
        field = {"Quota": "project", "Placement": "kind"}.get(document.kind, "name")
        if field in document.lost:
            continue
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


def _unknown_zones(share_type: ShareTypeSpec, pools: Sequence[PoolSpec], doubts: Doubts) -> Iterator[Problem]:
    known = sorted({pool.zone for pool in pools if pool.zone is not None})
    if doubts.about("Backend", "zone"):
        return  # the zone of some pool was refused, and nobody knows which one was meant
    for index, zone in enumerate(share_type.zones or ()):
        if zone not in known:
            near = suggest(zone, known)
            listed = f"the zones are {', '.join(known)}" if known else "give the pools a `zone`"
            hint = f"did you mean `{near}`?" if near else listed
            yield share_type.problem(("zones", index), "S202", f"no pool is in the zone `{zone}`", hint=hint)


def _undeclared(share_type: ShareTypeSpec, pools: Sequence[PoolSpec], doubts: Doubts) -> Iterator[Problem]:
    declared = {name for pool in pools for name in pool.attributes} | RESERVED_NAMES.keys()
    for name in share_type.required_attributes:
        if name not in declared and not doubts.about("Backend", name):
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
            reason = rules.obstacle(share_type, backend, pool)
            if reason is None:
                return
            reasons[f"{backend.name}/{pool.name}"] = reason
    shown = [f"{pool}: {reason}" for pool, reason in list(reasons.items())[:3]]
    more = f"; {len(reasons) - 3} more" if len(reasons) > 3 else ""
    message = f"no pool can satisfy the type `{share_type.name}`"
    hint = "change what the type requires or what a pool declares"
    note = "; ".join(shown) + more
    yield share_type.problem(("name",), "S203", message, hint=hint, note=note, severity="warning")
