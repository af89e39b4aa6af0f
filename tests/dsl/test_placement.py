"""Placement: rank, rules, reasons."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsl.capacity import UNKNOWN, PoolFigures
from dsl.decision import Decision, Kind, literal
from dsl.documents import ShareTypeSpec
from dsl.fields import AttributeValue
from dsl.placement import PlacementRequest, PoolView, place

GIB = 2**30


def _type(**values: object) -> ShareTypeSpec:
    return ShareTypeSpec.model_validate({"name": "gold", **values})


def _pool(  # one argument per thing that a test varies
    name: str = "rack1",
    *,
    backend: str = "local",
    zone: str | None = "a",
    limit: int | None = 100,
    allocated: int = 0,
    available: bool = True,
    protocols: tuple[str, ...] = ("path",),
    excluded_reason: str = "",
    **attributes: AttributeValue,
) -> PoolView:
    return PoolView(
        f"id-{backend}-{name}",
        backend,
        name,
        zone,
        _figures(None if limit is None else limit * GIB, allocated * GIB),
        attributes,
        available=available,
        protocols=protocols,
        excluded_reason=excluded_reason,
    )


def _figures(limit: int | None, allocated: int) -> PoolFigures:
    return PoolFigures(UNKNOWN, UNKNOWN) if limit is None else PoolFigures(limit, limit - allocated, allocated)


def _place(*pools: PoolView, size: int = 12, spec: ShareTypeSpec | None = None, **request: object) -> Decision:
    return place(PlacementRequest(size * GIB, spec or _type(), **request), pools)  # type: ignore[arg-type]


def _reason(decision: Decision) -> str:
    (verdict,) = decision.verdicts
    assert not verdict.kept
    assert decision.ranked == ()
    return verdict.reason


def test_pool_with_most_room_afterwards_is_best() -> None:
    """Rank is by bytes free after the placement, not by size or by bytes allocated."""
    decision = _place(_pool("a", limit=100, allocated=80), _pool("b", limit=50, allocated=10), _pool("c", limit=30))
    assert [decision.verdicts[index].free_after for index in range(3)] == [8 * GIB, 28 * GIB, 18 * GIB]
    assert decision.ranked == ("id-local-b", "id-local-c", "id-local-a")


def test_equal_room_is_ranked_by_backend_then_pool_name() -> None:
    """Ties never depend on the order in which pools are given."""
    pools = [_pool("b", backend="y"), _pool("a", backend="y"), _pool("z", backend="x")]
    expected = ("id-x-z", "id-y-a", "id-y-b")
    assert _place(*pools).ranked == _place(*pools[::-1]).ranked == expected


def test_pool_that_does_not_know_its_room_is_ranked_last() -> None:
    """It may be full; one that knows better comes first, however little it has."""
    assert _place(_pool("a", limit=None), _pool("b", limit=13)).ranked == ("id-local-b", "id-local-a")


def test_pool_that_lacks_room_is_dropped_with_the_arithmetic() -> None:
    """The reason holds every number that decided."""
    decision = _place(_pool(limit=100, allocated=96))
    assert _reason(decision) == "4 GiB free; 12 GiB requested, lacks 8 GiB"
    assert decision.explanation() == "no pool fits: 1 pool lacks 8 GiB"


def test_absent_attribute_drops_the_pool() -> None:
    """A pool that does not report an attribute is never guessed to have it."""
    decision = _place(_pool(), spec=_type(require={"media": "ssd"}))
    assert _reason(decision) == "attribute absent: it does not report media"
    assert decision.explanation() == "no pool fits: 1 pool fails `media == ssd`: attribute absent"
    assert decision.verdicts[0].failed[0].left is None


@pytest.mark.parametrize(
    ("accepted", "has", "kept"),
    [
        ("ssd", "ssd", True),
        ("ssd", "SSD", False),
        (["ssd", "nvme"], "nvme", True),
        ("ssd", ("hdd", "ssd"), True),
        ("ssd", ("hdd",), False),
        ("ssd", (), False),
        (True, True, True),
        (True, 1, False),
        (1, True, False),
        (True, "true", False),
        (0, False, False),
        (1, 1, True),
        (1, "1", False),
        ("4 KiB", 4096, True),
        ("4 KiB", "4 KiB", True),
        ("4 KiB", "4096 B", True),
        (4096, "4 KiB", True),
        (4096, "4 KiBs", False),
        ("x" * 200, "y" * 300, False),
    ],
)
def test_attribute_is_compared_with_its_type(accepted: object, has: AttributeValue, kept: bool) -> None:
    """True is not 1 and 1 is not text; of a list one value is enough; sizes compare as bytes."""
    assert bool(_place(_pool(media=has), spec=_type(require={"media": accepted})).ranked) is kept


def test_list_from_json_counts_like_a_tuple() -> None:
    """Attributes that went through a database come back as lists."""
    pool = _pool(media=["hdd", "ssd"])  # type: ignore[arg-type]
    assert _place(pool, spec=_type(require={"media": "ssd"})).ranked


@pytest.mark.parametrize(
    ("pool", "request_", "reason"),
    [
        (_pool(available=False, excluded_reason="it does not answer"), {}, "not available: it does not answer"),
        (_pool(available=False), {}, "not available"),
        (_pool(), {"exclude": {"id-local-rack1": "D105 full"}}, "excluded: D105 full"),
        (_pool(), {"pool": "rack2"}, "it is local/rack1, not rack2"),
        (_pool(), {"backend": "other"}, "its backend is local"),
        (_pool(), {"zone": "b"}, "its zone is a"),
        (_pool(zone=None), {"zone": "b"}, "it is in no zone"),
        (_pool(), {"spec": _type(zones=["b", "c"])}, "its zone is a"),
        (_pool(zone=None), {"spec": _type(zones=["b"])}, "it is in no zone"),
        (_pool(protocols=("nfs", "smb")), {}, "it speaks nfs, smb"),
        (_pool(protocols=()), {}, "it speaks no protocol"),
        (_pool(), {"spec": _type(limits={"max_size": "1 GiB"})}, "type gold allows no share above 1 GiB"),
        (_pool(), {"spec": _type(limits={"min_size": "1 TiB"})}, "type gold allows no share below 1 TiB"),
    ],
)
def test_dropped_pool_says_what_it_has(pool: PoolView, request_: dict[str, object], reason: str) -> None:
    """Every rule has a reason of its own that names the pool's value."""
    assert _reason(_place(pool, **request_)) == reason  # type: ignore[arg-type]


