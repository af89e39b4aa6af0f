"""Every scenario plays in a project of its own, and leaves everything settled."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from shareflow import faults
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
