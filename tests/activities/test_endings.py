"""How attempts of activities end on a real server: each of them at once, in a way that the server takes."""

from __future__ import annotations

import asyncio
import threading
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio import activity
from temporalio.bridge.proto import ActivityHeartbeat
from temporalio.client import ActivityFailureError, Client
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, CancelledError, TimeoutType
from temporalio.exceptions import TimeoutError as AttemptTimedOut
from temporalio.worker import Worker

from activities.running import Runner
from activities.settings import Services
from inventory.database import Database, migrate
from shareflow import names
from shareflow.contracts.places import ObjectPlace
from shareflow.contracts.steps import BackendCall, Limits
from shareflow.converter import data_converter
from shareflow.interceptor import ApplicationFailures
from shareflow.server.devserver import DevServer

SOON = 20  # seconds, far less than the time limits of the attempts: whoever waits for those has not heard of an end
LIMIT = timedelta(seconds=90)


def _activity_error() -> ActivityError:
    return ActivityError(
        "of another one", scheduled_event_id=1, started_event_id=2, identity="", activity_type="", activity_id="",
        retry_state=None,
    )  # fmt: skip


ENDINGS: dict[str, Callable[[], BaseException]] = {
    "asyncio-cancel": lambda: asyncio.CancelledError("nobody asked"),
    "temporal-cancel": lambda: CancelledError("nobody asked"),
    "timeout": lambda: AttemptTimedOut("of another one", type=TimeoutType.HEARTBEAT, last_heartbeat_details=[]),
    "activity": _activity_error,
    "ordinary": lambda: ValueError("ordinary"),
}


@pytest.fixture
async def client(server: DevServer) -> Client:
    """A client of the session's server."""
    return await Client.connect(server.address, data_converter=data_converter)


@asynccontextmanager
async def _serving(client: Client, queue: str, *activities: Callable[..., Any]) -> AsyncIterator[Worker]:
    quickly = timedelta(seconds=0.1)
    made = Worker(
        client,
        task_queue=queue,
        activities=activities,
        interceptors=[ApplicationFailures()],
        max_heartbeat_throttle_interval=quickly,
        default_heartbeat_throttle_interval=quickly,
        graceful_shutdown_timeout=quickly,
    )
    async with made:
        yield made


async def _started(client: Client, name: str, queue: str, *, heartbeat: timedelta = LIMIT) -> Any:
    return await client.start_activity(
        name,
        id=f"a-{uuid.uuid4()}",
        task_queue=queue,
        result_type=str,
        start_to_close_timeout=LIMIT,
        heartbeat_timeout=heartbeat,
        retry_policy=RetryPolicy(initial_interval=timedelta(seconds=0.1)),
    )


@pytest.mark.parametrize("ending", ENDINGS)
async def test_attempt_that_ends_in_any_way_without_a_cancel_is_tried_again_at_once(
    client: Client, ending: str
) -> None:
    """The server refuses failures of any kind but one, and then would wait for a time limit."""
    queue = f"q-{uuid.uuid4()}"

    @activity.defn(name="ends")
    async def ends() -> str:
        if activity.info().attempt == 1:
            error = ENDINGS[ending]()
            raise error
        return "done"

    async with _serving(client, queue, ends), asyncio.timeout(SOON):
        assert await (await _started(client, "ends", queue)).result() == "done"


async def test_cancel_that_comes_when_its_attempt_has_ended_leaves_the_worker_alive(client: Client) -> None:
    """The SDK warns of it in the loop that takes work, and as an error the warning ends that loop: it happened once."""
    queue = f"q-{uuid.uuid4()}"
    serving: list[Worker] = []
    begun = asyncio.Event()

    @activity.defn(name="over")
    async def over() -> str:
        worker, token = serving[0]._activity_worker, activity.info().task_token
        assert worker is not None
        ended = worker._running_activities.pop(token)  # as when it ends; the SDK's own objects make the race certain
        begun.set()
        for _ in range(30):
            worker._bridge_worker().record_activity_heartbeat(ActivityHeartbeat(task_token=token))
            await asyncio.sleep(0.1)
        worker._running_activities[token] = ended
        return "over"

    @activity.defn(name="next")
    async def another() -> str:
        return "served"

    async with _serving(client, queue, over, another) as worker, asyncio.timeout(SOON):
        serving.append(worker)
        handle = await _started(client, "over", queue)
        await begun.wait()
        await handle.cancel()
        assert await handle.result() == "over"
        assert await (await _started(client, "next", queue)).result() == "served"


class Hanging:
    """A backend step whose driver call hangs until it is let go."""

    def __init__(self, services: Services) -> None:
        self.runner = Runner(services, "b", slots=2)
        self.begun, self.free = threading.Event(), threading.Event()
        self.calls = 0

    def _call(self) -> str:
        self.calls += 1
        self.begun.set()
        self.free.wait(60)
        return f"call {self.calls}"

    @activity.defn(name="hanging")
    async def step(self) -> str:
        """One fenced driver call."""
        place = ObjectPlace(id="i", backend="b", pool="p", pool_id="", object="sf-i", size=1)
        call = BackendCall(operation="op", deployment="d", step="delete", fences=[], target=place, epoch=1)
        return await self.runner.call(names.BACKEND_DELETE_SHARE, call, self._call)

    async def runs(self) -> None:
        """The driver call has begun."""
        assert await asyncio.to_thread(self.begun.wait, SOON)


@pytest.fixture
def hanging(tmp_path: Path) -> Iterator[Hanging]:
    """Let go at the end."""
    database = Database(f"sqlite:///{tmp_path / 'inventory.db'}")
    migrate(database)
    made = Hanging(Services(database, {}, tmp_path, limits=Limits(call=4)))
    yield made
    made.free.set()
    made.runner.close()
    database.close()


async def test_call_that_hangs_past_its_limit_while_a_cancel_waits_ends_cancelled(
    client: Client, hanging: Hanging
) -> None:
    """The cancel waits for the call; the call is given up; the server hears of one end."""
    queue = f"q-{uuid.uuid4()}"
    async with _serving(client, queue, hanging.step), asyncio.timeout(SOON):
        # Heartbeats, which bring the cancel, come three times in this time.
        handle = await _started(client, "hanging", queue, heartbeat=timedelta(seconds=3))
        await hanging.runs()
        await handle.cancel()
        with pytest.raises(ActivityFailureError) as ended:
            await handle.result()
        assert isinstance(ended.value.cause, CancelledError)


async def test_call_that_a_stopping_worker_leaves_is_taken_up_by_the_next_one_at_once(
    client: Client, hanging: Hanging
) -> None:
    """The attempt ends with its worker, not when its heartbeat has been missed."""
    queue = f"q-{uuid.uuid4()}"
    async with asyncio.timeout(SOON):
        async with _serving(client, queue, hanging.step):
            handle = await _started(client, "hanging", queue)
            await hanging.runs()
        hanging.free.set()
        async with _serving(client, queue, hanging.step):
            assert await handle.result() == "call 2"
