"""Where version control, the inventory and the backends say different things of the same specs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from dsl.capacity import pool_limit
from dsl.documents import BackendSpec, PoolSpec, digest_of
from dsl.effects import Usage
from dsl.planning import Plan
from dsl.spec_set import SpecSet
from shareflow.contracts.units import format_size

IN_FILES = "in its workers' files"
RESTART = "restart the backend's workers with the applied files, or apply the files that they have"
APPLY = "apply what git has (shareflow spec apply), or bring git up to what was applied"


@dataclass(frozen=True, slots=True)
class DriftRow:
    """One thing of which not all say the same.

    Attributes:
        kind, name: a document, or a pool (kind ``Pool``, name ``backend/pool``).
        field: its key; empty for the document as a whole.
        git, inventory, backend: JSON values; None where it is absent, the default, or nobody was asked.
        advice: the next step.
    """

    kind: str
    name: str
    field: str
    git: object = None
    inventory: object = None
    backend: object = None
    advice: str = ""

    @property
    def key(self) -> tuple[str, str, str]:
        """What is unique among the rows of a report."""
        return self.kind, self.name, self.field


def git_rows(plan: Plan) -> Iterator[DriftRow]:
    """What an apply of git's set would change."""
    for line in plan.lines:
        for difference in line.differences:
            yield DriftRow(line.kind, line.name, difference.key, difference.new, difference.old, advice=APPLY)
        if line.action == "create":
            yield DriftRow(line.kind, line.name, "", git="declared", advice=APPLY)
        elif line.action == "remove":
            yield DriftRow(line.kind, line.name, "", inventory="applied", advice=APPLY)


def backend_rows(
    applied: BackendSpec, own: BackendSpec, reported: Mapping[str, Mapping[str, object]]
) -> Iterator[DriftRow]:
    """Where a backend is not as it was applied.

    Args:
        applied: as the applied set has it.
        own: as the files of the worker that serves it have it.
        reported: attributes of each pool that its driver reports now, as JSON values.
    """
    declared, files = applied.canonical(), own.canonical()
    for key in ("driver", "options", "slots"):
        if digest_of(declared.get(key)) != digest_of(files.get(key)):
            yield DriftRow("Backend", applied.name, key, None, declared.get(key), files.get(key), RESTART)
    for pool in applied.pools:
        yield from _pool_rows(applied.name, pool, own.pool(pool.name), reported.get(pool.name))
    for pool in own.pools:
        if applied.pool(pool.name) is None:
            yield DriftRow("Pool", f"{applied.name}/{pool.name}", "", None, None, IN_FILES, RESTART)


def _pool_rows(
    backend: str, applied: PoolSpec, own: PoolSpec | None, reported: Mapping[str, object] | None
) -> Iterator[DriftRow]:
    name = f"{backend}/{applied.name}"
    if own is None:
        yield DriftRow("Pool", name, "", None, "applied", f"not {IN_FILES}", RESTART)
        return
    if reported is None:
        advice = "look at the storage: its driver does not report the pool"
        yield DriftRow("Pool", name, "", None, "applied", "not reported", advice)
        return
    declared: Mapping[str, object] = applied.model_dump(mode="json")["attributes"]
    for key, value in sorted(declared.items()):
        if key in reported and digest_of(value) != digest_of(reported[key]):
            advice = "the declared value counts; correct it, or what the storage is"
            yield DriftRow("Pool", name, f"attributes.{key}", None, value, reported[key], advice)
    if digest_of(_options(applied)) != digest_of(_options(own)):
        yield DriftRow("Pool", name, "options", None, _options(applied), _options(own), RESTART)


def _options(pool: PoolSpec) -> object:
    return pool.model_dump(mode="json")["options"]


def full_pools(applied: SpecSet, usage: Usage) -> Iterator[DriftRow]:
    """Pools whose limit is below what is handed out."""
    for backend, pool in applied.pools():
        name, terms = f"{backend.name}/{pool.name}", pool.terms(applied.placement)
        use = usage.pools.get(name)
        if use is None or use.total is None:
            continue
        limit = pool_limit(use.total, terms.over_subscription if terms.thin else 1)
        if limit is not None and use.allocated > limit:
            shown = f"limit {format_size(limit)}, {format_size(use.allocated)} handed out"
            advice = "nothing new is placed there; raise its over_subscription, add capacity, or move shares away"
            yield DriftRow("Pool", name, "limit", None, shown, f"capacity {format_size(use.total)}", advice)


def merged(rows: Iterable[DriftRow], git: SpecSet | None) -> list[DriftRow]:
    """The rows by kind, name and key: those of the same key as one, with what git says where it was given."""
    found: dict[tuple[str, str, str], DriftRow] = {}
    for row in rows:
        before = found.get(row.key)
        if before is None:
            found[row.key] = row
        else:
            found[row.key] = replace(
                before,
                git=before.git if before.git is not None else row.git,
                inventory=before.inventory if before.inventory is not None else row.inventory,
                backend=before.backend if before.backend is not None else row.backend,
                advice=before.advice if before.advice == row.advice else f"{before.advice}; {row.advice}",
            )
    filled = (replace(row, git=_in_git(row, git)) if row.git is None and git else row for row in found.values())
    return sorted(filled, key=lambda row: row.key)


def _in_git(row: DriftRow, git: SpecSet) -> object:
    """What git says of a key that only inventory and backend were compared by."""
    backend = git.backends.get(row.name.partition("/")[0])
    if backend is None or row.kind not in ("Backend", "Pool"):
        return None
    if row.kind == "Backend":
        return backend.canonical().get(row.field)
    pool = backend.pool(row.name.partition("/")[2])
    if pool is None:
        return None
    if not row.field:
        return "declared"
    content: object = pool.model_dump(mode="json")
    for step in row.field.split(".", 1):
        content = content.get(step) if isinstance(content, dict) else None
    return content
