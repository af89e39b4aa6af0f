"""Bad input ends at once with code, field and next step, changes nothing, and leaves nothing running or retrying."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import pytest
from sqlalchemy import func, select
from temporalio.api.common.v1 import Payload, Payloads, WorkflowType
from temporalio.api.enums.v1 import EventType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import StartWorkflowExecutionRequest
from temporalio.client import WorkflowFailureError, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError

from inventory import tables
from shareflow import names
from shareflow.contracts import reads
from tests.support.world import Refused, World

GIB = 2**30

SIZES = {
    "zero": (0, "at least 1 byte"),
    "negative": (-5, "at least 1 byte"),
    "negative text": ("-5 GiB", "at least 1 byte"),
    "fraction": (1.5, "whole bytes"),
    "fraction of a byte": ("0.3 B", "not a whole number of bytes"),
    "words": ("ten", "is not a size"),
    "true": (True, "is not a size"),
    "null": (None, "is not a size"),
    "list": ([1], "is not a size"),
    "decimal unit": ("10 GB", "did you mean GiB"),
    "typo": ("10 Gib", "did you mean GiB"),
    "too large": (2**61, "at most"),
    "astronomical": ("9" * 50 + " PiB", "too many digits"),
}
NAMES = {
    "empty": ("", "cannot be empty"),
    "long": ("x" * 256, "at most 63 characters, this one has 256"),
    "nul": ("a\x00b", "cannot be in a name"),
    "control": ("a\x1bb", "cannot be in a name"),
    "slash": ("a/b", "cannot be in a name"),
    "dots": ("..", "starts with a letter"),
    "dots inside": ("a..b", "cannot be in a name"),
    "dash": ("-rf", "starts with a letter"),
    "look-alike": ("h\u043eme", "cannot be in a name"),
    "space": ("a b", "cannot be in a name"),
    "number": (7, "valid string"),
}


def _rows(world: World) -> dict[str, int]:
    counted = (tables.shares, tables.instances, tables.snapshots, tables.claims, tables.tickets, tables.audit)
    with world.database.read() as connection:
        rows = {t.name: connection.execute(select(func.count()).select_from(t)).scalar_one() for t in counted}
        pending = select(func.count()).where(tables.reservations.c.state == "pending")
        allocated = select(func.sum(tables.pools.c.allocated_bytes))
        return rows | {
            "pending": connection.execute(pending).scalar_one(),
            "allocated": connection.execute(allocated).scalar_one(),
        }


async def _refused(world: World, kind: str, request: Any) -> Refused:
    before = _rows(world)
    with pytest.raises(Refused) as caught:
        await asyncio.wait_for(world.run(kind, request), 10)
    assert _rows(world) == before
    return caught.value


@pytest.mark.parametrize("case", SIZES)
async def test_a_size_that_is_none_names_the_field_and_what_is_allowed(world: World, case: str) -> None:
    """Every odd size is refused with the value and the reason."""
    value, reason = SIZES[case]
    error = await _refused(world, names.CREATE_SHARE, {"project": world.project(), "name": "a", "size": value})
    assert error.code == "InvalidInput"
    assert "SF100 size" in error.text
    assert reason in error.text


@pytest.mark.parametrize("case", NAMES)
async def test_a_name_that_is_none_names_the_first_bad_character(world: World, case: str) -> None:
    """Every odd name is refused, and odd characters are shown escaped."""
    value, reason = NAMES[case]
    error = await _refused(world, names.CREATE_SHARE, {"project": world.project(), "name": value, "size": GIB})
    assert error.code == "InvalidInput"
    assert "SF100 name" in error.text
    assert reason in error.text
    assert error.text.isascii()


REQUESTS: dict[str, tuple[str, dict[str, Any], str, str]] = {
    "unknown field": (names.CREATE_SHARE, {"name": "a", "sise": 1}, "InvalidInput", "did you mean 'size'"),
    "missing field": (names.CREATE_SHARE, {"name": "a"}, "InvalidInput", "size: required"),
    "unknown type": (names.CREATE_SHARE, {"name": "a", "size": GIB, "type": "gold"}, "UnknownType", "types: plain"),
    "unknown pool": (names.CREATE_SHARE, {"name": "a", "size": GIB, "pool": "nope"}, "NotFound", "pools: a1"),
    "unknown backend": (
        names.CREATE_SHARE,
        {"name": "a", "size": GIB, "backend": "nope"},
        "NotFound",
        "backends: alpha",
    ),
    "above the pool": (names.CREATE_SHARE, {"name": "a", "size": "1000 PiB"}, "NoPoolFits", "no pool fits"),
    "unknown share": (names.CREATE_SNAPSHOT, {"share": "nope", "name": "s"}, "NotFound", "there is no share 'nope'"),
    "unknown share to revert": (names.REVERT_SHARE, {"share": "nope", "snapshot": "s"}, "NotFound", "no share 'nope'"),
    "unknown choice": (
        names.CREATE_SHARE,
        {"name": "a", "size": GIB, "on_busy": "wait"},
        "InvalidInput",
        "'queue' or 'fail'",
    ),
    "odd retention": (names.DELETE_SHARE, {"share": "a", "retention": "7 fortnights"}, "InvalidInput", "unknown unit"),
    "negative retention": (names.DELETE_SHARE, {"share": "a", "retention": -1}, "InvalidInput", "between 0 s and"),
    "long text": (names.CREATE_SHARE, {"name": "a", "size": GIB, "by": "x" * 300}, "InvalidInput", "at most 255"),
    "direction mark": (names.CREATE_SHARE, {"name": "a", "size": GIB, "by": "\u202eevil"}, "InvalidInput", "by"),
}


@pytest.mark.parametrize("case", REQUESTS)
async def test_a_request_that_cannot_be_says_why_and_what_next(world: World, case: str) -> None:
    """Code, field, value and next step; nothing is changed."""
    kind, request, code, text = REQUESTS[case]
    error = await _refused(world, kind, {"project": world.project(), **request})
    assert error.code == code
    assert text in error.text


async def test_an_unknown_snapshot_is_named_with_its_share(world: World) -> None:
    """The snapshot is looked for in its share only."""
    project = world.project()
    await world.run(names.CREATE_SHARE, {"project": project, "name": "home", "size": GIB})
    for kind in (names.DELETE_SNAPSHOT, names.REVERT_SHARE):
        error = await _refused(world, kind, {"project": project, "share": "home", "snapshot": "nope"})
        assert error.code == "NotFound"
        assert "share 'home' has no snapshot 'nope'" in error.text


async def test_another_projects_share_gets_the_same_answer_as_an_unknown_one(world: World) -> None:
    """Neither name nor id of another project's share can be told from one that does not exist."""
    owner, stranger = world.project(), world.project()
    share = await world.run(names.CREATE_SHARE, {"project": owner, "name": "home", "size": GIB})
    unknown = str(uuid.uuid4())
    for kind, more in (
        (names.CREATE_SNAPSHOT, {"name": "s"}),
        (names.RESIZE_SHARE, {"size": GIB}),
        (names.DELETE_SHARE, {}),
        (names.FORGET_SHARE, {}),
        (names.REVERT_SHARE, {"snapshot": "s"}),
    ):
        theirs = await _refused(world, kind, {"project": stranger, "share": share["share_id"], **more})
        nobodys = await _refused(world, kind, {"project": stranger, "share": unknown, **more})
        assert (theirs.code, theirs.text.replace(share["share_id"], "X")) == (
            nobodys.code,
            nobodys.text.replace(unknown, "X"),
        )


