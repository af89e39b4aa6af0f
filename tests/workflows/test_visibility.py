"""What an operator sees: status, details, search attributes, summaries, failures without noise, small histories."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowExecutionStatus
from temporalio.common import SearchAttributeKey

from drivers.fake import FaultKind
from inventory import tables
from shareflow import names
from tests.support.scenes import GIB, Gate, Handle, Scene
from tests.support.world import Refused

EVENTS: dict[str, tuple[dict[str, Any], int]] = {
    names.CREATE_SHARE: ({"name": "new", "size": "1 GiB"}, 20),
    names.CREATE_SHARE_FROM_SNAPSHOT: ({"share": "home", "snapshot": "s1", "name": "new"}, 20),
    names.CREATE_SNAPSHOT: ({"share": "home", "name": "s2"}, 20),
    names.RESIZE_SHARE: ({"share": "home", "size": "2 GiB"}, 20),
    names.REVERT_SHARE: ({"share": "home", "snapshot": "s1"}, 20),
    names.DELETE_SNAPSHOT: ({"share": "home", "snapshot": "s1"}, 22),
    names.FORGET_SHARE: ({"share": "home"}, 9),
}


async def _history(handle: Handle) -> list[HistoryEvent]:
    return [event async for event in handle.fetch_history_events()]


async def _attribute(handle: Handle, key: SearchAttributeKey[Any]) -> Any:
    return (await handle.describe()).typed_search_attributes.get(key)


def _unsummarised(events: list[HistoryEvent]) -> list[str]:
    shown = (
        EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED,
        EventType.EVENT_TYPE_TIMER_STARTED,
        EventType.EVENT_TYPE_MARKER_RECORDED,
    )
    return [str(event) for event in events if event.event_type in shown and not event.user_metadata.summary.data]


@pytest.mark.parametrize("kind", EVENTS)
async def test_history_of_an_operation_stays_small_and_every_step_has_a_summary(scene: Scene, kind: str) -> None:
    """A budget of events per operation, since the server keeps and replays them."""
    request, budget = EVENTS[kind]
    await scene.create()
    await scene.snapshot()
    handle = await scene.start(kind, **request)
    await scene.world.result(handle)
    events = await _history(handle)
    assert len(events) <= budget
    assert _unsummarised(events) == []


async def test_history_of_a_deletion_stays_small_and_its_timer_says_when(scene: Scene) -> None:
    """Soft delete, wait, purge of a share with one snapshot."""
    await scene.create()
    await scene.snapshot()
    handle = await scene.bin()
    purge_at = (await scene.status(handle))["purge_at"]
    await handle.signal(names.PURGE_NOW, {})
    await scene.world.result(handle)
    events = await _history(handle)
    assert len(events) <= 50
    assert _unsummarised(events) == []
    timer = next(event for event in events if event.event_type == EventType.EVENT_TYPE_TIMER_STARTED)
    assert f"purge at {purge_at[:10]}".encode() in timer.user_metadata.summary.data


async def test_search_attributes_find_an_operation(scene: Scene) -> None:
    """Share, project, backend and operation; typed, as soon as they are known."""
    share = await scene.create()
    handle = await scene.start(names.RESIZE_SHARE, share="home", size="2 GiB")
    await scene.world.result(handle)
    assert await _attribute(handle, names.SHARE_ID) == share["share_id"]
    assert await _attribute(handle, names.PROJECT) == scene.project
    assert await _attribute(handle, names.BACKEND) == "alpha"
    assert await _attribute(handle, names.OPERATION) == names.RESIZE_SHARE
    found = await _found(scene, f"ShareId = '{share['share_id']}' AND Operation = 'ResizeShare'")
    assert found == [handle.id]


async def _found(scene: Scene, query: str) -> list[str]:
    async with asyncio.timeout(10):
        while True:
            found = [workflow.id async for workflow in scene.world.client.list_workflows(query)]
            if found:
                return found
            await asyncio.sleep(0.1)


async def test_search_attributes_follow_a_deletion(scene: Scene) -> None:
    """In the bin: phase and deadline; afterwards the phase says what it does, and there is no deadline."""
    await scene.create()
    handle = await scene.bin()
    status = await scene.status(handle)
    assert await _attribute(handle, names.PHASE) == "recycle-bin"
    deadline = await _attribute(handle, names.DEADLINE)
    assert abs(scene.days_between(deadline.isoformat(), status["purge_at"])) < 1e-6
    await handle.execute_update(names.EXTEND_RETENTION, {"extend_by": "1 d"})
    assert scene.days_between(deadline.isoformat(), (await _attribute(handle, names.DEADLINE)).isoformat()) == 1
    gate = Gate("backend.delete_share.before_call", handle.id)
    await handle.signal(names.PURGE_NOW, {})
    await gate.reached()
    assert await _attribute(handle, names.PHASE) == "purging"
    assert await _attribute(handle, names.DEADLINE) is None
    gate.open()
    await scene.world.result(handle)


async def test_status_and_details_show_the_steps_and_what_can_be_sent(scene: Scene) -> None:
    """While it works: the step. In the bin: the deadline and the commands. At the end: the ending."""
    share = await scene.create()
    operation = scene.new_id()
    gate = Gate("backend.set_access_mode.before_call", operation)
    handle = await scene.start(names.DELETE_SHARE, operation=operation, share="home")
    await gate.reached()
    status = await scene.status(handle)
    assert (status["phase"], status["step"], status["commands"]) == ("running", "cut clients off on alpha/a1", [])
    assert status["share_id"] == share["share_id"]
    assert "- [x] claim, check and reserve" in await scene.details(handle)
    gate.open()
    status = await scene.world.until(handle, "recycle-bin")
    assert status["commands"] == [names.RESTORE, names.PURGE_NOW, names.EXTEND_RETENTION]
    details = await scene.details(handle)
    assert all(command in details for command in status["commands"])
    assert f"Purge at {status['purge_at'][:10]}" in details
    await handle.execute_update(names.RESTORE, {})
    await scene.world.result(handle)
    status = await scene.status(handle)
    assert (status["phase"], status["step"], status["commands"]) == ("ended", "succeeded", [])


async def test_commands_and_queries_describe_themselves(scene: Scene) -> None:
    """The Web UI offers them with these words."""
    await scene.create()
    handle = await scene.bin()
    metadata = await scene.metadata(handle)
    signals = {definition.name: definition.description for definition in metadata.definition.signal_definitions}
    updates = {definition.name: definition.description for definition in metadata.definition.update_definitions}
    for command in (names.RESTORE, names.PURGE_NOW, names.EXTEND_RETENTION, names.RETRY_NOW):
        assert updates[command] == signals[command] == names.COMMANDS[command]
    await handle.execute_update(names.RESTORE, {})
    await scene.world.result(handle)


@pytest.fixture
async def failed(scene: Scene) -> list[Handle]:
    """Operations that failed: refused by the inventory, by a pool, by validation."""
    scene.world.array().script.add(FaultKind.REJECT, verb="create_share", message="no licence", times=None)
    requests: list[tuple[str, dict[str, Any]]] = [
        (names.RESIZE_SHARE, {"share": "nothing", "size": 1}),
        (names.CREATE_SHARE, {"name": "new", "size": 1, "pool": "a1"}),
        (names.CREATE_SHARE, {"name": "new", "size": "ten"}),
    ]
    handles = []
    for kind, fields in requests:
        handles.append(await scene.start(kind, **fields))
        with pytest.raises(Refused):
            await scene.world.result(handles[-1])
    return handles


async def test_failures_say_what_people_need_and_carry_no_stack_traces(scene: Scene, failed: list[Handle]) -> None:
    """One line with code and next step; where in our code it was raised is nobody's business."""
    for handle in failed:
        assert (await handle.describe()).status is WorkflowExecutionStatus.FAILED
        events = await _history(handle)
        failure = events[-1].workflow_execution_failed_event_attributes.failure
        assert failure.message.startswith("SF")
        assert "\n" not in failure.message
        assert failure.stack_trace == ""
        assert not failure.HasField("cause")
        text = "".join(str(event) for event in events)
        assert "Traceback" not in text
        assert 'File "' not in text


