"""Lists: complete, without doubles, in one order on both databases, and never outside their project."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError
from sqlalchemy import Connection, insert, select, update

from inventory import queries, resources, tables
from inventory.catalogue import pool_id
from inventory.database import Database, migrate
from inventory.operations import end
from shareflow.contracts import reads
from shareflow.contracts.operations import OperationState
from shareflow.contracts.reads import ListQuery, Page
from shareflow.errors import InvalidInput
from tests.inventory.conftest import BOTH
from tests.inventory.rows import (
    GIB,
    PROJECT,
    bin_share,
    declare,
    make_share,
    make_snapshot,
    open_operation,
    operation_id,
    pool_row,
)
from tests.support.postgres import PostgresServer

List = Callable[[Connection, Any], Page[Any]]
LISTS: dict[str, tuple[List, type[ListQuery], Mapping[str, Sequence[str]]]] = {
    "shares": (queries.list_shares, reads.ShareQuery, queries.SHARE_SORTS),
    "snapshots": (queries.list_snapshots, reads.SnapshotQuery, queries.SNAPSHOT_SORTS),
    "operations": (queries.list_operations, reads.OperationQuery, queries.OPERATION_SORTS),
    "audit": (queries.list_audit, reads.AuditQuery, queries.AUDIT_SORTS),
    "findings": (queries.list_findings, reads.FindingQuery, queries.FINDING_SORTS),
}
CASES = [(name, sort) for name, (_, _, sorts) in LISTS.items() for sort in sorts]


def fill(connection: Connection, project: str = PROJECT) -> None:
    """Rows with many ties in everything that lists sort by."""
    chance = random.Random(7)
    moments = [datetime(2024, 1, day, tzinfo=UTC) for day in (1, 2, 3)]
    names = [*"aAbBzZ019", "a-b", "a.b", "ab", "Ab", "a_b", "a0"]
    for name in names:
        share = make_share(connection, name, project=project, size=chance.choice((GIB, 2 * GIB)))
        for number in range(chance.randrange(3)):
            make_snapshot(connection, share, f"{'monday' if number else name}")
    for table in (tables.shares, tables.snapshots):
        for identifier in connection.execute(select(table.c.id).where(table.c.project == project)).scalars().all():
            values = {"created_at": chance.choice(moments)}
            connection.execute(update(table).where(table.c.id == identifier).values(values))
    for number in range(12):
        operation = open_operation(
            connection, operation_id(), project=project, kind=chance.choice(("Resize", "Revert"))
        )
        if number % 3 == 0:
            end(connection, operation.id, OperationState.SUCCEEDED, result={})
    connection.execute(update(tables.operations).values(created_at=moments[0]))
    connection.execute(update(tables.audit).where(tables.audit.c.revision == 2).values(at=moments[1]))


def fill_findings(connection: Connection) -> None:
    """Findings, half of them found at the same moment."""
    for number in range(9):
        moment = datetime(2024, 1, 1 + number % 2, tzinfo=UTC)
        connection.execute(
            insert(tables.findings).values(
                id=resources.new_id(), kind="orphan-object", backend="alpha", pool="a1", subject=f"s{number}",
                first_seen=moment, last_seen=moment, repaired=number == 8,
            )
        )  # fmt: skip


def fill_all(database: Database) -> None:
    """Two projects with the same names, and findings."""
    with database.write() as connection:
        for project in (PROJECT, "red"):
            fill(connection, project)
        fill_findings(connection)


@pytest.fixture(scope="module", params=BOTH)
def filled(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """Made once: tests that only read share it."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('filled') / 'inventory.db'}"
    else:
        server: PostgresServer = request.getfixturevalue("postgres")
        url = server.url(server.new_database())
    database = Database(url)
    migrate(database)
    fill_all(database)
    yield database
    database.close()


def key_of(item: BaseModel) -> str:
    """What makes a row of any list itself."""
    return str(getattr(item, "id", "") or getattr(item, "digest", ""))


