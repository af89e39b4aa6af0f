"""The inventory database does not answer: operations wait, say so, and go on when it is back."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from drivers.fake import FaultKind
from inventory import tables
from shareflow import faults, names
from shareflow.errors import DatabaseUnavailable
from tests.support.scenes import Gate, Scene

TRANSACTIONS: list[tuple[str, str, dict[str, Any]]] = [
    ("begin", names.CREATE_SHARE, {"name": "new", "size": "2 GiB"}),
    ("commit", names.CREATE_SHARE, {"name": "new", "size": "2 GiB"}),
    ("place_again", names.CREATE_SHARE, {"name": "new", "size": "2 GiB"}),
    ("begin", names.CREATE_SHARE_FROM_SNAPSHOT, {"share": "home", "snapshot": "s1", "name": "new"}),
    ("begin", names.CREATE_SNAPSHOT, {"share": "home", "name": "s2"}),
    ("commit", names.CREATE_SNAPSHOT, {"share": "home", "name": "s2"}),
    ("mark", names.DELETE_SNAPSHOT, {"share": "home", "snapshot": "s1"}),
    ("commit", names.DELETE_SNAPSHOT, {"share": "home", "snapshot": "s1"}),
    ("commit", names.RESIZE_SHARE, {"share": "home", "size": "3 GiB"}),
    ("commit", names.REVERT_SHARE, {"share": "home", "snapshot": "s1"}),
    ("soft_deleted", names.DELETE_SHARE, {"share": "home"}),
    ("begin_purge", names.DELETE_SHARE, {"share": "home"}),
    ("commit", names.DELETE_SHARE, {"share": "home"}),
    ("begin", names.FORGET_SHARE, {"share": "home"}),
]


def _down() -> None:
    raise DatabaseUnavailable("connection refused")


@contextmanager
def _locked(scene: Scene) -> Iterator[None]:
    """Nobody else can write to the database while this lasts."""
    connection = sqlite3.connect(scene.world.database.url.database or "", timeout=10, isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")
        connection.close()


async def _interrupted(scene: Scene, point: str, kind: str, request: dict[str, Any]) -> None:
    await scene.create()
    await scene.snapshot()
    operation = scene.new_id()
    if "place_again" in point:
        scene.world.array().script.add(FaultKind.FULL, verb="create_share", pool="a1", operation=operation)
    faults.arm(point, _down, operation=operation)
    handle = await scene.start(kind, operation=operation, **request)
    if kind == names.DELETE_SHARE:
        await handle.signal(names.PURGE_NOW)
    await scene.world.result(handle)
    assert scene.operation(operation)["state"] == "succeeded", f"{kind} at {point}"


@pytest.mark.parametrize("moment", ["before_transaction", "after_commit"])
async def test_database_gone_for_one_transaction_is_waited_for(scene: Scene, moment: str) -> None:
    """Whether it went before the transaction or before its answer: each operation does it once and succeeds."""
    scenes = [Scene(scene.world, scene.world.project(), violations=scene.violations) for _ in TRANSACTIONS]
    await asyncio.gather(
        *(
            _interrupted(one, f"inventory.{step}.{moment}", kind, request)
            for one, (step, kind, request) in zip(scenes, TRANSACTIONS, strict=True)
        )
    )
    for one in scenes:
        one.check()


@pytest.mark.parametrize("moment", ["before_transaction", "after_commit"])
@pytest.mark.parametrize("command", [names.RESTORE, names.EXTEND_RETENTION])
async def test_command_into_the_recycle_bin_waits_for_the_database(scene: Scene, command: str, moment: str) -> None:
    """The sender gets the answer when the database is back; an extension counts once."""
    await scene.create()
    handle = await scene.bin(retention="1 d")
    before = (await scene.status(handle))["purge_at"]
    step = "restore_rows" if command == names.RESTORE else "retention"
    faults.arm(f"inventory.{step}.{moment}", _down, operation=handle.id)
    await handle.execute_update(command, {"extend_by": "1 d"} if command == names.EXTEND_RETENTION else {})
    if command == names.EXTEND_RETENTION:
        assert scene.days_between(before, (await scene.status(handle))["purge_at"]) == 1
        await handle.execute_update(names.RESTORE, {})
    assert (await scene.world.result(handle))["outcome"] == "restored"


async def test_undo_waits_for_the_database(scene: Scene) -> None:
    """What was set aside is given back as soon as that can be written."""
    operation = scene.new_id()
    gate = Gate("backend.create_share.before_call", operation)
    faults.arm("inventory.abort.before_transaction", _down, operation=operation, times=2)
    handle = await scene.start(names.CREATE_SHARE, operation=operation, name="home", size="1 GiB")
    await gate.reached()
    await handle.cancel()
    gate.open()
    await scene.cancelled(handle)


async def test_locked_database_is_named_in_the_status_until_it_is_back(scene: Scene) -> None:
    """In the middle of an operation: it says that it waits for the inventory, and ends by itself."""
    operation = scene.new_id()
    gate = Gate("backend.create_share.after_call", operation)
    handle = await scene.start(names.CREATE_SHARE, operation=operation, name="home", size="1 GiB")
    await gate.reached()
    with _locked(scene):
        gate.open()
        status = await scene.world.until(handle, "waiting", seconds=20)
        assert status["waiting_for"].startswith("the inventory database: ")
        assert status["step"] == "commit"
        assert names.RETRY_NOW in status["commands"]
        assert "the inventory database" in await scene.details(handle)
        assert scene.one(tables.operations, id=operation)["state"] == "running"
    await scene.world.result(handle)
