"""Drift on a running system: three sides, one report, nothing changed."""

from __future__ import annotations

import copy
import uuid
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from drivers.fake import FaultKind
from inventory import tables
from shareflow import names
from shareflow.contracts.drift import DetectDriftResult
from tests.support.applying import Documents, applied, apply, changed, pool
from tests.support.scenes import Scene
from tests.support.world import Refused, World, world_of_its_own


@pytest.fixture(scope="module")
async def land(temporal_binary: Path) -> AsyncIterator[World]:
    """A world of its own: what is applied counts for everybody in it."""
    async with world_of_its_own(temporal_binary) as world:
        yield world


@pytest.fixture(scope="module")
def first(land: World) -> Documents:
    """The set that the worker started with."""
    return copy.deepcopy(applied(Scene(land, "any"))["documents"])


@pytest.fixture
async def stage(land: World, first: Documents) -> AsyncIterator[Scene]:
    """A project of its own; afterwards the first set counts again."""
    scene = Scene(land, land.project())
    yield scene
    land.array().script.clear()
    await apply(scene, first)
    scene.check()


async def _drift(scene: Scene, **fields: Any) -> DetectDriftResult:
    request = {"project": scene.project, **fields}
    found = await scene.world.run(names.DETECT_DRIFT, request, operation=f"drift-{uuid.uuid4()}")
    return DetectDriftResult.model_validate(found)


def _rows(found: DetectDriftResult) -> list[tuple[str, str, Any, Any, Any]]:
    return [(f"{row.kind}/{row.name}", row.field, row.git, row.inventory, row.backend) for row in found.rows]


def _tables(scene: Scene) -> list[Mapping[str, Any]]:
    return [dict(row) for table in (tables.pools, tables.spec_revisions, tables.findings) for row in scene.rows(table)]


async def test_nothing_differs_and_nothing_is_written(stage: Scene, first: Documents) -> None:
    """A report of a system that is as it was applied is empty, with and without git, and leaves no trace."""
    before = _tables(stage)
    assert _rows(await _drift(stage)) == []
    found = await _drift(stage, documents=first)
    assert _rows(found) == []
    assert found.git == found.digest
    assert found.specs_revision == applied(stage)["revision"]
    assert _tables(stage) == before


async def test_all_three_sides_are_told_apart_in_one_row(stage: Scene, first: Documents) -> None:
    """Git says one thing, the applied set another, and the storage a third."""
    await apply(stage, pool(first, "alpha", "a1", attributes={"media": "tape"}))
    git = pool(first, "alpha", "a1", attributes={"media": "paper"})
    assert _rows(await _drift(stage, documents=git)) == [
        ("Pool/alpha/a1", "attributes.media", "paper", "tape", "ssd"),
    ]
    assert _rows(await _drift(stage)) == [("Pool/alpha/a1", "attributes.media", None, "tape", "ssd")]


async def test_what_waits_for_a_restart_is_drift_until_then(stage: Scene, first: Documents) -> None:
    """Slots and a new pool were applied, and the worker still has its old files."""
    beta = next(each for each in first if each["kind"] == "Backend" and each["name"] == "beta")
    other = changed(first, "Backend", "beta", slots=3, pools=[*beta["pools"], {"name": "b9"}])
    await apply(stage, other)
    assert _rows(await _drift(stage, documents=other)) == [
        ("Backend/beta", "slots", 3, 3, 16),
        ("Pool/beta/b9", "", "declared", "applied", "not in its workers' files"),
    ]


async def test_backend_that_does_not_answer_is_told_and_not_guessed(stage: Scene) -> None:
    """The others are compared all the same."""
    stage.world.array().script.add(FaultKind.UNREACHABLE, verb="pools", times=None)
    found = await _drift(stage)
    assert found.unknown == ["alpha"]
    assert [(row.name, row.field) for row in found.rows] == [("alpha", "reachable")]


async def test_backend_without_a_worker_is_told(stage: Scene, first: Documents) -> None:
    """A backend was applied that no worker has in its files: the search ends and says so."""
    new = {"kind": "Backend", "name": "gamma", "driver": "fake", "pools": [{"name": "g1"}]}
    await apply(stage, [*first, new])
    found = await _drift(stage, patience="2 s")  # the server does not skip the wait of an activity
    assert found.unknown == ["gamma"]
    assert [row.backend for row in found.rows] == ["no worker serves it"]


async def test_refused_set_of_git_ends_the_search_with_its_problem(stage: Scene) -> None:
    """A bad set is an answer and no task that is stuck."""
    with pytest.raises(Refused) as refused:
        await _drift(stage, documents=[{"kind": "ShareType", "name": "x", "colour": 1}])
    assert refused.value.code == "SpecError"
    assert "colour" in refused.value.text
    with pytest.raises(Refused) as malformed:
        await _drift(stage, documents="x")
    assert malformed.value.code == "InvalidInput"
