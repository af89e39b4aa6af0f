"""Random operations on random resources: nobody is held off for ever, and nobody holds what another holds."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Connection, select

from inventory import audit, claims, operations, reservations, tables
from inventory.audit import Actor
from inventory.catalogue import QuotaRow, pool_id
from inventory.claims import Want
from inventory.database import Database
from tests.inventory.rows import (
    GIB,
    PROJECT,
    declare,
    make_share,
    make_snapshot,
    open_operation,
    operation_id,
    place_of,
    pool_row,
)

SHARES = 3
SNAPSHOTS_EACH = 2
POOLS = (pool_id("alpha", "a1"), pool_id("alpha", "a2"))


@dataclass
class World:
    """Shares with snapshots, and the kinds of wish that recipes have."""

    shares: dict[str, list[str]] = field(default_factory=dict)
    instances: dict[str, str] = field(default_factory=dict)

    @classmethod
    def make(cls, connection: Connection) -> World:
        """New rows."""
        world = cls()
        for _ in range(SHARES):
            share = make_share(connection, operation_id())
            world.shares[share] = [make_snapshot(connection, share, str(number)) for number in range(SNAPSHOTS_EACH)]
            world.instances[share] = place_of(connection, share).id
        return world

    def wants(self, recipe: str, share: int, snapshot: int) -> list[Want]:
        """What a recipe claims."""
        chosen = list(self.shares)[share]
        copies = self.shares[chosen]
        instance = Want("instance", self.instances[chosen])
        return {
            "resize": [Want("share", chosen)],
            "delete-snapshot": [Want("snapshot", copies[snapshot])],
            "clone": [Want("snapshot", copies[snapshot], "shared")],
            "revert": [Want("share", chosen), Want("snapshot", copies[snapshot], "shared")],
            "delete": [Want("share", chosen), *(Want("snapshot", copy) for copy in copies)],
            "everything": [Want("share", each) for each in self.shares],
            # Gives the share back when it has begun, and asks for it and its snapshots once more at its end.
            "migrate": [Want("share", chosen), instance],
            # Wait until no migration has the share.
            "qos": [Want("share", chosen), instance],
            "purge": [Want("share", chosen), instance, *(Want("snapshot", copy) for copy in copies)],
        }[recipe]

    def more(self, recipe: str, share: int) -> list[Want]:
        """What a holder adds."""
        chosen = list(self.shares)[share]
        snapshots = [Want("snapshot", copy) for copy in self.shares[chosen]]
        return [Want("share", chosen), *snapshots] if recipe == "migrate" else []


RECIPES = (
    "resize", "delete-snapshot", "clone", "revert", "delete", "everything", "migrate", "qos", "purge",
)  # fmt: skip
GIVEN_BACK = ("share", "snapshot")


@dataclass
class Running:
    """One operation of the model."""

    ticket: int
    recipe: str
    share: int
    wants: list[Want]
    held: list[Want] = field(default_factory=list)

    @property
    def waits(self) -> bool:
        """Whether it lacks something."""
        return len(self.held) < len(self.wants)


def incompatible(one: Want, other: Want) -> bool:
    """Whether two operations cannot hold these together."""
    return one.id == other.id and "exclusive" in (one.mode, other.mode)


class Line(RuleBasedStateMachine):
    """The inventory against a model that fits on a page."""

    database: Database

    def __init__(self) -> None:
        super().__init__()
        self.running: dict[str, Running] = {}
        self.woken: set[str] = set()
        self.tickets = 0
        self.prefix = operation_id()

    @initialize()
    def make(self) -> None:
        """A world of its own."""
        with self.database.write() as connection:
            self.world = World.make(connection)

    def expected(self, operation: str) -> bool:
        """Whether the model grants everything the operation lacks."""
        mine = self.running[operation]
        lacking = [want for want in mine.wants if want not in mine.held]
        for name, other in self.running.items():
            blocking = other.held if other.ticket > mine.ticket else other.wants
            if name != operation and any(incompatible(a, b) for a in lacking for b in blocking):
                return False
        return True

    def ask(self, operation: str) -> None:
        """One step of an operation."""
        mine = self.running[operation]
        granted = self.expected(operation)
        with self.database.write() as connection:
            answer = claims.request(connection, operation, mine.wants)
        self.woken.discard(operation)
        assert answer.granted == granted, (operation, answer)
        if granted:
            mine.held = list(mine.wants)

    @rule(
        recipe=st.sampled_from(RECIPES), share=st.integers(0, SHARES - 1), snapshot=st.integers(0, SNAPSHOTS_EACH - 1)
    )
    def start(self, recipe: str, share: int, snapshot: int) -> None:
        """A new operation."""
        self.tickets += 1
        operation = f"{self.prefix}-{self.tickets:04}"  # in this order in every run, so that a failure can be replayed
        self.running[operation] = Running(self.tickets, recipe, share, self.world.wants(recipe, share, snapshot))
        self.ask(operation)

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def ask_again(self, data: st.DataObject) -> None:
        """A step that is repeated, or a fallback timer."""
        self.ask(data.draw(st.sampled_from(sorted(self.running))))

    @precondition(lambda self: any(mine.recipe == "migrate" for mine in self.running.values()))
    @rule(data=st.data())
    def give_back(self, data: st.DataObject) -> None:
        """A migration that has begun lets the share go, or gives a cutover up while it waits for it."""
        holders = sorted(
            name
            for name, mine in self.running.items()
            if mine.recipe == "migrate" and any(want.kind == "instance" for want in mine.held)
        )
        if not holders:
            return
        operation = data.draw(st.sampled_from(holders))
        mine = self.running[operation]
        with self.database.write() as connection:
            woken = claims.give_back(connection, operation, GIVEN_BACK)
        mine.wants = mine.held = [want for want in mine.held if want.kind == "instance"]
        assert all(self.running[name].waits for name in woken)
        self.woken |= set(woken)
        self.woken.discard(operation)

    @precondition(lambda self: any(mine.recipe == "migrate" and not mine.waits for mine in self.running.values()))
    @rule(data=st.data())
    def add(self, data: st.DataObject) -> None:
        """A migration asks for what it needs to cut over."""
        holders = sorted(name for name, mine in self.running.items() if mine.recipe == "migrate" and not mine.waits)
        operation = data.draw(st.sampled_from(holders))
        mine = self.running[operation]
        mine.wants = list(dict.fromkeys([*mine.wants, *self.world.more(mine.recipe, mine.share)]))
        self.ask(operation)

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        """An operation ends, or is cancelled while it waits."""
        self.let_go(data.draw(st.sampled_from(sorted(self.running))))

    def let_go(self, operation: str) -> None:
        """It gives everything back."""
        with self.database.write() as connection:
            woken = claims.release(connection, operation)
        del self.running[operation]
        assert set(woken) <= self.running.keys()
        assert all(self.running[name].waits for name in woken)
        self.woken |= set(woken)

    @invariant()
    def nobody_holds_what_another_holds(self) -> None:
        """The rows say the same as the model."""
        with self.database.read() as connection:
            held = {
                (row.operation, row.resource_id): row.mode
                for row in connection.execute(select(tables.claims).where(tables.claims.c.granted.is_(True)))
                if row.operation in self.running
            }
            owners = {
                row.id: row.claimed_by
                for table in claims.CLAIMABLE.values()
                for row in connection.execute(select(table.c.id, table.c.claimed_by))
            }
        assert held == {(name, want.id): want.mode for name, mine in self.running.items() for want in mine.held}
        exclusive = {
            want.id: name for name, mine in self.running.items() for want in mine.held if want.mode == "exclusive"
        }
        world = getattr(self, "world", World())
        for share, copies in world.shares.items():
            belongs = (share, *copies, world.instances[share])
            assert [owners[each] for each in belongs] == [exclusive.get(each) for each in belongs]

    @invariant()
    def whoever_could_go_on_has_been_woken(self) -> None:
        """No wake-up is lost: who waits without reason has been told."""
        for name, mine in self.running.items():
            assert not mine.waits or name in self.woken or not self.expected(name)

    def teardown(self) -> None:
        """Everybody ends, by wake-ups alone."""
        while self.running:
            for operation in sorted(self.woken & self.running.keys()):
                self.ask(operation)
            done = [name for name, mine in self.running.items() if not mine.waits]
            assert done, f"all wait: {self.running}"
            for operation in done:
                self.let_go(operation)


def test_random_operations_are_served_as_the_model_says(database: Database) -> None:
    """Grants, refusals, owners and wake-ups agree with the model after every step, and in the end everybody is done."""
    machine = type("LineOnThisDatabase", (Line,), {"database": database})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=12,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.explicit, Phase.reuse, Phase.generate),  # 25 steps can be read as they are
        ),
    )


class Registry:
    """Who is inside what right now, as a bystander sees it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.inside: dict[str, list[str]] = {}

    def enter(self, wants: list[Want]) -> None:
        """Come in; fails when somebody incompatible is there."""
        with self.lock:
            for want in wants:
                others = self.inside.setdefault(want.id, [])
                assert not others or (want.mode == "shared" and "exclusive" not in others), (want, others)
                others.append(want.mode)

    def leave(self, wants: list[Want]) -> None:
        """Go out."""
        with self.lock:
            for want in wants:
                self.inside[want.id].remove(want.mode)


