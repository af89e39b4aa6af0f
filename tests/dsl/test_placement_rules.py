"""Rules, preferences, spread and affinity in placement: what holds for any pools and any request."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsl.attributes import schema_of
from dsl.capacity import GIB, UNKNOWN, PoolFigures
from dsl.decision import Decision, Kind
from dsl.documents import BackendSpec, PlacementSpec, ShareTypeSpec
from dsl.fields import AttributeValue
from dsl.placement import Language, Neighbour, PlacementRequest, PoolView, Surroundings, place
from dsl.pool_picture import readable

BACKEND = BackendSpec.model_validate(
    {
        "name": "x",
        "driver": "acme",
        "attributes": {"rank": "number", "quick": "bool", "media": {"type": "enum", "values": ["ssd", "hdd"]}},
        "pools": [{"name": "p"}],
    }
)
SCHEMA = schema_of([BACKEND])
LANGUAGE = Language(SCHEMA)
PATIENT = settings(deadline=None)  # the first expression of a process costs the grammar
Sees = Callable[[PoolView], Any]


class Known(NamedTuple):
    """An expression, and the same said in Python."""

    text: str
    sees: Sees


def _attribute(name: str) -> Sees:
    return lambda pool: pool.attributes.get(name)


def _told(name: str, sees: Callable[[Any], Any]) -> Sees:
    """What is made of an attribute; None where the pool does not have it."""
    return lambda pool: None if pool.attributes.get(name) is None else sees(pool.attributes[name])


def _either(pool: PoolView) -> bool | None:
    found = [_told("media", lambda media: media == "ssd")(pool), _told("rank", lambda rank: rank > 2)(pool)]
    return True if True in found else None if None in found else False


RULES = [
    Known("pool.quick", _attribute("quick")),
    Known('pool.media == "ssd"', _told("media", lambda media: media == "ssd")),
    Known("pool.rank >= 2", _told("rank", lambda rank: rank >= 2)),
    Known('pool.media == "ssd" or pool.rank > 2', _either),
    Known("not has(pool.quick)", lambda pool: "quick" not in pool.attributes),
    Known('pool.zone in ["a", "b"]', lambda pool: None if pool.zone is None else pool.zone in ("a", "b")),
]
SCORES = [
    Known("pool.rank", _attribute("rank")),
    Known("pool.rank * -3 + 1", _told("rank", lambda rank: rank * -3 + 1)),
    Known("pool.free", lambda pool: None if pool.figures.free == UNKNOWN else pool.figures.free),
]


def _pool(name: str, zone: str | None, figures: PoolFigures, attributes: Mapping[str, AttributeValue]) -> PoolView:
    backend = "y" if name < "q" else "x"
    return readable(PoolView(f"id-{name}", backend, name, zone, figures, attributes), SCHEMA)


figures = st.one_of(
    st.builds(
        lambda total, free, thin: PoolFigures(total * GIB, min(free, total) * GIB, 0, thin=thin),
        st.integers(1, 40),
        st.integers(0, 40),
        st.booleans(),
    ),
    st.just(PoolFigures(UNKNOWN, UNKNOWN)),
)
attributes = st.fixed_dictionaries(
    {}, optional={"rank": st.integers(0, 4), "quick": st.booleans(), "media": st.sampled_from(["ssd", "hdd"])}
)
pools = st.lists(
    st.builds(_pool, st.sampled_from("abcdqrst"), st.sampled_from([None, "a", "b", "c"]), figures, attributes),
    max_size=7,
    unique_by=lambda pool: pool.name,
)
rules = st.lists(st.sampled_from(RULES), max_size=3, unique_by=lambda known: known.text)
weights = st.integers(-100, 100).filter(bool)
whens = st.tuples(st.just("when"), st.sampled_from(RULES), weights)
scores = st.tuples(st.just("score"), st.sampled_from(SCORES), weights)
preferences = st.lists(st.one_of(whens, scores), max_size=4)
Preferences = Sequence[tuple[str, Known, int]]


def _prefer(wanted: Preferences) -> list[dict[str, object]]:
    return [{key: known.text, "weight": weight} for key, known, weight in wanted]


def _rules(wanted: Sequence[Known], **more: str) -> list[dict[str, str]]:
    return [{"rule": known.text, **more} for known in wanted]


def _type(**values: object) -> ShareTypeSpec:
    return ShareTypeSpec.model_validate({"name": "gold", **values})


def _defaults(**values: object) -> PlacementSpec:
    return PlacementSpec.model_validate(values)


def _place(
    views: Sequence[PoolView],
    spec: ShareTypeSpec | None = None,
    defaults: PlacementSpec | None = None,
    counts: Mapping[str, int] | None = None,
    **request: object,
) -> Decision:
    surroundings = Surroundings(LANGUAGE, defaults, counts or {})
    return place(PlacementRequest(GIB, spec or _type(), **request), views, surroundings)  # type: ignore[arg-type]


def _expected(views: Sequence[PoolView], wanted: Preferences) -> dict[str, float]:
    """The scores of pools that all fit, by the definition."""
    sums = dict.fromkeys([view.id for view in views], 0.0)
    for key, known, weight in wanted:
        found = {view.id: known.sees(view) for view in views}
        numbers = [value for value in found.values() if value is not None]
        for pool, value in found.items():
            if key == "when":
                part = 1.0 if value is True else 0.0
            elif not numbers or min(numbers) == max(numbers):
                part = 0.0
            elif value is None:
                part = 0.0 if weight > 0 else 1.0
            else:
                part = (value - min(numbers)) / (max(numbers) - min(numbers))
            sums[pool] += part * weight
    return sums


@PATIENT
@given(pools, rules, preferences)
def test_rank_is_by_score_then_room_then_name(views: list[PoolView], wanted: list[Known], liked: Preferences) -> None:
    """Scores are those of the definition, among the pools that fit; a pool that does not know its room comes last."""
    decision = _place(views, _type(require=_rules(wanted), prefer=_prefer(liked)))
    fitting = [view for view in views if view.id in decision.ranked]
    assert all(known.sees(view) is True for view in fitting for known in wanted)
    by_id = {verdict.pool: verdict for verdict in decision.verdicts}
    expected = _expected(fitting, liked)
    assert {pool: by_id[pool].score for pool in decision.ranked} == pytest.approx(expected)
    assert all(not verdict.scores for verdict in decision.verdicts if not verdict.kept)

    def rank(pool: str) -> tuple[float, bool, int, str, str]:
        verdict = by_id[pool]
        return (-verdict.score, verdict.free_after is None, -(verdict.free_after or 0), verdict.backend, verdict.name)

    assert list(decision.ranked) == sorted(decision.ranked, key=rank)


@PATIENT
@given(pools, rules, preferences)
def test_only_pools_where_every_rule_is_true_are_kept(
    views: list[PoolView], wanted: list[Known], liked: Preferences
) -> None:
    """Unknown is no: a pool that does not say is rejected with `attribute absent`, and never preferred into place."""
    decision = _place(views, _type(require=_rules(wanted), prefer=_prefer(liked)))
    for view, verdict in zip(sorted(views, key=lambda v: (v.backend, v.name)), decision.verdicts, strict=True):
        asked = [rule for rule in verdict.rules if rule.rule in {known.text for known in wanted}]
        assert [rule.ok for rule in asked] == [known.sees(view) is True for known in wanted]
        for rule, known in zip(asked, wanted, strict=True):
            assert (rule.kind is Kind.ABSENT) == (known.sees(view) is None)
            assert ("attribute absent" in rule.reason) == (known.sees(view) is None)


@PATIENT
@given(pools, preferences)
def test_dropped_pool_moves_no_score(views: list[PoolView], liked: Preferences) -> None:
    """What does not fit is no measure for what does, however extreme it is."""
    extreme = _pool("z", None, PoolFigures(0, 0), {"rank": 10_000, "quick": True, "media": "ssd"})
    spec = _type(prefer=_prefer(liked))
    alone, beside = _place(views, spec), _place([*views, extreme], spec)
    assert alone.ranked == beside.ranked
    assert {v.pool: v.score for v in alone.verdicts} == {v.pool: v.score for v in beside.verdicts if v.pool != "id-z"}


@PATIENT
@given(pools, st.lists(st.one_of(whens, scores), max_size=4).map(lambda ps: [(k, e, w // 2 or 1) for k, e, w in ps]))
def test_order_depends_on_the_proportion_of_weights_alone(views: list[PoolView], liked: Preferences) -> None:
    """Twice every weight is the same wish."""
    doubled = [(key, known, 2 * weight) for key, known, weight in liked]
    assert _place(views, _type(prefer=_prefer(liked))).ranked == _place(views, _type(prefer=_prefer(doubled))).ranked


@PATIENT
@given(pools, st.sampled_from(SCORES), weights)
def test_unknown_score_never_beats_a_known_one(views: list[PoolView], known: Known, weight: int) -> None:
    """Who does not say how slow it is, is not taken for the quickest; also where little is preferred."""
    decision = _place(views, _type(prefer=_prefer([("score", known, weight)])))
    by_id = {view.id: known.sees(view) for view in views}
    verdicts = {verdict.pool: verdict for verdict in decision.verdicts}
    told = [verdicts[pool].score for pool in decision.ranked if by_id[pool] is not None]
    silent = [verdicts[pool].score for pool in decision.ranked if by_id[pool] is None]
    assert max(silent, default=-1000) <= min(told, default=1000)
    ordered = [by_id[pool] for pool in decision.ranked if by_id[pool] is not None]
    assert ordered == sorted(ordered, reverse=weight > 0)


@PATIENT
@given(pools, rules, rules, preferences)
def test_advice_drops_no_pool_and_moves_none(
    views: list[PoolView], wanted: list[Known], advised: list[Known], liked: Preferences
) -> None:
    """A rule that is only watched is recorded with its verdict; the decision is as without it."""
    prefer = _prefer(liked)
    require = _rules(wanted)
    watched = _place(views, _type(require=require + _rules(advised, enforce="advise"), prefer=prefer))
    without = _place(views, _type(require=require, prefer=prefer))
    assert watched.ranked == without.ranked
    assert [v.score for v in watched.verdicts] == [v.score for v in without.verdicts]
    for verdict in watched.verdicts:
        recorded = [rule for rule in verdict.rules if not rule.enforced]
        assert [rule.rule for rule in recorded] == [known.text for known in advised]
        assert not any(rule in verdict.failed for rule in recorded)


@PATIENT
@given(pools, rules, rules)
def test_defaults_of_the_set_are_asked_beside_the_types_own_rules(
    views: list[PoolView], own: list[Known], default: list[Known]
) -> None:
    """A type can only be stricter than the set."""
    both = _place(views, _type(require=_rules(own)), _defaults(require=_rules(default)))
    together = _place(views, _type(require=_rules([*own, *default])))
    assert both.ranked == together.ranked


@PATIENT
@given(pools, preferences, preferences)
def test_preferences_of_the_set_count_where_a_type_has_none(
    views: list[PoolView], own: Preferences, default: Preferences
) -> None:
    """The type's own replace them, also when they are none."""
    defaults = _defaults(prefer=_prefer(default))
    assert _place(views, _type(), defaults).ranked == _place(views, _type(prefer=_prefer(default))).ranked
    assert (
        _place(views, _type(prefer=_prefer(own)), defaults).ranked == _place(views, _type(prefer=_prefer(own))).ranked
    )
    assert _place(views, _type(prefer=[]), defaults).ranked == _place(views, _type()).ranked


