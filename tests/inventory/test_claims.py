"""Claims: who may change what, in order of arrival."""

from __future__ import annotations

import pytest
from sqlalchemy import select, update

from inventory import audit, claims, tables
from inventory.audit import Actor
from inventory.claims import Answer, Want
from inventory.database import Database
from shareflow.contracts.places import Fence
from shareflow.errors import Busy, NotFound, StaleClaim
from tests.inventory.rows import PROJECT, make_share, make_snapshot, place_of, row_of


def ask(database: Database, operation: str, *wants: Want, fail_if_busy: bool = False) -> Answer:
    """One request in a transaction of its own, as a step makes it."""
    with database.write() as connection:
        return claims.request(connection, operation, wants, fail_if_busy=fail_if_busy)


def let_go(database: Database, operation: str) -> list[str]:
    """One release in a transaction of its own; who is woken."""
    with database.write() as connection:
        return claims.release(connection, operation)


@pytest.fixture
def share(database: Database) -> str:
    """A share that nobody holds."""
    with database.write() as connection:
        return make_share(connection, "home")


@pytest.fixture
def snapshot(database: Database, share: str) -> str:
    """A snapshot of it that nobody holds."""
    with database.write() as connection:
        return make_snapshot(connection, share, "monday")


def test_free_resource_is_granted_at_the_next_epoch(database: Database, share: str) -> None:
    """A grant gives the fence that the row carries from then on."""
    with database.read() as connection:
        before = row_of(connection, "share", share)["epoch"]
    answer = ask(database, "a", Want("share", share))
    assert answer.granted
    assert answer.fences == (Fence(kind="share", id=share, epoch=before + 1),)
    with database.read() as connection:
        row = row_of(connection, "share", share)
    assert (row["claimed_by"], row["epoch"]) == ("a", before + 1)


def test_repeated_request_gets_the_same_grant(database: Database, share: str) -> None:
    """A step that comes twice changes nothing the second time."""
    first = ask(database, "a", Want("share", share))
    assert ask(database, "a", Want("share", share)) == first


def test_repeated_request_keeps_its_place_in_line(database: Database, share: str) -> None:
    """Who asks again and again does not move back."""
    for operation in ("a", "b", "c", "b"):
        ask(database, operation, Want("share", share))
    assert ask(database, "b", Want("share", share)).waiting_for == ("a",)
    assert ask(database, "c", Want("share", share)).waiting_for == ("a", "b")


def test_line_is_served_in_order_of_arrival(database: Database, share: str) -> None:
    """Each release wakes exactly the next one, who is then granted; nobody overtakes."""
    line = [f"op{number}" for number in range(6)]
    for operation in line:
        ask(database, operation, Want("share", share))
    epochs = []
    for holder, following in zip(line, [*line[1:], None], strict=True):
        answer = ask(database, holder, Want("share", share))
        assert answer.granted
        epochs.append(answer.fences[0].epoch)
        for other in line[line.index(holder) + 1 :]:
            assert not ask(database, other, Want("share", share)).granted
        assert let_go(database, holder) == ([following] if following else [])
    assert epochs == list(range(epochs[0], epochs[0] + 6))


def test_newcomer_does_not_overtake_who_waits_while_the_resource_is_free(database: Database, share: str) -> None:
    """Between a release and the next grant the resource is nobody's, but the line still stands."""
    ask(database, "a", Want("share", share))
    ask(database, "b", Want("share", share))
    let_go(database, "a")
    assert ask(database, "late", Want("share", share)).waiting_for == ("b",)
    assert ask(database, "b", Want("share", share)).granted


def test_readers_share_and_keep_writers_out(database: Database, snapshot: str) -> None:
    """Shared claims stand together; an exclusive one waits for all of them, and a later reader waits behind it."""
    read = Want("snapshot", snapshot, "shared")
    assert ask(database, "r1", read).granted
    assert ask(database, "r2", read).granted
    assert ask(database, "w", Want("snapshot", snapshot)).waiting_for == ("r1", "r2")
    assert ask(database, "r3", read).waiting_for == ("w",)
    assert let_go(database, "r1") == []
    assert let_go(database, "r2") == ["w"]
    assert ask(database, "w", Want("snapshot", snapshot)).granted
    assert let_go(database, "w") == ["r3"]


