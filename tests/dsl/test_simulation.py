"""Requests replayed under old and new specs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsl.capacity import GIB
from dsl.pool_picture import PoolPicture
from dsl.share_request import NamedRequest
from dsl.simulation import Change, Load, Simulation, simulate
from dsl.snapshot import SavedShare
from dsl.spec_set import SpecSet, load_specs

HEADER = "apiVersion: shareflow/v1\nkind: "
STANDARD = HEADER + "ShareType\nname: standard\n"
BACKEND = HEADER + "Backend\nname: x\ndriver: directory\npools:\n"


def _specs(directory: Path, *documents: str) -> SpecSet:
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "specs.yaml").write_text("---\n".join(documents))
    return load_specs([directory])


@pytest.fixture
def types(tmp_path: Path) -> SpecSet:
    """A set of one type and no backend."""
    return _specs(tmp_path / "types", STANDARD)


def _pool(name: str, **said: object) -> PoolPicture:
    return PoolPicture.model_validate({"backend": "x", "name": name, "total": 10 * GIB, **said})


def _run(
    old: SpecSet, new: SpecSet, pools: list[PoolPicture], *sizes: int | dict[str, object], shares: object = ()
) -> Simulation:
    asked = [NamedRequest.model_validate({"size": s * GIB} if isinstance(s, int) else s) for s in sizes]
    views = [pool.to_view(old.schema()) for pool in pools]
    found = simulate(asked, views, old, new, shares)  # type: ignore[arg-type]
    assert json.loads(json.dumps(found.to_json())) == found.to_json()
    return found


def _ways(found: Simulation) -> list[tuple[str | None, str | None]]:
    return [(one.before, one.after) for one in found.outcomes]


def test_same_specs_change_nothing(types: SpecSet) -> None:
    """Each request is placed after those before it, on what they left."""
    found = _run(types, types, [_pool("p"), _pool("q", total=8 * GIB)], 5, 5, 5, 5)
    assert _ways(found) == [("x/p", "x/p"), ("x/q", "x/q"), ("x/p", "x/p"), (None, None)]
    assert found.changed == ()
    assert found.counts == {"unchanged": 3, "nowhere": 1}
    assert found.totals == {"x/p": (Load(2, 10 * GIB),) * 2, "x/q": (Load(1, 5 * GIB),) * 2}
    assert found.outcomes[3].reason == "no pool fits: 2 pools lack 2 GiB or more"


def test_new_rule_moves_what_it_rejects_and_says_why(tmp_path: Path, types: SpecSet) -> None:
    """The reason is the rule with the pool's value."""
    rule = STANDARD + "require: {media: ssd}\n"
    new = _specs(tmp_path / "new", rule)
    disk, flash = _pool("a-disk", attributes={"media": "hdd"}), _pool("flash", attributes={"media": "ssd"})
    found = _run(types, new, [disk, flash], 4, 4, 9)
    assert [one.change for one in found.outcomes] == [Change.MOVED, Change.UNCHANGED, Change.NOWHERE]
    assert found.outcomes[0].reason == "x/a-disk does not fit any more: its media is hdd"
    assert found.totals["x/a-disk"] == (Load(1, 4 * GIB), Load())
    back = _run(new, types, [disk], 4)
    assert [one.change for one in back.outcomes] == [Change.PLACED]
    assert back.outcomes[0].reason == "before: no pool fits: 1 pool fails `media == ssd`: it has hdd"
    lost = _run(types, new, [disk], 4)
    assert [one.change for one in lost.outcomes] == [Change.LOST]
    assert lost.outcomes[0].reason == "no pool fits: 1 pool fails `media == ssd`: it has hdd"


def test_new_preference_moves_what_another_pool_is_better_for(tmp_path: Path, types: SpecSet) -> None:
    """The reason names both scores; where only room or the name decides, it says so."""
    new = _specs(tmp_path / "new", STANDARD + 'prefer: [{when: pool.zone == "b", weight: 10}]\n')
    pools = [_pool("p", zone="a"), _pool("q", zone="b")]
    found = _run(types, new, pools, 1)
    assert found.outcomes[0].reason == "x/q is preferred: its score is 10.0, that of x/p 0.0"
    room = _run(new, types, [_pool("p", zone="a"), _pool("q", zone="b", total=9 * GIB)], 1)
    assert room.outcomes[0].reason == "x/p has more room: 9 GiB are left there afterwards, 8 GiB in x/q"
    name = _run(new, types, pools, 1)
    assert name.outcomes[0].reason == "x/p is as good as x/q and comes first by name"


def test_what_a_set_declares_of_a_pool_counts_over_the_picture(tmp_path: Path) -> None:
    """Zone, attributes, terms and driver; an attribute that only the old set declares is gone under the new one."""
    rule = STANDARD + "require: {media: ssd}\nzones: [b]\n"
    flash = "name: p, zone: b, attributes: {media: ssd}"
    old = _specs(tmp_path / "old", rule, BACKEND + f"  - {{{flash}}}\n")
    moved = _specs(tmp_path / "moved", rule, BACKEND + "  - {name: p, zone: c}\n  - {name: q, zone: b}\n")
    ratio = _specs(
        tmp_path / "ratio", rule, BACKEND + "  - {name: p, zone: b, attributes: {media: ssd}, thin: false}\n"
    )
    picture = _pool("p", zone="b", attributes={"media": "ssd"}, provisioned=6 * GIB, free=2 * GIB, over_subscription=9)
    lost = _run(old, moved, [picture], 1)
    assert [one.change for one in lost.outcomes] == [Change.LOST]
    assert "zone in [b]" in lost.outcomes[0].reason
    assert lost.left_out == {"x/q": "the inventory does not have it"}
    thick = _run(old, ratio, [picture], 3)
    assert _ways(thick) == [(None, None)]
    assert _ways(_run(old, ratio, [picture], 2)) == [("x/p", "x/p")]