def test_spread_of_the_set_counts_where_a_type_has_none() -> None:
    """As for preferences."""
    views = [_pool("a", "a", PoolFigures(9 * GIB, 9 * GIB), {}), _pool("b", "b", PoolFigures(9 * GIB, 9 * GIB), {})]
    defaults = _defaults(spread={"by": "zone"})
    assert _place(views, _type(), defaults, {"a": 1}).ranked == ("id-b",)
    looser = _type(spread={"by": "zone", "max_skew": 2})
    assert set(_place(views, looser, defaults, {"a": 1}).ranked) == {"id-a", "id-b"}
    advised = _type(spread={"by": "zone", "enforce": "advise"})
    assert set(_place(views, advised, defaults, {"a": 5}).ranked) == {"id-a", "id-b"}


def _filled(view: PoolView) -> PoolView:
    """The pool with a share of one GiB more in it."""
    room = view.figures
    assert isinstance(room.free, int)
    assert isinstance(room.provisioned, int)
    after = PoolFigures(room.total, room.free - GIB, room.provisioned + GIB, thin=room.thin)
    return readable(PoolView(view.id, view.backend, view.name, view.zone, after, view.attributes), SCHEMA)


@PATIENT
@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.integers(1, 6), st.integers(0, 4), st.booleans()), min_size=1, max_size=6
    ),
    st.sampled_from(["zone", "pool", "backend", "rank"]),
    st.integers(1, 3),
    preferences,
)
def test_spread_is_never_exceeded_and_full_domains_do_not_block(
    racks: list[tuple[str, int, int, bool]], by: str, skew: int, liked: Preferences
) -> None:
    """Placed one by one until nothing fits: no domain is further ahead of those that could take it, and none waits."""
    views = [
        _pool(f"p{number}", zone, PoolFigures(room * GIB, room * GIB, 0, thin=thin), {"rank": rank})
        for number, (zone, room, rank, thin) in enumerate(racks)
    ]
    spec = _type(spread={"by": by, "max_skew": skew}, prefer=_prefer(liked))
    counts: Counter[str] = Counter()
    for _ in range(sum(room for _, room, _, _ in racks)):
        by_id = {view.id: view for view in views}
        able = {view.domain(by) for view in views if view.figures.free != 0}
        decision = _place(views, spec, None, counts)
        assert decision.ranked, "a domain that is full must not hold the others up"
        taken = str(by_id[decision.ranked[0]].domain(by))
        assert counts[taken] + 1 - min(counts[str(domain)] for domain in able) <= skew
        counts[taken] += 1
        views = [_filled(view) if view.id == decision.ranked[0] else view for view in views]
    assert not _place(views, spec, None, counts).ranked