def test_reader_leaves_the_epoch_and_the_row_alone(database: Database, snapshot: str) -> None:
    """A reader changes nothing, so it needs no fencing number of its own."""
    with database.read() as connection:
        before = dict(row_of(connection, "snapshot", snapshot))
    answer = ask(database, "r", Want("snapshot", snapshot, "shared"))
    assert answer.fences[0].epoch == before["epoch"]
    with database.read() as connection:
        assert dict(row_of(connection, "snapshot", snapshot)) == before


def test_all_readers_at_the_head_of_the_line_are_woken_together(database: Database, snapshot: str) -> None:
    """A writer that leaves lets in every reader up to the next writer, and not that one."""
    ask(database, "w1", Want("snapshot", snapshot))
    for reader in ("r1", "r2"):
        ask(database, reader, Want("snapshot", snapshot, "shared"))
    ask(database, "w2", Want("snapshot", snapshot))
    ask(database, "r3", Want("snapshot", snapshot, "shared"))
    assert let_go(database, "w1") == ["r1", "r2"]


def test_several_resources_are_granted_all_or_none(database: Database, share: str, snapshot: str) -> None:
    """Who cannot have everything takes nothing, so that others can use what is free."""
    ask(database, "holder", Want("snapshot", snapshot))
    both = (Want("share", share), Want("snapshot", snapshot))
    assert ask(database, "both", *both).waiting_for == ("holder",)
    with database.read() as connection:
        assert row_of(connection, "share", share)["claimed_by"] is None
    assert let_go(database, "holder") == ["both"]
    answer = ask(database, "both", *both)
    assert [fence.id for fence in answer.fences] == [share, snapshot]


def test_who_waits_for_two_is_waited_for_in_both_lines(database: Database, share: str, snapshot: str) -> None:
    """A late request for the free one of two does not starve an early request for both."""
    ask(database, "holder", Want("snapshot", snapshot))
    ask(database, "both", Want("share", share), Want("snapshot", snapshot))
    assert ask(database, "late", Want("share", share)).waiting_for == ("both",)


def test_busy_resource_refuses_at_once_when_asked_to(database: Database, share: str) -> None:
    """``on_busy: fail`` names the operation in the way and leaves no trace in the line."""
    ask(database, "in-the-way", Want("share", share))
    with pytest.raises(Busy, match="operation in-the-way holds share"):
        ask(database, "hasty", Want("share", share), fail_if_busy=True)
    with database.read() as connection:
        assert connection.execute(select(tables.claims.c.operation)).scalars().all() == ["in-the-way"]
    assert let_go(database, "in-the-way") == []


def test_free_resource_with_a_line_refuses_too(database: Database, share: str) -> None:
    """Somebody who waits was first, and is named as waiting."""
    ask(database, "a", Want("share", share))
    ask(database, "b", Want("share", share))
    let_go(database, "a")
    with pytest.raises(Busy, match="operation b waits in line for share"):
        ask(database, "hasty", Want("share", share), fail_if_busy=True)


def test_free_resource_is_granted_to_the_hasty(database: Database, share: str) -> None:
    """``on_busy: fail`` is a wish about waiting, not about the grant."""
    assert ask(database, "hasty", Want("share", share), fail_if_busy=True).granted


def test_cancelled_waiter_leaves_every_line_and_lets_the_next_move_up(
    database: Database, share: str, snapshot: str
) -> None:
    """Who was held off by the one that left alone is woken; who still waits for the holder is not."""
    ask(database, "holder", Want("snapshot", snapshot))
    ask(database, "cancelled", Want("share", share), Want("snapshot", snapshot))
    ask(database, "behind", Want("share", share))
    ask(database, "still-waits", Want("snapshot", snapshot))
    assert let_go(database, "cancelled") == ["behind"]
    assert ask(database, "behind", Want("share", share)).granted
    assert ask(database, "still-waits", Want("snapshot", snapshot)).waiting_for == ("holder",)


def test_release_is_idempotent(database: Database, share: str) -> None:
    """A repeated release takes nothing from who has come since."""
    ask(database, "a", Want("share", share))
    let_go(database, "a")
    assert ask(database, "b", Want("share", share)).granted
    assert let_go(database, "a") == []
    with database.read() as connection:
        assert row_of(connection, "share", share)["claimed_by"] == "b"


