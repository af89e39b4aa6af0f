"""Which rules of a set the tests have seen hold, and which they have seen fail."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from dsl.decision import Decision, literal
from dsl.documents import PlacementSpec, ShareTypeSpec
from dsl.rules import Preference, Rule, Spread
from dsl.spec_set import SpecSet
from dsl.spec_tests.running import Result


@dataclass(slots=True)
class CoveredRule:
    """A rule of the set: true when some pool of some test satisfied it, false when one did not.

    Attributes:
        owner: the document that it stands in.
        text: the rule.
        place: ``file:line:column``.
    """

    owner: str
    text: str
    place: str
    seen_true: bool = False
    seen_false: bool = False

    @property
    def outcomes(self) -> int:
        """How many of its two outcomes were seen."""
        return self.seen_true + self.seen_false

    @property
    def gap(self) -> str:
        """What was not seen, in words; empty when both were."""
        if self.outcomes == 2:
            return ""
        return "never asked" if not self.outcomes else "never false" if self.seen_true else "never true"

    def to_json(self) -> dict[str, object]:
        """Plain values."""
        return {"owner": self.owner, "rule": self.text, "place": self.place, "gap": self.gap}


@dataclass(frozen=True, slots=True)
class Coverage:
    """The rules of a set, in order of their places in each document."""

    rules: tuple[CoveredRule, ...]

    @property
    def percent(self) -> float:
        """The part of all outcomes that were seen, each rule having two; 100 for a set without rules."""
        return 100 * sum(rule.outcomes for rule in self.rules) / (2 * len(self.rules)) if self.rules else 100.0

    @property
    def gaps(self) -> tuple[CoveredRule, ...]:
        """The rules of which an outcome was not seen."""
        return tuple(rule for rule in self.rules if rule.gap)

    def render(self) -> str:
        """The percentage, then one line for each gap with its place."""
        full = "" if self.gaps else ", each of them both true and false"
        lines = [f"coverage: {self.percent:.0f} % of {len(self.rules)} rules{full}"]
        lines += [f"  {rule.place}: {rule.owner}: `{rule.text}` was {rule.gap}" for rule in self.gaps]
        return "\n".join(lines)

    def to_json(self) -> dict[str, object]:
        """Plain values."""
        return {"percent": self.percent, "rules": [rule.to_json() for rule in self.rules]}


def coverage(results: Iterable[Result], specs: SpecSet) -> Coverage:
    """What tests have seen of the rules of the set that they ran against.

    Counted are required attributes, rules under ``require``, zones, spread, and each ``when`` under ``prefer``. A rule
    of which a pool says nothing (attribute absent) was false there.
    """
    rules = tuple(_rules(specs))
    by_place = {rule.place: rule for rule in rules}
    for result in results:
        for place, held in _seen(result.decision):
            rule = by_place.get(place)
            if rule is not None:
                rule.seen_true |= held
                rule.seen_false |= not held
    return Coverage(rules)


def _seen(decision: Decision) -> Iterator[tuple[str, bool]]:
    for verdict in decision.verdicts:
        yield from ((rule.position, rule.ok) for rule in verdict.rules)
        yield from ((scored.position, scored.raw == "true") for scored in verdict.scores)


def _rules(specs: SpecSet) -> Iterator[CoveredRule]:
    for name in sorted(specs.share_types):
        yield from _of_type(specs.share_types[name])
    defaults = specs.placement
    yield from _shared(defaults, "Placement", defaults.require, defaults.prefer, defaults.spread)


def _of_type(share_type: ShareTypeSpec) -> Iterator[CoveredRule]:
    owner = f"ShareType {share_type.name}"
    for name, accepted in share_type.required_attributes.items():
        words = [literal(value) for value in accepted]
        text = f"{name} == {words[0]}" if len(words) == 1 else f"{name} in [{', '.join(words)}]"
        yield CoveredRule(owner, text, share_type.at("require", name))
    if share_type.zones is not None:
        yield CoveredRule(owner, f"zone in [{', '.join(share_type.zones)}]", share_type.at("zones"))
    yield from _shared(share_type, owner, share_type.rules, share_type.prefer or (), share_type.spread)


def _shared(
    document: ShareTypeSpec | PlacementSpec,
    owner: str,
    rules: tuple[Rule, ...],
    preferences: tuple[Preference, ...],
    spread: Spread | None,
) -> Iterator[CoveredRule]:
    for number, rule in enumerate(rules):
        yield CoveredRule(owner, " ".join(rule.rule.split()), document.at("require", number, "rule"))
    for number, preference in enumerate(preferences):
        if preference.when is not None:
            yield CoveredRule(owner, " ".join(preference.when.split()), document.at("prefer", number))
    if spread is not None:
        text = f"spread by {spread.by}, max_skew {spread.max_skew}"
        yield CoveredRule(owner, text, document.at("spread"))
