"""What the scenarios are made of: what is there before, scripted rules, and what is sent to a running operation."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from temporalio.client import WorkflowHandle, WorkflowUpdateFailedError
from temporalio.service import RPCError

from activities import specs
from drivers.contract import ObjectRef
from drivers.fake import FaultKind
from inventory import catalogue
from inventory.database import Turn
from shareflow import faults, names
from tests.matrix.stage import GIB, Stage, soon
from tests.support.scenes import Gate

Prepare = Callable[[Stage], Coroutine[Any, Any, None]]
Handle = WorkflowHandle[Any, Any]
Drive = Callable[[Stage, Handle], Coroutine[Any, Any, None]]
Rules = Callable[[Stage], None]


def home(pool: str = "a1", *, snapshots: int = 0, kind: str = "standard") -> Prepare:
    """A share ``home`` with content, and snapshots s1, s2 ... each followed by other content."""

    async def prepare(stage: Stage) -> None:
        await asyncio.to_thread(make, stage)

    def make(stage: Stage) -> None:
        stage.make_share("home", 2 * GIB, pool, kind)
        stage.write("home", "first")
        for number in range(1, snapshots + 1):
            stage.make_snapshot("home", f"s{number}")
            stage.write("home", f"after-s{number}")

    return prepare


def replicated(pool: str = "a2", *, at: str = "a1", changed: bool = False) -> Prepare:
    """The share with a snapshot and a replica; other content since, when it is changed."""

    async def prepare(stage: Stage) -> None:
        await home(at, snapshots=1, kind="twice")(stage)
        await stage.replicate(pool)
        if changed:
            await asyncio.to_thread(stage.write, "home", "later")

    return prepare


async def kept_in_step(stage: Stage) -> None:
    """The same with later content, and the operation that keeps the replica in step is the one under test."""
    await replicated(changed=True)(stage)
    (replica,) = stage.replicas()
    stage.asked = {"share": replica["share_id"], "replica": replica["id"], "by": ""}
    stage.operation = replica["sync_operation"]
    stage.operations.append(stage.operation)
    await stage.world.client.get_workflow_handle(stage.operation).terminate("it is started anew by the cell")


def as_opened(stage: Stage) -> dict[str, Any]:
    """What the operation was asked for when it was opened."""
    return stage.asked


async def round_then_delete(stage: Stage, _handle: Handle) -> None:
    """Delete the replica once a round has brought it everything."""

    def whole() -> bool:
        (replica,) = stage.replicas()
        backend, ref = stage.place("home")
        array = stage.world.array(backend)
        there = array.fingerprint(ObjectRef("a2", replica["object"]))
        return there == array.fingerprint(ref) and replica["claimed_by"] is None and replica["error"] == ""

    await soon(whole, "a round", seconds=60, pause=0.1)
    await stage.world.run(
        names.DELETE_REPLICA, stage.input(share="home", replica="a2"), operation=stage.new_operation()
    )


async def applied(stage: Stage) -> None:
    """The world's specs count as applied by an operation, so that applying them again leaves their revision alone."""
    await asyncio.to_thread(_apply_once, stage)


def _apply_once(stage: Stage) -> None:
    with stage.world.database.write() as connection:
        Turn.ACCOUNTS.take(connection)
        row = catalogue.current_set(connection)
        assert row is not None
        if not row["managed"]:
            found = specs.planned(connection, row["documents"])
            catalogue.apply(connection, specs.away_from_drivers(connection, found), managed=True)


def same_set(stage: Stage) -> dict[str, Any]:
    """The set that counts, with its plan: one that changes something would change it for all other cells as well."""
    with stage.world.database.read() as connection:
        row = catalogue.current_set(connection)
        assert row is not None
        token = specs.planned(connection, row["documents"]).token
    return {"documents": row["documents"], "plan": token.model_dump()}


async def behind_another(stage: Stage) -> None:
    """A share that another operation holds until the one under test stands in line."""
    await home()(stage)
    blocker = stage.new_operation()

    def hold() -> None:
        end = time.monotonic() + 20
        while not stage.waits() and time.monotonic() < end:
            time.sleep(0.02)

    faults.arm("backend.create_snapshot.before_call", hold, operation=blocker)
    request = stage.input(share="home", name="blocker")
    stage.others.append(await stage.world.start(names.CREATE_SNAPSHOT, request, operation=blocker))
    await soon(lambda: "snapshot home/blocker" in stage.picture(), "the claim of the other operation")


