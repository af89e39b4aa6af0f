"""Clients of the session's world: real server, real worker, fake arrays that can be scripted."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable, Iterator

import pytest

import shareflow
from drivers.fake.script import FaultKind
from shareflow.server.devserver import DevServer
from tests.support.world import World


@pytest.fixture
async def shares(server: DevServer, world: World) -> AsyncIterator[shareflow.Shares]:
    """A client in a project of its own."""
    async with shareflow.connect(server.address, project=world.project(), by="ana") as client:
        yield client


@pytest.fixture
def key() -> str:
    """A request id that nobody used before."""
    return uuid.uuid4().hex


@pytest.fixture
def hold(world: World) -> Iterator[Callable[[str], Callable[[], None]]]:
    """Keep the operation of an id from making or resizing anything on an array, until what this gives is called."""
    lifts: list[Callable[[], None]] = []

    def keep(operation: str) -> Callable[[], None]:
        rules = [
            (array, array.script.add(FaultKind.BUSY, verb=verb, operation=operation, times=None))
            for array in map(world.array, ("alpha", "beta"))
            for verb in ("create_share", "resize_share")
        ]

        def lift() -> None:
            for array, rule in rules:
                array.script.lift(rule)

        lifts.append(lift)
        return lift

    yield keep
    for lift in lifts:
        lift()
