"""What a question or a step costs does not grow with the number of shares; measured in work, not in time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Connection, bindparam, event, text

from inventory import audit, claims, comparison, operations, queries, reservations, resources, tables
from inventory.audit import Actor
from inventory.claims import Want
from inventory.database import Database, migrate
from inventory.tables import UtcDateTime
from shareflow.contracts import reads
from shareflow.contracts.operations import OperationState
from tests.inventory.conftest import BOTH
from tests.inventory.rows import POOL, PROJECT, declare, open_operation
from tests.support.postgres import PostgresServer

FEW, MANY = 1_000, 100_000
ALLOWED_GROWTH = 1.5
LARGE = {"shares", "instances", "snapshots", "snapshot_instances", "operations", "reservations", "audit"}

# Two of five shares are in the recycle bin, every tenth has a snapshot, every thousandth is being resized.
_NUMBERED = """
    WITH RECURSIVE numbers(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM numbers WHERE i < :count - 1),
    n(i, id) AS (SELECT i, CAST(1000000 + i AS VARCHAR(36)) FROM numbers)
"""
_FILL = (
    """INSERT INTO shares (id, project, name, live_name, status, size, type, type_version, protocol, description,
            source_snapshot_id, epoch, revision, audit_digest, created_at)
        SELECT id, :project, 's' || id, CASE WHEN i % 5 IN (1, 2) THEN NULL ELSE 's' || id END,
            CASE WHEN i % 5 IN (1, 2) THEN 'recycle-bin' WHEN i % 1000 = 3 THEN 'resizing' ELSE 'available' END,
            1 + i % 7, 'standard', '1', 'NFS', '', '', 1, 1, '', :day FROM n""",
    """INSERT INTO instances (id, share_id, pool_id, object, status, size, allocated_bytes, created_at)
        SELECT id, id, :pool, 'sf-' || id, 'available', 1, 1, :day FROM n""",
    """INSERT INTO snapshots (id, project, share_id, name, status, size, description, epoch, revision, audit_digest,
            created_at)
        SELECT id, :project, id, 'monday', 'available', 1, '', 1, 1, '', :day FROM n WHERE i % 10 = 0""",
    """INSERT INTO operations (id, project, kind, state, share_id, request, request_digest, recovery, no_return,
            left_over, requested_by, reason, created_at)
        SELECT id, :project, CASE WHEN i % 1000 = 3 THEN 'ResizeShare' ELSE 'CreateShare' END,
            CASE WHEN i % 1000 = 3 THEN 'running' ELSE 'succeeded' END, id, '{}', '', '', CAST(0 AS BOOLEAN), '',
            '', '', :day FROM n""",
    """INSERT INTO reservations (operation, scope, target, state, bytes, shares, snapshots, created_at)
        SELECT id, 'pool', :pool, 'committed', 1, 0, 0, :day FROM n""",
    """INSERT INTO audit (resource_id, revision, resource_kind, project, operation, requested_by, before, after, why,
            at, digest)
        SELECT id, 1, 'share', :project, id, '', '', 'creating', '', :day, id FROM n""",
)


def fill(database: Database, count: int) -> None:
    """So many shares in one project, each with what belongs to it."""
    migrate(database)
    day = datetime(2024, 1, 1, tzinfo=UTC)
    values = {"count": count, "project": PROJECT, "pool": POOL, "day": day}
    with database.write() as connection:
        declare(connection)
        for statement in _FILL:
            filling = text(_NUMBERED + statement).bindparams(bindparam("day", type_=UtcDateTime))
            connection.execute(filling, {name: values[name] for name in filling.compile().params})
    if not database.is_sqlite:  # what autovacuum does by itself
        with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM ANALYZE")


@pytest.fixture(scope="module", params=BOTH)
def sized(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[int, Database]]:
    """A small and a large inventory on the same kind of database."""
    databases: dict[int, Database] = {}
    for count in (FEW, MANY):
        if request.param == "sqlite":
            url = f"sqlite:///{tmp_path_factory.mktemp('sized') / 'inventory.db'}"
        else:
            server: PostgresServer = request.getfixturevalue("postgres")
            url = server.url(server.new_database())
        databases[count] = Database(url)
        fill(databases[count], count)
    yield databases
    for database in databases.values():
        database.close()


Action = Callable[[Connection, int], object]


@dataclass(frozen=True)
class Cost:
    """Work done, in the database's own unit, and large tables that were read from end to end."""

    work: int
    scanned: frozenset[str]


