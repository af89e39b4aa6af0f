"""Bad input: a clear error with code, field, value and next step; nothing changes, nothing keeps running."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from sqlalchemy import func, insert, select
from sqlmodel import SQLModel
from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowExecutionStatus, WorkflowUpdateFailedError
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from inventory import tables
from shareflow import names
from tests.support.scenes import BACKENDS, Handle, Scene
from tests.support.world import Refused, World

SECONDS = 5.0
GROWING = ("audit", "reservations", "share_types", "tombstones", "findings")
GOOD = {"name": "new", "size": "1 GiB"}


def _raw(data: bytes, encoding: str = "json/plain") -> RawValue:
    return RawValue(Payload(metadata={"encoding": encoding.encode()}, data=data))


# What comes in the place of one JSON object, and what the error must say.
NO_OBJECT: dict[str, tuple[list[Any], str]] = {
    "malformed JSON": ([_raw(b'{"name": "new", ')], "not JSON"),
    "empty payload": ([_raw(b"")], "not JSON"),
    "invalid UTF-8": ([_raw(b'{"name": "\xff\xfe", "size": 1}')], "not JSON"),
    "lone surrogate": ([_raw(b'{"name": "\\ud800", "size": 1}')], "not JSON"),
    "nested too deep": ([_raw(b"[" * 100_000)], "not JSON"),
    "number of 5,000 digits": ([_raw(b'{"name": "new", "size": ' + b"9" * 5000 + b"}")], "not JSON"),
    "a list": ([[GOOD]], "should be an object"),
    "a text": (["new"], "should be an object"),
    "a number": ([7], "should be an object"),
    "truth": ([True], "should be an object"),
    "null": ([_raw(b"null")], "should be an object"),
    "nothing at all": ([None], "there is no input"),
    "bytes": ([b"\x00\x01"], "'binary/plain', not JSON"),
    "protobuf": ([_raw(b"{}", "json/protobuf")], "'json/protobuf', not JSON"),
    "unknown encoding": ([_raw(b"{}", "foo/bar")], "'foo/bar', not JSON"),
    "no encoding": ([RawValue(Payload(data=b"{}"))], "not JSON"),
    "no input": ([], "takes one input object, 0 were given"),
    "two inputs": ([GOOD, GOOD], "takes one input object, 2 were given"),
    "two inputs, both unreadable": ([_raw(b"{"), _raw(b"", "foo/bar")], "SF100"),
    "field given twice": ([_raw(b'{"name": "a", "name": "b", "size": 1}')], "name: the field 'name' is given twice"),
}

# A field of CreateShare, its bad value, and what the error must say beside the field.
FIELDS: dict[str, tuple[str, Any, str]] = {
    "size zero": ("size", 0, "at least 1 byte, this is 0"),
    "size zero with unit": ("size", "0 GiB", "at least 1 byte, this is 0"),
    "size negative": ("size", -1, "at least 1 byte, this is -1"),
    "size negative text": ("size", "-5 GiB", "at least 1 byte, this is -5368709120"),
    "size NaN": ("size", float("nan"), "nan is not a size"),
    "size infinite": ("size", float("inf"), "is not a size"),
    "size text NaN": ("size", "NaN", "'NaN' is not a size"),
    "size fractional number": ("size", 1.5, "1.5 is not a size"),
    "size fractional bytes": ("size", "1.5", "not a whole number of bytes"),
    "size fractional with unit": ("size", "0.3 B", "not a whole number of bytes"),
    "size in words": ("size", "ten", "'ten' is not a size; write a number and a unit, like '10 GiB'"),
    "size unit typo": ("size", "10 GB", "did you mean GiB?"),
    "size unit misspelt": ("size", "10 GIB", "did you mean GiB?"),
    "size unit unknown": ("size", "10 Floppies", "use one of B, KiB, MiB"),
    "size empty": ("size", "", "'' is not a size"),
    "size truth": ("size", True, "True is not a size"),
    "size list": ("size", [1], "[1] is not a size"),
    "size null": ("size", None, "None is not a size"),
    "size beyond 64 bits": ("size", 2**70, "at most"),
    "size astronomical": ("size", "9" * 50 + " PiB", "too many digits"),
    "size exponent": ("size", "1e9", "is not a size"),
    "size in other digits": ("size", "\uff11\uff10 GiB", "is not a size"),
    "name empty": ("name", "", "a name cannot be empty"),
    "name of 256 characters": ("name", "x" * 256, "at most 63 characters, this one has 256"),
    "name with NUL": ("name", "a\x00b", "'\\x00' cannot be in a name"),
    "name with newline": ("name", "a\nb", "'\\n' cannot be in a name"),
    "name with escape": ("name", "a\x1b[31m", "'\\x1b' cannot be in a name"),
    "name with slash": ("name", "a/b", "'/' cannot be in a name"),
    "name up": ("name", "..", "starts with a letter or a digit"),
    "name with dots": ("name", "a..b", "'..' cannot be in a name"),
    "name with leading dash": ("name", "-rf", "not with '-'"),
    "name with blank": ("name", "a b", "' ' cannot be in a name"),
    "name in look-alike letters": ("name", "h\u043eme", "'\\u043e' cannot be in a name"),
    "name right to left": ("name", "a\u202eb", "'\\u202e' cannot be in a name"),
    "name combining": ("name", "e\u0301", "'\\u0301' cannot be in a name"),
    "name a number": ("name", 7, "7 is refused"),
    "name null": ("name", None, "None is refused"),
    "project up": ("project", "../other", "starts with a letter or a digit"),
    "project empty": ("project", "", "a name cannot be empty"),
    "type with quote": ("type", "a'; DROP TABLE shares; --", "cannot be in a name"),
    "description with control characters": ("description", "a\x07b", "'\\x07' cannot be here"),
    "description too long": ("description", "x" * 256, "at most 255 characters, this has 256"),
    "reason a list": ("reason", ["why"], "['why'] is refused"),
    "on_busy unknown": ("on_busy", "wait", "should be 'queue' or 'fail'"),
    "on_busy truth": ("on_busy", True, "should be 'queue' or 'fail'"),
    "zone a number": ("zone", 1, "1 is refused"),
}


def _dump(world: World) -> dict[str, object]:
    """All rows of all tables but the records of operations and the clock, which notes refused decisions too.

    Of tables that only grow it is the number of rows.
    """
    with world.database.read() as connection:
        return {
            name: connection.execute(select(func.count()).select_from(table)).scalar_one()
            if name in GROWING
            else sorted(str(row) for row in connection.execute(select(table)).all())
            for name, table in SQLModel.metadata.tables.items()
            if name not in ("operations", "pool_clock")
        }


@pytest.fixture
def scene(world: World) -> Iterator[Scene]:
    """A project of its own in which nothing may change: rows, claims, objects on the arrays."""
    scene = Scene(world, world.project())
    rows, objects = _dump(world), [world.array(name).objects() for name in BACKENDS]
    yield scene
    assert _dump(world) == rows
    assert [world.array(name).objects() for name in BACKENDS] == objects
    for row in scene.rows(tables.operations, project=scene.project):
        assert row["state"] == "failed-clean"


async def _refusal(handle: Handle) -> Refused:
    """The failure of a workflow that may not run on."""
    async with asyncio.timeout(SECONDS):
        with pytest.raises(Refused) as refused:
            await World.result(None, handle)  # type: ignore[arg-type]
    assert (await handle.describe()).status is WorkflowExecutionStatus.FAILED
    events = [event.event_type async for event in handle.fetch_history_events()]
    assert EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED not in events
    text = refused.value.text
    assert len(text) < 700, "the error repeats too much of its input"
    assert text.isprintable()
    assert "pydantic" not in text
    return refused.value


async def _send(world: World, kind: str, *args: Any, operation: str | None = None) -> Handle:
    return await world.client.start_workflow(
        kind, args=args, id=operation or f"bad-{uuid.uuid4()}", task_queue=names.QUEUE
    )


@pytest.mark.parametrize("case", NO_OBJECT)
async def test_what_is_not_one_json_object_fails_at_once(scene: Scene, case: str) -> None:
    """Whatever bytes come: the workflow fails with a reason, its task is not retried."""
    args, expected = NO_OBJECT[case]
    refused = await _refusal(await _send(scene.world, names.CREATE_SHARE, *args))
    assert refused.code == "InvalidInput"
    assert "SF100" in refused.text
    assert expected in refused.text
    assert refused.text.endswith("]"), "there is no next step"


@pytest.mark.parametrize("kind", names.OPERATION_TYPES)
@pytest.mark.parametrize("case", ["malformed JSON", "nothing at all", "bytes", "no input", "two inputs", "a list"])
async def test_every_operation_refuses_what_is_not_one_json_object(scene: Scene, kind: str, case: str) -> None:
    """All workflow types go through the same door."""
    args, expected = NO_OBJECT[case]
    refused = await _refusal(await _send(scene.world, kind, *args))
    assert expected in refused.text


@pytest.mark.parametrize("case", FIELDS)
async def test_bad_value_is_named_with_its_field_and_what_is_allowed(scene: Scene, case: str) -> None:
    """Code, field, value, and what would be right."""
    field, value, expected = FIELDS[case]
    request = {"project": scene.project, **GOOD, field: value}
    data = json.dumps(request, ensure_ascii="surrogate" not in case).encode()
    refused = await _refusal(await _send(scene.world, names.CREATE_SHARE, _raw(data)))
    assert refused.code == "InvalidInput"
    assert f"SF100 {field}: " in refused.text
    assert expected in refused.text
    assert refused.text.endswith("]"), "there is no next step"


async def test_misspelt_field_is_named_with_the_right_one(scene: Scene) -> None:
    """Unknown fields are refused, the nearest known one is suggested, and all are listed."""
    request = {"project": scene.project, "nmae": "new", "size": "1 GiB"}
    refused = await _refusal(await _send(scene.world, names.CREATE_SHARE, request))
    assert "SF100 nmae: unknown field" in refused.text
    assert "did you mean 'name'?" in refused.text
    assert "description" in refused.text


async def test_missing_field_is_named(scene: Scene) -> None:
    """What is required and not given."""
    refused = await _refusal(await _send(scene.world, names.CREATE_SHARE, {"project": scene.project, "name": "new"}))
    assert "SF100 size: required, but not given" in refused.text


@pytest.mark.parametrize(
    ("kind", "fields", "code", "expected"),
    [
        (names.CREATE_SHARE, {**GOOD, "type": "gold"}, "UnknownType", "'gold'"),
        (names.CREATE_SHARE, {**GOOD, "pool": "nowhere"}, "NotFound", "there is no pool 'nowhere'"),
        (names.CREATE_SHARE, {**GOOD, "backend": "nobody"}, "NotFound", "there is no backend 'nobody'"),
        (names.CREATE_SHARE, {**GOOD, "zone": "mars"}, "NoPoolFits", "mars"),
        (names.CREATE_SHARE, {"name": "new", "size": "1000 PiB"}, "NoPoolFits", "SF200 size: 1000 PiB"),
        (names.RESIZE_SHARE, {"share": "nothing", "size": 1}, "NotFound", "share: there is no share 'nothing'"),
        (names.DELETE_SHARE, {"share": "nothing"}, "NotFound", "share: there is no share 'nothing'"),
        (names.DELETE_SHARE, {"share": "nothing", "preview": True}, "NotFound", "there is no share 'nothing'"),
        (names.DELETE_SHARE, {"share": "a", "retention": "7 fortnights"}, "InvalidInput", "unknown unit 'fortnights'"),
        (names.DELETE_SHARE, {"share": "a", "retention": -1}, "InvalidInput", "retention: -1 is refused"),
        (names.FORGET_SHARE, {"share": "nothing"}, "NotFound", "there is no share 'nothing'"),
        (names.SET_SHARE_QOS, {"share": "nothing", "qos": None}, "NotFound", "share: there is no share 'nothing'"),
        (names.SET_SHARE_QOS, {"share": "a"}, "InvalidInput", "SF100 qos: required, but not given"),
        (names.SET_SHARE_QOS, {"share": "a", "qos": 7}, "InvalidInput", "SF100 qos: 7 is refused"),
        (names.SET_SHARE_QOS, {"share": "a", "qos": "a/b"}, "InvalidInput", "'/' cannot be in a name"),
        (names.SET_SHARE_QOS, {"share": "a", "qso": "gold", "qos": None}, "InvalidInput", "did you mean 'qos'?"),
        (names.CREATE_SNAPSHOT, {"share": "nothing", "name": "s1"}, "NotFound", "there is no share 'nothing'"),
        (names.REVERT_SHARE, {"share": "nothing", "snapshot": "s1"}, "NotFound", "there is no share 'nothing'"),
    ],
)
async def test_what_does_not_exist_or_fit_is_named(
    scene: Scene, kind: str, fields: dict[str, Any], code: str, expected: str
) -> None:
    """The value that was wrong, and where to look for right ones."""
    refused = await _refusal(await scene.start(kind, **fields))
    assert refused.code == code
    assert expected in refused.text
    assert refused.text.endswith("]"), "there is no next step"


async def test_misspelt_operation_fails_with_the_right_name(scene: Scene) -> None:
    """An unknown workflow type does not wait for a worker that knows it."""
    refused = await _refusal(await _send(scene.world, "CreateShares", {**GOOD, "project": scene.project}))
    assert "SF100 type: there is no operation 'CreateShares' [did you mean CreateShare?" in refused.text


async def test_payload_of_3_mib_starts_nothing(scene: Scene) -> None:
    """The server refuses it before there is a workflow."""
    operation = f"bad-{uuid.uuid4()}"
    with pytest.raises(RPCError) as refused:
        await _send(scene.world, names.CREATE_SHARE, {**GOOD, "description": "x" * 3 * 2**20}, operation=operation)
    assert refused.value.status is RPCStatusCode.INVALID_ARGUMENT
    with pytest.raises(RPCError) as missing:
        await scene.world.client.get_workflow_handle(operation).describe()
    assert missing.value.status is RPCStatusCode.NOT_FOUND


async def test_payload_that_the_server_just_takes_is_refused_in_a_few_words(scene: Scene) -> None:
    """The error does not repeat what it refuses."""
    request = {**GOOD, "project": scene.project, "description": "x" * 1_900_000}
    refused = await _refusal(await _send(scene.world, names.CREATE_SHARE, request))
    assert "SF100 description: " in refused.text
    assert "this has 1900000" in refused.text


@pytest.mark.parametrize("operation", ["line\nbreak", "x" * 300])
async def test_workflow_id_that_cannot_be_kept_is_refused(scene: Scene, operation: str) -> None:
    """The id of an operation is shown, stored and typed by people."""
    refused = await _refusal(
        await _send(scene.world, names.CREATE_SHARE, {**GOOD, "project": scene.project}, operation=operation)
    )
    assert "SF100 workflow id: " in refused.text


# -- what belongs to others


@pytest.fixture(scope="module")
async def theirs(world: World) -> AsyncIterator[dict[str, Any]]:
    """A share with a snapshot in another project, which stays there during all of these tests."""
    scene = Scene(world, world.project())
    share = await scene.create("secret")
    snapshot = await scene.snapshot("s1", "secret")
    yield {**share, **snapshot}
    await scene.purge("secret")


@pytest.mark.parametrize("by", ["name", "share_id"])
@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (names.RESIZE_SHARE, {"size": 1}),
        (names.DELETE_SHARE, {}),
        (names.FORGET_SHARE, {}),
        (names.SET_SHARE_QOS, {"qos": "gold"}),
        (names.CREATE_SNAPSHOT, {"name": "s2"}),
        (names.DELETE_SNAPSHOT, {"snapshot": "s1"}),
        (names.REVERT_SHARE, {"snapshot": "s1"}),
        (names.CREATE_SHARE_FROM_SNAPSHOT, {"snapshot": "s1", "name": "mine"}),
    ],
)
async def test_share_of_another_project_gets_the_same_answer_as_an_unknown_one(
    theirs: dict[str, Any], scene: Scene, kind: str, fields: dict[str, Any], by: str
) -> None:
    """Nobody learns what others have."""
    unknown = "secret2" if by == "name" else str(uuid.uuid4())
    known = "secret" if by == "name" else theirs["share_id"]
    answers = [await _refusal(await scene.start(kind, share=share, **fields)) for share in (known, unknown)]
    assert answers[0].code == answers[1].code == "NotFound"
    assert answers[0].text.replace(known, "X") == answers[1].text.replace(unknown, "X")


async def test_unknown_snapshot_is_named_with_its_share(world: World) -> None:
    """The snapshot is looked for in its share only."""
    mine = Scene(world, world.project())
    await mine.create()
    for kind in (names.DELETE_SNAPSHOT, names.REVERT_SHARE):
        refused = await _refusal(await mine.start(kind, share="home", snapshot="nope"))
        assert refused.code == "NotFound"
        assert "snapshot: share 'home' has no snapshot 'nope'" in refused.text
    await mine.purge("home")


async def test_snapshot_of_another_project_gets_the_same_answer_as_an_unknown_one(
    world: World, theirs: dict[str, Any]
) -> None:
    """Not even by its id, through a share of one's own."""
    mine = Scene(world, world.project())
    await mine.create()
    unknown = str(uuid.uuid4())
    answers = [
        await _refusal(await mine.start(names.REVERT_SHARE, share="home", snapshot=snapshot))
        for snapshot in (theirs["snapshot_id"], unknown)
    ]
    assert answers[0].text.replace(theirs["snapshot_id"], "X") == answers[1].text.replace(unknown, "X")
    await mine.purge("home")