def half_then_refused(verb: str, step: str) -> Rules:
    """The first try does its work in part, the second is refused for good: there is something to undo."""

    def rules(stage: Stage) -> None:
        script = stage.world.array("alpha").script
        script.add(FaultKind.HALF, verb=verb, operation=stage.operation, step=step)
        script.add(FaultKind.REJECT, verb=verb, operation=stage.operation, step=step)

    return rules


def once(kind: FaultKind, verb: str, step: str) -> Rules:
    """A step of the operation meets one fault."""

    def rules(stage: Stage) -> None:
        stage.world.array("alpha").script.add(kind, verb=verb, operation=stage.operation, step=step)

    return rules


def source_unreadable(kind: FaultKind) -> Rules:
    """The mover meets one fault when it opens the snapshot."""

    def rules(stage: Stage) -> None:
        backend, ref = stage.place("home", "s1")
        stage.world.array(backend).script.add(kind, verb="data_path", name=ref.name)

    return rules


async def command(stage: Stage, handle: Handle, name: str, body: dict[str, Any]) -> str:
    """Send an update as soon as the operation takes it; gives its answer."""
    async with asyncio.timeout(120):
        while True:
            await soon(lambda: stage.phase() == "recycle-bin", "the recycle bin")
            try:
                return str(await handle.execute_update(name, body))
            except WorkflowUpdateFailedError as error:
                if "not in the recycle bin" not in str(error.cause):
                    raise
            except RPCError:  # the server was busy, or the operation is just ending
                await asyncio.sleep(0.1)
            await asyncio.sleep(0.05)


def sends(*commands: tuple[str, dict[str, Any], str]) -> Drive:
    """Commands one after the other, each with what its answer starts with."""

    async def drive(stage: Stage, handle: Handle) -> None:
        for name, body, expected in commands:
            answer = await command(stage, handle, name, body)
            if not answer.startswith(expected):
                raise AssertionError(f"{name} answered {answer!r}, not {expected!r}")

    return drive


def held_at(point: str, visit: int = 1) -> Rules:
    """The operation is held at a point until what drives it lets it go on."""

    def rules(stage: Stage) -> None:
        for _ in range(visit - 1):
            faults.arm(point, lambda: None, operation=stage.operation)
        stage.gate = Gate(point, stage.operation)

    return rules


def meanwhile(name: str, body: Mapping[str, Any], expected: str) -> Drive:
    """A command while the operation is held at its gate, with what its answer starts with."""

    async def drive(stage: Stage, handle: Handle) -> None:
        assert stage.gate is not None
        try:
            await soon(stage.gate.is_reached, "the gate")
            answer = await handle.execute_update(name, body)
        finally:
            stage.gate.open()
        if not answer.startswith(expected):
            raise AssertionError(f"{name} answered {answer!r}, not {expected!r}")

    return drive


async def commands_cutover(stage: Stage, handle: Handle) -> None:
    """Cut over by command; once more whenever a cutover failed."""
    if stage.before_command is not None:
        await stage.before_command.wait()
    while not stage.phase() and stage.state() not in ("succeeded", "failed-clean"):
        with contextlib.suppress(WorkflowUpdateFailedError, RPCError):
            await handle.execute_update(names.CUTOVER, {})
        await asyncio.sleep(0.1)


def busy_revert(*, done: bool) -> Rules:
    """The revert pauses between two tries, before its effect or after it."""

    def rules(stage: Stage) -> None:
        script = stage.world.array("alpha").script
        if done:
            script.add(FaultKind.ERROR_AFTER_EFFECT, verb="revert_share", operation=stage.operation)
        stage.noted = script.add(FaultKind.BUSY, verb="revert_share", operation=stage.operation, retry_after=3.0)

    return rules


async def cancel_in_the_pause(stage: Stage, handle: Handle) -> None:
    """Cancel while the step pauses between two tries."""
    await soon(lambda: stage.noted is None or stage.world.array("alpha").script.hits(stage.noted) > 0, "the pause")
    await asyncio.sleep(0.2)
    await handle.cancel()
