"""What preferences make of the pools that fit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import partial

from dsl.decision import Given, Term
from dsl.documents import PlacementSpec, ShareTypeSpec
from dsl.expressions import Env, Expression, Type, render_value
from dsl.placement.pools import PlacementRequest, PoolView, Surroundings
from dsl.placement.rules import environment
from dsl.rules import Preference
from shareflow.contracts.qos import format_latency


def given_to(
    views: Sequence[PoolView], request: PlacementRequest, surroundings: Surroundings
) -> list[tuple[Given, ...]]:
    """What the preferences give to each pool that fits; an empty list when nothing is preferred.

    A value becomes ``(value - least) / (most - least)``, 0 when all are equal; ``when`` is 1 or 0. A value that is not
    known counts as the worst one: the least, or the most where the weight is negative.
    """
    preferences = [*preferences_of(request.type, surroundings), *_of_class(request)]
    if not preferences:
        return []
    beside = environment(request)
    envs = [Env(view.values, beside["request"], {}, beside["spec"]) for view in views]
    given: list[tuple[Given, ...]] = [()] * len(views)
    for preference, position in preferences:
        text, language = preference.when or preference.score or "", surroundings.language
        expression = language.rule(text) if preference.when is not None else language.score(text)
        if not isinstance(expression, Expression):
            continue  # one of an older version of the type, which nobody can read any more, prefers nothing
        term = Term(text, partial(_shown, expression.type), preference.weight, position)
        raw = [expression.evaluate(env) for env in envs]
        for number, part in enumerate(_normalised(raw, preference)):
            given[number] += (Given(term, raw[number], part),)
    return given


def _shown(kind: Type, value: object) -> str:
    return render_value(value, kind) if value is not None else "unknown"


def preferences_of(share_type: ShareTypeSpec, surroundings: Surroundings) -> Iterator[tuple[Preference, str]]:
    """The preferences that count, the type's own before those of the set, each with its place."""
    document: ShareTypeSpec | PlacementSpec | None = share_type if share_type.prefer is not None else None
    document = document or surroundings.defaults
    for number, preference in enumerate(document.prefer or () if document is not None else ()):
        yield preference, document.at("prefer", number) if document is not None else ""


LATENCY_WEIGHT = 50
"""What a pool gets that is as quick as the class of the share wants it."""


def _of_class(request: PlacementRequest) -> Iterator[tuple[Preference, str]]:
    """The latency target of a QoS class: it is no promise, so it drops no pool, but it prefers those that keep it."""
    qos = request.qos
    if qos is not None and qos.latency_target is not None:
        wanted = f"pool.latency <= {format_latency(qos.latency_target)}"
        yield Preference(when=wanted, weight=LATENCY_WEIGHT), qos.at("latency_target")


def _normalised(raw: Sequence[object], preference: Preference) -> list[float]:
    if preference.when is not None:
        return [1.0 if value is True else 0.0 for value in raw]
    numbers = [value if isinstance(value, int | Fraction) else None for value in raw]
    known = [number for number in numbers if number is not None]
    least, most = min(known, default=0), max(known, default=0)
    if least == most:
        return [0.0] * len(numbers)
    span, worst = most - least, 0.0 if preference.weight > 0 else 1.0
    return [worst if number is None else float((number - least) / span) for number in numbers]