class Crowd:
    """Operations in threads of their own, woken by each other."""

    def __init__(self, database: Database, world: World) -> None:
        self.database = database
        self.world = world
        self.registry = Registry()
        self.events: dict[str, threading.Event] = {}
        self.late: list[str] = []

    def run(self, operation: str, seed: int) -> None:
        """One operation from its first request to its release."""
        chance = random.Random(seed)
        recipe, share = chance.choice(RECIPES), chance.randrange(SHARES)
        wants = self.world.wants(recipe, share, chance.randrange(SNAPSHOTS_EACH))
        self.claim(operation, wants)
        self.registry.enter(wants)
        time.sleep(chance.random() / 500)
        more = self.world.more(recipe, share)
        if recipe == "migrate":
            kept = [want for want in wants if want.kind == "instance"]
            self.registry.leave([want for want in wants if want not in kept])
            with self.database.write() as connection:
                woken = claims.give_back(connection, operation, GIVEN_BACK)
            self.wake(woken)
            time.sleep(chance.random() / 500)
            wants = kept
        if more:
            self.claim(operation, wants + more)
            self.registry.enter(more)
        self.registry.leave(wants + more)
        with self.database.write() as connection:
            woken = claims.release(connection, operation)
        self.wake(woken)

    def wake(self, operations_: list[str]) -> None:
        """Tell those whose turn it may be."""
        for other in operations_:
            self.events[other].set()

    def claim(self, operation: str, wants: list[Want]) -> None:
        """Ask, wait for the wake-up, ask again."""
        mine = self.events[operation]
        while True:
            mine.clear()
            with self.database.write() as connection:
                if claims.request(connection, operation, wants).granted:
                    return
            if not mine.wait(20):
                self.late.append(operation)
                return


