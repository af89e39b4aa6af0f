"""What pools remember between requests: never another answer, and nobody is asked twice."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from dsl.attributes import schema_of
from dsl.capacity import GIB, PoolFigures
from dsl.decision import Kind, RuleResult
from dsl.documents import BackendSpec, PlacementSpec, QosClassSpec, ShareTypeSpec
from dsl.placement import Language, PlacementRequest, Pools, PoolView, Surroundings, place
from dsl.placement.rules import PlacementRule
from dsl.placement.standing import MOST_KEPT
from dsl.pool_picture import readable
from dsl.qos import Floors, PoolQos, QosBudget

PATIENT = settings(deadline=None)  # the first expression of a process costs the grammar
SCHEMA = schema_of(
    [
        BackendSpec.model_validate(
            {"name": "x", "driver": "acme", "attributes": {"rank": "number"}, "pools": [{"name": "p"}]}
        )
    ]
)
SURROUNDINGS = Surroundings(Language(SCHEMA), PlacementSpec.model_validate({"require": "pool.rank < 4"}))
RULES: dict[str, dict[str, object]] = {
    "plain": {},
    "zoned": {"zones": ["a", "b"], "spread": {"by": "zone"}},
    "ranked": {"require": ["pool.rank >= 1", "pool.free >= 2 * request.size or pool.rank == 3"]},
    "lasting": {"retention": "2 d", "require": "pool.rank * 1 d >= spec.retention"},
    "brief": {"retention": "1 d", "require": "pool.rank * 1 d >= spec.retention"},
    "advised": {"require": [{"rule": "pool.rank >= 1", "enforce": "advise"}]},
    "needing": {"require": {"rank": 2}},
}
TYPES = [ShareTypeSpec.model_validate({"name": name, **rules}) for name, rules in RULES.items()]
CLASSES = [
    None,
    QosClassSpec.model_validate({"name": "fast", "max_iops": 100}),
    QosClassSpec.model_validate({"name": "sure", "min_iops_per_gib": 10}),
]


def _pool(name: str, zone: str | None, free: int, rank: int | None, limited: bool) -> PoolView:
    qos = PoolQos(("max_iops", "min_iops") if limited else (), QosBudget(iops=100).budget, Floors(10 * free, 0))
    attributes = {} if rank is None else {"rank": rank}
    figures = PoolFigures(40 * GIB, free * GIB, 0)
    backend = "x" if name < "c" else "y"
    return readable(PoolView(name, backend, name, zone, figures, attributes, available=free != 7, qos=qos), SCHEMA)


views = st.builds(
    _pool,
    st.sampled_from("abcdef"),
    st.sampled_from([None, "a", "b", "c"]),
    st.integers(0, 40),
    st.one_of(st.none(), st.integers(0, 5)),
    st.booleans(),
)
several = st.lists(views, max_size=6, unique_by=lambda view: view.id)
requests = st.builds(
    lambda size, spec, qos: PlacementRequest(size * GIB, spec, qos=qos),
    st.integers(1, 30),
    st.sampled_from(TYPES),
    st.sampled_from(CLASSES),
)
changes = st.tuples(several, st.sets(st.sampled_from("abcdef"), max_size=2), st.booleans(), requests)


@PATIENT
@given(several, st.lists(changes, max_size=8))
def test_pools_that_remember_answer_as_pools_that_do_not(
    first: list[PoolView], then: list[tuple[list[PoolView], set[str], bool, PlacementRequest]]
) -> None:
    """Whatever was changed, added, taken away, and rolled back in between."""
    pools, known = Pools.of(first), {view.id: view for view in first}
    for changed, gone, committed, request in then:
        later = pools.with_changes(changed, gone - {view.id for view in changed})
        seen = {pool: view for pool, view in known.items() if pool not in gone} | {view.id: view for view in changed}
        decision = place(request, later, SURROUNDINGS)
        assert decision == place(request, list(seen.values()), SURROUNDINGS)
        assert decision.reasons == place(request, list(seen.values()), SURROUNDINGS).reasons
        assert decision.summary() == place(request, list(seen.values()), SURROUNDINGS).summary()
        if committed:
            pools, known = later, seen


def _counting(asked: list[str], key: str = "rule") -> PlacementRule:
    def test(pool: PoolView) -> bool:
        asked.append(pool.id)
        return pool.zone == "a"

    result = RuleResult(Kind.RULE, "in a", None, None, ok=True)
    return PlacementRule(test, lambda _pool: result, standing=key)


def _zoned(zones: Sequence[str]) -> list[PoolView]:
    return [_pool(name, zone, 5, 1, limited=False) for name, zone in zip("abcdef", zones, strict=False)]


def test_only_pools_that_have_changed_are_asked_again() -> None:
    """By the same rule of another request, before and after a change that was rolled back."""
    asked: list[str] = []
    pools = Pools.of(_zoned("abab"))
    assert pools.failing(_counting(asked)) == {1: False, 3: False}
    assert pools.failing(_counting(asked)) == {1: False, 3: False}
    assert asked == ["a", "b", "c", "d"]

    rolled_back = pools.with_changes([replace(pools.views[0], zone="b")])
    assert rolled_back.failing(_counting(asked)) == {0: False, 1: False, 3: False}
    assert asked[4:] == ["a"]
    assert pools.failing(_counting(asked)) == {1: False, 3: False}
    assert asked[5:] == ["a"]


def test_rule_of_the_request_is_asked_each_time() -> None:
    """What depends on the request is not remembered."""
    asked: list[str] = []
    pools = Pools.of(_zoned("ab"))
    rule = replace(_counting(asked), standing=None)
    assert pools.failing(rule) == pools.failing(rule) == {1: False}
    assert asked == ["a", "b"] * 2


def test_rules_that_were_asked_last_are_remembered() -> None:
    """So many and no more."""
    pools, asked = Pools.of(_zoned("ab")), {number: list[str]() for number in range(MOST_KEPT + 1)}
    for number, names in asked.items():
        pools.failing(_counting(names, f"rule {number}"))
        pools.failing(_counting(asked[1], "rule 1"))
    for number in (0, 1, MOST_KEPT):
        pools.failing(_counting(asked[number], f"rule {number}"))
    assert [len(asked[number]) for number in (0, 1, MOST_KEPT)] == [4, 2, 2]


def test_threads_with_different_changes_get_their_own_answers() -> None:
    """Transactions that see different rows share the memory and nothing else."""
    pools = Pools.of(_zoned("abab"))
    request = PlacementRequest(GIB, TYPES[1])

    def differ(number: int) -> bool:
        mine = pools.with_changes([replace(pools.views[number % 4], zone="abc"[number % 3])])
        return place(request, mine, SURROUNDINGS) == place(request, mine.views, SURROUNDINGS)

    with ThreadPoolExecutor(16) as threads:
        assert all(threads.map(differ, range(400)))