@pytest.mark.parametrize("pinned", ["id-local-rack2", "local/rack2", "rack2"])
def test_pinned_pool_is_found_by_id_full_name_or_name(pinned: str) -> None:
    """All forms that a user may know mean the same pool."""
    assert _place(_pool("rack1"), _pool("rack2"), pool=pinned).ranked == ("id-local-rack2",)


def test_rules_after_a_failed_one_are_recorded_too() -> None:
    """Explanation is complete: nothing is skipped because the pool was lost already."""
    spec = _type(require={"media": "ssd", "tier": ["a", "b"]}, zones=["b"], limits={"max_size": "1 GiB"})
    pool = _pool(limit=1, available=False, protocols=(), media="hdd")
    decision = _place(pool, spec=spec, pool="p", backend="b", zone="z", exclude={pool.id: "why"})
    rules = decision.verdicts[0].rules
    assert [rule.kind for rule in rules] == [
        Kind.AVAILABLE,
        Kind.EXCLUDED,
        Kind.POOL,
        Kind.BACKEND,
        Kind.ZONE,
        Kind.ZONE,
        Kind.PROTOCOL,
        Kind.REQUIRE,
        Kind.ABSENT,
        Kind.SIZE,
        Kind.CAPACITY,
    ]
    assert not any(rule.ok for rule in rules)
    assert [(rule.rule, rule.left, rule.right) for rule in rules[7:9]] == [
        ("media == ssd", "hdd", "ssd"),
        ("tier in [a, b]", None, ("a", "b")),
    ]


def test_explanation_counts_each_reason_and_names_what_is_missing() -> None:
    """The closest group comes first; values are shown."""
    spec = _type(require={"media": "ssd"})
    pools = [_pool(f"full{n}", limit=0, media="ssd") for n in range(3)] + [_pool("old", media="hdd")]
    assert (
        _place(*pools, spec=spec).explanation()
        == "no pool fits: 3 pools lack 12 GiB; 1 pool fails `media == ssd`: it has hdd"
    )
    pools += [_pool("less", limit=4, media="ssd"), _pool("tape", media="tape"), _pool("off", available=False)]
    assert _place(*pools, spec=spec).explanation() == (
        "no pool fits: 4 pools lack 8 GiB or more; 2 pools fail `media == ssd`: they have hdd or tape; "
        "1 pool is not available"
    )


