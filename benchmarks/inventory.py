"""The inventory alone: reservations by many processes, and costs at 1,000 and at 100,000 shares."""

from __future__ import annotations

import multiprocessing
import statistics
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import insert, select

from inventory import catalogue, claims, queries, reservations, tables
from inventory.catalogue import BackendRow, Catalogue, PoolRow
from inventory.claims import Want
from inventory.database import Database, migrate, now
from shareflow.contracts.reads import ShareQuery

GIB = 2**30
POOL = catalogue.pool_id("bench", "p")


def _prepare(url: str, limit: int) -> Database:
    database = Database(url)
    migrate(database)
    pool = PoolRow(name="p", zone="", attributes={}, limit_bytes=limit, total_bytes=limit, free_bytes=limit)
    with database.write() as connection:
        catalogue.apply(connection, Catalogue(backends=[BackendRow("bench", "fake", {}, [pool])]))
    return database


def _reserve(url: str, worker: int, count: int, start: float) -> None:
    database = Database(url, connections=2)
    while time.time() < start:
        time.sleep(0.001)
    for number in range(count):
        with database.write() as connection:
            reservations.reserve_capacity(connection, f"w{worker}-{number}", POOL, GIB)
    database.close()


def reservations_per_second(url: str, *, processes: int = 8, each: int = 150) -> tuple[float, int, int]:
    """Requests a second with all processes at once; granted and allowed reservations, of which half fit."""
    allowed = processes * each // 2
    database = _prepare(url, allowed * GIB)
    context = multiprocessing.get_context("spawn")
    start = time.time() + 2.5
    children = [context.Process(target=_reserve, args=(url, index, each, start)) for index in range(processes)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    seconds = time.time() - start
    with database.read() as connection:
        allocated = connection.execute(select(tables.pools.c.allocated_bytes)).scalar_one()
        pending = len(connection.execute(select(tables.reservations.c.operation)).all())
    database.close()
    if allocated != pending * GIB or pending > allowed:
        raise RuntimeError(f"{pending} reservations of {allowed} allowed, {allocated} bytes allocated")
    return processes * each / seconds, pending, allowed


def _fill(database: Database, count: int) -> None:
    fixed = {"project": "bench", "status": "available", "size": GIB, "type": "standard", "type_version": "1"}
    fixed |= {"protocol": "path", "description": "", "source_snapshot_id": "", "epoch": 0, "revision": 0}
    rows = []
    for number in range(count):
        identifier, name = str(uuid.uuid4()), f"s{number:07d}"
        rows.append(
            {**fixed, "id": identifier, "name": name, "live_name": name, "audit_digest": "", "created_at": now()}
        )
    instances = [
        {
            "id": str(uuid.uuid4()),
            "share_id": row["id"],
            "pool_id": POOL,
            "object": f"sf-{row['id']}",
            "status": "available",
            "size": GIB,
            "allocated_bytes": GIB,
            "created_at": now(),
        }
        for row in rows
    ]
    with database.write() as connection:
        connection.execute(insert(tables.shares), rows)
        connection.execute(insert(tables.instances), instances)


def _median(action: Callable[[int], object], repeats: int) -> float:
    times = []
    for number in range(repeats):
        began = time.perf_counter()
        action(number)
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def flat_costs(directory: Path) -> dict[str, tuple[float, float]]:
    """Seconds of a list page of 100 and of claim and reserve, at 1,000 and at 100,000 shares."""
    found: dict[str, list[float]] = {"list page of 100": [], "claim and reserve": []}
    for count in (1_000, 100_000):
        database = _prepare(f"sqlite:///{directory / f'flat-{count}.db'}", 2**60)
        _fill(database, count)
        with database.read() as connection:
            shares = connection.execute(select(tables.shares.c.id).limit(400)).scalars().all()

        def page(_number: int, database: Database = database) -> None:
            with database.read() as connection:
                queries.list_shares(connection, ShareQuery(project="bench", after=""))

        def claim(number: int, database: Database = database, shares: object = shares) -> None:
            share = list(shares)[number]  # type: ignore[call-overload]
            with database.write() as connection:
                claims.request(connection, f"op-{number}", [Want("share", share)])
                reservations.reserve_capacity(connection, f"op-{number}", POOL, GIB)

        _median(page, 20)
        found["list page of 100"].append(_median(page, 200))
        found["claim and reserve"].append(_median(claim, 400))
        database.close()
    return {name: (small, large) for name, (small, large) in found.items()}
