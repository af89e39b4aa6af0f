"""Who goes first in a worker process: steps of others before transactions of evacuations, which are never stopped."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import Any

import pytest
from temporalio import activity
from temporalio.common import Priority
from temporalio.testing import ActivityEnvironment
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from activities.precedence import Precedence
from shareflow import names

NEVER = 3600.0
"""Seconds that no test lasts."""
NOT_YET = 0.3
"""Seconds after which a step that has not begun is taken for one that waits."""


class _Innermost(ActivityInboundInterceptor):
    def __init__(self) -> None:
        """The end of the chain: there is no further one."""

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002  (the SDK's name)
        return await input.fn(*input.args)


async def _done() -> str:
    return "done"


async def _step(chain: Interceptor, name: str, *, kind: str = names.CREATE_SHARE, priority: int | None = None) -> None:
    """One step of an operation of this kind, as a worker with this chain takes it."""
    environment = ActivityEnvironment()
    environment.info = replace(
        environment.info, activity_type=name, workflow_type=kind, priority=Priority(priority_key=priority)
    )
    first = chain.intercept_activity(_Innermost())

    @activity.defn(name=name)
    async def run() -> Any:
        return await first.execute_activity(ExecuteActivityInput(_done, (), None, {}))

    assert await environment.run(run) == "done"


async def _evacuating(precedence: Precedence, name: str = names.FOLLOW_SHARE) -> None:
    await _step(precedence.of_evacuations(), name, kind=names.MIGRATE_SHARE)


async def test_with_nobody_else_there_evacuations_do_not_wait() -> None:
    """The process is theirs."""
    precedence = Precedence(quiet=NEVER, pause=NEVER)
    async with asyncio.timeout(60):
        for _ in range(20):
            await _evacuating(precedence)


async def test_while_others_take_steps_an_evacuation_waits() -> None:
    """The next one after its last does not begin."""
    precedence = Precedence(quiet=NEVER, pause=NEVER)
    await _evacuating(precedence)
    await _step(precedence.of_others(), names.BEGIN)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(_evacuating(precedence), NOT_YET)


async def test_others_that_have_ended_hold_an_evacuation_up_no_longer() -> None:
    """Soon after their last step it goes on."""
    precedence = Precedence(quiet=NOT_YET, pause=NEVER)
    await _evacuating(precedence)
    await _step(precedence.of_others(), names.BEGIN)
    ended = time.monotonic()
    async with asyncio.timeout(60):
        await _evacuating(precedence)
    assert time.monotonic() - ended >= NOT_YET / 2


async def test_others_that_never_end_do_not_stop_an_evacuation() -> None:
    """Its transactions have their turn one by one, with the pause between them."""
    precedence = Precedence(quiet=NEVER, pause=0.1)
    await _evacuating(precedence)
    began = time.monotonic()
    await _step(precedence.of_others(), names.BEGIN)
    async with asyncio.timeout(60):
        await asyncio.gather(*(_evacuating(precedence) for _ in range(4)))
    assert time.monotonic() - began >= 0.35


@pytest.mark.parametrize("name", [names.SWITCH_SHARE, names.END_CUTOVER])
async def test_switch_waits_for_nobody_because_writers_wait_for_it(name: str) -> None:
    """Nor does what gives the share back."""
    precedence = Precedence(quiet=NEVER, pause=NEVER)
    await _evacuating(precedence)
    await _step(precedence.of_others(), names.BEGIN)
    async with asyncio.timeout(60):
        await _evacuating(precedence, name)


async def test_a_turn_that_was_given_up_is_free_for_the_next() -> None:
    """A cancelled step does not keep its place in the line."""
    precedence = Precedence(quiet=NEVER, pause=2 * NOT_YET)
    await _evacuating(precedence)
    await _step(precedence.of_others(), names.BEGIN)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(_evacuating(precedence), NOT_YET / 3)
    async with asyncio.timeout(60):
        await _evacuating(precedence)


@pytest.mark.parametrize(
    "own",
    [
        {"name": names.BACKEND_CREATE_SHARE, "kind": names.MIGRATE_SHARE, "priority": names.EVACUATIONS_PRIORITY},
        {"name": names.FOLLOW_EVACUATION, "kind": names.EVACUATE_POOL},
        {"name": names.FOLLOW_EVACUATION, "kind": names.EVACUATE_BACKEND},
    ],
    ids=["step-at-a-backend", "look-of-a-pool", "look-of-a-backend"],
)
async def test_evacuations_do_not_wait_for_their_own_steps(own: dict[str, Any]) -> None:
    """Steps at backends and the looks of the evacuation itself are taken by the worker of all."""
    precedence = Precedence(quiet=NEVER, pause=NEVER)
    await _evacuating(precedence)
    await _step(precedence.of_others(), **own)
    async with asyncio.timeout(60):
        await _evacuating(precedence)


async def test_migration_that_somebody_asked_for_goes_first_too() -> None:
    """Only those that an evacuation has begun wait."""
    precedence = Precedence(quiet=NEVER, pause=NEVER)
    await _evacuating(precedence)
    await _step(precedence.of_others(), names.BACKEND_CREATE_SHARE, kind=names.MIGRATE_SHARE)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(_evacuating(precedence), NOT_YET)
