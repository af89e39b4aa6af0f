"""``shareflow demo``: a whole life of shares on real directories, with ``kill -9`` in the middle, all of it checked."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
from pathlib import Path
from typing import Any

import shareflow
from shareflow.cli import exits
from shareflow.cli.common import Cli, run_until_done
from shareflow.cli.demofiles import FILES, SIZE_OF_FILES, Diary, change, count, digest, fill, jot, leftovers
from shareflow.cli.narrator import Narrator
from shareflow.cli.output import size
from shareflow.cli.running import greet, note, require_specs, until_stopped
from shareflow.cli.statedir import StateDir
from shareflow.cli.supervisor import Embedded, EmbeddedSettings
from shareflow.client import Shares
from shareflow.contracts.operations import ShareResult
from shareflow.errors import DoesNotFit, NotFound, ShareflowError
from shareflow.operation import Operation
from shareflow.server.resolve import find_temporal

PROJECT = "demo"
_IN_THE_MIDDLE = 0.3
"""Seconds into the copy at which the worker is killed; the copy takes several times that."""


def play(cli: Cli, state_dir: Path | None, *, specs: Path, keep: bool) -> int:
    """Play the demo; 0 when every check held.

    Raises:
        ShareflowError: what kept it from being played to its end.
    """
    narrator = Narrator(silent=cli.json)
    temporary = None if state_dir is not None else Path(tempfile.mkdtemp(prefix="shareflow-demo-"))
    path = state_dir or temporary
    assert path is not None  # noqa: S101 - one of the two
    try:
        with StateDir(path) as state:
            settings = EmbeddedSettings(
                binary=find_temporal(report=note), specs=require_specs(specs), port=0, ui_port=0
            )
            embedded = Embedded(state, settings, narrator.event)
            run_until_done(until_stopped(_tell(embedded, narrator, keep=keep)))
    except BaseException:
        note(f"what the demo left, logs included, is in {path}")
        raise
    if temporary is not None and narrator.held:
        shutil.rmtree(temporary, ignore_errors=True)
    narrator.summary()
    return exits.OK if narrator.held else (exits.FAILED if narrator.finished else exits.INTERRUPTED)


async def _tell(embedded: Embedded, narrator: Narrator, *, keep: bool) -> None:
    narrator.line("starting a Temporal server, an inventory and a worker of its own ...")
    async with embedded, shareflow.connect(embedded.server.address, project=PROJECT, by="demo") as shares:
        narrator.line(f"web UI while this runs: {embedded.server.ui_url}")
        keeper = asyncio.create_task(embedded.keep())
        story = asyncio.create_task(Story(shares, embedded, narrator).tell())
        try:
            await asyncio.wait({keeper, story}, return_when=asyncio.FIRST_COMPLETED)
            (story if story.done() else keeper).result()
            narrator.finished = True
            if keep:
                greet(embedded)
                await keeper
        finally:
            for task in (story, keeper):
                task.cancel()
            with contextlib.suppress(BaseExceptionGroup):
                await asyncio.gather(story, keeper, return_exceptions=True)


class Story:
    """The acts of the demo. Each says what it does, does it, and checks it."""

    def __init__(self, shares: Shares, embedded: Embedded, narrator: Narrator) -> None:
        self.shares = shares
        self.embedded = embedded
        self.say = narrator
        self.home = Path()
        self.clone = Path()
        self.monday = ""

    async def tell(self) -> None:
        """All acts, in order."""
        before = await self._allocated()
        await self.create_and_fill()
        await self.snapshot()
        await self.copy_with_a_kill()
        await self.change_and_revert()
        await self.resize()
        await self.migrate_with_a_writer()
        await self.delete_and_restore()
        await self.replicate_and_promote()
        await self.look_around()
        await self.purge()
        await self.nothing_left(before)

    async def create_and_fill(self) -> None:
        """A share is a directory that can be used at once."""
        self.say.act("create a share and fill it", "shareflow share create home --size '1 GiB' --zone a")
        made = await self._done(await self.shares.create("home", "1 GiB", zone="a"))
        self.home = Path(made.export_locations[0])
        self.say.line(f"home: {size(made.size)} on {made.backend}/{made.pool}, at {self.home}")
        await asyncio.to_thread(fill, self.home)
        self.say.line(f"wrote {FILES} files, {size(SIZE_OF_FILES)}")
        self.say.check("home is available", ok=(await self.shares.get("home")).status == "available")

    async def snapshot(self) -> None:
        """A snapshot keeps the content of one moment."""
        self.say.act("take a snapshot", "shareflow share snapshot home monday")
        self.monday = await asyncio.to_thread(digest, self.home)
        taken = await (await self.shares.snapshot("home", "monday")).result()
        self.say.check(f"snapshot monday, checksum {self.monday[:12]}", ok=taken.name == "monday")

    async def copy_with_a_kill(self) -> None:
        """The promise: kill anything at any moment."""
        self.say.act(
            "make a new share from it in another pool, and kill the worker in the middle",
            "shareflow share create-from-snapshot clone home monday --zone b",
        )
        placement = await self.shares.explain("1 GiB", zone="b")
        self.say.line(f"placement: {placement.summary}")
        before = await self._files()
        operation = await self.shares.create_from_snapshot("clone", "home", "monday", zone="b", size="2 GiB")
        await self._copying(operation)
        await asyncio.sleep(_IN_THE_MIDDLE)
        killed = self.embedded.worker.pid
        self.embedded.worker.kill()
        self.say.event(f"kill -9 {killed}: the worker is dead")
        copied = await self._files() - before
        self.say.check(f"{copied} of {FILES} files were on their way", ok=not await operation.ended())
        made = await self._done(operation)
        self.clone = Path(made.export_locations[0])
        self.say.check(f"a new worker went on with {operation.id}", ok=self.embedded.worker.pid not in (killed, None))
        self.say.check("every byte of the copy is right", ok=await asyncio.to_thread(digest, self.clone) == self.monday)
        found = [share.name async for share in self.shares.list()]
        self.say.check("there is one clone, not two", ok=found == ["clone", "home"])

    async def change_and_revert(self) -> None:
        """A revert takes the share back and keeps its snapshots."""
        self.say.act("change files, then take the share back", "shareflow share revert home monday")
        await asyncio.to_thread(change, self.home)
        changed = await asyncio.to_thread(digest, self.home)
        self.say.check("files were changed, deleted and added", ok=changed != self.monday)
        made = await self._done(await self.shares.revert("home", "monday"))
        self.home = Path(made.export_locations[0])
        self.say.check("home is as it was on monday", ok=await asyncio.to_thread(digest, self.home) == self.monday)
        kept = [snapshot.name async for snapshot in self.shares.snapshots("home")]
        self.say.check("and the snapshot is still there", ok=kept == ["monday"])

    async def resize(self) -> None:
        """Growing works; shrinking below what is in use is refused."""
        self.say.act("grow it, and try to shrink it too far", "shareflow share resize home --size '3 GiB'")
        made = await self._done(await self.shares.resize("home", "3 GiB"))
        self.say.check(f"home has {size(made.size)}", ok=made.size == 3 * 2**30)
        try:
            await (await self.shares.resize("home", "1 MiB")).result()
        except DoesNotFit as error:
            self.say.line(f"refused: {error}")
            refused = True
        else:
            refused = False
        self.say.check("a shrink below the bytes in use is refused", ok=refused)
        self.say.check("and changes nothing", ok=(await self.shares.get("home")).size == made.size)

    async def migrate_with_a_writer(self) -> None:
        """A share moves while it is written to, with its snapshot; the worker is killed in the middle."""
        self.say.act(
            "move it to another pool while a program writes, and kill the worker in the middle",
            "shareflow share migrate home --to rack2 --preserve-snapshots; shareflow op cutover ID",
        )
        diary = Diary(self.home)
        async with diary:
            operation = await self.shares.migrate("home", to="rack2", promises=["preserve_snapshots"], grace=0)
            await self._copying(operation)
            killed = self.embedded.worker.pid
            self.embedded.worker.kill()
            self.say.event(f"kill -9 {killed}: the worker is dead")
            status = await operation.wait_for("catching-up")
            written = diary.lines
            self.say.check("it caught up with its source, which was written to all the time", ok=written > 0)
            if status.migration is not None and status.migration.window_seconds is not None:
                self.say.line(f"a cutover would stop writers for about {status.migration.window_seconds} s")
        wanted = await asyncio.to_thread(digest, self.home)
        await operation.cutover()
        result = await operation.result()
        self.home = Path(result.export_locations[0])
        self.say.line(f"home is on {result.destination}, {size(result.bytes_moved)} in {result.passes} passes")
        self.say.check(f"writers were stopped for {result.stopped_seconds:.1f} s", ok=result.stopped_seconds > 0)
        same = await asyncio.to_thread(digest, self.home) == wanted
        self.say.check(f"every byte is there, with all {diary.lines} lines of the writer", ok=same)
        diary.remove(self.home)
        kept = [snapshot.name async for snapshot in self.shares.snapshots("home")]
        self.say.check("and so is the snapshot", ok=kept == ["monday"])

    async def delete_and_restore(self) -> None:
        """A delete can be taken back, with the whole tree."""
        self.say.act("delete it, and bring it back", "shareflow share delete home; shareflow share restore home")
        operation = await self.shares.delete("home")
        status = await operation.deleted()
        self.say.line(f"home is in the recycle bin until {status.purge_at:%Y-%m-%d %H:%M} UTC")
        self.say.check("home is out of sight", ok=[s.name async for s in self.shares.list()] == ["clone"])
        self.say.check("it waits in the bin", ok=[s.name async for s in self.shares.list(deleted=True)] == ["home"])
        await operation.restore()
        result = await operation.result()
        self.say.check("home is back", ok=result.outcome == "restored")
        self.home = Path((await self.shares.get("home")).export_locations[0].path)
        self.say.check("with every byte", ok=await asyncio.to_thread(digest, self.home) == self.monday)
        self.say.check("and its snapshot", ok=[s.name async for s in self.shares.snapshots("home")] == ["monday"])

    async def replicate_and_promote(self) -> None:
        """A copy in another zone is kept in step and takes over without a loss."""
        self.say.act(
            "keep a copy of a share in another zone, and switch over to it",
            "shareflow replica create books; shareflow replica promote books",
        )
        made = await self._done(await self.shares.create("books", "1 GiB", "replicated", zone="a"))
        active = Path(made.export_locations[0])
        await asyncio.to_thread(jot, active, "before")
        replica = await (await self.shares.create_replica("books")).result()
        self.say.line(f"books: {made.backend}/{made.pool}, and a replica on {replica.backend}/{replica.pool}")
        await asyncio.to_thread(jot, active, "after")
        await (await self.shares.resync_replica("books", replica.replica_id)).result()
        (shown,) = (await self.shares.get("books")).replicas
        self.say.check(f"the replica is {shown.state.value}, {shown.lag_seconds or 0:.1f} s old", ok=not shown.error)
        await asyncio.to_thread(jot, active, "at the last moment")
        written = await asyncio.to_thread(digest, active)
        done = await (await self.shares.promote_replica("books")).result()
        self.say.line(f"books is on {done.backend}/{done.pool}; writers were stopped for {done.stopped_seconds:.1f} s")
        same = await asyncio.to_thread(digest, Path(done.export_locations[0])) == written
        self.say.check("it has every byte, the last one too", ok=same)
        now = await self.shares.get("books")
        self.say.check(f"{done.demoted} is the replica now", ok=[one.pool for one in now.replicas] == [made.pool])
        await (await self.shares.delete_replica("books", now.replicas[0].id)).result()
        for sync in (shown.sync_operation, now.replicas[0].sync_operation):
            await (await self.shares.operation_handle(sync)).result()
        await (await self.shares.delete("books", retention=0)).result()

    async def look_around(self) -> None:
        """Everything that happened is on record."""
        self.say.act("look around", "shareflow op list; shareflow quota show; shareflow audit")
        quota = await self.shares.quota()
        self.say.line(f"project {PROJECT}: {quota.shares_used} shares, {size(quota.bytes_used)}")
        for pool in await self.shares.pools():
            self.say.line(f"pool {pool.backend}/{pool.name}: {size(pool.allocated_bytes)} allocated")
        states = [operation.state.value async for operation in self.shares.operations()]
        self.say.check("one operation failed clean: the shrink", ok=states.count("failed-clean") == 1)
        self.say.check(f"the other {len(states) - 1} succeeded, none is left running", ok=states.count("running") == 0)

    async def purge(self) -> None:
        """For good, on request."""
        self.say.act("delete both for good", "shareflow share delete home; shareflow op purge-now ID")
        for name in ("home", "clone"):
            operation = await self.shares.delete(name)
            await operation.deleted()
            await operation.purge_now()
            result = await operation.result()
            self.say.check(f"{name} is purged, {size(result.frees_bytes)} freed", ok=result.outcome == "purged")

    async def nothing_left(self, before: dict[str, int]) -> None:
        """No share, no allocation, no file."""
        self.say.act("see that nothing is left", "shareflow share list; shareflow pool list")
        self.say.check("no share", ok=[s.name async for s in self.shares.list()] == [])
        self.say.check("nothing in the recycle bin", ok=[s.name async for s in self.shares.list(deleted=True)] == [])
        quota = await self.shares.quota()
        used = (quota.shares_used, quota.bytes_used, quota.snapshots_used)
        self.say.check("no quota in use", ok=used == (0, 0, 0))
        self.say.check("every pool has as much allocated as before", ok=await self._allocated() == before)
        left = await asyncio.to_thread(leftovers, self.embedded.state.path)
        self.say.check("not one of our files is left in the pools" + (f": {left[0]}" if left else ""), ok=not left)
        gone = not self.home.exists() and not self.clone.exists()
        self.say.check("the directories of the shares are gone", ok=gone)

    async def _copying(self, operation: Operation[Any]) -> None:
        """Return as soon as the copy runs."""
        while True:
            with contextlib.suppress(ShareflowError):
                status = await operation.status()
                if status.step.startswith(("copy", "pass")):
                    self.say.line(f"{operation.id}: {status.step}")
                    return
                if status.phase == "ended":
                    await operation.result()
                    raise NotFound("the operation ended without copying", hint="the demo needs pools in zones a and b")
            await asyncio.sleep(0.02)

    async def _files(self) -> int:
        return await asyncio.to_thread(count, self.embedded.state.path)

    async def _done(self, operation: Operation[ShareResult]) -> ShareResult:
        return await operation.result()

    async def _allocated(self) -> dict[str, int]:
        return {pool.id: pool.allocated_bytes for pool in await self.shares.pools()}
