"""Backends that refuse, do not answer, or that no worker serves."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from sqlalchemy import delete, insert, select
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor, Worker

from activities.backend_steps import BackendSteps
from drivers.fake import FaultKind
from inventory import tables
from shareflow import names
from tests.support.scenes import Scene
from tests.support.world import Refused

UNPINNED = {"name": "home", "size": "1 GiB"}


@pytest.fixture
def short_patience(scene: Scene) -> Iterator[None]:
    """Operations give a step up after a second."""
    limits = scene.world.process.services.limits
    usual = dict(limits.__dict__)
    limits.__dict__.update(patience=1.2, unserved=1.0)
    yield
    limits.__dict__.update(usual)


def _placement(scene: Scene, operation: str) -> dict[str, Any]:
    placement: dict[str, Any] = scene.operation(operation)["placement"]
    return placement


@pytest.mark.parametrize("kind", [FaultKind.FULL, FaultKind.REJECT])
async def test_pool_that_refuses_is_excluded_and_the_next_best_is_taken(scene: Scene, kind: FaultKind) -> None:
    """The record of the placement says which pool refused, with its words, and which one was taken instead."""
    refusal = scene.world.array().script.add(
        kind, verb="create_share", pool="a1", times=1, message="no more inodes", pool_specific=True
    )
    handle = await scene.start(names.CREATE_SHARE, **UNPINNED)
    assert (await scene.world.result(handle))["pool"] == "a2"
    assert scene.world.array().script.hits(refusal) == 1
    record = _placement(scene, handle.id)
    assert any("no more inodes" in reason for reason in record["excluded"].values())
    assert record["chosen"]["name"] == "a2"
    assert "no more inodes" in (await scene.status(handle))["note"]


async def test_clone_that_its_pool_refuses_becomes_a_copy_in_another_pool(scene: Scene) -> None:
    """The next-best pool gets the snapshot's content, file by file."""
    share = await scene.create()
    scene.files().write(scene.ref(share["share_id"]), "docs/a", b"kept")
    await scene.snapshot()
    scene.world.array().script.add(FaultKind.FULL, verb="clone_snapshot")
    copy = await scene.run(names.CREATE_SHARE_FROM_SNAPSHOT, share="home", snapshot="s1", name="copy")
    assert copy["pool"] != "a1"
    assert scene.files(copy["backend"]).tree(scene.ref(copy["share_id"])) == {"docs/a": b"kept"}


async def test_refusal_that_no_other_pool_can_mend_fails_at_once(scene: Scene) -> None:
    """What the backend said is the reason, and nothing is left."""
    scene.world.array().script.add(FaultKind.REJECT, verb="create_share", times=None, message="licence expired")
    with pytest.raises(Refused) as refused:
        await scene.create()
    assert refused.value.code == "BackendRefused"
    assert refused.value.text.count("SF300") == 1
    assert "licence expired" in refused.value.text


async def test_when_every_pool_refuses_the_failure_says_why(scene: Scene) -> None:
    """The last refusal is the reason; the record of the placement has all of them."""
    for backend in ("alpha", "beta"):
        scene.world.array(backend).script.add(FaultKind.FULL, verb="create_share", times=None, message="disk is full")
    handle = await scene.start(names.CREATE_SHARE, **UNPINNED)
    with pytest.raises(Refused) as refused:
        await scene.world.result(handle)
    assert refused.value.code == "BackendRefused"
    assert "disk is full" in refused.value.text
    assert refused.value.text.count("SF300") == 1
    recorded = scene.operation(handle.id)
    assert recorded["state"] == "failed-clean"
    assert recorded["failure"]["type"] == "BackendRefused"
    record = _placement(scene, handle.id)
    assert record["kept"] == 0
    assert str(record).count("disk is full") >= 3


async def test_request_that_fits_nowhere_keeps_the_verdict_on_every_pool(scene: Scene) -> None:
    """Why nowhere always has an answer, in the error and in the operation's record."""
    handle = await scene.start(names.CREATE_SHARE, name="home", size="1 GiB", type="ssd", zone="west")
    with pytest.raises(Refused) as refused:
        await scene.world.result(handle)
    assert refused.value.code == "NoPoolFits"
    assert refused.value.text.count("SF200") == 1
    record = _placement(scene, handle.id)
    assert record["pools"] == 3
    assert record["kept"] == 0
    assert record["chosen"] is None


