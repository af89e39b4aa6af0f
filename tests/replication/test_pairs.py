"""Migrations of replicated trees on real file systems, while a client writes to them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from shareflow import names
from shareflow.server.devserver import DevServer
from tests.migration.site import differences
from tests.migration.test_real_data import seed
from tests.replication.pair import running_pair
from tests.replication.test_real_data import BTRFS, MIB, _journal

pytestmark = [
    pytest.mark.timeout(240),
    pytest.mark.skipif(os.geteuid() != 0, reason="owners, ACLs and mounts need root"),
]


@pytest.mark.parametrize(
    ("left", "third", "right", "moved"),
    [
        pytest.param("btrfs", "btrfs", "btrfs", 16 * MIB, marks=BTRFS),
        pytest.param("btrfs", "directory", "btrfs", None, marks=BTRFS),
        pytest.param("directory", "directory", "directory", 16 * MIB, marks=pytest.mark.slow),
        pytest.param("directory", "btrfs", "btrfs", None, marks=[BTRFS, pytest.mark.slow]),
    ],
)
async def test_a_share_that_moved_is_followed_by_its_replica(
    server: DevServer, tmp_path: Path, left: str, third: str, right: str, moved: int | None
) -> None:
    """Byte for byte and in metadata, with snapshots; where the way of copying stays, only what changed is moved."""
    async with running_pair(server.address, tmp_path, left, right, third=third) as pair:
        site = pair.site
        root = await site.share(type="twice")
        seed(root)
        (root / "big").write_bytes(os.urandom(32 * MIB))
        await site.snapshot("before")
        with site.writer(root) as client:
            await pair.run(names.CREATE_REPLICA, backend="right")
            await pair.in_step()
            migrated = await pair.run(
                names.MIGRATE_SHARE, to_backend="third", preserve_snapshots=True, grace=0, cutover_when="immediately"
            )
            assert await client.ended() == 0
            assert _journal(site.data()) == list(range(1, client.lines() + 1))
        assert site.objects("left") == []
        before = site.snapshots()
        with site.writer(Path(migrated["export_locations"][0]), 2) as client:
            row = await pair.in_step()
            assert row["error"] == ""
            assert moved is None or row["moved_bytes"] < moved
            await site.snapshot("after")
            await pair.in_step()
            promoted = await pair.run(names.PROMOTE_REPLICA)
            assert await client.ended() == 0
            lines = client.lines()
        assert promoted["backend"] == "right"
        assert _journal(site.data())[-lines:] == list(range(1, lines + 1))
        after = site.snapshots()
        assert {name: after[name] for name in before} == before
        assert set(after) == {"before", "after"}
        await pair.in_step()
        await pair.run(names.PROMOTE_REPLICA)  # at rest now: both sides are the same
        assert differences(site.data("replica"), site.data()) == []
        await pair.clean()
