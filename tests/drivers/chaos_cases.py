"""A worker that is killed at any moment, again and again, while it makes, fills, reverts and deletes shares."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from drivers.contract import AccessMode, ObjectRef, object_name
from drivers.errors import Busy, DriverError
from drivers.recorded import RecordedDriver
from tests.drivers.bed import POOL, SIZE, Bed, call, content, done, write

ROUNDS = 25
MOST_LIVES = 120
Step = Callable[[RecordedDriver], None]


@dataclass(frozen=True)
class Life:
    """A life of a share as steps that can each be made again: created, filled, frozen, cloned, taken back, deleted."""

    share: ObjectRef
    snapshot: ObjectRef
    clone: ObjectRef

    @classmethod
    def of(cls, seed: random.Random) -> Life:
        """Names from a seed."""
        names = [ObjectRef(POOL, object_name(uuid.UUID(int=seed.getrandbits(128)))) for _ in range(3)]
        return cls(*names)

    def steps(self) -> list[Step]:
        """The steps in order."""
        share, snapshot, clone = self.share, self.snapshot, self.clone
        return [
            lambda d: _ignore(d.create_share(share, SIZE, call("1"))),
            lambda d: write(d, share, "f", "then"),
            lambda d: done(lambda: d.create_snapshot(share, snapshot, call("2"))),
            lambda d: write(d, share, "f", "now"),
            lambda d: done(lambda: d.clone_snapshot(snapshot, clone, SIZE, call("3"))),
            lambda d: d.set_access_mode(share, AccessMode.NONE, call("4")),
            lambda d: done(lambda: d.revert_share(share, snapshot, call("5"))),
            lambda d: _ignore(d.resize_share(share, 2 * SIZE, call("6"))),
            lambda d: d.set_access_mode(share, AccessMode.RW, call("7")),
            self._check,
            lambda d: done(lambda: d.delete_share(share, call("8"))),
            lambda d: done(lambda: d.delete_snapshot(snapshot, call("9"))),
        ]

    def _check(self, driver: RecordedDriver) -> None:
        for name in (self.share, self.snapshot, self.clone):
            assert content(driver, name) == {"f": "then"}


def _ignore(_: object) -> None:
    """A step gives nothing."""


def killed_again_and_again_loses_nothing(bed: Bed, seed: int) -> None:
    """Every restart makes the last call again; at the end there is exactly what there would be without any kill."""
    dice = random.Random(seed)
    lives: list[Life] = []
    script: list[Step] = []
    position, kills = 0, 0
    while kills < ROUNDS and len(lives) < MOST_LIVES:
        if position == len(script):  # a quick machine gets through them before it is killed
            more = [Life.of(dice) for _ in range(6)]
            lives += more
            script += [step for life in more for step in life.steps()]
        position, killed = _run_for(bed, script, position, dice.uniform(0.0, 0.12))
        kills += killed
    driver = bed.open()
    for step in script[position:]:
        _patiently(step, driver)
    assert kills > 0
    assert {state.ref for state in driver.list_objects(POOL).objects} == {life.clone for life in lives}
    for life in lives:
        assert content(driver, life.clone) == {"f": "then"}
        done(partial(driver.delete_share, life.clone, call("end")))
    assert driver.list_objects(POOL).objects == ()
    assert bed.residue() == []


def _run_for(bed: Bed, script: list[Step], position: int, seconds: float) -> tuple[int, bool]:
    """Run the script in a child from a position and kill it after a while; the step it was in, and whether it died."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            driver = bed.open()
            for index in range(position, len(script)):
                os.write(writer, index.to_bytes(4, "big"))
                _patiently(script[index], driver)
            os.write(writer, len(script).to_bytes(4, "big"))
            os._exit(0)
        os._exit(1)
    os.close(writer)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    with os.fdopen(reader, "rb") as stream:
        passed = stream.read()
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, "a step failed in the child"
    return int.from_bytes(passed[-4:], "big") if passed else position, os.WIFSIGNALED(status)


def _patiently(step: Step, driver: RecordedDriver) -> None:
    for _ in range(50):
        try:
            step(driver)
        except Busy as busy:
            time.sleep(min(busy.retry_after, 0.1))
        except DriverError as error:
            raise AssertionError(f"a step cannot go on: {error}") from error
        else:
            return
    raise AssertionError("busy for too long")