@pytest.mark.parametrize("seed", range(2))
def test_threads_with_random_operations_all_end_by_wake_ups_alone(database: Database, seed: int) -> None:
    """No circle among operations, none among the database's locks, no lost wake-up, nobody inside with an owner."""
    with database.write() as connection:
        world = World.make(connection)
    crowd = Crowd(database, world)
    crowd.events = {operation_id(): threading.Event() for _ in range(60)}
    with ThreadPoolExecutor(max_workers=12) as threads:
        for running in [threads.submit(crowd.run, name, seed * 1000 + n) for n, name in enumerate(crowd.events)]:
            running.result(timeout=60)
    assert crowd.late == []
    with database.read() as connection:
        assert connection.execute(select(tables.claims)).all() == []
        assert connection.execute(select(tables.tickets)).all() == []


def random_step(database: Database, world: World, chance: random.Random) -> None:
    """Begin something and take it back, touching rows, quotas and pools in any order."""
    operation = operation_id()
    wants = world.wants(chance.choice(RECIPES), chance.randrange(SHARES), chance.randrange(SNAPSHOTS_EACH))
    actor = Actor(operation, PROJECT)
    owned = [want for want in wants if want.mode == "exclusive" and want.kind in GIVEN_BACK]  # what is audited

    def touch(connection: Connection, want: Want) -> Callable[[], object]:
        return partial(audit.change, connection, actor, claims.CLAIMABLE[want.kind], want.id, after="available")

    with database.write() as connection:
        open_operation(connection, operation)
        granted = claims.request(connection, operation, wants).granted
        actions: list[Callable[[], object]] = [
            partial(reservations.reserve_quota, connection, operation, PROJECT, size=GIB),
            *(partial(reservations.reserve_capacity, connection, operation, pool, GIB) for pool in POOLS),
            *(touch(connection, want) for want in owned),
        ]
        for action in chance.sample(actions, len(actions)) if granted else ():
            action()
    with database.write() as connection:
        operations.get(connection, operation)
        takes_back: list[Callable[[], object]] = [
            partial(reservations.void, connection, operation),
            *(touch(connection, want) for want in owned),
        ]
        for action in chance.sample(takes_back, len(takes_back)) if granted else ():
            action()
        claims.release(connection, operation)


def test_steps_that_touch_rows_in_any_order_never_wait_in_a_circle(database: Database) -> None:
    """Begin, commit and abort lock rows, quotas and pools in one order, whatever order a recipe uses them in."""
    quotas = (QuotaRow(PROJECT, None, None, None),)
    with database.write() as connection:
        declare(connection, pool_row("a1"), pool_row("a2", limit=3 * GIB), quotas=quotas)
        world = World.make(connection)
    end = time.monotonic() + 1.5

    def work(seed: int) -> int:
        chance, done = random.Random(seed), 0
        while time.monotonic() < end:
            random_step(database, world, chance)
            done += 1
            if seed == 0:
                with database.write() as connection:
                    declare(connection, pool_row("a2", limit=3 * GIB), pool_row("a1"), quotas=quotas)
        return done

    with ThreadPoolExecutor(max_workers=8) as threads:
        assert sum(threads.map(work, range(8))) > 20