def test_explanation_of_a_choice_names_it_and_its_rank() -> None:
    """The pool that was taken in the end may not be the best one, when that filled up in between."""
    decision = _place(_pool("a"), _pool("b", allocated=50), _pool("c", limit=1))
    assert decision.explanation() == "local/a is the best of 2 pools that fit; 1 pool lacks 11 GiB"
    assert decision.explanation("id-local-b") == "local/b is rank 2 of 2 pools that fit; 1 pool lacks 11 GiB"
    assert _place().explanation() == "no pool fits: there are no pools"


def _numbered(count: int) -> dict[str, Any]:
    return {f"a{number}": number for number in range(count)}


def test_explanation_of_many_values_and_reasons_is_bounded() -> None:
    """A thousand pools with a thousand faults still give one readable line."""
    spec = _type(require={"media": "ssd", **{f"a{n}": n for n in range(40)}})
    pools = [_pool(f"p{n:04}", media=f"m{n}") for n in range(500)]
    pools += [_pool(f"q{n:04}", media="ssd", **_numbered(n)) for n in range(40)]
    text = _place(*pools, spec=spec).explanation()
    assert text.startswith("no pool fits: 500 pools fail `media == ssd`: they have m0 or m1 or m2 and others; ")
    assert len(text) < 2000
    assert text.endswith("21 more reasons")
    few = _place(*pools[:500], spec=spec).explanation()
    assert few == "no pool fits: 500 pools fail `media == ssd`: they have m0 or m1 or m2 and others"


def test_summary_is_bounded_and_holds_the_chosen_and_nearest_pools_in_full() -> None:
    """Whatever the number of pools, what is kept with an operation stays small."""
    spec = _type(require={"media": "ssd"})
    pools = [_pool(f"p{n:04}", media="ssd" if n % 2 else "hdd", allocated=n % 99) for n in range(2000)]
    decision = _place(*pools, spec=spec)
    summary = decision.summary(limit=3, chosen=decision.ranked[1])
    assert len(json.dumps(summary)) < 10_000
    assert summary["pools"] == 2000
    assert summary["kept"] == len(decision.ranked)
    assert summary["counts"] == {"media == ssd": 1000, "not enough room": 1000 - len(decision.ranked)}
    assert summary["ranked"] == list(decision.ranked[:3])
    chosen, nearest = summary["chosen"], summary["nearest"]
    assert isinstance(chosen, dict)
    assert isinstance(nearest, list)
    assert chosen["pool"] == decision.ranked[1]
    assert len(nearest) == 3
    assert all(len(near["rules"]) == 5 for near in nearest)


def test_nearest_misses_fail_the_fewest_rules_then_lack_the_fewest_bytes() -> None:
    """They tell what would have to change least."""
    spec = _type(require={"media": "ssd", "tier": "a"})
    far, near = _pool("far", limit=1, media="ssd", tier="a"), _pool("near", limit=11, media="ssd", tier="a")
    wrong = _pool("wrong", media="hdd", tier="b")
    decision = _place(far, near, wrong, spec=spec)
    assert [verdict.name for verdict in decision.nearest()] == ["near", "far", "wrong"]
    assert decision.nearest(0) == ()
    assert decision.summary()["chosen"] is None


def test_values_from_outside_are_bounded_and_printable_in_records() -> None:
    """A driver's reason or attribute cannot flood an operation's record or a terminal."""
    pool = _pool(available=False, excluded_reason="\x1b[31m" + "x" * 5000, media=tuple("y" * 500 for _ in range(500)))
    decision = _place(pool, spec=_type(require={"media": "ssd"}))
    text = json.dumps(decision.to_json())
    assert len(text) < 40_000
    assert "\\u001b" not in text
    assert decision.explanation().isprintable()


