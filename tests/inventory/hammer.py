"""What the processes of the tests do; each opens the database for itself, as a worker does."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from multiprocessing.process import BaseProcess
from typing import Any

from sqlalchemy import Connection

from inventory import claims, operations, reservations, tables
from inventory.claims import Want
from inventory.database import Database, migrate
from shareflow.contracts.qos import Floors
from shareflow.errors import DatabaseUnavailable, QuotaExceeded
from tests.inventory.rows import PROJECT, open_operation

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["tests.inventory.hammer"])


def patiently(database: Database, change: Callable[[Connection], object]) -> None:
    """One transaction, made again when the database has given it up, as all callers of the inventory do."""
    while True:
        with suppress(DatabaseUnavailable), database.write() as connection:
            change(connection)
            return


def reserve(url: str, names: Sequence[str], pool: str, sizes: Sequence[int], *, repeats: int = 1) -> None:
    """Reserve pool and quota for every operation, each request ``repeats`` times in random order; void some again."""
    database = Database(url)
    requests = [(name, size) for name, size in zip(names, sizes, strict=True) for _ in range(repeats)]
    random.Random(names[0]).shuffle(requests)
    for name, size in requests:
        patiently(database, partial(_reserve, name=name, pool=pool, size=size))
    database.close()


def _reserve(connection: Connection, *, name: str, pool: str, size: int) -> None:
    if open_operation(connection, name).ended:
        return
    with suppress(QuotaExceeded):
        reservations.reserve_quota(connection, name, PROJECT, size=size, shares=1)
        if not reservations.reserve_capacity(connection, name, pool, size):
            reservations.void(connection, name)


def promise(url: str, names: Sequence[str], pool: str, floors: Sequence[Floors], *, repeats: int = 1) -> None:
    """Reserve a byte and floors for every operation, each ``repeats`` times in random order; void every third again."""
    database = Database(url)
    requests = [(name, floor) for name, floor in zip(names, floors, strict=True) for _ in range(repeats)]
    random.Random(names[0]).shuffle(requests)
    for number, (name, floor) in enumerate(requests):
        patiently(database, partial(reservations.reserve_capacity, operation=name, pool_id=pool, size=1, floors=floor))
        if number % 3 == 0:
            patiently(database, partial(reservations.void, operation=name))
    database.close()


def claim_and_die(url: str, share: str, pool: str, size: int, *, committed: bool) -> None:
    """Claim and reserve as a begin does; the process is killed right before or right after the commit."""
    database = Database(url)
    with database.write() as connection:
        begin(connection, share, pool, size)
        if not committed:
            _die()
    _die()


def begin(connection: Any, share: str, pool: str, size: int) -> claims.Answer:
    """The transaction of a begin, repeatable."""
    operation = open_operation(connection, "killed")
    answer = claims.request(connection, operation.id, [Want("share", share)])
    reservations.reserve_quota(connection, operation.id, PROJECT, size=size)
    reservations.reserve_capacity(connection, operation.id, pool, size)
    operations.note(connection, operation.id, begun={"fences": [fence.model_dump() for fence in answer.fences]})
    return answer


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def migrate_one(url: str) -> None:
    """What every worker does when it starts."""
    database = Database(url)
    migrate(database)
    with database.read() as connection:
        assert connection.execute(tables.deployment.select()).all()
    database.close()


@contextmanager
def processes(*work: Callable[[], None]) -> Iterator[list[BaseProcess]]:
    """Processes that run at the same time; none is left behind. ``work`` is made of module functions and partials."""
    started = [_CONTEXT.Process(target=each) for each in work]
    try:
        for process in started:
            process.start()
        yield list(started)
    finally:
        for process in started:
            process.kill()
            process.join(10)


def run(*work: Callable[[], None], seconds: float = 60) -> None:
    """Run processes to their end; fails when one does."""
    with processes(*work) as started:
        for process in started:
            process.join(seconds)
        assert [process.exitcode for process in started] == [0] * len(started)
