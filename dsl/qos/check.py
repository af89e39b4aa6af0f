"""What only the whole set can tell about quality of service: references, who enforces a class, who backs its floors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from dsl.documents import BackendSpec, QosClassSpec, ShareTypeSpec, SpecDocument
from dsl.problems import Problem, suggest
from dsl.salvage import Doubts
from shareflow.contracts.qos import DIMENSIONS, FLOORS, KEYS

ENFORCED: Mapping[str, frozenset[str]] = MappingProxyType(
    {"fake": frozenset(KEYS), "directory": frozenset(), "btrfs": frozenset()}
)
"""Keys that built-in drivers enforce. Of other drivers nothing is known before they are opened."""


def check_qos(documents: Sequence[SpecDocument], doubts: Doubts, *, certain: bool) -> Iterator[Problem]:
    """The problems of classes, of references to them, and of pools that should back them.

    Args:
        documents: of the set, without what was refused in them.
        doubts: what they may hold beside that.
        certain: nothing was refused in the backends.
    """
    classes = [doc for doc in documents if isinstance(doc, QosClassSpec)]
    backends = [doc for doc in documents if isinstance(doc, BackendSpec)]
    for share_type in documents:
        if isinstance(share_type, ShareTypeSpec):
            yield from _reference(share_type, [one.name for one in classes], doubts)
    for one in (one for one in classes if not one.lost):
        if not one.limits and one.latency_target is None:
            hint = "write a limit like `max_iops: 5000`"
            yield one.problem(("name",), "S253", f"the QoS class `{one.name}` says nothing", hint=hint)
        elif backends and certain and one.limits:
            yield from _unenforced(one, backends)
            yield from _unbacked(one, backends)


def _reference(share_type: ShareTypeSpec, known: Sequence[str], doubts: Doubts) -> Iterator[Problem]:
    name = share_type.qos
    if name is not None and name not in known and not doubts.about("QosClass", name):
        near = suggest(name, known)
        listed = f"the QoS classes are {', '.join(sorted(set(known)))}" if known else "add a document of kind QosClass"
        hint = f"did you mean `{near}`?" if near else listed
        yield share_type.problem(("qos",), "S202", f"there is no QoS class `{name}`", hint=hint)


def _needs(one: QosClassSpec) -> list[str]:
    """The keys that the class asks a driver for."""
    given = {"burst_for": one.burst_for, "io_size": one.io_size, "scope": None if one.scope == "share" else one.scope}
    return [*one.limits, *(key for key, value in given.items() if value is not None)]


def _unenforced(one: QosClassSpec, backends: Sequence[BackendSpec]) -> Iterator[Problem]:
    """A warning for a class that must be enforced; one of best effort says itself that it need not be."""
    if one.enforce != "required":
        return
    missing: dict[str, list[str]] = {}
    needs = _needs(one)
    for backend in backends:
        can = ENFORCED.get(backend.driver)
        lacks = [] if can is None else [key for key in needs if key not in can]
        if not lacks:
            return
        missing[f"{backend.name} ({backend.driver})"] = lacks
    shown = [f"{backend} lacks {', '.join(lacks[:3])}" for backend, lacks in list(missing.items())[:3]]
    yield one.problem(
        ("name",),
        "S254",
        f"no backend enforces the QoS class `{one.name}`",
        hint="use a backend that can, or write `enforce: best_effort`",
        note="; ".join(shown),
        severity="warning",
    )


def _unbacked(one: QosClassSpec, backends: Sequence[BackendSpec]) -> Iterator[Problem]:
    budgets = [pool.qos.budget for backend in backends for pool in backend.pools]
    for key, kind in zip(FLOORS, DIMENSIONS, strict=True):
        if key in one.limits and all(getattr(budget, kind) is None for budget in budgets):
            field = key if getattr(one, key) is not None else f"{key}_per_gib"
            example = "10000" if kind == "iops" else "1 GiB/s"
            hint = f"give a pool a budget: `qos: {{{kind}: {example}}}`"
            yield one.problem(
                (field,), "S255", f"no pool has a budget for `{field}`", hint=hint, severity="warning", at_key=True
            )
