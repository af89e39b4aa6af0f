"""Who goes first in a worker process: while others take steps, those of evacuations come one at a time, with pauses."""

from __future__ import annotations

import asyncio
import math
import time
from typing import Any

from temporalio import activity
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from shareflow import names

QUIET = 0.5
"""Seconds without a step of others after which evacuations have the process to themselves."""
PAUSE = 0.2
"""Seconds between two transactions of evacuations while others take steps; they never wait longer for their turn."""
URGENT = (names.SWITCH_SHARE, names.END_CUTOVER)
"""Transactions while writers are stopped or the share is held: they wait for nobody."""


class Precedence:
    """Lets transactions of evacuations wait while steps of others come one after the other.

    Processor, interpreter and database are what a small machine has least of; whoever asks for one share waits for an
    answer, and an evacuation of many does not. It is never stopped: its next transaction has its turn after ``pause``.

    Args:
        quiet: see :data:`QUIET`.
        pause: see :data:`PAUSE`.
    """

    def __init__(self, *, quiet: float = QUIET, pause: float = PAUSE) -> None:
        self._quiet = quiet
        self._pause = pause
        self._others = self._last = -math.inf
        self._line = asyncio.Lock()

    def of_others(self) -> Interceptor:
        """For a worker that takes the steps of all: those of others than evacuations are noticed."""
        return _With(self, _Noticing)

    def of_evacuations(self) -> Interceptor:
        """For the worker of evacuations: its transactions wait for their turn."""
        return _With(self, _Waiting)

    def noticed(self) -> None:
        """A step of others begins or ends now. One that takes long, and waits itself, holds nobody up meanwhile."""
        self._others = time.monotonic()

    async def turn(self) -> None:
        """Wait for an evacuation's turn."""
        async with self._line:
            while (left := self._left()) > 0:  # noqa: ASYNC110  (the end moves while others go on)
                await asyncio.sleep(left)
            self._last = time.monotonic()

    def _left(self) -> float:
        return min(self._others + self._quiet, self._last + self._pause) - time.monotonic()


class _Ordered(ActivityInboundInterceptor):
    def __init__(self, following: ActivityInboundInterceptor, precedence: Precedence) -> None:
        super().__init__(following)
        self._precedence = precedence


class _Noticing(_Ordered):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002  (the SDK's name)
        if _is_of_an_evacuation():
            return await super().execute_activity(input)
        self._precedence.noticed()
        try:
            return await super().execute_activity(input)
        finally:
            self._precedence.noticed()


class _Waiting(_Ordered):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002
        if activity.info().activity_type not in URGENT:
            await self._precedence.turn()
        return await super().execute_activity(input)


class _With(Interceptor):
    def __init__(self, precedence: Precedence, kind: type[_Ordered]) -> None:
        self._precedence = precedence
        self._kind = kind

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002
        return self._kind(super().intercept_activity(next), self._precedence)


def _is_of_an_evacuation() -> bool:
    info = activity.info()
    return info.priority.priority_key == names.EVACUATIONS_PRIORITY or info.workflow_type in (
        names.EVACUATE_POOL,
        names.EVACUATE_BACKEND,
    )
