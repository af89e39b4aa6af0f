"""A decision in words: dropped pools by what they lack, and what would have to change."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import islice

from dsl.decision.results import Kind, RuleResult, bounded
from dsl.decision.verdicts import Findings
from shareflow.contracts.units import format_size

MAX_GROUPS = 20
_MAX_VALUES = 3
_MAX_EXPLAINED = 10
_CHOICE = re.compile(r"\b(?:or|not|any|all)\b")


def grouped(findings: Findings) -> list[list[int]]:
    """Dropped pools by their first failed rule; the group that is closest to fitting first (capacity), then by size."""
    groups, order = findings.groups(), list(Kind)
    firsts = {key: findings.first_failed(members[0]) for key, members in groups.items()}
    return [
        groups[key]
        for key in sorted(
            groups, key=lambda key: (-order.index(firsts[key].kind), -len(groups[key]), firsts[key].rule, key)
        )
    ]


def text_of(findings: Findings, groups: Sequence[Sequence[int]], order: Sequence[int], rank: int) -> str:
    """One line: the choice, or what is closest to fitting and what would have to change.

    Args:
        findings: about all pools.
        groups: the dropped ones.
        order: those that fit, best first.
        rank: which of them was taken, from 0.
    """
    if not findings.pools:
        return "no pool fits: there are no pools"
    texts = [_sentence(findings, members) for members in groups[:MAX_GROUPS]]
    if len(groups) > MAX_GROUPS:
        texts.append(f"{len(groups) - MAX_GROUPS} more reasons")
    if not order:
        return "no pool fits: " + "; ".join(texts)
    number = len(order)
    title = findings.pools[order[rank]].title
    choice = f"{title} is {f'rank {rank + 1}' if rank else 'the best'} of {_count(number, 'pool')} that fit"
    return "; ".join([choice + _s(plural=number == 1), *texts])


def title_of(findings: Findings, members: Sequence[int]) -> str:
    """The reason of a group in a few words, the same for the same rule."""
    first = findings.first_failed(members[0])
    if first.kind is Kind.CAPACITY:
        return "not enough room"
    if first.kind is Kind.AVAILABLE:
        return "not available"
    if first.kind is Kind.EXCLUDED:
        return "excluded by an earlier refusal"
    return bounded(f"{first.rule}: attribute absent" if first.kind is Kind.ABSENT else first.rule)


def _sentence(findings: Findings, members: Sequence[int]) -> str:
    """What a group lacks: ``3 pools lack 12 GiB``, ``1 pool fails `media == ssd`: it has hdd``."""
    number, one = len(members), len(members) == 1
    first = findings.first_failed(members[0])
    subject = _count(number, "pool")
    if first.kind is Kind.CAPACITY:
        return _lacking(findings, members, subject)
    if first.kind is Kind.SIZE:
        return first.reason
    shown = (findings.first_failed(place) for place in members[:_MAX_EXPLAINED])
    if first.kind in (Kind.AVAILABLE, Kind.EXCLUDED):
        return f"{subject} {'is' if one else 'are'} {_several(result.reason for result in shown)}"
    fails = f"{subject} fail{_s(plural=one)}"
    if first.comparisons:
        return f"{fails} {_compared(shown, one=one)}"
    return f"{fails} `{bounded(first.rule)}`: {_what_they_have(first.kind, shown, one=one)}"


def _what_they_have(kind: Kind, results: Iterable[RuleResult], *, one: bool) -> str:
    if kind is Kind.ABSENT:
        return "attribute absent"
    if kind is Kind.QOS:
        return _several(result.reason for result in results)
    return f"{'it has' if one else 'they have'} {_several(_value(result.left) for result in results)}"


def _lacking(findings: Findings, members: Sequence[int], subject: str) -> str:
    one = len(members) == 1
    lacks = {-room for place in members if (room := findings.rooms[place]) is not None}
    if not lacks:
        reasons = _several(findings.first_failed(place).reason for place in members[:_MAX_EXPLAINED])
        return f"{subject} cannot take it: {reasons}"
    more = " or more" if len(lacks) > 1 else ""
    return f"{subject} lack{_s(plural=one)} {format_size(min(lacks))}{more}"


def _compared(results: Iterable[RuleResult], *, one: bool) -> str:
    """The comparisons of a rule that failed, each with what the pools have."""
    found: dict[str, list[str]] = {}
    for result in results:
        for compared in result.comparisons:
            if compared.verdict is not True or not _is_conjunction(result):
                has = compared.reason if compared.verdict is None else compared.left
                found.setdefault(bounded(compared.text), []).append(has)
    they = "it has" if one else "they have"
    texts = []
    for text, values in list(found.items())[:_MAX_VALUES]:
        unknown = all(value.startswith("attribute absent") for value in values)
        texts.append(f"`{text}`: {'' if unknown else they + ' '}{_several(values)}")
    return ", ".join(texts)


def _is_conjunction(result: RuleResult) -> bool:
    """Whether a rule fails by each comparison that does; else none of them alone is to blame."""
    rest = result.rule
    for compared in result.comparisons:
        rest = rest.replace(compared.text, "")
    return _CHOICE.search(rest) is None


def _several(texts: Iterable[str]) -> str:
    """Distinct texts, the first few of them; how many more there are is only known of the pools that were looked at."""
    distinct: dict[str, None] = {}
    for text in texts:
        distinct[text] = None
        if len(distinct) > _MAX_VALUES:
            break
    more = " and others" if len(distinct) > _MAX_VALUES else ""
    return bounded(" or ".join(islice(distinct, _MAX_VALUES))) + more


def _value(left: object) -> str:
    if isinstance(left, tuple | list):
        return ", ".join(str(item) for item in left) or "none"
    if isinstance(left, bool):
        return "true" if left else "false"
    return "none" if left is None else str(left)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{_s(plural=number != 1)}"


def _s(*, plural: bool) -> str:
    """The ending of a noun; of a verb, with the opposite number."""
    return "s" if plural else ""
