"""Plays one schedule on a share of its own, writes to it all the time, and keeps the history of what was seen."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import Select, bindparam, select
from temporalio.service import RPCError

from drivers.contract import ObjectRef
from drivers.fake import FakeClient, Fault, FaultKind
from drivers.fake.records import Effect
from inventory import tables
from shareflow import faults, names
from tests.matrix import invariants
from tests.matrix.stage import GIB, Stage
from tests.schedules.history import Ending, History, Mode, Promotion, Snapshot, Write
from tests.schedules.plan import Move, Schedule
from tests.schedules.world import BY_HOST, FIRST, LIMITS, SECOND, THIRD, pool
from tests.support.world import Refused, World

MOST_WRITES = 80
BRIEFLY = 2.0
"""Seconds that a move waits for its operation before the next one comes; what is not over then goes on beside it."""
PATIENCE = 150.0
"""Seconds in which everything is settled once all is healed; what is not is stuck."""
REST = 0.8
"""Seconds after the last move before all is healed."""
LOOKS = 10
"""So often the end is looked at, a second apart, while something is held."""


def _places() -> Select[Any]:
    instances, pools = tables.instances.c, tables.pools.c
    return (
        select(instances.id, instances.role, instances.object, pools.backend, pools.name)
        .join(tables.pools, pools.id == instances.pool_id)
        .where(instances.share_id == bindparam("share"))
        .order_by(instances.role, instances.created_at)
    )


def _replicas() -> Select[Any]:
    replicas, instances = tables.replicas, tables.instances
    shown = ("id", "state", "stale", "error", "synced_at", "tried_at", "sync_operation")
    return (
        select(*(replicas.c[name] for name in shown), instances.c.claimed_by)
        .join(instances, instances.c.id == replicas.c.id)
        .where(replicas.c.share_id == bindparam("share"))
    )


_PLACES, _REPLICAS = _places(), _replicas()


@dataclass(frozen=True, slots=True)
class Place:
    """An instance: who it is, and where."""

    instance: str
    role: str
    backend: str
    ref: ObjectRef


class Player:
    """One schedule in its lane."""

    def __init__(self, world: World, schedule: Schedule, lane: int) -> None:
        self.world = world
        self.schedule = schedule
        self.lane = lane
        self.stage = Stage(world)
        self.history = History("")
        self._share = ""
        self._rng = random.Random(schedule.seed)
        self._rules: list[tuple[str, Fault]] = []
        self._partitions: list[tuple[str, Fault]] = []
        self._dark: set[str] = set()
        self._points: list[str] = []
        self._running: list[asyncio.Task[None]] = []
        self._effects: dict[Effect, str] = {}
        self._problems: list[str] = []
        self._number = 0
        self._asked = 0.0
        self._loud = asyncio.Event()
        self._loud.set()
        self._moves: dict[str, Callable[[Move], Coroutine[Any, Any, None]]] = {
            "sync": self._sync,
            "resync": self._resync,
            "snapshot": self._snapshot,
            "promote": self._promote,
            "lose": self._lose,
            "disaster": self._disaster,
            "cut": self._cut,
            "dark": self._darken,
            "heal": self._heal,
            "crash": self._crash,
            "glitch": self._glitch,
            "late": self._late,
            "lie": self._lie,
            "hush": self._hush,
            "calm": self._calm,
        }

    async def play(self) -> History:
        """The history of the schedule, from the making of the share to its end."""
        await self._prepare()
        stop = asyncio.Event()
        writer = asyncio.create_task(self._keep_writing(stop))
        try:
            for move in self.schedule.moves:
                await asyncio.sleep(move.pause)
                self._note(str(move))
                await self._moves[move.kind](move)
                self._watch()
            await asyncio.sleep(REST)
        finally:
            stop.set()
            self._loud.set()
            await writer
            self._heal_all()
        await self._settle()
        for _ in range(LOOKS):  # a round that was asked for twice may be under way once more
            self.history.ending = await asyncio.to_thread(self._ending)
            if not any(text.startswith("I10") for text in self.history.ending.problems):
                break
            await asyncio.sleep(1)
        return self.history

    async def _prepare(self) -> None:
        stage = self.stage
        await asyncio.to_thread(stage.make_share, "home", GIB, pool(FIRST, self.lane), "twice")
        with self.world.database.read() as connection:
            row = connection.execute(select(tables.shares.c.id).where(tables.shares.c.project == stage.project)).one()
        self._share = row.id
        (active,) = self.places()
        self.history.first = active.instance
        self._write(active)
        there = [BY_HOST if self.schedule.mode == "host" else SECOND, THIRD][: self.schedule.replicas]
        made = (self._run(names.CREATE_REPLICA, backend=one, pool=pool(one, self.lane)) for one in there)
        await asyncio.gather(*(asyncio.wait_for(one, PATIENCE) for one in made))

    # -- what is there

    def places(self) -> list[Place]:
        """All instances of the share, the active one first."""
        with self.world.database.read() as connection:
            rows = connection.execute(_PLACES, {"share": self._share}).all()
        return [Place(row.id, row.role, row.backend, ObjectRef(row.name, row.object)) for row in rows]

    def _side(self, side: str) -> Place:
        active, *others = self.places()
        return {"active": active, "replica": others[0], "other": others[-1]}[side]

    def _replica_rows(self) -> list[Any]:
        with self.world.database.read() as connection:
            return list(connection.execute(_REPLICAS, {"share": self._share}).mappings())

    # -- the writer

    async def _keep_writing(self, stop: asyncio.Event) -> None:
        """Follow the share, and look now and then whether another instance takes writes as well."""
        while not stop.is_set() and self._number < MOST_WRITES:
            active, *others = self.places()
            targets = [active, *(others if self._rng.random() < 0.3 else [])]
            self._rng.shuffle(targets)
            for place in targets:
                self._write(place)
            await asyncio.sleep(self._rng.uniform(0.0, 0.15))
            await self._loud.wait()

    def _write(self, place: Place) -> None:
        if place.backend in self._dark:
            return
        self._number += 1
        number, began = self._number, time.time()
        try:
            FakeClient(self.world.array(place.backend)).append(place.ref, "journal", f"{number}\n".encode())
            accepted = True
        except OSError:
            accepted = False
        self.history.writes.append(Write(number, place.instance, began, time.time(), accepted))

    # -- operations

    async def _run(self, kind: str, **fields: Any) -> dict[str, Any]:
        operation = self.stage.new_operation()
        for point in self._points:
            faults.arm(point, faults.crash, operation=operation)
        self._points = []
        return await self.world.run(kind, self.stage.input(share="home", **fields), operation=operation)

    async def _launch(self, move: Move, work: Any) -> None:
        task = asyncio.create_task(self._quietly(move, work))
        self._running.append(task)
        if not move.beside:
            await asyncio.wait([task], timeout=BRIEFLY)

    async def _quietly(self, move: Move, work: Any) -> None:
        """Operations may be refused in the middle of trouble; they end, that is all that is asked of them here."""
        try:
            await work
        except Refused as refused:
            self._note(f"{move} is refused: {str(refused)[:160]}")
        else:
            self._note(f"{move} is done")

    async def _promotion(self, *, lost: bool = False, **fields: Any) -> None:
        began = time.time()
        where = {f"{place.backend}/{place.ref.pool}": place.instance for place in self.places()}
        made = await self._run(names.PROMOTE_REPLICA, lost=lost, **fields)
        ended = time.time()
        table = tables.audit.c
        with self.world.database.read() as connection:
            decided = connection.execute(
                select(table.at).where(table.operation == made["operation"], table.why.startswith("promoted from"))
            ).scalar_one()
        self.history.promotions.append(
            Promotion(
                promoted=made["replica_id"], demoted=where[made["demoted"]], began=began,
                decided=decided.timestamp(), ended=ended, lost=lost, loss=made["loss_seconds"] + 0.001,
                torn=lost and self.schedule.mode == "host", lost_snapshots=tuple(made["lost_snapshots"]),
            )
        )  # fmt: skip

    # -- moves

    async def _sync(self, _move: Move) -> None:
        self._asked = time.time()
        for row in self._replica_rows():
            await self._ask_for_round(row)

    async def _ask_for_round(self, row: Any) -> None:
        with contextlib.suppress(RPCError):  # it has not been started yet, or has ended
            await self.world.client.get_workflow_handle(row["sync_operation"]).signal(names.CLAIM_GRANTED)

    async def _resync(self, move: Move) -> None:
        place = self._side("replica" if move.side == "active" else move.side)
        where = f"{place.backend}/{place.ref.pool}"
        await self._launch(move, self._run(names.RESYNC_REPLICA, replica=where, full=move.detail == "full"))

    async def _snapshot(self, move: Move) -> None:
        name = f"s{len(self.stage.operations)}"

        async def take() -> None:
            began = time.time()
            await self._run(names.CREATE_SNAPSHOT, name=name)
            self.history.snapshots.append(Snapshot(name, began, time.time()))

        await self._launch(move, take())

    async def _promote(self, move: Move) -> None:
        await self._launch(move, self._promotion())

    async def _lose(self, move: Move) -> None:
        await self._launch(
            move, self._promotion(lost=True, accept_loss=True, reason="it is lost", stale=move.detail or "keep")
        )

    async def _disaster(self, move: Move) -> None:
        how, stale = move.detail.split()
        await self._moves[how](Move(how, "active"))
        await self._lose(Move("lose", detail=stale, beside=move.beside))

    async def _cut(self, move: Move) -> None:
        """Nobody of Shareflow reaches a backend; clients do."""
        place = self._side(move.side)
        rule = self._add(place, FaultKind.UNREACHABLE)
        self._partitions.append((place.backend, rule))

    async def _darken(self, move: Move) -> None:
        """Nobody reaches a backend."""
        await self._cut(move)
        self._dark.add(self._partitions[-1][0])

    async def _heal(self, _move: Move) -> None:
        for backend, rule in self._partitions:
            self.world.array(backend).script.lift(rule)
        self._partitions.clear()
        self._dark.clear()

    async def _crash(self, move: Move) -> None:
        """An attempt of a round that runs, or of the next operation, is lost at a point."""
        self._points.append(move.detail)
        for row in self._replica_rows():
            faults.arm(move.detail, faults.crash, operation=row["sync_operation"])

    async def _glitch(self, move: Move) -> None:
        kind, verb = move.detail.split()
        self._add(self._side(move.side), FaultKind(kind), verb=verb, times=2)

    async def _late(self, move: Move) -> None:
        """A call hangs until everybody has given it up, and acts then."""
        self._add(self._side(move.side), FaultKind.HANG, verb=move.detail, before=LIMITS.call + 0.5)

    async def _lie(self, move: Move) -> None:
        """The backend says that it has done what it has not."""
        for verb in move.detail.split():
            self._add(self._side(move.side), FaultKind.WRONG_ANSWER, verb=verb)

    async def _calm(self, _move: Move) -> None:
        """Wait until what was asked of the syncs last has been tried, and nothing is under way."""
        replicas = {row["id"] for row in self._replica_rows()}
        await asyncio.wait_for(self._until(partial(self._tried, replicas, self._asked)), PATIENCE)

    async def _hush(self, move: Move) -> None:
        """The writer makes a pause, or goes on once everything that was begun has ended."""
        if move.detail:
            await asyncio.wait_for(asyncio.gather(*self._running), PATIENCE)
            self._loud.set()
        else:
            self._loud.clear()

    def _add(self, place: Place, kind: FaultKind, **options: Any) -> Fault:
        rule = self.world.array(place.backend).script.add(kind, pool=place.ref.pool, **options)
        self._rules.append((place.backend, rule))
        return rule

    # -- the end

    def _heal_all(self) -> None:
        for backend, rule in self._rules:
            self.world.array(backend).script.lift(rule)
        self._dark.clear()
        for operation in {*self.stage.operations, *(row["sync_operation"] for row in self._replica_rows())}:
            faults.disarm(operation)
        self._note("all is healed")

    async def _settle(self) -> None:
        """Everything that was begun ends, stale copies are resynced, and a last round is made."""
        try:
            async with asyncio.timeout(PATIENCE):
                await asyncio.gather(*self._running)
                await self._until(self._nothing_runs)
                for row in self._replica_rows():
                    if row["stale"]:
                        await self._run(names.RESYNC_REPLICA, replica=row["id"], full=False)
                await self._last_rounds()
        except TimeoutError:
            self._problems.append(f"I10 it is not settled after {PATIENCE:.0f} s: {self._unsettled()}")
        except Refused as refused:
            self._problems.append(f"I10 a stale copy cannot be resynced: {refused}")
        for task in self._running:
            task.cancel()
        self._watch()

    async def _last_rounds(self) -> None:
        """Rounds until each replica says that it has what is there now; one may still be about an older sync point."""
        healed = time.time()

        def behind() -> list[Any]:
            rows = self._replica_rows()
            return [row for row in rows if row["synced_at"] is None or row["synced_at"].timestamp() < healed]

        while rows := behind():
            asked = time.time()
            for row in rows:
                await self._ask_for_round(row)
            await self._until(partial(self._tried, {row["id"] for row in rows}, asked))
        await self._until(lambda: all(row["claimed_by"] is None for row in self._replica_rows()))

    def _tried(self, replicas: set[str], since: float) -> bool:
        return all(
            row["claimed_by"] is None and row["tried_at"] is not None and row["tried_at"].timestamp() > since
            for row in self._replica_rows()
            if row["id"] in replicas
        )

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.25)

    def _open_operations(self) -> list[Any]:
        table = tables.operations.c
        statement = select(table.id, table.kind, table.state, table.waiting_for, table.left_over).where(
            table.project == self.stage.project, table.ended_at.is_(None)
        )
        with self.world.database.read() as connection:
            return list(connection.execute(statement).all())

    def _nothing_runs(self) -> bool:
        """Only the syncs of the replicas that are there run, and what was lost is fenced."""
        rows = self._replica_rows()
        open_ = {one.id for one in self._open_operations()}
        return open_ == {row["sync_operation"] for row in rows} and not any(row["stale"] == "unfenced" for row in rows)

    def _unsettled(self) -> str:
        rows = [
            f"{row['id']} {row['state']} {row['stale']} held by {row['claimed_by']}: {row['error']}"
            for row in self._replica_rows()
        ]
        return "; ".join([*(str(tuple(one)) for one in self._open_operations()), *rows])

    def _watch(self) -> None:
        """Keep what the backends have done to the share's instances: their own logs are bounded."""
        for place in self.places():
            for effect in self.world.array(place.backend).ledger.effects():
                if effect.pool == place.ref.pool and effect.name == place.ref.name:
                    self._effects[effect] = place.instance

    def _modes(self) -> Iterator[Mode]:
        for effect, instance in self._effects.items():
            if effect.mode:
                yield Mode(effect.at, instance, effect.mode)

    def _ending(self) -> Ending:
        self.history.modes = list(self._modes())
        active, *others = self.places()
        every = [active, *others]
        stage = self.stage
        with self.world.database.read() as connection:
            own = select(tables.operations.c.id).where(tables.operations.c.project == stage.project)
            stage.operations = list(connection.execute(own).scalars())
            copies, snapshots = tables.snapshot_instances.c, tables.snapshots.c
            rows = connection.execute(
                select(snapshots.name, copies.instance_id, copies.object)
                .join(tables.snapshots, snapshots.id == copies.snapshot_id)
                .where(snapshots.share_id == self._share)
            ).all()
        at = {place.instance: place for place in every}
        frozen: dict[str, dict[str, frozenset[int]]] = {}
        for row in rows:
            place = at[row.instance_id]
            beside = self._numbers(place.backend, ObjectRef(place.ref.pool, row.object))
            frozen.setdefault(row.name, {})[row.instance_id] = beside
        return Ending(
            active=active.instance,
            contents={place.instance: self._numbers(place.backend, place.ref) for place in every},
            snapshots=frozen,
            problems=(*self._problems, *self._invariants()),
        )

    def _invariants(self) -> list[str]:
        """What else holds at rest. Who may be writable beside a lost instance is judged by the checker itself."""
        return [text for text in invariants.check(self.stage, self.stage.picture()) if not text.startswith("I7 sf-")]

    def _numbers(self, backend: str, ref: ObjectRef) -> frozenset[int]:
        """The writes that an object has, past what clients may see."""
        array = self.world.array(backend)
        stored = next((one for one in array.objects() if (one.pool, one.name) == (ref.pool, ref.name)), None)
        if stored is None or not (journal := array.trees.path(stored.tree) / "journal").is_file():
            return frozenset()
        return frozenset(int(line) for line in journal.read_text().split())

    def _note(self, text: str) -> None:
        self.history.notes.append((time.time(), text))