def test_pool_without_the_attribute_to_spread_by_is_rejected() -> None:
    """It is in no domain, so nobody can say how far ahead it is."""
    decision = _place([_pool("a", None, PoolFigures(GIB, GIB), {})], _type(spread={"by": "zone"}))
    (verdict,) = decision.verdicts
    assert verdict.reason == "attribute absent: it is in no zone"


neighbours = st.lists(
    st.builds(
        Neighbour,
        st.sampled_from(["home", "web", "db"]),
        st.sampled_from("abcdqrst"),
        st.sampled_from("xy"),
        st.sampled_from([None, "a", "b", "c"]),
    ),
    max_size=2,
).map(tuple)


@PATIENT
@given(pools, neighbours, neighbours, st.sampled_from(["pool", "backend", "zone"]))
def test_affinity_keeps_near_to_all_and_apart_from_all(
    views: list[PoolView], near: tuple[Neighbour, ...], apart: tuple[Neighbour, ...], by: str
) -> None:
    """Near is the same pool, backend or zone; who is in no zone is near to nobody."""

    def where(one: PoolView | Neighbour) -> tuple[str | None, ...] | None:
        pool = one.name if isinstance(one, PoolView) else one.pool
        found = {"pool": (one.backend, pool), "backend": (one.backend,), "zone": (one.zone,)}[by]
        return None if None in found else found

    plain = _place(views)
    decision = _place(views, affinity=near, anti_affinity=apart, affinity_by=by)
    expected = {
        view.id
        for view in views
        if view.id in plain.ranked
        and all(where(view) is not None and where(view) == where(one) for one in near)
        and not any(where(view) is not None and where(view) == where(one) for one in apart)
    }
    assert set(decision.ranked) == expected
    assert [pool for pool in plain.ranked if pool in expected] == list(decision.ranked)
    asked = [rule for verdict in decision.verdicts for rule in verdict.rules if rule.kind is Kind.AFFINITY]
    assert len(asked) == len(views) * (bool(near) + bool(apart))
    assert all(rule.reason for rule in asked if not rule.ok)