async def _start_raw(world: World, payloads: list[Payload], kind: str = names.CREATE_SHARE) -> str:
    operation = f"raw-{uuid.uuid4()}"
    request = StartWorkflowExecutionRequest(
        namespace="default",
        workflow_id=operation,
        workflow_type=WorkflowType(name=kind),
        task_queue=TaskQueue(name=names.QUEUE),
        input=Payloads(payloads=payloads),
        request_id=str(uuid.uuid4()),
    )
    await world.client.workflow_service.start_workflow_execution(request)
    return operation


def _json(data: bytes) -> Payload:
    return Payload(metadata={"encoding": b"json/plain"}, data=data)


GOOD = b'{"name": "a", "size": 1024}'
RAW: dict[str, tuple[list[Payload], str]] = {
    "malformed": ([_json(b'{"name": ')], "not JSON"),
    "nan": ([_json(b'{"name": "a", "size": NaN}')], "is not a size"),
    "infinite": ([_json(b'{"name": "a", "size": 1e999}')], "is not a size"),
    "twice": ([_json(b'{"name": "a", "name": "b", "size": 1}')], "given twice"),
    "array": ([_json(b"[]")], "object"),
    "nothing": ([], "0 were given"),
    "two": ([_json(GOOD), _json(GOOD)], "2 were given"),
    "bytes": ([Payload(metadata={"encoding": b"binary/plain"}, data=GOOD)], "not JSON"),
    "no encoding": ([Payload(data=GOOD)], "not JSON"),
    "lone surrogate": ([_json(b'{"name": "\\ud800", "size": 1}')], "SF100"),
    "deep": ([_json(b"[" * 100_000 + b"]" * 100_000)], "SF100"),
}


