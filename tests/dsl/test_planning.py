"""Plans: what another set of specs would change, and what that means for the shares that are there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dsl.planning import Difference, Line, PoolUse, ProjectUse, Usage, plan
from dsl.spec_set import SpecSet, from_records

TIB = 2**40
BASE: dict[str, Mapping[str, Any]] = {
    "gold": {"kind": "ShareType", "name": "gold", "qos": "fast"},
    "fast": {"kind": "QosClass", "name": "fast", "max_iops": 100},
    "nightly": {"kind": "SnapshotPolicy", "name": "nightly", "schedule": [{"every": 86_400, "keep": 7}]},
    "kept": {"kind": "ShareType", "name": "kept", "snapshots": {"policy": "nightly"}},
    "p": {"kind": "Quota", "project": "p", "limits": {"bytes": 20 * TIB}},
    "local": {
        "kind": "Backend",
        "name": "local",
        "driver": "fake",
        "pools": [{"name": "rack1", "attributes": {"media": "ssd"}}, {"name": "rack2"}],
    },
}


def _set(**changed: Mapping[str, Any] | None) -> SpecSet:
    return from_records([record for record in {**BASE, **changed}.values() if record is not None])


def _only(new: SpecSet, usage: Usage | None = None) -> Line:
    lines = plan(_set(), new, usage or Usage()).lines
    assert len(lines) == 1, lines
    return lines[0]


def _backend(*pools: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    return {**BASE["local"], "pools": list(pools) or BASE["local"]["pools"], **more}


RACK1 = BASE["local"]["pools"][0]
RACK2 = BASE["local"]["pools"][1]


def test_same_set_in_another_order_changes_nothing() -> None:
    """A plan has a line only where the content differs."""
    found = plan(_set(), from_records(list(reversed(list(BASE.values())))), Usage())
    assert found.lines == ()
    assert found.current == found.new


def test_first_set_creates_everything_in_the_order_of_kinds_and_names() -> None:
    """Nothing was applied: every document is new, and what a reader sees is always in the same order."""
    found = plan(None, _set(), Usage())
    assert found.current == ""
    assert [(line.action, line.id) for line in found.lines] == [
        ("create", "Backend/local"),
        ("create", "QosClass/fast"),
        ("create", "Quota/p"),
        ("create", "ShareType/gold"),
        ("create", "ShareType/kept"),
        ("create", "SnapshotPolicy/nightly"),
    ]


def test_changed_type_tells_which_shares_keep_which_version() -> None:
    """Shares keep the version that they were placed with; only new ones get the new one."""
    new = _set(gold={**BASE["gold"], "retention": 86_400})
    old = _set().share_types["gold"].version
    line = _only(new, Usage(types={"gold": {old: 12}}))
    assert line.differences == (Difference("retention", None, 86_400),)
    assert line.effects == (
        f"12 shares keep version {old}",
        f"new ones get version {new.share_types['gold'].version}",
    )
    assert not line.destructive


def test_nested_keys_are_named_with_their_path_and_true_is_not_one() -> None:
    """Mappings are gone into, so that a reader sees the key that changed and nothing else."""
    local = _backend({"name": "rack1", "attributes": {"media": "ssd", "fast": True}}, RACK2)
    before = _set(local=_backend({"name": "rack1", "attributes": {"media": "ssd", "fast": 1}}, RACK2))
    assert plan(before, _set(local=local), Usage()).lines[0].differences == (Difference("attributes.fast", 1, True),)


def test_removed_pool_with_shares_is_destructive_and_counts_them() -> None:
    """What is in use goes only when somebody says so by name."""
    new = _set(local=_backend(RACK1))
    line = _only(new, Usage(pools={"local/rack2": PoolUse(shares=3)}))
    assert (line.action, line.id, line.in_use, line.destructive) == ("remove", "Pool/local/rack2", 3, True)
    assert line.effects == ("3 shares are on it; they stay, and cannot grow",)
    assert line.allowed_by(frozenset({"local/rack2"}))
    assert line.allowed_by(frozenset({"Pool/local/rack2"}))
    assert not line.allowed_by(frozenset({"rack2"}))
    assert not _only(new).destructive


def test_removed_backend_is_destructive_for_the_shares_of_all_its_pools() -> None:
    """A backend is one line, with what is on each of its pools."""
    line = _only(_set(local=None), Usage(pools={"local/rack1": PoolUse(2), "local/rack2": PoolUse(3)}))
    assert (line.id, line.in_use, line.destructive) == ("Backend/local", 5, True)
    assert line.effects[0] == "pool rack1: 2 shares are on it; they stay, and cannot grow"


def test_removed_type_class_and_policy_in_use_are_destructive() -> None:
    """A type is used by its shares, a class by those that have it, a policy by shares of the types that name it."""
    usage = Usage(types={"gold": {"a": 1}, "kept": {"b": 4}}, classes={"fast": {"c": 2}})
    gone = {line.id: line.in_use for line in plan(_set(), from_records([BASE["local"]]), usage).destructive}
    assert gone == {"ShareType/gold": 1, "ShareType/kept": 4, "QosClass/fast": 2, "SnapshotPolicy/nightly": 4}


def test_quota_below_use_says_what_is_used() -> None:
    """A lowered quota takes nothing away; it is no removal."""
    new = _set(p={**BASE["p"], "limits": {"bytes": 10 * TIB}})
    line = _only(new, Usage(projects={"p": ProjectUse(bytes=12 * TIB)}))
    assert line.effects == ("p uses 12 TiB of 10 TiB: nothing new until it uses less",)
    assert not line.destructive


def test_quota_of_everyone_counts_for_projects_without_their_own() -> None:
    """The document of ``*`` tells of every project that it limits and of no other."""
    everyone = {"kind": "Quota", "project": "*", "limits": {"shares": 1}}
    usage = Usage(projects={"p": ProjectUse(shares=9), "q": ProjectUse(shares=2), "r": ProjectUse(shares=1)})
    assert _only(_set(everyone=everyone), usage).effects == ("q has 2 shares of 1: no new ones until it has fewer",)


def test_removed_quota_falls_back_to_that_of_everyone() -> None:
    """A project whose quota goes has the limits of ``*`` from then on."""
    everyone = {"kind": "Quota", "project": "*", "limits": {"bytes": TIB}}
    found = plan(
        _set(everyone=everyone), _set(everyone=everyone, p=None), Usage(projects={"p": ProjectUse(1, 2 * TIB)})
    )
    assert found.lines[0].effects == ("p uses 2 TiB of 1 TiB: nothing new until it uses less",)


def test_driver_options_and_slots_wait_for_the_workers_to_restart() -> None:
    """A worker opens its drivers once; a plan says so instead of promising more."""
    line = _only(_set(local=_backend(slots=2, options={"root": "/x"})))
    assert line.effects == ("options, slots: takes effect when its workers restart with it in their files",)
    assert _only(_set(local=_backend(description="the old one"))).effects == ()


def test_new_pool_waits_for_the_workers_to_restart() -> None:
    """A driver knows the pools that it was opened with."""
    line = _only(_set(local=_backend(RACK1, RACK2, {"name": "rack3"})))
    assert (line.action, line.id) == ("create", "Pool/local/rack3")
    assert line.effects == ("it can be used once the backend's workers have restarted with it",)


def test_changed_terms_of_a_pool_give_its_new_limit() -> None:
    """The limit is worked out from what the driver reported; a pool that is over it takes nothing more."""
    before = _set(local=_backend({**RACK1, "over_subscription": "2"}, RACK2))
    usage = Usage(pools={"local/rack1": PoolUse(shares=1, allocated=15 * TIB, total=10 * TIB)})
    line = plan(before, _set(), usage).lines[0]
    assert line.effects == ("its limit becomes 10 TiB, 15 TiB are handed out: nothing new is placed there",)


def test_changed_defaults_give_the_limits_of_pools_that_say_nothing_themselves() -> None:
    """A default that moves limits is told with the pools that it moves."""
    usage = Usage(pools={"local/rack1": PoolUse(total=10 * TIB), "local/rack2": PoolUse()})
    line = _only(_set(placement={"kind": "Placement", "over_subscription": "3"}), usage)
    assert line.effects == (
        "counts for every placement from now on",
        "pool local/rack1: its limit becomes 30 TiB, 0 B are handed out",
    )


def test_budget_below_the_promised_floors_is_told() -> None:
    """Floors that were promised stay; there are no new ones until they fit again."""
    line = _only(
        _set(local=_backend({**RACK1, "qos": {"iops": 100}}, RACK2)), Usage(pools={"local/rack1": PoolUse(iops=300)})
    )
    assert line.effects == ("300 IOPS are promised, its budget becomes 100: no new floors there",)


def test_token_moves_with_what_is_removed_in_use_and_not_with_other_counts() -> None:
    """A busy inventory does not make every plan stale: only counts that need somebody's word are in the token."""
    smaller, other = _set(local=_backend(RACK1)), _set(gold={**BASE["gold"], "retention": 60})

    def counts(new: SpecSet, shares: int) -> str:
        usage = Usage(types={"gold": {"a": shares}}, pools={"local/rack2": PoolUse(shares=shares)})
        return plan(_set(), new, usage).counts

    assert counts(smaller, 1) != counts(smaller, 2) != counts(smaller, 0)
    assert counts(other, 1) == counts(other, 2)


def test_long_effects_are_shortened_with_the_number_left_out() -> None:
    """A plan stays readable with thousands of projects."""
    everyone = {"kind": "Quota", "project": "*", "limits": {"shares": 0}}
    usage = Usage(projects={f"q{number:03}": ProjectUse(shares=1) for number in range(500)})
    effects = _only(_set(everyone=everyone), usage).effects
    assert len(effects) == 11
    assert effects[-1] == "490 more"
