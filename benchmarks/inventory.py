"""The inventory alone: reservations by many processes, and costs at 1,000 and at 100,000 shares."""

from __future__ import annotations

import multiprocessing
import statistics
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

from sqlalchemy import Table, func, insert, select

from activities.backends import catalogue_of, open_backend
from activities.inventory_steps import InventorySteps
from activities.settings import Services
from benchmarks.arrangement import SPECS, write_specs
from benchmarks.report import Report, Target
from dsl.spec_set import load_specs
from inventory import catalogue, claims, queries, reservations, tables
from inventory.claims import Want
from inventory.database import Database, deployment_id, migrate, now
from shareflow import doctor, names
from shareflow.contracts.operations import CreateShareInput
from shareflow.contracts.reads import ShareQuery
from shareflow.contracts.steps import BeginInput, CommitInput

MIB = 2**20
PROJECT = "bench"
POOL = catalogue.pool_id("memory", "m1")
PROCESSES = 8
SMALL, LARGE = 1_000, 100_000
FLAT = Target(1.5, "at most")


# -- reservations ----------------------------------------------------------------------------------------------------


def _reserve(url: str, worker: int, count: int, together: Barrier) -> None:
    database = Database(url, connections=1)
    with database.read() as connection:  # connects
        deployment_id(connection)
    together.wait()
    for number in range(count):
        with database.write() as connection:
            reservations.reserve_capacity(connection, f"w{worker}-{number}", POOL, MIB)
    together.wait()
    database.close()


def _compete(url: str, *, each: int) -> float:
    """Seconds in which eight processes ask ``each`` times; half of what they ask for fits.

    Raises:
        RuntimeError: more was reserved than fits, or the pool's sum is not that of its reservations.
    """
    fit = PROCESSES * each // 2
    database = Database(url)
    migrate(database)
    pool = catalogue.PoolRow("m1", "", {}, fit * MIB, fit * MIB, fit * MIB)
    with database.write() as connection:
        backend = catalogue.BackendRow("memory", "fake", {}, [pool])
        catalogue.apply(connection, catalogue.Catalogue(backends=[backend]))
    context = multiprocessing.get_context("spawn")
    together = context.Barrier(PROCESSES + 1)
    children = [context.Process(target=_reserve, args=(url, index, each, together)) for index in range(PROCESSES)]
    for child in children:
        child.start()
    together.wait(60)
    began = time.perf_counter()
    together.wait(300)
    seconds = time.perf_counter() - began
    for child in children:
        child.join()
    with database.read() as connection:
        allocated = connection.execute(select(tables.pools.c.allocated_bytes)).scalar_one()
        granted = connection.execute(select(func.count()).select_from(tables.reservations)).scalar_one()
    database.close()
    if granted != fit or allocated != fit * MIB:
        raise RuntimeError(f"{fit} reservations fit, {granted} were granted, {allocated} bytes are allocated")
    return seconds


@contextmanager
def _databases(directory: Path) -> Iterator[dict[str, str]]:
    with ExitStack() as stack:
        urls = {"SQLite": f"sqlite:///{directory / 'reservations.db'}"}
        if doctor.finding("postgresql").ok:
            from tests.support.postgres import running_postgres  # noqa: PLC0415  (only where it is installed)

            server = stack.enter_context(running_postgres())
            urls["PostgreSQL, fsync off"] = server.url(server.new_database())
        yield urls


def contention(report: Report, directory: Path, *, quick: bool) -> None:
    """Reservations a second by eight processes on one pool; never more than fit."""
    each = 60 if quick else 250
    report.head(f"reservations on one pool by {PROCESSES} processes, of which half fit (never more, or this fails)")
    with _databases(directory) as urls:
        for name, url in urls.items():
            report.add(name, PROCESSES * each / _compete(url, each=each), "asked/s", granted=PROCESSES * each / 2)
        if len(urls) == 1:
            report.note("PostgreSQL: skipped, it is not installed here")


# -- flat costs ------------------------------------------------------------------------------------------------------


def _services(database: Database, directory: Path) -> Services:
    """The fake backend and the type of the creates, declared as a worker does it."""
    specs = load_specs([write_specs(directory / "specs", SPECS[:2])])
    with database.write() as connection:
        drivers = {
            name: open_backend(spec, deployment_id(connection), directory) for name, spec in specs.backends.items()
        }
        catalogue.apply(connection, catalogue_of(specs, drivers))
    return Services(database=database, drivers=drivers, state_dir=directory)