@PATIENT
@given(pools, preferences)
def test_rule_of_an_older_version_that_nobody_can_read_rejects_and_does_not_raise(
    views: list[PoolView], liked: Preferences
) -> None:
    """A type keeps its version while backends change what they declare; the reason names the code."""
    record: dict[str, object] = {"name": "gold", "require": [{"rule": "pool.gone >= 2"}], "prefer": _prefer(liked)}
    decision = _place(views, ShareTypeSpec.from_record(record))
    assert decision.ranked == ()
    for verdict in decision.verdicts:
        rule = next(rule for rule in verdict.rules if rule.rule == "pool.gone >= 2")
        assert rule.reason.startswith("the rule cannot be read any more: S310")
    watched = ShareTypeSpec.from_record({**record, "require": [{"rule": "pool.gone >= 2", "enforce": "advise"}]})
    assert _place(views, watched).ranked == _place(views, _type(prefer=_prefer(liked))).ranked
    lost: list[dict[str, object]] = [{"score": "pool.gone", "weight": 100}, {"when": "pool.gone == 1", "weight": -9}]
    preferring = ShareTypeSpec.from_record({"name": "gold", "prefer": [*_prefer(liked), *lost]})
    assert _place(views, preferring).ranked == _place(views, _type(prefer=_prefer(liked))).ranked


