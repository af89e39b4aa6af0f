"""Migrations of real trees between real pools, while a client changes them in every way it can."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from shareflow import names
from shareflow.server.devserver import DevServer
from tests.drivers.btrfs_pools import btrfs_pool, loop_mount
from tests.migration.site import Site, differences, document, running_site
from tests.support.world import Refused

pytestmark = [
    pytest.mark.timeout(180),
    pytest.mark.skipif(os.geteuid() != 0, reason="owners, ACLs and mounts need root"),
]
BTRFS = pytest.mark.needs("driver-btrfs")
PAIRS = [
    pytest.param("btrfs", "btrfs", "driver", marks=BTRFS),
    pytest.param("btrfs", "btrfs", "host", marks=BTRFS),
    pytest.param("directory", "directory", "host"),
    pytest.param("btrfs", "directory", "host", marks=BTRFS),
    pytest.param("directory", "btrfs", "host", marks=BTRFS),
]


@pytest.fixture
async def site(request: pytest.FixtureRequest, server: DevServer, tmp_path: Path) -> AsyncIterator[Site]:
    """Two pools of the drivers that the test names."""
    left, right = request.param
    with ExitStack() as stack:
        paths = {
            side: stack.enter_context(btrfs_pool(tmp_path)) if driver == "btrfs" else tmp_path / side
            for side, driver in (("left", left), ("right", right))
        }
        async with running_site(
            server.address, tmp_path, document("left", left, paths["left"]), document("right", right, paths["right"])
        ) as running:
            yield running


def seed(root: Path) -> None:
    """What copies get wrong: links, holes, owners, attributes, special files, odd names."""
    (root / "old").mkdir()
    for number in range(200):
        (root / "old" / f"{number}").write_bytes(bytes([number % 251]) * (number * 37))
    os.link(root / "old" / "1", root / "hard")
    (root / "soft").symlink_to("old/2")
    (root / "odd \n name \u00fc").write_text("odd")
    os.mkfifo(root / "pipe")
    os.mknod(root / "device", 0o600 | 0o020000, os.makedev(1, 3))
    with (root / "sparse").open("wb") as stream:
        stream.seek(10 << 20)
        stream.write(b"end")
    os.setxattr(root / "old", "user.kind", b"seed")
    os.chown(root / "old" / "3", 1000, 1000)
    (root / "old" / "4").chmod(0o4750)


@pytest.mark.parametrize(("left", "right", "mode"), PAIRS)
async def test_a_share_moves_while_a_client_changes_it_and_no_acknowledged_write_is_missing(
    server: DevServer, tmp_path: Path, left: str, right: str, mode: str
) -> None:
    """Byte for byte and in metadata, with its snapshots; the client is stopped, and nothing else is noticed."""
    with ExitStack() as stack:
        paths = {
            side: stack.enter_context(btrfs_pool(tmp_path)) if driver == "btrfs" else tmp_path / side
            for side, driver in (("left", left), ("right", right))
        }
        documents = (document("left", left, paths["left"]), document("right", right, paths["right"]))
        async with running_site(server.address, tmp_path, *documents) as site:
            root = await site.share()
            seed(root)
            await site.snapshot("before")
            with site.writer(root) as client:
                handle = await site.migrate(mode=mode)
                await site.passed(handle, 2)
                await site.snapshot("meanwhile")
                await site.passed(handle, 4)
                before = site.snapshots()
                await handle.execute_update(names.CUTOVER, {})
                status = await site.world.until(handle, "grace", seconds=60)
                assert await client.ended() == 0
                lines = client.lines()
            assert (site.data() / "journal").read_text().split() == [str(n) for n in range(1, lines + 1)], status
            assert differences(site.data("retired"), site.data()) == []
            assert site.snapshots() == before
            assert set(before) == {"before", "meanwhile"}
            (site.data() / "after").write_text("the destination is writable")
            await handle.execute_update(names.END_GRACE, {})
            result = await site.world.result(handle)
            assert Path(result["export_locations"][0]).joinpath("after").read_text()
            assert site.objects("left") == []
            assert len(site.objects("right")) == 3


@pytest.mark.parametrize(
    "site", [pytest.param(("btrfs", "btrfs"), marks=BTRFS), ("directory", "directory")], indirect=True
)
async def test_a_cancelled_migration_is_not_noticed_by_the_client(site: Site) -> None:
    """It writes all the time without one error, and nothing is left at the destination."""
    root = await site.share()
    seed(root)
    await site.snapshot("before")
    with site.writer(root) as client:
        handle = await site.migrate()
        await site.passed(handle, 2)
        await handle.signal(names.CANCEL_MIGRATION, {})
        with pytest.raises(Refused, match="cancelled"):
            await site.world.result(handle)
        seen = client.lines()
        while client.lines() < seen + 20:
            await asyncio.sleep(0.05)
            assert client.process.poll() is None
    assert site.objects("right") == []
    assert len(site.objects("left")) == 2


@pytest.mark.parametrize(
    "site", [pytest.param(("btrfs", "btrfs"), marks=BTRFS), ("directory", "directory")], indirect=True
)
async def test_a_file_that_stays_open_for_writing_ends_the_cutover_and_is_named(site: Site) -> None:
    """Its writes could be lost: the share stays where it is, writable, until the file is closed."""
    root = await site.share()
    with (root / "held").open("w") as stream:
        stream.write("before\n")
        stream.flush()
        handle = await site.migrate()
        await site.passed(handle, 1)
        await handle.execute_update(names.CUTOVER, {})
        note = await site.noted(handle, "the cutover failed")
        assert str(os.getpid()) in note
        assert "held" in note
        stream.write("after\n")
    await site.passed(handle, 1)
    await handle.execute_update(names.CUTOVER, {})
    await site.world.until(handle, "grace", seconds=60)
    assert (site.data() / "held").read_text() == "before\nafter\n"
    await handle.execute_update(names.END_GRACE, {})
    await site.world.result(handle)


async def test_a_destination_that_fills_up_waits_for_the_operator_and_goes_on(
    server: DevServer, tmp_path: Path
) -> None:
    """The share is not harmed; when there is room the copy goes on where it stopped."""
    with loop_mount(tmp_path, 64 << 20, "ext4") as small:
        documents = (
            document("left", "directory", tmp_path / "left"),
            document("right", "directory", small / "pool", capacity="1 GiB"),
        )
        async with running_site(server.address, tmp_path, *documents) as site:
            root = await site.share(size="40 MiB")
            handle = await site.migrate()
            await site.passed(handle, 1)
            ballast = small / "ballast"
            ballast.write_bytes(bytes(30 << 20))
            for number in range(4):
                (root / f"big{number}").write_bytes(os.urandom(8 << 20))
            status = await site.world.until(handle, "needs-operator", seconds=60)
            assert "no space" in status["note"].lower() or "room" in status["note"].lower(), status["note"]
            (root / "still").write_text("writable")
            ballast.unlink()
            await handle.signal(names.RETRY_NOW, {})
            await site.passed(handle, 1)
            await handle.execute_update(names.CUTOVER, {})
            await site.world.until(handle, "grace", seconds=60)
            assert differences(site.data("retired"), site.data()) == []
            await handle.execute_update(names.END_GRACE, {})
            await site.world.result(handle)


@pytest.mark.parametrize(
    ("site", "program"),
    [
        pytest.param(("btrfs", "btrfs"), "drivers.btrfs.receiver", marks=BTRFS),
        (("directory", "directory"), "drivers.mover.child"),
    ],
    indirect=["site"],
)
async def test_a_copy_whose_process_is_killed_goes_on_and_nothing_is_missing(site: Site, program: str) -> None:
    """SIGKILL in the middle of the first copy: it is noticed, the copy goes on, and both sides are equal."""
    root = await site.share()
    for number in range(8):
        (root / f"big{number}").write_bytes(os.urandom(4 << 20))
    handle = await site.migrate(bandwidth="8 MiB/s")
    async with asyncio.timeout(30):
        while not (found := site.processes(program)):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    await asyncio.sleep(0.5)
    for process in found:
        process.kill()
    await handle.execute_update(names.SET_BANDWIDTH, {"bandwidth": None})
    await site.passed(handle, 1)
    await handle.execute_update(names.CUTOVER, {})
    await site.world.until(handle, "grace", seconds=60)
    assert differences(site.data("retired"), site.data()) == []
    await handle.execute_update(names.END_GRACE, {})
    await site.world.result(handle)
    assert site.processes(program) == []
