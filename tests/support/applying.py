"""Sets of specs in tests: what is applied, sets that differ a little from it, plans, and applies."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from inventory import tables
from shareflow import names
from shareflow.contracts.specs import PlanView
from tests.support.scenes import Scene

Documents = list[dict[str, Any]]


def applied(scene: Scene) -> Mapping[str, Any]:
    """The revision that counts."""
    rows: list[Mapping[str, Any]] = [{**row} for row in scene.rows(tables.spec_revisions)]
    return max(rows, key=lambda row: int(row["revision"]))


def changed(documents: Documents, kind: str, name: str, **values: Any) -> Documents:
    """The set with other values in one document."""
    return [
        {**each, **values} if (each["kind"], each.get("name", each.get("project"))) == (kind, name) else each
        for each in copy.deepcopy(documents)
    ]


def _pools(documents: Documents, backend: str) -> Documents:
    found = next(each for each in documents if each["kind"] == "Backend" and each["name"] == backend)
    pools: Documents = found["pools"]
    return pools


def pool(documents: Documents, backend: str, name: str, **values: Any) -> Documents:
    """The set with other values in one pool."""
    pools = [{**each, **values} if each["name"] == name else each for each in _pools(documents, backend)]
    return changed(documents, "Backend", backend, pools=pools)


def without_pool(documents: Documents, backend: str, name: str) -> Documents:
    """The set without one pool."""
    pools = [each for each in _pools(documents, backend) if each["name"] != name]
    return changed(documents, "Backend", backend, pools=pools)


async def plan(scene: Scene, documents: Sequence[Mapping[str, Any]]) -> PlanView:
    """What applying the set would change."""
    return await scene.world.read(names.PLAN_SPECS, {"documents": documents}, PlanView)


async def apply(
    scene: Scene, documents: Documents, made: PlanView | None = None, *, operation: str | None = None, **more: Any
) -> dict[str, Any]:
    """Apply the set, on a plan of its own unless one is given."""
    token = (made or await plan(scene, documents)).token.model_dump()
    return await scene.run(names.APPLY_SPECS, operation=operation, documents=documents, plan=token, **more)