def _rows(count: int) -> Iterator[tuple[Table, list[dict[str, Any]]]]:
    """Shares as finished creates leave them."""
    shares = [{"id": str(uuid.uuid4()), "name": f"s{number:07d}"} for number in range(count)]
    common = {"project": PROJECT, "created_at": now()}
    state = {"status": "available", "size": MIB}
    yield (
        tables.shares,
        [
            common | state | share | {"live_name": share["name"], "type": "standard", "type_version": "1"}
            | {"protocol": "path", "description": "", "source_snapshot_id": "", "audit_digest": ""}
            | {"epoch": 1, "revision": 2}
            for share in shares
        ],
    )  # fmt: skip
    yield (
        tables.instances,
        [
            state | {"id": str(uuid.uuid4()), "share_id": share["id"], "pool_id": POOL, "object": f"sf-{share['id']}"}
            | {"allocated_bytes": MIB, "created_at": common["created_at"]}
            for share in shares
        ],
    )  # fmt: skip
    yield (
        tables.operations,
        [
            common | {"id": f"create-{share['id']}", "kind": names.CREATE_SHARE, "state": "succeeded"}
            | {"share_id": share["id"], "request": {"name": share["name"]}, "request_digest": "", "recovery": ""}
            | {"no_return": False, "left_over": "", "requested_by": "", "reason": ""}
            for share in shares
        ],
    )  # fmt: skip
    yield (
        tables.reservations,
        [
            {"operation": f"create-{share['id']}", "scope": "pool", "target": POOL, "state": "committed"}
            | {"bytes": MIB, "shares": 0, "snapshots": 0, "created_at": common["created_at"]}
            for share in shares
        ],
    )  # fmt: skip


@dataclass(slots=True)
class _Sized:
    """An inventory of some size and what is measured on it."""

    database: Database
    steps: InventorySteps
    shares: Iterator[str]
    middle: str

    def first_page(self) -> object:
        """The first 100 shares."""
        return self._page("")

    def middle_page(self) -> object:
        """100 shares from the middle of the list."""
        return self._page(self.middle)

    def _page(self, after: str) -> object:
        with self.database.read() as connection:
            return queries.list_shares(connection, ShareQuery(project=PROJECT, limit=100, after=after))

    def claim_and_reserve(self) -> object:
        """Claim a share and set capacity and quota aside, in one transaction."""
        operation = f"claim-{uuid.uuid4()}"
        with self.database.write() as connection:
            answer = claims.request(connection, operation, [Want("share", next(self.shares))])
            reservations.reserve_quota(connection, operation, PROJECT, size=MIB)
            reservations.reserve_capacity(connection, operation, POOL, MIB)
        return answer

    def create(self) -> object:
        """Both inventory steps of a create."""
        operation, name = f"create-share-{uuid.uuid4()}", f"n-{uuid.uuid4().hex}"
        request = CreateShareInput(project=PROJECT, name=name, size=MIB).model_dump(mode="json")
        self.steps.begin(BeginInput(operation=operation, kind=names.CREATE_SHARE, request=request))
        return self.steps.commit(CommitInput(operation=operation, export_paths=[f"/{name}"]))


def _sized(directory: Path, count: int) -> _Sized:
    place = directory / str(count)
    place.mkdir()
    database = Database(f"sqlite:///{place / 'inventory.db'}")
    migrate(database)
    services = _services(database, place)
    with database.write() as connection:
        for table, rows in _rows(count):
            connection.execute(insert(table), rows)
    with database.read() as connection:
        shares: Sequence[str] = connection.execute(select(tables.shares.c.id).limit(900)).scalars().all()
        query = ShareQuery(project=PROJECT, limit=500)
        for _ in range(count // 1_000):
            query = query.model_copy(update={"after": queries.list_shares(connection, query).next})
    return _Sized(database, InventorySteps(services), iter(shares), query.after)


def _seconds(action: Callable[[], object], repeats: int) -> list[float]:
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        action()
        times.append(time.perf_counter() - began)
    return times


def flat(report: Report, directory: Path, *, quick: bool) -> None:
    """Costs that must not grow with the number of shares, on SQLite, in alternating rounds."""
    rounds, repeats = (6, 10) if quick else (15, 25)
    report.head(f"cost at {LARGE:,} shares against {SMALL:,} (medians of alternating rounds)")
    small, large = _sized(directory, SMALL), _sized(directory, LARGE)
    measures = {
        "list: first page of 100": _Sized.first_page,
        "list: page of 100 in the middle": _Sized.middle_page,
        "claim and reserve": _Sized.claim_and_reserve,
        "both inventory steps of a create": _Sized.create,
    }
    for name, measure in measures.items():
        found: dict[int, list[float]] = {SMALL: [], LARGE: []}
        for number in range(rounds):
            pair = [(SMALL, small), (LARGE, large)]
            for count, sized in pair if number % 2 else reversed(pair):
                found[count] += _seconds(lambda m=measure, s=sized: m(s), repeats)  # type: ignore[misc]
        before, after = statistics.median(found[SMALL]), statistics.median(found[LARGE])
        report.add(name, after / before, "x", target=FLAT, small_ms=1000 * before, large_ms=1000 * after)
    for sized in (small, large):
        sized.database.close()