async def test_request_above_the_quota_says_limit_use_and_request(scene: Scene) -> None:
    """Nothing is set aside for it."""
    quota = tables.quotas
    with scene.world.database.write() as connection:
        connection.execute(insert(quota).values(project=scene.project, own_limits=True, bytes_limit=2**20))
    refused = await _refusal(await scene.start(names.CREATE_SHARE, **GOOD))
    assert refused.code == "QuotaExceeded"
    assert "asks for 1 GiB more bytes, uses 0 B and may use 1 MiB" in refused.text
    with scene.world.database.write() as connection:
        connection.execute(quota.delete().where(quota.c.project == scene.project))


# -- commands into a running operation

COMMANDS: dict[str, list[Any]] = {
    "malformed JSON": [_raw(b"{")],
    "bytes": [b"\x00"],
    "unknown encoding": [_raw(b"{}", "foo/bar")],
    "a list": [[1]],
    "unknown field": [{"extend_by": "1 d", "forever": True}],
    "bad value": [{"extend_by": "soon", "name": 7, "by": 7}],
    "two inputs": [{"extend_by": "1 d"}, {}],
    "control characters": [{"extend_by": "1 d", "by": "a\x00b"}],
}


@pytest.fixture
async def binned(world: World) -> AsyncIterator[Handle]:
    """A deletion in the recycle bin, which must still be there afterwards, and restorable."""
    scene = Scene(world, world.project())
    await scene.create()
    handle = await scene.bin()
    before = await scene.status(handle)
    yield handle
    after = await scene.status(handle)
    assert (after["phase"], after["purge_at"]) == ("recycle-bin", before["purge_at"])
    await handle.execute_update(names.RESTORE, {})
    assert (await world.result(handle))["outcome"] == "restored"
    await scene.purge("home")
    scene.check()