def walk(database: Database, ask: List, query: ListQuery) -> Iterator[Any]:
    """All pages, each in a transaction of its own."""
    while True:
        with database.read() as connection:
            page = ask(connection, query)
        assert len(page.items) <= query.limit
        yield from page.items
        if not page.next:
            return
        assert page.items
        query = query.model_copy(update={"after": page.next})


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize(("name", "sort"), CASES)
def test_pages_together_are_the_whole_list_in_order(filled: Database, name: str, sort: str, descending: bool) -> None:
    """Every row once, whatever the page size and however many rows are equal in what the list is sorted by."""
    ask, query, _ = LISTS[name]
    whole = list(walk(filled, ask, query(project=PROJECT, sort=sort, descending=descending, limit=1000)))
    assert len(whole) >= 8
    values = [getattr(item, sort) for item in whole]
    assert values == sorted(values, reverse=descending)
    assert len({key_of(item) for item in whole}) == len(whole)
    for limit in (1, 2, 5, len(whole)):
        paged = list(walk(filled, ask, query(project=PROJECT, sort=sort, descending=descending, limit=limit)))
        assert paged == whole


@pytest.mark.parametrize(("name", "sort"), CASES)
def test_descending_is_ascending_turned_round(filled: Database, name: str, sort: str) -> None:
    """Ties are turned round as well, so a list can be read from both ends."""
    ask, query, _ = LISTS[name]
    up = list(walk(filled, ask, query(project=PROJECT, sort=sort, descending=False)))
    down = list(walk(filled, ask, query(project=PROJECT, sort=sort, descending=True)))
    assert up == down[::-1]


def test_rows_that_come_and_go_while_paging_disturb_no_others(database: Database) -> None:
    """A position is a place in the order, not a number of rows: who was there all the time is listed exactly once."""
    fill_all(database)
    query = reads.ShareQuery(project=PROJECT, limit=4)
    with database.read() as connection:
        before = {item.id for item in queries.list_shares(connection, query.model_copy(update={"limit": 100})).items}
        first = queries.list_shares(connection, query)
    gone = first.items[-1].id
    with database.write() as connection:
        bin_share(connection, gone)
        make_share(connection, "0-comes-before-the-position")
    rest = list(walk(database, queries.list_shares, query.model_copy(update={"after": first.next})))
    listed = [item.id for item in (*first.items, *rest)]
    assert len(listed) == len(set(listed))
    assert set(listed) == before


def test_names_are_sorted_byte_by_byte_on_both_databases(filled: Database) -> None:
    """Digits, capitals, small letters: one order, whatever language a database was made for."""
    names = [item.name for item in walk(filled, queries.list_shares, reads.ShareQuery(project=PROJECT))]
    assert names == sorted(names, key=str.encode)
    assert names.index("Z") < names.index("a")


@pytest.mark.needs("postgresql")
def test_order_does_not_depend_on_the_language_of_the_database(
    postgres: PostgresServer, opened: Callable[[str], Database]
) -> None:
    """A PostgreSQL database with English rules would put ``a`` before ``B``; our columns do not follow it."""
    name = postgres.new_database(options="LOCALE_PROVIDER icu ICU_LOCALE 'en-US'")
    assert postgres.execute("SELECT 'a' < 'B'", database=name) == [(True,)]
    database = opened(postgres.url(name))
    migrate(database)
    with database.write() as connection:
        for each in ("a", "B", "b", "A"):
            make_share(connection, each)
    listed = [item.name for item in walk(database, queries.list_shares, reads.ShareQuery(project=PROJECT, limit=1))]
    assert listed == ["A", "B", "a", "b"]


@pytest.mark.parametrize(
    ("prefix", "found"),
    [
        ("a", ["a", "a-b", "a.b", "a0", "a_b", "ab"]),
        ("A", ["A", "Ab"]),
        ("a_", ["a_b"]),
        ("_", []),
        ("%", []),
        ("a%", []),
        ("ab", ["ab"]),
        ("abc", []),
        ("", None),
        ("ü", []),
        ("\U0010ffff", []),
    ],
)
def test_prefix_is_taken_letter_by_letter(filled: Database, prefix: str, found: list[str] | None) -> None:
    """Nothing in it is a wildcard, and capitals are not small letters, on both databases."""
    query = reads.ShareQuery.model_construct(
        **{**reads.ShareQuery(project=PROJECT).model_dump(), "name_prefix": prefix}
    )
    names = [item.name for item in walk(filled, queries.list_shares, query)]
    assert names == found if found is not None else len(names) == 15


