"""Replicas of real trees on real file systems, while a client changes the active instance in every way it can."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest

from shareflow import names
from shareflow.server.devserver import DevServer
from tests.migration.site import Client, differences
from tests.migration.test_real_data import seed
from tests.replication.pair import running_pair

pytestmark = [
    pytest.mark.timeout(240),
    pytest.mark.skipif(os.geteuid() != 0, reason="owners, ACLs and mounts need root"),
]
BTRFS = pytest.mark.needs("driver-btrfs")
PAIRS = [
    pytest.param("btrfs", "btrfs", "driver", marks=BTRFS),
    pytest.param("directory", "directory", "host"),
    pytest.param("btrfs", "directory", "host", marks=BTRFS),
    pytest.param("directory", "btrfs", "host", marks=BTRFS),
]
MIB = 2**20


def _journal(root: Path) -> list[int]:
    return [int(line) for line in (root / "journal").read_text().split()]


async def _goes_on(client: Client, lines: int = 20) -> None:
    """The client is not hindered."""
    seen = client.lines()
    async with asyncio.timeout(60):
        while client.lines() < seen + lines:
            assert client.process.poll() is None
            await asyncio.sleep(0.05)


@pytest.mark.parametrize(("left", "right", "mode"), PAIRS)
async def test_a_planned_switch_over_there_and_back_loses_no_acknowledged_write(
    server: DevServer, tmp_path: Path, left: str, right: str, mode: str
) -> None:
    """Byte for byte and in metadata, with snapshots; the way back moves only what has changed."""
    async with running_pair(server.address, tmp_path, left, right) as pair:
        site = pair.site
        root = await site.share(type="twice")
        seed(root)
        (root / "big").write_bytes(os.urandom(32 * MIB))
        await site.snapshot("before")
        with site.writer(root) as client:
            await pair.run(names.CREATE_REPLICA)
            assert pair.replica()["mode"] == mode
            await pair.in_step()
            await site.snapshot("meanwhile")
            await pair.in_step()
            before = site.snapshots()
            promoted = await pair.run(names.PROMOTE_REPLICA)
            assert await client.ended() == 0
            assert promoted["backend"] == "right"
            assert _journal(site.data()) == list(range(1, client.lines() + 1))
        assert site.snapshots() == before
        assert set(before) == {"before", "meanwhile"}
        root = Path(promoted["export_locations"][0])
        with site.writer(root, 2) as client:
            there = await pair.in_step()
            assert there["moved_bytes"] < 16 * MIB, "the way back is incremental"
            back = await pair.run(names.PROMOTE_REPLICA)
            assert await client.ended() == 0
            lines = client.lines()
        assert back["backend"] == "left"
        assert _journal(site.data())[-lines:] == list(range(1, lines + 1))
        assert site.snapshots() == before
        await pair.in_step()
        promoted = await pair.run(names.PROMOTE_REPLICA)  # at rest now: both sides are the same
        assert differences(site.data("replica"), site.data()) == []
        await pair.clean()


FAULTS = [
    "unmounted",
    pytest.param("read_only", marks=pytest.mark.slow),
    pytest.param("broken", marks=pytest.mark.slow),
]


@BTRFS
@pytest.mark.parametrize("fault", FAULTS)
async def test_a_replica_whose_storage_fails_in_a_round_catches_up_when_it_is_back(
    server: DevServer, tmp_path: Path, fault: str
) -> None:
    """The share goes on, and the replica says why it does not."""
    async with running_pair(
        server.address, tmp_path, "btrfs", "btrfs", small="right" if fault == "broken" else ""
    ) as pair:
        site = pair.site
        root = await site.share(type="twice")
        with site.writer(root) as client:
            await pair.run(names.CREATE_REPLICA, bandwidth="16 MiB/s")
            await pair.in_step()
            (root / "big").write_bytes(os.urandom(32 * MIB))  # two seconds of a round
            async with asyncio.timeout(30):
                while not site.processes("drivers.btrfs.receiver"):  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
            with getattr(pair, fault)("right"):
                row = await pair.until(lambda row: row["state"] == "error")
                assert row["error"]
                await _goes_on(client)
            await pair.in_step()
            assert pair.replica()["error"] == ""
            await pair.run(names.PROMOTE_REPLICA)
            assert await client.ended() == 0
            assert _journal(site.data()) == list(range(1, client.lines() + 1))
        await pair.clean()


@BTRFS
@pytest.mark.parametrize("right", ["btrfs", "directory"])
async def test_what_is_missing_after_a_loss_is_younger_than_was_announced(
    server: DevServer, tmp_path: Path, right: str
) -> None:
    """The active instance's file system goes while a client writes; back again, its copy is fenced and resynced."""
    async with running_pair(server.address, tmp_path, "btrfs", right) as pair:
        site = pair.site
        root = await site.share(type="twice")
        with site.writer(root) as client:
            await pair.run(names.CREATE_REPLICA)
            await pair.in_step()
            await _goes_on(client, 50)
            with pair.unmounted("left"):
                assert await client.ended() == 0
                await asyncio.sleep(1.5)
                asked = time.time()
                promoted = await pair.run(
                    names.PROMOTE_REPLICA, lost=True, accept_loss=True, reason="its file system is gone"
                )
                acknowledged = [line.split() for line in client.acknowledged.read_text().splitlines()]
                there = _journal(site.data())
                assert there == list(range(1, len(there) + 1))
                missing = [float(at) for at, line in acknowledged if int(line) > len(there)]
                # The age was taken at the decision, which came after the request.
                assert all(at > asked - promoted["loss_seconds"] for at in missing)
                root_now = Path(promoted["export_locations"][0])
                (root_now / "after").write_text("writable")
            row = await pair.until(lambda row: row["stale"] == "kept")
            assert row["state"] == "error"
            with pytest.raises(OSError, match=r"Read-only|No such file|Not a directory"):
                (root / "late").write_text("a client that has slept")
            await pair.run(names.RESYNC_REPLICA, replica=row["id"])
            await pair.in_step()
        assert (root_now / "after").read_text() == "writable"
        await pair.run(names.PROMOTE_REPLICA)
        assert differences(site.data("replica"), site.data()) == []
        assert (site.data() / "after").read_text() == "writable"
        await pair.clean()