@pytest.mark.parametrize("case", COMMANDS)
async def test_update_with_a_bad_payload_is_refused_with_the_reason(binned: Handle, case: str) -> None:
    """The sender reads what was wrong; the operation goes on waiting."""
    for command in (names.RESTORE, names.PURGE_NOW, names.EXTEND_RETENTION):
        with pytest.raises(WorkflowUpdateFailedError) as refused:
            async with asyncio.timeout(SECONDS):
                await binned.execute_update(command, args=COMMANDS[case])
        cause = refused.value.cause
        assert isinstance(cause, ApplicationError)
        assert cause.type == "InvalidInput"
        assert cause.message.startswith("SF100 ")


async def test_extension_without_an_input_is_refused_with_the_reason(binned: Handle) -> None:
    """By how much is not to be guessed."""
    inputs: list[list[Any]] = [[], [None], [{}], *([{"extend_by": bad}] for bad in (-60, "11 y", "4000 d"))]
    for args in inputs:
        with pytest.raises(WorkflowUpdateFailedError) as refused:
            async with asyncio.timeout(SECONDS):
                await binned.execute_update(names.EXTEND_RETENTION, args=args)
        assert isinstance(refused.value.cause, ApplicationError)
        assert refused.value.cause.message.startswith("SF100 ")