def test_positions_of_rules_lead_to_the_spec() -> None:
    """A rule that came from a type says where it stands; built-in rules say nothing."""
    record = {"name": "gold", "require": {"media": ["ssd"]}, "places": {"require.media": "types.yaml:7:3"}}
    spec = ShareTypeSpec.from_record(record)
    rules = {rule.kind: rule.position for rule in _place(_pool(media="ssd"), spec=spec).verdicts[0].rules}
    assert rules[Kind.REQUIRE] == "types.yaml:7:3"
    assert rules[Kind.CAPACITY] == ""


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("ssd", "ssd"),
        ("a.b-c_d", "a.b-c_d"),
        ("two words", '"two words"'),
        ("true", '"true"'),
        ("12", '"12"'),
        ('a"b', '"a\\"b"'),
        ("", '""'),
        (True, "true"),
        (12, "12"),
        (("a", True), "[a, true]"),
    ],
)
def test_literal_tells_text_from_other_values(value: object, text: str) -> None:
    """The text true and the value true are never shown alike."""
    assert literal(value) == text


attribute_values = st.one_of(
    st.booleans(), st.integers(0, 3), st.sampled_from(["ssd", "hdd", "1"]), st.just(("ssd", "x"))
)
attributes = st.dictionaries(st.sampled_from(["media", "tier", "n"]), attribute_values, max_size=3)
pool_lists = st.lists(
    st.builds(
        PoolView,
        id=st.uuids().map(str),
        backend=st.sampled_from(["x", "y"]),
        name=st.sampled_from(["p", "q", "r"]),
        zone=st.sampled_from([None, "a", "b"]),
        figures=st.builds(_figures, st.none() | st.integers(0, 100), st.integers(0, 120)),
        attributes=attributes,
        available=st.booleans(),
        protocols=st.sampled_from([("path",), ("nfs",), ("nfs", "path"), ()]),
        excluded_reason=st.text(max_size=3),
    ),
    max_size=8,
    unique_by=lambda pool: pool.id,
)
accepted_values = st.lists(st.booleans() | st.integers(0, 3) | st.sampled_from(["ssd", "hdd"]), min_size=1, max_size=3)
types = st.builds(
    lambda require, zones, largest: _type(require=require, zones=zones, limits={"max_size": largest}),
    st.dictionaries(st.sampled_from(["media", "tier", "n"]), accepted_values, max_size=3),
    st.none() | st.just(["a"]),
    st.none() | st.integers(10, 200),
)


@given(pool_lists, types, st.integers(1, 120), st.sampled_from([None, "a"]), st.randoms(use_true_random=False))
def test_decision_keeps_its_promises(
    pools: list[PoolView], spec: ShareTypeSpec, size: int, zone: str | None, shuffle: random.Random
) -> None:
    """Deterministic, never over a limit, every pool and rule recorded, reasons exactly for what failed."""
    request = PlacementRequest(size, spec, zone=zone)
    decision = place(request, pools)
    shuffled = list(pools)
    shuffle.shuffle(shuffled)
    assert place(request, shuffled) == decision
    by_id = {pool.id: pool for pool in pools}
    assert sorted(verdict.pool for verdict in decision.verdicts) == sorted(by_id)
    assert set(decision.ranked) == {verdict.pool for verdict in decision.verdicts if verdict.kept}
    for chosen in decision.ranked:
        _check_kept(by_id[chosen], spec.required_attributes, size)
    for verdict in decision.verdicts:
        # The built-in rules are availability, protocol, size and capacity.
        assert len(verdict.rules) == 4 + len(spec.require) + (zone is not None) + (spec.zones is not None)
        assert verdict.kept == all(rule.ok for rule in verdict.rules)
        assert all(rule.reason for rule in verdict.failed)
    free = {verdict.pool: verdict.free_after for verdict in decision.verdicts}
    known = [free[chosen] for chosen in decision.ranked]
    assert known == sorted(known, key=lambda left: (left is None, -(left or 0)))
    assert json.loads(json.dumps(decision.to_json())) == decision.to_json()
    assert json.loads(json.dumps(decision.summary())) == decision.summary()


def _check_kept(pool: PoolView, require: Mapping[str, tuple[bool | int | str, ...]], size: int) -> None:
    """What must hold of a kept pool, said in another way than the code says it."""
    assert pool.available
    assert "path" in pool.protocols
    figures = pool.figures
    assert figures.total == UNKNOWN or int(figures.provisioned or 0) + size <= int(figures.total or 0)
    for attribute, accepted in require.items():
        has = pool.attributes[attribute]
        values = has if isinstance(has, tuple) else (has,)
        assert {json.dumps(value) for value in values} & {json.dumps(value) for value in accepted}
