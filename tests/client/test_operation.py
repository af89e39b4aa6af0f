"""The handle of an operation: results, failures, progress, commands, cancelling."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable

import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest
from temporalio.service import RPCError

import shareflow
from shareflow import names
from shareflow.contracts.operations import DeleteShareResult, ShareResult
from shareflow.contracts.steps import OperationStatus
from shareflow.server.devserver import DevServer
from tests.support.world import World

Hold = Callable[[str], Callable[[], None]]


async def test_result_is_typed(shares: shareflow.Shares) -> None:
    """The result is the model of its kind, with exact bytes."""
    result = await (await shares.create("home", "10 GiB")).result()
    assert isinstance(result, ShareResult)
    assert result.size == 10 * 2**30


async def test_failure_comes_back_as_the_error_the_worker_raised(shares: shareflow.Shares) -> None:
    """Class, message, hint and field survive the way through the server."""
    with pytest.raises(shareflow.NoPoolFits, match="SF200"):
        await (await shares.create("home", "1000 PiB")).result()
    with pytest.raises(shareflow.UnknownType, match="SF202") as caught:
        await (await shares.create("home", 1, "nope")).result()
    assert "nope" in caught.value.message
    assert not caught.value.message.startswith("SF")
    with pytest.raises(shareflow.NotFound, match="SF101") as missing:
        await (await shares.resize("nope", 1)).result()
    assert missing.value.field == "share"


async def test_terminated_operation_says_so(shares: shareflow.Shares, world: World, hold: Hold, key: str) -> None:
    """Termination from outside is told from failing and from cancelling."""
    hold(f"{shares.project}:{key}")
    operation = await shares.create("home", 1, request_id=key)
    await world.client.get_workflow_handle(operation.id).terminate(reason="by hand")
    with pytest.raises(shareflow.OperationFailed, match="terminated from outside: by hand"):
        await operation.result()


async def test_progress_gives_each_change_once_and_ends_with_the_operation(
    shares: shareflow.Shares, hold: Hold, key: str
) -> None:
    """Watching shows every state it sees exactly once, and stops."""
    lift = hold(f"{shares.project}:{key}")
    operation = await shares.create("home", 1, request_id=key)
    seen: list[OperationStatus] = []
    async for status in operation.progress():
        seen.append(status)
        if status.waiting_for:
            lift()
    assert seen[-1].phase == "ended"
    assert seen[-1].step == "succeeded"
    assert any("busy" in status.waiting_for.lower() for status in seen)
    assert all(one != other for one, other in itertools.pairwise(seen))


async def test_progress_may_be_left_at_any_time(shares: shareflow.Shares, hold: Hold, key: str) -> None:
    """Leaving the loop ends the watching, not the operation."""
    lift = hold(f"{shares.project}:{key}")
    operation = await shares.create("home", 1, request_id=key)
    statuses = operation.progress()
    async for status in statuses:
        assert status.phase in {"running", "waiting"}
        break
    await statuses.aclose()
    lift()
    assert (await operation.result()).name == "home"


async def test_cancel_is_told_from_other_endings(shares: shareflow.Shares, hold: Hold, key: str) -> None:
    """A cancel says whether the operation really ended cancelled, and is refused once it has ended otherwise."""
    hold(f"{shares.project}:{key}")
    operation = await shares.create("home", 1, request_id=key)
    await operation.wait_for("waiting")
    assert await operation.cancel("changed my mind", wait=True)
    with pytest.raises(shareflow.OperationCancelled, match="SF305"):
        await operation.result()
    assert [share async for share in shares.list()] == []
    ended = await shares.create("home", 1)
    await ended.result()
    with pytest.raises(shareflow.CommandRefused, match="has ended"):
        await ended.cancel()
    assert await operation.cancel(), "asking again changes nothing"


async def test_deleted_returns_in_the_recycle_bin_and_restore_ends_the_operation(shares: shareflow.Shares) -> None:
    """A delete has two ends that a caller may wait for."""
    await (await shares.create("home", 1)).result()
    operation = await shares.delete("home", retention="1 d")
    status = await operation.deleted()
    assert status.phase == "recycle-bin"
    later = await operation.extend_retention("7 d")
    assert status.purge_at is not None
    assert later is not None
    assert round((later - status.purge_at).total_seconds()) == 7 * 86400
    await operation.restore()
    result = await operation.result()
    assert isinstance(result, DeleteShareResult)
    assert result.outcome == "restored"


async def test_deleted_returns_when_the_purge_was_quicker_than_the_look(shares: shareflow.Shares) -> None:
    """Without retention there is nothing to wait in; the wait ends all the same."""
    await (await shares.create("home", 1)).result()
    operation = await shares.delete("home", retention=0)
    await operation.deleted()
    assert (await operation.result()).outcome == "purged"


async def test_refused_command_gives_its_reason(shares: shareflow.Shares) -> None:
    """A command that cannot be carried out now changes nothing and says why."""
    await (await shares.create("home", 1)).result()
    operation = await shares.delete("home")
    await operation.deleted()
    created = await shares.create("home", 1)
    await created.result()
    with pytest.raises(shareflow.NameTaken, match="home"):
        await operation.restore()
    with pytest.raises(shareflow.CommandRefused, match="SF108"):
        await operation.retry_now()
    with pytest.raises(shareflow.InvalidInput, match=r"SF100 extend_by: .*not a duration"):
        await operation.extend_retention("soon")
    with pytest.raises(shareflow.CommandRefused, match="has ended"):
        await created.purge_now()
    await operation.purge_now()
    assert (await operation.result()).outcome == "purged"
    with pytest.raises(shareflow.CommandRefused, match="has ended"):
        await operation.restore("new-name")


async def test_command_of_another_kind_is_refused(shares: shareflow.Shares, hold: Hold, key: str) -> None:
    """A running operation that has no such command says that, not that something is missing in its code."""
    hold(f"{shares.project}:{key}")
    operation = await shares.create("home", 1, request_id=key)
    with pytest.raises(shareflow.CommandRefused, match="CreateShare takes no restore"):
        await operation.restore()
    await operation.cancel(wait=True)


async def test_restore_under_another_name(shares: shareflow.Shares) -> None:
    """A name that was taken meanwhile does not keep a share in the bin."""
    await (await shares.create("home", 1)).result()
    operation = await shares.delete("home")
    await operation.deleted()
    await (await shares.create("home", 1)).result()
    await operation.restore("home-again")
    assert [share.name async for share in shares.list()] == ["home", "home-again"]


async def test_waiting_for_a_phase_that_never_comes_ends_with_the_operation(shares: shareflow.Shares) -> None:
    """No wait is endless once the operation is over."""
    with pytest.raises(shareflow.InvalidState, match="without being in phase"):
        await (await shares.create("home", 1)).wait_for("recycle-bin")
    with pytest.raises(shareflow.NotFound):
        await (await shares.delete("nope")).deleted()


async def test_preview_says_what_would_go_and_changes_nothing(shares: shareflow.Shares) -> None:
    """A preview ends by itself."""
    await (await shares.create("home", 4096)).result()
    await (await shares.snapshot("home", "monday")).result()
    result = await (await shares.preview_delete("home")).result()
    assert result.outcome == "preview"
    assert {item.name for item in result.tree} == {"home", "monday"}
    assert [share.status async for share in shares.list()] == ["available"]


async def test_class_of_a_share_is_set_shown_and_taken_away(shares: shareflow.Shares, key: str) -> None:
    """With a typed result; the same request id is the same change."""
    await (await shares.create("home", "1 GiB", backend="alpha")).result()
    operation = await shares.set_qos("home", "silver", request_id=key)
    result = await operation.result()
    assert result.qos is not None
    assert result.qos == (await shares.get("home")).qos
    assert (await (await shares.set_qos("home", "silver", request_id=key)).result()) == result
    with pytest.raises(shareflow.RequestReused):
        await shares.set_qos("home", None, request_id=key)
    with pytest.raises(shareflow.UnknownQos, match=r"SF203.*classes: by-use"):
        await (await shares.set_qos("home", "golt")).result()
    assert (await (await shares.set_qos("home", None)).result()).qos is None
    assert "silver" in {one.name for one in await shares.qos_classes()}


async def test_busy_share_queues_or_fails_as_asked(shares: shareflow.Shares, hold: Hold, key: str) -> None:
    """``on_busy`` decides whether a second operation waits in line or names the one in the way."""
    await (await shares.create("home", 4096)).result()
    lift = hold(f"{shares.project}:{key}")
    first = await shares.resize("home", 8192, request_id=key)
    await first.wait_for("waiting")
    with pytest.raises(shareflow.Busy, match=first.id):
        await (await shares.resize("home", 9000, on_busy="fail")).result()
    second = await shares.resize("home", 10000)
    waiting = await second.wait_for("waiting")
    assert first.id in waiting.waiting_for
    lift()
    assert (await second.result()).size == 10000


async def test_handle_of_a_known_operation_has_its_kind_and_typed_result(shares: shareflow.Shares) -> None:
    """Anybody of the project can attach to an operation by its id."""
    started = await shares.create("home", 5)
    attached = await shares.operation_handle(started.id)
    assert attached.kind == names.CREATE_SHARE
    assert await attached.result() == await started.result()


async def test_handle_of_another_projects_operation_is_not_found(
    shares: shareflow.Shares, server: DevServer, world: World
) -> None:
    """Another project's operation and one that never was get the same answer."""
    started = await shares.create("home", 5)
    async with shareflow.connect(server.address, project=world.project()) as others:
        with pytest.raises(shareflow.NotFound) as foreign:
            await others.operation_handle(started.id)
        with pytest.raises(shareflow.NotFound) as missing:
            await others.operation_handle("create-share-0")
    assert foreign.value.message.replace(started.id, "X") == missing.value.message.replace("create-share-0", "X")


@pytest.mark.slow  # the server takes its time to forget
async def test_operation_that_the_server_forgot_answers_from_the_inventory(
    shares: shareflow.Shares, world: World
) -> None:
    """The server forgets closed workflows after its retention; the inventory does not."""
    started = await shares.create("home", 5)
    made = await started.result()
    await _forget(world, started.id)
    attached = await shares.operation_handle(started.id)
    assert await attached.result() == made
    with pytest.raises(shareflow.CommandRefused, match="has ended"):
        await attached.restore()


async def _forget(world: World, workflow: str) -> None:
    request = DeleteWorkflowExecutionRequest(
        namespace="default", workflow_execution=WorkflowExecution(workflow_id=workflow)
    )
    await world.client.workflow_service.delete_workflow_execution(request)
    async with asyncio.timeout(20):
        while True:
            try:
                await world.client.get_workflow_handle(workflow).describe()
            except RPCError:
                return
            await asyncio.sleep(0.1)
