"""What applying another set of specs would change, and what that means for the shares that are there.

Nothing is looked up here: both sets and the counts of the inventory come as plain values.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from dsl.documents import BackendSpec, SpecDocument, digest_of
from dsl.effects import (
    PoolUse,
    ProjectUse,
    Usage,
    backend_effects,
    placement_effects,
    pool_effects,
    pools_gone,
    quota_effects,
    version_effects,
)
from dsl.spec_set import SpecSet

Action = Literal["create", "change", "remove"]
ORDER = ("Backend", "Pool", "QosClass", "Quota", "ShareType", "SnapshotPolicy", "Placement")
"""In this order a plan lists what it changes."""

_NOT_COMPARED = ("kind", "name", "project")


class Difference(NamedTuple):
    """One key of a document. Values are JSON values, sizes in bytes and durations in seconds; None is the default."""

    key: str
    old: object
    new: object


@dataclass(frozen=True, slots=True)
class Line:
    """What becomes of one document, or of one pool of a backend (kind ``Pool``, name ``backend/pool``).

    Attributes:
        differences: of a change, key by key.
        effects: what it means for what is there, a sentence each.
        in_use: shares that use what is removed.
    """

    action: Action
    kind: str
    name: str
    differences: tuple[Difference, ...] = ()
    effects: tuple[str, ...] = ()
    in_use: int = 0

    @property
    def destructive(self) -> bool:
        """Whether it removes what shares use; such a line has to be allowed by name."""
        return self.action == "remove" and self.in_use > 0

    @property
    def id(self) -> str:
        """``Kind/name``, which is unique in a plan."""
        return f"{self.kind}/{self.name}"

    def allowed_by(self, names: frozenset[str]) -> bool:
        """Whether one of the names means this line: its name, or its id."""
        return self.name in names or self.id in names


@dataclass(frozen=True, slots=True)
class Plan:
    """What would change.

    Attributes:
        lines: in the order of :data:`ORDER` and of names.
        current, new: digests of both sets.
    """

    lines: tuple[Line, ...] = ()
    current: str = ""
    new: str = ""

    @property
    def destructive(self) -> tuple[Line, ...]:
        """The lines that remove what is in use."""
        return tuple(line for line in self.lines if line.destructive)

    @property
    def counts(self) -> str:
        """Digest of the counts that decide whether the plan needs to be allowed: what it removes, and who uses it.

        Other counts may move, so that a busy inventory does not make every plan stale.
        """
        return digest_of(sorted([line.id, line.in_use] for line in self.destructive))


def plan(current: SpecSet | None, new: SpecSet, usage: Usage) -> Plan:
    """The plan that leads from one set to another; ``current`` None when nothing was applied yet."""
    before: dict[tuple[str, str], SpecDocument] = {}
    if current is not None:
        before = {(document.kind, document.key): document for document in current.documents()}
    after = {(document.kind, document.key): document for document in new.documents()}
    lines: list[Line] = []
    for key in before.keys() | after.keys():
        lines += _compared(before.get(key), after.get(key), _Both(current, new, usage))
    lines.sort(key=lambda line: (ORDER.index(line.kind), line.name))
    return Plan(tuple(lines), current.digest if current is not None else "", new.digest)


class _Both(NamedTuple):
    current: SpecSet | None
    new: SpecSet
    usage: Usage


def _compared(old: SpecDocument | None, new: SpecDocument | None, sets: _Both) -> Iterator[Line]:
    if isinstance(old or new, BackendSpec):
        yield from _backend(
            old if isinstance(old, BackendSpec) else None, new if isinstance(new, BackendSpec) else None, sets
        )
        return
    differences = tuple(_differences(_content(old), _content(new)))
    shown = new if new is not None else old
    if shown is None or (old is not None and new is not None and not differences):
        return
    action: Action = "create" if old is None else "remove" if new is None else "change"
    effects, in_use = _effects(old, new, sets)
    yield Line(
        action,
        shown.kind,
        shown.key,
        differences if action == "change" else (),
        tuple(effects),
        in_use if action == "remove" else 0,
    )


def _effects(old: SpecDocument | None, new: SpecDocument | None, sets: _Both) -> tuple[list[str], int]:
    """Sentences, and how many shares use the old document."""
    document = new if new is not None else old
    assert document is not None  # noqa: S101  (one of them is there)
    usage, current = sets.usage, sets.current
    match document.kind:
        case "ShareType":
            versions = usage.types.get(document.key, {})
            return version_effects(versions, old, new, "new shares can be of it"), sum(versions.values())
        case "QosClass":
            versions = usage.classes.get(document.key, {})
            return version_effects(versions, old, new, "SetShareQos gives it to shares"), sum(versions.values())
        case "Quota":
            return quota_effects(document.key, sets.new, usage), 0
        case "SnapshotPolicy":
            users = [] if current is None else current.share_types.values()
            of = [one.name for one in users if one.snapshots.policy == document.key]
            shares = sum(sum(usage.types.get(name, {}).values()) for name in of)
            return [f"{shares} shares are of types that name it"] if shares else [], shares
        case _:
            return placement_effects(current, sets.new, usage), 0


def _backend(old: BackendSpec | None, new: BackendSpec | None, sets: _Both) -> Iterator[Line]:
    if new is None:
        if old is not None:
            gone, in_use = pools_gone(old, sets.usage)
            yield Line("remove", "Backend", old.name, (), tuple(gone), in_use)
        return
    if old is None:
        yield Line("create", "Backend", new.name, (), ("it is served once a worker that has it in its files starts",))
        return
    differences = tuple(_differences(_content(old, pools=False), _content(new, pools=False)))
    if differences:
        effects = backend_effects([difference.key for difference in differences])
        yield Line("change", "Backend", new.name, differences, tuple(effects))
    for name in sorted({pool.name for pool in (*old.pools, *new.pools)}):
        yield from _pool(old, new, name, sets)


def _pool(old_backend: BackendSpec, new_backend: BackendSpec, name: str, sets: _Both) -> Iterator[Line]:
    old, new, full = old_backend.pool(name), new_backend.pool(name), f"{new_backend.name}/{name}"
    use = sets.usage.pools.get(full, PoolUse())
    if old is None:
        yield Line("create", "Pool", full, (), ("it can be used once the backend's workers have restarted with it",))
    elif new is None:
        stay = [f"{use.shares} shares are on it; they stay, and cannot grow"] if use.shares else []
        yield Line("remove", "Pool", full, (), tuple(stay), use.shares)
    else:
        before = old.model_dump(mode="json", exclude_defaults=True)
        after = new.model_dump(mode="json", exclude_defaults=True)
        differences = tuple(_differences(before, after))
        if differences:
            defaults = sets.new.placement
            effects = tuple(pool_effects([one.key for one in differences], new, defaults, use))
            yield Line("change", "Pool", full, differences, effects)


def _content(document: SpecDocument | None, *, pools: bool = True) -> dict[str, object]:
    if document is None:
        return {}
    return {
        key: value
        for key, value in document.canonical().items()
        if key not in _NOT_COMPARED and (pools or key != "pools")
    }


def _differences(old: Mapping[str, object], new: Mapping[str, object], prefix: str = "") -> Iterator[Difference]:
    """Key by key, in order of names; mappings are gone into, lists are compared whole.

    A mapping of nothing but defaults is empty here, and is still another content than none at all.
    """
    for key in sorted(old.keys() | new.keys()):
        before, after, path = old.get(key), new.get(key), f"{prefix}{key}"
        if digest_of(before) == digest_of(after):  # to Python, True is 1
            continue
        if (before or after) and isinstance(before, Mapping | None) and isinstance(after, Mapping | None):
            yield from _differences(before or {}, after or {}, f"{path}.")
        else:
            yield Difference(path, before, after)


__all__ = ["ORDER", "Action", "Difference", "Line", "Plan", "PoolUse", "ProjectUse", "Usage", "plan"]
