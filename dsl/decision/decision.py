"""The record of a placement: every rule of every pool, in full or bounded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from heapq import nsmallest

from dsl.decision.verdicts import Findings, PoolVerdict, records
from dsl.decision.wording import MAX_GROUPS, grouped, text_of, title_of


@dataclass(frozen=True, eq=False)
class Decision:
    """The outcome of a placement.

    Attributes:
        order: the places of the pools that can hold the request, best first; empty when none can.
        findings: about all pools.
        request: what was asked for, as plain values.
    """

    order: tuple[int, ...]
    findings: Findings = field(repr=False)
    request: Mapping[str, object] = field(default_factory=dict)

    def __eq__(self, other: object) -> bool:
        """The same request with the same answer for every pool."""
        if not isinstance(other, Decision):
            return NotImplemented
        return (self.request, self.ranked, self.verdicts) == (other.request, other.ranked, other.verdicts)

    def __hash__(self) -> int:
        return hash(self.order)

    @cached_property
    def ranked(self) -> tuple[str, ...]:
        """Ids of the pools that can hold the request, best first."""
        pools = self.findings.pools
        return tuple([pools[place].id for place in self.order])

    @cached_property
    def verdicts(self) -> tuple[PoolVerdict, ...]:
        """One per pool, in order of backend and pool name."""
        findings = self.findings
        return tuple([PoolVerdict(findings, place) for place in range(len(findings.pools))])

    @property
    def reasons(self) -> Sequence[tuple[bool, str]]:
        """The verdict and the reason of every pool in the order of :attr:`verdicts`; sooner had than one by one."""
        findings = self.findings
        return [(not failing, reason) for failing, reason in zip(findings.failing, findings.reasons, strict=True)]

    def explanation(self, chosen: str | None = None) -> str:
        """One line: the choice, or what is closest to fitting and what would have to change.

        Args:
            chosen: id of the pool that was taken in the end; None means the best one.
        """
        return text_of(self.findings, grouped(self.findings), self.order, self._rank(chosen))

    def nearest(self, limit: int = 3) -> tuple[PoolVerdict, ...]:
        """The dropped pools that are closest to fitting: fewest failed rules, then least bytes missing, then name."""
        findings = self.findings
        failed, rooms = findings.failing, findings.rooms

        def far(place: int) -> tuple[int, int]:
            return len(failed[place]), max(-(rooms[place] or 0), 0)

        fewest = min((len(failed[place]) for place in findings.dropped), default=0)
        near = [place for place in findings.dropped if len(failed[place]) == fewest]
        nearest = nsmallest(limit, near if len(near) >= limit else findings.dropped, key=far)
        return tuple(PoolVerdict(findings, place) for place in nearest)

    def to_json(self) -> dict[str, object]:
        """Everything, as plain values; what is the same for several pools is one object."""
        return {
            "text": self.explanation(),
            "request": dict(self.request),
            "ranked": list(self.ranked),
            "verdicts": records(self.findings),
        }

    def summary(self, limit: int = 5, *, chosen: str | None = None) -> dict[str, object]:
        """The bounded form: counts per reason, the chosen pool and the nearest misses in full.

        Args:
            limit: how many ranked ids, and how many misses, are kept.
            chosen: id of the pool that was taken in the end; None means the best one.
        """
        findings, rank, groups = self.findings, self._rank(chosen), grouped(self.findings)
        counts = {title_of(findings, members): len(members) for members in groups}
        return {
            "text": text_of(findings, groups, self.order, rank),
            "request": dict(self.request),
            "pools": len(findings.pools),
            "kept": len(self.order),
            "counts": dict(list(counts.items())[:MAX_GROUPS]),
            "ranked": list(self.ranked[:limit]),
            "chosen": PoolVerdict(findings, self.order[rank]).to_json() if self.order else None,
            "nearest": [near.to_json() for near in self.nearest(limit)],
        }

    def _rank(self, chosen: str | None) -> int:
        """The place in the order of the pool that was taken."""
        return self.ranked.index(chosen) if chosen in self.ranked else 0
