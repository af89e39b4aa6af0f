"""What a history must be: no acknowledged write is lost but within an announced loss, and never are two active."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tests.schedules.history import NEVER, Ending, History, Promotion, Snapshot, Write


@dataclass(frozen=True, slots=True)
class Reign:
    """A time in which clients may write to an instance: until its end for sure nobody else, after it nobody there."""

    instance: str
    begin: float
    end: float


def check(history: History) -> list[str]:
    """What is wrong with a history, one line each; empty for one that keeps all promises."""
    ending = history.ending
    if ending is None:
        return ["it has no end"]
    return [
        *ending.problems,
        *_lost(history, ending),
        *_holes(history, ending),
        *_phantoms(history, ending),
        *_two_actives(history),
        *_two_writable(history),
        *_apart(ending),
        *_snapshots(history, ending),
    ]


# -- acknowledged writes ---------------------------------------------------------------------------------------------


def _accepted(history: History) -> list[Write]:
    return sorted((one for one in history.writes if one.accepted), key=lambda one: one.ended)


def _is_announced(write: Write, promotion: Promotion) -> bool:
    """Whether the loss that a promotion announced has this write in it.

    Whoever still reaches an instance that was declared lost writes to what is no share any more.
    """
    if not promotion.lost or write.ended < promotion.decided - promotion.loss:
        return False
    return write.began <= promotion.decided or write.instance == promotion.demoted


def _lost(history: History, ending: Ending) -> Iterator[str]:
    there = ending.contents.get(ending.active, frozenset())
    for write in _accepted(history):
        if write.number not in there and not any(_is_announced(write, one) for one in history.promotions):
            yield f"acknowledged write {write.number} is lost, and no promotion has announced that"


def _holes(history: History, ending: Ending) -> Iterator[str]:
    """What was lost of one reign are its last writes: the content of a replica is that of one moment."""
    there = ending.contents.get(ending.active, frozenset())
    for promotion in history.promotions:
        if not promotion.lost or promotion.torn:
            continue
        before = [one.decided for one in history.promotions if one.decided < promotion.decided]
        since = max(before, default=0.0)
        own = [
            one for one in _accepted(history)
            if one.instance == promotion.demoted and since < one.began and one.ended < promotion.decided
        ]  # fmt: skip
        kept = [one for one in own if one.number in there]
        for write in own:
            later = next((one for one in kept if one.began > write.ended), None)
            if write.number not in there and later is not None and _lost_only_by(write, promotion, history):
                yield f"write {write.number} is lost and write {later.number}, which came after it, is not"


def _lost_only_by(write: Write, promotion: Promotion, history: History) -> bool:
    return not any(one is not promotion and _is_announced(write, one) for one in history.promotions)


def _phantoms(history: History, ending: Ending) -> Iterator[str]:
    accepted = {one.number for one in history.writes if one.accepted}
    for instance, numbers in ending.contents.items():
        for number in sorted(numbers - accepted):
            yield f"{instance} has write {number}, which nobody was told to be accepted"


# -- who is active ---------------------------------------------------------------------------------------------------


def reigns(history: History) -> list[Reign]:
    """When each instance could be written to, by what the promotions said and what the next one accepted.

    The reign of an instance that was declared lost ends when its backend has fenced it, which may be never.
    """
    order = sorted(history.promotions, key=lambda one: one.decided)
    found, begin, instance = [], 0.0, history.first
    for promotion in order:
        found.append(Reign(instance, begin, _end_of(history, promotion)))
        begin, instance = promotion.began, promotion.promoted
    return [*found, Reign(instance, begin, NEVER)]


def _end_of(history: History, promotion: Promotion) -> float:
    if promotion.lost:
        fences = [one.at for one in history.modes if one.instance == promotion.demoted and one.mode != "rw"]
        return min((at for at in fences if at > promotion.began), default=NEVER)
    first = [
        one.ended for one in history.writes
        if one.accepted and one.instance == promotion.promoted and one.began > promotion.began
    ]  # fmt: skip
    return min([promotion.ended, *first])


def _two_actives(history: History) -> Iterator[str]:
    """No write is accepted where no reign is."""
    every = reigns(history)
    for write in _accepted(history):
        mine = [one for one in every if one.instance == write.instance]
        if not any(one.begin <= write.ended and write.began <= one.end for one in mine):
            yield f"I7 write {write.number} was accepted by {write.instance} while another instance was active"


def _two_writable(history: History) -> Iterator[str]:
    """By the account of the backends at most one instance is writable, those aside that are lost and not fenced yet."""
    mode: dict[str, str] = {history.first: "rw"}
    lost: set[str] = set()
    events = [(one.decided, one) for one in history.promotions] + [(one.at, one) for one in history.modes]
    for _, event in sorted(events, key=lambda pair: pair[0]):
        if isinstance(event, Promotion):
            lost |= {event.demoted} if event.lost else set()
            continue
        mode[event.instance] = event.mode
        if event.mode != "rw":
            lost.discard(event.instance)
        writable = sorted(one for one, now in mode.items() if now == "rw" and one not in lost)
        if len(writable) > 1:
            yield f"I7 {' and '.join(writable)} are writable at the same time"


# -- the other copies ------------------------------------------------------------------------------------------------


def _apart(ending: Ending) -> Iterator[str]:
    there = ending.contents.get(ending.active)
    for instance, numbers in ending.contents.items():
        if numbers != there:
            yield f"replica {instance} has {sorted(numbers)}, the active instance {sorted(there or ())}"
    for name, copies in ending.snapshots.items():
        if len(set(copies.values())) > 1:
            yield f"snapshot {name} is not the same in all copies: {dict(copies)}"


def _snapshots(history: History, ending: Ending) -> Iterator[str]:
    """An acknowledged snapshot is there, with what had been acknowledged before it, or its loss was announced."""
    gone = {name for one in history.promotions for name in one.lost_snapshots}
    for snapshot in history.snapshots:
        copies = ending.snapshots.get(snapshot.name)
        if copies is None:
            if snapshot.name not in gone:
                yield f"acknowledged snapshot {snapshot.name} is lost, and no promotion has announced that"
            continue
        for numbers in copies.values():
            yield from _frozen(history, snapshot, numbers)


def _frozen(history: History, snapshot: Snapshot, numbers: frozenset[int]) -> Iterator[str]:
    for write in _accepted(history):
        if write.number in numbers:
            if write.began > snapshot.ended:
                yield f"snapshot {snapshot.name} has write {write.number}, which came after it"
            continue
        excused = any(one.decided < snapshot.ended and _is_announced(write, one) for one in history.promotions)
        if write.ended < snapshot.began and not excused:
            yield f"snapshot {snapshot.name} lacks write {write.number}, which came before it"