async def test_backend_that_comes_back_in_time_is_waited_for(scene: Scene) -> None:
    """A short outage costs time, not the operation; the status says what it waits for."""
    outage = scene.world.array().script.add(FaultKind.UNREACHABLE, message="connection timed out")
    handle = await scene.start(names.CREATE_SHARE, name="home", size="1 GiB", pool="a1")
    status = await scene.world.until(handle, "waiting")
    assert "connection timed out" in status["waiting_for"]
    assert "given up at" in status["waiting_for"]
    assert status["step"] == "create on alpha/a1"
    scene.world.array().script.lift(outage)
    assert (await scene.world.result(handle))["pool"] == "a1"


async def test_backend_silent_for_too_long_needs_an_operator_and_is_clean_once_it_is_back(
    scene: Scene, short_patience: None
) -> None:
    """Given up, but not undone: row, status, details and search say what is left; ``retry_now`` goes on at once."""
    outage = scene.world.array().script.add(FaultKind.UNREACHABLE, message="connection timed out")
    handle = await scene.start(names.CREATE_SHARE, name="home", size="1 GiB", pool="a1")
    status = await scene.world.until(handle, "needs-operator")
    assert status["step"] == "delete on alpha/a1"
    assert names.RETRY_NOW in status["commands"]
    assert "connection timed out" in status["note"]
    recorded = scene.operation(handle.id)
    assert recorded["state"] == "needs-operator"
    assert "delete on alpha/a1" in recorded["left_over"]
    assert f"temporal workflow signal -w {handle.id} --name retry_now" in recorded["left_over"]
    assert "Needs an operator" in await scene.details(handle)
    assert (await handle.describe()).typed_search_attributes[names.PHASE] == "needs-operator"
    scene.world.array().script.lift(outage)
    await handle.signal(names.RETRY_NOW, {})
    with pytest.raises(Refused) as refused:
        await scene.world.result(handle)
    assert refused.value.code == "BackendUnavailable"
    assert refused.value.text.count("SF301") == 1
    assert (await scene.status(handle))["phase"] == "ended"
    assert scene.operation(handle.id)["left_over"] == ""


@pytest.fixture
async def unserved(scene: Scene) -> AsyncIterator[str]:
    """A backend in the inventory whose queue no worker polls, with one pool in a zone of its own."""
    database = scene.world.database
    with database.write() as connection:
        pools, backends = tables.pools, tables.backends
        pool = connection.execute(select(pools).where(pools.c.name == "a1")).mappings().one()
        backend = connection.execute(select(backends).where(backends.c.name == "alpha")).mappings().one()
        connection.execute(insert(backends).values({**backend, "name": "ghost"}))
        ghost = {"id": str(uuid.uuid4()), "backend": "ghost", "zone": "nowhere", "allocated_bytes": 0}
        connection.execute(insert(pools).values({**pool, **ghost, "limit_bytes": 2**60}))
    yield "ghost"
    with database.write() as connection:
        connection.execute(delete(pools).where(pools.c.backend == "ghost"))
        connection.execute(delete(backends).where(backends.c.name == "ghost"))


async def test_queue_that_no_worker_serves_is_said_so_and_the_next_best_pool_is_taken(
    scene: Scene, unserved: str, short_patience: None
) -> None:
    """Nothing was sent to that backend, so nothing has to be undone there."""
    handle = await scene.start(names.CREATE_SHARE, **UNPINNED)
    assert (await scene.world.result(handle))["backend"] == "alpha"
    (reason,) = _placement(scene, handle.id)["excluded"].values()
    assert "no worker took this step from queue backend:ghost within 1s" in reason


async def test_queue_that_no_worker_serves_fails_the_request_that_wants_no_other(
    scene: Scene, unserved: str, short_patience: None
) -> None:
    """The error names the queue and the next step; it is clean without that backend ever answering."""
    handle = await scene.start(names.CREATE_SHARE, **UNPINNED, backend=unserved)
    with pytest.raises(Refused) as refused:
        await scene.world.result(handle)
    assert refused.value.code == "BackendUnavailable"
    assert "no worker took this step from queue backend:ghost" in refused.value.text
    assert "temporal task-queue describe --task-queue backend:ghost" in refused.value.text
    assert "start a worker that can reach backend ghost" in refused.value.text
    assert refused.value.text.count("SF301") == 1


