"""Every scenario plays in a project of its own, and leaves everything settled."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from shareflow import faults
from tests.support.replicas import Replicated
from tests.support.scenes import BACKENDS, Scene
from tests.support.world import World


@pytest.fixture
def scene(world: World) -> Iterator[Scene]:
    """A project of its own; nothing is armed before and after, and all promises hold at the end."""
    faults.disarm()
    scene = Scene(world, world.project())
    scene.violations = scene.found()
    yield scene
    faults.disarm()
    for name in BACKENDS:
        world.array(name).script.clear()
    scene.check()


@pytest.fixture
async def home(scene: Scene) -> AsyncIterator[Replicated]:
    """A share that may have replicas; they go with it, whatever became of the test."""
    found = Replicated(scene)
    yield found
    faults.disarm()
    for name in BACKENDS:
        scene.world.array(name).script.clear()
    await found.clean()
