"""SIGKILL in the middle of every operation, on real directories and btrfs: it ends by itself, and nothing is lost."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from shareflow import names
from tests.chaos.land import DRIVERS, Land, settled, two_pools

pytestmark = [pytest.mark.slow, pytest.mark.timeout(420)]


@dataclass(frozen=True)
class Case:
    """An operation, what it asks for, and the backend step in its middle."""

    kind: str
    request: dict[str, Any]
    step: str
    purge: bool = False
    needs: str = ""


MOVE = {
    "share": "home",
    "to_pool": "two",
    "preserve_snapshots": True,
    "cutover_when": "immediately",
    "grace": 0,
    "verify": "full",
}
CASES = [
    *(
        Case(names.MIGRATE_SHARE, {**MOVE, "mode": "host"}, step)
        for step in (
            "backend.create_share",
            "mover.copy",
            "backend.create_snapshot",
            "backend.fence",
            "mover.verify",
            "inventory.switch_share",
            "inventory.end_cutover",
            "backend.delete_share",
        )
    ),
    *(
        Case(names.MIGRATE_SHARE, {**MOVE, "mode": "driver"}, step, needs="btrfs")
        for step in ("mover.receive", "backend.revert_share")
    ),
    Case(names.CREATE_SHARE, {"name": "new", "size": "64 MiB"}, "backend.create_share"),
    Case(
        names.CREATE_SHARE_FROM_SNAPSHOT,
        {"name": "new", "share": "home", "snapshot": "s1", "pool": "one"},
        "backend.clone_snapshot",
    ),
    Case(
        names.CREATE_SHARE_FROM_SNAPSHOT,
        {"name": "new", "share": "home", "snapshot": "s1", "pool": "two"},
        "mover.copy",
    ),
    Case(names.CREATE_SNAPSHOT, {"share": "home", "name": "s3"}, "backend.create_snapshot"),
    Case(names.DELETE_SNAPSHOT, {"share": "home", "snapshot": "s2"}, "backend.delete_snapshot"),
    Case(names.REVERT_SHARE, {"share": "home", "snapshot": "s1"}, "backend.revert_share"),
    Case(names.RESIZE_SHARE, {"share": "home", "size": "256 MiB"}, "backend.resize_share"),
    Case(names.DELETE_SHARE, {"share": "home"}, "backend.set_access_mode"),
    Case(names.DELETE_SHARE, {"share": "home"}, "backend.delete_share", purge=True),
    Case(names.FORGET_SHARE, {"share": "spare"}, "inventory.begin"),
]
MOMENTS = {"before": ("before_call", "before_commit"), "after": ("after_call", "after_commit")}


@pytest.fixture(params=DRIVERS)
async def land(request: pytest.FixtureRequest, temporal_binary: Path, tmp_path: Path) -> AsyncIterator[Land]:
    """Everything on one driver, with a share that has content and two snapshots."""
    async with two_pools(temporal_binary, tmp_path, request.param) as running:
        await running.run(names.CREATE_SHARE, {"name": "home", "size": "128 MiB", "pool": "one"})
        await running.run(names.CREATE_SHARE, {"name": "spare", "size": "64 MiB"})
        write(running.path("home"), 1)
        await running.run(names.CREATE_SNAPSHOT, {"share": "home", "name": "s1"})
        write(running.path("home"), 2)
        await running.run(names.CREATE_SNAPSHOT, {"share": "home", "name": "s2"})
        write(running.path("home"), 3)
        await running.worker.stop()
        yield running


def write(root: Path, version: int) -> None:
    """Give a share recognisable content of a few MiB."""
    for number in range(40):
        folder = root / f"d{number % 4}"
        folder.mkdir(exist_ok=True)
        (folder / f"f{number}").write_bytes(bytes([version, number]) * 40_000)
    os.sync()


@pytest.mark.parametrize("moment", sorted(MOMENTS))
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.kind}-{case.request.get('mode', '')}-{case.step}")
async def test_worker_then_server_killed_in_the_middle_and_the_operation_ends_by_itself(
    land: Land, case: Case, moment: str
) -> None:
    """After SIGKILL of the worker at a fault point and of the server right after, everything holds without help."""
    if case.needs not in ("", land.driver_name):
        pytest.skip(f"only driver {case.needs} does that")
    point = next(
        f"{case.step}.{name}"
        for name in MOMENTS[moment]
        if name.endswith("commit") == case.step.startswith("inventory")
    )
    before = land.fingerprint("home")
    await land.start_worker(fault=point)
    handle = await land.start(case.kind, case.request, f"op-{uuid.uuid4()}")
    if case.purge:
        await _send(land, handle.id, names.PURGE_NOW)
    assert await land.worker_died(), f"{point} was never hit"
    await land.start_worker()
    await land.restart_server()
    client = await land.client()
    if case.kind == names.DELETE_SHARE and not case.purge:
        await _send(land, handle.id, names.RESTORE)
    assert await settled(handle, client) == "COMPLETED"
    if case.kind == names.FORGET_SHARE:
        assert [line for line in land.violations() if not line.startswith("orphan") and "allocated" not in line] == []
        return
    assert land.violations() == []
    await _check_content(land, case, before)


async def _send(land: Land, operation: str, command: str) -> None:
    async with asyncio.timeout(60):
        while True:
            handle = (await land.client()).get_workflow_handle(operation)
            try:
                if (await handle.query(names.STATUS))["phase"] == "recycle-bin":
                    await handle.signal(command, {})
                    return
            except Exception:  # noqa: BLE001, S110  (whatever is down now comes back)
                pass
            await asyncio.sleep(0.3)


async def _check_content(land: Land, case: Case, before: str) -> None:
    if case.purge:
        return
    home = land.path("home")
    version = 1 if case.kind == names.REVERT_SHARE else 3
    assert (home / "d0" / "f0").read_bytes()[:1] == bytes([version])
    if case.kind != names.REVERT_SHARE:
        assert land.fingerprint("home") == before
    if case.kind == names.CREATE_SHARE_FROM_SNAPSHOT:
        assert (land.path("new") / "d1" / "f1").read_bytes() == bytes([1, 1]) * 40_000
