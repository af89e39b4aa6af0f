"""The ledger finds what it is there to find, and nothing in a sound history."""

from __future__ import annotations

import contextlib
import dataclasses
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from drivers.contract import AccessMode, Call, ObjectRef
from drivers.errors import DriverError
from drivers.fake import FaultKind, disk_array, forget_array
from drivers.fake.records import StoredObject
from tests.drivers.fakes import MIB, World, config_for, ref


@pytest.fixture(params=["memory", "disk"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """A backend on each store."""
    made = World(config_for(request.param, tmp_path))
    yield made
    forget_array(made.array)


def numbers(world: World) -> list[str]:
    """Numbers of the invariants that were broken, in order."""
    return [text.partition(" ")[0] for text in world.array.violations()]


def test_creation_after_delete_is_found(world: World) -> None:
    """I4: at most one object per name ever."""
    share = world.share()
    world.driver.delete_share(share, world.call())
    world.array.trust(trusting=True)
    world.driver.create_share(share, MIB, world.call())
    assert numbers(world) == ["I4"]
    assert share.name in world.array.violations()[0]


def test_effect_of_an_older_epoch_is_found(world: World) -> None:
    """I13: an array that does not fence lets a zombie through, and the ledger says so."""
    share = world.share(epoch=5)
    world.array.trust(trusting=True)
    world.driver.resize_share(share, 2 * MIB, world.call(4))
    assert numbers(world) == ["I13"]
    world.driver.resize_share(share, 3 * MIB, world.call(5))
    assert numbers(world) == ["I13"]


def test_pool_that_holds_more_than_it_can_is_found(world: World) -> None:
    """I5: capacity is never exceeded, at no instant."""
    world.array.trust(trusting=True)
    first = world.share(700 * MIB)
    assert numbers(world) == []
    world.share(700 * MIB)
    assert numbers(world) == ["I5"]
    world.driver.delete_share(first, world.call())
    world.share(MIB)
    assert numbers(world) == ["I5"]


def test_running_sum_that_differs_from_the_objects_is_found(world: World) -> None:
    """I5: an object that changed behind the effects shows in the recount."""
    share = world.share()
    assert world.array.ledger.audit() == []
    stored = next(one for one in world.array.objects() if one.name == share.name)
    world.array.run(world.driver._settings, "", lambda session: session.txn.drop(StoredObject, "p1", stored.name))
    assert [text[:2] for text in world.array.ledger.audit()] == ["I5"]


def test_second_writable_leg_of_a_share_is_found(world: World) -> None:
    """I7: at most one writable leg, once the legs are declared."""
    first, second = world.share(), world.share()
    world.array.ledger.declare_group("share-1", [first, second])
    world.driver.set_access_mode(second, AccessMode.RO, world.call())
    world.driver.set_access_mode(first, AccessMode.RO, world.call())
    world.driver.set_access_mode(second, AccessMode.RW, world.call())
    assert numbers(world) == []
    world.driver.set_access_mode(first, AccessMode.RW, world.call())
    assert numbers(world) == ["I7"]


@pytest.mark.parametrize("change", ["bytes", "mode", "name", "gone"])
def test_changed_snapshot_is_found(world: World, change: str) -> None:
    """I8: bytes, modes and names of a snapshot never change."""
    share = world.share()
    world.client.write(share, "d/f", b"then")
    snapshot = world.snapshot(share)
    world.client.write(share, "d/f", b"now")
    assert world.array.ledger.verify_snapshots() == []
    file = world.driver.data_path(snapshot) / "d" / "f"
    if change == "bytes":
        file.write_bytes(b"thEn")
    elif change == "mode":
        file.chmod(0o600)
    elif change == "name":
        file.rename(file.with_name("g"))
    else:
        file.unlink()
    assert [text[:2] for text in world.array.ledger.verify_snapshots()] == ["I8"]
    assert numbers(world) == ["I8"]


def test_empty_snapshot_is_verified_too(world: World) -> None:
    """I8: a snapshot of a share that never held anything stays empty."""
    share = world.share()
    snapshot = world.snapshot(share)
    world.client.write(share, "f", b"now")
    assert world.client.tree(snapshot) == {}
    path = world.driver.data_path(snapshot)
    assert world.array.ledger.verify_snapshots() == []
    (path / "f").write_bytes(b"x")
    assert len(world.array.ledger.verify_snapshots()) == 1


class RandomCaller:
    """Makes random calls on few objects, with random epochs; every error of the contract is fine."""

    def __init__(self, world: World, seed: int) -> None:
        self._world = world
        self._random = random.Random(seed)
        self._shares = [ref() for _ in range(40)]
        self._snapshots = [ref() for _ in range(40)]
        self._clones = [ref() for _ in range(40)]

    def run(self, turns: int, fault_share: float) -> None:
        verbs = [self._create, self._create, self._write, self._resize, self._snapshot, self._clone, self._revert]
        verbs += [self._mode] + [self._delete] * (turns % 2)
        kinds = [FaultKind.BUSY, FaultKind.ERROR_BEFORE_EFFECT, FaultKind.ERROR_AFTER_EFFECT, FaultKind.HALF]
        for turn in range(turns):
            if self._random.random() < fault_share:
                self._world.array.script.add(self._random.choice(kinds))
            call = self._world.call(1 + turn * 3 // turns + self._random.randrange(2), f"op-{turn // 3}")
            with contextlib.suppress(DriverError, OSError):
                self._random.choice(verbs)(call)
            if self._random.random() < 0.05:
                with contextlib.suppress(DriverError):
                    self._delete(call)

    def _share(self) -> ObjectRef:
        return self._random.choice(self._shares if self._random.random() < 0.8 else self._clones)

    def _create(self, call: Call) -> None:
        self._world.driver.create_share(self._share(), self._random.choice([MIB, 2 * MIB]), call)

    def _write(self, call: Call) -> None:
        self._world.client.write(self._share(), f"f{self._random.randrange(3)}", call.key.encode())

    def _resize(self, call: Call) -> None:
        self._world.driver.resize_share(self._share(), self._random.randint(1, 400) * MIB, call)

    def _mode(self, call: Call) -> None:
        self._world.driver.set_access_mode(self._share(), self._random.choice(list(AccessMode)), call)

    def _snapshot(self, call: Call) -> None:
        index = self._random.randrange(40)
        self._world.driver.create_snapshot(self._shares[index], self._snapshots[index], call)

    def _clone(self, call: Call) -> None:
        self._world.driver.clone_snapshot(
            self._random.choice(self._snapshots), self._random.choice(self._clones), 2 * MIB, call
        )

    def _revert(self, call: Call) -> None:
        index = self._random.randrange(40)
        self._world.driver.revert_share(self._shares[index], self._snapshots[index], call)

    def _delete(self, call: Call) -> None:
        if self._random.random() < 0.5:
            self._world.driver.delete_share(self._share(), call)
        else:
            self._world.driver.delete_snapshot(self._random.choice(self._snapshots), call)


@pytest.mark.parametrize("seed", range(5))
def test_random_history_with_faults_keeps_every_invariant(world: World, seed: int) -> None:
    """The array holds its own invariants under random calls, epochs and faults."""
    RandomCaller(world, seed).run(400, fault_share=0.1)
    verbs = {effect.verb for effect in world.array.ledger.effects()}
    assert {"create_share", "resize_share", "create_snapshot", "clone_snapshot", "revert_share"} <= verbs
    assert world.sound()


def test_random_calls_of_many_threads_keep_every_invariant(world: World) -> None:
    """The same, with four callers on the same objects at once and jobs that take time."""
    slow = World(
        dataclasses.replace(
            world.config, options={**world.config.options, "clone_seconds": 0.01, "revert_seconds": 0.01}
        )
    )
    caller = RandomCaller(slow, 7)
    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(caller.run, 150, 0.1) for _ in range(4)]:
            done.result()
    assert slow.sound()


def test_ledger_on_disk_is_there_for_the_next_process(tmp_path: Path) -> None:
    """Effects and violations survive on disk."""
    world = World(config_for("disk", tmp_path))
    share = world.share(epoch=2)
    world.array.trust(trusting=True)
    world.driver.resize_share(share, 2 * MIB, world.call(1))
    forget_array(world.array)
    array = disk_array(tmp_path / "array")
    assert len(array.violations()) == 1
    assert [effect.verb for effect in array.ledger.effects()] == ["create_share", "resize_share"]
    forget_array(array)