def test_pool_of_one_set_takes_part_only_there(tmp_path: Path) -> None:
    """A pool that neither declares takes part as it is."""
    old = _specs(tmp_path / "old", STANDARD, BACKEND + "  - {name: p}\n")
    new = _specs(tmp_path / "new", STANDARD, BACKEND + "  - {name: q}\n")
    found = _run(old, new, [_pool("p"), _pool("q")], 1)
    assert _ways(found) == [("x/p", "x/q")]
    assert found.outcomes[0].reason == "x/p is no pool of the new specs"
    assert found.left_out == {"x/p": "the new specs do not have it", "x/q": "the old specs do not have it"}
    assert _ways(_run(old, new, [_pool("p"), _pool("q"), _pool("other", total=99 * GIB)], 1)) == [("x/other",) * 2]


def test_set_without_backends_says_nothing_about_pools(tmp_path: Path, types: SpecSet) -> None:
    """Types can live alone; the picture counts."""
    old = _specs(tmp_path / "old", STANDARD, BACKEND + "  - {name: p}\n")
    assert _ways(_run(old, types, [_pool("p")], 1)) == [("x/p", "x/p")]


def test_type_that_one_set_lacks_is_the_reason(tmp_path: Path, types: SpecSet) -> None:
    """So is a class, and a share that is named and not there."""
    new = _specs(tmp_path / "new", HEADER + "ShareType\nname: fast\n")
    found = _run(types, new, [_pool("p")], 1, {"size": 1, "qos": "gold"}, {"size": 1, "affinity": ["home"]})
    assert [one.change for one in found.outcomes] == [Change.LOST, Change.NOWHERE, Change.NOWHERE]
    assert found.outcomes[0].reason == "there is no share type `standard`"
    both = _run(types, types, [_pool("p")], {"size": 1, "qos": "gold"}, {"size": 1, "affinity": ["home"]})
    assert [one.reason for one in both.outcomes] == ["there is no QoS class `gold`", "there is no share `home`"]


def test_placed_shares_count_for_spread_and_affinity_of_later_ones(tmp_path: Path, types: SpecSet) -> None:
    """Those of the inventory as well, each in its project."""
    new = _specs(tmp_path / "new", STANDARD + "spread: {by: zone}\n")
    pools = [_pool("p", zone="a", total=90 * GIB), _pool("q", zone="b")]
    found = _run(types, new, pools, 1, 1, 1)
    assert _ways(found) == [("x/p", "x/p"), ("x/p", "x/q"), ("x/p", "x/p")]
    shares = [
        SavedShare(name="db", type="standard", pool="x/p"),
        SavedShare(name="db", type="t", pool="x/q", project="u"),
    ]
    assert _ways(_run(types, new, pools, 1, shares=shares)) == [("x/p", "x/q")]
    near: list[dict[str, object]] = [
        {"size": 1, "name": "web", "anti_affinity": ["db"]},
        {"size": 1, "affinity": ["web"]},
        {"size": 1, "affinity": ["db"], "project": "u"},
    ]
    assert _ways(_run(types, types, pools, *near, shares=shares)) == [("x/q",) * 2, ("x/q",) * 2, ("x/q",) * 2]
    gone = [SavedShare(name="db", type="standard", pool="x/gone")]
    assert _ways(_run(types, types, pools, {"size": 1, "affinity": ["db"]}, shares=gone)) == [(None, None)]


def test_floors_are_taken_from_the_budget_as_shares_are_placed(tmp_path: Path) -> None:
    """The third share finds no floor left."""
    gold = HEADER + "QosClass\nname: gold\nmin_iops: 400\n"
    old = _specs(tmp_path / "old", STANDARD + "qos: gold\n", gold)
    pool = _pool("p", driver="fake", qos={"iops": 1000}, promised={"iops": 100})
    found = _run(old, old, [pool], 1, 1, 1)
    assert _ways(found) == [("x/p", "x/p"), ("x/p", "x/p"), (None, None)]
    assert "floors of iops <= budget" in found.outcomes[2].reason


sets = st.lists(st.tuples(st.integers(1, 12), st.booleans()), min_size=1, max_size=4)


@settings(deadline=None, max_examples=60)
@given(sets, st.lists(st.integers(1, 12), max_size=12))
def test_replay_never_hands_out_more_than_there_is(racks: list[tuple[int, bool]], sizes: list[int]) -> None:
    """Whatever is asked for: what a pool got is within its limit, in both worlds, and every byte is accounted for."""
    here = Path(__file__).parent / "spec_tests" / "types"
    old, new = load_specs([here / "old.yaml"]), load_specs([here / "new.yaml"])
    pools = [_pool(f"p{n}", total=room * GIB, thin=thin) for n, (room, thin) in enumerate(racks)]
    found = _run(old, new, pools, *sizes)
    for pool in pools:
        before, after = found.totals[pool.title]
        assert max(before.bytes, after.bytes) <= int(pool.total)
    for side, way in enumerate(("before", "after")):
        placed = [one.request.size for one in found.outcomes if getattr(one, way) is not None]
        assert sum(loads[side].bytes for loads in found.totals.values()) == sum(placed)
        assert sum(loads[side].shares for loads in found.totals.values()) == len(placed)
    assert len(found.outcomes) == len(sizes)