@pytest.mark.parametrize("case", RAW)
async def test_raw_input_of_any_kind_fails_the_workflow_and_not_its_task(world: World, case: str) -> None:
    """A workflow task that fails would be retried for ever: there is none in the history."""
    payloads, text = RAW[case]
    before = _rows(world)
    handle = world.client.get_workflow_handle(await _start_raw(world, payloads))
    with pytest.raises(WorkflowFailureError) as caught:
        await asyncio.wait_for(handle.result(), 10)
    assert isinstance(caught.value.cause, ApplicationError)
    assert caught.value.cause.type == "InvalidInput"
    assert text in str(caught.value.cause)
    events = [event.event_type async for event in handle.fetch_history_events()]
    assert EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED not in events
    assert _rows(world) == before


async def test_a_misspelt_operation_fails_and_names_the_nearest(world: World) -> None:
    """A type that no worker knows would have its task retried for ever."""
    handle = world.client.get_workflow_handle(await _start_raw(world, [_json(GOOD)], kind="CreateShrae"))
    with pytest.raises(WorkflowFailureError) as caught:
        await asyncio.wait_for(handle.result(), 10)
    assert "did you mean CreateShare" in str(caught.value.cause)


async def test_three_mebibytes_of_input_are_refused_by_the_server(world: World) -> None:
    """Nothing starts."""
    with pytest.raises(RPCError):
        await _start_raw(world, [_json(b'{"name": "' + b"x" * 3 * 2**20 + b'"}')])


async def test_bad_input_of_reads_fails_at_once_without_retries(world: World) -> None:
    """A read is answered or refused, never retried for a refusal."""
    for name, query, text in (
        (names.LIST_SHARES, {"limit": 0}, "limit"),
        (names.LIST_SHARES, {"sort": "colour"}, "sort"),
        (names.LIST_SHARES, {"after": "not-a-position"}, "after"),
        (names.GET_SHARE, {"share": "../x"}, "share"),
        (names.GET_SHARE, {"share": "nope"}, "there is no share"),
        (names.GET_OPERATION, {"operation": "nope"}, "there is no operation"),
    ):
        with pytest.raises(Exception, match="failed") as caught:
            await asyncio.wait_for(world.read(name, query, reads.ShareView), 8)
        assert text in str(caught.value.__cause__)


async def test_bad_input_of_commands_is_refused_or_dropped_and_the_operation_goes_on(world: World) -> None:
    """An update is refused with the reason; a signal that cannot be read changes nothing."""
    project = world.project()
    await world.run(names.CREATE_SHARE, {"project": project, "name": "home", "size": GIB})
    deletion = await world.start(names.DELETE_SHARE, {"project": project, "share": "home"})
    await world.until(deletion, "recycle-bin")
    for bad in ({"extend_by": "7 fortnights"}, {"extend": 1}, {}):
        with pytest.raises(WorkflowUpdateFailedError) as caught:
            await deletion.execute_update(names.EXTEND_RETENTION, bad)
        assert "extend_by" in str(caught.value.__cause__) or "extend" in str(caught.value.__cause__)
        await deletion.signal(names.EXTEND_RETENTION, bad)
    with pytest.raises(WorkflowUpdateFailedError):
        await deletion.execute_update(names.RESTORE, {"name": "../x"})
    await deletion.execute_update(names.RESTORE, {})
    assert (await world.result(deletion))["outcome"] == "restored"