async def test_text_from_users_cannot_act_in_the_details(scene: Scene) -> None:
    """Words of a backend are shown as words, not as markup."""
    await scene.create()
    evil = "<script>alert(1)</script> `rm` [x](javascript:1)"
    scene.world.array().script.add(FaultKind.UNREACHABLE, message=evil)
    handle = await scene.start(names.RESIZE_SHARE, share="home", size="2 GiB")
    await scene.world.until(handle, "waiting")
    details = await scene.details(handle)
    assert "<script>" not in details
    assert "`rm`" not in details
    scene.world.array().script.clear()
    await scene.world.result(handle)
    assert scene.share()["size"] == 2 * GIB


async def test_every_change_is_audited_with_who_and_why(scene: Scene) -> None:
    """Who asked and for what reason stands with every state change, in order."""
    share = await scene.create(by="ann", reason="new team")
    await scene.run(names.RESIZE_SHARE, share="home", size="2 GiB", by="bob", reason="it is full")
    rows = sorted(scene.rows(tables.audit, resource_id=share["share_id"]), key=lambda row: int(row["revision"]))
    assert [(row["before"], row["after"], row["requested_by"], row["why"]) for row in rows] == [
        ("", "creating", "ann", "new team"),
        ("creating", "available", "ann", "new team"),
        ("available", "resizing", "bob", "it is full"),
        ("resizing", "available", "bob", "it is full"),
    ]
