"""Two real pools with a replicated share, and the ways in which a pool goes away and comes back."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import select

from drivers.errors import DriverError
from drivers.tools import run
from inventory import tables
from inventory.database import now
from shareflow import names
from tests.drivers.btrfs_pools import btrfs_pool, device_of, mount_device, unmount
from tests.migration.site import Site, document, running_site

TWICE = {"kind": "ShareType", "name": "twice", "replicas": {"interval": "1 s", "loss": "60 s"}}


class Pair:
    """The share ``home`` on the left, its replica on the right, and where their pools are mounted."""

    def __init__(self, site: Site, mounts: dict[str, Path]) -> None:
        self.site = site
        self.mounts = mounts

    async def run(self, kind: str, **fields: Any) -> dict[str, Any]:
        """Run an operation on the share."""
        return await self.site.world.run(kind, {"share": "home", **fields})

    def replica(self) -> dict[str, Any]:
        """The row of the only replica."""
        with self.site.world.database.read() as connection:
            (row,) = connection.execute(select(tables.replicas)).mappings().all()
        return dict(row)

    async def until(self, condition: Callable[[dict[str, Any]], object], seconds: float = 60) -> dict[str, Any]:
        """The row of the replica once it is so."""
        row: dict[str, Any] = {}
        try:
            async with asyncio.timeout(seconds):
                while not condition(row := self.replica()):  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"it is {row['state']}, {row['error']!r}, synced at {row['synced_at']}") from None
        return row

    async def in_step(self) -> dict[str, Any]:
        """The row once a round that has begun since now has succeeded."""
        began = now()
        return await self.until(
            lambda row: row["state"] == "in_sync" and row["synced_at"] is not None and row["synced_at"] > began
        )

    async def clean(self) -> None:
        """Delete the replica and the share: nothing is left in either pool."""
        await self.run(names.DELETE_REPLICA, replica=self.replica()["id"])
        handle = await self.site.world.start(names.DELETE_SHARE, {"share": "home"})
        await self.site.world.until(handle, "recycle-bin")
        await handle.signal(names.PURGE_NOW, {})
        await self.site.world.result(handle)
        assert {side: self.site.objects(side) for side in self.mounts} == {side: [] for side in self.mounts}

    # -- faults

    @contextmanager
    def read_only(self, side: str) -> Iterator[None]:
        """The file system of a pool takes no writes, from a moment on in which no file is open for them."""
        mount = self.mounts[side]
        for _ in range(1000):
            with contextlib.suppress(DriverError):
                run(["mount", "-o", "remount,ro", "--", mount], timeout=60)
                break
            time.sleep(0.01)
        try:
            yield
        finally:
            run(["mount", "-o", "remount,rw", "--", mount], timeout=60)

    @contextmanager
    def unmounted(self, side: str) -> Iterator[None]:
        """The file system of a pool is gone from its place."""
        mount = self.mounts[side]
        device = device_of(mount)
        run(["umount", "--lazy", "--", mount], timeout=60)
        try:
            yield
        finally:
            mount_device(device, mount)

    @contextmanager
    def broken(self, side: str) -> Iterator[None]:
        """The device below a pool fails every write to a new place, until it is mended and mounted again."""
        mount = self.mounts[side]
        device, ballast = device_of(mount), mount.parent / "ballast"
        with ballast.open("wb") as stream, contextlib.suppress(OSError):  # what is below the device is full now
            while True:
                _ = stream.write(bytes(2**20))
                stream.flush()
        try:
            yield
        finally:
            ballast.unlink()
            unmount(mount)
            mount_device(device, mount)


def _disk(stack: ExitStack, folder: Path) -> Path:
    """A file system in memory; a device on a file in there fails as soon as it is full."""
    place = folder / "disk"
    place.mkdir()
    run(["mount", "-t", "tmpfs", "-o", "size=512m", "--", "tmpfs", place], timeout=30)
    stack.callback(unmount, place)
    return place


@asynccontextmanager
async def running_pair(
    address: str, folder: Path, left: str, right: str, *, third: str = "", small: str = ""
) -> AsyncIterator[Pair]:
    """A Shareflow on two pools of these drivers, or three; each is a file system of its own when its driver is btrfs.

    The device of the pool that is ``small`` can be :meth:`Pair.broken`.
    """
    drivers = {"left": left, "right": right, **({"third": third} if third else {})}
    with ExitStack() as stack:
        paths = {
            side: stack.enter_context(btrfs_pool(_disk(stack, folder) if side == small else folder))
            if driver == "btrfs"
            else folder / side
            for side, driver in drivers.items()
        }
        documents = [document(side, driver, paths[side]) for side, driver in drivers.items()]
        async with running_site(address, folder, *documents, TWICE) as site:
            yield Pair(site, paths)