everything = st.builds(
    lambda own, advised, liked, by: _type(
        require=_rules(own) + _rules(advised, enforce="advise", message="watched"),
        prefer=_prefer(liked),
        spread=None if by is None else {"by": by},
    ),
    rules,
    rules,
    preferences,
    st.sampled_from([None, "zone", "backend", "rank"]),
)
counts = st.dictionaries(st.sampled_from(["a", "b", "x", "y", "1", "2"]), st.integers(0, 3), max_size=4)


@PATIENT
@given(pools, everything, counts, neighbours, st.randoms(use_true_random=False))
def test_decision_does_not_depend_on_the_order_of_pools(
    views: list[PoolView],
    spec: ShareTypeSpec,
    there: dict[str, int],
    apart: tuple[Neighbour, ...],
    shuffle: random.Random,
) -> None:
    """Same inventory, same request, same answer, down to the text."""
    defaults = _defaults(require="pool.rank < 4")
    shuffled = list(views)
    shuffle.shuffle(shuffled)
    one, other = (_place(one, spec, defaults, there, anti_affinity=apart) for one in (views, shuffled))
    assert one == other
    assert json.dumps(one.to_json()) == json.dumps(other.to_json())
    assert one.summary() == other.summary()


@PATIENT
@given(pools, everything, counts, neighbours)
def test_what_is_explained_later_is_what_was_decided(
    views: list[PoolView], spec: ShareTypeSpec, there: dict[str, int], near: tuple[Neighbour, ...]
) -> None:
    """The quick verdict and the explained one agree on every rule of every pool, whoever looks first."""
    defaults = _defaults(require="pool.rank < 4", prefer=[{"score": "pool.rank", "weight": 5}])
    lazy, eager = (_place(views, spec, defaults, there, affinity=near, affinity_by="zone") for _ in range(2))
    text, summary = lazy.explanation(), lazy.summary()
    for verdict in eager.verdicts:
        enforced = [number for number, rule in enumerate(verdict.rules) if rule.enforced and not rule.ok]
        assert verdict.failing == tuple(enforced)
        assert verdict.kept == (not enforced)
        if enforced:
            assert verdict.first_failed == verdict.rules[enforced[0]]
    assert [(verdict.kept, verdict.reason) for verdict in eager.verdicts] == lazy.reasons == eager.reasons
    assert eager.explanation() == text
    assert eager.summary() == summary
    assert eager.to_json() == lazy.to_json()