def test_prefix_finds_what_python_finds(database: Database) -> None:
    """Also at the edges of the alphabet: the last character, and the gap where no characters are."""
    names = ["x\ud7ff", "x\ue000", "x\U0010ffff", "x\U0010ffffy", "x", "xz", "y"]
    with database.write() as connection:
        for name in names:
            make_share(connection, name)
    for prefix in ("x", "x\ud7ff", "x\U0010ffff", "x\ue000", "\U0010ffff", "y"):
        values = {**reads.ShareQuery(project=PROJECT).model_dump(), "name_prefix": prefix}
        listed = walk(database, queries.list_shares, reads.ShareQuery.model_construct(**values))
        assert {item.name for item in listed} == {name for name in names if name.startswith(prefix)}


def test_filters_narrow_the_list(database: Database) -> None:
    """Status, type, backend, pool and prefix, alone and together."""
    with database.write() as connection:
        declare(connection, pool_row("a1"), pool_row("a2"))
        shares = [make_share(connection, f"s{number}") for number in range(6)]
        moved = resources.pool_row(connection, pool_id("alpha", "a2"))
        connection.execute(
            update(tables.instances).where(tables.instances.c.share_id.in_(shares[:2])).values(pool_id=moved["id"])
        )
        connection.execute(update(tables.shares).where(tables.shares.c.id == shares[0]).values(type="fast"))
        connection.execute(update(tables.shares).where(tables.shares.c.id == shares[5]).values(status="resizing"))
        bin_share(connection, shares[4])

        def names(**filters: object) -> list[str]:
            query = reads.ShareQuery.model_validate({"project": PROJECT, **filters})
            return [item.name for item in queries.list_shares(connection, query).items]

        assert names() == ["s0", "s1", "s2", "s3", "s5"]
        assert names(status="resizing") == ["s5"]
        assert names(type="fast") == ["s0"]
        assert names(pool="a2") == ["s0", "s1"]
        assert names(backend="alpha", pool="a1") == ["s2", "s3", "s5"]
        assert names(backend="beta") == []
        assert names(pool="a2", type="standard", name_prefix="s") == ["s1"]
        assert names(deleted=True) == ["s4"]
        assert names(deleted=True, status="available") == []


def test_operations_and_audit_are_filtered(database: Database) -> None:
    """By state, kind, share, resource and operation."""
    fill_all(database)
    with database.write() as connection:
        share = make_share(connection, "mine")
        operation = open_operation(connection, operation_id(), kind="DeleteShare")
        connection.execute(
            update(tables.operations).where(tables.operations.c.id == operation.id).values(share_id=share)
        )
        ask = queries.list_operations
        done = ask(connection, reads.OperationQuery(project=PROJECT, state=OperationState.SUCCEEDED)).items
        assert len(done) == 4
        assert {item.state for item in done} == {OperationState.SUCCEEDED}
        for query in (
            reads.OperationQuery(project=PROJECT, kind="DeleteShare"),
            reads.OperationQuery(project=PROJECT, share="mine"),
        ):
            assert [item.id for item in ask(connection, query).items] == [operation.id]
        trail = queries.list_audit(connection, reads.AuditQuery(project=PROJECT, resource=share)).items
        assert [entry.after for entry in trail] == ["available", "creating"]
        assert queries.list_audit(connection, reads.AuditQuery(project=PROJECT, resource="mine")).items == trail
        by_operation = reads.AuditQuery(project=PROJECT, operation=trail[0].operation)
        assert len(queries.list_audit(connection, by_operation).items) == 2
        assert len(queries.list_findings(connection, reads.FindingQuery()).items) == 8
        assert len(queries.list_findings(connection, reads.FindingQuery(open_only=False)).items) == 9


def first_position(connection: Connection, **query: object) -> str:
    """The position after the first row."""
    asked = reads.ShareQuery.model_validate({"project": PROJECT, "limit": 1, **query})
    return queries.list_shares(connection, asked).next