async def test_worker_that_starts_late_is_waited_for(scene: Scene, unserved: str) -> None:
    """A queue is served again before the patience ends: the operation goes on."""
    handle = await scene.start(names.CREATE_SHARE, **UNPINNED, backend=unserved)
    await scene.world.until(handle, "waiting")
    services = scene.world.process.services
    steps = BackendSteps(services, unserved, services.drivers["alpha"], 2)
    async with Worker(scene.world.client, task_queue=names.backend_queue(unserved), activities=steps.activities()):
        assert (await scene.world.result(handle))["backend"] == unserved
        await scene.purge("home")
    steps.close()


class _Occupied(Interceptor):
    """Keeps every step of a worker until it is told to go on; the worker takes no other meanwhile."""

    def __init__(self) -> None:
        self.taken, self.go_on = asyncio.Event(), asyncio.Event()

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002
        return _Keeping(super().intercept_activity(next), self)


class _Keeping(ActivityInboundInterceptor):
    def __init__(self, following: ActivityInboundInterceptor, occupied: _Occupied) -> None:
        super().__init__(following)
        self._occupied = occupied

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002
        self._occupied.taken.set()
        await self._occupied.go_on.wait()
        return await super().execute_activity(input)


async def test_worker_that_is_only_busy_is_not_said_to_be_missing(
    scene: Scene, unserved: str, short_patience: None
) -> None:
    """It has no room for the step: whoever gives up says that this may be so; what filled it goes on."""
    services = scene.world.process.services
    steps = BackendSteps(services, unserved, services.drivers["alpha"], 2)
    occupied, limits = _Occupied(), services.limits.__dict__
    queue, served = names.backend_queue(unserved), steps.activities()
    async with Worker(
        scene.world.client, task_queue=queue, activities=served, max_concurrent_activities=1, interceptors=[occupied]
    ):
        short = limits["patience"]
        limits["patience"] = 60
        filling = await scene.start(names.CREATE_SHARE, **UNPINNED, backend=unserved)
        await occupied.taken.wait()
        limits["patience"] = short
        with pytest.raises(Refused) as refused:
            await scene.run(names.CREATE_SHARE, name="other", size="1 GiB", backend=unserved)
        assert "within 1s: all that serve it are busy, or there is none" in refused.value.text
        occupied.go_on.set()
        assert (await scene.world.result(filling))["backend"] == unserved
        await scene.purge("home")
    steps.close()


async def test_unexpected_error_in_a_transaction_fails_the_operation_cleanly(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bug before anything was done ends the operation after a few tries; it is not tried for ever."""

    def broken(*_args: object, **_values: object) -> None:
        raise KeyError("a bug")

    monkeypatch.setattr("inventory.resources.add_share", broken)
    handle = await scene.start(names.CREATE_SHARE, **UNPINNED)
    async with asyncio.timeout(10):
        with pytest.raises(Refused) as refused:
            await scene.world.result(handle)
    assert refused.value.code == "OperationFailed"
    assert "a bug" in refused.value.text


async def test_unexpected_error_in_the_commit_calls_an_operator_and_does_not_run_hot(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was done may not be lost: it is tried again with growing pauses, and done once the bug is mended."""
    calls: list[str] = []

    def broken(_connection: object, instance: str, **_values: object) -> None:
        calls.append(instance)
        raise KeyError("a bug")

    monkeypatch.setattr("inventory.resources.set_instance", broken)
    handle = await scene.start(names.CREATE_SHARE, **UNPINNED)
    await scene.world.until(handle, "needs-operator")
    assert scene.operation(handle.id)["state"] == "needs-operator"
    tried = len(calls)
    await asyncio.sleep(1.5)
    assert len(calls) - tried <= 16
    monkeypatch.undo()
    await handle.signal(names.RETRY_NOW, {})
    await scene.world.result(handle)
