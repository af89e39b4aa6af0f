"""Pools in order, and what was found out about them that no request changes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from operator import attrgetter, is_not
from typing import Any, NamedTuple, Self, TypeVar

from dsl.placement.pools import PoolView
from dsl.placement.rules import PlacementRule

MOST_KEPT = 128
"""So many answers are remembered, those that were asked for last: a few for each share type and size."""

Value = TypeVar("Value")

Failing = Mapping[int, bool | None]
"""The places of the pools that a rule does not hold for: False, or None when the pool does not say."""

_ORDER = attrgetter("backend", "name", "id")


class _Answers(NamedTuple):
    """Which pools were asked, and what came of it: a :data:`Failing`, or a value for each."""

    asked: tuple[PoolView, ...]
    found: Any


class _Memory:
    """The answers to standing rules by their key. Usable from any number of threads."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Hashable, _Answers] = OrderedDict()
        self._lock = threading.Lock()

    def recall(self, key: Hashable) -> _Answers | None:
        """The answers that were kept last."""
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
            return found

    def keep(self, key: Hashable, answers: _Answers) -> None:
        """Replaces the answers; those that nobody has asked for longest go."""
        with self._lock:
            self._kept[key] = answers
            self._kept.move_to_end(key)
            if len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)


class Pools:
    """Pools in the order in which decisions list them: by backend, name and id. Never changed, only succeeded.

    What a standing rule says of a pool is true as long as the pool's view is the same object, since views never change.
    So those that come after a change share one memory, and only views that are not those that were asked are asked
    again. The backend and the name of a pool are those of its id; they do not change.
    """

    def __init__(self, views: tuple[PoolView, ...], places: Mapping[str, int], memory: _Memory) -> None:
        """For :meth:`of` and :meth:`with_changes`: the views in order, and the place of each by its id."""
        self.views = views
        self._places = places
        self._memory = memory
        self._compared: tuple[tuple[PoolView, ...], Sequence[int]] = (views, ())

    @classmethod
    def of(cls, views: Iterable[PoolView], memory: _Memory | None = None) -> Self:
        """Pools in whatever order they come, which remember nothing yet."""
        ordered = tuple(sorted(views, key=_ORDER))
        return cls(ordered, {view.id: place for place, view in enumerate(ordered)}, memory or _Memory())

    def get(self, pool: str) -> PoolView | None:
        """The pool with an id."""
        place = self._places.get(pool)
        return self.views[place] if place is not None else None

    def with_changes(self, changed: Sequence[PoolView], gone: Collection[str] = ()) -> Self:
        """Those that come after a change, which remember what these do.

        Args:
            changed: new views, of these and of other pools.
            gone: ids of pools that are no more.
        """
        if any(view.id not in self._places for view in changed) or not self._places.keys().isdisjoint(gone):
            every = {view.id: view for view in (*self.views, *changed) if view.id not in gone}
            return self.of(every.values(), self._memory)
        views = list(self.views)
        for view in changed:
            views[self._places[view.id]] = view
        return type(self)(tuple(views), self._places, self._memory)

    def failing(self, rule: PlacementRule) -> Failing:
        """What a rule does not hold for."""
        return self.of_some(rule.standing, lambda places: self._ask(rule, places))

    def reasons(self, rule: PlacementRule, failing: Failing) -> Mapping[int, str]:
        """Why a rule does not hold, for the places where it does not."""
        views, explain = self.views, rule.explain
        key = None if rule.standing is None else ("reasons", rule.standing)

        def why(places: Iterable[int]) -> dict[int, str]:
            return {place: explain(views[place]).reason for place in places if place in failing}

        return self.of_some(key, why, failing)

    def of_some(
        self,
        key: Hashable,
        ask: Callable[[Collection[int]], dict[int, Value]],
        everywhere: Collection[int] | None = None,
    ) -> Mapping[int, Value]:
        """What ``ask`` has to say of those places that it says something of, of each pool once for a ``key``.

        Args:
            key: what the answers depend on beside the pools; None when they are not remembered.
            ask: answers for some places.
            everywhere: all places of which it may say something, None for those of all pools.
        """
        everywhere = range(len(self.views)) if everywhere is None else everywhere
        if key is None:
            return ask(everywhere)

        def again(before: dict[int, Value], places: Sequence[int]) -> dict[int, Value]:
            found = dict(before)
            for place in places:
                found.pop(place, None)
            return found | ask(places)

        return self._remembered(key, lambda: ask(everywhere), again)

    def of_each(self, key: Hashable, work: Callable[[PoolView], Value]) -> Sequence[Value]:
        """What ``work`` makes of each pool, in their order; made once for each view and ``key``."""
        views = self.views

        def again(before: Sequence[Value], places: Sequence[int]) -> Sequence[Value]:
            found = list(before)
            for place in places:
                found[place] = work(views[place])
            return found

        return self._remembered(key, lambda: [work(view) for view in views], again)

    def _remembered(
        self, key: Hashable, whole: Callable[[], Value], again: Callable[[Value, Sequence[int]], Value]
    ) -> Value:
        """What was found under a key for these pools; only those that have changed since are asked again."""
        before = self._memory.recall(key)
        if before is not None and before.asked is self.views:
            known: Value = before.found
            return known
        if before is None or len(before.asked) != len(self.views):
            found = whole()
        else:
            found = again(before.found, self._changed_since(before.asked))
        self._memory.keep(key, _Answers(self.views, found))
        return found

    def _ask(self, rule: PlacementRule, places: Iterable[int]) -> dict[int, bool | None]:
        views, test = self.views, rule.test
        return {place: said for place in places if not (said := test(views[place]))}

    def _changed_since(self, asked: tuple[PoolView, ...]) -> Sequence[int]:
        """The places whose view is another one; worked out once for the rules of a type, which are asked together."""
        compared = self._compared
        if compared[0] is not asked:
            places = [place for place, other in enumerate(map(is_not, asked, self.views)) if other]
            compared = self._compared = (asked, places)
        return compared[1]
