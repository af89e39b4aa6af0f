"""Replicas are watched between rounds: most of the time there is nothing to do, and a look is enough."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from temporalio import activity

from activities.failures import translated
from activities.recipes import watching
from activities.recipes.watching import AtRest
from activities.settings import Services
from drivers.contract import Driver, ObjectRef, SupportsTransfer
from drivers.errors import DriverError
from inventory.database import now
from shareflow import names
from shareflow.contracts.places import ObjectPlace
from shareflow.contracts.replica_steps import Watched, WatchInput


class ReplicaWatch:
    """Watches the replicas on one backend. Nothing is held: what is noted is checked in its transaction."""

    def __init__(self, services: Services, backend: str, driver: Driver, slots: int) -> None:
        self._services = services
        self._driver = driver
        self._threads = ThreadPoolExecutor(max_workers=slots, thread_name_prefix=f"watch-{backend}")

    def activities(self) -> list[Callable[..., Any]]:
        """The activity functions to register on the queue of watches."""
        return [self.watch]

    def close(self) -> None:
        """Take no more."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    @activity.defn(name=names.WATCH_REPLICA)
    async def watch(self, step: WatchInput) -> Watched:
        """Look until there is something to do, or so often. Every look is like a round in which nothing has changed.

        What a backend refuses or fails is no answer: the round that comes then says why. Repeated: it looks again.
        """
        for number in range(step.looks):
            activity.heartbeat()
            if number and await _worker_ends(step.interval):
                break
            look = asyncio.get_running_loop().run_in_executor(self._threads, self._look, step)
            with translated():
                try:
                    idle = await asyncio.wait_for(look, step.patience)
                except TimeoutError:  # what it notes when it ends after all is true of when it began
                    idle = False
            if not idle:
                return Watched(idle=False)
        return Watched(idle=True)

    def _look(self, step: WatchInput) -> bool:
        """Whether the replica has all that the share has; then it is as fresh as after a round."""
        as_of = now()
        with self._services.database.read() as connection:
            seen = watching.at_rest(connection, step)
        if seen is None or not self._is_unchanged(seen):
            return False
        # Window: others may have had the replica, or changed what is active, since it was looked at; that is seen here.
        with self._services.database.write() as connection:
            found = watching.at_rest(connection, step)
            return found is not None and found == seen and watching.note_idle(connection, found, as_of)

    def _is_unchanged(self, seen: AtRest) -> bool:
        """The share is as it was at the sync point, and the replica is there with its own."""
        sender: object = self._services.drivers.get(seen.source.backend)
        if not isinstance(sender, SupportsTransfer):
            return False
        try:
            point = seen.memory.taken
            return sender.is_unchanged(_ref(seen.source), _ref(seen.source, point)) and all(
                (state := self._driver.observe(ref)) is not None and state.complete
                for ref in (_ref(seen.destination), _ref(seen.destination, point))
            )
        except (DriverError, OSError):
            return False


async def _worker_ends(seconds: float) -> bool:
    """Rest so long; True at once when this worker is to end."""
    try:
        await asyncio.wait_for(activity.wait_for_worker_shutdown(), seconds)
    except TimeoutError:
        return False
    return True


def _ref(place: ObjectPlace, name: str = "") -> ObjectRef:
    return ObjectRef(pool=place.pool, name=name or place.object)
