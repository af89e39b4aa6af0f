"""Replays histories on the current code, all of them by one replayer: starting one costs more than a replay."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer

import worker
from shareflow.converter import data_converter
from shareflow.interceptor import OneInput
from workflows.registry import WORKFLOWS


def replayer() -> Replayer:
    """A replayer that is set up as the worker is."""
    return Replayer(
        workflows=WORKFLOWS,
        data_converter=data_converter,
        workflow_runner=worker.sandbox(),
        interceptors=[OneInput()],
    )


class Replays:
    """A queue of histories in front of one replayer."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[WorkflowHistory | None] = asyncio.Queue()
        self._waiting: dict[str, asyncio.Future[Exception | None]] = {}
        self._task: asyncio.Task[None] | None = None

    async def failure(self, history: WorkflowHistory) -> Exception | None:
        """Why the history does not replay, or None when it does."""
        if self._task is None:
            self._task = asyncio.create_task(self._work())
        waiting = asyncio.get_running_loop().create_future()
        self._waiting[history.workflow_id] = waiting
        await self._queue.put(history)
        answer: Exception | None = await waiting
        return answer

    async def close(self) -> None:
        """Take no more histories and let the replayer go."""
        if self._task is not None:
            await self._queue.put(None)
            await self._task

    async def _histories(self) -> AsyncIterator[WorkflowHistory]:
        while (history := await self._queue.get()) is not None:
            yield history

    async def _work(self) -> None:
        async with replayer().workflow_replay_iterator(self._histories()) as results:
            async for result in results:
                self._waiting.pop(result.history.workflow_id).set_result(result.replay_failure)