def test_operation_that_comes_again_after_its_release_stands_at_the_end(database: Database, share: str) -> None:
    """A ticket is used once."""
    ask(database, "a", Want("share", share))
    ask(database, "b", Want("share", share))
    let_go(database, "a")
    assert ask(database, "a", Want("share", share)).waiting_for == ("b",)


def test_holder_adds_to_what_it_holds_with_its_own_ticket(database: Database, share: str, snapshot: str) -> None:
    """A deletion that holds the share goes ahead of everybody who came to its snapshots later."""
    ask(database, "reader", Want("snapshot", snapshot, "shared"))
    assert ask(database, "deletion", Want("share", share)).granted
    assert not ask(database, "late", Want("snapshot", snapshot)).granted
    more = (Want("share", share), Want("snapshot", snapshot))
    assert ask(database, "deletion", *more).waiting_for == ("reader",)
    assert let_go(database, "reader") == ["deletion"]
    answer = ask(database, "deletion", *more)
    assert [fence.id for fence in answer.fences] == [share, snapshot]
    assert ask(database, "late", Want("snapshot", snapshot)).waiting_for == ("deletion",)


def test_resource_made_in_the_same_transaction_is_held_from_its_first_moment(database: Database) -> None:
    """Nobody can come between the creation and the claim."""
    with database.write() as connection:
        share = make_share(connection, "new")
        connection.execute(update(tables.shares).where(tables.shares.c.id == share).values(claimed_by="maker", epoch=1))
        fence = claims.hold_new(connection, "maker", "share", share)
    assert ask(database, "late", Want("share", share)).waiting_for == ("maker",)
    with database.read() as connection:
        claims.check(connection, "maker", [fence])
    assert let_go(database, "maker") == ["late"]


def test_unknown_resource_is_refused_and_nothing_is_kept(database: Database, share: str) -> None:
    """A share that was deleted while somebody waited for it is an answer, not a place in a dead line."""
    with pytest.raises(NotFound, match="snapshot nowhere does not exist"):
        ask(database, "a", Want("share", share), Want("snapshot", "nowhere"))
    with database.read() as connection:
        assert connection.execute(select(tables.claims)).all() == []


def test_same_resource_wanted_both_ways_is_wanted_alone(database: Database, snapshot: str) -> None:
    """The stronger wish counts."""
    assert ask(database, "a", Want("snapshot", snapshot, "shared"), Want("snapshot", snapshot)).granted
    assert not ask(database, "b", Want("snapshot", snapshot, "shared")).granted


def test_reader_cannot_become_owner(database: Database, snapshot: str) -> None:
    """Two readers that both asked for more would wait for each other; recipes never ask for that."""
    ask(database, "r", Want("snapshot", snapshot, "shared"))
    with pytest.raises(ValueError, match="cannot become its owner"):
        ask(database, "r", Want("snapshot", snapshot))


def test_waiting_reader_may_ask_for_more(database: Database, snapshot: str) -> None:
    """Who holds nothing yet may still change its mind."""
    ask(database, "w", Want("snapshot", snapshot))
    ask(database, "r", Want("snapshot", snapshot, "shared"))
    ask(database, "r", Want("snapshot", snapshot))
    ask(database, "later", Want("snapshot", snapshot, "shared"))
    let_go(database, "w")
    assert ask(database, "r", Want("snapshot", snapshot)).granted
    assert not ask(database, "later", Want("snapshot", snapshot, "shared")).granted


def test_name_that_means_another_share_now_leaves_the_old_line(database: Database, share: str) -> None:
    """Who waited for a share that was replaced by one of the same name holds nobody off the old one."""
    with database.write() as connection:
        replacement = make_share(connection, "replacement")
    ask(database, "holder", Want("share", share))
    ask(database, "a", Want("share", share))
    assert ask(database, "a", Want("share", replacement)).granted
    assert ask(database, "b", Want("share", share)).waiting_for == ("holder",)


@pytest.mark.parametrize("how", ["released", "old epoch", "another operation", "only waiting", "other resource"])
def test_zombie_is_refused_before_it_acts(database: Database, share: str, snapshot: str, how: str) -> None:
    """Every step checks its fence right before its effect: without the claim there is none."""
    fence = ask(database, "a", Want("share", share)).fences[0]
    operation, held = "a", fence
    if how == "released":
        let_go(database, "a")
    elif how == "old epoch":
        let_go(database, "a")
        held = fence
        assert ask(database, "a", Want("share", share)).fences[0].epoch == fence.epoch + 1
    elif how == "another operation":
        operation = "b"
    elif how == "only waiting":
        operation = "b"
        ask(database, "b", Want("share", share))
    else:
        held = Fence(kind="snapshot", id=snapshot, epoch=fence.epoch)
    with database.read() as connection, pytest.raises(StaleClaim):
        claims.check(connection, operation, [held])