def cost_of(database: Database, action: Action, count: int) -> Cost:
    """What an action costs. Nothing of it stays."""
    measure = _sqlite_cost if database.is_sqlite else _postgres_cost
    statements: list[tuple[str, Any]] = []

    def note(_connection: object, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
        statements.append((statement, parameters))

    with database.engine.connect().execution_options(write=True) as connection:
        connection.begin()
        action(connection, count)  # once for what is only prepared
        connection.rollback()
        connection.begin()
        event.listen(connection, "before_cursor_execute", note)
        work = measure(connection, lambda: action(connection, count), statements)
        event.remove(connection, "before_cursor_execute", note)
        connection.rollback()
    return work


def _sqlite_cost(connection: Connection, action: Callable[[], object], statements: list[tuple[str, Any]]) -> Cost:
    """In tens of instructions of SQLite's machine."""
    raw: Any = connection.connection.dbapi_connection
    steps: list[None] = []
    raw.set_progress_handler(lambda: steps.append(None), 10)
    action()
    raw.set_progress_handler(None, 0)
    scanned: set[str] = set()
    for statement, parameters in list(statements):
        for row in raw.execute(f"EXPLAIN QUERY PLAN {statement}", parameters or ()):
            words = str(row[3]).split()
            if words[0] == "SCAN" and words[1] in LARGE:
                scanned.add(words[1])
    return Cost(len(steps), frozenset(scanned))


def _postgres_cost(connection: Connection, action: Callable[[], object], statements: list[tuple[str, Any]]) -> Cost:
    """In rows looked at by the reading statements; for the others only the plan is looked at."""
    action()
    rows, scanned = 0.0, set[str]()
    for statement, parameters in list(statements):
        verb = statement.split(maxsplit=1)[0]
        if verb not in ("SELECT", "UPDATE", "DELETE", "INSERT") or "advisory" in statement:
            continue
        reading = verb == "SELECT" and "FOR UPDATE" not in statement
        options = "ANALYZE, TIMING OFF, FORMAT JSON" if reading else "FORMAT JSON"
        answer = connection.exec_driver_sql(f"EXPLAIN ({options}) {statement}", parameters or None).scalar_one()
        nodes = list(_nodes(answer[0]["Plan"]))
        rows += sum(_looked_at(node) for node in nodes)
        scanned |= {node["Relation Name"] for node in nodes if node["Node Type"] == "Seq Scan"} & LARGE
    return Cost(int(rows), frozenset(scanned))


def _looked_at(node: Mapping[str, Any]) -> float:
    counted = ("Actual Rows", "Rows Removed by Filter", "Rows Removed by Index Recheck", "Rows Removed by Join Filter")
    return float(sum(node.get(name, 0) for name in counted) * node.get("Actual Loops", 0))


def _nodes(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield plan
    for child in plan.get("Plans", []):
        yield from _nodes(child)


def list_of(name: str, model: type[reads.ListQuery], *, deep: bool = False, **fields: Any) -> Action:
    """A page of 100, the first one or one in the middle."""

    def action(connection: Connection, count: int) -> object:
        query = model.model_validate({"project": PROJECT, **fields})
        if deep:
            query = query.model_copy(update={"after": _middle(query, count)})
        return getattr(queries, name)(connection, query)

    return action


def _middle(query: reads.ListQuery, count: int) -> str:
    identifier = str(1_000_000 + count // 2)
    values: dict[str, list[Any]] = {
        "name": [f"s{identifier}", identifier],
        "size": [4, identifier],
        "created_at": ["2024-01-01T00:00:00+00:00", identifier],
        "status": ["available", f"s{identifier}", identifier],
    }
    return queries._cursor(query, values[query.sort])


def find_by(reference: str) -> Action:
    """A share by name or id."""
    return lambda connection, count: resources.find_share(
        connection, PROJECT, reference.format(number=1_000_000 + count // 2 + 3)
    )


def begin_and_commit(connection: Connection, count: int) -> None:
    """The statements of a resize from its first to its last step."""
    share = str(1_000_000 + count // 2 + 5)
    operation = open_operation(connection, "resize")
    found = resources.find_share(connection, PROJECT, f"s{share}")
    fences = claims.request(connection, operation.id, [Want("share", found["id"])]).fences
    reservations.reserve_quota(connection, operation.id, PROJECT, size=1)
    place = resources.instance_place(connection, share)
    assert reservations.reserve_capacity(connection, operation.id, place.pool_id, 1)
    actor = Actor(operation.id, PROJECT)
    audit.change(connection, actor, tables.shares, share, after="resizing", epoch=fences[0].epoch)
    operations.get(connection, operation.id)
    claims.check(connection, operation.id, fences)
    audit.change(connection, actor, tables.shares, share, after="available", epoch=fences[0].epoch, size=2)
    resources.set_instance(connection, place.id, size=2)
    reservations.commit(connection, operation.id)
    operations.end(connection, operation.id, OperationState.SUCCEEDED, result={})
    claims.release(connection, operation.id)


SORTED = {
    f"shares by {sort}{', turned round' if descending else ''}{', from the middle' if deep else ''}": list_of(
        "list_shares", reads.ShareQuery, sort=sort, descending=descending, deep=deep
    )
    for sort in queries.SHARE_SORTS
    for descending in (False, True)
    for deep in (False, True)
}
ACTIONS: dict[str, Action] = {
    **SORTED,
    "shares that are available": list_of("list_shares", reads.ShareQuery, status="available"),
    "shares that are available, from the middle": list_of(
        "list_shares", reads.ShareQuery, status="available", deep=True
    ),
    "the recycle bin": list_of("list_shares", reads.ShareQuery, deleted=True),
    "shares with a prefix": list_of("list_shares", reads.ShareQuery, name_prefix="s10005"),
    "snapshots": list_of("list_snapshots", reads.SnapshotQuery),
    "snapshots, newest first": list_of("list_snapshots", reads.SnapshotQuery, sort="created_at", descending=True),
    "snapshots of a share": list_of("list_snapshots", reads.SnapshotQuery, share="s1000010"),
    "operations": list_of("list_operations", reads.OperationQuery),
    "operations by kind": list_of("list_operations", reads.OperationQuery, sort="kind"),
    "operations of a kind": list_of("list_operations", reads.OperationQuery, kind="CreateShare"),
    "operations that are done": list_of("list_operations", reads.OperationQuery, state="succeeded"),
    "operations of a share": list_of("list_operations", reads.OperationQuery, share="s1000010"),
    "audit": list_of("list_audit", reads.AuditQuery),
    "audit of a share": list_of("list_audit", reads.AuditQuery, resource="s1000010"),
    "audit of an operation": list_of("list_audit", reads.AuditQuery, operation="1000010"),
    "a share by name": find_by("s{number}"),
    "a share by id": find_by("{number}"),
    "a share with everything": lambda connection, _: queries.get_share(
        connection, reads.ShareRef(project=PROJECT, share="s1000010")
    ),
    "a whole resize": begin_and_commit,
}


@pytest.mark.parametrize("name", ACTIONS)
def test_cost_is_the_same_with_a_hundred_times_as_many_shares(sized: dict[int, Database], name: str) -> None:
    """Rows are found by index, pages are read in the order of an index, and the work stays within a factor of 1.5."""
    few, many = (cost_of(sized[count], ACTIONS[name], count) for count in (FEW, MANY))
    assert many.scanned == frozenset()
    assert few.work > 0
    assert many.work <= few.work * ALLOWED_GROWTH, (few, many)


RARE: dict[str, Action] = {
    "open operations, for the reconciler": lambda connection, _: comparison.open_operations(connection),
    "shares that are being resized": list_of("list_shares", reads.ShareQuery, status="resizing"),
    "operations that run": list_of("list_operations", reads.OperationQuery, state="running"),
    "operations of a rare kind": list_of("list_operations", reads.OperationQuery, kind="ResizeShare"),
}


@pytest.mark.parametrize("name", RARE)
def test_cost_of_a_rare_state_is_that_of_its_rows(sized: dict[int, Database], name: str) -> None:
    """Few among many are found without looking at the many."""
    cost = cost_of(sized[MANY], RARE[name], MANY)
    everything = cost_of(
        sized[MANY], lambda connection, _: connection.execute(text("SELECT count(*), max(size) FROM shares")), MANY
    )
    assert cost.scanned == frozenset()
    assert cost.work < everything.work, (cost, everything)


def test_measure_sees_a_scan(sized: dict[int, Database]) -> None:
    """A question without an index is seen, in the plan and in the work."""

    def scan(connection: Connection, _: int) -> object:
        return connection.execute(tables.shares.select().where(tables.shares.c.description == "x")).all()

    few, many = (cost_of(sized[count], scan, count) for count in (FEW, MANY))
    assert many.scanned == {"shares"}
    assert many.work > 20 * few.work