@pytest.mark.parametrize("case", COMMANDS)
async def test_signal_with_a_bad_payload_has_no_effect(binned: Handle, case: str) -> None:
    """There is nobody to tell, and the workflow must not stumble over it."""
    for command in (names.RESTORE, names.PURGE_NOW, names.EXTEND_RETENTION, names.RETRY_NOW):
        await binned.signal(command, args=COMMANDS[case])
    async with asyncio.timeout(SECONDS):
        assert (await binned.query(names.STATUS))["phase"] == "recycle-bin"


async def test_signals_that_nobody_expects_have_no_effect(binned: Handle) -> None:
    """Internal ones from outside, unknown ones, and an extension by nothing."""
    await binned.signal(names.CLAIM_GRANTED, args=[{"x": 1}, 2])
    await binned.signal(names.CLAIM_GRANTED)
    await binned.signal("explode", {})
    await binned.signal(names.EXTEND_RETENTION)
    async with asyncio.timeout(SECONDS):
        assert (await binned.query(names.STATUS))["phase"] == "recycle-bin"
    with pytest.raises(WorkflowUpdateFailedError):
        await binned.execute_update("explode", {})


# -- odd, but allowed


async def test_operation_id_of_any_printable_text_is_a_tag_and_never_a_path(world: World) -> None:
    """Ids come from users: a copy under such an id works, and leaves nothing anywhere else."""
    scene = Scene(world, world.project())
    share = await scene.create()
    scene.files().write(scene.ref(share["share_id"]), "a", b"1")
    await scene.snapshot()
    odd = f"../../{uuid.uuid4()}'; $(touch /tmp/x) & %n"
    copy = await scene.run(
        names.CREATE_SHARE_FROM_SNAPSHOT, operation=odd, share="home", snapshot="s1", name="copy", backend="beta"
    )
    assert scene.files("beta").tree(scene.ref(copy["share_id"])) == {"a": b"1"}
    await scene.purge("home", "copy")
    scene.check()