def test_holder_passes_the_check(database: Database, share: str, snapshot: str) -> None:
    """The check lets through exactly what was granted, owners and readers."""
    answer = ask(database, "a", Want("share", share), Want("snapshot", snapshot, "shared"))
    with database.read() as connection:
        claims.check(connection, "a", answer.fences)


@pytest.mark.parametrize("how", ["released", "taken over", "old epoch", "deleted"])
def test_zombie_changes_nothing(database: Database, share: str, how: str) -> None:
    """A late write carries operation and epoch, so it finds no row; the row and its audit stay as they are."""
    fence = ask(database, "a", Want("share", share)).fences[0]
    let_go(database, "a")
    if how == "taken over":
        ask(database, "b", Want("share", share))
    elif how == "old epoch":
        ask(database, "a", Want("share", share))
    elif how == "deleted":
        ask(database, "b", Want("share", share))
        with database.write() as connection:
            audit.remove(connection, Actor("b", PROJECT), tables.shares, share)
    with database.read() as connection:
        before = connection.execute(select(tables.shares)).all(), connection.execute(select(tables.audit)).all()
    with pytest.raises(StaleClaim), database.write() as connection:
        audit.change(connection, Actor("a", PROJECT), tables.shares, share, after="resizing", epoch=fence.epoch)
    with database.read() as connection:
        assert before == (
            connection.execute(select(tables.shares)).all(),
            connection.execute(select(tables.audit)).all(),
        )


def test_row_that_is_held_outside_every_line_is_freed_with_its_operation(database: Database, share: str) -> None:
    """Whatever lost a claim's row, releasing the operation frees what it holds and wakes who waits."""
    ask(database, "lost", Want("share", share))
    with database.write() as connection:
        connection.execute(tables.claims.delete().where(tables.claims.c.operation == "lost"))
    with pytest.raises(StaleClaim, match="held outside its line"):
        ask(database, "next", Want("share", share))
    assert let_go(database, "lost") == []
    assert ask(database, "next", Want("share", share)).granted


def test_who_gives_a_part_back_keeps_the_rest_and_its_place(database: Database, share: str) -> None:
    """Others may have the share meanwhile; asked for again, it comes before everybody who came later."""
    with database.read() as connection:
        instance = Want("instance", place_of(connection, share).id)
    begun = ask(database, "mover", Want("share", share), instance)
    assert not ask(database, "first", Want("share", share)).granted
    with database.write() as connection:
        assert claims.give_back(connection, "mover", ["share"]) == ["first"]
        (kept,) = claims.held(connection, "mover")
    assert kept == next(fence for fence in begun.fences if fence.kind == "instance")
    assert ask(database, "first", Want("share", share)).granted
    assert not ask(database, "later", Want("share", share)).granted
    assert ask(database, "mover", Want("share", share)).waiting_for == ("first",)
    assert let_go(database, "first") == ["mover"]
    assert ask(database, "mover", Want("share", share)).granted
    assert ask(database, "deleter", Want("share", share), instance).waiting_for == ("mover", "later")
    assert set(let_go(database, "mover")) == {"later", "deleter"}


def test_a_renewed_claim_is_held_under_a_new_number_and_the_old_one_can_do_nothing(
    database: Database, share: str
) -> None:
    """What was sent under the old number and hangs somewhere is fenced off; nobody else gets the resource meanwhile."""
    (old,) = ask(database, "op-1", Want("share", share)).fences
    with database.write() as connection:
        new = claims.renew(connection, "op-1", old)
    assert new.epoch == old.epoch + 1
    with database.read() as connection:
        claims.check(connection, "op-1", [new])
        with pytest.raises(StaleClaim):
            claims.check(connection, "op-1", [old])
    with database.write() as connection, pytest.raises(StaleClaim):
        claims.renew(connection, "op-1", old)
    assert ask(database, "op-2", Want("share", share)).waiting_for == ("op-1",)
