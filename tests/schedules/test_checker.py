"""The checker of histories can fail: each broken promise is found in the smallest history that breaks it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.schedules.checker import check
from tests.schedules.history import Ending, History, Mode, Promotion, Snapshot, Write
from tests.schedules.plan import drawn


def _history(*, lost: bool = False, loss: float = 0.0) -> History:
    """Writes 1 and 2 to a, a promotion of b between 10 and 12, write 3 to b."""
    return History(
        first="a",
        writes=[Write(1, "a", 1, 1.1, True), Write(2, "a", 8, 8.1, True), Write(3, "b", 13, 13.1, True)],
        promotions=[Promotion("b", "a", began=10, decided=11, ended=12, lost=lost, loss=loss)],
        snapshots=[Snapshot("s", 2, 3)],
        modes=[Mode(10.5, "a", "none"), Mode(11.5, "b", "rw")],
        ending=_ending({1, 2, 3}),
    )


def _ending(numbers: set[int], **changes: object) -> Ending:
    whole = frozenset(numbers)
    taken = {"s": {"a": frozenset({1}), "b": frozenset({1})}}
    return replace(Ending("b", {"a": whole, "b": whole}, taken), **changes)  # type: ignore[arg-type]


def test_a_history_that_keeps_all_promises_passes() -> None:
    """Planned, and with a loss that was announced."""
    assert check(_history()) == []
    announced = _history(lost=True, loss=4.0)
    announced.ending = _ending({1, 3})
    assert check(announced) == []


def test_a_lost_acknowledged_write_is_found() -> None:
    """A planned promotion loses nothing."""
    history = _history()
    history.ending = _ending({1, 3})
    assert check(history) == ["acknowledged write 2 is lost, and no promotion has announced that"]


def test_a_write_that_is_older_than_the_announced_loss_is_found() -> None:
    """The age that was announced is a bound."""
    history = _history(lost=True, loss=2.0)
    history.ending = _ending({1, 3})
    assert check(history) == ["acknowledged write 2 is lost, and no promotion has announced that"]


def test_a_write_that_is_kept_after_one_that_was_lost_is_found() -> None:
    """What a replica has is the content of one moment."""
    history = _history(lost=True, loss=60.0)
    history.ending = _ending({2, 3}, snapshots={"s": {"b": frozenset({1})}})
    assert check(history) == ["write 1 is lost and write 2, which came after it, is not"]
    history.promotions = [replace(history.promotions[0], torn=True)]
    assert check(history) == []


def test_two_actives_are_found_by_their_writes() -> None:
    """The old one accepts a write after the new one has."""
    history = _history()
    history.writes.append(Write(4, "a", 14, 14.1, True))
    history.ending = _ending({1, 2, 3, 4})
    assert check(history) == ["I7 write 4 was accepted by a while another instance was active"]


def test_two_actives_are_found_by_the_account_of_the_backends() -> None:
    """The old one is not fenced when the new one is opened, whether or not somebody writes."""
    history = _history()
    history.modes = [Mode(11.5, "b", "rw"), Mode(11.6, "a", "none")]
    assert check(history) == ["I7 a and b are writable at the same time"]


def test_a_lost_instance_may_be_written_to_until_it_is_fenced_and_not_after() -> None:
    """Whoever reaches it writes to what is no share any more; its fence ends that for good."""
    history = _history(lost=True, loss=4.0)
    history.modes = [Mode(11.5, "b", "rw"), Mode(20, "a", "none")]
    history.writes.append(Write(4, "a", 14, 14.1, True))
    assert check(history) == []
    history.writes.append(Write(5, "a", 21, 21.1, True))
    assert "I7 write 5 was accepted by a while another instance was active" in check(history)
    history.writes.pop()
    history.modes.append(Mode(22, "a", "rw"))
    assert check(history) == ["I7 a and b are writable at the same time"]


def test_an_instance_may_be_active_again() -> None:
    """There and back."""
    history = _history()
    history.promotions.append(Promotion("a", "b", began=20, decided=21, ended=22))
    history.modes += [Mode(20.5, "b", "none"), Mode(21.5, "a", "rw")]
    history.writes.append(Write(4, "a", 23, 23.1, True))
    history.ending = _ending({1, 2, 3, 4}, active="a")
    assert check(history) == []


def test_what_was_refused_and_is_there_all_the_same_is_found() -> None:
    """A refusal means that nothing was written."""
    history = _history()
    history.writes.append(Write(4, "a", 14, 14.1, False))
    history.ending = _ending({1, 2, 3, 4})
    assert check(history) == [f"{one} has write 4, which nobody was told to be accepted" for one in "ab"]


def test_a_replica_that_has_not_converged_is_found() -> None:
    """In content, and in snapshots."""
    history = _history()
    history.ending = _ending({1, 2, 3}, contents={"a": frozenset({1}), "b": frozenset({1, 2, 3})})
    assert check(history) == ["replica a has [1], the active instance [1, 2, 3]"]
    history.ending = _ending({1, 2, 3}, snapshots={"s": {"a": frozenset({1, 2}), "b": frozenset({1})}})
    assert any("is not the same in all copies" in text for text in check(history))


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ({1, 2}, "snapshot s has write 2, which came after it"),
        (set(), "snapshot s lacks write 1, which came before it"),
    ],
)
def test_a_snapshot_of_another_moment_is_found(numbers: set[int], text: str) -> None:
    """It has what was acknowledged before it, and nothing of what came after it."""
    history = _history()
    history.ending = _ending({1, 2, 3}, snapshots={"s": {"b": frozenset(numbers)}})
    assert check(history) == [text]


def test_a_lost_snapshot_is_found_unless_it_was_announced() -> None:
    """Promotions name the snapshots that go with a lost instance."""
    history = _history(lost=True, loss=4.0)
    history.ending = _ending({1, 2, 3}, snapshots={})
    assert check(history) == ["acknowledged snapshot s is lost, and no promotion has announced that"]
    history.promotions = [replace(history.promotions[0], lost_snapshots=("s",))]
    assert check(history) == []


def test_what_is_stuck_is_found() -> None:
    """And a history that has no end."""
    history = _history()
    history.ending = _ending({1, 2, 3}, problems=("I10 it is not settled",))
    assert check(history) == ["I10 it is not settled"]
    history.ending = None
    assert check(history) == ["it has no end"]


def test_a_seed_is_a_schedule() -> None:
    """The same one every time, and another one for another seed."""
    assert drawn(7) == drawn(7)
    assert len({drawn(seed).moves for seed in range(50)}) == 50
