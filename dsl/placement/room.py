"""The last rule of a placement: whether the size fits."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from dsl.capacity import Measure, SpaceRequest, headroom, measure, phrases, reason
from dsl.decision import Kind, RuleResult
from dsl.placement.standing import Failing, Pools
from shareflow.contracts.units import format_size

# As many are made as there are pools; this way takes a fraction of the time of a call of the class.
_new = tuple.__new__
_CAPACITY = Kind.CAPACITY


class CapacityRule:
    """Whether the size fits, for every pool by its place. Most pools answer with what was worked out before.

    Attributes:
        failing: the places of the pools that it does not fit into.
        rooms: per pool, see :class:`~dsl.capacity.CapacityVerdict`.
    """

    def __init__(self, space: SpaceRequest, pools: Pools) -> None:
        self._space = space
        self._pools = pools
        size, heads = space.size, pools.of_each(("room", space.terms), lambda view: headroom(view.figures, space))
        rooms: list[int | None] = [left - size if size <= sure else None for sure, left in heads]
        views = pools.views

        def measured(places: Collection[int]) -> dict[int, Measure]:
            return {place: measure(views[place].figures, space) for place in places if rooms[place] is None}

        # Those that do not fit, or only just, or not by numbers.
        self._measured = pools.of_some(("measured", space.terms, size), measured)
        for place, found in self._measured.items():
            rooms[place] = found[-1]
        self.rooms = rooms
        self.failing: Failing = {place: False for place, found in self._measured.items() if not found[0]}
        self._reasons: Sequence[str] | None = None

    def _measure(self, place: int) -> Measure:
        return self._measured.get(place) or measure(self._pools.views[place].figures, self._space)

    def reason(self, place: int) -> str:
        """The arithmetic in words."""
        if self._reasons is not None:
            return self._reasons[place]
        return reason(self._measure(place), self._pools.views[place].figures, self._space)

    def reasons(self) -> Sequence[str]:
        """The arithmetic of every pool in words, which takes far less than one after the other."""
        if self._reasons is None:
            space, size = self._space, format_size(self._space.size)
            words = self._pools.of_each(("words of room", space.terms), lambda view: phrases(view.figures, space))
            found = [
                f"{before}{size}{after}{format_size(room or 0)}"
                for (before, after), room in zip(words, self.rooms, strict=True)
            ]
            key = ("measured, in words", space.terms, space.size)
            for place, text in self._pools.of_some(key, self._said, self._measured).items():
                found[place] = text
            self._reasons = found
        return self._reasons

    def _said(self, places: Collection[int]) -> dict[int, str]:
        views, measured, space = self._pools.views, self._measured, self._space
        return {place: reason(measured[place], views[place].figures, space) for place in places if place in measured}

    def explain(self, place: int) -> RuleResult:
        """The arithmetic."""
        fits, rule, left, right, _ = self._measure(place)
        return _new(RuleResult, (_CAPACITY, rule, left, right, fits, "", "B", self.reason(place), True, ()))