@pytest.mark.parametrize(
    "other",
    [
        {"sort": "size"},
        {"descending": True},
        {"project": "red"},
        {"status": "available"},
        {"name_prefix": "a"},
        {"deleted": True},
    ],
    ids=str,
)
def test_position_in_another_list_is_refused(filled: Database, other: dict[str, object]) -> None:
    """It would skip or repeat rows without a word; the message says what to do."""
    with filled.read() as connection:
        position = first_position(connection)
        with pytest.raises(InvalidInput, match=r"after: is a position in another list.*same filters"):
            first_position(connection, after=position, **other)


def test_position_of_another_kind_of_list_is_refused(filled: Database) -> None:
    """Shares and snapshots have the same fields to sort by, but not the same rows."""
    with filled.read() as connection:
        query = reads.SnapshotQuery(project=PROJECT, after=first_position(connection))
        with pytest.raises(InvalidInput, match="another list"):
            queries.list_snapshots(connection, query)


def test_page_size_may_change_on_the_way(filled: Database) -> None:
    """Only what the list is, and its order, must stay the same."""
    with filled.read() as connection:
        assert first_position(connection, after=first_position(connection), limit=3)


def forge(change: Callable[[list[Any]], Any]) -> Callable[[str], str]:
    """A position with something changed in it."""

    def forged(position: str) -> str:
        return base64.urlsafe_b64encode(json.dumps(change(json.loads(base64.b64decode(position)))).encode()).decode()

    return forged


FORGED: dict[str, Callable[[str], str]] = {
    "noise": lambda _: "%%%",
    "text": lambda _: "hello",
    "umlaut": lambda _: "ü",
    "cut": lambda position: position[:-3],
    "number": forge(lambda _: 7),
    "number in front": forge(lambda parts: [7, *parts[1:]]),
    "nothing": forge(lambda _: []),
    "too short": forge(lambda parts: parts[:2]),
    "too long": forge(lambda parts: [*parts, "x"]),
    "no text": forge(lambda parts: [parts[0], 7, parts[2]]),
    "null": forge(lambda parts: [parts[0], None, parts[2]]),
    "NUL": forge(lambda parts: [parts[0], "a\0b", parts[2]]),
    "surrogate": forge(lambda parts: [parts[0], "\ud800", parts[2]]),
    "nested": forge(lambda parts: [parts[0], {"a": 1}, parts[2]]),
    "deep": lambda _: base64.urlsafe_b64encode(b"[" * 760).decode(),
}


@pytest.mark.parametrize("how", FORGED)
def test_position_that_no_list_gave_is_refused(filled: Database, how: str) -> None:
    """Whatever it is, the answer is about the field, and comes before any question to the database."""
    with filled.read() as connection:
        forged = FORGED[how](first_position(connection))
        with pytest.raises(InvalidInput, match="after: is"):
            first_position(connection, after=forged)


@pytest.mark.parametrize(
    ("sort", "value"),
    [
        ("size", 2**63),
        ("size", True),
        ("size", 1.5),
        ("created_at", "yesterday"),
        ("created_at", "2024-01-01T00:00:00"),
    ],
)
def test_position_with_an_impossible_value_is_refused(filled: Database, sort: str, value: object) -> None:
    """Numbers that the database does not have, and times without a zone."""
    with filled.read() as connection:
        position = first_position(connection, sort=sort)
        forged = forge(lambda parts: [parts[0], value, parts[2]])(position)
        with pytest.raises(InvalidInput, match="after: is not a position"):
            first_position(connection, sort=sort, after=forged)


@pytest.mark.parametrize("name", LISTS)
def test_unknown_field_to_sort_by_is_refused_with_those_there_are(filled: Database, name: str) -> None:
    """Only fields with an index can be sorted by."""
    ask, query, sorts = LISTS[name]
    with filled.read() as connection, pytest.raises(InvalidInput, match=f"'id'.*{', '.join(sorts)}"):
        ask(connection, query(project=PROJECT, sort="id"))


def test_position_does_not_open_another_project(filled: Database) -> None:
    """A position is where to go on, not what may be seen."""
    with filled.read() as connection:
        position = first_position(connection, project="red")
        with pytest.raises(InvalidInput, match="another list"):
            first_position(connection, after=position)


def test_limits_of_a_page_are_kept_by_the_contract() -> None:
    """Nobody asks for more than a thousand rows at once, or for none."""
    for limit in (0, -1, 1001):
        with pytest.raises(ValidationError):
            reads.ShareQuery(limit=limit)
